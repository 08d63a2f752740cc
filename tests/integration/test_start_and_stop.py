"""How a process starts on topics as they are found in the world, and stops whatever holds it."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError

from devstack.processes import STOP_TIMEOUT_S
from shared.contracts.complaints import ComplaintReceived
from shared.runtime.kafka import consumer as kafka
from shared.runtime.kafka import watch
from shared.runtime.kafka.consumer import EXIT_BROKEN
from shared.runtime.service import last_published
from shared.testing.memory_store import MemoryStore
from tests.suites.streams import (
    DEADLINE_S,
    administration,
    heard,
    make,
    put,
    streaming,
    true_soon,
)
from tests.system.world import complaint, until, world


class Ended(BaseException):
    """The process would have ended."""


@pytest.fixture
def ended(monkeypatch) -> list[str]:
    """Why the process would have ended."""
    reasons: list[str] = []

    def end(why: str) -> NoReturn:
        reasons.append(why)
        raise Ended

    monkeypatch.setattr(kafka, "end_process", end)
    monkeypatch.setattr(watch, "CUT_AGAIN_S", 0.1)
    monkeypatch.setattr(kafka, "LOOK_S", 0.2)
    return reasons


@pytest.fixture
def name() -> str:
    return f"things-{uuid.uuid4().hex}"


# ---- the last sequence ---------------------------------------------------------------------------


def line(sequence: int) -> bytes:
    return b'{"sequence":"%d"}' % sequence


async def test_the_last_line_is_found_where_retention_has_emptied_a_partition(stack, name):
    topic = f"recovery.{name}.v1"
    await make(stack, topic, 3)
    assert await last_published(name, stack.bootstrap) == 0
    await put(stack, topic, {0: [line(1), line(3)], 1: [line(2), line(4)]})
    assert await last_published(name, stack.bootstrap) == 4
    async with administration(stack) as admin:
        await admin.delete_records({TopicPartition(topic, 1): RecordsToDelete(before_offset=2)})
        assert await last_published(name, stack.bootstrap) == 3
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=2)})
    # Nothing is left, but something was: a store that is empty may not be begun on it.
    assert await last_published(name, stack.bootstrap) == 1


async def test_the_last_line_is_found_in_time_however_many_partitions_there_are(stack, name):
    topic = f"recovery.{name}.v1"
    await make(stack, topic, 110)
    await put(stack, topic, {place: [line(place + 1)] * 2 for place in range(110)})
    assert await last_published(name, stack.bootstrap) == 110


# ---- streams that cannot go on -------------------------------------------------------------------


async def store() -> MemoryStore:
    made = MemoryStore()
    await made.begin_generation("first", 0)
    return made


async def applied_to(kept: MemoryStore, name: str, offset: int) -> None:
    async def applied() -> bool:
        (fence,) = await kept.read([f"fence:{name}:0"])
        return f'"offset":{offset}' in (fence.body or b"").decode()

    await true_soon(applied)


async def test_a_stream_in_a_group_that_grows_and_shrinks_has_not_crashed(stack, name, ended):
    await make(stack, name, 2)
    kept = await store()
    async with streaming(stack, name, kept) as stream:
        watching = asyncio.create_task(stream.watch())
        async with streaming(stack, name, kept) as other:
            assert other.share()
        await true_soon(lambda: asyncio.sleep(0, len(stream.share() or ()) == 2))
        await put(stack, name, {0: [heard(0)]})
        await applied_to(kept, name, 0)
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert ended == []


async def test_a_topic_that_was_made_anew_is_never_passed_over(stack, name, ended):
    """faults.md case 27: what was applied from the old one says nothing of the new one."""
    await make(stack, name)
    kept = await store()
    async with streaming(stack, name, kept) as stream:
        await put(stack, name, {0: [heard(0), heard(1), heard(2)]})
        await applied_to(kept, name, 2)
        await stream.end_if_cut([name])
    async with administration(stack) as admin:
        await admin.delete_topics([name])
    with pytest.raises((KafkaError, OSError)):  # whichever comes first: no such topic, or no answer
        await stream.end_if_cut([name])
    await make(stack, name)
    await put(stack, name, {0: [heard(3)]})
    with pytest.raises(Ended):
        await stream.end_if_cut([name])
    with pytest.raises(Ended):
        async with asyncio.timeout(DEADLINE_S):
            await stream._watch_topics()
    assert ended == ["topic_cut", "topic_cut"]


# ---- processes -----------------------------------------------------------------------------------


class BadName(str):
    """A name that is encoded to what is no text."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return b"ce_\xff"


def test_a_process_reads_what_is_no_text_and_stops_in_time_whatever_holds_it(tmp_path):
    with world(tmp_path) as here:
        service = here.start("complaints")
        service.wait_ready()
        now = datetime.now(UTC)
        here.publish([complaint("bad", at=now)], headers=[(BadName(), b"v")], partition=0)
        here.publish([complaint("good", at=now)], partition=0)
        received = ComplaintReceived.TYPE.encode()
        until(
            lambda: any(received in read.value for read in here.read(ComplaintReceived.TOPIC)),
            "the record behind it",
        )
        assert len(here.read("recovery.complaints.dlq.v1")) == 1

        with socket.create_connection(("127.0.0.1", here.ports["complaints"])) as caller:
            caller.sendall(
                b"POST /v1/complaints HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\n"
                b"Content-Type: application/json\r\nContent-Length: 1000\r\n"
                + f"Authorization: {here.bearer('e-ingrid')['Authorization']}\r\n\r\n{{".encode()
            )
            with here.phone("complaints") as phone:
                assert phone.get("/live").status_code == 200
            assert service.stop() == 0

        service = here.start("complaints")
        service.wait_ready()
        here.stack.kill_kafka()
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(DEADLINE_S) in {0, EXIT_BROKEN}
        assert time.monotonic() - began < STOP_TIMEOUT_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_process_that_is_told_to_stop_again_and_again_ends_well(tmp_path, number):
    """Also while it closes, when nothing listens to signals any more."""
    with world(tmp_path) as here:
        service = here.start("complaints")
        service.wait_ready()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while service.process.poll() is None:
            assert time.monotonic() < deadline
            service.process.send_signal(number)
            time.sleep(0.001)
        assert service.process.returncode == 0
