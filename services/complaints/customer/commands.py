"""Commands for whoever answers customers' requests about their data; run where the service's settings are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal, TypeVar

import typer
from aiokafka.errors import KafkaError

from services.complaints.app import build
from services.complaints.customer.export import Exports
from services.complaints.customer.handlers import erasing, erasure_of, rewrapping
from services.complaints.customer.profiles import Profiles
from services.complaints.customer.rules import CERTIFIED_AFTER, OPERATOR, Erasure
from services.complaints.settings import Settings
from shared.contracts.catalogue import COMPACTION_LAG_MAX
from shared.contracts.event import format_time
from shared.contracts.reasons import Reason
from shared.kernel import score_at
from shared.runtime.faults import Unavailable
from shared.runtime.observe import configure
from shared.runtime.service import Runtime, command_errors, settings_or_exit

T = TypeVar("T")

app = typer.Typer(
    help="Commands of complaints; without one, the service itself runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # Locals may hold what a customer wrote.
)
customer = typer.Typer(
    help="What a customer may ask for: to be forgotten, and the proof of it.", no_args_is_help=True
)
app.add_typer(customer, name="customer")
Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF", help="The customer_ref; `python -m shared.ops fingerprint` prints it."
    ),
]


@command_errors()
def beside(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do something on the service's store, beside its running processes. Blocks; raises typer.Exit."""
    settings = settings_or_exit(Settings)
    configure("ERROR")  # to standard error: an export is on standard output

    async def run() -> T:
        parts = build(settings).parts
        async with parts.beside():
            return await work(parts)

    try:
        return asyncio.run(run())
    except (KafkaError, OSError) as error:
        typer.echo(f"failed: {type(error).__name__}; give the same command again", err=True)
        raise typer.Exit(1) from None


@customer.command("erase")
def erase_command(
    ref: Ref,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
) -> None:
    """Erase a customer: destroy their keys, so that nobody can read their words and contact any more."""
    if not yes:
        typer.confirm(f"Erase {ref}? This cannot be undone", abort=True)
    published = beside(partial(_erase, ref))
    typer.echo(
        f"{ref} is erased: the keys are destroyed. Retention ends in {CERTIFIED_AFTER.days} days at the earliest;"
        " `customer erasure` then shows the certificate."
    )
    if not published:
        typer.echo("It is not on Kafka yet: the service publishes it when Kafka is back.", err=True)


async def _erase(ref: str, parts: Runtime) -> bool:
    """Whether the erasure is on Kafka as well; raises Rejected, Unavailable."""
    await parts.settler.settle_internal(
        f"command/erase/{ref}", ref, partial(erasing, ref, None, OPERATOR)
    )
    return await parts.published()


@customer.command("rewrap")
def rewrap_command() -> None:
    """Wrap every customer's key anew by SERVICE_CHECK_WRAPPING_KEY; given again after a stop, it goes on."""
    done = beside(_rewrap)
    minutes = COMPACTION_LAG_MAX // timedelta(minutes=1)
    typer.echo(
        f"{done} keys were wrapped anew: one key wraps all of them now. The topic keeps earlier wrappings"
        f" for up to {minutes} minutes; then take the other key away."
    )


async def _rewrap(parts: Runtime) -> int:
    """How many keys were wrapped anew, all that there were; raises Unavailable."""
    settler, done = parts.settler, 0
    name = f"{parts.vault.wraps_with:012x}"
    while True:
        cause = f"command/rewrap/{name}/{score_at(parts.now())}"
        facts = await settler.settle_internal(
            cause, f"rewrap-{name}", partial(rewrapping, parts.vault)
        )
        if not facts:
            return done
        done += len(facts)
        typer.echo(f"{done} keys wrapped anew", err=True)
        # Nothing goes on while Kafka is away: the outbox has room for other things.
        if not await parts.published():
            raise Unavailable(Reason.LOG_UNAVAILABLE)


@customer.command("export")
def export_command(
    ref: Ref,
    form: Annotated[
        Literal["json", "html"], typer.Option("--format", help="As data, or as a page to read.")
    ] = "json",
) -> None:
    """Print everything that complaints knows of a customer, opened; hand it to nobody else."""

    async def read(parts: Runtime) -> str:
        exports, view = Exports(parts.vault, Profiles(parts.vault)), parts.settler.view()
        found = await exports.of(ref, None, view)
        return (
            found.model_dump_json(indent=2) if form == "json" else await exports.page(found, view)
        )

    typer.echo(beside(read))


@customer.command("erasure")
def erasure_command(ref: Ref) -> None:
    """Say when a customer was erased, and when it was certified that nothing is left."""

    async def read(parts: Runtime) -> Erasure:
        return await erasure_of(ref, None, parts.settler.view())

    found = beside(read)
    certificate = (
        f"not certified yet, and not before {format_time(found.certified_from)}:"
        " intake, dead letters or backups may hold records from before"
        if found.certified_at is None
        else f"certified at {format_time(found.certified_at)}: nothing from before is left"
    )
    typer.echo(f"{ref} was erased at {format_time(found.erased_at)}; {certificate}")
