"""What boards and measures show of a day, asked after each thing that happens, shows nobody's part in it."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.audit.board import handlers
from services.audit.measures.declared import MEASURES
from tests.suites.services import SITE, Aboard

#: Measures that are derived from single employees.
DERIVED = {one.name for one in MEASURES if one.employees}
#: Five who are told apart by their marks. The last two have one role, so that each can do what the other could.
FIVE = ("e-ingrid", "e-jonas", "e-lars", "e-sofia", "e-aino")


class Shown(NamedTuple):
    """One value that somebody was shown, and of which days it is."""

    measure: str
    part: str
    first: str
    last: str
    value: float | None


class Watcher:
    """A script that asks for everything again and again, and keeps every answer."""

    def __init__(self, aboard: Aboard) -> None:
        self._aboard = aboard
        self.answers: list[Any] = []
        self.shown: list[Shown] = []

    async def look(self, *days: date) -> None:
        """Ask for the board, for the group, and for the measures of today and of these days."""
        aboard = self._aboard
        await aboard.carry()
        reader = aboard.bearer("m-hotel", "manager")
        async with aboard.http("audit", reader) as asked:
            board = (await asked.get(f"/v1/board/{SITE}")).json()
            group = (await asked.get("/v1/board")).json()
            assert group == {"boards": [board], "without_policy": []}
            for name in ("today", "under_use", "over_use", "roi"):
                for one in board[name]:
                    days_of = one["first_day"], one["last_day"]
                    number = one["amount_minor"] if one["currency"] else one["value"]
                    self.shown.append(Shown(one["measure"], one["part"], *days_of, number))
            today = aboard.clock().date()
            first, last = (days[0], days[-1]) if days else (today, today)
            path = f"/v1/measures?from={first}&to={last}"
            table = (await asked.get(path, headers={"Accept": "text/csv"})).text
            for row in csv.DictReader(io.StringIO(table)):
                number = row["amount_minor"] if row["currency"] else row["value"]
                value = float(number) if number else None
                self.shown.append(Shown(row["measure"], row["part"], f"{first}", f"{last}", value))
        self.answers.append((board, table))

    def derived(self) -> dict[tuple[str, str, str, str], set[float]]:
        """Values derived from employees: all that were shown of the same thing."""
        found: dict[tuple[str, str, str, str], set[float]] = defaultdict(set)
        for one in self.shown:
            if one.measure in DERIVED and one.value is not None:
                found[one[:4]].add(one.value)
        return found


class Day:
    """Employees at work, with a script that watches."""

    def __init__(self, aboard: Aboard) -> None:
        self.aboard = aboard
        self.watcher = Watcher(aboard)
        self._numbers = count()

    async def gives(self, employee: str, *items: str) -> None:
        """An employee gives these, one after the other, for one complaint."""
        number = next(self._numbers)
        complaint = await self.aboard.raise_complaint(number, customer=f"guest-{number}")
        for step, item in enumerate(items):
            await self.aboard.give(complaint, item, f"k{number}-{step}", employee)
            await self.watcher.look()
        self.aboard.later(minutes=1)

    async def stretches(self, employee: str) -> None:
        """An employee gives all that they may, then some more by a stretch, and then hits the limit."""
        await self.gives(employee, *["taxfree-card/100000"] * 2, *["taxfree-card/50000"] * 3)

    async def ends(self) -> date:
        """The day is over, and looked at every four hours until it is closed for good; it is the first of two."""
        day = self.aboard.clock().date()
        while (self.aboard.clock().date() - day).days < 2:
            self.aboard.later(hours=4)
            await self.aboard.ring("compensation")
            await self.watcher.look(day)
        return day


@pytest.fixture
def unkept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is read anew, so that nothing is the same because it was kept."""
    monkeypatch.setattr(handlers, "PAST_KEPT_S", 0.0)


async def at_work(folder: Path) -> Day:
    return Day(await Aboard(folder, recording=True).begin())


async def a_day(folder: Path, ordinary: Sequence[str], stretching: Sequence[str]) -> Day:
    day = await at_work(folder)
    for employee in ordinary:
        await day.gives(employee, "taxfree-card/20000")
    for employee in stretching:
        await day.stretches(employee)
    return day


@pytest.mark.usefixtures("unkept")
async def test_of_four_employees_nothing_is_ever_shown_that_is_derived_from_them(tmp_path: Path):
    day = await a_day(tmp_path / "a", FIVE[:3], FIVE[3:4])
    await day.ends()
    assert day.watcher.derived() == {}


@pytest.mark.usefixtures("unkept")
async def test_of_one_who_joins_during_the_day_no_two_answers_show_the_part(tmp_path: Path):
    """INV-13: while the day goes on there is nothing to subtract, and afterwards one value, of all together."""
    day = await a_day(tmp_path / "a", FIVE[:4], ())
    await day.stretches(FIVE[4])
    assert day.watcher.derived() == {}
    await day.ends()
    found = day.watcher.derived()
    assert {measure for measure, *_ in found} >= {"limit_hit_rate", "stretch_rate"}
    assert all(len(values) == 1 for values in found.values()), found


@pytest.mark.usefixtures("unkept")
async def test_a_day_of_four_is_no_difference_between_two_periods(tmp_path: Path):
    day = await a_day(tmp_path / "a", FIVE[:3], FIVE[3:4])
    first = await day.ends()
    for employee in FIVE:
        await day.gives(employee, "taxfree-card/20000")
    second = await day.ends()
    await day.watcher.look(second)
    await day.watcher.look(first, second)
    both = {
        (one.measure, one.part): one.value
        for one in day.watcher.shown
        if one.measure in DERIVED and (one.first, one.last) == (f"{first}", f"{second}")
    }
    alone = {
        (one.measure, one.part): one.value
        for one in day.watcher.shown
        if one.measure in DERIVED and (one.first, one.last) == (f"{second}", f"{second}")
    }
    assert any(value is not None for value in both.values())
    assert both == {name: alone[name] for name in both}


@pytest.mark.usefixtures("unkept")
async def test_who_of_five_did_what_makes_no_difference_to_any_answer(tmp_path: Path):
    days = []
    for number, order in enumerate((FIVE, (*FIVE[:3], *FIVE[:2:-1]))):
        day = await a_day(tmp_path / f"{number}", order[:4], order[4:])
        await day.ends()
        days.append(day)
    one, other = (day.watcher.answers for day in days)
    assert _without_ids(one) == _without_ids(other)


def _without_ids(answers: Sequence[Any]) -> list[Any]:
    """Answers without the ids of complaints, which are made anew for each history."""
    return [
        (
            {
                **board,
                "promises": {
                    name: [{**one, "complaint_id": ""} for one in part]
                    if isinstance(part, list)
                    else part
                    for name, part in board["promises"].items()
                },
            },
            table,
        )
        for board, table in answers
    ]
