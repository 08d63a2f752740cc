"""The layout of every page that customers see: no scripts, words in their language, errors on top.

A service adds the bodies of its own pages. A refused link is answered with a page from here, because
a customer who opened it in a browser cannot read a problem document.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from shared.contracts.complaints import Language
from shared.runtime.words import accepted_language, known_language, say, weighed

HTML = "text/html"
#: Our pages have no scripts and load nothing from elsewhere; no cache may keep a code.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

#: Dark green and red on white and their light twins on near-black: at least 7:1, as WCAG 2.2 asks of AAA.
_FRAME = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{% if faults %}{{ say("errors.prefix") }}: {% endif %}{{ title }}{% if site_name %} – {{ site_name }}{% endif %}</title>
<style>
  :root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --soft: #f2f5f3; --green: #0b5a41;
          --on-green: #fff; --red: #9b1c1c; font: 112.5%/1.5 system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #f2f2f2; --paper: #141816; --soft: #222a26; --green: #8fdcbc; --on-green: #0d1a15;
            --red: #ffb4ab } }
  body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word }
  main { max-width: 32rem; margin: 0 auto; padding: 2rem 1.25rem 3rem }
  .site { margin: 0 0 1.5rem; font-weight: 600; color: var(--green) }
  h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem }
  h2 { font-size: 1.25rem; line-height: 1.3; margin: 2rem 0 .75rem }
  p { margin: 0 0 1rem }
  .errors { border: .25rem solid var(--red); border-radius: .8rem; padding: 1rem 1.1rem 0; margin: 0 0 1.5rem }
  .errors h2 { margin: 0 0 .5rem }
  .errors ul { list-style: none; margin: 0 0 .5rem; padding: 0 }
  .standing { font-weight: 600; border-left: .3rem solid var(--green); padding-left: .8rem }
  .missed { font-weight: 600; border-left: .3rem solid var(--red); padding-left: .8rem }
  dl { margin: 0 0 1rem }
  .card { background: var(--soft); border-radius: .8rem; padding: 1rem 1.1rem; margin: 0 0 1rem }
  .card p { font-weight: 600; margin: 0 }
  .card a { margin-bottom: -.55rem }
  .card dl { margin: .75rem 0 0 }
  dt { font-size: .9rem }
  dd { margin: 0 0 .6rem; font-weight: 600 }
  .code { font: 600 1.5rem/1.4 ui-monospace, monospace; letter-spacing: .03em }
  .picture svg { display: block; width: 13rem; max-width: 100%; background: #fff; border-radius: .8rem }
  @media print { main a, form { display: none } }
  form { margin: 0 }
  label { display: block; font-weight: 600; margin: 0 0 .4rem }
  textarea, select, input:not([type=hidden]) { font: inherit; box-sizing: border-box; width: 100%; margin: 0 0 .75rem;
           padding: .6rem .8rem; border-radius: .8rem; border: 2px solid var(--green); background: var(--paper);
           color: var(--ink) }
  textarea[aria-invalid], select[aria-invalid], input[aria-invalid] { border-color: var(--red) }
  fieldset { border: 0; min-width: 0; margin: 0 0 1rem; padding: 0 }
  legend { font-weight: 600; margin: 0 0 .4rem; padding: 0 }
  .chips div { display: flex; flex-wrap: wrap; gap: .5rem }
  .chips label { position: relative; font-weight: 400; margin: 0 }
  .chips input:not([type=hidden]) { position: absolute; inset: 0; height: 100%; margin: 0; opacity: 0; cursor: pointer }
  .chips span { display: block; padding: .55rem .9rem; border: 2px solid var(--green); border-radius: 1.6rem }
  .chips input:checked + span { background: var(--green); color: var(--on-green) }
  .chips input:checked + span::before { content: "✓ " }
  .chips input:focus-visible + span { outline: 3px solid var(--green); outline-offset: 3px }
  .languages { margin: 0 0 1rem }
  .languages a { margin-right: .9rem }
  .languages a[aria-current] { font-weight: 600; text-decoration: none }
  .told { list-style: none; margin: 0 0 1.5rem; padding: 0 }
  .told li { border-left: .3rem solid var(--soft); padding: 0 0 1rem .8rem }
  .told p, .told blockquote { margin-bottom: 0 }
  .when { font-size: .9rem }
  .what { font-weight: 600 }
  blockquote { margin: .4rem 0 1rem; padding: .6rem .8rem; border-radius: .8rem; background: var(--soft);
           white-space: pre-line }
  details { margin: 0 0 1rem }
  summary { min-height: 2.75rem; line-height: 2.75rem; font-weight: 600; color: var(--green); cursor: pointer }
  button { font: inherit; width: 100%; min-height: 3.25rem; margin: 0 0 .75rem; padding: .6rem 1rem;
           border-radius: .8rem; border: 2px solid var(--green); background: var(--paper);
           color: var(--ink); cursor: pointer }
  button.yes, button:hover { background: var(--green); color: var(--on-green) }
  button small { display: block; font-size: .9rem }
  a { color: var(--green); display: inline-block; min-width: 2.75rem; padding: .55rem 0 }
  .errors a { color: var(--red); font-weight: 600 }
  a:focus-visible, button:focus-visible, summary:focus-visible, textarea:focus-visible, select:focus-visible, input:focus-visible { outline: 3px solid var(--green); outline-offset: 3px }
</style>
</head>
<body>
<main>
{% if site_name %}<p class="site">{{ site_name }}</p>
{% endif %}{% if faults %}<section class="errors" role="alert" aria-labelledby="errors">
<h2 id="errors">{{ say("errors.title", count=faults|length) }}</h2>
<ul>{% for fault in faults %}<li id="why-{{ fault.part }}"><a href="#{{ fault.part }}">{{ fault.text }}</a></li>{% endfor %}</ul>
</section>
{% endif %}<h1>{{ title }}</h1>
{% block body %}{% for line in lines %}<p>{{ line }}</p>
{% endfor %}{% endblock %}
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that a customer must put right: what it is, and the id of the part of the page it is in."""

    text: str
    part: str


class Pages:
    """The pages of one service by name, in the shared layout; compiled at first use."""

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
        self,
        name: str,
        language: str,
        title: str,
        *,
        site_name: str = "",
        faults: Sequence[Fault] = (),
        **values: object,
    ) -> str:
        """One page; the customer's errors are on top.

        A body has its words from `say`, and the attributes of a field with an error from `amiss`. Raises jinja2.UndefinedError for a missing value, KeyError for
        missing words.
        """
        known = known_language(language)
        parts = {fault.part for fault in faults}
        return self._texts.get_template(name).render(
            language=known,
            title=title,
            site_name=site_name,
            faults=faults,
            say=partial(say, known),
            amiss=partial(_amiss, parts),
            **values,
        )


def _amiss(parts: Collection[str], part: str) -> Markup:
    """The attributes of a field: that it is wrong, and where it says why, if it is one of those parts."""
    if part not in parts:
        return Markup("")
    return Markup(' aria-invalid="true" aria-describedby="why-{}"').format(part)


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a refusal's page is for: their language, and the site whose open form it offers; empty for none."""

    language: Language
    site: str = ""


_PROBLEMS = Pages(
    problem="""{{ super() }}{% if site %}<p><a href="/c/{{ site|urlencode }}">{{ say("form.here") }}</a></p>
{% endif %}"""
)


def problem_page(status: int, language: Language, site: str = "") -> str:
    """The page for a customer whose link is invalid (4xx) or cannot be served now (5xx and 429).

    The first leads to the open form of a site, if one is given.
    """
    if status >= 500 or status == 429:
        title, *lines = (say(language, f"link.later.{part}") for part in ("title", "why"))
        site = ""  # the link works, later
    else:
        title, *lines = (say(language, f"link.lost.{part}") for part in ("title", "why", "ask"))
    return _PROBLEMS.render("problem", language, title, lines=lines, site=site)


def wants_page(accept: str, path: str) -> bool:
    """Whether a request comes from a browser: it accepts HTML, and prefers it to JSON or likes both equally.

    Routes below /v1/ never answer with a page, and those of the open form always do.
    """
    if path.startswith("/c/"):
        return True
    weights = dict(weighed(accept))
    page = weights.get(HTML, 0.0)
    api = max(weights.get("application/json", 0.0), weights.get("application/problem+json", 0.0))
    return 0 < page >= api and not path.startswith("/v1/")


def wants_json(accept: str, *, otherwise: bool) -> bool:
    """Whether a request accepts JSON and not HTML; `otherwise` if it names neither."""
    weights = dict(weighed(accept))
    if weights.get(HTML, 0.0) > 0:
        return False
    return weights.get("application/json", 0.0) > 0 or otherwise


def addressee(known: object, accept_language: str) -> Addressee:
    """The link's customer, else whoever has the browser, in the language that it prefers."""
    return known if isinstance(known, Addressee) else Addressee(accepted_language(accept_language))
