"""A stream that stands still is seen by somebody who shares nothing with it."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import NoReturn

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from devstack.stack import Stack
from shared.runtime.kafka.watch import settled_to_the_end, waiting_for, watch
from shared.testing.memory_store import MemoryStore
from tests.suites.streams import DEADLINE_S, heard, producer, streaming, true_soon

#: Short, so that the test is; a consumer that is merely slow would have to be this slow ten times.
LOOK_S, STANDS_MAX_S = 0.2, 2.0


class Ended(Exception):
    """The process would have ended."""


def end() -> NoReturn:
    raise Ended


@pytest.fixture
async def topic(stack: Stack) -> AsyncIterator[str]:
    """A topic of two partitions, on a broker that is ready for groups."""
    name = f"watched-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()

    async def coordinated() -> bool:
        with suppress(KafkaError):
            await waiting_for(stack.bootstrap, name, [name])
            return True
        return False

    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
        await true_soon(coordinated)
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def come_to(stack: Stack, group: str, place: TopicPartition, offset: int) -> None:
    """The group acknowledges everything below an offset."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.commit({place: offset})
    finally:
        await consumer.stop()


async def test_a_record_waits_until_the_group_has_acknowledged_it(stack, topic):
    place, waiting = TopicPartition(topic, 0), partial(waiting_for, stack.bootstrap, topic, [topic])
    assert await waiting() == {}
    async with producer(stack) as sending:
        for _ in range(3):
            await sending.send_and_wait(topic, b"{}", partition=0)
    assert await waiting() == {place: 0}
    await come_to(stack, topic, place, 2)
    assert await waiting() == {place: 2}
    await come_to(stack, topic, place, 3)
    assert await waiting() == {}


async def test_a_look_at_a_full_topic_does_not_read_what_lies_on_it(stack, topic):
    """Every process looks twice a minute, and a topic of years has gigabytes."""
    records, size = 40, 50_000
    async with producer(stack) as sending:
        for number in range(records):
            await sending.send_and_wait(topic, random.randbytes(size), partition=number % 2)
    tracemalloc.start()
    try:
        assert await waiting_for(stack.bootstrap, topic, [topic])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < records * size / 2


async def test_the_end_of_a_transaction_is_no_record_and_waits_for_nobody(stack, topic):
    place = TopicPartition(topic, 1)
    async with producer(stack, topic) as sending, sending.transaction():
        await sending.send_and_wait(topic, b"{}", partition=1)
    await come_to(stack, topic, place, 1)
    assert await waiting_for(stack.bootstrap, topic, [topic]) == {}


async def test_all_is_settled_once_the_fences_are_at_the_ends_and_not_before(stack, topic):
    """What calls a promise broken asks this first: an answer may be on its way."""
    fences = {0: -1, 1: -1}

    async def applied(places):
        return [fences[number] for _, number in places]

    settled = partial(settled_to_the_end, stack.bootstrap, [topic], applied)
    assert await settled()
    async with producer(stack) as sending:
        for partition in (0, 0, 1):
            await sending.send_and_wait(topic, b"{}", partition=partition)
    for fences[0], fences[1], whole in (
        (-1, -1, False),
        (1, -1, False),
        (0, 0, False),
        (1, 0, True),
    ):
        assert await settled() is whole


async def test_all_that_lay_there_is_settled_also_while_more_comes(stack, topic):
    """Under steady load there is always a record that was not read yet."""
    behind = [1]

    async with producer(stack) as sending:

        async def applied(places):
            """The stream is a record behind at first, and another one comes with each look."""
            await sending.send_and_wait(topic, b"{}", partition=0)
            come_to = {0: 1 - behind.pop() if behind else 1, 1: -1}
            return [come_to[number] for _, number in places]

        for _ in range(2):
            await sending.send_and_wait(topic, b"{}", partition=0)
        assert await settled_to_the_end(stack.bootstrap, [topic], applied)


async def test_a_stream_whose_consumer_stopped_without_a_word_ends_its_process(stack, topic):
    store = MemoryStore()
    await store.begin_generation("first", 0)
    async with streaming(stack, topic, store) as stream, producer(stack) as sending:
        waiting = partial(waiting_for, stack.bootstrap, f"recovery-{topic}", [topic])

        async def all_read() -> bool:
            return stream.assigned() and not await waiting()

        await sending.send_and_wait(topic, heard(0), partition=0)
        await true_soon(all_read)
        looks = {"look_s": LOOK_S, "stands_max_s": STANDS_MAX_S}
        watched = asyncio.create_task(watch(waiting, stream.share, end, **looks))
        await sending.send_and_wait(topic, heard(1), partition=0)
        await true_soon(all_read)
        assert not watched.done()
        await stream.app._stop_fetcher()
        await sending.send_and_wait(topic, heard(2), partition=0)
        with pytest.raises(Ended):
            async with asyncio.timeout(DEADLINE_S):
                await watched
