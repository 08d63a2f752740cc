"""Incidents of a site: open, given to, closed."""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response

from services.compensation.incidents.handlers import Incidents, OpenIncident
from services.compensation.incidents.rules import Incident
from shared.contracts.compensation import IncidentClosed, IncidentGiving, IncidentOpened
from shared.kernel import Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NOTHING,
    Face,
    Identifier,
    Nothing,
    recorded,
    shown,
)


def routes(face: Face, handlers: Incidents, settler: Settler) -> APIRouter:
    """The routes."""
    router = APIRouter()
    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]

    @router.get("/v1/incidents")
    async def open_incidents(principal: employee, etag: IF_NONE_MATCH = None) -> Response:
        """The open incidents of my site."""
        found = await handlers.open_ones(principal, settler.view())
        return shown(etag, {"incidents": [progress(name, one) for name, one in found.items()]})

    @router.get("/v1/incidents/{incident_id}")
    async def look_at_incident(
        incident_id: Identifier, principal: employee, etag: IF_NONE_MATCH = None
    ) -> Response:
        """One incident and how far the giving came."""
        incident = await handlers.look(incident_id, principal, settler.view())
        return shown(etag, progress(incident_id, incident))

    @router.post("/v1/incidents", status_code=201)
    async def open_incident(
        command: OpenIncident, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Say that it is an incident, before the count does."""
        return await face.write(
            principal,
            "incidents",
            key,
            command,
            lambda view, name: handlers.open(command, principal, name, view),
            answer,
        )

    @router.post("/v1/incidents/{incident_id}/give", status_code=202)
    async def give(
        incident_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Give the group check to all who are affected; look at the incident for progress."""
        return await face.write(
            principal,
            f"incidents/{incident_id}/give",
            key,
            command,
            lambda view, _: handlers.give(incident_id, principal, view),
            answer,
        )

    @router.post("/v1/incidents/{incident_id}/close")
    async def close(
        incident_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """It is over."""
        return await face.write(
            principal,
            f"incidents/{incident_id}/close",
            key,
            command,
            lambda view, _: handlers.close(incident_id, principal, view),
            answer,
        )

    return router


def progress(incident_id: str, incident: Incident) -> dict[str, Any]:
    """An incident and how far the giving came."""
    return {
        "incident_id": incident_id,
        **incident.model_dump(mode="json", exclude={"policy_version"}),
        "remaining": incident.affected - incident.done,
    }


def answer(fact: Fact) -> tuple[int, Mapping[str, Any]]:
    """How each fact of an incident looks as an answer."""
    match fact:
        case IncidentOpened():
            hidden = {"complaint_ids", "customers", "policy_version"}
            return 201, fact.model_dump(mode="json", exclude=hidden)
        case IncidentGiving():
            return 202, fact.model_dump(mode="json")
        case _:
            return recorded(fact, IncidentClosed)
