"""Timers ring when they are due, in one process at a time, until somebody settled them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from types import SimpleNamespace

import pytest

from shared.contracts.reasons import Reason
from shared.runtime.engine import timers as module
from shared.runtime.engine.store import Commit, system_of
from shared.runtime.engine.timers import AT_ONCE_MAX, ONE_SYSTEM_MAX, Timers
from shared.runtime.faults import Unavailable
from shared.testing.clock import START, Clock
from shared.testing.memory_store import MemoryStore

DUE = int(START.timestamp() * 1000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0)
    monkeypatch.setattr(module, "FAILED_PAUSE_S", 0.001)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    return store


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


@asynccontextmanager
async def running(store, ring, clock=None, holder="me"):
    timers = Timers(store, {"look": ring}, holder=holder, now=clock or Clock())
    task = asyncio.create_task(timers.run())
    try:
        yield timers
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def settling(store, rung: list[str], name="look"):
    async def ring(timer_id: str, due: int) -> None:
        rung.append(timer_id)
        await store.commit(Commit((), (), [(f"{name}|{timer_id}", None)]))

    return ring


async def test_a_timer_rings_once_it_is_due_and_not_before(store):
    clock, rung = Clock(START - timedelta(seconds=1)), []
    await store.commit(Commit((), (), [("look|a|b", DUE)]))
    async with running(store, settling(store, rung), clock):
        for _ in range(20):
            await asyncio.sleep(0)
        assert rung == []
        clock.advance(timedelta(seconds=1))
        await until(lambda: bool(rung))
    assert rung == ["a|b"]


async def test_one_that_is_ringing_is_not_rung_again_and_only_so_many_ring_at_once(store):
    await store.commit(Commit((), (), [(f"look|{n:03}", DUE) for n in range(3 * AT_ONCE_MAX)]))
    started: list[str] = []
    go = asyncio.Event()

    async def slow(timer_id: str, due: int) -> None:
        started.append(timer_id)
        await go.wait()
        await store.commit(Commit((), (), [(f"look|{timer_id}", None)]))

    async with running(store, slow):
        await until(lambda: len(started) == AT_ONCE_MAX)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(started) == len(set(started)) == AT_ONCE_MAX
        go.set()
        await until(lambda: not store.kept.timers)
    assert len(started) == 3 * AT_ONCE_MAX


async def test_many_that_are_due_at_once_ring_as_fast_as_they_are_settled(store, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 60)
    await store.commit(Commit((), (), [(f"look|{n:03}", DUE) for n in range(3 * AT_ONCE_MAX)]))
    rung: list[str] = []
    async with running(store, settling(store, rung)):
        await until(lambda: len(rung) == 3 * AT_ONCE_MAX)
    assert len(set(rung)) == len(rung)


async def test_under_load_there_is_no_look_for_each_timer_and_the_lease_is_not_asked_for_at_each_look(
    store, monkeypatch
):
    """Each is a trip to the store, and three of them cost as much as a letter."""
    monkeypatch.setattr(module, "LOOK_S", 60)
    count = 10 * AT_ONCE_MAX
    await store.commit(Commit((), (), [(f"send|{n:03}", DUE) for n in range(count)]))
    asked: Counter[str] = Counter()
    rung: list[str] = []
    due_now, lease, settle = store.due, store.lease, settling(store, rung, "send")

    async def due(*args: object, slow: bool, **how: object) -> list[tuple[str, int]]:
        asked["slow" if slow else "prompt"] += 1
        return await due_now(*args, slow=slow, **how)

    async def leased(*args: object) -> bool:
        asked["lease"] += 1
        return await lease(*args)

    async def ring(timer_id: str, due_ms: int) -> None:
        for _ in range(int(timer_id)):  # they end one by one
            await asyncio.sleep(0)
        await settle(timer_id, due_ms)

    monkeypatch.setattr(store, "due", due)
    monkeypatch.setattr(store, "lease", leased)
    timers = Timers(store, {"send": ring, "webhook": ring}, holder="me", now=Clock())
    task = asyncio.create_task(timers.run())
    await until(lambda: len(rung) == count)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asked["lease"] == asked["slow"] == 1
    assert asked["prompt"] <= count / module.FREE_TO_LOOK + 1


async def test_a_store_that_was_away_is_asked_for_the_lease_again(store, monkeypatch):
    asked: list[str] = []
    lease, due_now = store.lease, store.due

    async def leased(*args: object) -> bool:
        asked.append("lease")
        return await lease(*args)

    async def due(*args: object, **how: object) -> list[tuple[str, int]]:
        if len(asked) == 1:
            raise Unavailable(Reason.STORE_UNAVAILABLE, retry_after_s=0)
        return await due_now(*args, **how)

    monkeypatch.setattr(store, "lease", leased)
    monkeypatch.setattr(store, "due", due)
    rung: list[str] = []
    await store.commit(Commit((), (), [("look|a", DUE)]))
    async with running(store, settling(store, rung)):
        await until(lambda: rung == ["a"])
    assert len(asked) == 2


async def test_one_that_is_due_as_it_is_set_rings_without_waiting_for_the_next_look(
    store, monkeypatch
):
    monkeypatch.setattr(module, "LOOK_S", 60)
    rung: list[str] = []
    async with running(store, settling(store, rung)) as timers:
        for _ in range(20):
            await asyncio.sleep(0)
        for name in ("a", "b"):
            await store.commit(Commit((), (), [(f"look|{name}", DUE)]))
            timers.wake()
            await until(lambda name=name: name in rung)


async def test_a_stop_at_the_moment_at_which_one_is_due_is_not_lost(store, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 60)
    timers = Timers(store, {}, holder="me", now=Clock())
    task = asyncio.create_task(timers.run())
    for _ in range(20):
        await asyncio.sleep(0)
    timers.wake()
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert task in done and task.cancelled()


@pytest.mark.parametrize(
    "error", [Unavailable(Reason.STORE_UNAVAILABLE, retry_after_s=0), ValueError()]
)
async def test_one_that_failed_rings_again_and_the_others_are_not_kept_waiting(store, error):
    await store.commit(Commit((), (), [("look|bad", DUE), ("look|good", DUE)]))
    rung: list[str] = []
    settle = settling(store, rung)

    async def ring(timer_id: str, due: int) -> None:
        if timer_id == "bad" and rung.count("tried") < 2:
            rung.append("tried")
            raise error
        await settle(timer_id, due)

    async with running(store, ring):
        await until(lambda: {"bad", "good"} <= set(rung))
    assert rung.count("good") == rung.count("bad") == 1


async def test_of_two_processes_one_rings_and_after_its_clean_stop_the_other_does(store):
    mine, yours = [], []
    async with running(store, settling(store, mine)) as first:
        await until(lambda: "timers" in store.kept.leases)
        async with running(store, settling(store, yours), holder="you"):
            await store.commit(Commit((), (), [("look|a", DUE)]))
            await until(lambda: bool(mine))
            assert yours == []
    await first.release()
    async with running(store, settling(store, yours), holder="you"):
        await store.commit(Commit((), (), [("look|b", DUE)]))
        await until(lambda: bool(yours))
    assert (mine, yours) == (["a"], ["b"])


async def test_a_process_that_was_frozen_asks_for_the_lease_before_it_fires_anything(
    store, monkeypatch
):
    """Another one may have it by now."""
    later = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: monotonic() + later))
    rung: list[str] = []
    async with running(store, settling(store, rung)) as timers:
        await until(lambda: "timers" in store.kept.leases)
        for _ in range(20):
            await asyncio.sleep(0)
        store.kept.leases["timers"] = "you"
        later = module.LEASE_MS / 1000
        await store.commit(Commit((), (), [("look|a", DUE)]))
        timers.wake()
        for _ in range(50):
            await asyncio.sleep(0)
    assert rung == []


async def test_however_many_fail_the_others_still_ring(store, monkeypatch):
    monkeypatch.setattr(module, "FAILED_PAUSE_S", 3600.0)
    bad = [(f"look|bad-{n:03}", DUE - 1) for n in range(3 * AT_ONCE_MAX)]
    await store.commit(Commit((), (), [*bad, ("look|good", DUE)]))
    rung: list[str] = []
    settle = settling(store, rung)

    async def ring(timer_id: str, due: int) -> None:
        if timer_id.startswith("bad"):
            raise ValueError
        await settle(timer_id, due)

    async with running(store, ring):
        await until(lambda: rung == ["good"])


@pytest.mark.parametrize(("endpoints", "each"), [(1, 3000), (16, 20)])
async def test_a_letter_goes_at_once_however_many_webhooks_wait_for_endpoints_that_hang(
    store, endpoints, each
):
    """Each endpoint has 4 in hand, which hang."""
    waiting = [(webhook(n % endpoints, n), DUE - 1) for n in range(endpoints * each)]
    await store.commit(Commit((), (), waiting))
    in_hand: Counter[str] = Counter()
    rung: list[str] = []
    go = asyncio.Event()

    async def post(webhook_id: str, due: int) -> None:
        in_hand[system_of(f"webhook|{webhook_id}")] += 1
        await go.wait()

    on_timer = {"webhook": post, "send": settling(store, rung, "send")}
    timers = Timers(store, on_timer, holder="me", now=Clock())
    task = asyncio.create_task(timers.run())
    await until(lambda: in_hand.total() == 4 * endpoints)
    await store.commit(Commit((), (), [("send|safety", DUE)]))
    timers.wake()
    looks = 0
    while not rung and looks < 50:
        await asyncio.sleep(0)
        looks += 1
    go.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rung == ["safety"]
    assert set(in_hand.values()) == {4}


def webhook(endpoint: int, number: int) -> str:
    """The timer of a webhook to one of some endpoints."""
    return f"webhook|wh-{endpoint:08x}{number:024x}"


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "is far behind"])
async def test_a_webhook_goes_soon_however_many_wait_for_another_endpoint(
    store, monkeypatch, hangs
):
    many = [(webhook(1, n), DUE - 1) for n in range(3000)]
    await store.commit(Commit((), (), [*many, (webhook(2, 0), DUE)]))
    posted: list[str] = []
    looks = 0
    due_now = store.due

    async def due(*args: object, **how: object) -> list[tuple[str, int]]:
        nonlocal looks
        looks += how["slow"] is False
        return await due_now(*args, **how)

    async def post(webhook_id: str, due_ms: int) -> None:
        posted.append(webhook_id)
        if hangs and webhook_id.startswith("wh-00000001"):
            await asyncio.Event().wait()
        await store.commit(Commit((), (), [(f"webhook|{webhook_id}", None)]))

    monkeypatch.setattr(store, "due", due)
    timers = Timers(store, {"webhook": post}, holder="me", now=Clock())
    monkeypatch.setattr(module, "IN_HAND_S", 0)
    task = asyncio.create_task(timers.run())
    await until(lambda: any(one.startswith("wh-00000002") for one in posted))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert looks <= (3 if hangs else 10)


async def test_while_an_endpoint_is_left_alone_its_webhooks_are_not_rung(store, monkeypatch):
    many = [(webhook(1, n), DUE - 1) for n in range(1000)]
    await store.commit(Commit((), (), [*many, (webhook(2, 0), DUE)]))
    rung: list[str] = []

    async def post(webhook_id: str, due: int) -> None:
        rung.append(webhook_id)
        if webhook_id.startswith("wh-00000001"):
            raise Unavailable(Reason.ENDPOINT_UNAVAILABLE, retry_after_s=900)
        await store.commit(Commit((), (), [(f"webhook|{webhook_id}", None)]))

    timers = Timers(store, {"webhook": post}, holder="me", now=Clock())
    task = asyncio.create_task(timers.run())
    await until(lambda: any(one.startswith("wh-00000002") for one in rung))
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sum(one.startswith("wh-00000001") for one in rung) == ONE_SYSTEM_MAX


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stop_waits_for_those_in_hand_for_a_while_and_begins_no_others(
    store, monkeypatch, ends
):
    if not ends:
        monkeypatch.setattr(module, "IN_HAND_S", 0.01)
    await store.commit(Commit((), (), [("look|a", DUE)]))
    started, ended, go = [], [], asyncio.Event()

    async def slow(timer_id: str, due: int) -> None:
        started.append(timer_id)
        try:
            await go.wait()
            await store.commit(Commit((), (), [(f"look|{timer_id}", None)]))
        finally:
            ended.append(timer_id)

    timers = Timers(store, {"look": slow}, holder="me", now=Clock())
    task = asyncio.create_task(timers.run())
    await until(lambda: started == ["a"])
    await store.commit(Commit((), (), [("look|b", DUE)]))
    task.cancel()
    if ends:
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
    await asyncio.wait({task})
    await until(lambda: ended == ["a"])
    assert started == ["a"]
    assert ("look|a" in store.kept.timers) is not ends


async def test_a_letter_in_hand_at_a_clean_stop_is_not_sent_again_by_the_next_process(aboard):
    """INV-05: the mail server's answer is heard and recorded."""
    await aboard.raise_complaint()
    store, send = aboard.stores["notifier"], aboard.apps["notifier"].on_timer["send"]
    whole, go, asked = aboard.postbox.send, asyncio.Event(), []

    async def slow(letter):
        asked.append(letter)
        await go.wait()
        return await whole(letter)

    aboard.postbox.send = slow
    one = asyncio.create_task(Timers(store, {"send": send}, holder="me", now=aboard.clock).run())
    await until(lambda: bool(asked))
    one.cancel()
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait({one})
    aboard.later(hours=1)
    await aboard.ring()
    assert len(asked) == len(aboard.postbox.letters) == 1
    assert (await aboard.types("notifier"))[-1] == "message.sent"
