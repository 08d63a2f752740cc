"""The version before and this one, side by side on one Redis and one Kafka: rolled forward and back under traffic.

`make roll` runs it, and nothing else does: twelve starts of services and their rebalances take minutes. FROM=ref takes
another version before; PATCH=file changes that first, to see what this test finds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from redis import Redis

from devstack.processes import Service, Services
from devstack.stack import ROOT, free_port
from services.audit.app import DOMAIN as AUDIT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.reasons import Reason
from tests.system import auditor
from tests.system.replay import stored
from tests.system.traffic import Publisher, Remembering, asked_again, flowing, published
from tests.system.world import EMPLOYEES, World, until, world

pytestmark = pytest.mark.skipif("ROLL" not in os.environ, reason="takes minutes: make roll")
SEED = 20261129
#: Between two wishes, and between two bursts: a roll-out takes its time, and all of them are settled at last.
WISH_PAUSE_S, BURST_PAUSE_S = 0.3, 5.0
DOMAINS = (AUDIT, NOTIFIER, COMPLAINTS, COMPENSATION)
#: Who reads facts goes before who makes them, and back in the other order.
FORWARD = tuple(domain.owner for domain in DOMAINS)
#: Checks that are answered between two steps.
BETWEEN = 4
#: Lines that one version leaves for the other to publish.
LEFT = 8
#: Why a request may be told to come back while processes start and stop.
ANNOUNCED = {
    Reason.STORE_STALE,
    Reason.STORE_UNAVAILABLE,
    Reason.CONTENDED,
    Reason.KEY_NOT_YET_KNOWN,
    Reason.POLICY_NOT_YET_KNOWN,
}


def version_before() -> str:
    """The commit to begin with; skips where the history does not have it."""
    git = ["git", "-C", str(ROOT)]
    given = os.environ.get("ROLL_FROM", "")
    if not given:
        tag = subprocess.run(
            [*git, "describe", "--tags", "--abbrev=0"], capture_output=True, text=True, check=False
        )
        lines = (ROOT / "deploy/previous").read_text(encoding="utf-8").splitlines()
        given = tag.stdout.strip() or next(line for line in lines if not line.startswith("#"))
    known = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if known.returncode:
        pytest.skip(
            f"{given} is not in this history; a shallow clone has it after `git fetch --unshallow`"
        )
    return known.stdout.strip()


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The tree of the version before."""
    tree = tmp_path / "before"
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", version_before(), "services", "shared"],
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(tree, filter="data")
    if patch := os.environ.get("ROLL_PATCH"):
        subprocess.run(["git", "apply", str(Path(patch).resolve())], cwd=tree, check=True)
    return tree


@dataclass
class Phone(Remembering):
    """A phone that goes to the process that serves now, and counts what it was told in between."""

    told: Counter[str] = field(default_factory=Counter)

    def post(self, phone: httpx.Client, key: str, wish: dict[str, object]) -> httpx.Response:
        url = f"{self.world.url('compensation')}/v1/checks"
        answer = phone.post(url, json=wish, headers={"Idempotency-Key": key})
        if answer.status_code == 503:
            self.told[answer.json()["type"]] += 1
        return answer


@dataclass
class Fleet:
    """One process of each service, replaced one after the other by that of another version."""

    world: World
    running: dict[str, Service] = field(default_factory=dict)

    def start(self, name: str, version: Services) -> None:
        """Start a process of a version; requests go to it once it is ready. Blocks."""
        port = free_port()
        world = replace(self.world, services=version)
        process = world.start(name, port=str(port), publish_wait_ms="3000")
        # Not by its first line of output, whose form differs between versions.
        process.url = f"http://127.0.0.1:{port}"
        process.wait_ready()
        self.world.ports[name] = port
        self.running[name] = process

    def roll(self, name: str, version: Services) -> None:
        """The successor is ready before the process stops. Blocks."""
        gone = self.running[name]
        self.start(name, version)
        assert gone.stop() == 0, f"{gone.log} says why"

    def die(self, name: str, version: Services) -> None:
        """A process dies and leaves lines in its outbox, which its successor publishes. Blocks."""
        stack = self.world.stack
        outbox = f"{name}:{{c0}}:outbox"
        with closing(Redis.from_url(self.world.stack.redis_url)) as redis:
            stack.signal("kafka", signal.SIGSTOP)
            try:
                until(lambda: redis.llen(outbox) >= LEFT, "lines that nobody published")
                self.running[name].kill()
                assert redis.llen(outbox) >= LEFT
            finally:
                stack.signal("kafka", signal.SIGCONT)
        self.start(name, version)


@contextmanager
def versions(everything: World, before: Path) -> Iterator[tuple[Services, Services]]:
    """The version before and this one; processes of both are ended."""
    this = everything.services
    other = Services(everything.services.directory / "before", this.environment, tree=before)
    try:
        yield other, this
    finally:
        other.stop()


def test_two_versions_serve_one_store_forward_and_back_under_traffic(tmp_path: Path, before: Path):
    """INV-02, INV-05, INV-06, INV-08: what either stored, answered, set or left to be published, the other goes on with."""
    with world(tmp_path) as everything, versions(everything, before) as (earlier, this):
        fleet, stop = Fleet(everything), threading.Event()
        for name in FORWARD:
            fleet.start(name, earlier)
        publisher = Publisher(everything, stop, random.Random(SEED), pause_s=BURST_PAUSE_S)
        publisher.burst()
        phones = [
            Phone(everything, one, publisher, stop, random.Random(SEED), one, pause_s=WISH_PAUSE_S)
            for one in EMPLOYEES[:3]
        ]

        def go_on() -> None:
            """Every phone gets some more answers."""
            wanted = {phone.employee: len(phone.answers) + BETWEEN for phone in phones}
            until(
                lambda: all(len(phone.answers) >= wanted[phone.employee] for phone in phones),
                "traffic",
            )

        with flowing(stop, [publisher, *phones]):
            go_on()
            for version, order in ((this, FORWARD), (earlier, FORWARD[::-1])):
                for name in order:
                    if name == "compensation":
                        fleet.die(name, version)
                    else:
                        fleet.roll(name, version)
                    go_on()
                answered = {phone.employee: published(phone) for phone in phones}
                assert asked_again(everything, phones, answered) > 0
        everything.time_passes("notifier")
        reads = auditor.exact(everything, *DOMAINS)
        letters = everything.mailbox.letters
        assert set().union(*(phone.told for phone in phones)) <= ANNOUNCED
        facts = auditor.facts(reads)
        assert auditor.out_of_order(reads) == []
        assert auditor.not_settled_once(reads) == []
        assert auditor.letters_wrong(facts, letters) == []
        issued = Counter(one["check_id"] for one in auditor.of(facts, CheckIssued.TYPE))
        assert set(issued.values()) == {1}
        assert len(auditor.of(facts, ComplaintReceived.TYPE)) == len(publisher.ids)
        accounts = stored(everything.stack.redis_url, "compensation").accounts
        assert auditor.authority_in(accounts) == auditor.debits(facts)
