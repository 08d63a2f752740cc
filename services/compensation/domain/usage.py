"""Under-use, measured as seriously as over-use: what nobody gave, and how long customers waited.

Counted in accounts like money, so that counting never makes two decisions conflict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from services.compensation.domain.windows import Window
from shared.contracts.compensation import (
    CaseOpened,
    CheckIssued,
    WindowClosed,
    WindowOpened,
)
from shared.contracts.decision import Document, Fold, Posting, Timer
from shared.contracts.event import Fact

WINDOW = "window"
COMPLAINTS, WITH_CHECK, CHECKS, WAITED = "complaints", "with-check", "checks", "waited-s"
TALLIES = (COMPLAINTS, WITH_CHECK, CHECKS, WAITED)


class OpenWindow(Document):
    """The day of authority that a site is in."""

    KIND: ClassVar[str] = "window"

    day: str
    until: datetime


def tally(site: str, day: str, what: str) -> str:
    """The account of a count."""
    return f"tally/{site}/{day}/{what}"


def postings(fact: Fact) -> Sequence[Posting]:
    """What is counted of a fact."""
    if isinstance(fact, CaseOpened):
        return [Posting(tally(fact.site, fact.day, COMPLAINTS), 1)]
    if isinstance(fact, CheckIssued) and fact.day is not None:
        counted = [Posting(tally(fact.site, fact.day, CHECKS), 1)]
        if fact.first:
            counted.append(Posting(tally(fact.site, fact.day, WITH_CHECK), 1))
            if fact.complained_at is not None:
                waited = max(0, int((fact.issued_at - fact.complained_at).total_seconds()))
                counted.append(Posting(tally(fact.site, fact.day, WAITED), waited))
        return counted
    return ()


def window_opened(site: str, day: Window) -> WindowOpened:
    """The day that ends at its `until`."""
    return WindowOpened(site=site, day=day.id, until=day.until)


def window_closed(
    site: str,
    day: str,
    currency: str,
    counts: Mapping[str, int],
    employees: Sequence[tuple[int, int]],
    now: datetime,
) -> WindowClosed:
    """The day in figures; `employees` is (ceiling, used) of each, in minor units."""
    return WindowClosed(
        site=site,
        day=day,
        currency=currency,
        complaints=counts[COMPLAINTS],
        complaints_with_check=counts[WITH_CHECK],
        checks=counts[CHECKS],
        waited_s=counts[WAITED],
        employees=len(employees),
        employees_idle=sum(used == 0 for _, used in employees),
        ceiling_minor=sum(ceiling for ceiling, _ in employees),
        used_minor=sum(used for _, used in employees),
        closed_at=now,
    )


def timers(fact: Fact) -> Sequence[Timer]:
    """A day is counted when it ends."""
    if isinstance(fact, WindowOpened):
        return (Timer(WINDOW, fact.site, fact.until),)
    return ()


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    WindowOpened: (
        Fold(
            OpenWindow,
            lambda fact: fact.site,
            lambda _, fact: OpenWindow(day=fact.day, until=fact.until),
        ),
    ),
    WindowClosed: (),
}
