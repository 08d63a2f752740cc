"""What a customer's link opens, and what is done by it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError

from services.complaints.colleagues.handlers import keeper
from services.complaints.customer.export import ExportedCustomer, Exports
from services.complaints.customer.handlers import erasing, language_of
from services.complaints.lifecycle.handlers import (
    danger_in,
    decided,
    head_of,
    place_of,
    taken_back,
)
from services.complaints.lifecycle.moves import No, with_danger
from services.complaints.lifecycle.rules import Complaint
from services.complaints.matters.handlers import answered
from services.complaints.matters.moves import Answered, same_customer
from services.complaints.selfservice.moves import (
    Code,
    add_words,
    ask_code,
    enter_code,
    field_of,
    tell_helped,
)
from services.complaints.selfservice.page import AskedCode, Given, Shown, Told, told
from services.complaints.selfservice.rules import (
    CODE_DIGITS,
    VALID_FOR,
    Confirmation,
    StandingIncident,
    incident_at,
    missed,
    partly,
    shortened,
    unusable,
)
from services.complaints.timeline.handlers import Timelines
from services.complaints.timeline.rules import Entry, Timeline, What, for_customer
from services.complaints.triage.handlers import Triage
from shared.contracts.complaints import (
    Action,
    ComplaintWithdrawn,
    ConfirmationGiven,
    ContactChanged,
    Language,
    Outcome,
    reference_of,
)
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.lifecycle import AGAIN, ASKED, OPEN, State, may
from shared.contracts.names import mailbox_of
from shared.contracts.notifier import Helped
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, employee_name
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.pages import Addressee
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.links import FOLLOWED_FOR, Tokens
from shared.runtime.privacy.seal import Vault
from shared.runtime.words import capitalised, format_time, in_language, place_title

#: Entries on the page, the newest: one is read on a phone.
SHOWN_MAX = 200
#: The address of a check's page, by its id and a time until which it is open.
CheckPage = Callable[[str, datetime], str]
#: The address of the site's questions after a close of a complaint, by its id, its round, and when it is shown.
SurveyPage = Callable[[str, int, datetime], str]
#: The address where a customer says how we write to them, by what the link names and when it is shown.
PreferencesPage = Callable[[str, datetime], str]
#: Who asked for an erasure, where the customer did by their link.
CUSTOMER = "customer"


#: Where a complaint stands whose customer is told of an incident.
AFFECTED = frozenset({State.RECEIVED, State.RESOLUTION_RECORDED}) | OPEN
#: Where a complaint stands after which the site asks how it was handled.
SURVEYED = frozenset({State.CONFIRMED, State.CLOSED_NO_RESPONSE})


class SelfService:
    """What a customer sees and does by the link in their letter."""

    def __init__(
        self,
        vault: Vault,
        triage: Triage,
        links: Tokens,
        check_page: CheckPage,
        survey_page: SurveyPage,
        preferences_page: PreferencesPage,
        timelines: Timelines,
        exports: Exports,
    ) -> None:
        self._keys = Keys(vault)
        self._names = vault.pseudonyms
        self._secret = vault.derive("confirmation")
        self._triage = triage
        self._links = links
        self._check_page = check_page
        self._survey_page = survey_page
        self._preferences_page = preferences_page
        self._timelines = timelines
        self._exports = exports
        self._policies = Policies()

    async def addressee_of(self, token: str, view: View) -> Addressee | None:
        """Whose link it is, also of an expired one; None if the link is not ours. Raises Unavailable."""
        complaint_id = self._links.told(token).get("complaint")
        found = await view.get(Complaint, complaint_id) if complaint_id is not None else None
        return Addressee(await language_of(found, view), found.site) if found is not None else None

    async def opened(self, token: str, view: View) -> tuple[str, Complaint]:
        """The complaint of a link; raises Rejected(link_invalid), also once its customer was erased, and Unavailable."""
        complaint_id = self._links.read(token)["complaint"]
        return complaint_id, await self.known(complaint_id, view)

    async def known(self, complaint_id: str, view: View) -> Complaint:
        """The complaint; raises Rejected(link_invalid) where there is none or its customer was erased, and Unavailable."""
        complaint = await view.require(Complaint, complaint_id, Reason.LINK_INVALID)
        if complaint.forgotten or await self._keys.erased(complaint.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        return complaint

    async def is_contact(self, complaint: Complaint, email: str, view: View) -> bool:
        """Whether a mail address is the customer's, as the complaint knows it; raises Unavailable."""
        known = (await self._contact(complaint, view)).email
        return known is not None and mailbox_of(known) == mailbox_of(email)

    async def shown(self, token: str, view: View) -> Shown:
        """What the page of a link shows; raises what `opened` does."""
        complaint_id, complaint = await self.opened(token, view)
        policy, _ = await self._policies.at(complaint.site, view)
        entries, left_out = await self._timelines.of(complaint_id, complaint, view)
        language, zone = await language_of(complaint, view), policy.timezone
        contact = await self._contact(complaint, view)

        def when(moment: datetime | None) -> str:
            return "" if moment is None else format_time(moment, zone, language)

        shown = for_customer(entries)
        happened = [
            told(entry, await self._timelines.words(entry, complaint, view) or "", policy, language)
            for entry in shown[-SHOWN_MAX:]
        ]
        place = await place_of(complaint, self._keys, view) or ""
        head = await head_of(complaint, view)
        closes_at = head.closes_at if head.closes_at and view.now < head.closes_at else None
        promised_by = complaint.promised_by
        if promised_by is not None and promised_by <= view.now:
            promised_by = None
        asks_helped = head.state in ASKED and not head.forgotten
        own = complaint.merged_into is None or same_customer(complaint, head)
        asked = complaint.state is State.AWAITING_INFO
        body = policy.bodies.get(head.referred_to or "")
        questions = [one.words for one in happened if one.what is What.ASKED] if asked else []
        return Shown(
            language=language,
            site_name=policy.site_name,
            reference=reference_of(complaint_id),
            told=happened,
            heard=shortened(next((one.words for one in happened if one.what is What.RECEIVED), "")),
            place=capitalised(place_title(place, policy, language)),
            done=await self._done(complaint, complaint_id, head, own, policy, language, view)
            if asks_helped
            else None,
            given=self._given(entries, policy, language),
            danger=head.state in OPEN and (complaint.safety or (own and head.safety)),
            reached_at=reached_at(contact, entries, view.now),
            missed=when(missed(complaint, head, view.now)),
            left_out=left_out > 0 or len(shown) > SHOWN_MAX,
            asked=asked,
            question=questions[-1] if questions else "",
            state=head.state,
            claimed=head.employee_id is not None,
            department=await department_of(head, language, policy, view),
            promised_by=when(promised_by),
            closes_at=when(closes_at),
            body=in_language(body.title, language) if body is not None else "",
            body_page=in_language(body.pages, language) if body is not None else "",
            merged=complaint.state is State.MERGED,
            goes_on=reference_of(complaint.merged_into) if complaint.merged_into and own else "",
            takes_words=head.state in OPEN | AGAIN,
            asks_helped=asks_helped,
            may_withdraw=may(complaint.state, ComplaintWithdrawn),
            reachable=bool(complaint.reachable),
            code_by=code_by(contact, policy),
            has_email=contact.email is not None,
            writes_mail=MessageChannel.EMAIL in policy.notify.channels,
            preferences=self._preferences_page(complaint_id, view.now)
            if complaint.reachable
            else "",
            survey=self._survey(complaint_id, complaint, policy, view),
            incident=await self.incident(complaint, policy, language, view),
        )

    async def incident(
        self, complaint: Complaint, policy: Policy, language: Language, view: View
    ) -> str:
        """What the site says of the incident about the same as a complaint that goes on; empty if none stands, or it prepared no words.

        A complaint that was merged goes on as long as the one that goes on for it. Raises Unavailable.
        """
        prepared = policy.incidents.words if policy.incidents is not None else {}
        words = prepared.get(complaint.category)
        if words is None or (await head_of(complaint, view)).state not in AFFECTED:
            return ""
        known = await view.get(StandingIncident, incident_at(complaint.site, complaint.category))
        return in_language(words, language) if known is not None and not known.over else ""

    def _survey(self, complaint_id: str, complaint: Complaint, policy: Policy, view: View) -> str:
        """Where the site's questions are, or thanks for the answers; empty if it asks none, or the complaint goes on."""
        if not policy.survey or complaint.state not in SURVEYED:
            return ""
        return self._survey_page(complaint_id, complaint.round, view.now)

    async def _contact(self, complaint: Complaint, view: View) -> Contact:
        """Where the customer can be reached, opened; empty where nothing is known. Raises Unavailable."""
        if complaint.contact is None:
            return Contact()
        key = await self._keys.needed(complaint.customer_ref, view)
        return Contact.model_validate_json(key.open("contact", complaint.contact))

    async def _done(
        self,
        complaint: Complaint,
        complaint_id: str,
        head: Complaint,
        own: bool,
        policy: Policy,
        language: Language,
        view: View,
    ) -> Told | None:
        """What was done last, also about the complaint that goes on for this one; None if nothing was.

        Of another customer's, neither the employee's words nor what was explained to that one.
        """
        entries, _ = await self._timelines.of(complaint.merged_into or complaint_id, head, view)
        done = [one for one in entries if one.what is What.RESOLVED]
        if not done or (done[-1].outcome is Outcome.EXPLAINED and not own):
            return None
        words = await self._timelines.words(done[-1], head, view) if own else None
        return told(done[-1], words or "", policy, language)

    def _given(
        self, entries: Sequence[Entry], policy: Policy, language: Language
    ) -> Sequence[Given]:
        """The checks that the customer was given, with what they need to use them."""
        given = []
        for entry in entries:
            if entry.what is not What.CHECK_GIVEN or entry.check_id is None:
                continue
            became = [one.what for one in entries if one.check_id == entry.check_id]
            one = told(entry, "", policy, language)
            until = entry.at + FOLLOWED_FOR
            link = self._check_page(entry.check_id, until)
            given.append(Given(one.title, one.worth, unusable(became), link))
        return given

    async def asked_for(self, token: str, view: View) -> AskedCode | None:
        """The code that is taken now; None if none is; raises what `opened` does."""
        complaint_id, complaint = await self.opened(token, view)
        known = await view.get(Confirmation, complaint_id)
        if known is None or not known.is_open(view.now):
            return None
        policy, _ = await self._policies.at(complaint.site, view)
        by = code_by(await self._contact(complaint, view), policy)
        return AskedCode(known.action, by)

    async def add_words(
        self, complaint_id: str, complaint: Complaint, words: str, view: View
    ) -> Decision:
        """Add words of the customer, or answer what was asked; a complaint that is over is opened again.

        Raises Rejected(wrong_state, too_many_words), Unavailable.
        """
        timeline = await view.get(Timeline, complaint_id)
        seals = await self._keys.seals(complaint.customer_ref, complaint.site, view)
        sealed = seals.words.seal(field_of(complaint), words)
        policy, _ = await self._policies.at(complaint.site, view)
        head = await head_of(complaint, view)
        danger = await danger_in(self._triage, words, complaint, complaint_id, policy, view)
        complaint = with_danger(complaint, danger.own)
        head = with_danger(head, danger.of_head)
        about, kept_by = Answered(complaint_id, complaint), None
        if head.state in AGAIN:
            about = await answered(complaint, complaint_id, head, policy, view)
            kept_by = await keeper(about.complaint, policy, view)
        return decided(
            add_words(
                complaint,
                complaint_id,
                head,
                about,
                timeline,
                sealed,
                policy,
                view.now,
                keeper=kept_by,
            ),
            (*seals.created, *danger.facts),
        )

    async def tell_helped(
        self, complaint_id: str, complaint: Complaint, helped: Helped, line: str, view: View
    ) -> Decision:
        """Take the customer's answer to "did it help?", with a line if it is not empty.

        Raises Rejected(wrong_state, too_many_words), Unavailable.
        """
        head = await head_of(complaint, view)
        if await self._keys.erased(head.customer_ref, view):
            raise Rejected(Reason.WRONG_STATE)
        policy, _ = await self._policies.at(complaint.site, view)
        timeline = await view.get(Timeline, complaint_id)
        before: Sequence[Fact] = ()
        sealed = thanks = None
        if line:
            seals = await self._keys.seals(complaint.customer_ref, complaint.site, view)
            sealed, thanks = (seals.words.seal(field, line) for field in ("text", "line"))
            danger = await danger_in(self._triage, line, complaint, complaint_id, policy, view)
            before = (*seals.created, *danger.facts)
            helped = danger.outweighs(helped)
            complaint = with_danger(complaint, danger.own)
            head = with_danger(head, danger.of_head)
        about = await answered(complaint, complaint_id, head, policy, view)
        found = tell_helped(
            complaint,
            complaint_id,
            head,
            about,
            helped,
            sealed,
            timeline,
            policy,
            view.now,
            keeper=await keeper(about.complaint, policy, view)
            if helped is not Helped.YES
            else None,
            thanks=thanks,
        )
        return decided(found, before)

    async def withdraw(self, token: str, view: View) -> Decision:
        """Take the complaint back; raises Rejected(wrong_state) and what `opened` does."""
        complaint_id, complaint = await self.opened(token, view)
        return await taken_back(complaint, complaint_id, None, self._policies, view)

    async def ask_code(self, token: str, action: Action, name: str, view: View) -> Decision:
        """Have a code sent to the customer's contact.

        Raises Rejected(no_contact, too_many_codes) and what `opened` does.
        """
        complaint_id, complaint = await self.opened(token, view)
        known = await view.get(Confirmation, complaint_id)
        confirmation_id = f"cf-{name}"
        digits = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        seals = await self._keys.seals(complaint.customer_ref, complaint.site, view)
        code = Code(
            confirmation_id, seals.contact.seal("code", digits), self._hash(confirmation_id, digits)
        )
        return decided(
            ask_code(complaint, complaint_id, known, action, code, view.now), seals.created
        )

    async def enter_code(self, token: str, digits: str, email: str, view: View) -> Decision:
        """Take a code and do what it was asked for; a wrong one counts as a try.

        `email` is where the customer wants to be written to, where they change that. Raises
        Rejected(code_wrong) while no code is taken, Rejected(address_refused) for no address, and what `opened` does.
        """
        complaint_id, complaint = await self.opened(token, view)
        known = await view.get(Confirmation, complaint_id)
        entered = self._hash(known.confirmation_id, digits) if known is not None else ""
        found = enter_code(complaint, complaint_id, known, entered, view.now)
        if isinstance(found, No):
            raise Rejected(found.reason)
        before: Sequence[Fact] = ()
        if isinstance(found, ConfirmationGiven) and found.action is Action.ERASURE:
            erased = await erasing(complaint.customer_ref, complaint.site, CUSTOMER, view)
            before = erased.facts
        if isinstance(found, ConfirmationGiven) and found.action is Action.CONTACT:
            before = (await self._reached(complaint_id, complaint, email, view),)
        # The answer to a repeat is the last fact.
        return Decision((*before, found))

    async def _reached(
        self, complaint_id: str, complaint: Complaint, email: str, view: View
    ) -> ContactChanged:
        """The contact with another mail address; raises Rejected(address_refused, no_contact), Unavailable."""
        key = await self._keys.needed(complaint.customer_ref, view)
        if complaint.contact is None:
            raise Rejected(Reason.NO_CONTACT)
        known = Contact.model_validate_json(key.open("contact", complaint.contact))
        try:
            contact = Contact.model_validate({**known.model_dump(), "email": email})
        except ValidationError:
            raise Rejected(Reason.ADDRESS_REFUSED) from None
        return ContactChanged(
            complaint_id=complaint_id,
            site=complaint.site,
            contact=key.seal("contact", contact.model_dump_json()),
            contact_refs=self._names.contacts(complaint.site, contact.email, contact.phone),
            changed_at=view.now,
        )

    async def exported(self, token: str, view: View) -> ExportedCustomer:
        """What is known of the customer at the complaint's site; raises what `opened` does."""
        _, complaint = await self.opened(token, view)
        return await self._exports.of(complaint.customer_ref, complaint.site, view)

    async def export_page(self, exported: ExportedCustomer, view: View) -> str:
        """The same as a page; raises Unavailable."""
        return await self._exports.page(exported, view)

    def _hash(self, confirmation_id: str, digits: str) -> str:
        return hmac.digest(self._secret, f"{confirmation_id}/{digits}".encode(), sha256).hex()


async def department_of(
    complaint: Complaint, language: Language, policy: Policy, view: View
) -> str:
    """The department of the employee who has a complaint, in a language; empty if they belong to none.

    Raises Unavailable.
    """
    if complaint.employee_id is None:
        return ""
    employee = await view.get(Employee, employee_name(complaint.site, complaint.employee_id))
    if employee is None:
        return ""
    departments = policy.departments.values()
    titles = [one.title for one in departments if employee.listing.role in one.roles]
    return in_language(titles[0], language) if titles else ""


def reached_at(contact: Contact, entries: Sequence[Entry], now: datetime) -> str:
    """Where the customer is written to, shown partly, for a while after they changed it; else empty."""
    just = now - VALID_FOR
    changed = any(one.what is What.CONTACT_CHANGED and one.at > just for one in entries)
    return partly(contact.email or "") if changed else ""


def code_by(contact: Contact, policy: Policy) -> MessageChannel | None:
    """The channel that a code goes by; None where the customer has an address on several, or on none."""
    notify = policy.notify
    by = [one for one in notify.channels if notify.address(contact, one) is not None]
    return by[0] if len(by) == 1 else None
