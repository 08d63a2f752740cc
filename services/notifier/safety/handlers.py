"""Somebody's safety is concerned: the site's role mailboxes are told, and told once more if nobody has seen it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from services.notifier.channels.ports import Letter
from services.notifier.channels.providers import Providers
from services.notifier.messages.letters import place_of
from services.notifier.messages.rules import Message
from services.notifier.safety.rules import (
    ALARM,
    SEEN,
    Alarm,
    Routed,
    To,
    messages_to,
    not_seen,
    other_channel,
    route,
)
from services.notifier.subjects.rules import Story
from services.notifier.wording.wording import Says, Wording
from shared.contracts.complaints import Flag, Language, reference_of
from shared.contracts.event import Event
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import SafetyRetold, SafetyRouted, SafetyUnseen
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mailboxes import RoleMailbox
from shared.runtime.observe import MESSAGES, log
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import capitalised, format_time, place_title, say, spoken

#: Pause before missing parts of an alarm about safety are looked for again.
LOOK_AGAIN_S = 5
#: What the customer's words may speak of that nobody needs to know who goes and looks.
UNTOLD = frozenset({Flag.LEGAL})


class Alarms:
    """Letters to role mailboxes about safety: kind, place and reference, no name and no words of the customer's."""

    def __init__(
        self,
        settler: Settler,
        keys: Keys,
        mailboxes: Mapping[str, RoleMailbox],
        wording: Wording,
        providers: Providers,
        link: Callable[[str, str, datetime], str],
    ) -> None:
        """`link` makes the address where a mailbox says that a complaint was seen, from when it was told."""
        self._settler = settler
        self._keys = keys
        self._mailboxes = mailboxes
        self._wording = wording
        self._providers = providers
        self._link = link
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
        to, policy = await self._to(complaint_id, view)
        alarm, notify = await view.get(Alarm, complaint_id), policy.notify
        kinds = alarm.kinds if alarm else ()
        return route(to, kinds, notify.safety, notify.safety_seen_within, view.now)

    async def not_seen(self, complaint_id: str, due_ms: int) -> None:
        """Nobody said in time that they saw it: tell all once more, and the second time count and log it.

        Raises Unavailable while a part has not come.
        """
        facts = await self._settler.settle_timer(
            SEEN, complaint_id, due_ms, partial(self._not_seen, complaint_id)
        )
        for fact in facts:
            if isinstance(fact, SafetyRetold):
                log.warning("safety_retold", site=fact.site, complaint=complaint_id)
                MESSAGES.labels("safety", "retold").inc()
            if isinstance(fact, SafetyUnseen):
                log.error("safety_unseen", site=fact.site, complaint=complaint_id)
                MESSAGES.labels("safety", "unseen").inc()

    async def _not_seen(self, complaint_id: str, view: View) -> Decision:
        await view.prefetch([one.key(complaint_id) for one in (Routed, Alarm, Story)])
        routed = await view.get(Routed, complaint_id)
        if routed is None:
            return Decision()
        to, policy = await self._to(complaint_id, view)
        by = {name: await self._by(complaint_id, name, policy, view) for name in routed.mailboxes}
        return not_seen(to, routed, by, policy.notify.safety_seen_within, view.now)

    async def _by(
        self, complaint_id: str, mailbox: str, policy: Policy, view: View
    ) -> MessageChannel:
        """The channel by which a mailbox is told once more, of those that somebody serves."""
        names = messages_to(complaint_id, mailbox)
        await view.prefetch([Message.key(name) for name in names])
        served = [
            one
            for one in self.channels(mailbox)
            if self._providers.choose(one, policy.notify, 0, None) is not None
        ]
        return other_channel(served, [await view.get(Message, name) for name in names])

    async def _to(self, complaint_id: str, view: View) -> tuple[To, Policy]:
        """Whose complaint it is, and the policy of its site; raises Unavailable while either has not come."""
        about = await view.get(Alarm, complaint_id) or await view.get(Story, complaint_id)
        if about is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN, retry_after_s=LOOK_AGAIN_S)
        try:
            policy, _ = await self._policies.at(about.site, view)
        except Rejected as rejected:  # a fact of a site whose policy has not come yet
            raise Unavailable(rejected.reason, retry_after_s=LOOK_AGAIN_S) from None
        return To(complaint_id, about.customer_ref, about.site, policy.languages[0]), policy

    def channels(self, mailbox: str) -> Sequence[MessageChannel]:
        """The channels that a mailbox is told by, first choice first; none of one that nobody knows."""
        found = self._mailboxes.get(mailbox)
        return found.channels if found is not None else ()

    async def letter(self, message_id: str, message: Message, mailbox: str, view: View) -> Letter:
        """The letter to one mailbox, or the text message to its number.

        Raises Rejected(unknown_mailbox, no_address_on_channel, unknown_site), Unavailable; Rejected(no_longer_true)
        if it is the second one, and somebody said meanwhile that they saw it.
        """
        found = self._mailboxes.get(mailbox)
        if found is None:
            log.error("unknown_mailbox", site=message.site, mailbox=mailbox)
            raise Rejected(Reason.UNKNOWN_MAILBOX)
        address = found.address(message.channel)
        if address is None:
            raise Rejected(Reason.NO_ADDRESS_ON_CHANNEL)
        again = message.about != message.complaint_id
        routed = await view.get(Routed, message.complaint_id)
        if again and routed is not None and routed.seen_at is not None:
            raise Rejected(Reason.NO_LONGER_TRUE)
        # A message by another channel, or the second one, is queued later than we heard of it.
        heard_at = routed.routed_at if routed is not None else None
        policy, _ = await self._policies.at(message.site, view)
        language = spoken(message.language, policy)
        told = await self.told(
            message.complaint_id, heard_at or message.queued_at, policy, language, view
        )
        link = self._link(message.complaint_id, mailbox, message.queued_at)
        values = {**told, "seen_url": link, "again": "yes" if again else ""}
        rendered = self._wording.render(message.occasion, language, values)
        return Letter(
            message_id,
            policy.notify.sender(message.channel),
            address,
            rendered.subject,
            rendered.text,
            rendered.html,
            urgent=True,
            channel=message.channel,
            short=rendered.short,
            link=link,
            segments_max=policy.notify.segments_max,
        )

    async def told(
        self,
        complaint_id: str,
        heard_at: datetime,
        policy: Policy,
        language: Language,
        view: View,
    ) -> dict[str, Says]:
        """What those who must know are told: kinds, place, reference and when it was heard. Raises Unavailable.

        The place is as the site calls it, else in the words in which it was told.
        """
        alarm = await view.get(Alarm, complaint_id)
        story = await view.get(Story, complaint_id)
        place = await place_of(story, self._keys, view) if story is not None else ""
        return {
            "kinds": kinds_of(alarm, story, language),
            "site_name": policy.site_name,
            "place": capitalised(place_title(place, policy, language)) or place,
            "reference": reference_of(complaint_id),
            "heard_at": format_time(heard_at, policy.timezone, language, view.now),
        }


def kinds_of(alarm: Alarm | None, story: Story | None, language: Language) -> list[str]:
    """What it is about, as employees said, and then as the customer's words speak of it, in our words."""
    kinds = [say(language, f"safety.{kind}") for kind in alarm.kinds] if alarm else []
    flags = [flag for flag in story.flags if flag not in UNTOLD] if story else []
    heard = [one for flag in flags if (one := say(language, f"safety.{flag}")) not in kinds]
    return [*kinds, *heard, say(language, "letter.safety.by_words")] if heard else kinds
