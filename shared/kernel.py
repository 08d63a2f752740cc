"""The terms in which rules are written: facts, documents, folds, postings, timers, indexes, decisions.

A capability is described by one `Slice`: which documents a fact changes, which accounts it posts to,
which timers it sets, and in which sorted sets a document stands. A service is described to the runtime
by one `Domain`, made of its slices. The runtime applies exactly these when it commits and again when it
rebuilds, so there is no second code path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from math import ceil
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict

V = TypeVar("V")


class Fact(BaseModel):
    """Something that happened: past tense, immutable, bounded in every field."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]

    def key(self) -> str:
        """The id whose order matters: the Kafka key."""
        raise NotImplementedError

    def lies_in(self) -> int | None:
        """The partition it goes to; None if its key decides, as of nearly all facts."""
        return None

    def written(self, fields: set[str] | None = None) -> str:
        """Its JSON, of these fields or of all; a field without a value is left out."""
        return self.model_dump_json(include=fields, exclude_none=True)


class Schema(NamedTuple):
    """The version in which a build stores one kind of thing, and the versions that go together with it.

    The build writes `version`, and reads what was written in `reads_from` or later. What it writes is
    read, and written again without harm, by builds whose own version is `read_by` or later.
    """

    version: int = 1
    reads_from: int = 1
    read_by: int = 1


class Document(BaseModel):
    """The state of one entity, stored as JSON under `<KIND>:<id>`; changed by facts alone.

    It is forgotten when it was not changed for as long as its facts are kept, unless it `LASTS`: its
    facts are on a compacted topic, which keeps the latest for ever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    KIND: ClassVar[str]
    #: Raised with every change of the fields: CONTRIBUTING.md, "Changing a document".
    SCHEMA: ClassVar[Schema] = Schema()
    LASTS: ClassVar[bool] = False
    #: Whether a process may keep it parsed in memory after a decision.
    REMEMBERED: ClassVar[bool] = True

    @classmethod
    def key(cls, document_id: str) -> str:
        """Where the document of this id is stored."""
        return f"{cls.KIND}:{document_id}"


@dataclass(frozen=True, slots=True)
class Fold:
    """One row of *fact × document*: the document's id, and its next state given the fact.

    Without `evolve` the fact itself is stored as the document, whatever was there before, and `document`
    reads the fields that it knows of it. An id of None says that this fact changes no such document.
    """

    document: type[Document]
    id: Callable[[Any], str | None]
    evolve: Callable[[Any, Any], Document] | None = None

    def key(self, fact: Fact) -> str | None:
        """Where the document is stored that this fact changes; None if it changes none."""
        name = self.id(fact)
        return None if name is None else self.document.key(name)


class Posting(NamedTuple):
    """`amount_minor` onto an account; negative gives back. Accounts are named with their window."""

    account: str
    amount_minor: int


class Timer(NamedTuple):
    """Something that must happen at `due`; a `due` of None removes the timer."""

    name: str
    id: str
    due: datetime | None

    @property
    def due_ms(self) -> int | None:
        """When it fires, in ms since the epoch, rounded up.

        A timer that fired a fraction of a millisecond early would find nothing to do and be removed.
        """
        return None if self.due is None else ceil(self.due.timestamp() * 1000)


def score_at(moment: datetime) -> int:
    """A moment as a score in a sorted set, in µs since the epoch; its negative sorts the newest first."""
    return round(moment.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one input causes: facts, and the ceilings of their postings.

    An account without a ceiling must only stay at or above zero. A decision without facts is valid:
    there is nothing to do, and the input is settled.
    """

    facts: Sequence[Fact] = ()
    ceilings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, *facts: Fact) -> Self:
        """A decision of these facts, without ceilings."""
        return cls(facts)


Folds = Mapping[type[Fact], Sequence[Fold]]
#: Per type of fact, what it posts and which timers it sets or removes.
Postings = Mapping[type[Fact], Callable[[Any], Iterable[Posting]]]
Timers = Mapping[type[Fact], Callable[[Any], Iterable[Timer]]]
#: Per kind of document, where one stands: its score in each sorted set, by the set's name. A set holds
#: documents of one kind, lowest score first: what is listed newest first stands at a negative time.
Indexes = Mapping[type[Document], Callable[[Any], Mapping[str, int]]]

#: Per type of fact, the fields that its answer is made from.
Shown = Mapping[type[Fact], set[str]]


@dataclass(frozen=True, slots=True)
class Slice:
    """What one capability does with facts."""

    folds: Folds
    postings: Postings = field(default_factory=dict)
    timers: Timers = field(default_factory=dict)
    indexes: Indexes = field(default_factory=dict)


@dataclass(frozen=True)
class Domain:
    """Everything the runtime must know of a service's rules."""

    owner: str
    folds: Folds
    #: By type of fact, the slices' functions that say what it posts and which timers it sets.
    postings_of: Mapping[type[Fact], Sequence[Callable[[Any], Iterable[Posting]]]]
    timers_of: Mapping[type[Fact], Sequence[Callable[[Any], Iterable[Timer]]]]
    indexes: Indexes
    #: The fields that a type's answer is made from: only these are kept to answer a repeated request. A
    #: type that is not here is kept whole.
    shown: Shown
    #: Whether every record that it consumes makes a fact of its own: what made none was not settled.
    leaves_traces: bool = False

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """The schema of each kind of document, by its name."""
        return {
            row.document.KIND: row.document.SCHEMA for rows in self.folds.values() for row in rows
        }

    def postings(self, fact: Fact) -> Iterable[Posting]:
        """What a fact posts."""
        return chain.from_iterable(of(fact) for of in self.postings_of.get(type(fact), ()))

    def timers(self, fact: Fact) -> Iterable[Timer]:
        """The timers that a fact sets or removes."""
        return chain.from_iterable(of(fact) for of in self.timers_of.get(type(fact), ()))

    def folds_of(self, fact: Fact) -> list[tuple[Fold, str]]:
        """The folds of a fact, each with where the document is stored that it changes."""
        return [
            (fold, key)
            for fold in self.folds.get(type(fact), ())
            if (key := fold.key(fact)) is not None
        ]

    def changed_by(self, fact: Fact) -> list[str]:
        """Where the documents are stored that a fact changes."""
        return [key for _, key in self.folds_of(fact)]

    @classmethod
    def of(
        cls,
        owner: str,
        *slices: Slice,
        shown: Shown | None = None,
        leaves_traces: bool = False,
    ) -> Self:
        """The rules of all slices together, and which fields answers are made from.

        Raises ValueError where two fold the same fact into the same kind of document, store two kinds
        of document under one name, or say where documents of the same kind stand.
        """
        folds = {
            fact: tuple(chain.from_iterable(rows))
            for fact, rows in _by_fact(one.folds for one in slices).items()
        }
        _no_clash(folds)
        return cls(
            owner,
            folds,
            _by_fact(one.postings for one in slices),
            _by_fact(one.timers for one in slices),
            _indexes(slices),
            shown or {},
            leaves_traces,
        )


def _by_fact(tables: Iterable[Mapping[type[Fact], V]]) -> Mapping[type[Fact], Sequence[V]]:
    found: dict[type[Fact], list[V]] = {}
    for table in tables:
        for fact, value in table.items():
            found.setdefault(fact, []).append(value)
    return found


def _indexes(slices: Iterable[Slice]) -> Indexes:
    indexes: dict[type[Document], Callable[[Any], Mapping[str, int]]] = {}
    for one in slices:
        for document in indexes.keys() & one.indexes.keys():
            msg = f"two slices say where {document.KIND!r} stands"
            raise ValueError(msg)
        indexes |= one.indexes
    return indexes


def _no_clash(folds: Folds) -> None:
    stored: dict[str, type[Document]] = {}
    for fact, rows in folds.items():
        documents = [row.document for row in rows]
        for document in documents:
            if stored.setdefault(document.KIND, document) is not document:
                msg = f"two kinds of document are stored as {document.KIND!r}"
                raise ValueError(msg)
        for document in documents:
            if documents.count(document) > 1:
                msg = f"{fact.TYPE} is folded twice into {document.KIND!r}"
                raise ValueError(msg)
