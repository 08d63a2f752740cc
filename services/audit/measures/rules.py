"""What is counted of which records: counters and histogram buckets, each an account of a site and a day.

An account needs no document that several partitions would change at once, and it is exact: the postings of a
fact are applied once, with the fact, and a rebuild applies them again. A day is one of UTC, that of the record's
own time: it follows from the record alone, as the employee's pseudonym does, and no policy can change it
afterwards.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from math import sqrt
from typing import NamedTuple

from services.audit.measures.privacy import EMPLOYEES_MIN, MARKS, counted_on, day_of, mark_of
from shared.contracts.audit import FactRecorded, Recorded
from shared.contracts.compensation import (
    AuthorityCounted,
    CheckExpired,
    CheckIssued,
    CheckRefused,
    CheckVoided,
    RedemptionCaptured,
    RedemptionRolledBack,
    Scope,
    WindowClosed,
)
from shared.contracts.complaints import (
    Category,
    CauseActionTaken,
    CauseNamed,
    ComplaintConfirmed,
    ComplaintOverdue,
    ComplaintReopened,
    ComplaintTriaged,
    CustomerReturned,
    JourneyStep,
    PraiseReceived,
    TouchpointAnswered,
)
from shared.contracts.notifier import (
    NOT_LACKED,
    FeedbackReceived,
    Helped,
    MessageFailed,
    MessageSent,
    SurveyAnswered,
)
from shared.contracts.policy import SurveyQuestion
from shared.contracts.reasons import Reason
from shared.kernel import Fact, Posting, Slice

#: A check so long after its complaint at most was given on the spot: the longest that a guest waits at a desk,
#: and the longest promise to somebody who stands there.
ON_THE_SPOT_S = 15 * 60
REASONS = tuple(reason.value for reason in Category)
#: Accounts that hold the budget of a site or of an incident begin with these.
BUDGETS = ("site/", "incident/")
#: The account of a budget for delight begins with this; what is charged to it is also charged to the site's.
DELIGHT = "delight/"


class Buckets:
    """Numbers from 0 in buckets whose bounds grow by a constant factor.

    `error` is how far a number of a bucket is from the number that stands for the bucket at most, as a part of
    itself. What is above the last bound counts as the last bound.
    """

    def __init__(self, per_doubling: int, doublings: int) -> None:
        steps = range(per_doubling * doublings + 1)
        self.bounds = tuple(sorted({0, *(round(2 ** (step / per_doubling)) for step in steps)}))
        self.cells = tuple(map(str, range(len(self.bounds))))
        self.error = max(
            sqrt((above - 1) / low) - 1
            for low, above in zip(self.bounds[1:], self.bounds[2:], strict=False)
        )

    def cell(self, number: int) -> str:
        """The bucket of a number."""
        return self.cells[bisect_right(self.bounds, number) - 1]

    def number(self, cell: str) -> float:
        """The number that stands for a bucket: the geometric mean of its lowest and its highest."""
        index = int(cell)
        low = self.bounds[index]
        high = self.bounds[index + 1] - 1 if index + 1 < len(self.bounds) else low
        return sqrt(low * high)


#: Seconds of waiting, up to 388 days: each is known to 9.1 %.
SECONDS = Buckets(4, 25)
#: Amounts in minor units, up to the largest that there can be: each is known to 18.9 %.
AMOUNTS = Buckets(2, 40)


def _once(_: Recorded) -> int:
    return 1


def _all(_: Recorded) -> str | None:
    return ""


class Days(NamedTuple):
    """The day in which a record counts, and the day in which it counts where employees are told apart."""

    own: date
    of_employees: date

    @property
    def same_month(self) -> bool:
        """Whether both are of one month."""
        return (self.own.year, self.own.month) == (self.of_employees.year, self.of_employees.month)


@dataclass(frozen=True, eq=False)
class Counter:
    """What is counted of records: an account for each of its cells, per site and day.

    `amount` is what a record counts, and `cell` where; None is nowhere. Of `money` the account is also per
    currency. `groups` are those in which employees are told apart by marks, and `group` is the group of a record.
    """

    name: str
    facts: tuple[type[Fact], ...]
    amount: Callable[[Recorded], int] = _once
    cell: Callable[[Recorded], str | None] = _all
    cells: tuple[str, ...] = ("",)
    money: bool = False
    of_employees: bool = False
    group: Callable[[Recorded], str | None] = _all
    groups: tuple[str, ...] = ()

    @cached_property
    def paths(self) -> tuple[tuple[str, bool], ...]:
        """The ends of all its accounts' names, and whether the currency comes behind each."""
        own = ((_path(self.name, cell), self.money) for cell in self.cells)
        marks = (
            (_path(marks_of(self.name), group, str(number)), False)
            for group in self.groups
            for number in range(MARKS)
        )
        return (*own, *marks)

    def postings(self, one: Recorded, days: Days) -> Iterator[Posting]:
        """What a record of one of its facts posts."""
        amount = self.amount(one)
        cell = self.cell(one) if amount else None
        if cell is None or one.site is None or (self.money and one.currency is None):
            return
        day = days.of_employees if self.of_employees else days.own
        path = _path(self.name, cell)
        yield Posting(account(one.site, day, path, one.currency if self.money else None), amount)
        # In another month the same employee has another pseudonym, and would count as two.
        if self.groups and one.who is not None and days.same_month:
            path = _path(marks_of(self.name), self.group(one) or "", str(mark_of(one.who)))
            yield Posting(account(one.site, day, path), 1)


def marks_of(name: str) -> str:
    """The name under which the employees of a counter are marked."""
    return f"{name}-by"


def _path(*parts: str) -> str:
    return "/".join(filter(None, parts))


def account(site: str, day: date, path: str, currency: str | None = None) -> str:
    """The name of an account."""
    return f"m/{site}/{day.isoformat()}/{path}" + (f"/{currency}" if currency else "")


def _why(one: Recorded) -> str | None:
    return one.why


def _amount(name: str) -> Callable[[Recorded], int]:
    """The amount of this name."""
    return lambda one: one.amounts.get(name, 0)


def _number(name: str) -> Callable[[Recorded], int]:
    """The detail of this name."""
    return lambda one: int(str(one.details.get(name, 0)))


def _detail(name: str) -> Callable[[Recorded], str | None]:
    """The detail of this name as a cell."""
    return lambda one: str(one.details[name]) if name in one.details else None


def _with(name: str) -> Callable[[Recorded], int]:
    """1 for a record that has the detail of this name."""
    return lambda one: int(name in one.details)


def _not(name: str) -> Callable[[Recorded], int]:
    """1 for a record that has no detail of this name."""
    return lambda one: int(name not in one.details)


def _helped(one: Recorded) -> str | None:
    """The answer to "did it help?"; None of what only adds a line, or was moved by an answer which is a fact of its own."""
    if one.what == FeedbackReceived.TYPE:
        return None if one.details.get("added_line") else _detail("helped")(one)
    if not one.details.get("by_link"):
        return None
    if one.what == ComplaintConfirmed.TYPE:
        return Helped.YES
    return Helped.PARTLY if one.details.get("partly") else Helped.NO


def _score(one: Recorded) -> str | None:
    """The question, its scale and the score of an answer."""
    details = one.details
    return f"{details['question_id']}/{details['scale']}/{details['score']}"


def scores_of(survey: Mapping[str, SurveyQuestion]) -> tuple[str, ...]:
    """The cells of the answers to a site's questions, as they are asked now."""
    return tuple(
        f"{name}/{one.scale}/{score}" for name, one in survey.items() for score in one.scale.scores
    )


def waited_s(one: Recorded) -> int | None:
    """How long a customer waited for the first check, in seconds; None of another check, or if nobody knows."""
    details = one.details
    if not details.get("first") or "complained_at" not in details:
        return None
    since, until = (
        datetime.fromisoformat(str(details[name])) for name in ("complained_at", "issued_at")
    )
    return max(0, int((until - since).total_seconds()))


def _waited(one: Recorded) -> str | None:
    waited = waited_s(one)
    return None if waited is None else SECONDS.cell(waited)


def _at_once(one: Recorded) -> int:
    waited = waited_s(one)
    return int(waited is not None and waited <= ON_THE_SPOT_S)


def to_delight(one: Recorded) -> bool:
    """Whether a check was given to delight, or refused, or ended: it is charged to the budget for that."""
    if "delight" in one.details:
        return True
    credits = one.details.get("credits")
    return isinstance(credits, dict) and any(name.startswith(DELIGHT) for name in credits)


def _for_complaint(
    of: Callable[[Recorded], int] = _once,
) -> Callable[[Recorded], int]:
    """The same amount of what answers a complaint, and nothing of what is given to delight."""
    return lambda one: 0 if to_delight(one) else of(one)


def _delight(of: Callable[[Recorded], int] = _once) -> Callable[[Recorded], int]:
    """The same amount of what is given to delight, and nothing of what answers a complaint."""
    return lambda one: of(one) if to_delight(one) else 0


def _own(one: Recorded) -> int:
    """1 for a wish of an employee's own for a complaint, which no incident's budget pays for."""
    return int("incident_id" not in one.details and not to_delight(one))


def _stretched(one: Recorded) -> int:
    return int(_own(one) and "explain_by" in one.details)


def _value(one: Recorded) -> str | None:
    """Reason and bucket of what a check is worth; None for words alone."""
    value = one.amounts.get("value_minor", 0)
    return f"{one.why}/{AMOUNTS.cell(value)}" if value else None


def cost_back(one: Recorded) -> int:
    """What comes back of a check's cost at its end: what the site's or the incident's budget gets."""
    credits = one.details.get("credits")
    if not isinstance(credits, dict):
        return 0
    return sum(int(str(back)) for name, back in credits.items() if name.startswith(BUDGETS))


def window_of(one: Recorded) -> str | None:
    """Whether a window is a shift or a day; None for a week, which no day has."""
    if one.what == WindowClosed.TYPE:
        return "day"
    return "shift" if one.details.get("scope") == Scope.EMPLOYEE_SHIFT else None


def _large_window(one: Recorded) -> str | None:
    """The same; None for a window of fewer employees than values may be shown of."""
    return window_of(one) if _number("employees")(one) >= EMPLOYEES_MIN else None


#: Reasons for which nothing was tried: there is no address to write to.
_NO_ADDRESS = (Reason.NO_CONTACT, Reason.CUSTOMER_ERASED)
#: What became of a message.
SENT, FAILED, WITHOUT_ADDRESS = FATES = ("sent", "failed", "no-address")


def _fate(one: Recorded) -> str | None:
    """What became of a message; None if nobody lacks it.

    It was not true any more, not wanted, a question too many on its day, or goes on by another channel.
    """
    if one.what == MessageSent.TYPE:
        return SENT
    if one.why in NOT_LACKED or one.details.get("next_channel"):
        return None
    return WITHOUT_ADDRESS if one.why in _NO_ADDRESS else FAILED


#: Steps of the journey, and the cell of what says none.
STEPS = (*(step.value for step in JourneyStep), "unknown")


def _step(one: Recorded) -> str:
    return str(one.details.get("step") or "unknown")


#: A step, and how it was or how much it matters there.
ANSWERS = tuple(f"{step.value}/{score}" for step in JourneyStep for score in range(1, 6))


def _of_step(name: str) -> Callable[[Recorded], str | None]:
    """The step and the detail of this name; None without it."""
    return lambda one: f"{_step(one)}/{one.details[name]}" if name in one.details else None


def _where(one: Recorded) -> str | None:
    """Category and step of a complaint."""
    return f"{one.why}/{_step(one)}" if one.why else None


#: The hours of a day (UTC).
HOURS = tuple(f"{hour:02}" for hour in range(24))


def _hour(one: Recorded) -> str:
    return HOURS[one.time.astimezone(UTC).hour]


_WINDOW = (AuthorityCounted, WindowClosed)

COMPLAINTS = Counter("complaints", (ComplaintTriaged,), cell=_why, cells=REASONS)
WHERE = Counter(
    "where",
    (ComplaintTriaged,),
    cell=_where,
    cells=tuple(f"{reason}/{step}" for reason in REASONS for step in STEPS),
)
COMPLAINT_HOURS = Counter("complaint-hours", (ComplaintTriaged,), cell=_hour, cells=HOURS)
PRAISE = Counter("praise", (PraiseReceived,), cell=_step, cells=STEPS)
PROMISES = Counter("promises", (ComplaintTriaged, ComplaintReopened))
OVERDUE = Counter("overdue", (ComplaintOverdue,))
REOPENED = Counter("reopened", (ComplaintReopened,))
CHECKS = Counter("checks", (CheckIssued,), amount=_for_complaint())
CHECK_HOURS = Counter(
    "check-hours", (CheckIssued,), amount=_for_complaint(), cell=_hour, cells=HOURS
)
DELIGHTS = Counter("delights", (CheckIssued,), amount=_delight())
TAKEN_BACK = Counter("taken-back", (CheckVoided,))
WAITED = Counter("waited", (CheckIssued,), cell=_waited, cells=SECONDS.cells)
AT_ONCE = Counter("at-once", (CheckIssued,), amount=_at_once)
VALUE = Counter("value", (CheckIssued,), amount=_amount("value_minor"), money=True)
VALUE_BACK = Counter("value-back", (CheckVoided,), amount=_amount("unredeemed_minor"), money=True)
EXPIRED = Counter("expired", (CheckExpired,), amount=_amount("unredeemed_minor"), money=True)
COST = Counter("cost", (CheckIssued,), amount=_for_complaint(_amount("cost_minor")), money=True)
COST_BACK = Counter(
    "cost-back", (CheckVoided, CheckExpired), amount=_for_complaint(cost_back), money=True
)
DELIGHT_COST = Counter(
    "delight-cost", (CheckIssued,), amount=_delight(_amount("cost_minor")), money=True
)
DELIGHT_COST_BACK = Counter(
    "delight-cost-back", (CheckVoided, CheckExpired), amount=_delight(cost_back), money=True
)
REDEEMED = Counter("redeemed", (RedemptionCaptured,), amount=_amount("amount_minor"), money=True)
ROLLED_BACK = Counter(
    "rolled-back", (RedemptionRolledBack,), amount=_amount("amount_minor"), money=True
)
FEEDBACK = Counter(
    "feedback",
    (FeedbackReceived, ComplaintConfirmed, ComplaintReopened),
    cell=_helped,
    cells=tuple(one.value for one in Helped),
)
#: Its cells are of the questions in the site's policy.
SURVEY = Counter("survey", (SurveyAnswered,), cell=_score, cells=())
EXPERIENCE = Counter(
    "experience", (TouchpointAnswered,), cell=_of_step("experience"), cells=ANSWERS
)
IMPORTANCE = Counter(
    "importance", (TouchpointAnswered,), cell=_of_step("importance"), cells=ANSWERS
)
MESSAGES = Counter(
    "messages",
    (MessageSent, MessageFailed),
    cell=_fate,
    cells=FATES,
)
CAUSES = Counter("causes", (CauseNamed,), amount=_not("instead_of"))
CAUSE_ACTIONS = Counter("cause-actions", (CauseActionTaken,))
CAME_BACK = Counter("came-back", (CauseNamed,), amount=_with("after_action"))
CAME_BACK_ELSE = Counter("came-back-else", (CauseNamed,), amount=_with("instead_of_action"))
RETURNED = Counter("returned", (CustomerReturned,))
BOUGHT = Counter("bought", (CustomerReturned,), amount=_amount("amount_minor"), money=True)
GIVEN = Counter("given", (CheckIssued,), amount=_own, of_employees=True, groups=("",))
REFUSED = Counter("refused", (CheckRefused,), amount=_own, of_employees=True, groups=("",))
STRETCHED = Counter("stretched", (CheckIssued,), amount=_stretched, of_employees=True)
VALUES = Counter(
    "values",
    (CheckIssued,),
    amount=_own,
    cell=_value,
    cells=tuple(f"{reason}/{cell}" for reason in REASONS for cell in AMOUNTS.cells),
    money=True,
    of_employees=True,
    group=_why,
    groups=REASONS,
)
#: Windows of authority that ended, and of those with employees enough what they come to. A fact of a window is of
#: a whole window, so that its values may be shown at once.
WINDOW_CELLS = ("shift", "day")
WINDOWS = Counter("windows", _WINDOW, cell=window_of, cells=WINDOW_CELLS)
USED = Counter(
    "used", _WINDOW, _amount("used_minor"), cell=_large_window, cells=WINDOW_CELLS, money=True
)
CEILING = Counter(
    "ceiling", _WINDOW, _amount("ceiling_minor"), cell=_large_window, cells=WINDOW_CELLS, money=True
)
STAFF = Counter("staff", _WINDOW, _number("employees"), cell=_large_window, cells=WINDOW_CELLS)
IDLE = Counter("idle", _WINDOW, _number("employees_idle"), cell=_large_window, cells=WINDOW_CELLS)

COUNTERS = (
    COMPLAINTS, PROMISES, OVERDUE, REOPENED, CHECKS, TAKEN_BACK, WAITED, AT_ONCE, VALUE, VALUE_BACK, EXPIRED, COST, COST_BACK,
    REDEEMED, ROLLED_BACK, FEEDBACK, MESSAGES, GIVEN, REFUSED, STRETCHED, VALUES, WINDOWS, USED, CEILING, STAFF, IDLE,
    DELIGHTS, DELIGHT_COST, DELIGHT_COST_BACK, CAUSES, CAUSE_ACTIONS, CAME_BACK, CAME_BACK_ELSE,
    RETURNED, BOUGHT, SURVEY, PRAISE, EXPERIENCE, IMPORTANCE, WHERE, COMPLAINT_HOURS, CHECK_HOURS,
)  # fmt: skip


def _by_type(counters: Iterable[Counter]) -> Mapping[str, tuple[Counter, ...]]:
    found: dict[str, tuple[Counter, ...]] = {}
    for counter in counters:
        for fact in counter.facts:
            found[fact.TYPE] = (*found.get(fact.TYPE, ()), counter)
    return found


BY_TYPE = _by_type(COUNTERS)


def counted(fact: FactRecorded) -> Iterator[Posting]:
    """Everything that is counted of a record."""
    one = fact.record
    counters = BY_TYPE.get(one.what, ())
    if not counters:
        return
    days = Days(day_of(one.time), counted_on(one.time, fact.recorded_at))
    for counter in counters:
        yield from counter.postings(one, days)


#: What counters of a day came to, by name and cell; what is zero is left out.
Counts = Mapping[str, Mapping[str, int]]


class Day(NamedTuple):
    """A day of a site in counts."""

    day: date
    counts: Counts


def accounts_of(
    site: str, day: date, currency: str, counters: Iterable[Counter]
) -> Iterator[tuple[str, str]]:
    """Each account of a day, and the end of its name without the currency."""
    before, behind = account(site, day, ""), f"/{currency}"
    for counter in counters:
        for path, money in counter.paths:
            yield f"{before}{path}{behind}" if money else before + path, path


def counts_of(balances: Iterable[tuple[str, int]]) -> Counts:
    """Counts from balances, each by the end of its account's name."""
    found: dict[str, dict[str, int]] = {}
    for path, amount in balances:
        if amount:
            name, _, cell = path.partition("/")
            found.setdefault(name, {})[cell] = amount
    return found


#: The sorted set of all sites that have a policy.
SITES = "sites"

SLICE = Slice({}, postings={FactRecorded: counted})
