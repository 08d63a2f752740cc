"""A real browser at web: it takes our cookies on this machine, says where its requests come from, and forgets at a sign-out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from devstack.stack import Stack
from tests.suites.web import Web, serving

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A request of the page that the browser shows: status and text.
ASK = """async ([method, url]) => {
  const answer = await fetch(url, {method});
  return [answer.status, await answer.text()];
}"""
#: The same without being allowed to read the answer, as any page of the world may.
SEND = "async ([method, url]) => { await fetch(url, {method, mode: 'no-cors', credentials: 'include'}); }"


@pytest_asyncio.fixture(loop_scope="session")
async def web(stack: Stack, tmp_path: Path) -> AsyncIterator[Web]:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/index.html").write_text(
        "<!doctype html><html lang=en><title>app</title>the-face"
    )
    async with serving(stack.redis_url, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with await browser.new_context(locale="en-GB") as context:
        yield await context.new_page()


async def test_somebody_signs_in_works_and_signs_out(web: Web, page: Page) -> None:
    await page.goto(f"{web.origin}/sign-in?next=/app/give")
    await page.get_by_role("link", name="Others too").click()
    await page.get_by_role("link", name="Ingrid").click()
    await page.wait_for_url(f"{web.origin}/app/give")
    assert await page.evaluate("document.cookie") == "", "no script reads the session"
    status, told = await page.evaluate(ASK, ["POST", "/api/compensation/v1/me"])
    assert status == 200
    assert "Bearer eyJ" in told
    assert "cookie" not in web.told.requests[-1]["headers"]
    status, _ = await page.evaluate(ASK, ["POST", "/sign-out"])
    assert status == 200
    assert await page.context.cookies() == []
    status, _ = await page.evaluate(ASK, ["GET", "/session"])
    assert status == 401


async def test_a_page_of_another_origin_sends_what_is_refused(web: Web, page: Page) -> None:
    await page.goto(f"{web.origin}/sign-in?device=own")
    await page.get_by_role("link", name="Ingrid").click()
    await page.wait_for_url(f"{web.origin}/app/")
    other = await page.context.new_page()
    await other.goto(f"{web.settings.complaints_api}/v1/anything")
    for method in ("GET", "POST"):
        await other.evaluate(SEND, [method, f"{web.origin}/api/compensation/v1/me"])
    assert not [one for one in web.told.requests if one["path"] == "/v1/me"]


async def test_no_page_frames_a_face(web: Web, page: Page) -> None:
    await page.goto(f"{web.settings.complaints_api}/v1/anything")
    await page.set_content(f'<iframe src="{web.origin}/app/" name="inside"></iframe>')
    frame = page.frame("inside")
    assert frame is not None
    assert "the-face" not in await frame.content()
