"""What `make sbom` refuses, told from reports of its tools."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from devstack import sbom

ROOT = Path(__file__).parents[2]


def bill(*licences: dict[str, Any]) -> dict[str, Any]:
    return {"components": [{"name": "one", "version": "1", "licenses": list(licences)}]}


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "MPL-2.0",
        "Apache-2.0 AND MIT",
        "GPL-3.0-only OR MIT",
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    ],
)
def test_an_allowed_licence_is_one_of_the_list_or_all_parts_of_an_alternative(licence: str) -> None:
    assert sbom.allowed(licence)


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Proprietary", ""])
def test_a_licence_that_nobody_allowed_is_refused(licence: str) -> None:
    assert sbom.refused(bill({"license": {"name": licence}})) == [f"one 1 ({licence})"]


def test_a_package_without_a_licence_is_refused() -> None:
    assert sbom.refused(bill()) == ["one 1 (none)"]


def test_a_licence_that_the_metadata_lack_is_taken_from_the_table_and_listed() -> None:
    silent = {"components": [{"name": "protobuf", "version": "7"}]}
    assert sbom.refused(silent) == []
    assert sbom.listed(silent) == "protobuf 7: BSD-3-Clause\n"


def test_a_licence_that_the_metadata_name_counts_more_than_the_table() -> None:
    changed = {"name": "protobuf", "version": "8", "licenses": [{"expression": "GPL-3.0-only"}]}
    assert sbom.refused({"components": [changed]}) == ["protobuf 8 (GPL-3.0-only)"]


def test_every_licence_of_a_package_is_judged_and_listed() -> None:
    both = bill({"license": {"id": "MIT"}}, {"expression": "GPL-3.0-only"})
    assert sbom.refused(both) == ["one 1 (GPL-3.0-only)"]
    assert sbom.listed(both) == "one 1: MIT; GPL-3.0-only\n"


def test_a_found_secret_is_named_by_its_place_and_never_shown() -> None:
    place = {"line_number": 3, "type": "Private Key", "hashed_secret": "canary"}
    assert sbom.found(json.dumps({"results": {"a.py": [place]}})) == ["a.py:3 (Private Key)"]


#: A password in an address, as detect-secrets finds it: one that holds a reserved sign, like `$`, is none.
PASSWORD_IN_ADDRESS = re.compile(
    r"://[^:/?#\[\]@!$&'()*+,;=\s]+:[^:/?#\[\]@!$&'()*+,;=\s]+@",
)


def test_no_document_has_an_address_with_a_password() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    texts = {one.relative_to(ROOT): one.read_text(encoding="utf-8") for one in documents}
    assert Path("docs/deploy.md") in texts
    assert [path for path, text in texts.items() if PASSWORD_IN_ADDRESS.search(text)] == []


def test_the_tools_are_locked_with_hashes_and_without_an_index() -> None:
    lock = (ROOT / "deploy/sbom/requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.M)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock
