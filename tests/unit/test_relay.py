"""The outbox goes to Kafka in commit order, numbered, and is trimmed once everything is confirmed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError
from pydantic_core import from_json

from shared.contracts.event import format_time
from shared.contracts.reasons import Reason
from shared.runtime.engine import relay as module
from shared.runtime.engine.relay import Relay, partition_of
from shared.runtime.engine.store import Commit, Line
from shared.runtime.faults import Unavailable
from shared.runtime.observe import OUTBOX_OLDEST, OUTBOX_WAITING, RELAY_TURN_LINES
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore
from tests.suites.tally import Heard

BATCH = 4


class Batch:
    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes, list]] = []

    def append(self, *, key, value, timestamp, headers):
        if len(self.records) == BATCH:
            return None
        self.records.append((key, value, headers))
        return True

    def close(self) -> None:
        pass


class Producer:
    """What the relay asks of its producer; confirms a batch only after others had their turn."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.topics: dict[tuple[str, int], list[tuple[bytes, bytes, list]]] = {}
        self.unconfirmed: set[tuple[str, int]] = set()
        self.fails_at: int | None = None

    async def partitions_for(self, topic):
        return set(range(self.partitions))

    def create_batch(self):
        return Batch()

    async def send_batch(self, batch, topic, *, partition):
        place = (topic, partition)
        assert place not in self.unconfirmed, "a later batch went before an earlier was confirmed"
        if partition == self.fails_at:
            raise KafkaConnectionError
        self.unconfirmed.add(place)
        self.topics.setdefault(place, []).extend(batch.records)

        async def confirmed():
            for _ in range(20):  # more turns of the loop than anything but waiting for it takes
                await asyncio.sleep(0)
            self.unconfirmed.discard(place)

        return asyncio.ensure_future(confirmed())


def lines(*keys: str, time: datetime = START) -> list[bytes]:
    at = format_time(time).encode()
    return [
        Line("recovery.x.v1", key, b'{"time":"%b","n":%d}' % (at, n)).encode()
        for n, key in enumerate(keys)
    ]


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.begin_generation("first", 41)
    return store


def relay(store: MemoryStore, holder: str = "me") -> Relay:
    return Relay(store, owner="x", holder=holder, bootstrap="", crash=lambda _: None)


async def test_every_key_keeps_commit_order_across_batches_and_is_numbered(store):
    """INV-08: order on Kafka is commit order."""
    keys = [f"k{n % 7}" for n in range(60)]
    await store.commit(Commit((), (), (), lines(*keys)))
    producer = Producer()
    await relay(store)._turn(producer)
    assert await store.pending(10) == (102, [])
    seen: dict[bytes, list[int]] = {}
    for (_, partition), records in producer.topics.items():
        for key, value, headers in records:
            event = from_json(value)
            assert int(event["sequence"]) == 42 + event["n"]
            assert len(event["sequence"]) == 20
            assert headers == [("content-type", b"application/cloudevents+json")]
            assert partition == partition_of(key.decode(), 3)
            seen.setdefault(key, []).append(event["n"])
    assert sum(map(len, seen.values())) == 60
    assert all(numbers == sorted(numbers) for numbers in seen.values())


async def test_a_dead_letter_goes_with_its_headers_and_without_a_number(store):
    await store.commit(Commit((), (), (), [Line("d", "k", b"sealed", (("reason", "x"),)).encode()]))
    producer = Producer(1)
    await relay(store)._turn(producer)
    assert producer.topics == {("d", 0): [(b"k", b"sealed", [("reason", b"x")])]}


async def test_a_line_goes_to_the_partition_that_it_names(store):
    value = b'{"time":"%b"}' % format_time(START).encode()
    named = [Line("t", "a", value, partition=number).encode() for number in (2, 0, 2)]
    await store.commit(Commit((), (), (), named))
    producer = Producer()
    await relay(store)._turn(producer)
    assert {place: len(found) for place, found in producer.topics.items()} == {
        ("t", 0): 1,
        ("t", 2): 2,
    }


async def test_a_line_for_a_partition_that_is_not_there_waits_and_nothing_goes_elsewhere(store):
    value = b'{"time":"%b"}' % format_time(START).encode()
    named = [Line("t", "a", value, partition=number).encode() for number in (0, 3)]
    await store.commit(Commit((), (), (), named))
    producer = Producer()
    with pytest.raises(UnknownTopicOrPartitionError):
        await relay(store)._turn(producer)
    assert producer.topics == {}
    assert len((await store.pending(10))[1]) == 2


async def test_nothing_is_trimmed_while_one_partition_is_not_confirmed_and_all_come_again(store):
    await store.commit(Commit((), (), (), lines(*"abcdefgh")))
    producer = Producer()
    producer.fails_at = partition_of("a", 3)
    with pytest.raises(KafkaConnectionError):
        await relay(store)._turn(producer)
    assert (await store.pending(10))[0] == 42
    assert len((await store.pending(10))[1]) == 8
    later = Producer()
    await relay(store)._turn(later)
    assert sum(map(len, later.topics.values())) == 8


async def test_what_no_replica_has_is_not_published(store):
    """A replica that takes over would be older than its topic."""

    async def copied():
        raise Unavailable(Reason.STORE_NOT_COPIED)

    store.copied = copied
    await store.commit(Commit((), (), (), lines("a")))
    producer = Producer()
    with pytest.raises(Unavailable):
        await relay(store)._turn(producer)
    assert producer.topics == {}


async def test_what_is_trimmed_was_confirmed_down_to_the_last_line(store):
    """INV-08, and nothing is lost: a line leaves the outbox only once it is on Kafka."""
    producer, trimmed = Producer(), []
    trim = store.trim

    async def look(holder, sequence):
        trimmed.append(set(producer.unconfirmed))
        await trim(holder, sequence)

    store.trim = look
    await store.commit(Commit((), (), (), lines(*(f"k{n}" for n in range(30)))))
    await relay(store)._turn(producer)
    assert trimmed == [set()]


async def test_a_lease_is_prolonged_while_it_still_holds_and_not_at_every_turn(store, monkeypatch):
    """A relay that went on after its lease had run out would send beside another."""
    now, leases = 100.0, []
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    lease = store.lease

    async def look(name, holder, ttl_ms):
        leases.append(now)
        return await lease(name, holder, ttl_ms)

    store.lease = look
    mine = relay(store)
    for _ in range(400):
        await store.commit(Commit((), (), (), lines("a")))
        await mine._turn(Producer())
        now += module.LEASE_MS / 1000 / 40
    apart = [later - one for one, later in pairwise(leases)]
    assert max(apart) < module.LEASE_MS / 1000 * 0.6, "well before it runs out"
    assert min(apart) > module.LEASE_MS / 1000 * 0.4, (
        "a trip to the store for every turn is too many"
    )


async def test_who_does_not_hold_the_lease_sends_nothing(store, monkeypatch):
    monkeypatch.setattr("shared.runtime.engine.relay.LEASE_MS", 1)
    await store.commit(Commit((), (), (), lines("a")))
    assert await store.lease("relay", "other", 1000)
    producer = Producer()
    await relay(store)._turn(producer)
    assert producer.topics == {}


async def test_who_lost_the_lease_while_sending_trims_nothing(store):
    await store.commit(Commit((), (), (), lines("a")))
    mine = relay(store)
    assert await store.lease("relay", "me", 1000)
    mine._leased_until = float("inf")
    await store.release("relay", "me")
    await store.lease("relay", "other", 1000)
    with pytest.raises(Unavailable):
        await mine._turn(Producer())
    assert len((await store.pending(10))[1]) == 1


async def test_a_turn_takes_so_many_bytes_and_a_line_larger_than_that_goes_alone(
    store, monkeypatch
):
    monkeypatch.setattr(module, "BYTES_MAX", 300)
    large = Line("d", "k", b"x" * 1000, (("reason", "x"),)).encode()
    await store.commit(Commit((), (), (), [*lines(*"abc"), large, *lines(*"def")]))
    sizes, mine = [], relay(store)
    while (await store.pending(1))[1]:
        producer = Producer()
        await mine._turn(producer)
        sizes.append(sum(map(len, producer.topics.values())))
    assert sizes == [3, 1, 3]


async def test_the_gauge_counts_all_lines_that_wait_and_not_only_those_of_a_turn(
    store, monkeypatch
):
    monkeypatch.setattr(module, "LINES_MAX", 5)
    await store.commit(Commit((), (), (), lines(*"abcdefghijkl")))
    await relay(store)._turn(Producer())
    assert OUTBOX_WAITING.labels("x")._value.get() == 12
    with pytest.raises(KafkaConnectionError):
        producer = Producer(1)
        producer.fails_at = 0
        await relay(store)._turn(producer)
    assert OUTBOX_WAITING.labels("x")._value.get() == 7


async def test_the_age_of_what_waits_is_that_of_its_first_fact_and_nothing_once_it_is_published(
    store,
):
    dead = Line("d", "k", b"sealed", (("reason", "x"),)).encode()
    hour_ago = lines("a", time=datetime.now(UTC) - timedelta(hours=1))
    await store.commit(Commit((), (), (), [dead, *hour_ago, *lines("b", time=datetime.now(UTC))]))
    age, mine = OUTBOX_OLDEST.labels("x")._value, relay(store)
    await mine._measure()
    assert 3600 <= age.get() < 3700
    await mine._turn(Producer())
    await mine._measure()
    assert age.get() == 0


async def test_a_turn_counts_how_many_lines_it_published(store):
    turns = RELAY_TURN_LINES.labels("x")
    before, mine = turns._sum.get(), relay(store)
    await store.commit(Commit((), (), (), lines(*"abc")))
    await mine._turn(Producer())
    assert turns._sum.get() - before == 3


async def test_while_the_broker_is_away_the_gauge_goes_on_counting(store, monkeypatch):
    class Away:
        def __init__(self, **_: object) -> None: ...

        async def start(self) -> None:
            await store.commit(Commit((), (), (), lines("a")))
            raise KafkaConnectionError

        async def stop(self) -> None: ...

    monkeypatch.setattr(module, "AIOKafkaProducer", Away)
    monkeypatch.setattr(module, "RETRY_S", 0)
    task = asyncio.create_task(relay(store).run())
    async with asyncio.timeout(10):
        while OUTBOX_WAITING.labels("x")._value.get() != 3:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_clean_stop_hands_the_lease_on(store):
    mine = relay(store)
    await store.commit(Commit((), (), (), lines("a")))
    await mine._turn(Producer())
    assert not await store.lease("relay", "other", 1000)
    await mine.release()
    assert await store.lease("relay", "other", 1000)


@pytest.mark.parametrize(
    ("key", "crc"),
    # CRC-32 (IEEE 802.3), the check value of its catalogue entry first; as librdkafka's `consistent`.
    [("123456789", 0xCBF43926), ("", 0), ("a", 0xE8B7BE43), ("abc", 0x352441C2)],
)
@pytest.mark.parametrize("partitions", [1, 3, 12])
def test_the_partition_is_what_other_clients_compute(key, crc, partitions):
    assert partition_of(key, partitions) == crc % partitions


@pytest.mark.parametrize(
    "line",
    [
        Line("t", "k", b"{}"),
        Line("t", "", b"two\nlines\n"),
        Line("t", "k", b"", (("reason", "x"), ("where", ""))),
        Line("t", "k", b"{}", partition=0),
        Line("t", "k", b"{}", (("reason", "x"),), partition=12),
        Line(Heard.TOPIC, "k/1", b"\xff\x00", (("origin-offset", "7"),)),
    ],
)
def test_a_line_comes_out_of_the_store_as_it_went_in(line):
    assert Line.decode(line.encode()) == line
