"""What compensation knows of a complaint, and of what its customer was given before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar

from services.compensation.authority.rules import STAY
from shared.contracts.compensation import (
    CaseOpened,
    CheckIssued,
    ComplaintLogged,
    Debit,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    Scope,
)
from shared.contracts.complaints import (
    Category,
    ComplaintReopened,
    ComplaintTriaged,
    Language,
    Service,
    Severity,
)
from shared.kernel import Document, Fold, Slice

#: What a phone shows of the past without scrolling; older checks and offers stay in their facts.
HISTORY_MAX = 20


#: Checks of one complaint or of one employee's day that can be listed.
LISTED_MAX = 200


class Case(Document):
    """What compensation must know of a complaint."""

    KIND: ClassVar[str] = "case"

    customer_ref: str
    site: str
    language: Language
    category: Category = Category.OTHER
    severity: Severity = Severity.MILD
    safety: bool = False
    service: Service | None = None
    #: Whether a message reaches the customer; None where it is not known.
    reachable: bool | None = None
    opened_at: datetime | None = None
    check_ids: tuple[str, ...] = ()
    given_by: str | None = None
    given_at: datetime | None = None
    #: Offers that the customer neither chose from nor let lapse, oldest first.
    offer_ids: tuple[str, ...] = ()
    #: Whom it counts for in an incident, where that is not its customer_ref.
    counts_for: str | None = None

    @property
    def customer(self) -> str:
        """Who is one customer for an incident."""
        return self.counts_for or self.customer_ref


class History(Document):
    """The checks a customer was given, newest first; shown as plain facts, never scored."""

    KIND: ClassVar[str] = "history"

    check_ids: tuple[str, ...] = ()
    #: The latest offers, newest first, also those that are over.
    offer_ids: tuple[str, ...] = ()
    #: The day on which the customer's latest stay began, where stays end.
    stay_from: date | None = None


def case_triaged(case: Case | None, fact: ComplaintTriaged) -> Case:
    """A complaint we may give something for; what was known of it on the spot stays."""
    if case is not None:
        return case.model_copy(
            update={
                "category": fact.category,
                "severity": fact.severity,
                "safety": fact.safety,
                "service": fact.service or case.service,
                "reachable": fact.has_contact,
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
    )


def case_reopened(case: Case | None, fact: ComplaintReopened) -> Case:
    """It is open again; what it is about did not change."""
    return case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)


def case_logged(case: Case | None, fact: ComplaintLogged) -> Case:
    """Told on the spot, whether or not something fitted; more may be given for it at once."""
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
    """The clock runs."""
    return case.model_copy(update={"opened_at": fact.opened_at})


def case_given(case: Case | None, fact: CheckIssued) -> Case:
    """Somebody gave something for it."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(
        update={
            "check_ids": (*known.check_ids, fact.check_id)[-LISTED_MAX:],
            "given_by": fact.employee_id,
            "given_at": fact.issued_at,
        }
    )


def case_offered(case: Case | None, fact: OfferMade) -> Case:
    """The customer may choose, so something is as good as given."""
    known = case or Case(customer_ref=fact.customer_ref, site=fact.site, language=fact.language)
    return known.model_copy(update={"offer_ids": (*known.offer_ids, fact.offer_id)[-HISTORY_MAX:]})


def case_chosen(case: Case, fact: OfferChosen | OfferLapsed) -> Case:
    """There is nothing left to choose from this offer."""
    left = tuple(one for one in case.offer_ids if one != fact.offer_id)
    return case.model_copy(update={"offer_ids": left})


def history_of(history: History | None, fact: CheckIssued) -> History:
    """One more gift."""
    known = history or History()
    return known.model_copy(
        update={
            "check_ids": (fact.check_id, *known.check_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.debits),
        }
    )


def history_offered(history: History | None, fact: OfferMade) -> History:
    """One more offer; what is held for it belongs to a stay as what is given does."""
    known = history or History()
    return known.model_copy(
        update={
            "offer_ids": (fact.offer_id, *known.offer_ids)[:HISTORY_MAX],
            "stay_from": _stay_from(known, fact.held),
        }
    )


def _stay_from(history: History, debits: Sequence[Debit]) -> date | None:
    """When the latest stay began that anything was charged to; a choice may be of an earlier one."""
    began = [
        date.fromisoformat(debit.account.rpartition(STAY)[2])
        for debit in debits
        if debit.scope is Scope.CUSTOMER_STAY and STAY in debit.account
    ]
    return max(filter(None, (history.stay_from, *began)), default=None)


def case_id(fact: ComplaintTriaged | ComplaintReopened | CheckIssued) -> str:
    """Every fact here names its complaint."""
    return fact.complaint_id


def customer_ref(fact: CheckIssued | OfferMade) -> str:
    """Whose history it is."""
    return fact.customer_ref


SLICE = Slice(
    {
        ComplaintTriaged: (Fold(Case, case_id, case_triaged),),
        ComplaintReopened: (Fold(Case, case_id, case_reopened),),
        ComplaintLogged: (Fold(Case, case_id, case_logged),),
        CaseOpened: (Fold(Case, case_id, case_opened),),
        CheckIssued: (Fold(Case, case_id, case_given), Fold(History, customer_ref, history_of)),
        OfferMade: (
            Fold(Case, case_id, case_offered),
            Fold(History, customer_ref, history_offered),
        ),
        OfferChosen: (Fold(Case, case_id, case_chosen),),
        OfferLapsed: (Fold(Case, case_id, case_chosen),),
    }
)
