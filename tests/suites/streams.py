"""A stream of the tally in this process, on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.ops.stack import Stack
from shared.runtime.inbox import Handler, Inbox
from shared.runtime.kafka import Stream
from shared.testing.builders import record
from shared.testing.memory_store import MemoryStore
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
async def streaming(stack: Stack, name: str, store: MemoryStore) -> AsyncIterator[Stream]:
    """A stream that reads the topic of this name, in a group of this name; it has its share."""
    stream = Stream(
        settler(store),
        [Inbox(name, [Handler(Heard, on_heard)])],
        owner=name,
        bootstrap=stack.bootstrap,
        session_s=6.0,
    )
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
