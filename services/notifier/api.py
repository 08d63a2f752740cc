"""The HTTP face of the notifier: the page behind a check's link, and the answer.

Opening the link changes nothing, because mail scanners open links too; only the button answers.
"""

# Annotations are evaluated here and not postponed: they name dependencies made in `api`.

from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from pydantic_core import to_json

from services.notifier.handlers import Handlers
from services.notifier.page import Page
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import NO_STORE, ON_TO_PAGE, SETTLED, Face, Token, described, to_page
from shared.runtime.http.pages import PAGE_HEADERS, wants_page

REPEATED = {**NO_STORE, "Content-Type": "application/json", "Idempotency-Replayed": "true"}


class GiveFeedback(BaseModel):
    """The answer as a command."""

    helped: Helped


def answer(fact: Fact) -> tuple[int, dict[str, Any]]:
    """How an answer is answered."""
    assert isinstance(fact, FeedbackReceived)
    return 200, said(fact.complaint_id, fact.helped)


def said(complaint_id: str, helped: Helped) -> dict[str, Any]:
    """What we heard."""
    return {"helped": helped, "complaint_id": complaint_id}


def api(face: Face, handlers: Handlers, page: Page) -> FastAPI:
    """The routes."""
    app = face.api("notifier", "Customers are told, asked whether it helped, and heard.")

    async def read(token: str, request: Request) -> tuple[str, str]:
        """Complaint and check of a link; a page that must be refused is in the customer's language."""
        complaint_id = handlers.complaint_of(token)
        if complaint_id is not None:
            request.state.language = await handlers.language_of(complaint_id)
        return handlers.read(token)

    @app.get("/f/{token}", response_class=HTMLResponse)
    async def ask(token: Token, request: Request) -> Response:
        """A check's page: everything its letter says, and "did it help?"."""
        shown = await handlers.shown(*await read(token, request))
        return HTMLResponse(page.show(shown, token), headers=PAGE_HEADERS)

    @app.get("/f/{token}/{helped}", include_in_schema=False)
    async def answered(token: Token, _: Annotated[Helped, Path(alias="helped")]) -> Response:
        """Where a browser comes that goes back to the address of an answer: to the page."""
        return to_page(f"/f/{token}")

    @app.post(
        "/f/{token}/{helped}",
        responses={200: {"headers": described(SETTLED)}, **ON_TO_PAGE},
    )
    async def give_feedback(token: Token, helped: Helped, request: Request) -> Response:
        """The customer's answer; the same answer again is the same answer.

        A browser goes on to the page, which shows what was answered first.
        """
        complaint_id, check_id = await read(token, request)
        by_browser = wants_page(request.headers.get("accept", ""), request.url.path)
        customer = Principal(complaint_id, Kind.CUSTOMER, site="")

        async def decide(view: View, _name: str) -> Decision:
            return await handlers.answer(complaint_id, check_id, helped, view)

        try:
            response = await face.write(
                customer,
                "feedback",
                f"{check_id}/{helped}",
                GiveFeedback(helped=helped),
                decide,
                answer,
            )
        except Rejected:
            # The stored answer to the request is forgotten after two days; the customer's own is not.
            known = await handlers.answered(check_id)
            if known is None or not (by_browser or known is helped):
                raise
            response = Response(to_json(said(complaint_id, helped)), headers=REPEATED)
        return to_page(f"/f/{token}") if by_browser else response

    return app
