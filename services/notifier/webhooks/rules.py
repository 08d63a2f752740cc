"""The life of a webhook: pure rules.

A webhook is queued, sent by one process at a time, and ends delivered or dropped. What may have arrived is sent
again, with the same id: each fact is told at least once, in no promised order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from services.notifier.messages.rules import share_of
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckVoided,
    RedemptionCaptured,
)
from shared.contracts.complaints import (
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintOverdue,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintTriaged,
    ComplaintWithdrawn,
    ResolutionRecorded,
)
from shared.contracts.event import fingerprint, format_time
from shared.contracts.reasons import Reason
from shared.contracts.webhooks import (
    WebhookAttempted,
    WebhookDelayed,
    WebhookDelivered,
    WebhookDisabled,
    WebhookDropped,
    WebhookFact,
    WebhookQueued,
)
from shared.kernel import Decision, Document, Fact, Fold, Slice, Timer

WEBHOOK = "webhook"
#: An attempt without an answer for this long has an unknown fate, and is made again.
ATTEMPT_LASTS = timedelta(seconds=60)
#: The delays between attempts double from the first to the longest, until a day is over: some twenty attempts.
RETRY_FIRST = timedelta(seconds=5)
RETRY_LONGEST = timedelta(hours=2)
#: A partner that is away for longer reads our API, or does without.
KEPT_FOR = timedelta(days=1)
#: The part of a delay that differs from webhook to webhook, so that those of an outage do not come back together.
JITTER = 0.25
#: What partners may see of each fact: fields that are public or internal, and no ids of customers, complaints, checks
#: or employees. What we count for ourselves, such as costs, is left out too.
SHOWN: Mapping[type[Fact], frozenset[str]] = {
    ComplaintReceived: frozenset({"site", "channel", "received_at"}),
    ComplaintTriaged: frozenset({"site", "category", "severity", "service", "promised_by"}),
    ComplaintReopened: frozenset({"site", "round", "promised_by", "reopened_at"}),
    ComplaintOverdue: frozenset({"site", "category", "severity", "promised_by", "overdue_at"}),
    ResolutionRecorded: frozenset({"site", "outcome", "recorded_at"}),
    ComplaintConfirmed: frozenset({"site", "confirmed_at"}),
    ComplaintClosed: frozenset({"site", "closed_at"}),
    ComplaintWithdrawn: frozenset({"site", "withdrawn_at"}),
    CheckIssued: frozenset(
        {
            "site",
            "kind",
            "item",
            "reason",
            "value_minor",
            "percent",
            "currency",
            "issued_at",
            "valid_until",
        }
    ),
    RedemptionCaptured: frozenset(
        {"site", "kind", "item", "amount_minor", "left_minor", "currency", "captured_at"}
    ),
    CheckExpired: frozenset({"site", "unredeemed_minor", "currency", "expired_at"}),
    CheckVoided: frozenset({"site", "unredeemed_minor", "currency", "voided_at"}),
}


class Webhook(Document):
    """One fact that one endpoint is told of, and when it is tried next; None once its fate is known."""

    KIND: ClassVar[str] = "webhook"

    endpoint: str
    event_id: str
    payload: str
    queued_at: datetime
    next_at: datetime | None = None
    attempt: int = 0


class Disabled(Document):
    """An endpoint that said that it is gone, by its entry in the operator's file."""

    KIND: ClassVar[str] = "webhook-disabled"

    entry: str


def queue(endpoint: str, event_id: str, fact: Fact, site: str, now: datetime) -> WebhookQueued:
    """A webhook that is due now; its id is the same whenever the same event is told to the same endpoint.

    The id begins with a hash of the endpoint, by which timers give each endpoint its share of the places.
    """
    data = fact.written(set(SHOWN[type(fact)]))
    payload = f'{{"type":"{fact.TYPE}","timestamp":"{format_time(now)}","data":{data}}}'
    of_endpoint = fingerprint("webhooks of", endpoint)[:8]
    return WebhookQueued(
        webhook_id=f"wh-{of_endpoint}{fingerprint('webhook', endpoint, event_id)[len(of_endpoint) :]}",
        endpoint=endpoint,
        event_id=event_id,
        site=site,
        payload=payload,
        queued_at=now,
    )


def attempt(webhook: Webhook, webhook_id: str, now: datetime) -> Decision:
    """Take a webhook in hand; nothing if it is not due, or its fate is known."""
    if webhook.next_at is None or webhook.next_at > now:
        return Decision()
    return Decision.of(
        WebhookAttempted(
            webhook_id=webhook_id,
            endpoint=webhook.endpoint,
            attempt=webhook.attempt + 1,
            attempted_at=now,
        )
    )


def delivered(webhook: Webhook, webhook_id: str, now: datetime) -> Decision:
    """Record that the endpoint took it."""
    return Decision.of(
        WebhookDelivered(
            webhook_id=webhook_id,
            endpoint=webhook.endpoint,
            attempt=webhook.attempt,
            delivered_at=now,
        )
    )


def dropped(webhook: Webhook, webhook_id: str, reason: Reason, now: datetime) -> WebhookDropped:
    """It is not tried again."""
    return WebhookDropped(
        webhook_id=webhook_id, endpoint=webhook.endpoint, reason=reason, dropped_at=now
    )


def not_taken(
    webhook: Webhook, webhook_id: str, reason: Reason, after: timedelta, now: datetime
) -> Decision:
    """Record a failed attempt: delayed, not before `after`; dropped if the next one would come after a day."""
    retry_at = now + max(delay(webhook_id, webhook.attempt), after)
    if retry_at > webhook.queued_at + KEPT_FOR:
        return Decision.of(dropped(webhook, webhook_id, reason, now))
    return Decision.of(
        WebhookDelayed(
            webhook_id=webhook_id,
            endpoint=webhook.endpoint,
            attempt=webhook.attempt,
            reason=reason,
            retry_at=retry_at,
        )
    )


def delay(webhook_id: str, attempts: int) -> timedelta:
    """The delay after so many attempts: doubled, up to the longest, and up to a quarter more.

    The jitter follows from webhook and attempt, so that the same attempt always has the same.
    """
    times: int = 2 ** min(attempts - 1, 20)
    return min(RETRY_FIRST * times, RETRY_LONGEST) * (1 + JITTER * share_of(webhook_id, attempts))


def next_of(fact: WebhookFact) -> datetime | None:
    """When the webhook is tried next; None once its fate is known."""
    match fact:
        case WebhookQueued():
            return fact.queued_at
        case WebhookAttempted():
            return fact.attempted_at + ATTEMPT_LASTS
        case WebhookDelayed():
            return fact.retry_at
        case _:
            return None


def next_attempt(fact: WebhookFact) -> Sequence[Timer]:
    """The timer of a webhook, at its next attempt; removed once its fate is known."""
    return (Timer(WEBHOOK, fact.webhook_id, next_of(fact)),)


def queued(_: Webhook | None, fact: WebhookQueued) -> Webhook:
    """A new webhook."""
    return Webhook(
        endpoint=fact.endpoint,
        event_id=fact.event_id,
        payload=fact.payload,
        queued_at=fact.queued_at,
        next_at=next_of(fact),
    )


def moved(webhook: Webhook, fact: WebhookFact) -> Webhook:
    """The webhook with its next attempt."""
    return webhook.model_copy(update={"next_at": next_of(fact)})


def attempted(webhook: Webhook, fact: WebhookAttempted) -> Webhook:
    """A process sends it."""
    return webhook.model_copy(update={"next_at": next_of(fact), "attempt": fact.attempt})


def ended(webhook: Webhook, _: WebhookDelivered | WebhookDropped) -> Webhook:
    """The webhook whose fate is known: it stays, so that a repeated event is not told again, without what was told."""
    return webhook.model_copy(update={"next_at": None, "payload": ""})


def webhook_of(fact: WebhookFact) -> str:
    """Returns the webhook's id."""
    return fact.webhook_id


LIFE = (WebhookQueued, WebhookAttempted, WebhookDelayed, WebhookDelivered, WebhookDropped)
SLICE = Slice(
    {
        WebhookQueued: (Fold(Webhook, webhook_of, queued),),
        WebhookAttempted: (Fold(Webhook, webhook_of, attempted),),
        WebhookDelayed: (Fold(Webhook, webhook_of, moved),),
        WebhookDelivered: (Fold(Webhook, webhook_of, ended),),
        WebhookDropped: (Fold(Webhook, webhook_of, ended),),
        WebhookDisabled: (Fold(Disabled, lambda fact: fact.endpoint),),
    },
    timers=dict.fromkeys(LIFE, next_attempt),
)
