"""What nobody used: every shift, day and week is counted when it ends, once."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.compensation.authority.windows import windows_of
from services.compensation.usage.rules import SLICE, TIMERS, OpenWindow, has_ended, opened
from shared.contracts.compensation import AuthorityOpened, Scope, WindowOpened
from shared.contracts.policy import ANY_ROLE, Policy, PolicyPublished
from shared.runtime.engine.transaction import body_of
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard, demo_policy

SHIFTS = ("06:00", "14:00", "22:00")
SHIFT, WEEK = f"window:{SITE}|employee_shift", f"window:{SITE}|employee_week"


def site(
    *, shifts: tuple[str, ...] = SHIFTS, without: tuple[str, ...] = (), **changes: Any
) -> Policy:
    """The demo's policy with other shifts, and without some ceilings."""
    body = demo_policy().model_dump(mode="json") | changes
    body["authority"]["shifts_start"] = list(shifts)
    for role in body["authority"]["roles"].values():
        for ceiling in without if role is not None else ():
            role.pop(ceiling, None)
    return Policy.model_validate(body)


async def publish(aboard: Aboard, version: int, policy: Policy) -> None:
    head = PolicyPublished(site=policy.site, version=version, policy=policy)
    await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, version)])


async def until_quiet(aboard: Aboard) -> None:
    """Ring until no timer of a window is due; one that is due for ever fails here."""
    kept = aboard.stores["compensation"].kept
    for _ in range(200):
        now_ms = aboard.clock().timestamp() * 1000
        if not any(kept.timers.get(f"{timer}|{SITE}", now_ms + 1) <= now_ms for timer in TIMERS.values()):  # fmt: skip
            return
        await aboard.ring("compensation")
    raise AssertionError


async def counted(aboard: Aboard, scope: Scope) -> list[dict[str, Any]]:
    facts = await aboard.facts("compensation")
    return [
        fact
        for fact in facts
        if fact["type"].endswith("authority.counted.v1") and fact["scope"] == scope
    ]


async def windows(aboard: Aboard, scope: Scope) -> list[str]:
    return [fact["window"] for fact in await counted(aboard, scope)]


async def days(aboard: Aboard) -> list[str]:
    facts = await aboard.facts("compensation")
    return [fact["day"] for fact in facts if fact["type"].endswith("window.closed.v1")]


def an_older_build(aboard: Aboard) -> None:
    """What it would have left: a day that is open, and nothing of shifts and weeks."""
    kept = aboard.stores["compensation"].kept
    for gone in (SHIFT, WEEK):
        del kept.documents[gone]
    for timer in ("shift", "week"):
        del kept.timers[f"{timer}|{SITE}"]


@pytest.fixture
async def autumn(tmp_path) -> Aboard:
    """In the evening before clocks go back in Oslo: ten at night there, as the night shift begins."""
    aboard = Aboard(tmp_path)
    aboard.clock.moment = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
    return await aboard.begin()


async def test_a_shift_is_counted_when_it_ends_of_those_whose_role_has_a_ceiling_for_it(
    aboard: Aboard,
):
    complaint = await aboard.raise_complaint()
    assert (await aboard.give(complaint, "cinema", "a", "e-sofia")).status_code == 201
    assert (await aboard.give(complaint, "cinema", "b", "e-ingrid", again=True)).status_code == 201
    aboard.later(hours=6)  # ten at night
    await aboard.ring("compensation")
    (shift,) = await counted(aboard, Scope.EMPLOYEE_SHIFT)
    assert shift == {
        "type": "recovery.authority.counted.v1", "site": SITE, "scope": "employee_shift",
        "window": "2026-06-03/1400", "currency": "NOK", "employees": 2, "employees_idle": 1,
        "ceiling_minor": 2 * 2500_00, "used_minor": 90_00, "counted_at": shift["counted_at"],
    }  # fmt: skip
    assert await days(aboard) == []


async def test_a_week_is_counted_when_its_last_day_ends(aboard: Aboard):
    aboard.later(days=4)
    await until_quiet(aboard)
    complaint = await aboard.raise_complaint()
    await aboard.give(complaint, "cinema", "a", "e-ingrid")
    await aboard.give(complaint, "cinema", "b", "e-jonas", again=True)  # no ceiling for a week
    assert await counted(aboard, Scope.EMPLOYEE_WEEK) == []
    aboard.later(hours=14)  # six on Monday
    await until_quiet(aboard)
    (week,) = await counted(aboard, Scope.EMPLOYEE_WEEK)
    assert {**week, "type": "", "counted_at": ""} == {
        "type": "", "site": SITE, "scope": "employee_week", "window": "2026-W23",
        "currency": "NOK", "employees": 4, "employees_idle": 3,
        "ceiling_minor": 2 * (30000_00 + 16000_00), "used_minor": 90_00, "counted_at": "",
    }  # fmt: skip


async def test_a_night_shift_in_which_clocks_go_back_lasts_nine_hours(autumn: Aboard):
    complaint = await autumn.raise_complaint()
    autumn.later(hours=8, minutes=30)  # half past five
    await autumn.ring("compensation")
    assert await windows(autumn, Scope.EMPLOYEE_SHIFT) == []
    assert (await autumn.give(complaint, "cinema", "a", "e-sofia")).status_code == 201
    autumn.later(minutes=30)
    await autumn.ring("compensation")
    (night,) = await counted(autumn, Scope.EMPLOYEE_SHIFT)
    assert (night["window"], night["used_minor"]) == ("2026-10-24/2200", 90_00)


async def test_after_an_outage_every_shift_and_week_between_is_counted_once(autumn: Aboard):
    autumn.later(days=2, hours=12)  # Tuesday morning
    await until_quiet(autumn)
    assert await windows(autumn, Scope.EMPLOYEE_SHIFT) == [
        "2026-10-24/2200",
        "2026-10-25/0600", "2026-10-25/1400", "2026-10-25/2200",
        "2026-10-26/0600", "2026-10-26/1400", "2026-10-26/2200",
    ]  # fmt: skip
    assert await days(autumn) == ["2026-10-24", "2026-10-25", "2026-10-26"]
    assert await windows(autumn, Scope.EMPLOYEE_WEEK) == ["2026-W43"]


async def test_where_no_role_has_a_ceiling_for_a_shift_or_week_nothing_is_said_of_them(tmp_path):
    aboard = await Aboard(tmp_path, site(without=("per_shift", "per_week"))).begin()
    aboard.later(days=8)
    await until_quiet(aboard)
    assert len(await days(aboard)) == 8
    assert {kind for kind in await aboard.types("compensation")} == {
        "window.opened",
        "window.closed",
    }
    assert list(aboard.stores["compensation"].kept.timers) == [f"window|{SITE}"]


@pytest.mark.parametrize("how", ["the day ends", "a policy comes"])
async def test_a_site_of_an_older_build_counts_shifts_and_weeks_from_when(aboard: Aboard, how):
    an_older_build(aboard)
    if how == "a policy comes":
        await publish(aboard, 2, site())
    aboard.later(hours=23)  # three in the afternoon
    await until_quiet(aboard)
    before = ["2026-06-03/1400", "2026-06-03/2200"] if how == "a policy comes" else []
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == [*before, "2026-06-04/0600"]
    aboard.later(days=4)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_WEEK) == ["2026-W23"]


async def test_a_site_of_an_older_build_that_was_away_for_days_counts_the_shifts_since(
    aboard: Aboard,
):
    an_older_build(aboard)
    aboard.later(days=2)
    await until_quiet(aboard)
    assert (await windows(aboard, Scope.EMPLOYEE_SHIFT))[0] == "2026-06-04/0600"
    assert len(await windows(aboard, Scope.EMPLOYEE_SHIFT)) == 4


async def test_a_policy_of_other_shifts_lets_the_open_one_end_and_counts_what_follows(
    aboard: Aboard,
):
    aboard.later(hours=1)
    await publish(aboard, 2, site(shifts=("08:00", "20:00")))
    complaint = await aboard.raise_complaint()
    assert (await aboard.give(complaint, "cinema", "a", "e-sofia")).status_code == 201
    aboard.later(hours=22)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == ["2026-06-03/1400", "2026-06-03/2000"]


async def test_a_shift_that_was_counted_is_not_when_a_policy_leads_back_to_it(aboard: Aboard):
    """Where the day is one shift again, which began before the one that ends and was counted."""
    await publish(aboard, 2, site(shifts=("06:00",)))
    aboard.later(hours=6)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == []
    aboard.later(hours=8)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == ["2026-06-03/1400"]


async def test_a_policy_without_a_ceiling_ends_the_counting_and_one_with_it_begins_it_again(
    aboard: Aboard,
):
    await publish(aboard, 2, site(without=("per_shift",)))
    aboard.later(days=1)
    await until_quiet(aboard)
    kept = aboard.stores["compensation"].kept
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == []
    assert f"shift|{SITE}" not in kept.timers
    assert len(await days(aboard)) == 1
    await publish(aboard, 3, site())
    aboard.later(hours=7)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == ["2026-06-04/1400"]


async def test_a_ceiling_that_was_away_for_a_moment_changes_nothing(aboard: Aboard):
    for version, without in ((2, ("per_shift",)), (3, ())):
        await publish(aboard, version, site(without=without))
    aboard.later(hours=7)
    await until_quiet(aboard)
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == ["2026-06-03/1400"]


async def test_a_ship_that_sets_its_clock_back_counts_no_shift_twice(aboard: Aboard):
    await publish(aboard, 2, site(timezone="Europe/London"))
    for _ in range(20):
        aboard.later(hours=1, minutes=3)
        await until_quiet(aboard)
    found = await windows(aboard, Scope.EMPLOYEE_SHIFT)
    assert found == ["2026-06-03/1400", "2026-06-03/2200"]


async def test_a_shift_that_is_rung_twice_is_counted_once(aboard: Aboard):
    """By a process that lost its lease and woke up."""
    kept = aboard.stores["compensation"].kept
    due = kept.timers[f"shift|{SITE}"]
    aboard.later(hours=6)
    ring = aboard.apps["compensation"].on_timer["shift"]
    await ring(SITE, due)
    before = dict(kept.timers)
    await ring(SITE, due)
    assert kept.timers == before
    assert await windows(aboard, Scope.EMPLOYEE_SHIFT) == ["2026-06-03/1400"]


async def test_an_employee_who_is_gone_is_not_counted(aboard: Aboard):
    listing = {"site": SITE, "listing": {"role": "restaurant", "active": False}}
    async with aboard.http("compensation", aboard.bearer("hr", "personnel")) as hr:
        key = {"Idempotency-Key": "gone"}
        assert (await hr.put("/v1/employees/e-aino", json=listing, headers=key)).is_success
    aboard.later(hours=6)
    await until_quiet(aboard)
    (shift,) = await counted(aboard, Scope.EMPLOYEE_SHIFT)
    assert (shift["employees"], shift["ceiling_minor"]) == (1, 2500_00)


def test_facts_of_days_fold_to_what_they_always_did():
    (fold,) = SLICE.folds[WindowOpened]
    until = datetime(2026, 6, 4, 4, tzinfo=UTC)
    fact = WindowOpened(site=SITE, day="2026-06-03", until=until)
    assert fold.id(fact) == SITE
    assert fold.evolve is not None
    assert (
        body_of(fold.evolve(None, fact)) == b'{"day":"2026-06-03","until":"2026-06-04T04:00:00Z"}'
    )
    assert [(timer.name, timer.id, timer.due) for timer in SLICE.timers[WindowOpened](fact)] == [
        ("window", SITE, until)
    ]


def changed(zone: str, shifts: list[time], day_starts: time, *, has_shifts: bool) -> Policy:
    policy = demo_policy()
    roles = {
        ANY_ROLE: policy.authority_of(ANY_ROLE).model_copy(
            update={"per_shift": 1600_00 if has_shifts else None}
        )
    }
    authority = policy.authority.model_copy(
        update={"day_starts": day_starts, "shifts_start": tuple(shifts), "roles": roles}
    )
    return policy.model_copy(update={"timezone": zone, "authority": authority})


quarters = st.integers(0, 95).map(lambda number: time(number // 4, number % 4 * 15))
policies = st.builds(
    changed,
    # From the east of the date line to the west of it: 25 hours back.
    st.sampled_from(["Europe/Oslo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe"]),
    st.lists(quarters, max_size=4, unique=True),
    quarters,
    has_shifts=st.booleans(),
)  # fmt: skip


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.lists(policies, min_size=1, max_size=12),
    st.sampled_from([Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_SHIFT]),
)
def test_whatever_policies_do_no_window_is_counted_twice_and_every_end_is_later(
    moment, published, scope
):
    window, names, at = None, [], moment
    for policy in published:
        if window is not None and window.until is not None:
            at = window.until
            if has_ended(policy, scope, window.day, at):
                names.append(window.day)
        else:
            at += timedelta(minutes=1)
        for fact in opened(policy, scope, at, window):
            assert isinstance(fact, WindowOpened | AuthorityOpened)
            (fold,) = SLICE.folds[type(fact)]
            assert fold.evolve is not None
            window = OpenWindow.model_validate(fold.evolve(window, fact))
        assert window is None or window.until is None or window.until > at
    assert names == sorted(set(names))


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_while_a_policy_stays_every_shift_is_counted_and_none_between_is_left_out(moment):
    policy, window, names, expected = site(), None, [], []
    at = moment
    for _ in range(8):
        expected.append(windows_of(policy, at).shift.id)
        (fact,) = opened(policy, Scope.EMPLOYEE_SHIFT, at, window)
        window = OpenWindow(day=fact.window, until=fact.until)
        assert window.until is not None
        at = window.until
        assert has_ended(policy, Scope.EMPLOYEE_SHIFT, window.day, at)
        names.append(window.day)
    assert names == expected
    assert len(set(names)) == 8
