"""What a board shows beside measures: promises, incidents, how full budgets are.

One document per complaint and per incident, which the facts of one partition change, and accounts for what many
partitions count: no two workers of audit ever change one document for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar, get_args

from services.audit.measures.rules import BUDGETS
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
    ComplaintMerged,
    ComplaintOverdue,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    InfoAsked,
    InfoReceived,
    MatterChanged,
    ResolutionRecorded,
    SafetyFound,
    Severity,
)
from shared.kernel import Document, Fold, Posting, Schema, Slice, score_at

#: Facts after which a customer waits for nothing.
Over = (
    ComplaintConfirmed
    | ResolutionRecorded
    | ComplaintWithdrawn
    | ComplaintUnfounded
    | ComplaintReferred
    | ComplaintForgotten
    | ComplaintMerged
)
#: A broken promise, or that all was taken back, is shown for so long, if nobody answers: then the complaint is one of
#: the past, and counted.
BROKEN_FOR = timedelta(days=7)
#: Checks and offers of one complaint that are looked at, the latest of each: more than any complaint has.
ANSWERS_MAX = 20
V = TypeVar("V")
#: Facts that charge accounts, and facts that give back, with the field that has the accounts.
CHARGED = {CheckIssued.TYPE: "debits", OfferMade.TYPE: "held"}
GIVEN_BACK = {
    fact.TYPE: "credits" for fact in (CheckVoided, CheckExpired, OfferChosen, OfferLapsed)
}


class BoardDay(Document):
    """The business day of a site that is under way."""

    KIND: ClassVar[str] = "board-day"

    day: str
    until: datetime


class Promise(Document):
    """What a customer was promised last, by one complaint."""

    KIND: ClassVar[str] = "promise"
    SCHEMA: ClassVar[Schema] = Schema(3, read_by=2)

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
    #: Something was given on the spot, before the complaint was known.
    on_the_spot: bool = False
    #: Somebody's safety is concerned, so that no gift keeps it.
    safety: bool = False
    closed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the customer may still wait for something from us."""
        return bool(self.site) and not self.closed and not self.waits

    def is_after(self, moment: datetime) -> bool:
        """Whether the promised time is later than this."""
        return self.promised_by is not None and self.promised_by > moment


class GivenCheck(Document):
    """A check that a complaint's customer was given."""

    at: datetime
    value_minor: int
    #: The offer that the customer chose it from.
    offer_id: str | None = None
    #: When it was taken back whole.
    taken_back_at: datetime | None = None


class Answered(Document):
    """What the customer of a complaint was given and offered.

    Its facts lie in the partitions of checks and offers and come in any order: each adds what it knows.
    """

    KIND: ClassVar[str] = "answered"
    SCHEMA: ClassVar[Schema] = Schema(2, read_by=2)

    site: str = ""
    #: When the customer was given or offered something last, as the first version stored it.
    at: datetime | None = None
    #: The latest checks, by their ids.
    checks: dict[str, GivenCheck] = {}  # noqa: RUF012 - pydantic copies defaults
    #: When the latest offers were made, by their ids.
    offers: dict[str, datetime] = {}  # noqa: RUF012 - pydantic copies defaults

    @property
    def taken_back_at(self) -> datetime | None:
        """When a check was taken back last; None if never."""
        return max(filter(None, (one.taken_back_at for one in self.checks.values())), default=None)

    @property
    def last_at(self) -> datetime | None:
        """When the customer was given or offered something last that was not taken back; None if never."""
        chosen = {check.offer_id for check in self.checks.values()}
        given = [check.at for check in self.checks.values() if check.taken_back_at is None]
        offered = [at for offer_id, at in self.offers.items() if offer_id not in chosen]
        before = () if self.at is None else (self.at,)
        return max((*given, *offered, *before), default=None)

    def keeps(self, promise: Promise) -> bool:
        """Whether the customer has nothing to wait for any more; whoever is in danger waits for more than a gift."""
        at = self.last_at
        return (
            at is not None and not promise.safety and (promise.since is None or at > promise.since)
        )


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
    """The first promise; kept already if something was given on the spot and nobody is in danger."""
    return Promise(
        site=fact.site,
        category=fact.category,
        severity=fact.severity,
        promised_by=fact.promised_by,
        on_the_spot=fact.answered and not fact.safety,
        safety=fact.safety,
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
            "on_the_spot": False,
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
    known = before or Promise()
    by = fact.promised_by or known.promised_by
    update = {"category": fact.category, "severity": fact.severity, "promised_by": by}
    return known.model_copy(update=update)


def endangered(before: Promise | None, fact: SafetyFound) -> Promise:
    """The complaint turned out to be about somebody's safety."""
    known = before or Promise()
    by = fact.promised_by or known.promised_by
    update = {"severity": Severity.SEVERE, "promised_by": by, "safety": True, "on_the_spot": False}
    return known.model_copy(update=update)


def over(before: Promise | None, _: Over) -> Promise:
    """The customer has nothing to wait for: it helped, something was done about the cause, they took the complaint
    back, it was none, another body looks at it, they were erased, or another complaint goes on for this one.
    """
    return (before or Promise()).model_copy(update={"closed": True})


def split(before: Promise | None, fact: ComplaintSplit) -> Promise:
    """The complaint stands by itself again, with the promise that it had."""
    known = before or Promise(site=fact.site)
    return known.model_copy(
        update={
            "closed": False,
            "promised_by": fact.promised_by or known.promised_by,
            "broken": known.broken or fact.overdue,
        }
    )


def changed(before: Promise | None, fact: MatterChanged) -> Promise:
    """The complaint goes on for others as well, or not any more."""
    known = before or Promise(site=fact.site)
    update: dict[str, object] = {"severity": fact.severity}
    if fact.promised_by is not None:
        since = fact.asked_again_at or known.since
        # What was broken stays so while the promise of another complaint goes on in its place.
        broken = fact.overdue or (known.broken and fact.promise_of is not None)
        update |= {"promised_by": fact.promised_by, "since": since, "broken": broken}
        if fact.asked_again_at is not None:
            update["on_the_spot"] = False
    return known.model_copy(update=update)


def given(before: Answered | None, fact: CheckIssued) -> Answered:
    """One more check."""
    check = GivenCheck(at=fact.issued_at, value_minor=fact.value_minor, offer_id=fact.offer_id)
    known = before or Answered()
    checks = _latest({**known.checks, fact.check_id: check}, lambda one: one.at)
    return known.model_copy(update={"site": fact.site, "checks": checks})


def offered(before: Answered | None, fact: OfferMade) -> Answered:
    """One more offer."""
    known = before or Answered()
    offers = _latest({**known.offers, fact.offer_id: fact.offered_at}, lambda at: at)
    return known.model_copy(update={"site": fact.site, "offers": offers})


def taken_back(before: Answered | None, fact: CheckVoided) -> Answered:
    """A check was taken back. One that was used in part is still something that the customer was given."""
    known = before or Answered(site=fact.site)
    check = known.checks.get(fact.check_id)
    if check is None or fact.unredeemed_minor < check.value_minor:
        return known
    gone = check.model_copy(update={"taken_back_at": fact.voided_at})
    return known.model_copy(update={"checks": {**known.checks, fact.check_id: gone}})


def _latest(found: Mapping[str, V], at: Callable[[V], datetime]) -> dict[str, V]:
    return dict(sorted(found.items(), key=lambda one: (at(one[1]), one[0]))[-ANSWERS_MAX:])


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


def taken_back_set(site: str) -> str:
    """The set of a site's complaints of which all that was given was taken back, the latest in front."""
    return f"taken-back/{site}"


def incidents_set(site: str) -> str:
    """The set of a site's open incidents, in the order of opening."""
    return f"incidents/{site}"


def promise_stands(promise: Promise) -> Mapping[str, int]:
    """Lists an open promise: a broken one among the broken ones, any other by its time."""
    if not promise.is_open or promise.on_the_spot or promise.promised_by is None:
        return {}
    by = score_at(promise.promised_by)
    if promise.broken:
        return {broken_set(promise.site): -by}
    return {promises_set(promise.site): by}


def answered_stands(answered: Answered) -> Mapping[str, int]:
    """Lists a complaint for which a check was taken back and nothing was given or offered since."""
    at, gone = answered.last_at, answered.taken_back_at
    if not answered.site or gone is None or (at is not None and at > gone):
        return {}
    return {taken_back_set(answered.site): -score_at(gone)}


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
    fact: ComplaintFact | OfferMade,
) -> str:
    """The id of the fact's complaint."""
    return fact.complaint_id


def incident_of(fact: IncidentOpened) -> str:
    """The id of the fact's incident."""
    return fact.incident_id


def site_of(fact: WindowOpened) -> str:
    """The fact's site."""
    return fact.site


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
        SafetyFound: (Fold(Promise, complaint_of, endangered),),
        ComplaintSplit: (Fold(Promise, complaint_of, split),),
        MatterChanged: (Fold(Promise, complaint_of, changed),),
        **dict.fromkeys(get_args(Over), _OVER),
        CheckIssued: (Fold(Answered, lambda fact: fact.for_complaint, given),),
        OfferMade: (Fold(Answered, complaint_of, offered),),
        CheckVoided: (Fold(Answered, lambda fact: fact.for_complaint, taken_back),),
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
    indexes={
        Promise: promise_stands,
        Answered: answered_stands,
        OpenIncident: incident_stands,
    },
)
