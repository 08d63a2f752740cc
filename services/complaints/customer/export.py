"""What this service knows of a customer, for the customer: as data and as a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.complaints.asking.rules import Asked, asked_of
from services.complaints.customer.handlers import contact_of_asked, site_of
from services.complaints.customer.profiles import NOTHING, Profiles
from services.complaints.customer.rules import (
    ChosenLanguage,
    DelightGiven,
    KeptProfile,
    delights_of,
)
from services.complaints.intake.rules import Praise, praise_of_customer
from services.complaints.lifecycle.handlers import place_of, words_of
from services.complaints.lifecycle.rules import Complaint, of_customer
from services.complaints.promises.rules import KeptAt, VoidedCheck
from services.complaints.selfservice.page import more_of, told, what_happened
from services.complaints.timeline.handlers import Timelines
from services.complaints.timeline.rules import Entry, Timeline, What, for_customer
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
from shared.contracts.complaints import Category, Language, Severity, reference_of
from shared.contracts.event import (
    AmountMinor,
    CheckId,
    ComplaintId,
    Currency,
    CustomerRef,
    Id,
    PraiseId,
    SiteId,
    absent,
)
from shared.contracts.intake import Contact, Profile
from shared.contracts.lifecycle import State
from shared.contracts.policy import Policy
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View
from shared.runtime.http.answers import Answer
from shared.runtime.http.pages import Pages
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import KeyRing, Keys
from shared.runtime.privacy.seal import Vault
from shared.runtime.words import format_money, format_time, in_language, say, title_of

#: Complaints in one export, the earliest, and as many delights, words of praise and questions: far more than a person has; a
#: source that names everybody alike may have more, and `complete` says so.
EXPORTED_MAX = 1000

#: What a customer may have much of, each at one site.
Several = TypeVar("Several", Complaint, DelightGiven, Praise, Asked)

#: The same customer in every example.
CUSTOMER: JsonDict = {
    "customer_ref": "c-0d7f8b0e003473cd34ff8cbd44a16c66",
    "exported_at": "2026-06-04T09:00:00Z",
    "chosen_language": "en",
    "complaints": [
        {
            "complaint_id": "co-9f86d081884c7d65",
            "reference": reference_of("co-9f86d081884c7d65"),
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
            "stay_ends_at": "2026-06-07T08:00:00Z",
            "returned_at": None,
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
            "happened": [
                {
                    "at": "2026-06-03T17:00:00Z",
                    "what": "promised",
                    "promised_by": "2026-06-03T18:00:00Z",
                },
                {"at": "2026-06-03T17:05:00Z", "what": "asked", "text": "Which table was it?"},
                {"at": "2026-06-03T17:10:00Z", "what": "answered", "text": "The one by the door."},
            ],
            "left_out": 0,
        }
    ],
    "delights": [
        {
            "site": "ms-aurora",
            "occasion": "birthday",
            "language": "en",
            "contact": {"name": "Kim", "email": "kim@example.org", "phone": None},
            "given": {
                "issued_at": "2026-06-04T08:00:00Z",
                "check_id": "ck-2a3b4c5d6e7f8091",
                "item": "cinema",
                "value_minor": 30000,
                "currency": "NOK",
                "voided_at": None,
            },
        }
    ],
    "praise": [
        {
            "praise_id": "pr-1f2e3d4c5b6a7988",
            "site": "ms-aurora",
            "received_at": "2026-06-04T08:00:00Z",
            "language": "en",
            "text": "Wonderful breakfast, thank you!",
        }
    ],
    "asked": [
        {
            "site": "ms-aurora",
            "touchpoint": "dinner-served",
            "passed_at": "2026-06-03T19:30:00Z",
            "language": "en",
            "contact": {"name": "Kim", "email": "kim@example.org", "phone": None},
            "experience": 2,
            "importance": 5,
            "answered_at": "2026-06-03T20:15:00Z",
        }
    ],
    "complete": True,
    "profile": {
        "segment": "gold",
        "language": "en",
        "stay_begins_at": "2026-05-31T14:00:00Z",
        "stay_ends_at": "2026-06-07T08:00:00Z",
        "needs": ["vegetarian", "child"],
        "site": "ms-aurora",
    },
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


class ExportedEntry(Answer):
    """One thing that happened, as the customer's own page shows it; a field that says nothing of it is absent."""

    at: EntryAt
    what: EntryWhat
    item: EntryItem
    amount_minor: EntryAmount
    currency: EntryCurrency
    promised_by: EntryPromise
    outcome: EntryOutcome
    fix: EntryFix
    body: EntryBody
    occasion: EntryOccasion
    text: Annotated[
        str | None,
        Field(
            exclude_if=absent,
            description="What the customer added or answered, or what we asked or noted; absent without words, and once their time is over.",
        ),
    ]


class ExportedComplaint(BaseModel):
    """One complaint, opened."""

    model_config = ConfigDict(frozen=True)

    complaint_id: ComplaintId
    reference: Annotated[str, Field(description="What the customer calls it by.")]
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
    stay_ends_at: Annotated[
        datetime | None, Field(description="When the customer leaves; null if it is not known.")
    ]
    returned_at: Annotated[
        datetime | None,
        Field(
            description="When they booked or bought again after it was handled; null if nobody told us."
        ),
    ]
    contact: Annotated[
        Contact | None, Field(description="Where they can be reached; null if they did not say.")
    ]
    given: Annotated[
        list[ExportedCheck], Field(description="What they were given for it, earliest first.")
    ]
    happened: Annotated[
        list[ExportedEntry],
        Field(description="What happened after the customer told us, oldest first."),
    ]
    left_out: Annotated[
        int, Field(description="How many older entries of `happened` are not kept any more.")
    ]


class ExportedProfile(Profile):
    """What a hotel or booking system told of the customer."""

    site: Annotated[SiteId, Field(description="The site of which it was told.")]


class ExportedDelight(BaseModel):
    """Something that the customer was given to delight, without a complaint."""

    model_config = ConfigDict(frozen=True)

    site: SiteId
    occasion: Annotated[Id, Field(description="The occasion, by its name in the site's policy.")]
    language: Annotated[Language, Field(description="Language in which they were told of it.")]
    contact: Annotated[
        Contact | None, Field(description="Where they could be reached; null if it was not known.")
    ]
    given: Annotated[ExportedCheck, Field(description="What they were given.")]


class ExportedPraise(BaseModel):
    """One praise, opened."""

    model_config = ConfigDict(frozen=True)

    praise_id: PraiseId
    site: SiteId
    received_at: Annotated[datetime, Field(description="When it was recorded.")]
    language: Annotated[Language, Field(description="Language of the words.")]
    text: Annotated[
        str | None,
        Field(description="What the customer praised; null once the words' time is over."),
    ]


class ExportedQuestion(BaseModel):
    """One question about a moment of the journey, and the answer; words that came with it are a complaint or praise."""

    model_config = ConfigDict(frozen=True)

    site: SiteId
    touchpoint: Annotated[Id, Field(description="The moment, by its name in the site's policy.")]
    passed_at: Annotated[datetime, Field(description="When it was over.")]
    language: Annotated[Language, Field(description="Language in which they were asked.")]
    contact: Annotated[
        Contact | None,
        Field(description="Where they could be reached; null once the time of words is over."),
    ]
    experience: Annotated[
        int | None, Field(description="How it was, from 1 to 5; null if they did not answer.")
    ]
    importance: Annotated[
        int | None,
        Field(description="How much it matters to them, from 1 to 5; null if they did not say."),
    ]
    answered_at: Annotated[
        datetime | None, Field(description="When they answered; null if they did not.")
    ]


class ExportedCustomer(Answer):
    """Everything that complaints knows of one customer, opened."""

    model_config = ConfigDict(json_schema_extra={"examples": [CUSTOMER]})

    customer_ref: CustomerRef
    exported_at: Annotated[datetime, Field(description="When it was exported.")]
    chosen_language: Annotated[
        Language | None,
        Field(
            description="Language that they chose for what is written to them; null if they chose none."
        ),
    ]
    complaints: Annotated[
        list[ExportedComplaint],
        Field(
            description="Their complaints at the site that asks, earliest first; the operator's command has those of all sites."
        ),
    ]
    delights: Annotated[
        list[ExportedDelight],
        Field(description="What they were given there without a complaint, earliest first."),
    ]
    praise: Annotated[
        list[ExportedPraise], Field(description="What they praised there, earliest first.")
    ]
    asked: Annotated[
        list[ExportedQuestion],
        Field(description="What they were asked there about their journey, earliest first."),
    ]
    complete: Annotated[
        bool,
        Field(
            description=f"Whether these are all; false if there are more than {EXPORTED_MAX} of one kind."
        ),
    ]
    profile: Annotated[
        ExportedProfile | None,
        Field(
            description="What a hotel or booking system told of them; null if none did, and once the time of words is over."
        ),
    ]


class Exports:
    """Opens what is kept of a customer."""

    def __init__(self, vault: Vault, profiles: Profiles) -> None:
        self._profiles = profiles
        self._keys = Keys(vault)
        self._timelines = Timelines(vault)
        self._policies = Policies()
        self._pages = Pages(export=_EXPORT)

    async def of(self, customer_ref: str, site: str | None, view: View) -> ExportedCustomer:
        """Everything known of a customer; what they told and were given at the site (at all of them, if None).

        Raises Rejected(unknown_customer, customer_erased), and Unavailable.
        """
        await site_of(customer_ref, site, view)
        key = await self._keys.needed(customer_ref, view)
        complaints, every_complaint = await _all_of(
            Complaint, of_customer(customer_ref), site, view
        )
        delights, every_delight = await _all_of(DelightGiven, delights_of(customer_ref), site, view)
        praise, every_praise = await _all_of(Praise, praise_of_customer(customer_ref), site, view)
        asked, every_question = await _all_of(Asked, asked_of(customer_ref), site, view)
        chosen = await view.get(ChosenLanguage, customer_ref)
        return ExportedCustomer(
            customer_ref=customer_ref,
            exported_at=view.now,
            chosen_language=chosen.language if chosen is not None else None,
            complaints=await self._complaints(complaints, key, view),
            delights=[await _delight(name, one, key, view) for name, one in delights],
            praise=[await self._praise(name, one, view) for name, one in praise],
            asked=[await self._question(one, view) for _, one in asked],
            complete=every_complaint and every_delight and every_praise and every_question,
            profile=await self._profile(customer_ref, view),
        )

    async def _complaints(
        self, found: Sequence[tuple[str, Complaint]], key: KeyRing, view: View
    ) -> list[ExportedComplaint]:
        opened: list[ExportedComplaint] = []
        for at in range(0, len(found), RANGE_MAX):
            page = found[at : at + RANGE_MAX]
            await view.prefetch([kind.key(name) for name, _ in page for kind in (KeptAt, Timeline)])
            opened += [await self._opened(name, complaint, key, view) for name, complaint in page]
        return opened

    async def _praise(self, praise_id: str, praise: Praise, view: View) -> ExportedPraise:
        return ExportedPraise(
            praise_id=praise_id,
            site=praise.site,
            received_at=praise.received_at,
            language=praise.language,
            text=await self._keys.open_words(
                praise.customer_ref, "text", praise.text, praise.received_at, view
            ),
        )

    async def _question(self, asked: Asked, view: View) -> ExportedQuestion:
        return ExportedQuestion(
            site=asked.site,
            touchpoint=asked.touchpoint,
            passed_at=asked.passed_at,
            language=asked.language,
            contact=await contact_of_asked(asked, self._keys, view),
            experience=asked.experience,
            importance=asked.importance,
            answered_at=asked.answered_at,
        )

    async def _profile(self, customer_ref: str, view: View) -> ExportedProfile | None:
        kept = await view.get(KeptProfile, customer_ref)
        if kept is None:
            return None
        found = await self._profiles.of(customer_ref, kept.site, view)
        return None if found == NOTHING else ExportedProfile(site=kept.site, **dict(found))

    async def page(self, exported: ExportedCustomer, view: View) -> str:
        """The same as a page, in the customer's language and the time of each site; raises Unavailable.

        The language is the one that they chose, else that of their latest complaint, of what they praised last, or were
        given or asked last, or of the site.
        """
        known: Sequence[ExportedQuestion | ExportedDelight | ExportedPraise | ExportedComplaint]
        known = (*exported.asked, *exported.delights, *exported.praise, *exported.complaints)
        sites = {one.site for one in (*known, exported.profile) if one is not None}
        policies = {site: (await self._policies.at(site, view))[0] for site in sites}
        language = exported.chosen_language
        if language is None and known:
            language = known[-1].language
        elif language is None:
            language = next(iter(policies.values())).languages[0] if policies else Language.EN
        profile = exported.profile
        return self._pages.render(
            "export",
            language,
            say(language, "export.title"),
            chosen=say(language, "language") if exported.chosen_language else "",
            profile=_told_of(profile, policies[profile.site], language) if profile else (),
            complaints=[_printed(one, policies[one.site], language) for one in exported.complaints],
            delights=[_joy(one, policies[one.site], language) for one in exported.delights],
            praise=[
                (format_time(one.received_at, policies[one.site].timezone, language), one.text)
                for one in exported.praise
            ],
            asked=[_asked(one, policies[one.site], language) for one in exported.asked],
            complete=exported.complete,
        )

    async def _opened(
        self, complaint_id: str, complaint: Complaint, key: KeyRing, view: View
    ) -> ExportedComplaint:
        entries, left_out = await self._timelines.of(complaint_id, complaint, view)
        return ExportedComplaint(
            complaint_id=complaint_id,
            reference=reference_of(complaint_id),
            site=complaint.site,
            received_at=complaint.received_at,
            state=complaint.state,
            category=complaint.category,
            severity=complaint.severity,
            language=complaint.language,
            promised_by=complaint.promised_by,
            round=complaint.round,
            text=await words_of(complaint, self._keys, view),
            place=await place_of(complaint, self._keys, view),
            stay_ends_at=complaint.stay_ends_at,
            returned_at=complaint.returned_at,
            contact=_contact(complaint.contact, key),
            given=await _given(complaint_id, view),
            happened=[
                ExportedEntry.about(entry, text=await self._timelines.words(entry, complaint, view))
                for entry in for_customer(entries)
                # Their words are those of the complaint.
                if entry.what not in (What.RECEIVED, What.ANNOUNCED)
            ],
            left_out=left_out,
        )


async def _all_of(
    kind: type[Several], name: str, site: str | None, view: View
) -> tuple[Sequence[tuple[str, Several]], bool]:
    """What stands in a customer's sorted set and is of the site (of any, if None), and whether these are all.

    Earliest first, at most `EXPORTED_MAX`. Raises Unavailable.
    """
    found: list[tuple[str, Several]] = []
    after: Cursor | None = None
    while True:
        page = await view.range(kind, name, after, RANGE_MAX)
        found += [one for one in page.documents if site in (None, one[1].site)]
        after = page.next
        if after is None or len(found) >= EXPORTED_MAX:
            return found[:EXPORTED_MAX], after is None and len(found) <= EXPORTED_MAX


def _contact(sealed: str | None, key: KeyRing) -> Contact | None:
    """Where the customer can be reached, if they said; raises Unavailable while the key has not come."""
    if sealed is None:
        return None
    return Contact.model_validate_json(key.open("contact", sealed))


async def _given(complaint_id: str, view: View) -> list[ExportedCheck]:
    """The checks that were given for a complaint, and which of them were taken back; raises Unavailable."""
    kept_at = await view.get(KeptAt, complaint_id) or KeptAt()
    await view.prefetch([VoidedCheck.key(one.check_id) for one in kept_at.given])
    return [
        ExportedCheck(**one._asdict(), voided_at=await _voided_at(one.check_id, view))
        for one in kept_at.given
    ]


async def _voided_at(check_id: str, view: View) -> datetime | None:
    """When a check was taken back; None if it was not; raises Unavailable."""
    voided = await view.get(VoidedCheck, check_id)
    return voided.voided_at if voided is not None else None


async def _delight(check_id: str, given: DelightGiven, key: KeyRing, view: View) -> ExportedDelight:
    """What was given to delight, opened; raises Unavailable."""
    return ExportedDelight(
        site=given.site,
        occasion=given.delight,
        language=given.language,
        contact=_contact(given.contact, key),
        given=ExportedCheck(
            check_id=check_id,
            issued_at=given.issued_at,
            item=given.item,
            value_minor=given.value_minor,
            currency=given.currency,
            voided_at=await _voided_at(check_id, view),
        ),
    )


def _told_of(
    profile: ExportedProfile, policy: Policy, language: Language
) -> Sequence[tuple[str, str]]:
    """What a hotel or booking system told, ready to print: each line with its title."""
    moment = partial(format_time, zone=policy.timezone, language=language)
    begins, ends = profile.stay_begins_at, profile.stay_ends_at
    lines = (
        ("site", policy.site_name),
        ("segment", profile.segment),
        ("language", profile.language),
        ("arrives", moment(begins) if begins else None),
        ("leaves", moment(ends) if ends else None),
        ("needs", ", ".join(say(language, f"need.{need}") for need in profile.needs)),
    )
    return [(say(language, f"export.{name}"), told) for name, told in lines if told]


def _printed(
    exported: ExportedComplaint, policy: Policy, language: Language
) -> Mapping[str, object]:
    """A complaint, ready to print: times at the site, and titles in place of ids."""
    moment = partial(format_time, zone=policy.timezone, language=language)
    happened = [
        told(Entry(**entry.model_dump(exclude={"text"})), entry.text or "", policy, language)
        for entry in exported.happened
    ]
    return {
        "about": say(language, f"category.{exported.category}"),
        "when": moment(exported.received_at) if exported.received_at else "",
        "text": exported.text,
        "reference": exported.reference,
        "site": policy.site_name,
        "place": exported.place,
        "leaves": moment(exported.stay_ends_at) if exported.stay_ends_at else "",
        "returned": moment(exported.returned_at) if exported.returned_at else "",
        "contact": exported.contact,
        "given": [_check(check, policy, language) for check in exported.given],
        "happened": [
            (one, what_happened(one, language), more_of(one, language)) for one in happened
        ],
        "left_out": exported.left_out,
    }


def _check(check: ExportedCheck, policy: Policy, language: Language) -> tuple[str, str, str, str]:
    """Title, worth, when it was given, and when it was taken back or nothing."""
    moment = partial(format_time, zone=policy.timezone, language=language)
    return (
        title_of(check.item, (policy,), language),
        format_money(check.value_minor, check.currency, language),
        moment(check.issued_at),
        moment(check.voided_at) if check.voided_at else "",
    )


def _joy(exported: ExportedDelight, policy: Policy, language: Language) -> Mapping[str, object]:
    """What was given to delight, ready to print: the occasion as the site calls it now."""
    known = policy.delight.occasions.get(exported.occasion) if policy.delight is not None else None
    return {
        "about": in_language(known.title, language) if known is not None else exported.occasion,
        "site": policy.site_name,
        "contact": exported.contact,
        "given": [_check(exported.given, policy, language)],
    }


def _asked(exported: ExportedQuestion, policy: Policy, language: Language) -> Mapping[str, object]:
    """A question, ready to print: as the site asks it now."""
    known = policy.asking.touchpoints.get(exported.touchpoint) if policy.asking else None
    return {
        "question": in_language(known.words, language) if known else exported.touchpoint,
        "when": format_time(exported.passed_at, policy.timezone, language),
        "site": policy.site_name,
        "contact": exported.contact,
        "experience": exported.experience,
        "importance": exported.importance,
    }


_EXPORT = """{% macro reached(contact) %}{% if contact %}{% for part in (contact.name, contact.email, contact.phone) if part %}<dt>{{ say("export.contact") }}</dt><dd>{{ part }}</dd>
{% endfor %}{% endif %}{% endmacro %}
{% macro all_of(given) %}{% for title, worth, at, voided in given %}<dt>{{ say("export.given") }} – {{ at }}</dt><dd>{{ title }}, {{ worth }}{% if voided %} – {{ say("export.voided", when=voided) }}{% endif %}</dd>
{% endfor %}{% endmacro %}<p>{{ say("export.why") }}</p>
{% if chosen %}<div class="card"><dl>
<dt>{{ say("export.chosen") }}</dt><dd>{{ chosen }}</dd>
</dl></div>
{% endif %}{% if profile %}<section>
<h2>{{ say("export.profile") }}</h2>
<div class="card"><dl>
{% for title, told in profile %}<dt>{{ title }}</dt><dd>{{ told }}</dd>
{% endfor %}</dl></div>
</section>
{% endif %}{% for one in complaints %}<section>
<h2>{{ one.about }}{% if one.when %} – {{ one.when }}{% endif %}</h2>
<p>{{ say("export.words_over") if one.text is none else one.text }}</p>
<div class="card"><dl>
<dt>{{ say("export.reference") }}</dt><dd>{{ one.reference }}</dd>
<dt>{{ say("export.site") }}</dt><dd>{{ one.site }}{% if one.place %}, {{ one.place }}{% endif %}</dd>
{% if one.returned %}<dt>{{ say("export.returned") }}</dt><dd>{{ one.returned }}</dd>
{% endif %}{% if one.leaves %}<dt>{{ say("export.leaves") }}</dt><dd>{{ one.leaves }}</dd>
{% endif %}{{ reached(one.contact) }}{{ all_of(one.given) }}</dl></div>
{% if one.happened %}<h3>{{ say("mine.happened") }}</h3>
{% if one.left_out %}<p>{{ say("mine.left_out") }}</p>
{% endif %}<ol class="told">
{% for entry, title, more in one.happened %}<li><p class="when">{{ entry.when }}</p>
<p class="what">{{ title }}</p>
{% if more %}<p>{{ more }}</p>
{% endif %}{% if entry.words %}<blockquote>{{ entry.words }}</blockquote>
{% endif %}</li>
{% endfor %}</ol>
{% endif %}</section>
{% endfor %}{% for one in delights %}<section>
<h2>{{ one.about }}</h2>
<div class="card"><dl>
<dt>{{ say("export.site") }}</dt><dd>{{ one.site }}</dd>
{{ reached(one.contact) }}{{ all_of(one.given) }}</dl></div>
</section>
{% endfor %}{% for when, text in praise %}<section>
<h2>{{ say("export.praise") }} – {{ when }}</h2>
<p>{{ say("export.words_over") if text is none else text }}</p></section>
{% endfor %}{% for one in asked %}<section>
<h2>{{ say("export.asked") }} – {{ one.when }}</h2>
<p>{{ one.question }}</p>
<div class="card"><dl>
<dt>{{ say("export.site") }}</dt><dd>{{ one.site }}</dd>
{% if one.experience %}<dt>{{ say("export.score") }}</dt><dd>{{ say("asking.of_five", score=one.experience) }}</dd>
{% endif %}{% if one.importance %}<dt>{{ say("export.matters") }}</dt><dd>{{ say("asking.of_five", score=one.importance) }}</dd>
{% endif %}{{ reached(one.contact) }}</dl></div></section>
{% endfor %}{% if not complete %}<p>{{ say("export.more") }}</p>
{% endif %}"""
