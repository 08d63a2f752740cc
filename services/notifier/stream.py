"""The Kafka face of the notifier: which topic goes to which handler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from services.notifier.inbox.handlers import Inboxes
from services.notifier.incidents.handlers import Voice
from services.notifier.messages.handlers import Messages
from services.notifier.safety.handlers import Alarms
from services.notifier.webhooks.handlers import Webhooks
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    IncidentClosed,
    IncidentGiving,
    IncidentJoined,
    IncidentOpened,
    OfferMade,
    RedemptionCaptured,
    RedemptionRolledBack,
    SafetyNoted,
)
from shared.contracts.complaints import (
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintCorrected,
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
    CustomerErased,
    FixAsked,
    FixDone,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    PraiseReceived,
    PromiseWarned,
    ResolutionRecorded,
    SafetyFound,
    TouchpointAsked,
)
from shared.contracts.event import Event
from shared.contracts.policy import PolicyPublished
from shared.kernel import Decision
from shared.runtime.engine.deadletters import DEAD_LETTERS_INBOX
from shared.runtime.engine.view import View
from shared.runtime.kafka.inbox import Handler, Inbox, Prepared, deciding
from shared.runtime.privacy.keys import VAULT_INBOX
from shared.runtime.roster import ROSTER_INBOX

#: Facts that change or end a check, which its page shows, and of which nobody is told.
LIVES = (
    RedemptionCaptured,
    RedemptionRolledBack,
    CheckExpired,
    CheckSuspended,
    CheckResumed,
)


Prepares = Callable[[Event[Any]], Prepared]


def both(first: Prepares, second: Prepares, event: Event[Any]) -> Prepared:
    """Prepares two decisions by one event, of which neither depends on the other, as one."""
    one, other = first(event), second(event)

    async def decide(view: View) -> Decision:
        decided, more = await one.decide(view), await other.decide(view)
        return Decision((*decided.facts, *more.facts), {**decided.ceilings, **more.ceilings})

    return Prepared(decide, [*one.reads, *other.reads])


def telling(webhooks: Webhooks, handlers: Sequence[Handler[Any]]) -> Sequence[Handler[Any]]:
    """The handlers, of which those of facts that a partner wants to hear of also tell it."""
    return [
        Handler(one.fact, partial(both, one.prepare, webhooks.tells))
        if one.fact.TYPE in webhooks.types
        else one
        for one in handlers
    ]


def inboxes(
    messages: Messages, voice: Voice, alarms: Alarms, employees: Inboxes, webhooks: Webhooks
) -> Sequence[Inbox]:
    """Everything the notifier consumes."""
    tells = employees.tells
    return (
        Inbox(
            PolicyPublished.TOPIC,
            [Handler(PolicyPublished, deciding(alarms.on_policy))],
            ahead=True,
        ),
        VAULT_INBOX,
        ROSTER_INBOX,
        DEAD_LETTERS_INBOX,
        Inbox(
            ComplaintTriaged.TOPIC,
            telling(
                webhooks,
                [
                    Handler(ComplaintReceived),
                    Handler(ComplaintTriaged, messages.on_triaged),
                    Handler(ComplaintClaimed),
                    Handler(HandoverOffered, tells),
                    Handler(HandoverAccepted, tells),
                    Handler(HandoverDeclined, tells),
                    Handler(FixAsked, tells),
                    Handler(ComplaintReopened, partial(both, messages.on_reopened, tells)),
                    Handler(ComplaintForgotten),
                    Handler(CustomerErased),
                    Handler(ContactChanged, messages.on_contact_changed),
                    Handler(ConfirmationAsked, messages.on_confirmation_asked),
                    Handler(ComplaintMerged),
                    Handler(ComplaintSplit),
                    Handler(SafetyFound),
                    Handler(ComplaintCorrected),
                    Handler(InfoAsked, messages.on_asked),
                    Handler(InfoReceived),
                    Handler(FixDone, messages.on_fixed),
                    Handler(ResolutionRecorded, messages.on_resolved),
                    Handler(PromiseWarned, partial(both, messages.on_warned, tells)),
                    Handler(ComplaintOverdue, partial(both, messages.on_overdue, tells)),
                    Handler(ComplaintConfirmed, partial(both, messages.on_confirmed, tells)),
                    Handler(ComplaintClosed, messages.on_closed),
                    Handler(ComplaintWithdrawn, messages.on_withdrawn),
                    Handler(ComplaintUnfounded, messages.on_unfounded),
                    Handler(ComplaintReferred, messages.on_referred),
                    Handler(PraiseReceived, deciding(employees.praised)),
                    Handler(TouchpointAsked, messages.on_touchpoint_asked),
                ],
            ),
        ),
        Inbox(
            CheckIssued.TOPIC,
            telling(
                webhooks,
                [
                    Handler(CheckIssued, messages.on_issued),
                    *(Handler(fact) for fact in LIVES),
                    Handler(CheckVoided, messages.on_voided),
                    Handler(SafetyNoted),
                    Handler(OfferMade, messages.on_offered),
                    Handler(IncidentOpened, voice.on_opened),
                    Handler(IncidentJoined, voice.on_joined),
                    Handler(IncidentGiving),
                    Handler(IncidentClosed),
                ],
            ),
        ),
    )
