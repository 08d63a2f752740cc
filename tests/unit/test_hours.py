"""Time that counts only while somebody is at the site."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.complaints import Category, Severity
from shared.contracts.hours import AHEAD_MAX, Weekday, after, between, covers
from shared.contracts.policy import OpenTime, Policy
from tests.suites.services import demo_policy

OSLO = ZoneInfo("Europe/Oslo")
HOUR = timedelta(hours=1)
WORKDAYS = tuple(Weekday)[:5]
SHOP = OpenTime(days=WORKDAYS, starts=time(10), ends=time(18))
NIGHT = OpenTime(starts=time(22), ends=time(6))


def oslo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO).astimezone(UTC)


def with_hours(*hours: dict[str, Any], **more: Any) -> Policy:
    written = demo_policy().model_dump(mode="json")
    return Policy.model_validate({**written, "hours": hours, **more})


@pytest.mark.parametrize(
    ("start", "hours", "over"),
    [
        ("2026-06-03T12:00", 2, "2026-06-03T14:00"),
        ("2026-06-03T17:00", 2, "2026-06-04T11:00"),
        ("2026-06-03T08:00", 2, "2026-06-03T12:00"),
        ("2026-06-05T17:00", 2, "2026-06-08T11:00"),  # over a weekend
        ("2026-06-06T12:00", 8, "2026-06-08T18:00"),
        ("2026-03-27T17:00", 2, "2026-03-30T11:00"),  # clocks go forward that weekend
    ],
)
def test_a_promise_counts_only_while_somebody_is_there(start: str, hours: int, over: str):
    assert after(hours * HOUR, [SHOP], OSLO, oslo(start)) == oslo(over)
    assert between(oslo(start), oslo(over), [SHOP], OSLO) == hours * HOUR


def test_a_night_goes_over_midnight_and_an_hour_that_two_times_share_counts_once():
    both = [NIGHT, OpenTime(starts=time(5), ends=time(7))]
    assert after(9 * HOUR, both, OSLO, oslo("2026-06-03T22:00")) == oslo("2026-06-04T07:00")
    assert after(10 * HOUR, both, OSLO, oslo("2026-06-03T22:00")) == oslo("2026-06-04T23:00")


def test_without_hours_all_time_counts_and_where_time_never_is_enough_the_longest_promise_holds():
    start = oslo("2026-06-03T22:00")
    assert after(HOUR, [], OSLO, start) == start + HOUR
    assert between(start, start - HOUR, [], OSLO) == timedelta(0)
    seldom = OpenTime(days=(Weekday.MON,), starts=time(10), ends=time(10, 1))
    assert after(timedelta(days=300), [seldom], OSLO, start) == start + AHEAD_MAX


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC)),
    minutes=st.integers(1, 10_000),
    hours=st.lists(st.sampled_from([SHOP, NIGHT]), max_size=2),
)
def test_what_is_counted_on_is_counted_back(start: datetime, minutes: int, hours: list[OpenTime]):
    """Also over the nights on which clocks change."""
    duration = timedelta(minutes=minutes)
    over = after(duration, hours, OSLO, start)
    assert over >= start + duration
    assert between(start, over, hours, OSLO) == duration
    last = over - timedelta(microseconds=1)
    assert not hours or any(covers(one, OSLO, last) for one in hours)


def test_the_customer_hears_from_us_before_they_leave():
    policy, now = demo_policy(), oslo("2026-06-03T12:00")
    by = policy.promised_by(Category.FOOD, Severity.MILD, now)
    assert by == now + 4 * HOUR
    soon, late, past = now + HOUR, now + 9 * HOUR, now - HOUR
    assert policy.promised_by(Category.FOOD, Severity.MILD, now, soon) == soon
    assert policy.promised_by(Category.FOOD, Severity.MILD, now, late) == by
    assert policy.promised_by(Category.FOOD, Severity.MILD, now, past) == by


def test_a_promise_that_waited_over_night_goes_on_with_the_open_time_that_was_left():
    policy = with_hours({"starts": "10:00", "ends": "18:00"})
    by = policy.promised_by(Category.FOOD, Severity.MILD, oslo("2026-06-03T15:00"))
    assert by == oslo("2026-06-04T11:00")
    since, now = oslo("2026-06-03T17:00"), oslo("2026-06-05T12:00")
    assert policy.goes_on_until(since, by, now) == oslo("2026-06-05T14:00")


def test_who_is_warned_is_warned_before_and_never_of_a_promise_that_is_shorter():
    policy, now = demo_policy(), oslo("2026-06-03T12:00")
    assert policy.warn_at(now + HOUR, now) == now + HOUR - timedelta(minutes=10)
    assert policy.warn_at(now + timedelta(minutes=10), now) is None
    assert policy.model_copy(update={"warn_before": None}).warn_at(now + HOUR, now) is None
