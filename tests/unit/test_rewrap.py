"""Customers' keys are wrapped anew by another key, and the one before can be taken away."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

import services.complaints.customer.handlers as module
from services.complaints.settings import Settings
from shared.contracts.catalogue import WITH_CUSTOMERS
from shared.contracts.intake import ComplaintRaised
from shared.contracts.reasons import Reason
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed, CustomerKeyRewrapped
from shared.runtime.faults import Unavailable
from shared.runtime.privacy.seal import DERIVED, SealBroken, UnknownWrapping, Vault, wrapped_with
from shared.testing.builders import record
from tests.suites.services import MASTER, Aboard, raised
from tests.unit.test_erasure import ADDRESS, document, erase, ref_of
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt
from tests.unit.test_words_end import CANARY, shown

FIRST, SECOND = bytes(32), bytes([7]) * 32


def given(aboard: Aboard, *wrapping: bytes | None) -> None:
    """All services were started again with these wrapping keys."""
    for app in aboard.apps.values():
        vars(app.parts.vault).update(vars(Vault(MASTER, wrapping=wrapping)))


async def step(aboard: Aboard) -> int:
    """One step of the command; how many keys it wrapped anew."""
    parts = aboard.apps["complaints"].parts
    aboard.later(seconds=1)
    cause = f"command/rewrap/x/{aboard.clock().timestamp():.0f}"
    facts = await parts.settler.settle_internal(
        cause, "rewrap", partial(module.rewrapping, parts.vault)
    )
    return len(facts)


async def rewrap(aboard: Aboard) -> int:
    """The whole command."""
    done = 0
    while found := await step(aboard):
        done += found
    await aboard.carry()
    return done


def wrapped_by(aboard: Aboard, ref: str, *wrapping: bytes | None) -> int:
    """How many keys of a customer these wrapping keys open, of all that any service stores."""
    vault, stored = Vault(MASTER, wrapping=wrapping), 0
    everything = repr([store.kept.documents for store in aboard.stores.values()])
    for one in set(re.findall(r"v1\.[A-Za-z0-9_-]+", everything)):
        try:
            vault.unwrap(ref, one)
        except SealBroken:
            continue
        stored += 1
    return stored


async def may_begin(aboard: Aboard) -> bool:
    may_stream = aboard.apps["complaints"].may_stream
    assert may_stream is not None
    return await may_stream()


async def test_afterwards_the_key_before_opens_nothing_and_everything_can_be_read_without_it(
    aboard: Aboard,
):
    """Twice: from the derived key to one of its own, and on to another. Letters, checks and words go on."""
    complaint = await aboard.raise_complaint(text=CANARY)
    ref = await ref_of(aboard, complaint)
    for before, after in ((None, FIRST), (FIRST, SECOND)):
        given(aboard, after, before)
        assert await shown(aboard, complaint) == CANARY
        assert await rewrap(aboard) == 2
        assert wrapped_by(aboard, ref, before) == 0
        assert wrapped_by(aboard, ref, after) == 2
        given(aboard, after)
        assert await may_begin(aboard)
        assert await shown(aboard, complaint) == CANARY
        answer = await aboard.give(complaint, "cinema", f"k-{before}")
        assert answer.status_code == 201, answer.text
        await aboard.carry()
        await aboard.ring()
        assert aboard.postbox.letters[-1].recipient == ADDRESS
    assert await rewrap(aboard) == 0


async def test_a_command_that_was_killed_goes_on_and_wraps_each_key_once(tmp_path, monkeypatch):
    """INV-06: after each step, for each service."""
    monkeypatch.setattr(module, "STEP", 2)
    aboard = await Sailing(tmp_path).begin()
    for number in range(5):
        await aboard.raise_complaint(number, customer=f"cab-{number}")
    given(aboard, FIRST, None)
    assert 0 < await step(aboard) <= 8
    assert 0 < await rewrap(aboard) < 10
    facts = await aboard.facts("complaints")
    anew = [one["name"] for one in facts if one["type"] == CustomerKeyRewrapped.TYPE]
    assert (len(anew), len(set(anew))) == (10, 10)
    ids = {event["id"] for event in await aboard.events("complaints")}
    assert len(ids) == len(await aboard.events("complaints"))
    for owner in WITH_CUSTOMERS:
        again = comparable(await rebuilt(aboard, owner), aboard)
        assert differing(again, comparable(aboard.stores[owner], aboard)) == []


async def test_who_was_erased_stays_erased_and_who_is_erased_later_is_erased_by_the_same_name(
    aboard: Aboard,
):
    erased = await ref_of(aboard, await aboard.raise_complaint(0, customer="cab-0"))
    other = await ref_of(aboard, await aboard.raise_complaint(1, customer="cab-1"))
    await erase(aboard, erased)
    given(aboard, FIRST, None)
    assert await rewrap(aboard) == 2
    await erase(aboard, other)
    for service in WITH_CUSTOMERS:
        for ref in (erased, other):
            assert document(aboard, service, f"key:{ref}") == {"wrapped": []}
    events = await aboard.events("complaints")
    of_other = [one for one in events if str(one["subject"]).startswith(f"{other}/")]
    by_key: dict[str, list[str]] = {}
    for event in of_other:
        by_key.setdefault(event["subject"], []).append(event["type"])
    # Compaction keeps the last of each: a word, and no key.
    assert (
        list(by_key.values())
        == [[CustomerKeyCreated.TYPE, CustomerKeyRewrapped.TYPE, CustomerKeyDestroyed.TYPE]] * 2
    )
    again = record(
        CustomerKeyRewrapped(
            customer_ref=erased,
            name="0" * 16,
            wrapped=Vault(MASTER).new_key(erased)[1],
            rewrapped_at=aboard.clock(),
        ),
        0,
    )
    for service in ("compensation", "notifier"):
        await aboard.feed(service, CustomerKeyRewrapped.TOPIC, [again], 9)
        assert document(aboard, service, f"key:{erased}") == {"wrapped": []}


async def test_the_first_wrapping_that_comes_again_changes_nothing(aboard: Aboard):
    """As when a relay that died sends it again: every service keeps the later one."""
    await aboard.raise_complaint()
    ref = (await aboard.facts("complaints"))[-1]["customer_ref"]
    made = [one for one in await aboard.facts("complaints") if "wrapped" in one]
    given(aboard, FIRST, None)
    await rewrap(aboard)
    before = {service: document(aboard, service, f"key:{ref}") for service in WITH_CUSTOMERS}
    for offset, one in enumerate(made):
        again = record(CustomerKeyCreated.model_validate(one), offset)
        for service in WITH_CUSTOMERS:
            await aboard.feed(service, CustomerKeyCreated.TOPIC, [again], 9)
            assert document(aboard, service, f"key:{ref}") == before[service]


async def test_a_start_without_the_key_that_some_need_says_so_and_takes_nothing_in(
    aboard: Aboard,
):
    """One of many is enough; the key of a service that was started late is found by the command given again."""
    for number in range(3):
        await aboard.raise_complaint(number, customer=f"cab-{number}")
    given(aboard, FIRST, None)
    await rewrap(aboard)
    compensation = aboard.apps["compensation"].parts.vault
    vars(compensation).update(vars(Vault(MASTER, wrapping=(None, FIRST))))  # not started again yet
    wish = {"on_the_spot": {"text": "Cold.", "customer": "cab-9"}, "reason": "food"}
    assert (await aboard.post("checks", "k", {**wish, "item": "cinema"})).status_code == 201
    await aboard.carry()
    given(aboard, FIRST)
    with capture_logs() as logs:
        assert not await may_begin(aboard)
    assert [line["event"] for line in logs] == ["wrapping_key_missing"]
    with pytest.raises(Unavailable, match="wrapping_key_missing"):
        await step(aboard)
    given(aboard, FIRST, None)
    assert await may_begin(aboard)
    assert await rewrap(aboard) == 2
    given(aboard, FIRST)
    assert await may_begin(aboard)


async def test_a_key_that_cannot_be_unwrapped_makes_nobody_a_dead_letter(aboard: Aboard):
    complaint = await aboard.raise_complaint(0, customer="cab-7")
    given(aboard, FIRST)
    with pytest.raises(Unavailable, match="wrapping_key_missing"):
        await aboard.feed(
            "complaints", ComplaintRaised.TOPIC, [record(raised(customer="cab-7"), 1)]
        )
    assert await aboard.dead("complaints") == []
    async with aboard.http("complaints") as phone:
        answer = await phone.get(f"/v1/complaints/{complaint}")
    assert (answer.status_code, answer.json()["type"]) == (503, Reason.WRAPPING_KEY_MISSING)
    refused = await aboard.give(complaint, "cinema", "k")
    assert (refused.status_code, refused.json()["type"]) == (503, Reason.WRAPPING_KEY_MISSING)


async def test_a_store_that_is_away_lets_nothing_begin(aboard: Aboard, monkeypatch):
    async def away(*_: Any) -> Any:
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    monkeypatch.setattr(aboard.stores["complaints"], "range", away)
    assert not await may_begin(aboard)


def test_a_wrapped_key_says_which_key_wrapped_it_and_nothing_else_opens_it():
    old, new, both = (
        Vault(MASTER),
        Vault(MASTER, wrapping=[FIRST]),
        Vault(MASTER, wrapping=[FIRST, None]),
    )
    key, wrapped = old.new_key("c-1")
    sealed = key.seal("text", CANARY)
    anew = both.rewrap("c-1", wrapped)
    assert new.unwrap("c-1", anew).open("text", sealed) == CANARY
    assert both.unwrap("c-1", wrapped).open("text", sealed) == CANARY
    assert (wrapped_with(wrapped), wrapped_with(anew)) == (DERIVED, new.wraps_with)
    assert re.fullmatch(r"v1\.[A-Za-z0-9_-]+", anew)
    for vault, one in ((old, anew), (new, wrapped), (Vault(MASTER, wrapping=[SECOND]), anew)):
        with pytest.raises(UnknownWrapping):
            vault.unwrap("c-1", one)
    with pytest.raises(SealBroken):
        new.unwrap("c-2", anew)
    assert new.derive("pseudonym") == old.derive("pseudonym"), "pseudonyms and links stay"


def settings(**more: str) -> Settings:
    return Settings(
        **{
            "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
            "REDIS_URL": "redis://nowhere.invalid",
            "master_key": b64encode(MASTER).decode(),
            "jwks": "jwks.json",
            **more,
        }
    )


def test_settings_say_what_wraps_and_what_unwraps_as_well():
    first, second = (b64encode(key).decode() for key in (FIRST, SECOND))
    assert settings().wrapping == [None]
    assert settings(wrapping_key_also=first).wrapping == [None, FIRST]
    assert settings(wrapping_key=first, wrapping_key_also="derived").wrapping == [FIRST, None]
    assert settings(wrapping_key=second, wrapping_key_also=first).wrapping == [SECOND, FIRST]
    assert settings(wrapping_key=first).wrapping == [FIRST]
    for wrong in ({"wrapping_key": "derived"}, {"wrapping_key_also": "short"}):
        with pytest.raises(ValidationError, match="must be 32 bytes"):
            settings(**wrong)
