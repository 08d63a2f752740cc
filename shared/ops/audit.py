"""Read the record: follow it, export it, verify an export, tell the story of one thing."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from kafka.errors import KafkaError

from shared.audit import export, story
from shared.audit.keys import derived_key, public_pem, read_key, read_public_key
from shared.audit.topic import Topics, number_of
from shared.audit.verify import printable
from shared.contracts.audit import PSEUDONYM
from shared.ops.topics import BootstrapOption, broker_or_exit
from shared.runtime.privacy.seal import Vault

#: Said of what lies on the record's topic and is no record.
UNREADABLE = "not a record: `audit export` writes it to a file of its own, and `audit verify` says where it lies"
#: Records of each partition that `tail` begins with.
TAIL_RECORDS = 20

app = typer.Typer(
    name="audit", help="The record of every fact, and its verification.", no_args_is_help=True
)
KeyOption = Annotated[
    list[Path], typer.Option("--key", help="File with a public key that signs heads (PEM).")
]


def _stop(text: object, status: int = 1) -> NoReturn:
    typer.echo(str(text), err=True)
    raise typer.Exit(status)


def _topics(given: str | None) -> Topics:
    return Topics(broker_or_exit(given).client())


def _all(topics: Topics) -> Iterator[bytes]:
    return chain.from_iterable(topics.records(number) for number in topics.partitions())


@app.command("key")
def key_command() -> None:
    """Print the public key of heads: of SERVICE_CHECK_SIGNING_KEY, else of SERVICE_CHECK_MASTER_KEY."""
    path, master = (
        os.environ.get(f"SERVICE_CHECK_{name}", "") for name in ("SIGNING_KEY", "MASTER_KEY")
    )
    try:
        if path:
            key = read_key(Path(path))
        elif master:
            key = derived_key(Vault(b64decode(master, validate=True)).derive)
        else:
            _stop("set SERVICE_CHECK_SIGNING_KEY or SERVICE_CHECK_MASTER_KEY", 2)
    except (ValueError, NotBase64) as error:
        _stop(error, 2)
    typer.echo(public_pem(key.public_key()), nl=False)


@app.command("export")
def export_command(
    directory: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    kind: Annotated[
        export.Format,
        typer.Option("--format", help="jsonl can be verified; csv and parquet are a table."),
    ] = "jsonl",
    bootstrap: BootstrapOption = None,
) -> None:
    """Write all records and signed heads to files."""
    if directory.exists():
        _stop(f"{directory} is there already", 2)
    topics = _topics(bootstrap)
    try:
        made = export.write(topics, directory, kind)
    except ImportError:
        _stop("parquet needs pyarrow: pip install -r requirements-parquet.txt", 2)
    except (OSError, LookupError, TimeoutError, ValueError, KafkaError) as error:
        _stop(error)
    typer.echo(
        f"{made['records']} records of {len(made['chains'])} chains and {made['heads']} signed heads"
        f" are in {directory}"
    )


@app.command("heads")
def heads_command(
    out: Annotated[Path, typer.Option(help="A directory, which is made if it is not there.")],
    bootstrap: BootstrapOption = None,
) -> None:
    """Write the heads that were signed last to a file of their own, to publish where the record is not.

    `verify --heads` takes such files: whoever holds one finds what was cut off after it was signed, also if all
    later heads are gone. The service signs every minute; `POST /v1/heads` signs now.
    """
    topics = _topics(bootstrap)
    try:
        data = topics.last_heads()
        if data is None:
            _stop("no heads are signed yet")
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"heads-{number_of(data)}.jsonl"
        path.write_bytes(data + b"\n")
    except (OSError, LookupError, TimeoutError, ValueError, KafkaError) as error:
        _stop(error)
    typer.echo(str(path))


@app.command("verify")
def verify_command(
    directory: Annotated[Path, typer.Argument(help="An export in jsonl.")],
    key: KeyOption,
    heads: Annotated[
        list[Path] | None, typer.Option("--heads", help="File of heads published elsewhere.")
    ] = None,
    since: Annotated[
        list[Path] | None,
        typer.Option("--from", help="File of heads: what lies before them was deleted."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Verify an export without any service; exit status 1 if something is not as it was signed."""
    try:
        keys = [read_public_key(path) for path in key]
        found = export.verify(directory, keys, published=heads or (), since=since or ())
    except (OSError, ValueError) as error:
        _stop(error, 2)
    if as_json:
        told = {**found._asdict(), "findings": [one._asdict() for one in found.findings]}
        typer.echo(json.dumps(told, indent=2))
    else:
        for one in found.findings:
            typer.echo(str(one))
        for name, count in found.unanchored.items():
            why = (
                f"no signed heads name it, so nothing proves its {count} records"
                if name in found.unnamed
                else f"the last {count} records are proven by nothing: no signed heads cover them yet"
            )
            typer.echo(printable(f"{name}: {why}"))
        open_end = sum(found.unanchored.values())
        verdict = f"{len(found.findings)} findings" if found.findings else "all as signed"
        if open_end:
            verdict += f", but {open_end} records that no signed heads cover"
        typer.echo(
            f"{found.records} records of {found.chains} chains, heads up to number {found.heads},"
            f" signed at {found.signed_at or 'no time'}: {verdict}"
        )
    if found.findings:
        raise typer.Exit(1)


@app.command("tail")
def tail_command(
    site: Annotated[str | None, typer.Option(help="Of this site alone.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Of facts whose type holds this, like check.issued.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Records as they are.")] = False,
    bootstrap: BootstrapOption = None,
) -> None:
    """Print records as sentences, oldest first within each partition.

    Those of one employee: `python -m services.audit tail --employee`. Exit status 1 where something on the topic
    is no record.
    """
    topics, unreadable = _topics(bootstrap), 0
    try:
        for data in topics.follow(TAIL_RECORDS) if follow else _all(topics):
            try:
                record = story.record_of(data)
            except ValueError:
                unreadable += 1
                typer.echo(UNREADABLE, err=True)
                continue
            if site is not None and record.get("site") != site:
                continue
            if kind is not None and kind not in record.get("what", "gap"):
                continue
            typer.echo(json.dumps(record) if as_json else story.sentence(record))
    except KeyboardInterrupt:
        pass
    except (LookupError, TimeoutError, KafkaError) as error:
        _stop(error)
    if unreadable:
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    name: Annotated[str, typer.Argument(help="The id of a check, complaint, offer or incident.")],
    bootstrap: BootstrapOption = None,
) -> None:
    """Tell the whole story of one check or complaint, a sentence per record."""
    if PSEUDONYM.fullmatch(name):
        _stop("one employee's records: python -m services.audit tail --employee … --purpose …", 2)
    topics = _topics(bootstrap)
    try:
        found = story.story(lambda: _all(topics), name)
    except (LookupError, TimeoutError, KafkaError, ValueError) as error:
        _stop(error)
    if not found:
        _stop(f"no record is about {name}")
    for record in found:
        typer.echo(story.sentence(record))
