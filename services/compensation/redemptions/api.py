"""Tills: a code is reserved, captured, cancelled, rolled back."""

# Annotations are evaluated here and not postponed: they name dependencies made in `routes`.

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Response

from services.compensation.examples import documented
from services.compensation.redemptions.handlers import Capture, Redemptions, Reserve
from shared.contracts.compensation import (
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
)
from shared.kernel import Fact
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import IDEMPOTENCY_KEY, NOTHING, Face, Identifier, Nothing, recorded


def routes(face: Face, handlers: Redemptions) -> APIRouter:
    """The routes."""
    router = APIRouter()
    till = Annotated[Principal, face.principal(Kind.TILL, Kind.EMPLOYEE)]

    @router.post(
        "/v1/redemptions",
        responses=documented(
            _200="reserved",
            _409=(
                "not_redeemable",
                "own_check",
                "not_valid_here",
                "not_in_parts",
                "amount_missing",
                "amount_too_large",
                "on_hold",
            ),
            _429="too_many_tries",
        ),
    )
    async def reserve(command: Reserve, principal: till, key: IDEMPOTENCY_KEY) -> Response:
        """Hold a part of a check by its code, or redeem it at once.

        Of a percentage `amount_minor` is the discount, not the bill. A 409 says in `left_minor` how
        much may be taken now, and of a percentage also `percent` and `bill_up_to_minor`.
        """
        return await face.write(
            principal,
            "redemptions",
            key,
            command,
            lambda view, name: handlers.reserve(command, principal, name, view),
            answer,
        )

    @router.post(
        "/v1/redemptions/{redemption_id}/capture",
        responses=documented(
            _200="captured", _409=("own_check", "hold_gone", "not_in_parts", "amount_too_large")
        ),
    )
    async def capture(
        redemption_id: Identifier, command: Capture, principal: till, key: IDEMPOTENCY_KEY
    ) -> Response:
        """Redeem what is held, or less of it."""
        return await face.write(
            principal,
            f"redemptions/{redemption_id}/capture",
            key,
            command,
            lambda view, _: handlers.capture(redemption_id, command, principal, view),
            answer,
        )

    @router.post("/v1/redemptions/{redemption_id}/cancel")
    async def cancel(
        redemption_id: Identifier,
        principal: till,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Free what is held."""
        return await face.write(
            principal,
            f"redemptions/{redemption_id}/cancel",
            key,
            command,
            lambda view, _: handlers.cancel(redemption_id, principal, view),
            answer,
        )

    @router.post("/v1/redemptions/{redemption_id}/rollback")
    async def roll_back(
        redemption_id: Identifier,
        principal: till,
        key: IDEMPOTENCY_KEY,
        command: Nothing = NOTHING,
    ) -> Response:
        """Put on the check again what was redeemed."""
        return await face.write(
            principal,
            f"redemptions/{redemption_id}/rollback",
            key,
            command,
            lambda view, _: handlers.roll_back(redemption_id, principal, view),
            answer,
        )

    return router


def answer(fact: Fact) -> tuple[int, Mapping[str, Any]]:
    """A step of a redemption as it was recorded."""
    return recorded(
        fact, RedemptionReserved, RedemptionCaptured, RedemptionCancelled, RedemptionRolledBack
    )
