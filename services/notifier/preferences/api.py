"""The HTTP face of preferences: the customer's page, the one click by which a mail program unsubscribes, and the site's way.

Opening the link changes nothing, because mail scanners open links too; only the forms do.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, time
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.notifier.preferences.handlers import Wishes
from services.notifier.preferences.page import PreferencesPage
from services.notifier.preferences.rules import CHOSEN, Preferences, change
from shared.contracts.complaints import Language
from shared.contracts.event import CustomerRef
from shared.contracts.hours import zone_of
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import Author, PreferencesChanged, Tells, TimeZone
from shared.contracts.policy import QuietHours
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer, matches, to_page
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.inputs import form_of
from shared.runtime.http.pages import PAGE_HEADERS, Fault, wants_page
from shared.runtime.http.routes import IF_MATCH, Ask, Identifier, Routes, Token
from shared.runtime.words import say

#: Fields of a form that are read; ours has seven.
FIELDS_MAX = 10
#: The longest name of a request, which the page makes.
ONCE_CHARS_MAX = 64
#: A time of day as browsers send it, of whole minutes, or nothing.
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$|^$"


def _one_of(choices: type[StrEnum]) -> dict[str, Any]:
    """The schema of a field that is chosen from a list, or empty."""
    return {"enum": ["", *choices]}


class PreferencesForm(BaseModel):
    """How a customer wants to be told; a field that is empty, or not there, is as the site has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "once": "kZ2v6rQ1xY8bN4mT0cLwEg",
                    "tells": "no_reminders",
                    "channel": "sms",
                    "language": "en",
                    "starts": "21:00",
                    "ends": "08:00",
                    "timezone": "Europe/Oslo",
                }
            ]
        }
    )

    once: Annotated[
        str,
        Field(
            description="Names the request: what is sent twice under one name changes nothing the second time.",
            json_schema_extra={"maxLength": ONCE_CHARS_MAX},
        ),
    ] = ""
    tells: Annotated[
        str, Field(description="What they want to be told of.", json_schema_extra=_one_of(Tells))
    ] = ""
    channel: Annotated[
        str,
        Field(
            description="The channel that they want first, one that reaches them.",
            json_schema_extra=_one_of(MessageChannel),
        ),
    ] = ""
    language: Annotated[
        str, Field(description="Language of messages.", json_schema_extra=_one_of(Language))
    ] = ""
    starts: Annotated[
        str,
        Field(
            description="Local time from which messages wait, with `ends`.",
            json_schema_extra={"pattern": CLOCK_PATTERN},
        ),
    ] = ""
    ends: Annotated[
        str,
        Field(
            description="Local time until which messages wait, with `starts`.",
            json_schema_extra={"pattern": CLOCK_PATTERN},
        ),
    ] = ""
    timezone: Annotated[
        str,
        Field(
            description="Where the customer's clock is, by its IANA name.",
            json_schema_extra={"maxLength": 64},
        ),
    ] = ""


#: Who writes down what a customer told their site.
BY_SITE = {Kind.EMPLOYEE: Author.EMPLOYEE, Kind.SYSTEM: Author.SYSTEM}
WANTED: JsonDict = {
    "tells": "no_reminders",
    "channel": "sms",
    "language": "en",
    "quiet_hours": {"starts": "21:00:00", "ends": "08:00:00"},
    "timezone": "Europe/Oslo",
}


def _of_a_zone(name: str) -> str:
    """The name of a time zone; raises ValueError if it is that of no place."""
    return zone_of(name).key


def _whole_minutes(hours: QuietHours | None) -> QuietHours | None:
    """Hours as people say them; raises ValueError for others."""
    if hours is not None and (hours.starts.second or hours.ends.second):
        raise ValueError("quiet hours must begin and end at whole minutes")
    return hours


class WantedPreferences(BaseModel):
    """How a customer wants to be told; what is left out is as the site has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [WANTED]})

    tells: Tells = Field(Tells.EVERYTHING, description="What they want to be told of.")
    channel: MessageChannel | None = Field(None, description="The channel that they want first.")
    language: Language | None = Field(None, description="Language of messages.")
    quiet_hours: Annotated[QuietHours | None, AfterValidator(_whole_minutes)] = Field(
        None, description="Local time of each day in which messages wait, of whole minutes."
    )
    timezone: Annotated[TimeZone, AfterValidator(_of_a_zone)] | None = Field(
        None, description="Where the customer's clock is, by its IANA name."
    )


class ShownPreferences(Answer):
    """How a customer wants to be told; null where it is as the site has it."""

    OF: ClassVar[type[Fact]] = PreferencesChanged
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_ref": "c-84de9b3149bca106017b7868415330e5",
                    **WANTED,
                    "changed_at": "2026-06-03T14:00:00Z",
                }
            ]
        }
    )

    customer_ref: CustomerRef
    tells: Annotated[Tells, Field(description="What they want to be told of.")]
    channel: Annotated[
        MessageChannel | None, Field(description="The channel that they want first.")
    ]
    language: Annotated[Language | None, Field(description="Language of messages.")]
    quiet_hours: Annotated[
        QuietHours | None, Field(description="Local time of each day in which messages wait.")
    ]
    timezone: Annotated[
        str | None, Field(description="Where the customer's clock is, by its IANA name.")
    ]
    changed_at: Annotated[
        datetime | None, Field(description="When they said so last; null if they never did.")
    ]


T = TypeVar("T")


class WrongField(Exception):
    """A field of the form does not say what it could."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def routes(face: Face, wishes: Wishes, page: PreferencesPage) -> Routes:
    """The routes."""
    to = Routes(face)

    async def checked(token: str, request: Request) -> str:
        """The complaint of a link that opens something; the customer is noted for the other page."""
        request.state.addressee = await wishes.addressee_of(token, face.view())
        await wishes.opened(token, face.view())
        return wishes.complaint_of(token)

    async def shown(token: str, *, saved: bool = False) -> Response:
        found = await wishes.shown(token, face.view())
        body = page.show(found, token, secrets.token_urlsafe(16), saved=saved)
        return HTMLResponse(body, headers=PAGE_HEADERS)

    async def not_taken(token: str, wrong: str, form: PreferencesForm) -> Response:
        """The page with a fault at a field, and with what was typed."""
        found = await wishes.shown(token, face.view())
        faults = [Fault(say(found.language, f"preferences.fault.{wrong}"), wrong)]
        typed, once = form.model_dump(), secrets.token_urlsafe(16)
        body = page.show(found, token, once, saved=False, faults=faults, typed=typed)
        return HTMLResponse(body, 422, PAGE_HEADERS)

    async def write(
        complaint_id: str,
        what: str,
        key: str,
        form: BaseModel,
        decide: Callable[[View], Awaitable[Decision]],
    ) -> None:
        customer = Principal(complaint_id, Kind.CUSTOMER, site="")

        async def decided(view: View, _name: str) -> Decision:
            return await decide(view)

        await face.write(customer, f"preferences/{what}", key, form, decided)

    @to.link("GET", "/p/{token}", refuses=(Reason.UNKNOWN_SITE,), response_class=HTMLResponse)
    async def show_preferences(token: Token, request: Request) -> Response:
        """How the customer wants to be told: of what, by what, when and in which language."""
        await checked(token, request)
        return await shown(token, saved="saved" in request.query_params)

    @to.link("GET", "/p/{token}/unsubscribe", hidden=True)
    async def back_to_preferences(token: Token) -> Response:
        """Redirects to the page whoever opens the address that a mail program posts to."""
        return to_page(f"/p/{token}")

    @to.link(
        "POST",
        "/p/{token}",
        refuses=(Reason.UNKNOWN_SITE,),
        response_class=HTMLResponse,
        form=PreferencesForm,
    )
    async def change_preferences(token: Token, request: Request) -> Response:
        """Change them; the answer is the page, for a browser by a redirect. They hold for messages that wait, too."""
        complaint_id = await checked(token, request)
        form = await form_of(request, PreferencesForm, FIELDS_MAX)
        try:
            wanted = preferences_of(form)
            if wanted.channel not in (None, *(await wishes.shown(token, face.view())).channels):
                raise WrongField("channel")
        except WrongField as error:
            return await not_taken(token, error.field, form)

        async def decide(view: View) -> Decision:
            return await wishes.change(token, wanted, view)

        key = form.once[:ONCE_CHARS_MAX] or secrets.token_urlsafe(16)
        await write(complaint_id, "change", key, form, decide)
        if wants_page(request.headers.get("accept", ""), request.url.path):
            return to_page(f"/p/{token}?saved")
        return await shown(token, saved=True)

    @to.link(
        "POST",
        "/p/{token}/unsubscribe",
        refuses=(Reason.UNKNOWN_SITE,),
        response_class=HTMLResponse,
    )
    async def unsubscribe_by_link(token: Token, request: Request) -> Response:
        """No reminders and no thanks any more, with one click in a mail program (RFC 8058); the answer is the page."""
        complaint_id = await checked(token, request)

        async def decide(view: View) -> Decision:
            return await wishes.unsubscribe(token, view)

        await write(
            complaint_id, "unsubscribe", secrets.token_urlsafe(16), PreferencesForm(), decide
        )
        return await shown(token, saved=True)

    _of_site(to, wishes)
    return to


def _of_site(to: Routes, wishes: Wishes) -> None:
    """The routes by which a site writes down what a customer told it."""

    @to.read(
        "/v1/preferences/{customer_ref}",
        tuple(BY_SITE),
        ShownPreferences,
        refuses=(Reason.UNKNOWN_CUSTOMER, Reason.CUSTOMER_ERASED),
        changed_by_tag=True,
    )
    async def get_customer_preferences(ask: Ask, customer_ref: Identifier) -> ShownPreferences:
        """How a customer of my site wants to be told; null where they chose nothing and it is as the site has it."""
        found = await wishes.of_site(customer_ref, ask.principal, ask.view)
        return ShownPreferences.about(found, customer_ref=customer_ref)

    @to.write(
        "PUT",
        "/v1/preferences/{customer_ref}",
        tuple(BY_SITE),
        {200: ShownPreferences},
        refuses=(
            Reason.UNKNOWN_CUSTOMER,
            Reason.CUSTOMER_ERASED,
            Reason.VERSION_MISSING,
            Reason.CHANGED_MEANWHILE,
        ),
        tagged=True,
    )
    async def put_customer_preferences(
        ask: Ask, customer_ref: Identifier, command: WantedPreferences, if_match: IF_MATCH = None
    ) -> Decision:
        """Write down how a customer of my site wants to be told, in place of what they wanted before.

        `If-Match` names what they wanted before by its ETag, so that nobody overwrites what the customer or a
        colleague said meanwhile. It holds for messages that wait, too.
        """
        found = await wishes.of_site(customer_ref, ask.principal, ask.view)
        if if_match is None:
            raise Rejected(Reason.VERSION_MISSING)
        if not matches(if_match, ShownPreferences.about(found, customer_ref=customer_ref)):
            raise Rejected(Reason.CHANGED_MEANWHILE)
        wanted = Preferences(**{name: getattr(command, name) for name in CHOSEN})
        who = ask.principal
        return change(customer_ref, who.site, wanted, BY_SITE[who.kind], ask.view.now)


def preferences_of(form: PreferencesForm) -> Preferences:
    """What a form asks for; what is empty is as the site has it. Raises WrongField."""
    return Preferences(
        tells=_value("tells", Tells, form.tells) or Tells.EVERYTHING,
        channel=_value("channel", MessageChannel, form.channel),
        language=_value("language", Language, form.language),
        quiet_hours=_quiet(form.starts, form.ends),
        timezone=_value("timezone", _of_a_zone, form.timezone.strip()),
    )


def _value(field: str, read: Callable[[str], T], text: str) -> T | None:
    """What a field says; None if it is empty. Raises WrongField."""
    try:
        return read(text) if text else None
    except ValueError:
        raise WrongField(field) from None


def _quiet(starts: str, ends: str) -> QuietHours | None:
    """The hours of two fields; None if both are empty."""
    begin = _value("starts", _minute, starts)
    end = _value("ends", _minute, ends)
    if begin is None and end is None:
        return None
    if begin is None:
        raise WrongField("starts")
    if end is None or end == begin:
        raise WrongField("ends")
    return QuietHours(starts=begin, ends=end)


def _minute(text: str) -> time:
    """A local time of day of whole minutes; raises ValueError for any other."""
    at = time.fromisoformat(text)
    if at.tzinfo is not None or at.second or at.microsecond:
        raise ValueError(text)
    return at
