"""The page behind a check's link: the whole letter, the question whether it helped, what comes of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from services.notifier.wording import Rendered
from shared.contracts.complaints import Language
from shared.contracts.notifier import Helped
from shared.runtime.pages import Pages
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
    over: str


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
        soon="Om et øyeblikk står det her når du senest hører fra oss.",
        look_again="Vis når jeg hører fra dere",
        keep="Vi har ikke e-postadressen din. Ta vare på denne siden: Her finner du alt igjen, og her kan du svare oss.",
        over="Dette gjelder ikke lenger: Tiden er gått ut.",
    ),
    Language.SV: _Words(
        ask="Hjälpte det?",
        yes="Ja, tack",
        no="Nej, inte tillräckligt",
        glad="Så roligt att höra att det hjälpte. Tack!",
        more="Är det något mer, så nämn {} för vem som helst av oss.",
        sorry="Tack för ett ärligt svar",
        open_again="Det hjälpte inte tillräckligt, och då är vi inte klara. Ärendet är öppet igen hos den som har haft det hela tiden, så du slipper börja om från början.",
        heard_by="Du hör av oss senast {}.",
        soon="Om en liten stund står det här när du senast hör av oss.",
        look_again="Visa när jag hör av er",
        keep="Vi har inte din e-postadress. Spara den här sidan: här hittar du allt igen, och här kan du svara oss.",
        over="Det här gäller inte längre: tiden har gått ut.",
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
        soon="Om et øjeblik står der her, hvornår du senest hører fra os.",
        look_again="Vis, hvornår jeg hører fra jer",
        keep="Vi har ikke din e-mailadresse. Gem denne side: Her finder du det hele igen, og her kan du svare os.",
        over="Det gælder ikke længere: Tiden er udløbet.",
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
        soon="In a moment it says here by when you will hear from us.",
        look_again="Show when I will hear from you",
        keep="We do not have your e-mail address. Please keep this page: everything is here, and you can answer us here.",
        over="This is not valid any more: its time is over.",
    ),
}  # fmt: skip

_LETTER = """{% if helped %}<section role="status">
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
{% else %}<p>{{ block|join(" ") }}</p>
{% endif %}{% endfor %}{% if over %}<p><strong>{{ over }}</strong></p>
{% endif %}{% if keep %}<p>{{ keep }}</p>
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
    code: str
    reference: str
    #: Whether the check's time is over.
    over: bool
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
        return self._pages.render(
            "letter",
            shown.language,
            shown.letter.subject,
            site_name=shown.site_name,
            words=words,
            token=token,
            helped=shown.helped,
            heading=heading,
            said=said,
            again=again,
            blocks=list(blocks_of(shown.letter.body)),
            code=shown.code,
            over=words.over if shown.over else "",
            keep="" if shown.reachable else words.keep,
        )


def _answered(shown: Shown, words: _Words) -> tuple[str, list[str], str]:
    """Heading and lines for an answer, and a link's text where there is more to see in a moment."""
    more = words.more.format(shown.reference)
    if shown.helped is not Helped.NO:
        return words.glad, [more], ""
    if shown.promised_by is None:
        return words.sorry, [words.open_again, words.soon, more], words.look_again
    when = format_time(shown.promised_by, shown.timezone, shown.language, year=True)
    return words.sorry, [words.open_again, words.heard_by.format(when), more], ""


def blocks_of(body: str) -> list[tuple[str, list[str | tuple[str, str]]]]:
    """A letter's paragraphs; those that are set in become one card, its labelled lines as pairs."""
    paragraphs = [part.splitlines() for part in body.strip().split("\n\n") if part.strip()]
    found: list[tuple[str, list[str | tuple[str, str]]]] = []
    for card, parts in groupby(paragraphs, key=lambda lines: lines[0].startswith("  ")):
        if card:
            title, *rest = [line.strip() for part in parts for line in part]
            found.append(("card", [title, *(_labelled(line) for line in rest)]))
        else:
            found += [("text", [line.strip() for line in part]) for part in parts]
    return found


def _labelled(line: str) -> str | tuple[str, str]:
    label, colon, value = line.partition(": ")
    return (label, value) if colon else line
