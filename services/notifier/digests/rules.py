"""Which messages wait for a digest, and what becomes of them: pure rules.

A site says how many messages a day one customer is sent one by one. Above that, whatever can wait goes
together, in one message on the next day: the digest. It is a message like any other, and the messages in
it end with it, in the same commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from services.notifier.messages.rules import (
    FATES,
    Message,
    State,
    accepted,
    defer,
    message_id_of,
    not_sent,
    queue,
)
from shared.contracts.event import fingerprint
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    MessageAttempted,
    MessageBounced,
    MessageDeferred,
    MessageDelivered,
    MessageFailed,
    MessageSent,
    Occasion,
)
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Fact, Fold, Slice

#: Messages in one digest at most: it is read in a minute, and its commit stays small.
DIGEST_MESSAGES_MAX = 50


class Digest(Document):
    """The messages that joined a digest, in the order in which they did."""

    KIND: ClassVar[str] = "digest"

    message_ids: tuple[str, ...] = ()


def digest_id_of(message: Message, day: str, address_ref: str) -> str:
    """The digest of a day's messages to one customer at one address.

    Text messages show one link, so theirs is of one complaint.
    """
    of = () if message.channel is MessageChannel.EMAIL else (message.complaint_id,)
    return "dg-" + fingerprint(
        "digest", message.customer_ref, message.site, day, address_ref, message.channel, *of
    )


def carrier_of(digest_id: str, channel: MessageChannel) -> str:
    """The id of the message that a digest goes as on this channel."""
    return message_id_of(Occasion.DIGEST, digest_id, channel)


def goes_at(at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """When the digest of today goes: at this local time of the next day."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, at, tzinfo=zone).astimezone(UTC)


def join(
    message: Message,
    message_id: str,
    digest_id: str,
    digest: Digest | None,
    carrier: Message | None,
    due_at: datetime,
    now: datetime,
) -> Decision:
    """Let a message wait for its digest, whose own message is queued with the first.

    If the digest is on its way already, or full, the message waits by itself, and counts in the day on which it goes.
    """
    if carrier is None:
        carries = queue(
            carrier_of(digest_id, message.channel),
            Occasion.DIGEST,
            digest_id,
            complaint_id=message.complaint_id,
            customer_ref=message.customer_ref,
            site=message.site,
            language=message.language,
            now=now,
            due_at=due_at,
            channel=message.channel,
        )
        waits = defer(message, message_id, Reason.ENOUGH_TODAY, due_at, digest_id)
        return replace(waits, facts=(carries, *waits.facts))
    full = digest is not None and len(digest.message_ids) >= DIGEST_MESSAGES_MAX
    if full or carrier.state is not State.QUEUED or carrier.told_at <= now:
        return defer(message, message_id, Reason.ENOUGH_TODAY, due_at)
    return defer(message, message_id, Reason.ENOUGH_TODAY, carrier.told_at, digest_id)


def with_its_messages(
    carrier: Message,
    decision: Decision,
    held: Mapping[str, Message],
    left_out: Mapping[str, Reason],
    now: datetime,
) -> Decision:
    """What was decided about a digest's message, with what becomes of the messages in it.

    Those left out fail when it is taken in hand. The others are sent and delivered when it is. They fail when it
    does and no other channel goes on for it, also where it was accepted before and came back. Where text messages
    go on for it, each other complaint gets one of its own.
    """
    fates: list[Fact] = []
    for fact in decision.facts:
        match fact:
            case MessageAttempted():
                for name in left_out.keys() & held.keys():
                    fates += not_sent(held[name], name, left_out[name], None, now).facts
            case MessageSent():
                fates += [
                    accepted(one, name, now, fact.attempt, fact.message_id)
                    for name, one in held.items()
                    if one.state not in FATES
                ]
            case MessageDelivered():
                fates += [
                    _delivered(one, name, fact)
                    for name, one in held.items()
                    if one.delivered_at is None
                ]
            case MessageFailed() | MessageBounced() if fact.next_channel is MessageChannel.SMS:
                fates += _by_complaint(carrier, held, now)
            case MessageFailed() | MessageBounced() if fact.next_channel is None:
                fates += [
                    _not_delivered(one, name, fact, now)
                    for name, one in held.items()
                    if one.said_at is None
                ]
            case _:
                pass
    return replace(decision, facts=(*decision.facts, *fates))


def _delivered(message: Message, message_id: str, of: MessageDelivered) -> MessageDelivered:
    """The report about a digest, for a message in it."""
    return MessageDelivered(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        provider=of.provider,
        delivered_at=of.delivered_at,
        site=message.site,
    )


def _by_complaint(carrier: Message, held: Mapping[str, Message], now: datetime) -> Iterator[Fact]:
    """A digest for each complaint but the carrier's own, with the messages about it, by text message at once."""
    others = sorted({one.complaint_id for one in held.values()} - {carrier.complaint_id})
    for complaint_id in others:
        digest_id = "dg-" + fingerprint("digest of", carrier.about, complaint_id)
        yield queue(
            carrier_of(digest_id, MessageChannel.SMS),
            Occasion.DIGEST,
            digest_id,
            complaint_id=complaint_id,
            customer_ref=carrier.customer_ref,
            site=carrier.site,
            language=carrier.language,
            now=now,
            channel=MessageChannel.SMS,
        )
        for name, one in held.items():
            if one.complaint_id == complaint_id:
                yield from defer(one, name, Reason.ENOUGH_TODAY, now, digest_id).facts


def _not_delivered(
    message: Message, message_id: str, of: MessageFailed | MessageBounced, now: datetime
) -> Fact:
    """What becomes of a message whose digest failed or came back; one that was sent in it came back too."""
    if isinstance(of, MessageBounced) and message.state is State.SENT:
        return MessageBounced(
            message_id=message_id,
            complaint_id=message.complaint_id,
            occasion=message.occasion,
            provider=of.provider,
            reason=of.reason,
            bounced_at=now,
            site=message.site,
        )
    return MessageFailed(
        message_id=message_id,
        complaint_id=message.complaint_id,
        occasion=message.occasion,
        reason=of.reason,
        failed_at=now,
        site=message.site,
    )


def joined(before: Digest | None, fact: MessageDeferred) -> Digest:
    """The digest with one more message."""
    known = before or Digest()
    return known.model_copy(update={"message_ids": (*known.message_ids, fact.message_id)})


SLICE = Slice({MessageDeferred: (Fold(Digest, lambda fact: fact.digest_id, joined),)})
