"""What customers see of checks: an offer's page, to choose and with what was chosen, and the page with a check's code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import segno
from markupsafe import Markup

from shared.contracts.complaints import Language
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import say

#: The id of the choices on the page.
CHOICES = "choices"

_OFFER = """{% if chosen and chosen.standing %}<p class="standing" role="status">{{ chosen.standing }}</p>
{% endif %}{% for line in said %}<p>{{ line }}</p>
{% endfor %}{% for one in choices %}<form method="post" action="/o/{{ token }}"{% if loop.first %} id="choices"{% endif %}><button name="item" value="{{ one.item }}">{{ one.title }}
{% if one.worth %}<small>{{ one.worth }}</small>{% endif %}{% if one.where %}<small>{{ say("offer.where") }}: {{ one.where }}</small>{% endif %}</button></form>
{% endfor %}{% if chosen %}<div class="card">
<p>{{ chosen.title }}{% if chosen.worth %} ({{ chosen.worth }}){% endif %}</p>
{% if chosen.code %}<dl>
<dt>{{ say("offer.code") }}</dt><dd class="code">{{ chosen.code }}</dd>
{% if chosen.where %}<dt>{{ say("offer.where") }}</dt><dd>{{ chosen.where }}</dd>
{% endif %}<dt>{{ say("offer.until") }}</dt><dd>{{ chosen.until }}</dd>
</dl>
{% endif %}</div>
{% endif %}{% for line in after %}<p>{{ line }}</p>
{% endfor %}"""
_CODE = """{% if check.standing %}<p class="standing" role="status">{{ check.standing }}</p>
{% endif %}{% if check.worth %}<p class="what">{{ check.worth }}</p>
{% endif %}{% if check.code %}<div class="card">
<div class="picture" role="img" aria-label="{{ say("offer.picture") }}">{{ picture }}</div>
<dl>
<dt>{{ say("offer.code") }}</dt><dd class="code">{{ check.code }}</dd>
{% if check.where %}<dt>{{ say("offer.where") }}</dt><dd>{{ check.where }}</dd>
{% endif %}<dt>{{ say("offer.until") }}</dt><dd>{{ check.until }}</dd>
</dl>
</div>
<p>{{ say("offer.print") }}</p>
{% endif %}"""
#: What a scanner needs around a code, in modules; the picture is as wide as its style says.
QUIET = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """A check as the page names it; `where` is empty if it is valid everywhere."""

    item: str
    title: str
    worth: str
    where: str


@dataclass(frozen=True, slots=True)
class Chosen(Choice):
    """The check that was chosen: what became of it, in a sentence, and its code while a till takes it.

    `where` is empty if it is money, whose title says on which account or for what it is.
    """

    code: str
    until: str
    standing: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What an offer's page shows: choices while it is open, else what was chosen, else neither."""

    language: Language
    site_name: str
    about: str
    reference: str
    information: str
    choose_by: str
    choices: tuple[Choice, ...] = ()
    chosen: Chosen | None = None


class Page:
    """The pages in each language."""

    def __init__(self) -> None:
        self._pages = Pages(offer=_OFFER, code=_CODE)

    def code(self, check: Chosen, language: Language, site_name: str) -> str:
        """A check for the till: its code in letters and as a picture, until no till takes it."""
        drawn = segno.make(check.code, error="m", micro=False) if check.code else None
        picture = drawn.svg_inline(border=QUIET, light="#fff", omitsize=True) if drawn else ""
        return self._pages.render(
            "code",
            language,
            check.title,
            site_name=site_name,
            check=check,
            picture=Markup(picture),  # noqa: S704 - drawn by us from letters and digits
        )

    def show(self, shown: Shown, token: str, *, unknown_choice: bool = False) -> str:
        """The page of the offer's state; with `unknown_choice`, an error on top: the item is not offered."""
        words = partial(say, shown.language)
        faults = [Fault(words("offer.choose_one"), CHOICES)] if unknown_choice else []
        about = words("offer.about", about=shown.about) if shown.about else words("offer.told")
        after = [about, words("offer.case", reference=shown.reference)]
        if shown.chosen is not None:
            title, said = words("offer.chosen"), []
            if shown.chosen.code:
                after = [words("offer.show"), words("offer.mailed"), *after]
            elif not shown.chosen.standing:
                after = [words("offer.mailed"), *after]
        elif shown.choices:
            title = words("offer.choose")
            said = [words("offer.sorry"), words("offer.by", when=shown.choose_by)]
        else:
            title = words("offer.closed")
            said, after = [about, words("offer.instead", reference=shown.reference)], []
        if shown.information:
            after += [words("offer.law"), shown.information]
        return self._pages.render(
            "offer",
            shown.language,
            title,
            site_name=shown.site_name,
            faults=faults if shown.choices else [],
            token=token,
            said=said,
            choices=shown.choices,
            chosen=shown.chosen,
            after=after,
        )
