"""A partition counts as unreadable when nothing comes from it, and not when nothing new does."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from aiokafka import TopicPartition

from shared.runtime.kafka import history

PLACE = TopicPartition("recovery.compensation.v1", 0)


class Read(NamedTuple):
    """A record as a consumer gives it."""

    offset: int
    value: bytes | None


class Tombstones:
    """A consumer of a partition with tombstones alone, up to `readable`; one record at a time."""

    def __init__(self, readable: int) -> None:
        self._readable = readable
        self._next = 0

    async def position(self, _: TopicPartition) -> int:
        return self._next

    async def getmany(self, place: TopicPartition, **_: int) -> dict[TopicPartition, list[Read]]:
        if self._next == self._readable:
            return {}
        self._next += 1
        return {place: [Read(self._next - 1, None)]}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PATIENCE_S", -1.0)


async def test_records_that_are_no_events_are_no_time_out() -> None:
    assert [held async for held in history._events(Tombstones(9), PLACE, 9)] == []  # type: ignore[arg-type]  # a double


async def test_a_partition_from_which_nothing_comes_is_a_time_out() -> None:
    with pytest.raises(TimeoutError):
        async for _ in history._events(Tombstones(8), PLACE, 9):  # type: ignore[arg-type]  # a double
            pass
