"""Loads what every decision of an employee begins with: who asks, the policy, the headroom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.compensation.authority.rules import Headroom, limits_of, stretch_of
from services.compensation.authority.windows import KnownWindows, Windows, stay_of
from services.compensation.cases.rules import History
from shared.contracts.compensation import Option
from shared.contracts.policy import Policy, RoleAuthority
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey, KeyRing, Keys
from shared.runtime.roster import employed, employee_key


@dataclass(frozen=True, slots=True)
class StaffContext:
    """An employee at work: the policy in force, their authority, the windows of this moment."""

    policy: Policy
    policy_version: int
    employee_id: str
    authority: RoleAuthority
    windows: Windows
    #: None where a policy's authority is asked for and nobody's own.
    role: str | None = None

    @property
    def site(self) -> str:
        """The site of the policy and of the employee."""
        return self.policy.site

    def option(self, item: str) -> Option:
        """An item of the site's catalogue; raises Rejected(amount_not_offered)."""
        option = self.policy.option(item)
        if option is None:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        return option


class ContextLoader:
    """Loads what decisions need: the employee, the policy, the customer's keys, the headroom."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.policies = Policies()
        self._windows = KnownWindows()

    async def staff(self, principal: Principal, view: View) -> StaffContext:
        """The employee who asks; raises Rejected(unknown_site, unknown_employee), Unavailable.

        The roster decides who is an employee, whatever the token says.
        """
        await view.prefetch(staff_keys(principal))
        policy, version = await self.policies.at(principal.site, view)
        employee = await employed(principal, view)
        return StaffContext(
            policy,
            version,
            principal.subject,
            policy.authority_of(employee.listing.role),
            self.windows(policy, version, view),
            employee.listing.role,
        )

    def windows(self, policy: Policy, version: int, view: View) -> Windows:
        """Shift, day and week at the moment of a decision, by this version of the site's policy."""
        return self._windows.at(policy, version, view.now)

    async def key(self, customer_ref: str, view: View) -> KeyRing:
        """The customer's keys; raises Rejected(customer_erased), and Unavailable until the first has come."""
        return await self.keys.needed(customer_ref, view)

    @staticmethod
    async def headroom(
        staff: StaffContext,
        customer_ref: str,
        complaint_id: str | None,
        view: View,
        also: Sequence[str] = (),
        *,
        delight: bool = False,
    ) -> Headroom:
        """The limits of a wish and the balances of their accounts.

        Reads in the same trip the customer's keys and history, and the documents in `also`, which the
        decision will change. Where stays end, the history is read before: it says which stay it is.
        What is given to delight is charged to the budget for it, and never stretched.
        """
        stay = None
        if staff.policy.limits.customer.stay_days is not None:
            known = await view.get(History, customer_ref)
            began = known.stay_from if known is not None else None
            stay = stay_of(staff.policy, staff.windows.day, began)
        limits = limits_of(
            staff.policy,
            staff.authority,
            staff.windows,
            site=staff.site,
            employee_id=staff.employee_id,
            customer_ref=customer_ref,
            complaint_id=complaint_id,
            stay=stay,
            delight=delight,
        )
        stretch = None if delight else stretch_of(staff.policy, staff.windows, staff.employee_id)
        accounts = [limit.account for limit in (*limits, stretch) if limit is not None]
        keys = [CustomerKey.key(customer_ref), History.key(customer_ref), *also]
        await view.prefetch(keys, accounts)
        rule = staff.policy.authority.stretch
        return Headroom(
            per_check=staff.authority.per_check,
            limits=tuple(limits),
            balances=await view.balances(accounts),
            stretch=stretch,
            stretch_percent=rule.percent if rule is not None else 0,
        )


def staff_keys(principal: Principal) -> Sequence[str]:
    """The documents to read ahead for any decision of an employee."""
    return PolicyHead.key(principal.site), employee_key(principal.site, principal.subject)
