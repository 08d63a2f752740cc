"""Offers: made, chosen on the employee's screen or on the customer's page."""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from services.compensation.checks.api import Answers
from services.compensation.examples import documented
from services.compensation.offers.handlers import Choose, MakeOffer, Offers
from services.compensation.offers.page import Page
from services.compensation.offers.rules import Offer
from shared.contracts.compensation import OfferMade
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import (
    IDEMPOTENCY_KEY,
    ON_TO_PAGE,
    Face,
    Identifier,
    Svg,
    Token,
    picture,
    to_page,
)
from shared.runtime.http.pages import HTML, PAGE_HEADERS, wants_page
from shared.runtime.privacy.links import Tokens

#: What a phone needs of an offer it has just made.
OFFERED = (
    "offer_id", "complaint_id", "options", "regime", "information", "expires_at", "reachable",
)  # fmt: skip


def routes(
    face: Face,
    handlers: Offers,
    checks: Answers,
    links: Tokens,
    link: Callable[[str, datetime], str],
    page: Page,
    settler: Settler,
) -> APIRouter:
    """The routes."""
    router = APIRouter()

    def answer(fact: Fact) -> tuple[int, Mapping[str, Any]]:
        """An offer with its link; the chosen check, or what does fit, as if it was given at once."""
        if not isinstance(fact, OfferMade):
            return checks(fact)
        body = fact.model_dump(mode="json", include=set(OFFERED))
        return 201, {**body, "link": link(fact.offer_id, fact.expires_at)}

    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]

    @router.post(
        "/v1/offers", status_code=201, responses=documented(_201="offered", _409="refused")
    )
    async def make_offer(command: MakeOffer, principal: employee, key: IDEMPOTENCY_KEY) -> Response:
        """Let the customer choose between two or three: 201, or 409 with what does fit."""
        return await face.write(
            principal,
            "offers",
            key,
            command,
            lambda view, name: handlers.make(command, principal, name, view),
            answer,
        )

    @router.post("/v1/offers/{offer_id}/choice", status_code=201)
    async def choose(
        offer_id: Identifier, command: Choose, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """The customer's choice on the employee's screen: the check with its code."""

        async def decide(view: View, _: str) -> Decision:
            return await handlers.choose_for(offer_id, command.item, principal, view)

        return await face.write(
            principal, f"offers/{offer_id}/choice", key, command, decide, answer
        )

    @router.get("/v1/offers/{offer_id}/page.svg", response_class=Svg)
    async def offer_link_shown(offer_id: Identifier, principal: employee) -> Response:
        """The link to an offer's page as a picture, for who made the offer."""
        made = await handlers.page_of(offer_id, principal, settler.view())
        return picture(link(offer_id, made.expires_at))

    async def read(token: str, request: Request) -> str:
        """The offer of a link; a page that must be refused is in the customer's language."""
        offer_id = links.told(token).get("offer")
        if offer_id is not None:
            made = await settler.view().get(Offer, offer_id)
            request.state.language = made.language if made is not None else None
        return links.read(token)["offer"]

    async def offer_shown(offer_id: str, token: str, status: int = 200) -> Response:
        shown = await handlers.shown(offer_id, settler.view())
        return HTMLResponse(page.show(shown, token), status, PAGE_HEADERS)

    @router.get("/o/{token}", response_class=HTMLResponse)
    async def offer_page(token: Token, request: Request) -> Response:
        """The page where a customer chooses, and sees afterwards what they chose."""
        return await offer_shown(await read(token, request), token)

    @router.post(
        "/o/{token}",
        response_class=HTMLResponse,
        responses={409: {"description": "Not open any more.", "content": {HTML: {}}}, **ON_TO_PAGE},
    )
    async def choose_by_link(token: Token, request: Request) -> Response:
        """The customer's choice; the same choice again is the same choice.

        A browser goes on to the page, which shows what was chosen first.
        """
        offer_id = await read(token, request)

        async def after(status: int) -> Response:
            if wants_page(request.headers.get("accept", ""), request.url.path):
                return to_page(f"/o/{token}")
            return await offer_shown(offer_id, token, status)

        made = await handlers.offered(offer_id, None, settler.view())
        form = parse_qs((await request.body()).decode(errors="replace"))
        item = (form.get("item") or [""])[0]
        if item not in {one.item for one in made.options}:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        if made.item == item:
            return await after(200)
        customer = Principal(made.complaint_id, Kind.CUSTOMER, site="")

        async def decide(view: View, _: str) -> Decision:
            return await handlers.choose(offer_id, item, None, view)

        try:
            await face.write(
                customer, "offers/choice", f"{offer_id}/{item}", Choose(item=item), decide, answer
            )
        except Rejected as rejected:
            if rejected.reason is not Reason.OFFER_CLOSED:
                raise
            return await after(409)
        return await after(200)

    return router
