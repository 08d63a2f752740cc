"""The receipt of the demo claims what it checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from demo.receipt import Told, all_seen
from shared.kernel import Fact
from shared.testing.clock import START
from tests.suites.measured import fact

SOON = timedelta(seconds=1)


class Facts:
    """As much of the independent reader as this needs."""

    def __init__(self, *facts: Fact) -> None:
        self._facts = facts

    def of(self, kind: type[Fact]) -> Iterator[Fact]:
        return (one for one in self._facts if isinstance(one, kind))


def triaged(name: str) -> Fact:
    return fact("complaint.triaged", complaint_id=name, safety=True)


def seen(name: str) -> Fact:
    return fact("safety.seen", complaint_id=name, seen_at=START)


def retold(name: str, after: timedelta) -> Fact:
    return fact("safety.retold", complaint_id=name, retold_at=START + after)


@pytest.mark.parametrize(
    ("facts", "pressed", "holds"),
    [
        ([triaged("co-1"), seen("co-1")], ["co-1"], True),
        ([triaged("co-1"), seen("co-1"), retold("co-1", -SOON)], ["co-1"], True),
        ([triaged("co-1"), seen("co-1"), retold("co-1", SOON)], ["co-1"], False),
        ([triaged("co-1"), triaged("co-2"), seen("co-1")], ["co-1"], False),
        ([triaged("co-1")], ["co-1"], False),
        ([triaged("co-1"), seen("co-1"), seen("co-1")], ["co-1"], False),
        ([retold("co-9", SOON)], [], False),
    ],
)
def test_each_word_about_safety_was_seen_and_told_to_nobody_after_that(
    facts: Sequence[Fact], pressed: list[str], holds: bool
):
    eyes: Any = Facts(*facts)
    assert all_seen(eyes, Told(seen=pressed)) is holds
