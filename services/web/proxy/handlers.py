"""One request, passed to a service, and its answer, passed to the browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import ClientError, ClientResponse
from fastapi import Request, Response
from starlette.responses import StreamingResponse
from yarl import URL

from services.web.client import Client
from services.web.proxy.rules import answered, asked, straight
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.face import TRACE
from shared.runtime.http.inputs import client_address
from shared.runtime.observe import log

#: Until an answer begins: what a service waits for at most, its store and Kafka, ends long before.
ANSWER_S = 30.0
#: An answer of this length is read whole, which is cheaper than passing it on in parts.
WHOLE_BYTES = 256 * 1024
EVENTS = "text/event-stream"
#: In which services are told the client's address; no header of that name is passed on.
ADDRESS_HEADER = "x-real-ip"
#: How often a stream looks whether its session goes on; services say something every ten seconds.
SESSION_LOOK_S = 10.0

Goes = Callable[[], Awaitable[bool]]


class Proxy:
    """Passes requests to services, each at one address."""

    def __init__(self, client: Client, services: Mapping[str, str], address_header: str) -> None:
        self._client = client
        self._services = services
        self._address_header = address_header

    async def passed(
        self,
        request: Request,
        service: str,
        path: str,
        *,
        token: str | None = None,
        goes_on: Goes | None = None,
        headers: Mapping[str, str],
    ) -> Response:
        """The answer of a service to a request; `headers` go over those of the answer.

        `token` is who asks; a stream ends once `goes_on` says no. Raises Rejected for a service or path that is
        none, Unavailable if the service does not answer.
        """
        if service not in self._services or not straight(path):
            raise Rejected(Reason.UNKNOWN_ROUTE)
        query = request.url.query
        url = URL(self._services[service] + path + (f"?{query}" if query else ""), encoded=True)
        body = await request.body()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._client.session.request(
                    request.method,
                    url,
                    headers=self._headers(request, token),
                    data=body or None,
                    allow_redirects=False,
                )
                if 0 <= (answer.content_length or -1) <= WHOLE_BYTES or answer.status in (204, 304):
                    content = await answer.read()
                    return Response(
                        content, answer.status, {**answered(answer.headers.items()), **headers}
                    )
        except (ClientError, OSError, TimeoutError) as error:
            log.warning("service_away", service=service, error=type(error).__name__)
            raise Unavailable(Reason.SERVICE_UNAVAILABLE) from error
        return StreamingResponse(
            _parts(answer, goes_on if answer.content_type == EVENTS else None),
            answer.status,
            {**answered(answer.headers.items()), **headers},
        )

    def _headers(self, request: Request, token: str | None) -> dict[str, str]:
        found = asked(request.headers.items())
        # Otherwise the client would ask for compression that the browser may not take.
        found.setdefault("accept-encoding", "identity")
        if token is not None:
            found["authorization"] = f"Bearer {token}"
        found[ADDRESS_HEADER] = client_address(request, self._address_header)
        if trace := TRACE.get():
            found["traceparent"] = trace
        return found


async def _parts(answer: ClientResponse, goes_on: Goes | None) -> AsyncIterator[bytes]:
    """What a service says, as it says it; ends with the session that asked."""
    looked = time.monotonic()
    try:
        async for part in answer.content.iter_any():
            if goes_on is not None and time.monotonic() - looked > SESSION_LOOK_S:
                looked = time.monotonic()
                if not await goes_on():
                    return
            yield part
    except (ClientError, OSError, TimeoutError, Unavailable) as error:
        # The browser sees a body that was cut, and asks again.
        log.warning("answer_cut", error=type(error).__name__)
        raise
    finally:
        answer.close()
