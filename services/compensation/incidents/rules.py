"""Mass incidents: many complaints about one thing, answered once and together.

Customers are counted, not complaints. The group check is charged to the incident's own budget and to
nobody's authority; each affected customer gets it at most once, because the check's id follows
from incident and customer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from services.compensation.authority.rules import Limit
from shared.contracts.compensation import (
    INCIDENT_COUNT_MAX,
    CaseOpened,
    IncidentClosed,
    IncidentGiven,
    IncidentGiving,
    IncidentJoined,
    IncidentOpened,
    Scope,
)
from shared.contracts.complaints import Category
from shared.contracts.event import fingerprint
from shared.contracts.lifecycle import State
from shared.contracts.policy import Policy
from shared.kernel import Document, Fold, Schema, Slice, Timer, score_at


def incident_limit(incident_id: str, budget_minor: int, currency: str) -> Limit:
    """The budget of an incident; a group check is charged here and to nobody's authority."""
    return Limit(Scope.INCIDENT, f"incident/{incident_id}/{currency}", budget_minor)


GIVE = "give"


#: Affected complaints per document, and per commit when they are given to.
PART = 100


class Recent(Document):
    """The latest complaints of one site about one thing, oldest first: as many as a policy may count.

    If there are more, the oldest of a customer with several is dropped first.
    """

    KIND: ClassVar[str] = "recent"

    complaint_ids: tuple[str, ...] = ()
    opened_at: tuple[datetime, ...] = ()
    #: Their customers; the first complaints lack theirs if stored before this field existed.
    customers: tuple[str, ...] = ()
    #: The open incident about it, if there is one.
    incident_id: str | None = None

    def entries(self) -> list[tuple[str, str, datetime]]:
        """Complaint, customer and moment of each; the complaint's id stands for an unknown customer."""
        before = self.complaint_ids[: len(self.complaint_ids) - len(self.customers)]
        customers = (*before, *self.customers)
        return list(zip(self.complaint_ids, customers, self.opened_at, strict=True))


class Incident(Document):
    """One incident, and how far giving has come."""

    KIND: ClassVar[str] = "incident"
    SCHEMA: ClassVar[Schema] = Schema(2)

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
    left_out_unfounded: int = 0
    left_out_withdrawn: int = 0
    left_out_merged: int = 0
    closed: bool = False


class LeftOut(NamedTuple):
    """How many complaints nothing is given for, by why; the names are those of the facts."""

    left_out_unfounded: int = 0
    left_out_withdrawn: int = 0
    left_out_merged: int = 0

    def __add__(self, other: tuple[int, ...]) -> LeftOut:  # type: ignore[override]  # counts are added, not joined
        return LeftOut(*(one + more for one, more in zip(self, other, strict=True)))

    @classmethod
    def of(cls, incident: Incident) -> LeftOut:
        """Those of an incident until now."""
        return cls(*(getattr(incident, name) for name in cls._fields))


NOTHING_LEFT_OUT = LeftOut()


def left_out(ended: State | None, *, merged: bool, has_check: bool) -> LeftOut:
    """Whether nothing is given for a complaint, and why; none is left out if all counts are zero.

    `ended` is how it ended, or the one that goes on for it, if it was `merged`; `has_check`: the customer has the group
    check.
    """
    match ended:
        case State.WITHDRAWN:
            return LeftOut(left_out_withdrawn=1)
        case None:
            return LeftOut(left_out_merged=1) if merged and has_check else NOTHING_LEFT_OUT
        case _:
            return LeftOut(left_out_unfounded=1)


class Affected(Document):
    """A part of those affected, in the order of their complaints."""

    KIND: ClassVar[str] = "affected"

    complaint_ids: tuple[str, ...] = ()
    #: In the incident's first part: the customers it was opened with.
    customers: tuple[str, ...] = ()


class Joined(Document):
    """A customer who joined an incident after it was opened."""

    KIND: ClassVar[str] = "joined"

    complaint_id: str


def recent_id(site: str, reason: Category) -> str:
    """The document of the latest complaints about one thing."""
    return f"{site}/{reason}"


def affected_id(incident_id: str, number: int) -> str:
    """The part that holds the affected complaint of this number."""
    return f"{incident_id}/{number // PART}"


def joined_id(incident_id: str, customer: str) -> str:
    """The document of a customer who joined an incident."""
    return f"{incident_id}/{customer}"


def group_check_id(incident_id: str, customer: str) -> str:
    """One group check per incident and customer, whoever gives it and for whichever complaint."""
    return "ck-" + fingerprint("incident-check", incident_id, customer)


def complaints_of_incident(
    policy: Policy,
    opened: CaseOpened,
    recent: Recent | None,
    ended: Mapping[str, State] = {},
) -> Mapping[str, str]:
    """The customers who make an incident with this complaint, each with one; empty if they are too few.

    `ended` are complaints that nothing is owed for, and how they ended: those found to be none do not count.
    Partitions arrive in any order, so the time span that counts is the one around this complaint that
    holds the most customers.
    """
    if policy.incidents is None:
        return {}
    rule, came = policy.incidents.open_when, opened.opened_at
    if rule.reasons and opened.reason not in rule.reasons:
        return {}
    known = [one for one in _counted(recent, ended) if one[0] != opened.complaint_id]
    entries = [*known, (opened.complaint_id, customer_of(opened), came)]
    together = max(
        (
            _each_once(entries, ended, begin, begin + rule.within)
            for _, _, begin in entries
            if begin <= came < begin + rule.within
        ),
        key=len,
    )
    latest = list(together.items())[-INCIDENT_COUNT_MAX:]
    return dict(latest) if len(together) >= rule.count else {}


def complaints_since(
    recent: Recent, since: datetime, ended: Mapping[str, State]
) -> Mapping[str, str]:
    """The customers who complained since a moment, each with one complaint; `ended` as in `complaints_of_incident`."""
    return _each_once(_counted(recent, ended), ended, since)


def others_since(recent: Recent, since: datetime) -> Mapping[str, Sequence[str]]:
    """By customer, the complaints that count in an incident, the latest first."""
    found: dict[str, list[str]] = {}
    for complaint, customer, at in reversed(recent.entries()):
        if at >= since:
            found.setdefault(customer, []).append(complaint)
    return found


def _counted(recent: Recent | None, ended: Mapping[str, State]) -> list[tuple[str, str, datetime]]:
    """Complaint, customer and moment of each but those found to be none."""
    entries = (recent or Recent()).entries()
    return [one for one in entries if ended.get(one[0]) is not State.NOT_A_COMPLAINT]


def _each_once(
    entries: Sequence[tuple[str, str, datetime]],
    ended: Mapping[str, State],
    begin: datetime,
    end: datetime | None = None,
) -> dict[str, str]:
    """The latest complaint of each customer in a time span; one that was taken back only if they have no other."""
    within = [
        (customer, complaint)
        for complaint, customer, at in entries
        if begin <= at and (end is None or at < end)
    ]
    return dict(sorted(within, key=lambda one: one[1] not in ended))


def customer_of(fact: CaseOpened) -> str:
    """The customer that a complaint counts for in an incident."""
    return fact.counts_for or fact.customer_ref


def open_incident(
    policy: Policy,
    policy_version: int,
    reason: Category,
    incident_id: str,
    affected: Mapping[str, str],
    now: datetime,
    employee_id: str | None = None,
) -> IncidentOpened:
    """Open an incident, with the budget and the check that the policy has for one.

    `affected` has one complaint by customer.
    """
    incidents = policy.incidents
    assert incidents is not None, "a policy without incidents opens none"
    return IncidentOpened(
        incident_id=incident_id,
        site=policy.site,
        reason=reason,
        employee_id=employee_id,
        complaint_ids=tuple(affected.values()),
        customers=tuple(affected),
        item=incidents.give,
        budget_minor=incidents.budget,
        currency=policy.currency,
        policy_version=policy_version,
        opened_at=now,
    )


def remembered(recent: Recent | None, fact: CaseOpened) -> Recent:
    """One more complaint about this; many of one customer do not displace those of others."""
    known = recent or Recent()
    entries = known.entries()
    entries.append((fact.complaint_id, customer_of(fact), fact.opened_at))
    if len(entries) > INCIDENT_COUNT_MAX:
        often = Counter(customer for _, customer, _ in entries)
        several = (place for place, one in enumerate(entries) if often[one[1]] > 1)
        del entries[next(several, 0)]
    complaint_ids, customers, opened_at = zip(*entries, strict=True)
    return Recent(
        complaint_ids=complaint_ids,
        customers=customers,
        opened_at=opened_at,
        incident_id=known.incident_id,
    )


def opened(_: Incident | None, fact: IncidentOpened) -> Incident:
    """A new incident."""
    return Incident(
        affected=len(fact.complaint_ids),
        **fact.model_dump(include=set(Incident.model_fields) - {"affected"}),
    )


def joined(incident: Incident, fact: IncidentJoined) -> Incident:
    """The incident, with one more customer affected."""
    return incident.model_copy(update={"affected": fact.number + 1})


def part_joined(part: Affected | None, fact: IncidentJoined) -> Affected:
    """The part, with one more complaint."""
    known = part or Affected()
    return known.model_copy(update={"complaint_ids": (*known.complaint_ids, fact.complaint_id)})


def join_id(fact: IncidentJoined) -> str:
    """The id of Joined; a fact written before customers were counted has the complaint alone."""
    return joined_id(fact.incident_id, fact.customer or fact.complaint_id)


def known_open(recent: Recent | None, fact: IncidentOpened) -> Recent:
    """Later complaints about this join the incident, and no other is opened."""
    return (recent or Recent()).model_copy(update={"incident_id": fact.incident_id})


def open_in(site: str) -> str:
    """The set of a site's open incidents."""
    return f"incidents/{site}"


def stands(incident: Incident) -> Mapping[str, int]:
    """Lists an open incident in its site, in the order of opening."""
    return {} if incident.closed else {open_in(incident.site): score_at(incident.opened_at)}


def begins(fact: IncidentGiving) -> bool:
    """Whether there is anybody to look at."""
    return fact.affected > 0 or any(getattr(fact, name) for name in LeftOut._fields)


def incident_of(fact: IncidentOpened) -> str:
    """The id of the fact's incident."""
    return fact.incident_id


#: What a step of giving changes.
PROGRESS = {"done", "given", "skipped", *LeftOut._fields}
SLICE = Slice(
    {
        IncidentOpened: (
            Fold(Incident, incident_of, opened),
            Fold(Recent, lambda fact: recent_id(fact.site, fact.reason), known_open),
            Fold(
                Affected,
                lambda fact: affected_id(fact.incident_id, 0),
                lambda _, fact: Affected(
                    complaint_ids=fact.complaint_ids, customers=fact.customers
                ),
            ),
        ),
        IncidentJoined: (
            Fold(Incident, incident_of, joined),
            Fold(Affected, lambda fact: affected_id(fact.incident_id, fact.number), part_joined),
            Fold(Joined, join_id, lambda _, fact: Joined(complaint_id=fact.complaint_id)),
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
                    update=fact.model_dump(include=PROGRESS)
                ),
            ),
        ),
        IncidentClosed: (
            Fold(
                Incident,
                incident_of,
                lambda incident, _: incident.model_copy(update={"closed": True}),
            ),
            # Emptied: if the incident's complaints were counted again, the next one would open it anew.
            Fold(Recent, lambda fact: recent_id(fact.site, fact.reason), lambda _, __: Recent()),
        ),
        CaseOpened: (Fold(Recent, lambda fact: recent_id(fact.site, fact.reason), remembered),),
    },
    # Giving goes on in steps until nobody is left.
    timers={
        IncidentGiving: lambda fact: (
            Timer(GIVE, fact.incident_id, fact.began_at if begins(fact) else None),
        ),
        IncidentGiven: lambda fact: (
            Timer(GIVE, fact.incident_id, fact.given_at if fact.remaining else None),
        ),
        IncidentClosed: lambda fact: (Timer(GIVE, fact.incident_id, None),),
    },
    indexes={Incident: stands},
)
