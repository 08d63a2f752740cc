"""An independent reader of the topics, with plain kafka-python."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from pydantic_core import from_json

from shared.contracts.audit import FactRecorded
from shared.contracts.catalogue import FACTS, TOPICS
from shared.kernel import Fact

F = TypeVar("F", bound=Fact)


class TooLate(Exception):
    """An expected fact did not come in time."""


@dataclass
class Eyes:
    """The records of all topics since `open`, read without a group."""

    bootstrap: str
    facts: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    events: list[dict[str, Any]] = field(default_factory=list)
    dead: list[dict[str, str]] = field(default_factory=list)
    by_topic: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Connect and go to the end of every topic. Blocks."""
        self._consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, auto_offset_reset="latest"
        )
        places = [
            TopicPartition(topic.name, partition)
            for topic in TOPICS
            for partition in sorted(self._consumer.partitions_for_topic(topic.name) or ())
        ]
        self._consumer.assign(places)
        self._consumer.seek_to_end(*places)
        for place in places:
            self._consumer.position(place)

    def look(self, timeout_s: float = 0.2) -> None:
        """Read new records. Blocks for at most the time given."""
        for place, records in self._consumer.poll(timeout_ms=int(timeout_s * 1000)).items():
            self.by_topic[place.topic] += len(records)
            for record in records:
                if place.topic.endswith(".dlq.v1"):
                    self.dead.append({name: value.decode() for name, value in record.headers})
                elif place.topic != "recovery.intake.v1":
                    event = from_json(record.value)
                    event["partition"] = f"{place.topic}/{place.partition}"
                    self.events.append(event)
                    self.facts[event["type"]].append(event["data"])

    def until(self, true: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Read until the condition is true; raises TooLate."""
        deadline = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > deadline:
                raise TooLate(f"{what}: not within {timeout_s:.0f} s")
            self.look()

    def of(self, fact: type[F]) -> Iterator[F]:
        """The facts of one type, in the order they were read."""
        return (fact.model_validate(data) for data in self.facts[fact.TYPE])

    def count(self, fact: type[Fact]) -> int:
        """The number of facts of one type."""
        return len(self.facts[fact.TYPE])

    def unrecorded(self) -> set[str]:
        """Ids of events that audit has not recorded."""
        facts = {event["id"] for event in self.events if event["source"] != "/audit"}
        return facts - {fact.record.event_id for fact in self.of(FactRecorded)}

    def unknown(self) -> set[str]:
        """Types on our topics that the catalogue does not know."""
        return set(self.facts) - set(FACTS)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
