"""The record in words: one record as a line, and all records about something as its story."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import from_json

from shared.audit.verify import printable
from shared.contracts.audit import RECORD_AT

#: Records of one story at most; a check or complaint has some dozens.
STORY_MAX = 1_000
#: Details that name what a fact is about.
ABOUT = ("check_id", "complaint_id", "offer_id", "incident_id", "redemption_id", "about")
#: Of these, the ones whose own records belong to the same story. An incident would bring in other customers'.
TOGETHER = ("check_id", "complaint_id", "offer_id")


def record_of(data: bytes) -> dict[str, Any]:
    """The record in what `hashed` made, as a dictionary."""
    found: dict[str, Any] = from_json(data[RECORD_AT:-1])
    return found


def concerns(record: dict[str, Any], name: str) -> bool:
    """Whether a record is about a check, a complaint or another thing of this id."""
    details = record.get("details", {})
    return record.get("key") == name or any(details.get(about) == name for about in ABOUT)


def story(read: Callable[[], Iterable[bytes]], name: str) -> Sequence[dict[str, Any]]:
    """The records about something, and about the complaint, checks and offers that belong to it, by their time.

    `read` is called twice, because what a record leads to may lie in a partition that was read before. Raises
    ValueError if there are more than `STORY_MAX` records.
    """
    names = {name}
    for record in _about(read(), [name]):
        details = record.get("details", {})
        names.update(details[about] for about in TOGETHER if about in details)
    records = []
    for record in _about(read(), sorted(names)):
        records.append(record)
        if len(records) > STORY_MAX:
            raise ValueError(f"more than {STORY_MAX} records are about {name}")
    return sorted(records, key=lambda one: (one["time"], one.get("sequence", 0)))


def _about(found: Iterable[bytes], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    sought = [name.encode() for name in names]
    for data in found:
        if any(name in data for name in sought):
            record = record_of(data)
            if any(concerns(record, name) for name in names):
                yield record


def sentence(record: dict[str, Any]) -> str:
    """A record as a sentence: when, what, by whom, where, how much, why."""
    if "missing" in record:
        between = f"{record['after']} and {record['before']}"
        return f"{record['chain']}: {record['missing']} offsets are missing between {between}"
    _, thing, happened, *_ = f"{record['what']}...".split(".")
    details = record.get("details", {})
    parts = [f"{record['time'][:19].replace('T', ' ')}  {thing} {happened}".rstrip()]
    parts += [f"({record['key']})"]
    parts += [
        str(details[name]) for name in ("item", "signal", "helped", "outcome") if name in details
    ]
    if "explain_by" in details:
        parts.append("by a stretch")
    if "by" in details:  # somebody else than the employee whom it is about
        parts += [f"by {details['by']}", f"of {record['who']}" if "who" in record else ""]
    elif "who" in record:
        parts.append(f"by {record['who']}")
    parts += [f"about {person}" for person in details.get("persons", ())]
    if "site" in record:
        parts.append(f"at {record['site']}")
    if why := record.get("why"):
        parts.append(f"because of {why}")
    amounts = [
        f"{name.removesuffix('_minor')} {_amount(value, record.get('currency', ''))}"
        for name, value in record.get("amounts", {}).items()
    ]
    text = " ".join(filter(None, parts))
    whole = f"{text}: {', '.join(amounts)}" if amounts else text
    # A type that nobody knows may hold anything, and a terminal obeys some of it.
    return printable(whole)


def _amount(minor: int, currency: str) -> str:
    return f"{minor} minor units {currency}".rstrip()
