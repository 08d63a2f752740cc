"""The routes of a complaint's life: look at one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.complaints.lifecycle.handlers import Lifecycle, known
from services.complaints.lifecycle.rules import State
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import ComplaintId, Id, SiteId
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes
from shared.runtime.roster import employed

#: The same complaint in every example.
COMPLAINT: JsonDict = {
    "complaint_id": "co-9f86d081884c7d65",
    "category": "food",
    "severity": "moderate",
    "promised_by": "2026-06-03T18:00:00Z",
}
PromisedBy = Annotated[
    datetime | None,
    Field(description="By when the customer hears from us; null until the complaint is triaged."),
]
Round = Annotated[int, Field(description="How often it was reopened.")]


class ShownComplaint(Answer):
    """One complaint as employees of its site see it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **COMPLAINT,
                    "state": "claimed",
                    "site": "ms-aurora",
                    "language": "en",
                    "safety": False,
                    "employee_id": "e-jonas",
                    "round": 0,
                    "reachable": True,
                    "overdue": False,
                    "text": "We waited two hours for cold soup.",
                }
            ]
        }
    )

    complaint_id: ComplaintId
    state: Annotated[State, Field(description="Where the complaint stands.")]
    site: SiteId
    language: Annotated[Language, Field(description="Language in which the customer is answered.")]
    category: Annotated[Category, Field(description="Category of the complaint.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    safety: Annotated[bool, Field(description="Whether somebody's safety is concerned.")]
    promised_by: PromisedBy
    employee_id: Annotated[Id | None, Field(description="Its owner; null while it has none.")]
    round: Round
    reachable: Annotated[
        bool | None,
        Field(description="Whether a message reaches the customer; null where it is not known."),
    ]
    overdue: Annotated[bool, Field(description="Whether the promise of this round was broken.")]
    text: Annotated[
        str | None,
        Field(
            description="What the customer told us; null once they were erased, or the words' time is over."
        ),
    ]


def routes(face: Face, lifecycle: Lifecycle) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints/{complaint_id}",
        EMPLOYEE,
        ShownComplaint,
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
        ),
    )
    async def get_complaint(ask: Ask, complaint_id: Identifier) -> ShownComplaint:
        """One complaint as employees of its site see it."""
        await employed(ask.principal, ask.view)
        complaint = await known(complaint_id, ask.view)
        if complaint.site != ask.principal.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/data/complaint_id",))
        text = await lifecycle.read_text(complaint, ask.view)
        return ShownComplaint.about(complaint, complaint_id=complaint_id, text=text)

    return to
