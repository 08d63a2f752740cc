"""A customer's text as plain words: nothing invisible, no markup, lower case, split at what is no letter."""

from __future__ import annotations

import html
import re

from shared.contracts.intake import TEXT_MAX
from shared.contracts.names import composed

#: Characters that are not seen and may stand inside a word: all that Unicode calls "default ignorable" (zero-width
#: ones, soft hyphens, fillers, marks of direction, tags, what chooses the look of the character before it), and
#: marks of annotations.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: Cyrillic and Greek letters that look like Latin ones, which they stand for in a word that has Latin letters.
_LOOK_ALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԚԜαικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwABEKMHOPCTYXIJSQWaikvoptuxABEZHIKMNOPTYX",
)
_FOREIGN = re.compile("[\u0370-\u052f]")
_WORD, _LATIN = re.compile(r"\w+"), re.compile(r"[a-zA-Z]")
#: A comment of HTML, which is not seen either. It ends before the next begins, so that a search takes one reading.
_COMMENT = re.compile(r"<!--(?:-?>|(?:(?!<!--|--!?>).){0,2000}--!?>)", re.S)
#: Tags that change the look of letters within a word; every other tag separates words.
_INLINE = re.compile(r"</?(?:a|b|em|font|i|mark|s|small|span|strong|u)(?: [^<>]{0,500})?>", re.I)
_TAG = re.compile(r"<[!/?a-zA-Z][^<>]{0,2000}>")
#: A word that goes on in the next line, and a line that goes on there in small letters, as mail programs break them.
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-\r?\n[ \t]*(?=[a-z\u00df-\u00ff])")
#: Behind a "no" a line stands by itself: it may answer a question, and must not take back what is said in the next one.
_BROKEN_LINE = re.compile(
    r"(?<=[\w,])(?<!(?i:\bno))(?<!(?i:\bne[ij]))(?<!(?i:\bnone))(?<!(?i:\bnobody))(?<!(?i:\bingen))"
    r"[ \t]*\r?\n[ \t]*(?=[a-z\u00df-\u00ff])"
)
#: The end of a sentence, as a word by itself: no phrase goes beyond it.
STOP = b"."
_ENDS = ".!:;\n"
#: Latin-1 has all letters of the four languages. Letters become lower case, digits stay, ends of sentences a full stop, and everything
#: else (quotes, dashes) separates words.
_FOLD = "".join(
    STOP.decode() if char in _ENDS else char.lower() if char.isalnum() else " "
    for char in bytes(range(256)).decode("latin-1")
).encode("latin-1")


def plain(text: str) -> str:
    """The text as a reader sees it, without markup; at most `TEXT_MAX` characters of it, which is all that is accepted."""
    text = text[:TEXT_MAX]
    if "&" in text:  # before what is not seen is left out, which may be written so too
        text = html.unescape(text)
    unusual = not text.isascii() and not _is_plain(text)
    if unusual:
        text = _INVISIBLE.sub("", composed(text)[:TEXT_MAX])
    if "<" in text:
        text = _TAG.sub(" ", _INLINE.sub("", _COMMENT.sub("", text)))
    if "\n" in text:
        text = _BROKEN_LINE.sub(" ", _BROKEN_WORD.sub("", text))
    if unusual and _FOREIGN.search(text):
        text = _WORD.sub(_in_one_script, text)
    return text


def words_of(text: str) -> list[bytes]:
    """The words of a plain text in lower case and Latin-1, with `STOP` at each end of a sentence."""
    text = text.replace("?", ".").replace("\u2019", "'")
    folded = text.encode("latin-1", "replace").translate(_FOLD)
    return folded.replace(STOP, b" . ").split()


def _in_one_script(word: re.Match[str]) -> str:
    """The word, in Latin letters if it has any."""
    return word[0].translate(_LOOK_ALIKE) if _LATIN.search(word[0]) else word[0]


def _is_plain(text: str) -> bool:
    """Whether a text has letters of Latin-1 alone, which are composed and seen."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return "\u00ad" not in text
