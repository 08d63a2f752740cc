"""Check a site's policy file and publish it as the next version."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from shared.contracts.complaints import Category, Severity
from shared.contracts.event import Event
from shared.contracts.policy import Policy, PolicyPublished
from shared.ops import topics
from shared.ops.topics import BootstrapOption, bootstrap_servers
from shared.runtime.engine.relay import partition_of
from shared.runtime.mailboxes import load as load_mailboxes
from shared.runtime.policy_file import BrokenPolicy, load, located
from shared.runtime.strict_yaml import At, BrokenFile, Loc, Problem, describe
from shared.runtime.wires import Broker

SOURCE = "/ops/policy"
#: The smallest difference between the times of two versions.
MOMENT = timedelta(microseconds=1)
#: Versions from before it was recorded when they were published are older than all that are dated.
UNDATED = datetime.min.replace(tzinfo=UTC)


def unknown_mailboxes(policy: Policy, known: Collection[str]) -> Iterator[tuple[Loc, str]]:
    """The role mailboxes that the policy names and the operator's file does not have."""
    for index, mailbox in enumerate(policy.notify.safety):
        if mailbox not in known:
            has = ", ".join(sorted(known)) or "none"
            why = f'"{mailbox}" is not in the file of addresses; the file has {has}'
            yield ("notify", "safety", index), why


def doubts(policy: Policy) -> Iterator[tuple[Loc, str]]:
    """Parts of a policy that are valid but probably a mistake: the place and a sentence."""
    for category in Category:
        by_severity = policy.playbooks.get(category)
        # Without a playbook: the default promise, and every item that fits.
        if not by_severity and category is not Category.OTHER:
            promise = _iso(policy.promise_default)
            yield ("playbooks",), f"no playbook for {category}, so the promise is {promise}"
        for milder, worse in pairwise(Severity):
            sooner, later = policy.promise(category, milder), policy.promise(category, worse)
            if sooner < later:
                yield (
                    ("playbooks", category.value),
                    f"{worse} is promised within {_iso(later)} and {milder} within {_iso(sooner)}",
                )
    yield from _doubtful_suggestions(policy)
    yield from _doubtful_warnings(policy)
    most, what = _most_affordable(policy)
    for option in policy.options():
        if option.cost_minor > most:
            item = option.item.partition("/")[0]
            yield ("checks", item), f"{option.item} costs {option.cost_minor}, {what} {most}"
    incidents = policy.incidents
    given = policy.option(incidents.give) if incidents is not None else None
    if incidents is not None and given is not None and given.cost_minor > incidents.budget:
        loc = ("incidents", "give")
        yield loc, f"costs {given.cost_minor}, the budget is {incidents.budget}"
    if not policy.notify.safety:
        yield ("notify", "safety"), "names no mailbox, so a safety concern is sent to nobody"


def _doubtful_suggestions(policy: Policy) -> Iterator[tuple[Loc, str]]:
    """Checks and fixes that a playbook suggests for a category that they do not fit."""
    for category, by_severity in policy.playbooks.items():
        for severity, playbook in by_severity.items():
            at = ("playbooks", category.value, severity.value)
            for number, name in enumerate(playbook.suggest):
                if not policy.checks[name.partition("/")[0]].fits_category(category):
                    yield (*at, "suggest", number), f"{name} does not fit {category}"
            for number, name in enumerate(playbook.fixes):
                if not policy.fixes[name].fits_category(category):
                    yield (*at, "fixes", number), f"{name} does not fit {category}"


def _doubtful_warnings(policy: Policy) -> Iterator[tuple[Loc, str]]:
    """Promises that are shorter than the time before which somebody is warned of them.

    Of danger a role mailbox is told at once.
    """
    if policy.warn_before is None:
        return
    for category, by_severity in policy.playbooks.items():
        for severity, playbook in by_severity.items():
            if playbook.promise <= policy.warn_before and category is not Category.SAFETY:
                yield (
                    ("playbooks", category.value, severity.value, "promise"),
                    f"nobody is warned of it: warn_before is {_iso(policy.warn_before)}",
                )


def _iso(duration: timedelta) -> str:
    """A duration as the file writes it."""
    written: str = TypeAdapter(timedelta).dump_python(duration, mode="json")
    return written


def _most_affordable(policy: Policy) -> tuple[int, str]:
    """The most that one check may cost, stretch included, and the field that bounds it."""
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


def newest(site: str, bootstrap: Broker | str) -> PolicyPublished | None:
    """The site's policy on the topic with the highest version, of two with one the later; None if it has none. Blocks.

    Raises LookupError without the topic, TimeoutError when it cannot be read to its end in time,
    and ValidationError when a record there is not a policy.
    """
    return max(
        (
            Event[PolicyPublished].model_validate_json(value).data
            for key, value in topics.records(PolicyPublished.TOPIC, bootstrap)
            if key == site
        ),
        key=lambda fact: (fact.version, fact.published_at or UNDATED),
        default=None,
    )


def last_version(site: str, bootstrap: Broker | str) -> int:
    """The version of the site's policy on the topic, 0 if it has none. Blocks; raises as `newest`."""
    found = newest(site, bootstrap)
    return 0 if found is None else found.version


def publish(path: Path, bootstrap: Broker | str, *, now: datetime | None = None) -> int:
    """Publish the file as the site's next version, and return that version. Blocks.

    Two who publish for one site at the same moment, operators or a manager over HTTP, may get the same
    version; the later one counts. Raises BrokenPolicy, the errors of `newest`, and Kafka's own errors.
    """
    policy = load(path)
    if not isinstance(policy, Policy):
        raise BrokenPolicy(path, policy)
    before, at = newest(policy.site, bootstrap), now or datetime.now(UTC)
    version = 1 if before is None else before.version + 1
    if before is not None and before.published_at is not None:
        # From a clock ahead of ours the version before would win over this.
        at = max(at, before.published_at + MOMENT)
    topics.publish(
        [PolicyPublished(site=policy.site, version=version, policy=policy, published_at=at)],
        bootstrap,
        source=SOURCE,
        cause=f"operator/policy/{version}",
        now=at,
        # Compensation publishes policies too, and both must put a site into the same partition to be compacted.
        partition=partition_of,
    )
    return version


app = typer.Typer(name="policy", help="Check and publish a site's policy.", no_args_is_help=True)
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy, as policy/demo.yaml.")
]

MailboxesOption = Annotated[
    Path | None,
    typer.Option(
        envvar="SERVICE_CHECK_MAILBOXES",
        help="The notifier's file of role mailboxes, as policy/mailboxes.yaml.",
    ),
]


@app.command("check")
def check_command(file: FileArgument, mailboxes: MailboxesOption = None) -> None:
    """Print all problems of a policy file; exit status 1 if there is one.

    Compares the policy's role mailboxes with the file of their addresses. Warns of probable mistakes:
    a worse complaint with a later promise than a milder one, a category without a playbook, a suggestion
    that does not fit its category, a promise too short to be warned of, a check above everybody's authority,
    no mailbox for safety concerns.
    """
    try:
        known = None if mailboxes is None else load_mailboxes(mailboxes)
    except BrokenFile as broken:
        typer.echo(str(broken), err=True)
        raise typer.Exit(1) from broken
    policy, at = located(file)
    problems, warnings = (policy, []) if isinstance(policy, list) else _found(policy, at, known)
    for problem in problems:
        typer.echo(describe(file, problem), err=True)
    for warning in warnings:
        typer.echo(describe(file, warning, "warning: "), err=True)
    about = (
        f"{policy.site}, {len(policy.options())} things to give, "
        if isinstance(policy, Policy)
        else ""
    )
    counted = f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"
    typer.echo(f"{file}: {about}{counted}")
    if problems:
        raise typer.Exit(1)


def _found(
    policy: Policy, at: At, known: Collection[str] | None
) -> tuple[list[Problem], list[Problem]]:
    """The problems and the warnings of a policy that can be read, in the order of its lines."""
    warned = list(doubts(policy))
    if known is None and policy.notify.safety:
        where = "set --mailboxes or SERVICE_CHECK_MAILBOXES"
        warned.append((("notify", "safety"), f"not compared with a file of addresses: {where}"))
    wrong = () if known is None else unknown_mailboxes(policy, known)
    return sorted(at(*one) for one in wrong), sorted(at(*one) for one in warned)


def _count(found: Sequence[Problem], what: str) -> str:
    """How many there are, in words."""
    return f"{len(found) or 'no'} {what}{'' if len(found) == 1 else 's'}"


@app.command("publish")
def publish_command(file: FileArgument, bootstrap: BootstrapOption = None) -> None:
    """Publish a policy file as the next version of its site's policy."""
    try:
        version = publish(file, bootstrap_servers(bootstrap))
    except (BrokenPolicy, LookupError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{file}: published as version {version}")
