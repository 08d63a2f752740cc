"""Reads a service's topic again in the order in which the service decided: in bounded memory, in no group.

The order of one partition is that of its sequences, and sequences count through all partitions. So some
records of each partition are held, and those go on that no other partition has an earlier one for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.watch import READ_BYTES, first_since, groupless_consumer, partitions
from shared.runtime.rebuild.order import in_order
from shared.runtime.rebuild.sources import RawEvent, event_of
from shared.runtime.wires import Broker

#: Records of one partition held at once: with as many partitions as a topic may have, some megabytes.
HELD_MAX = 500
#: How long Kafka may take to say where the topic begins and ends.
ANSWER_S = 10.0
#: How long one fetch waits, and after how long without a record a partition counts as unreadable.
FETCH_MS, PATIENCE_S = 500, 30.0


class Part(NamedTuple):
    """Some events in their order, and how many records were read, of how many."""

    events: Sequence[RawEvent]
    done: int
    total: int


#: Reads the events of a topic from a moment on, or of records that were published then; raises
#: Rejected(history_too_long) at more records than may be read, and Unavailable.
ReadHistory = Callable[[datetime, int], AsyncIterator[Part]]


async def read_history(
    bootstrap: Broker | str, topic: str, since: datetime, records_max: int
) -> AsyncIterator[Part]:
    """The events on a topic that were published from `since` on, up to its end as of now.

    Raises Rejected(history_too_long) if there are more than `records_max`, Unavailable if Kafka does not
    answer. A line that a relay sent twice comes once.
    """
    try:
        async with AsyncExitStack() as opened:
            async with asyncio.timeout(ANSWER_S):
                consumer = await opened.enter_async_context(
                    groupless_consumer(bootstrap, [topic], fetch_bytes=READ_BYTES)
                )
                places = partitions(consumer, [topic])
                ends = await consumer.end_offsets(places)
                starts = await first_since(consumer, places, since, ends)
            total = sum(max(0, ends[place] - starts[place]) for place in places)
            if total > records_max:
                raise Rejected(Reason.HISTORY_TOO_LONG)
            for place in places:
                consumer.seek(place, starts[place])
            tails = {place: _events(consumer, place, ends[place]) for place in places}
            async for events in in_order(tails):
                waiting = [max(0, ends[place] - await consumer.position(place)) for place in places]
                yield Part(events, total - sum(waiting), total)
    except (KafkaError, OSError) as error:
        raise Unavailable(Reason.LOG_UNAVAILABLE) from error


async def _events(
    consumer: AIOKafkaConsumer, place: TopicPartition, end: int
) -> AsyncIterator[list[RawEvent]]:
    """The events of a partition up to an offset, some at a time. Raises TimeoutError, which is an OSError."""
    last, deadline = -1, time.monotonic() + PATIENCE_S
    while await consumer.position(place) < end:
        found = await consumer.getmany(place, timeout_ms=FETCH_MS, max_records=HELD_MAX)
        records = found.get(place, ())
        held: list[RawEvent] = []
        for record in records:
            event = event_of(Record(record.offset, record.value)) if record.offset < end else None
            # A relay that died sends again what it had not trimmed; only relays number lines.
            if event is not None and event.number > last:
                last = event.number
                held.append(event)
        if held:
            yield held
        if records:  # also where none of them is an event: the partition can be read
            deadline = time.monotonic() + PATIENCE_S
        elif time.monotonic() > deadline:
            raise TimeoutError
