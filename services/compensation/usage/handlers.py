"""A window of a site ends: it is counted, and the next one opens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.compensation.authority.rules import ceiling_of, own_account
from services.compensation.staff.handlers import crew
from services.compensation.staff.rules import crew_parts
from services.compensation.staff_context import ContextLoader
from services.compensation.usage.rules import (
    TALLIES,
    TIMERS,
    OpenWindow,
    authority_counted,
    has_ended,
    open_window_id,
    opened,
    tally,
    window_closed,
)
from shared.contracts.compensation import AuthorityCounted, Scope, WindowClosed
from shared.contracts.event import Event
from shared.contracts.policy import Policy, PolicyPublished
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View


class Usage:
    """Opens and counts the windows of sites."""

    def __init__(self, context: ContextLoader) -> None:
        self._context = context

    async def on_policy(self, event: Event[PolicyPublished], view: View) -> Decision:
        """Open the windows that the site has by this policy and that are not open yet."""
        return Decision(await self._opened(event.data.policy, view.now, view))

    async def window_ends(self, scope: Scope, site: str, view: View) -> Decision:
        """Count the window that ended and open the next."""
        window = await view.get(OpenWindow, open_window_id(site, scope))
        if window is None or window.until is None or view.now < window.until:
            return Decision()
        policy, _ = await self._context.policies.at(site, view)
        facts: list[Fact] = []
        if has_ended(policy, scope, window.day, window.until):
            facts.append(await self._counted(policy, scope, window.day, view))
        # The next window and not the current one: after an outage those between are counted too.
        facts += opened(policy, scope, window.until, window)
        if scope is Scope.EMPLOYEE_DAY:
            facts += await self._opened(policy, window.until, view)
        return Decision(facts)

    async def _opened(self, policy: Policy, at: datetime, view: View) -> list[Fact]:
        """Open the site's windows at a moment, but for those that are open."""
        facts: list[Fact] = []
        for scope in TIMERS:
            before = await view.get(OpenWindow, open_window_id(policy.site, scope))
            if before is None or before.until is None:
                facts += opened(policy, scope, at, before)
        return facts

    async def _counted(
        self, policy: Policy, scope: Scope, window: str, view: View
    ) -> WindowClosed | AuthorityCounted:
        """A window of the site in figures; for a day, also its tallies."""
        employees = await self._used(policy, scope, window, view)
        if scope is not Scope.EMPLOYEE_DAY:
            return authority_counted(policy, scope, window, employees, view.now)
        accounts = {what: tally(policy.site, window, what) for what in TALLIES}
        found = await view.balances(list(accounts.values()))
        counts = {what: found[account] for what, account in accounts.items()}
        return window_closed(policy, window, counts, employees, view.now)

    async def _used(
        self, policy: Policy, scope: Scope, window: str, view: View
    ) -> Sequence[tuple[int, int]]:
        """Ceiling and use in a window of every active employee whose role has a ceiling for it."""
        parts = crew_parts(policy.site, "")
        ceilings = {
            own_account(policy.site, member, policy.currency, window): ceiling
            async for member, employee in crew(policy.site, parts, view)
            if employee.listing.active
            if (ceiling := ceiling_of(policy.authority_of(employee.listing.role), scope))
            is not None
        }
        balances = await view.balances(list(ceilings))
        return [(ceiling, balances[account]) for account, ceiling in ceilings.items()]
