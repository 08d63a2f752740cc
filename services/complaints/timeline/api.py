"""The route of the timeline."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.timeline.handlers import Timelines, behind
from services.complaints.timeline.rules import ENTRIES_MAX, Entry, Who
from services.complaints.timeline.shown import (
    EntryAmount,
    EntryAt,
    EntryBody,
    EntryCurrency,
    EntryFix,
    EntryItem,
    EntryOccasion,
    EntryOutcome,
    EntryPromise,
    EntryWhat,
)
from shared.contracts.complaints import Category, Severity
from shared.contracts.event import (
    CheckId,
    ComplaintId,
    Id,
    PromiseId,
    SiteId,
    absent,
)
from shared.contracts.notifier import Helped
from shared.contracts.reasons import Reason
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

PAGE_MAX = 100
#: A moment in µs, a dot and a hash.
CURSOR_CHARS_MAX = 17 + 1 + 32


class TimelineEntry(Answer):
    """One thing that happened; a field that says nothing of it is absent."""

    at: EntryAt
    what: EntryWhat
    who: Annotated[Who, Field(description="Its customer, an employee, or a service of ours.")]
    employee_id: Annotated[
        Id | None, Field(exclude_if=absent, description="The employee who did it.")
    ]
    colleague_id: Annotated[
        Id | None, Field(exclude_if=absent, description="Who is asked to take it over.")
    ]
    department: Annotated[
        Id | None, Field(exclude_if=absent, description="The department asked to take it over.")
    ]
    check_id: Annotated[
        CheckId | None, Field(exclude_if=absent, description="The check that it is about.")
    ]
    offer_id: Annotated[
        Id | None, Field(exclude_if=absent, description="The offer that it is about.")
    ]
    redemption_id: Annotated[Id | None, Field(exclude_if=absent, description="The redemption.")]
    item: EntryItem
    amount_minor: EntryAmount
    currency: EntryCurrency
    promise_id: Annotated[
        PromiseId | None, Field(exclude_if=absent, description="The promise that it is about.")
    ]
    promised_by: EntryPromise
    category: Annotated[
        Category | None, Field(exclude_if=absent, description="Category from then on.")
    ]
    severity: Annotated[
        Severity | None, Field(exclude_if=absent, description="Severity from then on.")
    ]
    outcome: EntryOutcome
    helped: Annotated[Helped | None, Field(exclude_if=absent, description="The customer's answer.")]
    occasion: EntryOccasion
    reason: Annotated[
        Reason | None, Field(exclude_if=absent, description="Why the letter was not sent.")
    ]
    text: Annotated[
        str | None,
        Field(
            exclude_if=absent,
            description="The words; absent without any, once the customer was erased, or when their time is over.",
        ),
    ]

    fix: EntryFix
    cause: Annotated[
        Id | None,
        Field(exclude_if=absent, description="What the complaint is put down to, by the policy."),
    ]
    body: EntryBody
    into: Annotated[
        ComplaintId | None,
        Field(
            exclude_if=absent, description="The complaint that goes on for both, or did until then."
        ),
    ]
    complaint_id: Annotated[
        ComplaintId | None,
        Field(
            exclude_if=absent,
            description="The merged complaint that it happened to; absent where it happened to this one.",
        ),
    ]

    @classmethod
    def of(cls, complaint_id: str, entry: Entry, text: str | None) -> TimelineEntry:
        """An entry as employees see it."""
        return cls.about(entry, promise_id=entry.promise_id(complaint_id), text=text)


class ShownTimeline(Answer):
    """A page of what happened to a complaint, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "complaint_id": "co-9f86d081884c7d65",
                    "site": "ms-aurora",
                    "entries": [
                        {
                            "at": "2026-06-03T17:00:00Z",
                            "what": "received",
                            "who": "customer",
                            "text": "We waited two hours for cold soup.",
                        },
                        {
                            "at": "2026-06-03T17:00:00Z",
                            "what": "promised",
                            "who": "service",
                            "promise_id": "co-9f86d081884c7d65/0",
                            "promised_by": "2026-06-03T18:00:00Z",
                        },
                        {
                            "at": "2026-06-03T17:20:00Z",
                            "what": "check_given",
                            "who": "employee",
                            "employee_id": "e-jonas",
                            "check_id": "ck-1f2e3d4c5b6a7988",
                            "item": "dinner-for-two",
                            "amount_minor": 120000,
                            "currency": "NOK",
                        },
                    ],
                    "left_out": 0,
                    "next": None,
                }
            ]
        }
    )

    complaint_id: ComplaintId
    site: SiteId
    entries: Annotated[list[TimelineEntry], Field(description="What happened, oldest first.")]
    left_out: Annotated[
        int,
        Field(
            description=f"How many older entries are not kept any more: of a complaint, and of each check, the newest {ENTRIES_MAX} are."
        ),
    ]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


def routes(face: Face, lifecycle: Lifecycle, timelines: Timelines) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints/{complaint_id}/timeline",
        EMPLOYEE,
        ShownTimeline,
        refuses=(
            Reason.UNKNOWN_COMPLAINT,
            Reason.CURSOR_INVALID,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.WRAPPING_KEY_MISSING,
        ),
    )
    async def get_timeline(
        ask: Ask,
        complaint_id: Identifier,
        cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    ) -> ShownTimeline:
        """Everything that was added to a complaint, on whatever channel and by whomever, oldest first.

        With what was added to complaints that are merged into it, as long as they are. What another service says shows once it has come here; it may then stand before what was there already.
        """
        complaint = await lifecycle.of_site(complaint_id, ask.principal, ask.view)
        entries, left_out = await timelines.of(
            complaint_id, complaint, ask.view, complaint.merged_ids
        )
        found = behind(entries, cursor)
        shown = [
            TimelineEntry.of(complaint_id, entry, await timelines.words(entry, complaint, ask.view))
            for entry in found[:limit]
        ]
        return ShownTimeline(
            complaint_id=complaint_id,
            site=complaint.site,
            entries=shown,
            left_out=left_out,
            next=found[limit - 1].name if len(found) > limit else None,
        )

    return to
