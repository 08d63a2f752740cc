"""The open form in a real browser: whoever reads the code on the wall can say what happened, without a script."""

from __future__ import annotations

import pytest

from shared.contracts.complaints import Category, Language
from shared.runtime.words import category_title, say
from tests.browser.guest import Guest
from tests.browser.test_pages import TOLD
from tests.suites.services import SITE

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("language", list(Language)),
]


async def test_a_form_from_the_code_on_the_wall_to_a_page_of_their_own(
    guest: Guest, language: Language
):
    page = await guest.opens(f"/c/{SITE}/sun-deck")
    await guest.sees("form-of-place", page)
    page = await guest.opens(f"/c/{SITE}")
    await guest.sees("form", page)
    await guest.phone.fill("#text", " \n ")
    await guest.phone.fill("#contact", "kim")
    food = category_title(Category.FOOD, language)
    await guest.phone.get_by_label(food, exact=True).check()
    page = await guest.presses(say(language, "form.send"))
    await guest.sees("form-amiss", page, 422)
    assert await guest.phone.locator("input[value=food]").is_checked()
    await guest.phone.fill("#text", TOLD[language])
    await guest.phone.fill("#contact", "")
    page = await guest.presses(say(language, "form.send"))
    await guest.sees("form-thanks", page)
    assert say(language, "form.thanks.unreachable") in await guest.text()
    page = await guest.presses(say(language, "form.thanks.follow"))
    await guest.sees("form-mine", page)
    assert TOLD[language].partition("\n")[0] in await guest.text()


async def test_the_form_in_another_language_and_for_a_site_that_is_not_there(
    guest: Guest, language: Language
):
    await guest.opens(f"/c/{SITE}")
    for other in Language:
        await guest.presses(say(other, "language"))
        assert say(other, "form.text") in await guest.text()
    await guest.presses(say(language, "language"))
    page = await guest.opens("/c/ms-nowhere")
    await guest.sees("form-nowhere", page, 404)


async def test_too_many_forms_are_told_when_to_go_on(guest: Guest, language: Language):
    for number in range(20):
        await guest.opens(f"/c/{SITE}")
        await guest.phone.fill("#text", f"{TOLD[language]} {number}")
        await guest.presses(say(language, "form.send"))
    await guest.opens(f"/c/{SITE}")
    await guest.phone.fill("#text", TOLD[language])
    page = await guest.presses(say(language, "form.send"))
    await guest.sees("form-later", page, 429)
    assert await guest.phone.locator("#text").input_value() == TOLD[language]
