"""Names and addresses in a form to compare them by: spellings that look alike are equal."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from unicodedata import category, normalize

from pydantic import AfterValidator, StringConstraints

#: Invisible characters that Unicode classes as letters, marks or symbols.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
#: Marks that one letter keeps. Real ones have up to four; to sort them takes the square of their number.
MARKS_MAX = 8
#: The two marks of Unicode that it calls letters, and where more marks than a letter keeps may stand together.
_LETTER_MARKS = "\uff9e\uff9f"
_PILE = re.compile(rf"(?:[^\w\s\x00-\u02ff]|[{_LETTER_MARKS}]){{{MARKS_MAX + 1},}}")
#: As many as a number has in Norway and Denmark, and all but the first of a Swedish mobile's.
PHONE_DIGITS = 8
#: Control and format characters: zero-width blanks and joiners, directions, soft hyphens.
_NO_SIGN = ("Cc", "Cf")


def composed(text: str, form: Literal["NFC", "NFKC"] = "NFKC") -> str:
    """The text in a form of Unicode, without marks beyond `MARKS_MAX` in a row. Takes as long as one reading."""
    return normalize(form, _PILE.sub(_first_marks, text))


def _first_marks(pile: re.Match[str]) -> str:
    kept, marks = [], 0
    for sign in pile[0]:
        marks = marks + 1 if category(sign)[0] == "M" or sign in _LETTER_MARKS else 0
        if marks <= MARKS_MAX:
            kept.append(sign)
    return "".join(kept)


def alike(text: str) -> str:
    """The text for comparison: case folded, compatibility forms and invisible characters removed, single blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.casefold().split())  # true of most names, and ten times as fast
    signs = _UNSEEN.sub("", composed(text))
    seen = "".join(sign for sign in signs if sign.isspace() or category(sign) not in _NO_SIGN)
    return " ".join(composed(seen.casefold()).split())


def mailbox_of(address: str) -> tuple[str, str]:
    """Local part and domain of the mailbox that letters to an address arrive in.

    Most providers ignore case and a suffix after "+".
    """
    local, _, domain = alike(address).rpartition("@")
    return local.partition("+")[0] or local, domain


def number_of(phone: str) -> str:
    """A telephone number to compare by: its last eight digits, so that it is the same with a country's code and without."""
    return "".join(sign for sign in phone if sign.isdigit())[-PHONE_DIGITS:]


def visible(text: str) -> bool:
    """Whether a text has a character that is seen: not blanks, control characters and zero-width characters alone."""
    return any(map(alike, text))


def legible(text: str) -> str:
    """The text; raises ValueError if all its characters are invisible."""
    if not visible(text):
        raise ValueError("nothing of it is seen")
    return text


def uncontrolled(text: str) -> str:
    """The text; raises ValueError if a control character is in it."""
    if any(category(sign) == "Cc" for sign in text):
        raise ValueError("a control character is in it")
    return text


def plain(text: str) -> str:
    """The text in one line, without control and format characters."""
    return " ".join(
        "".join(sign for sign in text if sign.isspace() or category(sign) not in _NO_SIGN).split()
    )


def named(name: str | None) -> str | None:
    """The name, or None if all its characters are invisible."""
    return name if name is not None and visible(name) else None


#: What a source calls a customer.
CustomerName = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=128)] | None, AfterValidator(named)
]
#: What people at a site call a place there.
PlaceName = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=64)] | None, AfterValidator(named)
]
