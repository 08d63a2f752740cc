"""Authority as a ledger: what fits is given at once, what does not fit is answered with what does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from pydantic_core import to_json
from stdnum import luhn

from services.compensation.app import DOMAIN
from services.compensation.authority.rules import (
    Exceeded,
    Headroom,
    left_of,
    limits_of,
    scope_of,
    stretch_of,
)
from services.compensation.authority.windows import windows_of
from services.compensation.cases.rules import Case, case_reopened
from services.compensation.checks.codes import ALPHABET, Codes
from services.compensation.checks.rules import CheckRequest, grant, refuse
from services.compensation.incidents.rules import incident_limit
from services.compensation.options.rules import ALTERNATIVES_MAX, options_for
from shared.contracts.compensation import CheckIssued, CheckKind, CheckRefused, Option, Scope
from shared.contracts.complaints import Category, ComplaintReopened, Language, Severity
from shared.contracts.policy import RoleAuthority
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.kafka.inbox import Record
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import Aboard, demo_policy, raised

POLICY = demo_policy()
CASE = Case(
    customer_ref="c-1",
    site="ms-aurora",
    language=Language.EN,
    category=Category.FOOD,
    severity=Severity.SEVERE,
    opened_at=START - timedelta(minutes=4),
)
#: Every window there is, so that each can bind.
AUTHORITY = RoleAuthority(per_check=2500_00, per_shift=4000_00, per_day=8000_00, per_week=30000_00)


def limits_at(now=START):
    return limits_of(
        POLICY,
        AUTHORITY,
        windows_of(POLICY, now),
        site="ms-aurora",
        employee_id="e-1",
        customer_ref="c-1",
        complaint_id="co-1",
    )


LIMITS = limits_at()
STRETCH = stretch_of(POLICY, windows_of(POLICY, START), "e-1")
EMPTY = {limit.account: 0 for limit in (*LIMITS, STRETCH)}
ROOM = Headroom(per_check=2500_00, limits=LIMITS, balances=EMPTY)
STRETCHY = replace(ROOM, stretch=STRETCH, stretch_percent=25)


def with_balances(room: Headroom, **spent: int) -> Headroom:
    """A room where scopes hold something already."""
    known = {limit.scope.value: limit.account for limit in (*LIMITS, STRETCH)}
    return replace(room, balances={**EMPTY, **{known[scope]: n for scope, n in spent.items()}})


def option(cost: int) -> Option:
    return Option(
        item="dinner-for-two",
        kind=CheckKind.EXPERIENCE,
        value_minor=cost,
        cost_minor=cost,
        currency="NOK",
    )


def decide(wished: Option, room: Headroom = ROOM, **case: Any):
    wish = CheckRequest(
        check_id="ck-1",
        complaint_id="co-1",
        customer_ref="c-1",
        employee_id="e-1",
        site="ms-aurora",
        option=wished,
        reason=Category.FOOD,
        severity=Severity.SEVERE,
        language=Language.EN,
        day="2026-06-03",
        **case,
    )
    decided = room.decide(wish.option.cost_minor)
    if isinstance(decided, Exceeded):
        return refuse(wish, POLICY, 1, room, decided, START)
    return grant(wish, CASE, POLICY, 1, room, decided, START, code="v1.x", code_hash="0" * 64)


@pytest.mark.parametrize("who", ["e-1", "a/b", "x/stay", "x/checks", "W/checks/2026-06-03/NOK"])
@pytest.mark.parametrize("stays", [None, 14])
def test_the_scope_of_an_account_follows_from_its_name_whatever_ids_are_in_it(who, stays):
    windows = windows_of(POLICY, START)
    limits = limits_of(
        POLICY,
        AUTHORITY,
        windows,
        site=who,
        employee_id=who,
        customer_ref=who,
        complaint_id=who,
        stay=windows.day if stays else None,
    )
    stretch, budget = stretch_of(POLICY, windows, who), incident_limit(who, 1, "NOK")
    for limit in (*limits, stretch, budget):
        assert scope_of(limit.account) is limit.scope, limit.account


@pytest.mark.parametrize(("amount", "bound"), [(2500_00, None), (2500_01, Scope.CHECK)])
def test_one_check_may_cost_exactly_its_ceiling_and_not_one_minor_unit_more(amount, bound):
    assert ROOM.binding(amount) is bound


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.scope.value)
@pytest.mark.parametrize("above", [0, 1])
def test_each_scope_holds_exactly_its_ceiling_and_names_itself_when_it_binds(limit, above):
    """INV-01: one minor unit above the ceiling is refused."""
    spent = limit.ceiling_minor - limit.amount(480_00) + above
    (fact,) = decide(option(480_00), with_balances(ROOM, **{limit.scope.value: spent})).facts
    if above:
        assert isinstance(fact, CheckRefused)
        assert fact.bound_by is limit.scope
    else:
        assert isinstance(fact, CheckIssued)
        assert fact.left[limit.scope] == 0


@pytest.mark.parametrize(
    "spent", [0, 1, 479_99, 480_00, 1999_99, 3520_00, 3999_99, 4000_00, 9999_99]
)
def test_every_alternative_fits_and_something_always_does(spent):
    room = replace(ROOM, balances={account: spent for account in EMPTY})
    reason, severity, language = Category.FOOD, Severity.SEVERE, Language.EN
    found = options_for(POLICY, room, reason, severity, language)
    assert found
    assert all(room.binding(one.cost_minor) is None for one in found)
    refused = decide(option(2500_01), room).facts[0]
    assert refused.alternatives == found[:ALTERNATIVES_MAX]
    assert len(refused.alternatives) >= 1


def test_who_left_is_offered_nothing_instead_that_only_a_guest_can_use():
    def instead(**case: Any) -> list[str]:
        (refused,) = decide(option(2500_01), **case).facts
        return [one.item for one in refused.alternatives]

    assert "dinner-for-two" in instead(stay_ends_at=START + timedelta(seconds=1))
    assert "dinner-for-two" not in instead(stay_ends_at=START)


def test_what_is_free_is_given_also_where_everything_is_spent_and_charged_nowhere():
    (fact,) = decide(option(0), replace(ROOM, balances={account: 10**9 for account in EMPTY})).facts
    assert isinstance(fact, CheckIssued)
    assert fact.debits == {}
    assert {posting.account.partition("/")[0] for posting in DOMAIN.postings(fact)} == {"tally"}
    assert set(fact.left.values()) == {0}


def test_a_check_is_charged_to_every_scope_under_its_ceiling():
    decision = decide(option(480_00))
    (fact,) = decision.facts
    assert fact.debits == {limit.account: 1 if limit.counts else 480_00 for limit in LIMITS}
    assert decision.ceilings == {limit.account: limit.ceiling_minor for limit in LIMITS}


def test_a_check_counts_itself_and_the_first_of_a_complaint_how_long_the_customer_waited():
    (fact,) = decide(option(480_00)).facts
    counted = {
        posting.account.rpartition("/")[2]: posting.amount_minor
        for posting in DOMAIN.postings(fact)
        if posting.account.startswith("tally/")
    }
    assert counted == {"checks": 1, "with-check": 1, "waited-s": 240}


def test_the_stretch_is_granted_at_once_marked_and_to_be_explained():
    decision = decide(option(3000_00), STRETCHY)
    (fact,) = decision.facts
    assert isinstance(fact, CheckIssued)
    assert fact.explain_by == START + timedelta(hours=24)
    assert fact.debits[STRETCH.account] == 1
    assert decision.ceilings[LIMITS[0].account] == 10000_00  # 25 % above the day's 8,000
    shared = next(limit for limit in LIMITS if limit.scope is Scope.COMPLAINT)
    assert decision.ceilings[shared.account] == shared.ceiling_minor


@pytest.mark.parametrize(
    ("cost", "spent", "bound"),
    [
        (3125_00, {}, None),
        (3125_01, {}, Scope.CHECK),
        (3000_00, {"stretch": 1}, Scope.CHECK),
        (480_00, {"employee_day": 9520_00}, None),
        (480_00, {"employee_day": 9520_01}, Scope.EMPLOYEE_DAY),
        (480_00, {"complaint": 4000_00}, Scope.COMPLAINT),
    ],
)
def test_the_band_is_the_employees_own_once_a_shift_and_not_a_minor_unit_wider(cost, spent, bound):
    (fact,) = decide(option(cost), with_balances(STRETCHY, **spent)).facts
    assert isinstance(fact, CheckRefused if bound else CheckIssued)
    if bound:
        assert fact.bound_by is bound


def test_the_playbooks_suggestions_come_first_then_what_fits_then_by_value():
    items = [
        one.item for one in options_for(POLICY, ROOM, Category.FOOD, Severity.SEVERE, Language.EN)
    ]
    assert items[:2] == ["dinner-for-two", "taxfree-card/50000"]
    assert items[2] == "taxfree-card/100000"


def test_a_smaller_version_of_the_wish_comes_first_and_what_they_had_comes_later():
    wished = POLICY.option("taxfree-card/100000")
    (refused,) = decide(wished, with_balances(ROOM, employee_day=7100_00)).facts
    assert [one.item for one in refused.alternatives][:2] == [
        "taxfree-card/50000",
        "taxfree-card/20000",
    ]
    assert refused.alternatives[0].why == "smaller_wish"
    mild = (Category.NOISE, Severity.MODERATE, Language.EN)
    before = [one.item for one in options_for(POLICY, ROOM, *mild)]
    after = [
        one.item
        for one in options_for(POLICY, ROOM, *mild, earlier_items=[before[0].partition("/")[0]])
    ]
    assert sorted(before) == sorted(after)
    assert after.index(before[0]) >= before.index(before[0])


def test_of_what_has_any_amount_the_largest_that_fits_is_offered():
    room = with_balances(ROOM, employee_day=7770_00)
    items = [
        one.item for one in options_for(POLICY, room, Category.DELAY, Severity.MILD, Language.EN)
    ]
    assert {"onboard-credit/20000", "excursion-refund/23000"} <= set(items)


def test_a_ceiling_that_fell_below_what_was_spent_leaves_nothing_and_not_less():
    over = {account: 10**9 for account in EMPTY}
    assert set(left_of(LIMITS, over).values()) == {0}


def test_a_new_day_is_a_new_account_and_the_customers_stay_is_not():
    tomorrow = limits_at(START + timedelta(days=1))
    same = {
        one.scope
        for one, other in zip(LIMITS, tomorrow, strict=True)
        if one.account == other.account
    }
    assert same == {Scope.CUSTOMER_STAY, Scope.COMPLAINT, Scope.EMPLOYEE_WEEK}


def test_a_role_without_amounts_has_what_everybody_has():
    assert (
        POLICY.authority_of("deck") == POLICY.authority_of("any") == POLICY.authority_of("no-role")
    )


def test_a_reopened_complaint_is_a_case_also_if_its_triage_was_never_heard_of():
    fact = ComplaintReopened(
        complaint_id="co-1", customer_ref="c-1", site="s", language="en", employee_id=None,
        round=1, promised_by=START, has_contact=True,
    )  # fmt: skip
    assert case_reopened(CASE, fact) is CASE
    assert case_reopened(None, fact).customer_ref == "c-1"


def test_codes_are_the_same_every_time_readable_and_checked():
    codes = Codes(b"secret")
    made = {codes.code(f"ck-{n}") for n in range(2000)}
    assert len(made) == 2000
    assert codes.code("ck-1") == codes.code("ck-1") != Codes(b"other").code("ck-1")
    for code in made:
        luhn.validate(code.replace("-", ""), ALPHABET)
    assert (
        codes.hash("abcde-fghjk-1") == codes.hash("ABCDEFGHJK1") != Codes(b"o").hash("ABCDEFGHJK1")
    )


# ---- through the face ----------------------------------------------------------------------------


async def test_a_check_is_given_at_once_and_a_repeated_request_gives_the_same_one(aboard: Aboard):
    """INV-02: one issued fact and one debit per accepted check, however often it is asked for."""
    complaint = await aboard.raise_complaint()
    first = await aboard.give(complaint, "dinner-for-two", "k")
    again = await aboard.give(complaint, "dinner-for-two", "k")
    assert (first.status_code, first.json()) == (201, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (await aboard.types("compensation")).count("check.issued") == 1
    accounts = aboard.stores["compensation"].kept.accounts
    assert {name.partition("/")[0]: n for name, n in accounts.items() if n == 480_00}.keys() == {
        "employee",
        "customer",
        "complaint",
        "site",
    }


async def test_a_wish_that_does_not_fit_is_answered_with_what_does_and_that_is_then_given(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    for attempt in count():
        refused = await aboard.give(complaint, "taxfree-card/100000", f"k{attempt}", "e-jonas")
        if refused.status_code != 201:
            break
    body = refused.json()
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert (attempt, body["type"], body["bound_by"]) == (
        2,
        Reason.AUTHORITY_EXHAUSTED,
        "employee_day",
    )
    assert body["colleague_id"] in {"e-ingrid", "e-lars"}  # on shift at four in the afternoon
    given = await aboard.give(complaint, body["alternatives"][0]["item"], "alt", "e-jonas")
    assert given.status_code == 201


@pytest.mark.parametrize(
    ("complaint", "item", "employee", "more", "status", "reason"),
    [
        ("known", "yacht", "e-ingrid", {}, 422, Reason.AMOUNT_NOT_OFFERED),
        ("known", "taxfree-card/1", "e-ingrid", {}, 422, Reason.AMOUNT_NOT_OFFERED),
        ("known", "cinema", "e-ingrid", {"currency": "SEK"}, 422, Reason.CURRENCY_UNKNOWN),
        ("known", "cinema", "e-nobody", {}, 403, Reason.UNKNOWN_EMPLOYEE),
        ("co-none", "cinema", "e-ingrid", {}, 404, Reason.UNKNOWN_COMPLAINT),
        ("known", "cinema", "e-ingrid", {"amount_minor": -1}, 422, Reason.SCHEMA_INVALID),
        ("known", "cinema", "e-ingrid", {"currency": "kr"}, 422, Reason.SCHEMA_INVALID),
        ("bad id\n", "cinema", "e-ingrid", {}, 422, Reason.SCHEMA_INVALID),
    ],
)
async def test_what_is_unknown_is_refused_with_its_reason_and_changes_nothing(
    aboard: Aboard, complaint, item, employee, more, status, reason
):
    known = await aboard.raise_complaint()
    complaint = known if complaint == "known" else complaint
    answer = await aboard.give(complaint, item, "k", employee, **more)
    assert (answer.status_code, answer.json()["type"]) == (status, reason)
    assert {"check.issued", "check.refused"}.isdisjoint(await aboard.types("compensation"))


async def test_while_a_customers_key_is_on_its_way_the_employee_is_told_to_come_back(
    aboard: Aboard,
):
    await aboard.feed("complaints", "recovery.intake.v1", [record(raised(), 0)])
    facts = await aboard.events("complaints")
    triaged = next(event for event in facts if event["type"].endswith("triaged.v1"))
    await aboard.feed("compensation", "recovery.complaints.v1", [Record(0, to_json(triaged))])
    answer = await aboard.give(triaged["data"]["complaint_id"], "cinema", "k")
    assert (answer.status_code, answer.json()["type"]) == (503, Reason.KEY_NOT_YET_KNOWN)
    assert int(answer.headers["retry-after"]) >= 1
    created = next(event for event in facts if event["type"] == CustomerKeyCreated.TYPE)
    await aboard.feed("compensation", CustomerKeyCreated.TOPIC, [Record(0, to_json(created))])
    assert (await aboard.give(triaged["data"]["complaint_id"], "cinema", "k")).status_code == 201


async def test_what_may_i_give_is_answered_with_what_is_left(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    given = (await aboard.give(complaint, "dinner-for-two", "k")).json()
    async with aboard.http("compensation") as phone:
        offer = (await phone.get("/v1/options", params={"complaint": complaint})).json()
        check = (await phone.get(f"/v1/checks/{given['check_id']}")).json()
        unknown = await phone.get("/v1/checks/ck-none")
    assert {left["scope"]: left["left_minor"] for left in offer["left"]}["employee_day"] == 7520_00
    assert check["item"] == "dinner-for-two"
    assert "code" not in check
    assert (unknown.status_code, unknown.json()["type"]) == (404, Reason.UNKNOWN_CHECK)


def test_where_the_stretch_would_hold_it_the_scope_that_bound_is_the_shared_one():
    full = with_balances(STRETCHY, employee_day=7600_00, complaint=3900_00)
    (fact,) = decide(option(480_00), full).facts
    assert fact.bound_by is Scope.COMPLAINT
