"""Receives complaints from every channel, and names the documents that each reads ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from services.complaints.colleagues.handlers import crew
from services.complaints.customer.profiles import NOTHING, Profiles
from services.complaints.customer.rules import KeptProfile
from services.complaints.intake.rules import (
    FORESEEN,
    STAY_AHEAD_MAX,
    Answer,
    Praise,
    Sealed,
    as_answered,
    foretold,
    log,
    plausible,
    praise_id_of,
    praised_by,
    receive,
    reserved,
    source_of_token,
)
from services.complaints.lifecycle.rules import Complaint
from services.complaints.matters.handlers import at_once
from services.complaints.triage.handlers import Triage
from services.complaints.triage.rules import Understood, as_chosen, is_praise
from shared.contracts.compensation import ComplaintLogged
from shared.contracts.complaints import (
    Category,
    ComplaintRepeated,
    Language,
    PraiseReceived,
    PraiseRepeated,
)
from shared.contracts.event import Event
from shared.contracts.intake import Affected, ComplaintRaised, Disruption, DisruptionAnnounced
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey, Keys, Seals
from shared.runtime.privacy.seal import Vault

#: Sources whose pseudonyms are kept in memory.
REMEMBERED_MAX = 2000


class Intake:
    """Receives complaints: from other systems, over HTTP, and from the quick log of a desk."""

    def __init__(self, vault: Vault, triage: Triage, profiles: Profiles) -> None:
        self._names = vault.pseudonyms
        # By source: there are few, and each raises many complaints.
        self._ref_of = lru_cache(maxsize=REMEMBERED_MAX)(self._names.customer)
        self._sender_ref = lru_cache(maxsize=REMEMBERED_MAX)(self._names.sender)
        self._keys = Keys(vault)
        self._policies = Policies()
        self._triage = triage
        self._profiles = profiles

    def on_raised(self, event: Event[ComplaintRaised]) -> Prepared:
        """The input of another system: what to read ahead (complaint, key, profile, policy), and `_raised` to decide."""
        complaint_id = complaint_id_of(event.id)
        customer_ref = self._customer_ref(event.source, event.data, complaint_id)
        reads = (
            Complaint.key(complaint_id),
            CustomerKey.key(customer_ref),
            KeptProfile.key(customer_ref),
            PolicyHead.key(event.data.site),
        )
        return Prepared(partial(self._raised, event, complaint_id, customer_ref), reads)

    async def _raised(
        self, event: Event[ComplaintRaised], complaint_id: str, customer_ref: str, view: View
    ) -> Decision:
        """Receive a complaint of another system.

        Raises what `fits` and `_receive` raise.
        """
        fits(event, view)
        return await self._published(event.data, event.source, complaint_id, customer_ref, view)

    def on_announced(self, event: Event[DisruptionAnnounced]) -> Prepared:
        """What goes wrong for many: what to read ahead of each of them, and `_announced` to decide."""
        # By their pseudonym: whoever is named twice is one customer, as they were named first.
        named: dict[str, Affected] = {}
        for one in event.data.customers:
            named.setdefault(self._names.customer(event.source, one.customer), one)
        affected = [
            (ref, complaint_id_of(self._names.affected(event.id, one.customer)), one)
            for ref, one in named.items()
        ]
        reads = [PolicyHead.key(event.data.site)]
        for ref, complaint_id, _ in affected:
            reads += [CustomerKey.key(ref), Complaint.key(complaint_id), KeptProfile.key(ref)]
        return Prepared(partial(self._announced, event, affected), reads)

    async def _announced(
        self,
        event: Event[DisruptionAnnounced],
        affected: Sequence[tuple[str, str, Affected]],
        view: View,
    ) -> Decision:
        """A complaint for each customer who is named, before they say anything; nothing if nobody is.

        `affected` has the pseudonym of each, and their complaint's id. Erased customers are left out: they did not come
        back. Each is known by the token of their name, so that their own later words about the same are merged into it.
        Raises what `fits` and `_receive` raise.
        """
        fits(event, view)
        facts: list[Fact] = []
        for customer_ref, complaint_id, one in affected:
            if await self._keys.erased(customer_ref, view):
                continue
            decision = await self._receive(
                foretold(event.data, one),
                source_of_token(event.data.site, Kind.CUSTOMER, one.customer),
                complaint_id,
                customer_ref,
                view,
                None,
                by_customer=True,
                chosen=FORESEEN[event.data.kind],
                disruption=event.data.kind,
            )
            facts += decision.facts
        return Decision(facts)

    async def raise_published(
        self, raised: ComplaintRaised, source: str, complaint_id: str, view: View
    ) -> Decision:
        """Receive a complaint of another system that came over HTTP; raises what `_receive` raises."""
        customer_ref = self._customer_ref(source, raised, complaint_id)
        return await self._published(raised, source, complaint_id, customer_ref, view)

    async def _published(
        self, raised: ComplaintRaised, source: str, complaint_id: str, customer_ref: str, view: View
    ) -> Decision:
        if raised.raised_by is not None:
            known_as = self._names.person(source, raised.raised_by)
            raised = raised.model_copy(update={"raised_by": known_as})
        # A publisher that names no customer counts as one customer itself.
        counts_for = None if raised.customer else self.as_one(source)
        return await self._receive(raised, source, complaint_id, customer_ref, view, counts_for)

    async def raise_complaint(
        self,
        raised: ComplaintRaised,
        source: str,
        complaint_id: str,
        view: View,
        counts_for: str | None = None,
        *,
        by_customer: bool = False,
        chosen: Category | None = None,
        shown_in: Language | None = None,
    ) -> Decision:
        """Receive a complaint raised over HTTP; raises what `_receive` raises."""
        customer_ref = self._customer_ref(source, raised, complaint_id)
        return await self._receive(
            raised,
            source,
            complaint_id,
            customer_ref,
            view,
            counts_for,
            by_customer=by_customer,
            chosen=chosen,
            shown_in=shown_in,
        )

    async def raise_answer(
        self,
        raised: ComplaintRaised,
        complaint_id: str,
        customer_ref: str,
        answer: Answer,
        shown_in: Language,
        view: View,
    ) -> Decision:
        """Receive what a customer answered to a question of ours; raises what `_receive` raises.

        A bad answer is a complaint, whatever its words say; another one is praise or a complaint by its words.
        """
        return await self._receive(
            raised,
            f"/q/{customer_ref}",
            complaint_id,
            customer_ref,
            view,
            None,
            by_customer=True,
            shown_in=shown_in,
            answer=answer,
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
        chosen: Category | None = None,
        shown_in: Language | None = None,
        disruption: Disruption | None = None,
        answer: Answer | None = None,
    ) -> Decision:
        """Receive a complaint once, or praise; `counts_for` is the customer that it counts for in an incident.

        `chosen` is the category that the customer said, `shown_in` the language in which they were asked. With
        `disruption` they said nothing yet, so that it is no praise; with `answer` we asked them.

        Raises Rejected(time_out_of_range, unknown_site), and Rejected(conflicting_repeat) where something else was
        raised under this id before.
        """
        _in_time(raised, view.now)
        policy, version = await self._policies.at(raised.site, view)
        # A hash of the parsed fields, so that binary mode or other blanks give the same hash. Defaults are
        # left out, so that a field of a later version does not change it.
        content = self._names.content(raised.model_dump_json(exclude_defaults=True))
        if (before := await view.get(Complaint, complaint_id)) is not None:
            if not before.repeats(content):
                raise Rejected(Reason.CONFLICTING_REPEAT)
            return Decision.of(ComplaintRepeated(complaint_id=complaint_id))
        customer_ref = await self._keys.current(customer_ref, view)
        seals = await self._keys.seals(customer_ref, raised.site, view)
        described = await view.get(KeptProfile, customer_ref) is not None
        profile = await self._profiles.of(customer_ref, raised.site, view) if described else NOTHING
        prefers = raised.language or profile.language
        written_in = None if disruption is not None else raised.language
        language, said = self._read(raised.text, prefers, written_in, shown_in, policy, answer)
        understood = as_chosen(said, chosen) if answer is None else as_answered(said, answer)
        # An employee who writes down a complaint has heard the customer, and is believed.
        told = disruption is None and (raised.praise or raised.raised_by is None)
        if told and is_praise(understood, stated=raised.praise):
            praise = await self._praise(
                raised, complaint_id, customer_ref, language, understood, policy, seals, view
            )
            if praise is not None:
                return praise
        facts = receive(
            raised,
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            language=language,
            sealed=self._sealed(raised, seals),
            content=content,
            reachable=policy.notify.reaches(raised.contact),
            sender_ref=self._sender_ref(source, "pe" if by_customer else "so"),
            understood=understood,
            policy=policy,
            policy_version=version,
            now=view.now,
            profile=profile,
            counts_for=counts_for,
            disruption=disruption,
            score_only=answer is not None and answer.score_only,
        )
        if not by_customer or disruption is not None:
            return Decision((*seals.created, *facts))
        named = raised.customer is not None or answer is not None
        return Decision((*seals.created, *await at_once(*facts, policy, view, named=named)))

    def _read(
        self,
        text: str,
        prefers: str | None,
        written_in: str | None,
        shown_in: Language | None,
        policy: Policy,
        answer: Answer | None,
    ) -> tuple[Language, Understood]:
        """The language to answer in, and what the words say, which may be in another language than the customer's.

        An answer that states its language has our own question as its words, which is in that language.
        """
        answer_in = words_in = self._triage.language_of(
            text, prefers, shown_in or policy.languages[0]
        )
        if prefers != written_in:
            words_in = self._triage.language_of(text, written_in, answer_in.language)
        if written_in is not None and words_in.supported and answer is None:
            return answer_in.language, self._triage.understand_stated(text, words_in.language)
        said = self._triage.understand(text, words_in.language)
        return answer_in.language, said._replace(unsupported_language=not words_in.supported)

    def _sealed(self, raised: ComplaintRaised, seals: Seals) -> Sealed:
        contact, place = raised.contact, raised.place
        return Sealed(
            text=seals.words.seal("text", raised.text),
            contact=None
            if contact is None or contact.empty
            else seals.contact.seal("contact", contact.model_dump_json()),
            place=None if place is None else seals.words.seal("place", place),
            place_ref=None if place is None else self._names.place(raised.site, place),
            contact_refs=()
            if contact is None
            else self._names.contacts(raised.site, contact.email, contact.phone),
        )

    async def _praise(
        self,
        raised: ComplaintRaised,
        complaint_id: str,
        customer_ref: str,
        language: Language,
        understood: Understood,
        policy: Policy,
        seals: Seals,
        view: View,
    ) -> Decision | None:
        """Receive praise once: its words are sealed, and neither an address nor a promise is kept.

        None if no employee could read it. Raises Rejected(conflicting_repeat) for other words under the same id.
        """
        praise_id = praise_id_of(complaint_id)
        known = await view.get(Praise, praise_id)
        if known is not None:
            words = await self._keys.open_words(
                known.customer_ref, "text", known.text, known.received_at, view
            )
            if words not in (None, raised.text):
                raise Rejected(Reason.CONFLICTING_REPEAT)
            return Decision.of(PraiseRepeated(praise_id=praise_id))
        at = raised.occurred_at or view.now
        praised = praised_by(await crew(raised.site, view), understood, policy, at)
        if not praised:
            return None
        text = seals.words.seal("text", raised.text)
        fact = PraiseReceived(
            praise_id=praise_id,
            customer_ref=customer_ref,
            site=raised.site,
            channel=raised.channel,
            language=language,
            text=text,
            category=understood.category,
            step=understood.step,
            stated=raised.praise,
            praised=praised,
            received_at=view.now,
        )
        return Decision((*seals.created, fact))

    def event_name(self, source: str, event_id: str) -> str:
        """The pseudonym that stands for an event of another system from the moment it is read."""
        return self._names.event(source, event_id)

    async def on_logged(self, event: Event[ComplaintLogged], view: View) -> Decision:
        """Record a complaint from the quick log that an employee wrote on the spot."""
        fact = event.data
        if await view.get(Complaint, fact.complaint_id) is not None:
            return Decision()
        policy, version = await self._policies.at(fact.site, view)
        erased = await self._keys.erased(fact.customer_ref, view)
        profile = await self._profiles.of(fact.customer_ref, fact.site, view)
        return log(fact, profile, policy, version, view.now, erased=erased)

    def as_one(self, source: str) -> str:
        """The pseudonym of a source that names no customers and so counts as one in an incident."""
        # The empty name belongs to no customer.
        return self._ref_of(source, "")

    def _customer_ref(self, source: str, raised: ComplaintRaised, complaint_id: str) -> str:
        """The customer's pseudonym: from the source's own id, else from the address, else from this complaint."""
        address = raised.contact.email if raised.contact is not None else None
        return self._names.customer_of(complaint_id, source, raised.site, raised.customer, address)


def _in_time(raised: ComplaintRaised, now: datetime) -> None:
    """Raise Rejected(time_out_of_range) for times that are mistakes."""
    if not plausible(raised.occurred_at, now):
        raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/occurred_at",))
    if not plausible(raised.stay_ends_at, now, STAY_AHEAD_MAX):
        raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/stay_ends_at",))


def fits(event: Event[Any], view: View) -> None:
    """Raises Rejected(schema_invalid) for a source that complaints gives itself, and Rejected(time_out_of_range)."""
    if reserved(event.source):
        raise Rejected(Reason.SCHEMA_INVALID, where=("/source",))
    if not plausible(event.time, view.now):
        raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/time",))


def complaint_id_of(name: str) -> str:
    """The complaint's id, from the pseudonym of its event or the name of its request: the same for a repeat."""
    return f"co-{name}"
