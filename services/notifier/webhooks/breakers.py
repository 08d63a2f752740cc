"""Which endpoints are left alone: after some failures in a row one webhook at a time tries, ever more seldom."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.webhooks.rules import RETRY_FIRST, RETRY_LONGEST
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome
from shared.runtime.observe import log

#: Failures in a row after which an endpoint is left alone: one is bad luck, five are an outage.
FAILURES_MAX = 5
#: The longest that it is left alone: a partner that is back after a night hears of it soon.
PAUSE_LONGEST = timedelta(minutes=15)
#: How long the one that tries is waited for: longer than a post may take.
TRIES_FOR = timedelta(seconds=20)


class Breaker(NamedTuple):
    """What a process remembers of an endpoint: failures in a row, and until when it is left alone."""

    failures: int = 0
    open_until: datetime | None = None


def fared(breaker: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    """The breaker after one more post; pauses double from `RETRY_FIRST` on, and last as long as the endpoint asks.

    That is bounded as the delay of one webhook is: one who asks for a day would have nothing of it.
    """
    if isinstance(outcome, Delivered | Never):
        return Breaker()
    failures = breaker.failures + 1
    if failures < FAILURES_MAX:
        return Breaker(failures)
    times: int = 2 ** min(failures - FAILURES_MAX, 20)
    asked = outcome.after if isinstance(outcome, Later) else timedelta(0)
    pause = max(min(RETRY_FIRST * times, PAUSE_LONGEST), min(asked, RETRY_LONGEST))
    return Breaker(failures, now + pause)


class Breakers:
    """One breaker for each endpoint of the operator's file.

    They are this process's own, and lost with it, which costs a few refused attempts.
    """

    def __init__(self, endpoints: Collection[str]) -> None:
        self._of = dict.fromkeys(endpoints, Breaker())

    def left_alone(self, endpoint: str, now: datetime) -> timedelta:
        """For how long the endpoint is left alone; zero for whoever may try it, and the others wait for them."""
        failures, until = self._of[endpoint]
        if until is None:
            return timedelta(0)
        if until > now:
            return until - now
        self._of[endpoint] = Breaker(failures, now + TRIES_FOR)
        return timedelta(0)

    def fared(self, endpoint: str, outcome: Outcome, now: datetime) -> None:
        """Count the outcome of a post."""
        before = self._of[endpoint]
        after = self._of[endpoint] = fared(before, outcome, now)
        if after.open_until is not None and before.open_until is None:
            log.warning("endpoint_left_alone", endpoint=endpoint)
        if isinstance(outcome, Delivered) and before.open_until is not None:
            log.warning("endpoint_works_again", endpoint=endpoint)
