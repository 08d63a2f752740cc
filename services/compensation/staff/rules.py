"""Employees as listed, and whether they are on shift by roster or by check-in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from zlib import crc32
from zoneinfo import ZoneInfo

from shared.contracts.compensation import ShiftEnded, ShiftStarted
from shared.contracts.hours import covers
from shared.contracts.roster import LISTED, Employee, EmployeeListed, employee_name
from shared.kernel import Document, Fold, Slice

#: A crew is kept in this many parts, so that adding one of thousands rewrites one part and not all.
CREW_PARTS = 16


class Crew(Document):
    """A part of a site's employee ids. Former employees stay in it, so read each one's listing."""

    KIND: ClassVar[str] = "crew"
    LASTS: ClassVar[bool] = True

    members: tuple[str, ...] = ()


def crew_of(site: str, employee_id: str) -> str:
    """The part of the site's crew that an employee is in."""
    return f"{site}/{crc32(employee_id.encode()) % CREW_PARTS}"


def crew_parts(site: str, beginning_with: str) -> Sequence[str]:
    """All parts of a crew; different employees begin with different parts."""
    first = crc32(beginning_with.encode()) % CREW_PARTS
    return [f"{site}/{(first + step) % CREW_PARTS}" for step in range(CREW_PARTS)]


def on_shift(employee: Employee, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the roster or a check-in says that an active employee works now."""
    if not employee.listing.active:
        return False
    if employee.checked_in_until is not None and now < employee.checked_in_until:
        return True
    shift = employee.listing.shift
    return shift is not None and covers(shift, zone, now)


def joined(crew: Crew | None, fact: EmployeeListed) -> Crew:
    """The part, with one more employee; sorted, so that the order of facts does not matter."""
    before = crew.members if crew is not None else ()
    return Crew(members=tuple(sorted({*before, fact.employee_id})))


def name_of(fact: ShiftStarted | ShiftEnded) -> str:
    """The document of the employee that a fact is about."""
    return employee_name(fact.site, fact.employee_id)


def checked_in(employee: Employee, fact: ShiftStarted) -> Employee:
    """The employee, with a check-in."""
    return employee.model_copy(update={"checked_in_until": fact.until})


def checked_out(employee: Employee, _: ShiftEnded) -> Employee:
    """The employee, without a check-in."""
    return employee.model_copy(update={"checked_in_until": None})


SLICE = Slice(
    {
        EmployeeListed: (
            LISTED,
            Fold(Crew, lambda fact: crew_of(fact.site, fact.employee_id), joined),
        ),
        ShiftStarted: (Fold(Employee, name_of, checked_in),),
        ShiftEnded: (Fold(Employee, name_of, checked_out),),
    }
)
