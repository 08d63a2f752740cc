"""Values derived from employees are shown of five employees or more, of closed days, and never change then.

Nothing can be subtracted from such values. A day of fewer employees is left out of every sum that it would be
part of, so no sum and its parts show what was left out. A value is shown when its day is closed and does not
change afterwards, so no two answers differ by what one employee did.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zlib import crc32

#: Fewer employees would know each other's part of a value: the number that works councils ask for, and the same
#: as of a trial of a policy.
EMPLOYEES_MIN = 5
#: How many marks a day has for its employees. Two employees may have one mark, so that the number of marks is at
#: most the number of employees: with five of them all marks differ in 72 of 100 days, with seven there are five
#: marks in 99.
MARKS = 32
#: How long after its end a day is closed: longer than most outages, and still in the
#: morning in Europe. A record that comes later counts in the day on which it is recorded.
CLOSED_AFTER = timedelta(hours=6)
#: How long after that it is shown: what was decided before, by whichever clock, is committed or refused by then.
SHOWN_AFTER = timedelta(minutes=15)


def mark_of(who: str) -> int:
    """The mark of an employee, who is given by pseudonym."""
    return crc32(who.encode()) % MARKS


def are_enough(marks: Iterable[int]) -> bool:
    """Whether marks are of five employees at least."""
    return len(set(marks)) >= EMPLOYEES_MIN


def closed_at(day: date) -> datetime:
    """When a day (UTC) is closed."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1) + CLOSED_AFTER


def is_closed(day: date, now: datetime) -> bool:
    """Whether a day (UTC) is closed, so that nothing counts in it any more."""
    return now >= closed_at(day)


def shown_from(day: date) -> datetime:
    """From when on values of a day (UTC) that are derived from employees may be shown."""
    return closed_at(day) + SHOWN_AFTER


def may_be_shown(day: date, now: datetime) -> bool:
    """Whether values of a day (UTC) that are derived from employees may be shown."""
    return now >= shown_from(day)


def day_of(moment: datetime) -> date:
    """The day (UTC) of a moment."""
    return moment.astimezone(UTC).date()


def counted_on(at: datetime, recorded_at: datetime) -> date:
    """The day in which what happened at `at` counts for employees: its own day unless that was closed."""
    own = day_of(at)
    return day_of(recorded_at) if is_closed(own, recorded_at) else own
