"""The page behind a question's link; opening it changes nothing, because mail scanners open links too."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from services.complaints.asking.handlers import Touchpoints
from services.complaints.asking.page import AnswerForm, AskingPage, faults_in
from shared.contracts.names import visible
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import to_page
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.inputs import chosen_in
from shared.runtime.http.pages import PAGE_HEADERS, wants_page
from shared.runtime.http.routes import Routes, Token

#: Fields of a form that are read; ours has three.
FIELDS_MAX = 8
GONE = (Reason.UNKNOWN_SITE, Reason.KEY_NOT_YET_KNOWN, Reason.WRAPPING_KEY_MISSING)


def routes(face: Face, touchpoints: Touchpoints, page: AskingPage) -> Routes:
    """The routes."""
    to = Routes(face)

    async def addressed(token: str, request: Request) -> None:
        """Notes the customer, for a refusal's page."""
        request.state.addressee = await touchpoints.addressee_of(token, face.view())

    @to.link("GET", "/q/{token}", refuses=GONE, response_class=HTMLResponse)
    async def show_question(token: Token, request: Request) -> Response:
        """How a moment of the customer's journey was, and how much it matters to them; thanks once that is answered."""
        await addressed(token, request)
        shown = await touchpoints.shown(token, face.view())
        return HTMLResponse(page.show(shown, AnswerForm()), headers=PAGE_HEADERS)

    @to.link(
        "POST",
        "/q/{token}",
        refuses=(*GONE, Reason.ALREADY_ANSWERED),
        response_class=HTMLResponse,
        form=AnswerForm,
    )
    async def answer_question(token: Token, request: Request) -> Response:
        """The customer's answer: `experience` and, if they like, `importance`, from 1 to 5, and `text`.

        A bad one is a complaint. The first answer counts: the page says so of another one, and shows the words that were not
        taken. The same again is thanked for. The answer is the page, for a browser by a redirect.
        """
        await addressed(token, request)
        form = await answer_in(request)
        found = await touchpoints.shown(token, face.view())
        faults = faults_in(form, found.language)
        if faults and not found.answered:
            return HTMLResponse(page.show(found, form, faults), 422, PAGE_HEADERS)

        async def decide(view: View, _name: str) -> Decision:
            return await touchpoints.answer(token, form, view)

        customer = Principal(touchpoints.read(token), Kind.CUSTOMER, site="")
        try:
            await face.write(customer, "q", once(form), form, decide)
        except Rejected as rejected:
            if rejected.reason is not Reason.ALREADY_ANSWERED:
                raise
            shown = await touchpoints.shown(token, face.view())
            # Nobody here reads these words, so whoever is in danger must not wait for us.
            danger = shown.danger or touchpoints.of_danger(form.text, shown.language)
            body = page.show(replace(shown, danger=danger), form, again=True)
            return HTMLResponse(body, rejected.reason.status, PAGE_HEADERS)
        if wants_page(request.headers.get("accept", ""), request.url.path):
            return to_page(f"/q/{token}")
        shown = await touchpoints.shown(token, face.view())
        return HTMLResponse(page.show(shown, AnswerForm()), headers=PAGE_HEADERS)

    return to


def once(form: AnswerForm) -> str:
    """The name of an answer: the same one sent twice is taken once."""
    return sha256(form.model_dump_json().encode()).hexdigest()


async def answer_in(request: Request) -> AnswerForm:
    """The form that a browser sends, with its text as it is read."""
    form = AnswerForm(**await chosen_in(request, FIELDS_MAX))
    text = form.text.replace("\r\n", "\n").strip()
    return form.model_copy(update={"text": text if visible(text) else ""})
