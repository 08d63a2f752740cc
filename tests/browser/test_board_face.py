"""The managers' board in a real browser, against the real services: it equals the measures, and says when it is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from services.audit.app import build
from services.audit.settings import Settings
from shared.contracts.complaints import Language
from shared.runtime.words import say
from tests.browser.manager import Manager
from tests.browser.phone import Employee
from tests.suites.services import settings_of_all

if TYPE_CHECKING:
    from playwright.async_api import Browser

#: Moderate, which is promised an answer in two hours.
LOUD = "The noise from the engine was terrible all night."

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def manager(built: None, browser: Browser, tmp_path: Path) -> AsyncIterator[Manager]:
    async with Manager.at_a_screen(browser, tmp_path) as one:
        yield one


async def a_day(one: Manager) -> None:
    """Three guests complain: one is given something, one has waited too long, and one waits not much longer."""
    aboard, texts = one.aboard, ("The soup was cold and nobody came.", LOUD, "Cold soup again!")
    first, _, _ = [
        await aboard.raise_complaint(number, customer=f"booking-{number}", text=text)
        for number, text in enumerate(texts)
    ]
    await one.later(minutes=8)
    await aboard.give(first, "dinner-for-two", "k")
    await one.later(hours=1, minutes=30)
    await aboard.ring("complaints")
    await aboard.carry()


async def test_the_board_equals_the_measures_and_ticks(manager: Manager) -> None:
    await manager.opens()
    await manager.shows("Given today", "0")
    await a_day(manager)
    await manager.shows("Given today", "1")
    found = await manager.board()
    shown = {(one["measure"], one["part"]): one for one in found["today"]}
    assert shown["checks_given", ""]["value"] == 1
    waited_s = shown["time_to_compensation", "p50"]["value"]
    await manager.shows("Time to first gift", f"{round(waited_s / 60)} mins")
    promises = found["promises"]
    assert [len(promises["soon"]), len(promises["broken"])] == [1, 1]
    await manager.shows("Promises at risk", "2")
    used = found["budget"]["used_minor"] // 100
    assert used
    await manager.sees(f"NOK {used:,} of NOK {found['budget']['granted_minor'] // 100:,}")
    assert manager.said == []


async def test_over_a_restart_of_audit_the_board_says_that_it_is_old_and_is_right_again(
    manager: Manager, tmp_path: Path
) -> None:
    await manager.opens()
    manager.front.goes_down("audit")
    await manager.page.locator(".pill", has_text="As of").wait_for()
    assert await manager.page.locator(".stale").count() == 1
    await manager.shows("Given today", "0")
    await a_day(manager)
    aboard = manager.aboard
    settings = Settings(**settings_of_all(tmp_path))
    aboard.apps["audit"] = build(settings, now=aboard.clock, store=aboard.stores["audit"])
    manager.front.down.clear()
    await manager.is_live()
    assert await manager.page.locator(".stale").count() == 0
    await manager.shows("Given today", "1")


async def test_a_line_that_is_silent_is_not_taken_for_live(manager: Manager) -> None:
    """A network that is gone breaks no connection: only the service's silence tells."""
    await manager.opens()
    await manager.context.set_offline(True)
    manager.front.goes_down("audit")
    await manager.page.locator(".pill", has_text="As of").wait_for()
    await manager.context.set_offline(False)
    manager.front.down.clear()
    await manager.is_live()


async def test_an_employee_is_told_that_the_board_is_for_managers(
    built: None, browser: Browser, tmp_path: Path
) -> None:
    async with Employee.with_phone(browser, tmp_path) as one:
        await one.page.goto(f"{one.base}/board/")
        await one.sees("The board is for managers.")


@pytest.mark.parametrize("language", list(Language))
async def test_every_view_is_for_everybody(
    built: None, browser: Browser, tmp_path: Path, language: Language
) -> None:
    async with Manager.at_a_screen(browser, tmp_path, language) as one:
        await one.opens()
        await one.looks("now-empty", language)
        await a_day(one)
        await one.sees(say(language, "category.noise"))
        await one.looks("now", language)
        one.front.goes_down("audit")
        await one.page.locator(".stale").wait_for()
        await one.looks("now-old", language)
