"""Reads what customers wrote: in which language, and what it says."""

from __future__ import annotations

from services.complaints.triage import rules
from services.complaints.triage.languages import Detected, Languages
from services.complaints.triage.lexicon import Lexicon
from services.complaints.triage.model import Model
from services.complaints.triage.rules import Understood
from shared.contracts.complaints import Language


class Triage:
    """Understands customers' words by a lexicon, and by a model where there is one.

    Building its parts reads files; reading a text never blocks.
    """

    def __init__(self, languages: Languages, lexicon: Lexicon, model: Model | None = None) -> None:
        self._languages = languages
        self._lexicon = lexicon
        self._model = model

    def language_of(
        self, text: str, hint: str | None, otherwise: Language = Language.EN
    ) -> Detected:
        """The language to answer in: the customer's own if it is one of ours, by the words, or else this one."""
        return self._languages.detect(text, hint, otherwise)

    def language_of_later(self, text: str, before: Language) -> Language:
        """The language of a customer's later words: that of their first ones, unless these are plainly in another."""
        return self._languages.plainly(text) or before

    def understand_stated(self, text: str, stated: Language) -> Understood:
        """What a text says whose writer stated a language of ours, as a page's language is; never raises.

        Words that are plainly in another language are read in that one, and one or two words in any that knows them.
        """
        read_in = self._languages.stated(text, stated)
        said = self.understand(text, read_in.language)
        if not said.scores and self._languages.find(text) is None:
            every = [said, *(self.understand(text, one) for one in Language)]
            said = max(every, key=lambda one: max(one.scores.values(), default=0.0))
        return said._replace(unsupported_language=not read_in.supported)

    def understand(self, text: str, language: str) -> Understood:
        """What a text in this language says; never raises."""
        understood = rules.understand(text, language, self._lexicon)
        return (
            understood if self._model is None else self._model.improve(text, language, understood)
        )
