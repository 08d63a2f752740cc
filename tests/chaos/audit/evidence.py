"""The auditor's evidence: every record on every topic and every key in Redis, read raw.

Nothing in this folder imports a service or shared code: the product's own reader would repeat the
product's mistakes.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from redis import Redis

INTAKE, AUDIT = "recovery.intake.v1", "recovery.audit.v1"
OFFSETS = "__consumer_offsets"
READ_S = 240.0
#: How often all is read again if audit writes meanwhile.
AGAIN_MAX = 2
#: A stored document begins with its version in so many digits.
VERSION_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact; `times` says how often the relay sent it."""

    owner: str
    sequence: int
    type: str
    id: str
    cause: str
    data: dict[str, Any]
    topic: str
    partition: int
    key: bytes


@dataclass
class Evidence:
    """Topics and stores at the end of a run."""

    records: list[Record] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)
    lists: dict[str, list[bytes]] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    #: The number of rebalances of each group.
    generations: dict[str, int] = field(default_factory=dict)
    #: When it was read.
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def intake(self) -> list[Record]:
        """What other systems published."""
        return [one for one in self.records if one.topic == INTAKE]

    @cached_property
    def dead(self) -> list[Record]:
        """Dead letters, each once."""
        found = {(one.topic, one.key): one for one in self.records if one.topic.endswith(".dlq.v1")}
        return list(found.values())

    @cached_property
    def lines(self) -> list[tuple[Record, dict[str, Any]]]:
        """Every record with a fact, repeats included, in the order of its partition."""
        return [
            (one, json.loads(one.value))
            for one in self.records
            if one.topic != INTAKE and not one.topic.endswith(".dlq.v1") and one.value
        ]

    @cached_property
    def facts(self) -> list[Fact]:
        """Our services' facts, each once, in the order of each owner's sequence."""
        found: dict[tuple[str, int], Fact] = {}
        for record, event in self.lines:
            if "sequence" not in event:
                continue
            owner, number = event["source"].removeprefix("/"), int(event["sequence"])
            found.setdefault(
                (owner, number),
                Fact(
                    owner=owner,
                    sequence=number,
                    type=event["type"],
                    id=event["id"],
                    cause=event.get("cause") or "",
                    data=event["data"],
                    topic=record.topic,
                    partition=record.partition,
                    key=record.key,
                ),
            )
        return [found[place] for place in sorted(found)]

    def of(self, *types: str) -> list[Fact]:
        """Facts of the types named, such as `check.issued`, in their order."""
        wanted = {f"recovery.{name}.v1" for name in types}
        return [fact for fact in self.facts if fact.type in wanted]

    def document(self, key: str) -> dict[str, Any] | None:
        """A stored document."""
        value = self.values.get(key)
        return None if value is None else json.loads(value[VERSION_DIGITS:])


def read(bootstrap: str, redis_url: str) -> Evidence:
    """Read all topics and stores of a local stack. Blocks; raises TimeoutError."""
    with closing(Redis.from_url(redis_url)) as store:
        return gather({"bootstrap_servers": bootstrap}, {"*": store})


def gather(kafka: Mapping[str, Any], stores: Mapping[str, Any]) -> Evidence:
    """Read all topics, then all stores. Blocks; raises TimeoutError.

    `kafka` are the arguments of a client; `stores` are connections by the pattern of the keys they may read.
    Audit signs its heads once a minute, also after the topics were read and before its store is: then all is read again.
    """
    evidence = _gathered(kafka, stores)
    for _ in range(AGAIN_MAX):
        if not _moved(evidence):
            break
        evidence = _gathered(kafka, stores)
    return evidence


def _gathered(kafka: Mapping[str, Any], stores: Mapping[str, Any]) -> Evidence:
    evidence = Evidence(generations=generations(kafka))
    with closing(_reader(kafka)) as consumer:
        names = sorted(name for name in consumer.topics() if name.startswith("recovery."))
        evidence.records = list(_records(consumer, names))
    evidence.records.sort(key=lambda one: (one.topic, one.partition, one.offset))
    for pattern, store in stores.items():
        _store(store, pattern, evidence)
    return evidence


def _moved(evidence: Evidence) -> bool:
    """Whether audit's store is ahead of its topics: it wrote after they were read, or its last facts are lost."""
    last = max((fact.sequence for fact in evidence.facts if fact.owner == "audit"), default=0)
    return int(evidence.values.get("audit:{c0}:sequence", b"0")) > last


def generations(kafka: Mapping[str, Any]) -> dict[str, int]:
    """The number of rebalances of each group. Blocks; raises TimeoutError."""
    found: dict[str, int] = {}
    with closing(_reader(kafka)) as consumer:
        consumer.topics()  # includes the broker's internal topics
        for record in _records(consumer, [OFFSETS]):
            _generation(record, found)
    return found


def _reader(kafka: Mapping[str, Any]) -> KafkaConsumer:
    return KafkaConsumer(
        **kafka,
        group_id=None,
        enable_auto_commit=False,
        exclude_internal_topics=False,
        max_poll_records=5000,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )


def _records(consumer: KafkaConsumer, names: list[str]) -> Iterable[Record]:
    places = [
        TopicPartition(name, number)
        for name in names
        for number in sorted(consumer.partitions_for_topic(name) or ())
    ]
    if not places:
        return
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    consumer.seek_to_beginning(*places)
    deadline = time.monotonic() + READ_S
    while any(consumer.position(place) < ends[place] for place in places):
        if time.monotonic() > deadline:
            raise TimeoutError("the topics cannot be read to their end")
        for found in consumer.poll(timeout_ms=200).values():
            for r in found:
                headers = {name: value or b"" for name, value in r.headers}
                yield Record(r.topic, r.partition, r.offset, r.key or b"", r.value or b"", headers)


def _generation(record: Record, found: dict[str, int]) -> None:
    """Keep the highest generation of a group, from a record of the broker (key version 2)."""
    if len(record.key) < 4 or struct.unpack_from(">h", record.key)[0] != 2 or not record.value:
        return
    (length,) = struct.unpack_from(">h", record.key, 2)
    group = record.key[4 : 4 + length].decode(errors="replace")
    version, kind_length = struct.unpack_from(">hh", record.value)
    if not 0 <= version <= 3:
        return
    (generation,) = struct.unpack_from(">i", record.value, 4 + kind_length)
    found[group] = max(generation, found.get(group, 0))


def _store(store: Any, pattern: str, evidence: Evidence) -> None:
    """Read every key of a pattern, many per round trip."""
    names = list(store.scan_iter(pattern, count=5000, _type="string"))
    for start in range(0, len(names), 1000):
        part = names[start : start + 1000]
        for raw, value in zip(part, store.mget(part), strict=True):
            evidence.values[raw.decode(errors="replace")] = value or b""
    for raw in store.scan_iter(pattern, count=5000, _type="list"):
        evidence.lists[raw.decode()] = store.lrange(raw, 0, -1)
    for raw in store.scan_iter(pattern, count=5000, _type="zset"):
        found = store.zrange(raw, 0, -1, withscores=True)
        evidence.scores[raw.decode()] = {one.decode(): due for one, due in found}
