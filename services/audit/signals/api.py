"""The routes of signals: list and dismiss. They show what the record shows, and nothing at a counter reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import Query
from pydantic import ConfigDict, Field

from services.audit.signals.handlers import DismissSignal, LookAtPerson, Signals
from services.audit.signals.rules import RULES, Signal
from shared.contracts.audit import (
    Dismissal,
    LookTaken,
    Name,
    Purpose,
    SignalDismissed,
    SignalKind,
    SignalRaised,
)
from shared.contracts.compensation import CostMinor, ValueMinor
from shared.contracts.complaints import Category, Severity
from shared.contracts.event import ID_PATTERN, CheckId, Currency, Id, SiteId
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import PLACE_CHARS_MAX, cursor_of
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import OF_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes
from shared.runtime.words import format_money

PAGE_MAX = 50
ENGLISH = "en"
SIGNAL_ID = "sg-3ad5acdca1252b14d8e963b80e173f1d"


class SignalShown(Answer):
    """A signal with its sentence and numbers, and its dismissal if there is one."""

    signal_id: Annotated[Id, Field(description="The signal's id.")]
    signal: Annotated[SignalKind, Field(description="What was looked for.")]
    sentence: Annotated[str, Field(description="What was found, with its numbers, in English.")]
    persons: Annotated[
        list[Id],
        Field(description="Employees whom the sentence names, by pseudonyms of the record."),
    ]
    month: Annotated[
        str | None,
        Field(description="The month (UTC) whose pseudonyms these are; null if nobody is named."),
    ]
    check_id: Annotated[Id | None, Field(description="The check it is about; null if it is more.")]
    customer_ref: Annotated[
        Id | None,
        Field(description="The customer it is about, by a pseudonym; null if it is none."),
    ]
    currency: Annotated[
        Currency | None, Field(description="Currency code of ISO 4217 of its amounts.")
    ]
    numbers: Annotated[
        dict[Name, int],
        Field(
            description="The numbers of the sentence; those that end in `_minor` in minor units of `currency`."
        ),
    ]
    first_day: Annotated[
        str | None,
        Field(description="First business day that was looked at; null if it is about one check."),
    ]
    day: Annotated[
        str | None,
        Field(description="Last business day that was looked at; null if it is about one check."),
    ]
    raised_at: Annotated[datetime, Field(description="When it was raised.")]
    dismissed_for: Annotated[
        Dismissal | None, Field(description="Why it was dismissed; null while it is open.")
    ]
    dismissed_by: Annotated[
        Id | None, Field(description="Who dismissed it; null while it is open.")
    ]
    dismissed_at: Annotated[
        datetime | None, Field(description="When it was dismissed; null while it is open.")
    ]

    @classmethod
    def of(cls, signal: Signal) -> SignalShown:
        """A signal as those of its site see it."""
        gone = signal.dismissed
        return cls.about(
            signal.raised,
            sentence=sentence(signal.raised),
            dismissed_for=gone.reason if gone is not None else None,
            dismissed_by=gone.by if gone is not None else None,
            dismissed_at=gone.dismissed_at if gone is not None else None,
        )


class CheckSeen(Answer):
    """A check of somebody who is looked at."""

    check_id: CheckId
    day: Annotated[str, Field(description="The business day on which it was given.")]
    reason: Annotated[
        Category, Field(description="Category of the complaint that it was given for.")
    ]
    severity: Annotated[Severity, Field(description="Severity of the complaint.")]
    value_minor: ValueMinor
    cost_minor: CostMinor
    currency: Currency
    stretched: Annotated[bool, Field(description="Whether it was given by a stretch.")]


class PersonSeen(Answer):
    """A look at somebody whom a signal names, and what they gave in its month."""

    OF: ClassVar[type[Fact]] = LookTaken
    ANEW: ClassVar[Mapping[str, Sequence[str]]] = {"checks": ("person", "month", "site")}
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "look_id": "lk-24199a388ee0750daf49447ce0889da5",
                    "person": "em-a45b7929616ce4de89634d86f977802f",
                    "month": "2026-06",
                    "purpose": "a signal about checks just below a limit",
                    "looked_at": "2026-06-13T08:00:00Z",
                    "checks": [
                        {
                            "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
                            "day": "2026-06-12",
                            "reason": "food",
                            "severity": "severe",
                            "value_minor": 120000,
                            "cost_minor": 48000,
                            "currency": "NOK",
                            "stretched": False,
                        }
                    ],
                }
            ]
        }
    )

    look_id: Annotated[Id, Field(description="The look's id.")]
    person: Annotated[Id, Field(description="Who was looked at, by a pseudonym of the record.")]
    month: Annotated[str, Field(description="The month (UTC) of the pseudonym.")]
    purpose: Annotated[Purpose, Field(description="What the look was for.")]
    looked_at: Annotated[datetime, Field(description="When it was recorded.")]
    checks: Annotated[
        list[CheckSeen],
        Field(
            description="What they decided to give in the month that cost something and was not taken back, the latest day in front."
        ),
    ]


class SignalList(Answer):
    """A page of a site's signals, open ones first, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "signals": [
                        {
                            "signal_id": SIGNAL_ID,
                            "signal": "same_customer",
                            "sentence": "Customer c-0d7f8b0e003473cd34ff8cbd44a16c66 was given 5 checks on 3 days, by 2 employees, worth NOK 2,500.00 together.",
                            "persons": [],
                            "month": None,
                            "check_id": None,
                            "customer_ref": "c-0d7f8b0e003473cd34ff8cbd44a16c66",
                            "currency": "NOK",
                            "numbers": {
                                "checks": 5,
                                "days": 3,
                                "employees": 2,
                                "value_minor": 250000,
                            },
                            "first_day": "2026-06-01",
                            "day": "2026-06-12",
                            "raised_at": "2026-06-13T04:10:00Z",
                            "dismissed_for": None,
                            "dismissed_by": None,
                            "dismissed_at": None,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    site: SiteId
    signals: Annotated[list[SignalShown], Field(description="The signals.")]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the last one.")
    ]


def sentence(raised: SignalRaised) -> str:
    """The sentence that explains a signal, with its numbers."""
    person, other_person = (*raised.persons, "", "")[:2]
    amounts = {
        name.removesuffix("_minor"): format_money(number, raised.currency, ENGLISH)
        for name, number in raised.numbers.items()
        if name.endswith("_minor") and raised.currency is not None
    }
    named = raised.model_dump(mode="json", exclude={"numbers", "persons"})
    words = {**named, **raised.numbers, **amounts}
    return RULES[raised.signal].says.format_map(
        {**words, "person": person, "other_person": other_person}
    )


def routes(face: Face, signals: Signals) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/signals", OF_SITE, SignalList, refuses=(Reason.UNKNOWN_SITE, Reason.CURSOR_INVALID)
    )
    async def list_signals(
        ask: Ask,
        site: Annotated[
            str | None,
            Query(
                pattern=ID_PATTERN,
                max_length=128,
                description="The site; without it, the caller's.",
            ),
        ] = None,
        cursor: Annotated[str | None, Query(max_length=PLACE_CHARS_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
    ) -> SignalList:
        """What somebody should look at, of my site: open signals first, then dismissed ones, the newest first."""
        own = site or ask.principal.site
        if own not in ask.principal.sites:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        page = await signals.listed(own, cursor, limit, ask.view)
        shown = [SignalShown.of(signal) for _, signal in page.documents]
        following = cursor_of(Signal, page.next) if page.next is not None else None
        return SignalList(site=own, signals=shown, next=following)

    async def seen(fact: Fact, ask: Ask) -> PersonSeen:
        assert isinstance(fact, LookTaken)
        found = await signals.seen_by(fact, ask.view)
        checks = [CheckSeen.about(given, check_id=check_id) for check_id, given in found]
        return PersonSeen.about(fact, checks=checks)

    @to.write(
        "POST",
        "/v1/signals/{signal_id}/look",
        OF_SITE,
        {201: PersonSeen},
        shows=seen,
        refuses=(Reason.UNKNOWN_SIGNAL,),
    )
    async def look_at_person(ask: Ask, signal_id: Identifier, command: LookAtPerson) -> Decision:
        """Read what somebody gave whom a signal names, in the month of its pseudonyms.

        The look is recorded before anything is read, with its purpose, and the employee sees it at `GET /v1/me/looks`.
        """
        return await signals.look_at(signal_id, command, ask.principal, ask.name, ask.view)

    @to.write(
        "POST",
        "/v1/signals/{signal_id}/dismissal",
        OF_SITE,
        {200: SignalDismissed},
        refuses=(Reason.UNKNOWN_SIGNAL, Reason.ALREADY_DISMISSED),
        examples={
            200: {
                "signal_id": SIGNAL_ID,
                "site": "ms-aurora",
                "reason": "explained",
                "by": "m-hotel",
                "dismissed_at": "2026-06-13T08:00:00Z",
            }
        },
    )
    async def dismiss_signal(ask: Ask, signal_id: Identifier, command: DismissSignal) -> Decision:
        """Say why nothing more is to do about a signal. It stays on the record and in the list."""
        return await signals.dismiss(signal_id, command, ask.principal, ask.view)

    return to
