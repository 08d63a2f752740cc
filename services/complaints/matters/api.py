"""The routes by which employees make one matter of two complaints, and undo it."""

from __future__ import annotations

from services.complaints.lifecycle.api import DONE, NOW, UNFIT, MergedAnswer
from services.complaints.matters.handlers import Merge, merging, splitting
from shared.contracts.complaints import ComplaintSplit
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes
from shared.runtime.policies import Policies

INTO = "co-1b4f0e9851971998"


def routes(face: Face) -> Routes:
    """The routes."""
    to, policies = Routes(face), Policies()

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/merge",
        EMPLOYEE,
        {200: MergedAnswer},
        refuses=(*UNFIT, Reason.NOT_MERGEABLE),
    )
    async def merge_complaint(ask: Ask, complaint_id: Identifier, command: Merge) -> Decision:
        """Merge a complaint into another one about the same matter, which goes on for both.

        If that one was merged itself, into the one that it went into. The promise is the earlier of both.
        """
        return await merging(complaint_id, command, policies, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/split",
        EMPLOYEE,
        {200: ComplaintSplit},
        refuses=UNFIT,
        examples={
            200: {
                **DONE,
                "into": INTO,
                "round": 0,
                "promised_by": "2026-06-03T18:00:00Z",
                "split_at": NOW,
            }
        },
    )
    async def split_complaint(ask: Ask, complaint_id: Identifier) -> Decision:
        """Let a merged complaint stand by itself again, with the owner and the promise that it had."""
        return await splitting(complaint_id, policies, ask.principal, ask.view)

    return to
