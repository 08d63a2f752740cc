"""The Kafka face of the notifier: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Sequence

from services.notifier.alarms import Alarms
from services.notifier.handlers import Handlers
from services.notifier.rules import (
    Alarm,
    CheckLife,
    ComplaintView,
    Given,
    Message,
    Offered,
    message_id_of,
)
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
from shared.contracts.complaints import ComplaintReceived, ComplaintReopened, ComplaintTriaged
from shared.contracts.notifier import Occasion
from shared.contracts.policy import PolicyPublished
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.privacy.keys import VAULT_INBOX

#: What changes or ends a check: its page says so.
LIVES = (
    RedemptionCaptured,
    RedemptionRolledBack,
    CheckVoided,
    CheckExpired,
    CheckSuspended,
    CheckResumed,
)


def inboxes(handlers: Handlers, alarms: Alarms) -> Sequence[Inbox]:
    """Everything the notifier consumes."""
    return (
        Inbox(PolicyPublished.TOPIC, [Handler(PolicyPublished, alarms.on_policy)], ahead=True),
        VAULT_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(
                    ComplaintReceived,
                    reads=lambda event: (ComplaintView.key(event.data.complaint_id),),
                ),
                Handler(
                    ComplaintTriaged,
                    handlers.on_triaged,
                    lambda event: (
                        ComplaintView.key(event.data.complaint_id),
                        message_key(Occasion.ACKNOWLEDGEMENT, event.data.complaint_id),
                    ),
                ),
                Handler(ComplaintReopened, handlers.on_reopened),
            ],
        ),
        Inbox(
            CheckIssued.TOPIC,
            [
                Handler(
                    CheckIssued,
                    handlers.on_issued,
                    lambda event: (
                        Given.key(event.data.check_id),
                        message_key(Occasion.CHECK_GIVEN, event.data.check_id),
                    ),
                ),
                *(
                    Handler(fact, reads=lambda event: (CheckLife.key(event.data.check_id),))
                    for fact in LIVES
                ),
                Handler(SafetyNoted, reads=lambda event: (Alarm.key(event.data.complaint_id),)),
                Handler(
                    OfferMade,
                    handlers.on_offered,
                    lambda event: (
                        Offered.key(event.data.offer_id),
                        message_key(Occasion.CHECK_OFFERED, event.data.offer_id),
                    ),
                ),
            ],
        ),
    )


def message_key(occasion: Occasion, about: str) -> str:
    """The document of a message."""
    return Message.key(message_id_of(occasion, about))
