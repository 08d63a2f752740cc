"""A no of the customer finds somebody who is there, and a hand-over finds who can take it."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from services.complaints.colleagues.rules import (
    Crew,
    Member,
    checked_in,
    checked_out,
    least_busy,
    listed,
    nearest,
    reports_shifts,
)
from services.complaints.lifecycle.moves import No, find_none, withdraw
from shared.contracts.compensation import ShiftEnded, ShiftStarted
from shared.contracts.complaints import Category
from shared.contracts.lifecycle import State
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.roster import EmployeeListed, Listing, Shift
from shared.kernel import Fact
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_lifecycle import do, names, seen, standing

POLICY = demo_policy()
HOUR = timedelta(hours=1)


def employee(name: str, role: str) -> Member:
    return Member(name, Listing(role=role), START)


async def says_no(aboard: Aboard, complaint_id: str, offset: int = 0) -> dict[str, Any]:
    """The customer says that it did not help; the fact that comes of it."""
    answer = FeedbackReceived(
        complaint_id=complaint_id,
        check_id="ck-1",
        helped=Helped.NO,
        answered_at=aboard.clock(),
    )
    await aboard.feed("complaints", FeedbackReceived.TOPIC, [record(answer, offset)], 9)
    found = (await aboard.facts("complaints"))[-1]
    assert found["type"] == "recovery.complaint.reopened.v1"
    return found


async def checks_in(aboard: Aboard, who: str, what: str = "shift", **command: Any) -> None:
    answer = await aboard.post(
        f"me/{what}", f"k-{who}-{what}", command if what == "shift" else None, aboard.bearer(who)
    )
    assert answer.status_code in (200, 201), answer.text
    await aboard.carry()


async def lists_nobodys_shift(aboard: Aboard) -> None:
    """The site says of nobody when they work."""
    listings = [
        EmployeeListed(
            employee_id=name,
            site=SITE,
            listing=Listing(role=role),
            listed_at=aboard.clock() + timedelta(seconds=1),
        )
        for name, role in [
            ("e-ingrid", "reception"), ("e-noor", "reception"), ("e-aino", "restaurant"),
            ("e-lars", "deck"), ("e-mikkel", "deck"),
        ]
    ]  # fmt: skip
    await aboard.feed(
        "complaints",
        EmployeeListed.TOPIC,
        [record(one, 800 + number) for number, one in enumerate(listings)],
    )


async def test_a_no_goes_back_to_the_same_employee_while_they_are_on_shift(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-ingrid")
    fact = await says_no(aboard, name)
    assert fact["employee_id"] == "e-ingrid"
    assert "passed_from" not in fact
    assert await names(aboard, "mine", "e-ingrid") == [name]


async def test_a_no_passes_from_who_is_off_shift_to_a_colleague_and_both_know(aboard: Aboard):
    await checks_in(aboard, "e-sofia")
    name, others = await aboard.raise_complaint(0), await aboard.raise_complaint(1, text="No fish.")
    await do(aboard, others, "claim", "e-aino")
    await do(aboard, name, "claim", "e-jonas")
    fact = await says_no(aboard, name)
    assert (fact["employee_id"], fact["passed_from"]) == ("e-sofia", "e-jonas")
    assert await names(aboard, "mine", "e-sofia") == await names(aboard, "passed", "e-jonas")
    assert await names(aboard, "mine", "e-jonas") == []
    shown = await seen(aboard, f"/{name}", "e-jonas")
    assert (shown["employee_id"], shown["passed_from"]) == ("e-sofia", "e-jonas")
    assert (await do(aboard, name, "claim", "e-sofia")).status_code == 200


async def test_a_no_comes_to_who_checked_in_and_not_to_who_checked_out(aboard: Aboard):
    name, others = await aboard.raise_complaint(0), await aboard.raise_complaint(1, text="No fish.")
    await do(aboard, others, "claim", "e-aino")
    await do(aboard, name, "claim", "e-jonas")
    await checks_in(aboard, "e-sofia")
    aboard.later(minutes=1)
    await checks_in(aboard, "e-sofia", "shift/end")
    fact = await says_no(aboard, name)
    assert fact["employee_id"] == "e-aino"


async def test_a_no_stays_with_its_owner_where_nobody_is_on_shift_and_anybody_may_claim_it(
    aboard: Aboard,
):
    await lists_nobodys_shift(aboard)
    await checks_in(aboard, "e-jonas", hours=1)
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-jonas")
    aboard.later(hours=2)
    fact = await says_no(aboard, name)
    assert fact["employee_id"] == "e-jonas"
    assert name in await names(aboard, "open", "e-ingrid")
    assert (await do(aboard, name, "claim", "e-ingrid")).status_code == 200


async def test_at_a_site_that_never_reports_shifts_a_no_goes_to_its_owner_alone(aboard: Aboard):
    await lists_nobodys_shift(aboard)
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-jonas")
    fact = await says_no(aboard, name)
    assert fact["employee_id"] == "e-jonas"
    refused = await do(aboard, name, "claim", "e-ingrid")
    assert refused.json()["type"] == "already_claimed"


async def test_who_was_asked_to_take_it_over_is_not_asked_any_more_once_it_passed(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "handover", "e-jonas", colleague_id="e-noor")
    await says_no(aboard, name)
    assert await names(aboard, "offered", "e-noor") == []


async def test_a_complaint_whose_customer_is_asked_can_be_taken_from_who_left(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "ask", "e-jonas", question="Which?")
    refused = await do(aboard, name, "claim", "e-ingrid")
    assert refused.json()["type"] == "already_claimed"
    gone = EmployeeListed(
        employee_id="e-jonas",
        site=SITE,
        listing=Listing(role="cabin-crew", active=False),
        listed_at=aboard.clock() + timedelta(minutes=1),
    )
    await aboard.feed("complaints", EmployeeListed.TOPIC, [record(gone, 900)])
    aboard.later(hours=30)
    assert (await do(aboard, name, "claim", "e-ingrid")).status_code == 200
    shown = await seen(aboard, f"/{name}")
    assert (shown["state"], shown["employee_id"]) == ("awaiting_info", "e-ingrid")
    await aboard.ring("complaints")
    assert "complaint.overdue" not in await aboard.types("complaints")
    assert (await do(aboard, name, "answer", "e-ingrid", answer="That.")).status_code == 200


def test_who_sees_to_the_category_comes_first_then_the_owners_department_then_everybody():
    owner = employee("e-0", "restaurant")
    cabin, food, deck = (
        employee("e-1", "cabin-crew"), employee("e-2", "restaurant"), employee("e-3", "deck"),
    )  # fmt: skip
    assert nearest([cabin, food, deck], owner, Category.CLEANLINESS, POLICY) == [cabin]
    assert nearest([cabin, food, deck], owner, Category.BILLING, POLICY) == [food]
    assert nearest([cabin, deck], owner, Category.OTHER, POLICY) == [cabin, deck]


def test_who_has_least_to_do_takes_it_over_and_of_several_the_first_by_id():
    some = [employee(name, "deck") for name in ("e-c", "e-b", "e-a")]
    assert least_busy(some, {"e-a": 2, "e-b": 1, "e-c": 1}) == "e-b"
    assert least_busy([], {}) is None


def test_the_order_in_which_two_topics_are_read_changes_nothing():
    facts: list[Fact] = [
        EmployeeListed(employee_id="e-1", site=SITE, listing=Listing(role="deck"), listed_at=START),
        EmployeeListed(
            employee_id="e-1", site=SITE, listing=Listing(role="reception"), listed_at=START + HOUR
        ),
        ShiftStarted(employee_id="e-1", site=SITE, until=START + 8 * HOUR, started_at=START),
        ShiftEnded(employee_id="e-1", site=SITE, ended_at=START + HOUR),
    ]
    folds: dict[type[Fact], Any] = {
        EmployeeListed: listed, ShiftStarted: checked_in, ShiftEnded: checked_out,
    }  # fmt: skip
    ends = set()
    for order in permutations(facts):
        crew: Crew | None = None
        for fact in order:
            crew = folds[type(fact)](crew, fact)
        assert crew is not None
        ends.add(crew.model_dump_json())
    assert len(ends) == 1
    (end,) = ends
    assert Crew.model_validate_json(end).member("e-1").role == "reception"


@pytest.mark.parametrize(
    ("member", "reports"),
    [
        (Member("e-1", Listing(role="deck"), START), False),
        (Member("e-1", Listing(role="deck"), START, None, START), True),
        (
            Member(
                "e-1",
                Listing.model_validate(
                    {"role": "deck", "shift": {"starts": "06:00", "ends": "14:00"}}
                ),
            ),
            True,
        ),
        (
            Member(
                "e-1",
                Listing(
                    role="deck",
                    active=False,
                    shift=Shift.model_validate({"starts": "06:00", "ends": "14:00"}),
                ),
            ),
            False,
        ),
    ],
    ids=["only listed", "checked out", "a weekly shift", "of who left"],
)
def test_a_site_reports_shifts_by_its_roster_or_by_a_check_in(member: Member, reports: bool):
    assert reports_shifts([member]) is reports


async def test_who_can_be_asked_is_on_shift_and_never_oneself(aboard: Aboard):
    await checks_in(aboard, "e-jonas")
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-jonas")
    found = await seen(aboard, "/colleagues", "e-ingrid")
    assert found["shifts_known"] is True
    assert [one["employee_id"] for one in found["colleagues"]] == ["e-aino", "e-jonas", "e-lars"]
    jonas = found["colleagues"][1]
    assert (jonas["departments"], jonas["open"]) == (["housekeeping"], 1)
    assert {one["id"] for one in found["departments"]} == set(POLICY.departments)
    of_one = await seen(aboard, "/colleagues", "e-ingrid", department="restaurant")
    assert [one["employee_id"] for one in of_one["colleagues"]] == ["e-aino"]


async def test_colleagues_come_page_by_page(aboard: Aboard):
    first = await seen(aboard, "/colleagues", "e-ingrid", limit=1)
    assert [one["employee_id"] for one in first["colleagues"]] == ["e-aino"]
    rest = await seen(aboard, "/colleagues", "e-ingrid", limit=1, after=first["next"])
    assert [one["employee_id"] for one in rest["colleagues"]] == ["e-lars"]
    assert rest["next"] is None


async def test_where_no_shift_is_known_everybody_active_can_be_asked(aboard: Aboard):
    await lists_nobodys_shift(aboard)
    found = await seen(aboard, "/colleagues", "e-ingrid")
    assert found["shifts_known"] is False
    assert len(found["colleagues"]) == 6


@pytest.mark.parametrize("how", ["withdraw", "unfounded"])
async def test_nobody_ends_the_complaint_of_a_colleague(aboard: Aboard, how: str):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim", "e-aino")
    refused = await do(aboard, name, how, "e-jonas")
    told = refused.json()
    assert (told["type"], told["employee_id"]) == ("already_claimed", "e-aino")
    assert (await do(aboard, name, how, "e-aino")).status_code == 200


def test_the_complaint_of_a_colleague_who_is_off_shift_is_ended_by_others():
    owned = standing(state=State.CLAIMED, employee_id="e-aino")
    for end in (withdraw, find_none):
        assert isinstance(end(owned, "co-1", "e-jonas", START), No)
        assert len(end(owned, "co-1", "e-jonas", START, owner_away=True)) == 1
    assert len(withdraw(owned, "co-1", None, START)) == 1


async def test_a_refused_handover_says_that_it_is_oneself_or_who_was_asked(aboard: Aboard):
    name = await aboard.raise_complaint()
    oneself = (await do(aboard, name, "handover", "e-aino", colleague_id="e-aino")).json()
    assert (oneself["type"], oneself["because"]) == ("unknown_colleague", "yourself")
    await do(aboard, name, "handover", "e-aino", colleague_id="e-lars")
    for what in ("accept", "decline"):
        refused = (await do(aboard, name, what, "e-sofia")).json()
        assert (refused["type"], refused["colleague_id"]) == ("not_offered", "e-lars")


async def test_a_handover_says_whether_who_is_asked_works_now(aboard: Aboard):
    name = await aboard.raise_complaint()

    async def told(**to: str) -> Any:
        return (await do(aboard, name, "handover", "e-aino", **to)).json()["on_shift"]

    assert await told(colleague_id="e-lars") is True
    assert await told(colleague_id="e-jonas") is False
    assert await told(department="housekeeping") is False
    await checks_in(aboard, "e-jonas")
    assert await told(colleague_id="e-jonas") is True
    assert await told(department="housekeeping") is True
