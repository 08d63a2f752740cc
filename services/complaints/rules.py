"""The life of a complaint, apart from what the customer is given for it: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from shared.contracts.compensation import CheckIssued, ComplaintLogged, OfferMade
from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintConfirmed,
    ComplaintForgotten,
    ComplaintOverdue,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintTriaged,
    Language,
    Service,
    Severity,
)
from shared.contracts.intake import Channel, ComplaintRaised
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import Policy
from shared.kernel import Decision, Document, Fact, Fold, Slice, Timer, score_at

#: Times outside these bounds are mistakes: a mistyped year, or a clock in another zone.
OCCURRED_PAST_MAX = timedelta(days=3 * 366)
OCCURRED_AHEAD_MAX = timedelta(days=1)
OVERDUE = "overdue"
#: Promises kept per complaint: a timer that fires late needs the promise of its own round.
PROMISES_MAX = 8
#: Moments stored per complaint; more are not needed to see that a promise was kept.
KEPT_MAX = 16
#: Checks listed per complaint in an export, the latest: as many as compensation lists of a complaint.
GIVEN_MAX = 200


class State(StrEnum):
    """Where a complaint stands."""

    RECEIVED = "received"
    TRIAGED = "triaged"
    CLAIMED = "claimed"
    REOPENED = "reopened"
    CONFIRMED = "confirmed"


class Promise(NamedTuple):
    """By when a customer is given or offered something, in one round; `broken` once it passed unkept."""

    round: int
    by: datetime
    #: Only what was given or said after this moment counts; None in the first round.
    since: datetime | None = None
    broken: bool = False


class Given(NamedTuple):
    """A check that was given for a complaint, by its item and its worth in minor units."""

    issued_at: datetime
    check_id: str
    item: str
    value_minor: int
    currency: str


class KeptAt(Document):
    """When the customer of a complaint was given or offered something, or said that it helped.

    Each of these moments keeps the promise in whose time it falls; an acknowledgement keeps none. The
    checks given are kept for the customer's own export.

    Folded from other services' facts alone, which come in any order: the latest moments, sorted, each once.
    """

    KIND: ClassVar[str] = "heard"

    at: tuple[datetime, ...] = ()
    given: tuple[Given, ...] = ()


class Complaint(Document):
    """One complaint; words and contact sealed, and empty once its customer was erased."""

    KIND: ClassVar[str] = "complaint"

    state: State
    customer_ref: str
    site: str
    language: Language
    text: str
    contact: str | None = None
    category: Category = Category.OTHER
    severity: Severity = Severity.MILD
    safety: bool = False
    promised_by: datetime | None = None
    employee_id: str | None = None
    round: int = 0
    #: Hash of what was raised; None if an earlier build recorded it, or if it was told on the spot.
    content: str | None = None
    #: Whether a message reaches the customer; None in older documents.
    reachable: bool | None = None
    #: The latest ones, one per round.
    promises: tuple[Promise, ...] = ()
    #: None in older documents.
    received_at: datetime | None = None
    #: The customer was erased.
    forgotten: bool | None = None

    @property
    def overdue(self) -> bool:
        """Whether the promise of the current round was broken."""
        return any(one.broken for one in self.promises if one.round == self.round)

    def repeats(self, content: str) -> bool:
        """Whether the hash is that of the first complaint; true if that one has no hash."""
        return self.content in (None, content)


def plausible(moment: datetime | None, now: datetime) -> bool:
    """Whether the stated time is plausible for when it happened."""
    return moment is None or now - OCCURRED_PAST_MAX <= moment <= now + OCCURRED_AHEAD_MAX


def receive(
    raised: ComplaintRaised,
    *,
    complaint_id: str,
    customer_ref: str,
    language: Language,
    text: str,
    contact: str | None,
    content: str,
    reachable: bool,
    sender_ref: str,
    understood: tuple[Category, Severity, bool, Service | None],
    policy: Policy,
    policy_version: int,
    now: datetime,
    counts_for: str | None = None,
) -> tuple[Fact, ...]:
    """Record a new complaint and promise an answer, as its playbook says."""
    category, severity, safety, service = understood
    return (
        ComplaintReceived(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=raised.site,
            channel=raised.channel,
            language=language,
            text=text,
            contact=contact,
            raised_by=raised.raised_by,
            occurred_at=raised.occurred_at,
            received_at=now,
            content=content,
        ),
        ComplaintTriaged(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=raised.site,
            language=language,
            category=category,
            severity=severity,
            safety=safety,
            promised_by=now + policy.promise(category, severity),
            policy_version=policy_version,
            has_contact=reachable,
            service=service,
            counts_for=counts_for,
            sender_ref=sender_ref,
        ),
    )


def log(
    logged: ComplaintLogged, policy: Policy, policy_version: int, now: datetime, *, erased: bool
) -> Decision:
    """Record a complaint that was told on the spot, owned by the employee who wrote it down.

    The employee said what it was about, so triage is skipped. If they gave something, there is nothing
    left to acknowledge. With `erased` its words were sealed under a reference that was erased meanwhile,
    so they are forgotten at once.
    """
    received = ComplaintReceived(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        site=logged.site,
        channel=Channel.DESK,
        language=logged.language,
        text=logged.text,
        contact=logged.contact,
        raised_by=logged.employee_id,
        occurred_at=logged.logged_at,
        received_at=now,
    )
    triaged = ComplaintTriaged(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        site=logged.site,
        language=logged.language,
        category=logged.reason,
        severity=logged.severity,
        safety=logged.safety is not None or logged.reason is Category.SAFETY,
        promised_by=now + policy.promise(logged.reason, logged.severity),
        policy_version=policy_version,
        service=logged.service,
        has_contact=(
            logged.contact is not None if logged.has_contact is None else logged.has_contact
        ),
        answered=logged.answered,
    )
    claimed = ComplaintClaimed(
        complaint_id=logged.complaint_id,
        employee_id=logged.employee_id,
        site=logged.site,
        claimed_at=now,
    )
    if not erased:
        return Decision.of(received, triaged, claimed)
    forgotten = ComplaintForgotten(
        complaint_id=logged.complaint_id,
        customer_ref=logged.customer_ref,
        more=True,  # the step that forgets the earlier ones may not have come yet
        forgotten_at=now,
    )
    return Decision.of(received, triaged, claimed, forgotten)


def claim(complaint: Complaint, complaint_id: str, employee_id: str, now: datetime) -> Decision:
    """A ComplaintClaimed fact: the employee who gives the customer something owns the complaint."""
    if complaint.employee_id == employee_id and complaint.state is State.CLAIMED:
        return Decision()
    return Decision.of(
        ComplaintClaimed(
            complaint_id=complaint_id,
            employee_id=employee_id,
            site=complaint.site,
            claimed_at=now,
        )
    )


def take_feedback(
    complaint: Complaint,
    complaint_id: str,
    helped: Helped,
    policy: Policy,
    now: datetime,
    *,
    answered_at: datetime | None = None,
) -> Decision:
    """Decide on the customer's answer: yes confirms; no reopens, with the same employee and a new promise."""
    if helped is Helped.YES:
        return Decision.of(ComplaintConfirmed(complaint_id=complaint_id, confirmed_at=now))
    promise = policy.promise(complaint.category, complaint.severity)
    return Decision.of(
        ComplaintReopened(
            complaint_id=complaint_id,
            customer_ref=complaint.customer_ref,
            site=complaint.site,
            language=complaint.language,
            employee_id=complaint.employee_id,
            round=complaint.round + 1,
            promised_by=now + promise,
            has_contact=(
                complaint.contact is not None
                if complaint.reachable is None
                else complaint.reachable
            ),
            reopened_at=answered_at,
        )
    )


def break_promise(
    complaint: Complaint, complaint_id: str, number: int, kept_at: KeptAt | None, now: datetime
) -> Decision:
    """A ComplaintOverdue fact if the promise of round `number` passed unkept; once per round.

    The promise is kept by a check or an offer for the complaint, or by the customer's word that it
    helped, within the promised time. To a customer who was erased nothing can be kept or said any more.
    """
    promise = next((one for one in complaint.promises if one.round == number), None)
    if complaint.forgotten or promise is None or promise.broken or now < promise.by:
        return Decision()
    if kept_at is not None and any(
        moment <= promise.by and (promise.since is None or moment > promise.since)
        for moment in kept_at.at
    ):
        return Decision()
    return Decision.of(
        ComplaintOverdue(
            complaint_id=complaint_id,
            customer_ref=complaint.customer_ref,
            site=complaint.site,
            category=complaint.category,
            severity=complaint.severity,
            employee_id=complaint.employee_id,
            round=number,
            promised_by=promise.by,
            overdue_at=now,
        )
    )


def promised(fact: ComplaintTriaged) -> Sequence[Timer]:
    """The timer of the first promise, at the end of its time; none if it was kept on the spot."""
    if fact.answered:
        return ()
    return (Timer(OVERDUE, f"{fact.complaint_id}/0", fact.promised_by),)


def promised_again(fact: ComplaintReopened) -> Sequence[Timer]:
    """The timer of a later promise."""
    return (Timer(OVERDUE, f"{fact.complaint_id}/{fact.round}", fact.promised_by),)


def received(_: Complaint | None, fact: ComplaintReceived) -> Complaint:
    """A new complaint."""
    return Complaint(
        state=State.RECEIVED,
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        text=fact.text,
        contact=fact.contact,
        content=fact.content,
        received_at=fact.received_at,
    )


def triaged(complaint: Complaint, fact: ComplaintTriaged) -> Complaint:
    """The complaint has its category and its promise."""
    return complaint.model_copy(
        update={
            "state": State.TRIAGED,
            "category": fact.category,
            "severity": fact.severity,
            "safety": fact.safety,
            "reachable": fact.has_contact,
            "promised_by": fact.promised_by,
            "promises": (Promise(round=0, by=fact.promised_by),),
        }
    )


def claimed(complaint: Complaint, fact: ComplaintClaimed) -> Complaint:
    """An employee owns it."""
    return complaint.model_copy(update={"state": State.CLAIMED, "employee_id": fact.employee_id})


def confirmed(complaint: Complaint, _: ComplaintConfirmed) -> Complaint:
    """The customer said it helped."""
    return complaint.model_copy(update={"state": State.CONFIRMED})


def reopened(complaint: Complaint, fact: ComplaintReopened) -> Complaint:
    """The customer said it did not help."""
    promise = Promise(round=fact.round, by=fact.promised_by, since=fact.reopened_at)
    return complaint.model_copy(
        update={
            "state": State.REOPENED,
            "round": fact.round,
            "promised_by": fact.promised_by,
            "promises": (*complaint.promises, promise)[-PROMISES_MAX:],
        }
    )


def overdue(complaint: Complaint, fact: ComplaintOverdue) -> Complaint:
    """The promise of one round was broken."""
    promises = tuple(
        one._replace(broken=True) if one.round == fact.round else one for one in complaint.promises
    )
    return complaint.model_copy(update={"promises": promises})


def forgotten(complaint: Complaint, _: ComplaintForgotten) -> Complaint:
    """The customer was erased: no words, no contact, and nothing to compare a repeat with."""
    return complaint.model_copy(
        update={"text": "", "contact": None, "content": None, "reachable": False, "forgotten": True}
    )


def stands(complaint: Complaint) -> Mapping[str, int]:
    """Among the complaints of its customer, oldest first, until it is forgotten."""
    if complaint.forgotten:
        return {}
    received_at = complaint.received_at
    return {of_customer(complaint.customer_ref): score_at(received_at) if received_at else 0}


def of_customer(customer_ref: str) -> str:
    """The sorted set of a customer's complaints."""
    return f"customer/{customer_ref}"


def kept(before: KeptAt | None, fact: CheckIssued | OfferMade | FeedbackReceived) -> KeptAt:
    """The customer was given or offered something, or said that it helped."""
    known = before or KeptAt()
    match fact:
        case CheckIssued():
            moment = fact.issued_at
        case OfferMade():
            moment = fact.offered_at
        case FeedbackReceived(helped=Helped.YES):
            moment = fact.answered_at
        case _:
            return known
    at = tuple(sorted({*known.at, moment}))[-KEPT_MAX:]
    if not isinstance(fact, CheckIssued):
        return KeptAt(at=at, given=known.given)
    check = Given(fact.issued_at, fact.check_id, fact.item, fact.value_minor, fact.currency)
    return KeptAt(at=at, given=tuple(sorted({*known.given, check}))[-GIVEN_MAX:])


def complaint_of(
    fact: ComplaintReceived | ComplaintForgotten | CheckIssued | OfferMade | FeedbackReceived,
) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        ComplaintReceived: (Fold(Complaint, complaint_of, received),),
        ComplaintRepeated: (),
        ComplaintTriaged: (Fold(Complaint, complaint_of, triaged),),
        ComplaintClaimed: (Fold(Complaint, complaint_of, claimed),),
        ComplaintConfirmed: (Fold(Complaint, complaint_of, confirmed),),
        ComplaintReopened: (Fold(Complaint, complaint_of, reopened),),
        ComplaintOverdue: (Fold(Complaint, complaint_of, overdue),),
        ComplaintForgotten: (Fold(Complaint, complaint_of, forgotten),),
        CheckIssued: (Fold(KeptAt, complaint_of, kept),),
        OfferMade: (Fold(KeptAt, complaint_of, kept),),
        FeedbackReceived: (Fold(KeptAt, complaint_of, kept),),
    },
    timers={ComplaintTriaged: promised, ComplaintReopened: promised_again},
    indexes={Complaint: stands},
)
