"""python -m tests.clients: the API documents judged by what makes clients of them.

Redocly's linter, openapi-typescript, openapi-python-client with mypy, and schemathesis. They are
downloaded into `.run/clients`, each in the version that is pinned here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
WORK = ROOT / ".run" / "clients"
DOCUMENTS = sorted((ROOT / "docs" / "reference" / "openapi").glob("*.json"))
#: Models that a client of all four services has; a schema for each route would be many hundreds.
MODELS_MAX = 140
#: Minutes that schemathesis takes with more; 200 before a release.
EXAMPLES = 20
#: As the README tells clients: a field with a default may be left out of what is sent.
TYPESCRIPT = ("--default-non-nullable=false",)
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def run(*words: str | Path, at: Path = WORK, **more: str) -> None:
    """Run a command to its end; raises CalledProcessError if it fails."""
    subprocess.run(
        [str(word) for word in words], cwd=at, env={**os.environ, **QUIET, **more}, check=True
    )


def install() -> Path:
    """The tools in `.run/clients`; returns where those of Python are."""
    WORK.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        (WORK / name).write_bytes((HERE / name).read_bytes())
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    venv = WORK / "venv"
    if not (venv / "bin" / "openapi-python-client").exists():
        run(sys.executable, "-m", "venv", venv)
        run(venv / "bin" / "pip", "install", "-q", "-r", HERE / "requirements.txt")
    # schemathesis asks the services themselves: what they need is where this runs.
    (found,) = (path for path in sys.path if path.endswith("site-packages"))
    (packages,) = venv.glob("lib/*/site-packages")
    (packages / "product.pth").write_text(found + "\n", encoding="utf-8")
    return venv / "bin"


def judge_typescript(document: Path) -> None:
    """Types of every answer; raises AssertionError where one is `unknown`."""
    types = WORK / f"{document.stem}.d.ts"
    run("node_modules/.bin/openapi-typescript", document, *TYPESCRIPT, "-o", types)
    run("node_modules/.bin/tsc", "--noEmit", "--strict", types)
    text = re.sub(r"/\*.*?\*/", "", types.read_text(encoding="utf-8"), flags=re.S)
    # A response may have headers that nobody described: the tool says so of each.
    text = text.replace("[name: string]: unknown;", "")
    assert not re.search(r"\bunknown\b", text), f"{document.name} leaves a shape open"


def judge_python(document: Path, tools: Path) -> int:
    """A client that mypy takes as it is; returns how many models it has."""
    package = f"client_{document.stem}"
    run(
        tools / "openapi-python-client", "generate", "--path", document, "--output-path", package,
        "--meta", "none", "--config", HERE / "openapi-python-client.yaml", "--overwrite",
        "--fail-on-warning",
        PATH=f"{tools}{os.pathsep}{os.environ['PATH']}",  # it formats with the ruff beside it
    )  # fmt: skip
    # Not its `client.py`, which is the same for every document and passes arguments on untyped.
    run(tools / "mypy", "--strict", "--exclude", r"client\.py$", "--follow-imports=silent",
        "-p", f"{package}.models", "-p", f"{package}.api")  # fmt: skip
    return len(list((WORK / package / "models").glob("*.py"))) - 1


def main(words: Sequence[str]) -> None:
    """All judges, one after the other."""
    tools = install()
    run("node_modules/.bin/redocly", "lint", *DOCUMENTS)
    for document in DOCUMENTS:
        judge_typescript(document)
    models = sum(judge_python(document, tools) for document in DOCUMENTS)
    assert models <= MODELS_MAX, f"{models} models"
    examples = words[0] if words else str(EXAMPLES)
    run(tools / "python", "-m", "tests.clients.fuzz", examples, at=ROOT)
    print(f"{len(DOCUMENTS)} documents, {models} models, {examples} examples per route and kind")


if __name__ == "__main__":
    main(sys.argv[1:])
