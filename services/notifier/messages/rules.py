"""The life of a message: pure rules.

A message is queued, handed to its provider by one process at a time, and ends sent or failed. A crash
between the provider's yes and our record of it leaves an attempt with an unknown fate. Such an attempt
is repeated once after a wait, counted, and carries the same Message-ID. If the second fate is unknown
too, the message has failed and is not sent a third time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from shared.contracts.complaints import (
    Language,
)
from shared.contracts.event import fingerprint
from shared.contracts.notifier import (
    MessageAttempted,
    MessageDelayed,
    MessageFact,
    MessageFailed,
    MessageQueued,
    MessageSent,
    Occasion,
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


class State(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    ATTEMPTED = "attempted"
    DELAYED = "delayed"
    SENT = "sent"
    FAILED = "failed"


FATES = (State.SENT, State.FAILED)


class Bound(NamedTuple):
    """An account that counts letters, and its ceiling."""

    account: str
    ceiling: int


class Message(Document):
    """One message: occasion, what it is about, its fate, and the time of its next attempt until then."""

    KIND: ClassVar[str] = "message"
    SCHEMA: ClassVar[Schema] = Schema(2)

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
    #: When it is due; None if that was at once.
    due_at: datetime | None = None
    next_at: datetime | None = None
    attempt: int = 0
    #: Whether an attempt was made although an earlier one may have arrived.
    repeats_unknown: bool = False

    @property
    def told_at(self) -> datetime:
        """From when on the customer may be told."""
        return self.due_at or self.queued_at


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
    due_at: datetime | None = None,
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


def next_of(fact: MessageFact) -> datetime | None:
    """The time of the message's next attempt; None once its fate is known."""
    match fact:
        case MessageQueued():
            return fact.due_at or fact.queued_at
        case MessageAttempted():
            return fact.attempted_at + ATTEMPT_LASTS
        case MessageDelayed():
            return fact.retry_at
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


SLICE = Slice(
    {
        MessageQueued: (Fold(Message, lambda fact: fact.message_id, message_queued),),
        MessageAttempted: (Fold(Message, lambda fact: fact.message_id, message_attempted),),
        MessageDelayed: (Fold(Message, lambda fact: fact.message_id, message_delayed),),
        MessageSent: (Fold(Message, lambda fact: fact.message_id, message_sent),),
        MessageFailed: (Fold(Message, lambda fact: fact.message_id, message_failed),),
    },
    postings={MessageAttempted: counted},
    timers={
        MessageQueued: next_attempt,
        MessageAttempted: next_attempt,
        MessageDelayed: next_attempt,
        MessageSent: next_attempt,
        MessageFailed: next_attempt,
    },
)
