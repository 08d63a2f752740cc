"""The Kafka face of compensation: complaints, keys, the roster, the policy."""

from __future__ import annotations

from collections.abc import Sequence

from services.compensation.cases.rules import Case
from services.compensation.incidents.handlers import Incidents
from services.compensation.incidents.rules import Recent, recent_id
from services.compensation.usage.handlers import Usage
from shared.contracts.complaints import ComplaintReopened, ComplaintTriaged
from shared.contracts.policy import PolicyPublished
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.policies import PolicyHead
from shared.runtime.privacy.keys import VAULT_INBOX
from shared.runtime.roster import ROSTER_INBOX


def inboxes(incidents: Incidents, usage: Usage) -> Sequence[Inbox]:
    """Everything compensation consumes."""
    return (
        Inbox(PolicyPublished.TOPIC, [Handler(PolicyPublished, usage.on_policy)], ahead=True),
        VAULT_INBOX,
        ROSTER_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(
                    ComplaintTriaged,
                    incidents.on_triaged,
                    lambda event: (
                        Case.key(event.data.complaint_id),
                        PolicyHead.key(event.data.site),
                        Recent.key(recent_id(event.data.site, event.data.category)),
                    ),
                ),
                Handler(
                    ComplaintReopened, reads=lambda event: (Case.key(event.data.complaint_id),)
                ),
            ],
        ),
    )
