"""Settling: one input in, a pure decision, one atomic commit out.

    bytes → Event → fence → handler → commit → ack

All messages of one partition that arrived together are decided in order in one transaction, which
carries what earlier ones changed, and are committed in one call. A batch that conflicts is tried again,
and at last settled one by one. A request is settled the same way, with its idempotency key in place of
the fence.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from shared.contracts.deadletters import TAKEN, DeadLetter, DeadLetterReplayed
from shared.contracts.event import Event, fingerprint
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Domain, Fact
from shared.runtime.engine.deadletters import Buried, DeadLetters, Replay, dead_letter_line
from shared.runtime.engine.steps import Steps
from shared.runtime.engine.store import Committed, Conflict, SettlerStore, Versioned, Write
from shared.runtime.engine.transaction import Origin, Transaction
from shared.runtime.engine.view import Arrival, View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Inbox, Input, Record
from shared.runtime.kafka.raises import Raises
from shared.runtime.observe import (
    DEAD_LETTERS,
    LOG_HOLES,
    RECORDS_MISSED,
    SETTLED,
    UNKNOWN_FIELDS,
    log,
    raised_at,
)
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.runtime.tracing import Tracer

#: The most decisions for one input before the caller must retry. Each conflict means that another
#: input was committed, so sixteen in a row is a queue.
ATTEMPTS_MAX = 16
#: Tries of a whole batch before its records are settled one by one, each with a commit of its own.
TOGETHER_MAX = 3
#: Records decided before whatever else waits in this process has its turn: some milliseconds. Without it a batch of an
#: import would hold up requests, and the store's answers to them, for a second and more.
TURN_RECORDS = 16
#: Kinds of unknown fields that a process logs, each once; further ones are only counted.
UNKNOWN_LOGGED_MAX = 100
#: How long an answer is kept: longer than a phone may queue a request (24 h).
ANSWER_TTL_S = 48 * 3600
#: Unexpected failures in a row that show a defect of ours and not of the messages.
BRAKE_AFTER = 10
#: Sources remembered per partition; the least recently heard is dropped. A topic has few sources.
SOURCES_MAX = 16
#: The form of our own event and correlation ids: a fingerprint or pseudonym, perhaps with its kind.
OWN_ID = re.compile(r"(?:[a-z]{1,2}-)?[0-9a-f]{32}")


class Broken(Exception):
    """Too many unexpected failures in a row: stop before every message becomes a dead letter."""


class Gap(Exception):
    """A batch begins above the next offset of its fence, `first`."""

    def __init__(self, first: int) -> None:
        super().__init__(first)
        self.first = first


class ReplayFailed(Exception):
    """Our code failed on a dead letter that was sent again, and not on the fact that says so."""

    def __init__(self, buried: Buried) -> None:
        super().__init__(buried.name)
        self.buried = buried


class Older(Exception):
    """The store was restored to an older state: less of a partition is applied than this process saw."""


#: Reads again what may lie in a gap: topic, partition, first offset, the offset to stop before. Some
#: records at a time, in order; none where there are none.
ReadAgain = Callable[[str, int, int, int], Awaitable[Sequence[Record]]]
#: Errors that no single record causes, so that settling one by one would not find it.
STOPS = (Unavailable, Broken, Older, Gap)
#: What a record waits for and a dead letter does not: it may never come, and an operator can send the
#: letter once more.
NOT_YET = (
    Reason.KEY_NOT_YET_KNOWN,
    Reason.STORY_NOT_YET_KNOWN,
    Reason.POLICY_NOT_YET_KNOWN,
)


def log_failed(topic: str, partition: int, offset: int, error: BaseException) -> None:
    """Log that our code failed on a record."""
    place = {"topic": topic, "partition": partition, "offset": offset}
    log.error("handler_failed", **place, error=type(error).__name__, at=raised_at(error))


def _why(refused: Rejected) -> tuple[str, str]:
    """Reason and places of a refusal as a dead letter's headers have them; never a value."""
    where = (re.sub(r"[^A-Za-z0-9_/,.-]", "_", part) for part in refused.where)
    return refused.reason.value, ",".join(where)[:200]


def timer_cause(name: str, timer_id: str, due_ms: int, step: str = "") -> str:
    """The cause of what comes of a timer that fired; `step` tells two firings of one moment apart."""
    return "/".join(filter(None, ("timer", name, timer_id, step, str(due_ms))))


def timer_of(cause: str) -> str:
    """The timer that such a cause names, as a store has it."""
    name, _, rest = cause.removeprefix("timer/").partition("/")
    return f"{name}|{rest.rpartition('/')[0]}"


@dataclass(frozen=True, slots=True)
class Request:
    """A write: its principal, route, idempotency key and body's hash."""

    principal: str
    route: str
    key: str
    body_hash: str
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """The result of a request: its last fact, the last sequence, and whether it was a repeat."""

    fact: Fact
    sequence: int
    replayed: bool


class Fence(BaseModel):
    """How far a partition is applied: by offset, and by the sequence of each source.

    `failures` counts the records in a row that ended as `handler_failed`. It is kept here, because a count
    in the process would restart with it, and more records would become dead letters. `missing` counts, for
    an inbox that is `gapless`, what was not there or became a dead letter since the last decision.
    """

    offset: int = -1
    sequences: dict[str, int] = {}
    failures: int = 0
    missing: int = 0

    def advance(self, source: str, number: int) -> bool:
        """Move on to the sequence of a source's line; False, and no change, if it was applied before."""
        last = self.sequences.get(source, -1)
        if number <= last:
            return False
        self.sequences.pop(source, None)
        self.sequences[source] = number  # the dictionary is ordered by when a source was heard
        if len(self.sequences) > SOURCES_MAX:
            del self.sequences[next(iter(self.sequences))]
        return True


def fence_key(topic: str, partition: int) -> str:
    """The document of a partition's fence."""
    return f"fence:{topic}:{partition}"


def _origin(cause: str, event: Event[Any]) -> Origin:
    """The origin of what is decided about an event."""
    return Origin(cause, event.id, event.correlationid or event.id, event.traceparent)


class StoredAnswer(BaseModel):
    """What is kept to answer a repeated request: the hash of its body, and what its answer is made from."""

    request: str
    type: str
    data: dict[str, Any]


def kept_answer(domain: Domain, request: str, fact: Fact, written: str) -> bytes:
    """The stored answer that a fact is; `written` is the whole fact as it is on the topic.

    A commit and a rebuild store the same bytes: the fields that the domain lists, or the whole fact.
    """
    fields = domain.shown.get(type(fact))
    data = written if fields is None else fact.written(fields)
    return f'{{"request":"{request}","type":"{fact.TYPE}","data":{data}}}'.encode()


def fact_of(domain: Domain, kind: type[Fact], data: dict[str, Any]) -> Fact:
    """The fact of a stored answer; reading a field that was not kept raises AttributeError."""
    fields = domain.shown.get(kind)
    if fields is None:
        return kind.model_validate(data)
    kept = dict(_part(kind, frozenset(fields)).model_validate(data))
    fact = kind.model_construct(**kept)
    for name in fact.__dict__.keys() - kept.keys():
        del fact.__dict__[name]  # a default, which the whole fact need not have
    return fact


@cache
def _part(kind: type[Fact], fields: frozenset[str]) -> type[BaseModel]:
    """A model of some of a fact's fields."""
    known = kind.model_fields
    named: dict[str, Any] = {name: (known[name].annotation, known[name]) for name in fields}
    return create_model(kind.__name__, **named)


class Settler:
    """Settles the inputs of one service against one store."""

    def __init__(
        self,
        store: SettlerStore,
        domain: Domain,
        *,
        now: Callable[[], datetime],
        pseudonyms: Pseudonyms,
        seal_dead: Callable[[bytes, str], bytes],
        crash: Callable[[str], None],
        tracer: Tracer | None = None,
    ) -> None:
        self.store = store
        self.tracer = tracer or Tracer()
        self.steps = Steps(self.tracer, store)
        self._domain = domain
        self._now = now
        self._names = pseudonyms
        self._seal_dead = seal_dead
        self._crash = crash
        #: Called when records set a timer that is due at once.
        self.on_due: Callable[[], None] = lambda: None
        #: Finds the dead letters that operators send again; without it none is settled again.
        self.dead_letters: DeadLetters | None = None
        self._facts = {fact.TYPE: fact for fact in domain.folds}
        #: How far this process saw each partition applied, by the key of its fence.
        self._applied: dict[str, int] = {}
        #: Unknown fields that were logged, by topic and place.
        self._unknown: set[tuple[str, str]] = set()
        #: What topics say that were given more partitions; read before anything of them is settled.
        self.raises = Raises()

    def view(self) -> View:
        """A read-only view of the store."""
        return View(self.store, self._domain, self._now())

    # ---- streams -------------------------------------------------------------------------------

    async def settle_records(
        self,
        inbox: Inbox,
        partition: int,
        records: Sequence[Record],
        read_again: ReadAgain | None = None,
    ) -> None:
        """Settle records of one partition in their order; returns when they are on disk.

        If they begin above the next offset of the fence, records that `read_again` finds in between are
        settled first; without it the caller asserts that there are none. Waits for the store;
        raises Unavailable when it is away, Broken when the brake is pulled, Older when it came back
        older, and what `read_again` raises. Safe to retry: records already applied are skipped.
        """
        try:
            await self._settle_batch(inbox, partition, records, gap_checked=read_again is None)
        except Gap as gap:
            assert read_again is not None
            await self._fill(inbox, partition, range(gap.first, records[0].offset), read_again)
            await self._settle_batch(inbox, partition, records, gap_checked=True)

    async def _settle_batch(
        self, inbox: Inbox, partition: int, records: Sequence[Record], *, gap_checked: bool
    ) -> None:
        """Settle them in one commit if that goes, each in its own if not.

        `gap_checked` says that what is missing before the first of them has no records; without it, Gap is
        raised if the fence has not come to that record.
        """
        found = [self._parse(inbox, record) for record in records]
        self._tell_unknown(inbox.topic, partition, records, found)
        # A letter may be of megabytes, so those sent again are never in one commit.
        alone = len(records) == 1 or inbox.topic == DeadLetterReplayed.TOPIC
        with self.steps.settling(inbox, partition, records, found) as parsed:
            if alone or not await self._try_together(
                inbox, partition, records, parsed, gap_checked
            ):
                for record, result in zip(records, parsed, strict=True):
                    await self._settle_one(inbox, partition, record, result, gap_checked)
                    gap_checked = True  # a gap inside a batch has no records, because its records were fetched together
        self._saw(fence_key(inbox.topic, partition), records[-1].offset)

    async def _fill(self, inbox: Inbox, partition: int, gap: range, read_again: ReadAgain) -> None:
        """Settle the records in a gap and log them as an error; pass over a gap without records."""
        labels = (self._domain.owner, inbox.topic)
        first = gap.start
        while first < gap.stop:
            found = await read_again(inbox.topic, partition, first, gap.stop)
            if not found:
                break
            await self._settle_batch(inbox, partition, found, gap_checked=True)
            RECORDS_MISSED.labels(*labels).inc(len(found))
            where = {"topic": inbox.topic, "partition": partition}
            log.error("records_missed", **where, first=found[0].offset, last=found[-1].offset)
            first = found[-1].offset + 1
        if first == gap.start:
            LOG_HOLES.labels(*labels).inc()

    async def applied(self, places: Sequence[tuple[str, int]]) -> Sequence[int]:
        """The last offset applied of each partition, -1 where there is none.

        Waits for the store; raises Unavailable, and Older where this process saw more applied.
        """
        keys = [fence_key(*place) for place in places]
        known = [self._applied.get(key, -1) for key in keys]
        fences = map(self._fence, places, await self.store.read(keys), known)
        return [self._saw(key, fence.offset) for key, fence in zip(keys, fences, strict=True)]

    def _fence(self, place: tuple[str, int], found: Versioned, known: int) -> Fence:
        """The fence of a partition; raises Older if this process knew a higher offset before the read.

        The records in between are acknowledged, so that only reading from the fence on brings them again.
        """
        try:
            fence = (
                Fence.model_validate_json(found.body)
                if found.body
                else Fence(sequences=self.raises.heard(*place))
            )
        except ValidationError:
            raise self.store.unreadable(fence_key(*place)) from None
        self.store.met.discard(fence_key(*place))
        if fence.offset < known:
            raise Older
        return fence

    def _saw(self, key: str, offset: int) -> int:
        self._applied[key] = max(offset, self._applied.get(key, -1))
        return offset

    def _parse(self, inbox: Inbox, record: Record) -> Input | Rejected | None:
        try:
            found = inbox.parse(record)
        except Rejected as rejected:
            return rejected
        if found is None:
            return None
        event = self._renamed(found.event, outside=inbox.strict)
        return found if event is found.event else replace(found, event=event)

    def _tell_unknown(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[Input | Rejected | None],
    ) -> None:
        """Count the events with fields that are not known, and log where each such field was first."""
        for record, one in zip(records, parsed, strict=True):
            if not isinstance(one, Input) or not one.unknown:
                continue
            UNKNOWN_FIELDS.labels(self._domain.owner, topic).inc()
            where = ",".join(one.unknown)
            if (topic, where) not in self._unknown and len(self._unknown) < UNKNOWN_LOGGED_MAX:
                self._unknown.add((topic, where))
                place = {"topic": topic, "partition": partition, "offset": record.offset}
                log.warning("unknown_fields", **place, where=where)

    def _renamed(self, event: Event[Any], *, outside: bool) -> Event[Any]:
        """The event with pseudonyms for its ids, because ids of other systems may be names.

        Facts of our services have such ids already; earlier builds let correlation ids through.
        """
        names, event_id, correlation = self._names, event.id, event.correlationid
        if outside or not OWN_ID.fullmatch(event_id):
            event_id = names.event(event.source, event_id)
        if not correlation:
            correlation = event_id
        elif outside or not OWN_ID.fullmatch(correlation):
            correlation = names.correlation(correlation)
        if (event_id, correlation) == (event.id, event.correlationid):
            return event
        return event.model_copy(update={"id": event_id, "correlationid": correlation})

    async def _try_together(
        self,
        inbox: Inbox,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[Input | Rejected | None],
        gap_checked: bool,
    ) -> bool:
        """Settle all in one commit; False if they must be settled one by one."""
        for _ in range(TOGETHER_MAX):
            try:
                transaction = await self._decide_records(
                    inbox, partition, records, parsed, gap_checked
                )
            except STOPS:
                raise
            except Exception:  # noqa: BLE001 - found again, alone, by _settle_one, which is loud about it
                return False
            if transaction is None:
                return True
            self._crash("decided")
            await self.steps.keep(transaction)
            outcome = await self.store.commit(transaction.commit())
            self._crash("committed")
            if isinstance(outcome, Committed):
                self._settled(inbox, transaction, len(records))
                return True
            if not isinstance(outcome, Conflict):
                return False
        return False

    async def _settle_one(
        self,
        inbox: Inbox,
        partition: int,
        record: Record,
        result: Input | Rejected | None,
        gap_checked: bool,
    ) -> None:
        for _ in range(ATTEMPTS_MAX):
            try:
                transaction = await self._decide_records(
                    inbox, partition, [record], [result], gap_checked
                )
            except STOPS:
                raise
            except ReplayFailed as failed:
                one = failed.buried
                log_failed(one.topic, one.partition, one.offset, failed.__cause__ or failed)
                assert isinstance(result, Input)
                result = replace(result, replay=Rejected(Reason.HANDLER_FAILED))
                continue
            except Exception as error:  # noqa: BLE001 - buried with an alarm; the partition moves on
                log_failed(inbox.topic, partition, record.offset, error)
                result = Rejected(Reason.HANDLER_FAILED)
                continue
            if transaction is None:
                return
            await self.steps.keep(transaction)
            if isinstance(await self.store.commit(transaction.commit()), Committed):
                self._settled(inbox, transaction, 1)
                return
        raise Unavailable(Reason.CONTENDED)

    def _settled(self, inbox: Inbox, transaction: Transaction, records: int) -> None:
        """Count and log the records that are on disk now, and say that timers are due."""
        if transaction.due_at_once():
            self.on_due()
        SETTLED.labels(self._domain.owner, inbox.topic).inc(records)
        for line in transaction.dead:
            headers = dict(line.headers)
            reason, topic = headers["reason"], headers["origin-topic"]
            partition, offset = int(headers["origin-partition"]), int(headers["origin-offset"])
            DEAD_LETTERS.labels(self._domain.owner, reason).inc()
            self.steps.refused(topic, partition, offset, reason)
            log.warning(
                "dead_letter", reason=reason, topic=topic, partition=partition, offset=offset
            )

    async def _decide_records(
        self,
        inbox: Inbox,
        partition: int,
        records: Sequence[Record],
        parsed: Sequence[Input | Rejected | None],
        gap_checked: bool,
    ) -> Transaction | None:
        """A transaction holding everything the records cause, or None if all were applied before.

        Raises Broken after too many failures in a row, Older, and Gap if the records do not begin at the
        fence's next offset.
        """
        its_key = fence_key(inbox.topic, partition)
        known = self._applied.get(its_key, -1)
        transaction = Transaction(self.store, self._domain, self._now(), outside=inbox.strict)
        keys: dict[str, None] = {}
        for result in parsed:
            if isinstance(result, Input):
                keys.update(dict.fromkeys(self._domain.changed_by(result.event.data)))
                keys.update(dict.fromkeys(result.prepared.reads))
        fence_read, *found = await self.store.read([its_key, *keys])
        transaction.know(zip(keys, found, strict=True))
        fence = self._fence((inbox.topic, partition), fence_read, known)
        applied = fence.offset
        if not gap_checked and records[0].offset > applied + 1:
            raise Gap(applied + 1)
        for number, (record, result) in enumerate(zip(records, parsed, strict=True), 1):
            if record.offset <= fence.offset:
                continue
            if number % TURN_RECORDS == 0:
                await asyncio.sleep(0)
            fence.missing += (record.offset - fence.offset - 1) * inbox.gapless
            fence.offset = record.offset
            if result is None:
                continue
            if isinstance(result, Rejected):
                if result.reason is Reason.HANDLER_FAILED:
                    fence.failures += 1
                    if fence.failures >= BRAKE_AFTER:
                        raise Broken
                self._bury(transaction, inbox, partition, record, result)
                fence.missing += inbox.gapless
                continue
            event = result.event
            sequence = -1 if event.sequence is None else int(event.sequence)
            # Other systems may number their events as they like; only our relays number lines.
            if sequence >= 0 and not inbox.strict and not fence.advance(event.source, sequence):
                continue
            transaction.arrival = Arrival(inbox.topic, partition, record.offset, fence.missing)
            place = f"{inbox.topic}/{partition}/{record.offset}/"
            await self._send_again(transaction, result, place)
            try:
                decision = await result.prepared.decide(transaction)
            except Rejected as rejected:
                self._bury(transaction, inbox, partition, record, rejected)
                fence.failures = 0
                fence.missing += inbox.gapless
                continue
            fence.failures = fence.missing = 0
            transaction.fold_event(event)
            await transaction.apply(decision, _origin(f"{place}{sequence}", event))
        if fence.offset == applied:
            return None
        transaction.write(Write(its_key, fence_read.version, fence.model_dump_json().encode()))
        return transaction

    def _bury(
        self, transaction: Transaction, inbox: Inbox, partition: int, record: Record, why: Rejected
    ) -> None:
        """Add the dead letter of a record that was refused for the first time."""
        place = (self._domain.owner, inbox.topic, partition, record.offset)
        buried = Buried(*place, 1, *_why(why))
        transaction.dead_letter(dead_letter_line(buried, record, self._seal_dead))

    # ---- dead letters that are sent again ------------------------------------------------------

    async def _send_again(self, transaction: Transaction, found: Input, place: str) -> None:
        """Settle the dead letter of ours that an operator sends again by this input, if it is one.

        `place` is where the operator's fact lies; of a fact that was a dead letter itself, the cause of
        what came of that letter.

        Of what operators decide about one burial the first counts. What is refused again is buried
        again. Its sequence does not count, because the lines behind it are settled already, and its
        failures pull no brake. Raises Unavailable, and ReplayFailed if our code fails on it.
        """
        fact = found.event.data
        if (
            not isinstance(fact, DeadLetterReplayed)
            or fact.consumer != self._domain.owner
            or self.dead_letters is None
        ):
            return
        known = await transaction.get(DeadLetter, fact.key())
        if known is not None and known.burial >= fact.burial:
            return
        transaction.fold(
            fact
        )  # before the letter is opened, so that one about itself comes to an end
        replay = await self.dead_letters.of(fact)
        if replay is None:
            return
        # In place of a sequence, which an operator's fact has not, the cause has the burial.
        cause = f"{place}{fact.burial}"
        try:
            await self._settle_replay(transaction, replay, found.replay, cause)
        except Rejected as refused:
            reason, where = _why(refused)
            again = replay.buried._replace(burial=fact.burial + 1, reason=reason, where=where)
            sealed = refused.reason is Reason.DEAD_LETTER_UNREADABLE
            transaction.dead_letter(
                dead_letter_line(again, replay.record, self._seal_dead, as_it_is=sealed)
            )

    async def _settle_replay(
        self, transaction: Transaction, replay: Replay, refused: Rejected | None, cause: str
    ) -> None:
        """Decide and apply as for a record that has just come; raises Rejected before anything is applied."""
        parsed = refused or replay.refused or self._parse(replay.inbox, replay.record)
        if isinstance(parsed, Rejected):
            raise parsed
        if parsed is None:
            return
        event, kind, of = parsed.event, TAKEN.get(self._domain.owner), replay.buried
        taken = [kind(letter=of.name, burial=of.burial)] if kind is not None else []
        try:
            decision = await parsed.prepared.decide(transaction)
            await self._send_again(transaction, parsed, f"{cause}.")
            await transaction.read_for(event.data)
            transaction.fold_event(event)
            await transaction.apply(
                replace(decision, facts=(*decision.facts, *taken)),
                _origin(cause, event),
            )
        except Unavailable as unavailable:
            if unavailable.reason not in NOT_YET:
                raise
            raise Rejected(unavailable.reason) from None
        except (Rejected, ReplayFailed):
            raise
        except Exception as error:
            raise ReplayFailed(of) from error

    # ---- requests ------------------------------------------------------------------------------

    async def settle_request(
        self,
        request: Request,
        decide: Callable[[View, str], Awaitable[Decision]],
        reads: Sequence[str] = (),
    ) -> Settled:
        """Settle one write under its idempotency key; returns when it is on disk.

        `decide` gets a view and the id new entities are named after, the same at every retry
        of the request. It returns at least one fact, the last of which is the answer, or raises
        Rejected. If a ceiling was reached meanwhile, as after any conflict, it is called again with
        what is stored now. Waits for the store; raises Rejected,
        Unavailable, and Rejected(idempotency_key_reused) for the same key with another body, or
        where what is named after the request is there and its answer was forgotten.
        """
        name = self._names.request(request.principal, request.route, request.key)
        key = f"answer:{name}"
        origin = Origin(f"http/{name}/{request.body_hash}", name, name, request.trace)
        for _ in range(ATTEMPTS_MAX):
            transaction = Transaction(self.store, self._domain, self._now())
            answer, *found = await self.store.read([key, *reads])
            transaction.know(zip(reads, found, strict=True))
            if answer.body:
                return await self._replay(request, key, answer.body)
            try:
                decision = await decide(transaction, name)
            except Rejected:
                # A copy of the request may have been committed after its answer was read here, and be why
                # this one is refused: a check cannot be voided twice. Then both get the answer.
                if (await self.store.read([key]))[0].body:
                    continue
                raise
            fact = decision.facts[-1]
            data = await transaction.apply(decision, origin)
            if transaction.names_again(name) and not (await self.store.read([key]))[0].body:
                # The entity exists but its stored answer has expired: refuse the old key. If an answer is
                # there now, the same request was committed meanwhile: this commit conflicts, and the next turn
                # answers with it.
                raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED)
            body = kept_answer(self._domain, request.body_hash, fact, data)
            transaction.write(Write(key, 0, body, ANSWER_TTL_S))
            await self.steps.keep(transaction)
            outcome = await self.store.commit(transaction.commit())
            self._crash("committed")
            if isinstance(outcome, Committed):
                return Settled(fact, outcome.sequence, replayed=False)
        raise Unavailable(Reason.CONTENDED)

    async def _replay(self, request: Request, key: str, body: bytes) -> Settled:
        try:
            answer = StoredAnswer.model_validate_json(body)
            fact = fact_of(self._domain, self._facts[answer.type], answer.data)
        except (ValidationError, KeyError):
            raise self.store.unreadable(key) from None  # its text has values
        self.store.met.discard(key)
        if answer.request != request.body_hash:
            raise Rejected(Reason.IDEMPOTENCY_KEY_REUSED)
        await self.store.copied()  # its own commit may have ended without
        return Settled(fact, await self.store.last_sequence(), replayed=True)

    # ---- timers and effects --------------------------------------------------------------------

    def on_timer(
        self, name: str, decide: Callable[[str, View], Awaitable[Decision]]
    ) -> Callable[[str, int], Awaitable[None]]:
        """What settles a timer of this name when it fires: `decide` is given the timer's id.

        Waits for the store; raises Unavailable, and whatever `decide` raises.
        """

        async def fired(timer_id: str, due_ms: int) -> None:
            await self.settle_timer(name, timer_id, due_ms, partial(decide, timer_id))

        return fired

    async def settle_timer(
        self,
        name: str,
        timer_id: str,
        due_ms: int,
        decide: Callable[[View], Awaitable[Decision]],
        *,
        about: str = "",
        step: str = "",
    ) -> Sequence[Fact]:
        """Settle a timer that fired; `about` is whose story it belongs to, the timer's id if empty.

        `step` tells two firings of one millisecond apart, so that their facts have different ids.
        Returns the facts it caused. Waits for the store; raises Unavailable.
        """
        with await self.steps.timer_fired(name, timer_id) as fired:
            return await self.settle_internal(
                timer_cause(name, timer_id, due_ms, step),
                about or timer_id,
                decide,
                (f"{name}|{timer_id}", due_ms),
                fired.traceparent,
            )

    async def settle_internal(
        self,
        cause: str,
        correlation: str,
        decide: Callable[[View], Awaitable[Decision]],
        timer: tuple[str, int] | None = None,
        trace: str | None = None,
    ) -> Sequence[Fact]:
        """Settle an internal input: a fired timer, or the outcome of an effect; `trace` is the step it is part of.

        Returns the facts it caused. Waits for the store; raises Unavailable.
        """
        origin = Origin(cause, fingerprint("cause", cause), correlation, trace)
        for _ in range(ATTEMPTS_MAX):
            transaction = Transaction(self.store, self._domain, self._now())
            if timer is not None:
                member, due_ms = timer
                if transaction.now.timestamp() * 1000 < due_ms:
                    return ()
                transaction.fired(member, due_ms)
            decision = await decide(transaction)
            await transaction.apply(decision, origin)
            await self.steps.keep(transaction)
            if isinstance(await self.store.commit(transaction.commit()), Committed):
                return decision.facts
        raise Unavailable(Reason.CONTENDED)
