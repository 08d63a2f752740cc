"""Names and texts in one form, however many marks somebody piles on a letter."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from services.complaints.triage.text import plain
from services.notifier.wording.wording import greeting_name
from shared.contracts import names
from shared.contracts.names import MARKS_MAX, alike, composed

pytestmark = pytest.mark.unit


def marks_in_a_row(text: str) -> int:
    """The longest run of marks that are sorted together."""
    longest = run = 0
    for sign in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(sign) else 0
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize("form", [plain, alike, greeting_name])
@pytest.mark.parametrize(
    "pile",
    [
        "\u0300\u0316",
        "\u0300\u034f\u0316",
        "\u0300\u0316\uff9e",
        "\u0300\u200d\u0316",
        "\u0300\u3164\u0316",
    ],
    ids=ascii,
)
def test_few_marks_on_one_letter_are_sorted(
    form: Callable[[str], str], pile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sorted_: list[int] = []

    def normalize(kind: str, text: str) -> str:
        sorted_.append(marks_in_a_row(text))
        return unicodedata.normalize(kind, text)

    monkeypatch.setattr(names, "normalize", normalize)
    form("A" + pile * 300)
    assert sorted_
    assert max(sorted_) <= 2 * MARKS_MAX  # a composed letter has marks of its own


def test_every_mark_of_unicode_counts() -> None:
    marks = [
        sign
        for sign in map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
        if unicodedata.combining(unicodedata.normalize("NFKD", sign)[0])
    ]
    assert len(marks) > 800
    assert [
        sign for sign in marks if len(composed("a" + sign * 99, "NFC")) > 1 + 3 * MARKS_MAX
    ] == []


@pytest.mark.parametrize(
    "text", ["ha\u030ar", "กี่", "👩\u200d👩\u200d👧\u200d👦" * 9, "“……………………”", "e\u0323\u0302" * 30]
)
def test_what_people_write_is_whole(text: str) -> None:
    assert composed(text) == unicodedata.normalize("NFKC", text)
