"""Words are sealed under a key of their month, and are gone for good when their time is over."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import services.complaints.customer.handlers as module
from services.complaints.customer.rules import WORDS
from shared.contracts.catalogue import REBUILD_RETENTION, WITH_CUSTOMERS
from shared.contracts.compensation import ComplaintLogged
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.months import end_of, month_after, month_before, month_of
from shared.contracts.policy import PolicyPublished, Retention
from shared.contracts.vault import (
    WORDS_KEPT,
    CustomerKeyCreated,
    CustomerKeyDestroyed,
    CustomerKeyRewrapped,
    last_over,
    name_of,
)
from shared.kernel import Fact
from shared.runtime.privacy.keys import KEY_FOLDS, CustomerKey
from shared.runtime.privacy.seal import SealBroken, Vault
from shared.testing.builders import record
from tests.suites.services import MASTER, SITE, Aboard, demo_policy
from tests.unit.test_erasure import ADDRESS, ask, document, erase, ref_of, sealed
from tests.unit.test_export import ask as ask_export
from tests.unit.test_export import exported
from tests.unit.test_one_customer import on_the_spot, write_down
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

CANARY = "canary in words"
#: How long the demo's site keeps words.
KEPT = demo_policy().retention.words
SHORT = timedelta(days=60)


async def publish(aboard: Aboard, kept: timedelta, version: int = 2) -> None:
    """A policy of the demo's site that keeps words for so long, heard by everybody."""
    policy = demo_policy().model_copy(update={"retention": Retention(words=kept)})
    head = PolicyPublished(site=SITE, version=version, policy=policy)
    for name in aboard.apps:
        await aboard.feed(name, PolicyPublished.TOPIC, [record(head, version)])


async def time_passes(aboard: Aboard, by: timedelta) -> None:
    """It passes, and the timers of complaints ring until none is left that is due."""
    aboard.clock.advance(by)
    for _ in range(20):
        aboard.later(seconds=1)
        await aboard.ring("complaints")
    await aboard.carry()


def until_over(aboard: Aboard, kept: timedelta) -> timedelta:
    """From now to when the words of this month are over."""
    return end_of(month_of(aboard.clock())) + kept - aboard.clock()


def opened(aboard: Aboard, ref: str) -> set[str]:
    """Everything that the master key and all that is stored can open of a customer."""
    vault = aboard.apps["complaints"].parts.vault
    stored = repr([store.kept.documents for store in aboard.stores.values()])
    found = set()
    for wrapped in set(re.findall(r"v1\.[A-Za-z0-9_-]+", stored)):
        try:
            key = vault.unwrap(ref, wrapped)
        except SealBroken:
            continue
        for text in sealed(aboard):
            for field in ("text", "contact", "explanation"):
                try:
                    found.add(key.open(field, text))
                except SealBroken:
                    continue
    return found


async def told(aboard: Aboard) -> str:
    """A complaint with a canary in its words."""
    return await aboard.raise_complaint(text=CANARY)


async def shown(aboard: Aboard, complaint: str) -> Any:
    async with aboard.http("complaints") as phone:
        answer = await phone.get(f"/v1/complaints/{complaint}")
    assert answer.status_code == 200, answer.text
    return answer.json()["text"]


async def test_words_are_gone_for_good_when_their_time_is_over_and_the_contact_is_not(
    aboard: Aboard,
):
    """INV-07: with the master key and every store. Exports and pages say so."""
    complaint = await told(aboard)
    ref = await ref_of(aboard, complaint)
    assert CANARY in opened(aboard, ref)
    await time_passes(aboard, until_over(aboard, KEPT))
    left = opened(aboard, ref)
    assert CANARY not in left
    assert any(ADDRESS in one for one in left)
    for service in WITH_CUSTOMERS:
        kept = document(aboard, service, f"key:{ref}")
        assert (len(kept["wrapped"]), kept.get("months")) == (1, None)
    assert await shown(aboard, complaint) is None
    (found,) = (await exported(aboard, ref))["complaints"]
    assert (found["text"], found["contact"]["email"]) == (None, ADDRESS)
    page = await ask_export(aboard, f"{ref}/export.html")
    assert "We do not keep these words any longer." in page.text


async def test_until_then_they_can_be_read(aboard: Aboard):
    complaint = await told(aboard)
    await time_passes(aboard, until_over(aboard, KEPT) - timedelta(minutes=2))
    assert await shown(aboard, complaint) == CANARY


async def test_a_policy_that_keeps_words_for_less_holds_for_those_that_are_there(aboard: Aboard):
    complaint = await told(aboard)
    ref = await ref_of(aboard, complaint)
    await time_passes(aboard, until_over(aboard, SHORT) - timedelta(days=1))
    await publish(aboard, SHORT)
    await time_passes(aboard, timedelta())
    assert CANARY in opened(aboard, ref)
    await time_passes(aboard, timedelta(days=1))
    assert CANARY not in opened(aboard, ref)
    again = await told_again(aboard)
    await publish(aboard, timedelta(days=30), version=3)
    await time_passes(aboard, until_over(aboard, timedelta(days=30)))
    assert await shown(aboard, again) is None


async def told_again(aboard: Aboard) -> str:
    return await aboard.raise_complaint(1, text=CANARY)


async def test_words_of_a_later_month_stay_and_a_customer_goes_on_to_be_served(aboard: Aboard):
    first = await told(aboard)
    await publish(aboard, SHORT)
    await time_passes(aboard, until_over(aboard, SHORT) - timedelta(days=20))
    second = await told_again(aboard)
    await time_passes(aboard, timedelta(days=20))
    assert (await shown(aboard, first), await shown(aboard, second)) == (None, CANARY)
    check = await aboard.give(first, "cinema", "k")
    assert check.status_code == 201, check.text
    await aboard.carry()
    await aboard.ring()
    assert aboard.postbox.letters[-1].recipient == ADDRESS
    third = await aboard.raise_complaint(2, text=CANARY)
    assert await shown(aboard, third) == CANARY


async def test_the_explanation_of_a_stretch_is_words_too(aboard: Aboard):
    complaint = await aboard.raise_complaint()
    ref = await ref_of(aboard, complaint)
    await aboard.give(complaint, "taxfree-card/50000", "a", "e-jonas")
    for key in ("b", "c"):
        check = (await aboard.give(complaint, "taxfree-card/100000", key, "e-jonas")).json()
    said = {"explanation": CANARY}
    bearer = aboard.bearer("e-jonas")
    answer = await aboard.post(f"checks/{check['check_id']}/explain", "x", said, bearer)
    assert answer.status_code == 200, answer.text
    await aboard.carry()
    path = f"checks/{check['check_id']}"
    assert (await aboard.get(path, bearer)).json()["explanation"] == CANARY
    await time_passes(aboard, until_over(aboard, KEPT))
    assert CANARY not in opened(aboard, ref)
    bearer = aboard.bearer("e-jonas")
    assert (await aboard.get(path, bearer)).json()["explanation"] is None


async def test_a_key_of_a_month_that_is_over_is_refused_and_destroyed(aboard: Aboard):
    complaint = await told(aboard)
    ref, month = await ref_of(aboard, complaint), month_of(aboard.clock())
    await time_passes(aboard, until_over(aboard, KEPT))
    before = {service: document(aboard, service, f"key:{ref}") for service in WITH_CUSTOMERS}
    _, wrapped = aboard.apps["complaints"].parts.vault.new_key(ref)
    late = record(CustomerKeyCreated(customer_ref=ref, wrapped=wrapped, month=month, site=SITE), 0)
    for service in WITH_CUSTOMERS:
        await aboard.feed(service, CustomerKeyCreated.TOPIC, [late], 9)
        assert document(aboard, service, f"key:{ref}") == before[service]
    last = (await aboard.facts("complaints"))[-1]
    assert (last["type"], last["name"], last["month"]) == (
        CustomerKeyDestroyed.TYPE,
        name_of(wrapped),
        month,
    )


async def test_an_erased_customer_has_no_key_of_any_month(aboard: Aboard):
    ref = await ref_of(aboard, await told(aboard))
    aboard.clock.advance(timedelta(days=40))
    await told_again(aboard)
    await erase(aboard, ref)
    facts = await aboard.facts("complaints")
    made = {name_of(one["wrapped"]) for one in facts if one["type"] == CustomerKeyCreated.TYPE}
    gone = [one for one in facts if one["type"] == CustomerKeyDestroyed.TYPE]
    assert ({one["name"] for one in gone}, len(gone)) == (made, 3)
    assert all("month" not in one for one in gone)
    for service in WITH_CUSTOMERS:
        assert document(aboard, service, f"key:{ref}") == {"wrapped": []}
    assert opened(aboard, ref) == set()


async def test_words_that_were_sealed_under_the_customers_key_can_still_be_read(aboard: Aboard):
    """As builds before month's keys sealed them, on both ways in."""
    ref, vault = "c-before", aboard.apps["complaints"].parts.vault
    key, wrapped = vault.new_key(ref)
    made = record(CustomerKeyCreated(customer_ref=ref, wrapped=wrapped), 0)
    await aboard.feed("complaints", CustomerKeyCreated.TOPIC, [made], 8)
    logged = ComplaintLogged(
        complaint_id="co-before",
        customer_ref=ref,
        site=SITE,
        employee_id="e-ingrid",
        reason=Category.FOOD,
        severity=Severity.MILD,
        language=Language.EN,
        text=key.seal("text", CANARY),
        logged_at=aboard.clock(),
    )
    await aboard.feed("complaints", ComplaintLogged.TOPIC, [record(logged, 0)], 8)
    assert await shown(aboard, "co-before") == CANARY


async def test_each_month_of_a_customer_has_one_key_however_much_they_say(aboard: Aboard):
    for number in range(3):
        complaint = await write_down(aboard, f"k{number}", ADDRESS)
        await on_the_spot(aboard, f"s{number}", contact={"email": ADDRESS})
    ref = await ref_of(aboard, complaint)
    for service in WITH_CUSTOMERS:
        kept = document(aboard, service, f"key:{ref}")
        ((month, keys),) = kept["months"].items()
        ((_, site),) = keys
        assert (month, site) == (month_of(aboard.clock()), SITE)
        assert len(kept["wrapped"]) == 1


async def test_a_decision_unwraps_no_more_keys_than_it_needs(aboard: Aboard, monkeypatch):
    complaint = await told(aboard)
    aboard.clock.advance(timedelta(days=40))
    await told_again(aboard)
    unwrapped: list[str] = []
    unwrap = Vault.unwrap

    def noted(self: Vault, ref: str, wrapped: str) -> Any:
        unwrapped.append(wrapped)
        return unwrap(self, ref, wrapped)

    monkeypatch.setattr(Vault, "unwrap", noted)
    assert (await aboard.give(complaint, "cinema", "k")).status_code == 201
    assert len(unwrapped) == 1
    await aboard.raise_complaint(2, text=CANARY)
    assert len(unwrapped) == 3, "the contact's and the words'"


async def test_words_of_many_customers_end_some_at_a_time_and_a_rebuild_agrees(
    tmp_path, monkeypatch
):
    """INV-06: after each step, for each service."""
    monkeypatch.setattr(module, "STEP", 2)
    aboard = await Sailing(tmp_path).begin()
    for number in range(5):
        await aboard.raise_complaint(number, customer=f"cab-{number}")
    aboard.clock.advance(until_over(aboard, KEPT))
    for done in (2, 4, 5, 5):
        aboard.later(seconds=1)
        await aboard.ring("complaints")
        assert (await aboard.types("complaints")).count("customer-key.destroyed") == done
    ids = {event["id"] for event in await aboard.events("complaints")}
    assert len(ids) == len(await aboard.events("complaints"))
    await aboard.carry()
    for owner in WITH_CUSTOMERS:
        again = comparable(await rebuilt(aboard, owner), aboard)
        assert differing(again, comparable(aboard.stores[owner], aboard)) == []
    assert f"words/{SITE}" not in aboard.stores["complaints"].kept.indexes


async def test_a_rebuild_in_between_agrees_too_and_looks_again_in_time(tmp_path):
    aboard = await Sailing(tmp_path).begin()
    await aboard.ring("complaints")
    complaint = await told(aboard)
    again = await rebuilt(aboard, "complaints")
    found, there = comparable(again, aboard), comparable(aboard.stores["complaints"], aboard)
    assert differing(found, there) == []
    (due,) = [at for timer, at in found["timers"].items() if timer.startswith(WORDS)]
    assert due > aboard.clock().timestamp() * 1000
    assert list(found["indexes"][f"words/{SITE}"]) == [f"key:{await ref_of(aboard, complaint)}"]


async def test_the_record_has_one_word_a_month_for_each_site(aboard: Aboard):
    """Nothing is counted twice by timers of policies that are not in force any more."""
    await aboard.ring("complaints")
    await publish(aboard, KEPT)
    for _ in range(70):
        await time_passes(aboard, timedelta(days=1))
    facts = await aboard.facts("complaints")
    months = [one["month"] for one in facts if one["type"] == "recovery.words.expired.v1"]
    assert len(months) in (4, 5)  # one for each policy, and one for each month that began
    assert months == sorted(months)


async def test_an_erasure_of_a_customer_whose_words_are_over_destroys_the_contacts_key(
    aboard: Aboard,
):
    ref = await ref_of(aboard, await told(aboard))
    await time_passes(aboard, until_over(aboard, KEPT))
    assert (await ask(aboard, "POST", ref)).status_code == 201
    assert document(aboard, "complaints", f"key:{ref}") == {"wrapped": []}


# ---- the order of facts on the vault topic -------------------------------------------------------

REF = "c-0"
VAULT = Vault(MASTER)
WRAPPED = [VAULT.new_key(REF)[1] for _ in range(6)]
MONTHS = ("2026-05", "2026-06", "2026-07")


def _created() -> list[Fact]:
    plain = [CustomerKeyCreated(customer_ref=REF, wrapped=one) for one in WRAPPED[:2]]
    of_months = [
        CustomerKeyCreated(customer_ref=REF, wrapped=one, month=month, site=site)
        for one, month, site in zip(
            WRAPPED[2:], ("2026-05", "2026-06", "2026-06", "2026-07"), "abab", strict=True
        )
    ]
    return [*plain, *of_months]


def _destroyed(month: str | None) -> Fact:
    at = end_of("2030-01")
    return CustomerKeyDestroyed(customer_ref=REF, name="0" * 16, destroyed_at=at, month=month)


def _rewrapped(number: int, month: str | None, site: str | None, seconds: int) -> Fact:
    """One of the keys above in another wrapping, made at such a time."""
    return CustomerKeyRewrapped(
        customer_ref=REF,
        name=name_of(WRAPPED[number]),
        wrapped=VAULT.rewrap(REF, WRAPPED[number]),
        month=month,
        site=site,
        rewrapped_at=end_of("2026-07") + timedelta(seconds=seconds),
    )


FACTS = [
    *_created(),
    *(_rewrapped(0, None, None, seconds) for seconds in (1, 2, 2)),
    _rewrapped(2, "2026-05", "a", 1),
    *(_rewrapped(3, "2026-06", "b", seconds) for seconds in (1, 3)),
    *map(_destroyed, MONTHS),
    _destroyed(None),
]


def folded(facts: list[Fact]) -> CustomerKey | None:
    """What such facts come to, as it is stored."""
    state: CustomerKey | None = None
    for fact in facts:
        ((fold,),) = (KEY_FOLDS[type(fact)],)
        assert fold.evolve is not None
        state = fold.evolve(state, fact)  # type: ignore[assignment]
    return None if state is None else CustomerKey.model_validate_json(state.model_dump_json())


@given(st.data())
def test_facts_of_keys_in_any_order_and_with_repeats_end_in_the_same_state(data: st.DataObject):
    some = data.draw(st.lists(st.sampled_from(FACTS), max_size=12))
    mixed = data.draw(
        st.permutations([*some, *data.draw(st.lists(st.sampled_from(some or FACTS)))])
    )
    mixed = [fact for fact in mixed if fact in some]
    one, other = folded(some), folded(mixed)
    assert (one and one.model_dump_json()) == (other and other.model_dump_json())


def test_whatever_an_erased_customer_is_given_they_stay_erased():
    for fact in FACTS:
        kept = folded([_destroyed(None), fact])
        assert kept is not None
        assert kept.erased
    over = folded([_destroyed("2026-06"), *_created()])
    assert over is not None
    assert (list(over.months), over.gone, len(over.wrapped)) == (["2026-07"], "2026-06", 2)


@given(st.integers(0, 600), st.integers(30, 731), st.integers(0, 31 * 86_400))
def test_a_month_is_over_exactly_when_the_time_after_its_end_has_passed(number, days, seconds):
    month, kept = f"{2020 + number // 12}-{number % 12 + 1:02}", timedelta(days=days)
    over = end_of(month) + kept
    assert last_over(over, kept) == month
    assert last_over(over - timedelta(microseconds=1), kept) == month_before(month)
    later = over + timedelta(seconds=seconds)
    assert last_over(later, kept) in (month, month_after(month))
    assert month_before(month_after(month)) == month


def test_the_default_is_the_products():
    assert Retention().words == WORDS_KEPT > KEPT


def test_topics_keep_words_at_least_as_long_as_anybody_may_read_them():
    assert WORDS_KEPT + timedelta(days=31) <= REBUILD_RETENTION


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (timedelta(days=732), "must not be above P731D: a policy may only shorten"),
        (timedelta(days=29), "must not be below P30D: whoever works on a case reads them"),
    ],
)
def test_a_policy_may_only_shorten_how_long_words_are_kept(kept, why):
    with pytest.raises(ValueError, match=why):
        Retention(words=kept)


def test_a_document_of_an_earlier_build_is_read_as_it_was():
    kept = CustomerKey.model_validate_json(b'{"wrapped":["v1.a"]}')
    assert (kept.erased, [one.wrapped for one in kept.every]) == (False, ["v1.a"])
    assert kept.model_dump_json(exclude_none=True) == '{"wrapped":["v1.a"]}'
    assert CustomerKey.model_validate_json(b'{"wrapped":[]}').erased
