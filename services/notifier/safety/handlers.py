"""Somebody's safety is concerned: the site's role mailboxes are told, once per complaint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from services.notifier.channels.ports import Letter
from services.notifier.messages.rules import Message
from services.notifier.safety.rules import ALARM, Alarm, Routed, route
from services.notifier.subjects.rules import Story
from services.notifier.wording.wording import Says, Wording
from shared.contracts.complaints import reference_of
from shared.contracts.event import Event
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import SafetyRouted
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mailboxes import RoleMailbox
from shared.runtime.observe import MESSAGES, log
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import format_time, say, spoken

#: Pause before missing parts of an alarm about safety are looked for again.
LOOK_AGAIN_S = 5


class Alarms:
    """Letters to role mailboxes about safety: kind, place and reference, no name and no words of the customer's."""

    def __init__(
        self, settler: Settler, keys: Keys, mailboxes: Mapping[str, RoleMailbox], wording: Wording
    ) -> None:
        self._settler = settler
        self._keys = keys
        self._mailboxes = mailboxes
        self._wording = wording
        self._policies = Policies()

    async def on_policy(self, event: Event[PolicyPublished], _view: View) -> Decision:
        """Log a policy's unknown role mailboxes when it comes, and not only at the first alarm."""
        site, named = event.data.site, event.data.policy.notify.safety
        if not named:
            log.warning("safety_reaches_nobody", site=site)
        for mailbox in named:
            if mailbox not in self._mailboxes:
                log.error("unknown_mailbox", site=site, mailbox=mailbox)
        return Decision()

    async def route(self, complaint_id: str, due_ms: int) -> None:
        """Queue a message for each mailbox of the site's policy, unless it was done before.

        Raises Unavailable while a part has not come.
        """
        facts = await self._settler.settle_timer(
            ALARM, complaint_id, due_ms, partial(self._routed, complaint_id)
        )
        for fact in facts:
            if isinstance(fact, SafetyRouted) and not fact.mailboxes:
                log.error("safety_reaches_nobody", site=fact.site, complaint=complaint_id)
                MESSAGES.labels("safety", "unaddressed").inc()

    async def _routed(self, complaint_id: str, view: View) -> Decision:
        await view.prefetch([one.key(complaint_id) for one in (Routed, Alarm, Story)])
        if await view.get(Routed, complaint_id) is not None:
            return Decision()
        alarm = await view.get(Alarm, complaint_id)
        about = alarm or await view.get(Story, complaint_id)
        if about is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN, retry_after_s=LOOK_AGAIN_S)
        try:
            policy, _ = await self._policies.at(about.site, view)
        except Rejected as rejected:  # a fact of a site whose policy has not come yet
            raise Unavailable(rejected.reason, retry_after_s=LOOK_AGAIN_S) from None
        return route(
            complaint_id,
            customer_ref=about.customer_ref,
            site=about.site,
            kinds=alarm.kinds if alarm else (),
            language=policy.languages[0],
            mailboxes=policy.notify.safety,
            now=view.now,
        )

    def channels(self, mailbox: str) -> Sequence[MessageChannel]:
        """The channels that a mailbox is told by, first choice first; none of one that nobody knows."""
        found = self._mailboxes.get(mailbox)
        return found.channels if found is not None else ()

    async def letter(self, message_id: str, message: Message, mailbox: str, view: View) -> Letter:
        """The letter to one mailbox, or the text message to its number.

        Raises Rejected(unknown_mailbox, no_address_on_channel, unknown_site), Unavailable.
        """
        found = self._mailboxes.get(mailbox)
        if found is None:
            log.error("unknown_mailbox", site=message.site, mailbox=mailbox)
            raise Rejected(Reason.UNKNOWN_MAILBOX)
        address = found.address(message.channel)
        if address is None:
            raise Rejected(Reason.NO_ADDRESS_ON_CHANNEL)
        policy, _ = await self._policies.at(message.site, view)
        alarm = await view.get(Alarm, message.complaint_id)
        language = spoken(message.language, policy)
        values: dict[str, Says] = {
            "kinds": [say(language, f"safety.{kind}") for kind in alarm.kinds] if alarm else [],
            "site_name": policy.site_name,
            "place": await self._place(message.complaint_id, view),
            "reference": reference_of(message.complaint_id),
            "heard_at": format_time(message.queued_at, policy.timezone, language, view.now),
        }
        rendered = self._wording.render(message.occasion, language, values)
        return Letter(
            message_id,
            policy.notify.sender(message.channel),
            address,
            rendered.subject,
            rendered.text,
            rendered.html,
            channel=message.channel,
            short=f"{rendered.subject} {reference_of(message.complaint_id)}",
            segments_max=policy.notify.segments_max,
        )

    async def _place(self, complaint_id: str, view: View) -> str:
        """Where it happened; empty if that is not known, or cannot be read. Raises Unavailable."""
        story = await view.get(Story, complaint_id)
        if story is None or story.place is None:
            return ""
        # Whoever must look is told at once, and waits for no key.
        found = await self._keys.readable_words(
            story.customer_ref, {"place": story.place}, story.received_at, view
        )
        return found.get("place", "")
