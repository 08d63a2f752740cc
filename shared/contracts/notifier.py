"""Facts owned by the notifier: what customers were told and what they answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from shared.contracts.compensation import Account, Safety
from shared.contracts.complaints import Language
from shared.contracts.event import Id
from shared.contracts.reasons import Reason
from shared.kernel import Fact


class Occasion(StrEnum):
    """Why a message is sent; one message per complaint, check or offer, and occasion.

    All are for the customer but `safety`, which goes to the role mailboxes of the site.
    """

    ACKNOWLEDGEMENT = "acknowledgement"
    CHECK_GIVEN = "check_given"
    REOPENED = "reopened"
    CHECK_OFFERED = "check_offered"
    SAFETY = "safety"


class Helped(StrEnum):
    """The answer to "did it help?"."""

    YES = "yes"
    NO = "no"


class MessageFact(Fact):
    """Common to all: facts about one message keep their order."""

    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    message_id: Id
    complaint_id: Id

    def key(self) -> str:
        """The complaint: its messages and answers stay in order."""
        return self.complaint_id


class MessageQueued(MessageFact):
    """A message is due; what it says is looked up when it is sent."""

    TYPE: ClassVar[str] = "recovery.message.queued.v1"

    customer_ref: Id
    occasion: Occasion
    language: Language
    site: Id
    about: Id
    #: The role mailbox it goes to, by its id; None for the customer.
    mailbox: Id | None = None
    queued_at: AwareDatetime


class MessageAttempted(MessageFact):
    """Handed to the provider now; without a later fact its fate is unknown."""

    TYPE: ClassVar[str] = "recovery.message.attempted.v1"

    occasion: Occasion
    attempt: Annotated[int, Field(ge=1, le=1000)]
    repeats_unknown: bool
    #: The accounts that its letter counts in, once: today's of its occasion to this address, and
    #: because of this sender.
    counted: Annotated[tuple[Account, ...], Field(max_length=4)] = ()
    attempted_at: AwareDatetime


class MessageDelayed(MessageFact):
    """The provider could not take it; it is tried again at `retry_at`."""

    TYPE: ClassVar[str] = "recovery.message.delayed.v1"

    occasion: Occasion
    attempt: Annotated[int, Field(ge=1, le=1000)]
    reason: Reason
    retry_at: AwareDatetime


class MessageSent(MessageFact):
    """The provider accepted it."""

    TYPE: ClassVar[str] = "recovery.message.sent.v1"

    occasion: Occasion
    attempt: Annotated[int, Field(ge=1, le=1000)]
    sent_at: AwareDatetime


class MessageFailed(MessageFact):
    """It cannot be delivered; terminal, with the reason, never silent."""

    TYPE: ClassVar[str] = "recovery.message.failed.v1"

    occasion: Occasion
    reason: Reason
    failed_at: AwareDatetime


class SafetyRouted(Fact):
    """Which role mailboxes are told that somebody's safety is concerned; once per complaint.

    What becomes of each letter is in the facts of its message. No mailboxes: the policy names none,
    and nobody is told.
    """

    TYPE: ClassVar[str] = "recovery.safety.routed.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: Id
    site: Id
    #: What employees said it is about; empty where the customer's words alone say so.
    kinds: Annotated[tuple[Safety, ...], Field(max_length=16)]
    mailboxes: Annotated[tuple[Id, ...], Field(max_length=16)]
    routed_at: AwareDatetime

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id


class FeedbackReceived(Fact):
    """The customer answered "did it help?"."""

    TYPE: ClassVar[str] = "recovery.feedback.received.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    complaint_id: Id
    check_id: Id
    helped: Helped
    answered_at: AwareDatetime

    def key(self) -> str:
        """The complaint."""
        return self.complaint_id
