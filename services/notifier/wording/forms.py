"""The forms of a letter: plain text and HTML for mail, from the same blocks."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from pathlib import Path

import segno
from babel import Locale
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from services.notifier.wording.blocks import Block, Card, Heading, Items, Link, Outline, Quote, Text

TEMPLATES = Path(__file__).parent / "templates"
#: The longest line that a mail program shows without breaking it (RFC 5322, 2.1.1); links are longer.
LINE_CHARS_MAX = 78
#: The picture of a code in an HTML letter: how the letter refers to it.
CODE_PICTURE = "code"


def as_text(letter: Outline) -> str:
    """A letter as plain text: paragraphs with empty lines between, links on lines of their own."""
    parts = ["\n".join(_lines(block)) for block in letter.blocks]
    foot = ["\n".join(_lines(letter.foot))] if letter.foot else []
    parts = [letter.greeting, *parts, "\n".join(letter.closing), *foot]
    return "\n\n".join(part for part in parts if part) + "\n"


def chars_of(letter: Outline) -> int:
    """The characters of what a letter says as plain text, beside its subject."""
    return sum(len(line) + 1 for block in letter.blocks for line in _lines(block))


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Text(sentences):
            yield from _wrapped(" ".join(sentences))
        case Heading(words):
            yield from _wrapped(words)
        case Quote(words):
            yield from _wrapped(words, "  ")
        case Items(lines):
            for line in lines:
                yield from _wrapped(line, "- ", "  ")
        case Card(title, code, code_label, rows):
            yield from _wrapped(title, "  ")
            if title and rows:
                yield ""
            for label, value in [(code_label, code)] * bool(code) + [*rows]:
                yield from _wrapped(f"{label}: {value}" if label else value, "  ", "    ")
        case Link(why, _, url):
            yield from _wrapped(why)
            yield url


def _wrapped(text: str, first: str = "", then: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        LINE_CHARS_MAX,
        initial_indent=first,
        subsequent_indent=first if then is None else then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def templates() -> SandboxedEnvironment:
    """The templates of this folder, in which every value is escaped and none may be missing."""
    return SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


class HtmlForm:
    """Letters as HTML that mail programs show: styles beside what they style, nothing loaded from elsewhere."""

    def __init__(self) -> None:
        """Open the template; it is read and compiled at its first use, which blocks."""
        self._texts = templates()

    def render(self, letter: Outline) -> str:
        """The letter; a code that is scanned refers to the picture `cid:code`."""
        return self._texts.get_template("letter.html").render(
            letter=letter,
            direction=Locale.parse(letter.language).text_direction,
            code_picture=CODE_PICTURE,
        )


def pictures(letter: Outline) -> dict[str, bytes]:
    """The pictures that the HTML form refers to, as PNG by content id."""
    for block in letter.blocks:
        if isinstance(block, Card) and block.scanned:
            return {CODE_PICTURE: drawn(block.code)}
    return {}


def drawn(code: str) -> bytes:
    """A code as a QR code in PNG, dark on white with its quiet zone: it is scanned in the dark mode too."""
    picture = io.BytesIO()
    segno.make(code, error="m", micro=False).save(picture, kind="png", scale=6, border=4)
    return picture.getvalue()
