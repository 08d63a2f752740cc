"""A word about safety reaches the site's role mailboxes, once, with neither the name nor the words of the customer."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from services.notifier.channels import mime
from services.notifier.channels.ports import Letter
from services.notifier.messages.rules import ATTEMPT_LASTS
from services.notifier.safety.handlers import kinds_of
from services.notifier.safety.rules import Alarm, alarmed
from services.notifier.settings import Settings
from services.notifier.subjects.rules import Story
from services.notifier.wording.wording import Wording
from shared.contracts.compensation import Safety, SafetyNoted
from shared.contracts.complaints import Flag, Language, reference_of
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Notify
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mailboxes import RoleMailbox, load
from shared.runtime.observe import MESSAGES
from shared.runtime.privacy.keys import CustomerKey
from shared.runtime.privacy.links import SEEN_FOR
from shared.runtime.strict_yaml import BrokenFile
from shared.runtime.words import say
from shared.testing.clock import START
from tests.suites.services import MASTER, Aboard, Silence, demo_policy

OFFICER = "duty.officer@aurora.example"
NUTS = "I told them of my peanut allergy and had to use my EpiPen."


def policy_with(*mailboxes: str):
    notify = demo_policy().notify.model_copy(update={"safety": mailboxes})
    return demo_policy().model_copy(update={"notify": notify})


async def told(aboard: Aboard) -> list:
    await aboard.ring()
    await aboard.ring()
    return [letter for letter in aboard.postbox.letters if letter.recipient == OFFICER]


async def spot(aboard: Aboard, key: str = "k", **more):
    log = {"text": "Nuts in the dessert.", "contact": {"name": "Kari", "email": "kari@example.org"}}
    wish = {"on_the_spot": log, "item": "cinema", "reason": "food", "safety": "allergy", **more}
    answer = await aboard.post("checks", key, wish)
    await aboard.carry()
    return answer.json()


async def fates(aboard: Aboard) -> list[str]:
    found = []
    for fact in await aboard.facts("notifier"):
        if fact.get("occasion") == Occasion.SAFETY or fact["type"] == "recovery.safety.routed.v1":
            found.append(fact["type"].removeprefix("recovery.").removesuffix(".v1"))
    return found


async def test_what_an_employee_says_of_safety_is_a_letter_to_those_who_must_know(aboard: Aboard):
    """Kind, place and reference, and nothing personal."""
    check = await spot(aboard)
    (letter,) = await told(aboard)
    for shown in ("en allergi", "Aurora", reference_of(check["complaint_id"])):
        assert shown in letter.body
    mail = mime.written(letter, letter.sender, letter.recipient, aboard.clock())
    assert b"\nImportance: high\n" in mail
    for hidden in ("Kari", "example.org", "Nuts", check["code"], "e-ingrid"):
        assert hidden not in letter.subject + letter.body
    assert await fates(aboard) == [
        "safety.routed", "message.queued", "message.attempted", "message.sent",
    ]  # fmt: skip


@pytest.mark.parametrize("language", list(Language))
async def test_the_letter_and_its_page_are_in_the_first_language_of_the_site(
    tmp_path: Path, language: Language
):
    """Whatever the customer speaks."""
    others = [one for one in demo_policy().languages if one is not language]
    policy = demo_policy().model_copy(update={"languages": (language, *others)})
    aboard = await Aboard(tmp_path, policy).begin()
    await aboard.raise_complaint(text=NUTS, language=others[0])
    (letter,) = await told(aboard)
    assert say(language, "letter.safety.look") in " ".join(letter.body.split())
    assert say(language, "letter.safety.what") in letter.body
    assert say(language, "letter.safety.short_look") in letter.short
    async with aboard.http("notifier", "") as officer:
        page = await officer.get(link_in(letter), headers={"Accept": "text/html"})
    assert f'<html lang="{language}">' in page.text


async def test_what_a_customer_writes_of_safety_is_a_letter_too_also_without_a_contact(
    aboard: Aboard,
):
    complaint_id = await aboard.raise_complaint(text=NUTS, contact=None)
    (letter,) = await told(aboard)
    assert reference_of(complaint_id) in letter.body
    assert "en allergi" in letter.body
    assert "etter kundens egne ord" in " ".join(letter.body.split())
    assert "peanut" not in letter.body


@pytest.mark.parametrize("language", list(Language))
def test_what_the_words_speak_of_is_said_in_ours_after_what_employees_said(language: Language):
    story = Story(customer_ref="c", site="s", language=language, flags=tuple(Flag))
    alarm = Alarm(customer_ref="c", site="s", kinds=(Safety.ALLERGY,))
    kinds = kinds_of(alarm, story, language)
    assert kinds[0] == say(language, "safety.allergy")
    assert kinds[-1] == say(language, "letter.safety.by_words")
    assert len(kinds) == len(set(kinds)) == len(Flag)
    assert kinds_of(alarm, None, language) == kinds[:1]
    assert kinds_of(None, None, language) == []


async def test_the_letter_says_where_to_go_and_nothing_that_was_hidden_in_it(aboard: Aboard):
    """Anybody may type anything as a place."""
    hostile = "Lugar 412,\n\u202e<b>now</b>"
    await aboard.raise_complaint(text=NUTS, place=hostile, contact=None)
    (letter,) = await told(aboard)
    assert "Lugar 412, <b>now</b>, Aurora" in letter.body
    assert letter.html is not None
    assert "<b>now" not in letter.html


async def test_a_place_that_the_site_lists_is_said_in_the_language_of_the_letter(aboard: Aboard):
    """Not as the form or another system names it."""
    await aboard.raise_complaint(text=NUTS, place="restaurant", contact=None)
    (letter,) = await told(aboard)
    assert "Restauranten, Aurora" in letter.body
    assert "Restauranten." in letter.short


async def test_the_letter_waits_for_no_key_of_the_place(aboard: Aboard):
    await aboard.raise_complaint(text=NUTS, place="Lugar 412", contact=None)
    kept = aboard.stores["notifier"].kept.documents
    for name in [one for one in kept if one.startswith(f"{CustomerKey.KIND}:")]:
        del kept[name]
    (letter,) = await told(aboard)
    assert "Aurora" in letter.body
    assert "412" not in letter.body


async def test_one_complaint_is_one_letter_however_often_its_safety_is_spoken_of(aboard: Aboard):
    """INV-05: triage, the quick log and every wish may say it."""
    complaint_id = await aboard.raise_complaint(text=NUTS)
    assert len(await told(aboard)) == 1
    for number, kind in enumerate(["allergy", "child"]):
        await aboard.give(complaint_id, "cinema", f"k{number}", safety=kind, again=True)
        await aboard.carry()
    assert len(await told(aboard)) == 1
    assert not aboard.stores["notifier"].kept.timers.keys() & {f"alarm|{complaint_id}"}


async def test_what_does_not_fit_is_told_of_all_the_same(tmp_path):
    limits = demo_policy().limits.model_copy(
        update={"site": demo_policy().limits.site.model_copy(update={"per_day": 1})}
    )
    aboard = await Aboard(tmp_path, demo_policy().model_copy(update={"limits": limits})).begin()
    assert (await spot(aboard))["type"] == Reason.AUTHORITY_EXHAUSTED
    assert len(await told(aboard)) == 1


async def test_a_mailbox_that_nobody_knows_is_loud_and_holds_up_nothing(tmp_path):
    with capture_logs() as lines:
        aboard = await Aboard(tmp_path, policy_with("nobody", "duty-officer")).begin()
    assert ("unknown_mailbox", "nobody") in [(one["event"], one.get("mailbox")) for one in lines]
    await spot(aboard)
    with capture_logs() as lines:
        assert len(await told(aboard)) == 1
    assert "unknown_mailbox" in [one["event"] for one in lines]
    failed = [fact for fact in await aboard.facts("notifier") if "reason" in fact]
    assert [fact["reason"] for fact in failed] == [Reason.UNKNOWN_MAILBOX]
    assert any(letter.recipient == "kari@example.org" for letter in aboard.postbox.letters)


async def test_a_policy_without_mailboxes_is_loud_and_what_it_leads_to_is_a_fact(tmp_path):
    with capture_logs() as lines:
        aboard = await Aboard(tmp_path, policy_with()).begin()
        await spot(aboard)
        assert await told(aboard) == []
    assert [one["event"] for one in lines].count("safety_reaches_nobody") == 2
    assert await fates(aboard) == ["safety.routed"]


async def test_a_letter_that_the_mail_server_does_not_take_is_tried_again(aboard: Aboard):
    await spot(aboard)
    aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)] * 2
    assert await told(aboard) == []
    aboard.later(minutes=4)
    assert len(await told(aboard)) == 1


def test_what_employees_said_is_the_same_in_whatever_order_it_comes():
    """INV-06."""

    def noted(kind: Safety) -> SafetyNoted:
        return SafetyNoted(
            check_id="ck", site="s", complaint_id="co", customer_ref="c", employee_id="e",
            safety=kind, noted_at=START,
        )  # fmt: skip

    one = alarmed(alarmed(None, noted(Safety.FIRE)), noted(Safety.CHILD))
    other = alarmed(
        alarmed(alarmed(None, noted(Safety.CHILD)), noted(Safety.FIRE)), noted(Safety.FIRE)
    )
    assert one == other


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kinds", ["", *Safety, " ".join(Safety)])
def test_the_letter_reads_well_in_every_language_for_every_kind(language, kinds):
    told = {
        "again": "yes" if kinds else "",
        "seen_url": "https://aurora.example/s/x",
        "kinds": kinds.split(),
        "site_name": "MS Aurora",
        "place": "",
        "reference": "co-1",
        "heard_at": "now",
    }
    letter = Wording().render(Occasion.SAFETY, language, told)
    assert letter.short.count("co-1") == 1
    assert "MS Aurora" in letter.subject
    assert not {"{", "}", "_"} & set(letter.subject + letter.text)


# ---- a second channel ----------------------------------------------------------------------------

BRIDGE = "bridge@aurora.example"
NUMBER = "+4791234567"


async def with_mailboxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **mailboxes: RoleMailbox
) -> Aboard:
    monkeypatch.setattr("services.notifier.app.load", lambda _path: mailboxes)
    return await Aboard(tmp_path, policy_with(*mailboxes)).begin()


async def alarm(aboard: Aboard, *failures: Exception) -> tuple[str, list[str]]:
    """Somebody writes of their safety without a contact: the complaint, and the numbers that were told."""
    aboard.postbox.failures.extend(failures)
    name = await aboard.raise_complaint(text=NUTS, contact=None)
    for _ in range(4):
        await aboard.ring()
    return name, [letter.recipient for letter in aboard.phone.letters]


async def test_a_mailbox_that_a_letter_does_not_reach_is_told_by_its_number(tmp_path, monkeypatch):
    aboard = await with_mailboxes(
        tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE, phone=NUMBER)
    )
    name, numbers = await alarm(aboard, Rejected(Reason.ADDRESS_REFUSED))
    assert numbers == [NUMBER]
    (message,) = aboard.phone.letters
    assert message.short.count(reference_of(name)) == 1
    assert "Hva: " in message.short
    assert "Se etter med en gang." in message.short
    assert "siste meldingen" not in message.short
    assert name not in message.short
    assert await fates(aboard) == [
        "safety.routed", "message.queued", "message.attempted", "message.failed",
        "message.queued", "message.attempted", "message.sent",
    ]  # fmt: skip


async def test_a_mailbox_whose_letter_may_have_come_is_told_by_its_number_too(
    tmp_path, monkeypatch
):
    aboard = await with_mailboxes(
        tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE, phone=NUMBER)
    )
    aboard.postbox.failures = [Silence(), Silence()]
    await aboard.raise_complaint(text=NUTS, contact=None)
    for _ in range(4):
        await aboard.ring()
        aboard.later(seconds=ATTEMPT_LASTS.total_seconds())
    assert [letter.recipient for letter in aboard.phone.letters] == [NUMBER]


async def test_a_mailbox_that_a_letter_reaches_is_not_told_twice(tmp_path, monkeypatch):
    aboard = await with_mailboxes(
        tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE, phone=NUMBER)
    )
    _, numbers = await alarm(aboard)
    assert numbers == []
    assert [letter.recipient for letter in aboard.postbox.letters] == [BRIDGE]


async def test_a_mailbox_with_a_number_alone_is_told_by_it(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(phone=NUMBER))
    _, numbers = await alarm(aboard)
    assert (numbers, aboard.postbox.letters) == ([NUMBER], [])


async def test_two_mailboxes_that_letters_do_not_reach_are_both_told(tmp_path, monkeypatch):
    aboard = await with_mailboxes(
        tmp_path,
        monkeypatch,
        bridge=RoleMailbox(email=BRIDGE, phone=NUMBER),
        doctor=RoleMailbox(email=OFFICER, phone="+4798765432"),
    )
    refused = Rejected(Reason.ADDRESS_REFUSED)
    _, numbers = await alarm(aboard, refused, refused)
    assert sorted(numbers) == [NUMBER, "+4798765432"]


async def test_a_mailbox_without_a_number_fails_as_before(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE))
    _, numbers = await alarm(aboard, Rejected(Reason.ADDRESS_REFUSED))
    assert numbers == []
    assert (await fates(aboard))[-1] == "message.failed"


# ---- seen, or told once more ---------------------------------------------------------------------

BOTH = RoleMailbox(email=BRIDGE, phone=NUMBER)


async def wait(aboard: Aboard, minutes: float = 5) -> None:
    """Let time pass, and whatever is due then happen."""
    aboard.later(minutes=minutes)
    for _ in range(4):
        await aboard.ring()


def link_in(letter: Letter) -> str:
    return "/s/" + letter.link.partition("/s/")[2]


async def listed(aboard: Aboard, **query: object) -> dict:
    async with aboard.http("notifier") as phone:
        return (await phone.get("/v1/safety", params=query)).json()


async def of_safety(aboard: Aboard) -> list[dict]:
    return [
        one for one in await aboard.facts("notifier") if one["type"].startswith("recovery.safety.")
    ]


async def press(aboard: Aboard, link: str, **headers: str) -> httpx.Response:
    async with aboard.http("notifier", "") as reader:
        return await reader.post(link, headers=headers)


async def test_a_safety_concern_that_nobody_has_seen_is_told_once_more_by_the_other_channel(
    tmp_path, monkeypatch
):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    name, numbers = await alarm(aboard)
    await wait(aboard, 4.9)
    assert (numbers, aboard.phone.letters) == ([], [])
    await wait(aboard, 0.1)
    (message,) = aboard.phone.letters
    assert message.recipient == NUMBER
    assert "Dette er den andre og siste meldingen." in message.short
    (one,) = (await listed(aboard))["alarms"]
    assert [(told["channel"], told["status"]) for told in one["told"]] == [
        ("email", "sent"), ("sms", "sent"),
    ]  # fmt: skip
    assert one["complaint_id"] == name
    assert one["retold_at"] is not None
    assert one["seen_at"] is one["unseen_at"] is None


def heard_in(letter: Letter) -> str:
    """The line that says when we heard of it."""
    lines = letter.body.replace("\xa0", " ").splitlines()
    (found,) = (line for line in lines if "Når vi fikk vite det" in line)
    return found


async def test_the_second_letter_says_when_it_was_heard_first(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE))
    await alarm(aboard)
    await wait(aboard)
    first, second = aboard.postbox.letters
    assert "andre og siste" in second.body
    assert heard_in(second) == heard_in(first)


async def test_it_is_told_twice_and_no_more_and_then_it_is_unseen(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    await alarm(aboard)
    with capture_logs() as lines:
        for _ in range(4):
            await wait(aboard)
    assert len(aboard.postbox.letters) == len(aboard.phone.letters) == 1
    assert [one["type"].split(".")[2] for one in await of_safety(aboard)] == [
        "routed", "retold", "unseen",
    ]  # fmt: skip
    said = [line["event"] for line in lines if line["event"].startswith("safety_")]
    assert said == ["safety_retold", "safety_unseen"]
    assert not [one for one in aboard.stores["notifier"].kept.timers if one.startswith("seen|")]


async def test_a_mailbox_without_a_number_is_told_by_mail_again(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE))
    await alarm(aboard)
    await wait(aboard)
    first, second = aboard.postbox.letters
    assert first.message_id != second.message_id
    assert "Ingen har sagt" not in first.body
    assert "Ingen har sagt" in second.body


async def test_a_mailbox_with_a_number_alone_is_sent_a_second_text_message(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(phone=NUMBER))
    await alarm(aboard)
    await wait(aboard)
    assert [letter.recipient for letter in aboard.phone.letters] == [NUMBER, NUMBER]


async def test_where_nobody_sends_text_messages_it_is_told_by_mail_again(tmp_path, monkeypatch):
    """A second try by a channel that does not work would be none."""
    monkeypatch.setattr("services.notifier.app.load", lambda _path: {"bridge": BOTH})
    policy = policy_with("bridge")
    notify = policy.notify.model_copy(update={"providers": {MessageChannel.SMS: ("nobody",)}})
    aboard = await Aboard(tmp_path, policy.model_copy(update={"notify": notify})).begin()
    await alarm(aboard)
    await wait(aboard)
    assert [letter.recipient for letter in aboard.postbox.letters] == [BRIDGE, BRIDGE]
    assert (await fates(aboard)).count("message.failed") == 0


async def test_while_the_mail_server_is_away_the_number_is_told_all_the_same(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    await alarm(aboard, *[Unavailable(Reason.MAIL_UNAVAILABLE)] * 20)
    await wait(aboard)
    assert [letter.recipient for letter in aboard.phone.letters] == [NUMBER]


async def test_a_site_says_how_long_it_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("services.notifier.app.load", lambda _path: {"bridge": BOTH})
    policy = policy_with("bridge")
    notify = policy.notify.model_copy(update={"safety_seen_within": timedelta(minutes=1)})
    aboard = await Aboard(tmp_path, policy.model_copy(update={"notify": notify})).begin()
    await alarm(aboard)
    await wait(aboard, 1)
    assert len(aboard.phone.letters) == 1
    for wrong in (timedelta(seconds=59), timedelta(hours=1, seconds=1)):
        with pytest.raises(ValidationError):
            Notify(mail_from="a@b.example", safety_seen_within=wrong)


async def test_who_presses_the_button_in_the_letter_has_seen_it_and_nobody_is_told_again(
    tmp_path, monkeypatch
):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    name, _ = await alarm(aboard)
    answer = await press(aboard, link_in(aboard.postbox.letters[0]))
    assert answer.json()["complaint_id"] == name
    await wait(aboard, 60)
    assert aboard.phone.letters == []
    (one,) = (await listed(aboard))["alarms"]
    assert (one["seen_mailbox"], one["seen_employee_id"]) == ("bridge", None)
    assert one["seen_at"] == answer.json()["seen_at"]
    assert [one["type"].split(".")[2] for one in await of_safety(aboard)] == ["routed", "seen"]


async def test_opening_the_link_changes_nothing_and_the_page_needs_no_script(tmp_path, monkeypatch):
    """Mail scanners open links too."""
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    name, _ = await alarm(aboard)
    link = link_in(aboard.postbox.letters[0])
    async with aboard.http("notifier", "") as reader:
        page = (await reader.get(link)).text
        await reader.head(link)
    assert len(await of_safety(aboard)) == 1
    assert page.count("<form") == page.count("<button") == 1
    assert reference_of(name) in page
    assert "peanut" not in page
    assert "<script" not in page
    pressed = await press(aboard, link, Accept="text/html")
    assert (pressed.status_code, pressed.headers["location"]) == (303, link)
    async with aboard.http("notifier", "") as reader:
        page = (await reader.get(link)).text
    assert "<button" not in page
    assert "Sett:" in page


async def test_a_button_pressed_twice_is_one_fact(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    await alarm(aboard)
    link = link_in(aboard.postbox.letters[0])
    first, again = await press(aboard, link), await press(aboard, link)
    assert first.json() == again.json()
    assert len(await of_safety(aboard)) == 2


@pytest.mark.parametrize("link", ["/s/forged", "/s/" + "x" * 900])
async def test_a_link_that_is_not_ours_opens_nothing(aboard: Aboard, link):
    async with aboard.http("notifier", "") as reader:
        answers = [await reader.get(link), await reader.post(link)]
    assert [one.json()["type"] for one in answers] == [Reason.LINK_INVALID] * 2


async def test_a_link_opens_nothing_after_its_time(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    await alarm(aboard)
    aboard.clock.advance(SEEN_FOR + timedelta(seconds=1))
    assert (await press(aboard, link_in(aboard.postbox.letters[0]))).status_code == 404


async def test_an_employee_of_the_site_may_say_that_they_saw_it_and_who_said_so_first_counts(
    tmp_path, monkeypatch
):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    name, _ = await alarm(aboard)
    aboard.later(minutes=1)
    for key in ("k", "k", "another"):
        async with aboard.http("notifier") as phone:
            said = await phone.post(f"/v1/safety/{name}/seen", headers={"Idempotency-Key": key})
        assert said.status_code == 200
        aboard.later(seconds=1)
    await press(aboard, link_in(aboard.postbox.letters[0]))
    (one,) = (await listed(aboard))["alarms"]
    assert (one["seen_mailbox"], one["seen_employee_id"]) == (None, "e-ingrid")
    await wait(aboard, 60)
    assert aboard.phone.letters == []


async def test_nobody_says_so_of_another_site_or_of_what_is_about_no_safety(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    name, _ = await alarm(aboard)
    soup = await aboard.raise_complaint(1)
    for bearer, about in (
        (aboard.bearer("e-ingrid"), soup),
        (aboard.bearer("e-nobody"), name),
        (aboard.bearer("e-ingrid", site="ms-borealis"), name),
        (aboard.bearer("e-ingrid", "manager"), name),
    ):
        async with aboard.http("notifier", bearer) as phone:
            refused = await phone.post(f"/v1/safety/{about}/seen", headers={"Idempotency-Key": "k"})
        assert refused.status_code in (403, 404), refused.text
    assert len(await of_safety(aboard)) == 1


async def test_it_may_be_seen_after_the_wait_has_ended(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    await alarm(aboard)
    for _ in range(3):
        await wait(aboard)
    await press(aboard, link_in(aboard.phone.letters[0]))
    (one,) = (await listed(aboard))["alarms"]
    assert one["seen_at"] > one["unseen_at"]


async def test_a_second_letter_that_waits_does_not_go_once_it_was_seen(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=RoleMailbox(email=BRIDGE))
    await alarm(aboard)
    aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)]
    await wait(aboard)
    await press(aboard, link_in(aboard.postbox.letters[0]))
    failed = MESSAGES.labels("safety", "failed")
    before = failed._value.get()
    await wait(aboard)
    assert failed._value.get() == before, "nobody is woken about a letter that nobody lacks"
    assert len(aboard.postbox.letters) == 1
    (one,) = (await listed(aboard))["alarms"]
    assert (one["told"][1]["status"], one["told"][1]["reason"]) == ("suppressed", "no_longer_true")


async def test_alarms_are_listed_the_newest_first_in_pages(tmp_path, monkeypatch):
    aboard = await with_mailboxes(tmp_path, monkeypatch, bridge=BOTH)
    names = []
    for number in range(3):
        names.append(await aboard.raise_complaint(number, text=NUTS, contact=None))
        await wait(aboard, 1)
    first = await listed(aboard, limit=2)
    second = await listed(aboard, limit=2, cursor=first["next"])
    found = [one["complaint_id"] for one in (*first["alarms"], *second["alarms"])]
    assert found == names[::-1]
    assert second["next"] is None


# ---- the operator's file -------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "mailboxes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_is_wrong_with_the_file_of_mailboxes_is_said_at_once(tmp_path):
    path = written(tmp_path, 'mailboxes:\n  "a b": x@ship.example\n  c: not an address\nmore: 1\n')
    with pytest.raises(BrokenFile) as broken:
        load(path)
    assert [problem.line for problem in broken.value.problems] == [2, 3, 4]
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "x",
        "REDIS_URL": "redis://x",
        "master_key": b64encode(MASTER).decode(),
        "jwks": "x",
    }
    with pytest.raises(ValidationError) as refused:
        Settings(**given, mailboxes=path, smtp_port=0)
    assert {error["loc"] for error in refused.value.errors()} == {("mailboxes",), ("smtp_port",)}
    with pytest.raises(ValidationError, match="cannot be read"):
        Settings(**given, mailboxes=tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "address", ["a@b\n", "a@b, c@d", "=?utf-8?q?x?=@b", "a b@c", "<a@b>", "å@b.no"]
)
def test_no_address_that_a_letter_could_not_go_to_is_taken(tmp_path, address):
    with pytest.raises(BrokenFile):
        load(written(tmp_path, f'mailboxes: {{duty: "{address}"}}'.replace("\n", "\\n")))


def test_a_mailbox_has_an_address_a_number_or_both(tmp_path):
    text = (
        "mailboxes:\n  a: a@ship.example\n  b: {email: b@ship.example, phone: '+4791234567'}\n"
        "  c: {phone: '+4791234567'}\n"
    )
    found = load(written(tmp_path, text))
    assert [len(found[name].channels) for name in "abc"] == [1, 2, 1]
    for wrong in ("{}", "{phone: '91234567'}", "{fax: '+4791234567'}"):
        with pytest.raises(BrokenFile):
            load(written(tmp_path, f"mailboxes: {{a: {wrong}}}"))


def test_a_policy_names_each_mailbox_once():
    with pytest.raises(ValidationError, match="lists one twice"):
        Notify(mail_from="a@b.example", safety=("x", "x"))
