"""Facts of the notifier about webhooks: what partners' systems were told, and what became of it.

What they are told has no personal data, so neither have these facts.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from shared.contracts.data import Data
from shared.contracts.event import Id, Outside, SiteId
from shared.contracts.reasons import Reason
from shared.kernel import Fact

Attempt = Annotated[int, Field(ge=1, le=1000), Data.INTERNAL]
#: The operator's entry of an endpoint, by its hash: another entry is another endpoint.
Entry = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{32}$"),
    Data.INTERNAL,
    Field(description="Hash of the endpoint's entry in the operator's file, 32 hex characters."),
]


class WebhookFact(Fact):
    """A fact about one fact that is told to one endpoint."""

    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    webhook_id: Annotated[Id, Data.INTERNAL] = Field(
        description="Id of the webhook; follows from the endpoint and the event that it is told of."
    )
    endpoint: Annotated[Id, Data.INTERNAL] = Field(
        description="The endpoint, by its name in the operator's file."
    )

    def key(self) -> str:
        """The webhook."""
        return self.webhook_id


class WebhookQueued(WebhookFact):
    """An endpoint is to be told of a fact."""

    TYPE: ClassVar[str] = "recovery.webhook.queued.v1"

    event_id: Annotated[Outside, Data.INTERNAL] = Field(
        description="Id of the event that it is told of, and of the webhook as its receiver has it."
    )
    site: SiteId
    payload: Annotated[str, StringConstraints(max_length=4096), Data.INTERNAL] = Field(
        description="What it is told, as JSON: type, time and the fields that partners may see."
    )
    queued_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was queued.")


class WebhookAttempted(WebhookFact):
    """A webhook is being sent; its fate is unknown until a later fact."""

    TYPE: ClassVar[str] = "recovery.webhook.attempted.v1"

    attempt: Attempt = Field(description="Number of this attempt, from 1.")
    attempted_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was sent.")


class WebhookDelayed(WebhookFact):
    """The endpoint did not take a webhook; the next attempt is at `retry_at`."""

    TYPE: ClassVar[str] = "recovery.webhook.delayed.v1"

    attempt: Attempt = Field(description="Number of the attempt that failed, from 1.")
    reason: Annotated[Reason, Data.INTERNAL] = Field(description="Why it was not taken.")
    retry_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it is tried again.")


class WebhookDelivered(WebhookFact):
    """The endpoint took a webhook."""

    TYPE: ClassVar[str] = "recovery.webhook.delivered.v1"

    attempt: Attempt = Field(description="Number of the attempt that succeeded, from 1.")
    delivered_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was taken.")


class WebhookDropped(WebhookFact):
    """A webhook is not tried again: a day is over, or it never can be taken."""

    TYPE: ClassVar[str] = "recovery.webhook.dropped.v1"

    reason: Annotated[Reason, Data.INTERNAL] = Field(description="Why it was not taken.")
    dropped_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was given up.")


class WebhookDisabled(Fact):
    """An endpoint said that it is gone (410): it is told nothing more until the operator changes its entry."""

    TYPE: ClassVar[str] = "recovery.webhook.disabled.v1"
    TOPIC: ClassVar[str] = "recovery.notifier.v1"

    endpoint: Annotated[Id, Data.INTERNAL] = Field(
        description="The endpoint, by its name in the operator's file."
    )
    entry: Entry
    disabled_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it said so.")

    def key(self) -> str:
        """The endpoint."""
        return self.endpoint
