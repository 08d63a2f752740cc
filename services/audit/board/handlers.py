"""Reads what a board shows; decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from services.audit.board.rules import (
    BROKEN_FOR,
    Answered,
    BoardDay,
    OpenIncident,
    Promise,
    broken_set,
    charged,
    incident_budget,
    incidents_set,
    promises_set,
    returned,
    site_budget,
    taken_back_set,
)
from services.audit.measures.declared import MEASURES, Figure, Measure
from services.audit.measures.handlers import Measured
from services.audit.measures.privacy import day_of, may_be_shown
from services.audit.signals.rules import Signal, open_signals_of
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import score_at
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.policies import Policies

#: Promises of each kind that a board lists: a screen.
LISTED_MAX = 20
#: A promise that ends so soon is at risk: time for one employee to call one guest.
SOON = timedelta(minutes=30)
#: That a promise was broken is known half a minute after its time, as a rule; until then it is listed among those that
#: end soon.
KNOWN_AFTER = timedelta(minutes=2)
#: What is usual is the average of so many days: four of each weekday.
USUAL_DAYS = 28
#: Authority is looked at over a week: each weekday once.
USE_DAYS = 7
#: How long what is of days before today is kept, in seconds: it changes with late records alone.
PAST_KEPT_S = 60.0
#: How long a whole board is kept for others who follow the same site, in seconds: less than the time between two
#: events of one stream.
BOARD_KEPT_S = 0.9
#: Boards that are kept: as many as there can be streams, and some more.
KEPT_MAX = 500


def _named(*names: str) -> tuple[Measure, ...]:
    return tuple(one for one in MEASURES if one.name in names)


TODAY = _named(
    "complaints",
    "checks_given",
    "checks_taken_back",
    "value_given",
    "cost_given",
    "time_to_compensation",
    "on_the_spot_rate",
    "overdue_promises",
    "helped_rate",
    "reopen_rate",
    "delivery_success",
    "messages_without_address",
)
CAUSES = _named("complaints")
UNDER_USE = _named("authority_utilisation", "non_use_rate")
OVER_USE = _named("limit_hit_rate", "stretch_rate")
ROI = _named("recovery_roi")


class Value(NamedTuple):
    """A value of a measure, and the days (UTC) that it is of."""

    figure: Figure
    since: date
    until: date


class Promises(NamedTuple):
    """Promises of a site that nobody kept yet, each with its complaint's id."""

    #: Those that end soon, the first in front.
    soon: Sequence[tuple[str, Promise]]
    #: Those that were broken lately, the latest in front.
    broken: Sequence[tuple[str, Promise]]
    #: Of customers from whom everything was taken back, the latest in front.
    taken_back: Sequence[tuple[str, Promise]]
    #: How many customers wait, those who are not listed too.
    waiting: int
    #: Whether more customers wait than were counted.
    more: bool


class Signals(NamedTuple):
    """Signals of a site that nobody dismissed."""

    open: int
    #: Whether there are more than were counted.
    more: bool


class Budget(NamedTuple):
    """What may be given, and what of it is used: given or held, and not come back."""

    granted_minor: int
    used_minor: int


class Past(NamedTuple):
    """What a board shows of days before today."""

    usual: Sequence[Value]
    under_use: Sequence[Value]
    over_use: Sequence[Value]
    roi: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything on the board of a site."""

    site: str
    policy: Policy
    today: Sequence[Value]
    past: Past
    promises: Promises
    incidents: Sequence[tuple[str, OpenIncident, Budget]]
    signals: Signals
    day: BoardDay | None
    budget: Budget


class Boards:
    """Boards of sites as they are now."""

    def __init__(
        self, measured: Measured, policies: Policies, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._measured = measured
        self._policies = policies
        self._ticks = ticks
        self._past: dict[tuple[str, date], tuple[float, Past]] = {}
        self._boards: dict[str, tuple[float, Shown]] = {}

    async def followed(self, site: str, view: View) -> Shown:
        """The board of a site, at most a second old: those who follow one site share what is read."""
        known = self._boards.get(site)
        if known is not None and self._ticks() < known[0]:
            return known[1]
        found = await self.board(site, view)
        if len(self._boards) >= KEPT_MAX:
            self._boards.clear()
        self._boards[site] = self._ticks() + BOARD_KEPT_S, found
        return found

    async def board(self, site: str, view: View) -> Shown:
        """The board of a site; raises Rejected(unknown_site), Unavailable."""
        policy, _ = await self._policies.at(site, view)
        today = day_of(view.now)
        day = await view.get(BoardDay, site)
        used = 0
        if day is not None:
            (used,) = await _used([site_budget(site, policy.currency, day.day)], view)
        return Shown(
            site,
            policy,
            await self._values(site, today, today, TODAY, view),
            await self._known_past(site, today, view),
            await promises(site, view),
            await incidents(site, view),
            await signals(site, view),
            day,
            Budget(policy.limits.site.per_day, used),
        )

    async def boards(self, sites: Sequence[str], view: View) -> tuple[Sequence[Shown], list[str]]:
        """The boards of sites, and those of the sites that have no policy; raises Unavailable."""
        found, without_policy = [], []
        for site in sites:
            try:
                found.append(await self.board(site, view))
            except Rejected as rejected:
                if rejected.reason is not Reason.UNKNOWN_SITE:
                    raise
                without_policy.append(site)
        return found, without_policy

    async def _known_past(self, site: str, today: date, view: View) -> Past:
        known = self._past.get((site, today))
        if known is not None and self._ticks() < known[0]:
            return known[1]
        found = await self._read_past(site, today, view)
        if len(self._past) >= KEPT_MAX:
            self._past.clear()
        self._past[site, today] = self._ticks() + PAST_KEPT_S, found
        return found

    async def _read_past(self, site: str, today: date, view: View) -> Past:
        yesterday = today - timedelta(days=1)
        before, week = timedelta(days=USUAL_DAYS), timedelta(days=USE_DAYS - 1)
        over = yesterday if may_be_shown(yesterday, view.now) else yesterday - timedelta(days=1)
        month = await self._values(site, today - before, yesterday, (*CAUSES, *ROI), view)
        return Past(
            usual=[one for one in month if one.figure.measure in CAUSES],
            under_use=await self._values(site, today - week, today, UNDER_USE, view),
            over_use=await self._values(site, over - week, over, OVER_USE, view),
            roi=[one for one in month if one.figure.measure in ROI],
        )

    async def _values(
        self, site: str, since: date, until: date, measures: Sequence[Measure], view: View
    ) -> Sequence[Value]:
        found = await self._measured.figures(site, since, until, view, measures=measures)
        return [Value(figure, since, until) for figure in found]


async def promises(site: str, view: View) -> Promises:
    """The promises of a site that nobody kept yet; raises Unavailable."""
    since = Cursor(score_at(view.now - KNOWN_AFTER), "")
    ahead = await view.range(Promise, promises_set(site), since, RANGE_MAX)
    behind = await view.range(Promise, broken_set(site), None, RANGE_MAX)
    lately = [one for one in behind.documents if one[1].is_after(view.now - BROKEN_FOR)]
    gone, more = await _taken_back(site, view)
    waiting = await _unanswered(ahead.documents, view)
    broken = await _unanswered(lately, view)
    empty_handed = await _unanswered(gone, view)
    soon = [one for one in waiting if not one[1].is_after(view.now + SOON)]
    return Promises(
        soon[:LISTED_MAX],
        broken[:LISTED_MAX],
        empty_handed[:LISTED_MAX],
        len({complaint_id for complaint_id, _ in (*waiting, *broken, *empty_handed)}),
        ahead.next is not None
        or (behind.next is not None and len(lately) == len(behind.documents))
        or more,
    )


async def _taken_back(site: str, view: View) -> tuple[Sequence[tuple[str, Promise]], bool]:
    """Open complaints of which a check was taken back lately, the latest in front, and whether there are more."""
    page = await view.range(Answered, taken_back_set(site), None, RANGE_MAX)
    since = view.now - BROKEN_FOR
    lately = [
        name for name, one in page.documents if one.taken_back_at and one.taken_back_at > since
    ]
    await view.prefetch([Promise.key(complaint_id) for complaint_id in lately])
    found = [(complaint_id, await view.get(Promise, complaint_id)) for complaint_id in lately]
    still = [(name, promise) for name, promise in found if promise is not None and promise.is_open]
    return still, page.next is not None and len(lately) == len(page.documents)


async def _unanswered(
    found: Sequence[tuple[str, Promise]], view: View
) -> Sequence[tuple[str, Promise]]:
    """Those whose customers were given or offered nothing since the promise was made."""
    await view.prefetch([Answered.key(complaint_id) for complaint_id, _ in found])
    answers = [await view.get(Answered, complaint_id) for complaint_id, _ in found]
    return [
        one
        for one, answer in zip(found, answers, strict=True)
        if answer is None or not answer.keeps(one[1])
    ]


async def incidents(site: str, view: View) -> Sequence[tuple[str, OpenIncident, Budget]]:
    """The open incidents of a site by id, each with its budget; raises Unavailable."""
    page = await view.range(OpenIncident, incidents_set(site), None, RANGE_MAX)
    names = [incident_budget(incident_id, one.currency) for incident_id, one in page.documents]
    used = await _used(names, view)
    return [
        (incident_id, one, Budget(one.budget_minor, amount))
        for (incident_id, one), amount in zip(page.documents, used, strict=True)
    ]


async def signals(site: str, view: View) -> Signals:
    """How many signals of a site nobody dismissed; raises Unavailable."""
    page = await view.range(Signal, open_signals_of(site), None, RANGE_MAX)
    return Signals(len(page.documents), page.next is not None)


async def _used(budgets: Sequence[str], view: View) -> Sequence[int]:
    """What is used of each budget: charged, and not come back."""
    found = await view.balances([of(budget) for budget in budgets for of in (charged, returned)])
    return [max(0, found[charged(budget)] - found[returned(budget)]) for budget in budgets]


def of_caller(sites: Sequence[str], site: str) -> str:
    """The site, if it is one of the caller's; raises Rejected(unknown_site)."""
    if site not in sites:
        raise Rejected(Reason.UNKNOWN_SITE)
    return site
