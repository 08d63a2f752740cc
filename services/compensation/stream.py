"""The Kafka face of compensation: complaints, keys, the roster, the policy, the language that customers choose."""

from __future__ import annotations

from collections.abc import Sequence

from services.compensation.incidents.handlers import Incidents
from services.compensation.usage.handlers import Usage
from shared.contracts.complaints import (
    ComplaintCorrected,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    CustomerErased,
    MatterChanged,
    SafetyFound,
)
from shared.contracts.notifier import PreferencesChanged
from shared.contracts.policy import PolicyPublished
from shared.runtime.engine.deadletters import DEAD_LETTERS_INBOX
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.runtime.privacy.keys import VAULT_INBOX
from shared.runtime.roster import ROSTER_INBOX


def inboxes(incidents: Incidents, usage: Usage) -> Sequence[Inbox]:
    """Everything compensation consumes."""
    return (
        Inbox(
            PolicyPublished.TOPIC,
            [Handler(PolicyPublished, deciding(usage.on_policy))],
            ahead=True,
        ),
        VAULT_INBOX,
        DEAD_LETTERS_INBOX,
        ROSTER_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(ComplaintTriaged, incidents.on_triaged),
                Handler(ComplaintCorrected),
                Handler(ComplaintReopened),
                Handler(ComplaintForgotten),
                Handler(ComplaintMerged),
                Handler(ComplaintSplit),
                Handler(ComplaintWithdrawn),
                Handler(ComplaintUnfounded),
                Handler(MatterChanged),
                Handler(SafetyFound),
                Handler(CustomerErased),
            ],
        ),
        Inbox(PreferencesChanged.TOPIC, [Handler(PreferencesChanged)]),
    )
