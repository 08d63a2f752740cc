"""The HTTP face of complaints: raise one, look at one."""

# Annotations are evaluated here and not postponed: they name dependencies made in `api`.

from typing import Annotated, Any, cast

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from services.complaints.handlers import Handlers, known
from shared.contracts.complaints import ComplaintRepeated, ComplaintTriaged
from shared.contracts.event import Outside
from shared.contracts.intake import Channel, ComplaintRaised, Told
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    JSON,
    NO_STORE,
    Face,
    Identifier,
    shown,
)
from shared.runtime.roster import employed


class RaiseComplaint(Told):
    """A complaint raised over HTTP; who raises it is in the token, and is not said again."""

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

    #: How it came to whoever raises it: an employee's desk, a customer's app, a partner's system,
    #: unless this says otherwise.
    channel: Channel | None = None


#: How a complaint comes to each kind of caller, where the command says nothing.
CHANNELS = {
    Kind.EMPLOYEE: Channel.DESK,
    Kind.CUSTOMER: Channel.APP,
    Kind.SYSTEM: Channel.PARTNER,
}


def raised(command: RaiseComplaint, principal: Principal) -> ComplaintRaised:
    """The complaint as its caller raises it; raises Rejected for a desk that nobody stands at.

    Only an employee is at a desk, and only an employee is named: customers are sealed.
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
    """An event by which a complaint was raised, as its publisher calls it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"source": "/booking", "id": "complaint-778120"}]},
    )

    source: Outside
    id: Outside


#: What a publisher may know of what became of its event: nothing that somebody wrote, and nobody.
TOLD = {"state", "category", "severity", "promised_by", "round"}


def answer(fact: Fact) -> tuple[int, dict[str, Any]]:
    """How a raised complaint is answered."""
    if isinstance(fact, ComplaintRepeated):
        return 200, {"complaint_id": fact.complaint_id}
    triaged = cast("ComplaintTriaged", fact)
    return 201, {
        "complaint_id": triaged.complaint_id,
        "category": triaged.category,
        "severity": triaged.severity,
        "promised_by": triaged.promised_by,
        "reachable": triaged.has_contact,
    }


def source_of(principal: Principal) -> str:
    """In whose count of customers `customer` names one: the same name there is the same person.

    Employees write down the guests of their site, so all of them share the site's count. Customers
    and systems have one of their own, as every source on the intake topic has; an intake source
    named `/site/<site>` counts as the site does.
    """
    if principal.kind is Kind.EMPLOYEE:
        return f"/site/{principal.site}"
    return f"/http/{principal.site}/{principal.kind}/{principal.subject}"


def api(face: Face, handlers: Handlers, settler: Settler) -> FastAPI:
    """The routes."""
    app = face.api(
        "complaints",
        "Every complaint is received once, answered by a promised time and followed to the end.",
    )

    @app.post(
        "/v1/complaints",
        status_code=201,
        responses={200: {"description": "It was here before.", "content": JSON}},
    )
    async def raise_complaint(
        command: RaiseComplaint,
        principal: Annotated[Principal, face.principal(Kind.EMPLOYEE, Kind.CUSTOMER, Kind.SYSTEM)],
        key: IDEMPOTENCY_KEY,
    ) -> Response:
        """Raise a complaint; the answer is the promise."""
        if command.site != principal.site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        complaint = raised(command, principal)
        source, counts_for = source_of(principal), None
        # A customer's token says who they are, whatever name they give; a system that names nobody
        # speaks for one, and an employee writes down one guest after another.
        nobody = principal.kind is Kind.SYSTEM and command.customer is None
        if principal.kind is Kind.CUSTOMER or nobody:
            counts_for = handlers.as_one(source)

        async def decide(view: View, name: str) -> Decision:
            if principal.kind is Kind.EMPLOYEE:
                await employed(principal, view)
            try:
                return await handlers.raise_complaint(
                    complaint,
                    source,
                    f"co-{name}",
                    view,
                    counts_for,
                    by_customer=principal.kind is Kind.CUSTOMER,
                )
            except Rejected as rejected:
                if rejected.reason is not Reason.CONFLICTING_REPEAT:
                    raise
                # The answer was forgotten, the complaint was not: as before it was forgotten.
                raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED) from None

        return await face.write(principal, "complaints", key, command, decide, answer)

    @app.post("/v1/complaints/find")
    async def find(
        command: FindComplaint, principal: Annotated[Principal, face.principal(Kind.SYSTEM)]
    ) -> Response:
        """What became of an event that was published, by its own source and id.

        Changes nothing and takes no key. A POST, because an id may be somebody's address, and
        addresses of requests are written into logs everywhere.
        """
        complaint_id = handlers.names_of(command.source, command.id)
        complaint = await known(complaint_id, settler.view())
        if complaint.site != principal.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/id",))
        found = complaint.model_dump(mode="json", include=TOLD)
        body = {**command.model_dump(), "complaint_id": complaint_id, **found}
        return Response(to_json(body), headers=NO_STORE, media_type="application/json")

    @app.get("/v1/complaints/{complaint_id}")
    async def look(
        complaint_id: Identifier,
        principal: Annotated[Principal, face.principal(Kind.EMPLOYEE)],
        etag: IF_NONE_MATCH = None,
    ) -> Response:
        """One complaint as employees of its site see it."""
        view = settler.view()
        await employed(principal, view)
        complaint = await known(complaint_id, view)
        if complaint.site != principal.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/data/complaint_id",))
        hidden = {"text", "contact", "customer_ref", "content", "promises"}
        body = complaint.model_dump(mode="json", exclude=hidden)
        body["overdue"] = complaint.overdue
        text = await handlers.read_text(complaint, view)
        return shown(etag, {"complaint_id": complaint_id, **body, "text": text})

    return app
