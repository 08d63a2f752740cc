"""What happened to a complaint, in one order whatever order it is heard of in: pure rules.

Facts that name a complaint are kept under the complaint, those that name a check alone under the check. Whoever
looks reads the complaint's and those of the checks given for it. So no fact waits for another: what is heard of a
check before the check itself lies where it will be looked for.

What is in the complaint's own document is not kept a second time: that it was received, and its first promise.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import ClassVar, NamedTuple

from services.complaints.lifecycle.rules import Complaint
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    RedemptionCaptured,
    RedemptionRolledBack,
)
from shared.contracts.complaints import (
    Category,
    CauseNamed,
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintCorrected,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintOverdue,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    ContactChanged,
    FixAsked,
    FixDeclined,
    FixDone,
    FixLate,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    Outcome,
    PromiseWarned,
    ResolutionRecorded,
    Severity,
    WordsAdded,
    promise_id_of,
)
from shared.contracts.event import fingerprint
from shared.contracts.notifier import (
    NOT_LACKED,
    FeedbackReceived,
    Helped,
    MessageFailed,
    MessageSaid,
    MessageSent,
    Occasion,
)
from shared.contracts.reasons import Reason
from shared.kernel import Document, Fact, Fold, Schema, Slice, score_at

#: Entries kept of a complaint, and of a check, the newest: ten times what the longest known case has. Each fact
#: writes its document anew, so that this bounds what one costs.
ENTRIES_MAX = 100


class What(StrEnum):
    """What happened; of the same moment, the first of these comes first."""

    RECEIVED = "received"
    ANNOUNCED = "announced"
    PROMISED = "promised"
    CLAIMED = "claimed"
    HANDOVER_OFFERED = "handover_offered"
    HANDOVER_ACCEPTED = "handover_accepted"
    HANDOVER_DECLINED = "handover_declined"
    CORRECTED = "corrected"
    ASKED = "asked"
    ANSWERED = "answered"
    WORDS_ADDED = "words_added"
    CONTACT_CHANGED = "contact_changed"
    OFFER_MADE = "offer_made"
    OFFER_CHOSEN = "offer_chosen"
    OFFER_LAPSED = "offer_lapsed"
    CHECK_GIVEN = "check_given"
    CHECK_SUSPENDED = "check_suspended"
    CHECK_RESUMED = "check_resumed"
    CHECK_REDEEMED = "check_redeemed"
    REDEMPTION_UNDONE = "redemption_undone"
    CHECK_VOIDED = "check_voided"
    CHECK_EXPIRED = "check_expired"
    FIX_ASKED = "fix_asked"
    FIX_DECLINED = "fix_declined"
    FIX_LATE = "fix_late"
    FIX_DONE = "fix_done"
    CAUSE_NAMED = "cause_named"
    RESOLVED = "resolved"
    LETTER_SENT = "letter_sent"
    LETTER_FAILED = "letter_failed"
    TOLD_IN_PERSON = "told_in_person"
    PROMISE_NEAR = "promise_near"
    PROMISE_BROKEN = "promise_broken"
    FEEDBACK = "feedback"
    CONFIRMED = "confirmed"
    REOPENED = "reopened"
    WITHDRAWN = "withdrawn"
    NOT_A_COMPLAINT = "not_a_complaint"
    REFERRED = "referred"
    CLOSED = "closed"
    MERGED = "merged"
    SPLIT = "split"
    FORGOTTEN = "forgotten"


class Who(StrEnum):
    """Who did it."""

    CUSTOMER = "customer"
    EMPLOYEE = "employee"
    SERVICE = "service"


#: What the customer does, unless an employee did it for them.
BY_CUSTOMER = frozenset(
    {
        What.RECEIVED,
        What.ANSWERED,
        What.WORDS_ADDED,
        What.CONTACT_CHANGED,
        What.OFFER_CHOSEN,
        What.CHECK_REDEEMED,
        What.FEEDBACK,
        What.WITHDRAWN,
    }
)
#: The field of a fact in which words of an entry are sealed.
SEALED_AS: Mapping[What, str] = {
    What.RECEIVED: "text",
    What.ANNOUNCED: "text",
    What.WORDS_ADDED: "text",
    What.ASKED: "question",
    What.ANSWERED: "answer",
    What.RESOLVED: "note",
    What.FEEDBACK: "line",
}
#: Stands for an employee in what a customer is shown: that it was one, and not who.
SOMEBODY = "somebody"
_RANK = {what: rank for rank, what in enumerate(What)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; a field that says nothing of it is None."""

    at: datetime
    what: What
    employee_id: str | None = None
    #: Who is asked to take the complaint over.
    colleague_id: str | None = None
    department: str | None = None
    #: None in what is kept under the check itself.
    check_id: str | None = None
    offer_id: str | None = None
    redemption_id: str | None = None
    item: str | None = None
    #: What a check is worth, or the part of it that was redeemed, in minor units of `currency`.
    amount_minor: int | None = None
    currency: str | None = None
    #: Which promise it is about, by its round, and by when the customer hears from us.
    round: int | None = None
    promised_by: datetime | None = None
    category: Category | None = None
    severity: Severity | None = None
    outcome: Outcome | None = None
    helped: Helped | None = None
    fix: str | None = None
    #: What it is put down to.
    cause: str | None = None
    #: The outside body that it was referred to.
    body: str | None = None
    #: The complaint that another one was merged into, or split from.
    into: str | None = None
    #: The complaint that it happened to, where that is merged into the one whose timeline is read; never kept.
    complaint_id: str | None = None
    occasion: Occasion | None = None
    #: Why a letter was not sent.
    reason: Reason | None = None
    #: Sealed; see SEALED_AS.
    words: str | None = None

    @property
    def who(self) -> Who:
        """Who did it."""
        if self.employee_id is not None:
            return Who.EMPLOYEE
        return Who.CUSTOMER if self.what in BY_CUSTOMER else Who.SERVICE

    @property
    def name(self) -> str:
        """Its place among all entries as a client has it: when it happened, and a hash of the whole."""
        return f"{score_at(self.at)}.{fingerprint('entry', *values(self))}"

    def promise_id(self, complaint_id: str) -> str | None:
        """The promise that it is about; None if it is about none."""
        return (
            None
            if self.round is None
            else promise_id_of(self.complaint_id or complaint_id, self.round)
        )


_FIELDS = tuple(field.name for field in fields(Entry))


def values(entry: Entry) -> Sequence[str]:
    """All values of an entry as text."""
    return [str(getattr(entry, name)) for name in _FIELDS]


class Timeline(Document):
    """What happened to a complaint, or to a check, oldest first; `left_out` older entries are not kept any more."""

    KIND: ClassVar[str] = "timeline"
    #: A build of version 1 cannot read that a cause was named, or that something was told in person.
    SCHEMA: ClassVar[Schema] = Schema(2, read_by=2)

    entries: tuple[Entry, ...] = ()
    left_out: int = 0


class Row(NamedTuple):
    """What a fact adds to the timeline: what it is, when it happened, and which of its fields are kept."""

    what: What
    #: The field that says when; a fact without it adds nothing.
    at: str
    #: The fields that are kept under their own names, and those kept under other names, by those.
    same: Sequence[str] = ()
    named: Mapping[str, str] = {}


_WHO = ("employee_id",)
_PROMISE = ("round", "promised_by")
_LETTER = ("occasion",)
_FIX = ("employee_id", "fix")
#: By type of fact, of facts that name their complaint.
OF_COMPLAINT: Mapping[type[Fact], Row] = {
    ComplaintClaimed: Row(What.CLAIMED, "claimed_at", _WHO),
    HandoverOffered: Row(
        What.HANDOVER_OFFERED, "offered_at", (*_WHO, "colleague_id", "department")
    ),
    HandoverAccepted: Row(What.HANDOVER_ACCEPTED, "accepted_at", _WHO),
    HandoverDeclined: Row(What.HANDOVER_DECLINED, "declined_at", _WHO),
    ComplaintCorrected: Row(
        What.CORRECTED, "corrected_at", (*_WHO, "category", "severity", *_PROMISE)
    ),
    InfoAsked: Row(What.ASKED, "asked_at", (*_WHO, "round"), {"words": "question"}),
    InfoReceived: Row(What.ANSWERED, "answered_at", (*_WHO, *_PROMISE), {"words": "answer"}),
    WordsAdded: Row(What.WORDS_ADDED, "added_at", (), {"words": "text"}),
    ContactChanged: Row(What.CONTACT_CHANGED, "changed_at"),
    FixAsked: Row(What.FIX_ASKED, "asked_at", (*_FIX, "colleague_id", "department")),
    FixDone: Row(What.FIX_DONE, "done_at", _FIX),
    FixDeclined: Row(What.FIX_DECLINED, "declined_at", _FIX),
    CauseNamed: Row(What.CAUSE_NAMED, "named_at", ("cause",), {"employee_id": "by"}),
    FixLate: Row(What.FIX_LATE, "late_at", ("fix", "colleague_id", "department")),
    ResolutionRecorded: Row(What.RESOLVED, "recorded_at", (*_WHO, "outcome"), {"words": "note"}),
    PromiseWarned: Row(What.PROMISE_NEAR, "warned_at", _PROMISE),
    ComplaintOverdue: Row(What.PROMISE_BROKEN, "overdue_at", _PROMISE),
    ComplaintReopened: Row(What.REOPENED, "reopened_at", _PROMISE),
    ComplaintConfirmed: Row(What.CONFIRMED, "confirmed_at"),
    ComplaintClosed: Row(What.CLOSED, "closed_at"),
    ComplaintWithdrawn: Row(What.WITHDRAWN, "withdrawn_at", _WHO),
    ComplaintUnfounded: Row(What.NOT_A_COMPLAINT, "found_at", _WHO),
    ComplaintReferred: Row(What.REFERRED, "referred_at", (*_WHO, "body")),
    ComplaintMerged: Row(What.MERGED, "merged_at", (*_WHO, "into")),
    ComplaintSplit: Row(What.SPLIT, "split_at", (*_WHO, "into")),
    ComplaintForgotten: Row(What.FORGOTTEN, "forgotten_at"),
    CheckIssued: Row(
        What.CHECK_GIVEN,
        "issued_at",
        (*_WHO, "check_id", "offer_id", "item", "currency"),
        {"amount_minor": "value_minor"},
    ),
    OfferMade: Row(What.OFFER_MADE, "offered_at", (*_WHO, "offer_id")),
    OfferChosen: Row(What.OFFER_CHOSEN, "chosen_at", ("offer_id", "item")),
    OfferLapsed: Row(What.OFFER_LAPSED, "lapsed_at", ("offer_id",)),
    MessageSent: Row(What.LETTER_SENT, "sent_at", _LETTER),
    MessageFailed: Row(What.LETTER_FAILED, "failed_at", (*_LETTER, "reason")),
    MessageSaid: Row(What.TOLD_IN_PERSON, "said_at", (*_WHO, *_LETTER)),
    FeedbackReceived: Row(What.FEEDBACK, "answered_at", ("check_id", "helped"), {"words": "line"}),
}
_REDEMPTION = ("redemption_id", "amount_minor", "currency")
#: The same of facts that name a check alone; nobody needs its id once more under the check.
OF_CHECK: Mapping[type[Fact], Row] = {
    CheckSuspended: Row(What.CHECK_SUSPENDED, "suspended_at", _WHO),
    CheckResumed: Row(What.CHECK_RESUMED, "resumed_at", _WHO),
    CheckVoided: Row(What.CHECK_VOIDED, "voided_at", _WHO),
    CheckExpired: Row(What.CHECK_EXPIRED, "expired_at"),
    RedemptionCaptured: Row(What.CHECK_REDEEMED, "captured_at", _REDEMPTION),
    RedemptionRolledBack: Row(What.REDEMPTION_UNDONE, "rolled_back_at", _REDEMPTION),
}


def order(entry: Entry) -> tuple[datetime, int, Sequence[str]]:
    """What entries are sorted by: one order for the same entries, however they came."""
    return entry.at, _RANK[entry.what], values(entry)


def added(row: Row, before: Timeline | None, fact: Fact) -> Timeline:
    """The timeline with what a fact adds to it; the engine sees to it that each fact comes once.

    A letter that goes on by another channel adds nothing: the one on that channel does. Nor does one that nobody lacks,
    such as one that was not true any more, or not wanted.
    """
    if isinstance(fact, MessageFailed) and (fact.next_channel or fact.reason in NOT_LACKED):
        return before or Timeline()
    taken = {**{name: name for name in row.same}, **row.named, "at": row.at}
    told = {name: getattr(fact, field) for name, field in taken.items()}
    entry, known = Entry(what=row.what, **told), before or Timeline()
    entries = list(known.entries)
    insort(entries, entry, key=order)
    return Timeline(
        entries=tuple(entries[-ENTRIES_MAX:]),
        left_out=known.left_out + max(0, len(entries) - ENTRIES_MAX),
    )


def forgotten(before: Timeline | None, fact: ComplaintForgotten) -> Timeline:
    """The timeline without words: the customer was erased."""
    known = added(OF_COMPLAINT[ComplaintForgotten], before, fact)
    silent = (replace(entry, words=None) for entry in known.entries)
    return known.model_copy(update={"entries": tuple(sorted(silent, key=order))})


def checks_of(timeline: Timeline | None) -> Sequence[str]:
    """The checks given for a complaint, each once."""
    entries = timeline.entries if timeline is not None else ()
    given = (entry.check_id for entry in entries if entry.what is What.CHECK_GIVEN)
    return list(dict.fromkeys(check_id for check_id in given if check_id is not None))


def whole(
    complaint: Complaint, own: Timeline | None, checks: Mapping[str, Timeline]
) -> Sequence[Entry]:
    """Everything that happened to a complaint, oldest first; `own` is its timeline, `checks` are of all checks, by id."""
    known = own or Timeline()
    found = [*first(complaint), *known.entries]
    for check_id in checks_of(own):
        timeline = checks.get(check_id, Timeline())
        found += [replace(entry, check_id=check_id) for entry in timeline.entries]
    return sorted(found, key=order)


def together(own: Sequence[Entry], merged: Mapping[str, Sequence[Entry]]) -> Sequence[Entry]:
    """One timeline of a complaint and those merged into it, by their ids; oldest first."""
    found = [*own]
    for complaint_id, entries in merged.items():
        found += [replace(entry, complaint_id=complaint_id) for entry in entries]
    return sorted(found, key=order)


def first(complaint: Complaint) -> Iterable[Entry]:
    """That a complaint was received, or what is wrong announced, and promised an answer; nothing for one of the oldest, which does not say when."""
    if complaint.received_at is None:
        return
    at, words = complaint.received_at, complaint.text or None
    what = What.RECEIVED if complaint.disruption is None else What.ANNOUNCED
    yield Entry(at=at, what=what, words=words)
    if complaint.promised_by is not None:
        yield Entry(at=at, what=What.PROMISED, round=0, promised_by=complaint.promised_first)


def for_customer(entries: Iterable[Entry]) -> Sequence[Entry]:
    """What its customer is shown of a timeline: no employees, no costs, nothing that concerns the site alone."""
    return [
        Entry(
            at=entry.at,
            what=entry.what,
            employee_id=SOMEBODY if entry.what is What.WITHDRAWN and entry.employee_id else None,
            **{field: getattr(entry, field) for field in FOR_CUSTOMER[entry.what]},
        )
        for entry in entries
        if entry.what in FOR_CUSTOMER
        and entry.occasion is not Occasion.SAFETY
        and (entry.what is not What.FEEDBACK or entry.words or entry.helped is Helped.PARTLY)
    ]


_WORTH = ("item", "amount_minor", "currency")
#: What customers are shown, and which fields of it. Their answer to "did it help?" shows by what it led to, by
#: what they wrote with it, and if it was "partly", which leads to the same as a no.
FOR_CUSTOMER: Mapping[What, Sequence[str]] = {
    What.RECEIVED: ("words",),
    What.ANNOUNCED: ("words",),
    What.PROMISED: ("promised_by",),
    What.CLAIMED: (),
    What.ASKED: ("words",),
    What.ANSWERED: ("words", "promised_by"),
    What.WORDS_ADDED: ("words",),
    What.CONTACT_CHANGED: (),
    What.OFFER_MADE: (),
    What.OFFER_LAPSED: (),
    What.CHECK_GIVEN: _WORTH,
    What.CHECK_SUSPENDED: (),
    What.CHECK_RESUMED: (),
    What.CHECK_REDEEMED: ("amount_minor", "currency"),
    What.REDEMPTION_UNDONE: ("amount_minor", "currency"),
    What.CHECK_VOIDED: (),
    What.CHECK_EXPIRED: (),
    What.FIX_DONE: ("fix",),
    What.RESOLVED: ("words", "outcome"),
    What.LETTER_SENT: ("occasion",),
    What.TOLD_IN_PERSON: ("occasion",),
    What.FEEDBACK: ("words", "helped"),
    What.CONFIRMED: (),
    What.REOPENED: ("promised_by",),
    What.PROMISE_BROKEN: ("promised_by",),
    What.WITHDRAWN: (),
    What.NOT_A_COMPLAINT: (),
    What.REFERRED: ("body",),
    What.CLOSED: (),
    What.MERGED: (),
    What.SPLIT: (),
}


def _kept(rows: Mapping[type[Fact], Row], name: str) -> Iterable[tuple[type[Fact], Sequence[Fold]]]:
    """A fold per type of fact, into the timeline of what the field `name` names."""
    for fact, row in rows.items():
        # A check that is given to delight is about no complaint.
        about = "for_complaint" if fact is CheckIssued else name
        evolve = forgotten if fact is ComplaintForgotten else partial(added, row)
        yield fact, (Fold(Timeline, partial(_id_of, about, row.at), evolve),)


def _id_of(name: str, at: str, fact: Fact) -> str | None:
    """The id of what a fact is about; None if the fact does not say when it happened, or names nothing."""
    about = getattr(fact, name)
    return None if getattr(fact, at) is None or about is None else str(about)


SLICE = Slice(dict((*_kept(OF_COMPLAINT, "complaint_id"), *_kept(OF_CHECK, "check_id"))))
