"""The record in words: one record as a line, and all records about something as its story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import from_json

from shared.audit.verify import printable
from shared.contracts.audit import RECORD_AT

#: Records of one story at most; a check or complaint has some dozens.
STORY_MAX = 1_000
#: Details that name what a fact is about.
ABOUT = ("check_id", "complaint_id", "offer_id", "incident_id", "redemption_id", "about")


def record_of(data: bytes) -> dict[str, Any]:
    """The record in what `hashed` made, as a dictionary."""
    found: dict[str, Any] = from_json(data[RECORD_AT:-1])
    return found


def concerns(record: dict[str, Any], name: str) -> bool:
    """Whether a record is about a check, a complaint or another thing of this id."""
    details = record.get("details", {})
    return record.get("key") == name or any(details.get(about) == name for about in ABOUT)


def story(found: Iterable[bytes], name: str) -> Sequence[dict[str, Any]]:
    """The records about something by their time; raises ValueError if there are more than `STORY_MAX`."""
    records = []
    for data in found:
        if name.encode() in data and concerns(record := record_of(data), name):
            records.append(record)
            if len(records) > STORY_MAX:
                raise ValueError(f"more than {STORY_MAX} records are about {name}")
    return sorted(records, key=lambda one: (one["time"], one.get("sequence", 0)))


def sentence(record: dict[str, Any]) -> str:
    """A record as a sentence: when, what, by whom, where, how much, why."""
    if "missing" in record:
        between = f"{record['after']} and {record['before']}"
        return f"{record['chain']}: {record['missing']} offsets are missing between {between}"
    _, thing, happened, *_ = f"{record['what']}...".split(".")
    details = record.get("details", {})
    parts = [f"{record['time'][:19].replace('T', ' ')}  {thing} {happened}".rstrip()]
    parts += [f"({record['key']})"]
    if "item" in details:
        parts.append(f"{details['item']}")
    if "who" in record:
        parts.append(f"by {record['who']}")
    if "site" in record:
        parts.append(f"at {record['site']}")
    if why := record.get("why"):
        parts.append(f"because of {why}")
    amounts = [
        f"{name.removesuffix('_minor')} {_amount(value, record.get('currency', ''))}"
        for name, value in record.get("amounts", {}).items()
    ]
    text = " ".join(parts)
    whole = f"{text}: {', '.join(amounts)}" if amounts else text
    # A type that nobody knows may hold anything, and a terminal obeys some of it.
    return printable(whole)


def _amount(minor: int, currency: str) -> str:
    return f"{minor} minor units {currency}".rstrip()
