"""A backup on a disk is whole or not there, says what it is, and goes when its time is over."""

from __future__ import annotations

import gzip
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.ops.__main__ import app
from shared.ops.backup_files import (
    MANIFEST,
    NAME,
    Backup,
    BrokenBackup,
    CopiedRecord,
    Manifest,
    Span,
    Writing,
    alone,
    backups,
    named,
    problems,
    prune,
)

TOPIC = "recovery.vault.v1"
NOW = datetime(2026, 11, 29, 3, 17, tzinfo=UTC)
RECORDS = [
    CopiedRecord(
        0, 3, 1, b"key", b'{"text": "\xc3\xa9"}', (("content-type", b"json"), ("none", None))
    ),
    CopiedRecord(1, 0, 2, None, b"\xff\x00\n"),
    CopiedRecord(0, 7, 3, b"gone", None),
]
SPANS = {0: Span(first=2, end=9), 1: Span(first=0, end=1)}


def taken(folder: Path, at: datetime = NOW, records: list[CopiedRecord] | None = None) -> Backup:
    with alone(folder):
        writing = Writing(folder, at.strftime(NAME))
        copied = writing.topic(TOPIC, SPANS, RECORDS if records is None else records)
        return writing.finish(Manifest(taken_at=at, topics=(copied,), erasures={0: SPANS[1]}))


def test_what_is_read_from_a_backup_is_what_was_written_whatever_bytes_it_is(tmp_path):
    made = taken(tmp_path / "backups")
    (found,) = backups(tmp_path / "backups")
    assert found == made == named(tmp_path / "backups", None)
    assert list(found.records(TOPIC)) == RECORDS
    assert problems(found) == []
    assert found.manifest.of(TOPIC).records == 3
    with pytest.raises(BrokenBackup, match="no copy"):
        found.manifest.of("recovery.policy.v1")


def test_a_backup_is_for_its_owner_alone(tmp_path):
    made = taken(tmp_path / "backups")
    paths = [made.folder.parent, made.folder, *made.folder.iterdir()]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {
        "backups": 0o700, made.name: 0o700, MANIFEST: 0o600, f"{TOPIC}.gz": 0o600,
    }  # fmt: skip


def test_equal_records_are_equal_bytes(tmp_path):
    first, second = (taken(tmp_path / one).manifest.of(TOPIC) for one in "ab")
    assert first == second


def test_a_backup_that_was_not_finished_is_none_and_leaves_nothing(tmp_path):
    def breaks():
        yield RECORDS[0]
        raise OSError(28, "no space is left")

    with pytest.raises(OSError, match="no space"), alone(tmp_path):
        Writing(tmp_path, "one").topic(TOPIC, SPANS, breaks())
    assert backups(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    # Nor does one that was killed, after the next.
    Writing(tmp_path, "two")
    assert backups(tmp_path) == []
    taken(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", NOW.strftime(NAME)]


def test_two_never_write_to_one_folder(tmp_path):
    with alone(tmp_path), pytest.raises(BrokenBackup, match="another backup"), alone(tmp_path):
        pass


@pytest.mark.parametrize("what", ["cut", "changed", "missing", "manifest"])
def test_a_damaged_backup_is_found(tmp_path, what):
    made = taken(tmp_path)
    copy = made.folder / f"{TOPIC}.gz"
    if what == "cut":
        copy.write_bytes(copy.read_bytes()[:-4])
    elif what == "changed":
        copy.write_bytes(gzip.compress(gzip.decompress(copy.read_bytes())[:-1]))
    elif what == "missing":
        copy.unlink()
    else:
        (made.folder / MANIFEST).write_text("{}", encoding="utf-8")
    answer = CliRunner().invoke(app, ["backup", "check", str(tmp_path)])
    assert answer.exit_code == 1
    assert str(made.folder) in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "records",
    [
        [RECORDS[2], RECORDS[0]],
        [RECORDS[0], RECORDS[0]],
        [RECORDS[0]._replace(offset=9)],
        [RECORDS[0]._replace(offset=1)],
        [RECORDS[0]._replace(partition=2)],
    ],
    ids=["order", "twice", "behind", "before", "partition"],
)
def test_a_record_out_of_place_is_found(tmp_path, records):
    (found,) = problems(taken(tmp_path, records=records))
    assert "is out of place" in found


def test_records_that_are_missing_are_found(tmp_path):
    made = taken(tmp_path)
    path = made.folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["topics"][0]["records"] = 4
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert problems(named(tmp_path, None)) == [f"{made.folder / TOPIC}.gz has 3 records, not 4"]


def test_backups_that_are_too_many_or_too_old_go_and_the_newest_stays(tmp_path):
    days = [NOW - timedelta(days=day) for day in (20, 13, 3, 2, 1, 0)]
    for day in days:
        taken(tmp_path, day)
    names = [day.strftime(NAME) for day in days]
    assert prune(tmp_path, NOW, keep=10, keep_for=timedelta(days=13)) == [names[0]]
    assert sorted(prune(tmp_path, NOW, keep=3, keep_for=timedelta(days=13))) == names[1:3]
    assert [one.name for one in backups(tmp_path)] == names[3:]
    later = NOW + timedelta(days=400)
    assert sorted(prune(tmp_path, later, keep=3, keep_for=timedelta(days=13))) == names[3:5]
    assert [one.name for one in backups(tmp_path)] == names[5:]
    assert not list(tmp_path.glob(".unfinished*"))


def test_the_list_says_when_the_daily_backup_fails(tmp_path):
    def told() -> tuple[int, str, str]:
        answer = CliRunner().invoke(app, ["backup", "list", str(tmp_path)])
        return answer.exit_code, answer.stdout, answer.stderr

    assert told() == (1, "", f"there is no backup in {tmp_path}\n")
    now = datetime.now(UTC)
    taken(tmp_path, now - timedelta(days=3))
    assert told()[0] == 1
    assert "older than two days" in told()[2]
    newest = taken(tmp_path, now)
    status, listed, _ = told()
    assert status == 0
    assert listed.splitlines()[-1] == f"{newest.name}  {TOPIC} 3"


def test_a_manifest_of_a_newer_version_is_not_read(tmp_path):
    made = taken(tmp_path)
    path = made.folder / MANIFEST
    path.write_text(
        path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8"
    )
    with pytest.raises(BrokenBackup, match="newer version"):
        backups(tmp_path)
