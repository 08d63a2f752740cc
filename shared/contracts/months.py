"""Months in UTC by name, like `2026-06`, which are in order as their texts are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import StringConstraints

#: A month's name.
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


def month_of(moment: datetime) -> str:
    """The month of a moment."""
    return moment.astimezone(UTC).date().isoformat()[:7]  # a quarter of the time of `strftime`


def month_before(month: str) -> str:
    """The month before this one."""
    year, number = map(int, month.split("-"))
    return f"{year - (number == 1):04}-{(number - 2) % 12 + 1:02}"


def month_after(month: str) -> str:
    """The month after this one."""
    return month_of(end_of(month))


def end_of(month: str) -> datetime:
    """The moment at which a month ends and the next one begins."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
