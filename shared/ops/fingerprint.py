"""What the services call something, by what another system calls it: for support.

Asked for and not given as arguments, so that an id that is a name stays out of the shell's history.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from pathlib import Path
from typing import Annotated

import typer

from shared.ops.token import RUN_DIR
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.runtime.privacy.seal import Vault

KEY_VARIABLE = "SERVICE_CHECK_MASTER_KEY"

app = typer.Typer(
    name="fingerprint",
    help="What the services call what others call otherwise. Needs the master key.",
    no_args_is_help=True,
)
SourceOption = Annotated[
    str, typer.Option("--source", prompt=True, help="The event's `source`, as it was published.")
]


def pseudonyms(run_dir: Path = RUN_DIR) -> Pseudonyms:
    """Those of the environment's master key, else of the local stack's. Raises typer.Exit."""
    path = run_dir / "master.key"
    given = os.environ.get(KEY_VARIABLE) or (path.read_text("ascii") if path.exists() else "")
    try:
        return Vault(b64decode(given, validate=True)).pseudonyms
    except (ValueError, binascii.Error) as error:
        typer.echo(f"set {KEY_VARIABLE} to the services' master key", err=True)
        raise typer.Exit(1) from error


@app.command()
def event(
    source: SourceOption,
    event_id: Annotated[str, typer.Option("--id", prompt=True, help="The event's `id`.")],
) -> None:
    """An event that another system published: its `causationid`, and the complaint it became."""
    name = pseudonyms().event(source, event_id)
    typer.echo(f"causationid   {name}\ncomplaint_id  co-{name}")


@app.command()
def correlation(
    correlation_id: Annotated[str, typer.Option("--id", prompt=True, help="As it was published.")],
) -> None:
    """A `correlationid` that another system gave."""
    typer.echo(f"correlationid  {pseudonyms().correlation(correlation_id)}")


@app.command()
def person(
    source: SourceOption,
    name: Annotated[str, typer.Option("--name", prompt=True, help="The complaint's `raised_by`.")],
) -> None:
    """Who raised a complaint, by the name the publisher has for them."""
    typer.echo(f"raised_by  {pseudonyms().person(source, name)}")


@app.command()
def customer(
    source: SourceOption,
    name: Annotated[str, typer.Option("--name", prompt=True, help="The complaint's `customer`.")],
) -> None:
    """A customer, by the name the publisher has for them; a site's own have the source `/site/<site>`."""
    typer.echo(f"customer_ref  {pseudonyms().customer(source, name)}")


@app.command()
def address(
    site: Annotated[str, typer.Option("--site", prompt=True, help="The site.")],
    mail: Annotated[str, typer.Option("--mail", prompt=True, help="The contact's `email`.")],
) -> None:
    """A customer whom nobody named, by the address that was given for them at a site."""
    typer.echo(f"customer_ref  {pseudonyms().customer_at(site, mail)}")
