"""The page behind a check's link: the whole letter, the question whether it helped, what comes of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile, groupby

from services.notifier.wording import Rendered
from shared.contracts.complaints import Language
from shared.contracts.notifier import Helped
from shared.runtime.http.pages import Pages
from shared.runtime.words import format_time


@dataclass(frozen=True, slots=True)
class _Words:
    """What the page says beside the letter."""

    ask: str
    yes: str
    no: str
    glad: str
    more: str
    sorry: str
    open_again: str
    heard_by: str
    soon: str
    look_again: str
    keep: str


_WORDS = {
    Language.NB: _Words(
        ask="Hjalp det?",
        yes="Ja, takk",
        no="Nei, ikke nok",
        glad="Så godt å høre at det hjalp. Takk!",
        more="Er det noe mer, så nevn {} for hvem som helst av oss.",
        sorry="Takk for et ærlig svar",
        open_again="Det hjalp ikke nok, og da er vi ikke ferdige. Saken er åpen igjen hos den som har hatt den hele tiden, så du slipper å begynne forfra.",
        heard_by="Du hører fra oss senest {}.",
        soon="Om et øyeblikk ser du her når du hører fra oss.",
        look_again="Vis når jeg hører fra dere",
        keep="Vi har ikke e-postadressen din. Ta vare på denne siden: Her finner du alt igjen, og her kan du svare oss.",
    ),
    Language.SV: _Words(
        ask="Hjälpte det?",
        yes="Ja, tack",
        no="Nej, inte tillräckligt",
        glad="Vad bra att det hjälpte. Tack!",
        more="Är det något mer kan du nämna {} för vem som helst av oss.",
        sorry="Tack för ett ärligt svar",
        open_again="Det hjälpte inte tillräckligt, och då är vi inte klara. Ärendet är öppet igen hos den som har haft det hela tiden, så du slipper börja om från början.",
        heard_by="Vi hör av oss senast {}.",
        soon="Om en liten stund ser du här när vi hör av oss.",
        look_again="Visa när ni hör av er",
        keep="Vi har inte din e-postadress. Spara den här sidan: här hittar du allt igen, och här kan du svara oss.",
    ),
    Language.DA: _Words(
        ask="Hjalp det?",
        yes="Ja, tak",
        no="Nej, ikke nok",
        glad="Hvor er det godt at høre, at det hjalp. Tak!",
        more="Er der mere, så nævn {} for hvem som helst af os.",
        sorry="Tak for et ærligt svar",
        open_again="Det hjalp ikke nok, og så er vi ikke færdige. Sagen er åben igen hos den, der har haft den hele tiden, så du slipper for at begynde forfra.",
        heard_by="Du hører fra os senest {}.",
        soon="Om et øjeblik kan du se her, hvornår du hører fra os.",
        look_again="Vis, hvornår jeg hører fra jer",
        keep="Vi har ikke din e-mailadresse. Gem denne side: Her finder du det hele igen, og her kan du svare os.",
    ),
    Language.EN: _Words(
        ask="Did it help?",
        yes="Yes, thank you",
        no="No, not enough",
        glad="We are glad it helped. Thank you!",
        more="If there is anything more, mention {} to any one of us.",
        sorry="Thank you for an honest answer",
        open_again="It did not help enough, so we are not done. Your case is open again with the person who has had it all along, and you will not have to start over.",
        heard_by="You will hear from us by {}.",
        soon="In a moment you can see here by when you will hear from us.",
        look_again="Show when I will hear from you",
        keep="We do not have your e-mail address. Please keep this page: everything is here, and you can answer us here.",
    ),
}  # fmt: skip

_LETTER = """{% if standing %}<p class="standing" role="status">{{ standing }}</p>
{% endif %}{% if helped %}<section role="status">
<h2>{{ heading }}</h2>
{% for line in said %}<p>{{ line }}</p>
{% endfor %}{% if again %}<p><a href="/f/{{ token }}">{{ again }}</a></p>
{% endif %}</section>
{% endif %}{% for kind, block in blocks %}{% if kind == "card" %}<div class="card">
{% for line in block if line is string %}<p>{{ line }}</p>
{% endfor %}{% for line in block if line is not string %}{% if loop.first %}<dl>
{% endif %}<dt>{{ line[0] }}</dt><dd{% if line[1] == code %} class="code"{% endif %}>{{ line[1] }}</dd>
{% if loop.last %}</dl>
{% endif %}{% endfor %}</div>
{% elif kind == "closing" %}<p>{% for line in block %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>
{% else %}<p>{{ block|join(" ") }}</p>
{% endif %}{% endfor %}{% if keep %}<p>{{ keep }}</p>
{% endif %}{% if not helped %}<h2>{{ words.ask }}</h2>
<form method="post" action="/f/{{ token }}/yes"><button class="yes">{{ words.yes }}</button></form>
<form method="post" action="/f/{{ token }}/no"><button>{{ words.no }}</button></form>
{% endif %}"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a check's page shows: the letter, and where the customer and we stand."""

    language: Language
    timezone: str
    site_name: str
    letter: Rendered
    title: str
    code: str
    reference: str
    #: What became of the check, in a sentence; empty while it is as it was given.
    standing: str
    #: Whether a till takes it; else the page shows what it was, and does not give it once more.
    usable: bool
    #: Whether we can write to the customer; else the page is all they have.
    reachable: bool
    helped: Helped | None = None
    #: After a no: by when the customer hears from us, once that is promised.
    promised_by: datetime | None = None


class Page:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(letter=_LETTER)

    def show(self, shown: Shown, token: str) -> str:
        """The letter as a page; before the answer with the question, after it with what comes of it."""
        words = _WORDS[shown.language]
        heading, said, again = _answered(shown, words)
        _greeting, *blocks = blocks_of(shown.letter.body)
        if not shown.usable:
            blocks = list(dropwhile(lambda block: block[0] != "card", blocks))
        return self._pages.render(
            "letter",
            shown.language,
            shown.letter.subject if shown.usable else shown.title,
            site_name=shown.site_name,
            words=words,
            token=token,
            helped=shown.helped,
            heading=heading,
            said=said,
            again=again,
            blocks=blocks,
            code=shown.code,
            standing=shown.standing,
            keep="" if shown.reachable else words.keep,
        )


def _answered(shown: Shown, words: _Words) -> tuple[str, list[str], str]:
    """Heading and lines for an answer, and a link's text where there is more to see in a moment."""
    more = words.more.format(shown.reference)
    if shown.helped is not Helped.NO:
        return words.glad, [more], ""
    if shown.promised_by is None:
        return words.sorry, [words.open_again, words.soon, more], words.look_again
    when = format_time(shown.promised_by, shown.timezone, shown.language)
    return words.sorry, [words.open_again, words.heard_by.format(when), more], ""


def blocks_of(body: str) -> Iterator[tuple[str, list[str | tuple[str, str]]]]:
    """A letter's paragraphs; those that are set in become one card, its labelled lines as pairs.

    The last one is the closing, whose lines stay lines.
    """
    *paragraphs, closing = [
        part.splitlines() for part in body.strip().split("\n\n") if part.strip()
    ]
    for card, parts in groupby(paragraphs, key=lambda lines: lines[0].startswith("  ")):
        if card:
            title, *rest = [line.strip() for part in parts for line in part]
            yield "card", [title, *(_labelled(line) for line in rest)]
        else:
            for part in parts:
                yield "text", [line.strip() for line in part]
    yield "closing", [*closing]


def _labelled(line: str) -> str | tuple[str, str]:
    label, colon, value = line.partition(": ")
    return (label, value) if colon else line
