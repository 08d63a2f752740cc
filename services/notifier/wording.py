"""The letters: one template per occasion and language, with hostile values cleaned.

Names and titles come from outside and end up in headers and letters. So only a plausible name is used
as one: otherwise anybody could have us send their words to any address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifier.names import greeting_name, one_line
from shared.runtime.words import known_language

#: RFC 5322 asks for lines below 998 bytes; readers show far less.
_SUBJECT_CHARS_MAX = 160
_HEADER = "Subject: "


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
