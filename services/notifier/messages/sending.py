"""Messages go out: written, taken in hand, handed to a channel, their fate recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from services.notifier.channels.ports import Letter, Mailer
from services.notifier.messages.letters import Letters
from services.notifier.messages.rules import (
    PARTS_COME_WITHIN,
    Bound,
    Message,
    attempt,
    bounds_of,
    due,
    lost,
    not_sent,
    sent,
)
from services.notifier.subjects.rules import Story
from shared.contracts.notifier import (
    MessageAttempted,
    MessageDelayed,
    MessageFailed,
    MessageSent,
)
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import MESSAGES
from shared.runtime.policies import Policies

#: Missing parts of a letter that come on other topics than its cause and may come after it.
PARTS = (Reason.STORY_NOT_YET_KNOWN, Reason.KEY_NOT_YET_KNOWN, Reason.UNKNOWN_SITE)


class Sending:
    """The effect that a message is: written, taken in hand, handed to a mail server, its fate recorded."""

    def __init__(
        self, letters: Letters, mailer: Mailer, address_ref: Callable[[str, str], str]
    ) -> None:
        self._letters = letters
        self._mailer = mailer
        self._address_ref = address_ref
        self._policies = Policies()

    async def prepare(self, message_id: str, view: View) -> Letter:
        """Write the letter; raises Unavailable while a part is on its way, Rejected if none comes."""
        message = await known(message_id, view)
        try:
            return await self._letters.write(message_id, message, view)
        except (Rejected, Unavailable) as missing:
            if missing.reason not in PARTS:
                raise
            if view.now - message.told_at > PARTS_COME_WITHIN:
                raise Rejected(missing.reason) from None
            raise Unavailable(missing.reason) from None

    async def take(self, message_id: str, letter: Letter, view: View) -> Decision:
        """Take a message in hand, unless another process has or its fate is known; failed at a bound."""
        message = await known(message_id, view)
        bounds = await self._bounds(message, letter.recipient, view)
        used = await view.balances([bound.account for bound in bounds])
        return attempt(message, message_id, view.now, bounds, used)

    def number(self, facts: Sequence[Fact]) -> int | None:
        """The number of the attempt that was begun."""
        return next((one.attempt for one in facts if isinstance(one, MessageAttempted)), None)

    async def do(self, letter: Letter) -> Outcome:
        """Hand the letter to the mail server."""
        return await self._mailer.send(letter)

    async def record(
        self, message_id: str, number: int | None, outcome: Outcome, view: View
    ) -> Decision:
        """The fate of an attempt, or of a letter that could not be written, unless another has it."""
        message = await known(message_id, view)
        mine = due(message, view.now) if number is None else message.attempt == number
        if not mine:
            return Decision()
        match outcome:
            case Delivered():
                return sent(message, message_id, view.now)
            case Unknown():
                return lost(message, message_id, view.now)
            case Later(reason, after):
                policy, _ = await self._policies.at(message.site, view)
                retry = policy.notify.retry
                return not_sent(message, message_id, reason, retry, view.now, after)
            case Never(reason):
                return not_sent(message, message_id, reason, None, view.now)

    def committed(self, facts: Sequence[Fact]) -> None:
        """Count messages that were sent, delayed or failed, and those that may come twice."""
        for fact in facts:
            if isinstance(fact, MessageAttempted):
                if fact.repeats_unknown:
                    MESSAGES.labels(fact.occasion, "repeated_unknown").inc()
                continue
            assert isinstance(fact, MessageSent | MessageDelayed | MessageFailed)
            MESSAGES.labels(fact.occasion, fact.TYPE.split(".")[2]).inc()

    async def _bounds(self, message: Message, recipient: str, view: View) -> Sequence[Bound]:
        """The daily bounds that a customer's letter counts in, at its first attempt."""
        if message.mailbox is not None or message.attempt:
            return ()
        policy, _ = await self._policies.at(message.site, view)
        story = await view.get(Story, message.complaint_id)
        day = view.now.astimezone(ZoneInfo(policy.timezone)).date().isoformat()
        return bounds_of(
            message.occasion,
            policy.notify.acknowledge,
            day=day,
            address_ref=self._address_ref(recipient, day),
            sender_ref=story.sender_ref if story else None,
        )


async def known(message_id: str, view: View) -> Message:
    """The queued message of this id; its absence is a defect of ours."""
    message = await view.get(Message, message_id)
    if message is None:
        msg = f"no message {message_id}"
        raise AssertionError(msg)
    return message
