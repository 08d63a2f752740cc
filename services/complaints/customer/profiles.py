"""What other systems know of a customer: recorded sealed, opened where it helps; and that they bought again."""

from __future__ import annotations

from functools import partial

from services.complaints.customer.rules import Erasure, KeptProfile, bought, described
from services.complaints.intake.rules import DESCRIBED_AHEAD_MAX, STAY_AHEAD_MAX, plausible
from services.complaints.lifecycle.rules import Complaint, of_customer
from shared.contracts.event import Event
from shared.contracts.intake import CustomerDescribed, CustomerPurchased, Named, Profile
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import RANGE_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.seal import Vault

#: The field under which a profile is sealed.
FIELD = "profile"
NOTHING = Profile()


class Profiles:
    """Records what other systems say of customers, and opens it."""

    def __init__(self, vault: Vault) -> None:
        self._names = vault.pseudonyms
        self._keys = Keys(vault)
        self._policies = Policies()

    async def of(self, customer_ref: str, site: str, view: View) -> Profile:
        """What is known of a customer, without the stay at another site; an empty one if nothing is, or not any more.

        Raises Unavailable.
        """
        kept = await view.get(KeptProfile, customer_ref)
        if kept is None or kept.profile is None:
            return NOTHING
        text = await self._keys.open_words(
            customer_ref, FIELD, kept.profile, kept.recorded_at, view
        )
        if text is None:
            return NOTHING
        found = Profile.model_validate_json(text)
        if kept.site == site:
            return found
        return found.model_copy(update={"stay_begins_at": None, "stay_ends_at": None})

    def on_described(self, event: Event[CustomerDescribed]) -> Prepared:
        """A description: what to read ahead, and `_described` to decide."""
        customer_ref = self.ref_of(event.source, event.data)
        reads = (
            KeptProfile.key(customer_ref),
            CustomerKey.key(customer_ref),
            PolicyHead.key(event.data.site),
        )
        return Prepared(partial(self._described, event.data, customer_ref), reads)

    async def _described(self, fact: CustomerDescribed, customer_ref: str, view: View) -> Decision:
        """Record what is known of a customer, unless something later is known.

        Raises Rejected(time_out_of_range, unknown_site, customer_erased), and Unavailable.
        """
        if not plausible(fact.described_at, view.now, DESCRIBED_AHEAD_MAX):
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/described_at",))
        for name in ("stay_begins_at", "stay_ends_at"):
            if not plausible(getattr(fact, name), view.now, STAY_AHEAD_MAX):
                raise Rejected(Reason.TIME_OUT_OF_RANGE, where=(f"/data/{name}",))
        await self._policies.at(fact.site, view)
        erasure = await view.get(Erasure, customer_ref)
        if erasure is not None and fact.described_at <= erasure.erased_at:
            return Decision()  # It would make known again what was erased.
        customer_ref = await self._keys.current(customer_ref, view)
        known = await view.get(KeptProfile, customer_ref)
        text = Profile.model_validate(fact.model_dump()).model_dump_json(exclude_defaults=True)
        content = self._names.content(f"{fact.site} {text}")
        if known is not None and not known.older(fact.described_at, content):
            return Decision()
        seals = await self._keys.seals(customer_ref, fact.site, view)
        recorded = described(
            customer_ref,
            fact.site,
            seals.words.seal(FIELD, text),
            content,
            fact.described_at,
            view.now,
        )
        return Decision((*seals.created, recorded))

    def on_purchased(self, event: Event[CustomerPurchased]) -> Prepared:
        """A purchase: what to read ahead, and `_purchased` to decide."""
        customer_ref = self.ref_of(event.source, event.data)
        reads = (CustomerKey.key(customer_ref), PolicyHead.key(event.data.site))
        return Prepared(partial(self._purchased, event.data, customer_ref), reads)

    async def _purchased(self, fact: CustomerPurchased, customer_ref: str, view: View) -> Decision:
        """Record that a customer came back, if they complained before and it was handled; else nothing is kept.

        Raises Rejected(time_out_of_range, unknown_site, customer_erased), and Unavailable.
        """
        if not plausible(fact.purchased_at, view.now):
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/purchased_at",))
        await self._policies.at(fact.site, view)
        customer_ref = await self._keys.current(customer_ref, view)
        page = await view.range(Complaint, of_customer(customer_ref), None, RANGE_MAX)
        return bought(
            page.documents, customer_ref, fact.purchased_at, fact.amount_minor, fact.currency
        )

    def ref_of(self, source: str, fact: Named) -> str:
        """The pseudonym of whom it is about, the same as of the complaints of that customer."""
        if fact.customer is not None:
            return self._names.customer(fact.named_by or source, fact.customer)
        assert fact.email is not None, "a Named has a name or an address"
        return self._names.customer_at(fact.site, fact.email)
