"""Who works where: a site's roster as a file, and each employee as a fact on a compacted topic.

Ids are pseudonymous; names stay in the personnel system.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts.complaints import Language
from shared.contracts.event import Fact, Id
from shared.contracts.policy import Contradiction, LocalTime, Part

#: Twice the crew of the largest ships.
EMPLOYEES_MAX = 5_000


class Weekday(StrEnum):
    """Days as ISO 8601 counts them."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Shift(Part):
    """When an employee works each week, in the site's local time; over midnight if it ends earlier."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = tuple(Weekday)
    starts: LocalTime
    ends: LocalTime

    def contradictions(self) -> Iterator[Contradiction]:
        """A shift lasts, and is written in local time."""
        if self.starts == self.ends:
            yield ("ends",), str(self.ends), "must differ from starts"
        for name, at in (("starts", self.starts), ("ends", self.ends)):
            if isinstance(at, time) and at.tzinfo is not None:
                yield (name,), str(at), "must be a local time without a zone"


class Listing(Part):
    """What a roster says of one employee."""

    role: Id
    languages: Annotated[tuple[Language, ...], Field(max_length=16)] = ()
    shift: Shift | None = None
    active: bool = True


class Roster(Part):
    """A site's employees."""

    site: Id
    employees: Annotated[dict[Id, Listing], Field(min_length=1, max_length=EMPLOYEES_MAX)]


class EmployeeListed(Fact):
    """An employee as the roster or the personnel system has them from `listed_at` on."""

    TYPE: ClassVar[str] = "recovery.employee.listed.v1"
    TOPIC: ClassVar[str] = "recovery.roster.v1"

    employee_id: Id
    site: Id
    listing: Listing
    listed_at: AwareDatetime

    def key(self) -> str:
        """The employee; compaction keeps the latest."""
        return self.employee_id


class WishedShift(Shift):
    """A shift in a command: nothing that is unknown is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WishedListing(Listing):
    """A listing in a command: nothing that is unknown is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shift: WishedShift | None = None


class EmployeeListing(BaseModel):
    """The body of `PUT /v1/employees/{id}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: Id
    listing: WishedListing
