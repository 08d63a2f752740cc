"""What the notifier knows of incidents: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from shared.contracts.compensation import IncidentClosed, IncidentGiving, IncidentOpened
from shared.contracts.complaints import Category
from shared.kernel import Document, Fold, Slice, score_at


class SiteIncident(Document):
    """One incident of a site, without anybody whom it affects."""

    KIND: ClassVar[str] = "site-incident"

    site: str
    reason: Category
    #: The check that everybody affected gets, by its name in the catalogue, and since when it is given.
    item: str
    policy_version: int
    opened_at: datetime
    giving_at: datetime | None = None
    closed_at: datetime | None = None


def about_incident(complaint_id: str, incident_id: str) -> str:
    """What the letter to one affected customer is about: once per complaint and incident."""
    return f"{complaint_id}/{incident_id}"


def incident_of(about: str) -> str:
    """The incident that such a letter is about."""
    return about.rpartition("/")[2]


def opened(_: SiteIncident | None, fact: IncidentOpened) -> SiteIncident:
    """A new incident."""
    return SiteIncident(
        site=fact.site,
        reason=fact.reason,
        item=fact.item,
        policy_version=fact.policy_version,
        opened_at=fact.opened_at,
    )


def giving(incident: SiteIncident, fact: IncidentGiving) -> SiteIncident:
    """An employee gives its check to everybody; who did so first counts."""
    return incident.model_copy(update={"giving_at": incident.giving_at or fact.began_at})


def closed(incident: SiteIncident, fact: IncidentClosed) -> SiteIncident:
    """It is over."""
    return incident.model_copy(update={"closed_at": fact.closed_at})


def open_at(site: str) -> str:
    """The sorted set of a site's open incidents, the first one first; at most one of each category."""
    return f"incidents/{site}"


def closed_at(site: str) -> str:
    """The sorted set of a site's incidents that are over, the last one first."""
    return f"incidents-over/{site}"


def stands(incident: SiteIncident) -> Mapping[str, int]:
    """Lists an incident among those of its site that are open, or over."""
    if incident.closed_at is None:
        return {open_at(incident.site): score_at(incident.opened_at)}
    return {closed_at(incident.site): -score_at(incident.closed_at)}


SLICE = Slice(
    {
        IncidentOpened: (Fold(SiteIncident, lambda fact: fact.incident_id, opened),),
        IncidentGiving: (Fold(SiteIncident, lambda fact: fact.incident_id, giving),),
        IncidentClosed: (Fold(SiteIncident, lambda fact: fact.incident_id, closed),),
    },
    indexes={SiteIncident: stands},
)
