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
    ["MIT", "Apache-2.0 AND MIT", "GPL-3.0-only OR MIT", "License :: OSI Approved :: BSD License"],
)
def test_an_allowed_licence_is_one_of_the_list_or_all_parts_of_an_alternative(licence: str) -> None:
    assert sbom.allowed(licence)


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Proprietary", ""])
def test_a_licence_that_nobody_allowed_is_refused(licence: str) -> None:
    assert sbom.refused(bill({"license": {"name": licence}})) == [f"one 1 ({licence})"]


def test_a_package_without_a_licence_is_refused() -> None:
    assert sbom.refused(bill()) == ["one 1 (none)"]


def test_every_licence_of_a_package_is_judged_and_listed() -> None:
    both = bill({"license": {"id": "MIT"}}, {"expression": "GPL-3.0-only"})
    assert sbom.refused(both) == ["one 1 (GPL-3.0-only)"]
    assert sbom.listed(both) == "one 1: MIT; GPL-3.0-only\n"


def test_a_found_secret_is_named_by_its_place_and_never_shown() -> None:
    place = {"line_number": 3, "type": "Private Key", "hashed_secret": "canary"}
    assert sbom.found(json.dumps({"results": {"a.py": [place]}})) == ["a.py:3 (Private Key)"]


def test_the_tools_are_locked_with_hashes_and_without_an_index() -> None:
    lock = (ROOT / "deploy/sbom/requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.M)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock
