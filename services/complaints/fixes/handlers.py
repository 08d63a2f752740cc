"""Fixes the cause of a complaint: records what was done, asks for what is to do, and says what is late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.complaints.colleagues.handlers import (
    NAMED_MAX,
    known_colleague,
    known_department,
)
from services.complaints.fixes import moves
from services.complaints.fixes.rules import Fixes, asked_of
from services.complaints.lifecycle.handlers import Lifecycle, decided
from services.complaints.lifecycle.rules import DEPARTMENT, Complaint
from shared.contracts.event import Id
from shared.contracts.lifecycle import State
from shared.contracts.policy import Fix, ItemId, Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import Page, View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies

#: Where a complaint stands of which nothing is to be fixed any more.
UNNEEDED = frozenset({State.WITHDRAWN, State.NOT_A_COMPLAINT, State.REFERRED_EXTERNAL})
FixName = Annotated[ItemId, Field(description="The fix, by its name in the site's policy.")]


class DoFix(BaseModel):
    """Something was done about the cause."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"fix": "clean-again"}]}
    )

    fix: FixName


class AskForFix(BaseModel):
    """Ask a colleague or a department for a fix; without either, the department that the policy names for it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"fix": "clean-again"}, {"fix": "fan", "colleague_id": "e-maria"}]
        },
    )

    fix: FixName
    colleague_id: Annotated[Id | None, Field(description="An active employee of the site.")] = None
    department: Annotated[Id | None, Field(description="A department of the site's policy.")] = None

    @model_validator(mode="after")
    def _not_both(self) -> AskForFix:
        if self.colleague_id is not None and self.department is not None:
            msg = "name a colleague or a department"
            raise ValueError(msg)
        return self


class DeclineFix(BaseModel):
    """Nobody is asked for a fix any more."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"fix": "clean-again"}]}
    )

    fix: FixName


class Fixing:
    """What is done about the causes of complaints."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._policies = Policies()

    async def do(self, complaint_id: str, command: DoFix, who: Principal, view: View) -> Decision:
        """Record a fix as done; raises Rejected(unknown_fix, fix_done, wrong_state) and what `Lifecycle.of_site` does."""
        complaint, fixes = await self._read(complaint_id, who, view)
        # One that was asked for may have left the policy since.
        if fixes.asked(command.fix) is None:
            await self._fix(complaint.site, command.fix, view)
        return decided(moves.do(complaint, complaint_id, fixes, who.subject, command.fix, view.now))

    async def ask(
        self, complaint_id: str, command: AskForFix, who: Principal, view: View
    ) -> Decision:
        """Ask somebody for a fix.

        Raises Rejected(unknown_fix, unknown_colleague, unknown_department, fix_asked, wrong_state) and what
        `Lifecycle.of_site` does.
        """
        complaint, fixes = await self._read(complaint_id, who, view)
        fix, policy, version = await self._fix(complaint.site, command.fix, view)
        colleague, department = command.colleague_id, command.department
        if colleague is None:
            where = "/fix" if department is None else "/department"
            department = department or fix.department
            known_department(department, policy, where)
        else:
            await known_colleague(colleague, who, view)
        return decided(
            moves.ask(
                complaint,
                complaint_id,
                fixes,
                who.subject,
                command.fix,
                fix.within,
                version,
                view.now,
                colleague=colleague,
                department=department,
            )
        )

    async def decline(
        self, complaint_id: str, command: DeclineFix, who: Principal, view: View
    ) -> Decision:
        """Do not do a fix; raises Rejected(fix_not_asked) and what `Lifecycle.of_site` does."""
        complaint, fixes = await self._read(complaint_id, who, view)
        asked = await self._lifecycle.who(who, view)
        return decided(moves.decline(complaint, complaint_id, fixes, asked, command.fix, view.now))

    async def due(self, timer_id: str, view: View) -> Decision:
        """The time for a fix is over; raises Unavailable."""
        complaint_id, _, fix = timer_id.rpartition("/")
        await view.prefetch([Complaint.key(complaint_id), Fixes.key(complaint_id)])
        complaint = await view.get(Complaint, complaint_id)
        fixes = await view.get(Fixes, complaint_id)
        if complaint is None or fixes is None:
            return Decision()
        return moves.miss(complaint, complaint_id, fixes, fix, view.now)

    async def asked(
        self, department: str | None, after: Cursor | None, limit: int, who: Principal, view: View
    ) -> Page[Fixes]:
        """A page of complaints with fixes that the employee, or a department, is asked for.

        What is first due comes first. A fix of a complaint that was answered is still to be done; those that nobody needs any
        more are left out, so a page may be shorter. Raises
        Rejected(unknown_site, unknown_department) and Unavailable.
        """
        if department is not None:
            policy, _ = await self._policies.at(who.site, view)
            known_department(department, policy)
        asked = who.subject if department is None else f"{DEPARTMENT}{department}"
        page = await view.range(Fixes, asked_of(who.site, asked), after, limit)
        await view.prefetch([Complaint.key(name) for name, _ in page.documents])
        return Page(await self._opened(page.documents, view), page.next)

    @staticmethod
    async def _opened(
        found: Sequence[tuple[str, Fixes]], view: View
    ) -> Sequence[tuple[str, Fixes]]:
        kept = []
        for name, fixes in found:
            complaint = await view.get(Complaint, name)
            if (
                complaint is not None
                and complaint.state not in UNNEEDED
                and not complaint.forgotten
            ):
                kept.append((name, fixes))
        return kept

    async def _read(self, complaint_id: str, who: Principal, view: View) -> tuple[Complaint, Fixes]:
        complaint = await self._lifecycle.of_site(complaint_id, who, view)
        return complaint, await view.get(Fixes, complaint_id) or Fixes(site=complaint.site)

    async def _fix(self, site: str, fix: str, view: View) -> tuple[Fix, Policy, int]:
        policy, version = await self._policies.at(site, view)
        found = policy.fixes.get(fix)
        if found is None:
            known = tuple(policy.fixes)[:NAMED_MAX]
            raise Rejected(Reason.UNKNOWN_FIX, where=("/fix",), told={"fixes": known})
        return found, policy, version
