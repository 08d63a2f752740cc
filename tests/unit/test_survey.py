"""A site asks its own questions each time a complaint is closed, and counts the answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.notifier.survey.rules import WrongScores, scores_of
from shared.contracts.complaints import Language
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import SurveyAnswered
from shared.contracts.policy import Policy, Scale, SurveyQuestion
from shared.contracts.reasons import Reason
from shared.runtime.words import say
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_compensation_incidents import changed
from tests.unit.test_erasure import erase, ref_of
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import answers, english, last, link_in, settled
from tests.unit.test_receipts import policy_of as with_sms

BROWSER = {"Accept": "text/html"}


@pytest.fixture
async def aboard(tmp_path: Path) -> Aboard:
    return await Aboard(tmp_path, recording=True).begin()


async def helped(aboard: Aboard, name: str, said: str = "yes", **more: Any) -> str:
    """The customer is given something and answers its letter; the path of the check's page."""
    await aboard.give(name, "cinema", f"{name}-{more}", **more)
    await settled(aboard)
    path = link_in(last(aboard), "f")
    await answers(aboard, last(aboard), said)
    return path


async def page(aboard: Aboard, path: str) -> httpx.Response:
    async with aboard.http("notifier", "") as customer:
        return await customer.get(path, headers=BROWSER)


async def send(aboard: Aboard, path: str, **form: str) -> httpx.Response:
    async with aboard.http("notifier", "") as customer:
        return await customer.post(path, data=form, headers=BROWSER)


def asked_at(text: str) -> str:
    """Where the form of a page is sent."""
    (found,) = re.findall(r'action="(/f/survey/[^"]+)"', text)
    return str(found)


async def said(aboard: Aboard) -> list[tuple[int, str, int]]:
    return [
        (one["round"], one["question_id"], one["score"])
        for one in await aboard.facts("notifier")
        if one["type"] == SurveyAnswered.TYPE
    ]


async def measured(aboard: Aboard) -> dict[tuple[str, str], tuple[Any, int]]:
    await aboard.carry()
    async with aboard.http("audit", aboard.bearer("m-hotel", "manager")) as manager:
        shown = (await manager.get(f"/v1/measures?site={SITE}")).json()
    return {
        (one["measure"], one["part"]): (one["value"], one["counted"])
        for one in shown["lagging"]
        if one["measure"].startswith("survey_")
    }


async def test_behind_a_yes_the_site_asks_and_what_is_answered_is_counted(aboard: Aboard):
    assert await measured(aboard) == {
        ("survey_scores", ""): (None, 0),
        ("survey_answers", ""): (0, 0),
    }
    path = await helped(aboard, await english(aboard))
    shown = await page(aboard, path)
    assert "How easy was it to get help from us?" in shown.text
    survey = asked_at(shown.text)
    answer = await send(aboard, survey, ease="4", **{"come-again": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, survey)
    assert "Thank you for your answers!" in (await page(aboard, survey)).text
    assert "/f/survey/" not in (await page(aboard, path)).text
    assert await said(aboard) == [(0, "ease", 4), (0, "come-again", 1)]
    # The first answers count, and the page says so of others.
    assert (await send(aboard, survey, ease="4", **{"come-again": "1"})).status_code == 303
    other = await send(aboard, survey, ease="1")
    assert (other.status_code, say(Language.EN, "asking.before") in other.text) == (409, True)
    assert len(await said(aboard)) == 2
    other = await page(aboard, await helped(aboard, await english(aboard, 1)))
    await send(aboard, asked_at(other.text), ease="1")
    assert await measured(aboard) == {
        ("survey_scores", "come-again"): (1, 1),
        ("survey_scores", "ease"): (2.5, 2),
        ("survey_answers", ""): (3, 3),
        ("survey_answers", "come-again/1"): (1, 1),
        ("survey_answers", "ease/1"): (1, 1),
        ("survey_answers", "ease/4"): (1, 1),
    }


async def test_each_close_is_asked_about_and_no_answer_that_leaves_it_open(aboard: Aboard):
    name = await english(aboard)
    first = await helped(aboard, name, "no")
    await settled(aboard)
    assert "/f/survey/" not in (await page(aboard, first)).text
    second = await helped(aboard, name, "yes", again=True)
    await settled(aboard)
    text = (await page(aboard, second)).text
    await send(aboard, asked_at(text), ease="3")
    assert await said(aboard) == [(1, "ease", 3)]


async def test_the_letter_of_a_case_that_was_closed_asks_once(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "claim")
    await do(aboard, name, "resolve", outcome="fixed")
    await settled(aboard)
    aboard.clock.advance(aboard.policy.close_after)
    await aboard.ring("complaints")
    await settled(aboard)
    closed = last(aboard)
    assert "/f/survey/" in closed.body
    path = re.findall(r"http://\S+(/f/survey/\S+)", closed.body)[0]
    assert (await page(aboard, path)).status_code == 200
    await send(aboard, path, ease="5")
    assert await said(aboard) == [(0, "ease", 5)]


@pytest.mark.parametrize("language", Language)
async def test_the_page_says_in_each_language_what_is_wrong_and_keeps_what_was_chosen(
    aboard: Aboard, language: Language
):
    name = await aboard.raise_complaint(
        text="The soup was a bit salty.", language=language, contact={"email": "k@example.org"}
    )
    await settled(aboard)
    survey = asked_at((await page(aboard, await helped(aboard, name))).text)
    nothing = await send(aboard, survey)
    assert (nothing.status_code, 'href="#ease"' in nothing.text) == (422, True)
    assert "Error" in nothing.text or language is not Language.EN
    wrong = await send(aboard, survey, ease="2", **{"come-again": "7"})
    assert wrong.status_code == 422
    assert 'href="#come-again"' in wrong.text
    assert 'href="#ease"' not in wrong.text
    assert '<input type="radio" name="ease" value="2" checked>' in wrong.text
    assert await said(aboard) == []


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"json": {"ease": 3}},
        {"data": {"foo": "1"}},
        {"files": {"ease": b"3"}},
        {"content": b"\xff\xfe%zz\x00=&&;"},
        {"content": "&".join(f"ease{one}=3" for one in range(20))},
        {"data": {"ease": "99"}},
        {"data": {"ease": ["3", "9"]}},
        {"data": {"ease": ["3", "3"]}},
    ],
)
@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_what_is_no_answer_is_asked_for_again_and_thanked_for_once_there_is_one(
    aboard: Aboard, sent: dict[str, Any], headers: dict[str, str]
):
    survey = asked_at((await page(aboard, await helped(aboard, await english(aboard)))).text)
    async with aboard.http("notifier", "") as customer:
        before = await customer.post(survey, headers=headers, **sent)
        assert (before.status_code, asked_at(before.text)) == (422, survey)
        assert 'href="#ease"' in before.text
        assert await said(aboard) == []
        await send(aboard, survey, ease="4")
        after = await customer.post(survey, headers=headers, **sent)
    assert (after.status_code, "Thank you for your answers!" in after.text) == (200, True)
    assert "Error" not in after.text
    assert await said(aboard) == [(0, "ease", 4)]


async def test_who_has_a_telephone_alone_is_asked_too(tmp_path: Path):
    policy = with_sms(channels=(MessageChannel.SMS,))
    aboard = await Aboard(tmp_path, policy).begin()
    number = Contact(name="Kari", phone="+4791234567")
    told = {"contact": number, "language": "en", "text": "The soup was a bit salty."}
    settles, is_silent = [
        await aboard.raise_complaint(one, customer=f"guest-{one}", **told) for one in range(2)
    ]
    await settled(aboard)
    for one in (is_silent, settles):
        await do(aboard, one, "claim")
        await do(aboard, one, "resolve", outcome="fixed")
        await settled(aboard)
    async with aboard.http("complaints", "") as customer:
        # After a yes the text message leads to the questions.
        mine = urlsplit(aboard.phone.letters[-1].link).path
        await customer.post(f"{mine}/helped", data={"action": "yes"})
        await settled(aboard)
        thanks = aboard.phone.letters[-1]
        assert say(Language.EN, "letter.survey.ask") in thanks.short
        assert (await page(aboard, urlsplit(thanks.link).path)).status_code == 200
        # After silence it leads to the page of the case, and that to the questions.
        aboard.clock.advance(aboard.policy.close_after)
        await aboard.ring("complaints")
        await settled(aboard)
        closed = aboard.phone.letters[-1]
        shown = await customer.get(urlsplit(closed.link).path, headers=BROWSER)
    (survey,) = re.findall(r'href="https?://[^"/]+(/f/survey/[^"]+)"', shown.text)
    assert (await send(aboard, survey, ease="4")).status_code == 303
    assert await said(aboard) == [(0, "ease", 4)]


async def test_a_site_without_questions_asks_nothing(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(demo_policy(), survey={})).begin()
    path = await helped(aboard, await english(aboard))
    assert "/f/survey/" not in (await page(aboard, path)).text
    await settled(aboard)
    assert last(aboard).subject
    assert "/f/survey/" not in last(aboard).body


async def test_an_erased_customer_is_asked_nothing_and_a_forged_link_opens_nothing(aboard: Aboard):
    name = await english(aboard)
    survey = asked_at((await page(aboard, await helped(aboard, name))).text)
    await aboard.carry()
    await erase(aboard, await ref_of(aboard, name))
    async with aboard.http("notifier", "") as customer:
        for answer in (
            await customer.get(survey),
            await customer.post(survey, data={"ease": "1"}),
            await customer.get("/f/survey/forged"),
        ):
            assert answer.json()["type"] == Reason.LINK_INVALID
    assert await said(aboard) == []


@pytest.mark.parametrize(
    ("scale", "good", "bad"),
    [
        (Scale.YES_NO, ["0", "1"], ["2", "-1", "yes"]),
        (Scale.ONE_TO_FIVE, ["1", "5"], ["0", "6", "1.5", " 1", "٣"]),
        (Scale.ZERO_TO_TEN, ["0", "10"], ["11", "00", "1e0"]),
    ],
)
def test_an_answer_is_on_the_scale_of_its_question(scale: Scale, good: list[str], bad: list[str]):
    questions = {"q": SurveyQuestion(words={Language.EN: "How?"}, scale=scale)}
    for text in good:
        assert scores_of(questions, {"q": text, "other": "9"}) == {"q": int(text)}
    for text in bad:
        with pytest.raises(WrongScores) as error:
            scores_of(questions, {"q": text})
        assert error.value.questions == ("q",)
    with pytest.raises(WrongScores) as error:
        scores_of(questions, {"q": ""})
    assert error.value.questions == ()


def test_a_policy_asks_three_questions_at_most_in_all_its_languages():
    words = dict.fromkeys(["nb", "sv", "da", "en"], "How?")
    one = {"words": words, "scale": "yes_no"}
    whole = demo_policy().model_dump(mode="json")
    Policy.model_validate({**whole, "survey": {name: one for name in "abc"}})
    with pytest.raises(ValueError, match="at most 3"):
        Policy.model_validate({**whole, "survey": {name: one for name in "abcd"}})
