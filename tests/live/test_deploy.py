"""The image and the manifests as containers: the story, what is refused, restarts under traffic, and kills.

Root and podman are needed; without them everything here is skipped, and says so. The tests share one cluster and
run in their order, because the last one audits what all of them did.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError
from redis.exceptions import NoPermissionError

from devstack.stack import ROOT
from shared.contracts.audit import FactRecorded
from shared.contracts.catalogue import SERVICES, TOPICS
from shared.ops.raising import GROWING
from shared.ops.topics import partition_counts
from tests.chaos import report
from tests.chaos.audit import evidence as audit
from tests.chaos.audit import intake, ledger, letters, order, privacy, promises, record, requests
from tests.chaos.desk import Caller, Desk, Known, ask_all_again
from tests.chaos.diary import CANARY, Asked, Diary
from tests.chaos.publisher import Publisher
from tests.chaos.world import drained, generous, under_way
from tests.live.cluster import FACES, IMAGE, SERVERS, Cluster, running
from tests.live.pods import podman
from tests.system.world import SITE, until

# Clients of a killed broker leave sockets to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(3600),  # of one test, on a machine with much else to do
]
IMAGE_DEADLINE_S = 600
DESKS, PAUSE_S, PER_S = 2, 0.4, 2.0
#: As a proxy waits: a request is slow, not failed, while much else runs on this machine.
TIMEOUT_S = 30.0
#: Requests before the first and after the last change, so that a change has something to break.
AROUND = 10


@dataclass
class Live:
    """The cluster, and what drivers asked it in all tests."""

    cluster: Cluster
    diary: Diary = field(default_factory=Diary)
    known: Known = field(default_factory=Known)

    def ask(self, service: str, who: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Ask once under a new key, and note it. Blocks."""
        asked = Asked(service, who, path, f"story-{len(self.diary.asked)}", body)
        self.diary.asked.append(asked)
        with closing(Caller(self.cluster, self.diary, Random(0), TIMEOUT_S)) as caller:
            answer = caller.ask(asked)
        assert answer is not None, f"{path} was never answered"
        return answer

    def drain(self) -> list[str]:
        """Wait until no work is left; returns what is left if nothing moves. Blocks."""
        there = self.cluster
        return drained(lambda: under_way(SERVICES, there.redis, there.as_admin()))

    @contextmanager
    def traffic(self, name: str) -> Iterator[None]:
        """Desks and a publishing system during a `with` block. Their last requests are answered at its end."""
        there, diary, stop = self.cluster, self.diary, threading.Event()
        kafka = there.kafka.as_user("publisher").client()
        drivers: list[Callable[[threading.Event], None]] = [
            Publisher(kafka, diary, Random(f"publisher/{name}"), PER_S).run
        ]
        for number in range(DESKS):
            random = Random(f"desk/{name}/{number}")
            desk = Desk(there, diary, self.known, random, f"{name}-{number}", PAUSE_S, TIMEOUT_S)
            drivers.append(desk.run)
        threads = [threading.Thread(target=one, args=(stop,), daemon=True) for one in drivers]
        for thread in threads:
            thread.start()
        try:
            for step in ("before", "after"):
                asked = len(diary.asked) + AROUND
                until(lambda asked=asked: len(diary.asked) >= asked, f"traffic {step} the changes")
                if step == "before":
                    yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(240)
        assert not any(thread.is_alive() for thread in threads), "traffic does not end"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    if shutil.which("podman") is None or os.getuid() != 0:
        pytest.skip("podman, as root, is needed: make engine")
    built = subprocess.run(
        ["make", "image", f"IMAGE={IMAGE}", "ENGINE=podman"],
        cwd=ROOT, capture_output=True, text=True, timeout=IMAGE_DEADLINE_S,
    )  # fmt: skip
    if built.returncode:  # once, and not for each test
        why = "the image cannot be built; `make engine` makes podman ready on Debian"
        pytest.exit(f"{why}:\n{built.stderr[-3000:]}", returncode=1)
    policy = generous(tmp_path_factory.mktemp("policy"), "PT1H")
    with running(policy, ROOT / "policy" / "roster.yaml") as cluster:
        yield Live(cluster)


def test_a_complaint_becomes_a_letter_and_a_check_is_redeemed_and_both_are_on_the_record(
    live: Live,
):
    """Over SASL_SSL and TLS, by users with exactly the rights of the manifests."""
    there, address = live.cluster, f"story@{CANARY}.example"
    contact = {"name": f"Kim {CANARY}", "email": address}
    body = {"site": SITE, "text": f"The soup was cold. {CANARY}", "contact": contact}
    status, raised = live.ask("complaints", "employee e-jonas", "/v1/complaints", body)
    assert status == 201, raised
    until(lambda: there.mailbox.to(address), "the letter that answers the complaint")

    wish = {"complaint_id": raised["complaint_id"], "item": "taxfree-card/20000", "reason": "food"}
    given: list[tuple[int, Any]] = []

    def is_given() -> bool:
        given.append(live.ask("compensation", "employee e-sofia", "/v1/checks", wish))
        return given[-1][0] == 201

    until(is_given, "compensation to hear of the complaint")
    check = given[-1][1]
    until(lambda: len(there.mailbox.to(address)) > 1, "the letter with the check")
    till = {"code": check["code"], "capture": True}
    status, redeemed = live.ask("compensation", "till taxfree", "/v1/redemptions", till)
    assert status == 200, redeemed
    for name in (raised["complaint_id"], check["check_id"], redeemed["redemption_id"]):
        until(lambda name=name: is_recorded(there, name), f"{name} to be on the record")


def is_recorded(there: Cluster, name: str) -> bool:
    """Whether the record has a fact that names it."""
    with closing(KafkaConsumer(**there.as_admin().client(), enable_auto_commit=False)) as consumer:
        places = [
            TopicPartition(FactRecorded.TOPIC, number)
            for number in consumer.partitions_for_topic(FactRecorded.TOPIC) or ()
        ]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        consumer.seek_to_beginning(*places)
        while any(consumer.position(place) < ends[place] for place in places):
            for found in consumer.poll(timeout_ms=200).values():
                if any(name.encode() in one.value for one in found):
                    return True
    return False


@pytest.mark.parametrize("user", [*SERVICES, "operator", "backup", "restore", "publisher", "keda"])
def test_a_user_of_kafka_writes_and_reads_what_its_manifest_says_and_is_refused_the_rest(
    live: Live, user: str
):
    acls = live.cluster.document("KafkaUser", user)["spec"]["authorization"]["acls"]
    may = {
        one["resource"]["name"]: set(one["operations"])
        for one in acls
        if one["resource"]["type"] == "topic"
    }
    client = live.cluster.kafka.as_user(user).client()
    names = [topic.name for topic in TOPICS]
    with closing(
        KafkaProducer(**client, max_block_ms=30_000, enable_idempotence=False)
    ) as producer:
        for name in names:
            if "Write" not in may.get(name, ()):
                with pytest.raises(TopicAuthorizationFailedError):
                    producer.send(name, b"forbidden").get(timeout=30)
    with closing(KafkaConsumer(**client, group_id=None)) as consumer:
        assert set(names) & set(consumer.topics()) == may.keys(), "others are not even named"
        for name in (one for one in may if "Read" not in may[one]):
            consumer.assign([TopicPartition(name, 0)])
            consumer.seek(TopicPartition(name, 0), 0)
            with pytest.raises(TopicAuthorizationFailedError):
                consumer.poll(timeout_ms=10_000)


def test_a_service_is_refused_another_services_keys_in_the_store(live: Live):
    for service in SERVICES:
        with closing(live.cluster.redis(service)) as store:
            assert store.ping()
            store.get(f"{service}:{{c0}}:any")
            for other in set(SERVICES) - {service}:
                with pytest.raises(NoPermissionError):
                    store.get(f"{other}:{{c0}}:any")


def test_every_service_is_replaced_and_gets_new_passwords_under_traffic_and_no_request_fails(
    live: Live,
):
    before = len(live.diary.asked)
    with live.traffic("roll"), live.cluster.replacing_passwords():
        workloads = [f"{service}-{face}" for service in SERVICES for face in FACES]
        with ThreadPoolExecutor(len(workloads)) as at_once:  # as one `kubectl apply` does
            statuses = dict(zip(workloads, at_once.map(live.cluster.roll, workloads), strict=True))
    assert set(chain(*statuses.values())) == {0}, statuses
    asked = live.diary.asked[before:]
    failed = [
        (one.service, one.path, one.unreached, one.unheard, one.not_now)
        for one in asked
        if one.unreached or one.unheard or one.not_now or not one.answers
    ]
    print(f"{len(asked)} requests, {len(failed)} failed")
    assert failed == []
    assert live.diary.defects == {}
    assert len(asked) > 50


def test_a_kill_of_any_container_loses_nothing_that_was_accepted_and_does_nothing_twice(
    live: Live, tmp_path: Path
):
    """The auditor of the fault runner, on what all tests here did."""
    there, diary = live.cluster, live.diary
    with live.traffic("kill"):
        for pod in list(there.pods.values()):
            there.kill(pod)
            diary.faults[f"{pod.workload} killed"] += 1
            diary.rounds += 1
            if pod.workload in SERVERS:
                there.wait_all_ready()
        there.wait_all_ready()
    left = live.drain()
    ask_all_again(there, diary, Random("again"))
    assert (left or live.drain()) == []
    diary.letters = [(one.message_id, one.recipient, one.body) for one in there.mailbox.letters]
    diary.logs, diary.ended = there.said(), there.ended
    diary.noticed = report.noticed(diary.logs)
    stores = {f"{service}:*": there.redis(service) for service in SERVICES}
    found = audit.gather(there.as_admin().client(), stores)
    for store in stores.values():
        store.close()
    under_rules = (*ledger.INVARIANTS, *record.UNDER_RULES)
    invariants = [
        *intake.INVARIANTS, *order.INVARIANTS, *privacy.INVARIANTS, *requests.INVARIANTS,
        *letters.INVARIANTS, *promises.INVARIANTS, *record.INVARIANTS,
        *ledger.of(there.policy, there.roster, under_rules),
    ]  # fmt: skip
    verdicts = [invariant(found, diary) for invariant in invariants]
    lines = [*report.summary(diary, found), *report.verdicts(verdicts)]
    print("\n".join(lines))
    assert [one.states for one in verdicts if not one.holds] == [], "\n".join(lines)


def test_an_operator_looks_at_everything_and_raises_topics_in_the_pod_of_the_manifests(live: Live):
    """With no more rights than the manifests give, and no secret in a variable."""
    there = live.cluster
    with there.operating() as give:
        for command in ("status", "topics show", "dlq list", "policy check /site/policy.yaml"):
            status, said = give(*command.split())
            assert status == 0, (command, said)
        status, said = give("topics", "raise", "13", "--apply")
        assert (status, "stop all services first" in said) == (1, True), said
        stopped = there.stop_services()
        status, said = give("topics", "raise", "13", "--apply")
        assert (status, "now start the services" in said) == (0, True), said
        podman("start", *(pod.name for pod in stopped))
        there.wait_all_ready()
        until(lambda: give("status")[0] == 0, "every service to be well")
    counts = partition_counts(there.as_admin())
    assert {counts[name] for name in GROWING} == {13}
