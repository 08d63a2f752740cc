"""The ledger of authority against its model, on the real store: fewer runs, and other ones each time but in CI."""

from __future__ import annotations

import os
import secrets

import pytest
import redis.asyncio as redis
from hypothesis import settings

from devstack.stack import Stack
from shared.runtime.engine import redis_store
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Store
from tests.suites.authority_machine import AuthorityMachine

#: An fsync of a swamped machine.
PATIENCE_S = 60.0
#: CI judges a change by the runs that its parent passed; whoever works on it finds new ones.
REPEATABLE = "CI" in os.environ


class OnRedis(AuthorityMachine):
    url = ""

    async def opened(self) -> Store:
        # A shard of its own for every run: nothing of another one is in it.
        self.shard = secrets.token_hex(4)
        self.server = redis.Redis.from_url(self.url)
        store = RedisStore(self.url, "compensation", self.shard)
        await store.open()
        await store.begin_generation("first", 0)
        return store

    async def closed(self, store: RedisStore) -> None:
        await store.close()
        await self.server.delete(*await self.server.keys(f"compensation:{{{self.shard}}}:*"))
        await self.server.aclose()

    async def accounts(self, store: RedisStore) -> dict[str, int]:
        prefix = f"compensation:{{{self.shard}}}:account:"
        names = await self.server.keys(f"{prefix}*")
        amounts = await self.server.mget(names) if names else []
        found = zip(names, amounts, strict=True)
        return {name.decode().removeprefix(prefix): int(n) for name, n in found if int(n)}


class TestAuthorityOnRedis(OnRedis.TestCase):
    """INV-01, INV-03: after every step of every run; a failure prints how to see it again."""

    settings = settings(
        max_examples=15, stateful_step_count=12, derandomize=REPEATABLE, print_blob=True
    )

    @pytest.fixture(autouse=True)
    def _a_real_store(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        # The machine knows no store that is away; one on a busy disk is slow and not away.
        monkeypatch.setattr(redis_store, "TIMEOUT_S", PATIENCE_S)
        OnRedis.url = stack.redis_url
