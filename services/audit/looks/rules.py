"""A look at one employee: what is kept of it, and by which pseudonyms an employee's looks are found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from shared.contracts.audit import LookTaken
from shared.contracts.catalogue import REBUILD_RETENTION
from shared.contracts.months import month_before, month_of
from shared.kernel import Document, Fold, Slice, score_at

#: Looks shown to an employee at once, the newest.
SHOWN_MAX = 100


class Look(Document):
    """A look, as its fact has it."""

    KIND: ClassVar[str] = "look"

    person: str
    site: str | None = None
    purpose: str
    by: str
    looked_at: datetime


def looks_at(person: str) -> str:
    """The sorted set of looks at the employee of a pseudonym, the newest first."""
    return f"looks/{person}"


def months(now: datetime) -> Iterator[str]:
    """Every month from which there may be records, the newest first: a pseudonym is of one month."""
    month, first = month_of(now), month_of(now - REBUILD_RETENTION)
    while month >= first:
        yield month
        month = month_before(month)


def _look_id(fact: LookTaken) -> str:
    return fact.look_id


SLICE = Slice(
    {LookTaken: (Fold(Look, _look_id),)},
    indexes={Look: lambda look: {looks_at(look.person): -score_at(look.looked_at)}},
)
