"""Customers are asked how a moment of their journey was, once in a while, and a bad answer is a complaint."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.complaints.asking.rules import (
    LATE_MAX,
    UNSETTLED,
    Asked,
    LastAsked,
    drawn,
    due_at,
    enough,
)
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import JourneyStep, Language
from shared.contracts.intake import ComplaintRaised, Contact, CustomerDescribed, TouchpointPassed
from shared.contracts.lifecycle import State
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Asking, Policy, PolicyPublished, Touchpoint
from shared.contracts.reasons import Reason
from shared.kernel import Document
from shared.runtime.engine.view import View
from shared.runtime.words import format_time, say
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_compensation_incidents import changed
from tests.unit.test_erasure import document, erase
from tests.unit.test_export import ask, exported
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import changed as notifying
from tests.unit.test_occasions import fates, last, link_in, settled
from tests.unit.test_preferences import choose
from tests.unit.test_words_end import KEPT, time_passes, until_over
from tests.unit.test_words_end import opened as words_opened

BROWSER = {"Accept": "text/html"}
KARI = Contact(name="Kari", email="kari@example.org", phone="+47 912 34 567")
HALF_AN_HOUR = timedelta(minutes=30)
QUESTION = {"nb": "Hvordan var middagen?", "en": "How was dinner?"}
COMPLAINED = "The soup was cold and nobody came."


def passed(**changes: Any) -> TouchpointPassed:
    told = {
        "site": SITE,
        "customer": "guest-1",
        "touchpoint": "dinner-served",
        "language": "en",
        "contact": KARI,
        "passed_at": START,
    }
    return TouchpointPassed(**{**told, **changes})


async def tell(aboard: Aboard, offset: int = 500, event_id: str | None = None, **what: Any) -> None:
    fact = passed(**what)
    letter = record(fact, offset, event_id or f"dinner-{offset}")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [letter])
    await aboard.carry()


async def of_type(aboard: Aboard, name: str, service: str = "complaints") -> list[dict[str, Any]]:
    return [one for one in await aboard.facts(service) if one["type"] == f"recovery.{name}.v1"]


async def asked(aboard: Aboard, **what: Any) -> str:
    """A customer who was asked; the path of the page."""
    await tell(aboard, **what)
    aboard.clock.advance(HALF_AN_HOUR)
    await aboard.ring()
    return link_in(last(aboard), "q")


async def page(aboard: Aboard, path: str) -> httpx.Response:
    async with aboard.http("complaints", "") as customer:
        return await customer.get(path, headers=BROWSER)


async def send(aboard: Aboard, path: str, **form: str) -> httpx.Response:
    async with aboard.http("complaints", "") as customer:
        answer = await customer.post(path, data=form, headers=BROWSER)
    await aboard.carry()
    return answer


def policy_with(**asking: Any) -> Policy:
    policy = demo_policy()
    assert policy.asking is not None
    whole = policy.asking.model_dump(mode="json")
    return changed(policy, asking={**whole, **asking})


async def test_a_question_that_came_as_a_text_message_leads_to_how_the_customer_is_told(
    tmp_path: Path,
):
    """A text message has one link: the page behind it has the other, before and after the answer."""
    aboard = await Aboard(tmp_path, notifying(channels=["sms"], calling_code="47")).begin()
    await tell(aboard, contact=Contact(phone="+4791234567"))
    aboard.clock.advance(HALF_AN_HOUR)
    await aboard.ring()
    path = urlsplit(aboard.phone.letters[-1].link).path
    for _ in range(2):
        found = re.search(r'href="[^"]*(/p/[^"]+)"', (await page(aboard, path)).text)
        assert found is not None
        await choose(aboard, found[1], tells="no_reminders")
        assert (await of_type(aboard, "preferences.changed", "notifier"))[-1]["tells"]
        await send(aboard, path, experience="5")
    assert len(await of_type(aboard, "touchpoint.answered")) == 1


# ---- who is asked --------------------------------------------------------------------------------


async def test_a_customer_is_asked_when_the_policy_says_and_not_before(aboard: Aboard):
    await tell(aboard)
    await aboard.ring()
    assert aboard.postbox.letters == []
    aboard.clock.advance(HALF_AN_HOUR)
    await aboard.ring()
    (letter,) = aboard.postbox.letters
    assert letter.recipient == KARI.email
    assert QUESTION["en"] in letter.body
    assert letter.unsubscribe
    (fact,) = await of_type(aboard, "touchpoint.asked")
    assert (fact["step"], fact["touchpoint"]) == (JourneyStep.DINING, "dinner-served")
    assert await of_type(aboard, "complaint.received") == []


async def test_nobody_is_asked_twice_in_the_time_that_the_policy_says(aboard: Aboard):
    for number in range(2):  # the same event, and another moment of the same journey
        await tell(aboard, 500 + number, "dinner")
        await tell(aboard, 510 + number, touchpoint="dinner-served", passed_at=START)
    assert len(await of_type(aboard, "touchpoint.asked")) == 1
    await tell(aboard, 520, customer="guest-2")
    assert len(await of_type(aboard, "touchpoint.asked")) == 2
    aboard.clock.advance(timedelta(days=7))
    await tell(aboard, 530, passed_at=aboard.clock())
    assert len(await of_type(aboard, "touchpoint.asked")) == 3
    assert await aboard.dead("complaints") == []


async def test_words_that_are_overtaken_by_another_answer_are_shown_as_not_received(
    aboard: Aboard, monkeypatch: pytest.MonkeyPatch
):
    """The question was read before the other answer was recorded, and its complaint after."""
    path = await asked(aboard)
    assert (await send(aboard, path, experience="1", text=COMPLAINED)).status_code == 303
    read, recorded = View.get, False

    async def read_before(view: View, kind: type[Document], key: str) -> Document | None:
        nonlocal recorded
        recorded = recorded or kind is Complaint
        found = await read(view, kind, key)
        if isinstance(found, Asked) and not recorded:
            return found.model_copy(update={"answered_at": None, "complaint_id": None})
        return found

    monkeypatch.setattr(View, "get", read_before)
    other = await send(aboard, path, experience="1", text="And it was late.")
    assert other.status_code == 409
    assert say(Language.EN, "mine.words.kept") in other.text
    assert "And it was late." in other.text
    assert len(await of_type(aboard, "complaint.received")) == 1


@pytest.mark.parametrize(
    "what",
    [
        {"touchpoint": "lifeboat-drill"},
        {"contact": None},
        {"contact": Contact(name="Kari")},
        {"passed_at": START - LATE_MAX - timedelta(hours=1)},
    ],
    ids=["not in the policy", "no contact", "no address", "too late"],
)
async def test_who_is_not_to_be_asked_leaves_nothing_with_us(aboard: Aboard, what: dict[str, Any]):
    before = dict(aboard.stores["complaints"].kept.documents)
    await tell(aboard, **what)
    assert await aboard.types("complaints") == []
    new = aboard.stores["complaints"].kept.documents.keys() - before.keys()
    assert not [name for name in new if not name.startswith("fence")]
    assert await aboard.dead("complaints") == []


async def test_a_site_that_asks_nothing_asks_nobody(tmp_path: Path):
    aboard = await Aboard(tmp_path, changed(demo_policy(), asking=None)).begin()
    await tell(aboard)
    assert await aboard.types("complaints") == []


async def test_whoever_waits_for_us_is_asked_nothing_and_once_it_is_settled_they_are(
    aboard: Aboard,
):
    name = await aboard.raise_complaint(customer="guest-1", text="The soup was a bit salty.")
    await tell(aboard)
    assert await of_type(aboard, "touchpoint.asked") == []
    await do(aboard, name, "withdraw")
    await tell(aboard, 501)
    assert len(await of_type(aboard, "touchpoint.asked")) == 1


async def test_a_question_that_waits_is_not_sent_once_the_customer_complains(aboard: Aboard):
    await tell(aboard)
    aboard.clock.advance(timedelta(minutes=10))
    await aboard.raise_complaint(600, customer="guest-1", language="en")
    aboard.clock.advance(HALF_AN_HOUR)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.TOUCHPOINT_ASKED] == [Reason.NO_LONGER_TRUE]
    assert not any("/q/" in letter.body for letter in aboard.postbox.letters)


async def test_an_erased_customer_is_not_asked_and_their_link_opens_nothing(aboard: Aboard):
    path = await asked(aboard)
    (fact,) = await of_type(aboard, "touchpoint.asked")
    await erase(aboard, fact["customer_ref"])
    assert (await page(aboard, path)).status_code == 404
    assert (await send(aboard, path, experience="1")).status_code == 404
    aboard.clock.advance(timedelta(days=8))
    await tell(aboard, 501, passed_at=aboard.clock())
    assert len(await of_type(aboard, "touchpoint.asked")) == 1
    assert await of_type(aboard, "touchpoint.answered") == []


async def test_a_question_too_many_on_a_day_waits_for_no_digest_and_nobody_lacks_it(
    tmp_path: Path,
):
    aboard = await Aboard(tmp_path, notifying(per_day=1)).begin()
    name = await aboard.raise_complaint(customer="guest-1", text="The soup was a bit salty.")
    await settled(aboard)
    await do(aboard, name, "withdraw")
    aboard.clock.advance(timedelta(minutes=1))
    await tell(aboard, passed_at=aboard.clock())
    aboard.clock.advance(HALF_AN_HOUR)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.TOUCHPOINT_ASKED] == [Reason.ENOUGH_TODAY]
    waits = [one["occasion"] for one in await of_type(aboard, "message.deferred", "notifier")]
    assert Occasion.TOUCHPOINT_ASKED not in waits


async def test_one_click_ends_questions(aboard: Aboard):
    await asked(aboard)
    path = last(aboard).unsubscribe.removeprefix("http://test")
    async with aboard.http("notifier", "") as customer:
        assert (
            await customer.post(path, data={"List-Unsubscribe": "One-Click"})
        ).status_code == 200
    aboard.clock.advance(timedelta(days=8))
    await tell(aboard, 501, passed_at=aboard.clock())
    aboard.clock.advance(HALF_AN_HOUR)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.TOUCHPOINT_ASKED] == ["sent", Reason.NOT_WANTED]


async def test_the_question_comes_in_the_language_that_is_known_of_the_customer(aboard: Aboard):
    described = CustomerDescribed(site=SITE, customer="guest-1", language="sv", described_at=START)
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(described, 499, "d")])
    await tell(aboard, language=None)
    await tell(aboard, 501, customer="guest-2", language=None)
    assert [one["language"] for one in await of_type(aboard, "touchpoint.asked")] == ["sv", "nb"]


async def test_the_page_is_in_the_language_that_the_customer_chose_since(aboard: Aboard):
    path = await asked(aboard)
    await choose(aboard, link_in(last(aboard), "p"), language="sv")
    await aboard.carry()
    assert '<html lang="sv">' in (await page(aboard, path)).text
    aboard.clock.advance(timedelta(days=400))
    assert '<html lang="sv">' in (await page(aboard, path)).text


async def test_a_customer_with_a_telephone_alone_is_asked_by_text_message(tmp_path: Path):
    texting = notifying(channels=["email", "sms"], calling_code="47", sms_from="Aurora")
    aboard = await Aboard(tmp_path, texting).begin()
    await tell(aboard, contact=Contact(phone="91234567"))
    aboard.clock.advance(HALF_AN_HOUR)
    await settled(aboard)
    (text,) = aboard.phone.letters
    assert QUESTION["en"] in text.short
    assert "/q/" in text.link


async def test_a_time_that_cannot_be_or_a_source_of_ours_is_a_dead_letter(aboard: Aboard):
    await tell(aboard, passed_at=START + timedelta(days=30))
    letter = record(passed(), 501, "x", source="/c/ms-aurora")
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [letter])
    reasons = [dict(dead.headers)["reason"] for dead in await aboard.dead("complaints")]
    assert reasons == [Reason.TIME_OUT_OF_RANGE, Reason.SCHEMA_INVALID]


# ---- what they answer ----------------------------------------------------------------------------


async def test_a_good_answer_is_thanked_for_once_and_is_no_complaint(aboard: Aboard):
    path = await asked(aboard)
    shown = await page(aboard, path)
    assert (shown.status_code, QUESTION["en"] in shown.text) == (200, True)
    assert await of_type(aboard, "touchpoint.answered") == []  # opening it changes nothing
    answer = await send(aboard, path, experience="5", importance="4")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    thanked = (await page(aboard, path)).text
    assert say(Language.EN, "asking.thanks") in thanked
    assert "/m/" not in thanked
    other = await send(aboard, path, experience="1")
    assert other.status_code == 409
    assert say(Language.EN, "asking.more") in other.text
    (fact,) = await of_type(aboard, "touchpoint.answered")
    assert (fact["experience"], fact["importance"], fact["step"]) == (5, 4, "dining")
    assert "complaint_id" not in fact
    assert "customer_ref" not in fact
    assert await of_type(aboard, "complaint.received") == []


@pytest.mark.parametrize("language", list(Language))
async def test_words_that_come_after_the_answer_are_shown_as_not_received_and_the_same_are_thanked_for(
    aboard: Aboard, language: Language
):
    path = await asked(aboard, language=language)
    first = {"experience": "1", "text": COMPLAINED}
    for _ in range(2):
        assert (await send(aboard, path, **first)).status_code == 303
    other = await send(aboard, path, experience="1", text="And the wine was <warm>.")
    assert other.status_code == 409
    assert say(language, "asking.before") in other.text
    assert say(language, "mine.words.kept") in other.text
    assert "And the wine was &lt;warm&gt;." in other.text
    assert "/m/" in other.text
    thanked = (await page(aboard, path)).text
    assert say(language, "asking.before") not in thanked
    assert say(language, "mine.words.kept") not in thanked
    assert len(await of_type(aboard, "touchpoint.answered")) == 1


@pytest.mark.parametrize("words", ["", COMPLAINED, "Wonderful, great, thank you so much!"])
async def test_a_bad_answer_is_a_complaint_once_whatever_its_words_say(aboard: Aboard, words: str):
    path = await asked(aboard)
    for _again in range(2):
        await send(aboard, path, experience="2", importance="5", text=words)
    (received,) = await of_type(aboard, "complaint.received")
    (triaged,) = await of_type(aboard, "complaint.triaged")
    (fact,) = await of_type(aboard, "touchpoint.answered")
    assert fact["complaint_id"] == received["complaint_id"]
    assert (triaged["step"], triaged["has_contact"]) == ("dining", True)
    (question,) = await of_type(aboard, "touchpoint.asked")
    assert received["customer_ref"] == question["customer_ref"]
    async with aboard.http("complaints", aboard.bearer()) as desk:
        shown = (await desk.get(f"/v1/complaints/{received['complaint_id']}")).json()
    assert shown["text"] == (words or "How was dinner? 2 of 5.")
    assert await of_type(aboard, "praise.received") == []
    text = (await page(aboard, path)).text
    (mine,) = re.findall(r'href="(/m/[^"]+)"', text)
    assert (await page(aboard, mine)).status_code == 200
    await settled(aboard)
    assert (await fates(aboard))[Occasion.ACKNOWLEDGEMENT] == ["sent"]
    assert await of_type(aboard, "check.issued", "compensation") == []
    assert (words or "zqv") not in repr([store.kept for store in aboard.stores.values()])


async def test_a_promise_behind_an_answer_is_said_to_be_broken_until_the_customer_is_told(
    aboard: Aboard,
):
    path = await asked(aboard)
    await send(aboard, path, experience="1", text=COMPLAINED)
    (triaged,) = await of_type(aboard, "complaint.triaged")
    by = datetime.fromisoformat(triaged["promised_by"])
    when = format_time(by, "Europe/Oslo", Language.EN)
    promised, missed = (say(Language.EN, f"mine.{one}", when=when) for one in ("by", "missed"))
    assert promised in (await page(aboard, path)).text
    aboard.clock.moment = by + timedelta(minutes=1)
    await aboard.ring("complaints")
    shown = (await page(aboard, path)).text
    assert (promised in shown, missed in shown) == (False, True)
    await do(aboard, triaged["complaint_id"], "resolve", outcome="fixed")
    assert missed not in (await page(aboard, path)).text


async def test_a_score_alone_is_in_the_language_of_the_question(tmp_path: Path):
    words = dict.fromkeys(Language, "Hvordan var Il Ristorante della Mamma?")
    touchpoints = {"dinner-served": {"words": words, "step": JourneyStep.DINING}}
    aboard = await Aboard(tmp_path, policy_with(touchpoints=touchpoints)).begin()
    await send(aboard, await asked(aboard, language="nb"), experience="1")
    (triaged,) = await of_type(aboard, "complaint.triaged")
    assert (triaged["language"], triaged["unsupported_language"]) == ("nb", False)


async def test_answers_of_one_customer_who_is_written_to_elsewhere_stay_apart(aboard: Aboard):
    """Any publisher may name any customer, and say where they are asked."""
    paths = []
    for number, email in enumerate(("kari@example.org", "kari@example.org", "else@example.org")):
        contact = Contact(email=email)
        paths.append(
            await asked(aboard, offset=500 + number, contact=contact, passed_at=aboard.clock())
        )
        aboard.clock.advance(timedelta(days=8))
    for path in paths:
        await send(aboard, path, experience="1", text=COMPLAINED)
    first, second, third = [
        one["complaint_id"] for one in await of_type(aboard, "complaint.received")
    ]
    (merged,) = await of_type(aboard, "complaint.merged")
    assert (merged["complaint_id"], merged["into"]) == (second, first)
    assert third not in (first, second)


async def test_words_of_danger_in_a_good_answer_are_a_complaint_and_severe(aboard: Aboard):
    path = await asked(aboard)
    await send(aboard, path, experience="5", text="My son had an allergic reaction to the nuts.")
    (triaged,) = await of_type(aboard, "complaint.triaged")
    assert (triaged["safety"], triaged["severity"]) == (True, "severe")


@pytest.mark.parametrize(
    ("experience", "text"),
    [
        ("3", "Mein Sohn hat sich an der Suppe verbrannt und niemand kam."),
        ("5", "Zupa była zimna i czekaliśmy dwie godziny, pali się w kabinie"),
        ("3", "Heisen stoppet og vi satt fast i en time"),
        ("3", "The portions were tiny and the wine was warm"),
        ("3", "Nobody wiped the other table"),
        ("4", "The portions were tiny and the wine was warm"),
    ],
)
async def test_words_that_complain_or_that_nobody_here_reads_are_no_praise_beside_a_fair_answer(
    aboard: Aboard, experience: str, text: str
):
    await send(aboard, await asked(aboard), experience=experience, text=text)
    assert await of_type(aboard, "praise.received") == []
    assert len(await of_type(aboard, "complaint.received")) == 1


async def test_praise_in_a_good_answer_reaches_those_who_were_there(aboard: Aboard):
    path = await asked(aboard)
    await send(aboard, path, experience="5", text="Wonderful food, and the waiter was lovely!")
    (praise,) = await of_type(aboard, "praise.received")
    assert (praise["step"], praise["stated"]) == ("dining", True)
    assert await of_type(aboard, "complaint.received") == []


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    ("form", "part"),
    [
        ({}, "experience"),
        ({"experience": "6"}, "experience"),
        ({"experience": "3", "importance": "0"}, "importance"),
        ({"experience": "3", "text": "x" * 2001}, "text"),
    ],
)
async def test_the_page_says_what_is_wrong_and_keeps_what_was_written(
    aboard: Aboard, language: Language, form: dict[str, str], part: str
):
    path = await asked(aboard, language=language)
    answer = await send(aboard, path, **{"text": "Kept.", **form})
    assert answer.status_code == 422
    assert f'href="#{part}"' in answer.text
    assert form.get("text", "Kept.") in answer.text
    assert await of_type(aboard, "touchpoint.answered") == []


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"experience": 3}},
        {"content": b"\xff\xfe%zz\x00=&&;"},
        {"content": "&".join(f"e{one}=3" for one in range(20))},
        {"data": {"experience": ["3", "4"]}},
    ],
)
async def test_what_is_no_answer_is_asked_for_again(aboard: Aboard, sent: dict[str, Any]):
    path = await asked(aboard)
    async with aboard.http("complaints", "") as customer:
        answer = await customer.post(path, **sent)
    assert (answer.status_code, 'href="#experience"' in answer.text) == (422, True)


async def test_a_link_of_another_kind_and_an_old_one_open_nothing(aboard: Aboard):
    path = await asked(aboard)
    preferences = link_in(last(aboard), "p")
    assert (await page(aboard, preferences.replace("/p/", "/q/"))).status_code == 404
    assert (await page(aboard, path.replace("/q/", "/m/"))).status_code == 404
    aboard.clock.advance(timedelta(days=31))
    assert (await page(aboard, path)).status_code == 404


async def test_a_policy_that_asks_no_more_closes_the_page(tmp_path: Path):
    aboard = await Aboard(tmp_path).begin()
    path = await asked(aboard)
    await publish(aboard, changed(demo_policy(), asking=None), 2)
    assert (await page(aboard, path)).status_code == 404


async def publish(aboard: Aboard, policy: Policy, version: int) -> None:
    head = PolicyPublished(site=SITE, version=version, policy=policy)
    for service in aboard.apps:
        await aboard.feed(service, PolicyPublished.TOPIC, [record(head, version)], 9)


async def test_a_customer_known_by_a_question_alone_is_shown_it_and_erased(aboard: Aboard):
    path = await asked(aboard)
    await send(aboard, path, experience="4", importance="5")
    (fact,) = await of_type(aboard, "touchpoint.asked")
    ref = fact["customer_ref"]
    async with aboard.http("complaints", aboard.bearer("guest-relations", "privacy")) as officer:
        known = (await officer.get(f"/v1/customers/{ref}/export")).json()
        shown = (await officer.get(f"/v1/customers/{ref}/export.html")).text
    (one,) = known["asked"]
    assert (one["touchpoint"], one["experience"], one["importance"]) == ("dinner-served", 4, 5)
    assert one["contact"]["email"] == KARI.email
    assert all(word in shown for word in (QUESTION["en"], "4 of 5.", "5 of 5.", "Kari"))
    assert known["chosen_language"] is None
    await choose(aboard, link_in(last(aboard), "p"), language="sv")
    await aboard.carry()
    async with aboard.http("complaints", aboard.bearer("guest-relations", "privacy")) as officer:
        known = (await officer.get(f"/v1/customers/{ref}/export")).json()
        shown = (await officer.get(f"/v1/customers/{ref}/export.html")).text
    assert known["chosen_language"] == "sv"
    assert all(word in shown for word in ("Språket du valde", "Svenska"))
    await erase(aboard, ref)
    assert document(aboard, "complaints", f"key:{ref}") == {"wrapped": []}


async def test_whoever_was_only_asked_is_no_longer_known_once_the_time_of_words_is_over(
    aboard: Aboard,
):
    await asked(aboard, language="en")
    (question,) = await of_type(aboard, "touchpoint.asked")
    ref = question["customer_ref"]
    assert KARI.email is not None
    assert any(KARI.email in text for text in words_opened(aboard, ref))
    await time_passes(aboard, until_over(aboard, KEPT))
    assert words_opened(aboard, ref) == set()
    (one,) = (await exported(aboard, ref))["asked"]
    assert (one["touchpoint"], one["contact"]) == ("dinner-served", None)
    assert (await ask(aboard, f"{ref}/export.html")).status_code == 200


async def test_answers_are_measured_by_step_once_there_are_five(tmp_path: Path):
    aboard = await Aboard(tmp_path, recording=True).begin()

    async def measured() -> dict[tuple[str, str], tuple[Any, Any, int]]:
        async with aboard.http("audit", aboard.bearer("m-hotel", "manager")) as manager:
            found = (await manager.get(f"/v1/measures?site={SITE}")).json()["lagging"]
        return {
            (one["measure"], one["part"]): (one["value"], one["absent"], one["counted"])
            for one in found
            if one["measure"] in ("experience", "importance")
        }

    assert await measured() == {
        ("experience", ""): (None, "nothing_counted", 0),
        ("importance", ""): (None, "nothing_counted", 0),
    }
    for number in range(5):
        path = await asked(aboard, offset=500 + number, customer=f"g-{number}")
        importance = {"importance": "5"} if number < 4 else {}
        await send(aboard, path, experience=str(number + 1), **importance)
        assert number < 4 or (await measured()) == {
            ("experience", "dining"): (3.0, None, 5),
            ("importance", "dining"): (None, "too_few_answers", 4),
        }


# ---- rules ---------------------------------------------------------------------------------------

WORDS = dict.fromkeys(Language, "How was it?")


def test_a_question_is_due_after_the_policys_time_and_at_once_if_that_is_over():
    touchpoint = Touchpoint(words=WORDS, step=JourneyStep.DINING, after=timedelta(hours=1))
    fact = passed(passed_at=START)
    assert due_at(fact, touchpoint, START) == START + timedelta(hours=1)
    assert due_at(fact, touchpoint, START + timedelta(hours=3)) == START + timedelta(hours=3)
    last_moment = START + timedelta(hours=1) + LATE_MAX
    assert due_at(fact, touchpoint, last_moment) == last_moment
    assert due_at(fact, touchpoint, last_moment + timedelta(seconds=1)) is None


def test_a_quota_holds_in_whatever_order_touchpoints_come():
    asking = Asking(touchpoints={"a": Touchpoint(words=WORDS, step=JourneyStep.ROOM)})
    for away, too_soon in ((timedelta(days=6), True), (timedelta(days=7), False)):
        for at in (START + away, START - away):
            assert enough(LastAsked(ats=(START,)), at, asking) is too_soon
    assert not enough(None, START, asking)


async def test_a_question_that_is_due_later_lets_nobody_be_asked_twice_before_it(tmp_path: Path):
    dinner = {"words": WORDS, "step": JourneyStep.DINING}
    booked = {"words": WORDS, "step": JourneyStep.BOOKING, "after": "P5D"}
    touchpoints = {"booked": booked, "dinner-served": dinner}
    policy = policy_with(again_after="P1D", touchpoints=touchpoints)
    aboard = await Aboard(tmp_path, policy).begin()
    await tell(aboard, 500, touchpoint="booked")
    for number in range(1, 4):
        await tell(aboard, 500 + number)
    asked_about = [one["touchpoint"] for one in await of_type(aboard, "touchpoint.asked")]
    assert asked_about == ["booked", "dinner-served"]


def test_a_share_of_the_customers_is_asked_and_always_the_same():
    few = Touchpoint(words=WORDS, step=JourneyStep.ROOM, share_percent=20)
    names = [f"as-{number}" for number in range(2000)]
    chosen = [name for name in names if drawn(name, few)]
    assert 300 < len(chosen) < 500
    assert chosen == [name for name in names if drawn(name, few)]
    every = few.model_copy(update={"share_percent": 100})
    assert all(drawn(name, every) for name in names)


def test_a_policy_asks_in_all_its_languages():
    words = {"nb": "Hvordan var det?"}
    with pytest.raises(ValueError, match="is missing sv, da, en"):
        policy_with(touchpoints={"a": {"words": words, "step": "room"}})
    with pytest.raises(ValueError, match="less than or equal to 4"):
        policy_with(complaint_up_to=5)


def test_complaints_are_unsettled_while_somebody_is_waited_for():
    settled_states = {
        State.CONFIRMED,
        State.CLOSED_NO_RESPONSE,
        State.WITHDRAWN,
        State.NOT_A_COMPLAINT,
        State.MERGED,
    }
    assert set(State) - settled_states == UNSETTLED
