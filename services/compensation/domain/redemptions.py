"""Redeeming a check at a till: reserve, capture, cancel, roll back; each step idempotent.

A hold that is not captured in time is free again. Which of two steps came first is decided by the
commit: both change the check's one document.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from services.compensation.domain.checks import IN_PARTS, Check, Hold, cancelled
from shared.contracts.compensation import (
    REDEMPTIONS_MAX,
    CheckKind,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
)
from shared.contracts.decision import Decision, Document, Fold, Timer
from shared.contracts.event import Fact

HOLD = "hold"


class Redemption(Document):
    """Which check a redemption is of; its fate is in the check."""

    KIND: ClassVar[str] = "redemption"

    check_id: str
    till: str


def takes(check: Check, amount_minor: int) -> bool:
    """Whether this much of a check can be taken by itself; of a percentage what its bill comes to."""
    return check.kind in (*IN_PARTS, CheckKind.PERCENTAGE) or amount_minor == check.value_minor


def redeemable(check: Check, till: str, now: datetime) -> bool:
    """Whether a check can be redeemed here and now; to a stranger every no looks the same."""
    return (
        check.ended is None
        and not check.suspended
        and now < check.valid_until
        and check.value_minor > 0
        and (not check.valid_at or till in check.valid_at)
        and (
            len(check.holds) < REDEMPTIONS_MAX
            if check.kind in IN_PARTS
            else not check.holds and not check.captured
        )
    )


def reserve(
    check: Check,
    check_id: str,
    redemption_id: str,
    amount_minor: int | None,
    till: str,
    hold: timedelta,
    now: datetime,
    *,
    capture: bool = False,
) -> Decision:
    """Hold a part of a check for a till, or redeem it at once; nothing if it does not fit.

    No amount is all that is left. What is not taken in parts is taken once. A hold whose time is over
    is freed by whoever wants what it held.
    """
    freed = [
        _cancelled(check, check_id, name, hold, now, expired=True)
        for name, hold in check.holds.items()
        if now >= hold.expires_at
    ]
    for fact in freed:
        check = cancelled(check, fact)
    amount = check.left_minor if amount_minor is None else amount_minor
    fits = 0 < amount <= check.left_minor and takes(check, amount)
    if not redeemable(check, till, now) or not fits:
        return Decision()
    reserved = RedemptionReserved(
        redemption_id=redemption_id,
        check_id=check_id,
        site=check.site,
        amount_minor=amount,
        currency=check.currency,
        till=till,
        # No hold outlasts its check, or a code could be redeemed after its time.
        expires_at=min(now + hold, check.valid_until),
        reserved_at=now,
    )
    if not capture:
        return Decision((*freed, reserved))
    return Decision((*freed, reserved, _captured(check, check_id, redemption_id, amount, now)))


def capture(
    check: Check, check_id: str, redemption_id: str, amount_minor: int | None, now: datetime
) -> Decision:
    """Redeem what is held, or less of it; nothing if the hold is gone, expired, or smaller."""
    hold = check.holds.get(redemption_id)
    if hold is None or now >= hold.expires_at or check.suspended or check.ended is not None:
        return Decision()
    amount = hold.amount_minor if amount_minor is None else amount_minor
    if not 0 < amount <= hold.amount_minor or not takes(check, amount):
        return Decision()
    return Decision((_captured(check, check_id, redemption_id, amount, now),))


def _captured(
    check: Check, check_id: str, redemption_id: str, amount: int, now: datetime
) -> RedemptionCaptured:
    return RedemptionCaptured(
        redemption_id=redemption_id,
        check_id=check_id,
        site=check.site,
        amount_minor=amount,
        currency=check.currency,
        captured_at=now,
    )


def cancel(
    check: Check, check_id: str, redemption_id: str, now: datetime, *, expired: bool = False
) -> Decision:
    """Free a hold; an expired one only once its time is over. Nothing if there is none."""
    hold = check.holds.get(redemption_id)
    if hold is None or (expired and now < hold.expires_at):
        return Decision()
    return Decision((_cancelled(check, check_id, redemption_id, hold, now, expired=expired),))


def _cancelled(
    check: Check, check_id: str, redemption_id: str, hold: Hold, now: datetime, *, expired: bool
) -> RedemptionCancelled:
    return RedemptionCancelled(
        redemption_id=redemption_id,
        check_id=check_id,
        site=check.site,
        amount_minor=hold.amount_minor,
        currency=check.currency,
        expired=expired,
        cancelled_at=now,
    )


def roll_back(check: Check, check_id: str, redemption_id: str, now: datetime) -> Decision:
    """Put what was redeemed on the check again; nothing if it was not, or if the check's time is over.

    Later it could not be redeemed any more, and its end, which gives authority back, came already. Of
    many parts a check knows the latest one by one, so the ones before them stay redeemed.
    """
    amount = check.captured.get(redemption_id)
    if amount is None or check.ended is not None or now >= check.valid_until:
        return Decision()
    return Decision(
        (
            RedemptionRolledBack(
                redemption_id=redemption_id,
                check_id=check_id,
                site=check.site,
                amount_minor=amount,
                currency=check.currency,
                rolled_back_at=now,
            ),
        )
    )


def timers(fact: Fact) -> Sequence[Timer]:
    """When a hold is free again."""
    match fact:
        case RedemptionReserved():
            return (Timer(HOLD, fact.redemption_id, fact.expires_at),)
        case RedemptionCaptured() | RedemptionCancelled():
            return (Timer(HOLD, fact.redemption_id, None),)
        case _:
            return ()


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    RedemptionReserved: (
        Fold(
            Redemption,
            lambda fact: fact.redemption_id,
            lambda _, fact: Redemption(check_id=fact.check_id, till=fact.till),
        ),
    ),
}
