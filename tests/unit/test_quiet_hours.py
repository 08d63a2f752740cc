"""Nobody is woken by a letter that can wait: it goes once, at the first minute after the quiet hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from operator import add
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.notifier.messages.rules import Message, State, defer, message_deferred, not_sent
from services.notifier.preferences.quiet import quiet_until
from shared.contracts.complaints import Language
from shared.contracts.notifier import MessageDeferred, MessageDelayed, Occasion
from shared.contracts.policy import QuietHours, Retry
from shared.contracts.reasons import Reason
from shared.runtime.words import say
from tests.suites.services import Aboard
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import changed, english, fates, flat, last, link_in, settled
from tests.unit.test_preferences import choose

OSLO, NEW_YORK = ZoneInfo("Europe/Oslo"), ZoneInfo("America/New_York")
NIGHT = QuietHours(starts=time(22), ends=time(7))
SHORT = QuietHours(starts=time(22), ends=time(2, 30))
#: The clock of the tests begins at 16:00 in Oslo, in these hours.
AFTERNOON = {"starts": "13:00", "ends": "23:00"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        (OSLO, "2026-07-01T21:59:59+02:00", None),
        (OSLO, "2026-07-01T22:00:00+02:00", "2026-07-02T07:00:00+02:00"),
        (OSLO, "2026-07-02T06:59:59+02:00", "2026-07-02T07:00:00+02:00"),
        (OSLO, "2026-07-02T07:00:00+02:00", None),
        # It is morning in Oslo when it is night in New York.
        (NEW_YORK, "2026-07-02T07:00:00+02:00", "2026-07-02T07:00:00-04:00"),
        # Nights in which clocks go forward and back.
        (OSLO, "2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"),
        (OSLO, "2026-10-24T23:00:00+02:00", "2026-10-25T07:00:00+01:00"),
        (NEW_YORK, "2026-03-07T23:00:00-05:00", "2026-03-08T07:00:00-04:00"),
        (NEW_YORK, "2026-10-31T23:00:00-04:00", "2026-11-01T07:00:00-05:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_customers_wall(zone, now, until):
    """Case 41."""
    assert quiet_until(NIGHT, zone, at(now)) == (until and at(until))


@pytest.mark.parametrize(
    ("zone", "evening", "first"),
    [
        (OSLO, "2026-03-28T23:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        (NEW_YORK, "2026-03-07T23:00:00-05:00", "2026-03-08T03:00:00-04:00"),
    ],
)
def test_where_half_past_two_is_missing_the_first_minute_there_is_after_it_counts(
    zone, evening, first
):
    """Case 41: clocks go from 02:00 to 03:00."""
    until = quiet_until(SHORT, zone, at(evening))
    assert until == at(first)
    assert quiet_until(SHORT, zone, until) is None
    assert quiet_until(SHORT, zone, until - timedelta(seconds=1)) == until


def test_where_half_past_two_comes_twice_a_message_of_the_evening_goes_at_the_first():
    """Case 41: clocks go from 03:00 back to 02:00; what is due in the second hour waits for its own half past two."""
    first, second = at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+01:00")
    assert quiet_until(SHORT, OSLO, at("2026-10-24T23:00:00+02:00")) == first
    assert quiet_until(SHORT, OSLO, first) is None
    assert quiet_until(SHORT, OSLO, at("2026-10-25T02:10:00+01:00")) == second


def test_hours_of_less_than_a_minute_end():
    """The end of those was looked for in steps of a minute, for ever."""
    short = QuietHours(starts=time(16, 23, 53), ends=time(16, 24, 50))
    until = at("2026-07-01T16:24:50+02:00")
    assert quiet_until(short, OSLO, at("2026-07-01T16:23:53+02:00")) == until
    assert quiet_until(short, OSLO, until) is None


def test_a_message_goes_where_the_clock_is_set_back_out_of_the_hours():
    """Clocks go from 03:00 back to 02:00, which is not quiet."""
    quiet = QuietHours(starts=time(2, 30), ends=time(3, 30))
    set_back = at("2026-10-25T02:00:00+01:00")
    assert quiet_until(quiet, OSLO, at("2026-10-25T02:45:00+02:00")) == set_back
    assert quiet_until(quiet, OSLO, set_back) is None


def test_hours_that_end_in_the_missing_hour_end_where_the_clock_is_set_out_of_them():
    """Clocks go from 02:00 to 03:00."""
    quiet = QuietHours(starts=time(1, 30), ends=time(2, 15))
    assert quiet_until(quiet, OSLO, at("2026-03-29T01:45:00+01:00")) == at(
        "2026-03-29T03:00:00+02:00"
    )


def is_quiet(quiet: QuietHours, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the clock on the wall shows a time in the hours."""
    shown = now.astimezone(zone).time()
    if quiet.starts < quiet.ends:
        return quiet.starts <= shown < quiet.ends
    return not quiet.ends <= shown < quiet.starts


CLOCKS = st.times().map(lambda one: one.replace(microsecond=0))
#: Clocks are set by an hour, by half an hour (Lord Howe), and at midnight (Santiago).
ZONES = (
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
)
#: Moments of 2026, and some close to where clocks are set.
MOMENTS = st.one_of(
    st.integers(0, 365 * 86_400),
    *(
        st.integers(-86_400, 7200).map(
            partial(add, int((at(when) - at("2026-01-01T00:00Z")).total_seconds()))
        )
        for when in (
            "2026-03-29T01:00Z",
            "2026-10-25T01:00Z",
            "2026-03-08T07:00Z",
            "2026-11-01T06:00Z",
            "2026-04-04T15:00Z",
            "2026-10-03T15:30Z",
            "2026-04-05T03:00Z",
            "2026-09-06T04:00Z",
        )
    ),
)


@settings(max_examples=300, deadline=None)
@given(starts=CLOCKS, length=st.integers(1, 86_399), zone=st.sampled_from(ZONES), second=MOMENTS)
def test_all_is_quiet_until_the_end_and_the_end_is_not(starts, length, zone, second):
    ends = (datetime.combine(date(2026, 1, 1), starts) + timedelta(seconds=length)).time()
    quiet, where = QuietHours(starts=starts, ends=ends), ZoneInfo(zone)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    until = quiet_until(quiet, where, now)
    assert (until is not None) == is_quiet(quiet, where, now)
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
        assert not is_quiet(quiet, where, until)
        between = range(
            0, int((until - now).total_seconds()), max(1, int((until - now).total_seconds()) // 100)
        )
        assert all(is_quiet(quiet, where, now + timedelta(seconds=one)) for one in between)
        assert is_quiet(quiet, where, until - timedelta(seconds=1))


@pytest.mark.parametrize("zone", [OSLO, NEW_YORK])
@pytest.mark.parametrize("quiet", [NIGHT, SHORT, QuietHours(starts=time(2, 15), ends=time(2, 45))])
def test_every_quiet_minute_of_a_year_ends_within_a_day_at_one_that_is_not_quiet(zone, quiet):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for step in range(0, 366 * 24 * 60, 7):
        now = start + timedelta(minutes=step)
        until = quiet_until(quiet, zone, now)
        if until is not None:
            assert now < until <= now + timedelta(hours=25)
            assert quiet_until(quiet, zone, until) is None
            assert quiet_until(quiet, zone, until - timedelta(minutes=1)) is not None


@pytest.mark.parametrize(
    "hours",
    [
        {"starts": "22:00", "ends": "22:00"},
        {"starts": "22:00Z", "ends": "07:00"},
        {"starts": "22:00", "ends": "07:00+02:00"},
    ],
)
def test_quiet_hours_without_an_end_or_with_a_zone_are_refused(hours):
    with pytest.raises(ValidationError):
        changed(quiet_hours=hours)


async def test_a_letter_that_can_wait_goes_once_when_the_quiet_hours_end(tmp_path: Path):
    """Case 41."""
    aboard = await Aboard(tmp_path, changed(quiet_hours=AFTERNOON)).begin()
    name = await english(aboard)
    await do(aboard, name, "ask", question="Which lift was it?")
    letters = len(aboard.postbox.letters)
    await settled(aboard)
    (waits,) = [f for f in await aboard.facts("notifier") if f["type"] == MessageDeferred.TYPE]
    assert waits["reason"] == Reason.QUIET_HOURS
    aboard.clock.moment = at(waits["due_at"]) - timedelta(seconds=1)
    await settled(aboard)
    assert len(aboard.postbox.letters) == letters
    aboard.later(seconds=1)
    await settled(aboard)
    assert len(aboard.postbox.letters) == letters + 1
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == ["sent"]


async def test_the_sites_quiet_hours_keep_no_answer_back_until_its_promise_is_broken(
    tmp_path: Path,
):
    aboard = await Aboard(tmp_path, changed(quiet_hours=AFTERNOON)).begin()
    name = await english(aboard)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]


@pytest.mark.parametrize(("minutes", "late"), [(0, True), (5 * 60, False)])
async def test_an_answer_that_waited_for_the_customers_own_hours_says_why_it_comes_late(
    aboard: Aboard, minutes: int, late: bool
):
    """The promise is for four hours later, and the hours that the customer chose end after it."""
    name = await english(aboard)
    hours = {"starts": "13:00", "ends": "23:00"}
    assert (await choose(aboard, link_in(last(aboard), "p"), **hours)).status_code < 400
    aboard.later(minutes=minutes)
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["queued"]
    aboard.later(hours=8)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.RESOLUTION_TOLD] == ["sent"]
    waited = say(Language.EN, "letter.resolution_told.waited")
    assert (waited in flat(last(aboard))) is late


async def test_who_is_awake_is_answered_in_quiet_hours(tmp_path: Path):
    """Case 41: what is critical, and what answers the customer, goes at once."""
    aboard = await Aboard(tmp_path, changed(quiet_hours=AFTERNOON)).begin()
    await aboard.raise_complaint(text="I slipped and broke my arm.", language="en")
    await settled(aboard)
    found = await fates(aboard)
    assert found[Occasion.ACKNOWLEDGEMENT] == ["sent"]
    assert set(found[Occasion.SAFETY]) == {"sent"}


async def test_what_is_not_true_any_more_in_the_morning_is_not_sent(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(quiet_hours=AFTERNOON)).begin()
    name = await english(aboard)
    await do(aboard, name, "ask", question="Which lift was it?")
    await settled(aboard)
    await do(aboard, name, "answer", answer="The one by the pool.")
    aboard.later(hours=12)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == [Reason.NO_LONGER_TRUE]


def test_the_deadline_of_retries_counts_from_when_a_message_is_due():
    """A reminder that is due in a week has its retries then."""
    now = datetime(2026, 7, 8, 12, tzinfo=UTC)
    message = Message(
        complaint_id="co-1",
        customer_ref="cu-1",
        site="ms-aurora",
        occasion=Occasion.FEEDBACK_ASKED,
        language=Language.NB,
        about="ch-1",
        state=State.ATTEMPTED,
        queued_at=now - timedelta(days=7),
        due_at=now,
        attempt=1,
    )
    retry = Retry(within=timedelta(days=3))
    (fact,) = not_sent(message, "me-1", Reason.MAIL_UNAVAILABLE, retry, now).facts
    assert isinstance(fact, MessageDelayed)
    morning = now + timedelta(days=5)
    (waits,) = defer(message, "me-1", Reason.QUIET_HOURS, morning).facts
    assert isinstance(waits, MessageDeferred)
    later = message_deferred(message, waits)
    assert (later.state, later.next_at, later.told_at) == (State.ATTEMPTED, morning, morning)
    (fact,) = not_sent(later, "me-1", Reason.MAIL_UNAVAILABLE, retry, morning).facts
    assert isinstance(fact, MessageDelayed)
