"""The page behind a check's link: the whole letter, the question whether it helped, what follows from the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import dropwhile
from typing import NamedTuple

from services.notifier.survey.page import FORM, asked_of
from services.notifier.wording.blocks import Card, Outline
from shared.contracts.complaints import Language
from shared.contracts.notifier import Helped
from shared.contracts.policy import SurveyQuestion
from shared.contracts.reasons import Reason
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import format_time, say

_LETTER = (
    """{% if standing %}<p class="standing" role="status">{{ standing }}</p>
{% endif %}{% if withdrawn %}<p>{{ withdrawn|join(" ") }}</p>
<p>{{ turn_to }}</p>
{% endif %}{% if danger %}<p class="missed">{{ say("letter.acknowledgement.help") }}</p>
{% endif %}{% if helped %}<section id="answer" role="status">
<h2>{{ heading }}</h2>
{% for line in said %}<p>{{ line }}</p>
{% endfor %}{% if again %}<p><a href="/f/{{ token }}">{{ again }}</a></p>
{% endif %}{% if added %}<p>{{ say("check.added") }}</p>
{% endif %}</section>
{% if adds %}<form method="post" action="/f/{{ token }}/{{ helped }}">
<label for="text">{{ say("check.add") }}</label>
<input id="text" name="text" maxlength="{{ line_max }}" required value="{{ line }}"{{ amiss("text") }}>
<button>{{ say("mine.words.send") }}</button></form>
{% endif %}{% if asked %}<h2>{{ say("survey.title") }}</h2>
"""
    + FORM
    + """{% endif %}{% endif %}{% for block in blocks %}{% if block.KIND == "card" %}<div class="card">
<p>{{ block.title }}</p>
{% if block.code %}<dl>
<dt>{{ block.code_label }}</dt><dd class="code">{{ block.code }}</dd>
{% for label, value in block.rows %}<dt>{{ label }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl>
<a href="{{ code_url }}">{{ say("check.at_till") }}</a>
{% endif %}</div>
{% elif block.KIND == "text" %}<p>{{ block.sentences|join(" ") }}</p>
{% endif %}{% endfor %}<p>{% for line in closing %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>
{% if keeps %}<p>{{ say("check.keep" if asks else "check.keep_gift") }}</p>
{% endif %}{% if asks and not helped %}<h2 id="answer">{{ say("check.ask") }}</h2>
<form method="post" action="/f/{{ token }}/yes">
<label for="text">{{ say("mine.helped.line") }}</label>
<input id="text" name="text" maxlength="{{ line_max }}" value="{{ line }}"{{ amiss("text") }}>
<button class="yes">{{ say("check.yes") }}</button>
<button formaction="/f/{{ token }}/partly">{{ say("check.partly") }}</button>
<button formaction="/f/{{ token }}/no">{{ say("check.no") }}</button></form>
{% elif line and not adds %}<p>{{ say("mine.words.kept") }}</p>
<blockquote>{{ line }}</blockquote>
{% endif %}{% if foot %}<p><a href="{{ foot.url }}">{{ say("preferences.title") }}</a></p>
{% endif %}"""
)
#: The longest line that a customer may write with their answer.
LINE_CHARS_MAX = 500


class Next(NamedTuple):
    """When the customer hears from us after an answer that leaves something to do.

    `by` is None until complaints has promised it, and once that is `over`: they were told, or the complaint is.
    """

    by: datetime | None = None
    missed: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """What a check's page shows: the letter, the state of the check and the customer's answer."""

    language: Language
    timezone: str
    site_name: str
    letter: Outline
    title: str
    reference: str
    #: One sentence on what became of the check; empty while it is unchanged.
    standing: str
    #: Whether a till takes it; if not, the page says what it was and shows no code.
    usable: bool
    #: Where its code is on a page of its own.
    code_url: str
    #: Whether we can write to the customer; if not, the page asks them to keep the link.
    reachable: bool
    #: Whether the customer is asked if it helped; not about what was given to delight, nor once nothing is left of it.
    asks: bool = True
    #: What is said of a check that was taken back; nothing of others.
    withdrawn: Sequence[str] = ()
    #: Whether somebody's safety is concerned, of a complaint that is not over: nobody waits for an answer then.
    danger: bool = False
    helped: Helped | None = None
    #: If there is more to do: by when the customer hears from us.
    hears: Next = field(default_factory=Next)
    #: The site's questions about a complaint that the answer closed, and where they are answered.
    survey: Mapping[str, SurveyQuestion] = field(default_factory=dict)
    survey_path: str = ""


class Page:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(letter=_LETTER)

    def show(
        self,
        shown: Shown,
        token: str,
        *,
        not_taken: Reason | None = None,
        line: str = "",
        added: bool = False,
    ) -> str:
        """The letter as a page: with the question until it is answered, then with what follows from the answer.

        With why an answer was `not_taken`, and the `line` that came with it; or that a line was `added`.
        """
        heading, said, again = _answered(shown)
        blocks = shown.letter.blocks
        if not shown.usable:
            blocks = tuple(dropwhile(lambda block: not isinstance(block, Card), blocks))
        return self._pages.render(
            "letter",
            shown.language,
            shown.letter.subject if shown.usable else shown.title,
            site_name=shown.site_name,
            faults=[_fault(shown, not_taken, line)] if not_taken is not None else [],
            token=token,
            line=line,
            helped=shown.helped,
            adds=adds(shown),
            added=added,
            # What they wrote a moment ago may speak of danger, and nobody has read it yet.
            danger=shown.danger or (added and adds(shown)),
            heading=heading,
            said=said,
            again=again,
            blocks=blocks,
            closing=shown.letter.closing,
            foot=shown.letter.foot,
            standing=shown.standing,
            code_url=shown.code_url,
            withdrawn=shown.withdrawn,
            turn_to=_elsewhere(shown, "check.disagree"),
            keeps=not shown.reachable and (shown.usable or shown.asks),
            asks=shown.asks,
            asked=asked_of(shown.survey, shown.language, {}),
            survey_path=shown.survey_path,
            line_max=LINE_CHARS_MAX,
        )


def adds(shown: Shown) -> bool:
    """Whether the customer is asked for more: where it did not help enough, we go on."""
    return shown.helped in (Helped.PARTLY, Helped.NO)


def _elsewhere(shown: Shown, key: str) -> str:
    """Where the customer writes to us: without a link to the page of their case, because this one may be passed on with its check.

    The link is in our messages; whoever has none turns to any one of us.
    """
    words = partial(say, shown.language)
    return words(key) if shown.reachable else words("check.more", reference=shown.reference)


def _fault(shown: Shown, reason: Reason, line: str) -> Fault:
    """Why an answer was not taken: there was one before, its line is too long, or no button has that word."""
    words, too_long = partial(say, shown.language), len(line) > LINE_CHARS_MAX
    if reason is Reason.TOO_MANY_WORDS:
        return Fault(words("mine.fault.too_many_words"), "text" if adds(shown) else "answer")
    if shown.helped is not None and (
        (too_long and not adds(shown)) or reason is Reason.ALREADY_ANSWERED
    ):
        heard = words("check.heard", answer=words(f"check.{shown.helped}"))
        return Fault(f"{heard} {_elsewhere(shown, 'check.differently')}", "answer")
    if too_long:
        return Fault(words("check.too_long", count=LINE_CHARS_MAX), "text")
    return Fault(words("mine.fault.button"), "answer")


def _answered(shown: Shown) -> tuple[str, list[str], str]:
    """Heading and lines for an answer, and the text of a link to reload while the next promise is missing."""
    words = partial(say, shown.language)
    more = words("check.more", reference=shown.reference)
    if shown.helped in (None, Helped.YES):
        return words("check.glad"), [more], ""
    sorry, again = words("check.sorry"), words("check.goes_on")
    if shown.hears.over:
        return sorry, [more], ""
    if shown.hears.by is None:
        return sorry, [again, words("check.soon"), more], words("check.look_again")
    when = format_time(shown.hears.by, shown.timezone, shown.language)
    said = words("mine.missed" if shown.hears.missed else "check.heard_by", when=when)
    return sorry, [again, said, more], ""
