"""What happens to a complaint after it was received, as far as letters speak of it: pure rules."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from services.notifier.subjects.rules import Story, moment_of
from shared.contracts.compensation import CheckIssued, OfferMade
from shared.contracts.complaints import (
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintFact,
    ComplaintOverdue,
    ComplaintReferred,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    FixDone,
    InfoAsked,
    InfoReceived,
    Outcome,
    PromiseWarned,
    ResolutionRecorded,
)
from shared.contracts.lifecycle import ASKED, MOVES, OPEN, State
from shared.contracts.notifier import Helped
from shared.kernel import Document, Fold, Slice

#: Where somebody of the site is to do something, and not the customer.
OURS = OPEN - {State.AWAITING_INFO}


class Question(Document):
    """What a customer is asked, sealed: the fact InfoAsked."""

    KIND: ClassVar[str] = "question"

    question: str
    asked_at: datetime


class DoneFix(Document):
    """A fix that was done, by its name in the site's policy: the fact FixDone."""

    KIND: ClassVar[str] = "done-fix"

    fix: str
    done_at: datetime


class Resolution(Document):
    """What was done about the cause, in the employee's words (sealed) if there are any: the fact ResolutionRecorded."""

    KIND: ClassVar[str] = "resolution"

    outcome: Outcome
    note: str | None = None
    closes_at: datetime
    recorded_at: datetime


class LatePromise(Document):
    """A promise that is near and not kept, or broken, by its id: the fact PromiseWarned, and later ComplaintOverdue."""

    KIND: ClassVar[str] = "late-promise"

    round: int
    promised_by: datetime
    #: Who had the complaint then; None if nobody did.
    employee_id: str | None = None


class Reached(Document):
    """When the customer of a complaint was given or offered something last, and which check was given last."""

    KIND: ClassVar[str] = "reached"

    at: datetime
    check_id: str | None = None
    check_at: datetime | None = None


def question_of(fact: InfoAsked) -> str:
    """The id of a question."""
    return moment_of(fact.complaint_id, fact.asked_at)


def fix_of(fact: FixDone) -> str:
    """The id of a fix that was done."""
    return moment_of(fact.complaint_id, fact.done_at)


def resolution_of(fact: ResolutionRecorded) -> str:
    """The id of what was done."""
    return moment_of(fact.complaint_id, fact.recorded_at)


def promise_of(fact: PromiseWarned | ComplaintOverdue) -> str:
    """The id of a promise, also where the fact does not carry it: one round may have several, one after the other."""
    name = f"{fact.complaint_id}/{fact.round}"
    return name if fact.broken_before is None else f"{name}/{fact.broken_before}"


def is_asked(story: Story, question_id: str) -> bool:
    """Whether the customer still has this question to answer."""
    return stands(story, State.AWAITING_INFO) and story.question_id == question_id


def is_resolved(story: Story, resolution_id: str) -> bool:
    """Whether this is what was done, and the customer did not say yet whether it helped."""
    return stands(story, State.RESOLUTION_RECORDED) and story.resolution_id == resolution_id


def is_news(story: Story, fix: DoneFix, resolution: Resolution | None) -> bool:
    """Whether the customer, who has not said that it helped, was not told more since: what was done in all."""
    told = resolution is not None and resolution.recorded_at >= fix.done_at
    return stands(story, *OPEN, *ASKED, State.MERGED) and not told


def is_late(
    story: Story, promise: LatePromise, reached: Reached | None, told_from: datetime
) -> bool:
    """Whether the customer waits for what was promised: nothing was given, offered, done or asked after `told_from`."""
    since = reached is not None and reached.at > told_from
    return stands(story, *OURS) and story.round == promise.round and not since


def is_last(story: Story, reached: Reached | None, check_id: str) -> bool:
    """Whether the customer was asked of this check last, and said nothing of the complaint since.

    Nobody is asked any more of a complaint that ended, or went into another one, or where something was done since.
    """
    if reached is None or reached.check_at is None or reached.check_id != check_id:
        return False
    said = story.said_at is not None and story.said_at >= reached.check_at
    return stands(story, *OPEN) and not said


def stands(story: Story, *states: State) -> bool:
    """Whether the complaint stands at one of these; also if that is not known, of a document of before."""
    return story.state is None or story.state in states


def _moved(story: Story, fact: ComplaintFact, **changes: object) -> Story:
    return story.model_copy(update={"state": MOVES[type(fact)].to, **changes})


def moved(story: Story, fact: ComplaintFact) -> Story:
    """The complaint where its fact moves it."""
    return _moved(story, fact)


def asked(story: Story, fact: InfoAsked) -> Story:
    """The customer is asked something."""
    return _moved(story, fact, question_id=question_of(fact))


def answered(story: Story, fact: InfoReceived) -> Story:
    """The customer answered what was asked, and the promise goes on."""
    return _moved(story, fact, promised_by=fact.promised_by or story.promised_by)


def fixed(story: Story, _: FixDone) -> Story:
    """A fix was done: what the customer said on their page was about what came before."""
    return story.model_copy(update={"helped": None})


def resolved(story: Story, fact: ResolutionRecorded) -> Story:
    """Something was done about the cause."""
    return _moved(story, fact, resolution_id=resolution_of(fact), helped=None)


def confirmed(story: Story, fact: ComplaintConfirmed) -> Story:
    """The customer said that it helped."""
    helped = Helped.YES if fact.by_link else None
    return _moved(story, fact, said_at=fact.confirmed_at, helped=helped)


def withdrawn(story: Story, fact: ComplaintWithdrawn) -> Story:
    """The customer took it back."""
    return _moved(story, fact, said_at=fact.withdrawn_at)


def referred(story: Story, fact: ComplaintReferred) -> Story:
    """An outside body looks at it."""
    return _moved(story, fact, referred_to=fact.body)


def reached(before: Reached | None, fact: CheckIssued | OfferMade) -> Reached:
    """The customer was given or offered something; such facts come in any order."""
    at = fact.issued_at if isinstance(fact, CheckIssued) else fact.offered_at
    known = before or Reached(at=at)
    update: dict[str, object] = {"at": max(known.at, at)}
    if isinstance(fact, CheckIssued) and (known.check_at is None or at >= known.check_at):
        update |= {"check_id": fact.check_id, "check_at": at}
    return known.model_copy(update=update)


def complaint_of(fact: ComplaintFact | OfferMade) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


SLICE = Slice(
    {
        InfoAsked: (Fold(Story, complaint_of, asked), Fold(Question, question_of)),
        InfoReceived: (Fold(Story, complaint_of, answered),),
        FixDone: (Fold(Story, complaint_of, fixed), Fold(DoneFix, fix_of)),
        ResolutionRecorded: (Fold(Story, complaint_of, resolved), Fold(Resolution, resolution_of)),
        PromiseWarned: (Fold(LatePromise, promise_of),),
        ComplaintOverdue: (Fold(LatePromise, promise_of),),
        ComplaintConfirmed: (Fold(Story, complaint_of, confirmed),),
        ComplaintClosed: (Fold(Story, complaint_of, moved),),
        ComplaintWithdrawn: (Fold(Story, complaint_of, withdrawn),),
        ComplaintUnfounded: (Fold(Story, complaint_of, moved),),
        ComplaintReferred: (Fold(Story, complaint_of, referred),),
        CheckIssued: (Fold(Reached, lambda fact: fact.for_complaint, reached),),
        OfferMade: (Fold(Reached, complaint_of, reached),),
    }
)
