"""Making a service's state again from the topics: the same folds, postings and timers as in a commit.

    take → where our facts came from → compacted topics → our facts, others' in between → end

Our own facts are folded in the order of their `sequence`. A fact of another service is folded where
it was when it was settled: just before the first fact of ours that it caused. One that caused nothing
is folded as early as it may have been: behind the one before it in its partition, behind the
fact of ours that it answers, and behind everything that was on its topic before the topic was given more
partitions. Of theirs only what was settled before is
taken: below the group's offset, or below a place that a fact of ours proves. What lies behind is
settled as usual when the service goes on, decisions included.

Fences and answers come from the causes that our facts carry. Until the marker is set at the end,
nobody reads or commits; a rebuild that died is begun anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from pydantic import ValidationError

from shared.contracts.reasons import Reason
from shared.contracts.topics import TopicRaised
from shared.kernel import Domain
from shared.runtime.engine.settle import Fence, fence_key
from shared.runtime.engine.store import REBUILD, RebuildStore
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.raises import Raises
from shared.runtime.rebuild.order import ReplayOrder
from shared.runtime.rebuild.sources import Log, Place, Refused, Sources, event_of
from shared.runtime.rebuild.state import ReplayState, Unfolded

#: Silence after which another may take over; a chunk takes a second.
LEASE_MS = 30_000
#: How often to look whether the relay's lease has run out; it is 10 s.
LOOK_S = 0.2
#: A running service acknowledges what it settled within a second; waited for, so that the group's
#: offsets cover what its processes will not read again.
ACKNOWLEDGED_S = 3.0
#: Times a rebuild begins anew because it found that more records had been settled; each raises a
#: limit, or met a last line.
BEGINNINGS_MAX = 10

LOST = "the rebuild was lost to another one"

Told = Callable[[str, int, int], None]


class _BeginAnew(Exception):
    """More is known now than when the rebuild began."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made: facts of ours and of others that were folded, and the sequence to go on from."""

    own: int
    foreign: int
    sequence: int
    #: Records on the topic of dead letters that are none as far as the log shows.
    doubted: int


class Rebuild:
    """Makes one service's state again, into a store that nobody uses meanwhile."""

    def __init__(
        self,
        store: RebuildStore,
        domain: Domain,
        log: Log,
        *,
        holder: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        told: Told = lambda _stage, _done, _total: None,
    ) -> None:
        self._store = store
        self._sources = Sources(domain)
        self._log = log
        self._holder = holder
        self._now = now
        self._sleep = sleep
        self._told = told
        self._prolonged = 0.0
        #: What later beginnings know: records that were surely settled.
        self._proven: dict[Place, int] = {}

    async def run(self, marker: str, *, force: bool = False) -> Rebuilt:
        """Make the state again and open it to everybody under `marker`.

        Without `force` a usable store is left alone. Waits for store and broker as long as it
        takes; raises Refused, Unavailable, and the log's own errors. After any of these, and after a
        kill, the store serves nobody, and running again is the remedy.
        """
        if not await self._store.lease(REBUILD, self._holder, LEASE_MS):
            raise Refused("another rebuild is under way, or was within half a minute")
        try:
            return await self._run(marker, force=force)
        except BaseException:
            with suppress(Unavailable):
                await self._store.release(REBUILD, self._holder)
            raise

    async def _run(self, marker: str, *, force: bool) -> Rebuilt:
        published = await last_published(self._log, self._sources, self._sources.own)
        if not force and await self._is_well(published):
            raise Refused(
                "nothing to rebuild: the store has its marker and is not behind its topic."
                " --force makes it again all the same, and drops lines that are not on Kafka yet"
            )
        if not await self._store.begin_rebuild(self._holder):
            raise Refused(LOST)
        self._told("the last turn of the relay", 0, 0)
        waited = 0.0
        while not await self._prolong() or waited < ACKNOWLEDGED_S:
            await self._sleep(LOOK_S)
            waited += LOOK_S
        for _ in range(BEGINNINGS_MAX):
            await self._store.forget(self._holder)
            try:
                return await self._once(marker)
            except _BeginAnew as better:
                self._told(f"anew: {better}", 0, 0)
        raise Refused("the topics do not hold still: does a relay of this service still publish?")

    async def _is_well(self, published: int) -> bool:
        """Whether a service of this version can go on with the store as it is; raises Unavailable."""
        try:
            return await self._store.open_generation(published)
        except Unavailable as unavailable:
            if unavailable.reason is not Reason.STORE_UNREADABLE:
                raise
            return False

    async def _prolong(self) -> bool:
        """Keep both leases; says whether the relay's is ours. Raises Refused if the other was lost."""
        if not await self._store.lease(REBUILD, self._holder, LEASE_MS):
            raise Refused(LOST)
        self._prolonged = time.monotonic()
        return await self._store.lease("relay", self._holder, LEASE_MS)

    async def _once(self, marker: str) -> Rebuilt:
        """One beginning; raises _BeginAnew."""
        sources, store, holder = self._sources, self._store, self._holder
        spans = await self._log.spans(
            {*sources.own, *sources.consumed, sources.dead_letters} - sources.strict
        )
        intake = await self._log.spans(set(sources.consumed) & sources.strict)
        raises = Raises(await self._raised(), sources.domain.owner)
        passes = ReplayOrder(self._log, sources, spans, self._tick, raises)
        committed = await self._log.committed()
        origins = await passes.origins(committed)
        limits = {
            place: max(origins.highest.get(place, -1) + 1, self._proven.get(place, 0))
            for place in {**spans, **intake}
            if place.topic in sources.consumed
        }
        # Whatever other systems tell leaves a trace, so what was acknowledged and left none was lost
        # with the outbox, and is read again from the fence. Of our own topics much causes nothing. At a raise
        # every outbox was empty, so what lies before it was settled for good.
        settled = raises.ends()
        for place, (_, end) in spans.items():
            if place in limits:
                acknowledged = 0 if sources.domain.leaves_traces else committed.get(place, 0)
                limits[place] = min(end, max(limits[place], acknowledged, settled.get(place, 0)))
        folding = ReplayState(store, holder, sources, self._now())
        try:
            fences = await passes.compacted(folding, origins, limits)
            fences |= await passes.facts(folding, origins, limits)
            await folding.write()
            await folding.loaded()
        except Unfolded as unfolded:
            await folding.abandon()
            await self._prove(unfolded, limits, spans)
        except BaseException:
            await folding.abandon()
            raise
        for place, limit in limits.items():
            if limit > 0:
                fence = fences.get(place) or Fence()
                fence.offset = limit - 1
                folding.keep(fence_key(*place), fence.model_dump_json().encode(), None)
        await folding.write()
        await folding.loaded()
        await self._stand_still(spans)
        await store.end_rebuild(holder, marker, origins.sequence)
        return Rebuilt(folding.own, folding.foreign, origins.sequence, origins.doubted)

    async def _raised(self) -> Sequence[TopicRaised]:
        """The raises of all topics; raises the log's own errors."""
        found = []
        for place, (first, end) in (await self._log.spans([TopicRaised.TOPIC])).items():
            async for records in self._log.read(place, first, end):
                events = [event for event in map(event_of, records) if event is not None]
                found += [TopicRaised.model_validate_json(event.data) for event in events]
        return found

    async def _tick(self, stage: str, done: int, total: int) -> None:
        self._told(stage, done, total)
        if time.monotonic() > self._prolonged + LEASE_MS / 10_000:
            await self._prolong()

    async def _prove(
        self,
        unfolded: Unfolded,
        limits: Mapping[Place, int],
        spans: Mapping[Place, tuple[int, int]],
    ) -> NoReturn:
        """Find who made the document that a fact of ours presupposes: so that was settled too.

        A service that died had settled a little more than its group had acknowledged. Raises
        _BeginAnew with that known, and Refused if no topic has it.
        """
        sources = self._sources
        for place in limits.keys() & spans.keys():
            async for records in self._log.read(place, limits[place], spans[place][1]):
                for record in records:
                    event = event_of(record)
                    if event is None or event.type not in sources.consumed[place.topic]:
                        continue
                    try:
                        fact = sources.models[event.type].model_validate_json(event.data)
                    except ValidationError:  # a dead letter, or about to be one
                        continue
                    if unfolded.key in sources.domain.changed_by(fact):
                        self._proven[place] = record.offset + 1
                        at = f"{place.topic}/{place.partition}/{record.offset}"
                        raise _BeginAnew(f"{at} was settled too") from unfolded
        raise Refused(f"{unfolded}, which no topic has") from unfolded

    async def _stand_still(self, spans: Mapping[Place, tuple[int, int]]) -> None:
        """Nothing of ours may have come since we began; raises _BeginAnew."""
        for place, (_, end) in (await self._log.spans(self._sources.own)).items():
            async for records in self._log.read(place, spans[place][1], end):
                for event in map(event_of, records):
                    if event is not None and event.source == self._sources.name:
                        raise _BeginAnew("a relay of this service published meanwhile")


async def last_published(log: Log, sources: Sources, names: Set[str]) -> int:
    """The last sequence of a service on these topics of its own, as their last records say.

    Waits for the broker; raises Refused without the topics, and the log's own errors.
    """
    last = 0
    spans = await log.spans(names)
    if {place.topic for place in spans} != names:
        raise Refused("a topic of this service is missing; without it nothing can be made again")
    for place, (first, end) in spans.items():
        async for records in log.read(place, max(first, end - 1), end):
            for event in map(event_of, records):
                if event is not None and event.source == sources.name:
                    last = max(last, event.number)
    return last
