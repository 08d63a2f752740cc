"""What every page for customers has: one frame, no scripts, words in their language.

A service adds the bodies of its own pages; a link that leads nowhere is a page from here, because a
customer who opened it in a browser cannot read a problem document.
"""

from __future__ import annotations

from jinja2 import DictLoader, Environment, StrictUndefined

from shared.contracts.complaints import Language
from shared.runtime.words import accepted_language, known_language, weighed

HTML = "text/html"
#: Our pages have no scripts and ask nobody else for anything; nothing on the way keeps a code.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

#: Dark green on white and its light twin on near-black: at least 7:1, as WCAG 2.2 asks of AAA.
_FRAME = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }}{% if site_name %} – {{ site_name }}{% endif %}</title>
<style>
  :root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --soft: #f2f5f3; --green: #0b5a41;
          --on-green: #fff; font: 112.5%/1.5 system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #f2f2f2; --paper: #141816; --soft: #222a26; --green: #8fdcbc; --on-green: #0d1a15 } }
  body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word }
  main { max-width: 32rem; margin: 0 auto; padding: 2rem 1.25rem 3rem }
  .site { margin: 0 0 1.5rem; font-weight: 600; color: var(--green) }
  h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem }
  h2 { font-size: 1.25rem; line-height: 1.3; margin: 2rem 0 .75rem }
  p { margin: 0 0 1rem }
  .standing { font-weight: 600; border-left: .3rem solid var(--green); padding-left: .8rem }
  .card { background: var(--soft); border-radius: .8rem; padding: 1rem 1.1rem; margin: 0 0 1rem }
  .card p { font-weight: 600; margin: 0 }
  .card dl { margin: .75rem 0 0 }
  dt { font-size: .9rem }
  dd { margin: 0 0 .6rem; font-weight: 600 }
  .code { font: 600 1.5rem/1.4 ui-monospace, monospace; letter-spacing: .03em }
  form { margin: 0 }
  button { font: inherit; width: 100%; min-height: 3.25rem; margin: 0 0 .75rem; padding: .6rem 1rem;
           border-radius: .8rem; border: 2px solid var(--green); background: var(--paper);
           color: var(--ink); cursor: pointer }
  button.yes, button:hover { background: var(--green); color: var(--on-green) }
  button small { display: block; font-size: .9rem }
  a { color: var(--green) }
  a:focus-visible, button:focus-visible { outline: 3px solid var(--green); outline-offset: 3px }
</style>
</head>
<body>
<main>
{% if site_name %}<p class="site">{{ site_name }}</p>
{% endif %}<h1>{{ title }}</h1>
{% block body %}{% for line in lines %}<p>{{ line }}</p>
{% endfor %}{% endblock %}
</main>
</body>
</html>
"""

#: A link that does not lead anywhere: title and what the customer can do.
_NOT_FOUND: dict[str, tuple[str, ...]] = {
    "nb": (
        "Denne lenken virker ikke",
        "Enten er den for gammel, eller så kom ikke hele lenken med. Åpne den én gang til fra meldingen du fikk.",
        "Hjelper ikke det, kan du spørre hvem som helst av oss, så hjelper vi deg videre.",
    ),
    "sv": (
        "Den här länken fungerar inte",
        "Antingen är den för gammal, eller så kom inte hela länken med. Öppna den en gång till från meddelandet du fick.",
        "Hjälper det inte kan du fråga vem som helst av oss, så hjälper vi dig vidare.",
    ),
    "da": (
        "Dette link virker ikke",
        "Enten er det for gammelt, eller også mangler der en del af det. Åbn det en gang til fra den besked, du fik.",
        "Hjælper det ikke, kan du spørge hvem som helst af os, så hjælper vi dig videre.",
    ),
    "en": (
        "This link does not work",
        "It may be too old, or part of it may be missing. Please open it once more from the message you received.",
        "If that does not help, ask any one of us and we will take it from there.",
    ),
}  # fmt: skip
#: Something of ours is away for a moment.
_NOT_NOW: dict[str, tuple[str, ...]] = {
    "nb": (
        "Det gikk ikke akkurat nå",
        "Feilen er hos oss, og ingenting er gått tapt. Prøv igjen om et øyeblikk.",
    ),
    "sv": (
        "Det gick inte just nu",
        "Felet ligger hos oss, och inget har gått förlorat. Försök igen om en liten stund.",
    ),
    "da": (
        "Det lykkedes ikke lige nu",
        "Fejlen ligger hos os, og intet er gået tabt. Prøv igen om et øjeblik.",
    ),
    "en": (
        "That did not work just now",
        "The fault is ours, and nothing is lost. Please try again in a moment.",
    ),
}


class Pages:
    """The pages of one service by name, each with the frame around it; compiled at first use."""

    def __init__(self, **bodies: str) -> None:
        """`bodies` are Jinja texts for the block `body` of the frame."""
        texts = {"frame": _FRAME} | {
            name: '{% extends "frame" %}{% block body %}' + body + "{% endblock %}"
            for name, body in bodies.items()
        }
        self._texts = Environment(
            autoescape=True, undefined=StrictUndefined, loader=DictLoader(texts)
        )

    def render(
        self, name: str, language: str, title: str, *, site_name: str = "", **values: object
    ) -> str:
        """One page; raises jinja2.UndefinedError if it needs a value that is missing."""
        return self._texts.get_template(name).render(
            language=known_language(language), title=title, site_name=site_name, **values
        )


_PROBLEMS = Pages()


def problem_page(status: int, language: Language) -> str:
    """The page for a customer whose link leads nowhere (4xx), or not now (5xx and 429)."""
    title, *lines = (_NOT_NOW if status >= 500 or status == 429 else _NOT_FOUND)[language]
    return _PROBLEMS.render("frame", language, title, lines=lines)


def wants_page(accept: str, path: str) -> bool:
    """Whether whoever asks is a customer with a browser: HTML is named, and liked as well as JSON.

    The API's own routes answer every client alike.
    """
    weights = dict(weighed(accept))
    page = weights.get(HTML, 0.0)
    api = max(weights.get("application/json", 0.0), weights.get("application/problem+json", 0.0))
    return 0 < page >= api and not path.startswith("/v1/")


def page_language(known: object, accept_language: str) -> Language:
    """The language a link told, else the one that the browser prefers."""
    return known if isinstance(known, Language) else accepted_language(accept_language)
