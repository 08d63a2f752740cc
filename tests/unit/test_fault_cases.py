"""The catalogue of faults, cases 1 to 19: authority, then repeats; each a sentence that holds.

Cases 2, 11 and 17 need two processes, a real store or a killed process: they are in
`tests/integration/test_races.py`, where 1, 9, 10 and 14 are run once more on the real thing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from services.compensation.app import build
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, Listing
from shared.testing.builders import record
from shared.testing.clock import Clock
from tests.suites.services import SITE, Aboard, YieldingStore, demo_policy, state

LIMIT = 1000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TITLE = dict.fromkeys(("nb", "sv", "da", "en"), "Any sum")
#: What a refusal may say: what binds, what fits, and a colleague; nobody to ask.
REFUSAL = {
    "type", "title", "status", "bound_by", "left", "alternatives", "colleague_id", "regime",
    "information", "complaint_id", "reachable",
}  # fmt: skip


def policy(authority: dict | None = None, **changes) -> Policy:
    """A thousand minor units a check and a day for everybody, and a thing to give of any cost."""
    plain = demo_policy().model_dump(mode="json")
    wide = {"per_check": LIMIT, "per_day": LIMIT}
    return Policy.model_validate(
        {
            **plain,
            "authority": {"day_starts": "06:00", "roles": {"any": wide}, **(authority or {})},
            "limits": {
                "customer": {"per_stay": 10**6, "checks_per_day": 20},
                "complaint": {"total": 10**6},
                "site": {"per_day": 10**6},
            },
            "checks": {
                **plain["checks"],
                "sum": {"kind": "money", "up_to": 10**6, "step": 1, "title": TITLE},
            },
            "incidents": None,
            **changes,
        }
    )


@pytest.fixture
async def aboard(tmp_path: Path) -> Aboard:
    return await Aboard(tmp_path, policy()).begin()


def another_process(
    aboard: Aboard, clock: Clock | None = None, script: tuple[int, ...] = (0,)
) -> httpx.AsyncClient:
    """A second compensation over the same store, with a clock of its own if it has one."""
    app = build(
        aboard.apps["compensation"].parts.settings,
        now=clock or aboard.clock,
        store=YieldingStore(aboard.stores["compensation"], script),
    )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app.api, raise_app_exceptions=False),
        base_url="http://test",
        # Whoever issues tokens has a clock too; an hour back, both processes take its token.
        headers={"Authorization": f"Bearer {aboard.bearer(now=aboard.clock() - HOUR)}"},
    )


async def ask(phone: httpx.AsyncClient, complaint: str, item: str, key: str) -> httpx.Response:
    wish = {"complaint_id": complaint, "item": item, "reason": "food"}
    return await phone.post("/v1/checks", json=wish, headers={"Idempotency-Key": key})


async def publish(aboard: Aboard, version: int, changed: Policy) -> None:
    fact = PolicyPublished(site=SITE, version=version, policy=changed)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(fact, version)])


async def issued(aboard: Aboard) -> list[dict]:
    facts = await aboard.facts("compensation")
    return [fact for fact in facts if fact["type"] == "recovery.check.issued.v1"]


async def spent(aboard: Aboard) -> int:
    """What e-ingrid's day holds, as the services say it."""
    scopes = (await aboard.get("me/authority")).json()["scopes"]
    (day,) = [one for one in scopes if one["scope"] == "employee_day"]
    assert day["left_minor"] == max(0, day["ceiling_minor"] - day["used_minor"])
    return day["used_minor"]


def till(aboard: Aboard) -> str:
    return aboard.bearer("till-1", "till")


async def reserve(aboard: Aboard, code: str, key: str, **more) -> httpx.Response:
    return await aboard.post("redemptions", key, {"code": code, **more}, till(aboard))


async def capture(aboard: Aboard, redemption: str, key: str) -> httpx.Response:
    return await aboard.post(f"redemptions/{redemption}/capture", key, {}, till(aboard))


# ---- authority ---------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [(0,), (1, 0, 3), (0, 2, 0, 0, 5, 1)])
async def test_of_two_hundred_grants_of_a_tenth_at_once_ten_are_accepted(aboard: Aboard, script):
    """Case 1: INV-01; 190 are refused with nothing left, and nobody ever reads less than nothing."""
    complaints = [await aboard.raise_complaint(n, text=f"Cold soup, table {n}.") for n in range(10)]
    phones = [another_process(aboard, script=script[n % 2 :]) for n in range(2)]
    looks: list[int] = []

    async def look() -> None:
        while len(looks) < 50:
            looks.append(await spent(aboard))

    *answers, _ = await asyncio.gather(
        *(ask(phones[n % 2], complaints[n % 10], "sum/100", f"k{n}") for n in range(200)), look()
    )
    assert Counter(one.status_code for one in answers) == {201: 10, 409: 190}
    for refused in (one.json() for one in answers if one.status_code == 409):
        assert refused["bound_by"] == "employee_day"
        left = {one["scope"]: one["left_minor"] for one in refused["left"]}
        assert left["employee_day"] == 0
        assert all(one >= 0 for one in left.values())
        assert [one["cost_minor"] for one in refused["alternatives"]] == [0]
    assert looks == sorted(looks)
    assert max(looks) <= LIMIT
    assert sum(one["cost_minor"] for one in await issued(aboard)) == await spent(aboard) == LIMIT
    for phone in phones:
        await phone.aclose()


async def test_a_grant_of_all_there_is_fits_and_of_one_minor_unit_more_does_not(aboard: Aboard):
    """Case 3: the answer says what still fits, and has no place for anybody to ask."""
    complaint = await aboard.raise_complaint()
    above = await aboard.give(complaint, f"sum/{LIMIT + 1}", "a")
    assert (above.status_code, above.json()["bound_by"]) == (409, "check")
    assert above.json().keys() == REFUSAL
    best = above.json()["alternatives"][0]
    assert (best["item"], best["why"]) == (f"sum/{LIMIT}", "smaller_wish")
    assert (await aboard.give(complaint, "sum/1", "b")).status_code == 201
    exact = await aboard.give(complaint, f"sum/{LIMIT - 1}", "c")
    assert exact.status_code == 201
    nothing = await aboard.give(complaint, "sum/1", "d")
    assert (nothing.status_code, nothing.json()["bound_by"]) == (409, "employee_day")
    assert [one["kind"] for one in nothing.json()["alternatives"]] == ["apology"]


NOT_AMOUNTS = ["0", "-100", "1e308", "0.30000000000000004", "1e3", "NaN", str(2**53 + 1), "100.00"]


@pytest.mark.parametrize("amount", [*NOT_AMOUNTS, "", " 1", "+1", "0x10", "٣", "1_000"])
async def test_what_is_no_amount_of_the_currency_is_refused_and_nothing_is_written(
    aboard: Aboard, amount
):
    """Case 4: in the name of what is given."""
    complaint = await aboard.raise_complaint()
    before = state(aboard.stores["compensation"])
    assert (await aboard.give(complaint, f"sum/{amount}", "k")).status_code == 422
    assert state(aboard.stores["compensation"]) == before


@pytest.mark.parametrize("amount", [*NOT_AMOUNTS, '"1e3"', '"100"', "true", "[]", "{}", "1e2"])
async def test_what_is_no_amount_is_refused_at_a_till_too_and_nothing_is_written(
    aboard: Aboard, amount
):
    """Case 4: as a number of JSON, also where it would be a whole one after rounding."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/500", "k")).json()
    before = state(aboard.stores["compensation"])
    body = f'{{"code": "{check["code"]}", "amount_minor": {amount}}}'
    headers = {"Idempotency-Key": "r", "Content-Type": "application/json"}
    async with aboard.http("compensation", till(aboard)) as phone:
        answer = await phone.post("/v1/redemptions", content=body, headers=headers)
    assert answer.status_code == 422
    assert state(aboard.stores["compensation"]) == before


async def test_another_currency_is_refused_and_limits_are_never_added_across_two(aboard: Aboard):
    """Case 5: a site that changes its currency begins at nothing in the new one."""
    complaint = await aboard.raise_complaint()
    wrong = await aboard.give(complaint, "sum/100", "a", currency="EUR")
    assert (wrong.status_code, wrong.json()["type"]) == (422, Reason.CURRENCY_UNKNOWN)
    assert await issued(aboard) == []
    assert (await aboard.give(complaint, f"sum/{LIMIT}", "b", currency="NOK")).status_code == 201
    assert (await aboard.give(complaint, "sum/1", "c")).status_code == 409
    await publish(aboard, 2, policy(currency="EUR"))
    assert (await aboard.give(complaint, "sum/1", "d", currency="NOK")).status_code == 422
    assert (await aboard.give(complaint, f"sum/{LIMIT}", "e", currency="EUR")).status_code == 201
    accounts = aboard.stores["compensation"].kept.accounts
    days = {name: n for name, n in accounts.items() if name.startswith("employee/")}
    assert sorted(name.split("/")[2] for name in days) == ["EUR", "NOK"]
    assert set(days.values()) == {LIMIT}


#: When Oslo's clocks go forward and back; the hour from 02:00 is missing, or there twice.
NIGHTS = {
    "an ordinary day": (datetime(2026, 6, 3, tzinfo=UTC), 24),
    "23 hours": (datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
    "25 hours": (datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
}


@pytest.mark.parametrize("starts", ["00:00", "02:30", "06:00"])
@pytest.mark.parametrize("night", NIGHTS)
async def test_whenever_the_clocks_change_a_day_of_authority_is_given_once_a_day(
    tmp_path: Path, night, starts
):
    """Case 6: asked for every quarter of an hour through five days, all of it fits once in each.

    A day that begins in the hour that is missing begins after it, one that begins in the hour that
    comes twice begins the first time.
    """
    began, hours = NIGHTS[night]
    aboard = Aboard(tmp_path, policy({"day_starts": starts}))
    await aboard.begin()
    complaint = await aboard.raise_complaint()
    aboard.clock.moment = began - 2 * DAY
    given: list[datetime] = []
    for n in range(4 * 24 * 5):
        if (await aboard.give(complaint, f"sum/{LIMIT}", f"k{n}")).status_code == 201:
            given.append(aboard.clock())
        aboard.later(minutes=15)
    lasted = [(until - since) / HOUR for since, until in pairwise(given[1:])]
    ordinary = [24.0] * (len(lasted) - 1)
    assert len(ordinary) >= 2
    assert sorted(lasted) == sorted([*ordinary, float(hours)])
    days = [one["day"] for one in await issued(aboard)]
    assert days == sorted(set(days))


@pytest.mark.parametrize("night", NIGHTS)
async def test_a_millisecond_before_midnight_is_the_old_day_and_midnight_is_the_new(
    tmp_path: Path, night
):
    """Case 6: 23:59:59.999 and 00:00:00.000 of the site's own clock."""
    midnight, _ = NIGHTS[night]
    aboard = Aboard(tmp_path, policy({"day_starts": "00:00"}, timezone=MIDNIGHT_IN[night]))
    await aboard.begin()
    complaint = await aboard.raise_complaint()
    aboard.clock.moment = midnight - timedelta(milliseconds=1)
    assert (await aboard.give(complaint, f"sum/{LIMIT}", "a")).status_code == 201
    assert (await aboard.give(complaint, "sum/1", "b")).status_code == 409
    aboard.later(milliseconds=1)
    assert await spent(aboard) == 0
    assert (await aboard.give(complaint, f"sum/{LIMIT}", "c")).status_code == 201
    assert (await aboard.give(complaint, "sum/1", "d")).status_code == 409


MIDNIGHT_IN = {
    "an ordinary day": "Etc/UTC",
    "23 hours": "Europe/Oslo",
    "25 hours": "Europe/Oslo",
}


async def test_processes_whose_clocks_differ_by_ten_minutes_never_overfill_a_day(tmp_path: Path):
    """Case 6: each process's own clock decides, five minutes fast and five slow.

    Weaker than one clock for all: while the clocks disagree about the day, an employee may have
    spent of both, one with each process. No day is ever overfilled, and both together hold no more
    than two days do.
    """
    aboard = Aboard(tmp_path, policy({"day_starts": "00:00"}, timezone="Etc/UTC"))
    aboard.clock.moment = datetime(2026, 6, 3, 23, 40, tzinfo=UTC)
    await aboard.begin()
    complaint = await aboard.raise_complaint()
    clocks = [Clock(aboard.clock() + timedelta(minutes=by)) for by in (5, -5)]
    phones = [another_process(aboard, clock) for clock in clocks]
    given = Counter()
    for n in range(40):
        for who, phone in enumerate(phones):
            answer = await ask(phone, complaint, "sum/300", f"{n}/{who}")
            given[who] += answer.status_code == 201
        for clock in clocks:
            clock.advance(timedelta(minutes=1))
    days = Counter()
    for one in await issued(aboard):
        days[one["day"]] += one["cost_minor"]
    assert days == {"2026-06-03": 900, "2026-06-04": 900}
    assert sum(given.values()) == 6
    for phone in phones:
        await phone.aclose()


async def test_a_limit_that_fell_below_what_is_spent_refuses_more_and_touches_nothing_old(
    aboard: Aboard,
):
    """Case 7: the next decision is under the new policy, the old checks are as good as before."""
    complaint = await aboard.raise_complaint()
    first, second = [(await aboard.give(complaint, "sum/300", key)).json() for key in "ab"]
    await publish(aboard, 2, policy({"roles": {"any": {"per_check": 100, "per_day": 400}}}))
    refused = (await aboard.give(complaint, "sum/1", "c")).json()
    assert refused["bound_by"] == "employee_day"
    assert {one["scope"]: one["left_minor"] for one in refused["left"]}["employee_day"] == 0
    assert await spent(aboard) == 600
    redeemed = await reserve(aboard, first["code"], "r", capture=True)
    assert (redeemed.status_code, redeemed.json()["amount_minor"]) == (200, 300)
    assert (await aboard.post(f"checks/{second['check_id']}/void", "v")).status_code == 200
    assert await spent(aboard) == 300
    assert (await aboard.give(complaint, "sum/100", "d")).status_code == 201
    assert [one["policy_version"] for one in await issued(aboard)] == [1, 1, 2]


@pytest.mark.parametrize("how", ["by the roster's file", "by the personnel system"])
async def test_an_employee_who_was_deactivated_gives_nothing_with_a_token_that_is_valid(
    aboard: Aboard, how
):
    """Case 8: between login and grant; whatever the token says."""
    complaint = await aboard.raise_complaint()
    token = aboard.bearer("e-jonas")
    wish = {"complaint_id": complaint, "item": "sum/1", "reason": "food"}
    check = (await aboard.post("checks", "a", wish, token)).json()
    listing = Listing(role="cabin-crew", active=False)
    aboard.later(seconds=1)
    if how == "by the personnel system":
        body = {"site": SITE, "listing": listing.model_dump(mode="json")}
        async with aboard.http("compensation", aboard.bearer("hr", "personnel")) as hr:
            put = await hr.put("/v1/employees/e-jonas", json=body, headers={"Idempotency-Key": "k"})
        assert put.status_code == 200
    else:
        fact = EmployeeListed(
            employee_id="e-jonas", site=SITE, listing=listing, listed_at=aboard.clock()
        )
        await aboard.feed("compensation", EmployeeListed.TOPIC, [record(fact, 1000)])
    before = state(aboard.stores["compensation"])
    for path, body in [
        ("checks", wish),
        ("offers", {"complaint_id": complaint, "items": ["sum/1", "cinema"], "reason": "food"}),
        (f"checks/{check['check_id']}/void", None),
        ("me/shift", {}),
        ("incidents", {"reason": "food"}),
    ]:
        refused = await aboard.post(path, "b", body, token)
        assert (refused.status_code, refused.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)
    assert (await aboard.get("me/authority", token)).status_code == 403
    assert state(aboard.stores["compensation"]) == before


async def test_a_deactivated_employee_takes_no_code_at_a_till_either(aboard: Aboard):
    """Case 8: an employee may stand in as a till, and is an employee there too."""
    complaint = await aboard.raise_complaint()
    code = (await aboard.give(complaint, "sum/100", "a")).json()["code"]
    aboard.later(seconds=1)
    fact = EmployeeListed(
        employee_id="e-jonas",
        site=SITE,
        listing=Listing(role="cabin-crew", active=False),
        listed_at=aboard.clock(),
    )
    await aboard.feed("compensation", EmployeeListed.TOPIC, [record(fact, 1000)])
    refused = await aboard.post("redemptions", "r", {"code": code}, aboard.bearer("e-jonas"))
    assert (refused.status_code, refused.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)


async def test_of_voids_at_once_one_counts_and_the_limit_is_given_back_once(aboard: Aboard):
    """Case 9."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    await aboard.give(complaint, "sum/500", "b")
    phones = [another_process(aboard, script=script) for script in ((0, 1), (2, 0, 1))]
    answers = await asyncio.gather(
        *(
            phones[n % 2].post(
                f"/v1/checks/{check['check_id']}/void", headers={"Idempotency-Key": f"v{n}"}
            )
            for n in range(8)
        )
    )
    assert Counter(one.status_code for one in answers) == {200: 1, 409: 7}
    assert await spent(aboard) == 500
    assert (await aboard.types("compensation")).count("check.voided") == 1
    assert (await reserve(aboard, check["code"], "r")).status_code == 409
    for phone in phones:
        await phone.aclose()


async def test_a_check_that_was_redeemed_or_is_held_is_not_voided(aboard: Aboard):
    """Case 9: INV-03; what is held may still be redeemed, so a void waits for the till."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    void = f"checks/{check['check_id']}/void"
    redemption = (await reserve(aboard, check["code"], "r")).json()["redemption_id"]
    assert (await aboard.post(void, "v1")).json()["type"] == Reason.CHECK_ENDED
    assert (await capture(aboard, redemption, "c")).status_code == 200
    assert (await aboard.post(void, "v2")).status_code == 409
    assert await spent(aboard) == 400


async def test_what_is_captured_after_a_void_comes_too_late(aboard: Aboard):
    """Case 9: INV-03; the hold ran out, the check was voided, then the till confirms."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    redemption = (await reserve(aboard, check["code"], "r")).json()["redemption_id"]
    aboard.later(minutes=10)
    assert (await aboard.post(f"checks/{check['check_id']}/void", "v")).status_code == 200
    late = await capture(aboard, redemption, "c")
    assert (late.status_code, late.json()["type"]) == (409, Reason.HOLD_GONE)
    await aboard.ring("compensation")
    assert (await capture(aboard, redemption, "d")).status_code == 409
    assert await spent(aboard) == 0


async def test_a_void_of_a_check_that_was_redeemed_in_part_gives_back_the_rest_once(aboard: Aboard):
    """Case 9: and what was redeemed before cannot be rolled back into nothing afterwards."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    part = (await reserve(aboard, check["code"], "r", amount_minor=150, capture=True)).json()
    assert (await aboard.post(f"checks/{check['check_id']}/void", "v")).status_code == 200
    assert await spent(aboard) == 150
    rollback = f"redemptions/{part['redemption_id']}/rollback"
    assert (await aboard.post(rollback, "b", None, till(aboard))).status_code == 409
    assert await spent(aboard) == 150


async def test_what_was_redeemed_stays_redeemed_once_the_checks_time_is_over(aboard: Aboard):
    """Case 9: the reverse of a redemption, too late for the check's own end to follow.

    Nothing could be redeemed any more, and no timer is left that would give authority back.
    """
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    redeemed = (await reserve(aboard, check["code"], "r", capture=True)).json()
    aboard.later(days=31)
    await aboard.ring("compensation")
    rollback = f"redemptions/{redeemed['redemption_id']}/rollback"
    late = await aboard.post(rollback, "b", None, till(aboard))
    found = (await aboard.get(f"checks/{check['check_id']}")).json()
    assert (late.status_code, late.json()["type"]) == (409, Reason.NOT_CAPTURED)
    assert found["state"] == "redeemed"


async def test_a_reservation_that_nobody_confirms_runs_out_once_and_is_not_confirmed_later(
    aboard: Aboard,
):
    """Case 10: also where its timer rings twice, in two processes."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    redemption = (await reserve(aboard, check["code"], "r")).json()["redemption_id"]
    assert (await reserve(aboard, check["code"], "s")).status_code == 409
    aboard.later(minutes=9, seconds=59)
    await aboard.ring("compensation")
    assert "redemption.cancelled" not in await aboard.types("compensation")
    aboard.later(seconds=1)
    late = await capture(aboard, redemption, "c")
    assert (late.status_code, late.json()["type"]) == (409, Reason.HOLD_GONE)
    await asyncio.gather(*(aboard.ring("compensation") for _ in range(3)))
    assert (await aboard.types("compensation")).count("redemption.cancelled") == 1
    assert (await capture(aboard, redemption, "d")).status_code == 409
    again = await reserve(aboard, check["code"], "t")
    assert (again.status_code, again.json()["amount_minor"]) == (200, 400)


async def test_authority_held_for_an_offer_that_nobody_takes_is_given_back_once(aboard: Aboard):
    """Case 10: what an employee holds for a customer's choice."""
    complaint = await aboard.raise_complaint()
    wish = {"complaint_id": complaint, "items": ["sum/600", "sum/200"], "reason": "food"}
    offer = (await aboard.post("offers", "o", wish)).json()["offer_id"]
    assert (await aboard.give(complaint, "sum/401", "a")).status_code == 409
    aboard.later(hours=23, minutes=59)
    await aboard.ring("compensation")
    assert "offer.lapsed" not in await aboard.types("compensation")
    aboard.later(minutes=1)
    late = await aboard.post(f"offers/{offer}/choice", "c", {"item": "sum/200"})
    assert (late.status_code, late.json()["type"]) == (409, Reason.OFFER_CLOSED)
    await asyncio.gather(*(aboard.ring("compensation") for _ in range(3)))
    assert (await aboard.types("compensation")).count("offer.lapsed") == 1
    assert (
        await aboard.post(f"offers/{offer}/choice", "d", {"item": "sum/200"})
    ).status_code == 409
    accounts = aboard.stores["compensation"].kept.accounts
    assert {name for name, n in accounts.items() if n and not name.startswith("tally/")} == set()


async def test_a_second_employee_hears_that_the_complaint_is_compensated_and_nothing_else(
    aboard: Aboard,
):
    """Case 12: one second apart. Said to be meant, it is given; so it is later, and by the first."""
    complaint = await aboard.raise_complaint()
    assert (await aboard.give(complaint, "sum/100", "a")).status_code == 201
    aboard.later(seconds=1)
    second = await aboard.give(complaint, "sum/100", "b", "e-jonas")
    assert second.status_code == 409
    assert second.json() == {
        "type": Reason.ALREADY_COMPENSATED,
        "title": "already compensated",
        "status": 409,
    }
    assert (await aboard.give(complaint, "sum/100", "c")).status_code == 201
    meant = await aboard.give(complaint, "sum/100", "b", "e-jonas", again=True)
    assert meant.status_code == 201
    apart = demo_policy().limits.complaint.apart
    aboard.clock.advance(apart - timedelta(milliseconds=1))
    assert (await aboard.give(complaint, "sum/100", "d", "e-sofia")).status_code == 409
    aboard.later(milliseconds=1)
    assert (await aboard.give(complaint, "sum/100", "d", "e-sofia")).status_code == 201


async def test_of_two_employees_at_the_same_instant_one_hears_that_it_is_compensated(
    aboard: Aboard,
):
    """Case 12: whichever commit comes first."""
    complaint = await aboard.raise_complaint()
    answers = await asyncio.gather(
        *(aboard.give(complaint, "sum/100", "k", who) for who in ("e-ingrid", "e-jonas", "e-lars"))
    )
    assert Counter(one.status_code for one in answers) == {201: 1, 409: 2}
    refused = [one.json()["type"] for one in answers if one.status_code == 409]
    assert refused == [Reason.ALREADY_COMPENSATED] * 2


async def test_of_twenty_one_small_grants_to_one_guest_the_last_is_refused_and_on_record(
    aboard: Aboard,
):
    """Case 13: however small, for whatever complaint, by whomever; the next day begins anew."""
    complaints = [
        await aboard.raise_complaint(n, text=f"Cold soup again, {n}.", customer="cabin-7112")
        for n in range(3)
    ]
    other = await aboard.raise_complaint(3, text="Cold soup too.", customer="cabin-7113")
    whom = ("e-ingrid", "e-jonas", "e-sofia", "e-lars")
    for n in range(21):
        last = await aboard.give(complaints[n % 3], "sum/1", f"k{n}", whom[n % 4], again=True)
        assert last.status_code == (201 if n < 20 else 409)
    assert last.json()["bound_by"] == "customer_checks"
    assert [one["kind"] for one in last.json()["alternatives"]] == ["apology"]
    refused = (await aboard.facts("compensation"))[-1]
    assert refused["type"] == "recovery.check.refused.v1"
    assert (refused["bound_by"], refused["employee_id"]) == ("customer_checks", whom[20 % 4])
    assert (await aboard.give(complaints[0], "sincere-words", "w", again=True)).status_code == 201
    assert (await aboard.give(other, "sum/1", "other")).status_code == 201
    aboard.later(days=1)
    assert (await aboard.give(complaints[0], "sum/1", "tomorrow")).status_code == 201


# ---- idempotency and repeats -------------------------------------------------------------------


async def test_fifty_posts_of_one_wish_at_once_are_one_check_and_one_answer(aboard: Aboard):
    """Case 14: INV-02; byte for byte, in two processes."""
    complaint = await aboard.raise_complaint()
    phones = [another_process(aboard, script=script) for script in ((0, 1), (3, 0, 1))]
    answers = await asyncio.gather(
        *(ask(phones[n % 2], complaint, "sum/400", "one-key") for n in range(50))
    )
    assert {one.status_code for one in answers} == {201}
    assert len({one.content for one in answers}) == 1
    assert sum("idempotency-replayed" not in one.headers for one in answers) == 1
    assert len(await issued(aboard)) == 1
    assert await spent(aboard) == 400
    for phone in phones:
        await phone.aclose()


@pytest.mark.parametrize("script", [(0, 1), (2, 0, 1), (0, 0, 3), (1, 4, 0)])
async def test_a_write_sent_twice_at_once_gets_its_first_answer_twice(aboard: Aboard, script):
    """Case 14: a till that asks again after a time-out is not told that the code is bad."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/400", "a")).json()
    phones = [another_process(aboard, script=one) for one in (script, (0, 1))]

    for step in ("suspend", "resume", "void"):
        path, headers = f"/v1/checks/{check['check_id']}/{step}", {"Idempotency-Key": step}
        answers = await asyncio.gather(*(phone.post(path, headers=headers) for phone in phones))
        assert [one.status_code for one in answers] == [200, 200], step
        assert answers[0].content == answers[1].content
    for phone in phones:
        await phone.aclose()


async def test_a_refusal_is_repeated_byte_for_byte_too_also_when_it_would_fit_by_now(
    aboard: Aboard,
):
    """Case 14: the answer of a key is the answer of its first post."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, f"sum/{LIMIT}", "a")).json()
    refused = await aboard.give(complaint, "sum/500", "b")
    await aboard.post(f"checks/{check['check_id']}/void", "v")
    again = await aboard.give(complaint, "sum/500", "b")
    assert (again.status_code, again.content) == (409, refused.content)
    assert (await aboard.give(complaint, "sum/500", "c")).status_code == 201


async def test_a_key_with_another_amount_is_refused_and_has_no_effect(aboard: Aboard):
    """Case 15."""
    complaint = await aboard.raise_complaint()
    first = await aboard.give(complaint, "sum/100", "k")
    before = state(aboard.stores["compensation"])
    for other in ({"item": "sum/101"}, {"again": True}, {"reason": "noise"}):
        wish = {"complaint_id": complaint, "item": "sum/100", "reason": "food", **other}
        refused = await aboard.post("checks", "k", wish)
        assert (refused.status_code, refused.json()["type"]) == (422, Reason.IDEMPOTENCY_KEY_REUSED)
    assert state(aboard.stores["compensation"]) == before
    assert (await aboard.give(complaint, "sum/100", "k")).content == first.content


async def test_the_same_key_of_another_employee_is_another_wish(aboard: Aboard):
    """Case 16: with nothing of the first one's answer."""
    complaint = await aboard.raise_complaint()
    first = await aboard.give(complaint, "sum/100", "k")
    second = await aboard.give(complaint, "sum/100", "k", "e-jonas", again=True)
    assert (first.status_code, second.status_code) == (201, 201)
    assert "idempotency-replayed" not in second.headers
    mine, other = first.json(), second.json()
    assert mine["check_id"] != other["check_id"]
    assert mine["code"] != other["code"]
    assert [one["employee_id"] for one in await issued(aboard)] == ["e-ingrid", "e-jonas"]


@pytest.mark.parametrize("how", ["a complaint", "on the spot"])
async def test_a_key_that_was_forgotten_gives_nothing_a_second_time(aboard: Aboard, how):
    """Case 18: the answer is kept 48 hours, the check it led to for ever.

    For a complaint the same check exists; on the spot the complaint does too.
    """
    if how == "a complaint":
        wish = {"complaint_id": await aboard.raise_complaint()}
    else:
        wish = {"on_the_spot": {"text": "Waited an hour.", "customer": "cabin-1"}}
    wish = {**wish, "item": "sum/100", "reason": "food"}
    first = await aboard.post("checks", "k", wish)
    assert first.status_code == 201
    aboard.later(days=3)
    kept = aboard.stores["compensation"].kept
    (answer,) = [key for key in kept.documents if key.startswith("answer:")]
    del kept.documents[answer]
    before = state(aboard.stores["compensation"])
    again = await aboard.post("checks", "k", wish)
    assert (again.status_code, again.json()["type"]) == (422, Reason.IDEMPOTENCY_KEY_REUSED)
    assert state(aboard.stores["compensation"]) == before
    assert len(await issued(aboard)) == 1


async def test_every_other_step_that_was_forgotten_happens_once_too(aboard: Aboard):
    """Case 18: offers, choices, holds, voids, after their answers are gone."""
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "sum/100", "a")).json()
    wish = {"complaint_id": complaint, "items": ["sum/300", "sum/200"], "reason": "food"}
    steps = [("offers", wish, None), ("redemptions", {"code": check["code"]}, till(aboard))]
    made = [await aboard.post(path, "k", body, who) for path, body, who in steps]
    choice = f"offers/{made[0].json()['offer_id']}/choice"
    taken = f"redemptions/{made[1].json()['redemption_id']}"
    steps += [
        (choice, {"item": "sum/200"}, None),
        (f"{taken}/capture", {}, till(aboard)),
    ]
    made += [await aboard.post(path, "k", body, who) for path, body, who in steps[2:]]
    steps.append((f"{taken}/rollback", None, till(aboard)))
    made.append(await aboard.post(*_args(steps[-1])))
    steps.append((f"checks/{check['check_id']}/void", None, None))
    made.append(await aboard.post(*_args(steps[-1])))
    assert {one.status_code for one in made} <= {200, 201}
    kept = aboard.stores["compensation"].kept
    for key in [key for key in kept.documents if key.startswith("answer:")]:
        del kept.documents[key]
    before = state(aboard.stores["compensation"])
    for one in steps:
        assert (await aboard.post(*_args(one))).status_code in (409, 422), one[0]
    assert state(aboard.stores["compensation"]) == before


def _args(step: tuple) -> tuple:
    path, body, who = step
    return path, "k", body, who


async def test_a_request_replayed_with_an_old_token_is_refused_and_with_a_valid_one_answered(
    aboard: Aboard,
):
    """Case 19: 401, then the stored answer; nothing is given again."""
    complaint = await aboard.raise_complaint()
    old = aboard.bearer(ttl_s=600)
    wish = {"complaint_id": complaint, "item": "sum/100", "reason": "food"}
    first = await aboard.post("checks", "k", wish, old)
    aboard.later(seconds=600 + 30)  # and what a token allows for clocks that differ
    replayed = await aboard.post("checks", "k", wish, old)
    assert (replayed.status_code, replayed.json()["type"]) == (401, Reason.UNAUTHENTICATED)
    answered = await aboard.post("checks", "k", wish, aboard.bearer())
    assert (answered.status_code, answered.content) == (201, first.content)
    assert answered.headers["idempotency-replayed"] == "true"
    assert len(await issued(aboard)) == 1
