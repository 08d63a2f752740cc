"""Customers' keys as a service sees them: wrapped in a document, unwrapped while they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from operator import not_
from typing import ClassVar, NamedTuple, TypeVar

from pydantic import Field

from shared.contracts.months import month_before, month_of
from shared.contracts.reasons import Reason
from shared.contracts.vault import (
    CustomerKeyCreated,
    CustomerKeyDestroyed,
    CustomerKeyRewrapped,
    name_of,
)
from shared.kernel import Document, Fact, Fold
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Handler, Inbox
from shared.runtime.privacy.seal import (
    DataKey,
    SealBroken,
    UnknownWrapping,
    Vault,
    wrapped_with,
)

#: Two services seal, and each makes a key only while it has heard of none: a customer has two at most, and
#: two of each month. Eight bounds the document, and leaves room for more services that seal.
KEYS_MAX = 8
#: Months of words in one document: those of the longest time that words are kept, and some that wait to be
#: destroyed.
MONTHS_MAX = 36
#: Times that one person may be erased and come back: each costs one read at every later complaint.
ERASURES_MAX = 100


class WordsKey(NamedTuple):
    """A wrapped key of one month's words, and the site that it was made at."""

    wrapped: str
    site: str


K = TypeVar("K", str, WordsKey)


class Renewed(NamedTuple):
    """That a key is wrapped anew: its name, by its first wrapped form, and when."""

    name: str
    at: datetime


class Held(NamedTuple):
    """One key of a document; month and site are None for the customer's."""

    name: str
    wrapped: str
    month: str | None = None
    site: str | None = None


class CustomerKey(Document):
    """A customer's data keys, wrapped and sorted: the order in which they were heard of says nothing.

    A customer of whom it has nothing was erased, and no key is accepted any more. No process remembers a
    parsed document or an unwrapped key, so that a key is gone everywhere once it is gone from the store.
    """

    KIND: ClassVar[str] = "key"
    LASTS: ClassVar[bool] = True
    REMEMBERED: ClassVar[bool] = False

    wrapped: tuple[str, ...]
    #: The keys of words by month, like `2026-06`.
    months: dict[str, tuple[WordsKey, ...]] = Field({}, exclude_if=not_)
    #: The last month whose words are over: no key of it, or of one before, is accepted any more.
    gone: str | None = None
    #: Those that were wrapped anew, by their wrapped form.
    renewed: dict[str, Renewed] = Field({}, exclude_if=not_)

    @property
    def erased(self) -> bool:
        """Whether the customer was erased."""
        return not (self.wrapped or self.months or self.gone)

    @property
    def every(self) -> Sequence[Held]:
        """All of the customer's keys."""
        found = [Held(self._name(one), one) for one in self.wrapped]
        for month, keys in self.months.items():
            found += [Held(self._name(key.wrapped), key.wrapped, month, key.site) for key in keys]
        return found

    def _name(self, wrapped: str) -> str:
        renewed = self.renewed.get(wrapped)
        return name_of(wrapped) if renewed is None else renewed.name

    def over(self, month: str) -> bool:
        """Whether the words of this month are over."""
        return self.gone is not None and month <= self.gone

    def first(self, site: str) -> str:
        """The first month with words of this site; empty if there is none."""
        return min(
            (month for month, keys in self.months.items() if site in {key.site for key in keys}),
            default="",
        )


def known(document: CustomerKey | None, fact: CustomerKeyCreated) -> CustomerKey:
    """One more key, unless it is known, its month is over or the customer was erased: our own keys come back."""
    if document is not None and document.erased:
        return document
    before = document or CustomerKey(wrapped=())
    if name_of(fact.wrapped) in {one.name for one in before.every}:
        return before
    return _holding(before, fact)


def rewrapped(document: CustomerKey | None, fact: CustomerKeyRewrapped) -> CustomerKey:
    """The key in its later wrapping, unless its month is over or the customer was erased."""
    if document is not None and document.erased:
        return document
    before = document or CustomerKey(wrapped=())
    for held in before.every:
        if held.name == fact.name:
            last = before.renewed.get(held.wrapped)
            if last is not None and (last.at, held.wrapped) >= (fact.rewrapped_at, fact.wrapped):
                return before
            before = _without(before, {held.wrapped})
    after = _holding(before, fact)
    if after is before:
        return before
    renewed = {**after.renewed, fact.wrapped: Renewed(fact.name, fact.rewrapped_at)}
    return after.model_copy(update={"renewed": dict(sorted(renewed.items()))})


def _holding(before: CustomerKey, fact: CustomerKeyCreated | CustomerKeyRewrapped) -> CustomerKey:
    """The document with one more key, unless its month is over or there is no room."""
    if fact.month is None:
        return before.model_copy(update={"wrapped": _with(before.wrapped, fact.wrapped)})
    keys = before.months.get(fact.month, ())
    if before.over(fact.month) or (not keys and len(before.months) >= MONTHS_MAX):
        return before
    keys = _with(keys, WordsKey(fact.wrapped, fact.site or ""))
    months = dict(sorted({**before.months, fact.month: keys}.items()))
    return before.model_copy(update={"months": months})


def _without(before: CustomerKey, gone: AbstractSet[str]) -> CustomerKey:
    """The document without these wrapped keys."""
    months = {
        month: left
        for month, keys in before.months.items()
        if (left := tuple(key for key in keys if key.wrapped not in gone))
    }
    wrapped = tuple(one for one in before.wrapped if one not in gone)
    renewed = {one: new for one, new in before.renewed.items() if one not in gone}
    return before.model_copy(update={"wrapped": wrapped, "months": months, "renewed": renewed})


def _with(some: tuple[K, ...], one: K) -> tuple[K, ...]:
    """One more among them, sorted, as long as there is room."""
    found = set(some)
    if len(found) < KEYS_MAX:
        found.add(one)
    return tuple(sorted(found))


def destroyed(document: CustomerKey | None, fact: CustomerKeyDestroyed) -> CustomerKey:
    """No keys, whichever of them the fact names: of an erased customer, or of months that are over."""
    if fact.month is None or (document is not None and document.erased):
        return CustomerKey(wrapped=())
    before = document or CustomerKey(wrapped=())
    gone = max(before.gone or "", fact.month)
    over = {one.wrapped for one in before.every if one.month is not None and one.month <= gone}
    return _without(before, over).model_copy(update={"gone": gone})


def stands(document: CustomerKey) -> Mapping[str, int]:
    """Among the customers with words of each of its sites, the earliest month first, and by what wrapped its keys."""
    every = document.every
    found = {
        with_words(site): int(document.first(site).replace("-", ""))
        for site in {one.site for one in every if one.site is not None}
    }
    wrapping = {wrapped_with(one.wrapped) for one in every}
    if wrapping:
        found[WRAPPED_LEAST] = min(wrapping)
    if len(wrapping) > 1:
        found[WRAPPED_MOST] = max(wrapping)
    return found


def with_words(site: str) -> str:
    """The sorted set of customers with words of a site."""
    return f"words/{site}"


#: The sorted sets of all customers with keys, by the name of what wrapped one of them: the least of the names,
#: and the most where there are several. So a key that must be wrapped anew is found in one or the other.
WRAPPED_LEAST, WRAPPED_MOST = "wrapped/least", "wrapped/most"
KEY_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    CustomerKeyCreated: (Fold(CustomerKey, lambda fact: fact.customer_ref, known),),
    CustomerKeyRewrapped: (Fold(CustomerKey, lambda fact: fact.customer_ref, rewrapped),),
    CustomerKeyDestroyed: (Fold(CustomerKey, lambda fact: fact.customer_ref, destroyed),),
}
VAULT_INBOX = Inbox(
    CustomerKeyCreated.TOPIC,
    [Handler(CustomerKeyCreated), Handler(CustomerKeyRewrapped), Handler(CustomerKeyDestroyed)],
)


class KeyRing:
    """Some keys of one customer: seals under the first, opens with whichever fits."""

    def __init__(self, keys: Iterable[DataKey]) -> None:
        """Takes no more of the keys than it needs, so that no more are unwrapped."""
        self._rest = iter(keys)
        self._taken: list[DataKey] = []

    def _each(self) -> Iterator[DataKey]:
        yield from self._taken
        for key in self._rest:
            self._taken.append(key)
            yield key

    def seal(self, field: str, text: str) -> str:
        """The text sealed for one field."""
        return next(self._each()).seal(field, text)

    def open(self, field: str, sealed: str) -> str:
        """The text again; raises Unavailable while the key that fits has not come."""
        for key in self._each():
            try:
                return key.open(field, sealed)
            except SealBroken:
                continue
        raise Unavailable(Reason.KEY_NOT_YET_KNOWN)


class Words(NamedTuple):
    """Opens a customer's words of one moment; `over` says that their time may be over."""

    ring: KeyRing
    over: bool

    def open(self, field: str, sealed: str) -> str | None:
        """The words of one field; None if their time is over. Raises Unavailable while the key has not come."""
        try:
            return self.ring.open(field, sealed)
        except Unavailable as missing:
            if missing.reason is Reason.KEY_NOT_YET_KNOWN and self.over:
                return None
            raise


class Seals(NamedTuple):
    """What to seal under now, and the facts that make new keys known."""

    contact: KeyRing
    words: KeyRing
    created: tuple[CustomerKeyCreated, ...]


class Keys:
    """Unwraps customers' keys for one decision, and keeps none."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def of(self, customer_ref: str, view: View) -> KeyRing | None:
        """The customer's keys, for all but words, or None if there is none (yet, or any more); raises Unavailable."""
        document = await view.get(CustomerKey, customer_ref)
        if document is None or not document.wrapped:
            return None
        return self._ring(customer_ref, document.wrapped)

    async def erased(self, customer_ref: str, view: View) -> bool:
        """Whether the customer was erased; False for one that is not known (yet). Raises Unavailable."""
        document = await view.get(CustomerKey, customer_ref)
        return document is not None and document.erased

    async def needed(self, customer_ref: str, view: View) -> KeyRing:
        """The customer's keys; raises Rejected(customer_erased), and Unavailable until the first has come."""
        found = await self.of(customer_ref, view)
        if found is not None:
            return found
        if await self.erased(customer_ref, view):
            raise Rejected(Reason.CUSTOMER_ERASED)
        raise Unavailable(Reason.KEY_NOT_YET_KNOWN)

    async def current(self, customer_ref: str, view: View) -> str:
        """The reference that stands for a customer now: of theirs, the first that was not erased.

        Every service finds the same one. Raises Rejected(customer_erased) after too many erasures, and
        Unavailable.
        """
        for _ in range(ERASURES_MAX):
            if not await self.erased(customer_ref, view):
                return customer_ref
            customer_ref = self._vault.pseudonyms.again(customer_ref)
        raise Rejected(Reason.CUSTOMER_ERASED)

    async def seals(self, customer_ref: str, site: str, view: View) -> Seals:
        """What to seal contact and words of this month under, for a customer who was not erased.

        Keys that are missing are made; their facts belong to the same decision. Raises Unavailable.
        """
        document = await view.get(CustomerKey, customer_ref)
        month = month_of(view.now)
        wrapped = document.wrapped if document is not None else ()
        months = document.months if document is not None else {}
        created: list[CustomerKeyCreated] = []

        def ring(known: Sequence[str], **more: str) -> KeyRing:
            if known:
                return self._ring(customer_ref, known)
            key, made = self._vault.new_key(customer_ref)
            created.append(CustomerKeyCreated(customer_ref=customer_ref, wrapped=made, **more))
            return KeyRing([key])

        contact = ring(wrapped)
        words = ring([key.wrapped for key in months.get(month, ())], month=month, site=site)
        return Seals(contact, words, tuple(created))

    async def open_words(
        self, customer_ref: str, field: str, sealed: str, at: datetime | None, view: View
    ) -> str | None:
        """Words that were recorded at this moment; None once the customer was erased or their time is over.

        Raises Unavailable while the key has not come.
        """
        document = await view.get(CustomerKey, customer_ref)
        if document is None:
            raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
        if document.erased:
            return None
        return self._words(customer_ref, document, at).open(field, sealed)

    async def readable_words(
        self, customer_ref: str, sealed: Mapping[str, str], at: datetime | None, view: View
    ) -> Mapping[str, str]:
        """The words of a moment that can be read now, by their fields: whoever looks at a list waits for no key.

        Each key is unwrapped once for all fields. May block; raises Unavailable while the store is away.
        """
        document = await view.get(CustomerKey, customer_ref)
        if document is None or document.erased:
            return {}
        words = self._words(customer_ref, document, at)
        found = {}
        for field, one in sealed.items():
            try:
                text = words.open(field, one)
            except Unavailable:  # its key has not come, or the one that wraps it is not here
                continue
            if text is not None:
                found[field] = text
        return found

    def _words(self, customer_ref: str, document: CustomerKey, at: datetime | None) -> Words:
        month = month_of(at) if at is not None else ""
        # Most likely the month itself; the month before if a fact of another service was long on its way;
        # the customer's key if an earlier build sealed them.
        nearest = sorted(document.months, key=lambda one: (one != month, one))
        likely = [key.wrapped for each in nearest for key in document.months[each]]
        ring = self._ring(customer_ref, [*likely, *document.wrapped])
        return Words(ring, over=document.over(month_before(month) if month else ""))

    def _ring(self, customer_ref: str, wrapped: Sequence[str]) -> KeyRing:
        return KeyRing(self._unwrapped(customer_ref, one) for one in wrapped)

    def _unwrapped(self, customer_ref: str, wrapped: str) -> DataKey:
        try:
            return self._vault.unwrap(customer_ref, wrapped)
        except UnknownWrapping:
            raise Unavailable(Reason.WRAPPING_KEY_MISSING) from None
