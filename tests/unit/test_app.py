"""A process serves a store it has compared with its topic, and ends when a part of it fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from services.complaints.settings import Settings
from shared.contracts.reasons import Reason
from shared.kernel import Schema
from shared.runtime import service as module
from shared.runtime.engine.redis_store import unavailable
from shared.runtime.engine.store import Commit
from shared.runtime.faults import Unavailable
from shared.runtime.kafka import watch
from shared.testing.memory_store import MemoryStore
from tests.suites.services import MASTER, Aboard


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0)


@pytest.fixture
def app(aboard: Aboard):
    return aboard.apps["complaints"]


@pytest.fixture
async def store(aboard: Aboard, app) -> MemoryStore:
    """The store as a process finds it that has just started: with three lines, and unopened."""
    store = aboard.stores["complaints"]
    await store.commit(Commit((), (), (), [b"1", b"2", b"3"]))
    fresh = MemoryStore(kept=store.kept)
    app.parts.store = app.parts.settler.store = fresh
    return fresh


def topic_ends_at(monkeypatch, app, *sequences: int | None) -> None:
    """What one look at the topic after the other finds; the last for good."""
    found = list(sequences)

    async def look(_owner: str, _bootstrap: object) -> int | None:
        await asyncio.sleep(0)
        return found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(module, "last_published", look)


@asynccontextmanager
async def background(coroutine) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


# ---- generation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [4, None])
async def test_an_old_store_or_one_that_cannot_be_compared_is_not_served_and_asking_changes_nothing(
    aboard: Aboard, app, store, monkeypatch, published
):
    topic_ends_at(monkeypatch, app, published)
    async with background(app._open_generation()) as opening, aboard.http("complaints") as phone:
        for _ in range(5):
            await turns()
            assert (await phone.get("/ready")).status_code == 503
            with pytest.raises(Unavailable, match=Reason.STORE_STALE.value):
                await store.read([])
        assert not opening.done()


async def test_a_store_as_new_as_its_topic_is_served(aboard: Aboard, app, store, monkeypatch):
    topic_ends_at(monkeypatch, app, None, 3)
    async with asyncio.timeout(10):
        await app._open_generation()
    async with aboard.http("complaints") as phone:
        ready = await phone.get("/ready")
    assert ready.status_code == 200
    assert ready.json() == {"generation": True, "schema": True, "store": True, "commits": True}


async def test_a_service_whose_commits_are_refused_is_not_ready(
    aboard: Aboard, app, store, monkeypatch
):
    topic_ends_at(monkeypatch, app, 3)
    async with asyncio.timeout(10):
        await app._open_generation()
    store._outbox_max = len(store.kept.lines)
    async with aboard.http("complaints") as phone:
        ready = await phone.get("/ready")
    assert ready.status_code == 503
    assert ready.json() == {"generation": True, "schema": True, "store": True, "commits": False}


async def test_a_service_whose_store_a_later_build_wrote_says_so_and_serves_nothing(
    aboard: Aboard, app, store, monkeypatch
):
    topic_ends_at(monkeypatch, app, 3)
    later = MemoryStore(kept=store.kept, schemas={"complaint": Schema(9, read_by=9)})
    assert await later.open_generation(3)
    await later.commit(Commit(()))
    app.parts.store = app.parts.settler.store = MemoryStore(
        kept=store.kept, schemas=app.parts.domain.schemas
    )
    with capture_logs() as logs:
        async with background(app._open_generation()), aboard.http("complaints") as phone:
            await turns()
            ready = await phone.get("/ready")
    assert (ready.status_code, ready.json()["schema"]) == (503, False)
    assert [line["reason"] for line in logs if line["event"] == "store_not_usable"] == [
        "store_unreadable"
    ]


async def test_a_login_that_the_store_refuses_is_told_even_where_the_store_was_away_before(
    aboard: Aboard, app, store, monkeypatch
):
    topic_ends_at(monkeypatch, app, 3)
    errors = [RedisConnectionError(), RedisConnectionError(), AuthenticationError("of alice")]

    async def refuses(_published: int | None) -> bool:
        await asyncio.sleep(0)
        error = errors.pop(0) if len(errors) > 1 else errors[0]
        raise unavailable(error) from error

    monkeypatch.setattr(store, "open_generation", refuses)
    with capture_logs() as logs:
        async with background(app._open_generation()):
            await turns()
    told = [line for line in logs if line["event"] == "store_not_usable"]
    assert [(line["reason"], line["error"]) for line in told] == [
        ("store_unavailable", "ConnectionError"),
        ("store_unavailable", "AuthenticationError"),
    ]


async def test_a_service_that_stops_is_not_ready_from_that_moment_on(
    aboard: Aboard, app, store, monkeypatch
):
    """So no new request is sent to it while it answers those that it has."""
    topic_ends_at(monkeypatch, app, 3)
    app.parts.settings = app.parts.settings.model_copy(update={"face": "api"})
    stopping = asyncio.Event()
    async with background(app.run(stopping)) as running, aboard.http("complaints") as phone:
        await until(lambda: store.usable)
        assert (await phone.get("/ready")).status_code == 200
        stopping.set()
        ready = await phone.get("/ready")
        assert (ready.status_code, ready.json()["running"]) == (503, False)
        await running


@pytest.mark.parametrize("published", [0, 7, None])
async def test_a_store_is_begun_where_nothing_was_ever_published_and_nowhere_else(
    app, store, monkeypatch, published
):
    store.lose()
    topic_ends_at(monkeypatch, app, published)
    async with background(app._open_generation()) as opening:
        if published == 0:
            async with asyncio.timeout(10):
                await opening
        await turns()
        assert store.usable is (published == 0)
        assert bool(store.kept.marker) is (published == 0)


async def test_two_processes_that_find_an_empty_store_begin_it_once(app, store, monkeypatch):
    store.lose()
    topic_ends_at(monkeypatch, app, 0)
    await app._open_generation()
    marker = store.kept.marker
    app.parts.store = MemoryStore(kept=store.kept)
    await app._open_generation()
    assert store.kept.marker == marker
    assert store.usable


@pytest.mark.parametrize("published", [3, None])
async def test_after_the_connection_was_lost_the_store_is_compared_again_before_it_is_served(
    app, store, monkeypatch, published
):
    topic_ends_at(monkeypatch, app, 3, published)
    await app._open_generation()
    async with background(app._keep_generation()) as keeping:
        await turns()
        store.lost_connection()
        assert not store.usable
        await until(lambda: store.usable)

        store.kept.sequence = 2
        store.lost_connection()
        await turns()
        assert not store.usable
        store.kept.sequence = 3
        await until(lambda: store.usable)
        assert not keeping.done()


async def test_a_store_that_is_emptied_under_a_running_process_is_never_begun_anew(
    app, store, monkeypatch
):
    """It may have published nothing and still hold what it heard from others."""
    store.lose()
    topic_ends_at(monkeypatch, app, 0)
    await app._open_generation()
    async with background(app._keep_generation()):
        store.lose()
        with pytest.raises(Unavailable, match=Reason.STORE_STALE.value):
            await store.read([])
        await turns()
        assert not store.usable
        assert store.kept.marker == ""


# ---- background ----------------------------------------------------------------------------------


class Ended(BaseException):
    """Stands in for the end of the process."""


@pytest.fixture
def ended(monkeypatch) -> list[str]:
    ends: list[str] = []
    monkeypatch.setattr(module, "end_process", ends.append)
    return ends


async def test_a_part_that_fails_ends_the_process_and_says_where_it_failed_and_not_what(ended):
    async def relay() -> None:
        await asyncio.sleep(0)
        raise ValueError("a line with secret words")

    with capture_logs() as logs:
        task = module.watched(asyncio.create_task(relay(), name="relay"))
        await asyncio.gather(task, return_exceptions=True)
        await turns(2)
    assert ended == ["background"]
    (line,) = logs
    assert (line["event"], line["log_level"], line["part"], line["error"]) == (
        "background_failed",
        "critical",
        "relay",
        "ValueError",
    )
    assert line["at"].startswith("test_app.py:")
    assert "secret" not in str(line)


async def test_a_part_that_is_told_to_stop_ends_nothing(ended):
    task = module.watched(asyncio.create_task(asyncio.sleep(60)))
    await turns(2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await turns(2)
    assert ended == []


@pytest.mark.parametrize("part", ["Relay", "Timers"])
async def test_every_part_of_a_running_service_is_watched(app, store, monkeypatch, ended, part):
    topic_ends_at(monkeypatch, app, 3)
    stopping = asyncio.Event()

    async def broken(_self) -> None:
        raise ZeroDivisionError

    async def waits(_self, *_: object) -> None:
        await asyncio.sleep(60)

    for name in ("Relay", "Timers"):
        monkeypatch.setattr(getattr(module, name), "run", broken if name == part else waits)
    monkeypatch.setattr(module.App, "_start_stream", waits)
    # A look at a stream that never started makes Faust open the loop of a thread, and nobody closes it.
    monkeypatch.setattr(module.Stream, "watch", waits)
    app.on_timer = {"look": None}
    closed: list[str] = []

    async def on_stop() -> None:
        closed.append("closed")

    app.on_stop = on_stop
    async with background(app.run(stopping)) as running:
        await until(lambda: bool(ended))
        assert closed == []
        stopping.set()
        async with asyncio.timeout(10):
            await running
    assert (ended, closed) == (["background"], ["closed"])


async def test_a_topic_that_cannot_be_read_is_unknown_and_not_empty(app, monkeypatch):
    class Consumer:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def start(self) -> None:
            raise KafkaError

        async def stop(self) -> None: ...

    monkeypatch.setattr(watch, "AIOKafkaConsumer", Consumer)
    assert await module.last_published("compensation", "nowhere.invalid:1") is None


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ([b'{"sequence":"7"}', b"\xff\x00 junk"], 7),
        ([b'{"sequence":"7"}', b"[]", b"null", b"", b'{"sequence":"x"}', b'{"sequence":null}'], 7),
        ([b"junk", b'{"sequence":"7"}'], 7),
        ([b"junk", b"{}"], 1),
        ([b'{"sequence":"7"}', b'{"sequence":"%s"}' % (b"9" * 21)], 7),
        ([b'{"sequence":"7"}', b'{"sequence":"%s"}' % (b"9" * 5000)], 7),
        ([b'{"sequence":"7"}', b'{"sequence":1e400}', b'{"sequence":Infinity}'], 7),
    ],
)
async def test_records_at_the_end_of_a_topic_that_are_no_lines_do_not_prevent_a_start(
    monkeypatch, values, last
):
    place = TopicPartition("recovery.notifier.v1", 0)

    class Consumer:
        async def beginning_offsets(self, _places):
            return {place: 0}

        async def end_offsets(self, _places):
            return {place: len(values)}

    @asynccontextmanager
    async def consumer(*_: object) -> AsyncIterator[Consumer]:
        yield Consumer()

    async def first(_consumer, offsets):
        return {at: SimpleNamespace(value=values[offset]) for at, offset in offsets.items()}

    monkeypatch.setattr(module, "groupless_consumer", consumer)
    monkeypatch.setattr(module, "partitions", lambda *_: [place])
    monkeypatch.setattr(module, "first_records", first)
    assert await module.last_published("notifier", "nowhere.invalid:1") == last


# ---- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://canary@store", "redis://store"),
        ("redis://:canary@store:6379", "redis://store:6379"),
        # pragma: allowlist nextline secret
        ("rediss://user:canary@store.example:6379/2", "rediss://store.example:6379/2"),
        # pragma: allowlist nextline secret
        ("redis://user:canary@[::1]:6379/2", "redis://[::1]:6379/2"),
        ("redis://store:6379/0?password=canary@x", "redis://store:6379/0"),
        # pragma: allowlist nextline secret
        ("redis://user:can@ary@store:6379/0", "redis://store:6379/0"),
        # A character that should have been escaped: no part of it can be told from the password.
        ("redis://12/34canary@store:6379/0", "hidden"),
        ("unix:///run/store.sock?password=canary", "hidden"),
    ],
)
def test_the_address_of_the_store_is_printed_without_what_opens_it(tmp_path, url, printed):
    settings = Settings(
        KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:1",
        REDIS_URL=url,
        master_key=b64encode(MASTER).decode(),
        jwks=tmp_path,
    )
    assert settings.redis_url == url
    shown = settings.model_dump(mode="json")
    assert shown["redis_url"] == printed
    assert not any(part in f"{shown}{settings!r}" for part in ("canary", "12/34"))


# ---- open files ----------------------------------------------------------------------------------

ASKS = """
import resource, sys
from shared.runtime import service
resource.setrlimit(resource.RLIMIT_NOFILE, (256, int(sys.argv[1])))
service.open_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("most", "opens"), [(module.FILES + 1, module.FILES), (512, 512)])
def test_a_process_may_open_as_many_files_as_it_has_connections_for(most: int, opens: int):
    done = subprocess.run(
        [sys.executable, "-c", ASKS, str(most)], capture_output=True, text=True, check=True
    )
    *said, opened = done.stdout.splitlines()
    assert int(opened) == opens
    assert ("few_files" in "".join(said) + done.stderr) == (opens < module.FILES)
