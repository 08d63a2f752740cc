"""The passes of a rebuild over the topics: each fact in the order in which it was settled."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from pydantic import ValidationError

from shared.contracts.deadletters import DeadLetterDiscarded, DeadLetterFact, DeadLetterReplayed
from shared.runtime.engine.deadletters import Buried
from shared.runtime.engine.settle import Fence
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.raises import Raises
from shared.runtime.rebuild.sources import Log, Place, RawEvent, Sources, event_of
from shared.runtime.rebuild.state import ReplayState

_number = attrgetter("number")
K = TypeVar("K", bound=Hashable)
#: What operators decide about a dead letter.
DECISIONS: Mapping[bytes, type[DeadLetterFact]] = {
    fact.TYPE.encode(): fact for fact in (DeadLetterReplayed, DeadLetterDiscarded)
}


@dataclass
class Origins:
    """What the causes of our facts say: how far we had come on other topics, and when.

    `caused[place]` has, per partition of ours, the ascending offsets that caused something.
    """

    sequence: int = 0
    highest: dict[Place, int] = field(default_factory=dict)
    caused: dict[Place, dict[Place, array[int]]] = field(default_factory=lambda: defaultdict(dict))
    #: Records on the topic of our dead letters that are none as far as the log shows.
    doubted: int = 0
    #: Records of our services that were put away, and thereby changed nothing.
    dead: set[tuple[Place, int]] = field(default_factory=set)
    #: The causes of what came of dead letters that operators sent again.
    taken: set[bytes] = field(default_factory=set)
    #: What was taken at last when an operator sent it again, by the record that says so: as many events
    #: as operators sent again of what our services said.
    again: dict[tuple[Place, int], Sequence[RawEvent]] = field(default_factory=dict)

    def note(self, ours: Place, place: Place, offset: int) -> None:
        """The record at `offset` caused a fact in a partition of ours."""
        found = self.caused[place].setdefault(ours, array("q"))
        if not found or offset > found[-1]:
            found.append(offset)
        self.settled(place, offset)

    def came_of(self, place: Place, offset: int) -> bool:
        """Whether a fact of ours came of this record."""
        for offsets in self.caused.get(place, {}).values():
            at = bisect_left(offsets, offset)
            if at < len(offsets) and offsets[at] == offset:
                return True
        return False

    def settled(self, place: Place, offset: int) -> None:
        """Everything up to `offset` was settled."""
        self.highest[place] = max(self.highest.get(place, -1), offset)


class Foreign:
    """One partition of another's facts, read as far as our own facts have come."""

    def __init__(
        self,
        batches: AsyncIterator[Sequence[Record]],
        stop: int,
        caused: Iterable[array[int]],
        fence: Fence,
    ) -> None:
        self.fence = fence
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


class ReplayOrder:
    """The passes over the topics of one beginning."""

    def __init__(
        self,
        log: Log,
        sources: Sources,
        spans: Mapping[Place, tuple[int, int]],
        tick: Callable[[str, int, int], Awaitable[None]],
        raises: Raises,
    ) -> None:
        self._log = log
        self._raises = raises
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

    async def origins(self, acknowledged: Mapping[Place, int]) -> Origins:
        """The causes of all our facts, and our dead letters; `acknowledged` is our group's next offset."""
        sources, found = self._sources, Origins()
        own, dead = self._places(sources.own), self._places([sources.dead_letters])
        decisions = self._places([DeadLetterFact.TOPIC])
        self._begin("causes", self._ends([*own, *dead, *decisions]))
        consumed = {topic.encode(): topic for topic in sources.consumed}
        for ours in own:
            async for events in self._own_events(ours):
                found.sequence = max(found.sequence, events[-1].number)
                for event in events:
                    topic, _, rest = event.cause.partition(b"/")
                    if topic in consumed:
                        partition, offset, _ = rest.split(b"/")
                        found.note(ours, Place(consumed[topic], int(partition)), int(offset))
                        if consumed[topic] == DeadLetterFact.TOPIC:
                            found.taken.add(event.cause)
        for place in dead:
            async for records in self._read(place):
                for record in records:
                    found.doubted += not self._put_away(record, found, acknowledged)
        for place in decisions:
            async for records in self._read(place):
                for record in records:
                    await self._decided(place, record, found)
        return found

    def _put_away(self, record: Record, found: Origins, acknowledged: Mapping[Place, int]) -> bool:
        """A dead letter changed nothing, and where we had come so far, it was settled; False if it is none.

        Its headers alone prove nothing: it moves no fence beyond what the group acknowledged or a
        fact of ours proves, and what a fact of ours comes of was not put away.
        """
        letter = Buried.of(self._sources.domain.owner, record.headers)
        if letter is None or letter.topic not in self._sources.consumed:
            return False
        place, offset = Place(letter.topic, letter.partition), letter.offset
        if found.came_of(place, offset):
            return False
        if place.topic not in self._sources.strict:
            found.dead.add((place, offset))
        if offset >= acknowledged.get(place, 0):
            return offset <= found.highest.get(place, -1)
        found.settled(place, offset)
        return True

    async def _decided(self, at: Place, record: Record, found: Origins) -> None:
        """What an operator decided on was put away, also where the letter itself has gone.

        If a fact of ours says that it was taken, it changed our documents then and not before, and
        its record was settled.
        """
        fact = self._decision(event_of(record))
        if fact is None:
            return
        place = Place(fact.topic, fact.partition)
        cause = f"{at.topic}/{at.partition}/{record.offset}/{fact.burial}".encode()
        if cause in found.taken:
            found.settled(place, fact.offset)
        if place.topic in self._sources.strict:
            return
        found.dead.add((place, fact.offset))
        if taken := [one async for one in self._taken(fact, cause, found)]:
            found.again[at, record.offset] = taken

    def _decision(self, event: RawEvent | None) -> DeadLetterFact | None:
        """What an operator decided about a dead letter of ours."""
        sources = self._sources
        kind = DECISIONS.get(event.type) if event is not None else None
        if event is None or kind is None:
            return None
        try:
            fact = kind.model_validate_json(event.data)
        except ValidationError:
            return None
        strict = fact.topic in sources.strict
        known = strict or Place(fact.topic, fact.partition) in self._spans
        ours = fact.consumer == sources.domain.owner and fact.topic in sources.consumed
        return fact if ours and known else None

    async def _taken(
        self, fact: DeadLetterFact, cause: bytes, found: Origins
    ) -> AsyncIterator[RawEvent]:
        """What was taken by this cause; of an operator's fact also what was taken by that in turn."""
        if cause not in found.taken:
            return
        place = Place(fact.topic, fact.partition)
        async for records in self._log.read(place, fact.offset, fact.offset + 1):
            for original in map(event_of, records):
                if original is None or original.type not in self._sources.consumed[place.topic]:
                    continue
                yield original
                inner = self._decision(original)
                if inner is not None and inner.topic not in self._sources.strict:
                    async for one in self._taken(inner, b"%b.%d" % (cause, inner.burial), found):
                        yield one

    async def compacted(
        self, folding: ReplayState, origins: Origins, limits: Mapping[Place, int]
    ) -> dict[Place, Fence]:
        """Topics that keep only the latest record per key: partition by partition, all writers in their order.

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
                    heard = record.offset < limit and event.type in handled and is_new(fence, event)
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
        self, folding: ReplayState, origins: Origins, limits: Mapping[Place, int]
    ) -> dict[Place, Fence]:
        """Our facts in the order of their sequence, and others' where we settled them."""
        sources = self._sources
        own = self._places(sources.own - sources.compacted)
        others = self._places(sources.streams)
        self._begin("facts", {**self._ends(own), **{place: limits[place] for place in others}})
        foreign = {
            place: Foreign(
                self._read(place, limits[place]),
                limits[place],
                origins.caused[place].values(),
                Fence(sequences=self._raises.heard(*place)),
            )
            for place in others
        }

        reached, waiting = 0, dict.fromkeys(others, 0)
        borders = list(reversed(self._raises.borders))

        async def take(place: Place, stop: int, *, ahead: bool) -> None:
            """Fold what another's partition has before `stop`; ahead of what it caused, if it may be."""
            one, handled = foreign[place], sources.consumed[place.topic]
            while (record := await one.next(stop)) is not None:
                event = event_of(record)
                if event is not None and event.type in handled:
                    after = self._ours_before(place, record.offset, event) if ahead else 0
                    if after > reached:
                        waiting[place] = after
                        return
                    if is_new(one.fence, event) and (place, record.offset) not in origins.dead:
                        folding.add_foreign(event)
                        for again in origins.again.get((place, record.offset), ()):
                            folding.add_foreign(again)
                        if folding.full:
                            await folding.write()
                one.take()

        async def pass_border() -> None:
            """Fold what lies before the next raise: it was settled before everything behind it."""
            border = borders.pop()
            for place in others:
                if place.topic == border.topic:
                    await take(place, border.end(place.partition), ahead=False)

        done = dict.fromkeys(others, -1)
        cause = b""
        async for events in in_order({place: self._own_events(place) for place in own}):
            for event in events:
                while borders and event.number > borders[-1].sequence:
                    await pass_border()
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
        while borders:
            await pass_border()
        for place, one in foreign.items():
            await take(place, one.stop, ahead=False)
        return {place: one.fence for place, one in foreign.items()}

    def _ours_before(self, place: Place, offset: int, event: RawEvent) -> int:
        """The last fact of ours that was surely there before another's, by its sequence; 0 if none is known.

        It is the one that the other answers, or our last one before a raise that the other lies behind.
        """
        topic, _, rest = event.cause.partition(b"/")
        answered = int(rest.rpartition(b"/")[2]) if topic in self._answered else 0
        return max(answered, self._raises.after(*place, offset))

    def _position(self, cause: bytes) -> tuple[Place | None, int]:
        """The record that a cause names, if it lies on a stream that is read."""
        topic, _, rest = cause.partition(b"/")
        if topic not in self._heard:
            return None, -1
        partition, offset, _ = rest.split(b"/")
        place = Place(topic.decode(), int(partition))
        return (place, int(offset)) if place in self._spans else (None, -1)

    async def _own_events(self, place: Place) -> AsyncIterator[list[RawEvent]]:
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


async def in_order(
    batches: Mapping[K, AsyncIterator[list[RawEvent]]],
) -> AsyncIterator[list[RawEvent]]:
    """The events of all partitions of a service in the order of their sequence, some at a time.

    Each partition gives its own in that order, in lists that are not empty; one list of each is held. A line
    that was sent into two partitions, before a raise and again behind it, comes once.
    """
    left, heads = dict(batches), dict[K, list[RawEvent]]({place: [] for place in batches})
    while left:
        for place in [place for place, head in heads.items() if not head]:
            heads[place] = await anext(left[place], [])
            if not heads[place]:
                del left[place], heads[place]
        # Nothing that is still to be read comes before the last of any head.
        safe = min((head[-1].number for head in heads.values()), default=0)
        merged: list[RawEvent] = []
        for place, head in heads.items():
            ends = bisect_right(head, safe, key=_number)
            merged += head[:ends]
            heads[place] = head[ends:]
        merged.sort(key=_number)
        if merged:
            yield list({event.number: event for event in merged}.values())


def is_new(fence: Fence, event: RawEvent) -> bool:
    """Whether a settler would have taken this for new."""
    return event.number < 0 or fence.advance(event.source.decode(), event.number)
