"""Wrapped keys of customers, on a compacted topic of their own.

A customer is erased by destroying the keys, so no other fact carries a key. The service that is the
first to seal something of a customer makes a key. Two services may do so at the same time, so a
customer may have several keys, and all of them are kept.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.contracts.event import CustomerRef, Sealed, fingerprint
from shared.kernel import Fact


class CustomerKeyCreated(Fact):
    """A customer's data key, wrapped by the master key."""

    TYPE: ClassVar[str] = "recovery.customer-key.created.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    wrapped: Sealed = Field(description="The data key, wrapped by the master key.")

    def key(self) -> str:
        """The customer and which key; compaction keeps one of each."""
        return f"{self.customer_ref}/{fingerprint('wrapped-key', self.wrapped)[:16]}"
