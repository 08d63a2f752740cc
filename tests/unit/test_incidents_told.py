"""An incident has one voice: the same prepared words in letters and for everybody."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.complaints.selfservice.rules import (
    StandingIncident,
    incident_closed,
    incident_opened,
)
from services.notifier.incidents.handlers import Voice
from services.notifier.incidents.rules import SiteIncident
from services.notifier.messages.handlers import Messages
from services.notifier.subjects.rules import Story
from shared.contracts.compensation import IncidentClosed, IncidentOpened
from shared.contracts.complaints import Category
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard, demo_policy
from tests.unit.test_compensation_incidents import changed, complaints, page_of, the_incident
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import answers, fates, flat, last, link_in, settled

PUBLIC = f"/incidents/{SITE}.json"
WORDS = {
    "nb": "Kjøkkenet står. Kald mat er i baren.",
    "sv": "Köket står. Kall mat finns i baren.",
    "da": "Køkkenet står. Der er kold mad i baren.",
    "en": "The kitchen is closed. There is cold food in the bar.",
}


def with_words(words: dict[str, Any] | None = None, **notify: Any) -> Policy:
    """Three complaints make an incident, about which the site says these words."""
    base = demo_policy()
    incidents = {
        "open_when": {"count": 3, "within": "PT30M"},
        "give": "taxfree-card/20000",
        "budget": 1000_00,
        "words": {"food": WORDS} if words is None else words,
    }
    whole = base.model_dump(mode="json")
    return changed(base, incidents=incidents, notify={**whole["notify"], **notify})


@pytest.fixture
async def crowd(tmp_path: Path) -> Aboard:
    return await Aboard(tmp_path, with_words()).begin()


async def many(aboard: Aboard, count: int = 3, first: int = 0, **more: Any) -> list[str]:
    told = {"text": "The soup was cold.", "language": "en", **more}
    names = await complaints(aboard, count, first, **told)
    await settled(aboard)
    return names


async def public(aboard: Aboard, path: str = PUBLIC, **headers: str) -> Any:
    async with aboard.http("notifier", "") as anybody:
        return await anybody.get(path, headers=headers)


async def act(aboard: Aboard, what: str) -> None:
    incident = (await the_incident(aboard))["incident_id"]
    assert (await aboard.post(f"incidents/{incident}/{what}", what)).status_code < 300
    await settled(aboard)


async def test_everybody_affected_is_told_once_in_the_words_that_everybody_can_read(crowd: Aboard):
    await many(crowd)
    await many(crowd, 1, 3)  # joins
    letters = [one for one in crowd.postbox.letters if WORDS["en"] in flat(one)]
    assert len(letters) == 4
    assert (await fates(crowd))[Occasion.INCIDENT] == ["sent"] * 4
    assert link_in(letters[0], "m")
    (shown,) = (await public(crowd)).json()["incidents"]
    assert shown["words"] == WORDS
    assert (shown["category"], shown["state"], shown["until"]) == ("food", "open", None)


async def test_where_it_happened_to_one_customer_is_told_to_them_alone(crowd: Aboard):
    """It may be their cabin: the words of an incident are read by everybody."""
    await many(crowd, place="cabin")
    own = [one for one in crowd.postbox.letters if "(the cabin)" in flat(one)]
    incident = [one for one in crowd.postbox.letters if WORDS["en"] in flat(one)]
    assert (len(own), len(incident)) == (3, 3)
    assert not {one.message_id for one in own} & {one.message_id for one in incident}
    assert "cabin" not in (await public(crowd)).text


@pytest.mark.parametrize(
    ("language", "text"),
    [("nb", "Suppen var kald."), ("sv", "Soppan var kall."), ("da", "Suppen var kold.")],
)
async def test_the_words_are_in_the_customers_language(crowd: Aboard, language: str, text: str):
    await many(crowd, language=language, text=text)
    assert any(WORDS[language] in flat(one) for one in crowd.postbox.letters)


async def test_a_text_message_says_the_same(tmp_path: Path):
    policy = with_words(channels=["sms"], calling_code="47")
    aboard = await Aboard(tmp_path, policy).begin()
    await many(aboard, contact=Contact(name="Kari", phone="+4791234567"))
    assert any(WORDS["en"] in one.short for one in aboard.phone.letters)
    assert all(one.channel is MessageChannel.SMS for one in aboard.phone.letters)


async def test_what_is_given_is_shown_once_it_is_given(crowd: Aboard):
    await many(crowd)
    assert (await public(crowd)).json()["incidents"][0]["gives"] is None
    await act(crowd, "give")
    gives = (await public(crowd)).json()["incidents"][0]["gives"]
    assert gives == demo_policy().checks["taxfree-card"].title


async def test_a_closed_incident_is_shown_for_a_day_and_no_letter_goes_about_it(crowd: Aboard):
    await many(crowd)
    await act(crowd, "close")
    (shown,) = (await public(crowd)).json()["incidents"]
    assert shown["state"] == "closed"
    assert shown["until"] is not None
    crowd.later(hours=24)
    assert (await public(crowd)).json()["incidents"] == []


async def test_a_letter_that_waits_does_not_go_once_the_incident_is_over(tmp_path: Path):
    quiet = {"starts": "13:00", "ends": "23:00"}
    aboard = await Aboard(tmp_path, with_words(quiet_hours=quiet)).begin()
    await many(aboard)
    await act(aboard, "close")
    aboard.later(hours=12)
    await settled(aboard)
    assert set((await fates(aboard))[Occasion.INCIDENT]) == {Reason.NO_LONGER_TRUE}


async def test_whoever_took_their_complaint_back_gets_no_letter_that_waits(tmp_path: Path):
    quiet = {"starts": "13:00", "ends": "23:00"}
    aboard = await Aboard(tmp_path, with_words(quiet_hours=quiet)).begin()
    first, *_ = await many(aboard)
    await do(aboard, first, "withdraw")
    aboard.later(hours=12)
    await settled(aboard)
    told = (await fates(aboard))[Occasion.INCIDENT]
    assert sorted(told) == sorted([Reason.NO_LONGER_TRUE, "sent", "sent"])


async def test_whoever_said_that_it_helped_gets_no_letter_that_waits(tmp_path: Path):
    quiet = {"starts": "13:00", "ends": "23:00"}
    aboard = await Aboard(tmp_path, with_words(quiet_hours=quiet)).begin()
    first, *_ = await many(aboard)
    await aboard.give(first, "cinema", "k1")
    await settled(aboard)
    await answers(aboard, last(aboard), "yes")
    await settled(aboard)
    aboard.later(hours=12)
    await settled(aboard)
    told = (await fates(aboard))[Occasion.INCIDENT]
    assert sorted(told) == sorted([Reason.NO_LONGER_TRUE, "sent", "sent"])


async def test_without_words_nobody_is_written_to_and_no_screen_shows_it(tmp_path: Path):
    """Also once it is over: a screen would show the bare category, such as safety."""
    aboard = await Aboard(tmp_path, with_words({})).begin()
    await many(aboard)
    assert Occasion.INCIDENT not in await fates(aboard)
    assert (await the_incident(aboard))["reason"] == "food"
    assert (await public(aboard)).json()["incidents"] == []
    await act(aboard, "close")
    assert (await public(aboard)).json()["incidents"] == []


async def test_whoever_has_no_address_is_in_the_incident_and_gets_no_letter(crowd: Aboard):
    await many(crowd, contact=None)
    assert await fates(crowd) == {}
    assert len((await public(crowd)).json()["incidents"]) == 1


def opened_for(aboard: Aboard, *complaint_ids: str) -> IncidentOpened:
    """An incident that compensation opened, as the notifier reads it now."""
    return IncidentOpened(
        incident_id="in-1",
        site=SITE,
        reason=Category.FOOD,
        complaint_ids=complaint_ids,
        item="taxfree-card/20000",
        budget_minor=1000_00,
        currency="NOK",
        policy_version=1,
        opened_at=aboard.clock(),
    )


async def test_an_incident_waits_for_its_complaints_and_not_for_one_that_was_refused(crowd: Aboard):
    """A complaint that became a dead letter of ours does not hold up what comes after it."""
    records = [record(opened_for(crowd, "co-unknown"), 0)]
    crowd.complaints_read = False
    with pytest.raises(Unavailable):
        await crowd.feed("notifier", IncidentOpened.TOPIC, records, 9)
    crowd.complaints_read = True
    await crowd.feed("notifier", IncidentOpened.TOPIC, records, 9)
    assert await fates(crowd) == {}
    assert len((await public(crowd)).json()["incidents"]) == 1


async def test_a_notifier_that_was_away_for_an_hour_tells_everybody_whom_an_incident_affects(
    crowd: Aboard,
):
    """It may read of the incident before it reads of the complaints."""
    names = [await crowd.raise_complaint(number) for number in range(2)]
    await settled(crowd)
    before = len(crowd.postbox.letters)
    records = [record(opened_for(crowd, names[0], "co-late", names[1]), 0)]
    crowd.later(hours=1)
    crowd.complaints_read = False
    for _ in range(3):
        with pytest.raises(Unavailable):
            await crowd.feed("notifier", IncidentOpened.TOPIC, records, 9)
    crowd.complaints_read = True
    await crowd.feed("notifier", IncidentOpened.TOPIC, records, 9)
    await settled(crowd)
    letters = [flat(one) for one in crowd.postbox.letters[before:]]
    assert sum(any(words in one for words in WORDS.values()) for one in letters) == 2


async def test_a_complaint_that_comes_while_its_topic_is_looked_at_is_not_missing(crowd: Aboard):
    """The look at the topic's end is later than the look at the store."""
    name, voice = "co-late", Voice(Messages(), lambda: here, crowd._complaints_read)
    here = crowd.apps["notifier"].parts.settler.view()
    here._state[Story.key(name)] = Story.model_construct()
    with pytest.raises(Unavailable):
        await voice._never_come([name])


async def test_a_complaint_that_never_comes_is_logged_once(
    crowd: Aboard, capsys: pytest.CaptureFixture[str]
):
    """An input is decided about as often as another one in its batch has to wait."""
    voice = Voice(Messages(), crowd.apps["notifier"].parts.settler.view, crowd._complaints_read)
    for _ in range(3):
        await voice._never_come(["co-1"])
    assert capsys.readouterr().out.count("incident_of_unknown_complaint") == 1


async def test_any_page_may_read_it_and_a_copy_may_be_kept_for_a_moment(crowd: Aboard):
    await many(crowd)
    answer = await public(crowd, Origin="https://screens.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=30"
    again = await public(crowd, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await act(crowd, "close")
    assert (await public(crowd)).headers["etag"] != answer.headers["etag"]
    async with crowd.http("notifier", "") as anybody:
        assert (await anybody.post(PUBLIC)).status_code == 405


async def test_it_says_nothing_of_anybody(crowd: Aboard):
    """INV-07."""
    names = await many(crowd)
    told = (await public(crowd)).text
    for word in (*names, "Kari", "kari@example.org", "guest-", "soup", "e-ingrid"):
        assert word not in told
    assert set(json.loads(told)["incidents"][0]) == {
        "category",
        "state",
        "since",
        "until",
        "words",
        "gives",
    }


async def test_a_site_that_nobody_knows_has_none(crowd: Aboard):
    answer = await public(crowd, "/incidents/ms-nowhere.json")
    assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_SITE)


@pytest.mark.parametrize(
    "words",
    [
        {"food": {"en": "x"}},  # not in every language of the site
        {"food": {**WORDS, "en": ""}},
        {"food": {**WORDS, "en": "x" * 401}},
        {"weather": WORDS},
    ],
)
def test_words_are_in_every_language_of_the_site_and_short(words: dict[str, Any]):
    with pytest.raises(ValidationError):
        with_words(words)


def test_an_incident_is_a_document_without_anybody():
    fields = set(SiteIncident.model_fields)
    assert not fields & {"customers", "complaint_ids", "employee_id", "customer_ref"}


# ---- the page of a complaint ---------------------------------------------------------------------


async def mine(aboard: Aboard, complaint_id: str, what: str = "") -> str:
    """The page of a complaint, as its customer sees it."""
    async with aboard.http("complaints", "") as customer:
        page = await customer.get(f"{page_of(aboard, complaint_id)}{what}")
    assert page.status_code == 200
    return str(page.text)


@pytest.mark.parametrize("what", ["", "/thanks?language=en"])
async def test_the_words_are_on_the_page_also_of_who_left_no_address(crowd: Aboard, what: str):
    """No employee has to find them: whoever cannot be written to reads them here alone."""
    names = await many(crowd, 2)
    assert WORDS["en"] not in await mine(crowd, names[0], what)
    (nobody,) = await many(crowd, 1, 2, contact=None)
    assert WORDS["en"] in await mine(crowd, nobody, what)
    assert WORDS["en"] in await mine(crowd, names[0], what)
    await act(crowd, "close")
    assert WORDS["en"] not in await mine(crowd, nobody, what)


async def test_what_is_about_something_else_or_is_over_has_no_words(crowd: Aboard):
    names = await many(crowd)
    (other,) = await many(crowd, 1, 3, text="The music was loud all night.")
    assert WORDS["en"] not in await mine(crowd, other)
    await do(crowd, names[0], "withdraw")
    assert WORDS["en"] not in await mine(crowd, names[0])


async def test_a_merged_complaint_whose_matter_is_over_has_no_words(crowd: Aboard):
    (head,) = await many(crowd, 1)
    (other,) = await many(crowd, 1, 1)
    async with crowd.http("complaints", crowd.bearer("e-ingrid")) as phone:
        merged = await phone.post(
            f"/v1/complaints/{other}/merge",
            json={"into": head},
            headers={"Idempotency-Key": "m-1"},
        )
    assert merged.status_code == 200, merged.text
    await crowd.carry()
    await many(crowd, 3, 2)
    assert WORDS["en"] in await mine(crowd, other)
    await crowd.give(head, "cinema", "k1")
    await settled(crowd)
    await answers(crowd, last(crowd), "yes")
    await settled(crowd)
    assert WORDS["en"] not in await mine(crowd, other)


def test_incidents_are_known_the_same_in_whatever_order_their_topics_come():
    first = {"incident_id": "in-1", "site": SITE, "reason": Category.FOOD}
    second = {**first, "incident_id": "in-2"}
    began = {
        "item": "x",
        "budget_minor": 1,
        "currency": "NOK",
        "complaint_ids": (),
        "policy_version": 1,
    }
    a = IncidentOpened(**first, **began, opened_at=START)
    b = IncidentOpened(**second, **began, opened_at=START + timedelta(hours=2))
    end = IncidentClosed(**first, employee_id="e-1", closed_at=START + timedelta(hours=1))
    for order in ((a, end, b), (a, b, end), (b, a, end)):
        known: StandingIncident | None = None
        for fact in order:
            known = (
                incident_opened(known, fact)
                if isinstance(fact, IncidentOpened)
                else incident_closed(known, fact)
            )
        assert known is not None
        assert (known.incident_id, known.over) == ("in-2", False)
