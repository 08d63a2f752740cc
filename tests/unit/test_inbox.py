"""Employees are told of their own cases, each thing once, and nobody else is shown it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.notifier.inbox.rules import (
    KEPT_MAX,
    EmployeeInbox,
    Giver,
    Holder,
    filled,
    is_new,
    read,
    read_up_to,
    told_by,
    told_by_answer,
)
from shared.contracts.complaints import (
    Category,
    ComplaintConfirmed,
    ComplaintFact,
    ComplaintOverdue,
    ComplaintReopened,
    FixAsked,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    Language,
    PromiseWarned,
    Severity,
)
from shared.contracts.notifier import (
    EmployeeNotified,
    EmployeeThanked,
    FeedbackReceived,
    Helped,
    Notice,
)
from shared.contracts.reasons import Reason
from shared.testing.clock import START
from tests.suites.services import Aboard
from tests.unit.test_erasure import erase
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import english, last, link_in, settled

LINE = "The cinema saved our evening."
CO: dict[str, Any] = {"complaint_id": "co-1", "site": "ms-aurora"}
SMALL: dict[str, Any] = {
    "category": Category.FOOD,
    "severity": Severity.MILD,
    "round": 0,
    "promised_by": START,
}
MINE = Holder(employee_id="e-mine")


@pytest.fixture
async def aboard(tmp_path: Path) -> Aboard:
    return await Aboard(tmp_path).begin()


async def inbox(aboard: Aboard, who: str = "e-ingrid", **asked: Any) -> dict[str, Any]:
    async with aboard.http("notifier", aboard.bearer(who)) as phone:
        answer = await phone.get("/v1/me/inbox", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def told(aboard: Aboard, who: str = "e-ingrid") -> list[str]:
    return [entry["what"] for entry in (await inbox(aboard, who))["entries"]]


async def given(aboard: Aboard) -> tuple[str, str]:
    """A complaint for which Ingrid gave something: its id, and the path of the question whether it helped."""
    name = await english(aboard)
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    return name, link_in(last(aboard), "f")


async def answers(aboard: Aboard, path: str, helped: str, line: str = "") -> None:
    async with aboard.http("notifier", "") as customer:
        await customer.post(f"{path}/{helped}", data={"text": line})
    await settled(aboard)


# ---- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "who", "notice"),
    [
        (
            HandoverOffered(employee_id="e-other", colleague_id="e-mine", offered_at=START, **CO),
            "e-mine",
            Notice.HANDOVER_OFFERED,
        ),
        (
            HandoverAccepted(employee_id="e-other", accepted_at=START, **CO),
            "e-mine",
            Notice.HANDOVER_ACCEPTED,
        ),
        (
            HandoverDeclined(employee_id="e-other", declined_at=START, **CO),
            "e-mine",
            Notice.HANDOVER_DECLINED,
        ),
        (
            FixAsked(
                employee_id="e-other",
                colleague_id="e-mine",
                fix="clean-again",
                round=0,
                due_by=START,
                policy_version=1,
                asked_at=START,
                **CO,
            ),
            "e-mine",
            Notice.FIX_ASKED,
        ),
        (
            PromiseWarned(employee_id="e-mine", warned_at=START, **SMALL, **CO),
            "e-mine",
            Notice.PROMISE_NEAR,
        ),
        (
            ComplaintOverdue(
                customer_ref="c-1", employee_id="e-mine", overdue_at=START, **SMALL, **CO
            ),
            "e-mine",
            Notice.PROMISE_BROKEN,
        ),
        (
            ComplaintReopened(
                customer_ref="c-1",
                language=Language.EN,
                employee_id="e-mine",
                round=1,
                promised_by=START,
                has_contact=True,
                reopened_at=START,
                **CO,
            ),
            "e-mine",
            Notice.CAME_BACK,
        ),
    ],
    ids=lambda one: one.TYPE if isinstance(one, ComplaintFact) else str(one),
)
def test_an_employee_is_told_of_what_happens_to_their_own_case(
    fact: ComplaintFact, who: str, notice: Notice
):
    found = told_by(fact, MINE)
    assert isinstance(found, EmployeeNotified)
    assert (found.employee_id, found.notice, found.noted_at) == (who, notice, START)


@pytest.mark.parametrize(
    "fact",
    [
        HandoverOffered(employee_id="e-mine", department="galley", offered_at=START, **CO),
        HandoverAccepted(employee_id="e-mine", accepted_at=START, **CO),
        HandoverDeclined(employee_id="e-mine", declined_at=START, **CO),
        PromiseWarned(warned_at=START, **SMALL, **CO),
        ComplaintOverdue(customer_ref="c-1", overdue_at=START, **SMALL, **CO),
        ComplaintConfirmed(complaint_id="co-1", site="ms-aurora", confirmed_at=START),
    ],
    ids=lambda fact: fact.TYPE,
)
def test_nobody_is_told_of_what_they_did_or_of_what_nobody_has(fact: ComplaintFact):
    """A confirmed complaint is told of by the answer that a fact of its own says."""
    assert told_by(fact, MINE) is None


def test_who_recorded_what_was_done_is_thanked_before_who_has_it():
    fact = ComplaintConfirmed(by_link=True, confirmed_at=START, **CO)
    for holder, who in ((Holder(employee_id="e-a", resolved_by="e-b"), "e-b"), (MINE, "e-mine")):
        found = told_by(fact, holder)
        assert isinstance(found, EmployeeThanked)
        assert found.employee_id == who
    assert told_by(fact, Holder()) is None


@pytest.mark.parametrize(
    ("helped", "what"),
    [(Helped.YES, None), (Helped.PARTLY, Notice.HELPED_PARTLY), (Helped.NO, Notice.HELPED_NOT)],
)
def test_each_answer_about_a_check_is_told_to_who_gave_it(helped: Helped, what: Notice | None):
    fact = FeedbackReceived(
        complaint_id="co-1", check_id="ck-1", helped=helped, answered_at=START, line="v1.x"
    )
    found = told_by_answer(fact, Giver(employee_id="e-mine", site="ms-aurora"))
    (entry,) = filled(None, found).entries
    assert (entry.notice, entry.check_id, entry.complaint_id) == (what, "ck-1", "co-1")
    assert "v1.x" not in found.written()


def test_an_entry_is_made_once_and_another_time_is_another_entry():
    fact = PromiseWarned(employee_id="e-mine", warned_at=START, **SMALL, **CO)
    first = told_by(fact, MINE)
    later = told_by(fact.model_copy(update={"warned_at": START + timedelta(hours=1)}), MINE)
    assert first is not None
    assert later is not None
    box = filled(None, first)
    assert (is_new(None, first), is_new(box, first), is_new(box, later)) == (True, False, True)


def test_the_newest_entries_are_kept_and_numbers_go_on():
    box = EmployeeInbox()
    for number in range(KEPT_MAX + 5):
        fact = EmployeeThanked(
            employee_id="e-mine", noted_at=START + timedelta(seconds=number), **CO
        )
        box = filled(box, fact)
    assert [entry.number for entry in box.entries] == list(range(6, KEPT_MAX + 6))
    assert (box.count, len(box.unread)) == (KEPT_MAX + 5, KEPT_MAX)
    assert len(box.model_dump_json()) < 40_000


@pytest.mark.parametrize(("up_to", "known"), [(0, 1), (1, 1), (2, 2), (9, 2)])
def test_what_was_read_stays_read_and_no_more_is_read_than_there_is(up_to: int, known: int):
    box = EmployeeInbox(count=2, read_up_to=1)
    fact = read_up_to(box, "e-mine", "ms-aurora", up_to, START)
    assert fact.up_to == known
    assert read(box, fact).read_up_to == known
    assert read_up_to(None, "e-mine", "ms-aurora", up_to, START).up_to == 0


# ---- aboard --------------------------------------------------------------------------------------


async def test_a_yes_reaches_who_gave_the_check_with_the_customers_line_and_nobody_else(
    aboard: Aboard,
):
    name, path = await given(aboard)
    await answers(aboard, path, "yes", LINE)
    await answers(aboard, path, "yes", LINE)
    found = await inbox(aboard)
    (entry,) = found["entries"]
    assert (entry["what"], entry["line"], entry["complaint_id"]) == ("thanked", LINE, name)
    assert (found["unread"], found["read_up_to"], found["next"]) == (1, 0, None)
    assert await told(aboard, "e-jonas") == []
    assert (await aboard.types("notifier")).count("employee.thanked") == 1
    assert "saved our evening" not in repr(aboard.stores["notifier"].kept)


async def test_a_yes_on_the_complaints_page_comes_with_the_customers_line(aboard: Aboard):
    name = await english(aboard)
    page = link_in(last(aboard), "m")
    await do(aboard, name, "claim", "e-jonas")
    await do(aboard, name, "resolve", "e-jonas", outcome="fixed")
    await settled(aboard)
    async with aboard.http("complaints", "") as phone:
        await phone.post(f"{page}/helped", data={"action": "yes", "text": LINE})
    await settled(aboard)
    (entry,) = (await inbox(aboard, "e-jonas"))["entries"]
    assert (entry["what"], entry["line"], entry["check_id"]) == ("thanked", LINE, None)
    assert "saved our evening" not in repr([one.kept for one in aboard.stores.values()])


async def test_a_no_is_told_by_the_answer_and_by_the_complaint_that_came_back(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim", "e-jonas")
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    await answers(aboard, link_in(last(aboard), "f"), "no", "Still cold.")
    assert await told(aboard) == ["helped_not"]
    # Jonas is off shift, so a colleague has it from now on.
    assert await told(aboard, "e-aino") == ["came_back"]


async def test_whoever_gave_the_check_and_has_the_case_is_told_of_a_no_once(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim", "e-ingrid")
    await aboard.give(name, "cinema", "k1")
    await settled(aboard)
    await answers(aboard, link_in(last(aboard), "f"), "no", "Still cold.")
    assert "complaint.reopened" in await aboard.types("complaints")
    assert await told(aboard) == ["helped_not"]


async def test_each_line_of_a_customer_is_told_to_who_gave_the_check(aboard: Aboard):
    _, path = await given(aboard)
    await answers(aboard, path, "no", "Still cold.")
    aboard.later(minutes=1)
    await answers(aboard, path, "no", "And late.")
    entries = (await inbox(aboard))["entries"]
    told = [(one["what"], one["line"]) for one in entries if one["check_id"]]
    assert told == [("wrote_more", "And late."), ("helped_not", "Still cold.")]


async def test_a_hand_over_is_told_to_who_is_asked_and_its_end_to_who_asked(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim")
    await do(aboard, name, "handover", colleague_id="e-jonas")
    await settled(aboard)
    assert await told(aboard, "e-jonas") == ["handover_offered"]
    await do(aboard, name, "accept", "e-jonas")
    await settled(aboard)
    assert await told(aboard) == ["handover_accepted"]
    assert await told(aboard, "e-jonas") == ["handover_offered"]


async def test_a_broken_promise_is_told_to_who_has_the_complaint(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim")
    aboard.later(hours=5)
    await aboard.ring("complaints")
    await settled(aboard)
    assert "promise_broken" in await told(aboard)


async def test_an_inbox_is_read_in_pages_and_only_what_is_new_if_so_asked(aboard: Aboard):
    names = [await english(aboard, offset) for offset in range(3)]
    for name in names:
        await do(aboard, name, "claim")
        await do(aboard, name, "handover", colleague_id="e-jonas")
        aboard.later(seconds=1)
    await settled(aboard)
    first = await inbox(aboard, "e-jonas", limit=2)
    assert [entry["number"] for entry in first["entries"]] == [3, 2]
    rest = await inbox(aboard, "e-jonas", limit=2, cursor=first["next"])
    assert ([entry["number"] for entry in rest["entries"]], rest["next"]) == ([1], None)
    new = await inbox(aboard, "e-jonas", since=2)
    assert [entry["complaint_id"] for entry in new["entries"]] == [names[2]]


async def test_an_unchanged_inbox_is_answered_without_a_body(aboard: Aboard):
    async with aboard.http("notifier") as phone:
        first = await phone.get("/v1/me/inbox")
        known = {"If-None-Match": first.headers["etag"]}
        assert (await phone.get("/v1/me/inbox", headers=known)).status_code == 304
        _, path = await given(aboard)
        await answers(aboard, path, "yes")
        assert (await phone.get("/v1/me/inbox", headers=known)).status_code == 200


async def test_what_was_read_is_said_as_often_as_one_likes(aboard: Aboard):
    _, path = await given(aboard)
    await answers(aboard, path, "yes")
    async with aboard.http("notifier") as phone:
        for number, key in enumerate(("a", "a", "b")):
            answer = await phone.post(
                "/v1/me/inbox/read", json={"up_to": 1}, headers={"Idempotency-Key": key}
            )
            assert (answer.status_code, answer.json()) == (200, {"up_to": 1}), number
    found = await inbox(aboard)
    assert (found["unread"], found["read_up_to"]) == (0, 1)


async def test_entries_of_an_erased_customer_are_gone(aboard: Aboard):
    _, path = await given(aboard)
    await answers(aboard, path, "yes", LINE)
    (received,) = [
        fact
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.complaint.received.v1"
    ]
    await erase(aboard, received["customer_ref"])
    await settled(aboard)
    found = await inbox(aboard)
    assert (found["entries"], found["unread"]) == ([], 0)


async def test_who_is_not_on_the_roster_has_no_inbox(aboard: Aboard):
    async with aboard.http("notifier", aboard.bearer("e-nobody")) as phone:
        for answer in (
            await phone.get("/v1/me/inbox"),
            await phone.post(
                "/v1/me/inbox/read", json={"up_to": 1}, headers={"Idempotency-Key": "x"}
            ),
        ):
            assert (answer.status_code, answer.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)


async def test_the_record_names_no_employee_who_was_thanked(tmp_path: Path):
    aboard = await Aboard(tmp_path, recording=True).begin()
    _, path = await given(aboard)
    await answers(aboard, path, "yes", LINE)
    assert await told(aboard) == ["thanked"]
    kept = repr(await aboard.events("audit"))
    assert "recovery.employee.thanked.v1" in kept
    assert "e-ingrid" not in kept
