"""What becomes of a check after it was given, by hand or by time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.compensation.domain.authority import Given, given_key
from services.compensation.domain.checks import (
    EXPIRE,
    EXPLAIN,
    Check,
    expire,
    explain,
    note_unexplained,
    resume,
    suspend,
    void,
)
from services.compensation.domain.offers import LAPSE, Offer, lapse
from services.compensation.domain.redemptions import HOLD, Redemption, cancel
from services.compensation.handlers.situation import Desk, Situations
from shared.contracts.decision import Decision
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

if TYPE_CHECKING:
    from services.compensation.ports import CodeMaker
    from shared.runtime.auth import Principal
    from shared.runtime.settle import Settler
    from shared.runtime.snapshot import Snapshot

#: One line is one line.
EXPLANATION_CHARS_MAX = 280


class Explain(BaseModel):
    """Why the stretch, in one line; for coaching, nobody confirms it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"explanation": "Third delay this week for this family."}]},
    )

    explanation: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True,
            min_length=1,
            max_length=EXPLANATION_CHARS_MAX,
            pattern=r"^[^\r\n]+$",
        ),
    ]


class Nothing(BaseModel):
    """A command that is all in its address."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{}]})


@dataclass(frozen=True, slots=True)
class Page:
    """A page of checks, newest first, and where the next one begins."""

    checks: tuple[tuple[str, Check], ...]
    next_cursor: str | None


class Life:
    """Checks after they were given."""

    def __init__(self, situations: Situations, codes: CodeMaker, settler: Settler) -> None:
        self._situations = situations
        self._codes = codes
        self._settler = settler

    async def check(self, check_id: str, desk: Desk, snapshot: Snapshot) -> Check:
        """A check of the employee's site; raises Rejected(unknown_check)."""
        check = await snapshot.get(Check, check_id)
        if check is None or check.site != desk.site:
            raise Rejected(Reason.UNKNOWN_CHECK, status=404)
        return check

    async def look(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Check:
        """One check, as an employee of its site sees it; raises Rejected, Unavailable."""
        return await self.check(
            check_id, await self._situations.desk(principal, snapshot), snapshot
        )

    async def code(self, check_id: str, principal: Principal, snapshot: Snapshot) -> str:
        """The code again, for the employee who gave the check and nobody else."""
        check = await self.own(check_id, principal, snapshot)
        if not check.value_minor:
            raise Rejected(Reason.UNKNOWN_CHECK, status=404)
        return self._codes.code(check_id)

    async def own(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Check:
        """A check as whoever gave it sees it; to all others it is unknown."""
        desk = await self._situations.desk(principal, snapshot)
        check = await self.check(check_id, desk, snapshot)
        if check.employee_id != desk.employee_id:
            raise Rejected(Reason.UNKNOWN_CHECK, status=404)
        return check

    async def listed(
        self,
        principal: Principal,
        complaint_id: str | None,
        cursor: str | None,
        most: int,
        snapshot: Snapshot,
    ) -> Page:
        """The checks of a complaint, or those the employee gave in a day (the cursor names it).

        Newest first; raises Rejected(cursor_invalid, unknown_complaint), Unavailable.
        """
        desk = await self._situations.desk(principal, snapshot)
        day, before = parsed(cursor, desk)
        if complaint_id is not None:
            ids = (await self._situations.case(complaint_id, desk, snapshot)).check_ids
        else:
            given = await snapshot.get(Given, given_key(desk.site, desk.employee_id, day))
            ids = given.check_ids if given else ()
        end = len(ids)
        if before is not None:
            # By id and not by place: a list keeps its latest, so places move. One that left it was
            # the oldest, and nothing is left behind it.
            end = ids.index(before) if before in ids else 0
        first = max(0, end - most)
        chosen = ids[first:end][::-1]
        await snapshot.prefetch([f"{Check.KIND}:{check_id}" for check_id in chosen])
        found = [(check_id, await snapshot.get(Check, check_id)) for check_id in chosen]
        return Page(
            tuple((check_id, check) for check_id, check in found if check is not None),
            f"{day}.{ids[first]}" if first else None,
        )

    async def void(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Decision:
        """Take a check back; raises Rejected(check_ended) when it ended, is held or redeemed."""
        desk = await self._situations.desk(principal, snapshot)
        check = await self.check(check_id, desk, snapshot)
        return done(void(check, check_id, desk.employee_id, snapshot.now))

    async def suspend(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Decision:
        """Stop a check from being redeemed for now; raises Rejected(check_ended)."""
        desk = await self._situations.desk(principal, snapshot)
        check = await self.check(check_id, desk, snapshot)
        return done(suspend(check, check_id, desk.employee_id, snapshot.now))

    async def resume(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Decision:
        """Let a suspended check be redeemed again; raises Rejected(check_ended)."""
        desk = await self._situations.desk(principal, snapshot)
        check = await self.check(check_id, desk, snapshot)
        return done(resume(check, check_id, desk.employee_id, snapshot.now))

    async def explain(
        self, check_id: str, command: Explain, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """The line about a stretch, by who gave it; raises Rejected(nothing_to_explain)."""
        desk = await self._situations.desk(principal, snapshot)
        check = await self.check(check_id, desk, snapshot)
        if check.employee_id != desk.employee_id:
            raise Rejected(Reason.UNKNOWN_CHECK, status=404)
        if check.explain_by is None or check.explanation is not None:
            raise Rejected(Reason.NOTHING_TO_EXPLAIN, status=409)
        key = await self._situations.key(check.customer_ref, snapshot)
        sealed = key.seal("explanation", command.explanation)
        return explain(check, check_id, desk.employee_id, sealed, snapshot.now)

    async def explanation(
        self, check: Check, principal: Principal, snapshot: Snapshot
    ) -> str | None:
        """What was explained, for who explained it; None if nothing was, or the customer was erased."""
        if check.explanation is None or check.employee_id != principal.subject:
            return None
        key = await self._situations.keys.of(check.customer_ref, snapshot)
        return None if key is None else key.open("explanation", check.explanation)

    # ---- what rings ----------------------------------------------------------------------------

    async def expires(self, check_id: str, due_ms: int) -> None:
        """A check's time is over."""

        async def decide(snapshot: Snapshot) -> Decision:
            check = await snapshot.get(Check, check_id)
            if check is None:
                return Decision()
            return expire(check, check_id, snapshot.now)

        await self._ring(EXPIRE, check_id, due_ms, decide)

    async def unexplained(self, check_id: str, due_ms: int) -> None:
        """A stretch was not explained in time."""

        async def decide(snapshot: Snapshot) -> Decision:
            check = await snapshot.get(Check, check_id)
            return note_unexplained(check, check_id, snapshot.now) if check else Decision()

        await self._ring(EXPLAIN, check_id, due_ms, decide)

    async def hold_ends(self, redemption_id: str, due_ms: int) -> None:
        """A hold was not captured in time."""

        async def decide(snapshot: Snapshot) -> Decision:
            redemption = await snapshot.get(Redemption, redemption_id)
            check = await snapshot.get(Check, redemption.check_id) if redemption else None
            if redemption is None or check is None:
                return Decision()
            return cancel(check, redemption.check_id, redemption_id, snapshot.now, expired=True)

        await self._ring(HOLD, redemption_id, due_ms, decide)

    async def lapses(self, offer_id: str, due_ms: int) -> None:
        """Nobody chose in time."""

        async def decide(snapshot: Snapshot) -> Decision:
            made = await snapshot.get(Offer, offer_id)
            return lapse(made, offer_id, snapshot.now) if made else Decision()

        await self._ring(LAPSE, offer_id, due_ms, decide)

    async def _ring(
        self,
        name: str,
        about: str,
        due_ms: int,
        decide: Callable[[Snapshot], Awaitable[Decision]],
    ) -> None:
        cause = f"timer/{name}/{about}/{due_ms}"
        await self._settler.settle_internal(cause, about, decide, (f"{name}|{about}", due_ms))


def done(decision: Decision) -> Decision:
    """The decision; raises Rejected(check_ended) when there was nothing left to do."""
    if not decision.facts:
        raise Rejected(Reason.CHECK_ENDED, status=409)
    return decision


def parsed(cursor: str | None, desk: Desk) -> tuple[str, str | None]:
    """The day and the check a cursor names, today's end without one; raises Rejected."""
    if cursor is None:
        return desk.windows.day.id, None
    day, _, check_id = cursor.partition(".")
    try:
        datetime.fromisoformat(day)
    except ValueError:
        raise Rejected(Reason.CURSOR_INVALID, where=("/cursor",)) from None
    return day, check_id or None
