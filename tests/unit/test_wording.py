"""What customers read, and what cannot be smuggled into it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from babel.numbers import UnknownCurrencyError
from structlog.testing import capture_logs
from typer.testing import CliRunner

from services.notifier.channels.text import fitted, segments
from services.notifier.wording.examples import NAME, NOW, ZONE, example, parts_of, variants_of
from services.notifier.wording.gallery import page
from services.notifier.wording.occasions import OCCASIONS, TO_STAFF
from services.notifier.wording.preview import app
from services.notifier.wording.wording import Rendered, Says, Wording, greeting_name
from shared.contracts.compensation import CheckKind
from shared.contracts.complaints import Category, Language
from shared.contracts.notifier import Occasion
from shared.runtime import words
from shared.runtime.words import (
    about,
    accepted_language,
    format_money,
    format_time,
    format_worth,
    say,
    spoken,
    texts,
)
from tests.suites.services import Aboard, demo_policy

pytestmark = pytest.mark.unit

#: Every letter: occasion, language, variant, and whether the customer's name is known.
LETTERS = [
    (occasion, language, variant)
    for occasion in Occasion
    for language in Language
    for variant in variants_of(occasion)
]
each_letter = pytest.mark.parametrize(("occasion", "language", "variant"), LETTERS)
TO_CUSTOMERS = [one for one in Occasion if one not in TO_STAFF]


@pytest.fixture(scope="module")
def wording() -> Wording:
    return Wording()


def written(
    wording: Wording,
    occasion: Occasion,
    language: Language,
    variant: str = "plain",
    name: str = "",
    **changed: Says,
) -> Rendered:
    values = {**example(occasion, language, variants_of(occasion)[variant]), **changed}
    return wording.render(occasion, language, values, name, parts_of(wording, occasion, language))


class Seen(HTMLParser):
    """What a mail program shows of a letter, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.hidden = tag in {"style", "title"}
        self.loads += [
            found[name] or "" for name in ("src", "background", "srcset") if name in found
        ]
        self.links += [found["href"] or ""] if "href" in found else []

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False
        if tag in {"p", "li", "blockquote", "span"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text += data


def flat(text: str) -> str:
    """On one line, without marks of items."""
    return " ".join(re.sub(r"^- ", "", text, flags=re.M).split())


def test_every_occasion_has_a_letter() -> None:
    assert set(OCCASIONS) == set(Occasion)


@each_letter
def test_every_letter_reads_well(
    wording: Wording, occasion: Occasion, language: Language, variant: str
) -> None:
    named = written(wording, occasion, language, variant, "Åse Myklebust")
    unnamed = written(wording, occasion, language, variant)
    if occasion not in TO_STAFF:
        greetings = {"nb": "Hei, Åse!", "sv": "Hej Åse!", "da": "Hej Åse", "en": "Hello Åse,"}
        assert named.text.partition("\n\n")[0] == greetings[language]
        whole, _, _ = named.text.partition("\n\n" + words.say(language, "letter.fewer.why"))
        assert whole.rstrip().endswith("MS Aurora")
    for letter in (named, unnamed):
        assert letter.subject
        assert not re.search(r"[{}_]| [,.!?]|\n\n\n|  \S+  ", letter.text + letter.subject)
        assert all(len(line) <= 78 or "://" in line for line in letter.text.splitlines())


@each_letter
def test_every_sentence_begins_with_a_capital(
    wording: Wording, occasion: Occasion, language: Language, variant: str
) -> None:
    text = written(wording, occasion, language, variant).text
    for paragraph in re.sub(r"\b(kl|nr)\.", r"\1", text).split("\n\n"):
        assert not re.search(r"(?:^|(?<!\d)[.!?] )[a-zæøåäö]", flat(paragraph)), paragraph


@each_letter
def test_html_and_text_say_the_same(
    wording: Wording, occasion: Occasion, language: Language, variant: str
) -> None:
    """But for links, which are buttons in the one and written out in the other."""
    letter = written(wording, occasion, language, variant, NAME)
    seen = Seen(letter.html)
    for line in letter.text.splitlines():
        if "://" in line:
            assert line in seen.links
            continue
        for part in flat(line).split(": "):
            assert part.rstrip(":") in flat(seen.text)
    assert f'lang="{language}" dir="ltr"' in letter.html


@each_letter
def test_the_html_loads_nothing_from_elsewhere_and_needs_no_script_and_no_table(
    wording: Wording, occasion: Occasion, language: Language, variant: str
) -> None:
    letter = written(wording, occasion, language, variant)
    seen = Seen(letter.html)
    assert seen.loads == [f"cid:{name}" for name in letter.pictures]
    assert not {"script", "table", "form", "iframe", "link"} & set(seen.tags)
    assert not re.search(r"url\(|@import|@font-face", letter.html)
    assert len(letter.html) < 8_000


def test_the_promise_the_code_and_the_link_are_in_the_mail(wording: Wording) -> None:
    for language in Language:
        values = example(Occasion.CHECK_GIVEN, language)
        told = written(wording, Occasion.ACKNOWLEDGEMENT, language).text
        assert str(values["promised_by"]) in flat(told).replace("\xa0", " ")
        given = written(wording, Occasion.CHECK_GIVEN, language)
        for form in (given.text, Seen(given.html).text):
            assert str(values["code"]) in form
        assert f"\n{values['feedback_url']}\n" in given.text


def test_a_code_is_drawn_for_the_till_and_a_one_time_code_is_not(wording: Wording) -> None:
    given = written(wording, Occasion.CHECK_GIVEN, Language.EN)
    assert given.pictures["code"].startswith(b"\x89PNG")
    for occasion, variant in (
        (Occasion.CONFIRMATION, "plain"),
        (Occasion.CHECK_GIVEN, "an apology"),
    ):
        assert written(wording, occasion, Language.EN, variant).pictures == {}


@pytest.mark.parametrize("language", list(Language))
def test_an_apology_is_nothing_that_is_given_and_has_neither_a_value_nor_a_code(
    wording: Wording, language: Language
) -> None:
    letter = written(wording, Occasion.CHECK_GIVEN, language, "an apology")
    for word in (texts(language)["letter.code"], texts(language)["letter.until"]):
        assert str(word) not in letter.text
    assert (
        letter.subject == example(Occasion.CHECK_GIVEN, language, frozenset({"apology"}))["title"]
    )
    plain = str(texts(language)["letter.check_given.plain"])
    assert plain[-20:] not in flat(letter.text)


#: Words of thanks, as somebody who was harmed must not read them.
THANKS = re.compile(r"\b(takk|tack|tak|thank|glad|glade)\b", re.I)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("occasion", TO_CUSTOMERS)
def test_whoever_was_harmed_is_not_thanked_for_telling_us(
    wording: Wording, occasion: Occasion, language: Language
) -> None:
    letter = written(wording, occasion, language, gravity="safety")
    assert not THANKS.search(letter.subject + letter.text + Seen(letter.html).text)


@pytest.mark.parametrize("language", list(Language))
def test_whoever_is_thanked_for_what_was_not_mild_reads_that_we_are_sorry(
    wording: Wording, language: Language
) -> None:
    sorry = words.say(language, "letter.acknowledgement.sorry")
    for variant, said in (("moderate", True), ("plain", False), ("severe", False)):
        letter = written(wording, Occasion.ACKNOWLEDGEMENT, language, variant)
        assert (sorry in flat(letter.text), sorry in letter.short) == (said, said)


@pytest.mark.parametrize("language", list(Language))
def test_of_what_we_saw_ourselves_a_text_message_says_no_more_regret_than_the_mail(
    wording: Wording, language: Language
) -> None:
    """It goes on still: "it was not as it should have been" is said of what is over."""
    sorry = words.say(language, "letter.acknowledgement.sorry")
    told = example(Occasion.ACKNOWLEDGEMENT, language, frozenset({"delay", "moderate"}))
    letter = wording.render(Occasion.ACKNOWLEDGEMENT, language, told, NAME)
    assert (sorry in flat(letter.text), sorry in letter.short) == (False, False)


@pytest.mark.parametrize("language", list(Language))
def test_a_text_message_says_thanks_and_what_it_is_about(
    wording: Wording, language: Language
) -> None:
    thanks = words.say(language, "letter.acknowledgement.plain", about="").strip(" .")
    short = written(wording, Occasion.ACKNOWLEDGEMENT, language).short
    assert thanks in short
    assert about(Category.FOOD, language) in short


@pytest.mark.parametrize("language", list(Language))
def test_where_the_cause_stays_it_is_asked_all_the_same_whether_it_helped(
    wording: Wording, language: Language
) -> None:
    even_so = words.say(language, "mine.outcome.even_so")
    for variant, said in (("nothing could be done", True), ("plain", False)):
        letter = written(wording, Occasion.RESOLUTION_TOLD, language, variant)
        assert (even_so in flat(letter.text), even_so in letter.short) == (said, said)


@pytest.mark.parametrize("variant", ["plain", "with questions"])
@pytest.mark.parametrize("language", list(Language))
def test_whoever_is_thanked_can_write_from_home_if_there_is_more(
    wording: Wording, language: Language, variant: str
) -> None:
    letter = written(wording, Occasion.THANKED, language, variant)
    assert "/m/" in letter.text
    assert words.say(language, "letter.thanked.more", reference="EA2272") in flat(letter.text)


@pytest.mark.parametrize("language", list(Language))
def test_only_where_somebody_is_told_a_letter_says_that_they_are(
    wording: Wording, language: Language
) -> None:
    told = str(texts(language)["letter.acknowledgement.told"])
    for alarmed, said in (("yes", True), ("", False)):
        grave = {"gravity": "safety", "alarmed": alarmed}
        text = flat(written(wording, Occasion.ACKNOWLEDGEMENT, language, **grave).text)
        assert (told in text) is said


@pytest.mark.parametrize("language", list(Language))
def test_choices_are_one_per_line(wording: Wording, language: Language) -> None:
    lines = written(wording, Occasion.CHECK_OFFERED, language).text.splitlines()
    choices = [line for line in lines if line.startswith("- ")]
    assert len(choices) == 2
    assert all("(" in choice for choice in choices)


# ---- a missing text or value ---------------------------------------------------------------------


@pytest.mark.parametrize("occasion", list(Occasion))
@pytest.mark.parametrize("value", ["site_name", "reference"])
def test_a_missing_value_is_loud(wording: Wording, occasion: Occasion, value: str) -> None:
    values = example(occasion, Language.NB)
    del values[value]
    # Each letter in a digest has its own, and a question about a touchpoint is of no case.
    if occasion in (Occasion.DIGEST, Occasion.TOUCHPOINT_ASKED) and value == "reference":
        return
    with pytest.raises(KeyError, match=value):
        wording.render(occasion, "nb", values)


@pytest.mark.parametrize("language", ["de", "", "../../etc/passwd", "NB"])
def test_an_unknown_language_is_answered_in_english(wording: Wording, language: str) -> None:
    values = example(Occasion.REOPENED, Language.EN)
    english = wording.render(Occasion.REOPENED, "en", values)
    assert wording.render(Occasion.REOPENED, language, values) == english


@pytest.fixture
def without_a_danish_text(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A release whose Danish lacks a sentence."""
    known = dict(texts(Language.DA))
    del known["letter.promised"]

    def lacking(language: Language):
        return known if language is Language.DA else texts(language)

    words.whole.cache_clear()
    monkeypatch.setattr(words, "texts", lacking)
    yield
    words.whole.cache_clear()


def test_a_site_writes_in_the_customers_language_or_else_in_its_first() -> None:
    policy = demo_policy()
    assert [spoken(one, policy) for one in ("nb", "sv", "da", "en", "de")] == [
        "nb", "sv", "da", "en", "nb",
    ]  # fmt: skip
    only = policy.model_copy(update={"languages": (Language.SV, Language.EN)})
    assert [spoken(one, only) for one in ("da", "en")] == ["sv", "en"]


async def test_fault_45_a_missing_translation_is_a_letter_in_the_sites_language_and_an_alarm(
    aboard: Aboard, without_a_danish_text: None
) -> None:
    """A missing translation fails the tests of words; at run time nobody reads a `{name}`."""
    with capture_logs() as logs:
        await aboard.raise_complaint(
            text="Maden var kold, og ingen kom for at hjælpe os.", language="da"
        )
        await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert letter.subject.startswith("Vi har fått meldingen din")
    assert "{" not in letter.subject + letter.body
    assert [one["language"] for one in logs if one["event"] == "letter_in_another_language"] == [
        "da"
    ]


# ---- values from outside -------------------------------------------------------------------------


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
    for occasion in Occasion:
        plain = written(wording, occasion, Language.NB)
        assert written(wording, occasion, Language.NB, name=name) == plain


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("form", ["subject", "text", "html"])
def test_fault_46_no_value_breaks_a_header_runs_as_a_template_or_is_markup(
    wording: Wording, value: str, form: str
) -> None:
    plain = written(wording, Occasion.CHECK_GIVEN, Language.EN)
    hostile = written(wording, Occasion.CHECK_GIVEN, Language.EN, title=value, site_name=value)
    told = getattr(hostile, form)
    told.encode()
    assert "49" not in told
    assert not set("\u202e\u202c\u200b\x00\x1b\r\u2028") & set(told)
    if form == "subject":
        assert told.isprintable()
        assert len(told) <= 160
    elif form == "text":
        assert len(told) < 12_000
        assert abs(told.count("\n\n") - plain.text.count("\n\n")) <= 1
        assert not re.search(r"^(Bcc|Subject):", told, re.M)
    else:
        assert Seen(told).tags == Seen(plain.html).tags
        assert len(told) < 60_000


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
        (120_000, "NOK", "nb", "1\xa0200\xa0kr"),
        (120_050, "NOK", "nb", "1\xa0200,50\xa0kr"),
        (120_050, "NOK", "da", "1.200,50\xa0NOK"),
        (120_000, "NOK", "sv", "1\xa0200\xa0NOK"),
        (120_000, "SEK", "sv", "1\xa0200\xa0kr"),
        (120_000, "DKK", "da", "1.200\xa0kr."),
        (500_00, "NOK", "en", "NOK\xa0500"),
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
        ("nb", "20 % avslag på en regning på inntil 800 kr"),
        ("sv", "20 % rabatt på en nota på högst 800 NOK"),
        ("da", "20 % rabat på en regning på op til 800 NOK"),
        ("en", "20% off a bill of up to NOK 800"),
    ],
)
def test_a_percentage_is_told_as_one_with_the_largest_bill_it_holds_for(language: str, text: str):
    """An amount of money would promise another gift than the till can take."""
    assert plain(format_worth(160_00, "NOK", language, 20, 800_00)) == text


def test_an_amount_is_worth_itself_and_an_apology_is_worth_no_money() -> None:
    assert plain(format_worth(250_00, "NOK", "nb")) == "verdi 250 kr"
    assert format_worth(0, "NOK", "nb") == ""


@pytest.mark.parametrize(
    ("language", "amount"),
    [("nb", "500 kr"), ("sv", "500 NOK"), ("da", "500 NOK"), ("en", "NOK 500")],
)
@pytest.mark.parametrize("kind", [CheckKind.REFUND, CheckKind.MONEY])
def test_money_is_its_amount_and_is_not_worth_it(language: str, amount: str, kind: CheckKind):
    """A letter says "Money back for the excursion (NOK 500)"."""
    assert plain(format_worth(500_00, "NOK", language, kind=kind)) == amount
    assert plain(format_worth(500_00, "NOK", language)).endswith(f" {amount}")


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("occasion", TO_CUSTOMERS)
def test_every_letter_says_of_what_site_about_what_and_which_case(
    wording: Wording, occasion: Occasion, language: Language
) -> None:
    letter = written(wording, occasion, language)
    told = letter.subject + flat(letter.text)
    if occasion is Occasion.TOUCHPOINT_ASKED:  # of no case
        assert "Aurora" in told
        assert "EA2272" not in told
        return
    assert all(one in told for one in ("Aurora", about(Category.FOOD, language), "EA2272"))


@pytest.mark.parametrize("language", list(Language))
def test_a_check_says_where_it_is_taken(wording: Wording, language: Language) -> None:
    for where in ("", "Sky Bar"):
        text = written(wording, Occasion.CHECK_GIVEN, language, valid_at=where).text
        assert re.search(rf": \S+ \S+ MS Aurora\n|: \S+ MS Aurora\n|: {where or 'nowhere'}\n", text)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("occasion", [Occasion.CHECK_GIVEN, Occasion.CHECK_EXPIRING])
def test_money_is_not_said_to_be_taken_anywhere(
    wording: Wording, occasion: Occasion, language: Language
) -> None:
    text = written(wording, occasion, language, money="yes").text
    assert say(language, "letter.everywhere", site_name="MS Aurora") not in text
    assert f"{say(language, 'letter.where')}:" not in text
    assert "7QK2-M4XP" in text


def test_a_year_is_told_where_it_is_not_this_one() -> None:
    until = datetime(2027, 1, 2, 19, 30, tzinfo=UTC)
    assert "2027" in format_time(until, ZONE, "nb", NOW)
    # New Year's Eve in UTC is already the new year at the site.
    eve = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert format_time(until, ZONE, "en", eve) == "Saturday 2 January at 20:30"
    assert format_time(NOW, ZONE, "da", NOW) == "onsdag den 3. juni kl. 19.30"


@pytest.mark.parametrize("language", list(Language))
def test_the_letter_of_a_statutory_check_says_that_it_is_due_by_law_and_cites_it(
    wording: Wording, language: Language
) -> None:
    law = "Regulation (EU) No 1177/2010 on the rights of passengers at sea"
    rights = {"law": law, "information": "You are to be told, and to be paid. " * 30}
    due = flat(written(wording, Occasion.CHECK_GIVEN, language, **rights, due_by=law).text)
    gift = flat(written(wording, Occasion.CHECK_GIVEN, language, **rights).text)
    for text in (due, gift):
        assert law in text
        assert "to be paid." in text
    title = str(example(Occasion.CHECK_GIVEN, language)["title"])
    assert due.index(law) < due.index(title)
    assert gift.index(law) > gift.index(title)


# ---- the preview and the gallery -----------------------------------------------------------------


def test_the_preview_writes_a_letter_in_the_form_that_is_asked_for(tmp_path) -> None:
    run = CliRunner()
    html = run.invoke(app, ["preview", "check_given", "--language", "sv"]).output
    assert '<html lang="sv"' in html
    assert "data:image/png;base64," in html
    file = tmp_path / "letter.txt"
    asked = ["preview", "acknowledgement", "--variant", "severe", "--text", "--out", str(file)]
    assert run.invoke(app, asked).exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("Subject: We have your message")
    assert run.invoke(app, ["preview", "reopened", "--variant", "cheerful"]).exit_code == 2


def test_the_gallery_has_every_letter_in_every_language() -> None:
    shown = page("<!-- generated -->")
    assert shown.count("<article") == len(LETTERS)
    assert shown.count("<style") == 1


def test_the_gallery_has_every_text_message_too() -> None:
    short = (
        Wording()
        .render(Occasion.CLOSED, Language.EN, example(Occasion.CLOSED, Language.EN), NAME)
        .short
    )
    assert f"<pre>{short}</pre>" in page("<!-- generated -->")


@pytest.mark.parametrize("language", list(Language))
def test_the_example_of_what_is_due_by_law_is_about_what_the_law_is_about(
    language: Language,
) -> None:
    """A regulation about journeys gives nothing for a meal."""
    due = example(Occasion.CHECK_GIVEN, language, variants_of(Occasion.CHECK_GIVEN)["due by law"])
    assert (due["about"], due["place"]) == (about(Category.DELAY, language), "")


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


@pytest.mark.parametrize(
    ("language", "forbids"), [("nb", "må ikke"), ("da", "må ikke"), ("sv", "måste inte")]
)
def test_nobody_is_forbidden_what_they_need_not_do(language: str, forbids: str):
    """ "Du må ikke" forbids in Norwegian and Danish; "du måste inte" is read so by many."""
    assert forbids not in (words.WORDS / f"{language}.json").read_text("utf-8").lower()


#: As long as a customer's link is, at a host of usual length; that of a role mailbox names the mailbox besides.
LINK = "https://service.aurora.example" + "x" * 45
LINK_OF_A_MAILBOX = LINK + "x" * 17


@each_letter
def test_a_text_message_says_what_matters_and_is_not_cut_beside_its_link(
    wording: Wording, occasion: Occasion, language: Language, variant: str
) -> None:
    short = written(wording, occasion, language, variant).short
    text = fitted(short, LINK_OF_A_MAILBOX if occasion is Occasion.SAFETY else LINK, 3)
    assert "MS Aurora" in short
    assert "..." not in text
    assert not re.search(r"[{}_]| [,.!?]|[.:]{2}", short)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("occasion", list(Occasion))
def test_a_text_message_with_its_link_takes_two_segments_at_most(
    wording: Wording, occasion: Occasion, language: Language
) -> None:
    short = written(wording, occasion, language).short
    link = LINK_OF_A_MAILBOX if occasion is Occasion.SAFETY else LINK
    assert segments(fitted(short, link, 10)) <= 2


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("occasion", "variant"),
    [
        (Occasion.ACKNOWLEDGEMENT, "plain"),
        (Occasion.ACKNOWLEDGEMENT, "severe"),
        (Occasion.ACKNOWLEDGEMENT, "about safety"),
        (Occasion.CHECK_GIVEN, "plain"),
        (Occasion.CHECK_GIVEN, "after harm"),
        (Occasion.CHECK_OFFERED, "plain"),
        (Occasion.REOPENED, "plain"),
        (Occasion.QUESTION_ASKED, "plain"),
        (Occasion.FIX_DONE, "plain"),
        (Occasion.RESOLUTION_TOLD, "plain"),
        (Occasion.PROMISE_AT_RISK, "plain"),
        (Occasion.PROMISE_BROKEN, "about safety"),
        (Occasion.THANKED, "plain"),
        (Occasion.CLOSED, "plain"),
        (Occasion.REFERRED, "plain"),
        (Occasion.FEEDBACK_ASKED, "plain"),
    ],
)
def test_letters_say_what_it_was_about_and_where(
    wording: Wording, occasion: Occasion, variant: str, language: Language
) -> None:
    named = f"{about(Category.FOOD, language)} (Sky Bar)"
    letter = written(wording, occasion, language, variant, place="Sky Bar")
    assert flat(letter.text).count(named) == 1
    of_none = written(wording, occasion, language, variant, place="")
    assert flat(letter.text).replace(" (Sky Bar)", "") == flat(of_none.text)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("gravity", ["", "severe", "safety"])
def test_where_is_said_also_of_what_is_of_no_category(
    wording: Wording, gravity: str, language: Language
) -> None:
    told = {"gravity": gravity, "place": "Sky Bar"}
    letter = written(wording, Occasion.ACKNOWLEDGEMENT, language, "of no category", **told)
    assert flat(letter.text).count(" (Sky Bar)") == 1


@pytest.mark.parametrize("language", list(Language))
def test_a_letter_about_a_closed_case_does_not_say_that_it_is_open(
    wording: Wording, language: Language
) -> None:
    still_open = words.texts(language)["letter.check_given.open"].partition("{reference}")[2]
    told = written(wording, Occasion.CHECK_GIVEN, language, "of a closed case").text
    assert still_open in flat(written(wording, Occasion.CHECK_GIVEN, language).text)
    assert still_open not in flat(told)
    assert words.say(language, "letter.case", reference="EA2272") in flat(told)


@pytest.mark.parametrize("language", list(Language))
def test_a_text_message_has_the_time_the_code_and_whom_to_turn_to(
    wording: Wording, language: Language
) -> None:
    values = example(Occasion.CHECK_GIVEN, language)
    harm = written(wording, Occasion.ACKNOWLEDGEMENT, language, "about safety").short
    assert flat(str(values["promised_by"])) in flat(harm)
    assert words.say(language, "letter.acknowledgement.short_help") in harm
    given = flat(written(wording, Occasion.CHECK_GIVEN, language).short)
    for name in ("title", "worth", "code", "valid_until"):
        assert flat(str(values[name])) in given
