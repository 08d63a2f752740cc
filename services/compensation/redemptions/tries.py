"""Wrong codes that tills showed: bounded per till, so that nobody guesses one."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.http.auth import Principal

#: Codes in vain that a till may show within a minute: all tills of a site may be one caller and mistype
#: a few, and who guesses one of 50 bits needs millions.
TRIES_MAX = 60


TRIES_WITHIN = timedelta(minutes=1)


#: Tills remembered in one process; one more, and who failed first is forgotten.
TILLS_MAX = 10_000


class Tries:
    """Wrong codes per till, each process for itself: a bound on guessing need not be exact."""

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
