"""Records as they come from topics: a fact in its event, at an offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from shared.kernel import Fact
from shared.runtime.engine.store import Line, Store
from shared.runtime.kafka.inbox import Record

#: More lines than any test leaves in an outbox.
LINES_MAX = 100_000


def event(fact: Fact, event_id: str, **attributes: Any) -> dict[str, Any]:
    """A CloudEvent around a fact, as a dictionary to change before it is sent."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/test",
        "type": fact.TYPE,
        "time": "2026-06-03T13:59:00Z",
        "datacontenttype": "application/json",
        "data": fact.model_dump(mode="json", exclude_none=True),
        **attributes,
    }


def record(fact: Fact, offset: int, event_id: str | None = None, **attributes: Any) -> Record:
    """A record in structured mode; its id follows from the offset unless one is given."""
    return Record(offset, to_json(event(fact, event_id or f"event-{offset}", **attributes)))


async def outbox(store: Store) -> list[Line]:
    """All lines in the outbox, oldest first."""
    _, lines = await store.pending(LINES_MAX)
    return [Line.decode(line) for line in lines]


async def published(store: Store, topic: str, first_offset: int = 0) -> Sequence[Record]:
    """The outbox's facts of one topic as records, with `sequence` as the relay adds it."""
    first, lines = await store.pending(LINES_MAX)
    found: list[Record] = []
    for number, encoded in enumerate(lines, start=first):
        line = Line.decode(encoded)
        if line.topic == topic and not line.headers:
            value = line.value[:-1] + b',"sequence":"%020d"}' % number
            found.append(Record(first_offset + len(found), value))
    return found
