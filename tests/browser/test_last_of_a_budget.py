"""Two employees at their phones tap at once for the last of what a site may give, over a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstack.stack import Stack
from tests.browser.conftest import aboard_on
from tests.browser.phone import Employee
from tests.suites.services import demo_policy

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAPS = 100
DINNER_MINOR, CINEMA_MINOR = 480_00, 90_00
#: How many dinners are left, and how much beside them, which is enough for the cinema alone.
DINNERS, REST_MINOR = 12, 100_00
#: Opens the sheet and gives, so many times; what stood on the screen that came next.
TAP = """
async taps => {
  const until = async found => {
    for (const end = performance.now() + 20_000; ; ) {
      const what = found();
      if (what) return what;
      if (performance.now() > end) throw new Error(`nothing came: ${document.body.innerText}`);
      await new Promise(done => setTimeout(done, 5));
    }
  };
  const seen = [];
  for (let tap = 0; tap < taps; tap += 1) {
    location.hash = "#/sheet/food/dinner-for-two";
    (await until(() => document.querySelector("#note") && document.querySelector("button.primary:enabled"))).click();
    await until(() => /^#.(done|limit)/.test(location.hash));
    const given = location.hash.startsWith("#/done");
    await until(() => document.querySelector(given ? "svg.qr" : "main button.row"));
    seen.push({given, fits: [...document.querySelectorAll("main button.row b")].map(one => one.innerText)});
  }
  return seen;
}
"""


async def test_of_two_hundred_taps_for_the_last_of_a_budget_exactly_what_fits_is_given(
    built: None, browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    policy = demo_policy()
    site = policy.limits.site.model_copy(update={"per_day": DINNERS * DINNER_MINOR + REST_MINOR})
    policy = policy.model_copy(update={"limits": policy.limits.model_copy(update={"site": site})})
    async with (
        aboard_on(stack.redis_url, tmp_path, policy) as aboard,
        Employee.at(aboard, browser, employee="e-ingrid") as ingrid,
        Employee.at(aboard, browser, employee="e-noor") as noor,
    ):
        for one in (ingrid, noor):
            await one.opens()
        taps = await asyncio.gather(*(one.page.evaluate(TAP, TAPS) for one in (ingrid, noor)))
        screens: list[dict[str, Any]] = [one for employee in taps for one in employee]
        assert len(screens) == 2 * TAPS
        facts = await ingrid.given()
        assert [one["cost_minor"] for one in facts] == [DINNER_MINOR] * DINNERS
        assert sum(one["given"] for one in screens) == DINNERS
        for one in screens:
            if not one["given"]:
                assert "An evening at the cinema for two" in one["fits"]
                assert "Dinner for two" not in one["fits"]
        await ingrid.page.locator("main button.row", has_text="cinema").click()
        await ingrid.page.locator("svg.qr").wait_for()
        assert [one["cost_minor"] for one in await ingrid.given()][DINNERS:] == [CINEMA_MINOR]
        assert ingrid.said == noor.said == []
