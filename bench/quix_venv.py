"""A virtual environment for the peer on quixstreams, made once; bench only.

Its own requirements would bind ours, so it is not in the lock. Our packages come first, so that both sides
parse with the same versions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig

from bench import world

REQUIREMENT = "quixstreams==3.28.1"
INSTALL_DEADLINE_S = 600


class Absent(Exception):
    """It cannot be installed here; the text says why."""


def python() -> str:
    """The interpreter that has quixstreams; installs it the first time. Blocks; raises Absent."""
    folder = world.RUN / "downloads" / REQUIREMENT.replace("==", "-")
    found, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(found), "-m", "pip", "install", "--quiet", "--retries", "1", REQUIREMENT)
        _run(str(found), "-c", "import quixstreams", **environment())
        ready.touch()
    return str(found)


def environment() -> dict[str, str]:
    """The variables that let it import the bench, and our packages before its own."""
    path = [str(world.ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}


def _run(*command: str, **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=INSTALL_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"it was not installed within {INSTALL_DEADLINE_S} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise Absent(said[-1])
