"""Giving a check: for a complaint, on the spot, or from an incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from services.compensation.domain.authority import (
    Case,
    Given,
    Room,
    given_key,
    incident_limit,
    options_for,
    remainders,
)
from services.compensation.domain.checks import Check, Code, Wish, issue, refused, safety_noted
from services.compensation.domain.incidents import Incident, OpenIncidents, group_check_id
from services.compensation.handlers.situation import Desk, Gift, Situations, had
from shared.contracts.compensation import (
    Basis,
    CheckKind,
    CheckRefused,
    ComplaintLogged,
    Option,
    Remainder,
    Safety,
    Scope,
)
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.decision import Decision
from shared.contracts.event import Currency, Fact, Id
from shared.contracts.intake import Contact
from shared.contracts.names import CustomerName
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

if TYPE_CHECKING:
    from services.compensation.ports import CodeMaker
    from shared.contracts.policy import Policy
    from shared.runtime.auth import Principal
    from shared.runtime.keys import KeyRing
    from shared.runtime.seal import Vault
    from shared.runtime.snapshot import Snapshot

#: A quick log is typed between two guests.
LOG_CHARS_MAX = 2000
#: What is as good as cash, where a law gives a right to cash.
CASH = (CheckKind.MONEY, CheckKind.REFUND)


class Particulars(TypedDict, total=False):
    """What not every wish has."""

    basis: Basis
    consent: bool
    safety: Safety
    incident_id: str
    at_desk: bool
    offer_id: str
    service: Service


class Rights(TypedDict):
    """A regime by name and what it says, or neither."""

    regime: str | None
    information: str | None


class Coded(TypedDict):
    """A code as a fact has it."""

    code: str
    code_hash: str


class Reachable(Contact):
    """Where the customer can be reached, as a phone sends it: nothing else is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OnTheSpot(BaseModel):
    """The quick log of something that nobody wrote down before; it becomes a complaint by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, StringConstraints(min_length=1, max_length=LOG_CHARS_MAX)]
    #: Booking or card number, as the site's other systems have it; a cabin is somebody else's soon.
    customer: CustomerName = None
    severity: Severity = Severity.MILD
    language: Language | None = None
    contact: Reachable | None = None


class IssueCheck(BaseModel):
    """Give a service check: for a complaint, or on the spot."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"complaint_id": "co-9f86d081884c7d65", "item": "dinner-for-two", "reason": "food"},
                {
                    "on_the_spot": {
                        "text": "Waited an hour for a table.",
                        "customer": "cabin-7112",
                    },
                    "item": "cinema",
                    "reason": "delay",
                },
            ]
        },
    )

    complaint_id: Id | None = None
    on_the_spot: OnTheSpot | None = None
    item: Id
    reason: Category
    currency: Currency | None = None
    basis: Basis = Basis.GOODWILL
    #: The customer agreed to something else than the cash that is due; recorded with the check.
    consent: bool = False
    #: Which service failed, where the employee knows better than the words did.
    service: Service | None = None
    safety: Safety | None = None
    #: Meant, although a colleague gave something for this complaint a moment ago, or lets the
    #: customer choose.
    again: bool = False
    #: From this incident's budget and nobody's authority.
    incident_id: Id | None = None

    def particulars(self) -> Particulars:
        """What this wish has beyond item and reason."""
        found: Particulars = {"basis": self.basis, "consent": self.consent}
        if self.service is not None:
            found["service"] = self.service
        if self.safety is not None:
            found["safety"] = self.safety
        if self.incident_id is not None:
            found["incident_id"] = self.incident_id
            found["at_desk"] = True
        return found

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.complaint_id is None) == (self.on_the_spot is None):
            raise ValueError("exactly one of complaint_id and on_the_spot")
        if self.incident_id is not None and self.complaint_id is None:
            raise ValueError("an incident's check is for a complaint")
        return self


@dataclass(frozen=True, slots=True)
class Possible:
    """What an employee may give now, and everything the screen shows beside it."""

    reason: Category
    severity: Severity
    options: tuple[Option, ...]
    left: tuple[Remainder, ...]
    history: tuple[Gift, ...]
    incident_id: str | None
    incident_option: Option | None
    regime: str | None
    information: str | None


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


class Giving:
    """Checks."""

    def __init__(self, situations: Situations, codes: CodeMaker, vault: Vault) -> None:
        self._situations = situations
        self._codes = codes
        self._vault = vault

    async def issue_check(
        self, command: IssueCheck, principal: Principal, name: str, snapshot: Snapshot
    ) -> Decision:
        """Give it if it fits; raises Rejected for what is unknown, Unavailable while a key is missing."""
        desk = await self._situations.desk(principal, snapshot)
        if command.incident_id is not None:
            return await self._from_incident(command, command.incident_id, desk, snapshot)
        option = desk.option(command.item)
        if command.currency not in (None, desk.policy.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        if command.on_the_spot is not None:
            self._lawful(command, option, desk, None)
            return await self._on_the_spot(
                command, command.on_the_spot, option, desk, name, snapshot
            )
        assert command.complaint_id is not None, "a command is about one thing"
        case = await self._situations.case(command.complaint_id, desk, snapshot)
        self._lawful(command, option, desk, case.service)
        check_id = f"ck-{name}"
        wish = wish_of(
            desk,
            case,
            command.complaint_id,
            check_id,
            option,
            command.reason,
            **command.particulars(),
        )
        if await self._situations.given_lately(command.again, case, desk, snapshot):
            return already_compensated(wish, snapshot.now)
        room = await self._situations.room(
            desk, case.customer_ref, command.complaint_id, snapshot, self._changed_by(wish)
        )
        key = await self._situations.key(case.customer_ref, snapshot)
        return await self._issue(wish, case, room, key, desk, snapshot)

    def _changed_by(self, wish: Wish) -> Sequence[str]:
        """The documents of a check and its code, and of the employee's day."""
        code = self._codes.hash(self._codes.code(wish.check_id))
        return (
            f"{Check.KIND}:{wish.check_id}",
            f"{Code.KIND}:{code}",
            f"{Given.KIND}:{given_key(wish.site, wish.employee_id, wish.day or '')}",
        )

    async def _issue(
        self, wish: Wish, case: Case, room: Room, key: KeyRing, desk: Desk, snapshot: Snapshot
    ) -> Decision:
        """Within the employee's own authority."""
        verdict = room.verdict(wish.option.cost_minor)
        bound_by = verdict if isinstance(verdict, Scope) else None
        instead = await self._situations.instead(wish, room, bound_by, desk, snapshot)
        return issue(
            wish,
            case,
            desk.policy,
            desk.policy_version,
            room,
            snapshot.now,
            **coded(self._codes, wish.check_id, key),
            **instead,
        )

    async def _on_the_spot(
        self,
        command: IssueCheck,
        log: OnTheSpot,
        option: Option,
        desk: Desk,
        name: str,
        snapshot: Snapshot,
    ) -> Decision:
        """The check or what fits instead, and the quick log: it went wrong whatever fits.

        The case is opened when the complaint comes back from triage, like every other: what a site
        remembers of its latest complaints has one writer, and never stands between two employees.
        """
        check_id, complaint_id = f"ck-{name}", f"co-{name}"
        customer_ref = self._vault.pseudonyms.customer_of(
            complaint_id,
            f"/site/{desk.site}",
            desk.site,
            log.customer,
            log.contact.email if log.contact is not None else None,
        )
        room = await self._situations.room(desk, customer_ref, complaint_id, snapshot)
        key = await self._situations.keys.of(customer_ref, snapshot)
        facts: list[Fact] = []
        if key is None:
            key, created = self._situations.keys.create(customer_ref)
            facts.append(created)
        case = Case(
            customer_ref=customer_ref,
            site=desk.site,
            language=log.language or desk.policy.languages[0],
            category=command.reason,
            severity=log.severity,
            reachable=log.contact is not None and log.contact.reachable,
            opened_at=snapshot.now,
        )
        wish = wish_of(
            desk, case, complaint_id, check_id, option, command.reason, **command.particulars()
        )
        decision = await self._issue(wish, case, room, key, desk, snapshot)
        facts.append(
            ComplaintLogged(
                complaint_id=complaint_id,
                customer_ref=customer_ref,
                site=desk.site,
                employee_id=desk.employee_id,
                reason=command.reason,
                severity=log.severity,
                language=case.language,
                text=key.seal("text", log.text),
                contact=key.seal("contact", log.contact.model_dump_json())
                if log.contact is not None and not log.contact.empty
                else None,
                has_contact=case.reachable,
                safety=wish.safety,
                service=command.service,
                answered=not isinstance(decision.facts[-1], CheckRefused),
                logged_at=snapshot.now,
            )
        )
        return Decision((*facts, *decision.facts), decision.ceilings)

    async def _from_incident(
        self, command: IssueCheck, incident_id: str, desk: Desk, snapshot: Snapshot
    ) -> Decision:
        """The group check for a customer; raises Rejected(already_compensated) for a second."""
        assert command.complaint_id is not None, "an incident's check is for a complaint"
        case = await self._situations.case(command.complaint_id, desk, snapshot)
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
        self._lawful(command, group.option, desk, case.service)
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
        instead = await self._situations.instead(wish, room, Scope.INCIDENT, desk, snapshot)
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

    async def possible(
        self,
        complaint_id: str | None,
        customer: str | None,
        principal: Principal,
        snapshot: Snapshot,
    ) -> Possible:
        """What may be given for a complaint, or to a customer on the spot; raises Rejected, Unavailable."""
        desk = await self._situations.desk(principal, snapshot)
        incident_id: str | None = None
        incident_option: Option | None = None
        if complaint_id is not None:
            case = await self._situations.case(complaint_id, desk, snapshot)
            known = await snapshot.get(OpenIncidents, desk.site)
            incident_id = known.by_reason.get(case.category) if known is not None else None
            if incident_id is not None:
                incident_option = await self._group_option(incident_id, case.customer, snapshot)
        else:
            ref = self._vault.pseudonyms.customer(f"/site/{desk.site}", customer or "")
            case = Case(customer_ref=ref, site=desk.site, language=desk.policy.languages[0])
        room = await self._situations.room(desk, case.customer_ref, complaint_id, snapshot)
        history = await self._situations.history(case.customer_ref, snapshot)
        return Possible(
            reason=case.category,
            severity=case.severity,
            options=options_for(
                desk.policy, room, case.category, case.severity, case.language, had=had(history)
            ),
            left=remainders(room.limits, room.balances),
            history=history,
            incident_id=incident_id if incident_option is not None else None,
            incident_option=incident_option,
            **rights(desk.policy, case.category, case.service, case.language),
        )

    async def _group_option(
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

    # ---- what a wish is made of ----------------------------------------------------------------

    def _lawful(
        self, command: IssueCheck, option: Option, desk: Desk, service: Service | None
    ) -> None:
        """A statutory check follows a regime, and is cash unless the customer agreed to something else."""
        if command.basis is not Basis.STATUTORY:
            return
        service = command.service or service
        if desk.policy.regime_of(command.reason, service, command.basis) is None:
            raise Rejected(Reason.NO_REGIME, where=("/reason",))
        if option.kind not in CASH and not command.consent:
            raise Rejected(Reason.CONSENT_REQUIRED, where=("/consent",), status=409)


def already_compensated(wish: Wish, now: datetime) -> Decision:
    """The answer where a colleague gave or offered something: whatever is given, safety is told.

    Raises Rejected(already_compensated) where nobody's is concerned.
    """
    if noted := safety_noted(wish, now):
        return Decision(noted)
    raise Rejected(Reason.ALREADY_COMPENSATED, status=409)


def coded(codes: CodeMaker, check_id: str, key: KeyRing) -> Coded:
    """A check's code, sealed for the customer and as what is found by it."""
    code = codes.code(check_id)
    return {"code": key.seal("code", code), "code_hash": codes.hash(code)}


def wish_of(
    desk: Desk,
    case: Case,
    complaint_id: str,
    check_id: str,
    option: Option,
    reason: Category,
    **more: Unpack[Particulars],
) -> Wish:
    """A wish of the employee at this desk; what the law says goes with it, and whose safety it is."""
    if case.safety:
        more = {"safety": Safety.OTHER, **more}
    service = more.get("service", case.service)
    basis = more.get("basis", Basis.GOODWILL)
    return Wish(
        check_id=check_id,
        complaint_id=complaint_id,
        customer_ref=case.customer_ref,
        employee_id=desk.employee_id,
        site=desk.site,
        option=option,
        reason=reason,
        severity=case.severity,
        reachable=case.reachable,
        language=case.language,
        day=desk.windows.day.id,
        **rights(desk.policy, reason, service, case.language, basis),
        **more,
    )


def rights(
    policy: Policy,
    reason: Category,
    service: Service | None,
    language: Language,
    basis: Basis = Basis.GOODWILL,
) -> Rights:
    """What is due by law, and what the customer must be told: in their language or one the site has."""
    found = policy.regime_of(reason, service, basis)
    if found is None:
        return {"regime": None, "information": None}
    name, regime = found
    texts = regime.information
    return {"regime": name, "information": texts.get(language) or next(iter(texts.values()))}
