"""Sign-in, the way back from the issuer, sign-out, and who is signed in."""

from __future__ import annotations

from math import ceil
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.responses import HTMLResponse, RedirectResponse

from services.web.sessions.handlers import COOKIE_S, SIGN_IN_S, Sessions
from services.web.sessions.rules import (
    HOME,
    IDLE,
    Session,
    idle_s,
    may_read,
    may_write,
    path_of_ours,
)
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.answers import JSON, NO_STORE
from shared.runtime.http.pages import PAGE_HEADERS, Pages
from shared.runtime.observe import log
from shared.runtime.words import accepted_language, say

#: A cookie of this name is only taken from this very host, by TLS, for every path (RFC 6265bis).
COOKIE = "__Host-session"
#: What a browser that signs in shows when it comes back.
SIGN_IN_COOKIE = "__Host-sign-in"
BACK = "/sign-in/back"
#: In which a page of ours tells for how many seconds nobody has used it: its own requests are no use of a session. Who
#: tells less keeps only their own session longer.
IDLE_HEADER = "Idle-S"
#: At a sign-out: what the app kept of guests goes too.
CLEARED = {"Clear-Site-Data": '"cache", "cookies", "storage"'}

_PAGES = Pages(
    choice="""<p>{{ say("web.sign_in.device") }}</p>
<p><a href="{{ own }}">{{ say("web.sign_in.own") }}</a></p>
<p><a href="{{ shared }}">{{ say("web.sign_in.shared", minutes=minutes) }}</a></p>
""",
    away="""<p>{{ say("web.sign_in.away.why") }}</p>
<p><a href="{{ again }}">{{ say("web.sign_in.away.again") }}</a></p>
""",
    refused="""<p>{{ say("web.sign_in.refused.why") }}</p>
<p><a href="{{ again }}">{{ say("web.sign_in.refused.again") }}</a></p>
""",
)


def set_cookie(response: Response, name: str, value: str, kept_s: int | None) -> None:
    """Give a browser one of our cookies; `kept_s` of 0 takes it back, None keeps it until the browser closes."""
    response.set_cookie(
        name, value, max_age=kept_s, path="/", secure=True, httponly=True, samesite="lax"
    )


def refuse_others(request: Request, origin: str) -> None:
    """Raise Rejected for a request that may not come from where it comes from."""
    site = request.headers.get("sec-fetch-site", "")
    safe = request.method in ("GET", "HEAD")
    if not (may_read(site) if safe else may_write(site, request.headers.get("origin", ""), origin)):
        raise Rejected(Reason.CROSS_SITE)


async def current(sessions: Sessions, request: Request) -> Session:
    """The session that a request is made in; raises as `Sessions.current`."""
    idle = idle_s(request.headers.get(IDLE_HEADER, ""))
    return await sessions.current(request.cookies.get(COOKIE, ""), idle)


def routes(sessions: Sessions, origin: str) -> APIRouter:
    """The routes of sessions; `origin` is ours."""
    router = APIRouter(include_in_schema=False)

    @router.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        """Lead to the issuer; first ask whether others use the device."""
        after = path_of_ours(request.query_params.get("next", ""))
        device = request.query_params.get("device", "")
        if device not in ("own", "shared"):
            return _choice(request, after)
        try:
            url, one = await sessions.begin(after, shared=device == "shared")
        except Unavailable as away:
            return _away(request, away, "/sign-in?" + urlencode({"next": after, "device": device}))
        response = RedirectResponse(url, 303, NO_STORE)
        set_cookie(response, SIGN_IN_COOKIE, one, SIGN_IN_S)
        return response

    @router.get(BACK)
    async def back(request: Request) -> Response:
        """Take a browser that comes back from the issuer."""
        asked, cookies = request.query_params, request.cookies
        try:
            signed_in = await sessions.complete(
                cookies.get(SIGN_IN_COOKIE, ""),
                asked.get("state", ""),
                asked.get("code", ""),
                cookies.get(COOKIE, ""),
            )
        except Rejected:
            return _ended(request, "refused", 400)
        except Unavailable as away:
            # What this sign-in began with is gone: another one is needed.
            return _away(request, away, "/sign-in")
        response = RedirectResponse(signed_in.next, 303, NO_STORE)
        kept_s = None if signed_in.session.shared else COOKIE_S
        set_cookie(response, COOKIE, signed_in.id, kept_s)
        set_cookie(response, SIGN_IN_COOKIE, "", 0)
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        """End the session, or with `?everywhere=1` all of the person; `next` ends the issuer's session too."""
        refuse_others(request, origin)
        everywhere = request.query_params.get("everywhere") == "1"
        await sessions.end(request.cookies.get(COOKIE, ""), everywhere=everywhere)
        body = to_json({"next": await sessions.signed_out_url(origin + HOME)})
        response = Response(body, headers={**NO_STORE, **CLEARED}, media_type=JSON)
        set_cookie(response, COOKIE, "", 0)
        return response

    @router.get("/session")
    async def session(request: Request) -> Response:
        """Who is signed in, and until when; never a token."""
        refuse_others(request, origin)
        found = await current(sessions, request)
        return Response(to_json(_told(found)), headers=NO_STORE, media_type=JSON)

    @router.get("/session/key")
    async def key(request: Request) -> Response:
        """The same, with the key pair that opens the person's drafts, for a page that keeps it in memory."""
        refuse_others(request, origin)
        found = await current(sessions, request)
        body = {**_told(found), "key": await sessions.drafts_key(found.who)}
        return Response(to_json(body), headers=NO_STORE, media_type=JSON)

    return router


def _told(session: Session) -> dict[str, Any]:
    """What a browser is told of its session."""
    who = session.who
    return {
        "subject": who.subject,
        "kind": who.kind,
        "site": who.site,
        "name": who.name,
        "ends_at": session.ends_at.isoformat(),
        "shared": session.shared,
        "idle_s": int(IDLE.total_seconds()) if session.shared else None,
    }


def _choice(request: Request, after: str) -> Response:
    language = accepted_language(request.headers.get("accept-language", ""))
    own, shared = (
        "/sign-in?" + urlencode({"next": after, "device": device}) for device in ("own", "shared")
    )
    page = _PAGES.render(
        "choice",
        language,
        say(language, "web.sign_in.title"),
        own=own,
        shared=shared,
        minutes=int(IDLE.total_seconds()) // 60,
    )
    return HTMLResponse(page, headers=PAGE_HEADERS)


def _away(request: Request, away: Unavailable, again: str) -> Response:
    log.warning("sign_in_unavailable", reason=away.reason.value)
    response = _ended(request, "away", away.reason.status, again)
    response.headers["Retry-After"] = str(ceil(away.retry_after_s))
    return response


def _ended(request: Request, page: str, status: int, again: str = "/sign-in") -> Response:
    """A page that says why a sign-in came to its end, and leads to another one at `again`."""
    language = accepted_language(request.headers.get("accept-language", ""))
    title = say(language, f"web.sign_in.{page}.title")
    response = HTMLResponse(_PAGES.render(page, language, title, again=again), status, PAGE_HEADERS)
    set_cookie(response, SIGN_IN_COOKIE, "", 0)
    return response
