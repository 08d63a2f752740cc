"""Stretches that may be praised: listed for those who read the figures of the site, without who gave them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.audit.measures import privacy
from services.audit.stretches import handlers
from shared.contracts.catalogue import AUDIT
from shared.contracts.compensation import CheckIssued, CheckPraised
from tests.suites.described import undescribed
from tests.suites.services import SITE, Aboard
from tests.suites.signals import Telling, day_of, issued, moment, voided
from tests.unit.test_measures import distinct


@pytest.fixture
async def aboard(tmp_path: Path) -> Any:
    found = await Aboard(tmp_path).begin()
    found.clock.moment = moment(0, hours=10)
    yield found
    assert undescribed(found) == []


def stretched(name: str, who: str, day: int = 0, **changes: Any) -> CheckIssued:
    at = moment(day, hours=6)
    return issued(name, who, day, at, explain_by=at + timedelta(days=1), **changes)


def a_day(day: int, employees: int) -> list[CheckIssued]:
    """Employees who each give something within their ceilings."""
    return [issued(f"d{day}-{who}", f"e-{who}", day) for who in distinct(employees)]


def closed(aboard: Aboard, day: int = 0) -> None:
    aboard.clock.moment = privacy.shown_from(moment(day).date())


async def listed(aboard: Aboard, query: str = "", status: int = 200) -> Any:
    async with aboard.http(AUDIT, aboard.bearer("m-1", "manager")) as asked:
        answer = await asked.get(f"/v1/stretches{query}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def names(aboard: Aboard) -> list[str]:
    return [one["check_id"] for one in (await listed(aboard))["stretches"]]


async def test_a_stretch_is_listed_when_its_day_is_closed_and_without_who_gave_it(aboard: Aboard):
    who = f"e-{distinct(1)[0]}"
    given = stretched("s", who, cost_minor=500_00, value_minor=500_00)
    await Telling(aboard).tell(*a_day(0, 5), given)
    assert await names(aboard) == []
    closed(aboard)
    found = await listed(aboard)
    assert found == {
        "site": SITE,
        "stretches": [
            {
                "check_id": "ck-s",
                "day": day_of(0),
                "reason": "food",
                "value_minor": 500_00,
                "cost_minor": 500_00,
                "currency": "NOK",
                "praised_at": None,
            }
        ],
    }
    assert "em-" not in str(found)


async def test_of_a_day_of_four_employees_no_stretch_is_listed(aboard: Aboard):
    """INV-13: it would be of one of four."""
    telling = Telling(aboard)
    await telling.tell(*a_day(0, 3), stretched("few", f"e-{distinct(4)[3]}"))
    await telling.tell(*a_day(1, 5), stretched("many", f"e-{distinct(5)[0]}", 1))
    closed(aboard, 1)
    assert await names(aboard) == ["ck-many"]


async def test_what_was_praised_says_so_and_what_was_taken_back_is_not_listed(aboard: Aboard):
    telling, who = Telling(aboard), f"e-{distinct(1)[0]}"
    await telling.tell(*a_day(0, 5), stretched("a", who), stretched("b", who), stretched("c", who))
    closed(aboard)
    praise = CheckPraised(
        check_id="ck-a", site=SITE, employee_id=who, by="m-1", praised_at=aboard.clock()
    )
    await telling.tell(praise, voided("b", who, aboard.clock()))
    found = (await listed(aboard))["stretches"]
    assert [(one["check_id"], one["praised_at"] is None) for one in found] == [
        ("ck-a", False),
        ("ck-c", True),
    ]


async def test_the_latest_days_are_listed_and_so_many_at_most(
    aboard: Aboard, monkeypatch: pytest.MonkeyPatch
):
    telling, who = Telling(aboard), f"e-{distinct(1)[0]}"
    for day in (0, 1):
        await telling.tell(*a_day(day, 5), stretched(f"s{day}", who, day))
    closed(aboard, 1)
    assert await names(aboard) == ["ck-s1", "ck-s0"]
    monkeypatch.setattr(handlers, "LISTED_MAX", 1)
    assert await names(aboard) == ["ck-s1"]
    monkeypatch.setattr(handlers, "LISTED_MAX", 50)
    closed(aboard, handlers.RECENT_DAYS)
    assert await names(aboard) == ["ck-s1"]


async def test_praise_of_a_check_that_audit_never_heard_of_is_listed_nowhere(aboard: Aboard):
    at = aboard.clock()
    fact = CheckPraised(check_id="ck-x", site=SITE, employee_id="e-1", by="m-1", praised_at=at)
    await Telling(aboard).tell(*a_day(0, 5), fact)
    closed(aboard)
    assert await names(aboard) == []


async def test_stretches_of_a_site_that_is_not_the_callers_are_not_there(aboard: Aboard):
    assert (await listed(aboard, "?site=ms-borealis", 404))["type"] == "unknown_site"
    assert (await listed(aboard, f"?site={SITE}"))["stretches"] == []
