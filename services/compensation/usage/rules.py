"""Measures under-use: authority that nobody used, and how long customers waited.

Counts are kept in accounts, like money, so that counting never makes two decisions conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, TypedDict

from services.compensation.authority.rules import ceiling_of
from services.compensation.authority.windows import windows_of
from shared.contracts.compensation import (
    AuthorityCounted,
    AuthorityOpened,
    CaseOpened,
    CheckIssued,
    Scope,
    WindowClosed,
    WindowOpened,
)
from shared.contracts.policy import Policy
from shared.kernel import Document, Fold, Posting, Slice, Timer

#: The windows that are counted, and the timer that each ends with.
TIMERS = {
    Scope.EMPLOYEE_DAY: "window",
    Scope.EMPLOYEE_SHIFT: "shift",
    Scope.EMPLOYEE_WEEK: "week",
}


COMPLAINTS, WITH_CHECK, CHECKS, WAITED = "complaints", "with-check", "checks", "waited-s"


TALLIES = (COMPLAINTS, WITH_CHECK, CHECKS, WAITED)


class OpenWindow(Document):
    """The day, shift or week of authority that is counted next; those before it were counted."""

    KIND: ClassVar[str] = "window"

    #: The window's name, also of a shift or week; stores know it as `day`, which was counted first.
    day: str
    #: None while no role has a ceiling for it.
    until: datetime | None = None


class Use(TypedDict):
    """What employees could give and gave."""

    employees: int
    employees_idle: int
    ceiling_minor: int
    used_minor: int


def open_window_id(site: str, scope: Scope) -> str:
    """The id of the document; no site's name contains a bar."""
    return site if scope is Scope.EMPLOYEE_DAY else f"{site}|{scope}"


def tally(site: str, day: str, what: str) -> str:
    """The account of a count."""
    return f"tally/{site}/{day}/{what}"


def complaint_counted(fact: CaseOpened) -> Sequence[Posting]:
    """Postings that count a complaint in its day."""
    return [Posting(tally(fact.site, fact.day, COMPLAINTS), 1)]


def check_counted(fact: CheckIssued) -> Sequence[Posting]:
    """Postings that count a check in its day; for a complaint's first, also the seconds of waiting.

    A check that is given to delight answers no complaint, and is not counted here.
    """
    if fact.day is None or fact.delight is not None:
        return ()
    counted = [Posting(tally(fact.site, fact.day, CHECKS), 1)]
    if fact.first:
        counted.append(Posting(tally(fact.site, fact.day, WITH_CHECK), 1))
        if fact.complained_at is not None:
            waited = max(0, int((fact.issued_at - fact.complained_at).total_seconds()))
            counted.append(Posting(tally(fact.site, fact.day, WAITED), waited))
    return counted


def is_counted(policy: Policy, scope: Scope) -> bool:
    """Whether a role of the site has a ceiling for the scope; every role has one for the day."""
    return any(
        authority is not None and ceiling_of(authority, scope) is not None
        for authority in policy.authority.roles.values()
    )


def has_ended(policy: Policy, scope: Scope, name: str, at: datetime) -> bool:
    """Whether a window is over at the end it was opened with, and must be counted.

    A policy published since may move that end later (the ship went west, other shifts).
    """
    return is_counted(policy, scope) and windows_of(policy, at).of(scope).id > name


def opened(
    policy: Policy, scope: Scope, at: datetime, before: OpenWindow | None
) -> Sequence[WindowOpened | AuthorityOpened]:
    """The window of a moment, to be counted next; nothing while no role has a ceiling for it.

    Names never go down, whatever a policy changes, so no window is counted twice.
    """
    if not is_counted(policy, scope):
        if before is None or before.until is None:
            return ()
        return (AuthorityOpened(site=policy.site, scope=scope, window=before.day),)
    window = windows_of(policy, at).of(scope)
    name = window.id if before is None else max(before.day, window.id)
    if scope is Scope.EMPLOYEE_DAY:
        return (WindowOpened(site=policy.site, day=name, until=window.until),)
    return (AuthorityOpened(site=policy.site, scope=scope, window=name, until=window.until),)


def window_closed(
    policy: Policy,
    day: str,
    counts: Mapping[str, int],
    employees: Sequence[tuple[int, int]],
    now: datetime,
) -> WindowClosed:
    """The day in figures; `employees` is (ceiling, used) of each, in minor units."""
    return WindowClosed(
        site=policy.site,
        day=day,
        currency=policy.currency,
        complaints=counts[COMPLAINTS],
        complaints_with_check=counts[WITH_CHECK],
        checks=counts[CHECKS],
        waited_s=counts[WAITED],
        closed_at=now,
        **_use(employees),
    )


def authority_counted(
    policy: Policy, scope: Scope, window: str, employees: Sequence[tuple[int, int]], now: datetime
) -> AuthorityCounted:
    """A shift or week in figures; `employees` is (ceiling, used) of each, in minor units."""
    return AuthorityCounted(
        site=policy.site,
        scope=scope,
        window=window,
        currency=policy.currency,
        counted_at=now,
        **_use(employees),
    )


def _use(employees: Sequence[tuple[int, int]]) -> Use:
    return {
        "employees": len(employees),
        "employees_idle": sum(used == 0 for _, used in employees),
        "ceiling_minor": sum(ceiling for ceiling, _ in employees),
        "used_minor": sum(used for _, used in employees),
    }


SLICE = Slice(
    {
        WindowOpened: (
            Fold(
                OpenWindow,
                lambda fact: open_window_id(fact.site, Scope.EMPLOYEE_DAY),
                lambda _, fact: OpenWindow(day=fact.day, until=fact.until),
            ),
        ),
        WindowClosed: (),
        AuthorityOpened: (
            Fold(
                OpenWindow,
                lambda fact: open_window_id(fact.site, fact.scope),
                lambda _, fact: OpenWindow(day=fact.window, until=fact.until),
            ),
        ),
        AuthorityCounted: (),
    },
    postings={CaseOpened: complaint_counted, CheckIssued: check_counted},
    # A window is counted when it ends.
    timers={
        WindowOpened: lambda fact: (Timer(TIMERS[Scope.EMPLOYEE_DAY], fact.site, fact.until),),
        AuthorityOpened: lambda fact: (Timer(TIMERS[fact.scope], fact.site, fact.until),),
    },
)
