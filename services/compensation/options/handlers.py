"""What may be given now, for a complaint or to a customer on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

from services.compensation.authority.rules import Limit, left_of
from services.compensation.cases.handlers import Gift, case_to_give_for, earlier_items, history
from services.compensation.cases.rules import Case
from services.compensation.incidents.handlers import Incidents
from services.compensation.incidents.rules import Recent, recent_id
from services.compensation.options.rules import options_for, rights
from services.compensation.staff_context import ContextLoader
from shared.contracts.compensation import Option, Scope
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.policy import Policy
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Principal
from shared.runtime.privacy.seal import Vault


@dataclass(frozen=True, slots=True)
class Possible:
    """What an employee may give now, and everything the screen shows beside it."""

    reason: Category
    severity: Severity
    options: tuple[Option, ...]
    limits: tuple[Limit, ...]
    #: What is left of each limit, by scope.
    left: Mapping[Scope, int]
    history: tuple[Gift, ...]
    incident_id: str | None
    incident_option: Option | None
    regime: str | None
    information: str | None


class Said(TypedDict):
    """What an employee says of a complaint; None where nothing differs from what we know."""

    category: Category | None
    severity: Severity | None
    language: Language | None


class Options:
    """Reads what an employee may give now."""

    def __init__(self, context: ContextLoader, incidents: Incidents, vault: Vault) -> None:
        self._context = context
        self._incidents = incidents
        self._vault = vault

    async def catalogue(self, principal: Principal, view: View) -> Policy:
        """The policy of the employee's site; raises Rejected, Unavailable."""
        return (await self._context.staff(principal, view)).policy

    async def possible(
        self,
        complaint_id: str | None,
        customer: str | None,
        principal: Principal,
        view: View,
        **said: Unpack[Said],
    ) -> Possible:
        """What may be given for a complaint, to a customer, or to one of whom nothing is known.

        `said` replaces what the complaint says. Raises Rejected, Unavailable.
        """
        staff = await self._context.staff(principal, view)
        incident_id: str | None = None
        incident_option: Option | None = None
        if complaint_id is not None:
            case = await case_to_give_for(complaint_id, staff, view)
            recent = await view.get(Recent, recent_id(staff.site, case.category))
            incident_id = recent.incident_id if recent is not None else None
            if incident_id is not None:
                incident_option = await self._incidents.option_for(incident_id, case.customer, view)
        else:
            # No customer has an empty name, so the accounts under that name are empty.
            ref = self._vault.pseudonyms.customer(f"/site/{staff.site}", customer or "")
            ref = await self._context.keys.current(ref, view)
            case = Case(customer_ref=ref, site=staff.site, language=staff.policy.languages[0])
        case = case.model_copy(update={name: one for name, one in said.items() if one is not None})
        headroom = await self._context.headroom(staff, case.customer_ref, complaint_id, view)
        earlier = await history(case.customer_ref, view)
        return Possible(
            reason=case.category,
            severity=case.severity,
            options=options_for(
                staff.policy,
                headroom,
                case.category,
                case.severity,
                case.language,
                earlier_items=earlier_items(earlier),
                segment=case.segment,
                left=case.left_by(view.now),
            ),
            limits=headroom.limits,
            left=left_of(headroom.limits, headroom.balances),
            history=earlier,
            incident_id=incident_id if incident_option is not None else None,
            incident_option=incident_option,
            **rights(staff.policy, case.category, case.service, case.language),
        )
