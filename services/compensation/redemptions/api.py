"""The routes of tills: reserve a code; capture, cancel or roll back the redemption."""

from __future__ import annotations

from services.compensation.redemptions.handlers import Capture, Redemptions, Reserve
from shared.contracts.compensation import (
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
)
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.http.auth import Kind
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

#: An employee who redeems must be on the roster as well, and may not have given the check.
AT_TILLS = (Kind.TILL, Kind.EMPLOYEE)
#: What a till is told of a redemption; an example for the API document.
STEP = {
    "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
    "site": "ms-aurora",
    "redemption_id": "re-f654a032466d1be4a25d54e261956d01",
    "amount_minor": 12000,
    "currency": "NOK",
}
CARD = {
    "item": "taxfree-card/50000",
    "kind": "gift_card",
    "title": "Tax-free gift card",
    "value_minor": 50000,
}
RESERVED = {
    **STEP,
    **CARD,
    "left_minor": 38000,
    "till": "till-1",
    "expires_at": "2026-06-03T14:10:00Z",
    "reserved_at": "2026-06-03T14:00:00Z",
}
CAPTURED = {
    **STEP,
    **CARD,
    "amount_minor": 11500,
    "left_minor": 38500,
    "captured_at": "2026-06-03T14:02:00Z",
}


def routes(face: Face, handlers: Redemptions) -> Routes:
    """The routes."""
    to = Routes(face)
    unknown = Reason.UNKNOWN_REDEMPTION

    @to.write(
        "POST",
        "/v1/redemptions",
        AT_TILLS,
        {200: (RedemptionReserved, RedemptionCaptured)},
        refuses=(
            Reason.CODE_NOT_REDEEMABLE,
            Reason.OWN_CHECK,
            Reason.NOT_VALID_HERE,
            Reason.NOT_IN_PARTS,
            Reason.AMOUNT_MISSING,
            Reason.AMOUNT_TOO_LARGE,
            Reason.ON_HOLD,
            Reason.TOO_MANY_TRIES,
        ),
        examples={200: RESERVED},
    )
    async def reserve_code(ask: Ask, command: Reserve) -> Decision:
        """Hold a part of a check by its code, or redeem it at once.

        For a percentage, `amount_minor` is the discount, not the bill. A 409 about the amount says in
        `left_minor` how much may be taken now, and `amount_missing` also says `percent` and
        `bill_up_to_minor`.
        """
        return await handlers.reserve(command, ask.principal, ask.name, ask.view)

    @to.write(
        "POST",
        "/v1/redemptions/{redemption_id}/capture",
        AT_TILLS,
        {200: RedemptionCaptured},
        refuses=(
            unknown,
            Reason.OWN_CHECK,
            Reason.HOLD_GONE,
            Reason.NOT_IN_PARTS,
            Reason.AMOUNT_TOO_LARGE,
        ),
        examples={200: CAPTURED},
    )
    async def capture_redemption(ask: Ask, redemption_id: Identifier, command: Capture) -> Decision:
        """Redeem what is held, or less of it."""
        return await handlers.capture(redemption_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/redemptions/{redemption_id}/cancel",
        AT_TILLS,
        {200: RedemptionCancelled},
        refuses=(unknown, Reason.HOLD_GONE),
        examples={200: {**STEP, "expired": False, "cancelled_at": "2026-06-03T14:05:00Z"}},
    )
    async def cancel_redemption(ask: Ask, redemption_id: Identifier) -> Decision:
        """Free a hold."""
        return await handlers.cancel(redemption_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/redemptions/{redemption_id}/rollback",
        AT_TILLS,
        {200: RedemptionRolledBack},
        refuses=(unknown, Reason.NOT_CAPTURED),
        examples={200: {**STEP, "rolled_back_at": "2026-06-03T14:05:00Z"}},
    )
    async def roll_back_redemption(ask: Ask, redemption_id: Identifier) -> Decision:
        """Put what was redeemed back on the check."""
        return await handlers.roll_back(redemption_id, ask.principal, ask.view)

    return to
