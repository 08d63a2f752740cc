"""The life of a complaint, apart from what the customer is given for it: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintConfirmed,
    ComplaintForgotten,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintTriaged,
    Language,
    Severity,
)
from shared.contracts.notifier import Helped
from shared.contracts.policy import Policy
from shared.kernel import Decision, Document, Fold, Slice, Timer, score_at

#: The timer at the end of each promised time.
OVERDUE = "overdue"
#: Promises kept per complaint: a timer that fires late needs the promise of its own round.
PROMISES_MAX = 8


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


def complaint_of(fact: ComplaintReceived | ComplaintForgotten) -> str:
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
        ComplaintForgotten: (Fold(Complaint, complaint_of, forgotten),),
    },
    timers={ComplaintTriaged: promised, ComplaintReopened: promised_again},
    indexes={Complaint: stands},
)
