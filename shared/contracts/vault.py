"""Wrapped keys of customers, on a compacted topic of their own.

Destroying the keys is how a customer is erased; so a key never travels in any other fact. Whoever is
the first to seal something of a customer makes a key, and two services may be first at the same time:
a customer may have several, and each of them stays.
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
