"""Bounds the wrong codes that a till may show, so that nobody can guess one."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.http.auth import Principal

#: Wrong codes that a till may show within a minute. All tills of a site may be one caller, and people
#: mistype; but guessing a code of 50 bits takes millions.
TRIES_MAX = 60


TRIES_WITHIN = timedelta(minutes=1)


#: Tills remembered in one process; beyond this, the till that failed first is forgotten.
TILLS_MAX = 10_000


class Tries:
    """Counts wrong codes per till, in each process apart: a bound on guessing need not be exact."""

    def __init__(self) -> None:
        #: By the whole principal: two sites may both call a till `till-1`.
        self._failed: dict[Principal, tuple[datetime, int]] = {}

    def check(self, till: Principal, now: datetime) -> None:
        """Raises Unavailable(too_many_tries) while the till must wait."""
        since, count = self._failed.get(till, (now, 0))
        left = since + TRIES_WITHIN - now
        if count >= TRIES_MAX and left > timedelta():
            wait_s = ceil(left.total_seconds())
            raise Unavailable(Reason.TOO_MANY_TRIES, retry_after_s=wait_s)

    def failed(self, till: Principal, now: datetime) -> None:
        """Count one wrong code."""
        since, count = self._failed.get(till, (now, 0))
        if now - since >= TRIES_WITHIN:
            since, count = now, 0
            self._failed.pop(till, None)  # so that the first in the dictionary failed first
        self._failed[till] = since, count + 1
        if len(self._failed) > TILLS_MAX:
            del self._failed[next(iter(self._failed))]
