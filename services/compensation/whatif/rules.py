"""A draft of a policy on trial: what a recorded wish was, and what a run may show of many.

What employees did is shown of five employees together or more. Smaller groups are merged into one, which
is shown only if it has five. No sum of everything is shown, from which a group could be subtracted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.contracts.compensation import (
    TRIED_GROUPS_MAX,
    Basis,
    CheckIssued,
    CheckRefused,
    OfferMade,
    Period,
    PolicyTried,
    Scope,
    TriedGroup,
)
from shared.contracts.complaints import Category, Service
from shared.contracts.reasons import Reason
from shared.kernel import Fact, Posting, Slice

#: The smallest number of employees whose wishes are shown together.
EMPLOYEES_MIN = 5
#: Runs of one site on one day. With enough drafts one could search for what a single employee did; and
#: a run reads as much as a small rebuild.
RUNS_MAX = 20
#: The time of each period.
LASTS = {
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
    Period.QUARTER: timedelta(days=90),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A recorded wish, with what its decision used and what it came to."""

    item: str
    #: All that the customer was to have, or to choose one from.
    items: tuple[str, ...]
    cost_minor: int
    currency: str
    reason: Category
    employee_id: str
    role: str | None
    customer_ref: str
    complaint_id: str
    at: datetime
    #: The version of the policy that the employee was under.
    version: int
    basis: Basis
    consent: bool
    service: Service | None
    again: bool
    #: Whether it is an offer, which is for its dearest option and never stretched.
    offer: bool
    granted: bool
    stretched: bool = False


def wish_of(fact: Fact) -> Wish | None:
    """The wish that a fact decided; None if it decided none that anybody's authority was asked for.

    An incident's check is charged to the incident's budget, and a customer's choice to what the offer held.
    """
    match fact:
        case OfferMade():
            dearest = max(fact.options, key=lambda option: option.cost_minor)
            return Wish(
                item=dearest.item,
                items=tuple(option.item for option in fact.options),
                cost_minor=dearest.cost_minor,
                currency=dearest.currency,
                reason=fact.reason,
                employee_id=fact.employee_id,
                role=fact.role,
                customer_ref=fact.customer_ref,
                complaint_id=fact.complaint_id,
                at=fact.offered_at,
                version=fact.policy_version,
                basis=Basis.GOODWILL,
                consent=False,
                service=fact.service,
                again=fact.again,
                offer=True,
                granted=True,
            )
        case CheckIssued(incident_id=None, offer_id=None):
            in_force = fact.version_in_force or fact.policy_version
            return _wish(
                fact, fact.issued_at, in_force, granted=True, stretched=fact.explain_by is not None
            )
        case CheckRefused(incident_id=None):
            return _wish(fact, fact.refused_at, fact.policy_version, granted=False)
    return None


def _wish(
    fact: CheckIssued | CheckRefused,
    at: datetime,
    version: int,
    *,
    granted: bool,
    stretched: bool = False,
) -> Wish:
    offered = fact.offered if isinstance(fact, CheckRefused) else ()
    return Wish(
        item=fact.item,
        items=offered or (fact.item,),
        cost_minor=fact.cost_minor,
        currency=fact.currency,
        reason=fact.reason,
        employee_id=fact.employee_id,
        role=fact.role,
        customer_ref=fact.customer_ref,
        complaint_id=fact.complaint_id,
        at=at,
        version=version,
        basis=fact.basis,
        consent=fact.consent,
        service=fact.service,
        again=fact.again,
        offer=bool(offered),
        granted=granted,
        stretched=stretched,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy makes of a wish: the charges if it is granted, else what it is refused for."""

    cost_minor: int
    charges: Mapping[str, int] | None = None
    stretched: bool = False
    bound_by: Scope | None = None
    refused_for: Reason | None = None

    @property
    def granted(self) -> bool:
        """Whether the wish is granted."""
        return self.charges is not None


class Of(NamedTuple):
    """What wishes are grouped by."""

    item: str
    reason: Category
    role: str


@dataclass(slots=True)
class Tally:
    """The wishes of a group, counted."""

    counts: Counter[str] = field(default_factory=Counter)
    bound_by: Counter[Scope] = field(default_factory=Counter)
    refused_for: Counter[Reason] = field(default_factory=Counter)
    employees: set[str] = field(default_factory=set)

    def count(self, wish: Wish, verdict: Verdict) -> None:
        """Count a wish that was decided again."""
        self.employees.add(wish.employee_id)
        self.counts["wishes"] += 1
        self.counts["granted_before"] += wish.granted
        self.counts["granted"] += verdict.granted
        self.counts["newly_granted"] += verdict.granted and not wish.granted
        self.counts["newly_refused"] += wish.granted and not verdict.granted
        self.counts["stretched"] += verdict.stretched
        self.counts["cost_before_minor"] += wish.cost_minor if wish.granted else 0
        self.counts["cost_minor"] += verdict.cost_minor if verdict.granted else 0
        if verdict.bound_by is not None:
            self.bound_by[verdict.bound_by] += 1
        if verdict.refused_for is not None:
            self.refused_for[verdict.refused_for] += 1

    def add(self, other: Tally) -> None:
        """Count the wishes of another group too."""
        self.counts.update(other.counts)
        self.bound_by.update(other.bound_by)
        self.refused_for.update(other.refused_for)
        self.employees |= other.employees

    @property
    def shown(self) -> bool:
        """Whether it has enough employees to be shown."""
        return len(self.employees) >= EMPLOYEES_MIN

    def group(self, of: Of | None) -> TriedGroup:
        """The group as a fact shows it; `of` is None where smaller groups are merged."""
        return TriedGroup(
            item=of.item if of is not None else None,
            reason=of.reason if of is not None else None,
            role=of.role if of is not None else None,
            wishes=self.counts["wishes"],
            granted_before=self.counts["granted_before"],
            granted=self.counts["granted"],
            newly_granted=self.counts["newly_granted"],
            newly_refused=self.counts["newly_refused"],
            stretched=self.counts["stretched"],
            cost_before_minor=self.counts["cost_before_minor"],
            cost_minor=self.counts["cost_minor"],
            bound_by=dict(sorted(self.bound_by.items())),
            refused_for=dict(sorted(self.refused_for.items())),
        )


def groups_of(tallies: Mapping[Of, Tally]) -> tuple[Sequence[TriedGroup], bool]:
    """The groups that may be shown, most wishes first, and whether others are withheld."""
    shown: list[TriedGroup] = []
    rest = Tally()
    for of, tally in sorted(tallies.items(), key=lambda one: (-one[1].counts["wishes"], one[0])):
        if tally.shown and len(shown) < TRIED_GROUPS_MAX - 1:
            shown.append(tally.group(of))
        else:
            rest.add(tally)
    if rest.shown:
        shown.append(rest.group(None))
    return shown, bool(rest.employees) and not rest.shown


def runs_account(site: str, day: str) -> str:
    """The account that counts a site's runs of a day."""
    return f"whatif/{site}/{day}"


def ran(fact: PolicyTried) -> Iterable[Posting]:
    """A run counts against those of its site and day."""
    return (Posting(runs_account(fact.site, fact.day), 1),)


SLICE = Slice({PolicyTried: ()}, postings={PolicyTried: ran})
