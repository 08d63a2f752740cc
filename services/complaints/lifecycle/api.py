"""The routes of a complaint's life: look at one, take it on, hand it over, ask, say what was done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.complaints.fixes.rules import Fixes
from services.complaints.fixes.shown import ShownFix, shown
from services.complaints.lifecycle.handlers import (
    AskCustomer,
    Correct,
    HandOver,
    HearCustomer,
    Lifecycle,
    Refer,
    Resolve,
)
from services.complaints.matters.handlers import suggested
from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintCorrected,
    ComplaintMerged,
    ComplaintReferred,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    Flag,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    Language,
    Outcome,
    ResolutionRecorded,
    Severity,
    Subcategory,
    reference_of,
)
from shared.contracts.event import ComplaintId, CustomerRef, Id, PromiseId, SiteId
from shared.contracts.lifecycle import State
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

#: The same complaint in every example.
COMPLAINT: JsonDict = {
    "complaint_id": "co-9f86d081884c7d65",
    "category": "food",
    "severity": "moderate",
    "promised_by": "2026-06-03T18:00:00Z",
}
#: Of the examples of what is done with it.
DONE: JsonDict = {
    "complaint_id": COMPLAINT["complaint_id"],
    "employee_id": "e-jonas",
    "site": "ms-aurora",
}
NOW = "2026-06-03T17:20:00Z"
PromisedBy = Annotated[
    datetime | None,
    Field(description="By when the customer hears from us; null until the complaint is triaged."),
]
Round = Annotated[int, Field(description="How often it was reopened.")]
PromiseNow = Annotated[
    PromiseId | None,
    Field(description="The promise of this round, by its id; null until the complaint is triaged."),
]
Owner = Annotated[Id | None, Field(description="Its owner; null while it has none.")]
Asked = Annotated[
    Id | None, Field(description="Who is asked to take it over; null if nobody of this kind is.")
]
PassedFrom = Annotated[
    Id | None,
    Field(
        description="Who had it before and was off shift when the customer said no; null if it did not pass on."
    ),
]


class ShownComplaint(Answer):
    """One complaint as employees of its site see it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **COMPLAINT,
                    "state": "claimed",
                    "site": "ms-aurora",
                    "language": "en",
                    "unsupported_language": False,
                    "safety": False,
                    "employee_id": "e-jonas",
                    "asked_colleague": None,
                    "asked_department": None,
                    "passed_from": None,
                    "round": 0,
                    "promise_id": "co-9f86d081884c7d65/0",
                    "reachable": True,
                    "overdue": False,
                    "waits_since": None,
                    "closes_at": None,
                    "referred_to": None,
                    "merged_into": None,
                    "subcategory": "cold",
                    "flags": [],
                    "merged_ids": [],
                    "looks_like": [],
                    "fixes": [],
                    "text": "We waited two hours for cold soup.",
                    "place": "Restaurant, deck 5",
                    "reference": "4C7D65",
                    "customer_ref": "c-2c26b46b68ffc68f",
                }
            ]
        }
    )

    complaint_id: ComplaintId
    state: Annotated[State, Field(description="Where the complaint stands.")]
    site: SiteId
    language: Annotated[Language, Field(description="Language in which the customer is answered.")]
    unsupported_language: Annotated[
        bool,
        Field(
            description="Whether the customer writes a language that is not read here: somebody must read it to know what it is about, and how bad it is."
        ),
    ]
    category: Annotated[Category, Field(description="Category of the complaint.")]
    subcategory: Annotated[
        Subcategory | None,
        Field(description="What it is about in particular; null if no word says it."),
    ]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    safety: Annotated[bool, Field(description="Whether somebody's safety is concerned.")]
    flags: Annotated[
        list[Flag],
        Field(
            description="What somebody must know of or treat with care, as the words or an employee say."
        ),
    ]
    promised_by: PromisedBy
    employee_id: Owner
    asked_colleague: Asked
    asked_department: Asked
    passed_from: PassedFrom
    round: Round
    promise_id: PromiseNow
    reachable: Annotated[
        bool | None,
        Field(description="Whether a message reaches the customer; null where it is not known."),
    ]
    overdue: Annotated[bool, Field(description="Whether the promise of this round was broken.")]
    waits_since: Annotated[
        datetime | None,
        Field(
            description="Since when the promise waits for an answer of the customer; null if it does not."
        ),
    ]
    closes_at: Annotated[
        datetime | None,
        Field(
            description="When it is closed if the customer says nothing to what was done; null before."
        ),
    ]
    referred_to: Annotated[
        Id | None,
        Field(description="The outside body of the policy that looks at it; null if none does."),
    ]
    merged_into: Annotated[
        ComplaintId | None,
        Field(description="The complaint that goes on for it; null while it stands by itself."),
    ]
    merged_ids: Annotated[
        list[ComplaintId],
        Field(description="The complaints that it goes on for: so often the customer asked again."),
    ]
    looks_like: Annotated[
        list[ComplaintId],
        Field(
            description="Open complaints under the same token, name or address, at most 5, which may be about the same."
        ),
    ]
    fixes: Annotated[
        list[ShownFix],
        Field(description="What was done about the cause, or is asked for; the latest last."),
    ]
    text: Annotated[
        str | None,
        Field(
            description="What the customer told us; null once they were erased, or the words' time is over."
        ),
    ]
    place: Annotated[
        str | None,
        Field(
            description="Where it happened; null if it was not told, and as for `text`.",
        ),
    ]
    reference: Annotated[str, Field(description="What letters call it, and the customer tells us.")]
    customer_ref: CustomerRef


class AskedAnswer(Answer):
    """The customer is asked something, and the promise waits."""

    OF: ClassVar[type[Fact]] = InfoAsked
    model_config = ConfigDict(json_schema_extra={"examples": [{**DONE, "asked_at": NOW}]})

    complaint_id: ComplaintId
    employee_id: Annotated[Id, Field(description="Who asks.")]
    site: SiteId
    asked_at: Annotated[datetime, Field(description="When it was asked.")]


class HeardAnswer(Answer):
    """What the customer answered is written down, and the promise goes on."""

    OF: ClassVar[type[Fact]] = InfoReceived
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**DONE, "promised_by": COMPLAINT["promised_by"], "answered_at": NOW}]
        }
    )

    complaint_id: ComplaintId
    employee_id: Annotated[Id, Field(description="Who wrote it down.")]
    site: SiteId
    promised_by: Annotated[
        datetime | None,
        Field(
            description="By when the customer hears from us now; null if the promise was over before."
        ),
    ]
    answered_at: Annotated[datetime, Field(description="When it was written down.")]


class ResolvedAnswer(Answer):
    """What was done is recorded."""

    OF: ClassVar[type[Fact]] = ResolutionRecorded
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **DONE,
                    "outcome": "fixed",
                    "closes_at": "2026-06-10T17:20:00Z",
                    "recorded_at": NOW,
                }
            ]
        }
    )

    complaint_id: ComplaintId
    employee_id: Annotated[Id, Field(description="Who did it.")]
    site: SiteId
    outcome: Annotated[Outcome, Field(description="What was done about the cause.")]
    closes_at: Annotated[
        datetime, Field(description="When it is closed if the customer says nothing.")
    ]
    recorded_at: Annotated[datetime, Field(description="When it was recorded.")]


class MergedAnswer(Answer):
    """A complaint was merged into another one about the same matter."""

    OF: ClassVar[type[Fact]] = ComplaintMerged
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "complaint_id": "co-1b4f0e9851971998",
                    "into": COMPLAINT["complaint_id"],
                    "promised_by": COMPLAINT["promised_by"],
                }
            ]
        }
    )

    complaint_id: Annotated[ComplaintId, Field(description="The complaint that was merged.")]
    into: Annotated[ComplaintId, Field(description="The complaint that goes on for both.")]
    promised_by: PromisedBy


def routes(face: Face, lifecycle: Lifecycle) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints/{complaint_id}",
        EMPLOYEE,
        ShownComplaint,
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
        ),
    )
    async def get_complaint(ask: Ask, complaint_id: Identifier) -> ShownComplaint:
        """One complaint as employees of its site see it."""
        complaint = await lifecycle.of_site(complaint_id, ask.principal, ask.view)
        text = await lifecycle.read_text(complaint, ask.view)
        place = await lifecycle.read_place(complaint, ask.view)
        looks_like = await suggested(complaint_id, complaint, ask.view)
        fixes = shown(await ask.view.get(Fixes, complaint_id))
        return ShownComplaint.about(
            complaint,
            complaint_id=complaint_id,
            promise_id=complaint.promise_id(complaint_id),
            text=text,
            place=place,
            reference=reference_of(complaint_id),
            looks_like=looks_like,
            fixes=fixes,
        )

    _owners(to, lifecycle)
    _words(to, lifecycle)
    _ends(to, lifecycle)
    return to


#: Why nothing can be done with a complaint.
UNFIT = (
    Reason.UNKNOWN_COMPLAINT,
    Reason.WRONG_STATE,
    Reason.COMPLAINT_MERGED,
    Reason.CUSTOMER_ERASED,
)
#: What is written about a customer is sealed.
SEALING = (Reason.KEY_NOT_YET_KNOWN, Reason.WRAPPING_KEY_MISSING)


def _owners(to: Routes, lifecycle: Lifecycle) -> None:
    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/claim",
        EMPLOYEE,
        {200: ComplaintClaimed},
        refuses=(*UNFIT, Reason.ALREADY_CLAIMED),
        examples={200: {**DONE, "claimed_at": NOW}},
    )
    async def claim_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """Take a complaint on. Of several who do at once, one has it, and the others are told who."""
        return await lifecycle.claim(complaint_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/handover",
        EMPLOYEE,
        {200: HandoverOffered},
        refuses=(
            *UNFIT,
            Reason.ALREADY_CLAIMED,
            Reason.UNKNOWN_COLLEAGUE,
            Reason.UNKNOWN_DEPARTMENT,
        ),
        examples={
            200: {
                **DONE,
                "colleague_id": None,
                "department": "housekeeping",
                "on_shift": True,
                "offered_at": NOW,
            }
        },
    )
    async def hand_complaint_over(
        ask: Ask, complaint_id: Identifier, command: HandOver
    ) -> Decision:
        """Ask a colleague or a department to take a complaint over; it stays mine until somebody accepts."""
        return await lifecycle.hand_over(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/accept",
        EMPLOYEE,
        {200: HandoverAccepted},
        refuses=(*UNFIT, Reason.NOT_OFFERED),
        examples={200: {**DONE, "accepted_at": NOW}},
    )
    async def accept_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """Take over a complaint that I, or a department of mine, was asked to take over."""
        return await lifecycle.accept(complaint_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/decline",
        EMPLOYEE,
        {200: HandoverDeclined},
        refuses=(*UNFIT, Reason.NOT_OFFERED),
        examples={200: {**DONE, "declined_at": NOW}},
    )
    async def decline_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """Do not take it over; or, as its owner, keep it after all."""
        return await lifecycle.decline(complaint_id, ask.principal, ask.view)


def _words(to: Routes, lifecycle: Lifecycle) -> None:
    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/ask",
        EMPLOYEE,
        {200: AskedAnswer},
        refuses=(*UNFIT, *SEALING, Reason.ALREADY_CLAIMED, Reason.NO_CONTACT),
    )
    async def ask_customer(ask: Ask, complaint_id: Identifier, command: AskCustomer) -> Decision:
        """Ask the customer something; the promise waits for the answer."""
        return await lifecycle.ask(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/answer",
        EMPLOYEE,
        {200: HeardAnswer},
        refuses=(*UNFIT, *SEALING),
    )
    async def hear_customer(ask: Ask, complaint_id: Identifier, command: HearCustomer) -> Decision:
        """Write down what the customer answered; the promise goes on with the time that was left."""
        return await lifecycle.hear(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/resolve",
        EMPLOYEE,
        {200: ResolvedAnswer},
        refuses=(*UNFIT, *SEALING, Reason.ALREADY_CLAIMED),
    )
    async def resolve_complaint(ask: Ask, complaint_id: Identifier, command: Resolve) -> Decision:
        """Record what was done about the cause; what the customer is given is another matter."""
        return await lifecycle.resolve(complaint_id, command, ask.principal, ask.view)


def _ends(to: Routes, lifecycle: Lifecycle) -> None:
    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/withdraw",
        EMPLOYEE,
        {200: ComplaintWithdrawn},
        refuses=(*UNFIT, Reason.ALREADY_CLAIMED),
        examples={200: {**DONE, "withdrawn_at": NOW}},
    )
    async def withdraw_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """The customer told me that they take the complaint back.

        Complaints of other customers that were merged into it stand by themselves again.
        """
        return await lifecycle.withdraw(complaint_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/unfounded",
        EMPLOYEE,
        {200: ComplaintUnfounded},
        refuses=(*UNFIT, Reason.ALREADY_CLAIMED),
        examples={200: {**DONE, "found_at": NOW}},
    )
    async def find_no_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """The words are praise, a question or nothing, and no complaint.

        Complaints that were merged into it stand by themselves again.
        """
        return await lifecycle.find_none(complaint_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/refer",
        EMPLOYEE,
        {200: ComplaintReferred},
        refuses=(*UNFIT, Reason.UNKNOWN_BODY),
        examples={200: {**DONE, "body": "transport-complaints-board", "referred_at": NOW}},
    )
    async def refer_complaint(ask: Ask, complaint_id: Identifier, command: Refer) -> Decision:
        """An outside body of the site's policy, such as an ombudsman, looks at the complaint from now on.

        Complaints of other customers that were merged into it stand by themselves again.
        """
        return await lifecycle.refer(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/correct",
        EMPLOYEE,
        {200: ComplaintCorrected},
        refuses=UNFIT,
        examples={200: {**DONE, "category": "noise", "severity": "moderate", "corrected_at": NOW}},
    )
    async def correct_complaint(ask: Ask, complaint_id: Identifier, command: Correct) -> Decision:
        """Put right what a complaint is about, how bad it is, or its flags.

        A promise is sooner then if the playbook says so, and never later: not either where a flag of danger is removed.
        """
        return await lifecycle.correct(complaint_id, command, ask.principal, ask.view)
