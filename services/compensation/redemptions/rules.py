"""Redeeming a check at a till: reserve, capture, cancel, roll back; each step idempotent.

A hold that is not captured in time is freed. The commit decides which of two steps at once came first,
because both change the check's document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, TypedDict

from services.compensation.checks.rules import IN_PARTS, Check, Hold, check_of
from shared.contracts.compensation import (
    REDEMPTIONS_MAX,
    CheckKind,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
)
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Fold, Slice, Timer

HOLD = "hold"


class Redemption(Document):
    """The check and the till of a redemption; what became of it is in the check."""

    KIND: ClassVar[str] = "redemption"

    check_id: str
    till: str


class Told(TypedDict):
    """What a till is told of the check it takes."""

    item: str
    kind: CheckKind
    title: str
    value_minor: int
    left_minor: int
    percent: int | None
    bill_up_to_minor: int | None


def takes(check: Check, amount_minor: int) -> bool:
    """Whether this amount can be taken: any, if it has parts or is a percentage; else the whole."""
    return check.kind in (*IN_PARTS, CheckKind.PERCENTAGE) or amount_minor == check.value_minor


@dataclass(frozen=True, slots=True)
class No:
    """Why a till cannot redeem an amount, and what it is told beside: `left_minor` is the most it can."""

    reason: Reason
    told: Mapping[str, int] = field(default_factory=dict)


def why_not(check: Check, amount_minor: int | None, till: str, now: datetime) -> No | None:
    """Why a till of the check's site cannot redeem this amount of it now; None if it can.

    Without an amount, all that is left is meant. A percentage needs one, because only the till knows
    the bill. A check that is used, suspended or ended is refused like a wrong code.
    """
    over = check.ended is not None or check.suspended or now >= check.valid_until
    if over or check.spent or not check.value_minor:
        return No(Reason.CODE_NOT_REDEEMABLE)
    if check.valid_at and till not in check.valid_at:
        return No(Reason.NOT_VALID_HERE)
    live = [hold for hold in check.holds.values() if now < hold.expires_at]
    # A check without parts can be held by one till at a time.
    most = REDEMPTIONS_MAX if check.kind in IN_PARTS else 1
    free = check.value_minor - check.redeemed_minor
    left = free - sum(hold.amount_minor for hold in live) if len(live) < most else 0
    amount = left if amount_minor is None else amount_minor
    told = {"left_minor": left}
    if amount > free:
        return No(Reason.AMOUNT_TOO_LARGE, told)
    if not 0 < amount <= left:
        return No(Reason.ON_HOLD, told)
    if amount_minor is None and check.kind is CheckKind.PERCENTAGE:
        of_bill = {"percent": check.percent, "bill_up_to_minor": check.bill_up_to_minor}
        known = {name: value for name, value in of_bill.items() if value is not None}
        return No(Reason.AMOUNT_MISSING, {**told, **known})
    return None if takes(check, amount) else No(Reason.NOT_IN_PARTS, told)


def reserve(
    check: Check,
    check_id: str,
    redemption_id: str,
    amount_minor: int | None,
    till: str,
    title: str,
    hold: timedelta,
    now: datetime,
    *,
    capture: bool = False,
) -> Decision:
    """Hold a part of a check for a till, or redeem it at once; nothing if it does not fit.

    Also frees the holds of the check whose time is over.
    """
    if why_not(check, amount_minor, till, now) is not None:
        return Decision()
    freed = [
        _cancelled(check, check_id, name, hold, now, expired=True)
        for name, hold in check.holds.items()
        if now >= hold.expires_at
    ]
    for fact in freed:
        check = cancelled(check, fact)
    amount = check.left_minor if amount_minor is None else amount_minor
    told = _told(check, check.left_minor - amount, title)
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
        **told,
    )
    if not capture:
        return Decision.of(*freed, reserved)
    return Decision.of(
        *freed, reserved, _captured(check, check_id, redemption_id, amount, now, told)
    )


def capture(
    check: Check,
    check_id: str,
    redemption_id: str,
    amount_minor: int | None,
    title: str,
    now: datetime,
) -> Decision | No:
    """Redeem what is held, or less of it; No if the hold is gone or too small, or has no parts."""
    hold = check.holds.get(redemption_id)
    if hold is None or now >= hold.expires_at or check.suspended or check.ended is not None:
        return No(Reason.HOLD_GONE)
    amount = hold.amount_minor if amount_minor is None else amount_minor
    told = {"left_minor": hold.amount_minor}
    if not 0 < amount <= hold.amount_minor:
        return No(Reason.AMOUNT_TOO_LARGE, told)
    if not takes(check, amount):
        return No(Reason.NOT_IN_PARTS, told)
    left = check.left_minor + hold.amount_minor - amount
    taken = _told(check, left, title)
    return Decision.of(_captured(check, check_id, redemption_id, amount, now, taken))


def _told(check: Check, left_minor: int, title: str) -> Told:
    """What a till is told of a check; a check that is redeemed once has nothing left."""
    return {
        "item": check.item,
        "kind": check.kind,
        "title": title,
        "value_minor": check.value_minor,
        "left_minor": left_minor if check.kind in IN_PARTS else 0,
        "percent": check.percent,
        "bill_up_to_minor": check.bill_up_to_minor,
    }


def _captured(
    check: Check, check_id: str, redemption_id: str, amount: int, now: datetime, told: Told
) -> RedemptionCaptured:
    return RedemptionCaptured(
        redemption_id=redemption_id,
        check_id=check_id,
        site=check.site,
        amount_minor=amount,
        currency=check.currency,
        captured_at=now,
        **told,
    )


def cancel(
    check: Check, check_id: str, redemption_id: str, now: datetime, *, expired: bool = False
) -> Decision:
    """Free a hold, nothing if there is none; with `expired`, only once its time is over."""
    hold = check.holds.get(redemption_id)
    if hold is None or (expired and now < hold.expires_at):
        return Decision()
    return Decision.of(_cancelled(check, check_id, redemption_id, hold, now, expired=expired))


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
    """Put what was redeemed back on the check; nothing if it was not redeemed, or the check ended.

    After its end the amount could not be redeemed again, and authority was given back without it. A
    check lists its latest parts alone, so earlier ones stay redeemed.
    """
    amount = check.captured.get(redemption_id)
    if amount is None or check.ended is not None or now >= check.valid_until:
        return Decision()
    return Decision.of(
        RedemptionRolledBack(
            redemption_id=redemption_id,
            check_id=check_id,
            site=check.site,
            amount_minor=amount,
            currency=check.currency,
            rolled_back_at=now,
        )
    )


def over(fact: RedemptionCaptured | RedemptionCancelled) -> Sequence[Timer]:
    """Removes the timer of a hold that ended."""
    return (Timer(HOLD, fact.redemption_id, None),)


def reserved(check: Check, fact: RedemptionReserved) -> Check:
    """The check, with a part held by a till."""
    hold = Hold(amount_minor=fact.amount_minor, till=fact.till, expires_at=fact.expires_at)
    return check.model_copy(update={"holds": {**check.holds, fact.redemption_id: hold}})


def captured(check: Check, fact: RedemptionCaptured) -> Check:
    """The check, with the held part or less redeemed; of too many parts the oldest is summed."""
    parts = {**check.captured, fact.redemption_id: fact.amount_minor}
    before = check.captured_before
    if len(parts) > REDEMPTIONS_MAX:
        before += parts.pop(next(iter(parts)))
    return check.model_copy(
        update={
            "holds": _without(check.holds, fact.redemption_id),
            "captured": parts,
            "captured_before": before,
        }
    )


def cancelled(check: Check, fact: RedemptionCancelled) -> Check:
    """The check, without the hold."""
    return check.model_copy(update={"holds": _without(check.holds, fact.redemption_id)})


def rolled_back(check: Check, fact: RedemptionRolledBack) -> Check:
    """The check, without the redeemed part."""
    rest = {name: amount for name, amount in check.captured.items() if name != fact.redemption_id}
    return check.model_copy(update={"captured": rest})


def _without(holds: Mapping[str, Hold], redemption_id: str) -> dict[str, Hold]:
    return {name: hold for name, hold in holds.items() if name != redemption_id}


SLICE = Slice(
    {
        RedemptionReserved: (
            Fold(Check, check_of, reserved),
            Fold(
                Redemption,
                lambda fact: fact.redemption_id,
                lambda _, fact: Redemption(check_id=fact.check_id, till=fact.till),
            ),
        ),
        RedemptionCaptured: (Fold(Check, check_of, captured),),
        RedemptionCancelled: (Fold(Check, check_of, cancelled),),
        RedemptionRolledBack: (Fold(Check, check_of, rolled_back),),
    },
    timers={
        RedemptionReserved: lambda fact: (Timer(HOLD, fact.redemption_id, fact.expires_at),),
        RedemptionCaptured: over,
        RedemptionCancelled: over,
    },
)
