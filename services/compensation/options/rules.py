"""What an employee may give now, best first, and what is due by law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from services.compensation.authority.rules import Headroom
from shared.contracts.compensation import Basis, CheckKind, Option
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.policy import Policy

ALTERNATIVES_MAX = 6
#: Kinds that delight: nothing went wrong, so there is nothing to apologize for or to pay back.
DELIGHTS = frozenset(CheckKind) - {CheckKind.APOLOGY, CheckKind.REFUND}


def options_for(
    policy: Policy,
    headroom: Headroom,
    reason: Category,
    severity: Severity,
    language: Language,
    *,
    earlier_items: Sequence[str] = (),
    instead_of: str = "",
    segment: str | None = None,
    left: bool = False,
) -> tuple[Option, ...]:
    """What can be given now, best first, each with its why; to who has `left`, nothing that only a guest can use.

    Smaller versions of the wish come first, then what the playbook and the customer's segment suggest, then what suits the reason.
    Among equals, items that the customer had before come last, then items without a title in their
    language; then the higher value comes first.
    """
    suggested = policy.suggested(reason, severity, segment, left=left)
    wished = instead_of.partition("/")[0] if "/" in instead_of else ""
    most = headroom.most()
    # Of free amounts `options` has the largest alone; the playbook may name another.
    named = (policy.option(item) for item in suggested)
    fitting = {
        option.item: option
        for option in (*policy.options(most), *named)
        if option is not None and option.cost_minor <= most
    }
    found = []
    for option in fitting.values():
        name = option.item.partition("/")[0]
        item = policy.checks[name]
        if left and item.during_stay:
            continue
        fits = item.fits_category(reason)
        why = (
            "smaller_wish"
            if name == wished
            else "suggested"
            if option.item in suggested
            else "free"
            if option.cost_minor == 0
            else "fits_reason"
            if fits
            else "fits_authority"
        )
        rank = (
            why != "smaller_wish",
            suggested.index(option.item) if option.item in suggested else len(suggested),
            not fits,
            name in earlier_items,
            language not in item.title,
            -option.value_minor,
        )
        found.append((rank, option.model_copy(update={"fits_reason": fits, "why": why})))
    found.sort(key=lambda ranked: ranked[0])
    return tuple(option for _, option in found)


def delights_for(
    policy: Policy,
    headroom: Headroom,
    language: Language,
    *,
    earlier_items: Sequence[str] = (),
    instead_of: str = "",
) -> tuple[Option, ...]:
    """What can be given now to delight, best first, each with its why.

    Smaller versions of the wish come first. Among equals, items that the customer had before come last, then items
    without a title in their language; then the higher value comes first.
    """
    wished = instead_of.partition("/")[0] if "/" in instead_of else ""
    found = []
    for option in policy.options(headroom.most()):
        if option.kind not in DELIGHTS:
            continue
        name = option.item.partition("/")[0]
        smaller = name == wished
        free = "free" if option.cost_minor == 0 else "fits_authority"
        rank = (
            not smaller,
            name in earlier_items,
            language not in policy.checks[name].title,
            -option.value_minor,
        )
        found.append((rank, option.model_copy(update={"why": "smaller_wish" if smaller else free})))
    found.sort(key=lambda ranked: ranked[0])
    return tuple(option for _, option in found)


class Rights(TypedDict):
    """A regime's name and what it says, or None for both."""

    regime: str | None
    information: str | None


def rights(
    policy: Policy,
    reason: Category,
    service: Service | None,
    language: Language,
    basis: Basis = Basis.GOODWILL,
) -> Rights:
    """The regime that applies, and what the customer must be told: in their language if it has it."""
    found = policy.regime_of(reason, service, basis)
    if found is None:
        return {"regime": None, "information": None}
    name, regime = found
    texts = regime.information
    return {"regime": name, "information": texts.get(language) or next(iter(texts.values()))}
