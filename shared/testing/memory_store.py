"""The store in memory: the same promise as RedisStore, for unit and property tests.

It has no durability; everything else is in the suite that both must pass.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shared.contracts.reasons import Reason
from shared.kernel import Schema
from shared.runtime.engine.schemas import RUNTIME, fresh, joined, unread
from shared.runtime.engine.store import (
    ABSENT,
    OUTBOX_LINES_MAX,
    OUTSIDE_SHARE,
    PENDING_BYTES_MAX,
    RANGE_MAX,
    RANGE_SCAN_MAX,
    REBUILD,
    Commit,
    Committed,
    Conflict,
    Cursor,
    Entry,
    Exceeded,
    Outcome,
    Portion,
    Range,
    Versioned,
    is_slow,
)
from shared.runtime.faults import Unavailable


@dataclass
class Kept:
    """What a server would hold; shared by every client of it."""

    documents: dict[str, Versioned] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    #: Scores of documents by the name of the set and the document's key.
    indexes: dict[str, dict[str, int]] = field(default_factory=dict)
    #: How long documents are to be kept, in s; nothing expires here.
    ttls: dict[str, int] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)
    sequence: int = 0
    marker: str = ""
    #: The record of schema versions.
    written: bytes = b""
    rebuilder: str = ""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class MemoryStore:
    """`Store` in dictionaries; one event loop, so every method is atomic by itself."""

    def __init__(
        self,
        outbox_max: int = OUTBOX_LINES_MAX,
        kept: Kept | None = None,
        schemas: Mapping[str, Schema] = RUNTIME,
    ) -> None:
        self.kept = kept or Kept()
        self._schemas = schemas
        self._to_join: bytes | None = None
        self._unread: Sequence[str] = ()
        self.met: set[str] = set()
        self._outbox_max = outbox_max
        self._generation = self._known = ""
        self._seen = 0

    def another(self) -> MemoryStore:
        """A second client of the same state, as another process has it."""
        store = MemoryStore(self._outbox_max, self.kept, self._schemas)
        store._generation = store._known = self._generation
        return store

    def lose(self) -> None:
        """Forget everything, as a server whose disk was lost."""
        kept = self.kept
        for part in (
            kept.documents, kept.accounts, kept.timers, kept.indexes, kept.lines, kept.leases,
        ):  # fmt: skip
            part.clear()
        kept.sequence, kept.marker, kept.rebuilder, kept.written = 0, "", "", b""

    def lost_connection(self) -> None:
        """Forget that the state was compared, as a client does when its server restarts."""
        self._generation = ""

    async def read(self, keys: Sequence[str]) -> list[Versioned]:
        """See Store."""
        self._check_generation()
        return [self.kept.documents.get(key, ABSENT) for key in keys]

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """See Store."""
        self._check_generation()
        return [self.kept.accounts.get(account, 0) for account in accounts]

    async def fetch(
        self, keys: Sequence[str], accounts: Sequence[str]
    ) -> tuple[list[Versioned], list[int]]:
        """See Store."""
        return await self.read(keys), await self.balances(accounts)

    def _check_generation(self) -> None:
        if not self._generation or self._generation != self.kept.marker:
            raise self._stale()

    def _stale(self) -> Unavailable:
        self._generation = ""
        return Unavailable(Reason.STORE_UNREADABLE if self._unread else Reason.STORE_STALE)

    @property
    def readable(self) -> bool:
        """See Store."""
        return not self._unread and not self.met

    def unreadable(self, key: str) -> Unavailable:
        """See Reads."""
        self.met.add(key)
        return Unavailable(Reason.STORE_UNREADABLE)

    def _join(self, before: bytes) -> None:
        after, closes = joined(before, self._schemas)
        if after != before:
            if self.kept.written != before:
                raise self._stale()
            self.kept.written = after
            if closes:
                self._generation = self._known = self.kept.marker = uuid.uuid4().hex
        self._to_join = None

    async def commit(self, commit: Commit) -> Outcome:
        """See Store."""
        self._check_generation()
        if self._to_join is not None:
            self._join(self._to_join)
        most = self._outbox_max * (OUTSIDE_SHARE if commit.outside else 1)
        if commit.lines and len(self.kept.lines) + len(commit.lines) > most:
            raise Unavailable(Reason.OUTBOX_FULL, retry_after_s=5)
        for write in commit.writes:
            if self.kept.documents.get(write.key, ABSENT).version != write.version:
                return Conflict(write.key)
        balances: dict[str, int] = {}
        for charge in commit.charges:
            before = balances.get(charge.account, self.kept.accounts.get(charge.account, 0))
            if not 0 <= before + charge.amount_minor <= charge.ceiling_minor:
                return Exceeded(charge.account, before)
            balances[charge.account] = before + charge.amount_minor
        for write in commit.writes:
            if write.body is not None:
                self._keep(write.key, Versioned(write.version + 1, write.body), write.ttl_s)
        self.kept.accounts |= balances
        if commit.fired is not None:
            member, fired_due = commit.fired
            if self.kept.timers.get(member, fired_due) <= fired_due:
                self.kept.timers.pop(member, None)
        for member, due in commit.timers:
            if due is None:
                self.kept.timers.pop(member, None)
        for member, due in commit.timers:
            if due is not None:
                self.kept.timers[member] = due
        self._index(commit.entries)
        self.kept.lines += commit.lines
        self.kept.sequence += len(commit.lines)
        self._seen = self.kept.sequence
        async with self.kept.changed:
            self.kept.changed.notify_all()
        return Committed(self.kept.sequence)

    def _keep(self, key: str, document: Versioned, ttl_s: int | None) -> None:
        self.kept.documents[key] = document
        self.kept.ttls.pop(key, None)
        if ttl_s is not None:
            self.kept.ttls[key] = ttl_s

    def _index(self, entries: Sequence[Entry]) -> None:
        for name, key, score, _ in entries:
            scores = self.kept.indexes.setdefault(name, {})
            if score is None:
                scores.pop(key, None)
            else:
                scores[key] = score
            if not scores:
                del self.kept.indexes[name]

    async def range(
        self, name: str, after: Cursor | None, limit: int, beside: Sequence[str] = ()
    ) -> Range:
        """See Store."""
        assert 1 <= limit <= RANGE_MAX
        self._check_generation()
        scores = self.kept.indexes.get(name, {})
        read = tuple(self.kept.documents.get(key, ABSENT) for key in beside)
        found: list[tuple[int, str, Versioned]] = []
        places = sorted(
            (score, key.encode(), key)
            for key, score in scores.items()
            if after is None or (score, key.encode()) > (after.score, after.key.encode())
        )
        for looked_at, (score, _, key) in enumerate(places):
            if looked_at == RANGE_SCAN_MAX:
                return Range(found, Cursor(*places[looked_at - 1][::2]), read)
            if key not in self.kept.documents:
                self._index([Entry(name, key, None)])
            elif len(found) == limit:
                return Range(found, Cursor(*found[-1][:2]), read)
            else:
                found.append((score, key, self.kept.documents[key]))
        return Range(found, None, read)

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """See Store."""
        self._check_generation()
        return [len(self.kept.indexes.get(name, {})) for name in names]

    async def copied(self) -> None:
        """See Store: it has no replicas."""

    async def takes_commits(self) -> bool:
        """See Store."""
        return len(self.kept.lines) < self._outbox_max

    async def due(
        self, now_ms: int, most: int, *, slow: bool | None = None, skip: int = 0
    ) -> list[tuple[str, int]]:
        """See Store."""
        ready = sorted(
            (due, member)
            for member, due in self.kept.timers.items()
            if due <= now_ms and slow in {None, is_slow(member)}
        )
        return [(member, due) for due, member in ready[skip : skip + most]]

    async def pending(
        self, most: int, bytes_max: int = PENDING_BYTES_MAX
    ) -> tuple[int, list[bytes]]:
        """See Store."""
        lines: list[bytes] = []
        for line in self.kept.lines[:most]:
            bytes_max -= len(line)
            if lines and bytes_max < 0:
                break
            lines.append(line)
        return self.kept.sequence - len(self.kept.lines) + 1, lines

    async def trim(self, holder: str, sequence: int) -> None:
        """See Store."""
        if self.kept.leases.get("relay") != holder:
            raise Unavailable(Reason.CONTENDED)
        drop = sequence - (self.kept.sequence - len(self.kept.lines))
        del self.kept.lines[: max(drop, 0)]
        async with self.kept.changed:
            self.kept.changed.notify_all()

    async def lease(self, name: str, holder: str, ttl_ms: int) -> bool:  # noqa: ARG002 - never runs out here
        """See Store."""
        if self._unread and name != REBUILD and holder != self.kept.rebuilder:
            raise self._stale()
        if name != REBUILD and self.kept.rebuilder not in ("", holder):
            return False
        return self.kept.leases.setdefault(name, holder) == holder

    async def release(self, name: str, holder: str) -> None:
        """See Store."""
        if self.kept.leases.get(name) == holder:
            del self.kept.leases[name]

    async def published(self) -> int:
        """See Store."""
        return self.kept.sequence - len(self.kept.lines)

    async def last_sequence(self) -> int:
        """See Store."""
        self._seen = max(self._seen, self.kept.sequence)
        return self.kept.sequence

    async def wait_published(self, sequence: int, timeout_ms: int) -> bool:
        """See Store."""
        try:
            async with asyncio.timeout(timeout_ms / 1000), self.kept.changed:
                await self.kept.changed.wait_for(
                    lambda: self.kept.sequence - len(self.kept.lines) >= sequence
                )
        except TimeoutError:
            return False
        return True

    async def wait_pending(self, timeout_ms: int) -> None:
        """See Store."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000), self.kept.changed:
                await self.kept.changed.wait_for(lambda: bool(self.kept.lines))

    @property
    def usable(self) -> bool:
        """See Store."""
        return bool(self._generation)

    async def open_generation(self, published: int | None) -> bool:
        """See Store."""
        marker, sequence = self.kept.marker, self.kept.sequence
        if published is None and marker == self._known:
            published = self._seen
        if not marker or published is None or sequence < published:
            self._generation = ""
            return False
        self._unread, self._to_join = unread(self.kept.written, self._schemas), self.kept.written
        if self._unread:
            raise self._stale()
        self.met.clear()
        self._generation = self._known = marker
        self._seen = sequence
        return True

    async def begin_generation(self, marker: str, sequence: int) -> bool:
        """See Store."""
        if not self.kept.marker and not self.kept.rebuilder:
            self.kept.marker, self.kept.sequence = marker, sequence
            self.kept.written = fresh(self._schemas)
        return await self.open_generation(sequence)

    async def begin_rebuild(self, holder: str) -> bool:
        """See Store."""
        if self.kept.leases.get(REBUILD) != holder:
            return False
        self.kept.marker, self.kept.rebuilder = "", holder
        return True

    def _check_rebuild(self, holder: str) -> None:
        if {self.kept.rebuilder, self.kept.leases.get(REBUILD)} != {holder}:
            raise Unavailable(Reason.CONTENDED)

    async def forget(self, holder: str) -> None:
        """See Store."""
        self._check_rebuild(holder)
        kept = self.kept
        for part in (kept.documents, kept.accounts, kept.timers, kept.indexes, kept.lines):
            part.clear()
        kept.sequence = 0

    async def load(self, holder: str, portion: Portion, version: int) -> None:
        """See Store."""
        self._check_rebuild(holder)
        for key, body, ttl_s in portion.documents:
            self._keep(key, Versioned(version, body), ttl_s)
        for account, amount in portion.amounts:
            self.kept.accounts[account] = self.kept.accounts.get(account, 0) + amount
        for member, due in portion.timers:
            if due is None:
                self.kept.timers.pop(member, None)
            else:
                self.kept.timers[member] = due
        self._index(portion.entries)

    async def recall(self, keys: Sequence[str]) -> list[bytes]:
        """See Store."""
        return [self.kept.documents.get(key, ABSENT).body for key in keys]

    async def end_rebuild(self, holder: str, marker: str, sequence: int) -> None:
        """See Store."""
        self._check_rebuild(holder)
        kept = self.kept
        kept.sequence, kept.marker, kept.rebuilder = sequence, marker, ""
        kept.written = fresh(self._schemas)
        for name in (REBUILD, "relay"):
            await self.release(name, holder)
