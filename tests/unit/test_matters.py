"""The same customer about the same matter is one complaint, and what was merged can be split again."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import count, permutations
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.complaints.lifecycle.moves import No, correct, take_feedback
from services.complaints.lifecycle.rules import Complaint, Promise, corrected, heard, reopened
from services.complaints.matters.moves import Answered, Merged, merge, same_matter, split
from services.complaints.matters.rules import REMEMBERED_MAX, changed, remembered
from services.complaints.selfservice.moves import add_words
from services.complaints.selfservice.rules import missed
from shared.contracts.complaints import (
    MERGED_MAX,
    Category,
    ComplaintCorrected,
    ComplaintReopened,
    ComplaintTriaged,
    InfoReceived,
    Language,
    MatterChanged,
    Sameness,
    Severity,
    reference_of,
)
from shared.contracts.lifecycle import State
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.runtime.faults import Unavailable
from shared.runtime.words import say
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, YieldingStore, demo_policy
from tests.unit.test_compensation_incidents import given_in, small_incidents, the_incident
from tests.unit.test_lifecycle import do, names, seen
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt
from tests.unit.test_selfservice import in_order, opened, sent
from tests.unit.test_timeline import entries

LOUD = "The cabin next door plays loud music."
COLD, COLDER = "The soup was cold.", "The soup is still cold, and nobody came to the table."
SALTY = "The soup was a bit salty."
OTHER = "ms-borealis"
HOUR = timedelta(hours=1)
SOON, LATE = START + HOUR, START + 3 * HOUR
keys, offsets = count(), count(5000)


def a_complaint(by: datetime = LATE, **more: Any) -> Complaint:
    fields: dict[str, Any] = {
        "state": State.CLAIMED,
        "customer_ref": "c-1",
        "site": SITE,
        "language": Language.EN,
        "text": "v1.x",
        "category": Category.FOOD,
        "severity": Severity.MILD,
        "received_at": START,
        "promised_by": by,
        "promises": (Promise(0, by),),
    }
    return Complaint(**{**fields, **more})


def merged(other: Complaint, head: Complaint, **more: Any) -> Any:
    """The complaint that goes on for both, after a merge; or why there is none."""
    facts = merge(
        other,
        "co-2",
        head,
        "co-1",
        "e-ingrid",
        Sameness.EMPLOYEE_SAYS,
        demo_policy(),
        START + 2 * HOUR,
        **more,
    )
    if isinstance(facts, No):
        return facts.reason
    (fact,) = [one for one in facts if isinstance(one, MatterChanged)]
    return changed(head, fact)


async def complains(
    aboard: Aboard,
    text: str = COLD,
    who: str = "kim",
    kind: str = "customer",
    site: str = SITE,
    **more: Any,
) -> str:
    """A complaint over HTTP, by a customer with a token of their own unless it is an employee; its id."""
    async with aboard.http("complaints", aboard.bearer(who, kind, site=site)) as client:
        answer = await client.post(
            "/v1/complaints",
            json={"site": site, "text": text, **more},
            headers={"Idempotency-Key": f"m-{next(keys)}"},
        )
    assert answer.status_code == 201, answer.text
    await aboard.carry()
    return str(answer.json()["complaint_id"])


async def merges(aboard: Aboard, other: str, into: str, who: str = "e-ingrid") -> Any:
    answer = await do(aboard, other, "merge", who, into=into)
    await aboard.carry()
    return answer


async def says(aboard: Aboard, complaint_id: str, helped: Helped) -> None:
    answer = FeedbackReceived(
        complaint_id=complaint_id, check_id="ck-1", helped=helped, answered_at=aboard.clock()
    )
    await aboard.feed(
        "complaints", FeedbackReceived.TOPIC, [record(answer, next(offsets))], partition=9
    )
    await aboard.carry()


async def overdue(aboard: Aboard, **later: float) -> list[str]:
    """The complaints whose promise was broken, after so much time."""
    aboard.later(**later)
    await aboard.ring("complaints")
    await aboard.carry()
    found = await aboard.facts("complaints")
    return [one["complaint_id"] for one in found if one["type"].endswith("complaint.overdue.v1")]


# ---- by itself -----------------------------------------------------------------------------------


async def test_a_customer_who_asks_again_has_one_complaint_and_one_acknowledgement(aboard: Aboard):
    """Two channels, one token: one complaint in the lists, one letter."""
    contact = {"email": "kim@example.org"}
    first = await complains(aboard, COLD, contact=contact)
    second = await complains(aboard, COLDER, contact=contact, channel="web")
    await aboard.ring()
    assert [letter.recipient for letter in aboard.postbox.letters] == ["kim@example.org"]
    assert await names(aboard, "open") == [first]
    assert (await seen(aboard, f"/{first}"))["merged_ids"] == [second]
    shown = await seen(aboard, f"/{second}")
    assert (shown["state"], shown["merged_into"], shown["text"]) == ("merged", first, COLDER)
    assert await names(aboard, "done") == []


async def test_who_asks_again_is_told_what_stands(aboard: Aboard):
    first = await complains(aboard)
    promised = (await seen(aboard, f"/{first}"))["promised_by"]
    aboard.later(minutes=20)
    async with aboard.http("complaints", aboard.bearer("kim", "customer")) as client:
        wish, key = {"site": SITE, "text": COLDER}, {"Idempotency-Key": "again"}
        answers = [await client.post("/v1/complaints", json=wish, headers=key) for _ in range(2)]
    assert {one.status_code for one in answers} == {201}
    said, again = (one.json() for one in answers)
    assert said == again
    assert (said["into"], said["promised_by"]) == (first, promised)
    assert said["complaint_id"] != first


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, {"text": "The cabin next door plays loud music."}, id="something else"),
        pytest.param({}, {"who": "lee"}, id="somebody else"),
        pytest.param({}, {"contact": {"email": "kim@example.org"}}, id="an address"),
        pytest.param({"customer": "cab-1"}, {"customer": "cab-2"}, id="another name"),
        pytest.param({"text": "Hello."}, {"text": "Hello again."}, id="nothing is said"),
        pytest.param(
            {"contact": {"email": "kim@example.org"}}, {"who": "e-ingrid", "kind": "employee",
            "contact": {"email": "kim@example.org"}}, id="an employee writes it down",
        ),
    ],
)  # fmt: skip
async def test_what_is_not_surely_the_same_matter_stands_by_itself(aboard: Aboard, first, second):
    one, two = await complains(aboard, **first), await complains(aboard, **second)
    assert set(await names(aboard, "open")) == {one, two}


async def test_a_matter_that_ended_is_not_taken_up_by_a_new_complaint(aboard: Aboard):
    first = await complains(aboard)
    await do(aboard, first, "claim")
    await do(aboard, first, "resolve", outcome="fixed")
    second = await complains(aboard, COLDER)
    assert await names(aboard, "open") == [second]
    assert (await seen(aboard, f"/{second}"))["looks_like"] == []


async def test_two_complaints_at_the_same_moment_are_one(tmp_path):
    """The token's latest complaints are a document: of two commits one sees the other."""
    aboard = await Aboard(tmp_path).begin()
    settler = aboard.apps["complaints"].parts.settler
    settler.store = YieldingStore(aboard.stores["complaints"], [3, 1, 2, 5])
    await asyncio.gather(*(complains(aboard, COLD) for _ in range(4)))
    (head,) = await names(aboard, "open")
    assert len((await seen(aboard, f"/{head}"))["merged_ids"]) == 3


async def test_who_is_named_and_asks_ten_times_at_once_has_one_complaint_and_one_letter(tmp_path):
    aboard = await Aboard(tmp_path).begin()
    settler = aboard.apps["complaints"].parts.settler
    settler.store = YieldingStore(aboard.stores["complaints"], [3, 1, 2, 5])
    told = {"customer": "booking-9", "contact": {"email": "kim@example.org"}}
    await asyncio.gather(*(complains(aboard, COLD, **told) for _ in range(10)))
    await aboard.carry()
    await aboard.ring()
    assert [letter.recipient for letter in aboard.postbox.letters] == ["kim@example.org"]
    (head,) = await names(aboard, "open")
    assert len((await seen(aboard, f"/{head}"))["merged_ids"]) == 9


def test_danger_and_names_and_addresses_are_never_hidden_in_another_complaint():
    head = a_complaint()
    assert same_matter(a_complaint(), head, named=False)
    assert same_matter(a_complaint(customer_ref="c-2"), head, named=False)
    assert not same_matter(a_complaint(customer_ref="c-2"), head, named=True)
    assert not same_matter(a_complaint(customer_ref="c-2", reachable=True), head, named=False)
    assert not same_matter(a_complaint(reachable=True), head, named=True)
    named = a_complaint(reachable=True, contact_refs=("ct-1",))
    assert same_matter(named, named, named=True)
    assert not same_matter(named, head, named=True)
    assert not same_matter(named, a_complaint(reachable=True, contact_refs=("ct-2",)), named=True)
    assert not same_matter(a_complaint(safety=True), head, named=False)
    assert not same_matter(a_complaint(), a_complaint(state=State.AWAITING_INFO), named=False)
    full = a_complaint(merged_ids=tuple(f"co-{n}" for n in range(MERGED_MAX)))
    assert not same_matter(a_complaint(), full, named=False)


def test_the_latest_complaints_of_a_token_are_remembered():
    fact = ComplaintTriaged(
        complaint_id="co-0", customer_ref="c-1", site=SITE, language=Language.EN,
        category=Category.FOOD, severity=Severity.MILD, safety=False, promised_by=LATE,
        policy_version=1, has_contact=False,
    )  # fmt: skip
    sender = None
    for number in range(REMEMBERED_MAX + 5):
        sender = remembered(sender, fact.model_copy(update={"complaint_id": f"co-{number}"}))
    assert sender is not None
    assert sender.complaint_ids[0] == "co-5"
    assert len(sender.complaint_ids) == REMEMBERED_MAX


# ---- by an employee ------------------------------------------------------------------------------


async def test_equal_addresses_only_suggest_and_an_employee_merges(aboard: Aboard):
    contact = {"email": "kim@example.org"}
    first = await complains(aboard, COLD, contact=contact)
    second = await complains(aboard, COLDER, "e-ingrid", "employee", contact=contact)
    other = await complains(aboard, COLD, "e-ingrid", "employee")
    assert (await seen(aboard, f"/{second}"))["looks_like"] == [first]
    assert (await seen(aboard, f"/{other}"))["looks_like"] == []
    answer = await merges(aboard, second, first)
    assert answer.status_code == 200, answer.text
    assert answer.json()["into"] == first
    assert set(await names(aboard, "open")) == {first, other}
    fact = [one for one in await aboard.facts("complaints") if "because" in one][-1]
    assert (fact["because"], fact["employee_id"]) == ("same_customer", "e-ingrid")


async def test_a_letter_that_waits_for_the_mail_server_is_no_second_acknowledgement(aboard: Aboard):
    contact = {"email": "kim@example.org"}
    aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)] * 2
    first = await complains(aboard, COLD, contact=contact)
    second = await complains(aboard, COLDER, "e-ingrid", "employee", contact=contact)
    await aboard.ring()
    await merges(aboard, second, first)
    aboard.later(hours=1)
    await aboard.ring()
    assert len(aboard.postbox.letters) == 1
    failed = [one for one in await aboard.facts("notifier") if "failed_at" in one]
    assert [(one["complaint_id"], one["reason"]) for one in failed] == [
        (second, Reason.COMPLAINT_MERGED)
    ]


async def test_a_merge_into_a_merged_one_goes_to_its_head_and_never_in_a_circle(aboard: Aboard):
    first, second, third = [await complains(aboard, who=who) for who in ("a", "b", "c")]
    assert (await merges(aboard, second, first)).status_code == 200
    answer = await merges(aboard, third, second)
    assert answer.json()["into"] == first
    for other, into in ((first, second), (first, first), (first, third)):
        refused = await merges(aboard, other, into)
        assert (refused.status_code, refused.json()["type"]) == (409, "not_mergeable")
    fourth = await complains(aboard, who="d")
    refused = await merges(aboard, first, fourth)
    assert refused.json()["type"] == "not_mergeable", "others were merged into it"
    refused = await merges(aboard, second, fourth)
    assert (refused.json()["type"], refused.json()["complaint_id"]) == ("complaint_merged", first)


async def test_nothing_is_done_with_a_merged_complaint_and_the_answer_says_with_which(
    aboard: Aboard,
):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await do(aboard, second, "handover", colleague_id="e-jonas")
    await merges(aboard, second, first)
    for what, command in (
        ("claim", {}), ("accept", {}), ("decline", {}), ("withdraw", {}), ("unfounded", {}),
        ("refer", {"body": "transport-complaints-board"}),
        ("handover", {"colleague_id": "e-jonas"}), ("ask", {"question": "Which?"}),
        ("answer", {"answer": "The left one."}), ("resolve", {"outcome": "fixed"}),
        ("correct", {"category": "noise"}),
    ):  # fmt: skip
        answer = await do(aboard, second, what, **command)
        assert (answer.status_code, answer.json()["type"]) == (409, "complaint_merged"), what
        assert answer.json()["complaint_id"] == first
    assert await names(aboard, "offered", "e-jonas") == []


async def test_what_is_of_another_site_is_not_there(aboard: Aboard):
    policy = demo_policy().model_copy(update={"site": OTHER})
    listed = EmployeeListed(
        employee_id="e-boreal", site=OTHER, listing=Listing(role="reception"), listed_at=START
    )
    for fact in (PolicyPublished(site=OTHER, version=1, policy=policy), listed):
        for service in ("complaints", "compensation", "notifier"):
            await aboard.feed(service, fact.TOPIC, [record(fact, 900)], partition=3)
    here, elsewhere = await complains(aboard), await complains(aboard, site=OTHER)
    for who, site, other, into in (
        ("e-ingrid", SITE, elsewhere, here),
        ("e-ingrid", SITE, here, elsewhere),
        ("e-boreal", OTHER, here, elsewhere),
        ("e-boreal", OTHER, elsewhere, here),
    ):
        async with aboard.http("complaints", aboard.bearer(who, site=site)) as phone:
            for what, command in (("merge", {"into": into}), ("split", None)):
                answer = await phone.post(
                    f"/v1/complaints/{other}/{what}",
                    json=command,
                    headers={"Idempotency-Key": f"m-{next(keys)}"},
                )
                refused = (answer.status_code, answer.json()["type"])
                own = what == "split" and (site == SITE) == (other == here)
                assert refused == ((409, "wrong_state") if own else (404, "unknown_complaint"))


async def test_a_complaint_that_waits_for_its_customer_or_ended_is_not_merged(aboard: Aboard):
    first, second, third = [
        await complains(aboard, who=who, contact={"email": f"{who}@example.org"}) for who in "abc"
    ]
    await do(aboard, second, "ask", question="Which?")
    await do(aboard, third, "withdraw")
    for other, into in ((second, first), (first, second), (third, first), (first, third)):
        answer = await merges(aboard, other, into)
        assert (answer.status_code, answer.json()["type"]) == (409, "wrong_state")


def test_danger_is_merged_into_danger_alone():
    danger = a_complaint(safety=True)
    assert merged(danger, a_complaint()) is Reason.NOT_MERGEABLE
    assert merged(a_complaint(), danger).safety
    assert merged(a_complaint(forgotten=True), danger) is Reason.CUSTOMER_ERASED


def test_the_worse_of_two_is_how_bad_it_is():
    head = merged(a_complaint(severity=Severity.SEVERE), a_complaint())
    assert head.severity is Severity.SEVERE


async def test_a_claim_and_a_merge_at_once_leave_one_owner_and_one_complaint(tmp_path):
    aboard = await Aboard(tmp_path).begin()
    settler = aboard.apps["complaints"].parts.settler
    settler.store = YieldingStore(aboard.stores["complaints"], [2, 1, 4])
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    both = await asyncio.gather(
        do(aboard, second, "claim", "e-jonas"),
        do(aboard, first, "claim", "e-sofia"),
        do(aboard, second, "merge", into=first),
        do(aboard, first, "merge", into=second),
    )
    merge_answers = sorted(one.status_code for one in both[2:])
    assert merge_answers == [200, 409]
    (head,) = await names(aboard, "open")
    other = second if head == first else first
    assert (await seen(aboard, f"/{other}"))["merged_into"] == head


@pytest.mark.parametrize("script", [[2, 1, 4], [0, 3, 1, 1], [5, 0, 2]])
async def test_a_handover_and_a_merge_at_once_leave_nobody_asked(tmp_path, script):
    aboard = await Aboard(tmp_path).begin()
    settler = aboard.apps["complaints"].parts.settler
    settler.store = YieldingStore(aboard.stores["complaints"], script)
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await do(aboard, second, "handover", "e-ingrid", colleague_id="e-jonas")
    accepted, merge_answer = await asyncio.gather(
        do(aboard, second, "accept", "e-jonas"), do(aboard, second, "merge", into=first)
    )
    assert merge_answer.status_code == 200
    shown = await seen(aboard, f"/{second}")
    assert (shown["state"], shown["asked_colleague"]) == ("merged", None)
    owner = "e-jonas" if accepted.status_code == 200 else "e-ingrid"
    await do(aboard, second, "split")
    assert (await seen(aboard, f"/{second}"))["employee_id"] == owner


# ---- the promise ---------------------------------------------------------------------------------


def test_the_promise_is_the_earlier_of_both():
    assert merged(a_complaint(SOON), a_complaint(LATE)).promise.by == SOON
    assert merged(a_complaint(LATE), a_complaint(SOON)).promise.by == SOON


def test_a_promise_that_was_kept_or_broken_is_not_made_again():
    broken = (Promise(0, SOON, broken=True),)
    head = merged(a_complaint(promises=broken), a_complaint(LATE))
    assert (head.promise.by, head.promise.broken) == (LATE, False)
    head = merged(a_complaint(LATE), a_complaint(SOON, promises=broken))
    assert (head.promise.by, head.promise.broken, head.overdue) == (LATE, False, True)
    assert head.own_promise.broken
    both = merged(a_complaint(promises=broken), a_complaint(SOON, promises=broken))
    assert (both.promise.by, both.promise.broken) == (SOON, True)
    kept = {START + timedelta(minutes=5)}
    assert merged(a_complaint(SOON), a_complaint(LATE), kept_by_other=kept).promise.by == LATE


def test_who_asks_again_after_something_was_given_has_a_promise_of_their_own():
    asked = START + HOUR / 2
    other = a_complaint(LATE, received_at=asked)
    kept = {START + HOUR / 4}
    head = merged(other, a_complaint(SOON), kept_by_head=kept)
    assert (head.promise.by, head.promise.since) == (LATE, asked)
    assert head.promised_by == LATE


def test_a_merge_tells_nobody_a_later_time_than_they_were_promised():
    """The head's promise was kept, and its time is not over: what the other customer asks for is due by then."""
    asked, kept = START + HOUR, {START + HOUR / 2}
    other = a_complaint(START + 4 * HOUR, received_at=asked)
    head = merged(other, a_complaint(START + 3 * HOUR), kept_by_head=kept)
    assert (head.promise.by, head.promise.since) == (START + 3 * HOUR, asked)
    assert head.promised_by == START + 3 * HOUR
    over = merged(other, a_complaint(START + 2 * HOUR), kept_by_head=kept)
    assert over.promised_by == START + 4 * HOUR


@pytest.mark.parametrize("fixed", [True, False])
async def test_a_merge_leaves_what_was_promised_first_as_it_was(aboard: Aboard, fixed: bool):
    """Whether the other promise is later, and this one was kept, or the other is earlier."""
    noise = "The cabin next door plays loud music."
    texts = (COLD, noise) if fixed else (noise, "There is a worm in my salad, I am furious!")
    first = await complains(aboard, texts[0], "a")
    promised = (await seen(aboard, f"/{first}"))["promised_by"]
    if fixed:
        await do(aboard, first, "fix", "e-sofia", fix="cook-again")
        await aboard.carry()
    aboard.later(minutes=5)
    second = await complains(aboard, texts[1], "a")
    assert (await merges(aboard, second, first)).status_code == 200
    shown = await seen(aboard, f"/{first}")
    assert shown["promised_by"] <= promised
    told = {one.get("complaint_id"): one for one in await entries(aboard, first)
            if one["what"] == "promised"}  # fmt: skip
    assert told[None]["promised_by"] == promised
    assert told[second]["promised_by"] == (await seen(aboard, f"/{second}"))["promised_by"]


async def test_the_promise_of_two_complaints_rings_once(aboard: Aboard):
    first = await complains(aboard, who="a")
    aboard.later(minutes=30)
    second = await complains(aboard, who="b")
    await merges(aboard, first, second)
    assert await overdue(aboard, hours=24) == [second]
    fact = next(one for one in await aboard.facts("complaints") if "overdue_at" in one)
    assert fact["promised_by"] == (await seen(aboard, f"/{first}"))["promised_by"]


async def test_a_promise_still_to_be_kept_goes_on_with_a_head_whose_own_was_broken(aboard: Aboard):
    """It warns and rings once; that the other was broken stays said, and a split gives each its own."""
    first = await complains(aboard, who="a")
    assert await overdue(aboard, hours=1) == [first]
    second = await complains(aboard, who="b")
    promised = (await seen(aboard, f"/{second}"))["promised_by"]
    await merges(aboard, second, first)
    assert (await seen(aboard, f"/{first}"))["promised_by"] == promised
    assert [
        one["complaint_id"] for one in (await seen(aboard, "?state=overdue"))["complaints"]
    ] == [first]
    assert await overdue(aboard, minutes=59) == [first]
    assert await overdue(aboard, hours=24) == [first, first]
    assert await overdue(aboard, hours=24) == [first, first]
    facts = await aboard.facts("complaints")
    rung = [one["promised_by"] for one in facts if "overdue_at" in one]
    assert rung[1] == promised != rung[0]
    assert [one["promised_by"] for one in facts if "warned_at" in one].count(promised) == 1
    third = await complains(aboard, who="c")
    await merges(aboard, third, first)
    await do(aboard, second, "split")
    assert await overdue(aboard, hours=24) == [first, first, first], "the second rang before"


async def test_what_was_given_for_a_merged_complaint_keeps_the_promise(aboard: Aboard):
    """Also if compensation heard of the merge later than it gave."""
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    assert (await do(aboard, second, "merge", into=first)).status_code == 200
    aboard.later(minutes=1)
    assert (await aboard.give(second, "cinema", "k")).status_code == 201
    await aboard.carry()
    assert await overdue(aboard, hours=24) == []


async def test_a_no_while_merged_goes_to_the_complaint_that_goes_on(aboard: Aboard):
    first, second = [await complains(aboard, text) for text in (COLD, LOUD)]
    await do(aboard, first, "claim", "e-aino")
    await aboard.give(second, "cinema", "k")
    await merges(aboard, second, first)
    await do(aboard, first, "resolve", "e-aino", outcome="fixed")
    await says(aboard, second, Helped.NO)
    shown = await seen(aboard, f"/{first}")
    assert (shown["state"], shown["round"], shown["employee_id"]) == ("reopened", 1, "e-aino")
    assert (await seen(aboard, f"/{second}"))["state"] == "merged"
    await says(aboard, second, Helped.YES)
    assert (await seen(aboard, f"/{first}"))["state"] == "confirmed"


async def test_two_nos_to_what_was_given_before_are_one_round_with_one_promise(aboard: Aboard):
    """Two checks of one complaint, or its page and a check's link: what comes first makes the promise."""
    complaint = await complains(aboard)
    await aboard.give(complaint, "cinema", "k")
    await aboard.carry()
    aboard.later(minutes=1)
    for helped in (Helped.NO, Helped.PARTLY):
        await says(aboard, complaint, helped)
        aboard.later(seconds=3)
    assert (await aboard.types("complaints")).count("complaint.reopened") == 1
    await aboard.give(complaint, "dinner-for-two", "k2", again=True)
    await aboard.carry()
    aboard.later(minutes=1)
    await says(aboard, complaint, Helped.NO)
    assert (await seen(aboard, f"/{complaint}"))["round"] == 2


async def test_what_another_customer_answers_is_about_their_own_complaint(aboard: Aboard):
    """Nobody is written to about what another customer said, and nobody's complaint ends by it."""
    first, second = [
        await complains(aboard, who=who, contact={"email": f"{who}@example.org"}) for who in "ab"
    ]
    await aboard.give(second, "cinema", "k")
    await merges(aboard, second, first)
    await aboard.ring()
    written = len(aboard.postbox.letters)
    await says(aboard, second, Helped.NO)
    await aboard.ring()
    assert [one.recipient for one in aboard.postbox.letters[written:]] == ["b@example.org"]
    assert (await seen(aboard, f"/{first}"))["state"] == "triaged"
    shown = await seen(aboard, f"/{second}")
    assert (shown["state"], shown["round"], shown["merged_into"]) == ("reopened", 1, None)
    await merges(aboard, second, first)
    await says(aboard, second, Helped.YES)
    assert (await seen(aboard, f"/{second}"))["state"] == "confirmed"
    assert await names(aboard, "open") == [first]


async def test_what_is_merged_has_one_timeline_and_undone_neither_shows_the_others_words(
    aboard: Aboard,
):
    first = await complains(aboard, COLD, who="a")
    second = await complains(aboard, COLDER, who="b")
    await aboard.give(second, "cinema", "k")
    await merges(aboard, second, first)

    async def told(name: str) -> list[tuple[str, str | None, str | None]]:
        found = await entries(aboard, name)
        return [(one["what"], one.get("text"), one.get("complaint_id")) for one in found]

    both = await told(first)
    assert ("received", COLD, None) in both
    assert ("received", COLDER, second) in both
    assert ("check_given", None, second) in both
    assert ("merged", None, second) in both
    assert ("received", COLD, None) not in await told(second)
    await do(aboard, second, "split")
    await aboard.carry()
    assert COLDER not in str(await told(first))
    assert COLD not in str(await told(second))
    assert [what for what, *_ in await told(second)][-2:] == ["merged", "split"]


async def test_a_link_shows_what_its_holder_wrote_also_once_it_is_merged(aboard: Aboard):
    links = {}
    for who, text in (("a", COLD), ("b", COLDER)):
        name = await complains(aboard, text, who=who, contact={"email": f"{who}@example.org"})
        await aboard.ring()
        (url,) = [word for word in aboard.postbox.letters[-1].body.split() if "/m/" in word]
        links[who] = name, urlsplit(url).path
    (first, of_first), (second, of_second) = links["a"], links["b"]
    await merges(aboard, second, first)
    page = (await opened(aboard, of_second)).text
    assert (COLDER in page, COLD in page) == (True, False)
    assert "together with another message" in page
    assert COLDER not in (await opened(aboard, of_first)).text
    await sent(aboard, f"{of_second}/words", text="It was the fish soup.")
    await aboard.carry()
    read = await entries(aboard, first)
    assert "It was the fish soup." in [one.get("text") for one in read], "who goes on reads it"
    assert "fish soup" not in (await opened(aboard, of_first)).text


async def linked(aboard: Aboard, text: str, who: str) -> tuple[str, str]:
    """A complaint and the path of the link in its letter."""
    name = await complains(aboard, text, who=who, contact={"email": f"{who}@example.org"})
    await aboard.ring()
    (url,) = [word for word in aboard.postbox.letters[-1].body.split() if "/m/" in word]
    return name, urlsplit(url).path


@pytest.mark.parametrize("who", ["a", "b"])
async def test_a_merged_complaints_page_says_what_was_done_to_its_own_customer_alone(
    aboard: Aboard, who: str
):
    """Another customer reads the outcome, and no words that are about somebody else."""
    first, _ = await linked(aboard, COLD, "a")
    # Complaints of different customers are merged only if they are about the same.
    text = "There was a hair in my salad." if who == "a" else COLDER
    second, path = await linked(aboard, text, who)
    await merges(aboard, second, first)
    own, other = who == "a", reference_of(first)
    standing = (await opened(aboard, path)).text
    assert (f"your other message about the same ({other})" in standing) == own
    await do(aboard, first, "claim")
    await do(aboard, first, "resolve", outcome="fixed", note="Your soup was cooked again.")
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert in_order(page, "We put it right", "It is fixed now.", "Did it help?")
    assert (f"your other message ({other})" in page) == own
    assert ("Your soup was cooked again." in page) == own


async def test_another_customer_is_not_told_that_something_was_explained_to_them(aboard: Aboard):
    first, _ = await linked(aboard, COLD, "a")
    second, path = await linked(aboard, COLDER, "b")
    await merges(aboard, second, first)
    await do(aboard, first, "claim")
    await do(aboard, first, "resolve", outcome="explained")
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert "Did it help?" in page
    assert say(Language.EN, "mine.outcome.explained") not in page


async def test_a_merged_complaints_page_says_that_the_other_one_was_taken_back(aboard: Aboard):
    first, _ = await linked(aboard, COLD, "a")
    second, path = await linked(aboard, "There was a hair in my salad.", "a")
    await merges(aboard, second, first)
    await do(aboard, first, "withdraw")
    await aboard.carry()
    page = (await opened(aboard, path)).text
    other, reference = reference_of(first), reference_of(second)
    sentence = say(Language.EN, "mine.standing.taken_back", other=other, reference=reference)
    assert sentence in page


async def test_a_no_by_the_link_while_merged_goes_to_the_complaint_that_goes_on(aboard: Aboard):
    first = await complains(aboard, who="a", contact={"email": "a@example.org"})
    await aboard.ring()
    second = await complains(aboard, LOUD, who="a", contact={"email": "a@example.org"})
    await aboard.ring()
    (url,) = [word for word in aboard.postbox.letters[-1].body.split() if "/m/" in word]
    path = urlsplit(url).path
    await do(aboard, first, "claim", "e-aino")
    await merges(aboard, second, first)
    withdrawn = await sent(aboard, f"{path}/withdraw")
    assert (withdrawn.status_code, 'href="#standing"' in withdrawn.text) == (409, True)
    await do(aboard, first, "resolve", "e-aino", outcome="fixed")
    assert (await sent(aboard, f"{path}/words", text="Is anybody there?")).status_code == 409
    assert f"{path}/helped" in (await opened(aboard, path)).text
    await sent(aboard, f"{path}/helped", action="no", text="It is cold again.")
    shown = await seen(aboard, f"/{first}")
    assert (shown["state"], shown["round"], shown["employee_id"]) == ("reopened", 1, "e-aino")
    assert (await seen(aboard, f"/{second}"))["state"] == "merged"
    assert "It is cold again." in [one.get("text") for one in await entries(aboard, first)]


# ---- undone --------------------------------------------------------------------------------------


async def test_a_split_complaint_has_the_owner_and_the_promise_that_it_had(aboard: Aboard):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await do(aboard, second, "claim", "e-jonas")
    before = await seen(aboard, f"/{second}")
    await merges(aboard, second, first)
    assert await names(aboard, "mine", "e-jonas") == []
    assert (await do(aboard, second, "split", "e-sofia")).status_code == 200
    after = await seen(aboard, f"/{second}")
    same = ("employee_id", "promised_by", "round", "text", "category", "severity", "merged_into")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert await names(aboard, "mine", "e-jonas") == [second]
    assert (await seen(aboard, f"/{first}"))["merged_ids"] == []
    assert (await do(aboard, second, "split")).json()["type"] == "wrong_state"
    assert set(await overdue(aboard, hours=24)) == {first, second}


async def two_promises(aboard: Aboard) -> tuple[str, str, datetime, datetime]:
    """A complaint with one merged into it that was promised earlier; their promised times, its own first."""
    head, other = await complains(aboard, SALTY, "a"), await complains(aboard, COLD, "b")
    own, theirs = [(await seen(aboard, f"/{one}"))["promised_by"] for one in (head, other)]
    assert theirs < own
    assert (await merges(aboard, other, head)).status_code == 200
    assert (await seen(aboard, f"/{head}"))["promised_by"] == theirs
    return head, other, datetime.fromisoformat(own), datetime.fromisoformat(theirs)


async def rings(aboard: Aboard, until: datetime) -> list[tuple[str, str]]:
    """Whose promises were warned of and broken by a moment, in their order."""
    aboard.clock.advance(until - aboard.clock())
    await aboard.ring("complaints")
    await aboard.carry()
    return [
        (one["type"].split(".")[2], one["complaint_id"])
        for one in await aboard.facts("complaints")
        if one["type"].endswith(("promise.warned.v1", "complaint.overdue.v1"))
    ]


async def test_a_promise_that_rang_for_two_rings_once_also_after_a_split(aboard: Aboard):
    head, other, own, theirs = await two_promises(aboard)
    assert await rings(aboard, theirs) == [("overdue", head)]
    await do(aboard, other, "split")
    assert (await seen(aboard, f"/{other}"))["overdue"], "it was broken, if by another name"
    assert await rings(aboard, own - timedelta(seconds=1)) == [("overdue", head), ("warned", head)]
    assert await rings(aboard, own) == [("overdue", head), ("warned", head), ("overdue", head)]
    assert await names(aboard, "overdue") == [other, head]


async def test_who_was_told_of_one_broken_promise_is_not_told_of_another_that_passed_meanwhile(
    aboard: Aboard,
):
    head, other, own, theirs = await two_promises(aboard)
    assert await rings(aboard, theirs) == [("overdue", head)]
    aboard.clock.advance(own - theirs)
    await do(aboard, other, "split")
    assert await rings(aboard, own + 24 * HOUR) == [("overdue", head)]


async def test_a_warning_of_a_promise_comes_once_whoever_goes_on_for_it(aboard: Aboard):
    head, other, _, theirs = await two_promises(aboard)
    await do(aboard, other, "split")
    near = theirs - timedelta(minutes=10)
    assert await rings(aboard, near) == [("warned", other)]
    await merges(aboard, other, head)
    assert await rings(aboard, near + timedelta(minutes=1)) == [("warned", other)]
    await do(aboard, other, "split")
    assert await rings(aboard, theirs) == [("warned", other), ("overdue", other)]


async def test_a_merge_that_is_undone_gives_the_head_its_own_promise_back(aboard: Aboard):
    head, other, own, theirs = await two_promises(aboard)
    await do(aboard, other, "split")
    await aboard.carry()
    shown = [(await seen(aboard, f"/{one}"))["promised_by"] for one in (head, other)]
    assert [datetime.fromisoformat(one) for one in shown] == [own, theirs]
    kept = aboard.stores["complaints"].kept.documents[Complaint.key(head)].body
    assert Complaint.model_validate_json(kept).promises == (Promise(0, own),)
    found = await rings(aboard, own)
    assert [one for one in found if one[0] == "overdue"] == [("overdue", other), ("overdue", head)]


def test_of_several_merges_the_promises_of_those_that_stay_stand():
    head = a_complaint(START + 10 * HOUR, merged_ids=())
    others = {f"co-{n}": a_complaint(START + n * HOUR) for n in (6, 7, 8)}

    def joined(before: Complaint, name: str) -> Complaint:
        facts = merge(
            others[name], name, before, "co-1", None, Sameness.SAME_SENDER, demo_policy(), START
        )
        assert not isinstance(facts, No)
        (fact,) = [one for one in facts if isinstance(one, MatterChanged)]
        return changed(before, fact)

    def parted(before: Complaint, name: str) -> Complaint:
        stay = [Merged(one, others[one]) for one in before.merged_ids if one != name]
        fact, _ = split(
            before, "co-1", [(name, others[name])], None, demo_policy(), START, stay=stay
        )
        assert isinstance(fact, MatterChanged)
        return changed(before, fact)

    for order in permutations(others):
        whole = head
        for name in order:
            whole = joined(whole, name)
        assert whole.promised_by == START + 6 * HOUR
        for away in permutations(others):
            left, stay = whole, set(others)
            for name in away:
                left = parted(left, name)
                stay.remove(name)
                due = min((others[one].promised_by for one in stay), default=head.promised_by)
                assert left.promised_by == due
            assert (left.promises, left.own_promise) == (head.promises, None)


async def test_a_promise_that_waited_with_another_waited_itself():
    own, stood = Promise(0, LATE), Promise(0, SOON, of="co-2/0")
    waits = a_complaint(promises=(stood,), own_promise=own, state=State.AWAITING_INFO)
    answer = InfoReceived(
        complaint_id="co-1", employee_id="e-aino", site=SITE, answer="v1.x", round=0,
        promised_by=SOON + HOUR, answered_at=LATE,
    )  # fmt: skip
    goes_on = heard(waits, answer)
    assert goes_on.own_promise == Promise(0, LATE + HOUR)
    broken = own._replace(broken=True)
    goes_on = heard(waits.model_copy(update={"own_promise": broken}), answer)
    assert goes_on.own_promise == broken


def test_a_broken_promise_stays_said_after_a_correction_a_merge_and_a_reopening():
    own, stood = Promise(0, SOON, broken=True), Promise(0, START + 240 * HOUR, of="co-2/0")
    now = START + 2 * HOUR
    head = a_complaint(stood.by, promises=(stood,), own_promise=own)
    facts = correct(
        head, "co-1", "e-aino", Category.FOOD, Severity.SEVERE, demo_policy(), now
    )  # fmt: skip
    assert not isinstance(facts, No)
    fact = facts[-1]
    assert isinstance(fact, ComplaintCorrected)
    sooner = corrected(head, fact)
    assert (sooner.promise, sooner.own_promise) == (Promise(0, fact.promised_by), None)
    joined = merged(a_complaint(now + timedelta(minutes=1)), sooner)
    assert joined.promise.of is not None
    parted, _ = split(joined, "co-1", [("co-2", a_complaint(LATE))], None, demo_policy(), now)
    for told in (sooner, joined, changed(joined, parted)):
        assert (told.overdue, missed(told, told, now)) == (True, SOON)
    (no,) = take_feedback(head, "co-1", Helped.NO, demo_policy(), now).facts
    assert isinstance(no, ComplaintReopened)
    again = reopened(head, no)
    assert (again.overdue, missed(again, again, now)) == (False, SOON), "it is another round"


def test_words_that_open_a_complaint_again_make_a_round_also_where_the_customer_said_no_before():
    told = a_complaint(
        state=State.REOPENED, round=1, promises=(Promise(1, SOON, since=START, broken=True),)
    )
    head = a_complaint(state=State.CONFIRMED)
    facts = add_words(
        told, "co-2", head, Answered("co-2", told), None, "v1.x", demo_policy(), LATE
    )  # fmt: skip
    assert not isinstance(facts, No)
    (again,) = [one for one in facts if isinstance(one, ComplaintReopened)]
    assert again.round == 2 and again.promised_by > LATE


async def test_what_a_split_gave_back_is_there_again_after_a_rebuild(tmp_path):
    sailing = await Sailing(tmp_path).begin()
    head, other, _, theirs = await two_promises(sailing)
    await rings(sailing, theirs)
    await do(sailing, other, "split")
    await sailing.carry()
    made = await rebuilt(sailing, "complaints")
    store = sailing.stores["complaints"]
    assert differing(comparable(made, sailing), comparable(store, sailing)) == []
    assert (await seen(sailing, f"/{head}"))["overdue"] is False


async def test_who_split_what_is_in_the_facts_of_both(aboard: Aboard):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await merges(aboard, second, first)
    await do(aboard, second, "split", "e-sofia")
    facts = await aboard.facts("complaints")
    (fact,) = [one for one in facts if "split_at" in one]
    assert (fact["into"], fact["employee_id"]) == (first, "e-sofia")
    told = [one for one in facts if one["type"].endswith("matter.changed.v1")]
    assert [one["complaint_id"] for one in told] == [first, first]
    assert [one.get("merged_ids") for one in told] == [[second], []]


async def test_neither_complaint_has_the_words_of_the_other(aboard: Aboard):
    first, second = await complains(aboard, COLD, "a"), await complains(aboard, COLDER, "b")
    await merges(aboard, second, first)
    async with aboard.http("complaints", aboard.bearer("crm", "privacy")) as crm:
        for complaint_id, own, others in ((first, COLD, COLDER), (second, COLDER, COLD)):
            store = aboard.stores["complaints"].kept.documents
            document = Complaint.model_validate_json(store[Complaint.key(complaint_id)].body)
            answer = await crm.get(f"/v1/customers/{document.customer_ref}/export")
            assert own in answer.text
            assert others not in answer.text
    await do(aboard, second, "split")
    assert (await seen(aboard, f"/{first}"))["text"] == COLD
    assert (await seen(aboard, f"/{second}"))["text"] == COLDER


def test_a_split_leaves_the_other_merges():
    head = a_complaint(merged_ids=("co-2", "co-3"))
    (told, *alone) = split(
        head, "co-1", [("co-2", a_complaint(merged_into="co-1"))], None, demo_policy(), LATE
    )
    assert isinstance(told, MatterChanged)
    assert told.merged_ids == ("co-3",)
    assert [one.key() for one in alone] == ["co-2"]


async def test_when_a_customer_is_erased_what_others_asked_stands_by_itself_again(aboard: Aboard):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await merges(aboard, second, first)
    store = aboard.stores["complaints"].kept.documents
    head = Complaint.model_validate_json(store[Complaint.key(first)].body)
    async with aboard.http("complaints", aboard.bearer("crm", "privacy")) as crm:
        answer = await crm.post(
            f"/v1/customers/{head.customer_ref}/erasure", headers={"Idempotency-Key": "erase"}
        )
    assert answer.status_code == 201, answer.text
    await aboard.ring("complaints")
    await aboard.carry()
    assert await names(aboard, "open") == [second]
    assert (await aboard.give(second, "cinema", "k")).status_code == 201


@pytest.mark.parametrize("by", ["an employee", "the link"])
async def test_who_takes_their_complaint_back_takes_back_none_of_others(aboard: Aboard, by: str):
    """One customer's own second complaint stays merged; another customer's has its owner and promise again."""
    first = await complains(aboard, COLD, "a", contact={"email": "a@example.org"})
    await aboard.ring()
    (url,) = [word for word in aboard.postbox.letters[-1].body.split() if "/m/" in word]
    again = await complains(aboard, COLDER, "a")
    second = await complains(aboard, who="b")
    for other in {again, second} - set((await seen(aboard, f"/{first}"))["merged_ids"]):
        await merges(aboard, other, first)
    if by == "the link":
        await sent(aboard, f"{urlsplit(url).path}/withdraw")
    else:
        await do(aboard, first, "withdraw", "e-sofia")
    await aboard.carry()
    assert await names(aboard, "open") == [second]
    states = {one: (await seen(aboard, f"/{one}"))["state"] for one in (first, again, second)}
    assert states == {first: "withdrawn", again: "merged", second: "reopened"}
    assert (await seen(aboard, f"/{first}"))["merged_ids"] == [again]
    (fact,) = [one for one in await aboard.facts("complaints") if "split_at" in one]
    assert fact.get("employee_id") == ("e-sofia" if by == "an employee" else None)
    await says(aboard, again, Helped.NO)
    assert (await seen(aboard, f"/{first}"))["state"] == "reopened"
    assert set(await overdue(aboard, hours=24)) == {first, second}


async def test_an_outside_body_looks_at_the_complaints_of_one_customer_and_not_of_others(
    aboard: Aboard,
):
    first, again = [await complains(aboard, text, "a") for text in (COLD, COLDER)]
    second = await complains(aboard, who="b")
    for other in {again, second} - set((await seen(aboard, f"/{first}"))["merged_ids"]):
        await merges(aboard, other, first)
    referred = await do(aboard, first, "refer", body="transport-complaints-board")
    assert referred.json()["complaint_id"] == first
    await aboard.carry()
    assert await names(aboard, "open") == [second]
    states = {one: (await seen(aboard, f"/{one}"))["state"] for one in (first, again, second)}
    assert states == {first: "referred_external", again: "merged", second: "reopened"}
    assert await overdue(aboard, hours=24) == [second]


async def test_what_was_merged_into_something_that_is_no_complaint_may_be_one(aboard: Aboard):
    first, second = [await complains(aboard, text, "a") for text in (COLD, COLDER)]
    third = await complains(aboard, who="b")
    await merges(aboard, third, first)
    assert (await do(aboard, first, "unfounded")).json()["complaint_id"] == first
    await aboard.carry()
    assert set(await names(aboard, "open")) == {second, third}
    assert (await seen(aboard, f"/{first}"))["merged_ids"] == []


@pytest.mark.parametrize("end", ["closed_no_response", "confirmed"])
async def test_a_no_of_another_customer_is_about_their_own_also_once_the_first_ended(
    aboard: Aboard, end: str
):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await aboard.give(second, "cinema", "k")
    await merges(aboard, second, first)
    await do(aboard, first, "resolve", outcome="fixed")
    if end == "confirmed":
        await says(aboard, first, Helped.YES)
    else:
        aboard.later(days=10)
        await aboard.ring("complaints")
        await aboard.carry()
    assert (await seen(aboard, f"/{first}"))["state"] == end
    await says(aboard, second, Helped.NO)
    assert await names(aboard, "open") == [second]
    assert (await seen(aboard, f"/{first}"))["state"] == end


# ---- what others make of it ----------------------------------------------------------------------


async def test_a_check_for_a_merged_complaint_is_refused_with_the_one_that_goes_on(aboard: Aboard):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    await merges(aboard, second, first)
    offer = {"complaint_id": second, "reason": "food", "items": ["cinema", "sincere-words"]}
    for answer in (
        await aboard.give(second, "cinema", "k1"),
        await aboard.post("offers", "k2", offer),
        await aboard.get(f"options?complaint={second}"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "complaint_merged")
        assert answer.json()["complaint_id"] == first
    assert (await aboard.give(first, "cinema", "k3")).status_code == 201
    await do(aboard, second, "split")
    await aboard.carry()
    assert (await aboard.give(second, "cinema", "k4")).status_code == 201
    assert (await aboard.get(f"checks?complaint={second}")).status_code == 200


async def test_what_a_colleague_gave_for_a_merged_complaint_a_moment_ago_counts(aboard: Aboard):
    first, second = [await complains(aboard, who=who) for who in ("a", "b")]
    assert (await aboard.give(second, "cinema", "k1", "e-jonas")).status_code == 201
    await aboard.carry()
    await merges(aboard, second, first)
    answer = await aboard.give(first, "cinema", "k2")
    assert (answer.status_code, answer.json()["type"]) == (409, "already_compensated")
    assert (await aboard.give(first, "cinema", "k3", again=True)).status_code == 201


async def test_an_incident_gives_once_for_what_was_merged(tmp_path):
    """The check is for the complaint that goes on, and its customer has it once."""
    aboard = await Aboard(tmp_path, small_incidents()).begin()
    found = [await complains(aboard, who=who) for who in ("a", "b", "c", "d")]
    await merges(aboard, found[3], found[0])
    incident = await the_incident(aboard)
    await aboard.post(f"incidents/{incident['incident_id']}/give", "g")
    await aboard.ring("compensation")
    assert sorted(await given_in(aboard)) == sorted(found[:3])


async def test_a_board_shows_one_promise_for_what_was_merged(tmp_path):
    aboard = await Aboard(tmp_path, recording=True).begin()
    first = await complains(aboard, who="a")
    aboard.later(minutes=20)
    second = await complains(aboard, who="b")
    promised = (await seen(aboard, f"/{first}"))["promised_by"]
    await merges(aboard, first, second)

    async def shown() -> dict[str, str]:
        manager = aboard.bearer("m-1", "manager")
        async with aboard.http("audit", manager) as client:
            answer = await client.get(f"/v1/board/{SITE}")
        soon = answer.json()["promises"]["soon"]
        return {one["complaint_id"]: one["promised_by"] for one in soon}

    aboard.later(minutes=15)
    assert await shown() == {second: promised}
    await do(aboard, first, "split")
    await aboard.carry()
    assert await shown() == {first: promised}, "the other one has its own, later promise again"


async def test_a_state_made_again_knows_what_is_merged(tmp_path):
    """INV-06."""
    sailing = await Sailing(tmp_path).begin()
    first = await complains(sailing, who="a")
    await complains(sailing, COLDER, who="a")
    second, third = [await complains(sailing, who=who) for who in ("b", "c")]
    await merges(sailing, second, first)
    await merges(sailing, third, first)
    await do(sailing, third, "split")
    await sailing.carry()
    for owner in ("complaints", "compensation"):
        made, store = await rebuilt(sailing, owner), sailing.stores[owner]
        assert differing(comparable(made, sailing), comparable(store, sailing)) == []


def test_complaints_of_different_customers_are_merged_only_if_they_are_about_the_same():
    noise = a_complaint(customer_ref="c-2", category=Category.NOISE)
    (no,) = [
        merge(
            noise, "co-2", a_complaint(), "co-1", "e-ingrid", Sameness.EMPLOYEE_SAYS,
            demo_policy(), START,
        )
    ]  # fmt: skip
    assert no == No(Reason.NOT_MERGEABLE, {"differs": ("customer", "category")})
    assert merged(a_complaint(customer_ref="c-2"), a_complaint()).merged_ids == ("co-2",)
    assert merged(a_complaint(category=Category.NOISE), a_complaint()).merged_ids == ("co-2",)


async def test_a_refused_merge_says_which_of_the_two_stands_in_its_way(aboard: Aboard):
    contact = {"email": "kim@example.org"}
    first = await complains(aboard, COLD, contact=contact)
    second = await complains(aboard, COLDER, "e-ingrid", "employee", contact=contact)
    await do(aboard, second, "ask", question="Which?")
    for other, into in ((second, first), (first, second)):
        refused = (await merges(aboard, other, into)).json()
        told = (refused["type"], refused["state"], refused["complaint_id"])
        assert told == ("wrong_state", "awaiting_info", second)
    assert (await seen(aboard, f"/{second}"))["looks_like"] == [first]
    assert (await seen(aboard, f"/{first}"))["looks_like"] == [second]
