"""Complaint raised → triaged fact by the real service, beside a bare loop that keeps nothing.

A third side, on quixstreams, keeps state exactly once. A side is stopped (SIGSTOP) while its events are
published, and measured from SIGCONT on. The broker stamps every fact as it arrives (LogAppendTime), so that
no side measures itself and no reader runs beside it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

from kafka import KafkaConsumer, TopicPartition

from bench import world
from bench.decision import MARGIN, pid
from bench.meter import Meter, spent
from bench.report import Comparison, Turn
from devstack.processes import Service, Services
from devstack.stack import Stack
from shared.contracts.catalogue import PARTITIONS
from shared.contracts.complaints import ComplaintReceived, ComplaintTriaged
from shared.contracts.intake import ComplaintRaised
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Fact

TURN_DEADLINE_S = 120.0
LOOK_S = 0.05
#: Events that a process sees before it is measured.
WARM_UP = 2000
#: A rate at which no event queues: the latency is processing time alone.
PACED_RATE = 200
PACED_EVENTS = 400
#: Longer than a process is stopped while its events are published.
SESSION_S = "60"
MARK = b'"type":"' + ComplaintTriaged.TYPE.encode() + b'"'
BARE_LACKS = (
    "The bare loop parses and triages as the product does, writes one fact and commits once Kafka has it."
    " It seals nothing, makes no key for the customer, keeps no state, sets no timer and has no fence:"
    " a crash repeats records, and a repeated event gives a second fact."
)
QUIX_LACKS = (
    "The peer on quixstreams parses and triages as the product does, and commits one fact, the complaint's"
    " state and its progress in one transaction of Kafka, exactly once. It seals nothing, makes no key for"
    " the customer, writes one fact and not three, sets no timer, and its state is at one process and not"
    " in a store that others can ask. Its time ends when its last transaction is committed."
)


class TooSlow(Exception):
    """A turn did not end in time."""


@dataclass
class Side:
    """One side: its processes, its intake and the topic of its facts."""

    services: Sequence[Service]
    intake: str
    #: Facts on the topic per complaint, one of them the triaged fact.
    facts_each: int
    eyes: KafkaConsumer
    places: list[TopicPartition]
    meter: Meter
    #: Whether what counts is the progress that it committed, because its facts count only then.
    transactional: bool = False
    #: Events per second in the turn before.
    rate: float = 0.0
    #: What makes so many events, and by what its fact of an event is known.
    events: Callable[[int, str], list[bytes]] = world.raised_events
    mark: bytes = MARK

    def progress(self) -> int:
        """The number of facts on the topic, or of events of which progress is committed."""
        if not self.transactional:
            return sum(self.eyes.end_offsets(self.places).values())
        events = [TopicPartition(self.intake, place.partition) for place in self.places]
        return sum(self.eyes.committed(place) or 0 for place in events)

    def wait(self, since: int, count: int) -> float:
        """Wait until all of so many events are done; returns the time of noticing. Raises TooSlow."""
        deadline = time.monotonic() + TURN_DEADLINE_S
        all_of_it = since + (1 if self.transactional else self.facts_each) * count
        while (there := self.progress()) < all_of_it:
            ended = any(service.process.poll() is not None for service in self.services)
            if ended or time.monotonic() > deadline:
                one = self.services[0]
                raise TooSlow(f"{one.name}: {there - since} of {all_of_it - since}, see {one.log}")
            time.sleep(LOOK_S)
        return time.time()

    def triaged_at(self, count: int) -> list[float]:
        """The broker's time of each triaged fact of the turn, in seconds; raises TooSlow."""
        deadline = time.monotonic() + TURN_DEADLINE_S
        moments: list[float] = []
        while len(moments) < count:
            for records in self.eyes.poll(timeout_ms=200, max_records=10_000).values():
                moments += [got.timestamp / 1000 for got in records if self.mark in got.value[:400]]
            if time.monotonic() > deadline:
                raise TooSlow(f"{self.services[0].name}: {len(moments)} triaged of {count}")
        return moments

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the processes for a `with` block."""
        for service in self.services:
            service.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for service in self.services:
                service.process.send_signal(signal.SIGCONT)


def side(
    stack: Stack,
    services: Sequence[Service],
    intake: str,
    triaged: str,
    facts_each: int,
    *,
    store: bool = False,
    group: str | None = None,
) -> Side:
    """A side and the reader of its facts; `group` is that of a side whose facts count once committed."""
    eyes = KafkaConsumer(
        bootstrap_servers=stack.bootstrap,
        group_id=group,
        isolation_level="read_committed" if group else "read_uncommitted",
        enable_auto_commit=False,
    )
    places = [TopicPartition(triaged, partition) for partition in range(PARTITIONS)]
    eyes.assign(places)
    eyes.seek_to_end(*places)
    for place in places:
        eyes.position(place)
    servers = {
        name: pids for name, pids in world.servers(stack).items() if store or name != "redis"
    }
    meter = Meter({"service": pid(*services), **servers}, stack.redis_url if store else None)
    return Side(services, intake, facts_each, eyes, places, meter, group is not None)


@dataclass(frozen=True)
class Pipeline:
    """Publishes events for a side and measures it."""

    publisher: world.Publisher

    def drain(self, one: Side, count: int) -> Turn:
        """Events per second from the start signal to the last triaged fact."""
        run = token_hex(4)
        events = one.events(count, run)
        since = one.progress()
        with one.stopped():
            # State is kept by key, so a side with state gets each event under a key of its own.
            keys = [f"{run}-{n}".encode() if one.transactional else None for n in range(count)]
            self.publisher.send(
                [(one.intake, key, event) for key, event in zip(keys, events, strict=True)]
            )
            before = one.meter.read()
            began = time.time()
        noticed = one.wait(since, count)
        after = one.meter.read()
        moments = one.triaged_at(count)
        # By now the outbox is empty again.
        after = replace(after, memory_bytes=one.meter.read().memory_bytes)
        seconds = (noticed if one.transactional else max(moments)) - began
        one.rate = count / seconds
        return Turn(one.rate, seconds, spent(before, after, count))

    def warm_up(self, one: Side) -> None:
        """Twice, so that the second time tells the rate of a warm process."""
        self.drain(one, WARM_UP)
        self.drain(one, WARM_UP)

    def turn(self, one: Side, seconds: float) -> Turn:
        """One measured turn of at least so many seconds, with as many events as that takes."""
        return self.drain(one, max(PARTITIONS, int(one.rate * seconds * MARGIN)))

    def pace(self, one: Side) -> tuple[float, float]:
        """p50 and p99 in ms from published to triaged, at a rate at which nobody queues."""
        since = one.progress()
        sent: list[float] = []
        with self.publisher.open() as producer:
            for number, event in enumerate(one.events(PACED_EVENTS, token_hex(4))):
                producer.send(one.intake, event, partition=number % PARTITIONS)
                sent.append(time.time())
                time.sleep(1 / PACED_RATE)
        one.wait(since, PACED_EVENTS)
        got = sorted(one.triaged_at(PACED_EVENTS))
        # At this rate facts are out of order by a batch at most, so the n-th fact counts for the n-th event.
        waits = sorted(max(0.0, end - start) * 1000 for start, end in zip(sent, got, strict=True))
        return waits[len(waits) // 2], waits[int(0.99 * len(waits))]

    def play(
        self, sides: Sequence[Side], rounds: int, seconds: float
    ) -> Iterator[tuple[Turn, ...]]:
        """The turns of all sides, round by round; which side begins changes."""
        for one in sides:
            self.warm_up(one)
        numbers = range(len(sides))
        for number in range(rounds):
            turns = {}
            for which in sorted(numbers, key=lambda which: (which + number) % len(sides)):
                turns[which] = self.turn(sides[which], seconds)
            yield tuple(turns[which] for which in numbers)


def _comparison(peer: str, lacks: str, what: str = "") -> Comparison:
    return Comparison(f"complaint raised → triaged fact{what}", peer, "events/s", peer_lacks=lacks)


def _third(
    stack: Stack, peer: Service, playing: Pipeline, say: Callable[[str], None]
) -> Side | None:
    """The side on quixstreams; None, with a word, if it does not get through its first events."""
    topics = world.QUIX_INTAKE, world.QUIX_TRIAGED
    third = side(stack, [peer], *topics, 1, group=world.QUIX_GROUP)
    try:
        playing.warm_up(third)
    except TooSlow as slow:
        third.eyes.close()
        say(f"skipped: quixstreams does not work here, {slow}")
        return None
    return third


def measure(
    stack: Stack,
    services: Services,
    peer: Service | None,
    say: Callable[[str], None],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Comparison]:
    """All sides in turn, round by round; then two processes of ours beside the bare loop.

    `peer` is the process on quixstreams, if there is one; left out with a word if it does not work.
    Blocks; raises TooSlow.
    """
    ours = [services.start("complaints", session_s=SESSION_S)]
    loop = services.start("bare", module="bench.bare")
    ours[0].wait_ready()
    loop.wait_url(time.monotonic() + TURN_DEADLINE_S)
    # Received and triaged are on our topic; the customer's key is on another.
    product = side(stack, ours, ComplaintRaised.TOPIC, ComplaintTriaged.TOPIC, 2, store=True)
    bare = side(stack, [loop], world.BARE_INTAKE, world.BARE_TRIAGED, 1)
    sides = [product, bare]
    playing = Pipeline(world.Publisher(stack.bootstrap))
    found = {"bare": _comparison("bare aiokafka loop", BARE_LACKS)}
    if peer is not None and (third := _third(stack, peer, playing, say)) is not None:
        sides.append(third)
        found["quixstreams"] = _comparison("quixstreams, exactly-once, with state", QUIX_LACKS)
    found["two"] = _comparison("bare aiokafka loop", BARE_LACKS, ", two processes")
    try:
        for turns in playing.play(sides, rounds, seconds):
            found["bare"].add(turns[0], turns[1])
            if "quixstreams" in found:
                found["quixstreams"].add(turns[0], turns[2])
        for which, one in enumerate((product, bare)):
            found["bare"].paced_ms[which] = playing.pace(one)
        # Of keys, the customer's and that of the words.
        facts: dict[type[Fact], int] = {
            ComplaintReceived: 1,
            ComplaintTriaged: 1,
            CustomerKeyCreated: 2,
        }
        found["bare"].fact_bytes = sum(
            times * world.fact_bytes(stack.bootstrap, fact) for fact, times in facts.items()
        )
        # Appended to the processes of `product` as well, which are this list.
        ours.append(services.start("complaints", session_s=SESSION_S))
        ours[1].wait_ready()
        both = {**product.meter.processes, "service": pid(*ours)}
        product.meter = replace(product.meter, processes=both)
        for first, second in playing.play([product, bare], rounds, seconds):
            found["two"].add(first, second)
        return found
    finally:
        for one in sides:
            one.eyes.close()
