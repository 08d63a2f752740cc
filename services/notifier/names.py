"""What may stand as a customer's name in a letter that we send: a name, and never a sentence.

Anybody may type anything as their name together with somebody else's address. So a greeting is one
word, the first of what is plausible as a name: a single word says nothing.
"""

from __future__ import annotations

import re
import unicodedata

#: Longer is no name that anybody is greeted by.
NAME_CHARS_MAX = 40
#: Of what was given as a name, so much is looked at.
NAME_LOOK_MAX = 400
#: A signed link is the longest value there is.
VALUE_CHARS_MAX = 2_000
#: Given name, middle name, family name; initials and particles are not counted.
WORDS_MAX = 3
PARTS_MAX = 5
#: A double name has one hyphen, and no given name is longer.
HYPHENS_MAX, WORD_CHARS_MAX = 1, 20
#: Scripts without gaps between words, in which a long word is a sentence.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
UNSPACED_CHARS_MAX = 4
_NAME = re.compile(r"[^\W\d_]+(?:(?:[ '’-]|\. )[^\W\d_]+)*\.?")
#: A dot ends an initial or a short title, and never a sentence or a part of a domain.
_DOTTED_CHARS_MAX = 3
#: What stands in names in small letters.
PARTICLES = frozenset(
    [
        "af",
        "al",
        "av",
        "bin",
        "bint",
        "da",
        "das",
        "de",
        "degli",
        "dei",
        "del",
        "den",
        "der",
        "di",
        "do",
        "dos",
        "du",
        "e",
        "el",
        "la",
        "las",
        "le",
        "los",
        "og",
        "ten",
        "ter",
        "van",
        "von",
        "y",
    ]
)


def greeting_name(name: str) -> str:
    """The first word of what somebody gave as a name; "" if the whole is not plausible as one.

    Letters of any script, with single spaces, hyphens, apostrophes and dots of initials between:
    no address, no link, no markup, no control or invisible character fits.
    """
    plain = unicodedata.normalize("NFC", one_line(name[:NAME_LOOK_MAX]))
    if len(plain) > NAME_CHARS_MAX:
        return ""
    letters = "".join(char for char in plain if not unicodedata.category(char).startswith("M"))
    parts = letters.split()
    if not _NAME.fullmatch(letters) or len(parts) > PARTS_MAX:
        return ""
    if not all(_begins_a_name(part) and _dot_is_short(part) for part in parts):
        return ""
    words = [part for part in parts if len(part.rstrip(".")) > 1 and part not in PARTICLES]
    first = plain.split()[0] if parts else ""
    return first if len(words) <= WORDS_MAX and _is_given_name(first) else ""


def _is_given_name(word: str) -> bool:
    """Whether one word is short enough to be a given name, and more than an initial."""
    unspaced = any(unicodedata.name(char, "").startswith(UNSPACED) for char in word)
    return (
        not word.endswith(".")
        and word.count("-") <= HYPHENS_MAX
        and len(word) <= (UNSPACED_CHARS_MAX if unspaced else WORD_CHARS_MAX)
    )


def _begins_a_name(part: str) -> bool:
    """Small letters begin a particle only; many scripts have no small letters."""
    return not part[0].islower() or part in PARTICLES or part[1:2] in ("'", "’")


def _dot_is_short(part: str) -> bool:
    return not part.endswith(".") or len(part) - 1 <= _DOTTED_CHARS_MAX


def one_line(value: str) -> str:
    """Drop invisible and direction-changing characters, turn every other break into one space."""
    kept = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Zs"} else char
        for char in value[:VALUE_CHARS_MAX]
        if unicodedata.category(char) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(kept.split())
