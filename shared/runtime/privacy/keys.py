"""Customers' keys as a service sees them: wrapped in a document, unwrapped while they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Document, Fact, Fold
from shared.runtime.engine.view import View
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.privacy.seal import DataKey, SealBroken, Vault

#: Unwrapped keys kept at hand; the wrapped form is read for every use, so a destroyed key is
#: destroyed here too, at the next use.
REMEMBERED_MAX = 10_000
#: Two services seal, and each makes a key only while it has heard of none: a customer has two at most.
#: Eight bounds the document, and leaves room for more services that seal.
KEYS_MAX = 8


class CustomerKey(Document):
    """A customer's data keys, wrapped and sorted: the order in which they were heard of says nothing."""

    KIND: ClassVar[str] = "key"
    LASTS: ClassVar[bool] = True

    wrapped: tuple[str, ...]


def known(document: CustomerKey | None, fact: CustomerKeyCreated) -> CustomerKey:
    """One more key, unless it is known: a key of ours comes back to us by its topic."""
    before = document.wrapped if document is not None else ()
    if len(before) >= KEYS_MAX:
        return CustomerKey(wrapped=before)
    return CustomerKey(wrapped=tuple(sorted({*before, fact.wrapped})))


KEY_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    CustomerKeyCreated: (Fold(CustomerKey, lambda fact: fact.customer_ref, known),)
}
VAULT_INBOX = Inbox(CustomerKeyCreated.TOPIC, [Handler(CustomerKeyCreated)])


class KeyRing:
    """One customer's keys: seals under the first, opens with whichever fits."""

    def __init__(self, keys: Sequence[DataKey]) -> None:
        self._keys = keys

    def seal(self, field: str, text: str) -> str:
        """The text sealed for one field."""
        return self._keys[0].seal(field, text)

    def open(self, field: str, sealed: str) -> str:
        """The text again; raises Unavailable while the key that fits has not come."""
        for key in self._keys:
            try:
                return key.open(field, sealed)
            except SealBroken:
                continue
        raise Unavailable(Reason.KEY_NOT_YET_KNOWN)


class Keys:
    """Unwraps customers' keys; remembers by the wrapped form."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._remembered: dict[str, DataKey] = {}

    async def of(self, customer_ref: str, view: View) -> KeyRing | None:
        """The customer's keys, or None if there is none (yet, or any more); raises Unavailable."""
        document = await view.get(CustomerKey, customer_ref)
        if document is None:
            return None
        return KeyRing([self._unwrapped(customer_ref, wrapped) for wrapped in document.wrapped])

    def _unwrapped(self, customer_ref: str, wrapped: str) -> DataKey:
        key = self._remembered.get(wrapped)
        if key is None:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            key = self._vault.unwrap(customer_ref, wrapped)
            self._remembered[wrapped] = key
        return key

    def create(self, customer_ref: str) -> tuple[KeyRing, CustomerKeyCreated]:
        """A new key and the fact that makes it known."""
        key, wrapped = self._vault.new_key(customer_ref)
        return KeyRing([key]), CustomerKeyCreated(customer_ref=customer_ref, wrapped=wrapped)
