"""When a provider is left alone, and which one is taken: pure rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.runtime.engine.effects import Delivered, Never, Outcome

#: Failures in a row after which a provider is left alone: one is bad luck, five are an outage.
FAILURES_MAX = 5
#: How long it is left alone; the next message after that tries it again.
PAUSE = timedelta(seconds=30)


class Breaker(NamedTuple):
    """What a process remembers of a provider: failures in a row, and until when it is left alone."""

    failures: int = 0
    open_until: datetime | None = None

    def closed(self, now: datetime) -> bool:
        """Whether the provider may be asked."""
        return self.open_until is None or self.open_until <= now


def fared(breaker: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    """The breaker after one more letter; any clear answer about the letter closes it."""
    if isinstance(outcome, Delivered | Never):
        return Breaker()
    failures = min(breaker.failures + 1, FAILURES_MAX)
    return Breaker(failures, now + PAUSE if failures == FAILURES_MAX else None)


def chosen(
    order: Sequence[str], attempts: int, closed: Collection[str], unknown: str | None = None
) -> str | None:
    """The provider of the next attempt; None if there is none.

    Each attempt that failed moves on to the next of the order, and providers that are left alone are
    passed over while another is not. After an attempt of unknown fate it is that provider again,
    `unknown`, because no other one recognises the repeat.
    """
    if unknown in order:
        return unknown
    if not order:
        return None
    first = attempts % len(order)
    turned = [*order[first:], *order[:first]]
    return next((name for name in turned if name in closed), turned[0])
