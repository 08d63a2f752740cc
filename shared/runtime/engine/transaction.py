"""What one input changes: documents, sorted sets, accounts, timers and lines of one commit.

Only the settler writes here. Handlers get it as a `View`, which shows what earlier inputs of the same
commit changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contracts.event import Event, encode, fingerprint, format_time
from shared.kernel import Decision, Document, Domain, Fact, Fold, Timer
from shared.money import BALANCE_MAX
from shared.runtime.engine.store import (
    KEPT_S,
    Charge,
    Commit,
    Entry,
    Line,
    Reads,
    Versioned,
    Write,
)
from shared.runtime.engine.view import View

#: How long the trace of what set a timer is kept. A letter goes out within seconds as a rule; a timer of
#: tomorrow begins a trace of its own.
TRACE_KEPT_S = 3600


class Origin(NamedTuple):
    """What caused a decision: its position, the id of its event, whose story and trace it belongs to.

    The facts' ids are made from the position, so a replay makes the same ones.
    """

    cause: str
    causation: str
    correlation: str
    trace: str | None = None


class Transaction(View):
    """A view whose commit is being made."""

    def __init__(
        self, store: Reads, domain: Domain, now: datetime, *, outside: bool = False
    ) -> None:
        super().__init__(store, domain, now)
        self._outside = outside
        self._time = format_time(now)
        self._source = f"/{domain.owner}"
        #: What this commit changes, and of which kind each is.
        self._changed: dict[str, type[Document]] = {}
        #: Where changed documents stood before this commit, of the kinds that stand somewhere.
        self._stood: dict[str, Mapping[str, int]] = {}
        self._charges: list[Charge] = []
        self._timers: dict[str, Timer] = {}
        self._fired: tuple[str, int] | None = None
        self._lines: list[bytes] = []
        self._extra: list[Write] = []
        #: The step that causes the timers set now.
        self._trace: str | None = None
        self._timer_traces: dict[str, str] = {}
        #: What goes to the dead letters with this commit.
        self.dead: list[Line] = []

    def know(self, found: Iterable[tuple[str, Versioned]]) -> None:
        """Take what was read together with something else."""
        self._read.update(found)

    def write(self, write: Write) -> None:
        """Add a document of the runtime's own (fence, answer) to the commit."""
        self._extra.append(write)

    def fired(self, member: str, due_ms: int) -> None:
        """Clear the timer that is being settled, unless it is set for later by now or by this decision."""
        self._fired = member, due_ms

    def dead_letter(self, line: Line) -> None:
        """Put a dead letter into the commit."""
        self.dead.append(line)
        self._lines.append(line.encode())

    async def read_for(self, *facts: Fact) -> None:
        """Read the documents that these facts change, those not yet read, in one trip; raises Unavailable."""
        await self.prefetch([key for fact in facts for key in self._domain.changed_by(fact)])

    def fold_event(self, event: Event[Fact]) -> None:
        """Fold the fact that came, in its trace; its documents were read before."""
        self._trace = event.traceparent
        self.fold(event.data)

    def fold(self, fact: Fact) -> None:
        """Fold a fact into the documents and timers of this commit; its documents were read before."""
        self._fold_all(fact, self._domain.folds_of(fact), None)

    def _fold_all(self, fact: Fact, folds: Iterable[tuple[Fold, str]], data: str | None) -> None:
        """Fold a fact whose folds are known; `data` is its JSON if that is known too."""
        for fold, key in folds:
            self._fold(fold, key, fact, data)
        for timer in self._domain.timers(fact):
            member = f"{timer.name}|{timer.id}"
            self._timers[member] = timer
            if self._trace is not None:
                self._timer_traces[member] = self._trace

    def _fold(self, fold: Fold, key: str, fact: Fact, data: str | None) -> None:
        stands = self._domain.indexes.get(fold.document)
        if stands is not None and key not in self._stood:
            before = self._known(fold.document, key)
            self._stood[key] = stands(before) if before is not None else {}
        if fold.evolve is None:
            self._state[key] = (data or fact.written()).encode()
        else:
            self._state[key] = fold.evolve(self._known(fold.document, key), fact)
        self._changed[key] = fold.document

    async def apply(self, decision: Decision, origin: Origin) -> str:
        """Take a decision's facts into the commit: lines, documents, accounts, timers.

        Documents they change that were not read yet are read in one trip. Returns the JSON of the last fact;
        raises Unavailable.
        """
        data, folds = "", [self._domain.folds_of(fact) for fact in decision.facts]
        unread = [key for changed in folds for _, key in changed if key not in self._read]
        if unread:  # of a batch nearly everything was read ahead
            await self.prefetch(unread)
        self._trace = origin.trace
        for ordinal, fact in enumerate(decision.facts):
            data = fact.written()
            line = encode(
                fact,
                source=self._source,
                event_id=fingerprint("fact", origin.cause, fact.TYPE, str(ordinal)),
                time=self._time,
                correlation=origin.correlation,
                causation=origin.causation,
                cause=origin.cause,
                trace=origin.trace,
                data=data,
            )
            self._lines.append(
                Line(fact.TOPIC, fact.key(), line, partition=fact.lies_in()).encode()
            )
            for posting in self._domain.postings(fact):
                ceiling = decision.ceilings.get(posting.account, BALANCE_MAX)
                self._charges.append(Charge(posting.account, posting.amount_minor, ceiling))
                self._posted[posting.account] += posting.amount_minor
            self._fold_all(fact, folds[ordinal], data)
        return data

    async def keep_traces(self) -> None:
        """Put the traces of timers that fire soon into the commit; reads what is there; raises Unavailable."""
        soon_ms = int(self.now.timestamp() + TRACE_KEPT_S) * 1000
        kept = {
            trace_key(member): trace
            for member, trace in self._timer_traces.items()
            if (self._timers[member].due_ms or soon_ms) < soon_ms
        }
        found = await self._store.read(list(kept)) if kept else []
        for (key, trace), before in zip(kept.items(), found, strict=True):
            self.write(Write(key, before.version, trace.encode(), TRACE_KEPT_S))

    def names_again(self, name: str) -> bool:
        """Whether this commit changes an entity that is named after `name` and was there before."""
        return any(key.endswith(name) and self._read[key].version for key in self._changed)

    def due_at_once(self) -> bool:
        """Whether this commit sets a timer that is due."""
        return any(timer.due and timer.due <= self.now for timer in self._timers.values())

    def commit(self) -> Commit:
        """Everything this transaction saw and changed, ready for the store."""
        writes = [
            Write(key, read.version, self._body(key), kept_s(self._changed[key]))
            if key in self._changed
            else Write(key, read.version)
            for key, read in self._read.items()
        ]
        return Commit(
            writes + self._extra,
            together(self._charges),
            [(member, timer.due_ms) for member, timer in self._timers.items()],
            self._lines,
            self._fired,
            [entry for key in self._stood for entry in self._entries(key)],
            self._outside,
        )

    def _entries(self, key: str) -> Iterator[Entry]:
        document = self._changed[key]
        after = self._domain.indexes[document](self._known(document, key))
        return entries_of(key, self._stood[key], after, kept_s(document))

    def _body(self, key: str) -> bytes:
        state = self._state[key]
        if state is None:
            msg = f"{key} changed to nothing"
            raise AssertionError(msg)
        return body_of(state)


def trace_key(member: str) -> str:
    """The document of the trace that a timer goes on in."""
    return f"trace:{member}"


def together(charges: Sequence[Charge]) -> Sequence[Charge]:
    """The same charges, with those of an account that only adds under one ceiling as one.

    A store compares each charge with its ceiling; where all add, the last balance is the highest. A batch
    counts hundreds of records in a few accounts.
    """
    found: dict[str, Charge] = {}
    apart: set[str] = set()
    for one in charges:
        before = found.get(one.account)
        if one.amount_minor < 0 or (before and before.ceiling_minor != one.ceiling_minor):
            apart.add(one.account)
        added = before.amount_minor if before else 0
        found[one.account] = one._replace(amount_minor=one.amount_minor + added)
    merged = [one for one in found.values() if one.account not in apart]
    return merged + [one for one in charges if one.account in apart]


def kept_s(document: type[Document]) -> int | None:
    """How long a document is kept after a change, in s; None is for ever."""
    return None if document.LASTS else KEPT_S


def entries_of(
    key: str, before: Mapping[str, int], after: Mapping[str, int], ttl_s: int | None
) -> Iterator[Entry]:
    """What a commit says of a changed document's places: the sets it left, and those it stands in."""
    for name in before:
        if name not in after:
            yield Entry(name, key, None)
    for name, score in after.items():
        yield Entry(name, key, score, ttl_s)


def body_of(state: Document | bytes) -> bytes:
    """A document as the store holds it; bytes are one as it was written."""
    if isinstance(state, bytes):
        return state
    # The model's own serializer: half the time of `to_json`, which finds it again for every part.
    return state.__pydantic_serializer__.to_json(state, exclude_none=True)
