"""Reads any file of complaints row by row and makes events of it, as another system would publish them.

Columns are guessed by name, and formats are taken leniently. A line that cannot be read is reported
with its number and reason, never skipped silently.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from shared.contracts.event import format_time
from shared.contracts.intake import Channel, ComplaintRaised

#: Longer than any field in review collections; it bounds the memory that an unclosed quote can use.
FIELD_BYTES_MAX = 16 << 20
#: Longer ids (a URL, a whole title) are replaced by their hash; the contract ends at 256.
_ID_CHARS_MAX = 200
#: A language tag is at most this long in the contract.
_LANGUAGE_CHARS_MAX = 35

#: Best guess first. A column matches if its name is the guess, else ends with it, else contains it as a word.
_TEXT_NAMES = """text content body message comment comments description narrative complaint
    review feedback tweet"""
_DATE_NAMES = "occurred date datetime time timestamp created published"
_LANGUAGE_NAMES = "language lang locale"
_ID_NAMES = "id uuid"

#: Date formats of exports besides ISO 8601; "21st August" comes here without its ordinal.
_DATE_FORMATS = (
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
)


#: The oldest date of a moved row; the intake refuses more than three years.
OLDEST = timedelta(days=2 * 365)


class InputError(Exception):
    """The file cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One complaint of a file; `occurred_at` is RFC 3339, `position` counts rows from 1."""

    text: str
    occurred_at: str | None
    language: str | None
    id: str
    position: int
    source: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that gives no complaint; `line` counts from 1 as an editor does."""

    line: int
    reason: str


def to_stderr(unreadable: Unreadable) -> None:
    """Report a line to whoever started the program."""
    print(f"line {unreadable.line}: {unreadable.reason}", file=sys.stderr)


def rows(
    path: Path,
    *,
    text_column: str | None = None,
    date_column: str | None = None,
    language_column: str | None = None,
    id_column: str | None = None,
    report: Callable[[Unreadable], None] = to_stderr,
) -> Iterator[Row]:
    """Read the complaints of a CSV or JSON Lines file, in order, one at a time; blocks on the disk.

    Columns that are not named are guessed from their names, without regard to case. Lines that
    cannot be read go to `report`. Raises InputError where nothing can be read at all: no such file,
    another format, no column of that name, or no guess for the text.
    """
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        msg = f"{path.name}: only {', '.join(readers)} files are read"
        raise InputError(msg)
    if not path.is_file():
        msg = f"{path}: no such file"
        raise InputError(msg)

    # Two exports are often both called reviews.csv, so the folder is part of the source.
    source = "/files/" + quote("/".join(path.resolve().parts[-2:]))[:_ID_CHARS_MAX]

    def read() -> Iterator[Row]:
        columns: list[str | None] = []
        for position, (line, record) in enumerate(reader(path, report), start=1):
            if not columns:
                columns = [
                    _column(record, text_column, _TEXT_NAMES, wanted="text"),
                    _column(record, date_column, _DATE_NAMES),
                    _column(record, language_column, _LANGUAGE_NAMES),
                    _column(record, id_column, _ID_NAMES),
                ]
            text, date, language, given_id = (_value(record, column) for column in columns)
            if text is None:
                report(Unreadable(line, f"nothing in the column {columns[0]!r}"))
                continue
            yield Row(
                text=text,
                occurred_at=_moment(date) if date else None,
                language=language if language and len(language) <= _LANGUAGE_CHARS_MAX else None,
                id=_id(given_id, position, text),
                position=position,
                source=source,
            )

    return read()


def as_event(row: Row, *, site: str, time: datetime) -> bytes:
    """One row as a CloudEvent in structured JSON; `time` is when it is published.

    The customer is made from the row's position, so that a file gives the same guests every time.
    """
    guest = f"guest-{row.position}"
    data: dict[str, object] = {
        "site": site,
        "customer": guest,
        "channel": Channel.PARTNER.value,
        "text": row.text,
        "contact": {"email": f"{guest}@example.com"},
    }
    if row.language:
        data["language"] = row.language
    if row.occurred_at:
        data["occurred_at"] = row.occurred_at
    return json.dumps(
        {
            "specversion": "1.0",
            "id": row.id,
            "source": row.source,
            "type": ComplaintRaised.TYPE,
            "time": format_time(time),
            "datacontenttype": "application/json",
            "data": data,
        }
    ).encode()


def shifted(found: Sequence[Row], now: datetime) -> tuple[list[Row], timedelta]:
    """The rows with their dates moved so that the newest is now, and by how much they were moved.

    A date longer ago than OLDEST becomes OLDEST. Rows without a date stay without.
    """
    moments = [datetime.fromisoformat(row.occurred_at) for row in found if row.occurred_at]
    newest = max(moments, default=now)

    def moved(row: Row) -> Row:
        if row.occurred_at is None:
            return row
        age = min(newest - datetime.fromisoformat(row.occurred_at), OLDEST)
        return replace(row, occurred_at=format_time(now - age))

    return [moved(row) for row in found], now - newest


def _csv(
    path: Path, report: Callable[[Unreadable], None]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Line number and named fields of each record; a record may span lines."""
    csv.field_size_limit(FIELD_BYTES_MAX)
    # A byte that is not UTF-8 becomes a surrogate here and a report below, not the end of the file.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        first = lines.readline()
        lines.seek(0)
        delimiter = max(",;\t", key=lambda d: len(next(csv.reader([first], delimiter=d), [])))
        reader = csv.reader(lines, delimiter=delimiter)
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            msg = f"{path.name}: the first line has no column names"
            raise InputError(msg)
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                report(Unreadable(start, f"not CSV: {error}"))
                continue
            if not fields:
                continue
            if len(fields) != len(header):
                report(Unreadable(start, f"{len(fields)} fields, the header has {len(header)}"))
            elif not all(_is_unicode(field) for field in fields):
                report(Unreadable(start, "not UTF-8"))
            else:
                yield start, dict(zip(header, fields, strict=True))


def _json_lines(
    path: Path, report: Callable[[Unreadable], None]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Line number and fields of each object; those of a CloudEvent's `data` count as its own."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                report(Unreadable(number, "not UTF-8"))
                continue
            except (ValueError, RecursionError) as error:
                report(Unreadable(number, f"not JSON: {error}"))
                continue
            if not isinstance(record, dict):
                report(Unreadable(number, "not a JSON object"))
                continue
            data = record.get("data")
            yield number, {**record, **data} if isinstance(data, dict) else record


def _column(record: Iterable[str], named: str | None, names: str, wanted: str = "") -> str | None:
    """Find the column that was named, or guess; raises InputError if `wanted` is not found."""
    columns = list(record)
    if named is not None:
        for column in columns:
            if column.casefold() == named.casefold():
                return column
    else:
        words = {column: re.findall(r"[^\W_]+", column.casefold()) for column in columns}
        for fits in (_is_called, _ends_with, _contains):
            for name in names.split():
                for column in columns:
                    if fits(words[column], name):
                        return column
    if named is None and not wanted:
        return None
    seen = ", ".join(repr(column) for column in columns)
    msg = f"no column {named!r}" if named else f"no column looks like the {wanted}; name one"
    raise InputError(f"{msg}; there are {seen}")


def _is_called(words: list[str], name: str) -> bool:
    return words == [name]


def _ends_with(words: list[str], name: str) -> bool:
    return words[-1:] == [name]


def _contains(words: list[str], name: str) -> bool:
    return name in words


def _value(record: Mapping[str, object], column: str | None) -> str | None:
    """The value in a column as text; None if it is empty."""
    value = record.get(column) if column is not None else None
    return None if value is None else (str(value).strip() or None)


def _id(given: str | None, position: int, text: str) -> str:
    """The row's id in the file, else one from position and content; the same file gives the same ids."""
    if given is not None and len(given) <= _ID_CHARS_MAX:
        return given
    content = (given or f"{position}\x1f{text}").encode(errors="surrogatepass")
    return f"{position}-{blake2b(content, digest_size=8).hexdigest()}"


def _moment(written: str) -> str | None:
    """Write a date as RFC 3339; without a zone it is UTC, and None if it is no date we know."""
    iso = re.sub(r" (?=[+-]\d\d:?\d\d$)", "", written.replace(" UTC", "Z"))
    with suppress(ValueError, OverflowError):
        return _in_utc(datetime.fromisoformat(iso))
    plain = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", written)
    for form in _DATE_FORMATS:
        with suppress(ValueError, OverflowError):
            return _in_utc(datetime.strptime(plain, form).replace(tzinfo=UTC))
    return None


def _in_utc(moment: datetime) -> str:
    """Write a time as RFC 3339, one without a zone as UTC."""
    return format_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _is_unicode(text: str) -> bool:
    """Whether a text that was read with surrogates for bad bytes has none."""
    return not re.search("[\ud800-\udfff]", text)
