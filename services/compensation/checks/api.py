"""The routes of checks: give, list, show, explain, suspend, take back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.compensation.cases.rules import Case
from services.compensation.checks.codes import Codes
from services.compensation.checks.handlers import Checks, Explain, IssueCheck
from services.compensation.checks.rules import Check
from services.compensation.incidents.handlers import Incidents
from services.compensation.staff_context import staff_keys
from services.compensation.titles import (
    LAW,
    BillUpToGiven,
    LawText,
    PercentGiven,
    Regime,
    Title,
    TitledOption,
    Titles,
    titled,
)
from shared.contracts.compensation import (
    BillUpTo,
    CheckExplained,
    CheckIssued,
    CheckKind,
    CheckPraised,
    CheckRefused,
    CheckResumed,
    CheckSuspended,
    CheckVoided,
    CostMinor,
    ItemName,
    Percent,
    SafetyNoted,
    Scope,
    ValueMinor,
)
from shared.contracts.event import (
    ID_PATTERN,
    AmountMinor,
    CheckId,
    Currency,
    Id,
    SiteId,
)
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import PLACE_CHARS_MAX
from shared.runtime.http.answers import Answer, Problem
from shared.runtime.http.auth import EMPLOYEE, OF_SITE, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

PAGE_MAX = 50
#: A day, and a place in it, with a dot between.
CURSOR_CHARS_MAX = 10 + 1 + PLACE_CHARS_MAX
#: The same check in every example.
CHECK_ID, COMPLAINT_ID = "ck-3ad5acdca1252b14d8e963b80e173f1d", "co-9f86d081884c7d65"
LEFT: JsonDict = {"scope": "employee_day", "left_minor": 752000}

Reachable = Annotated[
    bool | None,
    Field(description="Whether a message reaches the customer; null where it is not known."),
]


#: The complaint of a check as answers show it.
OfComplaint = Annotated[
    Id | None,
    Field(description="The complaint's id; null for a check that is given to delight."),
]


#: The fields of a fact that its titles are made from: the policy that it was decided under has them.
TITLED = ("site", "policy_version")


class ScopeLeft(Answer):
    """What is left in one scope afterwards: in minor units, of `customer_checks` in checks."""

    scope: Annotated[Scope, Field(description="Whose limit it is.")]
    left_minor: Annotated[
        AmountMinor,
        Field(
            description="What is left: minor units of the check's `currency`; a number of checks for `customer_checks`."
        ),
    ]

    @classmethod
    def of(cls, left: Mapping[Scope, int]) -> list[Self]:
        """A fact's remainders as a list."""
        return [cls(scope=scope, left_minor=amount) for scope, amount in left.items()]


class GivenCheck(Answer):
    """A check that was given, with its code and its page."""

    OF: ClassVar[type[Fact]] = CheckIssued
    ANEW: ClassVar[Mapping[str, Sequence[str]]] = {
        "title": ("item", *TITLED),
        "left": ("left",),
        "complaint_id": ("complaint_id", "delight"),
        "code": ("check_id",),
        "link": ("complaint_id", "check_id", "valid_until"),
    }
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_id": CHECK_ID,
                    "complaint_id": COMPLAINT_ID,
                    "item": "dinner-for-two",
                    "title": "Dinner for two",
                    "kind": "experience",
                    "value_minor": 120000,
                    "currency": "NOK",
                    "valid_until": "2026-06-10T14:00:00Z",
                    "explain_by": "2026-06-04T14:00:00Z",
                    **LAW,
                    "left": [LEFT],
                    "reachable": True,
                    "code": "MNP7G-6AX4C-0",
                    "link": "https://ship.example/f/eyJhbGciOi...",
                }
            ]
        }
    )

    check_id: CheckId
    complaint_id: OfComplaint
    item: ItemName
    title: Title
    kind: Annotated[CheckKind, Field(description="What form it has.")]
    value_minor: ValueMinor
    currency: Currency
    percent: Percent = None
    bill_up_to_minor: BillUpTo = None
    valid_until: Annotated[datetime, Field(description="When its time is over.")]
    explain_by: Annotated[
        datetime | None,
        Field(description="By when a stretch must be explained; null if the check was no stretch."),
    ]
    regime: Regime
    information: LawText
    left: Annotated[
        list[ScopeLeft], Field(description="What is left of each limit that it was charged to.")
    ]
    reachable: Reachable
    code: Annotated[str, Field(description="The code for tills.")]
    link: Annotated[str, Field(description="The URL of the check's page for the customer.")]


class DoesNotFit(Answer):
    """The wish does not fit: what binds, checks that fit, and a colleague who could give it."""

    OF: ClassVar[type[Fact]] = CheckRefused
    ANEW: ClassVar[Mapping[str, Sequence[str]]] = {
        "type": (),
        "title": (),
        "status": (),
        "complaint_id": ("complaint_id", "delight"),
        "left": ("left",),
        "alternatives": ("alternatives", *TITLED),
    }
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "authority_exhausted",
                    "title": "this does not fit; these do",
                    "status": 409,
                    "complaint_id": COMPLAINT_ID,
                    "bound_by": "employee_day",
                    "left": [{**LEFT, "left_minor": 8000}],
                    "alternatives": [
                        {
                            "item": "onboard-credit/5000",
                            "kind": "money",
                            "value_minor": 5000,
                            "cost_minor": 5000,
                            "currency": "NOK",
                            "fits_reason": True,
                            "why": "fits_reason",
                            "title": "Onboard credit",
                        }
                    ],
                    "colleague_id": "e-ingrid",
                    **LAW,
                    "reachable": True,
                }
            ]
        }
    )

    type: Annotated[Literal[Reason.AUTHORITY_EXHAUSTED], Field(description="The reason code.")]
    title: Annotated[str, Field(description="What happened, in words.")]
    status: Annotated[Literal[409], Field(description="The HTTP status.")]
    complaint_id: Annotated[
        Id | None,
        Field(
            description="Name this complaint in the next wish, also after a wish on the spot:"
            " otherwise a second complaint is recorded. Null for a wish to delight."
        ),
    ]
    bound_by: Annotated[Scope, Field(description="The first scope that cannot hold the check.")]
    left: Annotated[list[ScopeLeft], Field(description="What is left of each limit.")]
    alternatives: Annotated[list[TitledOption], Field(description="Checks that fit, best first.")]
    colleague_id: Annotated[
        Id | None, Field(description="A colleague on shift who could give it; null if none could.")
    ]
    regime: Regime
    information: LawText
    reachable: Reachable


class VoidedCheck(Answer):
    """A check that was taken back."""

    OF: ClassVar[type[Fact]] = CheckVoided
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_id": CHECK_ID,
                    "site": "ms-aurora",
                    "unredeemed_minor": 120000,
                    "employee_id": "e-jonas",
                    "voided_at": "2026-06-03T14:05:00Z",
                }
            ]
        }
    )

    check_id: CheckId
    site: SiteId
    unredeemed_minor: Annotated[
        AmountMinor, Field(description="What was not redeemed, in minor units: authority again.")
    ]
    employee_id: Annotated[Id, Field(description="Who took it back.")]
    voided_at: Annotated[datetime, Field(description="When it was taken back.")]


class ExplainedCheck(Answer):
    """A stretch that was explained; the line itself is shown to its author alone."""

    OF: ClassVar[type[Fact]] = CheckExplained
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_id": CHECK_ID,
                    "site": "ms-aurora",
                    "employee_id": "e-jonas",
                    "explained_at": "2026-06-03T14:05:00Z",
                }
            ]
        }
    )

    check_id: CheckId
    site: SiteId
    employee_id: Annotated[Id, Field(description="Who explained it.")]
    explained_at: Annotated[datetime, Field(description="When it was explained.")]


class PraisedCheck(Answer):
    """A stretch that was praised; who gave the check is not said."""

    OF: ClassVar[type[Fact]] = CheckPraised
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_id": CHECK_ID,
                    "site": "ms-aurora",
                    "praised_at": "2026-06-03T18:05:00Z",
                }
            ]
        }
    )

    check_id: CheckId
    site: SiteId
    praised_at: Annotated[datetime, Field(description="When it was praised.")]


class CheckSummary(Answer):
    """A check as employees of its site see it: without code, accounts and customer."""

    check_id: CheckId
    complaint_id: OfComplaint
    delight: Annotated[
        Id | None,
        Field(
            description="The occasion in the policy on which it was given to delight; null if it was given for a complaint."
        ),
    ]
    employee_id: Annotated[Id, Field(description="Who gave it.")]
    site: SiteId
    item: ItemName
    title: Title
    kind: Annotated[CheckKind, Field(description="What form it has.")]
    value_minor: ValueMinor
    cost_minor: CostMinor
    currency: Currency
    percent: PercentGiven
    bill_up_to_minor: BillUpToGiven
    valid_until: Annotated[datetime, Field(description="When its time is over.")]
    valid_at: Annotated[list[Id], Field(description="Where tills take it; everywhere if empty.")]
    issued_at: Annotated[datetime, Field(description="When it was given.")]
    explain_by: Annotated[
        datetime | None,
        Field(description="By when a stretch must be explained; null if the check was no stretch."),
    ]
    unexplained: Annotated[
        bool, Field(description="Whether it was a stretch that nobody explained in time.")
    ]
    praised_at: Annotated[
        datetime | None,
        Field(
            description="When somebody said that the stretch was a good call; null if nobody did."
        ),
    ]
    state: Annotated[
        Literal["issued", "held", "redeemed", "suspended", "voided", "expired"],
        Field(
            description="What became of it; `held` while a till holds a part, `redeemed` once no till takes it any more."
        ),
    ]
    redeemed_minor: Annotated[
        AmountMinor, Field(description="What was redeemed, in minor units of `currency`.")
    ]
    left_minor: Annotated[
        AmountMinor, Field(description="What can still be held or redeemed, in minor units.")
    ]


class CheckList(Answer):
    """Checks, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"checks": [], "next": None}]})

    checks: Annotated[list[CheckSummary], Field(description="The checks of this page.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


class ShownCheck(CheckSummary):
    """One check, and why it was stretched."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "check_id": CHECK_ID,
                    "complaint_id": COMPLAINT_ID,
                    "delight": None,
                    "employee_id": "e-jonas",
                    "site": "ms-aurora",
                    "item": "dinner-for-two",
                    "title": "Dinner for two",
                    "kind": "experience",
                    "value_minor": 120000,
                    "cost_minor": 48000,
                    "currency": "NOK",
                    "percent": None,
                    "bill_up_to_minor": None,
                    "valid_until": "2026-06-10T14:00:00Z",
                    "valid_at": [],
                    "issued_at": "2026-06-03T14:00:00Z",
                    "explain_by": None,
                    "unexplained": False,
                    "praised_at": None,
                    "state": "issued",
                    "redeemed_minor": 0,
                    "left_minor": 120000,
                    "explanation": None,
                    "note": None,
                }
            ]
        }
    )

    explanation: Annotated[
        str | None,
        Field(
            description="Why it was stretched, for the employee who gave it; null for all others."
        ),
    ]
    note: Annotated[
        str | None,
        Field(
            description="What the employee wrote about the occasion, for themselves; null for all others."
        ),
    ]


@dataclass(frozen=True, slots=True)
class Answers:
    """Makes the answer to a wish from its last fact."""

    codes: Codes
    #: Makes the URL of the check's page, from the check and the end of its validity.
    link: Callable[[str, datetime], str]
    titles: Titles

    async def __call__(self, fact: Fact, ask: Ask) -> BaseModel:
        """The answer of a fact: the check, the refusal, or a problem."""
        if isinstance(fact, CheckIssued):
            title = await self.titles.of(fact.item, fact.site, fact.policy_version, ask)
            return GivenCheck.about(
                fact,
                complaint_id=fact.for_complaint,
                title=title,
                left=ScopeLeft.of(fact.left),
                code=self.codes.code(fact.check_id),
                link=self.link(fact.check_id, fact.valid_until),
            )
        if isinstance(fact, CheckRefused):
            policy = await self.titles.policy(fact.site, fact.policy_version, ask)
            return DoesNotFit.about(
                fact,
                complaint_id=fact.for_complaint,
                type=Reason.AUTHORITY_EXHAUSTED,
                title="this does not fit; these do",
                status=409,
                left=ScopeLeft.of(fact.left),
                alternatives=titled(fact.alternatives, (policy,), ask),
            )
        # Recorded alone if a colleague gave something a moment ago: see already_compensated.
        assert isinstance(fact, SafetyNoted), f"{fact.TYPE} is no answer"
        return Problem.of(Reason.ALREADY_COMPENSATED)


def routes(face: Face, handlers: Checks, incidents: Incidents, answers: Answers) -> Routes:
    """The routes."""
    to = Routes(face)
    _reads(to, handlers, answers)
    _changes(to, handlers)

    def reads(principal: Principal, command: IssueCheck) -> Sequence[str]:
        return (*staff_keys(principal), Case.key(command.complaint_id or ""))

    @to.write(
        "POST",
        "/v1/checks",
        EMPLOYEE,
        {201: GivenCheck, 409: DoesNotFit},
        shows=answers,
        reads=reads,
        in_languages=True,
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.COMPLAINT_MERGED,
            Reason.UNKNOWN_INCIDENT,
            Reason.INCIDENT_CLOSED,
            Reason.AMOUNT_NOT_OFFERED,
            Reason.CURRENCY_UNKNOWN,
            Reason.NO_REGIME,
            Reason.CONSENT_REQUIRED,
            Reason.ALREADY_COMPENSATED,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
            Reason.CUSTOMER_ERASED,
            Reason.POLICY_NOT_YET_KNOWN,
        ),
    )
    async def issue_check(ask: Ask, command: IssueCheck) -> Decision:
        """Give a service check: 201 with its code, or 409 with checks that fit.

        A wish on the spot is recorded as a complaint either way. After a 409, name its `complaint_id`
        in the next wish; otherwise a second complaint is recorded.
        """
        if command.incident_id is not None:
            return await incidents.give_one(command, ask.principal, ask.view)
        return await handlers.issue_check(command, ask.principal, ask.name, ask.view)

    return to


def _reads(to: Routes, handlers: Checks, answers: Answers) -> None:
    """The routes that show checks, and draw their codes and links."""
    unknown = Reason.UNKNOWN_CHECK

    async def summary(check_id: str, check: Check, ask: Ask) -> CheckSummary:
        title = await answers.titles.of(check.item, check.site, check.policy_version, ask)
        return CheckSummary.about(
            check, check_id=check_id, complaint_id=check.for_complaint, title=title
        )

    @to.read(
        "/v1/checks",
        EMPLOYEE,
        CheckList,
        refuses=(Reason.UNKNOWN_COMPLAINT, Reason.CURSOR_INVALID),
        in_languages=True,
    )
    async def list_checks(
        ask: Ask,
        complaint: Annotated[str | None, Query(pattern=ID_PATTERN, max_length=128)] = None,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    ) -> CheckList:
        """The checks of a complaint, or mine of a day (today's without a cursor), newest first."""
        page = await handlers.listed(ask.principal, complaint, cursor, limit, ask.view)
        found = [await summary(check_id, check, ask) for check_id, check in page.checks]
        return CheckList(checks=found, next=page.next_cursor)

    @to.read(
        "/v1/checks/{check_id}",
        EMPLOYEE,
        ShownCheck,
        refuses=(unknown, Reason.KEY_NOT_YET_KNOWN, Reason.WRAPPING_KEY_MISSING),
        in_languages=True,
    )
    async def get_check(ask: Ask, check_id: Identifier) -> ShownCheck:
        """One check, without its code."""
        check = await handlers.look(check_id, ask.principal, ask.view)
        explanation = await handlers.own_words("explanation", check, ask.principal, ask.view)
        note = await handlers.own_words("note", check, ask.principal, ask.view)
        shown = dict(await summary(check_id, check, ask))
        return ShownCheck(**shown, explanation=explanation, note=note)

    @to.picture("/v1/checks/{check_id}/qr.svg", EMPLOYEE, refuses=(unknown,))
    async def draw_code(ask: Ask, check_id: Identifier) -> str:
        """The code as a QR code for the customer's phone; for the employee who gave the check."""
        return await handlers.code(check_id, ask.principal, ask.view)

    @to.picture("/v1/checks/{check_id}/page.svg", EMPLOYEE, refuses=(unknown,))
    async def draw_check_link(ask: Ask, check_id: Identifier) -> str:
        """The link to the check's page as a QR code, instead of a letter: for a customer without e-mail."""
        check = await handlers.own(check_id, ask.principal, ask.view)
        return answers.link(check_id, check.valid_until)


def _changes(to: Routes, handlers: Checks) -> None:
    """The routes that change a check that was given."""
    unknown = Reason.UNKNOWN_CHECK

    @to.write(
        "POST",
        "/v1/checks/{check_id}/void",
        EMPLOYEE,
        {200: VoidedCheck},
        refuses=(unknown, Reason.CHECK_ENDED),
    )
    async def void_check(ask: Ask, check_id: Identifier) -> Decision:
        """Take a check back; what was not redeemed is authority again."""
        return await handlers.void(check_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/checks/{check_id}/explain",
        EMPLOYEE,
        {200: ExplainedCheck},
        refuses=(
            unknown,
            Reason.NOTHING_TO_EXPLAIN,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
            Reason.CUSTOMER_ERASED,
        ),
    )
    async def explain_check(ask: Ask, check_id: Identifier, command: Explain) -> Decision:
        """Explain a stretch in one line."""
        return await handlers.explain(check_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/checks/{check_id}/good-call",
        OF_SITE,
        {200: PraisedCheck},
        refuses=(unknown, Reason.NOTHING_TO_PRAISE, Reason.ALREADY_PRAISED),
    )
    async def praise_check(ask: Ask, check_id: Identifier) -> Decision:
        """Say that a stretch was a good call; the employee who gave the check sees it.

        It is praise: the check was given before, and nothing depends on it.
        """
        return await handlers.praise(check_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/checks/{check_id}/suspend",
        EMPLOYEE,
        {200: CheckSuspended},
        refuses=(unknown, Reason.CHECK_ENDED),
        examples={
            200: {
                "check_id": CHECK_ID,
                "site": "ms-aurora",
                "employee_id": "e-jonas",
                "suspended_at": "2026-06-03T14:05:00Z",
            }
        },
    )
    async def suspend_check(ask: Ask, check_id: Identifier) -> Decision:
        """Stop a check from being redeemed for now, because its code was lost or copied."""
        return await handlers.suspend(check_id, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/checks/{check_id}/resume",
        EMPLOYEE,
        {200: CheckResumed},
        refuses=(unknown, Reason.CHECK_ENDED),
        examples={
            200: {
                "check_id": CHECK_ID,
                "site": "ms-aurora",
                "employee_id": "e-jonas",
                "resumed_at": "2026-06-03T14:15:00Z",
            }
        },
    )
    async def resume_check(ask: Ask, check_id: Identifier) -> Decision:
        """Let a suspended check be redeemed again."""
        return await handlers.resume(check_id, ask.principal, ask.view)
