"""The paths that are passed on: `/api/<service>/v1/…` for who is signed in, and the pages of customers."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from services.web.proxy.handlers import Proxy
from services.web.proxy.rules import API, PAGES
from services.web.sessions.api import COOKIE, current, refuse_others
from services.web.sessions.handlers import Sessions
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import NO_STORE

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
PAGE_METHODS = ["GET", "POST"]


def routes(proxy: Proxy, sessions: Sessions, origin: str) -> APIRouter:
    """The routes that are passed on; `origin` is ours."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/api/{service}/{path:path}", methods=METHODS)
    async def api(request: Request, service: str) -> Response:
        """Pass a request on with the token of its session."""
        refuse_others(request, origin)
        path = _sent(request).removeprefix(f"/api/{service}")
        if not path.startswith(API):
            raise Rejected(Reason.UNKNOWN_ROUTE)
        session = await current(sessions, request)
        return await proxy.passed(
            request,
            service,
            path,
            token=session.tokens.access,
            goes_on=partial(sessions.still, request.cookies.get(COOKIE, "")),
            headers=NO_STORE,
        )

    async def page(request: Request) -> Response:
        """Pass a customer's page on: it has no session, and headers of its own."""
        path = _sent(request)
        # A name that was sent with escapes is none of ours, although the route took it.
        service = PAGES.get(path.split("/")[1], "")
        return await proxy.passed(request, service, path, headers={})

    for name in PAGES:
        router.add_api_route(f"/{name}/{{path:path}}", page, methods=PAGE_METHODS)
    return router


def _sent(request: Request) -> str:
    """The path as it was sent, with its escapes."""
    sent: bytes = request.scope["raw_path"]
    return sent.decode("latin-1")
