"""The HTTP face of the notifier: the page behind a check's link, and the answer.

Opening the link changes nothing, because mail scanners open links too; only the button answers.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, ClassVar

from fastapi import Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from services.notifier.feedback.handlers import Feedback
from services.notifier.feedback.page import LINE_CHARS_MAX, Page
from services.notifier.wording.wording import one_line
from shared.contracts.event import ComplaintId
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.answers import Answer, body_of, repeated, to_page
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.inputs import form_of
from shared.runtime.http.pages import PAGE_HEADERS, wants_page
from shared.runtime.http.routes import Routes, Token

#: Read as text, so that a browser that sends another word is answered with the page.
Said = Annotated[
    str,
    Path(
        max_length=20,
        description="Whether it helped.",
        json_schema_extra={"enum": [str(one) for one in Helped]},
    ),
]
#: The form has one field; whoever sends more of them is no browser.
FIELDS_MAX = 10
#: When a line that was one too many in a day may be sent again.
LATER_S = 3600
#: In the query of the page: what the customer wrote a moment ago was taken.
ADDED = "added"


class AnswerForm(BaseModel):
    """What a customer writes with their answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "The soup was hot again."}]})

    text: Annotated[
        str,
        Field(
            description="One line for who gave the check; empty for none.",
            json_schema_extra={"maxLength": LINE_CHARS_MAX},
        ),
    ] = ""


class GiveFeedback(BaseModel):
    """The answer as a command."""

    helped: Annotated[Helped, Field(description="Whether it helped.")]


class HeardFeedback(Answer):
    """The customer's answer, as it was recorded."""

    OF: ClassVar[type[Fact]] = FeedbackReceived
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"helped": "yes", "complaint_id": "co-9f86d081884c7d65"}]}
    )

    helped: Annotated[Helped, Field(description="The answer.")]
    complaint_id: ComplaintId


def routes(face: Face, feedback: Feedback, page: Page) -> Routes:
    """The routes."""
    to = Routes(face)

    async def read(token: str, request: Request) -> tuple[str, str]:
        """Complaint and check of a link; also notes the customer, for a refusal's page."""
        view = face.view()
        request.state.addressee = await feedback.addressee_of(token, view)
        return await feedback.opened(token, view)

    gone = (
        Reason.UNKNOWN_SITE,
        Reason.STORY_NOT_YET_KNOWN,
        Reason.KEY_NOT_YET_KNOWN,
        Reason.WRAPPING_KEY_MISSING,
    )

    @to.link("GET", "/f/{token}", refuses=gone, response_class=HTMLResponse)
    async def show_check(token: Token, request: Request) -> Response:
        """A check's page: everything its letter says, and "did it help?"."""
        shown = await feedback.shown(*await read(token, request))
        added = ADDED in request.query_params
        return HTMLResponse(page.show(shown, token, added=added), headers=PAGE_HEADERS)

    @to.link("GET", "/f/{token}/{helped}", hidden=True)
    async def back_to_page(
        token: Token, _: Annotated[str, Path(alias="helped", max_length=20)]
    ) -> Response:
        """Redirects to the page a browser that goes back to the URL of an answer."""
        return to_page(f"/f/{token}")

    async def not_taken(
        token: str, complaint_id: str, check_id: str, reason: Reason, line: str
    ) -> Response:
        """The page of the check, which says why an answer was not taken, and what was written with it."""
        found = await feedback.shown(complaint_id, check_id)
        body = page.show(found, token, not_taken=reason, line=line)
        later = {"Retry-After": str(LATER_S)} if reason is Reason.TOO_MANY_WORDS else {}
        return HTMLResponse(body, reason.status, {**PAGE_HEADERS, **later})

    @to.link(
        "POST",
        "/f/{token}/{helped}",
        answers={200: HeardFeedback},
        form=AnswerForm,
        refuses=(*gone, Reason.ALREADY_ANSWERED, Reason.SCHEMA_INVALID, Reason.TOO_MANY_WORDS),
    )
    async def give_feedback(token: Token, helped: Said, request: Request) -> Response:
        """The customer's answer, with a line as the form's `text` or without; the same again changes nothing.

        Another line with the same answer is added to it. A browser is redirected to the page. Another answer than the first is not taken: the page says which one counts.
        """
        complaint_id, check_id = await read(token, request)
        line = await line_of(request)
        by_browser = wants_page(request.headers.get("accept", ""), request.url.path)
        wrong = "/text" if len(line) > LINE_CHARS_MAX else None
        if helped not in set(Helped):
            wrong = "/helped"
        if wrong is not None:
            if by_browser:
                return await not_taken(token, complaint_id, check_id, Reason.SCHEMA_INVALID, line)
            raise Rejected(Reason.SCHEMA_INVALID, where=(wrong,))
        helped = Helped(helped)
        customer = Principal(complaint_id, Kind.CUSTOMER, site="")

        async def decide(view: View, _name: str) -> Decision:
            return await feedback.answer(complaint_id, check_id, helped, line, view)

        try:
            written = await face.write(
                customer,
                "feedback",
                key_of(check_id, helped, line),
                GiveFeedback(helped=helped),
                decide,
            )
            response = written.response(200, body_of(HeardFeedback.model_validate(written.fact)))
        except Rejected as rejected:
            if rejected.reason is Reason.LINK_INVALID:
                raise
            if rejected.reason is Reason.TOO_MANY_WORDS:
                if by_browser:
                    return await not_taken(token, complaint_id, check_id, rejected.reason, line)
                raise Unavailable(rejected.reason, retry_after_s=LATER_S) from None
            # The stored response to a request expires after two days; the customer's answer does not.
            known = await feedback.answered(complaint_id, check_id)
            if by_browser and known not in (None, helped):
                return await not_taken(token, complaint_id, check_id, Reason.ALREADY_ANSWERED, line)
            if known is not helped:
                raise
            heard = HeardFeedback(helped=helped, complaint_id=complaint_id)
            response = repeated(body_of(heard))
        return to_page(f"/f/{token}{f'?{ADDED}' if line else ''}") if by_browser else response

    return to


def key_of(check_id: str, helped: Helped, line: str) -> str:
    """The name of an answer: once however often it is sent, and another one with another line."""
    told = f"/{sha256(line.encode()).hexdigest()[:32]}" if line else ""
    return f"{check_id}/{helped}{told}"


async def line_of(request: Request) -> str:
    """What the customer wrote with their answer, without what is not seen; raises Rejected(schema_invalid) for too many fields."""
    return one_line((await form_of(request, AnswerForm, FIELDS_MAX)).text)
