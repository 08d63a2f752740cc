"""Dead letters for operators: what was refused and why; have it settled again, or put it away.

What lies on these topics is not trusted: headers are read as if anybody had written them, and what is printed
has no character that a terminal obeys. Letters are read one after the other and never held all at once.
"""

from __future__ import annotations

import heapq
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from kafka.errors import KafkaError
from pydantic import TypeAdapter, ValidationError

from shared.contracts.catalogue import (
    AUDIT,
    DEAD_LETTER_RETENTION,
    SERVICES,
    dead_letters,
    subscriptions,
)
from shared.contracts.deadletters import (
    BURIALS_MAX,
    DeadLetterDiscarded,
    DeadLetterFact,
    DeadLetterOpened,
    DeadLetterReplayed,
    Purpose,
)
from shared.contracts.event import Event, Id, format_time
from shared.contracts.reasons import Reason
from shared.ops import topics
from shared.ops.fingerprint import vault
from shared.ops.topics import BootstrapOption, bootstrap_servers
from shared.runtime.engine.deadletters import DIGITS, Buried, unpacked
from shared.runtime.engine.relay import partition_of
from shared.runtime.kafka.inbox import Record
from shared.runtime.privacy.seal import SealBroken
from shared.runtime.wires import Broker

SOURCE = "/ops/dlq"
#: Letters that one command names at most: each is settled by itself, at some twenty a second.
AT_ONCE_MAX = 500
#: Letters printed unless more are asked for, and at most.
SHOWN, SHOWN_MAX = 50, 10_000
#: Letters remembered, to count one once that a relay sent again; it sends two thousand again at most.
SEEN_MAX = 20_000
#: Decisions held at once, a few hundred bytes each. Beyond it nobody decides by hand.
DECISIONS_MAX = 500_000
#: Bytes of a letter that are printed; the rest is for a file.
PRINTED_BYTES_MAX = 64 * 1024
ID = TypeAdapter[str](Id)


class Wrong(Exception):
    """A wrong call: one sentence for the operator, and exit status 2."""


class Impossible(LookupError):
    """A right call that cannot be done: one sentence for the operator, and exit status 1."""


class State(StrEnum):
    """What became of one burial."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


STATES: Mapping[type[DeadLetterFact], State] = {
    DeadLetterReplayed: State.REPLAYED,
    DeadLetterDiscarded: State.DISCARDED,
}
KINDS: Mapping[str, type[DeadLetterFact]] = {
    kind.TYPE: kind for kind in (DeadLetterOpened, DeadLetterReplayed, DeadLetterDiscarded)
}


class Done(NamedTuple):
    """What an operator did with a burial, and when."""

    fact: DeadLetterFact
    at: datetime | None

    def told(self) -> dict[str, Any]:
        """As it is shown."""
        fact = self.fact
        what = STATES.get(type(fact), "opened")
        at = format_time(self.at) if self.at else None
        found = {"what": str(what), "burial": fact.burial, "at": at, "by": fact.by}
        return {**found, "why": fact.why.value, "ticket": fact.ticket}


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter on its topic."""

    buried: Buried
    partition: int
    offset: int
    at: datetime
    #: Bytes of the sealed value.
    size: int
    state: State = State.OPEN

    def told(self) -> dict[str, Any]:
        """As it is shown."""
        one = self.buried
        return {
            "name": readable(one.name),
            "burial": one.burial,
            "reason": reason_of(one),
            "where": readable(one.where),
            "at": format_time(self.at),
            "state": self.state.value,
            "bytes": self.size,
            "cut": one.cut,
        }


def readable(text: str, *, lines: bool = False) -> str:
    """The text without characters that a terminal obeys or that turn others around; newlines if `lines`."""
    return "".join(
        one
        if one.isprintable() or (lines and one == "\n")
        else one.encode("unicode_escape").decode()
        for one in text
    )


def reason_of(buried: Buried) -> str:
    """The reason if it is one of ours: a metric and a count have no others."""
    return buried.reason if buried.reason in set(Reason) else "unknown"


# ---- reading ---------------------------------------------------------------------------------------


def kept_from(now: datetime) -> datetime:
    """From when on dead letters count: older ones are about to be deleted with their segment."""
    return now - DEAD_LETTER_RETENTION


def decisions(bootstrap: Broker | str, now: datetime, key: str | None = None) -> Iterator[Done]:
    """What operators did with dead letters, in the order that counts; of one letter if `key` names it. Blocks.

    Raises as `topics.scan`. A record that is no such fact is passed over, as the services do.
    """
    # Back to twice as long ago: a letter may have been buried again long after it was sent again.
    since = kept_from(now) - DEAD_LETTER_RETENTION
    for record in topics.scan(DeadLetterFact.TOPIC, bootstrap, since=since, key=key):
        try:
            kind = KINDS[str(json.loads(record.value or b"")["type"])]
            event: Event[Any] = Event[kind].model_validate_json(record.value)  # type: ignore[valid-type]  # a generic model of a run-time type
        except (ValueError, KeyError, TypeError):
            continue
        if key is None or event.data.key() == key:
            yield Done(event.data, event.time)


def first_decisions(found: Iterable[Done]) -> dict[tuple[str, int], Done]:
    """By dead letter and burial, the decision that counts: the first on the topic. Raises Impossible above a bound."""
    counts: dict[tuple[str, int], Done] = {}
    for done in found:
        if type(done.fact) in STATES:
            counts.setdefault((done.fact.key(), done.fact.burial), done)
            if len(counts) > DECISIONS_MAX:
                raise Impossible(
                    f"more than {DECISIONS_MAX} decisions within 14 days cannot be compared"
                )
    return counts


def letters(
    bootstrap: Broker | str,
    service: str,
    now: datetime,
    decided: Mapping[tuple[str, int], Done],
    key: str | None = None,
    strange: Counter[str] | None = None,
) -> Iterator[Found]:
    """The dead letters of a service, each burial once, partition by partition; of one record if `key` names it.

    Blocks; raises as `topics.scan`. What the service did not write is passed over, and counted in `strange`:
    headers of another form, and another burial of what no operator sent again.
    """
    strange = Counter() if strange is None else strange
    seen: dict[tuple[str, int], None] = {}
    for record in topics.scan(dead_letters(service), bootstrap, since=kept_from(now), key=key):
        buried = Buried.of(service, record.headers)
        if buried is None or not _may_be(buried, decided):
            strange[service] += 1
            continue
        burial = (buried.name, buried.burial)
        if burial in seen:
            continue
        seen[burial] = None
        if len(seen) > SEEN_MAX:
            del seen[next(iter(seen))]
        done = decided.get(burial)
        yield Found(
            buried,
            record.partition,
            record.offset,
            datetime.fromtimestamp(record.timestamp / 1000, UTC),
            len(record.value or b""),
            State.OPEN if done is None else STATES[type(done.fact)],
        )


def _may_be(buried: Buried, decided: Mapping[tuple[str, int], Done]) -> bool:
    """Whether this burial is the first, or the one before it was sent again."""
    before = decided.get((buried.name, buried.burial - 1))
    return buried.burial == 1 or (before is not None and type(before.fact) is DeadLetterReplayed)


class Name(NamedTuple):
    """A dead letter as an operator names it."""

    service: str
    key: str
    whole: str

    @staticmethod
    def of(text: str) -> Name:
        """Reads `service/topic/partition/offset`; raises Wrong."""
        service, _, key = text.partition("/")
        topic, *numbers = key.split("/")
        known = service in SERVICES and topic in subscriptions(service)
        if (
            not known
            or len(numbers) != len(("partition", "offset"))
            or not all(map(DIGITS.fullmatch, numbers))
        ):
            raise Wrong(
                f"{readable(text)} is no dead letter's name: it is service/topic/partition/offset, as `dlq list` prints it"
            )
        return Name(service, key, text)


def burials(bootstrap: Broker | str, name: Name, now: datetime) -> tuple[list[Found], list[Done]]:
    """The burials of one record and what operators did with it, in order. Blocks; raises Impossible if there is none."""
    done = list(decisions(bootstrap, now, name.whole))
    decided = first_decisions(done)
    found = [
        one
        for one in letters(bootstrap, name.service, now, decided, name.key)
        if one.buried.name == name.whole
    ]
    if not found:
        raise Impossible(f"there is no dead letter {readable(name.whole)} of the last 14 days")
    return found, done


# ---- deciding --------------------------------------------------------------------------------------


class Who(NamedTuple):
    """Who acts, why, and where more is written about it."""

    by: str
    why: Purpose
    ticket: str | None

    @staticmethod
    def of(by: str | None, why: Purpose | None, ticket: str | None) -> Who:
        """Raises Wrong if one is missing or no id."""
        if not by:
            raise Wrong(
                "say who you are, with --by or SERVICE_CHECK_OPERATOR: an id and not a name"
            )
        if why is None:
            raise Wrong(f"say why, with --why: {', '.join(Purpose)}")
        for option, text in (("--by", by), ("--ticket", ticket)):
            try:
                if text is not None:
                    ID.validate_python(text)
            except ValidationError:
                raise Wrong(
                    f"{option} must be an id of letters, digits and ._:/@+-, of 128 characters at most"
                ) from None
        return Who(by, why, ticket)


def fact_of(kind: type[DeadLetterFact], one: Found, who: Who) -> DeadLetterFact:
    """The fact that an operator did this with a dead letter."""
    buried = one.buried
    names = ("consumer", "topic", "partition", "offset", "burial")
    where = {}
    if kind is DeadLetterReplayed:
        where = {"dead_partition": one.partition, "dead_offset": one.offset}
    place = {name: getattr(buried, name) for name in names}
    return kind.model_validate({**place, **where, **who._asdict()})


def publish(facts: Sequence[DeadLetterFact], bootstrap: Broker | str, now: datetime) -> None:
    """Put what an operator did on its topic. Blocks; raises as `topics.publish`."""
    cause = f"operator/dlq/{format_time(now)}"
    # The services and all operators must see the decisions about one letter in one order.
    topics.publish(facts, bootstrap, source=SOURCE, cause=cause, now=now, partition=partition_of)


def decide(
    kind: type[DeadLetterFact],
    chosen: Sequence[Found],
    who: Who,
    bootstrap: Broker | str,
    now: datetime,
) -> list[Done]:
    """Decide about open dead letters; returns the decision that counts of each, which may be another's. Blocks."""
    # In the order of their records, as they came at first.
    ordered = sorted(chosen, key=lambda one: one.buried)
    publish([fact_of(kind, one, who) for one in ordered], bootstrap, now)
    keys = {one.buried.name for one in ordered}
    decided = first_decisions(done for done in decisions(bootstrap, now) if done.fact.key() in keys)
    return [decided[one.buried.name, one.buried.burial] for one in ordered]


def chosen_by(
    names: Collection[str],
    service: str | None,
    reason: Reason | None,
    most: int,
    bootstrap: Broker | str,
    now: datetime,
) -> list[Found]:
    """The open dead letters that an operator names, or the oldest of a service and reason.

    Blocks; raises Wrong if none is named, Impossible if one that is named is not there or not open.
    """
    if bool(names) == bool(service and reason):
        raise Wrong("name the dead letters, or choose them with --service and --reason")
    if service and reason:
        known_service(service)
        decided = first_decisions(decisions(bootstrap, now))
        fits = (
            one
            for one in letters(bootstrap, service, now, decided)
            if one.state is State.OPEN and one.buried.reason == reason
        )
        return heapq.nsmallest(most, fits, key=lambda one: (one.at, one.buried))
    if len(names) > AT_ONCE_MAX:
        raise Wrong(f"name {AT_ONCE_MAX} dead letters at most")
    return _named(sorted({Name.of(name) for name in names}), bootstrap, now)


def _named(names: Sequence[Name], bootstrap: Broker | str, now: datetime) -> list[Found]:
    """The last burial of each; raises Impossible if one is not there or not open."""
    decided = first_decisions(decisions(bootstrap, now))
    last: dict[str, Found] = {}
    for service in sorted({name.service for name in names}):
        wanted = {name.whole: name.key for name in names if name.service == service}
        key = next(iter(wanted.values())) if len(wanted) == 1 else None
        for one in letters(bootstrap, service, now, decided, key):
            whole = one.buried.name
            if whole in wanted and (
                whole not in last or one.buried.burial > last[whole].buried.burial
            ):
                last[whole] = one
    for name in names:
        found = last.get(name.whole)
        if found is None:
            raise Impossible(f"there is no dead letter {name.whole} of the last 14 days")
        if found.state is not State.OPEN:
            by = decided[name.whole, found.buried.burial].fact.by
            raise Impossible(f"{name.whole} was {found.state} by {readable(by)} already")
    return list(last.values())


def can_be_settled(chosen: Sequence[Buried]) -> None:
    """Raises Impossible where one of these dead letters cannot be settled again."""
    if any(one.cut is not None for one in chosen):
        raise Impossible(
            "a dead letter that was cut cannot be settled; discard it, and ask its publisher to send it again"
        )
    if any(one.burial >= BURIALS_MAX for one in chosen):
        raise Impossible(f"a dead letter was refused {BURIALS_MAX} times; discard it")
    if any(one.consumer == AUDIT for one in chosen):
        raise Impossible("a dead letter of audit is on the record as a gap already; discard it")


def known_service(name: str) -> str:
    """The name of a service; raises Wrong."""
    if name not in SERVICES:
        raise Wrong(f"{readable(name)} is no service: {', '.join(SERVICES)}")
    return name


# ---- commands --------------------------------------------------------------------------------------

app = typer.Typer(
    name="dlq",
    help="Dead letters: list them, show one, have them settled again, put them away.",
    no_args_is_help=True,
)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--by", envvar="SERVICE_CHECK_OPERATOR", help="Who you are: a pseudonymous id, no name."
    ),
]
WhyOption = Annotated[Purpose | None, typer.Option("--why", help="Why you do it.")]
TicketOption = Annotated[
    str | None, typer.Option("--ticket", help="Where more is written about it, like a ticket.")
]
ServiceOption = Annotated[str | None, typer.Option("--service", help="Only those of this service.")]
ReasonOption = Annotated[Reason | None, typer.Option("--reason", help="Only those of this reason.")]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names, as `dlq list` prints them.")
]
MostOption = Annotated[
    int,
    typer.Option("--most", min=1, max=AT_ONCE_MAX, help="At most so many, the oldest first."),
]


class Failed:
    """Ends a command with one sentence: status 2 for a usage error, else 1."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Wrong | LookupError | TimeoutError):
            typer.echo(str(error), err=True)
            raise typer.Exit(2 if isinstance(error, Wrong) else 1) from error
        if isinstance(error, KafkaError):
            typer.echo(f"Kafka: {type(error).__name__}", err=True)
            raise typer.Exit(1) from error


@app.command("list")
def list_command(
    service: ServiceOption = None,
    reason: ReasonOption = None,
    state: Annotated[
        State | None, typer.Option("--state", help="Only those that are in this state.")
    ] = State.OPEN,
    everything: Annotated[bool, typer.Option("--all", help="In whatever state.")] = False,
    limit: Annotated[
        int, typer.Option(min=0, max=SHOWN_MAX, help="Print so many, the newest.")
    ] = SHOWN,
    as_json: JsonOption = False,
    bootstrap: BootstrapOption = None,
) -> None:
    """Count dead letters by service, reason and state, and print the newest; the open ones, unless told otherwise."""
    with Failed():
        chosen = SERVICES if service is None else (known_service(service),)
        counted: Counter[tuple[str, str, str]] = Counter()
        strange: Counter[str] = Counter()
        broker, now = bootstrap_servers(bootstrap), datetime.now(UTC)
        decided = first_decisions(decisions(broker, now))

        def wanted() -> Iterator[Found]:
            for name in chosen:
                for one in letters(broker, name, now, decided, strange=strange):
                    if reason in (None, one.buried.reason) and (everything or state is one.state):
                        counted[name, reason_of(one.buried), one.state] += 1
                        yield one

        newest = heapq.nlargest(limit, wanted(), key=lambda one: (one.at, one.buried))
    told = [one.told() for one in reversed(newest)]
    if as_json:
        counts = [
            dict(zip(("service", "reason", "state", "count"), (*key, number), strict=True))
            for key, number in sorted(counted.items())
        ]
        typer.echo(json.dumps({"counts": counts, "letters": told, "strange": strange}))
        return
    for one in told:
        typer.echo("{at}  {state:9}  {reason}  {name}  {where}".format_map(one).rstrip())
    for (name, why, became), number in sorted(counted.items()):
        typer.echo(f"{name}: {number} {became}, {why}")
    if not counted:
        typer.echo("no dead letters")
    for name, number in sorted(strange.items()):
        typer.echo(f"{name}: {number} passed over, not written by the service", err=True)


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="A name, as `dlq list` prints it.")],
    content: Annotated[
        bool,
        typer.Option("--open", help="Open it too; that is recorded before. Needs the master key."),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write the bytes to this new file instead of printing them."),
    ] = None,
    by: ByOption = None,
    why: WhyOption = None,
    ticket: TicketOption = None,
    as_json: JsonOption = False,
    bootstrap: BootstrapOption = None,
) -> None:
    """Show one dead letter: each burial, and who did what with it and why; with --open also its content."""
    with Failed():
        broker, now, named = bootstrap_servers(bootstrap), datetime.now(UTC), Name.of(name)
        if to is not None and not content:
            raise Wrong("--to needs --open")
        who = Who.of(by, why, ticket) if content else None
        key = vault() if content else None
        found, done = burials(broker, named, now)
        last = max(found, key=lambda one: one.buried.burial)
        record: Record | None = None
        if who is not None and key is not None:
            opened = fact_of(DeadLetterOpened, last, who)
            publish([opened], broker, now)
            done.append(Done(opened, now))
            record = _opened(last, broker, now, key.open_dead)
    told: dict[str, Any] = {
        "burials": [one.told() for one in found],
        "decisions": [one.told() for one in done],
    }
    if record is not None:
        told["headers"] = {
            readable(k): readable((v or b"").decode(errors="backslashreplace"))
            for k, v in record.headers
        }
        if to is not None:
            _write(to, record.value or b"")
            told["written_to"] = str(to)
        else:
            value = record.value or b""
            text = value[:PRINTED_BYTES_MAX].decode(errors="backslashreplace")
            told |= {"content": readable(text, lines=True), "content_bytes": len(value)}
    typer.echo(json.dumps(told) if as_json else "\n".join(_lines(told)))


def _opened(one: Found, bootstrap: Broker | str, now: datetime, open_dead: Any) -> Record:
    """The record in a dead letter; raises Impossible if it cannot be opened or has gone meanwhile."""
    buried = one.buried
    key = f"{buried.topic}/{buried.partition}/{buried.offset}"
    for found in topics.scan(
        dead_letters(buried.consumer), bootstrap, since=kept_from(now), key=key
    ):
        if (found.partition, found.offset) == (one.partition, one.offset):
            try:
                return unpacked(buried.offset, open_dead(found.value or b"", buried.name))
            except (SealBroken, ValueError):
                raise Impossible(Reason.DEAD_LETTER_UNREADABLE.meaning) from None
    raise Impossible("the dead letter has gone")


def _write(path: Path, value: bytes) -> None:
    """A new file for its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        typer.echo(f"cannot write {path}: {error.strerror}", err=True)
        raise typer.Exit(1) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    for one in told["burials"]:
        cut = f", cut from {one['cut']}" if one["cut"] is not None else ""
        yield f"{one['at']}  buried ({one['burial']}): {one['reason']} {one['where']}".rstrip()
        yield f"  {one['state']}, {one['bytes']} bytes sealed{cut}"
    for one in told["decisions"]:
        ticket = f", {one['ticket']}" if one["ticket"] else ""
        yield f"{one['at']}  {one['what']} ({one['burial']}) by {one['by']}: {one['why']}{ticket}"
    for name, text in told.get("headers", {}).items():
        yield f"{name}: {text}"
    if "written_to" in told:
        yield f"written to {told['written_to']}"
    if "content" in told:
        yield told["content"]
        if told["content_bytes"] > PRINTED_BYTES_MAX:
            yield f"... {told['content_bytes']} bytes in all; --to writes them to a file"


def _decided(
    kind: type[DeadLetterFact],
    chosen: tuple[Sequence[str], str | None, Reason | None, int],
    who: tuple[str | None, Purpose | None, str | None],
    bootstrap: str | None,
    *,
    as_json: bool,
) -> None:
    """Decide about the dead letters that a command's options choose, and print what counts.

    Ends with status 1 if somebody else's decision counts.
    """
    by, now = Who.of(*who), datetime.now(UTC)
    broker = bootstrap_servers(bootstrap)
    found = chosen_by(*chosen, broker, now)
    if kind is DeadLetterReplayed:
        can_be_settled([one.buried for one in found])
    counts = decide(kind, found, by, broker, now) if found else []
    ours = sum(type(done.fact) is kind and done.fact.by == by.by for done in counts)
    if as_json:
        typer.echo(json.dumps([{"name": done.fact.key(), **done.told()} for done in counts]))
    else:
        for done in counts:
            typer.echo(f"{done.fact.key()}: {STATES[type(done.fact)]} by {done.fact.by}")
        typer.echo(f"{ours} {STATES[kind]}, {len(counts) - ours} decided by somebody else before")
    if ours < len(counts):
        raise typer.Exit(1)


def _adds(name: str, kind: type[DeadLetterFact], says: str) -> None:
    """Add the command by which operators decide so about dead letters."""

    @app.command(name, help=says)
    def command(
        names: NamesArgument = None,
        service: ServiceOption = None,
        reason: ReasonOption = None,
        most: MostOption = AT_ONCE_MAX,
        by: ByOption = None,
        why: WhyOption = None,
        ticket: TicketOption = None,
        as_json: JsonOption = False,
        bootstrap: BootstrapOption = None,
    ) -> None:
        with Failed():
            chosen = (names or (), service, reason, most)
            _decided(kind, chosen, (by, why, ticket), bootstrap, as_json=as_json)


_adds(
    "replay",
    DeadLetterReplayed,
    "Have dead letters settled again by their service, once; what is refused again is listed again.",
)
_adds(
    "discard",
    DeadLetterDiscarded,
    "Put dead letters away: they will not be settled, and are deleted after 14 days as all are.",
)
