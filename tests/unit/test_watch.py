"""Who stands still, and who only seems to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.runtime.kafka import consumer as kafka
from shared.runtime.kafka.consumer import Stream
from shared.runtime.kafka.watch import Waiting, watch

HERE, THERE = TopicPartition("things", 0), TopicPartition("things", 1)
AWAY = KafkaConnectionError()


class Ended(Exception):
    """The process would have ended."""


class Over(Exception):
    """Everything was looked at, and nobody was accused."""


class Signal:
    """An event of Faust's."""

    def __init__(self, given: bool = False) -> None:
        self._given = given

    def is_set(self) -> bool:
        return self._given


class Faust(SimpleNamespace):
    """What a stream asks of its Faust app."""

    consumer_generation_id = 1
    rebalancing = False
    crashed = False
    crash_reason = RuntimeError()


def fetching(*, crashed: bool = False, ended: bool = False) -> SimpleNamespace:
    return SimpleNamespace(crashed=crashed, crash_reason=None, _shutdown=Signal(ended))


@pytest.mark.parametrize(
    ("crashed", "fetcher"),
    [(True, fetching()), (False, fetching(crashed=True)), (False, fetching(ended=True))],
    ids=["the app crashed", "the fetcher crashed", "the fetcher ended"],
)
def test_a_stream_that_gave_up_is_not_ready_and_ends_its_process(monkeypatch, crashed, fetcher):
    reasons: list[str] = []
    monkeypatch.setattr(kafka, "end_process", reasons.append)
    stream = object.__new__(Stream)
    stream._owner, stream._stopping = "tally", False
    stream.app = Faust(_fetcher=fetching())
    stream.end_if_crashed()
    assert stream.assigned()
    assert reasons == []
    stream.app = Faust(crashed=crashed, _fetcher=fetcher)
    stream.end_if_crashed()
    assert not stream.assigned()
    assert reasons == ["stream_crashed"]


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
