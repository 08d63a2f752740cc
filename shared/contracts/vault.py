"""Wrapped keys of customers, on a compacted topic of their own.

A customer is erased by destroying the keys, so no other fact carries a key. The service that is the
first to seal something of a customer makes a key. Two services may do so at the same time, so a
customer may have several keys, and all of them are kept.

A destroyed key's fact has the same Kafka key as the fact that made it known, so that compaction removes
the wrapped key and keeps the word that it was destroyed.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from shared.contracts.data import Data
from shared.contracts.event import CustomerRef, Sealed, fingerprint
from shared.kernel import Fact


class CustomerKeyCreated(Fact):
    """A customer's data key, wrapped by the master key."""

    TYPE: ClassVar[str] = "recovery.customer-key.created.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    wrapped: Annotated[Sealed, Data.PERSONAL] = Field(
        description="The data key, wrapped by the master key."
    )

    def key(self) -> str:
        """The customer and which key; compaction keeps one of each."""
        return f"{self.customer_ref}/{name_of(self.wrapped)}"


class CustomerKeyDestroyed(Fact):
    """A customer was erased: this data key of theirs is destroyed, and no other is accepted under their reference."""

    TYPE: ClassVar[str] = "recovery.customer-key.destroyed.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    name: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$"), Data.INTERNAL] = Field(
        description="Which key: 16 hex characters of a hash of its wrapped form."
    )
    destroyed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was destroyed."
    )

    def key(self) -> str:
        """The same as of the key that is destroyed."""
        return f"{self.customer_ref}/{self.name}"


def name_of(wrapped: str) -> str:
    """The name of a wrapped key, which says nothing of the key."""
    return fingerprint("wrapped-key", wrapped)[:16]
