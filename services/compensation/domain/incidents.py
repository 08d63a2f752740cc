"""Mass incidents: many complaints about one thing, answered once and together.

The group check comes from the incident's own budget and from nobody's authority; each affected
complaint gets it at most once, because the check's id follows from incident and complaint.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from shared.contracts.compensation import (
    INCIDENT_COUNT_MAX,
    CaseOpened,
    IncidentClosed,
    IncidentGiven,
    IncidentGiving,
    IncidentJoined,
    IncidentOpened,
)
from shared.contracts.complaints import Category
from shared.contracts.decision import Document, Fold, Timer
from shared.contracts.event import Fact, fingerprint
from shared.contracts.policy import Policy

GIVE = "give"
#: Affected complaints in one document, and given to in one commit.
PART = 100


class Recent(Document):
    """The latest complaints of one site about one thing, oldest first: as many as a policy may count."""

    KIND: ClassVar[str] = "recent"

    complaint_ids: tuple[str, ...] = ()
    opened_at: tuple[datetime, ...] = ()


class OpenIncidents(Document):
    """A site's open incidents by what they are about."""

    KIND: ClassVar[str] = "open-incidents"

    by_reason: dict[Category, str] = {}  # noqa: RUF012 - pydantic copies defaults


class Incident(Document):
    """One incident and how far the giving came."""

    KIND: ClassVar[str] = "incident"

    site: str
    reason: Category
    item: str
    budget_minor: int
    currency: str
    policy_version: int
    opened_at: datetime
    affected: int = 0
    giving_by: str | None = None
    done: int = 0
    given: int = 0
    skipped: int = 0
    closed: bool = False


class Affected(Document):
    """A part of those affected, in the order of their complaints."""

    KIND: ClassVar[str] = "affected"

    complaint_ids: tuple[str, ...] = ()


def recent_id(site: str, reason: Category) -> str:
    """The document of the latest complaints about one thing."""
    return f"{site}/{reason}"


def affected_id(incident_id: str, number: int) -> str:
    """The part that holds the affected complaint of this number."""
    return f"{incident_id}/{number // PART}"


def group_check_id(incident_id: str, complaint_id: str) -> str:
    """One group check per incident and complaint, whoever gives it."""
    return "ck-" + fingerprint("incident-check", incident_id, complaint_id)


def complaints_of_incident(
    policy: Policy, reason: Category, complaint_id: str, came: datetime, recent: Recent | None
) -> tuple[str, ...]:
    """The complaints that make an incident together with this one; empty if they are too few.

    Partitions arrive in any order, so the time they fit in may begin before this one or with it.
    """
    if policy.incidents is None:
        return ()
    rule = policy.incidents.open_when
    if rule.reasons and reason not in rule.reasons:
        return ()
    known = recent or Recent()
    moments = dict(zip(known.complaint_ids, known.opened_at, strict=True)) | {complaint_id: came}
    together = max(
        (
            [one for one, at in moments.items() if begin <= at < begin + rule.within]
            for begin in moments.values()
            if begin <= came < begin + rule.within
        ),
        key=len,
    )
    return tuple(together[-INCIDENT_COUNT_MAX:]) if len(together) >= rule.count else ()


def open_incident(
    policy: Policy,
    policy_version: int,
    reason: Category,
    incident_id: str,
    complaint_ids: Sequence[str],
    now: datetime,
    employee_id: str | None = None,
) -> IncidentOpened:
    """It is an incident now, with the budget and the check that the policy has for one."""
    incidents = policy.incidents
    assert incidents is not None, "a policy without incidents opens none"
    return IncidentOpened(
        incident_id=incident_id,
        site=policy.site,
        reason=reason,
        employee_id=employee_id,
        complaint_ids=tuple(complaint_ids),
        item=incidents.give,
        budget_minor=incidents.budget,
        currency=policy.currency,
        policy_version=policy_version,
        opened_at=now,
    )


def timers(fact: Fact) -> Sequence[Timer]:
    """Giving goes on in steps until nobody is left."""
    match fact:
        case IncidentGiving():
            return (Timer(GIVE, fact.incident_id, fact.began_at if fact.affected else None),)
        case IncidentGiven():
            return (Timer(GIVE, fact.incident_id, fact.given_at if fact.remaining else None),)
        case IncidentClosed():
            return (Timer(GIVE, fact.incident_id, None),)
        case _:
            return ()


def remembered(recent: Recent | None, fact: CaseOpened) -> Recent:
    """One more complaint about this."""
    known = recent or Recent()
    return Recent(
        complaint_ids=(*known.complaint_ids, fact.complaint_id)[-INCIDENT_COUNT_MAX:],
        opened_at=(*known.opened_at, fact.opened_at)[-INCIDENT_COUNT_MAX:],
    )


def opened(_: Incident | None, fact: IncidentOpened) -> Incident:
    """A new incident."""
    return Incident(
        affected=len(fact.complaint_ids),
        **fact.model_dump(include=set(Incident.model_fields) - {"affected"}),
    )


def joined(incident: Incident, fact: IncidentJoined) -> Incident:
    """One more is affected."""
    return incident.model_copy(update={"affected": fact.number + 1})


def part_joined(part: Affected | None, fact: IncidentJoined) -> Affected:
    """One more is affected."""
    return Affected(complaint_ids=(*(part.complaint_ids if part else ()), fact.complaint_id))


def listed(known: OpenIncidents | None, fact: IncidentOpened) -> OpenIncidents:
    """Employees see it at once in what they can give."""
    before = known.by_reason if known else {}
    return OpenIncidents(by_reason={**before, fact.reason: fact.incident_id})


def unlisted(known: OpenIncidents, fact: IncidentClosed) -> OpenIncidents:
    """Later complaints are their own."""
    rest = {why: name for why, name in known.by_reason.items() if name != fact.incident_id}
    return OpenIncidents(by_reason=rest)


def incident_of(fact: IncidentOpened) -> str:
    """Every fact here names its incident."""
    return fact.incident_id


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    IncidentOpened: (
        Fold(Incident, incident_of, opened),
        Fold(OpenIncidents, lambda fact: fact.site, listed),
        Fold(
            Affected,
            lambda fact: affected_id(fact.incident_id, 0),
            lambda _, fact: Affected(complaint_ids=fact.complaint_ids),
        ),
    ),
    IncidentJoined: (
        Fold(Incident, incident_of, joined),
        Fold(Affected, lambda fact: affected_id(fact.incident_id, fact.number), part_joined),
    ),
    IncidentGiving: (
        Fold(
            Incident,
            incident_of,
            lambda incident, fact: incident.model_copy(update={"giving_by": fact.employee_id}),
        ),
    ),
    IncidentGiven: (
        Fold(
            Incident,
            incident_of,
            lambda incident, fact: incident.model_copy(
                update={"done": fact.done, "given": fact.given, "skipped": fact.skipped}
            ),
        ),
    ),
    IncidentClosed: (
        Fold(
            Incident, incident_of, lambda incident, _: incident.model_copy(update={"closed": True})
        ),
        Fold(OpenIncidents, lambda fact: fact.site, unlisted),
        # Who was in it is not counted again, or the next complaint would open it anew.
        Fold(Recent, lambda fact: recent_id(fact.site, fact.reason), lambda _, __: Recent()),
    ),
    CaseOpened: (Fold(Recent, lambda fact: recent_id(fact.site, fact.reason), remembered),),
}
