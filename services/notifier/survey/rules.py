"""The survey after a complaint is closed: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from services.notifier.subjects.rules import Story
from shared.contracts.notifier import SurveyAnswered
from shared.contracts.policy import SurveyQuestion
from shared.kernel import Decision, Document, Fold, Slice


class Surveyed(Document):
    """The customer answered the survey after one close of a complaint."""

    KIND: ClassVar[str] = "surveyed"

    answered_at: datetime


class WrongScores(Exception):
    """What the customer chose is on no scale: by question, or of none if nothing was chosen."""

    def __init__(self, questions: tuple[str, ...]) -> None:
        super().__init__(questions)
        self.questions = questions


def close_of(complaint_id: str, round_: int) -> str:
    """The id of a complaint's close: each round ends with one."""
    return f"{complaint_id}/{round_}"


def scores_of(questions: Mapping[str, SurveyQuestion], chosen: Mapping[str, str]) -> dict[str, int]:
    """The scores that the customer chose, by question; what they left out is not there. Raises WrongScores."""
    given = {name: chosen[name] for name in questions if chosen.get(name)}
    wrong = [
        name for name, text in given.items() if text not in map(str, questions[name].scale.scores)
    ]
    if wrong or not given:
        raise WrongScores(tuple(wrong))
    return {name: int(text) for name, text in given.items()}


def answer(
    story: Story,
    complaint_id: str,
    round_: int,
    questions: Mapping[str, SurveyQuestion],
    scores: Mapping[str, int],
    now: datetime,
) -> Decision:
    """One fact for each question that was answered."""
    return Decision.of(
        *(
            SurveyAnswered(
                complaint_id=complaint_id,
                site=story.site,
                round=round_,
                question_id=name,
                scale=questions[name].scale,
                score=score,
                answered_at=now,
            )
            for name, score in scores.items()
        )
    )


SLICE = Slice(
    {
        SurveyAnswered: (
            Fold(
                Surveyed,
                lambda fact: close_of(fact.complaint_id, fact.round),
                lambda _, fact: Surveyed(answered_at=fact.answered_at),
            ),
        )
    }
)
