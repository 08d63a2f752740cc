"""Finds the stretches of a site that may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from services.audit.measures.handlers import Measured
from services.audit.measures.privacy import day_of, may_be_shown
from services.audit.signals.rules import Given
from services.audit.stretches.rules import Stretch, stretches_set
from shared.kernel import score_at
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View

#: Days whose stretches are listed: later praise would be for something that nobody remembers.
RECENT_DAYS = 28
#: Stretches that are listed at most: an evening's reading.
LISTED_MAX = 50


class Listed(NamedTuple):
    """A stretch, and the day (UTC) on which it was given."""

    day: date
    check_id: str
    stretch: Stretch


class Stretches:
    """The stretches of a site that may be shown."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    async def listed(self, site: str, view: View) -> Sequence[Listed]:
        """The recent stretches that were not taken back, the latest day in front; raises Unavailable.

        Of days that are closed and on which five employees or more gave something: each stretch is of one of five.
        Within a day they are sorted by id, as the order of their times would help to tell who gave them.
        """
        found = await _recent(site, view)
        shown = await self._measured.of_enough(site, {one.day for one in found}, view)
        await view.prefetch([Given.key(one.check_id) for one in found])
        kept = []
        for one in found:
            given = await view.get(Given, one.check_id)
            if one.day in shown and (given is None or not given.voided):
                kept.append(one)
        return sorted(kept, key=lambda one: (-one.day.toordinal(), one.check_id))[:LISTED_MAX]


async def _recent(site: str, view: View) -> Sequence[Listed]:
    """The stretches of the latest days that are closed."""
    last = day_of(view.now)
    while not may_be_shown(last, view.now):
        last -= timedelta(days=1)
    end = datetime.combine(last + timedelta(days=1), time(), UTC)
    page = await view.range(Stretch, stretches_set(site), Cursor(-score_at(end), ""), RANGE_MAX)
    found = [
        Listed(day_of(one.given_at), check_id, one)
        for check_id, one in page.documents
        if one.given_at is not None
    ]
    return [one for one in found if one.day > last - timedelta(days=RECENT_DAYS)]
