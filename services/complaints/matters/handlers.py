"""Finds complaints about the same matter, merges them and splits them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.complaints.lifecycle.moves import No, wrong_state
from services.complaints.lifecycle.rules import (
    Complaint,
    of_customer,
    received,
    sender_of,
    triaged,
)
from services.complaints.matters.moves import (
    Answered,
    Merged,
    merge,
    same_customer,
    same_matter,
    split,
    why_same,
)
from services.complaints.matters.rules import Sender, stands_alone
from services.complaints.promises.rules import KeptAt, Warned
from shared.contracts.complaints import (
    ComplaintReceived,
    ComplaintSplit,
    ComplaintTriaged,
    Sameness,
)
from shared.contracts.event import ComplaintId
from shared.contracts.lifecycle import OPEN
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact, score_at
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies
from shared.runtime.roster import employed

#: A customer's complaints of before are of another stay.
SUGGESTED_WITHIN = timedelta(days=30)
#: Complaints that are looked at for a suggestion, and suggestions that are shown: a phone's screen.
LOOKED_AT_MAX, SUGGESTED_MAX = 20, 5


class Merge(BaseModel):
    """The complaint is about the same matter as another one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"into": "co-1b4f0e9851971998"}]},
    )

    into: Annotated[ComplaintId, Field(description="The complaint that goes on for both.")]


async def merging(
    complaint_id: str, command: Merge, policies: Policies, who: Principal, view: View
) -> Decision:
    """Merge a complaint into another one, or into the one that this went into.

    Raises Rejected(not_mergeable, complaint_merged, wrong_state, customer_erased, unknown_complaint), Unavailable.
    """
    other = await _of_site(complaint_id, who, view)
    head_id, head = command.into, await _of_site(command.into, who, view, "/into")
    if head.merged_into is not None:
        head_id, head = head.merged_into, await _of_site(head.merged_into, who, view)
    policy, _ = await policies.at(who.site, view)
    warned = await view.get(Warned, complaint_id)
    found = merge(
        other,
        complaint_id,
        head,
        head_id,
        who.subject,
        why_same(other, head),
        policy,
        view.now,
        kept_by_other=await kept([complaint_id], view, safety=head.safety),
        kept_by_head=await kept([head_id, *head.merged_ids], view, safety=head.safety),
        warned=warned is not None and other.round in warned.rounds,
    )
    if isinstance(found, No):
        raise Rejected(found.reason, told=found.told)
    return Decision(found)


async def splitting(complaint_id: str, policies: Policies, who: Principal, view: View) -> Decision:
    """Let a merged complaint stand by itself again.

    Raises Rejected(wrong_state, customer_erased, unknown_complaint), Unavailable.
    """
    other = await _of_site(complaint_id, who, view)
    if other.forgotten:
        raise Rejected(Reason.CUSTOMER_ERASED)
    if other.merged_into is None:
        raise Rejected(Reason.WRONG_STATE, told=wrong_state(other.state).told)
    head = await _of_site(other.merged_into, who, view)
    policy, _ = await policies.at(who.site, view)
    pair = (complaint_id, other)
    return Decision(await undone(other.merged_into, head, [pair], who.subject, policy, view))


async def undone(
    head_id: str,
    head: Complaint,
    others: Sequence[tuple[str, Complaint]],
    who: str | None,
    policy: Policy,
    view: View,
) -> Sequence[Fact]:
    """The facts by which `others` stand by themselves again that were merged into `head`; raises Unavailable."""
    gone = {name for name, _ in others}
    left = [name for name in head.merged_ids if name not in gone]
    await view.prefetch(
        [
            Warned.key(head_id),
            *(KeptAt.key(name) for name in (head_id, *left)),
            *(Complaint.key(name) for name in left),
        ]
    )
    found = [(name, await view.get(Complaint, name)) for name in left]
    return split(
        head,
        head_id,
        others,
        who,
        policy,
        view.now,
        stay=[
            Merged(name, one, await kept([name], view, safety=head.safety))
            for name, one in found
            if one is not None
        ],
        kept_by_head=await kept([head_id], view, safety=head.safety),
        warned=await view.get(Warned, head_id),
    )


async def answered(
    complaint: Complaint, complaint_id: str, head: Complaint, policy: Policy, view: View
) -> Answered:
    """The complaint that "did it help?" is answered for, where it was asked about this one; `head` goes on for it, or is it.

    That is the head if the same customer raised both. Otherwise this one is split from it first: nobody answers for
    another customer, and each is written to about what they said themselves. Raises Unavailable.
    """
    if complaint.merged_into is None:
        return Answered(complaint_id, complaint)
    if same_customer(complaint, head):
        return Answered(complaint.merged_into, head)
    pair = (complaint_id, complaint)
    before = await undone(complaint.merged_into, head, [pair], None, policy, view)
    (parted,) = (one for one in before if isinstance(one, ComplaintSplit))
    return Answered(complaint_id, stands_alone(complaint, parted), before)


async def split_off(
    head_id: str,
    head: Complaint,
    stays: Callable[[Complaint], bool],
    who: str | None,
    policies: Policies,
    view: View,
) -> Sequence[Fact]:
    """The facts by which complaints stand by themselves again before `head`, into which they were merged, ends.

    Those that `stays` is true of, and those of erased customers, stay merged. Raises Unavailable.
    """
    await view.prefetch([Complaint.key(one) for one in head.merged_ids])
    merged = [(one, await view.get(Complaint, one)) for one in head.merged_ids]
    others = [
        (name, one)
        for name, one in merged
        if one is not None and not one.forgotten and not stays(one)
    ]
    if not others:
        return ()
    policy, _ = await policies.at(head.site, view)
    return await undone(head_id, head, others, who, policy, view)


async def at_once(
    first: ComplaintReceived,
    second: ComplaintTriaged,
    policy: Policy,
    view: View,
    *,
    named: bool,
) -> Sequence[Fact]:
    """The facts of a new complaint, merged at once if the same token raised an open one about the same.

    `named`: its customer was named. Raises Unavailable.
    """
    alone = (first, second)
    sender_ref = sender_of(second)
    if sender_ref is None:
        return alone
    new = triaged(received(None, first), second)
    for head_id, head in await _raised_by(sender_ref, view):
        if not same_matter(new, head, named=named):
            continue
        found = merge(
            new,
            first.complaint_id,
            head,
            head_id,
            None,
            Sameness.SAME_SENDER,
            policy,
            view.now,
            kept_by_head=await kept([head_id, *head.merged_ids], view, safety=head.safety),
        )
        if not isinstance(found, No):
            return (first, second.model_copy(update={"acknowledged": True}), *found)
    return alone


async def suggested(complaint_id: str, complaint: Complaint, view: View) -> list[str]:
    """Open complaints that may be about the same matter, by their ids; raises Unavailable.

    Those of the same token, name or address. Whether they are, somebody must say.
    """
    received_at = complaint.received_at
    if received_at is None or complaint.state not in OPEN:
        return []
    since = Cursor(score_at(received_at - SUGGESTED_WITHIN), "")
    page = await view.range(Complaint, of_customer(complaint.customer_ref), since, LOOKED_AT_MAX)
    own = complaint.sender_ref
    raised = [] if own is None else await _raised_by(own, view)
    found = {
        name: one
        for name, one in (*raised, *page.documents)
        if one.site == complaint.site and one.state in OPEN and not one.forgotten
    }
    return [name for name in found if name != complaint_id][:SUGGESTED_MAX]


async def kept(complaint_ids: Sequence[str], view: View, *, safety: bool) -> set[datetime]:
    """When something happened for these complaints that keeps a promise, about somebody's safety or not.

    Raises Unavailable.
    """
    await view.prefetch([KeptAt.key(one) for one in complaint_ids])
    found = [await view.get(KeptAt, one) for one in complaint_ids]
    return {moment for one in found if one is not None for moment in one.keeping(safety=safety)}


async def _raised_by(sender_ref: str, view: View) -> Sequence[tuple[str, Complaint]]:
    """The latest complaints with a token, each as the one that it went into, the latest first; raises Unavailable."""
    sender = await view.get(Sender, sender_ref) or Sender()
    await view.prefetch([Complaint.key(one) for one in sender.complaint_ids])
    found: dict[str, Complaint] = {}
    for name in reversed(sender.complaint_ids):
        complaint = await view.get(Complaint, name)
        if complaint is not None and complaint.merged_into is not None:
            name = complaint.merged_into  # noqa: PLW2901 - the complaint that goes on for it
            complaint = await view.get(Complaint, name)
        if complaint is not None:
            found.setdefault(name, complaint)
    return list(found.items())


async def _of_site(complaint_id: str, who: Principal, view: View, *where: str) -> Complaint:
    await employed(who, view)
    return await view.require(
        Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, where=where, site=who.site
    )
