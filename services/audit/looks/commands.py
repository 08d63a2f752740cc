"""python -m services.audit: what the record says of one employee, after the look is recorded."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain
from typing import Annotated, Any, NoReturn

import typer
from kafka.errors import KafkaError
from pydantic import TypeAdapter, ValidationError

from services.audit.app import DOMAIN
from services.audit.looks.handlers import take
from services.audit.settings import Settings
from shared.audit import story
from shared.audit.topic import Topics
from shared.contracts.audit import PSEUDONYM, LookTaken, Purpose
from shared.contracts.event import Id
from shared.contracts.months import Month, month_of
from shared.runtime.observe import configure
from shared.runtime.service import Runtime, command_errors, settings_or_exit, utc_now

#: Records in one employee's export, months of them at a busy desk; `complete` says whether there are more.
EXPORTED_MAX = 100_000
ID, PURPOSE = TypeAdapter[str](Id), TypeAdapter[str](Purpose)
MONTH = TypeAdapter[str | None](Month | None)
#: The pseudonym of the employee who is looked at, by month.
Names = Callable[[str], str]

app = typer.Typer(
    help="Commands of audit; without one, the service itself runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # Locals may name an employee.
)


@app.callback()
def commands() -> None:
    """Commands of audit. What else reads the record is `python -m shared.ops audit`."""


@app.command("tail")
def tail_command(
    employee: Annotated[
        str, typer.Option(help="A pseudonym of the record, or with --site an employee's id.")
    ],
    purpose: Annotated[
        str | None,
        typer.Option(help="What the look is for, in a line without names; the employee reads it."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(envvar="SERVICE_CHECK_OPERATOR", help="Who you are: a pseudonymous id."),
    ] = None,
    site: Annotated[str | None, typer.Option(help="The employee's site.")] = None,
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Of this month (UTC) alone, as a signal names it."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Of facts whose type holds this, like check.issued.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Records as they are.")] = False,
) -> None:
    """Print the records that name one employee, oldest first within each partition.

    A signal names employees by the pseudonyms of its month: give both. The look is recorded before anything is read,
    and the employee sees it at `GET /v1/me/looks`. Takes its settings from the environment, as the service does.
    """
    try:
        MONTH.validate_python(month)
    except ValidationError:
        _stop("--month must be a year and a month, like 2026-06", 2)

    def show(found: Iterable[dict[str, Any]], _names: Names) -> None:
        for record in found:
            if month is not None and not record["time"].startswith(month):
                continue
            if kind is None or kind in record["what"]:
                typer.echo(json.dumps(record) if as_json else story.sentence(record))

    _look(employee, _stated(employee, purpose, by, site), site, show, month)


@app.command("export")
def export_command(
    employee: Annotated[str, typer.Option(help="The employee's id at the site.")],
    site: Annotated[str, typer.Option(help="The employee's site.")],
    purpose: Annotated[
        str | None,
        typer.Option(help="What it is for, like a request of the employee; they read it."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(envvar="SERVICE_CHECK_OPERATOR", help="Who you are: a pseudonymous id."),
    ] = None,
) -> None:
    """Print everything that the record has of one employee as JSON, month by month under their pseudonym.

    For the employee who asks for it. It is a look as of `tail`, recorded before anything is read.
    """

    def show(found: Iterable[dict[str, Any]], names: Names) -> None:
        typer.echo(json.dumps(by_month(found, names), indent=2))

    _look(employee, _stated(employee, purpose, by, site), site, show)


def by_month(found: Iterable[dict[str, Any]], names: Names) -> dict[str, Any]:
    """An employee's records by month, each with the pseudonym that stands for them in it."""
    months: dict[str, dict[str, Any]] = {}
    complete = True
    for number, record in enumerate(found):
        if number == EXPORTED_MAX:
            complete = False
            break
        month = record["time"][:7]
        of = months.setdefault(month, {"pseudonym": names(month), "records": []})
        of["records"].append(record)
    return {"months": dict(sorted(months.items())), "complete": complete}


@command_errors()
def _look(
    employee: str,
    stated: tuple[str, str],
    site: str | None,
    show: Callable[[Iterable[dict[str, Any]], Names], None],
    month: str | None = None,
) -> None:
    """Record a look, and then show what was looked for; ends with a sentence and a status where it cannot."""
    settings = settings_or_exit(Settings)
    configure("ERROR")
    try:
        parts = Runtime(settings, DOMAIN, now=utc_now)
        names = _names(parts, employee, site)
        if not asyncio.run(_taken(parts, names, site, month, *stated)):
            typer.echo("the look is not on Kafka yet: the service publishes it", err=True)
        show(about(Topics(settings.broker.client()), names), names)
    except (LookupError, TimeoutError, KafkaError) as error:
        _stop(error)


def _stop(text: object, status: int = 1) -> NoReturn:
    typer.echo(str(text), err=True)
    raise typer.Exit(status)


def _stated(
    employee: str, purpose: str | None, by: str | None, site: str | None
) -> tuple[str, str]:
    """Purpose and operator; ends with status 2 and a sentence where something is missing or wrong."""
    if purpose is None:
        _stop(
            "say with --purpose what the look is for: it is recorded, and the employee reads it", 2
        )
    if by is None:
        _stop("say who you are, with --by or SERVICE_CHECK_OPERATOR: an id and not a name", 2)
    if site is None and not PSEUDONYM.fullmatch(employee):
        _stop("say with --site where the employee works: an id is one of a site", 2)
    try:
        PURPOSE.validate_python(purpose)
    except ValidationError:
        _stop("--purpose must be a line of 3 to 200 characters, without @", 2)
    try:
        for one in (by, employee, *([site] if site is not None else [])):
            ID.validate_python(one)
    except ValidationError:
        _stop("--by, --employee and --site must be ids of letters, digits and ._:/@+-", 2)
    return purpose, by


def _names(parts: Runtime, employee: str, site: str | None) -> Names:
    """The pseudonym of a month: the one that was given, or that of the id."""
    if site is None or PSEUDONYM.fullmatch(employee):
        return lambda _month: employee
    return cache(lambda month: parts.vault.pseudonyms.employee(site, month, employee))


async def _taken(
    parts: Runtime, names: Names, site: str | None, month: str | None, purpose: str, by: str
) -> bool:
    """Record the look; says whether it is on Kafka as well. Waits for Kafka and Redis; raises Unavailable."""
    now = parts.now()
    look = LookTaken(
        look_id=f"lk-{uuid.uuid4().hex}",
        person=names(month or month_of(now)),
        month=month,
        site=site,
        purpose=purpose,
        by=by,
        looked_at=now,
    )
    pseudonym = parts.vault.pseudonyms.employee
    async with parts.beside() as settler:
        decide = partial(take, look, pseudonym=pseudonym)
        await settler.settle_internal(f"command/look/{look.look_id}", look.look_id, decide)
        return await parts.published()


def about(topics: Topics, names: Names) -> Iterator[dict[str, Any]]:
    """The records that name the employee by the pseudonym of their month. Blocks."""
    for data in chain.from_iterable(topics.records(number) for number in topics.partitions()):
        try:
            record = story.record_of(data)
        except ValueError:
            continue
        # A gap has no time, and names nobody.
        if "time" in record and names(record["time"][:7]).encode() in data:
            yield record
