"""A second look at our streams: the process of a consumer that stopped silently is ended.

A Faust consumer may lose its broker or its group and go on as if nothing were to be read
(faust-streaming issues 175, 523, 532, 594, 640), while everything else of the process looks healthy.
So a client that shares nothing with it asks the broker whether a record waits for our group.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import NoReturn

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Record
from shared.runtime.observe import log
from shared.runtime.wires import Broker

#: How often to look: ten looks before a stream counts as stalled.
LOOK_S = 30.0
#: If a record waits longer, its stream counts as stalled. Above the 240 s for which a stream retries
#: one batch while the store is away, before it ends the process itself.
STANDS_MAX_S = 300.0
#: How long one look may take: a handful of requests to the broker.
ANSWER_S = 10.0
#: How long a look waits for what lay there when it began, and how often it asks: under steady load something newer
#: always lies behind it.
CATCHES_UP_S, CATCH_LOOK_S = 2.0, 0.1
FETCH_MS = 500
#: Bytes that a look asks for of each partition: it wants one record at most, and a client begins to read before
#: it can be told so. A batch that is larger comes whole.
LOOK_BYTES = 16 * 1024
#: Bytes of each partition at once for whoever reads all of it: the client's own default.
READ_BYTES = 1024 * 1024
#: Records read again at once: as many as a batch of the stream may hold.
AGAIN_MAX = 2000
#: Pause before the second look: a leader just elected may not know its end for a moment.
CUT_AGAIN_S = 5.0

#: Partitions where a record waits, with the offset that the group has come to.
Waiting = Mapping[TopicPartition, int]
#: Says the last offset applied of each partition, -1 where there is none.
Applied = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


async def watch(
    waiting: Callable[[], Awaitable[Waiting]],
    ours: Callable[[], Collection[TopicPartition] | None],
    end: Callable[[], NoReturn],
    *,
    look_s: float = LOOK_S,
    stands_max_s: float = STANDS_MAX_S,
) -> None:
    """Call `end` once a partition of ours stood still for too long; runs until cancelled.

    `ours` is what the stream reads by its own account; None, while it is in no group, means all.
    """
    since: dict[TopicPartition, tuple[int, float]] = {}
    while True:
        await asyncio.sleep(look_s)
        try:
            found = await waiting()
        except (KafkaError, OSError):  # the broker is away, not the stream
            found = {}
        now, mine = monotonic(), ours()
        since = {
            place: since[place] if since.get(place, (-1,))[0] == offset else (offset, now)
            for place, offset in found.items()
            if mine is None or place in mine
        }
        for place, (offset, began) in since.items():
            if now - began > stands_max_s:
                log.critical(
                    "stream_stands", topic=place.topic, partition=place.partition, offset=offset
                )
                end()


async def waiting_for(bootstrap: Broker | str, group: str, topics: Sequence[str]) -> Waiting:
    """Where a record waits for the group; raises KafkaError, OSError (a time-out is one).

    Asks the broker, by connections of its own. Comparing offsets is not enough: after the last record
    there may be offsets without one, as of a transaction's end or of what compaction removed.
    """
    admin = AIOKafkaAdminClient(**Broker.of(bootstrap).client())
    try:
        async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, topics) as consumer:
            await admin.start()
            places = consumer.assignment()
            firsts = await consumer.beginning_offsets(places)
            committed = await admin.list_consumer_group_offsets(group)
            come_to = {
                place: max(committed[place].offset if place in committed else 0, firsts[place])
                for place in places
            }
            return {place: come_to[place] for place in await first_records(consumer, come_to)}
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()


async def has_partitions_of(bootstrap: Broker | str, topic: str, sources: Sequence[str]) -> bool:
    """Whether a topic has as many partitions as each source has, so that a record can have its source's.

    False, and logged, also while the broker cannot be asked.
    """
    names = [topic, *sources]
    try:
        async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, names) as consumer:
            there = Counter(place.topic for place in partitions(consumer, names))
    except (KafkaError, OSError) as error:
        log.warning("waiting_for", topic=topic, error=type(error).__name__)
        return False
    for name in sources:
        if there[name] > there[topic]:
            log.error("too_few_partitions", topic=topic, has=there[topic], needs=there[name])
            return False
    return True


async def cut(
    bootstrap: Broker | str, topics: Sequence[str], applied: Applied
) -> Mapping[TopicPartition, int]:
    """Partitions that end before what we applied from them, with their ends: two looks say so.

    Raises KafkaError (also where a topic does not exist), OSError, and what `applied` raises.
    """
    found = await _cut(bootstrap, topics, applied)
    if not found:
        return {}
    await asyncio.sleep(CUT_AGAIN_S)
    again = await _cut(bootstrap, topics, applied)
    return {place: end for place, end in again.items() if place in found}


async def _cut(
    bootstrap: Broker | str, topics: Sequence[str], applied: Applied
) -> Mapping[TopicPartition, int]:
    async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, topics) as consumer:
        places = partitions(consumer, topics)
        come_to = await applied(places)  # first: what is applied meanwhile moves the end too
        ends = await consumer.end_offsets(places)
        return {place: ends[place] for place in places if come_to[place] >= ends[place]}


async def settled_to_the_end(
    bootstrap: Broker | str,
    topics: Sequence[str],
    applied: Callable[[Sequence[tuple[str, int]]], Awaitable[Sequence[int]]],
) -> bool:
    """Whether all that lies on the topics now is applied, or is within a moment; raises KafkaError, OSError, Unavailable.

    What other workers applied counts too, because the fences in the store are asked. Waits up to `CATCHES_UP_S`.
    """
    async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, topics) as consumer:
        places = partitions(consumer, topics)
        firsts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        for _ in range(round(CATCHES_UP_S / CATCH_LOOK_S)):
            come_to = await applied(places)
            if all(
                max(last + 1, firsts[place]) >= ends[place]
                for place, last in zip(places, come_to, strict=True)
            ):
                return True
            await asyncio.sleep(CATCH_LOOK_S)
        return False


async def not_applied(
    bootstrap: Broker | str, ends: Mapping[tuple[str, int], int], applied: Applied
) -> Sequence[TopicPartition]:
    """Partitions of which something before their end in `ends` is not applied; what retention removed is no matter.

    Raises KafkaError, OSError, and what `applied` raises.
    """
    topics, places = sorted({topic for topic, _ in ends}), [TopicPartition(*one) for one in ends]
    if not places:
        return ()
    async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, topics) as consumer:
        firsts = await consumer.beginning_offsets(places)
        come_to = await applied(places)
        return [
            place for place in places if max(come_to[place] + 1, firsts[place]) < ends[tuple(place)]
        ]


async def nothing_before(bootstrap: Broker | str, topics: Sequence[str], moment: datetime) -> bool:
    """Whether no record from before a moment is left on the topics; raises KafkaError, OSError.

    A record is as old as its timestamp says, by which retention drops it too.
    """
    async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, topics) as consumer:
        places = partitions(consumer, topics)
        firsts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        since = await first_since(consumer, places, moment, ends)
        return all(firsts[place] >= since[place] for place in places)


async def with_key(bootstrap: Broker | str, topic: str, prefix: str) -> Sequence[tuple[str, bytes]]:
    """Key and value of every record on a topic whose key begins so, also of those that compaction will remove.

    Tombstones are left out. Reads the topic as far as it reaches now, and holds nothing else of it.
    Raises KafkaError, OSError; TimeoutError where nothing comes for too long.
    """
    begins, found = prefix.encode(), list[tuple[str, bytes]]()
    async with groupless_consumer(bootstrap, [topic], fetch_bytes=READ_BYTES) as consumer:
        places = partitions(consumer, [topic])
        firsts = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        left = {place for place in places if firsts[place] < ends[place]}
        consumer.pause(*set(places) - left)
        deadline = monotonic() + ANSWER_S
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=FETCH_MS)).values():
                deadline = monotonic() + ANSWER_S
                for one in records:
                    if one.value is not None and one.key is not None and one.key.startswith(begins):
                        found.append((one.key.decode(errors="replace"), one.value))
            left = {place for place in left if await consumer.position(place) < ends[place]}
            if monotonic() > deadline:
                raise TimeoutError
    return found


async def first_since(
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    moment: datetime,
    ends: Mapping[TopicPartition, int],
) -> Mapping[TopicPartition, int]:
    """The offset of each partition's first record that was published from a moment on; its end if there is none.

    `ends` were read before; a record that came since may be the first, at its end or behind it.
    """
    found = await consumer.offsets_for_times(dict.fromkeys(places, int(moment.timestamp() * 1000)))
    return {
        place: at.offset if (at := found.get(place)) is not None else ends[place]
        for place in places
    }


@asynccontextmanager
async def groupless_consumer(
    bootstrap: Broker | str, topics: Sequence[str], *, fetch_bytes: int = LOOK_BYTES
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer in no group, for all partitions of the topics; raises KafkaError, OSError."""
    consumer = AIOKafkaConsumer(
        *topics,
        **Broker.of(bootstrap).client(),
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=fetch_bytes,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        with suppress(KafkaError, OSError):
            await consumer.stop()


def partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """All partitions of the topics; raises KafkaError while one of them does not exist."""
    places = sorted(consumer.assignment())
    if missing := set(topics) - {place.topic for place in places}:
        msg = f"no topic {', '.join(sorted(missing))}"
        raise KafkaError(msg)
    return places


async def first_records(
    consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
) -> Mapping[TopicPartition, ConsumerRecord[bytes, bytes]]:
    """The first record of each partition from an offset on, where there is one; waits for all."""
    ends = await consumer.end_offsets(list(offsets))
    waiting = {place for place, offset in offsets.items() if offset < ends[place]}
    consumer.pause(*consumer.assignment() - waiting)
    for place in waiting:
        consumer.seek(place, offsets[place])
    found: dict[TopicPartition, ConsumerRecord[bytes, bytes]] = {}
    while waiting:
        got = await consumer.getmany(*waiting, timeout_ms=FETCH_MS, max_records=1)
        found |= {place: records[0] for place, records in got.items()}
        # After the last record there may be offsets without one: they are skipped.
        read = [p for p in waiting if p in found or await consumer.position(p) >= ends[p]]
        waiting.difference_update(read)
    return found


async def record_at(
    bootstrap: Broker | str, topic: str, partition: int, offset: int
) -> Record | None:
    """The record at this place, or None where none is (any more).

    Waits for the broker; raises Unavailable while it is away.
    """
    place = TopicPartition(topic, partition)
    try:
        async with asyncio.timeout(ANSWER_S), groupless_consumer(bootstrap, [topic]) as consumer:
            if place not in partitions(consumer, [topic]):
                return None
            found = (await first_records(consumer, {place: offset})).get(place)
    except (KafkaError, OSError) as error:
        raise Unavailable(Reason.STREAM_BEHIND) from error
    if found is None or found.offset != offset:
        return None
    return Record(offset, found.value, found.headers)


class Again:
    """Reads a range of a partition again, for a fence that lacks it; in no group."""

    def __init__(self, bootstrap: Broker | str) -> None:
        self._broker = Broker.of(bootstrap)
        self._turn = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self, topic: str, partition: int, first: int, stop: int) -> list[Record]:
        """The next records with first ≤ offset < stop; none if the log has a gap there.

        Waits for the broker, which has a record at `stop`; raises KafkaError, OSError.
        """
        place = TopicPartition(topic, partition)
        async with self._turn, asyncio.timeout(ANSWER_S):
            consumer = await self._open()
            consumer.assign([place])
            consumer.seek(place, first)
            while await consumer.position(place) < stop:
                found = await consumer.getmany(place, timeout_ms=FETCH_MS, max_records=AGAIN_MAX)
                if batch := found.get(place):
                    return [
                        Record(one.offset, one.value, one.headers)
                        for one in batch
                        if first <= one.offset < stop
                    ]
            return []

    async def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **self._broker.client(),
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """Close the connection to the broker."""
        if self._consumer is not None:
            with suppress(KafkaError, OSError):
                await self._consumer.stop()
