"""A guest with a phone: opens pages, fills in forms, and looks at each page as everybody must be able to use it.

The phone runs no scripts. A second browser context runs them, for axe and to measure: it is given the same page as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shared.contracts.complaints import Language
from shared.runtime.http.pages import PAGE_HEADERS
from shared.runtime.words import say
from tests.suites.services import Aboard

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page, Response

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
#: The narrowest page that WCAG 2.2 wants to be read without scrolling sideways (1.4.10), in CSS pixels.
NARROW = {"width": 320, "height": 568}
#: The size of a target for a thumb, in CSS pixels (WCAG 2.2, 2.5.5).
TARGET_PX = 44
#: A folder for pictures of all pages, light and dark, on phone and desktop; none are taken without.
PICTURES = os.environ.get("PICTURES")
#: What Chromium says of an answer that is no success: it is what the test asked for.
ANSWERED = "Failed to load resource: the server responded with a status of"
SMALL = """
size => [...document.querySelectorAll('a, button, input, textarea, summary')]
  .filter(one => one.type !== 'hidden' && one.checkVisibility())
  .map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
  .filter(([_, box]) => box.width < size || box.height < size)
  .map(([text, box]) => `${text}: ${box.width} x ${box.height}`)
"""


class Guest:
    """One customer of an `Aboard`, and their phone."""

    def __init__(
        self, aboard: Aboard, base: str, phone: Page, measured: Page, language: Language
    ) -> None:
        self.aboard = aboard
        self.base = base
        self.phone = phone
        self.language = language
        self._measured = measured
        self._said: list[str] = []
        phone.on("console", self._heard)
        phone.on("pageerror", lambda error: self._said.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(ANSWERED):
            self._said.append(message.text)

    @classmethod
    @asynccontextmanager
    async def with_phone(
        cls, browser: Browser, aboard: Aboard, base: str, language: Language
    ) -> AsyncIterator[Self]:
        """The guest, until the end of the `with` block; their phone speaks their language."""
        phone = await browser.new_context(
            viewport=PHONE, java_script_enabled=False, locale=language
        )
        measured = await browser.new_context(viewport=PHONE)
        try:
            yield cls(aboard, base, await phone.new_page(), await measured.new_page(), language)
        finally:
            await measured.close()
            await phone.close()

    async def opens(self, path: str) -> Response:
        """Open a link."""
        response = await self.phone.goto(self.base + path)
        assert response is not None
        return response

    async def presses(self, words: str | re.Pattern[str]) -> Response:
        """Press a button, or follow a link, and wait for the page that comes."""
        button = self.phone.locator("button, a").filter(has_text=words).first
        async with self.phone.expect_response(
            lambda answer: answer.request.is_navigation_request() and answer.status != 303
        ) as found:
            await button.click()
        await self.phone.wait_for_load_state()
        return await found.value

    async def unfolds(self, words: str) -> None:
        """Open a part of the page that is folded."""
        await self.phone.locator("summary").filter(has_text=words).click()

    async def text(self) -> str:
        """What the page says, with the spaces that a reader sees."""
        text = await self.phone.locator("main").inner_text()
        return re.sub(r"[\s\u00a0\u202f]+", " ", text)

    async def sees(self, state: str, response: Response, status: int = 200) -> None:
        """Look at the page of one state with everybody's eyes."""
        assert response.status == status, state
        headers = await response.all_headers()
        for name, value in PAGE_HEADERS.items():
            assert headers[name.lower()] == value, state
        assert "script-src" not in headers["content-security-policy"]
        assert await self.phone.locator("html").get_attribute("lang") == self.language, state
        await self._has_a_title(state)
        await self._leads_to_the_errors(state)
        await self._is_for_everybody(state)
        assert self._said == [], state

    async def _has_a_title(self, state: str) -> None:
        title, heading = await self.phone.title(), await self.phone.locator("h1").inner_text()
        assert heading in title, state
        wrong = await self.phone.locator(".errors").count()
        assert title.startswith(say(self.language, "errors.prefix") + ":") == bool(wrong), state

    async def _leads_to_the_errors(self, state: str) -> None:
        """Each error is a link to its part of the page, and a field among those has the focus then."""
        for link in await self.phone.locator(".errors a").all():
            part = (await link.get_attribute("href") or "").removeprefix("#")
            field = self.phone.locator(f"[id='{part}']")
            assert await field.count() == 1, f"{state}: {part}"
            await link.press("Enter")
            if await field.evaluate("one => one.matches('input, textarea')"):
                assert await field.evaluate("one => one === document.activeElement"), state
                assert await field.get_attribute("aria-invalid") == "true", state
            else:
                assert await field.evaluate("one => one.matches(':target')"), state

    async def _is_for_everybody(self, state: str) -> None:
        from axe_playwright_python.async_playwright import Axe

        page = self._measured
        await page.set_viewport_size(PHONE)
        await page.set_content(await self.phone.content())
        await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found = await Axe().run(page)
        assert found.response["violations"] == [], f"{state}: {found.generate_report()}"
        small = await page.evaluate(SMALL, TARGET_PX)
        assert small == [], f"{state}: {small}"
        await page.set_viewport_size(NARROW)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW["width"], f"{state}: {width} px wide"
        if PICTURES:
            await self._pictured(page, Path(PICTURES), f"{state}-{self.language}")

    async def _pictured(self, page: Page, folder: Path, name: str) -> None:
        await page.set_content(await self.phone.content())
        for size, viewport in (("phone", PHONE), ("desktop", DESKTOP)):
            await page.set_viewport_size(viewport)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                where = folder / f"{name}-{size}-{scheme}.png"
                await page.screenshot(path=where, full_page=True)
        await page.emulate_media(color_scheme="light")
