"""Follows the end of a topic in no group: every process that does so reads all of it, and settles nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.runtime.kafka.records import read_any_header
from shared.runtime.kafka.watch import FETCH_MS, READ_BYTES, groupless_consumer, partitions
from shared.runtime.wires import Broker

#: Records handed on at once: few enough that whoever reads them leaves the loop to others soon.
TOGETHER_MAX = 500
#: How often it is looked whether the topic is still the one that is read, in seconds: a consumer of a topic that was
#: deleted and made anew may wait for ever, and does not tell.
LOOK_S = 10.0


class Torn(Exception):
    """Records are missing behind the last one that was read, or the topic has other partitions now."""


class Portion(NamedTuple):
    """Records as they were read: the partition of each, and its value.

    `partitions` is how many there are; `whole` are those that were read from the first record they ever had.
    `caught_up` says that every record has been handed on that was there when the reading began.
    """

    records: Sequence[tuple[int, bytes]]
    partitions: int
    whole: frozenset[int]
    caught_up: bool


async def tail(bootstrap: Broker | str, topic: str, back: int) -> AsyncGenerator[Portion]:
    """About the last `back` records, as many of each partition, then every new one, until it is closed.

    The first portion comes at once, also if there is no record. Waits for the broker; raises KafkaError, OSError,
    and Torn.
    """
    read_any_header()
    async with groupless_consumer(bootstrap, [topic], fetch_bytes=READ_BYTES) as consumer:
        places = partitions(consumer, [topic])
        firsts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        each = back // len(places)
        following = {place: max(firsts[place], ends[place] - each) for place in places}
        for place, offset in following.items():
            consumer.seek(place, offset)
        whole = frozenset(place.partition for place in places if following[place] == 0)
        behind = {place for place in places if following[place] < ends[place]}
        yield Portion((), len(places), whole, not behind)
        look_at = monotonic() + LOOK_S
        while True:
            if monotonic() >= look_at:
                look_at = monotonic() + LOOK_S
                await _look(consumer, following)
            found = await consumer.getmany(timeout_ms=FETCH_MS, max_records=TOGETHER_MAX)
            records: list[tuple[int, bytes]] = []
            for place, batch in found.items():
                if place not in following or batch[0].offset != following[place]:
                    raise Torn
                following[place] = batch[-1].offset + 1
                records += [(place.partition, one.value) for one in batch if one.value is not None]
            behind = {place for place in behind if following[place] < ends[place]}
            if records or not behind:
                yield Portion(records, len(places), whole, not behind)


async def _look(consumer: AIOKafkaConsumer, following: Mapping[TopicPartition, int]) -> None:
    """Raises Torn if a partition ends before what was read of it, or is not read any more; KafkaError if nobody says."""
    if consumer.assignment() != following.keys():
        raise Torn
    ends = await consumer.end_offsets(list(following))
    if any(ends[place] < offset for place, offset in following.items()):
        raise Torn
