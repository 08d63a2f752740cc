"""A process whose settling is broken: `python -m tests.suites.broken BOOTSTRAP NAME`; ends by itself."""

from __future__ import annotations

import asyncio
import sys

from shared.runtime.inbox import Handler, Inbox
from shared.runtime.kafka import Stream
from shared.runtime.observe import configure
from shared.testing.memory_store import MemoryStore
from tests.suites.tally import Heard, on_heard, settler


async def run(bootstrap: str, name: str) -> None:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    broken = settler(store)

    async def settle_records(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    broken.settle_records = settle_records
    stream = Stream(
        broken,
        [Inbox(name, [Handler(Heard, on_heard)])],
        owner=name,
        bootstrap=bootstrap,
        session_s=6.0,
    )
    await stream.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    configure()
    asyncio.run(run(*sys.argv[1:]))
