"""What docs/record.md tells whoever reads the record works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.audit import export
from shared.audit.keys import public_pem
from tests.unit.test_audit_reading import CHAINS, KEY, Record, forged

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/record.md").read_text(encoding="utf-8")
SHELL = ROOT / "examples/record/record.sh"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An export of a small record that nobody touched, with the public key beside it."""
    record = Record()
    for count in (2, 3):
        for name in CHAINS:
            record.grow(name, count)
        record.sign()
    export.write(record, tmp_path / "june")
    (tmp_path / "key.pem").write_text(public_pem(KEY.public_key()))
    return tmp_path / "june"


def in_shell(*words: object, told: str = "") -> tuple[int, str]:
    for tool in ("jq", "openssl", "sha256sum", "basenc"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    done = subprocess.run(
        ["/bin/sh", SHELL, *map(str, words)], input=told, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_python_of_the_page_verifies_an_export_and_finds_a_change(exported, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "record.md", "exec"), names)
    verified = names["verified"]
    assert callable(verified)
    assert verified(exported, exported.parent / "key.pem") is True
    path = exported / "chains" / export.file_of(CHAINS[0])
    path.write_bytes(path.read_bytes().replace(b"ck-2", b"ck-3", 1))
    assert verified(exported, exported.parent / "key.pem") is False
    assert "a record is not as it was recorded" in capsys.readouterr().out


def flipped(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"cinema", b"dinner"), *lines[2:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines, "15 records, all as signed at 2026-06-03T14:00:00Z"),
        (flipped, "not as it was recorded"),
        (lambda lines: [lines[0], *lines[2:]], "3: does not follow record 1"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "3: does not follow record 1"),
        (lambda lines: [lines[0], *lines], "1: does not follow record 1"),
        (lambda lines: lines[:-1], "missing or replaced"),
        (lambda lines: forged(CHAINS[0], lines, 2), "missing or replaced"),
    ],
)
def test_the_shell_program_verifies_an_export_and_finds_a_change(exported, change, said):
    path = exported / "chains" / export.file_of(CHAINS[0])
    lines = change(path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    status, told = in_shell("verify", exported, exported.parent / "key.pem")
    assert (status == 0, said in told) == ("as signed" in said, True), told


def test_the_shell_program_believes_no_heads_that_another_key_signed(exported):
    path = exported / "heads.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":3'))
    status, told = in_shell("verify", exported, exported.parent / "key.pem")
    assert (status, "not as they were signed" in told) == (1, True), told


def test_the_shell_program_follows_events_and_leaves_out_what_a_relay_sent_again(exported):
    lines = (exported / "chains" / export.file_of(CHAINS[0])).read_text().splitlines()
    events = [
        f'{{"id":"e","data":{line[:-1]},"recorded_at":"2026-06-03T14:00:00Z"}},"sequence":"1"}}'
        for line in lines
    ]
    status, told = in_shell("follow", told="\n".join([*events[:3], *events[1:]]) + "\n")
    assert status == 0, told
    assert [line.split("\t")[1] for line in told.splitlines()] == ["1", "2", "3", "4", "5"]
    status, told = in_shell("follow", told="\n".join([events[0], events[2]]) + "\n")
    assert (status, "does not follow record 1" in told) == (1, True), told


def test_the_shell_program_may_be_run():
    assert os.access(SHELL, os.X_OK)
