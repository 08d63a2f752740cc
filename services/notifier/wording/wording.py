"""The letters: one template per occasion and language, with hostile values cleaned.

Names and titles come from outside and end up in headers and letters. Anybody may type any text as their name
together with another person's address. So a greeting is one word, the first of a plausible name: a single word
carries no message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.runtime.words import known_language

#: RFC 5322 asks for lines below 998 bytes; readers show far less.
_SUBJECT_CHARS_MAX = 160
_HEADER = "Subject: "
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


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of a letter: a subject of one line and a body of plain text."""

    subject: str
    body: str


class Wording:
    """The texts of one folder, `<occasion>.<language>.txt`, first line `Subject: …`."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; each text is read and compiled at its first use, which blocks."""
        # Letters are plain text, where escaping for HTML would show as &amp;. Values are never templates.
        self._texts = Environment(  # noqa: S701
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            auto_reload=False,
        )

    def render(
        self, occasion: str, language: str, *, name: str = "", **values: str | Sequence[str]
    ) -> Rendered:
        """The letter of an occasion in a language; in English if the language is not one of ours.

        `name` greets the customer if it is a plausible name. Amounts and times come formatted; each of
        several values is one line.
        Raises jinja2.UndefinedError if the text needs a value that is missing, and
        jinja2.TemplateNotFound for an unknown occasion.
        """
        text = self._texts.get_template(f"{occasion}.{known_language(language)}.txt")
        safe = {
            key: one_line(value) if isinstance(value, str) else [one_line(one) for one in value]
            for key, value in values.items()
        }
        first, _, body = text.render(safe, name=greeting_name(name)).partition("\n")
        if not first.startswith(_HEADER):
            msg = f"{text.name} does not begin with {_HEADER!r}"
            raise ValueError(msg)
        return Rendered(first.removeprefix(_HEADER)[:_SUBJECT_CHARS_MAX].strip(), body.lstrip("\n"))


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
