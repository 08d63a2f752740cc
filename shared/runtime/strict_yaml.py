"""Read an operator's YAML file into a model: strictly, with every mistake at its line.

Operators are not programmers, so every error is one line with its place, and all errors come at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

#: The deepest file has six levels; more is a mistake or an attack on the parser's recursion.
DEPTH_MAX = 12
#: The most characters of a value shown in an error, so that it stays one line.
GOT_MAX = 60

Loc = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in the file; line and column count from 1."""

    line: int
    column: int
    pointer: str
    message: str


def _pointer(loc: Loc) -> str:
    return ".".join(map(str, loc))


class BrokenFile(Exception):
    """The file is not valid; the text has one line per problem."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        super().__init__("\n".join(describe(path, problem) for problem in problems))
        self.problems = problems


def describe(path: Path, problem: Problem, kind: str = "") -> str:
    """One line as compilers write it, so that editors jump to the place; `kind` as in "warning: "."""
    pointer = f"{problem.pointer}: " if problem.pointer else ""
    return f"{path}:{problem.line}: {kind}{pointer}{problem.message}"


class _Loader(yaml.SafeLoader):
    """A YAML loader in which everything except true, false, null and decimal numbers is text.

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


def _nothing(_: object) -> Iterable[tuple[Loc, str]]:
    return ()


#: Makes a problem from a message about a part of the file, at the part's line.
At = Callable[[Loc, str], Problem]


def load(
    path: Path,
    model: type[M],
    *,
    bytes_max: int,
    counts: frozenset[str] = frozenset(),
    also: Callable[[object], Iterable[tuple[Loc, str]]] = _nothing,
) -> M | list[Problem]:
    """The model in the file, or everything that is wrong with it in the order of the lines.

    Contradictions between fields are found once the fields themselves are right. `also` finds more
    in the plain data; whole numbers whose field is not in `counts` are amounts. Reads the file.
    """
    return located(path, model, bytes_max=bytes_max, counts=counts, also=also)[0]


def whole(path: Path, model: type[M], *, bytes_max: int, secret: bool = False) -> M:
    """The model in the file; raises BrokenFile with everything that is wrong. Reads the file.

    Of a `secret` file no problem shows the value that was found, which may be a secret or have one.
    """
    found = load(path, model, bytes_max=bytes_max)
    if isinstance(found, list):
        shown = [replace(one, message=one.message.partition(", got ")[0]) for one in found]
        raise BrokenFile(path, shown if secret else found)
    return found


def located(
    path: Path,
    model: type[M],
    *,
    bytes_max: int,
    counts: frozenset[str] = frozenset(),
    also: Callable[[object], Iterable[tuple[Loc, str]]] = _nothing,
) -> tuple[M | list[Problem], At]:
    """The result of `load`, and a function that finds the line of a part of the file. Reads the file."""
    reading = _Reading()
    node = _composed(path, bytes_max)
    if isinstance(node, Problem):
        return [node], reading.at
    if isinstance(node, list):
        return node, reading.at
    data = reading.plain(node, ())
    for loc, why in also(data):
        reading.report(loc, why)
    return reading.validated(model, data, counts), reading.at


def _composed(path: Path, bytes_max: int) -> yaml.Node | list[Problem] | Problem:
    """The nodes of the file, or why there are none."""
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        return Problem(1, 1, "", f"cannot be read: {error.strerror}")
    if len(raw) > bytes_max:
        return Problem(1, 1, "", f"is larger than {bytes_max} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(raw.count(b"\n", 0, error.start) + 1, 1, "", "is not UTF-8")
    try:
        refused = _refused_syntax(text)
        node = yaml.compose(text, Loader=_Loader) if not refused else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Problem(line, column, "", f"is not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:  # a character that YAML does not allow
        return Problem(1, 1, "", f"is not YAML: {str(error).splitlines()[0]}")
    return refused or node or Problem(1, 1, "", "is empty")


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
    """One pass over the node tree: plain data, and the line of each part."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Loc, tuple[int, int]] = {}

    def validated(self, model: type[M], data: object, counts: frozenset[str]) -> M | list[Problem]:
        """Validate strictly: nothing unknown, no text where a number belongs."""
        known = {problem.pointer for problem in self.problems}
        try:
            # As JSON, from which strict mode still reads "PT15M" as a duration and "food" as a category.
            found = model.model_validate_json(json.dumps(data), strict=True, extra="forbid")
        except ValidationError as error:
            for wrong in error.errors(include_url=False):
                loc = tuple(part for part in wrong["loc"] if part != "[key]")
                if _pointer(loc) not in known:
                    known.add(_pointer(loc))
                    self.report(loc, _message(wrong["type"], loc, wrong, counts))
            return sorted(set(self.problems))
        return sorted(set(self.problems)) if self.problems else found

    def report(self, loc: Loc, message: str) -> None:
        """Note what is wrong at a place."""
        self.problems.append(self.at(loc, message))

    def at(self, loc: Loc, message: str) -> Problem:
        """A problem at a place: at its line, or at that of the nearest existing parent."""
        known = loc
        while known and known not in self.places:  # a missing field has the line of its parent
            known = known[:-1]
        return Problem(*self.places.get(known, (1, 1)), _pointer(loc), message)

    def plain(self, node: yaml.Node, loc: Loc) -> object:
        """The data of a node and all below it."""
        self.places.setdefault(loc, (node.start_mark.line + 1, node.start_mark.column + 1))
        if node.tag not in _TAGS_KNOWN:
            self.report(loc, f"the tag {node.tag} is not used here")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, loc))
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*loc, index)) for index, item in enumerate(node.value)]
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
            yield name, self.plain(value, (*loc, name))

    def _scalar(self, node: yaml.Node, loc: Loc) -> object:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        try:
            if kind == "int":
                return int(text.replace("_", ""))
            if kind == "float":
                return float(text.replace("_", ""))
        except ValueError:  # an explicit tag: `!!int "x"`
            self.report(loc, f'is not a number, got "{text}"')
            return None
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self.report(loc, "holds half a character")
            return None
        return {"bool": text == "true", "null": None}.get(kind, text)


def _message(kind: str, loc: Loc, found: ErrorDetails, counts: frozenset[str]) -> str:
    """The error in plain words, with the value that was found."""
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
        name = next((part for part in reversed(loc) if isinstance(part, str)), "")
        money = "" if name in counts else " of minor units"
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
