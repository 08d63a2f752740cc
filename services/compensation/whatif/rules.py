"""A draft of a policy on trial: what a recorded wish was, and what a run may show of many.

What employees did is told of five employees together or more: each group, what a draft changes of it, and what
it does not change. Counts are told in steps that are more than any one of them wished, and of blocks of time
that never overlap. So no draft, and no two answers, show what fewer did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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

#: The smallest number of employees whose wishes are told together.
EMPLOYEES_MIN = 5
#: Counts are told in steps of this many wishes, or of more where one employee has more.
STEP = 5
#: Runs of one site on one day: a run reads as much as a small rebuild, and each draft is another question.
RUNS_MAX = 20
#: Time is cut into blocks, the same for every site and run. Two runs are over the same block or over different
#: ones, and their difference is never a single day.
BLOCK = timedelta(days=30)
FIRST_BLOCK = datetime(2020, 1, 1, tzinfo=UTC)
#: How long after its end a block is tried: what was decided in it is published by then, also after an outage.
SETTLED = timedelta(hours=6)
#: The blocks of each period.
BLOCKS = {Period.MONTH: 1, Period.QUARTER: 3}


def blocks_of(period: Period, now: datetime) -> tuple[datetime, datetime]:
    """When the blocks of a period began and ended: the last ones that are over."""
    until = now - SETTLED - (now - SETTLED - FIRST_BLOCK) % BLOCK
    return until - BLOCKS[period] * BLOCK, until


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
    #: The occasion, if it is to delight; then `complaint_id` is that of no complaint.
    delight: str | None = None


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
        delight=fact.delight,
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
    """What wishes are grouped by; those that were granted and those that were refused are told apart."""

    item: str
    reason: Category
    role: str
    granted: bool


class Part(NamedTuple):
    """What a draft makes of a wish, beside what it came to."""

    flipped: bool
    changed: bool
    stretched: bool
    why: Scope | Reason | None


def in_steps(amount: int, step: int) -> int:
    """An amount to the nearest step."""
    return (amount + step // 2) // step * step if step else 0


def step_of(employees: Counter[str]) -> int:
    """A step that is as much as any one of these employees wished, or more."""
    return STEP * -(-max(employees.values()) // STEP)


def few(employees: Iterable[str]) -> bool:
    """Whether these are too few employees for anything to be told of them."""
    return len(set(employees)) < EMPLOYEES_MIN


@dataclass(slots=True)
class Told:
    """What is told of wishes; sums of it tell nothing more."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[Scope | Reason] = field(default_factory=Counter)
    hidden: bool = False

    def add(self, other: Told) -> None:
        """Add what is told of other wishes."""
        self.counts.update(other.counts)
        self.refused.update(other.refused)
        self.hidden |= other.hidden

    def group(self, item: str, reason: Category, role: str) -> TriedGroup:
        """The group as a fact shows it."""
        counts = self.counts
        flips = {name: counts[name] for name in ("newly_granted", "newly_refused")}
        granted = counts["granted_before"] + flips["newly_granted"] - flips["newly_refused"]
        effect = {**flips, "granted": granted, "cost_minor": counts["cost_minor"]}
        return TriedGroup(
            item=item,
            reason=reason,
            role=role,
            wishes=counts["wishes"],
            granted_before=counts["granted_before"],
            cost_before_minor=counts["cost_before_minor"],
            stretched=counts["stretched"],
            bound_by={why: n for why, n in self.refused.items() if n and isinstance(why, Scope)},
            refused_for={
                why: n for why, n in self.refused.items() if n and isinstance(why, Reason)
            },
            **({} if self.hidden else effect),
        )


@dataclass(slots=True)
class Tally:
    """Wishes of one group in one block, counted by employee and by what the draft makes of them."""

    employees: Counter[str] = field(default_factory=Counter)
    parts: defaultdict[Part, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    cost_before_minor: int = 0
    cost_minor: int = 0
    #: What the dearest of the wishes cost, granted or not.
    dearest_before_minor: int = 0
    dearest_minor: int = 0

    def count(self, wish: Wish, verdict: Verdict) -> None:
        """Count a wish that was decided again."""
        flipped = wish.granted is not verdict.granted
        dearer = verdict.granted and verdict.cost_minor != wish.cost_minor
        changed = flipped or dearer or wish.stretched is not verdict.stretched
        part = Part(flipped, changed, verdict.stretched, verdict.bound_by or verdict.refused_for)
        self.employees[wish.employee_id] += 1
        self.parts[part][wish.employee_id] += 1
        self.cost_before_minor += wish.cost_minor if wish.granted else 0
        self.cost_minor += verdict.cost_minor if verdict.granted else 0
        self.dearest_before_minor = max(self.dearest_before_minor, wish.cost_minor)
        self.dearest_minor = max(self.dearest_minor, verdict.cost_minor)

    def told(self, *, granted: bool) -> Told:
        """What is told of them, of five employees or more; `granted` is what they came to.

        What a draft changes for fewer than five is told as if it changed nothing. Where it leaves fewer than five
        as they were, or does two things to them and one of these to fewer than five, nothing is told of it.
        """
        step = step_of(self.employees)
        wishes = in_steps(self.employees.total(), step)
        before = in_steps(self.cost_before_minor, step * self.dearest_before_minor)
        counts = Counter(wishes=wishes, cost_before_minor=before, cost_minor=before)
        counts["granted_before"] = wishes if granted else 0
        if few(who for part, crowd in self.parts.items() if part.changed for who in crowd):
            return Told(counts)
        kinds: defaultdict[tuple[bool, bool], set[str]] = defaultdict(set)
        for part, crowd in self.parts.items():
            kinds[part.flipped, part.changed] |= crowd.keys()
        if any(few(crowd) for crowd in kinds.values()):
            return Told(counts, hidden=True)
        flipped = sum(crowd.total() for part, crowd in self.parts.items() if part.flipped)
        counts["newly_refused" if granted else "newly_granted"] = in_steps(flipped, step)
        counts["cost_minor"] = in_steps(self.cost_minor, step * self.dearest_minor)
        told = Told(counts)
        if not any(few(crowd) for crowd in self.parts.values()):
            self._detail(told, step)
        return told

    def _detail(self, told: Told, step: int) -> None:
        """Tell what is stretched, and what refuses the others."""
        for part, crowd in self.parts.items():
            if part.stretched:
                told.counts["stretched"] += in_steps(crowd.total(), step)
            if part.why is not None:
                told.refused[part.why] += in_steps(crowd.total(), step)


def groups_of(blocks: Iterable[Mapping[Of, Tally]]) -> tuple[Sequence[TriedGroup], bool]:
    """The groups that may be told, most wishes first, and whether others are withheld.

    What is withheld in a block is of five employees too, or it would be the site's sum minus what is told.
    """
    found: defaultdict[tuple[str, Category, str], Told] = defaultdict(Told)
    withheld = False
    for tallies in blocks:
        told = {of: tally for of, tally in tallies.items() if not few(tally.employees)}
        rest = {who for of, tally in tallies.items() if of not in told for who in tally.employees}
        if rest and told and few(rest):
            del told[min(told, key=lambda of: (told[of].employees.total(), of))]
        withheld |= len(told) < len(tallies)
        for of, tally in told.items():
            found[of.item, of.reason, of.role].add(tally.told(granted=of.granted))
    groups = [told.group(*of) for of, told in sorted(found.items())]
    groups.sort(key=lambda group: -group.wishes)
    return groups[:TRIED_GROUPS_MAX], withheld or len(groups) > TRIED_GROUPS_MAX


def number_of(blocks: Iterable[Counter[str]]) -> int | None:
    """How many wishes these are, by employee in each block; None if not told."""
    crowds = [employees for employees in blocks if employees]
    if any(few(crowd) for crowd in crowds):
        return None
    return sum(in_steps(crowd.total(), step_of(crowd)) for crowd in crowds)


def employees_of(tallies: Iterable[Tally]) -> Counter[str]:
    """How many wishes of each employee are in tallies."""
    found: Counter[str] = Counter()
    for tally in tallies:
        found.update(tally.employees)
    return found


def runs_account(site: str, day: str) -> str:
    """The account that counts a site's runs of a day."""
    return f"whatif/{site}/{day}"


def ran(fact: PolicyTried) -> Iterable[Posting]:
    """A run counts against those of its site and day."""
    return (Posting(runs_account(fact.site, fact.day), 1),)


SLICE = Slice({PolicyTried: ()}, postings={PolicyTried: ran})
