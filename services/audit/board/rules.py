"""What a board shows beside measures: promises, incidents, how full budgets are.

One document per complaint and per incident, which the facts of one partition change, and accounts for what many
partitions count: no two workers of audit ever change one document for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, get_args

from shared.contracts.audit import FactRecorded
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckVoided,
    IncidentClosed,
    IncidentGiven,
    IncidentJoined,
    IncidentOpened,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    WindowOpened,
)
from shared.contracts.complaints import (
    Category,
    ComplaintConfirmed,
    ComplaintCorrected,
    ComplaintFact,
    ComplaintForgotten,
    ComplaintOverdue,
    ComplaintReopened,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    InfoAsked,
    InfoReceived,
    ResolutionRecorded,
    Severity,
)
from shared.kernel import Document, Fold, Posting, Slice, score_at

#: Facts after which a customer waits for nothing.
Over = (
    ComplaintConfirmed
    | ResolutionRecorded
    | ComplaintWithdrawn
    | ComplaintUnfounded
    | ComplaintForgotten
)
#: A broken promise is shown for so long, if nobody answers: then the complaint is one of the past, and counted.
BROKEN_FOR = timedelta(days=7)
#: Facts that charge accounts, and facts that give back, with the field that has the accounts.
CHARGED = {CheckIssued.TYPE: "debits", OfferMade.TYPE: "held"}
GIVEN_BACK = {
    fact.TYPE: "credits" for fact in (CheckVoided, CheckExpired, OfferChosen, OfferLapsed)
}
#: Accounts that hold the budget of a site or of an incident begin with these.
BUDGETS = ("site/", "incident/")


class BoardDay(Document):
    """The business day of a site that is under way."""

    KIND: ClassVar[str] = "board-day"

    day: str
    until: datetime


class Promise(Document):
    """What a customer was promised last, by one complaint."""

    KIND: ClassVar[str] = "promise"

    #: Empty if the fact that made the promise was never read: then it stands nowhere.
    site: str = ""
    category: Category | None = None
    severity: Severity | None = None
    promised_by: datetime | None = None
    round: int = 0
    #: From when on an answer keeps it; None for the first promise, which any answer keeps.
    since: datetime | None = None
    broken: bool = False
    #: The customer is asked something, and the promise waits for the answer.
    waits: bool = False
    closed: bool = False

    def is_after(self, moment: datetime) -> bool:
        """Whether the promised time is later than this."""
        return self.promised_by is not None and self.promised_by > moment


class Answered(Document):
    """When the customer of a complaint was given or offered something last."""

    KIND: ClassVar[str] = "answered"

    at: datetime

    def keeps(self, promise: Promise) -> bool:
        """Whether the customer has nothing to wait for any more."""
        return promise.since is None or self.at > promise.since


class OpenIncident(Document):
    """An incident, and how far giving has come."""

    KIND: ClassVar[str] = "incident"

    site: str = ""
    reason: Category | None = None
    item: str = ""
    budget_minor: int = 0
    currency: str = ""
    opened_at: datetime | None = None
    affected: int = 0
    given: int = 0
    skipped: int = 0
    closed: bool = False


def promised(_: Promise | None, fact: ComplaintTriaged) -> Promise:
    """The first promise; kept already if something was given on the spot."""
    return Promise(
        site=fact.site,
        category=fact.category,
        severity=fact.severity,
        promised_by=fact.promised_by,
        closed=fact.answered,
    )


def promised_again(before: Promise | None, fact: ComplaintReopened) -> Promise:
    """The promise of a later round."""
    return (before or Promise()).model_copy(
        update={
            "site": fact.site,
            "promised_by": fact.promised_by,
            "round": fact.round,
            "since": fact.reopened_at,
            "broken": False,
            "waits": False,
            "closed": False,
        }
    )


def broken(before: Promise | None, fact: ComplaintOverdue) -> Promise:
    """A promise that was not kept, unless there is a later one."""
    promise = before or Promise(
        site=fact.site,
        category=fact.category,
        severity=fact.severity,
        promised_by=fact.promised_by,
        round=fact.round,
    )
    return promise.model_copy(update={"broken": fact.round >= promise.round})


def waiting(before: Promise | None, _: InfoAsked) -> Promise:
    """The promise waits for the customer."""
    return (before or Promise()).model_copy(update={"waits": True})


def goes_on(before: Promise | None, fact: InfoReceived) -> Promise:
    """The promise goes on, until later."""
    known = before or Promise()
    by = fact.promised_by or known.promised_by
    return known.model_copy(update={"waits": False, "promised_by": by})


def corrected(before: Promise | None, fact: ComplaintCorrected) -> Promise:
    """The complaint is about something else, or worse or better than it seemed."""
    update = {"category": fact.category, "severity": fact.severity}
    return (before or Promise()).model_copy(update=update)


def over(before: Promise | None, _: Over) -> Promise:
    """The customer has nothing to wait for: it helped, something was done about the cause, they took the complaint
    back, it was none, or they were erased.
    """
    return (before or Promise()).model_copy(update={"closed": True})


def answered(before: Answered | None, fact: CheckIssued | OfferMade) -> Answered:
    """The latest answer; partitions arrive in any order."""
    at = fact.issued_at if isinstance(fact, CheckIssued) else fact.offered_at
    return before if before is not None and before.at >= at else Answered(at=at)


def opened(_: OpenIncident | None, fact: IncidentOpened) -> OpenIncident:
    """A new incident."""
    return OpenIncident(
        affected=len(fact.complaint_ids),
        **fact.model_dump(
            include={"site", "reason", "item", "budget_minor", "currency", "opened_at"}
        ),
    )


def _incident(before: OpenIncident | None, **changes: object) -> OpenIncident:
    return (before or OpenIncident()).model_copy(update=changes)


def promises_set(site: str) -> str:
    """The set of a site's open promises, those that end first in front."""
    return f"promises/{site}"


def broken_set(site: str) -> str:
    """The set of a site's broken promises, the latest in front."""
    return f"broken/{site}"


def incidents_set(site: str) -> str:
    """The set of a site's open incidents, in the order of opening."""
    return f"incidents/{site}"


def promise_stands(promise: Promise) -> Mapping[str, int]:
    """Lists an open promise: a broken one among the broken ones, any other by its time."""
    if promise.closed or promise.waits or not promise.site or promise.promised_by is None:
        return {}
    by = score_at(promise.promised_by)
    if promise.broken:
        return {broken_set(promise.site): -by}
    return {promises_set(promise.site): by}


def incident_stands(incident: OpenIncident) -> Mapping[str, int]:
    """Lists an open incident in its site."""
    if incident.closed or not incident.site or incident.opened_at is None:
        return {}
    return {incidents_set(incident.site): score_at(incident.opened_at)}


def charged(account: str) -> str:
    """The account of all that was charged to a budget."""
    return f"charged/{account}"


def returned(account: str) -> str:
    """The account of all that came back to a budget."""
    return f"returned/{account}"


def site_budget(site: str, currency: str, day: str) -> str:
    """What compensation calls the budget of a site for one business day."""
    return f"site/{site}/{currency}/{day}"


def incident_budget(incident_id: str, currency: str) -> str:
    """What compensation calls the budget of an incident."""
    return f"incident/{incident_id}/{currency}"


def budgets_posted(fact: FactRecorded) -> Iterable[Posting]:
    """Postings that count what is charged to the budgets of sites and incidents, and what comes back.

    Apart, so that no balance can come below zero where a charge was never read.
    """
    record = fact.record
    name = CHARGED.get(record.what) or GIVEN_BACK.get(record.what)
    accounts = record.details.get(name) if name else None
    if not isinstance(accounts, Mapping):
        return
    into = charged if record.what in CHARGED else returned
    for account, amount in accounts.items():
        if account.startswith(BUDGETS):
            yield Posting(into(account), int(amount))


def complaint_of(
    fact: ComplaintFact | CheckIssued | OfferMade,
) -> str:
    """The id of the fact's complaint."""
    return fact.complaint_id


def incident_of(fact: IncidentOpened) -> str:
    """The id of the fact's incident."""
    return fact.incident_id


def site_of(fact: WindowOpened) -> str:
    """The fact's site."""
    return fact.site


_ANSWERED: Sequence[Fold] = (Fold(Answered, complaint_of, answered),)
_OVER: Sequence[Fold] = (Fold(Promise, complaint_of, over),)

SLICE = Slice(
    {
        WindowOpened: (
            Fold(BoardDay, site_of, lambda _, fact: BoardDay(day=fact.day, until=fact.until)),
        ),
        ComplaintTriaged: (Fold(Promise, complaint_of, promised),),
        ComplaintReopened: (Fold(Promise, complaint_of, promised_again),),
        ComplaintOverdue: (Fold(Promise, complaint_of, broken),),
        InfoAsked: (Fold(Promise, complaint_of, waiting),),
        InfoReceived: (Fold(Promise, complaint_of, goes_on),),
        ComplaintCorrected: (Fold(Promise, complaint_of, corrected),),
        **dict.fromkeys(get_args(Over), _OVER),
        CheckIssued: _ANSWERED,
        OfferMade: _ANSWERED,
        IncidentOpened: (Fold(OpenIncident, incident_of, opened),),
        IncidentJoined: (
            Fold(
                OpenIncident,
                incident_of,
                lambda before, fact: _incident(before, affected=fact.number + 1),
            ),
        ),
        IncidentGiven: (
            Fold(
                OpenIncident,
                incident_of,
                lambda before, fact: _incident(before, given=fact.given, skipped=fact.skipped),
            ),
        ),
        IncidentClosed: (
            Fold(OpenIncident, incident_of, lambda before, _: _incident(before, closed=True)),
        ),
    },
    postings={FactRecorded: budgets_posted},
    indexes={Promise: promise_stands, OpenIncident: incident_stands},
)
