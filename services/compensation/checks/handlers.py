"""Gives checks, for a complaint or on the spot; suspends, explains and ends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal, Self, TypedDict, Unpack

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.compensation.authority.rules import Exceeded, Headroom
from services.compensation.cases.handlers import case_of_site, case_to_give_for, given_lately
from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.rules import (
    Check,
    CheckRequest,
    Code,
    checks_of_day_set,
    expire,
    explain,
    grant,
    note_unexplained,
    praise,
    refuse,
    resume,
    safety_noted,
    suspend,
    void,
)
from services.compensation.options.rules import rights
from services.compensation.staff.handlers import fallback_for
from services.compensation.staff_context import ContextLoader, StaffContext
from shared.contracts.compensation import (
    Basis,
    CheckKind,
    CheckRefused,
    ComplaintLogged,
    Option,
    Safety,
)
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.event import Currency, Flag, Id
from shared.contracts.intake import Reachable
from shared.contracts.names import CustomerName, legible
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import View, cursor_of, place_of
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.http.commands import Shape, either
from shared.runtime.privacy.keys import KeyRing
from shared.runtime.privacy.seal import Vault

#: A quick log is typed between two guests.
LOG_CHARS_MAX = 2000
#: Room for one line.
EXPLANATION_CHARS_MAX = 280
#: Kinds that count as cash where a law gives a right to cash.
CASH = (CheckKind.MONEY, CheckKind.REFUND)


FailedService = Annotated[
    Service | None,
    Field(description="Which service failed, if the employee knows better than triage."),
]


class Particulars(TypedDict, total=False):
    """The optional parts of a request."""

    basis: Basis
    consent: bool
    safety: Safety
    incident_id: str
    at_desk: bool
    offer_id: str
    service: Service | None
    again: bool


class Coded(TypedDict):
    """A code as facts carry it: sealed, and as its hash."""

    code: str
    code_hash: str


class OnTheSpot(BaseModel):
    """The quick log of what a customer says on the spot; it is recorded as a complaint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=LOG_CHARS_MAX),
            AfterValidator(legible),
        ]
        | None,
        Field(
            description="What the customer said, as the employee writes it down; null if there is no time to write, because the wish's `reason` says what it is about."
        ),
    ] = None
    customer: Annotated[
        CustomerName,
        Field(
            description="Booking or card number, as in the site's other systems; a cabin soon has another guest."
        ),
    ] = None
    severity: Annotated[Severity, Field(description="How bad it is, as the employee sees it.")] = (
        Severity.MILD
    )
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


class IssueCheck(BaseModel):
    """Give a service check: for a complaint, or on the spot."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra=either(
            Shape("IssueCheckForComplaint", ("complaint_id",), without=("on_the_spot",)),
            Shape(
                "IssueCheckOnTheSpot",
                ("on_the_spot",),
                without=("complaint_id", "incident_id"),
            ),
            examples=[
                {"complaint_id": "co-9f86d081884c7d65", "item": "dinner-for-two", "reason": "food"},
                {
                    "on_the_spot": {
                        "text": "Waited an hour for a table.",
                        "customer": "cabin-7112",
                    },
                    "item": "cinema",
                    "reason": "delay",
                },
                {"on_the_spot": {}, "item": "sincere-words", "reason": "noise"},
            ],
        ),
    )

    complaint_id: Annotated[
        Id | None,
        Field(description="The complaint that the check is for; not together with `on_the_spot`."),
    ] = None
    on_the_spot: Annotated[
        OnTheSpot | None,
        Field(
            description="What the customer says now, instead of a complaint's id; it is recorded as a complaint."
        ),
    ] = None
    item: Annotated[
        Id,
        Field(
            description="The check, by its name in the catalogue, with its amount if it has one: `<item>/<amount>`."
        ),
    ]
    reason: Annotated[
        Category,
        Field(description="What went wrong: the category that the check is recorded under."),
    ]
    currency: Annotated[
        Currency | None,
        Field(
            description="The currency that the caller expects; refused if the site has another. Null for the site's."
        ),
    ] = None
    basis: Annotated[
        Literal[Basis.GOODWILL, Basis.STATUTORY],
        Field(
            description="Whether it is given out of goodwill, or because a law gives a right to it."
        ),
    ] = Basis.GOODWILL
    consent: Annotated[
        Flag,
        Field(
            description="Whether the customer agreed to something else than the cash that is due; recorded with the check."
        ),
    ] = False
    service: FailedService = None
    safety: Annotated[
        Safety | None,
        Field(
            description="What somebody's safety is about, if it is concerned; recorded whether or not the check fits."
        ),
    ] = None
    again: Annotated[
        Flag,
        Field(
            description="Give it even though a colleague gave something for this complaint a moment ago, or has an open offer."
        ),
    ] = False
    incident_id: Annotated[
        Id | None, Field(description="Charge this incident's budget and nobody's authority.")
    ] = None

    def particulars(self) -> Particulars:
        """What this request has beyond item and reason."""
        found: Particulars = {
            "basis": self.basis,
            "consent": self.consent,
            "again": self.again,
        }
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


class Explain(BaseModel):
    """Why a check was stretched, in one line; for coaching: nobody confirms it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"explanation": "Third delay this week for this family."}]},
    )

    explanation: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True,
            min_length=1,
            max_length=EXPLANATION_CHARS_MAX,
            pattern=r"^[^\r\n]+$",
        ),
        AfterValidator(legible),
        Field(description="Why it was stretched, in one line."),
    ]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of checks, newest first, and where the next one begins."""

    checks: tuple[tuple[str, Check], ...]
    next_cursor: str | None


class Checks:
    """Decides about checks: reads what a rule needs, and applies it."""

    def __init__(self, context: ContextLoader, codes: Codes, vault: Vault) -> None:
        self._context = context
        self._codes = codes
        self._vault = vault

    async def issue_check(
        self, command: IssueCheck, principal: Principal, name: str, view: View
    ) -> Decision:
        """Give the check if it fits; raises Rejected, or Unavailable while a key is missing."""
        staff = await self._context.staff(principal, view)
        option = staff.option(command.item)
        if command.currency not in (None, staff.policy.currency):
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/currency",))
        if command.on_the_spot is not None:
            lawful(command, option, staff, None)
            return await self._on_the_spot(command, command.on_the_spot, option, staff, name, view)
        assert command.complaint_id is not None, "a wish is on the spot or for a complaint"
        case = await case_to_give_for(command.complaint_id, staff, view)
        lawful(command, option, staff, case.service)
        check_id = f"ck-{name}"
        request = check_request(
            staff,
            case,
            command.complaint_id,
            check_id,
            option,
            command.reason,
            **command.particulars(),
        )
        if await given_lately(command.again, case, staff, view):
            return already_compensated(request, view.now)
        headroom = await self._context.headroom(
            staff, case.customer_ref, command.complaint_id, view, self._changed_by(request)
        )
        key = await self._context.key(case.customer_ref, view)
        return await self.grant_or_refuse(request, case, headroom, key, staff, view)

    def _changed_by(self, request: CheckRequest) -> Sequence[str]:
        """The documents of a check and its code."""
        code = self._codes.hash(self._codes.code(request.check_id))
        return Check.key(request.check_id), Code.key(code)

    async def grant_or_refuse(
        self,
        request: CheckRequest,
        case: Case | None,
        headroom: Headroom,
        key: KeyRing,
        staff: StaffContext,
        view: View,
    ) -> Decision:
        """Grant or refuse by the employee's authority; what a refusal needs is read only for one.

        A check that is given to delight has no `case`.
        """
        decided = headroom.decide(request.option.cost_minor)
        if isinstance(decided, Exceeded):
            return refuse(
                request,
                staff.policy,
                staff.policy_version,
                headroom,
                decided,
                view.now,
                **await fallback_for(request, headroom, decided.bound_by, staff, view),
            )
        return grant(
            request,
            case,
            staff.policy,
            staff.policy_version,
            headroom,
            decided,
            view.now,
            **coded(self._codes, request.check_id, key),
        )

    async def _on_the_spot(
        self,
        command: IssueCheck,
        log: OnTheSpot,
        option: Option,
        staff: StaffContext,
        name: str,
        view: View,
    ) -> Decision:
        """Grant or refuse the check, and record the quick log whether or not the check fits.

        CaseOpened follows when the complaint comes back from triage, as for every complaint. So the
        document of the site's latest complaints is not written here, and two employees never conflict.
        """
        check_id, complaint_id = f"ck-{name}", f"co-{name}"
        customer_ref = self._vault.pseudonyms.customer_of(
            complaint_id,
            f"/site/{staff.site}",
            staff.site,
            log.customer,
            log.contact.email if log.contact is not None else None,
        )
        customer_ref = await self._context.keys.current(customer_ref, view)
        headroom = await self._context.headroom(staff, customer_ref, complaint_id, view)
        seals = await self._context.keys.seals(customer_ref, staff.site, view)
        case = Case(
            customer_ref=customer_ref,
            site=staff.site,
            language=log.language or staff.policy.languages[0],
            category=command.reason,
            severity=log.severity,
            reachable=staff.policy.notify.reaches(log.contact),
            opened_at=view.now,
        )
        request = check_request(
            staff, case, complaint_id, check_id, option, command.reason, **command.particulars()
        )
        decision = await self.grant_or_refuse(request, case, headroom, seals.contact, staff, view)
        logged = ComplaintLogged(
            complaint_id=complaint_id,
            customer_ref=customer_ref,
            site=staff.site,
            employee_id=staff.employee_id,
            reason=command.reason,
            severity=log.severity,
            language=case.language,
            text=seals.words.seal("text", log.text or ""),
            contact=seals.contact.seal("contact", log.contact.model_dump_json())
            if log.contact is not None and not log.contact.empty
            else None,
            has_contact=case.reachable,
            safety=request.safety,
            service=command.service,
            answered=not isinstance(decision.facts[-1], CheckRefused),
            logged_at=view.now,
        )
        return Decision((*seals.created, logged, *decision.facts), decision.ceilings)

    async def check(self, check_id: str, staff: StaffContext, view: View) -> Check:
        """A check of the employee's site; raises Rejected(unknown_check)."""
        return await view.require(Check, check_id, Reason.UNKNOWN_CHECK, site=staff.site)

    async def look(self, check_id: str, principal: Principal, view: View) -> Check:
        """One check, as an employee of its site sees it; raises Rejected, Unavailable."""
        return await self.check(check_id, await self._context.staff(principal, view), view)

    async def code(self, check_id: str, principal: Principal, view: View) -> str:
        """The code, for the employee who gave the check; raises Rejected(unknown_check) for others."""
        check = await self.own(check_id, principal, view)
        if not check.value_minor:
            raise Rejected(Reason.UNKNOWN_CHECK)
        return self._codes.code(check_id)

    async def own(self, check_id: str, principal: Principal, view: View) -> Check:
        """A check that this employee gave; raises Rejected(unknown_check) for all others."""
        staff = await self._context.staff(principal, view)
        check = await self.check(check_id, staff, view)
        if check.employee_id != staff.employee_id:
            raise Rejected(Reason.UNKNOWN_CHECK)
        return check

    async def listed(
        self,
        principal: Principal,
        complaint_id: str | None,
        cursor: str | None,
        most: int,
        view: View,
    ) -> Page:
        """The checks of a complaint, or those the employee gave in a day (the cursor names the day).

        Newest first; raises Rejected(cursor_invalid, unknown_complaint), Unavailable.
        """
        staff = await self._context.staff(principal, view)
        day, after = parsed(cursor, staff)
        if complaint_id is None:
            return await self._given_in(day, after, most, staff, view)
        ids = (await case_of_site(complaint_id, staff, view)).check_ids
        end = len(ids)
        if after is not None:
            # The cursor is an id and not an index, because the list drops its oldest and indexes move.
            # An id that was dropped is older than all that are left, so nothing follows it.
            before = after.key.removeprefix(Check.key(""))
            end = ids.index(before) if before in ids else 0
        first = max(0, end - most)
        chosen = ids[first:end][::-1]
        await view.prefetch([Check.key(check_id) for check_id in chosen])
        found = [(check_id, await view.get(Check, check_id)) for check_id in chosen]
        return Page(
            tuple((check_id, check) for check_id, check in found if check is not None),
            f"{day}.{cursor_of(Check, Cursor(0, Check.key(ids[first])))}" if first else None,
        )

    async def _given_in(
        self, day: str, after: Cursor | None, most: int, staff: StaffContext, view: View
    ) -> Page:
        """The checks that the employee gave in a day."""
        name = checks_of_day_set(staff.site, staff.employee_id, day)
        page = await view.range(Check, name, after, most)
        following = None
        if page.next is not None:
            following = f"{day}.{cursor_of(Check, page.next)}"
        return Page(tuple(page.documents), following)

    async def void(self, check_id: str, principal: Principal, view: View) -> Decision:
        """Take a check back; raises Rejected(check_ended) when it ended, is held or redeemed."""
        staff = await self._context.staff(principal, view)
        check = await self.check(check_id, staff, view)
        return done(void(check, check_id, staff.employee_id, view.now))

    async def suspend(self, check_id: str, principal: Principal, view: View) -> Decision:
        """Stop a check from being redeemed for now; raises Rejected(check_ended)."""
        staff = await self._context.staff(principal, view)
        check = await self.check(check_id, staff, view)
        return done(suspend(check, check_id, staff.employee_id, view.now))

    async def resume(self, check_id: str, principal: Principal, view: View) -> Decision:
        """Let a suspended check be redeemed again; raises Rejected(check_ended)."""
        staff = await self._context.staff(principal, view)
        check = await self.check(check_id, staff, view)
        return done(resume(check, check_id, staff.employee_id, view.now))

    async def explain(
        self, check_id: str, command: Explain, principal: Principal, view: View
    ) -> Decision:
        """Explain a stretch, by the employee who gave it; raises Rejected(nothing_to_explain)."""
        check = await self.own(check_id, principal, view)
        if check.explain_by is None or check.explanation is not None:
            raise Rejected(Reason.NOTHING_TO_EXPLAIN)
        await self._context.key(check.customer_ref, view)
        seals = await self._context.keys.seals(check.customer_ref, check.site, view)
        sealed = seals.words.seal("explanation", command.explanation)
        explained = explain(check, check_id, check.employee_id, sealed, view.now)
        return Decision((*seals.created, *explained.facts))

    async def praise(self, check_id: str, principal: Principal, view: View) -> Decision:
        """Praise a stretch of the caller's site; raises Rejected(unknown_check, nothing_to_praise, already_praised).

        The caller is not on the roster, so no employee is looked up.
        """
        check = await view.require(Check, check_id, Reason.UNKNOWN_CHECK, site=principal.site)
        if check.praised_at is not None:
            raise Rejected(Reason.ALREADY_PRAISED)
        decision = praise(check, check_id, principal.subject, view.now)
        if not decision.facts:
            raise Rejected(Reason.NOTHING_TO_PRAISE)
        return decision

    async def own_words(
        self,
        field: Literal["explanation", "note"],
        check: Check,
        principal: Principal,
        view: View,
    ) -> str | None:
        """What the employee who gave the check wrote, for themselves; None for others, and once nobody can read it any more."""
        sealed = check.explanation if field == "explanation" else check.note
        if sealed is None or check.employee_id != principal.subject:
            return None
        return await self._context.keys.open_words(
            check.customer_ref, field, sealed, check.issued_at, view
        )

    async def expires(self, check_id: str, view: View) -> Decision:
        """End a check whose time is over."""
        check = await view.get(Check, check_id)
        return expire(check, check_id, view.now) if check else Decision()

    async def unexplained(self, check_id: str, view: View) -> Decision:
        """Note that a stretch was not explained in time."""
        check = await view.get(Check, check_id)
        return note_unexplained(check, check_id, view.now) if check else Decision()


def lawful(
    command: IssueCheck, option: Option, staff: StaffContext, service: Service | None
) -> None:
    """Raises Rejected for a statutory check if no regime applies, or if it is not cash and lacks consent."""
    if command.basis is not Basis.STATUTORY:
        return
    service = command.service or service
    if staff.policy.regime_of(command.reason, service, command.basis) is None:
        raise Rejected(Reason.NO_REGIME, where=("/reason",))
    if option.kind not in CASH and not command.consent:
        raise Rejected(Reason.CONSENT_REQUIRED, where=("/consent",))


def already_compensated(request: CheckRequest, now: datetime) -> Decision:
    """Refuse a wish because a colleague gave or offered something; safety is recorded all the same.

    Returns SafetyNoted if the wish concerns safety; if not, raises Rejected(already_compensated).
    """
    if noted := safety_noted(request, now):
        return Decision(noted)
    raise Rejected(Reason.ALREADY_COMPENSATED)


def coded(codes: Codes, check_id: str, key: KeyRing) -> Coded:
    """A check's code, sealed for the customer, and its hash, by which the check is found."""
    code = codes.code(check_id)
    return {"code": key.seal("code", code), "code_hash": codes.hash(code)}


def check_request(
    staff: StaffContext,
    case: Case,
    complaint_id: str,
    check_id: str,
    option: Option,
    reason: Category,
    **more: Unpack[Particulars],
) -> CheckRequest:
    """The employee's request for a check, with the customer's rights by law.

    If the complaint concerns safety and the employee does not say how, the request's safety is `other`.
    """
    if case.safety:
        more = {"safety": Safety.OTHER, **more}
    service, basis = more.get("service", case.service), more.get("basis", Basis.GOODWILL)
    more = {**more, "service": service}
    return CheckRequest(
        check_id=check_id,
        complaint_id=complaint_id,
        customer_ref=case.customer_ref,
        employee_id=staff.employee_id,
        role=staff.role,
        site=staff.site,
        option=option,
        reason=reason,
        severity=case.severity,
        reachable=case.reachable,
        language=case.language,
        day=staff.windows.day.id,
        ruled_by=staff.policy_version,
        segment=case.segment,
        stay_ends_at=case.stay_ends_at,
        **rights(staff.policy, reason, service, case.language, basis),
        **more,
    )


def done(decision: Decision) -> Decision:
    """The decision; raises Rejected(check_ended) if it has no facts."""
    if not decision.facts:
        raise Rejected(Reason.CHECK_ENDED)
    return decision


def parsed(cursor: str | None, staff: StaffContext) -> tuple[str, Cursor | None]:
    """The day and place that a cursor names, today without one; raises Rejected(cursor_invalid)."""
    if cursor is None:
        return staff.windows.day.id, None
    day, dot, place = cursor.partition(".")
    try:
        plain = date.fromisoformat(day).isoformat() == day
    except ValueError:
        plain = False
    if not plain:
        raise Rejected(Reason.CURSOR_INVALID, where=("/cursor",))
    return day, place_of(Check, place if dot else None)
