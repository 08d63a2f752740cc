"""What customers see and do by the link in their letter; nothing happens when it is only opened."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.complaints.lifecycle.rules import Promise
from services.complaints.selfservice.moves import WORDS_MAX, enter_code
from services.complaints.selfservice.page import told as print_entry
from services.complaints.selfservice.page import told_of
from services.complaints.selfservice.rules import (
    CODES_MAX,
    HEARD_CHARS_MAX,
    TRIES_MAX,
    VALID_FOR,
    Confirmation,
    asked,
    missed,
    shortened,
    unusable,
)
from services.complaints.timeline.rules import Entry, What
from shared.contracts.complaints import Action, ConfirmationAsked, Language, reference_of
from shared.contracts.intake import MessageChannel
from shared.contracts.lifecycle import State
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.privacy.links import FOLLOWED_FOR, MINE, Tokens
from shared.runtime.words import format_time, say
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, demo_policy, state
from tests.unit.test_erasure import document, erase, ref_of
from tests.unit.test_export import ATTACK, exported
from tests.unit.test_export import ask as ask_export
from tests.unit.test_lifecycle import STANDING, do
from tests.unit.test_timeline import entries, example

BROWSER = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}


async def link_of(aboard: Aboard, **told: Any) -> tuple[str, str]:
    """A complaint, and the path of the link in its acknowledgement."""
    name = await aboard.raise_complaint(**told)
    for _ in range(2):  # without an address the message is for another channel
        await aboard.ring()
        await aboard.carry()
    letter = (aboard.postbox.letters or aboard.phone.letters)[-1]
    (url,) = [word for word in letter.body.split() if "/m/" in word]
    return name, urlsplit(url).path


async def opened(aboard: Aboard, path: str, **headers: str) -> httpx.Response:
    async with aboard.http("complaints", "") as phone:
        return await phone.get(path, headers={**BROWSER, **headers})


async def sent(aboard: Aboard, path: str, accept: str = "text/html", **form: str) -> httpx.Response:
    async with aboard.http("complaints", "") as phone:
        return await phone.post(path, data=form, headers={**BROWSER, "Accept": accept})


async def code_of(aboard: Aboard) -> str:
    """The code in the latest letter."""
    await aboard.carry()
    await aboard.ring()
    (code,) = re.findall(r"\b\d{6}\b", aboard.postbox.letters[-1].body)
    return str(code)


# ---- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_tells_the_whole_story_in_the_customers_language(
    aboard: Aboard, language: Language
):
    name, path = await link_of(
        aboard, language=language, text="The soup was cold. Suppen var kold."
    )
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question="Which soup?")
    await aboard.give(name, "cinema", "k", again=True)
    await aboard.carry()
    page = await opened(aboard, path)
    assert page.status_code == 200
    assert f'<html lang="{language}">' in page.text
    for told in ("The soup was cold.", "Which soup?", "250"):
        assert told in page.text
    for hidden in ("e-ingrid", "9000", "90,00", "90.00", "<script"):
        assert hidden not in page.text, hidden
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("place", "shown"),
    [("cabin", "<dd>Hytten</dd>"), ("Lugaren", "<dd>Hytten</dd>"), ("Lugar 412", ""), (None, "")],
)
async def test_the_page_says_where_it_happened_as_the_site_calls_it(
    aboard: Aboard, place: str | None, shown: str
):
    _, path = await link_of(aboard, language=Language.SV, place=place)
    page = (await opened(aboard, path)).text
    assert shown in page
    assert (say(Language.SV, "form.where") in page) is bool(shown)
    assert "412" not in page


async def test_opening_a_link_changes_nothing(aboard: Aboard):
    _, path = await link_of(aboard)
    before = state(aboard.stores["complaints"])
    for each in (path, f"{path}/code", f"{path}/words", f"{path}/withdraw", f"{path}/confirm"):
        await opened(aboard, each)
    assert state(aboard.stores["complaints"]) == before


async def test_expired_foreign_and_wrong_links_are_pages_that_say_so(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.DA)
    vault = aboard.apps["complaints"].parts.vault
    late = aboard.clock() + FOLLOWED_FOR
    unknown = Tokens(vault.derive(MINE), MINE, aboard.clock).sign({"complaint": "co-none"}, late)
    offers = Tokens(vault.derive("offer"), "offer", aboard.clock).sign({"offer": name}, late)
    aboard.clock.advance(FOLLOWED_FOR + timedelta(seconds=1))
    for each in (path, f"/m/{unknown}", f"/m/{offers}", f"{path}x", "/m/x"):
        page = await opened(aboard, each)
        assert (page.status_code, "<h1>" in page.text) == (404, True)
        assert (await sent(aboard, f"{each}/words", text="x")).status_code == 404
    old = (await opened(aboard, path)).text
    assert '<html lang="da">' in old
    assert f'<a href="/c/{SITE}">{say(Language.DA, "form.here")}</a>' in html.unescape(old)


async def test_words_are_added_once_however_often_they_are_sent(aboard: Aboard):
    name, path = await link_of(aboard)
    (once,) = set(re.findall(r'name="once" value="([^"]+)"', (await opened(aboard, path)).text))
    for _ in range(2):
        answer = await sent(aboard, f"{path}/words", text="And the\r\nwine.", once=once)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    told = await entries(aboard, name)
    (added,) = [one for one in told if one["what"] == "words_added"]
    assert (added["who"], added["text"]) == ("customer", "And the\nwine.")
    assert "And the\nwine." in (await opened(aboard, path)).text
    assert "wine" not in repr(aboard.stores["complaints"].kept)


async def test_words_answer_what_was_asked_and_the_promise_goes_on(aboard: Aboard):
    name, path = await link_of(aboard)
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question="Which soup?")
    aboard.later(minutes=5)
    await sent(aboard, f"{path}/words", text="The fish soup.")
    answered = (await entries(aboard, name))[-1]
    assert (answered["what"], answered["who"]) == ("answered", "customer")
    assert answered["text"] == "The fish soup."
    kept = document(aboard, "complaints", f"complaint:{name}")
    assert (kept["state"], kept.get("waits_since")) == ("claimed", None)


@pytest.mark.parametrize("text", ["", "  \r\n", "\u200b\u2060 \u3164", "\x00\x1b", "x" * 2001])
async def test_words_that_do_not_fit_are_said_on_the_page(aboard: Aboard, text: str):
    name, path = await link_of(aboard)
    page = await sent(aboard, f"{path}/words", text=text)
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert "words_added" not in [one["what"] for one in await entries(aboard, name)]


async def test_a_link_takes_so_many_words_a_day(aboard: Aboard):
    _, path = await link_of(aboard)
    for number in range(WORDS_MAX):
        assert (await sent(aboard, f"{path}/words", text=f"{number}")).status_code == 303
    page = await sent(aboard, f"{path}/words", text="One <more>")
    assert (page.status_code, "One &lt;more&gt;" in page.text) == (429, True)
    aboard.later(days=1)
    assert (await sent(aboard, f"{path}/words", text="One more")).status_code == 303


async def test_a_customer_takes_the_complaint_back(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.NB)
    assert (await sent(aboard, f"{path}/withdraw")).status_code == 303
    assert document(aboard, "complaints", f"complaint:{name}")["state"] == "withdrawn"
    assert (await entries(aboard, name))[-1]["who"] == "customer"
    page = await opened(aboard, path)
    assert say(Language.NB, "mine.what.withdrawn") in page.text
    assert say(Language.NB, "mine.what.withdrawn_for_you") not in page.text


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("how", "said"), [("withdraw", "withdrawn_for_you"), ("unfounded", "not_a_complaint")]
)
async def test_the_page_says_that_an_employee_ended_a_complaint_and_not_who(
    aboard: Aboard, language: Language, how: str, said: str
):
    name, path = await link_of(aboard, language=language)
    await do(aboard, name, how, "e-jonas")
    page = html.unescape((await opened(aboard, path)).text)
    assert say(language, f"mine.what.{said}") in page
    assert say(language, "mine.standing.again") in page
    assert "e-jonas" not in page


@pytest.mark.parametrize("how", ["withdraw", "unfounded", "confirmed", "own"])
async def test_what_a_customer_writes_opens_a_complaint_again_that_is_over(
    aboard: Aboard, how: str
):
    name, path = await link_of(aboard)
    await do(aboard, name, "claim")
    if how == "confirmed":
        await do(aboard, name, "resolve", outcome="fixed")
        await sent(aboard, f"{path}/helped", action="yes")
    elif how == "own":
        await sent(aboard, f"{path}/withdraw")
    else:
        await do(aboard, name, how)
    aboard.later(minutes=1)
    assert "<textarea" in (await opened(aboard, path)).text
    assert (await sent(aboard, f"{path}/words", text="It is cold again.")).status_code == 303
    kept = document(aboard, "complaints", f"complaint:{name}")
    assert (kept["state"], kept["round"], kept["employee_id"]) == ("reopened", 1, "e-ingrid")
    assert [one["what"] for one in await entries(aboard, name)][-2:] == ["words_added", "reopened"]
    (again,) = [one for one in await aboard.facts("complaints") if "reopened" in one["type"]]
    assert not again.get("by_link"), "the customer said nothing of whether it helped"


@pytest.mark.parametrize("language", list(Language))
async def test_a_customer_is_told_who_outside_looks_at_it_and_how_to_reach_them(
    aboard: Aboard, language: Language
):
    name, path = await link_of(aboard, language=language)
    await do(aboard, name, "claim")
    await do(aboard, name, "refer", body="transport-complaints-board")
    body = demo_policy().bodies["transport-complaints-board"]
    page = html.unescape((await opened(aboard, path)).text)
    assert say(language, "mine.standing.referred", body=body.title[language]) in page
    assert f'<a href="{body.pages[language]}">' in page
    assert page.count(body.title[language]) == 2, "where it stands, and what has happened"
    assert "<textarea" not in page
    assert (await sent(aboard, f"{path}/words", text="More")).status_code == 409
    told = (await entries(aboard, name))[-1]
    assert (told["what"], told["body"]) == ("referred", "transport-complaints-board")


async def test_a_body_that_the_policy_does_not_list_any_more_is_told_without_its_name(
    aboard: Aboard,
):
    name, path = await link_of(aboard, language=Language.EN)
    await do(aboard, name, "refer", body="transport-complaints-board")
    policy = demo_policy().model_copy(update={"bodies": {}})
    published = PolicyPublished(site=policy.site, version=2, policy=policy)
    await aboard.feed("complaints", published.TOPIC, [record(published, 900)])
    page = (await opened(aboard, path)).text
    assert "An outside body looks at your case now" in page
    assert "transportklagenemnda" not in page


# ---- what the page says first --------------------------------------------------------------------


def in_order(page: str, *told: str) -> bool:
    """Whether a page says all of this, each behind the one before."""
    body = html.unescape(page.partition("<main>")[2])
    places = [body.find(one) for one in told]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_says_what_we_heard_by_when_who_has_it_what_was_given_and_what_to_do(
    aboard: Aboard, language: Language
):
    name, path = await link_of(aboard, language=language, text="Suppen var kold i kväll.")
    await do(aboard, name, "claim", "e-jonas")
    await aboard.give(name, "cinema", "k", again=True)
    await aboard.carry()
    kept = document(aboard, "complaints", f"complaint:{name}")
    when = format_time(
        datetime.fromisoformat(kept["promised_by"]), demo_policy().timezone, language
    )
    page = (await opened(aboard, path)).text
    told = ["Suppen var kold", say(language, "mine.standing.open", when=when)]
    told += [demo_policy().departments["housekeeping"].title[language]]
    told += [say(language, f"mine.{part}") for part in ("given.title", "given.show", "now")]
    assert in_order(page, *told, say(language, "mine.withdraw.title"))
    assert "e-jonas" not in page


@pytest.mark.parametrize("language", list(Language))
async def test_a_promise_that_was_broken_is_said_first_with_the_new_time_once_there_is_one(
    aboard: Aboard, language: Language
):
    name, path = await link_of(aboard, language=language)
    promised = document(aboard, "complaints", f"complaint:{name}")["promised_by"]

    def when(moment: str) -> str:
        return format_time(datetime.fromisoformat(moment), demo_policy().timezone, language)

    missed = say(language, "mine.missed", when=when(promised))
    assert missed not in (await opened(aboard, path)).text
    aboard.later(days=1)
    await aboard.ring("complaints")
    page = (await opened(aboard, path)).text
    owed = say(language, "mine.standing.owed", reference=reference_of(name))
    assert in_order(page, "</h1>", missed, "The soup was cold", owed)
    assert say(language, "mine.standing.unclaimed", when=when(promised)) not in page
    assert say(language, "mine.promised_for", when=when(promised)) in page
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed")
    await sent(aboard, f"{path}/helped", action="no")
    again = document(aboard, "complaints", f"complaint:{name}")["promised_by"]
    page = (await opened(aboard, path)).text
    assert in_order(page, missed, say(language, "mine.standing.open", when=when(again)))
    await do(aboard, name, "resolve", outcome="fixed")
    await sent(aboard, f"{path}/helped", action="yes", once="a-later-request")
    assert missed not in (await opened(aboard, path)).text, "it is over"


async def test_a_promise_that_was_kept_is_not_shown_once_its_time_is_over(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.EN)
    await do(aboard, name, "claim")
    await aboard.give(name, "cinema", "k", again=True)
    await aboard.carry()
    aboard.later(days=1)
    await aboard.ring("complaints")
    page = (await opened(aboard, path)).text
    assert say(Language.EN, "mine.standing.going") in page
    assert "did not keep" not in page


@pytest.mark.parametrize(("who", "shown"), [("e-sofia", "The restaurant"), ("e-lars", "One of us")])
async def test_who_has_it_is_a_department_and_nobody_by_name(aboard: Aboard, who: str, shown: str):
    name, path = await link_of(aboard, language=Language.EN)
    assert "<dd>All of us, until one takes it on</dd>" in (await opened(aboard, path)).text
    await do(aboard, name, "claim", who)
    page = (await opened(aboard, path)).text
    assert (f"<dd>{shown}</dd>" in page, who in page) == (True, False)


async def test_who_has_a_merged_complaint_is_said_in_the_language_of_each_customer(aboard: Aboard):
    first, _ = await link_of(aboard, language=Language.NB)
    second, path = await link_of(
        aboard, language=Language.DA, offset=1, contact={"email": "ola@example.org"}
    )
    await do(aboard, first, "claim", "e-jonas")
    assert (await do(aboard, second, "merge", "e-jonas", into=first)).status_code == 200
    assert "<dd>Rengøring</dd>" in (await opened(aboard, path)).text


async def test_the_page_leads_to_the_code_of_what_was_given_as_long_as_it_can_be_used(
    aboard: Aboard,
):
    name, path = await link_of(aboard, language=Language.EN)
    await do(aboard, name, "claim")
    check = (await aboard.give(name, "cinema", "k", again=True)).json()
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert check["code"] not in page
    (link,) = re.findall(r'href="(http[^"]+/f/[^"]+)"', page)
    async with aboard.http("notifier", "") as phone:
        answer = await phone.get(urlsplit(link).path, headers=BROWSER)
    assert (answer.status_code, check["code"] in answer.text) == (200, True)
    voided = await aboard.post(f"checks/{check['check_id']}/void", "v")
    assert voided.status_code == 200
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert "/f/" not in page
    assert in_order(page, "What you were given", "What you were given was withdrawn", "now")


@pytest.mark.parametrize(
    ("done", "told"),
    [({"en": "We cooked it again"}, "We cooked it again"), (None, "Cook it again")],
)
def test_a_fix_that_was_done_is_told_as_done_and_not_as_a_command(done: Any, told: str):
    policy = demo_policy()
    fix = policy.fixes["cook-again"].model_copy(update={"done": done})
    policy = policy.model_copy(update={"fixes": {"cook-again": fix}})
    entry = Entry(at=START, what=What.FIX_DONE, fix="cook-again")
    one = print_entry(entry, "", policy, Language.EN)
    assert told_of(one, Language.EN)[1:] == ("We saw to it", told)


async def test_the_page_opens_an_apology_which_nobody_has_to_use(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.EN)
    assert (await aboard.give(name, "sincere-words", "k", again=True)).status_code == 201
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert in_order(page, "What you were given", "Open it")
    assert "Show how to use it" not in page


async def test_the_page_says_that_it_helped_partly_where_the_customer_said_so(aboard: Aboard):
    name, path = await link_of(aboard, language=Language.EN)
    check = (await aboard.give(name, "cinema", "k", again=True)).json()
    await aboard.carry()
    async with aboard.http("notifier", "") as phone:
        answer = await phone.post(f"{urlsplit(check['link']).path}/partly", headers=BROWSER)
    assert answer.status_code == 303
    await aboard.carry()
    page = (await opened(aboard, path)).text
    assert in_order(page, "You said that it helped partly", "we are on it again")


async def test_what_was_written_stays_in_a_field_that_is_marked_as_wrong(aboard: Aboard):
    _, path = await link_of(aboard)
    assert 'aria-invalid="true"' not in (await opened(aboard, path)).text
    page = (await sent(aboard, f"{path}/words", text="x" * 2001)).text
    field = re.search(r"<textarea[^>]*>x{2001}<", page)
    assert field is not None
    assert 'aria-invalid="true" aria-describedby="why-text"' in field[0]
    assert 'id="why-text"' in page


BY, LATER = START + timedelta(hours=1), START + timedelta(hours=2)


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, LATER, BY),
        ({"state": State.CONFIRMED}, LATER, None),
        ({"promises": (Promise(0, BY),)}, LATER, None),
        ({"promises": (Promise(0, BY, broken=True), Promise(1, LATER))}, LATER, BY),
    ],
)
def test_the_last_broken_promise_is_said_while_the_complaint_is_not_over(changes, now, expected):
    broken = {"state": State.CLAIMED, "promises": (Promise(0, BY, broken=True),), **changes}
    one = STANDING.model_copy(update=broken)
    assert missed(one, one, now) == expected


@pytest.mark.parametrize(("now", "expected"), [(BY, None), (LATER, LATER)])
def test_what_was_broken_to_another_customer_is_not_broken_to_one_who_was_promised_later(
    now, expected
):
    head = STANDING.model_copy(update={"promises": (Promise(0, BY, broken=True),)})
    own = {"state": State.MERGED, "merged_into": "co-head", "promised_by": LATER}
    assert missed(STANDING.model_copy(update=own), head, now) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([What.CHECK_GIVEN], None),
        ([What.CHECK_GIVEN, What.CHECK_REDEEMED], None),
        ([What.CHECK_SUSPENDED], What.CHECK_SUSPENDED),
        ([What.CHECK_SUSPENDED, What.CHECK_RESUMED], None),
        ([What.CHECK_SUSPENDED, What.CHECK_VOIDED], What.CHECK_VOIDED),
        ([What.CHECK_REDEEMED, What.CHECK_EXPIRED], What.CHECK_EXPIRED),
    ],
)
def test_a_check_is_unusable_by_what_happened_to_it_last(steps, expected):
    assert unusable(steps) is expected


def test_long_words_are_shortened_at_the_end_of_a_word():
    short = "word " * 56
    assert shortened(short) == short
    long = shortened("word " * 57)
    assert (long.endswith("word …"), len(long) <= HEARD_CHARS_MAX + 2) == (True, True)
    assert len(shortened("x" * 20_000)) == HEARD_CHARS_MAX + 2


# ---- did it help? --------------------------------------------------------------------------------


async def resolved(aboard: Aboard, outcome: str = "fixed", **told: Any) -> tuple[str, str]:
    """A complaint for which something was done, and the path of its page."""
    name, path = await link_of(aboard, **told)
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome=outcome)
    return name, path


def once_in(page: httpx.Response) -> str:
    (once,) = set(re.findall(r'name="once" value="([^"]+)"', page.text))
    return str(once)


@pytest.mark.parametrize("language", list(Language))
async def test_once_something_was_done_the_page_asks_until_when_it_may_be_said_whether_it_helped(
    aboard: Aboard, language: Language
):
    name, path = await resolved(aboard, language=language)
    page = (await opened(aboard, path)).text
    kept = document(aboard, "complaints", f"complaint:{name}")
    assert say(language, "check.ask") in page
    assert f"{path}/helped" in page
    assert f"{path}/words" not in page
    until = format_time(datetime.fromisoformat(kept["closes_at"]), "Europe/Oslo", language)
    assert until in page
    aboard.later(days=30)
    assert until not in (await opened(aboard, path)).text, "its time is over"
    await aboard.ring("complaints")
    late = (await opened(aboard, path)).text
    assert document(aboard, "complaints", f"complaint:{name}")["state"] == "closed_no_response"
    assert say(language, "mine.standing.closed") in late
    assert f"{path}/helped" in late


async def test_a_no_with_a_line_opens_the_complaint_again_once(aboard: Aboard):
    name, path = await resolved(aboard)
    once = once_in(await opened(aboard, path))
    for _ in range(2):
        answer = await sent(
            aboard, f"{path}/helped", action="no", text="It is loud again.", once=once
        )
        assert (answer.status_code, answer.headers["location"]) == (303, path)
    told = await entries(aboard, name)
    said = [one for one in told if one["what"] in {"words_added", "reopened"}]
    assert [one["what"] for one in said] == ["words_added", "reopened"]
    assert said[0]["text"] == "It is loud again."
    kept = document(aboard, "complaints", f"complaint:{name}")
    assert (kept["state"], kept["round"], kept["employee_id"]) == ("reopened", 1, "e-ingrid")
    page = (await opened(aboard, path)).text
    assert (f"{path}/words" in page, f"{path}/helped" in page) == (True, False)


async def test_a_yes_confirms_and_keeps_the_promise(aboard: Aboard):
    name, path = await resolved(aboard)
    assert (await sent(aboard, f"{path}/helped", action="yes", text=" ")).status_code == 303
    kept = document(aboard, "complaints", f"complaint:{name}")
    assert kept["state"] == "confirmed"
    assert "words_added" not in [one["what"] for one in await entries(aboard, name)]
    aboard.later(days=2)
    await aboard.ring("complaints")
    assert "promise_broken" not in [one["what"] for one in await entries(aboard, name)]
    late = await sent(aboard, f"{path}/helped", action="no", text="No <more>", once="another-time")
    assert (late.status_code, "No &lt;more&gt;" in late.text) == (409, True)


async def test_words_alone_are_not_taken_where_nobody_reads_them_and_stay_on_the_page(
    aboard: Aboard,
):
    name, path = await resolved(aboard)
    page = await sent(aboard, f"{path}/words", text="It did not help at all")
    assert page.status_code == 409
    assert re.search(r"<textarea[^>]*>It did not help at all</textarea>", page.text)
    assert f"{path}/helped" in page.text
    assert "words_added" not in [one["what"] for one in await entries(aboard, name)]


async def test_nobody_is_asked_whether_it_helped_before_something_was_done(aboard: Aboard):
    _, path = await link_of(aboard)
    assert f"{path}/helped" not in (await opened(aboard, path)).text
    assert (await sent(aboard, f"{path}/helped", action="yes")).status_code == 409


async def test_a_no_takes_a_line_only_as_long_as_words_fit_in_a_day(aboard: Aboard):
    name, path = await link_of(aboard)
    for number in range(WORDS_MAX):
        await sent(aboard, f"{path}/words", text=f"{number}")
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed")
    page = await sent(aboard, f"{path}/helped", action="no", text="One more")
    assert (page.status_code, "One more" in page.text) == (429, True)
    assert (await sent(aboard, f"{path}/helped", action="no")).status_code == 303


# ---- what the page says --------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_other_words_under_the_same_request_stay_on_the_page_and_can_be_sent_again(
    aboard: Aboard, language: Language
):
    name, path = await link_of(aboard, language=language)
    once = once_in(await opened(aboard, path))
    await sent(aboard, f"{path}/words", text="First", once=once)
    page = await sent(aboard, f"{path}/words", text="Second", once=once)
    assert page.status_code == 422
    assert say(language, "mine.fault.sent_before") in page.text
    assert re.search(r"<textarea[^>]*>Second</textarea>", page.text)
    again = await sent(aboard, f"{path}/words", text="Second", once=once_in(page))
    assert again.status_code == 303
    told = [one["text"] for one in await entries(aboard, name) if one["what"] == "words_added"]
    assert sorted(told) == ["First", "Second"]


@pytest.mark.parametrize(("said", "other"), [("no", "yes"), ("yes", "no")])
async def test_who_answered_on_the_page_is_not_asked_again_by_an_older_letter(
    aboard: Aboard, said: str, other: str
):
    name, path = await link_of(aboard)
    await aboard.give(name, "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    checks = [one for one in aboard.postbox.letters if "/f/" in one.body]
    (link,) = [word for word in checks[-1].body.split() if "/f/" in word]
    check = urlsplit(link).path
    await do(aboard, name, "resolve", outcome="fixed")
    await sent(aboard, f"{path}/helped", action=said)
    await aboard.carry()
    aboard.later(seconds=3)
    async with aboard.http("notifier", "") as phone:
        asked = f'action="{check}/yes"'
        assert asked not in (await phone.get(check)).text
        refused = await phone.post(f"{check}/{other}")
        assert (refused.status_code, refused.json()["type"]) == (409, Reason.ALREADY_ANSWERED)
        assert (await phone.post(f"{check}/{said}")).status_code == 200
        seen = await phone.post(f"{check}/{other}", headers=BROWSER)
        assert (seen.status_code, asked in seen.text) == (409, False)
    assert "feedback.received" not in await aboard.types("notifier")
    await aboard.give(name, "dinner-for-two", "k2", again=True)
    await aboard.carry()
    async with aboard.http("notifier", "") as phone:
        assert asked in (await phone.get(check)).text, "something was given since"
        assert (await phone.post(f"{check}/{other}")).status_code == 200


async def test_an_answer_on_the_page_is_asked_for_again_once_a_fix_was_done_since(aboard: Aboard):
    name, path = await link_of(aboard)
    await aboard.give(name, "cinema", "k")
    await aboard.carry()
    await aboard.ring()
    (link,) = [word for one in aboard.postbox.letters for word in one.body.split() if "/f/" in word]
    await do(aboard, name, "resolve", outcome="fixed")
    await sent(aboard, f"{path}/helped", action="no")
    await aboard.carry()
    assert (await do(aboard, name, "fix", fix="bring-fan")).status_code == 200
    await aboard.carry()
    async with aboard.http("notifier", "") as phone:
        assert (await phone.post(f"{urlsplit(link).path}/yes")).status_code == 200


@pytest.mark.parametrize("part", ["helped", "code"])
async def test_an_unknown_button_is_said_on_the_page(aboard: Aboard, part: str):
    _, path = await resolved(aboard, language=Language.EN)
    page = await sent(aboard, f"{path}/{part}", action="everything", text="Hm")
    # The form for a code has no text that could be kept.
    assert (page.status_code, "Hm</textarea>" in page.text) == (422, part == "helped")
    assert say(Language.EN, "mine.fault.button") in page.text


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_says_we_are_on_it_once_somebody_is(aboard: Aboard, language: Language):
    name, path = await link_of(aboard, language=language)
    on_it = say(language, "mine.standing.open", when="§").partition("§")[0]
    assert on_it not in (await opened(aboard, path)).text
    await do(aboard, name, "claim")
    assert on_it in (await opened(aboard, path)).text


@pytest.mark.parametrize("language", list(Language))
async def test_where_nothing_could_be_done_the_page_does_not_say_that_something_was(
    aboard: Aboard, language: Language
):
    _, path = await resolved(aboard, "not_possible", language=language)
    page = (await opened(aboard, path)).text
    assert say(language, "mine.resolved.not_possible") in page
    assert say(language, "mine.outcome.not_possible") in page
    assert say(language, "mine.resolved.fixed") not in page


async def test_other_digits_under_the_same_request_are_said_on_the_page_of_the_code(aboard: Aboard):
    _, path = await link_of(aboard)
    await sent(aboard, f"{path}/code", action="export")
    code = await code_of(aboard)
    for digits, status in (("000", 409), (code, 422)):
        page = await sent(aboard, f"{path}/confirm", code=digits, once="one-request")
        assert (page.status_code, 'href="#code"' in page.text) == (status, True)
    again = await sent(aboard, f"{path}/confirm", code=code, once=once_in(page))
    assert again.status_code == 200


# ---- one-time codes ------------------------------------------------------------------------------


async def test_an_export_needs_the_code_that_was_sent_to_the_known_contact(aboard: Aboard):
    _, path = await link_of(aboard)
    answer = await sent(aboard, f"{path}/code", action="export")
    assert answer.headers["location"] == f"{path}/code"
    code = await code_of(aboard)
    assert 'autocomplete="one-time-code"' in (await opened(aboard, f"{path}/code")).text
    for service in ("complaints", "notifier"):
        assert code not in repr(aboard.stores[service].kept)
    wrong = await sent(aboard, f"{path}/confirm", code=f"{(int(code) + 1) % 10**6:06}")
    assert (wrong.status_code, "The soup was cold" in wrong.text) == (409, False)
    page = await sent(aboard, f"{path}/confirm", code=f"{code[:3]} {code[3:]}")
    assert page.status_code == 200
    assert "The soup was cold" in page.text
    assert "kari@example.org" in page.text
    again = await sent(aboard, f"{path}/confirm", code=code, once="another-request")
    assert (again.status_code, "kari@example.org" in again.text) == (409, False)


@pytest.mark.parametrize(
    "contact, by",
    [
        ({"email": "kari@example.org"}, "email"),
        ({"phone": "+4791234567"}, "sms"),
        ({"email": "kari@example.org", "phone": "+4791234567"}, "either"),
    ],
)
async def test_the_pages_name_the_channel_that_the_code_goes_by(
    tmp_path: Path, contact: dict[str, str], by: str
):
    """Whoever gave a number alone has no e-mail address that could be changed, and may add one."""
    policy = demo_policy()
    channels = (MessageChannel.EMAIL, MessageChannel.SMS)
    notify = policy.notify.model_copy(update={"channels": channels, "calling_code": "47"})
    aboard = await Aboard(tmp_path, policy.model_copy(update={"notify": notify})).begin()
    _, path = await link_of(aboard, contact=contact)
    mine = (await opened(aboard, path)).text
    assert say(Language.EN, f"mine.data.why.{by}") in mine
    assert (say(Language.EN, "mine.data.contact_new") in mine) is (by == "sms")
    assert (say(Language.EN, "mine.data.contact") in mine) is (by != "sms")
    await sent(aboard, f"{path}/code", action="export")
    page = (await opened(aboard, f"{path}/code")).text
    assert say(Language.EN, f"mine.code.sent.{by}") in page


async def test_a_site_that_writes_no_mail_asks_for_no_mail_address(tmp_path: Path):
    policy = demo_policy()
    by_text = {"channels": (MessageChannel.SMS,), "calling_code": "47"}
    notify = policy.notify.model_copy(update=by_text)
    aboard = await Aboard(tmp_path, policy.model_copy(update={"notify": notify})).begin()
    _, path = await link_of(aboard, contact={"phone": "+4791234567"})
    page = (await opened(aboard, path)).text
    assert 'value="export"' in page
    assert 'value="contact"' not in page


async def test_a_form_that_is_sent_again_opens_nothing_once_its_code_is_over(aboard: Aboard):
    _, path = await link_of(aboard)
    await sent(aboard, f"{path}/code", action="export")
    form = {"code": await code_of(aboard), "once": "one-request"}
    for _ in range(2):
        assert "kari@" in (await sent(aboard, f"{path}/confirm", **form)).text
    aboard.clock.advance(VALID_FOR)
    late = await sent(aboard, f"{path}/confirm", **form)
    assert (late.status_code, "kari@" in late.text) == (409, False)


@pytest.mark.parametrize("language", list(Language))
async def test_an_export_has_every_word_that_was_said_since_with_its_moment(
    aboard: Aboard, language: Language
):
    leaves = "2026-06-07T08:00:00Z"
    complaint, link = await link_of(
        aboard, language=language, place="Cabin 7", stay_ends_at=leaves, text="Cold soup."
    )
    said = {
        "asked": f"Which soup? {ATTACK}",
        "answered": f"The red one. {ATTACK}",
        "words_added": f"And the bread. {ATTACK}",
        "resolved": f"A new pot. {ATTACK}",
    }
    moments = []
    for what, text in said.items():
        aboard.later(minutes=1)
        moments.append(aboard.clock())
        if what == "asked":
            answer = await do(aboard, complaint, "ask", question=text)
        elif what == "resolved":
            await do(aboard, complaint, "fix", fix="cook-again")
            answer = await do(aboard, complaint, "resolve", outcome="fixed", note=text)
        else:
            answer = await sent(aboard, f"{link}/words", text=text, once=f"request-{what}")
        assert answer.status_code < 400, answer.text
    ref = await ref_of(aboard, complaint)
    (one,) = (await exported(aboard, ref))["complaints"]
    assert (one["place"], one["stay_ends_at"], one["left_out"]) == ("Cabin 7", leaves, 0)
    assert one["reference"] == reference_of(complaint)
    spoken = [entry for entry in one["happened"] if "text" in entry]
    assert {entry["what"]: entry["text"] for entry in spoken} == said
    assert [datetime.fromisoformat(entry["at"]) for entry in spoken] == moments
    page = (await ask_export(aboard, f"{ref}/export.html")).text
    zone, fix = demo_policy().timezone, (demo_policy().fixes["cook-again"].done or {})[language]
    left = format_time(datetime.fromisoformat(leaves), zone, language)
    for shown in (*(text.partition(" <")[0] for text in said.values()), "Cabin 7", fix, left):
        assert shown in page, shown
    for title in ("what.asked", "what.answered", "what.words_added", "resolved.fixed"):
        assert say(language, f"mine.{title}") in page
    assert "<script" not in page
    for hidden in ("e-ingrid", complaint, ref):
        assert hidden not in page, hidden


async def test_an_export_is_data_for_who_asks_for_data(aboard: Aboard):
    name, path = await link_of(aboard)
    await sent(aboard, f"{path}/code", action="export")
    answer = await sent(aboard, f"{path}/confirm", "application/json", code=await code_of(aboard))
    assert [one["complaint_id"] for one in answer.json()["complaints"]] == [name]


async def test_a_code_is_taken_for_ten_minutes_and_five_tries(aboard: Aboard):
    _, path = await link_of(aboard)
    await sent(aboard, f"{path}/code", action="export")
    code = await code_of(aboard)
    for number in range(TRIES_MAX):
        wrong = f"{(int(code) + 1 + number) % 10**6:06}"
        assert (await sent(aboard, f"{path}/confirm", code=wrong)).status_code == 409
    assert (await sent(aboard, f"{path}/confirm", code=code)).status_code == 409
    await sent(aboard, f"{path}/code", action="export", once="second-request")
    late = await code_of(aboard)
    aboard.clock.advance(VALID_FOR)
    assert (await sent(aboard, f"{path}/confirm", code=late)).status_code == 409
    assert "one-time-code" not in (await opened(aboard, f"{path}/code")).text


async def test_so_many_codes_are_sent_a_day(aboard: Aboard):
    _, path = await link_of(aboard)
    for number in range(CODES_MAX):
        answer = await sent(aboard, f"{path}/code", action="export", once=f"request-{number}")
        assert answer.status_code == 303
    assert (await sent(aboard, f"{path}/code", action="export", once="one-more")).status_code == 429
    assert (await sent(aboard, f"{path}/code", action="everything")).status_code == 422


async def test_a_customer_erases_themselves_and_the_link_opens_nothing_more(aboard: Aboard):
    name, path = await link_of(aboard)
    ref = await ref_of(aboard, name)
    await sent(aboard, f"{path}/code", action="erasure")
    code = await code_of(aboard)
    page = await sent(aboard, f"{path}/confirm", code=code)
    assert (page.status_code, "kari@example.org" in page.text) == (200, False)
    await aboard.carry()
    assert document(aboard, "complaints", f"key:{ref}") == {"wrapped": []}
    (erased,) = [one for one in await aboard.facts("complaints") if "asked_by" in one]
    assert erased["asked_by"] == "customer"
    assert (await opened(aboard, path)).status_code == 404


async def test_a_new_address_needs_the_code_that_was_sent_to_the_one_before(aboard: Aboard):
    name, path = await link_of(aboard)
    await do(aboard, name, "claim")
    await sent(aboard, f"{path}/code", action="contact")
    code = await code_of(aboard)
    assert aboard.postbox.letters[-1].recipient == "kari@example.org"
    assert 'type="email"' in (await opened(aboard, f"{path}/code")).text
    amiss = await sent(aboard, f"{path}/confirm", code=code, email="nowhere")
    assert (amiss.status_code, 'href="#email"' in amiss.text) == (422, True)
    assert 'value="nowhere"' in amiss.text
    answer = await sent(aboard, f"{path}/confirm", code=code, email=" new@example.org ")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = (await opened(aboard, path)).text
    assert "n…@example.org" in page
    assert "new@example.org" not in page
    aboard.clock.advance(VALID_FOR)
    assert "n…@example.org" not in (await opened(aboard, path)).text
    await aboard.carry()
    await aboard.ring()
    warning = aboard.postbox.letters[-1]
    assert warning.recipient == "kari@example.org"
    assert reference_of(name) in warning.subject
    assert ("new@example.org" in warning.body, "/m/" in warning.body) == (False, False)
    await aboard.give(name, "cinema", "k", again=True)
    await aboard.carry()
    await aboard.ring()
    assert aboard.postbox.letters[-1].recipient == "new@example.org"
    assert "contact_changed" in [one["what"] for one in await entries(aboard, name)]
    for service in ("complaints", "notifier"):
        assert "new@example.org" not in repr(aboard.stores[service].kept)


async def test_of_two_changes_of_address_within_minutes_each_owner_is_told_of_theirs(
    aboard: Aboard,
):
    """Also where the first letter waits for the mail server, until the address changed again."""
    _, path = await link_of(aboard)
    for once, address in (("a" * 32, "new@example.org"), ("b" * 32, "newer@example.org")):
        await sent(aboard, f"{path}/code", action="contact", once=once)
        code = await code_of(aboard)
        await sent(aboard, f"{path}/confirm", code=code, email=address, once=once)
        await aboard.carry()
        aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)]
        aboard.later(minutes=10)
    aboard.postbox.failures = []
    aboard.later(minutes=1)
    await aboard.ring()
    told = [one.recipient for one in aboard.postbox.letters[-2:]]
    assert sorted(told) == ["kari@example.org", "new@example.org"]
    assert not any(re.search(r"\b\d{6}\b", one.body) for one in aboard.postbox.letters[-2:])


async def test_an_erased_customers_link_is_invalid(aboard: Aboard):
    name, path = await link_of(aboard)
    await erase(aboard, await ref_of(aboard, name))
    assert (await opened(aboard, path)).status_code == 404
    assert (await sent(aboard, f"{path}/words", text="x")).status_code == 404


async def test_a_letter_that_comes_too_late_has_no_code_in_it(aboard: Aboard):
    _, path = await link_of(aboard)
    await sent(aboard, f"{path}/code", action="export")
    await aboard.carry()
    before = len(aboard.postbox.letters)
    aboard.clock.advance(VALID_FOR)
    await aboard.ring()
    assert len(aboard.postbox.letters) == before
    (failed,) = [one for one in await aboard.facts("notifier") if "failed_at" in one]
    assert (failed["occasion"], failed["reason"]) == ("confirmation", "code_wrong")


def test_a_new_code_takes_the_place_of_the_one_before():
    first = example(ConfirmationAsked)
    assert isinstance(first, ConfirmationAsked)
    second = first.model_copy(
        update={"confirmation_id": "cf-2", "code_hash": "0" * 64, "asked_at": START}
    )
    known = asked(asked(None, first), second)
    now = first.expires_at - timedelta(seconds=1)
    assert len(known.asked) == 2
    assert (
        type(enter_code(STANDING, "co-1", known, first.code_hash, now)).__name__
        == "ConfirmationFailed"
    )
    assert type(enter_code(STANDING, "co-1", known, "0" * 64, now)).__name__ == "ConfirmationGiven"


@pytest.mark.parametrize(
    ("failed", "given", "seconds", "is_open"),
    [
        (0, False, 0, True),
        (TRIES_MAX - 1, False, 0, True),
        (TRIES_MAX, False, 0, False),
        (0, True, 0, False),
        (0, False, 60, False),
    ],
)
def test_a_code_ends_by_its_use_its_tries_and_its_time(failed, given, seconds, is_open):
    known = Confirmation(
        confirmation_id="cf-1",
        action=Action.EXPORT,
        code_hash="0" * 64,
        expires_at=START + timedelta(seconds=60),
        failed=failed,
        given=given,
    )
    assert known.is_open(START + timedelta(seconds=seconds)) is is_open
