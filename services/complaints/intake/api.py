"""The routes of intake: raise a complaint, find what became of a published one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.complaints.intake.handlers import Intake, complaint_id_of
from services.complaints.intake.rules import source_of_token
from services.complaints.lifecycle.api import COMPLAINT, MergedAnswer, PromisedBy, Round
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import (
    Category,
    ComplaintRepeated,
    ComplaintTriaged,
    PraiseReceived,
    PraiseRepeated,
    Severity,
)
from shared.contracts.event import ComplaintId, Outside, PraiseId, PromiseId
from shared.contracts.intake import TEXT_MAX, Channel, ComplaintRaised, Reachable, Spoken, Told
from shared.contracts.lifecycle import State
from shared.contracts.names import legible
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.roster import employed


class RaiseComplaint(Told):
    """A complaint raised over HTTP; the token says who raises it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "text": "We waited two hours for cold soup.",
                    "contact": {"email": "kim@example.org"},
                }
            ]
        },
    )

    channel: Annotated[
        Spoken | None,
        Field(
            description="How the complaint reached the caller; by default `desk` for an employee, `app` for a customer, `partner` for a system."
        ),
    ] = None

    contact: Annotated[
        Reachable | None,
        Field(
            description="Where the customer can be reached, in clear text; without it nobody is written to."
        ),
    ] = None

    @field_validator("place", mode="before")
    @classmethod
    def _legible(cls, told: object) -> object:
        """Refuse a place of which nothing is seen; what other systems publish has none then."""
        if isinstance(told, str):
            legible(told[:TEXT_MAX])  # what is longer is refused for that
        return told


#: The channel by kind of caller, if the command names none.
CHANNELS = {
    Kind.EMPLOYEE: Channel.DESK,
    Kind.CUSTOMER: Channel.APP,
    Kind.SYSTEM: Channel.PARTNER,
}


def raised(command: RaiseComplaint, principal: Principal) -> ComplaintRaised:
    """The complaint as its caller raises it; raises Rejected for a `desk` without an employee.

    Only an employee is named in it: the names of customers are sealed.
    """
    at_desk = principal.kind is Kind.EMPLOYEE
    if command.channel is Channel.DESK and not at_desk:
        raise Rejected(Reason.SCHEMA_INVALID, where=("/channel",))
    told = {name: getattr(command, name) for name in Told.model_fields}
    return ComplaintRaised(
        **told,
        channel=command.channel or CHANNELS[principal.kind],
        raised_by=principal.subject if at_desk else None,
    )


class FindComplaint(BaseModel):
    """The event that raised a complaint, by its publisher's own source and id."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"source": "/booking", "id": "complaint-778120"}]},
    )

    source: Annotated[
        Outside, Field(description="The event's `source`, as its publisher wrote it.")
    ]
    id: Annotated[Outside, Field(description="The event's `id`, as its publisher wrote it.")]


class PromisedAnswer(Answer):
    """A complaint that was received, and by when its customer hears from us."""

    OF: ClassVar[type[Fact]] = ComplaintTriaged
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**COMPLAINT, "promise_id": "co-9f86d081884c7d65/0", "reachable": True}]
        }
    )

    complaint_id: ComplaintId
    category: Annotated[Category, Field(description="Category of the complaint.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    promised_by: Annotated[datetime, Field(description="By when the customer hears from us.")]
    promise_id: Annotated[
        PromiseId | None, Field(description="The promise's id; null if an earlier build made it.")
    ]
    reachable: Annotated[
        bool,
        Field(
            validation_alias="has_contact",
            description="Whether a message reaches the customer: by a channel of the site's policy.",
        ),
    ]


class KnownComplaint(Answer):
    """The complaint was raised before."""

    OF: ClassVar[type[Fact]] = ComplaintRepeated
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"complaint_id": COMPLAINT["complaint_id"]}]}
    )

    complaint_id: ComplaintId


class NotedPraise(Answer):
    """Praise that was received: no promise is made, and employees who were there read it."""

    OF: ClassVar[type[Fact]] = PraiseReceived
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"praise_id": "pr-9f86d081884c7d65", "received_at": "2026-06-03T16:02:05Z"}
            ]
        }
    )

    praise_id: PraiseId
    received_at: Annotated[datetime, Field(description="When it was recorded here.")]


class KnownPraise(Answer):
    """The praise was sent before."""

    OF: ClassVar[type[Fact]] = PraiseRepeated
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"praise_id": "pr-9f86d081884c7d65"}]}
    )

    praise_id: PraiseId


class FoundComplaint(Answer):
    """What a publisher may know of the complaint from its event: no text and no persons."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "/booking",
                    "id": "complaint-778120",
                    **COMPLAINT,
                    "state": "claimed",
                    "round": 0,
                }
            ]
        }
    )

    source: Annotated[Outside, Field(description="The event's `source`.")]
    id: Annotated[Outside, Field(description="The event's `id`.")]
    complaint_id: ComplaintId
    state: Annotated[State, Field(description="Where the complaint stands.")]
    category: Annotated[Category, Field(description="Category of the complaint.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    promised_by: PromisedBy
    round: Round


def source_of(principal: Principal) -> str:
    """The source of the name in `customer`: the same name from the same source is the same person.

    Employees write down the guests of their site, so all of them share the site as a source. Each
    customer and system is a source of its own, as every source on the intake topic is; an intake
    source named `/site/<site>` is the same as the site's.
    """
    if principal.kind is Kind.EMPLOYEE:
        return f"/site/{principal.site}"
    return source_of_token(principal.site, principal.kind, principal.subject)


def routes(face: Face, intake: Intake) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.write(
        "POST",
        "/v1/complaints",
        (Kind.EMPLOYEE, Kind.CUSTOMER, Kind.SYSTEM),
        {200: (KnownComplaint, KnownPraise), 201: (PromisedAnswer, MergedAnswer, NotedPraise)},
        refuses=(Reason.TIME_OUT_OF_RANGE, Reason.WRAPPING_KEY_MISSING),
    )
    async def raise_complaint(ask: Ask, command: RaiseComplaint) -> Decision:
        """Raise a complaint; the answer is the promise.

        If a customer raised an open one about the same with the same token, the new one is merged into it. Words that praise
        and do nothing else are praise, and no complaint.
        """
        principal = ask.principal
        if command.site != principal.site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        complaint = raised(command, principal)
        source, counts_for = source_of(principal), None
        # A customer is known by their token, whatever name they give, and a system that names nobody
        # counts as one customer. An employee does not: they write down one guest after another.
        nobody = principal.kind is Kind.SYSTEM and command.customer is None
        if principal.kind is Kind.CUSTOMER or nobody:
            counts_for = intake.as_one(source)
        if principal.kind is Kind.EMPLOYEE:
            await employed(principal, ask.view)
        try:
            return await intake.raise_complaint(
                complaint,
                source,
                complaint_id_of(ask.name),
                ask.view,
                counts_for,
                by_customer=principal.kind is Kind.CUSTOMER,
            )
        except Rejected as rejected:
            if rejected.reason is not Reason.CONFLICTING_REPEAT:
                raise
            # The complaint exists but its stored answer has expired: refuse as before it expired.
            raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED) from None

    @to.read(
        "/v1/complaints/find",
        (Kind.SYSTEM,),
        FoundComplaint,
        method="POST",
        refuses=(Reason.UNKNOWN_COMPLAINT,),
    )
    async def find_complaint(ask: Ask, command: FindComplaint) -> FoundComplaint:
        """What became of an event that raises a complaint, by its own source and id.

        Changes nothing and takes no key. It is a POST because an id may be somebody's mail address,
        and URLs are written into logs everywhere. Of events that raise no complaint it knows nothing.
        """
        complaint_id = complaint_id_of(intake.event_name(command.source, command.id))
        complaint = await ask.view.get(Complaint, complaint_id)
        # That of another site is not known either, and in the same words.
        if complaint is None or complaint.site != ask.principal.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/source", "/id"))
        return FoundComplaint.about(
            complaint, source=command.source, id=command.id, complaint_id=complaint_id
        )

    return to
