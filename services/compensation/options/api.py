"""The routes of what an employee may give now, and of the site's catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Query
from pydantic import ConfigDict, Field

from services.compensation.options.handlers import Options
from services.compensation.titles import Title, TitledOption, Titles, titled
from shared.contracts.compensation import CheckKind, Information, Option, Remainder
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import ID_PATTERN, AmountMinor, Currency, Id
from shared.contracts.names import named
from shared.contracts.policy import CatalogueItem, Policy
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.words import category_title, title_of


class GiftShown(Answer):
    """What a customer was given before, by whichever site.

    For an open offer: its best option, `offer_id`, and until when the customer may choose.
    """

    check_id: Id | None
    item: Id
    title: Title
    value_minor: AmountMinor
    currency: Currency
    site: Id
    issued_at: datetime
    percent: int | None
    bill_up_to_minor: int | None
    offer_id: Id | None
    choose_by: datetime | None


class IncidentOption(Answer):
    """The group check of an incident that the complaint is part of."""

    incident_id: Id
    option: TitledOption


class OptionsShown(Answer):
    """What an employee may give now, best first, and what the screen shows beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reason": "food",
                    "severity": "moderate",
                    "options": [
                        {
                            "item": "dinner-for-two",
                            "kind": "experience",
                            "value_minor": 120000,
                            "cost_minor": 48000,
                            "currency": "NOK",
                            "fits_reason": True,
                            "why": "suggested",
                            "title": "Dinner for two",
                        }
                    ],
                    "left": [
                        {
                            "scope": "customer_checks",
                            "ceiling_minor": 10,
                            "left_minor": 9,
                            "until": "2026-06-04T06:00:00+02:00",
                        }
                    ],
                    "history": [
                        {
                            "check_id": None,
                            "item": "dinner-for-two",
                            "title": "Dinner for two",
                            "value_minor": 120000,
                            "currency": "NOK",
                            "site": "ms-aurora",
                            "issued_at": "2026-06-03T14:00:00Z",
                            "percent": None,
                            "bill_up_to_minor": None,
                            "offer_id": "of-24199a388ee0750daf49447ce0889da5",
                            "choose_by": "2026-06-04T14:00:00Z",
                        }
                    ],
                    "incident": {
                        "incident_id": "in-63ca339a500ecf37253040fd44206e03",
                        "option": {
                            "item": "taxfree-card/20000",
                            "kind": "gift_card",
                            "value_minor": 20000,
                            "cost_minor": 20000,
                            "currency": "NOK",
                            "fits_reason": True,
                            "why": "incident",
                            "title": "Tax-free gift card",
                        },
                    },
                    "regime": "ship-delay",
                    "information": "You have the right to be told why, and to be reimbursed.",
                }
            ]
        }
    )

    reason: Category
    severity: Severity
    options: list[TitledOption]
    left: list[Remainder]
    history: list[GiftShown]
    incident: IncidentOption | None
    regime: Id | None
    information: Information | None


class TitledCategory(Answer):
    """What a complaint may be about."""

    category: Category
    title: Annotated[str, Field(description="Its name in the caller's language.")]


class CatalogueEntry(Answer):
    """An item of the site's catalogue."""

    item: Id
    title: Title
    kind: CheckKind
    fits: Annotated[list[Category], Field(description="What it suits; everything if empty.")]
    valid_s: Annotated[int, Field(description="How long it is valid, in seconds.")]
    options: Annotated[
        list[Option], Field(description="Its amounts; of a free amount only the largest.")
    ]
    step_minor: Annotated[
        AmountMinor | None,
        Field(description="The step between free amounts; null if its amounts are fixed."),
    ]

    @classmethod
    def of(cls, name: str, item: CatalogueItem, policy: Policy, language: Language) -> Self:
        """An item of a policy."""
        amounts = item.amounts_offered()
        named = (policy.option(f"{name}/{amount}" if amount else name) for amount in amounts)
        return cls(
            item=name,
            title=title_of(name, (policy,), language),
            kind=item.kind,
            fits=list(item.fits),
            valid_s=int(item.valid.total_seconds()),
            options=[option for option in named if option is not None],
            step_minor=item.step if item.up_to is not None else None,
        )


class PromisedTime(Answer):
    """By when a customer hears from us."""

    category: Category
    severity: Severity
    within_s: Annotated[int, Field(description="How long after the complaint, in seconds.")]


class SiteShown(Answer):
    """A site as its employees' phones need it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "name": "MS Aurora",
                    "currency": "NOK",
                    "timezone": "Europe/Oslo",
                    "languages": ["nb", "en"],
                    "categories": [{"category": "food", "title": "Food and service"}],
                    "catalogue": [
                        {
                            "item": "cinema",
                            "title": "Cinema",
                            "kind": "experience",
                            "fits": [],
                            "valid_s": 259200,
                            "options": [
                                {
                                    "item": "cinema",
                                    "kind": "experience",
                                    "value_minor": 25000,
                                    "cost_minor": 9000,
                                    "currency": "NOK",
                                    "fits_reason": False,
                                    "why": "",
                                }
                            ],
                            "step_minor": None,
                        }
                    ],
                    "promises": [{"category": "food", "severity": "severe", "within_s": 900}],
                }
            ]
        }
    )

    site: Id
    name: str
    currency: Currency
    timezone: Annotated[str, Field(description="Its IANA time zone.")]
    languages: Annotated[list[Language], Field(description="Those it speaks, its own first.")]
    categories: list[TitledCategory]
    catalogue: list[CatalogueEntry]
    promises: list[PromisedTime]


def routes(face: Face, handlers: Options, titles: Titles) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/options", EMPLOYEE, OptionsShown, refuses=(Reason.UNKNOWN_COMPLAINT,))
    async def list_options(
        ask: Ask,
        complaint: Annotated[str | None, Query(pattern=ID_PATTERN, max_length=128)] = None,
        customer: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
        reason: Category | None = None,
        severity: Severity | None = None,
        language: Language | None = None,
    ) -> OptionsShown:
        """What I may give now, best first, each with its why.

        Name a complaint or a customer on the spot, not both; without either, it is for a customer of
        whom nothing is known. `reason`, `severity` and `language` replace what the complaint says.
        """
        if customer is not None and named(customer) is None:
            raise Rejected(Reason.SCHEMA_INVALID, where=("/customer",))
        if complaint is not None and customer is not None:
            raise Rejected(Reason.SCHEMA_INVALID, where=("/complaint", "/customer"))
        found = await handlers.possible(
            complaint,
            customer,
            ask.principal,
            ask.view,
            category=reason,
            severity=severity,
            language=language,
        )
        policy = await titles.policy(ask.principal.site, None, ask)
        incident = None
        if found.incident_id is not None and found.incident_option is not None:
            (option,) = titled((found.incident_option,), (policy,), ask)
            incident = IncidentOption(incident_id=found.incident_id, option=option)
        return OptionsShown.about(
            found,
            options=titled(found.options, (policy,), ask),
            history=[
                GiftShown.about(one, title=await titles.of(one.item, one.site, None, ask))
                for one in found.history
            ],
            incident=incident,
        )

    @to.read("/v1/site", EMPLOYEE, SiteShown)
    async def get_my_site(ask: Ask) -> SiteShown:
        """My site, its catalogue with titles, and its promised times; a phone needs them once."""
        policy = await handlers.catalogue(ask.principal, ask.view)
        language = ask.language(policy)
        return SiteShown(
            site=policy.site,
            name=policy.site_name,
            currency=policy.currency,
            timezone=policy.timezone,
            languages=list(policy.languages),
            categories=[
                TitledCategory(category=one, title=category_title(one, language))
                for one in Category
            ],
            catalogue=[
                CatalogueEntry.of(name, item, policy, language)
                for name, item in policy.checks.items()
            ],
            promises=[
                PromisedTime(
                    category=category,
                    severity=severity,
                    within_s=int(policy.promise(category, severity).total_seconds()),
                )
                for category in Category
                for severity in Severity
            ],
        )

    return to
