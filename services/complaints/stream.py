"""The Kafka face of complaints: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Sequence

from services.complaints.asking.handlers import Touchpoints
from services.complaints.customer.handlers import Customers
from services.complaints.customer.profiles import Profiles
from services.complaints.customer.rules import KeptProfile
from services.complaints.intake.handlers import Intake
from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    ComplaintLogged,
    IncidentClosed,
    IncidentOpened,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    RedemptionCaptured,
    RedemptionRolledBack,
    ShiftEnded,
    ShiftStarted,
)
from shared.contracts.event import Event
from shared.contracts.intake import (
    ComplaintRaised,
    CustomerDescribed,
    CustomerPurchased,
    DisruptionAnnounced,
    TouchpointPassed,
)
from shared.contracts.notifier import (
    FeedbackReceived,
    MessageFailed,
    MessageSaid,
    MessageSent,
    PreferencesChanged,
)
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed
from shared.runtime.engine.deadletters import DEAD_LETTERS_INBOX
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.runtime.policies import POLICY_INBOX, PolicyHead
from shared.runtime.privacy.keys import CustomerKey
from shared.runtime.roster import ROSTER_INBOX

#: What becomes of checks and offers: the timeline tells it, and nothing is decided by it here.
TOLD = (
    CheckVoided,
    CheckExpired,
    CheckSuspended,
    CheckResumed,
    RedemptionCaptured,
    RedemptionRolledBack,
    OfferMade,
    OfferChosen,
    OfferLapsed,
)


def inboxes(
    intake: Intake,
    lifecycle: Lifecycle,
    customers: Customers,
    profiles: Profiles,
    touchpoints: Touchpoints,
) -> Sequence[Inbox]:
    """Everything complaints consumes."""
    return (
        POLICY_INBOX,
        ROSTER_INBOX,
        DEAD_LETTERS_INBOX,
        Inbox(
            CustomerKeyCreated.TOPIC,
            [
                Handler(CustomerKeyCreated, deciding(customers.on_key)),
                Handler(CustomerKeyDestroyed),
            ],
        ),
        Inbox(
            ComplaintRaised.TOPIC,
            [
                Handler(ComplaintRaised, intake.on_raised),
                Handler(CustomerDescribed, profiles.on_described),
                Handler(CustomerPurchased, profiles.on_purchased),
                Handler(DisruptionAnnounced, intake.on_announced),
                Handler(TouchpointPassed, touchpoints.on_passed),
            ],
            strict=True,
        ),
        Inbox(
            CheckIssued.TOPIC,
            [
                Handler(CheckIssued, deciding(lifecycle.on_issued, complaint_key)),
                *(Handler(fact) for fact in TOLD),
                Handler(ShiftStarted),
                Handler(ShiftEnded),
                Handler(IncidentOpened),
                Handler(IncidentClosed),
                Handler(
                    ComplaintLogged,
                    deciding(
                        intake.on_logged,
                        complaint_key,
                        lambda event: PolicyHead.key(event.data.site),
                        lambda event: CustomerKey.key(event.data.customer_ref),
                        lambda event: KeptProfile.key(event.data.customer_ref),
                    ),
                ),
            ],
        ),
        Inbox(
            FeedbackReceived.TOPIC,
            [
                Handler(FeedbackReceived, deciding(lifecycle.on_feedback, complaint_key)),
                Handler(MessageSent),
                Handler(MessageFailed),
                Handler(MessageSaid),
                Handler(PreferencesChanged),
            ],
        ),
    )


def complaint_key(
    event: Event[CheckIssued] | Event[ComplaintLogged] | Event[FeedbackReceived],
) -> str:
    """Where the complaint is stored that a fact is about."""
    return Complaint.key(event.data.complaint_id)
