"""What is kept of each check to look at it later, and every signal as one declaration.

A signal is a question and no verdict: it is raised after the fact, refuses nothing, lowers nobody's authority,
and is dismissed with a reason. Its numbers are the constants below; where no source is named, they are ours, chosen
so that an ordinary month of the demo's site raises none.

Signals about one redemption are raised with its record. All others look at the checks of a site in a month, after
each of its business days. A month begins anew, because employees' pseudonyms do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from shared.contracts.audit import (
    FactRecorded,
    Recorded,
    SignalDismissed,
    SignalKind,
    SignalRaised,
)
from shared.contracts.compensation import (
    AuthorityOpened,
    Basis,
    CheckIssued,
    CheckVoided,
    RedemptionReserved,
    Scope,
    WindowClosed,
    WindowOpened,
)
from shared.contracts.complaints import Category, Severity
from shared.contracts.event import Event, fingerprint
from shared.contracts.months import month_of
from shared.kernel import Document, Fold, Posting, Slice, Timer, score_at

#: The timer that looks at a site's month after one of its days.
LOOK = "signals"
#: How long after a day was closed it is looked at: records of other partitions may come a little later.
LOOK_AFTER = timedelta(minutes=10)
#: A day is looked at so long after its last check at the latest: by then it is over wherever the site is.
LOOK_BY = timedelta(hours=26)
#: Days that ended longer ago are not looked at: nobody remembers what happened. Audit may read years at once
#: when it is new, or make its state again.
LOOK_BACK = timedelta(days=35)
#: Checks of a month that one look reads, the latest days first: 100 trips to the store and 20 MB.
CHECKS_MAX = 20_000
#: Signals of one site in one day (UTC): more than anybody reads, and a bound for a site where something is broken.
SIGNALS_MAX = 20

#: A check takes nearly all that is left of its giver's authority from so much on.
NEAR_PERCENT = 90
#: Days in a row with such a check: one day is an employee who used what they may give, which is what we want.
#: Values just below a limit are among what loss-prevention reports list (domain notes, retail).
STREAK_DAYS = 4
#: The end of a shift: a twelfth to a sixteenth of it, so that even giving puts about 7 % of checks there.
SHIFT_END = timedelta(minutes=30)
#: So many checks there, and so large a part of all: seven times what even giving would put there.
AT_END_MIN, AT_END_PERCENT = 5, 50
#: Checks to one customer in a month, on so many days: a bad week brings two or three; one evening may bring several.
CUSTOMER_CHECKS_MIN, CUSTOMER_DAYS_MIN = 5, 3
#: Fewer employees are not compared: with fewer, an average is one person's.
EMPLOYEES_MIN = 5
#: Checks of an employee that are an average, and not one customer.
EACH_MIN = 3
#: Standard deviation of employees' averages in per cent of their mean (the coefficient of variation). At 50, the one
#: who gives much gives about three times what the one who gives little does, for the same complaint.
SPREAD_PERCENT = 50

#: Open signals stand before dismissed ones in a site's list: no moment's score is so large. A double holds it.
DISMISSED_SCORE = 2**53 - 1


class Given(Document):
    """A check as the record tells of it, with what signals look at."""

    KIND: ClassVar[str] = "given"
    #: A look reads thousands once.
    REMEMBERED: ClassVar[bool] = False

    site: str = ""
    #: Who gave it, by their pseudonym of `month`.
    who: str = ""
    month: str = ""
    #: When and on which business day; None and empty where audit did not record that it was given.
    at: datetime | None = None
    day: str = ""
    #: The window of the giver's authority that ends first: their shift's, else the day's.
    window: str = ""
    customer_ref: str = ""
    reason: str = ""
    severity: str = ""
    currency: str = ""
    cost_minor: int = 0
    value_minor: int = 0
    #: What was left of the giver's own authority, in the window with the least.
    left_minor: int | None = None
    stretched: bool = False
    #: Whether the giver decided it: a group check and what the law gives were decided elsewhere.
    own: bool = False
    voided: bool = False

    @property
    def counts(self) -> bool:
        """Whether the signals of a month look at it."""
        return self.own and not self.voided and self.cost_minor > 0 and self.at is not None

    @property
    def near_limit(self) -> bool:
        """Whether it took nearly all that was left. A stretch goes above the limit, and is explained."""
        if self.left_minor is None or self.stretched:
            return False
        return 100 * self.cost_minor >= NEAR_PERCENT * (self.cost_minor + self.left_minor)


class WindowEnd(Document):
    """When a window of a site's authority ends."""

    KIND: ClassVar[str] = "window-end"

    until: datetime


class Signal(Document):
    """A signal, and its dismissal."""

    KIND: ClassVar[str] = "signal"

    site: str
    raised: SignalRaised
    dismissed: SignalDismissed | None = None


# ---- what is looked for --------------------------------------------------------------------------


class Redeemed(NamedTuple):
    """A check at a till: how it was given, whether the giver holds it there, at which site, what and when."""

    check_id: str
    given: Given
    by_giver: bool
    site: str
    amount_minor: int
    at: datetime


class Month(NamedTuple):
    """Checks of a site that count, in one currency, of one month, and when their windows end.

    They are all of the month's that are on the record, or the last of them if there are very many.
    """

    site: str
    currency: str
    given: Sequence[Given]
    ends: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a rule found: what tells it from others of its kind, and what the fact says."""

    about: tuple[str, ...]
    numbers: Mapping[str, int]
    persons: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A signal: how it is found, and the sentence that explains it, with the fact's fields and numbers by name."""

    kind: SignalKind
    finds: Callable[[Any], Iterable[Found]]
    says: str


def _own_check(one: Redeemed) -> Iterator[Found]:
    if one.by_giver:
        hours = _hours(one)
        numbers = {"amount_minor": one.amount_minor, "hours": hours}
        yield Found((one.check_id,), numbers, (one.given.who,), {"check_id": one.check_id})


def _elsewhere(one: Redeemed) -> Iterator[Found]:
    if one.given.site and one.site != one.given.site:
        numbers = {"amount_minor": one.amount_minor, "hours": _hours(one)}
        more = {"check_id": one.check_id, "other_site": one.site}
        yield Found((one.check_id,), numbers, (one.given.who,), more)


def _hours(one: Redeemed) -> int:
    return 0 if one.given.at is None else max(0, int((one.at - one.given.at) / timedelta(hours=1)))


def _below_limit(month: Month) -> Iterator[Found]:
    for who, given in _by(month.given, lambda one: one.who).items():
        longest: list[Given] = []
        streak: list[Given] = []
        for _, of_day in sorted(_by(given, lambda one: one.day).items()):
            near = [one for one in of_day if one.near_limit]
            streak = [*streak, *near] if near else []
            longest = max(longest, streak, key=_days)
        if _days(longest) >= STREAK_DAYS:
            numbers = {
                "days": _days(longest),
                "checks": len(longest),
                "average_minor": _average(one.cost_minor for one in longest),
                "limit_percent": NEAR_PERCENT,
            }
            yield Found((who,), numbers, (who,))


def _at_shift_end(month: Month) -> Iterator[Found]:
    for who, given in _by(month.given, lambda one: one.who).items():
        ends = [
            (end, one.at)
            for one in given
            if (end := month.ends.get(one.window)) is not None and one.at is not None
        ]
        at_end = sum(timedelta() <= end - at <= SHIFT_END for end, at in ends)
        if at_end >= AT_END_MIN and 100 * at_end >= AT_END_PERCENT * len(ends):
            numbers = {
                "at_end": at_end,
                "checks": len(ends),
                "at_end_percent": 100 * at_end // len(ends),
                "minutes": SHIFT_END // timedelta(minutes=1),
            }
            yield Found((who,), numbers, (who,))


def _same_customer(month: Month) -> Iterator[Found]:
    for customer_ref, given in _by(month.given, lambda one: one.customer_ref).items():
        if len(given) >= CUSTOMER_CHECKS_MIN and _days(given) >= CUSTOMER_DAYS_MIN:
            numbers = {
                "checks": len(given),
                "days": _days(given),
                "employees": len({one.who for one in given}),
                "value_minor": sum(one.value_minor for one in given),
            }
            yield Found((customer_ref,), numbers, more={"customer_ref": customer_ref})


def _uneven(month: Month) -> Iterator[Found]:
    for (reason, severity), given in _by(
        month.given, lambda one: (one.reason, one.severity)
    ).items():
        of = {
            who: checks
            for who, checks in _by(given, lambda one: one.who).items()
            if len(checks) >= EACH_MIN
        }
        if len(of) < EMPLOYEES_MIN:
            continue
        averages = {who: _average(one.value_minor for one in checks) for who, checks in of.items()}
        spread = _spread_percent(list(averages.values()))
        if spread >= SPREAD_PERCENT:
            lowest, *_, highest = sorted(averages, key=lambda who: (averages[who], who))
            numbers = {
                "employees": len(of),
                "checks": sum(map(len, of.values())),
                "lowest_minor": averages[lowest],
                "highest_minor": averages[highest],
                "spread_percent": spread,
            }
            more = {"reason": Category(reason), "severity": Severity(severity)}
            yield Found((reason, severity), numbers, (lowest, highest), more)


def _by(given: Iterable[Given], key: Callable[[Given], Any]) -> dict[Any, list[Given]]:
    found: dict[Any, list[Given]] = defaultdict(list)
    for one in given:
        found[key(one)].append(one)
    return found


def _days(given: Iterable[Given]) -> int:
    return len({one.day for one in given})


def _average(amounts: Iterable[int]) -> int:
    found = list(amounts)
    return sum(found) // len(found)


def _spread_percent(amounts: Sequence[int]) -> int:
    """Standard deviation of amounts in per cent of their mean; 0 if all are."""
    total = sum(amounts)
    if not total:
        return 0
    squared = len(amounts) * sum(one * one for one in amounts) - total * total
    return int(100 * squared**0.5 / total)


#: Raised with the record of a redemption. Compensation refuses both at the till, so these find what got past it.
AT_TILLS = (
    Rule(
        SignalKind.OWN_CHECK_REDEEMED,
        _own_check,
        "{person} gave check {check_id} and put it through a till themselves {hours} hours later, for {amount}.",
    ),
    Rule(
        SignalKind.REDEEMED_ELSEWHERE,
        _elsewhere,
        "Check {check_id}, which {person} gave at {site}, was taken at another site, {other_site}, {hours} hours later,"
        " for {amount}.",
    ),
)
#: Raised after a business day of a site.
OF_MONTHS = (
    Rule(
        SignalKind.JUST_BELOW_LIMIT,
        _below_limit,
        "On {days} days in a row on which they gave something, {person} gave a check that took at least"
        " {limit_percent} % of what was left of their authority: {checks} checks, costing {average} on average."
        " The limit may be too low.",
    ),
    Rule(
        SignalKind.SHIFT_END_SPIKE,
        _at_shift_end,
        "{person} gave {at_end} of {checks} checks ({at_end_percent} %) in the last {minutes} minutes before a window"
        " of their authority ended.",
    ),
    Rule(
        SignalKind.SAME_CUSTOMER,
        _same_customer,
        "Customer {customer_ref} was given {checks} checks on {days} days, by {employees} employees, worth {value}"
        " together.",
    ),
    Rule(
        SignalKind.UNEVEN_VALUES,
        _uneven,
        "For {severity} complaints about {reason}, {employees} employees gave {checks} checks, and what they give differs"
        " by {spread_percent} % of the average: from {lowest} on average ({person}) to {highest} ({other_person}).",
    ),
)
RULES = {rule.kind: rule for rule in (*AT_TILLS, *OF_MONTHS)}


def raised_at_till(one: Redeemed, now: datetime) -> Sequence[SignalRaised]:
    """The signals about a check at a till."""
    return [
        _raised(
            rule.kind,
            found,
            one.given.site,
            now,
            currency=one.given.currency or None,
            named_in={one.given.who: one.given.month},
        )
        for rule in AT_TILLS
        for found in rule.finds(one)
    ]


def raised_of_month(month: Month, now: datetime) -> Sequence[SignalRaised]:
    """The signals about a site's month, whether raised before or not."""
    days = sorted({one.day for one in month.given})
    named_in = {one.who: one.month for one in month.given}
    return [
        _raised(
            rule.kind,
            found,
            month.site,
            now,
            month=days[0][:7],
            named_in=named_in,
            currency=month.currency,
            first_day=days[0],
            day=days[-1],
        )
        for rule in OF_MONTHS
        for found in sorted(rule.finds(month), key=lambda one: one.about)
    ]


def _raised(
    kind: SignalKind,
    found: Found,
    site: str,
    now: datetime,
    *,
    currency: str | None,
    named_in: Mapping[str, str],
    month: str = "",
    **more: Any,
) -> SignalRaised:
    """The fact. `named_in` is the month of each employee's pseudonym: after midnight it may be the next one."""
    name = fingerprint("signal", kind, site, month, currency or "", *found.about)
    return SignalRaised(
        signal_id=f"sg-{name}",
        site=site,
        signal=kind,
        persons=found.persons,
        month=named_in.get(found.persons[0]) or None if found.persons else None,
        currency=currency,
        numbers=dict(found.numbers),
        raised_at=now,
        **more,
        **found.more,
    )


# ---- what is kept --------------------------------------------------------------------------------


def given_on(site: str, day: str) -> str:
    """The sorted set of the checks given at a site on a business day that count."""
    return f"given/{site}/{day}"


def signals_of(site: str) -> str:
    """The sorted set of a site's signals: open ones first, the newest first."""
    return f"signals/{site}"


def open_signals_of(site: str) -> str:
    """The sorted set of a site's signals that nobody dismissed."""
    return f"open-signals/{site}"


def raised_account(site: str, at: datetime) -> str:
    """The account of how many signals of a site were raised on a day."""
    return f"signals/{site}/{at.astimezone(UTC):%Y-%m-%d}"


def window_end_id(site: str, window: str) -> str:
    """The id of the document about the end of a window."""
    return f"{site}/{window}"


def days_of(day: str) -> Iterator[str]:
    """The days of a day's month, the latest first."""
    first = date.fromisoformat(day).replace(day=1)
    for number in reversed(range(31)):
        one = first + timedelta(days=number)
        if one.month == first.month:
            yield one.isoformat()


def is_past(day: str, now: datetime) -> bool:
    """Whether a day ended too long ago to be looked at."""
    return date.fromisoformat(day) < (now - LOOK_BACK).date()


def given_key(event: Event[CheckIssued | RedemptionReserved]) -> str:
    """Where what is kept of a check is stored."""
    return Given.key(event.data.check_id)


def _check_id(fact: FactRecorded) -> str | None:
    """The check of a record that says it was given; None for any other, and where its data were not read."""
    record = fact.record
    check_id = record.details.get("check_id") if record.what == CheckIssued.TYPE else None
    return str(check_id) if check_id else None


def given_by(record: Recorded) -> Given:
    """A check as the record of its giving tells of it."""
    details: Mapping[str, Any] = record.details
    left, windows = details.get("left", {}), list(_own_windows(details.get("debits", {})))
    own_left = [left[scope] for scope in OWN_SCOPES if scope in left]
    return Given(
        site=record.site or "",
        who=record.who or "",
        month=month_of(record.time),
        at=record.time,
        day=details.get("day") or "",
        # A shift's name is its day, a slash and when it began.
        window=next((one for one in windows if "/" in one), min(windows, default="")),
        customer_ref=details.get("customer_ref", ""),
        reason=record.why or "",
        severity=details.get("severity", ""),
        currency=record.currency or "",
        cost_minor=record.amounts.get("cost_minor", 0),
        value_minor=record.amounts.get("value_minor", 0),
        left_minor=min(own_left, default=None),
        stretched="explain_by" in details,
        # What is given to delight is as free a choice as goodwill.
        own="incident_id" not in details
        and details.get("basis") in (Basis.GOODWILL, Basis.DELIGHT)
        and bool(details.get("day")),
    )


#: The scopes of one employee's own authority.
OWN_SCOPES = (Scope.EMPLOYEE_SHIFT, Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_WEEK)


def _own_windows(debits: Mapping[str, int]) -> Iterator[str]:
    """The shift and the day of an employee's own accounts, which are named by owner, currency and window."""
    for account in debits:
        kind, *rest = account.split("/", 3)
        if kind == "employee" and len(rest) == 3 and "W" not in rest[2]:
            yield rest[2]


def _taken_back(given: Given | None, _: CheckVoided) -> Given:
    return (given or Given()).model_copy(update={"voided": True})


def _day_id(fact: WindowOpened) -> str:
    return window_end_id(fact.site, fact.day)


def _shift_id(fact: AuthorityOpened) -> str | None:
    """The document of a shift; None for a week, and where nothing is counted any more."""
    ends = fact.scope is Scope.EMPLOYEE_SHIFT and fact.until is not None
    return window_end_id(fact.site, fact.window) if ends else None


def _window_end(_: WindowEnd | None, fact: WindowOpened | AuthorityOpened) -> WindowEnd:
    assert fact.until is not None
    return WindowEnd(until=fact.until)


def look_due(fact: FactRecorded) -> Iterable[Timer]:
    """The timer that looks at a site's day: soon after it was closed, and when a check of it comes later."""
    record = fact.record
    if record.what not in (CheckIssued.TYPE, WindowClosed.TYPE):
        return
    day, due = record.details.get("day"), fact.recorded_at + LOOK_AFTER
    if record.what == CheckIssued.TYPE:
        due = max(due, record.time + LOOK_BY)
    if day:
        yield Timer(LOOK, f"{record.site}/{day}", due)


def _stands(given: Given) -> Mapping[str, int]:
    if not given.counts:
        return {}
    assert given.at is not None
    return {given_on(given.site, given.day): score_at(given.at)}


def _dismissed(signal: Signal, fact: SignalDismissed) -> Signal:
    return signal.model_copy(update={"dismissed": fact})


def _signal_stands(signal: Signal) -> Mapping[str, int]:
    if signal.dismissed is None:
        newest_first = -score_at(signal.raised.raised_at)
        return {signals_of(signal.site): newest_first, open_signals_of(signal.site): newest_first}
    return {signals_of(signal.site): DISMISSED_SCORE - score_at(signal.dismissed.dismissed_at)}


def _signal_id(fact: SignalRaised | SignalDismissed) -> str:
    return fact.signal_id


SLICE = Slice(
    {
        # By the record, which names the giver by a pseudonym; the fact itself does not.
        FactRecorded: (Fold(Given, _check_id, lambda _, fact: given_by(fact.record)),),
        CheckVoided: (Fold(Given, lambda fact: fact.check_id, _taken_back),),
        WindowOpened: (Fold(WindowEnd, _day_id, _window_end),),
        AuthorityOpened: (Fold(WindowEnd, _shift_id, _window_end),),
        SignalRaised: (
            Fold(Signal, _signal_id, lambda _, fact: Signal(site=fact.site, raised=fact)),
        ),
        SignalDismissed: (Fold(Signal, _signal_id, _dismissed),),
    },
    postings={SignalRaised: lambda fact: (Posting(raised_account(fact.site, fact.raised_at), 1),)},
    timers={FactRecorded: look_due},
    indexes={Given: _stands, Signal: _signal_stands},
)
