"""The routes of what an employee may give now, and of the site's catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Query
from pydantic import ConfigDict, Field

from services.compensation.options.handlers import Options
from services.compensation.titles import (
    LAW,
    BillUpToGiven,
    LawText,
    PercentGiven,
    Regime,
    Title,
    TitledOption,
    Titles,
    titled,
)
from shared.contracts.compensation import (
    CheckKind,
    ItemName,
    Option,
    Scope,
    ValueMinor,
)
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import ID_PATTERN, AmountMinor, Currency, Id, SiteId
from shared.contracts.names import named
from shared.contracts.policy import CatalogueItem, Policy
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes
from shared.runtime.words import category_title, title_of


class Remainder(Answer):
    """What is left in one scope now: in minor units, of `customer_checks` in checks."""

    scope: Annotated[Scope, Field(description="Whose limit it is.")]
    ceiling_minor: Annotated[
        AmountMinor,
        Field(
            description="What the account may reach: minor units of the site's currency; a number of checks for"
            " `customer_checks`."
        ),
    ]
    left_minor: Annotated[
        AmountMinor,
        Field(description="What is left under the ceiling, in the unit of `ceiling_minor`."),
    ]
    until: Annotated[
        datetime | None, Field(description="When it starts from zero; null where it never does.")
    ]


class GiftShown(Answer):
    """What a customer was given before, by whichever site.

    For an open offer: its best option, `offer_id`, and until when the customer may choose.
    """

    check_id: Annotated[
        Id | None, Field(description="The service check's id; null for an open offer.")
    ]
    item: ItemName
    title: Title
    value_minor: ValueMinor
    currency: Currency
    site: Annotated[Id, Field(description="The site that gave it.")]
    issued_at: Annotated[datetime, Field(description="When it was given or offered.")]
    percent: PercentGiven
    bill_up_to_minor: BillUpToGiven
    offer_id: Annotated[Id | None, Field(description="The open offer's id; null for a check.")]
    choose_by: Annotated[
        datetime | None, Field(description="Until when the customer may choose; null for a check.")
    ]


class IncidentOption(Answer):
    """The group check of an incident that the complaint is part of."""

    incident_id: Annotated[Id, Field(description="The incident's id.")]
    option: Annotated[TitledOption, Field(description="The incident's group check.")]


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
                    **LAW,
                }
            ]
        }
    )

    reason: Annotated[Category, Field(description="The category that the options are for.")]
    severity: Annotated[Severity, Field(description="The severity that the options are for.")]
    options: Annotated[
        list[TitledOption], Field(description="The checks that may be given, best first.")
    ]
    left: Annotated[list[Remainder], Field(description="What is left of each limit.")]
    history: Annotated[list[GiftShown], Field(description="What the customer was given before.")]
    incident: Annotated[
        IncidentOption | None,
        Field(
            description="The incident that the complaint is part of, if its check can still be given; null otherwise."
        ),
    ]
    regime: Regime
    information: LawText


class TitledCategory(Answer):
    """What a complaint may be about."""

    category: Annotated[Category, Field(description="The category's id.")]
    title: Annotated[str, Field(description="Its name in the caller's language.")]


class CatalogueEntry(Answer):
    """An item of the site's catalogue."""

    item: Annotated[Id, Field(description="The item's id, without an amount.")]
    title: Title
    kind: Annotated[CheckKind, Field(description="What form it has.")]
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

    category: Annotated[Category, Field(description="Category of a complaint.")]
    severity: Annotated[Severity, Field(description="Severity of a complaint.")]
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
                    "kept_customer_minor": 600000,
                }
            ]
        }
    )

    site: SiteId
    name: Annotated[str, Field(description="The site's name.")]
    currency: Currency
    timezone: Annotated[str, Field(description="Its IANA time zone.")]
    languages: Annotated[list[Language], Field(description="Those it speaks, its own first.")]
    categories: Annotated[list[TitledCategory], Field(description="What complaints may be about.")]
    catalogue: Annotated[list[CatalogueEntry], Field(description="What can be given.")]
    promises: Annotated[
        list[PromisedTime], Field(description="The promised times, by category and severity.")
    ]
    kept_customer_minor: Annotated[
        AmountMinor | None,
        Field(
            description="What the site assumes that a customer who stays is worth to it, in minor units of `currency`; null if it says nothing."
        ),
    ]


def routes(face: Face, handlers: Options, titles: Titles) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/options",
        EMPLOYEE,
        OptionsShown,
        refuses=(Reason.UNKNOWN_COMPLAINT, Reason.COMPLAINT_MERGED),
        in_languages=True,
    )
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
            left=[
                Remainder(
                    scope=limit.scope,
                    ceiling_minor=limit.ceiling_minor,
                    left_minor=found.left[limit.scope],
                    until=limit.until,
                )
                for limit in found.limits
            ],
            history=[
                GiftShown.about(one, title=await titles.of(one.item, one.site, None, ask))
                for one in found.history
            ],
            incident=incident,
        )

    @to.read("/v1/site", EMPLOYEE, SiteShown, in_languages=True)
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
            kept_customer_minor=policy.kept_customer,
        )

    return to
