"""The relay stops in time while Kafka is away, and nothing is lost or reordered by it."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from pydantic_core import from_json

from devstack.stack import Stack
from shared.runtime.engine.relay import Relay
from shared.runtime.engine.store import Commit, Line
from shared.testing.memory_store import MemoryStore

TOPIC = "recovery.stopped.v1"
PARTITIONS = 3
#: A supervisor kills after 30 s as a rule, and a relay is a part of what has to stop until then.
STOPS_WITHIN_S = 15


def lines(first: int) -> list[bytes]:
    return [
        Line(TOPIC, f"k{n % 7}", b'{"time":"2026-06-01T00:00:00Z","n":%d}' % n).encode()
        for n in range(first, first + 50)
    ]


def on_kafka(stack: Stack) -> list[list[int]]:
    """The sequences of each partition, in its order."""
    places = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    with closing(KafkaConsumer(bootstrap_servers=stack.bootstrap)) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        found: list[list[int]] = [[] for _ in places]
        while any(consumer.position(place) < ends[place] for place in places):
            for place, records in consumer.poll(500).items():
                found[place.partition] += [int(from_json(r.value)["sequence"]) for r in records]
    return found


async def test_a_stop_with_lines_in_flight_while_kafka_is_away_loses_and_reorders_nothing(
    stack: Stack,
):
    if not stack.can_be_killed:
        pytest.skip(f"a broker from {stack.source} is not ours to kill")
    with closing(KafkaAdminClient(bootstrap_servers=stack.bootstrap)) as admin:
        admin.create_topics({TOPIC: {"num_partitions": PARTITIONS}}, wait_for_metadata=True)
        admin.wait_for_topics([TOPIC], timeout_ms=30_000)
    store = MemoryStore()
    await store.begin_generation("first", 0)

    def relaying() -> asyncio.Task[None]:
        relay = Relay(
            store, owner="x", holder="me", bootstrap=stack.bootstrap, crash=lambda _: None
        )
        return asyncio.create_task(relay.run())

    task = relaying()
    await store.commit(Commit((), (), (), lines(0)))
    assert await store.wait_published(50, 30_000)
    await asyncio.to_thread(stack.kill_kafka)
    try:
        await store.commit(Commit((), (), (), lines(50)))
        assert not await store.wait_published(51, 2_000), "they are in flight"
        task.cancel()
        await asyncio.wait({task}, timeout=STOPS_WITHIN_S)
        assert task.done()
        assert (await store.pending(100))[0] == 51
        assert len((await store.pending(100))[1]) == 50
    finally:
        await asyncio.to_thread(stack.start_kafka)
    task = relaying()
    assert await store.wait_published(100, 30_000)
    task.cancel()
    await asyncio.wait({task}, timeout=STOPS_WITHIN_S)
    found = on_kafka(stack)
    assert sorted(number for numbers in found for number in numbers) == list(range(1, 101))
    assert all(numbers == sorted(numbers) for numbers in found)
