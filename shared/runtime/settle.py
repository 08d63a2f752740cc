"""Settling: one input in, a pure decision, one atomic commit out.

    bytes → Event → fence → handler → commit → ack

All messages of one partition that arrived together are decided in order over one snapshot, which
carries what earlier ones changed, and are committed in one call. What conflicts is settled one by
one. A request is settled the same way, with its idempotency key in place of the fence.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from shared.contracts.decision import Decision, Document, Domain, Fold
from shared.contracts.event import ID_PATTERN, Event, F, Fact, encode, fingerprint, format_time
from shared.contracts.reasons import Reason
from shared.money import AMOUNT_MINOR_MAX
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.observe import DEAD_LETTERS, SETTLED, log, raised_at
from shared.runtime.store import Charge, Commit, Committed, Line, Store, Versioned, Write

#: Decisions taken again before the caller is told to come back; each means somebody else got
#: through, so sixteen in a row is a queue and not bad luck.
ATTEMPTS_MAX = 16
#: An answer is kept longer than a phone may hold a request in its queue (24 h).
ANSWER_TTL_S = 48 * 3600
#: A whole event; the longest text in four-byte characters, sealed nowhere yet, fits four times over.
EVENT_BYTES_MAX = 256 * 1024
#: Unexpected failures in a row after which it is us that is broken, not the messages.
BRAKE_AFTER = 10

D = TypeVar("D", bound=Document)
SAFE_ID = re.compile(ID_PATTERN)
CE_HEADERS = ("id", "source", "specversion", "type", "time", "subject", "correlationid", "causationid")


class Broken(Exception):
    """Too many unexpected failures in a row: stop before every message becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What caused a decision: its position, the id of its event, and whose story it belongs to.

    The facts' ids are made from the position, so a replay makes the same ones.
    """

    cause: str
    causation: str
    correlation: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it came from a topic."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks what under which idempotency key; `body_hash` tells two bodies apart."""

    principal: str
    route: str
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a request led to: its last fact, the last sequence, and whether it was a repeat."""

    fact: Fact
    sequence: int
    replayed: bool


class Fence(BaseModel):
    """How far a partition is applied: by offset, and by the owner's sequence."""

    offset: int = -1
    sequence: int = -1


class StoredAnswer(BaseModel):
    """What a request led to, for whoever asks again with the same key."""

    request: str
    type: str
    data: dict[str, Any]


class Snapshot:
    """What a handler may see: documents and balances as read, and as changed earlier in this commit."""

    def __init__(self, store: Store, domain: Domain, now: datetime) -> None:
        self.now = now
        self._time = format_time(now)
        self._store = store
        self._domain = domain
        self._source = f"/{domain.owner}"
        self._read: dict[str, Versioned] = {}
        self._state: dict[str, Document | None] = {}
        self._changed: set[str] = set()
        self._balances: dict[str, int] = {}
        self._charges: list[Charge] = []
        self._timers: dict[str, int | None] = {}
        self._lines: list[bytes] = []
        self._extra: list[Write] = []

    async def prefetch(self, keys: Sequence[str]) -> None:
        """Read what is not yet known in one round trip; raises Unavailable."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._read]
        if missing:
            self._read.update(zip(missing, await self._store.read(missing), strict=True))

    def know(self, found: Iterable[tuple[str, Versioned]]) -> None:
        """Take what was read together with something else."""
        self._read.update(found)

    async def get(self, document: type[D], document_id: str) -> D | None:
        """The entity as it stands for this decision, or None; raises Unavailable."""
        key = f"{document.KIND}:{document_id}"
        if key in self._state:
            return cast("D | None", self._state[key])
        if key not in self._read:
            await self.prefetch([key])
        body = self._read[key].body
        state = document.model_validate_json(body) if body else None
        self._state[key] = state
        return state

    async def balances(self, accounts: Sequence[str]) -> dict[str, int]:
        """Balances in minor units as they stand for this decision; raises Unavailable."""
        missing = [account for account in accounts if account not in self._balances]
        if missing:
            self._balances.update(zip(missing, await self._store.balances(missing), strict=True))
        return {account: self._balances[account] for account in accounts}

    def expect(self, write: Write) -> None:
        """Add a document of the runtime's own (fence, answer) to the commit."""
        self._extra.append(write)

    def clear_timer(self, member: str) -> None:
        """The timer that is being settled is done, unless the decision sets it again."""
        self._timers[member] = None

    def dead_letter(self, line: Line) -> None:
        """Put a dead letter into the commit."""
        self._lines.append(line.encode())

    async def absorb(self, fact: Fact) -> None:
        """Fold a fact into the documents, accounts and timers of this commit."""
        for fold in self._domain.folds.get(type(fact), ()):
            await self._fold(fold, fact)
        for timer in self._domain.timers(fact):
            due = None if timer.due is None else int(timer.due.timestamp() * 1000)
            self._timers[f"{timer.name}|{timer.id}"] = due

    async def _fold(self, fold: Fold, fact: Fact) -> None:
        document_id = fold.id(fact)
        state = await self.get(fold.document, document_id)
        key = f"{fold.document.KIND}:{document_id}"
        self._state[key] = fold.evolve(state, fact)
        self._changed.add(key)

    async def apply(self, decision: Decision, origin: Origin) -> None:
        """Take a decision's facts into the commit: lines, documents, accounts, timers."""
        for ordinal, fact in enumerate(decision.facts):
            line = encode(
                fact,
                source=self._source,
                event_id=fingerprint(origin.cause, fact.TYPE, str(ordinal)),
                time=self._time,
                correlation=origin.correlation,
                causation=origin.causation,
                cause=origin.cause,
            )
            self._lines.append(Line(fact.TOPIC, fact.key(), line).encode())
            for posting in self._domain.postings(fact):
                ceiling = decision.ceilings.get(posting.account, AMOUNT_MINOR_MAX)
                self._charges.append(Charge(posting.account, posting.amount_minor, ceiling))
                if posting.account in self._balances:
                    self._balances[posting.account] += posting.amount_minor
            await self.absorb(fact)

    def commit(self) -> Commit:
        """Everything this snapshot saw and changed, ready for the store."""
        writes = [
            Write(key, read.version, self._body(key) if key in self._changed else None)
            for key, read in self._read.items()
        ]
        return Commit(writes + self._extra, self._charges, list(self._timers.items()), self._lines)

    def _body(self, key: str) -> bytes:
        state = self._state[key]
        if state is None:
            msg = f"{key} changed to nothing"
            raise AssertionError(msg)
        return state.model_dump_json(exclude_none=True).encode()


def read_nothing(_event: Event[Any]) -> Sequence[str]:
    """For handlers that need no document."""
    return ()


async def decide_nothing(_event: Event[Any], _snapshot: Snapshot) -> Decision:
    """For facts that only fold into our documents."""
    return Decision()


@dataclass(frozen=True)
class Handler(Generic[F]):
    """How one type of fact is taken: what to read first, and the decision."""

    fact: type[F]
    decide: Callable[[Event[F], Snapshot], Awaitable[Decision]] = decide_nothing
    reads: Callable[[Event[F]], Sequence[str]] = read_nothing


class Inbox:
    """The handlers of one topic, and the border where bytes become events.

    `strict`: a type nobody handles is a dead letter (the intake); else it is somebody else's (facts).
    """

    def __init__(self, topic: str, handlers: Sequence[Handler[Any]], *, strict: bool = False) -> None:
        self.topic = topic
        self.strict = strict
        self._handlers = {handler.fact.TYPE: handler for handler in handlers}
        self._models = {handler.fact.TYPE: Event[handler.fact] for handler in handlers}  # type: ignore[name-defined]  # a generic model of a run-time type

    def parse(self, record: Record) -> tuple[Event[Any], Handler[Any]] | None:
        """The event and its handler, or None if it is not for us; raises Rejected."""
        body = self._attributes(record)
        event_type = body.get("type")
        if not body.get("id"):
            raise Rejected(Reason.MISSING_ID, where=("id",))
        handler = self._handlers.get(event_type) if isinstance(event_type, str) else None
        if handler is None:
            if self.strict:
                raise Rejected(Reason.UNKNOWN_TYPE, where=("type",))
            return None
        try:
            return self._models[handler.fact.TYPE].model_validate(body), handler
        except ValidationError as error:
            raise Rejected(Reason.SCHEMA_INVALID, where=locations(error)) from None

    def _attributes(self, record: Record) -> dict[str, Any]:
        """CloudEvents structured or binary mode as one dictionary; raises Rejected."""
        value = record.value
        if not value:
            raise Rejected(Reason.MALFORMED_BYTES)
        if len(value) > EVENT_BYTES_MAX:
            raise Rejected(Reason.TOO_LARGE)
        try:
            body = from_json(value, allow_inf_nan=False)
        except ValueError:
            try:
                value.decode()
            except UnicodeDecodeError:
                raise Rejected(Reason.INVALID_UTF8) from None
            raise Rejected(Reason.MALFORMED_BYTES) from None
        binary = {name[3:]: text for name, text in record.headers if name.startswith("ce_")}
        if binary:
            body = {"data": body}
            for name in CE_HEADERS:
                if name in binary:
                    body[name] = binary[name].decode(errors="replace")
        if not isinstance(body, dict):
            raise Rejected(Reason.SCHEMA_INVALID)
        return body


def locations(error: ValidationError) -> tuple[str, ...]:
    """Where the schema was not met, as JSON pointers of bounded number; never a value."""
    return tuple("/" + "/".join(str(part) for part in item["loc"]) for item in error.errors()[:5])


def safe(identifier: str) -> str:
    """An id from outside as one that may be printed anywhere: itself, or a fingerprint of it."""
    if len(identifier) <= 128 and SAFE_ID.match(identifier):  # noqa: PLR2004 - Id's bound
        return identifier
    return fingerprint(identifier)


class Settler:
    """Settles the inputs of one service against one store."""

    def __init__(
        self,
        store: Store,
        domain: Domain,
        *,
        now: Callable[[], datetime],
        seal_dead: Callable[[bytes], bytes],
        crash: Callable[[str], None],
    ) -> None:
        self.store = store
        self._domain = domain
        self._now = now
        self._seal_dead = seal_dead
        self._crash = crash
        self._facts = {fact.TYPE: fact for fact in domain.folds}
        self._failures = 0

    def look(self) -> Snapshot:
        """A snapshot to read from; what it sees is never committed."""
        return Snapshot(self.store, self._domain, self._now())

    # ---- streams -------------------------------------------------------------------------------

    async def settle_records(self, inbox: Inbox, partition: int, records: Sequence[Record]) -> None:
        """Settle records of one partition in their order; returns when they are on disk.

        Waits for the store; raises Unavailable when it is away, Broken when the brake is pulled.
        Doing it again after any failure changes nothing that was already applied.
        """
        parsed = [self._parse(inbox, record) for record in records]
        if len(records) > 1 and await self._try_together(inbox, partition, records, parsed):
            return
        for record, result in zip(records, parsed, strict=True):
            await self._settle_one(inbox, partition, record, result)

    def _parse(
        self, inbox: Inbox, record: Record
    ) -> tuple[Event[Any], Handler[Any]] | Rejected | None:
        try:
            return inbox.parse(record)
        except Rejected as rejected:
            return rejected

    async def _try_together(
        self,
        inbox: Inbox,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[tuple[Event[Any], Handler[Any]] | Rejected | None],
    ) -> bool:
        """One commit for all; False when they must be settled one by one."""
        try:
            snapshot = await self._decide_records(inbox, partition, records, parsed)
        except (Unavailable, Broken):
            raise
        except Exception:  # noqa: BLE001 - found again, alone, by _settle_one, which is loud about it
            return False
        if snapshot is None:
            return True
        self._crash("decided")
        outcome = await self.store.commit(snapshot.commit())
        self._crash("committed")
        if isinstance(outcome, Committed):
            self._failures = 0
            SETTLED.labels(self._domain.owner, inbox.topic).inc(len(records))
            return True
        return False

    async def _settle_one(
        self,
        inbox: Inbox,
        partition: int,
        record: Record,
        result: tuple[Event[Any], Handler[Any]] | Rejected | None,
    ) -> None:
        for _ in range(ATTEMPTS_MAX):
            try:
                snapshot = await self._decide_records(inbox, partition, [record], [result])
            except (Unavailable, Broken):
                raise
            except Exception as error:  # noqa: BLE001 - buried with an alarm; the partition moves on
                self._failures += 1
                log.error(
                    "handler_failed",
                    topic=inbox.topic,
                    partition=partition,
                    offset=record.offset,
                    error=type(error).__name__,
                    at=raised_at(error),
                )
                if self._failures >= BRAKE_AFTER:
                    raise Broken from None
                result = Rejected(Reason.HANDLER_FAILED)
                continue
            if snapshot is None:
                return
            if isinstance(await self.store.commit(snapshot.commit()), Committed):
                if not isinstance(result, Rejected):
                    self._failures = 0
                SETTLED.labels(self._domain.owner, inbox.topic).inc()
                return
        raise Unavailable(Reason.CONTENDED)

    async def _decide_records(
        self,
        inbox: Inbox,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[tuple[Event[Any], Handler[Any]] | Rejected | None],
    ) -> Snapshot | None:
        """A snapshot holding everything the records cause, or None if all were applied before."""
        fence_key = f"fence:{inbox.topic}:{partition}"
        snapshot = Snapshot(self.store, self._domain, self._now())
        keys: dict[str, None] = {}
        for result in parsed:
            if isinstance(result, tuple):
                event, handler = result
                keys.update(dict.fromkeys(handler.reads(event)))
        fence_read, *found = await self.store.read([fence_key, *keys])
        snapshot.know(zip(keys, found, strict=True))
        fence = Fence.model_validate_json(fence_read.body) if fence_read.body else Fence()
        offset, sequence = fence.offset, fence.sequence
        for record, result in zip(records, parsed, strict=True):
            if record.offset <= offset:
                continue
            offset = record.offset
            if result is None:
                continue
            if isinstance(result, Rejected):
                self._bury(snapshot, inbox, partition, record, result)
                continue
            event, handler = result
            number = -1 if event.sequence is None else int(event.sequence)
            if 0 <= number <= sequence:
                continue
            sequence = max(sequence, number)
            origin = Origin(
                cause=f"{inbox.topic}/{partition}/{record.offset}/{number}",
                causation=safe(event.id),
                correlation=safe(event.correlationid or event.id),
            )
            try:
                decision = await handler.decide(event, snapshot)
            except Rejected as rejected:
                self._bury(snapshot, inbox, partition, record, rejected)
                continue
            await snapshot.absorb(event.data)
            await snapshot.apply(decision, origin)
        if offset == fence.offset:
            return None
        body = f'{{"offset":{offset},"sequence":{sequence}}}'.encode()
        snapshot.expect(Write(fence_key, fence_read.version, body))
        return snapshot

    def _bury(
        self, snapshot: Snapshot, inbox: Inbox, partition: int, record: Record, why: Rejected
    ) -> None:
        """Add the dead letter: original bytes sealed, reason and origin in headers, never a value."""
        headers = (
            ("reason", why.reason.value),
            ("where", ",".join(re.sub(r"[^A-Za-z0-9_/,.-]", "_", part) for part in why.where)[:200]),
            ("origin-topic", inbox.topic),
            ("origin-partition", str(partition)),
            ("origin-offset", str(record.offset)),
        )
        value = self._seal_dead(record.value or b"")
        topic = f"recovery.{self._domain.owner}.dlq.v1"
        snapshot.dead_letter(Line(topic, f"{inbox.topic}/{partition}/{record.offset}", value, headers))
        DEAD_LETTERS.labels(self._domain.owner, why.reason.value).inc()
        log.warning(
            "dead_letter",
            reason=why.reason.value,
            topic=inbox.topic,
            partition=partition,
            offset=record.offset,
        )

    # ---- requests ------------------------------------------------------------------------------

    async def settle_request(
        self,
        request: Request,
        decide: Callable[[Snapshot, str], Awaitable[Decision]],
        reads: Sequence[str] = (),
    ) -> Settled:
        """Settle one write under its idempotency key; returns when it is on disk.

        `decide` gets the snapshot and the id new entities are named after, the same at every retry
        of the request. Its last fact is the answer. Waits for the store; raises Rejected,
        Unavailable, and Rejected(idempotency_key_reused) for the same key with another body.
        """
        name = fingerprint(request.principal, request.route, request.key)
        key = f"answer:{name}"
        origin = Origin(f"http/{name}/{request.body_hash}", name, name)
        for _ in range(ATTEMPTS_MAX):
            snapshot = Snapshot(self.store, self._domain, self._now())
            answer, *found = await self.store.read([key, *reads])
            snapshot.know(zip(reads, found, strict=True))
            if answer.body:
                return await self._replay(request, StoredAnswer.model_validate_json(answer.body))
            decision = await decide(snapshot, name)
            fact = decision.facts[-1]
            await snapshot.apply(decision, origin)
            body = (
                f'{{"request":"{request.body_hash}","type":"{fact.TYPE}",'
                f'"data":{fact.model_dump_json()}}}'
            )
            snapshot.expect(Write(key, 0, body.encode(), ANSWER_TTL_S))
            outcome = await self.store.commit(snapshot.commit())
            self._crash("committed")
            if isinstance(outcome, Committed):
                return Settled(fact, outcome.sequence, replayed=False)
        raise Unavailable(Reason.CONTENDED)

    async def _replay(self, request: Request, answer: StoredAnswer) -> Settled:
        if answer.request != request.body_hash:
            raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED)
        fact = self._facts[answer.type].model_validate(answer.data)
        return Settled(fact, await self.store.last_sequence(), replayed=True)

    # ---- timers and effects --------------------------------------------------------------------

    async def settle_internal(
        self,
        cause: str,
        correlation: str,
        decide: Callable[[Snapshot], Awaitable[Decision]],
        timer: str | None = None,
    ) -> Sequence[Fact]:
        """Settle something of our own: a timer that rang, the outcome of an effect.

        Returns the facts that came of it. Waits for the store; raises Unavailable.
        """
        for _ in range(ATTEMPTS_MAX):
            snapshot = Snapshot(self.store, self._domain, self._now())
            if timer is not None:
                snapshot.clear_timer(timer)
            decision = await decide(snapshot)
            await snapshot.apply(decision, Origin(cause, fingerprint(cause), correlation))
            if isinstance(await self.store.commit(snapshot.commit()), Committed):
                return decision.facts
        raise Unavailable(Reason.CONTENDED)

