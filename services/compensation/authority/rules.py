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
from shared.contracts.compensation import Debit, Remainder, Scope
from shared.contracts.policy import Policy, RoleAuthority
from shared.contracts.roster import employee_name
from shared.kernel import Posting

#: Scopes of one employee: a colleague's authority could hold what these do not.
PERSONAL = (Scope.CHECK, Scope.EMPLOYEE_SHIFT, Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_WEEK)


#: Before the day on which a stay began, in its account.
STAY = "/stay/"


#: Scopes that count how often and not how much: given back only when nothing was redeemed.
COUNTED = (Scope.CUSTOMER_CHECKS, Scope.STRETCH)


class Limit(NamedTuple):
    """One scope's account and ceiling for a decision; `until` is when it starts anew.

    `own` ceilings are the employee's and may be stretched; one that `counts` is charged 1 and not
    an amount.
    """

    scope: Scope
    account: str
    ceiling_minor: int
    until: datetime | None = None
    own: bool = False
    counts: bool = False

    def amount(self, cost_minor: int) -> int:
        """What a check of this cost is charged here."""
        return 1 if self.counts else cost_minor

    def holds(self, cost_minor: int, balances: Mapping[str, int]) -> bool:
        """Whether one more check of this cost fits."""
        return balances[self.account] + self.amount(cost_minor) <= self.ceiling_minor


def ceiling_of(authority: RoleAuthority, scope: Scope) -> int | None:
    """What an employee may give in a day, shift or week; None without a ceiling for it."""
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
) -> tuple[Limit, ...]:
    """Every account a check is charged to, with its ceiling; a `stay` of None never ends."""
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
    """How often an employee may still stretch in this shift."""
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


def remainders(
    limits: Sequence[Limit], balances: Mapping[str, int], cost_minor: int = 0
) -> tuple[Remainder, ...]:
    """What is left per scope after one check of this cost; never below zero, also where a ceiling fell."""
    return tuple(
        Remainder(
            scope=limit.scope,
            ceiling_minor=limit.ceiling_minor,
            left_minor=max(
                0,
                limit.ceiling_minor
                - balances[limit.account]
                - (limit.amount(cost_minor) if cost_minor else 0),
            ),
            until=limit.until,
        )
        for limit in limits
    )


def debits(limits: Sequence[Limit], cost_minor: int) -> tuple[Debit, ...]:
    """What a check of this cost is charged; what is free is charged nowhere."""
    if not cost_minor:
        return ()
    return tuple(
        Debit(scope=limit.scope, account=limit.account, amount_minor=limit.amount(cost_minor))
        for limit in limits
    )


def ceilings_of(limits: Sequence[Limit]) -> Mapping[str, int]:
    """The ceilings the commit holds the postings to."""
    return {limit.account: limit.ceiling_minor for limit in limits}


@dataclass(frozen=True, slots=True)
class Headroom:
    """What there is to decide with: the limits of a wish and what is in their accounts."""

    per_check: int
    limits: tuple[Limit, ...]
    balances: Mapping[str, int]
    stretch: Limit | None = None
    stretch_percent: int = 0

    def binding(self, cost_minor: int) -> Scope | None:
        """The first scope that cannot hold a check; None if all can. What is free always fits."""
        if cost_minor == 0:
            return None
        if cost_minor > self.per_check:
            return Scope.CHECK
        for limit in self.limits:
            if not limit.holds(cost_minor, self.balances):
                return limit.scope
        return None

    def decide(self, cost_minor: int) -> Granted | Exceeded:
        """Whether a check of this cost fits, stretched if need be; or else the scope that binds.

        Where the stretch would hold it and a ceiling shared with others does not, that one binds.
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
        """The same headroom with the employee's own ceilings stretched, if they still may be."""
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


def posted(charges: Sequence[Debit], sign: int = 1, prefix: str = "") -> Sequence[Posting]:
    """What these charges post; `sign` -1 gives them back, `prefix` names accounts beside the first."""
    return [
        Posting(prefix + charge.account, sign * charge.amount_minor)
        for charge in charges
        if charge.amount_minor
    ]


@dataclass(frozen=True, slots=True)
class Granted:
    """A check fits within this headroom: with the employee's own ceilings stretched, or without."""

    within: Headroom
    stretched: bool


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A check does not fit: the first scope that cannot hold it."""

    bound_by: Scope
