"""The life of a message: pure rules.

A message is queued, handed to its provider by one process at a time, and ends sent or failed. A crash
between the provider's yes and our record of it leaves an attempt with an unknown fate. Such an attempt
is repeated once after a wait, counted, and carries the same id, also towards the provider. If the second
fate is unknown too, the message has failed and says so, and is not sent a third time; but one about somebody's
safety goes on by the next channel, because a third copy harms nobody.

A message that cannot be delivered on its channel is followed by one on the policy's next channel. What
providers report later counts whenever it comes: delivered is delivered, whatever was recorded before.

What an employee told the customer in person is not sent any more, on whatever channel it waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from shared.contracts.complaints import (
    Language,
)
from shared.contracts.event import fingerprint
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    MessageAttempted,
    MessageBounced,
    MessageDeferred,
    MessageDelayed,
    MessageDelivered,
    MessageFact,
    MessageFailed,
    MessageQueued,
    MessageSaid,
    MessageSent,
    Occasion,
)
from shared.contracts.policy import Acknowledge, Retry
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Fact, Fold, Posting, Schema, Slice, Timer, score_at

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
#: Failures after which the next channel may reach the customer. After others nothing is to be said any
#: more, or the same part of the message would be missing.
GOES_ON_AFTER = frozenset(
    {
        Reason.NO_ADDRESS_ON_CHANNEL,
        Reason.OTHER_CHANNEL,
        Reason.ADDRESS_REFUSED,
        Reason.NOT_DELIVERED,
        Reason.MAIL_UNAVAILABLE,
        Reason.SMS_UNAVAILABLE,
        Reason.UNKNOWN_PROVIDER,
        Reason.FATE_UNKNOWN,
    }
)
#: Reasons for which we did not try: there is nowhere to write to, or nothing to say any more.
SUPPRESSES = frozenset(
    {
        Reason.NO_CONTACT,
        Reason.NO_ADDRESS_ON_CHANNEL,
        Reason.CUSTOMER_ERASED,
        Reason.COMPLAINT_MERGED,
        Reason.CHECK_ENDED,
        Reason.NO_LONGER_TRUE,
        Reason.NOT_WANTED,
        Reason.OTHER_CHANNEL,
        Reason.CODE_WRONG,
        Reason.TOO_MANY_LETTERS,
        Reason.ENOUGH_TODAY,
    }
)
#: Reasons that lie with the address: another attempt would fare the same.
REFUSED_FOR_GOOD = frozenset({Reason.ADDRESS_REFUSED, Reason.NOT_DELIVERED})
#: Reasons that say nothing of an attempt whose fate is not known.
LEAVES_OPEN = SUPPRESSES | {None, Reason.FATE_UNKNOWN}
#: How much of a delay the jitter takes away at most.
JITTER = 0.25
#: As many attempts as a policy allows at most.
ATTEMPTS_KEPT = 50


class State(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    ATTEMPTED = "attempted"
    DELAYED = "delayed"
    SENT = "sent"
    FAILED = "failed"
    #: In person, and no letter was accepted before.
    SAID = "said"


FATES = (State.SENT, State.FAILED, State.SAID)


class Status(StrEnum):
    """What became of a message, as others are told."""

    CREATED = "created"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    TEMPORARY_FAILURE = "temporary-failure"
    PERMANENT_FAILURE = "permanent-failure"
    TECHNICAL_FAILURE = "technical-failure"
    SUPPRESSED = "suppressed"
    SAID = "said"


_STATUS = {
    State.QUEUED: Status.CREATED,
    State.ATTEMPTED: Status.SENDING,
    State.DELAYED: Status.TEMPORARY_FAILURE,
    State.SENT: Status.SENT,
    State.SAID: Status.SAID,
}


class Bound(NamedTuple):
    """An account that counts letters, its ceiling, and whether a letter above it waits for a digest or has failed."""

    account: str
    ceiling: int
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a message was handed to a provider, and why it was not accepted, if it is known not to be."""

    number: int
    at: datetime
    provider: str | None = None
    failed_because: Reason | None = None


class Message(Document):
    """One message: occasion, what it is about, its fate, and the time of its next attempt until then."""

    KIND: ClassVar[str] = "message"
    SCHEMA: ClassVar[Schema] = Schema(4)

    complaint_id: str
    customer_ref: str
    site: str
    occasion: Occasion
    language: Language
    about: str
    #: The promise that it tells of; None in older documents, and where it tells of none.
    promise_id: str | None = None
    #: The role mailbox it goes to; None for the customer.
    mailbox: str | None = None
    state: State
    queued_at: datetime
    #: When it is due, also after the customer was not to be disturbed; None if that was at once.
    due_at: datetime | None = None
    next_at: datetime | None = None
    attempt: int = 0
    #: Whether an attempt was made although an earlier one may have arrived.
    repeats_unknown: bool = False
    channel: MessageChannel = MessageChannel.EMAIL
    #: The provider of the last attempt.
    provider: str | None = None
    failed_because: Reason | None = None
    #: The channel by which the customer is told instead.
    next_channel: MessageChannel | None = None
    #: When the provider reported that it was delivered.
    delivered_at: datetime | None = None
    #: The last attempts, at most `ATTEMPTS_KEPT`; a document of before has those since.
    attempts: tuple[Attempt, ...] = ()
    #: When an employee told the customer in person, first.
    said_at: datetime | None = None
    #: The digest that it waits for, or went in, and the id of the message that this one went in.
    digest_id: str | None = None
    in_digest: str | None = None

    @property
    def told_at(self) -> datetime:
        """From when on the customer may be told."""
        return self.due_at or self.queued_at


def status_of(message: Message) -> Status:
    """What became of a message; a suppressed or failed one says why in `failed_because`."""
    if message.delivered_at is not None:
        return Status.DELIVERED
    if message.state is not State.FAILED:
        return _STATUS[message.state]
    if message.failed_because in SUPPRESSES:
        return Status.SUPPRESSED
    if message.failed_because in REFUSED_FOR_GOOD:
        return Status.PERMANENT_FAILURE
    return Status.TECHNICAL_FAILURE


def in_hand(message: Message) -> bool:
    """Whether it was handed to its provider, whose answer has not come."""
    return message.state is State.ATTEMPTED


def may_have_arrived(message: Message) -> bool:
    """Whether the customer may know what it says: it was sent or said, or the fate of an attempt is not known."""
    if message.delivered_at is not None or message.state in (State.SENT, State.SAID):
        return True
    # A reason not to write it any more says nothing of the attempt before, whose fate was not known.
    return any(one.failed_because in LEAVES_OPEN for one in message.attempts)


def message_id_of(
    occasion: Occasion, about: str, channel: MessageChannel = MessageChannel.EMAIL
) -> str:
    """The message's id, from its occasion, what it is about, and its channel: a repeated cause gives the same id.

    E-mail's is as it was before there were other channels.
    """
    by = () if channel is MessageChannel.EMAIL else (channel,)
    return "me-" + fingerprint("message", occasion, about, *by)


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
    due_at: datetime | None = None,
    channel: MessageChannel = MessageChannel.EMAIL,
) -> MessageQueued:
    """A message to a customer that is due now, or at `due_at`."""
    return MessageQueued(
        message_id=message_id,
        complaint_id=complaint_id,
        customer_ref=customer_ref,
        occasion=occasion,
        language=language,
        site=site,
        about=about,
        queued_at=now,
        promise_id=promise_id,
        due_at=due_at,
        channel=channel,
    )


def due(message: Message, now: datetime) -> bool:
    """Whether a message may be taken in hand: its fate is open, no process or digest has it, and its time has come.

    A fired timer is not enough, because another process may have moved it since it was read.
    """
    if message.digest_id is not None:
        return False
    return message.state not in FATES and (message.next_at is None or message.next_at <= now)


def bounds_of(
    message: Message,
    rules: Acknowledge,
    most: int,
    *,
    day: str,
    address_ref: str,
    sender_ref: str | None,
) -> Sequence[Bound]:
    """The daily bounds of a letter to a customer: `most` at the site, and by occasion and address.

    Acknowledgements, which any stranger can cause, are bounded by the policy, also by who raised the
    complaint.
    """
    customer = f"letters/customer/{day}/{message.site}/{message.customer_ref}"
    bounds = [Bound(customer, most, joins=True)]
    if message.occasion is not Occasion.ACKNOWLEDGEMENT:
        return [*bounds, Bound(f"letters/{message.occasion}/{day}/{address_ref}", LETTERS_MAX)]
    bounds.append(Bound(f"letters/address/{day}/{address_ref}", rules.per_address))
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
    provider: str | None = None,
    channels: Sequence[MessageChannel] = (),
) -> Decision:
    """Decide to take a message in hand: nothing if it is not due, failed if a bound is reached or a repeat was lost.

    `channels` are as in `lost`.
    """
    if not due(message, now):
        return Decision()
    if message.state is State.ATTEMPTED and message.repeats_unknown:
        # A process ended in the repeat, so that a third letter might be the third that arrives.
        return lost(message, message_id, now, channels)
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
        provider=provider,
    )
    return Decision((attempted,), {bound.account: bound.ceiling for bound in bounds})


def defer(
    message: Message,
    message_id: str,
    reason: Reason,
    due_at: datetime,
    digest_id: str | None = None,
) -> Decision:
    """Let a message wait until it is due, or until its digest goes; what is known of its attempts stays."""
    return Decision.of(
        MessageDeferred(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            reason=reason,
            due_at=due_at,
            digest_id=digest_id,
        )
    )


def counted(fact: MessageAttempted) -> Sequence[Posting]:
    """One posting for each account that a letter counts in."""
    return [Posting(account, 1) for account in fact.counted]


def sent(message: Message, message_id: str, now: datetime) -> Decision:
    """Record that the provider accepted it; a known fate does not change."""
    if message.state in FATES:
        return Decision()
    return Decision.of(accepted(message, message_id, now, message.attempt))


def accepted(
    message: Message, message_id: str, now: datetime, attempt: int, in_digest: str | None = None
) -> MessageSent:
    """The fact that the provider accepted it, at this attempt: its own, or that of the message it went in."""
    return MessageSent(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        attempt=attempt,
        sent_at=now,
        site=message.site,
        in_digest=in_digest,
    )


def lost(
    message: Message, message_id: str, now: datetime, channels: Sequence[MessageChannel] = ()
) -> Decision:
    """The attempt's fate is unknown: nothing, so that it is repeated; failed if it was a repeat already.

    It may have arrived twice, so that another channel follows only where `channels` are given.
    """
    if message.state in FATES or not message.repeats_unknown:
        return Decision()
    return not_sent(message, message_id, Reason.FATE_UNKNOWN, None, now, channels=channels)


def next_channel(
    message: Message, reason: Reason, channels: Sequence[MessageChannel]
) -> MessageChannel | None:
    """The channel by which somebody is told whom this message does not reach; None if by none.

    `channels` are the policy's, in the order that holds for the customer, or those of the role mailbox.
    """
    if reason not in GOES_ON_AFTER:
        return None
    if message.mailbox is not None and message.channel is MessageChannel.EMAIL:
        # The first message goes by e-mail, also where the mailbox has a number alone.
        return next((one for one in channels if one is not MessageChannel.EMAIL), None)
    if reason is Reason.OTHER_CHANNEL:
        return channels[0] if channels else None
    if message.channel not in channels:
        return None
    rest = channels[channels.index(message.channel) + 1 :]
    return rest[0] if rest else None


def follower_of(message: Message, message_id: str, channel: MessageChannel) -> str:
    """The id of the message that goes on for this one by another channel.

    What is sent again has one of its own: the message of before on that channel, and what became of it, stay as they are.
    """
    about = message.about if message.mailbox is None else f"{message.about}/{message.mailbox}"
    if message_id == message_id_of(message.occasion, about, message.channel):
        return message_id_of(message.occasion, about, channel)
    return "me-" + fingerprint("instead", message_id, channel)


def _instead(
    message: Message,
    message_id: str,
    channel: MessageChannel | None,
    now: datetime,
    new_id: str | None = None,
) -> Sequence[Fact]:
    """The same message on another channel, if there is one, or under another id."""
    if channel is None:
        return ()
    return (
        MessageQueued(
            message_id=new_id or follower_of(message, message_id, channel),
            complaint_id=message.complaint_id,
            customer_ref=message.customer_ref,
            occasion=message.occasion,
            language=message.language,
            site=message.site,
            about=message.about,
            promise_id=message.promise_id,
            mailbox=message.mailbox,
            queued_at=now,
            channel=channel,
            instead_of=message_id,
        ),
    )


def delivered(message: Message, message_id: str, provider: str, now: datetime) -> Decision:
    """Record that a provider reported the delivery; once, and only of what was handed over to this provider.

    It also settles the fate of an attempt that is not known yet, so that it is not repeated.
    """
    # An earlier one counts too: what it refused may have come all the same. Older attempts name none.
    carried_by = {message.provider, *(one.provider for one in message.attempts)}
    carried = bool(message.attempt) and not carried_by.isdisjoint({provider, None})
    if message.delivered_at is not None or not carried:
        return Decision()
    report = MessageDelivered(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        provider=provider,
        delivered_at=now,
        site=message.site,
    )
    if message.state in FATES:
        return Decision.of(report)
    return Decision.of(accepted(message, message_id, now, message.attempt), report)


def said(
    messages: Sequence[tuple[str, Message]], employee_id: str, now: datetime
) -> Sequence[MessageSaid]:
    """An employee told the customer in person what the last of these messages says, which are in the order of their queueing.

    It goes for each message about the same that waits, on whatever channel; the last one's fact is the last.
    """
    last_id, last = messages[-1]
    return [
        MessageSaid(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            site=message.site,
            employee_id=employee_id,
            said_at=now,
        )
        for message_id, message in messages
        if message_id == last_id or (message.about == last.about and message.state not in FATES)
    ]


def is_lost(message: Message) -> bool:
    """Whether a message failed: it may be sent again where whatever goes on for it failed as well.

    Of a digest, the messages in it may be, each by itself.
    """
    reached = message.delivered_at is not None
    return message.state is State.FAILED and not reached and message.occasion is not Occasion.DIGEST


def resend(message: Message, message_id: str, now: datetime) -> Decision:
    """Queue a lost message once more, under an id of its own, so that its provider does not take it for a repeat.

    It is written anew when it goes.
    """
    return Decision(_instead(message, message_id, message.channel, now, again_id_of(message_id)))


def again_id_of(message_id: str) -> str:
    """The id of the message that a failed one is sent again as."""
    return "me-" + fingerprint("again", message_id)


def bounced(
    message: Message,
    message_id: str,
    provider: str,
    channels: Sequence[MessageChannel],
    now: datetime,
) -> Decision:
    """Record that a provider reported that it could not deliver, and go on by the next channel.

    Nothing if it was delivered, said in person, has failed already, or another provider has the message by now.
    """
    told = message.delivered_at is not None or message.said_at is not None
    known = told or message.state is State.FAILED
    if known or not message.attempt or message.provider not in (provider, None):
        return Decision()
    other = next_channel(message, Reason.NOT_DELIVERED, channels)
    report = MessageBounced(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        provider=provider,
        reason=Reason.NOT_DELIVERED,
        bounced_at=now,
        site=message.site,
        next_channel=other,
    )
    return Decision.of(report, *_instead(message, message_id, other, now))


def not_sent(
    message: Message,
    message_id: str,
    reason: Reason,
    retry: Retry | None,
    now: datetime,
    after: timedelta = timedelta(0),
    channels: Sequence[MessageChannel] = (),
) -> Decision:
    """Record a failed attempt: delayed, with a doubling delay; failed without `retry`, after its last attempt or deadline.

    Not before `after`, if the provider said so. A failed message goes on by the next of `channels`, where
    there is one. A known fate does not change.
    """
    if message.state in FATES:
        return Decision()
    retry_at = None if retry is None else _retry_at(message, message_id, retry, now, after)
    if retry_at is None:
        other = next_channel(message, reason, channels)
        failed = MessageFailed(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            reason=reason,
            failed_at=now,
            site=message.site,
            next_channel=other,
        )
        return Decision.of(failed, *_instead(message, message_id, other, now))
    return Decision.of(
        MessageDelayed(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            attempt=message.attempt,
            reason=reason,
            retry_at=retry_at,
        )
    )


def _retry_at(
    message: Message, message_id: str, retry: Retry, now: datetime, after: timedelta
) -> datetime | None:
    """When a message is tried again; None after its last attempt, or if that were past its deadline."""
    if message.attempt >= retry.attempts_max:
        return None
    times = 2 ** (message.attempt - 1)
    # Compared before multiplying, because fifty doublings overflow a timedelta.
    delay = (
        RETRY_LONGEST if retry.first_delay > RETRY_LONGEST / times else retry.first_delay * times
    )
    delay -= delay * JITTER * share_of(message_id, message.attempt)
    retry_at = now + min(max(delay, after), RETRY_LONGEST)
    return retry_at if retry_at <= message.told_at + retry.within else None


def share_of(effect_id: str, attempt: int) -> float:
    """A number from 0 to 1 that differs between effects and attempts, and is the same in a rebuild."""
    return int(fingerprint("jitter", effect_id, str(attempt))[:8], 16) / 0xFFFFFFFF


def next_of(fact: MessageFact) -> datetime | None:
    """The time of the message's next attempt; None once its fate is known."""
    match fact:
        case MessageQueued():
            return fact.due_at or fact.queued_at
        case MessageAttempted():
            return fact.attempted_at + ATTEMPT_LASTS
        case MessageDelayed():
            return fact.retry_at
        case MessageDeferred():
            return fact.due_at if fact.digest_id is None else None
        case _:
            return None


def next_attempt(fact: MessageFact) -> Sequence[Timer]:
    """The timer of a message, at its next attempt; removed once its fate is known."""
    return (Timer(SEND, fact.message_id, next_of(fact)),)


def message_queued(_: Message | None, fact: MessageQueued) -> Message:
    """A new message."""
    told = fact.model_dump(include=set(Message.model_fields) - {"state", "next_at"})
    return Message(state=State.QUEUED, next_at=next_of(fact), **told)


def message_attempted(message: Message, fact: MessageAttempted) -> Message:
    """A process took it in hand and hands it to the provider; its fate is unknown."""
    begun = Attempt(fact.attempt, fact.attempted_at, fact.provider)
    return message.model_copy(
        update={
            "state": State.ATTEMPTED,
            "next_at": next_of(fact),
            "attempt": fact.attempt,
            "repeats_unknown": message.repeats_unknown or fact.repeats_unknown,
            "provider": fact.provider,
            "attempts": (*message.attempts, begun)[-ATTEMPTS_KEPT:],
        }
    )


def message_delayed(message: Message, fact: MessageDelayed) -> Message:
    """Delivery failed; the next attempt is scheduled."""
    return message.model_copy(
        update={
            "state": State.DELAYED,
            "next_at": next_of(fact),
            "attempts": _last_failed(message, fact.reason),
        }
    )


def message_deferred(message: Message, fact: MessageDeferred) -> Message:
    """It waits, in whatever state it is, and its deadlines count from when it is due."""
    return message.model_copy(
        update={"due_at": fact.due_at, "next_at": next_of(fact), "digest_id": fact.digest_id}
    )


def message_sent(message: Message, fact: MessageSent) -> Message:
    """The provider accepted it, or the digest that it was in."""
    return message.model_copy(
        update={"state": State.SENT, "next_at": None, "in_digest": fact.in_digest}
    )


def message_failed(message: Message, fact: MessageFailed | MessageBounced) -> Message:
    """Delivery failed for good, or was reported to have failed."""
    return message.model_copy(
        update={
            "state": State.FAILED,
            "next_at": None,
            "failed_because": fact.reason,
            "next_channel": fact.next_channel,
            "attempts": _last_failed(message, fact.reason),
        }
    )


def _last_failed(message: Message, reason: Reason) -> Sequence[Attempt]:
    """The attempts, the last one with why it failed, unless it failed before or the message was never tried."""
    if not message.attempts or message.attempts[-1].failed_because is not None:
        return message.attempts
    *before, last = message.attempts
    return (*before, replace(last, failed_because=reason))


def message_delivered(message: Message, fact: MessageDelivered) -> Message:
    """The provider reported the delivery."""
    return message.model_copy(update={"delivered_at": fact.delivered_at})


def message_said(message: Message, fact: MessageSaid) -> Message:
    """The customer was told in person; a letter that was sent stays sent, and the first time counts."""
    update: dict[str, object] = {"said_at": message.said_at or fact.said_at}
    if message.state is not State.SENT:
        update |= {"state": State.SAID, "next_at": None, "failed_because": None}
    return message.model_copy(update=update)


def messages_of(complaint_id: str) -> str:
    """The sorted set of a complaint's messages, the first one first."""
    return f"messages/{complaint_id}"


SLICE = Slice(
    {
        MessageQueued: (Fold(Message, lambda fact: fact.message_id, message_queued),),
        MessageAttempted: (Fold(Message, lambda fact: fact.message_id, message_attempted),),
        MessageDelayed: (Fold(Message, lambda fact: fact.message_id, message_delayed),),
        MessageDeferred: (Fold(Message, lambda fact: fact.message_id, message_deferred),),
        MessageSent: (Fold(Message, lambda fact: fact.message_id, message_sent),),
        MessageFailed: (Fold(Message, lambda fact: fact.message_id, message_failed),),
        MessageBounced: (Fold(Message, lambda fact: fact.message_id, message_failed),),
        MessageDelivered: (Fold(Message, lambda fact: fact.message_id, message_delivered),),
        MessageSaid: (Fold(Message, lambda fact: fact.message_id, message_said),),
    },
    postings={MessageAttempted: counted},
    indexes={Message: lambda one: {messages_of(one.complaint_id): score_at(one.queued_at)}},
    timers={
        MessageQueued: next_attempt,
        MessageAttempted: next_attempt,
        MessageDelayed: next_attempt,
        MessageDeferred: next_attempt,
        MessageSent: next_attempt,
        MessageFailed: next_attempt,
        MessageBounced: next_attempt,
        MessageSaid: next_attempt,
    },
)
