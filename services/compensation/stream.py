"""The Kafka face of compensation: complaints, keys, the roster, the policy."""

from __future__ import annotations

from collections.abc import Sequence

from services.compensation.handlers.incidents import Incidents
from services.compensation.handlers.staff import Staff
from shared.contracts.complaints import ComplaintReopened, ComplaintTriaged
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed
from shared.runtime.inbox import Handler, Inbox
from shared.runtime.keys import VAULT_INBOX
from shared.runtime.policy import policy_key


def inboxes(incidents: Incidents, staff: Staff) -> Sequence[Inbox]:
    """Everything compensation consumes."""
    return (
        Inbox(PolicyPublished.TOPIC, [Handler(PolicyPublished, staff.on_policy)], ahead=True),
        VAULT_INBOX,
        Inbox(
            EmployeeListed.TOPIC,
            [Handler(EmployeeListed, reads=lambda event: (f"employee:{event.data.employee_id}",))],
            ahead=True,
        ),
        Inbox(
            ComplaintTriaged.TOPIC,
            [
                Handler(
                    ComplaintTriaged,
                    incidents.on_triaged,
                    lambda event: (
                        f"case:{event.data.complaint_id}",
                        policy_key(event.data.site),
                        f"open-incidents:{event.data.site}",
                        f"recent:{event.data.site}/{event.data.category}",
                    ),
                ),
                Handler(
                    ComplaintReopened, reads=lambda event: (f"case:{event.data.complaint_id}",)
                ),
            ],
        ),
    )
