"""What a customer may do by their link, and the one-time codes that some of it needs: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from services.complaints.lifecycle.moves import No, hear
from services.complaints.lifecycle.rules import Complaint
from services.complaints.timeline.rules import Timeline, What
from shared.contracts.complaints import (
    Action,
    ConfirmationAsked,
    ConfirmationFailed,
    ConfirmationGiven,
    WordsAdded,
)
from shared.contracts.lifecycle import OPEN, State
from shared.contracts.reasons import Reason
from shared.kernel import Document, Fact, Fold, Slice

#: Short enough to be read from a mail and typed; with as many tries as below, one guess in 200,000 fits.
CODE_DIGITS = 6
TRIES_MAX = 5
#: Long enough for a letter that is sent twice.
VALID_FOR = timedelta(minutes=10)
#: Codes asked for of one complaint, and texts added to it by its link, in a day: more than anybody needs, and
#: a bound on letters, on guesses and on what a stranger with a link can write.
CODES_MAX = 5
WORDS_MAX = 20
DAY = timedelta(days=1)
#: Where a complaint takes more words: somebody still reads it.
TAKES_WORDS = OPEN | {State.RESOLUTION_RECORDED}


class Confirmation(Document):
    """The latest one-time code of a complaint; its time, its tries or its use end it."""

    KIND: ClassVar[str] = "confirmation"

    confirmation_id: str
    action: Action
    code_hash: str
    expires_at: datetime
    failed: int = 0
    given: bool = False
    #: When the latest codes were asked for.
    asked: tuple[datetime, ...] = ()

    def is_open(self, now: datetime) -> bool:
        """Whether the code is taken now."""
        return not self.given and self.failed < TRIES_MAX and now < self.expires_at


class Code(NamedTuple):
    """A one-time code: sealed for its letter, and hashed with its id to be compared."""

    confirmation_id: str
    sealed: str
    hash: str


def add_words(
    complaint: Complaint,
    complaint_id: str,
    timeline: Timeline | None,
    sealed: str,
    now: datetime,
) -> Sequence[Fact] | No:
    """The customer adds words; they answer a question if one was asked. `sealed` is under `field_of` the complaint."""
    if complaint.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if complaint.state not in TAKES_WORDS:
        return No(Reason.WRONG_STATE, {"state": complaint.state})
    if added_since(timeline, now - DAY) >= WORDS_MAX:
        return No(Reason.TOO_MANY_WORDS)
    if complaint.state is State.AWAITING_INFO:
        return hear(complaint, complaint_id, None, sealed, now)
    return (WordsAdded(complaint_id=complaint_id, site=complaint.site, text=sealed, added_at=now),)


def field_of(complaint: Complaint) -> str:
    """The field that a customer's words are sealed for: those of an answer, if they were asked something."""
    return "answer" if complaint.state is State.AWAITING_INFO else "text"


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


def asked(before: Confirmation | None, fact: ConfirmationAsked) -> Confirmation:
    """A new code, and when the latest ones were asked for."""
    earlier = before.asked if before is not None else ()
    return Confirmation(
        confirmation_id=fact.confirmation_id,
        action=fact.action,
        code_hash=fact.code_hash,
        expires_at=fact.expires_at,
        asked=(*earlier, fact.asked_at)[-CODES_MAX:],
    )


def failed(before: Confirmation, _: ConfirmationFailed) -> Confirmation:
    """One try less."""
    return before.model_copy(update={"failed": before.failed + 1})


def given(before: Confirmation, _: ConfirmationGiven) -> Confirmation:
    """The code was used."""
    return before.model_copy(update={"given": True})


def complaint_of(fact: ConfirmationAsked | ConfirmationFailed | ConfirmationGiven) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        ConfirmationAsked: (Fold(Confirmation, complaint_of, asked),),
        ConfirmationFailed: (Fold(Confirmation, complaint_of, failed),),
        ConfirmationGiven: (Fold(Confirmation, complaint_of, given),),
    }
)
