"""Customers are told as they want to be, by what they said last, and end reminders with one click."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, time, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from services.compensation.offers import rules as offers
from services.complaints.customer.rules import ChosenLanguage, chosen, unchosen
from services.notifier.channels.mime import written
from services.notifier.messages.rules import next_channel
from services.notifier.preferences import rules
from services.notifier.preferences.api import PreferencesForm, WrongField, preferences_of
from services.notifier.preferences.rules import Preferences
from services.notifier.subjects.rules import customer_known
from shared.contracts.complaints import ComplaintForgotten, CustomerErased, Language
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import MessageDeferred, Occasion, PreferencesChanged, Tells
from shared.contracts.policy import QuietHours
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.testing.clock import START
from tests.suites.services import Aboard, YieldingStore
from tests.unit.test_erasure import document, erase, ref_of
from tests.unit.test_export import ask
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


async def test_the_pages_of_older_letters_are_in_the_language_that_was_chosen_since(
    aboard: Aboard,
):
    """Also for whom a link opens nothing any more; without a choice in that of the complaint."""
    name = await aboard.raise_complaint(
        text="The soup was a bit salty.", language="en", contact=CONTACT
    )
    await settled(aboard)
    pages = {"complaints": link_in(last(aboard), "m"), "notifier": ""}
    preferences = link_in(last(aboard), "p")
    await aboard.give(name, "cinema", name)
    await settled(aboard)
    pages["notifier"] = link_in(last(aboard), "f")
    wish = {"complaint_id": name, "items": ["dinner-for-two", "cinema"], "reason": "food"}
    pages["compensation"] = urlsplit((await aboard.post("offers", "o", wish)).json()["link"]).path

    async def languages() -> list[str]:
        found = []
        for service, path in pages.items():
            async with aboard.http(service, "") as customer:
                page = await customer.get(path, headers=BROWSER)
            found += re.findall(r'<html lang="(..)">', page.text)
        return found

    assert await languages() == ["en"] * 3
    for language in ("sv", "da"):
        await choose(aboard, preferences, language=language)
        await aboard.carry()
        assert await languages() == [language] * 3
    await choose(aboard, preferences, language="")
    await aboard.carry()
    assert await languages() == ["en"] * 3
    await choose(aboard, preferences, language="sv")
    await aboard.carry()
    aboard.later(days=400)
    assert await languages() == ["sv"] * 3


async def test_a_language_that_was_chosen_is_forgotten_with_the_customer(aboard: Aboard):
    name, link = await thanked(aboard)
    await choose(aboard, link, language="da")
    await aboard.carry()
    customer = await ref_of(aboard, name)
    key = ChosenLanguage.key(customer)
    for service in ("complaints", "compensation"):
        assert document(aboard, service, key)["language"] == Language.DA
    assert '<html lang="da">' in (await ask(aboard, f"{customer}/export.html")).text
    await erase(aboard, customer)
    await aboard.carry()
    for service in ("complaints", "compensation"):
        assert document(aboard, service, key) == {"erased": True}
    late = PreferencesChanged(
        customer_ref=customer, site="s", tells=Tells.EVERYTHING, language=Language.DA,
        changed_at=START,
    )  # fmt: skip
    erased = CustomerErased(customer_ref=customer, site="s", asked_by="operator", erased_at=START)
    for first in (None, ChosenLanguage(language=Language.SV)):
        assert chosen(unchosen(first, erased), late) == ChosenLanguage(erased=True)
    gone = offers.ChosenLanguage(erased=True)
    assert offers.language_chosen(gone, late) == gone


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
        ({"starts": "10:00:00.5", "ends": "10:00:00.9"}, "starts"),
        ({"starts": "10:00", "ends": "10:00:50"}, "ends"),
        ({"timezone": "Europe"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Oslo"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "posixrules"}, "timezone"),
        ({"timezone": "Factory"}, "timezone"),
        ({"timezone": "right/Europe/Oslo"}, "timezone"),
    ],
)
async def test_a_field_that_cannot_be_is_said_on_the_page_and_nothing_changes(
    aboard: Aboard, form: dict[str, str], field: str
):
    with pytest.raises(WrongField, match=field):
        preferences_of(PreferencesForm(**form))
    _, link = await thanked(aboard)
    answer = await choose(aboard, link, **form)
    assert answer.status_code == 422
    assert f'id="why-{field}"' in answer.text
    assert PreferencesChanged.TYPE not in {one["type"] for one in await aboard.facts("notifier")}


async def test_what_was_typed_stays_on_the_page_with_a_fault(aboard: Aboard):
    _, link = await thanked(aboard)
    form = {"tells": "answers", "language": "da", "starts": "21:00", "timezone": "<Mars>"}
    answer = await choose(aboard, link, **form)
    assert answer.status_code == 422
    for part in ('"answers" selected', '"da" selected', 'value="21:00"', 'value="&lt;Mars&gt;"'):
        assert part in answer.text


async def test_only_a_channel_with_an_address_is_offered_and_saved(tmp_path: Path):
    aboard = await two_channels(tmp_path)
    no_number = Contact(name="Kari", email="kari@example.org")
    name = await aboard.raise_complaint(
        text="The soup was a bit salty.", language="en", contact=no_number
    )
    await settled(aboard)
    await helped(aboard, name)
    link = link_in(last(aboard), "p")
    async with aboard.http("notifier", "") as customer:
        page = await customer.get(link, headers=BROWSER)
    assert '<option value="email" selected>' in page.text
    assert '<option value="sms"' not in page.text
    answer = await choose(aboard, link, channel="sms")
    assert (answer.status_code, 'id="why-channel"' in answer.text) == (422, True)
    assert PreferencesChanged.TYPE not in {one["type"] for one in await aboard.facts("notifier")}


def test_hours_without_length_that_were_stored_once_are_none():
    """Earlier builds took fractions of a second, and wrote them off."""
    stored = {"quiet_hours": {"starts": "10:00:00", "ends": "10:00:00"}}
    assert Preferences.model_validate(stored) == Preferences()
    fact = {"customer_ref": "c-1", "site": "ms-aurora", "tells": "everything", **stored}
    told = PreferencesChanged.model_validate({**fact, "changed_at": "2026-06-03T14:00:00Z"})
    assert told.quiet_hours is None


def test_what_is_left_empty_is_as_the_site_has_it():
    assert preferences_of(PreferencesForm()) == Preferences()
    found = preferences_of(PreferencesForm(starts="22:00", ends="07:00", timezone=" Europe/Oslo "))
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
    gone = CustomerErased(
        customer_ref=said.customer_ref,
        site="s",
        asked_by="k",
        erased_at=START + timedelta(seconds=erased_after),
    )
    one = rules.forgotten(rules.changed(None, said), gone)
    assert one == rules.changed(rules.forgotten(None, gone), said)
    assert one.tells is (Tells.ANSWERS if erased_after < 0 else Tells.EVERYTHING)


async def test_the_record_says_who_changed_what_a_customer_wants(tmp_path: Path):
    aboard = await Aboard(tmp_path, recording=True).begin()
    name, link = await thanked(aboard)
    await choose(aboard, link, tells="no_reminders")
    async with aboard.http("notifier", "") as program:
        await program.post(f"{link}/unsubscribe", data={"List-Unsubscribe": "One-Click"})
    desk = Desk(aboard, await ref_of(aboard, name))
    assert (await desk.put("*", **WANTED)).status_code == 200
    await aboard.carry()
    recorded = [
        one["record"]["details"]["author"]
        for one in await aboard.facts("audit")
        if one.get("record", {}).get("what") == PreferencesChanged.TYPE
    ]
    assert recorded == ["customer", "one_click", "employee"]


# ---- one click -----------------------------------------------------------------------------------


async def test_one_click_in_a_mail_program_ends_reminders_and_thanks_and_nothing_else(
    aboard: Aboard,
):
    """RFC 8058: a POST without cookies to the address in the header, twice if the program likes."""
    _, link = await thanked(aboard)
    letter = last(aboard)
    mail = message_from_bytes(written(letter, letter.sender, letter.recipient, aboard.clock()))
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
        mail = message_from_bytes(written(letter, letter.sender, letter.recipient, aboard.clock()))
        assert "List-Unsubscribe" not in mail


@pytest.mark.parametrize("occasion", Occasion)
def test_what_must_be_known_is_told_whatever_is_chosen(occasion: Occasion):
    optional = {
        Occasion.FEEDBACK_ASKED,
        Occasion.CHECK_EXPIRING,
        Occasion.THANKED,
        Occasion.PROMISE_AT_RISK,
        Occasion.PROMISE_BROKEN,
        Occasion.TOUCHPOINT_ASKED,
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


async def test_every_letter_to_a_customer_says_where_to_change_how_they_are_told(aboard: Aboard):
    name = await english(aboard)
    await do(aboard, name, "ask", question="Which lift was it?")
    await settled(aboard)
    assert len(aboard.postbox.letters) == 2
    for letter in aboard.postbox.letters:
        async with aboard.http("notifier", "") as customer:
            assert (await customer.get(link_in(letter, "p"))).status_code == 200
        # An answer is nothing to unsubscribe from.
        assert letter.unsubscribe == ""


# ---- over the API --------------------------------------------------------------------------------

WANTED = {
    "tells": "answers",
    "channel": "email",
    "language": "nb",
    "quiet_hours": {"starts": "21:00:00", "ends": "08:00:00"},
    "timezone": "Europe/Oslo",
}


class Desk:
    """Reads and writes the preferences of one customer as one kind of caller."""

    def __init__(self, aboard: Aboard, customer_ref: str, kind: str = "employee") -> None:
        self._aboard = aboard
        self._path = f"/v1/preferences/{customer_ref}"
        self._kind = kind
        self._keys = 0

    def _http(self) -> httpx.AsyncClient:
        subject = "e-ingrid" if self._kind == "employee" else "cabin-system"
        return self._aboard.http("notifier", self._aboard.bearer(subject, self._kind))

    async def get(self) -> httpx.Response:
        async with self._http() as http:
            return await http.get(self._path)

    async def put(self, tag: str | None, key: str | None = None, **wanted: Any) -> httpx.Response:
        self._keys += 1
        headers = {"Idempotency-Key": key or f"{self._kind}-{self._keys}"}
        headers |= {"If-Match": tag} if tag is not None else {}
        async with self._http() as http:
            return await http.put(self._path, json=wanted, headers=headers)


@pytest.mark.parametrize("kind", ["employee", "system"])
async def test_a_site_writes_down_what_a_customer_told_it(aboard: Aboard, kind: str):
    name = await english(aboard)
    desk = Desk(aboard, await ref_of(aboard, name), kind)
    before = await desk.get()
    assert before.json()["tells"] == Tells.EVERYTHING
    assert before.json()["changed_at"] is None
    written_down = await desk.put(before.headers["etag"], **WANTED)
    assert written_down.status_code == 200, written_down.text
    after = await desk.get()
    assert after.json() == written_down.json()
    assert after.json().items() >= WANTED.items()
    assert after.headers["etag"] == written_down.headers["etag"] != before.headers["etag"]
    (fact,) = [
        one for one in await aboard.facts("notifier") if one["type"] == PreferencesChanged.TYPE
    ]
    assert (fact["tells"], fact["author"]) == (Tells.ANSWERS, kind)
    # What is left out is as the site has it again.
    assert (await desk.put(after.headers["etag"])).json()["timezone"] is None


async def test_nobody_overwrites_what_the_customer_or_a_colleague_said_meanwhile(aboard: Aboard):
    name, link = await thanked(aboard)
    desk = Desk(aboard, await ref_of(aboard, name))
    tag = (await desk.get()).headers["etag"]
    await choose(aboard, link, tells="no_reminders")
    late = await desk.put(tag, **WANTED)
    assert (late.status_code, late.json()["type"]) == (412, Reason.CHANGED_MEANWHILE)
    missing = await desk.put(None, **WANTED)
    assert (missing.status_code, missing.json()["type"]) == (428, Reason.VERSION_MISSING)
    assert (await desk.get()).json()["tells"] == Tells.NO_REMINDERS
    assert (await desk.put("*", **WANTED)).status_code == 200


async def test_of_two_at_the_same_moment_one_is_told_that_it_changed(aboard: Aboard):
    name = await english(aboard)
    settler = aboard.apps["notifier"].parts.settler
    settler.store = YieldingStore(aboard.stores["notifier"], [2, 1, 3])
    desk = Desk(aboard, await ref_of(aboard, name))
    tag = (await desk.get()).headers["etag"]
    both = await asyncio.gather(desk.put(tag, tells="answers"), desk.put(tag, tells="no_reminders"))
    assert sorted(one.status_code for one in both) == [200, 412]


async def test_a_repeat_gets_the_answer_of_the_first_though_the_version_is_another(aboard: Aboard):
    name = await english(aboard)
    desk = Desk(aboard, await ref_of(aboard, name))
    tag = (await desk.get()).headers["etag"]
    first, again = [await desk.put(tag, "the-same", **WANTED) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tells": "nothing"},
        {"channel": "pigeon"},
        {"timezone": "Europe/Atlantis"},
        {"timezone": "../etc/passwd"},
        {"timezone": "localtime"},
        {"timezone": "Factory"},
        {"quiet_hours": {"starts": "21:00", "ends": "21:00"}},
        {"quiet_hours": {"starts": "21:00Z", "ends": "07:00"}},
        {"quiet_hours": {"starts": "10:00:00.5", "ends": "10:00:00.9"}},
        {"quiet_hours": {"starts": "10:00:00", "ends": "10:00:50"}},
        {"name": "Kari"},
    ],
)
async def test_what_the_page_would_not_take_is_refused(aboard: Aboard, wrong: dict[str, Any]):
    name = await english(aboard)
    desk = Desk(aboard, await ref_of(aboard, name))
    answer = await desk.put("*", **wrong)
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)


@pytest.mark.parametrize("what", ["m", "f"])
async def test_whoever_gets_text_messages_alone_finds_the_page_behind_each_link(
    tmp_path: Path, what: str
):
    """A text message has one link, and so none to this page."""
    aboard = await Aboard(tmp_path, changed(channels=["sms"], calling_code="47")).begin()
    phone = Contact(phone="+4791234567")
    complaint = await aboard.raise_complaint(language="en", contact=phone)
    if what == "f":
        await aboard.give(complaint, "cinema", "k")
    await settled(aboard)
    path = urlsplit(aboard.phone.letters[-1].link).path
    assert path.startswith(f"/{what}/")
    async with aboard.http("notifier" if what == "f" else "complaints", "") as guest:
        page = (await guest.get(path, headers=BROWSER)).text
    link = re.search(r'href="[^"]*(/p/[^"]+)"', page)
    assert link is not None
    async with aboard.http("notifier", "") as guest:
        assert (await guest.get(link[1])).status_code == 200
    await choose(aboard, link[1], tells="answers")
    assert (await aboard.facts("notifier"))[-1]["tells"] == "answers"


async def test_whoever_cannot_be_written_to_has_no_link_to_it(aboard: Aboard):
    given = await aboard.give(await aboard.raise_complaint(contact=None), "cinema", "k")
    await settled(aboard)
    path = urlsplit(given.json()["link"]).path
    async with aboard.http("notifier", "") as guest:
        assert "/p/" not in (await guest.get(path, headers=BROWSER)).text


async def test_a_time_zone_that_is_none_is_not_repeated(aboard: Aboard):
    name = await english(aboard)
    desk = Desk(aboard, await ref_of(aboard, name))
    for sent in ("kari@example.org", "Europe/+4791234567"):
        answer = await desk.put("*", timezone=sent)
        (wrong,) = answer.json()["errors"]
        assert wrong["detail"] == "It is not the time zone of a place, such as Europe/Oslo"
        assert sent not in answer.text


async def test_a_customer_who_is_unknown_or_was_erased_has_none(aboard: Aboard):
    stranger = Desk(aboard, "c-unknown")
    for answer in (await stranger.get(), await stranger.put("*", **WANTED)):
        assert (answer.status_code, answer.json()["type"]) == (404, Reason.UNKNOWN_CUSTOMER)
    name = await english(aboard)
    ref = await ref_of(aboard, name)
    await erase(aboard, ref)
    await settled(aboard)
    for answer in (await Desk(aboard, ref).get(), await Desk(aboard, ref).put("*", **WANTED)):
        assert (answer.status_code, answer.json()["type"]) == (409, Reason.CUSTOMER_ERASED)


async def test_an_employee_whom_the_roster_does_not_list_reads_and_writes_nothing(aboard: Aboard):
    name = await english(aboard)
    path = f"/v1/preferences/{await ref_of(aboard, name)}"
    async with aboard.http("notifier", aboard.bearer("e-nobody")) as phone:
        answer = await phone.get(path)
    assert (answer.status_code, answer.json()["type"]) == (403, Reason.UNKNOWN_EMPLOYEE)


def test_a_customer_of_a_site_is_known_by_the_same_complaint_in_whatever_order_facts_come():
    first, second = (
        ComplaintForgotten.model_construct(complaint_id=one) for one in ("co-1", "co-2")
    )
    there = customer_known(customer_known(None, first), second)  # type: ignore[arg-type]  # of a fact its id alone is read
    back = customer_known(customer_known(None, second), first)  # type: ignore[arg-type]  # of a fact its id alone is read
    assert there == back
