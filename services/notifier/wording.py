"""What customers read: one text per occasion and language, with everything hostile taken out.

Names and titles come from outside and end up in a header and in a mail that we send, so nothing but
a plausible name is used as one: otherwise anybody could have us send their words to anyone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared.runtime.words import known_language

#: Longer is no name that anybody is greeted by.
_NAME_CHARS_MAX = 60
#: A signed link is the longest value there is.
_VALUE_CHARS_MAX = 2_000
#: RFC 5322 asks for lines below 998 bytes; readers show far less.
_SUBJECT_CHARS_MAX = 160
_NAME = re.compile(r"[^\W\d_]+(?:(?:[ '’-]|\. )[^\W\d_]+)*\.?")
_HEADER = "Subject: "


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to send: a subject of one line and a body of plain text."""

    subject: str
    body: str


class Wording:
    """The texts of one folder, `<occasion>.<language>.txt`, first line `Subject: …`."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; the texts are read and compiled at first use, which blocks once each."""
        # Plain text: escaping for HTML would print &amp; in it. Values are data and never templates.
        self._texts = Environment(  # noqa: S701
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            auto_reload=False,
        )

    def render(
        self, occasion: str, language: str, *, name: str = "", **values: str | Sequence[str]
    ) -> Rendered:
        """Word one occasion in a language, English where we do not have it.

        `name` greets the customer if it is plausible as one. Amounts and times come formatted; each of
        several values is one line.
        Raises jinja2.UndefinedError if the text needs a value that is missing, and
        jinja2.TemplateNotFound for an unknown occasion.
        """
        text = self._texts.get_template(f"{occasion}.{known_language(language)}.txt")
        safe = {
            key: _one_line(value) if isinstance(value, str) else [_one_line(one) for one in value]
            for key, value in values.items()
        }
        first, _, body = text.render(safe, name=greeting_name(name)).partition("\n")
        if not first.startswith(_HEADER):
            msg = f"{text.name} does not begin with {_HEADER!r}"
            raise ValueError(msg)
        return Rendered(first.removeprefix(_HEADER)[:_SUBJECT_CHARS_MAX].strip(), body.lstrip("\n"))


def greeting_name(name: str) -> str:
    """Reduce what somebody gave as a name to what we greet by; "" if it is not plausible as one.

    Letters of any script, with single spaces, hyphens, apostrophes and dots of initials between:
    no address, no link, no markup, no control or invisible character fits.
    """
    plain = unicodedata.normalize("NFC", _one_line(name[: 10 * _NAME_CHARS_MAX]))
    letters = "".join(char for char in plain if not unicodedata.category(char).startswith("M"))
    return plain if len(plain) <= _NAME_CHARS_MAX and _NAME.fullmatch(letters) else ""


def _one_line(value: str) -> str:
    """Drop invisible and direction-changing characters, turn every other break into one space."""
    kept = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Zs"} else char
        for char in value[:_VALUE_CHARS_MAX]
        if unicodedata.category(char) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(kept.split())
