"""A stream of the tally in this process, on a real broker, and topics for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from devstack.stack import Stack
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import Store
from shared.runtime.kafka.consumer import Stream
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.testing.builders import record
from tests.suites.tally import Heard, on_heard, settler

DEADLINE_S = 60.0


async def true_soon(true: Callable[[], Awaitable[bool]]) -> None:
    """Poll until it is true; raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_S):
        while not await true():
            await asyncio.sleep(0.05)


def heard(number: int) -> bytes | None:
    """What the tally hears, as a record's value."""
    return record(Heard(name="a"), number).value


@asynccontextmanager
async def administration(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make(stack: Stack, name: str, partitions: int = 1) -> None:
    """Make a topic; one of the name that is being deleted is waited for."""
    async with administration(stack) as admin:

        async def made() -> bool:
            answer = await admin.create_topics([NewTopic(name, partitions, 1)])
            return not any(error[1] for error in answer.topic_errors)

        await true_soon(made)

        async def led() -> bool:
            (found,) = await admin.describe_topics([name])
            return len(found["partitions"]) == partitions and not found["error_code"]

        await true_soon(led)


@asynccontextmanager
async def producer(stack: Stack, transaction: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=stack.bootstrap, transactional_id=transaction)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def put(stack: Stack, name: str, values: dict[int, list[bytes | None]]) -> None:
    async with producer(stack) as sending:
        for partition, some in values.items():
            for value in some:
                await sending.send(name, value, partition=partition)
        await sending.flush()


def stream_of(bootstrap: str, name: str, settling: Settler) -> Stream:
    """A stream that would read the topic of this name, in a group of this name; not started."""
    return Stream(
        settling,
        [Inbox(name, [Handler(Heard, deciding(on_heard))])],
        owner=name,
        bootstrap=bootstrap,
        session_s=6.0,
    )


@asynccontextmanager
async def streaming(stack: Stack, name: str, store: Store) -> AsyncIterator[Stream]:
    """A stream that reads the topic of this name, in a group of this name; it has its share."""
    stream = stream_of(stack.bootstrap, name, settler(store))
    await stream.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not stream.assigned():
                await asyncio.sleep(0.05)
        yield stream
    finally:
        async with asyncio.timeout(DEADLINE_S):
            await stream.stop()
        # Faust leaves the loop of its consumer's thread open, which a process that ends does not mind.
        stream.app.consumer._thread.thread_loop.close()
