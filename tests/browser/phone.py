"""An employee with the built phone app: the faces' files and the real services at one address, as `web` serves them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from joserfc.jwk import ECKey
from pydantic_core import to_json

from services.web.pages.api import HEADERS
from services.web.pages.handlers import Built
from services.web.sessions.rules import IDLE, WHOLE
from shared.testing.clock import START
from tests.browser.guest import PHONE, PICTURES, SMALL
from tests.suites.services import ROOT, Aboard
from tests.suites.web import listening, served

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Request

DIST = ROOT / "web" / "dist"
#: The size of a target for a thumb in the phone app, in CSS pixels.
TARGET_PX = 48
#: What `web` sends with the app: nothing inline, nothing from elsewhere.
POLICY = HEADERS["Content-Security-Policy"]
#: What is said of a draft that was not sent.
WAITS = "Waits for a network, not given yet"
#: What Chromium says of answers and networks that a test asked for.
ASKED_FOR = ("Failed to load resource", "net::ERR")
#: Everything that the phone keeps of drafts and of who is signed in.
STORED = """
async () => {
  const database = await new Promise(done => {
    const asked = indexedDB.open("service-check");
    asked.onsuccess = () => done(asked.result);
  });
  const stores = {};
  const text = [];
  for (const name of database.objectStoreNames) {
    const all = await new Promise(done => {
      const asked = database.transaction(name).objectStore(name).getAll();
      asked.onsuccess = () => done(asked.result);
    });
    stores[name] = all.length;
    for (const one of all) text.push(JSON.stringify(one) + new TextDecoder("latin1").decode(one.words));
  }
  database.close();
  return {stores, text, rest: JSON.stringify({...localStorage, ...sessionStorage})};
}
"""


class Front:
    """The built faces, and the services behind /api with the bearer of whoever is signed in."""

    def __init__(self, aboard: Aboard) -> None:
        self.aboard = aboard
        self._built = Built(DIST)
        self.keys: dict[str, dict[str, Any]] = {}
        #: What the bearer says beyond its subject.
        self.claims: dict[str, Any] = {}
        self.sign_in("e-ingrid")
        #: Answers that the services gave and that got lost on the way.
        self.lost = 0
        #: Services that are down, and those from which nothing arrives although no connection breaks.
        self.down: set[str] = set()
        self.silent: set[str] = set()
        #: Writes are answered from its moment on, if there is one.
        self.answers: asyncio.Event | None = None
        self._under_way: dict[asyncio.Task[None], str] = {}

    def goes_down(self, service: str) -> None:
        """From now on a service does not answer, and the answers that it has begun break off."""
        self.down.add(service)
        for task, name in self._under_way.items():
            if name == service:
                task.cancel()

    def sign_in(self, employee: str, *, shared: bool = False) -> None:
        """Somebody signs in at the device."""
        self.employee, self.signed_out = employee, False
        self.keys.setdefault(employee, ECKey.generate_key("P-256").as_dict(private=True))
        self.session = {
            "subject": employee,
            "ends_at": (self.aboard.clock() + WHOLE).isoformat(),
            "idle_s": int(IDLE.total_seconds()) if shared else None,
            "key": self.keys[employee],
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = str(scope["path"])
        if not path.startswith(("/api/", "/session")):
            await self._file(path, send)
            return
        if self.signed_out or self.session["ends_at"] <= self.aboard.clock().isoformat():
            await answer(send, 401, b"{}", "application/problem+json")
            return
        if path.startswith("/session"):
            await answer(send, 200, to_json(self.session), "application/json")
            return
        _, _, name, rest = path.split("/", 3)
        if name in self.down:
            await answer(send, 503, b"{}", "application/problem+json")
            return
        bearer = self.aboard.bearer(self.employee, **self.claims).encode()
        headers = [one for one in scope["headers"] if one[0] not in (b"cookie", b"authorization")]
        inner = {
            **scope,
            "path": f"/{rest}",
            "raw_path": f"/{rest}".encode(),
            "headers": [*headers, (b"authorization", b"Bearer " + bearer)],
        }
        if scope["method"] == "POST" and self.lost:
            self.lost -= 1
            await self.aboard.apps[name].api(inner, receive, _nothing)
            await answer(send, 503, b"{}", "application/problem+json")
            return
        if scope["method"] == "POST" and self.answers is not None:
            await self.answers.wait()
        if name in self.silent:
            while (await receive())["type"] != "http.disconnect":
                pass
            return

        async def arrives(message: Any) -> None:
            if name not in self.silent:
                await send(message)

        answering = asyncio.create_task(self.aboard.apps[name].api(inner, receive, arrives))
        self._under_way[answering] = name
        try:
            await answering
        finally:
            del self._under_way[answering]

    async def _file(self, path: str, send: Any) -> None:
        if path.startswith("/sign-in"):
            await answer(send, 200, b"<title>Sign in</title>", "text/html")
        elif (file := self._built.find(path)) is not None:
            await answer(send, 200, file.content, file.kind)
        else:
            await answer(send, 404, b"", "text/plain")


async def _nothing(_message: Any) -> None:
    """An answer that nobody gets."""


async def answer(send: Any, status: int, body: bytes, kind: str) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-security-policy", POLICY.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Somebody:
    """Somebody in front of the built phone app or board."""

    page: Page

    async def taps(self, words: str) -> None:
        """Tap what has these words."""
        await self.page.locator("a, button, label", has_text=words).first.click()

    async def sees(self, words: str) -> None:
        """Wait until these words are on the screen."""
        await self.page.get_by_text(words).first.wait_for()

    async def chooses(self, reason: str = "Food and service") -> None:
        """The first two of three taps: what happened, and the best that fits."""
        await self.taps(reason)
        await self.page.locator("a.best").click()


class Employee(Somebody):
    """One employee, their phone, and what the phone asked of the services."""

    def __init__(self, front: Front, base: str, context: BrowserContext, page: Page) -> None:
        self.front = front
        self.aboard = front.aboard
        self.base = base
        self.context = context
        self.asked: list[Request] = []
        self.said: list[str] = []
        self.attach(page)

    def attach(self, page: Page) -> None:
        """Go on with another page of the same browser."""
        self.page = page
        page.on("request", lambda one: self.asked.append(one) if "/api/" in one.url else None)
        page.on("pageerror", lambda fault: self.said.append(str(fault)))
        page.on(
            "console",
            lambda one: (
                self.said.append(one.text)
                if one.type in {"error", "warning"} and not one.text.startswith(ASKED_FOR)
                else None
            ),
        )

    @classmethod
    @asynccontextmanager
    async def with_phone(
        cls, browser: Browser, directory: Path, language: str = "en", *, recording: bool = False
    ) -> AsyncIterator[Self]:
        """The employee, until the end of the `with` block, with services of their own."""
        aboard = await Aboard(directory, recording=recording).begin()
        async with cls.at(aboard, browser, language) as one:
            yield one

    @classmethod
    @asynccontextmanager
    async def at(
        cls, aboard: Aboard, browser: Browser, language: str = "en", employee: str = "e-ingrid"
    ) -> AsyncIterator[Self]:
        """An employee, until the end of the `with` block; their phone has the time of the services."""
        front, (ours, base) = Front(aboard), listening()
        front.sign_in(employee)
        phone = await browser.new_context(viewport=PHONE, locale=language, has_touch=True)
        async with served(front, ours), phone as context:
            await context.clock.install(time=START)
            yield cls(front, base, context, await context.new_page())

    async def opens(self, screen: str = "") -> None:
        """Open the app at a screen and wait until it has asked what it shows."""
        await self.page.goto(f"{self.base}/app/#/{screen}")
        await self.page.locator("h1").wait_for()
        await self.page.wait_for_load_state("networkidle")

    async def has_it_on_the_phone(self) -> None:
        """Wait until the app opens without a network."""
        await self.page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")

    async def keeps(self, reason: str = "Food and service") -> None:
        """Give without a network, which is kept as a draft."""
        await self.chooses(reason)
        await self.taps("Keep until you are online")
        await self.sees(WAITS)

    async def later(self, **by: float) -> None:
        """Let time pass, for the services and the phone."""
        self.aboard.later(**by)
        await self.page.clock.fast_forward(int(timedelta(**by).total_seconds() * 1000))

    async def looks(self, state: str, language: str = "en") -> None:
        """Look at a screen with everybody's eyes, light and dark; raises AssertionError."""
        await self.is_readable(state, f"app-{state}-{language}")
        await self.has_targets(state, TARGET_PX - 0.5)
        await self.is_no_wider(state, PHONE["width"])
        await self.says_nothing_wrong(state)

    async def is_readable(self, state: str, picture: str, *, whole: bool = False) -> None:
        """Axe finds nothing, light and dark; takes pictures, of the `whole` page or of what the screen shows."""
        from axe_playwright_python.async_playwright import Axe

        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            found = await Axe().run(self.page)
            assert found.response["violations"] == [], f"{state}: {found.generate_report()}"
            if PICTURES:
                where = Path(PICTURES) / f"{picture}-{scheme}.png"
                await self.page.screenshot(path=where, full_page=whole)

    async def has_targets(self, state: str, least_px: float) -> None:
        """Whatever is tapped is large enough; a box that is ticked has its label around it."""
        small = await self.page.evaluate(SMALL, least_px)
        assert [one for one in small if "<input" not in one] == [], f"{state}: {small}"

    async def is_no_wider(self, state: str, width_px: int) -> None:
        """Nothing makes a reader scroll sideways."""
        width = await self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= width_px, f"{state}: {width} px wide"

    async def says_nothing_wrong(self, state: str) -> None:
        """No value is missing in the words, and the browser has nothing to say."""
        text = await self.page.locator("#app").inner_text()
        assert "undefined" not in text
        assert "NaN" not in text
        assert self.said == [], state

    async def given(self) -> list[dict[str, Any]]:
        """The checks that were given, by the service's own facts."""
        facts = await self.aboard.facts("compensation")
        return [one for one in facts if one["type"] == "recovery.check.issued.v1"]
