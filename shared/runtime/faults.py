"""The two expected faults of a handler; any other exception is a defect.

Rejected     the input is wrong and stays wrong: a dead letter, or a problem to the caller.
Unavailable  something outside is down or not ready: retry later; over HTTP with Retry-After.

The reason has the status that either is answered with over HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shared.contracts.reasons import Reason


class Rejected(Exception):
    """This input will never be accepted; `where` are field locations, never values.

    `told` are numbers, ids and codes, or lists of codes, that the caller can go on with; they become fields of the problem.
    """

    def __init__(
        self,
        reason: Reason,
        *,
        where: tuple[str, ...] = (),
        told: Mapping[str, int | str | Sequence[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.where = where
        self.told = told


class Unavailable(Exception):
    """Something this input needs is not there now; the input itself may be fine. HTTP says whole seconds, rounded up."""

    def __init__(self, reason: Reason, *, retry_after_s: float = 1) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.retry_after_s = retry_after_s
