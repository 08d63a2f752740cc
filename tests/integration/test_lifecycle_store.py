"""The life of complaints against its model, on the real store: fewer runs, and other ones each time but in CI."""

from __future__ import annotations

import secrets

import pytest
import redis.asyncio as redis
from hypothesis import settings

from devstack.stack import Stack
from shared.runtime.engine import redis_store
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Store
from tests.integration.test_authority_store import PATIENCE_S, REPEATABLE
from tests.suites.lifecycle_machine import LifecycleMachine

pytestmark = pytest.mark.integration


class OnRedis(LifecycleMachine):
    url = ""

    async def opened(self) -> Store:
        # A shard of its own for every run: nothing of another one is in it.
        self.shard = secrets.token_hex(4)
        store = RedisStore(self.url, "complaints", self.shard)
        await store.open()
        await store.begin_generation("first", 0)
        return store

    async def closed(self, store: RedisStore) -> None:
        await store.close()
        server = redis.Redis.from_url(self.url)
        await server.delete(*await server.keys(f"complaints:{{{self.shard}}}:*"))
        await server.aclose()


class TestLifecycleOnRedis(OnRedis.TestCase):
    """One owner whatever happens at once, and lists that are true, after every step of every run."""

    settings = settings(
        max_examples=10, stateful_step_count=15, derandomize=REPEATABLE, print_blob=True
    )

    @pytest.fixture(autouse=True)
    def _a_real_store(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        # The machine knows no store that is away; one on a busy disk is slow and not away.
        monkeypatch.setattr(redis_store, "TIMEOUT_S", PATIENCE_S)
        OnRedis.url = stack.redis_url
