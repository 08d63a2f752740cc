"""The services' ids and pseudonyms for the ids that another system uses: for support.

Ids are asked for and not given as arguments, because an id may be a person's name and the shell
keeps a history.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from shared.ops.token import RUN_DIR
from shared.ops.topics import reached
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.runtime.privacy.seal import Vault
from shared.runtime.settings import FromOutside

KEY_VARIABLE = "SERVICE_CHECK_MASTER_KEY"

app = typer.Typer(
    name="fingerprint",
    help="The services' ids for the ids of other systems. Needs the master key.",
    no_args_is_help=True,
)
SourceOption = Annotated[
    str, typer.Option("--source", prompt=True, help="The event's `source`, as it was published.")
]


class MasterKey(FromOutside):
    """The services' master key, from the environment or from the folder of secrets."""

    master_key: SecretStr | None = None


def vault(run_dir: Path = RUN_DIR) -> Vault:
    """The vault of the services' master key, else of the local stack's. Raises typer.Exit."""
    path = run_dir / "master.key"
    known = reached(MasterKey, KEY_VARIABLE, None).master_key
    stacks = path.read_text("ascii") if known is None and path.exists() else ""
    given = stacks if known is None else known.get_secret_value()
    try:
        return Vault(b64decode(given, validate=True))
    except (ValueError, binascii.Error) as error:
        typer.echo(f"set {KEY_VARIABLE} to the services' master key", err=True)
        raise typer.Exit(1) from error


def pseudonyms() -> Pseudonyms:
    """The pseudonyms of the same master key. Raises typer.Exit."""
    return vault().pseudonyms


@app.command()
def event(
    source: SourceOption,
    event_id: Annotated[str, typer.Option("--id", prompt=True, help="The event's `id`.")],
) -> None:
    """Print the `causationid` of an event that another system published, and its complaint's id."""
    name = pseudonyms().event(source, event_id)
    typer.echo(f"causationid   {name}\ncomplaint_id  co-{name}")


@app.command()
def correlation(
    correlation_id: Annotated[str, typer.Option("--id", prompt=True, help="As it was published.")],
) -> None:
    """Print the pseudonym of another system's `correlationid`."""
    typer.echo(f"correlationid  {pseudonyms().correlation(correlation_id)}")


@app.command()
def person(
    source: SourceOption,
    name: Annotated[str, typer.Option("--name", prompt=True, help="The complaint's `raised_by`.")],
) -> None:
    """Print the pseudonym of a person who raised a complaint, by the publisher's name for them."""
    typer.echo(f"raised_by  {pseudonyms().person(source, name)}")


@app.command()
def customer(
    source: SourceOption,
    name: Annotated[str, typer.Option("--name", prompt=True, help="The complaint's `customer`.")],
) -> None:
    """Print a customer's pseudonym, by the publisher's name for them; a site's own source is `/site/<site>`."""
    typer.echo(f"customer_ref  {pseudonyms().customer(source, name)}")


@app.command()
def address(
    site: Annotated[str, typer.Option("--site", prompt=True, help="The site.")],
    mail: Annotated[str, typer.Option("--mail", prompt=True, help="The contact's `email`.")],
) -> None:
    """Print the pseudonym of a customer without a name, by their address at a site."""
    typer.echo(f"customer_ref  {pseudonyms().customer_at(site, mail)}")
