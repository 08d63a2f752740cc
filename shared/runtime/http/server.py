"""The HTTP server: uvicorn on httptools, with a bound on what a client sends and how long it takes.

httptools is the fastest parser here and has no limits of its own: it collects a header of any length,
and uvicorn waits for the rest of a request for ever. The limits are here, where bytes arrive.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from shared.contracts.reasons import Reason
from shared.runtime.http.answers import PROBLEM, Problem, body_of
from shared.runtime.http.face import BODY_BYTES_MAX
from shared.runtime.observe import HTTP_REFUSED

#: Request line and headers together. A token is of one or two thousand bytes, a link of one.
HEAD_BYTES_MAX = 16 * 1024
URL_BYTES_MAX = 4 * 1024
#: Browsers send about 20, and a proxy adds some.
HEADERS_MAX = 64
#: Bytes on the wire for one body. A body that `Bounded` refused is read and dropped up to this size,
#: because closing a connection with unread bytes resets it, and the client loses the answer.
BODY_WIRE_BYTES_MAX = 32 * BODY_BYTES_MAX
#: How long a client may take for its request's head, and from there to the end of its body. Phones on
#: bad networks send a complaint in seconds.
HEAD_S, BODY_S = 10.0, 30.0
#: Requests that wait for the one being answered, on one connection. Browsers send none ahead, and
#: each that waits takes more memory than its bytes.
PIPELINED_MAX = 8
#: Longer than proxies keep a connection to us, so that none sends a request into one that we close.
KEEP_ALIVE_S = 75
#: How long a client may leave unread what we wrote.
WRITE_S = 30.0
#: Of these, those who follow changes take 1,000. With what each may send at once, well below a container's memory.
CONNECTIONS_MAX = 1_600
#: Ticks of uvicorn (0.1 s) between looks at what connections wait for.
LOOK_TICKS = 5
#: Headers that announce a body.
BODIES = (b"content-length", b"transfer-encoding")
REASONS = {
    400: Reason.MALFORMED_BYTES,
    408: Reason.TOO_SLOW,
    413: Reason.TOO_LARGE,
    414: Reason.TOO_LARGE,
    431: Reason.TOO_LARGE,
    503: Reason.OVERLOADED,
}


class TooMuch(Exception):
    """A head over a bound, or too many requests at once; ends the parser's run."""


class Connection(HttpToolsProtocol):
    """One connection. `since` is when we began to wait for its client; None while it waits for us."""

    def __init__(self, *words: Any, connections_max: int = CONNECTIONS_MAX, **named: Any) -> None:
        super().__init__(*words, **named)
        self.since: float | None = time.monotonic()
        self._connections_max = connections_max
        self._patience_s = HEAD_S
        self._stalled: float | None = None
        self._requests = 0
        self._arriving = self._in_body = False
        self._head_bytes = self._fed_bytes = 0
        self._status = 400
        #: The requests that are not answered yet, those that wait for an earlier one too.
        self._cycles: list[RequestResponseCycle] = []

    def connection_made(self, transport: Any) -> None:
        """Take the connection; if there are too many, close the one we have waited for longest."""
        super().connection_made(transport)
        if len(self.connections) > self._connections_max:
            others = cast("set[Connection]", self.connections) - {self}
            waiting = [(one.since, id(one), one) for one in others if one.since is not None]
            min(waiting, default=(0.0, 0, self))[-1].refuse(503)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; refuse what is malformed or too large."""
        self._unset_keepalive_if_required()
        requests = self._requests
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # It is answered as HTTP/1.1: we speak nothing else.
        except httptools.HttpParserError:
            self.refuse(self._status)
            return
        # A chunk in which a request began may hold the end of another, so it is not counted.
        if self._arriving and requests == self._requests:
            self._fed_bytes += len(data)
            if self._fed_bytes > (BODY_WIRE_BYTES_MAX if self._in_body else HEAD_BYTES_MAX):
                self.refuse(413 if self._in_body else 431)

    def on_message_begin(self) -> None:
        """Begin to count a request; raises TooMuch."""
        super().on_message_begin()
        if len(self.pipeline) >= PIPELINED_MAX:
            self._status = 503
            raise TooMuch
        self._requests += 1
        self._arriving, self._in_body = True, False
        self._head_bytes = self._fed_bytes = 0
        self.since, self._patience_s = time.monotonic(), HEAD_S

    def on_url(self, url: bytes) -> None:
        """Count the URL; raises TooMuch."""
        self._head_bytes += len(url)
        if self._head_bytes > URL_BYTES_MAX:
            self._status = 414
            raise TooMuch
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, also one that comes after a body; raises TooMuch.

        Blanks around a value are no part of it (RFC 9110, 5.5); the parser leaves those behind it.
        """
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_BYTES_MAX or len(self.headers) >= HEADERS_MAX:
            self._status = 431
            raise TooMuch
        if not self._in_body:  # a trailer is no header (RFC 9110, 6.5.1)
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Start the request; its body may take longer than its head.

        Raises TooMuch for a body behind `Upgrade`: the parser would read the body as the next request.
        """
        if self.parser.should_upgrade() and any(
            one in BODIES and value != b"0" for one, value in self.headers
        ):
            self._status = 400
            raise TooMuch
        super().on_headers_complete()
        self._cycles = [one for one in self._cycles if not one.response_complete] + [self.cycle]
        self._in_body, self._fed_bytes = True, 0
        self._patience_s = HEAD_S + BODY_S

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection that nobody reads its answer; uvicorn tells the latest."""
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The whole request has arrived and waits for us, unless it was answered before its end."""
        super().on_message_complete()
        self._arriving, self.since = False, None
        self._idle_if_answered()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        super().on_response_complete()
        self._idle_if_answered()

    def _idle_if_answered(self) -> None:
        if not self._arriving and self.cycle.response_complete:
            self.since, self._patience_s = time.monotonic(), KEEP_ALIVE_S

    def pause_writing(self) -> None:
        """The client does not read what we write."""
        super().pause_writing()
        self._stalled = time.monotonic()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stalled = None

    def look(self, now: float) -> None:
        """Close the connection if its client took too long to write or to read."""
        closing = self.transport.is_closing()
        if self._stalled is None and closing:
            self._stalled = now  # It closes when everything is read, which must not take for ever.
        if self._stalled is not None and now - self._stalled > WRITE_S:
            self.transport.abort()
        elif not closing and self.since is not None and now - self.since > self._patience_s:
            self.refuse(408)

    def refuse(self, status: int) -> None:
        """Answer a request that has not arrived whole, and close the connection.

        Nothing is answered if no request was begun, or while another's answer is still being sent.
        """
        if self._arriving:
            reason, cycle = REASONS[status], self.cycle
            HTTP_REFUSED.labels(reason.value).inc()
            answering = cycle is not None and not cycle.response_complete
            if self._in_body:
                answering = bool(self.pipeline) or cycle.response_started
            if not answering:
                body = body_of(Problem.of(reason, status))
                headers = [
                    *self.server_state.default_headers,
                    (b"content-type", PROBLEM.encode()),
                    (b"cache-control", b"no-store"),
                    (b"content-length", b"%d" % len(body)),
                    (b"connection", b"close"),
                ]
                lines = [name + b": " + value + b"\r\n" for name, value in headers]
                self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.since = None
        self.transport.close()
        self._leave()


class Server(uvicorn.Server):
    """uvicorn's server, which also looks whether clients take too long."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections now and then; True to stop."""
        if counter % LOOK_TICKS == 0:
            now = time.monotonic()
            for connection in cast("set[Connection]", set(self.server_state.connections)):
                connection.look(now)
        return await super().on_tick(counter)


def http_server(
    api: ASGIApp, *, stop_s: int, hsts_s: int = 0, connections_max: int = CONNECTIONS_MAX
) -> Server:
    """The server every service listens with; `stop_s` is how long requests may go on at a stop.

    Browsers keep to HTTPS for `hsts_s` seconds, if it is not 0.
    """
    headers = [("X-Content-Type-Options", "nosniff")]
    if hsts_s:
        headers.append(("Strict-Transport-Security", f"max-age={hsts_s}"))
    return Server(
        uvicorn.Config(
            api,
            http=partial(Connection, connections_max=connections_max),  # type: ignore[arg-type]  # called only
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            # Nothing here asks who the client is or which scheme it used.
            proxy_headers=False,
            server_header=False,
            headers=headers,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=stop_s,
        )
    )
