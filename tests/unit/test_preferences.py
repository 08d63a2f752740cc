"""Customers are told as they want to be, by what they said last, and end reminders with one click."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.notifier.channels.smtp import written
from services.notifier.messages.rules import next_channel
from services.notifier.preferences import rules
from services.notifier.preferences.api import Form, WrongField, preferences_of
from services.notifier.preferences.rules import Preferences
from shared.contracts.complaints import ComplaintForgotten, Language
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import MessageDeferred, Occasion, PreferencesChanged, Tells
from shared.contracts.policy import QuietHours
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.testing.clock import START
from tests.suites.services import Aboard
from tests.unit.test_erasure import document, erase, ref_of
from tests.unit.test_lifecycle import do
from tests.unit.test_notifier import message
from tests.unit.test_occasions import answers, changed, english, fates, last, link_in, settled

CONTACT = Contact(name="Kari", email="kari@example.org", phone="+4791234567")
BROWSER = {"Accept": "text/html"}


async def thanked(aboard: Aboard) -> tuple[str, str]:
    """A complaint whose customer was thanked, which is no letter about an open one, and the link in that letter."""
    name = await aboard.raise_complaint(
        text="The soup was a bit salty.", language="en", contact=CONTACT
    )
    await settled(aboard)
    await helped(aboard, name)
    return name, link_in(last(aboard), "p")


async def helped(aboard: Aboard, name: str) -> None:
    """The customer is given something, and says that it helped."""
    await aboard.give(name, "cinema", name)
    await settled(aboard)
    await answers(aboard, last(aboard), "yes")
    await settled(aboard)


async def choose(aboard: Aboard, link: str, **form: str) -> httpx.Response:
    async with aboard.http("notifier", "") as customer:
        return await customer.post(link, data=form)


async def two_channels(tmp_path: Path, **notify: Any) -> Aboard:
    return await Aboard(tmp_path, changed(channels=["email", "sms"], **notify)).begin()


# ---- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", Language)
async def test_the_page_is_in_the_customers_language_and_opening_it_changes_nothing(
    aboard: Aboard, language: Language
):
    _, link = await thanked(aboard)
    await choose(aboard, link, language=language)
    before = await aboard.facts("notifier")
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(link, headers=BROWSER)
        back = await customer.get(f"{link}/unsubscribe", headers=BROWSER)
    assert f'<html lang="{language}">' in page.text
    assert f'<option value="{language}" selected>' in page.text
    assert "<script" not in page.text
    assert (back.status_code, back.headers["location"]) == (303, link)
    assert await aboard.facts("notifier") == before


async def test_what_is_chosen_is_shown_and_a_browser_comes_back_to_the_page(aboard: Aboard):
    _, link = await thanked(aboard)
    form = {"tells": "answers", "starts": "21:00", "ends": "09:30", "timezone": "America/New_York"}
    async with aboard.http("notifier", "") as customer:
        answer = await customer.post(link, data=form, headers=BROWSER)
        page = await customer.get(answer.headers["location"], headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{link}?saved")
    for part in (
        'value="answers" selected',
        'value="21:00"',
        'value="09:30"',
        'value="America/New_York"',
    ):
        assert part in page.text
    assert "Saved" in page.text


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"tells": "nothing"}, "tells"),
        ({"channel": "pigeon"}, "channel"),
        ({"language": "xx"}, "language"),
        ({"starts": "21:00"}, "ends"),
        ({"ends": "21:00"}, "starts"),
        ({"starts": "21:00", "ends": "21:00"}, "ends"),
        ({"starts": "21:00+02:00", "ends": "07:00"}, "starts"),
        ({"starts": "late", "ends": "07:00"}, "starts"),
        ({"timezone": "Europe"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Oslo"}, "timezone"),
    ],
)
async def test_a_field_that_cannot_be_is_said_on_the_page_and_nothing_changes(
    aboard: Aboard, form: dict[str, str], field: str
):
    with pytest.raises(WrongField, match=field):
        preferences_of(Form(**form))
    _, link = await thanked(aboard)
    answer = await choose(aboard, link, **form)
    assert answer.status_code == 422
    assert f'id="why-{field}"' in answer.text
    assert PreferencesChanged.TYPE not in {one["type"] for one in await aboard.facts("notifier")}


def test_what_is_left_empty_is_as_the_site_has_it():
    assert preferences_of(Form()) == Preferences()
    found = preferences_of(Form(starts="22:00", ends="07:00", timezone=" Europe/Oslo "))
    assert found.quiet_hours == QuietHours(starts=time(22), ends=time(7))
    assert found.timezone == "Europe/Oslo"


async def test_the_same_form_changes_once_and_a_later_one_counts(aboard: Aboard):
    _, link = await thanked(aboard)
    for once, tells in (("a", "answers"), ("a", "answers"), ("b", "everything"), ("c", "answers")):
        await choose(aboard, link, once=once, tells=tells)
    said = [
        f["tells"] for f in await aboard.facts("notifier") if f["type"] == PreferencesChanged.TYPE
    ]
    assert said == ["answers", "everything", "answers"]


async def test_what_an_erased_customer_wanted_is_forgotten_and_their_link_opens_nothing(
    aboard: Aboard,
):
    name, link = await thanked(aboard)
    await choose(aboard, link, tells="answers", timezone="America/New_York")
    ref = await ref_of(aboard, name)
    await erase(aboard, ref)
    await aboard.carry()
    kept = document(aboard, "notifier", f"preferences:{ref}")
    wanted = Preferences.model_validate(kept)
    assert wanted == Preferences(forgotten_at=wanted.forgotten_at)
    async with aboard.http("notifier", "") as customer:
        for answer in (await customer.get(link), await customer.post(f"{link}/unsubscribe")):
            assert answer.json()["type"] == Reason.LINK_INVALID
        assert (await customer.get("/p/forged")).json()["type"] == Reason.LINK_INVALID


@pytest.mark.parametrize("erased_after", [-1, 0, 1])
def test_what_was_wanted_before_an_erasure_is_forgotten_in_whichever_order_it_is_heard(
    erased_after: int,
):
    said = PreferencesChanged(
        customer_ref="cu-" + "0" * 32, site="s", tells=Tells.ANSWERS, changed_at=START
    )
    gone = ComplaintForgotten(
        complaint_id="co-1",
        customer_ref=said.customer_ref,
        forgotten_at=START + timedelta(seconds=erased_after),
    )
    one = rules.forgotten(rules.changed(None, said), gone)
    assert one == rules.changed(rules.forgotten(None, gone), said)
    assert one.tells is (Tells.ANSWERS if erased_after < 0 else Tells.EVERYTHING)


# ---- one click -----------------------------------------------------------------------------------


async def test_one_click_in_a_mail_program_ends_reminders_and_thanks_and_nothing_else(
    aboard: Aboard,
):
    """RFC 8058: a POST without cookies to the address in the header, twice if the program likes."""
    _, link = await thanked(aboard)
    letter = last(aboard)
    mail = written(letter, letter.sender, letter.recipient, aboard.clock())
    assert mail["List-Unsubscribe"] == f"<http://test{link}/unsubscribe>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    async with aboard.http("notifier", "") as program:
        for _ in range(2):
            answer = await program.post(
                f"{link}/unsubscribe", data={"List-Unsubscribe": "One-Click"}
            )
            assert answer.status_code == 200
    name = await aboard.raise_complaint(1, text="The tea was a bit cold.", contact=CONTACT)
    await settled(aboard)
    await helped(aboard, name)
    found = await fates(aboard)
    assert found[Occasion.THANKED] == ["sent", Reason.NOT_WANTED]
    assert found[Occasion.ACKNOWLEDGEMENT] == ["sent", "sent"]


async def test_letters_that_must_come_cannot_be_unsubscribed_from(aboard: Aboard):
    await thanked(aboard)
    for letter in aboard.postbox.letters[:-1]:
        mail = written(letter, letter.sender, letter.recipient, aboard.clock())
        assert "List-Unsubscribe" not in mail


@pytest.mark.parametrize("occasion", Occasion)
def test_what_must_be_known_is_told_whatever_is_chosen(occasion: Occasion):
    optional = {
        Occasion.FEEDBACK_ASKED,
        Occasion.CHECK_EXPIRING,
        Occasion.THANKED,
        Occasion.PROMISE_AT_RISK,
        Occasion.PROMISE_BROKEN,
    }
    assert Preferences().wants(occasion)
    assert Preferences(tells=Tells.ANSWERS).wants(occasion) is (occasion not in optional)


# ---- what was said last counts -------------------------------------------------------------------


async def test_preferences_that_change_while_a_message_waits_hold_for_it(tmp_path: Path):
    """Case 42: the language and the hours are those of now, not those of when it was queued."""
    aboard = await two_channels(tmp_path)
    name, link = await thanked(aboard)
    other = await aboard.raise_complaint(
        1, text="The tea was cold.", language="en", contact=CONTACT
    )
    await settled(aboard)
    assert name != other
    await do(aboard, other, "ask", question="Which one was it?")
    await aboard.carry()
    await choose(aboard, link, language="da", starts="10:00", ends="20:00", timezone="UTC")
    await aboard.ring()
    waits = [f for f in await aboard.facts("notifier") if f["type"] == MessageDeferred.TYPE]
    assert [datetime.fromisoformat(one["due_at"]).hour for one in waits] == [20]
    await choose(aboard, link, language="sv", starts="10:00", ends="21:00", timezone="UTC")
    aboard.later(hours=6.5)
    await aboard.ring()
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == ["queued"]
    aboard.later(hours=1)
    await aboard.ring()
    assert "Hej" in last(aboard).body
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == ["sent"]


async def test_a_channel_that_is_chosen_while_a_message_waits_is_the_one_it_goes_by(tmp_path: Path):
    """Case 42: once, by the newer channel."""
    aboard = await two_channels(tmp_path)
    name, link = await thanked(aboard)
    other = await aboard.raise_complaint(
        1, text="The tea was cold.", language="en", contact=CONTACT
    )
    await settled(aboard)
    await do(aboard, other, "ask", question="Which one was it?")
    await aboard.carry()
    await choose(aboard, link, channel="sms")
    letters = len(aboard.postbox.letters)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.QUESTION_ASKED] == [Reason.OTHER_CHANNEL, "sent"]
    assert (len(aboard.postbox.letters), len(aboard.phone.letters)) == (letters, 1)
    assert name != other


async def test_who_chose_a_channel_is_told_by_it_first_and_by_the_other_if_it_fails(tmp_path: Path):
    aboard = await two_channels(tmp_path)
    _, link = await thanked(aboard)
    await choose(aboard, link, channel="sms")
    aboard.phone.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    letters = len(aboard.postbox.letters)
    await aboard.raise_complaint(1, text="The tea was cold.", language="en", contact=CONTACT)
    await settled(aboard)
    assert (await fates(aboard))[Occasion.ACKNOWLEDGEMENT][1:] == [Reason.ADDRESS_REFUSED, "sent"]
    assert len(aboard.postbox.letters) == letters + 1


def test_the_chosen_channel_comes_first_where_the_site_has_it():
    both = (MessageChannel.EMAIL, MessageChannel.SMS)
    assert Preferences(channel=MessageChannel.SMS).channels(both) == [*reversed(both)]
    assert Preferences().channels(both) == [*both]
    assert Preferences(channel=MessageChannel.SMS).channels(both[:1]) == [MessageChannel.EMAIL]


def test_a_message_on_a_channel_that_the_site_dropped_goes_by_the_chosen_one():
    wanted = [MessageChannel.SMS]
    assert next_channel(message(), Reason.OTHER_CHANNEL, wanted) is MessageChannel.SMS
    assert next_channel(message(), Reason.ADDRESS_REFUSED, wanted) is None


async def test_a_role_mailbox_is_told_whatever_the_customer_chose(tmp_path: Path):
    aboard = await two_channels(tmp_path)
    _, link = await thanked(aboard)
    await choose(aboard, link, channel="sms", tells="answers", starts="00:00", ends="23:59")
    await aboard.raise_complaint(
        1, text="I slipped and broke my arm.", language="en", contact=CONTACT
    )
    await settled(aboard)
    assert set((await fates(aboard))[Occasion.SAFETY]) == {"sent"}


async def test_a_letter_has_the_link_only_where_it_can_be_unsubscribed_from(aboard: Aboard):
    await english(aboard)
    assert "/p/" not in " ".join(letter.body for letter in aboard.postbox.letters)
