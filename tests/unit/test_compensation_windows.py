"""Windows of authority: shift, day and week as the site's clock has them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.compensation.authority.windows import Window, stay_of, windows_of
from shared.contracts.hours import Weekday, covers
from shared.contracts.roster import Shift
from tests.suites.services import demo_policy

POLICY = demo_policy()
OSLO = POLICY.timezone


def starting(day_starts: str, *shifts: str):
    authority = POLICY.authority.model_copy(
        update={
            "day_starts": time.fromisoformat(day_starts),
            "shifts_start": tuple(time.fromisoformat(at) for at in shifts),
        }
    )
    return POLICY.model_copy(update={"authority": authority})


@pytest.mark.parametrize(
    ("moment", "day", "hours"),
    [
        ("2026-06-03T03:59:59.999+00:00", "2026-06-02", 24),  # a moment before six in Oslo
        ("2026-06-03T04:00:00+00:00", "2026-06-03", 24),
        ("2026-03-28T12:00:00+00:00", "2026-03-28", 23),  # clocks go forward that night
        ("2026-10-24T12:00:00+00:00", "2026-10-24", 25),
    ],
)
def test_the_day_begins_where_the_policy_says_also_when_clocks_change(moment, day, hours):
    found = windows_of(POLICY, datetime.fromisoformat(moment)).day
    assert found.id == day
    begins = datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=found.until.tzinfo)
    assert found.until.astimezone(UTC) - begins.astimezone(UTC) == timedelta(hours=hours)


def staying(days: int | None):
    customer = POLICY.limits.customer.model_copy(update={"stay_days": days})
    return POLICY.model_copy(
        update={"limits": POLICY.limits.model_copy(update={"customer": customer})}
    )


@pytest.mark.parametrize(
    ("began", "stay"),
    [
        (None, "2026-10-24"),  # nothing was ever given
        ("2026-10-17", "2026-10-24"),  # its seven days are over
        ("2026-10-18", "2026-10-18"),  # its last day
        ("2026-10-24", "2026-10-24"),
        ("2026-10-25", "2026-10-25"),  # from a site where tomorrow has begun
    ],
)
def test_a_stay_lasts_as_many_days_as_the_policy_says_from_what_was_first_given(began, stay):
    today = windows_of(POLICY, datetime(2026, 10, 24, 12, tzinfo=UTC)).day
    found = stay_of(staying(7), today, began and date.fromisoformat(began))
    assert found is not None
    assert found.id == stay
    first = date.fromisoformat(stay)
    until = found.until.replace(tzinfo=None)
    assert until == datetime.combine(first + timedelta(days=7), time(6))


def test_without_days_a_stay_never_ends():
    today = Window("2026-06-03", datetime(2026, 6, 4, 4, tzinfo=UTC))
    assert stay_of(staying(None), today, date(2020, 1, 1)) is None


def test_a_day_that_begins_in_the_hour_that_comes_twice_begins_once():
    policy = starting("02:30")
    first = windows_of(policy, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)).day
    again = windows_of(policy, datetime(2026, 10, 25, 1, 10, tzinfo=UTC)).day
    assert first.id == again.id == "2026-10-25"


def test_a_day_that_begins_in_the_hour_that_is_missing_begins_after_it():
    policy = starting("02:30")
    before = windows_of(policy, datetime(2026, 3, 29, 0, 59, tzinfo=UTC)).day
    after = windows_of(policy, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)).day
    assert (before.id, after.id) == ("2026-03-28", "2026-03-29")


def test_shifts_are_named_after_when_they_begin_and_without_any_the_day_is_one():
    night = datetime(2026, 6, 3, 1, 0, tzinfo=UTC)  # three in Oslo
    found = windows_of(starting("06:00", "06:00", "14:00", "22:00"), night).shift
    assert (found.id, found.until.isoformat()) == ("2026-06-02/2200", "2026-06-03T06:00:00+02:00")
    assert windows_of(starting("06:00"), night).shift.id == "2026-06-02/0600"
    # What the morning used is not charged to the afternoon when the morning is no shift any more.
    assert windows_of(starting("06:00", "14:00", "22:00"), night).shift.id == found.id


def test_a_week_begins_with_mondays_day_also_across_the_year():
    found = windows_of(POLICY, datetime(2027, 1, 1, 12, tzinfo=UTC)).week
    assert (found.id, found.until.isoformat()) == ("2026-W53", "2027-01-04T06:00:00+01:00")
    early_monday = windows_of(POLICY, datetime(2027, 1, 4, 4, tzinfo=UTC)).week
    assert early_monday.id == "2026-W53"


moments = st.datetimes(
    min_value=datetime(2026, 1, 1), max_value=datetime(2028, 1, 1), timezones=st.just(UTC)
)


@given(moments, st.times(), st.integers(1, 6 * 3600))
def test_windows_never_go_back_and_end_where_the_next_begins(moment, starts, seconds):
    """INV-01: an account that a window named once is never returned to."""
    policy = starting(starts.replace(microsecond=0).isoformat(), "06:00", "14:00", "22:00")
    now, later = windows_of(policy, moment), windows_of(policy, moment + timedelta(seconds=seconds))
    for one, next_one in ((now.day, later.day), (now.shift, later.shift), (now.week, later.week)):
        assert one.until > moment
        assert one.id <= next_one.id
        assert (one.id == next_one.id) == (moment + timedelta(seconds=seconds) < one.until)


@pytest.mark.parametrize(
    ("local", "inside"),
    [("2026-06-03T21:59", False), ("2026-06-03T22:00", True), ("2026-06-04T05:59", True), ("2026-06-04T06:00", False)],
)  # fmt: skip
def test_a_shift_over_midnight_belongs_to_the_day_it_began(local, inside):
    zone = windows_of(POLICY, datetime(2026, 6, 3, tzinfo=UTC)).day.until.tzinfo
    now = datetime.fromisoformat(local).replace(tzinfo=zone)
    wednesday = Shift(days=(Weekday.WED,), starts=time(22), ends=time(6))
    assert covers(wednesday, zone, now) is inside
