"""Every letter in every language and form on one page, with example values: docs/reference/letters.html."""

from __future__ import annotations

from services.notifier.wording.examples import variants_of, written
from services.notifier.wording.forms import templates
from services.notifier.wording.preview import embedded
from services.notifier.wording.wording import Wording
from shared.contracts.complaints import Language
from shared.contracts.notifier import Occasion


def page(notice: str) -> str:
    """The page; `notice` is the comment that it is generated."""
    wording, style, letters = Wording(), "", []
    for occasion in Occasion:
        for variant, kind in variants_of(occasion).items():
            forms = []
            for language in Language:
                letter = written(wording, occasion, language, kind)
                style, body = (inside(tag, embedded(letter)) for tag in ("style", "body"))
                forms.append((language, letter, body))
            letters.append((occasion, variant, forms))
    return (
        templates().get_template("gallery.html").render(letters=letters, style=style, notice=notice)
    )


def inside(tag: str, html: str) -> str:
    """What is between the opening and the closing of a tag that the page has once."""
    return html.partition(f"<{tag}")[2].partition(">")[2].partition(f"</{tag}>")[0].strip()
