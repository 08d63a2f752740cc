"""What a customer wants, shown and changed by the link in a letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.notifier.preferences.rules import Preferences, change, unsubscribed
from services.notifier.subjects.rules import SiteCustomer, Story, customer_at
from shared.contracts.complaints import Language
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import Author
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.pages import Addressee
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.links import Tokens
from shared.runtime.roster import employed


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: what the customer wants, and what the site says where they chose nothing."""

    language: Language
    policy: Policy
    preferences: Preferences
    #: Those of the site's channels that the customer has an address on.
    channels: Sequence[MessageChannel]


async def wanted_by(customer_ref: str, view: View) -> Preferences:
    """What a customer wants now; raises Unavailable."""
    return await view.get(Preferences, customer_ref) or Preferences()


async def language_of(story: Story, view: View) -> Language:
    """The language that a complaint's customer chose, else that of the complaint; raises Unavailable."""
    return (await wanted_by(story.customer_ref, view)).language or story.language


async def contact_of(story: Story, keys: Keys, view: View) -> Contact:
    """Where the customer can be reached, opened; empty where nothing is known, or not any more.

    Raises Rejected(customer_erased), and Unavailable while the key has not come.
    """
    if story.contact is None:
        return Contact()
    if story.touchpoint is None:
        key = await keys.needed(story.customer_ref, view)
        return Contact.model_validate_json(key.open("contact", story.contact))
    # Of whoever was only asked it is sealed as words, and ends with them.
    contact = await keys.open_words(
        story.customer_ref, "contact", story.contact, story.received_at, view
    )
    return Contact.model_validate_json(contact) if contact is not None else Contact()


class Wishes:
    """Opens the link of a customer's preferences."""

    def __init__(self, tokens: Tokens, keys: Keys) -> None:
        self._tokens = tokens
        self._keys = keys
        self._policies = Policies()

    async def addressee_of(self, token: str, view: View) -> Addressee | None:
        """Whose link it is, also of an expired one; None if it is not ours."""
        story = await view.get(Story, self._tokens.told(token).get("complaint", ""))
        return Addressee(await language_of(story, view), story.site) if story else None

    def complaint_of(self, token: str) -> str:
        """The complaint that a link came with; raises Rejected(link_invalid)."""
        return self._tokens.read(token)["complaint"]

    async def opened(self, token: str, view: View) -> tuple[Story, Preferences]:
        """Whose link it is, and what they want; raises Rejected(link_invalid), also if they were erased."""
        story = await view.get(Story, self.complaint_of(token))
        if story is None or await self._keys.erased(story.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        return story, await wanted_by(story.customer_ref, view)

    async def shown(self, token: str, view: View) -> Shown:
        """What the page shows; raises Rejected(link_invalid, unknown_site)."""
        story, preferences = await self.opened(token, view)
        policy, _ = await self._policies.at(story.site, view)
        contact = await contact_of(story, self._keys, view)
        notify = policy.notify
        channels = [one for one in notify.channels if notify.address(contact, one) is not None]
        return Shown(preferences.language or story.language, policy, preferences, channels)

    async def change(self, token: str, wanted: Preferences, view: View) -> Decision:
        """What the customer wants from now on."""
        story, _ = await self.opened(token, view)
        return change(story.customer_ref, story.site, wanted, Author.CUSTOMER, view.now)

    async def unsubscribe(self, token: str, view: View) -> Decision:
        """No reminders from now on; everything else stays."""
        story, preferences = await self.opened(token, view)
        less = unsubscribed(preferences)
        return change(story.customer_ref, story.site, less, Author.ONE_CLICK, view.now)

    async def of_site(self, customer_ref: str, who: Principal, view: View) -> Preferences:
        """What a customer of the caller's site wants.

        Raises Rejected(unknown_customer, customer_erased), and for an employee whom the roster does not list
        Rejected(unknown_employee).
        """
        if who.kind is Kind.EMPLOYEE:
            await employed(who, view)
        name = customer_at(who.site, customer_ref)
        await view.require(SiteCustomer, name, Reason.UNKNOWN_CUSTOMER)
        if await self._keys.erased(customer_ref, view):
            raise Rejected(Reason.CUSTOMER_ERASED)
        return await wanted_by(customer_ref, view)
