"""The routes of employees: who I am, what I may give, my shift; personnel systems list them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from services.compensation.staff.handlers import CheckIn, Staff
from shared.contracts.compensation import Scope, ShiftEnded, ShiftStarted
from shared.contracts.complaints import Language
from shared.contracts.event import AmountMinor, Id, SiteId
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed, EmployeeListing
from shared.kernel import Decision
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE, Kind
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes


class ScopeStanding(Answer):
    """One scope of an employee's authority, in minor units; the stretch is in times."""

    scope: Annotated[Scope, Field(description="Whose limit it is.")]
    ceiling_minor: Annotated[AmountMinor, Field(description="What may be given in this window.")]
    used_minor: Annotated[int, Field(description="What was given in this window.")]
    held_minor: Annotated[int, Field(description="What is held for open offers.")]
    left_minor: Annotated[AmountMinor, Field(description="What is left in this window.")]
    until: Annotated[
        datetime | None, Field(description="When it starts again from zero; null if it never does.")
    ]


class MyAuthority(Answer):
    """What an employee may give now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "per_check_minor": 250000,
                    "scopes": [
                        {
                            "scope": "employee_day",
                            "ceiling_minor": 800000,
                            "used_minor": 48000,
                            "held_minor": 9000,
                            "left_minor": 743000,
                            "until": "2026-06-04T06:00:00+02:00",
                        }
                    ],
                }
            ]
        }
    )

    per_check_minor: Annotated[
        AmountMinor, Field(description="What one check may cost, in minor units.")
    ]
    scopes: Annotated[list[ScopeStanding], Field(description="Each limit of mine.")]


class MeShown(Answer):
    """An employee of a site."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "employee_id": "e-jonas",
                    "site": "ms-aurora",
                    "role": "reception",
                    "languages": ["nb", "en"],
                    "on_shift": True,
                    "checked_in_until": "2026-06-03T22:00:00Z",
                }
            ]
        }
    )

    employee_id: Annotated[Id, Field(description="My pseudonymous id.")]
    site: SiteId
    role: Annotated[Id, Field(description="My role; authority is looked up by it in the policy.")]
    languages: Annotated[list[Language], Field(description="Those they speak, as the roster says.")]
    on_shift: Annotated[bool, Field(description="Whether the roster or a check-in says so now.")]
    checked_in_until: Annotated[
        datetime | None, Field(description="Until when their check-in lasts; null without one.")
    ]


def routes(face: Face, handlers: Staff) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/me", EMPLOYEE, MeShown)
    async def get_me(ask: Ask) -> MeShown:
        """Who I am, and whether I am on shift."""
        employee, at_work = await handlers.me(ask.principal, ask.view)
        return MeShown(
            employee_id=ask.principal.subject,
            site=ask.principal.site,
            role=employee.listing.role,
            languages=list(employee.listing.languages),
            on_shift=at_work,
            checked_in_until=employee.checked_in_until,
        )

    @to.read("/v1/me/authority", EMPLOYEE, MyAuthority)
    async def get_my_authority(ask: Ask) -> MyAuthority:
        """What I may give: per scope the ceiling, what is used, held and left, and until when."""
        per_check, standings = await handlers.authority(ask.principal, ask.view)
        scopes = [
            ScopeStanding(
                scope=one.limit.scope,
                ceiling_minor=one.limit.ceiling_minor,
                used_minor=one.used,
                held_minor=one.held,
                left_minor=max(0, one.limit.ceiling_minor - one.used - one.held),
                until=one.limit.until,
            )
            for one in standings
        ]
        return MyAuthority(per_check_minor=per_check, scopes=scopes)

    @to.write(
        "PUT",
        "/v1/employees/{employee_id}",
        (Kind.PERSONNEL,),
        {200: EmployeeListed},
        refuses=(Reason.UNKNOWN_SITE,),
        examples={
            200: {
                "employee_id": "e-new",
                "site": "ms-aurora",
                "listing": {
                    "role": "deck",
                    "languages": ["nb", "en"],
                    "shift": None,
                    "active": True,
                },
                "listed_at": "2026-06-03T14:00:00Z",
            }
        },
    )
    async def list_employee(
        ask: Ask, employee_id: Identifier, command: EmployeeListing
    ) -> Decision:
        """List an employee of the personnel system's site."""
        return await handlers.list_employee(employee_id, command, ask.principal, ask.view)

    _shifts(to, handlers)
    return to


def _shifts(to: Routes, handlers: Staff) -> None:
    @to.write(
        "POST",
        "/v1/me/shift",
        EMPLOYEE,
        {200: ShiftStarted},
        examples={
            200: {
                "employee_id": "e-jonas",
                "site": "ms-aurora",
                "until": "2026-06-03T22:00:00Z",
                "started_at": "2026-06-03T14:00:00Z",
            }
        },
    )
    async def start_my_shift(ask: Ask, command: CheckIn) -> Decision:
        """Check in: I work now, whatever the roster says."""
        return await handlers.check_in(command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/me/shift/end",
        EMPLOYEE,
        {200: ShiftEnded},
        examples={
            200: {
                "employee_id": "e-jonas",
                "site": "ms-aurora",
                "ended_at": "2026-06-03T22:00:00Z",
            }
        },
    )
    async def end_my_shift(ask: Ask) -> Decision:
        """Check out: I do not work now, unless the roster says so."""
        return await handlers.check_out(ask.principal, ask.view)
