"""Who of a site is on shift, and who takes a complaint over from an owner who is not: pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple
from zlib import crc32
from zoneinfo import ZoneInfo

from shared.contracts.compensation import ShiftEnded, ShiftStarted
from shared.contracts.complaints import Category
from shared.contracts.hours import covers
from shared.contracts.policy import Policy
from shared.contracts.roster import LISTED, EmployeeListed, Listing
from shared.kernel import Document, Fold, Slice

#: A crew is kept in this many parts, so that a check-in among thousands rewrites one part and not all.
CREW_PARTS = 16


class Member(NamedTuple):
    """One employee: as the roster lists them, and until when they work by their last check-in."""

    id: str
    #: None while only a check-in is known: the roster is another topic.
    listing: Listing | None = None
    listed_at: datetime | None = None
    #: None without a check-in, and once it was ended.
    until: datetime | None = None
    #: When the employee checked in or out last.
    said_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the roster lists the employee as active."""
        return self.listing is not None and self.listing.active

    @property
    def role(self) -> str:
        """The employee's role; empty while the roster is not known."""
        return self.listing.role if self.listing is not None else ""

    def on_shift(self, zone: ZoneInfo, now: datetime) -> bool:
        """Whether the roster or a check-in says that the employee, who is active, works now."""
        if self.listing is None or not self.listing.active:
            return False
        if self.until is not None and now < self.until:
            return True
        return self.listing.shift is not None and covers(self.listing.shift, zone, now)


class Crew(Document):
    """A part of a site's employees, former ones too, by id.

    Folded from facts of two topics, which come in any order: the newest listing and the newest word of each employee
    count.
    """

    KIND: ClassVar[str] = "crew"
    LASTS: ClassVar[bool] = True

    members: tuple[Member, ...] = ()

    def member(self, employee_id: str) -> Member:
        """One employee; unknown ones have no listing and no check-in."""
        return next((one for one in self.members if one.id == employee_id), Member(employee_id))

    def with_one(self, member: Member) -> Crew:
        """The part with this employee as they are now."""
        others = [one for one in self.members if one.id != member.id]
        return Crew(members=tuple(sorted([*others, member], key=lambda one: one.id)))


def part_of(site: str, employee_id: str) -> str:
    """The part of the site's crew that an employee is in."""
    return f"{site}/{crc32(employee_id.encode()) % CREW_PARTS}"


def parts(site: str) -> Sequence[str]:
    """All parts of a site's crew."""
    return [f"{site}/{number}" for number in range(CREW_PARTS)]


def listed(crew: Crew | None, fact: EmployeeListed) -> Crew:
    """An employee as listed, unless a newer listing is known."""
    crew = crew or Crew()
    known = crew.member(fact.employee_id)
    if known.listed_at is not None and fact.listed_at < known.listed_at:
        return crew
    return crew.with_one(known._replace(listing=fact.listing, listed_at=fact.listed_at))


def checked_in(crew: Crew | None, fact: ShiftStarted) -> Crew:
    """An employee works until the time they said."""
    return _said(crew or Crew(), fact.employee_id, fact.until, fact.started_at)


def checked_out(crew: Crew | None, fact: ShiftEnded) -> Crew:
    """An employee's check-in is ended."""
    return _said(crew or Crew(), fact.employee_id, None, fact.ended_at)


def _said(crew: Crew, employee_id: str, until: datetime | None, at: datetime) -> Crew:
    known = crew.member(employee_id)
    if known.said_at is not None and at < known.said_at:
        return crew
    return crew.with_one(known._replace(until=until, said_at=at))


def reports_shifts(members: Iterable[Member]) -> bool:
    """Whether a site says at all when its employees work: by the roster, or by a check-in of anybody ever."""
    return any(
        one.said_at is not None or (one.listing is not None and one.listing.shift is not None)
        for one in members
        if one.active
    )


def nearest(
    on_shift: Sequence[Member], owner: Member, category: Category, policy: Policy
) -> Sequence[Member]:
    """Those on shift who suit a complaint best after its owner.

    First those of a department that sees to its category, then those of a department of its owner, then everybody.
    """
    seen_to = policy.roles_for(category)
    beside = {
        role
        for department in policy.departments.values()
        if owner.role in department.roles
        for role in department.roles
    }
    for roles in (seen_to, beside):
        if found := [one for one in on_shift if one.role in roles]:
            return found
    return on_shift


def least_busy(colleagues: Sequence[Member], opened: Mapping[str, int]) -> str | None:
    """The id of who has the fewest open complaints, of several the first by id; None of nobody."""
    return min((one.id for one in colleagues), key=lambda one: (opened[one], one), default=None)


SLICE = Slice(
    {
        EmployeeListed: (
            LISTED,
            Fold(Crew, lambda fact: part_of(fact.site, fact.employee_id), listed),
        ),
        ShiftStarted: (Fold(Crew, lambda fact: part_of(fact.site, fact.employee_id), checked_in),),
        ShiftEnded: (Fold(Crew, lambda fact: part_of(fact.site, fact.employee_id), checked_out),),
    }
)
