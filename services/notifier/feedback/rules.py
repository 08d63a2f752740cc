"""The answer to "did it help?": pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from services.notifier.subjects.rules import Story
from shared.contracts.notifier import (
    FeedbackReceived,
    Helped,
)
from shared.kernel import Document, Fold, Slice


class Answer(Document):
    """What the customer answered about a check."""

    KIND: ClassVar[str] = "answer-given"

    helped: Helped
    answered_at: datetime | None = None

    def promise(self, story: Story) -> datetime | None:
        """By when the customer hears from us if there is more to do; None until complaints has promised it."""
        later = story.promised_by is not None and (
            self.answered_at is None or story.promised_by > self.answered_at
        )
        more = self.helped is not Helped.YES
        return story.promised_by if more and story.round and later else None


def on_page(story: Story, given: Sequence[datetime]) -> Answer | None:
    """What the customer answered on their complaint's page; None once something was done or given since.

    `given`: when they were last given or offered something, for this complaint and for those that are one matter with it.
    """
    said = story.said_at
    if story.helped is None or said is None:
        return None
    since = any(moment > said for moment in given)
    return None if since else Answer(helped=story.helped, answered_at=said)


def take_answer(
    story: Story | None,
    complaint_id: str,
    check_id: str,
    helped: Helped,
    now: datetime,
    line: str | None = None,
) -> FeedbackReceived:
    """A FeedbackReceived fact with the customer's answer; `line` is what they wrote with it, sealed."""
    return FeedbackReceived(
        complaint_id=complaint_id,
        check_id=check_id,
        helped=helped,
        answered_at=now,
        site=story.site if story else None,
        line=line,
    )


def answered(_: Answer | None, fact: FeedbackReceived) -> Answer:
    """The customer's answer."""
    return Answer(helped=fact.helped, answered_at=fact.answered_at)


SLICE = Slice({FeedbackReceived: (Fold(Answer, lambda fact: fact.check_id, answered),)})
