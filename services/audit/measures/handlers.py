"""Reads measures of a site: balances of accounts, and nothing is scanned."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta

from services.audit.measures.declared import (
    ASSUMED,
    BEFORE,
    MEASURES,
    Assumed,
    Figure,
    Measure,
    figures,
    marks,
    needed,
)
from services.audit.measures.privacy import are_enough, day_of
from services.audit.measures.rules import (
    GIVEN,
    SITES,
    SURVEY,
    WINDOWS,
    Counter,
    Day,
    accounts_of,
    counts_of,
    scores_of,
)
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import RANGE_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Unavailable
from shared.runtime.observe import MEASURE_TODAY
from shared.runtime.policies import Policies, PolicyHead

#: How old what `/metrics` says of today may be: it is asked for every 15 s by each Prometheus, and reads some
#: hundred balances per site.
OBSERVED_EVERY = timedelta(seconds=30)


class Measured:
    """Measures as they are counted now."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def currency(self, site: str, view: View) -> str:
        """The currency of a site's amounts; raises Rejected(unknown_site), Unavailable."""
        policy, _ = await self._policies.at(site, view)
        return policy.currency

    async def figures(
        self,
        site: str,
        first: date,
        last: date,
        view: View,
        *,
        measures: Sequence[Measure] = MEASURES,
        assumed: Assumed = ASSUMED,
    ) -> list[Figure]:
        """The values of measures from the first to the last day (UTC), in the order of the declarations.

        Reads the balances of one day at a time; raises Rejected(unknown_site), Unavailable.
        """
        policy, _ = await self._policies.at(site, view)
        currency, asked = policy.currency, replace(SURVEY, cells=scores_of(policy.survey))
        counters = [asked if one is SURVEY else one for one in needed(measures)]
        # Of the day before it only matters whether shifts ended then.
        windows = [one for one in counters if one is WINDOWS]
        days = [await _day(site, first - BEFORE, currency, windows, view)]
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            days.append(await _day(site, day, currency, counters, view))
        return figures(measures, days, assumed, view.now)

    async def of_enough(self, site: str, days: Collection[date], view: View) -> set[date]:
        """Those of the days (UTC) on which five employees or more gave something; raises Unavailable."""
        names = {
            name: (day, path) for day in days for name, path in accounts_of(site, day, "", [GIVEN])
        }
        found: dict[date, list[tuple[str, int]]] = {day: [] for day in days}
        for name, amount in (await view.balances(list(names))).items():
            day, path = names[name]
            found[day].append((path, amount))
        return {
            day
            for day, balances in found.items()
            if are_enough(marks(counts_of(balances), GIVEN, ""))
        }

    async def today(
        self, site: str, view: View, *, measures: Sequence[Measure] = MEASURES
    ) -> list[Figure]:
        """The same of today (UTC)."""
        today = day_of(view.now)
        return await self.figures(site, today, today, view, measures=measures)


async def _day(site: str, day: date, currency: str, counters: Sequence[Counter], view: View) -> Day:
    accounts = dict(accounts_of(site, day, currency, counters))
    balances = await view.balances(list(accounts))
    return Day(day, counts_of((accounts[name], amount) for name, amount in balances.items()))


#: What a day has while it is not over: nothing of single employees is shown before it is closed.
OBSERVED = tuple(one for one in MEASURES if not one.employees and not one.fine)


class Observed:
    """Tells Prometheus today's measures of every site, of the first two hundred if there are more."""

    def __init__(self, settler: Settler, measured: Measured) -> None:
        self._settler = settler
        self._measured = measured
        self._fresh_until: float = 0

    async def __call__(self) -> None:
        """Set the metric anew if it is old; it has no values while the store cannot be read."""
        view = self._settler.view()
        if view.now.timestamp() < self._fresh_until:
            return
        self._fresh_until = (view.now + OBSERVED_EVERY).timestamp()
        found: list[tuple[str, Figure]] = []
        try:
            sites = await view.range(PolicyHead, SITES, None, RANGE_MAX)
            for site, _ in sites.documents:
                figures = await self._measured.today(site, view, measures=OBSERVED)
                found += ((site, one) for one in figures)
        except Unavailable:
            found = []
        MEASURE_TODAY.clear()
        for site, one in found:
            if one.row.value is not None:
                labels = site, one.measure.name, one.row.part
                MEASURE_TODAY.labels(*labels).set(one.row.value)
