"""What customers see behind their links: in their language, in a browser, without a script."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import segno

from services.web.proxy.rules import PAGES
from shared.contracts.complaints import Language
from shared.contracts.notifier import Helped
from shared.contracts.reasons import Reason
from shared.runtime.http.face import PROBLEM
from shared.runtime.http.pages import PAGE_HEADERS, problem_page, wants_page
from shared.runtime.words import say
from tests.suites.described import operations
from tests.suites.services import SITE, Aboard

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
#: How the page of a link that leads nowhere begins.
NOWHERE = {
    "nb": "Denne lenken virker ikke",
    "sv": "Den här länken fungerar inte",
    "da": "Dette link virker ikke",
    "en": "This link does not work",
}
LATE = {
    "nb": "Avgangen var tre timer forsinket.",
    "sv": "Avgången var försenad tre timmar.",
    "da": "Afgangen var forsinket tre timer.",
    "en": "The departure was three hours late.",
}


class Outline(HTMLParser):
    """What a page has of what those need who do not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    return found


def words(html: str) -> str:
    body = html.partition("<main>")[2]
    return " ".join(outline(body).text.replace("\xa0", " ").replace("\u202f", " ").split())


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


async def ask(
    aboard: Aboard, service: str, method: str, path: str, language: str = "fr", **more: Any
) -> httpx.Response:
    headers = {**BROWSER, "Accept-Language": language}
    async with aboard.http(service, "") as browser:
        return await browser.request(
            method, path, headers=headers, **{"follow_redirects": True, **more}
        )


async def given(aboard: Aboard, item: str = "cinema", language: str = "en", **more: Any) -> Any:
    """A check for a departure that was late, known to the notifier; as its giver was answered."""
    contact = more.pop("contact", {"email": "kari@example.org"})
    complaint = await aboard.raise_complaint(
        text=LATE[language], language=language, contact=contact
    )
    check = (await aboard.give(complaint, item, "give", reason="delay", **more)).json()
    await aboard.carry()
    return check


async def offered(aboard: Aboard, language: str = "en", *items: str) -> Any:
    complaint = await aboard.raise_complaint(text=LATE[language], language=language)
    wish = {"complaint_id": complaint, "items": items or ("bar-discount/20", "cinema")}
    made = await aboard.post("offers", "offer", {**wish, "reason": "delay"})
    await aboard.carry()
    return made.json()


# ---- links that lead nowhere ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/f/forged", "/o/forged", "/nothing/here", "/f/" + "x" * 2000])
@pytest.mark.parametrize("language", list(Language))
async def test_a_bad_link_is_a_page_in_the_language_of_the_browser(
    aboard: Aboard, path: str, language: Language
):
    for service in ("notifier", "compensation"):
        page = await ask(aboard, service, "GET", path, f"de,{language}-XX;q=0.8")
        assert page.status_code in (404, 422)
        assert page.headers["content-type"].startswith("text/html")
        assert f'lang="{language}"' in page.text
        assert NOWHERE[language] in page.text
        assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html;q=0.1,application/json"])
async def test_whoever_asks_for_json_is_answered_with_a_problem(aboard: Aboard, accept: str):
    for service, path in (("notifier", "/f/forged"), ("compensation", "/o/forged")):
        async with aboard.http(service, "") as client:
            answer = await client.get(path, headers={"Accept": accept})
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["type"] == Reason.LINK_INVALID
    assert not wants_page(BROWSER["Accept"], "/v1/checks")


@pytest.mark.parametrize("language", list(Language))
async def test_a_link_that_is_too_old_is_a_page_in_the_language_of_its_customer(
    aboard: Aboard, language: Language
):
    """Whatever language the browser prefers; it offers the form of the site, and tells nothing of the case any more."""
    check, offer = await given(aboard, language=language), await offered(aboard, language)
    aboard.later(days=400)
    for service, one in (("notifier", check), ("compensation", offer)):
        page = await ask(aboard, service, "GET", path_of(one["link"]), "fr")
        assert page.status_code == 404
        assert NOWHERE[language] in page.text
        assert f'<a href="/c/{SITE}">' in page.text
        assert "Aurora" not in page.text


async def test_what_is_away_for_a_moment_is_a_page_too(aboard: Aboard):
    check = await given(aboard)
    for store in aboard.stores.values():
        store.lose()
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]), "sv")
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "Det gick inte just nu" in page.text
    assert "retry-after" in page.headers


@pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("language", list(Language))
def test_every_problem_has_a_page_that_says_what_the_customer_can_do(
    status: int, language: Language
):
    found = outline(problem_page(status, language))
    assert [tag for tag, _ in found.tags].count("p") >= 1
    assert not re.search(r"\d{3}|_", words(problem_page(status, language)))


# ---- the page of a check -------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_without_an_address_the_page_is_the_letter(aboard: Aboard, language: Language):
    """Everything that the mail would say; the employee shows the link."""
    more = {"basis": "statutory", "service": "departure"}
    check = await given(aboard, "excursion-refund/50000", language, contact=None, **more)
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    await aboard.ring()
    assert aboard.postbox.letters == []
    read = words(page.text)
    for told in ("Aurora", check["code"], "500", " kl. " if language != "en" else " at "):
        assert told in read
    law = aboard.policy.regimes["ship-delay"]
    assert law.cited[language] in read
    assert " ".join(law.information[language].split()) in read
    kept = {"nb": "e-postadressen", "sv": "e-postadress", "da": "e-mailadresse", "en": "e-mail"}
    assert kept[language] in read
    assert f'lang="{language}"' in page.text


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_says_all_that_the_letter_says(aboard: Aboard, language: Language):
    check = await given(aboard, "bar-discount/20", language)
    await aboard.ring()
    (letter,) = (one for one in aboard.postbox.letters if check["code"] in one.body)
    read = words((await ask(aboard, "notifier", "GET", path_of(check["link"]))).text)
    path = path_of(check["link"])
    _greeting, *paragraphs, closing, preferences = letter.body.strip().split("\n\n")
    assert "/p/" in preferences, "where they say how we write to them, which the page leaves out"
    for paragraph in [*paragraphs, *closing.splitlines()]:  # regards, and who sends it
        # Nor does the page lead to the case: whoever was passed the check by its link must not open that.
        if path in paragraph or "/m/" in paragraph:
            continue
        # A card has labels and values; other paragraphs are sentences.
        parts = re.split(r": |\n  (?! )", paragraph) if paragraph.startswith("  ") else [paragraph]
        assert all(words("<main>" + part) in read for part in parts)
    assert "20" in read
    assert "160" not in read
    assert not re.search(r"\b(Hello|Hei|Hej)\b", read)


async def test_the_link_that_an_employee_shows_is_the_one_in_the_letter(aboard: Aboard):
    check = await given(aboard)
    await aboard.ring()
    (letter,) = (one for one in aboard.postbox.letters if check["code"] in one.body)
    assert path_of(check["link"]) in letter.body
    offer = await offered(aboard)
    for path in (f"checks/{check['check_id']}/page.svg", f"offers/{offer['offer_id']}/page.svg"):
        shown = await aboard.get(path)
        assert shown.headers["content-type"].startswith("image/svg+xml")
        assert shown.headers["cache-control"] == "no-store"
        assert (await aboard.get(path, aboard.bearer("e-jonas"))).status_code == 404


@pytest.mark.parametrize("language", list(Language))
async def test_after_a_no_the_page_says_what_happens_next_and_by_when(
    aboard: Aboard, language: Language
):
    check = await given(aboard, language=language)
    path = path_of(check["link"])
    said = await ask(aboard, "notifier", "POST", f"{path}/no")
    assert said.status_code == 200
    assert f'href="{path}"' in said.text
    next_step = {"nb": "går videre", "sv": "går vidare", "da": "går videre", "en": "go on"}
    assert next_step[language] in said.text
    await aboard.carry()
    later = await ask(aboard, "notifier", "GET", path)
    heard = {"nb": "senest", "sv": "senast", "da": "senest", "en": "by"}
    assert re.search(rf"{heard[language]} \S+day|{heard[language]} \S+dag", words(later.text))
    assert check["code"] in later.text
    assert f'href="{path}"' not in later.text
    # The answer is given; one more line to it is taken.
    assert re.findall(r'<form[^>]* action="([^"]+)"', later.text) == [f"{path}/no"]


async def test_who_changes_their_mind_is_shown_what_they_answered(aboard: Aboard):
    check = await given(aboard)
    path = path_of(check["link"])
    await ask(aboard, "notifier", "POST", f"{path}/{Helped.YES}")
    page = await ask(aboard, "notifier", "POST", f"{path}/{Helped.NO}")
    assert "We are glad it helped" in page.text
    assert check["code"] in page.text


#: What becomes of a check, step by step: what each page says first then, and whether it has the code.
BECAME = {
    "used": {"nb": "Dette ble brukt", "sv": "Det här användes", "da": "Det blev brugt", "en": "This was used on"},
    "part": {"nb": "Du har 300 kr igjen", "sv": "Du har 300 NOK kvar", "da": "Du har 300 NOK tilbage", "en": "You have NOK 300 left"},
    "voided": {"nb": "trukket tilbake", "sv": "dragits tillbaka", "da": "trukket tilbage", "en": "withdrawn"},
    "suspended": {"nb": "satt på vent", "sv": "pausat", "da": "sat på pause", "en": "on hold"},
    "expired": {"nb": "Det gikk ut", "sv": "Det gick ut", "da": "Det udløb", "en": "It expired on"},
}  # fmt: skip
USED, PART, VOIDED, SUSPENDED, EXPIRED = BECAME
#: Steps of one check, one after the other: what its page says after each, and whether a till takes it then.
STEPS = (
    ("use a part", PART, True),
    ("suspend", SUSPENDED, False),
    ("resume", PART, True),
    ("void", VOIDED, False),
)


async def befall(aboard: Aboard, check: Any, step: str) -> None:
    """Let something happen to a check at a till, at its giver's desk, or with time."""
    till = aboard.bearer("taxfree", "till")
    command = {"code": check["code"], "capture": True}
    match step:
        case "use":
            answer = await aboard.post("redemptions", step, command, till)
            check["redemption_id"] = answer.json()["redemption_id"]
        case "use a part":
            command["amount_minor"] = 200_00
            answer = await aboard.post("redemptions", step, command, till)
        case "roll back":
            answer = await aboard.post(
                f"redemptions/{check['redemption_id']}/rollback", step, None, till
            )
        case "time":
            aboard.later(days=100)
            return
        case _:
            answer = await aboard.post(f"checks/{check['check_id']}/{step}", step)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("steps", "said", "usable"),
    [
        (["use"], USED, False),
        (["use", "roll back"], None, True),
        (["use", "time"], USED, False),
        (["use a part"], PART, True),
        (["use a part", "void"], VOIDED, False),
        (["void"], VOIDED, False),
        (["suspend"], SUSPENDED, False),
        (["suspend", "resume"], None, True),
        (["suspend", "void"], VOIDED, False),
        (["suspend", "time"], EXPIRED, False),
        (["time"], EXPIRED, False),
    ],
)
async def test_the_page_says_first_what_became_of_the_check_and_shows_a_code_only_where_it_is_taken(
    aboard: Aboard, steps: list[str], said: str | None, usable: bool, language: Language
):
    """Whoever stands at a till with it must not hear it from the till."""
    check = await given(aboard, "taxfree-card/50000", language)
    for step in steps:
        await befall(aboard, check, step)
    await aboard.carry()
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    read = words(page.text)
    told = {one: text[language] for one, text in BECAME.items() if text[language] in read}
    assert list(told) == [said] * (said is not None)
    after_title = page.text.partition("</h1>")[2].lstrip()
    assert after_title.startswith('<p class="standing"') is (said is not None)
    assert (check["code"] in page.text) is usable
    assert "{" not in read


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("contact", [{"email": "kari@example.org"}, None])
async def test_we_are_sorry_for_a_check_that_was_taken_back_and_ask_nobody_whether_it_helped(
    aboard: Aboard, contact: dict[str, str] | None, language: Language
):
    check = await given(aboard, "taxfree-card/50000", language, contact=contact)
    await befall(aboard, check, "void")
    await aboard.carry()
    page = (await ask(aboard, "notifier", "GET", path_of(check["link"]))).text
    sorry = say(language, "letter.check_withdrawn.mistake")
    assert sorry in page
    assert page.index(sorry) < page.index('class="card"')
    assert (say(language, "check.disagree") in page) is (contact is not None)
    assert not [
        one for one in ("ask", "keep", "keep_gift") if say(language, f"check.{one}") in page
    ]
    assert "<form" not in page


async def test_of_a_check_that_is_over_nobody_is_asked_whether_it_helped(aboard: Aboard):
    check = await given(aboard, "taxfree-card/50000")
    await befall(aboard, check, "time")
    page = (await ask(aboard, "notifier", "GET", path_of(check["link"]))).text
    assert say(Language.EN, "check.ask") not in page
    assert say(Language.EN, "letter.check_withdrawn.mistake") not in page


async def test_a_percentage_is_used_up_by_one_bill_and_words_never_expire(aboard: Aboard):
    check = await given(aboard, "bar-discount/20")
    command = {"code": check["code"], "amount_minor": 100_00, "capture": True}
    bar = aboard.bearer("sky-bar", "till")
    assert (await aboard.post("redemptions", "r", command, bar)).status_code == 200
    await aboard.carry()
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    assert BECAME[USED]["en"] in page.text
    assert "left" not in words(page.text)


async def test_words_never_expire(aboard: Aboard):
    check = await given(aboard, "sincere-words")
    aboard.later(days=60)
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    assert page.status_code == 200
    assert 'class="standing"' not in page.text


async def test_the_page_of_a_check_that_has_not_come_yet_asks_for_a_moment(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    check = (await aboard.give(complaint, "cinema", "k")).json()
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]), "da")
    assert page.status_code == 503


async def test_an_erased_customers_page_shows_nothing_of_them(aboard: Aboard):
    check = await given(aboard)
    documents = aboard.stores["notifier"].kept.documents
    for key in [key for key in documents if key.startswith("key:")]:
        del documents[key]
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    assert (page.status_code, "Aurora" in page.text) == (404, False)


@pytest.mark.parametrize("helped", list(Helped))
async def test_after_an_answer_the_address_is_the_pages_so_that_a_reload_sends_nothing(
    aboard: Aboard, helped: Helped
):
    check = await given(aboard)
    path = path_of(check["link"])
    for method in ("POST", "POST", "GET", "HEAD"):
        answer = await ask(aboard, "notifier", method, f"{path}/{helped}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert answer.headers["cache-control"] == "no-store"
    assert (await ask(aboard, "notifier", "GET", f"{path}/{helped}")).status_code == 200
    assert (await aboard.types("notifier")).count("feedback.received") == 1


async def test_after_a_choice_the_page_is_asked_for_once_more(aboard: Aboard):
    path = path_of((await offered(aboard))["link"])
    for item in ("cinema", "cinema", "bar-discount/20"):
        answer = await ask(
            aboard, "compensation", "POST", path, data={"item": item}, follow_redirects=False
        )
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert (await aboard.types("compensation")).count("offer.chosen") == 1


async def test_who_asks_for_the_head_of_a_page_is_answered_as_for_the_page(aboard: Aboard):
    answer, choice = (await given(aboard))["link"], (await offered(aboard))["link"]
    for service, path in (
        ("notifier", path_of(answer)),
        ("notifier", "/f/forged"),
        ("compensation", path_of(choice)),
        ("compensation", "/o/forged"),
    ):
        page = await ask(aboard, service, "GET", path)
        head = await ask(aboard, service, "HEAD", path)
        assert (head.status_code, head.headers) == (page.status_code, page.headers)


# ---- the page of an offer ------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_coming_back_after_choosing_shows_what_was_chosen_and_its_code(
    aboard: Aboard, language: Language
):
    offer = await offered(aboard, language)
    path = path_of(offer["link"])
    before = words((await ask(aboard, "compensation", "GET", path)).text)
    assert "160" not in before
    assert all(told in before for told in ("Aurora", "20", "800", "Sky Bar", "2026"))
    chosen = await ask(aboard, "compensation", "POST", path, data={"item": "bar-discount/20"})
    again = await ask(aboard, "compensation", "GET", path)
    other = await ask(aboard, "compensation", "POST", path, data={"item": "cinema"})
    assert (chosen.status_code, again.status_code, other.status_code) == (200, 200, 200)
    assert chosen.text == again.text == other.text
    (check,) = (await aboard.get("checks")).json()["checks"]
    assert check["item"] == "bar-discount/20"
    read = words(again.text)
    assert re.search(r"[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]", read)
    assert all(told in read for told in ("Aurora", "20", "800", "Sky Bar", "2026"))
    assert "<form" not in again.text


async def test_the_code_that_is_shown_after_choosing_is_taken_by_the_till(aboard: Aboard):
    offer = await offered(aboard, "en", "taxfree-card/20000", "cinema")
    path = path_of(offer["link"])
    page = await ask(aboard, "compensation", "POST", path, data={"item": "taxfree-card/20000"})
    code = re.search(r'class="code">([^<]+)<', page.text)
    assert code is not None
    command = {"code": code[1], "capture": True}
    till = aboard.bearer("taxfree", "till")
    assert (await aboard.post("redemptions", "r", command, till)).status_code == 200
    used = await ask(aboard, "compensation", "GET", path)
    assert "This has been used." in used.text
    assert code[1] not in used.text


async def test_the_page_of_an_offer_says_first_what_became_of_what_was_chosen(aboard: Aboard):
    offer = await offered(aboard, "en", "taxfree-card/50000", "cinema")
    path = path_of(offer["link"])
    page = await ask(aboard, "compensation", "POST", path, data={"item": "taxfree-card/50000"})
    check = {"check_id": "ck-" + offer["offer_id"].removeprefix("of-")}
    found = re.search(r'class="code">([^<]+)<', page.text)
    assert found is not None
    check["code"] = found[1]
    for step, said, usable in STEPS:
        await befall(aboard, check, step)
        page = await ask(aboard, "compensation", "GET", path)
        assert BECAME[said]["en"] in words(page.text)
        assert page.text.partition("</h1>")[2].lstrip().startswith('<p class="standing"')
        assert (check["code"] in page.text) is usable


async def test_money_is_not_said_to_be_taken_anywhere(aboard: Aboard):
    """Its title says on which account it is; a dinner says where it is taken."""
    money = await given(aboard, "onboard-credit/50000")
    page = await ask(aboard, "notifier", "GET", path_of(money["link"]))
    assert money["code"] in page.text
    assert "anywhere" not in words(page.text)
    path = path_of((await offered(aboard, "en", "onboard-credit/20000", "cinema"))["link"])
    page = await ask(aboard, "compensation", "POST", path, data={"item": "onboard-credit/20000"})
    assert 'class="code"' in page.text
    assert "anywhere" not in words(page.text)


async def test_the_page_of_an_offer_says_that_what_was_chosen_expired_on_the_minute(aboard: Aboard):
    """Also before its timer has rung."""
    path = path_of((await offered(aboard))["link"])
    page = await ask(aboard, "compensation", "POST", path, data={"item": "cinema"})
    assert 'class="code"' in page.text
    aboard.later(days=3)
    page = await ask(aboard, "compensation", "GET", path)
    assert BECAME[EXPIRED]["en"] in words(page.text)
    assert 'class="code"' not in page.text


# ---- the page with a check's code ----------------------------------------------------------------


async def code_page(aboard: Aboard, check: Any) -> str:
    """The path of a check's page for the till, as the page of the check links to it."""
    page = await ask(aboard, "notifier", "GET", path_of(check["link"]))
    (link,) = re.findall(r'href="([^"]+/k/[^"]+)"', page.text)
    return path_of(link)


@pytest.mark.parametrize("language", list(Language))
async def test_a_check_s_code_has_a_page_for_the_till_in_its_customer_s_language(
    aboard: Aboard, language: Language
):
    check = await given(aboard, "taxfree-card/50000", language)
    page = await ask(aboard, "compensation", "GET", await code_page(aboard, check))
    assert page.status_code == 200
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert f'lang="{language}"' in page.text
    said = words(page.text)
    for told in (check["code"], "Aurora", "500", "2026", say(language, "offer.print")):
        assert told in said
    drawn = segno.make(check["code"], error="m", micro=False).svg_inline(
        border=4, light="#fff", omitsize=True
    )
    assert drawn in page.text
    assert "<script" not in page.text


async def test_the_page_of_a_code_says_what_is_left_and_shows_no_code_that_no_till_takes(
    aboard: Aboard,
):
    check = await given(aboard, "taxfree-card/50000")
    path = await code_page(aboard, check)
    for step, said, usable in STEPS:
        await befall(aboard, check, step)
        page = await ask(aboard, "compensation", "GET", path)
        assert BECAME[said]["en"] in words(page.text)
        assert (check["code"] in page.text) is usable
        assert ("<svg" in page.text) is usable


async def test_the_link_to_a_code_opens_nothing_else_and_no_other_link_opens_a_code(
    aboard: Aboard,
):
    check, offer = await given(aboard), await offered(aboard)
    path = await code_page(aboard, check)
    token = path.removeprefix("/k/")
    for service, other in (
        ("compensation", f"/o/{token}"),
        ("notifier", f"/f/{token}"),
        ("compensation", "/k/" + path_of(check["link"]).removeprefix("/f/")),
        ("compensation", "/k/" + path_of(offer["link"]).removeprefix("/o/")),
    ):
        page = await ask(aboard, service, "GET", other)
        assert page.status_code == 404, other
        assert check["code"] not in page.text
    aboard.later(days=400)
    page = await ask(aboard, "compensation", "GET", path)
    assert page.status_code == 404
    assert check["code"] not in page.text


@pytest.mark.parametrize("language", list(Language))
async def test_a_choice_that_is_not_on_offer_is_named_on_top_of_the_page_with_the_choices(
    aboard: Aboard, language: Language
):
    path = path_of((await offered(aboard, language))["link"])
    page = await ask(aboard, "compensation", "POST", path, data={"item": "gone"})
    assert page.status_code == Reason.AMOUNT_NOT_OFFERED.status
    above = page.text.partition("<main>")[2].partition("<h1>")[0]
    assert 'role="alert"' in above
    assert 'href="#choices"' in above
    assert 'id="choices"' in page.text
    assert "offer.chosen" not in await aboard.types("compensation")


async def test_an_offer_that_is_over_says_what_the_customer_can_do(aboard: Aboard):
    offer = await offered(aboard)
    aboard.later(days=3)
    page = await ask(aboard, "compensation", "GET", path_of(offer["link"]))
    assert page.status_code == 200
    assert offer["complaint_id"][-6:].upper() in page.text
    assert "the wait. Nothing was chosen in time. Talk to any one of us" in words(page.text)


# ---- every page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_every_page_can_be_read_by_everybody_and_leaves_no_trace(
    aboard: Aboard, language: Language
):
    """A language, a title, one heading above all, names for all buttons; no script, nothing kept."""
    check = await given(aboard, language=language)
    answer, choice = path_of(check["link"]), path_of((await offered(aboard, language))["link"])
    pages = [
        await ask(aboard, "notifier", "GET", answer),
        await ask(aboard, "compensation", "GET", choice),
        await ask(aboard, "notifier", "POST", f"{answer}/no"),
        await ask(aboard, "compensation", "POST", choice, data={"item": "cinema"}),
        await ask(aboard, "notifier", "GET", "/f/forged", language),
    ]
    for page in pages:
        found = outline(page.text)
        tags = [tag for tag, _ in found.tags]
        assert ("html", {"lang": language}) in found.tags
        assert (tags.count("title"), tags.count("h1"), tags.count("main")) == (1, 1, 1)
        assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
            found.tags
        )
        assert not {"script", "img", "link", "iframe"} & set(tags)
        assert not [name for _, attributes in found.tags for name in attributes if name[:2] == "on"]
        assert not re.search(r"<button[^>]*>\s*</button>", page.text)
        assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
        assert "{" not in words(page.text)


def test_the_one_address_for_browsers_passes_on_every_page_behind_a_link(aboard: Aboard):
    behind = {
        (asked.path.split("/")[1], asked.service)
        for asked in operations(aboard)
        if "{token}" in asked.path
    }
    assert len(behind) > 5
    assert behind <= set(PAGES.items())
