"""The Kafka face of the notifier: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Sequence

from services.notifier.messages.handlers import Messages
from services.notifier.safety.handlers import Alarms
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    OfferMade,
    RedemptionCaptured,
    RedemptionRolledBack,
    SafetyNoted,
)
from shared.contracts.complaints import (
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintOverdue,
    ComplaintReceived,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    ConfirmationAsked,
    ContactChanged,
    FixDone,
    InfoAsked,
    InfoReceived,
    PromiseWarned,
    ResolutionRecorded,
    SafetyFound,
)
from shared.contracts.policy import PolicyPublished
from shared.runtime.engine.deadletters import DEAD_LETTERS_INBOX
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.runtime.privacy.keys import VAULT_INBOX

#: Facts that change or end a check, which its page shows.
LIVES = (
    RedemptionCaptured,
    RedemptionRolledBack,
    CheckVoided,
    CheckExpired,
    CheckSuspended,
    CheckResumed,
)


def inboxes(messages: Messages, alarms: Alarms) -> Sequence[Inbox]:
    """Everything the notifier consumes."""
    return (
        Inbox(
            PolicyPublished.TOPIC,
            [Handler(PolicyPublished, deciding(alarms.on_policy))],
            ahead=True,
        ),
        VAULT_INBOX,
        DEAD_LETTERS_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(ComplaintReceived),
                Handler(ComplaintTriaged, messages.on_triaged),
                Handler(ComplaintReopened, messages.on_reopened),
                Handler(ComplaintForgotten),
                Handler(ContactChanged),
                Handler(ConfirmationAsked, messages.on_confirmation_asked),
                Handler(ComplaintMerged),
                Handler(ComplaintSplit),
                Handler(SafetyFound),
                Handler(InfoAsked, messages.on_asked),
                Handler(InfoReceived),
                Handler(FixDone, messages.on_fixed),
                Handler(ResolutionRecorded, messages.on_resolved),
                Handler(PromiseWarned, messages.on_warned),
                Handler(ComplaintOverdue, messages.on_overdue),
                Handler(ComplaintConfirmed, messages.on_confirmed),
                Handler(ComplaintClosed, messages.on_closed),
                Handler(ComplaintWithdrawn, messages.on_withdrawn),
                Handler(ComplaintUnfounded, messages.on_unfounded),
                Handler(ComplaintReferred, messages.on_referred),
            ],
        ),
        Inbox(
            CheckIssued.TOPIC,
            [
                Handler(CheckIssued, messages.on_issued),
                *(Handler(fact) for fact in LIVES),
                Handler(SafetyNoted),
                Handler(OfferMade, messages.on_offered),
            ],
        ),
    )
