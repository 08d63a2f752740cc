"""Messages go out: written, taken in hand, handed to a channel, their fate recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.notifier.channels.ports import Letter
from services.notifier.channels.providers import Providers
from services.notifier.digests.rules import (
    Digest,
    carrier_of,
    digest_id_of,
    goes_at,
    join,
    with_its_messages,
)
from services.notifier.messages.letters import SAFETY, Letters, gravity_of
from services.notifier.messages.rules import (
    PARTS_COME_WITHIN,
    Bound,
    Message,
    State,
    attempt,
    bounds_of,
    defer,
    due,
    lost,
    message_id_of,
    not_sent,
    sent,
)
from services.notifier.preferences.handlers import wanted_by
from services.notifier.preferences.quiet import AT_ONCE, CRITICAL, keeps_promise, quiet_until
from services.notifier.preferences.rules import Preferences
from services.notifier.subjects.rules import Story
from services.notifier.wording.blocks import Outline
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    NOT_LACKED,
    MessageAttempted,
    MessageBounced,
    MessageDeferred,
    MessageDelayed,
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSent,
    Occasion,
)
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.money import BALANCE_MAX
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import MESSAGES, log
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey

#: Missing parts of a letter that come on other topics than its cause and may come after it.
PARTS = (Reason.STORY_NOT_YET_KNOWN, Reason.KEY_NOT_YET_KNOWN, Reason.UNKNOWN_SITE)
#: The first and the longest wait for a part: it comes within a moment as a rule, and it is asked for seven times in the
#: first three seconds.
ASKED_FIRST_S, ASKED_LAST_S = 0.1, 1.0


class Sending:
    """The effect that a message is: written, taken in hand, handed to a provider, its fate recorded."""

    def __init__(
        self,
        letters: Letters,
        providers: Providers,
        address_ref: Callable[[str, str], str],
        of_mailbox: Callable[[str], Sequence[MessageChannel]],
    ) -> None:
        """`of_mailbox` says by which channels a role mailbox is told."""
        self._letters = letters
        self._providers = providers
        self._address_ref = address_ref
        self._of_mailbox = of_mailbox
        self._policies = Policies()

    async def prepare(self, message_id: str, view: View) -> Letter:
        """Write the letter as the customer wants it now; raises Unavailable while a part is on its way.

        Raises Rejected if none comes, or if the customer does not want the message, or not by this channel.
        """
        message = await known(message_id, view)
        await view.prefetch([*read_for(message), CustomerKey.key(message.customer_ref)])
        try:
            message = await self._as_wanted(message, view)
            provider = await self._provider(message, view)
            if message.occasion is Occasion.DIGEST:
                letter = await self._digest(message_id, message, view)
            else:
                letter = await self._letters.write(message_id, message, view)
            return replace(letter, provider=provider)
        except (Rejected, Unavailable) as missing:
            if missing.reason not in PARTS:
                raise
            if view.now - message.told_at > PARTS_COME_WITHIN:
                raise Rejected(missing.reason) from None
            waited_s = (view.now - message.told_at).total_seconds()
            raise Unavailable(missing.reason, retry_after_s=again_after_s(waited_s)) from None

    async def take(self, message_id: str, letter: Letter, view: View) -> Decision:
        """Take a message in hand, unless another process has or its fate is known; failed at a bound.

        In the customer's quiet hours it is deferred instead. Above the messages of a day it joins a digest; a question about
        a touchpoint is not sent then.
        """
        message = await known(message_id, view)
        await view.prefetch(read_for(message))
        until = await self._quiet_until(message, view.now, view)
        if until is not None and due(message, view.now):
            return defer(message, message_id, Reason.QUIET_HOURS, until)
        if message.occasion is Occasion.DIGEST:
            return await self._take_digest(message, message_id, letter, view)
        bounds = await self._bounds(message, letter.recipient, view)
        used = await view.balances([bound.account for bound in bounds])
        enough = any(bound.joins and used[bound.account] >= bound.ceiling for bound in bounds)
        if enough and due(message, view.now):
            if message.occasion is Occasion.TOUCHPOINT_ASKED:  # tomorrow it would come too late
                return not_sent(message, message_id, Reason.ENOUGH_TODAY, None, view.now)
            return await self._joins(message, message_id, letter.recipient, view)
        again = message.repeats_unknown
        channels = await self._channels_after_unknown(message, view) if again else ()
        return attempt(message, message_id, view.now, bounds, used, letter.provider, channels)

    async def _take_digest(
        self, message: Message, message_id: str, letter: Letter, view: View
    ) -> Decision:
        """Take a digest in hand; messages that are left out of its letter end here."""
        held = await held_by(message, view)
        told = {name for name, why in letter.holds.items() if why is None}
        if held.keys() - letter.holds.keys() or told - held.keys():
            return (
                Decision()
            )  # One joined, or was said in person, since it was written: it is written again.
        bounds = await self._bounds(message, letter.recipient, view)
        used = await view.balances([bound.account for bound in bounds])
        taken = attempt(message, message_id, view.now, bounds, used, letter.provider)
        left_out = {name: why for name, why in letter.holds.items() if why is not None}
        return with_its_messages(message, taken, held, left_out, view.now)

    def number(self, facts: Sequence[Fact]) -> int | None:
        """The number of the attempt that was begun."""
        return next((one.attempt for one in facts if isinstance(one, MessageAttempted)), None)

    async def do(self, letter: Letter) -> Outcome:
        """Hand the letter to its provider."""
        return await self._providers.send(letter)

    async def record(
        self, message_id: str, number: int | None, outcome: Outcome, view: View
    ) -> Decision:
        """The fate of an attempt, or of a letter that could not be written, unless another has it.

        A digest's is that of the messages in it.
        """
        message = await known(message_id, view)
        decision = await self._fate(message, message_id, number, outcome, view)
        if message.occasion is not Occasion.DIGEST:
            return decision
        return await self.whole(message, decision, view)

    async def whole(self, message: Message, decision: Decision, view: View) -> Decision:
        """What was decided about a message, for a digest with the fates of the messages in it."""
        if message.occasion is not Occasion.DIGEST:
            return decision
        return with_its_messages(message, decision, await held_by(message, view), {}, view.now)

    async def _fate(
        self, message: Message, message_id: str, number: int | None, outcome: Outcome, view: View
    ) -> Decision:
        mine = due(message, view.now) if number is None else message.attempt == number
        if not mine:
            return Decision()
        match outcome:
            case Delivered():
                return sent(message, message_id, view.now)
            case Unknown():
                channels = await self._channels_after_unknown(message, view)
                return lost(message, message_id, view.now, channels)
            case Later(reason, after):
                policy, _ = await self._policies.at(message.site, view)
                channels = await self.channels(message, view)
                retry = policy.notify.retry
                return not_sent(message, message_id, reason, retry, view.now, after, channels)
            case Never(reason):
                channels = await self.channels(message, view)
                return not_sent(message, message_id, reason, None, view.now, channels=channels)

    def committed(self, facts: Sequence[Fact]) -> None:
        """Count what became of messages, also as providers report it, and those that may come twice."""
        for fact in facts:
            if isinstance(fact, MessageAttempted):
                if fact.repeats_unknown:
                    MESSAGES.labels(fact.occasion, "repeated_unknown").inc()
                continue
            if isinstance(fact, MessageQueued | MessageDeferred):  # on the next channel, or later
                continue
            assert isinstance(
                fact,
                MessageSent | MessageDelayed | MessageFailed | MessageDelivered | MessageBounced,
            )
            goes_on = isinstance(fact, MessageFailed | MessageBounced) and fact.next_channel
            if goes_on and isinstance(fact, MessageFailed) and fact.reason is Reason.FATE_UNKNOWN:
                MESSAGES.labels(fact.occasion, "repeated_unknown").inc()  # it may come by both
            fate = "elsewhere" if goes_on else fact.TYPE.split(".")[2]
            if isinstance(fact, MessageFailed) and fact.reason in NOT_LACKED:
                fate = "not_lacked"  # nobody is woken about it
            MESSAGES.labels(fact.occasion, fate).inc()

    async def _digest(self, message_id: str, message: Message, view: View) -> Letter:
        """The letter of a digest, with what its messages say; raises Rejected if none has anything to say any more."""
        holds: dict[str, Reason | None] = {}
        parts: list[Outline] = []
        for name, one in (await held_by(message, view)).items():
            try:
                parts.append(await self._part(one, message, view))
                holds[name] = None
            except Rejected as rejected:
                holds[name] = rejected.reason
        if not parts:
            reasons = set(holds.values())
            raise Rejected((reasons.pop() if len(reasons) == 1 else None) or Reason.NO_LONGER_TRUE)
        letter = await self._letters.write(message_id, message, view, parts)
        return replace(letter, holds=holds)

    async def _part(self, one: Message, digest: Message, view: View) -> Outline:
        """What a message says in a digest, as the customer wants it now; raises Rejected and Unavailable."""
        if not (await _wanted(one, view)).wants(one.occasion):
            raise Rejected(Reason.NOT_WANTED)
        try:
            # Links are as old as the digest, so that those to one page are the same.
            now = {"language": digest.language, "due_at": digest.told_at}
            part = one.model_copy(update=now)
            return await self._letters.part(part, view)
        except Unavailable as missing:
            if missing.reason in PARTS and view.now - one.queued_at > PARTS_COME_WITHIN:
                raise Rejected(missing.reason) from None
            raise

    async def _joins(
        self, message: Message, message_id: str, recipient: str, view: View
    ) -> Decision:
        """Let a message wait for the digest of today, which goes tomorrow."""
        policy, _ = await self._policies.at(message.site, view)
        day = view.now.astimezone(ZoneInfo(policy.timezone)).date().isoformat()
        digest_id = digest_id_of(message, day, self._address_ref(recipient, day))
        carrier = carrier_of(digest_id, message.channel)
        await view.prefetch([Digest.key(digest_id), Message.key(carrier)])
        return join(
            message,
            message_id,
            digest_id,
            await view.get(Digest, digest_id),
            await view.get(Message, carrier),
            await self._digest_at(message, policy, view),
            view.now,
        )

    async def _digest_at(self, message: Message, policy: Policy, view: View) -> datetime:
        """When the digest of today goes to the customer of a message."""
        due_at = goes_at(policy.notify.digest_at, ZoneInfo(policy.timezone), view.now)
        # Quiet hours keep the whole digest back, whatever they do with the message by itself.
        digest = message.model_copy(update={"occasion": Occasion.DIGEST})
        return await self._quiet_until(digest, due_at, view) or due_at

    async def _provider(self, message: Message, view: View) -> str:
        """The provider of the next attempt; raises Rejected(unknown_provider), and what a policy does."""
        policy, _ = await self._policies.at(message.site, view)
        unknown = message.provider if message.state is State.ATTEMPTED else None
        provider = self._providers.choose(message.channel, policy.notify, message.attempt, unknown)
        if provider is None:
            log.error("no_provider", site=message.site, channel=message.channel)
            raise Rejected(Reason.UNKNOWN_PROVIDER)
        return provider

    async def channels(self, message: Message, view: View) -> Sequence[MessageChannel]:
        """The site's channels as the customer wants them, or the role mailbox's; none of a site whose policy never came."""
        if message.mailbox is not None:
            return self._of_mailbox(message.mailbox)
        try:
            policy, _ = await self._policies.at(message.site, view)
        except Rejected:
            return ()
        return (await _wanted(message, view)).channels(policy.notify.channels)

    async def _channels_after_unknown(
        self, message: Message, view: View
    ) -> Sequence[MessageChannel]:
        """The channels by which a message goes on that may have arrived twice; none unless somebody's safety is concerned."""
        if message.mailbox is None:
            story = await view.get(Story, message.complaint_id)
            grave = story is not None and gravity_of(story) == SAFETY
            if not grave or message.occasion not in CRITICAL or message.occasion is Occasion.DIGEST:
                return ()
        return await self.channels(message, view)

    async def _as_wanted(self, message: Message, view: View) -> Message:
        """The message in the language that the customer wants.

        Raises Rejected(not_wanted), Rejected(other_channel) if they chose another one, by which it was not tried yet,
        and what a policy does.
        """
        wanted = await _wanted(message, view)
        if not wanted.wants(message.occasion):
            raise Rejected(Reason.NOT_WANTED)
        policy, _ = await self._policies.at(message.site, view)
        chosen = wanted.channel
        if chosen in policy.notify.channels and chosen is not message.channel:
            by_chosen = message_id_of(message.occasion, message.about, chosen)
            if await view.get(Message, by_chosen) is None:
                raise Rejected(Reason.OTHER_CHANNEL)
        return message.model_copy(update={"language": wanted.language or message.language})

    async def _quiet_until(self, message: Message, at: datetime, view: View) -> datetime | None:
        """Until when the customer is not disturbed by this message; None if they may be at this time.

        Their own hours hold whatever was promised. The site's do not keep back an answer until its promise is broken.
        """
        if message.occasion in AT_ONCE:
            return None
        policy, _ = await self._policies.at(message.site, view)
        wanted = await _wanted(message, view)
        quiet = wanted.quiet_hours or policy.notify.quiet_hours
        until = quiet_until(quiet, ZoneInfo(wanted.timezone or policy.timezone), at)
        if until is None or wanted.quiet_hours is not None:
            return until
        story = await view.get(Story, message.complaint_id)
        return None if keeps_promise(message.occasion, story, until) else until

    async def _bounds(self, message: Message, recipient: str, view: View) -> Sequence[Bound]:
        """The daily bounds that a customer's letter counts in, at its first attempt."""
        if message.mailbox is not None or message.attempt:
            return ()
        policy, _ = await self._policies.at(message.site, view)
        story = await view.get(Story, message.complaint_id)
        # What cannot wait counts in the customer's day, and is not bound by it.
        critical = message.occasion in CRITICAL or keeps_promise(
            message.occasion, story, await self._digest_at(message, policy, view)
        )
        most = BALANCE_MAX if critical else policy.notify.per_day
        day = view.now.astimezone(ZoneInfo(policy.timezone)).date().isoformat()
        return bounds_of(
            message,
            policy.notify.acknowledge,
            most,
            day=day,
            address_ref=self._address_ref(recipient, day),
            sender_ref=story.sender_ref if story else None,
        )


def again_after_s(waited_s: float) -> float:
    """How long to wait for a part once more, in seconds: as long as it was waited for, so that the waits double."""
    return min(max(waited_s, ASKED_FIRST_S), ASKED_LAST_S)


async def known(message_id: str, view: View) -> Message:
    """The queued message of this id; its absence is a defect of ours."""
    message = await view.get(Message, message_id)
    if message is None:
        msg = f"no message {message_id}"
        raise AssertionError(msg)
    return message


def read_for(message: Message) -> Sequence[str]:
    """The documents that decide about nearly every letter: read together, they cost one trip."""
    return [
        PolicyHead.key(message.site),
        Story.key(message.complaint_id),
        Preferences.key(message.customer_ref),
    ]


async def held_by(message: Message, view: View) -> Mapping[str, Message]:
    """The messages of a digest by their ids, without those that another digest has by now.

    And without those that were said in person, or failed; one that went in it and came back is still in it, because
    it may be reported as delivered after all.
    """
    digest = await view.get(Digest, message.about) or Digest()
    await view.prefetch([Message.key(name) for name in digest.message_ids])
    held = {name: await known(name, view) for name in digest.message_ids}
    return {name: one for name, one in held.items() if _in(one, message.about)}


def _in(message: Message, digest_id: str) -> bool:
    came_back = message.state is State.FAILED and message.in_digest is not None
    going = message.state not in (State.FAILED, State.SAID)
    return message.digest_id == digest_id and (going or came_back)


async def _wanted(message: Message, view: View) -> Preferences:
    """What whoever gets a message wants now; a role mailbox has no say."""
    if message.mailbox is not None:
        return Preferences()
    return await wanted_by(message.customer_ref, view)
