"""What every test may use: one stack for the whole run, and marks that follow from the folder."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from hypothesis import settings
from kafka.net.inet import KafkaNetSocket
from kafka.net.selector import NetworkSelector

from devstack.stack import (
    KAFKA_SETTINGS,
    REDIS_SETTINGS,
    RUN_DIRECTORY,
    Stack,
    engine_answers,
    free_port,
    running,
    wait_ready,
)
from tests.suites.described import undescribed
from tests.suites.services import Aboard

TESTS = Path(__file__).parent
# The same examples at every run, and no clock in the verdict: a red build is a defect, never bad luck.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
MARKS = {
    "unit", "property", "contracts", "architecture", "deploy", "integration", "browser", "e2e", "live",
}  # fmt: skip


#: Folders whose files take longest: they begin first, so that no worker is left with one at the end.
LONGEST = ("e2e", "integration", "browser", "property")


def folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder it is in, so that no file can forget it; the longest come first."""
    for item in items:
        if folder_of(item) in MARKS:
            item.add_marker(folder_of(item))
    items.sort(key=lambda item: [folder_of(item) != folder for folder in LONGEST])


@pytest.fixture(scope="session", autouse=True)
def closed_sockets() -> Iterator[None]:
    """Close what kafka-python leaves open, so that a socket of our own left open still fails a test.

    Version 3.0.12 leaves two kinds of sockets to the collector: that of a connection with unsent bytes when
    its client is closed, as the loop ends before the writer that would close it
    (`KafkaTCPTransport.close`), and that of every try to connect that fails (`KafkaNetSocket.sock_connect`).
    """
    end, connect = NetworkSelector.close, KafkaNetSocket.sock_connect

    def close(net: NetworkSelector) -> None:
        net.stop()
        sockets = [] if net._closed else [key.fileobj for key in net._selector.get_map().values()]
        end(net)
        for left in sockets:
            left.close()

    async def connecting(
        self: KafkaNetSocket, net: NetworkSelector, sock: socket, *to: Any, **by: Any
    ):
        try:
            return await connect(self, net, sock, *to, **by)
        except BaseException:  # also where the client is closed meanwhile
            sock.close()
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkSelector, "close", close)
        patch.setattr(KafkaNetSocket, "sock_connect", connecting)
        yield


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A Ctrl-C raises here and in processes started here.

    Not so where whoever started the tests ignores it, as a shell that runs them in the background does.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka and a Redis, new and empty, for the whole run.

    `STACK=docker` takes containers instead, and skips where no engine or no compose answers. A test that kills a
    server starts it again before it ends.
    """
    if os.environ.get("STACK") == "docker":
        yield from _containers(tmp_path_factory.mktemp("stack"))
        return
    with running(RUN_DIRECTORY, ephemeral=True) as started:
        yield started


def _containers(directory: Path) -> Iterator[Stack]:
    if not engine_answers():
        pytest.skip("STACK=docker, but `docker info` or `docker compose version` has no answer")
    from testcontainers.community.redis import RedisContainer
    from testcontainers.core.container import DockerContainer

    kafka_port, redis_port = free_port(), free_port()
    advertised = f"PLAINTEXT://127.0.0.1:{kafka_port},INTERNAL://localhost:9094"
    settings = {
        **KAFKA_SETTINGS,
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://localhost:9093,INTERNAL://localhost:9094",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": ",".join(
            f"{name}:PLAINTEXT" for name in ("CONTROLLER", "PLAINTEXT", "INTERNAL")
        ),
        "inter.broker.listener.name": "INTERNAL",
    }
    # Generic: testcontainers' own Kafka class knows the Confluent images only.
    kafka = DockerContainer("apache/kafka:4.4.0").with_bind_ports(9092, kafka_port)
    for name, value in settings.items():
        kafka.with_env("KAFKA_" + name.replace(".", "_").upper(), value)
    redis = RedisContainer("valkey/valkey:9.0").with_bind_ports(6379, redis_port)
    words = [word for name, value in REDIS_SETTINGS.items() for word in (f"--{name}", value)]
    redis.with_command(["valkey-server", *words])
    with kafka, redis:
        started = Stack(
            directory=directory,
            source="engine",
            bootstrap=f"127.0.0.1:{kafka_port}",
            redis_url=f"redis://127.0.0.1:{redis_port}/0",
            ephemeral=True,
            kafka_container=kafka.get_container_id(),
            redis_container=redis.get_container_id(),
        )
        wait_ready(started)
        yield started


@pytest.fixture
async def aboard(tmp_path: Path) -> AsyncIterator[Aboard]:
    """The three services on stores in memory, with the demo policy in force."""
    aboard = await Aboard(tmp_path).begin()
    yield aboard
    assert undescribed(aboard) == [], "a test was answered as no document says"
