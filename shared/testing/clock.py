"""A clock that moves only when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: A Wednesday afternoon in summer; any fixed moment would do.
START = datetime(2026, 6, 3, 14, 0, tzinfo=UTC)


class Clock:
    """`now` for tests: called like the clock of production."""

    def __init__(self, start: datetime = START) -> None:
        self.moment = start

    def __call__(self) -> datetime:
        """The current time."""
        return self.moment

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.moment += by
