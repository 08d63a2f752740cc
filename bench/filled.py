"""Compensation's API face alone, over a store that the bench has filled.

Each store is a database of its own on the one server, so that they do not influence each other. Its
outbox is not carried to Kafka during a measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

import redis
import uvloop

from bench import world
from bench.stages import known
from devstack.processes import Service, Services, environment
from devstack.stack import Stack
from services.compensation.app import DOMAIN
from shared.kernel import Fact
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Commit, Committed, Write

#: Documents in one commit; the server serves nothing else during a commit.
COMMIT_DOCUMENTS = 2000
#: Above every sequence of the topic, so that the store does not count as stale.
SEQUENCE = 10**9
LEASE_MS = 60_000


class NotEmpty(Exception):
    """The database that the bench would fill holds other data."""


@dataclass(frozen=True)
class Filled:
    """The store and the process over it."""

    service: Service
    url: str
    shard: str

    async def empty_outbox(self) -> None:
        """Drop the waiting lines, as if they were on Kafka."""
        store = RedisStore(self.url, DOMAIN.owner, self.shard)
        try:
            await store.open_generation(0)
            await store.lease("relay", "bench", LEASE_MS)
            await store.trim("bench", await store.last_sequence())
        finally:
            await store.close()


@contextmanager
def filled(
    stack: Stack, database: int, facts: Sequence[Fact], writes: Iterable[Write] = ()
) -> Iterator[Filled]:
    """A store with these facts and documents, and its service, for a `with` block.

    Blocks; raises NotEmpty, NotReady.
    """
    url, shard = database_url(stack, database), f"bench{database}"
    with emptied(url):
        uvloop.run(_fill(url, shard, facts, iter(writes)))
        services = Services(world.RUN / "bench", environment(world.RUN, stack.bootstrap, url))
        try:
            service = services.start("compensation", face="api", shard=shard, publish_wait_ms="0")
            service.wait_ready()
            yield Filled(service, url, shard)
        finally:
            services.stop()


def database_url(stack: Stack, database: int) -> str:
    """A database of its own on the stack's server."""
    return urlsplit(stack.redis_url)._replace(path=f"/{database}").geturl()


@contextmanager
def emptied(url: str) -> Iterator[None]:
    """A database for a `with` block, empty before and after; raises NotEmpty."""
    with closing(redis.Redis.from_url(url)) as server:
        if server.dbsize():
            raise NotEmpty(f"database {urlsplit(url).path} of the Redis is not empty")
        try:
            yield
        finally:
            server.flushdb()


async def _fill(url: str, shard: str, facts: Sequence[Fact], writes: Iterator[Write]) -> None:
    store = RedisStore(url, DOMAIN.owner, shard)
    try:
        await store.begin_generation("bench", SEQUENCE)
        await known(store, DOMAIN, facts)
        while batch := list(islice(writes, COMMIT_DOCUMENTS)):
            outcome = await store.commit(Commit(batch))
            assert isinstance(outcome, Committed), outcome
    finally:
        await store.close()
