"""The phone app in a real browser, against the real services: three taps, no network, every screen for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shared.contracts.complaints import Language
from shared.runtime.words import say
from tests.browser.phone import STORED, WAITS, Employee

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def employee(built: None, browser: Browser, tmp_path: Path) -> AsyncIterator[Employee]:
    async with Employee.with_phone(browser, tmp_path) as one:
        yield one


async def three_taps(one: Employee) -> None:
    await one.chooses()
    await one.taps("Give now")


async def test_three_taps_lead_from_opening_to_the_code(employee: Employee) -> None:
    """The third request of a gift would be one too many on a slow line."""
    await employee.opens()
    employee.asked.clear()
    await three_taps(employee)
    await employee.page.locator("svg.qr").wait_for()
    (check,) = await employee.given()
    gift = [one for one in employee.asked if "authority" not in one.url]
    assert [(one.method, one.url.partition("/v1/")[2]) for one in gift] == [
        ("GET", "options?reason=food"),
        ("POST", "checks"),
    ]
    sizes = [await one.sizes() for one in gift]
    assert sum(one["responseBodySize"] + one["requestBodySize"] for one in sizes) <= 5 * 1024
    assert check["reason"] == "food"
    assert employee.said == []


async def test_the_second_opening_loads_nothing_of_the_app(employee: Employee) -> None:
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.context.set_offline(True)
    await employee.page.reload()
    await employee.sees("What happened?")


async def test_no_screen_says_what_a_check_costs_the_site(employee: Employee) -> None:
    """The guest looks on: dinner for two is worth 1,200 crowns and costs the site 480."""
    await employee.opens("what/food")
    await employee.page.locator("a.best").wait_for()
    text = await employee.page.locator("main").inner_text()
    assert "1,200" in text
    costs = {check.cost_minor for check in employee.aboard.policy.options()} - {
        check.value_minor for check in employee.aboard.policy.options()
    }
    assert costs
    assert [
        cost for cost in costs if f"{cost // 100:,} " in text or f" {cost // 100:,}" in text
    ] == []


async def test_what_is_given_without_a_network_is_a_draft_and_given_once_when_it_is_back(
    employee: Employee,
) -> None:
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.chooses()
    await employee.sees("Give now")
    await employee.context.set_offline(True)
    await employee.taps("Give now")
    await employee.sees(WAITS)
    assert await employee.given() == []
    await employee.page.reload()
    await employee.sees("1 draft is sealed until there is a network again.")
    await employee.context.set_offline(False)
    await employee.sees("Show")
    assert len(await employee.given()) == 1
    await employee.taps("Show")
    await employee.page.locator("svg.qr").wait_for()
    assert employee.said == []


async def test_an_answer_that_gets_lost_gives_nothing_twice(employee: Employee) -> None:
    await employee.opens()
    employee.front.lost = 1
    await three_taps(employee)
    await employee.sees(WAITS)
    assert len(await employee.given()) == 1
    await employee.taps("Send now")
    await employee.sees("Show")
    assert len(await employee.given()) == 1


async def test_a_draft_older_than_half_an_hour_is_asked_for_once_more(employee: Employee) -> None:
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.context.set_offline(True)
    await employee.keeps()
    await employee.later(minutes=31)
    await employee.context.set_offline(False)
    await employee.page.reload()
    await employee.sees("Does it still hold?")
    assert await employee.given() == []
    await employee.taps("Still give")
    await employee.page.locator("svg.qr").wait_for()
    assert len(await employee.given()) == 1


async def test_a_draft_of_yesterday_is_not_given(employee: Employee) -> None:
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.context.set_offline(True)
    await employee.keeps()
    await employee.later(hours=25)
    await employee.sees("You can sign in as soon as there is a network.")
    employee.front.sign_in("e-ingrid")
    await employee.context.set_offline(False)
    await employee.page.reload()
    await employee.sees("Too old, was not given")
    assert await employee.given() == []


async def test_a_check_that_was_taken_back_is_no_gift_in_the_drafts(employee: Employee) -> None:
    await employee.opens()
    for reason in ("Food and service", "Noise"):
        await employee.page.goto(f"{employee.base}/app/#/")
        await employee.chooses(reason)
        await employee.taps("Give now")
        await employee.page.locator("svg.qr").wait_for()
    await employee.taps("Take it back")
    await employee.page.locator("button.danger").click()
    await employee.page.locator("h1", has_text="Taken back").wait_for()
    await employee.page.goto(f"{employee.base}/app/#/drafts")
    drafts = employee.page.locator(".stands")
    await employee.sees("Taken back")
    assert await drafts.all_inner_texts() == ["Taken back", "Given"]
    await employee.looks("drafts-taken-back")
    first, _ = await employee.given()
    path = f"/v1/checks/{first['check_id']}/void"
    aboard = employee.aboard
    async with aboard.http("compensation", aboard.bearer("e-ingrid")) as elsewhere:
        answer = await elsewhere.post(path, json={}, headers={"Idempotency-Key": "elsewhere"})
    assert answer.status_code == HTTPStatus.OK, answer.text
    await employee.page.reload()
    await employee.page.locator(".taken_back").nth(1).wait_for()
    assert await drafts.all_inner_texts() == ["Taken back", "Taken back"]


async def test_what_one_service_answers_says_nothing_of_another(employee: Employee) -> None:
    await employee.opens()
    employee.front.down.add("compensation")
    await employee.taps("Food and service")
    await employee.page.locator(".standing .icon").wait_for()
    await employee.opens("cases")
    await employee.sees("No cases right now.")
    await employee.page.goto(f"{employee.base}/app/#/sheet/food/dinner-for-two")
    await employee.sees("Keep until you are online")
    employee.front.down = {"notifier", "complaints"}
    await employee.page.reload()
    await employee.sees("Give now")
    for screen in ("cases", "inbox"):
        await employee.opens(screen)
        await employee.sees("This needs a network.")
    assert await employee.page.locator(".standing .icon").count() == 0
    assert employee.said == []


async def test_a_draft_is_not_shown_to_another_employee_and_holds_no_words_in_clear(
    employee: Employee,
) -> None:
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.chooses()
    await employee.page.locator("#note").fill("canary-of-a-guest")
    await employee.context.set_offline(True)
    await employee.taps("Give now")
    await employee.sees(WAITS)
    kept = await employee.page.evaluate(STORED)
    assert kept["stores"] == {"drafts": 1}
    assert "canary" not in str(kept)
    assert '"d"' not in str(kept), "the half of the key that opens is not on the device"
    employee.front.signed_out = True
    await employee.context.set_offline(False)
    await employee.page.wait_for_url("**/sign-in?next=*")
    employee.front.sign_in("e-noor")
    await employee.opens("drafts")
    await employee.sees("Nothing waits.")
    assert await employee.given() == []
    employee.front.sign_in("e-ingrid")
    await employee.opens()
    await employee.page.reload()
    await employee.opens("drafts")
    await employee.sees("Show")
    assert len(await employee.given()) == 1


async def test_a_shared_device_locks_without_a_network_and_keeps_the_draft_for_its_employee(
    employee: Employee,
) -> None:
    employee.front.sign_in("e-ingrid", shared=True)
    await employee.opens()
    await employee.has_it_on_the_phone()
    await employee.context.set_offline(True)
    await employee.chooses()
    await employee.page.locator("#note").fill("canary-of-a-guest")
    await employee.later(minutes=14)
    await employee.taps("Keep until you are online")
    await employee.sees(WAITS)
    await employee.later(minutes=16)
    await employee.sees("You can sign in as soon as there is a network.")
    await employee.looks("locked")
    await employee.page.mouse.click(100, 100)
    await employee.page.reload()
    await employee.sees("You can sign in as soon as there is a network.")
    await employee.context.set_offline(False)
    await employee.page.wait_for_url("**/sign-in?next=*")
    employee.front.sign_in("e-noor", shared=True)
    await employee.opens("drafts")
    await employee.sees("Nothing waits.")
    employee.front.sign_in("e-ingrid", shared=True)
    await employee.page.reload()
    await employee.sees("Show")
    assert len(await employee.given()) == 1


async def test_a_draft_that_is_deleted_while_another_is_sent_is_not_given(
    employee: Employee,
) -> None:
    await employee.opens()
    await employee.context.set_offline(True)
    for reason in ("Food and service", "Noise"):
        await employee.page.evaluate("location.hash = '#/'")
        await employee.keeps(reason)
    employee.front.answers = asyncio.Event()
    async with employee.page.expect_request("**/v1/checks"):
        await employee.context.set_offline(False)
    await employee.page.get_by_role("button", name="Delete").first.click()
    await employee.page.locator("article").nth(1).wait_for(state="detached")
    employee.front.answers.set()
    await employee.sees("Show")
    assert [one["reason"] for one in await employee.given()] == ["food"]


async def test_what_was_typed_of_one_guest_is_not_sent_for_the_next(employee: Employee) -> None:
    await employee.opens()
    await employee.chooses()
    await employee.page.locator("#note").fill("They waited for an hour.")
    await employee.page.evaluate("location.hash = '#/'")
    await employee.chooses("Noise")
    assert await employee.page.locator("#note").input_value() == ""


async def test_what_is_given_for_a_complaint_is_shown_in_its_customer_s_language(
    employee: Employee,
) -> None:
    complaint = await employee.aboard.raise_complaint(
        text="Suppen var kald, og ingen kom.", language=Language.DA
    )
    await employee.opens(f"case/{complaint}")
    await employee.page.locator(".foot a").click()
    await employee.page.locator("a.best").click()
    await employee.taps("Give now")
    await employee.page.locator("section.ticket[lang=da]").wait_for()


async def test_an_offer_that_waits_for_the_guest_leads_to_its_case(employee: Employee) -> None:
    complaint = await employee.aboard.raise_complaint(text="The soup was cold.")
    await employee.opens(f"what/food/{complaint}")
    await employee.taps("Let the guest choose")
    for box in (await employee.page.locator("input[type=checkbox]").all())[:2]:
        await box.check()
    await employee.taps("Let the guest choose from 2")
    await employee.sees("The guest chooses")
    await employee.page.goto(f"{employee.base}/app/#/")
    await employee.sees("Waiting for the guest’s choice")
    await employee.looks("give-choices")
    (offer,) = [
        one
        for one in await employee.aboard.facts("compensation")
        if one["type"] == "recovery.offer.made.v1"
    ]
    await employee.taps("Choose by")
    await employee.sees("The soup was cold.")
    await employee.aboard.post(
        f"offers/{offer['offer_id']}/choice", "c", {"item": offer["options"][0]["item"]}
    )
    await employee.opens()
    await employee.page.reload()
    await employee.sees("What happened?")
    await employee.page.wait_for_load_state("networkidle")
    assert await employee.page.get_by_text("Waiting for the guest").count() == 0


async def test_of_many_options_five_are_shown_at_first(employee: Employee) -> None:
    await employee.opens("what/food")
    rows = employee.page.locator("a.best, a.row")
    await rows.nth(4).wait_for()
    assert await rows.count() == 5
    await employee.looks("what-first")
    await employee.taps("more")
    await rows.nth(6).wait_for()
    await employee.looks("what-all")


async def test_at_the_limit_what_fits_is_one_tap_away(employee: Employee) -> None:
    await employee.opens()
    for number in count():
        complaint = await employee.aboard.raise_complaint(
            number,
            customer=f"booking-{number}",
            contact=None,
            text=f"The soup was cold, table {number}.",
        )
        wish = await employee.aboard.give(complaint, "dinner-for-two", f"k{number}")
        if wish.status_code == HTTPStatus.CONFLICT:
            break
    before = len(await employee.given())
    await employee.page.goto(f"{employee.base}/app/#/sheet/food/dinner-for-two")
    await employee.taps("Give now")
    await employee.sees("These fit now")
    await employee.looks("limit")
    await employee.aboard.carry()
    await employee.page.get_by_role("button", name="Ask").click()
    await employee.page.get_by_role("button", name="Asked").wait_for()
    await employee.page.locator("button.row").first.click()
    await employee.page.locator("svg.qr").wait_for()
    assert len(await employee.given()) == before + 1


async def test_a_till_takes_a_part_and_puts_it_back(employee: Employee) -> None:
    """Whoever gave a check cannot redeem it; a colleague can."""
    complaint = await employee.aboard.raise_complaint()
    given = (await employee.aboard.give(complaint, "onboard-credit/50000", "k")).json()
    employee.front.employee = "e-lars"
    await employee.opens("redeem")
    await employee.page.get_by_label("Code").fill(given["code"])
    await employee.taps("Look it up")
    await employee.sees("Held for the guest")
    await employee.page.get_by_label("Amount in NOK").fill("120 crowns")
    assert await employee.page.get_by_role("button", name="Redeem now").is_disabled()
    await employee.page.get_by_label("Amount in NOK").fill("120,50")
    await employee.looks("redeem-held")
    await employee.taps("Redeem now")
    await employee.sees("Put it back")
    path = f"checks/{given['check_id']}"
    assert (await employee.aboard.get(path)).json()["left_minor"] == 379_50
    await employee.taps("Put it back")
    await employee.sees("Scan or type the guest’s code.")
    assert (await employee.aboard.get(path)).json()["left_minor"] == 500_00


@pytest.mark.parametrize("language", list(Language))
async def test_every_screen_is_for_everybody(
    built: None, browser: Browser, tmp_path: Path, language: Language
) -> None:
    async with Employee.with_phone(browser, tmp_path, language) as one:
        complaint = await one.aboard.raise_complaint(text="The soup was cold, and nobody came.")
        await one.opens()
        await one.looks("give", language)
        await one.taps(say(language, "category.food"))
        await one.page.locator("a.best").wait_for()
        await one.looks("what", language)
        await one.page.locator("a.best").click()
        await one.sees(say(language, "app.sheet.give"))
        await one.looks("sheet", language)
        await one.taps(say(language, "app.sheet.give"))
        await one.page.locator("svg.qr").wait_for()
        await one.looks("done", language)
        await one.opens(f"case/{complaint}")
        await one.sees(say(language, "app.case.timeline"))
        await one.taps(say(language, "app.case.claim"))
        await one.sees(say(language, "app.case.hand_over"))
        await one.looks("case", language)
        await one.opens(f"what/food/{complaint}")
        await one.taps(say(language, "app.what.let_them"))
        for box in (await one.page.locator("input[type=checkbox]").all())[:2]:
            await box.check()
        await one.taps(say(language, "app.what.let_choose", count=2))
        await one.sees(say(language, "app.offer.title"))
        await one.looks("offer", language)
        for screen in ("cases", "inbox", "me", "drafts", "redeem"):
            await one.opens(screen)
            await one.looks(screen, language)
