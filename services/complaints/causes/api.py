"""The routes of causes: name one, record what was done about one, and see which there are."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, ClassVar

from fastapi import Query
from pydantic import ConfigDict, Field

from services.complaints.causes.handlers import ActOnCause, Causes, NameCause, Ranked
from services.complaints.causes.rules import COMPARED, WEEKS
from services.complaints.lifecycle.api import NOW, SEALING
from shared.contracts.complaints import Category, CauseActionTaken, CauseNamed
from shared.contracts.event import ComplaintId, Id, SiteId
from shared.contracts.policy import Names
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import AT_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

CauseName = Annotated[Id, Field(description="The cause, by its name in the site's policy.")]


class CauseOfComplaint(Answer):
    """What a complaint was put down to."""

    OF: ClassVar[type[Fact]] = CauseNamed
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "complaint_id": "co-9f86d081884c7d65",
                    "site": "ms-aurora",
                    "cause": "kitchen-queue",
                    "named_at": NOW,
                }
            ]
        }
    )

    complaint_id: ComplaintId
    site: SiteId
    cause: CauseName
    named_at: Annotated[datetime, Field(description="When it was named.")]


class TakenAction(Answer):
    """What was done about a cause, as it was recorded; who reads it sees it in the list."""

    OF: ClassVar[type[Fact]] = CauseActionTaken
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action_id": "ca-24199a388ee0750daf49447ce0889da5",
                    "site": "ms-aurora",
                    "cause": "kitchen-queue",
                    "taken_at": NOW,
                    "until": "2026-07-01T17:20:00Z",
                }
            ]
        }
    )

    action_id: Annotated[Id, Field(description="The action's id.")]
    site: SiteId
    cause: CauseName
    taken_at: Annotated[datetime, Field(description="When it was recorded.")]
    until: Annotated[
        datetime,
        Field(description="Until when complaints that are put down to it say that it came back."),
    ]


class LastAction(Answer):
    """The last thing that was done about a cause, and what became of it."""

    action_id: Annotated[Id, Field(description="The action's id.")]
    by: Annotated[Id, Field(description="Who recorded it.")]
    note: Annotated[
        str | None,
        Field(description="What was done; null when the time of its words is over."),
    ]
    taken_at: Annotated[datetime, Field(description="When it was recorded.")]
    until: Annotated[
        datetime,
        Field(description="Until when complaints that are put down to it say that it came back."),
    ]
    before_per_week: Annotated[
        float, Field(description=f"Complaints a week in the {COMPARED} weeks before its week.")
    ]
    after_per_week: Annotated[
        float | None,
        Field(
            description=f"Complaints a week in the whole weeks after its week, at most {COMPARED}; null until one is over."
        ),
    ]
    came_back: Annotated[
        int,
        Field(
            description="Complaints that came after it and until `until`, put down to the cause."
        ),
    ]


class WeekOfCause(Answer):
    """The complaints of a week that were put down to a cause."""

    week: Annotated[date, Field(description="The week's Monday, by the site's calendar.")]
    complaints: Annotated[int, Field(description="Complaints that came in it.")]


class ShownCause(Answer):
    """A cause, how often and how badly it made something go wrong, and what was done about it last."""

    cause: CauseName
    title: Annotated[Names, Field(description="What it is called, by language.")]
    fits: Annotated[
        list[Category], Field(description="Categories that it can cause; every one if empty.")
    ]
    complaints: Annotated[
        int, Field(description=f"Complaints of the last {WEEKS} weeks that were put down to it.")
    ]
    weight: Annotated[
        int,
        Field(
            description="These complaints by how bad they were, added up: a mild one is 1, a moderate one 2, a severe one 4."
        ),
    ]
    weeks: Annotated[list[WeekOfCause], Field(description="The same by week, the earliest first.")]
    last_action: Annotated[
        LastAction | None, Field(description="What was done about it last; null if nothing was.")
    ]

    @classmethod
    def of(cls, ranked: Ranked) -> ShownCause:
        """A cause as its site sees it."""
        last = ranked.last
        return cls(
            cause=ranked.name,
            title=ranked.cause.title,
            fits=list(ranked.cause.fits),
            complaints=ranked.complaints,
            weight=ranked.weight,
            weeks=[WeekOfCause(week=week, complaints=n) for week, n in ranked.by_week],
            last_action=None
            if last is None
            else LastAction(
                action_id=last.action.action_id,
                by=last.action.by,
                note=last.note,
                taken_at=last.action.taken_at,
                until=last.action.until,
                before_per_week=last.before_per_week,
                after_per_week=last.after_per_week,
                came_back=last.came_back,
            ),
        )


class ShownCauses(Answer):
    """The causes of a site: those of the most and the worst complaints first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "causes": [
                        {
                            "cause": "kitchen-queue",
                            "title": {"en": "Too few in the kitchen"},
                            "fits": ["food", "delay"],
                            "complaints": 3,
                            "weight": 7,
                            "weeks": [{"week": "2026-06-01", "complaints": 3}],
                            "last_action": {
                                "action_id": "ca-24199a388ee0750daf49447ce0889da5",
                                "by": "e-ingrid",
                                "note": "Two more at the grill from six to nine.",
                                "taken_at": NOW,
                                "until": "2026-07-01T17:20:00Z",
                                "before_per_week": 2.5,
                                "after_per_week": 0.5,
                                "came_back": 1,
                            },
                        }
                    ],
                }
            ]
        }
    )

    site: SiteId
    causes: Annotated[list[ShownCause], Field(description="The causes in the site's policy.")]


def routes(face: Face, causes: Causes) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/causes", AT_SITE, ShownCauses, refuses=(Reason.UNKNOWN_SITE, *SEALING))
    async def list_causes(
        ask: Ask,
        site: Annotated[Id | None, Query(description="My site; the same without it.")] = None,
    ) -> ShownCauses:
        """What makes things go wrong at my site, what was done about it, and whether it came back."""
        if site not in (None, ask.principal.site):
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        policy, found = await causes.ranked(ask.principal, ask.view)
        return ShownCauses(site=policy.site, causes=[ShownCause.of(one) for one in found])

    @to.write(
        "POST",
        "/v1/complaints/{complaint_id}/cause",
        AT_SITE,
        {200: CauseOfComplaint},
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.UNKNOWN_CAUSE,
            Reason.CAUSE_NAMED,
            Reason.UNKNOWN_SITE,
        ),
    )
    async def name_cause(ask: Ask, complaint_id: Identifier, command: NameCause) -> Decision:
        """Put a complaint down to a cause, in place of the one named before."""
        return await causes.name(complaint_id, command, ask.principal, ask.view)

    @to.write(
        "POST",
        "/v1/causes/actions",
        AT_SITE,
        {201: TakenAction},
        refuses=(Reason.UNKNOWN_CAUSE, Reason.UNKNOWN_SITE, Reason.WRAPPING_KEY_MISSING),
    )
    async def act_on_cause(ask: Ask, command: ActOnCause) -> Decision:
        """Record what was done about a cause; from then on it is followed whether it comes back."""
        return await causes.act(command, ask.principal, ask.name, ask.view)

    return to
