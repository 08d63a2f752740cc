"""A topic is read again in the order of decisions: from a moment on, once each, and not without bound."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer
from pydantic_core import to_json

from devstack.stack import Stack
from shared.contracts.compensation import ShiftEnded
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka import history
from shared.runtime.kafka.history import read_history
from shared.testing.builders import event
from tests.suites.streams import make, producer

PARTITIONS = 3
LONG_AGO = datetime(2026, 6, 3, tzinfo=UTC)


def line(number: int, at: datetime) -> bytes:
    """A line as the relay sends it, with its sequence."""
    fact = ShiftEnded(employee_id="e-1", site="ms-aurora", ended_at=at)
    return to_json(event(fact, f"event-{number}", sequence=f"{number:020}"))


async def send(
    sending: AIOKafkaProducer, topic: str, partition: int, numbers: Sequence[int], at: datetime
) -> None:
    for number in numbers:
        at_ms = int(at.timestamp() * 1000)
        await sending.send(topic, line(number, at), partition=partition, timestamp_ms=at_ms)
    await sending.flush()


@pytest.fixture
async def topic(stack: Stack) -> str:
    """Two hundred lines of an earlier day and two hundred of the next, spread by chance."""
    name, chance = f"recovery.{uuid.uuid4().hex}.v1", random.Random(5)
    await make(stack, name, PARTITIONS)
    async with producer(stack) as sending:
        for day in range(2):
            parts: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
            for number in range(200 * day, 200 * day + 200):
                # One partition has few, so that the others wait for it.
                parts[chance.choice([0] * 9 + [1] * 9 + [2])].append(number + 1)
            for partition, numbers in parts.items():
                # A relay that died sends again what it had not trimmed.
                again = [*numbers, *numbers[-5:]]
                await send(sending, name, partition, again, LONG_AGO + timedelta(days=day))
    return name


async def read(stack: Stack, topic: str, since: datetime, records_max: int = 1000) -> list[int]:
    found: list[int] = []
    async for events, done, total in read_history(stack.bootstrap, topic, since, records_max):
        assert events
        assert 0 < done <= total
        found += [one.number for one in events]
    return found


async def test_lines_of_all_partitions_come_in_the_order_of_decisions_and_once(
    stack: Stack, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "HELD_MAX", 7)
    assert await read(stack, topic, LONG_AGO) == list(range(1, 401))


async def test_only_what_was_published_from_the_moment_on_is_read(stack: Stack, topic: str) -> None:
    assert await read(stack, topic, LONG_AGO + timedelta(hours=1)) == list(range(201, 401))
    assert await read(stack, topic, LONG_AGO + timedelta(days=3)) == []


async def test_more_than_may_be_read_is_refused_before_anything_is_read(
    stack: Stack, topic: str
) -> None:
    with pytest.raises(Rejected) as caught:
        await read(stack, topic, LONG_AGO, records_max=300)
    assert caught.value.reason is Reason.HISTORY_TOO_LONG


async def test_without_kafka_or_the_topic_it_says_so(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ANSWER_S", 1.0)
    for bootstrap, name in (("127.0.0.1:1", "any"), (stack.bootstrap, f"no-{uuid.uuid4().hex}")):
        with pytest.raises(Unavailable) as caught:
            async for _ in read_history(bootstrap, name, LONG_AGO, 1000):
                pass
        assert caught.value.reason is Reason.LOG_UNAVAILABLE
