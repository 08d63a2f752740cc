"""The page behind an offer's link: two or three checks to choose from, and afterwards what was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.complaints import Language
from shared.runtime.http.pages import Pages

_WORDS: dict[Language, dict[str, str]] = {
    Language.NB: {
        "choose": "Velg det du vil ha",
        "sorry": "Dette ble ikke slik det skulle, og det vil vi gjøre godt igjen. Velg det som passer deg best.",
        "by": "Velg senest {}.",
        "about": "Dette gjelder det du fortalte oss om {}.",
        "told": "Dette gjelder det du fortalte oss.",
        "case": "Saken din har referansen {}.",
        "law": "Du har også rettigheter etter loven:",
        "chosen": "Dette valgte du",
        "code": "Kode",
        "where": "Hvor",
        "everywhere": "overalt hos {}",
        "until": "Gjelder til",
        "show": "Vis koden når du vil bruke den. Kommer du tilbake til denne siden, står den her.",
        "mailed": "Har vi e-postadressen din, får du det også på e-post.",
        "closed": "Tilbudet er ikke åpent lenger",
        "instead": "Det ble ikke valgt noe i tide. Snakk med hvem som helst av oss og nevn {}, så hjelper vi deg videre.",
    },
    Language.SV: {
        "choose": "Välj det du vill ha",
        "sorry": "Det blev inte som det skulle, och det vill vi gottgöra. Välj det som passar dig bäst.",
        "by": "Välj senast {}.",
        "about": "Det gäller det du berättade för oss om {}.",
        "told": "Det gäller det du berättade för oss.",
        "case": "Ditt ärende har referensen {}.",
        "law": "Du har också rättigheter enligt lagen:",
        "chosen": "Det här valde du",
        "code": "Kod",
        "where": "Var",
        "everywhere": "överallt hos {}",
        "until": "Gäller till",
        "show": "Visa koden när du vill använda den. Den finns kvar här när du kommer tillbaka till sidan.",
        "mailed": "Har vi din e-postadress får du det också via e-post.",
        "closed": "Erbjudandet är inte öppet längre",
        "instead": "Inget valdes i tid. Prata med vem som helst av oss och nämn {}, så hjälper vi dig vidare.",
    },
    Language.DA: {
        "choose": "Vælg det, du vil have",
        "sorry": "Det gik ikke, som det skulle, og det vil vi gerne gøre godt igen. Vælg det, der passer dig bedst.",
        "by": "Vælg senest {}.",
        "about": "Det gælder det, du fortalte os om {}.",
        "told": "Det gælder det, du fortalte os.",
        "case": "Din sag har referencen {}.",
        "law": "Du har også rettigheder efter loven:",
        "chosen": "Det valgte du",
        "code": "Kode",
        "where": "Hvor",
        "everywhere": "overalt hos {}",
        "until": "Gælder til",
        "show": "Vis koden, når du vil bruge den. Kommer du tilbage til denne side, står den her.",
        "mailed": "Har vi din e-mailadresse, får du det også på e-mail.",
        "closed": "Tilbuddet er ikke åbent længere",
        "instead": "Der blev ikke valgt noget i tide. Tal med hvem som helst af os, og nævn {}, så hjælper vi dig videre.",
    },
    Language.EN: {
        "choose": "Choose what you would like",
        "sorry": "This did not go the way it should have, and we want to make up for it. Choose what suits you best.",
        "by": "Choose by {}.",
        "about": "It is for what you told us about {}.",
        "told": "It is for what you told us.",
        "case": "Your case has the reference {}.",
        "law": "You also have rights under the law:",
        "chosen": "This is what you chose",
        "code": "Code",
        "where": "Where",
        "everywhere": "anywhere at {}",
        "until": "Valid until",
        "show": "Show the code when you want to use it. It is here whenever you come back to this page.",
        "mailed": "If we have your e-mail address, it comes by mail as well.",
        "closed": "This offer is not open any more",
        "instead": "Nothing was chosen in time. Talk to any one of us and mention {}, and we will take it from there.",
    },
}  # fmt: skip

_OFFER = """{% if chosen and chosen.standing %}<p class="standing" role="status">{{ chosen.standing }}</p>
{% endif %}{% for line in said %}<p>{{ line }}</p>
{% endfor %}{% for one in choices %}<form method="post" action="/o/{{ token }}"><button name="item" value="{{ one.item }}">{{ one.title }}
{% if one.worth %}<small>{{ one.worth }}</small>{% endif %}{% if one.where %}<small>{{ words.where }}: {{ one.where }}</small>{% endif %}</button></form>
{% endfor %}{% if chosen %}<div class="card">
<p>{{ chosen.title }}{% if chosen.worth %} ({{ chosen.worth }}){% endif %}</p>
{% if chosen.code %}<dl>
<dt>{{ words.code }}</dt><dd class="code">{{ chosen.code }}</dd>
<dt>{{ words.where }}</dt><dd>{{ chosen.where or everywhere }}</dd>
<dt>{{ words.until }}</dt><dd>{{ chosen.until }}</dd>
</dl>
{% endif %}</div>
{% endif %}{% for line in after %}<p>{{ line }}</p>
{% endfor %}"""


@dataclass(frozen=True, slots=True)
class Choice:
    """A check as the page names it; `where` is empty for everywhere."""

    item: str
    title: str
    worth: str
    where: str


@dataclass(frozen=True, slots=True)
class Chosen(Choice):
    """The check that was chosen: what became of it, in a sentence, and its code while a till takes it."""

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
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(offer=_OFFER)

    def show(self, shown: Shown, token: str) -> str:
        """The page as the offer stands."""
        words = _WORDS[shown.language]
        about = words["about"].format(shown.about) if shown.about else words["told"]
        after = [about, words["case"].format(shown.reference)]
        if shown.chosen is not None:
            title, said = words["chosen"], []
            if shown.chosen.code:
                after = [words["show"], words["mailed"], *after]
            elif not shown.chosen.standing:
                after = [words["mailed"], *after]
        elif shown.choices:
            title, said = words["choose"], [words["sorry"], words["by"].format(shown.choose_by)]
        else:
            title, said = words["closed"], [about, words["instead"].format(shown.reference)]
            after = []
        if shown.information:
            after += [words["law"], shown.information]
        return self._pages.render(
            "offer",
            shown.language,
            title,
            site_name=shown.site_name,
            words=words,
            everywhere=words["everywhere"].format(shown.site_name),
            token=token,
            said=said,
            choices=shown.choices,
            chosen=shown.chosen,
            after=after,
        )
