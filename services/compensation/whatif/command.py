"""python -m services.compensation whatif DRAFT: what recorded wishes would have come to under a draft."""

from __future__ import annotations

import time
import uuid
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from services.compensation.app import DOMAIN
from services.compensation.settings import Settings
from services.compensation.staff_context import ContextLoader
from services.compensation.whatif.handlers import Told, TryPolicy, WhatIf
from shared.contracts.compensation import Period, PolicyTried, TriedGroup
from shared.contracts.policy import Policy
from shared.kernel import Decision
from shared.runtime.engine.settle import Request
from shared.runtime.engine.view import View
from shared.runtime.kafka.history import read_history
from shared.runtime.observe import configure
from shared.runtime.policy_file import load
from shared.runtime.privacy.keys import Keys
from shared.runtime.service import Runtime, command_errors, settings_or_exit, utc_now
from shared.runtime.strict_yaml import describe
from shared.runtime.words import format_money

#: Time between two lines of progress, in seconds.
LINE_EVERY_S = 2.0
#: Wide enough for every column where the output is no terminal.
WIDTH = 160
#: Where something is withheld.
DASH = "–"

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def commands() -> None:
    """Commands of compensation. Without one, `python -m services.compensation` runs the service."""


@app.command()
def whatif(
    draft: Annotated[
        Path, typer.Argument(metavar="DRAFT", help="A draft of a policy, as policy/demo.yaml.")
    ],
    since: Annotated[
        Period,
        typer.Option(help="The last 30 days, or three times 30, that ended; blocks are fixed."),
    ] = Period.MONTH,
) -> None:
    """Decide the wishes of the last days again under a draft of their site's policy.

    Shows what would have been granted or refused, which limits bind, and what it costs, by item, reason and
    role, each of five employees or more and in steps. Changes nothing; the run is recorded, and a site has few a day. Takes its
    settings from the environment, as the service does.
    """
    policy = load(draft)
    if not isinstance(policy, Policy):
        for problem in policy:
            typer.echo(describe(draft, problem), err=True)
        raise typer.Exit(1)
    settings = settings_or_exit(Settings)
    configure("ERROR")
    command = TryPolicy(draft=policy, since=since)
    with command_errors():
        show(uvloop.run(run(settings, command, Lines())), policy)


class Lines:
    """Progress as lines on standard error: records read, of how many."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Print the progress, at most every two seconds and at the end."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + LINE_EVERY_S
            typer.echo(f"read {done} of {total} records", err=True)


async def run(settings: Settings, command: TryPolicy, told: Told) -> PolicyTried:
    """Try a draft and record the run; raises Rejected, Unavailable. Waits for Kafka and Redis.

    The running service publishes the record.
    """
    parts = Runtime(settings, DOMAIN, now=utc_now)
    read = partial(read_history, settings.broker, PolicyTried.TOPIC)
    handlers = WhatIf(ContextLoader(Keys(parts.vault)), read)
    site = command.draft.site

    async def decide(view: View, name: str) -> Decision:
        return await handlers.run(command, site, None, name, view, told)

    async with parts.beside() as settler:
        body = sha256(command.model_dump_json().encode()).hexdigest()
        request = Request(f"operator {site}", "policy/whatif", uuid.uuid4().hex, body)
        fact = (await settler.settle_request(request, decide)).fact
        assert isinstance(fact, PolicyTried)
        return fact


def show(tried: PolicyTried, policy: Policy) -> None:
    """Print a run: a table of its groups, and what it leaves out."""
    language = policy.languages[0]
    table = Table("item", "reason", "role", "wishes", "granted", "newly granted", "newly refused")
    table.add_column("cost")
    table.add_column("refused by")
    for group in tried.groups:
        before, after = (
            DASH if cost is None else format_money(cost, tried.currency, language)
            for cost in (group.cost_before_minor, group.cost_minor)
        )
        table.add_row(
            group.item or "",
            group.reason or "",
            group.role or "",
            str(group.wishes),
            f"{group.granted_before} → {_or_dash(group.granted)}",
            _or_dash(group.newly_granted),
            _or_dash(group.newly_refused),
            f"{before} → {after}",
            _refused_by(group),
        )
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)
    typer.echo(
        f"{tried.site}, wishes from {tried.since:%Y-%m-%d} to {tried.until:%Y-%m-%d}: {_read(tried)}"
    )
    typer.echo(
        "counts are to the nearest five or more; a change for fewer than five employees is not told"
    )
    if any(group.granted is None for group in tried.groups):
        typer.echo(f"{DASH} is withheld: it would say what fewer than five employees did")
    if tried.withheld:
        typer.echo(
            "more wishes are withheld: they are of fewer than five employees, or would tell of them"
        )
    if tried.undecided:
        typer.echo(f"{tried.undecided} wishes were not decided again: their role is not recorded")
    typer.echo(f"nothing was changed; the run is recorded as {tried.run_id}")


def _read(tried: PolicyTried) -> str:
    """How many wishes were read."""
    if tried.wishes is None:
        return "some, of fewer than five employees in a block of 30 days"
    return f"about {tried.wishes}" if tried.wishes else "none"


def _or_dash(count: int | None) -> str:
    return DASH if count is None else str(count)


def _refused_by(group: TriedGroup) -> str:
    """What refuses wishes of a group, and how many."""
    found = [*group.bound_by.items(), *group.refused_for.items()]
    return ", ".join(f"{what} {count}" for what, count in found)
