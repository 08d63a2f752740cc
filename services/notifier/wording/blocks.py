"""What a letter is made of, before it has a form: text mail, HTML mail and page show the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph of one or more sentences."""

    KIND: ClassVar[str] = "text"

    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Heading:
    """What the blocks below it are about, up to the next one."""

    KIND: ClassVar[str] = "heading"

    words: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody said, in their words."""

    KIND: ClassVar[str] = "quote"

    words: str


@dataclass(frozen=True, slots=True)
class Items:
    """One of several, each on a line of its own."""

    KIND: ClassVar[str] = "items"

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Card:
    """What is given, set apart: its title, its code, and rows of label and value; what it lacks is empty."""

    KIND: ClassVar[str] = "card"

    title: str = ""
    code: str = ""
    #: What the code is called; empty where the letter has said so.
    code_label: str = ""
    rows: Sequence[tuple[str, str]] = ()
    #: Whether a till scans the code.
    scanned: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A link that the customer may follow: why, the words on its button, and its URL."""

    KIND: ClassVar[str] = "link"

    why: str
    button: str
    url: str


Block = Text | Heading | Quote | Items | Card | Link


@dataclass(frozen=True, slots=True)
class Outline:
    """A letter in one language, without a form: greeting and closing are empty in a notice to staff."""

    language: str
    subject: str
    greeting: str
    blocks: Sequence[Block]
    #: The last lines: regards, and who sends it.
    closing: Sequence[str]
    #: Below it, how the customer changes how they are told.
    foot: Link | None = None
    #: What it says as a text message, beside its link.
    short: str = ""
