"""A deliberate fault as a file: who would suffer from it, the test that must find it, and the patch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
#: What stands above the patch, one line each.
HEAD = ("Fault", "Test")
SUITES = ROOT / "tests" / "suites"


class Broken(Exception):
    """A mutant that cannot be read or does not apply; the text says why and is meant for a person."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `fault` is what somebody would suffer, `test` is the node id of the test that must fail.

    The name begins with the area. `changes` are the lines as they are and as the fault has them; line
    numbers are not used, so that code may move within its file.
    """

    name: str
    fault: str
    test: str
    path: str
    changes: tuple[tuple[str, str], ...]

    @property
    def area(self) -> str:
        """The part of the product that the fault is in."""
        return self.name.partition("-")[0]

    def applied(self, text: str) -> str:
        """The file with the fault; raises Broken unless each change fits exactly one place."""
        for before, after in self.changes:
            if (found := text.count(before)) != 1:
                raise Broken(f"{self.name} fits {found} places of {self.path} and not one")
            text = text.replace(before, after)
        return text

    def is_named(self) -> bool:
        """Whether the test is there: in its file, or in a suite that a class in its file runs."""
        file, _, rest = self.test.partition("::")
        function = rest.rpartition("::")[2].partition("[")[0]
        places = [ROOT / file, *(SUITES.glob("*.py") if rest.count("::") else ())]
        defined = re.compile(rf"^ *(?:async )?def {re.escape(function)}\(", re.M)
        return (ROOT / file).is_file() and any(
            defined.search(place.read_text(encoding="utf-8")) for place in places
        )


def mutants(folder: Path = FOLDER) -> list[Mutant]:
    """All mutants, by name; raises Broken for a file that is none."""
    return [_read(path) for path in sorted(folder.glob("*.patch"))]


def _read(path: Path) -> Mutant:
    head, _, patch = path.read_text(encoding="utf-8").partition("\n--- a/")
    said = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    lines = patch.splitlines(keepends=True)
    if tuple(said) != HEAD or len(lines) < 2 or lines[1].strip() != f"+++ b/{lines[0].strip()}":
        raise Broken(f"{path.name} is not a fault, a test and a patch of one file")
    changes = tuple(_changes(lines[2:]))
    if not changes or any(before == after for before, after in changes):
        raise Broken(f"{path.name} changes nothing")
    return Mutant(path.stem, said["Fault"], said["Test"], lines[0].strip(), changes)


def _changes(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each hunk as the lines before and after."""
    before: list[str] = []
    after: list[str] = []
    for line in lines:
        if line.startswith("@@"):
            if before or after:
                yield "".join(before), "".join(after)
            before, after = [], []
            continue
        if line[0] in " -":
            before.append(line[1:])
        if line[0] in " +":
            after.append(line[1:])
    if before or after:
        yield "".join(before), "".join(after)
