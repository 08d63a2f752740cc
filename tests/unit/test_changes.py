"""Changes as they happen: who hears what, from where on, and for how long."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from structlog.testing import capture_logs

from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.http import changes as module
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.changes import (
    LISTENERS_OF_ONE_MAX,
    QUEUE_MAX,
    QUIET_LOOKS,
    Changes,
    Line,
    Listener,
    Shown,
)
from shared.runtime.kafka.tail import Portion

HERE, ELSEWHERE = "ms-aurora", "ms-borealis"
INGRID = Principal("e-ingrid", Kind.EMPLOYEE, HERE)
JONAS = Principal("e-jonas", Kind.EMPLOYEE, HERE)
RELOAD = ("reload", "{}")
PARTITIONS = 2


def line(sequence: int, subject: str = "c-1", site: str = HERE) -> bytes:
    """A line of the topic as the relay sends it; the type names the site that it is shown at."""
    return (
        f'{{"specversion":"1.0","id":"f-{sequence}","source":"/complaints","type":"{site}",'
        f'"subject":"{subject}","sequence":"{sequence}","data":{{"unread":"x"}}}}'
    ).encode()


class World:
    """The topic, the store and the roster of some processes."""

    def __init__(self) -> None:
        self.topic: list[tuple[int, bytes]] = []
        self.store_away = False
        self.let_go: set[Principal] = set()
        self.running = True
        self.torn = asyncio.Event()
        self.shown = 0

    def says(self, *records: tuple[int, bytes]) -> None:
        self.topic += records

    async def tail(self, back: int) -> AsyncGenerator[Portion]:
        at = max(0, len(self.topic) - back)
        whole = frozenset(range(PARTITIONS)) if at == 0 else frozenset[int]()
        while not self.torn.is_set():
            records = self.topic[at:]
            at += len(records)
            yield Portion(records, PARTITIONS, whole, caught_up=True)
            await asyncio.sleep(0)
        self.torn.clear()
        raise KafkaError

    async def shows(self, lines: Sequence[Line]) -> list[Shown | None]:
        if self.store_away:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        self.shown += len(lines)
        return [
            Shown(one.type, b'{"complaint_id":"%s"}' % one.subject.encode())
            if one.subject.startswith("c-")
            else None
            for one in lines
        ]

    async def allowed(self, principals: Sequence[Principal]) -> set[Principal]:
        if self.store_away:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        return set(principals) - self.let_go

    def process(self, **bounds: Any) -> Changes:
        return Changes(
            self.tail,
            self.shows,
            self.allowed,
            secret=b"secret",
            running=lambda: self.running,
            **bounds,
        )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def running(changes: Changes) -> AsyncIterator[Changes]:
    """The process reads its topic, and nothing looks who may go on unless a test does."""
    reading = asyncio.create_task(changes.run())
    await changes.ready()
    yield changes
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def caught_up(changes: Changes) -> None:
    """The process read the twelve lines of its topic."""
    async with asyncio.timeout(20):
        while sorted(changes._position) != [11, 12]:
            await asyncio.sleep(0)


class Client:
    """Somebody who follows: what they were told, and the position they had last."""

    def __init__(
        self, changes: Changes, who: Principal = INGRID, last: str = "", *, good: bool = True
    ) -> None:
        self.good = good
        self.listener = Listener(who, lambda: self.good, last)
        self.last = last
        self._changes = changes
        self._events = changes.events(self.listener)

    async def __aenter__(self) -> Client:
        self._listening = self._changes.listening(self.listener)
        self._listening.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.__exit__(None, None, None)
        await self._events.aclose()

    async def next(self) -> tuple[str, str] | None:
        """The next event's name and data; None at the end."""
        async with asyncio.timeout(20):
            async for sent in self._events:
                fields = dict(one.split(": ", 1) for one in sent.decode().splitlines() if one)
                self.last = fields.get("id", self.last)
                if "data" in fields:
                    return fields["event"], fields["data"]
        return None

    async def told(self, several: int) -> list[str]:
        """The ids of the complaints of the next events, which are changes."""
        found = []
        for _ in range(several):
            event = await self.next()
            assert event is not None
            assert event[0] == "change", event
            found.append(event[1].removeprefix('{"complaint_id":"').removesuffix('"}'))
        return found

    async def hears_nothing(self) -> bool:
        for _ in range(10):
            await asyncio.sleep(0)
        return not self.listener.queue


# ---- what is told --------------------------------------------------------------------------------


async def test_who_comes_anew_reads_their_list_first_and_then_hears_every_change_once(world: World):
    world.says((0, line(1)))
    async with running(world.process()) as process, Client(process) as client:
        assert await client.next() == RELOAD
        world.says((1, line(2, "c-2")), (0, line(3, "c-3")))
        assert await client.told(2) == ["c-2", "c-3"]
        assert await client.hears_nothing()


async def test_a_change_is_told_at_its_own_site_alone(world: World):
    there = Principal("e-ingrid", Kind.EMPLOYEE, ELSEWHERE)
    async with (
        running(world.process()) as process,
        Client(process) as here,
        Client(process, there) as elsewhere,
    ):
        assert [await here.next(), await elsewhere.next()] == [RELOAD, RELOAD]
        world.says((0, line(1, "c-1")), (0, line(2, "c-2", ELSEWHERE)))
        assert await here.told(1) == ["c-1"]
        assert await elsewhere.told(1) == ["c-2"]
        assert await here.hears_nothing()


async def test_a_line_that_a_relay_sent_twice_is_told_once(world: World):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.says((0, line(1, "c-1")), (0, line(2, "c-2")), (0, line(1, "c-1")))
        world.says((0, line(2, "c-2")), (0, line(3, "c-3")))
        assert await client.told(3) == ["c-1", "c-2", "c-3"]


async def test_what_is_no_change_or_no_line_of_ours_is_passed_over(world: World):
    strange = (b"", b"[]", b'{"type":"x"}', line(2**48), line(2, "customer"))
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.says(*((0, one) for one in strange), (0, line(3, "c-3")))
        assert await client.told(1) == ["c-3"]


async def test_a_store_that_is_away_delays_changes_and_loses_none(world: World):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.store_away = True
        world.says((0, line(1, "c-1")))
        assert await client.hears_nothing()
        world.store_away = False
        assert await client.told(1) == ["c-1"]


async def test_nothing_is_read_before_somebody_follows(world: World):
    world.says((0, line(1)))
    process = world.process()
    reading = asyncio.create_task(process.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert world.shown == 0
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_topic_that_cannot_be_read_is_said_and_not_waited_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "READY_S", 0.01)
    with pytest.raises(Unavailable) as refused:
        await world.process().ready()
    assert refused.value.reason is Reason.LOG_UNAVAILABLE


# ---- from where on -------------------------------------------------------------------------------


async def test_who_comes_back_to_a_process_that_was_started_again_hears_what_they_missed_once(
    world: World,
):
    world.says((0, line(1)), (1, line(2)))
    async with running(world.process()) as process, Client(process) as client:
        assert await client.next() == RELOAD
        world.says((0, line(3, "c-3")))
        assert await client.told(1) == ["c-3"]
    world.says((1, line(4, "c-4")), (0, line(5, "c-5", ELSEWHERE)), (0, line(6, "c-6")))
    async with running(world.process()) as process, Client(process, last=client.last) as again:
        assert await again.told(2) == ["c-4", "c-6"]
        world.says((1, line(7, "c-7")))
        assert await again.told(1) == ["c-7"]


async def test_who_missed_nothing_hears_nothing(world: World):
    world.says((0, line(1)))
    async with running(world.process()) as process:
        async with Client(process) as client:
            assert await client.next() == RELOAD
        async with Client(process, last=client.last) as again:
            assert await again.hears_nothing()


async def test_each_place_in_the_topic_is_gone_on_from_without_gap_or_repeat(world: World):
    """Whatever a client had last, and wherever it comes back: all changes, each once, in their order."""
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        positions = [client.last]
        world.says(*((number % PARTITIONS, line(number, f"c-{number}")) for number in range(1, 13)))
        for number in range(1, 13):
            assert await client.told(1) == [f"c-{number}"]
            positions.append(client.last)
    for had, last in enumerate(positions):
        async with running(world.process()) as process, Client(process, last=last) as again:
            missed = [f"c-{number}" for number in range(had + 1, 13)]
            assert await again.told(12 - had) == missed
            assert await again.hears_nothing()


@pytest.mark.parametrize("seed", range(12))
async def test_who_changes_between_processes_that_read_partitions_in_other_orders_hears_each_once(
    world: World, seed: int
):
    """Whatever the orders, and whenever the client changes."""
    dice, other = random.Random(seed), World()
    async with running(world.process()) as one, running(other.process()) as two:
        async with Client(one) as client:
            await client.next()
            last = client.last
        for each in (world, other):
            lines: dict[int, list[bytes]] = {0: [], 1: []}
            for number in range(1, 13):
                lines[number % PARTITIONS].append(line(number, f"c-{number}"))
            order = dice.sample([number % PARTITIONS for number in range(12)], 12)
            each.says(*((partition, lines[partition].pop(0)) for partition in order))
        await caught_up(one), await caught_up(two)
        told: list[str] = []
        while len(told) < 12:
            several = dice.randint(1, min(3, 12 - len(told)))
            async with Client(dice.choice([one, two]), last=last) as client:
                told += await client.told(several)
                last = client.last
        assert sorted(told) == sorted(f"c-{number}" for number in range(1, 13))
        for process in (one, two):
            async with Client(process, last=last) as client:
                assert await client.hears_nothing()


async def test_a_position_older_than_the_ring_means_that_the_list_is_read_again(world: World):
    async with running(world.process(ring_max=3)) as process, Client(process) as client:
        await client.next()
        oldest = client.last
        world.says(*((0, line(number, f"c-{number}")) for number in range(1, 5)))
        await client.told(1)
        first = client.last
        await client.told(3)
        async with Client(process, JONAS, oldest) as other:
            assert await other.next() == RELOAD
        async with Client(process, last=oldest) as again:
            assert await again.next() == RELOAD
        async with Client(process, last=first) as again:
            assert await again.told(3) == ["c-2", "c-3", "c-4"]


async def test_a_process_that_read_only_the_end_of_the_topic_knows_where_its_knowledge_begins(
    world: World,
):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.says(*((0, line(number, f"c-{number}")) for number in range(1, 7)))
        positions = []
        for _ in range(6):
            await client.told(1)
            positions.append(client.last)
    async with running(world.process(ring_max=3)) as process:  # it reads the lines from 4 on
        async with Client(process, last=positions[2]) as behind:
            assert await behind.next() == RELOAD
        async with Client(process, last=positions[3]) as within:
            assert await within.told(2) == ["c-5", "c-6"]


async def test_positions_that_are_forged_or_of_somebody_else_mean_that_the_list_is_read_again(
    world: World,
):
    world.says((0, line(1)))
    async with running(world.process()) as process:
        async with Client(process) as client:
            await client.next()
        world.says((0, line(2)))
        written = client.last
        forged = [
            "",
            "x",
            "\u00e6",
            "!" * 40,
            written[:-1],
            written[:-8],
            written + written,
            ("A" if written[0] != "A" else "B") + written[1:],
            written[:-2] + ("A" if written[-2] != "A" else "B") + written[-1],
            urlsafe_b64encode(b"\0" * 28).decode(),
        ]
        for last in forged:
            async with Client(process, last=last) as other:
                assert await other.next() == RELOAD, last
        for who in (
            JONAS,
            Principal("e-ingrid", Kind.EMPLOYEE, ELSEWHERE),
            Principal("e-ingrid", Kind.MANAGER, HERE),
        ):
            async with Client(process, who, written) as other:
                assert await other.next() == RELOAD, who
        async with Client(process, last=written) as own:
            assert await own.told(1) == ["c-1"]


async def test_a_position_ahead_of_this_process_means_that_the_list_is_read_again(world: World):
    world.says((0, line(1)), (0, line(2)))
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
    world.topic.pop()
    async with running(world.process()) as process, Client(process, last=client.last) as again:
        assert await again.next() == RELOAD


async def test_a_topic_that_tears_means_that_everybody_reads_the_list_again(world: World):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.says((0, line(1, "c-1")))
        await client.told(1)
        with capture_logs() as logs:
            world.torn.set()
            assert await client.next() == RELOAD
        assert [one["event"] for one in logs] == ["changes_wait"]
        world.says((0, line(2, "c-2")))
        assert await client.told(1) == ["c-2"]


async def test_who_missed_more_than_may_wait_reads_the_list_again(world: World):
    async with running(world.process()) as process:
        async with Client(process) as client:
            await client.next()
        world.says(*((0, line(1 + number)) for number in range(QUEUE_MAX + 1)))
        async with Client(process, JONAS) as other:
            await other.next()
            assert await other.next() == RELOAD  # they have arrived, and were too many
        async with Client(process, last=client.last) as again:
            assert await again.next() == RELOAD
            assert await again.hears_nothing()


# ---- for how long --------------------------------------------------------------------------------


async def test_a_stream_ends_with_its_token_and_tells_nothing_after_that(world: World):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        client.good = False
        world.says((0, line(1)))
        assert await client.next() is None
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        client.good = False
        await process.look()
        assert await client.next() is None


async def test_a_stream_ends_when_the_employee_is_let_go_and_others_go_on(world: World):
    async with (
        running(world.process()) as process,
        Client(process) as gone,
        Client(process, JONAS) as stays,
    ):
        await gone.next(), await stays.next()
        await process.look()
        world.let_go = {INGRID}
        world.says((0, line(1)))
        await process.look()
        assert await gone.next() is None
        assert await stays.told(1) == ["c-1"]


async def test_nobody_is_ended_because_the_roster_cannot_be_read(world: World):
    async with running(world.process()) as process, Client(process) as client:
        await client.next()
        world.store_away = True
        await process.look()
        world.store_away = False
        world.says((0, line(1)))
        assert await client.told(1) == ["c-1"]


async def test_streams_end_when_the_process_stops(world: World):
    process = world.process()
    async with running(process), Client(process) as client, Client(process, JONAS) as other:
        await client.next(), await other.next()
        world.running = False
        await process.look()
        assert [await client.next(), await other.next()] == [None, None]


async def test_streams_end_when_nobody_reads_the_topic_any_more(world: World):
    process = world.process()
    async with AsyncExitStack() as left:
        async with running(process):
            client = await left.enter_async_context(Client(process))
            assert await client.next() == RELOAD
        assert await client.next() is None


async def test_who_hears_nothing_is_given_their_position_now_and_then(world: World):
    """So that a quiet site's position does not grow older than the ring while others are busy."""
    async with running(world.process(ring_max=2)) as process, Client(process) as client:
        await client.next()
        world.says(*((0, line(number, site=ELSEWHERE)) for number in range(1, 6)))
        for _ in range(QUIET_LOOKS):
            assert await client.hears_nothing()
            await process.look()
        assert await anext(client._events) == b"id: %s\n\n" % process._positions.write(
            INGRID, process._position
        )


# ---- bounds --------------------------------------------------------------------------------------


async def test_a_slow_reader_reads_the_list_again_and_nobody_else_does(world: World):
    async with (
        running(world.process()) as process,
        Client(process) as slow,
        Client(process, JONAS) as quick,
    ):
        await slow.next(), await quick.next()
        for number in range(1, QUEUE_MAX + 2):
            world.says((0, line(number, f"c-{number}")))
            assert await quick.told(1) == [f"c-{number}"]
        assert len(slow.listener.queue) <= QUEUE_MAX
        assert await slow.next() == RELOAD
        world.says((0, line(QUEUE_MAX + 2, "c-new")))
        assert await slow.told(1) == ["c-new"]


async def test_changes_that_left_the_ring_wait_for_nobody(world: World):
    async with running(world.process(ring_max=3)) as process, Client(process) as slow:
        await slow.next()
        world.says(*((0, line(number)) for number in range(1, 6)))
        assert await slow.told(1)
        await process.look()
        assert await slow.next() == RELOAD


async def test_too_many_listeners_are_refused_and_one_that_leaves_makes_room(world: World):
    async with running(world.process(listeners_max=2)) as process:
        async with Client(process), Client(process, JONAS) as second:
            with pytest.raises(Unavailable) as refused:
                await Client(process).__aenter__()
            assert refused.value.reason is Reason.OVERLOADED
            await second.__aexit__()
            async with Client(process):
                pass
            await second.__aenter__()


async def test_one_principal_cannot_take_the_room_of_all(world: World):
    async with running(world.process()) as process, AsyncExitStack() as several:
        for _ in range(LISTENERS_OF_ONE_MAX):
            await several.enter_async_context(Client(process))
        with pytest.raises(Unavailable):
            await Client(process).__aenter__()
        async with Client(process, JONAS) as other:
            assert await other.next() == RELOAD


async def test_a_thousand_listeners_share_what_they_are_told(world: World):
    """All of them slow, at ten sites: the memory is that of the ring, and of a reference for each that waits."""
    sites = [f"site-{number}" for number in range(10)]
    changes = world.process(listeners_max=1_000)
    async with running(changes) as process, AsyncExitStack() as all_of_them:
        clients = [
            await all_of_them.enter_async_context(
                Client(process, Principal(f"e-{number}", Kind.EMPLOYEE, sites[number % 10]))
            )
            for number in range(1_000)
        ]
        with pytest.raises(Unavailable):
            await Client(process).__aenter__()
        tracemalloc.start()
        sequence = 0
        for _ in range(30):
            more = [
                (0, line(sequence + number, f"c-{number}", sites[number % 10]))
                for number in range(1, 101)
            ]
            sequence += 100
            await process.take(Portion(more, PARTITIONS, frozenset({0, 1}), caught_up=True))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 16 * 1024 * 1024, held
        assert all(len(client.listener.queue) <= QUEUE_MAX for client in clients)
        assert all([await client.next() == RELOAD for client in clients])
    assert not process._listeners
    assert not process._of_site
    assert not process._of_one
