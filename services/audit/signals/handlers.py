"""Signals are raised, listed and dismissed; each notice goes on the record in the decision that makes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.audit.chain.handlers import Chains, on_record
from services.audit.chain.rules import Pseudonym
from services.audit.signals.rules import (
    CHECKS_MAX,
    SIGNALS_MAX,
    Given,
    Month,
    Redeemed,
    Signal,
    WindowEnd,
    days_of,
    given_on,
    is_past,
    raised_account,
    raised_at_till,
    raised_of_month,
    signals_of,
    window_end_id,
)
from shared.contracts.audit import (
    Dismissal,
    LookTaken,
    Notice,
    Person,
    Purpose,
    SignalDismissed,
    SignalRaised,
)
from shared.contracts.compensation import RedemptionReserved
from shared.contracts.event import Event
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import Page, View, place_of
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.observe import log


class DismissSignal(BaseModel):
    """Nothing more is to do about a signal."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"reason": "explained"}]}
    )

    reason: Annotated[
        Dismissal,
        Field(
            description="Somebody explained it, it is usual at the site, it shows a limit that is too low, it was followed up, or its data are wrong."
        ),
    ]


class LookAtPerson(BaseModel):
    """Read what an employee gave whom a signal names. They see who looked, and what for."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "person": "em-a45b7929616ce4de89634d86f977802f",
                    "purpose": "a signal about checks just below a limit",
                }
            ]
        },
    )

    person: Annotated[Person, Field(description="One of the `persons` of the signal.")]
    purpose: Annotated[
        Purpose,
        Field(description="What the look is for, in a line without names; the employee reads it."),
    ]


class Signals:
    """Raises signals behind the records that they follow from, and after each day of a site."""

    def __init__(self, settler: Settler, chains: Chains, pseudonym: Pseudonym) -> None:
        self._settler = settler
        self._chains = chains
        self._pseudonym = pseudonym

    async def reserved(self, event: Event[RedemptionReserved], view: View) -> Decision:
        """A redemption goes on the record, and behind it the signals about it; raises Unavailable."""
        recorded = await self._chains.recorded(event, view)
        fact = event.data
        given = await view.get(Given, fact.check_id)
        if given is None or not given.site:
            return recorded
        till = self._pseudonym(given.site, given.month, fact.till)
        redeemed = Redeemed(
            check_id=fact.check_id,
            given=given,
            by_giver=till == given.who,
            site=fact.site,
            amount_minor=fact.amount_minor,
            at=fact.reserved_at,
        )
        raised = await self._raised(given.site, raised_at_till(redeemed, view.now), view)
        return Decision((*recorded.facts, *raised.facts), raised.ceilings)

    async def look(self, timer_id: str, view: View) -> Decision:
        """A day of a site is over: raise the signals of its month; raises Unavailable."""
        site, _, day = timer_id.rpartition("/")
        if is_past(day, view.now):
            return Decision()
        found = [
            signal
            for month in await self._months(site, day)
            for signal in raised_of_month(month, view.now)
        ]
        return await self._raised(site, found, view)

    async def _raised(self, site: str, found: Sequence[SignalRaised], view: View) -> Decision:
        """Those that were not raised before, as far as the day's bound allows; each once."""
        account = raised_account(site, view.now)
        if not found:
            return Decision()
        await view.prefetch([Signal.key(one.signal_id) for one in found], [account])
        new: list[Notice] = [one for one in found if await view.get(Signal, one.signal_id) is None]
        left = SIGNALS_MAX - (await view.balances([account]))[account]
        if len(new) > left:
            # What a look leaves out, the look of the next day finds again.
            log.warning("signals_left_out", site=site, left_out=len(new) - left)
        facts: Sequence[Fact] = await on_record(new[:left], view, self._pseudonym)
        return Decision(facts, {account: SIGNALS_MAX})

    async def _months(self, site: str, day: str) -> Sequence[Month]:
        """The checks of a day's month, by currency.

        Not through the view of the decision, which would conflict with every check that is taken back meanwhile.
        """
        view, given = self._settler.view(), list[Given]()
        for one in days_of(day):
            if len(given) >= CHECKS_MAX:
                break
            found = await self._given(site, one, CHECKS_MAX - len(given), view)
            given += (check for _, check in found)
        ends = await self._ends(site, {one.window for one in given}, view)
        currencies: dict[str, list[Given]] = defaultdict(list)
        for check in given:
            currencies[check.currency].append(check)
        return [Month(site, currency, of, ends) for currency, of in sorted(currencies.items())]

    @staticmethod
    async def _given(site: str, day: str, most: int, view: View) -> Sequence[tuple[str, Given]]:
        found: list[tuple[str, Given]] = []
        after: Cursor | None = None
        while len(found) < most:
            page = await view.range(Given, given_on(site, day), after, RANGE_MAX)
            found += page.documents
            if page.next is None:
                break
            after = page.next
        return found[:most]

    @staticmethod
    async def _ends(site: str, windows: Iterable[str], view: View) -> Mapping[str, datetime]:
        """When windows of a site end; those that are not on the record are left out."""
        await view.prefetch([WindowEnd.key(window_end_id(site, one)) for one in windows])
        found = {one: await view.get(WindowEnd, window_end_id(site, one)) for one in windows}
        return {one: end.until for one, end in found.items() if end is not None}

    async def listed(self, site: str, cursor: str | None, limit: int, view: View) -> Page[Signal]:
        """A site's signals, open ones first, the newest first; raises Rejected(cursor_invalid), Unavailable."""
        return await view.range(Signal, signals_of(site), place_of(Signal, cursor), limit)

    async def dismiss(
        self, signal_id: str, command: DismissSignal, who: Principal, view: View
    ) -> Decision:
        """Dismiss a signal; raises Rejected(unknown_signal, already_dismissed), Unavailable."""
        signal = await _of_caller(signal_id, who, view)
        if signal.dismissed is not None:
            raise Rejected(Reason.ALREADY_DISMISSED)
        dismissed = SignalDismissed(
            signal_id=signal_id,
            site=signal.site,
            reason=command.reason,
            by=who.subject,
            dismissed_at=view.now,
        )
        return Decision(await on_record([dismissed], view, self._pseudonym))

    async def look_at(
        self, signal_id: str, command: LookAtPerson, who: Principal, name: str, view: View
    ) -> Decision:
        """Look at somebody whom a signal names; raises Rejected(unknown_signal, schema_invalid), Unavailable."""
        signal = await _of_caller(signal_id, who, view)
        if command.person not in signal.raised.persons:
            raise Rejected(Reason.SCHEMA_INVALID, where=("/person",))
        look = LookTaken(
            look_id=f"lk-{name}",
            person=command.person,
            month=signal.raised.month,
            site=signal.site,
            purpose=command.purpose,
            by=who.subject,
            looked_at=view.now,
        )
        return Decision(await on_record([look], view, self._pseudonym))

    async def seen_by(self, look: LookTaken, view: View) -> Sequence[tuple[str, Given]]:
        """The checks, by id, that signals look at of the person and month of a look; raises Unavailable.

        The latest days first, and as many as one look of a month reads.
        """
        assert look.site is not None
        assert look.month is not None
        first = date.fromisoformat(f"{look.month}-01")
        # A business day that began in the month before ends after midnight, under the pseudonym of this one.
        days = (*days_of(first.isoformat()), (first - timedelta(days=1)).isoformat())
        found: list[tuple[str, Given]] = []
        left = CHECKS_MAX
        for day in days:
            given = await self._given(look.site, day, left, view)
            left -= len(given)
            found += (one for one in given if one[1].who == look.person)
            if not left:
                break
        return found


async def _of_caller(signal_id: str, who: Principal, view: View) -> Signal:
    """A signal of a site of the caller; raises Rejected(unknown_signal), Unavailable."""
    signal = await view.require(Signal, signal_id, Reason.UNKNOWN_SIGNAL)
    if signal.site not in who.sites:
        raise Rejected(Reason.UNKNOWN_SIGNAL)
    return signal
