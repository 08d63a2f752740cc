"""The rules of compensation, pure: facts in, a decision, facts out.

authority    accounts, ceilings, the stretch, what to offer
checks       giving a check and its life          redemptions  tills
offers       letting the customer choose          incidents    many at once
roster       who is there                         windows      shift, day, week
usage        what nobody used

The tables below are all that the runtime knows of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from services.compensation.domain import (
    authority,
    checks,
    incidents,
    offers,
    redemptions,
    roster,
    usage,
)
from shared.contracts.compensation import (
    CheckExpired,
    CheckIssued,
    CheckVoided,
    Debit,
    OfferChosen,
    OfferLapsed,
    OfferMade,
)
from shared.contracts.decision import Fold, Posting, Timer
from shared.contracts.event import Fact

_TABLES = (authority, checks, incidents, offers, redemptions, roster, usage)

FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    fact: tuple(chain.from_iterable(table.FOLDS.get(fact, ()) for table in _TABLES))
    for fact in chain.from_iterable(table.FOLDS for table in _TABLES)
}


def postings(fact: Fact) -> Sequence[Posting]:
    """What a fact is charged, gives back and counts.

    What an offer holds stands in the accounts like what is given, so that it binds like it, and in
    accounts of its own, so that it can be shown.
    """
    match fact:
        case CheckIssued():
            return [*_posted(fact.debits), *usage.postings(fact)]
        case CheckVoided() | CheckExpired():
            return _posted(fact.credits, -1)
        case OfferMade():
            return [*_posted(fact.held), *_posted(fact.held, prefix="held/")]
        case OfferChosen() | OfferLapsed():
            return [*_posted(fact.credits, -1), *_posted(fact.credits, -1, "held/")]
        case _:
            return usage.postings(fact)


def _posted(debits: Sequence[Debit], sign: int = 1, prefix: str = "") -> list[Posting]:
    return [
        Posting(prefix + debit.account, sign * debit.amount_minor)
        for debit in debits
        if debit.amount_minor
    ]


def timers(fact: Fact) -> Sequence[Timer]:
    """What must happen later because of a fact."""
    return [
        *checks.timers(fact),
        *redemptions.timers(fact),
        *offers.timers(fact),
        *incidents.timers(fact),
        *usage.timers(fact),
    ]
