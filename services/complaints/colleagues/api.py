"""The route of colleagues: who is on shift and can take a complaint over."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.complaints.colleagues.handlers import crew, known_department, on_shift, opened_by
from services.complaints.colleagues.rules import reports_shifts
from shared.contracts.complaints import Category, Language
from shared.contracts.event import ID_PATTERN, Id, SiteId
from shared.contracts.policy import Names
from shared.contracts.reasons import Reason
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.policies import Policies
from shared.runtime.roster import employed

#: Of one answer; a list on a phone is no longer.
PAGE_MAX = 100


class ShownColleague(Answer):
    """A colleague who can be asked to take a complaint over."""

    employee_id: Annotated[Id, Field(description="The colleague.")]
    role: Annotated[Id, Field(description="Their role.")]
    languages: Annotated[list[Language], Field(description="Languages they speak.")]
    departments: Annotated[list[Id], Field(description="Departments they belong to by their role.")]
    open: Annotated[int, Field(description="How many open complaints they have.")]


class ShownDepartment(Answer):
    """A department that can be asked to take a complaint over."""

    id: Annotated[Id, Field(description="Its id in the policy.")]
    title: Annotated[Names, Field(description="What it is called, by language.")]
    fits: Annotated[list[Category], Field(description="Categories of complaints that it sees to.")]


class Colleagues(Answer):
    """Who can take a complaint over."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "shifts_known": True,
                    "departments": [
                        {
                            "id": "housekeeping",
                            "title": {"nb": "Renhold", "en": "Housekeeping"},
                            "fits": ["cleanliness"],
                        }
                    ],
                    "colleagues": [
                        {
                            "employee_id": "e-jonas",
                            "role": "cabin-crew",
                            "languages": ["sv", "en"],
                            "departments": ["housekeeping"],
                            "open": 2,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    shifts_known: Annotated[
        bool,
        Field(
            description="Whether the site says who works when; if it never does, all active employees are listed."
        ),
    ]
    departments: Annotated[list[ShownDepartment], Field(description="The site's departments.")]
    colleagues: Annotated[list[ShownColleague], Field(description="Those on shift, by id.")]
    next: Annotated[
        Id | None, Field(description="What to give as `after` for the next page; null at the last.")
    ]


def routes(face: Face) -> Routes:
    """The routes."""
    to, policies = Routes(face), Policies()

    @to.read(
        "/v1/complaints/colleagues",
        EMPLOYEE,
        Colleagues,
        refuses=(Reason.UNKNOWN_SITE, Reason.UNKNOWN_DEPARTMENT),
    )
    async def list_colleagues(
        ask: Ask,
        department: Annotated[
            str | None,
            Query(
                pattern=ID_PATTERN, max_length=128, description="Those of this department alone."
            ),
        ] = None,
        after: Annotated[
            str | None,
            Query(pattern=ID_PATTERN, max_length=128, description="Those behind this id."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    ) -> Colleagues:
        """Colleagues on shift who can be asked to take a complaint over, and the departments that can.

        I am not among them, and neither is anybody whom the roster does not list as active.
        """
        await employed(ask.principal, ask.view)
        site, view = ask.principal.site, ask.view
        policy, _ = await policies.at(site, view)
        if department is not None:
            known_department(department, policy)
        members = [one for one in await crew(site, view) if one.active]
        known = reports_shifts(members)
        there = on_shift(members, policy, view) if known else members
        found = sorted(
            (
                one
                for one in there
                if one.id != ask.principal.subject
                and (department is None or department in policy.departments_of(one.role))
                and (after is None or one.id > after)
            ),
            key=lambda one: one.id,
        )
        page = found[:limit]
        opened = await opened_by(site, page, view)
        return Colleagues(
            site=site,
            shifts_known=known,
            departments=[
                ShownDepartment(id=name, title=one.title, fits=list(one.fits))
                for name, one in policy.departments.items()
            ],
            colleagues=[
                ShownColleague(
                    employee_id=one.id,
                    role=one.role,
                    languages=list(one.listing.languages) if one.listing is not None else [],
                    departments=policy.departments_of(one.role),
                    open=opened[one.id],
                )
                for one in page
            ],
            next=page[-1].id if len(found) > limit else None,
        )

    return to
