"""What a customer wants: which messages, by what, when and in which language; pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from shared.contracts.complaints import CustomerErased, Language
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import Author, ChosenHours, Occasion, PreferencesChanged, Tells
from shared.kernel import Decision, Document, Fold, Slice

#: Messages that are not about an open complaint. Mail programs offer to end them with one click (RFC 8058).
REMINDERS = frozenset(
    {
        Occasion.FEEDBACK_ASKED,
        Occasion.CHECK_EXPIRING,
        Occasion.THANKED,
        Occasion.TOUCHPOINT_ASKED,
    }
)
#: News of a promise, which somebody may rather not hear until there is an answer.
PROMISE_NEWS = frozenset({Occasion.PROMISE_AT_RISK, Occasion.PROMISE_BROKEN})


#: What a customer may choose: fields of Preferences and of PreferencesChanged.
CHOSEN = ("tells", "channel", "language", "quiet_hours", "timezone")


class Preferences(Document):
    """What one customer wants; what they did not choose is as the site has it."""

    KIND: ClassVar[str] = "preferences"

    tells: Tells = Tells.EVERYTHING
    channel: MessageChannel | None = None
    language: Language | None = None
    quiet_hours: ChosenHours = None
    timezone: str | None = None
    #: When they said it last, and when the customer was erased last: such facts come in any order.
    changed_at: datetime | None = None
    forgotten_at: datetime | None = None

    def wants(self, occasion: Occasion) -> bool:
        """Whether the customer wants to be told of this; what they must know, always."""
        if occasion in REMINDERS:
            return self.tells is Tells.EVERYTHING
        return occasion not in PROMISE_NEWS or self.tells is not Tells.ANSWERS

    def channels(self, of_site: Sequence[MessageChannel]) -> Sequence[MessageChannel]:
        """The site's channels in the order in which the customer wants them."""
        return sorted(of_site, key=lambda one: one is not self.channel)


def change(
    customer_ref: str, site: str, wanted: Preferences, author: Author, now: datetime
) -> Decision:
    """Record what a customer wants from now on, as a site heard it."""
    return Decision.of(
        PreferencesChanged(
            customer_ref=customer_ref,
            site=site,
            changed_at=now,
            author=author,
            **{name: getattr(wanted, name) for name in CHOSEN},
        )
    )


def unsubscribed(now: Preferences) -> Preferences:
    """The same without reminders; who wants even less keeps it so."""
    if now.tells is not Tells.EVERYTHING:
        return now
    return now.model_copy(update={"tells": Tells.NO_REMINDERS})


def changed(before: Preferences | None, fact: PreferencesChanged) -> Preferences:
    """What the customer said last; nothing that they said before they were erased."""
    known = before or Preferences()
    if known.forgotten_at is not None and fact.changed_at <= known.forgotten_at:
        return known
    chosen = {name: getattr(fact, name) for name in CHOSEN}
    return known.model_copy(update={**chosen, "changed_at": fact.changed_at})


def forgotten(before: Preferences | None, fact: CustomerErased) -> Preferences:
    """Nothing that the customer said before they were erased."""
    known = before or Preferences()
    last = max(known.forgotten_at or fact.erased_at, fact.erased_at)
    if known.changed_at is not None and known.changed_at > last:
        return known.model_copy(update={"forgotten_at": last})
    return Preferences(forgotten_at=last)


SLICE = Slice(
    {
        PreferencesChanged: (Fold(Preferences, lambda fact: fact.customer_ref, changed),),
        CustomerErased: (Fold(Preferences, lambda fact: fact.customer_ref, forgotten),),
    }
)
