"""Anybody says what happened on a site's open form, and is led to a page of their own."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.complaints.intake.limits import COUNTED_MAX, Limits, Most, subscriber
from services.complaints.intake.page import Opened
from shared.contracts.complaints import Category, Language, reference_of
from shared.contracts.intake import TEXT_MAX, MessageChannel
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.http.pages import PAGE_HEADERS
from shared.runtime.privacy.links import FOLLOWED_FOR, MINE, Tokens
from shared.runtime.words import category_title, format_time, say
from shared.testing.clock import Clock
from tests.suites.services import SITE, Aboard, demo_policy, forget_answers, state
from tests.unit.test_erasure import document
from tests.unit.test_timeline import entries

FORM = f"/c/{SITE}"
BROWSER = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
#: A few more than one address may send.
MANY = 20


async def opened(aboard: Aboard, path: str = FORM, **headers: str) -> httpx.Response:
    async with aboard.http("complaints", "") as phone:
        return await phone.get(path, headers={**BROWSER, **headers})


def once_of(page: httpx.Response) -> str:
    (once,) = re.findall(r'name="once" value="([^"]+)"', page.text)
    return str(once)


async def sent(aboard: Aboard, path: str = FORM, **form: str) -> httpx.Response:
    """A form that is opened and sent; with `once`, one that was opened before."""
    form.setdefault("once", once_of(await opened(aboard, path)))
    return await posted(aboard, path, form)


async def posted(aboard: Aboard, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
    async with aboard.http("complaints", "") as phone:
        return await phone.post(path, data=form, headers={**BROWSER, **headers})


def complaint(aboard: Aboard, page: httpx.Response) -> dict[str, Any]:
    """The complaint that an answer leads to."""
    assert page.status_code == 303, page.text
    token = urlsplit(page.headers["location"]).path.split("/")[2]
    vault = aboard.apps["complaints"].parts.vault
    name = Tokens(vault.derive(MINE), MINE, aboard.clock).read(token)["complaint"]
    return {"complaint_id": name, **document(aboard, "complaints", f"complaint:{name}")}


async def raised(aboard: Aboard) -> int:
    return (await aboard.types("complaints")).count("complaint.received")


# ---- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_the_form_asks_one_question_in_the_language_of_the_browser(
    aboard: Aboard, language: Language
):
    before = state(aboard.stores["complaints"])
    page = await opened(aboard, **{"Accept-Language": f"de,{language}-XX;q=0.8"})
    assert page.status_code == 200
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    text = html.unescape(page.text)
    assert f'<html lang="{language}">' in text
    assert text.count("<textarea") == 1
    assert "<script" not in text
    for one in Category:
        assert category_title(one, language) in text
    for one in Language:
        assert f'href="?language={one}"' in text
    assert state(aboard.stores["complaints"]) == before


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
@pytest.mark.parametrize("path", ["/c/ms-nowhere", "/c/ms-nowhere/deck", "/c/%20", "/c/x/y/z"])
async def test_a_site_that_is_not_there_is_a_page_and_never_json(
    aboard: Aboard, path: str, accept: str
):
    for page in (
        await opened(aboard, path, Accept=accept, **{"Accept-Language": "sv"}),
        await posted(aboard, path, {"text": "x"}, Accept=accept),
    ):
        assert page.status_code in (404, 422)
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>" in page.text


@pytest.mark.parametrize(
    "text",
    [
        "Das Zimmer war schmutzig, und niemand hat uns geholfen.",
        "Zupa była zimna, a kelner niegrzeczny",
        "Η σούπα ήταν κρύα",
        "汤是凉的，服务员很粗鲁。",
    ],
)
@pytest.mark.parametrize("language", ["en", "nb"])
async def test_words_that_nobody_here_reads_are_marked_whatever_language_the_page_has(
    aboard: Aboard, language: str, text: str
):
    found = complaint(aboard, await sent(aboard, f"{FORM}?language={language}", text=text))
    assert (found["language"], found["unsupported_language"]) == (language, True)
    assert "vulnerable" not in found["flags"]


@pytest.mark.parametrize(
    ("page", "text", "category"),
    [
        ("sv", "Kald suppe", "food"),
        ("sv", "The soup was cold and they were late with it", "food"),
        ("en", "Maten var kald og vi fikk ikke noe svar", "food"),
        ("nb", "Vi fick vänta, bussen var försenad och det var inte bra", "delay"),
    ],
)
async def test_words_that_are_plainly_in_another_language_than_the_page_are_read_in_theirs(
    aboard: Aboard, page: str, text: str, category: str
):
    found = complaint(aboard, await sent(aboard, f"{FORM}?language={page}", text=text))
    assert (found["category"], found["language"]) == (category, page)
    assert not found["unsupported_language"]


async def test_an_allergy_in_german_is_heard_on_any_page(aboard: Aboard):
    text = "Mein Sohn hat eine Allergie gegen Nüsse"
    found = complaint(aboard, await sent(aboard, f"{FORM}?language=en", text=text))
    assert "allergy" in found["flags"]


async def test_the_language_that_the_customer_chooses_goes_before_the_browsers(aboard: Aboard):
    page = await opened(aboard, f"{FORM}?language=da", **{"Accept-Language": "sv"})
    assert '<html lang="da">' in page.text
    for unknown in ("xx", "nb-NO", "<b>"):
        page = await opened(aboard, f"{FORM}?language={unknown}", **{"Accept-Language": "sv"})
        assert '<html lang="sv">' in page.text


# ---- what is sent --------------------------------------------------------------------------------


async def test_words_that_say_no_language_are_answered_in_that_of_the_form(aboard: Aboard):
    await sent(aboard, f"{FORM}?language=sv", text="Help me")
    found = [one for one in await aboard.facts("complaints") if "promised_by" in one][-1]
    assert found["language"] == "sv"


@pytest.mark.parametrize("language", list(Language))
async def test_the_thanks_say_by_when_and_lead_to_a_page_of_their_own(
    aboard: Aboard, language: Language
):
    path = f"{FORM}?language={language}"
    answer = await sent(aboard, path, text="The soup was cold.", contact="kim@example.org")
    found = complaint(aboard, answer)
    thanks = await opened(aboard, answer.headers["location"])
    assert thanks.status_code == 200
    text = html.unescape(thanks.text)
    assert f'<html lang="{language}">' in text
    told = (await aboard.facts("complaints"))[-1]
    assert told["promised_by"]
    assert say(language, "form.thanks.unreachable") not in text
    (mine,) = re.findall(r'href="(/m/[^"]+)"', text)
    page = html.unescape((await opened(aboard, mine)).text)
    assert "The soup was cold." in page
    assert f'<html lang="{language}">' in page
    assert (found["language"], found["state"]) == (language, "triaged")


async def test_whoever_leaves_no_address_is_told_where_the_answer_comes(aboard: Aboard):
    answer = await sent(aboard, f"{FORM}?language=en", text="The soup was cold and nobody came.")
    found = complaint(aboard, answer)
    assert (found.get("contact"), found["reachable"]) == (None, False)
    thanks = html.unescape((await opened(aboard, answer.headers["location"])).text)
    assert say(Language.EN, "form.thanks.unreachable") in thanks


async def test_thanks_say_no_time_that_is_over_and_end_with_the_link(aboard: Aboard):
    answer = await sent(aboard, text="The soup was cold.")
    zone, by = aboard.policy.timezone, complaint(aboard, answer)["promised_by"]
    assert by
    aboard.later(days=30)
    thanks = await opened(aboard, answer.headers["location"])
    assert 'class="standing"' not in thanks.text
    assert format_time(aboard.clock(), zone, Language.EN) not in thanks.text
    aboard.clock.advance(FOLLOWED_FOR)
    assert (await opened(aboard, answer.headers["location"])).status_code == 404


async def test_a_form_sent_twice_makes_one_complaint(aboard: Aboard):
    once = once_of(await opened(aboard))
    first = await sent(aboard, text="The soup was cold.", once=once)
    again = await sent(aboard, text="The soup was cold.", once=once)
    assert complaint(aboard, first) == complaint(aboard, again)
    assert await raised(aboard) == 1
    other = await sent(aboard, text="And the wine.", once=once)
    assert (other.status_code, await raised(aboard)) == (422, 1)
    assert "And the wine." in other.text
    assert once_of(other) != once
    assert (await sent(aboard, text="And the wine.", once=once_of(other))).status_code == 303
    assert await raised(aboard) == 2


async def test_a_form_whose_answer_was_forgotten_makes_no_second_complaint(aboard: Aboard):
    once = once_of(await opened(aboard))
    await sent(aboard, text="The soup was cold.", once=once)
    forget_answers(aboard.stores["complaints"])
    await sent(aboard, text="The soup was cold.", once=once)
    assert await raised(aboard) == 1


@pytest.mark.parametrize("once", ["", "x", "a" * 21, "a" * 23, "a" * 21 + "\n", "é" * 22])
async def test_a_form_without_a_name_of_ours_is_shown_again_and_not_taken(
    aboard: Aboard, once: str
):
    """Equal words under no name would lead one customer to the page of another."""
    page = await sent(aboard, text="The soup was cold.", once=once)
    assert (page.status_code, await raised(aboard)) == (422, 0)
    assert "The soup was cold." in page.text
    assert len(once_of(page)) == 22


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ({"text": ""}, "text"),
        ({"text": " \u200b\u2060 \u3164"}, "text"),
        ({"text": "x" * (TEXT_MAX + 1)}, "text"),
        ({"text": "Cold <soup>", "contact": "kim"}, "contact"),
        ({"text": "Cold <soup>", "contact": "kim@"}, "contact"),
        ({"text": "Cold <soup>", "contact": "a@b@c"}, "contact"),
        ({"text": "Cold <soup>", "contact": '"><script>'}, "contact"),
    ],
)
async def test_what_is_wrong_is_said_on_top_and_everything_that_was_written_is_kept(
    aboard: Aboard, form: dict[str, str], part: str
):
    page = await sent(aboard, f"{FORM}?language=nb", about="food", place="cabin", **form)
    assert (page.status_code, await raised(aboard)) == (422, 0)
    assert f'<a href="#{part}">' in page.text
    assert "<script>" not in page.text
    assert 'value="food" checked' in page.text
    assert 'value="cabin" checked' in page.text
    assert html.escape(form["text"].strip()) in page.text


def reached_by(*channels: MessageChannel) -> Policy:
    """The demo's policy of a site in Norway that writes to customers by these channels."""
    policy = demo_policy()
    how = {"channels": channels, "calling_code": "47"}
    return policy.model_copy(update={"notify": policy.notify.model_copy(update=how)})


@pytest.mark.parametrize("contact", ["kim@example.org", "+47 912 34 567", " 91234567 "])
async def test_mail_and_telephone_are_taken_in_one_field(tmp_path: Path, contact: str):
    both = reached_by(MessageChannel.EMAIL, MessageChannel.SMS)
    aboard = await Aboard(tmp_path, policy=both).begin()
    found = complaint(aboard, await sent(aboard, text="The soup was cold.", contact=contact))
    assert found["contact"]
    assert contact.strip() not in repr(aboard.stores["complaints"].kept)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("channels", "reached", "other"),
    [
        ((MessageChannel.EMAIL,), "email", "+47 912 34 567"),
        ((MessageChannel.SMS,), "sms", "kim@example.org"),
    ],
)
async def test_the_form_says_how_the_site_writes_and_takes_no_address_that_it_does_not_reach(
    tmp_path: Path, channels: tuple[MessageChannel], reached: str, other: str, language: Language
):
    aboard = await Aboard(tmp_path, policy=reached_by(*channels)).begin()
    path = f"{FORM}?language={language}"
    page = html.unescape((await opened(aboard, path)).text)
    for said in (f"form.contact.{reached}", f"form.contact_why.{reached}"):
        assert say(language, said) in page
    answer = await sent(aboard, path, text="The soup was cold.", contact=other)
    page = html.unescape(answer.text)
    assert (answer.status_code, await raised(aboard)) == (422, 0)
    assert say(language, f"form.fault.contact.{reached}") in page
    assert "The soup was cold." in page
    assert f'value="{other}"' in page


@pytest.mark.parametrize("contact", ["kim@example", "kim@example.", "kim@.org", "kim@example..org"])
async def test_an_address_whose_end_is_missing_is_asked_about_and_kept_with_the_words(
    aboard: Aboard, contact: str
):
    path = f"{FORM}?language=nb"
    answer = await sent(aboard, path, text="The soup was cold.", contact=contact)
    page = html.unescape(answer.text)
    assert (answer.status_code, await raised(aboard)) == (422, 0)
    assert say(Language.NB, "form.fault.address") in page
    assert "The soup was cold." in page
    assert f'value="{contact}"' in page
    whole = await sent(aboard, path, text="The soup was cold.", contact="kim@example.org")
    assert whole.status_code == 303


@pytest.mark.parametrize(
    ("about", "category"), [("noise", "noise"), ("other", "food"), ("x", "food")]
)
async def test_the_category_that_the_customer_chose_goes_before_their_words(
    aboard: Aboard, about: str, category: str
):
    found = complaint(aboard, await sent(aboard, text="The soup was cold.", about=about))
    assert found["category"] == category


async def test_danger_is_danger_by_choice_and_by_words_whatever_was_chosen(aboard: Aboard):
    chosen = complaint(aboard, await sent(aboard, text="The stairs.", about="safety"))
    told = complaint(aboard, await sent(aboard, text="There is a fire.", about="noise"))
    for found in (chosen, told):
        assert (found["category"], found["severity"], found["safety"]) == ("safety", "severe", True)


@pytest.mark.parametrize(
    ("path", "place", "told"),
    [
        (f"{FORM}/sun-deck", "", "Soldekket"),
        (FORM, "sun-deck", "Soldekket"),
        (FORM, "nowhere", None),
        (FORM, "", None),
        (f"{FORM}/7214", "cabin", "7214"),
        (f"{FORM}/Bar%20%E2%80%AE%00%E2%80%8Bxyz", "", "Bar xyz"),
        (f"{FORM}/%E2%80%8B", "", None),
    ],
)
async def test_a_place_is_the_links_or_the_chosen_one_as_the_site_calls_it(
    aboard: Aboard, path: str, place: str, told: str | None
):
    found = complaint(aboard, await sent(aboard, path, text="It is cold.", place=place))
    (first, *_) = await entries(aboard, found["complaint_id"])
    async with aboard.http("complaints") as phone:
        shown = (await phone.get(f"/v1/complaints/{found['complaint_id']}")).json()
    assert shown.get("place") == told, first


async def test_the_link_of_a_place_says_it_in_the_customers_language_and_asks_for_none(
    aboard: Aboard,
):
    page = html.unescape((await opened(aboard, f"{FORM}/sun-deck?language=en")).text)
    assert "The sun deck" in page
    assert say(Language.EN, "form.place") not in page
    assert "&lt;b&gt;7214" in (await opened(aboard, f"{FORM}/<b>7214?language=en")).text


async def test_a_place_that_is_longer_than_a_name_is_a_page_that_says_no(aboard: Aboard):
    assert (await opened(aboard, f"{FORM}/{'x' * 64}")).status_code == 200
    assert (await opened(aboard, f"{FORM}/{'x' * 65}")).status_code == 422


async def test_forms_under_a_customers_address_are_not_merged_and_show_nothing_of_theirs(
    aboard: Aboard,
):
    """Nobody proves that an address is theirs, and whoever sends the form is given the page behind it."""
    theirs = {"text": "The soup was cold.", "contact": {"email": "kim@example.org"}}
    own = await aboard.raise_complaint(**theirs)
    answer = await sent(aboard, text="The soup was cold.", contact="kim@example.org")
    found = complaint(aboard, answer)
    assert (found["state"], found.get("merged_into")) == ("triaged", None)
    mine = answer.headers["location"].partition("/thanks")[0]
    assert reference_of(own) not in (await opened(aboard, mine)).text


async def test_those_who_leave_no_address_count_as_one_customer_in_an_incident(aboard: Aboard):
    for _ in range(2):
        await sent(aboard, text="The soup was cold.")
    await sent(aboard, text="The soup was cold.", contact="kim@example.org")
    triaged = [one for one in await aboard.facts("complaints") if "promise_id" in one]
    first, second, named = [one.get("counts_for") or one["customer_ref"] for one in triaged]
    assert first == second != named


async def test_a_store_that_is_away_loses_no_words_and_makes_no_second_complaint(aboard: Aboard):
    page = await opened(aboard)
    store = aboard.stores["complaints"]
    commit = store.commit

    async def away(_: object) -> None:
        raise Unavailable(Reason.STORE_UNAVAILABLE, retry_after_s=0.1)

    store.commit = away
    answer = await sent(aboard, text="The soup was cold.", once=once_of(page))
    store.commit = commit
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "The soup was cold." in answer.text
    assert once_of(answer) == once_of(page)
    assert (await sent(aboard, text="The soup was cold.", once=once_of(page))).status_code == 303


# ---- bounds --------------------------------------------------------------------------------------


async def test_one_address_sends_so_many_forms_and_is_told_kindly_when_it_goes_on(aboard: Aboard):
    for number in range(MANY):
        assert (await sent(aboard, text=f"Cold soup {number}")).status_code == 303
    page = await sent(aboard, f"{FORM}/cabin?language=en", text="And <one> more")
    assert (page.status_code, page.headers["retry-after"]) == (429, "601")
    until = aboard.clock() + timedelta(minutes=10)
    when = format_time(until, aboard.policy.timezone, Language.EN, aboard.clock())
    assert say(Language.EN, "form.fault.later", when=when) in html.unescape(page.text)
    assert "And &lt;one&gt; more" in page.text
    assert await raised(aboard) == MANY
    once = once_of(page)
    aboard.later(minutes=10)
    answer = await sent(aboard, f"{FORM}/cabin?language=en", text="And <one> more", once=once)
    assert answer.status_code == 303


def test_places_that_the_policy_does_not_name_count_as_one_and_named_ones_by_themselves(
    aboard: Aboard,
):
    """Otherwise anybody makes up places and is bounded by none."""

    def counted(place: str) -> str:
        return Opened(aboard.policy, Language.EN, link_place=place).counted_place

    named = next(iter(aboard.policy.places))
    assert counted("made up") == counted("made up too") != counted("")
    assert len({counted(named), counted(""), counted("made up")}) == 3


async def test_a_repeat_and_a_form_that_is_wrong_count_for_nothing(aboard: Aboard):
    once = once_of(await opened(aboard))
    for _ in range(MANY + 5):
        assert (await sent(aboard, text="Cold soup", once=once)).status_code == 303
        assert (await sent(aboard, text="")).status_code == 422
    assert (await sent(aboard, text="Cold soup")).status_code == 303


async def test_nothing_of_an_address_is_kept(aboard: Aboard):
    await sent(aboard, text="Cold soup")
    assert "127.0.0.1" not in repr(aboard.stores["complaints"].kept)
    assert "127.0.0.1" not in repr(await aboard.events("complaints"))


def limits(clock: Clock, **more: int) -> Limits:
    most = {"per_address": 2, "per_place": 3, **more}
    return Limits(Most(window=timedelta(minutes=10), **most), clock)


def test_an_address_and_a_place_are_bounded_apart():
    clock = Clock()
    counted = limits(clock)
    ends = clock() + timedelta(minutes=10)
    assert [counted.take("10.0.0.1", "a"), counted.take("10.0.0.1", "b")] == [None, None]
    assert counted.take("10.0.0.1", "c") == ends
    assert [counted.take(f"10.0.1.{one}", "a") for one in range(3)] == [None, None, ends]
    clock.advance(timedelta(minutes=10))
    assert counted.take("10.0.0.1", "a") is None


def test_a_form_that_is_not_taken_is_not_counted():
    clock = Clock()
    counted = limits(clock, per_place=1)
    assert counted.take("10.0.0.1", "a") is None
    assert counted.take("10.0.0.2", "a") is not None
    assert [counted.take("10.0.0.2", one) for one in ("b", "c")] == [None, None]


def test_counting_takes_bounded_memory():
    clock = Clock()
    counted = limits(clock)
    for number in range(COUNTED_MAX + 10):
        counted.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"{number}")
    assert len(counted._windows) == COUNTED_MAX


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_an_address_is_counted_by_what_one_subscriber_has(one: str, other: str, same: bool):
    assert (subscriber(one) == subscriber(other)) is same
