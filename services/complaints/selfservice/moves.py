"""What a customer does by their link, each decided by where their complaint stands: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.complaints.lifecycle.moves import No, hear, take_feedback
from services.complaints.lifecycle.rules import Complaint
from services.complaints.matters.moves import Answered
from services.complaints.promises.rules import resolved
from services.complaints.selfservice.rules import CODES_MAX, VALID_FOR, Confirmation
from services.complaints.timeline.rules import Timeline, What
from shared.contracts.complaints import (
    Action,
    ConfirmationAsked,
    ConfirmationFailed,
    ConfirmationGiven,
    WordsAdded,
)
from shared.contracts.lifecycle import AGAIN, ASKED, OPEN, State
from shared.contracts.notifier import Helped
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Fact

#: Texts added to a complaint by its link in a day: a bound on what a stranger with the link can write.
WORDS_MAX = 20
DAY = timedelta(days=1)


class Code(NamedTuple):
    """A one-time code: sealed for its letter, and hashed with its id to be compared."""

    confirmation_id: str
    sealed: str
    hash: str


def add_words(
    complaint: Complaint,
    complaint_id: str,
    head: Complaint,
    about: Answered,
    timeline: Timeline | None,
    sealed: str,
    policy: Policy,
    now: datetime,
    *,
    keeper: str | None = None,
) -> Sequence[Fact] | No:
    """The customer adds words; they answer a question if one was asked. `sealed` is under `field_of` the complaint.

    `head` is the complaint that goes on for it, or itself. If that is over, what is opened again is `about`, which
    `keeper` has then. Where the customer is asked whether it helped, or an outside body looks at it, words alone are
    not taken.
    """
    if complaint.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if head.forgotten or head.state not in OPEN | AGAIN:
        return No(Reason.WRONG_STATE, {"state": head.state})
    added = _words(complaint, complaint_id, timeline, sealed, now)
    if head.state in AGAIN and not isinstance(added, No):
        # The customer says nothing of whether it helped, so that this counts as no answer.
        again = take_feedback(
            about.complaint,
            about.complaint_id,
            Helped.NO,
            policy,
            now,
            answered_at=now,
            keeper=keeper,
            by_words=True,
        )
        return (*added, *about.before, *again.facts)
    if isinstance(added, No) or complaint.state is not State.AWAITING_INFO:
        return added
    return hear(complaint, complaint_id, None, sealed, policy, now)


def tell_helped(
    complaint: Complaint,
    complaint_id: str,
    head: Complaint,
    about: Answered,
    helped: Helped,
    line: str | None,
    timeline: Timeline | None,
    policy: Policy,
    now: datetime,
    *,
    keeper: str | None,
    thanks: str | None = None,
) -> Sequence[Fact] | No:
    """The customer says whether what was done helped, with a line of theirs if they like.

    `line` is sealed as words of the complaint, and `thanks` is the same, sealed for who is thanked.
    `head` is the complaint that goes on for it, or itself, and `about` the one that is answered for. `keeper` is who
    has that one after a no.
    """
    if complaint.forgotten or head.forgotten or head.state not in ASKED:
        return No(Reason.WRONG_STATE, {"state": head.state})
    added = () if line is None else _words(complaint, complaint_id, timeline, line, now)
    if isinstance(added, No):
        return added
    answer = take_feedback(
        about.complaint,
        about.complaint_id,
        helped,
        policy,
        now,
        answered_at=now,
        keeper=keeper,
        by_link=True,
        line=thanks,
        done=resolved(head),
    )
    return (*added, *about.before, *answer.facts)


def field_of(complaint: Complaint) -> str:
    """The field that a customer's words are sealed for: those of an answer, if they were asked something."""
    return "answer" if complaint.state is State.AWAITING_INFO else "text"


def _words(
    complaint: Complaint, complaint_id: str, timeline: Timeline | None, sealed: str, now: datetime
) -> Sequence[Fact] | No:
    if added_since(timeline, now - DAY) >= WORDS_MAX:
        return No(Reason.TOO_MANY_WORDS)
    return (WordsAdded(complaint_id=complaint_id, site=complaint.site, text=sealed, added_at=now),)


def added_since(timeline: Timeline | None, moment: datetime) -> int:
    """How many texts were added by the link since then."""
    entries = timeline.entries if timeline is not None else ()
    return sum(entry.what is What.WORDS_ADDED and entry.at > moment for entry in entries)


def ask_code(
    complaint: Complaint,
    complaint_id: str,
    known: Confirmation | None,
    action: Action,
    code: Code,
    now: datetime,
) -> Sequence[Fact] | No:
    """A code is sent to the customer's contact; it takes the place of an earlier one."""
    if complaint.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if not complaint.reachable:
        return No(Reason.NO_CONTACT)
    if known is not None and sum(at > now - DAY for at in known.asked) >= CODES_MAX:
        return No(Reason.TOO_MANY_CODES)
    return (
        ConfirmationAsked(
            complaint_id=complaint_id,
            confirmation_id=code.confirmation_id,
            customer_ref=complaint.customer_ref,
            site=complaint.site,
            language=complaint.language,
            action=action,
            code=code.sealed,
            code_hash=code.hash,
            expires_at=now + VALID_FOR,
            asked_at=now,
        ),
    )


def enter_code(
    complaint: Complaint,
    complaint_id: str,
    known: Confirmation | None,
    code_hash: str,
    now: datetime,
) -> ConfirmationGiven | ConfirmationFailed | No:
    """Whether the code that was entered is the one that was sent; a wrong one counts as a try."""
    if known is None or not known.is_open(now):
        return No(Reason.CODE_WRONG)
    if code_hash != known.code_hash:
        return ConfirmationFailed(
            complaint_id=complaint_id,
            confirmation_id=known.confirmation_id,
            site=complaint.site,
            failed_at=now,
        )
    return ConfirmationGiven(
        complaint_id=complaint_id,
        confirmation_id=known.confirmation_id,
        site=complaint.site,
        action=known.action,
        given_at=now,
    )
