"""What compensation knows of a complaint, and of what its customer was given before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import ClassVar

from services.compensation.authority.rules import STAY
from shared.contracts.compensation import (
    CaseOpened,
    CheckIssued,
    ComplaintLogged,
    OfferChosen,
    OfferLapsed,
    OfferMade,
)
from shared.contracts.complaints import (
    Category,
    ComplaintCorrected,
    ComplaintFact,
    ComplaintForgotten,
    ComplaintMerged,
    ComplaintReopened,
    ComplaintSplit,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    CustomerErased,
    Language,
    MatterChanged,
    SafetyFound,
    Service,
    Severity,
)
from shared.contracts.lifecycle import State
from shared.kernel import Document, Fold, Schema, Slice

#: What a phone shows without scrolling; older checks and offers remain in their facts.
HISTORY_MAX = 20


#: Checks of one complaint that can be listed: the latest.
LISTED_MAX = 200


class Case(Document):
    """What compensation must know of a complaint."""

    KIND: ClassVar[str] = "case"
    SCHEMA: ClassVar[Schema] = Schema(3, read_by=2)

    customer_ref: str
    site: str
    language: Language
    category: Category = Category.OTHER
    severity: Severity = Severity.MILD
    safety: bool = False
    service: Service | None = None
    #: The customer's segment and when they leave; None if that is not known, and once they were erased.
    segment: str | None = None
    stay_ends_at: datetime | None = None
    #: Whether a message reaches the customer; None if that is not known.
    reachable: bool | None = None
    opened_at: datetime | None = None
    check_ids: tuple[str, ...] = ()
    given_by: str | None = None
    given_at: datetime | None = None
    #: Offers neither chosen from nor lapsed, oldest first.
    offer_ids: tuple[str, ...] = ()
    #: The customer it counts for in an incident, if that is not customer_ref.
    counts_for: str | None = None
    #: The complaint that goes on for it, for which checks are given in its place.
    merged_into: str | None = None
    #: The complaints that it goes on for.
    merged_ids: tuple[str, ...] = ()
    #: How it ended where nothing is owed for it: withdrawn, or found to be no complaint; None otherwise.
    ended: State | None = None

    @property
    def customer(self) -> str:
        """The customer it counts for in an incident."""
        return self.counts_for or self.customer_ref

    def left_by(self, now: datetime) -> bool:
        """Whether the customer has left; not if it is not known when they leave."""
        return self.stay_ends_at is not None and self.stay_ends_at <= now


class History(Document):
    """A customer's latest checks and offers, newest first; shown as plain facts, never scored."""

    KIND: ClassVar[str] = "history"

    check_ids: tuple[str, ...] = ()
    #: Open and ended offers.
    offer_ids: tuple[str, ...] = ()
    #: The day on which the customer's latest stay began; None if stays never end.
    stay_from: date | None = None
    #: The customer was erased, and nothing is listed any more.
    erased: bool | None = None


def case_triaged(case: Case | None, fact: ComplaintTriaged) -> Case:
    """The case of a triaged complaint; one opened on the spot keeps what triage does not know."""
    if case is not None:
        return case.model_copy(
            update={
                "category": fact.category,
                "severity": fact.severity,
                "safety": fact.safety,
                "service": fact.service or case.service,
                "reachable": fact.has_contact,
                "segment": fact.segment,
                "stay_ends_at": fact.stay_ends_at,
            }
        )
    return Case(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        category=fact.category,
        severity=fact.severity,
        safety=fact.safety,
        service=fact.service,
        counts_for=fact.counts_for,
        reachable=fact.has_contact,
        segment=fact.segment,
        stay_ends_at=fact.stay_ends_at,
    )


def case_reopened(case: Case | None, fact: ComplaintReopened) -> Case:
    """The case of a reopened complaint, which is one again; a new one if none is known."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known if known.ended is None else known.model_copy(update={"ended": None})


def case_ended(case: Case, fact: ComplaintWithdrawn | ComplaintUnfounded) -> Case:
    """The case of a complaint that its customer took back, or in which an employee found none."""
    withdrawn = isinstance(fact, ComplaintWithdrawn)
    return case.model_copy(
        update={"ended": State.WITHDRAWN if withdrawn else State.NOT_A_COMPLAINT}
    )


def case_corrected(case: Case, fact: ComplaintCorrected) -> Case:
    """The case of a complaint that an employee put right."""
    return case.model_copy(update={"category": fact.category, "severity": fact.severity})


def case_endangered(case: Case, _: SafetyFound) -> Case:
    """The case of a complaint that turned out to be about somebody's safety."""
    return case.model_copy(update={"safety": True, "severity": Severity.SEVERE})


def case_merged(case: Case, fact: ComplaintMerged) -> Case:
    """The case of a complaint that another one goes on for."""
    return case.model_copy(update={"merged_into": fact.into})


def case_split(case: Case, _: ComplaintSplit) -> Case:
    """The case of a complaint that stands by itself again."""
    return case.model_copy(update={"merged_into": None})


def case_forgotten(case: Case, _: ComplaintForgotten) -> Case:
    """The case of an erased customer, of whom nothing is known any more."""
    return case.model_copy(update={"segment": None, "stay_ends_at": None})


def case_changed(case: Case, fact: MatterChanged) -> Case:
    """The case of a complaint that goes on for others as well, or not any more."""
    return case.model_copy(update={"severity": fact.severity, "merged_ids": fact.merged_ids})


def case_logged(case: Case | None, fact: ComplaintLogged) -> Case:
    """The case of a complaint told on the spot; more may be given for it before triage."""
    return case or Case(
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        category=fact.reason,
        severity=fact.severity,
        service=fact.service,
        reachable=fact.has_contact,
    )


def case_opened(case: Case, fact: CaseOpened) -> Case:
    """The case, with the time from which its customer waits."""
    return case.model_copy(update={"opened_at": fact.opened_at})


def case_given(case: Case | None, fact: CheckIssued) -> Case:
    """The case, with one more check and who gave it when."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(
        update={
            "check_ids": (*known.check_ids, fact.check_id)[-LISTED_MAX:],
            "given_by": fact.employee_id,
            "given_at": fact.issued_at,
        }
    )


def case_offered(case: Case | None, fact: OfferMade) -> Case:
    """The case, with one more open offer."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(update={"offer_ids": (*known.offer_ids, fact.offer_id)[-HISTORY_MAX:]})


def case_chosen(case: Case, fact: OfferChosen | OfferLapsed) -> Case:
    """The case, without the offer that was chosen from or lapsed."""
    left = tuple(one for one in case.offer_ids if one != fact.offer_id)
    return case.model_copy(update={"offer_ids": left})


def history_of(history: History | None, fact: CheckIssued) -> History:
    """The history, with one more check."""
    known = history or History()
    if known.erased:
        return known
    return known.model_copy(
        update={
            "check_ids": (fact.check_id, *known.check_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.debits),
        }
    )


def history_offered(history: History | None, fact: OfferMade) -> History:
    """The history, with one more offer; what it holds is charged to a stay, as a check is."""
    known = history or History()
    if known.erased:
        return known
    return known.model_copy(
        update={
            "offer_ids": (fact.offer_id, *known.offer_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.held),
        }
    )


def history_erased(_: History | None, __: CustomerErased) -> History:
    """Nothing, and nothing is added to it: a check may be given before this was heard of, or after."""
    return History(erased=True)


def _stay_from(history: History, accounts: Iterable[str]) -> date | None:
    """The first day of the latest stay charged; a late choice may be charged to an earlier stay."""
    began = [
        date.fromisoformat(account.rpartition(STAY)[2])
        for account in accounts
        if account.startswith("customer/") and STAY in account
    ]
    return max(filter(None, (history.stay_from, *began)), default=None)


def case_id(fact: ComplaintFact) -> str:
    """The id of the fact's complaint."""
    return fact.complaint_id


def complaint_of(fact: CheckIssued) -> str | None:
    """The id of the complaint that a check is given for; None if it is given to delight."""
    return fact.for_complaint


def customer_ref(fact: CheckIssued | OfferMade | CustomerErased) -> str:
    """The customer of the fact's history."""
    return fact.customer_ref


SLICE = Slice(
    {
        ComplaintTriaged: (Fold(Case, case_id, case_triaged),),
        ComplaintCorrected: (Fold(Case, case_id, case_corrected),),
        SafetyFound: (Fold(Case, case_id, case_endangered),),
        ComplaintReopened: (Fold(Case, case_id, case_reopened),),
        ComplaintWithdrawn: (Fold(Case, case_id, case_ended),),
        ComplaintUnfounded: (Fold(Case, case_id, case_ended),),
        ComplaintMerged: (Fold(Case, case_id, case_merged),),
        ComplaintSplit: (Fold(Case, case_id, case_split),),
        MatterChanged: (Fold(Case, case_id, case_changed),),
        ComplaintForgotten: (Fold(Case, case_id, case_forgotten),),
        ComplaintLogged: (Fold(Case, case_id, case_logged),),
        CaseOpened: (Fold(Case, case_id, case_opened),),
        CheckIssued: (
            Fold(Case, complaint_of, case_given),
            Fold(History, customer_ref, history_of),
        ),
        OfferMade: (
            Fold(Case, case_id, case_offered),
            Fold(History, customer_ref, history_offered),
        ),
        OfferChosen: (Fold(Case, case_id, case_chosen),),
        OfferLapsed: (Fold(Case, case_id, case_chosen),),
        CustomerErased: (Fold(History, customer_ref, history_erased),),
    }
)
