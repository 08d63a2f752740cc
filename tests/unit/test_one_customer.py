"""One customer is one customer, however their name or address is spelt and whoever writes it down."""

from __future__ import annotations

import pytest
from pydantic_core import from_json

from shared.contracts.reasons import Reason
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.testing.builders import outbox
from tests.suites.services import SITE, Aboard
from tests.unit.test_compensation_incidents import given_in, small_incidents, the_incident

ADDRESS = "kim@example.org"
SPELLINGS = (ADDRESS, "KIM@Example.org", "kim+2@example.org", "k\u200bim@example.org")
NAMES = Pseudonyms(b"s")


@pytest.fixture
async def crowd(tmp_path) -> Aboard:
    return await Aboard(tmp_path, small_incidents()).begin()


async def write_down(aboard: Aboard, key: str, email: str | None, **more) -> str:
    """An employee's complaint for somebody, carried everywhere; its id."""
    contact = {} if email is None else {"contact": {"email": email}}
    wish = {"site": SITE, "text": "The soup was cold.", **contact, **more}
    async with aboard.http("complaints", aboard.bearer("e-ingrid")) as phone:
        answer = await phone.post("/v1/complaints", json=wish, headers={"Idempotency-Key": key})
    assert answer.status_code == 201
    await aboard.carry()
    return str(answer.json()["complaint_id"])


async def on_the_spot(aboard: Aboard, key: str, item: str = "sincere-words", **log):
    wish = {"on_the_spot": {"text": "Cold soup.", **log}, "item": item, "reason": "food"}
    answer = await aboard.post("checks", key, wish)
    await aboard.carry()
    return answer


async def test_twenty_complaints_with_one_address_are_no_incident_and_get_no_twenty_checks(
    crowd: Aboard,
):
    """INV-10: an employee does not make a crowd of themselves."""
    for number in range(10):
        mine = await write_down(crowd, f"k{number}", SPELLINGS[number % 4])
        await on_the_spot(crowd, f"s{number}", contact={"email": SPELLINGS[number % 4]})
    assert (await crowd.get("incidents")).json()["incidents"] == []
    others = [await write_down(crowd, f"o{number}", f"o{number}@example.org") for number in (1, 2)]
    incident = await the_incident(crowd)
    assert incident["affected"] == 3
    await crowd.post(f"incidents/{incident['incident_id']}/give", "g")
    await crowd.ring("compensation")
    given = await given_in(crowd)
    assert (len(given), set(others) < set(given)) == (3, True)
    wish = {"incident_id": incident["incident_id"]}
    again = await crowd.give(mine, "taxfree-card/20000", "k", **wish)
    assert (again.status_code, again.json()["type"]) == (409, Reason.ALREADY_COMPENSATED)


async def test_who_leaves_neither_name_nor_address_is_somebody_by_themselves(crowd: Aboard):
    """A receptionist who writes down three guests wrote down three."""
    for number in range(3):
        await write_down(crowd, f"k{number}", None)
    assert (await the_incident(crowd))["affected"] == 3


async def test_what_an_address_was_given_before_is_its_history_and_counts_in_its_limits(
    crowd: Aboard,
):
    await on_the_spot(crowd, "s", "cinema", contact={"email": ADDRESS})
    complaint = await write_down(crowd, "k", "Kim@example.org")
    found = (await crowd.get(f"options?complaint={complaint}")).json()
    assert [gift["item"] for gift in found["history"]] == ["cinema"]
    checks = next(one for one in found["left"] if one["scope"] == "customer_checks")
    assert checks["left_minor"] == checks["ceiling_minor"] - 1


async def test_the_words_of_complaints_with_one_address_are_read_and_it_is_in_no_fact(
    crowd: Aboard,
):
    """INV-07: one key of their contacts and one of their words, and a pseudonym in its name."""
    for number in range(2):
        complaint = await write_down(crowd, f"k{number}", ADDRESS)
        async with crowd.http("complaints") as phone:
            shown = await phone.get(f"/v1/complaints/{complaint}")
        assert shown.json()["text"] == "The soup was cold."
    kinds = await crowd.types("complaints")
    assert kinds.count("customer-key.created") == 2
    for store in crowd.stores.values():
        lines = await outbox(store)
        kept = [(key, one.body) for key, one in store.kept.documents.items()]
        everything = repr([lines, kept, store.kept.accounts]).casefold()
        assert ADDRESS not in everything
    refs = {
        from_json(line.value)["data"].get("customer_ref")
        for line in await outbox(crowd.stores["complaints"])
    }
    assert len(refs - {None}) == 1


@pytest.mark.parametrize(
    "spelt",
    ["CAB-1", " cab-1", "cab-1\t", "c\u200bab-1", "\ufeffcab-1", "cab\u00ad-1", "ｃａｂ-1", "cab-1\u2800",
     "cab-1\ufe0f", "cab-1\x00"],
)  # fmt: skip
def test_a_name_that_looks_the_same_is_the_same_customer(spelt):
    assert NAMES.customer("/booking", spelt) == NAMES.customer("/booking", "cab-1")
    assert NAMES.customer("/booking", f"x  {spelt}") == NAMES.customer("/booking", "X cab-1")


def test_names_that_look_different_are_different_customers():
    named = ["cab-1", "cab-2", "cab 1", "cab1", "cáb-1", "1"]
    assert len({NAMES.customer("/booking", name) for name in named}) == len(named)


def test_whoever_was_known_before_spellings_were_compared_is_known_as_before():
    assert NAMES.customer("/booking", "cab-1") == "c-0d7f8b0e003473cd34ff8cbd44a16c66"
    assert NAMES.customer("/site/ms-aurora", "") == "c-776969a06b04b89287e82572a0f20e70"
    alone = NAMES.customer_of("co-1", "/booking", SITE, None, None)
    assert alone == "c-c5c556ee70fa8ac5426fd4d083e7b6d4"


async def test_a_name_of_nothing_that_is_seen_names_nobody(crowd: Aboard):
    """Three guests called by a blank are three guests; a publisher's are one, as it names none."""
    for number, blank in enumerate((" ", "\u200b", "\u2800")):
        await write_down(crowd, f"k{number}", None, customer=blank)
        await crowd.raise_complaint(number, customer=blank)
    assert (await the_incident(crowd))["affected"] == 4
    answer = await crowd.get("options?customer=%20")
    assert (answer.status_code, answer.json()["type"]) == (422, Reason.SCHEMA_INVALID)


async def test_an_employee_who_spells_a_guest_anew_writes_down_the_same_guest(crowd: Aboard):
    for number, name in enumerate(("cab-1", "CAB-1", " cab-1", "cab\u200b-1")):
        await write_down(crowd, f"k{number}", None, customer=name)
        await on_the_spot(crowd, f"s{number}", customer=name)
    assert (await crowd.get("incidents")).json()["incidents"] == []
