"""python -m services.complaints import: publish a file of complaints, as another system would."""

from __future__ import annotations

import fcntl
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import typer
from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.complaints.intake.files import NoTable, checked_source
from services.complaints.intake.importing import (
    Names,
    Position,
    ends_unfinished,
    position_in,
    publish_rows,
    rows_of,
)
from shared.contracts.event import CONTENT_TYPE
from shared.contracts.intake import ComplaintRaised
from shared.runtime.service import settings_or_exit
from shared.runtime.settings import BrokerSettings

#: How long the broker may take to confirm a row.
CONFIRMED_S = 60.0
#: After how many rows progress is told.
TOLD_ROWS = 5_000
HEADERS = [("content-type", CONTENT_TYPE.encode())]
STDIN = "-"


def import_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON Lines or CSV; - for standard input.")
    ],
    site: Annotated[str | None, typer.Option(help="The site of rows that name none.")] = None,
    source: Annotated[
        str, typer.Option(help="The source of rows that name none, as in a CloudEvent.")
    ] = "/import",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="It is CSV, as a file is whose name ends so.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Begin again, and not where it ended before.")
    ] = False,
) -> None:
    """Publish the complaints of a file to the intake topic; given again, the command goes on where it ended.

    A row that is published again changes nothing, and equal rows without an id are one complaint. Rows that are no
    complaint, or have the id of an earlier one and say something else, are in FILE.rejects.jsonl (of standard input:
    stdin-TIME.rejects.jsonl), by line and reason; then the status is 1. So it is where the last line of a file has no
    end and is left until it has one. Run it as a user of Kafka who may write to the topic.
    """
    broker = settings_or_exit(BrokerSettings).broker
    # What is piped next is something else: it must not replace the rows that were rejected of this.
    path = Path(f"stdin-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}" if file == STDIN else file)
    rejects, kept = (path.with_name(f"{path.name}.{end}") for end in ("rejects.jsonl", "position"))
    as_csv = as_csv or path.suffix.lower() == ".csv"
    unfinished = False
    try:
        source = checked_source(source)
        with _opened(file) as read:
            begun = Position() if file == STDIN else position_in(_alone(read), kept, again=again)
            rows = rows_of(read, begun, as_csv=as_csv, whole_only=file != STDIN)
            beside = None if file == STDIN else path.with_name(f"{path.name}.names")
            with (
                ExitStack() as ended,
                closing(Names(beside, begins=begun.offset == 0)) as names,
                closing(_producer(broker.client())) as producer,
            ):
                ended.callback(_take_away_if_empty, rejects)
                position = _told(
                    publish_rows(
                        rows,
                        read,
                        begun,
                        _Publisher(producer),
                        rejects,
                        None if file == STDIN else kept,
                        names,
                        site=site,
                        source=source,
                    ),
                    begun,
                )
            unfinished = file != STDIN and ends_unfinished(read)
    except (OSError, ValueError, NoTable, sqlite3.Error) as error:
        _fail(f"{file}: {error}")
    except KafkaError as error:
        _fail(f"failed: {type(error).__name__}; give the same command again")
    nothing_new = position.offset > 0 and position == begun
    read_so = "has nothing new" if nothing_new else "was read to its end"
    typer.echo(
        f"{file} {read_so}: {position.published} rows were published and {position.rejected} rejected"
        + (f" ({rejects})." if position.rejected else ".")
    )
    if unfinished:
        typer.echo("Its last line has no end and was left: end it, and give the command again.")
    raise typer.Exit(1 if position.rejected or unfinished else 0)


def _opened(file: str) -> BinaryIO:
    return sys.stdin.buffer if file == STDIN else Path(file).open("rb")


def _alone(read: BinaryIO) -> BinaryIO:
    """The file, which no other command reads until this one has ended, however it does; raises OSError if one does."""
    try:
        fcntl.flock(read, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError("another command reads it; give this one again when that has ended") from None
    return read


def _take_away_if_empty(rejects: Path) -> None:
    """Remove the file of rejected rows if none was; for the command that reads alone, because another one may fill it."""
    if rejects.is_file() and rejects.stat().st_size == 0:
        rejects.unlink()


def _producer(client: dict[str, object]) -> KafkaProducer:
    wait_ms = int(CONFIRMED_S * 1000)
    return KafkaProducer(**client, acks="all", linger_ms=5, max_block_ms=wait_ms)


class _Publisher:
    """Publishes to the intake topic and waits until the broker has everything."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer

    def __call__(self, events: Sequence[tuple[str, bytes]]) -> None:
        sent = [
            self._producer.send(ComplaintRaised.TOPIC, event, key=key.encode(), headers=HEADERS)
            for key, event in events
        ]
        for one in sent:
            one.get(timeout=CONFIRMED_S)


def _told(done: Iterator[Position], begun: Position) -> Position:
    """Do it and tell how far it came, now and then; the position at the end."""
    position = begun
    for position in done:
        rows = position.published + position.rejected
        if rows % TOLD_ROWS == 0:
            typer.echo(f"{rows} rows, {position.rejected} of them rejected", err=True)
    return position


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)
