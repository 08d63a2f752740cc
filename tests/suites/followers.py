"""Clients of server-sent events, without a connection: what an app sends them, as it comes."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from pydantic_core import from_json
from starlette.types import ASGIApp


class Told(NamedTuple):
    """One event: its name, its data, and the position that it leaves the client at."""

    name: str
    data: Any
    id: str


class Follower:
    """Somebody who follows a path of an app."""

    def __init__(self, app: ASGIApp, path: str, bearer: str, last: str = "") -> None:
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.gone = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._asked = False
        headers = [(b"authorization", f"Bearer {bearer}".encode())]
        if last:
            headers.append((b"last-event-id", last.encode()))
        scope = {
            "type": "http",
            "asgi": {"spec_version": "2.3"},
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": headers,
        }
        self.answering = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        elif message.get("body"):
            self._chunks.put_nowait(message["body"])
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._chunks.put_nowait(None)

    async def next(self) -> Any:
        """The next event; None at the end."""
        async with asyncio.timeout(30):
            while (chunk := await self._chunks.get()) is not None:
                fields = dict(
                    line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line
                )
                if "data" in fields:
                    name, at = fields.get("event", "message"), fields.get("id", "")
                    return Told(name, from_json(fields["data"]), at)
        return None

    async def leave(self) -> None:
        """Close the connection."""
        self.gone.set()
        async with asyncio.timeout(30):
            await self.answering
