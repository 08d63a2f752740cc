"""The roster file: what is accepted, the line of each mistake, and who is no longer active."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from services.compensation.staff.rules import on_shift
from shared.contracts.hours import Weekday
from shared.contracts.roster import Employee, EmployeeListed, Listing, Roster
from shared.ops.__main__ import app
from shared.ops.roster import (
    FILE_BYTES_MAX,
    BrokenRoster,
    listed,
    load,
    no_longer_active,
    publish,
)
from shared.runtime.strict_yaml import Problem
from tests.suites.services import demo_policy, demo_roster

DEMO = Path(__file__).parents[2] / "policy/roster.yaml"
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)
NOWHERE = "nowhere.invalid:1"
GOOD = """\
site: ms-aurora
employees:
  e-1: {role: deck}
  e-2:
    role: reception
    languages: [nb, en]
    shift: {days: [mon, sun], starts: "22:00", ends: "06:00"}
  e-3: {role: deck, active: false}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "roster.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(tmp_path: Path, text: str) -> list[Problem]:
    found = load(written(tmp_path, text))
    assert isinstance(found, list)
    return found


def roster(*names: str, site: str = "ms-aurora") -> Roster:
    return Roster(site=site, employees={name: Listing(role="deck") for name in names})


def known(name: str, *, site: str = "ms-aurora", at: datetime = BEFORE, active: bool = True):
    listing = Listing(role="reception", active=active)
    return EmployeeListed(employee_id=name, site=site, listing=listing, listed_at=at)


def test_a_roster_is_read_with_shifts_over_midnight_and_every_day_unless_days_are_named(
    tmp_path: Path,
) -> None:
    found = load(written(tmp_path, GOOD.replace("days: [mon, sun], ", "")))
    assert isinstance(found, Roster)
    shift = found.employees["e-2"].shift
    assert shift is not None
    assert shift.days == tuple(Weekday)
    assert shift.ends < shift.starts
    assert [one.active for one in found.employees.values()] == [True, True, False]


def test_the_demo_roster_is_of_the_demo_policys_site_and_only_has_roles_it_knows() -> None:
    policy, found = demo_policy(), demo_roster()
    assert found.site == policy.site
    assert {one.role for one in found.employees.values()} <= set(policy.authority.roles)
    assert {"e-ingrid", "e-jonas", "e-sofia", "e-lars"} < set(found.employees)


def test_aboard_everybody_has_a_colleague_on_shift_at_every_hour_of_the_week() -> None:
    zone = ZoneInfo(demo_policy().timezone)
    crew = {
        name: Employee(site="ms-aurora", listing=listing, listed_at=BEFORE)
        for name, listing in demo_roster().employees.items()
    }
    for hour in range(7 * 24):
        there = {n for n, one in crew.items() if on_shift(one, zone, NOW + timedelta(hours=hour))}
        assert all(there - {name} for name in crew)


CASES = {
    "a misspelt role": ("role: deck", "rolle: deck", "employees.e-1.rolle: is not a known field"),
    "nobody's role": ("{role: deck}", "{active: true}", "employees.e-1.role: is missing"),
    "a language of tomorrow": (
        "languages: [nb, en]",
        "languages: [nb, fi]",
        "employees.e-2.languages.1: must be one of 'nb', 'sv', 'da' or 'en', got \"fi\"",
    ),
    "a day in full": ("[mon, sun]", "[monday]", "employees.e-2.shift.days.0: must be one of 'mon'"),
    "no day at all": ("[mon, sun]", "[]", "employees.e-2.shift.days: tuple should have at least 1"),
    "a time without a colon": (
        'starts: "22:00"',
        "starts: 22",
        'employees.e-2.shift.starts: must be a time of day like "06:00", got 22',
    ),
    "a shift without an end": (', ends: "06:00"', "", "employees.e-2.shift.ends: is missing"),
    "a shift of no time": (
        'ends: "06:00"',
        'ends: "22:00"',
        'employees.e-2.shift.ends: must differ from starts, got "22:00:00"',
    ),
    "a shift with a zone": (
        'starts: "22:00"',
        'starts: "22:00Z"',
        "employees.e-2.shift.starts: must be a local time without a zone",
    ),
    "active or so": ("active: false", "active: perhaps", "employees.e-3.active: "),
    "an employee twice": (
        "  e-3: ",
        "  e-1: ",
        "employees.e-1: stands here twice, first in line 3",
    ),
    "a name for an id": ("  e-1: ", "  Kari Nordmann: ", "employees.Kari Nordmann: string should"),
    "no site": ("site: ms-aurora", "sight: ms-aurora", "site: is missing"),
    "a policy for a roster": (
        "employees:",
        "currency: NOK\nemployees:",
        "currency: is not a known",
    ),
    "an alias": ("site: ms-aurora", "site: *x", "aliases are not used here"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_is_one_line_at_its_place(name: str, tmp_path: Path) -> None:
    old, new, expected = CASES[name]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = [
        it
        for it in problems(tmp_path, text)
        if f"{it.pointer}: {it.message}".removeprefix(": ").startswith(expected)
    ]
    assert len(found) == 1
    assert "\n" not in found[0].message
    if new.strip() and "missing" not in expected and name != "an employee twice":
        assert found[0].line == text[: text.index(new)].count("\n") + 1


def test_all_mistakes_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = GOOD.replace("role: deck}", "role: [deck]}").replace("languages: [nb", "languages: [no")
    found = problems(tmp_path, text.replace("active: false", "active: 0"))
    assert [(it.line, it.pointer) for it in found] == [
        (3, "employees.e-1.role"),
        (6, "employees.e-2.languages.0"),
        (8, "employees.e-3.active"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("site: ms-aurora\nemployees: {}\n", "dictionary should have at least 1 item"),
        ("- e-1\n", "must be fields with values"),
        ("a" * (FILE_BYTES_MAX + 1), "is larger than"),
    ],
)
def test_what_is_no_roster_at_all_is_said_in_one_line(
    text: str, message: str, tmp_path: Path
) -> None:
    assert any(it.message.startswith(message) for it in problems(tmp_path, text))


def test_everybody_in_the_file_is_listed_also_those_it_says_are_not_active(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD))
    assert isinstance(found, Roster)
    facts = listed(found, NOW)
    assert [(fact.employee_id, fact.site, fact.listing.active) for fact in facts] == [
        ("e-1", "ms-aurora", True),
        ("e-2", "ms-aurora", True),
        ("e-3", "ms-aurora", False),
    ]
    assert {fact.listed_at for fact in facts} == {NOW}


def test_who_is_no_longer_in_the_file_is_no_longer_active_and_keeps_the_rest() -> None:
    (gone,) = no_longer_active(roster("e-1"), [known("e-1"), known("e-2")], NOW)
    assert gone == EmployeeListed(
        employee_id="e-2",
        site="ms-aurora",
        listing=Listing(role="reception", active=False),
        listed_at=NOW,
    )


def test_who_works_elsewhere_or_left_before_is_left_alone() -> None:
    others = [known("e-2", site="ms-borealis"), known("e-3", active=False)]
    assert no_longer_active(roster("e-1"), others, NOW) == []


@pytest.mark.parametrize("backwards", [False, True])
def test_of_several_listings_the_newest_counts_in_whatever_order_they_are_read(
    backwards: bool,
) -> None:
    namesake = [known("e-2", at=BEFORE), known("e-2", site="ms-borealis", at=NOW)]
    found = no_longer_active(roster("e-1"), namesake[:: -1 if backwards else 1], NOW)
    assert [(fact.employee_id, fact.site) for fact in found] == [("e-2", "ms-aurora")]
    back = [known("e-2", at=BEFORE, active=False), known("e-2", at=NOW)]
    found = no_longer_active(roster("e-1"), back[:: -1 if backwards else 1], NOW)
    assert [fact.employee_id for fact in found] == ["e-2"]


def test_publishing_a_broken_file_says_every_line_and_touches_no_broker(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("role: deck", "rolle: deck"))
    with pytest.raises(BrokenRoster) as caught:
        publish(path, NOWHERE)
    lines = str(caught.value).splitlines()
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in lines] == ["3"] * 2 + [
        "8"
    ] * 2


def test_the_check_says_how_many_or_every_problem_with_status_one(tmp_path: Path) -> None:
    good = CliRunner().invoke(app, ["roster", "check", str(DEMO)])
    assert (good.exit_code, good.stdout) == (0, f"{DEMO}: ms-aurora, 7 employees, no problems\n")
    path = written(tmp_path, GOOD.replace("{role: deck}", "{}"))
    for command in (["check", str(path)], ["publish", str(path), "--bootstrap", NOWHERE]):
        bad = CliRunner().invoke(app, ["roster", *command])
        assert (bad.exit_code, bad.stderr) == (1, f"{path}:3: employees.e-1.role: is missing\n")


def test_the_help_says_that_the_file_is_the_whole_roster() -> None:
    answer = CliRunner().invoke(app, ["roster", "publish", "--help"])
    assert "employees who are not in it are no longer active" in " ".join(answer.stdout.split())
