"""The Kafka face of compensation: facts it only folds into what it knows."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.complaints import ComplaintReopened, ComplaintTriaged
from shared.runtime.inbox import Handler, Inbox
from shared.runtime.keys import VAULT_INBOX
from shared.runtime.policy import POLICY_INBOX


def inboxes() -> Sequence[Inbox]:
    """Everything compensation consumes."""
    return (
        POLICY_INBOX,
        VAULT_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(ComplaintTriaged, reads=lambda event: (f"case:{event.data.complaint_id}",)),
                Handler(
                    ComplaintReopened, reads=lambda event: (f"case:{event.data.complaint_id}",)
                ),
            ],
        ),
    )
