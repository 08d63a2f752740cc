"""Child processes by pid, so that a later command can end exactly these.

The kernel may give a pid to another process. So each pid file also has the start time of the process,
and a signal is sent only if both still agree.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Time to end after SIGTERM. A healthy broker needs one to three seconds.
TERM_DEADLINE_S = 20.0
#: Time to end after SIGKILL; only a process stuck in a disk driver needs longer.
KILL_DEADLINE_S = 10.0
POLL_INTERVAL_S = 0.02
#: The name of the folder that local commands write to.
RUN_FOLDER = ".run"
#: States of a process that has ended and waits for its parent to notice.
_ENDED = frozenset("ZX")

#: Runs first in the child. It makes a session, so that Ctrl-C on the terminal reaches our program and not
#: its servers; on request the kernel kills the child when the parent dies. A line of Python instead of
#: `preexec_fn`, which may deadlock in a program with threads.
_SHIM = """\
import ctypes, os, signal, sys
parent, directory, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
os.setsid()
os.chdir(directory)
if parent:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
os.execvp(command[0], command)
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its pid, and its start time as the kernel writes it."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this process still runs; reaps it if it is our child and has ended."""
        state, started = _look(self.pid)
        if started != self.started:
            return False
        if state not in _ENDED:
            return True
        # ChildProcessError: not our child, an earlier command started it.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.alive():
            # ProcessLookupError: it ended between the look and the signal.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def spawn(command: Sequence[str], *, directory: Path, log: Path, dies_with_parent: bool) -> Process:
    """Start a command in a session of its own, output appended to `log`; does not wait for it.

    With `dies_with_parent` the kernel kills it when this process dies, on Linux. The kernel watches the
    calling *thread*, so this is not done outside the main thread: the end of a pool thread would kill
    a healthy server.
    Raises OSError if the process cannot be made; a command that cannot be found ends at once.
    """
    tied = (
        dies_with_parent
        and sys.platform == "linux"
        and threading.current_thread() is threading.main_thread()
    )
    parent = os.getpid() if tied else 0
    with log.open("ab") as output:
        fd = output.fileno()
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-ISc", _SHIM, str(parent), str(directory), *command],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, fd, 1),
                (os.POSIX_SPAWN_DUP2, fd, 2),
            ],
        )
    return Process(pid, _look(pid)[1])


def find(pid: int) -> Process | None:
    """Return the running process with this pid, or None; a zombie does not count."""
    state, started = _look(pid)
    return Process(pid, started) if state and state not in _ENDED else None


def remember(process: Process, pid_file: Path) -> None:
    """Write the pid file atomically."""
    draft = pid_file.with_suffix(".draft")
    draft.write_text(f"{process.pid} {process.started}\n")
    draft.replace(pid_file)


def recall(pid_file: Path) -> Process | None:
    """Return the running process that a pid file names, or None."""
    try:
        pid, _, started = pid_file.read_text().strip().partition(" ")
    except FileNotFoundError:
        return None
    process = Process(int(pid), started) if pid.isdecimal() else None
    return process if process is not None and process.alive() else None


def stop(processes: Iterable[Process], *, at_once: bool = False) -> None:
    """End processes and wait until they are gone: SIGTERM, then SIGKILL after a deadline.

    `at_once` skips SIGTERM, for servers whose data is thrown away. Blocks for at most
    TERM_DEADLINE_S + KILL_DEADLINE_S. Raises TimeoutError if one survives SIGKILL.
    """
    left = list(processes)
    steps = [(signal.SIGTERM, TERM_DEADLINE_S), (signal.SIGKILL, KILL_DEADLINE_S)]
    for number, deadline_s in steps[1:] if at_once else steps:
        for process in left:
            process.signal(number)
        if wait_until(lambda: not any(process.alive() for process in left), deadline_s):
            return
    msg = f"still running after SIGKILL: {[process.pid for process in left if process.alive()]}"
    raise TimeoutError(msg)


def wait_until(true: Callable[[], bool], deadline_s: float) -> bool:
    """Poll until `true()` or the deadline; returns whether it became true. Blocks."""
    end = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def _look(pid: int) -> tuple[str, str]:
    """State letter and start time of a process as the kernel tells them; both empty if unknown."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return "", ""
        # The second field is the name in brackets and may hold spaces and brackets.
        fields = stat.rpartition(")")[2].split()
        return fields[0], fields[19]
    ps = shutil.which("ps") or "ps"
    answer = subprocess.run(
        [ps, "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return state[:1], started.strip()


def private_folder(directory: Path) -> None:
    """Make a folder and its missing parents, readable by the owner only.

    An existing `.run` that others may enter is closed to them, because an earlier build may have made it.
    Any other existing folder stays as it is: it may belong to another program.
    """
    for folder in reversed([directory, *directory.parents]):
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.name == RUN_FOLDER and folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
