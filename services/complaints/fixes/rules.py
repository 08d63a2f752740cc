"""What is done about the cause of a complaint, fix by fix: what is stored and listed, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from services.complaints.lifecycle.rules import DEPARTMENT
from shared.contracts.complaints import ComplaintFact, FixAsked, FixDeclined, FixDone, FixLate
from shared.contracts.roster import employee_name
from shared.kernel import Document, Fold, Slice, Timer, score_at

#: The timer at the end of the time in which somebody is to do a fix.
LATE = "fix"
#: Fixes kept per complaint; of more, those that nobody is asked for go first, the earliest of them.
FIXES_MAX = 32


class FixState(StrEnum):
    """Where a fix stands."""

    ASKED = "asked"
    DONE = "done"
    DECLINED = "declined"


class FixOf(NamedTuple):
    """One fix for a complaint, as it stands after the last word about it."""

    fix: str
    state: FixState
    round: int
    #: Who asked for it; None if it was done without being asked for.
    asked_by: str | None = None
    colleague_id: str | None = None
    department: str | None = None
    #: By when it is to be done; None if nobody asked for it.
    due_by: datetime | None = None
    late: bool = False
    #: Who did or declined it, and when; None while it is asked for.
    employee_id: str | None = None
    at: datetime | None = None


class Fixes(Document):
    """The fixes of one complaint: each name once, the latest word last."""

    KIND: ClassVar[str] = "fixes"

    site: str
    fixes: tuple[FixOf, ...] = ()

    def named(self, fix: str) -> FixOf | None:
        """The fix of this name as it stands; None if nobody ever did it or asked for it."""
        return next((one for one in self.fixes if one.fix == fix), None)

    def asked(self, fix: str) -> FixOf | None:
        """The fix of this name, if somebody is asked for it now."""
        one = self.named(fix)
        return one if one is not None and one.state is FixState.ASKED else None

    def is_done(self, fix: str, round_: int) -> bool:
        """Whether the fix of this name is done in this round, and nobody is asked for it again."""
        one = self.named(fix)
        return one is not None and one.state is FixState.DONE and one.round == round_

    def with_one(self, fix: FixOf) -> Fixes:
        """With this fix as the latest."""
        kept = [*(one for one in self.fixes if one.fix != fix.fix), fix]
        if len(kept) > FIXES_MAX:
            kept.remove(min(kept, key=lambda one: one.state is FixState.ASKED))
        return Fixes(site=self.site, fixes=tuple(kept))


def asked(before: Fixes | None, fact: FixAsked) -> Fixes:
    """Somebody is asked for a fix."""
    return (before or Fixes(site=fact.site)).with_one(
        FixOf(
            fix=fact.fix,
            state=FixState.ASKED,
            round=fact.round,
            asked_by=fact.employee_id,
            colleague_id=fact.colleague_id,
            department=fact.department,
            due_by=fact.due_by,
        )
    )


def done(before: Fixes | None, fact: FixDone) -> Fixes:
    """A fix was done, asked for or not."""
    known = before or Fixes(site=fact.site)
    fix = known.asked(fact.fix) or FixOf(fact.fix, FixState.DONE, fact.round)
    return known.with_one(
        fix._replace(
            state=FixState.DONE, round=fact.round, employee_id=fact.employee_id, at=fact.done_at
        )
    )


def declined(before: Fixes, fact: FixDeclined) -> Fixes:
    """Nobody is asked for a fix any more."""
    fix = before.asked(fact.fix)
    if fix is None:
        return before
    return before.with_one(
        fix._replace(state=FixState.DECLINED, employee_id=fact.employee_id, at=fact.declined_at)
    )


def late(before: Fixes, fact: FixLate) -> Fixes:
    """The time for a fix is over."""
    fixes = tuple(one._replace(late=True) if one.fix == fact.fix else one for one in before.fixes)
    return before.model_copy(update={"fixes": fixes})


def complaint_of(fact: ComplaintFact) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


def clock_starts(fact: FixAsked) -> Sequence[Timer]:
    """The timer at the end of the time for a fix."""
    return (Timer(LATE, f"{fact.complaint_id}/{fact.fix}", fact.due_by),)


def clock_stops(fact: FixDone | FixDeclined) -> Sequence[Timer]:
    """Nobody is to do it any more."""
    return (Timer(LATE, f"{fact.complaint_id}/{fact.fix}", None),)


def stands(fixes: Fixes) -> Mapping[str, int]:
    """In the list of everybody who is asked for a fix of the complaint, at the first of their times."""
    found: dict[str, int] = {}
    for one in fixes.fixes:
        if one.state is FixState.ASKED and one.due_by is not None:
            who = one.colleague_id or f"{DEPARTMENT}{one.department}"
            name = asked_of(fixes.site, who)
            found[name] = min(score_at(one.due_by), found.get(name, score_at(one.due_by)))
    return found


def asked_of(site: str, who: str) -> str:
    """The complaints that an employee is asked to fix, or a department: its id behind `DEPARTMENT`."""
    return f"fixes/{employee_name(site, who)}"


SLICE = Slice(
    {
        FixAsked: (Fold(Fixes, complaint_of, asked),),
        FixDone: (Fold(Fixes, complaint_of, done),),
        FixDeclined: (Fold(Fixes, complaint_of, declined),),
        FixLate: (Fold(Fixes, complaint_of, late),),
    },
    timers={FixAsked: clock_starts, FixDone: clock_stops, FixDeclined: clock_stops},
    indexes={Fixes: stands},
)
