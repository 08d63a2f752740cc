"""Nobody has us send hundreds of letters: letters are counted, per address, and acknowledgements per sender."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from pydantic_core import from_json

from services.notifier.messages.rules import LETTERS_MAX, bounds_of
from shared.contracts.intake import ComplaintRaised, Contact
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Acknowledge
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.observe import MESSAGES
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.testing.builders import record
from tests.suites.services import Aboard, demo_policy, raised
from tests.unit.test_notifier import message
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

VICTIM = "kim@example.org"


def bounded(**limits: int):
    notify = demo_policy().notify.model_copy(update={"acknowledge": Acknowledge(**limits)})
    return demo_policy().model_copy(update={"notify": notify})


async def complain(aboard: Aboard, count: int, source: str = "/one", to: str = VICTIM, at: int = 0):
    """So many complaints, all to be acknowledged to one address unless it has a {}."""
    records = [
        record(
            raised(contact=Contact(email=to.format(number))), at + number, f"{source}-{number}",
            source=source,
        )
        for number in range(count)
    ]  # fmt: skip
    await aboard.feed("complaints", ComplaintRaised.TOPIC, records)
    await aboard.carry()


async def fates(aboard: Aboard) -> Counter[str]:
    return Counter(
        fact.get("reason", "sent")
        for fact in await aboard.facts("notifier")
        if fact["type"] in ("recovery.message.sent.v1", "recovery.message.failed.v1")
    )


async def test_a_stranger_cannot_have_us_fill_somebodys_mailbox(tmp_path):
    """What is above the limit is a fact with its reason; every complaint is taken all the same."""
    aboard = await Aboard(tmp_path, bounded(per_address=3)).begin()
    await complain(aboard, 12)
    await aboard.ring()
    assert len(aboard.postbox.letters) == 3
    assert await fates(aboard) == {"sent": 3, Reason.TOO_MANY_LETTERS: 9}
    assert (await aboard.types("complaints")).count("complaint.triaged") == 12


async def test_an_address_is_the_same_however_it_is_spelt_and_whoever_names_it(tmp_path):
    aboard = await Aboard(tmp_path, bounded(per_address=2)).begin()
    for number, to in enumerate([VICTIM, "KIM@Example.org", "kim+x@example.org", VICTIM]):
        await complain(aboard, 1, f"/source-{number}", to, number)
    await aboard.ring()
    assert await fates(aboard) == {"sent": 2, Reason.TOO_MANY_LETTERS: 2}


async def test_one_source_cannot_write_to_everybody(tmp_path):
    aboard = await Aboard(tmp_path, bounded(per_source=4)).begin()
    await complain(aboard, 6, "/one", "guest-{}@example.org")
    await complain(aboard, 3, "/two", "other-{}@example.org", 6)
    await aboard.ring()
    assert await fates(aboard) == {"sent": 7, Reason.TOO_MANY_LETTERS: 2}


async def test_a_customer_by_themselves_is_bounded_more_closely_than_a_system(tmp_path):
    aboard = await Aboard(tmp_path, bounded(per_person=2, per_source=5)).begin()
    for subject, kind in (("kim", "customer"), ("crm", "system")):
        async with aboard.http("complaints", aboard.bearer(subject, kind)) as client:
            for number in range(4):
                said = {
                    "site": "ms-aurora", "text": "Cold soup.",
                    "contact": {"email": f"{subject}-{number}@example.org"},
                }  # fmt: skip
                key = {"Idempotency-Key": f"{subject}-{number}"}
                answer = await client.post("/v1/complaints", json=said, headers=key)
                assert answer.status_code == 201
    await aboard.carry()
    await aboard.ring()
    assert await fates(aboard) == {"sent": 6, Reason.TOO_MANY_LETTERS: 2}


async def test_another_day_begins_from_zero(tmp_path):
    aboard = await Aboard(tmp_path, bounded(per_address=1)).begin()
    await complain(aboard, 2)
    await aboard.ring()
    aboard.later(days=1)
    await complain(aboard, 2, "/next", at=2)
    await aboard.ring()
    assert await fates(aboard) == {"sent": 2, Reason.TOO_MANY_LETTERS: 2}


async def test_the_limit_is_exact_when_many_are_sent_at_once_and_a_retry_counts_once(tmp_path):
    aboard = await Aboard(tmp_path, bounded(per_address=3)).begin()
    aboard.postbox.failures = [Unavailable(Reason.MAIL_UNAVAILABLE)] * 2
    await complain(aboard, 8)
    await asyncio.gather(aboard.ring(), aboard.ring(), aboard.ring())
    aboard.later(minutes=2)
    await aboard.ring()
    assert await fates(aboard) == {"sent": 3, Reason.TOO_MANY_LETTERS: 5}
    assert len(aboard.postbox.letters) == 3


async def apologise(aboard: Aboard, count: int, to: str = VICTIM, **more):
    """So many free apologies on the spot; the checks."""
    checks = []
    for number in range(count):
        log = {"text": "Cold soup.", "customer": f"guest-{number}", "contact": {"email": to}}
        wish = {"on_the_spot": log, "item": "sincere-words", "reason": "food", **more}
        answer = await aboard.post("checks", f"{to}-{number}", wish)
        assert answer.status_code == 201
        checks.append(answer.json())
    await aboard.carry()
    return checks


async def test_an_employees_apologies_do_not_fill_a_mailbox_and_each_stands_on_its_page(tmp_path):
    """What is not sent is a fact with its reason; other addresses get theirs."""
    aboard = await Aboard(tmp_path).begin()
    checks = await apologise(aboard, LETTERS_MAX + 10)
    await apologise(aboard, 1, "ola@example.org")
    counted = MESSAGES.labels("check_given", "failed")
    before = counted._value.get()
    await aboard.ring()
    assert await fates(aboard) == {"sent": LETTERS_MAX + 1, Reason.TOO_MANY_LETTERS: 10}
    assert counted._value.get() == before + 10
    written = Counter(letter.recipient for letter in aboard.postbox.letters)
    assert written == {VICTIM: LETTERS_MAX, "ola@example.org": 1}
    for check in checks:
        async with aboard.http("notifier", "") as browser:
            assert (await browser.get(check["link"])).status_code == 200


async def test_words_about_safety_are_never_too_many(tmp_path):
    aboard = await Aboard(tmp_path).begin()
    await apologise(aboard, LETTERS_MAX + 3, safety="allergy")
    await aboard.ring()
    await aboard.ring()
    written = Counter(letter.recipient for letter in aboard.postbox.letters)
    assert written.pop(VICTIM) == LETTERS_MAX
    assert set(written.values()) == {LETTERS_MAX + 3}


@pytest.mark.parametrize("occasion", [Occasion.CHECK_OFFERED, Occasion.REOPENED])
def test_letters_about_offers_and_after_a_no_count_by_themselves(occasion):
    letter = message().model_copy(update={"occasion": occasion})
    bounds = bounds_of(letter, Acknowledge(), 6, day="d", address_ref="a", sender_ref="pe-1")
    assert [bound for bound in bounds if not bound.joins] == [
        (f"letters/{occasion}/d/a", LETTERS_MAX, False)
    ]


async def test_what_a_customer_waits_for_comes_whatever_strangers_and_employees_have_us_write(
    tmp_path,
):
    """Five complaints in a day, each acknowledged, offered something and given something, beside a flood."""
    aboard = await Aboard(tmp_path, bounded(per_address=7)).begin()
    await complain(aboard, 7)
    complaints = [
        fact["complaint_id"]
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.complaint.triaged.v1"
    ]
    for number, complaint in enumerate(complaints[:5]):
        wish = {"complaint_id": complaint, "reason": "food", "items": ["cinema", "sincere-words"]}
        offered = await aboard.post("offers", f"o{number}", wish)
        assert offered.status_code == 201
        chosen = f"offers/{offered.json()['offer_id']}/choice"
        assert (await aboard.post(chosen, "c", {"item": "cinema"})).status_code == 201
    await complain(aboard, 7, "/flood", at=7)
    await aboard.ring()
    assert await fates(aboard) == {"sent": 7 + 5 + 5, Reason.TOO_MANY_LETTERS: 7}


async def test_a_rebuild_counts_what_was_sent_and_no_address_is_in_a_key(tmp_path):
    """INV-06, INV-07."""
    sailing = await Sailing(tmp_path, bounded(per_address=2)).begin()
    await complain(sailing, 3)
    await sailing.ring()
    made, store = await rebuilt(sailing, "notifier"), sailing.stores["notifier"]
    assert differing(comparable(made, sailing), comparable(store, sailing)) == []
    counted = {name: amount for name, amount in made.kept.accounts.items() if amount}
    assert sorted(counted.values()) == [2, 2, 2]  # by customer, address and sender
    everything = json.dumps([sorted(counted), [from_json(to) for to in bodies(sailing)]])
    assert "kim" not in everything
    assert "/one" not in json.dumps(sorted(counted))


def bodies(aboard: Aboard) -> list[bytes]:
    documents = aboard.stores["notifier"].kept.documents.items()
    return [found.body for key, found in documents if key.startswith(("message:", "story:"))]


@pytest.mark.parametrize(
    "other", [("l@example.org", "d"), ("kim@example.net", "d"), ("kim@example.org", "e")]
)
def test_a_mailbox_has_another_pseudonym_on_every_day_and_for_every_address(other):
    names = Pseudonyms(b"s")
    assert names.mailbox(*other) != names.mailbox(VICTIM, "d")
