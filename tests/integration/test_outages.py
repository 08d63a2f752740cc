"""What is promised while Kafka, Redis or the mail server is away, and when Redis comes back empty.

One system for the whole file; each test brings back what it took away, but the last one.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from redis import Redis

from devstack.processes import STOP_TIMEOUT_S, Service
from devstack.stack import ROOT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import MessageDelayed, MessageSent
from shared.runtime.kafka.consumer import EXIT_BROKEN
from shared.runtime.policy_file import load
from tests.system import auditor
from tests.system.traffic import Phone, Publisher, flowing
from tests.system.world import (
    EMPLOYEES,
    SITE,
    World,
    complaint,
    complaint_id,
    until,
    world,
)

SEED = 20261126
OWNERS = ("complaints", "compensation", "notifier")
#: An outage takes its time, and all that is given meanwhile is settled at last.
WISH_PAUSE_S = 0.1
FACTS = tuple(f"recovery.{owner}.v1" for owner in OWNERS)


@dataclass
class System:
    """The running services, and everything that was ever accepted by hand."""

    world: World
    services: dict[str, Service]
    publisher: Publisher
    numbers: Iterator[int]
    complaints: dict[str, httpx.Response] = field(default_factory=dict)
    checks: dict[str, httpx.Response] = field(default_factory=dict)

    def post(self, owner: str, path: str, body: dict, key: str) -> httpx.Response:
        with self.world.phone(owner) as phone:
            return phone.post(path, json=body, headers={"Idempotency-Key": key})

    def tell(self, key: str) -> httpx.Response:
        """An employee tells of a complaint."""
        contact = {"name": "A Guest", "email": f"{key}@guests.example"}
        body = {"site": SITE, "text": "The soup was cold.", "contact": contact}
        return self.post("complaints", "/v1/complaints", body, key)

    def give(self, key: str, complaint_id: str, item: str = "sincere-words") -> httpx.Response:
        """An employee gives a check."""
        wish = {"complaint_id": complaint_id, "item": item, "reason": "food", "again": True}
        return self.post("compensation", "/v1/checks", wish, key)

    def told(self) -> tuple[str, httpx.Response]:
        """Tell, and expect that it is accepted."""
        key = f"told-{next(self.numbers)}"
        self.complaints[key] = self.tell(key)
        assert self.complaints[key].status_code == 201, self.complaints[key].text
        return key, self.complaints[key]

    def given(self, complaint_id: str) -> tuple[str, httpx.Response]:
        """Give, and expect that it is accepted."""
        key = f"given-{next(self.numbers)}"
        self.checks[key] = self.give(key, complaint_id)
        assert self.checks[key].status_code == 201, self.checks[key].text
        return key, self.checks[key]

    def known_complaint(self) -> str:
        """A complaint that compensation has heard of."""
        name: str = self.told()[1].json()["complaint_id"]
        self.comes_to_compensation(name)
        return name

    def comes_to_compensation(self, name: str) -> None:
        """Wait until compensation has heard of a complaint; raises TooLate. Blocks."""
        with self.world.phone("compensation") as phone:
            until(
                lambda: phone.get("/v1/options", params={"complaint": name}).status_code == 200,
                "the complaint to come to compensation",
            )

    def ready(self) -> dict[str, int]:
        return {
            owner: httpx.get(f"{self.world.url(owner)}/ready", timeout=10.0).status_code
            for owner in OWNERS
        }

    @contextmanager
    def traffic(self, *, published: bool) -> Iterator[list[Phone]]:
        """Employees who give, and perhaps another system that publishes, meanwhile."""
        stop = threading.Event()
        self.publisher.stop = stop
        if not self.publisher.ids:
            self.publisher.burst()
            # A phone asks about one until it is known, which would take until the broker is back.
            for event_id in self.publisher.ids:
                self.comes_to_compensation(complaint_id(event_id))
        number = next(self.numbers)
        phones = [
            Phone(
                self.world,
                employee,
                self.publisher,
                stop,
                random.Random(SEED),
                f"{number}-",
                pause_s=WISH_PAUSE_S,
            )
            for employee in EMPLOYEES[1:3]
        ]
        try:
            with flowing(stop, [*phones, *([self.publisher] if published else [])]):
                yield phones
        finally:
            # Also where the test fails meanwhile, or the tests after it would miss what was given here.
            for phone in phones:
                self.checks |= {
                    key: answer
                    for key, answer in phone.answers.items()
                    if answer.status_code == 201
                }
        assert [phone.unlike for phone in phones] == [[] for _ in phones]

    def everything_is_right(self) -> None:
        """Every accepted write exists once in topics and stores, in order; INV-01, 02, 05, 06, 08."""
        for owner, service in self.services.items():
            assert service.process.poll() is None, f"{owner} ended by itself: {service.log}"
        reads = auditor.exact(self.world, COMPLAINTS, COMPENSATION, NOTIFIER)
        facts = auditor.facts(reads)
        assert auditor.out_of_order(reads) == []
        assert auditor.not_settled_once(reads) == []
        assert auditor.over_ceiling(facts, load(ROOT / "policy" / "demo.yaml")) == []
        received = Counter(one["complaint_id"] for one in auditor.of(facts, ComplaintReceived.TYPE))
        for answer in self.complaints.values():
            assert received[answer.json()["complaint_id"]] == 1
        assert len(received) == len(self.complaints) + len(self.publisher.ids)
        issued = Counter(one["check_id"] for one in auditor.of(facts, CheckIssued.TYPE))
        assert issued == Counter(answer.json()["check_id"] for answer in self.checks.values())
        assert auditor.letters_wrong(facts, self.world.mailbox.letters) == []


@pytest.fixture(scope="module")
def system(tmp_path_factory) -> Iterator[System]:
    with world(tmp_path_factory.mktemp("outages")) as everything:
        if not everything.stack.can_be_killed:
            pytest.skip("needs an Apache Kafka and a Redis of its own")
        services = {owner: everything.start(owner) for owner in OWNERS}
        for service in services.values():
            service.wait_ready()
        publisher = Publisher(everything, threading.Event(), random.Random(SEED))
        yield System(everything, services, publisher, iter(range(1_000_000)))


def is_problem(answer: httpx.Response, status: int, reason: str) -> bool:
    body = answer.json()
    return (
        (answer.status_code, body["type"], body["status"]) == (status, reason, status)
        and answer.headers["content-type"] == "application/problem+json"
        and (status != 503 or int(answer.headers["retry-after"]) >= 1)
    )


def same_answer(ask: Callable[[], httpx.Response], first: httpx.Response) -> bool:
    again = ask()
    return (again.status_code, again.content) == (
        first.status_code,
        first.content,
    ) and again.headers["idempotency-replayed"] == "true"


def test_without_a_broker_everything_is_accepted_and_is_published_once_and_in_order_later(
    system: System,
):
    complaint_id = system.known_complaint()
    with system.traffic(published=False) as phones:
        until(lambda: any(phone.answers for phone in phones), "traffic")
        system.world.stack.kill_kafka()
        before = sum(len(phone.answers) for phone in phones)

        told = [system.told() for _ in range(8)]
        given = [system.given(complaint_id) for _ in range(4)]
        assert {answer.headers["published"] for _, answer in told + given} == {"false"}
        assert all(same_answer(lambda key=key: system.tell(key), answer) for key, answer in told)
        assert set(system.ready().values()) == {200}, "the store is there, so writes are settled"
        until(lambda: sum(len(phone.answers) for phone in phones) > before + 10, "traffic")

        system.world.stack.start_kafka()
        until(lambda: system.told()[1].headers["published"] == "true", "publishing again")
    system.everything_is_right()


def test_without_a_store_nothing_is_accepted_and_nothing_accepted_before_is_lost(system: System):
    complaint_id = system.known_complaint()
    key, told = system.told()
    check_key, given = system.given(complaint_id)
    with system.traffic(published=True) as phones:
        until(lambda: any(phone.answers for phone in phones), "traffic")
        system.world.stack.kill_redis()

        assert is_problem(system.tell("while-away"), 503, "store_unavailable")
        assert is_problem(system.give("check-while-away", complaint_id), 503, "store_unavailable")
        assert is_problem(system.tell(key), 503, "store_unavailable"), "a repeat is a write too"
        assert set(system.ready().values()) == {503}
        assert httpx.get(f"{system.world.url('complaints')}/live").status_code == 200
        seen = system.publisher.count
        until(lambda: system.publisher.count > seen + 40, "complaints meanwhile")

        system.world.stack.start_redis()
        until(lambda: set(system.ready().values()) == {200}, "being ready again")
        assert same_answer(lambda: system.tell(key), told)
        assert same_answer(lambda: system.give(check_key, complaint_id), given)
        refused_before = system.tell("while-away")
        assert refused_before.status_code == 201
        assert "idempotency-replayed" not in refused_before.headers
        system.complaints["while-away"] = refused_before
        refused_before = system.give("check-while-away", complaint_id)
        assert refused_before.status_code == 201
        assert "idempotency-replayed" not in refused_before.headers
        system.checks["check-while-away"] = refused_before
    # A letter whose record met the outage is tried again when its time is up, with a fact that says so.
    system.world.time_passes("notifier")
    system.everything_is_right()


def test_without_a_mail_server_letters_wait_and_are_sent_once(system: System):
    mailbox = system.world.mailbox
    mailbox.close()
    told = [system.told() for _ in range(3)]
    ids = {answer.json()["complaint_id"] for _, answer in told}

    def delayed() -> set[str]:
        facts = auditor.facts(system.world.read(MessageDelayed.TOPIC))
        late = [one for one in auditor.of(facts, MessageDelayed.TYPE) if one["complaint_id"] in ids]
        assert {one["reason"] for one in late} <= {"mail_unavailable"}
        return {one["complaint_id"] for one in late}

    until(lambda: delayed() == ids, "the letters to be put off")
    assert not any(mailbox.to(f"{key}@guests.example") for key, _ in told)

    mailbox.open()
    until(
        lambda: all(mailbox.to(f"{key}@guests.example") for key, _ in told), "the letters to come"
    )
    system.everything_is_right()
    assert all(len(mailbox.to(f"{key}@guests.example")) == 1 for key, _ in told)
    facts = auditor.facts(system.world.read(MessageSent.TOPIC))
    late = [one for one in auditor.of(facts, MessageSent.TYPE) if one["complaint_id"] in ids]
    assert all(one["attempt"] > 1 for one in late)


def test_a_store_that_came_back_empty_is_refused_also_by_a_new_process(system: System):
    complaint_id = system.known_complaint()
    key, _ = system.told()
    check_key, _ = system.given(complaint_id)
    system.world.settle_down(*OWNERS)
    published = {place: end for place, end in ends(system.world).items() if place[0] in FACTS}
    with closing(Redis.from_url(system.world.stack.redis_url)) as store:
        store.flushall()

        def refuses_everything() -> bool:
            asked = (
                system.tell(key),
                system.tell("after-the-loss"),
                system.give(check_key, complaint_id),
                system.give("check-after-the-loss", complaint_id),
            )
            return all(is_problem(answer, 503, "store_stale") for answer in asked)

        assert refuses_everything()
        assert set(system.ready().values()) == {503}
        system.world.publish([complaint("event-after-the-loss", at=datetime.now(UTC))])
        assert refuses_everything()

        for service in system.services.values():
            service.process.terminate()
        for owner, service in system.services.items():
            # Also with a batch in hand that cannot be settled: that one comes again.
            assert service.process.wait(STOP_TIMEOUT_S) in (0, EXIT_BROKEN), owner
            system.services[owner] = system.world.start(owner)

        def answer() -> bool:
            try:
                return set(system.ready().values()) == {503}
            except httpx.TransportError:
                return False

        until(answer, "the new processes to listen")
        for owner, service in system.services.items():
            until(
                lambda service=service: "store_not_usable" in service.log.read_text(),
                f"{owner} to look at its store",
            )
        assert refuses_everything()
        held = {name.decode() for name in store.scan_iter(match="*")}
    assert not [name for name in held if ":lease:" not in name], "something began from nothing"
    assert published == {
        place: end for place, end in ends(system.world).items() if place[0] in FACTS
    }
    intake = system.world.progress("complaints", ComplaintRaised.TOPIC).values()
    assert sum(end - at for at, end in intake) == 1, "the complaint waits where it is"


def ends(world: World) -> dict[tuple[str, int], int]:
    return {
        (place.topic, place.partition): end
        for place, (_, end) in world.progress("nobody", *FACTS).items()
    }
