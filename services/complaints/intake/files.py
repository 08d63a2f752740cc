"""Reads a file of complaints row by row, and makes the events of them that another system would publish.

A row of JSON Lines has the fields of `recovery.complaint.raised.v1`, or is a whole CloudEvent of it. A CSV file names
the fields in its first line, those of the contact as `contact.email`. The same row always gives the same event.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from services.complaints.intake.rules import STAY_AHEAD_MAX, plausible, reserved
from shared.contracts.event import Outside, format_time
from shared.contracts.intake import ComplaintRaised, Contact, Told
from shared.runtime.http.face import detail_of

#: The intake takes no larger event; what is longer is passed over without being kept.
LINE_BYTES_MAX = 256 * 1024
#: What a row may have beside the fields of a complaint.
ID = "id"
COLUMNS = frozenset(
    (ID, "channel", *Told.model_fields, *(f"contact.{part}" for part in Contact.model_fields))
) - {"contact"}
_OUTSIDE: TypeAdapter[str] = TypeAdapter(Outside)
#: Why a row is refused, at most so many of its fields.
REASONS_MAX = 5


class NoTable(Exception):
    """A CSV file whose columns are not known; the text says which."""


class Unreadable(Exception):
    """A row that is no complaint; `why` has a sentence for each part that is wrong, and no value."""

    def __init__(self, *why: str) -> None:
        super().__init__("; ".join(why))
        self.why = why


class Raised(NamedTuple):
    """The event of a row as structured JSON, its site, and what it is named and says: its source, its id, its data."""

    site: str
    event: bytes
    name: tuple[str, str]
    content: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: its number from 1, the offset of the next one, and its text; None for one that is too long."""

    number: int
    ends: int
    text: bytes | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its first and last line, the offset behind it, and its fields, or why it has none."""

    line: int
    last: int
    ends: int
    fields: Mapping[str, Any] | Unreadable


def lines_of(
    file: BinaryIO, number: int = 0, offset: int = 0, *, whole_only: bool = False
) -> Iterator[Line]:
    """The lines of a file that is at this offset, behind this many lines. Blocks; keeps one line in memory.

    `whole_only`: a last line without its end is left, because somebody may still be writing it.
    """
    while text := file.readline(LINE_BYTES_MAX + 1):
        number, offset, whole = number + 1, offset + len(text), len(text) <= LINE_BYTES_MAX
        while not whole and not text.endswith(b"\n") and (text := file.readline(LINE_BYTES_MAX)):
            offset += len(text)
        if whole_only and not text.endswith(b"\n"):
            return
        yield Line(number, offset, text if whole else None)


def json_rows(lines: Iterable[Line]) -> Iterator[Row]:
    """The rows of JSON Lines."""
    for line in lines:
        if line.text is None:
            too_long = Unreadable(f"longer than {LINE_BYTES_MAX} bytes")
            yield Row(line.number, line.number, line.ends, too_long)
        elif line.text.strip():
            yield Row(line.number, line.number, line.ends, _object(line.text))


def _object(text: bytes) -> Mapping[str, Any] | Unreadable:
    try:
        found = from_json(text.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError:
        return Unreadable("not JSON in UTF-8")
    return found if isinstance(found, dict) else Unreadable("not a JSON object")


class _Texts:
    """The lines of a CSV file as its reader takes them; goes on behind a line that cannot be read."""

    def __init__(self, lines: Iterator[Line], number: int) -> None:
        self._lines = lines
        self.number, self.ends = number, 0

    def __iter__(self) -> _Texts:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number, self.ends = line.number, line.ends
        if line.text is None:
            raise csv.Error(f"longer than {LINE_BYTES_MAX} bytes")
        try:
            return line.text.decode("utf-8")
        except UnicodeDecodeError:
            raise csv.Error("not UTF-8") from None


def header_of(lines: Iterator[Line]) -> tuple[list[str], str]:
    """The columns that the first line names, and what separates them; raises NoTable."""
    first = next(lines, None)
    try:
        text = (b"" if first is None else first.text or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoTable("the first line is not UTF-8") from None
    separator = max(",;\t", key=text.count)
    names = [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
    if "text" not in names or (unknown := set(names) - COLUMNS) or len(set(names)) < len(names):
        told = ", ".join(sorted(COLUMNS))
        what = f"not known: {', '.join(sorted(unknown))}" if "text" in names else "without text"
        raise NoTable(f"the columns in the first line are {what}; there may be {told}, each once")
    return names, separator


def csv_rows(
    lines: Iterator[Line], header: list[str], separator: str, number: int = 1
) -> Iterator[Row]:
    """The rows of a CSV file behind this many lines; a row may span lines, and an empty field is none."""
    texts = _Texts(lines, number)
    reader = csv.reader(texts, delimiter=separator)
    while True:
        begins = texts.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(begins, texts.number, texts.ends, Unreadable(f"not CSV: {error}"))
            continue
        if len(cells) == len(header):
            fields = _nested(zip(header, cells, strict=True))
            yield Row(begins, texts.number, texts.ends, fields)
        elif cells:
            wrong = Unreadable(f"{len(cells)} fields, the first line has {len(header)}")
            yield Row(begins, texts.number, texts.ends, wrong)


def _nested(cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The fields of a row; `contact.email` is a field of the contact."""
    found: dict[str, Any] = {}
    for name, text in cells:
        outer, _, inner = name.partition(".")
        if text and inner:
            found.setdefault(outer, {})[inner] = text
        elif text:
            found[name] = text
    return found


def event_of(fields: Mapping[str, Any], *, site: str | None, source: str, now: datetime) -> Raised:
    """The event of a row; raises Unreadable.

    `site` and `source` are those of rows that name none. A row without an id is named by its content, so that equal
    rows are one complaint.
    """
    told = dict(fields)
    named: Mapping[str, Any] = {"source": source}
    if "specversion" in fields:
        if fields.get("type") != ComplaintRaised.TYPE or not isinstance(fields.get("data"), dict):
            raise Unreadable(f"an event, and not of type {ComplaintRaised.TYPE} with data")
        told, named = dict(fields["data"]), {name: fields.get(name) for name in (ID, "source")}
    elif ID in told:
        named = {**named, ID: told.pop(ID)}
    if site is not None:
        told.setdefault("site", site)
    try:
        raised = ComplaintRaised.model_validate(told, extra="forbid")
    except ValidationError as error:
        raise Unreadable(*map(_sentence, error.errors()[:REASONS_MAX])) from None
    given = {name: _named(name, text) for name, text in named.items()}
    for name, moment, ahead in (
        ("occurred_at", raised.occurred_at, {}),
        ("stay_ends_at", raised.stay_ends_at, {"ahead": STAY_AHEAD_MAX}),
    ):
        if not plausible(moment, now, **ahead):
            raise Unreadable(f"/{name}: too far in the past or in the future")
    content = raised.model_dump_json(exclude_defaults=True)
    row_source, row_id = given["source"], given.get(ID) or _name(content)
    event = {
        "specversion": "1.0",
        "type": ComplaintRaised.TYPE,
        "source": row_source,
        "id": row_id,
        "time": format_time(now),
        "data": from_json(content),
    }
    return Raised(raised.site, to_json(event), (row_source, row_id), content)


def _named(field: str, text: object) -> str:
    """The source or the id of a row; raises Unreadable."""
    try:
        found = _OUTSIDE.validate_python(text)
    except ValidationError as error:
        raise Unreadable(f"/{field}: {detail_of(error.errors()[0])}") from None
    if field == "source" and reserved(found):
        raise Unreadable("/source: complaints gives it itself")
    return found


def checked_source(source: str) -> str:
    """A source that rows may have; raises ValueError for another one."""
    try:
        return _named("source", source)
    except Unreadable as unreadable:
        raise ValueError(f"--source: {unreadable.why[0].removeprefix('/source: ')}") from None


def _sentence(wrong: Mapping[str, Any]) -> str:
    """Where a row is wrong, and what would be taken there; never what it has."""
    return f"/{'/'.join(map(str, wrong['loc']))}: {detail_of(wrong)}"


def _name(content: str) -> str:
    return f"row-{blake2b(content.encode(), digest_size=16).hexdigest()}"
