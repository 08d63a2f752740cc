"""What the store of Redis does where its client does not do as it is told."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.runtime.engine.redis_store import RedisStore


@pytest.mark.parametrize("fails", [True, False])
async def test_a_stop_that_the_client_of_redis_swallows_stops_who_asked_all_the_same(fails: bool):
    """A service outlived its SIGTERM by minutes, because its timers went on asking."""
    asked = asyncio.Event()

    async def swallowing() -> bytes:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if fails:
                raise RedisConnectionError from None
        return b"1"

    store = RedisStore("redis://nowhere.invalid", "test")
    task = asyncio.create_task(store._ask(swallowing()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.close()
