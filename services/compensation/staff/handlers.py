"""Employees: listed, on shift, and what they may still give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypedDict
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.authority.rules import (
    PERSONAL,
    Limit,
    Room,
    limits_of,
    own_limits,
    stretch_of,
)
from services.compensation.cases.handlers import had, history
from services.compensation.checks.rules import Wish
from services.compensation.desk import Desk, Situations
from services.compensation.staff.rules import Crew, crew_parts, on_shift
from shared.contracts.compensation import Scope, ShiftEnded, ShiftStarted
from shared.contracts.policy import RoleAuthority
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, EmployeeListed, EmployeeListing, employee_name
from shared.kernel import Decision
from shared.runtime.auth import Principal
from shared.runtime.faults import Rejected
from shared.runtime.roster import employee_key
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


#: Parts of a crew read in one trip, and colleagues on shift whose accounts are looked at in it.
PARTS_AT_ONCE, COLLEAGUES_AT_ONCE = 4, 32


class Staff:
    """Employees."""

    def __init__(self, situations: Situations) -> None:
        self._situations = situations

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


async def fallback(
    wish: Wish, room: Room, bound_by: Scope | None, desk: Desk, snapshot: Snapshot
) -> Instead:
    """What an answer at the limit rests on; nothing is read where nothing binds."""
    if bound_by is None:
        return {"had": (), "colleague_id": None}
    earlier, colleague_id = await history(wish.customer_ref, snapshot), None
    if bound_by in PERSONAL:
        colleague_id = await colleague(desk, room, wish.option.cost_minor, snapshot)
    return {"had": had(earlier), "colleague_id": colleague_id}


async def colleague(desk: Desk, room: Room, cost_minor: int, snapshot: Snapshot) -> str | None:
    """Somebody else on shift at the site whose authority holds this, or nobody.

    Only for a wish that the employee's own ceilings bind: all others are the colleague's too.
    """
    shared = [limit for limit in room.limits if not limit.own]
    if not all(limit.holds(cost_minor, room.balances) for limit in shared):
        return None
    parts = crew_parts(desk.site, desk.employee_id)
    for first in range(0, len(parts), PARTS_AT_ONCE):
        found = await _on_shift(desk, parts[first : first + PARTS_AT_ONCE], snapshot)
        own = {
            employee_id: own_limits(desk.policy, authority, desk.windows, employee_id)
            for employee_id, authority in found
            if cost_minor <= authority.per_check
        }
        balances = await snapshot.balances(
            [limit.account for limits in own.values() for limit in limits]
        )
        for employee_id, limits in own.items():
            if all(limit.holds(cost_minor, balances) for limit in limits):
                return employee_id
    return None


async def _on_shift(
    desk: Desk, parts: Sequence[str], snapshot: Snapshot
) -> list[tuple[str, RoleAuthority]]:
    """Colleagues on shift in these parts of the crew."""
    await snapshot.prefetch([Crew.key(part) for part in parts])
    members = [
        member
        for part in parts
        for member in (await snapshot.get(Crew, part) or Crew()).members
        if member != desk.employee_id
    ]
    await snapshot.prefetch([employee_key(desk.site, member) for member in members])
    zone, found = ZoneInfo(desk.policy.timezone), []
    for member in members:
        employee = await snapshot.get(Employee, employee_name(desk.site, member))
        if employee is not None and on_shift(employee, zone, snapshot.now):
            found.append((member, desk.policy.authority_of(employee.listing.role)))
        if len(found) == COLLEAGUES_AT_ONCE:
            break
    return found


class Instead(TypedDict):
    """What the customer had, and a colleague who can give what the employee cannot."""

    had: tuple[str, ...]
    colleague_id: str | None
