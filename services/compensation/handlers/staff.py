"""Employees, their shifts, their authority; and the windows of a site in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.domain.authority import (
    Limit,
    ceiling_of,
    limits_of,
    own_account,
    stretch_of,
)
from services.compensation.domain.roster import Crew, crew_parts
from services.compensation.domain.usage import (
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
from services.compensation.handlers.situation import Situations
from shared.contracts.compensation import (
    AuthorityCounted,
    Scope,
    ShiftEnded,
    ShiftStarted,
    WindowClosed,
)
from shared.contracts.decision import Decision
from shared.contracts.event import Event, Fact
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, EmployeeListed, EmployeeListing, employee_name
from shared.runtime.faults import Rejected
from shared.runtime.roster import employee_key

if TYPE_CHECKING:
    from shared.runtime.auth import Principal
    from shared.runtime.settle import Settler
    from shared.runtime.snapshot import Snapshot

#: No law we know of lets anybody work longer without a rest.
SHIFT_HOURS_MAX = 16
#: The least by which one listing is later than another.
MOMENT = timedelta(microseconds=1)


class CheckIn(BaseModel):
    """I work now, whatever the roster says."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"hours": 8}]}
    )

    hours: Annotated[int, Field(strict=True, ge=1, le=SHIFT_HOURS_MAX)] = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """One scope of an employee's authority: amounts in minor units (in times for the stretch)."""

    limit: Limit
    used: int
    held: int


class Staff:
    """Employees."""

    def __init__(self, situations: Situations, settler: Settler) -> None:
        self._situations = situations
        self._settler = settler

    async def list_employee(
        self, employee_id: str, command: EmployeeListing, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """A personnel system lists an employee of its site; raises Rejected(unknown_site).

        A site without a policy has nobody to give anything, so it lists nobody.
        """
        if command.site != principal.site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",), status=404)
        await self._situations.policies.at(command.site, snapshot)
        known = await snapshot.get(Employee, employee_name(command.site, employee_id))
        return Decision(
            (
                EmployeeListed(
                    employee_id=employee_id,
                    site=command.site,
                    listing=command.listing,
                    # After what is known, or a roster from a clock ahead of ours would win later.
                    listed_at=max(snapshot.now, known.listed_at + MOMENT)
                    if known is not None
                    else snapshot.now,
                ),
            )
        )

    async def check_in(
        self, command: CheckIn, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """On shift from now; raises Rejected(unknown_employee)."""
        desk = await self._situations.desk(principal, snapshot)
        return Decision(
            (
                ShiftStarted(
                    employee_id=desk.employee_id,
                    site=desk.site,
                    until=snapshot.now + timedelta(hours=command.hours),
                    started_at=snapshot.now,
                ),
            )
        )

    async def check_out(self, principal: Principal, snapshot: Snapshot) -> Decision:
        """Off shift from now, unless the roster says otherwise."""
        desk = await self._situations.desk(principal, snapshot)
        return Decision(
            (ShiftEnded(employee_id=desk.employee_id, site=desk.site, ended_at=snapshot.now),)
        )

    async def authority(
        self, principal: Principal, snapshot: Snapshot
    ) -> tuple[int, list[Standing]]:
        """What one check may cost, and the employee's own scopes with the site's; raises Rejected."""
        desk = await self._situations.desk(principal, snapshot)
        limits = [
            limit
            for limit in limits_of(
                desk.policy,
                desk.authority,
                desk.windows,
                site=desk.site,
                employee_id=desk.employee_id,
                customer_ref="",
                complaint_id=None,
            )
            if limit.own or limit.account.startswith("site/")
        ]
        stretch = stretch_of(desk.policy, desk.windows, desk.employee_id)
        if stretch is not None:
            limits.append(stretch)
        balances = await snapshot.balances(
            [account for limit in limits for account in (limit.account, f"held/{limit.account}")]
        )
        return desk.authority.per_check, [
            Standing(
                limit,
                used=balances[limit.account] - balances[f"held/{limit.account}"],
                held=balances[f"held/{limit.account}"],
            )
            for limit in limits
        ]

    # ---- the site's windows --------------------------------------------------------------------

    async def on_policy(self, event: Event[PolicyPublished], snapshot: Snapshot) -> Decision:
        """A site's first policy opens its first windows; a later one those it is the first to have."""
        return Decision(await self._opened(event.data.policy, snapshot.now, snapshot))

    async def window_ends(self, scope: Scope, site: str, due_ms: int) -> None:
        """Count the window that ended and open the next."""

        async def decide(snapshot: Snapshot) -> Decision:
            window = await snapshot.get(OpenWindow, open_window_id(site, scope))
            if window is None or window.until is None or snapshot.now < window.until:
                return Decision()
            policy, _ = await self._situations.policies.at(site, snapshot)
            facts: list[Fact] = []
            if has_ended(policy, scope, window.day, window.until):
                facts.append(await self._counted(policy, scope, window.day, snapshot))
            # The next and not that of now: after an outage every one between is counted as well.
            facts += opened(policy, scope, window.until, window)
            if scope is Scope.EMPLOYEE_DAY:
                facts += await self._opened(policy, window.until, snapshot)
            return Decision(facts)

        timer = TIMERS[scope]
        await self._settler.settle_internal(
            f"timer/{timer}/{site}/{due_ms}", site, decide, (f"{timer}|{site}", due_ms)
        )

    async def _opened(self, policy: Policy, at: datetime, snapshot: Snapshot) -> list[Fact]:
        """The windows of a moment that the site has and that are not open."""
        facts: list[Fact] = []
        for scope in TIMERS:
            before = await snapshot.get(OpenWindow, open_window_id(policy.site, scope))
            if before is None or before.until is None:
                facts += opened(policy, scope, at, before)
        return facts

    async def _counted(
        self, policy: Policy, scope: Scope, window: str, snapshot: Snapshot
    ) -> WindowClosed | AuthorityCounted:
        """A window of the site in figures; of the day also what was counted in it."""
        employees = await self._used(policy, scope, window, snapshot)
        if scope is not Scope.EMPLOYEE_DAY:
            return authority_counted(policy, scope, window, employees, snapshot.now)
        accounts = {what: tally(policy.site, window, what) for what in TALLIES}
        found = await snapshot.balances(list(accounts.values()))
        counts = {what: found[account] for what, account in accounts.items()}
        return window_closed(policy, window, counts, employees, snapshot.now)

    async def _used(
        self, policy: Policy, scope: Scope, window: str, snapshot: Snapshot
    ) -> Sequence[tuple[int, int]]:
        """Ceiling and use in a window of every active employee whose role has a ceiling for it."""
        parts = crew_parts(policy.site, "")
        await snapshot.prefetch([f"{Crew.KIND}:{part}" for part in parts])
        members = [
            member
            for part in parts
            for member in (await snapshot.get(Crew, part) or Crew()).members
        ]
        await snapshot.prefetch([employee_key(policy.site, member) for member in members])
        found = [
            (member, await snapshot.get(Employee, employee_name(policy.site, member)))
            for member in members
        ]
        ceilings = {
            own_account(policy.site, member, policy.currency, window): ceiling
            for member, employee in found
            if employee is not None and employee.listing.active
            if (ceiling := ceiling_of(policy.authority_of(employee.listing.role), scope))
            is not None
        }
        balances = await snapshot.balances(list(ceilings))
        return [(ceiling, balances[account]) for account, ceiling in ceilings.items()]
