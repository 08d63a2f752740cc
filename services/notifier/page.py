"""The page behind a customer's link: one question, two buttons, no scripts."""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined

from shared.contracts.notifier import Helped

_WORDS = {
    "nb": ("Hjalp det?", "Ja, takk", "Nei, ikke nok", "Så godt å høre. Takk!", "Takk for et ærlig svar. Vi er på saken igjen."),
    "sv": ("Hjälpte det?", "Ja, tack", "Nej, inte nog", "Så roligt att höra. Tack!", "Tack för ett ärligt svar. Vi tar tag i det igen."),
    "da": ("Hjalp det?", "Ja, tak", "Nej, ikke nok", "Hvor er det godt at høre. Tak!", "Tak for et ærligt svar. Vi er på sagen igen."),
    "en": ("Did it help?", "Yes, thank you", "No, not enough", "Good to hear. Thank you!", "Thank you for an honest answer. We are on it again."),
}  # fmt: skip

_HTML = """<!doctype html>
<html lang="{{ language }}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; font: 18px/1.5 system-ui, sans-serif }
  main { max-width: 26rem; margin: 18vh auto 0; padding: 0 1.5rem; text-align: center }
  h1 { font-size: 1.8rem; margin: 0 0 1.5rem }
  button { font: inherit; width: 100%; min-height: 3.2rem; margin: .4rem 0; border-radius: .8rem;
           border: 2px solid #0b6e4f; background: none; color: inherit; cursor: pointer }
  button.yes { background: #0b6e4f; color: #fff }
</style>
<main>
<h1>{{ title }}</h1>
{% if token %}
<form method="post" action="/f/{{ token }}/yes"><button class="yes">{{ yes }}</button></form>
<form method="post" action="/f/{{ token }}/no"><button>{{ no }}</button></form>
{% endif %}
</main>
</html>
"""


class Page:
    """The page in each language, English where we do not have it."""

    def __init__(self) -> None:
        self._template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)

    def ask(self, language: str, token: str) -> str:
        """The question."""
        title, yes, no, *_ = _WORDS.get(language, _WORDS["en"])
        return self._template.render(language=language, title=title, token=token, yes=yes, no=no)

    def thanks(self, language: str, helped: Helped) -> str:
        """What is said after the answer."""
        *_, glad, sorry = _WORDS.get(language, _WORDS["en"])
        title = glad if helped is Helped.YES else sorry
        return self._template.render(language=language, title=title, token="", yes="", no="")
