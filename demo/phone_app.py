"""The phone app's build beside the demo: it begins with Kafka, and is waited for after the story."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from devstack.pids import private_folder

#: For what is left of a build after the story; npm gives up sooner where it reaches no registry.
WAIT_S = 90.0


@dataclass(frozen=True)
class Building:
    """A build that runs, and the file that it writes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def why_not(self, wait_s: float = WAIT_S) -> str:
        """Wait for the build; why there is none, in one sentence, and empty if there is one. Blocks."""
        try:
            if self.process.wait(wait_s) == 0:
                return ""
        except subprocess.TimeoutExpired:
            return f"the phone app is still not built after {wait_s:.0f} s"
        said = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(said) if line), "the phone app cannot be built")

    def stop(self) -> None:
        """End it with everything that it started; nothing if it has ended."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


@contextmanager
def building(folder: Path) -> Iterator[Building]:
    """Build the phone app for a `with` block, unless it is up to date; the story goes first for the processor."""
    private_folder(folder)
    log = folder / "phone-app.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["nice", sys.executable, "-m", "devstack.web"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    build = Building(process, log)
    try:
        yield build
    finally:
        build.stop()
