"""Giving a service check: at once if every scope holds it, else it is refused with checks that fit.

issued → redeemed in parts or whole
→ suspended → resumed
→ voided | expired: what was not redeemed goes back to the accounts it was charged to
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from services.compensation.authority.rules import (
    COUNTED,
    Exceeded,
    Granted,
    Headroom,
    ceilings_of,
    charges_of,
    left_of,
    posted,
    scope_of,
)
from services.compensation.cases.rules import Case
from services.compensation.options.rules import ALTERNATIVES_MAX, delights_for, options_for
from shared.contracts.compensation import (
    Basis,
    CheckExpired,
    CheckExplained,
    CheckIssued,
    CheckKind,
    CheckPraised,
    CheckRefused,
    CheckResumed,
    CheckSuspended,
    CheckUnexplained,
    CheckVoided,
    Option,
    Safety,
    SafetyNoted,
    Scope,
)
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.policy import Policy
from shared.contracts.roster import employee_name
from shared.kernel import (
    Decision,
    Document,
    Fact,
    Fold,
    Posting,
    Schema,
    Slice,
    Timer,
    score_at,
)

EXPIRE = "expire"


EXPLAIN = "explain"


#: Kinds that are redeemed in parts; the others are redeemed once, and whole but for a percentage.
IN_PARTS = (CheckKind.MONEY, CheckKind.GIFT_CARD, CheckKind.REFUND)


class Hold(Document):
    """A part of a check that a till holds."""

    amount_minor: int
    till: str
    expires_at: datetime


class End(StrEnum):
    """How a check ended."""

    VOIDED = "voided"
    EXPIRED = "expired"


class Check(Document):
    """A service check, and what became of it; a new one is stored as its fact was written."""

    KIND: ClassVar[str] = "check"
    #: An earlier build does not know the budget for delight, and could not end a check that is charged to it.
    SCHEMA: ClassVar[Schema] = Schema(2, read_by=2)

    complaint_id: str
    customer_ref: str
    employee_id: str
    site: str
    item: str
    #: None if the check was stored before this field existed.
    policy_version: int | None = None
    kind: CheckKind
    value_minor: int
    cost_minor: int
    currency: str
    percent: int | None = None
    bill_up_to_minor: int | None = None
    code: str
    code_hash: str
    valid_until: datetime
    valid_at: tuple[str, ...] = ()
    issued_at: datetime
    #: The employee's day it was given in; None if its fact was written before this field existed.
    day: str | None = None
    incident_id: str | None = None
    at_desk: bool = False
    #: The occasion of the policy on which it was given to delight; None if it was given for a complaint.
    delight: str | None = None
    #: What the employee wrote about the occasion, sealed as words; they read it here.
    note: str | None = None
    debits: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults
    explain_by: datetime | None = None
    #: Sealed as words. The employee who gave the check reads it here; coaches read it from the topic.
    explanation: str | None = None
    unexplained: bool = False
    #: When somebody said that the stretch was a good call; None if nobody did.
    praised_at: datetime | None = None
    suspended: bool = False
    ended: End | None = None
    holds: dict[str, Hold] = {}  # noqa: RUF012 - pydantic copies defaults
    #: The latest redeemed parts, oldest first; earlier ones are summed and cannot be rolled back.
    captured: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults
    captured_before: int = 0

    @property
    def redeemed_minor(self) -> int:
        """What was redeemed, in minor units of its value."""
        return self.captured_before + sum(self.captured.values())

    @property
    def left_minor(self) -> int:
        """What can still be held or redeemed."""
        if self.spent:
            return 0
        return (
            self.value_minor
            - self.redeemed_minor
            - sum(h.amount_minor for h in self.holds.values())
        )

    @property
    def spent(self) -> bool:
        """Whether no till takes it any more: it is redeemed whole, or once if it has no parts."""
        return self.whole or bool(self.captured and self.kind not in IN_PARTS)

    @property
    def whole(self) -> bool:
        """Whether its whole value is redeemed."""
        return 0 < self.value_minor == self.redeemed_minor

    @property
    def for_complaint(self) -> str | None:
        """The complaint that it was given for; None if it was given to delight."""
        return self.complaint_id if self.delight is None else None

    @property
    def taken_back(self) -> bool:
        """Whether it was voided with nothing redeemed."""
        return self.ended is End.VOIDED and not self.redeemed_minor

    @property
    def state(self) -> str:
        """Its state in one word, for people."""
        if self.ended is not None:
            return self.ended.value
        if self.suspended:
            return "suspended"
        if self.spent:
            return "redeemed"
        return "held" if self.holds else "issued"


class Code(Document):
    """The check that a code belongs to; stored under the code's HMAC."""

    KIND: ClassVar[str] = "code"

    check_id: str


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What an employee wants to give, and everything a fact says of it."""

    check_id: str
    complaint_id: str
    customer_ref: str
    employee_id: str
    site: str
    option: Option
    reason: Category
    severity: Severity
    language: Language
    day: str | None
    reachable: bool | None = None
    basis: Basis = Basis.GOODWILL
    regime: str | None = None
    information: str | None = None
    consent: bool = False
    safety: Safety | None = None
    incident_id: str | None = None
    at_desk: bool = False
    offer_id: str | None = None
    service: Service | None = None
    again: bool = False
    #: The occasion of the policy, if it is given to delight; then `complaint_id` is that of no complaint.
    delight: str | None = None
    #: Sealed.
    note: str | None = None
    contact: str | None = None
    role: str | None = None
    #: The policy's version that the employee was under; None if nobody's was asked for.
    ruled_by: int | None = None
    #: As the case has them: what is offered instead depends on them.
    segment: str | None = None
    stay_ends_at: datetime | None = None


def grant(
    request: CheckRequest,
    case: Case | None,
    policy: Policy,
    policy_version: int,
    headroom: Headroom,
    granted: Granted,
    now: datetime,
    *,
    code: str,
    code_hash: str,
) -> Decision:
    """Give the check and charge it to every account of the headroom that it was granted within."""
    cost, limits = request.option.cost_minor, granted.within.limits
    stretch = policy.authority.stretch
    yes = issued(
        request,
        case,
        policy,
        policy_version,
        now,
        code=code,
        code_hash=code_hash,
        charged=charges_of(limits, cost),
        left=left_of(headroom.limits, headroom.balances, cost),
        explain_by=now + stretch.explain_within if granted.stretched and stretch else None,
    )
    return Decision((*safety_noted(request, now), yes), ceilings_of(limits))


def refuse(
    request: CheckRequest,
    policy: Policy,
    policy_version: int,
    headroom: Headroom,
    exceeded: Exceeded,
    now: datetime,
    *,
    shared: Mapping[Scope, int] | None = None,
    offered: Sequence[str] = (),
    earlier_items: Sequence[str] = (),
    colleague_id: str | None = None,
) -> Decision:
    """Refuse the check: say what binds, which checks fit, and which colleague could give it.

    `shared` is what is left of limits that are nobody's authority; it is listed first. `offered` are the
    items of an offer, of which the request is for the dearest.
    """
    no = CheckRefused(
        check_id=request.check_id,
        complaint_id=request.complaint_id,
        customer_ref=request.customer_ref,
        employee_id=request.employee_id,
        role=request.role,
        site=request.site,
        item=request.option.item,
        policy_version=policy_version,
        reason=request.reason,
        severity=request.severity,
        reachable=request.reachable,
        basis=request.basis,
        delight=request.delight,
        regime=request.regime,
        information=request.information,
        incident_id=request.incident_id,
        offer_id=request.offer_id,
        currency=request.option.currency,
        cost_minor=request.option.cost_minor,
        consent=request.consent,
        service=request.service,
        again=request.again,
        offered=tuple(offered),
        bound_by=exceeded.bound_by,
        left={**(shared or {}), **left_of(headroom.limits, headroom.balances)},
        alternatives=_instead(request, policy, headroom, earlier_items, now)[:ALTERNATIVES_MAX],
        colleague_id=colleague_id,
        refused_at=now,
    )
    return Decision.of(*safety_noted(request, now), no)


def _instead(
    request: CheckRequest,
    policy: Policy,
    headroom: Headroom,
    earlier_items: Sequence[str],
    now: datetime,
) -> tuple[Option, ...]:
    """What fits instead of a request, best first."""
    wished = request.option.item
    if request.delight is not None:
        return delights_for(
            policy,
            headroom,
            request.language,
            earlier_items=earlier_items,
            instead_of=wished,
        )
    return options_for(
        policy,
        headroom,
        request.reason,
        request.severity,
        request.language,
        earlier_items=earlier_items,
        instead_of=wished,
        segment=request.segment,
        left=request.stay_ends_at is not None and request.stay_ends_at <= now,
    )


def safety_noted(request: CheckRequest, now: datetime) -> tuple[Fact, ...]:
    """A SafetyNoted fact if the request concerns safety, whether or not the check fits."""
    if request.safety is None:
        return ()
    return (
        SafetyNoted(
            check_id=request.check_id,
            complaint_id=request.complaint_id,
            customer_ref=request.customer_ref,
            employee_id=request.employee_id,
            site=request.site,
            safety=request.safety,
            noted_at=now,
        ),
    )


def issued(
    request: CheckRequest,
    case: Case | None,
    policy: Policy,
    policy_version: int,
    now: datetime,
    *,
    code: str,
    code_hash: str,
    charged: dict[str, int],
    left: dict[Scope, int],
    explain_by: datetime | None = None,
) -> CheckIssued:
    """The check as a fact."""
    option = request.option
    item = policy.checks[option.item.partition("/")[0]]
    return CheckIssued(
        check_id=request.check_id,
        complaint_id=request.complaint_id,
        customer_ref=request.customer_ref,
        employee_id=request.employee_id,
        role=request.role,
        site=request.site,
        item=option.item,
        policy_version=policy_version,
        reason=request.reason,
        severity=request.severity,
        reachable=request.reachable,
        basis=request.basis,
        delight=request.delight,
        regime=request.regime,
        information=request.information,
        consent=request.consent,
        service=request.service,
        again=request.again,
        incident_id=request.incident_id,
        offer_id=request.offer_id,
        version_in_force=None if request.ruled_by == policy_version else request.ruled_by,
        kind=option.kind,
        language=request.language,
        value_minor=option.value_minor,
        cost_minor=option.cost_minor,
        currency=option.currency,
        percent=option.percent,
        bill_up_to_minor=option.bill_up_to_minor,
        code=code,
        code_hash=code_hash,
        valid_until=item.ends_at(now, case.stay_ends_at if case else None),
        valid_at=item.valid_at,
        issued_at=now,
        complained_at=case.opened_at if case else None,
        first=request.delight is None and not (case and case.check_ids),
        explain_by=explain_by,
        day=request.day,
        at_desk=request.at_desk,
        note=request.note,
        contact=request.contact,
        debits=charged,
        left=left,
    )


def credits_of(check: Check) -> dict[str, int]:
    """What goes back when a check ends: the cost of what was not redeemed, rounded down."""
    unredeemed = check.value_minor - check.redeemed_minor
    whole = unredeemed == check.value_minor
    found = {}
    for account, charged in check.debits.items():
        scope = scope_of(account)
        if scope in COUNTED:
            amount = charged if whole and scope is not Scope.STRETCH else 0
        elif whole:
            amount = charged
        else:
            amount = charged * unredeemed // check.value_minor
        if amount:
            found[account] = amount
    return found


def void(check: Check, check_id: str, employee_id: str, now: datetime) -> Decision:
    """Take a check back; nothing to do if it ended, was redeemed whole, or a till holds it."""
    held = any(now < hold.expires_at for hold in check.holds.values())
    if check.ended is not None or check.whole or held:
        return Decision()
    return Decision.of(
        CheckVoided(
            check_id=check_id,
            site=check.site,
            complaint_id=check.complaint_id,
            employee_id=employee_id,
            credits=credits_of(check),
            unredeemed_minor=check.value_minor - check.redeemed_minor,
            currency=check.currency,
            voided_at=now,
        )
    )


def expire(check: Check, check_id: str, now: datetime) -> Decision:
    """End a check whose time is over, and so are its holds; nothing to do if it was redeemed whole."""
    if check.ended is not None or check.whole or now < check.valid_until:
        return Decision()
    return Decision.of(
        CheckExpired(
            check_id=check_id,
            site=check.site,
            credits=credits_of(check),
            unredeemed_minor=check.value_minor - check.redeemed_minor,
            currency=check.currency,
            expired_at=now,
        )
    )


def explain(
    check: Check, check_id: str, employee_id: str, explanation: str, now: datetime
) -> Decision:
    """Record the explanation of a stretch, sealed; also after `explain_by`."""
    return Decision.of(
        CheckExplained(
            check_id=check_id,
            site=check.site,
            employee_id=employee_id,
            explanation=explanation,
            explained_at=now,
        )
    )


def note_unexplained(check: Check, check_id: str, now: datetime) -> Decision:
    """Note a stretch that nobody explained in time, unless the check was taken back."""
    if (
        check.explain_by is None
        or check.explanation is not None
        or check.taken_back
        or now < check.explain_by
    ):
        return Decision()
    return Decision.of(
        CheckUnexplained(
            check_id=check_id, site=check.site, employee_id=check.employee_id, noted_at=now
        )
    )


def praise(check: Check, check_id: str, by: str, now: datetime) -> Decision:
    """Praise a stretch, once; nothing to do if the check was none, or was taken back or praised before."""
    if check.explain_by is None or check.taken_back or check.praised_at is not None:
        return Decision()
    return Decision.of(
        CheckPraised(
            check_id=check_id,
            site=check.site,
            employee_id=check.employee_id,
            by=by,
            praised_at=now,
        )
    )


def suspend(check: Check, check_id: str, employee_id: str, now: datetime) -> Decision:
    """Stop a check from being redeemed for now; nothing to do if it is suspended, ended or used up."""
    if check.suspended or check.spent or check.ended is not None:
        return Decision()
    return Decision.of(
        CheckSuspended(
            check_id=check_id, site=check.site, employee_id=employee_id, suspended_at=now
        )
    )


def resume(check: Check, check_id: str, employee_id: str, now: datetime) -> Decision:
    """Let a suspended check be redeemed again; nothing to do if it is not suspended or ended."""
    if not check.suspended or check.ended is not None:
        return Decision()
    return Decision.of(
        CheckResumed(check_id=check_id, site=check.site, employee_id=employee_id, resumed_at=now)
    )


def running(fact: CheckIssued) -> Sequence[Timer]:
    """The timers of a new check: its expiry, and the end of the time to explain a stretch."""
    # A check without a value, such as an apology, does not expire.
    expiry = Timer(EXPIRE, fact.check_id, fact.valid_until if fact.value_minor else None)
    if fact.explain_by is None:
        return (expiry,)
    return expiry, Timer(EXPLAIN, fact.check_id, fact.explain_by)


def over(timer: str) -> Callable[[CheckIssued], Sequence[Timer]]:
    """A rule that removes the check's timer of this name."""
    return lambda fact: (Timer(timer, check_of(fact), None),)


def check_of(fact: CheckIssued) -> str:
    """The id of the fact's check."""
    return fact.check_id


def _set(**changes: object) -> Fold:
    return Fold(Check, check_of, lambda check, _: check.model_copy(update=changes))


def explained(check: Check, fact: CheckExplained) -> Check:
    """The check, with the employee's explanation."""
    return check.model_copy(update={"explanation": fact.explanation, "unexplained": False})


def praised(check: Check, fact: CheckPraised) -> Check:
    """The check, with when it was praised."""
    return check.model_copy(update={"praised_at": fact.praised_at})


def checks_of_day_set(site: str, employee_id: str, day: str) -> str:
    """The set of the checks that one employee gave in one day."""
    return f"given/{employee_name(site, employee_id)}/{day}"


def stands(check: Check) -> Mapping[str, int]:
    """Lists a check in its employee's day, newest first, unless an incident gave it to everybody."""
    if check.day is None or (check.incident_id is not None and not check.at_desk):
        return {}
    return {checks_of_day_set(check.site, check.employee_id, check.day): -score_at(check.issued_at)}


def given_back(fact: CheckVoided | CheckExpired) -> Sequence[Posting]:
    """Postings that give back what was not redeemed."""
    return posted(fact.credits, -1)


SLICE = Slice(
    {
        CheckIssued: (
            Fold(Check, check_of),
            Fold(Code, lambda fact: fact.code_hash, lambda _, fact: Code(check_id=fact.check_id)),
        ),
        CheckRefused: (),
        SafetyNoted: (),
        CheckExplained: (Fold(Check, check_of, explained),),
        CheckUnexplained: (_set(unexplained=True),),
        CheckPraised: (Fold(Check, check_of, praised),),
        CheckVoided: (_set(ended=End.VOIDED),),
        CheckExpired: (_set(ended=End.EXPIRED),),
        CheckSuspended: (_set(suspended=True),),
        CheckResumed: (_set(suspended=False),),
    },
    postings={
        CheckIssued: lambda fact: posted(fact.debits),
        CheckVoided: given_back,
        CheckExpired: given_back,
    },
    timers={
        CheckIssued: running,
        CheckVoided: over(EXPIRE),
        CheckExpired: over(EXPIRE),
        CheckExplained: over(EXPLAIN),
        CheckUnexplained: over(EXPLAIN),
    },
    indexes={Check: stands},
)
