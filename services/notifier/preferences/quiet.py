"""When nobody is disturbed: pure rules, by the clock on the wall where the customer is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.notifier.subjects.rules import Story
from shared.contracts.lifecycle import State
from shared.contracts.notifier import Occasion
from shared.contracts.policy import QuietHours

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
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


def keeps_promise(occasion: Occasion, story: Story | None, until: datetime) -> bool:
    """Whether a message is the answer to a promise whose time is over before `until`, or is over already.

    Of closed cases only one that was taken for no complaint: in the others the customer was answered before.
    """
    if story is None or story.promised_by is None:
        return False
    answers = occasion in (Occasion.RESOLUTION_TOLD, Occasion.REFERRED) or (
        occasion is Occasion.CLOSED and story.state is State.NOT_A_COMPLAINT
    )
    return answers and story.promised_by < until


def quiet_until(quiet: QuietHours | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first moment after the quiet hours that `now` lies in; None if it lies in none.

    That is where the clock shows their end, or where it is set forward or back out of them.
    """
    until = now.astimezone(UTC)
    while quiet is not None and _covers(quiet, local := until.astimezone(zone)):
        on = local.date() if local.time() < quiet.ends else local.date() + DAY
        ends = until + (datetime.combine(on, quiet.ends) - local.replace(tzinfo=None))
        # If the clock is set before that, it does not show the end then; each turn goes on to where it is set.
        until = _clock_set(zone, until, ends) or ends
    return until if until > now else None


def _clock_set(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment at which the clock is set between two that are at most a day apart; None if it is not.

    No zone sets its clock twice in a day, and each does so at a whole second.
    """
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return None
    while end - start > SECOND:
        middle = start + (end - start) / 2
        if middle.astimezone(zone).utcoffset() == before:
            start = middle
        else:
            end = middle
    return end.replace(microsecond=0)


def _covers(quiet: QuietHours, local: datetime) -> bool:
    """Whether a local time lies in the quiet hours."""
    at = local.time()
    if quiet.starts < quiet.ends:
        return quiet.starts <= at < quiet.ends
    return at >= quiet.starts or at < quiet.ends
