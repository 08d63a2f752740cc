"""The measures: each is one declaration, with its formula in words and what it is made of.

Another capability adds its own counters to `COUNTERS` in `rules.py` and its measures to `MEASURES`; answers, the
metric, and the glossary's table follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from services.audit.measures.privacy import are_enough, may_be_shown, shown_from
from services.audit.measures.rules import (
    AMOUNTS,
    AT_ONCE,
    BOUGHT,
    CAME_BACK,
    CAME_BACK_ELSE,
    CAUSE_ACTIONS,
    CAUSES,
    CEILING,
    CHECK_HOURS,
    CHECKS,
    COMPLAINT_HOURS,
    COMPLAINTS,
    COST,
    COST_BACK,
    DELIGHT_COST,
    DELIGHT_COST_BACK,
    DELIGHTS,
    EXPERIENCE,
    EXPIRED,
    FAILED,
    FEEDBACK,
    GIVEN,
    IDLE,
    IMPORTANCE,
    MESSAGES,
    OVERDUE,
    PRAISE,
    PROMISES,
    REASONS,
    REDEEMED,
    REFUSED,
    REOPENED,
    RETURNED,
    ROLLED_BACK,
    SECONDS,
    SENT,
    STAFF,
    STEPS,
    STRETCHED,
    SURVEY,
    TAKEN_BACK,
    USED,
    VALUE,
    VALUE_BACK,
    VALUES,
    WAITED,
    WHERE,
    WINDOWS,
    WITHOUT_ADDRESS,
    Buckets,
    Counter,
    Counts,
    Day,
    marks_of,
)


class Leads(StrEnum):
    """Whether a measure tells today if we are on track, or later if it helped."""

    LEADING = "leading"
    LAGGING = "lagging"


class Unit(StrEnum):
    """What a measure is in."""

    COUNT = "count"
    PERCENT = "percent"
    SECONDS = "seconds"
    #: On the scale of a question.
    SCORE = "score"
    #: Of the site's currency.
    MINOR_UNITS = "minor_units"


class Assumption(NamedTuple):
    """A number that nothing recorded says; whoever asks may give another."""

    name: str
    value: int
    unit: Unit
    label: str


RETAINED = Assumption(
    "retained_percent",
    63,
    Unit.PERCENT,
    "where no return was counted: of the customers who were helped, how many stay because of it: a trade text's claim of how many would leave if nobody cared for them",
)
MARGIN = Assumption(
    "margin_minor",
    100_000,
    Unit.MINOR_UNITS,
    "margin of one customer who stays: an example without a source, so use your own",
)
HANDLING = Assumption(
    "handling_minor",
    10_000,
    Unit.MINOR_UNITS,
    "work on one complaint: an example without a source, so use your own",
)
ASSUMPTIONS = (RETAINED, MARGIN, HANDLING)
Assumed = Mapping[str, int]
ASSUMED: Assumed = {one.name: one.value for one in ASSUMPTIONS}


class Row(NamedTuple):
    """One value of a measure: of which part, None if there is none, and of how many or how much it is made."""

    part: str
    value: float | None
    counted: int
    error_percent: float = 0.0


class Seen:
    """The counts of a period that a measure may show."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def of(self, counter: Counter, cell: str | None = None) -> int:
        """What a counter came to: of a cell, or of all."""
        cells = self._counts.get(counter.name, {})
        return sum(cells.values()) if cell is None else cells.get(cell, 0)

    def buckets(self, counter: Counter, group: str = "") -> dict[str, int]:
        """What each bucket of a counter came to; of a group, those with its name before them."""
        before = f"{group}/" if group else ""
        return {
            cell.removeprefix(before): amount
            for cell, amount in self._counts.get(counter.name, {}).items()
            if cell.startswith(before)
        }


Rows = Callable[[Seen, Assumed], Iterable[Row]]


@dataclass(frozen=True, eq=False)
class Measure:
    """A measure: what it is called, what it says, and how it is made of counters.

    Of `employees` it is derived from single employees: a day is part of it only if the employees of these
    counters are enough and the day is closed. What is `fine` has more parts than a metric should have.
    """

    name: str
    leads: Leads
    unit: Unit
    formula: str
    counters: tuple[Counter, ...]
    rows: Rows
    employees: tuple[Counter, ...] = ()
    fine: bool = False

    def seen(self, day: Day, now: datetime) -> Counts:
        """What may be shown of its counters of a day."""
        counts = {one.name: day.counts.get(one.name, {}) for one in self.counters}
        if not self.employees:
            return counts
        if not may_be_shown(day.day, now):
            return {}
        groups = [
            group
            for group in self.employees[0].groups
            if are_enough(mark for one in self.employees for mark in marks(day.counts, one, group))
        ]
        return {
            name: {
                cell: amount
                for cell, amount in cells.items()
                if any(not group or cell.startswith(f"{group}/") for group in groups)
            }
            for name, cells in counts.items()
        }


def marks(counts: Counts, counter: Counter, group: str) -> Iterator[int]:
    """The marks of the employees in a group of a counter."""
    for cell in counts.get(marks_of(counter.name), {}):
        of, _, mark = cell.rpartition("/")
        if of == group:
            yield int(mark)


def percent(part: int, whole: int) -> float | None:
    """A part of a whole in per cent; None of nothing."""
    return round(100 * part / whole, 1) if whole else None


def quantile(buckets: Buckets, counts: Mapping[str, int], part: float) -> float | None:
    """The number below which this part of all lies: of the nearest rank, by its bucket; None of nothing."""
    rank, seen = part * sum(counts.values()), 0
    for cell in sorted(counts, key=int):
        seen += counts[cell]
        if seen >= rank:
            return buckets.number(cell)
    return None


def variation(buckets: Buckets, counts: Mapping[str, int]) -> float | None:
    """The coefficient of variation in per cent: standard deviation by mean; None of fewer than two."""
    whole = sum(counts.values())
    if whole < 2:
        return None
    numbers = [(buckets.number(cell), amount) for cell, amount in counts.items()]
    mean = sum(number * amount for number, amount in numbers) / whole
    square = sum(amount * (number - mean) ** 2 for number, amount in numbers) / whole
    return round(100 * sqrt(square) / mean, 1)


def _counts(counter: Counter, parts: Sequence[str] = (), *, cell: str | None = None) -> Rows:
    """How many, or how many of a cell, and of each part how many."""

    def rows(seen: Seen, _: Assumed) -> Iterator[Row]:
        for part in ("", *parts):
            amount = seen.of(counter, part or cell)
            yield Row(part, amount, amount)

    return rows


def _cells(counter: Counter) -> Rows:
    """How many in all, and of each cell in which something was counted."""

    def rows(seen: Seen, _: Assumed) -> Iterator[Row]:
        found = seen.buckets(counter)
        for part, amount in (("", sum(found.values())), *sorted(found.items())):
            yield Row(part, amount, amount)

    return rows


def _percent(part: Callable[[Seen], int], whole: Callable[[Seen], int]) -> Rows:
    """A part of a whole."""

    def rows(seen: Seen, _: Assumed) -> Iterator[Row]:
        yield Row("", percent(part(seen), whole(seen)), whole(seen))

    return rows


def _minus(counter: Counter, *back: Counter) -> Callable[[Seen], int]:
    """What a counter came to without what came back; at least zero, as it may come back in a later period."""
    return lambda seen: max(0, seen.of(counter) - sum(map(seen.of, back)))


def _sum(*counters: Counter) -> Callable[[Seen], int]:
    return lambda seen: sum(map(seen.of, counters))


def _helped(seen: Seen) -> int:
    return seen.of(FEEDBACK, "yes")


_COST, _VALUE = _minus(COST, COST_BACK), _minus(VALUE, VALUE_BACK)
_REDEEMED = _minus(REDEEMED, ROLLED_BACK)


def _waited(seen: Seen, _: Assumed) -> Iterator[Row]:
    found = seen.buckets(WAITED)
    for name, part in (("p50", 0.5), ("p95", 0.95)):
        value = quantile(SECONDS, found, part)
        yield Row(name, value and round(value, 1), seen.of(WAITED), _error(SECONDS))


def _spread(seen: Seen, _: Assumed) -> Iterator[Row]:
    for reason in REASONS:
        found = seen.buckets(VALUES, reason)
        yield Row(reason, variation(AMOUNTS, found), sum(found.values()), _error(AMOUNTS))


def _error(buckets: Buckets) -> float:
    return round(100 * buckets.error, 1)


def _amount(of: Callable[[Seen], int], *checks: Counter) -> Rows:
    """An amount, of so many checks."""

    def rows(seen: Seen, _: Assumed) -> Iterator[Row]:
        yield Row("", of(seen), sum(map(seen.of, checks)))

    return rows


def _cost_per_helped(seen: Seen, _: Assumed) -> Iterator[Row]:
    helped = _helped(seen)
    yield Row("", round(_COST(seen) / helped) if helped else None, helped)


def _roi(seen: Seen, assumed: Assumed) -> Iterator[Row]:
    complaints, helped = seen.of(COMPLAINTS), _helped(seen)
    spent = _COST(seen) + complaints * assumed[HANDLING.name]
    returned = seen.of(RETURNED)
    # What was counted is known; what is assumed is for a site whose systems tell of no purchases.
    kept_hundredths = 100 * returned if returned else helped * assumed[RETAINED.name]
    gained = kept_hundredths * assumed[MARGIN.name] // 100
    yield Row("", percent(gained - spent, spent), complaints)


def _came_back(seen: Seen, _: Assumed) -> Iterator[Row]:
    yield Row("", _minus(CAME_BACK, CAME_BACK_ELSE)(seen), seen.of(CAUSES))


def _survey_scores(seen: Seen, _: Assumed) -> Iterator[Row]:
    """The mean of each question."""
    found: dict[str, list[tuple[int, int]]] = {}
    for question, score, amount in _answers(seen):
        found.setdefault(question, []).append((score, amount))
    for question, scores in found.items():
        yield Row(question, _mean(scores), sum(amount for _, amount in scores))
    if not found:
        yield Row("", None, 0)


def _survey_answers(seen: Seen, _: Assumed) -> Iterator[Row]:
    """How many answers there were, and of each question how many of each score."""
    answers = seen.of(SURVEY)
    yield Row("", answers, answers)
    for question, score, amount in _answers(seen):
        yield Row(f"{question}/{score}", amount, amount)


def _answers(seen: Seen) -> Sequence[tuple[str, int, int]]:
    """Question, score, and how many answered so."""
    found = []
    for cell, amount in seen.buckets(SURVEY).items():
        question, _, score = cell.split("/")
        found.append((question, int(score), amount))
    return sorted(found)


def _mean(scores: Sequence[tuple[int, int]]) -> float:
    """The mean of scores, each with how many answered so."""
    whole = sum(amount for _, amount in scores)
    return round(sum(score * amount for score, amount in scores) / whole, 2)


#: Answers about a step from which their mean is shown: one guest's word is no measure of a kitchen.
ANSWERS_MIN = 5


def _by_step(counter: Counter) -> Rows:
    """The mean answer of each step that customers answered about; no value of fewer than five answers."""

    def rows(seen: Seen, _: Assumed) -> Iterator[Row]:
        for step in STEPS:
            scores = [(int(score), n) for score, n in seen.buckets(counter, step).items()]
            counted = sum(amount for _, amount in scores)
            if counted:
                yield Row(step, _mean(scores) if counted >= ANSWERS_MIN else None, counted)
        if not seen.of(counter):
            yield Row("", None, 0)

    return rows


MEASURES = (
    Measure(
        "complaints",
        Leads.LEADING,
        Unit.COUNT,
        "complaints that were triaged; in all, and by category",
        (COMPLAINTS,),
        _counts(COMPLAINTS, REASONS),
    ),
    Measure(
        "complaints_by_step",
        Leads.LEADING,
        Unit.COUNT,
        "complaints that were triaged; in all, and by category and step of the customer's journey",
        (WHERE,),
        _cells(WHERE),
        fine=True,
    ),
    Measure(
        "complaints_by_hour",
        Leads.LEADING,
        Unit.COUNT,
        "complaints that were triaged; in all, and by hour of the day in UTC",
        (COMPLAINT_HOURS,),
        _cells(COMPLAINT_HOURS),
        fine=True,
    ),
    Measure(
        "praise",
        Leads.LEADING,
        Unit.COUNT,
        "praise that was received; in all, and by step of the customer's journey",
        (PRAISE,),
        _counts(PRAISE, STEPS),
    ),
    Measure(
        "checks_given",
        Leads.LEADING,
        Unit.COUNT,
        "checks that were given for complaints, by employees and for incidents",
        (CHECKS,),
        _counts(CHECKS),
    ),
    Measure(
        "checks_by_hour",
        Leads.LEADING,
        Unit.COUNT,
        "checks that were given for complaints; in all, and by hour of the day in UTC",
        (CHECK_HOURS,),
        _cells(CHECK_HOURS),
        fine=True,
    ),
    Measure(
        "checks_taken_back",
        Leads.LEADING,
        Unit.COUNT,
        "checks that were taken back, whole or what was left of them",
        (TAKEN_BACK,),
        _counts(TAKEN_BACK),
    ),
    Measure(
        "value_given",
        Leads.LEADING,
        Unit.MINOR_UNITS,
        "value of checks given, those to delight included, less what was not redeemed of checks taken back",
        (VALUE, VALUE_BACK, CHECKS, DELIGHTS),
        _amount(_VALUE, CHECKS, DELIGHTS),
    ),
    Measure(
        "cost_given",
        Leads.LEADING,
        Unit.MINOR_UNITS,
        "cost of checks given for complaints, less what came back when checks were taken back or expired",
        (COST, COST_BACK, CHECKS),
        _amount(_COST, CHECKS),
    ),
    Measure(
        "delights_given",
        Leads.LEADING,
        Unit.COUNT,
        "checks that were given to delight, without a complaint",
        (DELIGHTS,),
        _counts(DELIGHTS),
    ),
    Measure(
        "delight_cost",
        Leads.LEADING,
        Unit.MINOR_UNITS,
        "cost of checks given to delight, less what came back when checks were taken back or expired",
        (DELIGHT_COST, DELIGHT_COST_BACK, DELIGHTS),
        _amount(_minus(DELIGHT_COST, DELIGHT_COST_BACK), DELIGHTS),
    ),
    Measure(
        "time_to_compensation",
        Leads.LEADING,
        Unit.SECONDS,
        "time from a complaint to the first check given for it, also where that was taken back later: half waited at most p50, 95 of 100 at most p95; the nearest rank, from buckets",
        (WAITED,),
        _waited,
    ),
    Measure(
        "on_the_spot_rate",
        Leads.LEADING,
        Unit.PERCENT,
        "first checks within 15 minutes of the complaint / first checks, those taken back later included",
        (AT_ONCE, WAITED),
        _percent(_sum(AT_ONCE), _sum(WAITED)),
    ),
    Measure(
        "authority_utilisation",
        Leads.LEADING,
        Unit.PERCENT,
        "what employees gave in windows of authority that ended / their ceilings in these windows: shifts, or days at a site without shifts; a window of fewer than five employees is left out",
        (USED, CEILING),
        _percent(_sum(USED), _sum(CEILING)),
    ),
    Measure(
        "non_use_rate",
        Leads.LEADING,
        Unit.PERCENT,
        "employees who gave nothing that cost anything in windows of authority that ended / employees with a ceiling in these windows; the same windows",
        (IDLE, STAFF),
        _percent(_sum(IDLE), _sum(STAFF)),
    ),
    Measure(
        "limit_hit_rate",
        Leads.LEADING,
        Unit.PERCENT,
        "checks that did not fit / (checks that did not fit + checks given), of employees' own authority and for complaints; days of five employees or more who wished",
        (GIVEN, REFUSED),
        _percent(_sum(REFUSED), _sum(GIVEN, REFUSED)),
        employees=(GIVEN, REFUSED),
    ),
    Measure(
        "stretch_rate",
        Leads.LEADING,
        Unit.PERCENT,
        "checks given by a stretch / checks given of employees' own authority for complaints; days of five employees or more who gave",
        (STRETCHED, GIVEN),
        _percent(_sum(STRETCHED), _sum(GIVEN)),
        employees=(GIVEN,),
    ),
    Measure(
        "value_spread",
        Leads.LEADING,
        Unit.PERCENT,
        "per reason, standard deviation / mean of what checks of employees' own authority for complaints are worth, from buckets; days of five employees or more who gave for the reason",
        (VALUES,),
        _spread,
        employees=(VALUES,),
    ),
    Measure(
        "causes_named",
        Leads.LEADING,
        Unit.COUNT,
        "complaints that were put down to a cause, each once",
        (CAUSES,),
        _counts(CAUSES),
    ),
    Measure(
        "cause_actions",
        Leads.LEADING,
        Unit.COUNT,
        "things that were done about causes",
        (CAUSE_ACTIONS,),
        _counts(CAUSE_ACTIONS),
    ),
    Measure(
        "overdue_promises",
        Leads.LEADING,
        Unit.COUNT,
        "promised times that passed and were not kept",
        (OVERDUE,),
        _counts(OVERDUE),
    ),
    Measure(
        "overdue_rate",
        Leads.LEADING,
        Unit.PERCENT,
        "promised times that passed and were not kept / promises made, to new complaints and reopened ones",
        (OVERDUE, PROMISES),
        _percent(_sum(OVERDUE), _sum(PROMISES)),
    ),
    Measure(
        "delivery_success",
        Leads.LEADING,
        Unit.PERCENT,
        "messages that a provider accepted / messages with an address whose fate is known, those to role mailboxes included",
        (MESSAGES,),
        _percent(
            lambda seen: seen.of(MESSAGES, SENT),
            lambda seen: seen.of(MESSAGES, SENT) + seen.of(MESSAGES, FAILED),
        ),
    ),
    Measure(
        "messages_without_address",
        Leads.LEADING,
        Unit.COUNT,
        "messages that were not tried, because the customer's address is of another channel or they were erased; whoever left none is written nothing",
        (MESSAGES,),
        _counts(MESSAGES, cell=WITHOUT_ADDRESS),
    ),
    Measure(
        "helped_rate",
        Leads.LAGGING,
        Unit.PERCENT,
        'answers "yes" to "did it help?" / answers, to a letter or on the customer\'s page',
        (FEEDBACK,),
        _percent(_helped, _sum(FEEDBACK)),
    ),
    Measure(
        "survey_scores",
        Leads.LAGGING,
        Unit.SCORE,
        "mean of the answers to each question of the site's survey, on the scale of the question; of yes and no, 1 and 0",
        (SURVEY,),
        _survey_scores,
    ),
    Measure(
        "survey_answers",
        Leads.LAGGING,
        Unit.COUNT,
        "answers to questions of the site's survey; in all, and of each question by score",
        (SURVEY,),
        _survey_answers,
    ),
    Measure(
        "experience",
        Leads.LAGGING,
        Unit.SCORE,
        "mean of customers' answers how a step of their journey was, from 1 to 5; of steps with five answers or more",
        (EXPERIENCE,),
        _by_step(EXPERIENCE),
    ),
    Measure(
        "importance",
        Leads.LAGGING,
        Unit.SCORE,
        "mean of customers' answers how much a step of their journey matters to them, from 1 to 5; of steps with five answers or more",
        (IMPORTANCE,),
        _by_step(IMPORTANCE),
    ),
    Measure(
        "causes_came_back",
        Leads.LAGGING,
        Unit.COUNT,
        "complaints that were put down to a cause after something was done about it, in the time in which that says that it came back, less those put down to another cause since",
        (CAME_BACK, CAME_BACK_ELSE, CAUSES),
        _came_back,
    ),
    Measure(
        "reopen_rate",
        Leads.LAGGING,
        Unit.PERCENT,
        "how often complaints were reopened / complaints that were received",
        (REOPENED, COMPLAINTS),
        _percent(_sum(REOPENED), _sum(COMPLAINTS)),
    ),
    Measure(
        "redemption_rate",
        Leads.LAGGING,
        Unit.PERCENT,
        "value redeemed, less what was rolled back / value given in the same period, less what was taken back",
        (REDEEMED, ROLLED_BACK, VALUE, VALUE_BACK),
        _percent(_REDEEMED, _VALUE),
    ),
    Measure(
        "breakage",
        Leads.LAGGING,
        Unit.PERCENT,
        "value that expired unredeemed / value given in the same period, less what was taken back",
        (EXPIRED, VALUE, VALUE_BACK),
        _percent(_sum(EXPIRED), _VALUE),
    ),
    Measure(
        "cost_per_helped_customer",
        Leads.LAGGING,
        Unit.MINOR_UNITS,
        'cost of checks given for complaints, less what came back / answers "yes"',
        (COST, COST_BACK, FEEDBACK),
        _cost_per_helped,
    ),
    Measure(
        "customers_returned",
        Leads.LAGGING,
        Unit.COUNT,
        "customers who booked or bought again after their complaint was handled, once per complaint",
        (RETURNED,),
        _counts(RETURNED),
    ),
    Measure(
        "returned_value",
        Leads.LAGGING,
        Unit.MINOR_UNITS,
        "what these customers paid for what they booked or bought, where it was told",
        (BOUGHT, RETURNED),
        _amount(_sum(BOUGHT), RETURNED),
    ),
    Measure(
        "recovery_roi",
        Leads.LAGGING,
        Unit.PERCENT,
        'customers who returned (where none was counted, answers "yes" × retained_percent) × margin_minor, less what was spent / what was spent: cost of checks given for complaints, less what came back, + complaints × handling_minor',
        (COMPLAINTS, FEEDBACK, RETURNED, COST, COST_BACK),
        _roi,
    ),
)


class Absent(StrEnum):
    """Why a measure has no value."""

    #: Nothing happened, or was counted yet, that it is made of.
    NOTHING_COUNTED = "nothing_counted"
    #: It is shown when its day is closed.
    NOT_CLOSED = "not_closed"
    #: Fewer employees than five made it.
    TOO_FEW_EMPLOYEES = "too_few_employees"
    #: Fewer customers than five answered.
    TOO_FEW_ANSWERS = "too_few_answers"


class Figure(NamedTuple):
    """One value of a measure at a site in a period.

    `withheld` says that some of it is left out: of days with fewer than five employees or not closed. Without
    a value `absent` says why, and `shown_from` when there may be one.
    """

    measure: Measure
    row: Row
    withheld: bool
    absent: Absent | None = None
    shown_from: datetime | None = None

    @property
    def is_amount(self) -> bool:
        """Whether it is an amount of money."""
        return self.measure.unit is Unit.MINOR_UNITS

    @property
    def value(self) -> float | None:
        """The value, if it is no amount of money."""
        return None if self.is_amount else self.row.value

    @property
    def amount_minor(self) -> int | None:
        """The value, if it is an amount of money."""
        return round(self.row.value) if self.is_amount and self.row.value is not None else None


def shifts_or_days(day: Day, before: Day) -> Day:
    """The day without windows that are days, where shifts ended on it or the day before.

    Otherwise a shift of few employees would be the difference between a day and its other shifts.
    """
    counted = [one.counts.get(WINDOWS.name, {}) for one in (day, before)]
    if not any("shift" in cells for cells in counted):
        return day
    windows = {one.name for one in (WINDOWS, USED, CEILING, STAFF, IDLE)}
    counts = {
        name: {cell: n for cell, n in cells.items() if name not in windows or cell == "shift"}
        for name, cells in day.counts.items()
    }
    return Day(day.day, counts)


def figures(
    measures: Iterable[Measure], days: Sequence[Day], assumed: Assumed, now: datetime
) -> list[Figure]:
    """The values of measures over days; the first of `days` only says what was before, and is not counted."""
    shown = [shifts_or_days(day, before) for before, day in pairwise(days)]
    found = []
    for measure in measures:
        seen: dict[str, dict[str, int]] = {}
        withheld = False
        for day in shown:
            counts = measure.seen(day, now)
            for name, cells in counts.items():
                whole = seen.setdefault(name, {})
                for cell, amount in cells.items():
                    whole[cell] = whole.get(cell, 0) + amount
            withheld |= any(
                day.counts.get(one.name, {}).keys() != counts.get(one.name, {}).keys()
                for one in measure.employees
            )
        for row in measure.rows(Seen(seen), assumed):
            why = (
                (None, None) if row.value is not None else _why(measure, row, shown, withheld, now)
            )
            found.append(Figure(measure, row, withheld, *why))
    return found


def _why(
    measure: Measure, row: Row, days: Sequence[Day], withheld: bool, now: datetime
) -> tuple[Absent, datetime | None]:
    """Why a measure has no value, and when it may have one, where that is known."""
    if measure.employees:
        waiting = next((one.day for one in days if not may_be_shown(one.day, now)), None)
        if waiting is not None:
            return Absent.NOT_CLOSED, shown_from(waiting)
        return (Absent.TOO_FEW_EMPLOYEES if withheld else Absent.NOTHING_COUNTED), None
    if row.counted and measure.unit is Unit.SCORE:
        return Absent.TOO_FEW_ANSWERS, None
    of_windows = USED in measure.counters or STAFF in measure.counters
    if of_windows and any(one.counts.get(WINDOWS.name) for one in days):
        return Absent.TOO_FEW_EMPLOYEES, None
    return Absent.NOTHING_COUNTED, None


def needed(measures: Iterable[Measure]) -> list[Counter]:
    """The counters that measures are made of, each once, and those of their windows."""
    found = {one.name: one for measure in measures for one in measure.counters}
    if USED.name in found or STAFF.name in found:
        found[WINDOWS.name] = WINDOWS
    return list(found.values())


#: How far from its first day the day before a period is, which `figures` looks at.
BEFORE = timedelta(days=1)
