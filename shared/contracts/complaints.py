"""Facts owned by the complaints service."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts.data import About, Data
from shared.contracts.event import (
    AmountMinor,
    AskingId,
    ComplaintId,
    Currency,
    CustomerRef,
    EmployeeId,
    Id,
    PraiseId,
    PromiseId,
    Sealed,
    SiteId,
    Version,
)
from shared.contracts.intake import Channel, Disruption
from shared.contracts.months import Month
from shared.kernel import Fact

#: Complaints that are merged into one; whoever complains more often has another matter.
MERGED_MAX = 50


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


class Outcome(StrEnum):
    """What was done about the cause of a complaint."""

    FIXED = "fixed"
    EXPLAINED = "explained"
    NOT_POSSIBLE = "not_possible"


class Action(StrEnum):
    """What a customer does by themselves only with a one-time code."""

    EXPORT = "export"
    ERASURE = "erasure"
    CONTACT = "contact"


class Sameness(StrEnum):
    """Why two complaints are one matter."""

    #: The customer raised both by themselves, with the same token.
    SAME_SENDER = "same_sender"
    #: An employee says so, and both came under the same name or address.
    SAME_CUSTOMER = "same_customer"
    #: An employee says so.
    EMPLOYEE_SAYS = "employee_says"


class Service(StrEnum):
    """Which service failed, where a right by law may depend on it."""

    #: The journey itself: the sailing, train, bus or flight.
    DEPARTURE = "departure"
    EXCURSION = "excursion"
    MEAL = "meal"
    OTHER = "other"


class Intent(StrEnum):
    """What somebody writes for."""

    COMPLAINT = "complaint"
    PRAISE = "praise"
    QUESTION = "question"
    NONE = "none"


class Flag(StrEnum):
    """What somebody must know of at once or treat with care, whatever the complaint is about."""

    INJURY = "injury"
    ALLERGY = "allergy"
    DISCRIMINATION = "discrimination"
    #: Violence, or words that announce it.
    THREAT = "threat"
    #: Fire, gas, or somebody who is locked in or missing.
    DANGER = "danger"
    CHILD = "child"
    #: Lawyers, courts, authorities, the press.
    LEGAL = "legal"
    #: Illness, disability, age, pregnancy, grief.
    VULNERABLE = "vulnerable"


class JourneyStep(StrEnum):
    """Where on the customer's journey it happened."""

    BOOKING = "booking"
    CHECK_IN = "check_in"
    JOURNEY = "journey"
    ROOM = "room"
    DINING = "dining"
    ACTIVITY = "activity"
    PAYMENT = "payment"
    AFTERWARDS = "afterwards"


class Remedy(StrEnum):
    """What the customer asks for."""

    MONEY = "money"
    FIX = "fix"
    APOLOGY = "apology"
    INFORMATION = "information"
    #: Only that somebody knows.
    NOTHING = "nothing"


def promise_id_of(complaint_id: str, number: int) -> str:
    """The id of a complaint's promise: 0 for the first, then the number of the round. Others do not take it apart."""
    return f"{complaint_id}/{number}"


#: Characters of a complaint's id that customers tell us and staff find it by.
REFERENCE_CHARS = 6


def reference_of(complaint_id: str) -> str:
    """The reference that a customer tells us, and by which staff find the complaint; hardly two of a site are the same."""
    return complaint_id[-REFERENCE_CHARS:].upper()


#: The name of a subcategory, as lexicon and policy write it.
Subcategory = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]
#: Reasons of one complaint: one per flag, and some for everything else.
BECAUSE_MAX = 24


class Because(BaseModel):
    """Why something was understood: what says so, by which words of its own, and how sure that is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule: Annotated[str, StringConstraints(min_length=1, max_length=80)] = Field(
        description="What decided, by the lexicon's heading or the model's."
    )
    words: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=80)], ...], Field(max_length=8)
    ] = Field((), description="Entries of the lexicon or words of the model; never the customer's.")
    percent: Annotated[int, Field(ge=0, le=100)] = Field(description="How sure it is, in per cent.")


class ComplaintFact(Fact):
    """A fact of one complaint; they keep their order."""

    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    complaint_id: ComplaintId

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class ComplaintReceived(ComplaintFact):
    """A complaint was recorded, once, with words and contact sealed."""

    TYPE: ClassVar[str] = "recovery.complaint.received.v1"

    customer_ref: CustomerRef
    site: SiteId
    channel: Annotated[Channel, Data.INTERNAL] = Field(
        description="Channel on which the complaint came."
    )
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is answered."
    )
    text: Annotated[Sealed, Data.SPECIAL] = Field(
        description="The customer's words, sealed under a key of the customer and the month."
    )
    contact: Annotated[Sealed | None, Data.PERSONAL] = Field(
        None,
        description="Name, mail address and telephone as JSON, sealed under the customer's key; absent if none was given.",
    )
    raised_by: EmployeeId | None = Field(
        None,
        description="Pseudonymous id of the employee who raised it for the customer; absent if nobody did.",
    )
    occurred_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When it happened, as it was told; absent if unknown."
    )
    received_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was recorded here; promises count from it."
    )
    place: Annotated[Sealed | None, Data.PERSONAL] = Field(
        None,
        description="Where at the site it happened, sealed like the words; absent if it was not told.",
    )
    place_ref: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Keyed fingerprint of site and place, by which employees find what else happened there; absent without a place.",
    )
    contact_refs: Annotated[
        tuple[Id, ...],
        Field(max_length=2),
        Data.PERSONAL,
    ] = Field(
        (),
        description="Keyed fingerprints of site and mail address, and of site and telephone, by which employees find the complaint.",
    )
    disruption: Annotated[Disruption | None, Data.INTERNAL] = Field(
        None,
        description="What goes wrong, where another system announced it before the customer said anything: then the words are its own. Absent otherwise.",
    )
    score_only: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether the customer answered our question by a score alone: then the words are our question and the score.",
    )
    content: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None, Data.PERSONAL
    ] = Field(
        None,
        description="Keyed hash of what was raised, 32 hex characters: tells a repeat from another complaint under the same source and id.",
    )


#: Employees who read the same praise: more than work in one department at a time.
PRAISED_MAX = 20


class PraiseFact(Fact):
    """A fact of one praise."""

    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    praise_id: PraiseId

    def key(self) -> str:
        """The praise."""
        return self.praise_id


class PraiseReceived(PraiseFact):
    """A customer praised and complained of nothing: no promise is made, and employees who were there read it."""

    TYPE: ClassVar[str] = "recovery.praise.received.v1"

    customer_ref: CustomerRef
    site: SiteId
    channel: Annotated[Channel, Data.INTERNAL] = Field(
        description="Channel on which the praise came."
    )
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language of the customer's words."
    )
    text: Annotated[Sealed, Data.SPECIAL] = Field(
        description="The customer's words, sealed under a key of the customer and the month."
    )
    category: Annotated[Category, Data.INTERNAL] = Field(description="What the words are about.")
    step: Annotated[JourneyStep | None, Data.INTERNAL] = Field(
        None, description="Where on the customer's journey it was; absent if no word says it."
    )
    stated: Annotated[bool, Data.INTERNAL] = Field(
        description="Whether the customer or the sender said that it is praise; else the words say so."
    )
    praised: Annotated[tuple[EmployeeId, ...], Field(min_length=1, max_length=PRAISED_MAX)] = Field(
        description="Employees who read it: those of the department who were on shift, or else who work there."
    )
    received_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was recorded here."
    )


class TouchpointFact(Fact):
    """A fact of one question to a customer about a touchpoint; they keep their order."""

    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    asking_id: AskingId
    site: SiteId
    touchpoint: Annotated[Id, Data.INTERNAL] = Field(
        description="The touchpoint, by its name in the site's policy."
    )
    step: Annotated[JourneyStep, Data.INTERNAL] = Field(
        description="Where on the customer's journey it is."
    )

    def key(self) -> str:
        """The question."""
        return self.asking_id


class TouchpointAsked(TouchpointFact):
    """A customer passed a touchpoint and is asked how it was, as the site's policy says."""

    TYPE: ClassVar[str] = "recovery.touchpoint.asked.v1"

    customer_ref: CustomerRef
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is asked."
    )
    contact: Annotated[Sealed, Data.PERSONAL] = Field(
        description="Name and addresses of the customer, sealed under a key of the customer and the month: they end with its words."
    )
    passed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was over.")
    due_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="From when on they are asked."
    )
    policy_version: Version


#: How it was, and how much it matters: from 1, the lowest, to 5.
OneToFive = Annotated[int, Field(ge=1, le=5)]


class TouchpointAnswered(TouchpointFact):
    """The customer said how a touchpoint was, and how much it matters to them; once for each question."""

    TYPE: ClassVar[str] = "recovery.touchpoint.answered.v1"

    experience: Annotated[OneToFive, Data.PERSONAL] = Field(
        description="How it was, from 1 to 5, the best."
    )
    importance: Annotated[OneToFive | None, Data.PERSONAL] = Field(
        None, description="How much it matters to them, from 1 to 5, the most; absent if not said."
    )
    complaint_id: ComplaintId | None = Field(
        None, description="The complaint that the answer is; absent if it is none."
    )
    answered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer answered."
    )


class PraiseRepeated(PraiseFact):
    """The same praise came again from its source and changed nothing."""

    TYPE: ClassVar[str] = "recovery.praise.repeated.v1"


class ComplaintRepeated(ComplaintFact):
    """The same event came again from its source and changed nothing."""

    TYPE: ClassVar[str] = "recovery.complaint.repeated.v1"


class ComplaintTriaged(ComplaintFact):
    """A complaint has its category, its severity and its promise: by when the customer hears from us."""

    TYPE: ClassVar[str] = "recovery.complaint.triaged.v1"

    customer_ref: CustomerRef
    site: SiteId
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is answered."
    )
    category: Annotated[Category, Data.INTERNAL] = Field(description="Category of the complaint.")
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity of the complaint.")
    safety: Annotated[bool, Data.SPECIAL] = Field(
        description="Whether the words speak of somebody's health or safety, whatever the category."
    )
    promised_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="By when the customer hears from us."
    )
    policy_version: Version
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When to warn of the promised time; absent if nobody is warned, or it is sooner than that.",
    )
    stay_ends_at: Annotated[AwareDatetime | None, Data.PERSONAL] = Field(
        None, description="When the customer leaves, as it was told; absent if unknown."
    )
    has_contact: Annotated[bool, Data.INTERNAL] = Field(
        description="Whether a message reaches the customer: true if a channel of the site's policy does."
    )
    service: Annotated[Service | None, Data.INTERNAL] = Field(
        None,
        description="Which service failed, where the words or the employee say so; absent if unknown.",
    )
    sender_ref: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Keyed fingerprint of who raised it: `pe-…` a customer by themselves, `so-…` another system or the desks of a site. Daily bounds on acknowledgements count by it.",
    )
    answered: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether something was given on the spot already, so that nothing is left to acknowledge.",
    )
    acknowledged: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether it was merged at once into a complaint of the same customer, so that no second acknowledgement is sent.",
    )
    counts_for: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="Pseudonym that counts as the customer in an incident where that is not `customer_ref`: the customer's link, or the publisher that names no customer. Absent otherwise.",
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that is made; absent in facts of before it was added."
    )
    subcategory: Annotated[Subcategory | None, Data.INTERNAL] = Field(
        None,
        description="What it is about in particular, by its name in the policy's `taxonomy`; absent if no word says it.",
    )
    intent: Annotated[Intent | None, Data.INTERNAL] = Field(
        None, description="What the customer writes for; absent in facts of before it was added."
    )
    step: Annotated[JourneyStep | None, Data.INTERNAL] = Field(
        None,
        description="Where on the customer's journey it happened; absent if no word says it.",
    )
    remedy: Annotated[Remedy | None, Data.INTERNAL] = Field(
        None, description="What the customer asks for; absent if no word says it."
    )
    flags: Annotated[tuple[Flag, ...], Field(max_length=16), Data.SPECIAL] = Field(
        (), description="What somebody must know of or treat with care, in the order of the list."
    )
    reasons: Annotated[tuple[Because, ...], Field(max_length=BECAUSE_MAX), Data.SPECIAL] = Field(
        (), description="Why all this was understood; empty where an employee said so."
    )
    segment: Annotated[Id | None, Data.PERSONAL] = Field(
        None,
        description="The customer's segment, as a hotel or booking system told it; absent if none did.",
    )
    unsupported_language: Annotated[bool, Data.PERSONAL] = Field(
        default=False,
        description="Whether the words are in a language that is not read here: somebody must read them to know what it is about, and how bad it is.",
    )


class ComplaintClaimed(ComplaintFact):
    """An employee owns the complaint now: who took it on, accepted it from a colleague, or gave the customer something."""

    TYPE: ClassVar[str] = "recovery.complaint.claimed.v1"

    employee_id: EmployeeId = Field(description="Employee who has the complaint now.")
    site: SiteId | None = Field(
        None, description="The complaint's site; absent in facts of before it was added."
    )
    claimed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the employee took it on."
    )


class HandoverOffered(ComplaintFact):
    """The owner of a complaint asks a colleague or a department to take it over; it is theirs until somebody accepts."""

    TYPE: ClassVar[str] = "recovery.handover.offered.v1"

    employee_id: EmployeeId = Field(description="Employee who has the complaint.")
    site: SiteId
    colleague_id: EmployeeId | None = Field(
        None, description="Employee who is asked to take it over; absent for a department."
    )
    department: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="Department that is asked to take it over; absent for a colleague."
    )
    on_shift: Annotated[bool | None, Data.INTERNAL] = Field(
        None,
        description="Whether the colleague, or somebody of the department, works now; absent where the site does not say.",
    )
    offered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they asked.")


class HandoverAccepted(ComplaintFact):
    """Somebody who was asked to take a complaint over has it now."""

    TYPE: ClassVar[str] = "recovery.handover.accepted.v1"

    employee_id: EmployeeId = Field(description="Employee who has the complaint now.")
    site: SiteId
    accepted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they accepted.")


class HandoverDeclined(ComplaintFact):
    """Nobody is asked any more to take a complaint over: who was asked declined, or its owner thought better of it."""

    TYPE: ClassVar[str] = "recovery.handover.declined.v1"

    employee_id: EmployeeId = Field(description="Employee who declined.")
    site: SiteId
    declined_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they declined.")


class InfoAsked(ComplaintFact):
    """The owner needs to know something of the customer; the promise waits for the answer."""

    TYPE: ClassVar[str] = "recovery.info.asked.v1"

    employee_id: EmployeeId = Field(description="Employee who has the complaint and asks.")
    site: SiteId
    question: Annotated[Sealed, Data.SPECIAL] = Field(
        description="What the employee asks, sealed under the customer's key of the month."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise waits: 0 for the first, then the number of the round."
    )
    asked_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was asked.")
    promise_id: PromiseId | None = Field(
        None, description="The promise that waits; absent in facts of before it was added."
    )


class InfoReceived(ComplaintFact):
    """The customer answered what was asked, and the promise goes on."""

    TYPE: ClassVar[str] = "recovery.info.received.v1"

    employee_id: EmployeeId | None = Field(
        None,
        description="Employee who wrote the answer down; absent if the customer did by their link.",
    )
    site: SiteId
    answer: Annotated[Sealed, Data.SPECIAL] = Field(
        description="What the customer answered, sealed under the customer's key of the month."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise goes on: 0 for the first, then the number of the round."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when the customer hears from us now; absent if the promise was over before it was asked.",
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When to warn of the promised time; absent if nobody is warned of it."
    )
    answered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the answer was written down."
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that goes on; absent in facts of before it was added."
    )


class ResolutionRecorded(ComplaintFact):
    """What was done about the cause; what the customer was given is another matter."""

    TYPE: ClassVar[str] = "recovery.resolution.recorded.v1"

    employee_id: EmployeeId = Field(description="Employee who has the complaint.")
    site: SiteId
    outcome: Annotated[Outcome, Data.INTERNAL] = Field(description="What was done about the cause.")
    note: Annotated[Sealed | None, Data.SPECIAL] = Field(
        None,
        description="It in the employee's words, sealed under the customer's key of the month; absent without any.",
    )
    closes_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the complaint is closed if the customer says nothing."
    )
    recorded_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was recorded."
    )


class FixFact(ComplaintFact):
    """A fact of one fix: of something done about the cause of a complaint, by its name in the site's policy."""

    fix: Annotated[Id, Data.INTERNAL] = Field(
        description="The fix, by its name in the site's policy."
    )


class FixAsked(FixFact):
    """An employee asks a colleague or a department to do something about the cause of a complaint."""

    TYPE: ClassVar[str] = "recovery.fix.asked.v1"

    employee_id: EmployeeId = Field(description="Employee who asks.")
    site: SiteId
    colleague_id: EmployeeId | None = Field(
        None, description="Employee who is asked; absent for a department."
    )
    department: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="Department that is asked; absent for a colleague."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Number of the round: 0 for the first, then how often the customer said no."
    )
    due_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="By when it is to be done, as the policy says."
    )
    policy_version: Version
    asked_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was asked for.")


class FixDone(FixFact):
    """Something was done about the cause of a complaint; it keeps the promise of its round."""

    TYPE: ClassVar[str] = "recovery.fix.done.v1"

    employee_id: EmployeeId = Field(description="Employee who recorded it as done.")
    site: SiteId
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Number of the round: 0 for the first, then how often the customer said no."
    )
    done_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was done.")


class FixDeclined(FixFact):
    """Nobody is asked for a fix any more: who was asked does not do it, or who asked thought better of it."""

    TYPE: ClassVar[str] = "recovery.fix.declined.v1"

    employee_id: EmployeeId = Field(description="Employee who declined.")
    site: SiteId
    declined_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they declined.")


class FixLate(FixFact):
    """The time for a fix passed, and it was not done; once per asking."""

    TYPE: ClassVar[str] = "recovery.fix.late.v1"

    employee_id: EmployeeId = Field(description="Employee who asked for it.")
    site: SiteId
    colleague_id: EmployeeId | None = Field(
        None, description="Employee who was asked; absent for a department."
    )
    department: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="Department that was asked; absent for a colleague."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Number of the round in which it was asked for: 0 for the first."
    )
    due_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="By when it was to be done."
    )
    late_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was noted that it was not done."
    )


class ComplaintClosed(ComplaintFact):
    """The customer said nothing to what was done, in the time that the site's policy gives them."""

    TYPE: ClassVar[str] = "recovery.complaint.closed.v1"

    site: SiteId
    closed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was closed.")


class ComplaintWithdrawn(ComplaintFact):
    """The customer takes the complaint back."""

    TYPE: ClassVar[str] = "recovery.complaint.withdrawn.v1"

    employee_id: EmployeeId | None = Field(
        None, description="Employee whom the customer told; absent if they did it by their link."
    )
    site: SiteId
    withdrawn_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was written down."
    )


class ComplaintUnfounded(ComplaintFact):
    """An employee read the words and found no complaint in them: praise, a question, or nothing."""

    TYPE: ClassVar[str] = "recovery.complaint.unfounded.v1"

    employee_id: EmployeeId = Field(description="Employee who found none.")
    site: SiteId
    found_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When they found none.")


class ComplaintReferred(ComplaintFact):
    """An employee referred the complaint to an outside body, such as an ombudsman, which looks at it from now on."""

    TYPE: ClassVar[str] = "recovery.complaint.referred.v1"

    employee_id: EmployeeId = Field(description="Employee who referred it.")
    site: SiteId
    body: Annotated[Id, Data.INTERNAL] = Field(
        description="Outside body that it was referred to, by its id in the policy."
    )
    referred_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was referred."
    )


#: A cause as policies name them.
CauseName = Annotated[
    Id, Data.INTERNAL, Field(description="The cause, by its name in the site's policy.")
]
ActionId = Annotated[Id, Data.INTERNAL]


class CauseNamed(ComplaintFact):
    """Somebody put a complaint down to a cause, by its name in the site's policy; the last one counts."""

    TYPE: ClassVar[str] = "recovery.cause.named.v1"

    site: SiteId
    by: Annotated[Id, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Who said so: the subject of their token."
    )
    cause: CauseName
    instead_of: Annotated[Id | None, Data.INTERNAL] = Field(
        None, description="The cause that was named before; absent if none was."
    )
    severity: Annotated[Severity, Data.INTERNAL] = Field(
        description="Severity of the complaint when a cause was first named."
    )
    week: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"), Data.INTERNAL] = Field(
        description="Week in which the complaint came, by its Monday in the site's calendar."
    )
    after_action: ActionId | None = Field(
        None,
        description="The last action about the cause, if the complaint came after it and in the time in which that says that the cause came back; absent otherwise.",
    )
    instead_of_action: ActionId | None = Field(
        None,
        description="The same of the cause that was named before; absent if there was none.",
    )
    policy_version: Version
    named_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was named.")


class CauseActionTaken(Fact):
    """Something was done about a cause of a site; it is followed whether the cause comes back."""

    TYPE: ClassVar[str] = "recovery.cause-action.taken.v1"
    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    action_id: ActionId = Field(description="The action's id.")
    site: SiteId
    cause: CauseName
    by: Annotated[Id, Data.PERSONAL, About.EMPLOYEE] = Field(
        description="Who recorded it: the subject of their token."
    )
    note: Annotated[Sealed, Data.SPECIAL] = Field(
        description="What was done, in their words, sealed under a key of the site and the month."
    )
    until: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="Until when complaints that are put down to the cause say that it came back."
    )
    policy_version: Version
    taken_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was recorded.")

    def key(self) -> str:
        """The cause of the site."""
        return f"{self.site}/{self.cause}"


class ComplaintCorrected(ComplaintFact):
    """An employee put right what the complaint is about, how bad it is, or its flags."""

    TYPE: ClassVar[str] = "recovery.complaint.corrected.v1"

    employee_id: EmployeeId = Field(description="Employee who put it right.")
    site: SiteId
    category: Annotated[Category, Data.INTERNAL] = Field(description="Category from now on.")
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity from now on.")
    subcategory: Annotated[Subcategory | None, Data.INTERNAL] = Field(
        None, description="What it is about in particular from now on; absent if that is not said."
    )
    flags_added: Annotated[tuple[Flag, ...], Field(max_length=16), Data.SPECIAL] = Field(
        (), description="Flags that it did not have before, in the order of the list."
    )
    flags_removed: Annotated[tuple[Flag, ...], Field(max_length=16), Data.SPECIAL] = Field(
        (),
        description="Flags that it does not have any more, in the order of the list. Danger that was found stays found.",
    )
    round: Annotated[int | None, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        None,
        description="Which promise is sooner from now on: 0 for the first, then the number of the round; absent if none is.",
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that is sooner from now on; absent if none is."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when the customer hears from us now, which is never later than before; absent if that is unchanged.",
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When to warn of the promised time; absent if nobody is warned of it."
    )
    corrected_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was put right."
    )


class SafetyFound(ComplaintFact):
    """Somebody's safety is concerned, as later words or an employee say; the complaint is severe from then on.

    Once per complaint, and not if its first words said so. The notifier writes to role mailboxes.
    """

    TYPE: ClassVar[str] = "recovery.safety.found.v1"

    site: SiteId
    round: Annotated[int | None, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        None,
        description="Which promise is sooner from now on: 0 for the first, then the number of the round; absent if none is.",
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that is sooner from now on; absent if none is."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when the customer hears from us now, which is never later than before; absent if that is unchanged.",
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When to warn of the promised time; absent if nobody is warned of it."
    )
    flags: Annotated[tuple[Flag, ...], Field(max_length=16), Data.SPECIAL] = Field(
        (),
        description="What the later words speak of, or flags that an employee added; in the order of the list.",
    )
    found_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was found.")


class ComplaintMerged(ComplaintFact):
    """A complaint is about the same matter as another one, which goes on for both."""

    TYPE: ClassVar[str] = "recovery.complaint.merged.v1"

    into: ComplaintId = Field(description="Complaint that goes on for both.")
    site: SiteId
    employee_id: EmployeeId | None = Field(
        None, description="Employee who merged it; absent if it was merged when it was received."
    )
    because: Annotated[Sameness, Data.INTERNAL] = Field(description="Why the two are one matter.")
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise of the merged complaint ends: 0 for the first, then the number of the round."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when the customer hears from us about both; absent if the other one has no promise.",
    )
    merged_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was merged.")


class ComplaintSplit(ComplaintFact):
    """A complaint that was merged stands by itself again."""

    TYPE: ClassVar[str] = "recovery.complaint.split.v1"

    into: ComplaintId = Field(description="Complaint that it was merged into.")
    site: SiteId
    employee_id: EmployeeId | None = Field(
        None,
        description="Employee who split it; absent if it was split because the customer of the other one was erased.",
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise of it goes on: 0 for the first, then the number of the round."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="By when its customer hears from us; absent if this promise was broken.",
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When to warn of the promised time; absent if nobody is warned of it."
    )
    overdue: Annotated[bool, Data.INTERNAL] = Field(
        False, description="Whether its promise was broken while the other one went on for it."
    )
    warned: Annotated[bool, Data.INTERNAL] = Field(
        False,
        description="Whether somebody was warned of its promise while the other one went on for it.",
    )
    split_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was split.")


class MatterChanged(ComplaintFact):
    """Another complaint was merged into this one, or split from it."""

    TYPE: ClassVar[str] = "recovery.matter.changed.v1"

    site: SiteId
    merged_ids: tuple[ComplaintId, ...] = Field(
        (),
        max_length=MERGED_MAX,
        description="All complaints that are merged into this one now, at most 50.",
    )
    severity: Annotated[Severity, Data.INTERNAL] = Field(
        description="Severity from now on: that of the worse one after a merge, unchanged after a split."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise stands for all of them: 0 for the first, then the number of the round."
    )
    promised_by: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="By when the customer hears from us now; absent if that is unchanged."
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When to warn of the promised time; absent if nobody is warned of it."
    )
    asked_again_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When the customer asked again, if the promise was kept before: checks given before then do not answer it. Absent otherwise.",
    )
    promise_of: PromiseId | None = Field(
        None,
        description="The promise of a merged complaint that stands for all of them now; absent if it is this one's own.",
    )
    overdue: Annotated[bool, Data.INTERNAL] = Field(
        False,
        description="Whether that time passed while another promise, which was broken, stood for all of them.",
    )
    changed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was merged or split."
    )


class ComplaintConfirmed(ComplaintFact):
    """The customer said it helped."""

    TYPE: ClassVar[str] = "recovery.complaint.confirmed.v1"

    confirmed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the customer said that it helped."
    )
    site: SiteId | None = Field(
        None, description="Site of the complaint; absent in facts of before it was added."
    )
    by_link: Annotated[bool, Data.INTERNAL] = Field(
        False,
        description="Whether the customer said so on the page of their link; otherwise a fact of the notifier says so too.",
    )
    line: Annotated[Sealed | None, Data.SPECIAL] = Field(
        None,
        description="What the customer wrote with it on that page, sealed under a key of the customer and the month; absent if nothing.",
    )


class ComplaintReopened(ComplaintFact):
    """The customer said it did not help, and there is a new promise.

    The same employee keeps the complaint; if they are off shift, a colleague on shift has it from now on.
    """

    TYPE: ClassVar[str] = "recovery.complaint.reopened.v1"

    customer_ref: CustomerRef
    site: SiteId
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is answered."
    )
    employee_id: EmployeeId | None = Field(
        None, description="Employee who has the complaint now; absent if nobody ever took it on."
    )
    passed_from: EmployeeId | None = Field(
        None,
        description="Employee who had it until now and is off shift; absent if it stays with who had it.",
    )
    round: Annotated[int, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        description="How many times the customer has said that it did not help, from 1."
    )
    promised_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="By when the customer hears from us again."
    )
    warn_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None,
        description="When to warn of the promised time; absent if nobody is warned, or it is sooner than that.",
    )
    has_contact: Annotated[bool, Data.INTERNAL] = Field(
        description="Whether a message reaches the customer: true if a channel of the site's policy does."
    )
    reopened_at: Annotated[AwareDatetime | None, Data.INTERNAL] = Field(
        None, description="When the customer said so; checks given before then do not answer it."
    )
    by_link: Annotated[bool, Data.INTERNAL] = Field(
        False,
        description="Whether the customer said so on the page of their link; otherwise a fact of the notifier says so too.",
    )
    partly: Annotated[bool, Data.PERSONAL] = Field(
        False, description="Whether they said there that it helped in part."
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that is made; absent in facts of before it was added."
    )


class PromiseWarned(ComplaintFact):
    """A promised time is near, and the customer was neither given nor offered anything, and nothing was fixed; once per
    promise, and not while it waits for the customer.
    """

    TYPE: ClassVar[str] = "recovery.promise.warned.v1"

    site: SiteId
    category: Annotated[Category, Data.INTERNAL] = Field(description="Category of the complaint.")
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity of the complaint.")
    employee_id: EmployeeId | None = Field(
        None, description="Employee who has the complaint; absent if nobody took it on."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Number of the round whose promise is near: 0 for the first."
    )
    promised_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="The promised time.")
    promise_of: PromiseId | None = Field(
        None,
        description="The promise of a merged complaint that it is; absent if it is this one's own.",
    )
    broken_before: Annotated[int | None, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        None,
        description="How many promises of the same round were broken before it, its own and those of merged complaints; absent if none was.",
    )
    warned_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was noted that it is near."
    )


class ComplaintOverdue(ComplaintFact):
    """A promised time passed, and by then the customer was neither given nor offered anything and had not
    said that it helped; once per promise.
    """

    TYPE: ClassVar[str] = "recovery.complaint.overdue.v1"

    customer_ref: CustomerRef
    site: SiteId
    category: Annotated[Category, Data.INTERNAL] = Field(description="Category of the complaint.")
    severity: Annotated[Severity, Data.INTERNAL] = Field(description="Severity of the complaint.")
    employee_id: EmployeeId | None = Field(
        None, description="Employee who has the complaint; absent if nobody ever took it on."
    )
    round: Annotated[int, Field(ge=0, le=1000), Data.INTERNAL] = Field(
        description="Which promise passed: 0 for the first, then the number of the round."
    )
    promised_by: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="The promised time that passed."
    )
    overdue_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was noted that the promise was not kept."
    )
    promise_id: PromiseId | None = Field(
        None, description="The promise that was broken; absent in facts of before it was added."
    )
    broken_before: Annotated[int | None, Field(ge=1, le=1000), Data.INTERNAL] = Field(
        None,
        description="How many promises of the same round were broken before it, its own and those of merged complaints; absent if none was.",
    )


class ComplaintForgotten(ComplaintFact):
    """The customer was erased: what is kept of the complaint has no words and no contact any more."""

    TYPE: ClassVar[str] = "recovery.complaint.forgotten.v1"

    customer_ref: CustomerRef
    more: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether complaints of the same customer may still have to be forgotten.",
    )
    forgotten_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was forgotten."
    )


class CustomerReturned(ComplaintFact):
    """A customer booked or bought again after their complaint was handled; counted once per complaint."""

    TYPE: ClassVar[str] = "recovery.customer.returned.v1"

    customer_ref: CustomerRef
    site: SiteId
    amount_minor: Annotated[AmountMinor | None, Data.PERSONAL] = Field(
        None, description="What they paid, in minor units of `currency`; absent if it is not told."
    )
    currency: Currency | None = Field(
        None, description="Currency code of ISO 4217; absent without an amount."
    )
    purchased_at: Annotated[AwareDatetime, Data.PERSONAL] = Field(
        description="When they booked or bought."
    )


class WordsAdded(ComplaintFact):
    """The customer added something by their link."""

    TYPE: ClassVar[str] = "recovery.words.added.v1"

    site: SiteId
    text: Annotated[Sealed, Data.SPECIAL] = Field(
        description="What the customer wrote, sealed under a key of the customer and the month."
    )
    added_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was added.")


ConfirmationId = Annotated[
    Id, Data.PERSONAL, Field(description="The confirmation's id: one code, one action.")
]


class ConfirmationAsked(ComplaintFact):
    """The customer wants to do something by their link that needs a one-time code; the notifier sends it."""

    TYPE: ClassVar[str] = "recovery.confirmation.asked.v1"

    confirmation_id: ConfirmationId
    customer_ref: CustomerRef
    site: SiteId
    language: Annotated[Language, Data.PERSONAL] = Field(
        description="Language in which the customer is written to."
    )
    action: Annotated[Action, Data.PERSONAL] = Field(description="What the code is for.")
    code: Annotated[Sealed, Data.PERSONAL] = Field(
        description="The code, six digits, sealed under the customer's key."
    )
    code_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Data.PERSONAL] = Field(
        description="Keyed hash of the code and the confirmation, 64 hex characters."
    )
    expires_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="Until when the code is taken."
    )
    asked_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was asked for.")


class ConfirmationFailed(ComplaintFact):
    """Somebody with the customer's link entered a wrong code."""

    TYPE: ClassVar[str] = "recovery.confirmation.failed.v1"

    confirmation_id: ConfirmationId
    site: SiteId
    failed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was entered.")


class ConfirmationGiven(ComplaintFact):
    """The customer entered the code that was sent to their contact; it is taken once."""

    TYPE: ClassVar[str] = "recovery.confirmation.given.v1"

    confirmation_id: ConfirmationId
    site: SiteId
    action: Annotated[Action, Data.PERSONAL] = Field(description="What is done by it.")
    given_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was entered.")


class ContactChanged(ComplaintFact):
    """The customer gave another mail address by their link, with a code that was sent to the one before."""

    TYPE: ClassVar[str] = "recovery.contact.changed.v1"

    site: SiteId
    contact: Annotated[Sealed, Data.PERSONAL] = Field(
        description="Name, mail address and telephone as JSON, sealed under the customer's key."
    )
    contact_refs: Annotated[
        tuple[Id, ...],
        Field(max_length=2),
        Data.PERSONAL,
    ] = Field(
        (),
        description="Keyed fingerprints of site and mail address, and of site and telephone, by which employees find the complaint.",
    )
    changed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was changed.")


class CustomerFact(Fact):
    """A fact of one customer; they keep their order."""

    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    customer_ref: CustomerRef
    site: SiteId

    def key(self) -> str:
        """The customer."""
        return self.customer_ref


class WordsExpired(Fact):
    """The time of a site's words is over up to a month: the keys that they were sealed under are destroyed."""

    TYPE: ClassVar[str] = "recovery.words.expired.v1"
    TOPIC: ClassVar[str] = "recovery.complaints.v1"

    site: SiteId
    month: Annotated[Month, Data.INTERNAL] = Field(
        description="The last month (UTC) whose words are over, as are those before it."
    )
    policy_version: Version
    more: Annotated[bool, Data.INTERNAL] = Field(
        default=False,
        description="Whether keys of customers of the site are still left to destroy.",
    )
    next_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the words of the following month are over."
    )
    expired_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When these keys were destroyed."
    )

    def key(self) -> str:
        """The site."""
        return self.site


class ProfileRecorded(CustomerFact):
    """What a hotel or booking system knows of a customer was recorded; it replaces what was recorded before."""

    TYPE: ClassVar[str] = "recovery.profile.recorded.v1"

    profile: Annotated[Sealed, Data.SPECIAL] = Field(
        description="Segment, language, stay and needs as JSON, sealed under a key of the customer and the month."
    )
    content: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")], Data.PERSONAL
    ] = Field(description="Keyed hash of what was described, 32 hex characters: tells a repeat.")
    described_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="As of when the source says it; the latest counts."
    )
    recorded_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was recorded here."
    )


class CustomerErased(CustomerFact):
    """A customer is erased: their keys are destroyed, and their reference is never used again."""

    TYPE: ClassVar[str] = "recovery.customer.erased.v1"

    asked_by: Annotated[Id, Data.INTERNAL] = Field(
        description="Which system asked for it, by its id at the site; `operator` for the command, `customer` for the customer by their link."
    )
    erased_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the keys were destroyed; nothing sealed before can be read from then on."
    )


class ErasureCertified(CustomerFact):
    """Nothing of an erased customer is left, also in the topics that held their words outside their keys."""

    TYPE: ClassVar[str] = "recovery.erasure.certified.v1"

    erased_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the keys were destroyed."
    )
    certified_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When the intake and the dead letters were found without records from before then."
    )
