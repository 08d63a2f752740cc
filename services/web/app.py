"""Builds web: lists its slices, and is the only file that knows all the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from services.web.client import Client
from services.web.pages import api as pages_api
from services.web.pages.handlers import Built
from services.web.proxy import api as proxy_api
from services.web.proxy.handlers import Proxy
from services.web.sessions import api as sessions_api
from services.web.sessions.handlers import Sessions
from services.web.sessions.issuer import Issuer
from services.web.sessions.store import SessionStore
from services.web.settings import Settings
from shared.runtime.http.face import service_api
from shared.runtime.observe import log
from shared.runtime.service import listen, utc_now
from shared.runtime.settings import tls_of
from shared.runtime.tracing import Tracer

OWNER = "web"


class App:
    """The service: it has no stream and no state but sessions."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._tracer = Tracer()
        self._stopping: asyncio.Event | None = None
        self._store = SessionStore(settings.store)
        self._services, self._outside = Client(tls_of(None)), Client(tls_of(settings.issuer_ca))
        secret = settings.client_secret
        issuer = Issuer(
            lambda: self._outside.session,
            settings.issuer_url,
            client_id=settings.client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            scope=settings.client_scope,
            back=settings.origin + sessions_api.BACK,
            now=now,
        )
        sessions = Sessions(self._store, issuer, now)
        proxy = Proxy(self._services, settings.services, settings.client_address_header)
        self.api = service_api(
            OWNER,
            "web",
            "Signs in, serves the phone app and the board, and passes requests on.",
            tracer=self._tracer,
            ready=self._ready,
        )
        for router in (
            sessions_api.routes(sessions, settings.origin),
            proxy_api.routes(proxy, sessions, settings.origin),
            pages_api.routes(Built(settings.web_dist)),
        ):
            self.api.router.routes.extend(router.routes)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until told to stop."""
        if self._settings.traces:
            from shared.runtime.otlp import otlp_spans  # noqa: PLC0415 - needs the SDK, which few have

            self._tracer.start(otlp_spans(OWNER))
        self._stopping = stopping
        servers, serving = listen(self._settings, OWNER, self.api)
        try:
            await stopping.wait()
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*serving)
            await self.close()
            log.info("stopped", service=OWNER)

    async def close(self) -> None:
        """Close all connections."""
        await self._services.close()
        await self._outside.close()
        await self._store.close()
        await self._tracer.close()

    async def _ready(self) -> Mapping[str, bool]:
        """Which parts work: services that are away answer for themselves."""
        running = self._stopping is None or not self._stopping.is_set()
        return {"running": running, "store": await self._store.answers()}


def build(settings: Settings, *, now: Callable[[], datetime] = utc_now) -> App:
    """The service, ready to run; nothing is connected yet."""
    return App(settings, now)
