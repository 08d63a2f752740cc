"""What a decision sees and changes: documents, balances, timers and lines of one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar, cast

from pydantic_core import to_json

from shared.contracts.event import encode, fingerprint, format_time
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Domain, Fact, Fold
from shared.money import AMOUNT_MINOR_MAX
from shared.runtime.engine.store import (
    KEPT_S,
    Charge,
    Commit,
    Cursor,
    Entry,
    Line,
    Store,
    Versioned,
    Write,
)
from shared.runtime.faults import Rejected

D = TypeVar("D", bound=Document)


class Origin(NamedTuple):
    """What caused a decision: its position, the id of its event, whose story and trace it belongs to.

    The facts' ids are made from the position, so a replay makes the same ones.
    """

    cause: str
    causation: str
    correlation: str
    trace: str | None = None


class Page(NamedTuple, Generic[D]):
    """Documents of a sorted set by id, in its order, and where the next page begins; None at the end."""

    documents: Sequence[tuple[str, D]]
    next: Cursor | None


class Snapshot:
    """What a handler may see: documents and balances as read, and as changed earlier in this commit."""

    def __init__(self, store: Store, domain: Domain, now: datetime) -> None:
        self.now = now
        self._time = format_time(now)
        self._store = store
        self._domain = domain
        self._source = f"/{domain.owner}"
        self._read: dict[str, Versioned] = {}
        #: Documents as they stand now; bytes are a fact that became one as it was written.
        self._state: dict[str, Document | bytes | None] = {}
        #: What this commit changes, and of which kind each is.
        self._changed: dict[str, type[Document]] = {}
        #: Where changed documents stood before this commit, of the kinds that stand somewhere.
        self._stood: dict[str, Mapping[str, int]] = {}
        self._balances: dict[str, int] = {}
        self._charges: list[Charge] = []
        #: What this commit adds to each account, also to those not read yet.
        self._posted: Counter[str] = Counter()
        self._timers: dict[str, int | None] = {}
        self._rung: tuple[str, int] | None = None
        self._lines: list[bytes] = []
        self._extra: list[Write] = []
        #: What goes to the dead letters with this commit.
        self.dead: list[Line] = []

    async def prefetch(self, keys: Sequence[str], accounts: Sequence[str] = ()) -> None:
        """Read what is not yet known in one round trip; raises Unavailable."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._read]
        uncounted = [account for account in accounts if account not in self._balances]
        if missing or uncounted:
            found, balances = await self._store.look(missing, uncounted)
            self._read.update(zip(missing, found, strict=True))
            self._balances.update(zip(uncounted, balances, strict=True))

    def know(self, found: Iterable[tuple[str, Versioned]]) -> None:
        """Take what was read together with something else."""
        self._read.update(found)

    async def get(self, document: type[D], document_id: str) -> D | None:
        """The entity as it stands for this decision, or None; raises Unavailable."""
        key = document.key(document_id)
        if key not in self._state:
            if key not in self._read:
                await self.prefetch([key])
            body = self._read[key].body
            self._state[key] = document.model_validate_json(body) if body else None
        state = self._state[key]
        if isinstance(state, bytes):
            return document.model_validate_json(state)
        return cast("D | None", state)

    async def require(
        self,
        document: type[D],
        document_id: str,
        reason: Reason,
        *,
        where: tuple[str, ...] = (),
        site: str | None = None,
    ) -> D:
        """The entity, of this site if one is named; raises Rejected(reason), Unavailable.

        What belongs to another site looks like what nobody has.
        """
        found = await self.get(document, document_id)
        if found is None or site not in (None, getattr(found, "site", None)):
            raise Rejected(reason, where=where)
        return found

    async def balances(self, accounts: Sequence[str]) -> dict[str, int]:
        """Balances in minor units as they stand for this decision; raises Unavailable."""
        await self.prefetch((), accounts)
        return {account: self._balances[account] + self._posted[account] for account in accounts}

    async def range(
        self, document: type[D], name: str, after: Cursor | None, limit: int
    ) -> Page[D]:
        """A page of the documents that stand in a sorted set, lowest score first; raises Unavailable.

        At most `limit` of them, which is at most `RANGE_MAX`. What this commit itself puts into the set
        is not seen. A commit after it expects the documents as they were read here.
        """
        found, following = await self._store.range(name, after, limit)
        stands, kind, documents = self._domain.indexes[document], len(document.key("")), []
        for score, key, read in found:
            self._read.setdefault(key, read)
            state = await self.get(document, key[kind:])
            # An entry outlives a document that was forgotten, and would be of one that is made anew.
            if state is not None and stands(state).get(name) == score:
                documents.append((key[kind:], state))
        return Page(documents, following)

    def expect(self, write: Write) -> None:
        """Add a document of the runtime's own (fence, answer) to the commit."""
        self._extra.append(write)

    def rang(self, member: str, due_ms: int) -> None:
        """The timer that is being settled is done, unless the decision or an earlier ring sets it again."""
        self._rung = member, due_ms

    def dead_letter(self, line: Line) -> None:
        """Put a dead letter into the commit."""
        self.dead.append(line)
        self._lines.append(line.encode())

    async def fold(self, fact: Fact, data: str | None = None) -> None:
        """Fold a fact into the documents and timers of this commit; `data` is its JSON if it is known."""
        for fold in self._domain.folds.get(type(fact), ()):
            await self._fold(fold, fact, data)
        for timer in self._domain.timers(fact):
            self._timers[f"{timer.name}|{timer.id}"] = timer.due_ms

    async def _fold(self, fold: Fold, fact: Fact, data: str | None) -> None:
        document_id = fold.id(fact)
        key = fold.document.key(document_id)
        stands = self._domain.indexes.get(fold.document)
        if stands is not None and key not in self._stood:
            before = await self.get(fold.document, document_id)
            self._stood[key] = stands(before) if before is not None else {}
        if fold.evolve is None:
            await self.prefetch([key])
            self._state[key] = (data or fact.model_dump_json()).encode()
        else:
            self._state[key] = fold.evolve(await self.get(fold.document, document_id), fact)
        self._changed[key] = fold.document

    async def apply(self, decision: Decision, origin: Origin) -> str:
        """Take a decision's facts into the commit: lines, documents, accounts, timers.

        Returns the JSON of the last one, which is the answer to a request.
        """
        data = ""
        await self.prefetch(
            [
                fold.key(fact)
                for fact in decision.facts
                for fold in self._domain.folds.get(type(fact), ())
            ]
        )
        for ordinal, fact in enumerate(decision.facts):
            data = fact.model_dump_json()
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
            self._lines.append(Line(fact.TOPIC, fact.key(), line).encode())
            for posting in self._domain.postings(fact):
                ceiling = decision.ceilings.get(posting.account, AMOUNT_MINOR_MAX)
                self._charges.append(Charge(posting.account, posting.amount_minor, ceiling))
                self._posted[posting.account] += posting.amount_minor
            await self.fold(fact, data)
        return data

    def names_again(self, name: str) -> bool:
        """Whether this commit changes an entity that is named after `name` and was there before."""
        return any(key.endswith(name) and self._read[key].version for key in self._changed)

    def commit(self) -> Commit:
        """Everything this snapshot saw and changed, ready for the store."""
        writes = [
            Write(key, read.version, self._body(key), kept_s(self._changed[key]))
            if key in self._changed
            else Write(key, read.version)
            for key, read in self._read.items()
        ]
        return Commit(
            writes + self._extra,
            self._charges,
            list(self._timers.items()),
            self._lines,
            self._rung,
            [entry for key in self._stood for entry in self._entries(key)],
        )

    def _entries(self, key: str) -> Iterator[Entry]:
        document, state = self._changed[key], self._state[key]
        after = self._domain.indexes[document](whole(document, state))
        return entries_of(key, self._stood[key], after, kept_s(document))

    def _body(self, key: str) -> bytes:
        state = self._state[key]
        if state is None:
            msg = f"{key} changed to nothing"
            raise AssertionError(msg)
        return body_of(state)


def kept_s(document: type[Document]) -> int | None:
    """How long a document is kept after a change, in s; None is for ever."""
    return None if document.LASTS else KEPT_S


def whole(document: type[Document], state: Document | bytes | None) -> Document:
    """A document as its own model, also where it is a fact as it was written."""
    assert state is not None, "what changed is there"
    return document.model_validate_json(state) if isinstance(state, bytes) else state


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
    return state if isinstance(state, bytes) else to_json(state, exclude_none=True)
