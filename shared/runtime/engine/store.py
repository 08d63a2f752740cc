"""The interface of a store: one atomic commit of everything an input causes.

Two adapters implement it and pass one suite: `RedisStore`, and `MemoryStore` for unit and simulation
tests. A store has no business rules: it compares versions and balances, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from shared.contracts.catalogue import REBUILD_RETENTION
from shared.runtime.faults import Unavailable

#: Facts an outbox may hold before writes are refused: at 1 kB each about 200 MB, well below the
#: memory of the smallest store we run, and hours of traffic with the broker away.
OUTBOX_LINES_MAX = 200_000
#: The part of an outbox that what other systems publish may fill: the rest is for what people do during an import.
OUTSIDE_SHARE = 0.5
#: Bytes of outbox lines read at once: well within the store's time limit, and within the memory of
#: the smallest container also when every line is a dead letter of many megabytes.
PENDING_BYTES_MAX = 16 * 1024 * 1024
#: Documents and balances that did not change for so long are dropped. A rebuild would not find their
#: facts either, and nothing open waits that long.
KEPT_S = int(REBUILD_RETENTION.total_seconds())
#: Keys of `Reads.met` that are remembered; with so many a process is not ready anyhow.
MET_MAX = 1000
#: Documents that one call reads of a sorted set at most: a page, or a step of something longer.
RANGE_MAX = 200
#: Entries looked at in one call, of which most may be of documents that were forgotten.
RANGE_SCAN_MAX = 1000
#: Names of timers that wait for systems of others, which may hang: their queue is read by itself, so that letters
#: and promises do not stand behind it. So many characters of such a timer's id name the system.
SLOW = {"webhook": len("wh-") + 8}
#: Where the queue of the slow ones begins in the sorted set of timers: later than any moment in ms, and exact
#: together with one.
SLOW_FROM = 10**15
#: The lease by which one process alone makes a state again.
REBUILD = "rebuild"


class Versioned(NamedTuple):
    """A stored document: its JSON and the version a commit must expect. Version 0 is absent."""

    version: int
    body: bytes


ABSENT = Versioned(0, b"")


class Write(NamedTuple):
    """One document: the version that was read and its new body; a body of None only expects the version.

    It is dropped after `ttl_s`; None means never.
    """

    key: str
    version: int
    body: bytes | None = None
    ttl_s: int | None = None


class Charge(NamedTuple):
    """A posting with its ceiling: refused unless 0 ≤ balance + amount ≤ ceiling.

    A balance is forgotten `KEPT_S` after the last one.
    """

    account: str
    amount_minor: int
    ceiling_minor: int


class Entry(NamedTuple):
    """Where a document (by its key) stands in a sorted set; a `score` of None takes it out.

    A set lives at least `ttl_s` longer, None is for ever: so as long as each document in it. What
    changes an indexed document has all its entries, also those that stay as they are.
    """

    name: str
    key: str
    score: int | None
    ttl_s: int | None = None


class Cursor(NamedTuple):
    """A place in a sorted set: behind the entry of this score and key.

    Entries of one score are in the order of their keys' bytes. It holds also when the entry has gone.
    """

    score: int
    key: str


class Range(NamedTuple):
    """A part of a sorted set: score, key and document of each entry, and where the next part begins.

    `next` is None at the end of the set. It may be set behind fewer entries than were asked for, or none:
    those in between were of documents that were forgotten. `beside` are the documents that were read with it.
    """

    found: Sequence[tuple[int, str, Versioned]]
    next: Cursor | None
    beside: Sequence[Versioned] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything one input causes; applied whole or not at all.

    timers: (member, due in ms since the epoch), or None to clear. lines: encoded outbox lines.
    fired: a timer that fired and what it was due at. It is removed only if it was not rescheduled
    meanwhile, and before `timers` are set. outside: caused by what other systems publish, of which an import
    brings any number; refused where the outbox would be fuller than `OUTSIDE_SHARE`.
    """

    writes: Sequence[Write]
    charges: Sequence[Charge] = ()
    timers: Sequence[tuple[str, int | None]] = ()
    lines: Sequence[bytes] = ()
    fired: tuple[str, int] | None = None
    entries: Sequence[Entry] = ()
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """Applied; `sequence` is the number of the owner's last outbox line."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """A document was not at the version that was read: load and decide again."""

    key: str


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A charge did not fit; decide again with the balances as they are now."""

    account: str
    balance_minor: int


Outcome = Committed | Conflict | Exceeded


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a state that is made again: documents as they now are, what to add to balances.

    documents: (key, body, time to live in s or None). timers: (member, due in ms), or None to clear.
    """

    documents: Sequence[tuple[str, bytes, int | None]] = ()
    amounts: Sequence[tuple[str, int]] = ()
    timers: Sequence[tuple[str, int | None]] = ()
    entries: Sequence[Entry] = ()


class Reads(Protocol):
    """What anything that reads the state needs."""

    #: Where something lies that made no sense to this build when it was read last; whoever reads sense there takes it out.
    met: set[str]

    async def read(self, keys: Sequence[str]) -> list[Versioned]:
        """The documents under the keys, in order; ABSENT where there is none."""
        ...

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """The balances in minor units, in order; 0 where nothing was posted."""
        ...

    async def fetch(
        self, keys: Sequence[str], accounts: Sequence[str]
    ) -> tuple[list[Versioned], list[int]]:
        """Documents as by `read` and balances as by `balances`, in one trip."""
        ...

    async def range(
        self, name: str, after: Cursor | None, limit: int, beside: Sequence[str] = ()
    ) -> Range:
        """Entries of a sorted set with their documents, lowest score first, from behind `after` on.

        At most `limit`, which is from 1 to `RANGE_MAX`. Entries of documents that were forgotten are
        left out and dropped. Documents under the keys `beside` are read in the same trip, as by `read`.
        """
        ...

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """How many entries each sorted set has, in order; also those whose document was forgotten."""
        ...

    def unreadable(self, key: str) -> Unavailable:
        """The Unavailable for what was read under this key and makes no sense to this build.

        The process is not `readable` from then on, until it reads sense there, or opens the state again.
        """
        ...


class Numbered(Protocol):
    """What anything that numbers lines of the outbox needs."""

    async def last_sequence(self) -> int:
        """The number of the last line ever appended."""
        ...


class SettlerStore(Reads, Numbered, Protocol):
    """What the settler needs, and who answers once a commit is published."""

    async def commit(self, commit: Commit) -> Outcome:
        """Apply one commit atomically; it is on disk, and copied, when this returns Committed."""
        ...

    async def copied(self) -> None:
        """Wait until everything committed so far is on as many replicas as the settings ask for."""
        ...

    async def wait_published(self, sequence: int, timeout_ms: int) -> bool:
        """Wait until everything up to `sequence` is on Kafka; False when the time is up."""
        ...


class Leases(Protocol):
    """The right of one process at a time to do something."""

    async def lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """Take or prolong a lease; False while another holds it.

        While a state is made again, only who makes it gets any lease but `rebuild`.
        """
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back if it is held by `holder`."""
        ...


class RelayStore(Leases, Numbered, Protocol):
    """What the relay needs."""

    async def pending(
        self, most: int, bytes_max: int = PENDING_BYTES_MAX
    ) -> tuple[int, list[bytes]]:
        """The oldest outbox lines and the sequence of the first of them.

        At most `most` lines and `bytes_max` bytes, but always the oldest line if there is one.
        """
        ...

    async def trim(self, holder: str, sequence: int) -> None:
        """Drop lines up to `sequence`; only the lease's holder may (else Unavailable)."""
        ...

    async def published(self) -> int:
        """The sequence up to which everything is on Kafka."""
        ...

    async def copied(self) -> None:
        """See SettlerStore: what is published before a store that takes over has it would be ahead of it."""
        ...

    async def wait_pending(self, timeout_ms: int) -> None:
        """Return when something new may be in the outbox, or when the time is up."""
        ...


def is_slow(member: str) -> bool:
    """Whether a timer stands in the queue of the slow ones."""
    return member.partition("|")[0] in SLOW


def system_of(member: str) -> str:
    """The system that a slow timer waits for."""
    name, _, timer_id = member.partition("|")
    return timer_id[: SLOW[name]]


def score_of(member: str, due_ms: int) -> int:
    """Where a timer stands in the sorted set, in which the slow ones come behind all the others."""
    return due_ms + SLOW_FROM if is_slow(member) else due_ms


def due_of(score: int) -> int:
    """When a timer is due that stands there, in ms since the epoch."""
    return score - SLOW_FROM if score >= SLOW_FROM else score


class TimerStore(Leases, Protocol):
    """What timers need."""

    async def due(
        self, now_ms: int, most: int, *, slow: bool | None = None, skip: int = 0
    ) -> list[tuple[str, int]]:
        """Timers due by now: (member, due in ms), earliest first, at most `most` behind the first `skip`.

        Of the slow ones or the others alone; with None, of both, where `skip` is 0.
        """
        ...


class RebuildStore(Leases, Protocol):
    """What a rebuild needs."""

    async def open_generation(self, published: int | None) -> bool:
        """Compare the store with `published`, the last sequence on its topic; say if it is usable.

        Usable: it has a generation marker, and is as far as the topic. Where the topic cannot be
        read (None): it has the marker that this process served before, and is as far as it saw. Raises
        Unavailable(store_unreadable) where it was written in versions that this build does not read.
        """
        ...

    async def begin_rebuild(self, holder: str) -> bool:
        """Take the marker away, so that nobody reads or commits; False without the lease `rebuild`.

        What was begun stays begun until it is ended: also for who finds it after `holder` died.
        """
        ...

    async def forget(self, holder: str) -> None:
        """Drop the whole state, outbox included; Unavailable if the rebuild is not `holder`'s."""
        ...

    async def load(self, holder: str, portion: Portion, version: int) -> None:
        """Write a portion, its documents at `version`; Unavailable if the rebuild is not `holder`'s."""
        ...

    async def recall(self, keys: Sequence[str]) -> list[bytes]:
        """Bodies of documents as loaded so far, in order; empty where there is none."""
        ...

    async def end_rebuild(self, holder: str, marker: str, sequence: int) -> None:
        """Set sequence, schema versions and marker, release the leases; Unavailable as for `load`."""
        ...


class Store(SettlerStore, RelayStore, TimerStore, RebuildStore, Protocol):
    """State, accounts, timers and outbox of one service in one shard.

    Every method may wait for the store and raises Unavailable when it cannot answer in time, is
    full, or is not of the generation this process knows.
    """

    @property
    def usable(self) -> bool:
        """Whether what the store holds was found to be our state, and nothing happened since.

        While it is not, everything that reads or commits state raises Unavailable. It ends when the
        marker is found gone or changed, and when the server was started anew: what came back may be
        older. Asks nothing of the server.
        """
        ...

    @property
    def readable(self) -> bool:
        """Whether this build reads everything that it met in the store, as it was read last. Asks nothing of the server."""
        ...

    async def begin_generation(self, marker: str, sequence: int) -> bool:
        """Set the marker and the sequence to go on from where there is no marker, and open it.

        Of several that begin at once the first does; all open what it began. False if what is there
        is not as far as `sequence`, or is half of a state that is being made again.
        """
        ...

    async def takes_commits(self) -> bool:
        """Whether commits are taken, also where none was tried; changes nothing.

        False while the server is full, has too little room for what it refused last, takes no writes or
        cannot be asked, or the outbox is full.
        """
        ...


class Line(NamedTuple):
    """One outbox line: where it goes and what. Headers mark a dead letter; a fact gets its own as it is sent.

    The key decides the partition unless one is given. Topics, keys and headers are of closed alphabets
    without newlines, `=` or `;`; topics have no `/`.
    """

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...] = ()
    partition: int | None = None

    def encode(self) -> bytes:
        """The line as the store holds it."""
        headers = ";".join([f"{name}={value}" for name, value in self.headers])
        where = self.topic if self.partition is None else f"{self.topic}/{self.partition}"
        return f"{where}\n{self.key}\n{headers}\n".encode() + self.value

    @staticmethod
    def decode(line: bytes) -> Line:
        """The inverse of `encode`; raises ValueError on anything else."""
        where, key, headers, value = line.split(b"\n", 3)
        topic, _, number = where.decode().partition("/")
        partition = int(number) if number else None
        if not headers:  # a fact, as nearly all lines are
            return Line(topic, key.decode(), value, (), partition)
        pairs = (pair.partition("=") for pair in headers.decode().split(";") if pair)
        named = tuple((name, text) for name, _, text in pairs)
        return Line(topic, key.decode(), value, named, partition)
