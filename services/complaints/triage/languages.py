"""The language to answer a customer's text in: by the words of one of ours alone, else by a model; else English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from services.complaints.triage.text import plain
from shared.contracts.complaints import Language

#: Characters looked at to find the language; more do not make it surer.
_LANGUAGE_CHARS = 1_000
#: Words that the model needs: of two it finds the wrong language for every fifth text.
_WORDS_MIN = 3

#: Words of one language only; "og", "ikke" and "er" would not tell Norwegian from Danish. Norwegian
#: includes Nynorsk, which we answer in Bokmål.
_FUNCTION_WORDS = {
    Language.NB: """av meg deg seg hva nå noe noen mye etter uten vært ble fikk veldig gjennom
        mellom dere hadde nei sånn enn ikkje eg ein frå dei kva noko""",
    Language.SV: """och att inte jag är för från mycket också ett till bara något någon några
        när vad utan hur varför ni vår ej väldigt hade då där här""",
    Language.DA: """af hvad noget nogen meget jer havde været uden gennem mellem fik os blive
        bliver siger sagde vores ud op ind hvornår sådan gør""",
    Language.EN: """the and was to of is it we that not they were with had my you this but an
        are when very would us their never been which there your our in on""",
}
_LANGUAGE_OF_WORD = {w: language for language, ws in _FUNCTION_WORDS.items() for w in ws.split()}

#: Words of ours that others have as well, as Dutch and German do: alone they say nothing.
_SHARED = frozenset(["was", "is", "in", "an", "we", "had", "of", "on", "op", "os", "ni"])

_LANGUAGE_OF_TAG = {"nb": Language.NB, "no": Language.NB, "nn": Language.NB, "sv": Language.SV}
_LANGUAGE_OF_TAG |= {"da": Language.DA, "en": Language.EN}
#: The language of a tag; a word like "svenska" is none.
_TAG = re.compile(r"[a-z]{2,3}(?![^_-])")
#: What guests write who write none of ours. More of them would be found in short texts that are ours.
_OF_OTHERS = frozenset({"de", "fr", "fi", "nl", "es", "it", "pl"})
#: By how much the model must find another language likelier than ours (difference of logarithms): short texts of ours
#: with a name in them are within it, a sentence of another language is not.
_LEAD = 10.0
#: What we answer in where a customer writes another language.
_TO_OTHERS = Language.EN
#: What the model tells apart; an image's model knows these alone (`deploy/images/languages.py`).
MODEL_LANGUAGES = frozenset({*_LANGUAGE_OF_TAG} - {"nb"}) | _OF_OTHERS


#: Letters of other scripts than ours, so that a text without a word that is set apart by blanks is found as well.
_OTHER_SCRIPT = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")
#: Fewer may be a name, or stand for something.
_OTHER_SCRIPT_MIN = 3


class Detected(NamedTuple):
    """The language to answer a text in, and whether the text is in a language that triage reads at all."""

    language: Language
    supported: bool = True


class Languages:
    """Finds which of our languages a text is in. Building one loads a model (0.1 s, 20 MB)."""

    def __init__(self) -> None:
        """Load the model that decides when the words do not; blocks."""
        # Here and not above: importing it imports numpy, which only this class needs.
        from py3langid.langid import (  # noqa: PLC0415
            MODEL_FILE,
            LanguageIdentifier,
        )

        self._model = LanguageIdentifier.from_model_file(MODEL_FILE)
        self._model.set_languages(MODEL_LANGUAGES)

    def detect(self, text: str, hint: str | None, otherwise: Language = Language.EN) -> Detected:
        """Choose the language to answer in: a hint of ours wins, then the text; `otherwise` where both leave it open.

        `hint` is a language tag like "nb" or "sv-SE". One of another language means English where the
        text leaves it open; anything else is no hint. Takes a few microseconds when function words decide, else about 0.1 ms.
        """
        tag = _TAG.match(hint.lower()) if hint else None
        if tag and tag[0] in _LANGUAGE_OF_TAG:
            return Detected(_LANGUAGE_OF_TAG[tag[0]])
        found = self.find(text)
        if found is not None:
            return found
        return Detected(_TO_OTHERS, supported=False) if tag else Detected(otherwise)

    def find(self, text: str) -> Detected | None:
        """The language to answer a text in: by function words, else by the model; None for one or two other words.

        English for a text that is in none of ours.
        """
        words = _words(text)
        plainly = _plainly(words)
        if plainly is not None:
            return Detected(plainly)
        said = " ".join(words)
        other = len(_OTHER_SCRIPT.findall(said))
        if other >= _OTHER_SCRIPT_MIN and 2 * other > sum(map(str.isalpha, said)):
            return Detected(_TO_OTHERS, supported=False)
        if sum(any(map(str.isalpha, word)) for word in words) < _WORDS_MIN:
            return None
        ranked = self._model.rank(said)
        ours, score = next(one for one in ranked if one[0] in _LANGUAGE_OF_TAG)
        if ranked[0][1] - score > _LEAD:
            return Detected(_TO_OTHERS, supported=False)
        return Detected(_LANGUAGE_OF_TAG[ours])

    def stated(self, text: str, stated: Language) -> Detected:
        """The language of words whose writer stated one of ours: another one only if they are plainly in it.

        Words that are plainly in none of ours keep the stated language, and are not supported. Takes 0.1 ms.
        """
        found = self.find(text)
        if found is None or found == Detected(stated):
            return Detected(stated)
        if not found.supported:
            return Detected(stated, supported=False)
        if self.plainly(text) is found.language:
            return found
        ranked = self._model.rank(" ".join(_words(text)))
        score = next(one for tag, one in ranked if _LANGUAGE_OF_TAG.get(tag) is stated)
        return found if ranked[0][1] - score > _LEAD else Detected(stated)

    def plainly(self, text: str) -> Language | None:
        """Which of ours a text is in, if its function words leave no doubt; takes a few microseconds."""
        return _plainly(_words(text))


def _words(text: str) -> Sequence[str]:
    return plain(text[:_LANGUAGE_CHARS]).casefold().split()


def _plainly(words: Sequence[str]) -> Language | None:
    found = Counter(filter(None, map(_LANGUAGE_OF_WORD.get, words))).most_common(2)
    # One word may be a name or a quotation, so two are needed and a clear lead over the next language.
    clear = found and found[0][1] >= 2 and (len(found) == 1 or found[0][1] > 2 * found[1][1])
    if clear and any(
        _LANGUAGE_OF_WORD.get(one) is found[0][0] and one not in _SHARED for one in words
    ):
        return found[0][0]
    return None
