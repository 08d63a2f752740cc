"""Measures equal a slow, obvious computation from all facts, however these come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.audit.measures.declared import MEASURES
from shared.contracts.catalogue import AUDIT
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore
from tests.suites.measured import Slow, Told, compare, computed, history, records
from tests.unit.test_rebuild import Sailing, rebuilt


class Hearing:
    """Audit, which hears one history after another, each in a month of its own."""

    def __init__(self, aboard: Sailing) -> None:
        self.aboard = aboard
        self._offsets: dict[str, int] = {}
        self._numbers = 0

    async def hear(self, happened: Sequence[Told], again: Sequence[int]) -> None:
        """Hear a history; after some of it, hear something again that was heard before."""
        told = records(happened, before=self._numbers)
        self._numbers += len(told)
        for number, (heard_at, topic, one) in enumerate(told):
            self.aboard.clock.moment = max(self.aboard.clock.moment, heard_at)
            await self._feed(topic, one)
            if number in again:
                # Kafka gives it again, and a relay that died sends an older line once more.
                await self._feed(topic, one, self._offsets[topic])
                await self._feed(topic, next(line for _, name, line in told if name == topic))

    async def _feed(self, topic: str, one: Any, offset: int | None = None) -> None:
        if offset is None:
            offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        await self.aboard.feed(AUDIT, topic, [one._replace(offset=offset)])

    async def measures(self, first: date, last: date) -> dict[tuple[str, str], Any]:
        """Each value by measure and part."""
        async with self.aboard.http(AUDIT, self.aboard.bearer("m-1", "manager")) as caller:
            answer = await caller.get(f"/v1/measures?from={first}&to={last}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return {
            (one["measure"], one["part"]): one["amount_minor"] if one["currency"] else one["value"]
            for one in found["leading"] + found["lagging"]
        }


def counted(store: MemoryStore) -> dict[str, int]:
    """The accounts that are not zero."""
    return {name: amount for name, amount in store.kept.accounts.items() if amount}


def test_measures_equal_a_slow_computation_with_repeats_lateness_and_a_rebuild(tmp_path: Path):
    months, shown = count(6), set[str]()
    with asyncio.Runner() as runner:
        aboard: Sailing = runner.run(Sailing(tmp_path, recording=True).begin())
        hearing = Hearing(aboard)

        @settings(max_examples=25, deadline=None)
        # Of the second, every measure has a value.
        @example(seed=0, length=200, again=[7], days=(0, 2), hours=60)
        @example(seed=154, length=200, again=[7], days=(0, 2), hours=60)
        @given(
            seed=st.integers(0, 2**32),
            length=st.integers(1, 120),
            again=st.lists(st.integers(0, 200), max_size=10),
            days=st.tuples(st.integers(0, 4), st.integers(0, 2)),
            hours=st.integers(0, 60),
        )
        def equal(
            seed: int, length: int, again: list[int], days: tuple[int, int], hours: int
        ) -> None:
            month = next(months)
            start = START.replace(year=START.year + month // 12, month=month % 12 + 1)
            told = history(seed, length, start)
            runner.run(hearing.hear(told, again))
            aboard.clock.moment += timedelta(hours=hours)
            first = (start + timedelta(days=days[0])).date()
            # Of days to come nothing is told.
            ahead = aboard.clock().date() + timedelta(days=1)
            first = min(first, ahead)
            last = min(first + timedelta(days=days[1]), ahead)
            slow = computed(Slow(told, first, last, aboard.clock()))
            compare(runner.run(hearing.measures(first, last)), slow)
            shown.update(name for (name, _), value in slow.items() if value)

        equal()
        assert shown == {one.name for one in MEASURES}
        assert runner.run(aboard.dead(AUDIT)) == []
        store = runner.run(rebuilt(aboard, AUDIT))
        assert counted(store) == counted(aboard.stores[AUDIT])
