"""Complaints of other systems by webhook, signed as Standard Webhooks says, each received once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from services.complaints.intake.handlers import Intake, complaint_id_of
from services.complaints.intake.rules import plausible
from services.complaints.intake.sources import Source
from shared.contracts.event import Event, Outside
from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Identifier, Routes
from shared.runtime.http.signatures import check_standard
from shared.runtime.kafka.inbox import json_of, locations

#: What a payload of Standard Webhooks may call the event.
TYPES = (ComplaintRaised.TYPE, "complaint.raised")
_NAME: TypeAdapter[str] = TypeAdapter(Outside)


class Told(NamedTuple):
    """A complaint as a webhook tells it: what its sender calls the event, and when it was made, if it says so."""

    raised: ComplaintRaised
    event_id: str
    at: datetime | None = None


def told_in(body: bytes, webhook_id: str) -> Told:
    """The complaint in a body: a CloudEvent, a payload of Standard Webhooks, or the fields alone.

    A CloudEvent has an id of its own; the others are called what the webhook is. Raises Rejected(malformed_bytes,
    invalid_utf8, unknown_type, schema_invalid), also for a field that the complaint does not have: its sender is there
    to be told.
    """
    found = json_of(body)
    if not isinstance(found, dict):
        raise Rejected(Reason.SCHEMA_INVALID)
    try:
        if "specversion" in found:
            if found.get("type") != ComplaintRaised.TYPE:
                raise Rejected(Reason.UNKNOWN_TYPE, where=("/type",))
            event = Event[ComplaintRaised].model_validate(found)
            raised = ComplaintRaised.model_validate(found["data"], extra="forbid")
            return Told(raised, event.id, event.time)
        if "data" in found and found.get("type") not in TYPES:
            raise Rejected(Reason.UNKNOWN_TYPE, where=("/type",))
        raised = ComplaintRaised.model_validate(found.get("data", found), extra="forbid")
        return Told(raised, webhook_id)
    except ValidationError as error:
        raise Rejected(Reason.SCHEMA_INVALID, where=locations(error)) from None


def routes(face: Face, intake: Intake, sources: Mapping[str, Source]) -> Routes:
    """The route; `sources` are the systems of the operator's file."""
    to = Routes(face)

    @to.signed(
        "/v1/webhooks/{source}",
        refuses=(
            Reason.UNAUTHENTICATED,
            Reason.UNKNOWN_TYPE,
            Reason.UNKNOWN_SITE,
            Reason.TIME_OUT_OF_RANGE,
            Reason.CONFLICTING_REPEAT,
            Reason.WRAPPING_KEY_MISSING,
        ),
        writes=True,
    )
    async def take_webhook(source: Identifier, request: Request) -> Response:
        """Raise a complaint by webhook, signed as Standard Webhooks says, as a system of the operator's file.

        The body is a CloudEvent, an object with `type` and `data`, or the fields of `recovery.complaint.raised.v1`. The same
        webhook again changes nothing.
        """
        known, body = sources.get(source), await request.body()
        # Not one word more for who is no source: it knows no secret.
        keys = known.keys if known is not None else []
        check_standard(keys, request.headers, body, face.view().now)
        assert known is not None
        webhook_id = named(request.headers.get("webhook-id", ""))
        told = told_in(body, webhook_id)
        if told.raised.site not in known.sites:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/data/site",))
        name = f"/webhooks/{source}"

        async def decide(view: View, _: str) -> Decision:
            if not plausible(told.at, view.now):
                raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/time",))
            complaint_id = complaint_id_of(intake.event_name(name, told.event_id))
            return await intake.raise_published(told.raised, name, complaint_id, view)

        system = Principal(source, Kind.SYSTEM, told.raised.site)
        written = await face.write(system, f"webhooks/{source}", webhook_id, told.raised, decide)
        return written.response(204, b"")

    return to


def named(webhook_id: str) -> str:
    """The id of a webhook; raises Rejected(schema_invalid) for one that is too long or has none."""
    try:
        return _NAME.validate_python(webhook_id)
    except ValidationError:
        raise Rejected(Reason.SCHEMA_INVALID, where=("webhook-id",)) from None
