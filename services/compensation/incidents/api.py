"""The routes of incidents: show, open, give, close."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from services.compensation.incidents.handlers import Incidents, OpenIncident
from services.compensation.incidents.rules import Incident
from shared.contracts.compensation import (
    IncidentClosed,
    IncidentGiving,
    IncidentOpened,
    Merged,
    NotComplaints,
    Withdrawn,
)
from shared.contracts.complaints import Category
from shared.contracts.event import AmountMinor, Currency, Id, SiteId
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes


class IncidentShown(Answer):
    """An incident, and how far giving has come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "incident_id": "in-63ca339a500ecf37253040fd44206e03",
                    "site": "ms-aurora",
                    "reason": "food",
                    "item": "taxfree-card/20000",
                    "budget_minor": 3000000,
                    "currency": "NOK",
                    "opened_at": "2026-06-03T14:00:00Z",
                    "affected": 14,
                    "giving_by": "e-jonas",
                    "done": 10,
                    "given": 9,
                    "skipped": 1,
                    "left_out_unfounded": 0,
                    "left_out_withdrawn": 0,
                    "left_out_merged": 0,
                    "closed": False,
                    "remaining": 4,
                }
            ]
        }
    )

    incident_id: Annotated[Id, Field(description="The incident's id.")]
    site: SiteId
    reason: Annotated[Category, Field(description="The category of its complaints.")]
    item: Annotated[Id, Field(description="The group check, as in the catalogue.")]
    budget_minor: Annotated[
        AmountMinor,
        Field(description="What its group checks may cost together, in minor units of `currency`."),
    ]
    currency: Currency
    opened_at: Annotated[datetime, Field(description="When it was opened.")]
    affected: Annotated[int, Field(description="Customers who are part of it.")]
    giving_by: Annotated[Id | None, Field(description="Who gives to all; null while nobody does.")]
    done: Annotated[int, Field(description="Of those affected, how many were looked at.")]
    given: Annotated[int, Field(description="Of those looked at, how many were given the check.")]
    skipped: Annotated[
        int,
        Field(description="Of those looked at, how many got nothing: budget spent, or erased."),
    ]
    left_out_unfounded: NotComplaints
    left_out_withdrawn: Withdrawn
    left_out_merged: Merged
    closed: Annotated[
        bool, Field(description="Whether it is closed: later complaints do not join it.")
    ]
    remaining: Annotated[
        int, Field(description="Of those affected, how many are still to be looked at.")
    ]

    @classmethod
    def of(cls, incident_id: str, incident: Incident) -> IncidentShown:
        """An incident as its site sees it."""
        remaining = incident.affected - incident.done
        return cls.about(incident, incident_id=incident_id, remaining=remaining)


class OpenIncidents(Answer):
    """The open incidents of a site."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"incidents": []}]})

    incidents: Annotated[
        list[IncidentShown], Field(description="The incidents, at most one of each category.")
    ]


class OpenedIncident(Answer):
    """An incident that an employee opened; its customers get the group check, from its own budget."""

    OF: ClassVar[type[Fact]] = IncidentOpened
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "incident_id": "in-63ca339a500ecf37253040fd44206e03",
                    "site": "ms-aurora",
                    "reason": "delay",
                    "employee_id": "e-jonas",
                    "item": "taxfree-card/20000",
                    "budget_minor": 3000000,
                    "currency": "NOK",
                    "opened_at": "2026-06-03T14:00:00Z",
                }
            ]
        }
    )

    incident_id: Annotated[Id, Field(description="The incident's id.")]
    site: SiteId
    reason: Annotated[Category, Field(description="The category of its complaints.")]
    employee_id: Annotated[Id | None, Field(description="Who opened it; null if complaints did.")]
    item: Annotated[Id, Field(description="The group check, as in the catalogue.")]
    budget_minor: Annotated[
        AmountMinor,
        Field(description="What its group checks may cost together, in minor units of `currency`."),
    ]
    currency: Currency
    opened_at: Annotated[datetime, Field(description="When it was opened.")]


def routes(face: Face, handlers: Incidents) -> Routes:
    """The routes."""
    to = Routes(face)
    unknown, closed = Reason.UNKNOWN_INCIDENT, Reason.INCIDENT_CLOSED

    @to.read("/v1/incidents", EMPLOYEE, OpenIncidents)
    async def list_incidents(ask: Ask) -> OpenIncidents:
        """The open incidents of my site."""
        found = await handlers.open_ones(ask.principal, ask.view)
        return OpenIncidents(incidents=[IncidentShown.of(name, one) for name, one in found.items()])

    @to.read("/v1/incidents/{incident_id}", EMPLOYEE, IncidentShown, refuses=(unknown,))
    async def get_incident(ask: Ask, incident_id: Identifier) -> IncidentShown:
        """One incident, and how far giving has come."""
        incident = await handlers.look(incident_id, ask.principal, ask.view)
        return IncidentShown.of(incident_id, incident)

    @to.write(
        "POST",
        "/v1/incidents",
        EMPLOYEE,
        {201: OpenedIncident},
        refuses=(Reason.NO_INCIDENT, Reason.INCIDENT_OPEN),
    )
    async def open_incident(ask: Ask, command: OpenIncident) -> Decision:
        """Open an incident by hand, before enough complaints have come."""
        return await handlers.open(command, ask.principal, ask.name, ask.view)

    @to.write(
        "POST",
        "/v1/incidents/{incident_id}/give",
        EMPLOYEE,
        {202: IncidentGiving},
        refuses=(unknown, closed),
        examples={
            202: {
                "incident_id": "in-63ca339a500ecf37253040fd44206e03",
                "site": "ms-aurora",
                "employee_id": "e-jonas",
                "affected": 12,
                "left_out_unfounded": 1,
                "left_out_withdrawn": 1,
                "left_out_merged": 0,
                "began_at": "2026-06-03T14:10:00Z",
            }
        },
    )
    async def give_to_incident(ask: Ask, incident_id: Identifier) -> Decision:
        """Give the group check to all who are affected; the incident shows the progress.

        Left out is what an employee found to be no complaint, what its customer took back, and what was merged into a
        complaint whose customer has the check. The answer says how many of each.
        """
        return await handlers.give(incident_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/incidents/{incident_id}/close",
        EMPLOYEE,
        {200: IncidentClosed},
        refuses=(unknown, closed),
        examples={
            200: {
                "incident_id": "in-63ca339a500ecf37253040fd44206e03",
                "site": "ms-aurora",
                "reason": "delay",
                "employee_id": "e-jonas",
                "closed_at": "2026-06-03T20:00:00Z",
            }
        },
    )
    async def close_incident(ask: Ask, incident_id: Identifier) -> Decision:
        """Close an incident: later complaints do not join it."""
        return await handlers.close(incident_id, ask.principal, ask.view)

    return to
