"""Authority as a ledger: accounts that count up to ceilings.

Every check is posted to all its accounts in one commit. The employee's own ceilings have a band above
them, the stretch: granted at once, explained afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from services.compensation.authority.windows import Window, Windows
from shared.contracts.compensation import Scope
from shared.contracts.policy import Policy, RoleAuthority
from shared.contracts.roster import employee_name
from shared.kernel import Posting

#: Scopes of one employee: if one of these binds, a colleague's authority may hold the check.
PERSONAL = (Scope.CHECK, Scope.EMPLOYEE_SHIFT, Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_WEEK)


#: In the name of a stay's account, what precedes the day on which the stay began.
STAY = "/stay/"


#: Scopes charged 1 per check and not its cost. Of these, CUSTOMER_CHECKS is given back if nothing was
#: redeemed, and STRETCH never.
COUNTED = (Scope.CUSTOMER_CHECKS, Scope.STRETCH)


#: By what an account's name begins with: those of employees and customers have several scopes.
ONE_SCOPE = {
    "complaint": Scope.COMPLAINT,
    "site": Scope.SITE_DAY,
    "stretch": Scope.STRETCH,
    "incident": Scope.INCIDENT,
    "delight": Scope.DELIGHT,
}


class Limit(NamedTuple):
    """One scope's account and ceiling for a decision; `until` is when the next window begins at zero.

    An `own` limit is the employee's and may be stretched; a limit that `counts` is charged 1 per check
    and not its cost.
    """

    scope: Scope
    account: str
    ceiling_minor: int
    until: datetime | None = None
    own: bool = False
    counts: bool = False

    def amount(self, cost_minor: int) -> int:
        """The amount that a check of this cost is charged to this account."""
        return 1 if self.counts else cost_minor

    def holds(self, cost_minor: int, balances: Mapping[str, int]) -> bool:
        """Whether one more check of this cost fits."""
        return balances[self.account] + self.amount(cost_minor) <= self.ceiling_minor


def ceiling_of(authority: RoleAuthority, scope: Scope) -> int | None:
    """What an employee may give in a day, shift or week; None if there is no ceiling for it."""
    ceilings = {
        Scope.EMPLOYEE_DAY: authority.per_day,
        Scope.EMPLOYEE_SHIFT: authority.per_shift,
        Scope.EMPLOYEE_WEEK: authority.per_week,
    }
    return ceilings[scope]


def own_account(site: str, employee_id: str, currency: str, window: str) -> str:
    """The account of what an employee gave in a window."""
    return f"employee/{employee_name(site, employee_id)}/{currency}/{window}"


def own_limits(
    policy: Policy, authority: RoleAuthority, windows: Windows, employee_id: str
) -> list[Limit]:
    """An employee's own accounts, with their ceilings."""
    found = []
    for scope in (Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_SHIFT, Scope.EMPLOYEE_WEEK):
        ceiling, window = ceiling_of(authority, scope), windows.of(scope)
        if ceiling is not None:
            account = own_account(policy.site, employee_id, policy.currency, window.id)
            found.append(Limit(scope, account, ceiling, window.until, own=True))
    return found


def limits_of(
    policy: Policy,
    authority: RoleAuthority,
    windows: Windows,
    *,
    site: str,
    employee_id: str,
    customer_ref: str,
    complaint_id: str | None,
    stay: Window | None = None,
    delight: bool = False,
) -> tuple[Limit, ...]:
    """Every account a check is charged to, with its ceiling; a `stay` of None never ends.

    A check that is given to delight is charged to the budget for it as well.
    """
    currency, day = policy.currency, windows.day
    customer = policy.limits.customer
    found = own_limits(policy, authority, windows, employee_id)
    guest = f"customer/{customer_ref}"
    found.append(
        Limit(
            Scope.CUSTOMER_STAY,
            f"{guest}/{currency}" + (f"{STAY}{stay.id}" if stay else ""),
            customer.per_stay,
            stay.until if stay else None,
        )
    )
    if customer.per_day is not None:
        found.append(
            Limit(Scope.CUSTOMER_DAY, f"{guest}/{currency}/{day.id}", customer.per_day, day.until)
        )
    found.append(
        Limit(
            Scope.CUSTOMER_CHECKS,
            f"{guest}/checks/{day.id}",
            customer.checks_per_day,
            day.until,
            counts=True,
        )
    )
    if complaint_id is not None:
        found.append(
            Limit(
                Scope.COMPLAINT,
                f"complaint/{complaint_id}/{currency}",
                policy.limits.complaint.total,
            )
        )
    if delight and policy.delight is not None:
        window = windows.of_budget(policy.delight.per)
        account = f"delight/{site}/{currency}/{window.id}"
        found.append(Limit(Scope.DELIGHT, account, policy.delight.budget, window.until))
    found.append(
        Limit(
            Scope.SITE_DAY,
            f"site/{site}/{currency}/{day.id}",
            policy.limits.site.per_day,
            day.until,
        )
    )
    return tuple(found)


def stretch_of(policy: Policy, windows: Windows, employee_id: str) -> Limit | None:
    """The limit of how often an employee may stretch in a shift; None if the policy has no stretch."""
    stretch = policy.authority.stretch
    if stretch is None:
        return None
    return Limit(
        Scope.STRETCH,
        f"stretch/{employee_name(policy.site, employee_id)}/{windows.shift.id}",
        stretch.times_per_shift,
        windows.shift.until,
        counts=True,
    )


def scope_of(account: str) -> Scope:
    """The scope of an account that `limits_of`, `stretch_of` or an incident's budget names.

    Raises KeyError for a name that is none of theirs.
    """
    kind, _, rest = account.partition("/")
    before, _, window = rest.rpartition("/")
    if kind == "employee":
        if "W" in window:
            return Scope.EMPLOYEE_WEEK
        return Scope.EMPLOYEE_DAY if "-" in window else Scope.EMPLOYEE_SHIFT
    if kind == "customer":
        if "-" not in window or f"{before}/".endswith(STAY):  # a currency: the stay never ends
            return Scope.CUSTOMER_STAY
        return Scope.CUSTOMER_CHECKS if before.endswith("/checks") else Scope.CUSTOMER_DAY
    return ONE_SCOPE[kind]


def left_of(
    limits: Sequence[Limit], balances: Mapping[str, int], cost_minor: int = 0
) -> dict[Scope, int]:
    """What is left per scope after a check of this cost; never below zero, even under a lowered ceiling."""
    return {
        limit.scope: max(
            0,
            limit.ceiling_minor
            - balances[limit.account]
            - (limit.amount(cost_minor) if cost_minor else 0),
        )
        for limit in limits
    }


def charges_of(limits: Sequence[Limit], cost_minor: int) -> dict[str, int]:
    """What a check of this cost is charged, by account; a free check is charged nowhere."""
    if not cost_minor:
        return {}
    return {limit.account: limit.amount(cost_minor) for limit in limits}


def ceilings_of(limits: Sequence[Limit]) -> Mapping[str, int]:
    """The ceilings that the commit enforces, by account."""
    return {limit.account: limit.ceiling_minor for limit in limits}


@dataclass(frozen=True, slots=True)
class Headroom:
    """The limits of a wish, and the balances of their accounts."""

    per_check: int
    limits: tuple[Limit, ...]
    balances: Mapping[str, int]
    stretch: Limit | None = None
    stretch_percent: int = 0

    def binding(self, cost_minor: int) -> Scope | None:
        """The first scope that cannot hold a check, None if all can; a free check always fits."""
        if cost_minor == 0:
            return None
        if cost_minor > self.per_check:
            return Scope.CHECK
        for limit in self.limits:
            if not limit.holds(cost_minor, self.balances):
                return limit.scope
        return None

    def decide(self, cost_minor: int) -> Granted | Exceeded:
        """Whether a check of this cost fits, stretched if need be; if not, the scope that binds.

        If the stretch would hold the check but a ceiling shared with others does not, the scope is that
        of the shared ceiling.
        """
        bound_by = self.binding(cost_minor)
        if bound_by is None:
            return Granted(self, stretched=False)
        wider = self._stretched(cost_minor)
        if wider is None:
            return Exceeded(bound_by)
        beyond = wider.binding(cost_minor)
        if beyond is None:
            return Granted(wider, stretched=True)
        return Exceeded(bound_by if beyond in PERSONAL else beyond)

    def _stretched(self, cost_minor: int) -> Headroom | None:
        """This headroom with the employee's own ceilings stretched; None if that is not allowed."""
        if self.stretch is None or not self.stretch.holds(cost_minor, self.balances):
            return None
        percent = 100 + self.stretch_percent
        return replace(
            self,
            per_check=self.per_check * percent // 100,
            limits=(
                *(
                    limit._replace(ceiling_minor=limit.ceiling_minor * percent // 100)
                    if limit.own
                    else limit
                    for limit in self.limits
                ),
                self.stretch,
            ),
            stretch=None,
        )

    def most(self) -> int:
        """The cost of the dearest check that fits now, without stretching."""
        if any(limit.counts and not limit.holds(1, self.balances) for limit in self.limits):
            return 0
        left = (
            limit.ceiling_minor - self.balances[limit.account]
            for limit in self.limits
            if not limit.counts
        )
        return max(0, min(self.per_check, *left))


def posted(charges: Mapping[str, int], sign: int = 1, prefix: str = "") -> Sequence[Posting]:
    """Postings of these charges: a `sign` of -1 gives them back, a `prefix` names other accounts."""
    return [Posting(prefix + account, sign * amount) for account, amount in charges.items()]


@dataclass(frozen=True, slots=True)
class Granted:
    """A check fits within this headroom: with the employee's own ceilings stretched, or without."""

    within: Headroom
    stretched: bool


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A check does not fit: the first scope that cannot hold it."""

    bound_by: Scope
