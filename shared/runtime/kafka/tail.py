"""Follows the end of a topic in no group: every process that does so reads all of it, and settles nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from shared.runtime.kafka.records import read_any_header
from shared.runtime.kafka.watch import FETCH_MS, READ_BYTES, groupless_consumer, partitions
from shared.runtime.wires import Broker

#: Records handed on at once: few enough that whoever reads them leaves the loop to others soon.
TOGETHER_MAX = 500


class Torn(Exception):
    """Records are missing between the last one that was read and the next, or partitions were added."""


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
        while True:
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
