"""Who must know that somebody's safety is concerned, and whether they said that they saw it: pure rules.

All role mailboxes of the site are told at once. If nobody says in time that they saw it, all are told once more, by
another channel where there is one. If nobody does so then either, that is a fact, and people must see to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple

from services.notifier.messages.rules import Message, message_id_of
from shared.contracts.compensation import (
    Safety,
    SafetyNoted,
)
from shared.contracts.complaints import (
    ComplaintTriaged,
    Language,
    SafetyFound,
)
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import (
    MessageQueued,
    Occasion,
    SafetyRetold,
    SafetyRouted,
    SafetySeen,
    SafetyUnseen,
)
from shared.kernel import Decision, Document, Fold, Schema, Slice, Timer, score_at

ALARM = "alarm"
#: When nobody has said yet that they saw it.
SEEN = "seen"
#: An alarm about safety is due at once. Its facts have no common time and a rebuild needs the same due
#: time, so it is a constant in the past.
AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)


class Alarm(Document):
    """What employees said about somebody's safety; folded from compensation's facts alone, in any order."""

    KIND: ClassVar[str] = "alarm"

    customer_ref: str
    site: str
    kinds: tuple[Safety, ...] = ()


class Routed(Document):
    """The role mailboxes that were told about somebody's safety, and who said first that they saw it."""

    KIND: ClassVar[str] = "alarm-routed"
    SCHEMA: ClassVar[Schema] = Schema(2)

    mailboxes: tuple[str, ...]
    #: None in older documents, as `routed_at` is; they stand in no list.
    site: str | None = None
    routed_at: datetime | None = None
    #: When the wait for somebody to see it ends; None where there is none.
    seen_by: datetime | None = None
    seen_at: datetime | None = None
    #: Whose letter it was said by, or which employee said it.
    seen_mailbox: str | None = None
    seen_employee_id: str | None = None
    #: When all were told once more, and when the wait ended for good.
    retold_at: datetime | None = None
    unseen_at: datetime | None = None


class To(NamedTuple):
    """What letters about one complaint have in common: of whom, of which site, and in which language."""

    complaint_id: str
    customer_ref: str
    site: str
    language: Language


def route(
    to: To, kinds: Sequence[Safety], mailboxes: Sequence[str], seen_within: timedelta, now: datetime
) -> Decision:
    """Tell the site's role mailboxes that somebody's safety is concerned, one message each."""
    routed = SafetyRouted(
        complaint_id=to.complaint_id,
        site=to.site,
        kinds=tuple(kinds),
        mailboxes=tuple(mailboxes),
        routed_at=now,
        seen_by=now + seen_within if mailboxes else None,
    )
    first = (
        _queued(to, mailbox, to.complaint_id, MessageChannel.EMAIL, now) for mailbox in mailboxes
    )
    return Decision.of(routed, *first)


def not_seen(
    to: To,
    routed: Routed,
    by: Mapping[str, MessageChannel],
    seen_within: timedelta,
    now: datetime,
) -> Decision:
    """Nobody said in time that they saw it: tell all once more, each by the channel in `by`; the second time, give up.

    Nothing if somebody has said it since, or the wait has ended.
    """
    if routed.seen_at is not None or routed.seen_by is None or routed.unseen_at is not None:
        return Decision()
    if routed.retold_at is not None:
        unseen = SafetyUnseen(complaint_id=to.complaint_id, site=to.site, unseen_at=now)
        return Decision.of(unseen)
    retold = SafetyRetold(
        complaint_id=to.complaint_id,
        site=to.site,
        mailboxes=routed.mailboxes,
        retold_at=now,
        seen_by=now + seen_within,
    )
    second = again_of(to.complaint_id)
    return Decision.of(
        retold, *(_queued(to, mailbox, second, channel, now) for mailbox, channel in by.items())
    )


def _queued(
    to: To, mailbox: str, about: str, channel: MessageChannel, now: datetime
) -> MessageQueued:
    return MessageQueued(
        message_id=message_id_of(Occasion.SAFETY, f"{about}/{mailbox}", channel),
        complaint_id=to.complaint_id,
        customer_ref=to.customer_ref,
        occasion=Occasion.SAFETY,
        language=to.language,
        site=to.site,
        about=about,
        mailbox=mailbox,
        queued_at=now,
        channel=channel,
    )


def again_of(complaint_id: str) -> str:
    """What the second message to a mailbox is about."""
    return f"{complaint_id}/again"


def other_channel(
    channels: Sequence[MessageChannel], told: Iterable[Message | None]
) -> MessageChannel:
    """The channel by which a mailbox is told once more: another one than last; the same where it has one alone.

    `told` are its first messages, the latest last. A mailbox that nobody knows any more fails by e-mail, as at first.
    """
    last = [message.channel for message in told if message is not None][-1:]
    others = [one for one in channels if one not in last]
    return next(iter((*others, *channels, MessageChannel.EMAIL)))


def messages_to(complaint_id: str, mailbox: str) -> Sequence[str]:
    """The ids that messages to a mailbox about a complaint can have, in the order in which they are queued."""
    return [
        message_id_of(Occasion.SAFETY, f"{about}/{mailbox}", channel)
        for about in (complaint_id, again_of(complaint_id))
        for channel in MessageChannel
    ]


def seen(
    complaint_id: str,
    site: str,
    now: datetime,
    *,
    mailbox: str | None = None,
    employee_id: str | None = None,
) -> SafetySeen:
    """Somebody says that they saw it: by the letter to a mailbox, or as an employee."""
    return SafetySeen(
        complaint_id=complaint_id, site=site, mailbox=mailbox, employee_id=employee_id, seen_at=now
    )


def told_at_once(fact: SafetyNoted | SafetyFound | ComplaintTriaged) -> Sequence[Timer]:
    """The alarm of a complaint about somebody's safety."""
    if isinstance(fact, ComplaintTriaged) and not fact.safety:
        return ()
    return (Timer(ALARM, fact.complaint_id, AT_ONCE),)


def waited_for(
    fact: SafetyRouted | SafetyRetold | SafetySeen | SafetyUnseen,
) -> Sequence[Timer]:
    """The timer of the wait for somebody to see it; removed once somebody did, or it ended."""
    until = fact.seen_by if isinstance(fact, SafetyRouted | SafetyRetold) else None
    return (Timer(SEEN, fact.complaint_id, until),)


def alarmed(alarm: Alarm | None, fact: SafetyNoted) -> Alarm:
    """The alarm with one more kind."""
    known = alarm.kinds if alarm else ()
    kinds = tuple(sorted({*known, fact.safety}))
    return Alarm(customer_ref=fact.customer_ref, site=fact.site, kinds=kinds)


def was_seen(routed: Routed, fact: SafetySeen) -> Routed:
    """Somebody saw it; who said so first counts."""
    if routed.seen_at is not None:
        return routed
    who = {"seen_mailbox": fact.mailbox, "seen_employee_id": fact.employee_id}
    return routed.model_copy(update={"seen_at": fact.seen_at, **who})


def retold(routed: Routed, fact: SafetyRetold) -> Routed:
    """All were told once more."""
    return routed.model_copy(update={"retold_at": fact.retold_at, "seen_by": fact.seen_by})


def was_not_seen(routed: Routed, fact: SafetyUnseen) -> Routed:
    """The wait ended."""
    return routed.model_copy(update={"unseen_at": fact.unseen_at})


def alarms_of(site: str) -> str:
    """The sorted set of a site's alarms, the newest first."""
    return f"alarms/{site}"


def _listed(routed: Routed) -> Mapping[str, int]:
    if routed.site is None or routed.routed_at is None:
        return {}
    return {alarms_of(routed.site): -score_at(routed.routed_at)}


SLICE = Slice(
    {
        SafetyNoted: (Fold(Alarm, lambda fact: fact.complaint_id, alarmed),),
        SafetyFound: (),
        ComplaintTriaged: (),
        SafetyRouted: (Fold(Routed, lambda fact: fact.complaint_id),),
        SafetySeen: (Fold(Routed, lambda fact: fact.complaint_id, was_seen),),
        SafetyRetold: (Fold(Routed, lambda fact: fact.complaint_id, retold),),
        SafetyUnseen: (Fold(Routed, lambda fact: fact.complaint_id, was_not_seen),),
    },
    indexes={Routed: _listed},
    timers={
        SafetyNoted: told_at_once,
        SafetyFound: told_at_once,
        ComplaintTriaged: told_at_once,
        SafetyRouted: waited_for,
        SafetySeen: waited_for,
        SafetyRetold: waited_for,
        SafetyUnseen: waited_for,
    },
)
