"""The HTTP face's common part: problems, idempotent writes, bounds, health, metrics.

Routes stay thin: they read a command, name a decision, and say how its fact looks as an answer.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Any

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as HttpRequest
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.event import trace_of
from shared.contracts.intake import ADDRESS_PATTERN, PHONE_PATTERN
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Request, Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.answers import JSON, NO_STORE, PROBLEM, problem, refused
from shared.runtime.http.auth import Authenticator, Principal
from shared.runtime.http.document import Described, servers_of
from shared.runtime.http.live import STREAMS_MAX
from shared.runtime.http.routes import Routes
from shared.runtime.observe import REQUEST_SECONDS, REQUESTS, log, raised_at
from shared.runtime.tracing import OUTCOME, Kind, Span, Tracer

#: A command is small; the longest complaint text in four-byte characters fits with room to spare.
BODY_BYTES_MAX = 256 * 1024
#: The step that the current request is; each request has a context of its own.
TRACE: ContextVar[str | None] = ContextVar("trace", default=None)
#: The methods that a span names; a client may make up others.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
#: The longest text of a rule; those of closed lists name all their values.
DETAIL_CHARS_MAX = 500
#: Rules that are checked here, or whose text by pydantic quotes what was sent.
OWN_RULES = {
    "extra_forbidden": "There is no field of this name",
    "repeated": "It can be given once",
    "missing": "It is needed",
    "json_type": "A body is JSON, with the header Content-Type: application/json",
    "union_tag_invalid": "Its kind is none of those that are described",
}
#: What text of a pattern looks like, where people write it.
FORMS = {
    ADDRESS_PATTERN: "It is a mail address, such as kim@example.org",
    PHONE_PATTERN: "It is a telephone number, such as +47 912 34 567: digits, blanks, brackets and hyphens",
}
#: Probes, which are frequent and say nothing about how long callers wait.
NOT_COUNTED = ("/live", "/ready")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write led to: its last fact, whether it is on Kafka, and whether it was a repeat."""

    fact: Fact
    published: bool
    replayed: bool

    def response(self, status: int, content: bytes) -> Response:
        """The response; its headers say whether the facts are published, and whether it is a repeat."""
        headers = {**NO_STORE, "Published": "true" if self.published else "false"}
        if self.replayed:
            headers["Idempotency-Replayed"] = "true"
        form = PROBLEM if status >= 400 else JSON if content else None
        return Response(content, status, headers, form)


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
        """Pass the request on as GET; in the server's own scope it is still a HEAD."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)


#: An `Accept-Encoding` that refuses gzip (RFC 9110, 12.4.2); the library looks for the word alone.
NO_GZIP = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.I)


class Compressed(GZipMiddleware):
    """Compresses large answers to reads. An answer to a write is small, and looking at it costs time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the answer to a GET or HEAD if it is large and the client takes gzip."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            accepted = Headers(scope=scope).get("accept-encoding", "")
            if not NO_GZIP.search(accepted):
                return await super().__call__(scope, receive, send)
        return await self.app(scope, receive, send)


class Counted:
    """Counts and times every answer by the path pattern of its route, never by the path requested.

    Also begins the request's step, which the facts that it causes go on from.
    """

    def __init__(self, app: ASGIApp, owner: str, tracer: Tracer) -> None:
        self.app = app
        self._owner = owner
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; raises what the app raises, counted as a 500."""
        if scope["type"] != "http" or scope["path"] in NOT_COUNTED:
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        told = dict(scope["headers"]).get(b"traceparent", b"")

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.span("request", Kind.SERVER, trace_of(told.decode("latin-1"))) as step:
            TRACE.set(step.traceparent)
            try:
                await self.app(scope, receive, noted)
            finally:
                route = getattr(scope.get("route"), "path", "none")
                REQUESTS.labels(self._owner, route, status).inc()
                REQUEST_SECONDS.labels(self._owner, route).observe(time.perf_counter() - began)
                if self._tracer.recording:
                    describe(step, scope["method"], route, status)


def describe(step: Span, method: str, route: str, status: int) -> None:
    """Say on a request's span what was asked and answered: by the route's pattern, never by the path."""
    method = method if method in METHODS else "_OTHER"
    step.rename(f"{method} {route}")
    step.set("http.request.method", method)
    step.set("http.route", route)
    step.set("http.response.status_code", status)
    if status >= 500:
        step.fail(str(status))


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
        running: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settler = settler
        self.authenticator = authenticator
        self._owner = owner
        self._secret = secret
        self._publish_wait_ms = publish_wait_ms
        self._ready = ready
        #: Whether the process goes on serving; streams end when it does not.
        self.running = running
        self._streams = 0

    async def write(
        self,
        principal: Principal,
        route: str,
        key: str,
        command: BaseModel,
        decide: Callable[[View, str], Awaitable[Decision]],
        reads: Sequence[str] = (),
    ) -> Written:
        """Settle a command under a key; raises Rejected, Unavailable.

        Waits for the disk, and at most `publish_wait_ms` for Kafka.
        """
        # A Structured-Fields string is quoted, most clients send it bare: both mean the same key.
        key = key.strip('"')
        # Under a secret, because facts carry it: a code or a name could be guessed from a bare hash.
        digest = hmac.digest(self._secret, command.model_dump_json().encode(), sha256).hex()
        # The same subject at two sites is two principals; none of the three contains a space.
        who = f"{principal.kind} {principal.site} {principal.subject}"
        with self._settler.tracer.span("settle", Kind.INTERNAL, TRACE.get()) as step:
            request = Request(who, route, key, digest, step.traceparent)
            settled = await self._settler.settle_request(request, decide, reads)
            step.set(OUTCOME, "repeated" if settled.replayed else "committed")
        published = await self._settler.store.wait_published(
            settled.sequence, self._publish_wait_ms
        )
        return Written(settled.fact, published, settled.replayed)

    def still(self, authorization: str, principal: Principal) -> bool:
        """Whether a header is still good for the principal that it was good for."""
        try:
            return self.authenticator.caller(authorization, (principal.kind,)) == principal
        except Rejected:
            return False

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Counts one more stream for as long as it is answered; raises Unavailable if there are too many."""
        if self._streams >= STREAMS_MAX:
            raise Unavailable(Reason.OVERLOADED)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def view(self) -> View:
        """The view of a read; it commits nothing."""
        return self._settler.view()

    def api(self, title: str, description: str, *slices: Routes) -> FastAPI:
        """A FastAPI app with everything that is the same in every service, and the routes of each slice."""
        app = service_api(
            self._owner, title, description, tracer=self._settler.tracer, ready=self._ready
        )
        for routes in slices:
            # Not by include_router, which would wrap each route once more at every request.
            app.router.routes.extend(routes.routes)
        return app


def service_api(
    owner: str,
    title: str,
    description: str,
    *,
    tracer: Tracer,
    ready: Callable[[], Awaitable[Mapping[str, bool]]],
) -> FastAPI:
    """An app without routes but probes: bounds, counts, and how errors are answered, the same in every service."""
    app = Described(
        title=title,
        description=description,
        version="1.0.0",
        servers=servers_of(owner),
        # The document has a port of its own (`ops_port`), and a redirect would repeat the Host.
        openapi_url=None,
        redirect_slashes=False,
        # Metrics are ours, and it would ask for a provider at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    # The one that is added last runs first.
    app.add_middleware(Headed)
    app.add_middleware(Bounded)
    app.add_middleware(Counted, owner=owner, tracer=tracer)
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)

    @app.get("/live", include_in_schema=False)
    async def live() -> PlainTextResponse:
        """Whether the event loop runs, and no more: a broker's outage must not restart us."""
        return PlainTextResponse("live")

    @app.get("/ready", include_in_schema=False)
    async def answer_ready() -> Response:
        """Which parts of this process work; 503 while one does not, and no request should be sent here."""
        parts = await ready()
        return Response(to_json(parts), 200 if all(parts.values()) else 503, NO_STORE, JSON)

    return app


async def _rejected(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    headers = {"WWW-Authenticate": "Bearer"} if error.reason is Reason.UNAUTHENTICATED else {}
    # A body over HTTP is what is `data` in an event.
    where = [{"pointer": pointer.removeprefix("/data")} for pointer in error.where]
    return refused(
        request,
        error.reason,
        extra={**error.told, **({"errors": where} if where else {})},
        headers=headers,
    )


async def _unavailable(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    retry = {"Retry-After": str(ceil(error.retry_after_s))}
    return refused(request, error.reason, headers=retry)


async def _invalid(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["loc"][0] == "header" for item in found):  # the only header that is checked
        return problem(Reason.IDEMPOTENCY_KEY_MISSING)
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in item["loc"][1:]),
            "rule": item["type"],
            "detail": detail_of(item),
        }
        for item in found[:20]
    ]
    return refused(request, Reason.SCHEMA_INVALID, extra={"errors": errors})


async def _http(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {
        404: Reason.UNKNOWN_ROUTE,
        405: Reason.METHOD_NOT_ALLOWED,
        413: Reason.TOO_LARGE,
    }
    reason = known.get(error.status_code, Reason.MALFORMED_BYTES)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return refused(request, reason, headers=headers)


async def _failed(request: HttpRequest, error: Exception) -> Response:
    log.error("request_failed", error=type(error).__name__, at=raised_at(error))
    return refused(request, Reason.HANDLER_FAILED)


def detail_of(wrong: Mapping[str, Any]) -> str:
    """What is taken in place of what was sent, in words: of the model alone, and never a value that was sent."""
    rule, told = wrong["type"], wrong.get("ctx", {})
    if rule in OWN_RULES:
        return OWN_RULES[rule]
    if (form := FORMS.get(str(told.get("pattern")))) is not None:
        return form
    if rule == "value_error":
        # Our own validators raise ValueError, and say nothing of the value. Those of libraries may quote it.
        ours = type(told.get("error")) is ValueError
        return str(told["error"])[:DETAIL_CHARS_MAX] if ours else "It is not valid"
    return str(wrong.get("msg", rule))[:DETAIL_CHARS_MAX]


def _allowed(request: HttpRequest) -> str:
    """Every method that the path takes, by whichever route (RFC 9110, 10.2.1)."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))
