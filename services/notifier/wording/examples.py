"""Example letters for the preview, the gallery and the tests: each occasion in each of its variants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.notifier.wording.blocks import Outline
from services.notifier.wording.occasions import UNPLACED
from services.notifier.wording.wording import Rendered, Says, Wording
from shared.contracts.complaints import Category, Language
from shared.contracts.intake import Disruption
from shared.contracts.notifier import Occasion
from shared.runtime.words import about, format_money, format_time, format_worth, say

#: A Wednesday evening aboard.
NOW = datetime(2026, 6, 3, 17, 30, tzinfo=UTC)
ZONE = "Europe/Oslo"
NAME = "Kari Nordmann"
_DINNER = {
    "nb": "Middag for to",
    "sv": "Middag för två",
    "da": "Middag for to",
    "en": "Dinner for two",
}
_CINEMA = {
    "nb": "Kinokveld",
    "sv": "Biokväll",
    "da": "Biografaften",
    "en": "An evening at the cinema",
}
_DISCOUNT = {
    "nb": "Rabatt i baren",
    "sv": "Rabatt i baren",
    "da": "Rabat i baren",
    "en": "A discount at the bar",
}
_REFUND = {
    "nb": "En del av billettprisen tilbake",
    "sv": "En del av biljettpriset tillbaka",
    "da": "En del af billetprisen tilbage",
    "en": "A part of the fare back",
}
_APOLOGY = {
    "nb": "En oppriktig beklagelse",
    "sv": "En uppriktig ursäkt",
    "da": "En oprigtig undskyldning",
    "en": "A sincere apology",
}
_LAW = {
    "nb": "forordning (EU) nr. 1177/2010 om passasjerers rettigheter til sjøs",
    "sv": "förordning (EU) nr 1177/2010 om passagerares rättigheter till sjöss",
    "da": "forordning (EU) nr. 1177/2010 om passagerers rettigheder til søs",
    "en": "Regulation (EU) No 1177/2010 on the rights of passengers at sea",
}
_INFORMATION = {
    "nb": "Hvor mye det er, kommer an på hvor sent du kommer fram, og hvor lang reisen er.",
    "sv": "Hur mycket det är beror på hur sent du kommer fram, och på hur lång resan är.",
    "da": "Hvor meget det er, kommer an på, hvor sent du kommer frem, og hvor lang rejsen er.",
    "en": "How much it is depends on how late you arrive, and on how long the journey is.",
}
_PROMISE = {
    "nb": "Hos oss ordner den du snakker med det selv.",
    "sv": "Hos oss ordnar den du pratar med det själv.",
    "da": "Hos os ordner den, du taler med, det selv.",
    "en": "Whoever you talk to here puts it right in person.",
}
_QUESTION = {
    "nb": "Hvilken av de to heisene var det?",
    "sv": "Vilken av de två hissarna var det?",
    "da": "Hvilken af de to elevatorer var det?",
    "en": "Which of the two lifts was it?",
}
_WHERE = {
    "nb": "restauranten",
    "sv": "restaurangen",
    "da": "restauranten",
    "en": "the restaurant",
}
_DINED = {
    "nb": "Hvordan var middagen?",
    "sv": "Hur var middagen?",
    "da": "Hvordan var middagen?",
    "en": "How was dinner?",
}
_PLACE = {
    "nb": "Lugar 412, dekk 4",
    "sv": "Hytt 412, däck 4",
    "da": "Kahyt 412, dæk 4",
    "en": "Cabin 412, deck 4",
}
_BODY = {
    "nb": "Transportklagenemnda",
    "sv": "Den norska nämnden Transportklagenemnda",
    "da": "Det norske nævn Transportklagenemnda",
    "en": "The Norwegian Transport Complaints Board",
}
_RESOLUTION = {
    "nb": "Kjøkkenet laget maten på nytt, og kokken kom selv ut med den.",
    "sv": "Köket lagade maten på nytt, och kocken kom själv ut med den.",
    "da": "Køkkenet lavede maden igen, og kokken kom selv ud med den.",
    "en": "The kitchen cooked your meal again, and the chef brought it out in person.",
}
_WORDS = {
    "nb": "Kjøkkenet har stått stille siden kl. 18. Kald mat serveres i baren, og klokka 20 er det varm mat igjen.",
    "sv": "Köket har stått stilla sedan kl. 18. Kall mat serveras i baren, och klockan 20 finns det varm mat igen.",
    "da": "Køkkenet har stået stille siden kl. 18. Der er kold mad i baren, og klokken 20 er der varm mad igen.",
    "en": "The kitchen has been out of order since six. Cold food is served in the bar, and at eight there is hot food again.",
}
_FIX = {
    "nb": "Vi laget maten på nytt",
    "sv": "Vi lagade maten igen",
    "da": "Vi lavede maden igen",
    "en": "We cooked it again",
}
_BIRTHDAY = {
    "nb": "Gratulerer med dagen! Så hyggelig at du feirer den om bord hos oss.",
    "sv": "Grattis på födelsedagen! Så roligt att du firar den ombord hos oss.",
    "da": "Tillykke med fødselsdagen! Hvor er det dejligt, at du fejrer den om bord hos os.",
    "en": "Happy birthday! How lovely that you are spending it on board with us.",
}
#: What differs from the plain letter, by occasion and the name of the variant.
VARIANTS: Mapping[Occasion, Mapping[str, frozenset[str]]] = {
    Occasion.ACKNOWLEDGEMENT: {
        "severe": frozenset({"severe"}),
        "moderate": frozenset({"moderate"}),
        "about safety": frozenset({"safety"}),
        "of no category": frozenset({"other"}),
        "in the site's own words": frozenset({"voice"}),
        "of a delay that we saw": frozenset({"delay"}),
        "of something that ran out": frozenset({"out_of_stock"}),
        "of an outage that we saw": frozenset({"outage"}),
    },
    Occasion.CHECK_GIVEN: {
        "a discount": frozenset({"discount"}),
        "an apology": frozenset({"apology"}),
        "due by law": frozenset({"law"}),
        "after harm": frozenset({"safety"}),
        "of a closed case": frozenset({"closed"}),
        "to delight": frozenset({"delight"}),
        "to delight, in the site's own words": frozenset({"delight", "greeted"}),
    },
    Occasion.CHECK_OFFERED: {"after harm": frozenset({"safety"})},
    Occasion.REOPENED: {
        "with a colleague": frozenset({"colleague"}),
        "with nobody yet": frozenset({"nobody"}),
        "after harm": frozenset({"safety"}),
    },
    Occasion.FIX_DONE: {"of no name": frozenset({"untitled"})},
    Occasion.RESOLUTION_TOLD: {
        "without words": frozenset({"unsaid"}),
        "explained": frozenset({"unsaid", "explained"}),
        "nothing could be done": frozenset({"unsaid", "not_possible"}),
        "after the customer's quiet hours": frozenset({"waited"}),
    },
    Occasion.PROMISE_AT_RISK: {"with nobody yet": frozenset({"free"})},
    Occasion.PROMISE_BROKEN: {
        "with nobody yet": frozenset({"free"}),
        "about safety": frozenset({"safety"}),
    },
    Occasion.THANKED: {
        "after harm": frozenset({"safety"}),
        "with questions": frozenset({"survey"}),
    },
    Occasion.CLOSED: {
        "with questions": frozenset({"survey"}),
        "taken back": frozenset({"withdrawn"}),
        "no complaint": frozenset({"not_a_complaint"}),
    },
    Occasion.FEEDBACK_ASKED: {"about what was done": frozenset({"untitled"})},
    Occasion.SAFETY: {"told once more": frozenset({"again"})},
    Occasion.CHECK_EXPIRING: {
        "partly used": frozenset({"used"}),
        "to delight": frozenset({"delight"}),
    },
    Occasion.CHECK_WITHDRAWN: {
        "partly used": frozenset({"used"}),
        "to delight": frozenset({"delight"}),
    },
}


def variants_of(occasion: Occasion) -> Mapping[str, frozenset[str]]:
    """The variants of an occasion's letter by name, the plain one first."""
    return {"plain": frozenset(), **VARIANTS.get(occasion, {})}


#: What the digest of the examples holds.
_TOGETHER = (Occasion.FIX_DONE, Occasion.RESOLUTION_TOLD)


def written(
    wording: Wording,
    occasion: Occasion,
    language: Language,
    variant: frozenset[str] = frozenset(),
) -> Rendered:
    """An occasion's letter in a language, in one of its variants, with example values."""
    values, parts = example(occasion, language, variant), parts_of(wording, occasion, language)
    return wording.render(occasion, language, values, NAME, parts)


def parts_of(wording: Wording, occasion: Occasion, language: Language) -> list[Outline]:
    """The letters that an occasion's letter holds: those of a digest, and none of others."""
    together = _TOGETHER if occasion is Occasion.DIGEST else ()
    return [wording.outline(one, language, example(one, language), NAME) for one in together]


def example(
    occasion: Occasion, language: Language, variant: frozenset[str] = frozenset()
) -> dict[str, Says]:
    """The values of an occasion's letter in a language, in one of its variants."""

    def when(**after: float) -> str:
        return format_time(NOW + timedelta(**after), ZONE, language, NOW)

    where = "" if "other" in variant or occasion in UNPLACED else _WHERE[language]
    values: dict[str, Says] = {
        "site_name": "MS Aurora",
        "promise": _PROMISE[language] if "voice" in variant else "",
        "signed": "Ingrid Berg" if "voice" in variant else "",
        "reference": "EA2272",
        "gravity": "".join(variant & {"severe", "safety"}),
        "sorry": "yes" if "moderate" in variant else "",
        "closed": "yes" if "closed" in variant else "",
        "alarmed": "yes",
        "disruption": "".join(variant & set(Disruption)),
        "about": "" if "other" in variant else about(Category.FOOD, language),
        "promised_by": when(hours=2),
        "mine_url": "https://aurora.example/m/4nQ7xk2c",
        "survey_url": "https://aurora.example/f/survey/6mLs2dQe" if "survey" in variant else "",
        "preferences_url": "https://aurora.example/p/2hTk9wVe",
        "title": _DINNER[language],
        "worth": format_worth(1_200_00, "NOK", language),
        "code": "482913" if occasion is Occasion.CONFIRMATION else "7QK2-M4XP",
        "valid_at": "",
        "money": "",
        "valid_until": when(days=7),
        "due_by": "",
        "law": "",
        "information": "",
        "delight": "",
        "feedback_url": "https://aurora.example/f/9dTz3vLw",
        "choices": [
            f"{_DINNER[language]} ({format_worth(1_200_00, 'NOK', language)})",
            f"{_CINEMA[language]} ({format_worth(250_00, 'NOK', language)})",
        ],
        "choose_by": when(days=1),
        "offer_url": "https://aurora.example/o/b8Rw1hYs",
        "what": say(language, "mine.code.export"),
        "expires_at": when(minutes=10),
        "with_whom": next(iter(variant & {"colleague", "nobody"}), "same"),
        "words": _WORDS[language],
        "taken_on": "free" if "free" in variant else "taken",
        "question": _DINED[language]
        if occasion is Occasion.TOUCHPOINT_ASKED
        else _QUESTION[language],
        "asking_url": "https://aurora.example/q/7pKe4xNs",
        "resolution": "" if "unsaid" in variant else _RESOLUTION[language],
        "outcome": next(iter(variant & {"explained", "not_possible"}), "fixed"),
        "waited": "yes" if "waited" in variant else "",
        "fix": "" if "untitled" in variant else _FIX[language],
        "ended": next(iter(variant & {"withdrawn", "not_a_complaint"}), "closed_no_response"),
        "body": _BODY[language],
        "body_page": "https://board.example/",
        "closes_at": when(days=7),
        "used": "yes" if "used" in variant else "",
        "left": format_money(500_00, "NOK", language) if "used" in variant else "",
        "place": _PLACE[language] if occasion is Occasion.SAFETY else where,
        "kinds": [say(language, "safety.allergy")],
        "heard_at": when(),
        "seen_url": "https://aurora.example/s/c3Vn8tRq",
        "again": "yes" if "again" in variant else "",
    }
    if occasion in (Occasion.CONTACT_CHANGED, Occasion.SAFETY):
        del values["preferences_url"]
    return values | _differing(language, variant)


def _differing(language: Language, variant: frozenset[str]) -> dict[str, Says]:
    """The values that are others in a variant."""
    values: dict[str, Says] = {}
    if "discount" in variant:
        worth = format_worth(160_00, "NOK", language, 20, 800_00)
        values |= {"title": _DISCOUNT[language], "worth": worth, "valid_at": "Sky Bar"}
    if "apology" in variant:
        values |= {"title": _APOLOGY[language], "worth": "", "code": ""}
    if "delight" in variant:
        plain = say(language, "letter.check_given.delight")
        greeted = _BIRTHDAY[language] if "greeted" in variant else plain
        values |= {"delight": greeted, "feedback_url": ""}
    if "untitled" in variant:
        values["title"] = ""
    if "law" in variant:
        law = {"due_by": _LAW[language], "law": _LAW[language]}
        worth = format_money(500_00, "NOK", language)
        values |= {**law, "title": _REFUND[language], "worth": worth}
        values["information"] = _INFORMATION[language]
        values |= {"about": about(Category.DELAY, language), "place": ""}
    return values
