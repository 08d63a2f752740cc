"""Workers that join, leave, die and freeze under traffic: nothing lost, nothing twice, in order.

INV-04, INV-06 and INV-08 when partitions move, again and again, under three workers. A frozen worker is
the hard case: it decided on what it had read, others took its partitions over and went on, and then
it wakes up and commits. The fences, not the group's membership, keep it from applying anything twice.
Records come one by one all the while, so that some are fetched in the moment when partitions move.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import httpx
import pytest
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from devstack.processes import Service
from devstack.stack import ROOT, free_port
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReceived, ComplaintTriaged
from shared.contracts.intake import ComplaintRaised
from shared.runtime.policy_file import load
from tests.system import auditor
from tests.system.replay import differences, stored
from tests.system.traffic import Phone, Publisher, flowing
from tests.system.world import (
    EMPLOYEES,
    PATIENCE_S,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

SEED = 20261125
OWNERS = ("complaints", "compensation")
#: How often a worker is frozen and woken, each time another.
ROUNDS = 3
#: Between two records; more than these would only make the reading long.
DROP_PAUSE_S, DROPS_MAX = 0.01, 10_000
#: Frozen when a batch is decided and not yet committed, at the fifth such batch.
FREEZES = "decided:5:stop"


def settled(service: Service) -> float:
    """Records of the intake that this process settled."""
    try:
        text = httpx.get(f"{service.ops_url}/metrics", timeout=5.0).text
    except httpx.TransportError:
        return 0.0
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "settled_records_total"
        and sample.labels["topic"] == ComplaintRaised.TOPIC
    )


def frozen(service: Service) -> bool:
    """Whether the process is stopped by a signal."""
    stat = Path(f"/proc/{service.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@dataclass
class Drops:
    """Another system that publishes one record after the other, and hears of each that it is kept."""

    world: World
    stop: threading.Event
    ids: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Publish until told to stop. Blocks."""
        sent = []
        with closing(KafkaProducer(bootstrap_servers=self.world.stack.bootstrap)) as producer:
            while not self.stop.wait(DROP_PAUSE_S) and len(sent) < DROPS_MAX:
                event_id = f"drop-{len(sent)}"
                value = complaint(event_id, at=datetime.now(UTC))
                sent.append((event_id, producer.send(ComplaintRaised.TOPIC, value)))
            for event_id, answer in sent:
                answer.get(PATIENCE_S)
                self.ids.append(event_id)


@dataclass
class Group:
    """The workers of complaints that should be at work now."""

    world: World
    publisher: Publisher
    workers: dict[str, Service]

    def join(self, name: str, **settings: str) -> Service:
        """One more worker; returns once it listens."""
        self.workers[name] = self.world.start("complaints", port="0", holder=name, **settings)
        self.workers[name].wait_url(time.monotonic() + PATIENCE_S)
        return self.workers[name]

    def all_work(self) -> None:
        """Wait until every worker has settled something that came from now on."""
        before = {name: settled(service) for name, service in self.workers.items()}

        def progress() -> bool:
            for name, service in self.workers.items():
                assert service.process.poll() is None, f"{name} ended by itself: {service.log}"
            return all(settled(self.workers[name]) > count for name, count in before.items())

        until(progress, f"work for each of {sorted(self.workers)}")

    def freeze_and_wake(self, name: str) -> None:
        """Freeze a worker until the others have taken its partitions over, and wake it up."""
        sleeping = self.workers.pop(name)
        sleeping.process.send_signal(signal.SIGSTOP)
        self.caught_up()
        sleeping.process.send_signal(signal.SIGCONT)
        self.workers[name] = sleeping
        self.all_work()

    def caught_up(self) -> None:
        """Wait until the group has acknowledged all that was published until now."""
        asked = ("complaints", ComplaintRaised.TOPIC)
        ends = {place: end for place, (_, end) in self.world.progress(*asked).items()}

        def done() -> bool:
            return all(at >= ends[place] for place, (at, _) in self.world.progress(*asked).items())

        until(done, "the partitions to be taken over")


@dataclass
class Run:
    world: World
    publisher: Publisher
    drops: Drops
    phone: Phone
    stopped_with: int

    @cached_property
    def reads(self) -> list:
        return self.world.read()

    @cached_property
    def facts(self) -> list:
        return auditor.facts(self.reads)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Run]:
    with world(tmp_path_factory.mktemp("rebalance")) as everything:
        stop = threading.Event()
        publisher = Publisher(everything, stop, random.Random(SEED))
        everything.ports["compensation"] = free_port()
        phone = Phone(everything, EMPLOYEES[0], publisher, stop, random.Random(SEED + 1))
        drops = Drops(everything, stop)
        everything.start("compensation")
        group = Group(everything, publisher, {})
        group.join("first")
        with flowing(stop, [publisher, drops, phone]):
            group.join("second")
            group.all_work()
            group.join("third")
            group.all_work()

            for number in range(ROUNDS):
                group.freeze_and_wake(sorted(group.workers)[number % 3])

            stopped_with = group.workers.pop("second").stop()
            group.all_work()

            freezing = group.join("freezing", crash_at=FREEZES)
            until(lambda: frozen(freezing), "the worker to freeze")
            del group.workers["freezing"]
            group.caught_up()
            freezing.process.send_signal(signal.SIGCONT)
            group.workers["freezing"] = freezing
            group.all_work()

            # The one that woke up is left alone with everything.
            for name in ("first", "third"):
                group.workers.pop(name).kill()
            group.all_work()
            group.caught_up()
        everything.settle_down(*OWNERS)
        yield Run(everything, publisher, drops, phone, stopped_with)


def test_a_worker_that_is_asked_to_stop_ends_cleanly(run: Run):
    assert run.stopped_with == 0


def test_every_confirmed_record_has_one_fate_while_partitions_move(run: Run):
    """INV-04: one fact or one dead letter each, in the order of their partition."""
    on_topic = [read for read in run.reads if read.topic == ComplaintRaised.TOPIC]
    assert len(on_topic) == run.publisher.count + len(run.drops.ids)
    assert auditor.not_settled_once(run.reads) == []


def test_nothing_is_lost_and_nothing_applied_twice_while_partitions_move(run: Run):
    ids = [*run.publisher.ids, *run.drops.ids]
    received = auditor.of(run.facts, ComplaintReceived.TYPE)
    assert sorted(one["complaint_id"] for one in received) == sorted(
        complaint_id(event_id) for event_id in ids
    )
    assert len(auditor.of(run.facts, ComplaintTriaged.TYPE)) == len(ids)


def test_facts_of_an_entity_stay_in_commit_order_while_partitions_move(run: Run):
    """INV-08."""
    assert auditor.out_of_order(run.reads) == []


def test_checks_given_meanwhile_are_charged_once_and_within_their_limits(run: Run):
    """INV-01, INV-02."""
    issued = auditor.of(run.facts, CheckIssued.TYPE)
    given = [one.json() for one in run.phone.answers.values() if one.status_code == 201]
    assert sorted(one["check_id"] for one in given) == sorted(one["check_id"] for one in issued)
    assert run.phone.unlike == []
    assert auditor.over_ceiling(run.facts, load(ROOT / "policy" / "demo.yaml")) == []
    state = stored(run.world.stack.redis_url, "compensation")
    assert auditor.authority_in(state.accounts) == auditor.debits(run.facts)


@pytest.mark.parametrize("domain", [COMPLAINTS, COMPENSATION], ids=lambda one: one.owner)
def test_replaying_all_topics_gives_the_state_that_is_stored(run: Run, domain):
    """INV-06."""
    found = stored(run.world.stack.redis_url, domain.owner)
    assert len(found.documents) > 100
    assert differences(auditor.replayed(domain, run.reads), found)[:10] == []


def test_the_checks_of_this_file_see_what_they_look_for(run: Run):
    """A record that is missing, a fact applied twice, two facts that changed places."""
    ours = [
        number
        for number, read in enumerate(run.reads)
        if read.topic == ComplaintReceived.TOPIC and ComplaintReceived.TYPE.encode() in read.value
    ]
    one = run.reads[ours[0]]
    without = [read for read in run.reads if read.value != one.value]
    assert auditor.not_settled_once(without)
    another = one.value[: one.value.rindex(b',"sequence"')] + b',"sequence":"%020d"}' % 10**9
    assert auditor.out_of_order([*run.reads, replace(one, value=another)])
    assert auditor.not_settled_once([*run.reads, replace(one, value=another)])
    first, second = (run.reads[number] for number in ours[:2])
    changed = list(run.reads)
    changed[ours[0]] = replace(first, value=second.value)
    changed[ours[1]] = replace(second, value=first.value)
    assert auditor.out_of_order(changed)
