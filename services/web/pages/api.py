"""The paths of the phone app and the board."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from services.web.pages.handlers import Built, File
from services.web.sessions.rules import FACES, HOME
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.pages import PAGE_HEADERS, Pages
from shared.runtime.words import accepted_language, say

#: Scripts, styles and data from here alone and none in a page; nobody frames it, and it is alone in its window.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The camera reads a booking's or a check's code.
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
#: A year, which is the longest that caches take.
FOREVER = "public, max-age=31536000, immutable"
#: The browser asks each time whether it changed.
ASKED_EACH_TIME = "no-cache"

_PAGES = Pages(not_built="{{ super() }}")


def routes(built: Built) -> APIRouter:
    """The routes of the faces and of what they load."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home() -> Response:
        """Lead to the phone app."""
        return RedirectResponse(HOME, 303, HEADERS)

    async def face(request: Request) -> Response:
        """A file of a face, or its page."""
        path = request.url.path
        if path[1:] in FACES:
            return RedirectResponse(f"{path}/", 303, HEADERS)  # a worker's scope is a folder
        found = built.find(path)
        if found is not None:
            return _shown(request, found)
        if not built.empty:
            raise Rejected(Reason.UNKNOWN_ROUTE)
        return _not_built(request)

    for name in FACES:
        router.add_api_route(f"/{name}", face, methods=["GET"])
        router.add_api_route(f"/{name}/{{path:path}}", face, methods=["GET"])

    @router.get("/assets/{path:path}")
    async def asset(request: Request) -> Response:
        """A file that the faces share."""
        found = built.find(request.url.path)
        if found is None:
            raise Rejected(Reason.UNKNOWN_ROUTE)
        return _shown(request, found)

    return router


def _shown(request: Request, file: File) -> Response:
    headers = {
        **HEADERS,
        "Cache-Control": FOREVER if file.hashed else ASKED_EACH_TIME,
        "ETag": file.tag,
        "Vary": "Accept-Encoding",
    }
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if file.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            file.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.kind
        )
    return Response(file.content, headers=headers, media_type=file.kind)


def _not_built(request: Request) -> Response:
    language = accepted_language(request.headers.get("accept-language", ""))
    lines = [say(language, "web.not_built.why")]
    page = _PAGES.render("not_built", language, say(language, "web.not_built.title"), lines=lines)
    return HTMLResponse(page, 503, PAGE_HEADERS)
