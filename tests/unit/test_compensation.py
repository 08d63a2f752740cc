"""Authority as a ledger: what fits is given at once, what does not fit is answered with what does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from pydantic_core import to_json
from stdnum import luhn

from services.compensation.codes import ALPHABET, Codes
from services.compensation.domain import (
    ALTERNATIVES_MAX,
    Case,
    Wish,
    binding_scope,
    case_reopened,
    day_of,
    issue,
    limits_of,
    options_for,
    postings,
    remainders,
)
from shared.contracts.compensation import CheckIssued, CheckKind, CheckRefused, Option, Scope
from shared.contracts.complaints import Category, ComplaintReopened, Language, Severity
from shared.contracts.policy import Employee
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.inbox import Record
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
)
RECEPTION = Employee(role="reception")
LIMITS = limits_of(POLICY, CASE, "co-1", "e-1", RECEPTION, START)
EMPTY = {limit.account: 0 for limit in LIMITS}


def option(cost: int) -> Option:
    return Option(
        item="dinner-for-two",
        kind=CheckKind.EXPERIENCE,
        value_minor=cost,
        cost_minor=cost,
        currency="NOK",
    )


def decide(wished: Option, balances: dict[str, int]):
    wish = Wish("ck-1", "co-1", "e-1", wished)
    return issue(
        wish, CASE, POLICY, 1, RECEPTION, LIMITS, balances, START, code="v1.x", code_hash="0" * 64
    )


@pytest.mark.parametrize(("amount", "bound"), [(2500_00, None), (2500_01, Scope.CHECK)])
def test_one_check_may_cost_exactly_its_ceiling_and_not_one_minor_unit_more(amount, bound):
    assert binding_scope(option(amount), POLICY, RECEPTION, LIMITS, EMPTY) is bound


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.scope.value)
@pytest.mark.parametrize("above", [0, 1])
def test_each_scope_holds_exactly_its_ceiling_and_names_itself_when_it_binds(limit, above):
    """INV-01: one minor unit above the ceiling is refused."""
    balances = {**EMPTY, limit.account: limit.ceiling_minor - 480_00 + above}
    (fact,) = decide(option(480_00), balances).facts
    if above:
        assert isinstance(fact, CheckRefused)
        assert fact.bound_by is limit.scope
    else:
        assert isinstance(fact, CheckIssued)
        assert {left.scope: left.left_minor for left in fact.left}[limit.scope] == 0


@pytest.mark.parametrize(
    "spent", [0, 1, 479_99, 480_00, 1999_99, 3520_00, 3999_99, 4000_00, 9999_99]
)
def test_every_alternative_fits_and_something_always_does(spent):
    balances = {account: spent for account in EMPTY}
    found = options_for(POLICY, CASE, LIMITS, balances, "reception")
    assert found
    assert all(binding_scope(one, POLICY, RECEPTION, LIMITS, balances) is None for one in found)
    refused = decide(option(2500_01), balances).facts[0]
    assert refused.alternatives == found[:ALTERNATIVES_MAX]
    assert len(refused.alternatives) >= 1


def test_what_is_free_is_given_also_where_everything_is_spent_and_charged_nowhere():
    (fact,) = decide(option(0), {account: 10**9 for account in EMPTY}).facts
    assert isinstance(fact, CheckIssued)
    assert list(postings(fact)) == []
    assert {left.left_minor for left in fact.left} == {0}


def test_a_check_is_charged_to_every_scope_under_its_ceiling():
    decision = decide(option(480_00), EMPTY)
    assert [(p.account, p.amount_minor) for p in postings(decision.facts[0])] == [
        (limit.account, 480_00) for limit in LIMITS
    ]
    assert decision.ceilings == {limit.account: limit.ceiling_minor for limit in LIMITS}


def test_the_playbooks_suggestions_come_first_then_what_fits_then_by_value():
    items = [one.item for one in options_for(POLICY, CASE, LIMITS, EMPTY, "reception")]
    assert items[:2] == ["dinner-for-two", "taxfree-card/50000"]
    assert items[2] == "taxfree-card/100000"


def test_a_ceiling_that_fell_below_what_was_spent_leaves_nothing_and_not_less():
    over = {account: 10**9 for account in EMPTY}
    assert {left.left_minor for left in remainders(LIMITS, over)} == {0}


@pytest.mark.parametrize(
    ("moment", "day", "hours"),
    [
        ("2026-06-03T03:59:59+00:00", "2026-06-02", 24),  # 05:59:59 in Oslo: still yesterday
        ("2026-06-03T04:00:00+00:00", "2026-06-03", 24),
        ("2026-03-28T12:00:00+00:00", "2026-03-28", 23),  # clocks go forward that night
        ("2026-10-24T12:00:00+00:00", "2026-10-24", 25),
    ],
)
def test_the_day_begins_where_the_policy_says_also_when_clocks_change(moment, day, hours):
    found, until = day_of(POLICY, datetime.fromisoformat(moment))
    assert found == day
    begins = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=until.tzinfo)
    assert until.astimezone(UTC) - begins.astimezone(UTC) == timedelta(hours=hours)


def test_a_new_day_is_a_new_account_and_the_customers_stay_is_not():
    tomorrow = limits_of(POLICY, CASE, "co-1", "e-1", RECEPTION, START + timedelta(days=1))
    same = {
        one.scope
        for one, other in zip(LIMITS, tomorrow, strict=True)
        if one.account == other.account
    }
    assert same == {Scope.CUSTOMER_STAY, Scope.COMPLAINT}


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
    assert await aboard.types("compensation") == ["check.issued"]
    accounts = aboard.stores["compensation"].kept.accounts
    assert set(accounts.values()) == {480_00}
    assert len(accounts) == 4


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
    assert await aboard.facts("compensation") == []


async def test_an_employee_who_left_gives_nothing(tmp_path):
    gone = {"e-ingrid": Employee(role="reception", active=False)}
    aboard = await Aboard(tmp_path, POLICY.model_copy(update={"employees": gone})).begin()
    answer = await aboard.give(await aboard.raise_complaint(), "cinema", "k")
    assert answer.json()["type"] == Reason.UNKNOWN_EMPLOYEE


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
