"""The words of an HTML mail, found in one pass: no text can make it slow, and nothing of it is run or fetched."""

from __future__ import annotations

import re
from html import unescape

#: Elements of which nothing is seen. Not `head`, whose end need not be written.
UNSEEN = frozenset({"script", "style", "title", "template", "svg"})
#: Elements that begin a line.
LINES = frozenset(
    {"br", "p", "div", "tr", "li", "ul", "ol", "table", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre"}
)  # fmt: skip
#: Begins an element or a comment; every other "<" is one that somebody wrote, as in "<3".
_MARK = re.compile(r"<(?=[a-zA-Z/!?])")
_NAME = re.compile(r"\s*/?\s*([a-zA-Z][a-zA-Z0-9]{0,20})")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
#: Quotations in quotations that are marked.
DEPTH_MAX = 5


def words_of(html: str) -> str:
    """The text that a reader sees, a line per block; what is quoted begins with ">", as in plain mails."""
    written: list[str] = []
    lowered, position, quoted = html.lower(), 0, 0
    if len(lowered) != len(html):  # a capital that is two letters in lower case
        lowered = html
    while True:
        mark = _MARK.search(html, position)
        start = mark.start() if mark is not None else -1
        _write(written, html[position : start if start >= 0 else len(html)], quoted)
        if start < 0:
            break
        if html.startswith("<!--", start):
            position = _behind(html, "-->", start)
        else:
            position = _behind(html, ">", start)
            found = _NAME.match(html, start + 1)
            name = found[1].lower() if found else ""
            closes = html.startswith("/", start + 1)
            if name in UNSEEN and not closes:
                position = _behind(lowered, f"</{name}", position)
                position = _behind(html, ">", position) if position > 0 else 0
            elif name == "blockquote":
                quoted = max(0, quoted - 1) if closes else quoted + 1
                written.append("\n")
            elif name in LINES:
                written.append("\n")
        if position <= 0:
            break
    return _tidy("".join(written))


def _behind(text: str, end: str, start: int) -> int:
    """The place behind the next `end`; 0 where none comes, which ends the reading."""
    found = text.find(end, start)
    return 0 if found < 0 else found + len(end)


def _write(written: list[str], text: str, quoted: int) -> None:
    seen = _BLANKS.sub(" ", unescape(text).replace("\n", " "))
    if not seen:
        return
    if quoted and seen.strip() and (not written or written[-1].endswith("\n")):
        seen = ">" * min(quoted, DEPTH_MAX) + " " + seen.lstrip()
    written.append(seen)


def _tidy(text: str) -> str:
    """Lines without blanks around them, and no more than one empty line together."""
    lines = "\n".join(_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
