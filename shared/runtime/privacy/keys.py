"""Customers' keys as a service sees them: wrapped in a document, unwrapped while they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed
from shared.kernel import Document, Fact, Fold
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.privacy.seal import DataKey, SealBroken, Vault

#: Two services seal, and each makes a key only while it has heard of none: a customer has two at most.
#: Eight bounds the document, and leaves room for more services that seal.
KEYS_MAX = 8
#: Times that one person may be erased and come back: each costs one read at every later complaint.
ERASURES_MAX = 100


class CustomerKey(Document):
    """A customer's data keys, wrapped and sorted: the order in which they were heard of says nothing.

    A customer without keys was erased, and no key is accepted any more. No process remembers a parsed
    document or an unwrapped key, so that a key is gone everywhere once it is gone from the store.
    """

    KIND: ClassVar[str] = "key"
    LASTS: ClassVar[bool] = True
    REMEMBERED: ClassVar[bool] = False

    wrapped: tuple[str, ...]

    @property
    def erased(self) -> bool:
        """Whether the customer was erased."""
        return not self.wrapped


def known(document: CustomerKey | None, fact: CustomerKeyCreated) -> CustomerKey:
    """One more key, unless it is known or the customer was erased: our own keys come back by their topic."""
    if document is None:
        return CustomerKey(wrapped=(fact.wrapped,))
    if document.erased or len(document.wrapped) >= KEYS_MAX:
        return document
    return CustomerKey(wrapped=tuple(sorted({*document.wrapped, fact.wrapped})))


def destroyed(_: CustomerKey | None, __: CustomerKeyDestroyed) -> CustomerKey:
    """The customer was erased: no keys, whichever of them the fact names."""
    return CustomerKey(wrapped=())


KEY_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    CustomerKeyCreated: (Fold(CustomerKey, lambda fact: fact.customer_ref, known),),
    CustomerKeyDestroyed: (Fold(CustomerKey, lambda fact: fact.customer_ref, destroyed),),
}
VAULT_INBOX = Inbox(
    CustomerKeyCreated.TOPIC, [Handler(CustomerKeyCreated), Handler(CustomerKeyDestroyed)]
)


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
    """Unwraps customers' keys for one decision, and keeps none."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def of(self, customer_ref: str, view: View) -> KeyRing | None:
        """The customer's keys, or None if there is none (yet, or any more); raises Unavailable."""
        document = await view.get(CustomerKey, customer_ref)
        if document is None or document.erased:
            return None
        return KeyRing([self._vault.unwrap(customer_ref, one) for one in document.wrapped])

    async def needed(self, customer_ref: str, view: View) -> KeyRing:
        """The customer's keys; raises Rejected(customer_erased), and Unavailable until the first has come."""
        found = await self.of(customer_ref, view)
        if found is not None:
            return found
        if await view.get(CustomerKey, customer_ref) is None:
            raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
        raise Rejected(Reason.CUSTOMER_ERASED)

    async def current(self, customer_ref: str, view: View) -> str:
        """The reference that stands for a customer now: of theirs, the first that was not erased.

        Every service finds the same one. Raises Rejected(customer_erased) after too many erasures, and
        Unavailable.
        """
        for _ in range(ERASURES_MAX):
            document = await view.get(CustomerKey, customer_ref)
            if document is None or not document.erased:
                return customer_ref
            customer_ref = self._vault.pseudonyms.again(customer_ref)
        raise Rejected(Reason.CUSTOMER_ERASED)

    def create(self, customer_ref: str) -> tuple[KeyRing, CustomerKeyCreated]:
        """A new key and the fact that makes it known."""
        key, wrapped = self._vault.new_key(customer_ref)
        return KeyRing([key]), CustomerKeyCreated(customer_ref=customer_ref, wrapped=wrapped)
