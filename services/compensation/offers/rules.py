"""Letting the customer choose: two or three checks offered, one given; authority held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from services.compensation.authority.rules import (
    COUNTED,
    Headroom,
    ceilings_of,
    charges_of,
    posted,
    scope_of,
)
from services.compensation.checks.rules import CheckRequest, safety_noted
from shared.contracts.compensation import OfferChosen, OfferLapsed, OfferMade, Option
from shared.contracts.complaints import Category, CustomerErased, Language, Severity
from shared.contracts.notifier import PreferencesChanged
from shared.contracts.policy import Policy
from shared.contracts.roster import employee_name
from shared.kernel import Decision, Document, Fold, Posting, Slice, Timer, score_at

LAPSE = "lapse"
#: Prefix of the account that counts what open offers hold of another account.
HELD = "held/"


class Offer(Document):
    """What a customer may choose between, and what they chose."""

    KIND: ClassVar[str] = "offer"

    complaint_id: str
    customer_ref: str
    employee_id: str
    role: str | None = None
    site: str
    language: Language
    reason: Category
    severity: Severity
    policy_version: int
    options: tuple[Option, ...]
    held: dict[str, int]
    regime: str | None = None
    information: str | None = None
    #: None if the offer was stored before this field existed.
    offered_at: datetime | None = None
    expires_at: datetime
    check_id: str | None = None
    item: str | None = None
    lapsed: bool = False

    def open_at(self, now: datetime) -> bool:
        """Whether the customer may choose."""
        return self.check_id is None and not self.lapsed and now < self.expires_at


class ChosenLanguage(Document):
    """The language that a customer chose for what is written to them; None if they chose none, or were erased."""

    KIND: ClassVar[str] = "chosen-language"

    language: Language | None = None
    #: What they chose before may be heard of later; afterwards nobody chooses for them.
    erased: bool = False


def offer(
    request: CheckRequest,
    offer_id: str,
    options: Sequence[Option],
    policy: Policy,
    policy_version: int,
    headroom: Headroom,
    now: datetime,
) -> Decision:
    """Offer all options and hold authority for the dearest, which `request` is for; it must fit.

    An offer is not stretched, because it may be chosen from in another shift.
    """
    made = OfferMade(
        offer_id=offer_id,
        complaint_id=request.complaint_id,
        customer_ref=request.customer_ref,
        employee_id=request.employee_id,
        role=request.role,
        site=request.site,
        language=request.language,
        reason=request.reason,
        severity=request.severity,
        reachable=request.reachable,
        policy_version=policy_version,
        service=request.service,
        again=request.again,
        options=tuple(options),
        held=charges_of(headroom.limits, request.option.cost_minor),
        regime=request.regime,
        information=request.information,
        expires_at=now + policy.choose_within,
        offered_at=now,
    )
    return Decision((*safety_noted(request, now), made), ceilings_of(headroom.limits))


def chosen(
    made: Offer, offer_id: str, check_id: str, item: str, now: datetime, *, by_customer: bool
) -> OfferChosen:
    """The choice; it frees what was held, for the check that follows in the same commit."""
    return OfferChosen(
        offer_id=offer_id,
        complaint_id=made.complaint_id,
        site=made.site,
        check_id=check_id,
        item=item,
        by_customer=by_customer,
        credits=made.held,
        chosen_at=now,
    )


def charged(made: Offer, option: Option) -> dict[str, int]:
    """The charges of the chosen check: to the accounts that the offer held, by the check's own cost."""
    if not option.cost_minor:
        return {}
    return {
        account: amount if scope_of(account) in COUNTED else option.cost_minor
        for account, amount in made.held.items()
    }


def lapse(made: Offer, offer_id: str, now: datetime) -> Decision:
    """Let an open offer lapse once its time is over."""
    if made.check_id is not None or made.lapsed or now < made.expires_at:
        return Decision()
    return Decision.of(
        OfferLapsed(
            offer_id=offer_id,
            complaint_id=made.complaint_id,
            site=made.site,
            credits=made.held,
            lapsed_at=now,
        )
    )


def made(_: Offer | None, fact: OfferMade) -> Offer:
    """A new offer."""
    return Offer.model_validate(fact.model_dump(include=set(Offer.model_fields)))


def language_chosen(known: ChosenLanguage | None, fact: PreferencesChanged) -> ChosenLanguage:
    """The language that they chose last; none of a customer who was erased."""
    if known is not None and known.erased:
        return known
    return ChosenLanguage(language=fact.language)


def open_of(site: str, employee_id: str) -> str:
    """The set of the offers that one employee made and nobody has chosen from."""
    return f"open/{employee_name(site, employee_id)}"


def stands(made: Offer) -> Mapping[str, int]:
    """Lists an open offer at its employee, the one that ends first in front."""
    if made.check_id is not None or made.lapsed:
        return {}
    return {open_of(made.site, made.employee_id): score_at(made.expires_at)}


def held(fact: OfferMade) -> Sequence[Posting]:
    """Postings of what an offer holds.

    It is posted to the same accounts as a given check, to count against the ceilings, and to `held/`
    accounts, to be shown apart.
    """
    return [*posted(fact.held), *posted(fact.held, prefix=HELD)]


def free(fact: OfferChosen | OfferLapsed) -> Sequence[Posting]:
    """Postings that free what an offer held, once it is chosen from or lapsed."""
    return [*posted(fact.credits, -1), *posted(fact.credits, -1, HELD)]


def over(fact: OfferChosen | OfferLapsed) -> Sequence[Timer]:
    """Removes the timer of an offer that ended."""
    return (Timer(LAPSE, fact.offer_id, None),)


SLICE = Slice(
    {
        OfferMade: (Fold(Offer, lambda fact: fact.offer_id, made),),
        OfferChosen: (
            Fold(
                Offer,
                lambda fact: fact.offer_id,
                lambda offer, fact: offer.model_copy(
                    update={"check_id": fact.check_id, "item": fact.item}
                ),
            ),
        ),
        OfferLapsed: (
            Fold(
                Offer,
                lambda fact: fact.offer_id,
                lambda offer, _: offer.model_copy(update={"lapsed": True}),
            ),
        ),
        PreferencesChanged: (
            Fold(ChosenLanguage, lambda fact: fact.customer_ref, language_chosen),
        ),
        CustomerErased: (
            Fold(
                ChosenLanguage,
                lambda fact: fact.customer_ref,
                lambda _, __: ChosenLanguage(erased=True),
            ),
        ),
    },
    postings={OfferMade: held, OfferChosen: free, OfferLapsed: free},
    timers={
        OfferMade: lambda fact: (Timer(LAPSE, fact.offer_id, fact.expires_at),),
        OfferChosen: over,
        OfferLapsed: over,
    },
    indexes={Offer: stands},
)
