"""What compensation does with each input: give a check, say what can be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from services.compensation.domain import (
    Case,
    Check,
    Wish,
    issue,
    limits_of,
    options_for,
    remainders,
)
from shared.contracts.compensation import Option, Remainder
from shared.contracts.decision import Decision
from shared.contracts.event import Currency, Id
from shared.contracts.policy import Employee, Policy
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.keys import Keys, key_key
from shared.runtime.policy import Policies, policy_key
from shared.runtime.snapshot import Snapshot

if TYPE_CHECKING:
    from services.compensation.ports import CodeMaker
    from shared.runtime.auth import Principal


class IssueCheck(BaseModel):
    """Give a service check for a complaint."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"complaint_id": "co-9f86d081884c7d65", "item": "dinner-for-two"}]
        },
    )

    complaint_id: Id
    item: Id
    currency: Currency | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What an employee may give for a complaint now."""

    options: tuple[Option, ...]
    left: tuple[Remainder, ...]


class Handlers:
    """The inputs of compensation and what they need."""

    def __init__(self, keys: Keys, codes: CodeMaker) -> None:
        self._keys = keys
        self._codes = codes
        self._policies = Policies()

    async def issue_check(
        self, command: IssueCheck, principal: Principal, check_id: str, snapshot: Snapshot
    ) -> Decision:
        """Give it if it fits; raises Rejected for what is unknown, Unavailable while a key is on its way."""
        case, policy, version, employee = await self._situation(
            command.complaint_id, principal, snapshot
        )
        if command.currency not in (None, policy.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        option = policy.option(command.item)
        if option is None:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        limits = limits_of(
            policy, case, command.complaint_id, principal.subject, employee, snapshot.now
        )
        accounts = [limit.account for limit in limits]
        await snapshot.prefetch([key_key(case.customer_ref)], accounts)
        key = await self._keys.of(case.customer_ref, snapshot)
        if key is None:
            raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
        balances = await snapshot.balances(accounts)
        code = self._codes.code(check_id)
        return issue(
            Wish(check_id, command.complaint_id, principal.subject, option),
            case,
            policy,
            version,
            employee,
            limits,
            balances,
            snapshot.now,
            code=key.seal("code", code),
            code_hash=self._codes.hash(code),
        )

    async def offer(self, complaint_id: str, principal: Principal, snapshot: Snapshot) -> Offer:
        """What the employee may give for this complaint; raises Rejected, Unavailable."""
        case, policy, _, employee = await self._situation(complaint_id, principal, snapshot)
        limits = limits_of(policy, case, complaint_id, principal.subject, employee, snapshot.now)
        balances = await snapshot.balances([limit.account for limit in limits])
        return Offer(
            options_for(policy, case, limits, balances, employee.role), remainders(limits, balances)
        )

    async def look(self, check_id: str, principal: Principal, snapshot: Snapshot) -> Check:
        """A check of the employee's site; raises Rejected(unknown_check)."""
        check = await snapshot.get(Check, check_id)
        if check is None or check.site != principal.site:
            raise Rejected(Reason.UNKNOWN_CHECK, status=404)
        return check

    async def _situation(
        self, complaint_id: str, principal: Principal, snapshot: Snapshot
    ) -> tuple[Case, Policy, int, Employee]:
        """Complaint, policy and employee; a foreign complaint looks like an unknown one."""
        await snapshot.prefetch(situation_keys(complaint_id, principal))
        policy, version = await self._policies.at(principal.site, snapshot)
        employee = policy.employees.get(principal.subject)
        if employee is None or not employee.active:
            raise Rejected(Reason.UNKNOWN_EMPLOYEE, status=403)
        case = await snapshot.get(Case, complaint_id)
        if case is None or case.site != principal.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/complaint_id",), status=404)
        return case, policy, version, employee


def situation_keys(complaint_id: str, principal: Principal) -> Sequence[str]:
    """The documents to read ahead for a decision about a complaint."""
    return f"{Case.KIND}:{complaint_id}", policy_key(principal.site)
