"""When two complaints are one matter, and when they are not any more: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from services.complaints.lifecycle.moves import No, sooner, wrong_state
from services.complaints.lifecycle.rules import SEVEREST_FIRST, Complaint, Promise
from services.complaints.promises.rules import Warned, keeps
from shared.contracts.complaints import (
    MERGED_MAX,
    Category,
    ComplaintMerged,
    ComplaintSplit,
    MatterChanged,
    Sameness,
    promise_id_of,
)
from shared.contracts.lifecycle import MOVES, may
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Fact


def same_matter(new: Complaint, head: Complaint, *, named: bool) -> bool:
    """Whether a new complaint with the same token is about the same matter without anybody saying so.

    It must be about the same, and a merge must not hide that somebody is in danger. A complaint that brings a name
    (`named`) or an address which the other lacks stands by itself, because letters go to the address of the other.
    """
    alike = new.category is head.category and new.category is not Category.OTHER
    if head.disruption is not None:
        known = not named and _written_to_alike(new, head)
    else:
        known = new.customer_ref == head.customer_ref or not (named or new.reachable)
    # The name stands for the customer, so that the address is to be compared as well.
    if named and new.reachable:
        same = bool(new.contact_refs) and set(new.contact_refs) <= set(head.contact_refs)
        known = known and same
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
    warned: bool = False,
) -> Sequence[Fact] | No:
    """Merge a complaint into another one, which goes on for both (`who` is None if nobody had to say so).

    Complaints of different customers are one matter only if they are about the same.

    `kept_by_…`: when the customer of each was given or offered something, or said that it helped; `warned`: whether
    somebody was warned of the promise of `other`.
    """
    if other.forgotten or head.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if other.merged_into is not None:
        return No(Reason.COMPLAINT_MERGED, {"complaint_id": other.merged_into})
    for one_id, one in ((other_id, other), (head_id, head)):
        if not may(one.state, ComplaintMerged):
            no = wrong_state(one.state)
            return No(no.reason, {**no.told, "complaint_id": one_id})
    if other_id == head_id or other.merged_ids or not _fits(other, head):
        return No(Reason.NOT_MERGEABLE)
    if not same_customer(other, head) and other.category is not head.category:
        return No(Reason.NOT_MERGEABLE, {"differs": ("customer", "category")})
    promise = standing(other, other_id, head, kept_by_other, kept_by_head, now)
    return (
        MatterChanged(
            complaint_id=head_id,
            site=head.site,
            merged_ids=(*head.merged_ids, other_id),
            severity=min(other.severity, head.severity, key=SEVEREST_FIRST.index),
            round=head.round,
            promised_by=None if promise is None else promise.by,
            warn_at=None if promise is None or warned else policy.warn_at(promise.by, now),
            asked_again_at=None if promise is None else promise.since,
            promise_of=None if promise is None else promise.of,
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


class Answered(NamedTuple):
    """The complaint that a customer's answer is about, and the facts that come before it."""

    complaint_id: str
    complaint: Complaint
    before: Sequence[Fact] = ()


class Merged(NamedTuple):
    """A complaint that is merged into another one, and when its customer was given or offered something, or said that it helped."""

    complaint_id: str
    complaint: Complaint
    kept: Collection[datetime] = ()


def split(
    head: Complaint,
    head_id: str,
    others: Sequence[tuple[str, Complaint]],
    who: str | None,
    policy: Policy,
    now: datetime,
    *,
    stay: Sequence[Merged] = (),
    kept_by_head: Collection[datetime] = (),
    warned: Warned | None = None,
) -> Sequence[Fact]:
    """Undo merges into `head`: each of `others` stands by itself again, with the owner and the promise that it had.

    So does the head: a promise that it got from one of `others` goes with that, unless one of those that `stay` is
    still to be kept sooner than its own. `warned`: of which promises somebody was warned by the head.
    """
    gone = [(other_id, promise_id_of(other_id, other.round)) for other_id, other in others]
    own = _own_again(head, {promise for _, promise in gone}, stay, kept_by_head, now)
    ids = [other_id for other_id, _ in others]
    again = MatterChanged(
        complaint_id=head_id,
        site=head.site,
        merged_ids=tuple(one for one in head.merged_ids if one not in ids),
        severity=head.severity,
        round=head.round,
        promised_by=None if own is None else own.by,
        warn_at=None if own is None or own.broken else policy.warn_at(own.by, now),
        asked_again_at=None if own is None else own.since,
        promise_of=None if own is None else own.of,
        overdue=own is not None and own.broken,
        changed_at=now,
    )
    told = () if warned is None else warned.of
    alone = (
        _alone(
            other,
            other_id,
            head_id,
            who,
            policy,
            now,
            overdue=rang(head, promise),
            warned=promise in told,
        )
        for (other_id, other), (_, promise) in zip(others, gone, strict=True)
    )
    return (again, *alone)


def rang(head: Complaint, promise_id: str) -> bool:
    """Whether the promise of a merged complaint was broken while it stood for `head`."""
    return any(one.broken and one.of == promise_id for one in head.promises)


def _own_again(
    head: Complaint,
    gone: Collection[str],
    stay: Sequence[Merged],
    kept_by_head: Collection[datetime],
    now: datetime,
) -> Promise | None:
    """The promise of `head` once these promises of merged complaints are `gone`; None if it stays as it is.

    If the one that goes was broken, its own does not ring as well for a time that is over: the customer is told once.
    """
    stood, own = head.promise, head.own_promise
    if stood is None or own is None or stood.of not in gone:
        return None
    own = own._replace(broken=own.broken or (stood.broken and own.by <= now))
    others = tuple(one for one in head.promises if one.round != head.round)
    alone = head.model_copy(update={"promises": (*others, own), "own_promise": None})
    for one_id, one, kept in stay:
        found = standing(one, one_id, alone, kept, kept_by_head, now)
        if found is not None:
            alone = alone.model_copy(update={"promises": (*others, found)})
    return alone.promise


def _alone(
    other: Complaint,
    other_id: str,
    head_id: str,
    who: str | None,
    policy: Policy,
    now: datetime,
    *,
    overdue: bool,
    warned: bool,
) -> ComplaintSplit:
    promise = other.promise
    by = None if promise is None or promise.broken or overdue else promise.by
    if by is not None:
        # What was found of it while it was merged, like danger, may make its promise sooner.
        alone = other.model_copy(update={"state": MOVES[ComplaintSplit].to})
        by = sooner(alone, other.category, other.severity, policy, now) or by
    return ComplaintSplit(
        complaint_id=other_id,
        into=head_id,
        site=other.site,
        employee_id=who,
        round=other.round,
        promised_by=by,
        warn_at=None if by is None or warned else policy.warn_at(by, now),
        overdue=overdue,
        warned=warned,
        split_at=now,
    )


def why_same(other: Complaint, head: Complaint) -> Sameness:
    """Why an employee may take two complaints for one matter."""
    announced = other.disruption is not None or head.disruption is not None
    proven = not announced or _written_to_alike(other, head)
    if other.sender_ref is not None and other.sender_ref == head.sender_ref and proven:
        return Sameness.SAME_SENDER
    if other.customer_ref == head.customer_ref:
        return Sameness.SAME_CUSTOMER
    return Sameness.EMPLOYEE_SAYS


def _written_to_alike(one: Complaint, other: Complaint) -> bool:
    """Whether letters about two complaints go to the same addresses, or to none.

    Where another system announced one of them, it said whose it is and where they are written to, and no token proves it:
    with other words merged into it, whoever has that address would be answered for somebody else.
    """
    return set(one.contact_refs) == set(other.contact_refs)


def same_customer(other: Complaint, head: Complaint) -> bool:
    """Whether the same customer has both, by their reference or their token."""
    return why_same(other, head) is not Sameness.EMPLOYEE_SAYS


def standing(
    other: Complaint,
    other_id: str,
    head: Complaint,
    kept_by_other: Collection[datetime],
    kept_by_head: Collection[datetime],
    now: datetime,
) -> Promise | None:
    """The promise of `head` after a merge: the earlier of those still to be kept; None if it stays as it is.

    A broken promise has fired and does not fire again. If only the other one is still to be kept, nothing that the
    customer was given before they asked again keeps it, and it is due no later than the head's own, unless the time of
    that is over: nobody is told a later time than they were promised.
    """
    own, theirs = head.promise, other.promise
    of = promise_id_of(other_id, other.round)
    if theirs is None or theirs.broken:
        return None
    if keeps(theirs, other.received_at, kept_by_other, kept_by_head):
        return None
    if own is None or own.broken or keeps(own, head.received_at, kept_by_head, kept_by_other):
        by = own.by if own is not None and now < own.by < theirs.by else theirs.by
        return Promise(round=head.round, by=by, since=theirs.since or other.received_at, of=of)
    return Promise(round=head.round, by=theirs.by, of=of) if theirs.by < own.by else None


def _fits(other: Complaint, head: Complaint) -> bool:
    """Whether one more complaint fits into another one, and danger is not hidden by it."""
    return len(head.merged_ids) < MERGED_MAX and (head.safety or not other.safety)
