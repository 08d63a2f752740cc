"""A rebuild folds the facts of each key in their order, however often their topic was given more partitions."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.app import DOMAIN
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.notifier import MessageQueued
from shared.contracts.topics import TopicRaised
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.raises import Raises
from shared.runtime.rebuild.order import ReplayOrder
from shared.runtime.rebuild.sources import Place, RawEvent, Sources
from shared.testing.clock import START

THEIRS, OURS = ComplaintTriaged.TOPIC, MessageQueued.TOPIC
KEYS = tuple(f"k-{number}" for number in range(6))


class Log:
    """The topics in memory."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = defaultdict(list)

    def append(self, topic: str, partition: int, value: Mapping[str, Any]) -> int:
        there = self.records[Place(topic, partition)]
        there.append(Record(len(there), json.dumps(value).encode()))
        return len(there) - 1

    def spans(self) -> dict[Place, tuple[int, int]]:
        return {place: (0, len(records)) for place, records in self.records.items()}

    async def read(self, place: Place, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        found = self.records[place][start:stop]
        for at in range(0, len(found), 2):
            yield found[at : at + 2]


class Folded:
    """What a rebuild folds, in its order."""

    full = False

    def __init__(self) -> None:
        self.events: list[RawEvent] = []

    def add_own(self, event: RawEvent) -> None:
        self.events.append(event)

    def add_foreign(self, event: RawEvent) -> None:
        self.events.append(event)


class History:
    """Two services: complaints says things, and the notifier settles them, some with facts of its own."""

    def __init__(self) -> None:
        self.log = Log()
        self.partitions = {THEIRS: 2, OURS: 2}
        for topic, number in self.partitions.items():
            for partition in range(number):
                self.log.records[Place(topic, partition)] = []
        self.said = self.sequence = 0
        self.published: list[str] = []  # causes by which another may answer
        self.settled: dict[int, int] = defaultdict(int)
        self.raises: list[TopicRaised] = []
        self.by_number: dict[int, tuple[str, Mapping[str, Any]]] = {}

    def say(self, key: str, answers: int | None) -> None:
        """Complaints says something, perhaps because of a fact of the notifier."""
        self.said += 1
        cause = self.published[answers % len(self.published)] if answers and self.published else ""
        event = self._event("complaints", ComplaintTriaged.TYPE, self.said, cause, key)
        self.by_number[self.said] = key, event
        self.log.append(THEIRS, crc32(key.encode()) % self.partitions[THEIRS], event)

    def _event(self, of: str, kind: str, number: int, cause: str, key: str) -> dict[str, Any]:
        data = {"key": key, "number": number}
        whole = {"source": f"/{of}", "type": kind, "cause": cause, "sequence": f"{number:020d}"}
        return {**whole, "time": "", "data": data}

    def own(self, cause: str, key: str) -> None:
        """The notifier decides something by itself, or because of a record."""
        self.sequence += 1
        event = self._event("notifier", MessageQueued.TYPE, self.sequence, cause, key)
        partition = crc32(key.encode()) % self.partitions[OURS]
        offset = self.log.append(OURS, partition, event)
        self.published.append(f"{OURS}/{partition}/{offset}/{self.sequence}")

    def settle(self, partition: int, facts: int) -> None:
        """The notifier settles the next record of a partition."""
        partition %= self.partitions[THEIRS]
        there, offset = self.log.records[Place(THEIRS, partition)], self.settled[partition]
        if offset >= len(there):
            return
        self.settled[partition] += 1
        body = json.loads(there[offset].value or b"")
        if body.get("again"):
            return
        for _ in range(facts):
            self.own(f"{THEIRS}/{partition}/{offset}/{int(body['sequence'])}", body["data"]["key"])

    def rest(self, order: int) -> None:
        """The notifier settles all there is."""
        for step in range(self.partitions[THEIRS]):
            partition = (order + step) % self.partitions[THEIRS]
            while self.settled[partition] < len(self.log.records[Place(THEIRS, partition)]):
                self.settle(partition, (order + self.settled[partition]) % 2)

    def grow(self, topic: str, more: int, *, done: bool) -> None:
        """A topic at rest is given more partitions, or the command died before that."""
        self.rest(more)
        ends = tuple(
            len(self.log.records[Place(topic, number)]) for number in range(self.partitions[topic])
        )
        self.raises.append(
            TopicRaised(
                topic=topic,
                partitions=len(ends) + more,
                ends=ends,
                sequences={"complaints": self.said, "notifier": self.sequence},
                raised_at=START,
            )
        )
        if not done:
            return
        self.partitions[topic] += more
        for number in range(len(ends), self.partitions[topic]):
            again = [json.loads(one.value or b"") for one in self.log.records[Place(topic, 0)][-2:]]
            self.log.records[Place(topic, number)] = []
            for event in again:  # by a relay that was frozen meanwhile
                self.log.append(topic, number, {**event, "again": True})

    async def rebuilt(self) -> list[RawEvent]:
        """What a rebuild folds once everything is settled."""
        self.rest(0)
        sources, folded, spans = Sources(DOMAIN), Folded(), self.log.spans()

        async def tick(*_: object) -> None:
            return

        raises = Raises(self.raises, "notifier")
        order = ReplayOrder(self.log, sources, spans, tick, raises)  # type: ignore[arg-type]  # as much of a log as is read
        limits = {place: end for place, (_, end) in spans.items()}
        origins = await order.origins(limits)
        await order.facts(folded, origins, limits)  # type: ignore[arg-type]  # the same of a state
        return folded.events


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(KEYS), st.none() | st.integers(1, 50)),
        st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 2)),
        st.tuples(st.just("settle"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("own"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("grow"), st.sampled_from((THEIRS, OURS)), st.sampled_from((-1, 1, 3))),
    ),
    max_size=60,
)


def lived(steps: Sequence[tuple[str, Any, Any]]) -> History:
    history = History()
    for what, one, other in steps:
        match what:
            case "say":
                history.say(one, other)
            case "settle":
                history.settle(one, other)
            case "own":
                history.own(f"http/n-{history.sequence}/h", one)
            case _:
                history.grow(one, abs(other), done=other > 0)
    return history


@given(STEPS)
def test_each_key_keeps_its_order_across_raises_and_everything_is_folded_once(steps):
    """INV-06, INV-08: what lies before a raise is folded before what lies behind it."""
    history = lived(steps)
    events = asyncio.run(history.rebuilt())
    ours = [event.number for event in events if event.source == b"/notifier"]
    assert ours == list(range(1, history.sequence + 1))
    theirs = [event.number for event in events if event.source == b"/complaints"]
    assert sorted(theirs) == list(range(1, history.said + 1))
    by_key = defaultdict(list)
    for number in theirs:
        by_key[history.by_number[number][0]].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    for border in (one for one in history.raises if one.topic == THEIRS):
        last = border.sequences["complaints"]
        sides = [number > last for number in theirs]
        assert sides == sorted(sides)


@given(STEPS)
def test_a_fact_of_another_is_folded_where_it_was_settled(steps):
    """INV-06: before the first fact that came of it, and behind the one that it answers and every raise before it."""
    history = lived(steps)
    events = asyncio.run(history.rebuilt())
    at = {(event.source, event.number): place for place, event in enumerate(events)}
    for event in events:
        topic, _, rest = event.cause.decode().partition("/")
        if topic in (THEIRS, OURS):
            source = b"/complaints" if topic == THEIRS else b"/notifier"
            cause = source, int(rest.rpartition("/")[2])
            assert at[cause] < at[event.source, event.number]
    for border in (one for one in history.raises if one.topic == THEIRS):
        said, decided = border.sequences["complaints"], border.sequences["notifier"]
        before = [
            place for (source, n), place in at.items() if source == b"/complaints" and n <= said
        ]
        later = [
            place for (source, n), place in at.items() if source == b"/notifier" and n > decided
        ]
        assert max(before, default=-1) < min(later, default=len(events))
