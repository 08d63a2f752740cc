"""Timers: what must happen later, kept in the store, fired by one process at a time.

A timer is cleared by the commit that settles it, so one that fires in a process that dies fires
again. Its handler reads the entity's state first, so firing twice changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from shared.runtime.engine.store import TimerStore, is_slow, system_of
from shared.runtime.faults import Unavailable
from shared.runtime.observe import log, raised_at

OnTimer = Callable[[str, int], Awaitable[None]]

#: How often to look for what became due, or was set by another process; it may come this much late.
LOOK_S = 0.1
LEASE_MS = 10_000
#: Timers handled at once: enough to keep a mail server busy, few enough to be polite to it.
AT_ONCE_MAX = 32
#: Slow timers handled at once, in places of their own: all, and those of one system. It is 4 for each of the 16
#: endpoints that a file of webhooks may have, so that those that hang leave places for the others.
SLOW_AT_ONCE_MAX = 64
ONE_SYSTEM_MAX = 4
#: Where all prompt places are taken, so many must be free before the next look: one look for each would cost as
#: much as a letter. The next look comes after `LOOK_S` all the same.
FREE_TO_LOOK = 8
#: A timer whose handling failed unexpectedly is left alone this long before it is tried again.
FAILED_PAUSE_S = 30.0
#: How long a stop waits for timers in hand: as long as the notifier lets a mail server take, and short
#: enough for the rest of a stop before a supervisor kills, which is after 30 s as a rule.
IN_HAND_S = 20.0
#: Prompt timers that wait after a failure and are looked past; beyond so many they do hold up the others.
PAUSED_MAX = 1000
#: Slow timers that are read at once, and how often in a look that finds none to fire: those of a system that hangs
#: may be many, and reading so many takes some milliseconds.
SLOW_PAGE = 500
SLOW_PAGES_MAX = 4


class Timers:
    """Fires the due timers of one owner: `on_timer[name](id, due_ms)`.

    Slow ones, which wait for the systems of others, have a queue and places of their own: however many of them
    are due or hang, the others fire. Of these, each system has its share of the places.
    """

    def __init__(
        self,
        store: TimerStore,
        on_timer: Mapping[str, OnTimer],
        *,
        holder: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._on_timer = on_timer
        self._any_slow = any(is_slow(name) for name in on_timer)
        self._holder = holder
        self._now = now
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._paused: dict[str, float] = {}
        self._due = asyncio.Event()
        #: Until when we have the lease, and from when on slow timers are looked for again.
        self._leased_until = self._slow_from = 0.0
        #: Slow timers that the next look begins behind.
        self._skip = 0

    def wake(self) -> None:
        """Look soon: a timer was set that is due."""
        self._due.set()

    async def run(self) -> None:
        """Fire until cancelled, then end what is in hand; waits through every outage of the store."""
        try:
            while True:
                try:
                    if await self._leased():
                        await self._look()
                except Unavailable as unavailable:
                    self._leased_until = 0.0
                    log.warning("timers_wait", reason=unavailable.reason.value)
                    await asyncio.sleep(unavailable.retry_after_s)
                await self._rest()
        finally:
            # What is cut off fires again in the next process: a letter that was just taken comes twice.
            if self._in_hand:
                await asyncio.wait(self._in_hand.values(), timeout=IN_HAND_S)
            for task in self._in_hand.values():
                task.cancel()

    async def _leased(self) -> bool:
        """Whether the lease is ours; it is prolonged once half of it is over."""
        clock = time.monotonic()
        if clock > self._leased_until - LEASE_MS / 2000:
            if not await self._store.lease("timers", self._holder, LEASE_MS):
                return False
            self._leased_until = clock + LEASE_MS / 1000
        return True

    async def _rest(self) -> None:
        """Wait before the next look, until one is due or places are free again."""
        with suppress(TimeoutError):
            # Not wait_for, which in Python 3.11 loses a stop that comes as the event does.
            async with asyncio.timeout(LOOK_S):
                await self._due.wait()
        self._due.clear()

    async def _look(self) -> None:
        clock = time.monotonic()
        self._paused = {member: until for member, until in self._paused.items() if until > clock}
        now_ms = int(self._now().timestamp() * 1000)
        await self._fill(now_ms)
        if self._any_slow and clock >= self._slow_from:
            self._slow_from = clock + LOOK_S
            await self._fill_slow(now_ms)

    async def _fill(self, now_ms: int) -> None:
        """Fire the prompt timers that are due, as far as there are places."""
        free = self._free(slow=False)
        if free <= 0:
            return
        # Those in hand or paused are still due, so ask for as many more.
        passed = {one for one in self._in_hand.keys() | self._paused.keys() if not is_slow(one)}
        most = free + min(len(passed), PAUSED_MAX)
        for member, due in await self._store.due(now_ms, most, slow=False):
            if member not in passed and free > 0:
                self._begin(member, due)
                free -= 1

    async def _fill_slow(self, now_ms: int) -> None:
        """Fire slow timers that are due, as far as there are places, and places for each system.

        Looks go on behind each other and round, so that those of a system that hangs do not hide the others.
        """
        for _ in range(SLOW_PAGES_MAX):
            free = self._free(slow=True)
            if free <= 0:
                return
            found = await self._store.due(now_ms, SLOW_PAGE, slow=True, skip=self._skip)
            self._skip = self._skip + SLOW_PAGE if len(found) == SLOW_PAGE else 0
            if self._begin_some(found, free) or not self._skip:
                return

    def _begin_some(self, found: Sequence[tuple[str, int]], free: int) -> bool:
        """Fire those slow timers that have a place; returns whether there was one."""
        taken = Counter(system_of(member) for member in self._in_hand if is_slow(member))
        before = len(self._in_hand)
        for member, due in found:
            passed = member in self._in_hand or not self._paused.keys().isdisjoint(
                (member, _of_system(member))
            )
            if passed or taken[system_of(member)] >= ONE_SYSTEM_MAX:
                continue
            if len(self._in_hand) - before == free:
                break
            taken[system_of(member)] += 1
            self._begin(member, due)
        return len(self._in_hand) > before

    def _begin(self, member: str, due: int) -> None:
        self._in_hand[member] = asyncio.create_task(self._fire(member, due))

    def _free(self, *, slow: bool) -> int:
        """The places of a queue that are free."""
        taken = sum(is_slow(member) is slow for member in self._in_hand)
        return (SLOW_AT_ONCE_MAX if slow else AT_ONCE_MAX) - taken

    async def _fire(self, member: str, due: int) -> None:
        name, _, timer_id = member.partition("|")
        try:
            await self._on_timer[name](timer_id, due)
        except Unavailable as unavailable:
            # What one waits for, those of the same system wait for too.
            paused = _of_system(member) if is_slow(member) else member
            self._pause(paused, unavailable.retry_after_s)
        except Exception as error:  # noqa: BLE001 - loud, and one bad timer must not stop the others
            log.error("timer_failed", timer=name, error=type(error).__name__, at=raised_at(error))
            self._pause(member, FAILED_PAUSE_S)
        finally:
            del self._in_hand[member]
            if is_slow(member):
                self._slow_from = 0.0
                self._due.set()
            elif self._free(slow=False) == FREE_TO_LOOK:
                self._due.set()

    def _pause(self, member: str, pause_s: float) -> None:
        """Leave a timer, or those of a system, alone for a while; they take no place from the others meanwhile."""
        self._paused[member] = time.monotonic() + pause_s

    async def release(self) -> None:
        """Hand the lease on at a clean stop."""
        with suppress(Unavailable):
            await self._store.release("timers", self._holder)


def _of_system(member: str) -> str:
    """The name under which all slow timers of a system are paused."""
    name, _, _ = member.partition("|")
    return f"{name}|{system_of(member)}"
