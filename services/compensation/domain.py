"""Authority as a ledger: what fits is given at once, what does not fit is answered with what does.

Accounts count up from zero; a ceiling comes from the policy in force. Every check is posted to all
scopes in one commit: the employee's day, the customer's stay, the complaint, the site's day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from shared.contracts.compensation import (
    CheckIssued,
    CheckKind,
    CheckRefused,
    Debit,
    Option,
    Remainder,
    Scope,
)
from shared.contracts.complaints import (
    Category,
    ComplaintReopened,
    ComplaintTriaged,
    Language,
    Severity,
)
from shared.contracts.decision import Decision, Document, Fold, Posting
from shared.contracts.event import Fact
from shared.contracts.policy import Employee, Policy

ALTERNATIVES_MAX = 6


class Case(Document):
    """What compensation must know of a complaint."""

    KIND: ClassVar[str] = "case"

    customer_ref: str
    site: str
    language: Language
    category: Category = Category.OTHER
    severity: Severity = Severity.MILD


class Check(Document):
    """A service check that was given."""

    KIND: ClassVar[str] = "check"

    complaint_id: str
    employee_id: str
    site: str
    item: str
    kind: CheckKind
    value_minor: int
    currency: str
    valid_until: datetime
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """One scope's account and ceiling for a decision; `until` is when it starts anew."""

    scope: Scope
    account: str
    ceiling_minor: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What an employee wants to give."""

    check_id: str
    complaint_id: str
    employee_id: str
    option: Option


def day_of(policy: Policy, now: datetime) -> tuple[str, datetime]:
    """The site's business day, and when the next begins (23 or 25 hours where clocks change)."""
    zone = ZoneInfo(policy.timezone)
    starts = policy.authority.day_starts
    local = now.astimezone(zone)
    day = local.date() if local.time() >= starts else local.date() - timedelta(days=1)
    return day.isoformat(), datetime.combine(day + timedelta(days=1), starts, tzinfo=zone)


def limits_of(
    policy: Policy,
    case: Case,
    complaint_id: str,
    employee_id: str,
    employee: Employee,
    now: datetime,
) -> tuple[Limit, ...]:
    """Every account a check for this complaint is charged to, with its ceiling."""
    day, until = day_of(policy, now)
    currency = policy.currency
    authority = policy.authority_of(employee.role)
    return (
        Limit(
            Scope.EMPLOYEE_DAY, f"employee/{employee_id}/{currency}/{day}", authority.per_day, until
        ),
        Limit(
            Scope.CUSTOMER_STAY,
            f"customer/{case.customer_ref}/{currency}",
            policy.limits.customer.per_stay,
        ),
        Limit(
            Scope.COMPLAINT, f"complaint/{complaint_id}/{currency}", policy.limits.complaint.total
        ),
        Limit(
            Scope.SITE_DAY, f"site/{case.site}/{currency}/{day}", policy.limits.site.per_day, until
        ),
    )


def remainders(
    limits: Sequence[Limit], balances: Mapping[str, int], spent: int = 0
) -> tuple[Remainder, ...]:
    """What is left per scope after spending `spent`; never below zero, also where a ceiling fell."""
    return tuple(
        Remainder(
            scope=limit.scope,
            ceiling_minor=limit.ceiling_minor,
            left_minor=max(0, limit.ceiling_minor - balances[limit.account] - spent),
            until=limit.until,
        )
        for limit in limits
    )


def options_for(
    policy: Policy, case: Case, limits: Sequence[Limit], balances: Mapping[str, int], role: str
) -> tuple[Option, ...]:
    """What can be given now, best first: the playbook's suggestions, then what fits, then by value."""
    left = min(remainder.left_minor for remainder in remainders(limits, balances))
    most = min(left, policy.authority_of(role).per_check)
    suggested = policy.playbook(case.category, case.severity).suggest
    found = []
    for option in policy.options():
        fits = policy.checks[option.item.partition("/")[0]].fits_category(case.category)
        if option.cost_minor <= most:
            found.append(option.model_copy(update={"fits_reason": fits}))
    found.sort(
        key=lambda option: (
            suggested.index(option.item) if option.item in suggested else len(suggested),
            not option.fits_reason,
            -option.value_minor,
        )
    )
    return tuple(found)


def issue(
    wish: Wish,
    case: Case,
    policy: Policy,
    policy_version: int,
    employee: Employee,
    limits: Sequence[Limit],
    balances: Mapping[str, int],
    now: datetime,
    *,
    code: str,
    code_hash: str,
) -> Decision:
    """Give the check if every scope holds it; else say which scope bound, and what does fit."""
    option = wish.option
    bound_by = binding_scope(option, policy, employee, limits, balances)
    if bound_by is not None:
        return Decision(
            (
                CheckRefused(
                    check_id=wish.check_id,
                    complaint_id=wish.complaint_id,
                    customer_ref=case.customer_ref,
                    employee_id=wish.employee_id,
                    site=case.site,
                    item=option.item,
                    policy_version=policy_version,
                    currency=option.currency,
                    cost_minor=option.cost_minor,
                    bound_by=bound_by,
                    left=remainders(limits, balances),
                    alternatives=options_for(policy, case, limits, balances, employee.role)[
                        :ALTERNATIVES_MAX
                    ],
                    refused_at=now,
                ),
            )
        )
    return Decision(
        (
            CheckIssued(
                check_id=wish.check_id,
                complaint_id=wish.complaint_id,
                customer_ref=case.customer_ref,
                employee_id=wish.employee_id,
                site=case.site,
                item=option.item,
                policy_version=policy_version,
                kind=option.kind,
                language=case.language,
                value_minor=option.value_minor,
                cost_minor=option.cost_minor,
                currency=option.currency,
                code=code,
                code_hash=code_hash,
                valid_until=now + policy.checks[option.item.partition("/")[0]].valid,
                issued_at=now,
                debits=tuple(
                    Debit(scope=limit.scope, account=limit.account, amount_minor=option.cost_minor)
                    for limit in limits
                ),
                left=remainders(limits, balances, option.cost_minor),
            ),
        ),
        ceilings={limit.account: limit.ceiling_minor for limit in limits},
    )


def binding_scope(
    option: Option,
    policy: Policy,
    employee: Employee,
    limits: Sequence[Limit],
    balances: Mapping[str, int],
) -> Scope | None:
    """The first scope that cannot hold the check; None if all can. What is free always fits."""
    if option.cost_minor == 0:
        return None
    if option.cost_minor > policy.authority_of(employee.role).per_check:
        return Scope.CHECK
    for limit in limits:
        if balances[limit.account] + option.cost_minor > limit.ceiling_minor:
            return limit.scope
    return None


def postings(fact: Fact) -> Sequence[Posting]:
    """An issued check is charged to every account it names; what is free is charged nowhere."""
    if isinstance(fact, CheckIssued):
        return [
            Posting(debit.account, debit.amount_minor)
            for debit in fact.debits
            if debit.amount_minor
        ]
    return ()


def case_triaged(_: Case | None, fact: ComplaintTriaged) -> Case:
    """A complaint we may give something for."""
    return Case(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        category=fact.category,
        severity=fact.severity,
    )


def case_reopened(case: Case | None, fact: ComplaintReopened) -> Case:
    """It is open again; what it is about did not change."""
    return case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)


def check_issued(_: Check | None, fact: CheckIssued) -> Check:
    """A new check."""
    return Check(
        complaint_id=fact.complaint_id,
        employee_id=fact.employee_id,
        site=fact.site,
        item=fact.item,
        kind=fact.kind,
        value_minor=fact.value_minor,
        currency=fact.currency,
        valid_until=fact.valid_until,
        issued_at=fact.issued_at,
    )


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    ComplaintTriaged: (Fold(Case, lambda fact: fact.complaint_id, case_triaged),),
    ComplaintReopened: (Fold(Case, lambda fact: fact.complaint_id, case_reopened),),
    CheckIssued: (Fold(Check, lambda fact: fact.check_id, check_issued),),
    CheckRefused: (),
}
