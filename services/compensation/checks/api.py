"""Checks: given, listed, looked at, taken back."""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.handlers import Checks, Explain, IssueCheck
from services.compensation.checks.rules import Check
from services.compensation.examples import documented
from services.compensation.incidents.handlers import Incidents
from services.compensation.staff_context import staff_keys
from shared.contracts.compensation import (
    CheckExplained,
    CheckIssued,
    CheckRefused,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    SafetyNoted,
)
from shared.contracts.event import ID_PATTERN
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NOTHING,
    Face,
    Identifier,
    Nothing,
    Svg,
    picture,
    problem_body,
    recorded,
    shown,
)

PAGE_MAX = 50
#: A day, a moment in µs with its sign, and an id, with dots between.
CURSOR_CHARS_MAX = 10 + 1 + 17 + 1 + 128
#: What a phone needs of a check it has just given.
ISSUED = (
    "check_id", "complaint_id", "item", "kind", "value_minor", "currency", "percent",
    "bill_up_to_minor", "valid_until", "explain_by", "regime", "information", "left",
    "reachable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """How each fact of a check looks as an answer."""

    codes: Codes
    #: The check's page, where its customer answers: by complaint, check and the end of its time.
    link: Callable[[str, str, datetime], str]

    def __call__(self, fact: Fact) -> tuple[int, Mapping[str, Any]]:
        """The status of the answer, and what a phone needs of the fact."""
        match fact:
            case CheckIssued():
                body = fact.model_dump(mode="json", include=set(ISSUED))
                link = self.link(fact.complaint_id, fact.check_id, fact.valid_until)
                return 201, {**body, "code": self.codes.code(fact.check_id), "link": link}
            case CheckRefused():
                return does_not_fit(fact)
            case SafetyNoted():  # the last fact of a wish that came a moment after a colleague's
                return 409, problem_body(Reason.ALREADY_COMPENSATED)
            case CheckExplained():
                return recorded(fact, CheckExplained, hidden=("explanation",))
            case _:
                return recorded(
                    fact, CheckVoided, CheckSuspended, CheckResumed, hidden=("credits",)
                )


def does_not_fit(fact: CheckRefused) -> tuple[int, Mapping[str, Any]]:
    """The answer to a wish that does not fit: what binds, and what does fit."""
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


def routes(
    face: Face, handlers: Checks, incidents: Incidents, answer: Answers, settler: Settler
) -> APIRouter:
    """The routes."""
    router = APIRouter()
    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]

    @router.post("/v1/checks", status_code=201, responses=documented(_201="issued", _409="refused"))
    async def issue_check(
        command: IssueCheck, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Give a service check: 201 with its code, or 409 with what does fit.

        What was told on the spot is a complaint either way: after a 409 the next wish names its
        `complaint_id`, or it is written down a second time.
        """

        async def decide(view: View, name: str) -> Decision:
            if command.incident_id is not None:
                return await incidents.give_one(command, principal, view)
            return await handlers.issue_check(command, principal, name, view)

        reads = (*staff_keys(principal), Case.key(command.complaint_id or ""))
        return await face.write(principal, "checks", key, command, decide, answer, reads)

    @router.get("/v1/checks")
    async def list_checks(
        principal: employee,
        etag: IF_NONE_MATCH = None,
        complaint: Annotated[str | None, Query(pattern=ID_PATTERN, max_length=128)] = None,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    ) -> Response:
        """The checks of a complaint, or mine of a day (today's without a cursor), newest first."""
        page = await handlers.listed(principal, complaint, cursor, limit, settler.view())
        found = [summary(check_id, check) for check_id, check in page.checks]
        return shown(etag, {"checks": found, "next": page.next_cursor})

    @router.get("/v1/checks/{check_id}")
    async def look(
        check_id: Identifier, principal: employee, etag: IF_NONE_MATCH = None
    ) -> Response:
        """One check, without its code."""
        view = settler.view()
        check = await handlers.look(check_id, principal, view)
        explanation = await handlers.explanation(check, principal, view)
        return shown(etag, {**summary(check_id, check), "explanation": explanation})

    @router.get("/v1/checks/{check_id}/qr.svg", response_class=Svg)
    async def qr(check_id: Identifier, principal: employee) -> Response:
        """The code as a picture for the customer's phone, for who gave the check."""
        return picture(await handlers.code(check_id, principal, settler.view()))

    @router.get("/v1/checks/{check_id}/page.svg", response_class=Svg)
    async def check_page(check_id: Identifier, principal: employee) -> Response:
        """The link to the check's page as a picture: the whole letter, for a customer without e-mail."""
        check = await handlers.own(check_id, principal, settler.view())
        return picture(answer.link(check.complaint_id, check_id, check.valid_until))

    @router.post("/v1/checks/{check_id}/void")
    async def void(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Take a check back: what was not redeemed is authority again."""
        return await face.write(
            principal,
            f"checks/{check_id}/void",
            key,
            command,
            lambda view, _: handlers.void(check_id, principal, view),
            answer,
        )

    @router.post("/v1/checks/{check_id}/explain")
    async def explain(
        check_id: Identifier, command: Explain, principal: employee, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Why the stretch, in one line."""
        return await face.write(
            principal,
            f"checks/{check_id}/explain",
            key,
            command,
            lambda view, _: handlers.explain(check_id, command, principal, view),
            answer,
        )

    @router.post("/v1/checks/{check_id}/suspend")
    async def suspend(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Stop a check from being redeemed for now: its code was lost or copied."""
        return await face.write(
            principal,
            f"checks/{check_id}/suspend",
            key,
            command,
            lambda view, _: handlers.suspend(check_id, principal, view),
            answer,
        )

    @router.post("/v1/checks/{check_id}/resume")
    async def resume(
        check_id: Identifier,
        principal: employee,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Let a suspended check be redeemed again."""
        return await face.write(
            principal,
            f"checks/{check_id}/resume",
            key,
            command,
            lambda view, _: handlers.resume(check_id, principal, view),
            answer,
        )

    return router


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
        "day",
        "incident_id",
        "at_desk",
    }
    return {
        "check_id": check_id,
        **check.model_dump(mode="json", exclude=hidden),
        "state": check.state,
        "redeemed_minor": check.redeemed_minor,
        "left_minor": check.left_minor,
    }
