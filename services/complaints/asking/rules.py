"""Whether a customer is asked about a touchpoint that they passed, and what they answer: pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import (
    JourneyStep,
    Language,
    TouchpointAnswered,
    TouchpointAsked,
)
from shared.contracts.event import fingerprint
from shared.contracts.intake import TouchpointPassed
from shared.contracts.lifecycle import OPEN, State
from shared.contracts.policy import Asking, Touchpoint
from shared.kernel import Document, Fold, Slice, score_at

#: Nobody is asked later than this after the policy's time: a system that was away for a week tells of old breakfasts.
LATE_MAX = timedelta(days=2)
#: Times at which a customer was asked that are kept: more than lie between now and the latest question that is due.
ASKED_KEPT = 16
#: The lowest answer, from 1 to 5, that praises: 3 is the middle.
GOOD_FROM = 4
#: Complaints whose customer waits for us, for another body, or was just told what was done: they are asked nothing else.
UNSETTLED = OPEN | {State.RECEIVED, State.RESOLUTION_RECORDED, State.REFERRED_EXTERNAL}


class Asked(Document):
    """A question to a customer about a touchpoint, and what they answered; None while they did not."""

    KIND: ClassVar[str] = "touchpoint-asked"

    customer_ref: str
    site: str
    touchpoint: str
    step: JourneyStep
    language: Language
    contact: str
    passed_at: datetime
    due_at: datetime
    experience: int | None = None
    importance: int | None = None
    complaint_id: str | None = None
    answered_at: datetime | None = None


class LastAsked(Document):
    """When a customer was asked last, and is to be asked, about whatever touchpoints; the latest ones, earliest first."""

    KIND: ClassVar[str] = "last-asked"

    ats: tuple[datetime, ...]


def due_at(passed: TouchpointPassed, touchpoint: Touchpoint, now: datetime) -> datetime | None:
    """When a customer is asked, at once if the policy's time is over; None if it is too late."""
    at = passed.passed_at + touchpoint.after
    return None if at < now - LATE_MAX else max(at, now)


def drawn(asking_id: str, touchpoint: Touchpoint) -> bool:
    """Whether it is among those that are asked, where the policy asks a share of them; the same in a rebuild."""
    return int(fingerprint("asked", asking_id)[:8], 16) % 100 < touchpoint.share_percent


def enough(last: LastAsked | None, at: datetime, asking: Asking) -> bool:
    """Whether a customer was asked so shortly before, or is to be asked so soon after, that they are not asked now."""
    return last is not None and any(abs(at - one) < asking.again_after for one in last.ats)


def unsettled(complaints: Iterable[Complaint]) -> bool:
    """Whether one of a customer's complaints is not settled yet."""
    return any(one.state in UNSETTLED for one in complaints)


def is_bad(experience: int, asking: Asking) -> bool:
    """Whether an answer is a complaint."""
    return experience <= asking.complaint_up_to


def is_good(experience: int) -> bool:
    """Whether an answer praises by itself; words beside the middle of the scale are a complaint unless they praise."""
    return experience >= GOOD_FROM


def asked(_: Asked | None, fact: TouchpointAsked) -> Asked:
    """The question as it was asked."""
    return Asked.model_validate(fact.model_dump(include=set(Asked.model_fields)))


def asked_last(before: LastAsked | None, fact: TouchpointAsked) -> LastAsked:
    """The latest of the customer's questions: one that is due in a week does not hide one of today."""
    known = before.ats if before is not None else ()
    return LastAsked(ats=tuple(sorted((*known, fact.due_at)))[-ASKED_KEPT:])


def answered(before: Asked, fact: TouchpointAnswered) -> Asked:
    """The question with the answer."""
    return before.model_copy(
        update={
            "experience": fact.experience,
            "importance": fact.importance,
            "complaint_id": fact.complaint_id,
            "answered_at": fact.answered_at,
        }
    )


def asked_of(customer_ref: str) -> str:
    """The sorted set of a customer's questions, by when they were asked."""
    return f"asked/{customer_ref}"


def stands(one: Asked) -> Mapping[str, int]:
    """Among the questions of its customer, the earliest first."""
    return {asked_of(one.customer_ref): score_at(one.due_at)}


SLICE = Slice(
    {
        TouchpointAsked: (
            Fold(Asked, lambda fact: fact.asking_id, asked),
            Fold(LastAsked, lambda fact: fact.customer_ref, asked_last),
        ),
        TouchpointAnswered: (Fold(Asked, lambda fact: fact.asking_id, answered),),
    },
    indexes={Asked: stands},
)
