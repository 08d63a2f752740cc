"""Every state of every page that customers see, in a real browser: readable by everybody, usable with a thumb."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devstack.stack import Stack
from services.complaints.selfservice.rules import VALID_FOR
from shared.contracts.complaints import Language
from shared.runtime.privacy.links import FOLLOWED_FOR
from shared.runtime.words import say
from tests.browser.conftest import open_to_guests
from tests.browser.guest import Guest
from tests.suites.proxy import Proxy
from tests.suites.services import demo_policy
from tests.unit.test_asking import asked
from tests.unit.test_lifecycle import do
from tests.unit.test_pages import befall, given, offered, path_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("language", list(Language)),
]
TOLD = {
    "nb": "Suppen var kald, og ingen kom til bordet på en time.\nVi var fire, og barna frøs.",
    "sv": "Soppan var kall, och ingen kom till bordet på en timme.\nVi var fyra, och barnen frös.",
    "da": "Suppen var kold, og ingen kom til bordet i en time.\nVi var fire, og børnene frøs.",
    "en": "The soup was cold, and nobody came to the table for an hour.\nWe were four.",
}
ASKED = {
    "nb": "Hvilket bord satt dere ved?",
    "sv": "Vid vilket bord satt ni?",
    "da": "Hvilket bord sad I ved?",
    "en": "Which table did you sit at?",
}
MORE = {
    "nb": "Det var bordet ved døren.",
    "sv": "Det var bordet vid dörren.",
    "da": "Det var bordet ved døren.",
    "en": "It was the table by the door.",
}
DONE = {
    "nb": "Kjøkkenet har laget ny suppe, og kelneren har bedt om unnskyldning.",
    "sv": "Köket har lagat ny soppa, och servitören har bett om ursäkt.",
    "da": "Køkkenet har lavet ny suppe, og tjeneren har undskyldt.",
    "en": "The kitchen made new soup, and the waiter apologised.",
}


async def link_of(
    guest: Guest, language: Language, offset: int = 0, **told: Any
) -> tuple[str, str]:
    """A complaint of the guest, and the path of the link in the letter that says so."""
    told = {"text": TOLD[language], **told}
    name = await guest.aboard.raise_complaint(offset, language=language, **told)
    await guest.aboard.ring()
    await guest.aboard.carry()
    (url,) = [word for word in guest.aboard.postbox.letters[-1].body.split() if "/m/" in word]
    return name, urlsplit(url).path


async def code_of(guest: Guest) -> str:
    """The code in the latest letter."""
    await guest.aboard.carry()
    await guest.aboard.ring()
    found = [re.findall(r"\b\d{6}\b", one.body) for one in guest.aboard.postbox.letters]
    return str([codes for codes in found if codes][-1][0])


async def time_passes(guest: Guest, **by: float) -> None:
    """Let time pass, and everything happen that waits for it."""
    guest.aboard.later(**by)
    await guest.aboard.ring("complaints")
    await guest.aboard.carry()


async def test_a_complaint_from_its_first_moment_until_it_helped(guest: Guest, language: Language):
    aboard = guest.aboard
    name, path = await link_of(guest, language)
    page = await guest.opens(path)
    await guest.sees("promised", page)
    await guest.phone.fill("#text", " \n ")
    page = await guest.presses(say(language, "mine.words.send"))
    await guest.sees("empty-words", page, 422)
    await guest.phone.fill("#text", MORE[language])
    page = await guest.presses(say(language, "mine.words.send"))
    assert MORE[language] in await guest.text()
    aboard.later(minutes=2)
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question=ASKED[language])
    page = await guest.opens(path)
    assert ASKED[language] in await guest.text()
    await guest.sees("asked", page)
    await guest.phone.fill("#text", MORE[language])
    page = await guest.presses(say(language, "mine.words.send"))
    await guest.sees("claimed", page)
    aboard.later(minutes=2)
    await aboard.give(name, "cinema", "k", again=True)
    await aboard.carry()
    await do(aboard, name, "resolve", outcome="fixed", note=DONE[language])
    page = await guest.opens(path)
    await guest.sees("resolved", page)
    await guest.phone.fill("#text", MORE[language])
    page = await guest.presses(say(language, "check.no"))
    await guest.sees("reopened", page)
    aboard.later(minutes=2)
    await do(aboard, name, "resolve", outcome="explained")
    await guest.opens(path)
    page = await guest.presses(say(language, "check.yes"))
    await guest.sees("confirmed", page)


async def test_a_complaint_that_ends_otherwise(guest: Guest, language: Language):
    aboard = guest.aboard
    _, path = await link_of(guest, language)
    await guest.opens(path)
    await guest.phone.fill("#text", MORE[language])
    behind = await guest.phone.context.new_page()
    await behind.goto(guest.base + path)
    await behind.locator("summary").filter(has_text=say(language, "mine.withdraw.title")).click()
    await behind.locator("button").filter(has_text=say(language, "mine.withdraw.do")).click()
    await behind.wait_for_load_state()
    await behind.close()
    page = await guest.presses(say(language, "mine.words.send"))
    assert MORE[language] in await guest.text()
    await guest.sees("open-again", page)
    await aboard.carry()
    await aboard.ring()
    name, path = await link_of(guest, language, 2, contact={"email": "ola@example.org"})
    await guest.opens(path)
    await guest.phone.fill("#text", MORE[language])
    referred = await do(aboard, name, "refer", body="transport-complaints-board")
    assert referred.status_code == 200, referred.text
    page = await guest.presses(say(language, "mine.words.send"))
    assert MORE[language] in await guest.text()
    await guest.sees("too-late-words", page, 409)
    await guest.sees("referred", await guest.opens(path))
    name, path = await link_of(guest, language, 1)
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="not_possible")
    await time_passes(guest, days=30)
    await guest.sees("closed", await guest.opens(path))


async def test_a_promise_that_was_broken_is_said_first(guest: Guest, language: Language):
    aboard = guest.aboard
    name, path = await link_of(guest, language)
    await time_passes(guest, days=1)
    await guest.sees("overdue", await guest.opens(path))
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed", note=DONE[language])
    await guest.sees("resolved-late", await guest.opens(path))


async def test_a_complaint_that_is_merged(guest: Guest, language: Language):
    aboard = guest.aboard
    contact = {"email": "kari@example.org"}
    first, _ = await link_of(guest, language, contact=contact)
    second, path = await link_of(guest, language, 1, contact={"email": "ola@example.org"})
    merged = await do(aboard, second, "merge", into=first)
    assert merged.status_code == 200, merged.text
    await guest.sees("merged", await guest.opens(path))
    await guest.unfolds(say(language, "mine.data.title"))


async def test_codes(guest: Guest, language: Language):
    aboard = guest.aboard
    _, path = await link_of(guest, language)

    async def asks(action: str) -> Any:
        await guest.opens(path)
        await guest.unfolds(say(language, "mine.data.title"))
        return await guest.presses(say(language, f"mine.data.{action}"))

    await guest.sees("code-export", await asks("export"))
    code = await code_of(guest)
    await guest.phone.fill("#code", f"{(int(code) + 1) % 10**6:06}")
    page = await guest.presses(say(language, "mine.code.do"))
    await guest.sees("code-wrong", page, 409)
    await guest.phone.fill("#code", code)
    await guest.sees("export", await guest.presses(say(language, "mine.code.do")))
    await asks("contact")
    code = await code_of(guest)
    # As in a browser that does not look at addresses itself.
    await guest.phone.eval_on_selector("form:has(#email)", "form => { form.noValidate = true }")
    await guest.phone.fill("#email", "o,brien@example.org")
    await guest.phone.fill("#code", code)
    page = await guest.presses(say(language, "mine.code.do"))
    await guest.sees("email-wrong", page, 422)
    assert await guest.phone.input_value("#email") == "o,brien@example.org"
    await guest.phone.fill("#email", "new@example.org")
    await guest.phone.fill("#code", code)
    page = await guest.presses(say(language, "mine.code.do"))
    assert say(language, "mine.what.contact_changed") in await guest.text()
    await asks("export")
    code = await code_of(guest)
    aboard.clock.advance(VALID_FOR)
    await guest.phone.fill("#code", code)
    page = await guest.presses(say(language, "mine.code.do"))
    await guest.sees("code-over", page, 409)
    await guest.sees("code-erasure", await asks("erasure"))
    await guest.phone.fill("#code", await code_of(guest))
    await guest.sees("erased", await guest.presses(say(language, "mine.code.do")))
    await guest.sees("link-of-the-erased", await guest.opens(path), 404)


async def test_links_that_lead_nowhere(guest: Guest, language: Language):
    _, path = await link_of(guest, language)
    check = await given(guest.aboard, language=language)
    foreign = path_of(check["link"]).replace("/f/", "/m/")
    await guest.sees("link-foreign", await guest.opens(foreign), 404)
    guest.aboard.clock.advance(FOLLOWED_FOR + timedelta(seconds=1))
    await guest.sees("link-expired", await guest.opens(path), 404)


async def test_a_check(guest: Guest, language: Language):
    check = await given(guest.aboard, "taxfree-card/50000", language)
    path = path_of(check["link"])
    await guest.sees("check", await guest.opens(path))
    await guest.sees("check-no", await guest.presses(say(language, "check.no")))
    await guest.aboard.carry()
    page = await guest.presses(say(language, "check.look_again"))
    await guest.sees("check-promised", page)
    for step in ("use a part", "suspend", "resume", "void"):
        await befall(guest.aboard, check, step)
        await guest.aboard.carry()
        page = await guest.opens(path)
        if step != "resume":
            await guest.sees(f"check-{step.replace(' ', '-')}", page)


async def test_a_check_that_helped(guest: Guest, language: Language):
    check = await given(guest.aboard, "cinema", language, contact=None)
    page = await guest.opens(path_of(check["link"]))
    await guest.sees("check-unreachable", page)
    await guest.sees("check-yes", await guest.presses(say(language, "check.yes")))
    guest.aboard.later(days=30)
    await guest.sees("check-expired", await guest.opens(path_of(check["link"])))


async def test_an_offer(guest: Guest, language: Language):
    path = path_of((await offered(guest.aboard, language))["link"])
    await guest.sees("offer", await guest.opens(path))
    await guest.phone.locator("button").first.evaluate("one => one.value = 'gone'")
    page = await guest.presses("20")
    await guest.sees("offer-unknown", page, 422)
    page = await guest.presses("20")
    await guest.sees("offer-chosen", page)
    guest.aboard.later(days=30)
    await guest.sees("offer-expired", await guest.opens(path))


async def test_an_offer_that_is_over(guest: Guest, language: Language):
    path = path_of((await offered(guest.aboard, language))["link"])
    guest.aboard.later(days=3)
    await guest.sees("offer-over", await guest.opens(path))


async def test_a_word_about_safety_that_somebody_has_seen(
    browser: Any, stack: Stack, tmp_path: Path, language: Language
):
    """The page is in the first language of the site, for whoever reads the role mailbox."""
    policy = demo_policy()
    others = [one for one in policy.languages if one is not language]
    policy = policy.model_copy(update={"languages": (language, *others)})
    async with open_to_guests(stack.redis_url, browser, tmp_path, language, policy) as guest:
        await guest.aboard.raise_complaint(text="A nut allergy, an EpiPen.", contact=None)
        for _ in range(2):
            await guest.aboard.ring()
        path = urlsplit(guest.aboard.postbox.letters[-1].link).path
        await guest.sees("safety", await guest.opens(path))
        page = await guest.presses(say(language, "letter.safety.button"))
        await guest.sees("safety-seen", page)
        assert await guest.phone.locator("button").count() == 0


async def test_a_store_that_is_away(browser: Any, stack: Stack, tmp_path: Path, language: Language):
    proxy = Proxy(urlsplit(stack.redis_url).port or 0)
    async with proxy.serving() as port:
        url = urlsplit(stack.redis_url)._replace(netloc=f"127.0.0.1:{port}").geturl()
        async with open_to_guests(url, browser, tmp_path, language) as guest:
            _, path = await link_of(guest, language)
            proxy.leads_to = 1  # nobody listens there
            proxy.cut(b"")
            await guest.sees("away", await guest.opens(path), 503)


async def test_a_question_about_dinner_from_its_letter_to_the_promise(
    guest: Guest, language: Language
):
    aboard = guest.aboard
    path = await asked(aboard, language=language)
    page = await guest.opens(path)
    await guest.sees("question", page)
    page = await guest.presses(say(language, "asking.send"))
    await guest.sees("question-unanswered", page, 422)
    await guest.phone.locator('label:has(input[name="experience"][value="1"])').click()
    await guest.phone.locator('label:has(input[name="importance"][value="5"])').click()
    await guest.phone.fill("#text", TOLD[language])
    page = await guest.presses(say(language, "asking.send"))
    assert say(language, "asking.thanks") in await guest.text()
    await guest.sees("question-answered", page)


async def test_a_code_for_the_till_while_it_is_whole_used_in_part_and_withdrawn(
    guest: Guest, language: Language
):
    check = await given(guest.aboard, "taxfree-card/50000", language)
    await guest.opens(path_of(check["link"]))
    link = guest.phone.locator("a", has_text=say(language, "check.at_till"))
    path = path_of(await link.get_attribute("href") or "")
    await guest.sees("code", await guest.opens(path))
    assert check["code"] in await guest.text()
    box = await guest.phone.locator(".picture svg").bounding_box()
    assert box is not None
    assert box["width"] == box["height"] >= 200, "what a scanner reads at arm's length"
    for step, usable in (("use a part", True), ("void", False)):
        await befall(guest.aboard, check, step)
        await guest.sees(f"code-{step.split()[0]}", await guest.opens(path))
        assert (check["code"] in await guest.text()) is usable
