"""Topics get more partitions between two times of traffic, and nothing is lost, repeated or out of order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from pydantic_core import from_json
from redis import Redis

from devstack.processes import Service
from devstack.stack import ROOT
from services.audit.app import DOMAIN as AUDITS
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.catalogue import AUDIT, SERVICES
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.topics import TopicRaised
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import token
from shared.ops.raising import GROWING
from tests.system import auditor
from tests.system.replay import VERSION_DIGITS, State, differences, stored
from tests.system.traffic import Publisher, Remembering, asked_again, flowing
from tests.system.world import (
    EMPLOYEES,
    PATIENCE_S,
    SITE,
    Read,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

SEED = 20261129
DOMAINS = (COMPLAINTS, COMPENSATION, NOTIFIER, AUDITS)
BEFORE, RAISED = 4, 7
#: Topics whose facts other services fold.
FOLDED = ("recovery.complaints.v1", "recovery.compensation.v1", "recovery.notifier.v1")
#: Ends the process at the n-th step that is done, as `kill -9` would.
KILLED = """
import asyncio, os, signal, sys
from shared.ops.raising import GROWING, raise_topics, stores
from shared.ops.topics import bootstrap_servers
left = int(sys.argv[2])
def done(_step):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(raise_topics(
    bootstrap_servers(), stores(None, ()), "c0", int(sys.argv[1]), GROWING, apply=True, say=print, done=done
))
"""


def operator(everything: World, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as an operator gives it. Blocks."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, **everything.services.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def raised(everything: World, *words: str) -> tuple[int, str]:
    done = operator(everything, "-m", "shared.ops", "topics", "raise", *words)
    return done.returncode, done.stdout + done.stderr


def killed_at(everything: World, redis: Redis, step: int) -> None:
    """Raise all topics, and be killed when the n-th step is done; then the leases run out."""
    ended = operator(everything, "-c", KILLED, str(RAISED), str(step))
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    for owner in SERVICES:
        redis.delete(f"{owner}:{{c0}}:lease:relay")


def counts(everything: World, names: Sequence[str]) -> dict[str, int]:
    with closing(KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)) as admin:
        found = admin.describe_topics(list(names))
    return {one["name"]: len(one["partitions"]) for one in found}


def started(everything: World, *owners: str) -> dict[str, Service]:
    found = {owner: everything.start(owner, publish_wait_ms="3000") for owner in owners}
    for service in found.values():
        service.wait_ready()
    return found


def stopped(everything: World, services: dict[str, Service]) -> None:
    """Stop services once nothing is left for them to do."""
    everything.settle_down(*services)
    for service in services.values():
        service.stop()


class Traffic:
    """Another system and two phones, whose traffic goes on where it was."""

    def __init__(self, everything: World) -> None:
        self.chance = random.Random(SEED)
        self.stop = threading.Event()
        self.publisher = Publisher(everything, self.stop, self.chance, pause_s=0.5)
        self.phones = [
            Remembering(everything, employee, self.publisher, self.stop, self.chance, pause_s=0.1)
            for employee in EMPLOYEES[:2]
        ]
        self.times = 0

    def flow(self, wishes: int) -> None:
        """Until each phone was answered so many times more."""
        self.stop.clear()
        self.times += 1
        before = {}
        for phone in self.phones:
            phone.prefix = f"{self.times}-"
            before[phone.employee] = len(phone.answers)
        with flowing(self.stop, [self.publisher, *self.phones]):
            until(
                lambda: all(len(p.answers) >= before[p.employee] + wishes for p in self.phones),
                "traffic",
            )


def raises(reads: Sequence[Read]) -> list[TopicRaised]:
    found = [read.event["data"] for read in reads if read.topic == TopicRaised.TOPIC]
    return [TopicRaised.model_validate(one) for one in found]


def overtaken(reads: Sequence[Read]) -> tuple[list[str], int]:
    """INV-08 across raises: facts of a key behind a raise are later than all before it; how many keys moved."""
    wrong, moved = [], set()
    for border in raises(reads):
        sides: dict[bytes, dict[bool, list[tuple[int, int]]]] = defaultdict(
            lambda: {False: [], True: []}
        )
        ends, seen = dict(enumerate(border.ends)), set[int]()
        for read in reads:
            number = int(read.event["sequence"]) if read.topic == border.topic else 0
            if number and number not in seen:  # those sent again are in later partitions
                seen.add(number)
                behind = read.offset >= ends.get(read.partition, 0)
                sides[read.key or b""][behind].append((number, read.partition))
        for key, side in sides.items():
            if side[False] and side[True]:
                if max(side[False]) > min(side[True]):
                    wrong.append(f"{border.topic}: {key!r}")
                if {at for _, at in side[False]} != {at for _, at in side[True]}:
                    moved.add((border.topic, key))
    return wrong, len(moved)


def fences(redis: Redis, owner: str) -> dict[str, Any]:
    """How far each partition is applied; of audit by sequences alone, because a line that was sent again leaves no trace.

    So after a rebuild audit reads it once more, and drops it once more.
    """
    prefix = f"{owner}:{{c0}}:fence:"
    found = {
        name.decode(): from_json((redis.get(name) or b"")[VERSION_DIGITS:])
        for name in redis.scan_iter(f"{prefix}*", count=1000)
    }
    if owner == AUDIT:
        return {name: fence["sequences"] for name, fence in found.items()}
    return found


def states(everything: World) -> dict[str, State]:
    return {owner: stored(everything.stack.redis_url, owner) for owner in SERVICES}


def exact(everything: World, traffic: Traffic) -> list[Read]:
    """Every fact once and in order, every account as the facts say, every state as the topics say."""
    reads = auditor.exact(everything, *DOMAINS)
    facts = auditor.facts(reads)
    assert auditor.out_of_order(reads) == []
    assert auditor.not_settled_once(reads) == []
    issued = Counter(one["check_id"] for one in auditor.of(facts, CheckIssued.TYPE))
    assert set(issued.values()) == {1}
    assert len(auditor.of(facts, ComplaintReceived.TYPE)) >= len(traffic.publisher.ids)
    accounts = stored(everything.stack.redis_url, COMPENSATION.owner).accounts
    assert auditor.authority_in(accounts) == auditor.debits(facts)
    return reads


def sent_again(everything: World) -> None:
    """A relay that was frozen since before the raise sends its last lines once more, and into new partitions."""
    reads = everything.read(*FOLDED)
    for border in raises(everything.read(TopicRaised.TOPIC)):
        ends = dict(enumerate(border.ends))
        old = [
            read
            for read in reads
            if read.topic == border.topic and read.offset < ends.get(read.partition, 0)
        ]
        for partition in range(len(border.ends), border.partitions):
            for one in old[-3:]:
                everything.publish([one.value], one.topic, one.headers, partition, one.key)


def verified_offline(everything: World, tmp_path: Path) -> None:
    """INV-09: the record of both times verifies by the command, up to the heads signed last."""
    manager = token.sign(
        everything.key, subject="m-1", kind="manager", site=SITE, now=datetime.now(UTC)
    )
    signed = httpx.post(
        f"{everything.url(AUDIT)}/v1/heads",
        headers={"Authorization": f"Bearer {manager}", "Idempotency-Key": "now"},
        timeout=30.0,
    )
    assert signed.status_code == 201, signed.text
    everything.settle_down(AUDIT)
    key = tmp_path / "key.pem"
    key.write_text(operator(everything, "-m", "shared.ops", "audit", "key").stdout)
    made = operator(everything, "-m", "shared.ops", "audit", "export", str(tmp_path / "there"))
    assert made.returncode == 0, made.stderr
    words = ("verify", str(tmp_path / "there"), "--key", str(key))
    told = operator(everything, "-m", "shared.ops", "audit", *words)
    assert (told.returncode, "all as signed" in told.stdout) == (0, True), told.stdout


def made_again(everything: World, redis: Redis) -> None:
    """INV-06: the stores are lost and made again from the topics: the same states, fences included."""
    before, fenced = states(everything), {owner: fences(redis, owner) for owner in SERVICES}
    redis.flushall()
    for owner in SERVICES:
        done = operator(everything, "-m", "shared.ops", "rebuild", owner)
        assert done.returncode == 0, done.stdout + done.stderr
    after = states(everything)
    for owner in SERVICES:
        assert differences(before[owner], after[owner])[:10] == [], owner
        assert fences(redis, owner) == fenced[owner]


def erased(everything: World, ref: str) -> None:
    """The customer's keys are found, and are gone from the vault for good once it is compacted."""
    wrapped = CustomerKeyCreated.TYPE

    def keys() -> list[Read]:
        reads = everything.read(CustomerKeyCreated.TOPIC)
        mine = [one for one in reads if (one.key or b"").startswith(f"{ref}/".encode())]
        return [one for one in mine if one.event["type"] == wrapped]

    assert keys()
    words = ("services.complaints", "customer", "erase", ref, "--yes")
    done = operator(everything, "-m", *words)
    assert (done.returncode, "is erased" in done.stdout) == (0, True), done.stdout + done.stderr
    everything.settle_down(*SERVICES)
    settings = {
        "segment.ms": "100",
        "max.compaction.lag.ms": "1",
        "min.cleanable.dirty.ratio": "0.001",
    }
    with closing(KafkaAdminClient(bootstrap_servers=everything.stack.bootstrap)) as admin:
        vault = ConfigResource(ConfigResourceType.TOPIC, CustomerKeyCreated.TOPIC, settings)
        eager = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "200"})
        admin.alter_configs([vault, eager])

    def compacted() -> bool:
        # A later record in the partition closes the segment; a complaint of the site makes one.
        everything.publish([complaint(f"late-{random.random()}", at=datetime.now(UTC))])
        everything.settle_down("complaints")
        return not keys()

    until(compacted, "the wrapped keys to be compacted away")


def refused(everything: World, *words: str, why: str) -> None:
    status, output = raised(everything, str(RAISED), *words)
    assert (status, why in output) == (1, True), output


def test_topics_are_raised_between_two_times_of_traffic_and_everything_is_exact(tmp_path):
    """INV-02, INV-06, INV-08, INV-09: killed and given again, with lines sent again into new partitions."""
    with (
        world(tmp_path) as everything,
        closing(Redis.from_url(everything.stack.redis_url)) as redis,
    ):
        services, traffic = started(everything, *SERVICES), Traffic(everything)
        traffic.flow(12)
        refused(everything, "--apply", why="stop all services first")
        stopped(everything, services)
        # Audit's and the intake's partitions are there, the raise of complaints is published and not done.
        killed_at(everything, redis, 5)
        assert counts(everything, GROWING)["recovery.complaints.v1"] == BEFORE

        services = started(everything, *SERVICES)
        traffic.flow(5)
        everything.settle_down(*SERVICES)
        services["notifier"].stop()
        everything.publish([complaint("behind", at=datetime.now(UTC))])
        stopped(everything, {name: services[name] for name in SERVICES if name != "notifier"})
        refused(everything, "--apply", why="notifier is")
        stopped(everything, started(everything, "notifier", AUDIT))
        status, output = raised(everything, str(RAISED))
        assert (status, "nothing was changed" in output) == (0, True), output
        killed_at(everything, redis, 2)
        status, output = raised(everything, str(RAISED), "--apply")
        assert (status, "now start the services" in output) == (0, True), output
        assert set(counts(everything, GROWING).values()) == {RAISED}
        assert counts(everything, [CustomerKeyCreated.TOPIC]) == {CustomerKeyCreated.TOPIC: BEFORE}

        services = started(everything, *SERVICES)
        traffic.flow(12)
        sent_again(everything)
        wrong, moved = overtaken(exact(everything, traffic))
        # How many keys have facts on both sides depends on how fast the machine is.
        assert (wrong, moved > 0) == ([], True), (wrong, moved)
        stopped(everything, services)
        made_again(everything, redis)
        services = started(everything, *SERVICES)
        answered = {phone.employee: dict(phone.answers) for phone in traffic.phones}
        assert asked_again(everything, traffic.phones, answered) > 40
        exact(everything, traffic)
        verified_offline(everything, tmp_path)
        received = auditor.of(
            auditor.facts(everything.read(ComplaintReceived.TOPIC)), ComplaintReceived.TYPE
        )
        first = complaint_id(traffic.publisher.ids[1])
        erased(everything, next(c["customer_ref"] for c in received if c["complaint_id"] == first))
