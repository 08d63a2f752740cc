"""The handlers of complaints: one function per input, and the documents that each reads ahead."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache, partial

from services.complaints.ports import News, Reader
from services.complaints.rules import (
    OVERDUE,
    Complaint,
    KeptAt,
    break_promise,
    claim,
    log,
    plausible,
    receive,
    take_feedback,
)
from shared.contracts.compensation import CheckIssued, ComplaintLogged
from shared.contracts.complaints import ComplaintRepeated
from shared.contracts.event import Event
from shared.contracts.intake import ComplaintRaised
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.observe import PROMISES_BROKEN
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.seal import Vault

#: Sources whose pseudonyms are kept in memory.
REMEMBERED_MAX = 2000


class Handlers:
    """The inputs of complaints and what they need."""

    def __init__(self, vault: Vault, reader: Reader, settler: Settler, news: News) -> None:
        self._names = vault.pseudonyms
        # By source: there are few, and each raises many complaints.
        self._ref_of = lru_cache(maxsize=REMEMBERED_MAX)(self._names.customer)
        self._sender_ref = lru_cache(maxsize=REMEMBERED_MAX)(self._names.sender)
        self._keys = Keys(vault)
        self._policies = Policies()
        self._reader = reader
        self._settler = settler
        self._news = news

    def on_raised(self, event: Event[ComplaintRaised]) -> Prepared:
        """The input of another system: what to read ahead (complaint, key, policy), and `_raised` to decide."""
        complaint_id = complaint_id_of(event.id)
        customer_ref = self._customer_ref(event.source, event.data, complaint_id)
        reads = (
            Complaint.key(complaint_id),
            CustomerKey.key(customer_ref),
            PolicyHead.key(event.data.site),
        )
        return Prepared(partial(self._raised, event, complaint_id, customer_ref), reads)

    async def _raised(
        self, event: Event[ComplaintRaised], complaint_id: str, customer_ref: str, view: View
    ) -> Decision:
        """Receive a complaint of another system.

        Raises Rejected(time_out_of_range) for an implausible time of the event, and what `_receive` raises.
        """
        if not plausible(event.time, view.now):
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/time",))
        raised = event.data
        if raised.raised_by is not None:
            known_as = self._names.person(event.source, raised.raised_by)
            raised = raised.model_copy(update={"raised_by": known_as})
        # A publisher that names no customer counts as one customer itself.
        counts_for = None if raised.customer else self.as_one(event.source)
        return await self._receive(
            raised, event.source, complaint_id, customer_ref, view, counts_for
        )

    async def raise_complaint(
        self,
        raised: ComplaintRaised,
        source: str,
        complaint_id: str,
        view: View,
        counts_for: str | None = None,
        *,
        by_customer: bool = False,
    ) -> Decision:
        """Receive a complaint raised over HTTP; raises what `_receive` raises."""
        customer_ref = self._customer_ref(source, raised, complaint_id)
        return await self._receive(
            raised, source, complaint_id, customer_ref, view, counts_for, by_customer=by_customer
        )

    async def _receive(
        self,
        raised: ComplaintRaised,
        source: str,
        complaint_id: str,
        customer_ref: str,
        view: View,
        counts_for: str | None,
        *,
        by_customer: bool = False,
    ) -> Decision:
        """Receive a complaint once; `counts_for` is the customer that it counts for in an incident.

        Raises Rejected(time_out_of_range, unknown_site), and Rejected(conflicting_repeat) where
        another complaint was raised under this id before.
        """
        if not plausible(raised.occurred_at, view.now):
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/occurred_at",))
        policy, version = await self._policies.at(raised.site, view)
        # A hash of the parsed fields, so that binary mode or other blanks give the same hash. Defaults are
        # left out, so that a field of a later version does not change it.
        content = self._names.content(raised.model_dump_json(exclude_defaults=True))
        before = await view.get(Complaint, complaint_id)
        if before is not None:
            if not before.repeats(content):
                raise Rejected(Reason.CONFLICTING_REPEAT)
            return Decision.of(ComplaintRepeated(complaint_id=complaint_id))
        customer_ref = await self._keys.current(customer_ref, view)
        seals = await self._keys.seals(customer_ref, raised.site, view)
        language = self._reader.language(raised.text, raised.language)
        contact = raised.contact
        return Decision(
            seals.created
            + receive(
                raised,
                complaint_id=complaint_id,
                customer_ref=customer_ref,
                language=language,
                text=seals.words.seal("text", raised.text),
                contact=None
                if contact is None or contact.empty
                else seals.contact.seal("contact", contact.model_dump_json()),
                content=content,
                reachable=contact is not None and contact.reachable,
                sender_ref=self._sender_ref(source, "pe" if by_customer else "so"),
                understood=self._reader.understand(raised.text, language),
                policy=policy,
                policy_version=version,
                now=view.now,
                counts_for=counts_for,
            )
        )

    def event_name(self, source: str, event_id: str) -> str:
        """The pseudonym that stands for an event of another system from the moment it is read."""
        return self._names.event(source, event_id)

    async def on_issued(self, event: Event[CheckIssued], view: View) -> Decision:
        """An employee gave the customer something: they own the complaint now.

        A check given on the spot may arrive before ComplaintLogged, which claims the complaint itself.
        """
        fact = event.data
        complaint = await view.get(Complaint, fact.complaint_id)
        if complaint is None:
            return Decision()
        return claim(complaint, fact.complaint_id, fact.employee_id, view.now)

    async def on_logged(self, event: Event[ComplaintLogged], view: View) -> Decision:
        """Record a complaint from the quick log that an employee wrote on the spot."""
        fact = event.data
        if await view.get(Complaint, fact.complaint_id) is not None:
            return Decision()
        policy, version = await self._policies.at(fact.site, view)
        erased = await self._erased(fact.customer_ref, view)
        return log(fact, policy, version, view.now, erased=erased)

    @staticmethod
    async def _erased(customer_ref: str, view: View) -> bool:
        key = await view.get(CustomerKey, customer_ref)
        return key is not None and key.erased

    async def on_feedback(self, event: Event[FeedbackReceived], view: View) -> Decision:
        """Confirm or reopen the complaint as the customer answered "did it help?".

        Nothing comes of a no of a customer who was erased meanwhile: nobody could be written to.
        """
        fact = event.data
        complaint = await known(fact.complaint_id, view)
        if fact.helped is Helped.NO and await self._erased(complaint.customer_ref, view):
            return Decision()
        policy, _ = await self._policies.at(complaint.site, view)
        return take_feedback(
            complaint,
            fact.complaint_id,
            fact.helped,
            policy,
            view.now,
            answered_at=fact.answered_at,
        )

    async def promise_passed(self, promise_id: str, due_ms: int) -> None:
        """A promised time is over: a fact if the customer was neither given nor offered anything.

        A check that was given in time may arrive here much later after an outage. So this raises
        Unavailable until all facts up to the promised time have been read.
        """
        complaint_id, _, number = promise_id.rpartition("/")

        async def decide(view: View) -> Decision:
            await view.prefetch([Complaint.key(complaint_id), KeptAt.key(complaint_id)])
            complaint = await view.get(Complaint, complaint_id)
            kept_at = await view.get(KeptAt, complaint_id)
            if complaint is None:
                return Decision()
            return break_promise(complaint, complaint_id, int(number), kept_at, view.now)

        if (await decide(self._settler.view())).facts:
            await self._news.read_until(datetime.fromtimestamp(due_ms / 1000, UTC))
        for _ in await self._settler.settle_timer(
            OVERDUE, promise_id, due_ms, decide, about=complaint_id
        ):
            PROMISES_BROKEN.inc()

    async def read_text(self, complaint: Complaint, view: View) -> str | None:
        """The customer's words; None once the customer was erased or the words' time is over; raises Unavailable."""
        return await words_of(complaint, self._keys, view)

    def as_one(self, source: str) -> str:
        """The pseudonym of a source that names no customers and so counts as one in an incident."""
        # The empty name belongs to no customer.
        return self._ref_of(source, "")

    def _customer_ref(self, source: str, raised: ComplaintRaised, complaint_id: str) -> str:
        """The customer's pseudonym: from the source's own id, else from the address, else from this complaint."""
        address = raised.contact.email if raised.contact is not None else None
        return self._names.customer_of(complaint_id, source, raised.site, raised.customer, address)


def complaint_id_of(name: str) -> str:
    """The complaint's id, from the pseudonym of its event or the name of its request: the same for a repeat."""
    return f"co-{name}"


async def words_of(complaint: Complaint, keys: Keys, view: View) -> str | None:
    """A complaint's words; None once its customer was erased or the words' time is over; raises Unavailable."""
    return await keys.open_words(
        complaint.customer_ref, "text", complaint.text, complaint.received_at, view
    )


async def known(complaint_id: str, view: View) -> Complaint:
    """The complaint of this id; raises Rejected(unknown_complaint)."""
    return await view.require(
        Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, where=("/data/complaint_id",)
    )
