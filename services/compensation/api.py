"""The HTTP face of compensation: what may I give, give it, and what became of it.

Answers are small and one screen is one round trip: reads carry an ETag and are compressed.
"""

# Annotations are evaluated here and not postponed: they name dependencies made in `api`.

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs

import segno
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator
from starlette.middleware.gzip import GZipMiddleware

from services.compensation.domain.checks import Check
from services.compensation.domain.incidents import Incident
from services.compensation.domain.offers import Offer
from services.compensation.examples import documented
from services.compensation.handlers.giving import Giving, IssueCheck
from services.compensation.handlers.incidents import Incidents, OpenIncident
from services.compensation.handlers.life import Explain, Life, Nothing
from services.compensation.handlers.offers import Choose, MakeOffer, Offers
from services.compensation.handlers.situation import Situations, desk_keys
from services.compensation.handlers.staff import CheckIn, Staff
from services.compensation.handlers.tills import Capture, Reserve, Tills
from services.compensation.page import Page
from services.compensation.ports import CodeMaker
from shared.contracts.compensation import (
    CheckExplained,
    CheckIssued,
    CheckRefused,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    IncidentClosed,
    IncidentGiving,
    IncidentOpened,
    OfferMade,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
    SafetyNoted,
    ShiftEnded,
    ShiftStarted,
)
from shared.contracts.decision import Decision
from shared.contracts.event import ID_PATTERN, Fact
from shared.contracts.names import named
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, EmployeeListing
from shared.runtime.auth import Kind, Principal
from shared.runtime.faults import Rejected
from shared.runtime.http import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NO_STORE,
    ON_TO_PAGE,
    Face,
    problem_body,
    shown,
    to_page,
)
from shared.runtime.links import Tokens, check_link, offer_link
from shared.runtime.pages import HTML, PAGE_HEADERS, wants_page
from shared.runtime.settle import Settler
from shared.runtime.snapshot import Snapshot

Identifier = Annotated[str, Path(pattern=ID_PATTERN, max_length=128)]
Token = Annotated[str, Path(max_length=1024)]
#: Below this, compressing costs more than it saves.
GZIP_FROM_BYTES = 512
PAGE_MAX = 50
#: A day, a dot and an id.
CURSOR_CHARS_MAX = 10 + 1 + 128
#: The body of a command that is all in its address: none, or an empty object.
NOTHING = Nothing()
#: What a phone needs of a check it has just given.
ISSUED = (
    "check_id", "complaint_id", "item", "kind", "value_minor", "currency", "percent",
    "bill_up_to_minor", "valid_until", "explain_by", "regime", "information", "left",
    "reachable",
)  # fmt: skip


class Svg(Response):
    """A picture."""

    media_type = "image/svg+xml"


def picture(text: str) -> Response:
    """A text as a QR code; it has a secret in it, so nothing keeps it."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="svg", scale=6, border=4)
    return Svg(drawn.getvalue(), headers=NO_STORE)


@dataclass(frozen=True)
class Desks:
    """Everything the routes call."""

    situations: Situations
    giving: Giving
    offers: Offers
    life: Life
    tills: Tills
    incidents: Incidents
    staff: Staff
    codes: CodeMaker
    links: Tokens
    page: Page
    public_url: str
    #: The notifier's pages of checks, where customers answer.
    answers: Tokens
    answers_url: str


def api(face: Face, desks: Desks, settler: Settler) -> FastAPI:
    """The routes."""
    app = face.api(
        "compensation",
        "Every employee has authority. What does not fit is answered with what does.",
    )
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM_BYTES)
    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]
    till = Annotated[Principal, face.principal(Kind.TILL, Kind.EMPLOYEE)]
    personnel = Annotated[Principal, face.principal(Kind.PERSONNEL)]

    async def act(
        principal: Principal,
        route: str,
        key: str,
        command: Any,
        decide: Callable[[Snapshot, str], Awaitable[Decision]],
        reads: tuple[str, ...] = (),
    ) -> Response:
        def answer(fact: Fact) -> tuple[int, Mapping[str, Any]]:
            return answered(fact, desks)

        return await face.write(principal, route, key, command, decide, answer, reads)

    # ---- one screen each -----------------------------------------------------------------------

    @app.get("/v1/me/authority", responses=documented(_200="authority"))
    async def my_authority(principal: employee, etag: IF_NONE_MATCH = None) -> Response:
        """What I may give: per scope the ceiling, what is used, held and left, and until when."""
        per_check, standings = await desks.staff.authority(principal, settler.look())
        scopes = [
            {
                "scope": one.limit.scope,
                "ceiling_minor": one.limit.ceiling_minor,
                "used_minor": one.used,
                "held_minor": one.held,
                "left_minor": max(0, one.limit.ceiling_minor - one.used - one.held),
                "until": one.limit.until,
            }
            for one in standings
        ]
        return shown(etag, {"per_check_minor": per_check, "scopes": scopes})

    @app.get("/v1/options", responses=documented(_200="options"))
    async def options(
        principal: employee,
        etag: IF_NONE_MATCH = None,
        complaint: Annotated[str | None, Query(pattern=ID_PATTERN, max_length=128)] = None,
        customer: Annotated[
            str | None, Query(min_length=1, max_length=128), AfterValidator(named)
        ] = None,
    ) -> Response:
        """What may I give now, best first and why: for a complaint, or to a customer on the spot."""
        if (complaint is None) == (customer is None):
            raise Rejected(Reason.SCHEMA_INVALID, where=("/complaint", "/customer"))
        found = await desks.giving.possible(complaint, customer, principal, settler.look())
        return shown(
            etag,
            {
                "reason": found.reason,
                "severity": found.severity,
                "options": found.options,
                "left": found.left,
                "history": found.history,
                "incident": found.incident_option
                and {"incident_id": found.incident_id, "option": found.incident_option},
                "regime": found.regime,
                "information": found.information,
            },
        )

    # ---- giving --------------------------------------------------------------------------------

    @app.post("/v1/checks", status_code=201, responses=documented(_201="issued", _409="refused"))
    async def issue_check(
        command: IssueCheck, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Give a service check: 201 with its code, or 409 with what does fit.

        What was told on the spot is a complaint either way: after a 409 the next wish names its
        `complaint_id`, or it is written down a second time.
        """
        reads = (*desk_keys(principal), f"case:{command.complaint_id}")
        return await act(
            principal,
            "checks",
            key,
            command,
            lambda snapshot, name: desks.giving.issue_check(command, principal, name, snapshot),
            reads,
        )

    @app.post("/v1/offers", status_code=201, responses=documented(_201="offered", _409="refused"))
    async def make_offer(command: MakeOffer, principal: employee, key: IDEMPOTENCY_KEY) -> Response:
        """Let the customer choose between two or three: 201, or 409 with what does fit."""
        return await act(
            principal,
            "offers",
            key,
            command,
            lambda snapshot, name: desks.offers.make(command, principal, name, snapshot),
        )

    @app.post("/v1/offers/{offer_id}/choice", status_code=201)
    async def choose(
        offer_id: Identifier, command: Choose, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """The customer's choice on the employee's screen: the check with its code."""

        async def decide(snapshot: Snapshot, _: str) -> Decision:
            await desks.situations.desk(principal, snapshot)
            return await desks.offers.choose(offer_id, command.item, principal.site, snapshot)

        return await act(principal, f"offers/{offer_id}/choice", key, command, decide)

    # ---- checks --------------------------------------------------------------------------------

    @app.get("/v1/checks")
    async def list_checks(
        principal: employee,
        etag: IF_NONE_MATCH = None,
        complaint: Annotated[str | None, Query(pattern=ID_PATTERN, max_length=128)] = None,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    ) -> Response:
        """The checks of a complaint, or mine of a day (today's without a cursor), newest first."""
        page = await desks.life.listed(principal, complaint, cursor, limit, settler.look())
        checks = [summary(check_id, check) for check_id, check in page.checks]
        return shown(etag, {"checks": checks, "next": page.next_cursor})

    @app.get("/v1/checks/{check_id}")
    async def look(
        check_id: Identifier, principal: employee, etag: IF_NONE_MATCH = None
    ) -> Response:
        """One check, without its code."""
        snapshot = settler.look()
        check = await desks.life.look(check_id, principal, snapshot)
        explanation = await desks.life.explanation(check, principal, snapshot)
        return shown(etag, {**summary(check_id, check), "explanation": explanation})

    @app.get("/v1/checks/{check_id}/qr.svg", response_class=Svg)
    async def qr(check_id: Identifier, principal: employee) -> Response:
        """The code as a picture for the customer's phone, for who gave the check."""
        return picture(await desks.life.code(check_id, principal, settler.look()))

    @app.get("/v1/checks/{check_id}/page.svg", response_class=Svg)
    async def check_page(check_id: Identifier, principal: employee) -> Response:
        """The link to the check's page as a picture: the whole letter, for a customer without e-mail."""
        snapshot = settler.look()
        check = await desks.life.own(check_id, principal, snapshot)
        return picture(
            check_link(
                desks.answers, desks.answers_url, check.complaint_id, check_id, check.valid_until
            )
        )

    @app.get("/v1/offers/{offer_id}/page.svg", response_class=Svg)
    async def offer_link_shown(offer_id: Identifier, principal: employee) -> Response:
        """The link to an offer's page as a picture, for who made the offer."""
        made = await desks.offers.page_of(offer_id, principal, settler.look())
        return picture(offer_link(desks.links, desks.public_url, offer_id, made.expires_at))

    @app.post("/v1/checks/{check_id}/void")
    async def void(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Take a check back: what was not redeemed is authority again."""
        return await act(
            principal,
            f"checks/{check_id}/void",
            key,
            command,
            lambda snapshot, _: desks.life.void(check_id, principal, snapshot),
        )

    @app.post("/v1/checks/{check_id}/explain")
    async def explain(
        check_id: Identifier, command: Explain, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Why the stretch, in one line."""
        return await act(
            principal,
            f"checks/{check_id}/explain",
            key,
            command,
            lambda snapshot, _: desks.life.explain(check_id, command, principal, snapshot),
        )

    @app.post("/v1/checks/{check_id}/suspend")
    async def suspend(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Stop a check from being redeemed for now: its code was lost or copied."""
        return await act(
            principal,
            f"checks/{check_id}/suspend",
            key,
            command,
            lambda snapshot, _: desks.life.suspend(check_id, principal, snapshot),
        )

    @app.post("/v1/checks/{check_id}/resume")
    async def resume(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Let a suspended check be redeemed again."""
        return await act(
            principal,
            f"checks/{check_id}/resume",
            key,
            command,
            lambda snapshot, _: desks.life.resume(check_id, principal, snapshot),
        )

    # ---- tills ---------------------------------------------------------------------------------

    @app.post(
        "/v1/redemptions",
        responses=documented(
            _200="reserved",
            _409=(
                "not_redeemable",
                "own_check",
                "not_valid_here",
                "not_in_parts",
                "amount_missing",
                "amount_too_large",
                "on_hold",
            ),
            _429="too_many_tries",
        ),
    )
    async def reserve(command: Reserve, principal: till, key: IDEMPOTENCY_KEY) -> Response:
        """Hold a part of a check by its code, or redeem it at once.

        Of a percentage `amount_minor` is the discount, not the bill. A 409 says in `left_minor` how
        much may be taken now, and of a percentage also `percent` and `bill_up_to_minor`.
        """
        return await act(
            principal,
            "redemptions",
            key,
            command,
            lambda snapshot, name: desks.tills.reserve(command, principal, name, snapshot),
        )

    @app.post(
        "/v1/redemptions/{redemption_id}/capture",
        responses=documented(
            _200="captured", _409=("own_check", "hold_gone", "not_in_parts", "amount_too_large")
        ),
    )
    async def capture(
        redemption_id: Identifier, command: Capture, principal: till, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Redeem what is held, or less of it."""
        return await act(
            principal,
            f"redemptions/{redemption_id}/capture",
            key,
            command,
            lambda snapshot, _: desks.tills.capture(redemption_id, command, principal, snapshot),
        )

    @app.post("/v1/redemptions/{redemption_id}/cancel")
    async def cancel(
        redemption_id: Identifier,
        principal: till,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Free what is held."""
        return await act(
            principal,
            f"redemptions/{redemption_id}/cancel",
            key,
            command,
            lambda snapshot, _: desks.tills.cancel(redemption_id, principal, snapshot),
        )

    @app.post("/v1/redemptions/{redemption_id}/rollback")
    async def roll_back(
        redemption_id: Identifier,
        principal: till,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Put on the check again what was redeemed."""
        return await act(
            principal,
            f"redemptions/{redemption_id}/rollback",
            key,
            command,
            lambda snapshot, _: desks.tills.roll_back(redemption_id, principal, snapshot),
        )

    # ---- incidents -----------------------------------------------------------------------------

    @app.get("/v1/incidents")
    async def open_incidents(principal: employee, etag: IF_NONE_MATCH = None) -> Response:
        """The open incidents of my site."""
        found = await desks.incidents.open_ones(principal, settler.look())
        return shown(etag, {"incidents": [progress(name, one) for name, one in found.items()]})

    @app.get("/v1/incidents/{incident_id}")
    async def look_at_incident(
        incident_id: Identifier, principal: employee, etag: IF_NONE_MATCH = None
    ) -> Response:
        """One incident and how far the giving came."""
        incident = await desks.incidents.look(incident_id, principal, settler.look())
        return shown(etag, progress(incident_id, incident))

    @app.post("/v1/incidents", status_code=201)
    async def open_incident(
        command: OpenIncident, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Say that it is an incident, before the count does."""
        return await act(
            principal,
            "incidents",
            key,
            command,
            lambda snapshot, name: desks.incidents.open(command, principal, name, snapshot),
        )

    @app.post("/v1/incidents/{incident_id}/give", status_code=202)
    async def give(
        incident_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Give the group check to all who are affected; look at the incident for progress."""
        return await act(
            principal,
            f"incidents/{incident_id}/give",
            key,
            command,
            lambda snapshot, _: desks.incidents.give(incident_id, principal, snapshot),
        )

    @app.post("/v1/incidents/{incident_id}/close")
    async def close(
        incident_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """It is over."""
        return await act(
            principal,
            f"incidents/{incident_id}/close",
            key,
            command,
            lambda snapshot, _: desks.incidents.close(incident_id, principal, snapshot),
        )

    # ---- staff ---------------------------------------------------------------------------------

    @app.put("/v1/employees/{employee_id}")
    async def list_employee(
        employee_id: Identifier,
        command: EmployeeListing,
        principal: personnel,
        key: IDEMPOTENCY_KEY,
    ) -> Response:
        """A personnel system lists an employee of its site."""
        return await act(
            principal,
            f"employees/{employee_id}",
            key,
            command,
            lambda snapshot, _: desks.staff.list_employee(
                employee_id, command, principal, snapshot
            ),
        )

    @app.post("/v1/me/shift")
    async def check_in(command: CheckIn, principal: employee, key: IDEMPOTENCY_KEY) -> Response:
        """I work now, whatever the roster says."""
        return await act(
            principal,
            "me/shift",
            key,
            command,
            lambda snapshot, _: desks.staff.check_in(command, principal, snapshot),
        )

    @app.post("/v1/me/shift/end")
    async def check_out(
        principal: employee, key: IDEMPOTENCY_KEY, command: Nothing = NOTHING
    ) -> Response:
        """I do not work any more."""
        return await act(
            principal,
            "me/shift/end",
            key,
            command,
            lambda snapshot, _: desks.staff.check_out(principal, snapshot),
        )

    # ---- the customer's page -------------------------------------------------------------------

    async def read(token: str, request: Request) -> str:
        """The offer of a link; a page that must be refused is in the customer's language."""
        offer_id = desks.links.told(token).get("offer")
        if offer_id is not None:
            made = await settler.look().get(Offer, offer_id)
            request.state.language = made.language if made is not None else None
        return desks.links.read(token)["offer"]

    async def offer_shown(offer_id: str, token: str, status: int = 200) -> Response:
        shown = await desks.offers.shown(offer_id, settler.look())
        return HTMLResponse(desks.page.show(shown, token), status, PAGE_HEADERS)

    @app.get("/o/{token}", response_class=HTMLResponse)
    async def offer_page(token: Token, request: Request) -> Response:
        """The page where a customer chooses, and sees afterwards what they chose."""
        return await offer_shown(await read(token, request), token)

    @app.post(
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

        made = await desks.offers.offered(offer_id, None, settler.look())
        form = parse_qs((await request.body()).decode(errors="replace"))
        item = (form.get("item") or [""])[0]
        if item not in {one.item for one in made.options}:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        if made.item == item:
            return await after(200)
        customer = Principal(made.complaint_id, Kind.CUSTOMER, site="")

        async def decide(snapshot: Snapshot, _: str) -> Decision:
            return await desks.offers.choose(offer_id, item, None, snapshot)

        try:
            await act(customer, "offers/choice", f"{offer_id}/{item}", Choose(item=item), decide)
        except Rejected as rejected:
            if rejected.reason is not Reason.OFFER_CLOSED:
                raise
            return await after(409)
        return await after(200)

    return app


def summary(check_id: str, check: Check) -> dict[str, Any]:
    """A check as its site sees it: no code, no account, nothing of the customer."""
    hidden = {
        "code",
        "code_hash",
        "debits",
        "policy_version",
        "holds",
        "captured",
        "captured_before",
        "customer_ref",
        "explanation",
        "ended",
        "suspended",
    }
    return {
        "check_id": check_id,
        **check.model_dump(mode="json", exclude=hidden),
        "state": check.state,
        "redeemed_minor": check.redeemed_minor,
        "left_minor": check.left_minor,
    }


def progress(incident_id: str, incident: Incident) -> dict[str, Any]:
    """An incident and how far the giving came."""
    return {
        "incident_id": incident_id,
        **incident.model_dump(mode="json", exclude={"policy_version"}),
        "remaining": incident.affected - incident.done,
    }


def answered(fact: Fact, desks: Desks) -> tuple[int, Mapping[str, Any]]:
    """How each fact looks as an answer: its status, and what a phone or a till needs of it."""
    match fact:
        case CheckIssued():
            body = fact.model_dump(mode="json", include=set(ISSUED))
            link = check_link(
                desks.answers,
                desks.answers_url,
                fact.complaint_id,
                fact.check_id,
                fact.valid_until,
            )
            return 201, {**body, "code": desks.codes.code(fact.check_id), "link": link}
        case CheckRefused():
            return 409, {
                "type": Reason.AUTHORITY_EXHAUSTED,
                "title": "this does not fit; these do",
                "status": 409,
                # The next wish is for this one, also where it was written down on the spot.
                "complaint_id": fact.complaint_id,
                "bound_by": fact.bound_by,
                "left": fact.left,
                "alternatives": fact.alternatives,
                "colleague_id": fact.colleague_id,
                "regime": fact.regime,
                "information": fact.information,
                "reachable": fact.reachable,
            }
        case SafetyNoted():  # the last fact of a wish that came a moment after a colleague's
            return 409, problem_body(409, Reason.ALREADY_COMPENSATED)
        case OfferMade():
            link = offer_link(desks.links, desks.public_url, fact.offer_id, fact.expires_at)
            wanted = {
                "offer_id",
                "complaint_id",
                "options",
                "regime",
                "information",
                "expires_at",
                "reachable",
            }
            body = fact.model_dump(mode="json", include=wanted)
            return 201, {**body, "link": link}
        case IncidentOpened():
            hidden = {"complaint_ids", "customers", "policy_version"}
            return 201, fact.model_dump(mode="json", exclude=hidden)
        case IncidentGiving():
            return 202, fact.model_dump(mode="json")
        case CheckExplained():
            return 200, fact.model_dump(mode="json", exclude={"explanation"})
        case (
            CheckVoided() | CheckSuspended() | CheckResumed() | IncidentClosed() | EmployeeListed()
            | ShiftStarted() | ShiftEnded() | RedemptionReserved() | RedemptionCaptured()
            | RedemptionCancelled() | RedemptionRolledBack()
        ):  # fmt: skip
            return 200, fact.model_dump(mode="json", exclude={"credits"})
        case _:
            raise AssertionError(f"{fact.TYPE} is no answer")
