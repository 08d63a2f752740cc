"""The HTTP face of safety: somebody says that they saw it, and those on duty see who was told and what became of it.

Opening the link of a letter changes nothing, because mail scanners open links too; only the button does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import ConfigDict, Field

from services.notifier.messages.rules import Status, status_of
from services.notifier.safety.page import SeenPage
from services.notifier.safety.rules import Routed
from services.notifier.safety.seen import Listed, Seen
from shared.contracts.complaints import reference_of
from shared.contracts.event import ComplaintId, Id, SiteId
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import SafetySeen
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import PLACE_CHARS_MAX, View, cursor_of, place_of
from shared.runtime.http.answers import Answer, body_of, to_page
from shared.runtime.http.auth import AT_SITE, EMPLOYEE, Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.pages import PAGE_HEADERS, Addressee, wants_page
from shared.runtime.http.routes import NOTHING, Ask, Identifier, Routes, Token
from shared.runtime.roster import employee_key

#: Complaints in one answer at most; each has a few messages to each of its mailboxes.
PAGE_MAX = 20
COMPLAINT = "co-9f86d081884c7d65"


class ToldMailbox(Answer):
    """One message to a role mailbox, and what became of it."""

    mailbox: Annotated[Id, Field(description="The role mailbox, by its id in the policy.")]
    message_id: Annotated[Id, Field(description="The message's id.")]
    channel: Annotated[MessageChannel, Field(description="The channel that it goes by.")]
    status: Annotated[Status, Field(description="What became of it.")]
    reason: Annotated[Reason | None, Field(description="Why it failed or was suppressed.")]
    queued_at: Annotated[datetime, Field(description="When it was queued.")]


class ShownAlarm(Answer):
    """A complaint about somebody's safety: who was told, and whether somebody saw it."""

    complaint_id: ComplaintId
    reference: Annotated[str, Field(description="The complaint's reference, as letters have it.")]
    routed_at: Annotated[datetime | None, Field(description="When it was decided who is told.")]
    seen_at: Annotated[
        datetime | None,
        Field(description="When somebody said first that they saw it; null if nobody did."),
    ]
    seen_mailbox: Annotated[
        str | None, Field(description="The mailbox whose letter it was said by; null if by none.")
    ]
    seen_employee_id: Annotated[
        str | None, Field(description="The employee who said it; null if none did.")
    ]
    seen_by: Annotated[
        datetime | None,
        Field(description="When the wait for somebody to see it ends or ended; null if none was."),
    ]
    retold_at: Annotated[
        datetime | None,
        Field(description="When all were told once more, because nobody had seen it; null if not."),
    ]
    unseen_at: Annotated[
        datetime | None,
        Field(description="When the wait ended without anybody having seen it; null if not."),
    ]
    told: Annotated[
        list[ToldMailbox],
        Field(description="The messages, in the order in which they were queued."),
    ]

    @classmethod
    def of(cls, one: Listed) -> ShownAlarm:
        """The complaint as those on duty see it."""
        told = [
            ToldMailbox.about(
                message,
                message_id=name,
                status=status_of(message),
                reason=message.failed_because if message.delivered_at is None else None,
            )
            for name, message in one.messages
        ]
        reference = reference_of(one.complaint_id)
        return cls.about(one.routed, complaint_id=one.complaint_id, reference=reference, told=told)


class AlarmList(Answer):
    """A page of the site's complaints about safety, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "alarms": [
                        {
                            "complaint_id": COMPLAINT,
                            "reference": "4C7D65",
                            "routed_at": "2026-06-03T18:00:00Z",
                            "seen_at": "2026-06-03T18:02:10Z",
                            "seen_mailbox": "duty-officer",
                            "seen_employee_id": None,
                            "seen_by": "2026-06-03T18:05:00Z",
                            "retold_at": None,
                            "unseen_at": None,
                            "told": [
                                {
                                    "mailbox": "duty-officer",
                                    "message_id": "me-9f86d081884c7d65",
                                    "channel": "email",
                                    "status": "sent",
                                    "reason": None,
                                    "queued_at": "2026-06-03T18:00:00Z",
                                }
                            ],
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    alarms: Annotated[list[ShownAlarm], Field(description="The complaints.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


class SeenAlarm(Answer):
    """That somebody saw it, as it was recorded."""

    OF: ClassVar[type[Fact]] = SafetySeen
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"complaint_id": COMPLAINT, "site": "ms-aurora", "seen_at": "2026-06-03T18:02:10Z"}
            ]
        }
    )

    complaint_id: ComplaintId
    site: SiteId
    seen_at: Annotated[datetime, Field(description="When it was said that it was seen.")]


def routes(face: Face, seen: Seen, page: SeenPage) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/safety", AT_SITE, AlarmList, refuses=(Reason.CURSOR_INVALID,))
    async def list_safety(
        ask: Ask,
        cursor: Annotated[str | None, Query(max_length=PLACE_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> AlarmList:
        """Who was told of safety concerns at my site, the newest first: what became of each message, and who saw it."""
        after = place_of(Routed, cursor)
        found, following = await seen.listed(ask.principal, after, limit, ask.view)
        return AlarmList(
            site=ask.principal.site,
            alarms=[ShownAlarm.of(one) for one in found],
            next=cursor_of(Routed, following) if following is not None else None,
        )

    @to.write(
        "POST",
        "/v1/safety/{complaint_id}/seen",
        EMPLOYEE,
        {200: SeenAlarm},
        refuses=(Reason.UNKNOWN_COMPLAINT,),
        reads=lambda who, _command: [employee_key(who.site, who.subject)],
    )
    async def say_seen(ask: Ask, complaint_id: Identifier) -> Decision:
        """I saw what concerns somebody's safety in a complaint of my site: nobody is told once more.

        Who says so first counts; to say so again changes nothing.
        """
        return await seen.by_employee(complaint_id, ask.principal, ask.view)

    async def read(token: str, request: Request) -> tuple[str, str]:
        """Complaint and mailbox of a link; also notes the site's language, for a refusal's page."""
        language = await seen.language_of(token, face.view())
        if language is not None:
            request.state.addressee = Addressee(language)
        return seen.read(token)

    @to.link("GET", "/s/{token}", refuses=(Reason.UNKNOWN_SITE,), response_class=HTMLResponse)
    async def show_safety(token: Token, request: Request) -> Response:
        """What a letter about safety says, for whoever reads the role mailbox, and one button: I have seen it."""
        complaint_id, _ = await read(token, request)
        shown = await seen.shown(complaint_id, face.view())
        return HTMLResponse(page.show(shown, token), headers=PAGE_HEADERS)

    @to.link("POST", "/s/{token}", answers={200: SeenAlarm}, refuses=(Reason.UNKNOWN_SITE,))
    async def say_seen_by_link(token: Token, request: Request) -> Response:
        """Whoever reads the role mailbox saw it: nobody is told once more; to say so again changes nothing.

        A browser is redirected to the page.
        """
        complaint_id, mailbox = await read(token, request)

        async def decide(view: View, _name: str) -> Decision:
            return await seen.by_link(complaint_id, mailbox, view)

        # Whoever has a link is nobody that a token names; the route keeps their keys apart from all others.
        holder = Principal(complaint_id, Kind.CUSTOMER, site="")
        written = await face.write(holder, "safety/seen", mailbox, NOTHING, decide)
        if wants_page(request.headers.get("accept", ""), request.url.path):
            return to_page(f"/s/{token}")
        return written.response(200, body_of(SeenAlarm.model_validate(written.fact)))

    return to
