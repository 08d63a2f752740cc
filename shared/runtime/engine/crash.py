"""Named crash points, at which a test may kill or freeze a process.

Production passes `nowhere`. The points: `decided` (a batch is decided, nothing committed),
`committed` (committed, not yet published or answered), `published` (on Kafka, not yet trimmed),
`taken` (an effect is taken in hand, not yet done), `effected` (done, its fate not yet recorded),
`fetched` (a mail is read, nothing is committed), `seen` (it is committed and marked, not yet moved).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS = ("decided", "committed", "published", "taken", "effected", "fetched", "seen")


def nowhere(_point: str) -> None:
    """No crash."""


def crash_at(spec: str) -> Callable[[str], None]:
    """`point:n` ends this process by SIGKILL at the n-th passing of the point; empty never does.

    `point:n:stop` freezes it there by SIGSTOP instead, until somebody sends SIGCONT.
    """
    if not spec:
        return nowhere
    where, count, *stop = spec.split(":")
    if where not in POINTS:
        msg = f"no crash point {where}; there are {', '.join(POINTS)}"
        raise ValueError(msg)
    left = int(count)

    def pass_by(point: str) -> None:
        nonlocal left
        if point == where:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGSTOP if stop else signal.SIGKILL)

    return pass_by
