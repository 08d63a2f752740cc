"""CPU time of processes, bytes into Redis and its memory: read before and after a turn.

CPU time is what the kernel says of each thread in `/proc/<pid>/task/*/schedstat`, in nanoseconds; where
there is no such file (not Linux, or the process is in a container), the figure is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

PROC = Path("/proc")
#: The process of this bench, which sends the requests.
CLIENT = "client"
#: Name → the pids that count for it now, which may change: a server may start a process per connection.
Processes = Mapping[str, Callable[[], Iterable[int]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment: nanoseconds by process and thread, and Redis's bytes."""

    cpu_ns: Mapping[str, Mapping[int, int]]
    input_bytes: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """The cost of one operation, on average over a turn."""

    #: Microseconds of CPU by process.
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    #: Bytes that Redis received, and by which its memory grew.
    redis_input_bytes: float | None = None
    redis_memory_bytes: float | None = None


@dataclass(frozen=True)
class Meter:
    """Reads the counters of some processes, and of a Redis if its address is given."""

    processes: Processes
    redis_url: str | None = None

    def read(self) -> Reading:
        """The counters now; blocks for about a millisecond."""
        cpu_ns = {}
        for name, pids in self.processes.items():
            threads: dict[int, int] = {}
            for pid in pids():
                threads.update(_threads(pid))
            if threads:
                cpu_ns[name] = threads
        if self.redis_url is None:
            return Reading(cpu_ns)
        with closing(redis.Redis.from_url(self.redis_url)) as server:
            found = server.info("stats"), server.info("memory")
        return Reading(cpu_ns, found[0]["total_net_input_bytes"], found[1]["used_memory"])


def spent(before: Reading, after: Reading, operations: int) -> Spent:
    """The cost of each of so many operations between two readings.

    The time of a thread that ended in between is not seen.
    """
    cpu_us = {
        name: sum(ns - before.cpu_ns.get(name, {}).get(thread, 0) for thread, ns in now.items())
        / 1000
        / operations
        for name, now in after.cpu_ns.items()
    }

    def grown(since: int | None, until: int | None) -> float | None:
        return None if since is None or until is None else (until - since) / operations

    return Spent(
        cpu_us,
        grown(before.input_bytes, after.input_bytes),
        grown(before.memory_bytes, after.memory_bytes),
    )


def this_process() -> Iterable[int]:
    """The pid of this process."""
    return (os.getpid(),)


def with_children(pid: int) -> Callable[[], Iterable[int]]:
    """The pids of a process and of its children, looked up at each call."""

    def look() -> Iterable[int]:
        return pid, *(child for child, parent in _parents() if parent == pid)

    return look


def _parents() -> Iterable[tuple[int, int]]:
    """Every process with its parent."""
    for stat in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            # The second field is the name in brackets and may hold spaces and brackets.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            yield int(stat.parent.name), int(fields[1])


def _threads(pid: int) -> Mapping[int, int]:
    """Nanoseconds on a processor of each thread of a process; empty if the kernel does not say."""
    found = {}
    with suppress(OSError):  # the process ended, or there is no /proc
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError):  # the thread ended meanwhile
                found[int(task.name)] = int((task / "schedstat").read_text().split()[0])
    return found
