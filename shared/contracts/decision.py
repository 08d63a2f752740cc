"""The words every rule is written in: documents, folds, postings, timers, decisions.

A service is described to the runtime by one `Domain`: which documents a fact changes, which accounts
it posts to, which timers it sets. The runtime applies exactly these when it commits and again when
it rebuilds, so there is no second code path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from shared.contracts.event import Fact


class Document(BaseModel):
    """The state of one entity, stored as JSON under `<KIND>:<id>`; changed by facts alone.

    It is forgotten when it was not changed for as long as its facts are kept, unless it `LASTS`: its
    facts are on a compacted topic, which keeps the latest for ever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    KIND: ClassVar[str]
    LASTS: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Fold:
    """One row of *fact × document*: the document's id, and its next state given the fact.

    Without `evolve` the document is the fact as it was written, whatever was there before, and
    `document` reads of it what it knows: nothing is written a second time in another form.
    """

    document: type[Document]
    id: Callable[[Any], str]
    evolve: Callable[[Any, Any], Document] | None = None


class Posting(NamedTuple):
    """`amount_minor` onto an account; negative gives back. Accounts are named with their window."""

    account: str
    amount_minor: int


class Timer(NamedTuple):
    """Something that must happen later: at `due`, or not any more when `due` is None."""

    name: str
    id: str
    due: datetime | None

    @property
    def due_ms(self) -> int | None:
        """When it rings, in ms since the epoch: never before its moment, or it would be too early.

        A timer that rang a part of a millisecond before its time would find nothing to do, and be
        cleared.
        """
        return None if self.due is None else ceil(self.due.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one input causes: facts, and the ceilings its postings must stay under.

    An account without a ceiling is only kept from going below zero. No facts means: nothing to do,
    which is a decision too (the input is settled).
    """

    facts: Sequence[Fact] = ()
    ceilings: Mapping[str, int] = field(default_factory=dict)


def no_postings(_fact: Fact) -> Iterable[Posting]:
    """For services that hold no accounts."""
    return ()


def no_timers(_fact: Fact) -> Iterable[Timer]:
    """For services that wait for nothing."""
    return ()


@dataclass(frozen=True)
class Domain:
    """Everything the runtime must know of a service's rules."""

    owner: str
    folds: Mapping[type[Fact], Sequence[Fold]]
    postings: Callable[[Any], Iterable[Posting]] = no_postings
    timers: Callable[[Any], Iterable[Timer]] = no_timers
