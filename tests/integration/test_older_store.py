"""A store that came back older: what was acknowledged and is not in it is read again, once.

The lost commits need not have published anything, so the sequence does not tell; the fences do.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from redis.asyncio import Redis
from structlog.testing import capture_logs

from devstack.stack import Stack
from shared.contracts.reasons import Reason
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.faults import Unavailable
from shared.runtime.kafka import consumer as kafka
from shared.runtime.kafka.consumer import Stream
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.runtime.kafka.watch import waiting_for
from shared.testing.builders import record
from tests.suites.streams import administration, heard, make, put, streaming, true_soon
from tests.suites.tally import Heard, Tally, on_heard


class Ended(BaseException):
    """The process would have ended."""


@pytest.fixture
def name() -> str:
    return f"things-{uuid.uuid4().hex}"


class Here:
    """A topic of one partition, read by one stream after the other into one Redis."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.name = stack, name
        self.redis = Redis.from_url(stack.redis_url)
        self.store = RedisStore(stack.redis_url, name)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Stream]:
        """A stream on a store that a process has just opened."""
        store, self.store = self.store, RedisStore(self.stack.redis_url, self.name)
        await store.close()
        assert await self.store.open_generation(0)
        async with streaming(self.stack, self.name, self.store) as stream:
            yield stream

    async def hear(self, *numbers: int) -> None:
        """Publish, and wait until it is settled and acknowledged."""
        await put(self.stack, self.name, {0: [heard(number) for number in numbers]})
        await self.settled(numbers[-1])

    async def settled(self, last: int) -> None:
        """Wait until everything up to an offset is applied, once, and acknowledged."""
        group = f"recovery-{self.name}"

        async def done() -> bool:
            fence, tally = await self.store.read([f"fence:{self.name}:0", "tally:a"])
            return (
                f'"offset":{last},' in fence.body.decode()
                and Tally.model_validate_json(tally.body).total == last + 1
                and not await waiting_for(self.stack.bootstrap, group, [self.name])
            )

        await true_soon(done)

    async def copy(self) -> dict[bytes, bytes]:
        """What Redis holds of this service."""
        keys = [key async for key in self.redis.scan_iter(match=f"{self.name}:*")]
        return {key: await self.redis.dump(key) for key in keys}

    async def restore(self, copied: dict[bytes, bytes]) -> None:
        """Bring Redis back to what it held."""
        await self.redis.delete(*await self.copy())
        for key, value in copied.items():
            await self.redis.restore(key, 0, value)


@pytest.fixture
async def here(stack: Stack, name: str) -> AsyncIterator[Here]:
    await make(stack, name)
    made = Here(stack, name)
    assert await made.store.begin_generation("first", 0)
    yield made
    await made.store.close()
    await made.redis.aclose()


@pytest.mark.parametrize("applied", [0, 2])
async def test_what_was_acknowledged_and_is_not_in_the_store_is_settled_after_a_start(
    here: Here, applied: int
):
    """INV-02, INV-04: also by a store that holds nothing of the partition."""
    old = await here.copy()
    async with here.process():
        if applied:
            await here.hear(*range(applied))
            old = await here.copy()
        await here.hear(*range(applied, 5))
    await here.restore(old)
    with capture_logs() as logs:
        async with here.process():
            await here.settled(4)
            await here.hear(5)
    assert [
        (line["offset"], line["acknowledged"]) for line in logs if line["event"] == "reads_again"
    ] == [(applied, 5)]
    with capture_logs() as logs:
        async with here.process():
            await here.hear(6)
    assert not [line for line in logs if line["event"] == "reads_again"]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the process would have ended."""
    reasons: list[str] = []

    def end(why: str) -> NoReturn:
        reasons.append(why)
        raise Ended

    monkeypatch.setattr(kafka, "end_process", end)
    return reasons


async def test_a_process_ends_when_the_store_it_runs_on_comes_back_older(here: Here, ended):
    inbox = Inbox(here.name, [Handler(Heard, deciding(on_heard))])
    async with here.process() as stream:
        await here.hear(0, 1)
        old = await here.copy()
        await here.hear(2)
        await stream.end_if_cut([here.name])
        await here.restore(old)
        with pytest.raises(Ended):
            await stream.end_if_cut([here.name])
        with pytest.raises(Ended):
            await stream._settle(inbox, 0, [record(Heard(name="a"), 3)])
        assert old == await here.copy()
    assert ended == ["store_older", "store_older"]


async def test_an_assignment_waits_for_a_store_that_is_away_and_ends_the_process_at_last(
    here: Here, ended, monkeypatch
):
    place = TopicPartition(here.name, 0)
    answers: list[Exception | None] = [Unavailable(Reason.STORE_UNAVAILABLE), None]
    async with here.process() as stream:
        applied = stream._settler.applied

        async def sometimes(places: Sequence[tuple[str, int]]) -> Sequence[int]:
            if answer := answers.pop(0):
                raise answer
            return await applied(places)

        monkeypatch.setattr(stream._settler, "applied", sometimes)
        assert await stream._applied_soon([place]) == {place: -1}
        monkeypatch.setattr(kafka, "SEEK_S", 0.0)
        answers += [Unavailable(Reason.STORE_UNAVAILABLE)] * 100
        with pytest.raises(Ended):
            await stream._applied_soon([place])
    assert ended == ["world_away"]


async def test_what_retention_took_meanwhile_is_said_and_what_is_left_is_settled(here: Here):
    async with here.process():
        await here.hear(0)
        old = await here.copy()
        await here.hear(1, 2, 3)
    async with administration(here.stack) as admin:
        place = TopicPartition(here.name, 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=3)})
    await here.restore(old)

    async def settled() -> bool:
        (fence,) = await here.store.read([f"fence:{here.name}:0"])
        return b'"offset":3,' in fence.body

    with capture_logs() as logs:
        async with here.process():
            await true_soon(settled)
    assert [
        (line["offset"], line["first"]) for line in logs if line["event"] == "records_gone"
    ] == [(1, 3)]
