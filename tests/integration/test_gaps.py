"""A fence that misses records reads them again from the log; a hole in the log is passed. INV-04."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.structs import ConsumerRecord
from structlog.testing import capture_logs

from devstack.stack import Stack
from shared.runtime.kafka.consumer import Stream
from shared.runtime.kafka.inbox import Handler, Inbox, Record, deciding
from shared.runtime.observe import LOG_HOLES, RECORDS_MISSED
from shared.testing.memory_store import MemoryStore
from tests.suites.streams import (
    administration,
    heard,
    make,
    producer,
    put,
    stream_of,
    streaming,
    true_soon,
)
from tests.suites.tally import Heard, Tally, on_heard, settler


@pytest.fixture
def name() -> str:
    return f"gaps-{uuid.uuid4().hex}"


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    return store


def counted(name: str) -> tuple[float, float]:
    """Records missed, and holes."""
    return tuple(one.labels("tally", name)._value.get() for one in (RECORDS_MISSED, LOG_HOLES))


def total(store: MemoryStore) -> int:
    found = store.kept.documents.get("tally:a")
    return Tally.model_validate_json(found.body).total if found else 0


@asynccontextmanager
async def aside(stack: Stack, name: str, store: MemoryStore) -> AsyncIterator[Stream]:
    """A stream that reads nothing by itself: the test hands batches on."""
    stream = stream_of(stack.bootstrap, name, settler(store))
    try:
        yield stream
    finally:
        await stream._again.close()


async def on_topic(stack: Stack, name: str) -> Sequence[ConsumerRecord]:
    """All records of the one partition."""
    place = TopicPartition(name, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign([place])
        (end,) = (await consumer.end_offsets([place])).values()
        found: list[ConsumerRecord] = []
        while await consumer.position(place) < end:
            found += (await consumer.getmany(place, timeout_ms=100)).get(place, [])
        return found


async def hand_on(stream: Stream, name: str, batch: Sequence[ConsumerRecord]) -> None:
    records = [Record(one.offset, one.value, one.headers) for one in batch]
    await stream._settle(Inbox(name, [Handler(Heard, deciding(on_heard))]), 0, records)


async def test_what_nobody_handed_on_is_found_by_the_fence_and_settled_first(stack, name, store):
    await make(stack, name)
    await put(stack, name, {0: [heard(number) for number in range(9)]})
    records = await on_topic(stack, name)
    async with aside(stack, name, store) as stream:
        await hand_on(stream, name, records[:2])
        with capture_logs() as logs:
            await hand_on(stream, name, records[6:])
    assert total(store) == 9
    assert counted(name) == (4, 0)
    assert [(line["first"], line["last"]) for line in logs if line["log_level"] == "error"] == [
        (2, 5)
    ]


async def test_the_end_of_a_transaction_is_a_hole_that_is_passed_without_a_word(stack, name, store):
    await make(stack, name)
    async with producer(stack, name) as sending:
        for number in (0, 2, 4):
            async with sending.transaction():
                await sending.send(name, heard(number), partition=0)
    records = await on_topic(stack, name)
    assert [record.offset for record in records] == [0, 2, 4]
    async with aside(stack, name, store) as stream:
        with capture_logs() as logs:
            for record in records:
                await hand_on(stream, name, [record])
    assert (total(store), counted(name)) == (3, (0, 2))
    assert logs == []


async def test_a_stream_of_transactions_is_settled_whole_and_its_end_is_acknowledged(
    stack, name, store
):
    """A marker behind the last record keeps nobody busy, and what follows comes at once."""
    await make(stack, name)
    async with streaming(stack, name, store), producer(stack, name) as sending:
        for number in range(6):
            async with sending.transaction():
                await sending.send(name, heard(2 * number), partition=0)

            async def settled(number: int = number) -> bool:
                return total(store) == number + 1

            await true_soon(settled)
    assert counted(name)[0] == 0


async def test_what_compaction_took_is_a_hole_that_is_passed_without_a_word(stack, name, store):
    async with administration(stack) as admin:
        rules = {
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.01",
        }
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=rules)])
    async with producer(stack) as sending:
        await sending.send_and_wait(name, heard(0), key=b"first", partition=0)
        for number in range(1, 6):
            await sending.send_and_wait(name, heard(number), key=b"k", partition=0)

        async def compacted() -> bool:
            # A segment is closed by the record behind it.
            await sending.send_and_wait(name, heard(99), key=b"k", partition=0)
            return (await on_topic(stack, name))[1].offset > 1

        await true_soon(compacted)
    records = await on_topic(stack, name)
    async with aside(stack, name, store) as stream:
        with capture_logs() as logs:
            await hand_on(stream, name, records[:1])
            await hand_on(stream, name, records[1:])
    assert (total(store), counted(name)) == (len(records), (0, 1))
    assert logs == []


async def test_while_the_broker_is_away_nothing_behind_a_gap_is_settled(stack, name, store):
    await make(stack, name)
    await put(stack, name, {0: [heard(number) for number in range(3)]})
    records = await on_topic(stack, name)
    async with aside(stack, name, store) as stream:
        reads, away = stream._again.read, [OSError(), TimeoutError()]

        async def read(*asked):
            if away:
                raise away.pop()
            assert total(store) == 0
            return await reads(*asked)

        stream._again.read = read
        with capture_logs() as logs:
            await hand_on(stream, name, records[2:])
    assert (total(store), counted(name)) == (3, (2, 0))
    assert [line["reason"] for line in logs if line["event"] == "stream_waits"] == [
        "TimeoutError",
        "OSError",
    ]
