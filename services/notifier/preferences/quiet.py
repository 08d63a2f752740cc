"""When nobody is disturbed: pure rules, by the clock on the wall where the customer is."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.contracts.notifier import Occasion
from shared.contracts.policy import QuietHours

MINUTE = timedelta(minutes=1)
#: Messages that go at any hour. Somebody's safety cannot wait. The others answer what the customer, who is awake,
#: did a moment ago, bring the code that they use now, or tell of a change that may not be theirs.
AT_ONCE = frozenset(
    {
        Occasion.SAFETY,
        Occasion.CONFIRMATION,
        Occasion.CONTACT_CHANGED,
        Occasion.ACKNOWLEDGEMENT,
        Occasion.REOPENED,
        Occasion.THANKED,
        Occasion.CHECK_GIVEN,
    }
)
#: Messages that wait for no digest either, however much a customer was told in a day. Besides those of any hour: we say
#: first that a promise is broken, a case waits for the answer to a question, an offer may end before the next day, and no till takes what was withdrawn.
CRITICAL = AT_ONCE | {
    Occasion.PROMISE_BROKEN,
    Occasion.QUESTION_ASKED,
    Occasion.CHECK_OFFERED,
    Occasion.CHECK_WITHDRAWN,
    Occasion.DIGEST,
}


def quiet_until(quiet: QuietHours | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first minute after the quiet hours that `now` lies in; None if it lies in none."""
    local = now.astimezone(zone)
    if quiet is None or not _covers(quiet, local.time()):
        return None
    # `fold` stays, so that of two hours of one name the end lies in the one that is running.
    ends = datetime.combine(local, quiet.ends, tzinfo=zone).replace(fold=local.fold)
    if quiet.ends <= local.time():
        ends += timedelta(days=1)
    until = ends.astimezone(UTC)
    # In a night in which clocks go forward there may be no such time: then the first that there is after it.
    while not _covers(quiet, (until - MINUTE).astimezone(zone).time()):
        until -= MINUTE
    return until


def _covers(quiet: QuietHours, at: time) -> bool:
    """Whether a local time lies in the quiet hours."""
    if quiet.starts < quiet.ends:
        return quiet.starts <= at < quiet.ends
    return at >= quiet.starts or at < quiet.ends
