"""A process whose settling is broken: `python -m tests.suites.broken BOOTSTRAP NAME`; ends by itself."""

from __future__ import annotations

import asyncio
import sys

from shared.runtime.observe import configure
from shared.testing.memory_store import MemoryStore
from tests.suites.streams import stream_of
from tests.suites.tally import settler


async def run(bootstrap: str, name: str) -> None:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    broken = settler(store)

    async def settle_records(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    broken.settle_records = settle_records
    stream = stream_of(bootstrap, name, broken)
    await stream.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    configure()
    asyncio.run(run(*sys.argv[1:]))
