"""The life of a complaint, beside whatever the customer is given for it: pure rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from shared.contracts.compensation import ComplaintLogged
from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintConfirmed,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintTriaged,
    Language,
    Severity,
)
from shared.contracts.decision import Decision, Document, Fold
from shared.contracts.event import Fact
from shared.contracts.intake import Channel, ComplaintRaised
from shared.contracts.notifier import Helped
from shared.contracts.policy import Policy

#: What happened longer ago is a mistyped year; what lies ahead is a clock that is off by a zone.
OCCURRED_PAST_MAX = timedelta(days=3 * 366)
OCCURRED_AHEAD_MAX = timedelta(days=1)


class State(StrEnum):
    """Where a complaint stands."""

    RECEIVED = "received"
    TRIAGED = "triaged"
    CLAIMED = "claimed"
    REOPENED = "reopened"
    CONFIRMED = "confirmed"


class Complaint(Document):
    """One complaint; words and contact sealed."""

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


def plausible(moment: datetime | None, now: datetime) -> bool:
    """Whether a stated time can be when this happened."""
    return moment is None or now - OCCURRED_PAST_MAX <= moment <= now + OCCURRED_AHEAD_MAX


def receive(
    raised: ComplaintRaised,
    *,
    complaint_id: str,
    customer_ref: str,
    language: Language,
    text: str,
    contact: str | None,
    understood: tuple[Category, Severity, bool],
    policy: Policy,
    policy_version: int,
    now: datetime,
) -> tuple[Fact, ...]:
    """Record a new complaint and promise an answer, as its playbook says."""
    category, severity, safety = understood
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
            has_contact=contact is not None,
        ),
    )


def log(logged: ComplaintLogged, policy: Policy, policy_version: int, now: datetime) -> Decision:
    """A complaint that was told on the spot, in the hands of whoever wrote it down.

    The employee said what it was about, so nothing is guessed. Where they gave something, nothing is
    left to acknowledge.
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
        has_contact=logged.contact is not None,
        answered=logged.answered,
    )
    claimed = ComplaintClaimed(
        complaint_id=logged.complaint_id, employee_id=logged.employee_id, claimed_at=now
    )
    return Decision((received, triaged, claimed))


def claim(complaint: Complaint, complaint_id: str, employee_id: str, now: datetime) -> Decision:
    """Whoever gives the customer something owns the complaint from then on."""
    if complaint.employee_id == employee_id and complaint.state is State.CLAIMED:
        return Decision()
    return Decision(
        (ComplaintClaimed(complaint_id=complaint_id, employee_id=employee_id, claimed_at=now),)
    )


def hear(
    complaint: Complaint, complaint_id: str, helped: Helped, policy: Policy, now: datetime
) -> Decision:
    """Yes confirms. No starts again, with the same employee and a new promise."""
    if helped is Helped.YES:
        return Decision((ComplaintConfirmed(complaint_id=complaint_id, confirmed_at=now),))
    promise = policy.promise(complaint.category, complaint.severity)
    return Decision(
        (
            ComplaintReopened(
                complaint_id=complaint_id,
                customer_ref=complaint.customer_ref,
                site=complaint.site,
                language=complaint.language,
                employee_id=complaint.employee_id,
                round=complaint.round + 1,
                promised_by=now + promise,
                has_contact=complaint.contact is not None,
            ),
        )
    )


def received(_: Complaint | None, fact: ComplaintReceived) -> Complaint:
    """A new complaint."""
    return Complaint(
        state=State.RECEIVED,
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        text=fact.text,
        contact=fact.contact,
    )


def triaged(complaint: Complaint, fact: ComplaintTriaged) -> Complaint:
    """Understood and promised."""
    return complaint.model_copy(
        update={
            "state": State.TRIAGED,
            "category": fact.category,
            "severity": fact.severity,
            "safety": fact.safety,
            "promised_by": fact.promised_by,
        }
    )


def claimed(complaint: Complaint, fact: ComplaintClaimed) -> Complaint:
    """Somebody has it."""
    return complaint.model_copy(update={"state": State.CLAIMED, "employee_id": fact.employee_id})


def confirmed(complaint: Complaint, _: ComplaintConfirmed) -> Complaint:
    """The customer said it helped."""
    return complaint.model_copy(update={"state": State.CONFIRMED})


def reopened(complaint: Complaint, fact: ComplaintReopened) -> Complaint:
    """The customer said it did not help."""
    return complaint.model_copy(
        update={"state": State.REOPENED, "round": fact.round, "promised_by": fact.promised_by}
    )


def complaint_of(fact: ComplaintReceived) -> str:
    """Every fact here names its complaint."""
    return fact.complaint_id


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    ComplaintReceived: (Fold(Complaint, complaint_of, received),),
    ComplaintRepeated: (),
    ComplaintTriaged: (Fold(Complaint, complaint_of, triaged),),
    ComplaintClaimed: (Fold(Complaint, complaint_of, claimed),),
    ComplaintConfirmed: (Fold(Complaint, complaint_of, confirmed),),
    ComplaintReopened: (Fold(Complaint, complaint_of, reopened),),
}
