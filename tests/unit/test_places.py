"""What is fetched is handed on or fetched again, whatever moves in between; INV-04.

Faust seeks after an assignment and resumes the flow after that. What is fetched in between is let go
of, and aiokafka's own position lies behind it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition

from shared.runtime.observe import BATCHES_READ_AGAIN
from tests.suites.places import PATIENCE_S, Broker, Worker, working

A, B = TopicPartition("things", 0), TopicPartition("things", 1)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with working(Broker()) as made:
        yield made


def read_again() -> float:
    return BATCHES_READ_AGAIN.labels("things")._value.get()


async def let_go(worker: Worker) -> None:
    """Four records are fetched between the seek and the resumption of the flow."""
    worker.broker.append(A, 4)
    worker.broker.committed[A] = 4
    worker.assign(A)
    await worker.resume()
    polling = worker.poll_and_wait()
    await worker.waits()
    worker.consumer.stop_flow()
    await worker.consumer.perform_seek()
    worker.broker.append(A, 4)
    assert await polling == 0
    worker.consumer.resume_flow()


async def test_a_batch_let_go_of_between_seek_and_resumption_is_handed_on_though_nothing_follows(
    worker,
):
    """INV-04: the last records of an idle topic."""
    before = read_again()
    await let_go(worker)
    await worker.poll_until_quiet()
    assert worker.handed == {A: [4, 5, 6, 7]}
    assert read_again() == before + 1


async def test_what_follows_a_batch_that_was_let_go_of_is_handed_on_behind_it(worker):
    await let_go(worker)
    worker.broker.append(A, 3)
    await worker.poll_until_quiet()
    assert worker.handed == {A: [4, 5, 6, 7, 8, 9, 10]}


async def test_records_fetched_before_a_rebalance_are_not_handed_on_after_it(worker):
    """INV-02, INV-08: another worker may have settled them, and more."""
    worker.broker.append(A, 2)
    worker.broker.append(B, 2)
    worker.assign(A, B)
    await worker.resume()
    while len(worker.kafka._fetcher._records) < 2:
        await asyncio.sleep(0)
    handing = worker.consumer.getmany(PATIENCE_S)
    first, _ = await anext(handing)
    other = B if first == A else A
    await worker.revoke()
    worker.broker.committed = {A: 2, B: 2}
    worker.assign(A, B)
    await worker.resume()
    assert [place async for place, _ in handing] == []
    await worker.poll_until_quiet()
    assert other not in worker.handed


async def test_what_was_asked_for_before_a_rebalance_does_not_move_the_place_after_it(worker):
    """The answer of an old poll comes when the partition is ours once more, from a lower offset."""
    worker.broker.append(A, 6)
    worker.broker.committed[A] = 6
    worker.assign(A)
    await worker.resume()
    polling = worker.poll_and_wait()
    await worker.waits()
    await worker.revoke()
    worker.applied[A] = 2  # the store came back older
    worker.assign(A)
    await worker.resume()
    worker.broker.append(A, 1)
    await polling
    await worker.poll_until_quiet()
    assert worker.handed == {A: [3, 4, 5, 6]}


async def test_a_poll_that_faust_no_longer_waits_for_takes_no_records_along(worker):
    worker.broker.append(A, 2)
    worker.assign(A)
    await worker.resume()
    await worker.poll_until_quiet()
    places = worker.consumer._places
    given_up = asyncio.create_task(worker.consumer._poll(places, [A], PATIENCE_S))
    await worker.waits()
    polling = asyncio.create_task(worker.poll())
    await asyncio.sleep(0)
    worker.broker.append(A, 2)
    await asyncio.gather(given_up, polling)
    await worker.poll_until_quiet()
    assert worker.handed == {A: [0, 1, 2, 3]}


async def test_ends_of_transactions_and_compacted_offsets_are_passed_once_and_for_all(worker):
    """What is no record neither stops a partition nor is asked for again."""
    worker.broker.append(A, 2)
    worker.broker.mark(A)
    worker.broker.leave(A, 10, [3, 7])
    worker.broker.mark(A)
    worker.assign(A)
    await worker.resume()
    before = read_again()
    await worker.poll_until_quiet()
    assert worker.handed == {A: [0, 1, 6, 10]}
    worker.broker.mark(A)
    await worker.poll_until_quiet()
    worker.broker.append(A, 1)
    await worker.poll_until_quiet()
    assert worker.handed == {A: [0, 1, 6, 10, 15]}
    assert read_again() == before
    assert worker.broker.asked == sorted(worker.broker.asked), "no position was gone back to"


async def test_a_partition_whose_records_retention_took_is_read_from_what_is_left(worker):
    worker.broker.append(A, 5)
    worker.broker.append(A, 2)
    worker.broker.committed[A] = 3
    worker.broker.first[A] = 5
    worker.assign(A)
    await worker.resume()
    await worker.poll_until_quiet()
    worker.broker.append(A, 1)
    await worker.poll_until_quiet()
    assert worker.handed == {A: [5, 6, 7]}


async def test_a_normal_start_asks_the_broker_for_nothing_but_records(worker):
    worker.broker.append(A, 5)
    worker.broker.committed[A] = 3
    worker.assign(A)
    await worker.resume()
    await worker.poll_until_quiet()
    assert worker.handed == {A: [3, 4]}
    assert worker.broker.beginnings_asked == 0


async def turns(dice: random.Random, most: int) -> None:
    """Let the others go on for some turns of the loop."""
    for _ in range(dice.randrange(most)):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_moves_in_whatever_order_every_record_is_handed_on_in_its_order(
    worker, seed
):
    """INV-04, INV-08: polls, rebalances, seeks, resumptions and records, mixed."""
    dice, broker, polls = random.Random(seed), worker.broker, []
    worker.assign(A, B)
    await worker.resume()
    for _ in range(40):
        match dice.randrange(7):
            case 0 | 1:
                broker.append(dice.choice([A, B]), dice.randrange(1, 4))
            case 2:
                dice.choice([broker.mark, lambda at: broker.leave(at, 5, [1, 3])])(
                    dice.choice([A, B])
                )
            case 3 | 4:
                if all(poll.done() for poll in polls):
                    polls.append(asyncio.create_task(worker.poll()))
            case 5:
                await worker.revoke()
                for place, offsets in worker.handed.items():
                    broker.committed[place] = max([0, *offsets]) + 1
                worker.assign(A, B)
                await turns(dice, 40)
                await worker.resume()
            case 6:
                worker.consumer.stop_flow()
                await worker.consumer.perform_seek()
                await turns(dice, 40)
                worker.consumer.resume_flow()
        await turns(dice, 4)
    await asyncio.gather(*polls)
    await worker.poll_until_quiet()
    for place in (A, B):
        fresh: list[int] = []
        for offset in worker.handed.get(place, []):
            if offset > max([-1, *fresh]):
                fresh.append(offset)
        assert fresh == broker.records.get(place, [])
