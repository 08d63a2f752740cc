"""One-time codes, which some of what a customer does by their link needs, and what its page says first: pure rules.

It says what the site says of an incident about the same, too: whoever leaves no address reads it nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from services.complaints.lifecycle.rules import Complaint
from services.complaints.timeline.rules import What
from shared.contracts.compensation import IncidentClosed, IncidentOpened
from shared.contracts.complaints import (
    Action,
    Category,
    ConfirmationAsked,
    ConfirmationFailed,
    ConfirmationGiven,
    ContactChanged,
)
from shared.contracts.lifecycle import ASKED, OPEN
from shared.kernel import Document, Fold, Slice

#: Short enough to be read from a mail and typed; with as many tries as below, one guess in 200,000 fits.
CODE_DIGITS = 6
TRIES_MAX = 5
#: Long enough for a letter that is sent twice.
VALID_FOR = timedelta(minutes=10)
#: Codes asked for of one complaint in a day: more than anybody needs, and a bound on letters and on guesses.
CODES_MAX = 5
#: As much of the first words as leaves what follows on the first screen of a phone; the list has them whole.
HEARD_CHARS_MAX = 280
#: What makes a check unusable; a page of its own tells what is left of it otherwise.
UNUSABLE = frozenset({What.CHECK_SUSPENDED, What.CHECK_VOIDED, What.CHECK_EXPIRED})


class StandingIncident(Document):
    """The latest incident about one thing at a site, without anybody whom it affects."""

    KIND: ClassVar[str] = "standing-incident"

    incident_id: str
    opened_at: datetime
    over: bool = False


def incident_at(site: str, reason: Category) -> str:
    """The document of the incident about one thing; there is at most one that is open."""
    return f"{site}/{reason}"


def incident_of(fact: IncidentOpened | IncidentClosed) -> str:
    """The document that a fact changes."""
    return incident_at(fact.site, fact.reason)


def incident_opened(before: StandingIncident | None, fact: IncidentOpened) -> StandingIncident:
    """The incident, unless a later one is known: two incidents come in any order."""
    if before is not None and before.opened_at > fact.opened_at:
        return before
    return StandingIncident(incident_id=fact.incident_id, opened_at=fact.opened_at)


def incident_closed(before: StandingIncident | None, fact: IncidentClosed) -> StandingIncident:
    """The incident is over; a later one stays."""
    if before is not None and before.incident_id != fact.incident_id:
        return before
    opened_at = before.opened_at if before is not None else fact.closed_at
    return StandingIncident(incident_id=fact.incident_id, opened_at=opened_at, over=True)


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


def missed(complaint: Complaint, head: Complaint, now: datetime) -> datetime | None:
    """The time of the last promise that was broken, while the customer waits or is asked whether it helped.

    `head` is the complaint that goes on for this one. Its promise may have been for an earlier time than its customer
    was told: nothing was broken to this one before their own time.
    """
    own_promise = () if head.own_promise is None else (head.own_promise,)
    broken: list[datetime] = [
        promise.by for promise in (*head.promises, *own_promise) if promise.broken
    ]
    if not broken or head.state not in OPEN | ASKED:
        return None
    if complaint.merged_into is None:
        return max(broken)
    own = complaint.promised_by
    return own if own is not None and own <= now else None


def unusable(steps: Iterable[What]) -> What | None:
    """What made a check unusable, of what happened to it in order; None if it can be used."""
    found = None
    for what in steps:
        if what in UNUSABLE:
            found = what
        elif what is What.CHECK_RESUMED:
            found = None
    return found


def partly(email: str) -> str:
    """An address by which its owner knows it and nobody else learns it: k…@example.org."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}…{at}{domain}" if at else ""


def shortened(words: str) -> str:
    """The words, or their beginning up to the end of a word."""
    if len(words) <= HEARD_CHARS_MAX:
        return words
    beginning, blank, _ = words[:HEARD_CHARS_MAX].rpartition(" ")
    return (beginning if blank else words[:HEARD_CHARS_MAX]) + " …"


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
        IncidentOpened: (Fold(StandingIncident, incident_of, incident_opened),),
        IncidentClosed: (Fold(StandingIncident, incident_of, incident_closed),),
    }
)
