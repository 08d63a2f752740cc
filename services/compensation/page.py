"""The page behind an offer's link: two or three checks, one choice, no scripts."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision
from jinja2 import Environment, StrictUndefined

_WORDS = {
    "nb": ("Velg det du vil ha", "Takk! Du får det på e-post straks.", "Tilbudet er ikke åpent lenger."),
    "sv": ("Välj det du vill ha", "Tack! Du får det via e-post strax.", "Erbjudandet är inte öppet längre."),
    "da": ("Vælg det, du vil have", "Tak! Du får det på e-mail om lidt.", "Tilbuddet er ikke åbent længere."),
    "en": ("Choose what you would like", "Thank you! It comes by mail in a moment.", "This offer is not open any more."),
}  # fmt: skip
_LOCALES = {"nb": "nb", "sv": "sv", "da": "da", "en": "en_GB"}

_HTML = """<!doctype html>
<html lang="{{ language }}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; font: 18px/1.5 system-ui, sans-serif }
  main { max-width: 26rem; margin: 14vh auto 0; padding: 0 1.5rem; text-align: center }
  h1 { font-size: 1.6rem; margin: 0 0 1.5rem }
  button { font: inherit; width: 100%; min-height: 3.6rem; margin: .4rem 0; border-radius: .8rem;
           border: 2px solid #0b6e4f; background: none; color: inherit; cursor: pointer }
  button:hover, button:focus { background: #0b6e4f; color: #fff }
  small { display: block; opacity: .75 }
</style>
<main>
<h1>{{ title }}</h1>
{% for item, name, value in choices %}
<form method="post" action="/o/{{ token }}"><button name="item" value="{{ item }}">{{ name }}
{% if value %}<small>{{ value }}</small>{% endif %}</button></form>
{% endfor %}
</main>
</html>
"""


class Page:
    """The page in each language, English where we do not have it."""

    def __init__(self) -> None:
        self._template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_HTML)

    def choose(self, language: str, token: str, choices: list[tuple[str, str, int, str]]) -> str:
        """The choice: (item, name, value in minor units, currency) of each."""
        locale = _LOCALES.get(language, "en_GB")
        shown = [
            (item, name, _money(value, currency, locale) if value else "")
            for item, name, value, currency in choices
        ]
        title, *_ = _WORDS.get(language, _WORDS["en"])
        return self._render(language, title, token, shown)

    def thanks(self, language: str) -> str:
        """What is said after the choice."""
        return self._render(language, _WORDS.get(language, _WORDS["en"])[1], "", [])

    def closed(self, language: str) -> str:
        """What is said when there is nothing to choose any more."""
        return self._render(language, _WORDS.get(language, _WORDS["en"])[2], "", [])

    def _render(
        self, language: str, title: str, token: str, choices: list[tuple[str, str, str]]
    ) -> str:
        return self._template.render(language=language, title=title, token=token, choices=choices)


def _money(amount_minor: int, currency: str, locale: str) -> str:
    amount = Decimal(amount_minor).scaleb(-get_currency_precision(currency))
    return format_currency(amount, currency, locale=locale)
