"""The route of stretches: what somebody may praise."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.audit.stretches.handlers import Listed, Stretches
from shared.contracts.compensation import CostMinor, ValueMinor
from shared.contracts.complaints import Category
from shared.contracts.event import CheckId, Currency, Id, SiteId
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import OF_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes


class ShownStretch(Answer):
    """A check that was given by a stretch. Who gave it is not said, nor when on its day."""

    check_id: CheckId
    day: Annotated[date, Field(description="The day (UTC) on which it was given.")]
    reason: Annotated[
        Category, Field(description="Category of the complaint that it was given for.")
    ]
    value_minor: ValueMinor
    cost_minor: CostMinor
    currency: Currency
    praised_at: Annotated[
        datetime | None,
        Field(description="When somebody said that it was a good call; null if nobody did."),
    ]

    @classmethod
    def of(cls, one: Listed) -> ShownStretch:
        """A stretch as those of its site see it."""
        return cls.about(one.stretch, check_id=one.check_id, day=one.day)


class StretchList(Answer):
    """Recent stretches of a site, the latest day in front."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "stretches": [
                        {
                            "check_id": "ck-3ad5acdca1252b14d8e963b80e173f1d",
                            "day": "2026-06-02",
                            "reason": "food",
                            "value_minor": 120000,
                            "cost_minor": 48000,
                            "currency": "NOK",
                            "praised_at": None,
                        }
                    ],
                }
            ]
        }
    )

    site: SiteId
    stretches: Annotated[
        list[ShownStretch],
        Field(description="Stretches of the last 28 days that are closed; fifty at most."),
    ]


def routes(face: Face, stretches: Stretches) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/stretches", OF_SITE, StretchList, refuses=(Reason.UNKNOWN_SITE,))
    async def list_stretches(
        ask: Ask,
        site: Annotated[Id | None, Query(description="The site; without it, the caller's.")] = None,
    ) -> StretchList:
        """Recent stretches of my site, to praise those that were good calls: `POST /v1/checks/{id}/good-call`.

        Of days that are closed and on which five employees or more gave something, so that no stretch says
        whose it is. Those that were taken back are not listed.
        """
        own = site or ask.principal.site
        if own not in ask.principal.sites:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/site",))
        found = await stretches.listed(own, ask.view)
        return StretchList(site=own, stretches=list(map(ShownStretch.of, found)))

    return to
