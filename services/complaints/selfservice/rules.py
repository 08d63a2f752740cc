"""One-time codes, which some of what a customer does by their link needs: pure rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import (
    Action,
    ConfirmationAsked,
    ConfirmationFailed,
    ConfirmationGiven,
    ContactChanged,
)
from shared.kernel import Document, Fold, Slice

#: Short enough to be read from a mail and typed; with as many tries as below, one guess in 200,000 fits.
CODE_DIGITS = 6
TRIES_MAX = 5
#: Long enough for a letter that is sent twice.
VALID_FOR = timedelta(minutes=10)
#: Codes asked for of one complaint in a day: more than anybody needs, and a bound on letters and on guesses.
CODES_MAX = 5


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


def reached(complaint: Complaint, fact: ContactChanged) -> Complaint:
    """The complaint with another contact."""
    return complaint.model_copy(
        update={
            "contact": fact.contact,
            "contact_refs": fact.contact_refs,
            "reachable": True,
        }
    )


def complaint_of(
    fact: ConfirmationAsked | ConfirmationFailed | ConfirmationGiven | ContactChanged,
) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        ConfirmationAsked: (Fold(Confirmation, complaint_of, asked),),
        ConfirmationFailed: (Fold(Confirmation, complaint_of, failed),),
        ConfirmationGiven: (Fold(Confirmation, complaint_of, given),),
        ContactChanged: (Fold(Complaint, complaint_of, reached),),
    }
)
