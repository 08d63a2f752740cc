"""The HTTP face of what customers were told: by complaint, one with its attempts, once more what failed, and in person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from services.notifier.messages.in_person import IN_WRITING, told_in_person
from services.notifier.messages.letters import Letters
from services.notifier.messages.rules import (
    Attempt,
    Message,
    Status,
    again_id_of,
    follower_of,
    is_lost,
    messages_of,
    resend,
    status_of,
)
from services.notifier.subjects.rules import Story
from shared.contracts.complaints import Language
from shared.contracts.event import ID_PATTERN, ComplaintId, Id, SiteId
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import MessageQueued, MessageSaid, Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import PLACE_CHARS_MAX, View, cursor_of, place_of
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import AT_SITE, EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes
from shared.runtime.roster import employee_key, of_site

#: Messages in one answer at most; a complaint has a handful.
PAGE_MAX = 50
MESSAGE = "me-9f86d081884c7d65"
#: The same attempt and message in every example.
ATTEMPT: JsonDict = {
    "number": 1,
    "at": "2026-06-03T18:00:01Z",
    "provider": "smtp",
    "failed_because": None,
}
NOTIFICATION: JsonDict = {
    "message_id": MESSAGE,
    "complaint_id": "co-9f86d081884c7d65",
    "occasion": "check_given",
    "channel": "email",
    "language": "en",
    "mailbox": None,
    "status": "sent",
    "reason": None,
    "next_channel": None,
    "queued_at": "2026-06-03T18:00:00Z",
    "due_at": None,
    "next_at": None,
    "delivered_at": None,
    "said_at": None,
    "in_digest": None,
    "attempts": [ATTEMPT],
}


class ShownAttempt(Answer):
    """One time that a message was handed to a provider."""

    model_config = ConfigDict(json_schema_extra={"examples": [ATTEMPT]})

    number: Annotated[int, Field(description="Number of the attempt, from 1.")]
    at: Annotated[datetime, Field(description="When it was handed over.")]
    provider: Annotated[str | None, Field(description="The provider's id; null if not known.")]
    failed_because: Annotated[
        Reason | None,
        Field(description="Why it failed; null if it was accepted, or its fate is not known."),
    ]


class ShownNotification(Answer):
    """A message: why, by what, and what became of it; without address and words."""

    model_config = ConfigDict(json_schema_extra={"examples": [NOTIFICATION]})

    message_id: Annotated[Id, Field(description="The message's id.")]
    complaint_id: ComplaintId
    occasion: Annotated[Occasion, Field(description="Why it is sent.")]
    channel: Annotated[MessageChannel, Field(description="The channel that it goes by.")]
    language: Annotated[Language, Field(description="Language in which it was queued.")]
    mailbox: Annotated[
        str | None, Field(description="The role mailbox it goes to; null for the customer.")
    ]
    status: Annotated[Status, Field(description="What became of it.")]
    reason: Annotated[Reason | None, Field(description="Why it failed or was suppressed.")]
    next_channel: Annotated[
        MessageChannel | None, Field(description="The channel that goes on for it; null if none.")
    ]
    queued_at: Annotated[datetime, Field(description="When it was queued.")]
    due_at: Annotated[
        datetime | None,
        Field(
            description="When it is due: a reminder, in a digest, or after quiet hours; null if that was at once."
        ),
    ]
    next_at: Annotated[
        datetime | None,
        Field(
            description="When it is tried next; null once its fate is known, or while it waits for a digest."
        ),
    ]
    delivered_at: Annotated[
        datetime | None, Field(description="When its provider reported the delivery.")
    ]
    said_at: Annotated[
        datetime | None,
        Field(description="When an employee told the customer in person; null if none did."),
    ]
    in_digest: Annotated[
        Id | None,
        Field(description="Id of the digest's message that it went in; null if by itself."),
    ]
    attempts: Annotated[list[ShownAttempt], Field(description="Its attempts, the first one first.")]


class NotificationList(Answer):
    """A page of a complaint's messages, in the order in which they were queued."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notifications": [NOTIFICATION], "next": None}]}
    )

    notifications: Annotated[list[ShownNotification], Field(description="The messages.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


class ResentNotification(Answer):
    """A failed message that is sent again: the one that goes now."""

    OF: ClassVar[type[Fact]] = MessageQueued
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message_id": "me-60303ae22b998861",
                    "complaint_id": "co-9f86d081884c7d65",
                    "occasion": "check_given",
                    "channel": "email",
                    "instead_of": MESSAGE,
                    "queued_at": "2026-06-03T18:30:00Z",
                }
            ]
        }
    )

    message_id: Annotated[Id, Field(description="Id of the message that goes now.")]
    complaint_id: ComplaintId
    occasion: Annotated[Occasion, Field(description="Why it is sent.")]
    channel: Annotated[MessageChannel, Field(description="The channel that it goes by.")]
    instead_of: Annotated[Id | None, Field(description="Id of the message that failed.")]
    queued_at: Annotated[datetime, Field(description="When it was queued.")]


def _sayable(occasion: Occasion) -> Occasion:
    if occasion in IN_WRITING:
        raise PydanticCustomError("in_writing", "It is told in writing alone")
    return occasion


class SayInPerson(BaseModel):
    """The body of `POST /v1/notifications/said`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"complaint_id": "co-9f86d081884c7d65", "occasion": "resolution_told"}]
        },
    )

    complaint_id: ComplaintId
    occasion: Annotated[
        Occasion,
        AfterValidator(_sayable),
        Field(
            description="What the customer was told of; not `safety`, `confirmation`, `contact_changed` and `digest`, which are told in writing alone."
        ),
    ]
    about: Annotated[
        Id | None,
        Field(
            description="Id of the check, offer or other subject, where the complaint has several; without it, the last one."
        ),
    ] = None


class SaidNotification(Answer):
    """That the customer was told in person, as it was recorded."""

    OF: ClassVar[type[Fact]] = MessageSaid
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "message_id": MESSAGE,
                    "complaint_id": "co-9f86d081884c7d65",
                    "occasion": "resolution_told",
                    "site": "ms-aurora",
                    "said_at": "2026-06-03T18:04:00Z",
                }
            ]
        }
    )

    message_id: Annotated[Id, Field(description="Id of the message that was said.")]
    complaint_id: ComplaintId
    occasion: Annotated[Occasion, Field(description="What the customer was told of.")]
    site: SiteId
    said_at: Annotated[datetime, Field(description="When the employee said so.")]


def routes(face: Face, letters: Letters) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/notifications",
        AT_SITE,
        NotificationList,
        refuses=(Reason.UNKNOWN_COMPLAINT, Reason.CURSOR_INVALID),
    )
    async def list_notifications(
        ask: Ask,
        subject: Annotated[
            str, Query(pattern=ID_PATTERN, max_length=128, description="The complaint's id.")
        ],
        cursor: Annotated[str | None, Query(max_length=PLACE_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_MAX,
    ) -> NotificationList:
        """What was told because of a complaint of my site, the first message first, and what became of each."""
        await of_site(ask.principal, ask.view)
        site = ask.principal.site
        await ask.view.require(Story, subject, Reason.UNKNOWN_COMPLAINT, site=site)
        after = place_of(Message, cursor)
        page = await ask.view.range(Message, messages_of(subject), after, limit)
        return NotificationList(
            notifications=[shown(name, message) for name, message in page.documents],
            next=cursor_of(Message, page.next) if page.next is not None else None,
        )

    @to.read(
        "/v1/notifications/{message_id}",
        AT_SITE,
        ShownNotification,
        refuses=(Reason.UNKNOWN_MESSAGE,),
    )
    async def get_notification(ask: Ask, message_id: Identifier) -> ShownNotification:
        """One message of my site with its attempts."""
        await of_site(ask.principal, ask.view)
        site = ask.principal.site
        message = await ask.view.require(Message, message_id, Reason.UNKNOWN_MESSAGE, site=site)
        return shown(message_id, message)

    @to.write(
        "POST",
        "/v1/notifications/{message_id}/resend",
        AT_SITE,
        {201: ResentNotification},
        refuses=(
            Reason.UNKNOWN_MESSAGE,
            Reason.NOT_FAILED,
            Reason.ALREADY_RESENT,
            Reason.NO_CONTACT,
            Reason.NO_ADDRESS_ON_CHANNEL,
            Reason.CUSTOMER_ERASED,
            Reason.STORY_NOT_YET_KNOWN,
            Reason.KEY_NOT_YET_KNOWN,
            Reason.UNKNOWN_SITE,
            Reason.WRAPPING_KEY_MISSING,
        ),
    )
    async def resend_notification(ask: Ask, message_id: Identifier) -> Decision:
        """Send a message again that failed; it is written anew, and goes only if it is still true and wanted.

        Where another channel went on for it, only once that failed as well. It goes as a message of its own, once. If that
        one fails as well, it may be sent again in its turn. A message without an address on its channel is refused.
        """
        await of_site(ask.principal, ask.view)
        site, again_id = ask.principal.site, again_id_of(message_id)
        await ask.view.prefetch([Message.key(message_id), Message.key(again_id)])
        message = await ask.view.require(Message, message_id, Reason.UNKNOWN_MESSAGE, site=site)
        if not await lost(message_id, message, ask.view):
            raise Rejected(Reason.NOT_FAILED)
        if await ask.view.get(Message, again_id) is not None:
            raise Rejected(Reason.ALREADY_RESENT)
        if message.mailbox is None:
            await letters.addressed(message, ask.view)
        return resend(message, message_id, ask.view.now)

    @to.write(
        "POST",
        "/v1/notifications/said",
        EMPLOYEE,
        {200: SaidNotification},
        refuses=(Reason.UNKNOWN_COMPLAINT, Reason.UNKNOWN_MESSAGE, Reason.CUSTOMER_ERASED),
        reads=lambda who, command: [
            employee_key(who.site, who.subject),
            Story.key(command.complaint_id),
        ],
    )
    async def say_in_person(ask: Ask, command: SayInPerson) -> Decision:
        """I told the customer in person: a message about it that waits does not go any more.

        Of one that was sent already it is recorded that they were told in person as well. Of a customer whom no message
        reaches it is recorded as a message of its own. `unknown_message` says that nothing is to be told of it, or not yet.
        """
        return await told_in_person(
            command.complaint_id, command.occasion, command.about, ask.principal, ask.view
        )

    return to


async def lost(message_id: str, message: Message, view: View) -> bool:
    """Whether a message failed, and so did whatever went on for it by another channel, also where that was sent again.

    Each of those came of one more channel or of an employee's command. Raises Unavailable.
    """
    while is_lost(message):
        if message.next_channel is None:
            return True
        message_id = follower_of(message, message_id, message.next_channel)
        follower = await view.get(Message, message_id)
        if follower is None:
            return False
        message = follower
        again_id = again_id_of(message_id)
        while (again := await view.get(Message, again_id)) is not None:
            message_id, message, again_id = again_id, again, again_id_of(again_id)
    return False


def shown(message_id: str, message: Message) -> ShownNotification:
    """A message as the site sees it."""
    return ShownNotification.about(
        message,
        message_id=message_id,
        status=status_of(message),
        reason=message.failed_because if message.delivered_at is None else None,
        attempts=[_attempt(one) for one in message.attempts],
    )


def _attempt(one: Attempt) -> ShownAttempt:
    return ShownAttempt(
        number=one.number, at=one.at, provider=one.provider, failed_because=one.failed_because
    )
