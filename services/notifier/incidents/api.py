"""The HTTP face of incidents: what is known, for everybody, on screens, pages and in chats."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.notifier.incidents.handlers import SHOWN_AFTER, Voice
from services.notifier.incidents.rules import SiteIncident
from shared.contracts.complaints import Category, Language
from shared.contracts.event import SiteId
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import View
from shared.runtime.http.answers import Answer
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Identifier, Routes
from shared.runtime.words import title_of

INCIDENT: JsonDict = {
    "category": "delay",
    "state": "open",
    "since": "2026-06-03T14:00:00Z",
    "until": None,
    "words": {"en": "We leave two hours late. Coffee and something to eat are in the hall."},
    "gives": {"en": "Gift card for the tax-free shop"},
}


class IncidentState(StrEnum):
    """Whether an incident goes on."""

    OPEN = "open"
    CLOSED = "closed"


class PublicIncident(Answer):
    """An incident as everybody is told of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [INCIDENT]})

    category: Annotated[Category, Field(description="What it is about.")]
    state: Annotated[IncidentState, Field(description="Whether it goes on.")]
    since: Annotated[datetime, Field(description="When it was opened.")]
    until: Annotated[datetime | None, Field(description="When it was closed; null while open.")]
    words: Annotated[
        dict[Language, str],
        Field(description="What the site says, by language, as in its letters."),
    ]
    gives: Annotated[
        dict[Language, str] | None,
        Field(
            description="What everybody affected is given, by language; null until an employee gives it."
        ),
    ]

    @classmethod
    def of(cls, incident: SiteIncident, policy: Policy) -> PublicIncident:
        """An incident in the words of the policy in force."""
        prepared = policy.incidents.words if policy.incidents is not None else {}
        gives = {one: title_of(incident.item, (policy,), one) for one in policy.languages}
        return cls(
            category=incident.reason,
            state=IncidentState.OPEN if incident.closed_at is None else IncidentState.CLOSED,
            since=incident.opened_at,
            until=incident.closed_at,
            words=prepared[incident.reason],
            gives=gives if incident.giving_at is not None else None,
        )


class PublicIncidents(Answer):
    """The incidents of a site, without anybody whom they affect."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"site": "ms-aurora", "site_name": "Aurora", "incidents": [INCIDENT]}]
        }
    )

    site: SiteId
    site_name: Annotated[str, Field(description="The name of the site.")]
    incidents: Annotated[
        list[PublicIncident],
        Field(
            description=f"The open ones, the newest first, and those closed in the last {SHOWN_AFTER.days * 24} hours."
        ),
    ]


def routes(face: Face, voice: Voice) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.public("/incidents/{site}.json", PublicIncidents, refuses=(Reason.UNKNOWN_SITE,))
    async def get_public_incidents(view: View, site: Identifier) -> PublicIncidents:
        """What is known of incidents at a site, for screens, pages and chats; the same words as in its letters.

        An incident of a category without words is not shown. Anybody may ask, from any page.
        """
        found = await voice.shown(site, view)
        return PublicIncidents(
            site=site,
            site_name=found.policy.site_name,
            incidents=[PublicIncident.of(one, found.policy) for one in found.incidents],
        )

    return to
