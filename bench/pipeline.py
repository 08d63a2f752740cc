"""Complaint raised → triaged fact by the real service, beside a bare loop that keeps nothing.

A side is stopped (SIGSTOP) while its events are published, and measured from SIGCONT on. The broker
stamps every fact as it arrives (LogAppendTime), so that neither side measures itself and no reader
runs beside it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from kafka import KafkaConsumer, TopicPartition

from bench import world
from bench.report import Comparison, Turn
from devstack.processes import Service, Services
from devstack.stack import Stack
from shared.contracts.catalogue import PARTITIONS
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.intake import ComplaintRaised

TURN_DEADLINE_S = 60.0
LOOK_S = 0.05
WARM_UP = 2000
#: A rate at which no event queues: the latency is processing time alone.
PACED_RATE = 200
PACED_EVENTS = 400
MARK = b'"type":"' + ComplaintTriaged.TYPE.encode() + b'"'


class TooSlow(Exception):
    """A turn did not end in time."""


@dataclass
class Side:
    """One side: its process, its intake and the topic of its facts."""

    service: Service
    intake: str
    #: Facts on the topic per complaint, one of them the triaged fact.
    facts_each: int
    eyes: KafkaConsumer
    places: list[TopicPartition]

    def ends(self) -> int:
        """The number of facts on the topic now."""
        return sum(self.eyes.end_offsets(self.places).values())

    def triaged_at(self, since: int, count: int) -> list[float]:
        """The broker's time of each triaged fact of the turn, in seconds; blocks until all came."""
        deadline = time.monotonic() + TURN_DEADLINE_S
        while self.ends() < since + self.facts_each * count:
            if time.monotonic() > deadline or self.service.process.poll() is not None:
                raise TooSlow(f"{self.service.name}: {self.ends() - since} facts of {count} events")
            time.sleep(LOOK_S)
        moments: list[float] = []
        while len(moments) < count:
            for records in self.eyes.poll(timeout_ms=200, max_records=10_000).values():
                moments += [got.timestamp / 1000 for got in records if MARK in got.value[:400]]
            if time.monotonic() > deadline:
                raise TooSlow(f"{self.service.name}: {len(moments)} triaged of {count}")
        return moments

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process for a `with` block."""
        self.service.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.service.process.send_signal(signal.SIGCONT)


def side(stack: Stack, service: Service, intake: str, triaged: str, facts_each: int) -> Side:
    """A side and the reader of its facts."""
    eyes = KafkaConsumer(bootstrap_servers=stack.bootstrap, enable_auto_commit=False)
    places = [TopicPartition(triaged, partition) for partition in range(PARTITIONS)]
    eyes.assign(places)
    eyes.seek_to_end(*places)
    for place in places:
        eyes.position(place)
    return Side(service, intake, facts_each, eyes, places)


class Pipeline:
    """Both sides, running."""

    def __init__(self, stack: Stack, services: Services) -> None:
        self._publisher = world.Publisher(stack.bootstrap)
        complaints = services.start("complaints")
        bare = services.start("bare", module="bench.bare")
        complaints.wait_ready()
        bare.wait_url(time.monotonic() + TURN_DEADLINE_S)
        self.product = side(stack, complaints, ComplaintRaised.TOPIC, ComplaintTriaged.TOPIC, 2)
        self.bare = side(stack, bare, world.BARE_INTAKE, world.BARE_TRIAGED, 1)

    def drain(self, one: Side, count: int) -> Turn:
        """Events per second from the start signal to the last triaged fact."""
        since = one.ends()
        with one.stopped():
            events = world.raised_events(count, token_hex(4))
            self._publisher.send([(one.intake, None, event) for event in events])
            began = time.time()
        return Turn(count / (max(one.triaged_at(since, count)) - began))

    def pace(self, one: Side) -> tuple[float, float]:
        """p50 and p99 in ms from published to triaged, at a rate at which nobody queues."""
        since = one.ends()
        sent: list[float] = []
        with self._publisher.open() as producer:
            for number, event in enumerate(world.raised_events(PACED_EVENTS, token_hex(4))):
                producer.send(one.intake, event, partition=number % PARTITIONS)
                sent.append(time.time())
                time.sleep(1 / PACED_RATE)
        got = sorted(one.triaged_at(since, PACED_EVENTS))
        # At this rate facts are out of order by a batch at most, so the n-th fact counts for the n-th event.
        waits = sorted(max(0.0, end - start) * 1000 for start, end in zip(sent, got, strict=True))
        return waits[len(waits) // 2], waits[int(0.99 * len(waits))]

    def close(self) -> None:
        """Disconnect."""
        for one in (self.product, self.bare):
            one.eyes.close()


def measure(stack: Stack, services: Services, *, rounds: int, events: int) -> Comparison:
    """Both sides in turn, round by round. Blocks; raises TooSlow."""
    sides = Pipeline(stack, services)
    try:
        found = Comparison(
            "pipeline", "complaint raised → triaged fact", "bare aiokafka loop", "events/s"
        )
        for one in (sides.product, sides.bare):
            sides.drain(one, min(WARM_UP, events))
        for number in range(rounds):
            order = (sides.product, sides.bare) if number % 2 else (sides.bare, sides.product)
            turns = {one.service.name: sides.drain(one, events) for one in order}
            found.add(turns["complaints"], turns["bare"])
        for which, one in enumerate((sides.product, sides.bare)):
            found.paced_ms[which] = sides.pace(one)
        return found
    finally:
        sides.close()
