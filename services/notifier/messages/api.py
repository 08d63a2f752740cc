"""The HTTP face of messages: what providers report."""

from __future__ import annotations

from fastapi import Request, Response

from services.notifier.channels.wires import Posted
from services.notifier.messages.reports import Reports
from shared.contracts.reasons import Reason
from shared.runtime.http.answers import NO_STORE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Identifier, Routes


def routes(face: Face, reports: Reports, public_url: str) -> Routes:
    """The routes; `public_url` is what the URLs begin with that providers were given."""
    to = Routes(face)

    @to.signed(
        "/v1/receipts/{provider}",
        refuses=(Reason.UNAUTHENTICATED, Reason.UNKNOWN_PROVIDER, Reason.UNKNOWN_SITE),
    )
    async def take_receipt(provider: Identifier, request: Request) -> Response:
        """A provider's report: a message was delivered, or could not be.

        The body is in the provider's own format and signed as that format says. The same report again,
        and a report of a message that is not ours, changes nothing.
        """
        query = request.url.query
        posted = Posted(
            url=f"{public_url.rstrip('/')}{request.url.path}{f'?{query}' if query else ''}",
            query=request.query_params,
            headers=request.headers,
            body=await request.body(),
        )
        await reports.hear(provider, posted)
        return Response(status_code=204, headers=NO_STORE)

    return to
