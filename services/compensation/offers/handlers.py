"""Letting the customer choose between two or three checks, by link or on the employee's screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.compensation.authority.rules import Exceeded
from services.compensation.cases.handlers import case_to_give_for, given_lately
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.handlers import (
    FailedService,
    Particulars,
    already_compensated,
    check_request,
    coded,
)
from services.compensation.checks.rules import Check, CheckRequest, issued, refuse
from services.compensation.offers.page import Choice, Chosen, Shown
from services.compensation.offers.rules import (
    ChosenLanguage,
    Offer,
    charged,
    chosen,
    lapse,
    offer,
    open_of,
)
from services.compensation.staff.handlers import fallback_for
from services.compensation.staff_context import ContextLoader
from shared.contracts.compensation import OFFERED_MAX, Option, Safety
from shared.contracts.complaints import Category, Language, reference_of
from shared.contracts.event import Flag, Id
from shared.contracts.policy import CatalogueItem, Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import RANGE_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import PolicyHead
from shared.runtime.words import (
    AS_MONEY,
    about,
    format_money,
    format_time,
    format_worth,
    say,
    spoken,
    standing,
    title_of,
)


class MakeOffer(BaseModel):
    """Let the customer choose between two or three checks."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "complaint_id": "co-9f86d081884c7d65",
                    "items": ["dinner-for-two", "cinema"],
                    "reason": "food",
                }
            ]
        },
    )

    complaint_id: Annotated[Id, Field(description="The complaint that the offer is for.")]
    items: Annotated[
        tuple[Id, ...],
        Field(
            min_length=2,
            max_length=OFFERED_MAX,
            fail_fast=True,
            description="The checks to choose between, as named in the catalogue, each once.",
        ),
    ]
    reason: Annotated[
        Category,
        Field(description="What went wrong: the category that the offer is recorded under."),
    ]
    service: FailedService = None
    safety: Annotated[
        Safety | None,
        Field(
            description="What somebody's safety is about, if it is concerned; recorded with the offer."
        ),
    ] = None
    again: Annotated[
        Flag,
        Field(
            description="Make it even though a colleague gave something for this complaint a moment ago, or has an open offer."
        ),
    ] = False

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        if len(set(self.items)) < len(self.items):
            raise ValueError("items must differ")
        return self


class Choose(BaseModel):
    """The customer's choice, by the link or on the employee's screen."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"item": "cinema"}]}
    )

    item: Annotated[
        Id, Field(description="The chosen check: one of the offer's options, by its `item`.")
    ]


class Offers:
    """Decides about offers: reads what a rule needs, and applies it."""

    def __init__(self, context: ContextLoader, codes: Codes) -> None:
        self._context = context
        self._codes = codes

    async def make(
        self, command: MakeOffer, principal: Principal, name: str, view: View
    ) -> Decision:
        """Offer the items and hold authority for the dearest; raises Rejected, Unavailable."""
        staff = await self._context.staff(principal, view)
        case = await case_to_give_for(command.complaint_id, staff, view)
        offer_id = f"of-{name}"
        options = [staff.option(item) for item in command.items]
        dearest = max(options, key=lambda option: option.cost_minor)
        particulars: Particulars = {"offer_id": offer_id, "again": command.again}
        if command.service is not None:
            particulars["service"] = command.service
        if command.safety is not None:
            particulars["safety"] = command.safety
        request = check_request(
            staff,
            case,
            command.complaint_id,
            f"ck-{name}",
            dearest,
            command.reason,
            **particulars,
        )
        if await given_lately(command.again, case, staff, view):
            return already_compensated(request, view.now)
        headroom = await self._context.headroom(
            staff, case.customer_ref, command.complaint_id, view
        )
        if await self._context.keys.erased(case.customer_ref, view):
            raise Rejected(Reason.CUSTOMER_ERASED)
        bound_by = headroom.binding(dearest.cost_minor)
        if bound_by is not None:
            return refuse(
                request,
                staff.policy,
                staff.policy_version,
                headroom,
                Exceeded(bound_by),
                view.now,
                offered=command.items,
                **await fallback_for(request, headroom, bound_by, staff, view),
            )
        return offer(
            request,
            offer_id,
            options,
            staff.policy,
            staff.policy_version,
            headroom,
            view.now,
        )

    async def open_ones(self, principal: Principal, view: View) -> dict[str, Offer]:
        """The offers that this employee made and nobody has chosen from, the one that ends first in front.

        Raises Rejected, Unavailable.
        """
        staff = await self._context.staff(principal, view)
        name = open_of(staff.site, staff.employee_id)
        # One page holds more than one employee's authority can.
        page = await view.range(Offer, name, None, RANGE_MAX)
        return {offer_id: made for offer_id, made in page.documents if made.open_at(view.now)}

    async def offered(self, offer_id: str, site: str | None, view: View) -> Offer:
        """An offer of the site (of any, if None); raises Rejected(unknown_offer)."""
        return await view.require(Offer, offer_id, Reason.UNKNOWN_OFFER, site=site)

    async def linked(self, offer_id: str, view: View) -> Offer:
        """The offer behind a customer's link; raises Rejected(unknown_offer), or link_invalid once they were erased."""
        made = await self.offered(offer_id, None, view)
        if await self._context.keys.erased(made.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        return made

    async def choose_for(
        self, offer_id: str, item: str, principal: Principal, view: View
    ) -> Decision:
        """The customer's choice on an employee's screen; raises as `choose`."""
        await self._context.staff(principal, view)
        return await self.choose(offer_id, item, principal.site, view)

    async def choose(self, offer_id: str, item: str, site: str | None, view: View) -> Decision:
        """Give the chosen check from the authority held; raises Rejected, Unavailable.

        The check always fits, because its authority was held. `site` is None if the customer chooses.
        """
        made = await self.offered(offer_id, site, view)
        if not made.open_at(view.now):
            raise Rejected(Reason.OFFER_CLOSED)
        option = next((one for one in made.options if one.item == item), None)
        if option is None:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        policy = await self._context.policies.of(made.site, made.policy_version, view)
        listed = policy.checks.get(item.partition("/")[0])
        case = await view.get(Case, made.complaint_id)
        left = case is not None and case.left_by(view.now)
        # An employee may give it to who left, and then it has its whole time.
        if listed is None or (site is None and left and listed.during_stay):
            raise Rejected(Reason.OFFER_CLOSED)
        check_id = "ck-" + offer_id.removeprefix("of-")
        key = await self._context.key(made.customer_ref, view)
        request = CheckRequest(
            check_id=check_id,
            complaint_id=made.complaint_id,
            customer_ref=made.customer_ref,
            employee_id=made.employee_id,
            role=made.role,
            site=made.site,
            option=option,
            reason=made.reason,
            severity=made.severity,
            reachable=case.reachable if case else None,
            language=made.language,
            day=self._context.windows(policy, made.policy_version, view).day.id,
            regime=made.regime,
            information=made.information,
            offer_id=offer_id,
        )
        given = issued(
            request,
            case,
            policy,
            made.policy_version,
            view.now,
            **coded(self._codes, request.check_id, key),
            charged=charged(made, option),
            left={},  # what an offer held is charged, and nobody's accounts were looked at
        )
        choice = chosen(made, offer_id, check_id, item, view.now, by_customer=site is None)
        # Without SafetyNoted, which was recorded with the offer.
        return Decision.of(choice, given)

    async def shown(self, offer_id: str, view: View) -> Shown:
        """An offer as its customer sees it; raises as `linked`, and Unavailable."""
        made = await self.linked(offer_id, view)
        await view.prefetch(
            [
                PolicyHead.key(made.site),
                Case.key(made.complaint_id),
                ChosenLanguage.key(made.customer_ref),
            ]
        )
        now, _ = await self._context.policies.at(made.site, view)
        then = await self._context.policies.of(made.site, made.policy_version, view)
        language = spoken(await language_of(made, view), now)
        case = await view.get(Case, made.complaint_id)
        left = case is not None and case.left_by(view.now)
        choices = tuple(_choices(made, then, now, language, left=left))
        check = await view.get(Check, made.check_id) if made.check_id is not None else None
        chosen = None
        if made.check_id is not None and check is not None:
            chosen = self._seen(made.check_id, check, language, (then, now), view.now)
        return Shown(
            language=language,
            site_name=now.site_name,
            about=about(made.reason, language),
            reference=reference_of(made.complaint_id),
            information=made.information or "",
            choose_by=format_time(made.expires_at, now.timezone, language),
            choices=choices if made.open_at(view.now) else (),
            chosen=chosen,
        )

    async def given(self, offer_id: str, view: View) -> tuple[str, Check, Chosen]:
        """The id of the check that the customer chose, the check, and how their page names it.

        Raises Rejected(unknown_offer) if nothing was chosen or the check is gone, Unavailable.
        """
        made = await self.offered(offer_id, None, view)
        check = await view.get(Check, made.check_id) if made.check_id is not None else None
        named = (await self.shown(offer_id, view)).chosen
        if made.check_id is None or check is None or named is None:
            raise Rejected(Reason.UNKNOWN_OFFER)
        return made.check_id, check, named

    async def check_shown(
        self, check_id: str, language: Language, view: View
    ) -> tuple[Chosen, str]:
        """A check as whoever has its link sees it, and the site's name.

        Raises Rejected(unknown_check), or link_invalid once the customer was erased, and Unavailable.
        """
        check = await view.require(Check, check_id, Reason.UNKNOWN_CHECK, site=None)
        if await self._context.keys.erased(check.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        now, version = await self._context.policies.at(check.site, view)
        then = await self._context.policies.of(check.site, check.policy_version or version, view)
        return self._seen(check_id, check, language, (then, now), view.now), now.site_name

    def _seen(
        self,
        check_id: str,
        check: Check,
        language: Language,
        policies: tuple[Policy, Policy],
        at: datetime,
    ) -> Chosen:
        """A check as its customer sees it, with its code while a till takes it."""
        now = policies[1]
        state = _standing(check, at)
        until = format_time(check.valid_until, now.timezone, language)
        rest = check.value_minor - check.redeemed_minor
        left = format_money(rest, check.currency, language)
        everywhere = say(language, "offer.everywhere", site=now.site_name)
        usable = check.value_minor and state in ("issued", "held", "partly_used")
        return Chosen(
            item=check.item,
            title=title_of(check.item, policies, language),
            worth=worth_of(check, language),
            where=_where(check, now, language) or ("" if check.kind in AS_MONEY else everywhere),
            code=self._codes.code(check_id) if usable else "",
            until=until,
            standing=standing(state, language, until if state == "expired" else left),
        )

    async def page_of(self, offer_id: str, principal: Principal, view: View) -> Offer:
        """An offer that this employee made; raises Rejected(unknown_offer) for all others."""
        staff = await self._context.staff(principal, view)
        made = await self.offered(offer_id, staff.site, view)
        if made.employee_id != staff.employee_id:
            raise Rejected(Reason.UNKNOWN_OFFER)
        return made

    async def lapses(self, offer_id: str, view: View) -> Decision:
        """Let an offer lapse from which nobody chose in time."""
        made = await view.get(Offer, offer_id)
        return lapse(made, offer_id, view.now) if made else Decision()


async def language_of(made: Offer, view: View) -> Language:
    """The language that the customer of an offer chose, else the offer's own; raises Unavailable."""
    chosen = await view.get(ChosenLanguage, made.customer_ref)
    return (chosen.language if chosen is not None else None) or made.language


def _choices(
    made: Offer, then: Policy, now: Policy, language: Language, *, left: bool
) -> Iterator[Choice]:
    """The options that can still be given: after a rebuild the policy may lack one.

    Once the customer has `left`, none that is of use during the stay alone.
    """
    for option in made.options:
        item = then.checks.get(option.item.partition("/")[0])
        if item is not None and not (left and item.during_stay):
            yield Choice(
                item=option.item,
                title=title_of(option.item, (then,), language),
                worth=worth_of(option, language),
                where=_where(item, now, language),
            )


def _where(gift: CatalogueItem | Check, policy: Policy, language: Language) -> str:
    """The outlets that take it; empty if it is valid everywhere."""
    return ", ".join(policy.outlet(name, language) for name in gift.valid_at)


def _standing(check: Check, now: datetime) -> str:
    """The check's state for its customer: used stays used, and it expires before its timer fires."""
    if check.spent:
        return "redeemed"
    if check.value_minor and now >= check.valid_until and check.state != "voided":
        return "expired"
    partly = check.redeemed_minor and check.state in ("issued", "held")
    return "partly_used" if partly else check.state


def worth_of(gift: Option | Check, language: Language) -> str:
    """What an option or a check is worth, in words."""
    return format_worth(
        gift.value_minor,
        gift.currency,
        language,
        gift.percent,
        gift.bill_up_to_minor,
        gift.kind,
    )
