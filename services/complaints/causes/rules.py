"""What complaints are put down to, counted by week, and what was done about it: pure rules.

Counts are accounts, so that two who name a cause never conflict, and nobody scans complaints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar, NamedTuple

from shared.contracts.complaints import CauseActionTaken, CauseNamed, Severity
from shared.kernel import Decision, Document, Fold, Posting, Slice

#: What a complaint weighs by how bad it is: causes are ordered by the sum over their complaints.
WEIGHTS: Mapping[Severity, int] = {Severity.MILD: 1, Severity.MODERATE: 2, Severity.SEVERE: 4}
#: Weeks that causes are counted over: what changed within two months is still remembered.
WEEKS = 8
#: Whole weeks before an action, and at most after it, whose complaints are compared.
COMPARED = 4
#: Actions kept per cause, the latest: a list to read.
ACTIONS_MAX = 20
WEEK = timedelta(days=7)


class NamedCause(Document):
    """What a complaint was put down to last: the fact CauseNamed."""

    KIND: ClassVar[str] = "named-cause"

    cause: str
    severity: Severity
    week: str
    after_action: str | None = None


class Action(NamedTuple):
    """Something that was done about a cause; until `until`, complaints of it say that it came back."""

    action_id: str
    by: str
    #: What was done, sealed.
    note: str
    taken_at: datetime
    until: datetime


class CauseActions(Document):
    """What was done about one cause of a site, the latest last."""

    KIND: ClassVar[str] = "cause-actions"

    actions: tuple[Action, ...] = ()

    @property
    def last(self) -> Action | None:
        """The latest of them."""
        return self.actions[-1] if self.actions else None

    def came_back_after(self, received_at: datetime | None) -> str | None:
        """The latest action after which a complaint received then says that the cause came back."""
        if received_at is None:
            return None
        found = [one for one in self.actions if one.taken_at < received_at <= one.until]
        return found[-1].action_id if found else None


def monday(day: date) -> date:
    """The first day of a day's week."""
    return day - timedelta(days=day.weekday())


def cause_id(site: str, cause: str) -> str:
    """The document of what was done about a cause."""
    return f"{site}/{cause}"


def counted(site: str, cause: str, week: str) -> str:
    """The account of a cause's complaints of a week."""
    return f"cause/{site}/{cause}/{week}/complaints"


def weighed(site: str, cause: str, week: str) -> str:
    """The account of what these complaints weigh."""
    return f"cause/{site}/{cause}/{week}/weight"


def came_back(action_id: str) -> str:
    """The account of complaints after which a cause came back in spite of an action."""
    return f"cause-back/{action_id}"


def name_cause(
    before: NamedCause | None,
    actions: CauseActions,
    cause: str,
    *,
    complaint_id: str,
    site: str,
    by: str,
    severity: Severity,
    received_at: datetime | None,
    week: date,
    policy_version: int,
    now: datetime,
) -> Decision:
    """Put a complaint down to a cause; nothing to do if it is already.

    Severity and week stay those of the first naming, so that another cause takes back what the first one counted.
    """
    if before is not None and before.cause == cause:
        return Decision()
    return Decision.of(
        CauseNamed(
            complaint_id=complaint_id,
            site=site,
            by=by,
            cause=cause,
            instead_of=before.cause if before else None,
            severity=before.severity if before else severity,
            week=before.week if before else week.isoformat(),
            after_action=actions.came_back_after(received_at),
            instead_of_action=before.after_action if before else None,
            policy_version=policy_version,
            named_at=now,
        )
    )


def count(fact: CauseNamed) -> Iterable[Posting]:
    """The complaint counts for its cause, and no longer for the one named before."""
    for cause, action, sign in (
        (fact.cause, fact.after_action, 1),
        (fact.instead_of, fact.instead_of_action, -1),
    ):
        if cause is not None:
            yield Posting(counted(fact.site, cause, fact.week), sign)
            yield Posting(weighed(fact.site, cause, fact.week), sign * WEIGHTS[fact.severity])
        if action is not None:
            yield Posting(came_back(action), sign)


def acted(before: CauseActions | None, fact: CauseActionTaken) -> CauseActions:
    """One more thing was done about the cause."""
    action = Action(fact.action_id, fact.by, fact.note, fact.taken_at, fact.until)
    return CauseActions(actions=(*(before or CauseActions()).actions, action)[-ACTIONS_MAX:])


def weeks_before(week: date, number: int) -> Sequence[date]:
    """So many weeks before one, the earliest first."""
    return [week - back * WEEK for back in range(number, 0, -1)]


def weeks_after(week: date, this: date) -> Sequence[date]:
    """The whole weeks after one that are over in `this` week, at most those that are compared."""
    after = ((this - week) // WEEK) - 1
    return [week + (number + 1) * WEEK for number in range(max(0, min(COMPARED, after)))]


SLICE = Slice(
    {
        CauseNamed: (Fold(NamedCause, lambda fact: fact.complaint_id),),
        CauseActionTaken: (
            Fold(CauseActions, lambda fact: cause_id(fact.site, fact.cause), acted),
        ),
    },
    postings={CauseNamed: count},
)
