"""What a message says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from services.notifier.channels.ports import Letter
from services.notifier.feedback.rules import Answer
from services.notifier.incidents.rules import SiteIncident, incident_of
from services.notifier.messages.course import Course, only_if
from services.notifier.messages.in_person import messages_for
from services.notifier.messages.links import Links
from services.notifier.messages.rules import Message, in_hand, may_have_arrived
from services.notifier.preferences.handlers import contact_of
from services.notifier.preferences.rules import REMINDERS
from services.notifier.subjects.moves import Reached, is_last, is_resolved, stands
from services.notifier.subjects.rules import (
    TAKEN,
    CheckLife,
    GivenCheck,
    Keeper,
    Offered,
    OneTimeCode,
    SiteCustomer,
    Standing,
    Story,
    customer_at,
)
from services.notifier.survey.rules import Surveyed, close_of
from services.notifier.wording.blocks import Outline
from services.notifier.wording.occasions import UNPLACED
from services.notifier.wording.wording import Says, Wording
from shared.contracts.compensation import Basis
from shared.contracts.complaints import Category, Language, Severity, reference_of
from shared.contracts.intake import Contact
from shared.contracts.lifecycle import State
from shared.contracts.notifier import (
    Occasion,
)
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import MESSAGES, log
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import KeyRing, Keys
from shared.runtime.words import (
    AS_MONEY,
    about,
    format_money,
    format_time,
    format_worth,
    in_language,
    place_title,
    say,
    spoken,
    title_of,
)

#: Writes the letter to a role mailbox, from the message and its id, the mailbox's id, and what is stored.
ToMailbox = Callable[[str, Message, str, View], Awaitable[Letter]]
#: Values that are the link of a text message, which has one: the first that its letter has.
LINKS = ("feedback_url", "offer_url", "asking_url", "mine_url")
#: The link before these: a settled case's text message leads to the site's questions, if it asks some.
BEFORE_LINKS = {Occasion.THANKED: "survey_url"}
#: The tone of letters about what concerns somebody's safety.
SAFETY = "safety"
#: Letters that an answer by mail is not taken to: the one goes where the customer is not written to any more, the
#: other asks for a code on a page.
UNANSWERED = frozenset({Occasion.CONTACT_CHANGED, Occasion.CONFIRMATION})
#: Complaints that are closed: one that an outside body looks at is closed with us.
CLOSED = frozenset(
    {
        State.CONFIRMED,
        State.CLOSED_NO_RESPONSE,
        State.WITHDRAWN,
        State.NOT_A_COMPLAINT,
        State.REFERRED_EXTERNAL,
    }
)
#: Complaints of which nobody waits for what was promised: these, and those whose customer was told what was done.
ANSWERED = CLOSED | {State.RESOLUTION_RECORDED}


class Letters:
    """Writes letters from the parts that have come."""

    def __init__(
        self,
        keys: Keys,
        links: Links,
        wording: Wording,
        to_mailbox: ToMailbox,
        mine: Callable[[str, datetime], str],
        preferences: Callable[[str, datetime], str],
        asking: Callable[[str, datetime], str],
        reply_to: Callable[[str, datetime], str] | None = None,
    ) -> None:
        """`mine` and `preferences` make the links to a customer's pages, from the complaint's id and when it is told.

        The first is in complaints, and says how it stands; by the second they change how they are told. `asking` makes the
        link to a question's page from its id, which is in complaints too. `reply_to` makes
        the address for answers from the same; None where none is read.
        """
        self._keys = keys
        self._links = links
        self._wording = wording
        self._to_mailbox = to_mailbox
        self._mine = mine
        self._reply_to = reply_to
        self._preferences = preferences
        self._asking = asking
        self._course = Course(keys)
        self._policies = Policies()

    async def write(
        self, message_id: str, message: Message, view: View, parts: Sequence[Outline] = ()
    ) -> Letter:
        """The letter from the parts that have come; raises Unavailable if one is missing.

        `parts` are the letters that a digest holds.
        """
        if message.mailbox is not None:
            return await self._to_mailbox(message_id, message, message.mailbox, view)
        story, contact, address = await self.addressed(message, view)
        key = await self._keys.needed(story.customer_ref, view)
        policy, _ = await self._policies.at(message.site, view)
        message = in_language_of_site(message, policy)
        values = await self._values(message, story, policy, key, view)
        page = self._preferences(message.complaint_id, message.told_at)
        if message.occasion is not Occasion.CONTACT_CHANGED:  # somebody else may read it
            values["preferences_url"] = page
        rendered = self._wording.render(
            message.occasion, message.language, values, contact.name or "", parts
        )
        links = (BEFORE_LINKS.get(message.occasion, ""), *LINKS)
        return Letter(
            message_id,
            policy.notify.sender(message.channel),
            address,
            rendered.subject,
            rendered.text,
            rendered.html,
            rendered.pictures,
            sender_name=policy.notify.sender_name,
            short=rendered.short,
            link=next((str(values[name]) for name in links if values.get(name)), ""),
            segments_max=policy.notify.segments_max,
            channel=message.channel,
            unsubscribe=f"{page}/unsubscribe" if message.occasion in REMINDERS else "",
            reply_to=""
            if self._reply_to is None or message.occasion in UNANSWERED
            else self._reply_to(message.complaint_id, message.told_at),
        )

    async def addressed(self, message: Message, view: View) -> tuple[Story, Contact, str]:
        """To whom a message to a customer goes, and to which address on its channel.

        Raises Rejected(no_contact, no_address_on_channel, customer_erased), and Unavailable while a part has not come.
        """
        story = await view.get(Story, message.complaint_id)
        if story is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        if message.occasion is Occasion.CONTACT_CHANGED:  # whoever did not change it must know
            before = dict(story.contacts_before).get(message.about, story.contact_before)
            story = story.model_copy(update={"contact": before})
        if story.contact is None:
            raise Rejected(Reason.CUSTOMER_ERASED if story.forgotten else Reason.NO_CONTACT)
        contact = await contact_of(story, self._keys, view)
        policy, _ = await self._policies.at(message.site, view)
        return story, contact, address_of(contact, message, policy)

    async def part(self, message: Message, view: View) -> Outline:
        """What a message says in a digest; raises Rejected and Unavailable as `write` does."""
        story = await view.get(Story, message.complaint_id)
        if story is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        key = await self._keys.needed(story.customer_ref, view)
        policy, _ = await self._policies.at(message.site, view)
        message = in_language_of_site(message, policy)
        values = await self._values(message, story, policy, key, view)
        return self._wording.outline(message.occasion, message.language, values)

    async def _values(
        self, message: Message, story: Story, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """All values of a letter but those of its frame; raises as `_particulars` does."""
        values = common(story, policy, message.language)
        if story.place is not None and message.occasion not in UNPLACED:
            told = await place_of(story, self._keys, view)
            values["place"] = place_title(told, policy, message.language)
        return values | await self._particulars(message, story, policy, key, view)

    async def _particulars(
        self,
        message: Message,
        story: Story,
        policy: Policy,
        key: KeyRing,
        view: View,
    ) -> dict[str, Says]:
        """The values that the letter of this occasion needs besides greeting and site."""
        match message.occasion:
            case Occasion.ACKNOWLEDGEMENT | Occasion.REOPENED:
                if message.occasion is Occasion.ACKNOWLEDGEMENT:
                    await self._not_acknowledged(story, view)
                promise = self._promise(message, story, policy, view)
                link = self._mine(message.complaint_id, message.told_at)
                return {
                    **promise,
                    "mine_url": link,
                    "with_whom": story.keeper or Keeper.SAME,
                    "disruption": story.disruption or "",
                }
            case Occasion.CONFIRMATION:
                return await self._confirmation(message, story, policy, key, view)
            # Without a link: it goes where the customer is not written to any more.
            case Occasion.CONTACT_CHANGED:
                return {
                    "about": about(story.category, message.language),
                    "reference": reference_of(message.complaint_id),
                }
            case Occasion.CHECK_GIVEN:
                return await self._given(message, policy, key, view)
            case Occasion.CHECK_OFFERED:
                return await self._choice(message, policy, view)
            case Occasion.CHECK_EXPIRING:
                return await self._expiring(message, policy, key, view)
            case Occasion.CHECK_WITHDRAWN:
                return await self._withdrawn(message, policy, key, view)
            case Occasion.FEEDBACK_ASKED:
                return await self._asked_again(message, story, policy, key, view)
            case Occasion.INCIDENT:
                return await self._incident(message, story, policy, view)
            case Occasion.TOUCHPOINT_ASKED:
                return await self._question(message, story, policy, view)
            case Occasion.DIGEST:
                return await self._seen_whole(message, view)
            case _:
                values = await self._course.values(message, story, policy, view)
                link = self._mine(message.complaint_id, message.told_at)
                survey = await self._survey(message, story, policy, view)
                return {**values, "mine_url": link, "survey_url": survey}

    async def _seen_whole(self, message: Message, view: View) -> dict[str, Says]:
        """The link to the page of what a digest is about: of the case, or of the check that was given to delight."""
        for _, one in await messages_for(message.complaint_id, view):
            given = one.occasion is Occasion.CHECK_GIVEN
            check = await view.get(GivenCheck, one.about) if given else None
            if check is not None and check.delight is not None:  # there is no case to open
                return {"feedback_url": self._links.feedback(one.about, check.valid_until)}
        return {"mine_url": self._mine(message.complaint_id, message.told_at)}

    async def _survey(self, message: Message, story: Story, policy: Policy, view: View) -> str:
        """The link to the site's questions about a complaint that was closed; empty if it asks none, or they were answered."""
        if not policy.survey or not stands(story, State.CONFIRMED, State.CLOSED_NO_RESPONSE):
            return ""
        if await view.get(Surveyed, close_of(message.complaint_id, story.round)) is not None:
            return ""
        return self._links.survey(message.complaint_id, story.round, message.told_at)

    async def _incident(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, Says]:
        """The values of a letter about an incident.

        Raises Rejected(no_longer_true) if it is over or has no words any more, or the customer's complaint is closed:
        one that was merged is as the one that goes on for it.
        """
        incident = await view.get(SiteIncident, incident_of(message.about))
        if incident is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        prepared = policy.incidents.words if policy.incidents is not None else {}
        words = prepared.get(incident.reason)
        only_if(incident.closed_at is None and words is not None)
        head = await view.get(Story, story.merged_into) if story.merged_into else None
        only_if((head or story).state not in CLOSED)
        return {
            "words": in_language(words or {}, message.language),
            "about": about(incident.reason, message.language),
            "reference": reference_of(message.complaint_id),
            "mine_url": self._mine(message.complaint_id, message.told_at),
        }

    async def _question(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, Says]:
        """The values of a question about a touchpoint.

        Raises Rejected(no_longer_true) if the site asks it no more, or the customer complained since it was queued.
        """
        asked = policy.asking.touchpoints if policy.asking is not None else {}
        touchpoint = asked.get(story.touchpoint or "")
        only_if(touchpoint is not None)
        assert touchpoint is not None
        known = await view.get(SiteCustomer, customer_at(story.site, story.customer_ref))
        complained_at = known.complained_at if known is not None else None
        only_if(complained_at is None or complained_at < message.queued_at)
        return {
            "question": in_language(touchpoint.words, message.language),
            "asking_url": self._asking(message.about, message.told_at),
        }

    async def _not_acknowledged(self, story: Story, view: View) -> None:
        """Raises Rejected(complaint_merged) if the same customer is acknowledged for the complaint that goes on."""
        if story.merged_into is None:
            return
        head = await view.get(Story, story.merged_into)
        if head is not None and head.contact and head.customer_ref == story.customer_ref:
            raise Rejected(Reason.COMPLAINT_MERGED)

    def _promise(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, Says]:
        """The values of a letter that says by when the customer hears from us.

        Raises Rejected(no_longer_true) if they heard from us meanwhile, or took it back: it may be sent late, or again.
        """
        only_if(story.state not in ANSWERED)
        language = message.language
        if story.promised_by is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        named = about(story.category, language)
        return {
            "promised_by": format_time(story.promised_by, policy.timezone, language, view.now),
            "alarmed": "yes" if policy.notify.safety else "",
            "about": named,
            # Not for what is mild, nor of what may be a question.
            "sorry": "yes" if named and story.severity is Severity.MODERATE else "",
            "reference": reference_of(message.complaint_id),
        }

    async def _confirmation(
        self, message: Message, story: Story, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """The values of a letter with a one-time code; raises Rejected(code_wrong) if its time is over."""
        code = await view.get(OneTimeCode, message.about)
        if code is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        if code.expires_at <= view.now:
            raise Rejected(Reason.CODE_WRONG)
        return {
            "code": key.open("code", code.code),
            "what": say(message.language, f"mine.code.{code.action}"),
            "expires_at": format_time(code.expires_at, policy.timezone, message.language, view.now),
            "about": about(story.category, message.language),
            "reference": reference_of(message.complaint_id),
        }

    async def _given(
        self, message: Message, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """The values of a letter about a check; raises Rejected(check_ended) if it was taken back."""
        check, life = await check_of(message.about, view)
        if life.standing(check, view.now) is Standing.VOIDED:
            raise Rejected(Reason.CHECK_ENDED)
        gift = await self.gift(check, policy, message.language, key, view)
        if check.delight is not None:
            return {**gift, "feedback_url": "", "mine_url": ""}
        link = self._links.feedback(message.about, check.valid_until)
        mine = self._mine(message.complaint_id, message.told_at)
        return {**gift, "feedback_url": link, "mine_url": mine}

    async def _expiring(
        self, message: Message, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """The values of a letter about a check that ends soon; raises Rejected(no_longer_true) if no till takes it."""
        check, life = await check_of(message.about, view)
        standing = life.standing(check, view.now)
        only_if(standing in TAKEN)
        left = format_money(life.left_minor(check), check.currency, message.language)
        gift = await self.gift(check, policy, message.language, key, view)
        return {**gift, "left": left if standing is Standing.PARTLY_USED else ""}

    async def _withdrawn(
        self, message: Message, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """The values of a letter about a check that was taken back.

        Raises Rejected(no_longer_true) if it was used up, or the customer was never told of it, and Unavailable while
        that letter is with its provider.
        """
        check, life = await check_of(message.about, view)
        given = [
            one
            for _, one in await messages_for(message.complaint_id, view)
            if one.occasion is Occasion.CHECK_GIVEN and one.about == message.about
        ]
        if any(map(in_hand, given)):
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        only_if(life.standing(check, view.now) is Standing.VOIDED)
        only_if(any(map(may_have_arrived, given)))
        gift = await self.gift(check, policy, message.language, key, view, usable=False)
        used = {"used": "yes" if life.redeemed_minor else ""}
        if check.delight is not None:  # there is no case to open
            return {**gift, **used}
        return {**gift, **used, "mine_url": self._mine(message.complaint_id, message.told_at)}

    async def _asked_again(
        self, message: Message, story: Story, policy: Policy, key: KeyRing, view: View
    ) -> dict[str, Says]:
        """The values of the one reminder to say whether it helped.

        Raises Rejected(no_longer_true) once the customer said so, took the complaint back or was asked of something later.
        """
        if message.about.startswith(f"{message.complaint_id}/"):
            only_if(is_resolved(story, message.about))
            return {
                "title": "",
                "feedback_url": self._mine(message.complaint_id, message.told_at),
                "about": about(story.category, message.language),
                "reference": reference_of(message.complaint_id),
            }
        check, life = await check_of(message.about, view)
        answered = await view.get(Answer, message.about) is not None
        reached = await view.get(Reached, message.complaint_id)
        only_if(not answered and life.standing(check, view.now) is not Standing.VOIDED)
        only_if(is_last(story, reached, message.about))
        return await self._given(message, policy, key, view)

    async def gift(
        self,
        check: GivenCheck,
        policy: Policy,
        language: Language,
        key: KeyRing,
        view: View,
        *,
        usable: bool = True,
    ) -> dict[str, Says]:
        """The values of a letter about a check: title, code, where and until when it is valid, and the law."""
        then = await self._policies.of(policy.site, check.policy_version, view)
        law = law_of(check.regime, (then, policy), language)
        item = check.item.partition("/")[0]
        listed = then.checks.get(item) or policy.checks.get(item)
        kind = listed.kind if listed is not None else None
        return {
            "title": title_of(check.item, (then, policy), language),
            "worth": format_worth(
                check.value_minor,
                check.currency,
                language,
                check.percent,
                check.bill_up_to_minor,
                kind,
            ),
            # An apology cannot be redeemed, so its letter shows no code.
            "code": key.open("code", check.code) if check.value_minor and usable else "",
            "valid_at": ", ".join(policy.outlet(name, language) for name in check.valid_at),
            # Its title says on which account or for what it is.
            "money": "yes" if kind in AS_MONEY else "",
            "valid_until": format_time(check.valid_until, policy.timezone, language, view.now),
            "about": about(check.reason, language),
            "reference": reference_of(check.complaint_id),
            "due_by": law if check.basis is Basis.STATUTORY else "",
            "law": law,
            "information": check.information or "",
            "delight": greeting_of(check.delight, (then, policy), language),
        }

    async def _choice(self, message: Message, policy: Policy, view: View) -> dict[str, Says]:
        """The values of a letter about an offer: choices, link, and until when; raises Rejected(no_longer_true) after that."""
        offer, language = await view.get(Offered, message.about), message.language
        if offer is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        only_if(view.now < offer.expires_at)
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
                option.kind,
            )
            choices.append(f"{title} ({worth})" if worth else title)
        return {
            "choices": choices,
            "choose_by": format_time(offer.expires_at, policy.timezone, language, view.now),
            "offer_url": self._links.offer(message.about, offer.expires_at),
            "about": about(offer.reason, language),
            "reference": reference_of(message.complaint_id),
            "law": law_of(offer.regime, (then, policy), language),
            "information": offer.information or "",
        }


async def check_of(check_id: str, view: View) -> tuple[GivenCheck, CheckLife]:
    """A check and what became of it; raises Unavailable while it has not come."""
    check = await view.get(GivenCheck, check_id)
    if check is None:
        raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
    return check, await view.get(CheckLife, check_id) or CheckLife()


async def place_of(story: Story, keys: Keys, view: View) -> str:
    """Where it happened, as it was told; empty if it was not, or cannot be read: no letter waits for it.

    Raises Unavailable while the store is away.
    """
    if story.place is None:
        return ""
    found = await keys.readable_words(
        story.customer_ref, {"place": story.place}, story.received_at, view
    )
    return found.get("place", "")


def address_of(contact: Contact, message: Message, policy: Policy) -> str:
    """Where a message goes on its channel.

    Raises Rejected(no_address_on_channel) where a later channel of the policy has an address, and
    Rejected(no_contact) where none has.
    """
    notify = policy.notify
    address = notify.address(contact, message.channel)
    if address is not None:
        return address
    reached = notify.reaches(contact) and message.channel in notify.channels
    raise Rejected(Reason.NO_ADDRESS_ON_CHANNEL if reached else Reason.NO_CONTACT)


def in_language_of_site(message: Message, policy: Policy) -> Message:
    """The message in the customer's language if the site writes it, else in the site's first, counted and logged."""
    language = spoken(message.language, policy)
    if language is not message.language:
        log.error("letter_in_another_language", site=policy.site, language=message.language)
        MESSAGES.labels(message.occasion, "other_language").inc()
    return message.model_copy(update={"language": language})


def common(story: Story, policy: Policy, language: Language) -> dict[str, Says]:
    """The values that every letter to a customer has: who writes, in which tone, and whether their case is closed."""
    return {
        "site_name": policy.site_name,
        "promise": policy.notify.promise.get(language, ""),
        "signed": policy.notify.signed.get(language, ""),
        "gravity": gravity_of(story),
        "closed": "yes" if story.state in CLOSED else "",
    }


def gravity_of(story: Story) -> str:
    """How grave a complaint is for the tone of its letters: `safety`, `severe`, or empty."""
    if story.safety or story.category is Category.SAFETY:
        return SAFETY
    return "severe" if story.severity is Severity.SEVERE else ""


def greeting_of(occasion: str | None, policies: Iterable[Policy], language: Language) -> str:
    """What a letter about something that is given to delight says first; empty if it is given for a complaint.

    It is in the words of the first policy that has some for the occasion, else in ours.
    """
    if occasion is None:
        return ""
    for policy in policies:
        known = policy.delight.occasions.get(occasion) if policy.delight is not None else None
        if known is not None and language in known.greeting:
            return known.greeting[language]
    return say(language, "letter.check_given.delight")


def law_of(regime: str | None, policies: Iterable[Policy], language: Language) -> str:
    """How letters cite the law of a regime: from the first policy that has it, else the regime's id."""
    for policy in policies:
        if regime in policy.regimes:
            found = policy.regimes[regime]
            return found.cited.get(language) or found.law
    return regime or ""
