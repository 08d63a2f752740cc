"""The HTTP face of the survey: the page behind its link, and the form.

Opening the link changes nothing, because mail scanners open links too; only the form does.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from services.notifier.survey.handlers import Surveys
from services.notifier.survey.page import SurveyPage
from services.notifier.survey.rules import WrongScores, scores_of
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

#: A site asks three questions at most; whoever sends more fields is no browser.
FIELDS_MAX = 10


class SurveyForm(BaseModel):
    """What a customer chose: a field for each question of the site's policy, by the question's id."""

    model_config = ConfigDict(
        json_schema_extra={
            "maxProperties": FIELDS_MAX,
            "properties": {},
            "additionalProperties": {
                "type": "string",
                "maxLength": 2,
                "description": "The score on the question's scale; of yes and no, 1 and 0.",
            },
            "examples": [{"ease": "4", "come-again": "1"}],
        }
    )


class GivenScores(BaseModel):
    """The form as a command: the scores, by question."""

    scores: dict[str, int]


def routes(face: Face, surveys: Surveys, page: SurveyPage) -> Routes:
    """The routes."""
    to = Routes(face)

    async def shown(
        token: str, chosen: Mapping[str, str], wrong: tuple[str, ...] | None = None
    ) -> Response:
        found = await surveys.shown(token, face.view())
        body = page.show(found, f"/f/survey/{token}", chosen, wrong)
        taken = wrong is None or found.answered
        return HTMLResponse(body, 200 if taken else 422, PAGE_HEADERS)

    async def addressed(token: str, request: Request) -> None:
        """Notes the customer, for a refusal's page."""
        request.state.addressee = await surveys.addressee_of(token, face.view())

    @to.link(
        "GET", "/f/survey/{token}", refuses=(Reason.UNKNOWN_SITE,), response_class=HTMLResponse
    )
    async def show_survey(token: Token, request: Request) -> Response:
        """The site's questions about how a complaint was handled, or thanks once they are answered."""
        await addressed(token, request)
        return await shown(token, {})

    @to.link(
        "POST",
        "/f/survey/{token}",
        refuses=(Reason.UNKNOWN_SITE, Reason.ALREADY_ANSWERED),
        response_class=HTMLResponse,
        form=SurveyForm,
    )
    async def answer_survey(token: Token, request: Request) -> Response:
        """The customer's answers, one field for each question; the answer is the page, for a browser by a redirect.

        The first answers after a close count, and nothing changes them: the page says so of others. The same again are thanked for.
        """
        await addressed(token, request)
        complaint_id, round_ = surveys.read(token)
        chosen = await chosen_in(request, FIELDS_MAX)
        questions = (await surveys.shown(token, face.view())).questions
        try:
            scores = scores_of(questions, chosen)
        except WrongScores as error:
            return await shown(token, chosen, error.questions)

        async def decide(view: View, _name: str) -> Decision:
            return await surveys.answer(token, questions, scores, view)

        customer = Principal(complaint_id, Kind.CUSTOMER, site="")
        command = GivenScores(scores=scores)
        try:
            await face.write(customer, "survey", once(round_, scores), command, decide)
        except Rejected as rejected:
            if rejected.reason is not Reason.ALREADY_ANSWERED:
                raise
            body = page.before(await surveys.shown(token, face.view()))
            return HTMLResponse(body, rejected.reason.status, PAGE_HEADERS)
        if wants_page(request.headers.get("accept", ""), request.url.path):
            return to_page(f"/f/survey/{token}")
        return await shown(token, {})

    return to


def once(round_: int, scores: Mapping[str, int]) -> str:
    """The name of the answers after a close: the same ones sent twice are taken once."""
    told = "/".join(f"{name}={score}" for name, score in sorted(scores.items()))
    return f"{round_}/{sha256(told.encode()).hexdigest()[:32]}"
