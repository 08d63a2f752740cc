"""The ports of complaints, made of the triage rules."""

from __future__ import annotations

from services.complaints.triage import detect_language, triage
from shared.contracts.complaints import Category, Language, Severity


class RulesReader:
    """Reads by keyword rules: simple, fast, and the same every time."""

    def language(self, text: str, hint: str | None) -> Language:
        """The customer's language: a valid hint wins."""
        return Language(detect_language(text, hint))

    def understand(self, text: str, language: Language) -> tuple[Category, Severity, bool]:
        """What the rules find."""
        found = triage(text, language)
        return found.category, found.severity, found.safety
