"""The store's file of users, as a cluster has it: what a service wrote is there after a kill, and nobody else comes in."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from devstack.stack import REDIS_SETTINGS, free_port, redis_binary
from shared.contracts.catalogue import COMPLAINTS, SERVICES
from shared.ops.manifests import store_users
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Commit, Committed, Write

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0


@contextmanager
def server(directory: Path, port: int, users: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A store with the settings and the users of the manifests; killed at the end."""
    chosen = {**REDIS_SETTINGS, "bind": "127.0.0.1", "port": str(port), "dir": str(directory)}
    chosen["aclfile"] = str(users)
    words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    with subprocess.Popen([redis_binary(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def opened(url: str) -> RedisStore:
    """The service's store, once the server answers."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(RedisConnectionError):
                async with redis.Redis.from_url(url) as client:
                    if await client.ping():
                        break
            await asyncio.sleep(0.02)
    return RedisStore(url, COMPLAINTS)


async def test_what_a_service_wrote_is_there_after_the_store_was_killed(tmp_path: Path) -> None:
    """Valkey 8.1 and Redis 7.0 read their file as the default user: without its rights every transaction is left out."""
    passwords = {service: secrets.token_hex(8) for service in SERVICES}
    users, data, port = tmp_path / "users.acl", tmp_path / "data", free_port()
    hashes = {one: sha256(word.encode()).hexdigest() for one, word in passwords.items()}
    users.write_text(store_users(hashes))
    data.mkdir()
    url = f"redis://{COMPLAINTS}:{passwords[COMPLAINTS]}@127.0.0.1:{port}/0"
    with server(data, port, users):
        store = await opened(url)
        assert await store.begin_generation("first", 0)
        written = await store.commit(Commit([Write("thing:1", 0, b"{}")]))
        assert isinstance(written, Committed)
        await store.close()
    with server(data, port, users):
        store = await opened(url)
        assert await store.open_generation(0)
        (found,) = await store.read(["thing:1"])
        assert found.body == b"{}"
        await store.close()
        for stranger in (f"redis://127.0.0.1:{port}/0", f"redis://default:x@127.0.0.1:{port}/0"):
            async with redis.Redis.from_url(stranger) as client:
                with pytest.raises(RedisError):
                    await client.ping()
