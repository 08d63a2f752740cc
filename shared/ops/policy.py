"""Check a site's policy file and publish it as the next version.

A policy is written by people who are not programmers, so every error is one line with the place it
is at, all errors come at once, and a file with any error changes nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml
from babel.numbers import list_currencies
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.contracts.event import Event, encode, fingerprint, format_time
from shared.contracts.policy import Policy, PolicyPublished
from shared.ops.topics import BootstrapOption, bootstrap_servers

#: The whole policy must fit into one message of a topic with Kafka's usual bound of 1 MiB.
FILE_BYTES_MAX = 512 * 1024
#: A policy is six levels deep; more is a mistake or an attack on the parser's recursion.
DEPTH_MAX = 12
#: The policy topic holds a message per site: it is read in a moment or the broker is not well.
READ_TIMEOUT_S = 30.0
#: What was in the file is shown up to here, so that an error stays one line.
GOT_MAX = 60
SOURCE = "/ops/policy"

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the file; line and column count from 1."""

    line: int
    column: int
    pointer: str
    message: str


def _pointer(loc: Loc) -> str:
    return ".".join(map(str, loc))


class BrokenPolicy(Exception):
    """The file cannot be a policy; the text is one line per problem."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        super().__init__("\n".join(describe(path, problem) for problem in problems))
        self.problems = problems


def describe(path: Path, problem: Problem) -> str:
    """One line as compilers write it, so that editors jump to the place."""
    pointer = f"{problem.pointer}: " if problem.pointer else ""
    return f"{path}:{problem.line}: {pointer}{problem.message}"


class _Loader(yaml.SafeLoader):
    """YAML where only true, false, null and decimal numbers are not text.

    YAML 1.1 reads `no` as false (and Norwegian as nothing), `12:30` as 750, `0o17` as 15.
    """


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9_]{0,29})$"), list("-0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?[0-9][0-9_]{0,29}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?$"),
    list("-0123456789"),
)

_TAGS_KNOWN = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
)


def load(path: Path) -> Policy | list[Problem]:
    """The policy in the file, or everything that is wrong with it in the order of the lines.

    Contradictions between fields are found once the fields themselves are right. Reads the file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return [Problem(1, 1, "", f"cannot be read: {error.strerror}")]
    if len(raw) > FILE_BYTES_MAX:
        return [Problem(1, 1, "", f"is larger than {FILE_BYTES_MAX} bytes")]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return [Problem(raw.count(b"\n", 0, error.start) + 1, 1, "", "is not UTF-8")]
    try:
        refused = _refused_syntax(text)
        if refused:
            return refused
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return [Problem(line, column, "", f"is not YAML: {error.problem or error.context}")]
    except yaml.YAMLError as error:  # a character that YAML does not allow
        return [Problem(1, 1, "", f"is not YAML: {str(error).splitlines()[0]}")]
    if node is None:
        return [Problem(1, 1, "", "is empty")]
    return _Reading().policy(node)


def _refused_syntax(text: str) -> list[Problem]:
    """Aliases and deep nesting, found before anything is built from them."""
    problems: list[Problem] = []
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        mark = event.start_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.AliasEvent):
            problems.append(Problem(*at, "", "aliases are not used here: write it out"))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_MAX:
                return [*problems, Problem(*at, "", f"is nested deeper than {DEPTH_MAX} levels")]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return problems


class _Reading:
    """One pass over the node tree: plain data, and where each part of it stands."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Loc, tuple[int, int]] = {}

    def policy(self, root: yaml.Node) -> Policy | list[Problem]:
        """Validate strictly: nothing unknown, no text where a number belongs."""
        data = self._plain(root, ())
        if isinstance(data, dict):
            currency = data.get("currency")
            is_code = isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency)
            if is_code and currency not in list_currencies():
                self._report(("currency",), f'is not a currency of ISO 4217, got "{currency}"')
        try:
            # By way of JSON, where strict still reads "PT15M" as a duration, "food" as a category.
            policy = Policy.model_validate_json(json.dumps(data), strict=True, extra="forbid")
        except ValidationError as error:
            for found in error.errors(include_url=False):
                loc = tuple(part for part in found["loc"] if part != "[key]")
                if not any(problem.pointer == _pointer(loc) for problem in self.problems):
                    self._report(loc, _message(found["type"], loc, found))
            return sorted(set(self.problems))
        return sorted(set(self.problems)) if self.problems else policy

    def _report(self, loc: Loc, message: str) -> None:
        known = loc
        while known not in self.places:  # a missing field stands where its parent does
            known = known[:-1]
        self.problems.append(Problem(*self.places[known], _pointer(loc), message))

    def _plain(self, node: yaml.Node, loc: Loc) -> object:
        self.places.setdefault(loc, (node.start_mark.line + 1, node.start_mark.column + 1))
        if node.tag not in _TAGS_KNOWN:
            self._report(loc, f"the tag {node.tag} is not used here")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, loc))
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*loc, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def _entries(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[str, object]]:
        first: dict[str, int] = {}
        for key, value in node.value:
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(line, column, _pointer(loc), "a name must be text"))
                continue
            name = key.value
            if name in first:
                pointer = _pointer((*loc, name))
                again = f"stands here twice, first in line {first[name]}"
                self.problems.append(Problem(line, column, pointer, again))
                continue
            first[name] = line
            self.places[(*loc, name)] = (line, column)
            yield name, self._plain(value, (*loc, name))

    def _scalar(self, node: yaml.Node, loc: Loc) -> object:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        try:
            if kind == "int":
                return int(text.replace("_", ""))
            if kind == "float":
                return float(text.replace("_", ""))
        except ValueError:  # an explicit tag: `!!int "x"`
            self._report(loc, f'is not a number, got "{text}"')
            return None
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self._report(loc, "holds half a character")
            return None
        return {"bool": text == "true", "null": None}.get(kind, text)


def _message(kind: str, loc: Loc, found: ErrorDetails) -> str:
    """The error in the words of the person who wrote the file, with what was there."""
    ctx = found.get("ctx", {})
    got = json.dumps(found["input"], ensure_ascii=False, default=str)
    got = got if len(got) <= GOT_MAX else f"{got[:GOT_MAX]}..."
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a known field"
    if kind == "contradiction":
        return str(ctx["why"]) if found["input"] is None else f"{ctx['why']}, got {got}"
    if kind.startswith("int_"):
        money = "" if loc and loc[-1] == "attempts_max" else " of minor units"
        return f"must be a whole number{money}, got {got}"
    if kind.startswith("time_delta"):
        return f"must be an ISO 8601 duration like PT15M or P7D, got {got}"
    if kind.startswith("time_"):
        return f'must be a time of day like "06:00", got {got}'
    if kind == "enum":
        return f"must be one of {ctx['expected']}, got {got}"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"must be fields with values, got {got}"
    if kind == "tuple_type":
        return f"must be a list, got {got}"
    text = str(found["msg"]).removeprefix("Input ")
    return f"{text[:1].lower()}{text[1:]}, got {got}"


def last_version(site: str, bootstrap: str) -> int:
    """The version of the site's policy on the topic, 0 if it has none. Blocks.

    Raises TimeoutError when the topic cannot be read to its end in time, and ValidationError when
    what lies there is no policy.
    """
    version = 0
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        consumer_timeout_ms=1000,
    )
    try:
        numbers = consumer.partitions_for_topic(PolicyPublished.TOPIC)
        if not numbers:
            raise LookupError(
                f"there is no topic {PolicyPublished.TOPIC}: run `topics create` first"
            )
        parts = [TopicPartition(PolicyPublished.TOPIC, number) for number in sorted(numbers)]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        deadline = time.monotonic() + READ_TIMEOUT_S
        while any(consumer.position(part) < ends[part] for part in parts):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{PolicyPublished.TOPIC} was not read in {READ_TIMEOUT_S:.0f} s"
                )
            for records in consumer.poll(timeout_ms=200).values():
                for record in records:
                    if record.value is None or (record.key or b"").decode() != site:
                        continue
                    event = Event[PolicyPublished].model_validate_json(record.value)
                    version = max(version, event.data.version)
    finally:
        consumer.close()
    return version


def publish(path: Path, bootstrap: str, *, now: datetime | None = None) -> int:
    """Publish the file as the site's next version, and return that version. Blocks.

    Two operators who publish for one site at the same moment may get the same version; the later
    message stays. Raises BrokenPolicy, and Kafka's own errors when it cannot be reached.
    """
    policy = load(path)
    if not isinstance(policy, Policy):
        raise BrokenPolicy(path, policy)
    version = last_version(policy.site, bootstrap) + 1
    fact = PolicyPublished(site=policy.site, version=version, policy=policy)
    event_id = fingerprint(fact.TYPE, policy.site, str(version), fact.model_dump_json())
    value = encode(
        fact,
        source=SOURCE,
        event_id=event_id,
        time=format_time(now or datetime.now(UTC)),
        correlation=event_id,
        causation=event_id,
        cause=f"operator/policy/{version}",
    )
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        producer.send(fact.TOPIC, key=fact.key().encode(), value=value).get(timeout=READ_TIMEOUT_S)
    finally:
        producer.close()
    return version


app = typer.Typer(
    name="policy", help="Check and publish what a site decides.", no_args_is_help=True
)
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy, as policy/demo.yaml.")
]


@app.command("check")
def check_command(file: FileArgument) -> None:
    """Say what is wrong with a policy file; exit status 1 if anything is."""
    policy = load(file)
    if not isinstance(policy, Policy):
        typer.echo(str(BrokenPolicy(file, policy)), err=True)
        raise typer.Exit(1)
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
