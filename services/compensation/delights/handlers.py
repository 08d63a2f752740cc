"""Gives checks to delight, without a complaint, and reads which may be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.compensation.authority.rules import Limit, left_of
from services.compensation.cases.handlers import Gift, earlier_items, history
from services.compensation.checks.handlers import Checks
from services.compensation.checks.rules import CheckRequest
from services.compensation.options.rules import DELIGHTS, delights_for
from services.compensation.staff_context import ContextLoader, StaffContext
from shared.contracts.compensation import DELIGHT_ID, Basis, Option, Scope
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import Currency, Id
from shared.contracts.intake import Reachable
from shared.contracts.names import CustomerName, legible
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.privacy.seal import Vault

#: Some sentences about the occasion, typed between two guests.
NOTE_CHARS_MAX = 500


class GiveDelight(BaseModel):
    """Give a check to delight a customer, without a complaint."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"occasion": "birthday", "item": "cinema", "customer": "cabin-7112"},
                {
                    "occasion": "bad-day",
                    "item": "taxfree-card/20000",
                    "note": "Missed the whales.",
                    "contact": {"name": "Kari Nordmann", "email": "kari@guest.example"},
                },
            ]
        },
    )

    occasion: Annotated[Id, Field(description="The occasion, by its name in the site's policy.")]
    item: Annotated[
        Id,
        Field(
            description="The check, by its name in the catalogue, with its amount if it has one: `<item>/<amount>`."
        ),
    ]
    note: Annotated[
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=NOTE_CHARS_MAX),
            AfterValidator(legible),
        ]
        | None,
        Field(
            description="What is to be remembered of the occasion; the customer is not told it, and nobody else reads it."
        ),
    ] = None
    customer: Annotated[
        CustomerName,
        Field(
            description="Booking or card number, as in the site's other systems; without it, the limits of a customer of whom nothing is known."
        ),
    ] = None
    language: Annotated[
        Language | None,
        Field(
            description="Language in which the customer is written to; null for the site's first."
        ),
    ] = None
    contact: Annotated[
        Reachable | None,
        Field(description="Where the customer can be reached; without it nobody is written to."),
    ] = None
    currency: Annotated[
        Currency | None,
        Field(
            description="The currency that the caller expects; refused if the site has another. Null for the site's."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class PossibleDelights:
    """What an employee may give now to delight, and what the screen shows beside it."""

    policy: Policy
    options: tuple[Option, ...]
    limits: tuple[Limit, ...]
    #: What is left of each limit, by scope.
    left: Mapping[Scope, int]
    history: tuple[Gift, ...]


class Delights:
    """Decides about checks that are given to delight."""

    def __init__(self, context: ContextLoader, checks: Checks, vault: Vault) -> None:
        self._context = context
        self._checks = checks
        self._vault = vault

    async def give(
        self, command: GiveDelight, principal: Principal, name: str, view: View
    ) -> Decision:
        """Give the check if it fits the employee's authority and the budget for delight.

        Neither a complaint nor a case comes of it. Raises Rejected, Unavailable.
        """
        staff = await self._context.staff(principal, view)
        option = delightful(command.occasion, command.item, staff)
        if command.currency not in (None, staff.policy.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        delight_id = f"{DELIGHT_ID}{name}"
        email = command.contact.email if command.contact is not None else None
        customer_ref = self._vault.pseudonyms.customer_of(
            delight_id, f"/site/{staff.site}", staff.site, command.customer, email
        )
        customer_ref = await self._context.keys.current(customer_ref, view)
        headroom = await self._context.headroom(staff, customer_ref, None, view, delight=True)
        seals = await self._context.keys.seals(customer_ref, staff.site, view)
        contact = command.contact if command.contact and not command.contact.empty else None
        request = CheckRequest(
            check_id=f"ck-{name}",
            complaint_id=delight_id,
            customer_ref=customer_ref,
            employee_id=staff.employee_id,
            role=staff.role,
            site=staff.site,
            option=option,
            reason=Category.OTHER,
            severity=Severity.MILD,
            language=command.language or staff.policy.languages[0],
            day=staff.windows.day.id,
            reachable=staff.policy.notify.reaches(contact),
            basis=Basis.DELIGHT,
            delight=command.occasion,
            note=seals.words.seal("note", command.note) if command.note is not None else None,
            contact=seals.contact.seal("contact", contact.model_dump_json()) if contact else None,
            ruled_by=staff.policy_version,
        )
        decision = await self._checks.grant_or_refuse(
            request, None, headroom, seals.contact, staff, view
        )
        return Decision((*seals.created, *decision.facts), decision.ceilings)

    async def possible(
        self, customer: str | None, principal: Principal, view: View
    ) -> PossibleDelights:
        """What may be given to delight a customer, or one of whom nothing is known; nothing if the policy has no delight.

        Raises Rejected, Unavailable.
        """
        staff = await self._context.staff(principal, view)
        policy = staff.policy
        # No customer has an empty name, so the accounts under that name are empty.
        ref = self._vault.pseudonyms.customer(f"/site/{staff.site}", customer or "")
        ref = await self._context.keys.current(ref, view)
        headroom = await self._context.headroom(staff, ref, None, view, delight=True)
        earlier = await history(ref, view)
        items = earlier_items(earlier)
        options = delights_for(policy, headroom, policy.languages[0], earlier_items=items)
        return PossibleDelights(
            policy=policy,
            options=options if policy.delight is not None else (),
            limits=headroom.limits,
            left=left_of(headroom.limits, headroom.balances),
            history=earlier,
        )


def delightful(occasion: str, item: str, staff: StaffContext) -> Option:
    """The item, to be given on this occasion.

    Raises Rejected(unknown_occasion) for one that the policy has not, and Rejected(amount_not_offered) for an item
    that is not in the catalogue, or that is an apology or a refund: nothing went wrong.
    """
    delight = staff.policy.delight
    if delight is None or occasion not in delight.occasions:
        known = list(delight.occasions) if delight is not None else []
        raise Rejected(Reason.UNKNOWN_OCCASION, where=("/occasion",), told={"occasions": known})
    option = staff.option(item)
    if option.kind not in DELIGHTS:
        raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
    return option
