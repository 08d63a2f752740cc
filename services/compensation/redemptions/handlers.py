"""Tills: a code is reserved; the redemption is captured, cancelled or rolled back.

A till of the check's site is told why a check is refused; a till of another site is told that the code
is wrong.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.compensation.checks.codes import Codes
from services.compensation.checks.rules import Check, Code
from services.compensation.redemptions.rules import (
    No,
    Redemption,
    cancel,
    capture,
    reserve,
    roll_back,
    why_not,
)
from services.compensation.redemptions.tries import Tries
from services.compensation.staff_context import ContextLoader
from shared.contracts.event import Flag
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.money import AMOUNT_MINOR_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.words import title_of

WRONG_CODE = No(Reason.CODE_NOT_REDEEMABLE)
AmountMinor = Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)]


class Reserve(BaseModel):
    """Hold a part of a check, or all that is left of it; with `capture`, redeem it at once."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"code": "7K3QX-9M2WD-3", "amount_minor": 12000},
                {"code": "7K3QX-9M2WD-3", "amount_minor": 4500, "capture": True},
            ]
        },
    )

    code: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=32)],
        Field(description="The code that the customer shows, with or without dashes."),
    ]
    amount_minor: AmountMinor | None = Field(
        None,
        description="How much of the check is taken, in minor units; without it, all that is left. A"
        " percentage needs it: the discount that the till takes off, not the bill.",
    )
    capture: Annotated[Flag, Field(description="Redeem it at once, without a hold.")] = False


class Capture(BaseModel):
    """Redeem what is held, or less of it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"amount_minor": 11500}]}
    )

    amount_minor: AmountMinor | None = Field(
        None,
        description="How much is redeemed, in minor units: at most what is held; for a percentage, the"
        " discount and not the bill. Without it, all that is held.",
    )


class Redemptions:
    """Decides about redemptions: reads what a rule needs, and applies it."""

    def __init__(self, context: ContextLoader, codes: Codes) -> None:
        self._context = context
        self._codes = codes
        self._tries = Tries()

    async def reserve(
        self, command: Reserve, principal: Principal, name: str, view: View
    ) -> Decision:
        """Hold or redeem a part; raises Rejected(code_not_redeemable) for a wrong code.

        Raises Rejected(own_check, not_valid_here, not_in_parts, amount_missing, amount_too_large,
        on_hold) for a check of this site, and Unavailable(too_many_tries) after many wrong codes.
        """
        self._tries.check(principal, view.now)
        await self._at_work(principal, view)
        policy, _ = await self._context.policies.at(principal.site, view)
        code_hash = self._codes.hash(command.code)
        code = await view.get(Code, code_hash)
        # An unknown code reads a check as well, so that it takes as long as a known one.
        check_id = code.check_id if code is not None else "ck-none"
        check = await view.get(Check, check_id)
        # Checked again, because others of a burst may have failed while this one read. From here to
        # the refusal nothing is awaited, so no code is compared beyond the bound.
        self._tries.check(principal, view.now)
        why: No | None = WRONG_CODE
        if (
            check is not None
            and hmac.compare_digest(check.code_hash, code_hash)
            and check.site == principal.site
        ):
            _not_own(check, principal)
            why = why_not(check, command.amount_minor, principal.subject, view.now)
        if check is None or why is not None:
            no = why or WRONG_CODE
            if no.reason is Reason.CODE_NOT_REDEEMABLE:
                self._tries.failed(principal, view.now)
            raise _rejected(no)
        return reserve(
            check,
            check_id,
            f"re-{name}",
            command.amount_minor,
            principal.subject,
            await self._title(check, policy, view),
            policy.hold,
            view.now,
            capture=command.capture,
        )

    async def capture(
        self, redemption_id: str, command: Capture, principal: Principal, view: View
    ) -> Decision:
        """Redeem what is held; raises Rejected(own_check, hold_gone, amount_too_large, not_in_parts)."""
        check_id, check = await self.of(redemption_id, principal, view)
        _not_own(check, principal)
        policy, _ = await self._context.policies.at(principal.site, view)
        title = await self._title(check, policy, view)
        found = capture(check, check_id, redemption_id, command.amount_minor, title, view.now)
        if isinstance(found, No):
            raise _rejected(found)
        return found

    async def cancel(self, redemption_id: str, principal: Principal, view: View) -> Decision:
        """Free a hold; raises Rejected(hold_gone) when there is none."""
        check_id, check = await self.of(redemption_id, principal, view)
        return _done(cancel(check, check_id, redemption_id, view.now), Reason.HOLD_GONE)

    async def roll_back(self, redemption_id: str, principal: Principal, view: View) -> Decision:
        """Put what was redeemed back on the check; raises Rejected(not_captured)."""
        check_id, check = await self.of(redemption_id, principal, view)
        return _done(roll_back(check, check_id, redemption_id, view.now), Reason.NOT_CAPTURED)

    async def of(self, redemption_id: str, principal: Principal, view: View) -> tuple[str, Check]:
        """The check of a redemption; raises Rejected(unknown_redemption), also for another till's."""
        await self._at_work(principal, view)
        redemption = await view.get(Redemption, redemption_id)
        check = await view.get(Check, redemption.check_id) if redemption else None
        if (
            redemption is None
            or check is None
            or (check.site, redemption.till) != (principal.site, principal.subject)
        ):
            raise Rejected(Reason.UNKNOWN_REDEMPTION)
        return redemption.check_id, check

    async def _title(self, check: Check, now: Policy, view: View) -> str:
        """A check's title: of the policy it was given under, else of the one in force, else its id."""
        then = now
        if check.policy_version is not None:
            then = await self._context.policies.of(check.site, check.policy_version, view)
        return title_of(check.item, (then, now), now.languages[0])

    async def _at_work(self, principal: Principal, view: View) -> None:
        """Raises Rejected for an employee, standing in as a till, who is not on the roster."""
        if principal.kind is Kind.EMPLOYEE:
            await self._context.staff(principal, view)

    async def hold_ends(self, redemption_id: str, view: View) -> Decision:
        """Free a hold that was not captured in time."""
        redemption = await view.get(Redemption, redemption_id)
        check = await view.get(Check, redemption.check_id) if redemption else None
        if redemption is None or check is None:
            return Decision()
        return cancel(check, redemption.check_id, redemption_id, view.now, expired=True)


def _not_own(check: Check, principal: Principal) -> None:
    """Raises Rejected(own_check) for the employee who gave the check: a second person must redeem it."""
    if principal.kind is Kind.EMPLOYEE and principal.subject == check.employee_id:
        raise Rejected(Reason.OWN_CHECK)


def _rejected(no: No) -> Rejected:
    return Rejected(no.reason, told=no.told)


def _done(decision: Decision, otherwise: Reason) -> Decision:
    if not decision.facts:
        raise Rejected(otherwise)
    return decision
