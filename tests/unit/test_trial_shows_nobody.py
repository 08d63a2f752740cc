"""INV-13: whoever tries drafts to find what one employee did finds nothing, in one answer or in two.

The drafts are an attacker's: each is made so that the wishes of fewer than five employees come out differently.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from services.compensation.app import DOMAIN
from services.compensation.staff_context import ContextLoader
from services.compensation.whatif.handlers import TryPolicy, WhatIf
from services.compensation.whatif.rules import BLOCK, EMPLOYEES_MIN, FIRST_BLOCK, wish_of
from services.compensation.whatif.trial import Trial
from shared.contracts.compensation import CheckIssued, CheckRefused, Period, PolicyTried, Scope
from shared.contracts.complaints import Category
from shared.contracts.policy import Policy
from shared.runtime.engine.store import Versioned
from shared.runtime.engine.view import View
from shared.runtime.kafka.history import Part
from shared.runtime.policies import PolicyHead, PolicyVersion
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.seal import Vault
from shared.runtime.rebuild.sources import RawEvent
from shared.testing.memory_store import MemoryStore
from tests.suites.services import SITE, demo_policy
from tests.unit.test_compensation_incidents import changed

#: In the middle of a block; what was wished in the block before is what is tried.
BEGAN = FIRST_BLOCK + 80 * BLOCK
NOW = BEGAN + BLOCK + timedelta(days=10)
CINEMA = 90_00


class Ship:
    """What compensation published, made fact by fact."""

    def __init__(self) -> None:
        self.base = demo_policy()
        self.facts: list[CheckIssued | CheckRefused] = []

    def wish(
        self, who: str, item: str, day: float, role: str = "deck", *, refused: bool = False
    ) -> None:
        """A wish on a day of the block that is tried."""
        option = self.base.option(item)
        assert option is not None
        number = len(self.facts)
        at = BEGAN + timedelta(days=day, seconds=number)
        wished: dict[str, Any] = {
            "check_id": f"ck-{number}",
            "site": SITE,
            "complaint_id": f"co-{number}",
            "customer_ref": f"c-{number}",
            "employee_id": who,
            "role": role,
            "item": item,
            "policy_version": 1,
            "reason": Category.FOOD,
            "currency": "NOK",
            "cost_minor": option.cost_minor,
            "left": {},
        }
        if refused:
            self.facts.append(
                CheckRefused(**wished, bound_by=Scope.EMPLOYEE_DAY, alternatives=(), refused_at=at)
            )
            return
        self.facts.append(
            CheckIssued(
                **wished,
                kind=option.kind,
                language="en",
                value_minor=option.value_minor,
                code="v1.xxxx",
                code_hash="a" * 64,
                valid_until=at + timedelta(days=7),
                issued_at=at,
                debits={},
            )
        )

    def draft(self, **roles: Any) -> Policy:
        """The policy with other ceilings for some roles, and nothing stretched."""
        found = self.base.model_dump(mode="json")["authority"]
        return changed(
            self.base,
            authority={**found, "roles": {**found["roles"], **roles}, "stretch": None},
        )

    async def ask(
        self, draft: Policy, since: Period = Period.MONTH, now: datetime = NOW
    ) -> PolicyTried:
        """What a run over the history answers."""
        store = MemoryStore()
        await store.begin_generation("g", 0)
        kept = {
            PolicyHead.key(SITE): PolicyHead(version=1, digest="x"),
            PolicyVersion.key(f"{SITE}/1"): PolicyVersion(policy=self.base),
        }
        for key, document in kept.items():
            store.kept.documents[key] = Versioned(1, document.model_dump_json().encode())
        events = [
            RawEvent(b"", fact.TYPE.encode(), b"", b"", number, fact.written().encode())
            for number, fact in enumerate(sorted(self.facts, key=at_of))
            if at_of(fact) < now
        ]

        async def read(_since, _most):
            yield Part(events, len(events), len(events))

        whatif = WhatIf(ContextLoader(Keys(Vault(b"k" * 32))), read)
        command = TryPolicy(draft=draft, since=since)
        made = await whatif.run(command, SITE, "m-1", "r-1", View(store, DOMAIN, now))
        (tried,) = made.facts
        assert isinstance(tried, PolicyTried)
        return tried

    async def outcomes(self, draft: Policy) -> dict[str, Counter[Any]]:
        """What really comes of each employee's wishes: what nobody may find out."""
        trial, found = Trial(lambda _: draft), defaultdict[str, Counter[Any]](Counter)
        for fact in sorted(self.facts, key=at_of):
            verdict, wish = await trial.hear(fact), wish_of(fact)
            if verdict is not None and wish is not None and BEGAN <= wish.at < BEGAN + BLOCK:
                came = (wish.granted, verdict.granted, verdict.bound_by, verdict.cost_minor)
                found[wish.employee_id][wish.item, wish.role, came] += 1
        return found


def at_of(fact: CheckIssued | CheckRefused) -> datetime:
    return fact.issued_at if isinstance(fact, CheckIssued) else fact.refused_at


def told(answer: PolicyTried) -> dict[Any, Any]:
    """All that an answer says of wishes."""
    return {
        (group.item, group.reason, group.role): group.model_dump(mode="json", exclude_none=True)
        for group in answer.groups
    } | {"withheld": answer.withheld, "undecided": answer.undecided, "wishes": answer.wishes}


def crew(ship: Ship, names: Iterable[str], item: str = "cinema", day: float = 3) -> None:
    for name in names:
        ship.wish(name, item, day)


FIVE = [f"e-{number}" for number in range(5)]


async def test_one_draft_against_the_only_employee_of_a_role_shows_nothing():
    ship = Ship()
    crew(ship, FIVE[:4])
    ship.wish("e-solo", "dinner-for-two", 4, "restaurant")
    before = await ship.ask(ship.draft())
    after = await ship.ask(ship.draft(restaurant={"per_check": 1, "per_day": 1}))
    assert told(before) == told(after)
    assert (before.groups, before.withheld) == ((), True)


async def test_the_only_employee_of_a_role_is_not_the_rest_of_the_sites_sum():
    """The site's day is known from elsewhere; without the group of five it would be that employee's."""
    ship = Ship()
    crew(ship, FIVE)
    ship.wish("e-solo", "dinner-for-two", 4, "restaurant")
    answer = await ship.ask(ship.draft())
    assert (answer.groups, answer.withheld) == ((), True)
    crew(ship, FIVE, "dinner-for-two")
    answer = await ship.ask(ship.draft())
    assert [group.wishes for group in answer.groups] == [5]


@pytest.mark.parametrize("others", [5, 9])
async def test_an_item_removed_that_one_employee_gives_changes_nothing(others):
    ship = Ship()
    crew(ship, [f"e-{number}" for number in range(others)], "taxfree-card/50000")
    ship.wish("e-0", "taxfree-card/100000", 4)
    checks = ship.base.model_dump(mode="json")["checks"]
    fewer = {**checks["taxfree-card"], "amounts": [500_00]}
    without = changed(
        ship.base, checks={**checks, "taxfree-card": fewer}, incidents=None, playbooks={}
    )
    before, after = await ship.ask(ship.base), await ship.ask(without)
    assert told(before) == told(after)
    (group,) = after.groups
    assert (group.newly_refused, group.bound_by, group.refused_for) == (0, {}, {})


async def test_what_only_one_employee_keeps_is_withheld():
    """All but one lose what they gave: what is left would be that one's."""
    ship = Ship()
    crew(ship, [*FIVE, "e-5", "e-6"], "taxfree-card/50000")
    ship.wish("e-0", "taxfree-card/100000", 4)
    checks = ship.base.model_dump(mode="json")["checks"]
    other = {**checks["taxfree-card"], "amounts": [1000_00]}
    draft = changed(
        ship.base, checks={**checks, "taxfree-card": other}, incidents=None, playbooks={}
    )
    (group,) = (await ship.ask(draft)).groups
    assert (group.granted, group.newly_refused, group.cost_minor) == (None, None, None)
    assert (group.bound_by, group.refused_for) == ({}, {})


async def test_a_longer_period_minus_a_shorter_one_is_what_the_older_blocks_told():
    """One employee's wishes of an older block are in no sum."""
    ship = Ship()
    for block in (0, -1, -2):
        crew(ship, FIVE, day=3 + 30 * block)
    for day in (-10, -11, -12):
        ship.wish("e-0", "dinner-for-two", day)
    crew(ship, [*FIVE, *FIVE], "taxfree-card/50000", day=-20)
    base = ship.draft()
    long, last, older, oldest = (
        await ship.ask(base, Period.QUARTER),
        await ship.ask(base),
        await ship.ask(base, now=NOW - BLOCK),
        await ship.ask(base, now=NOW - 2 * BLOCK),
    )

    def wishes(*answers: PolicyTried) -> Counter[str]:
        found: Counter[str] = Counter()
        for answer in answers:
            found.update({group.item or "": group.wishes for group in answer.groups})
        return found

    assert wishes(long) == wishes(last, older, oldest)
    assert "dinner-for-two" not in wishes(long)


async def test_every_day_of_a_block_gives_the_same_answer_and_the_next_block_none_of_it():
    ship = Ship()
    crew(ship, FIVE)
    ends = BEGAN + BLOCK + timedelta(hours=6)
    first = await ship.ask(ship.draft(), now=ends)
    for day in range(1, 30):
        ship.wish("e-3", "cinema", 29 + day)
        now = ends + timedelta(days=day)
        assert told(await ship.ask(ship.draft(), now=now)) == told(first), day
    later = await ship.ask(ship.draft(), now=ends + BLOCK)
    assert later.since == first.until
    assert (later.groups, later.withheld) == ((), True)


async def test_a_block_does_not_move_with_the_sites_day():
    """A policy with another time zone, published by whoever asks, would add some hours of one employee."""
    ship = Ship()
    crew(ship, FIVE)
    before = await ship.ask(ship.draft())
    ship.base = changed(ship.base, timezone="Pacific/Kiritimati")
    after = await ship.ask(ship.draft())
    assert (after.since, after.until) == (before.since, before.until)


async def test_raising_per_day_step_by_step_does_not_find_the_total_of_one_employee():
    ship = Ship()
    crew(ship, FIVE)
    for number in range(4):
        ship.wish("e-0", "cinema", 3 + number / 100)
    answers = [
        told(await ship.ask(ship.draft(any={"per_check": CINEMA, "per_day": CINEMA * most})))
        for most in (2, 3, 4, 5, 6)
    ]
    assert all(answer == answers[0] for answer in answers)


async def busy(seed: int) -> Ship:
    """A crew of which some are much busier than others; some wishes were refused."""
    chance, ship = Random(seed), Ship()
    for number in range(chance.randrange(10, 16)):
        for _ in range(chance.choice([2, 2, 3, 5, 9])):
            refused = chance.random() < 0.3
            item = chance.choice(["taxfree-card/50000", "taxfree-card/100000", *["cinema"] * 4])
            ship.wish(f"e-{number}", item, 3 + chance.randrange(3), refused=refused)
    return ship


def drafts(ship: Ship) -> Sequence[Policy]:
    """Ceilings that go up a little at a time."""
    ceilings = [(most, most) for most in (1, 2, 12)] + [(12, most) for most in (13, 16, 23, 34, 56)]
    return [
        ship.draft(any={"per_check": CINEMA * check, "per_day": CINEMA * day})
        for check, day in ceilings
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_no_draft_of_a_search_tells_what_fewer_than_five_employees_did(seed):
    """Nor do two: each number is of so many, on a scale whose steps are more than any one of them wished."""
    ship = await busy(seed)
    plain = told(await ship.ask(ship.base))
    told_of = 0
    for draft in drafts(ship):
        answer, real = await ship.ask(draft), await ship.outcomes(draft)
        for group in answer.groups:
            for granted, flips in ((True, group.newly_refused), (False, group.newly_granted)):
                came = of_group(real, group.item, granted)
                flipped = {who for who, wish in came if wish[1] is not granted}
                stayed = {who for who, wish in came if wish[1] is granted}
                step = -(-max(Counter(who for who, _ in came).values(), default=1) // 5) * 5
                told_of += bool(flips)
                if flips:
                    assert len(flipped) >= EMPLOYEES_MIN, (group, flipped)
                    assert len(stayed) not in range(1, EMPLOYEES_MIN), (group, stayed)
                    assert flips % step == 0, (group, step)
                    assert sum(1 for _, wish in came if wish[1] is not granted) < flips + step
            refused = of_group(real, group.item, granted=True)
            if not group.granted_before:
                assert len({who for who, _ in refused}) < EMPLOYEES_MIN
        moved = {who for who, wishes in real.items() if any(w[2][0] is not w[2][1] for w in wishes)}
        if len(moved) < EMPLOYEES_MIN:
            assert told(answer) == plain
    assert told_of


def of_group(
    real: dict[str, Counter[Any]], item: str | None, granted: bool
) -> Sequence[tuple[str, Any]]:
    """The wishes for an item that really were granted, or refused: each employee with what came of it."""
    return [
        (who, came)
        for who, wishes in real.items()
        for (name, _, came), times in wishes.items()
        if name.partition("/")[0] == item and came[0] is granted
        for _ in range(times)
    ]
