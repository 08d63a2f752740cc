"""A running system for tests: a stack of its own, service processes, a mailbox, an independent reader.

Topics are read with kafka-python, without a group, from the first record.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import OKPKey
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pydantic_core import from_json
from redis import Redis

from devstack.mailbox import Mailbox
from devstack.processes import Service, Services, environment
from devstack.stack import ROOT, RUN_DIRECTORY, Secured, Stack, free_port, running
from shared.contracts.catalogue import TOPICS, subscriptions
from shared.contracts.event import format_time
from shared.contracts.intake import ComplaintRaised
from shared.kernel import Fact
from shared.ops import policy, roster, token, topics
from shared.runtime.privacy.seal import KEY_BYTES, Vault
from shared.runtime.wires import Broker

SITE = "ms-aurora"
EMPLOYEES = ("e-ingrid", "e-jonas", "e-sofia", "e-lars")
SOURCE = "/tests/other-system"
#: The master key of every world, so that a test can compute its complaints' ids.
MASTER = bytes(range(KEY_BYTES))
#: Deadline for expected events; they take seconds, on a loaded machine many times that.
PATIENCE_S = 180.0
#: Deadline for everything a test started, letters included, on a machine with much other load.
SETTLE_S = 600.0
#: The shortest session timeout that Kafka accepts here, for quick rebalances after a kill.
SESSION_S = "3"
POLL_S = 0.05
#: Timers that stand for work to do: a letter to send, an incident's checks to give.
WORK = (b"send|", b"give|")


class TooLate(AssertionError):
    """An expected condition was not met in time."""


@dataclass(frozen=True, slots=True)
class Read:
    """One record as it lies on a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent; raises ValueError on anything else."""
        found: dict[str, Any] = from_json(self.value)
        return found


def until(true: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Poll until it is true; raises TooLate. Blocks."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise TooLate(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(POLL_S)


def complaint(
    event_id: str, *, text: str = "The soup was cold and nobody came.", at: datetime, **data: Any
) -> bytes:
    """A complaint as another system publishes it."""
    body = {"site": SITE, "text": text, **data}
    return event_of(ComplaintRaised, event_id, SOURCE, body, time=format_time(at))


def event_of(
    fact: type[Fact], event_id: str, source: str, data: object, **attributes: str
) -> bytes:
    """A fact as another system publishes it, with whatever data."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": fact.TYPE,
            **attributes,
            "data": data,
        },
        ensure_ascii=False,
    ).encode()


def complaint_id(event_id: str, source: str = SOURCE) -> str:
    """The id `complaints` gives it in a world."""
    return "co-" + Vault(MASTER).pseudonyms.event(source, event_id)


@dataclass
class World:
    """The running system, and what a test needs to change and read it."""

    stack: Stack
    services: Services
    mailbox: Mailbox
    key: OKPKey
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, **settings: str) -> Service:
        """Start a service; without a port of its own it reuses its earlier address."""
        port = self.ports.setdefault(name, free_port())
        chosen = {"port": str(port), "session_s": SESSION_S, **settings}
        if name == "notifier":
            chosen = {
                "public_url": f"http://127.0.0.1:{port}",
                "smtp_host": "127.0.0.1",
                "smtp_port": str(self.mailbox.port),
                **chosen,
            }
        return self.services.start(name, **chosen)

    def url(self, name: str) -> str:
        """The address of a service."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def bearer(self, employee: str) -> dict[str, str]:
        """The authorization header of an employee."""
        signed = token.sign(
            self.key, subject=employee, kind="employee", site=SITE, now=datetime.now(UTC)
        )
        return {"Authorization": f"Bearer {signed}"}

    def phone(
        self, name: str, employee: str = EMPLOYEES[0], timeout_s: float = 10.0
    ) -> httpx.Client:
        """An employee's phone, talking to one service."""
        return httpx.Client(
            base_url=self.url(name), headers=self.bearer(employee), timeout=timeout_s
        )

    def publish(
        self,
        values: Iterable[bytes],
        topic: str = ComplaintRaised.TOPIC,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
        key: bytes | None = None,
    ) -> None:
        """Publish as another system does and wait until the broker confirmed. Blocks."""
        with closing(
            KafkaProducer(
                bootstrap_servers=self.stack.bootstrap,
                linger_ms=5,
                max_request_size=16 * 1024 * 1024,
            )
        ) as producer:
            for value in values:
                producer.send(topic, value, key, list(headers), partition)
            producer.flush(PATIENCE_S)

    def read(self, *names: str) -> list[Read]:
        """Every record on the topics named (or all), partition by partition in order. Blocks."""
        wanted = names or tuple(topic.name for topic in TOPICS)
        found: list[Read] = []
        with closing(
            KafkaConsumer(
                bootstrap_servers=self.stack.bootstrap,
                enable_auto_commit=False,
                group_id=None,
                max_poll_records=5000,
                max_partition_fetch_bytes=8 * 1024 * 1024,
            )
        ) as consumer:
            places = [
                TopicPartition(name, number)
                for name in wanted
                for number in sorted(consumer.partitions_for_topic(name) or ())
            ]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            consumer.seek_to_beginning(*places)
            deadline = time.monotonic() + PATIENCE_S
            while any(consumer.position(place) < ends[place] for place in places):
                if time.monotonic() > deadline:
                    raise TooLate("reading the topics")
                for records in consumer.poll(timeout_ms=200).values():
                    found += (
                        Read(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers))
                        for r in records
                    )
        found.sort(key=lambda one: (one.topic, one.partition, one.offset))
        return found

    def time_passes(self, owner: str) -> None:
        """Make every timer of a service due now. Blocks."""
        with closing(Redis.from_url(self.stack.redis_url)) as store:
            name, now = f"{owner}:{{c0}}:timers", int(time.time() * 1000)
            later: Any = store.zrangebyscore(name, now, "+inf")
            if later:
                store.zadd(name, dict.fromkeys(later, now), xx=True)

    def under_way(self, *owners: str) -> list[str]:
        """The services' unfinished work, one line each; empty if there is none. Blocks.

        Outboxes not on Kafka, work that waits for a timer, and records that a service's group has not
        acknowledged. Timers for later events (a check expires, a day ends) do not count.
        """
        found: list[str] = []
        with closing(Redis.from_url(self.stack.redis_url)) as store:
            for owner in owners:
                if lines := store.llen(f"{owner}:{{c0}}:outbox"):
                    found.append(f"{owner}: {lines} lines wait for the relay")
                timers: Any = store.zrange(f"{owner}:{{c0}}:timers", 0, -1, withscores=True)
                waits = [
                    member
                    for member, due in timers
                    if member.startswith(WORK) or due <= time.time() * 1000
                ]
                if waits:
                    found.append(f"{owner}: {len(waits)} timers wait")
        for owner in owners if not found else ():
            found += (
                f"{owner}: {place.topic}/{place.partition} is at {at} of {end}"
                for place, (at, end) in self.progress(owner, *subscriptions(owner)).items()
                if at < end
            )
        return found

    def progress(self, owner: str, *names: str) -> dict[TopicPartition, tuple[int, int]]:
        """See the function of this name. Blocks."""
        return progress(self.stack.bootstrap, owner, names)

    def settle_down(self, *owners: str) -> None:
        """Wait until no work is left; raises TooLate if there is no progress. Blocks.

        The amount of work depends on the test and the time on the machine, so it waits as long as there is
        progress, within a bound.
        """
        began = moved = time.monotonic()
        before: list[str] = []
        while left := self.under_way(*owners):
            now = time.monotonic()
            if left != before:
                before, moved = left, now
            if now > min(moved + PATIENCE_S, began + SETTLE_S):
                raise TooLate(f"not settled after {now - began:.0f} s: {left[:8]}")
            time.sleep(POLL_S)


def progress(
    where: Broker | str, owner: str, names: Iterable[str]
) -> dict[TopicPartition, tuple[int, int]]:
    """How far a service's group has acknowledged topics, and where they end. Blocks."""
    with closing(
        KafkaConsumer(
            **Broker.of(where).client(),
            group_id=f"recovery-{owner}",
            enable_auto_commit=False,
        )
    ) as consumer:
        places = [
            TopicPartition(name, number)
            for name in names
            for number in sorted(consumer.partitions_for_topic(name) or ())
        ]
        return {
            place: (consumer.committed(place) or 0, end)
            for place, end in consumer.end_offsets(places).items()
        }


@contextmanager
def world(directory: Path, secured: Secured | None = None) -> Iterator[World]:
    """A new and empty system with topics, the demo policy and roster; no service runs yet. Blocks."""
    with running(RUN_DIRECTORY, ephemeral=True, secured=secured) as stack, Mailbox() as mailbox:
        topics.create(stack.bootstrap)
        policy.publish(ROOT / "policy" / "demo.yaml", stack.bootstrap)
        roster.publish(ROOT / "policy" / "roster.yaml", stack.bootstrap)
        key = token.demo_key(directory)
        (directory / "master.key").write_text(b64encode(MASTER).decode(), encoding="ascii")
        services = Services(
            directory / "logs", environment(directory, stack.bootstrap, stack.redis_url)
        )
        try:
            yield World(stack, services, mailbox, key)
        finally:
            services.stop()
