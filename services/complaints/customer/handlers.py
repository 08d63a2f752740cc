"""Erases customers: on request, step by step by timers, and against keys that come late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from aiokafka.errors import KafkaError

from services.complaints.customer.rules import (
    CERTIFY,
    STEP,
    Erasure,
    certify,
    destroy,
    erase,
    forget,
)
from services.complaints.rules import Complaint, of_customer
from shared.contracts.event import Event
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.privacy.keys import CustomerKey

#: Pause before topics are asked again whether they have dropped old records, which takes days.
ASK_AGAIN_S = 3600

#: Says whether the topics that hold words outside customers' keys have nothing from before a moment;
#: raises KafkaError, OSError.
Gone = Callable[[datetime], Awaitable[bool]]


async def erasing(customer_ref: str, site: str | None, asked_by: str, view: View) -> Decision:
    """Erase a customer who complained at the site (at any, if None).

    Raises Rejected(unknown_customer, customer_erased), and Unavailable.
    """
    at = await site_of(customer_ref, site, view)
    key = await view.get(CustomerKey, customer_ref)
    if key is None:
        raise Rejected(Reason.UNKNOWN_CUSTOMER)
    if key.erased:
        raise Rejected(Reason.CUSTOMER_ERASED)
    return erase(customer_ref, key.wrapped, at, asked_by, view.now)


async def site_of(customer_ref: str, site: str | None, view: View) -> str:
    """A site at which the customer complained, or was erased; raises Rejected(unknown_customer)."""
    erasure = await view.get(Erasure, customer_ref)
    page = await view.range(Complaint, of_customer(customer_ref), None, STEP)
    sites = [complaint.site for _, complaint in page.documents]
    sites += [erasure.site] if erasure is not None else []
    found = next((one for one in sites if site in (None, one)), None)
    if found is None:
        raise Rejected(Reason.UNKNOWN_CUSTOMER)
    return found


async def erasure_of(customer_ref: str, site: str | None, view: View) -> Erasure:
    """The erasure of a customer (of the site, if one is named); raises Rejected(unknown_customer), Unavailable."""
    return await view.require(Erasure, customer_ref, Reason.UNKNOWN_CUSTOMER, site=site)


class Customers:
    """The inputs of an erasure and what they need."""

    def __init__(self, settler: Settler, gone: Gone) -> None:
        self._settler = settler
        self._gone = gone

    async def forgets(self, customer_ref: str, view: View) -> Decision:
        """The next of an erased customer's complaints are forgotten."""
        page = await view.range(Complaint, of_customer(customer_ref), None, STEP)
        found = [complaint_id for complaint_id, _ in page.documents]
        return forget(customer_ref, found, view.now, more=page.next is not None)

    async def certifies(self, customer_ref: str, due_ms: int) -> None:
        """Certify an erasure; raises Unavailable while the topics hold records from before it."""
        erasure = await self._settler.view().get(Erasure, customer_ref)
        try:
            gone = erasure is None or await self._gone(erasure.erased_at)
        except (KafkaError, OSError):
            gone = False
        if not gone:
            raise Unavailable(Reason.STILL_KEPT, retry_after_s=ASK_AGAIN_S)

        async def decide(view: View) -> Decision:
            found = await view.get(Erasure, customer_ref)
            return Decision() if found is None else certify(found, customer_ref, view.now)

        await self._settler.settle_timer(CERTIFY, customer_ref, due_ms, decide)

    async def on_key(self, event: Event[CustomerKeyCreated], view: View) -> Decision:
        """Destroy a key that another service made for a customer of whose erasure it had not heard."""
        fact = event.data
        key = await view.get(CustomerKey, fact.customer_ref)
        if key is None or not key.erased:
            return Decision()
        return Decision(destroy(fact.customer_ref, [fact.wrapped], view.now))
