"""Each recorded wish is decided again from the facts alone, and the decision is the recorded one.

The state before a decision is folded from the facts before it. Of the wish itself nothing is known but what
its own facts say: who wished what, when, and under which version of the policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pytest
from pydantic_core import from_json

from services.compensation.app import DOMAIN
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import codes_of
from services.compensation.checks.handlers import Checks, IssueCheck, check_request
from services.compensation.checks.rules import CheckRequest
from services.compensation.delights.handlers import delightful
from services.compensation.incidents.handlers import Incidents
from services.compensation.incidents.rules import Incident
from services.compensation.offers.handlers import MakeOffer, Offers
from services.compensation.staff_context import ContextLoader
from services.compensation.whatif.rules import Verdict
from services.compensation.whatif.trial import Trial
from shared.contracts.catalogue import FACTS
from shared.contracts.compensation import (
    Basis,
    CheckIssued,
    CheckRefused,
    ComplaintLogged,
    IncidentGiven,
    OfferChosen,
    OfferMade,
    SafetyNoted,
    Wished,
)
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Decision, Fact
from shared.runtime.engine.store import Committed, Line
from shared.runtime.engine.transaction import Origin, Transaction
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.privacy.keys import Keys
from shared.testing.memory_store import MemoryStore
from tests.suites.services import SITE
from tests.unit.test_compensation_incidents import changed, publish, small_incidents
from tests.unit.test_rebuild import EMPLOYEES, ITEMS, Sailing, Voyage

#: A decision as it was recorded: its facts in order, and what was heard from others before it.
Recorded = tuple[Sequence[Fact], Sequence[Fact]]


class Recording(Sailing):
    """The services, and in which order compensation heard of what others told."""

    async def begin(self) -> Recording:
        self.told_before: list[tuple[int, Sequence[Any]]] = []
        await super().begin()
        return self

    async def feed(self, name, topic, records, partition=0):
        if name == "compensation":
            made = self.stores[name].kept.sequence
            self.told_before.append((made, [_fact(record.value) for record in records]))
        await super().feed(name, topic, records, partition)

    def recorded(self) -> Iterator[Recorded]:
        """Every decision of compensation, in order."""
        lines = enumerate(map(Line.decode, self.stores["compensation"].kept.lines), start=1)
        facts = [(number, from_json(line.value)) for number, line in lines if not line.headers]
        told = 0
        for _, group in groupby(facts, key=lambda one: one[1]["cause"]):
            made = list(group)
            before: list[Fact] = []
            while told < len(self.told_before) and self.told_before[told][0] < made[0][0]:
                before += filter(None, self.told_before[told][1])
                told += 1
            yield [FACTS[one["type"]].model_validate(one["data"]) for _, one in made], before


def _fact(value: bytes) -> Fact | None:
    """The fact in a record; None in what is none."""
    try:
        event = from_json(value)
        return FACTS[event["type"]].model_validate(event["data"])
    except ValueError:
        return None


class Shifts(Voyage):
    """People who give in all the ways there are, while the policy changes."""

    version = 1

    async def sail(self, steps: int) -> Voyage:
        for _ in range(steps // 10):
            await super().sail(10)
            await self.chance.choice([self.by_law, self.at_desk, self.govern, self.in_vain])()
            await self.to_delight()
        return self

    async def give(self) -> None:
        wish: dict[str, Any] = {
            "item": self.chance.choice([*ITEMS, "taxfree-card/100000"]),
            "reason": self.chance.choice(["food", "delay"]),
            "again": self.chance.random() < 0.5,
        }
        if self.chance.random() < 0.3:
            wish["service"] = self.chance.choice(["meal", "departure"])
        if self.chance.random() < 0.2:
            wish["safety"] = "allergy"
        if not self.complaints or self.chance.random() < 0.3:
            guest = {"customer": f"cabin-{self.chance.randrange(4)}"}
            wish["on_the_spot"] = {**guest, "language": "da", "severity": "severe"}
        else:
            wish["complaint_id"] = self.chance.choice(self.complaints)
        found = await self.ask("checks", wish, self.employee())
        self.checks += [found] if "code" in found else []

    async def by_law(self) -> None:
        """What is due for a departure: in cash, or in something else that the customer agreed to."""
        for item in ("excursion-refund/10000", "cinema", "taxfree-card/100000"):
            due = {"reason": "delay", "service": "departure", "basis": "statutory"}
            wish = {"on_the_spot": {}, "item": item, "consent": True, **due}
            await self.ask("checks", wish, self.aboard.bearer("e-ingrid"))

    async def to_delight(self) -> None:
        """What is given on a birthday until the budget for it is spent; an employee who does nothing else gives it."""
        item = ("cinema", "taxfree-card/50000", "dinner-for-two")[self.version % 3]
        wish = {"occasion": "birthday", "item": item, "customer": f"cabin-{self.version % 3}"}
        await self.ask("delights", wish, self.aboard.bearer("e-noor"))

    async def at_desk(self) -> None:
        """An incident's check as long as its budget lasts: to each by hand, or to all at once."""
        for incident in (await self.aboard.get("incidents")).json()["incidents"]:
            for about in self.complaints if self.version % 2 else ():
                wish = {"complaint_id": about, "item": incident["item"], "reason": "food"}
                wish["incident_id"] = incident["incident_id"]
                await self.ask("checks", wish, self.employee())
            await self.ask(f"incidents/{incident['incident_id']}/give", None, self.employee())

    async def govern(self) -> None:
        """Another version of the policy: other amounts, and a day that begins at another time."""
        self.version += 1
        roles = {"any": {"per_check": 1500_00, "per_day": 2000_00 + 100_00 * self.version}}
        authority = {
            **self.aboard.policy.model_dump(mode="json")["authority"],
            "roles": roles,
            "day_starts": f"0{self.version % 10}:00",
        }
        await publish(self.aboard, self.version, changed(self.aboard.policy, authority=authority))

    async def in_vain(self) -> None:
        """An offer of something that is too much."""
        for about in self.complaints[:2]:
            items = ["sincere-words", "taxfree-card/100000", "dinner-for-two"]
            for who in EMPLOYEES:
                wish = {"complaint_id": about, "items": items, "reason": "food", "again": True}
                await self.ask("offers", wish, self.aboard.bearer(who))


class Again:
    """Compensation, deciding over a state that is made of facts alone."""

    def __init__(self, aboard: Recording) -> None:
        parts = aboard.apps["compensation"].parts
        self.store = MemoryStore()
        self.context = ContextLoader(Keys(parts.vault))
        codes = codes_of(parts.vault)
        self.checks = Checks(self.context, codes, parts.vault)
        self.offers = Offers(self.context, codes)
        self.incidents = Incidents(self.context, codes, parts.settler)
        self.clock = aboard.clock
        self.policies: dict[int, PolicyPublished] = {}

    async def hear(self, facts: Sequence[Fact], *, ours: bool) -> None:
        """Fold facts; ours are posted to accounts as well."""
        for fact in facts:
            if isinstance(fact, PolicyPublished):
                self.policies[fact.version] = fact
            transaction = Transaction(self.store, DOMAIN, self.clock())
            if ours:
                await transaction.apply(Decision.of(fact), Origin("again", "again", "again"))
            else:
                await transaction.read_for(fact)
                transaction.fold(fact)
            assert isinstance(await self.store.commit(transaction.commit()), Committed)

    async def under(self, version: int) -> None:
        """Put a version of the policy in force."""
        await self.hear([self.policies[version]], ours=False)

    async def decide(self, facts: Sequence[Fact]) -> tuple[str, Sequence[Fact]] | None:
        """What kind of wish these facts are of and what it comes to now; None if they are of none."""
        *before, last = facts
        noted = next((one for one in before if isinstance(one, SafetyNoted)), None)
        match last:
            case OfferMade():
                await self.under(last.policy_version)
                return "offer", await self._offer(last, noted)
            case IncidentGiven() if before:
                return "incident", await self._step(last, before)
            case CheckIssued() if isinstance(before[0] if before else None, OfferChosen):
                return "choice", await self._choice(last, before[0])
            case CheckIssued() | CheckRefused():
                in_force = getattr(last, "version_in_force", None)
                await self.under(in_force or last.policy_version)
                return await self._check(last, noted, before)
        return None

    async def _check(
        self, last: CheckIssued | CheckRefused, noted: SafetyNoted | None, before: Sequence[Fact]
    ) -> tuple[str, Sequence[Fact]]:
        refused = isinstance(last, CheckRefused)
        view = self._view(last.refused_at if refused else last.issued_at)
        staff, name = _staff(last), last.check_id.removeprefix("ck-")
        if refused and last.offered:
            return "refused offer", await self._offer(last, noted)
        if last.delight is not None:
            keys = [one for one in before if isinstance(one, CustomerKeyCreated)]
            await self.hear(keys, ours=True)
            return "to delight", [*keys, *(await self._delight(last, view)).facts]
        logged = next((one for one in before if isinstance(one, ComplaintLogged)), None)
        wish = _wish(last, noted)
        if logged is not None:
            keys = [one for one in before if isinstance(one, CustomerKeyCreated)]
            await self.hear(keys, ours=True)
            spot = await self._on_the_spot(last, wish, logged, view)
            return "on the spot", [*keys, logged, *spot.facts]
        if last.incident_id is not None:
            decision = await self.incidents.give_one(wish, staff, view)
            return "at desk", decision.facts
        decision = await self.checks.issue_check(wish, staff, name, view)
        return "given", decision.facts

    async def _delight(self, last: CheckIssued | CheckRefused, view: View) -> Decision:
        """The customer's name is in no fact, and what is sealed is sealed already."""
        assert last.delight is not None
        staff = await self.context.staff(_staff(last), view)
        issued = isinstance(last, CheckIssued)
        request = CheckRequest(
            check_id=last.check_id,
            complaint_id=last.complaint_id,
            customer_ref=last.customer_ref,
            employee_id=last.employee_id,
            role=last.role,
            site=last.site,
            option=delightful(last.delight, last.item, staff),
            reason=last.reason,
            severity=last.severity,
            language=last.language if issued else staff.policy.languages[0],
            day=staff.windows.day.id,
            reachable=last.reachable,
            basis=last.basis,
            delight=last.delight,
            note=last.note if issued else None,
            contact=last.contact if issued else None,
            ruled_by=staff.policy_version,
        )
        headroom = await self.context.headroom(staff, last.customer_ref, None, view, delight=True)
        key = await self.context.key(last.customer_ref, view)
        return await self.checks.grant_or_refuse(request, None, headroom, key, staff, view)

    async def _on_the_spot(
        self, last: Wished, wish: IssueCheck, logged: ComplaintLogged, view: View
    ) -> Decision:
        """The customer's name is in no fact, for it is a secret; who they are is."""
        staff = await self.context.staff(_staff(last), view)
        case = Case(
            customer_ref=logged.customer_ref,
            site=logged.site,
            language=logged.language,
            category=logged.reason,
            severity=logged.severity,
            reachable=logged.has_contact,
            opened_at=logged.logged_at,
        )
        request = check_request(
            staff,
            case,
            logged.complaint_id,
            last.check_id,
            staff.option(last.item),
            last.reason,
            **wish.particulars(),
        )
        headroom = await self.context.headroom(staff, case.customer_ref, logged.complaint_id, view)
        key = await self.context.key(case.customer_ref, view)
        return await self.checks.grant_or_refuse(request, case, headroom, key, staff, view)

    async def _offer(
        self, last: OfferMade | CheckRefused, noted: SafetyNoted | None
    ) -> Sequence[Fact]:
        made = isinstance(last, OfferMade)
        wish = MakeOffer(
            complaint_id=last.complaint_id,
            items=tuple(one.item for one in last.options) if made else last.offered,
            reason=last.reason,
            service=last.service,
            safety=noted.safety if noted else None,
            again=last.again,
        )
        view = self._view(last.offered_at if made else last.refused_at)
        name = last.offer_id.removeprefix("of-")
        return (await self.offers.make(wish, _staff(last), name, view)).facts

    async def _choice(self, last: CheckIssued, choice: OfferChosen) -> Sequence[Fact]:
        view = self._view(last.issued_at)
        site = None if choice.by_customer else choice.site
        return (await self.offers.choose(choice.offer_id, choice.item, site, view)).facts

    async def _step(self, last: IncidentGiven, given: Sequence[Fact]) -> Sequence[Fact]:
        first = next(one for one in given if isinstance(one, CheckIssued))
        await self.under(first.version_in_force or first.policy_version)
        view = self._view(last.given_at)
        incident = await view.get(Incident, last.incident_id)
        assert incident is not None
        return (await self.incidents._step(last.incident_id, incident, view)).facts

    def _view(self, now) -> View:
        return View(self.store, DOMAIN, now)


def _staff(fact: Wished | OfferMade) -> Principal:
    return Principal(fact.employee_id, Kind.EMPLOYEE, SITE)


def _wish(fact: Wished, noted: SafetyNoted | None) -> IssueCheck:
    """The wish, as the facts of its decision say it."""
    return IssueCheck(
        complaint_id=fact.complaint_id,
        item=fact.item,
        reason=fact.reason,
        basis=fact.basis,
        consent=fact.consent,
        service=fact.service,
        safety=noted.safety if noted else None,
        again=fact.again,
        incident_id=fact.incident_id,
    )


def _written(facts: Sequence[Fact]) -> list[str]:
    """Facts field for field, but for the sealed code: each seal is another."""
    return [
        fact.model_copy(update={"code": ""}).written()
        if isinstance(fact, CheckIssued)
        else fact.written()
        for fact in facts
    ]


def _more(fact: Fact) -> Iterator[str]:
    """What is special about a decision."""
    if isinstance(fact, CheckRefused):
        yield "refused"
        if fact.colleague_id:
            yield "a colleague"
    if isinstance(fact, CheckIssued) and fact.explain_by:
        yield "stretched"
    if isinstance(fact, CheckIssued) and fact.version_in_force:
        yield "another version"
    if getattr(fact, "basis", None) is Basis.STATUTORY:
        yield "statutory"
    if isinstance(fact, SafetyNoted):
        yield "safety"
    if getattr(fact, "again", False):
        yield "again"


KINDS = {
    "given", "refused", "stretched", "on the spot", "offer", "refused offer", "choice", "statutory",
    "incident", "at desk", "another version", "safety", "again", "a colleague", "to delight",
}  # fmt: skip


async def shifts(directory, seed: int, stay_days: int | None) -> Recording:
    """A random history, in which the policy changes."""
    policy = small_incidents(budget=700_00)
    customer = {**policy.limits.customer.model_dump(mode="json"), "stay_days": stay_days}
    limits = {**policy.limits.model_dump(mode="json"), "customer": customer}
    directory.mkdir()
    aboard = await Recording(directory, changed(policy, limits=limits)).begin()
    await Shifts(aboard, seed, minutes=(1, 60, 600)).sail(120)
    return aboard


@pytest.mark.parametrize("stay_days", [None, 1])
async def test_every_recorded_wish_is_decided_again_from_the_facts_alone(tmp_path, stay_days):
    seen: set[str] = set()
    for seed in range(4):
        aboard = await shifts(tmp_path / str(seed), seed, stay_days)
        again = Again(aboard)
        await again.store.begin_generation("again", 0)
        for facts, before in aboard.recorded():
            await again.hear(before, ours=False)
            decided = await again.decide(facts)
            if decided is not None:
                kind, found = decided
                assert _written(found) == _written(facts), (seed, kind)
                seen |= {kind, *(what for fact in facts for what in _more(fact))}
            await again.hear(facts, ours=True)
    assert seen >= KINDS


@pytest.mark.parametrize("stay_days", [None, 1])
async def test_under_the_policies_that_held_every_wish_comes_out_as_recorded(tmp_path, stay_days):
    """A trial: its model of the accounts is the accounts, to the last minor unit."""
    seen: Counter[str] = Counter()
    for seed in range(4):
        aboard = await shifts(tmp_path / str(seed), seed, stay_days)
        policies: dict[int, Policy] = {}
        trial = Trial(lambda wish, known=policies: known[wish.version])
        for facts, before in aboard.recorded():
            policies |= {
                one.version: one.policy for one in before if isinstance(one, PolicyPublished)
            }
            for fact in facts:
                verdict = await trial.hear(fact)
                if verdict is not None:
                    assert outcome(verdict) == recorded_outcome(fact), (seed, fact)
                    seen[fact.TYPE] += 1
        assert accounts_of_wishes(aboard) == trial.accounts
    assert min(seen[kind.TYPE] for kind in (CheckIssued, CheckRefused, OfferMade)) > 10, seen


def outcome(verdict: Verdict) -> tuple[Any, ...]:
    """What a trial makes of a wish: charges and stretch, or what binds."""
    if verdict.charges is None:
        return (verdict.bound_by, verdict.refused_for)
    return dict(verdict.charges), verdict.stretched


def recorded_outcome(fact: Fact) -> tuple[Any, ...]:
    """What really came of a wish, in the same form."""
    match fact:
        case CheckIssued():
            return fact.debits, fact.explain_by is not None
        case OfferMade():
            return fact.held, False
        case CheckRefused():
            return fact.bound_by, None
    raise AssertionError(fact)


def accounts_of_wishes(aboard: Recording) -> dict[str, int]:
    """Compensation's own accounts that checks are charged to."""
    begin = ("employee/", "customer/", "complaint/", "site/", "stretch/", "incident/", "delight/")
    kept = aboard.stores["compensation"].kept.accounts
    mine = {name: amount for name, amount in kept.items() if amount and name.startswith(begin)}
    return {name: n for name, n in mine.items() if not name.startswith("incident/count")}
