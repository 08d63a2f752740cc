"""A worker's consumer over a broker in memory: Faust's and aiokafka's own code, without a network.

What happens when is up to the test: nothing here waits for a clock, but for the broker or the flow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import OffsetAndMetadata

from shared.runtime.kafka.consumer import PackApp, PackConsumer, PackTransport

#: How long a poll waits for records, and the broker for some to hand out, in s.
POLL_S = 0.01
OUT_OF_RANGE, CONTROL = 1, 0x20
PATIENCE_S = 60.0
#: Where a batch's attributes and its last offset stand in its head.
ATTRIBUTES, LAST_OFFSET = slice(21, 23), slice(23, 27)


def batch(first: int, offsets: Sequence[int], behind: int, *, control: bool = False) -> bytes:
    """A batch that takes the offsets from `first` to before `behind`, with records at some."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1 << 20,
    )  # fmt: skip
    for offset in offsets or [first]:
        builder.append(offset - first, 0, b"k", b"%d" % offset, [])
    built = builder.build()
    built[0:8] = first.to_bytes(8, "big")
    built[LAST_OFFSET] = (behind - first - 1).to_bytes(4, "big")
    if control:
        built[ATTRIBUTES] = CONTROL.to_bytes(2, "big")
    return bytes(built)


class Broker:
    """The log of each partition, asked by aiokafka as it asks a broker."""

    _metadata_max_age_ms = 300_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda _: 0, broker_metadata=lambda _: object()
        )
        self.batches: dict[TopicPartition, list[tuple[int, bytes]]] = {}
        #: The offsets that have a record.
        self.records: dict[TopicPartition, list[int]] = {}
        self.first: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        #: Where was asked for records, in order.
        self.asked: list[int] = []
        self.beginnings_asked = 0
        self._news = asyncio.Event()

    def end(self, place: TopicPartition) -> int:
        return self.batches.get(place, [(0, b"")])[-1][0]

    def append(self, place: TopicPartition, count: int) -> None:
        """So many records, in one batch."""
        first = self.end(place)
        self._add(place, range(first, first + count), first + count)

    def leave(self, place: TopicPartition, count: int, records: Sequence[int] = ()) -> None:
        """What compaction left of a batch of so many: records at these offsets of it."""
        first = self.end(place)
        self._add(place, [first + one for one in records], first + count)

    def mark(self, place: TopicPartition) -> None:
        """The end of a transaction, which takes an offset and is no record."""
        self.leave(place, 1)

    def _add(self, place: TopicPartition, offsets: Sequence[int], behind: int) -> None:
        built = batch(self.end(place), offsets, behind, control=not offsets)
        self.batches.setdefault(place, []).append((behind, built))
        self.records.setdefault(place, []).extend(offsets)
        self._news.set()

    # ---- as aiokafka's client ----

    async def send(self, _node: int, request: Any) -> Any:
        if not isinstance(request, FetchRequest):
            self.beginnings_asked += 1
            return SimpleNamespace(
                API_VERSION=1,
                topics=[
                    (
                        topic,
                        [(n, 0, -1, self.first.get(TopicPartition(topic, n), 0)) for n, _ in some],
                    )
                    for topic, some in request._topics
                ],
            )
        places = {
            TopicPartition(topic, number): position
            for topic, some in request.topics
            for number, position, _ in some
        }
        self.asked += places.values()
        if not any(self._from(place, position) for place, position in places.items()):
            self._news.clear()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                pass
        return SimpleNamespace(
            API_VERSION=4,
            topics=[(place.topic, [self._answer(place, at)]) for place, at in places.items()],
        )

    def _answer(self, place: TopicPartition, position: int) -> tuple[Any, ...]:
        error = OUT_OF_RANGE if position < self.first.get(place, 0) else 0
        end = self.end(place)
        return place.partition, error, end, end, [], b"" if error else self._from(place, position)

    def _from(self, place: TopicPartition, position: int) -> bytes:
        return b"".join(built for behind, built in self.batches.get(place, []) if behind > position)

    async def _maybe_wait_metadata(self) -> None: ...

    def force_metadata_update(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    # ---- as aiokafka's coordinator ----

    async def fetch_committed_offsets(
        self, places: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetAndMetadata]:
        found = {place: self.committed[place] for place in places if place in self.committed}
        return {place: OffsetAndMetadata(offset, "") for place, offset in found.items()}


class Worker:
    """A consumer in a group, moved by the test as a rebalance moves it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.handed: dict[TopicPartition, list[int]] = {}
        self.applied: dict[TopicPartition, int] = {}
        app = PackApp("worker", broker="kafka://nowhere", store="memory://")
        app.applied = self._applied
        transport = PackTransport(app.conf.broker_consumer, app)

        async def nothing(*_: Any) -> None: ...

        self.app = app
        self.consumer = PackConsumer(transport, nothing, nothing, nothing)
        self.thread = self.consumer._thread
        self.thread.call_thread = self._call
        self.kafka = AIOKafkaConsumer(bootstrap_servers="nowhere:1", group_id="worker")
        self.kafka._max_poll_records = None
        self.kafka._client = self.kafka._coordinator = broker
        self.kafka._subscription.subscribe({"things"})
        self.kafka._fetcher = Fetcher(
            broker,
            self.kafka._subscription,
            auto_offset_reset="earliest",
            fetcher_timeout=POLL_S,
            check_crcs=False,
        )
        self.thread._consumer = self.kafka
        self.consumer.stop_flow()
        self._coordinating: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def _call(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def _applied(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.sleep(0)  # the store is asked
        return {place: self.applied.get(place, self.broker.end(place)) for place in places}

    def assign(self, *places: TopicPartition) -> None:
        """The group gives partitions out; Faust has not sought yet."""
        self.app.consumer_generation_id += 1
        self.kafka._subscription.assign_from_subscribed(set(places))
        self.consumer._set_active_tps(set(places))
        self._coordinating.cancel()
        self._coordinating = asyncio.create_task(self._coordinate())

    async def _coordinate(self) -> None:
        """Say where the group is to whoever asks, as aiokafka's coordinator does."""
        assignment = self.kafka._subscription.subscription.assignment
        while True:
            await assignment.commit_refresh_needed.wait()
            assignment.commit_refresh_needed.clear()
            for place in assignment.requesting_committed():
                found = OffsetAndMetadata(self.broker.committed.get(place, -1), "")
                assignment.state_value(place).update_committed(found)

    async def revoke(self) -> None:
        """As `App._on_partitions_revoked` does."""
        places = set(self.kafka.assignment())
        await self.consumer.on_partitions_revoked(places)
        self.consumer.stop_flow()

    async def resume(self) -> None:
        """As `_resume_streams` does: seek first, resume the flow after."""
        await self.consumer.perform_seek()
        self.consumer.resume_flow()

    async def poll(self, timeout_s: float = POLL_S) -> int:
        """One turn of Faust's loop; how many records it handed on."""
        count = 0
        async for place, message in self.consumer.getmany(timeout_s):
            offsets = [record.offset for record in message.value]
            self.handed.setdefault(place, []).extend(offsets)
            count += len(offsets)
        return count

    def poll_and_wait(self) -> asyncio.Task[int]:
        """A poll that waits for as long as it takes."""
        return asyncio.create_task(self.poll(PATIENCE_S))

    async def waits(self) -> None:
        """Wait until a poll waits for records."""
        while not self.kafka._fetcher._fetch_waiters:
            await asyncio.sleep(0)

    async def poll_until_quiet(self) -> None:
        """Poll until eight polls in a row hand nothing on."""
        quiet = 0
        while quiet < 8:
            quiet = 0 if await self.poll() else quiet + 1

    async def close(self) -> None:
        self._coordinating.cancel()
        await self.kafka._fetcher.close()
        self.thread.thread_loop.close()
        self.kafka._closed = True


@asynccontextmanager
async def working(broker: Broker) -> AsyncIterator[Worker]:
    worker = Worker(broker)
    try:
        yield worker
    finally:
        await worker.close()
