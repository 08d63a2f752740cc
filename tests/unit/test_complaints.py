"""The life of a complaint: received once, promised, claimed, confirmed or opened again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.complaints.intake.rules import OCCURRED_AHEAD_MAX, OCCURRED_PAST_MAX, plausible
from services.complaints.lifecycle.moves import given, take_feedback
from services.complaints.lifecycle.rules import Complaint, claimed, confirmed, reopened
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import Category, ComplaintConfirmed, Language, Severity
from shared.contracts.intake import ComplaintRaised
from shared.contracts.lifecycle import State
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import Aboard, demo_policy, raised

MILLISECOND = timedelta(milliseconds=1)
OPEN = Complaint(
    state=State.TRIAGED,
    customer_ref="c-1",
    site="ms-aurora",
    language=Language.NB,
    text="v1.x",
    category=Category.FOOD,
    severity=Severity.SEVERE,
)


@pytest.mark.parametrize(
    ("moment", "fits"),
    [
        (None, True),
        (START, True),
        (START + OCCURRED_AHEAD_MAX, True),
        (START + OCCURRED_AHEAD_MAX + MILLISECOND, False),
        (START - OCCURRED_PAST_MAX, True),
        (START - OCCURRED_PAST_MAX - MILLISECOND, False),
        (datetime.fromisoformat("9999-12-31T23:59:59-12:00"), False),
        (datetime.fromisoformat("0001-01-01T00:00:00+12:00"), False),
    ],
)
def test_a_stated_time_is_plausible_up_to_its_bounds_and_no_further(moment, fits):
    assert plausible(moment, START) is fits


def test_whoever_gives_something_first_owns_the_complaint_and_a_later_one_does_not_take_it_away():
    (fact,) = given(OPEN, "co-1", "e-1", START).facts
    owned = claimed(OPEN, fact)
    assert (owned.state, owned.employee_id) == (State.CLAIMED, "e-1")
    assert given(owned, "co-1", "e-1", START).facts == ()
    assert given(owned, "co-1", "e-2", START).facts == ()


def test_a_yes_confirms_and_a_no_opens_it_again_for_the_same_employee_with_a_new_promise():
    owned = claimed(OPEN, given(OPEN, "co-1", "e-1", START).facts[0])
    (yes,) = take_feedback(owned, "co-1", Helped.YES, demo_policy(), START).facts
    assert confirmed(owned, yes).state is State.CONFIRMED
    (no,) = take_feedback(owned, "co-1", Helped.NO, demo_policy(), START).facts
    again = reopened(owned, no)
    assert (again.state, again.employee_id, again.round) == (State.REOPENED, "e-1", 1)
    assert again.promised_by == START + timedelta(minutes=15)
    assert given(again, "co-1", "e-2", START).facts == (), "it has an owner"
    assert given(again, "co-1", "e-1", START).facts, "who is at work on it again"


def test_a_second_no_makes_another_promise_only_if_something_was_done_in_between():
    since, later = START, START + timedelta(minutes=1)
    (no,) = take_feedback(OPEN, "co-1", Helped.NO, demo_policy(), START, answered_at=since).facts
    again = reopened(OPEN, no)
    for helped in (Helped.NO, Helped.PARTLY):
        assert take_feedback(again, "co-1", helped, demo_policy(), later, done=[since]).facts == ()
        (fact,) = take_feedback(again, "co-1", helped, demo_policy(), later, done=[later]).facts
        assert fact.round == 2
    (fact,) = take_feedback(again, "co-1", Helped.YES, demo_policy(), later).facts
    assert isinstance(fact, ComplaintConfirmed), "a yes is never late"


async def test_an_accepted_complaint_is_received_triaged_and_promised_at_once(aboard: Aboard):
    """INV-04: every accepted complaint reaches triage."""
    await aboard.raise_complaint()
    assert await aboard.types("complaints") == [
        "customer-key.created",
        "customer-key.created",
        "complaint.received",
        "complaint.triaged",
    ]
    triaged = (await aboard.facts("complaints"))[-1]
    assert datetime.fromisoformat(triaged["promised_by"]) > START.astimezone(UTC)


async def test_no_word_and_no_address_leaves_unsealed(aboard: Aboard):
    """INV-07: a planted canary is in no line, document or key."""
    await aboard.raise_complaint(text="Canary-Zxq the soup was cold", customer="canary-zxq")
    kept = [store.kept for store in aboard.stores.values()]
    everything = repr([(one.documents, one.lines, one.timers) for one in kept])
    assert "anary" not in everything
    assert "kari@example.org" not in everything


async def test_the_same_event_from_its_source_is_the_same_complaint(aboard: Aboard):
    for offset in (0, 1):
        await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), offset, "same")])
    assert (await aboard.types("complaints")).count("complaint.received") == 1
    assert (await aboard.types("complaints"))[-1] == "complaint.repeated"


async def test_two_complaints_of_one_customer_share_a_key_and_two_without_name_and_address_do_not(
    aboard: Aboard,
):
    for offset, who in enumerate([{"customer": "c"}] * 2 + [{"contact": None}] * 2):
        await aboard.raise_complaint(offset, **who)
    refs = [fact["customer_ref"] for fact in await aboard.facts("complaints") if "text" in fact]
    assert len(set(refs)) == 3
    assert refs[0] == refs[1]


async def test_a_customer_without_an_address_is_triaged_all_the_same(aboard: Aboard):
    await aboard.raise_complaint(contact=None)
    assert (await aboard.facts("complaints"))[-1]["has_contact"] is False


FAR = {"years": datetime(9999, 12, 31, tzinfo=UTC)}
ISSUED = {
    "check_id": "ck-1", "complaint_id": "co-none", "customer_ref": "c", "employee_id": "e",
    "site": "s", "item": "i", "policy_version": 1, "kind": "apology", "language": "en",
    "value_minor": 0, "cost_minor": 0, "currency": "NOK", "code": "v1.x", "code_hash": "0" * 64,
    "valid_until": START, "issued_at": START, "debits": {}, "left": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "attributes", "reason"),
    [
        (raised(site="elsewhere"), {}, Reason.UNKNOWN_SITE),
        (raised(occurred_at=FAR["years"]), {}, Reason.TIME_OUT_OF_RANGE),
        (raised(stay_ends_at=FAR["years"]), {}, Reason.TIME_OUT_OF_RANGE),
        (raised(stay_ends_at=datetime(1, 1, 1, tzinfo=UTC)), {}, Reason.TIME_OUT_OF_RANGE),
        (raised(), {"time": "9999-12-31T23:59:59Z"}, Reason.TIME_OUT_OF_RANGE),
        (
            FeedbackReceived(
                complaint_id="co-none", check_id="ck", helped=Helped.YES, answered_at=START
            ),
            {},
            Reason.UNKNOWN_COMPLAINT,
        ),
    ],
)
async def test_what_can_never_be_taken_is_a_dead_letter_with_its_reason(
    aboard: Aboard, fact, attributes, reason
):
    await aboard.feed("complaints", type(fact).TOPIC, [record(fact, 0, **attributes)])
    (letter,) = await aboard.dead("complaints")
    assert dict(letter.headers)["reason"] == reason


async def test_a_check_may_be_heard_of_before_the_log_of_what_it_was_given_for(aboard: Aboard):
    await aboard.feed("complaints", CheckIssued.TOPIC, [record(CheckIssued(**ISSUED), 0)])
    assert (await aboard.dead("complaints"), await aboard.facts("complaints")) == ([], [])


async def test_a_complaint_raised_on_the_phone_is_answered_with_its_promise(aboard: Aboard):
    async with aboard.http("complaints") as phone:
        sent = {"site": "ms-aurora", "text": "My cabin is filthy"}
        answer = await phone.post("/v1/complaints", json=sent, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
        shown = await phone.get(f"/v1/complaints/{answer.json()['complaint_id']}")
        assert shown.json()["text"] == "My cabin is filthy"
        assert "contact" not in shown.json()
        foreign = {**sent, "site": "ms-borealis"}
        other = await phone.post("/v1/complaints", json=foreign, headers={"Idempotency-Key": "l"})
        assert (other.status_code, other.json()["type"]) == (404, Reason.UNKNOWN_SITE)
        unknown = await phone.get("/v1/complaints/co-none")
        assert (unknown.status_code, unknown.json()["type"]) == (404, Reason.UNKNOWN_COMPLAINT)
    await listed(aboard, "e-ingrid", "ms-borealis", 100)
    elsewhere = aboard.bearer(site="ms-borealis")
    async with aboard.http("complaints", elsewhere) as stranger:
        seen = await stranger.get(f"/v1/complaints/{answer.json()['complaint_id']}")
        assert seen.json() == unknown.json(), "a foreign complaint looks like an unknown one"


@pytest.mark.parametrize("unseen", [" ", "\n\t", "\x00", "\x1b", "\u200b\u200d \ufeff", "\u3164"])
@pytest.mark.parametrize("field", ["text", "place"])
async def test_words_and_a_place_of_which_nothing_is_seen_are_refused_and_a_publisher_has_no_such_place(
    aboard: Aboard, field: str, unseen: str
):
    sent = {"site": "ms-aurora", "text": "My cabin is filthy", field: unseen}
    async with aboard.http("complaints") as phone:
        refused = await phone.post("/v1/complaints", json=sent, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["type"]) == (422, Reason.SCHEMA_INVALID)
        assert refused.json()["errors"][0]["pointer"] == f"/{field}"
        if field == "text":
            return
        name = await aboard.raise_complaint(**{field: unseen})
        assert await aboard.dead("complaints") == []
        shown = (await phone.get(f"/v1/complaints/{name}")).json()
    assert shown["place"] is None


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Das Zimmer war schmutzig, und niemand hat uns geholfen.", True),
        ("汤是凉的，服务员很粗鲁。", True),
        ("The room was dirty and nobody helped us.", False),
    ],
)
async def test_words_in_a_language_that_is_not_read_are_shown_so_to_staff(
    aboard: Aboard, text: str, unread: bool
):
    name = await aboard.raise_complaint(text=text)
    async with aboard.http("complaints") as phone:
        shown = (await phone.get(f"/v1/complaints/{name}")).json()
        (row,) = (await phone.get("/v1/complaints")).json()["complaints"]
    assert (shown["unsupported_language"], row["unsupported_language"]) == (unread, unread)
    assert shown["language"] == "en"


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x7f", "\x85"])
async def test_an_address_or_a_number_with_a_control_character_is_refused(
    aboard: Aboard, sign: str
):
    for part, value in (("email", f"kim@example.org{sign}"), ("email", f"k{sign}m@example.org"),
                        ("phone", f"+47123456{sign}")):  # fmt: skip
        sent = {"site": "ms-aurora", "text": "My cabin is filthy", "contact": {part: value}}
        async with aboard.http("complaints") as phone:
            headers = {"Idempotency-Key": "k"}
            refused = await phone.post("/v1/complaints", json=sent, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (422, Reason.SCHEMA_INVALID)
        assert refused.json()["errors"][0]["pointer"] == f"/contact/{part}"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("O'Brien@example.org", 201),
        ("kim@exam'ple.org", 422),
        ("kim@example.org\r\nBcc: x@example.org", 422),
        ('"kim"@example.org', 422),
        ("<kim@example.org>", 422),
        ("kim@example.org,x@example.org", 422),
    ],
)
async def test_an_apostrophe_may_be_in_a_name_and_nothing_that_has_a_meaning_in_a_header(
    aboard: Aboard, address: str, status: int
):
    sent = {"site": "ms-aurora", "text": "My cabin is filthy", "contact": {"email": address}}
    async with aboard.http("complaints") as phone:
        headers = {"Idempotency-Key": "k"}
        answer = await phone.post("/v1/complaints", json=sent, headers=headers)
    assert answer.status_code == status, answer.text
    await aboard.carry()
    await aboard.ring()
    assert [one.recipient for one in aboard.postbox.letters] == ([address] if status == 201 else [])


async def listed(aboard: Aboard, employee_id: str, site: str, number: int, **listing: Any) -> None:
    """Complaints reads one more listing from the roster's topic."""
    fact = EmployeeListed(
        employee_id=employee_id,
        site=site,
        listing=Listing(role="any", **listing),
        listed_at=aboard.clock() + timedelta(seconds=1),
    )
    await aboard.feed("complaints", EmployeeListed.TOPIC, [record(fact, number)])


@pytest.mark.parametrize("who", ["never listed", "no longer active", "listed elsewhere alone"])
async def test_who_is_not_an_employee_of_the_site_now_reads_and_raises_nothing(aboard: Aboard, who):
    """A token says who somebody is; the roster says whether they work here."""
    complaint_id = await aboard.raise_complaint(text="My cabin is filthy")
    employee = "e-ingrid" if who == "no longer active" else "e-nobody"
    if who == "no longer active":
        await listed(aboard, employee, "ms-aurora", 100, active=False)
    if who == "listed elsewhere alone":
        await listed(aboard, employee, "ms-borealis", 100)
    before = await aboard.types("complaints")
    said = {"site": "ms-aurora", "text": "My cabin is filthy"}
    async with aboard.http("complaints", aboard.bearer(employee)) as phone:
        seen = await phone.get(f"/v1/complaints/{complaint_id}")
        told = await phone.post("/v1/complaints", json=said, headers={"Idempotency-Key": "k"})
    for answer in (seen, told):
        assert (answer.status_code, answer.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)
        assert "filthy" not in answer.text
    assert await aboard.types("complaints") == before
    await listed(aboard, employee, "ms-aurora", 101)
    async with aboard.http("complaints", aboard.bearer(employee)) as phone:
        seen = await phone.get(f"/v1/complaints/{complaint_id}")
    assert seen.json()["text"] == "My cabin is filthy"


async def test_who_raises_while_they_are_let_go_raises_nothing(aboard: Aboard):
    """A decision that raced with the roster is taken again."""
    store = aboard.stores["complaints"]
    commit = store.commit

    async def after_they_were_let_go(found):
        store.commit = commit
        await listed(aboard, "e-ingrid", "ms-aurora", 100, active=False)
        return await commit(found)

    store.commit = after_they_were_let_go
    said = {"site": "ms-aurora", "text": "My cabin is filthy"}
    async with aboard.http("complaints") as phone:
        told = await phone.post("/v1/complaints", json=said, headers={"Idempotency-Key": "k"})
    assert (told.status_code, told.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)
    assert "complaint.received" not in await aboard.types("complaints")


@pytest.mark.parametrize(
    ("kind", "said", "channel", "raised_by"),
    [
        ("employee", {}, "desk", "e-ingrid"),
        ("employee", {"channel": "desk"}, "desk", "e-ingrid"),
        ("employee", {"channel": "phone"}, "phone", "e-ingrid"),
        ("customer", {}, "app", None),
        ("customer", {"channel": "web"}, "web", None),
        ("system", {}, "partner", None),
    ],
)
async def test_who_raised_a_complaint_and_that_it_was_at_a_desk_comes_from_the_token(
    aboard: Aboard, kind, said, channel, raised_by
):
    body = {"site": "ms-aurora", "text": "My cabin is filthy", **said}
    async with aboard.http("complaints", aboard.bearer("e-ingrid", kind)) as phone:
        told = await phone.post("/v1/complaints", json=body, headers={"Idempotency-Key": "k"})
    assert told.status_code == 201
    (fact,) = [fact for fact in await aboard.facts("complaints") if "received_at" in fact]
    assert (fact["channel"], fact.get("raised_by")) == (channel, raised_by)


@pytest.mark.parametrize(
    ("kind", "said", "where"),
    [
        ("employee", {"raised_by": "e-noor"}, "/raised_by"),
        ("customer", {"raised_by": "e-noor"}, "/raised_by"),
        ("customer", {"channel": "desk"}, "/channel"),
        ("system", {"channel": "desk"}, "/channel"),
    ],
)
async def test_nobody_raises_a_complaint_as_somebody_else(aboard: Aboard, kind, said, where):
    body = {"site": "ms-aurora", "text": "My cabin is filthy", **said}
    async with aboard.http("complaints", aboard.bearer("e-ingrid", kind)) as phone:
        told = await phone.post("/v1/complaints", json=body, headers={"Idempotency-Key": "k"})
    assert (told.status_code, told.json()["type"]) == (422, Reason.SCHEMA_INVALID)
    assert [one["pointer"] for one in told.json()["errors"]] == [where]
    assert await aboard.types("complaints") == []


async def test_one_guest_of_a_site_has_one_pseudonym_whichever_employee_writes_it_down(
    aboard: Aboard,
):
    said = {"site": "ms-aurora", "text": "My cabin is filthy", "customer": "cabin 4012"}
    callers = [
        ("e-ingrid", "employee"),
        ("e-jonas", "employee"),
        ("crm", "system"),
        ("pos", "system"),
    ]
    for subject, kind in callers:
        async with aboard.http("complaints", aboard.bearer(subject, kind)) as phone:
            key = {"Idempotency-Key": subject}
            answer = await phone.post("/v1/complaints", json=said, headers=key)
        assert answer.status_code == 201
    await aboard.raise_complaint(customer="cabin 4012")
    refs = [fact["customer_ref"] for fact in await aboard.facts("complaints") if "text" in fact]
    assert refs[0] == refs[1]
    assert len(set(refs)) == 4, "other systems count their customers each in their own way"
