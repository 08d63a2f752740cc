"""The store made of Redis: one script call settles, concurrent callers share calls.

Calls that arrive while one is in flight go into the next one (group commit and group reads), so that
they share the cost of a round trip and its fsync.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, Generic, TypeVar

import redis.asyncio as redis
from hiredis import pack_command
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from shared.contracts.reasons import Reason
from shared.kernel import Schema
from shared.runtime.engine.schemas import RUNTIME, fresh, joined, unread
from shared.runtime.engine.store import (
    ABSENT,
    KEPT_S,
    MET_MAX,
    OUTBOX_LINES_MAX,
    OUTSIDE_SHARE,
    PENDING_BYTES_MAX,
    RANGE_MAX,
    RANGE_SCAN_MAX,
    REBUILD,
    SLOW_FROM,
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
    due_of,
    score_of,
)
from shared.runtime.faults import Unavailable
from shared.runtime.observe import COMMITS_REFUSED, STORE_UNREADABLE, log
from shared.runtime.wires import StoreAddress

#: Timeout of a call; it takes milliseconds, so after two seconds the store counts as away.
TIMEOUT_S = 2.0
#: Grouping needs few connections: one call in flight per kind, the listener, the relay and timers.
CONNECTIONS_MAX = 8
#: Callers served by one script call; more would make each call too long.
GROUP_MAX = 256
#: Time for replicas to have a write, of the time limit of a call; they take as long as one trip to them.
COPIED_WITHIN_MS = 1000
#: Errors of a server that cannot serve now; any other refusal is our defect.
#: Some of them the client makes classes of and takes the code off the text.
CANNOT_SERVE = ("NOREPLICAS", "BUSY", "MISCONF", "LOADING")
CANNOT_SERVE_CLASSES = (ReadOnlyError, MasterDownError, ClusterDownError)
VERSION_DIGITS = 10
CANCEL_AGAIN_S = 0.1
#: A rebuild writes thousands of documents per call, and waits for a busy disk rather than fail.
BULK_TIMEOUT_S = 60.0
#: Keys looked at, and dropped, at once.
FORGET_KEYS = 5000
#: What a look at the store carries at most, so that it needs as much room as what was refused: nearly
#: every batch is smaller, and the store copies it in no time.
PROBE_BYTES_MAX = 1024 * 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


class Grouped(Generic[Item, Result]):
    """Calls that share a trip: while one is in flight, the next group forms.

    If the store does not answer one group, the waiting calls fail with it.
    """

    def __init__(self, call: Callable[[list[Item]], Awaitable[list[Result]]], most: int) -> None:
        self._call = call
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """Wait for the item's result; raises what the shared call raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        while self._waiting:
            # One turn of the loop lets everybody in whose bytes have arrived: larger groups under
            # load, microseconds without.
            await asyncio.sleep(0)
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                results = await self._call([item for item, _ in group])
            except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
                if isinstance(error, Unavailable):
                    # Fail all waiters; otherwise each group times out in turn.
                    group, self._waiting = group + self._waiting, []
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)


class NotCompared(RedisConnectionError):
    """The connection leads to a server whose state was not compared with our topic."""


@cache
def script(name: str) -> str:
    """The text of one of the scripts in `lua/`."""
    return files("shared.runtime.engine").joinpath("lua", f"{name}.lua").read_text("utf-8")


def unavailable(error: Exception) -> Unavailable:
    """The Unavailable for a Redis error; raises the error again if it shows a defect of ours."""
    if isinstance(error, OutOfMemoryError):
        return Unavailable(Reason.STORE_FULL, retry_after_s=5)
    if isinstance(error, CANNOT_SERVE_CLASSES) or str(error).startswith(CANNOT_SERVE):
        return Unavailable(Reason.STORE_UNAVAILABLE)
    if isinstance(error, ResponseError):
        raise error
    return Unavailable(Reason.STORE_UNAVAILABLE)


class Packed:
    """What makes a connection pack commands in C, as the client's synchronous one does.

    A commit of a large batch has ten thousand arguments; the client's own loop is in Python.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command as it goes over the wire; a name may be of several words."""
        return [pack_command((*args[0].split(), *args[1:]))]


class PackedConnection(Packed, redis.Connection):
    """A packing connection in the clear."""


class PackedTlsConnection(Packed, redis.SSLConnection):
    """A packing connection by TLS."""


#: What a URL makes of a connection in redis-py, and what we take instead.
CONNECTIONS: Mapping[type[Any], type[Any]] = {
    redis.Connection: PackedConnection,
    redis.SSLConnection: PackedTlsConnection,
}


class RedisStore:
    """`Store` on a Redis 7 or Valkey server with AOF `appendfsync always` and `noeviction`.

    `schemas` are those of the documents that are read and written here; see Domain.schemas.
    """

    def __init__(
        self,
        url: StoreAddress | str,
        owner: str,
        shard: str = "c0",
        schemas: Mapping[str, Schema] = RUNTIME,
    ) -> None:
        self._owner = owner
        self._schemas = {**schemas, **RUNTIME}
        self._replicas = StoreAddress.of(url).replicas
        given = StoreAddress.of(url).client()
        said = given.pop("connection_class", redis.Connection)
        self._connecting: dict[str, Any] = {
            **given,
            "connection_class": CONNECTIONS.get(said, said),
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            # No retries here, because a commit that timed out may have happened; the caller retries.
            "retry": Retry(NoBackoff(), 0),
            # By default ("auto") the pool hands out connections that the server has closed.
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        self._redis = redis.Redis.from_pool(
            redis.BlockingConnectionPool(
                max_connections=CONNECTIONS_MAX,
                timeout=TIMEOUT_S,
                redis_connect_func=self._connected,
                **self._connecting,
            )
        )
        self._prefix = prefix = f"{owner}:{{{shard}}}:"
        self._account = prefix + "account:"
        self._index = prefix + "index:"
        self._fixed = [prefix + name for name in ("generation", "outbox", "sequence", "timers")]
        self._channel = prefix + "announce"
        self._written = prefix + "schemas"
        #: The store's record of schema versions as the state was opened, until this build is in it.
        self._to_join: bytes | None = None
        #: Kinds that this build cannot read, by that record; where it met what it cannot read, and the kinds of that.
        self._unread, self.met, self._met_kinds = list[str](), set[str](), set[str]()
        #: Who makes the state again, and the lease they do it by.
        self._rebuild = [prefix + "rebuilding", prefix + "lease:" + REBUILD]
        self._rebuilder = ""
        #: For a rebuild: one connection, patient, and free to lead to a server not compared.
        self._bulk = redis.Redis.from_pool(
            redis.BlockingConnectionPool(
                max_connections=1, **{**self._connecting, "socket_timeout": BULK_TIMEOUT_S}
            )
        )
        self._settle = self._redis.register_script(script("settle"))
        self._trim = self._redis.register_script(script("trim"))
        self._lease = self._redis.register_script(script("lease"))
        self._release = self._redis.register_script(script("release"))
        self._pending_lines = self._redis.register_script(script("pending"))
        self._range = self._redis.register_script(script("range"))
        self._load = self._bulk.register_script(script("load"))
        #: The marker of the state that was found to be ours, and the run of the server that held it.
        self._generation = self._server = ""
        #: Bytes of the latest commits if they were refused, 0 once some were taken.
        self._refused_bytes = 0
        #: The marker served last and the sequence seen last, to go by while Kafka is away.
        self._known, self._seen = "", 0
        self._commit_group: Grouped[Commit, Outcome | Exception] = Grouped(self._commit, GROUP_MAX)
        self._read_group: Grouped[Sequence[str], list[bytes | None]] = Grouped(
            self._mget, GROUP_MAX
        )
        self._published = 0
        self._waiting: dict[asyncio.Future[bool], int] = {}
        self._pending = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> asyncio.Task[None]:
        """Start listening for announcements; the server may be away."""
        self._listener = asyncio.create_task(self._listen(), name="store-announcements")
        return self._listener

    async def close(self) -> None:
        """Stop listening and close the connections."""
        # Cancelled repeatedly, because the client swallows a cancellation while it connects.
        while self._listener is not None and not self._listener.done():
            self._listener.cancel()
            await asyncio.wait({self._listener}, timeout=CANCEL_AGAIN_S)
        await self._redis.aclose()
        await self._bulk.aclose()

    async def read(self, keys: Sequence[str]) -> list[Versioned]:
        """Documents under the keys; waits for the store, raises Unavailable."""
        return (await self.fetch(keys, ()))[0]

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """Balances in minor units; waits for the store, raises Unavailable."""
        return (await self.fetch((), accounts))[1]

    async def fetch(
        self, keys: Sequence[str], accounts: Sequence[str]
    ) -> tuple[list[Versioned], list[int]]:
        """Documents and balances in one trip; waits for the store, raises Unavailable."""
        prefix, account = self._prefix, self._account
        found = await self._read_group(
            [prefix + key for key in keys] + [account + name for name in accounts]
        )
        documents = [versioned(value) for value in found[: len(keys)]]
        return documents, [int(value or 0) for value in found[len(keys) :]]

    async def range(
        self, name: str, after: Cursor | None, limit: int, beside: Sequence[str] = ()
    ) -> Range:
        """Entries of a sorted set with their documents; see Store; raises Unavailable."""
        assert 1 <= limit <= RANGE_MAX
        keys = [self._fixed[0], self._index + name, *(self._prefix + key for key in beside)]
        args = [self._generation, self._prefix, limit, RANGE_SCAN_MAX, *(after or ())]
        answer = await self._ask(self._range(keys=keys, args=args))
        if not self._generation or not answer:
            raise self._stale()
        score, key, read, *found = answer
        entries = zip(found[::3], found[1::3], found[2::3], strict=True)
        return Range(
            [(int(score), key.decode(), versioned(value)) for score, key, value in entries],
            Cursor(int(score), key.decode()) if key else None,
            tuple(versioned(value) for value in read),
        )

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """Entries of each sorted set; see Store; raises Unavailable."""
        async with self._redis.pipeline(transaction=True) as asked:
            asked.get(self._fixed[0])
            for name in names:
                asked.zcard(self._index + name)
            marker, *found = await self._ask(asked.execute())
        if not self._generation or (marker or b"").decode() != self._generation:
            raise self._stale()
        return [int(size) for size in found]

    async def _mget(self, groups: list[Sequence[str]]) -> list[list[bytes | None]]:
        keys = [self._fixed[0], *(key for group in groups for key in group)]
        marker, *values = await self._ask(self._redis.mget(keys))
        if not self._generation or (marker or b"").decode() != self._generation:
            raise self._stale()
        results, start = [], 0
        for group in groups:
            results.append(values[start : start + len(group)])
            start += len(group)
        return results

    async def commit(self, commit: Commit) -> Outcome:
        """Apply one commit, together with whatever else waits; raises Unavailable."""
        try:
            outcome = await self._commit_group(commit)
            if isinstance(outcome, Exception):
                raise outcome
        except Unavailable as refused:
            COMMITS_REFUSED.labels(self._owner, refused.reason).inc()
            raise
        return outcome

    async def takes_commits(self) -> bool:
        """Whether commits are taken, by a look that needs the room of those refused; see Store."""
        # Another service may have filled the server, and a small look fits where a batch does not.
        room = b" " * min(self._refused_bytes, PROBE_BYTES_MAX)
        try:
            waiting = await self._ask(self._redis.eval(script("probe"), 1, self._fixed[1], room))
        except Unavailable:
            return False
        return int(waiting) < OUTBOX_LINES_MAX

    async def _commit(self, commits: list[Commit]) -> list[Outcome | Exception]:
        keys = list(self._fixed)
        prefix, account = self._prefix, self._account
        args: list[Any] = [self._generation, self._channel, KEPT_S, prefix]
        args.append(len(commits))
        for commit in commits:
            keys += [prefix + write.key for write in commit.writes]
            keys += [account + charge.account for charge in commit.charges]
            keys += [self._index + entry.name for entry in commit.entries]
            args += (len(commit.writes), len(commit.charges), len(commit.timers))
            args += (len(commit.entries), len(commit.lines))
            args += ("", "") if commit.fired is None else (commit.fired[0], score_of(*commit.fired))
            args.append(int(OUTBOX_LINES_MAX * (OUTSIDE_SHARE if commit.outside else 1)))
            for write in commit.writes:
                args += (write.version, write.body or b"", write.ttl_s or 0)
            for charge in commit.charges:
                args += (charge.amount_minor, charge.ceiling_minor)
            for member, due in commit.timers:
                args += (member, "" if due is None else score_of(member, due))
            args += entered(commit.entries)
            args += commit.lines
        if self._to_join is not None:
            await self._join(self._to_join)
            args[0] = self._generation
        try:
            results = await self._ask(self._settle(keys=keys, args=args))
        except Unavailable:
            self._refused_bytes = sum(len(arg) for arg in args if isinstance(arg, bytes))
            raise
        outcomes = [self._outcome(result) for result in results]
        if any(isinstance(outcome, Committed) for outcome in outcomes):
            self._refused_bytes = 0
            await self.copied()
        return outcomes

    async def _join(self, before: bytes) -> None:
        """Add this build's schema versions to the store's record, before it writes anything.

        Raises Unavailable also if the record has changed meanwhile: the state is opened anew then.
        """
        after, closes = joined(before, self._schemas)
        if after != before:
            marker = uuid.uuid4().hex if closes else self._generation
            keys, args = (self._fixed[0], self._written), (self._generation, before, after, marker)
            if not await self._ask(self._redis.eval(script("schemas"), len(keys), *keys, *args)):
                raise self._stale()
            self._generation = self._known = marker
        self._to_join = None

    def _outcome(self, result: list[Any]) -> Outcome | Exception:
        match result:
            case [0, sequence]:
                self._seen = max(self._seen, int(sequence))
                return Committed(int(sequence))
            case [1, key]:
                return Conflict(key.decode().removeprefix(self._prefix))
            case [2, key, balance]:
                return Exceeded(key.decode().removeprefix(self._account), int(balance))
            case [3]:
                return self._stale()
            case [5, key]:
                return ResponseError(f"WRONGTYPE {key.decode()}")
            case _:
                return Unavailable(Reason.OUTBOX_FULL, retry_after_s=5)

    async def copied(self) -> None:
        """Wait until all that was written before is on enough replicas; raises Unavailable if it is not.

        What was committed stays committed then, as after a call that timed out.
        """
        if not self._replicas:
            return
        pipeline = self._redis.pipeline(transaction=False)
        # WAIT waits for what its own connection wrote last. A message goes to the replicas behind everything
        # that anybody wrote before, and to no disk.
        pipeline.publish(self._prefix + "copied", "")
        pipeline.wait(self._replicas, COPIED_WITHIN_MS)
        _, copies = await self._ask(pipeline.execute())
        if copies < self._replicas:
            raise Unavailable(Reason.STORE_NOT_COPIED)

    async def due(
        self, now_ms: int, most: int, *, slow: bool | None = None, skip: int = 0
    ) -> list[tuple[str, int]]:
        """Timers due by now, earliest first; see Store; raises Unavailable."""
        found = []
        if not slow:
            found += await self._scored("-inf", min(now_ms, SLOW_FROM - 1), most, skip)
        if slow is not False:
            found += await self._scored(SLOW_FROM, SLOW_FROM + now_ms, most, skip)
        due = [(member.decode(), due_of(int(score))) for member, score in found]
        return sorted(due, key=lambda one: one[1])[:most]

    async def _scored(
        self, low: int | str, high: int, most: int, skip: int
    ) -> list[tuple[bytes, float]]:
        """Timers that stand between two scores, and where, behind the first `skip`; raises Unavailable."""
        found: list[tuple[bytes, float]] = await self._ask(
            self._redis.zrange(
                self._fixed[3], low, high, byscore=True, offset=skip, num=most, withscores=True
            )
        )
        return found

    async def pending(
        self, most: int, bytes_max: int = PENDING_BYTES_MAX
    ) -> tuple[int, list[bytes]]:
        """The oldest outbox lines and the sequence of the first of them; raises Unavailable."""
        first, lines = await self._ask(
            self._pending_lines(keys=self._fixed[1:3], args=[most, bytes_max])
        )
        return int(first), lines

    async def trim(self, holder: str, sequence: int) -> None:
        """Drop lines up to `sequence` and announce it; raises Unavailable if the lease is lost."""
        keys = [self._fixed[1], self._fixed[2], f"{self._prefix}lease:relay"]
        if not await self._ask(self._trim(keys=keys, args=[holder, sequence, self._channel])):
            raise Unavailable(Reason.CONTENDED)

    async def lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """Take or prolong a lease; False while another holds it; raises Unavailable.

        A process that cannot read the state gets none, so that others get timers and outbox.
        """
        key = f"{self._prefix}lease:{name}"
        # The lease to make the state again is not bound by the one who makes it, who may be dead.
        keys = [key, key if name == REBUILD else self._rebuild[0]]
        client = self._client_of(name, holder)
        if self._unread and client is self._redis:
            raise self._stale()
        return bool(await self._ask(self._lease(keys=keys, args=[holder, ttl_ms], client=client)))

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; raises Unavailable."""
        key, client = f"{self._prefix}lease:{name}", self._client_of(name, holder)
        await self._ask(self._release(keys=[key], args=[holder], client=client))

    def _client_of(self, name: str, holder: str) -> redis.Redis:
        return self._bulk if name == REBUILD or holder == self._rebuilder else self._redis

    async def published(self) -> int:
        """The sequence up to which everything is on Kafka; raises Unavailable."""
        first, _ = await self.pending(0)
        return first - 1

    async def last_sequence(self) -> int:
        """The number of the last line ever appended; raises Unavailable."""
        last = int(await self._ask(self._redis.get(self._fixed[2])) or 0)
        self._seen = max(self._seen, last)
        return last

    async def wait_published(self, sequence: int, timeout_ms: int) -> bool:
        """Wait for the relay's announcement; False when the time is up. Asks nothing of Redis."""
        if self._published >= sequence:
            return True
        # A future and a timer each: a condition would wake all who wait at every announcement.
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(timeout_ms / 1000, answer, future, False)
        self._waiting[future] = sequence
        try:
            return await future
        finally:
            timer.cancel()
            del self._waiting[future]

    async def wait_pending(self, timeout_ms: int) -> None:
        """Return when something was committed, or when the time is up. Asks nothing of Redis."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._pending.wait()
        self._pending.clear()

    @property
    def usable(self) -> bool:
        """Whether what the server holds was compared and is ours; see Store."""
        return bool(self._generation)

    @property
    def readable(self) -> bool:
        """Whether this build reads what it met; see Store."""
        return not self._unread and not self.met

    def unreadable(self, key: str) -> Unavailable:
        """The Unavailable for something that makes no sense to this build; see Reads."""
        kind, _, _ = key.partition(":")
        STORE_UNREADABLE.labels(self._owner, kind).inc()
        if len(self.met) < MET_MAX:
            self.met.add(key)
        if kind not in self._met_kinds:
            self._met_kinds.add(kind)
            log.error("document_unreadable", service=self._owner, kind=kind)
        return Unavailable(Reason.STORE_UNREADABLE)

    def _uncompared(self) -> redis.Redis:
        """A client of its own, whose connection is free to lead to a server not compared."""
        return redis.Redis.from_pool(redis.ConnectionPool(**self._connecting))

    async def open_generation(self, published: int | None) -> bool:
        """Compare marker and sequence as of one moment; see Store; raises Unavailable."""
        async with self._uncompared() as client:
            pipeline = client.pipeline(transaction=True)
            pipeline.mget(self._fixed[0], self._fixed[2], self._written)
            pipeline.llen(self._fixed[1])
            pipeline.info("server")
            (found, last, written), waiting, server = await self._ask(pipeline.execute())
        marker, sequence = (found or b"").decode(), int(last or 0)
        if published is None and marker == self._known:
            published = self._seen
        if not marker or published is None or sequence < published:
            self._generation = ""
            return False
        self._unread, self._to_join = unread(written or b"", self._schemas), written or b""
        for kind in self._unread:
            STORE_UNREADABLE.labels(self._owner, kind).inc()
        if self._unread:
            raise self._stale()
        self.met.clear()
        self._met_kinds.clear()
        self._generation = self._known = marker
        self._server, self._seen = server["run_id"], sequence
        self._published = sequence - int(waiting)
        return True

    async def begin_generation(self, marker: str, sequence: int) -> bool:
        """Begin where there is no marker, then open what there is; see Store; raises Unavailable."""
        async with self._uncompared() as client:
            keys = (self._fixed[0], self._fixed[2], self._rebuild[0], self._written)
            args = (marker, sequence, fresh(self._schemas))
            await self._ask(client.eval(script("begin"), len(keys), *keys, *args))
        return await self.open_generation(sequence)

    async def begin_rebuild(self, holder: str) -> bool:
        """Take the marker away; see Store; raises Unavailable."""
        keys, self._rebuilder = (*self._rebuild, self._fixed[0]), holder
        return bool(
            await self._ask(self._bulk.eval(script("begin_rebuild"), len(keys), *keys, holder))
        )

    async def forget(self, holder: str) -> None:
        """Drop the whole state, some keys at a time; see Store; raises Unavailable."""
        spared, cursor = self._prefix + "lease:", -1
        while cursor != 0:
            cursor, found = await self._ask(
                self._bulk.scan(
                    max(cursor, 0), match=f"{escaped(self._prefix)}*", count=FORGET_KEYS
                )
            )
            names = [name.decode() for name in found]
            names = [n for n in names if n != self._rebuild[0] and not n.startswith(spared)]
            for start in range(0, len(names), FORGET_KEYS):
                keys = (*self._rebuild, *names[start : start + FORGET_KEYS])
                self._ours(
                    await self._ask(self._bulk.eval(script("forget"), len(keys), *keys, holder))
                )

    async def load(self, holder: str, portion: Portion, version: int) -> None:
        """Write a portion; see Store; raises Unavailable."""
        prefix, account, head = self._prefix, self._account, b"%010d" % version
        documents, amounts = portion.documents, portion.amounts
        keys = [*self._rebuild, self._fixed[3]]
        keys += [prefix + key for key, *_ in documents]
        keys += [account + name for name, _ in amounts]
        keys += [self._index + entry.name for entry in portion.entries]
        timers = [(member, due) for member, due in portion.timers if due is not None]
        sets = [part for member, due in timers for part in (score_of(member, due), member)]
        args: list[Any] = [holder, KEPT_S, len(documents), len(amounts), len(portion.entries)]
        args.append(len(sets) // 2)
        for _, body, ttl_s in documents:
            args += (head + body, ttl_s or 0)
        args += [amount for _, amount in amounts]
        args += entered(portion.entries)
        args += sets
        args += [member for member, due in portion.timers if due is None]
        self._ours(await self._ask(self._load(keys=keys, args=args)))

    async def recall(self, keys: Sequence[str]) -> list[bytes]:
        """Bodies as loaded so far; see Store; raises Unavailable."""
        if not keys:
            return []
        found = await self._ask(self._bulk.mget([self._prefix + key for key in keys]))
        return [(value or b"")[VERSION_DIGITS:] for value in found]

    async def end_rebuild(self, holder: str, marker: str, sequence: int) -> None:
        """Set sequence, schema versions and marker; see Store; raises Unavailable."""
        relay = f"{self._prefix}lease:relay"
        keys = (*self._rebuild, self._fixed[0], self._fixed[2], relay, self._written)
        args = (holder, marker, sequence, fresh(self._schemas))
        self._ours(await self._ask(self._bulk.eval(script("end_rebuild"), len(keys), *keys, *args)))

    @staticmethod
    def _ours(done: int) -> None:
        if not done:
            raise Unavailable(Reason.CONTENDED)

    def _stale(self) -> Unavailable:
        self._generation = ""
        return Unavailable(Reason.STORE_UNREADABLE if self._unread else Reason.STORE_STALE)

    async def _connected(self, connection: redis.Connection) -> None:
        """Let a new connection be used only if it leads to the run of the server we compared.

        A client connects again by itself, and what it meets there may be a restored, older state.
        """
        try:
            await connection.on_connect()
            await connection.send_command("INFO", "server", check_health=False)
            found = re.search(rb"run_id:(\w+)", bytes(await connection.read_response()))
        except BaseException:
            # Also when cancelled: the client would keep it as one that may be used.
            await connection.disconnect(nowait=True)
            raise
        if found is None or found[1].decode() != self._server:
            self._generation = self._server = ""
            raise NotCompared

    async def _ask(self, answer: Awaitable[Any]) -> Any:  # redis-py answers are untyped
        task = asyncio.current_task()
        assert task is not None, "asked in a task"
        asked_to_stop = task.cancelling()
        try:
            return await answer
        except NotCompared as error:
            raise self._stale() from error
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        finally:
            # The client swallows a cancellation while it drops a connection: it answers, or fails otherwise.
            if task.cancelling() > asked_to_stop:
                raise asyncio.CancelledError

    async def _listen(self) -> None:
        """Follow the announcements of all processes of this owner, through every reconnect."""
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(self._channel)
                    self._announce(await self.published())
                    silent = False
                    while True:
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=TIMEOUT_S
                        )
                        if message is None:
                            # One whose other end is gone is as silent as one where nothing
                            # happens, but it does not answer either.
                            if silent:
                                raise RedisConnectionError
                            await channel.ping()
                        elif message["data"] == b"pending":
                            self._pending.set()
                        elif message["type"] == "message":
                            self._announce(int(message["data"]))
                        silent = message is None
            except (RedisConnectionError, RedisError, OSError, Unavailable):
                # Waiters time out by themselves meanwhile; what was missed is asked for on return.
                await asyncio.sleep(0.2)

    def _announce(self, sequence: int) -> None:
        self._published = max(self._published, sequence)
        for future, wanted in self._waiting.items():
            if wanted <= self._published:
                answer(future, True)


def versioned(value: bytes | None) -> Versioned:
    """A document as the server holds it: its version in ten digits, then its body."""
    if value is None:
        return ABSENT
    return Versioned(int(value[:VERSION_DIGITS]), value[VERSION_DIGITS:])


def entered(entries: Sequence[Entry]) -> list[Any]:
    """Entries as a script takes them: document, score (empty to leave), time to live in s."""
    found: list[Any] = []
    for _, key, score, ttl_s in entries:
        found += (key, "" if score is None else score, ttl_s or 0)
    return found


def escaped(text: str) -> str:
    """The text as a pattern that matches it alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def answer(future: asyncio.Future[bool], result: bool) -> None:
    """Set a waiter's result, unless it is done or cancelled."""
    if not future.done():
        future.set_result(result)
