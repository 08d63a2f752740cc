"""Live answers: a read that is answered again and again as server-sent events, while somebody follows it.

Each event is the whole answer as it is then, so nothing is resumed: a client that was away begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import log, raised_at

#: How often a followed read is made, in seconds: people look at it, and each read costs the store a trip.
LIVE_EVERY_S = 1.0
#: Reads with nothing new after which a comment is sent, as proxies close a connection that is silent for half a minute.
QUIET_MAX = 10
#: Streams of one process. Each holds a connection for hours, and reads every second.
STREAMS_MAX = 200
#: After how long a client whose stream ended shall ask again.
RETRY_MS = 2_000
#: A proxy must not collect events before it passes them on; nginx and others go by this header.
UNBUFFERED = {"X-Accel-Buffering": "no"}


class EventStream(StreamingResponse):
    """Server-sent events, as in the HTML standard.

    Not FastAPI's class, which its routes take for one whose function they iterate over themselves.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[bytes],
        streaming: AbstractContextManager[None],
        headers: Mapping[str, str],
    ) -> None:
        """`streaming` is entered while it is answered; what that raises is answered instead."""
        super().__init__(events, headers=headers)
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the client leaves or the events end."""
        with self._streaming:
            await super().__call__(scope, receive, send)


async def snapshots(
    first: bytes,
    read: Callable[[], Awaitable[bytes]],
    goes_on: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[bytes]:
    """Events with what `read` returns, each time that it differs from the one before.

    Ends when `goes_on` says so, or when a read is refused or cannot be made: the client asks again then, and is told
    why. Waits for the store.
    """
    yield format_sse_event(retry=RETRY_MS, data_str=first.decode())
    shown, quiet = first, 0
    while goes_on():
        await sleep(LIVE_EVERY_S)
        try:
            found = await read()
        except (Rejected, Unavailable):
            return
        except Exception as error:  # noqa: BLE001 - the answer has begun, so it can only end; this is loud about it
            log.error("request_failed", error=type(error).__name__, at=raised_at(error))
            return
        if found != shown:
            shown, quiet = found, 0
            yield format_sse_event(data_str=found.decode())
        elif (quiet := quiet + 1) >= QUIET_MAX:
            quiet = 0
            yield KEEPALIVE_COMMENT
