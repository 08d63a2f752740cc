"""The ports of complaints: what its handlers need from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shared.contracts.complaints import Category, Language, Service, Severity


class News(Protocol):
    """Knows how far this service has read what others published."""

    async def read_until(self, moment: datetime) -> None:
        """Return if all facts that other services published until `moment` are settled here; asks the broker.

        Raises Unavailable(stream_behind) while they are not, or while the broker does not answer.
        """
        ...


class Reader(Protocol):
    """Reads a complaint and says what it is about."""

    def language(self, text: str, hint: str | None) -> Language:
        """The language the customer wrote in."""
        ...

    def understand(
        self, text: str, language: Language
    ) -> tuple[Category, Severity, bool, Service | None]:
        """Category, severity, whether somebody's safety is concerned, and the service that failed if known."""
        ...
