"""Callers share calls; here of what becomes of those who wait while a call fails."""

from __future__ import annotations

import asyncio

from shared.contracts.reasons import Reason
from shared.runtime.engine.redis_store import Grouped
from shared.runtime.faults import Unavailable


async def test_when_the_store_cannot_answer_all_who_wait_hear_it_at_once_and_later_ones_ask():
    asked: list[list[int]] = []

    async def call(items: list[int]) -> list[int]:
        asked.append(items)
        if len(asked) == 1:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return items

    grouped: Grouped[int, int] = Grouped(call, 2)
    ends = await asyncio.gather(*(grouped(n) for n in range(9)), return_exceptions=True)
    assert all(isinstance(end, Unavailable) for end in ends)
    assert asked == [[0, 1]]
    assert await asyncio.gather(*(grouped(n) for n in range(3))) == [0, 1, 2]


async def test_a_call_that_is_our_own_fault_fails_those_in_it_and_no_others():
    async def call(items: list[int]) -> list[int]:
        if 0 in items:
            raise ValueError
        return items

    grouped: Grouped[int, int] = Grouped(call, 2)
    ends = await asyncio.gather(*(grouped(n) for n in range(5)), return_exceptions=True)
    assert [type(end) for end in ends[:2]] == [ValueError, ValueError]
    assert ends[2:] == [2, 3, 4]
