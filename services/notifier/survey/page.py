"""The questions of a site as a form: on a page of their own, and behind a customer's yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.contracts.complaints import Language
from shared.contracts.policy import Scale, SurveyQuestion
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import in_language, say

#: The form; it needs `asked`, the questions, and `survey_path`.
FORM = """<p>{{ say("survey.why") }}</p>
<form method="post" action="{{ survey_path }}">
{% for one in asked %}<fieldset id="{{ one.name }}" class="chips"{{ amiss(one.name) }}><legend>{{ one.words }}</legend>
{% if one.hint %}<p>{{ one.hint }}</p>
{% endif %}<div>{% for value, text, now in one.choices %}<label><input type="radio" name="{{ one.name }}" value="{{ value }}"{% if now %} checked{% endif %}><span>{{ text }}</span></label>
{% endfor %}</div></fieldset>
{% endfor %}<button class="yes">{{ say("survey.send") }}</button></form>
"""
_SURVEY = """<div id="answer">{% if asked %}""" + FORM + """{% endif %}</div>"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: the site's questions until they are answered."""

    language: Language
    site_name: str
    questions: Mapping[str, SurveyQuestion]
    answered: bool


class Asked(NamedTuple):
    """One question of the form, and the value, text and state of each answer."""

    name: str
    words: str
    hint: str
    choices: Sequence[tuple[str, str, bool]]


class SurveyPage:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(survey=_SURVEY)

    def show(
        self,
        shown: Shown,
        path: str,
        chosen: Mapping[str, str],
        wrong: Sequence[str] | None = None,
    ) -> str:
        """The questions with what was chosen, or thanks.

        `wrong` are those whose answers are on no scale, none if nothing was chosen; behind thanks nothing is wrong.
        """
        language = shown.language
        asked = [] if shown.answered else asked_of(shown.questions, language, chosen)
        return self._pages.render(
            "survey",
            language,
            say(language, "survey.thanks" if shown.answered else "survey.title"),
            site_name=shown.site_name,
            faults=() if wrong is None else list(_faults(asked, wrong, language)),
            asked=asked,
            survey_path=path,
        )

    def before(self, shown: Shown) -> str:
        """Thanks, and that the answers that came first count: others came later, and were not taken."""
        language = shown.language
        return self._pages.render(
            "survey",
            language,
            say(language, "survey.thanks"),
            site_name=shown.site_name,
            faults=[Fault(say(language, "asking.before"), "answer")],
            asked=[],
        )


def asked_of(
    questions: Mapping[str, SurveyQuestion], language: Language, chosen: Mapping[str, str]
) -> list[Asked]:
    """The questions in a language, each with its answers."""
    return [
        Asked(
            name,
            in_language(one.words, language),
            "" if one.scale is Scale.YES_NO else say(language, f"survey.hint.{one.scale}"),
            [
                (str(score), _text(one.scale, score, language), chosen.get(name) == str(score))
                for score in one.scale.scores
            ],
        )
        for name, one in questions.items()
    ]


def _text(scale: Scale, score: int, language: Language) -> str:
    if scale is not Scale.YES_NO:
        return str(score)
    return say(language, "survey.yes" if score else "survey.no")


def _faults(asked: Sequence[Asked], wrong: Sequence[str], language: Language) -> Sequence[Fault]:
    if not wrong:
        return [Fault(say(language, "survey.fault.nothing"), one.name) for one in asked[:1]]
    return [
        Fault(say(language, "survey.fault.answer", question=one.words), one.name)
        for one in asked
        if one.name in wrong
    ]
