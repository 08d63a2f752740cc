"""The routes of boards: of one site, of several, and of one site as it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.audit.board.handlers import (
    USUAL_DAYS,
    Boards,
    Budget,
    Promises,
    Shown,
    Value,
    of_caller,
)
from services.audit.board.rules import BoardDay, OpenIncident, Promise
from services.audit.measures.declared import ASSUMPTIONS, Absent, Unit
from shared.contracts.complaints import Category, Severity, promise_id_of, reference_of
from shared.contracts.event import AmountMinor, ComplaintId, Currency, Id, PromiseId, SiteId
from shared.contracts.reasons import Reason
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import OF_SITE, SITES_MAX
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

Sites = Annotated[
    tuple[Id, ...],
    Query(
        max_length=SITES_MAX + 1,
        description="My sites, once for each; all that my token is for if none is given.",
    ),
]


class FigureOnBoard(Answer):
    """One value of a measure."""

    measure: Annotated[
        str, Field(description="Name of the measure; its formula is in the glossary.")
    ]
    part: Annotated[
        str,
        Field(description="Which part of the measure: `p50`, a category; empty for the whole."),
    ]
    value: Annotated[
        float | None,
        Field(
            description="The value in `unit`; null for an amount of money, and where `absent` says why."
        ),
    ]
    amount_minor: Annotated[
        int | None,
        Field(description="The value of an amount of money, in minor units of `currency`."),
    ]
    currency: Annotated[
        Currency | None, Field(description="The amount's currency; null if it is no amount.")
    ]
    unit: Annotated[Unit, Field(description="What it is in.")]
    absent: Annotated[
        Absent | None,
        Field(
            description="Why there is no value: nothing was counted, the day is not closed, or fewer than five employees made it; null where there is one."
        ),
    ]
    shown_from: Annotated[
        datetime | None,
        Field(
            description="When there may be a value, of a day that is not closed; null otherwise."
        ),
    ]
    first_day: Annotated[date, Field(description="The first day (UTC) that it is of.")]
    last_day: Annotated[date, Field(description="The last day (UTC) that it is of.")]
    error_percent: Annotated[
        float,
        Field(
            description="How far each number that it is made of is from the true one at most, in per cent; 0 where it is exact."
        ),
    ]
    withheld: Annotated[
        bool,
        Field(
            description="Whether days are left out of it, because fewer than five employees made it."
        ),
    ]

    @classmethod
    def of(cls, value: Value, currency: str) -> FigureOnBoard:
        """A value as a board shows it; amounts are in this currency."""
        figure, row = value.figure, value.figure.row
        return cls(
            measure=figure.measure.name,
            part=row.part,
            value=figure.value,
            amount_minor=figure.amount_minor,
            currency=currency if figure.is_amount else None,
            unit=figure.measure.unit,
            absent=figure.absent,
            shown_from=figure.shown_from,
            first_day=value.since,
            last_day=value.until,
            error_percent=row.error_percent,
            withheld=figure.withheld,
        )


class CauseOnBoard(Answer):
    """How many complaints of today are about one thing, and how many are on other days."""

    measure: Annotated[str, Field(description="Name of the measure.")]
    reason: Annotated[Category, Field(description="What the complaints are about.")]
    today: Annotated[int, Field(description="Complaints of today (UTC).")]
    usual: Annotated[
        float, Field(description="Complaints per day, on average of the 28 days before today.")
    ]


class BudgetOnBoard(Answer):
    """A budget, and how full it is."""

    granted_minor: Annotated[
        AmountMinor, Field(description="What may be given of it, in minor units of `currency`.")
    ]
    used_minor: Annotated[
        int,
        Field(
            ge=0,
            description="What is given of it or held for offers, and has not come back, in minor units of `currency`.",
        ),
    ]
    currency: Currency
    day: Annotated[
        str | None,
        Field(
            description="The business day of the site that it is for; null for an incident's budget, and until the first day began."
        ),
    ]
    until: Annotated[datetime | None, Field(description="When that day ends; null likewise.")]

    @classmethod
    def of(cls, budget: Budget, currency: str, day: BoardDay | None = None) -> BudgetOnBoard:
        """A budget as a board shows it."""
        return cls(
            granted_minor=budget.granted_minor,
            used_minor=budget.used_minor,
            currency=currency,
            day=day.day if day else None,
            until=day.until if day else None,
        )


class IncidentOnBoard(Answer):
    """An open incident."""

    incident_id: Annotated[Id, Field(description="The incident's id.")]
    reason: Annotated[Category, Field(description="What its complaints are about.")]
    opened_at: Annotated[datetime, Field(description="When it was opened.")]
    affected: Annotated[int, Field(description="Customers who are part of it.")]
    given: Annotated[int, Field(description="Group checks given so far to everybody affected.")]
    skipped: Annotated[
        int, Field(description="Of those affected, how many were looked at and got nothing.")
    ]
    budget: Annotated[BudgetOnBoard, Field(description="The incident's own budget.")]

    @classmethod
    def of(cls, incident_id: str, incident: OpenIncident, budget: Budget) -> IncidentOnBoard:
        """An incident as a board shows it."""
        own = BudgetOnBoard.of(budget, incident.currency)
        return cls.about(incident, incident_id=incident_id, budget=own)


class PromiseOnBoard(Answer):
    """A promise to a customer who waits."""

    complaint_id: ComplaintId
    reference: Annotated[
        str, Field(description="What letters call the complaint, and staff find it by.")
    ]
    category: Annotated[
        Category | None, Field(description="What the complaint is about; null if it is not known.")
    ]
    severity: Annotated[
        Severity | None, Field(description="How bad it is; null if it is not known.")
    ]
    round: Annotated[
        int, Field(description="How many times the customer has said that it did not help.")
    ]
    promise_id: PromiseId
    promised_by: Annotated[datetime, Field(description="By when the customer hears from us.")]

    @classmethod
    def of(cls, found: tuple[str, Promise]) -> PromiseOnBoard:
        """A promise as a board shows it."""
        complaint_id, promise = found
        promise_id = promise_id_of(complaint_id, promise.round)
        reference = reference_of(complaint_id)
        return cls.about(
            promise, complaint_id=complaint_id, reference=reference, promise_id=promise_id
        )


class PromisesOnBoard(Answer):
    """Promises to customers who were given and offered nothing since."""

    waiting: Annotated[
        int,
        Field(
            description="How many customers wait; of broken promises, and of what was taken back, those of seven days."
        ),
    ]
    more: Annotated[bool, Field(description="Whether more wait than were counted.")]
    soon: Annotated[
        list[PromiseOnBoard],
        Field(
            description="Promised times within half an hour, or a moment ago; twenty at most, the first in front."
        ),
    ]
    broken: Annotated[
        list[PromiseOnBoard],
        Field(
            description="Promised times that passed in the last seven days; twenty at most, the latest in front."
        ),
    ]
    taken_back: Annotated[
        list[PromiseOnBoard],
        Field(
            description="Promises to customers from whom everything was taken back in the last seven days, in time or not; twenty at most, the latest in front."
        ),
    ]

    @classmethod
    def of(cls, found: Promises) -> PromisesOnBoard:
        """Promises as a board shows them."""
        return cls(
            waiting=found.waiting,
            more=found.more,
            soon=list(map(PromiseOnBoard.of, found.soon)),
            broken=list(map(PromiseOnBoard.of, found.broken)),
            taken_back=list(map(PromiseOnBoard.of, found.taken_back)),
        )


class SignalsOnBoard(Answer):
    """Signals of the site; `/v1/signals` lists them."""

    open: Annotated[int, Field(description="How many nobody dismissed.")]
    more: Annotated[bool, Field(description="Whether there are more than were counted.")]


#: The measure that tells causes.
COMPLAINTS = "complaints"
#: A board in the API document; each list has one of its kind.
EXAMPLE: JsonDict = {
    "site": "ms-aurora",
    "name": "MS Aurora",
    "timezone": "Europe/Oslo",
    "currency": "NOK",
    "today": [
        {
            "measure": "time_to_compensation",
            "part": "p50",
            "value": 471.0,
            "amount_minor": None,
            "currency": None,
            "unit": "seconds",
            "absent": None,
            "shown_from": None,
            "first_day": "2026-06-03",
            "last_day": "2026-06-03",
            "error_percent": 9.1,
            "withheld": False,
        }
    ],
    "budget": {
        "granted_minor": 6000000,
        "used_minor": 1840000,
        "currency": "NOK",
        "day": "2026-06-03",
        "until": "2026-06-04T06:00:00+02:00",
    },
    "incidents": [
        {
            "incident_id": "in-63ca339a500ecf37253040fd44206e03",
            "reason": "food",
            "opened_at": "2026-06-03T14:00:00Z",
            "affected": 14,
            "given": 9,
            "skipped": 1,
            "budget": {
                "granted_minor": 3000000,
                "used_minor": 180000,
                "currency": "NOK",
                "day": None,
                "until": None,
            },
        }
    ],
    "promises": {
        "waiting": 3,
        "more": False,
        "soon": [
            {
                "complaint_id": "co-9f86d081884c7d65",
                "reference": "4C7D65",
                "category": "food",
                "severity": "severe",
                "round": 0,
                "promise_id": "co-9f86d081884c7d65/0",
                "promised_by": "2026-06-03T14:15:00Z",
            }
        ],
        "broken": [],
        "taken_back": [],
    },
    "signals": {"open": 2, "more": False},
    "causes": [{"measure": "complaints", "reason": "food", "today": 17, "usual": 4.3}],
    "under_use": [
        {
            "measure": "authority_utilisation",
            "part": "",
            "value": 23.5,
            "amount_minor": None,
            "currency": None,
            "unit": "percent",
            "absent": None,
            "shown_from": None,
            "first_day": "2026-05-28",
            "last_day": "2026-06-03",
            "error_percent": 0.0,
            "withheld": False,
        }
    ],
    "over_use": [
        {
            "measure": "stretch_rate",
            "part": "",
            "value": 2.1,
            "amount_minor": None,
            "currency": None,
            "unit": "percent",
            "absent": None,
            "shown_from": None,
            "first_day": "2026-05-27",
            "last_day": "2026-06-02",
            "error_percent": 0.0,
            "withheld": True,
        }
    ],
    "roi": [
        {
            "measure": "recovery_roi",
            "part": "",
            "value": 212.4,
            "amount_minor": None,
            "currency": None,
            "unit": "percent",
            "absent": None,
            "shown_from": None,
            "first_day": "2026-05-06",
            "last_day": "2026-06-02",
            "error_percent": 0.0,
            "withheld": False,
        }
    ],
    "assumptions": {"retained_percent": 63, "margin_minor": 100000, "handling_minor": 10000},
}


class Board(Answer):
    """A site at a glance: today, what is open and at risk, and how authority is used.

    Nothing here is of single employees. Values derived from them are of days that are over and of five
    employees or more; sums of all checks and complaints of the site are as they are now.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    site: SiteId
    name: Annotated[str, Field(description="What the site is called.")]
    timezone: Annotated[str, Field(description="Time zone of the site, by its IANA name.")]
    currency: Currency
    today: Annotated[list[FigureOnBoard], Field(description="Measures of today (UTC).")]
    budget: Annotated[BudgetOnBoard, Field(description="The site's budget of the business day.")]
    incidents: Annotated[
        list[IncidentOnBoard], Field(description="The open incidents, the oldest in front.")
    ]
    promises: Annotated[PromisesOnBoard, Field(description="Promises at risk, and who waits.")]
    signals: Annotated[
        SignalsOnBoard, Field(description="What on the record somebody should look at.")
    ]
    causes: Annotated[
        list[CauseOnBoard],
        Field(description="What complaints are about today and usually; the most today in front."),
    ]
    under_use: Annotated[
        list[FigureOnBoard], Field(description="Authority that nobody used, of a week.")
    ]
    over_use: Annotated[
        list[FigureOnBoard],
        Field(description="How often authority was too small, of the latest week that is over."),
    ]
    roi: Annotated[
        list[FigureOnBoard],
        Field(description="What recovery brings, of the 28 days before today, by `assumptions`."),
    ]
    assumptions: Annotated[
        dict[str, int],
        Field(description="What `recovery_roi` assumes; `/v1/measures` takes other numbers."),
    ]

    @classmethod
    def of(cls, shown: Shown) -> Board:
        """The board of a site."""
        past, currency = shown.past, shown.policy.currency
        return cls(
            site=shown.site,
            name=shown.policy.site_name,
            timezone=shown.policy.timezone,
            currency=currency,
            today=_figures(shown.today, currency),
            budget=BudgetOnBoard.of(shown.budget, currency, shown.day),
            incidents=[IncidentOnBoard.of(*one) for one in shown.incidents],
            promises=PromisesOnBoard.of(shown.promises),
            signals=SignalsOnBoard(open=shown.signals.open, more=shown.signals.more),
            causes=_causes(shown.today, past.usual),
            under_use=_figures(past.under_use, currency),
            over_use=_figures(past.over_use, currency),
            roi=_figures(past.roi, currency),
            assumptions={one.name: one.value for one in ASSUMPTIONS},
        )


class Group(Answer):
    """The boards of several sites. Nothing is added up over sites, whose currencies and days differ."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"boards": [EXAMPLE], "without_policy": ["ms-borealis"]}]}
    )

    boards: Annotated[
        list[Board], Field(description="The boards, in the order they were asked for.")
    ]
    without_policy: Annotated[
        list[SiteId], Field(description="Those of the sites for which no policy was published.")
    ]


def _figures(values: Iterable[Value], currency: str) -> list[FigureOnBoard]:
    return [FigureOnBoard.of(one, currency) for one in values]


def _causes(today: Iterable[Value], usual: Iterable[Value]) -> list[CauseOnBoard]:
    """Categories that somebody complained of, the most today in front."""
    now, before = _by_part(today), _by_part(usual)
    found = [
        CauseOnBoard(
            measure=COMPLAINTS,
            reason=reason,
            today=round(now.get(reason, 0)),
            usual=round(before.get(reason, 0) / USUAL_DAYS, 1),
        )
        for reason in Category
        if now.get(reason) or before.get(reason)
    ]
    return sorted(found, key=lambda one: (-one.today, -one.usual, one.reason))


def _by_part(values: Iterable[Value]) -> Mapping[str, float]:
    return {
        one.figure.row.part: one.figure.row.value or 0
        for one in values
        if one.figure.measure.name == COMPLAINTS
    }


def routes(face: Face, boards: Boards) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/board", OF_SITE, Group, refuses=(Reason.UNKNOWN_SITE,))
    async def get_boards(ask: Ask, site: Sites = ()) -> Group:
        """The boards of several of my sites, or of all that my token is for."""
        mine = ask.principal.sites
        sites = [of_caller(mine, one) for one in dict.fromkeys(site)] or mine
        found, without_policy = await boards.boards(sites, ask.view)
        return Group(boards=list(map(Board.of, found)), without_policy=without_policy)

    @to.read("/v1/board/{site}", OF_SITE, Board, refuses=(Reason.UNKNOWN_SITE,))
    async def get_board(ask: Ask, site: Identifier) -> Board:
        """The board of a site of mine."""
        return Board.of(await boards.board(of_caller(ask.principal.sites, site), ask.view))

    @to.stream("/v1/board/{site}/stream", OF_SITE, refuses=(Reason.UNKNOWN_SITE,))
    async def follow_board(ask: Ask, site: Identifier) -> Board:
        """The board of a site of mine as server-sent events, whenever it changes, at most once a second.

        The data of each event is the whole board, as `/v1/board/{site}` answers it, so nothing is resumed.
        """
        return Board.of(await boards.followed(of_caller(ask.principal.sites, site), ask.view))

    return to
