"""The answer to "did it help?": pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from services.notifier.subjects.rules import Story
from shared.contracts.lifecycle import State
from shared.contracts.notifier import (
    FeedbackReceived,
    Helped,
)
from shared.kernel import Document, Fold, Schema, Slice

#: Lines that a customer may write with their answer about one check in a day: a bound on what a stranger with the link
#: can write.
LINES_MAX = 10
DAY = timedelta(days=1)


class Written(NamedTuple):
    """A line that came with an answer, sealed."""

    line: str
    at: datetime


class Answer(Document):
    """What the customer answered about a check, and the last lines that they wrote with it."""

    KIND: ClassVar[str] = "answer-given"
    SCHEMA: ClassVar[Schema] = Schema(2)

    helped: Helped
    answered_at: datetime | None = None
    lines: tuple[Written, ...] = ()

    def is_full(self, now: datetime) -> bool:
        """Whether as many lines were written in a day as may be."""
        return sum(one.at > now - DAY for one in self.lines) >= LINES_MAX

    def closes(self, story: Story) -> bool:
        """Whether it closed the complaint; it is heard of later that it did."""
        if self.helped is not Helped.YES:
            return False
        at, said = self.answered_at, story.said_at
        since = said is not None and at is not None and said > at
        return story.state is State.CONFIRMED or not since

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
    *,
    added_line: bool = False,
) -> FeedbackReceived:
    """A FeedbackReceived fact with the customer's answer; `line` is what they wrote with it, sealed.

    With `added_line` they gave the same answer before.
    """
    return FeedbackReceived(
        complaint_id=complaint_id,
        check_id=check_id,
        helped=helped,
        answered_at=now,
        site=story.site if story else None,
        line=line,
        added_line=added_line,
    )


def answered(before: Answer | None, fact: FeedbackReceived) -> Answer:
    """The customer's answer, as they gave it first, with one more line if they wrote one."""
    known = before if before is not None and fact.added_line else None
    known = known or Answer(helped=fact.helped, answered_at=fact.answered_at)
    if fact.line is None:
        return known
    lines = (*known.lines, Written(fact.line, fact.answered_at))
    return known.model_copy(update={"lines": lines[-LINES_MAX:]})


SLICE = Slice({FeedbackReceived: (Fold(Answer, lambda fact: fact.check_id, answered),)})
