"""What this service knows of a customer, for the customer: as data and as a page to read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.complaints.customer.handlers import site_of
from services.complaints.lifecycle.handlers import place_of, words_of
from services.complaints.lifecycle.rules import Complaint, of_customer
from services.complaints.promises.rules import KeptAt, VoidedCheck
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import (
    AmountMinor,
    CheckId,
    ComplaintId,
    Currency,
    CustomerRef,
    Id,
    SiteId,
)
from shared.contracts.intake import Contact
from shared.contracts.lifecycle import State
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View
from shared.runtime.http.answers import Answer
from shared.runtime.http.pages import Pages
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import KeyRing, Keys
from shared.runtime.words import format_money, format_time, say

#: Complaints in one export, the earliest: far more than a person has; a source that names everybody alike
#: may have more, and `complete` says so.
EXPORTED_MAX = 1000

#: The same customer in every example.
CUSTOMER: JsonDict = {
    "customer_ref": "c-0d7f8b0e003473cd34ff8cbd44a16c66",
    "exported_at": "2026-06-04T09:00:00Z",
    "complaints": [
        {
            "complaint_id": "co-9f86d081884c7d65",
            "site": "ms-aurora",
            "received_at": "2026-06-03T17:00:00Z",
            "state": "claimed",
            "category": "food",
            "severity": "moderate",
            "language": "en",
            "promised_by": "2026-06-03T18:00:00Z",
            "round": 0,
            "text": "We waited two hours for cold soup.",
            "place": "Restaurant, deck 5",
            "contact": {"name": "Kim", "email": "kim@example.org", "phone": None},
            "given": [
                {
                    "issued_at": "2026-06-03T17:20:00Z",
                    "check_id": "ck-1f2e3d4c5b6a7988",
                    "item": "dinner-for-two",
                    "value_minor": 120000,
                    "currency": "NOK",
                    "voided_at": None,
                }
            ],
        }
    ],
    "complete": True,
}


class ExportedCheck(BaseModel):
    """A check that the customer was given."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    issued_at: Annotated[datetime, Field(description="When it was given.")]
    check_id: CheckId
    item: Annotated[Id, Field(description="Name of the check in the site's catalogue.")]
    value_minor: Annotated[
        AmountMinor, Field(description="What it is worth, in minor units of `currency`.")
    ]
    currency: Currency
    voided_at: Annotated[
        datetime | None, Field(description="When it was taken back; null if it was not.")
    ] = None


class ExportedComplaint(BaseModel):
    """One complaint, opened."""

    model_config = ConfigDict(frozen=True)

    complaint_id: ComplaintId
    site: SiteId
    received_at: Annotated[
        datetime | None, Field(description="When it was recorded; null if an early build did so.")
    ]
    state: Annotated[State, Field(description="Where it stands.")]
    category: Annotated[Category, Field(description="Category of the complaint.")]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    language: Annotated[Language, Field(description="Language in which the customer is answered.")]
    promised_by: Annotated[
        datetime | None,
        Field(description="By when the customer hears from us; null if nothing was promised."),
    ]
    round: Annotated[int, Field(description="How often it was reopened.")]
    text: Annotated[
        str | None,
        Field(description="What the customer told us; null once the words' time is over."),
    ]
    place: Annotated[
        str | None,
        Field(description="Where it happened; null if it was not told, and as for `text`."),
    ]
    contact: Annotated[
        Contact | None, Field(description="Where they can be reached; null if they did not say.")
    ]
    given: Annotated[
        list[ExportedCheck], Field(description="What they were given for it, earliest first.")
    ]


class ExportedCustomer(Answer):
    """Everything that complaints knows of one customer, opened."""

    model_config = ConfigDict(json_schema_extra={"examples": [CUSTOMER]})

    customer_ref: CustomerRef
    exported_at: Annotated[datetime, Field(description="When it was exported.")]
    complaints: Annotated[
        list[ExportedComplaint],
        Field(
            description="Their complaints at the site that asks, earliest first; the operator's command has those of all sites."
        ),
    ]
    complete: Annotated[
        bool,
        Field(description=f"Whether these are all; false if there are more than {EXPORTED_MAX}."),
    ]


class Exports:
    """Opens what is kept of a customer."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._policies = Policies()
        self._pages = Pages(export=_EXPORT)

    async def of(self, customer_ref: str, site: str | None, view: View) -> ExportedCustomer:
        """Everything known of a customer's complaints at the site (at all of them, if None).

        Raises Rejected(unknown_customer, customer_erased), and Unavailable.
        """
        await site_of(customer_ref, site, view)
        key = await self._keys.needed(customer_ref, view)
        found: list[ExportedComplaint] = []
        after: Cursor | None = None
        while True:
            page = await view.range(Complaint, of_customer(customer_ref), after, RANGE_MAX)
            here = [pair for pair in page.documents if site in (None, pair[1].site)]
            await view.prefetch([KeptAt.key(complaint_id) for complaint_id, _ in here])
            for complaint_id, complaint in here:
                given = await _given(complaint_id, view)
                text = await words_of(complaint, self._keys, view)
                place = await place_of(complaint, self._keys, view)
                found.append(_opened(complaint_id, complaint, given, key, text, place))
            after = page.next
            if after is None or len(found) >= EXPORTED_MAX:
                return ExportedCustomer(
                    customer_ref=customer_ref,
                    exported_at=view.now,
                    complaints=found[:EXPORTED_MAX],
                    complete=after is None and len(found) <= EXPORTED_MAX,
                )

    async def page(self, exported: ExportedCustomer, view: View) -> str:
        """The same as a page, in the language of the latest complaint and the time of each site; raises Unavailable."""
        latest = exported.complaints[-1]
        zones = {
            site: (await self._policies.at(site, view))[0].timezone
            for site in {one.site for one in exported.complaints}
        }
        language = latest.language
        return self._pages.render(
            "export",
            language,
            say(language, "export.title"),
            reference=exported.customer_ref,
            complaints=[
                (
                    format_time(one.received_at, zones[one.site], language)
                    if one.received_at
                    else "",
                    say(language, f"category.{one.category}"),
                    one,
                    [
                        (
                            check.item,
                            format_money(check.value_minor, check.currency, language),
                            format_time(check.issued_at, zones[one.site], language),
                            format_time(check.voided_at, zones[one.site], language)
                            if check.voided_at
                            else "",
                        )
                        for check in one.given
                    ],
                )
                for one in exported.complaints
            ],
            complete=exported.complete,
        )


def _opened(
    complaint_id: str,
    complaint: Complaint,
    given: list[ExportedCheck],
    key: KeyRing,
    text: str | None,
    place: str | None,
) -> ExportedComplaint:
    return ExportedComplaint(
        complaint_id=complaint_id,
        site=complaint.site,
        received_at=complaint.received_at,
        state=complaint.state,
        category=complaint.category,
        severity=complaint.severity,
        language=complaint.language,
        promised_by=complaint.promised_by,
        round=complaint.round,
        text=text,
        place=place,
        contact=None
        if complaint.contact is None
        else Contact.model_validate_json(key.open("contact", complaint.contact)),
        given=given,
    )


async def _given(complaint_id: str, view: View) -> list[ExportedCheck]:
    """The checks that were given for a complaint, and which of them were taken back; raises Unavailable."""
    kept_at = await view.get(KeptAt, complaint_id) or KeptAt()
    await view.prefetch([VoidedCheck.key(one.check_id) for one in kept_at.given])
    found = []
    for one in kept_at.given:
        voided = await view.get(VoidedCheck, one.check_id)
        at = voided.voided_at if voided is not None else None
        found.append(ExportedCheck(**one._asdict(), voided_at=at))
    return found


_EXPORT = """<p>{{ say("export.why", reference=reference) }}</p>
{% for when, about, one, given in complaints %}<section>
<h2>{{ about }}{% if when %} – {{ when }}{% endif %}</h2>
<p>{{ say("export.words_over") if one.text is none else one.text }}</p>
<div class="card"><dl>
<dt>{{ say("export.reference") }}</dt><dd>{{ one.complaint_id }}</dd>
<dt>{{ say("export.site") }}</dt><dd>{{ one.site }}</dd>
{% if one.contact %}{% for part in (one.contact.name, one.contact.email, one.contact.phone) if part %}<dt>{{ say("export.contact") }}</dt><dd>{{ part }}</dd>
{% endfor %}{% endif %}{% for item, worth, at, voided in given %}<dt>{{ say("export.given") }} – {{ at }}</dt><dd>{{ item }}, {{ worth }}{% if voided %} – {{ say("export.voided", when=voided) }}{% endif %}</dd>
{% endfor %}</dl></div>
</section>
{% endfor %}{% if not complete %}<p>{{ say("export.more") }}</p>
{% endif %}"""
