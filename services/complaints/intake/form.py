"""The open form: a link with a site, and a place or none, by which anybody says what happened.

It asks for no account and no proof, works without scripts, and makes one complaint however often it is sent.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Annotated

from fastapi import Path, Query, Request, Response
from fastapi.responses import HTMLResponse

from services.complaints.intake.handlers import Intake, complaint_id_of
from services.complaints.intake.limits import Limits
from services.complaints.intake.page import PRAISE, ComplaintForm, FormPage, Opened
from services.complaints.selfservice.handlers import SelfService
from shared.contracts.complaints import (
    Category,
    ComplaintRepeated,
    ComplaintTriaged,
    Language,
    PraiseReceived,
    PraiseRepeated,
    reference_of,
)
from shared.contracts.event import SiteId
from shared.contracts.intake import TEXT_MAX, Channel, ComplaintRaised, Contact
from shared.contracts.names import visible
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.answers import to_page
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.face import Face
from shared.runtime.http.inputs import client_address, form_of
from shared.runtime.http.pages import PAGE_HEADERS, Addressee, Fault
from shared.runtime.http.routes import Routes, Token
from shared.runtime.policies import Policies
from shared.runtime.privacy.links import FOLLOWED_FOR, Tokens
from shared.runtime.words import accepted_language, format_time, say

#: Fields of a form that are read; ours has five.
FIELDS_MAX = 12
#: What names a form, as `secrets.token_urlsafe` makes it: long enough that nobody guesses another's.
ONCE = re.compile(r"[A-Za-z0-9_-]{22}")
#: Whoever sends the form; the name of each is in the form.
ANYBODY = "form"
SENT_BEFORE = (Reason.IDEMPOTENCY_KEY_REUSED, Reason.CONFLICTING_REPEAT)
REFUSED = (
    Reason.UNKNOWN_SITE,
    Reason.TOO_MANY_COMPLAINTS,
    *SENT_BEFORE,
    Reason.WRAPPING_KEY_MISSING,
    Reason.KEY_NOT_YET_KNOWN,
)
#: A place at the site: one that the policy names, or what people call it.
Place = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="Where at the site, by its id in the policy or in words.",
    ),
]
Chosen = Annotated[
    str, Query(description="The language of the page; by default the first of the browser's.")
]
AtSite = Annotated[SiteId, Path(description="The site that the form is about.")]


class Door:
    """What the open form needs: who receives it, how often, and where its customers go on."""

    def __init__(
        self, intake: Intake, selfservice: SelfService, links: Tokens, limits: Limits, header: str
    ) -> None:
        """`header` is the one in which the proxy writes the client's address; empty for none."""
        self.intake = intake
        self.selfservice = selfservice
        self.links = links
        self.limits = limits
        self.header = header
        self.policies = Policies()

    async def opened(
        self, site: str, place: str, language: str, request: Request, view: View
    ) -> Opened:
        """The form of a site; raises Rejected(unknown_site), Unavailable. A refusal's page is in its language."""
        accepts = request.headers.get("accept-language", "")
        chosen = language in set(Language)
        known = Language(language) if chosen else accepted_language(accepts)
        request.state.addressee = Addressee(known)
        policy, _ = await self.policies.at(site, view)
        known = known if chosen else accepted_language(accepts, policy.languages[0])
        return Opened(policy, known, chosen, place)

    def count(self, opened: Opened, address: str) -> None:
        """Count one more form; raises Rejected(too_many_complaints)."""
        until = self.limits.take(address, opened.counted_place)
        if until is not None:
            raise Rejected(Reason.TOO_MANY_COMPLAINTS, told={"until": until.isoformat()})

    async def receive(self, opened: Opened, form: ComplaintForm, name: str, view: View) -> Decision:
        """The complaint that a right form tells of; raises what `Intake.raise_complaint` does."""
        raised, source = raised_by(opened, form), f"/c/{opened.policy.site}"
        return await self.intake.raise_complaint(
            raised,
            source,
            complaint_id_of(name),
            view,
            # Nobody is known by a form, so that those who leave no address count as one customer in an incident.
            self.intake.as_one(source) if raised.contact is None else None,
            chosen=Category(form.about) if form.about in set(Category) else None,
            shown_in=opened.language,
        )


def routes(face: Face, door: Door, page: FormPage) -> Routes:
    """The routes."""
    to = Routes(face)

    def shown(
        opened: Opened, form: ComplaintForm, faults: Sequence[Fault], status: int, later_s: int = 0
    ) -> Response:
        """The form again; the same name where the same form is sent once more later."""
        body = page.form(opened, form, form.once or once(), faults)
        later = {"Retry-After": str(later_s)} if later_s else {}
        return HTMLResponse(body, status, {**PAGE_HEADERS, **later})

    async def show(site: str, place: str, language: str, request: Request) -> Response:
        opened = await door.opened(site, place, language, request, face.view())
        return shown(opened, ComplaintForm(), (), 200)

    async def send(site: str, place: str, language: str, request: Request) -> Response:
        opened = await door.opened(site, place, language, request, face.view())
        form = tidy(await form_of(request, ComplaintForm, FIELDS_MAX))
        if faults := list(faults_in(form, opened)):
            return shown(opened, form, faults, 422)
        address, counted = client_address(request, door.header), False

        async def decide(view: View, name: str) -> Decision:
            # Not for a repeat, which is answered without a decision, and once however often it is decided.
            nonlocal counted
            if not counted:
                door.count(opened, address)
                counted = True
            return await door.receive(opened, form, name, view)

        nobody = Principal(ANYBODY, Kind.CUSTOMER, site)
        try:
            written = await face.write(nobody, "c", form.once, form, decide)
        except Rejected as rejected:
            return refused(opened, form, rejected)
        except Unavailable as away:
            fault = Fault(say(opened.language, "form.fault.away"), "text")
            return shown(opened, form, [fault], away.reason.status, ceil(away.retry_after_s))
        if isinstance(written.fact, PraiseReceived | PraiseRepeated):
            # No page to lead to: nothing is kept of praise that anybody could follow.
            return HTMLResponse(
                page.praised(opened.language, opened.policy.site_name), headers=PAGE_HEADERS
            )
        assert isinstance(written.fact, ComplaintTriaged | ComplaintRepeated)
        expires_at = face.view().now + FOLLOWED_FOR
        token = door.links.sign({"complaint": written.fact.complaint_id}, expires_at)
        return to_page(f"/m/{token}/thanks?language={opened.language}")

    def refused(opened: Opened, form: ComplaintForm, rejected: Rejected) -> Response:
        """The form that was not taken, with why on top; raises what is no fault of the form."""
        now, status = face.view().now, rejected.reason.status
        if rejected.reason is Reason.TOO_MANY_COMPLAINTS:
            until = datetime.fromisoformat(str(rejected.told["until"]))
            when = format_time(until, opened.policy.timezone, opened.language, now)
            fault = Fault(say(opened.language, "form.fault.later", when=when), "text")
            return shown(opened, form, [fault], status, int((until - now).total_seconds()) + 1)
        if rejected.reason in SENT_BEFORE:
            fault = Fault(say(opened.language, "form.fault.sent_before"), "text")
            return shown(opened, form.model_copy(update={"once": ""}), [fault], status)
        raise rejected

    @to.link("GET", "/c/{site}", refuses=(Reason.UNKNOWN_SITE,), response_class=HTMLResponse)
    async def show_form(site: AtSite, request: Request, language: Chosen = "") -> Response:
        """The open form of a site, on which anybody says what happened."""
        return await show(site, "", language, request)

    @to.link(
        "GET", "/c/{site}/{place}", refuses=(Reason.UNKNOWN_SITE,), response_class=HTMLResponse
    )
    async def show_form_of_place(
        site: AtSite, place: Place, request: Request, language: Chosen = ""
    ) -> Response:
        """The open form about a place at a site."""
        return await show(site, place, language, request)

    @to.link("POST", "/c/{site}", refuses=REFUSED, response_class=HTMLResponse, form=ComplaintForm)
    async def send_form(site: AtSite, request: Request, language: Chosen = "") -> Response:
        """Say what happened; the answer leads to a page that says by when the customer hears from us."""
        return await send(site, "", language, request)

    @to.link(
        "POST",
        "/c/{site}/{place}",
        refuses=REFUSED,
        response_class=HTMLResponse,
        form=ComplaintForm,
    )
    async def send_form_of_place(
        site: AtSite, place: Place, request: Request, language: Chosen = ""
    ) -> Response:
        """Say what happened at a place; the answer is as without one."""
        return await send(site, place, language, request)

    @to.link(
        "GET",
        "/m/{token}/thanks",
        refuses=(Reason.UNKNOWN_SITE,),
        response_class=HTMLResponse,
    )
    async def show_thanks(token: Token, request: Request, language: Chosen = "") -> Response:
        """The page that thanks whoever sent the form: by when they hear from us, and the link to their page."""
        view = face.view()
        request.state.addressee = await door.selfservice.addressee_of(token, view)
        complaint_id, complaint = await door.selfservice.opened(token, view)
        policy, _ = await door.policies.at(complaint.site, view)
        known = Language(language) if language in set(Language) else complaint.language
        by = complaint.promised_by
        body = page.thanks(
            known,
            token,
            site_name=policy.site_name,
            reference=reference_of(complaint_id),
            promised_by=format_time(by, policy.timezone, known) if by and by > view.now else "",
            reachable=bool(complaint.reachable),
            incident=await door.selfservice.incident(complaint, policy, known, view),
        )
        return HTMLResponse(body, headers=PAGE_HEADERS)

    return to


def once() -> str:
    """A name for the next form."""
    return secrets.token_urlsafe(16)


def tidy(form: ComplaintForm) -> ComplaintForm:
    """The form as it is read: lines end with one character, and a name that is not ours is none."""
    return form.model_copy(
        update={
            "text": form.text.replace("\r\n", "\n").strip(),
            "contact": form.contact.strip(),
            "once": form.once if ONCE.fullmatch(form.once) else "",
        }
    )


def faults_in(form: ComplaintForm, opened: Opened) -> Sequence[Fault]:
    """What the customer must put right, in the order of the page."""
    found, language = [], opened.language
    if len(form.text) > TEXT_MAX:
        found.append(Fault(say(language, "form.fault.long", count=TEXT_MAX), "text"))
    elif not visible(form.text):
        found.append(Fault(say(language, "form.fault.text"), "text"))
    elif not form.once:
        # Under a name that others may have as well, they would be shown one another's page.
        found.append(Fault(say(language, "form.fault.again"), "text"))
    if fault := contact_fault(form.contact, opened):
        found.append(Fault(say(language, fault), "contact"))
    return found


def contact_fault(written: str, opened: Opened) -> str:
    """The words that say why no message would arrive there; empty if one does, or nothing was written."""
    try:
        contact = contact_of(written)
    except ValueError:
        return f"form.fault.contact.{opened.reached_by}"
    if contact is None:
        return ""
    if not opened.policy.notify.reaches(contact):
        return f"form.fault.contact.{opened.reached_by}"
    return "" if contact.email is None or _is_whole(contact.email) else "form.fault.address"


def _is_whole(address: str) -> bool:
    """Whether the domain of an address has a dot, and something on each side of every dot."""
    labels = address.rpartition("@")[2].split(".")
    return len(labels) > 1 and all(labels)


def contact_of(written: str) -> Contact | None:
    """A mail address or a telephone number; None for none. Raises ValueError for anything else."""
    if not written:
        return None
    return Contact(email=written) if "@" in written else Contact(phone=written)


def raised_by(opened: Opened, form: ComplaintForm) -> ComplaintRaised:
    """The complaint that a right form tells of."""
    return ComplaintRaised(
        site=opened.policy.site,
        text=form.text,
        place=opened.place(form),
        praise=form.about == PRAISE,
        contact=contact_of(form.contact),
        # Only a language that they chose; else that of their words counts, and not that of their browser.
        language=opened.language if opened.chosen else None,
        channel=Channel.WEB,
    )
