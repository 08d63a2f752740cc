"""Backups on a disk: a folder for each, with a file per topic and a manifest that makes it a backup.

    backups/20261129T031700.123456Z/manifest.json
                                    recovery.vault.v1.gz

A file has one line of JSON per record: partition, offset, timestamp in ms, key, value, headers. Bytes are written as
Latin-1, which any bytes are. A folder is written under a name that begins with a dot, and renamed at the end.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import file_digest
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

MANIFEST = "manifest.json"
#: A folder that is being written or deleted; the next backup removes what is left of it.
UNFINISHED = ".unfinished-"
#: Sorts by time, and two backups never have the same.
NAME = "%Y%m%dT%H%M%S.%fZ"
#: A folder of backups holds this many at most; it bounds what `list` reads.
BACKUPS_MAX = 1000


class BrokenBackup(Exception):
    """A backup cannot be read, or is not what its manifest says; the text is meant for the operator."""


class CopiedRecord(NamedTuple):
    """One record as it lay on its topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Written):
    """The offsets of one partition: those from `first` on, and before `end`."""

    first: int
    end: int


class Copied(_Written):
    """One topic in a backup; `records` are fewer than offsets where compaction removed some."""

    topic: str
    file: str
    sha256: str
    size_bytes: int
    records: int
    partitions: dict[int, Span]


class Manifest(_Written):
    """What a backup holds, and what a restore must find: where the topic stood that tells of erasures."""

    version: Literal[1] = 1
    taken_at: AwareDatetime
    topics: tuple[Copied, ...]
    erasures: dict[int, Span]

    def of(self, topic: str) -> Copied:
        """The copy of a topic; raises BrokenBackup."""
        for one in self.topics:
            if one.topic == topic:
                return one
        raise BrokenBackup(f"it has no copy of {topic}")


class Backup(NamedTuple):
    """One backup: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def records(self, topic: str) -> Iterator[CopiedRecord]:
        """The records of a topic, those of each partition in their order; raises BrokenBackup."""
        path = self.folder / self.manifest.of(topic).file
        try:
            with gzip.open(path, "rb") as lines:
                for line in lines:
                    partition, offset, timestamp_ms, key, value, headers = from_json(line)
                    yield CopiedRecord(
                        partition,
                        offset,
                        timestamp_ms,
                        _bytes(key),
                        _bytes(value),
                        tuple((name, _bytes(text)) for name, text in headers),
                    )
        except (OSError, EOFError, ValueError, TypeError, AttributeError) as error:
            raise BrokenBackup(f"{path} cannot be read: {type(error).__name__}") from error


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def problems(backup: Backup) -> list[str]:
    """What of a backup is not as its manifest says, a sentence each; reads all of it, and blocks."""
    found = []
    for copied in backup.manifest.topics:
        path = backup.folder / copied.file
        try:
            with path.open("rb") as file:
                sha256 = file_digest(file, "sha256").hexdigest()
            if (sha256, path.stat().st_size) != (copied.sha256, copied.size_bytes):
                found.append(f"{path} is not the file that was written")
                continue
            _read_through(backup, copied)
        except OSError as error:
            found.append(f"{path} cannot be read: {type(error).__name__}")
        except BrokenBackup as broken:
            found.append(str(broken))
    return found


def _read_through(backup: Backup, copied: Copied) -> None:
    """Read every record of a topic; raises BrokenBackup if one is out of place or their number is another."""
    count, behind = 0, {number: span.first for number, span in copied.partitions.items()}
    for record in backup.records(copied.topic):
        place = f"{copied.topic}/{record.partition}/{record.offset}"
        span = copied.partitions.get(record.partition)
        if span is None or not behind[record.partition] <= record.offset < span.end:
            raise BrokenBackup(f"{backup.folder / copied.file}: {place} is out of place")
        behind[record.partition] = record.offset + 1
        count += 1
    if count != copied.records:
        raise BrokenBackup(
            f"{backup.folder / copied.file} has {count} records, not {copied.records}"
        )


def backups(folder: Path) -> list[Backup]:
    """All backups in a folder, the oldest first; raises BrokenBackup for a manifest that cannot be read."""
    if not folder.is_dir():
        return []
    names = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(names) > BACKUPS_MAX:
        raise BrokenBackup(f"{folder} has more than {BACKUPS_MAX} entries")
    return [_read(path) for path in names if (path / MANIFEST).exists()]


def named(folder: Path, name: str | None) -> Backup:
    """The backup of this name, or the newest; raises BrokenBackup."""
    if name is not None:
        return _read(folder / name)
    found = backups(folder)
    if not found:
        raise BrokenBackup(f"there is no backup in {folder}")
    return found[-1]


def _read(folder: Path) -> Backup:
    path = folder / MANIFEST
    try:
        return Backup(folder, Manifest.model_validate_json(path.read_bytes()))
    except (OSError, ValidationError) as error:
        raise BrokenBackup(
            f"{path} cannot be read: {type(error).__name__}. If somebody else's file or a newer version's"
            " is there, take it away"
        ) from error


class Writing:
    """A backup that is being written."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.path = folder / f"{UNFINISHED}{name}"
        self.path.mkdir(mode=0o700)

    def topic(
        self, topic: str, partitions: Mapping[int, Span], records: Iterable[CopiedRecord]
    ) -> Copied:
        """Write the records of a topic; returns when they are on the disk."""
        path, count = self.path / f"{topic}.gz", 0
        with open(path, "xb", opener=_private) as file:
            # No time in it, so that equal records are equal bytes.
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                for one in records:
                    headers = [(name, _text(value)) for name, value in one.headers]
                    line = (*one[:3], _text(one.key), _text(one.value), headers)
                    packed.write(to_json(line) + b"\n")
                    count += 1
            file.flush()
            os.fsync(file.fileno())
        with path.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
        return Copied(
            topic=topic,
            file=path.name,
            sha256=sha256,
            size_bytes=path.stat().st_size,
            records=count,
            partitions=dict(partitions),
        )

    def finish(self, manifest: Manifest) -> Backup:
        """Make it a backup, at once and whole."""
        with open(self.path / MANIFEST, "xb", opener=_private) as file:
            file.write(manifest.model_dump_json(indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _on_disk(self.path)
        done = self.path.rename(self._folder / self._name)
        _on_disk(self._folder)
        return Backup(done, manifest)


def _private(path: str, flags: int) -> int:
    """Open a file that is for its owner alone."""
    return os.open(path, flags, 0o600)


def _on_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one who writes to a folder of backups, without what others left unfinished.

    Makes the folder if it is missing. Raises BrokenBackup while somebody else writes to it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / ".lock", "ab", opener=_private) as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise BrokenBackup(f"another backup is being written to {folder}") from error
        _sweep(folder)
        try:
            yield
        finally:
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove what was not finished."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left)


def prune(folder: Path, now: datetime, *, keep: int, keep_for: timedelta) -> list[str]:
    """Delete backups, all but the newest `keep`, and those older than `keep_for`; returns their names.

    The newest stays in any case.
    """
    gone = [
        one
        for behind, one in enumerate(reversed(backups(folder)))
        if behind and (behind >= keep or one.manifest.taken_at < now - keep_for)
    ]
    for one in gone:
        unfinished = one.folder.with_name(f"{UNFINISHED}{one.name}")
        one.folder.rename(unfinished)  # whole, or not at all
        shutil.rmtree(unfinished)
    return [one.name for one in gone]
