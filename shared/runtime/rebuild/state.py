"""The state while a rebuild makes it: a bounded part of it as objects, the rest in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import ValidationError

from shared.contracts.event import format_time
from shared.kernel import Document, Fact, Fold
from shared.runtime.engine.settle import ANSWER_TTL_S, kept_answer, timer_of
from shared.runtime.engine.store import Entry, Portion, RebuildStore
from shared.runtime.engine.transaction import body_of, entries_of, kept_s
from shared.runtime.engine.view import whole
from shared.runtime.rebuild.sources import RawEvent, Refused, Sources

#: Facts folded between two writes to the store; a document that changes often is written once.
CHUNK_FACTS = 5_000
#: Facts folded before others get a turn: the last chunk is on its way to the store meanwhile.
TURN_FACTS = 200
#: Documents kept between chunks, 2 or 3 kB each. Others are read again when needed.
DOCUMENTS_MAX = 50_000
#: Documents of one call of the store: tens of milliseconds for it, and megabytes of its memory.
PORTION = 5_000


class Unfolded(Exception):
    """A fact of ours presupposes a document that is not there."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


class ReplayState:
    """The state while it is made: a bounded part of it as objects, the rest in the store."""

    def __init__(self, store: RebuildStore, holder: str, sources: Sources, now: datetime) -> None:
        self._store = store
        self._holder = holder
        self._sources = sources
        self._folds = sources.domain.folds
        self._indexes = sources.domain.indexes
        #: Versions begin at the time, so that none that was read before this fits by chance.
        self._version = int(now.timestamp())
        self._answered_from = now.timestamp() - ANSWER_TTL_S
        self._answered_text = format_time(now - timedelta(seconds=ANSWER_TTL_S)).encode()
        self._batch: list[tuple[Fact, RawEvent, bool]] = []
        #: Bytes are a document as it was written or read back, until a fold asks for more.
        self._state: dict[str, Document | bytes] = {}
        self._whole = True
        self._cause = b""
        self._loading: asyncio.Task[None] | None = None
        self._kept: dict[str, tuple[bytes, int | None]] = {}
        self._amounts: dict[str, int] = {}
        self._timers: dict[str, int | None] = {}
        self.own = self.foreign = 0

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return len(self._batch) >= CHUNK_FACTS

    def add_own(self, event: RawEvent) -> None:
        """A fact of ours; raises Refused for one that cannot be read, which we wrote ourselves."""
        what = f"{event.type.decode()} with sequence {event.number}"
        model = self._sources.models.get(event.type)
        if model is None:
            raise Refused(f"this version of the service does not know {what}")
        try:
            fact = model.model_validate_json(event.data)
        except ValidationError as error:
            raise Refused(f"this version of the service cannot read {what}") from error
        self.own += 1
        self._batch.append((fact, event, True))

    def add_foreign(self, event: RawEvent) -> None:
        """A fact of another's that we settled; what cannot be read was a dead letter."""
        model = self._sources.models[event.type]
        if not self._folds.get(model) and model not in self._sources.domain.timers_of:
            return
        try:
            fact = model.model_validate_json(event.data)
        except ValidationError:
            return
        self.foreign += 1
        self._batch.append((fact, event, False))

    def keep(self, key: str, body: bytes, ttl_s: int | None) -> None:
        """Add a document of the runtime's own."""
        self._kept[key] = body, ttl_s

    async def write(self) -> None:
        """Fold what was added and write what changed; raises Unfolded, Unavailable."""
        batch, self._batch = self._batch, []
        rows = [
            (fact, event, ours, self._sources.domain.folds_of(fact)) for fact, event, ours in batch
        ]
        if not self._whole:
            await self._recall(pair for *_, pairs in rows for pair in pairs)
        changed: dict[str, type[Document]] = {}
        stood: dict[str, Mapping[str, int]] = {}
        for number, (fact, event, ours, pairs) in enumerate(rows):
            if number % TURN_FACTS == 0:
                await asyncio.sleep(0)
            for fold, key in pairs:
                if fold.document in self._indexes and key not in stood:
                    stood[key] = self._stands(fold.document, key)
                self._evolve(fold, key, fact, event)
                changed[key] = fold.document
            if ours:
                self._ours(fact, event)
            for timer in self._sources.domain.timers(fact):
                self._timers[f"{timer.name}|{timer.id}"] = timer.due_ms
        entries = [
            entry
            for key, before in stood.items()
            for entry in entries_of(
                key, before, self._stands(changed[key], key), kept_s(changed[key])
            )
        ]
        await self._load(changed, entries)

    def _stands(self, document: type[Document], key: str) -> Mapping[str, int]:
        """Where a document stands as it is now; nowhere if it is not there."""
        if key not in self._state:
            return {}
        return self._indexes[document](whole(document, self._state[key]))

    def _ours(self, fact: Fact, event: RawEvent) -> None:
        """What a fact of ours means beside its documents: balances, answers, a timer that fired."""
        amounts = self._amounts
        for posting in self._sources.domain.postings(fact):
            amounts[posting.account] = amounts.get(posting.account, 0) + posting.amount_minor
        if event.cause.startswith(b"http/"):
            self._answer(fact, event)
        elif event.cause != self._cause and event.cause.startswith(b"timer/"):
            self._fired(event.cause.decode())
        self._cause = event.cause

    async def _recall(self, pairs: Iterable[tuple[Fold, str]]) -> None:
        keys = sorted(
            {
                key
                for fold, key in pairs
                if (fold.evolve or fold.document in self._indexes) and key not in self._state
            }
        )
        for start in range(0, len(keys), PORTION):
            some = keys[start : start + PORTION]
            for key, body in zip(some, await self._store.recall(some), strict=True):
                if body:
                    self._state[key] = body

    def _evolve(self, fold: Fold, key: str, fact: Fact, event: RawEvent) -> None:
        if fold.evolve is None:
            self._state[key] = event.data
            return
        state = whole(fold.document, self._state.get(key))
        try:
            self._state[key] = fold.evolve(state, fact)
        except Exception as error:
            if state is not None:
                raise
            what = f"{fact.TYPE} with sequence {event.number} presupposes {key}"
            raise Unfolded(key, what) from error

    def _answer(self, fact: Fact, event: RawEvent) -> None:
        """The last fact of a request is its answer, byte for byte as the request stored it."""
        if event.time < self._answered_text:  # written in one form, so that this is enough mostly
            return
        left = datetime.fromisoformat(event.time.decode()).timestamp() - self._answered_from
        if left > 0:
            _, name, request = event.cause.split(b"/")
            domain, written = self._sources.domain, event.data.decode()
            body = kept_answer(domain, request.decode(), fact, written)
            ttl_s = min(max(round(left), 1), ANSWER_TTL_S)
            self._kept[f"answer:{name.decode()}"] = body, ttl_s

    def _fired(self, cause: str) -> None:
        """A timer that fired is done, unless what came of it sets it again."""
        self._timers[timer_of(cause)] = None

    async def _load(self, changed: Mapping[str, type[Document]], entries: Sequence[Entry]) -> None:
        """Send what changed, which is on its way when this returns; wait for what went before."""
        documents: list[tuple[str, bytes, int | None]] = [
            (key, body_of(self._state[key]), kept_s(document)) for key, document in changed.items()
        ]
        documents += ((key, body, ttl_s) for key, (body, ttl_s) in self._kept.items())
        amounts, timers = list(self._amounts.items()), list(self._timers.items())
        self._kept, self._amounts, self._timers = {}, {}, {}
        await self.loaded()
        self._loading = asyncio.create_task(self._send(documents, amounts, timers, entries))
        if len(self._state) > DOCUMENTS_MAX:
            await self.loaded()
            self._state = {key: self._state[key] for key in changed}
            self._whole = False

    async def _send(
        self,
        documents: Sequence[tuple[str, bytes, int | None]],
        amounts: Sequence[tuple[str, int]],
        timers: Sequence[tuple[str, int | None]],
        entries: Sequence[Entry],
    ) -> None:
        most = max(len(documents), len(amounts), len(timers), len(entries))
        for start in range(0, most, PORTION):
            part = slice(start, start + PORTION)
            portion = Portion(documents[part], amounts[part], timers[part], entries[part])
            await self._store.load(self._holder, portion, self._version)

    async def loaded(self) -> None:
        """Wait until all that was written is in the store; raises Unavailable."""
        if self._loading is not None:
            loading, self._loading = self._loading, None
            await loading

    async def abandon(self) -> None:
        """Let nothing be on its way any more."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
