"""The HTTP face of compensation: what may I give, and give it."""

# Annotations are evaluated here and not postponed: they name dependencies made in `api`.

from typing import Annotated, Any, cast

from fastapi import FastAPI, Path, Query, Response

from services.compensation.handlers import Handlers, IssueCheck, situation_keys
from services.compensation.ports import CodeMaker
from shared.contracts.compensation import CheckIssued, CheckRefused
from shared.contracts.decision import Decision
from shared.contracts.event import ID_PATTERN, Fact
from shared.contracts.reasons import Reason
from shared.runtime.auth import Kind, Principal
from shared.runtime.http import IDEMPOTENCY_KEY, Face
from shared.runtime.settle import Settler
from shared.runtime.snapshot import Snapshot


def api(face: Face, handlers: Handlers, settler: Settler, codes: CodeMaker) -> FastAPI:
    """The routes."""
    app = face.api(
        "compensation",
        "Every employee has authority. What does not fit is answered with what does.",
    )
    employee = face.principal(Kind.EMPLOYEE)

    def answer(fact: Fact) -> tuple[int, dict[str, Any]]:
        if isinstance(fact, CheckRefused):
            return 409, {
                "type": Reason.AUTHORITY_EXHAUSTED,
                "title": "this does not fit; these do",
                "status": 409,
                "bound_by": fact.bound_by,
                "left": fact.left,
                "alternatives": fact.alternatives,
            }
        issued = cast("CheckIssued", fact)
        shown = issued.model_dump(
            mode="json",
            include={
                "check_id",
                "complaint_id",
                "item",
                "kind",
                "value_minor",
                "currency",
                "valid_until",
                "left",
            },
        )
        return 201, {**shown, "code": codes.code(issued.check_id)}

    @app.get("/v1/options")
    async def options(
        complaint: Annotated[str, Query(pattern=ID_PATTERN, max_length=128)],
        principal: Annotated[Principal, employee],
    ) -> dict[str, Any]:
        """What may I give this customer, best first, and what is left in each scope."""
        offer = await handlers.offer(complaint, principal, settler.look())
        return {"options": offer.options, "left": offer.left}

    @app.post("/v1/checks", status_code=201)
    async def issue_check(
        command: IssueCheck,
        principal: Annotated[Principal, employee],
        key: IDEMPOTENCY_KEY = None,
    ) -> Response:
        """Give a service check: 201 with its code, or 409 with what does fit."""

        async def decide(snapshot: Snapshot, name: str) -> Decision:
            return await handlers.issue_check(command, principal, f"ck-{name}", snapshot)

        reads = situation_keys(command.complaint_id, principal)
        return await face.write(principal, "checks", key, command, decide, answer, reads)

    @app.get("/v1/checks/{check_id}")
    async def look(
        check_id: Annotated[str, Path(pattern=ID_PATTERN, max_length=128)],
        principal: Annotated[Principal, employee],
    ) -> dict[str, Any]:
        """One check, without its code."""
        check = await handlers.look(check_id, principal, settler.look())
        return {"check_id": check_id, **check.model_dump(mode="json")}

    return app
