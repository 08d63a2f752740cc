"""Days and hours of a week by a site's clock: when somebody is there, and how time counts only then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
#: As far as time is counted: the longest that a policy promises.
AHEAD_MAX = timedelta(days=731)


#: Folders of the time zone database that are no regions: the same zones with other rules, one with leap seconds.
NO_REGIONS = frozenset({"posix", "right"})
#: What is wrong with a name, without the name: callers of an interface are told so, and whoever they are, what was sent
#: is not repeated.
NO_ZONE = "It is not the time zone of a place, such as Europe/Oslo"


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a place, by its IANA name such as Europe/Oslo, or UTC; raises ValueError for any other.

    The database has names without a region too. Some of them mean something else on each machine, such as `localtime`.
    """
    region, _, place = name.partition("/")
    if name != "UTC" and (not place or region in NO_REGIONS):
        raise ValueError(NO_ZONE)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):  # there is none of that name, or it is that of a folder
        raise ValueError(NO_ZONE) from None


class Weekday(StrEnum):
    """Days as ISO 8601 counts them."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


#: By the number that `date.weekday` gives a day.
WEEKDAYS = tuple(Weekday)


class Weekly(Protocol):
    """A time of some days of each week; over midnight if `ends` is not after `starts`."""

    @property
    def days(self) -> Collection[Weekday]:
        """Days on which it begins."""
        ...

    @property
    def starts(self) -> time:
        """Local time at which it begins."""
        ...

    @property
    def ends(self) -> time:
        """Local time at which it ends."""
        ...


def covers(weekly: Weekly, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a moment lies in a weekly time."""
    today = now.astimezone(zone).date()
    return any(
        begins <= now < ends
        for on in (today - DAY, today)
        for begins, ends in _begun([weekly], zone, on)
    )


def spans(
    hours: Sequence[Weekly], zone: ZoneInfo, start: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """When weekly times begin and end from `start` on, in order and apart, for as long as time is counted."""
    first, reached = start.astimezone(zone).date() - DAY, start
    for number in range(AHEAD_MAX.days + 2):
        on = first + number * DAY
        for begins, ends in sorted(_begun(hours, zone, on)):
            if ends > reached:
                yield max(begins, reached), ends
                reached = ends


def _begun(
    hours: Iterable[Weekly], zone: ZoneInfo, on: date
) -> Iterator[tuple[datetime, datetime]]:
    """When the weekly times begin and end that begin on a day."""
    for one in hours:
        if WEEKDAYS[on.weekday()] in one.days:
            last = on if one.ends > one.starts else on + DAY
            begins = datetime.combine(on, one.starts, tzinfo=zone).astimezone(UTC)
            yield begins, datetime.combine(last, one.ends, tzinfo=zone).astimezone(UTC)


def after(
    duration: timedelta, hours: Sequence[Weekly], zone: ZoneInfo, start: datetime
) -> datetime:
    """The moment at which a duration from `start` is over that counts only in these hours; all count without any."""
    if not hours:
        return start + duration
    left = duration
    for begins, ends in spans(hours, zone, start):
        if left <= ends - begins:
            return begins + left
        left -= ends - begins
    return start + AHEAD_MAX


def between(start: datetime, end: datetime, hours: Sequence[Weekly], zone: ZoneInfo) -> timedelta:
    """How much of the time from `start` to `end` lies in these hours; all of it without any."""
    if not hours:
        return max(end - start, timedelta(0))
    found = timedelta(0)
    for begins, ends in spans(hours, zone, start):
        if begins >= end:
            break
        found += min(ends, end) - begins
    return found
