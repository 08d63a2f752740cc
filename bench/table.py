"""A table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

NONE = "not measured"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of these columns and rows."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)
