"""Praise is passed on to those who were there, and whatever else is in the words makes them a complaint."""

from __future__ import annotations

import html
from datetime import UTC, datetime, time
from typing import Any

import pytest

from services.complaints.colleagues.rules import Member
from services.complaints.customer.export import Exports
from services.complaints.customer.profiles import Profiles
from services.complaints.intake.rules import praised_by
from services.complaints.triage.rules import is_praise
from shared.contracts.complaints import PRAISED_MAX, Intent, Language
from shared.contracts.policy import Policy
from shared.contracts.roster import Listing, Shift
from shared.runtime.words import say
from tests.suites.services import SITE, Aboard, demo_policy, forget_answers, triage
from tests.unit.test_erasure import erase
from tests.unit.test_inbox import inbox
from tests.unit.test_occasions import settled
from tests.unit.test_open_form import once_of, opened, raised, sent

PRAISE = "Thank you for a wonderful evening, the waiters were friendly!"
NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


async def praises(aboard: Aboard) -> list[dict[str, Any]]:
    return [
        fact
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.praise.received.v1"
    ]


async def raise_over_http(
    aboard: Aboard, text: str, bearer: str, key: str = "k1", **more: Any
) -> tuple[int, dict[str, Any]]:
    async with aboard.http("complaints", bearer) as phone:
        answer = await phone.post(
            "/v1/complaints",
            json={"site": SITE, "text": text, **more},
            headers={"Idempotency-Key": key},
        )
    found: dict[str, Any] = answer.json()
    return answer.status_code, found


# ---- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PRAISE, "en"),
        ("Tusen takk for en fantastisk tur, Kari i restauranten var så hyggelig og flink.", "nb"),
        ("Tack för en underbar resa, personalen var trevlig.", "sv"),
        ("Mange tak for en dejlig tur, personalet var søde og hjælpsomme.", "da"),
    ],
)
def test_words_that_praise_and_do_nothing_else_are_praise(text: str, language: str):
    assert is_praise(triage().understand(text, language), stated=False)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Great. Just great. We waited three hours.", "en"),
        ("Maten var god og personalet hyggelig, men vi fant et hår i suppa.", "nb"),
        ("Bra mat och trevlig personal, men musiken var för hög.", "sv"),
        ("God mad, sød betjening, men vi fik den forkerte ret.", "da"),
        ("Fine fine. Tak for ingenting.", "da"),
        ("Lovely room. Great view. Could somebody bring towels?", "en"),
        ("The food was amazing and the staff wonderful. My son got sick afterwards.", "en"),
        ("Great hotel, lovely staff, but the shower only had lukewarm water.", "en"),
        ("Wonderful crew, and friendly waiters. The toilet smelled.", "en"),
        ("Wonderful crew, and friendly waiters. I want my money back.", "en"),
        ("Fantastic! Excellent! Thanks a lot! I found a tooth in my soup.", "en"),
        ("Fantastisk! Utmerket! Tusen takk! Jeg fant en tann i suppen.", "nb"),
        ("Fantastiskt! Utmärkt! Tusen tack! Jag hittade en tand i soppan.", "sv"),
        ("Fantastisk! Udmærket! Tusind tak! Jeg fandt en tand i suppen.", "da"),
        ("Great dinner, as excellent as a root canal. Thanks!", "en"),
    ],
)
def test_words_that_also_say_something_else_are_a_complaint_also_if_praise_is_stated(
    text: str, language: str
):
    understood = triage().understand(text, language)
    assert not is_praise(understood, stated=False)
    assert not is_praise(understood, stated=True)


def test_one_word_of_praise_is_too_little_unless_it_is_stated():
    understood = triage().understand("Personalet var fantastisk!", "nb")
    assert understood.intent is Intent.PRAISE
    assert not is_praise(understood, stated=False)
    assert is_praise(understood, stated=True)


def test_danger_that_a_model_finds_is_no_praise():
    understood = triage().understand(PRAISE, "en")._replace(safety=True)
    assert not is_praise(understood, stated=True)


def listed(employee_id: str, role: str, shift: Shift | None = None, **more: Any) -> Member:
    return Member(employee_id, Listing(role=role, shift=shift, **more))


def readers(*members: Member) -> tuple[str, ...]:
    """Those of them who read praise of the food, which came at noon of the site's clock."""
    policy: Policy = demo_policy().model_copy(update={"timezone": "UTC"})
    return praised_by(members, triage().understand("The food was delicious!", "en"), policy, NOON)


def test_the_department_that_worked_then_reads_praise():
    day, night = Shift(starts=time(6), ends=time(18)), Shift(starts=time(18), ends=time(6))
    there = listed("e-there", "restaurant", day)
    away = listed("e-away", "restaurant", night)
    desk = listed("e-desk", "reception", day)
    assert readers(there, away, desk) == ("e-there",)
    assert readers(away, desk) == ("e-desk",)
    assert readers(away, listed("e-desk", "reception")) == ("e-away",)


def test_who_checked_in_later_was_not_there():
    later = listed("e-later", "restaurant")._replace(
        said_at=NOON.replace(hour=13), until=NOON.replace(hour=20)
    )
    there = listed("e-there", "restaurant")._replace(
        said_at=NOON.replace(hour=9), until=NOON.replace(hour=20)
    )
    assert readers(later, there) == ("e-there",)


def test_praise_goes_to_so_many_at_most_and_to_nobody_who_left():
    assert len(readers(*(listed(f"e-{n}", "restaurant") for n in range(PRAISED_MAX + 1)))) == 20
    assert readers(listed("e-left", "restaurant", active=False)) == ()


# ---- the whole way -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
async def test_the_page_thanks_for_praise_and_nothing_is_promised(
    aboard: Aboard, language: Language
):
    path = f"/c/{SITE}?language={language}"
    text = html.unescape((await opened(aboard, path)).text)
    assert say(language, "form.praise") in text
    page = await sent(aboard, path, text="Takk, dere er flinke!", about="praise")
    assert page.status_code == 200
    shown = html.unescape(page.text)
    assert say(language, "form.praised.title") in shown
    assert say(language, "form.praised.passed_on") in shown
    (fact,) = await praises(aboard)
    assert (fact["stated"], fact["language"]) == (True, language)
    assert "flinke" not in str(fact)
    assert await raised(aboard) == 0
    await aboard.carry()
    assert not [one for one in await aboard.types("notifier") if one.startswith("message")]


async def test_praise_that_also_complains_is_a_complaint(aboard: Aboard):
    page = await sent(aboard, text="Lovely staff, but the soup was cold.", about="praise")
    assert page.status_code == 303
    assert await raised(aboard) == 1
    assert await praises(aboard) == []


async def test_those_who_were_there_read_the_words_in_their_inbox(aboard: Aboard):
    status, answer = await raise_over_http(aboard, PRAISE, aboard.bearer("c-1", "customer"))
    assert (status, set(answer)) == (201, {"praise_id", "received_at"})
    (fact,) = await praises(aboard)
    assert fact["praised"]
    await settled(aboard)
    for who in fact["praised"]:
        found = await inbox(aboard, who)
        (entry,) = found["entries"]
        assert (entry["what"], entry["line"], found["unread"]) == ("praised", PRAISE, 1)
        assert (entry["praise_id"], entry["complaint_id"]) == (answer["praise_id"], None)
    others = {"e-ingrid", "e-noor", "e-lars"} - set(fact["praised"])
    assert others
    for who in others:
        assert (await inbox(aboard, who))["entries"] == []


async def test_praise_of_an_erased_customer_is_read_by_nobody(aboard: Aboard):
    await raise_over_http(aboard, PRAISE, aboard.bearer("c-1", "customer"))
    await settled(aboard)
    (fact,) = await praises(aboard)
    await erase(aboard, fact["customer_ref"])
    await settled(aboard)
    found = await inbox(aboard, fact["praised"][0])
    assert (found["entries"], found["unread"]) == ([], 0)


async def test_a_customer_who_only_praised_gets_their_words(aboard: Aboard):
    await raise_over_http(aboard, PRAISE, aboard.bearer("c-1", "customer"))
    (fact,) = await praises(aboard)
    vault = aboard.apps["complaints"].parts.vault
    exports = Exports(vault, Profiles(vault))
    view = aboard.apps["complaints"].parts.settler.view()
    found = await exports.of(fact["customer_ref"], SITE, view)
    assert ([one.text for one in found.praise], found.complaints) == ([PRAISE], [])
    page = html.unescape(await exports.page(found, view))
    assert say(found.praise[0].language, "export.praise") in page
    assert PRAISE in page


async def test_what_an_employee_writes_down_is_a_complaint_unless_they_call_it_praise(
    aboard: Aboard,
):
    _, complaint = await raise_over_http(aboard, PRAISE, aboard.bearer())
    assert "complaint_id" in complaint
    _, praise = await raise_over_http(aboard, PRAISE, aboard.bearer(), "k2", praise=True)
    assert "praise_id" in praise


async def test_praise_that_is_sent_twice_is_one_praise(aboard: Aboard):
    once = once_of(await opened(aboard))
    for _ in range(3):
        page = await sent(aboard, text=PRAISE, once=once)
        assert page.status_code == 200
        forget_answers(aboard.stores["complaints"])
    assert len(await praises(aboard)) == 1
    other = await sent(aboard, text=PRAISE + " Best wishes!", once=once)
    assert other.status_code == 422 or say(Language.EN, "form.fault.sent_before") in html.unescape(
        other.text
    )
