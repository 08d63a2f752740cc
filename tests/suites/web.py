"""A browser as far as sessions need one, and web with a real issuer, a real store and a service that tells what it got."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc.jwk import OKPKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from devstack.idp import Idp, Person, api
from services.web.app import App, build
from services.web.settings import Settings
from shared.runtime.http.server import http_server
from shared.testing.clock import Clock

PEOPLE = {
    "e-ingrid": Person("e-ingrid", "employee", "ms-aurora", "Ingrid", "reception"),
    "e-jonas": Person("e-jonas", "employee", "ms-aurora", "Jonas", "cabin-crew"),
}
SESSION, SIGN_IN = "__Host-session", "__Host-sign-in"


class Told:
    """A service that answers with what it got, and keeps it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.saying = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/v1/live", self._live),
                Route(
                    "/{path:path}", self._told, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
                ),
            ]
        )

    async def _told(self, request: Request) -> Response:
        told = {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        }
        self.requests.append(told)
        return JSONResponse(told, self.status, self.headers)

    async def _live(self, _: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            while True:
                yield b": here\n\n"
                await self.saying.wait()
                self.saying.clear()

        return StreamingResponse(events(), media_type="text/event-stream")


@dataclass
class Browser:
    """Cookies of one origin with their attributes, and requests as a page of that origin sends them."""

    client: httpx.AsyncClient
    cookies: dict[str, str] = field(default_factory=dict)
    #: The attributes of each cookie as it was last set.
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **given: Any
    ) -> httpx.Response:
        """One request of a page of ours; redirects are not followed."""
        named = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        if self.cookies:
            named["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.client.request(
            method, path, headers={name: value for name, value in named.items() if value}, **given
        )
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.attributes[name] = {key: value for key, value in morsel.items() if value}
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    async def get(self, path: str, **given: Any) -> httpx.Response:
        return await self.ask("GET", path, **given)

    async def post(self, path: str, **given: Any) -> httpx.Response:
        return await self.ask("POST", path, **given)


@dataclass
class Web:
    """Web on a port of this machine, with all that it needs."""

    app: App
    origin: str
    idp: Idp
    told: Told
    clock: Clock
    client: httpx.AsyncClient
    settings: Settings

    def browser(self) -> Browser:
        """A new browser."""
        return Browser(self.client)

    async def chosen(
        self, browser: Browser, subject: str = "e-ingrid", *, after: str = "", device: str = "own"
    ) -> str:
        """Begin a sign-in and choose somebody at the issuer; the path that leads back to us."""
        query = urlencode({"device": device, **({"next": after} if after else {})})
        begun = await browser.get(f"/sign-in?{query}")
        assert begun.status_code == 303, begun.text
        async with httpx.AsyncClient() as outside:
            came = await outside.get(begun.headers["location"] + f"&who={subject}")
        assert came.status_code == 303, came.text
        back = urlsplit(came.headers["location"])
        assert f"{back.scheme}://{back.netloc}" == self.origin
        return f"{back.path}?{back.query}"

    async def sign_in(self, subject: str = "e-ingrid", **given: Any) -> Browser:
        """A browser that is signed in."""
        browser = self.browser()
        path = await self.chosen(browser, subject, **given)
        came = await browser.get(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert came.status_code == 303, came.text
        return browser


@asynccontextmanager
async def served(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an app on a socket for a `with` block."""
    server = http_server(app, stop_s=1)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def listening() -> tuple[socket.socket, str]:
    """A socket that listens, and its origin as browsers name it."""
    found = socket.create_server(("127.0.0.1", 0))
    return found, f"http://127.0.0.1:{found.getsockname()[1]}"


@asynccontextmanager
async def serving(redis_url: str, dist: Path, **settings: str) -> AsyncIterator[Web]:
    """Web and its surroundings for a `with` block, over a Redis-compatible server."""
    clock, told = Clock(datetime.now(UTC)), Told()
    (ours, origin), (issuing, issuer), (answering, service) = (listening() for _ in range(3))
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    idp = Idp(issuer, origin, PEOPLE, key, now=clock)
    given = {
        "origin": origin,
        "issuer_url": issuer,
        "complaints_api": service,
        "compensation_api": service,
        "notifier_api": service,
        "audit_api": service,
        "web_dist": str(dist),
        "REDIS_URL": redis_url,
        **settings,
    }
    chosen = Settings(**given)  # type: ignore[arg-type]  # as text, as the environment has them
    app = build(chosen, now=clock)
    async with AsyncExitStack() as until:
        client = await until.enter_async_context(httpx.AsyncClient(base_url=origin, timeout=20))
        for one, sock in ((app.api, ours), (api(idp), issuing), (told.app, answering)):
            await until.enter_async_context(served(one, sock))
        until.push_async_callback(app.close)
        yield Web(app, origin, idp, told, clock, client, chosen)
