"""What is in the image: a bill of materials, the licences of its packages, and a search for secrets there and here.

`make sbom` is its command. It ends with status 1 if a licence is not among the allowed ones or a secret is found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from devstack import pids
from devstack.stack import ROOT, RUN_DIRECTORY, StackError, pip_packages

TOOLS_LOCK = ROOT / "deploy" / "sbom" / "requirements.txt"
BILL = RUN_DIRECTORY / "sbom" / "service-check.cdx.json"
LICENCES = BILL.with_name("licences.txt")
#: What the image has over its base.
OUR_LAYERS = ("/app", "/opt/service-check")
PYTHON = "/opt/service-check/bin/python"
#: One tool takes a minute, and more where others work beside it.
DEADLINE_S = 1800

#: Licences under which whoever ships the image only has to keep their texts, which are in it.
PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Python-2.0",
        "ZPL-2.1",
        "Zlib",
        "License :: OSI Approved :: Apache Software License",
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: ISC License (ISCL)",
        "License :: OSI Approved :: MIT License",
        "License :: OSI Approved :: Python Software Foundation License",
        # The licence of Zope under another name.
        "License :: Repoze Public License",
    }
)
#: Allowed because we import these packages as libraries, which anybody can replace by another build. The image leaves parts
#: of them out and changes none.
LESSER_GPL = frozenset(
    {
        "LGPL-2.1-or-later",
        "License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)",
    }
)
#: Allowed because it asks for the source of the covered files alone, and they are Python files. The image leaves out the
#: tests of these packages and changes none of their files.
MOZILLA = frozenset({"MPL-2.0", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"})
ALLOWED = PERMISSIVE | LESSER_GPL | MOZILLA

#: Licences of packages whose metadata have none that the tool knows, each with the file of its wheel that says so.
UNDECLARED = {
    # LICENSE in its dist-info; its metadata say "3-Clause BSD License", which is no SPDX name.
    "protobuf": "BSD-3-Clause",
}

#: Patterns of known kinds of secrets. Random strings and words like "password" are everywhere in a lock and in tests.
SCAN = (
    "detect_secrets",
    "scan",
    "--disable-plugin=Base64HighEntropyString",
    "--disable-plugin=HexHighEntropyString",
    "--disable-plugin=IPPublicDetector",
    "--disable-plugin=KeywordDetector",
)
#: Runs a module of the tools, which must not be packages of the image that it looks at.
_RUN_TOOL = """\
import runpy, sys
sys.path.append(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""

app = typer.Typer(name="sbom", help=__doc__)


@app.command()
def command(image: str = "service-check:dev") -> None:
    """Write the bill of materials of an image, and judge it; blocks for some minutes."""
    try:
        tools = pip_packages(TOOLS_LOCK, "what lists packages and finds secrets", "sbom")
        text = _run(*_in_image(image, tools), "cyclonedx_py", "environment", PYTHON)
        there = _run(*_in_image(image, tools), *SCAN, "--all-files", *OUR_LAYERS)
        here = _run(sys.executable, "-c", _RUN_TOOL, str(tools), *SCAN)
    except StackError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    bill = json.loads(text)
    pids.private_folder(BILL.parent)
    BILL.write_text(text)
    LICENCES.write_text(listed(bill))
    typer.echo(f"{len(bill['components'])} packages: {_shown(BILL)}, {_shown(LICENCES)}")
    faults = [f"{one}: not an allowed licence" for one in refused(bill)]
    faults += [f"{one}: looks like a secret" for one in (*found(there), *found(here))]
    for fault in faults:
        typer.echo(fault, err=True)
    raise typer.Exit(1 if faults else 0)


# What is judged ------------------------------------------------------------------------------------


def refused(bill: Mapping[str, Any]) -> list[str]:
    """Return each package with a licence that is not allowed, or with none at all."""
    return [
        f"{package} ({licence})"
        for package, licences in _licences(bill)
        for licence in licences or ["none"]
        if not allowed(licence)
    ]


def allowed(licence: str) -> bool:
    """Whether one alternative of an SPDX expression, or the name of a licence, is allowed as a whole."""
    return any(ALLOWED.issuperset(option.split(" AND ")) for option in licence.split(" OR "))


def listed(bill: Mapping[str, Any]) -> str:
    """Return a line per package: its name, its version and its licences."""
    lines = (f"{package}: {'; '.join(licences)}\n" for package, licences in _licences(bill))
    return "".join(sorted(lines, key=str.casefold))


def found(report: str) -> list[str]:
    """Return the places that a report of detect-secrets names; never what stands there."""
    results: Mapping[str, Sequence[Mapping[str, Any]]] = json.loads(report)["results"]
    return [
        f"{file}:{one['line_number']} ({one['type']})"
        for file, places in results.items()
        for one in places
    ]


def _licences(bill: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (
            f"{component['name']} {component['version']}",
            [
                one.get("expression") or one["license"].get("id") or one["license"]["name"]
                for one in component.get("licenses") or _undeclared(component["name"])
            ],
        )
        for component in bill["components"]
    ]


def _undeclared(package: str) -> list[dict[str, Any]]:
    return [{"license": {"id": UNDECLARED[package]}}] if package in UNDECLARED else []


# Running the tools ---------------------------------------------------------------------------------


def _in_image(image: str, tools: Path) -> list[str]:
    """Words that run a tool inside the image as it is, with no network and no rights."""
    engine = os.environ.get("ENGINE", "docker")
    confined = "--rm --read-only --cap-drop=all --security-opt=no-new-privileges --network=none --tmpfs=/tmp"
    mount = f"--volume={tools}:/tools:ro"
    # Its health check would ask for a service.
    words = [engine, "run", *confined.split(), "--no-healthcheck", mount, "--entrypoint=python"]
    return [*words, image, "-c", _RUN_TOOL, "/tools"]


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S
        )
    except FileNotFoundError:
        msg = f"{command[0]} is not here: make engine, or ENGINE=docker|podman"
        raise StackError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"{command[0]} did not end within {DEADLINE_S} s"
        raise StackError(msg) from None
    if done.returncode:
        msg = f"{command[0]} failed with status {done.returncode}: {done.stderr.strip()[-2000:]}"
        raise StackError(msg)
    return done.stdout


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    app(prog_name="python -m devstack.sbom")
