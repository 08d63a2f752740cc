"""The Kafka face of complaints: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Sequence

from services.complaints.handlers import Handlers
from services.complaints.rules import Complaint, Heard
from shared.contracts.compensation import CheckIssued, ComplaintLogged, OfferMade
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import FeedbackReceived
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.policies import POLICY_INBOX, PolicyHead
from shared.runtime.privacy.keys import VAULT_INBOX
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
                        Complaint.key(event.data.complaint_id),
                        Heard.key(event.data.complaint_id),
                    ),
                ),
                Handler(OfferMade, reads=lambda event: (Heard.key(event.data.complaint_id),)),
                Handler(
                    ComplaintLogged,
                    handlers.on_logged,
                    lambda event: (
                        Complaint.key(event.data.complaint_id),
                        PolicyHead.key(event.data.site),
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
                        Complaint.key(event.data.complaint_id),
                        Heard.key(event.data.complaint_id),
                    ),
                )
            ],
        ),
    )
