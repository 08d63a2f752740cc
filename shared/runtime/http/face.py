"""The HTTP face's common part: problems, idempotent writes, bounds, health, metrics.

Routes stay thin: they read a command, name a decision, and say how its fact looks as an answer.
"""

from __future__ import annotations

import hmac
import io
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b, sha256
from typing import Annotated, Any

import segno
from fastapi import Depends, FastAPI, Header, Path, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.event import ID_PATTERN, trace_of
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Request, Settled, Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.auth import Authenticator, Kind, Principal
from shared.runtime.http.pages import (
    HTML,
    PAGE_HEADERS,
    page_language,
    problem_page,
    wants_page,
)
from shared.runtime.observe import REQUEST_SECONDS, REQUESTS, log, raised_at

#: A command is small; the longest complaint text in four-byte characters fits with room to spare.
BODY_BYTES_MAX = 256 * 1024
PROBLEM = "application/problem+json"
#: The form of every other answer of the API, where the document must be told of it.
JSON: dict[str, Any] = {"application/json": {"schema": {}}}
IDEMPOTENCY_KEY = Annotated[
    str, Header(alias="Idempotency-Key", description="Chosen by the client, one per wish.")
]
IF_NONE_MATCH = Annotated[
    str | None, Header(alias="If-None-Match", description="The ETag of what the client has.")
]
BEARER = HTTPBearer(auto_error=False, description="A JWT of the configured issuer.")
NO_STORE = {"Cache-Control": "no-store"}


def _header(description: str, *, always: bool = True, **schema: Any) -> dict[str, Any]:
    """A header as the document describes it: text, unless `schema` says more."""
    return {
        "description": description,
        "required": always,
        "schema": {"type": "string", **schema},
    }


#: Every header of ours that an answer may carry; the document says of each answer which it does.
HEADERS: dict[str, dict[str, Any]] = {
    "Cache-Control": _header("Whether and how it may be kept."),
    "ETag": _header("Names what is shown: with it in `If-None-Match` the same again is a 304."),
    "Published": _header(
        "Whether the facts are on Kafka already; not there where nothing was settled.",
        always=False,
        enum=["true", "false"],
    ),
    "Idempotency-Replayed": _header(
        "There where the answer is that of an earlier request with this key.",
        always=False,
        enum=["true"],
    ),
    "Location": _header("Where to go on, as a path."),
    "Retry-After": _header("In how many seconds to ask again.", type="integer", minimum=1),
    "WWW-Authenticate": _header("How to say who asks.", enum=["Bearer"]),
    **{
        name: _header("As a page is served.", always=False)
        for name in PAGE_HEADERS
        if name not in NO_STORE
    },
}
#: What an answer carries that comes of a fact; a route without a key in a header names it itself.
SETTLED = ("Published", "Idempotency-Replayed")


#: How a form is answered in a browser, so that a reload shows the page and sends nothing again.
ON_TO_PAGE: dict[int | str, dict[str, Any]] = {
    303: {
        "description": "For a browser: on to the page, which shows what is known now.",
        "headers": {"Location": {"$ref": "#/components/headers/Location"}},
    }
}


def described(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Headers of an answer, as the document refers to them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


#: What every problem says, once in each document; some say more, as their examples show.
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "The reason code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "rule": {"type": "string"}},
            },
        },
    },
}


def _problem_described(description: str) -> dict[str, Any]:
    """A problem as the document describes it."""
    return {
        "description": description,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _page_described(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A problem that is also a page, for a customer with a browser."""
    return {**problem, "content": {**problem.get("content", {}), HTML: {}}}


#: What any route may answer instead; the document says so of each.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: _problem_described(description)
    for status, description in {
        400: "No body that can be read, or no idempotency key.",
        401: "No token, or not a good one.",
        403: "Not for this kind of caller, or not on the roster.",
        404: "Unknown, or not yours to see.",
        408: "It did not arrive in time.",
        413: "A larger body than is taken.",
        414: "A longer URL than is taken.",
        422: "Something in it is wrong; the pointers say what.",
        431: "Longer or more headers than are taken.",
        500: "A defect of ours.",
        503: "Not now: again after `Retry-After` seconds.",
    }.items()
}
#: The trace that the request in hand belongs to; each request has a context of its own.
TRACE: ContextVar[str | None] = ContextVar("trace", default=None)
#: What machines ask all the time says nothing about those who wait for an answer.
NOT_COUNTED = ("/live", "/ready")


def problem(
    reason: Reason,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An RFC 9457 problem, as an answer."""
    body = {**problem_body(reason), **(extra or {})}
    return Response(to_json(body), reason.status, {**NO_STORE, **(headers or {})}, PROBLEM)


def refused(
    request: HttpRequest,
    reason: Reason,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem; for a customer who opened a link in a browser, a page in their language.

    A route that knows the language puts it into `request.state.language` before it raises.
    """
    if not wants_page(request.headers.get("accept", ""), request.url.path):
        return problem(reason, extra=extra, headers=headers)
    known = getattr(request.state, "language", None)
    language = page_language(known, request.headers.get("accept-language", ""))
    headers = {**(headers or {}), **PAGE_HEADERS}
    return Response(problem_page(reason.status, language), reason.status, headers, HTML)


def to_page(path: str) -> Response:
    """On to a page of ours; for a browser that sent a form, or came back to where one was sent."""
    return RedirectResponse(path, 303, NO_STORE)


def problem_body(reason: Reason, status: int | None = None) -> dict[str, Any]:
    """What every problem says; `type` is the reason code, and the status its own unless it is given."""
    title = reason.value.replace("_", " ")
    return {"type": reason.value, "title": title, "status": status or reason.status}


def shown(etag: str | None, body: Mapping[str, Any]) -> Response:
    """A read with its ETag: 304 and nothing else when the client has it already."""
    content = to_json(body)
    tag = f'W/"{blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in (etag or ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


class Nothing(BaseModel):
    """A command without a body: the URL says everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{}]})


#: The body of such a command: none, or an empty object.
NOTHING = Nothing()
#: An id in a path.
Identifier = Annotated[str, Path(pattern=ID_PATTERN, max_length=128)]
#: The token of a customer's link.
Token = Annotated[str, Path(max_length=1024)]


class Svg(Response):
    """A picture."""

    media_type = "image/svg+xml"


def picture(text: str) -> Response:
    """A text as a QR code; it has a secret in it, so nothing keeps it."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="svg", scale=6, border=4)
    return Svg(drawn.getvalue(), headers=NO_STORE)


def recorded(
    fact: Fact, *answers: type[Fact], hidden: Collection[str] = ()
) -> tuple[int, Mapping[str, Any]]:
    """A fact as it was recorded, as an answer with status 200: for facts of these types alone.

    Raises AssertionError for any other: nobody said what of it may be shown.
    """
    if type(fact) not in answers:
        raise AssertionError(f"{fact.TYPE} is no answer")
    return 200, fact.model_dump(mode="json", exclude=set(hidden))


class Described(FastAPI):
    """An app whose document also says what follows from what a route takes.

    Who takes an idempotency key settles, and who takes an ETag answers with one.
    """

    def openapi(self) -> dict[str, Any]:
        """The document, with the headers of every answer."""
        document = super().openapi()
        components = document.setdefault("components", {})
        components["headers"] = HEADERS
        components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        for operations in document["paths"].values():
            for method, operation in operations.items():
                taken = {one["name"] for one in operation.get("parameters", ())}
                answers = operation["responses"]
                if method != "get":
                    answers.setdefault("409", _problem_described("Not as things are now."))
                if "303" in answers or any(
                    HTML in answer.get("content", {}) for answer in answers.values()
                ):
                    for status in answers:
                        if status >= "4":
                            answers[status] = _page_described(answers[status])
                if "If-None-Match" in taken:
                    answers["304"] = {"description": "What the client has is what there is."}
                for status, answer in answers.items():
                    names = _headers_of(status, taken, answer.get("content", {}))
                    answer["headers"] = {**answer.get("headers", {}), **described(names)}
        return document


def _headers_of(status: str, taken: set[str], content: Mapping[str, Any]) -> Iterator[str]:
    """The headers of an answer, by its status, what its route takes, and the form it has."""
    yield "Cache-Control"
    if status == "401":
        yield "WWW-Authenticate"
    if status in ("429", "503"):
        yield "Retry-After"
    if "If-None-Match" in taken and status in ("200", "304"):
        yield "ETag"
    if "Idempotency-Key" in taken and (status < "3" or status == "409"):
        yield from SETTLED
    if "text/html" in content:
        yield from PAGE_HEADERS


class Bounded:
    """Refuses a request body over the bound before it is read into memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in; answer 413 once it is too much."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > BODY_BYTES_MAX:
            await problem(Reason.TOO_LARGE)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                # Not Rejected: FastAPI turns every other error while it reads a body into 400.
                raise HTTPException(413)
            return message

        await self.app(scope, counted, send)


class Headed:
    """Answers HEAD as GET, as HTTP has it for every page (RFC 9110, 9.3.2); the server sends no body.

    Browsers, mail scanners and link checkers ask so, and a refusal looks like a broken link.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on. The server keeps a scope of its own, in which it is still a HEAD."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)


class Counted:
    """Counts and times every answer, by the route as it is written; never by what was asked for.

    Notes the request's trace, which the facts of what it causes carry on.
    """

    def __init__(self, app: ASGIApp, owner: str) -> None:
        self.app = app
        self._owner = owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; raises what the app raises, counted as the 500 that becomes of it."""
        if scope["type"] != "http" or scope["path"] in NOT_COUNTED:
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        told = dict(scope["headers"]).get(b"traceparent", b"")
        TRACE.set(trace_of(told.decode("latin-1")))

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(self._owner, route, status).inc()
            REQUEST_SECONDS.labels(self._owner, route).observe(time.perf_counter() - began)


class Face:
    """What the routes of one service share: who asks, and how a write is settled and answered."""

    def __init__(
        self,
        settler: Settler,
        authenticator: Authenticator,
        *,
        owner: str,
        secret: bytes,
        publish_wait_ms: int,
        ready: Callable[[], Awaitable[Mapping[str, bool]]],
    ) -> None:
        self._settler = settler
        self._authenticator = authenticator
        self._owner = owner
        self._secret = secret
        self._publish_wait_ms = publish_wait_ms
        self._ready = ready

    def principal(self, *kinds: Kind) -> Any:  # FastAPI's Depends is untyped
        """A dependency: the caller, who must be of one of the kinds; raises Rejected."""

        async def check(
            bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
        ) -> Principal:
            if bearer is None:
                raise Rejected(Reason.UNAUTHENTICATED)
            principal = self._authenticator.authenticate(bearer.credentials)
            if principal.kind not in kinds:
                raise Rejected(Reason.FORBIDDEN)
            return principal

        return Depends(check)

    async def write(
        self,
        principal: Principal,
        route: str,
        key: str,
        command: BaseModel,
        decide: Callable[[View, str], Awaitable[Decision]],
        answer: Callable[[Fact], tuple[int, Mapping[str, Any]]],
        reads: Sequence[str] = (),
    ) -> Response:
        """Settle a command and answer with its fact; raises Rejected, Unavailable.

        Waits for the disk, and at most `publish_wait_ms` for Kafka: the header `Published` says
        whether the facts are there already.
        """
        # A Structured-Fields string is quoted, most clients send it bare: both mean the same key.
        key = key.strip('"')
        if not key or len(key) > 255:  # the length Stripe allows, which clients know
            raise Rejected(Reason.IDEMPOTENCY_KEY_MISSING)
        # Under a secret, because facts carry it: a code or a name could be guessed from a bare hash.
        digest = hmac.digest(self._secret, command.model_dump_json().encode(), sha256).hex()
        # The same name at two sites is two principals; a space is in none of the three.
        who = f"{principal.kind} {principal.site} {principal.subject}"
        request = Request(who, route, key, digest, TRACE.get())
        settled: Settled = await self._settler.settle_request(request, decide, reads)
        published = await self._settler.store.wait_published(
            settled.sequence, self._publish_wait_ms
        )
        status, body = answer(settled.fact)
        headers = {**NO_STORE, "Published": "true" if published else "false"}
        if settled.replayed:
            headers["Idempotency-Replayed"] = "true"
        media = PROBLEM if status >= 400 else "application/json"
        return Response(to_json(body), status, headers, media)

    def api(self, title: str, description: str) -> FastAPI:
        """A FastAPI app with everything that is the same in every service."""
        app = Described(
            title=title,
            description=description,
            version="1.0.0",
            responses=PROBLEMS,
            # The document has a port of its own (`ops_port`), and a redirect would repeat the Host.
            openapi_url=None,
            redirect_slashes=False,
        )
        app.add_middleware(Headed)
        app.add_middleware(Bounded)
        app.add_middleware(Counted, owner=self._owner)
        app.add_exception_handler(Rejected, self._rejected)
        app.add_exception_handler(Unavailable, self._unavailable)
        app.add_exception_handler(RequestValidationError, self._invalid)
        app.add_exception_handler(HTTPException, self._http)
        app.add_exception_handler(Exception, self._failed)

        @app.get("/live", include_in_schema=False)
        async def live() -> PlainTextResponse:
            """The loop turns; depends on nothing else, or a broker's outage would restart us."""
            return PlainTextResponse("live")

        @app.get("/ready", include_in_schema=False)
        async def ready() -> Response:
            """Whether this process can settle."""
            parts = await self._ready()
            return Response(
                to_json(parts), 200 if all(parts.values()) else 503, NO_STORE, "application/json"
            )

        return app

    async def _rejected(self, request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, Rejected)
        headers = {"WWW-Authenticate": "Bearer"} if error.reason is Reason.UNAUTHENTICATED else {}
        where = [{"pointer": pointer} for pointer in error.where]
        return refused(
            request,
            error.reason,
            extra={**error.told, **({"errors": where} if where else {})},
            headers=headers,
        )

    async def _unavailable(self, request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, Unavailable)
        retry = {"Retry-After": str(error.retry_after_s)}
        return refused(request, error.reason, headers=retry)

    async def _invalid(self, request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = error.errors()
        if any(item["loc"][0] == "header" for item in found):  # no other can be wrong
            return problem(Reason.IDEMPOTENCY_KEY_MISSING)
        errors = [
            {"pointer": "/" + "/".join(str(part) for part in item["loc"][1:]), "rule": item["type"]}
            for item in found[:20]
        ]
        return refused(request, Reason.SCHEMA_INVALID, extra={"errors": errors})

    async def _http(self, request: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = {
            404: Reason.UNKNOWN_ROUTE,
            405: Reason.METHOD_NOT_ALLOWED,
            413: Reason.TOO_LARGE,
        }
        reason = known.get(error.status_code, Reason.MALFORMED_BYTES)
        return refused(request, reason, headers=error.headers)

    async def _failed(self, request: HttpRequest, error: Exception) -> Response:
        log.error("request_failed", error=type(error).__name__, at=raised_at(error))
        return refused(request, Reason.HANDLER_FAILED)
