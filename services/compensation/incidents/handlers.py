"""Incidents: complaints are counted as they come; one is opened, given to everybody, closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.authority.rules import Exceeded, Granted, Headroom, left_of
from services.compensation.cases.handlers import case_to_give_for
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.handlers import IssueCheck, check_request, coded, lawful
from services.compensation.checks.rules import (
    Check,
    CheckRequest,
    grant,
    refuse,
)
from services.compensation.incidents.rules import (
    GIVE,
    NOTHING_LEFT_OUT,
    PART,
    Affected,
    Incident,
    Joined,
    LeftOut,
    Recent,
    affected_id,
    complaints_of_incident,
    complaints_since,
    customer_of,
    group_check_id,
    incident_limit,
    joined_id,
    left_out,
    open_in,
    open_incident,
    others_since,
    recent_id,
)
from services.compensation.staff.handlers import fallback_for
from services.compensation.staff_context import ContextLoader, StaffContext
from shared.contracts.compensation import (
    CaseOpened,
    IncidentClosed,
    IncidentGiven,
    IncidentGiving,
    IncidentJoined,
    Option,
    Scope,
)
from shared.contracts.complaints import Category, ComplaintTriaged
from shared.contracts.event import Event, fingerprint
from shared.contracts.lifecycle import State
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import RANGE_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.auth import Principal
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.policies import PolicyHead
from shared.runtime.privacy.keys import KeyRing

#: A customer's key is sent with their complaint, on another topic, and arrives within seconds of it. A
#: destroyed key looks like one that has not arrived, and holds up the customers after it: so a step
#: skips a customer without a key once the complaint is this old. A desk can still give to them.
KEY_COMES_WITHIN = timedelta(hours=1)
#: Complaints that are looked at before the giving begins, to say how many are left out: a full ship, in 50 reads.
COUNTED_MAX = 50 * PART


class OpenIncident(BaseModel):
    """Open an incident by hand, before enough complaints have come."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"reason": "delay"}]}
    )

    reason: Annotated[
        Category, Field(description="The category of the complaints that the incident is about.")
    ]


@dataclass(frozen=True, slots=True)
class Group:
    """What an incident gives to everybody, under which policy, and what its budget still holds."""

    policy: Policy
    policy_version: int
    option: Option
    headroom: Headroom

    @property
    def fits(self) -> bool:
        """Whether the budget holds one more check."""
        return self.headroom.binding(self.option.cost_minor) is None

    def after_one(self) -> Group:
        """The group with one more check charged, which is decided and not yet posted."""
        cost = self.option.cost_minor
        balances = {account: used + cost for account, used in self.headroom.balances.items()}
        return replace(self, headroom=replace(self.headroom, balances=balances))


class Incidents:
    """Mass incidents."""

    def __init__(self, context: ContextLoader, codes: Codes, settler: Settler) -> None:
        self._context = context
        self._codes = codes
        self._settler = settler

    def on_triaged(self, event: Event[ComplaintTriaged]) -> Prepared:
        """Count a triaged complaint; it may join an open incident, or be the one that opens it."""
        lately = recent_id(event.data.site, event.data.category)
        reads = (PolicyHead.key(event.data.site), Recent.key(lately))
        return Prepared(partial(self._triaged, event, lately), reads)

    async def _triaged(self, event: Event[ComplaintTriaged], lately: str, view: View) -> Decision:
        fact = event.data
        case = await view.get(Case, fact.complaint_id)
        if case is not None and case.opened_at is not None:
            return Decision()
        if await view.get(PolicyHead, fact.site) is None:
            # The complaints service knew the site, so its policy will arrive here too.
            raise Unavailable(Reason.POLICY_NOT_YET_KNOWN)
        policy, version = await self._context.policies.at(fact.site, view)
        # The event's time and not ours, because a backlog is read all at once.
        came = min(event.time or view.now, view.now)
        opened = CaseOpened(
            complaint_id=fact.complaint_id,
            customer_ref=fact.customer_ref,
            site=fact.site,
            reason=fact.category,
            severity=fact.severity,
            # Today, because the day in which it came may be counted already.
            day=self._context.windows(policy, version, view).day.id,
            opened_at=came,
            counts_for=fact.counts_for,
        )
        recent = await view.get(Recent, lately)
        if recent is not None and recent.incident_id is not None:
            return Decision.of(opened, *await self._joins(recent.incident_id, opened, view))
        together = complaints_of_incident(policy, opened, recent)
        if together:  # read only where it may matter
            ended = await _ended(recent, view)
            together = complaints_of_incident(policy, opened, recent, ended)
        if not together:
            return Decision.of(opened)
        name = "in-" + fingerprint("incident", *together.values())
        return Decision.of(
            opened, open_incident(policy, version, fact.category, name, together, view.now)
        )

    async def _joins(
        self, incident_id: str, opened: CaseOpened, view: View
    ) -> tuple[IncidentJoined, ...]:
        """The customer joins an open incident, unless they are in it by another complaint."""
        customer, first = customer_of(opened), affected_id(incident_id, 0)
        joined = joined_id(incident_id, customer)
        await view.prefetch([Affected.key(first), Joined.key(joined)])
        part = await view.get(Affected, first) or Affected()
        if customer in part.customers or await view.get(Joined, joined) is not None:
            return ()
        number = (await self._known(incident_id, view)).affected
        await view.prefetch([Affected.key(affected_id(incident_id, number))])
        return (
            IncidentJoined(
                incident_id=incident_id,
                site=opened.site,
                complaint_id=opened.complaint_id,
                customer=customer,
                number=number,
                joined_at=view.now,
            ),
        )

    async def open(
        self, command: OpenIncident, principal: Principal, name: str, view: View
    ) -> Decision:
        """Open an incident by hand; raises Rejected(no_incident, incident_open)."""
        staff = await self._context.staff(principal, view)
        if staff.policy.incidents is None:
            raise Rejected(Reason.NO_INCIDENT)
        incident_id = f"in-{name}"
        recent = await view.get(Recent, recent_id(staff.site, command.reason)) or Recent()
        if recent.incident_id is not None:
            raise Rejected(Reason.INCIDENT_OPEN)
        since = view.now - staff.policy.incidents.open_when.within
        affected = complaints_since(recent, since, await _ended(recent, view))
        return Decision.of(
            open_incident(
                staff.policy,
                staff.policy_version,
                command.reason,
                incident_id,
                affected,
                view.now,
                staff.employee_id,
            )
        )

    async def give(self, incident_id: str, principal: Principal, view: View) -> Decision:
        """Begin to give the group check to all who are affected, but for what is no complaint any more; timers do it in steps."""
        staff, incident = await self._open(incident_id, principal, view)
        without = await self._left_out(incident_id, incident)
        return Decision.of(
            IncidentGiving(
                incident_id=incident_id,
                site=staff.site,
                employee_id=staff.employee_id,
                affected=max(0, incident.affected - incident.done - sum(without)),
                **without._asdict(),
                began_at=view.now,
            )
        )

    async def _left_out(self, incident_id: str, incident: Incident) -> LeftOut:
        """Whom nothing is given for, of those not looked at yet, as it stands now: each step looks again.

        Read apart from the decision, so that a complaint that changes meanwhile is no conflict.
        """
        view, found = self._settler.view(), NOTHING_LEFT_OUT
        named: set[str] = set()
        until = min(incident.affected, incident.done + COUNTED_MAX)
        for first in range(incident.done - incident.done % PART, until, PART):
            part = await view.get(Affected, affected_id(incident_id, first)) or Affected()
            listed = part.complaint_ids[max(0, incident.done - first) :]
            for one in await self._standing(incident_id, incident, listed, view):
                found += one.left_out(named)
                named.add(one.check_id)
        return found

    async def close(self, incident_id: str, principal: Principal, view: View) -> Decision:
        """Close an incident: later complaints do not join it."""
        staff, incident = await self._open(incident_id, principal, view)
        return Decision.of(
            IncidentClosed(
                incident_id=incident_id,
                site=staff.site,
                reason=incident.reason,
                employee_id=staff.employee_id,
                closed_at=view.now,
            )
        )

    async def look(self, incident_id: str, principal: Principal, view: View) -> Incident:
        """An incident of the employee's site, and how far giving has come."""
        _, incident = await self._of_site(incident_id, principal, view)
        return incident

    async def open_ones(self, principal: Principal, view: View) -> dict[str, Incident]:
        """The site's open incidents."""
        staff = await self._context.staff(principal, view)
        # One page holds them all: there is at most one per category.
        page = await view.range(Incident, open_in(staff.site), None, RANGE_MAX)
        return dict(page.documents)

    async def give_one(self, command: IssueCheck, principal: Principal, view: View) -> Decision:
        """The group check for one customer; raises Rejected(already_compensated) if they have it."""
        incident_id = command.incident_id
        assert command.complaint_id is not None, "an incident's check is for a complaint"
        assert incident_id is not None, "the route sends nothing else here"
        staff = await self._context.staff(principal, view)
        case = await case_to_give_for(command.complaint_id, staff, view)
        incident = await view.get(Incident, incident_id)
        if incident is None or incident.site != staff.site or incident.reason is not case.category:
            raise Rejected(Reason.UNKNOWN_INCIDENT, where=("/incident_id",))
        if incident.closed:
            raise Rejected(Reason.INCIDENT_CLOSED)
        group = await self.group(incident_id, incident, view)
        if group is None or command.item != group.option.item:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        if command.currency not in (None, incident.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        lawful(command, group.option, staff, case.service)
        check_id = group_check_id(incident_id, case.customer)
        if await view.get(Check, check_id) is not None:
            raise Rejected(Reason.ALREADY_COMPENSATED)
        request = check_request(
            staff,
            case,
            command.complaint_id,
            check_id,
            group.option,
            command.reason,
            **command.particulars(),
        )
        if not group.fits:
            return await self._spent(request, group, staff, view)
        key = await self._context.key(case.customer_ref, view)
        return self.group_check(request, case, group, key, view.now)

    async def _spent(
        self, request: CheckRequest, group: Group, staff: StaffContext, view: View
    ) -> Decision:
        """Refuse: the incident's budget is spent. The answer has checks that the employee may give."""
        headroom = await self._context.headroom(
            staff, request.customer_ref, request.complaint_id, view
        )
        return refuse(
            request,
            staff.policy,
            staff.policy_version,
            headroom,
            Exceeded(Scope.INCIDENT),
            view.now,
            shared=left_of(group.headroom.limits, group.headroom.balances),
            **await fallback_for(request, headroom, Scope.INCIDENT, staff, view),
        )

    async def option_for(self, incident_id: str, customer: str, view: View) -> Option | None:
        """The incident's check, unless this customer has it or the budget is spent."""
        incident = await view.get(Incident, incident_id)
        if incident is None or await view.get(Check, group_check_id(incident_id, customer)):
            return None
        group = await self.group(incident_id, incident, view)
        if group is None or not group.fits:
            return None
        return group.option.model_copy(update={"fits_reason": True, "why": "incident"})

    async def group(self, incident_id: str, incident: Incident, view: View) -> Group | None:
        """The check that an incident gives, and its budget; None if the check is not known any more.

        The check is that of the policy version that opened the incident, at a desk and for everybody,
        even if the catalogue has changed. After a rebuild that version may be gone, and the one in
        force stands in for it: it may lack the check, or have another currency than the budget.
        """
        policy = await self._context.policies.of(incident.site, incident.policy_version, view)
        option = policy.option(incident.item)
        if option is None or option.currency != incident.currency:
            return None
        limit = incident_limit(incident_id, incident.budget_minor, incident.currency)
        balances = await view.balances([limit.account])
        # The budget alone decides: `per_check` is the cost of the check itself.
        headroom = Headroom(per_check=option.cost_minor, limits=(limit,), balances=balances)
        return Group(policy, incident.policy_version, option, headroom)

    def group_check(
        self, request: CheckRequest, case: Case, group: Group, key: KeyRing, now: datetime
    ) -> Decision:
        """Grant a check from the budget of the request's incident; the budget must hold it."""
        return grant(
            request,
            case,
            group.policy,
            group.policy_version,
            group.headroom,
            Granted(group.headroom, stretched=False),
            now,
            **coded(self._codes, request.check_id, key),
        )

    async def gives(self, incident_id: str, due_ms: int) -> None:
        """One step of giving: the next part of those affected, in one commit.

        Raises Unavailable while a customer's key may still arrive; the timer tries again.
        """
        done = (await self._known(incident_id, self._settler.view())).done

        async def decide(view: View) -> Decision:
            incident = await self._known(incident_id, view)
            if incident.done != done:  # somebody else took this step, and set the timer of the next
                raise Unavailable(Reason.CONTENDED)
            return await self._step(incident_id, incident, view)

        # Two steps may be due in the same millisecond; their facts must not have the same ids.
        await self._settler.settle_timer(GIVE, incident_id, due_ms, decide, step=str(done))

    async def _step(self, incident_id: str, incident: Incident, view: View) -> Decision:
        """Give to the next part of those affected; raises Unavailable while a key may still come."""
        if incident.closed or incident.giving_by is None or incident.done >= incident.affected:
            return Decision()
        part = await view.get(Affected, affected_id(incident_id, incident.done)) or Affected()
        listed = part.complaint_ids[incident.done % PART :]
        next_ones = await self._standing(incident_id, incident, listed, view)
        policy, version = await self._context.policies.at(incident.site, view)
        windows = self._context.windows(policy, version, view)
        staff = StaffContext(policy, version, incident.giving_by, policy.authority_of(""), windows)
        group = await self.group(incident_id, incident, view)
        facts: list[Fact] = []
        ceilings: dict[str, int] = {}
        given = skipped = 0
        without = LeftOut.of(incident)
        named: set[str] = set()
        for one in next_ones:
            case, why = one.case, one.left_out(named)
            without += why
            # Incidents stored before customers were counted may hold several complaints of one customer.
            if any(why) or one.has(named):
                continue
            if case is None or group is None or not group.fits:
                skipped += 1
                continue
            try:
                key = await self._context.key(case.customer_ref, view)
            except Unavailable:
                if case.opened_at and view.now < case.opened_at + KEY_COMES_WITHIN:
                    raise
                skipped += 1
                continue
            except Rejected:  # erased
                skipped += 1
                continue
            request = check_request(
                staff,
                case,
                one.complaint_id,
                one.check_id,
                group.option,
                case.category,
                incident_id=incident_id,
            )
            decision = self.group_check(request, case, group, key, view.now)
            facts += decision.facts
            ceilings |= decision.ceilings
            group = group.after_one()
            named.add(one.check_id)
            given += 1
        done = incident.done + len(next_ones)
        facts.append(
            IncidentGiven(
                incident_id=incident_id,
                site=incident.site,
                done=done,
                remaining=incident.affected - done if next_ones else 0,
                given=incident.given + given,
                skipped=incident.skipped + skipped,
                **without._asdict(),
                given_at=view.now,
            )
        )
        return Decision(facts, ceilings)

    async def _standing(
        self, incident_id: str, incident: Incident, complaint_ids: Sequence[str], view: View
    ) -> Sequence[Standing]:
        """What these complaints stand for; in place of one that ended, another of its customer that goes on.

        Raises Unavailable.
        """
        listed = await _listed(incident_id, complaint_ids, view)
        if not any(one.ended for one in listed):
            return listed
        # Read apart from the decision, so that a complaint that comes meanwhile is no conflict; one that ends is.
        apart = self._settler.view()
        recent = await apart.get(Recent, recent_id(incident.site, incident.reason)) or Recent()
        policy = await self._context.policies.of(incident.site, incident.policy_version, apart)
        within = policy.incidents.open_when.within if policy.incidents else timedelta(0)
        others = others_since(recent, incident.opened_at - within)
        return [await _instead(one, others, view) for one in listed]

    async def _of_site(
        self, incident_id: str, principal: Principal, view: View
    ) -> tuple[StaffContext, Incident]:
        staff = await self._context.staff(principal, view)
        return staff, await view.require(
            Incident, incident_id, Reason.UNKNOWN_INCIDENT, site=staff.site
        )

    async def _open(
        self, incident_id: str, principal: Principal, view: View
    ) -> tuple[StaffContext, Incident]:
        staff, incident = await self._of_site(incident_id, principal, view)
        if incident.closed:
            raise Rejected(Reason.INCIDENT_CLOSED)
        return staff, incident

    async def _known(self, incident_id: str, view: View) -> Incident:
        incident = await view.get(Incident, incident_id)
        assert incident is not None, f"incident {incident_id} is listed and not stored"
        return incident


class Standing(NamedTuple):
    """A complaint of an incident, or the one that it was merged into: its case, its group check, and whether that was given."""

    complaint_id: str
    case: Case | None
    merged: bool
    #: Empty without a case.
    check_id: str
    has_check: bool

    @property
    def ended(self) -> bool:
        """Whether nothing is owed for it."""
        return self.case is not None and self.case.ended is not None

    def has(self, named: Collection[str]) -> bool:
        """Whether its customer has the group check, or gets it by one of those named."""
        return self.has_check or (self.case is not None and self.check_id in named)

    def left_out(self, named: Collection[str]) -> LeftOut:
        """Whether nothing is given for it, and why; `named` are the checks of complaints before it."""
        if self.case is None:
            return NOTHING_LEFT_OUT
        return left_out(self.case.ended, merged=self.merged, has_check=self.has(named))


async def _ended(recent: Recent | None, view: View) -> Mapping[str, State]:
    """Of the latest complaints those that nothing is owed for, and how each ended; raises Unavailable."""
    names = recent.complaint_ids if recent is not None else ()
    await view.prefetch([Case.key(one) for one in names])
    cases = [(one, await view.get(Case, one)) for one in names]
    return {one: case.ended for one, case in cases if case is not None and case.ended is not None}


async def _instead(one: Standing, others: Mapping[str, Sequence[str]], view: View) -> Standing:
    """A complaint, or the latest of its customer's `others` that goes on if it ended; raises Unavailable."""
    if one.case is None or not one.ended:
        return one
    for name in others.get(one.case.customer, ()):
        case = await view.get(Case, name)
        if case is not None and case.ended is None and case.merged_into is None:
            return one._replace(complaint_id=name, case=case, merged=False)
    return one


async def _listed(incident_id: str, complaint_ids: Sequence[str], view: View) -> Sequence[Standing]:
    """These complaints, or those that they were merged into; raises Unavailable."""
    await view.prefetch([Case.key(one) for one in complaint_ids])
    known = [await view.get(Case, one) for one in complaint_ids]
    standing = [
        one if case is None or case.merged_into is None else case.merged_into
        for one, case in zip(complaint_ids, known, strict=True)
    ]
    await view.prefetch([Case.key(one) for one in standing])
    cases = [await view.get(Case, one) for one in standing]
    check_ids = [group_check_id(incident_id, case.customer) if case else "" for case in cases]
    await view.prefetch([Check.key(check_id) for check_id in check_ids if check_id])
    given = [bool(one) and await view.get(Check, one) is not None for one in check_ids]
    merged = [own != one for own, one in zip(complaint_ids, standing, strict=True)]
    return [*map(Standing, standing, cases, merged, check_ids, given)]
