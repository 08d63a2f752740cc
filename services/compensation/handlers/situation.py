"""Who asks, under which policy, with what room: what every decision about giving begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

from services.compensation.domain.authority import (
    PERSONAL,
    Case,
    History,
    Room,
    limits_of,
    own_limits,
    stretch_of,
)
from services.compensation.domain.checks import Check, Wish
from services.compensation.domain.offers import Offer
from services.compensation.domain.roster import Crew, crew_parts, on_shift
from services.compensation.domain.windows import Windows, stay_of, windows_of
from shared.contracts.compensation import Option, Scope
from shared.contracts.policy import Policy, RoleAuthority
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, employee_name
from shared.runtime.auth import Principal
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.keys import KeyRing, Keys, key_key
from shared.runtime.policy import Policies, policy_key
from shared.runtime.roster import employed, employee_key
from shared.runtime.snapshot import Snapshot

#: Parts of a crew read in one trip, and colleagues on shift whose accounts are looked at in it.
PARTS_AT_ONCE, COLLEAGUES_AT_ONCE = 4, 32
#: Sites with a policy in force; a process that sees more forgets and counts again.
REMEMBERED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Desk:
    """An employee at work: the policy in force, their authority, the windows of this moment."""

    policy: Policy
    policy_version: int
    employee_id: str
    authority: RoleAuthority
    windows: Windows

    @property
    def site(self) -> str:
        """The site of policy and employee."""
        return self.policy.site

    def option(self, item: str) -> Option:
        """An item of the site's catalogue; raises Rejected(amount_not_offered)."""
        option = self.policy.option(item)
        if option is None:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        return option


@dataclass(frozen=True, slots=True)
class Gift:
    """A line of history: what, when, by which site.

    Of an offer that is still open: its best option, the offer's id in place of a check's, and until
    when the customer may choose.
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


class Instead(TypedDict):
    """What the customer had, and a colleague who can give what the employee cannot."""

    had: tuple[str, ...]
    colleague_id: str | None


class Situations:
    """Reads what decisions rest on."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.policies = Policies()
        #: By site and policy version, from when on they hold: many decisions are in one window.
        self._windows: dict[tuple[str, int], tuple[datetime, Windows]] = {}

    async def desk(self, principal: Principal, snapshot: Snapshot) -> Desk:
        """The employee's desk; raises Rejected(unknown_site, unknown_employee), Unavailable.

        The roster decides who is an employee, whatever the token says.
        """
        await snapshot.prefetch(desk_keys(principal))
        policy, version = await self.policies.at(principal.site, snapshot)
        employee = await employed(principal, snapshot)
        return Desk(
            policy,
            version,
            principal.subject,
            policy.authority_of(employee.listing.role),
            self._windows_at(policy, version, snapshot.now),
        )

    def _windows_at(self, policy: Policy, version: int, now: datetime) -> Windows:
        since, windows = self._windows.get((policy.site, version), (now, None))
        if windows is None or not since <= now < windows.ends_first:
            if len(self._windows) >= REMEMBERED_MAX:
                self._windows.clear()
            windows = windows_of(policy, now)
            self._windows[policy.site, version] = now, windows
        return windows

    async def case(self, complaint_id: str, desk: Desk, snapshot: Snapshot) -> Case:
        """A complaint of this site; a foreign one looks like an unknown one."""
        case = await snapshot.get(Case, complaint_id)
        if case is None or case.site != desk.site:
            raise Rejected(Reason.UNKNOWN_COMPLAINT, where=("/complaint_id",), status=404)
        return case

    async def key(self, customer_ref: str, snapshot: Snapshot) -> KeyRing:
        """The customer's keys; raises Unavailable while none has come."""
        key = await self.keys.of(customer_ref, snapshot)
        if key is None:
            raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
        return key

    async def room(
        self,
        desk: Desk,
        customer_ref: str,
        complaint_id: str | None,
        snapshot: Snapshot,
        also: Sequence[str] = (),
    ) -> Room:
        """The limits of a wish and what is in their accounts.

        Reads the customer's keys and history in the same trip, and `also` what will be changed;
        where stays end, the history first, for it says which stay the customer is in.
        """
        stay = None
        if desk.policy.limits.customer.stay_days is not None:
            known = await snapshot.get(History, customer_ref)
            began = known.stay_from if known is not None else None
            stay = stay_of(desk.policy, desk.windows.day, began)
        limits = limits_of(
            desk.policy,
            desk.authority,
            desk.windows,
            site=desk.site,
            employee_id=desk.employee_id,
            customer_ref=customer_ref,
            complaint_id=complaint_id,
            stay=stay,
        )
        stretch = stretch_of(desk.policy, desk.windows, desk.employee_id)
        accounts = [limit.account for limit in (*limits, stretch) if limit is not None]
        keys = [key_key(customer_ref), f"{History.KIND}:{customer_ref}", *also]
        await snapshot.prefetch(keys, accounts)
        rule = desk.policy.authority.stretch
        return Room(
            per_check=desk.authority.per_check,
            limits=tuple(limits),
            balances=await snapshot.balances(accounts),
            stretch=stretch,
            stretch_percent=rule.percent if rule is not None else 0,
        )

    async def history(self, customer_ref: str, snapshot: Snapshot) -> tuple[Gift, ...]:
        """What this customer was given before and kept or may still choose, by any site, newest first."""
        known = await snapshot.get(History, customer_ref) or History()
        await snapshot.prefetch(
            [
                *(f"{Check.KIND}:{check_id}" for check_id in known.check_ids),
                *(f"{Offer.KIND}:{offer_id}" for offer_id in known.offer_ids),
            ]
        )
        checks = [(check_id, await snapshot.get(Check, check_id)) for check_id in known.check_ids]
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
                (offer_id, await snapshot.get(Offer, offer_id)) for offer_id in known.offer_ids
            ]
            if made is not None and made.open_at(snapshot.now)
        ]
        return tuple(sorted((*offers, *gifts), key=lambda gift: gift.issued_at, reverse=True))

    async def given_lately(self, again: bool, case: Case, desk: Desk, snapshot: Snapshot) -> bool:
        """Whether a colleague gave something a moment ago, and the employee does not mean another.

        A colleague's open offer counts as given, whenever it was made: the customer may choose at any
        moment. What was taken back was not given.
        """
        if not again and await self._offered_by_a_colleague(case, desk, snapshot):
            return True
        apart = desk.policy.limits.complaint.apart
        lately = case.given_at is not None and snapshot.now - case.given_at < apart
        if again or not lately or case.given_by == desk.employee_id or not case.check_ids:
            return False
        last = await snapshot.get(Check, case.check_ids[-1])
        return last is None or not last.taken_back

    async def _offered_by_a_colleague(self, case: Case, desk: Desk, snapshot: Snapshot) -> bool:
        """Whether the customer may choose now from what somebody else offered for this complaint."""
        await snapshot.prefetch([f"{Offer.KIND}:{offer_id}" for offer_id in case.offer_ids])
        offers = [await snapshot.get(Offer, offer_id) for offer_id in case.offer_ids]
        return any(
            made is not None and made.employee_id != desk.employee_id and made.open_at(snapshot.now)
            for made in offers
        )

    async def instead(
        self, wish: Wish, room: Room, bound_by: Scope | None, desk: Desk, snapshot: Snapshot
    ) -> Instead:
        """What an answer at the limit rests on; nothing is read where nothing binds."""
        if bound_by is None:
            return {"had": (), "colleague_id": None}
        history, colleague_id = await self.history(wish.customer_ref, snapshot), None
        if bound_by in PERSONAL:
            colleague_id = await self.colleague(desk, room, wish.option.cost_minor, snapshot)
        return {"had": had(history), "colleague_id": colleague_id}

    async def colleague(
        self, desk: Desk, room: Room, cost_minor: int, snapshot: Snapshot
    ) -> str | None:
        """Somebody else on shift at the site whose authority holds this, or nobody.

        Only for a wish that the employee's own ceilings bind: all others are the colleague's too.
        """
        shared = [limit for limit in room.limits if not limit.own]
        if not all(limit.holds(cost_minor, room.balances) for limit in shared):
            return None
        parts = crew_parts(desk.site, desk.employee_id)
        for first in range(0, len(parts), PARTS_AT_ONCE):
            found = await self._on_shift(desk, parts[first : first + PARTS_AT_ONCE], snapshot)
            own = {
                employee_id: own_limits(desk.policy, authority, desk.windows, employee_id)
                for employee_id, authority in found
                if cost_minor <= authority.per_check
            }
            balances = await snapshot.balances(
                [limit.account for limits in own.values() for limit in limits]
            )
            for employee_id, limits in own.items():
                if all(limit.holds(cost_minor, balances) for limit in limits):
                    return employee_id
        return None

    async def _on_shift(
        self, desk: Desk, parts: Sequence[str], snapshot: Snapshot
    ) -> list[tuple[str, RoleAuthority]]:
        """Colleagues on shift in these parts of the crew."""
        await snapshot.prefetch([f"{Crew.KIND}:{part}" for part in parts])
        members = [
            member
            for part in parts
            for member in (await snapshot.get(Crew, part) or Crew()).members
            if member != desk.employee_id
        ]
        await snapshot.prefetch([employee_key(desk.site, member) for member in members])
        zone, found = ZoneInfo(desk.policy.timezone), []
        for member in members:
            employee = await snapshot.get(Employee, employee_name(desk.site, member))
            if employee is not None and on_shift(employee, zone, snapshot.now):
                found.append((member, desk.policy.authority_of(employee.listing.role)))
            if len(found) == COLLEAGUES_AT_ONCE:
                break
        return found


def desk_keys(principal: Principal) -> Sequence[str]:
    """The documents to read ahead for any decision of an employee."""
    return policy_key(principal.site), employee_key(principal.site, principal.subject)


def had(history: Sequence[Gift]) -> tuple[str, ...]:
    """Items a customer was given before, without their amounts; what may be chosen was not given yet."""
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
        # Histories list no offer that was stored without its moment.
        made.offered_at or made.expires_at,
        best.percent,
        best.bill_up_to_minor,
        offer_id,
        made.expires_at,
    )
