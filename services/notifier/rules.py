"""The life of a message, and the answer to "did it help?": pure rules.

A message is queued, handed to its provider by one process at a time, and ends sent or failed. A crash
between the provider's yes and our record of it leaves an attempt with an unknown fate. Such an attempt
is repeated once after a wait, counted, and carries the same Message-ID. If the second fate is unknown
too, the message has failed and is not sent a third time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from shared.contracts.compensation import (
    Basis,
    CheckExpired,
    CheckIssued,
    CheckKind,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    OfferMade,
    Option,
    RedemptionCaptured,
    RedemptionRolledBack,
    Safety,
    SafetyNoted,
)
from shared.contracts.complaints import (
    Action,
    Category,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintReceived,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ConfirmationAsked,
    ContactChanged,
    Language,
    SafetyFound,
)
from shared.contracts.event import fingerprint
from shared.contracts.notifier import (
    FeedbackReceived,
    Helped,
    MessageAttempted,
    MessageDelayed,
    MessageFact,
    MessageFailed,
    MessageQueued,
    MessageSent,
    Occasion,
    SafetyRouted,
)
from shared.contracts.policy import Acknowledge, Retry
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Fold, Posting, Schema, Slice, Timer

#: An attempt without an answer for this long has an unknown fate.
ATTEMPT_LASTS = timedelta(seconds=60)
RETRY_LONGEST = timedelta(hours=6)
#: A customer's key and the complaint come on topics of their own, within seconds. If they are missing
#: after an hour, the message has failed.
PARTS_COME_WITHIN = timedelta(hours=1)
#: Letters of one occasion to one address in a day, where the policy does not say. A family with several
#: bad dinners gets fewer; apologies cost nothing, so that a bound on letters is needed. Each occasion
#: counts by itself, so that acknowledgements or apologies do not keep a code away.
LETTERS_MAX = 20
SEND = "send"
ALARM = "alarm"
#: An alarm about safety is due at once. Its facts have no common time and a rebuild needs the same due
#: time, so it is a constant in the past.
AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)


class State(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    ATTEMPTED = "attempted"
    DELAYED = "delayed"
    SENT = "sent"
    FAILED = "failed"


FATES = (State.SENT, State.FAILED)


class Standing(StrEnum):
    """Where a check stands for the customer who holds it."""

    USABLE = "usable"
    PARTLY_USED = "partly_used"
    USED = "used"
    SUSPENDED = "suspended"
    VOIDED = "voided"
    EXPIRED = "expired"


#: Where a till takes the code.
TAKEN = (Standing.USABLE, Standing.PARTLY_USED)


class Story(Document):
    """What the notifier must know of a complaint to write to its customer."""

    KIND: ClassVar[str] = "story"
    SCHEMA: ClassVar[Schema] = Schema(2)

    customer_ref: str
    site: str
    language: Language
    contact: str | None = None
    category: Category = Category.OTHER
    promised_by: datetime | None = None
    #: How often the customer said that it did not help, as far as complaints has recorded it.
    round: int = 0
    #: The customer's words say that somebody's safety is concerned.
    safety: bool = False
    #: The pseudonym of who raised it.
    sender_ref: str | None = None
    #: The customer was erased.
    forgotten: bool | None = None
    #: The complaint that goes on for it.
    merged_into: str | None = None


class Bound(NamedTuple):
    """An account that counts letters, and its ceiling."""

    account: str
    ceiling: int


class Alarm(Document):
    """What employees said about somebody's safety; folded from compensation's facts alone, in any order."""

    KIND: ClassVar[str] = "alarm"

    customer_ref: str
    site: str
    kinds: tuple[Safety, ...] = ()


class Routed(Document):
    """The role mailboxes that were told about somebody's safety: the fact SafetyRouted."""

    KIND: ClassVar[str] = "alarm-routed"

    mailboxes: tuple[str, ...]


class GivenCheck(Document):
    """The parts of a check that a message needs; titles come from the policy that it was given under."""

    KIND: ClassVar[str] = "given"

    complaint_id: str
    item: str
    policy_version: int
    value_minor: int
    currency: str
    percent: int | None = None
    bill_up_to_minor: int | None = None
    code: str
    valid_until: datetime
    valid_at: tuple[str, ...] = ()
    reason: Category = Category.OTHER
    basis: Basis = Basis.GOODWILL
    regime: str | None = None
    information: str | None = None


class CheckLife(Document):
    """What became of a check after it was given, folded from compensation's facts."""

    KIND: ClassVar[str] = "check-life"

    redeemed_minor: int = 0
    redeemed_at: datetime | None = None
    suspended: bool = False
    voided: bool = False
    expired: bool = False

    def left_minor(self, check: GivenCheck) -> int:
        """What can still be redeemed, in minor units; a percentage is spent after one use."""
        if check.percent is not None and self.redeemed_minor:
            return 0
        return check.value_minor - self.redeemed_minor

    def standing(self, check: GivenCheck, now: datetime) -> Standing:
        """Where the check stands now; a used check stays used whatever comes after."""
        if self.redeemed_minor and not self.left_minor(check):
            return Standing.USED
        if self.voided:
            return Standing.VOIDED
        if not check.value_minor:  # an apology does not expire and has no code to suspend
            return Standing.USABLE
        if self.expired or check.valid_until <= now:
            return Standing.EXPIRED
        if self.suspended:
            return Standing.SUSPENDED
        return Standing.PARTLY_USED if self.redeemed_minor else Standing.USABLE


class Offered(Document):
    """The parts of an offer that a message needs: options, until when, and what is due by law besides."""

    KIND: ClassVar[str] = "offered"

    policy_version: int
    currency: str
    #: Items by value in minor units, as stored before options carried percentages.
    items: tuple[tuple[str, int], ...] = ()
    options: tuple[Option, ...] = ()
    expires_at: datetime
    reason: Category = Category.OTHER
    regime: str | None = None
    information: str | None = None

    def choices(self) -> Sequence[Option]:
        """The options, also of an offer that was stored before options carried percentages."""
        return self.options or tuple(
            Option(
                item=item,
                kind=CheckKind.EXPERIENCE,
                value_minor=value,
                cost_minor=0,
                currency=self.currency,
            )
            for item, value in self.items
        )


class Message(Document):
    """One message: occasion, what it is about, its fate, and the time of its next attempt until then."""

    KIND: ClassVar[str] = "message"

    complaint_id: str
    customer_ref: str
    site: str
    occasion: Occasion
    language: Language
    about: str
    #: The role mailbox it goes to; None for the customer.
    mailbox: str | None = None
    state: State
    queued_at: datetime
    next_at: datetime | None = None
    attempt: int = 0
    #: Whether an attempt was made although an earlier one may have arrived.
    repeats_unknown: bool = False


class OneTimeCode(Document):
    """A one-time code that a customer is sent: sealed, what it is for, and until when it is taken."""

    KIND: ClassVar[str] = "one-time-code"

    action: Action
    code: str
    expires_at: datetime


class Answer(Document):
    """What the customer answered about a check."""

    KIND: ClassVar[str] = "answer-given"

    helped: Helped
    answered_at: datetime | None = None

    def promise(self, story: Story) -> datetime | None:
        """By when the customer hears from us after a no; None until complaints has promised it."""
        later = story.promised_by is not None and (
            self.answered_at is None or story.promised_by > self.answered_at
        )
        return story.promised_by if self.helped is Helped.NO and story.round and later else None


def message_id_of(occasion: Occasion, about: str) -> str:
    """The message's id, from its occasion and what it is about: a repeated cause gives the same id."""
    return "me-" + fingerprint("message", occasion, about)


def queue(
    message_id: str,
    occasion: Occasion,
    about: str,
    *,
    complaint_id: str,
    customer_ref: str,
    site: str,
    language: Language,
    now: datetime,
    promise_id: str | None = None,
) -> Decision:
    """A MessageQueued fact for a message that is due now."""
    return Decision.of(
        MessageQueued(
            message_id=message_id,
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            occasion=occasion,
            language=language,
            site=site,
            about=about,
            queued_at=now,
            promise_id=promise_id,
        )
    )


def route(
    complaint_id: str,
    *,
    customer_ref: str,
    site: str,
    kinds: Sequence[Safety],
    language: Language,
    mailboxes: Sequence[str],
    now: datetime,
) -> Decision:
    """Tell the site's role mailboxes that somebody's safety is concerned, one message each."""
    routed = SafetyRouted(
        complaint_id=complaint_id,
        site=site,
        kinds=tuple(kinds),
        mailboxes=tuple(mailboxes),
        routed_at=now,
    )
    return Decision.of(
        routed,
        *(
            MessageQueued(
                message_id=message_id_of(Occasion.SAFETY, f"{complaint_id}/{mailbox}"),
                complaint_id=complaint_id,
                customer_ref=customer_ref,
                occasion=Occasion.SAFETY,
                language=language,
                site=site,
                about=complaint_id,
                mailbox=mailbox,
                queued_at=now,
            )
            for mailbox in mailboxes
        ),
    )


def due(message: Message, now: datetime) -> bool:
    """Whether a message may be taken in hand: its fate is open, no process has it, and its time has come.

    A fired timer is not enough, because another process may have moved it since it was read.
    """
    return message.state not in FATES and (message.next_at is None or message.next_at <= now)


def bounds_of(
    occasion: Occasion, rules: Acknowledge, *, day: str, address_ref: str, sender_ref: str | None
) -> Sequence[Bound]:
    """The daily bounds of a letter to a customer: by occasion and address.

    Acknowledgements, which any stranger can cause, are bounded by the policy, also by who raised the
    complaint.
    """
    if occasion is not Occasion.ACKNOWLEDGEMENT:
        return [Bound(f"letters/{occasion}/{day}/{address_ref}", LETTERS_MAX)]
    bounds = [Bound(f"letters/address/{day}/{address_ref}", rules.per_address)]
    if sender_ref is not None:
        most = rules.per_person if sender_ref.startswith("pe-") else rules.per_source
        bounds.append(Bound(f"letters/sender/{day}/{sender_ref}", most))
    return bounds


def attempt(
    message: Message,
    message_id: str,
    now: datetime,
    bounds: Sequence[Bound] = (),
    used: Mapping[str, int] = {},
) -> Decision:
    """Decide to take a message in hand: nothing if it is not due, failed if a bound is reached."""
    if not due(message, now):
        return Decision()
    if any(used[bound.account] >= bound.ceiling for bound in bounds):
        return not_sent(message, message_id, Reason.TOO_MANY_LETTERS, None, now)
    attempted = MessageAttempted(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        attempt=message.attempt + 1,
        repeats_unknown=message.state is State.ATTEMPTED,
        counted=tuple(bound.account for bound in bounds),
        attempted_at=now,
    )
    return Decision((attempted,), dict(bounds))


def counted(fact: MessageAttempted) -> Sequence[Posting]:
    """One posting for each account that a letter counts in."""
    return [Posting(account, 1) for account in fact.counted]


def sent(message: Message, message_id: str, now: datetime) -> Decision:
    """Record that the provider accepted it; a known fate does not change."""
    if message.state in FATES:
        return Decision()
    return Decision.of(
        MessageSent(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            attempt=message.attempt,
            sent_at=now,
            site=message.site,
        )
    )


def lost(message: Message, message_id: str, now: datetime) -> Decision:
    """The attempt's fate is unknown: nothing, so that it is repeated; failed if it was a repeat already."""
    if message.state in FATES or not message.repeats_unknown:
        return Decision()
    return not_sent(message, message_id, Reason.MAIL_UNAVAILABLE, None, now)


def not_sent(
    message: Message,
    message_id: str,
    reason: Reason,
    retry: Retry | None,
    now: datetime,
    after: timedelta = timedelta(0),
) -> Decision:
    """Record a failed attempt: delayed, with a doubling delay; failed without `retry` or after its last attempt.

    Not before `after`, if the provider said so. A known fate does not change.
    """
    if message.state in FATES:
        return Decision()
    if retry is None or message.attempt >= retry.attempts_max:
        return Decision.of(
            MessageFailed(
                message_id=message_id,
                complaint_id=message.complaint_id,
                occasion=message.occasion,
                reason=reason,
                failed_at=now,
                site=message.site,
            )
        )
    times = 2 ** (message.attempt - 1)
    # Compared before multiplying, because fifty doublings overflow a timedelta.
    delay = (
        RETRY_LONGEST if retry.first_delay > RETRY_LONGEST / times else retry.first_delay * times
    )
    return Decision.of(
        MessageDelayed(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            attempt=message.attempt,
            reason=reason,
            retry_at=now + min(max(delay, after), RETRY_LONGEST),
        )
    )


def take_answer(
    story: Story | None, complaint_id: str, check_id: str, helped: Helped, now: datetime
) -> Decision:
    """A FeedbackReceived fact with the customer's answer."""
    return Decision.of(
        FeedbackReceived(
            complaint_id=complaint_id,
            check_id=check_id,
            helped=helped,
            answered_at=now,
            site=story.site if story else None,
        )
    )


def next_of(fact: MessageFact) -> datetime | None:
    """The time of the message's next attempt; None once its fate is known."""
    match fact:
        case MessageQueued():
            return fact.queued_at
        case MessageAttempted():
            return fact.attempted_at + ATTEMPT_LASTS
        case MessageDelayed():
            return fact.retry_at
        case _:
            return None


def next_attempt(fact: MessageFact) -> Sequence[Timer]:
    """The timer of a message, at its next attempt; removed once its fate is known."""
    return (Timer(SEND, fact.message_id, next_of(fact)),)


def told_at_once(fact: SafetyNoted | SafetyFound | ComplaintTriaged) -> Sequence[Timer]:
    """The alarm of a complaint about somebody's safety."""
    if isinstance(fact, ComplaintTriaged) and not fact.safety:
        return ()
    return (Timer(ALARM, fact.complaint_id, AT_ONCE),)


def story_received(story: Story | None, fact: ComplaintReceived) -> Story:
    """The complaint with its customer, language and contact."""
    told: dict[str, Any] = {
        "customer_ref": fact.customer_ref,
        "site": fact.site,
        "language": fact.language,
        "contact": fact.contact,
    }
    return story.model_copy(update=told) if story else Story(**told)


def story_promised(story: Story | None, fact: ComplaintTriaged | ComplaintReopened) -> Story:
    """The complaint with its promise; the received fact comes first on the same partition."""
    known = story or Story(
        customer_ref=fact.customer_ref, site=fact.site, language=fact.language, contact=None
    )
    update: dict[str, object] = {"promised_by": fact.promised_by}
    if isinstance(fact, ComplaintReopened):
        update |= {"round": fact.round}
    else:
        update |= {
            "category": fact.category,
            "safety": fact.safety,
            "sender_ref": fact.sender_ref,
        }
    return known.model_copy(update=update)


def story_contact(story: Story, fact: ContactChanged) -> Story:
    """The complaint with another contact; none for a customer who was erased."""
    return story if story.forgotten else story.model_copy(update={"contact": fact.contact})


def story_forgotten(story: Story, _: ComplaintForgotten) -> Story:
    """The complaint without its contact: the customer was erased."""
    return story.model_copy(update={"contact": None, "forgotten": True})


def story_merged(story: Story, fact: ComplaintMerged) -> Story:
    """Another complaint goes on for this one."""
    return story.model_copy(update={"merged_into": fact.into})


def story_split(story: Story, _: ComplaintSplit) -> Story:
    """The complaint stands by itself again."""
    return story.model_copy(update={"merged_into": None})


def alarmed(alarm: Alarm | None, fact: SafetyNoted) -> Alarm:
    """The alarm with one more kind."""
    known = alarm.kinds if alarm else ()
    kinds = tuple(sorted({*known, fact.safety}))
    return Alarm(customer_ref=fact.customer_ref, site=fact.site, kinds=kinds)


def given(_: GivenCheck | None, fact: CheckIssued) -> GivenCheck:
    """The check as it was given."""
    return GivenCheck.model_validate(fact.model_dump(include=set(GivenCheck.model_fields)))


def redeemed(life: CheckLife | None, fact: RedemptionCaptured) -> CheckLife:
    """The check after a till redeemed a part of it, or all."""
    life = life or CheckLife()
    redeemed_minor = life.redeemed_minor + fact.amount_minor
    return life.model_copy(
        update={"redeemed_minor": redeemed_minor, "redeemed_at": fact.captured_at}
    )


def rolled_back(life: CheckLife | None, fact: RedemptionRolledBack) -> CheckLife:
    """The check after a redemption was undone."""
    life = life or CheckLife()
    redeemed_minor = max(0, life.redeemed_minor - fact.amount_minor)
    return life.model_copy(update={"redeemed_minor": redeemed_minor})


def _life(**changes: bool) -> tuple[Fold]:
    return (
        Fold(
            CheckLife,
            lambda fact: fact.check_id,
            lambda life, _: (life or CheckLife()).model_copy(update=changes),
        ),
    )


def offered(_: Offered | None, fact: OfferMade) -> Offered:
    """The offer as it was made."""
    return Offered(
        policy_version=fact.policy_version,
        currency=fact.options[0].currency,
        options=fact.options,
        expires_at=fact.expires_at,
        reason=fact.reason,
        regime=fact.regime,
        information=fact.information,
    )


def code_sent(_: OneTimeCode | None, fact: ConfirmationAsked) -> OneTimeCode:
    """The code as it was asked for."""
    return OneTimeCode(action=fact.action, code=fact.code, expires_at=fact.expires_at)


def message_queued(_: Message | None, fact: MessageQueued) -> Message:
    """A new message."""
    told = fact.model_dump(include=set(Message.model_fields) - {"state", "next_at"})
    return Message(state=State.QUEUED, next_at=next_of(fact), **told)


def message_attempted(message: Message, fact: MessageAttempted) -> Message:
    """A process took it in hand and hands it to the provider; its fate is unknown."""
    return message.model_copy(
        update={
            "state": State.ATTEMPTED,
            "next_at": next_of(fact),
            "attempt": fact.attempt,
            "repeats_unknown": message.repeats_unknown or fact.repeats_unknown,
        }
    )


def message_delayed(message: Message, fact: MessageDelayed) -> Message:
    """Delivery failed; the next attempt is scheduled."""
    return message.model_copy(update={"state": State.DELAYED, "next_at": next_of(fact)})


def message_sent(message: Message, _: MessageSent) -> Message:
    """The provider accepted it."""
    return message.model_copy(update={"state": State.SENT, "next_at": None})


def message_failed(message: Message, _: MessageFailed) -> Message:
    """Delivery failed for good."""
    return message.model_copy(update={"state": State.FAILED, "next_at": None})


def answered(_: Answer | None, fact: FeedbackReceived) -> Answer:
    """The customer's answer."""
    return Answer(helped=fact.helped, answered_at=fact.answered_at)


SLICE = Slice(
    {
        ComplaintReceived: (Fold(Story, lambda fact: fact.complaint_id, story_received),),
        ComplaintTriaged: (Fold(Story, lambda fact: fact.complaint_id, story_promised),),
        ComplaintReopened: (Fold(Story, lambda fact: fact.complaint_id, story_promised),),
        ComplaintForgotten: (Fold(Story, lambda fact: fact.complaint_id, story_forgotten),),
        ContactChanged: (Fold(Story, lambda fact: fact.complaint_id, story_contact),),
        ConfirmationAsked: (Fold(OneTimeCode, lambda fact: fact.confirmation_id, code_sent),),
        ComplaintMerged: (Fold(Story, lambda fact: fact.complaint_id, story_merged),),
        ComplaintSplit: (Fold(Story, lambda fact: fact.complaint_id, story_split),),
        CheckIssued: (Fold(GivenCheck, lambda fact: fact.check_id, given),),
        CheckVoided: _life(voided=True),
        CheckExpired: _life(expired=True),
        CheckSuspended: _life(suspended=True),
        CheckResumed: _life(suspended=False),
        RedemptionCaptured: (Fold(CheckLife, lambda fact: fact.check_id, redeemed),),
        RedemptionRolledBack: (Fold(CheckLife, lambda fact: fact.check_id, rolled_back),),
        SafetyNoted: (Fold(Alarm, lambda fact: fact.complaint_id, alarmed),),
        SafetyFound: (),
        SafetyRouted: (Fold(Routed, lambda fact: fact.complaint_id),),
        OfferMade: (Fold(Offered, lambda fact: fact.offer_id, offered),),
        MessageQueued: (Fold(Message, lambda fact: fact.message_id, message_queued),),
        MessageAttempted: (Fold(Message, lambda fact: fact.message_id, message_attempted),),
        MessageDelayed: (Fold(Message, lambda fact: fact.message_id, message_delayed),),
        MessageSent: (Fold(Message, lambda fact: fact.message_id, message_sent),),
        MessageFailed: (Fold(Message, lambda fact: fact.message_id, message_failed),),
        FeedbackReceived: (Fold(Answer, lambda fact: fact.check_id, answered),),
    },
    postings={MessageAttempted: counted},
    timers={
        MessageQueued: next_attempt,
        MessageAttempted: next_attempt,
        MessageDelayed: next_attempt,
        MessageSent: next_attempt,
        MessageFailed: next_attempt,
        SafetyNoted: told_at_once,
        SafetyFound: told_at_once,
        ComplaintTriaged: told_at_once,
    },
)
