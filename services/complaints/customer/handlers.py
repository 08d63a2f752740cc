"""Erases customers, and words whose time is over: step by step by timers, and against keys that come late."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from aiokafka.errors import KafkaError
from pydantic_core import from_json

from services.complaints.asking.rules import Asked, asked_of
from services.complaints.customer.rules import (
    CERTIFY,
    STEP,
    ChosenLanguage,
    DelightGiven,
    Erasure,
    KeptProfile,
    OverKey,
    backups_gone_at,
    certify,
    delights_of,
    destroy,
    erase,
    expire,
    forget,
)
from services.complaints.intake.rules import Praise, praise_of_customer
from services.complaints.lifecycle.rules import Complaint, of_customer
from services.complaints.matters.handlers import split_off
from shared.contracts.complaints import Language
from shared.contracts.event import Event
from shared.contracts.intake import Contact
from shared.contracts.reasons import Reason
from shared.contracts.vault import (
    CustomerKeyCreated,
    CustomerKeyDestroyed,
    CustomerKeyRewrapped,
    last_over,
    name_of,
)
from shared.kernel import Decision, Fact, score_at
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import log
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import WRAPPED_LEAST, WRAPPED_MOST, CustomerKey, Keys, with_words
from shared.runtime.privacy.seal import UnknownWrapping, Vault, wrapped_with

#: Pause before topics are asked again whether they have dropped old records, which takes days.
ASK_AGAIN_S = 3600

#: Pages of a customer's complaints among which one of a site is looked for: a source that names everybody
#: alike has a hundred thousand in no time that words are kept for.
PAGES_MAX = 1000
#: Sorts behind the key of every document in a sorted set.
LAST = "~"
#: Wrapping keys, of which each is looked at once: far more than were ever in use at the same time.
WRAPPING_KEYS_MAX = 100

#: Key and value of all records on the vault topic whose key begins so; raises KafkaError, OSError.
OnVault = Callable[[str], Awaitable[Sequence[tuple[str, bytes]]]]
#: The name of a data key, as the last part of its record's key.
KEY_NAME = re.compile(r"[0-9a-f]{16}")
#: Says whether the topics that hold words outside customers' keys have nothing from before a moment;
#: raises KafkaError, OSError.
Gone = Callable[[datetime], Awaitable[bool]]


async def erasing(customer_ref: str, site: str | None, asked_by: str, view: View) -> Decision:
    """Erase a customer whom the site knows (any site, if None): at every site, because they are one person.

    Raises Rejected(unknown_customer, customer_erased), and Unavailable.
    """
    at = await site_of(customer_ref, site, view)
    key = await view.get(CustomerKey, customer_ref)
    if key is None:
        raise Rejected(Reason.UNKNOWN_CUSTOMER)
    if key.erased:
        raise Rejected(Reason.CUSTOMER_ERASED)
    return erase(customer_ref, [one.name for one in key.every], at, asked_by, view.now)


async def language_of(one: Complaint | Asked, view: View) -> Language:
    """The language that the customer of a complaint or a question chose, else its own; raises Unavailable."""
    chosen = await view.get(ChosenLanguage, one.customer_ref)
    return (chosen.language if chosen is not None else None) or one.language


async def contact_of_asked(asked: Asked, keys: Keys, view: View) -> Contact | None:
    """Where a customer who was asked could be reached; None once the time of that month's words is over.

    Raises Unavailable while the key has not come.
    """
    contact = await keys.open_words(
        asked.customer_ref, "contact", asked.contact, asked.passed_at, view
    )
    return Contact.model_validate_json(contact) if contact is not None else None


async def site_of(customer_ref: str, site: str | None, view: View) -> str:
    """A site at which the customer complained or praised, or was asked, described, delighted or erased.

    Raises Rejected(unknown_customer), and Unavailable.
    """
    erasure = await view.get(Erasure, customer_ref)
    profile = await view.get(KeptProfile, customer_ref)
    if erasure is not None and site in (None, erasure.site):
        return erasure.site
    if profile is not None and site in (None, profile.site):
        return profile.site
    kinds: tuple[tuple[type[Complaint | DelightGiven | Praise | Asked], str], ...] = (
        (Complaint, of_customer(customer_ref)),
        (DelightGiven, delights_of(customer_ref)),
        (Praise, praise_of_customer(customer_ref)),
        (Asked, asked_of(customer_ref)),
    )
    for kind, name in kinds:
        after: Cursor | None = None
        for _ in range(PAGES_MAX):
            page = await view.range(kind, name, after, STEP)
            for _, found in page.documents:
                if site in (None, found.site):
                    return found.site
            after = page.next
            if after is None:
                break
    raise Rejected(Reason.UNKNOWN_CUSTOMER)


async def erasure_of(customer_ref: str, site: str | None, view: View) -> Erasure:
    """The erasure of a customer (of the site, if one is named); raises Rejected(unknown_customer), Unavailable."""
    return await view.require(Erasure, customer_ref, Reason.UNKNOWN_CUSTOMER, site=site)


async def rewrapping(vault: Vault, view: View) -> Decision:
    """Wrap the next keys anew that the present wrapping key did not wrap; no facts if there are none.

    Raises Unavailable, also for a key that was wrapped by one that we were not given.
    """
    now_with, found = vault.wraps_with, dict[str, CustomerKey]()
    for name in (WRAPPED_LEAST, WRAPPED_MOST):
        # What others wrapped stands before what the present key wrapped, or behind it.
        for after in (None, Cursor(now_with, LAST)):
            page = await view.range(CustomerKey, name, after, STEP)
            found |= dict(page.documents)
    try:
        return Decision(
            [
                CustomerKeyRewrapped(
                    customer_ref=ref,
                    name=one.name,
                    wrapped=vault.rewrap(ref, one.wrapped),
                    month=one.month,
                    site=one.site,
                    rewrapped_at=view.now,
                )
                for ref, key in found.items()
                for one in key.every
                if wrapped_with(one.wrapped) != now_with
            ]
        )
    except UnknownWrapping:
        raise Unavailable(Reason.WRAPPING_KEY_MISSING) from None


async def all_unwrapped(vault: Vault, view: View) -> bool:
    """Whether every customer's key can be unwrapped by what we were given; raises Unavailable.

    Looks at one customer for each wrapping key, however many customers there are.
    """
    for name, which in ((WRAPPED_LEAST, min), (WRAPPED_MOST, max)):
        after: Cursor | None = None
        for _ in range(WRAPPING_KEYS_MAX):
            page = await view.range(CustomerKey, name, after, 1)
            after = page.next
            for _, key in page.documents:
                names = [wrapped_with(one.wrapped) for one in key.every]
                if not all(map(vault.opens, names)):
                    return False
                after = Cursor(which(names), LAST)
            if after is None:
                break
    return True


def _says_destroyed(value: bytes) -> bool:
    try:
        return bool(from_json(value)["type"] == CustomerKeyDestroyed.TYPE)
    except (ValueError, TypeError, KeyError):
        return False


class Customers:
    """The inputs of an erasure and what they need."""

    def __init__(
        self,
        settler: Settler,
        vault: Vault,
        gone: Gone,
        on_vault: OnVault,
        backups_kept: timedelta,
    ) -> None:
        self._settler = settler
        self._vault = vault
        self._gone = gone
        self._on_vault = on_vault
        self._backups_kept = backups_kept
        #: Looks at the vault topic one after the other, because each reads all of it.
        self._looking = asyncio.Lock()
        self._policies = Policies()

    async def forgets(self, customer_ref: str, view: View) -> Decision:
        """The next of an erased customer's complaints are forgotten."""
        page = await view.range(Complaint, of_customer(customer_ref), None, STEP)
        found = [complaint_id for complaint_id, _ in page.documents]
        forgotten = forget(customer_ref, found, view.now, more=page.next is not None)
        return Decision((*await self._splits(customer_ref, page.documents, view), *forgotten.facts))

    async def _splits(
        self, customer_ref: str, found: Sequence[tuple[str, Complaint]], view: View
    ) -> Sequence[Fact]:
        """Complaints of other customers stand by themselves again that were merged into one of these."""
        facts: list[Fact] = []
        for head_id, head in found:
            facts += await split_off(
                head_id,
                head,
                lambda one: one.customer_ref == customer_ref,
                None,
                self._policies,
                view,
            )
        return facts

    async def certifies(self, customer_ref: str, due_ms: int) -> None:
        """Certify an erasure.

        Raises Unavailable while the topics hold records from before it, a backup may, or the vault
        topic holds a wrapped key of the customer. Kafka does not compact the segment that it appends to, and closes it
        when something is appended later. So the word that the key was destroyed is said again.
        """
        view = self._settler.view()
        erasure = await view.get(Erasure, customer_ref)
        try:
            gone = erasure is None or (
                view.now >= backups_gone_at(erasure, self._backups_kept)
                and await self._gone(erasure.erased_at)
            )
            wrapped = await self._wrapped(customer_ref) if gone else set()
        except (KafkaError, OSError):
            gone, wrapped = False, set()
        if wrapped:
            await self._say_again(customer_ref, sorted(filter(KEY_NAME.fullmatch, wrapped)))
        if not gone or wrapped:
            raise Unavailable(Reason.STILL_KEPT, retry_after_s=ASK_AGAIN_S)

        async def decide(view: View) -> Decision:
            found = await view.get(Erasure, customer_ref)
            return Decision() if found is None else certify(found, customer_ref, view.now)

        await self._settler.settle_timer(CERTIFY, customer_ref, due_ms, decide)

    async def _wrapped(self, customer_ref: str) -> set[str]:
        """The names of the customer's keys of which a wrapping is on the vault topic; raises KafkaError, OSError."""
        async with self._looking:
            found = await self._on_vault(f"{customer_ref}/")
        return {key.rpartition("/")[2] for key, value in found if not _says_destroyed(value)}

    async def _say_again(self, customer_ref: str, names: Sequence[str]) -> None:
        """Append to the partitions of these keys that they were destroyed; raises Unavailable."""

        async def decide(view: View) -> Decision:
            return Decision(destroy(customer_ref, names, view.now))

        cause = f"command/destroyed/{customer_ref}/{score_at(self._settler.view().now)}"
        await self._settler.settle_internal(cause, customer_ref, decide)

    async def may_begin(self) -> bool:
        """Whether every key can be unwrapped, so that nothing comes in that could not be sealed or read.

        False, and logged, if not; also while the store cannot be asked.
        """
        try:
            well = await all_unwrapped(self._vault, self._settler.view())
        except Unavailable as unavailable:
            log.warning("keys_not_looked_at", reason=unavailable.reason.value)
            return False
        if not well:
            log.error("wrapping_key_missing", setting="SERVICE_CHECK_WRAPPING_KEY_ALSO")
        return well

    async def on_key(self, event: Event[CustomerKeyCreated], view: View) -> Decision:
        """Destroy a key that another service made before it heard that the customer was erased or the month is over."""
        fact = event.data
        key, names = await view.get(CustomerKey, fact.customer_ref), [name_of(fact.wrapped)]
        if key is not None and key.erased:
            return Decision(destroy(fact.customer_ref, names, view.now))
        if key is not None and fact.month is not None and key.over(fact.month):
            return Decision(destroy(fact.customer_ref, names, view.now, month=fact.month))
        return Decision()

    async def words_end(self, timer_id: str, view: View) -> Decision:
        """Destroy the keys of the words that are over at a site, some customers at a time.

        The timer is of one version of the site's policy; that of an earlier version changes nothing.
        """
        site, _, version = timer_id.rpartition("/")
        policy, in_force = await self._policies.at(site, view)
        if int(version) != in_force:
            return Decision()
        kept = policy.retention.words
        last = last_over(view.now, kept)
        page = await view.range(CustomerKey, with_words(site), None, STEP)
        due = [(ref, key) for ref, key in page.documents if key.first(site) <= last]
        return expire(
            site,
            in_force,
            kept,
            [
                OverKey(ref, one.month, one.name)
                for ref, key in due
                for one in key.every
                if one.month is not None and one.month <= last
            ],
            view.now,
            more=page.next is not None and len(due) == len(page.documents),
        )
