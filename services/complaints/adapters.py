"""The ports of complaints, made of the triage rules."""

from __future__ import annotations

from services.complaints.triage import Languages, triage
from shared.contracts.complaints import Category, Language, Severity


class RulesReader:
    """Reads by keyword rules: simple, fast, and the same every time."""

    def __init__(self) -> None:
        self._languages = Languages()

    def language(self, text: str, hint: str | None) -> Language:
        """The customer's language: a valid hint wins."""
        return self._languages.detect(text, hint)

    def understand(self, text: str, language: Language) -> tuple[Category, Severity, bool]:
        """What the rules find."""
        found = triage(text, language)
        return found.category, found.severity, found.safety
