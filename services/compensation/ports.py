"""What the rules of compensation need from the world."""

from __future__ import annotations

from typing import Protocol


class CodeMaker(Protocol):
    """Makes the codes customers show."""

    def code(self, check_id: str) -> str:
        """The code of a check; the same at every call."""
        ...

    def hash(self, code: str) -> str:
        """What is stored of a code."""
        ...
