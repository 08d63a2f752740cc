"""A dead letter that an operator sends again is taken once, as if it had just come, or buried again."""

from __future__ import annotations

from itertools import count
from typing import Any, Literal

import pytest
from pydantic_core import to_json
from structlog.testing import capture_logs

from shared.contracts.catalogue import DEAD_LETTER_BYTES, LARGE_MESSAGE_BYTES
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.deadletters import (
    DeadLetterDiscarded,
    DeadLetterFact,
    DeadLetterReplayed,
    Purpose,
)
from shared.contracts.event import Event
from shared.contracts.intake import ComplaintRaised
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.ops.dlq import Impossible, can_be_settled
from shared.runtime.engine.deadletters import Buried
from shared.runtime.engine.settle import BRAKE_AFTER
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Handler, Record, deciding
from shared.testing.builders import event, record
from tests.suites.services import Aboard, raised

#: Where a record was, as a letter's headers have it.
PLACE = [("origin-topic", b"t"), ("origin-partition", b"1"), ("origin-offset", b"1")]


class Operators:
    """What operators publish about one service's dead letters, and the service reads."""

    def __init__(self, aboard: Aboard, name: str) -> None:
        self.aboard, self.name = aboard, name
        self.offsets = count()

    async def letters(self) -> list[Buried]:
        found = [
            Buried.of(self.name, [(key, text.encode()) for key, text in line.headers])
            for line in await self.aboard.dead(self.name)
        ]
        return [one for one in found if one is not None]

    async def fact(self, number: int, kind: type[DeadLetterFact], **changes: Any) -> DeadLetterFact:
        one = (await self.letters())[number]
        place = {name: getattr(one, name) for name in ("topic", "partition", "offset", "burial")}
        if kind is DeadLetterReplayed:
            place |= {"dead_partition": 0, "dead_offset": number}
        who = {"by": "op-7", "why": Purpose.CAUSE_REMOVED, "consumer": self.name}
        return kind.model_validate({**place, **who, **changes})

    async def decide(
        self, number: int, kind: type[DeadLetterFact] = DeadLetterReplayed, **changes: Any
    ) -> None:
        fact = await self.fact(number, kind, **changes)
        found = record(fact, next(self.offsets), source="/ops/dlq")
        for name in self.aboard.apps:
            await self.aboard.feed(name, DeadLetterFact.TOPIC, [found])

    async def reasons(self) -> list[tuple[str, int]]:
        return [(one.reason, one.burial) for one in await self.letters()]


@pytest.fixture
async def unknown_site(aboard: Aboard) -> Operators:
    """A complaint was refused because its site had no policy, which is published by now."""
    found = record(raised(site="ms-new"), 4, "e-1")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [found], 3)
    assert [one.reason for one in await Operators(aboard, "complaints").letters()] == [
        "unknown_site"
    ]
    await publish(aboard, "ms-new")
    return Operators(aboard, "complaints")


@pytest.mark.parametrize("reason", Reason)
def test_a_letter_of_any_reason_is_found_again(reason: Reason):
    headers = [*PLACE, ("reason", reason.encode()), ("where", b"/data/text"), ("burial", b"1")]
    found = Buried.of("complaints", headers)
    assert found is not None
    assert found.reason == reason


async def publish(aboard: Aboard, site: str) -> None:
    head = PolicyPublished(
        site=site, version=1, policy=aboard.policy.model_copy(update={"site": site})
    )
    for name in aboard.apps:
        await aboard.feed(name, PolicyPublished.TOPIC, [record(head, 10)])


async def test_a_dead_letter_is_taken_once_however_often_it_is_sent_again(aboard, unknown_site):
    """INV-04: by two operators at once, and by one whose fact is on the topic twice."""
    for by in ("op-7", "op-7", "op-8"):
        await unknown_site.decide(0, by=by)
    assert await aboard.types("complaints") == [
        "customer-key.created",
        "customer-key.created",
        "complaint.received",
        "complaint.triaged",
        "complaints-replay.taken",
    ]
    (received,) = [one for one in await aboard.events("complaints") if "received" in one["type"]]
    assert received["data"]["site"] == "ms-new"
    assert received["cause"] == f"{DeadLetterFact.TOPIC}/0/0/1"
    assert await unknown_site.reasons() == [("unknown_site", 1)]


async def test_what_is_taken_is_the_same_as_if_it_had_been_taken_at_first(aboard, unknown_site):
    await unknown_site.decide(0)
    await aboard.feed(
        "complaints", ComplaintRaised.TOPIC, [record(raised(site="ms-new"), 5, "e-1")], 3
    )
    assert (await aboard.types("complaints"))[-1] == "complaint.repeated"


@pytest.mark.parametrize("discarded_first", [True, False])
async def test_of_two_decisions_at_once_the_first_counts(aboard, unknown_site, discarded_first):
    kinds = [DeadLetterDiscarded, DeadLetterReplayed]
    for kind in kinds if discarded_first else reversed(kinds):
        await unknown_site.decide(0, kind)
    assert ("complaint.received" in await aboard.types("complaints")) is not discarded_first


async def test_what_is_refused_again_is_buried_again_and_can_be_sent_once_more(aboard):
    operators = Operators(aboard, "complaints")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(site="ms-new"), 4)])
    await operators.decide(0)
    assert await operators.reasons() == [("unknown_site", 1), ("unknown_site", 2)]
    await publish(aboard, "ms-new")
    await operators.decide(0)
    assert await aboard.types("complaints") == []
    await operators.decide(1)
    assert "complaint.received" in await aboard.types("complaints")
    assert len(await operators.letters()) == 2


async def test_an_event_in_binary_mode_is_one_when_it_is_sent_again(aboard):
    whole = event(raised(site="ms-new"), "e-1", time="2026-06-03T13:59:00Z")
    headers = [
        (f"ce_{name}", whole[name].encode()) for name in ("specversion", "id", "source", "type")
    ]
    found = Record(4, to_json(whole["data"]), [*headers, ("content-type", b"application/json")])
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [found])
    operators = Operators(aboard, "complaints")
    assert await operators.reasons() == [("unknown_site", 1)]
    await publish(aboard, "ms-new")
    await operators.decide(0)
    assert "complaint.received" in await aboard.types("complaints")


async def older_build_settles(
    aboard: Aboard, operators: Operators, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An operator sends a letter again for a reason that the service's build does not know yet."""

    class Older(DeadLetterReplayed):
        why: Literal["not_needed"]  # type: ignore[assignment]  # fewer than today

    (inbox,) = [
        one for one in aboard.apps[operators.name].inboxes if one.topic == DeadLetterFact.TOPIC
    ]
    with monkeypatch.context() as older:
        older.setitem(inbox._models, DeadLetterReplayed.TYPE, Event[Older])
        await operators.decide(number, why=Purpose.PUBLISHER_ASKED)


async def test_a_decision_that_was_a_dead_letter_itself_counts_once_it_is_sent_again(
    aboard, unknown_site, monkeypatch
):
    """INV-04: an older build did not know the operator's reason; also twice, and once."""
    await older_build_settles(aboard, unknown_site, monkeypatch, 0)
    await older_build_settles(aboard, unknown_site, monkeypatch, 1)
    assert await unknown_site.reasons() == [
        ("unknown_site", 1), ("schema_invalid", 1), ("schema_invalid", 1)
    ]  # fmt: skip
    assert await aboard.types("complaints") == []
    for _ in range(2):
        await unknown_site.decide(2)
    assert await aboard.types("complaints") == [
        *["customer-key.created"] * 2,
        "complaint.received",
        "complaint.triaged",
        *["complaints-replay.taken"] * 3,
    ]
    events = await aboard.events("complaints")
    assert len({one["id"] for one in events}) == len(events)
    assert [one["data"]["letter"].rpartition("complaints/")[2] for one in events[4:]] == [
        "recovery.intake.v1/3/4",
        "recovery.deadletters.v1/0/0",
        "recovery.deadletters.v1/0/1",
    ]
    await unknown_site.decide(0)
    assert len(await aboard.events("complaints")) == len(events)


async def test_what_such_a_decision_is_about_is_buried_again_if_it_is_refused_again(
    aboard, monkeypatch
):
    operators = Operators(aboard, "complaints")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(site="ms-new"), 4)])
    await older_build_settles(aboard, operators, monkeypatch, 0)
    await operators.decide(1)
    assert await operators.reasons() == [
        ("unknown_site", 1), ("schema_invalid", 1), ("unknown_site", 2)
    ]  # fmt: skip
    await publish(aboard, "ms-new")
    await operators.decide(2)
    assert (await aboard.types("complaints")).count("complaint.received") == 1


async def test_what_our_code_fails_on_behind_such_a_decision_is_not_lost(aboard, monkeypatch):
    mend = failing(aboard, "notifier", ComplaintTriaged, ZeroDivisionError())
    await aboard.raise_complaint()
    operators = Operators(aboard, "notifier")
    await older_build_settles(aboard, operators, monkeypatch, 0)
    await operators.decide(1)
    assert await operators.reasons() == [
        ("handler_failed", 1), ("schema_invalid", 1), ("handler_failed", 2)
    ]  # fmt: skip
    mend()
    await operators.decide(2)
    assert "message.queued" in await aboard.types("notifier")


async def test_a_decision_about_itself_comes_to_an_end(aboard, unknown_site, monkeypatch):
    """Whoever may write to the topic may name the place where their own fact will lie."""
    itself = {"topic": DeadLetterFact.TOPIC, "partition": 0, "offset": 0, "dead_offset": 1}
    (inbox,) = [
        one for one in aboard.apps["complaints"].inboxes if one.topic == DeadLetterFact.TOPIC
    ]
    with monkeypatch.context() as older:
        older.setitem(inbox._models, DeadLetterReplayed.TYPE, Event[ComplaintRaised])
        await unknown_site.decide(0, **itself)
    assert await unknown_site.reasons() == [("unknown_site", 1), ("schema_invalid", 1)]
    await unknown_site.decide(1)
    assert await aboard.types("complaints") == ["complaints-replay.taken"]


async def test_other_services_take_nothing_of_it(aboard, unknown_site):
    before = {name: await aboard.events(name) for name in ("compensation", "notifier")}
    await unknown_site.decide(0)
    assert before == {name: await aboard.events(name) for name in before}


def failing(aboard: Aboard, name: str, kind: Any, error: Exception) -> Any:
    """A defect in the handler of one fact; call what is returned to mend it."""
    (inbox,) = [one for one in aboard.apps[name].inboxes if one.topic == kind.TOPIC]

    async def fails(_event: Any, _view: Any) -> Any:
        raise error

    sound = inbox._handlers[kind.TYPE]
    inbox._handlers[kind.TYPE] = Handler(kind, deciding(fails))
    return lambda: inbox._handlers.__setitem__(kind.TYPE, sound)


async def test_what_our_code_fails_on_is_buried_again_and_pulls_no_brake(aboard):
    """INV-04: an operator who sends too early loses nothing and stops nobody."""
    mend = failing(aboard, "notifier", ComplaintTriaged, ZeroDivisionError("secret words"))
    await aboard.raise_complaint()
    operators = Operators(aboard, "notifier")
    assert await operators.reasons() == [("handler_failed", 1)]
    with capture_logs() as logs:
        for number in range(BRAKE_AFTER + 2):
            await operators.decide(number)
    assert await operators.reasons() == [
        ("handler_failed", burial) for burial in range(1, BRAKE_AFTER + 4)
    ]
    assert "secret words" not in repr(logs)
    assert {one["topic"] for one in logs if one["event"] == "handler_failed"} == {
        ComplaintTriaged.TOPIC
    }
    mend()
    await operators.decide(BRAKE_AFTER + 2)
    assert "message.queued" in await aboard.types("notifier")


async def test_a_letter_does_not_wait_for_what_may_never_come(aboard):
    mend = failing(aboard, "notifier", ComplaintTriaged, Rejected(Reason.UNKNOWN_SITE))
    await aboard.raise_complaint()
    mend()
    failing(aboard, "notifier", ComplaintTriaged, Unavailable(Reason.STORY_NOT_YET_KNOWN))
    operators = Operators(aboard, "notifier")
    await operators.decide(0)
    assert await operators.reasons() == [("unknown_site", 1), ("story_not_yet_known", 2)]


async def test_while_the_store_is_away_a_letter_waits_like_every_record(aboard, unknown_site):
    failing(aboard, "complaints", ComplaintRaised, Unavailable(Reason.STORE_UNAVAILABLE))
    with pytest.raises(Unavailable):
        await unknown_site.decide(0)
    assert await unknown_site.reasons() == [("unknown_site", 1)]


async def test_what_cannot_be_opened_is_buried_as_it_is(aboard, unknown_site):
    """Sealed under another master key, or moved here from another dead letter."""
    settler = aboard.apps["complaints"].parts.settler
    assert settler.dead_letters is not None
    vault = aboard.apps["complaints"].parts.vault
    settler.dead_letters._open_dead = lambda value, _name: vault.open_dead(value, "another")
    await unknown_site.decide(0)
    assert await unknown_site.reasons() == [("unknown_site", 1), ("dead_letter_unreadable", 2)]
    first, second = await aboard.dead("complaints")
    assert first.value == second.value
    settler.dead_letters._open_dead = vault.open_dead
    await unknown_site.decide(1)
    assert "complaint.received" in await aboard.types("complaints")


@pytest.mark.parametrize(
    "changes",
    [{"offset": 9}, {"partition": 9}, {"burial": 2}, {"dead_offset": 9}, {"topic": "t.x"}],
)
async def test_a_fact_that_names_another_letter_than_the_one_that_is_there_is_told(
    aboard, unknown_site, changes
):
    with capture_logs() as logs:
        await unknown_site.decide(0, **changes)
    assert [one["event"] for one in logs] == ["dead_letter_not_found"]
    assert await aboard.types("complaints") == []


async def test_a_record_that_unpacks_to_more_than_its_topic_takes_is_cut_and_told(aboard):
    """A compressed record may: the letter must fit its own topic, or it would block the outbox."""
    whole = Record(4, b"x" * (LARGE_MESSAGE_BYTES + 1))
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [whole])
    operators = Operators(aboard, "complaints")
    (line,) = await aboard.dead("complaints")
    assert len(line.encode()) < DEAD_LETTER_BYTES
    assert dict(line.headers)["cut"] == str(LARGE_MESSAGE_BYTES + 1)
    await operators.decide(0)
    assert [(one.reason, one.cut) for one in await operators.letters()] == [
        ("too_large", LARGE_MESSAGE_BYTES + 1)
    ] * 2


async def test_the_largest_record_that_is_kept_whole_fits_the_topic_of_dead_letters(aboard):
    headers = [("ce_id", b"i" * 1000), ("content-type", b"application/json")]
    value = b"\xff" * (LARGE_MESSAGE_BYTES - 2000)
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [Record(4, value, headers)])
    (line,) = await aboard.dead("complaints")
    assert "cut" not in dict(line.headers)
    assert len(line.encode()) + 200 < DEAD_LETTER_BYTES


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("origin-topic", b"t"), ("origin-partition", b"-1"), ("origin-offset", b"1")],
        [("origin-topic", b"t"), ("origin-partition", b"1"), ("origin-offset", "²".encode())],
        [("origin-topic", b"t"), ("origin-partition", b"1"), ("origin-offset", b"9" * 5000)],
        [("origin-topic", b"t"), ("origin-partition", None), ("origin-offset", b"\xff")],
        [("origin-topic", b"t"), ("origin-partition", b"999999"), ("origin-offset", b"1")],
        [("origin-topic", b"t"), ("origin-partition", b"1"), ("origin-offset", b"9" * 19)],
        [("origin-topic", b"T \x1b"), ("origin-partition", b"1"), ("origin-offset", b"1")],
        [*PLACE, ("burial", b"0")],
        [*PLACE, ("burial", b"1001")],
        [*PLACE, ("where", b"\x1b[31m")],
        [*PLACE, ("where", b"/data" * 41)],
        [*PLACE, ("reason", b"Kari Nordmann")],
    ],
)
def test_a_record_that_no_service_wrote_is_no_dead_letter(headers):
    assert Buried.of("notifier", headers) is None


@pytest.mark.parametrize(
    ("consumer", "more", "says"),
    [
        ("notifier", [("cut", b"9")], "was cut"),
        ("notifier", [("burial", b"1000")], "refused 1000 times"),
        ("audit", [], "on the record as a gap"),
    ],
)
def test_what_cannot_be_settled_again_is_not_sent_again(consumer, more, says):
    letter = Buried.of(consumer, [*PLACE, *more])
    assert letter is not None
    with pytest.raises(Impossible, match=says):
        can_be_settled([letter])
    whole = Buried.of("notifier", PLACE)
    assert whole is not None
    can_be_settled([whole])


async def test_a_fact_of_a_check_that_failed_reaches_its_customer_once_it_is_sent_again(aboard):
    """INV-05: and one letter is written, not two."""
    complaint = await aboard.raise_complaint()
    mend = failing(aboard, "notifier", CheckIssued, ZeroDivisionError())
    await aboard.give(complaint, "cinema", "k")
    await aboard.carry()
    mend()
    operators = Operators(aboard, "notifier")
    for _ in range(2):
        await operators.decide(0)
    queued = [one for one in await aboard.facts("notifier") if one["type"].endswith("queued.v1")]
    assert [one["occasion"] for one in queued] == ["acknowledgement", "check_given"]
    taken = [one for one in await aboard.events("notifier") if "taken" in one["type"]]
    (letter,) = await operators.letters()
    assert [one["data"] for one in taken] == [{"letter": letter.name, "burial": 1}]
