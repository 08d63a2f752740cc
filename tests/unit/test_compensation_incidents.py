"""Mass incidents, the quick log, the law, safety, staff and the day in figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from pydantic_core import to_json

from services.compensation.app import build
from services.compensation.checks.rules import Check, checks_of_day_set, stands
from services.compensation.incidents import handlers
from services.compensation.incidents.rules import GIVE, Recent, complaints_of_incident, remembered
from shared.contracts.compensation import INCIDENT_COUNT_MAX, CaseOpened, CheckIssued, Scope
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.intake import ComplaintRaised
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.faults import Unavailable
from shared.runtime.http.face import PROBLEM
from shared.runtime.kafka.inbox import Record
from shared.runtime.privacy.links import MINE, Tokens
from shared.testing.builders import published, record
from shared.testing.clock import START
from tests.suites.services import ROOT, SITE, Aboard, YieldingStore, demo_policy, raised
from tests.unit.test_lifecycle import do

PERSONNEL = {"subject": "hr", "kind": "personnel"}


def changed(base: Policy, **changes) -> Policy:
    return Policy.model_validate({**base.model_dump(mode="json"), **changes})


def small_incidents(budget: int = 1000_00) -> Policy:
    """Three complaints make an incident, of which the budget holds a few checks."""
    return changed(
        demo_policy(),
        incidents={
            "open_when": {"count": 3, "within": "PT30M"},
            "give": "taxfree-card/20000",
            "budget": budget,
        },
    )


async def publish(aboard: Aboard, version: int, policy: Policy) -> None:
    fact = PolicyPublished(site=SITE, version=version, policy=policy)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(fact, version)])


@pytest.fixture
async def crowd(tmp_path) -> Aboard:
    return await Aboard(tmp_path, small_incidents()).begin()


async def complaints(aboard: Aboard, count: int, first: int = 0, **changes) -> list[str]:
    return [
        await aboard.raise_complaint(number, customer=f"guest-{number}", **changes)
        for number in range(first, first + count)
    ]


async def the_incident(aboard: Aboard) -> dict:
    (incident,) = (await aboard.get("incidents")).json()["incidents"]
    return incident


async def given_in(aboard: Aboard) -> list[str]:
    return [
        fact["complaint_id"]
        for fact in await aboard.facts("compensation")
        if fact["type"] == "recovery.check.issued.v1" and fact.get("incident_id")
    ]


async def test_so_many_complaints_about_one_thing_in_time_are_an_incident(crowd: Aboard):
    await complaints(crowd, 2)
    assert (await crowd.get("incidents")).json()["incidents"] == []
    await complaints(crowd, 2, 2)
    incident = await the_incident(crowd)
    assert (incident["reason"], incident["affected"]) == ("food", 4)
    assert "incident.joined" in await crowd.types("compensation")


async def test_complaints_that_are_too_far_apart_are_not(crowd: Aboard):
    await complaints(crowd, 2)
    crowd.later(minutes=30)
    await complaints(crowd, 1, 2)
    assert (await crowd.get("incidents")).json()["incidents"] == []


async def test_employees_see_the_incidents_check_at_once_and_give_it_from_its_budget(crowd: Aboard):
    first, *_ = await complaints(crowd, 3)
    offered = (await crowd.get(f"options?complaint={first}")).json()["incident"]
    assert offered["option"]["why"] == "incident"
    wish = {"incident_id": offered["incident_id"]}
    check = await crowd.give(first, "taxfree-card/20000", "k", **wish)
    assert check.status_code == 201
    accounts = crowd.stores["compensation"].kept.accounts
    assert {name.partition("/")[0] for name, n in accounts.items() if n == 200_00} == {"incident"}
    again = await crowd.give(first, "taxfree-card/20000", "other", **wish)
    assert (again.status_code, again.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)
    assert (await crowd.get(f"options?complaint={first}")).json()["incident"] is None


async def test_one_guest_who_complains_fourteen_times_is_no_incident_and_gets_no_fourteen_checks(
    crowd: Aboard,
):
    """INV-10."""
    for number in range(14):
        await crowd.raise_complaint(number, customer="guest-0")
    assert (await crowd.get("incidents")).json()["incidents"] == []
    others = await complaints(crowd, 2, 14)
    incident = await the_incident(crowd)
    assert incident["affected"] == 3
    more = await crowd.raise_complaint(16, customer="guest-0")
    assert (await the_incident(crowd))["affected"] == 3
    path = f"incidents/{incident['incident_id']}"
    await crowd.post(f"{path}/give", "g")
    await crowd.ring("compensation")
    given = await given_in(crowd)
    assert (len(given), set(others) < set(given)) == (3, True)
    at_desk = await crowd.give(more, "taxfree-card/20000", "k", incident_id=incident["incident_id"])
    assert (at_desk.status_code, at_desk.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)
    assert (await crowd.get(f"options?complaint={more}")).json()["incident"] is None


async def test_an_incident_that_lists_two_complaints_of_one_customer_gives_to_them_once(
    crowd: Aboard,
):
    """INV-10: as one was stored before customers were counted."""
    affected = await complaints(crowd, 3)
    more = await crowd.raise_complaint(3, customer="guest-0")
    incident = (await the_incident(crowd))["incident_id"]
    kept = crowd.stores["compensation"].kept.documents
    part, known = f"affected:{incident}/0", f"incident:{incident}"
    kept[part] = kept[part]._replace(body=to_json({"complaint_ids": [*affected, more]}))
    body = kept[known].body.replace(b'"affected":3', b'"affected":4')
    kept[known] = kept[known]._replace(body=body)
    await crowd.post(f"incidents/{incident}/give", "g")
    await crowd.ring("compensation")
    assert sorted(await given_in(crowd)) == sorted(affected)
    told = await the_incident(crowd)
    assert (told["done"], told["given"], told["skipped"]) == (4, 3, 0)


async def test_who_joined_an_incident_joins_it_once(crowd: Aboard):
    await complaints(crowd, 3)
    for number in (3, 4, 5):
        await crowd.raise_complaint(number, customer="late")
    assert (await the_incident(crowd))["affected"] == 4
    assert (await crowd.types("compensation")).count("incident.joined") == 1


async def raise_by_hand(aboard: Aboard, key: str, bearer: str, **more) -> None:
    async with aboard.http("complaints", bearer) as phone:
        wish = {"site": SITE, "text": "The soup was cold and nobody came.", **more}
        headers = {"Idempotency-Key": key}
        assert (await phone.post("/v1/complaints", json=wish, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("kind", "name", "affected"),
    [
        ("employee", None, 3),
        ("employee", "guest-{}", 3),
        ("employee", "guest-0", None),
        ("customer", None, None),
        ("customer", "guest-{}", None),
        ("system", None, None),
        ("system", "guest-{}", 3),
    ],
)
async def test_whom_a_complaint_counts_for(crowd: Aboard, kind, name, affected):
    """A receptionist who logs three guests is three; a customer's own token is one, whatever it says."""
    who = "e-ingrid" if kind == "employee" else "x-1"
    for number in range(3):
        named = {} if name is None else {"customer": name.format(number)}
        await raise_by_hand(crowd, f"k{number}", crowd.bearer(who, kind), **named)
        await crowd.carry()
    found = (await crowd.get("incidents")).json()["incidents"]
    assert [one["affected"] for one in found] == ([affected] if affected else [])


async def test_complaints_of_a_publisher_that_names_no_customer_count_once(crowd: Aboard):
    for number in range(4):
        await crowd.raise_complaint(number)
    assert (await crowd.get("incidents")).json()["incidents"] == []
    await complaints(crowd, 2, 4)
    assert (await the_incident(crowd))["affected"] == 3


async def test_two_employees_who_write_down_the_same_guest_write_down_one(crowd: Aboard):
    for number, who in enumerate(("e-ingrid", "e-jonas", "e-sofia")):
        await raise_by_hand(crowd, f"k{number}", crowd.bearer(who), customer="cabin-7112")
    await crowd.carry()
    assert (await crowd.get("incidents")).json()["incidents"] == []


async def test_an_incident_said_by_hand_counts_customers_too(crowd: Aboard):
    for number in range(5):
        await crowd.raise_complaint(number, customer=f"guest-{number % 2}")
    opened = await crowd.post("incidents", "o", {"reason": "food"})
    assert (opened.status_code, "customers" in opened.json()) == (201, False)
    assert (await the_incident(crowd))["affected"] == 2


def test_one_customers_many_complaints_push_nobody_elses_out_of_the_count():
    recent: Recent | None = None
    for number in range(3 * INCIDENT_COUNT_MAX):
        fact = CaseOpened(
            complaint_id=f"co-{number}",
            customer_ref="c-often" if number >= 20 else f"c-{number}",
            site=SITE, reason="food", severity="mild", day="2026-06-03", opened_at=START,
        )  # fmt: skip
        recent = remembered(recent, fact)
    assert len(recent.complaint_ids) == INCIDENT_COUNT_MAX
    assert {f"c-{number}" for number in range(20)} < set(recent.customers)


def test_complaints_that_were_remembered_before_customers_were_counted_count_by_themselves():
    old = Recent(complaint_ids=("co-1", "co-2"), opened_at=(START, START))
    fact = CaseOpened(
        complaint_id="co-3", customer_ref="c-3", site=SITE, reason="food", severity="mild",
        day="2026-06-03", opened_at=START,
    )  # fmt: skip
    assert set(complaints_of_incident(small_incidents(), fact, old).values()) == {
        "co-1", "co-2", "co-3",
    }  # fmt: skip
    assert remembered(old, fact).entries()[-1] == ("co-3", "c-3", START)


async def test_an_incidents_budget_pays_only_its_own_kind_of_complaint(crowd: Aboard):
    await complaints(crowd, 3)
    noise = await crowd.raise_complaint(3, customer="guest-3", text="Loud music all night.")
    wish = {"incident_id": (await the_incident(crowd))["incident_id"]}
    refused = await crowd.give(noise, "taxfree-card/20000", "k", **wish)
    assert (refused.status_code, refused.json()["type"]) == (404, Reason.UNKNOWN_INCIDENT)
    assert await given_in(crowd) == []


async def test_all_who_are_affected_get_it_in_one_call_each_exactly_once(crowd: Aboard):
    affected = await complaints(crowd, 4)
    incident = await the_incident(crowd)
    await crowd.give(affected[1], "taxfree-card/20000", "k", incident_id=incident["incident_id"])
    path = f"incidents/{incident['incident_id']}"
    begun = await crowd.post(f"{path}/give", "g")
    assert (begun.status_code, begun.json()["affected"]) == (202, 4)
    await crowd.ring("compensation")
    await crowd.ring("compensation")
    told = (await crowd.get(path)).json()
    assert (told["done"], told["given"], told["skipped"], told["remaining"]) == (4, 3, 0, 0)
    assert sorted(await given_in(crowd)) == sorted(affected)
    await complaints(crowd, 1, 4)
    await crowd.post(f"{path}/give", "again")
    await crowd.ring("compensation")
    assert len(await given_in(crowd)) == 5


async def test_what_is_no_complaint_any_more_gets_nothing_and_the_answer_says_how_many(
    tmp_path,
):
    crowd = await Aboard(tmp_path, small_incidents(10_000_00)).begin()
    names = await complaints(crowd, 7)
    await do(crowd, names[0], "withdraw")
    await do(crowd, names[1], "unfounded")
    await do(crowd, names[2], "unfounded")
    await do(crowd, names[3], "merge", into=names[4])
    await crowd.carry()
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    answer = (await crowd.post(f"{path}/give", "g")).json()
    told = {"left_out_unfounded": 2, "left_out_withdrawn": 1}
    assert told.items() <= answer.items()
    for _ in range(3):
        await crowd.ring("compensation")
    shown = (await crowd.get(path)).json()
    assert {**told, "given": 3, "done": 7, "remaining": 0, "skipped": 0}.items() <= shown.items()
    assert sorted(await given_in(crowd)) == sorted(names[4:])


def page_of(aboard: Aboard, complaint_id: str) -> str:
    """Where the customer sees their complaint."""
    links = Tokens(aboard.apps["complaints"].parts.vault.derive(MINE), MINE, aboard.clock)
    return f"/m/{links.sign({'complaint': complaint_id}, aboard.clock() + timedelta(days=1))}"


async def test_a_complaint_that_is_one_again_is_given_to(crowd: Aboard):
    names = await complaints(crowd, 3)
    await do(crowd, names[0], "unfounded")
    await crowd.carry()
    async with crowd.http("complaints", "") as customer:
        page = page_of(crowd, names[0])
        again = await customer.post(f"{page}/words", data={"text": "It was cold."})
    assert again.status_code == 200
    await crowd.carry()
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    answer = (await crowd.post(f"{path}/give", "g")).json()
    assert (answer["affected"], answer["left_out_unfounded"]) == (3, 0)
    await crowd.ring("compensation")
    assert sorted(await given_in(crowd)) == sorted(names)


async def test_what_is_found_to_be_no_complaint_does_not_count_towards_an_incident(crowd: Aboard):
    first, second = await complaints(crowd, 2)
    await do(crowd, first, "unfounded")
    await do(crowd, second, "withdraw")
    await complaints(crowd, 1, 2)
    assert (await crowd.get("incidents")).json()["incidents"] == []
    await complaints(crowd, 1, 3)
    assert (await the_incident(crowd))["affected"] == 3


async def test_an_incident_said_by_hand_leaves_out_what_is_no_complaint(crowd: Aboard):
    first, _ = await complaints(crowd, 2)
    await do(crowd, first, "unfounded")
    await crowd.carry()
    assert (await crowd.post("incidents", "o", {"reason": "food"})).status_code == 201
    assert (await the_incident(crowd))["affected"] == 1


@pytest.mark.parametrize("what", ["withdraw", "unfounded"])
@pytest.mark.parametrize("ends", ["before the incident", "before the giving"])
async def test_whose_latest_complaint_ended_is_given_to_for_one_that_goes_on(
    crowd: Aboard, what: str, ends: str
):
    """Once, and not for one of long before, which was about something else."""
    old = await crowd.raise_complaint(0, customer="guest-0")
    crowd.later(minutes=31)
    kept, ended = [await crowd.raise_complaint(1 + n, customer="guest-0") for n in range(2)]
    if ends == "before the incident":
        await do(crowd, ended, what)
    others = await complaints(crowd, 2, 3)
    if ends == "before the giving":
        await do(crowd, ended, what)
    await crowd.carry()
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    answer = (await crowd.post(f"{path}/give", "g")).json()
    left_out = answer["left_out_unfounded"] + answer["left_out_withdrawn"]
    assert (answer["affected"], left_out) == (3, 0)
    await crowd.ring("compensation")
    assert sorted(await given_in(crowd)) == sorted([kept, *others])
    assert old not in await given_in(crowd)


async def test_the_one_that_goes_on_is_not_given_to_where_it_ends_in_the_same_moment(
    crowd: Aboard, monkeypatch: pytest.MonkeyPatch
):
    kept, ended = [await crowd.raise_complaint(n, customer="guest-0") for n in range(2)]
    others = await complaints(crowd, 2, 3)
    await do(crowd, ended, "withdraw")
    await crowd.carry()
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    await crowd.post(f"{path}/give", "g")
    looked = handlers._instead

    async def ends(one, *rest):
        found = await looked(one, *rest)
        if found.complaint_id == kept:
            monkeypatch.setattr(handlers, "_instead", looked)
            await do(crowd, kept, "withdraw")
            await crowd.carry()
        return found

    monkeypatch.setattr(handlers, "_instead", ends)
    await crowd.ring("compensation")
    assert handlers._instead is looked, "it was chosen before it ended"
    assert sorted(await given_in(crowd)) == sorted(others)


async def test_whose_only_other_complaint_is_of_long_before_gets_nothing(crowd: Aboard):
    await crowd.raise_complaint(0, customer="guest-0")
    crowd.later(minutes=31)
    ended = await crowd.raise_complaint(1, customer="guest-0")
    others = await complaints(crowd, 2, 2)
    await do(crowd, ended, "withdraw")
    await crowd.carry()
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    answer = (await crowd.post(f"{path}/give", "g")).json()
    assert (answer["affected"], answer["left_out_withdrawn"]) == (2, 1)
    await crowd.ring("compensation")
    assert sorted(await given_in(crowd)) == sorted(others)


async def test_what_the_budget_does_not_hold_is_counted_and_not_given(tmp_path):
    aboard = await Aboard(tmp_path, small_incidents(budget=500_00)).begin()
    await complaints(aboard, 3)
    path = f"incidents/{(await the_incident(aboard))['incident_id']}"
    await aboard.post(f"{path}/give", "g")
    await aboard.ring("compensation")
    told = (await aboard.get(path)).json()
    assert (told["given"], told["skipped"]) == (2, 1)
    assert len(await given_in(aboard)) == 2


async def test_a_closed_incident_gives_nothing_and_later_complaints_are_their_own(crowd: Aboard):
    first, *_ = await complaints(crowd, 3)
    path = f"incidents/{(await the_incident(crowd))['incident_id']}"
    assert (await crowd.post(f"{path}/close", "c")).status_code == 200
    assert (await crowd.post(f"{path}/give", "g")).json()["type"] == Reason.INCIDENT_CLOSED
    assert (await crowd.get(f"options?complaint={first}")).json()["incident"] is None
    assert (await crowd.get("incidents")).json()["incidents"] == []


async def test_an_employee_may_say_that_it_is_an_incident_before_the_count_does(crowd: Aboard):
    await complaints(crowd, 1)
    opened = await crowd.post("incidents", "o", {"reason": "food"})
    assert (opened.status_code, opened.json()["reason"]) == (201, "food")
    assert (await the_incident(crowd))["affected"] == 1
    twice = await crowd.post("incidents", "p", {"reason": "food"})
    assert (twice.status_code, twice.json()["type"]) == (409, Reason.INCIDENT_OPEN)
    assert (await crowd.get("incidents/in-none")).json()["type"] == Reason.UNKNOWN_INCIDENT


async def backlog(aboard: Aboard, *minutes: int, order: Sequence[int] = ()) -> None:
    """Complaints that came this long after each other and are heard of in one batch, perhaps in
    another order."""
    for number, pause in enumerate(minutes):
        aboard.later(minutes=pause)
        raised_one = record(raised(customer=f"guest-{number}"), number)
        await aboard.feed("complaints", ComplaintRaised.TOPIC, [raised_one])
    stores = aboard.stores
    await aboard.feed(
        "compensation",
        CustomerKeyCreated.TOPIC,
        await published(stores["complaints"], CustomerKeyCreated.TOPIC),
        1,
    )
    triaged = [
        one
        for one in await published(stores["complaints"], ComplaintTriaged.TOPIC)
        if ComplaintTriaged.TYPE.encode() in one.value
    ]
    for place, number in enumerate(order or range(len(triaged))):
        again = Record(place, triaged[number].value)
        # Each on a partition of its own: only so can they overtake each other.
        await aboard.feed("compensation", ComplaintTriaged.TOPIC, [again], 10 + number)


@pytest.mark.parametrize(
    ("minutes", "order", "incidents"),
    [
        ((0, 120, 120), (), 0),
        ((0, 10, 10), (), 1),
        ((0, 10, 10), (2, 0, 1), 1),
        ((0, 20, 20), (0, 2, 1), 0),
    ],
)
async def test_what_counts_is_when_complaints_came_and_not_when_they_were_heard_of(
    crowd: Aboard, minutes, order, incidents
):
    await backlog(crowd, *minutes, order=order)
    assert len((await crowd.get("incidents")).json()["incidents"]) == incidents


async def test_how_long_a_customer_waited_includes_the_time_until_we_heard_of_them(crowd: Aboard):
    began = crowd.clock()
    await crowd.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 0)])
    crowd.later(hours=2)
    await crowd.carry()
    (case,) = [fact for fact in await crowd.facts("compensation") if "opened_at" in fact]
    assert datetime.fromisoformat(case["opened_at"]) == began


async def test_all_who_complained_in_time_are_affected_and_not_only_as_many_as_it_takes(tmp_path):
    plain = small_incidents()
    aboard = await Aboard(tmp_path, changed(plain, incidents=None)).begin()
    await complaints(aboard, 5)
    await publish(aboard, 2, plain)
    await complaints(aboard, 1, 5)
    assert (await the_incident(aboard))["affected"] == 6


async def test_an_incidents_check_is_given_at_a_desk_as_in_the_call_whatever_the_policy_became(
    crowd: Aboard,
):
    first, second, third = await complaints(crowd, 3)
    incident = (await the_incident(crowd))["incident_id"]
    plain = small_incidents().model_dump(mode="json")
    del plain["checks"]["taxfree-card"]
    rule = {**plain["incidents"], "give": "cinema"}
    await publish(
        crowd,
        2,
        changed(
            small_incidents(), checks=plain["checks"], playbooks={}, incidents=rule, currency="EUR"
        ),
    )
    shown = (await crowd.get(f"options?complaint={first}")).json()["incident"]["option"]
    assert (shown["item"], shown["currency"]) == ("taxfree-card/20000", "NOK")
    wish = {"incident_id": incident}
    euros = await crowd.give(first, "taxfree-card/20000", "e", **wish, currency="EUR")
    assert (euros.status_code, euros.json()["type"]) == (422, Reason.CURRENCY_UNKNOWN)
    at_desk = await crowd.give(first, "taxfree-card/20000", "k", **wish, currency="NOK")
    assert at_desk.status_code == 201, at_desk.text
    await crowd.post(f"incidents/{incident}/give", "g")
    await crowd.ring("compensation")
    facts = [one for one in await crowd.facts("compensation") if one.get("debits")]
    assert {one["complaint_id"] for one in facts} == {first, second, third}
    assert {(one["item"], one["currency"], one["policy_version"]) for one in facts} == {
        ("taxfree-card/20000", "NOK", 1)
    }
    assert {account for one in facts for account in one["debits"]} == {f"incident/{incident}/NOK"}


async def test_a_budget_is_never_charged_another_currency_where_its_policy_is_gone(crowd: Aboard):
    first, *_ = await complaints(crowd, 3)
    incident = (await the_incident(crowd))["incident_id"]
    await publish(crowd, 2, changed(small_incidents(), currency="EUR"))
    # As after a rebuild, which finds the newest policy alone.
    del crowd.stores["compensation"].kept.documents[f"policy-version:{SITE}/1"]
    settings = crowd.apps["compensation"].parts.settings
    crowd.apps["compensation"] = build(
        settings, now=crowd.clock, store=crowd.stores["compensation"]
    )
    assert (await crowd.get(f"options?complaint={first}")).json()["incident"] is None
    wish = {"incident_id": incident}
    at_desk = await crowd.give(first, "taxfree-card/20000", "k", **wish)
    assert (at_desk.status_code, at_desk.json()["type"]) == (422, Reason.AMOUNT_NOT_OFFERED)
    await crowd.post(f"incidents/{incident}/give", "g")
    await crowd.ring("compensation")
    told = (await crowd.get(f"incidents/{incident}")).json()
    assert (told["given"], told["skipped"]) == (0, 3)


async def test_what_an_incidents_budget_does_not_hold_is_answered_with_what_the_employee_can_give(
    tmp_path,
):
    aboard = await Aboard(tmp_path, small_incidents(budget=300_00)).begin()
    first, second, third = await complaints(aboard, 3)
    wish = {"incident_id": (await the_incident(aboard))["incident_id"]}
    assert (await aboard.give(first, "taxfree-card/20000", "k", **wish)).status_code == 201
    full = await aboard.give(second, "taxfree-card/20000", "r", "e-jonas", **wish)
    assert "dinner-for-two" in {one["item"] for one in full.json()["alternatives"]}
    spent = ("taxfree-card/100000", "taxfree-card/100000", "taxfree-card/50000")
    for number, item in enumerate(spent):
        assert (await aboard.give(third, item, f"s{number}", "e-jonas")).status_code == 201
    refused = (await aboard.give(second, "taxfree-card/20000", "q", "e-jonas", **wish)).json()
    left = {one["scope"]: one["left_minor"] for one in refused["left"]}
    assert (refused["bound_by"], left[Scope.INCIDENT]) == (Scope.INCIDENT, 100_00)
    assert Scope.EMPLOYEE_DAY in left
    best, *_ = refused["alternatives"]
    assert (await aboard.give(second, best["item"], "a", "e-jonas")).status_code == 201


@pytest.mark.parametrize(("budget", "given"), [(100_00, 0), (200_00, 1), (399_00, 1)])
async def test_an_incident_that_holds_no_more_says_so_and_is_not_shown_as_what_i_can_give(
    tmp_path, budget, given
):
    aboard = await Aboard(tmp_path, small_incidents(budget)).begin()
    affected = await complaints(aboard, 3)
    wish = {"incident_id": (await the_incident(aboard))["incident_id"]}
    for number in range(given):
        one = await aboard.give(affected[number], "taxfree-card/20000", f"k{number}", **wish)
        assert one.status_code == 201
    assert (await aboard.get(f"options?complaint={affected[2]}")).json()["incident"] is None
    refused = await aboard.give(affected[2], "taxfree-card/20000", "r", **wish, safety="injury")
    assert (refused.status_code, refused.json()["bound_by"]) == (409, Scope.INCIDENT)
    assert (await aboard.types("compensation")).count("safety.noted") == 1


async def before_a_key(aboard: Aboard) -> tuple[str, Sequence[Record]]:
    """Three complaints are an incident, to be given to; the last customer's key has not come."""
    for number in range(3):
        one = record(raised(customer=f"guest-{number}"), number)
        await aboard.feed("complaints", ComplaintRaised.TOPIC, [one])
    store = aboard.stores["complaints"]
    keys = await published(store, CustomerKeyCreated.TOPIC)
    await aboard.feed("compensation", CustomerKeyCreated.TOPIC, keys[:4], 1)
    facts = await published(store, ComplaintTriaged.TOPIC)
    await aboard.feed("compensation", ComplaintTriaged.TOPIC, facts, 1)
    path = f"incidents/{(await the_incident(aboard))['incident_id']}"
    await aboard.post(f"{path}/give", "g")
    return path, keys[4:]


async def test_giving_waits_for_a_key_that_may_still_come(crowd: Aboard):
    path, keys = await before_a_key(crowd)
    for _ in range(2):
        with pytest.raises(Unavailable, match="key_not_yet_known"):
            await crowd.ring("compensation")
        assert (await crowd.get(path)).json()["done"] == 0
        crowd.later(seconds=1)
    await crowd.feed("compensation", CustomerKeyCreated.TOPIC, keys, 1)
    await crowd.ring("compensation")
    told = (await crowd.get(path)).json()
    assert (told["given"], told["skipped"], len(await given_in(crowd))) == (3, 0, 3)


async def test_giving_goes_on_without_a_customer_whose_key_never_comes(crowd: Aboard):
    path, _ = await before_a_key(crowd)
    crowd.later(hours=1)
    await crowd.ring("compensation")
    told = (await crowd.get(path)).json()
    assert (told["given"], told["skipped"], told["remaining"]) == (2, 1, 0)


async def test_two_steps_of_giving_in_one_moment_have_different_events(tmp_path):
    aboard = await Aboard(tmp_path, small_incidents(budget=10**8)).begin()
    await complaints(aboard, 101)
    path = f"incidents/{(await the_incident(aboard))['incident_id']}"
    await aboard.post(f"{path}/give", "g")
    for _ in range(2):
        await aboard.ring("compensation")
    assert len(await given_in(aboard)) == 101
    ids = [event["id"] for event in await aboard.events("compensation")]
    assert len(ids) == len(set(ids))


async def test_a_step_that_another_process_took_in_between_is_not_taken_again(crowd: Aboard):
    await complaints(crowd, 3)
    incident = (await the_incident(crowd))["incident_id"]
    await crowd.post(f"incidents/{incident}/give", "g")
    due_ms = int(crowd.clock().timestamp() * 1000)
    app = crowd.apps["compensation"]
    other = build(
        app.parts.settings,
        now=crowd.clock,
        store=YieldingStore(crowd.stores["compensation"], (1, 0)),
    )
    rings = [one.on_timer[GIVE](incident, due_ms) for one in (other, app)]
    late, done = await asyncio.gather(*rings, return_exceptions=True)
    assert (str(late), done) == (Reason.CONTENDED, None)
    assert len(await given_in(crowd)) == 3


async def test_an_incidents_checks_fill_nobodys_own_list(crowd: Aboard):
    first, *_ = await complaints(crowd, 3)
    own = (await crowd.give(first, "cinema", "own")).json()["check_id"]
    await crowd.post(f"incidents/{(await the_incident(crowd))['incident_id']}/give", "g")
    await crowd.ring("compensation")
    assert len(await given_in(crowd)) == 3
    mine = (await crowd.get("checks")).json()["checks"]
    assert [check["check_id"] for check in mine] == [own]
    of_complaint = (await crowd.get(f"checks?complaint={first}")).json()["checks"]
    assert len(of_complaint) == 2


async def test_an_incidents_check_that_was_given_at_a_desk_is_in_that_employees_list(crowd: Aboard):
    first, *_ = await complaints(crowd, 3)
    incident = (await the_incident(crowd))["incident_id"]
    wish = {"incident_id": incident}
    given = (await crowd.give(first, "taxfree-card/20000", "k", **wish)).json()["check_id"]
    await crowd.post(f"incidents/{incident}/give", "g")
    await crowd.ring("compensation")
    assert len(await given_in(crowd)) == 3
    mine = (await crowd.get("checks")).json()["checks"]
    assert [check["check_id"] for check in mine] == [given]
    said = [one.get("at_desk") for one in await crowd.facts("compensation") if "code" in one]
    assert said == [True, None, None]


async def test_a_check_of_no_incident_is_written_as_it_was_before_desks_were_told_apart(
    crowd: Aboard,
):
    await crowd.give(await crowd.raise_complaint(), "cinema", "k")
    (issued,) = [one for one in await crowd.facts("compensation") if "code" in one]
    assert "at_desk" not in issued


def test_an_incidents_check_of_which_nothing_is_said_is_in_nobodys_list():
    """As a fact was written before, so that a rebuild makes of it what there was."""
    path = ROOT / "shared/contracts/examples/recovery.check.issued.v1.json"
    example = json.loads(path.read_text(encoding="utf-8"))["data"]
    before = CheckIssued.model_validate({**example, "incident_id": "in-1"})
    assert stands(Check.model_validate_json(before.model_dump_json())) == {}
    said = CheckIssued.model_validate(
        {**example, "incident_id": "in-1", "at_desk": True, "day": "2026-06-03"}
    )
    mine = checks_of_day_set(said.site, said.employee_id, "2026-06-03")
    assert list(stands(Check.model_validate_json(said.model_dump_json()))) == [mine]


# ---- on the spot ---------------------------------------------------------------------------------


async def spot(aboard: Aboard, key: str = "s", item: str = "cinema", **more):
    log = {"text": "An hour for a table.", "customer": "cabin-7112", "severity": "moderate"}
    wish = {"on_the_spot": {**log, **more}, "item": item, "reason": "delay"}
    return await aboard.post("checks", key, wish)


async def test_what_is_given_on_the_spot_becomes_a_complaint_by_itself(aboard: Aboard):
    check = (await spot(aboard, contact={"email": "kari@example.org"})).json()
    again = await spot(aboard, contact={"email": "kari@example.org"})
    assert again.json() == check
    await aboard.carry()
    async with aboard.http("complaints") as phone:
        complaint = (await phone.get(f"/v1/complaints/{check['complaint_id']}")).json()
    assert (complaint["text"], complaint["category"], complaint["employee_id"], complaint["state"]) == (
        "An hour for a table.", "delay", "e-ingrid", "claimed",
    )  # fmt: skip
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert check["code"] in letter.body
    said = [fact for name in aboard.apps for fact in await aboard.facts(name)]
    assert "hour for a table" not in str(said)
    assert "cabin-7112" not in str(said)


async def test_a_customer_is_the_same_on_the_spot_and_their_history_is_shown(aboard: Aboard):
    await spot(aboard)
    await spot(aboard, "t", "onboard-credit/5000")
    found = (await aboard.get("options?customer=cabin-7112")).json()
    assert [gift["item"] for gift in found["history"]] == ["onboard-credit/5000", "cinema"]
    assert found["options"]
    assert (await aboard.get("options?customer=cabin-1")).json()["history"] == []
    nobody = (await aboard.get("options")).json()
    assert nobody["history"] == []
    assert nobody["options"], "what may be given at all, before anybody is asked for"


@pytest.fixture
async def spent(tmp_path) -> Aboard:
    """A site that has nothing left today but words; three complaints make an incident."""
    limits = demo_policy().limits.model_dump(mode="json")
    return await Aboard(
        tmp_path, changed(small_incidents(), limits={**limits, "site": {"per_day": 1_00}})
    ).begin()


async def looked_at(aboard: Aboard, complaint_id: str) -> dict:
    async with aboard.http("complaints") as phone:
        return (await phone.get(f"/v1/complaints/{complaint_id}")).json()


async def test_what_does_not_fit_on_the_spot_is_a_complaint_all_the_same_and_once(spent: Aboard):
    """INV-04: whatever fits, it reaches triage."""
    refused = await spot(spent)
    assert (refused.status_code, refused.json()["bound_by"]) == (409, Scope.SITE_DAY)
    again = await spot(spent)
    assert again.content == refused.content
    about = refused.json()["complaint_id"]
    smaller = {"complaint_id": about, "item": "sincere-words", "reason": "delay"}
    given = await spent.post("checks", "smaller", smaller)
    assert (given.status_code, given.json()["complaint_id"]) == (201, about)
    await spent.carry()
    assert (await spent.types("compensation")).count("complaint.logged") == 1
    assert (await spent.types("complaints")).count("complaint.received") == 1
    complaint = await looked_at(spent, about)
    assert (complaint["text"], complaint["state"]) == ("An hour for a table.", "claimed")
    told = (await spent.get(f"checks?complaint={about}")).json()["checks"]
    assert [check["check_id"] for check in told] == [given.json()["check_id"]]


async def test_a_refusal_on_the_spot_that_was_forgotten_is_no_second_complaint(spent: Aboard):
    await spot(spent)
    kept = spent.stores["compensation"].kept
    (answer,) = [key for key in kept.documents if key.startswith("answer:")]
    del kept.documents[answer]
    again = await spot(spent)
    assert (again.status_code, again.json()["type"]) == (422, Reason.IDEMPOTENCY_KEY_REUSED)
    assert (await spent.types("compensation")).count("complaint.logged") == 1


async def test_whoever_got_nothing_on_the_spot_is_told_by_when_they_hear_from_us(spent: Aboard):
    contact = {"email": "kari@example.org"}
    await spot(spent, contact=contact)
    await spot(spent, "words", "sincere-words", contact=contact)
    await spent.carry()
    queued = [one for one in await spent.facts("notifier") if "occasion" in one]
    assert [one["occasion"] for one in queued] == ["acknowledgement", "check_given"]
    assert queued[0]["complaint_id"] != queued[1]["complaint_id"]


async def test_many_who_get_nothing_on_the_spot_are_an_incident(spent: Aboard):
    for number in range(3):
        assert (await spot(spent, f"s{number}", customer=f"cabin-{number}")).status_code == 409
    await spent.carry()
    assert (await the_incident(spent))["reason"] == "delay"


@pytest.mark.parametrize(
    "wish",
    [
        {"item": "cinema", "reason": "food"},
        {"item": "cinema", "reason": "food", "complaint_id": "co-1", "on_the_spot": {"text": "x"}},
        {"item": "cinema", "on_the_spot": {"text": "x"}},
        {"item": "cinema", "reason": "food", "on_the_spot": {"text": ""}},
        {"item": "cinema", "reason": "food", "on_the_spot": {"text": "x", "contact": {"fax": "1"}}},
        {"item": "cinema", "reason": "food", "incident_id": "in-1", "on_the_spot": {"text": "x"}},
    ],
)
async def test_a_wish_is_about_one_thing_and_has_a_reason(aboard: Aboard, wish):
    answer = await aboard.post("checks", "k", wish)
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)


# ---- the law and safety --------------------------------------------------------------------------


async def test_two_hours_for_cold_soup_are_no_cancelled_departure(aboard: Aboard):
    """Also where an employee gives for the delay: the law about journeys is not about a meal."""
    complaint = await aboard.raise_complaint(text="We waited two hours for cold soup.")
    found = (await aboard.get(f"options?complaint={complaint}")).json()
    assert (found["reason"], found["regime"], found["information"]) == ("food", None, None)
    wish = {"reason": "delay", "item": "cinema"}
    check = (await aboard.give(complaint, key="k", **wish)).json()
    assert (check["regime"], check["information"]) == (None, None)
    due = await aboard.give(complaint, key="d", **wish, basis="statutory", consent=True)
    assert (due.status_code, due.json()["type"]) == (422, Reason.NO_REGIME)
    log = {"on_the_spot": {"text": "An hour for a table."}, **wish}
    assert (await aboard.post("checks", "s", log)).json()["information"] is None


async def test_an_employee_who_knows_what_was_late_says_so(aboard: Aboard):
    """The words of the complaint, or a word on the spot, do not always tell."""
    complaint = await aboard.raise_complaint(text="Two hours, and nobody told us why!")
    wish = {"reason": "delay", "item": "cinema", "service": "departure"}
    assert (await aboard.give(complaint, key="k", **wish)).json()["regime"] == "ship-delay"
    log = {"on_the_spot": {"text": "Two hours on the quay."}, **wish}
    told = (await aboard.post("checks", "s", log)).json()
    assert told["regime"] == "ship-delay"
    await aboard.carry()
    triaged = [one for one in await aboard.facts("complaints") if "triaged" in one["type"]]
    assert triaged[-1]["service"] == "departure"
    again = (await aboard.get(f"options?complaint={told['complaint_id']}")).json()
    assert again["regime"] == "ship-delay"
    items = {"items": ["dinner-for-two", "cinema"], "reason": "delay", "again": True}
    offer = {**items, "complaint_id": complaint, "service": "departure"}
    assert (await aboard.post("offers", "o", offer)).json()["regime"] == "ship-delay"


async def test_what_the_law_says_is_attached_in_the_customers_language(aboard: Aboard):
    complaint = await aboard.raise_complaint(text="Bussen var tre timer forsinket.", language="nb")
    found = (await aboard.get(f"options?complaint={complaint}")).json()
    assert found["regime"] is not None
    check = (await aboard.give(complaint, "cinema", "k", reason="delay")).json()
    assert check["regime"] == found["regime"]
    assert check["information"] == found["information"]


@pytest.mark.parametrize(
    ("item", "more", "status"),
    [
        ("cinema", {}, 409),
        ("cinema", {"consent": True}, 201),
        ("excursion-refund/50000", {}, 201),
        ("cinema", {"consent": True, "reason": "food"}, 422),
    ],
)
async def test_something_else_than_the_cash_that_is_due_needs_recorded_consent(
    aboard: Aboard, item, more, status
):
    complaint = await aboard.raise_complaint(text="The ferry was three hours late.")
    wish = {"reason": "delay", "basis": "statutory", **more}
    answer = await aboard.give(complaint, item, "k", **wish)
    assert answer.status_code == status, answer.text
    if status == 201:
        issued = (await aboard.facts("compensation"))[-1]
        assert (issued["basis"], issued.get("consent", False)) == (
            "statutory",
            more.get("consent", False),
        )


@pytest.mark.parametrize("item", ["cinema", "taxfree-card/100000"])
async def test_somebodys_safety_is_told_to_those_who_must_know_and_nobody_is_asked(
    aboard: Aboard, item
):
    complaint = await aboard.raise_complaint()
    for number in range(2):
        await aboard.give(complaint, "taxfree-card/100000", f"k{number}", "e-jonas")
    answer = await aboard.give(complaint, item, "k", "e-jonas", safety="allergy", again=True)
    assert answer.status_code == (201 if item == "cinema" else 409)
    noted = [f for f in await aboard.facts("compensation") if f["type"].endswith("safety.noted.v1")]
    assert [fact["safety"] for fact in noted] == ["allergy"]


# ---- staff and days ------------------------------------------------------------------------------


async def test_a_personnel_system_lists_an_employee_who_may_give_at_once(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    new = aboard.bearer("e-new")
    assert (await aboard.get("me/authority", new)).json()["type"] == Reason.UNKNOWN_EMPLOYEE
    listing = {"site": "ms-aurora", "listing": {"role": "reception"}}
    async with aboard.http("compensation", aboard.bearer(**PERSONNEL)) as hr:
        key = {"Idempotency-Key": "h"}
        assert (await hr.put("/v1/employees/e-new", json=listing, headers=key)).status_code == 200
        elsewhere = {**listing, "site": "ms-borealis"}
        foreign = await hr.put(
            "/v1/employees/e-x", json=elsewhere, headers={"Idempotency-Key": "i"}
        )
    assert foreign.status_code == 404
    assert (await aboard.give(complaint, "cinema", "k", "e-new")).status_code == 201
    employee = await aboard.post("checks", "x", {}, aboard.bearer(**PERSONNEL))
    assert employee.json()["type"] in (Reason.FORBIDDEN, Reason.SCHEMA_INVALID)


async def test_who_checks_in_is_on_shift_and_may_stand_in_for_a_colleague(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    aboard.later(hours=12)  # four in the morning: Noor and Mikkel by roster

    async def colleague(key: str) -> str | None:
        for number in range(3):
            answer = await aboard.give(
                complaint, "taxfree-card/100000", f"{key}{number}", "e-jonas"
            )
            if answer.status_code == 409:
                return answer.json()["colleague_id"]
        raise AssertionError

    assert await colleague("a") in {"e-noor", "e-mikkel"}
    for number, gone in enumerate(("e-noor", "e-mikkel")):
        listing = {"site": SITE, "listing": {"role": "deck", "active": False}}
        async with aboard.http("compensation", aboard.bearer("hr", "personnel")) as hr:
            key = {"Idempotency-Key": f"gone-{number}"}
            assert (await hr.put(f"/v1/employees/{gone}", json=listing, headers=key)).is_success
    assert await colleague("b") is None
    sofia = aboard.bearer("e-sofia")
    assert (await aboard.post("me/shift", "in", {"hours": 4}, sofia)).status_code == 200
    assert await colleague("c") == "e-sofia"
    assert (await aboard.post("me/shift/end", "out", None, sofia)).status_code == 200
    assert await colleague("d") is None


async def test_the_day_is_counted_when_it_ends_and_the_next_one_opens(aboard: Aboard):
    first, second = [await aboard.raise_complaint(n, customer=f"g{n}") for n in range(2)]
    aboard.later(minutes=3)
    await aboard.give(first, "cinema", "a")
    await aboard.give(first, "cinema", "b")
    aboard.later(days=1)
    await aboard.ring("compensation")
    facts = await aboard.facts("compensation")
    (closed,) = [fact for fact in facts if fact["type"].endswith("window.closed.v1")]
    assert {
        name: closed[name]
        for name in ("complaints", "complaints_with_check", "checks", "waited_s", "used_minor", "employees_idle")
    } == {
        "complaints": 2, "complaints_with_check": 1, "checks": 2, "waited_s": 180,
        "used_minor": 180_00, "employees_idle": closed["employees"] - 1,
    }  # fmt: skip
    assert (await aboard.types("compensation")).count("window.opened") == 2
    assert second not in str(closed)


async def test_after_an_outage_every_day_between_is_counted(aboard: Aboard):
    aboard.later(days=3)
    for _ in range(4):
        await aboard.ring("compensation")
    facts = await aboard.facts("compensation")
    assert [fact["day"] for fact in facts if fact["type"].endswith("window.closed.v1")] == [
        "2026-06-03",
        "2026-06-04",
        "2026-06-05",
    ]


async def test_a_day_that_is_rung_twice_still_ends_tomorrow(aboard: Aboard):
    """By a process that lost its lease and woke up."""
    kept = aboard.stores["compensation"].kept
    due = kept.timers["window|ms-aurora"]
    aboard.later(days=1)
    ring = aboard.apps["compensation"].on_timer["window"]
    await ring("ms-aurora", due)
    before = dict(kept.timers)
    await ring("ms-aurora", due)
    assert kept.timers == before
    assert kept.timers["window|ms-aurora"] > due


async def test_a_colleague_who_just_gave_something_is_told_of_without_a_word_about_them(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    await aboard.give(complaint, "cinema", "a")
    second = await aboard.give(complaint, "cinema", "b", "e-sofia")
    assert (second.status_code, second.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)
    assert "ingrid" not in second.text
    meant = await aboard.give(complaint, "cinema", "c", "e-sofia", again=True)
    assert meant.status_code == 201
    aboard.later(minutes=10)
    assert (await aboard.give(complaint, "cinema", "d", "e-lars")).status_code == 201


# ---- reading -------------------------------------------------------------------------------------


async def test_my_checks_are_listed_a_page_at_a_time_newest_first(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    given = []
    for n in range(5):
        given.append((await aboard.give(complaint, "sincere-words", f"k{n}")).json()["check_id"])
        aboard.later(seconds=1)
    seen, cursor = [], ""
    while True:
        page = (await aboard.get(f"checks?limit=2{cursor}")).json()
        seen += [check["check_id"] for check in page["checks"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == given[::-1]
    assert len((await aboard.get(f"checks?complaint={complaint}")).json()["checks"]) == 5
    yesterday = (await aboard.get("checks?cursor=2026-06-02")).json()
    assert yesterday == {"checks": [], "next": None}
    for of in ("", f"complaint={complaint}&"):
        given_here = (await aboard.get(f"checks?{of}limit=1")).json()["next"]
        wrong = [
            "x.y",
            "20260602",
            "2026-06-02.",
            "2026-06-02.0",
            given_here[:-1],
            given_here + "x",
        ]
        for one in wrong:
            answer = (await aboard.get(f"checks?{of}cursor={one}")).json()
            assert answer["type"] == Reason.CURSOR_INVALID, one
    assert (await aboard.get("checks", aboard.bearer("e-sofia"))).json()["checks"] == []


async def test_a_screen_that_did_not_change_costs_a_phone_next_to_nothing(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    path = f"options?complaint={complaint}"
    first = await aboard.get(path)
    assert first.headers["content-encoding"] == "gzip"
    for refused in ("gzip;q=0", "br, GZIP ; q=0.0", "gzip;q=0, *"):
        plain = await aboard.get(path, **{"Accept-Encoding": refused})
        assert "content-encoding" not in plain.headers, refused
    same = await aboard.get(path, **{"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    given = await aboard.give(complaint, "cinema", "k")
    assert "content-encoding" not in given.headers, "an answer to a write is small"
    assert (await aboard.get(path, **{"If-None-Match": first.headers["etag"]})).status_code == 200


async def test_the_code_is_a_picture_for_who_gave_it_and_for_nobody_else(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "cinema", "k")).json()
    picture = await aboard.get(f"checks/{check['check_id']}/qr.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "<svg" in picture.text
    other = await aboard.get(f"checks/{check['check_id']}/qr.svg", aboard.bearer("e-sofia"))
    assert other.status_code == 404


async def test_the_examples_in_the_api_document_are_what_is_answered(aboard: Aboard):
    whole = aboard.apps["compensation"].api.openapi()

    def example(path: str, method: str, status: str) -> set[str]:
        content = whole["paths"][f"/v1/{path}"][method]["responses"][status]["content"]
        form = next(iter(content.values()))
        if "example" in form:
            return set(form["example"])
        schema = form["schema"].get("anyOf", [form["schema"]])[0]
        return set(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0])

    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    issued = (await aboard.give(complaint, "taxfree-card/20000", "k")).json()
    offered = (await aboard.post("offers", "o", wish)).json()
    refused = (
        await aboard.give(complaint, "excursion-refund/120000", "r", "e-jonas", again=True)
    ).json()
    for number in range(3):
        more = {"again": True}
        refused = (
            await aboard.give(complaint, "taxfree-card/100000", f"r{number}", "e-jonas", **more)
        ).json()
    till = aboard.bearer("taxfree", "till")
    reserved = (await aboard.post("redemptions", "t", {"code": issued["code"]}, till)).json()
    authority = (await aboard.get("me/authority")).json()
    options = (await aboard.get(f"options?complaint={complaint}")).json()
    of_a_percentage = {"percent", "bill_up_to_minor"}  # null here, which a document does not show
    assert example("checks", "post", "201") == set(issued) - of_a_percentage
    assert example("checks", "post", "409") == set(refused)
    assert example("offers", "post", "201") == set(offered)
    assert example("redemptions", "post", "200") == set(reserved)
    path = f"redemptions/{reserved['redemption_id']}/capture"
    captured = (await aboard.post(path, "c", {}, till)).json()
    assert example("redemptions/{redemption_id}/capture", "post", "200") == set(captured)
    assert example("me/authority", "get", "200") == set(authority)
    assert example("options", "get", "200") == set(options)


@pytest.mark.parametrize("service", ["complaints", "compensation"])
async def test_the_document_tells_what_every_write_needs_and_may_answer(aboard: Aboard, service):
    paths = aboard.apps[service].api.openapi()["paths"]
    writes = [
        operation
        for path, operations in paths.items()
        for method, operation in operations.items()
        # To find a complaint is a POST, because addresses are logged, and changes nothing. A webhook is
        # known by its signature and its own id: there is no caller to forbid and no key to send.
        if path.startswith("/v1/") and method != "get"
        if not path.startswith("/v1/webhooks/")
        if not path.endswith(("/find", "/search"))
    ]
    assert writes
    for write in writes:
        for status in ("400", "401", "403", "404", "422", "503"):
            assert PROBLEM in write["responses"][status]["content"]
            assert "application/json" not in write["responses"][status]["content"]
        headers = {
            one["name"]: one["required"] for one in write["parameters"] if one["in"] == "header"
        }
        assert headers.pop("Idempotency-Key") is True
        headers.pop("If-Match", None)  # of a write in place of what was read
        assert headers in ({}, {"Accept-Language": False}), "titles are in the caller's language"


async def test_the_document_calls_a_picture_one(aboard: Aboard):
    paths = aboard.apps["compensation"].api.openapi()["paths"]
    answer = paths["/v1/checks/{check_id}/qr.svg"]["get"]["responses"]["200"]
    assert list(answer["content"]) == ["image/svg+xml"]
