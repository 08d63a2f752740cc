"""Who stands still, and who only seems to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.runtime.watch import Waiting, watch

HERE, THERE = TopicPartition("things", 0), TopicPartition("things", 1)
AWAY = KafkaConnectionError()


class Ended(Exception):
    """The process would have ended."""


class Over(Exception):
    """Everything was looked at, and nobody was accused."""


async def seen(
    looks: Sequence[Waiting | Exception], share: Collection[TopicPartition] | None
) -> None:
    """Watch with no patience at all: a second look at the same offset is one too many."""
    coming = iter(looks)

    async def waiting() -> Waiting:
        found = next(coming, Over())
        if isinstance(found, Exception):
            raise found
        return found

    def end() -> NoReturn:
        raise Ended

    await watch(waiting, lambda: share, end, look_s=0, stands_max_s=0)


@pytest.mark.parametrize("share", [[HERE], None])
async def test_a_record_that_waits_too_long_ends_the_process_that_should_read_it(share):
    with pytest.raises(Ended):
        await seen([{HERE: 3}, {HERE: 3}], share)


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([{HERE: 3}, {HERE: 4}, {HERE: 5}], id="it moves"),
        pytest.param([{HERE: 3}, {}, {HERE: 3}], id="nothing waited in between"),
        pytest.param([{HERE: 3}, AWAY, {HERE: 3}], id="the broker was away"),
        pytest.param([{THERE: 3}, {THERE: 3}], id="somebody else's share"),
    ],
)
async def test_nobody_is_accused_where(looks):
    with pytest.raises(Over):
        await seen(looks, [HERE])
