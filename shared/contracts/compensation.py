"""Facts owned by the compensation service: what employees gave, what became of it, what did not fit."""

from __future__ import annotations

from enum import StrEnum
from operator import not_
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.data import About, Data
from shared.contracts.event import (
    AmountMinor,
    CheckId,
    ComplaintId,
    Currency,
    CustomerRef,
    EmployeeId,
    Id,
    Sealed,
    SiteId,
    Version,
    absent,
)
from shared.contracts.reasons import Reason
from shared.kernel import Fact
from shared.money import AMOUNT_MINOR_MAX

#: An account's name: whose it is, and its currency and window; the scope follows from these.
Account = Annotated[
    str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9 ._:/@+-]+$", max_length=256)
]
#: Words of a law, as a policy states them.
Information = Annotated[str, StringConstraints(max_length=2000)]
#: The same bound as for a title in a policy.
TitleOnFact = Annotated[str, StringConstraints(min_length=1, max_length=120)]
CodeHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ItemName = Annotated[
    Id,
    Field(
        description="Name of the check in the catalogue, with its amount if it has one: `<item>/<amount>`."
    ),
]
ValueMinor = Annotated[
    AmountMinor,
    Field(description="What it is worth to the customer, in minor units of `currency`."),
]
CostMinor = Annotated[
    AmountMinor,
    Field(
        description="What it costs the site and counts against every limit, in minor units of `currency`."
    ),
]
Percent = Annotated[
    int | None,
    Field(
        ge=1, le=100, exclude_if=absent, description="Of a percentage: per cent taken off a bill."
    ),
]
BillUpTo = Annotated[
    AmountMinor | None,
    Field(
        exclude_if=absent,
        description="Of a percentage: the largest bill it holds for, in minor units of `currency`.",
    ),
]
ServiceNamed = Annotated[
    Service | None,
    Field(
        description="Which service failed, as the employee or the complaint says; the customer's rights follow from it. Absent if unknown."
    ),
]
Again = Annotated[
    bool,
    Field(
        exclude_if=not_,
        description="Whether the employee meant it although a colleague had given or offered something; absent if not.",
    ),
]
RoleThen = Annotated[
    Id | None,
    Field(
        description="The employee's role at that moment, by which their authority was looked up; absent where nobody's authority was asked for, and in facts older than this field."
    ),
    Data.PERSONAL,
    About.EMPLOYEE,
]
#: What is given to delight has an id that begins so, where a complaint's id stands; no complaint's does.
DELIGHT_ID = "de-"
#: A business window like `2026-06-03`, `2026-06-03/1400`, `2026-W23`.
WindowId = Annotated[str, StringConstraints(pattern=r"^[0-9W/-]+$", max_length=32)]
#: At most so many parts of one check are held at once, and so many redeemed parts are listed.
REDEMPTIONS_MAX = 32
#: More options do not fit on a phone's screen.
OFFERED_MAX = 3
#: Groups that one run shows: a page to read. Smaller groups are merged into the last one.
TRIED_GROUPS_MAX = 100
#: The largest number of complaints that a policy may require to open an incident.
INCIDENT_COUNT_MAX = 50


class CheckKind(StrEnum):
    """What form a service check has."""

    MONEY = "money"
    PERCENTAGE = "percentage"
    EXPERIENCE = "experience"
    GIFT_CARD = "gift_card"
    REFUND = "refund"
    APOLOGY = "apology"


class Basis(StrEnum):
    """Why a check is given: goodwill, a right by law, or to delight a customer who did not complain."""

    GOODWILL = "goodwill"
    STATUTORY = "statutory"
    DELIGHT = "delight"


class Scope(StrEnum):
    """Whose limit an account holds; a refusal names the scope that had too little left."""

    CHECK = "check"
    EMPLOYEE_SHIFT = "employee_shift"
    EMPLOYEE_DAY = "employee_day"
    EMPLOYEE_WEEK = "employee_week"
    CUSTOMER_STAY = "customer_stay"
    CUSTOMER_DAY = "customer_day"
    CUSTOMER_CHECKS = "customer_checks"
    COMPLAINT = "complaint"
    SITE_DAY = "site_day"
    INCIDENT = "incident"
    STRETCH = "stretch"
    DELIGHT = "delight"


class Safety(StrEnum):
    """What an employee says somebody's safety is about."""

    INJURY = "injury"
    ALLERGY = "allergy"
    DISCRIMINATION = "discrimination"
    CHILD = "child"
    FIRE = "fire"
    OTHER = "other"


class _Part(BaseModel):
    """A part of a fact."""

    model_config = ConfigDict(frozen=True, extra="ignore")


#: What each account is charged or given back: minor units of the check's currency, or a number. There
#: is an account per scope at most, so the bound has room.
Charges = Annotated[
    dict[Account, Annotated[int, Field(strict=True, gt=0, le=AMOUNT_MINOR_MAX)]],
    Field(max_length=16),
]
#: What is left per scope; its ceiling and window follow from the policy.
Left = Annotated[dict[Scope, AmountMinor], Field(max_length=16)]
#: The unit of both.
UNIT = "minor units of the check's `currency`; a number of checks for the scope `customer_checks`, of times for `stretch`"


class Option(_Part):
    """A check that can be given: a catalogue item with its cost to the site and its value to the customer."""

    item: ItemName
    kind: CheckKind = Field(description="What form the check has.")
    value_minor: ValueMinor
    cost_minor: CostMinor
    currency: Currency
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None
    fits_reason: bool = Field(
        default=False, description="Whether the catalogue has it for complaints of this reason."
    )
    why: Annotated[str, StringConstraints(pattern=r"^[a-z_]*$", max_length=32)] = Field(
        "",
        description="What puts the option where it is in the list; empty where nobody ordered the list.",
    )


class CompensationFact(Fact):
    """A fact of the compensation service."""

    TOPIC: ClassVar[str] = "recovery.compensation.v1"


class CheckFact(CompensationFact):
    """Facts of one check keep their order."""

    check_id: CheckId
    site: SiteId

    def key(self) -> str:
        """The check."""
        return self.check_id


class CaseOpened(CompensationFact):
    """Compensation knows of a complaint: checks may be given for it, and the customer's wait is measured."""

    TYPE: ClassVar[str] = "recovery.case.opened.v1"

    complaint_id: ComplaintId
    customer_ref: CustomerRef
    site: SiteId
    reason: Annotated[Category, Data.INTERNAL] = Field(description="Category of the complaint.")
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity of the complaint.")
    day: Annotated[WindowId, Data.INTERNAL] = Field(
        description="Business day of the site in which the complaint is counted."
    )
    opened_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the complaint came to us; the customer's wait counts from it."
    )
    counts_for: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Pseudonym that counts as the customer in an incident where that is not `customer_ref`; absent otherwise.",
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class Wished(CheckFact):
    """The fields that a check given and a check refused have in common."""

    complaint_id: Annotated[Id, Data.PERSONAL] = Field(
        description="The complaint's id; of a check that is given to delight, an id of its own that no complaint has."
    )
    customer_ref: CustomerRef
    employee_id: EmployeeId = Field(description="Employee who asked for the check.")
    role: RoleThen = None
    item: Annotated[Id, Data.INTERNAL] = Field(
        description="Name of the check in the site's catalogue, with its amount if it has one: `<item>/<amount>`."
    )
    policy_version: Version
    reason: Annotated[Category, Data.INTERNAL] = Field(
        Category.OTHER, description="Category of the complaint that it is given for."
    )
    severity: Annotated[Severity, Data.INTERNAL] = Field(
        Severity.MILD, description="Severity of the complaint."
    )
    basis: Annotated[Basis, Data.INTERNAL] = Field(
        Basis.GOODWILL,
        description="Why it is given: goodwill, because the law says so, or to delight a customer who did not complain.",
    )
    delight: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Name of the occasion in the policy on which it is given to delight; absent if it is given for a complaint.",
    )
    consent: Annotated[bool, Field(exclude_if=not_), Data.PERSONAL] = Field(
        default=False,
        description="Whether the customer agreed to something else than cash; absent if not.",
    )
    service: Annotated[ServiceNamed, Data.INTERNAL] = None
    again: Annotated[Again, Data.INTERNAL] = False
    incident_id: Annotated[Id | None, Data.INTERNAL] = Field(
        None,
        description="The incident whose budget pays for it; absent for a check of an employee's own.",
    )
    offer_id: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="The offer that the customer chose it from; absent if it was given directly.",
    )
    currency: Currency
    cost_minor: Annotated[CostMinor, Data.INTERNAL]
    reachable: Annotated[bool | None, Data.INTERNAL] = Field(
        None, description="Whether a message reaches the customer; absent where it is not known."
    )

    @property
    def for_complaint(self) -> str | None:
        """The complaint that it is for; None if it is to delight."""
        return self.complaint_id if self.delight is None else None


class CheckIssued(Wished):
    """An employee gave a service check; the code is sealed for the customer."""

    TYPE: ClassVar[str] = "recovery.check.issued.v1"

    kind: Annotated[CheckKind, Data.INTERNAL] = Field(description="What form the check has.")
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is told of it."
    )
    value_minor: Annotated[ValueMinor, Data.INTERNAL]
    percent: Annotated[Percent, Data.INTERNAL] = None
    bill_up_to_minor: Annotated[BillUpTo, Data.INTERNAL] = None
    code: Annotated[Sealed, Data.PERSONAL] = Field(
        description="The code that the customer shows, sealed under the customer's key."
    )
    code_hash: Annotated[CodeHash, Data.PERSONAL] = Field(
        description="Keyed hash of the code, 64 hex characters: tills find the check by it."
    )
    valid_until: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When its time is over."
    )
    valid_at: Annotated[tuple[Id, ...], Field(max_length=16), Data.PUBLIC] = Field(
        (),
        description="Outlets that take it, by their ids in the policy; everywhere at the site if empty.",
    )
    issued_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was given.")
    complained_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When the complaint came to us; the time until `issued_at` is how long the customer waited. Absent if unknown.",
    )
    first: Annotated[bool, Data.INTERNAL] = Field(
        default=False, description="Whether it is the first check of its complaint."
    )
    explain_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when the employee explains a stretch in one line; absent if it was within the ceilings.",
    )
    regime: Annotated[Id | None, Data.PUBLIC] = Field(
        None,
        description="Name of the regime in the policy that a statutory check follows; absent otherwise.",
    )
    information: Annotated[Information | None, Data.PUBLIC] = Field(
        None,
        description="What the customer must be told of their rights, in their language, as they were told; absent if nothing.",
    )
    day: Annotated[WindowId | None, Data.INTERNAL] = Field(
        None,
        description="Business day of the site in which it was given and is counted; absent if it is not counted.",
    )
    version_in_force: Version | None = Field(
        None,
        description="Number of the version of the policy that named the day and the customer's rights; absent where it is `policy_version`.",
    )
    at_desk: Annotated[bool, Field(exclude_if=not_), Data.INTERNAL] = Field(
        default=False,
        description="Whether an employee gave an incident's check by hand to this customer; absent if not.",
    )
    note: Annotated[Sealed | None, Data.SPECIAL] = Field(
        None,
        description="What the employee wrote about the occasion, sealed under a key of the customer and the month; absent if nothing.",
    )
    contact: Annotated[Sealed | None, Data.PERSONAL] = Field(
        None,
        description="Of a check that is given to delight: name, mail address and telephone as JSON, sealed under the customer's key; absent if none was given.",
    )
    debits: Annotated[Charges, Data.PERSONAL] = Field(
        description=f"What it is charged, by account: {UNIT}."
    )
    left: Annotated[Left, Data.INTERNAL] = Field(
        description=f"What is left afterwards, by scope: {UNIT}."
    )


class CheckRefused(Wished):
    """A check did not fit: the scope that refused it, and what would fit instead."""

    TYPE: ClassVar[str] = "recovery.check.refused.v1"

    offered: Annotated[
        tuple[Id, ...], Field(max_length=OFFERED_MAX, exclude_if=not_), Data.INTERNAL
    ] = Field(
        (),
        description="Of an offer that did not fit, what the customer was to choose between, by name in the catalogue; absent otherwise.",
    )
    bound_by: Annotated[Scope, Data.INTERNAL] = Field(
        description="The first scope that could not hold the check."
    )
    left: Annotated[Left, Data.INTERNAL] = Field(description=f"What is left, by scope: {UNIT}.")
    alternatives: Annotated[tuple[Option, ...], Field(max_length=32), Data.INTERNAL] = Field(
        description="What fits instead, best first; each costs at most what is left everywhere."
    )
    colleague_id: EmployeeId | None = Field(
        None,
        description="A colleague on shift whose authority would hold it, a peer to stand in; absent if there is none.",
    )
    regime: Annotated[Id | None, Data.PUBLIC] = Field(
        None,
        description="Name of the regime in the policy by which something is due whatever fits; absent if none.",
    )
    information: Annotated[Information | None, Data.PUBLIC] = Field(
        None,
        description="What the customer must be told of their rights, in their language; absent if nothing.",
    )
    refused_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was decided.")


class CheckExplained(CheckFact):
    """The employee explained a stretch in one line. It is for coaching: the check is given already."""

    TYPE: ClassVar[str] = "recovery.check.explained.v1"

    employee_id: EmployeeId = Field(description="Employee who gave the check and explains it.")
    explanation: Annotated[Sealed, Data.SPECIAL] = Field(
        description="The one line, sealed under a key of the customer and the month."
    )
    explained_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was explained."
    )


class CheckUnexplained(CheckFact):
    """The time to explain a stretch is over. It is recorded and lowers no authority."""

    TYPE: ClassVar[str] = "recovery.check.unexplained.v1"

    employee_id: EmployeeId = Field(description="Employee who gave the check.")
    noted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the time to explain was over."
    )


class CheckEnded(CheckFact):
    """A check ended; what was not redeemed goes back to the accounts that were charged."""

    credits: Annotated[Charges, Data.PERSONAL] = Field(
        description=f"What goes back, by account that was charged: {UNIT}."
    )
    unredeemed_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What was not redeemed of its value, in minor units of the check's currency."
    )
    currency: Currency | None = Field(
        None,
        description="Currency code of ISO 4217 of the check; absent in facts older than this field.",
    )


class CheckVoided(CheckEnded):
    """An employee took a check back: it was given by mistake."""

    TYPE: ClassVar[str] = "recovery.check.voided.v1"

    complaint_id: ComplaintId | None = Field(
        None, description="The check's complaint; absent in facts older than this field."
    )
    employee_id: EmployeeId = Field(description="Employee who took it back.")
    voided_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was taken back."
    )

    @property
    def for_complaint(self) -> str | None:
        """The complaint that the check was for; None if it was to delight, or in facts older than this field."""
        to_delight = self.complaint_id is not None and self.complaint_id.startswith(DELIGHT_ID)
        return None if to_delight else self.complaint_id


class CheckExpired(CheckEnded):
    """The check's time is over."""

    TYPE: ClassVar[str] = "recovery.check.expired.v1"

    expired_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was noted that its time is over."
    )


class CheckSuspended(CheckFact):
    """A check cannot be redeemed for now, because its code was lost or copied."""

    TYPE: ClassVar[str] = "recovery.check.suspended.v1"

    employee_id: EmployeeId = Field(description="Employee who stopped it.")
    suspended_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="From when it is not taken."
    )


class CheckResumed(CheckFact):
    """A suspended check can be redeemed again."""

    TYPE: ClassVar[str] = "recovery.check.resumed.v1"

    employee_id: EmployeeId = Field(description="Employee who let it be taken again.")
    resumed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="From when it is taken again."
    )


class CheckPraised(CheckFact):
    """Somebody who reads the figures of the site said that a stretch was a good call. It changes nothing.

    The check was given before, so this is praise, and nothing depends on it.
    """

    TYPE: ClassVar[str] = "recovery.check.praised.v1"

    employee_id: EmployeeId = Field(description="Employee who gave the check.")
    by: Annotated[Id, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Who said so, by the subject of their token."
    )
    praised_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they said so.")


class RedemptionFact(CheckFact):
    """One step of a redemption; the facts of one check keep their order."""

    redemption_id: Annotated[Id, Data.PERSONAL] = Field(
        description="The redemption's id: one till, one use of a check."
    )
    amount_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="The part of the check this step is about, in minor units of `currency`."
    )
    currency: Currency


class RedemptionTold(RedemptionFact):
    """What a till is told of the check that it redeems; an answer has no field without a value."""

    item: Annotated[Id | None, Field(exclude_if=absent), Data.INTERNAL] = Field(
        None,
        description="Name of the check in the site's catalogue, with its amount if it has one.",
    )
    kind: Annotated[CheckKind | None, Field(exclude_if=absent), Data.INTERNAL] = Field(
        None, description="What form the check has."
    )
    title: Annotated[TitleOnFact | None, Field(exclude_if=absent), Data.INTERNAL] = Field(
        None, description="What the catalogue calls it, in the site's first language."
    )
    value_minor: Annotated[AmountMinor | None, Field(exclude_if=absent), Data.INTERNAL] = Field(
        None, description="What the whole check is worth, in minor units of `currency`."
    )
    left_minor: Annotated[AmountMinor | None, Field(exclude_if=absent), Data.INTERNAL] = Field(
        None,
        description="What can be held or redeemed of it after this step, in minor units of `currency`; 0 for a check that is redeemed whole.",
    )
    percent: Annotated[Percent, Data.INTERNAL] = None
    bill_up_to_minor: Annotated[BillUpTo, Data.INTERNAL] = None


class RedemptionReserved(RedemptionTold):
    """A till holds a part of a check until it knows the amount to redeem."""

    TYPE: ClassVar[str] = "recovery.redemption.reserved.v1"

    till: Annotated[Id, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Till that holds the part: an outlet's id, or the employee who stands in as one."
    )
    expires_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the hold is free again if it is not captured."
    )
    reserved_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the till reserved it."
    )


class RedemptionCaptured(RedemptionTold):
    """A till redeemed the held part or less of it; the rest of the hold is free again."""

    TYPE: ClassVar[str] = "recovery.redemption.captured.v1"

    captured_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the till redeemed it."
    )


class RedemptionCancelled(RedemptionFact):
    """A hold is free again: the till cancelled it, or its time is over."""

    TYPE: ClassVar[str] = "recovery.redemption.cancelled.v1"

    expired: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether the hold's time was over; false if the till gave it back.",
    )
    cancelled_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the hold was free again."
    )


class RedemptionRolledBack(RedemptionFact):
    """A redemption was undone; its amount is on the check again."""

    TYPE: ClassVar[str] = "recovery.redemption.rolledback.v1"

    rolled_back_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was put on the check again."
    )


class OfferFact(CompensationFact):
    """Facts of one offer keep their order."""

    offer_id: Annotated[Id, Data.PERSONAL] = Field(description="The offer's id.")
    complaint_id: ComplaintId
    site: SiteId

    def key(self) -> str:
        """The offer."""
        return self.offer_id


class OfferMade(OfferFact):
    """The customer may choose one of the options; authority for the dearest is held until then."""

    TYPE: ClassVar[str] = "recovery.offer.made.v1"

    customer_ref: CustomerRef
    employee_id: EmployeeId = Field(description="Employee who offered.")
    role: RoleThen = None
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is asked."
    )
    reason: Annotated[Category, Data.INTERNAL] = Field(
        description="Category of the complaint that it is offered for."
    )
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity of the complaint.")
    policy_version: Version
    service: Annotated[ServiceNamed, Data.INTERNAL] = None
    again: Annotated[Again, Data.INTERNAL] = False
    options: Annotated[
        tuple[Option, ...], Field(min_length=2, max_length=OFFERED_MAX), Data.INTERNAL
    ] = Field(description="The checks to choose between.")
    held: Annotated[Charges, Data.PERSONAL] = Field(
        description=f"What is held for the dearest option until the customer chooses, by account: {UNIT}."
    )
    regime: Annotated[Id | None, Data.PUBLIC] = Field(
        None,
        description="Name of the regime in the policy by which something is due whatever is chosen; absent if none.",
    )
    information: Annotated[Information | None, Data.PUBLIC] = Field(
        None,
        description="What the customer must be told of their rights, in their language; absent if nothing.",
    )
    expires_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="Until when the customer may choose."
    )
    offered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was offered.")
    reachable: Annotated[bool | None, Data.INTERNAL] = Field(
        None, description="Whether a message reaches the customer; absent where it is not known."
    )


class OfferChosen(OfferFact):
    """The customer chose. The held authority is free again, and the check is charged."""

    TYPE: ClassVar[str] = "recovery.offer.chosen.v1"

    check_id: CheckId
    item: Annotated[Id, Data.INTERNAL] = Field(description="The option that was chosen.")
    by_customer: Annotated[bool, Data.PERSONAL] = Field(
        description="Whether the customer chose by their link; false if an employee did on their screen."
    )
    credits: Annotated[Charges, Data.PERSONAL] = Field(
        description=f"What was held and is free again, by account: {UNIT}."
    )
    chosen_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was chosen.")


class OfferLapsed(OfferFact):
    """The time to choose is over; the held authority is free again."""

    TYPE: ClassVar[str] = "recovery.offer.lapsed.v1"

    credits: Annotated[Charges, Data.PERSONAL] = Field(
        description=f"What was held and is free again, by account: {UNIT}."
    )
    lapsed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the time to choose was over."
    )


class ComplaintLogged(CompensationFact):
    """An employee wrote down what a customer said on the spot; complaints makes a complaint of it."""

    TYPE: ClassVar[str] = "recovery.complaint.logged.v1"

    complaint_id: ComplaintId
    customer_ref: CustomerRef
    site: SiteId
    employee_id: EmployeeId = Field(description="Employee who was told and wrote it down.")
    reason: Annotated[Category, Data.INTERNAL] = Field(
        description="What the complaint is about, as the employee said."
    )
    severity: Annotated[Severity, Data.INTERNAL] = Field(
        description="How bad it is for this customer, as the employee said."
    )
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is answered."
    )
    text: Annotated[Sealed, Data.SPECIAL] = Field(
        description="What the employee wrote down, sealed under a key of the customer and the month."
    )
    contact: Annotated[Sealed | None, Data.PERSONAL] = Field(
        None,
        description="Name, mail address and telephone as JSON, sealed under the customer's key; absent if none was given.",
    )
    has_contact: Annotated[bool | None, Data.INTERNAL] = Field(
        None,
        description="Whether a message reaches the customer; where it is absent, a contact has a mail address.",
    )
    safety: Annotated[Safety | None, Data.SPECIAL] = Field(
        None, description="Whose safety is concerned, as the employee said; absent if nobody's."
    )
    service: Annotated[Service | None, Data.INTERNAL] = Field(
        None, description="Which service failed, as the employee said; absent if not said."
    )
    answered: Annotated[bool, Data.INTERNAL] = Field(
        default=True,
        description="Whether something was given with it; false where nothing fitted, and the customer still waits.",
    )
    logged_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was written down."
    )

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SafetyNoted(CheckFact):
    """Somebody's safety is concerned, whether or not the check fits; the notifier writes to role mailboxes."""

    TYPE: ClassVar[str] = "recovery.safety.noted.v1"

    complaint_id: ComplaintId
    customer_ref: CustomerRef
    employee_id: EmployeeId = Field(description="Employee who said so.")
    safety: Annotated[Safety, Data.SPECIAL] = Field(description="What somebody's safety is about.")
    noted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the employee said so."
    )


class IncidentFact(CompensationFact):
    """Facts of one incident keep their order."""

    incident_id: Annotated[Id, Data.INTERNAL] = Field(description="The incident's id.")
    site: SiteId

    def key(self) -> str:
        """The incident."""
        return self.incident_id


class IncidentOpened(IncidentFact):
    """Many customers of one site complain about one thing; each may get the group check from its budget."""

    TYPE: ClassVar[str] = "recovery.incident.opened.v1"

    reason: Annotated[Category, Data.INTERNAL] = Field(description="What the complaints are about.")
    employee_id: EmployeeId | None = Field(
        None, description="Employee who opened it; absent where the number of complaints did."
    )
    complaint_ids: Annotated[
        tuple[Id, ...], Field(max_length=INCIDENT_COUNT_MAX), Data.PERSONAL
    ] = Field(description="One complaint of each affected customer.")
    customers: Annotated[tuple[Id, ...], Field(max_length=INCIDENT_COUNT_MAX), Data.PERSONAL] = (
        Field(
            (),
            description="Who counts as the customer of each of `complaint_ids`, in the same order, by pseudonym.",
        )
    )
    item: Annotated[Id, Data.INTERNAL] = Field(
        description="The check that everybody affected gets, by its name in the catalogue."
    )
    budget_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What all its checks may cost together, in minor units of `currency`."
    )
    currency: Currency
    policy_version: Version
    opened_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was opened.")


class IncidentJoined(IncidentFact):
    """One more customer is affected, by this complaint."""

    TYPE: ClassVar[str] = "recovery.incident.joined.v1"

    complaint_id: ComplaintId
    customer: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Who counts as the customer, by pseudonym; absent in facts older than this field.",
    )
    number: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Position of the customer among those affected, from 0."
    )
    joined_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer joined."
    )


#: How many complaints of an incident, by why nothing is given for them.
NotComplaints = Annotated[
    int,
    Field(
        ge=0,
        description="Number of complaints left out because an employee found none in them: praise, a question, or nothing.",
    ),
    Data.INTERNAL,
]
Withdrawn = Annotated[
    int,
    Field(
        ge=0, description="Number of complaints left out because their customers took them back."
    ),
    Data.INTERNAL,
]
Merged = Annotated[
    int,
    Field(
        ge=0,
        description="Number of complaints left out because another one goes on for them, whose customer has the group check.",
    ),
    Data.INTERNAL,
]


class IncidentGiving(IncidentFact):
    """An employee gives the group check to everybody who is affected and has none yet."""

    TYPE: ClassVar[str] = "recovery.incident.giving.v1"

    employee_id: EmployeeId = Field(description="Employee who gives the group check to all.")
    affected: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of customers who are affected and get one now, as far as the budget holds it."
    )
    left_out_unfounded: NotComplaints = 0
    left_out_withdrawn: Withdrawn = 0
    left_out_merged: Merged = 0
    began_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When the giving began.")


class IncidentGiven(IncidentFact):
    """How many of the affected customers were given the group check so far."""

    TYPE: ClassVar[str] = "recovery.incident.given.v1"

    done: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of affected complaints looked at since the incident was opened."
    )
    remaining: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of affected complaints not yet looked at; zero ends the giving."
    )
    given: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of group checks given since the incident was opened."
    )
    skipped: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        0,
        description="Number of customers who got none: the budget did not hold it, or the customer was erased.",
    )
    left_out_unfounded: NotComplaints = 0
    left_out_withdrawn: Withdrawn = 0
    left_out_merged: Merged = 0
    given_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When this step was done."
    )


class IncidentClosed(IncidentFact):
    """The incident is over; later complaints do not join it."""

    TYPE: ClassVar[str] = "recovery.incident.closed.v1"

    reason: Annotated[Category, Data.INTERNAL] = Field(
        description="What the complaints were about."
    )
    employee_id: EmployeeId = Field(description="Employee who closed it.")
    closed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was closed.")


class WindowOpened(CompensationFact):
    """A site's business day begins; unused authority is counted at its end."""

    TYPE: ClassVar[str] = "recovery.window.opened.v1"

    site: SiteId
    day: Annotated[WindowId, Data.INTERNAL] = Field(description="The business day that begins.")
    until: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it ends and is counted."
    )

    def key(self) -> str:
        """The site."""
        return self.site


class WindowClosed(CompensationFact):
    """A site's business day in figures, with the authority that nobody used."""

    TYPE: ClassVar[str] = "recovery.window.closed.v1"

    site: SiteId
    day: Annotated[WindowId, Data.INTERNAL] = Field(description="The business day that ended.")
    currency: Currency
    complaints: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of complaints that came, per site and day."
    )
    complaints_with_check: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of complaints whose first check was given that day, per site and day."
    )
    checks: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of checks given, per site and day."
    )
    employees: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of active employees on the roster whose role has a ceiling for the day."
    )
    employees_idle: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of those employees who gave nothing that cost anything."
    )
    ceiling_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What employees might have given: minor units of `currency`, per site and day, sum of the ceilings of `employees`."
    )
    used_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What employees gave at cost: minor units of `currency`, per site and day, sum over `employees`."
    )
    waited_s: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Seconds from complaint to its first check: per site and day, sum over `complaints_with_check`."
    )
    closed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was counted.")

    def key(self) -> str:
        """The site."""
        return self.site


class AuthorityOpened(CompensationFact):
    """A site's shift or week begins; unused authority is counted at its end."""

    TYPE: ClassVar[str] = "recovery.authority.opened.v1"

    site: SiteId
    scope: Annotated[Scope, Data.INTERNAL] = Field(description="Whether it is a shift or a week.")
    window: Annotated[WindowId, Data.INTERNAL] = Field(
        description="Name of the shift or week that begins."
    )
    until: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When it ends and is counted; absent if no role has a ceiling for it any more, and it is not counted.",
    )

    def key(self) -> str:
        """The site."""
        return self.site


class AuthorityCounted(CompensationFact):
    """A shift or week in figures, over the employees whose role has a ceiling for it."""

    TYPE: ClassVar[str] = "recovery.authority.counted.v1"

    site: SiteId
    scope: Annotated[Scope, Data.INTERNAL] = Field(description="Whether it is a shift or a week.")
    window: Annotated[WindowId, Data.INTERNAL] = Field(
        description="Name of the shift or week that ended."
    )
    currency: Currency
    employees: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of active employees on the roster whose role has a ceiling for the window."
    )
    employees_idle: Annotated[int, Field(ge=0), Data.INTERNAL] = Field(
        description="Number of those employees who gave nothing that cost anything."
    )
    ceiling_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What employees might have given: minor units of `currency`, per site and window, sum of the ceilings of `employees`."
    )
    used_minor: Annotated[AmountMinor, Data.INTERNAL] = Field(
        description="What employees gave at cost: minor units of `currency`, per site and window, sum over `employees`."
    )
    counted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was counted.")

    def key(self) -> str:
        """The site."""
        return self.site


class ShiftStarted(CompensationFact):
    """An employee checked in from the phone; the roster stays as it is."""

    TYPE: ClassVar[str] = "recovery.shift.started.v1"

    employee_id: EmployeeId = Field(description="Employee who checked in.")
    site: SiteId
    until: Annotated[AwareDatetime, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Until when the employee works, as they said."
    )
    started_at: Annotated[AwareDatetime, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="When they checked in."
    )

    def key(self) -> str:
        """The employee."""
        return self.employee_id


class ShiftEnded(CompensationFact):
    """An employee checked out."""

    TYPE: ClassVar[str] = "recovery.shift.ended.v1"

    employee_id: EmployeeId = Field(description="Employee who checked out.")
    site: SiteId
    ended_at: Annotated[AwareDatetime, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="When they checked out."
    )

    def key(self) -> str:
        """The employee."""
        return self.employee_id


class Period(StrEnum):
    """Over which time a draft of a policy is tried: blocks of 30 days that ended, the latest first.

    Blocks are the same for every site and run, and of one length: the difference of two times that overlap would
    show a single day's wishes, or a single week's.
    """

    MONTH = "P30D"
    QUARTER = "P90D"


#: How counts of a run are told.
STEPS = "to the nearest five, or to a larger step where one employee has more"
#: When a change is told.
IF_TOLD = "0 if fewer than five employees have such a wish, or none; absent if it is all but fewer than five"


class TriedGroup(_Part):
    """The wishes for one item, for one reason, by one role: as recorded, and under the draft.

    Wishes that were granted and wishes that were refused are in it if at least five employees made them. What the
    draft changes is told if it changes the wishes of at least five employees, and leaves those of none or of at
    least five as they were.
    """

    item: Id | None = Field(
        None, description="Name of the item in the catalogue, without an amount."
    )
    reason: Category | None = Field(None, description="Category of the complaints.")
    role: Id | None = Field(None, description="Role of the employees.")
    wishes: Annotated[int, Field(ge=0)] = Field(
        description=f"Number of wishes decided again, {STEPS}."
    )
    granted_before: Annotated[int, Field(ge=0)] = Field(
        description=f"Number of these wishes that were granted, {STEPS}; 0 also if fewer than five employees have such a wish."
    )
    granted: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Number of these wishes that the draft grants: `granted_before` with `newly_granted` and without `newly_refused`; absent if these are.",
    )
    newly_granted: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description=f"Number of these wishes that were refused and that the draft grants, {STEPS}; {IF_TOLD}.",
    )
    newly_refused: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description=f"Number of these wishes that were granted and that the draft refuses, {STEPS}; {IF_TOLD}.",
    )
    stretched: Annotated[int, Field(ge=0)] = Field(
        description=f"Number of these wishes that the draft grants by a stretch, {STEPS}; 0 also where it is not told."
    )
    cost_before_minor: AmountMinor = Field(
        description="What the wishes that were granted cost, in minor units of `currency`, to what a step of the dearest costs; of an offer, its dearest option."
    )
    cost_minor: AmountMinor | None = Field(
        None,
        description="What the wishes that the draft grants cost at its costs, in minor units of `currency`, to what a step of the dearest costs; of an offer, its dearest option; absent if `granted` is.",
    )
    bound_by: Annotated[dict[Scope, Annotated[int, Field(ge=1)]], Field(max_length=16)] = Field(
        description=f"Number of wishes that the draft refuses, by the first scope that cannot hold them, {STEPS}; empty also where it is not told."
    )
    refused_for: Annotated[dict[Reason, Annotated[int, Field(ge=1)]], Field(max_length=16)] = Field(
        description=f"Number of wishes that the draft refuses for another reason than a limit, by the reason, {STEPS}; empty also where it is not told."
    )


class PolicyTried(CompensationFact):
    """Somebody asked what recorded wishes would have come to under a draft of the policy; nothing changed."""

    TYPE: ClassVar[str] = "recovery.policy.tried.v1"

    run_id: Annotated[Id, Data.INTERNAL] = Field(description="The run's id.")
    site: SiteId
    by: Annotated[Id | None, Data.PERSONAL, About.EMPLOYEE] = Field(
        None,
        description="Who asked, by the subject of their token; absent where an operator's command did.",
    )
    draft: Annotated[CodeHash, Data.INTERNAL] = Field(
        description="SHA-256 of the draft as JSON, 64 hex characters: the same draft has the same."
    )
    policy_version: Annotated[Version, Data.INTERNAL] = Field(
        description="Number of the version of the site's policy that was in force during the run."
    )
    period: Annotated[Period, Data.INTERNAL] = Field(
        description="Over which time the draft was tried."
    )
    since: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="From when on wishes were decided again."
    )
    until: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="Until when wishes were decided again: when the last block of 30 days ended."
    )
    day: Annotated[WindowId, Data.INTERNAL] = Field(
        description="Business day of the site in which the run is counted."
    )
    currency: Currency
    groups: Annotated[tuple[TriedGroup, ...], Field(max_length=TRIED_GROUPS_MAX), Data.INTERNAL] = (
        Field(description="The wishes by item, reason and role, most wishes first.")
    )
    withheld: Annotated[bool, Data.INTERNAL] = Field(
        description="Whether there are more wishes, which are not told because fewer than five employees made them, or because what is left would be of fewer than five."
    )
    wishes: Annotated[Annotated[int, Field(ge=0)] | None, Data.INTERNAL] = Field(
        None,
        description=f"Number of wishes that were decided again, {STEPS}, also of those that are not told; absent if fewer than five employees made them in one of the blocks.",
    )
    undecided: Annotated[Annotated[int, Field(ge=0)] | None, Data.INTERNAL] = Field(
        None,
        description=f"Number of wishes that were not decided again, because their facts do not say the employee's role or have another currency, {STEPS}; absent if fewer than five employees made them.",
    )
    tried_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When the run was done.")

    def key(self) -> str:
        """The site."""
        return self.site
