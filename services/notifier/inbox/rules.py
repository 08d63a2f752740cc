"""What employees are told of their own cases, and how much of it they read: pure rules.

Each employee has one inbox with the newest entries, numbered from 1. The words of customers are not in it: an entry
names the check or the praise that they spoke of, and the words stay sealed where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from services.notifier.subjects.rules import moment_of
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import (
    ComplaintClaimed,
    ComplaintConfirmed,
    ComplaintFact,
    ComplaintOverdue,
    ComplaintReopened,
    FixAsked,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    PraiseReceived,
    PromiseWarned,
    ResolutionRecorded,
)
from shared.contracts.notifier import (
    EmployeeNotified,
    EmployeePraised,
    EmployeeThanked,
    FeedbackReceived,
    Helped,
    InboxRead,
    Notice,
)
from shared.contracts.roster import employee_name
from shared.kernel import Document, Fold, Schema, Slice

#: Entries kept of each employee: those of some weeks. All are in one document, which stays below 40 KB.
KEPT_MAX = 200

#: What puts an entry into an inbox.
Told = EmployeeThanked | EmployeeNotified | EmployeePraised


class Entry(NamedTuple):
    """One entry of an inbox; `notice` is None for thanks, and `complaint_id` for praise."""

    number: int
    complaint_id: str | None
    at: datetime
    notice: Notice | None = None
    check_id: str | None = None
    fix: str | None = None
    praise_id: str | None = None


class EmployeeInbox(Document):
    """The newest entries of one employee, the oldest first, and the number of the last one that they read."""

    KIND: ClassVar[str] = "employee-inbox"
    #: A build of before reads no entry without a complaint.
    SCHEMA: ClassVar[Schema] = Schema(2, read_by=2)

    entries: tuple[Entry, ...] = ()
    #: How many entries there ever were.
    count: int = 0
    read_up_to: int = 0

    @property
    def unread(self) -> Sequence[Entry]:
        """The entries that are kept and were not read."""
        return [entry for entry in self.entries if entry.number > self.read_up_to]


class Holder(Document):
    """Who has a complaint, and who recorded last what was done about it."""

    KIND: ClassVar[str] = "holder"

    employee_id: str | None = None
    resolved_by: str | None = None

    @property
    def helper(self) -> str | None:
        """Who is thanked if the complaint's customer says that it helped."""
        return self.resolved_by or self.employee_id


class Giver(Document):
    """Who gave a check."""

    KIND: ClassVar[str] = "giver"

    employee_id: str
    site: str


#: Answers after which a complaint is opened again.
NOT_ENOUGH = frozenset({Notice.HELPED_PARTLY, Notice.HELPED_NOT})


class Line(Document):
    """What a customer wrote with their answer, sealed; its id is that of `line_of` its entry."""

    KIND: ClassVar[str] = "answer-line"

    line: str
    answered_at: datetime


class Praise(Document):
    """What a customer praised, sealed."""

    KIND: ClassVar[str] = "praise"

    customer_ref: str
    text: str
    received_at: datetime


def praised(_: Praise | None, fact: PraiseReceived) -> Praise:
    """The words of a praise."""
    return Praise(customer_ref=fact.customer_ref, text=fact.text, received_at=fact.received_at)


def told_by_praise(fact: PraiseReceived) -> Sequence[EmployeePraised]:
    """The entries that a praise makes: one for each employee who reads it."""
    return [
        EmployeePraised(
            employee_id=one,
            site=fact.site,
            praise_id=fact.praise_id,
            noted_at=fact.received_at,
        )
        for one in fact.praised
    ]


def inbox_of(fact: Told | InboxRead) -> str:
    """Returns the id of the inbox that a fact changes."""
    return employee_name(fact.site, fact.employee_id)


def told_by(fact: ComplaintFact, holder: Holder) -> Told | None:
    """The entry that a fact of a complaint makes, of which `holder` is as it was before; None if it makes none.

    Nobody is told of what they did themselves. What a department is asked is in its lists, and in nobody's inbox.
    """
    had = holder.employee_id
    match fact:
        case HandoverOffered(colleague_id=str(who)):
            return _notified(fact, fact.site, who, Notice.HANDOVER_OFFERED, fact.offered_at)
        case HandoverAccepted(accepted_at=at) if had is not None and had != fact.employee_id:
            return _notified(fact, fact.site, had, Notice.HANDOVER_ACCEPTED, at)
        case HandoverDeclined(declined_at=at) if had is not None and had != fact.employee_id:
            return _notified(fact, fact.site, had, Notice.HANDOVER_DECLINED, at)
        case FixAsked(colleague_id=str(who)) if who != fact.employee_id:
            return _notified(fact, fact.site, who, Notice.FIX_ASKED, fact.asked_at, fix=fact.fix)
        case PromiseWarned(employee_id=str(who)):
            return _notified(fact, fact.site, who, Notice.PROMISE_NEAR, fact.warned_at)
        case ComplaintOverdue(employee_id=str(who)):
            return _notified(fact, fact.site, who, Notice.PROMISE_BROKEN, fact.overdue_at)
        case ComplaintReopened(employee_id=str(who), reopened_at=datetime() as at):
            return _notified(fact, fact.site, who, Notice.CAME_BACK, at)
        case ComplaintConfirmed(by_link=True, site=str(site)) if helper := holder.helper:
            return EmployeeThanked(
                employee_id=helper,
                site=site,
                complaint_id=fact.complaint_id,
                noted_at=fact.confirmed_at,
            )
        case _:
            return None


def _notified(
    fact: ComplaintFact, site: str, who: str, notice: Notice, at: datetime, fix: str | None = None
) -> EmployeeNotified:
    return EmployeeNotified(
        employee_id=who,
        site=site,
        complaint_id=fact.complaint_id,
        notice=notice,
        fix=fix,
        noted_at=at,
    )


def told_by_answer(fact: FeedbackReceived, giver: Giver) -> Told:
    """The entry that a customer's answer about a check makes for who gave it: thanks, or what else they said."""
    if fact.helped is Helped.YES and not fact.added_line:
        return EmployeeThanked(
            employee_id=giver.employee_id,
            site=giver.site,
            complaint_id=fact.complaint_id,
            check_id=fact.check_id,
            noted_at=fact.answered_at,
        )
    notice = Notice.HELPED_PARTLY if fact.helped is Helped.PARTLY else Notice.HELPED_NOT
    return EmployeeNotified(
        employee_id=giver.employee_id,
        site=giver.site,
        complaint_id=fact.complaint_id,
        notice=Notice.WROTE_MORE if fact.added_line else notice,
        check_id=fact.check_id,
        noted_at=fact.answered_at,
    )


def is_new(inbox: EmployeeInbox | None, fact: Told) -> bool:
    """Whether the inbox does not have this entry yet: a cause may come twice, and a no is told before what comes of it."""
    entry = _entry(0, fact)
    if inbox is None:
        return True
    return not any(known[1:] == entry[1:] or _says(known, entry) for known in inbox.entries)


def _says(known: Entry, entry: Entry) -> bool:
    """Whether an answer that the employee was told of says already that the complaint came back."""
    if entry.notice is not Notice.CAME_BACK or known.notice not in NOT_ENOUGH:
        return False
    return (known.complaint_id, known.at) == (entry.complaint_id, entry.at)


def read_up_to(
    inbox: EmployeeInbox | None, employee_id: str, site: str, up_to: int, now: datetime
) -> InboxRead:
    """The employee read up to an entry: never less than they read before, and no more than there is."""
    inbox = inbox or EmployeeInbox()
    up_to = max(inbox.read_up_to, min(up_to, inbox.count))
    return InboxRead(employee_id=employee_id, site=site, up_to=up_to, read_at=now)


def _entry(number: int, fact: Told) -> Entry:
    if isinstance(fact, EmployeePraised):
        return Entry(number, None, fact.noted_at, praise_id=fact.praise_id)
    if isinstance(fact, EmployeeThanked):
        return Entry(number, fact.complaint_id, fact.noted_at, None, fact.check_id)
    return Entry(number, fact.complaint_id, fact.noted_at, fact.notice, fact.check_id, fact.fix)


def filled(inbox: EmployeeInbox | None, fact: Told) -> EmployeeInbox:
    """The inbox with one more entry, and without its oldest if there are too many."""
    inbox = inbox or EmployeeInbox()
    number = inbox.count + 1
    entries = (*inbox.entries, _entry(number, fact))[-KEPT_MAX:]
    return inbox.model_copy(update={"entries": entries, "count": number})


def read(inbox: EmployeeInbox | None, fact: InboxRead) -> EmployeeInbox:
    """The inbox, read up to an entry."""
    return (inbox or EmployeeInbox()).model_copy(update={"read_up_to": fact.up_to})


def held(
    holder: Holder | None, fact: ComplaintClaimed | HandoverAccepted | ComplaintReopened
) -> Holder:
    """The complaint with who has it now."""
    return (holder or Holder()).model_copy(update={"employee_id": fact.employee_id})


def resolved(holder: Holder | None, fact: ResolutionRecorded) -> Holder:
    """The complaint with who recorded what was done."""
    return (holder or Holder()).model_copy(update={"resolved_by": fact.employee_id})


def gave(_: Giver | None, fact: CheckIssued) -> Giver:
    """Who gave the check."""
    return Giver(employee_id=fact.employee_id, site=fact.site)


def wrote(_: Line | None, fact: FeedbackReceived) -> Line:
    """The line that came with an answer."""
    return Line(line=fact.line or "", answered_at=fact.answered_at)


def written_with(fact: FeedbackReceived) -> str | None:
    """The id of the line that came with an answer, or was added to it; None if none did."""
    if fact.line is None:
        return None
    return moment_of(fact.check_id, fact.answered_at) if fact.added_line else fact.check_id


def wrote_on_page(_: Line | None, fact: ComplaintConfirmed) -> Line:
    """The line that came with a yes on the page of the complaint."""
    return Line(line=fact.line or "", answered_at=fact.confirmed_at)


def line_of(entry: Entry) -> str | None:
    """The id of what the customer may have written with an answer; None of what is no answer of theirs."""
    if entry.check_id is not None:
        more = entry.notice is Notice.WROTE_MORE
        return moment_of(entry.check_id, entry.at) if more else entry.check_id
    if entry.complaint_id is None or entry.notice is not None:
        return None
    return moment_of(entry.complaint_id, entry.at)


def complaint_of(fact: ComplaintFact) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        ComplaintClaimed: (Fold(Holder, complaint_of, held),),
        HandoverOffered: (),
        HandoverAccepted: (Fold(Holder, complaint_of, held),),
        HandoverDeclined: (),
        ComplaintReopened: (Fold(Holder, complaint_of, held),),
        ResolutionRecorded: (Fold(Holder, complaint_of, resolved),),
        FixAsked: (),
        PromiseWarned: (),
        ComplaintOverdue: (),
        ComplaintConfirmed: (
            Fold(
                Line,
                lambda fact: moment_of(fact.complaint_id, fact.confirmed_at) if fact.line else None,
                wrote_on_page,
            ),
        ),
        CheckIssued: (Fold(Giver, lambda fact: fact.check_id, gave),),
        FeedbackReceived: (Fold(Line, written_with, wrote),),
        PraiseReceived: (Fold(Praise, lambda fact: fact.praise_id, praised),),
        EmployeePraised: (Fold(EmployeeInbox, inbox_of, filled),),
        EmployeeThanked: (Fold(EmployeeInbox, inbox_of, filled),),
        EmployeeNotified: (Fold(EmployeeInbox, inbox_of, filled),),
        InboxRead: (Fold(EmployeeInbox, inbox_of, read),),
    }
)
