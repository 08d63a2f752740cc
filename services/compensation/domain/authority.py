"""Authority as a ledger: accounts that count up to ceilings, and what to offer where one binds.

Every check is posted to all its scopes in one commit. The employee's own ceilings have a band above
them, the stretch: granted at once, explained afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar, NamedTuple

from services.compensation.domain.windows import Window, Windows
from shared.contracts.compensation import (
    CaseOpened,
    CheckIssued,
    ComplaintLogged,
    Debit,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    Option,
    Remainder,
    Scope,
)
from shared.contracts.complaints import (
    Category,
    ComplaintReopened,
    ComplaintTriaged,
    Language,
    Service,
    Severity,
)
from shared.contracts.decision import Document, Fold
from shared.contracts.event import Fact
from shared.contracts.policy import Policy, RoleAuthority
from shared.contracts.roster import employee_name

ALTERNATIVES_MAX = 6
#: Scopes of one employee: a colleague's authority could hold what these do not.
PERSONAL = (Scope.CHECK, Scope.EMPLOYEE_SHIFT, Scope.EMPLOYEE_DAY, Scope.EMPLOYEE_WEEK)
#: Before the day on which a stay began, in its account.
STAY = "/stay/"
#: What a phone shows of the past without scrolling; older checks and offers stay in their facts.
HISTORY_MAX = 20
#: Checks of one complaint or of one employee's day that can be listed.
LISTED_MAX = 200


class Case(Document):
    """What compensation must know of a complaint."""

    KIND: ClassVar[str] = "case"

    customer_ref: str
    site: str
    language: Language
    category: Category = Category.OTHER
    severity: Severity = Severity.MILD
    safety: bool = False
    service: Service | None = None
    #: Whether a message reaches the customer; None where it is not known.
    reachable: bool | None = None
    opened_at: datetime | None = None
    check_ids: tuple[str, ...] = ()
    given_by: str | None = None
    given_at: datetime | None = None
    #: Offers that the customer neither chose from nor let lapse, oldest first.
    offer_ids: tuple[str, ...] = ()
    #: Whom it counts for in an incident, where that is not its customer_ref.
    counts_for: str | None = None

    @property
    def customer(self) -> str:
        """Who is one customer for an incident."""
        return self.counts_for or self.customer_ref


class History(Document):
    """The checks a customer was given, newest first; shown as plain facts, never scored."""

    KIND: ClassVar[str] = "history"

    check_ids: tuple[str, ...] = ()
    #: The latest offers, newest first, also those that are over.
    offer_ids: tuple[str, ...] = ()
    #: The day on which the customer's latest stay began, where stays end.
    stay_from: date | None = None


class Given(Document):
    """The checks one employee gave in one day; not those that an incident's call gave to everybody."""

    KIND: ClassVar[str] = "given"

    check_ids: tuple[str, ...] = ()


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


def incident_limit(incident_id: str, budget_minor: int, currency: str) -> Limit:
    """The budget of an incident; a group check is charged here and to nobody's authority."""
    return Limit(Scope.INCIDENT, f"incident/{incident_id}/{currency}", budget_minor)


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


@dataclass(frozen=True, slots=True)
class Room:
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

    def verdict(self, cost_minor: int) -> Room | Scope:
        """The room that holds a check, stretched if need be; or else the scope that binds.

        Where the stretch would hold it and a ceiling shared with others does not, that one binds.
        """
        bound_by = self.binding(cost_minor)
        if bound_by is None:
            return self
        wider = self._stretched(cost_minor)
        if wider is None:
            return bound_by
        beyond = wider.binding(cost_minor)
        if beyond is None:
            return wider
        return bound_by if beyond in PERSONAL else beyond

    def _stretched(self, cost_minor: int) -> Room | None:
        """The same room with the employee's own ceilings stretched, if they still may be."""
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


def options_for(
    policy: Policy,
    room: Room,
    reason: Category,
    severity: Severity,
    language: Language,
    *,
    had: Sequence[str] = (),
    instead_of: str = "",
) -> tuple[Option, ...]:
    """What can be given now, best first, each with its why.

    A smaller version of the wish, then the playbook's suggestions, then what suits the reason; what
    the customer had before and what cannot be named in their language come later, and value decides.
    """
    suggested = policy.playbook(reason, severity).suggest
    wished = instead_of.partition("/")[0] if "/" in instead_of else ""
    most = room.most()
    # Of what has any amount the catalogue shows the largest; the playbook may name another.
    named = (policy.option(item) for item in suggested)
    fitting = {
        option.item: option
        for option in (*policy.options(most), *named)
        if option is not None and option.cost_minor <= most
    }
    found = []
    for option in fitting.values():
        name = option.item.partition("/")[0]
        item = policy.checks[name]
        fits = item.fits_category(reason)
        why = (
            "smaller_wish"
            if name == wished
            else "suggested"
            if option.item in suggested
            else "free"
            if option.cost_minor == 0
            else "fits_reason"
            if fits
            else "fits_authority"
        )
        rank = (
            why != "smaller_wish",
            suggested.index(option.item) if option.item in suggested else len(suggested),
            not fits,
            name in had,
            language not in item.title,
            -option.value_minor,
        )
        found.append((rank, option.model_copy(update={"fits_reason": fits, "why": why})))
    found.sort(key=lambda ranked: ranked[0])
    return tuple(option for _, option in found)


def case_triaged(case: Case | None, fact: ComplaintTriaged) -> Case:
    """A complaint we may give something for; what was known of it on the spot stays."""
    if case is not None:
        return case.model_copy(
            update={
                "category": fact.category,
                "severity": fact.severity,
                "safety": fact.safety,
                "service": fact.service or case.service,
                "reachable": fact.has_contact,
            }
        )
    return Case(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        category=fact.category,
        severity=fact.severity,
        safety=fact.safety,
        service=fact.service,
        counts_for=fact.counts_for,
        reachable=fact.has_contact,
    )


def case_reopened(case: Case | None, fact: ComplaintReopened) -> Case:
    """It is open again; what it is about did not change."""
    return case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)


def case_logged(case: Case | None, fact: ComplaintLogged) -> Case:
    """Told on the spot, whether or not something fitted; more may be given for it at once."""
    return case or Case(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        category=fact.reason,
        severity=fact.severity,
        service=fact.service,
        reachable=fact.has_contact,
    )


def case_opened(case: Case, fact: CaseOpened) -> Case:
    """The clock runs."""
    return case.model_copy(update={"opened_at": fact.opened_at})


def case_given(case: Case | None, fact: CheckIssued) -> Case:
    """Somebody gave something for it."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(
        update={
            "check_ids": (*known.check_ids, fact.check_id)[-LISTED_MAX:],
            "given_by": fact.employee_id,
            "given_at": fact.issued_at,
        }
    )


def case_offered(case: Case | None, fact: OfferMade) -> Case:
    """The customer may choose, so something is as good as given."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(update={"offer_ids": (*known.offer_ids, fact.offer_id)[-HISTORY_MAX:]})


def case_chosen(case: Case, fact: OfferChosen | OfferLapsed) -> Case:
    """There is nothing left to choose from this offer."""
    left = tuple(one for one in case.offer_ids if one != fact.offer_id)
    return case.model_copy(update={"offer_ids": left})


def history_of(history: History | None, fact: CheckIssued) -> History:
    """One more gift."""
    known = history or History()
    return known.model_copy(
        update={
            "check_ids": (fact.check_id, *known.check_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.debits),
        }
    )


def history_offered(history: History | None, fact: OfferMade) -> History:
    """One more offer; what is held for it belongs to a stay as what is given does."""
    known = history or History()
    return known.model_copy(
        update={
            "offer_ids": (fact.offer_id, *known.offer_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.held),
        }
    )


def _stay_from(history: History, debits: Sequence[Debit]) -> date | None:
    """When the latest stay began that anything was charged to; a choice may be of an earlier one."""
    began = [
        date.fromisoformat(debit.account.rpartition(STAY)[2])
        for debit in debits
        if debit.scope is Scope.CUSTOMER_STAY and STAY in debit.account
    ]
    return max(filter(None, (history.stay_from, *began)), default=None)


def given_by(given: Given | None, fact: CheckIssued) -> Given:
    """One more check of this employee's day; hundreds of an incident's call would leave no room here."""
    if fact.incident_id is not None and not fact.at_desk:
        return given or Given()
    return Given(check_ids=(*(given.check_ids if given else ()), fact.check_id)[-LISTED_MAX:])


def given_key(site: str, employee_id: str, day: str) -> str:
    """The id of an employee's day."""
    return f"{employee_name(site, employee_id)}/{day}"


FOLDS: dict[type[Fact], tuple[Fold, ...]] = {
    ComplaintTriaged: (Fold(Case, lambda fact: fact.complaint_id, case_triaged),),
    ComplaintReopened: (Fold(Case, lambda fact: fact.complaint_id, case_reopened),),
    ComplaintLogged: (Fold(Case, lambda fact: fact.complaint_id, case_logged),),
    CaseOpened: (Fold(Case, lambda fact: fact.complaint_id, case_opened),),
    CheckIssued: (
        Fold(Case, lambda fact: fact.complaint_id, case_given),
        Fold(History, lambda fact: fact.customer_ref, history_of),
        Fold(
            Given,
            lambda fact: given_key(fact.site, fact.employee_id, fact.day or "undated"),
            given_by,
        ),
    ),
    OfferMade: (
        Fold(Case, lambda fact: fact.complaint_id, case_offered),
        Fold(History, lambda fact: fact.customer_ref, history_offered),
    ),
    OfferChosen: (Fold(Case, lambda fact: fact.complaint_id, case_chosen),),
    OfferLapsed: (Fold(Case, lambda fact: fact.complaint_id, case_chosen),),
}
