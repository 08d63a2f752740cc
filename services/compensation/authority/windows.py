"""Windows of authority: shift, day and week as the site's clock has them.

Begins and ends are compared as moments, never as wall times. When clocks go back, an hour is repeated,
but no day begins twice. When they go forward, a day due to begin in the missing hour begins after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.contracts.compensation import Scope
from shared.contracts.policy import BudgetWindow, Policy

DAY = timedelta(days=1)


WEEK = timedelta(days=7)


#: Windows kept, by site and policy version; a cache that is full is cleared.
REMEMBERED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """A window by name, and when the next one begins."""

    id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows a moment lies in."""

    shift: Window
    day: Window
    week: Window

    def of(self, scope: Scope) -> Window:
        """The window in which an employee's authority of this scope counts."""
        found = {
            Scope.EMPLOYEE_SHIFT: self.shift,
            Scope.EMPLOYEE_DAY: self.day,
            Scope.EMPLOYEE_WEEK: self.week,
        }
        return found[scope]

    def of_budget(self, lasts: BudgetWindow) -> Window:
        """The window in which a budget that lasts so long counts."""
        found = {
            BudgetWindow.SHIFT: self.shift,
            BudgetWindow.DAY: self.day,
            BudgetWindow.WEEK: self.week,
        }
        return found[lasts]

    @property
    def ends_first(self) -> datetime:
        """When the first of them ends; until then these remain the current windows."""
        return min(self.shift.until, self.day.until, self.week.until)


def windows_of(policy: Policy, now: datetime) -> Windows:
    """Shift, day and week of a site at a moment."""
    zone = ZoneInfo(policy.timezone)
    starts = policy.authority.day_starts
    on, _, until = _latest((starts,), zone, now)
    shift_on, began, shift_until = _latest(policy.authority.shifts_start or (starts,), zone, now)
    monday = on - timedelta(days=on.weekday())
    year, week, _ = on.isocalendar()
    return Windows(
        # Named by the time it began and not numbered: a later policy may drop an earlier shift.
        shift=Window(f"{shift_on.isoformat()}/{began:%H%M}", shift_until),
        day=Window(on.isoformat(), until),
        week=Window(f"{year}-W{week:02}", datetime.combine(monday + WEEK, starts, tzinfo=zone)),
    )


class KnownWindows:
    """The windows of sites, kept while they last: many decisions share them."""

    def __init__(self) -> None:
        #: By site and policy version, with the moment from which they hold.
        self._found: dict[tuple[str, int], tuple[Policy, datetime, Windows]] = {}

    def at(self, policy: Policy, version: int, now: datetime) -> Windows:
        """The windows of a moment under a version of a policy."""
        known, since, windows = self._found.get((policy.site, version), (None, now, None))
        # Two policies that were published at once may have one version.
        if windows is None or known is not policy or not since <= now < windows.ends_first:
            if len(self._found) >= REMEMBERED_MAX:
                self._found.clear()
            windows = windows_of(policy, now)
            self._found[policy.site, version] = policy, now, windows
        return windows


def stay_of(policy: Policy, day: Window, began: date | None) -> Window | None:
    """The current stay of a customer whose latest began on `began`; None if stays never end."""
    days = policy.limits.customer.stay_days
    if days is None:
        return None
    lasts, today = timedelta(days=days), date.fromisoformat(day.id)
    first = began if began is not None and today < began + lasts else today
    zone = ZoneInfo(policy.timezone)
    until = datetime.combine(first + lasts, policy.authority.day_starts, tzinfo=zone)
    return Window(first.isoformat(), until)


def _latest(starts: Sequence[time], zone: ZoneInfo, now: datetime) -> tuple[date, time, datetime]:
    """The business date, when the window began by the site's clock, and when the next one begins."""
    today = now.astimezone(zone).date()
    begun: tuple[date, time] | None = None
    for on in (today - DAY, today, today + DAY, today + 2 * DAY):
        for start in sorted(starts):
            begins = datetime.combine(on, start, tzinfo=zone)
            if begins.astimezone(UTC) > now:
                assert begun is not None, "yesterday's first window began before now"
                return (*begun, begins)
            begun = (on, start)
    raise AssertionError("tomorrow's window begins after now")
