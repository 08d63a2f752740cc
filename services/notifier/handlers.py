"""What the notifier does with each input: queue messages, send what is due, hear answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from services.notifier.alarms import Alarms
from services.notifier.page import Shown
from services.notifier.ports import Letter
from services.notifier.rules import (
    PARTS_COME_WITHIN,
    SEND,
    TAKEN,
    Answer,
    Bound,
    CheckLife,
    ComplaintView,
    Given,
    Message,
    Offered,
    Standing,
    attempt,
    bounds_of,
    due,
    hear,
    lost,
    message_id_of,
    not_sent,
    queue,
    sent,
)
from services.notifier.wording import Wording
from shared.contracts.compensation import Basis, CheckIssued, OfferMade
from shared.contracts.complaints import ComplaintReopened, ComplaintTriaged, Language
from shared.contracts.event import Event
from shared.contracts.intake import Contact
from shared.contracts.notifier import (
    Helped,
    MessageAttempted,
    MessageDelayed,
    MessageFailed,
    MessageSent,
    Occasion,
)
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Prepared, only_folds
from shared.runtime.observe import MESSAGES
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import (
    about,
    format_money,
    format_time,
    format_worth,
    reference_of,
    standing,
    title_of,
)

if TYPE_CHECKING:
    from services.notifier.ports import Links, Mailer
    from shared.runtime.privacy.keys import KeyRing


#: What a customer is told of.
Told = ComplaintTriaged | ComplaintReopened | CheckIssued | OfferMade
#: A value of a letter: one line of text, or several.
Says = str | Sequence[str]
#: What comes on other topics than the cause of a message, and so perhaps after it.
PARTS = (Reason.STORY_NOT_YET_KNOWN, Reason.KEY_NOT_YET_KNOWN, Reason.UNKNOWN_SITE)


class Delivery(Enum):
    """What became of a letter that was handed over."""

    TAKEN = auto()
    LOST = auto()
    LATER = auto()
    NEVER = auto()


class Handlers:
    """The inputs of the notifier and what they need."""

    def __init__(
        self,
        settler: Settler,
        keys: Keys,
        mailer: Mailer,
        links: Links,
        wording: Wording,
        alarms: Alarms,
        address_ref: Callable[[str, str], str],
        crash: Callable[[str], None],
    ) -> None:
        self._settler = settler
        self._keys = keys
        self._mailer = mailer
        self._links = links
        self._wording = wording
        self._alarms = alarms
        self._address_ref = address_ref
        self._crash = crash
        self._policies = Policies()

    def on_triaged(self, event: Event[ComplaintTriaged]) -> Prepared:
        """Acknowledge at once: it was received, and by when the customer hears from us."""
        fact = event.data
        if not fact.has_contact or fact.answered:
            return only_folds(event)
        return self._queues(Occasion.ACKNOWLEDGEMENT, fact.complaint_id, fact)

    def on_issued(self, event: Event[CheckIssued]) -> Prepared:
        """Tell the customer what they were given, and ask whether it helped."""
        return self._queues(Occasion.CHECK_GIVEN, event.data.check_id, event.data)

    def on_offered(self, event: Event[OfferMade]) -> Prepared:
        """Let the customer choose."""
        return self._queues(Occasion.CHECK_OFFERED, event.data.offer_id, event.data)

    def on_reopened(self, event: Event[ComplaintReopened]) -> Prepared:
        """Say that we heard the no, and by when we are back."""
        fact = event.data
        if not fact.has_contact:
            return only_folds(event)
        return self._queues(Occasion.REOPENED, f"{fact.complaint_id}/{fact.round}", fact)

    def _queues(self, occasion: Occasion, about: str, fact: Told) -> Prepared:
        message_id = message_id_of(occasion, about)
        decide = partial(self._queue, message_id, occasion, about, fact)
        return Prepared(decide, [Message.key(message_id)])

    async def _queue(
        self, message_id: str, occasion: Occasion, about: str, fact: Told, view: View
    ) -> Decision:
        """Queue a message unless it was before: a cause may be heard of twice."""
        if await view.get(Message, message_id) is not None:
            return Decision()
        return queue(
            message_id,
            occasion,
            about,
            complaint_id=fact.complaint_id,
            customer_ref=fact.customer_ref,
            site=fact.site,
            language=fact.language,
            now=view.now,
        )

    async def send(self, message_id: str, due_ms: int) -> None:
        """Send one message that is due: write it, take it in hand, hand it over, record its fate.

        Each step is a commit, so a process that dies leaves the message to the next one. Raises
        Unavailable while the store is away or a part of the letter is still on its way; the mail
        server's absence is a fact, not an error.
        """
        cause = f"timer/{SEND}/{message_id}/{due_ms}"
        try:
            letter = await self._letter(message_id, self._settler.view())
        except Rejected as rejected:
            await self._record(
                message_id, f"{cause}/unwritten", None, Delivery.NEVER, rejected.reason
            )
            return
        attempted = await self._take(message_id, cause, letter.recipient)
        if attempted is None:
            return
        handed, reason = await self._hand_over(letter)
        self._crash("effected")
        await self._record(
            message_id, f"{cause}/{attempted.attempt}", attempted.attempt, handed, reason
        )

    async def _take(self, message_id: str, cause: str, recipient: str) -> MessageAttempted | None:
        """Take a message in hand; None if somebody else has, or its fate is known or found now.

        Its timer is moved by the facts alone: where there is none, another process has moved it.
        """

        async def decide(view: View) -> Decision:
            message = await known(message_id, view)
            bounds = await self._bounds(message, recipient, view)
            used = await view.balances([bound.account for bound in bounds])
            return attempt(message, message_id, view.now, bounds, used)

        facts = await self._settler.settle_internal(cause, message_id, decide)
        if not facts:
            return None
        attempted = facts[0]
        if isinstance(attempted, MessageFailed):
            MESSAGES.labels(attempted.occasion, "failed").inc()
            return None
        assert isinstance(attempted, MessageAttempted)
        if attempted.repeats_unknown:
            MESSAGES.labels(attempted.occasion, "repeated_unknown").inc()
        return attempted

    async def _bounds(self, message: Message, recipient: str, view: View) -> Sequence[Bound]:
        """What a customer's letter counts in today at the site, at its first attempt."""
        if message.mailbox is not None or message.attempt:
            return ()
        policy, _ = await self._policies.at(message.site, view)
        story = await view.get(ComplaintView, message.complaint_id)
        day = view.now.astimezone(ZoneInfo(policy.timezone)).date().isoformat()
        return bounds_of(
            message.occasion,
            policy.notify.acknowledge,
            day=day,
            address_ref=self._address_ref(recipient, day),
            sender_ref=story.sender_ref if story else None,
        )

    async def _hand_over(self, letter: Letter) -> tuple[Delivery, Reason]:
        """Hand a letter to the mail server: what became of it, and why if it was not taken."""
        try:
            taken = await self._mailer.send(letter)
        except Unavailable as unavailable:
            return Delivery.LATER, unavailable.reason
        except Rejected as rejected:
            return Delivery.NEVER, rejected.reason
        return Delivery.TAKEN if taken else Delivery.LOST, Reason.MAIL_UNAVAILABLE

    async def _record(
        self,
        message_id: str,
        cause: str,
        number: int | None,
        handed: Delivery,
        reason: Reason,
    ) -> None:
        """Record the fate of attempt `number` (None: of a letter that could not be written)."""

        async def decide(view: View) -> Decision:
            message = await known(message_id, view)
            mine = due(message, view.now) if number is None else message.attempt == number
            if not mine:
                return Decision()
            match handed:
                case Delivery.TAKEN:
                    return sent(message, message_id, view.now)
                case Delivery.LOST:
                    return lost(message, message_id, view.now)
                case Delivery.LATER:
                    policy, _ = await self._policies.at(message.site, view)
                    retry = policy.notify.retry
                    return not_sent(message, message_id, reason, retry, view.now)
                case Delivery.NEVER:
                    return not_sent(message, message_id, reason, None, view.now)

        facts = await self._settler.settle_internal(cause, message_id, decide)
        for fact in facts:
            assert isinstance(fact, MessageSent | MessageDelayed | MessageFailed)
            MESSAGES.labels(fact.occasion, fact.TYPE.split(".")[2]).inc()

    async def _letter(self, message_id: str, view: View) -> Letter:
        """The words for a message; raises Unavailable while a part is on its way, Rejected if none comes."""
        message = await known(message_id, view)
        try:
            return await self._write(message_id, message, view)
        except (Rejected, Unavailable) as missing:
            if missing.reason not in PARTS:
                raise
            if view.now - message.queued_at > PARTS_COME_WITHIN:
                raise Rejected(missing.reason) from None
            raise Unavailable(missing.reason) from None

    async def _write(self, message_id: str, message: Message, view: View) -> Letter:
        """The letter as it stands; raises Unavailable for a part that is not here."""
        if message.mailbox is not None:
            return await self._alarms.letter(message_id, message, message.mailbox, view)
        story = await view.get(ComplaintView, message.complaint_id)
        if story is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        if story.contact is None:
            raise Rejected(Reason.NO_CONTACT)
        key = await self._keys.of(story.customer_ref, view)
        if key is None:
            raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
        contact = self._contact(story, key)
        if contact.email is None:
            raise Rejected(Reason.NO_CONTACT)
        policy, _ = await self._policies.at(message.site, view)
        values: dict[str, Says] = {"site_name": policy.site_name}
        values |= await self._particulars(message, story, policy, key, view)
        rendered = self._wording.render(
            message.occasion, message.language, name=contact.name or "", **values
        )
        return Letter(
            message_id, policy.notify.mail_from, contact.email, rendered.subject, rendered.body
        )

    async def _particulars(
        self,
        message: Message,
        story: ComplaintView,
        policy: Policy,
        key: KeyRing,
        view: View,
    ) -> dict[str, Says]:
        """What this occasion says beyond the greeting."""
        language = message.language
        if message.occasion is Occasion.CHECK_OFFERED:
            return await self._choice(message, policy, view)
        if message.occasion is not Occasion.CHECK_GIVEN:
            if story.promised_by is None:
                raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
            return {
                "promised_by": format_time(story.promised_by, policy.timezone, language),
                "about": about(story.category, language),
                "reference": reference_of(message.complaint_id),
            }
        check = await view.get(Given, message.about)
        if check is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        life = await view.get(CheckLife, message.about) or CheckLife()
        if life.standing(check, view.now) is Standing.VOIDED:
            raise Rejected(Reason.CHECK_ENDED)
        link = self._links.feedback(message.complaint_id, message.about, check.valid_until)
        gift = await self._gift(check, policy, language, key, view)
        return {**gift, "feedback_url": link}

    async def _gift(
        self,
        check: Given,
        policy: Policy,
        language: Language,
        key: KeyRing,
        view: View,
        *,
        usable: bool = True,
    ) -> dict[str, Says]:
        """What a letter about a check says: what it is, its code, where, until when, and the law."""
        then = await self._policies.of(policy.site, check.policy_version, view)
        law = law_of(check.regime, (then, policy), language)
        return {
            "title": title_of(check.item, (then, policy), language),
            "worth": format_worth(
                check.value_minor,
                check.currency,
                language,
                check.percent,
                check.bill_up_to_minor,
            ),
            # An apology has nothing to redeem, so its letter shows no code.
            "code": key.open("code", check.code) if check.value_minor and usable else "",
            "valid_at": ", ".join(policy.outlet(name, language) for name in check.valid_at),
            "valid_until": format_time(check.valid_until, policy.timezone, language),
            "about": about(check.reason, language),
            "reference": reference_of(check.complaint_id),
            "due_by": law if check.basis is Basis.STATUTORY else "",
            "law": law,
            "information": check.information or "",
        }

    async def _choice(self, message: Message, policy: Policy, view: View) -> dict[str, Says]:
        """What may be chosen, where, and until when."""
        offer, language = await view.get(Offered, message.about), message.language
        if offer is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        then = await self._policies.of(policy.site, offer.policy_version, view)
        choices = []
        for option in offer.choices():
            title = title_of(option.item, (then, policy), language)
            worth = format_worth(
                option.value_minor,
                offer.currency,
                language,
                option.percent,
                option.bill_up_to_minor,
            )
            choices.append(f"{title} ({worth})" if worth else title)
        return {
            "choices": choices,
            "choose_by": format_time(offer.expires_at, policy.timezone, language),
            "offer_url": self._links.offer(message.about, offer.expires_at),
            "about": about(offer.reason, language),
            "reference": reference_of(message.complaint_id),
            "law": law_of(offer.regime, (then, policy), language),
            "information": offer.information or "",
        }

    async def answer(
        self, complaint_id: str, check_id: str, helped: Helped, view: View
    ) -> Decision:
        """The customer's answer; raises Rejected(already_answered) if there was one."""
        if await view.get(Answer, check_id) is not None:
            raise Rejected(Reason.ALREADY_ANSWERED)
        return hear(complaint_id, check_id, helped, view.now)

    async def answered(self, check_id: str) -> Helped | None:
        """What the customer answered about a check, or None; raises Unavailable."""
        answer = await self._settler.view().get(Answer, check_id)
        return answer.helped if answer else None

    def read(self, token: str) -> tuple[str, str]:
        """Complaint and check of a link's token; raises Rejected(link_invalid)."""
        return self._links.read(token)

    def complaint_of(self, token: str) -> str | None:
        """The complaint of a token, also once its time is over; None if it is not ours."""
        return self._links.complaint_of(token)

    async def language_of(self, complaint_id: str) -> Language | None:
        """The customer's language; None where we do not know the complaint. Raises Unavailable."""
        story = await self._settler.view().get(ComplaintView, complaint_id)
        return story.language if story else None

    async def shown(self, complaint_id: str, check_id: str) -> Shown:
        """What a check's page shows: all that its letter says.

        Raises Unavailable while a part is on its way, Rejected(link_invalid) once the customer was erased.
        """
        view = self._settler.view()
        story = await view.get(ComplaintView, complaint_id)
        check = await view.get(Given, check_id)
        if story is None or check is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        key = await self._keys.of(story.customer_ref, view)
        if key is None:
            raise Rejected(Reason.LINK_INVALID)
        policy, _ = await self._policies.at(story.site, view)
        life = await view.get(CheckLife, check_id) or CheckLife()
        now = life.standing(check, view.now)
        usable = now in TAKEN
        gift = await self._gift(check, policy, story.language, key, view, usable=usable)
        values: dict[str, Says] = {"site_name": policy.site_name, "feedback_url": "", **gift}
        answer = await view.get(Answer, check_id)
        return Shown(
            language=story.language,
            timezone=policy.timezone,
            site_name=policy.site_name,
            # Without the name: whoever is given the link may read it.
            letter=self._wording.render(Occasion.CHECK_GIVEN, story.language, name="", **values),
            title=str(gift["title"]),
            code=str(gift["code"]),
            reference=reference_of(complaint_id),
            standing=told_of(now, life, check, policy, story.language),
            usable=usable,
            reachable=self._contact(story, key).email is not None,
            helped=answer.helped if answer else None,
            promised_by=answer.promise(story) if answer else None,
        )

    def _contact(self, story: ComplaintView, key: KeyRing) -> Contact:
        if story.contact is None:
            return Contact()
        return Contact.model_validate_json(key.open("contact", story.contact))


async def known(message_id: str, view: View) -> Message:
    """A message that was queued; anything else is a defect of ours."""
    message = await view.get(Message, message_id)
    if message is None:
        msg = f"no message {message_id}"
        raise AssertionError(msg)
    return message


def told_of(
    now: Standing, life: CheckLife, check: Given, policy: Policy, language: Language
) -> str:
    """What became of a check, in a sentence; empty while it is as it was given."""
    match now:
        case Standing.USED if life.redeemed_at:
            value = format_time(life.redeemed_at, policy.timezone, language)
        case Standing.PARTLY_USED:
            value = format_money(life.left_minor(check), check.currency, language)
        case Standing.EXPIRED:
            value = format_time(check.valid_until, policy.timezone, language)
        case _:
            value = ""
    return standing(now, language, value)


def law_of(regime: str | None, policies: Iterable[Policy], language: Language) -> str:
    """The law behind a regime as letters cite it: as in the first of the policies that has it, else its id."""
    for policy in policies:
        if regime in policy.regimes:
            found = policy.regimes[regime]
            return found.cited.get(language) or found.law
    return regime or ""
