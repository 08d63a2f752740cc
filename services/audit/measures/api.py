"""The route of measures, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.audit.measures.declared import (
    ASSUMPTIONS,
    HANDLING,
    MARGIN,
    MEASURES,
    RETAINED,
    Absent,
    Figure,
    Leads,
    Unit,
)
from services.audit.measures.handlers import Measured
from services.audit.measures.privacy import day_of
from shared.contracts.event import Currency, Id, SiteId
from shared.contracts.reasons import Reason
from shared.money import AMOUNT_MINOR_MAX
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import OF_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes

#: Days of one answer: a quarter, which takes a third of a second of CPU time or a little more, as each day has 1,569 balances.
DAYS_MAX = 92
#: The first day that may be asked for: those before have no records.
FIRST = date(2000, 1, 1)
#: How far behind today (UTC) the last may be: in the east of the Pacific's date line it is tomorrow already.
AHEAD = timedelta(days=1)


MeasureName = Annotated[
    str, StringConstraints(pattern=f"^({'|'.join(one.name for one in MEASURES)})$")
]


class ShownMeasure(BaseModel):
    """One value of a measure."""

    model_config = ConfigDict(frozen=True)

    measure: Annotated[str, Field(description="Name of the measure.")]
    part: Annotated[
        str,
        Field(
            description="Which part of the measure: `p50` or `p95` of a time, a category or `<category>/<step>`, a step of the journey, an hour (UTC), a question of the survey or `<question>/<score>`; empty for the whole."
        ),
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
            description="Why there is no value: nothing was counted, the day is not closed, or fewer than five employees made it or customers answered; null where there is one."
        ),
    ]
    shown_from: Annotated[
        datetime | None,
        Field(
            description="When there may be a value, of a day that is not closed; null otherwise."
        ),
    ]
    counted: Annotated[
        int,
        Field(
            description="Of how many it is made: what its formula divides by, or what it counts."
        ),
    ]
    error_percent: Annotated[
        float,
        Field(
            description="How far each number that it is made of is from the true one at most, in per cent; 0 where it is exact."
        ),
    ]
    withheld: Annotated[
        bool,
        Field(
            description="Whether days are left out of it: those with fewer than five employees, and those not closed, until 06:15 UTC of the day after."
        ),
    ]
    formula: Annotated[str, Field(description="How it is made, in words.")]

    @classmethod
    def of(cls, figure: Figure, currency: str) -> ShownMeasure:
        """A figure as it is shown; amounts are in this currency."""
        measure, row = figure.measure, figure.row
        return cls(
            measure=measure.name,
            part=row.part,
            value=figure.value,
            amount_minor=figure.amount_minor,
            currency=currency if figure.is_amount else None,
            unit=figure.measure.unit,
            absent=figure.absent,
            shown_from=figure.shown_from,
            counted=row.counted,
            error_percent=row.error_percent,
            withheld=figure.withheld,
            formula=measure.formula,
        )


class ShownAssumption(BaseModel):
    """A number that nothing recorded says."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(description="Name of the parameter by which another is given.")]
    value: Annotated[int, Field(description="The number that was used, in `unit`.")]
    unit: Annotated[Unit, Field(description="What it is in.")]
    label: Annotated[str, Field(description="What it is, and where the default comes from.")]


class ShownMeasures(Answer):
    """The measures of a site in a period."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "first_day": "2026-06-01",
                    "last_day": "2026-06-07",
                    "currency": "NOK",
                    "leading": [
                        {
                            "measure": "time_to_compensation",
                            "part": "p50",
                            "value": 471.0,
                            "amount_minor": None,
                            "currency": None,
                            "unit": "seconds",
                            "absent": None,
                            "shown_from": None,
                            "counted": 212,
                            "error_percent": 9.1,
                            "withheld": False,
                            "formula": "time from a complaint to its first check",
                        }
                    ],
                    "lagging": [
                        {
                            "measure": "helped_rate",
                            "part": "",
                            "value": 87.5,
                            "amount_minor": None,
                            "currency": None,
                            "unit": "percent",
                            "absent": None,
                            "shown_from": None,
                            "counted": 64,
                            "error_percent": 0.0,
                            "withheld": False,
                            "formula": 'answers "yes" to "did it help?" / answers',
                        }
                    ],
                    "assumptions": [
                        {
                            "name": "retained_percent",
                            "value": 63,
                            "unit": "percent",
                            "label": "of the customers who were helped, how many stay because of it",
                        }
                    ],
                }
            ]
        }
    )

    site: SiteId
    first_day: Annotated[date, Field(description="The first day (UTC).")]
    last_day: Annotated[date, Field(description="The last day (UTC).")]
    currency: Currency
    leading: Annotated[
        list[ShownMeasure],
        Field(description="Measures that tell today whether the site is on track."),
    ]
    lagging: Annotated[
        list[ShownMeasure], Field(description="Measures that tell later whether it helped.")
    ]
    assumptions: Annotated[
        list[ShownAssumption],
        Field(
            description="What `recovery_roi` assumes; a parameter of the name gives another number."
        ),
    ]


def table(answer: ShownMeasures) -> str:
    """The measures as CSV (RFC 4180), one row per value."""
    written = io.StringIO()
    rows = csv.writer(written)
    of_all = ("site", "first_day", "last_day")
    of_each = tuple(ShownMeasure.model_fields)
    rows.writerow((*of_all, "kind", *of_each))
    for kind, measures in ((Leads.LEADING, answer.leading), (Leads.LAGGING, answer.lagging)):
        for one in measures:
            shared = (getattr(answer, name) for name in of_all)
            own = (_plain(getattr(one, name)) for name in of_each)
            rows.writerow((*shared, kind, *own))
    return written.getvalue()


def _plain(cell: object) -> object:
    """A cell as JSON has it, and a whole number without a decimal point."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            return int(cell)
        case datetime():
            return cell.isoformat().replace("+00:00", "Z")
        case _:
            return cell


def period(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """The days from the first to the last, today without them.

    Raises Rejected(time_out_of_range, period_reversed, period_too_long).
    """
    last = last or (today if first is None else max(first, today))
    first = first or last
    for day, where in ((first, "/from"), (last, "/to")):
        if not FIRST <= day <= today + AHEAD:
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=(where,))
    if last < first:
        raise Rejected(Reason.PERIOD_REVERSED, where=("/to",))
    if last - first >= timedelta(days=DAYS_MAX):
        raise Rejected(Reason.PERIOD_TOO_LONG, where=("/from",))
    return first, last


def routes(face: Face, measured: Measured) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read(
        "/v1/measures",
        OF_SITE,
        ShownMeasures,
        refuses=(
            Reason.UNKNOWN_SITE,
            Reason.TIME_OUT_OF_RANGE,
            Reason.PERIOD_REVERSED,
            Reason.PERIOD_TOO_LONG,
        ),
        table=table,
    )
    async def get_measures(
        ask: Ask,
        site: Annotated[Id | None, Query(description="A site of mine; my own without it.")] = None,
        measure: Annotated[
            tuple[MeasureName, ...],
            Query(max_length=len(MEASURES), description="These measures; all if none is given."),
        ] = (),
        first: Annotated[
            date | None, Query(alias="from", description="The first day (UTC); `to` without it.")
        ] = None,
        last: Annotated[
            date | None, Query(alias="to", description="The last day (UTC); today without it.")
        ] = None,
        retained_percent: Annotated[
            int,
            Query(
                ge=0,
                le=100,
                description="For `recovery_roi`, in per cent: " + RETAINED.label + ".",
            ),
        ] = RETAINED.value,
        margin_minor: Annotated[
            int,
            Query(
                ge=0,
                le=AMOUNT_MINOR_MAX,
                description="For `recovery_roi`, in minor units: " + MARGIN.label + ".",
            ),
        ] = MARGIN.value,
        handling_minor: Annotated[
            int,
            Query(
                ge=0,
                le=AMOUNT_MINOR_MAX,
                description="For `recovery_roi`, in minor units: " + HANDLING.label + ".",
            ),
        ] = HANDLING.value,
    ) -> ShownMeasures:
        """The measures of a site of mine, of today or of a period of at most 92 days.

        Each record counts in the day (UTC) of its own time, so a late one corrects an earlier day. Values derived
        from employees are of closed days and closed windows alone, and of five employees or more. With
        `Accept: text/csv` the same comes as a table.
        """
        own, view = site or ask.principal.site, ask.view
        if own not in ask.principal.sites:
            raise Rejected(Reason.UNKNOWN_SITE)
        wanted = [one for one in MEASURES if not measure or one.name in measure]
        first, last = period(first, last, day_of(view.now))
        given = (retained_percent, margin_minor, handling_minor)
        assumed = {one.name: value for one, value in zip(ASSUMPTIONS, given, strict=True)}
        found = await measured.figures(own, first, last, view, measures=wanted, assumed=assumed)
        currency = await measured.currency(own, view)
        shown: dict[Leads, list[ShownMeasure]] = {leads: [] for leads in Leads}
        for one in found:
            shown[one.measure.leads].append(ShownMeasure.of(one, currency))
        return ShownMeasures(
            site=own,
            first_day=first,
            last_day=last,
            currency=currency,
            leading=shown[Leads.LEADING],
            lagging=shown[Leads.LAGGING],
            assumptions=[
                ShownAssumption(
                    name=one.name, value=assumed[one.name], unit=one.unit, label=one.label
                )
                for one in ASSUMPTIONS
            ],
        )

    return to
