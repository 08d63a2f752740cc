"""What merges and splits make of complaints: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from services.complaints.lifecycle.rules import (
    Complaint,
    Promise,
    clock,
    complaint_of,
    sender_of,
)
from shared.contracts.complaints import (
    ComplaintMerged,
    ComplaintSplit,
    ComplaintTriaged,
    MatterChanged,
)
from shared.contracts.lifecycle import MOVES
from shared.kernel import Document, Fold, Slice, Timer

#: Complaints remembered per token, the latest: a new one may be about the same as one of them.
REMEMBERED_MAX = 20


class Sender(Document):
    """A customer who raises complaints with a token of their own, by `sender_ref`: the latest of them."""

    KIND: ClassVar[str] = "sender"

    complaint_ids: tuple[str, ...] = ()


def remembered(before: Sender | None, fact: ComplaintTriaged) -> Sender:
    """The sender with one more complaint."""
    known = () if before is None else before.complaint_ids
    return Sender(complaint_ids=(*known, fact.complaint_id)[-REMEMBERED_MAX:])


def merged(complaint: Complaint, fact: ComplaintMerged) -> Complaint:
    """Another complaint goes on for this one; its owner is remembered in case it is split."""
    return complaint.model_copy(
        update={
            "state": MOVES[ComplaintMerged].to,
            "merged_into": fact.into,
            "asked_colleague": None,
            "asked_department": None,
        }
    )


def stands_alone(complaint: Complaint, fact: ComplaintSplit) -> Complaint:
    """It stands by itself again; who owned it before owns it."""
    by = fact.promised_by
    promises = tuple(
        one._replace(by=by or one.by, broken=one.broken or fact.overdue)
        if one == complaint.promise
        else one
        for one in complaint.promises
    )
    return complaint.model_copy(
        update={
            "state": MOVES[ComplaintSplit].to,
            "merged_into": None,
            "promises": promises,
            "promised_by": by or complaint.promised_by,
        }
    )


def changed(complaint: Complaint, fact: MatterChanged) -> Complaint:
    """Others are merged into it, or not any more."""
    update: dict[str, object] = {"merged_ids": fact.merged_ids, "severity": fact.severity}
    if fact.promised_by is not None:
        own = complaint.own_promise or complaint.promise
        before = complaint.promise if fact.promise_of is not None else own
        known = before or Promise(round=fact.round, by=fact.promised_by)
        promise = Promise(
            round=fact.round,
            by=fact.promised_by,
            since=fact.asked_again_at or known.since,
            broken=fact.overdue,
            of=fact.promise_of,
        )
        others = tuple(one for one in complaint.promises if one.round != fact.round)
        # Of merged complaints, which a split gives back as they are, and own ones of before, which stay said.
        broken = tuple(
            one
            for one in complaint.promises
            if one.round == fact.round and one.broken and one != own
            if one.of is None or one.of != fact.promise_of
        )
        update |= {
            "promised_by": fact.promised_by,
            "promises": (*others, promise, *broken),
            "own_promise": own if fact.promise_of is not None else None,
        }
    return complaint.model_copy(update=update)


def silent(fact: ComplaintMerged) -> Sequence[Timer]:
    """No timer while another complaint goes on for this one."""
    return clock(fact.complaint_id, fact.round, None, None)


def due(fact: ComplaintSplit | MatterChanged) -> Sequence[Timer]:
    """The timers of a promise that is to be kept from now on; none for one that was broken."""
    if fact.promised_by is None:
        return ()
    by = None if fact.overdue else fact.promised_by
    return clock(fact.complaint_id, fact.round, by, fact.warn_at)


SLICE = Slice(
    {
        ComplaintTriaged: (Fold(Sender, sender_of, remembered),),
        ComplaintMerged: (Fold(Complaint, complaint_of, merged),),
        ComplaintSplit: (Fold(Complaint, complaint_of, stands_alone),),
        MatterChanged: (Fold(Complaint, complaint_of, changed),),
    },
    timers={ComplaintMerged: silent, ComplaintSplit: due, MatterChanged: due},
)
