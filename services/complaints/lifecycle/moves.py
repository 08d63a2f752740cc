"""What employees and customers do with a complaint, each decided by where it stands: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.complaints.lifecycle.rules import Complaint, endangered, in_order
from services.complaints.triage.rules import SAFETY_FLAGS
from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintCorrected,
    ComplaintMerged,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    Flag,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    Outcome,
    ResolutionRecorded,
    SafetyFound,
    Severity,
    promise_id_of,
)
from shared.contracts.lifecycle import OPEN, State, may
from shared.contracts.notifier import Helped
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact


class Who(NamedTuple):
    """An employee who was asked to take a complaint over, or not: their id and departments."""

    id: str
    departments: Collection[str] = ()


class No(NamedTuple):
    """Why an employee cannot do something with a complaint, and what they are told beside."""

    reason: Reason
    told: Mapping[str, str | Sequence[str]] = {}


#: What an employee does with a complaint, by the last part of its route, and the fact that moves it; None moves nothing.
ACTIONS: Mapping[str, type[Fact] | None] = {
    "claim": ComplaintClaimed,
    "handover": None,
    "ask": InfoAsked,
    "answer": InfoReceived,
    "fix": None,
    "resolve": ResolutionRecorded,
    "correct": None,
    "merge": ComplaintMerged,
    "split": ComplaintSplit,
    "withdraw": ComplaintWithdrawn,
    "unfounded": ComplaintUnfounded,
    "refer": ComplaintReferred,
}
#: Those that take the complaint on first, if nobody works on it.
OF_OWNER = ("ask", "resolve")


def can(state: State) -> tuple[str, ...]:
    """What an employee can do with a complaint that stands here, whoever has it."""
    return tuple(
        name
        for name, move in ACTIONS.items()
        if (state in OPEN if move is None else may(state, move))
        or (name in OF_OWNER and may(state, ComplaintClaimed))
    )


def wrong_state(state: State) -> No:
    """That a complaint which stands here cannot be moved so, and what can be done with it."""
    return No(Reason.WRONG_STATE, {"state": state, "can": can(state)})


def claim(
    complaint: Complaint, complaint_id: str, who: str, now: datetime, *, owner_away: bool = False
) -> Sequence[Fact] | No:
    """An employee takes a complaint on. One that has an owner can only be taken from who is away.

    If its customer is asked something, the question and the promise wait on.
    """
    owner = complaint.employee_id
    own_again = owner == who and complaint.state is State.REOPENED
    if owner is not None and complaint.state in OPEN and not (own_again or owner_away):
        return No(Reason.ALREADY_CLAIMED, {"employee_id": owner})
    waits = owner_away and complaint.state is State.AWAITING_INFO
    if (no := _no(complaint, None if waits else ComplaintClaimed)) is not None:
        return no
    return (_claimed(complaint, complaint_id, who, now),)


def given(complaint: Complaint, complaint_id: str, who: str, now: datetime) -> Decision:
    """Who gives the customer something, or sees to the cause, owns a complaint that nobody has; one that has an owner stays theirs."""
    free = complaint.employee_id is None
    again = complaint.employee_id == who and complaint.state is State.REOPENED
    if not (free or again) or not may(complaint.state, ComplaintClaimed):
        return Decision()
    return Decision.of(_claimed(complaint, complaint_id, who, now))


def offer(
    complaint: Complaint,
    complaint_id: str,
    who: str,
    colleague: str | None,
    department: str | None,
    now: datetime,
    *,
    on_shift: bool | None = None,
) -> Sequence[Fact] | No:
    """The owner asks a colleague or a department to take the complaint over; it stays theirs until then.

    `on_shift`: whether who is asked works now; None where the site does not say.
    """
    first = _as_owner(complaint, complaint_id, who, None, now)
    if isinstance(first, No):
        return first
    offered = HandoverOffered(
        complaint_id=complaint_id,
        employee_id=who,
        site=complaint.site,
        colleague_id=colleague,
        department=department,
        on_shift=on_shift,
        offered_at=now,
    )
    return (*first, offered)


def accept(complaint: Complaint, complaint_id: str, who: Who, now: datetime) -> Sequence[Fact] | No:
    """Who was asked to take a complaint over has it from now on."""
    if (no := _not_asked(complaint, who)) is not None:
        return no
    return (
        HandoverAccepted(
            complaint_id=complaint_id, employee_id=who.id, site=complaint.site, accepted_at=now
        ),
    )


def decline(
    complaint: Complaint, complaint_id: str, who: Who, now: datetime
) -> Sequence[Fact] | No:
    """Who was asked does not take the complaint over; its owner may think better of it in the same way."""
    asked = complaint.asked_colleague or complaint.asked_department
    keeps = asked is not None and who.id == complaint.employee_id
    if not keeps and (no := _not_asked(complaint, who)) is not None:
        return no
    return (
        HandoverDeclined(
            complaint_id=complaint_id, employee_id=who.id, site=complaint.site, declined_at=now
        ),
    )


def ask(
    complaint: Complaint, complaint_id: str, who: str, question: str, now: datetime
) -> Sequence[Fact] | No:
    """The owner asks the customer something (`question` is sealed), and the promise waits."""
    first = _as_owner(complaint, complaint_id, who, InfoAsked, now)
    if isinstance(first, No):
        return first
    if complaint.reachable is False:
        # Nobody would ask the customer, and the promise would wait for ever.
        return No(Reason.NO_CONTACT, {"ask": "in_person"})
    asked = InfoAsked(
        complaint_id=complaint_id,
        employee_id=who,
        site=complaint.site,
        question=question,
        round=complaint.round,
        promise_id=promise_id_of(complaint_id, complaint.round),
        asked_at=now,
    )
    return (*first, asked)


def hear(
    complaint: Complaint,
    complaint_id: str,
    who: str | None,
    answer: str,
    policy: Policy,
    now: datetime,
) -> Sequence[Fact] | No:
    """The customer answered (`answer` is sealed); the promise has the time that was left.

    `who` wrote the answer down; None if the customer did.
    """
    if (no := _no(complaint, InfoReceived)) is not None:
        return no
    promise, since = complaint.promise, complaint.waits_since
    by = None
    if promise is not None and since is not None and since < promise.by:
        by = policy.goes_on_until(since, promise.by, now, complaint.stay_ends_at)
    return (
        InfoReceived(
            complaint_id=complaint_id,
            employee_id=who,
            site=complaint.site,
            answer=answer,
            round=complaint.round,
            promise_id=promise_id_of(complaint_id, complaint.round),
            promised_by=by,
            warn_at=None if by is None else policy.warn_at(by, now),
            answered_at=now,
        ),
    )


def resolve(
    complaint: Complaint,
    complaint_id: str,
    who: str,
    outcome: Outcome,
    note: str | None,
    policy: Policy,
    now: datetime,
) -> Sequence[Fact] | No:
    """The owner records what was done about the cause (`note` is sealed)."""
    first = _as_owner(complaint, complaint_id, who, ResolutionRecorded, now)
    if isinstance(first, No):
        return first
    recorded = ResolutionRecorded(
        complaint_id=complaint_id,
        employee_id=who,
        site=complaint.site,
        outcome=outcome,
        note=note,
        closes_at=now + policy.close_after,
        recorded_at=now,
    )
    return (*first, recorded)


def withdraw(
    complaint: Complaint,
    complaint_id: str,
    who: str | None,
    now: datetime,
    *,
    owner_away: bool = False,
) -> Sequence[Fact] | No:
    """The customer takes the complaint back, and told an employee so; None if they did it by themselves.

    An employee ends a colleague's complaint only while that one is away.
    """
    if (no := _not_ended_by(complaint, ComplaintWithdrawn, who, owner_away)) is not None:
        return no
    return (
        ComplaintWithdrawn(
            complaint_id=complaint_id, employee_id=who, site=complaint.site, withdrawn_at=now
        ),
    )


def find_none(
    complaint: Complaint, complaint_id: str, who: str, now: datetime, *, owner_away: bool = False
) -> Sequence[Fact] | No:
    """An employee finds that the words are no complaint; of a colleague's complaint only while that one is away."""
    if (no := _not_ended_by(complaint, ComplaintUnfounded, who, owner_away)) is not None:
        return no
    return (
        ComplaintUnfounded(
            complaint_id=complaint_id, employee_id=who, site=complaint.site, found_at=now
        ),
    )


def refer(
    complaint: Complaint, complaint_id: str, who: str, body: str, policy: Policy, now: datetime
) -> Sequence[Fact] | No:
    """An employee refers the complaint to an outside body of the policy, by its id."""
    if (no := _no(complaint, ComplaintReferred)) is not None:
        return no
    if body not in policy.bodies:
        return No(Reason.UNKNOWN_BODY, {"bodies": tuple(policy.bodies)})
    return (
        ComplaintReferred(
            complaint_id=complaint_id,
            employee_id=who,
            site=complaint.site,
            body=body,
            referred_at=now,
        ),
    )


def correct(
    complaint: Complaint,
    complaint_id: str,
    who: str,
    category: Category | None,
    severity: Severity | None,
    policy: Policy,
    now: datetime,
    subcategory: str | None = None,
    flags_added: Sequence[Flag] = (),
    flags_removed: Sequence[Flag] = (),
) -> Sequence[Fact] | No:
    """An employee puts right what the complaint is about, how bad it is, or its flags; its promise may be sooner by that.

    Its subcategory ends with its category, unless the employee names another.

    One that turns out to be about safety is severe, unless the employee says how bad it is. A flag that is removed
    takes back neither that nor the promise, since those who must know were told.
    """
    if (no := _no(complaint, None)) is not None:
        return no
    added = in_order({*flags_added} - {*complaint.flags})
    removed = in_order({*flags_removed} & {*complaint.flags})
    danger = category is Category.SAFETY or not SAFETY_FLAGS.isdisjoint(added)
    found = find_danger(complaint, complaint_id, policy, now, added) if danger else ()
    known = with_danger(complaint, found)
    if subcategory is None and category in {None, known.category}:
        subcategory = known.subcategory
    category, severity = category or known.category, severity or known.severity
    by = sooner(known, category, severity, policy, now)
    return (
        *found,
        ComplaintCorrected(
            complaint_id=complaint_id,
            employee_id=who,
            site=complaint.site,
            category=category,
            subcategory=subcategory,
            severity=severity,
            flags_added=added,
            flags_removed=removed,
            round=None if by is None else complaint.round,
            promise_id=None if by is None else promise_id_of(complaint_id, complaint.round),
            promised_by=by,
            warn_at=None if by is None else policy.warn_at(by, now),
            corrected_at=now,
        ),
    )


def find_danger(
    complaint: Complaint,
    complaint_id: str,
    policy: Policy,
    now: datetime,
    flags: tuple[Flag, ...] = (),
) -> Sequence[SafetyFound]:
    """Somebody's safety is concerned, and the promise may be sooner by that; nothing if that is known of the complaint.

    `flags` are what the words speak of, or what an employee added.
    """
    if complaint.safety:
        return ()
    known = complaint.model_copy(update={"safety": True})
    by = sooner(known, complaint.category, Severity.SEVERE, policy, now)
    return (
        SafetyFound(
            complaint_id=complaint_id,
            site=complaint.site,
            round=None if by is None else complaint.round,
            promise_id=None if by is None else promise_id_of(complaint_id, complaint.round),
            promised_by=by,
            warn_at=None if by is None else policy.warn_at(by, now),
            flags=flags,
            found_at=now,
        ),
    )


def with_danger(complaint: Complaint, found: Sequence[SafetyFound]) -> Complaint:
    """The complaint as it is after what was found of it."""
    for fact in found:
        complaint = endangered(complaint, fact)
    return complaint


def sooner(
    complaint: Complaint, category: Category, severity: Severity, policy: Policy, now: datetime
) -> datetime | None:
    """When the customer hears from us by the playbook of these, counted from now; None unless that is sooner than promised.

    A promise that waits for its customer is counted from when it began to wait, so that it has the playbook's time left.
    """
    promise = complaint.promise
    if promise is None or promise.broken or complaint.state not in OPEN:
        return None
    since = complaint.waits_since or now
    by = promised(complaint, category, severity, policy, since)
    return by if by < promise.by else None


def promised(
    complaint: Complaint, category: Category, severity: Severity, policy: Policy, since: datetime
) -> datetime:
    """When the customer hears from us by the playbook of these, and by that for safety where somebody is in danger."""
    about = (category, Category.SAFETY) if complaint.safety else (category,)
    return min(policy.promised_by(one, severity, since, complaint.stay_ends_at) for one in about)


def close(complaint: Complaint, complaint_id: str, now: datetime) -> Decision:
    """The customer said nothing to what was done, in the time they had."""
    due = complaint.closes_at is not None and now >= complaint.closes_at
    if complaint.forgotten or not due or not may(complaint.state, ComplaintClosed):
        return Decision()
    return Decision.of(
        ComplaintClosed(complaint_id=complaint_id, site=complaint.site, closed_at=now)
    )


def take_feedback(
    complaint: Complaint,
    complaint_id: str,
    helped: Helped,
    policy: Policy,
    now: datetime,
    *,
    answered_at: datetime | None = None,
    keeper: str | None = None,
    by_link: bool = False,
    by_words: bool = False,
    line: str | None = None,
    done: Collection[datetime] = (),
) -> Decision:
    """Decide on the customer's answer: yes confirms; partly and no reopen, with a new promise: there is more to do.

    `keeper` is who has the complaint then: its owner, or a colleague if the owner is off shift. `by_link`: the customer
    said it on their page, so that no other fact has the answer. `done`: when something was given, offered or done for
    them. A second no before any of that changes nothing: one answer may come by the page and by a letter's link.
    `by_words`: they answered nothing, and what they wrote opens it with a promise in any case. `line` is what they wrote
    with a yes, sealed for who is thanked.
    """
    if helped is Helped.YES:
        if not may(complaint.state, ComplaintConfirmed):
            return Decision()
        return Decision.of(
            ComplaintConfirmed(
                complaint_id=complaint_id,
                site=complaint.site,
                confirmed_at=now,
                by_link=by_link,
                line=line,
            )
        )
    if not may(complaint.state, ComplaintReopened):
        return Decision()
    if not by_words and _said_no_already(complaint, done):
        return Decision()
    owner = complaint.employee_id
    by = promised(complaint, complaint.category, complaint.severity, policy, now)
    return Decision.of(
        ComplaintReopened(
            complaint_id=complaint_id,
            customer_ref=complaint.customer_ref,
            site=complaint.site,
            language=complaint.language,
            employee_id=keeper or owner,
            passed_from=owner if keeper not in (None, owner) else None,
            round=complaint.round + 1,
            promise_id=promise_id_of(complaint_id, complaint.round + 1),
            promised_by=by,
            warn_at=policy.warn_at(by, now),
            has_contact=(
                complaint.contact is not None
                if complaint.reachable is None
                else complaint.reachable
            ),
            reopened_at=answered_at,
            by_link=by_link,
            partly=by_link and helped is Helped.PARTLY,
        )
    )


def _said_no_already(complaint: Complaint, done: Collection[datetime]) -> bool:
    """Whether the complaint is open because the customer said no, and nothing was done for them since."""
    promise = complaint.own_promise or complaint.promise
    if complaint.state not in OPEN or complaint.round == 0:
        return False
    since = None if promise is None else promise.since
    return since is not None and not any(moment > since for moment in done)


def _no(complaint: Complaint, move: type[Fact] | None) -> No | None:
    """Why nobody can make a move, or do something that moves nothing, with a complaint where it stands."""
    if complaint.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if complaint.merged_into is not None:
        return No(Reason.COMPLAINT_MERGED, {"complaint_id": complaint.merged_into})
    fits = complaint.state in OPEN if move is None else may(complaint.state, move)
    return None if fits else wrong_state(complaint.state)


def _not_ended_by(
    complaint: Complaint, move: type[Fact], who: str | None, owner_away: bool
) -> No | None:
    """Why `who` cannot end a complaint, which may have another owner; None stands for its customer."""
    if (no := _no(complaint, move)) is not None:
        return no
    owner = complaint.employee_id
    owned = owner is not None and complaint.state in OPEN
    if not owned or owner_away or who in (None, owner):
        return None
    return No(Reason.ALREADY_CLAIMED, {"employee_id": owner or ""})


def _as_owner(
    complaint: Complaint, complaint_id: str, who: str, move: type[Fact] | None, now: datetime
) -> Sequence[Fact] | No:
    """The fact by which an employee owns the complaint before a move of its owner; none if they own it.

    Whoever does something with a complaint that nobody works on takes it on by that.
    """
    owner = complaint.employee_id
    if owner is not None and owner != who and complaint.state in OPEN:
        return No(Reason.ALREADY_CLAIMED, {"employee_id": owner})
    if complaint.state is State.CLAIMED or _no(complaint, ComplaintClaimed) is not None:
        return _no(complaint, move) or ()
    return (_claimed(complaint, complaint_id, who, now),)


def _claimed(complaint: Complaint, complaint_id: str, who: str, now: datetime) -> ComplaintClaimed:
    return ComplaintClaimed(
        complaint_id=complaint_id, employee_id=who, site=complaint.site, claimed_at=now
    )


def _not_asked(complaint: Complaint, who: Who) -> No | None:
    if (no := _no(complaint, None)) is not None:
        return no
    colleague, department = complaint.asked_colleague, complaint.asked_department
    asked = colleague == who.id or department in who.departments
    if asked and who.id != complaint.employee_id:
        return None
    return No(Reason.NOT_OFFERED, somebody(colleague, department))


def somebody(colleague: str | None, department: str | None) -> Mapping[str, str]:
    """Who is asked, as a refusal tells it; empty if nobody is."""
    if colleague is not None:
        return {"colleague_id": colleague}
    return {"department": department} if department is not None else {}
