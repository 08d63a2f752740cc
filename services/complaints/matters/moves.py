"""When two complaints are one matter, and when they are not any more: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from services.complaints.lifecycle.moves import No
from services.complaints.lifecycle.rules import SEVEREST_FIRST, Complaint, Promise
from services.complaints.matters.rules import stands_alone
from services.complaints.promises.rules import keeps
from shared.contracts.complaints import (
    MERGED_MAX,
    Category,
    ComplaintMerged,
    ComplaintSplit,
    MatterChanged,
    Sameness,
)
from shared.contracts.lifecycle import may
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Fact


def same_matter(new: Complaint, head: Complaint, *, named: bool) -> bool:
    """Whether a new complaint with the same token is about the same matter without anybody saying so.

    It must be about the same, and a merge must not hide that somebody is in danger. A complaint that brings a name
    (`named`) or an address which the other lacks stands by itself, because letters go to the address of the other.
    """
    alike = new.category is head.category and new.category is not Category.OTHER
    if named and new.reachable:  # the name stands for the customer, so addresses cannot be compared
        return False
    known = new.customer_ref == head.customer_ref or not (named or new.reachable)
    return alike and known and may(head.state, ComplaintMerged) and _fits(new, head)


def merge(
    other: Complaint,
    other_id: str,
    head: Complaint,
    head_id: str,
    who: str | None,
    because: Sameness,
    policy: Policy,
    now: datetime,
    *,
    kept_by_other: Collection[datetime] = (),
    kept_by_head: Collection[datetime] = (),
) -> Sequence[Fact] | No:
    """Merge a complaint into another one, which goes on for both (`who` is None if nobody had to say so).

    `kept_by_…`: when the customer of each was given or offered something, or said that it helped.
    """
    if other.forgotten or head.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if other.merged_into is not None:
        return No(Reason.COMPLAINT_MERGED, {"complaint_id": other.merged_into})
    for one in (other, head):
        if not may(one.state, ComplaintMerged):
            return No(Reason.WRONG_STATE, {"state": one.state})
    if other_id == head_id or other.merged_ids or not _fits(other, head):
        return No(Reason.NOT_MERGEABLE)
    promise = standing(other, head, kept_by_other, kept_by_head, now)
    return (
        MatterChanged(
            complaint_id=head_id,
            site=head.site,
            merged_ids=(*head.merged_ids, other_id),
            severity=min(other.severity, head.severity, key=SEVEREST_FIRST.index),
            round=head.round,
            promised_by=None if promise is None else promise.by,
            warn_at=None if promise is None else policy.warn_at(promise.by, now),
            asked_again_at=None if promise is None else promise.since,
            changed_at=now,
        ),
        ComplaintMerged(
            complaint_id=other_id,
            into=head_id,
            site=other.site,
            employee_id=who,
            because=because,
            round=other.round,
            promised_by=head.promised_by if promise is None else promise.by,
            merged_at=now,
        ),
    )


def split(
    head: Complaint,
    head_id: str,
    others: Sequence[tuple[str, Complaint]],
    who: str | None,
    policy: Policy,
    now: datetime,
) -> Sequence[Fact]:
    """Undo merges into `head`: each of `others` stands by itself again, with the owner and the promise that it had.

    The head keeps an earlier promise that it got by a merge: what was promised is not put off.
    """
    gone = {other_id for other_id, _ in others}
    changed = MatterChanged(
        complaint_id=head_id,
        site=head.site,
        merged_ids=tuple(one for one in head.merged_ids if one not in gone),
        severity=head.severity,
        round=head.round,
        changed_at=now,
    )
    alone = (_alone(other, other_id, head_id, who, policy, now) for other_id, other in others)
    return (changed, *alone)


def _alone(
    other: Complaint,
    other_id: str,
    head_id: str,
    who: str | None,
    policy: Policy,
    now: datetime,
) -> ComplaintSplit:
    promise = other.promise
    by = None if promise is None or promise.broken else promise.by
    return ComplaintSplit(
        complaint_id=other_id,
        into=head_id,
        site=other.site,
        employee_id=who,
        round=other.round,
        promised_by=by,
        warn_at=None if by is None else policy.warn_at(by, now),
        split_at=now,
    )


def why_same(other: Complaint, head: Complaint) -> Sameness:
    """Why an employee may take two complaints for one matter."""
    if other.sender_ref is not None and other.sender_ref == head.sender_ref:
        return Sameness.SAME_SENDER
    if other.customer_ref == head.customer_ref:
        return Sameness.SAME_CUSTOMER
    return Sameness.EMPLOYEE_SAYS


def same_customer(other: Complaint, head: Complaint) -> bool:
    """Whether the same customer raised both, by their reference or their token."""
    return why_same(other, head) is not Sameness.EMPLOYEE_SAYS


class Answered(NamedTuple):
    """The complaint that a customer's answer is about, and the facts that come before it."""

    complaint_id: str
    complaint: Complaint
    before: Sequence[Fact] = ()


def answered(
    complaint: Complaint,
    complaint_id: str,
    head: Complaint,
    policy: Policy,
    now: datetime,
) -> Answered:
    """The complaint that "did it help?" is answered for, where it was asked about this one; `head` goes on for it, or is it.

    That is the head if the same customer raised both. Otherwise this one is split from it first: nobody answers for
    another customer, and each is written to about what they said themselves.
    """
    if complaint.merged_into is None:
        return Answered(complaint_id, complaint)
    if same_customer(complaint, head):
        return Answered(complaint.merged_into, head)
    before = split(head, complaint.merged_into, [(complaint_id, complaint)], None, policy, now)
    return Answered(complaint_id, stands_alone(complaint), before)


def standing(
    other: Complaint,
    head: Complaint,
    kept_by_other: Collection[datetime],
    kept_by_head: Collection[datetime],
    now: datetime,
) -> Promise | None:
    """The promise of `head` after a merge: the earlier of those still to be kept; None if that is its own.

    A broken promise has fired and does not fire again. If only the other one is still to be kept, nothing that the
    customer was given before they asked again keeps it, and it is due no later than the head's own, unless the time of
    that is over: nobody is told a later time than they were promised.
    """
    own, theirs = head.promise, other.promise
    if theirs is None or theirs.broken or (own is not None and own.broken):
        return None
    if keeps(theirs, other.received_at, kept_by_other, kept_by_head):
        return None
    if own is None or keeps(own, head.received_at, kept_by_head, kept_by_other):
        by = own.by if own is not None and now < own.by < theirs.by else theirs.by
        return Promise(round=head.round, by=by, since=theirs.since or other.received_at)
    return Promise(round=head.round, by=theirs.by) if theirs.by < own.by else None


def _fits(other: Complaint, head: Complaint) -> bool:
    """Whether one more complaint fits into another one, and danger is not hidden by it."""
    return len(head.merged_ids) < MERGED_MAX and (head.safety or not other.safety)
