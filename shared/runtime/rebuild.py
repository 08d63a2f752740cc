"""Making a service's state again from the topics: the same folds, postings and timers as in a commit.

    take → where our facts came from → compacted topics → our facts, others' in between → end

Our own facts are folded in the order of their `sequence`. A fact of another service is folded where
it was when it was settled: just before the first fact of ours that it caused. One that caused nothing
is folded as early as it may have been: behind the one before it in its partition, and behind the
fact of ours that it answers. Of theirs only what was settled before is
taken: below the group's offset, or below a place that a fact of ours proves. What lies behind is
settled as usual when the service goes on, decisions included.

Fences and answers come from the causes that our facts carry. Until the marker is set at the end,
nobody reads or commits; a rebuild that died is begun anew.
"""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple, NoReturn, Protocol

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from shared.contracts.catalogue import (
    FACTS,
    OTHER_SYSTEMS,
    TABLE,
    dead_letters,
    produced,
    subscriptions,
    topics,
)
from shared.contracts.decision import Document, Domain, Fold, no_timers
from shared.contracts.event import Fact, format_time
from shared.runtime.faults import Unavailable
from shared.runtime.inbox import Record
from shared.runtime.settle import ANSWER_TTL_S, Fence
from shared.runtime.snapshot import body_of
from shared.runtime.store import REBUILD, Portion, Store

#: Facts folded between two writes to the store; a document that changes often is written once.
CHUNK_FACTS = 5_000
#: Facts folded before others get a turn: the last chunk is on its way to the store meanwhile.
TURN_FACTS = 200
#: Documents kept as objects between chunks: about 3 kB each. Others are read again when needed.
DOCUMENTS_MAX = 50_000
#: Documents of one call of the store: tens of milliseconds for it, and megabytes of its memory.
PORTION = 5_000
#: Silence after which another may take over; a chunk takes a second.
LEASE_MS = 30_000
#: How often to look whether the relay's turn is over; its lease is 10 s.
LOOK_S = 0.2
#: A running service acknowledges what it settled within a second; waited for, so that the group's
#: offsets cover what its processes will not read again.
ACKNOWLEDGED_S = 3.0
#: Times a rebuild begins anew because it learned better; each raises a limit, or met a last line.
BEGINNINGS_MAX = 10

#: The envelope as `encode` writes it. Anything else is read the long way.
HEAD = re.compile(
    rb'\{"specversion":"1\.0","id":"[^"\\]*","source":"([^"\\]*)","type":"([^"\\]*)",'
    rb'"time":"([^"\\]*)","subject":"[^"\\]*","datacontenttype":"application/json",'
    rb'"correlationid":"[^"\\]*","causationid":"[^"\\]*","cause":"([^"\\]*)","data":'
)
SEQUENCE = b',"sequence":"'
TAIL = len(SEQUENCE) + 22

LOST = "the rebuild was lost to another one"

Told = Callable[[str, int, int], None]


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Log(Protocol):
    """The topics as a rebuild reads them. Every method waits for the broker."""

    async def spans(self, names: Iterable[str]) -> dict[Place, tuple[int, int]]:
        """First offset and end of every partition of the topics, as of now."""
        ...

    async def committed(self) -> Mapping[Place, int]:
        """The next offset of the service's group, where it has one."""
        ...

    async def go_back(self, offsets: Mapping[Place, int]) -> bool:
        """Let the service's group read from these offsets; False while somebody is in the group."""
        ...

    def read(self, place: Place, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """The records with start ≤ offset < stop, some at a time; several places at once."""
        ...


class Refused(Exception):
    """A rebuild may not or cannot be done; the text says why and is meant for the operator."""


class _BeginAnew(Exception):
    """More is known now than when the rebuild began."""


class _Unfolded(Exception):
    """A fact of ours presupposes a document that is not there."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made: facts of ours and of others that were folded, the sequence to go on from."""

    own: int
    foreign: int
    sequence: int
    #: From where the group must read again, and could not be made to: somebody is in it.
    again: Mapping[Place, int]


class Event(NamedTuple):
    """The envelope of one record, its data unread."""

    source: bytes
    type: bytes
    time: bytes
    cause: bytes
    number: int
    data: bytes


def event_of(record: Record) -> Event | None:
    """The event in a record, or None for what is none: a tombstone, or what nobody could settle."""
    value = record.value
    if not value:
        return None
    head = HEAD.match(value)
    if head is None:
        return _other_form(value)
    source, kind, time, cause = head.groups()
    if value[-TAIL : -TAIL + len(SEQUENCE)] == SEQUENCE:
        return Event(source, kind, time, cause, int(value[-22:-2]), value[head.end() : -TAIL])
    return Event(source, kind, time, cause, -1, value[head.end() : -1])


def _other_form(value: bytes) -> Event | None:
    try:
        body = from_json(value)
        source, kind = (str(body[name]).encode() for name in ("source", "type"))
        time, cause = (str(body.get(name) or "").encode() for name in ("time", "cause"))
        number = int(body.get("sequence") or -1)
        return Event(source, kind, time, cause, number, to_json(body["data"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class Sources:
    """What a service's state is made of, as the catalogue and its rules have it."""

    def __init__(self, domain: Domain) -> None:
        owner = domain.owner
        keep_latest = {topic.name for topic in topics() if topic.cleanup == "compact"}
        self.domain = domain
        self.name = f"/{owner}".encode()
        self.own = {fact.TOPIC for fact in produced(owner)}
        self.consumed = {
            topic: {fact.TYPE.encode() for fact in facts}
            for topic, facts in subscriptions(owner).items()
        }
        self.dead_letters = dead_letters(owner)
        #: Other systems number nothing of ours, and what they tell changes no document by itself.
        self.strict = {row.fact.TOPIC for row in TABLE if row.producer == OTHER_SYSTEMS}
        self.compacted = (self.own | set(self.consumed)) & keep_latest
        self.streams = set(self.consumed) - keep_latest - self.strict
        self.models = {fact.TYPE.encode(): fact for fact in FACTS.values()}
        self.timed = domain.timers is not no_timers

    def keys(self, fact: Fact) -> list[str]:
        """The documents that a fact changes."""
        folds = self.domain.folds.get(type(fact), ())
        return [f"{fold.document.KIND}:{fold.id(fact)}" for fold in folds]


@dataclass
class Origins:
    """What the causes of our facts say: how far we had come on other topics, and when.

    `caused[place]` has, per partition of ours, the ascending offsets that caused something.
    """

    sequence: int = 0
    highest: dict[Place, int] = field(default_factory=dict)
    caused: dict[Place, dict[Place, array[int]]] = field(default_factory=lambda: defaultdict(dict))
    dead: set[tuple[Place, int]] = field(default_factory=set)

    def note(self, ours: Place, place: Place, offset: int) -> None:
        """The record at `offset` caused a fact in a partition of ours."""
        found = self.caused[place].setdefault(ours, array("q"))
        if not found or offset > found[-1]:
            found.append(offset)
        self.settled(place, offset)

    def settled(self, place: Place, offset: int) -> None:
        """Everything up to `offset` was settled."""
        self.highest[place] = max(self.highest.get(place, -1), offset)


class Foreign:
    """One partition of another's facts, read as far as our own facts have come."""

    def __init__(
        self, batches: AsyncIterator[Sequence[Record]], stop: int, caused: Iterable[array[int]]
    ) -> None:
        self.fence = Fence()
        self.stop = stop
        self._batches = batches
        self._records: list[Record] = []
        self._caused = [(offsets, [0]) for offsets in caused]

    async def next(self, stop: int) -> Record | None:
        """The first record before `stop` that was not taken yet, if there is one."""
        while not self._records:
            batch = await anext(self._batches, None)
            if batch is None:
                return None
            self._records = list(reversed(batch))
        record = self._records[-1]
        return record if record.offset < stop else None

    def take(self) -> None:
        """The record that was next is done with."""
        self._records.pop()

    def causing(self, done: int) -> int:
        """The first offset behind `done` that caused something, or the stop."""
        following = self.stop
        for offsets, at in self._caused:
            while at[0] < len(offsets) and offsets[at[0]] <= done:
                at[0] += 1
            if at[0] < len(offsets):
                following = min(following, offsets[at[0]])
        return following


class Rebuild:
    """Makes one service's state again, into a store that nobody uses meanwhile."""

    def __init__(
        self,
        store: Store,
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
        published = await self._last_published()
        if not force and await self._store.open_generation(published):
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

    async def _prolong(self) -> bool:
        """Keep both leases; says whether the relay's is ours. Raises Refused if the other was lost."""
        if not await self._store.lease(REBUILD, self._holder, LEASE_MS):
            raise Refused(LOST)
        self._prolonged = time.monotonic()
        return await self._store.lease("relay", self._holder, LEASE_MS)

    async def _last_published(self) -> int:
        """The last sequence on our topics, as their last records say."""
        last = 0
        spans = await self._log.spans(self._sources.own)
        if {place.topic for place in spans} != self._sources.own:
            raise Refused(
                "a topic of this service is missing; without it nothing can be made again"
            )
        for place, (first, end) in spans.items():
            async for records in self._log.read(place, max(first, end - 1), end):
                for event in map(event_of, records):
                    if event is not None and event.source == self._sources.name:
                        last = max(last, event.number)
        return last

    async def _once(self, marker: str) -> Rebuilt:
        """One beginning; raises _BeginAnew."""
        sources, store, holder = self._sources, self._store, self._holder
        spans = await self._log.spans(
            {*sources.own, *sources.consumed, sources.dead_letters} - sources.strict
        )
        intake = await self._log.spans(set(sources.consumed) & sources.strict)
        passes = Passes(self._log, sources, spans, self._tick)
        origins = await passes.origins()
        committed = await self._log.committed()
        limits = {
            place: max(origins.highest.get(place, -1) + 1, self._proven.get(place, 0))
            for place in {**spans, **intake}
            if place.topic in sources.consumed
        }
        # Whatever other systems tell leaves a trace, so what was acknowledged and left none was lost
        # with the outbox, and is to be read again. Of our own topics much causes nothing.
        again = {
            place: max(limits[place], first)
            for place, (first, _) in intake.items()
            if max(limits[place], first) < committed.get(place, 0)
        }
        for place, (_, end) in spans.items():
            if place in limits:
                limits[place] = min(end, max(limits[place], committed.get(place, 0)))
        folding = Folding(store, holder, sources, self._now())
        try:
            fences = await passes.compacted(folding, origins, limits)
            fences |= await passes.facts(folding, origins, limits)
            await folding.write()
            await folding.loaded()
        except _Unfolded as unfolded:
            await folding.abandon()
            await self._prove(unfolded, limits, spans)
        except BaseException:
            await folding.abandon()
            raise
        for place, limit in limits.items():
            if limit > 0:
                fence = fences.get(place) or Fence()
                fence.offset = limit - 1
                key = f"fence:{place.topic}:{place.partition}"
                folding.keep(key, fence.model_dump_json().encode(), None)
        await folding.write()
        await folding.loaded()
        await self._stand_still(spans)
        if again and await self._log.go_back(again):
            again = {}
        await store.end_rebuild(holder, marker, origins.sequence)
        return Rebuilt(folding.own, folding.foreign, origins.sequence, again)

    async def _tick(self, stage: str, done: int, total: int) -> None:
        self._told(stage, done, total)
        if time.monotonic() > self._prolonged + LEASE_MS / 10_000:
            await self._prolong()

    async def _prove(
        self,
        unfolded: _Unfolded,
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
                    if unfolded.key in sources.keys(fact):
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


class Passes:
    """The passes over the topics of one beginning."""

    def __init__(
        self,
        log: Log,
        sources: Sources,
        spans: Mapping[Place, tuple[int, int]],
        tick: Callable[[str, int, int], Awaitable[None]],
    ) -> None:
        self._log = log
        self._sources = sources
        self._spans = spans
        self._tick = tick
        self._stage, self._done, self._total = "", 0, 0
        #: Topics of ours that others answer, and of others that we do; no one else writes there.
        self._answered = {topic.encode() for topic in sources.own - sources.compacted}
        self._heard = {topic.encode() for topic in sources.streams}

    def _places(self, names: Iterable[str]) -> list[Place]:
        wanted = set(names)
        return sorted(place for place in self._spans if place.topic in wanted)

    def _begin(self, stage: str, stops: Mapping[Place, int]) -> None:
        self._stage, self._done = stage, 0
        self._total = sum(max(stop - self._spans[place][0], 0) for place, stop in stops.items())

    async def _read(self, place: Place, stop: int | None = None) -> AsyncIterator[Sequence[Record]]:
        """A partition from its first record to `stop`, or to the end as it was when we began."""
        first, end = self._spans[place]
        async for records in self._log.read(place, first, end if stop is None else stop):
            self._done += len(records)
            await self._tick(self._stage, self._done, self._total)
            yield records

    def _ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self._spans[place][1] for place in places}

    async def origins(self) -> Origins:
        """The causes of all our facts, and what we put away."""
        sources, found = self._sources, Origins()
        own, dead = self._places(sources.own), self._places([sources.dead_letters])
        self._begin("causes", self._ends([*own, *dead]))
        consumed = {topic.encode(): topic for topic in sources.consumed}
        for ours in own:
            async for events in self._own_events(ours):
                found.sequence = max(found.sequence, events[-1].number)
                for event in events:
                    topic, _, rest = event.cause.partition(b"/")
                    if topic in consumed:
                        partition, offset, _ = rest.split(b"/")
                        found.note(ours, Place(consumed[topic], int(partition)), int(offset))
        for place in dead:
            async for records in self._read(place):
                for record in records:
                    self._put_away(record, found)
        return found

    def _put_away(self, record: Record, found: Origins) -> None:
        """A dead letter changed nothing, and proves how far we had come."""
        headers = {name: (text or b"").decode() for name, text in record.headers}
        if headers.get("origin-topic") not in self._sources.consumed:
            return
        place = Place(headers["origin-topic"], int(headers["origin-partition"]))
        offset = int(headers["origin-offset"])
        found.settled(place, offset)
        if place.topic not in self._sources.strict:
            found.dead.add((place, offset))

    async def compacted(
        self, folding: Folding, origins: Origins, limits: Mapping[Place, int]
    ) -> dict[Place, Fence]:
        """Topics that keep the latest alone: partition by partition, all writers in their order.

        First, because what our other facts presuppose may be kept in a later version only.
        """
        sources, fences = self._sources, {}
        places = self._places(sources.compacted)
        self._begin("compacted topics", self._ends(places))
        for place in places:
            fence, last = Fence(), -1
            handled = sources.consumed.get(place.topic, set())
            limit = limits.get(place, 0)
            async for records in self._read(place):
                for record in records:
                    event = event_of(record)
                    if event is None:
                        continue
                    heard = record.offset < limit and event.type in handled and hears(fence, event)
                    if event.source == sources.name:
                        if event.number > last:
                            last = event.number
                            folding.add_own(event)
                    elif heard and (place, record.offset) not in origins.dead:
                        folding.add_foreign(event)
                if folding.full:
                    await folding.write()
            fences[place] = fence
        return fences

    async def facts(
        self, folding: Folding, origins: Origins, limits: Mapping[Place, int]
    ) -> dict[Place, Fence]:
        """Our facts in the order of their sequence, and others' where we settled them."""
        sources = self._sources
        own = self._places(sources.own - sources.compacted)
        others = self._places(sources.streams)
        self._begin("facts", {**self._ends(own), **{place: limits[place] for place in others}})
        foreign = {
            place: Foreign(
                self._read(place, limits[place]), limits[place], origins.caused[place].values()
            )
            for place in others
        }

        reached, waiting = 0, dict.fromkeys(others, 0)

        async def take(place: Place, stop: int, *, ahead: bool) -> None:
            """Fold what another's partition has before `stop`; ahead of what it caused, if it may be."""
            one, handled = foreign[place], sources.consumed[place.topic]
            while (record := await one.next(stop)) is not None:
                event = event_of(record)
                if event is not None and event.type in handled:
                    after = self._ours_before(event) if ahead else 0
                    if after > reached:
                        waiting[place] = after
                        return
                    if hears(one.fence, event) and (place, record.offset) not in origins.dead:
                        folding.add_foreign(event)
                        if folding.full:
                            await folding.write()
                one.take()

        done = dict.fromkeys(others, -1)
        cause = b""
        async for events in self._merged(own):
            for event in events:
                if event.cause != cause:
                    cause = event.cause
                    for place in [place for place, after in waiting.items() if after <= reached]:
                        del waiting[place]
                        await take(place, foreign[place].causing(done[place]), ahead=True)
                    origin, offset = self._position(cause)
                    if origin is not None and offset > done[origin]:
                        await take(origin, offset + 1, ahead=False)
                        done[origin], waiting[origin] = offset, 0
                folding.add_own(event)
                reached = event.number
                if folding.full:
                    await folding.write()
        for place, one in foreign.items():
            await take(place, one.stop, ahead=False)
        return {place: one.fence for place, one in foreign.items()}

    def _ours_before(self, event: Event) -> int:
        """The fact of ours that another's answers, by its sequence; 0 if it answers none."""
        topic, _, rest = event.cause.partition(b"/")
        return int(rest.rpartition(b"/")[2]) if topic in self._answered else 0

    def _position(self, cause: bytes) -> tuple[Place | None, int]:
        """The record that a cause names, if it lies on a stream that is read."""
        topic, _, rest = cause.partition(b"/")
        if topic not in self._heard:
            return None, -1
        partition, offset, _ = rest.split(b"/")
        place = Place(topic.decode(), int(partition))
        return (place, int(offset)) if place in self._spans else (None, -1)

    async def _merged(self, places: Iterable[Place]) -> AsyncIterator[list[Event]]:
        """Our facts of all partitions in the order of their sequence, each once, some at a time."""
        batches = {place: self._own_events(place) for place in places}
        heads: dict[Place, list[Event]] = {place: [] for place in batches}
        while batches:
            for place in [place for place, head in heads.items() if not head]:
                heads[place] = await anext(batches[place], [])
                if not heads[place]:
                    del batches[place], heads[place]
            # Nothing that is still to be read comes before the last of any head.
            safe = min((head[-1].number for head in heads.values()), default=0)
            merged: list[Event] = []
            for place, head in heads.items():
                ends = bisect_right(head, safe, key=_number)
                merged += head[:ends]
                heads[place] = head[ends:]
            merged.sort(key=_number)
            yield merged

    async def _own_events(self, place: Place) -> AsyncIterator[list[Event]]:
        """Our facts of one partition, some at a time; what a relay sent again is dropped."""
        last = -1
        async for records in self._read(place):
            found = []
            for record in records:
                event = event_of(record)
                if event is not None and event.source == self._sources.name and event.number > last:
                    last = event.number
                    found.append(event)
            if found:
                yield found


_number = attrgetter("number")


def hears(fence: Fence, event: Event) -> bool:
    """Whether a settler would have taken this for new."""
    return event.number < 0 or fence.hears(event.source.decode(), event.number)


class Folding:
    """The state while it is made: a bounded part of it as objects, the rest in the store."""

    def __init__(self, store: Store, holder: str, sources: Sources, now: datetime) -> None:
        self._store = store
        self._holder = holder
        self._sources = sources
        self._folds = sources.domain.folds
        #: Versions begin at the time, so that none that was read before this fits by chance.
        self._version = int(now.timestamp())
        self._answered_from = now.timestamp() - ANSWER_TTL_S
        self._answered_text = format_time(now - timedelta(seconds=ANSWER_TTL_S)).encode()
        self._batch: list[tuple[Fact, Event, bool]] = []
        #: Bytes are a document as it was written, until a fold asks for more.
        self._state: dict[str, Document | bytes] = {}
        self._whole = True
        self._cause = b""
        self._loading: asyncio.Task[None] | None = None
        self._kept: dict[str, tuple[bytes, int | None]] = {}
        self._amounts: dict[str, int] = {}
        self._timers: dict[str, int | None] = {}
        self.own = self.foreign = 0

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return len(self._batch) >= CHUNK_FACTS

    def add_own(self, event: Event) -> None:
        """A fact of ours; raises Refused for one that cannot be read, which we wrote ourselves."""
        what = f"{event.type.decode()} with sequence {event.number}"
        model = self._sources.models.get(event.type)
        if model is None:
            raise Refused(f"this version of the service does not know {what}")
        try:
            fact = model.model_validate_json(event.data)
        except ValidationError as error:
            raise Refused(f"this version of the service cannot read {what}") from error
        self.own += 1
        self._batch.append((fact, event, True))

    def add_foreign(self, event: Event) -> None:
        """A fact of another's that we settled; what cannot be read was a dead letter."""
        model = self._sources.models[event.type]
        if not self._folds.get(model) and not self._sources.timed:
            return
        try:
            fact = model.model_validate_json(event.data)
        except ValidationError:
            return
        self.foreign += 1
        self._batch.append((fact, event, False))

    def keep(self, key: str, body: bytes, ttl_s: int | None) -> None:
        """Add a document of the runtime's own."""
        self._kept[key] = body, ttl_s

    async def write(self) -> None:
        """Fold what was added and write what changed; raises _Unfolded, Unavailable."""
        batch, self._batch = self._batch, []
        rows = [
            (
                fact,
                event,
                ours,
                [
                    (fold, f"{fold.document.KIND}:{fold.id(fact)}")
                    for fold in self._folds.get(type(fact), ())
                ],
            )
            for fact, event, ours in batch
        ]
        if not self._whole:
            await self._recall(pair for *_, pairs in rows for pair in pairs)
        changed: dict[str, None] = {}
        for number, (fact, event, ours, pairs) in enumerate(rows):
            if number % TURN_FACTS == 0:
                await asyncio.sleep(0)
            for fold, key in pairs:
                self._evolve(fold, key, fact, event)
                changed[key] = None
            if ours:
                self._ours(fact, event)
            if self._sources.timed:
                for timer in self._sources.domain.timers(fact):
                    self._timers[f"{timer.name}|{timer.id}"] = timer.due_ms
        await self._load(changed)

    def _ours(self, fact: Fact, event: Event) -> None:
        """What a fact of ours means beside its documents: balances, answers, a timer that rang."""
        amounts = self._amounts
        for posting in self._sources.domain.postings(fact):
            amounts[posting.account] = amounts.get(posting.account, 0) + posting.amount_minor
        if event.cause.startswith(b"http/"):
            self._answer(event)
        elif event.cause != self._cause and event.cause.startswith(b"timer/"):
            self._rang(event.cause.decode())
        self._cause = event.cause

    async def _recall(self, pairs: Iterable[tuple[Fold, str]]) -> None:
        missing = {key for fold, key in pairs if fold.evolve and key not in self._state}
        keys = sorted(missing)
        for start in range(0, len(keys), PORTION):
            some = keys[start : start + PORTION]
            for key, body in zip(some, await self._store.recall(some), strict=True):
                if body:
                    self._state[key] = body

    def _evolve(self, fold: Fold, key: str, fact: Fact, event: Event) -> None:
        if fold.evolve is None:
            self._state[key] = event.data
            return
        state = self._state.get(key)
        if isinstance(state, bytes):
            state = fold.document.model_validate_json(state)
        try:
            self._state[key] = fold.evolve(state, fact)
        except Exception as error:
            if state is not None:
                raise
            what = f"{fact.TYPE} with sequence {event.number} presupposes {key}"
            raise _Unfolded(key, what) from error

    def _answer(self, event: Event) -> None:
        """The last fact of a request is its answer, byte for byte as the request stored it."""
        if event.time < self._answered_text:  # written in one form, so that this is enough mostly
            return
        left = datetime.fromisoformat(event.time.decode()).timestamp() - self._answered_from
        if left > 0:
            _, name, request = event.cause.split(b"/")
            body = b'{"request":"%b","type":"%b","data":%b}' % (request, event.type, event.data)
            ttl_s = min(max(round(left), 1), ANSWER_TTL_S)
            self._kept[f"answer:{name.decode()}"] = body, ttl_s

    def _rang(self, cause: str) -> None:
        """A timer that rang is done, unless what came of it sets it again."""
        name, _, rest = cause.removeprefix("timer/").partition("/")
        self._timers[f"{name}|{rest.rpartition('/')[0]}"] = None

    async def _load(self, changed: Iterable[str]) -> None:
        """Send what changed, which is on its way when this returns; wait for what went before."""
        documents: list[tuple[str, bytes, int | None]] = [
            (key, state if isinstance(state, bytes) else body_of(state), None)
            for key in changed
            for state in (self._state[key],)
        ]
        documents += ((key, body, ttl_s) for key, (body, ttl_s) in self._kept.items())
        amounts, timers = list(self._amounts.items()), list(self._timers.items())
        self._kept, self._amounts, self._timers = {}, {}, {}
        await self.loaded()
        self._loading = asyncio.create_task(self._send(documents, amounts, timers))
        if len(self._state) > DOCUMENTS_MAX:
            await self.loaded()
            self._state = {key: self._state[key] for key in changed}
            self._whole = False

    async def _send(
        self,
        documents: Sequence[tuple[str, bytes, int | None]],
        amounts: Sequence[tuple[str, int]],
        timers: Sequence[tuple[str, int | None]],
    ) -> None:
        for start in range(0, max(len(documents), len(amounts), len(timers)), PORTION):
            part = slice(start, start + PORTION)
            portion = Portion(documents[part], amounts[part], timers[part])
            await self._store.load(self._holder, portion, self._version)

    async def loaded(self) -> None:
        """Wait until all that was written is in the store; raises Unavailable."""
        if self._loading is not None:
            loading, self._loading = self._loading, None
            await loading

    async def abandon(self) -> None:
        """Let nothing be on its way any more."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
