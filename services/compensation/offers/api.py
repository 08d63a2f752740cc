"""The routes of offers: make, choose on the employee's screen or on the customer's page; and a check's page for the till."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from inspect import Parameter
from typing import Annotated, ClassVar

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.compensation.checks.api import (
    TITLED,
    Answers,
    DoesNotFit,
    GivenCheck,
    Reachable,
)
from services.compensation.checks.rules import Check
from services.compensation.offers.handlers import Choose, MakeOffer, Offers, language_of
from services.compensation.offers.page import Page
from services.compensation.offers.rules import Offer
from services.compensation.titles import LAW, LawText, Regime, TitledOption, titled
from shared.contracts.compensation import (
    BillUpTo,
    CheckKind,
    OfferMade,
    Percent,
    ValueMinor,
)
from shared.contracts.complaints import Category
from shared.contracts.event import AmountMinor, CheckId, ComplaintId, Currency, Id
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer, body_of, repeated, to_page
from shared.runtime.http.auth import EMPLOYEE, Kind, Principal
from shared.runtime.http.face import Face, Written
from shared.runtime.http.inputs import Inputs, values_of
from shared.runtime.http.pages import PAGE_HEADERS, Addressee, wants_json, wants_page
from shared.runtime.http.routes import FORM, Ask, Identifier, Routes, Token
from shared.runtime.privacy.links import Tokens
from shared.runtime.words import known_language

#: Reads a choice that is sent as JSON.
IN_JSON = Inputs([Parameter("command", Parameter.KEYWORD_ONLY, annotation=Choose)])


OPEN: JsonDict = {
    "offer_id": "of-24199a388ee0750daf49447ce0889da5",
    "complaint_id": "co-9f86d081884c7d65",
    "reason": "food",
    "expires_at": "2026-06-04T14:00:00Z",
}
#: Fields of a form that are read; ours has one.
FIELDS_MAX = 10


class OfferedChecks(Answer):
    """What a customer may choose between, and where."""

    OF: ClassVar[type[Fact]] = OfferMade
    ANEW: ClassVar[Mapping[str, Sequence[str]]] = {
        "options": ("options", *TITLED),
        "link": ("offer_id", "expires_at"),
    }
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "offer_id": "of-24199a388ee0750daf49447ce0889da5",
                    "complaint_id": "co-9f86d081884c7d65",
                    "options": [
                        {
                            "item": "cinema",
                            "kind": "experience",
                            "value_minor": 25000,
                            "cost_minor": 9000,
                            "currency": "NOK",
                            "fits_reason": False,
                            "why": "",
                            "title": "Cinema",
                        }
                    ],
                    **LAW,
                    "expires_at": "2026-06-04T14:00:00Z",
                    "reachable": True,
                    "link": "https://ship.example/o/eyJhbGciOi...",
                }
            ]
        }
    )

    offer_id: Annotated[Id, Field(description="The offer's id.")]
    complaint_id: ComplaintId
    options: Annotated[list[TitledOption], Field(description="The checks to choose between.")]
    regime: Regime
    information: LawText
    expires_at: Annotated[datetime, Field(description="Until when the customer may choose.")]
    reachable: Reachable
    link: Annotated[str, Field(description="The URL of the page on which the customer chooses.")]


class OpenOffer(Answer):
    """An offer that its customer has not chosen from, as the employee who made it sees it."""

    model_config = ConfigDict(json_schema_extra={"examples": [OPEN]})

    offer_id: Annotated[Id, Field(description="The offer's id.")]
    complaint_id: ComplaintId
    reason: Annotated[Category, Field(description="What went wrong.")]
    expires_at: Annotated[datetime, Field(description="Until when the customer may choose.")]


class OpenOffers(Answer):
    """My open offers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"offers": [OPEN]}]})

    offers: Annotated[
        list[OpenOffer],
        Field(
            description="Those that I made and nobody has chosen from; the one that ends first in front."
        ),
    ]


class ChosenCheck(Answer):
    """The check that the customer chose, as their page shows it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "offer_id": "of-24199a388ee0750daf49447ce0889da5",
                    "check_id": "ck-24199a388ee0750daf49447ce0889da5",
                    "item": "cinema",
                    "title": "Cinema",
                    "kind": "experience",
                    "value_minor": 25000,
                    "left_minor": 25000,
                    "currency": "NOK",
                    "valid_until": "2026-06-10T14:00:00Z",
                    "valid_at": [],
                    "code": "MNP7G-6AX4C-0",
                }
            ]
        }
    )

    offer_id: Annotated[Id, Field(description="The offer's id.")]
    check_id: CheckId
    item: Annotated[Id, Field(description="Name of the check, as the offer has it.")]
    title: Annotated[str, Field(description="Its title, in the customer's language.")]
    kind: Annotated[CheckKind, Field(description="What form it has.")]
    value_minor: ValueMinor
    left_minor: Annotated[
        AmountMinor,
        Field(description="What can still be held or redeemed, in minor units of `currency`."),
    ]
    currency: Currency
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None
    valid_until: Annotated[datetime, Field(description="When its time is over.")]
    valid_at: Annotated[list[Id], Field(description="Where tills take it; everywhere if empty.")]
    code: Annotated[
        str | None, Field(description="The code for tills; null while no till takes the check.")
    ]


def routes(
    face: Face,
    handlers: Offers,
    checks: Answers,
    links: Tokens,
    link: Callable[[str, datetime], str],
    codes: Tokens,
    page: Page,
) -> Routes:
    """The routes."""
    to = Routes(face)
    _for_employees(to, handlers, checks, link)
    _for_customers(to, face, handlers, links, page)
    _for_tills(to, face, handlers, codes, page)
    return to


def _for_employees(
    to: Routes, handlers: Offers, checks: Answers, link: Callable[[str, datetime], str]
) -> None:
    async def answer(fact: Fact, ask: Ask) -> BaseModel:
        """An offer with its link; a check or a refusal as when a check is given at once."""
        if not isinstance(fact, OfferMade):
            return await checks(fact, ask)
        policy = await checks.titles.policy(fact.site, fact.policy_version, ask)
        return OfferedChecks.about(
            fact,
            options=titled(fact.options, (policy,), ask),
            link=link(fact.offer_id, fact.expires_at),
        )

    @to.write(
        "POST",
        "/v1/offers",
        EMPLOYEE,
        {201: OfferedChecks, 409: DoesNotFit},
        shows=answer,
        in_languages=True,
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.COMPLAINT_MERGED,
            Reason.AMOUNT_NOT_OFFERED,
            Reason.ALREADY_COMPENSATED,
            Reason.CUSTOMER_ERASED,
        ),
    )
    async def make_offer(ask: Ask, command: MakeOffer) -> Decision:
        """Let the customer choose between two or three checks: 201, or 409 with checks that fit."""
        return await handlers.make(command, ask.principal, ask.name, ask.view)

    @to.write(
        "POST",
        "/v1/offers/{offer_id}/choice",
        EMPLOYEE,
        {201: GivenCheck},
        shows=answer,
        in_languages=True,
        refuses=(
            Reason.UNKNOWN_OFFER,
            Reason.OFFER_CLOSED,
            Reason.AMOUNT_NOT_OFFERED,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
            Reason.CUSTOMER_ERASED,
        ),
    )
    async def choose_offered(ask: Ask, offer_id: Identifier, command: Choose) -> Decision:
        """Choose for the customer on the employee's screen; the answer is the check with its code."""
        return await handlers.choose_for(offer_id, command.item, ask.principal, ask.view)

    @to.read("/v1/offers", EMPLOYEE, OpenOffers)
    async def list_offers(ask: Ask) -> OpenOffers:
        """The offers that I made and nobody has chosen from."""
        found = await handlers.open_ones(ask.principal, ask.view)
        return OpenOffers(
            offers=[OpenOffer.about(one, offer_id=name) for name, one in found.items()]
        )

    @to.picture("/v1/offers/{offer_id}/page.svg", EMPLOYEE, refuses=(Reason.UNKNOWN_OFFER,))
    async def draw_offer_link(ask: Ask, offer_id: Identifier) -> str:
        """The link to an offer's page as a QR code, for the employee who made the offer."""
        made = await handlers.page_of(offer_id, ask.principal, ask.view)
        return link(offer_id, made.expires_at)


def _for_customers(to: Routes, face: Face, handlers: Offers, links: Tokens, page: Page) -> None:
    async def read(token: str, request: Request) -> str:
        """The offer of a link; also notes the customer, for a refusal's page."""
        offer_id = links.told(token).get("offer")
        if offer_id is not None:
            view = face.view()
            made = await view.get(Offer, offer_id)
            if made is not None:
                request.state.addressee = Addressee(await language_of(made, view), made.site)
        return links.read(token)["offer"]

    async def offer_shown(offer_id: str, token: str, status: int = 200) -> Response:
        shown = await handlers.shown(offer_id, face.view())
        return HTMLResponse(page.show(shown, token), status, PAGE_HEADERS)

    gone = (Reason.UNKNOWN_OFFER, Reason.UNKNOWN_SITE)

    @to.link("GET", "/o/{token}", refuses=gone, response_class=HTMLResponse)
    async def show_offer(token: Token, request: Request) -> Response:
        """The page where a customer chooses, and sees afterwards what they chose."""
        return await offer_shown(await read(token, request), token)

    async def chosen_shown(offer_id: str) -> bytes:
        check_id, check, named = await handlers.given(offer_id, face.view())
        told = ChosenCheck.about(
            check,
            offer_id=offer_id,
            check_id=check_id,
            title=named.title,
            code=named.code or None,
        )
        return body_of(told)

    @to.link(
        "POST",
        "/o/{token}",
        answers={200: ChosenCheck},
        takes=Choose,
        or_page=True,
        refuses=(
            *gone,
            Reason.AMOUNT_NOT_OFFERED,
            Reason.OFFER_CLOSED,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
            Reason.CUSTOMER_ERASED,
        ),
    )
    async def choose_by_link(token: Token, request: Request) -> Response:
        """Choose by the link; the same choice again changes nothing.

        The form of our page is taken as well; it has the one field `item`. A browser is redirected to the page, which shows the first choice. The answer is JSON if the
        request accepts JSON and not HTML, or if its body is JSON and it does not accept HTML; otherwise
        it is the page.
        """
        offer_id = await read(token, request)
        accept = request.headers.get("accept", "")
        by_browser = wants_page(accept, request.url.path)
        in_json = wants_json(accept, otherwise=not _is_form(request))

        async def after(status: int, written: Written | None = None) -> Response:
            if by_browser:
                return to_page(f"/o/{token}")
            if not in_json:
                return await offer_shown(offer_id, token, status)
            content = await chosen_shown(offer_id)
            if written is not None:
                return written.response(status, content)
            return repeated(content, status)

        item = await _item_of(request)
        made = await handlers.linked(offer_id, face.view())
        if item not in {one.item for one in made.options}:
            if not by_browser:
                raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
            shown = await handlers.shown(offer_id, face.view())
            said = page.show(shown, token, unknown_choice=True)
            return HTMLResponse(said, Reason.AMOUNT_NOT_OFFERED.status, PAGE_HEADERS)
        if made.item == item:
            return await after(200)
        customer = Principal(made.complaint_id, Kind.CUSTOMER, site="")

        async def decide(view: View, _: str) -> Decision:
            return await handlers.choose(offer_id, item, None, view)

        try:
            written = await face.write(
                customer, "offers/choice", f"{offer_id}/{item}", Choose(item=item), decide
            )
        except Rejected as rejected:
            if rejected.reason is not Reason.OFFER_CLOSED or in_json:
                raise
            return await after(409)
        return await after(200, written)


def _for_tills(to: Routes, face: Face, handlers: Offers, codes: Tokens, page: Page) -> None:
    gone = (Reason.UNKNOWN_CHECK, Reason.UNKNOWN_SITE)

    @to.link("GET", "/k/{token}", refuses=gone, response_class=HTMLResponse)
    async def show_till_page(token: Token, request: Request) -> Response:
        """A check's code for the till, in letters and as a picture, with its worth, where and until when; printable."""
        told = codes.told(token)
        view, language = face.view(), known_language(told.get("language", ""))
        check = await view.get(Check, told["check"]) if "check" in told else None
        if check is not None:
            request.state.addressee = Addressee(language, check.site)
        found, site_name = await handlers.check_shown(codes.read(token)["check"], language, view)
        return HTMLResponse(page.code(found, language, site_name), headers=PAGE_HEADERS)


def _is_form(request: Request) -> bool:
    """Whether a body is a form; one that says nothing of itself is."""
    kind = request.headers.get("content-type", FORM).partition(";")[0]
    return kind.strip().lower() in ("", FORM)


async def _item_of(request: Request) -> str:
    """The item that a form or a JSON body names; empty if a form names none.

    Raises RequestValidationError for a body that is neither, or is JSON and not a choice.
    """
    if not _is_form(request):
        command = (await IN_JSON.of(request))["command"]
        assert isinstance(command, Choose)
        return command.item
    return (await values_of(request, FIELDS_MAX)).get("item", [""])[0]
