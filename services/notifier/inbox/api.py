"""The HTTP face of inboxes: employees see what they are told, and say what they read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from services.notifier.inbox.handlers import Inboxes, ShownEntry
from services.notifier.inbox.rules import KEPT_MAX
from shared.contracts.complaints import reference_of
from shared.contracts.event import ComplaintId, PraiseId, SiteId
from shared.contracts.notifier import InboxRead, Notice
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.roster import employee_key

PAGE_MAX = 100
#: A cursor is the number of the last entry of the page before.
CURSOR_PATTERN = r"^[1-9][0-9]{0,14}$"
NUMBER_MAX = 10**15
THANKED: Literal["thanked"] = "thanked"
PRAISED: Literal["praised"] = "praised"


class InboxEntry(Answer):
    """Something that an employee is told."""

    number: Annotated[int, Field(description="Number of the entry among all of mine, from 1.")]
    what: Annotated[
        Notice | Literal["thanked", "praised"],
        Field(
            description="What it is; `thanked` if the customer said that it helped, `praised` if a customer praised and I was there."
        ),
    ]
    at: Annotated[datetime, Field(description="When it happened.")]
    complaint_id: Annotated[
        ComplaintId | None, Field(description="The complaint's id; null for praise.")
    ]
    reference: Annotated[
        str | None,
        Field(description="The complaint's reference, as customers have it; null for praise."),
    ]
    check_id: Annotated[
        str | None, Field(description="The check that the customer spoke of; null if none.")
    ]
    fix: Annotated[
        str | None,
        Field(description="The fix that I am asked for, by its name in the policy; null if none."),
    ]
    praise_id: Annotated[
        PraiseId | None, Field(description="The praise's id; null for what is about a complaint.")
    ]
    line: Annotated[
        str | None,
        Field(
            description="What the customer wrote with their answer, or praised; null if nothing, or if the time of their words is over."
        ),
    ]

    @classmethod
    def of(cls, shown: ShownEntry) -> InboxEntry:
        """The entry as its employee sees it."""
        entry = shown.entry
        return cls(
            number=entry.number,
            what=PRAISED if entry.praise_id else entry.notice or THANKED,
            at=entry.at,
            complaint_id=entry.complaint_id,
            reference=reference_of(entry.complaint_id) if entry.complaint_id else None,
            check_id=entry.check_id,
            fix=entry.fix,
            praise_id=entry.praise_id,
            line=shown.line,
        )


class MyInbox(Answer):
    """A page of my inbox, the newest entry first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "entries": [
                        {
                            "number": 7,
                            "what": "thanked",
                            "at": "2026-06-03T18:32:05Z",
                            "complaint_id": "co-9f86d081884c7d65",
                            "reference": "4C7D65",
                            "check_id": "ck-1f2e3d4c5b6a7988",
                            "fix": None,
                            "praise_id": None,
                            "line": "The cinema saved our evening.",
                        }
                    ],
                    "unread": 1,
                    "read_up_to": 6,
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    entries: Annotated[
        list[InboxEntry],
        Field(
            description=f"What I am told, the newest first; the newest {KEPT_MAX} are kept. Entries of customers who were erased are left out."
        ),
    ]
    unread: Annotated[int, Field(description="How many of those that are kept I did not read.")]
    read_up_to: Annotated[
        int, Field(description="Number of the last entry that I read; 0 if I read none.")
    ]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


class ReadInbox(BaseModel):
    """The body of `POST /v1/me/inbox/read`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"up_to": 7}]}
    )

    up_to: Annotated[
        int,
        Field(
            strict=True, ge=0, le=NUMBER_MAX, description="Number of the last entry that I read."
        ),
    ]


class ReadUpTo(Answer):
    """How far I have read my inbox."""

    OF: ClassVar[type[Fact]] = InboxRead
    model_config = ConfigDict(json_schema_extra={"examples": [{"up_to": 7}]})

    up_to: Annotated[
        int,
        Field(
            description="Number of the last entry that I have read: never less than I said before, and no more than there are."
        ),
    ]


def routes(face: Face, inboxes: Inboxes) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/me/inbox",
        EMPLOYEE,
        MyInbox,
        refuses=(Reason.KEY_NOT_YET_KNOWN, Reason.WRAPPING_KEY_MISSING),
    )
    async def get_my_inbox(
        ask: Ask,
        since: Annotated[
            int, Query(ge=0, le=NUMBER_MAX, description="Only entries with a higher number.")
        ] = 0,
        cursor: Annotated[str | None, Query(pattern=CURSOR_PATTERN)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    ) -> MyInbox:
        """What I am told of my cases: thanks and other answers of customers, what colleagues ask of me, promises of mine.

        Nobody else is shown it.
        """
        before = int(cursor) if cursor is not None else None
        portion = await inboxes.of(
            ask.principal, before=before, since=since, limit=limit, view=ask.view
        )
        return MyInbox(
            site=ask.principal.site,
            entries=[InboxEntry.of(shown) for shown in portion.entries],
            unread=portion.unread,
            read_up_to=portion.read_up_to,
            next=str(portion.last) if portion.last is not None else None,
        )

    def reads(who: Principal, _command: ReadInbox) -> list[str]:
        return [employee_key(who.site, who.subject)]

    @to.write("POST", "/v1/me/inbox/read", EMPLOYEE, {200: ReadUpTo}, reads=reads)
    async def read_my_inbox(ask: Ask, command: ReadInbox) -> Decision:
        """I read my inbox up to an entry; to say so again changes nothing."""
        return await inboxes.read(ask.principal, command.up_to, ask.view)

    return to
