"""Tills: a code is reserved, captured, cancelled, rolled back. To a stranger every no is the same."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.compensation.domain.checks import Check, Code
from services.compensation.domain.redemptions import (
    Redemption,
    cancel,
    capture,
    reserve,
    roll_back,
)
from services.compensation.handlers.situation import Situations
from shared.contracts.decision import Decision
from shared.contracts.reasons import Reason
from shared.runtime.auth import Kind
from shared.runtime.faults import Rejected

if TYPE_CHECKING:
    from services.compensation.ports import CodeMaker
    from shared.runtime.auth import Principal
    from shared.runtime.snapshot import Snapshot

AmountMinor = Annotated[int, Field(strict=True, ge=1, le=10**12)]


class Reserve(BaseModel):
    """Hold a part of a check, or all that is left of it; with `capture`, redeem it at once."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"code": "7K3QX-9M2WD-4", "amount_minor": 12000}]},
    )

    code: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    amount_minor: AmountMinor | None = None
    capture: bool = False


class Capture(BaseModel):
    """Redeem what is held, or less of it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"amount_minor": 11500}]}
    )

    amount_minor: AmountMinor | None = None


class Tills:
    """Redemptions."""

    def __init__(self, situations: Situations, codes: CodeMaker) -> None:
        self._situations = situations
        self._codes = codes

    async def reserve(
        self, command: Reserve, principal: Principal, name: str, snapshot: Snapshot
    ) -> Decision:
        """Hold or redeem a part; raises Rejected(code_not_redeemable) for every code that is not."""
        redemption_id = f"re-{name}"
        await self._at_work(principal, snapshot)
        policy, _ = await self._situations.policies.at(principal.site, snapshot)
        code_hash = self._codes.hash(command.code)
        code = await snapshot.get(Code, code_hash)
        # An unknown code reads a check as well, so that it takes as long as a known one.
        check_id = code.check_id if code is not None else "ck-none"
        check = await snapshot.get(Check, check_id)
        decision = Decision()
        if (
            check is not None
            and hmac.compare_digest(check.code_hash, code_hash)
            and check.site == principal.site
        ):
            decision = reserve(
                check,
                check_id,
                redemption_id,
                command.amount_minor,
                principal.subject,
                policy.hold,
                snapshot.now,
                capture=command.capture,
            )
        if not decision.facts:
            raise Rejected(Reason.CODE_NOT_REDEEMABLE, status=409)
        return decision

    async def capture(
        self, redemption_id: str, command: Capture, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """Redeem what is held; raises Rejected(hold_gone) when it is not, or not as much."""
        check_id, check = await self.of(redemption_id, principal, snapshot)
        decision = capture(check, check_id, redemption_id, command.amount_minor, snapshot.now)
        return _done(decision, Reason.HOLD_GONE)

    async def cancel(
        self, redemption_id: str, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """Free a hold; raises Rejected(hold_gone) when there is none."""
        check_id, check = await self.of(redemption_id, principal, snapshot)
        return _done(cancel(check, check_id, redemption_id, snapshot.now), Reason.HOLD_GONE)

    async def roll_back(
        self, redemption_id: str, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """Put on the check again what was redeemed; raises Rejected(not_captured)."""
        check_id, check = await self.of(redemption_id, principal, snapshot)
        return _done(roll_back(check, check_id, redemption_id, snapshot.now), Reason.NOT_CAPTURED)

    async def of(
        self, redemption_id: str, principal: Principal, snapshot: Snapshot
    ) -> tuple[str, Check]:
        """The check of a redemption at this till; a foreign one looks like an unknown one."""
        await self._at_work(principal, snapshot)
        redemption = await snapshot.get(Redemption, redemption_id)
        check = await snapshot.get(Check, redemption.check_id) if redemption else None
        if (
            redemption is None
            or check is None
            or (check.site, redemption.till) != (principal.site, principal.subject)
        ):
            raise Rejected(Reason.UNKNOWN_REDEMPTION, status=404)
        return redemption.check_id, check

    async def _at_work(self, principal: Principal, snapshot: Snapshot) -> None:
        """An employee who stands in as a till is one of the roster; raises Rejected."""
        if principal.kind is Kind.EMPLOYEE:
            await self._situations.desk(principal, snapshot)


def _done(decision: Decision, otherwise: Reason) -> Decision:
    if not decision.facts:
        raise Rejected(otherwise, status=409)
    return decision
