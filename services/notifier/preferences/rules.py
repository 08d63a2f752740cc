"""What a customer wants: which messages, by what, when and in which language; pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from services.notifier.subjects.rules import Story
from shared.contracts.complaints import ComplaintForgotten, Language
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import Occasion, PreferencesChanged, Tells
from shared.contracts.policy import QuietHours
from shared.kernel import Decision, Document, Fold, Slice

#: Messages that are not about an open complaint. Mail programs offer to end them with one click (RFC 8058).
REMINDERS = frozenset({Occasion.FEEDBACK_ASKED, Occasion.CHECK_EXPIRING, Occasion.THANKED})
#: News of a promise, which somebody may rather not hear until there is an answer.
PROMISE_NEWS = frozenset({Occasion.PROMISE_AT_RISK, Occasion.PROMISE_BROKEN})


class Preferences(Document):
    """What one customer wants; what they did not choose is as the site has it."""

    KIND: ClassVar[str] = "preferences"

    tells: Tells = Tells.EVERYTHING
    channel: MessageChannel | None = None
    language: Language | None = None
    quiet_hours: QuietHours | None = None
    timezone: str | None = None

    def wants(self, occasion: Occasion) -> bool:
        """Whether the customer wants to be told of this; what they must know, always."""
        if occasion in REMINDERS:
            return self.tells is Tells.EVERYTHING
        return occasion not in PROMISE_NEWS or self.tells is not Tells.ANSWERS

    def channels(self, of_site: Sequence[MessageChannel]) -> Sequence[MessageChannel]:
        """The site's channels in the order in which the customer wants them."""
        return sorted(of_site, key=lambda one: one is not self.channel)


def change(story: Story, wanted: Preferences, now: datetime) -> Decision:
    """Record what the customer of a complaint wants from now on."""
    return Decision.of(
        PreferencesChanged(
            customer_ref=story.customer_ref,
            site=story.site,
            changed_at=now,
            **{name: getattr(wanted, name) for name in Preferences.model_fields},
        )
    )


def unsubscribed(now: Preferences) -> Preferences:
    """The same without reminders; who wants even less keeps it so."""
    if now.tells is not Tells.EVERYTHING:
        return now
    return now.model_copy(update={"tells": Tells.NO_REMINDERS})


def changed(_: Preferences | None, fact: PreferencesChanged) -> Preferences:
    """What the customer said last."""
    return Preferences(**{name: getattr(fact, name) for name in Preferences.model_fields})


def forgotten(_: Preferences | None, _fact: ComplaintForgotten) -> Preferences:
    """Nothing, of a customer who was erased."""
    return Preferences()


SLICE = Slice(
    {
        PreferencesChanged: (Fold(Preferences, lambda fact: fact.customer_ref, changed),),
        ComplaintForgotten: (Fold(Preferences, lambda fact: fact.customer_ref, forgotten),),
    }
)
