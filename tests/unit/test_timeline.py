"""What happened to a complaint, whoever added it and in whatever order it is heard of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from services.complaints.timeline.rules import (
    ENTRIES_MAX,
    FOR_CUSTOMER,
    OF_CHECK,
    OF_COMPLAINT,
    SLICE,
    SOMEBODY,
    Entry,
    Timeline,
    What,
    for_customer,
)
from shared.contracts.compensation import RedemptionCaptured
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import FeedbackReceived, Helped, MessageFailed, MessageSent, Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Fact
from shared.testing.builders import record
from shared.testing.clock import START
from tests.suites.services import SITE, Aboard
from tests.unit.test_erasure import document, erase, ref_of
from tests.unit.test_lifecycle import do
from tests.unit.test_promises import mild, passes, says_no
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt
from tests.unit.test_words_end import KEPT, time_passes, until_over

EXAMPLES = Path(__file__).parents[2] / "shared" / "contracts" / "examples"
TOLD = {**OF_COMPLAINT, **OF_CHECK}


async def read(aboard: Aboard, complaint_id: str, **params: Any) -> Any:
    async with aboard.http("complaints") as phone:
        answer = await phone.get(f"/v1/complaints/{complaint_id}/timeline", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def entries(aboard: Aboard, complaint_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await read(aboard, complaint_id, limit=100))["entries"]
    return found


async def whats(aboard: Aboard, complaint_id: str) -> list[str]:
    return [one["what"] for one in await entries(aboard, complaint_id)]


async def redeem(aboard: Aboard, code: str) -> None:
    hold = await aboard.post("redemptions", "r", {"code": code}, aboard.bearer("cinema", "till"))
    assert hold.status_code == 200, hold.text
    name = hold.json()["redemption_id"]
    await aboard.post(f"redemptions/{name}/capture", "c", {}, aboard.bearer("cinema", "till"))


async def test_a_timeline_has_what_everybody_added_oldest_first(aboard: Aboard):
    name = await aboard.raise_complaint()
    await aboard.ring()
    aboard.later(minutes=1)
    await do(aboard, name, "claim", "e-ingrid")
    aboard.later(minutes=1)
    await do(aboard, name, "ask", "e-ingrid", question="Which soup?")
    aboard.later(minutes=1)
    await do(aboard, name, "answer", "e-ingrid", answer="The fish soup.")
    aboard.later(minutes=1)
    check = (await aboard.give(name, "cinema", "k")).json()
    await aboard.carry()
    await aboard.ring()
    aboard.later(minutes=1)
    await redeem(aboard, check["code"])
    aboard.later(minutes=1)
    await do(aboard, name, "resolve", "e-ingrid", outcome="fixed", note="A new cook.")
    await aboard.carry()
    found = await entries(aboard, name)
    assert [(one["what"], one["who"]) for one in found] == [
        ("received", "customer"),
        ("promised", "service"),
        ("letter_sent", "service"),
        ("claimed", "employee"),
        ("asked", "employee"),
        ("answered", "employee"),
        ("check_given", "employee"),
        ("letter_sent", "service"),
        ("check_redeemed", "customer"),
        ("resolved", "employee"),
    ]
    assert [one["text"] for one in found if "text" in one] == [
        "The soup was cold and nobody came.",
        "Which soup?",
        "The fish soup.",
        "A new cook.",
    ]
    given, redeemed = found[6], found[8]
    assert (given["item"], given["amount_minor"], given["currency"]) == ("cinema", 25000, "NOK")
    assert given["check_id"] == redeemed["check_id"] == check["check_id"]
    assert redeemed["amount_minor"] == 25000


async def test_a_promise_is_named_where_it_is_made_moved_broken_and_made_again(aboard: Aboard):
    name = await mild(aboard)
    made = aboard.clock() + timedelta(hours=4)
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question="Which soup?")
    aboard.later(minutes=30)
    await do(aboard, name, "answer", answer="The fish soup.")
    await passes(aboard)
    await says_no(aboard, name)
    found = [one for one in await entries(aboard, name) if "promise_id" in one]
    assert [(one["what"], one["promise_id"].removeprefix(name)) for one in found] == [
        ("promised", "/0"),
        ("asked", "/0"),
        ("answered", "/0"),
        ("promise_broken", "/0"),
        ("reopened", "/1"),
    ]
    assert found[0]["promised_by"] == f"{made:%Y-%m-%dT%H:%M:%SZ}"
    assert found[2]["promised_by"] == f"{made + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    async with aboard.http("complaints") as phone:
        shown = (await phone.get(f"/v1/complaints/{name}")).json()
    assert shown["promise_id"] == f"{name}/1"
    facts = [one for one in await aboard.facts("complaints") if "promise_id" in one]
    assert [one["promise_id"].removeprefix(name) for one in facts] == ["/0"] * 4 + ["/1"]


async def test_the_letter_about_a_promise_names_it(aboard: Aboard):
    name = await mild(aboard)
    await says_no(aboard, name)
    await aboard.carry()
    queued = [one for one in await aboard.facts("notifier") if "queued_at" in one]
    assert [one.get("promise_id") for one in queued] == [f"{name}/0", f"{name}/1"]


async def test_what_is_heard_before_the_complaint_is_there_once_it_came(aboard: Aboard):
    """A letter, a till and an answer are heard of before the complaint and the check."""
    letter = MessageSent(
        message_id="me-1",
        complaint_id="co-1",
        occasion=Occasion.CHECK_GIVEN,
        attempt=1,
        sent_at=START,
    )
    await aboard.feed("complaints", MessageSent.TOPIC, [record(letter, 0)])
    captured = RedemptionCaptured(
        check_id="ck-1",
        site=SITE,
        redemption_id="re-1",
        amount_minor=5,
        currency="NOK",
        captured_at=START,
    )
    await aboard.feed("complaints", RedemptionCaptured.TOPIC, [record(captured, 0)])
    kept = (
        document(aboard, "complaints", "timeline:co-1"),
        document(aboard, "complaints", "timeline:ck-1"),
    )
    assert [one["entries"][0]["what"] for one in kept] == ["letter_sent", "check_redeemed"]


async def test_a_letter_that_goes_on_by_another_channel_or_that_nobody_lacks_is_no_failed_one(
    aboard: Aboard,
):
    told = {"message_id": "me-1", "complaint_id": "co-1", "occasion": Occasion.CHECK_GIVEN}
    went_on = MessageFailed(
        **told,
        reason=Reason.ADDRESS_REFUSED,
        failed_at=START,
        next_channel=MessageChannel.SMS,
    )
    sent = MessageSent(**told, attempt=1, sent_at=START)
    await aboard.feed("complaints", MessageSent.TOPIC, [record(went_on, 0), record(sent, 1)])
    for offset, reason in enumerate((Reason.NO_LONGER_TRUE, Reason.NOT_WANTED), 2):
        nobody_lacks = MessageFailed(**told, reason=reason, failed_at=START)
        await aboard.feed("complaints", MessageSent.TOPIC, [record(nobody_lacks, offset)])
    kept = document(aboard, "complaints", "timeline:co-1")
    assert [one["what"] for one in kept["entries"]] == ["letter_sent"]


async def test_pages_have_every_entry_once_and_an_answer_that_is_known_is_not_sent_again(
    aboard: Aboard,
):
    name = await aboard.raise_complaint()
    await aboard.ring()
    await do(aboard, name, "claim")
    for _ in range(3):
        aboard.later(seconds=1)
        await do(aboard, name, "handover", department="housekeeping")
        await do(aboard, name, "decline")
    await aboard.carry()
    every, cursor = [], None
    while True:
        page = await read(aboard, name, limit=2, **({"cursor": cursor} if cursor else {}))
        every += page["entries"]
        cursor = page["next"]
        if cursor is None:
            break
    assert every == await entries(aboard, name)
    assert len(every) == 10
    async with aboard.http("complaints") as phone:
        path = f"/v1/complaints/{name}/timeline"
        tag = (await phone.get(path)).headers["ETag"]
        assert (await phone.get(path, headers={"If-None-Match": tag})).status_code == 304
        given = (await phone.get(path, params={"limit": 2})).json()["next"]
        for wrong in ("x.y", "1.x", "0", given[:-1], given + "x"):
            answer = await phone.get(path, params={"cursor": wrong})
            assert answer.json()["type"] == "cursor_invalid", wrong


async def test_an_erased_customers_timeline_has_no_words(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question="Which soup?")
    await erase(aboard, await ref_of(aboard, name))
    found = await entries(aboard, name)
    assert [one["what"] for one in found][-1] == "forgotten"
    assert not any("text" in one for one in found)
    assert "words" not in repr(document(aboard, "complaints", f"timeline:{name}"))


async def test_words_whose_time_is_over_are_gone_from_the_timeline(aboard: Aboard):
    name = await aboard.raise_complaint()
    await do(aboard, name, "claim")
    await do(aboard, name, "ask", question="Which soup?")
    assert sum("text" in one for one in await entries(aboard, name)) == 2
    await time_passes(aboard, until_over(aboard, KEPT))
    assert not any("text" in one for one in await entries(aboard, name))


async def test_a_state_made_again_has_the_same_timelines(tmp_path):
    """INV-06: also where a check's life is read before the check."""
    sailing = await Sailing(tmp_path).begin()
    name = await sailing.raise_complaint()
    await do(sailing, name, "claim")
    await do(sailing, name, "ask", question="Which soup?")
    await do(sailing, name, "answer", answer="The fish soup.")
    check = (await sailing.give(name, "cinema", "k")).json()
    await sailing.carry()
    await sailing.ring()
    await redeem(sailing, check["code"])
    await sailing.carry()
    made, store = await rebuilt(sailing, "complaints"), sailing.stores["complaints"]
    assert sum(key.startswith("timeline:") for key in store.kept.documents) == 2
    assert differing(comparable(made, sailing), comparable(store, sailing)) == []


# ---- rules ---------------------------------------------------------------------------------------


def example(fact: type[Fact]) -> Fact:
    found = from_json((EXAMPLES / f"{fact.TYPE}.json").read_bytes())
    return fact.model_validate(found["data"])


def folded(facts: list[Fact]) -> Timeline:
    state = None
    for fact in facts:
        (fold,) = SLICE.folds[type(fact)]
        assert fold.evolve is not None
        state = fold.evolve(state, fact)
    assert isinstance(state, Timeline)
    return state


@pytest.mark.parametrize("fact", TOLD)
def test_every_fact_of_the_table_adds_one_entry_of_its_own_fields(fact: type[Fact]):
    row = TOLD[fact]
    assert {row.at, *row.same, *row.named.values()} <= fact.model_fields.keys()
    assert {*row.same, *row.named} <= Entry.__dataclass_fields__.keys()
    (entry,) = folded([example(fact)]).entries
    assert entry.what is row.what


def test_everything_that_can_happen_is_said_by_a_fact_or_the_complaint_itself():
    of_the_complaint = {What.RECEIVED, What.ANNOUNCED, What.PROMISED}
    assert {row.what for row in TOLD.values()} | of_the_complaint == set(What)


def test_of_more_entries_than_are_kept_the_newest_stay_in_whatever_order_they_come():
    said = [
        FeedbackReceived(
            complaint_id="co-1",
            check_id="ck",
            helped=Helped.NO,
            answered_at=START + n * timedelta(seconds=1),
        )
        for n in range(ENTRIES_MAX + 3)
    ]
    forth, back = folded(said), folded(said[::-1])
    assert forth == back
    assert (len(forth.entries), forth.left_out) == (ENTRIES_MAX, 3)
    assert forth.entries[0].at == START + timedelta(seconds=3)


def test_a_customer_is_shown_no_employee_no_cost_and_nothing_of_the_site_alone():
    every = [entry for fact in TOLD for entry in folded([example(fact)]).entries]
    shown = for_customer(every)
    wordless = {What.FEEDBACK}  # an answer without a line shows by what it led to
    assert {entry.what for entry in shown} == {
        entry.what for entry in every
    } & FOR_CUSTOMER.keys() - wordless
    (line,) = for_customer(
        [Entry(at=START, what=What.FEEDBACK, check_id="ck-1", helped=Helped.YES, words="v1.x")]
    )
    assert (line.words, line.check_id, line.helped) == ("v1.x", None, Helped.YES)
    for entry in shown:
        assert entry.employee_id in (None, SOMEBODY)
        assert entry.colleague_id is entry.department is None
        assert entry.category is entry.severity is entry.reason is None
    hidden = {
        What.CORRECTED,
        What.HANDOVER_OFFERED,
        What.LETTER_FAILED,
        What.FORGOTTEN,
        What.FIX_ASKED,
    }
    assert not hidden & {entry.what for entry in shown}
    alarm = Entry(at=START, what=What.LETTER_SENT, occasion=Occasion.SAFETY)
    assert for_customer([alarm]) == []


def test_a_build_that_does_not_know_everything_that_happened_stops():
    """An unknown `What` is no timeline to it, so it must not go on beside this build."""
    assert {What.CAUSE_NAMED, What.TOLD_IN_PERSON} <= set(What)
    assert Timeline.SCHEMA.read_by == 2
