"""The store in memory: the same promise as RedisStore, for unit and simulation tests.

Durability is what it does not have; everything else is in the suite both must pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.store import (
    ABSENT,
    OUTBOX_LINES_MAX,
    Commit,
    Committed,
    Conflict,
    Exceeded,
    Outcome,
    Versioned,
)


class MemoryStore:
    """`Store` in dictionaries; one event loop, so every method is atomic by itself."""

    def __init__(self, outbox_max: int = OUTBOX_LINES_MAX) -> None:
        self.documents: dict[str, Versioned] = {}
        self.accounts: dict[str, int] = {}
        self.timers: dict[str, int] = {}
        self.lines: list[bytes] = []
        self._outbox_max = outbox_max
        self._sequence = 0
        self._leases: dict[str, str] = {}
        self._marker = ""
        self._generation = ""
        self._changed = asyncio.Condition()

    async def read(self, keys: Sequence[str]) -> list[Versioned]:
        """See Store."""
        self._check_generation()
        return [self.documents.get(key, ABSENT) for key in keys]

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """See Store."""
        self._check_generation()
        return [self.accounts.get(account, 0) for account in accounts]

    def _check_generation(self) -> None:
        if not self._generation or self._generation != self._marker:
            raise Unavailable(Reason.STORE_STALE)

    async def commit(self, commit: Commit) -> Outcome:
        """See Store."""
        self._check_generation()
        if commit.lines and len(self.lines) + len(commit.lines) > self._outbox_max:
            raise Unavailable(Reason.OUTBOX_FULL, retry_after_s=5)
        for write in commit.writes:
            if self.documents.get(write.key, ABSENT).version != write.version:
                return Conflict(write.key)
        balances: dict[str, int] = {}
        for charge in commit.charges:
            before = balances.get(charge.account, self.accounts.get(charge.account, 0))
            if not 0 <= before + charge.amount_minor <= charge.ceiling_minor:
                return Exceeded(charge.account, before)
            balances[charge.account] = before + charge.amount_minor
        for write in commit.writes:
            if write.body is not None:
                self.documents[write.key] = Versioned(write.version + 1, write.body)
        self.accounts |= balances
        for member, due in commit.timers:
            if due is None:
                self.timers.pop(member, None)
        for member, due in commit.timers:
            if due is not None:
                self.timers[member] = due
        self.lines += commit.lines
        self._sequence += len(commit.lines)
        async with self._changed:
            self._changed.notify_all()
        return Committed(self._sequence)

    async def due(self, now_ms: int, most: int) -> list[tuple[str, int]]:
        """See Store."""
        ready = sorted((due, member) for member, due in self.timers.items() if due <= now_ms)
        return [(member, due) for due, member in ready[:most]]

    async def pending(self, most: int) -> tuple[int, list[bytes]]:
        """See Store."""
        return self._sequence - len(self.lines) + 1, self.lines[:most]

    async def trim(self, holder: str, sequence: int) -> None:
        """See Store."""
        if self._leases.get("relay") != holder:
            raise Unavailable(Reason.CONTENDED)
        drop = sequence - (self._sequence - len(self.lines))
        self.lines = self.lines[max(drop, 0) :]
        async with self._changed:
            self._changed.notify_all()

    async def lease(self, name: str, holder: str, ttl_ms: int) -> bool:  # noqa: ARG002 - never runs out here
        """See Store."""
        return self._leases.setdefault(name, holder) == holder

    async def release(self, name: str, holder: str) -> None:
        """See Store."""
        if self._leases.get(name) == holder:
            del self._leases[name]

    async def published(self) -> int:
        """See Store."""
        return self._sequence - len(self.lines)

    async def last_sequence(self) -> int:
        """See Store."""
        return self._sequence

    async def wait_published(self, sequence: int, timeout_ms: int) -> bool:
        """See Store."""
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._changed:
                await self._changed.wait_for(lambda: self._sequence - len(self.lines) >= sequence)
        except TimeoutError:
            return False
        return True

    async def wait_pending(self, timeout_ms: int) -> None:
        """See Store."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000), self._changed:
                await self._changed.wait_for(lambda: bool(self.lines))

    async def open_generation(self) -> bool:
        """See Store."""
        self._generation = self._marker
        return bool(self._marker)

    async def begin_generation(self, marker: str, sequence: int) -> None:
        """See Store."""
        self._marker = self._generation = marker
        self._sequence = sequence
        self.lines = []
