"""What is new in an answer: without what it quotes and without its signature, by the habits of mail programs."""

from __future__ import annotations

import re

from shared.contracts.names import visible

#: Lines looked at; an answer that is longer is not cut behind them.
LINES_MAX = 5000
#: Longer lines are no marks of a mail program.
LINE_CHARS_MAX = 400
#: Begins a quotation, in the four languages: "On … wrote:", "Den … skrev …:". Somebody's sentence may end so too, so
#: that an address or a quotation behind it must show that a mail program wrote it.
_WROTE = re.compile(r"\b(?:wrote|skrev|skrev følgende|skrev följande)\b[^\n]{0,200}:\s*$", re.I)
#: Such a line that is broken before or behind the address in it.
_BROKEN = re.compile(r"\d.*[<@][^:]*$")
#: A mail that is quoted whole: its headers, or the line above them.
_ORIGINAL = re.compile(
    r"^-{2,}\s*(?:original message|opprinnelig melding|opprinnelig meddelelse|ursprungligt meddelande"
    r"|originalmeddelande|oprindelig meddelelse|original meddelelse)\s*-{2,}$",
    re.I,
)
_FROM = re.compile(r"^\*?(?:from|fra|från)\*?\s?:\*?\s*\S", re.I)
_SENT = re.compile(r"^\*?(?:sent|date|sendt|dato|skickat|datum)\*?\s?:\*?\s*\S", re.I)
_SIGNATURE = re.compile(r"^--\s?$")
#: Lines behind "From:" among which "Sent:" is.
HEADERS_MAX = 4
#: How the subject of a mail begins that passes another one on; what it quotes is what it says.
_FORWARDED = re.compile(r"^\s*(?:fwd?|vs|vb|vidarebefordrat|videresendt|videresend)\s*:", re.I)


def is_forwarded(subject: str) -> bool:
    """Whether a subject says that another mail is passed on."""
    return _FORWARDED.match(subject) is not None


def new_words(words: str) -> str:
    """The words that are not quoted; all of them where nothing else is left."""
    lines = words.split("\n")[:LINES_MAX]
    kept = []
    for number, line in enumerate(lines):
        text = line.strip()
        if _ends(text, lines[number + 1 : number + 1 + HEADERS_MAX]):
            break
        if not text.startswith(">"):
            kept.append(line)
    found = "\n".join(kept).strip()
    return found if visible(found) else words


def _ends(line: str, following: list[str]) -> bool:
    """Whether what was written ends before this line."""
    if not line or len(line) > LINE_CHARS_MAX:
        return False
    if _SIGNATURE.match(line) or _ORIGINAL.match(line):
        return True
    if _FROM.match(line):
        return any(_SENT.match(one.strip()[:LINE_CHARS_MAX]) for one in following)
    said, behind = line, following
    if following and _BROKEN.search(f"{line} {following[0].strip()[:1]}"):
        said, behind = f"{line} {following[0].strip()}"[:LINE_CHARS_MAX], following[1:]
    if not _WROTE.search(said):
        return False
    first = next((one.strip() for one in behind if one.strip()), "")
    return "@" in said or first.startswith(">")
