"""Changes as they happen: what a topic says is told to everybody of a site who follows, as server-sent events.

One consumer per process reads the topic. The latest changes are kept in a ring, from which a client that was away
goes on where it was, at this process or at another. A client that cannot go on is told to `reload`.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

from aiokafka.errors import KafkaError
from pydantic import ValidationError

from shared.contracts.event import Event, joined
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.http.auth import Principal
from shared.runtime.http.live import RETRY_MS
from shared.runtime.kafka.inbox import Unread
from shared.runtime.kafka.tail import Portion, Torn
from shared.runtime.observe import LIVE_LISTENERS, log

#: Who follows in one process. Each holds a connection for hours, and the server takes 1,600 in all.
LISTENERS_MAX = 1_000
#: Of them, those of one principal: a phone, a desk and some tabs.
LISTENERS_OF_ONE_MAX = 8
#: Changes of all sites that a process keeps: with a row of half a kilobyte each, a few megabytes, and at a change a
#: second more than an hour of being away.
RING_MAX = 5_000
#: Changes that wait for one listener. One who is further behind reads the list again sooner than all of them.
QUEUE_MAX = 250
#: How often it is looked who may go on following, in seconds: so long a let-go employee still hears.
LOOK_S = 1.0
#: Looks with nothing new after which a listener gets its position alone. Proxies close a connection that is silent for
#: half a minute.
QUIET_LOOKS = 10
#: How long a client waits for a process that has not read its topic yet, in seconds.
READY_S = 5.0
#: Pause before a topic or a store that was away is tried again, in seconds.
AGAIN_S = 1.0
#: Bytes of each number in a position, and of its tag. A sequence that needs more is none of ours.
NUMBER_BYTES, TAG_BYTES = 6, 16
SEQUENCE_MAX = 256**NUMBER_BYTES - 1

#: How far each partition is read: the sequence of its last line, 0 before the first.
Position = tuple[int, ...]
#: Reads a topic from about so many records before its end on.
Tail = Callable[[int], AsyncGenerator[Portion]]


class Line(NamedTuple):
    """One fact of the topic: the type, and the id that it is about."""

    type: str
    subject: str


class Shown(NamedTuple):
    """How a change is told at its site: one line of JSON."""

    site: str
    body: bytes


#: What is shown of lines, in order; None where nothing is. Waits for the store; raises Unavailable.
Shows = Callable[[Sequence[Line]], Awaitable[Sequence[Shown | None]]]
#: Those of some principals who may still be told what happens at their site. Waits for the store; raises Unavailable.
Allowed = Callable[[Sequence[Principal]], Awaitable[set[Principal]]]


class Change(NamedTuple):
    """A change in the ring, and how far every partition had been read with it."""

    partition: int
    sequence: int
    site: str
    event: bytes
    position: Position


class Positions:
    """Positions as clients have them: authenticated, and each good for one principal alone."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, who: Principal, position: Position) -> bytes:
        """The position as a client gets it."""
        plain = b"".join([number.to_bytes(NUMBER_BYTES) for number in position])
        return urlsafe_b64encode(self._tag(who, plain) + plain)

    def read(self, who: Principal, written: str) -> Position | None:
        """What `write` wrote for this principal; None of anything else."""
        try:
            plain = urlsafe_b64decode(written)[TAG_BYTES:]
        except ValueError:
            return None
        cuts = pairwise(range(0, len(plain) + 1, NUMBER_BYTES))
        position = tuple(int.from_bytes(plain[begin:end]) for begin, end in cuts)
        # Written again, because several texts decode to the same bytes.
        right = hmac.compare_digest(self.write(who, position), written.encode())
        return position if right else None

    def _tag(self, who: Principal, plain: bytes) -> bytes:
        text = joined(who.kind, who.site, who.subject) + plain
        return hmac.digest(self._secret, text, sha256)[:TAG_BYTES]


class Listener:
    """One client that follows its site. `last` is the position that it comes back with, empty if it has none.

    `still` says whether its token is good.
    """

    def __init__(self, who: Principal, still: Callable[[], bool], last: str = "") -> None:
        self.who = who
        self.still = still
        self.last = last
        #: How far it was told.
        self.position: Position = ()
        self.queue: deque[Change] = deque()
        self.woken = asyncio.Event()
        self.ended = False
        self.quiet = 0

    def tell(self, change: Change) -> None:
        """Put a change into its queue."""
        self.queue.append(change)
        self.quiet = 0
        self.woken.set()

    def move_on(self, change: Change) -> None:
        """Move its position on to an event that it is sent.

        A change leaves no partition further back: another process may have read the partitions in another order.
        """
        if change.partition < 0:
            self.position = change.position
        else:
            both = zip(self.position, change.position, strict=True)
            self.position = tuple(max(own, read) for own, read in both)

    def end(self) -> None:
        """End its stream; what waits for it is not sent any more."""
        self.ended = True
        self.woken.set()


class Changes:
    """What changes at every site, and who follows it. Nothing is read before the first client comes."""

    def __init__(
        self,
        tail: Tail,
        shows: Shows,
        allowed: Allowed,
        *,
        secret: bytes,
        running: Callable[[], bool] = lambda: True,
        ring_max: int = RING_MAX,
        listeners_max: int = LISTENERS_MAX,
    ) -> None:
        """`running` says whether the process goes on serving; streams end when it does not."""
        self._tail = tail
        self._shows = shows
        self._allowed = allowed
        self._positions = Positions(secret)
        self._running = running
        self._ring_max = ring_max
        self._listeners_max = listeners_max
        self._listeners: dict[Listener, None] = {}
        self._of_site: dict[str, dict[Listener, None]] = {}
        self._of_one: Counter[Principal] = Counter()
        self._wanted = asyncio.Event()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what was read of the topic: everybody who follows will be told to reload."""
        self._ring: deque[Change] = deque()
        self._position: Position = ()
        #: Per partition the sequence behind which the ring has every line; None while that is not known.
        self._floors: list[int | None] = []
        self._ready = asyncio.Event()

    # ---- reading the topic -----------------------------------------------------------------------

    async def run(self) -> None:
        """Read the topic for those who follow, and end the streams of those who may no longer; until cancelled."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read_on())
                both.create_task(self._look_on())
        finally:
            self._end_all()

    async def _read_on(self) -> None:
        await self._wanted.wait()
        while True:
            try:
                async with aclosing(self._tail(self._ring_max)) as portions:
                    async for portion in portions:
                        await self.take(portion)
            except (KafkaError, OSError, Torn) as away:
                log.warning("changes_wait", error=type(away).__name__)
            self._begin_anew()
            await asyncio.sleep(AGAIN_S)

    async def take(self, portion: Portion) -> None:
        """Tell everybody what is new in a portion of the topic; waits for the store, also while it is away."""
        if not self._position:
            self._position = (0,) * portion.partitions
            self._floors = [
                0 if one in portion.whole else None for one in range(portion.partitions)
            ]
        found = self._new(portion)
        shown = await self._shown([line for _, _, line in found])
        for (partition, sequence, _), one in zip(found, shown, strict=True):
            self._note(partition, sequence, one)
        if portion.caught_up and not self._ready.is_set():
            self._ready.set()
            for listener in self._listeners:
                self._reload(listener)

    def _new(self, portion: Portion) -> list[tuple[int, int, Line]]:
        """The lines of a portion that were not read before, each with its partition and sequence.

        What is no line of ours is passed over: those who settle the topic put it away.
        """
        found = []
        heard = list(self._position)
        for partition, value in portion.records:
            try:
                event = Event[Unread].model_validate_json(value)
            except ValidationError:
                continue
            sequence = int(event.sequence or 0)
            # A relay that died sends some lines again.
            if heard[partition] < sequence <= SEQUENCE_MAX:
                heard[partition] = sequence
                found.append((partition, sequence, Line(event.type, event.subject or "")))
        return found

    async def _shown(self, lines: Sequence[Line]) -> Sequence[Shown | None]:
        while lines:
            try:
                return await self._shows(lines)
            except Unavailable as away:
                log.warning("changes_wait", error=away.reason.value)
                await asyncio.sleep(AGAIN_S)
        return ()

    def _note(self, partition: int, sequence: int, shown: Shown | None) -> None:
        """Move on to a line; if there is something to show, keep it and tell those of its site."""
        position = list(self._position)
        position[partition] = sequence
        self._position = tuple(position)
        if self._floors[partition] is None:
            self._floors[partition] = sequence
        if shown is None:
            return
        event = b"event: change\ndata: " + shown.body + b"\n\n"
        change = Change(partition, sequence, shown.site, event, self._position)
        self._ring.append(change)
        if len(self._ring) > self._ring_max:
            oldest = self._ring.popleft()
            self._floors[oldest.partition] = oldest.sequence
        for listener in self._of_site.get(shown.site, ()) if self._ready.is_set() else ():
            if len(listener.queue) < QUEUE_MAX:
                listener.tell(change)
            else:
                self._reload(listener)

    def _reload(self, listener: Listener) -> None:
        """Tell a listener to read the list again, in place of everything that waits for it."""
        listener.queue.clear()
        listener.tell(self._at_once(listener, b"event: reload\ndata: {}\n\n"))

    def _at_once(self, listener: Listener, event: bytes) -> Change:
        """An event that is no change, at the position as it is now."""
        return Change(-1, 0, listener.who.site, event, self._position)

    # ---- who follows -----------------------------------------------------------------------------

    async def ready(self) -> None:
        """Wait until the topic was read to its end; raises Unavailable if that takes too long."""
        self._wanted.set()
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(Reason.LOG_UNAVAILABLE) from None

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Let a listener hear for as long as it is answered; raises Unavailable if there are too many."""
        who = listener.who
        if len(self._listeners) >= self._listeners_max or self._of_one[who] >= LISTENERS_OF_ONE_MAX:
            raise Unavailable(Reason.OVERLOADED)
        here = self._of_site.setdefault(who.site, {})
        self._listeners[listener] = here[listener] = None
        self._of_one[who] += 1
        LIVE_LISTENERS.set(len(self._listeners))
        self._go_on(listener)
        try:
            yield
        finally:
            del self._listeners[listener], here[listener]
            if not here:
                self._of_site.pop(who.site, None)
            self._of_one[who] -= 1
            if not self._of_one[who]:
                del self._of_one[who]
            LIVE_LISTENERS.set(len(self._listeners))

    def _go_on(self, listener: Listener) -> None:
        """Put into a listener's queue what it missed; tell it to reload if that is not known, or too much."""
        last = self._positions.read(listener.who, listener.last)
        missed = None if last is None else self._missed(listener.who.site, last)
        if last is None or missed is None or len(missed) > QUEUE_MAX:
            self._reload(listener)
            return
        listener.position = last
        for change in missed:
            listener.tell(change)

    def _missed(self, site: str, last: Position) -> list[Change] | None:
        """The changes of a site behind a position; None if the ring lacks some."""
        if len(last) != len(self._position):
            return None
        for had, floor, now in zip(last, self._floors, self._position, strict=True):
            # Ahead of us is who comes from a process that has read more of the topic.
            if had > now or (had < now and (floor is None or had < floor)):
                return None
        return [
            change
            for change in self._ring
            if change.site == site and change.sequence > last[change.partition]
        ]

    async def events(self, listener: Listener) -> AsyncIterator[bytes]:
        """What a listener is sent, for as long as it may hear it; it is `listening` meanwhile."""
        yield b"retry: %d\n\n" % _retry_ms(listener.who)
        while True:
            while listener.queue and not listener.ended:
                change = listener.queue.popleft()
                if not listener.still():
                    return
                listener.move_on(change)
                written = self._positions.write(listener.who, listener.position)
                yield b"id: %s\n%s" % (written, change.event)
            if listener.ended or not self._running():
                return
            listener.woken.clear()
            await listener.woken.wait()

    # ---- who may go on ---------------------------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """End the streams of those who may not follow any more, and give those who hear nothing their position."""
        if not self._running():
            self._end_all()
            return
        for listener in list(self._listeners):
            if not listener.still():
                listener.end()
            elif listener.queue:
                # Changes that left the ring are held by nobody, or a slow reader would hold as many again.
                if self._is_behind_ring(listener.queue[0]):
                    self._reload(listener)
            elif (quiet := listener.quiet + 1) < QUIET_LOOKS:
                listener.quiet = quiet
            else:
                listener.tell(self._at_once(listener, b"\n"))
        if not self._listeners:
            return
        try:
            allowed = await self._allowed(list(self._of_one))
        except Unavailable:
            return  # nothing is told either while the store is away
        for listener in list(self._listeners):
            if listener.who not in allowed:
                listener.end()

    def _is_behind_ring(self, change: Change) -> bool:
        if change.partition < 0 or not self._floors:
            return False
        floor = self._floors[change.partition]
        return floor is not None and change.sequence <= floor

    def _end_all(self) -> None:
        for listener in list(self._listeners):
            listener.end()


def _retry_ms(who: Principal) -> int:
    """After how long a client comes back: all of a process that ended must not come at once."""
    return RETRY_MS + crc32(who.subject.encode()) % RETRY_MS
