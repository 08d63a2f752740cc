"""Publishes a file of complaints, and remembers how far it came, so that it goes on there."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from services.complaints.intake.files import (
    Raised,
    Row,
    Unreadable,
    csv_rows,
    event_of,
    header_of,
    json_rows,
    lines_of,
)

#: Rows in memory at once: all are confirmed before the position behind them is written.
ROWS_AT_ONCE = 500
#: By how many of its first bytes, and of those before the position, a file is recognised: the position in another
#: one is not taken, also if both begin with the same header and row.
RECOGNISED_BYTES = 256
#: Publishes events with their keys and returns when all are confirmed; it blocks.
Publish = Callable[[Sequence[tuple[str, bytes]]], None]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was published: the offset and the line behind the last row, and what became of all rows."""

    #: Hash of how the file begins, and of how many bytes.
    begins: str = ""
    begins_bytes: int = 0
    offset: int = 0
    line: int = 0
    published: int = 0
    rejected: int = 0
    #: Length of the file of rejected rows, in bytes.
    rejects_bytes: int = 0
    #: Hash of the bytes before the offset; earlier builds did not keep it.
    before: str | None = None


class Names:
    """Which row of a file had a source and id first, and a hash of what it says: on disk, because a file may be long.

    Names are kept as hashes. Blocks; raises sqlite3.Error, and OSError where the disk does.
    """

    def __init__(self, path: Path | None, *, begins: bool) -> None:
        """Open them beside a file (None: a temporary file of their own); `begins` forgets those of an earlier run."""
        self._rows = sqlite3.connect("" if path is None else path)
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS rows (name BLOB PRIMARY KEY, content BLOB, line INT) WITHOUT ROWID"
        )
        if begins:
            self._rows.execute("DELETE FROM rows")

    def other(self, raised: Raised, line: int) -> int | None:
        """The line of the first row of this name if it says something else; None if it says the same, or is this one."""
        name, content = (
            blake2b(json.dumps(one).encode(), digest_size=16).digest()
            for one in (raised.name, raised.content)
        )
        self._rows.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", (name, content, line))
        found = self._rows.execute("SELECT content, line FROM rows WHERE name = ?", (name,))
        first_content, first_line = found.fetchone()
        return None if content == first_content or line == first_line else int(first_line)

    def keep(self) -> None:
        """Write what was added to disk."""
        self._rows.commit()

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()


def position_in(file: BinaryIO, kept: Path, *, again: bool) -> Position:
    """The position that was kept of this file, or its beginning; the file is at its beginning before and after.

    Blocks; raises OSError, and ValueError for a position that cannot be read or lies behind the file's end.
    """
    first = file.read(RECOGNISED_BYTES)
    file.seek(0)
    new = Position(_hash(first), len(first))
    if again or not kept.exists():
        return new
    try:
        found = Position(**json.loads(kept.read_text(encoding="utf-8")))
    except (TypeError, json.JSONDecodeError):
        raise ValueError(f"{kept} holds no position: delete it, or begin again") from None
    # What grew meanwhile is the same file.
    if _hash(first[: found.begins_bytes]) != found.begins:
        return new
    if (size := file.seek(0, os.SEEK_END)) < found.offset:
        msg = f"it has {size} bytes, and {found.offset} of it were read before: it was cut, so begin again (--again)"
        raise ValueError(msg)
    before = _before(file, found.offset)
    file.seek(0)
    return found if found.before in (None, before) else new


def _before(file: BinaryIO, offset: int) -> str:
    """Hash of the bytes before an offset; the file is where it was. Blocks; raises OSError."""
    at, begins = file.tell(), max(0, offset - RECOGNISED_BYTES)
    file.seek(begins)
    found = _hash(file.read(offset - begins))
    file.seek(at)
    return found


def ends_unfinished(file: BinaryIO) -> bool:
    """Whether the last line of a regular file has no end. Moves the file's position. Blocks; raises OSError."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _hash(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()


def rows_of(
    file: BinaryIO, position: Position, *, as_csv: bool, whole_only: bool = True
) -> Iterator[Row]:
    """The rows of a file behind a position; raises NoTable. Blocks. `whole_only` as in `lines_of`."""
    lines = lines_of(file, whole_only=whole_only)
    header, separator = header_of(lines) if as_csv else ([], "")
    number = position.line
    if position.offset:
        file.seek(position.offset)
        lines = lines_of(file, number, position.offset, whole_only=whole_only)
    return csv_rows(lines, header, separator, number or 1) if as_csv else json_rows(lines)


def publish_rows(
    rows: Iterator[Row],
    file: BinaryIO,
    position: Position,
    publish: Publish,
    rejects: Path,
    kept: Path | None,
    names: Names,
    *,
    site: str | None,
    source: str,
) -> Iterator[Position]:
    """Publish rows of a file, some at a time, and write those that are no complaint beside; yields how far it came.

    A position is `kept` of a file that can be sought in. Rows whose position was not kept are published again, under
    the same ids. Of rows of one name that say different things the first is published. Blocks; raises OSError,
    sqlite3.Error and what `publish` raises.
    """
    with rejects.open("ab") as beside:
        # Rows that were rejected behind the position come again; the file is shorter if somebody took it away.
        beside.seek(beside.truncate(min(position.rejects_bytes, beside.tell())))
        while some := list(islice(rows, ROWS_AT_ONCE)):
            events, wrong = _sorted(some, names, site, source)
            names.keep()  # before they are published, so that a row that comes again is the first of its name again
            publish(events)
            beside.writelines(json.dumps(one).encode() + b"\n" for one in wrong)
            beside.flush()
            position = replace(
                position,
                offset=some[-1].ends,
                line=some[-1].last,
                published=position.published + len(events),
                rejected=position.rejected + len(wrong),
                rejects_bytes=beside.tell(),
            )
            if kept is not None:
                position = replace(position, before=_before(file, position.offset))
                keep(position, kept)
            yield position


def _sorted(
    rows: Sequence[Row], names: Names, site: str | None, source: str
) -> tuple[list[tuple[str, bytes]], list[dict[str, object]]]:
    """The events of the rows that are complaints, and for each other its line and why; no value of it."""
    events, wrong = [], []
    now = datetime.now(UTC)
    for row in rows:
        try:
            if isinstance(row.fields, Unreadable):
                raise row.fields
            raised = event_of(row.fields, site=site, source=source, now=now)
            if (first := names.other(raised, row.line)) is not None:
                raise Unreadable(
                    f"/id: line {first} has this id too and says something else; that line counts"
                )
            events.append((raised.site, raised.event))
        except Unreadable as unreadable:
            wrong.append({"line": row.line, "why": unreadable.why})
    return events, wrong


def keep(position: Position, path: Path) -> None:
    """Write a position, whole or not at all. Blocks; raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(asdict(position)), encoding="utf-8")
    os.replace(beside, path)
