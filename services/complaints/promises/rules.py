"""Whether a promise to a customer was kept in its time: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from services.complaints.lifecycle.rules import PROMISES_MAX, Complaint, Promise
from shared.contracts.compensation import CheckIssued, CheckVoided, OfferMade
from shared.contracts.complaints import (
    ComplaintOverdue,
    ComplaintSplit,
    FixDone,
    PromiseWarned,
    promise_id_of,
)
from shared.contracts.lifecycle import OPEN, State
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.kernel import Decision, Document, Fold, Schema, Slice

#: What the customer does not wait for any more.
NOTHING_TO_KEEP = (
    State.WITHDRAWN,
    State.NOT_A_COMPLAINT,
    State.REFERRED_EXTERNAL,
    State.MERGED,
)
#: Moments stored per complaint; more are not needed to see that a promise was kept.
KEPT_MAX = 16
#: Checks listed per complaint in an export, the latest: as many as compensation lists of a complaint.
GIVEN_MAX = 200


class Given(NamedTuple):
    """A check that was given for a complaint, by its item and its worth in minor units."""

    issued_at: datetime
    check_id: str
    item: str
    value_minor: int
    currency: str


class KeptAt(Document):
    """When the customer of a complaint was given or offered something, something was fixed, or they said that it helped.

    Each of these moments keeps the promise in whose time it falls; an acknowledgement keeps none. A promise about
    somebody's safety is kept by what was done alone: a gift makes nobody safe. The checks given are kept for the
    customer's own export.

    Folded mostly from other services' facts, which come in any order: the latest moments, sorted, each once.
    """

    KIND: ClassVar[str] = "heard"
    SCHEMA: ClassVar[Schema] = Schema(2)

    at: tuple[datetime, ...] = ()
    #: Those of them at which something was fixed, or the customer said that it helped.
    done: tuple[datetime, ...] = ()
    given: tuple[Given, ...] = ()

    def keeping(self, *, safety: bool) -> tuple[datetime, ...]:
        """The moments that keep promises, of a complaint about somebody's safety or about anything else."""
        return self.done if safety else self.at


class Warned(Document):
    """Of which promises of a complaint somebody was warned: the latest ones."""

    KIND: ClassVar[str] = "warned"
    SCHEMA: ClassVar[Schema] = Schema(2)

    #: Its own, by round.
    rounds: tuple[int, ...] = ()
    #: Those of merged complaints that stood for it, by their ids.
    of: tuple[str, ...] = ()

    def names(self, promise: Promise) -> bool:
        """Whether somebody was warned of this promise."""
        return promise.round in self.rounds if promise.of is None else promise.of in self.of


class VoidedCheck(Document):
    """A check that was taken back, for the customer's own export; its fact does not name the complaint."""

    KIND: ClassVar[str] = "voided"

    voided_at: datetime


def break_promise(
    complaint: Complaint,
    complaint_id: str,
    number: int,
    kept_at: KeptAt | None,
    now: datetime,
    kept_by_merged: Collection[datetime] = (),
) -> Decision:
    """A ComplaintOverdue fact if the promise of round `number` passed unkept; once per round.

    The promise is kept by a check or an offer for the complaint, by a fix or another thing done about its cause, or by
    the customer's word that it helped, within the promised time; also by what kept those that are merged into it
    (`kept_by_merged`), since this one was received. No check and no offer keeps one about somebody's safety. It waits while the customer is asked something. To one
    who was erased, or took the complaint back, nothing is to be kept or said any more.
    """
    promise = next((one for one in complaint.promises if one.round == number), None)
    if complaint.forgotten or promise is None or promise.broken or now < promise.by:
        return Decision()
    if complaint.state in NOTHING_TO_KEEP or complaint.waits_since is not None:
        return Decision()
    if is_kept(complaint, promise, kept_at, kept_by_merged):
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
            promise_id=promise_id_of(complaint_id, number),
            broken_before=broken_before(complaint, number),
            promised_by=promise.by,
            overdue_at=now,
        )
    )


def warn(
    complaint: Complaint,
    complaint_id: str,
    number: int,
    kept_at: KeptAt | None,
    kept_by_merged: Collection[datetime],
    warned: Warned | None,
    now: datetime,
) -> Decision:
    """A PromiseWarned fact if the promise of round `number` is near and not kept yet; once per promise.

    Nobody is warned of a promise that waits for the customer, that is over, or that another round took the place of.
    """
    promise = complaint.promise
    if promise is None or promise.round != number or not now < promise.by:
        return Decision()
    if complaint.forgotten or complaint.state not in OPEN or complaint.waits_since is not None:
        return Decision()
    if (warned is not None and warned.names(promise)) or is_kept(
        complaint, promise, kept_at, kept_by_merged
    ):
        return Decision()
    return Decision.of(
        PromiseWarned(
            complaint_id=complaint_id,
            site=complaint.site,
            category=complaint.category,
            severity=complaint.severity,
            employee_id=complaint.employee_id,
            round=number,
            promised_by=promise.by,
            promise_of=promise.of,
            broken_before=broken_before(complaint, number),
            warned_at=now,
        )
    )


def broken_before(complaint: Complaint, number: int) -> int | None:
    """How many promises of a round were broken already; None if none was."""
    known = {*complaint.promises, *filter(None, [complaint.own_promise])}
    return sum(one.round == number and one.broken for one in known) or None


def is_kept(
    complaint: Complaint,
    promise: Promise,
    kept_at: KeptAt | None,
    kept_by_merged: Collection[datetime],
) -> bool:
    """Whether something that is known by now keeps the promise."""
    known = kept_at or KeptAt()
    own = (*known.keeping(safety=complaint.safety), *resolved(complaint))
    return keeps(promise, complaint.received_at, own, kept_by_merged)


def keeps(
    promise: Promise,
    received_at: datetime | None,
    own: Collection[datetime],
    merged: Collection[datetime],
) -> bool:
    """Whether one of these moments is within the promised time; those of `merged` complaints since this one was received."""
    since = promise.since or received_at
    return any(
        moment <= promise.by and (begins is None or moment > begins)
        for begins, moments in ((promise.since, own), (since, merged))
        for moment in moments
    )


def resolved(complaint: Complaint) -> Sequence[datetime]:
    """When something was done about the cause last; empty if nothing was."""
    return () if complaint.resolved_at is None else (complaint.resolved_at,)


def overdue(complaint: Complaint, fact: ComplaintOverdue) -> Complaint:
    """The promise of one round was broken."""
    promises = tuple(
        one._replace(broken=True) if one.round == fact.round else one for one in complaint.promises
    )
    return complaint.model_copy(update={"promises": promises})


#: What may keep a promise.
Keeps = CheckIssued | OfferMade | FixDone | FeedbackReceived


def kept(before: KeptAt | None, fact: Keeps) -> KeptAt:
    """The customer was given or offered something, something was fixed, or they said that it helped."""
    known = before or KeptAt()
    match fact:
        case CheckIssued(issued_at=moment):
            check = Given(moment, fact.check_id, fact.item, fact.value_minor, fact.currency)
            given = tuple(sorted({*known.given, check}))[-GIVEN_MAX:]
            return KeptAt(at=_latest(known.at, moment), done=known.done, given=given)
        case FeedbackReceived(added_line=True):  # nothing that they had not said before
            return known
        case OfferMade(offered_at=moment):
            return known.model_copy(update={"at": _latest(known.at, moment)})
        case FixDone(done_at=moment) | FeedbackReceived(helped=Helped.YES, answered_at=moment):
            done = _latest(known.done, moment)
            return known.model_copy(update={"at": _latest(known.at, moment), "done": done})
        case _:
            return known


def _latest(known: Collection[datetime], moment: datetime) -> tuple[datetime, ...]:
    return tuple(sorted({*known, moment}))[-KEPT_MAX:]


def warned_of(before: Warned | None, fact: PromiseWarned) -> Warned:
    """Somebody was warned of the promise that stands in one round."""
    known = before or Warned()
    if fact.promise_of is not None:
        return Warned(rounds=known.rounds, of=(*known.of, fact.promise_of)[-PROMISES_MAX:])
    return Warned(rounds=(*known.rounds, fact.round)[-PROMISES_MAX:], of=known.of)


def warned_meanwhile(before: Warned | None, fact: ComplaintSplit) -> Warned:
    """Somebody was warned of its promise while another complaint went on for it."""
    known = before or Warned()
    return known.model_copy(update={"rounds": (*known.rounds, fact.round)[-PROMISES_MAX:]})


def voided(_: VoidedCheck | None, fact: CheckVoided) -> VoidedCheck:
    """The check was taken back."""
    return VoidedCheck(voided_at=fact.voided_at)


def complaint_of(fact: ComplaintOverdue | PromiseWarned | Keeps) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        ComplaintOverdue: (Fold(Complaint, complaint_of, overdue),),
        PromiseWarned: (Fold(Warned, complaint_of, warned_of),),
        ComplaintSplit: (
            Fold(Warned, lambda fact: fact.complaint_id if fact.warned else None, warned_meanwhile),
        ),
        CheckIssued: (Fold(KeptAt, lambda fact: fact.for_complaint, kept),),
        CheckVoided: (Fold(VoidedCheck, lambda fact: fact.check_id, voided),),
        OfferMade: (Fold(KeptAt, complaint_of, kept),),
        FixDone: (Fold(KeptAt, complaint_of, kept),),
        FeedbackReceived: (Fold(KeptAt, complaint_of, kept),),
    },
)
