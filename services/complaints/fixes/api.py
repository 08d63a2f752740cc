"""The routes of fixes: record one, ask for one, decline one, and see what is asked of me."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.complaints.fixes.handlers import AskForFix, DeclineFix, DoFix, Fixing
from services.complaints.fixes.rules import Fixes, FixState
from services.complaints.fixes.shown import ShownFix
from services.complaints.lifecycle.api import DONE, NOW, UNFIT
from shared.contracts.complaints import FixAsked, FixDeclined, FixDone
from shared.contracts.event import ID_PATTERN, ComplaintId, SiteId
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import PLACE_CHARS_MAX, cursor_of, place_of
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes
from shared.runtime.roster import employed

PAGE_MAX = 100


class AskedFix(ShownFix):
    """A fix that I or a department is asked for, and the complaint that it is for."""

    complaint_id: ComplaintId


class AskedFixes(Answer):
    """A page of fixes that somebody is asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "fixes": [
                        {
                            "complaint_id": DONE["complaint_id"],
                            "fix": "clean-again",
                            "state": "asked",
                            "round": 0,
                            "asked_by": "e-jonas",
                            "colleague_id": None,
                            "department": "housekeeping",
                            "due_by": "2026-06-03T18:05:00Z",
                            "late": False,
                            "employee_id": None,
                            "at": None,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    fixes: Annotated[list[AskedFix], Field(description="The fixes, by complaint.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


def routes(face: Face, fixing: Fixing) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints/fixes",
        EMPLOYEE,
        AskedFixes,
        refuses=(Reason.CURSOR_INVALID, Reason.UNKNOWN_SITE, Reason.UNKNOWN_DEPARTMENT),
    )
    async def list_fixes(
        ask: Ask,
        department: Annotated[
            str | None,
            Query(
                pattern=ID_PATTERN,
                max_length=128,
                description="Those that this department is asked for, and not I.",
            ),
        ] = None,
        cursor: Annotated[str | None, Query(max_length=PLACE_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    ) -> AskedFixes:
        """The fixes that I am asked for, or a department; complaints with what is first due come first."""
        who, view = ask.principal, ask.view
        await employed(who, view)
        page = await fixing.asked(department, place_of(Fixes, cursor), limit, who, view)
        return AskedFixes(
            site=who.site,
            fixes=[
                AskedFix.about(fix, complaint_id=name)
                for name, fixes in page.documents
                for fix in fixes.fixes
                if fix.state is FixState.ASKED
                and (
                    fix.department == department if department else fix.colleague_id == who.subject
                )
            ],
            next=cursor_of(Fixes, page.next) if page.next is not None else None,
        )

    _writes(to, fixing)
    return to


def _writes(to: Routes, fixing: Fixing) -> None:
    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/fix",
        EMPLOYEE,
        {200: FixDone},
        refuses=(*UNFIT, Reason.UNKNOWN_FIX, Reason.FIX_DONE),
        examples={200: {**DONE, "fix": "clean-again", "round": 0, "done_at": NOW}},
    )
    async def do_fix(ask: Ask, complaint_id: Identifier, command: DoFix) -> Decision:
        """I did something about the cause of a complaint; it keeps the promise of its round."""
        return await fixing.do(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/fix/ask",
        EMPLOYEE,
        {200: FixAsked},
        refuses=(
            *UNFIT,
            Reason.UNKNOWN_FIX,
            Reason.UNKNOWN_COLLEAGUE,
            Reason.UNKNOWN_DEPARTMENT,
            Reason.FIX_ASKED,
        ),
        examples={
            200: {
                **DONE,
                "fix": "clean-again",
                "colleague_id": None,
                "department": "housekeeping",
                "round": 0,
                "due_by": "2026-06-03T18:05:00Z",
                "policy_version": 3,
                "asked_at": NOW,
            }
        },
    )
    async def ask_for_fix(ask: Ask, complaint_id: Identifier, command: AskForFix) -> Decision:
        """Ask a colleague or a department to do something about the cause, in the time that the policy gives."""
        return await fixing.ask(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/fix/decline",
        EMPLOYEE,
        {200: FixDeclined},
        refuses=(Reason.UNKNOWN_COMPLAINT, Reason.CUSTOMER_ERASED, Reason.FIX_NOT_ASKED),
        examples={200: {**DONE, "fix": "clean-again", "declined_at": NOW}},
    )
    async def decline_fix(ask: Ask, complaint_id: Identifier, command: DeclineFix) -> Decision:
        """I was asked for a fix and do not do it; or I asked, and it is not needed any more."""
        return await fixing.decline(complaint_id, command, ask.principal, ask.view)
