"""Who must know that somebody's safety is concerned: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from services.notifier.messages.rules import message_id_of
from shared.contracts.compensation import (
    Safety,
    SafetyNoted,
)
from shared.contracts.complaints import (
    ComplaintTriaged,
    Language,
    SafetyFound,
)
from shared.contracts.notifier import (
    MessageQueued,
    Occasion,
    SafetyRouted,
)
from shared.kernel import Decision, Document, Fold, Slice, Timer

ALARM = "alarm"
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
    """The role mailboxes that were told about somebody's safety: the fact SafetyRouted."""

    KIND: ClassVar[str] = "alarm-routed"

    mailboxes: tuple[str, ...]


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


def told_at_once(fact: SafetyNoted | SafetyFound | ComplaintTriaged) -> Sequence[Timer]:
    """The alarm of a complaint about somebody's safety."""
    if isinstance(fact, ComplaintTriaged) and not fact.safety:
        return ()
    return (Timer(ALARM, fact.complaint_id, AT_ONCE),)


def alarmed(alarm: Alarm | None, fact: SafetyNoted) -> Alarm:
    """The alarm with one more kind."""
    known = alarm.kinds if alarm else ()
    kinds = tuple(sorted({*known, fact.safety}))
    return Alarm(customer_ref=fact.customer_ref, site=fact.site, kinds=kinds)


SLICE = Slice(
    {
        SafetyNoted: (Fold(Alarm, lambda fact: fact.complaint_id, alarmed),),
        SafetyFound: (),
        ComplaintTriaged: (),
        SafetyRouted: (Fold(Routed, lambda fact: fact.complaint_id),),
    },
    timers={
        SafetyNoted: told_at_once,
        SafetyFound: told_at_once,
        ComplaintTriaged: told_at_once,
    },
)
