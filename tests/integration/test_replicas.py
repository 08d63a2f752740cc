"""A store with a replica: when it dies and the replica takes over, every answered write is there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis.asyncio as redis

from devstack.stack import REDIS_SETTINGS, free_port, redis_binary
from shared.contracts.reasons import Reason
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.store import Commit, Committed, Write
from shared.runtime.faults import Unavailable
from shared.runtime.wires import StoreAddress
from tests.suites.proxy import Proxy

OWNER = "copied"
WRITERS = 8
#: Writes of each writer before the replica freezes, and after the failover.
WRITES = 25
DEADLINE_S = 60.0


@contextmanager
def server(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server with the settings that the product asks for."""
    directory.mkdir()
    chosen = {**REDIS_SETTINGS, "bind": "127.0.0.1", "port": str(port), "dir": str(directory)}
    words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    with subprocess.Popen([redis_binary(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


async def soon(true, what: str) -> None:
    """Wait until an asynchronous question is answered with yes."""
    async with asyncio.timeout(DEADLINE_S):
        while not await true():
            await asyncio.sleep(0.02)


@pytest.fixture
async def pair(tmp_path):
    """A store with a replica that follows it: processes, clients, and the address of the store."""
    ports = [free_port(), free_port()]
    with (
        server(tmp_path / "first", ports[0]) as first,
        server(tmp_path / "second", ports[1]) as second,
    ):
        clients = [redis.Redis(port=port) for port in ports]
        for client in clients:
            await soon(lambda client=client: answers(client), "a server")
        await clients[1].replicaof("127.0.0.1", ports[0])
        await soon(lambda: follows(clients[1]), "the replica")
        # One address that leads to whichever server is the store now, as a cluster's Service does.
        address = Proxy(ports[0])
        async with address.serving() as port:
            yield first, second, clients[1], address, port, ports[1]
        for client in clients:
            await client.aclose()


async def answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError, OSError):
        return bool(await client.ping())
    return False


async def follows(client: redis.Redis) -> bool:
    return (await client.info("replication"))["master_link_status"] == "up"


async def test_a_write_that_was_answered_survives_the_store_and_one_that_no_replica_has_is_refused(
    pair,
):
    first, second, successor, address, port, other = pair
    store = RedisStore(StoreAddress(f"redis://127.0.0.1:{port}", replicas=1), OWNER)
    assert await store.begin_generation("first", 0)
    accepted: set[str] = set()
    refused: list[Reason] = []

    async def write(name: str) -> None:
        key = f"d:{name}"
        try:
            outcome = await store.commit(Commit([Write(key, 0, b"1")], lines=[b"t\nk\n\n{}"]))
        except Unavailable as error:
            refused.append(error.reason)
        else:
            assert isinstance(outcome, Committed)
            accepted.add(key)

    async def writer(who: int, phase: str) -> None:
        for number in range(WRITES):
            await write(f"{phase}-{who}-{number}")

    await asyncio.gather(*(writer(who, "before") for who in range(WRITERS)))
    assert (len(accepted), refused) == (WRITERS * WRITES, [])
    os.kill(second.pid, signal.SIGSTOP)
    await asyncio.gather(*(write(f"frozen-{who}") for who in range(WRITERS)))
    assert set(refused) == {Reason.STORE_NOT_COPIED}
    assert len(refused) == WRITERS
    with pytest.raises(Unavailable):
        await store.copied()

    first.kill()
    os.kill(second.pid, signal.SIGCONT)
    await soon(lambda: answers(successor), "the replica")
    await successor.replicaof("NO", "ONE")
    address.leads_to = other
    with pytest.raises(Unavailable):  # another run of a server: compared before it is served
        await store.commit(Commit([Write("d:too-early", 0, b"1")]))
    assert await store.open_generation(len(accepted))
    there = {key.decode() async for key in successor.scan_iter(f"{OWNER}:*:d:*")}
    assert {f"{OWNER}:{{c0}}:{key}" for key in accepted} <= there
    await store.close()


async def test_without_replicas_asked_for_nothing_waits_for_them(pair):
    _, second, _, _, port, _ = pair
    store = RedisStore(f"redis://127.0.0.1:{port}", OWNER)
    assert await store.begin_generation("first", 0)
    os.kill(second.pid, signal.SIGSTOP)
    assert isinstance(await store.commit(Commit([Write("d", 0, b"1")])), Committed)
    await store.copied()
    await store.close()
