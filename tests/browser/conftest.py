"""The customer's pages as their browser shows them: services on a real store, behind one address, and one Chromium.

Chromium's own accessibility tree, its layout and its rules for forms are what these tests are for. What the pages say
is tested without a browser, in tests/unit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from devstack import web
from devstack.stack import Stack
from shared.contracts.complaints import Language
from shared.contracts.policy import Policy
from shared.runtime.engine.redis_store import RedisStore
from tests.browser.guest import Guest
from tests.suites.services import SERVED, Aboard
from tests.suites.web import listening, served

if TYPE_CHECKING:
    from playwright.async_api import Browser

#: Nothing that a browser does for itself: no look for updates, no sync, no graphics card.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
#: What serves the pages, by the beginnings of their paths, as deploy/proxy/nginx.conf has it.
SERVES = {
    "/c/": "complaints", "/m/": "complaints", "/q/": "complaints", "/f/": "notifier", "/s/": "notifier",
    "/o/": "compensation", "/k/": "compensation",
}  # fmt: skip


def chromium() -> str:
    """The browser of this machine; skips where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium: `apt-get install chromium`, or CHROMIUM=path of one")
    return found


@pytest.fixture(scope="session")
def built() -> None:
    """The built faces; skips where npm is missing or reaches no registry, and says so."""
    if shutil.which("npm") is None:
        pytest.skip("no npm: the faces are not built; `make web` builds it")
    try:
        web.build()
    except subprocess.CalledProcessError as fault:
        if fault.cmd[-1] == "build":
            raise
        pytest.skip("npm reaches no registry: the faces are not built")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the whole run."""
    path = chromium()
    reason = "no playwright: `make setup` installs it from the lock"
    playwright = pytest.importorskip("playwright.async_api", reason=reason)
    async with playwright.async_playwright() as started:
        running = await started.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        await running.close()


class Behind:
    """All pages at one address, as behind the proxy."""

    def __init__(self, aboard: Aboard) -> None:
        self.aboard = aboard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        name = SERVES.get(scope["path"][:3], "complaints")
        await self.aboard.apps[name].api(scope, receive, send)


@asynccontextmanager
async def aboard_on(
    redis_url: str, directory: Path, policy: Policy | None = None
) -> AsyncIterator[Aboard]:
    """Services on a store of their own."""
    async with AsyncExitStack() as stack:
        shard, stores = token_hex(4), {}
        for name in SERVED:
            stores[name] = store = RedisStore(redis_url, name, shard)
            await store.open()
            stack.push_async_callback(store.close)
        yield await Aboard(directory, policy, stores=stores).begin()


@asynccontextmanager
async def open_to_guests(
    redis_url: str,
    browser: Browser,
    directory: Path,
    language: Language,
    policy: Policy | None = None,
) -> AsyncIterator[Guest]:
    """Services on a store of their own, and a guest whose phone reaches them."""
    async with aboard_on(redis_url, directory, policy) as aboard:
        ours, base = listening()
        async with (
            served(Behind(aboard), ours),
            Guest.with_phone(browser, aboard, base, language) as guest,
        ):
            yield guest


@pytest_asyncio.fixture(loop_scope="session")
async def guest(
    browser: Browser, stack: Stack, tmp_path: Path, language: Language
) -> AsyncIterator[Guest]:
    """A guest at services of their own; no store is started where there is no browser."""
    async with open_to_guests(stack.redis_url, browser, tmp_path, language) as one:
        yield one
