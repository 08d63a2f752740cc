"""Many complaints at once: counted as they come, opened, given to everybody, closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from services.compensation.authority.rules import Room, remainders
from services.compensation.authority.windows import windows_of
from services.compensation.cases.handlers import case_of_site
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.handlers import IssueCheck, coded, lawful, wish_of
from services.compensation.checks.rules import Check, Wish, issue, refused, safety_noted
from services.compensation.desk import Desk, Situations
from services.compensation.incidents.rules import (
    GIVE,
    PART,
    Affected,
    Incident,
    Joined,
    OpenIncidents,
    Recent,
    affected_id,
    complaints_of_incident,
    complaints_since,
    customer_of,
    group_check_id,
    incident_limit,
    joined_id,
    open_incident,
    recent_id,
)
from services.compensation.staff.handlers import fallback
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
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.auth import Principal
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.keys import KeyRing
from shared.runtime.policy import PolicyHead
from shared.runtime.settle import Settler
from shared.runtime.snapshot import Snapshot

#: A customer's key is sent with their complaint, on a topic of its own, and is here within seconds of
#: it. One that was destroyed looks the same and never comes, and who is behind it waits too: so a step
#: goes on without it once the complaint is this old. Giving at a desk is still possible.
KEY_COMES_WITHIN = timedelta(hours=1)


class OpenIncident(BaseModel):
    """Say that it is an incident, before the count does."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"reason": "delay"}]}
    )

    reason: Category


@dataclass(frozen=True, slots=True)
class Group:
    """What an incident gives to everybody, under which policy, and what its budget still holds."""

    policy: Policy
    policy_version: int
    option: Option
    room: Room

    @property
    def fits(self) -> bool:
        """Whether the budget holds one more."""
        return self.room.binding(self.option.cost_minor) is None

    def after_one(self) -> Group:
        """The same once one was given that is not posted yet."""
        cost = self.option.cost_minor
        balances = {account: used + cost for account, used in self.room.balances.items()}
        return replace(self, room=replace(self.room, balances=balances))


class Incidents:
    """Mass incidents."""

    def __init__(self, situations: Situations, codes: Codes, settler: Settler) -> None:
        self._situations = situations
        self._codes = codes
        self._settler = settler

    async def on_triaged(self, event: Event[ComplaintTriaged], snapshot: Snapshot) -> Decision:
        """A complaint is here: it is counted, may join an incident, and may be the one too many."""
        fact = event.data
        case = await snapshot.get(Case, fact.complaint_id)
        if case is not None and case.opened_at is not None:
            return Decision()
        if await snapshot.get(PolicyHead, fact.site) is None:
            # complaints knew the site, so its policy is on the way to us too.
            raise Unavailable(Reason.POLICY_NOT_YET_KNOWN)
        policy, version = await self._situations.policies.at(fact.site, snapshot)
        # Not when we heard of it: a backlog is read in one moment.
        came = min(event.time or snapshot.now, snapshot.now)
        opened = CaseOpened(
            complaint_id=fact.complaint_id,
            customer_ref=fact.customer_ref,
            site=fact.site,
            reason=fact.category,
            severity=fact.severity,
            # The day it came in may be counted and over.
            day=windows_of(policy, snapshot.now).day.id,
            opened_at=came,
            counts_for=fact.counts_for,
        )
        known = await snapshot.get(OpenIncidents, fact.site)
        incident_id = known.by_reason.get(fact.category) if known is not None else None
        if incident_id is not None:
            return Decision((opened, *await self._joins(incident_id, opened, snapshot)))
        recent = await snapshot.get(Recent, recent_id(fact.site, fact.category))
        together = complaints_of_incident(policy, opened, recent)
        if not together:
            return Decision((opened,))
        name = "in-" + fingerprint("incident", *together.values())
        return Decision(
            (opened, open_incident(policy, version, fact.category, name, together, snapshot.now))
        )

    async def _joins(
        self, incident_id: str, opened: CaseOpened, snapshot: Snapshot
    ) -> tuple[IncidentJoined, ...]:
        """Its customer joins an open incident, unless they are in it by another complaint."""
        customer, first = customer_of(opened), affected_id(incident_id, 0)
        joined = joined_id(incident_id, customer)
        await snapshot.prefetch([Affected.key(first), Joined.key(joined)])
        part = await snapshot.get(Affected, first) or Affected()
        if customer in part.customers or await snapshot.get(Joined, joined) is not None:
            return ()
        number = (await self._known(incident_id, snapshot)).affected
        await snapshot.prefetch([Affected.key(affected_id(incident_id, number))])
        return (
            IncidentJoined(
                incident_id=incident_id,
                site=opened.site,
                complaint_id=opened.complaint_id,
                customer=customer,
                number=number,
                joined_at=snapshot.now,
            ),
        )

    async def open(
        self, command: OpenIncident, principal: Principal, name: str, snapshot: Snapshot
    ) -> Decision:
        """Open one by hand; raises Rejected(no_incident, incident_open)."""
        desk = await self._situations.desk(principal, snapshot)
        if desk.policy.incidents is None:
            raise Rejected(Reason.NO_INCIDENT, status=409)
        incident_id = f"in-{name}"
        known = await snapshot.get(OpenIncidents, desk.site)
        if known is not None and command.reason in known.by_reason:
            raise Rejected(Reason.INCIDENT_OPEN, status=409)
        recent = await snapshot.get(Recent, recent_id(desk.site, command.reason)) or Recent()
        since = snapshot.now - desk.policy.incidents.open_when.within
        affected = complaints_since(recent, since)
        return Decision(
            (
                open_incident(
                    desk.policy,
                    desk.policy_version,
                    command.reason,
                    incident_id,
                    affected,
                    snapshot.now,
                    desk.employee_id,
                ),
            )
        )

    async def give(self, incident_id: str, principal: Principal, snapshot: Snapshot) -> Decision:
        """Give the group check to all who are affected; goes on in the background, in steps."""
        desk, incident = await self._open(incident_id, principal, snapshot)
        return Decision(
            (
                IncidentGiving(
                    incident_id=incident_id,
                    site=desk.site,
                    employee_id=desk.employee_id,
                    affected=incident.affected - incident.done,
                    began_at=snapshot.now,
                ),
            )
        )

    async def close(self, incident_id: str, principal: Principal, snapshot: Snapshot) -> Decision:
        """It is over: later complaints are their own."""
        desk, incident = await self._open(incident_id, principal, snapshot)
        return Decision(
            (
                IncidentClosed(
                    incident_id=incident_id,
                    site=desk.site,
                    reason=incident.reason,
                    employee_id=desk.employee_id,
                    closed_at=snapshot.now,
                ),
            )
        )

    async def look(self, incident_id: str, principal: Principal, snapshot: Snapshot) -> Incident:
        """An incident of the employee's site and how far the giving came."""
        _, incident = await self._of_site(incident_id, principal, snapshot)
        return incident

    async def open_ones(self, principal: Principal, snapshot: Snapshot) -> dict[str, Incident]:
        """The site's open incidents."""
        desk = await self._situations.desk(principal, snapshot)
        known = await snapshot.get(OpenIncidents, desk.site) or OpenIncidents()
        await snapshot.prefetch([Incident.key(name) for name in known.by_reason.values()])
        return {name: await self._known(name, snapshot) for name in known.by_reason.values()}

    async def give_one(
        self, command: IssueCheck, principal: Principal, snapshot: Snapshot
    ) -> Decision:
        """The group check for one customer; raises Rejected(already_compensated) for a second."""
        incident_id = command.incident_id
        assert command.complaint_id is not None, "an incident's check is for a complaint"
        assert incident_id is not None, "the route sends nothing else here"
        desk = await self._situations.desk(principal, snapshot)
        case = await case_of_site(command.complaint_id, desk, snapshot)
        incident = await snapshot.get(Incident, incident_id)
        if incident is None or incident.site != desk.site or incident.reason is not case.category:
            raise Rejected(Reason.UNKNOWN_INCIDENT, where=("/incident_id",), status=404)
        if incident.closed:
            raise Rejected(Reason.INCIDENT_CLOSED, status=409)
        group = await self.group(incident_id, incident, snapshot)
        if group is None or command.item != group.option.item:
            raise Rejected(Reason.AMOUNT_NOT_OFFERED, where=("/item",))
        if command.currency not in (None, incident.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        lawful(command, group.option, desk, case.service)
        check_id = group_check_id(incident_id, case.customer)
        if await snapshot.get(Check, check_id) is not None:
            raise Rejected(Reason.ALREADY_COMPENSATED, status=409)
        wish = wish_of(
            desk,
            case,
            command.complaint_id,
            check_id,
            group.option,
            command.reason,
            **command.particulars(),
        )
        if not group.fits:
            return await self._spent(wish, group, desk, snapshot)
        key = await self._situations.key(case.customer_ref, snapshot)
        return self.group_check(wish, case, group, key, snapshot.now)

    async def _spent(self, wish: Wish, group: Group, desk: Desk, snapshot: Snapshot) -> Decision:
        """The incident's budget is; the employee's own authority is not, and says what does fit."""
        room = await self._situations.room(desk, wish.customer_ref, wish.complaint_id, snapshot)
        instead = await fallback(wish, room, Scope.INCIDENT, desk, snapshot)
        no = refused(
            wish,
            desk.policy,
            desk.policy_version,
            room,
            Scope.INCIDENT,
            snapshot.now,
            **instead,
        )
        left = (*remainders(group.room.limits, group.room.balances), *no.left)
        return Decision((*safety_noted(wish, snapshot.now), no.model_copy(update={"left": left})))

    async def option_for(
        self, incident_id: str, customer: str, snapshot: Snapshot
    ) -> Option | None:
        """The incident's check, unless this customer has it or the budget is spent."""
        incident = await snapshot.get(Incident, incident_id)
        if incident is None or await snapshot.get(Check, group_check_id(incident_id, customer)):
            return None
        group = await self.group(incident_id, incident, snapshot)
        if group is None or not group.fits:
            return None
        return group.option.model_copy(update={"fits_reason": True, "why": "incident"})

    async def group(self, incident_id: str, incident: Incident, snapshot: Snapshot) -> Group | None:
        """What an incident gives and from what; None where nobody knows any more what it was.

        As the policy had it that opened the incident: at a desk and in the call, whatever the
        catalogue has become since. After a rebuild that version may be gone, and what stands in for
        it may be of another currency than the budget.
        """
        policy = await self._situations.policies.of(
            incident.site, incident.policy_version, snapshot
        )
        option = policy.option(incident.item)
        if option is None or option.currency != incident.currency:
            return None
        limit = incident_limit(incident_id, incident.budget_minor, incident.currency)
        balances = await snapshot.balances([limit.account])
        # The budget alone decides, also where it is less than one check.
        room = Room(per_check=option.cost_minor, limits=(limit,), balances=balances)
        return Group(policy, incident.policy_version, option, room)

    def group_check(
        self, wish: Wish, case: Case, group: Group, key: KeyRing, now: datetime
    ) -> Decision:
        """A check from the budget of the wish's incident."""
        return issue(
            wish,
            case,
            group.policy,
            group.policy_version,
            group.room,
            now,
            **coded(self._codes, wish.check_id, key),
        )

    async def gives(self, incident_id: str, due_ms: int) -> None:
        """One step of giving: the next part of those affected, in one commit.

        Raises Unavailable while a customer's key may still come; the timer tries again.
        """
        done = (await self._known(incident_id, self._settler.look())).done

        async def decide(snapshot: Snapshot) -> Decision:
            incident = await self._known(incident_id, snapshot)
            if incident.done != done:  # somebody else took this step, and set the timer of the next
                raise Unavailable(Reason.CONTENDED)
            return await self._step(incident_id, incident, snapshot)

        # Two steps may be due in the same millisecond; what they make must not have the same ids.
        await self._settler.settle_timer(GIVE, incident_id, due_ms, decide, step=str(done))

    async def _step(self, incident_id: str, incident: Incident, snapshot: Snapshot) -> Decision:
        if incident.closed or incident.giving_by is None or incident.done >= incident.affected:
            return Decision()
        part = await snapshot.get(Affected, affected_id(incident_id, incident.done)) or Affected()
        next_ones = part.complaint_ids[incident.done % PART :]
        await snapshot.prefetch([Case.key(complaint_id) for complaint_id in next_ones])
        cases = [await snapshot.get(Case, complaint_id) for complaint_id in next_ones]
        check_ids = [group_check_id(incident_id, case.customer) if case else "" for case in cases]
        await snapshot.prefetch([Check.key(check_id) for check_id in check_ids if check_id])
        policy, version = await self._situations.policies.at(incident.site, snapshot)
        windows = windows_of(policy, snapshot.now)
        desk = Desk(policy, version, incident.giving_by, policy.authority_of(""), windows)
        group = await self.group(incident_id, incident, snapshot)
        facts: list[Fact] = []
        ceilings: dict[str, int] = {}
        given = skipped = 0
        named: set[str] = set()
        for complaint_id, case, check_id in zip(next_ones, cases, check_ids, strict=True):
            # Those affected may be of before customers were counted, and one customer's several.
            if case and (check_id in named or await snapshot.get(Check, check_id) is not None):
                continue
            if case is None or group is None or not group.fits:
                skipped += 1
                continue
            key = await self._situations.keys.of(case.customer_ref, snapshot)
            if key is None:
                if case.opened_at and snapshot.now < case.opened_at + KEY_COMES_WITHIN:
                    raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
                skipped += 1
                continue
            wish = wish_of(
                desk,
                case,
                complaint_id,
                check_id,
                group.option,
                case.category,
                incident_id=incident_id,
            )
            decision = self.group_check(wish, case, group, key, snapshot.now)
            facts += decision.facts
            ceilings |= decision.ceilings
            group = group.after_one()
            named.add(check_id)
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
                given_at=snapshot.now,
            )
        )
        return Decision(facts, ceilings)

    async def _of_site(
        self, incident_id: str, principal: Principal, snapshot: Snapshot
    ) -> tuple[Desk, Incident]:
        desk = await self._situations.desk(principal, snapshot)
        incident = await snapshot.get(Incident, incident_id)
        if incident is None or incident.site != desk.site:
            raise Rejected(Reason.UNKNOWN_INCIDENT, status=404)
        return desk, incident

    async def _open(
        self, incident_id: str, principal: Principal, snapshot: Snapshot
    ) -> tuple[Desk, Incident]:
        desk, incident = await self._of_site(incident_id, principal, snapshot)
        if incident.closed:
            raise Rejected(Reason.INCIDENT_CLOSED, status=409)
        return desk, incident

    async def _known(self, incident_id: str, snapshot: Snapshot) -> Incident:
        incident = await snapshot.get(Incident, incident_id)
        assert incident is not None, f"incident {incident_id} is listed and not stored"
        return incident
