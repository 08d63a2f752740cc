"""What is kept of a stretch, so that somebody who reads the figures of the site finds it to praise it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from shared.contracts.compensation import CheckIssued, CheckPraised
from shared.contracts.complaints import Category
from shared.kernel import Document, Fold, Slice, score_at


class Stretch(Document):
    """A check that was given by a stretch. Who gave it is not kept here."""

    KIND: ClassVar[str] = "stretch"

    #: Empty if the fact that the check was given was never read: then it stands nowhere.
    site: str = ""
    given_at: datetime | None = None
    reason: Category = Category.OTHER
    value_minor: int = 0
    cost_minor: int = 0
    currency: str = ""
    praised_at: datetime | None = None


def stretches_set(site: str) -> str:
    """The sorted set of a site's stretches, the latest in front."""
    return f"stretches/{site}"


def stretched(_: Stretch | None, fact: CheckIssued) -> Stretch:
    """A new stretch."""
    known = fact.model_dump(include={"site", "reason", "value_minor", "cost_minor", "currency"})
    return Stretch(given_at=fact.issued_at, **known)


def praised(before: Stretch | None, fact: CheckPraised) -> Stretch:
    """The stretch, with when it was praised."""
    return (before or Stretch()).model_copy(update={"praised_at": fact.praised_at})


def stretch_stands(stretch: Stretch) -> Mapping[str, int]:
    """Lists a stretch in its site."""
    if not stretch.site or stretch.given_at is None:
        return {}
    return {stretches_set(stretch.site): -score_at(stretch.given_at)}


def stretch_id(fact: CheckIssued) -> str | None:
    """The id of the fact's check, if it was given by a stretch."""
    return fact.check_id if fact.explain_by is not None else None


SLICE = Slice(
    {
        CheckIssued: (Fold(Stretch, stretch_id, stretched),),
        CheckPraised: (Fold(Stretch, lambda fact: fact.check_id, praised),),
    },
    indexes={Stretch: stretch_stands},
)
