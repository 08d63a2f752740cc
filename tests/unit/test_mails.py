"""A mail becomes a complaint, once; an answer to a letter becomes words of its complaint, from its customer alone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import yaml

from services.complaints.mail.accounts import load
from services.complaints.mail.rules import NO_SENDER_MAX, SENDER_MAX, WORDS_MAX
from services.complaints.selfservice.moves import WORDS_MAX as WORDS_A_DAY
from shared.contracts.reasons import Reason
from shared.runtime.engine.settle import ANSWER_TTL_S
from shared.runtime.faults import Rejected
from shared.runtime.mail.mailbox import Folder, RawMail
from shared.runtime.mail.reader import Fate
from shared.runtime.privacy.links import FOLLOWED_FOR, REPLY, replied_to, reply_address
from shared.runtime.strict_yaml import BrokenFile
from tests.suites.services import SITE, Aboard, forget_answers
from tests.unit.test_erasure import erase, ref_of
from tests.unit.test_lifecycle import do
from tests.unit.test_mail_parts import mail
from tests.unit.test_timeline import entries

REPLIES = "reply@aurora.example"
COMPLAINT, WORDS = Fate(Folder.TAKEN, "complaint"), Fate(Folder.TAKEN, "words")
REPEATED = Fate(Folder.TAKEN, "repeated")


@pytest.fixture
async def aboard(tmp_path) -> Aboard:
    """Services with a mailbox for complaints and an address for answers."""
    password, accounts = tmp_path / "password", tmp_path / "accounts.yaml"
    password.write_text("secret\n")
    account = {
        "host": "imap.invalid",
        "username": "a",
        "password_file": str(password),
        "site": SITE,
    }
    accounts.write_text(yaml.safe_dump({"accounts": {"aurora": account}}))
    return await Aboard(tmp_path, mail_accounts=accounts, reply_address=REPLIES).begin()


async def take(aboard: Aboard, raw: bytes) -> Fate:
    """What the reader of the mailbox does with a mail."""
    reader = aboard.apps["complaints"].beside_stream["mail"].__self__
    return await reader._take("aurora", RawMail(raw))


async def told(aboard: Aboard, text: str = "The soup was cold.", **fields: str) -> tuple[str, str]:
    """A complaint that came by mail, and the address for answers in its acknowledgement."""
    assert await take(aboard, mail(text, **fields)) == COMPLAINT
    await aboard.carry()
    await aboard.ring()
    await aboard.carry()
    (fact,) = [
        one for one in await aboard.facts("complaints") if one["type"].endswith("triaged.v1")
    ]
    return fact["complaint_id"], aboard.postbox.letters[-1].reply_to


def answer(to: str, words: str = "It was the fish soup.", number: int = 2, **fields: str) -> bytes:
    told = {
        "to": to, "message_id": f"<{number}@example.org>", "in_reply_to": "<me-1@ship.example>",
        "subject": "Re: Your complaint",
    }  # fmt: skip
    return mail(words, **{**told, **fields})


async def shown(aboard: Aboard, complaint_id: str) -> dict:
    async with aboard.http("complaints") as phone:
        return (await phone.get(f"/v1/complaints/{complaint_id}")).json()


async def words_of(aboard: Aboard, complaint_id: str) -> list[str]:
    """What the timeline says that the customer added."""
    return [
        one["text"] for one in await entries(aboard, complaint_id) if one["what"] == "words_added"
    ]


async def test_a_mail_is_a_complaint_of_its_sender_who_is_answered(aboard):
    complaint_id, reply_to = await told(aboard, "The soup was cold.", subject="Dinner")
    (letter,) = aboard.postbox.letters
    assert letter.recipient == "kim@example.org"
    assert "Kim" in letter.body
    assert re.fullmatch(r"reply\+[a-z2-7]{48}@aurora\.example", reply_to)
    found = await shown(aboard, complaint_id)
    assert found["text"] == "Dinner\n\nThe soup was cold."
    (received,) = [one for one in await aboard.facts("complaints") if "channel" in one]
    assert received["channel"] == "mail"


async def test_no_fact_and_no_store_has_what_a_mail_says_in_clear(aboard):
    """INV-07: neither words nor addresses, nor the Message-ID, which has an address in it."""
    await told(aboard, "A canary sang.", subject="Canary", message_id="<canary@example.org>")
    published = str(await aboard.events("complaints"))
    stored = str({key: one.body for key, one in aboard.stores["complaints"].kept.documents.items()})
    for canary in ("canary", "Canary", "kim@example.org", "Nordmann"):
        assert canary not in published
        assert canary not in stored


async def test_a_mail_that_is_read_again_changes_nothing(aboard):
    raw = mail()
    assert await take(aboard, raw) == COMPLAINT
    before = await aboard.types("complaints")
    assert await take(aboard, raw) == REPEATED
    assert await aboard.types("complaints") == before


async def test_a_mail_that_is_read_again_weeks_later_is_no_second_complaint(aboard):
    raw = mail()
    assert await take(aboard, raw) == COMPLAINT
    aboard.later(seconds=ANSWER_TTL_S + 1)
    forget_answers(aboard.stores["complaints"])
    await take(aboard, raw)
    assert (await aboard.types("complaints")).count("complaint.received") == 1


async def test_a_mail_that_comes_by_two_ways_is_one_complaint(aboard):
    """Each server writes fields of its own into what it passes on."""
    assert await take(aboard, mail(received="from a", delivered_to="all@ship.example")) == COMPLAINT
    assert await take(aboard, mail(received="from b", delivered_to="aft@ship.example")) == REPEATED


async def test_another_mail_under_a_known_message_id_is_for_a_person_to_look_at(aboard):
    assert await take(aboard, mail("Cold soup.")) == COMPLAINT
    assert await take(aboard, mail("Cold fish.")) == Fate(Folder.REFUSED, "conflicting")


async def test_a_machine_that_answers_us_without_saying_so_is_stopped_and_people_are_not(aboard):
    for number in range(SENDER_MAX):
        assert await take(aboard, mail(message_id=f"<{number}@a>")) == COMPLAINT
    assert await take(aboard, mail(message_id="<x@a>")) == Fate(Folder.REFUSED, "too_many")
    assert await take(aboard, mail(message_id="<y@a>", **{"from": "eva@example.org"})) == COMPLAINT
    aboard.later(hours=1)
    assert await take(aboard, mail(message_id="<x@a>")) == COMPLAINT


async def test_mails_whose_sender_cannot_be_used_share_a_bound_that_many_people_fit_in(aboard):
    nobody = {"from": "undisclosed"}
    for number in range(NO_SENDER_MAX):
        assert await take(aboard, mail(message_id=f"<{number}@a>", **nobody)) == COMPLAINT
    refused = await take(aboard, mail(message_id="<x@a>", **nobody))
    assert refused == Fate(Folder.REFUSED, "too_many")
    assert await take(aboard, mail(message_id="<y@a>")) == COMPLAINT


async def test_a_mail_that_was_taken_and_is_read_again_does_not_count_again(aboard):
    for _ in range(SENDER_MAX - 1):
        await take(aboard, mail())
    assert await take(aboard, mail()) == REPEATED
    for number in range(SENDER_MAX - 1):
        assert await take(aboard, mail(message_id=f"<{number}@a>")) == COMPLAINT
    assert await take(aboard, mail(message_id="<x@a>")) == Fate(Folder.REFUSED, "too_many")
    assert await take(aboard, mail()) == REPEATED


def test_two_accounts_of_one_folder_are_refused(tmp_path):
    password, path = tmp_path / "password", tmp_path / "accounts.yaml"
    password.write_text("secret")
    one = {"host": "h.example", "username": "a", "password_file": str(password), "site": SITE}
    two = {**one, "port": 993, "site": "ms-borealis"}
    path.write_text(yaml.safe_dump({"accounts": {"aurora": one, "borealis": two}}))
    with pytest.raises(BrokenFile, match="aurora and borealis are the same folder"):
        load(path)
    path.write_text(
        yaml.safe_dump({"accounts": {"aurora": one, "borealis": {**two, "folder": "B"}}})
    )
    assert set(load(path)) == {"aurora", "borealis"}


async def test_automatic_mail_leaves_no_trace(aboard):
    fate = await take(aboard, mail(auto_submitted="auto-replied"))
    assert fate == Fate(Folder.REFUSED, "automatic")
    assert await aboard.types("complaints") == []


async def test_attachments_are_named_in_the_language_of_the_words(aboard):
    parts = (
        "--b\r\n\r\nSoppan var kall och ingen kom till oss.\r\n"
        '--b\r\nContent-Disposition: attachment; filename="soppa.jpg"\r\n\r\nx\r\n--b--\r\n'
    )
    complaint_id, _ = await told(aboard, parts, content_type="multipart/mixed; boundary=b")
    assert (await shown(aboard, complaint_id))["text"].endswith("[1 bilaga i mejlet: soppa.jpg]")


async def test_a_mail_whose_site_has_no_policy_stays_where_it_is(tmp_path, aboard):
    store = aboard.stores["complaints"]
    for key in [key for key in store.kept.documents if key.startswith("policy")]:
        del store.kept.documents[key]
    with pytest.raises(Rejected) as refused:
        await take(aboard, mail())
    assert refused.value.reason is Reason.UNKNOWN_SITE


# ---- answers -------------------------------------------------------------------------------------


async def test_an_answer_to_a_letter_is_added_to_its_complaint_once(aboard):
    complaint_id, reply_to = await told(aboard)
    raw = answer(
        reply_to, "It was the fish soup.\n\nOn 30 Nov 2026, Aurora <a@b.example> wrote:\n> Hi"
    )
    assert await take(aboard, raw) == WORDS
    assert await take(aboard, raw) == REPEATED
    assert await words_of(aboard, complaint_id) == ["It was the fish soup."]
    assert (await aboard.types("complaints")).count("complaint.received") == 1


async def test_an_answer_answers_what_was_asked(aboard):
    complaint_id, reply_to = await told(aboard)
    await do(aboard, complaint_id, "claim")
    await do(aboard, complaint_id, "ask", question="Which soup?")
    assert await take(aboard, answer(reply_to)) == WORDS
    found = await shown(aboard, complaint_id)
    assert found["state"] == "claimed"


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ("the sender", {"from": "mallory@example.org"}),
        ("the name alone", {"from": '"kim@example.org" <mallory@example.org>'}),
        ("two senders", {"from": "kim@example.org, mallory@example.org"}),
        ("the token", {}),
        ("no token", {}),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_a_forged_answer_is_a_new_complaint_and_shows_and_changes_nothing(
    aboard, changed, fields
):
    complaint_id, reply_to = await told(aboard)
    before = await shown(aboard, complaint_id)
    if changed == "the token":
        wrong = "a" if reply_to[10] != "a" else "b"
        reply_to = reply_to[:10] + wrong + reply_to[11:]
    if changed == "no token":
        reply_to = REPLIES
    assert await take(aboard, answer(reply_to, **fields)) == COMPLAINT
    assert await words_of(aboard, complaint_id) == []
    assert (await shown(aboard, complaint_id))["state"] == before["state"]
    await aboard.carry()
    aboard.postbox.letters.clear()
    await aboard.ring()
    for letter in aboard.postbox.letters:
        assert "soup was cold" not in letter.body


async def test_an_answer_after_months_and_after_an_erasure_is_a_new_complaint(aboard):
    complaint_id, reply_to = await told(aboard)
    await erase(aboard, await ref_of(aboard, complaint_id))
    assert await take(aboard, answer(reply_to)) == COMPLAINT
    aboard.later(days=FOLLOWED_FOR.days + 2)
    assert await take(aboard, answer(reply_to, number=3)) == COMPLAINT


async def test_an_answer_opens_a_complaint_again_that_was_withdrawn(aboard):
    complaint_id, reply_to = await told(aboard)
    await do(aboard, complaint_id, "withdraw")
    assert await take(aboard, answer(reply_to, "It is cold again.")) == WORDS
    assert (await shown(aboard, complaint_id))["state"] == "reopened"
    assert await words_of(aboard, complaint_id) == ["It is cold again."]


@pytest.mark.parametrize(
    ("said", "state"),
    [("Yes!\n\nThank you.", "confirmed"), ("Nei", "reopened"), ("delvis", "reopened")],
)
async def test_yes_no_and_partly_say_whether_it_helped(aboard, said, state):
    complaint_id, reply_to = await told(aboard)
    await do(aboard, complaint_id, "claim")
    await do(aboard, complaint_id, "resolve", outcome="fixed")
    assert await take(aboard, answer(reply_to, said)) == WORDS
    assert (await shown(aboard, complaint_id))["state"] == state


async def test_words_where_a_yes_or_no_is_asked_for_are_a_new_complaint_that_somebody_reads(aboard):
    complaint_id, reply_to = await told(aboard)
    await do(aboard, complaint_id, "claim")
    await do(aboard, complaint_id, "resolve", outcome="fixed")
    assert await take(aboard, answer(reply_to, "The soup was cold once more.")) == COMPLAINT


async def test_answers_without_end_are_not_added(aboard):
    complaint_id, reply_to = await told(aboard)
    for number in range(WORDS_A_DAY):
        aboard.later(minutes=10)
        assert await take(aboard, answer(reply_to, number=10 + number)) == WORDS
    aboard.later(minutes=10)
    assert await take(aboard, answer(reply_to, number=99)) == Fate(Folder.REFUSED, "too_many")
    assert len(await words_of(aboard, complaint_id)) == WORDS_A_DAY


async def test_a_long_answer_is_cut(aboard):
    complaint_id, reply_to = await told(aboard)
    assert await take(aboard, answer(reply_to, "cold " * 5000)) == WORDS
    (words,) = await words_of(aboard, complaint_id)
    assert len(words) <= WORDS_MAX


async def test_a_letter_asks_for_no_answer_where_nobody_reads_it(tmp_path):
    aboard = await Aboard(tmp_path).begin()
    await aboard.raise_complaint()
    await aboard.ring()
    assert [letter.reply_to for letter in aboard.postbox.letters] == [""]
    assert dict(aboard.apps["complaints"].beside_stream) == {}


# ---- the address ---------------------------------------------------------------------------------

SECRET, NAME = b"s" * 32, "co-" + "0123456789abcdef" * 2


def test_an_address_for_answers_fits_into_a_mail_and_names_its_complaint(aboard):
    now = aboard.clock()
    address = reply_address(SECRET, "answers-to-us15@ship.example", NAME, now)
    assert len(address.partition("@")[0]) == 64
    for written in (address, address.upper()):
        assert replied_to(SECRET, ["other@ship.example", written], now) == NAME
    assert replied_to(SECRET, [address], now + FOLLOWED_FOR) == NAME
    assert replied_to(SECRET, [address], now + FOLLOWED_FOR + timedelta(days=2)) is None
    assert replied_to(b"another", [address], now) is None
    assert reply_address(SECRET, REPLIES, "co-short", now) == ""


def test_no_changed_character_of_an_address_is_taken(aboard):
    now = aboard.clock()
    address = reply_address(SECRET, "r@b", NAME, now)
    token = address[2:50]
    for place in range(48):
        other = "a" if token[place] != "a" else "b"
        changed = f"r+{token[:place]}{other}{token[place + 1 :]}@b"
        assert replied_to(SECRET, [changed], now) is None, place


def test_the_secret_of_addresses_is_of_no_other_purpose(aboard):
    vault = aboard.apps["complaints"].parts.vault
    assert len({vault.derive(name) for name in (REPLY, "mine", "feedback", "mail")}) == 4


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"site": None}, "aurora.site"),
        ({"password_file": "/nowhere"}, "password_file cannot be read"),
        ({"tls": "none"}, "in the clear"),
        ({"password": "x"}, "password"),
    ],
)
def test_a_file_of_mailboxes_that_is_wrong_is_refused_at_the_start(tmp_path, changed, wrong):
    (tmp_path / "password").write_text("secret")
    account = {
        "host": "imap.invalid", "username": "a", "password_file": str(tmp_path / "password"), "site": SITE, **changed,
    }  # fmt: skip
    given = {name: value for name, value in account.items() if value is not None}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"accounts": {"aurora": given}}))
    with pytest.raises(BrokenFile, match=wrong):
        load(tmp_path / "accounts.yaml")
