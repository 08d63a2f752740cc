"""Employees: listed, on shift, and what they may still give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypedDict
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.authority.rules import (
    PERSONAL,
    Headroom,
    Limit,
    limits_of,
    own_limits,
    stretch_of,
)
from services.compensation.cases.handlers import earlier_items, history
from services.compensation.checks.rules import CheckRequest
from services.compensation.staff.rules import Crew, crew_parts, on_shift
from services.compensation.staff_context import ContextLoader, StaffContext
from shared.contracts.compensation import Scope, ShiftEnded, ShiftStarted
from shared.contracts.policy import RoleAuthority
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, EmployeeListed, EmployeeListing, employee_name
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.roster import employed, employee_key

#: No law we know of lets anybody work longer without a rest.
SHIFT_HOURS_MAX = 16
#: The smallest difference between the times of two listings.
MOMENT = timedelta(microseconds=1)
#: Parts of a crew read in one trip, and colleagues on shift whose accounts are looked at in it.
PARTS_AT_ONCE, COLLEAGUES_AT_ONCE = 4, 32


class CheckIn(BaseModel):
    """Check in: I work now, whatever the roster says."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"hours": 8}]}
    )

    hours: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            le=SHIFT_HOURS_MAX,
            description="Length of the shift, in hours from now.",
        ),
    ] = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """One scope of an employee's authority: amounts in minor units (in times for the stretch)."""

    limit: Limit
    used: int
    held: int


class Staff:
    """Decides about employees, and reads what they may give."""

    def __init__(self, context: ContextLoader) -> None:
        self._context = context

    async def list_employee(
        self, employee_id: str, command: EmployeeListing, principal: Principal, view: View
    ) -> Decision:
        """A personnel system lists an employee of its site; raises Rejected(unknown_site).

        A site without a policy is unknown: nobody could give anything there.
        """
        if command.site != principal.site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        await self._context.policies.at(command.site, view)
        known = await view.get(Employee, employee_name(command.site, employee_id))
        return Decision.of(
            EmployeeListed(
                employee_id=employee_id,
                site=command.site,
                listing=command.listing,
                # Later than the known listing, or one from a clock ahead of ours would win over this.
                listed_at=max(view.now, known.listed_at + MOMENT)
                if known is not None
                else view.now,
            )
        )

    async def check_in(self, command: CheckIn, principal: Principal, view: View) -> Decision:
        """On shift from now; raises Rejected(unknown_employee)."""
        staff = await self._context.staff(principal, view)
        return Decision.of(
            ShiftStarted(
                employee_id=staff.employee_id,
                site=staff.site,
                until=view.now + timedelta(hours=command.hours),
                started_at=view.now,
            )
        )

    async def check_out(self, principal: Principal, view: View) -> Decision:
        """Off shift from now, unless the roster says otherwise."""
        staff = await self._context.staff(principal, view)
        return Decision.of(
            ShiftEnded(employee_id=staff.employee_id, site=staff.site, ended_at=view.now)
        )

    async def me(self, principal: Principal, view: View) -> tuple[Employee, bool]:
        """The employee who asks as they are listed, and whether they are on shift; raises Rejected."""
        staff = await self._context.staff(principal, view)
        employee = await employed(principal, view)
        return employee, on_shift(employee, ZoneInfo(staff.policy.timezone), view.now)

    async def authority(self, principal: Principal, view: View) -> tuple[int, list[Standing]]:
        """What one check may cost, and the employee's own scopes with the site's; raises Rejected."""
        staff = await self._context.staff(principal, view)
        limits = [
            limit
            for limit in limits_of(
                staff.policy,
                staff.authority,
                staff.windows,
                site=staff.site,
                employee_id=staff.employee_id,
                customer_ref="",
                complaint_id=None,
            )
            if limit.own or limit.account.startswith("site/")
        ]
        stretch = stretch_of(staff.policy, staff.windows, staff.employee_id)
        if stretch is not None:
            limits.append(stretch)
        balances = await view.balances(
            [account for limit in limits for account in (limit.account, f"held/{limit.account}")]
        )
        return staff.authority.per_check, [
            Standing(
                limit,
                used=balances[limit.account] - balances[f"held/{limit.account}"],
                held=balances[f"held/{limit.account}"],
            )
            for limit in limits
        ]


class Fallback(TypedDict):
    """What the customer had before, and a colleague who can give what the employee cannot."""

    earlier_items: tuple[str, ...]
    colleague_id: str | None


async def fallback_for(
    request: CheckRequest,
    headroom: Headroom,
    bound_by: Scope,
    staff: StaffContext,
    view: View,
) -> Fallback:
    """What a refusal says beside the limits: earlier gifts, and a colleague who could give it."""
    earlier, colleague_id = await history(request.customer_ref, view), None
    if bound_by in PERSONAL:
        colleague_id = await colleague(staff, headroom, request.option.cost_minor, view)
    return {"earlier_items": earlier_items(earlier), "colleague_id": colleague_id}


async def colleague(
    staff: StaffContext, headroom: Headroom, cost_minor: int, view: View
) -> str | None:
    """A colleague on shift at the site whose authority holds this cost; None if there is none.

    Only for a request that the employee's own ceilings bind: shared ceilings bind colleagues too.
    """
    shared = [limit for limit in headroom.limits if not limit.own]
    if not all(limit.holds(cost_minor, headroom.balances) for limit in shared):
        return None
    parts = crew_parts(staff.site, staff.employee_id)
    for first in range(0, len(parts), PARTS_AT_ONCE):
        found = await _on_shift(staff, parts[first : first + PARTS_AT_ONCE], view)
        own = {
            employee_id: own_limits(staff.policy, authority, staff.windows, employee_id)
            for employee_id, authority in found
            if cost_minor <= authority.per_check
        }
        balances = await view.balances(
            [limit.account for limits in own.values() for limit in limits]
        )
        for employee_id, limits in own.items():
            if all(limit.holds(cost_minor, balances) for limit in limits):
                return employee_id
    return None


async def _on_shift(
    staff: StaffContext, parts: Sequence[str], view: View
) -> list[tuple[str, RoleAuthority]]:
    """Colleagues on shift in these parts of the crew."""
    zone, found = ZoneInfo(staff.policy.timezone), []
    async for member, employee in crew(staff.site, parts, view):
        if member != staff.employee_id and on_shift(employee, zone, view.now):
            found.append((member, staff.policy.authority_of(employee.listing.role)))
        if len(found) == COLLEAGUES_AT_ONCE:
            break
    return found


async def crew(site: str, parts: Sequence[str], view: View) -> AsyncIterator[tuple[str, Employee]]:
    """Employees who are or were listed in these parts of a site's crew, by id; read in two trips."""
    await view.prefetch([Crew.key(part) for part in parts])
    members = [
        member for part in parts for member in (await view.get(Crew, part) or Crew()).members
    ]
    await view.prefetch([employee_key(site, member) for member in members])
    for member in members:
        employee = await view.get(Employee, employee_name(site, member))
        if employee is not None:
            yield member, employee
