"""Facts owned by the complaints service."""

from __future__ import annotations

from enum import StrEnum
from operator import not_
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from shared.contracts.event import Id, Sealed, absent
from shared.contracts.intake import Channel
from shared.kernel import Fact


class Category(StrEnum):
    """What the complaint is about."""

    FOOD = "food"
    DELAY = "delay"
    NOISE = "noise"
    CLEANLINESS = "cleanliness"
    STAFF = "staff"
    BILLING = "billing"
    BAGGAGE = "baggage"
    FACILITIES = "facilities"
    SAFETY = "safety"
    OTHER = "other"


class Severity(StrEnum):
    """How bad it is for this customer."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Language(StrEnum):
    """The languages we answer in."""

    NB = "nb"
    SV = "sv"
    DA = "da"
    EN = "en"


class Service(StrEnum):
    """Which service failed, where a right by law may depend on it."""

    #: The journey itself: the sailing, train, bus or flight.
    DEPARTURE = "departure"
    EXCURSION = "excursion"
    MEAL = "meal"
    OTHER = "other"


class ComplaintFact(Fact):
    """Common to all: facts of one complaint keep their order."""

    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    complaint_id: Id

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class ComplaintReceived(ComplaintFact):
    """A complaint is ours now: recorded once, words and contact sealed."""

    TYPE: ClassVar[str] = "recovery.complaint.received.v1"

    customer_ref: Id
    site: Id
    channel: Channel
    language: Language
    text: Sealed
    contact: Sealed | None = None
    raised_by: Id | None = None
    occurred_at: AwareDatetime | None = None
    received_at: AwareDatetime
    #: A keyed hash of what was raised: tells a repeat from another complaint under the same id.
    content: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None


class ComplaintRepeated(ComplaintFact):
    """The same event came again from its source; nothing else happens."""

    TYPE: ClassVar[str] = "recovery.complaint.repeated.v1"


class ComplaintTriaged(ComplaintFact):
    """Category, severity and the promise: by when the customer hears from us."""

    TYPE: ClassVar[str] = "recovery.complaint.triaged.v1"

    customer_ref: Id
    site: Id
    language: Language
    category: Category
    severity: Severity
    safety: bool
    promised_by: AwareDatetime
    policy_version: Annotated[int, Field(ge=1)]
    #: Whether a message reaches the customer: by mail, whatever else their contact says.
    has_contact: bool
    #: Which service failed, where the words or the employee say so.
    service: Annotated[Service | None, Field(exclude_if=absent)] = None
    #: Whoever raised it, as a keyed fingerprint: `pe-…` a customer by themselves, `so-…` another system or
    #: the desks of a site. What they can have us send is limited by it.
    sender_ref: Id | None = None
    #: Something was given on the spot already; nothing is left to acknowledge.
    answered: bool = False
    #: Whom it counts for in an incident, where that is not its customer_ref: the customer's link, or
    #: the publisher that names no customer. A pseudonym; not written where it is not so.
    counts_for: Annotated[Id | None, Field(exclude_if=not_)] = None


class ComplaintClaimed(ComplaintFact):
    """One named employee has it now: whoever gave the customer something."""

    TYPE: ClassVar[str] = "recovery.complaint.claimed.v1"

    employee_id: Id
    claimed_at: AwareDatetime


class ComplaintConfirmed(ComplaintFact):
    """The customer said it helped."""

    TYPE: ClassVar[str] = "recovery.complaint.confirmed.v1"

    confirmed_at: AwareDatetime


class ComplaintReopened(ComplaintFact):
    """The customer said it did not help: back with the same employee, with a new promise."""

    TYPE: ClassVar[str] = "recovery.complaint.reopened.v1"

    customer_ref: Id
    site: Id
    language: Language
    employee_id: Id | None
    round: Annotated[int, Field(ge=1, le=1000)]
    promised_by: AwareDatetime
    has_contact: bool
    #: When the customer said so: what they were given before then is no answer to it.
    reopened_at: AwareDatetime | None = None


class ComplaintOverdue(ComplaintFact):
    """A promised time passed and the customer had not heard from us; once per promise."""

    TYPE: ClassVar[str] = "recovery.complaint.overdue.v1"

    customer_ref: Id
    site: Id
    category: Category
    severity: Severity
    #: Who has it; None if nobody ever took it on.
    employee_id: Id | None
    #: Whose promise: 0 for the first, then of the round.
    round: Annotated[int, Field(ge=0, le=1000)]
    promised_by: AwareDatetime
    overdue_at: AwareDatetime
