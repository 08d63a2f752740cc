"""Where a complaint stands, who has it, and which lists it is in."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import ValidationError

from services.complaints.app import DOMAIN
from services.complaints.lifecycle.handlers import AskCustomer
from services.complaints.lifecycle.moves import No, can, claim, hear, take_feedback
from services.complaints.lifecycle.rules import (
    CLOSE,
    RANK,
    SLICE,
    Complaint,
    Promise,
    listed,
    reopened,
    urgency,
    waits,
)
from shared.contracts.complaints import (
    ComplaintFact,
    ComplaintReopened,
    InfoAsked,
    Language,
    Severity,
)
from shared.contracts.lifecycle import ASKED, MOVES, OPEN, State, diagram
from shared.contracts.notifier import Helped
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.kernel import Fact
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, demo_policy

STANDING = Complaint(
    state=State.TRIAGED,
    customer_ref="c-1",
    site=SITE,
    language=Language.NB,
    text="v1.x",
    severity=Severity.MODERATE,
    promised_by=START + timedelta(hours=1),
    promises=(Promise(0, START + timedelta(hours=1)),),
)
#: The outside body of the demo policy.
BOARD = "transport-complaints-board"
keys = count()


def standing(**changes: Any) -> Complaint:
    return STANDING.model_copy(update=changes)


async def do(
    aboard: Aboard, complaint_id: str, what: str, who: str = "e-ingrid", **command: Any
) -> Any:
    """What an employee does with a complaint."""
    async with aboard.http("complaints", aboard.bearer(who)) as phone:
        return await phone.post(
            f"/v1/complaints/{complaint_id}/{what}",
            json=command or None,
            headers={"Idempotency-Key": f"k-{next(keys)}"},
        )


async def seen(aboard: Aboard, path: str, who: str = "e-ingrid", **params: Any) -> Any:
    async with aboard.http("complaints", aboard.bearer(who)) as phone:
        answer = await phone.get(f"/v1/complaints{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def names(aboard: Aboard, view: str, who: str = "e-ingrid", **params: Any) -> list[str]:
    found = await seen(aboard, "", who, view=view, **params)
    return [one["complaint_id"] for one in found["complaints"]]


async def test_every_state_is_reached_by_a_fact_and_every_move_is_folded():
    assert {move.to for move in MOVES.values()} == set(State)
    assert MOVES.keys() <= DOMAIN.folds.keys()


def test_what_is_open_and_what_ended_are_all_there_is():
    ended = {
        State.CONFIRMED, State.WITHDRAWN, State.NOT_A_COMPLAINT, State.REFERRED_EXTERNAL, State.MERGED,
    }  # fmt: skip
    assert OPEN | ASKED | ended | {State.RECEIVED} == set(State)


def test_the_diagram_has_a_line_for_each_move():
    lines = list(diagram())
    assert "    triaged --> claimed: complaint.claimed" in lines
    assert len(lines) == 1 + sum(len(move.of) or 1 for move in MOVES.values())


@pytest.mark.parametrize("fact", list(MOVES))
def test_a_fact_leads_where_the_table_says(fact: type[Fact]):
    (fold,) = [one for one in DOMAIN.folds[fact] if one.document is Complaint]
    assert fold.evolve is not None
    fields = {
        "complaint_id": "co-1", "customer_ref": "c-1", "site": SITE, "language": "nb", "text": "v1.x",
        "channel": "desk", "received_at": START, "category": "food", "severity": "mild", "safety": False,
        "promised_by": START, "policy_version": 1, "has_contact": True, "employee_id": "e-1",
        "claimed_at": START, "question": "v1.x", "answer": "v1.x", "round": 1, "asked_at": START,
        "answered_at": START, "outcome": "fixed", "closes_at": START, "recorded_at": START,
        "confirmed_at": START, "closed_at": START, "withdrawn_at": START, "found_at": START,
        "into": "co-2", "because": "employee_says", "merged_at": START, "split_at": START,
        "body": BOARD, "referred_at": START,
    }  # fmt: skip
    made = fact.model_validate(fields)
    assert isinstance(made, ComplaintFact)
    after = fold.evolve(STANDING, made)
    assert isinstance(after, Complaint)
    assert after.state is MOVES[fact].to


async def test_who_takes_a_complaint_on_has_it_and_others_are_told_who(aboard: Aboard):
    name = await aboard.raise_complaint()
    assert (await do(aboard, name, "claim", "e-ingrid")).status_code == 200
    second = await do(aboard, name, "claim", "e-jonas")
    assert (second.status_code, second.json()["type"]) == (409, "already_claimed")
    assert second.json()["employee_id"] == "e-ingrid"
    assert await names(aboard, "mine", "e-ingrid") == [name]
    assert await names(aboard, "mine", "e-jonas") == []


async def test_a_complaint_of_who_left_the_site_can_be_taken_on(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-jonas")
    gone = EmployeeListed(
        employee_id="e-jonas",
        site=SITE,
        listing=Listing(role="reception", active=False),
        listed_at=aboard.clock() + timedelta(minutes=1),
    )
    await aboard.feed("complaints", EmployeeListed.TOPIC, [record(gone, 900)])
    assert (await do(aboard, name, "claim", "e-ingrid")).status_code == 200
    assert await names(aboard, "mine", "e-ingrid") == [name]


async def test_a_colleague_who_is_asked_takes_it_over_and_it_is_the_owners_until_then(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    asked = await do(aboard, name, "handover", "e-ingrid", colleague_id="e-jonas")
    assert asked.status_code == 200, asked.text
    assert await names(aboard, "mine", "e-ingrid") == [name]
    assert await names(aboard, "offered", "e-jonas") == [name]
    assert (await do(aboard, name, "accept", "e-ingrid")).json()["type"] == "not_offered"
    assert (await do(aboard, name, "accept", "e-jonas")).status_code == 200
    assert await names(aboard, "mine", "e-jonas") == [name]
    assert (
        await names(aboard, "mine", "e-ingrid") == await names(aboard, "offered", "e-jonas") == []
    )


async def test_who_declines_leaves_it_with_its_owner(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "handover", "e-ingrid", colleague_id="e-jonas")
    assert (await do(aboard, name, "decline", "e-jonas")).status_code == 200
    assert (await do(aboard, name, "accept", "e-jonas")).json()["type"] == "not_offered"
    assert await names(aboard, "mine", "e-ingrid") == [name]


async def test_an_owner_may_keep_it_after_all(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "handover", "e-ingrid", colleague_id="e-jonas")
    assert (await do(aboard, name, "decline", "e-ingrid")).status_code == 200
    assert await names(aboard, "offered", "e-jonas") == []


async def test_a_department_is_asked_and_one_of_it_takes_it_over(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "handover", "e-ingrid", department="housekeeping")
    found = await names(aboard, "offered", "e-jonas", department="housekeeping")
    assert found == [name]
    assert (await do(aboard, name, "accept", "e-sofia")).json()["type"] == "not_offered"
    assert (await do(aboard, name, "accept", "e-jonas")).status_code == 200
    assert await names(aboard, "mine", "e-jonas") == [name]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"colleague_id": "e-nobody"}, "unknown_colleague"),
        ({"colleague_id": "e-ingrid"}, "unknown_colleague"),
        ({"department": "managers"}, "unknown_department"),
        ({}, "schema_invalid"),
        ({"colleague_id": "e-jonas", "department": "reception"}, "schema_invalid"),
    ],
)
async def test_a_complaint_is_handed_to_nobody_who_cannot_take_it(
    aboard: Aboard, asked: dict[str, str], reason: str
):
    name = await aboard.raise_complaint()
    refused = await do(aboard, name, "handover", "e-ingrid", **asked)
    assert refused.json()["type"] == reason


async def test_a_promise_waits_while_the_customer_is_asked_and_goes_on_with_what_was_left(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    by = datetime.fromisoformat((await seen(aboard, f"/{name}"))["promised_by"])
    aboard.later(minutes=5)
    assert (await do(aboard, name, "ask", question="Which of the two?")).status_code == 200
    aboard.later(days=1)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    heard = await do(aboard, name, "answer", "e-jonas", answer="The left one.")
    assert heard.status_code == 200, heard.text
    assert datetime.fromisoformat(heard.json()["promised_by"]) == by + timedelta(days=1)
    aboard.clock.advance(by + timedelta(days=1, seconds=1) - aboard.clock())
    await aboard.ring("complaints")
    assert (await aboard.types("complaints"))[-1] == "complaint.overdue"
    assert await names(aboard, "overdue") == [name]


async def test_what_was_asked_and_answered_leaves_sealed(aboard: Aboard):
    """INV-07: what employees write of a customer is in no line, document or key."""
    name = await aboard.raise_complaint()
    await do(aboard, name, "ask", question="Canary-one, which?")
    await do(aboard, name, "answer", answer="Canary-two, the left one.")
    await do(aboard, name, "resolve", outcome="fixed", note="Canary-three is repaired.")
    kept = [store.kept for store in aboard.stores.values()]
    assert "anary" not in repr([(one.documents, one.lines, one.timers) for one in kept])


async def test_what_was_done_keeps_the_promise_and_without_an_answer_the_complaint_is_closed(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    done = await do(aboard, name, "resolve", outcome="fixed", note="A new fan.")
    assert done.status_code == 200, done.text
    assert await names(aboard, "open") == []
    assert await names(aboard, "done") == [name]
    aboard.later(days=6)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    assert (await seen(aboard, f"/{name}"))["state"] == "resolution_recorded"
    aboard.later(days=2)
    await aboard.ring("complaints")
    assert (await aboard.types("complaints"))[-1] == "complaint.closed"
    assert (await seen(aboard, f"/{name}"))["state"] == "closed_no_response"


async def test_a_complaint_that_was_opened_again_is_not_closed_by_what_was_done_before(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    await aboard.give(name, "cinema", "k1")
    await aboard.carry()
    await do(aboard, name, "resolve", outcome="explained")
    store = aboard.stores["complaints"]
    far = int((aboard.clock() + timedelta(days=30)).timestamp() * 1000)
    assert any(member.startswith(f"{CLOSE}|") for member, _ in await store.due(far, 100))
    complaint = Complaint.model_validate_json(store.kept.documents[f"complaint:{name}"].body)
    (again,) = take_feedback(complaint, name, Helped.NO, demo_policy(), aboard.clock()).facts
    assert list(SLICE.timers[type(again)](again))[-1] == (CLOSE, name, None)


@pytest.mark.parametrize(
    ("what", "told"), [("withdraw", {}), ("unfounded", {}), ("refer", {"body": BOARD})]
)
async def test_nothing_is_to_be_kept_of_what_was_taken_back_or_was_no_complaint_or_is_elsewhere(
    aboard: Aboard, what: str, told: dict[str, str]
):
    name = await aboard.raise_complaint()
    assert (await do(aboard, name, what, **told)).status_code == 200
    aboard.later(days=3)
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    refused = await do(aboard, name, "claim")
    assert (refused.json()["type"], refused.json()["state"]) == (
        "wrong_state",
        {
            "withdraw": "withdrawn",
            "unfounded": "not_a_complaint",
            "refer": "referred_external",
        }[what],
    )


async def test_a_complaint_is_referred_to_a_body_of_the_policy_and_to_no_other(aboard: Aboard):
    name = await aboard.raise_complaint()
    refused = await do(aboard, name, "refer", body="the-moon")
    assert (refused.status_code, refused.json()["type"]) == (422, "unknown_body")
    playbook = await seen(aboard, f"/{name}/playbook")
    assert refused.json()["bodies"] == [one["body"] for one in playbook["bodies"]] == [BOARD]
    await do(aboard, name, "resolve", outcome="not_possible")
    answer = await do(aboard, name, "refer", "e-sofia", body=BOARD)
    assert (answer.json()["body"], answer.json()["employee_id"]) == (BOARD, "e-sofia")
    shown = await seen(aboard, f"/{name}")
    assert (shown["state"], shown["referred_to"]) == ("referred_external", BOARD)
    assert (await names(aboard, "open"), await names(aboard, "done")) == ([], [name])
    aboard.later(days=30)
    await aboard.ring("complaints")
    assert "complaint.closed" not in await aboard.types("complaints")


async def test_a_no_to_a_letter_opens_what_an_outside_body_looks_at(aboard: Aboard):
    name = await aboard.raise_complaint()
    await aboard.give(name, "cinema", "k1")
    await aboard.carry()
    await do(aboard, name, "refer", body=BOARD)
    complaint = Complaint.model_validate_json(
        aboard.stores["complaints"].kept.documents[f"complaint:{name}"].body
    )
    assert complaint.referred_to == BOARD
    (again,) = take_feedback(complaint, name, Helped.NO, demo_policy(), aboard.clock()).facts
    assert isinstance(again, ComplaintReopened)
    after = reopened(complaint, again)
    assert (after.state, after.referred_to, after.ended_at) == (State.REOPENED, None, None)


async def test_what_is_put_right_holds_for_what_is_given_too(aboard: Aboard):
    name = await aboard.raise_complaint()
    put_right = await do(aboard, name, "correct", category="noise", severity="severe")
    assert put_right.status_code == 200, put_right.text
    await aboard.carry()
    shown = await seen(aboard, f"/{name}")
    assert (shown["category"], shown["severity"]) == ("noise", "severe")
    case = aboard.stores["compensation"].kept.documents[f"case:{name}"].body
    assert b'"category":"noise"' in case


async def test_a_complaint_of_another_site_looks_like_none(aboard: Aboard):
    name = await aboard.raise_complaint()
    elsewhere = aboard.bearer("e-ingrid", site="ms-borealis")
    async with aboard.http("complaints", elsewhere) as phone:
        asked = await phone.post(
            f"/v1/complaints/{name}/claim", headers={"Idempotency-Key": "k-elsewhere"}
        )
    assert asked.json()["type"] in {"unknown_complaint", "unknown_employee"}


async def test_open_complaints_are_listed_by_what_hurts_most_and_is_due_first(aboard: Aboard):
    mild = await aboard.raise_complaint(0, text="The menu was hard to read.")
    danger = await aboard.raise_complaint(1, text="My daughter had an allergic reaction.")
    soup = await aboard.raise_complaint(2, text="The soup was cold, the worst and disgusting food.")
    found = await seen(aboard, "", limit=2)
    first = [one["complaint_id"] for one in found["complaints"]]
    assert first[0] == danger
    rest = await seen(aboard, "", limit=2, cursor=found["next"])
    assert {*first, *(one["complaint_id"] for one in rest["complaints"])} == {mild, danger, soup}


async def test_a_cursor_that_no_list_gave_is_refused(aboard: Aboard):
    for number in range(2):
        await aboard.raise_complaint(number)
    given = (await seen(aboard, "", limit=1))["next"]
    wrong = [
        "",
        "0",
        "-1",
        "1.x",
        "x",
        given[:-1],
        given[1:],
        given + "x",
        f"+{given}",
        f" {given}",
    ]
    async with aboard.http("complaints") as phone:
        for cursor in [*wrong, given.replace("co-", "co-0"), given.replace(".", ".0", 1)]:
            answer = await phone.get("/v1/complaints", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["type"]) == (422, "cursor_invalid"), cursor


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (standing(safety=True, severity=Severity.MILD), standing(severity=Severity.SEVERE)),
        (standing(severity=Severity.SEVERE), standing()),
        (standing(), standing(severity=Severity.MILD)),
        (standing(), standing(promised_by=START + timedelta(hours=2))),
        (standing(severity=Severity.MILD), standing(safety=True, waits_since=START)),
    ],
)
def test_one_complaint_comes_before_another(more: Complaint, less: Complaint):
    assert urgency(more) < urgency(less) < 2**53
    assert urgency(standing(promised_by=datetime.max.replace(tzinfo=START.tzinfo))) < 3 * RANK


def test_a_complaint_that_is_received_and_not_yet_triaged_is_in_no_list():
    assert listed(standing(state=State.RECEIVED)) == {}


def test_an_owner_takes_on_again_what_did_not_help():
    again = standing(state=State.REOPENED, employee_id="e-1")
    assert not isinstance(claim(again, "co-1", "e-1", START), No)
    refused = claim(again, "co-1", "e-2", START)
    assert refused == No(Reason.ALREADY_CLAIMED, {"employee_id": "e-1"})


def test_a_promise_that_was_over_before_it_was_asked_does_not_come_again():
    late = START + timedelta(hours=2)
    waiting = standing(state=State.AWAITING_INFO, employee_id="e-1", waits_since=late)
    found = hear(waiting, "co-1", "e-1", "v1.x", demo_policy(), late + timedelta(hours=1))
    assert not isinstance(found, No)
    (fact,) = found
    assert fact.model_dump()["promised_by"] is None


def test_no_timer_rings_while_the_promise_waits():
    asked = InfoAsked(
        complaint_id="co-1", employee_id="e-1", site=SITE, question="v1.x", round=2, asked_at=START
    )
    assert list(waits(asked)) == [("warn", "co-1/2", None), ("overdue", "co-1/2", None)]


@pytest.mark.parametrize("unseen", ["\u200b", "\x00\x1b", "\u2060 \u3164"])
def test_a_line_of_which_nothing_is_seen_is_refused(unseen: str):
    with pytest.raises(ValidationError):
        AskCustomer(question=unseen)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("triaged", "claim handover ask fix resolve correct merge withdraw unfounded refer"),
        ("claimed", "claim handover ask fix resolve correct merge withdraw unfounded refer"),
        ("awaiting_info", "handover answer fix resolve correct withdraw unfounded refer"),
        ("resolution_recorded", "withdraw refer"),
        ("closed_no_response", "refer"),
        ("referred_external", ""),
        ("merged", "split"),
        ("confirmed", ""),
    ],
)
def test_who_is_refused_for_where_a_complaint_stands_is_told_what_can_be_done(
    state: str, expected: str
):
    assert can(State(state)) == tuple(expected.split())


async def test_a_refusal_says_where_the_complaint_stands_and_what_can_be_done(aboard: Aboard):
    name = await aboard.raise_complaint()
    refused = await do(aboard, name, "answer", answer="The left one.")
    assert (refused.status_code, refused.json()["state"]) == (409, "triaged")
    assert refused.json()["can"] == list(can(State.TRIAGED))
    await do(aboard, name, "withdraw")
    again = await do(aboard, name, "withdraw")
    assert (again.json()["state"], again.json()["can"]) == ("withdrawn", [])


async def test_a_correction_says_what_is_corrected(aboard: Aboard):
    name = await aboard.raise_complaint()
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        refused = await phone.post(
            f"/v1/complaints/{name}/correct", json={}, headers={"Idempotency-Key": "k-nothing"}
        )
    assert (refused.status_code, refused.json()["type"]) == (422, "schema_invalid")
    assert "name a category, a subcategory, a severity or flags" in refused.text


async def test_a_customer_whom_no_message_reaches_is_asked_in_person(aboard: Aboard):
    name = await aboard.raise_complaint(contact=None)
    refused = await do(aboard, name, "ask", question="Which soup?")
    assert (refused.json()["type"], refused.json()["ask"]) == ("no_contact", "in_person")
    assert (await seen(aboard, f"/{name}"))["waits_since"] is None
