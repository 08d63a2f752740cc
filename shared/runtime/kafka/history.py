"""Reads a service's topic again in the order in which the service decided: in bounded memory, in no group.

The order of one partition is that of its sequences, and sequences count through all partitions. So some
records of each partition are held, and those go on that no other partition has an earlier one for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.watch import READ_BYTES, groupless_consumer, partitions
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
                starts = await _starts(consumer, places, since, ends)
            total = sum(ends[place] - starts[place] for place in places)
            if total > records_max:
                raise Rejected(Reason.HISTORY_TOO_LONG)
            for place in places:
                consumer.seek(place, starts[place])
            left = [_Tail(consumer, place, ends[place]) for place in places]
            while left := [one for one in left if await one.more()]:
                until = min(one.held[-1].number for one in left)
                events = sorted(
                    (event for one in left for event in one.up_to(until)),
                    key=lambda event: event.number,
                )
                yield Part(events, total - sum([await one.waiting() for one in left]), total)
    except (KafkaError, OSError) as error:
        raise Unavailable(Reason.LOG_UNAVAILABLE) from error


async def _starts(
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    since: datetime,
    ends: Mapping[TopicPartition, int],
) -> Mapping[TopicPartition, int]:
    """The first offset of each partition whose record was published from `since` on; its end if there is none."""
    at_ms = int(since.timestamp() * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(places, at_ms))
    return {
        place: at.offset if (at := found.get(place)) is not None else ends[place]
        for place in places
    }


class _Tail:
    """What is left of one partition: some events held, the others on the broker."""

    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> None:
        self._consumer = consumer
        self._place = place
        self._end = end
        self._last = -1
        self.held: list[RawEvent] = []

    async def more(self) -> bool:
        """Whether events are left; afterwards some are held. Raises TimeoutError, which is an OSError."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.held and await self.waiting():
            found = await self._consumer.getmany(
                self._place, timeout_ms=FETCH_MS, max_records=HELD_MAX
            )
            for record in found.get(self._place, ()):
                self._hold(Record(record.offset, record.value))
            if time.monotonic() > deadline:
                raise TimeoutError
        return bool(self.held)

    def _hold(self, record: Record) -> None:
        event = event_of(record) if record.offset < self._end else None
        # A relay that died sends again what it had not trimmed; only relays number lines.
        if event is not None and event.number > self._last:
            self._last = event.number
            self.held.append(event)

    async def waiting(self) -> int:
        """The number of records that were not fetched yet."""
        position: int = await self._consumer.position(self._place)
        return max(0, self._end - position)

    def up_to(self, number: int) -> Sequence[RawEvent]:
        """The events up to this sequence; they are held no more."""
        count = next(
            (at for at, one in enumerate(self.held) if one.number > number), len(self.held)
        )
        gone, self.held = self.held[:count], self.held[count:]
        return gone
