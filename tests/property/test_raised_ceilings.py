"""A policy with nothing but higher ceilings refuses no wish that was granted, whatever the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from services.compensation.whatif.rules import Wish, wish_of
from services.compensation.whatif.trial import Trial
from shared.contracts.policy import Policy, PolicyPublished
from shared.kernel import Fact
from shared.money import AMOUNT_MINOR_MAX
from tests.unit.test_decided_again import shifts

#: Random histories: a second or two each.
SEEDS = (11, 12, 13)


class History(NamedTuple):
    """What happened, and the versions of the policy that held meanwhile."""

    facts: Sequence[Fact]
    policies: dict[int, Policy]


class Raise(NamedTuple):
    """How much higher each ceiling is: per cent of what it was, and counts."""

    per_check: int
    per_shift: int
    per_day: int
    per_week: int
    stretch: int
    stretches: int
    per_stay: int
    customer_day: int
    checks_per_day: int
    complaint: int
    site: int


more = st.one_of(st.just(0), st.integers(1, 30), st.integers(1, 400))
raises = st.builds(Raise, *[more] * len(Raise._fields))


async def history_of(directory: Path, seed: int) -> History:
    """A random history in which the policy changes, with stays that end or not."""
    aboard = await shifts(directory, seed, None if seed % 2 else 1)
    facts: list[Fact] = []
    policies: dict[int, Policy] = {}
    for made, before in aboard.recorded():
        told = [one for one in before if isinstance(one, PolicyPublished)]
        policies |= {one.version: one.policy for one in told}
        facts += made
    return History(facts, policies)


def higher(amount: int, percent: int) -> int:
    return min(AMOUNT_MINOR_MAX, amount + amount * percent // 100)


def raised(policy: Policy, by: Raise) -> Policy:
    """The policy with each of its ceilings raised; a larger window's is never below a smaller one's."""
    found: dict[str, Any] = policy.model_dump(mode="json")
    for role in filter(None, found["authority"]["roles"].values()):
        least = 0
        for name in ("per_check", "per_shift", "per_day", "per_week"):
            if role[name] is not None:
                least = role[name] = max(least, higher(role[name], getattr(by, name)))
    if stretch := found["authority"]["stretch"]:
        stretch["percent"] = min(100, stretch["percent"] + by.stretch)
        stretch["times_per_shift"] = min(100, stretch["times_per_shift"] + by.stretches)
    limits = found["limits"]
    customer = limits["customer"]
    customer["per_stay"] = higher(customer["per_stay"], by.per_stay)
    if customer["per_day"] is not None:
        customer["per_day"] = higher(customer["per_day"], by.customer_day)
    customer["checks_per_day"] = min(1000, customer["checks_per_day"] + by.checks_per_day)
    limits["complaint"]["total"] = higher(limits["complaint"]["total"], by.complaint)
    limits["site"]["per_day"] = higher(limits["site"]["per_day"], by.site)
    return Policy.model_validate(found)


async def refused(history: History, policies: dict[int, Policy]) -> set[tuple[str, Any]]:
    """The wishes that these policies refuse, each by employee and moment."""
    trial = Trial(lambda wish: policies[wish.version])
    found: set[tuple[str, Any]] = set()
    for fact in history.facts:
        verdict, wish = await trial.hear(fact), wish_of(fact)
        if verdict is not None and wish is not None and not verdict.granted:
            found.add((fact.key(), wish.at))
    return found


def really(wishes: Sequence[tuple[Fact, Wish]]) -> set[tuple[str, Any]]:
    return {(fact.key(), wish.at) for fact, wish in wishes if not wish.granted}


def test_raising_only_ceilings_never_refuses_more_of_the_same_history(tmp_path):
    """Whichever ceilings are raised, and by how much; some wishes that were refused are granted then."""
    histories = [asyncio.run(history_of(tmp_path / str(seed), seed)) for seed in SEEDS]
    granted_more = 0

    # Not shrunk, which would take minutes: each example is a whole history.
    @settings(max_examples=60, phases=[Phase.generate])
    @given(st.sampled_from(histories), raises)
    def holds(history: History, by: Raise) -> None:
        nonlocal granted_more
        policies = {version: raised(one, by) for version, one in history.policies.items()}
        wishes = [(fact, wish) for fact in history.facts if (wish := wish_of(fact)) is not None]
        before = really(wishes)
        after = asyncio.run(refused(history, policies))
        assert after <= before, sorted(after - before)
        granted_more += len(before - after)

    holds()
    assert granted_more > 100
