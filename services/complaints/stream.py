"""The Kafka face of complaints: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Sequence

from services.complaints.handlers import Handlers, complaint_key, heard_key
from shared.contracts.compensation import CheckIssued, ComplaintLogged, OfferMade
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import FeedbackReceived
from shared.runtime.inbox import Handler, Inbox
from shared.runtime.keys import VAULT_INBOX
from shared.runtime.policy import POLICY_INBOX, policy_key
from shared.runtime.roster import ROSTER_INBOX


def inboxes(handlers: Handlers) -> Sequence[Inbox]:
    """Everything complaints consumes."""
    return (
        POLICY_INBOX,
        ROSTER_INBOX,
        VAULT_INBOX,
        Inbox(
            ComplaintRaised.TOPIC,
            [Handler(ComplaintRaised, handlers.on_raised, handlers.reads_of_raised)],
            strict=True,
        ),
        Inbox(
            CheckIssued.TOPIC,
            [
                Handler(
                    CheckIssued,
                    handlers.on_issued,
                    lambda event: (
                        complaint_key(event.data.complaint_id),
                        heard_key(event.data.complaint_id),
                    ),
                ),
                Handler(OfferMade, reads=lambda event: (heard_key(event.data.complaint_id),)),
                Handler(
                    ComplaintLogged,
                    handlers.on_logged,
                    lambda event: (
                        complaint_key(event.data.complaint_id),
                        policy_key(event.data.site),
                    ),
                ),
            ],
        ),
        Inbox(
            FeedbackReceived.TOPIC,
            [
                Handler(
                    FeedbackReceived,
                    handlers.on_feedback,
                    lambda event: (
                        complaint_key(event.data.complaint_id),
                        heard_key(event.data.complaint_id),
                    ),
                )
            ],
        ),
    )
