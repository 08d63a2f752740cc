"""Who works where: a site's roster as a file, and each employee as a fact on a compacted topic.

Ids are pseudonymous; names stay in the personnel system. An id belongs to its site: the same id at
another site is somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.complaints import Language
from shared.contracts.data import About, Data
from shared.contracts.event import EmployeeId, Flag, Id, SiteId, fingerprint
from shared.contracts.hours import Weekday
from shared.contracts.policy import Contradiction, LocalTime, Part
from shared.kernel import Document, Fact, Fold

#: Twice the crew of the largest ships.
EMPLOYEES_MAX = 5_000
#: The same bound as for an id, because the name is part of keys and accounts.
NAME_CHARS_MAX = 128
#: An account that is named after an employee: its kind, `employee_name` as site and id or as their
#: fingerprint, and currency and window.
OWN_ACCOUNT = re.compile(
    r"(employee|stretch)/(?:([^ ]+) ([^ ]+?)|([0-9a-f]{32}))/((?:[A-Z]{3}/)?[0-9W/-]+)"
)


class Shift(Part):
    """When an employee works each week, in the site's local time; over midnight if `ends` is not after `starts`."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = Field(
        tuple(Weekday), description="Days of the week on which the shift begins."
    )
    starts: LocalTime = Field(description="Local time at the site at which it begins.")
    ends: LocalTime = Field(
        description="Local time at the site at which it ends; on the next day if not after `starts`."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """A shift without length."""
        if self.starts == self.ends:
            yield ("ends",), str(self.ends), "must differ from starts"


class Listing(Part):
    """What a roster says of one employee."""

    role: Id = Field(description="The employee's role; authority is looked up by it in the policy.")
    languages: Annotated[tuple[Language, ...], Field(max_length=16, fail_fast=True)] = Field(
        (), description="Languages the employee speaks."
    )
    shift: Shift | None = Field(
        None, description="When the employee works each week; null if the roster does not say."
    )
    active: Flag = Field(
        default=True,
        description="Whether the employee works at the site; one who is not active may give nothing.",
    )


class Roster(Part):
    """A site's employees."""

    site: Id
    employees: Annotated[dict[Id, Listing], Field(min_length=1, max_length=EMPLOYEES_MAX)]


class EmployeeListed(Fact):
    """An employee as the roster or the personnel system has them from `listed_at` on."""

    TYPE: ClassVar[str] = "recovery.employee.listed.v1"
    TOPIC: ClassVar[str] = "recovery.roster.v1"

    employee_id: EmployeeId = Field(
        description="The employee, by an id that is pseudonymous and theirs at this site alone."
    )
    site: SiteId
    listing: Annotated[Listing, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="What the roster says of the employee."
    )
    listed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="From when it holds; the newest listing counts."
    )

    def key(self) -> str:
        """The employee of the site; compaction keeps the latest."""
        return employee_name(self.site, self.employee_id)


class Employee(Document):
    """One employee of a site as last listed."""

    KIND: ClassVar[str] = "employee"
    LASTS: ClassVar[bool] = True

    listing: Listing
    listed_at: datetime
    #: Until when they are on shift by a check-in; only compensation knows it.
    checked_in_until: datetime | None = None


def employee_name(site: str, employee_id: str) -> str:
    """The employee's name in keys and accounts: site and id, separated by a blank, which neither contains.

    A name longer than an id may be is replaced by its fingerprint.
    """
    name = f"{site} {employee_id}"
    return name if len(name) <= NAME_CHARS_MAX else fingerprint("employee", site, employee_id)


def listed(employee: Employee | None, fact: EmployeeListed) -> Employee:
    """The employee as listed, unless a newer listing is known: our own facts come back by the topic."""
    if employee is not None and fact.listed_at < employee.listed_at:
        return employee
    return Employee(
        listing=fact.listing,
        listed_at=fact.listed_at,
        checked_in_until=employee.checked_in_until if employee else None,
    )


#: How every service that needs the roster stores it.
LISTED = Fold(Employee, lambda fact: employee_name(fact.site, fact.employee_id), listed)


class WishedShift(Shift):
    """A shift in a command: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WishedListing(Listing):
    """A listing in a command: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: Annotated[
        WishedShift | None,
        Field(description="When the employee works each week; null if only their check-ins say."),
    ] = None


class EmployeeListing(BaseModel):
    """The body of `PUT /v1/employees/{id}`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"site": "ms-aurora", "listing": {"role": "deck"}}]},
    )

    site: Annotated[
        Id, Field(description="The site whose roster it is: that of the caller's token.")
    ]
    listing: Annotated[
        WishedListing, Field(description="What the roster says of the employee from now on.")
    ]
