"""The pages behind a customer's link; opening one changes nothing, because mail scanners open links too."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated

from fastapi import Path, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from services.complaints.customer.export import ExportedCustomer
from services.complaints.selfservice.handlers import SelfService
from services.complaints.selfservice.page import WORDS_CHARS_MAX, Page
from services.complaints.selfservice.rules import VALID_FOR
from shared.contracts.complaints import Action, ConfirmationGiven
from shared.contracts.names import visible
from shared.contracts.notifier import Helped
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import body_of, to_page
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face, Written
from shared.runtime.http.inputs import form_of
from shared.runtime.http.pages import PAGE_HEADERS, Fault, wants_json, wants_page
from shared.runtime.http.routes import Routes, Token
from shared.runtime.words import say

#: Fields of a form that are read; ours have two.
FIELDS_MAX = 8
#: What names a request of a form, as `secrets.token_urlsafe` makes it.
ONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: When what was done too often in a day may be tried again.
LATER_S = 3600
#: What is shown on the page, and not instead of it, by the part of the page that it is about.
ON_PAGE = {
    Reason.WRONG_STATE: ("mine.fault.state", "standing"),
    Reason.COMPLAINT_MERGED: ("mine.fault.merged", "standing"),
    Reason.IDEMPOTENCY_KEY_REUSED: ("mine.fault.sent_before", "standing"),
    Reason.SCHEMA_INVALID: ("mine.fault.button", "standing"),
    Reason.TOO_MANY_WORDS: ("mine.fault.too_many_words", "text"),
    Reason.TOO_MANY_CODES: ("mine.fault.too_many_codes", "data"),
    Reason.NO_CONTACT: ("mine.fault.no_contact", "data"),
}
#: The same on the page on which a code is entered.
ON_CODE = {
    Reason.CODE_WRONG: ("mine.fault.code_wrong", "code"),
    Reason.ADDRESS_REFUSED: ("mine.fault.email", "email"),
    Reason.IDEMPOTENCY_KEY_REUSED: ("mine.fault.sent_before", "code"),
}
GONE = (Reason.UNKNOWN_SITE, Reason.KEY_NOT_YET_KNOWN, Reason.WRAPPING_KEY_MISSING)


REFUSED = (*GONE, *ON_PAGE)
#: What a form leads to, in the view of its decision and under the name of its request.
Decide = Callable[[View, str], Awaitable[Decision]]


_NAME = "kZ2v6rQ1xY8bN4mT0cLwEg"
Text = Annotated[
    str, Field(description="What they write.", json_schema_extra={"maxLength": WORDS_CHARS_MAX})
]


class OnceForm(BaseModel):
    """What every form of the page says; a field that is not there is empty."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"once": _NAME}]})

    once: Annotated[
        str,
        Field(
            description="Names the request, as the page has it: what is sent twice is done once.",
            json_schema_extra={"pattern": f"^{ONCE.pattern}$"},
        ),
    ] = ""


class WordsForm(OnceForm):
    """What a customer adds to their complaint, or answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["text"],
            "examples": [{"once": _NAME, "text": "It was the left lift."}],
        }
    )

    text: Text = ""


class HelpedForm(OnceForm):
    """Whether what was done helped, with a line or without."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["action"],
            "examples": [{"once": _NAME, "action": "no", "text": "It is still cold."}],
        }
    )

    action: Annotated[
        str, Field(description="Whether it helped.", json_schema_extra={"enum": [*Helped]})
    ] = ""
    text: Text = ""


class WishForm(OnceForm):
    """What a customer wants to do with their data, for which a code is sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["action"],
            "examples": [{"once": _NAME, "action": "export"}],
        }
    )

    action: Annotated[
        str, Field(description="What the code is for.", json_schema_extra={"enum": [*Action]})
    ] = ""


class CodeForm(OnceForm):
    """The code that was sent, and where the customer wants to be written to, if they change that."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["code"], "examples": [{"once": _NAME, "code": "482913"}]}
    )

    code: Annotated[
        str,
        Field(
            description="The code; blanks in it are ignored.", json_schema_extra={"maxLength": 12}
        ),
    ] = ""
    email: Annotated[
        str,
        Field(
            description="The new mail address, if that is what the code is for.",
            json_schema_extra={"maxLength": 254},
        ),
    ] = ""


def routes(face: Face, selfservice: SelfService, page: Page) -> Routes:
    """The routes."""
    to = Routes(face)

    async def checked(token: str, request: Request) -> None:
        """Refuse a link that opens nothing; the customer is noted for that page."""
        request.state.addressee = await selfservice.addressee_of(token, face.view())
        await selfservice.opened(token, face.view())

    async def write(token: str, what: str, form: OnceForm, decide: Decide) -> Written:
        """Settle what a form asks for, once however often it is sent."""
        complaint_id, _ = await selfservice.opened(token, face.view())
        customer = Principal(complaint_id, Kind.CUSTOMER, site="")
        told = sha256(form.model_dump_json().encode()).hexdigest()
        key = form.once if ONCE.fullmatch(form.once) else told
        return await face.write(customer, f"mine/{what}", key, form, decide)

    async def shown(
        token: str, status: int = 200, fault: tuple[str, str] | None = None, text: str = ""
    ) -> Response:
        found = await selfservice.shown(token, face.view())
        said = None if fault is None else Fault(say(found.language, fault[0]), fault[1])
        body = page.show(found, token, once(), fault=said, text=text)
        later = {"Retry-After": str(LATER_S)} if status == 429 else {}
        return HTMLResponse(body, status, {**PAGE_HEADERS, **later})

    async def code_shown(token: str, wrong: Reason | None = None, email: str = "") -> Response:
        """The page for a code while one is taken, else the complaint's."""
        code = await selfservice.asked_for(token, face.view())
        status = wrong.status if wrong is not None else 200
        if code is None:
            over = ("mine.fault.code_over", "data")
            return await shown(token, status, over if wrong else None)
        found = await selfservice.shown(token, face.view())
        fault = Fault(say(found.language, ON_CODE[wrong][0]), ON_CODE[wrong][1]) if wrong else None
        body = page.ask_code(found, code, token, once(), fault=fault, email=email)
        return HTMLResponse(body, status, PAGE_HEADERS)

    async def done(
        token: str,
        what: str,
        form: OnceForm,
        decide: Decide,
        request: Request,
        *,
        after: str = "",
        text: str = "",
    ) -> Response:
        """Do it and go on to a page; what stands against it is said on the complaint's page."""
        try:
            await write(token, what, form, decide)
        except Rejected as rejected:
            if rejected.reason not in ON_PAGE:
                raise
            fault = ON_PAGE[rejected.reason]
            return await shown(token, rejected.reason.status, fault, text)
        if wants_page(request.headers.get("accept", ""), request.url.path):
            return to_page(f"/m/{token}{after}")
        return await (code_shown(token) if after else shown(token))

    @to.link("GET", "/m/{token}", refuses=GONE, response_class=HTMLResponse)
    async def show_mine(token: Token, request: Request) -> Response:
        """A complaint's page for its customer: what happened, and what they can do."""
        await checked(token, request)
        return await shown(token)

    @to.link("GET", "/m/{token}/code", refuses=GONE, response_class=HTMLResponse)
    async def show_code(token: Token, request: Request) -> Response:
        """The page on which the customer enters the code that was sent to them."""
        await checked(token, request)
        return await code_shown(token)

    @to.link("GET", "/m/{token}/{what}", hidden=True)
    async def back_to_mine(token: Token, what: Annotated[str, Path(max_length=20)]) -> Response:
        """Redirects to the page a browser that goes back to the URL of a form."""
        assert what
        return to_page(f"/m/{token}")

    @to.link(
        "POST", "/m/{token}/words", refuses=REFUSED, response_class=HTMLResponse, form=WordsForm
    )
    async def add_words(token: Token, request: Request) -> Response:
        """Add something, or answer what was asked; the answer is the page, for a browser by a redirect."""
        await checked(token, request)
        form = await form_of(request, WordsForm, FIELDS_MAX)
        text = form.text.replace("\r\n", "\n").strip()
        if len(text) > WORDS_CHARS_MAX or not visible(text):
            return await shown(token, 422, ("mine.fault.words", "text"), text)

        async def decide(view: View, _: str) -> Decision:
            return await selfservice.add_words(*await selfservice.opened(token, view), text, view)

        return await done(token, "words", form, decide, request, text=form.text)

    @to.link(
        "POST", "/m/{token}/helped", refuses=REFUSED, response_class=HTMLResponse, form=HelpedForm
    )
    async def tell_helped(token: Token, request: Request) -> Response:
        """Say whether what was done helped, with a line or without; a no opens the complaint again.

        The answer is the page, for a browser by a redirect.
        """
        await checked(token, request)
        form = await form_of(request, HelpedForm, FIELDS_MAX)
        text = form.text.replace("\r\n", "\n").strip()
        if len(text) > WORDS_CHARS_MAX:
            return await shown(token, 422, ("mine.fault.words", "text"), text)

        async def decide(view: View, _: str) -> Decision:
            if form.action not in set(Helped):
                raise Rejected(Reason.SCHEMA_INVALID, where=("/action",))
            opened = await selfservice.opened(token, view)
            return await selfservice.tell_helped(*opened, Helped(form.action), text, view)

        return await done(token, "helped", form, decide, request, text=form.text)

    @to.link(
        "POST", "/m/{token}/withdraw", refuses=REFUSED, response_class=HTMLResponse, form=OnceForm
    )
    async def withdraw_by_link(token: Token, request: Request) -> Response:
        """Take the complaint back; the answer is the page, for a browser by a redirect."""
        await checked(token, request)

        async def decide(view: View, _: str) -> Decision:
            return await selfservice.withdraw(token, view)

        form = await form_of(request, OnceForm, FIELDS_MAX)
        return await done(token, "withdraw", form, decide, request)

    @to.link("POST", "/m/{token}/code", refuses=REFUSED, response_class=HTMLResponse, form=WishForm)
    async def ask_code(token: Token, request: Request) -> Response:
        """Have a one-time code sent to the known contact; the answer is the page on which it is entered, for a browser by a redirect."""
        await checked(token, request)
        form = await form_of(request, WishForm, FIELDS_MAX)

        async def decide(view: View, name: str) -> Decision:
            if form.action not in set(Action):
                raise Rejected(Reason.SCHEMA_INVALID, where=("/action",))
            return await selfservice.ask_code(token, Action(form.action), name, view)

        return await done(token, "code", form, decide, request, after="/code")

    @to.link(
        "POST",
        "/m/{token}/confirm",
        answers={200: ExportedCustomer},
        form=CodeForm,
        or_page=True,
        refuses=(*REFUSED, *ON_CODE),
    )
    async def enter_code(token: Token, request: Request) -> Response:
        """Enter the code: the answer is the export, a page that says that everything was erased, or the complaint's page.

        The export is JSON if the request accepts JSON and not HTML, otherwise a page.
        """
        await checked(token, request)
        form = await form_of(request, CodeForm, FIELDS_MAX)
        found = await selfservice.shown(token, face.view())
        digits = re.sub(r"\s", "", form.code)

        async def decide(view: View, _: str) -> Decision:
            return await selfservice.enter_code(token, digits, form.email.strip(), view)

        in_json = wants_json(request.headers.get("accept", ""), otherwise=False)
        try:
            written = await write(token, "confirm", form, decide)
        except Rejected as rejected:
            if in_json or rejected.reason not in (*ON_CODE, *ON_PAGE):
                raise
            if rejected.reason in ON_CODE:
                return await code_shown(token, rejected.reason, form.email)
            return await shown(token, rejected.reason.status, ON_PAGE[rejected.reason])
        fact = written.fact
        # Whoever sends the same form again reads it again, as long as the code would have been good.
        given = isinstance(fact, ConfirmationGiven) and face.view().now < fact.given_at + VALID_FOR
        if not given:
            if in_json:
                raise Rejected(Reason.CODE_WRONG)
            return await code_shown(token, Reason.CODE_WRONG, form.email)
        assert isinstance(fact, ConfirmationGiven)
        if fact.action is Action.CONTACT:
            return to_page(f"/m/{token}")
        if fact.action is Action.ERASURE:
            return HTMLResponse(page.erased(found), headers=PAGE_HEADERS)
        exported = await selfservice.exported(token, face.view())
        if in_json:
            return written.response(200, body_of(exported))
        body = await selfservice.export_page(exported, face.view())
        return HTMLResponse(body, headers=PAGE_HEADERS)

    return to


def once() -> str:
    """A name for the next request of a form."""
    return secrets.token_urlsafe(16)
