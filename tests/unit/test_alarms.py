"""A word about safety reaches the site's role mailboxes, once, with neither the name nor the words of the customer."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from services.notifier.safety.rules import alarmed
from services.notifier.settings import Settings
from services.notifier.wording.wording import Wording
from shared.contracts.compensation import Safety, SafetyNoted
from shared.contracts.complaints import Language, reference_of
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Notify
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.mailboxes import RoleMailbox, load
from shared.runtime.privacy.keys import CustomerKey
from shared.runtime.strict_yaml import BrokenFile
from shared.testing.clock import START
from tests.suites.services import MASTER, Aboard, demo_policy

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
    for hidden in ("Kari", "example.org", "Nuts", check["code"], "e-ingrid"):
        assert hidden not in letter.subject + letter.body
    assert await fates(aboard) == [
        "safety.routed", "message.queued", "message.attempted", "message.sent",
    ]  # fmt: skip


async def test_what_a_customer_writes_of_safety_is_a_letter_too_also_without_a_contact(
    aboard: Aboard,
):
    complaint_id = await aboard.raise_complaint(text=NUTS, contact=None)
    (letter,) = await told(aboard)
    assert reference_of(complaint_id) in letter.body
    assert "peanut" not in letter.body


async def test_the_letter_says_where_to_go_and_nothing_that_was_hidden_in_it(aboard: Aboard):
    """Anybody may type anything as a place."""
    hostile = "Lugar 412,\n\u202e<b>now</b>"
    await aboard.raise_complaint(text=NUTS, place=hostile, contact=None)
    (letter,) = await told(aboard)
    assert "Lugar 412, <b>now</b>, Aurora" in letter.body
    assert letter.html is not None
    assert "<b>now" not in letter.html


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
    aboard.later(minutes=5)
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
        "kinds": kinds.split(),
        "site_name": "MS Aurora",
        "place": "",
        "reference": "co-1",
        "heard_at": "now",
    }
    letter = Wording().render(Occasion.SAFETY, language, told)
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
    assert aboard.phone.letters[0].short.endswith(f" {reference_of(name)}")
    assert name not in aboard.phone.letters[0].short
    assert await fates(aboard) == [
        "safety.routed", "message.queued", "message.attempted", "message.failed",
        "message.queued", "message.attempted", "message.sent",
    ]  # fmt: skip


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
