"""Where a rebuild finds a service's state: topics, their records, and what of them concerns it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pydantic_core import from_json, to_json

from shared.contracts.catalogue import (
    FACTS,
    OTHER_SYSTEMS,
    TABLE,
    dead_letters,
    produced,
    subscriptions,
    topics,
)
from shared.contracts.event import sequence_of
from shared.kernel import Domain
from shared.runtime.kafka.inbox import Record

#: The envelope as `encode` writes it. Anything else is read the long way.
HEAD = re.compile(
    rb'\{"specversion":"1\.0","id":"[^"\\]*","source":"([^"\\]*)","type":"([^"\\]*)",'
    rb'"time":"([^"\\]*)","subject":"[^"\\]*","datacontenttype":"application/json",'
    rb'"correlationid":"[^"\\]*","causationid":"[^"\\]*","cause":"([^"\\]*)",'
    rb'(?:"traceparent":"[^"\\]*",)?"data":'
)
SEQUENCE = b',"sequence":"'
TAIL = len(SEQUENCE) + 22


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Log(Protocol):
    """The topics as a rebuild reads them. Every method waits for the broker."""

    async def spans(self, names: Iterable[str]) -> dict[Place, tuple[int, int]]:
        """First offset and end of every partition of the topics, as of now."""
        ...

    async def committed(self) -> Mapping[Place, int]:
        """The next offset of the service's group, where it has one."""
        ...

    def read(self, place: Place, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """The records with start ≤ offset < stop, some at a time; several places at once."""
        ...


class Refused(Exception):
    """A rebuild may not or cannot be done; the text says why and is meant for the operator."""


class RawEvent(NamedTuple):
    """The envelope of one record, its data unread."""

    source: bytes
    type: bytes
    time: bytes
    cause: bytes
    number: int
    data: bytes


def event_of(record: Record) -> RawEvent | None:
    """The event in a record, or None for what is none: a tombstone, or what nobody could settle."""
    value = record.value
    if not value:
        return None
    head = HEAD.match(value)
    if head is None:
        return _other_form(value)
    source, kind, time, cause = head.groups()
    if value[-TAIL : -TAIL + len(SEQUENCE)] == SEQUENCE:
        number = value[-22:-2]
        if not number.isdigit():
            return None
        return RawEvent(source, kind, time, cause, int(number), value[head.end() : -TAIL])
    return RawEvent(source, kind, time, cause, -1, value[head.end() : -1])


def _other_form(value: bytes) -> RawEvent | None:
    try:
        body = from_json(value)
        source, kind = (str(body[name]).encode() for name in ("source", "type"))
        time, cause = (str(body.get(name) or "").encode() for name in ("time", "cause"))
        sequence = body.get("sequence")
        number = -1 if sequence is None else sequence_of(str(sequence))
        return RawEvent(source, kind, time, cause, number, to_json(body["data"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Sources:
    """What a service's state is made of, as the catalogue and its rules have it."""

    def __init__(self, domain: Domain) -> None:
        owner = domain.owner
        keep_latest = {topic.name for topic in topics() if topic.cleanup == "compact"}
        self.domain = domain
        self.name = f"/{owner}".encode()
        self.own = {fact.TOPIC for fact in produced(owner)}
        self.consumed = {
            topic: {fact.TYPE.encode() for fact in facts}
            for topic, facts in subscriptions(owner).items()
        }
        self.dead_letters = dead_letters(owner)
        #: Other systems number nothing of ours, and what they tell changes no document by itself.
        self.strict = {row.fact.TOPIC for row in TABLE if row.producer == OTHER_SYSTEMS}
        self.compacted = (self.own | set(self.consumed)) & keep_latest
        self.streams = set(self.consumed) - keep_latest - self.strict
        self.models = {fact.TYPE.encode(): fact for fact in FACTS.values()}
