"""A lost store made again from a real topic: facts per second of one processor.

The rules give checks over a store in memory, and the product's relay carries its outbox to Kafka. The
facts that they depend on are on the topics before.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from statistics import median
from typing import Any

import uvloop

from bench import world
from bench.decision import Side, Wishes
from bench.filled import SEQUENCE, database_url, emptied
from bench.meter import Meter, spent
from bench.stages import AT_ONCE, OUTBOX_MAX, giver, known, timed
from devstack.processes import Services, environment
from devstack.stack import Stack
from services.compensation.app import DOMAIN
from shared.ops.rebuild import rebuild
from shared.runtime.engine.crash import nowhere
from shared.runtime.engine.relay import Relay
from shared.runtime.rebuild.rebuild import Rebuilt
from shared.testing.memory_store import MemoryStore

#: Checks given between two measurements of memory.
BATCH = 1000
PUBLISH_DEADLINE_S = 60.0
#: Documents that are not read again while more checks are given.
DONE_WITH = ("answer:", "check:", "code:")


def measure(
    stack: Stack, scenes: Sequence[world.Scene], *, rounds: int, facts: int
) -> dict[str, Any]:
    """Rebuild as often as there are rounds. Blocks; raises what a rebuild raises."""
    services = Services(
        world.RUN / "bench", environment(world.RUN, stack.bootstrap, stack.redis_url)
    )
    world.Publisher(stack.bootstrap).publish(world.facts_of(scenes))
    try:
        service = services.start("compensation")
        service.wait_ready()
        uvloop.run(Side("product", [service.url], Wishes(scenes), Meter({})).warm_up())
    finally:
        services.stop()
    uvloop.run(_give(stack, scenes, facts))
    # How many facts there are is known after a rebuild, and that one fills the caches of the system.
    made = _timed(stack)[0]
    count = made.own + made.foreign
    servers, found, costs = Meter(world.servers(stack)), [], []
    for _ in range(rounds):
        before = servers.read()
        found.append(_timed(stack))
        costs.append(spent(before, servers.read(), count).cpu_us)
    return {
        "facts_per_second": round(median(count / cpu_s for _, cpu_s, _ in found), 1),
        "facts_per_second_min": round(min(count / cpu_s for _, cpu_s, _ in found), 1),
        "facts_per_second_wall": round(median(count / wall_s for *_, wall_s in found), 1),
        "facts": count,
        "cpu_s": round(median(cpu_s for _, cpu_s, _ in found), 2),
        "wall_s": round(median(wall_s for *_, wall_s in found), 2),
        "cpu_us": {
            "rebuild": round(median(cpu_s / count * 1e6 for _, cpu_s, _ in found), 1),
            **{name: round(median(one[name] for one in costs), 1) for name in costs[0]},
        },
        "rounds": rounds,
    }


def _timed(stack: Stack) -> tuple[Rebuilt, float, float]:
    """One rebuild into an empty store: its result, CPU seconds of this process, seconds in all."""
    url = database_url(stack, 3)
    with emptied(url):
        gc.collect()
        gc.disable()  # as the command does
        try:
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            made = uvloop.run(rebuild(DOMAIN, bootstrap=stack.bootstrap, redis_url=url))
            return made, time.process_time() - cpu_s, time.perf_counter() - wall_s
        finally:
            gc.enable()


async def _give(stack: Stack, scenes: Sequence[world.Scene], count: int) -> None:
    """Put so many more checks on the topic, with sequences above the existing ones."""
    store = MemoryStore(OUTBOX_MAX)
    await store.begin_generation("bench", SEQUENCE)
    settler = await known(store, DOMAIN, world.facts_of(scenes))
    relay = Relay(
        store, owner=DOMAIN.owner, holder="bench", bootstrap=stack.bootstrap, crash=nowhere
    )
    carrying = asyncio.create_task(relay.run())
    give = giver(settler, scenes[-1], itertools.count(), "rebuild")
    try:
        for first in range(0, count, BATCH):
            await timed(give, min(BATCH, count - first), AT_ONCE)
            documents = store.kept.documents
            for key in [key for key in documents if key.startswith(DONE_WITH)]:
                del documents[key]
        last = await store.last_sequence()
        if not await store.wait_published(last, int(PUBLISH_DEADLINE_S * 1000)):
            raise TimeoutError(f"{count} facts were not published in {PUBLISH_DEADLINE_S:.0f} s")
    finally:
        carrying.cancel()
        with suppress(asyncio.CancelledError):
            await carrying
