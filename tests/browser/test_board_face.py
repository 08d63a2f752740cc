"""The managers' board in a real browser, against the real services: it equals the measures, and says when it is old."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from services.audit.app import build
from services.audit.settings import Settings
from services.web.sessions.rules import IDLE
from shared.contracts.complaints import Language
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed, Listing
from shared.runtime.words import say
from shared.testing.builders import record
from shared.testing.clock import START
from tests.browser.guest import PHONE
from tests.browser.manager import Manager
from tests.browser.phone import Employee
from tests.suites.measured import fact
from tests.suites.services import SITE, demo_roster, settings_of_all
from tests.suites.signals import one_signal

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator

#: Moderate, which is promised an answer in two hours.
LOUD = "The noise from the engine was terrible all night."

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def manager(built: None, browser: Browser, tmp_path: Path) -> AsyncIterator[Manager]:
    async with Manager.at_a_screen(browser, tmp_path) as one:
        yield one


async def a_day(one: Manager) -> None:
    """Three guests complain: one is given something, one has waited too long, and one waits not much longer."""
    aboard, texts = one.aboard, ("The soup at dinner was cold.", LOUD, "Cold soup again!")
    first, _, _ = [
        await aboard.raise_complaint(number, customer=f"booking-{number}", text=text)
        for number, text in enumerate(texts)
    ]
    await one.later(minutes=8)
    await aboard.give(first, "dinner-for-two", "k")
    await one.later(hours=1, minutes=30)
    await aboard.ring("complaints")
    await aboard.carry()


async def test_the_board_equals_the_measures_and_ticks(manager: Manager) -> None:
    await manager.opens()
    await manager.shows("Given today", "0")
    await a_day(manager)
    await manager.shows("Given today", "1")
    found = await manager.board()
    shown = {(one["measure"], one["part"]): one for one in found["today"]}
    assert shown["checks_given", ""]["value"] == 1
    waited_s = shown["time_to_compensation", "p50"]["value"]
    await manager.shows("Time to first gift", f"{round(waited_s / 60)} mins")
    promises = found["promises"]
    assert [len(promises["soon"]), len(promises["broken"])] == [1, 1]
    await manager.shows("Promises at risk", "2")
    used = found["budget"]["used_minor"] // 100
    assert used
    await manager.sees(f"NOK {used:,} of NOK {found['budget']['granted_minor'] // 100:,}")
    assert manager.said == []


async def test_over_a_restart_of_audit_the_board_says_that_it_is_old_and_is_right_again(
    manager: Manager, tmp_path: Path
) -> None:
    await manager.opens()
    manager.front.goes_down("audit")
    await manager.page.locator(".pill", has_text="As of").wait_for()
    assert await manager.page.locator(".stale").count() == 1
    await manager.shows("Given today", "0")
    await a_day(manager)
    aboard = manager.aboard
    settings = Settings(**settings_of_all(tmp_path))
    aboard.apps["audit"] = build(settings, now=aboard.clock, store=aboard.stores["audit"])
    manager.front.down.clear()
    await manager.is_live()
    assert await manager.page.locator(".stale").count() == 0
    await manager.shows("Given today", "1")


async def test_a_line_that_is_silent_is_not_taken_for_live(manager: Manager) -> None:
    """A network that is gone breaks no connection: only that the service says nothing tells."""
    await manager.opens()
    manager.front.silent.add("audit")
    await manager.page.clock.fast_forward(20_000)
    assert await manager.page.locator(".stale").count() == 0
    await manager.page.clock.fast_forward(6_000)
    await manager.page.locator(".pill", has_text="As of").wait_for()
    manager.front.silent.clear()
    await manager.page.clock.fast_forward(26_000)
    await manager.is_live()


async def test_on_a_shared_device_a_board_that_nobody_uses_locks_although_it_asks_by_itself(
    manager: Manager,
) -> None:
    manager.front.sign_in("m-maria", shared=True)
    await manager.opens("why")
    await manager.later(minutes=10)
    await manager.scrolls()
    manager.asked.clear()
    async with manager.page.expect_request("**/measures?*"):
        await manager.later(minutes=10)
    await manager.sees("What goes wrong, and where on the journey")
    asked = [int((await one.all_headers())["idle-s"]) for one in manager.asked]
    assert max(asked) >= 10 * 60
    await manager.later(minutes=6)
    await manager.sees("Nobody has used the board for a while")
    await manager.looks("locked")
    manager.asked.clear()
    await manager.page.mouse.click(100, 100)
    await manager.later(minutes=5)
    assert manager.asked == [], "nothing goes on behind it"
    await manager.taps("Sign in")
    await manager.page.wait_for_url("**/sign-in?next=*")


async def test_a_session_that_the_server_has_ended_for_idling_locks_the_board(
    manager: Manager,
) -> None:
    """Whichever of the two notices it first."""
    manager.front.sign_in("m-maria", shared=True)
    await manager.opens()
    manager.front.signed_out = True
    await manager.page.clock.set_fixed_time(START + 2 * IDLE)
    manager.front.goes_down("audit")
    manager.front.down.clear()
    await manager.sees("Nobody has used the board for a while")


async def test_who_only_reads_a_live_board_keeps_the_session(manager: Manager) -> None:
    manager.front.sign_in("m-maria", shared=True)
    await manager.opens()
    await manager.later(minutes=2)
    async with manager.page.expect_request("**/session") as told:
        await manager.scrolls()
        await manager.later(seconds=15)
    assert int((await (await told.value).all_headers())["idle-s"]) < 60


async def test_an_employee_is_told_that_the_board_is_for_managers(
    built: None, browser: Browser, tmp_path: Path
) -> None:
    async with Employee.with_phone(browser, tmp_path) as one:
        await one.page.goto(f"{one.base}/board/")
        await one.sees("The board is for managers.")


async def test_the_table_of_causes_equals_the_measures(manager: Manager) -> None:
    await a_day(manager)
    await manager.opens("why")
    await manager.page.locator(".heat").wait_for()
    found = await manager.measures("complaints_by_step")
    shown = {}
    for row in await manager.page.locator(".heat tbody tr").all():
        title = await row.locator("th").inner_text()
        shown[title] = int(await row.locator("td.all").inner_text())
    of_category = Counter[str]()
    for part, amount in found.items():
        of_category[part.partition("/")[0]] += int(amount) if part else 0
    named = {say("en", f"category.{one}"): n for one, n in of_category.items() if one}
    assert shown == named
    assert sum(shown.values()) == found[""] == 3
    assert manager.said == []


async def test_the_hours_equal_the_measures(manager: Manager) -> None:
    await a_day(manager)
    await manager.opens("flow")
    await manager.page.locator(".chart canvas").wait_for()
    await manager.page.locator("summary").click()
    rows = await manager.page.locator(".table tbody tr").all()
    assert len(rows) == 48
    cells = [await cell.inner_text() for cell in await rows[1].locator("th, td").all()]
    at = START.astimezone(ZoneInfo(manager.aboard.policy.timezone))
    assert cells == [f"{at:%a %H}:00", "3", "1", "0"]
    for measure, amount in (("complaints_by_hour", 3), ("checks_by_hour", 1)):
        assert await manager.measures(measure) == {"": amount, f"{START:%H}": amount}
    assert manager.said == []


async def test_a_phone_shows_one_day_of_hours_and_all_views(manager: Manager) -> None:
    await a_day(manager)
    await manager.opens("flow")
    await manager.sees("The last 48 hours")
    await manager.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await manager.sees("The last 24 hours")
    assert await manager.page.locator(".table tbody tr").count() == 24
    seen = await manager.page.locator("nav a").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().right <= innerWidth).length"
    )
    assert seen == await manager.page.locator("nav a").count()


async def test_another_assumption_gives_another_return_and_the_service_says_which(
    manager: Manager,
) -> None:
    await a_day(manager)
    helped = fact("feedback.received", helped="yes")
    told = {"source": "/them", "sequence": f"{1:020}", "time": manager.aboard.clock().isoformat()}
    await manager.aboard.feed("audit", helped.TOPIC, [record(helped, 0, "e-1", **told)], 9)
    await manager.comes_back(days=1)
    await manager.opens("worth")
    for query, press in (("", "Shift"), ("handling_minor=0", "Home")):
        found = await manager.measures("recovery_roi", query, days=28)
        await manager.page.get_by_label(say("en", "board.worth.handling_minor")).press(press)
        shown = manager.page.locator(".tile .number", has_text=f"{round(found[''])}%")
        await shown.wait_for()
    assert manager.said == []


async def a_stretch(one: Manager) -> None:
    """Jonas gives a little more than he has, on a day on which all his colleagues give something."""
    aboard, staff = one.aboard, list(demo_roster().employees)
    about = [
        await aboard.raise_complaint(
            number, customer=f"booking-{number}", text=f"The soup was cold, table {number}."
        )
        for number in range(len(staff))
    ]
    for complaint, who in zip(about, staff, strict=True):
        for key, worth in enumerate([1000_00, 1000_00, 500_00] if who == "e-jonas" else [200_00]):
            given = await aboard.give(complaint, f"taxfree-card/{worth}", f"{who}-{key}", who)
            assert given.status_code == HTTPStatus.CREATED, given.text
    await aboard.carry()
    await one.comes_back(hours=18)


async def test_a_stretch_is_called_a_good_one(manager: Manager) -> None:
    await a_stretch(manager)
    await manager.opens("calls")
    await manager.page.get_by_role("button", name="Good call").click()
    await manager.sees("Praised")
    praised = [one for one in await manager.aboard.facts("compensation") if "praised_at" in one]
    assert [(one["employee_id"], one["by"]) for one in praised] == [("e-jonas", "m-maria")]
    assert manager.said == []


async def test_who_looks_at_a_person_says_first_what_for_and_the_person_sees_it(
    manager: Manager,
) -> None:
    await one_signal(manager.aboard)
    await manager.opens("signals")
    await manager.page.get_by_role("button", name="Look").click()
    assert await manager.page.locator(".look :invalid").count() == 1, "nothing is read without"
    await manager.page.locator(".look input").fill("a gift that its giver redeemed")
    await manager.page.get_by_role("button", name="Look").click()
    await manager.page.locator("h3", has_text="2026-06").wait_for()
    async with manager.aboard.http("audit", manager.aboard.bearer("e-jonas")) as asked:
        (look,) = (await asked.get("/v1/me/looks")).json()["looks"]
    assert look["purpose"] == "a gift that its giver redeemed"
    await manager.page.get_by_role("button", name="it is explained").click()
    await manager.page.get_by_role("button", name="it is explained").wait_for(state="detached")
    assert manager.said == []


#: What one employee of a role without a limit of its own may give at once.
ANY = "authority/roles/any/per_check"


def limit(one: Manager, name: str) -> Locator:
    """The number of a limit, by where it stands in the policy."""
    return one.page.locator(f'[id="{name}"]')


async def published(one: Manager) -> list[tuple[int, str, int]]:
    """What compensation published of the policy: version, by whom, and the limit of one gift."""
    return [
        (fact["version"], fact["by"], fact["policy"]["authority"]["roles"]["any"]["per_check"])
        for fact in await one.aboard.facts("compensation")
        if fact["type"] == PolicyPublished.TYPE
    ]


async def test_a_limit_is_tried_on_last_month_and_published_after_a_look(manager: Manager) -> None:
    aboard = manager.aboard
    mates = [f"e-mate-{number}" for number in range(6)]
    listed = [
        EmployeeListed(
            employee_id=name, site=SITE, listing=Listing(role="mate"), listed_at=aboard.clock()
        )
        for name in mates
    ]
    await aboard.feed(
        "compensation",
        EmployeeListed.TOPIC,
        [record(fact, 100 + number) for number, fact in enumerate(listed)],
    )
    wish = {"on_the_spot": {}, "item": "dinner-for-two", "reason": "food"}
    for name in mates:
        for number in range(2):
            given = await aboard.post("checks", f"{name}-{number}", wish, aboard.bearer(name))
            assert given.status_code == HTTPStatus.CREATED, given.text
    # For the services alone: a browser's clock that is set goes no further than 24 days.
    aboard.later(days=31)
    manager.front.sign_in("m-maria")
    await manager.opens("whatif")
    await manager.sees("Nothing is changed yet.")
    await limit(manager, ANY).fill("400")
    await manager.sees("Everybody else: One gift")
    await manager.taps("See last month decided again")
    row = manager.page.locator("tbody tr", has_text="Dinner for two")
    # Of 12 dinners for 480 each of six stretches to one; counts are to the nearest five.
    assert await row.locator("td").all_inner_texts() == [
        "10",
        "10 → 5",
        "0",
        "5",
        "NOK\xa04,800 → NOK\xa02,400",
        "one gift 5",
    ]
    await manager.looks("whatif-tried")
    assert await published(manager) == []
    await manager.taps("Publish as version 2")
    await manager.sees("Version 2 is published.")
    assert await published(manager) == [(2, "m-maria", 400_00)]
    assert await limit(manager, ANY).input_value() == "400"
    await manager.sees("Nothing is changed yet.")
    assert manager.said == []


async def test_a_version_that_came_between_is_shown_before_anything_is_published(
    manager: Manager,
) -> None:
    await manager.opens("whatif")
    await limit(manager, ANY).fill("900")
    aboard = manager.aboard
    async with aboard.http("compensation", aboard.bearer("m-2", "manager")) as colleague:
        read = await colleague.get("/v1/policy")
        theirs = read.json()["policy"]
        theirs["limits"]["complaint"]["total"] = 3000_00
        tag = {"If-Match": read.headers["etag"], "Idempotency-Key": "theirs"}
        answer = await colleague.put("/v1/policy", json={"policy": theirs}, headers=tag)
        assert answer.status_code == HTTPStatus.OK, answer.text
    await manager.taps("Publish as version 2")
    await manager.sees("Somebody published another version meanwhile.")
    assert await limit(manager, "limits/complaint/total").input_value() == "3000"
    assert await limit(manager, ANY).input_value() == "900"
    await manager.taps("Publish as version 3")
    await manager.sees("Version 3 is published.")
    assert await published(manager) == [(2, "m-2", 1500_00), (3, "m-maria", 900_00)]
    assert manager.said == []


async def test_a_number_outside_its_bounds_is_told_and_changes_nothing(manager: Manager) -> None:
    await manager.opens("whatif")
    await limit(manager, ANY).fill("0")
    await manager.sees("From NOK 0.01 to")
    assert await limit(manager, ANY).input_value() == "0", "it stands as it was typed"
    await limit(manager, ANY).fill("100000")
    await manager.taps("Publish as version 2")
    await manager.sees("Everybody else: One gift: this does not go with the other limits.")
    assert await published(manager) == []


async def test_a_manager_of_several_sites_sees_them_side_by_side_and_each_alone(
    built: None, browser: Browser, tmp_path: Path
) -> None:
    async with Manager.at_a_screen(browser, tmp_path) as one:
        other = one.aboard.policy.model_copy(
            update={"site": "ms-borealis", "site_name": "MS Borealis"}
        )
        head = PolicyPublished(site=other.site, version=1, policy=other)
        await one.aboard.feed("audit", PolicyPublished.TOPIC, [record(head, 1)])
        one.front.claims["sites"] = [other.site]
        await a_day(one)
        await one.opens("sites")
        rows = one.page.locator("tbody tr")
        assert await rows.count() == 2
        assert one.aboard.policy.site_name in await rows.first.inner_text(), "who waits is in front"
        await one.looks("sites")
        await one.page.get_by_role("link", name="MS Borealis").click()
        await one.is_live()
        await one.shows("Promises at risk", "0")
        await one.page.locator("header select").select_option(one.aboard.policy.site)
        await one.page.locator(".tile.alarm").wait_for()
        assert one.said == []


@pytest.mark.parametrize("language", list(Language))
async def test_every_view_is_for_everybody(
    built: None, browser: Browser, tmp_path: Path, language: Language
) -> None:
    async with Manager.at_a_screen(browser, tmp_path, language) as one:
        await one.opens()
        await one.looks("now-empty", language)
        await a_day(one)
        await one.sees(say(language, "category.noise"))
        await one.looks("now", language)
        await one_signal(one.aboard)
        for view in ("flow", "why", "worth", "calls", "signals"):
            await one.opens(view)
            await one.page.locator(".card").first.wait_for()
            await one.looks(view, language)
        await one.opens("whatif")
        await limit(one, ANY).fill("400")
        await one.page.locator(".acts").wait_for()
        await one.looks("whatif", language)
        await one.opens()
        one.front.goes_down("audit")
        await one.page.locator(".stale").wait_for()
        await one.looks("now-old", language)
