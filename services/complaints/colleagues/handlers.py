"""Reads who of a site is on shift, and how much each has to do."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from services.complaints.colleagues.rules import (
    Crew,
    Member,
    least_busy,
    nearest,
    parts,
    reports_shifts,
)
from services.complaints.lifecycle.rules import Complaint, owned_by
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, employee_name
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal

#: Of those that there are, as many as a refusal names: a phone's screen.
NAMED_MAX = 20


async def crew(site: str, view: View) -> Sequence[Member]:
    """Everybody who is or was listed at a site, or checked in there; read in one trip; raises Unavailable."""
    named = parts(site)
    await view.prefetch([Crew.key(part) for part in named])
    return [member for part in named for member in (await view.get(Crew, part) or Crew()).members]


def on_shift(members: Sequence[Member], policy: Policy, view: View) -> Sequence[Member]:
    """Those of them who work now."""
    zone = ZoneInfo(policy.timezone)
    return [one for one in members if one.on_shift(zone, view.now)]


async def opened_by(site: str, members: Sequence[Member], view: View) -> dict[str, int]:
    """How many open complaints each has, by id; raises Unavailable."""
    names = {one.id: owned_by(site, one.id) for one in members}
    sizes = await view.sizes(list(names.values()))
    return {employee_id: sizes[name] for employee_id, name in names.items()}


async def works(site: str, employee_id: str, view: View) -> bool:
    """Whether the roster lists the employee as active; raises Unavailable."""
    found = await view.get(Employee, employee_name(site, employee_id))
    return found is not None and found.listing.active


async def known_colleague(employee_id: str, who: Principal, view: View) -> None:
    """Raises Rejected(unknown_colleague) for who asks, and for one who does not work at the site; and Unavailable."""
    where = ("/colleague_id",)
    if employee_id == who.subject:
        raise Rejected(Reason.UNKNOWN_COLLEAGUE, where=where, told={"because": "yourself"})
    if not await works(who.site, employee_id, view):
        known = sorted(one.id for one in await crew(who.site, view) if one.active)
        others = tuple(one for one in known if one != who.subject)[:NAMED_MAX]
        raise Rejected(Reason.UNKNOWN_COLLEAGUE, where=where, told={"colleagues": others})


def known_department(department: str | None, policy: Policy, where: str = "/department") -> None:
    """Raises Rejected(unknown_department) for none, and for one that the policy does not have; `where` names it."""
    if department not in policy.departments:
        known = tuple(policy.departments)[:NAMED_MAX]
        raise Rejected(Reason.UNKNOWN_DEPARTMENT, where=(where,), told={"departments": known})


async def keeper(complaint: Complaint, policy: Policy, view: View) -> str | None:
    """Who has a complaint that did not help: its owner if they are on shift, else a colleague who is.

    It stays with its owner where nobody is on shift, as at a site that never says who works when. None if it has no
    owner. Raises Unavailable.
    """
    owner = complaint.employee_id
    if owner is None:
        return None
    members = await crew(complaint.site, view)
    there = on_shift(members, policy, view)
    if not there or any(one.id == owner for one in there):
        return owner
    known = next((one for one in members if one.id == owner), Member(owner))
    best = nearest(there, known, complaint.category, policy)
    return least_busy(best, await opened_by(complaint.site, best, view)) or owner


async def is_off_shift(complaint: Complaint, policy: Policy, view: View) -> bool:
    """Whether a site says who works when, and by that a complaint's owner does not work now; raises Unavailable."""
    members = await crew(complaint.site, view)
    there = on_shift(members, policy, view)
    return reports_shifts(members) and all(one.id != complaint.employee_id for one in there)


async def somebody_works(
    site: str, colleague: str | None, department: str | None, policy: Policy, view: View
) -> bool | None:
    """Whether a colleague, or somebody of a department, works now; None where the site does not say. Raises Unavailable."""
    members = await crew(site, view)
    if not reports_shifts(members):
        return None
    roles = policy.departments[department].roles if department is not None else ()
    there = on_shift(members, policy, view)
    return any(one.id == colleague or one.role in roles for one in there)
