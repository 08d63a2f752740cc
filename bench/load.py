"""The load generator: connections with one request in flight each, the same for both sides.

Written on asyncio protocols, because on a small machine a client that costs as much as the server
would hide half of every difference.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import cast
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
#: Timeout of one turn, so that a hanging server does not hang the bench.
TIMEOUT_S = 60.0


@dataclass(slots=True)
class Load:
    """The result of one turn: latencies in seconds in order of answers, statuses, seconds in all."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    published: int = 0
    seconds: float = 0.0
    first_problem: bytes = b""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Latency in milliseconds below which `share` of the answers came."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class _Connection(asyncio.Protocol):
    """Sends the next request when the last answer is complete."""

    def __init__(self, requests: Iterator[bytes], load: Load, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._load = load
        self._done = done
        self._got = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._finish()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator:
            return
        length = LENGTH.search(head + b"\r\n")
        if length is None or len(body) < int(length[1]):
            return
        self._load.latencies_s.append(time.perf_counter() - self._sent_at)
        status = int(head[9:12])
        self._load.statuses[status] += 1
        self._load.published += b"published: true" in head.lower()
        if status >= 400 and not self._load.first_problem:
            self._load.first_problem = body
        self._got = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError(f"the server hung up: {exc}"))

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()


async def run(urls: Sequence[str], requests: Iterator[bytes], connections: int) -> Load:
    """Send all requests over connections that take turns at the addresses.

    Raises ConnectionError when a server hangs up, TimeoutError.
    """
    places = [urlsplit(url) for url in urls]
    loop = asyncio.get_running_loop()
    load = Load()
    waiting = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for done, where in zip(waiting, cycle(places), strict=False):
        await loop.create_connection(
            lambda done=done: _Connection(requests, load, done),  # type: ignore[misc]
            where.hostname or "127.0.0.1",
            where.port or 80,
        )
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*waiting)
    load.seconds = time.perf_counter() - began
    return load


def get(path: str, token: str) -> bytes:
    """One GET as bytes, ready to be sent."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def post(path: str, token: str, key: str, body: bytes) -> bytes:
    """One POST as bytes, ready to be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
