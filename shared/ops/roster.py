"""Check a site's roster file and publish it: the file is the whole roster of its site."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from shared.contracts.event import Event, format_time
from shared.contracts.roster import EmployeeListed, Roster
from shared.ops import policy, topics
from shared.ops.topics import BootstrapOption, bootstrap_servers
from shared.runtime import strict_yaml
from shared.runtime.engine.relay import partition_of
from shared.runtime.strict_yaml import BrokenFile, Problem
from shared.runtime.wires import Broker

#: Room for the largest roster, with comments.
FILE_BYTES_MAX = 2 * 1024 * 1024
SOURCE = "/ops/roster"


class BrokenRoster(BrokenFile):
    """The file is not a valid roster."""


def load(path: Path) -> Roster | list[Problem]:
    """The roster in the file, or the list of its problems. Reads the file."""
    return strict_yaml.load(path, Roster, bytes_max=FILE_BYTES_MAX)


def listed(roster: Roster, now: datetime) -> list[EmployeeListed]:
    """One fact for each employee in the roster."""
    return [
        EmployeeListed(employee_id=name, site=roster.site, listing=listing, listed_at=now)
        for name, listing in roster.employees.items()
    ]


def no_longer_active(
    roster: Roster, known: Iterable[EmployeeListed], now: datetime
) -> list[EmployeeListed]:
    """Listings that end the employees who are no longer in the site's roster.

    `known` may hold several listings of one employee, in any order; the newest counts, as it does for
    the services.
    """
    newest: dict[str, EmployeeListed] = {}
    for fact in known:
        if fact.site != roster.site:
            continue
        before = newest.get(fact.employee_id)
        if before is None or fact.listed_at >= before.listed_at:
            newest[fact.employee_id] = fact
    return [
        fact.model_copy(
            update={"listing": fact.listing.model_copy(update={"active": False}), "listed_at": now}
        )
        for name, fact in sorted(newest.items())
        if fact.listing.active and name not in roster.employees
    ]


def publish(path: Path, bootstrap: Broker | str, *, now: datetime | None = None) -> tuple[int, int]:
    """Publish the file as the site's whole roster. Blocks.

    Returns how many employees were listed and how many are no longer active. After an error some
    may be published and others not; publish again then. Raises BrokenRoster,
    LookupError without the topic or without a policy of the site, TimeoutError when it cannot be read to its end in time,
    ValidationError when a record there is not a listing, and Kafka's own errors.
    """
    roster = load(path)
    if not isinstance(roster, Roster):
        raise BrokenRoster(path, roster)
    if not policy.last_version(roster.site, bootstrap):
        msg = f"{roster.site} has no policy: publish one first; without it nobody there may give anything"
        raise LookupError(msg)
    at = now or datetime.now(UTC)
    known = (
        Event[EmployeeListed].model_validate_json(value).data
        for _, value in topics.records(EmployeeListed.TOPIC, bootstrap)
    )
    here, gone = listed(roster, at), no_longer_active(roster, known, at)
    topics.publish(
        [*here, *gone],
        bootstrap,
        source=SOURCE,
        cause=f"operator/roster/{format_time(at)}",
        now=at,
        # Compensation lists employees too, and both must put a key into the same partition to be compacted.
        partition=partition_of,
    )
    return len(here), len(gone)


app = typer.Typer(
    name="roster", help="Check and publish who works at a site.", no_args_is_help=True
)
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A roster, as policy/roster.yaml.")
]


@app.command("check")
def check_command(file: FileArgument) -> None:
    """Print all problems of a roster file; exit status 1 if there is one."""
    roster = load(file)
    if not isinstance(roster, Roster):
        typer.echo(str(BrokenRoster(file, roster)), err=True)
        raise typer.Exit(1)
    typer.echo(f"{file}: {roster.site}, {len(roster.employees)} employees, no problems")


@app.command("publish")
def publish_command(file: FileArgument, bootstrap: BootstrapOption = None) -> None:
    """Make a file the whole roster of its site; employees who are not in it are no longer active.

    This includes employees whom only the personnel system listed.
    """
    try:
        here, gone = publish(file, bootstrap_servers(bootstrap))
    except (BrokenRoster, LookupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{file}: {here} listed, {gone} no longer active")
