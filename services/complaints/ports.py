"""What the rules of complaints need from the world."""

from __future__ import annotations

from typing import Protocol

from shared.contracts.complaints import Category, Language, Severity


class Reader(Protocol):
    """Somebody who reads a complaint and says what it is about."""

    def language(self, text: str, hint: str | None) -> Language:
        """The language the customer wrote in."""
        ...

    def understand(self, text: str, language: Language) -> tuple[Category, Severity, bool]:
        """Category, severity, and whether somebody's safety is concerned."""
        ...
