"""The route of a complaint's playbook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field

from services.complaints.lifecycle.api import COMPLAINT, PromisedBy
from services.complaints.playbooks.handlers import Playbooks, Situation
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import ComplaintId, Id
from shared.contracts.hours import Weekday, covers
from shared.contracts.intake import Channel, Need
from shared.contracts.policy import Fix, Names, Say
from shared.contracts.reasons import Reason
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes


class SuggestedCheck(Answer):
    """A check to offer."""

    item: Annotated[Id, Field(description="The check, by its name in the catalogue.")]
    title: Annotated[Names, Field(description="What it is called, by language.")]


class SuggestedFix(Answer):
    """Something to do about the cause."""

    fix: Annotated[Id, Field(description="The fix, by its name in the policy.")]
    title: Annotated[Names, Field(description="What it is called, by language.")]
    department: Annotated[
        Id | None, Field(description="The department that does it; null if none does.")
    ]
    within_s: Annotated[
        int, Field(description="Seconds from asking for it, after which it is late.")
    ]


class OutsideBody(Answer):
    """An outside body that the complaint can be referred to."""

    body: Annotated[Id, Field(description="The body, by its id in the policy.")]
    title: Annotated[Names, Field(description="What it is called, by language.")]


class OpenTime(Answer):
    """A time of the week in which somebody is at the site."""

    days: Annotated[list[Weekday], Field(description="Days of the week on which it begins.")]
    starts: Annotated[time, Field(description="Local time at which it begins.")]
    ends: Annotated[time, Field(description="Local time at which it ends.")]


class ShownPlaybook(Answer):
    """What is to be said and done about a complaint."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **COMPLAINT,
                    "language": "en",
                    "channel": "phone",
                    "say": {"en": "I am sorry about the soup. I take care of it myself."},
                    "checks": [{"item": "dinner-for-two", "title": {"en": "Dinner for two"}}],
                    "fixes": [
                        {
                            "fix": "cook-again",
                            "title": {"en": "Cook it again"},
                            "department": "restaurant",
                            "within_s": 1200,
                        }
                    ],
                    "bodies": [
                        {
                            "body": "transport-complaints-board",
                            "title": {"en": "The Norwegian Transport Complaints Board"},
                        }
                    ],
                    "hours": [],
                    "open_now": True,
                    "stay_ends_at": "2026-06-07T08:00:00Z",
                    "segment": "gold",
                    "needs": ["vegetarian", "child"],
                }
            ]
        }
    )

    complaint_id: ComplaintId
    category: Annotated[Category, Field(description="Category of the complaint.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    language: Annotated[Language, Field(description="Language in which the customer is answered.")]
    promised_by: PromisedBy
    channel: Annotated[
        Channel | None,
        Field(description="Channel on which the customer is answered first; null if any will do."),
    ]
    say: Annotated[Say, Field(description="What to say, by language.")]
    checks: Annotated[list[SuggestedCheck], Field(description="Checks to offer, best first.")]
    fixes: Annotated[
        list[SuggestedFix], Field(description="What to do about the cause, best first.")
    ]
    bodies: Annotated[
        list[OutsideBody],
        Field(description="Outside bodies that it can be referred to, in the policy's order."),
    ]
    hours: Annotated[
        list[OpenTime],
        Field(
            description="When somebody is at the site, in its time zone: promises count only then; empty for always."
        ),
    ]
    open_now: Annotated[bool, Field(description="Whether somebody is at the site now.")]
    stay_ends_at: Annotated[
        datetime | None, Field(description="When the customer leaves; null if it is not known.")
    ]
    segment: Annotated[
        Id | None, Field(description="The customer's segment; null if it is not known.")
    ]
    needs: Annotated[
        list[Need],
        Field(
            description="What to know before something is offered, as a hotel or booking system told it; empty if none did."
        ),
    ]


def routes(face: Face, playbooks: Playbooks) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints/{complaint_id}/playbook",
        EMPLOYEE,
        ShownPlaybook,
        refuses=(Reason.UNKNOWN_COMPLAINT,),
    )
    async def get_playbook(ask: Ask, complaint_id: Identifier) -> ShownPlaybook:
        """What to say and to do about a complaint, as the policy in force has it for what it is about now.

        While somebody is in danger, what to say is that of the playbook for safety, and its fixes come first.
        """
        situation = await playbooks.of(complaint_id, ask.principal, ask.view)
        return _shown(complaint_id, situation, ask.view.now)

    return to


def _shown(complaint_id: str, situation: Situation, now: datetime) -> ShownPlaybook:
    complaint, policy, suggested, words, fixes, needs = situation
    zone = ZoneInfo(policy.timezone)
    return ShownPlaybook.about(
        complaint,
        complaint_id=complaint_id,
        channel=words.channel,
        say=words.say,
        checks=[
            SuggestedCheck(item=name, title=policy.checks[name.partition("/")[0]].title)
            for name in suggested
        ],
        fixes=_fixes(fixes),
        bodies=[OutsideBody(body=name, title=one.title) for name, one in policy.bodies.items()],
        hours=[
            OpenTime(days=list(one.days), starts=one.starts, ends=one.ends) for one in policy.hours
        ],
        needs=list(needs),
        open_now=not policy.hours or any(covers(one, zone, now) for one in policy.hours),
    )


def _fixes(fixes: Mapping[str, Fix]) -> list[SuggestedFix]:
    return [
        SuggestedFix(
            fix=name,
            title=fix.title,
            department=fix.department,
            within_s=int(fix.within.total_seconds()),
        )
        for name, fix in fixes.items()
    ]
