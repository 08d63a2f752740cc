"""Reads a complaint and its customer's history before something is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.compensation.cases.rules import Case, History
from services.compensation.checks.rules import Check
from services.compensation.offers.rules import Offer
from services.compensation.staff_context import StaffContext
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected


@dataclass(frozen=True, slots=True)
class Gift:
    """A line of history: what, when, by which site.

    For an open offer: its best option, the offer's id in place of a check's, and until when the
    customer may choose.
    """

    check_id: str | None
    item: str
    value_minor: int
    currency: str
    site: str
    issued_at: datetime
    percent: int | None = None
    bill_up_to_minor: int | None = None
    offer_id: str | None = None
    choose_by: datetime | None = None


async def case_of_site(complaint_id: str, staff: StaffContext, view: View) -> Case:
    """A complaint of this site; raises Rejected(unknown_complaint), also for another site's."""
    return await view.require(
        Case, complaint_id, Reason.UNKNOWN_COMPLAINT, where=("/complaint_id",), site=staff.site
    )


async def case_to_give_for(complaint_id: str, staff: StaffContext, view: View) -> Case:
    """A complaint of this site for which something may be given.

    Raises what `case_of_site` does, and Rejected(complaint_merged) where another complaint goes on for it: the limits
    of that one hold, and its customer may be another one, so the employee is told and repeats the wish for that.
    """
    case = await case_of_site(complaint_id, staff, view)
    if case.merged_into is not None:
        raise Rejected(Reason.COMPLAINT_MERGED, told={"complaint_id": case.merged_into})
    return case


async def given_lately(again: bool, case: Case, staff: StaffContext, view: View) -> bool:
    """Whether a colleague gave something a moment ago, and the employee did not say `again`.

    What was given for complaints that are merged into this one counts as well. A colleague's open offer counts as
    given, however old it is: the customer may choose at any moment. A check that was taken back does not count.
    """
    if again:
        return False
    await view.prefetch([Case.key(one) for one in case.merged_ids])
    merged = [await view.get(Case, one) for one in case.merged_ids]
    for one in filter(None, (case, *merged)):
        if await _offered_by_a_colleague(one, staff, view):
            return True
        if await _given_by_a_colleague(one, staff, view):
            return True
    return False


async def _given_by_a_colleague(case: Case, staff: StaffContext, view: View) -> bool:
    """Whether a colleague gave a check a moment ago that was not taken back."""
    apart = staff.policy.limits.complaint.apart
    lately = case.given_at is not None and view.now - case.given_at < apart
    if not lately or case.given_by == staff.employee_id or not case.check_ids:
        return False
    last = await view.get(Check, case.check_ids[-1])
    return last is None or not last.taken_back


async def _offered_by_a_colleague(case: Case, staff: StaffContext, view: View) -> bool:
    """Whether an offer that a colleague made for this complaint is open."""
    await view.prefetch([Offer.key(offer_id) for offer_id in case.offer_ids])
    offers = [await view.get(Offer, offer_id) for offer_id in case.offer_ids]
    return any(
        made is not None and made.employee_id != staff.employee_id and made.open_at(view.now)
        for made in offers
    )


async def history(customer_ref: str, view: View) -> tuple[Gift, ...]:
    """Checks that any site gave this customer and did not take back, and open offers; newest first."""
    known = await view.get(History, customer_ref) or History()
    await view.prefetch(
        [
            *(Check.key(check_id) for check_id in known.check_ids),
            *(Offer.key(offer_id) for offer_id in known.offer_ids),
        ]
    )
    checks = [(check_id, await view.get(Check, check_id)) for check_id in known.check_ids]
    gifts = [
        Gift(
            check_id,
            one.item,
            one.value_minor,
            one.currency,
            one.site,
            one.issued_at,
            one.percent,
            one.bill_up_to_minor,
        )
        for check_id, one in checks
        if one is not None and not one.taken_back
    ]
    offers = [
        _open_gift(offer_id, made)
        for offer_id, made in [
            (offer_id, await view.get(Offer, offer_id)) for offer_id in known.offer_ids
        ]
        if made is not None and made.open_at(view.now)
    ]
    return tuple(sorted((*offers, *gifts), key=lambda gift: gift.issued_at, reverse=True))


def earlier_items(history: Sequence[Gift]) -> tuple[str, ...]:
    """Items a customer was given before, without their amounts; open offers do not count."""
    return tuple({gift.item.partition("/")[0] for gift in history if gift.check_id is not None})


def _open_gift(offer_id: str, made: Offer) -> Gift:
    """An open offer as a line of history."""
    best = max(made.options, key=lambda option: option.value_minor)
    return Gift(
        None,
        best.item,
        best.value_minor,
        best.currency,
        made.site,
        # For types alone: offers stored without `offered_at` are in no history.
        made.offered_at or made.expires_at,
        best.percent,
        best.bill_up_to_minor,
        offer_id,
        made.expires_at,
    )
