"""Customers' keys as a service sees them: wrapped in a document, unwrapped while they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.contracts.decision import Document, Fold
from shared.contracts.event import Fact
from shared.contracts.vault import CustomerKeyCreated
from shared.runtime.inbox import Handler, Inbox
from shared.runtime.seal import DataKey, Vault
from shared.runtime.snapshot import Snapshot

#: Unwrapped keys kept at hand; the wrapped form is read for every use, so a destroyed key is
#: destroyed here too, at the next use.
REMEMBERED_MAX = 10_000


class CustomerKey(Document):
    """A customer's data key, wrapped."""

    KIND: ClassVar[str] = "key"

    wrapped: str


KEY_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    CustomerKeyCreated: (
        Fold(
            CustomerKey,
            lambda fact: fact.customer_ref,
            lambda _, fact: CustomerKey(wrapped=fact.wrapped),
        ),
    )
}
VAULT_INBOX = Inbox(CustomerKeyCreated.TOPIC, [Handler(CustomerKeyCreated)])


def key_key(customer_ref: str) -> str:
    """The document to read ahead for a customer's key."""
    return f"{CustomerKey.KIND}:{customer_ref}"


class Keys:
    """Unwraps customers' keys; remembers by the wrapped form."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._remembered: dict[str, DataKey] = {}

    async def of(self, customer_ref: str, snapshot: Snapshot) -> DataKey | None:
        """The customer's key, or None if there is none (yet, or any more); raises Unavailable."""
        document = await snapshot.get(CustomerKey, customer_ref)
        return None if document is None else self.unwrap(customer_ref, document)

    def unwrap(self, customer_ref: str, document: CustomerKey) -> DataKey:
        """The key in a document; raises SealBroken."""
        key = self._remembered.get(document.wrapped)
        if key is None:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            key = self._vault.unwrap(customer_ref, document.wrapped)
            self._remembered[document.wrapped] = key
        return key

    def create(self, customer_ref: str) -> tuple[DataKey, CustomerKeyCreated]:
        """A new key and the fact that makes it known."""
        key, wrapped = self._vault.new_key(customer_ref)
        return key, CustomerKeyCreated(customer_ref=customer_ref, wrapped=wrapped)
