"""The auditor's verdict on one invariant: a line with numbers, and its violations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

#: Examples shown of one violation.
SHOWN_MAX = 10


@dataclass
class Verdict:
    """One invariant."""

    states: str
    numbers: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def lines(self) -> list[str]:
        """The line, followed by some of the violations."""
        head = f"{'holds ' if self.holds else 'BROKEN'}  {self.states}: {self.numbers}"
        more = len(self.wrong) - SHOWN_MAX
        rest = [f"            and {more} more"] if more > 0 else []
        return [head, *(f"        {one}" for one in self.wrong[:SHOWN_MAX]), *rest]


def more_than_once(found: Iterable[Hashable]) -> dict[Hashable, int]:
    """The values that occur more than once, with their number."""
    return {one: times for one, times in Counter(found).items() if times > 1}
