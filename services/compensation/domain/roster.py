"""Who is there: employees as listed, and who is on shift by roster or by check-in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from zlib import crc32
from zoneinfo import ZoneInfo

from services.compensation.domain.windows import within_shift
from shared.contracts.compensation import ShiftEnded, ShiftStarted
from shared.contracts.decision import Document, Fold
from shared.contracts.event import Fact
from shared.contracts.roster import EmployeeListed, Listing, Weekday

#: A crew is kept in so many parts, so that adding one of thousands rewrites a few and not all.
CREW_PARTS = 16
WEEKDAYS = tuple(Weekday)


class Employee(Document):
    """One employee as last listed, and until when they are checked in."""

    KIND: ClassVar[str] = "employee"
    LASTS: ClassVar[bool] = True

    site: str
    listing: Listing
    listed_at: datetime
    checked_in_until: datetime | None = None


class Crew(Document):
    """A part of a site's employees; who moved on is still in it, and is looked at before it counts."""

    KIND: ClassVar[str] = "crew"
    LASTS: ClassVar[bool] = True

    members: tuple[str, ...] = ()


def crew_of(site: str, employee_id: str) -> str:
    """The part of the site's crew that an employee is in."""
    return f"{site}/{crc32(employee_id.encode()) % CREW_PARTS}"


def crew_parts(site: str, beginning_with: str) -> Sequence[str]:
    """All parts of a crew, a different one first for different employees."""
    first = crc32(beginning_with.encode()) % CREW_PARTS
    return [f"{site}/{(first + step) % CREW_PARTS}" for step in range(CREW_PARTS)]


def on_shift(employee: Employee, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the roster or a check-in says that an active employee works now."""
    if not employee.listing.active:
        return False
    if employee.checked_in_until is not None and now < employee.checked_in_until:
        return True
    shift = employee.listing.shift
    if shift is None:
        return False
    days = [WEEKDAYS.index(day) for day in shift.days]
    return within_shift(days, shift.starts, shift.ends, zone, now)


def listed(employee: Employee | None, fact: EmployeeListed) -> Employee:
    """As listed, unless something newer is known: a fact of ours comes back to us by its topic.

    Who is at work at one site is not at work at another.
    """
    if employee is not None and fact.listed_at < employee.listed_at:
        return employee
    same_site = employee is not None and employee.site == fact.site
    return Employee(
        site=fact.site,
        listing=fact.listing,
        listed_at=fact.listed_at,
        checked_in_until=employee.checked_in_until if employee and same_site else None,
    )


def joined(crew: Crew | None, fact: EmployeeListed) -> Crew:
    """One more in the crew; sorted, as the order in which they were heard of says nothing."""
    before = crew.members if crew is not None else ()
    return Crew(members=tuple(sorted({*before, fact.employee_id})))


def checked_in(employee: Employee, fact: ShiftStarted) -> Employee:
    """On shift by their own word."""
    return employee.model_copy(update={"checked_in_until": fact.until})


def checked_out(employee: Employee, _: ShiftEnded) -> Employee:
    """Not on shift by their own word any more."""
    return employee.model_copy(update={"checked_in_until": None})


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    EmployeeListed: (
        Fold(Employee, lambda fact: fact.employee_id, listed),
        Fold(Crew, lambda fact: crew_of(fact.site, fact.employee_id), joined),
    ),
    ShiftStarted: (Fold(Employee, lambda fact: fact.employee_id, checked_in),),
    ShiftEnded: (Fold(Employee, lambda fact: fact.employee_id, checked_out),),
}
