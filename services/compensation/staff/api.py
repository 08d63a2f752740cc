"""Employees: what I may give, my shift; a personnel system lists who works here."""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response

from services.compensation.examples import documented
from services.compensation.staff.handlers import CheckIn, Staff
from shared.contracts.compensation import ShiftEnded, ShiftStarted
from shared.contracts.roster import EmployeeListed, EmployeeListing
from shared.kernel import Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    NOTHING,
    Face,
    Identifier,
    Nothing,
    recorded,
    shown,
)


def routes(face: Face, handlers: Staff, settler: Settler) -> APIRouter:
    """The routes."""
    router = APIRouter()
    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]
    personnel = Annotated[Principal, face.principal(Kind.PERSONNEL)]

    @router.get("/v1/me/authority", responses=documented(_200="authority"))
    async def my_authority(principal: employee, etag: IF_NONE_MATCH = None) -> Response:
        """What I may give: per scope the ceiling, what is used, held and left, and until when."""
        per_check, standings = await handlers.authority(principal, settler.view())
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

    @router.put("/v1/employees/{employee_id}")
    async def list_employee(
        employee_id: Identifier,
        command: EmployeeListing,
        principal: personnel,
        key: IDEMPOTENCY_KEY,
    ) -> Response:
        """A personnel system lists an employee of its site."""
        return await face.write(
            principal,
            f"employees/{employee_id}",
            key,
            command,
            lambda view, _: handlers.list_employee(employee_id, command, principal, view),
            answer,
        )

    @router.post("/v1/me/shift")
    async def check_in(command: CheckIn, principal: employee, key: IDEMPOTENCY_KEY) -> Response:
        """I work now, whatever the roster says."""
        return await face.write(
            principal,
            "me/shift",
            key,
            command,
            lambda view, _: handlers.check_in(command, principal, view),
            answer,
        )

    @router.post("/v1/me/shift/end")
    async def check_out(
        principal: employee, key: IDEMPOTENCY_KEY, command: Nothing = NOTHING
    ) -> Response:
        """I do not work any more."""
        return await face.write(
            principal,
            "me/shift/end",
            key,
            command,
            lambda view, _: handlers.check_out(principal, view),
            answer,
        )

    return router


def answer(fact: Fact) -> tuple[int, Mapping[str, Any]]:
    """A listing or a shift as it was recorded."""
    return recorded(fact, EmployeeListed, ShiftStarted, ShiftEnded)
