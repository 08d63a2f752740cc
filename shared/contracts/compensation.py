"""Facts owned by the compensation service: what employees gave, what became of it, what did not fit."""

from __future__ import annotations

from enum import StrEnum
from operator import not_
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.event import AmountMinor, Currency, Id, Sealed, absent
from shared.kernel import Fact

#: An account's name: its scope, whose it is and its window.
Account = Annotated[str, StringConstraints(max_length=256)]
#: Words of a law, as a policy states them.
Information = Annotated[str, StringConstraints(max_length=2000)]
#: As long as a policy lets a title be.
TitleOnFact = Annotated[str, StringConstraints(min_length=1, max_length=120)]
CodeHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[int, Field(ge=1)]
#: Of a percentage: how much of a bill, and the largest bill it holds for in minor units.
Percent = Annotated[int | None, Field(ge=1, le=100, exclude_if=absent)]
BillUpTo = Annotated[AmountMinor | None, Field(exclude_if=absent)]
#: A business window like `2026-06-03`, `2026-06-03/1400`, `2026-W23`.
WindowId = Annotated[str, StringConstraints(pattern=r"^[0-9W/-]+$", max_length=32)]
#: Parts of one check that are held at once, and redeemed ones that are known one by one.
REDEMPTIONS_MAX = 32
#: What a customer can still choose between with a thumb.
OFFERED_MAX = 3
#: Complaints one incident is opened with: the most a policy may ask for.
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
    """Why it is given: because we want to, or because the law says so."""

    GOODWILL = "goodwill"
    STATUTORY = "statutory"


class Scope(StrEnum):
    """Whose limit an account holds; the answer at a limit names the one that bound."""

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


class Safety(StrEnum):
    """What somebody's safety is about; it is published, and nobody is asked."""

    INJURY = "injury"
    ALLERGY = "allergy"
    DISCRIMINATION = "discrimination"
    CHILD = "child"
    FIRE = "fire"
    OTHER = "other"


class _Part(BaseModel):
    """A part of a fact."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Remainder(_Part):
    """What is left in one scope, in minor units (in checks for customer_checks and stretch)."""

    scope: Scope
    ceiling_minor: AmountMinor
    left_minor: AmountMinor
    until: AwareDatetime | None = None


class Debit(_Part):
    """One account that was charged."""

    scope: Scope
    account: Account
    amount_minor: AmountMinor


#: Accounts one check is charged to: every scope there is, with room.
Debits = Annotated[tuple[Debit, ...], Field(max_length=16)]
Remainders = Annotated[tuple[Remainder, ...], Field(max_length=16)]


class Option(_Part):
    """A check that can be given: a catalogue item, with its cost to us and its value to them."""

    item: Id
    kind: CheckKind
    value_minor: AmountMinor
    cost_minor: AmountMinor
    currency: Currency
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None
    fits_reason: bool = False
    why: Annotated[str, StringConstraints(pattern=r"^[a-z_]*$", max_length=32)] = ""


class CompensationFact(Fact):
    """Common to all."""

    TOPIC: ClassVar[str] = "recovery.compensation.v1"


class CheckFact(CompensationFact):
    """Facts of one check keep their order."""

    check_id: Id
    site: Id

    def key(self) -> str:
        """The check."""
        return self.check_id


class CaseOpened(CompensationFact):
    """A complaint is here: something may be given for it, and the clock runs."""

    TYPE: ClassVar[str] = "recovery.case.opened.v1"

    complaint_id: Id
    customer_ref: Id
    site: Id
    reason: Category
    severity: Severity
    day: WindowId
    opened_at: AwareDatetime
    #: Whom it counts for in an incident, where that is not its customer_ref.
    counts_for: Annotated[Id | None, Field(exclude_if=absent)] = None

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class Wished(CheckFact):
    """Common to what was given and what did not fit."""

    complaint_id: Id
    customer_ref: Id
    employee_id: Id
    item: Id
    policy_version: Version
    reason: Category = Category.OTHER
    severity: Severity = Severity.MILD
    basis: Basis = Basis.GOODWILL
    incident_id: Id | None = None
    offer_id: Id | None = None
    currency: Currency
    cost_minor: AmountMinor
    #: Whether a message reaches the customer; None where it is not known.
    reachable: bool | None = None


class CheckIssued(Wished):
    """An employee gave a service check; the code is sealed for the customer."""

    TYPE: ClassVar[str] = "recovery.check.issued.v1"

    kind: CheckKind
    language: Language
    value_minor: AmountMinor
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None
    code: Sealed
    code_hash: CodeHash
    valid_until: AwareDatetime
    #: Where it can be redeemed; empty is everywhere.
    valid_at: Annotated[tuple[Id, ...], Field(max_length=16)] = ()
    issued_at: AwareDatetime
    #: When the complaint came to us; what lies between is how long the customer waited.
    complained_at: AwareDatetime | None = None
    #: The first check of its complaint.
    first: bool = False
    #: Above the ceiling, inside the stretch: to be explained by then, in one line.
    explain_by: AwareDatetime | None = None
    #: The regime a statutory check follows, and the customer's recorded consent to no cash.
    regime: Id | None = None
    consent: bool = False
    #: What the customer must be told of their rights, in their language, as it was told.
    information: Information | None = None
    #: The employee's day it was given in.
    day: WindowId | None = None
    #: An incident's check that an employee gave by hand, to this customer; not written where it is not so.
    at_desk: Annotated[bool, Field(exclude_if=not_)] = False
    debits: Debits
    left: Remainders


class CheckRefused(Wished):
    """A wish did not fit; the scope that bound, and what did fit then."""

    TYPE: ClassVar[str] = "recovery.check.refused.v1"

    bound_by: Scope
    left: Remainders
    alternatives: Annotated[tuple[Option, ...], Field(max_length=32)]
    #: A colleague on shift who has the authority: a peer, to stand in and not to decide.
    colleague_id: Id | None = None
    #: What is due by law whatever fits, and what the customer must be told of it.
    regime: Id | None = None
    information: Information | None = None
    refused_at: AwareDatetime


class CheckExplained(CheckFact):
    """The employee said in one line why the stretch; for coaching, nobody confirms it."""

    TYPE: ClassVar[str] = "recovery.check.explained.v1"

    employee_id: Id
    explanation: Sealed
    explained_at: AwareDatetime


class CheckUnexplained(CheckFact):
    """The time to explain a stretch is over. It shows, and lowers nothing."""

    TYPE: ClassVar[str] = "recovery.check.unexplained.v1"

    employee_id: Id
    noted_at: AwareDatetime


class CheckEnded(CheckFact):
    """Common to the ends of a check: what was not redeemed goes back where it was charged."""

    credits: Debits
    unredeemed_minor: AmountMinor


class CheckVoided(CheckEnded):
    """An employee took a check back: it was given by mistake."""

    TYPE: ClassVar[str] = "recovery.check.voided.v1"

    employee_id: Id
    voided_at: AwareDatetime


class CheckExpired(CheckEnded):
    """The check's time is over."""

    TYPE: ClassVar[str] = "recovery.check.expired.v1"

    expired_at: AwareDatetime


class CheckSuspended(CheckFact):
    """A check is not taken for now: its code was lost or copied."""

    TYPE: ClassVar[str] = "recovery.check.suspended.v1"

    employee_id: Id
    suspended_at: AwareDatetime


class CheckResumed(CheckFact):
    """A suspended check is taken again."""

    TYPE: ClassVar[str] = "recovery.check.resumed.v1"

    employee_id: Id
    resumed_at: AwareDatetime


class RedemptionFact(CheckFact):
    """Common to the steps of one redemption; they keep the check's order."""

    redemption_id: Id
    amount_minor: AmountMinor
    currency: Currency


class RedemptionTold(RedemptionFact):
    """What a till must know of the check it takes; a field without a value is not written."""

    item: Annotated[Id | None, Field(exclude_if=absent)] = None
    kind: Annotated[CheckKind | None, Field(exclude_if=absent)] = None
    #: What the catalogue calls it, in the site's first language.
    title: Annotated[TitleOnFact | None, Field(exclude_if=absent)] = None
    #: What the whole check is worth, and what can be held or redeemed of it after this.
    value_minor: Annotated[AmountMinor | None, Field(exclude_if=absent)] = None
    left_minor: Annotated[AmountMinor | None, Field(exclude_if=absent)] = None
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None


class RedemptionReserved(RedemptionTold):
    """A till holds a part of a check until it knows what is paid."""

    TYPE: ClassVar[str] = "recovery.redemption.reserved.v1"

    till: Id
    expires_at: AwareDatetime
    reserved_at: AwareDatetime


class RedemptionCaptured(RedemptionTold):
    """The held part, or less of it, is redeemed; the rest of the hold is free again."""

    TYPE: ClassVar[str] = "recovery.redemption.captured.v1"

    captured_at: AwareDatetime


class RedemptionCancelled(RedemptionFact):
    """The hold is free again: the till gave it back, or its time is over."""

    TYPE: ClassVar[str] = "recovery.redemption.cancelled.v1"

    expired: bool = False
    cancelled_at: AwareDatetime


class RedemptionRolledBack(RedemptionFact):
    """What was redeemed is on the check again."""

    TYPE: ClassVar[str] = "recovery.redemption.rolledback.v1"

    rolled_back_at: AwareDatetime


class OfferFact(CompensationFact):
    """Facts of one offer keep their order."""

    offer_id: Id
    complaint_id: Id
    site: Id

    def key(self) -> str:
        """The offer."""
        return self.offer_id


class OfferMade(OfferFact):
    """The customer may choose one of these; authority for the dearest is held meanwhile."""

    TYPE: ClassVar[str] = "recovery.offer.made.v1"

    customer_ref: Id
    employee_id: Id
    language: Language
    reason: Category
    severity: Severity
    policy_version: Version
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=OFFERED_MAX)]
    held: Debits
    #: What is due by law whatever is chosen, and what the customer must be told of it.
    regime: Id | None = None
    information: Information | None = None
    expires_at: AwareDatetime
    offered_at: AwareDatetime
    #: Whether a message reaches the customer; None where it is not known.
    reachable: bool | None = None


class OfferChosen(OfferFact):
    """The customer chose; what was held is free again, and the check is charged."""

    TYPE: ClassVar[str] = "recovery.offer.chosen.v1"

    check_id: Id
    item: Id
    by_customer: bool
    credits: Debits
    chosen_at: AwareDatetime


class OfferLapsed(OfferFact):
    """Nobody chose in time; what was held is free again."""

    TYPE: ClassVar[str] = "recovery.offer.lapsed.v1"

    credits: Debits
    lapsed_at: AwareDatetime


class ComplaintLogged(CompensationFact):
    """Something was told on the spot: the quick log, for complaints to take in."""

    TYPE: ClassVar[str] = "recovery.complaint.logged.v1"

    complaint_id: Id
    customer_ref: Id
    site: Id
    employee_id: Id
    reason: Category
    severity: Severity
    language: Language
    text: Sealed
    contact: Sealed | None = None
    #: Whether a message reaches the customer; where it is not said, a contact is a mail address.
    has_contact: bool | None = None
    #: Whose safety is concerned, as the employee said.
    safety: Safety | None = None
    #: Which service failed, as the employee said.
    service: Annotated[Service | None, Field(exclude_if=absent)] = None
    #: Something was given with it; where nothing fitted, the customer still waits.
    answered: bool = True
    logged_at: AwareDatetime

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class SafetyNoted(CheckFact):
    """Somebody's safety is concerned, whether or not the check fits; the notifier tells who must know."""

    TYPE: ClassVar[str] = "recovery.safety.noted.v1"

    complaint_id: Id
    customer_ref: Id
    employee_id: Id
    safety: Safety
    noted_at: AwareDatetime


class IncidentFact(CompensationFact):
    """Facts of one incident keep their order."""

    incident_id: Id
    site: Id

    def key(self) -> str:
        """The incident."""
        return self.incident_id


class IncidentOpened(IncidentFact):
    """Many complaints of one site about one thing: the group check is theirs, from its own budget."""

    TYPE: ClassVar[str] = "recovery.incident.opened.v1"

    reason: Category
    #: Nobody, where the count opened it.
    employee_id: Id | None = None
    #: One complaint of each customer, and who they are, in the same order.
    complaint_ids: Annotated[tuple[Id, ...], Field(max_length=INCIDENT_COUNT_MAX)]
    customers: Annotated[tuple[Id, ...], Field(max_length=INCIDENT_COUNT_MAX)] = ()
    item: Id
    budget_minor: AmountMinor
    currency: Currency
    policy_version: Version
    opened_at: AwareDatetime


class IncidentJoined(IncidentFact):
    """One more customer is affected, by this complaint; `number` counts them from 0."""

    TYPE: ClassVar[str] = "recovery.incident.joined.v1"

    complaint_id: Id
    customer: Annotated[Id | None, Field(exclude_if=absent)] = None
    number: Annotated[int, Field(ge=0)]
    joined_at: AwareDatetime


class IncidentGiving(IncidentFact):
    """An employee gives the group check to everybody who is affected and has none yet."""

    TYPE: ClassVar[str] = "recovery.incident.giving.v1"

    employee_id: Id
    affected: Annotated[int, Field(ge=0)]
    began_at: AwareDatetime


class IncidentGiven(IncidentFact):
    """How far the giving came; `remaining` zero is the end of it."""

    TYPE: ClassVar[str] = "recovery.incident.given.v1"

    #: Affected complaints looked at, of all that there are, since the incident was opened.
    done: Annotated[int, Field(ge=0)]
    remaining: Annotated[int, Field(ge=0)]
    given: Annotated[int, Field(ge=0)]
    #: Those the budget did not hold, and customers who were erased.
    skipped: Annotated[int, Field(ge=0)] = 0
    given_at: AwareDatetime


class IncidentClosed(IncidentFact):
    """It is over: later complaints are their own."""

    TYPE: ClassVar[str] = "recovery.incident.closed.v1"

    reason: Category
    employee_id: Id
    closed_at: AwareDatetime


class WindowOpened(CompensationFact):
    """A site's day of authority begins; when it ends, what nobody used is counted."""

    TYPE: ClassVar[str] = "recovery.window.opened.v1"

    site: Id
    day: WindowId
    until: AwareDatetime

    def key(self) -> str:
        """The site."""
        return self.site


class WindowClosed(CompensationFact):
    """A site's day of authority in figures: under-use shows as over-use would."""

    TYPE: ClassVar[str] = "recovery.window.closed.v1"

    site: Id
    day: WindowId
    currency: Currency
    complaints: Annotated[int, Field(ge=0)]
    complaints_with_check: Annotated[int, Field(ge=0)]
    checks: Annotated[int, Field(ge=0)]
    employees: Annotated[int, Field(ge=0)]
    #: Employees who gave nothing all day that cost anything; words are not counted here.
    employees_idle: Annotated[int, Field(ge=0)]
    ceiling_minor: AmountMinor
    used_minor: AmountMinor
    #: From complaint to its first check, summed over `complaints_with_check`.
    waited_s: Annotated[int, Field(ge=0)]
    closed_at: AwareDatetime

    def key(self) -> str:
        """The site."""
        return self.site


class AuthorityOpened(CompensationFact):
    """A site's shift or week of authority begins; when it ends, what nobody used is counted."""

    TYPE: ClassVar[str] = "recovery.authority.opened.v1"

    site: Id
    scope: Scope
    window: WindowId
    #: None: no role has a ceiling for it any more, and it is not counted.
    until: AwareDatetime | None = None

    def key(self) -> str:
        """The site."""
        return self.site


class AuthorityCounted(CompensationFact):
    """A shift or week of authority in figures, of those whose role has a ceiling for it."""

    TYPE: ClassVar[str] = "recovery.authority.counted.v1"

    site: Id
    scope: Scope
    window: WindowId
    currency: Currency
    employees: Annotated[int, Field(ge=0)]
    #: Employees who gave nothing in it that cost anything.
    employees_idle: Annotated[int, Field(ge=0)]
    ceiling_minor: AmountMinor
    used_minor: AmountMinor
    counted_at: AwareDatetime

    def key(self) -> str:
        """The site."""
        return self.site


class ShiftStarted(CompensationFact):
    """An employee checked in from the phone, beside whatever the roster says."""

    TYPE: ClassVar[str] = "recovery.shift.started.v1"

    employee_id: Id
    site: Id
    until: AwareDatetime
    started_at: AwareDatetime

    def key(self) -> str:
        """The employee."""
        return self.employee_id


class ShiftEnded(CompensationFact):
    """An employee checked out."""

    TYPE: ClassVar[str] = "recovery.shift.ended.v1"

    employee_id: Id
    site: Id
    ended_at: AwareDatetime

    def key(self) -> str:
        """The employee."""
        return self.employee_id
