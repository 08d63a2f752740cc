"""INV-01, 02, 05, 06, 08 after kill -9 of every service at every named crash point, under traffic.

Services run through their points one after the other: each start is told where to die next. The
traffic never stops meanwhile. What is checked is read from the topics by an independent reader.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import httpx
import pytest

from devstack.processes import Service
from devstack.stack import ROOT, free_port
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.compensation import CheckIssued, CheckRefused
from shared.contracts.complaints import ComplaintReceived, ComplaintRepeated, ComplaintTriaged
from shared.contracts.notifier import MessageAttempted, MessageQueued, MessageSent, Occasion
from shared.runtime.policy_file import load
from tests.system import auditor
from tests.system.replay import differences, stored
from tests.system.traffic import Phone, Publisher, flowing
from tests.system.world import EMPLOYEES, World, complaint_id, until, world

#: Between two wishes: a machine that takes minutes to die everywhere is not to write thousands of letters.
WISH_PAUSE_S = 0.1
#: Each service's way: where it dies next, and at which passing.
WAYS = {
    "complaints": ["decided:2", "committed:3", "published:4"],
    "compensation": ["decided:2", "committed:12", "published:4"],
    "notifier": ["decided:2", "committed:3", "published:4", "effected:5"],
}
SEED = 20261124
GIVEN_MIN = 30


@dataclass
class Run:
    """What was done, and what the topics and the stores say afterwards."""

    world: World
    publisher: Publisher
    phones: list[Phone]
    deaths: list[tuple[str, str]]

    @cached_property
    def reads(self) -> list:
        return self.world.read()

    @cached_property
    def facts(self) -> list:
        return auditor.facts(self.reads)

    def of(self, fact: type) -> list:
        return auditor.of(self.facts, fact.TYPE)

    @cached_property
    def answers(self) -> list[httpx.Response]:
        return [answer for phone in self.phones for answer in phone.answers.values()]


def walk(world: World, failed: Sequence[BaseException]) -> list[tuple[str, str]]:
    """Start every service with its next crash point as soon as it died at the one before."""
    ways = {name: iter([*way, ""]) for name, way in WAYS.items()}
    places: dict[str, str] = {}
    running: dict[str, Service] = {}
    deaths: list[tuple[str, str]] = []

    def start(name: str) -> None:
        places[name] = next(ways[name])
        # A pod keeps its name when it comes back, and with it its leases.
        running[name] = world.start(name, crash_at=places[name], holder=f"{name}-0")

    def look() -> bool:
        assert not failed, failed
        for name, service in running.items():
            status = service.process.poll()
            if status is None:
                continue
            assert status == -signal.SIGKILL, f"{name} ended with {status} by itself: {service.log}"
            deaths.append((name, places[name]))
            if name == "notifier":
                # The timers of attempts that died with their process are due now.
                world.time_passes(name)
            start(name)
        return not any(places.values())

    for name in WAYS:
        start(name)
    until(look, f"dying everywhere (now waiting at {places})", timeout_s=300)
    for service in running.values():
        service.wait_ready()
    return deaths


def enough(phones: Sequence[Phone]) -> bool:
    """Whether limits were met, and enough was given to show something by."""
    statuses = Counter(
        answer.status_code for phone in phones for answer in list(phone.answers.values())
    )
    return statuses[201] > GIVEN_MIN and statuses[409] > 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with world(tmp_path_factory.mktemp("crash")) as everything:
        if not everything.stack.can_be_killed:
            pytest.skip("needs an Apache Kafka and a Redis of its own")
        stop = threading.Event()
        publisher = Publisher(everything, stop, random.Random(SEED))
        everything.ports["compensation"] = free_port()
        phones = []
        for number, employee in enumerate(EMPLOYEES[:3]):
            phones.append(
                Phone(
                    everything,
                    employee,
                    publisher,
                    stop,
                    random.Random(SEED + number + 1),
                    pause_s=WISH_PAUSE_S,
                )
            )
        with flowing(stop, [publisher, *phones]) as failed:
            deaths = walk(everything, failed)
            # A quick machine is through before much was given, and then little would be shown.
            until(lambda: failed or enough(phones), "giving and refusing enough")
        done = Run(everything, publisher, phones, deaths)
        everything.settle_down(*WAYS)
        yield done


def test_every_service_died_at_each_of_its_points(run: Run):
    assert sorted(run.deaths) == sorted((name, at) for name, way in WAYS.items() for at in way)


def test_every_published_complaint_is_received_a_repeat_or_a_dead_letter(run: Run):
    assert auditor.not_settled_once(run.reads) == []
    assert len(run.of(ComplaintReceived)) == len(run.publisher.ids)
    assert {fact["complaint_id"] for fact in run.of(ComplaintTriaged)} == {
        complaint_id(event_id) for event_id in run.publisher.ids
    }
    assert len(run.of(ComplaintRepeated)) == run.publisher.repeats
    dead = auditor.dead_letters(run.reads, "complaints")
    assert Counter(letter["reason"] for letter in dead.values()) == {
        "malformed_bytes": run.publisher.malformed
    }


def test_no_account_exceeds_its_ceiling_at_any_prefix_of_the_log(run: Run):
    """INV-01."""
    policy = load(ROOT / "policy" / "demo.yaml")
    assert auditor.over_ceiling(run.facts, policy) == []
    assert len(run.of(CheckIssued)) > GIVEN_MIN
    assert run.of(CheckRefused), "limits were never reached, so nothing was shown"


def test_every_accepted_check_has_one_fact_and_one_debit_and_a_refused_one_is_nowhere(run: Run):
    """INV-02; its audit part comes with the audit service."""
    given = [answer.json() for answer in run.answers if answer.status_code == 201]
    issued = run.of(CheckIssued)
    assert sorted(one["check_id"] for one in given) == sorted(one["check_id"] for one in issued)
    by_id = {one["check_id"]: one for one in issued}
    for one in given:
        fact = by_id[one["check_id"]]
        assert {
            name: fact[name] for name in ("complaint_id", "item", "value_minor", "currency")
        } == {name: one[name] for name in ("complaint_id", "item", "value_minor", "currency")}
    refused = {one["check_id"] for one in run.of(CheckRefused)}
    assert len(refused) == len(run.of(CheckRefused)) == len(run.answers) - len(given)
    assert not refused & by_id.keys()
    state = stored(run.world.stack.redis_url, "compensation")
    assert auditor.authority_in(state.accounts) == auditor.debits(run.facts)
    assert {key for key in state.documents if key.startswith("check:")} == {
        f"check:{check_id}" for check_id in by_id
    }


def test_a_request_retried_through_the_crashes_gets_its_first_answer(run: Run):
    assert [key for phone in run.phones for key in phone.unlike] == []
    assert any(count > 2 for phone in run.phones for count in phone.asked.values())


def test_each_message_is_one_letter_but_where_a_fact_announces_the_repeat(run: Run):
    """INV-05."""
    assert auditor.letters_wrong(run.facts, run.world.mailbox.letters) == []
    queued = Counter(fact["occasion"] for fact in run.of(MessageQueued))
    assert queued == Counter(fact["occasion"] for fact in run.of(MessageSent)) + Counter(
        fact["occasion"] for fact in auditor.of(run.facts, "recovery.message.failed.v1")
    )
    assert queued[Occasion.ACKNOWLEDGEMENT] == run.publisher.reachable
    assert queued[Occasion.CHECK_GIVEN] == len(run.of(CheckIssued))
    unknown = [fact for fact in run.of(MessageAttempted) if fact["repeats_unknown"]]
    letters = len(run.world.mailbox.letters)
    assert letters - len(run.of(MessageSent)) <= len(unknown)
    assert unknown, "the notifier died between the letter and its record, and nobody noticed"


def test_facts_of_an_entity_are_on_kafka_in_commit_order(run: Run):
    """INV-08."""
    assert auditor.out_of_order(run.reads) == []
    events = [read for read in run.reads if not auditor.is_dead_letter(read)]
    sequenced = [one for one in events if b'"sequence"' in one.value[-40:]]
    assert len(sequenced) > len({one.value for one in sequenced}), "no relay died before its trim"


@pytest.mark.parametrize("domain", [COMPLAINTS, COMPENSATION, NOTIFIER], ids=lambda one: one.owner)
def test_replaying_all_topics_gives_the_state_that_is_stored(run: Run, domain):
    """INV-06."""
    found = stored(run.world.stack.redis_url, domain.owner)
    assert len(found.documents) > 100
    assert differences(auditor.replayed(domain, run.reads), found)[:10] == []
