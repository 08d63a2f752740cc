"""Tills: a code is reserved, captured, cancelled, rolled back.

A till of the check's site is told why something is not taken; to all others every no is the same.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.compensation.domain.checks import Check, Code
from services.compensation.domain.redemptions import (
    No,
    Redemption,
    cancel,
    capture,
    reserve,
    roll_back,
    why_not,
)
from services.compensation.handlers.situation import Situations
from shared.contracts.decision import Decision
from shared.contracts.reasons import Reason
from shared.money import AMOUNT_MINOR_MAX
from shared.runtime.auth import Kind
from shared.runtime.faults import Rejected, Unavailable

if TYPE_CHECKING:
    from services.compensation.ports import CodeMaker
    from shared.contracts.policy import Policy
    from shared.runtime.auth import Principal
    from shared.runtime.snapshot import Snapshot

#: Codes in vain that a till may show within a minute: all tills of a site may be one caller and mistype
#: a few, and who guesses one of 50 bits needs millions.
TRIES_MAX = 60
TRIES_WITHIN = timedelta(minutes=1)
#: Tills remembered in one process; one more, and who failed first is forgotten.
TILLS_MAX = 10_000

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

    code: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    amount_minor: AmountMinor | None = Field(
        None,
        description="How much of the check is taken, in minor units; without it, all that is left. Of"
        " a percentage it is needed, and it is the discount, not the bill: what the till takes off.",
    )
    capture: Annotated[bool, Field(description="Redeem it at once: nothing is held.")] = False


class Capture(BaseModel):
    """Redeem what is held, or less of it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"amount_minor": 11500}]}
    )

    amount_minor: AmountMinor | None = Field(
        None,
        description="What is redeemed, in minor units: at most what is held, and of a percentage the"
        " discount, not the bill. Without it, all that is held.",
    )


class Tries:
    """Wrong codes per till, each process for itself: a bound on guessing need not be exact."""

    def __init__(self) -> None:
        #: By the whole principal: two sites may both call a till `till-1`.
        self._failed: dict[Principal, tuple[datetime, int]] = {}

    def check(self, till: Principal, now: datetime) -> None:
        """Raises Unavailable(too_many_tries) while the till must wait."""
        since, count = self._failed.get(till, (now, 0))
        left = since + TRIES_WITHIN - now
        if count >= TRIES_MAX and left > timedelta():
            wait_s = ceil(left.total_seconds())
            raise Unavailable(Reason.TOO_MANY_TRIES, retry_after_s=wait_s, status=429)

    def failed(self, till: Principal, now: datetime) -> None:
        """Count one wrong code."""
        since, count = self._failed.get(till, (now, 0))
        if now - since >= TRIES_WITHIN:
            since, count = now, 0
            self._failed.pop(till, None)  # so that the first in the dictionary failed first
        self._failed[till] = since, count + 1
        if len(self._failed) > TILLS_MAX:
            del self._failed[next(iter(self._failed))]


class Tills:
    """Redemptions."""

    def __init__(self, situations: Situations, codes: CodeMaker) -> None:
        self._situations = situations
        self._codes = codes
        self._tries = Tries()

    async def reserve(
        self, command: Reserve, principal: Principal, name: str, snapshot: Snapshot
    ) -> Decision:
        """Hold or redeem a part; raises Rejected(code_not_redeemable) for a wrong code.

        Raises Rejected(own_check, not_valid_here, not_in_parts, amount_missing, amount_too_large,
        on_hold) for a check of this site, and Unavailable(too_many_tries) for a till that showed many wrong codes.
        """
        self._tries.check(principal, snapshot.now)
        await self._at_work(principal, snapshot)
        policy, _ = await self._situations.policies.at(principal.site, snapshot)
        code_hash = self._codes.hash(command.code)
        code = await snapshot.get(Code, code_hash)
        # An unknown code reads a check as well, so that it takes as long as a known one.
        check_id = code.check_id if code is not None else "ck-none"
        check = await snapshot.get(Check, check_id)
        # Once more: others of a burst may have failed while this one read. From here to the answer
        # nothing is awaited, so no code is compared beyond the bound.
        self._tries.check(principal, snapshot.now)
        why: No | None = WRONG_CODE
        if (
            check is not None
            and hmac.compare_digest(check.code_hash, code_hash)
            and check.site == principal.site
        ):
            _not_own(check, principal)
            why = why_not(check, command.amount_minor, principal.subject, snapshot.now)
        if check is None or why is not None:
            no = why or WRONG_CODE
            if no.reason is Reason.CODE_NOT_REDEEMABLE:
                self._tries.failed(principal, snapshot.now)
            raise _rejected(no)
        return reserve(
            check,
            check_id,
            f"re-{name}",
            command.amount_minor,
            principal.subject,
            await self._title(check, policy, snapshot),
            policy.hold,
            snapshot.now,
            capture=command.capture,
        )

    async def capture(
        self, redemption_id: str, command: Capture, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """Redeem what is held; raises Rejected(own_check, hold_gone, amount_too_large, not_in_parts)."""
        check_id, check = await self.of(redemption_id, principal, snapshot)
        _not_own(check, principal)
        policy, _ = await self._situations.policies.at(principal.site, snapshot)
        title = await self._title(check, policy, snapshot)
        found = capture(check, check_id, redemption_id, command.amount_minor, title, snapshot.now)
        if isinstance(found, No):
            raise _rejected(found)
        return found

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

    async def _title(self, check: Check, now: Policy, snapshot: Snapshot) -> str:
        """What the site calls a check: as when it was given, else as now, else by its id."""
        then = now
        if check.policy_version is not None:
            then = await self._situations.policies.of(check.site, check.policy_version, snapshot)
        name = check.item.partition("/")[0]
        item = then.checks.get(name) or now.checks.get(name)
        if item is None:
            return name
        return item.title.get(now.languages[0]) or next(iter(item.title.values()))

    async def _at_work(self, principal: Principal, snapshot: Snapshot) -> None:
        """An employee who stands in as a till is one of the roster; raises Rejected."""
        if principal.kind is Kind.EMPLOYEE:
            await self._situations.desk(principal, snapshot)


def _not_own(check: Check, principal: Principal) -> None:
    """Raises Rejected(own_check) for an employee who gave the check: it takes two to turn it into money."""
    if principal.kind is Kind.EMPLOYEE and principal.subject == check.employee_id:
        raise Rejected(Reason.OWN_CHECK, status=409)


def _rejected(no: No) -> Rejected:
    return Rejected(no.reason, status=409, told=no.told)


def _done(decision: Decision, otherwise: Reason) -> Decision:
    if not decision.facts:
        raise Rejected(otherwise, status=409)
    return decision
