"""The letters: what an occasion says in a language, in each form, with hostile values cleaned.

Names and titles come from outside and end up in headers and letters. Anybody may type any text as their name
together with another person's address. So a greeting is one word, the first of a plausible name: a single word
carries no message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.notifier.wording.blocks import Block, Card, Heading, Items, Link, Outline
from services.notifier.wording.forms import HtmlForm, as_text, chars_of, pictures
from services.notifier.wording.occasions import OCCASIONS, TO_STAFF, Words, subject
from services.notifier.wording.short import short
from shared.contracts.names import composed
from shared.contracts.notifier import Occasion
from shared.runtime.words import known_language, say

#: RFC 5322 asks for lines below 998 bytes; readers show far less.
_SUBJECT_CHARS_MAX = 160
_UNBROKEN = "\u00a0\u202f"
#: Stands where there is nothing to say, until its sentence loses it with the space before it. No value
#: has it, because `one_line` drops private characters.
_NOTHING = "\ue000"
#: Longer strings are not used as a greeting.
NAME_CHARS_MAX = 40
#: Messages that a digest says in full, and how many characters of text they have together at most. Each of the others
#: is a line above the link that shows all of it: the whole is read on a phone, and mail programs cut off longer ones
#: (Gmail's at 102 KB of HTML).
IN_FULL_MAX, IN_FULL_CHARS_MAX = 10, 8_000
#: Characters of a line about one of the others.
LINE_CHARS_MAX = 200
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


#: A value in a letter: one line of text, or several.
Says = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter in its forms: a subject of one line, plain text, HTML with its pictures by content id, and a text message.

    `short` is the text message without its link.
    """

    subject: str
    text: str
    html: str
    pictures: Mapping[str, bytes]
    short: str


class Wording:
    """Writes the letters of all occasions in all languages."""

    def __init__(self) -> None:
        """Open the forms; words and forms are read at their first use, which blocks."""
        self._html = HtmlForm()

    def render(
        self,
        occasion: Occasion,
        language: str,
        values: Mapping[str, Says],
        name: str = "",
        parts: Sequence[Outline] = (),
    ) -> Rendered:
        """The letter of an occasion, in every form; see `outline`."""
        letter = self.outline(occasion, language, values, name, parts)
        return Rendered(
            letter.subject,
            as_text(letter),
            self._html.render(letter),
            pictures(letter),
            letter.short,
        )

    def outline(
        self,
        occasion: Occasion,
        language: str,
        values: Mapping[str, Says],
        name: str = "",
        parts: Sequence[Outline] = (),
    ) -> Outline:
        """What the letter of an occasion says in a language; in English if the language is not one of ours.

        `name` greets the customer if it is a plausible name. Amounts and times come formatted; each of
        several values is one line. `parts` are the letters that a digest holds. Raises KeyError if a sentence or a value is missing.
        """
        known = known_language(language)
        told = {
            key: one_line(value) if isinstance(value, str) else [one_line(one) for one in value]
            for key, value in values.items()
        }
        said = {key: value for key, value in told.items() if isinstance(value, str)}
        if "about" in said:
            named = said["about"]
            clause = [say(known, "letter.about", about=named)] if named else []
            clause += [f"({said['place']})"] if said.get("place") else []
            said["about"] = " ".join(clause) or _NOTHING

        def words(key: str) -> str:
            """A sentence, without the gap of a clause that is empty."""
            return say(known, key, count=None, **said).replace(f" {_NOTHING}", "")

        greeted = greeting_name(name)
        signed = [said["signed"]] if said.get("signed") else []
        closing = (words("letter.regards"), *signed, said["site_name"])
        greeting = say(
            known, "letter.hello.named" if greeted else "letter.hello.plain", name=greeted
        )
        staff = occasion in TO_STAFF
        foot = None
        if "preferences_url" in told:
            foot = Link(
                words("letter.fewer.why"), words("letter.fewer.change"), said["preferences_url"]
            )
        return Outline(
            language=known,
            subject=subject(occasion, words, told)[:_SUBJECT_CHARS_MAX].strip(),
            greeting="" if staff else greeting,
            blocks=(
                *OCCASIONS[occasion](words, told),
                *(_together(parts, words) if parts else ()),
            ),
            closing=() if staff else closing,
            foot=foot,
            short=short(occasion, words, told, tuple(part.subject for part in parts)),
        )


def _together(parts: Sequence[Outline], words: Words) -> Iterator[Block]:
    """What a digest holds, in the order of its messages: as much in full as it has room for, then a line for each of the others."""
    in_full = _in_full(parts)
    for place in sorted(in_full):
        yield from _as_part(parts[place])
    if len(in_full) == len(parts):
        return
    yield Heading(words("letter.digest.more"))
    by_link: dict[str, list[Outline]] = {}
    for place, part in enumerate(parts):
        if place not in in_full:
            link = _link_of(part)
            by_link.setdefault(link.url if link is not None else "", []).append(part)
    for letters in by_link.values():
        yield Items([_as_line(one) for one in letters])
        link = _link_of(letters[0])
        if link is not None:
            yield Link(words("letter.digest.all"), link.button, link.url)


def _in_full(parts: Sequence[Outline]) -> set[int]:
    """The places of the messages that are said in full: those that no link shows before others."""
    found: set[int] = set()
    chars = 0
    for place in sorted(range(len(parts)), key=lambda one: _link_of(parts[one]) is not None):
        chars += chars_of(parts[place])
        if len(found) == IN_FULL_MAX or chars > IN_FULL_CHARS_MAX:
            break
        found.add(place)
    return found


def _link_of(letter: Outline) -> Link | None:
    """The link of a letter to the page that shows all of it: of the case before any other; None if it has none."""
    links = [block for block in letter.blocks if isinstance(block, Link)]
    to_case = [link for link in links if link.button == say(letter.language, "letter.open")]
    return next(iter(to_case or links), None)


def _as_line(letter: Outline) -> str:
    """A letter as one line: its subject, and its code, without which nothing can be done."""
    card = next((block for block in letter.blocks if isinstance(block, Card) and block.code), None)
    code = f" ({card.code_label}: {card.code})" if card is not None else ""
    return letter.subject[: LINE_CHARS_MAX - len(code)] + code


def _as_part(letter: Outline) -> Sequence[Block]:
    """A letter in a digest: under its subject, without greeting, closing and the picture of its code."""
    shown = (
        replace(block, scanned=False) if isinstance(block, Card) else block
        for block in letter.blocks
    )
    return (Heading(letter.subject), *shown)


def greeting_name(name: str) -> str:
    """The first word of a given name; "" if the whole is not plausible as a name.

    Letters of any script, with single spaces, hyphens, apostrophes and dots of initials between:
    no address, no link, no markup, no control or invisible character fits.
    """
    plain = composed(" ".join(one_line(name[:NAME_LOOK_MAX]).split()), "NFC")
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
    """The text without invisible and direction-changing characters, every other break as one space.

    The spaces of amounts and times, at which no line breaks, stay.
    """
    kept = value[:VALUE_CHARS_MAX]
    if not kept.isprintable():  # has none of these; most values do, and are not taken apart
        kept = "".join(
            char
            if char in _UNBROKEN
            else " "
            if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Zs"}
            else char
            for char in kept
            if unicodedata.category(char) not in {"Cf", "Cs", "Co", "Cn"}
        )
    return " ".join(part for part in kept.split(" ") if part.strip())
