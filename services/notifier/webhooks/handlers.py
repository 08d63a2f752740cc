"""Webhooks are queued for facts that partners are told of, and sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any

from services.notifier.webhooks.breakers import Breakers
from services.notifier.webhooks.endpoints import Endpoint
from services.notifier.webhooks.post import Post, Poster
from services.notifier.webhooks.rules import (
    KEPT_FOR,
    Disabled,
    Webhook,
    attempt,
    delivered,
    dropped,
    not_taken,
    queue,
)
from shared.contracts.event import Event
from shared.contracts.reasons import Reason
from shared.contracts.webhooks import (
    WebhookAttempted,
    WebhookDelayed,
    WebhookDelivered,
    WebhookDisabled,
    WebhookDropped,
)
from shared.kernel import Decision, Fact
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Prepared, only_folds
from shared.runtime.observe import WEBHOOK_AT, WEBHOOKS, log

#: What became of an attempt, as operators count it.
FATES: Mapping[type[Fact], str] = {
    WebhookDelivered: "delivered",
    WebhookDelayed: "delayed",
    WebhookDropped: "dropped",
}
#: Whether an endpoint took the last webhook, for the time at which it did.
TAKEN, NOT_TAKEN = "taken", "not_taken"


class Webhooks:
    """Queues webhooks, and is the effect that a webhook is."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], poster: Poster, now: Callable[[], datetime]
    ) -> None:
        self._endpoints = endpoints
        self._poster = poster
        self._now = now
        self._breakers = Breakers(endpoints)
        for name in endpoints:
            for fate in (TAKEN, NOT_TAKEN):
                WEBHOOK_AT.labels(name, fate).set(0)

    @property
    def types(self) -> frozenset[str]:
        """The types of facts that some endpoint is told of."""
        return frozenset().union(*(one.types for one in self._endpoints.values()))

    def tells(self, event: Event[Any]) -> Prepared:
        """Queue a webhook for each endpoint that is told of a fact."""
        fact = event.data
        wanted = [
            name
            for name, endpoint in self._endpoints.items()
            if fact.TYPE in endpoint.types and fact.site in endpoint.sites
        ]
        if not wanted:
            return only_folds(event)
        return Prepared(
            partial(self._queued, event, wanted), [Disabled.key(name) for name in wanted]
        )

    async def _queued(self, event: Event[Any], wanted: Sequence[str], view: View) -> Decision:
        queued = [queue(name, event.id, event.data, event.data.site, view.now) for name in wanted]
        await view.prefetch([Webhook.key(one.webhook_id) for one in queued])
        return Decision.of(
            *[
                one
                for one in queued
                if await view.get(Webhook, one.webhook_id) is None
                and not await self._disabled(one.endpoint, view)
            ]
        )

    async def _disabled(self, name: str, view: View) -> bool:
        disabled = await view.get(Disabled, name)
        return disabled is not None and disabled.entry == self._endpoints[name].entry

    async def prepare(self, webhook_id: str, view: View) -> Post:
        """What is posted.

        Raises Rejected if the endpoint is gone, or not in the operator's file any more, or left alone and the day of
        the webhook is over; Unavailable while the endpoint is left alone: the webhook waits, and no fact says so.
        """
        webhook = await known(webhook_id, view)
        endpoint = self._endpoints.get(webhook.endpoint)
        if endpoint is None:
            raise Rejected(Reason.UNKNOWN_ENDPOINT)
        if await self._disabled(webhook.endpoint, view):
            raise Rejected(Reason.ENDPOINT_GONE)
        alone = self._breakers.left_alone(webhook.endpoint, view.now)
        if alone and view.now >= webhook.queued_at + KEPT_FOR:
            raise Rejected(Reason.ENDPOINT_UNAVAILABLE)
        if alone:
            raise Unavailable(
                Reason.ENDPOINT_UNAVAILABLE, retry_after_s=ceil(alone.total_seconds())
            )
        return Post(
            webhook.endpoint, endpoint.url, endpoint.keys, webhook.event_id, webhook.payload
        )

    async def take(self, webhook_id: str, _post: Post, view: View) -> Decision:
        """Take a webhook in hand, unless another process has."""
        return attempt(await known(webhook_id, view), webhook_id, view.now)

    def number(self, facts: Sequence[Fact]) -> int | None:
        """The number of the attempt that was begun."""
        return next((one.attempt for one in facts if isinstance(one, WebhookAttempted)), None)

    async def do(self, post: Post) -> Outcome:
        """Post it."""
        outcome = await self._poster.send(post)
        self._breakers.fared(post.endpoint, outcome, self._now())
        return outcome

    async def record(
        self, webhook_id: str, number: int | None, outcome: Outcome, view: View
    ) -> Decision:
        """The fate of an attempt, unless another process has made another; 410 also disables the endpoint."""
        webhook = await known(webhook_id, view)
        if webhook.next_at is None or (number is not None and webhook.attempt != number):
            return Decision()
        match outcome:
            case Delivered():
                return delivered(webhook, webhook_id, view.now)
            case Later(reason, after):
                return not_taken(webhook, webhook_id, reason, after, view.now)
            case Never(reason):
                given_up = dropped(webhook, webhook_id, reason, view.now)
                if number is None or reason is not Reason.ENDPOINT_GONE:
                    return Decision.of(given_up)
                entry = self._endpoints[webhook.endpoint].entry
                disabled = WebhookDisabled(
                    endpoint=webhook.endpoint, entry=entry, disabled_at=view.now
                )
                return Decision.of(given_up, disabled)
            case Unknown():
                # It is tried again when the attempt has lasted: an endpoint is told at least once.
                return Decision()

    def committed(self, facts: Sequence[Fact]) -> None:
        """Count attempts by endpoint; log what partners were not told of, and endpoints that are told nothing more."""
        for fact in facts:
            if isinstance(fact, WebhookDelivered | WebhookDelayed | WebhookDropped):
                self._counted(fact)
            if isinstance(fact, WebhookDropped):
                log.error("webhook_dropped", endpoint=fact.endpoint, reason=fact.reason.value)
            if isinstance(fact, WebhookDisabled):
                log.error("webhook_disabled", endpoint=fact.endpoint)

    def _counted(self, fact: WebhookDelivered | WebhookDelayed | WebhookDropped) -> None:
        """Count it; not of an endpoint that was taken out of the file, which nobody needs to look after."""
        if fact.endpoint not in self._endpoints:
            return
        WEBHOOKS.labels(fact.endpoint, FATES[type(fact)]).inc()
        fate = TAKEN if isinstance(fact, WebhookDelivered) else NOT_TAKEN
        WEBHOOK_AT.labels(fact.endpoint, fate).set_to_current_time()


async def known(webhook_id: str, view: View) -> Webhook:
    """The queued webhook of this id; its absence is a defect of ours."""
    webhook = await view.get(Webhook, webhook_id)
    if webhook is None:
        msg = f"no webhook {webhook_id}"
        raise AssertionError(msg)
    return webhook
