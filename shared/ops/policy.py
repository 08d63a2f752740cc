"""Check a site's policy file and publish it as the next version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from babel.numbers import list_currencies
from pydantic import TypeAdapter

from shared.contracts.complaints import Category, Severity
from shared.contracts.event import Event
from shared.contracts.policy import Policy, PolicyPublished
from shared.ops import strict_yaml, topics
from shared.ops.strict_yaml import BrokenFile, Loc, Problem
from shared.ops.topics import BootstrapOption, bootstrap_servers

#: The whole policy must fit into one message of a topic with Kafka's usual bound of 1 MiB.
FILE_BYTES_MAX = 512 * 1024
#: Whole numbers that are no amounts.
COUNTS = frozenset(
    {
        "attempts_max",
        "checks_per_day",
        "cost_percent",
        "count",
        "percent",
        "per_address",
        "per_person",
        "per_source",
        "percents",
        "stay_days",
        "times_per_shift",
    }
)
SOURCE = "/ops/policy"


class BrokenPolicy(BrokenFile):
    """The file cannot be a policy."""


def load(path: Path) -> Policy | list[Problem]:
    """The policy in the file, or everything that is wrong with it. Reads the file."""
    return strict_yaml.load(
        path, Policy, bytes_max=FILE_BYTES_MAX, counts=COUNTS, also=_unknown_currency
    )


def _unknown_currency(data: object) -> Iterator[tuple[Loc, str]]:
    currency = data.get("currency") if isinstance(data, dict) else None
    is_code = isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency)
    if is_code and currency not in list_currencies():
        yield ("currency",), f'is not a currency of ISO 4217, got "{currency}"'


def doubts(policy: Policy) -> Iterator[str]:
    """What a policy may say and its site can hardly mean, in one sentence each."""
    for category in Category:
        by_severity = policy.playbooks.get(category)
        # What fits nowhere else has the default promise, and all that fits.
        if not by_severity and category is not Category.OTHER:
            promise = _iso(policy.promise_default)
            yield f"playbooks: {category} has none, so each is promised within {promise}"
        for milder, worse in pairwise(Severity):
            sooner, later = policy.promise(category, milder), policy.promise(category, worse)
            if sooner < later:
                yield (
                    f"playbooks.{category}: {worse} is promised within {_iso(later)}"
                    f" and {milder} within {_iso(sooner)}"
                )
    most, what = _most_affordable(policy)
    for option in policy.options():
        if option.cost_minor > most:
            yield f"checks.{option.item}: costs {option.cost_minor}, {what} {most}"
    incidents = policy.incidents
    given = policy.option(incidents.give) if incidents is not None else None
    if incidents is not None and given is not None and given.cost_minor > incidents.budget:
        yield f"incidents.give: costs {given.cost_minor}, the budget is {incidents.budget}"


def _iso(duration: timedelta) -> str:
    """A duration as the file writes it."""
    written: str = TypeAdapter(timedelta).dump_python(duration, mode="json")
    return written


def _most_affordable(policy: Policy) -> tuple[int, str]:
    """What one check may cost at most, with the stretch, and what says so."""
    percent = 100 + (policy.authority.stretch.percent if policy.authority.stretch else 0)
    roles = [role for role in policy.authority.roles.values() if role is not None]
    customer = policy.limits.customer
    return min(
        (max(role.per_check for role in roles) * percent // 100, "no role may give more than"),
        (policy.limits.complaint.total, "limits.complaint.total is"),
        (customer.per_stay, "limits.customer.per_stay is"),
        (customer.per_day or customer.per_stay, "limits.customer.per_day is"),
        (policy.limits.site.per_day, "limits.site.per_day is"),
    )


def last_version(site: str, bootstrap: str) -> int:
    """The version of the site's policy on the topic, 0 if it has none. Blocks.

    Raises LookupError without the topic, TimeoutError when it cannot be read to its end in time,
    and ValidationError when what lies there is no policy.
    """
    return max(
        (
            Event[PolicyPublished].model_validate_json(value).data.version
            for key, value in topics.records(PolicyPublished.TOPIC, bootstrap)
            if key == site
        ),
        default=0,
    )


def publish(path: Path, bootstrap: str, *, now: datetime | None = None) -> int:
    """Publish the file as the site's next version, and return that version. Blocks.

    Two operators who publish for one site at the same moment may get the same version; the later
    message stays. Raises BrokenPolicy, what `last_version` raises, and Kafka's own errors.
    """
    policy = load(path)
    if not isinstance(policy, Policy):
        raise BrokenPolicy(path, policy)
    version = last_version(policy.site, bootstrap) + 1
    fact = PolicyPublished(site=policy.site, version=version, policy=policy)
    topics.publish(
        [fact],
        bootstrap,
        source=SOURCE,
        cause=f"operator/policy/{version}",
        now=now or datetime.now(UTC),
    )
    return version


app = typer.Typer(
    name="policy", help="Check and publish what a site decides.", no_args_is_help=True
)
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy, as policy/demo.yaml.")
]


@app.command("check")
def check_command(file: FileArgument) -> None:
    """Say what is wrong with a policy file; exit status 1 if anything is.

    Warns of what can hardly be meant: a worse complaint that is promised later than a milder one, a
    category without a playbook, a check that nobody can afford.
    """
    policy = load(file)
    if not isinstance(policy, Policy):
        typer.echo(str(BrokenPolicy(file, policy)), err=True)
        raise typer.Exit(1)
    for doubt in doubts(policy):
        typer.echo(f"{file}: warning: {doubt}", err=True)
    typer.echo(f"{file}: {policy.site}, {len(policy.options())} things to give, no problems")


@app.command("publish")
def publish_command(file: FileArgument, bootstrap: BootstrapOption = None) -> None:
    """Make a policy file the next version for all services."""
    try:
        version = publish(file, bootstrap_servers(bootstrap))
    except (BrokenPolicy, LookupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{file}: published as version {version}")
