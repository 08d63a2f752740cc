"""What may I give now?"""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator

from services.compensation.examples import documented
from services.compensation.options.handlers import Options
from shared.contracts.event import ID_PATTERN
from shared.contracts.names import named
from shared.contracts.reasons import Reason
from shared.runtime.engine.settle import Settler
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import IF_NONE_MATCH, Face, shown


def routes(face: Face, handlers: Options, settler: Settler) -> APIRouter:
    """The routes."""
    router = APIRouter()
    employee = Annotated[Principal, face.principal(Kind.EMPLOYEE)]

    @router.get("/v1/options", responses=documented(_200="options"))
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
        found = await handlers.possible(complaint, customer, principal, settler.view())
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

    return router
