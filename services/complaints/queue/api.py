"""The routes of the queue: its lists, and what changes in them as it happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.complaints.lifecycle.api import (
    COMPLAINT,
    Asked,
    Owner,
    PassedFrom,
    PromisedBy,
    PromiseNow,
    Round,
)
from services.complaints.lifecycle.rules import Complaint
from services.complaints.queue.handlers import FindComplaints, Listed, Queue, changed
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import ID_PATTERN, ComplaintId, SiteId
from shared.contracts.lifecycle import State
from shared.contracts.policy import Names
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import PLACE_CHARS_MAX, Page, View, cursor_of, place_of
from shared.runtime.http.answers import Answer, body_of
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.changes import Changes, Line, Shown
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.roster import employed
from shared.runtime.words import say

PAGE_MAX = 100
After = Annotated[str | None, Query(max_length=PLACE_CHARS_MAX)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class ListedComplaint(Answer):
    """One complaint as the lists are told of it live."""

    complaint_id: ComplaintId
    state: Annotated[State, Field(description="Where the complaint stands.")]
    category: Annotated[Category, Field(description="Category of the complaint.")]
    category_title: Annotated[Names, Field(description="The category in words, by language.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    safety: Annotated[bool, Field(description="Whether somebody's safety is concerned.")]
    language: Annotated[Language, Field(description="Language in which the customer is answered.")]
    unsupported_language: Annotated[
        bool,
        Field(
            description="Whether the customer writes a language that is not read here: somebody must read it to know what it is about, and how bad it is."
        ),
    ]
    promised_by: PromisedBy
    overdue: Annotated[bool, Field(description="Whether the promise of this round was broken.")]
    reference: Annotated[
        str | None,
        Field(
            description="What letters call it, and the customer tells us; null in the oldest ones."
        ),
    ]
    round: Round
    promise_id: PromiseNow
    employee_id: Owner
    asked_colleague: Asked
    asked_department: Asked
    passed_from: PassedFrom
    received_at: Annotated[
        datetime | None, Field(description="When it was received; null in the oldest ones.")
    ]
    merged_ids: Annotated[
        list[ComplaintId],
        Field(description="The complaints that it goes on for: so often the customer asked again."),
    ]


class ComplaintRow(ListedComplaint):
    """One complaint of a list, with what a person recognises it by.

    What is told live has no words: it is kept for a while, and would outlast an erasure.
    """

    place: Annotated[
        str | None,
        Field(description="Where it happened; null if it was not told, and as for `beginning`."),
    ]
    beginning: Annotated[
        str | None,
        Field(
            description="The beginning of what the customer told us, at most 80 characters; null once they were erased, or the words' time is over."
        ),
    ]


class ComplaintList(Answer):
    """A page of a list of complaints."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "complaints": [
                        {
                            **COMPLAINT,
                            "category_title": {
                                "nb": "Mat og servering",
                                "en": "Food and service",
                            },
                            "place": "Restaurant, deck 5",
                            "beginning": "We waited two hours for cold soup.",
                            "state": "claimed",
                            "safety": False,
                            "language": "en",
                            "unsupported_language": False,
                            "overdue": False,
                            "reference": "4C7D65",
                            "round": 0,
                            "promise_id": "co-9f86d081884c7d65/0",
                            "employee_id": "e-jonas",
                            "asked_colleague": None,
                            "asked_department": "housekeeping",
                            "passed_from": None,
                            "received_at": "2026-06-03T17:00:00Z",
                            "merged_ids": [],
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    complaints: Annotated[list[ComplaintRow], Field(description="The complaints.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


class ComplaintChange(Answer):
    """A change of one complaint, or what was added to its timeline, as who follows the lists is told it."""

    complaint_id: ComplaintId
    change: Annotated[
        str,
        Field(
            description="The type of the fact that changed it, or that its timeline has now too."
        ),
    ]
    complaint: Annotated[
        ListedComplaint | None,
        Field(
            description="The complaint as it stands now, which may be after later changes too; null if its customer was erased, which takes it out of every list."
        ),
    ]


async def shown(
    changing: Collection[str], view: Callable[[], View], lines: Sequence[Line]
) -> list[Shown | None]:
    """How each line is told, if it is a fact of the types that are `changing` a complaint or its timeline; raises Unavailable."""
    names = {line.subject for line in lines if line.type in changing}
    found = dict(zip(names, await changed(list(names), view()), strict=True))
    return [
        _told(line, found.get(line.subject) if line.type in changing else None) for line in lines
    ]


def _told(line: Line, complaint: Complaint | None) -> Shown | None:
    if complaint is None:
        return None
    name = line.subject
    row = None if complaint.forgotten else _row(name, complaint)
    change = ComplaintChange(complaint_id=name, change=line.type, complaint=row)
    return Shown(complaint.site, body_of(change))


def _row(name: str, complaint: Complaint) -> ListedComplaint:
    return ListedComplaint.about(
        complaint,
        complaint_id=name,
        category_title=in_words(complaint.category),
        promise_id=complaint.promise_id(name),
    )


@cache
def in_words(category: Category) -> dict[str, str]:
    """A category in every language."""
    return {language: say(language, f"category.{category}") for language in Language}


async def _answered(page: Page[Complaint], queue: Queue, ask: Ask) -> ComplaintList:
    found = await queue.recognised(page.documents, ask.view)
    rows = [
        ComplaintRow.about(
            complaint,
            complaint_id=name,
            category_title=in_words(complaint.category),
            promise_id=complaint.promise_id(name),
            place=told.place,
            beginning=told.beginning,
        )
        for (name, complaint), told in zip(page.documents, found, strict=True)
    ]
    following = cursor_of(Complaint, page.next) if page.next is not None else None
    return ComplaintList(site=ask.principal.site, complaints=rows, next=following)


def routes(face: Face, queue: Queue, changes: Changes) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/complaints",
        EMPLOYEE,
        ComplaintList,
        refuses=(Reason.CURSOR_INVALID, Reason.UNKNOWN_SITE, Reason.UNKNOWN_DEPARTMENT),
    )
    async def list_complaints(
        ask: Ask,
        view: Annotated[
            Listed,
            Query(
                description="`open`: somebody is still to do something; `mine`: of those, mine; `offered`: that I am asked to take over; `passed`: that passed from me to a colleague while I was off shift; `overdue`: whose promise was broken; `done`: the ended ones."
            ),
        ] = Listed.OPEN,
        department: Annotated[
            str | None,
            Query(
                pattern=ID_PATTERN,
                max_length=128,
                description="With `offered`: those that this department is asked to take over, and not I.",
            ),
        ] = None,
        category: Annotated[
            Category | None, Query(description="With `open` and `done`: those of this category.")
        ] = None,
        cursor: After = None,
        limit: Limit = 50,
    ) -> ComplaintList:
        """The complaints of my site.

        Open ones come by what hurts most and is due first: danger, then severity, then the promised time; those that
        wait for their customer last. Ended ones come the latest first.
        """
        after = place_of(Complaint, cursor)
        page = await queue.listed(view, department, category, after, limit, ask.principal, ask.view)
        return await _answered(page, queue, ask)

    @to.read(
        "/v1/complaints/search",
        EMPLOYEE,
        ComplaintList,
        method="POST",
        refuses=(Reason.CURSOR_INVALID, Reason.CUSTOMER_ERASED),
    )
    async def search_complaints(
        ask: Ask, command: FindComplaints, cursor: After = None, limit: Limit = 50
    ) -> ComplaintList:
        """The complaints of my site with this reference, of this customer or about this place, the latest first.

        A customer is known by a mail address, a telephone, or what a source calls them, like a booking. Open ones and ended
        ones. It is a POST because none of these may stand in a URL; it takes no key. Only a place has further pages. Of a customer the first 200 are looked at.
        """
        await employed(ask.principal, ask.view)
        after = place_of(Complaint, cursor)
        page = await queue.found(command, after, limit, ask.principal, ask.view)
        return await _answered(page, queue, ask)

    @to.follow("/v1/complaints/live", EMPLOYEE, changes)
    async def follow_complaints(ask: Ask) -> None:
        """What changes in the complaints of my site and their timelines, as it happens: server-sent events.

        An event `change` has a `ComplaintChange` as its data. An event `reload` says: what you show may lack changes, so
        read your lists again now; it comes first, unless `Last-Event-ID` names a position of mine that we still know. Come
        back with it after each end: nothing is left out or told twice. The stream ends with the token, and when I am no
        employee of the site any more.
        """
        await employed(ask.principal, ask.view)

    return to
