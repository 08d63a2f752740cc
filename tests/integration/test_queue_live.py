"""Following the queue over a real connection, on a real Kafka and Redis, while its process is killed and stopped."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from pydantic_core import from_json, to_json

from devstack.processes import Service
from shared.contracts.complaints import ComplaintReceived, ComplaintTriaged
from shared.ops import roster
from shared.runtime.http.changes import LISTENERS_OF_ONE_MAX
from shared.runtime.kafka import tail as module
from shared.runtime.kafka.tail import Portion, Torn, tail
from tests.suites.streams import administration, make, put
from tests.system.world import PATIENCE_S, SITE, World, complaint, world

LIVE = "/v1/complaints/live"
#: In which a process must end that nobody follows; one that is followed may take no longer.
STOPS_WITHIN_S = 20.0
Told = tuple[str, str]


class Follower:
    """An employee's app: what it was told, and the position that it comes back with."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.last = ""
        self.told: list[Told] = []
        self.reloads = 0

    def events(self) -> Iterator[None]:
        """Follow until the stream ends; stops after each event."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        with (
            self.here.phone("complaints", timeout_s=PATIENCE_S) as phone,
            phone.stream("GET", LIVE, headers=headers) as answer,
        ):
            assert answer.status_code == 200
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, text = line.partition(": ")
                if line:
                    fields[name] = text
                    continue
                self.last = fields.get("id", self.last)
                if fields.get("event") == "reload":
                    self.reloads += 1
                elif fields.get("event") == "change":
                    data = from_json(fields["data"])
                    assert data["complaint"]["complaint_id"] == data["complaint_id"]
                    self.told.append((data["complaint_id"], data["change"]))
                fields = {}
                yield

    def follow_until(self, several: int) -> None:
        """Follow until so many changes were told in all, and leave then."""
        for _ in self.events():
            if len(self.told) >= several:
                return
        raise AssertionError("the stream ended")


def published(here: World) -> list[Told]:
    """Every change of a complaint that is on the topic, partition by partition."""
    events = [read.event for read in here.read(ComplaintReceived.TOPIC)]
    return [
        (event["subject"], event["type"])
        for event in events
        if event["type"] in (ComplaintReceived.TYPE, ComplaintTriaged.TYPE)
    ]


def raise_complaints(here: World, first: int, behind: int) -> None:
    now = datetime.now(UTC)
    here.publish([complaint(f"c-{number}", at=now) for number in range(first, behind)])


def test_who_follows_misses_nothing_and_hears_nothing_twice_though_the_process_is_killed(
    tmp_path: Path,
):
    with world(tmp_path) as here:
        service = here.start("complaints")
        service.wait_ready()
        follower = Follower(here)
        events = follower.events()
        next(events)
        next(events)  # the time to come back after, and the word to read the list
        assert follower.reloads == 1
        raise_complaints(here, 0, 10)
        for _ in events:
            if len(follower.told) == 7:  # received and triaged are told, somewhere in between
                break
        events.close()
        raise_complaints(here, 10, 20)
        service.kill()
        raise_complaints(here, 20, 30)
        service = here.start("complaints")
        service.wait_ready()
        follower.follow_until(60)
        here.settle_down("complaints")
        assert Counter(follower.told) == Counter(published(here))
        assert follower.reloads == 1
        order = {ComplaintReceived.TYPE: 0, ComplaintTriaged.TYPE: 1}
        of_each: dict[str, list[int]] = {}
        for name, change in follower.told:
            of_each.setdefault(name, []).append(order[change])
        assert all(found == [0, 1] for found in of_each.values())

        # A process that is followed stops as soon as any other.
        leaving = follower.events()
        next(leaving)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < STOPS_WITHIN_S
        assert list(leaving) == []


def test_a_process_for_the_api_alone_tells_what_another_one_settled(tmp_path: Path):
    with world(tmp_path) as here:
        here.start("complaints").wait_ready()
        first = dict(here.ports)
        here.ports.clear()
        alone = here.start("complaints", face="api")
        alone.wait_ready()
        follower = Follower(here)
        events = follower.events()
        next(events), next(events)
        raise_complaints(here, 0, 3)
        while len(follower.told) < 4:
            next(events)
        events.close()
        # At the other process it goes on from where the first one was.
        here.ports = first
        follower.follow_until(6)
        assert Counter(follower.told) == Counter(published(here))
        assert follower.reloads == 1


LISTENERS = 1_000
#: What they may add to the process: less than 100 kB each.
MEMORY_MAX_KB = 100_000


async def hears(here: World, bearer: str, reloaded: asyncio.Semaphore, told: Counter[Told]) -> None:
    """One listener: counts what it is told, by complaint and change, until the stream ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.ports["complaints"])
    writer.write(f"GET {LIVE} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    while line := await reader.readline():
        if line == b"event: reload\n":
            reloaded.release()
        elif line.startswith(b"data: {") and line != b"data: {}\n":
            data = from_json(line.removeprefix(b"data: "))
            told[data["complaint_id"], data["change"]] += 1
    writer.close()


async def a_thousand_hear(here: World, service: Service) -> None:
    employees = [f"e-{number}" for number in range(LISTENERS // LISTENERS_OF_ONE_MAX)]
    bearers = [here.bearer(one)["Authorization"] for one in employees]
    reloaded, told = asyncio.Semaphore(0), Counter[Told]()
    before = resident_kb(service)
    everybody = [
        asyncio.create_task(hears(here, bearers[number % len(bearers)], reloaded, told))
        for number in range(LISTENERS)
    ]
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(LISTENERS):
            await reloaded.acquire()
        await asyncio.to_thread(raise_complaints, here, 0, 10)
        while told.total() < 20 * LISTENERS:
            assert not any(one.done() for one in everybody)
            await asyncio.sleep(0.1)
        assert resident_kb(service) - before < MEMORY_MAX_KB
        service.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*everybody)
    assert reloaded.locked(), "nobody was too slow"
    assert set(told.values()) == {LISTENERS}


def resident_kb(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="utf-8")
    (found,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(found)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_thousand_employees_follow_one_process_in_bounded_memory(tmp_path: Path):
    """All of them are told everything once, and the process stops in time."""
    may, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(may, min(most, 2 * LISTENERS)), most))
    employees = {
        f"e-{number}": {"role": "deck"} for number in range(LISTENERS // LISTENERS_OF_ONE_MAX)
    }
    file = tmp_path / "roster.yaml"
    file.write_bytes(to_json({"site": SITE, "employees": employees}))
    with world(tmp_path) as here:
        roster.publish(file, here.stack.bootstrap)
        service = here.start("complaints")
        service.wait_ready()
        asyncio.run(a_thousand_hear(here, service))
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < STOPS_WITHIN_S


# ---- the end of a topic --------------------------------------------------------------------------


async def soon(portions: AsyncIterator[Portion], several: int) -> list[tuple[int, bytes]]:
    """The next records, this many, and none more."""
    found: list[tuple[int, bytes]] = []
    async with asyncio.timeout(60):
        while len(found) < several:
            found += (await anext(portions)).records
    assert len(found) == several
    return found


async def test_the_end_of_a_topic_is_read_and_what_comes_after_it(stack):
    topic = f"things-{uuid.uuid4().hex}"
    await make(stack, topic, 2)
    await put(stack, topic, {0: [b"a", b"b", b"c"], 1: [b"d"]})
    async with aclosing(tail(stack.bootstrap, topic, 4)) as portions:
        first = await anext(portions)
        assert first == Portion((), 2, frozenset({1}), caught_up=False)
        assert sorted(await soon(portions, 3)) == [(0, b"b"), (0, b"c"), (1, b"d")]
        assert (await anext(portions)).caught_up
        await put(stack, topic, {0: [b"e", b"f"]})
        assert await soon(portions, 2) == [(0, b"e"), (0, b"f")]


async def test_an_empty_topic_is_read_to_its_end_at_once(stack):
    topic = f"things-{uuid.uuid4().hex}"
    await make(stack, topic, 2)
    async with aclosing(tail(stack.bootstrap, topic, 4)) as portions:
        assert await anext(portions) == Portion((), 2, frozenset({0, 1}), caught_up=True)


async def test_a_topic_that_was_made_anew_tears_its_end(stack, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.5)
    topic = f"things-{uuid.uuid4().hex}"
    await make(stack, topic)
    async with aclosing(tail(stack.bootstrap, topic, 4)) as portions:
        await anext(portions)
        await put(stack, topic, {0: [b"a", b"b"]})
        assert await soon(portions, 2) == [(0, b"a"), (0, b"b")]
        async with administration(stack) as admin:
            await admin.delete_topics([topic])
        await make(stack, topic)
        await put(stack, topic, {0: [b"c"]})
        with pytest.raises((Torn, KafkaError)):
            async with asyncio.timeout(60):
                while True:
                    assert (await anext(portions)).records == []
