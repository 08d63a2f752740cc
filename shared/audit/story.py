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
ABOUT = ("check_id", "complaint_id", "offer_id", "incident_id", "redemption_id", "about", "into")
#: Of these, the ones whose own records belong to the same story. An incident would bring in other customers'.
TOGETHER = ("check_id", "complaint_id", "offer_id")


def record_of(data: bytes) -> dict[str, Any]:
    """The record in what `hashed` made, as a dictionary; raises ValueError where it is none."""
    found = from_json(data[RECORD_AT:-1])
    if not _is_record(found):
        raise ValueError("not a record")
    record: dict[str, Any] = found
    return record


def _is_record(found: Any) -> bool:
    """Whether a value has what a sentence is made of. Whether it is as it was recorded says `verify`."""
    if not isinstance(found, dict):
        return False
    texts = ("chain",) if "missing" in found else ("time", "what", "key")
    maps = (found.get(name, {}) for name in ("amounts", "details"))
    return all(isinstance(found.get(name), str) for name in texts) and all(
        isinstance(one, dict) for one in maps
    )


def concerns(record: dict[str, Any], name: str) -> bool:
    """Whether a record is about a check, a complaint or another thing of this id."""
    details = record.get("details", {})
    return record.get("key") == name or any(details.get(about) == name for about in ABOUT)


def story(read: Callable[[], Iterable[bytes]], name: str) -> Sequence[dict[str, Any]]:
    """The records about something, and about the complaint, checks and offers that belong to it, by their time.

    `read` is called twice, because what a record leads to may lie in a partition that was read before. What is no
    record is left out. Raises ValueError if there are more than `STORY_MAX` records.
    """
    names = {name}
    for record in _about(read(), [name]):
        details = record.get("details", {})
        names.update(str(details[about]) for about in TOGETHER if about in details)
    records = _about(read(), sorted(names))
    return sorted(records, key=lambda one: (one["time"], _number(one.get("sequence"))))


def _about(found: Iterable[bytes], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records about any of these; raises ValueError if they are too many."""
    sought = [name.encode() for name in names]
    count = 0
    for data in found:
        if not any(name in data for name in sought):
            continue
        try:
            record = record_of(data)
        except ValueError:
            continue
        if "time" in record and any(concerns(record, name) for name in names):
            count += 1
            if count > STORY_MAX:
                raise ValueError(f"more than {STORY_MAX} records are about {names[0]}")
            yield record


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def sentence(record: dict[str, Any]) -> str:
    """A record as a sentence: when, what, by whom, where, how much, why."""
    if "missing" in record:
        between = f"{record.get('after')} and {record.get('before')}"
        return printable(
            f"{record['chain']}: {record['missing']} offsets are missing between {between}"
        )
    _, thing, happened, *_ = f"{record['what']}...".split(".")
    details = record.get("details", {})
    parts = [f"{record['time'][:19].replace('T', ' ')}  {thing} {happened}".rstrip()]
    parts += [f"({record['key']})"]
    parts += [
        str(details[name]) for name in ("item", "signal", "helped", "outcome") if name in details
    ]
    if "into" in details:
        parts.append(f"{'from' if happened == 'split' else 'into'} {details['into']}")
    if "explain_by" in details:
        parts.append("by a stretch")
    if "by" in details:  # somebody else than the employee whom it is about
        parts += [f"by {details['by']}", f"of {record['who']}" if "who" in record else ""]
    elif "who" in record:
        parts.append(f"by {record['who']}")
    persons = details.get("persons")
    parts += [f"about {person}" for person in persons] if isinstance(persons, list) else []
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
