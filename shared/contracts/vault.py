"""Wrapped keys of customers, on a compacted topic of their own.

Destroying the key is how a customer is erased; so a key never travels in any other fact.
"""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.event import Fact, Id, Sealed


class CustomerKeyCreated(Fact):
    """A customer's data key, wrapped by the master key."""

    TYPE: ClassVar[str] = "recovery.customer-key.created.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: Id
    wrapped: Sealed

    def key(self) -> str:
        """The customer; compaction keeps the latest."""
        return self.customer_ref
