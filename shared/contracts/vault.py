"""Wrapped keys of customers, on a compacted topic of their own.

A contact is sealed under the customer's key, and words under a key of the customer and the month, so that
words can be destroyed earlier, month by month. A customer is erased by destroying all keys, so no other fact
carries a key. The service that is the first to seal something makes the key. Two services may do so at
the same time, so there may be several keys of a customer, and of a month, and all of them are kept.

A destroyed key's fact has the same Kafka key as the fact that made it known, so that compaction removes
the wrapped key and keeps the word that it was destroyed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from shared.contracts.data import Data
from shared.contracts.event import CustomerRef, Sealed, SiteId, fingerprint
from shared.contracts.months import Month, month_before, month_of
from shared.kernel import Fact

#: How long a customer's words are kept after the end of their month. Whoever answers a case must read what
#: was said, and a check or a promise lives 731 days at most; a policy may say less.
WORDS_KEPT = timedelta(days=731)
#: The least that a policy may say: a case that is still worked on would lose its words.
WORDS_KEPT_MIN = timedelta(days=30)
KeyName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{16}$"),
    Data.INTERNAL,
    Field(description="Which key: 16 hex characters of a hash of its first wrapped form."),
]


class CustomerKeyCreated(Fact):
    """A customer's data key, wrapped: of the customer, or of one month's words."""

    TYPE: ClassVar[str] = "recovery.customer-key.created.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    wrapped: Annotated[Sealed, Data.PERSONAL] = Field(
        description="The data key, wrapped by a wrapping key."
    )
    month: Annotated[Month | None, Data.INTERNAL] = Field(
        None,
        description="Month (UTC) in which words are sealed under it; absent if it is the customer's key, for the contact.",
    )
    site: SiteId | None = Field(
        None,
        description="Site that it was made at, whose policy says how long the month's words are kept; absent if it is the customer's key.",
    )

    def key(self) -> str:
        """The customer and which key; compaction keeps one of each."""
        return f"{self.customer_ref}/{name_of(self.wrapped)}"


class CustomerKeyRewrapped(Fact):
    """A data key was wrapped anew; its earlier wrapping goes from the topic, because this takes its place there."""

    TYPE: ClassVar[str] = "recovery.customer-key.rewrapped.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    name: KeyName
    wrapped: Annotated[Sealed, Data.PERSONAL] = Field(
        description="The data key, wrapped by another wrapping key."
    )
    month: Annotated[Month | None, Data.INTERNAL] = Field(
        None, description="As of the fact that made the key known."
    )
    site: SiteId | None = Field(None, description="As of the fact that made the key known.")
    rewrapped_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was wrapped anew; of two the later one counts."
    )

    def key(self) -> str:
        """The same as of the key that is wrapped."""
        return f"{self.customer_ref}/{self.name}"


class CustomerKeyDestroyed(Fact):
    """A data key is destroyed: its customer was erased, or the time of its month's words is over.

    No other key of an erased customer is accepted, and none of a month that is over.
    """

    TYPE: ClassVar[str] = "recovery.customer-key.destroyed.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    name: KeyName
    destroyed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was destroyed."
    )
    month: Annotated[Month | None, Data.INTERNAL] = Field(
        None,
        description="Month whose words are over, as are those before it; absent if the customer was erased.",
    )

    def key(self) -> str:
        """The same as of the key that is destroyed."""
        return f"{self.customer_ref}/{self.name}"


def name_of(wrapped: str) -> str:
    """The name of a data key, by its first wrapped form, which says nothing of the key."""
    return fingerprint("wrapped-key", wrapped)[:16]


def last_over(now: datetime, kept: timedelta) -> str:
    """The last month whose words are over, if they are kept for so long after its end."""
    return month_before(month_of(now - kept))
