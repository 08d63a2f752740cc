"""A manager with the built board: on a desktop and on a phone, live from the real services."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from shared.contracts.complaints import Language
from shared.runtime.words import say
from tests.browser.guest import DESKTOP, NARROW, PHONE, TARGET_PX
from tests.browser.phone import Employee
from tests.suites.services import SITE

if TYPE_CHECKING:
    from playwright.async_api import Browser


class Manager(Employee):
    """One manager, their screen, and what it asked of the services."""

    @classmethod
    @asynccontextmanager
    async def at_a_screen(
        cls, browser: Browser, directory: Path, language: str = "en"
    ) -> AsyncIterator[Self]:
        """The manager, until the end of the `with` block; everything that happens is recorded."""
        async with cls.with_phone(browser, directory, language, recording=True) as one:
            one.front.sign_in("m-maria")
            one.front.claims = {"kind": "manager"}
            await one.page.set_viewport_size(DESKTOP)
            yield one

    async def opens(self, screen: str = "now") -> None:
        """Open the board at a view, and wait until it is live."""
        await self.page.goto(f"{self.base}/board/#/{screen}")
        await self.is_live()

    async def comes_back(self, **after: float) -> None:
        """Let more time pass than a session is long, and sign in again."""
        await self.later(**after)
        self.front.sign_in(self.front.employee)

    async def scrolls(self) -> None:
        """Read on, and wait until the page has noticed it."""
        await self.page.mouse.move(200, 200)
        await self.page.mouse.wheel(0, 100)
        await self.page.wait_for_function("Date.now() - Number(localStorage.used) < 60_000")

    async def is_live(self) -> None:
        """Wait until the board says that its numbers are of now."""
        language = await self.page.locator("html").get_attribute("lang")
        await self.page.locator(".pill", has_text=say(language or "en", "board.live")).wait_for()

    async def shows(self, title: str, number: str) -> None:
        """Wait until this number stands under a title."""
        tile = self.page.locator(".tile", has_text=title)
        await tile.locator(".number", has_text=re.compile(f"^{re.escape(number)}$")).wait_for()

    async def board(self) -> dict[str, Any]:
        """What the service says that the board shows."""
        bearer = self.aboard.bearer("m-maria", "manager")
        async with self.aboard.http("audit", bearer) as asked:
            found: dict[str, Any] = (await asked.get(f"/v1/board/{SITE}")).json()
        return found

    async def measures(self, name: str, query: str = "", days: int = 0) -> dict[str, float]:
        """What the service says of a measure by its parts: of today, or of so many days that are over."""
        today = self.aboard.clock().date()
        over = today - timedelta(days=1 if days else 0)
        first = today - timedelta(days=days)
        path = f"/v1/measures?measure={name}&from={first}&to={over}&{query}"
        async with self.aboard.http("audit", self.aboard.bearer("m-maria", "manager")) as asked:
            found = (await asked.get(path)).json()
        return {one["part"]: one["value"] for one in found["leading"] + found["lagging"]}

    async def looks(self, state: str, language: str = Language.EN) -> None:
        """Look at a view with everybody's eyes: on a phone and a desktop, light and dark; raises AssertionError."""
        for size, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            await self.page.set_viewport_size(viewport)  # type: ignore[arg-type]
            await self.is_readable(state, f"board-{state}-{language}-{size}", whole=True)
            await self.has_targets(state, TARGET_PX)
        await self.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        await self.is_no_wider(state, NARROW["width"])
        await self.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
        await self.says_nothing_wrong(state)
