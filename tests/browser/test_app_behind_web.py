"""The built phone app as `web` serves it: a sign-in at a real issuer, three taps through the real proxy, and a sign-out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from devstack.processes import Services
from devstack.stack import Stack, free_port
from tests.browser.guest import PHONE
from tests.browser.phone import DIST, STORED, WAITS, Somebody
from tests.suites.services import ROOT, Aboard
from tests.suites.web import listening, served

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARY = "canary-of-a-guest"


class Device(Somebody):
    """A device at the counter, in front of processes of web and of an issuer, and services that are real."""

    def __init__(self, aboard: Aboard, origin: str, page: Page) -> None:
        self.aboard = aboard
        self.origin = origin
        self.page = page

    async def signs_in(self, name: str) -> None:
        """Sign in at the issuer, as somebody who shares the device."""
        await self.page.goto(f"{self.origin}/sign-in?next=/app/")
        await self.page.get_by_role("link", name="Others too").click()
        await self.page.get_by_role("link", name=name).click()
        await self.sees("What happened?")
        await self.page.wait_for_load_state("networkidle")

    async def keeps_a_draft(self) -> str:
        """Give while compensation cannot be reached; what the device keeps then, as text."""
        await self.page.route("**/api/compensation/v1/checks", lambda route: route.abort())
        await self.chooses()
        await self.page.locator("#note").fill(CANARY)
        await self.taps("Give now")
        await self.sees(WAITS)
        kept = await self.page.evaluate(STORED)
        assert kept["stores"] == {"drafts": 1}
        return str(kept)

    async def given(self) -> int:
        facts = await self.aboard.facts("compensation")
        return sum(one["type"] == "recovery.check.issued.v1" for one in facts)


async def tick(aboard: Aboard) -> None:
    """The services have the machine's time, as the issuer's process has."""
    while True:
        aboard.clock.moment = datetime.now(UTC)
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="session")
async def device(
    built: None, browser: Browser, stack: Stack, tmp_path: Path
) -> AsyncIterator[Device]:
    aboard = Aboard(tmp_path)
    ticking = asyncio.create_task(tick(aboard))
    await asyncio.sleep(0)
    await aboard.begin()
    async with AsyncExitStack() as until:
        until.callback(ticking.cancel)
        apis = {}
        for name, app in aboard.apps.items():
            found, apis[f"{name}_api"] = listening()
            await until.enter_async_context(served(app.api, found))
        processes = Services(tmp_path / "processes", {"REDIS_URL": stack.redis_url})
        until.callback(processes.stop)
        ours, issuers = free_port(), free_port()
        origin, issuer = (f"http://127.0.0.1:{port}" for port in (ours, issuers))
        processes.start(
            "idp", module="devstack.idp", port=str(issuers), issuer_url=issuer, origin=origin,
            run_directory=str(tmp_path), roster=str(ROOT / "policy" / "roster.yaml"),
        )  # fmt: skip
        processes.start(
            "web", port=str(ours), origin=origin, issuer_url=issuer, web_dist=str(DIST), **apis
        )
        for process in processes.running:
            process.wait_ready()
        context = await browser.new_context(viewport=PHONE, locale="en", has_touch=True)
        until.push_async_callback(context.close)
        yield Device(aboard, origin, await context.new_page())


async def test_three_taps_after_a_sign_in_at_the_issuer_lead_to_the_code(device: Device) -> None:
    said: list[str] = []
    device.page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    device.page.on("pageerror", lambda fault: said.append(str(fault)))
    await device.signs_in("Ingrid")
    await device.chooses()
    await device.taps("Give now")
    await device.page.locator("svg.qr").wait_for()
    assert await device.given() == 1
    assert await device.page.evaluate("document.cookie") == ""
    assert said == [], "nothing that the policy of web refuses"


async def test_a_sign_out_warns_and_leaves_nothing_of_a_guest(device: Device) -> None:
    await device.signs_in("Ingrid")
    stolen = await device.keeps_a_draft()
    assert CANARY not in stolen
    assert '"d"' not in stolen, "the half of the key that opens is not on the device"
    await device.page.goto(f"{device.origin}/app/#/me")
    await device.taps("Sign out")
    await device.sees("Sign out and lose 1 draft")
    async with device.page.expect_response("**/sign-out"):
        await device.taps("Sign out and lose 1 draft")
    await device.page.wait_for_url("**/sign-in?*")
    left = await device.page.evaluate("indexedDB.databases().then(all => all.length)")
    assert left == 0
    assert set(await device.page.evaluate("Object.keys(localStorage)")) <= {"language"}
    asked = await device.page.context.request.get(f"{device.origin}/session/key")
    assert asked.status == 401, "whoever stole the store gets no key"
    assert await device.given() == 0


async def test_another_employee_at_the_device_reads_no_draft_and_the_first_one_has_it_again(
    device: Device,
) -> None:
    await device.signs_in("Ingrid")
    await device.keeps_a_draft()
    await device.signs_in("Noor")
    await device.page.goto(f"{device.origin}/app/#/drafts")
    await device.sees("Nothing waits.")
    assert await device.page.evaluate(OPENS) == [False]
    await device.page.goto(f"{device.origin}/app/#/me")
    await device.taps("Sign out")
    await device.sees("Sign out and lose 1 draft")
    await device.page.unroute_all()
    await device.signs_in("Ingrid")
    await device.page.goto(f"{device.origin}/app/#/drafts")
    await device.sees("Show")
    assert await device.page.evaluate(OPENS) == [True]
    assert await device.given() == 1


#: For each draft on the device, whether the key of whoever is signed in opens it: what a script in the page can do.
OPENS = """
async () => {
  const {key} = await (await fetch("/session/key")).json();
  const curve = {name: "ECDH", namedCurve: "P-256"};
  const mine = await crypto.subtle.importKey("jwk", key, curve, false, ["deriveBits"]);
  const database = await new Promise(done => {
    const asked = indexedDB.open("service-check");
    asked.onsuccess = () => done(asked.result);
  });
  const all = await new Promise(done => {
    const asked = database.transaction("drafts").objectStore("drafts").getAll();
    asked.onsuccess = () => done(asked.result);
  });
  database.close();
  return Promise.all(all.map(async one => {
    const other = await crypto.subtle.importKey("jwk", one.once, curve, false, []);
    const secret = await crypto.subtle.deriveBits({name: "ECDH", public: other}, mine, 256);
    const whole = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    const how = {name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info: new TextEncoder().encode("draft")};
    const cipher = {name: "AES-GCM", length: 256};
    const opens = await crypto.subtle.deriveKey(how, whole, cipher, false, ["decrypt"]);
    return crypto.subtle.decrypt({name: "AES-GCM", iv: one.iv}, opens, one.words).then(() => true, () => false);
  }));
}
"""


async def test_a_guest_says_what_happened_at_the_same_address(device: Device) -> None:
    await device.page.goto(f"{device.origin}/c/ms-aurora/restaurant")
    await device.page.locator("#text").fill("The soup was cold, and nobody came.")
    await device.page.locator("#contact").fill("kari@example.org")
    await device.page.locator("button.yes").click()
    await device.sees("Thank you for telling us")
    assert "complaint.received" in await device.aboard.types("complaints")
