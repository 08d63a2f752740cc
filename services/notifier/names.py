"""Which text may be used as a customer's name in a letter: a name, and never a sentence.

Anybody may type any text as their name together with another person's address. So a greeting is one
word, the first of a plausible name: a single word carries no message.
"""

from __future__ import annotations

import re
import unicodedata

#: Longer strings are not used as a greeting.
NAME_CHARS_MAX = 40
#: Characters of a given name that are looked at.
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
#: Characters before a dot: an initial or a short title, not a sentence or part of a domain.
_DOTTED_CHARS_MAX = 3
#: Parts of names that are written in small letters.
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
    """The first word of a given name; "" if the whole is not plausible as a name.

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
    """Whether a word is short enough for a given name and longer than an initial."""
    unspaced = any(unicodedata.name(char, "").startswith(UNSPACED) for char in word)
    return (
        not word.endswith(".")
        and word.count("-") <= HYPHENS_MAX
        and len(word) <= (UNSPACED_CHARS_MAX if unspaced else WORD_CHARS_MAX)
    )


def _begins_a_name(part: str) -> bool:
    """Whether a part begins like a name: only particles begin with a small letter."""
    return not part[0].islower() or part in PARTICLES or part[1:2] in ("'", "’")


def _dot_is_short(part: str) -> bool:
    return not part.endswith(".") or len(part) - 1 <= _DOTTED_CHARS_MAX


def one_line(value: str) -> str:
    """The text without invisible and direction-changing characters, every other break as one space."""
    kept = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Zs"} else char
        for char in value[:VALUE_CHARS_MAX]
        if unicodedata.category(char) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(kept.split())
