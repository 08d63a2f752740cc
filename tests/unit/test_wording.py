"""What customers read, and what cannot be smuggled into it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.numbers import UnknownCurrencyError
from jinja2 import TemplateNotFound, UndefinedError

import services.notifier.wording
from services.notifier.wording.wording import Wording, greeting_name
from shared.contracts.complaints import Category, Language
from shared.contracts.notifier import Occasion
from shared.runtime.words import (
    about,
    accepted_language,
    format_money,
    format_time,
    format_worth,
)

pytestmark = pytest.mark.unit

TEMPLATES = Path(services.notifier.wording.__file__).parent / "templates"
#: What customers read.
OCCASIONS = [one for one in Occasion if one is not Occasion.SAFETY]
#: Letters that say of no time.
TIMELESS = (Occasion.QUESTION_ASKED, Occasion.FEEDBACK_ASKED, Occasion.THANKED, Occasion.CLOSED)
VALUES = {
    "promised_by": "onsdag 3. juni 2026 kl. 21:30",
    "site_name": "Aurora",
    "reference": "K7-2M",
    "title": "Middag for to",
    "worth": "verdi 1 200,00 kr",
    "valid_at": "",
    "about": "maten og serveringen",
    "due_by": "",
    "law": "",
    "information": "",
    "code": "7QK2-M4XP",
    "valid_until": "onsdag 10. juni 2026 kl. 21:30",
    "feedback_url": "https://aurora.example/f/abc.def",
    "choices": ["Middag for to (verdi 1 200,00 kr)", "Kinokveld for to (verdi 250,00 kr)"],
    "choose_by": "torsdag 4. juni 2026 kl. 21:30",
    "offer_url": "https://aurora.example/o/abc.def",
    "mine_url": "https://aurora.example/m/abc.def",
    "what": "Koden viser deg alt vi vet om deg.",
    "expires_at": "onsdag 3. juni 2026 kl. 21:40",
    "question": "Which of the two lifts was it?",
    "resolution": "A fan is in your cabin, and the neighbours were spoken to.",
    "outcome": "fixed",
    "closes_at": "onsdag 10. juni 2026 kl. 21:30",
    "left": "",
    "with_whom": "same",
}


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording(TEMPLATES)


def test_the_folder_holds_one_text_per_occasion_and_language_and_nothing_else() -> None:
    expected = {f"{occasion}.{language}.txt" for occasion in OCCASIONS for language in Language}
    assert {path.name for path in TEMPLATES.iterdir()} == expected


@pytest.mark.parametrize("occasion", OCCASIONS)
@pytest.mark.parametrize("language", list(Language))
def test_every_occasion_reads_well_in_every_language(
    wording: Wording, occasion: str, language: str
) -> None:
    named = wording.render(occasion, language, name="Åse Myklebust", **VALUES)
    assert named.subject
    greeting, _, letter = named.body.partition("\n\n")
    assert greeting == {"nb": "Hei, Åse!", "sv": "Hej Åse!", "da": "Hej Åse"}.get(
        language, "Hello Åse,"
    )
    assert letter[0].isupper()
    assert named.body.rstrip().endswith("Aurora")
    unnamed = wording.render(occasion, language, **VALUES)
    assert " ," not in unnamed.body
    for text in (named, unnamed):
        assert "{" not in text.body + text.subject
        assert "\n\n\n" not in text.body
        assert all(len(line) <= 110 for line in text.body.splitlines())


@pytest.mark.parametrize("occasion", OCCASIONS)
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("due_by", ["", "forordning (EU) nr. 1177/2010"])
def test_every_sentence_begins_with_a_capital(
    wording: Wording, occasion: str, language: str, due_by: str
) -> None:
    values = {**VALUES, "due_by": due_by}
    for one in ("", "the food"):
        body = wording.render(occasion, language, **{**values, "about": one}).body
        for paragraph in body.replace("kl. ", "kl ").replace("nr. ", "nr ").split("\n\n"):
            flat = " ".join(paragraph.split())
            assert not re.search(r"(?:^|(?<!\d)[.!?] )[a-zæøåäö]", flat), flat


def test_the_promise_the_code_and_the_link_are_in_the_mail(wording: Wording) -> None:
    for language in Language:
        assert VALUES["promised_by"] in wording.render("acknowledgement", language, **VALUES).body
        given = wording.render("check_given", language, **VALUES).body
        assert VALUES["code"] in given
        assert f"\n{VALUES['feedback_url']}\n" in given


def test_an_apology_has_neither_a_value_nor_a_code(wording: Wording) -> None:
    body = wording.render("check_given", "en", **{**VALUES, "worth": "", "code": ""}).body
    assert "worth" not in body
    assert "ode" not in body
    assert "\n\n\n" not in body


def test_a_missing_value_is_loud(wording: Wording) -> None:
    with pytest.raises(UndefinedError):
        wording.render("acknowledgement", "nb", site_name="Aurora", reference="K7")


def test_an_unknown_occasion_is_loud(wording: Wording) -> None:
    with pytest.raises(TemplateNotFound):
        wording.render("../wording", "nb", **VALUES)


@pytest.mark.parametrize("language", ["de", "", "../../etc/passwd", "NB"])
def test_an_unknown_language_is_answered_in_english(wording: Wording, language: str) -> None:
    english = wording.render("reopened", "en", **VALUES)
    assert wording.render("reopened", language, **VALUES) == english


HOSTILE = [
    "a\r\nBcc: x@example.com",
    "a\u2028Subject: x",
    "{{7*7}}",
    "{% include 'x' %}",
    "<script>alert(1)</script>",
    "\u202eevil\u202c.example",
    "You won! Go to https://evil.example",
    "evil.example",
    "x@evil.example",
    "🎉" * 5_000,
    "a" * 5_000,
    "a\u0300" * 5_000,
    "\x00\x1b[31m",
    "\ud800",
    " ",
    "4711",
    "Your account is closed",
    "Call Us On Our New Number",
    "You Have Won A Prize",
    "Ring Null Null Null Kari",
    "please pay",
    "Kari. Visit us",
    "Visit evil. example",
    "Kari Nordmann. Com",
    "Kari Nordmann From The Bank Of Norway",
    "Hold-The-Door-And-Pay-Us-Money-Right-Now",
    "恭喜您中奖请点击链接",
    "Donaudampfschifffahrtsgesellschaft",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_name_is_not_greeted_by(wording: Wording, name: str) -> None:
    for occasion in OCCASIONS:
        for language in Language:
            plain = wording.render(occasion, language, **VALUES)
            assert wording.render(occasion, language, name=name, **VALUES) == plain


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_breaks_a_header_or_runs_as_a_template(wording: Wording, value: str) -> None:
    plain = wording.render("check_given", "en", **VALUES)
    hostile = wording.render("check_given", "en", **{**VALUES, "title": value})
    assert hostile.subject.isprintable()
    assert len(hostile.subject) <= 160
    assert hostile.body.count("\n") == plain.body.count("\n")
    assert len(hostile.body) < 4_000
    assert "49" not in hostile.body
    assert not set("\u202e\u202c\u200b\x00\x1b") & set(hostile.subject + hostile.body)
    (hostile.subject + hostile.body).encode()


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Åse", "Åse"),
        ("  Maj-Britt\tSöder ", "Maj-Britt"),
        ("Siobhan O’Rourke", "Siobhan"),
        ("J. R. Olsen Jr.", ""),
        ("Call Us Now", "Call"),
        ("You Won Money", "You"),
        ("A\u030ase", "Åse"),
        ("Zero\u200bWidth", "ZeroWidth"),
        ("\u202eمريم\u202c", "مريم"),
        ("हिन्दी", "हिन्दी"),
        ("王小明", "王小明"),
        ("María del Carmen García", "María"),
        ("Ludwig van der Berg", "Ludwig"),
        ("d'Artagnan", "d'Artagnan"),
    ],
)
def test_people_are_greeted_by_their_names(name: str, greeted: str) -> None:
    assert greeting_name(name) == greeted


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("nb", "onsdag 3. juni 2026 kl. 21:30"),
        ("sv", "onsdag 3 juni 2026 kl. 21:30"),
        ("da", "onsdag den 3. juni 2026 kl. 21.30"),
        ("en", "Wednesday 3 June 2026 at 21:30"),
        ("xx", "Wednesday 3 June 2026 at 21:30"),
    ],
)
def test_a_time_is_that_of_the_site_in_the_customers_language(language: str, text: str) -> None:
    assert format_time(datetime(2026, 6, 3, 19, 30, tzinfo=UTC), "Europe/Oslo", language) == text


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_time(datetime(2026, 6, 3, 19, 30), "Europe/Oslo", "nb")


@pytest.mark.parametrize(
    ("amount_minor", "currency", "language", "text"),
    [
        (120_000, "NOK", "nb", "1\xa0200,00\xa0kr"),
        (120_050, "NOK", "da", "1.200,50\xa0NOK"),
        (120_000, "NOK", "sv", "1\xa0200,00\xa0NOK"),
        (120_000, "SEK", "sv", "1\xa0200,00\xa0kr"),
        (120_000, "DKK", "da", "1.200,00\xa0kr."),
        (5, "EUR", "en", "€0.05"),
        (1_200, "JPY", "en", "JP¥1,200"),
        (1_200, "KWD", "en", "KWD\xa01.200"),
    ],
)
def test_money_has_the_digits_of_its_currency(
    amount_minor: int, currency: str, language: str, text: str
) -> None:
    assert format_money(amount_minor, currency, language).replace("\u202f", "\xa0") == text


def test_an_unknown_currency_is_loud() -> None:
    with pytest.raises(UnknownCurrencyError):
        format_money(1, "QQQ", "nb")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("nb", "20 % avslag på en regning på inntil 800,00 kr"),
        ("sv", "20 % rabatt på en nota på högst 800,00 NOK"),
        ("da", "20 % rabat på en regning på op til 800,00 NOK"),
        ("en", "20% off a bill of up to NOK 800.00"),
    ],
)
def test_a_percentage_is_told_as_one_with_the_largest_bill_it_holds_for(language: str, text: str):
    """An amount of money would promise another gift than the till can take."""
    assert plain(format_worth(160_00, "NOK", language, 20, 800_00)) == text


def test_an_amount_is_worth_itself_and_an_apology_is_worth_no_money() -> None:
    assert plain(format_worth(250_00, "NOK", "nb")) == "verdi 250,00 kr"
    assert format_worth(0, "NOK", "nb") == ""


@pytest.mark.parametrize("language", list(Language))
def test_every_letter_says_of_what_site_about_what_where_and_until_which_year(
    wording: Wording, language: Language
) -> None:
    until = format_time(datetime(2026, 6, 3, 19, 30, tzinfo=UTC), "Europe/Oslo", language)
    subject = about(Category.FOOD, language)
    times = dict.fromkeys(
        ("promised_by", "valid_until", "choose_by", "expires_at", "closes_at"), until
    )
    values = {**VALUES, **times, "about": subject}
    for occasion in OCCASIONS:
        letter = wording.render(occasion, language, **values)
        told = letter.subject + letter.body
        assert all(one in told for one in ("Aurora", subject, "K7-2M"))
        assert "2026" in told or occasion in TIMELESS
    for where in ("", "Sky Bar"):
        body = wording.render("check_given", language, **{**values, "valid_at": where}).body
        assert re.search(rf": \S+ \S+ Aurora\n|: \S+ Aurora\n|: {where or 'nowhere'}\n", body)


@pytest.mark.parametrize("language", list(Language))
def test_the_letter_of_a_statutory_check_says_that_it_is_due_by_law_and_cites_it(
    wording: Wording, language: Language
) -> None:
    law = "Regulation (EU) No 1177/2010 on the rights of passengers at sea"
    rights = {"law": law, "information": "You are to be told, and to be paid. " * 30}
    due = wording.render("check_given", language, **{**VALUES, **rights, "due_by": law}).body
    gift = wording.render("check_given", language, **{**VALUES, **rights}).body
    for body in (due, gift):
        assert law in body
        assert "to be paid." in body
        assert all(len(line) <= 110 for line in body.splitlines())
    assert due.index(law) < due.index(VALUES["title"])
    assert gift.index(law) > gift.index(VALUES["title"])


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("nn", "nb"),
        ("no", "nb"),
        ("de-DE,de;q=0.9,sv;q=0.5,en;q=0.3", "sv"),
        ("en;q=0.2, da;q=0.7", "da"),
        ("*", "en"),
        ("", "en"),
        ("fr", "en"),
        ("sv;q=much,da", "da"),
        ("da;q=0", "en"),
        (",;=;q=,\x00" * 50, "en"),
    ],
)
def test_a_browser_is_answered_in_the_first_language_of_ours_that_it_accepts(
    header: str, language: str
) -> None:
    assert accepted_language(header) == language


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\xa0", " ")
