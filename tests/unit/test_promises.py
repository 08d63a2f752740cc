"""A promised time that passes is a fact, once; one that was kept in time is not."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from aiokafka.errors import KafkaError

from services.complaints.lifecycle.rules import Promise
from services.complaints.promises.news import LOOK_AGAIN_S, BrokerNews
from services.complaints.promises.rules import (
    KEPT_MAX,
    NOTHING_TO_KEEP,
    KeptAt,
    break_promise,
    kept,
    overdue,
)
from shared.contracts.lifecycle import State
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import PolicyPublished
from shared.runtime.faults import Unavailable
from shared.testing.builders import record
from shared.testing.clock import START, Clock
from shared.testing.memory_store import MemoryStore
from tests.suites.services import Aboard, demo_policy
from tests.unit.test_complaints import OPEN
from tests.unit.test_rebuild import Sailing, comparable, differing, rebuilt

BY = START + timedelta(minutes=15)
SECOND = timedelta(seconds=1)
WAITING = OPEN.model_copy(update={"promises": (Promise(round=0, by=BY),)})
LATE = BY + SECOND
#: Food that is mild, by the demo policy.
PROMISED = timedelta(hours=4)


async def passes(aboard: Aboard, by: timedelta = PROMISED) -> None:
    aboard.clock.advance(by)
    await aboard.ring("complaints")


def waiting(store: MemoryStore) -> set[str]:
    """The timers of complaints; those of words by month go on for as long as there is a policy."""
    return {name for name in store.kept.timers if not name.startswith("words|")}


async def broken(aboard: Aboard) -> list[int]:
    return [
        fact["round"]
        for fact in await aboard.facts("complaints")
        if fact["type"] == "recovery.complaint.overdue.v1"
    ]


async def mild(aboard: Aboard) -> str:
    return await aboard.raise_complaint(text="The soup was a bit salty.")


async def says_no(aboard: Aboard, complaint_id: str) -> None:
    said = FeedbackReceived(
        complaint_id=complaint_id, check_id="ck-1", helped=Helped.NO, answered_at=aboard.clock()
    )
    await aboard.feed("complaints", FeedbackReceived.TOPIC, [record(said, 0)])


# ---- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moments", "in_time"),
    [
        ((), False),
        ((START,), True),
        ((BY,), True),
        ((BY + SECOND,), False),
        ((START, BY + SECOND), True),
    ],
)
def test_a_promise_is_kept_by_what_the_customer_heard_in_time_and_by_nothing_later(
    moments, in_time
):
    assert bool(break_promise(WAITING, "co-1", 0, KeptAt(at=moments), LATE).facts) is not in_time


@pytest.mark.parametrize(
    ("known", "is_kept"),
    [
        (KeptAt(at=(START,)), False),
        (KeptAt(at=(START,), done=(START,)), True),
        (KeptAt(at=(START,), done=(LATE,)), False),
    ],
)
def test_a_promise_about_somebodys_safety_is_kept_by_what_was_done_and_by_no_gift(known, is_kept):
    danger = WAITING.model_copy(update={"safety": True})
    assert bool(break_promise(danger, "co-1", 0, known, LATE).facts) is not is_kept
    assert not break_promise(WAITING, "co-1", 0, known, LATE).facts


def test_a_promise_is_broken_once_and_not_before_its_time():
    assert not break_promise(WAITING, "co-1", 0, None, BY - SECOND).facts
    (fact,) = break_promise(WAITING, "co-1", 0, None, LATE).facts
    assert (fact.promised_by, fact.overdue_at, fact.round) == (BY, LATE, 0)
    told = overdue(WAITING, fact)
    assert told.overdue
    assert not break_promise(told, "co-1", 0, None, LATE).facts


@pytest.mark.parametrize("state", NOTHING_TO_KEEP)
def test_a_promise_that_rings_when_nobody_waits_for_it_any_more_is_not_broken(state: State):
    """An earlier promise of a merged complaint still rings: its head has the promise that is to be kept."""
    assert not break_promise(
        WAITING.model_copy(update={"state": state}), "co-1", 0, None, LATE
    ).facts


def test_what_was_given_before_a_complaint_was_opened_again_does_not_keep_the_new_promise():
    again = WAITING.model_copy(
        update={"round": 1, "promises": (Promise(round=1, by=BY, since=START),)}
    )
    assert break_promise(again, "co-1", 1, KeptAt(at=(START - SECOND, START)), LATE).facts
    assert not break_promise(again, "co-1", 1, KeptAt(at=(START + SECOND,)), LATE).facts


def test_what_a_customer_heard_is_the_same_in_whatever_order_and_however_often_it_comes():
    """INV-06: others' facts come in another order in a rebuild."""
    said = [
        FeedbackReceived(
            complaint_id="co-1", check_id="ck", helped=helped, answered_at=START + n * SECOND
        )
        for n, helped in enumerate([Helped.YES, Helped.NO, Helped.YES])
    ]
    ends = set()
    for order in permutations([*said, said[0]]):
        state = None
        for fact in order:
            state = kept(state, fact)
        ends.add(state.at)
    assert ends == {(START, START + 2 * SECOND)}
    many = KeptAt(at=tuple(START - n * SECOND for n in range(KEPT_MAX, 0, -1)))
    assert len(kept(many, said[0]).at) == KEPT_MAX


class Broker:
    """A broker that can be away, and a stream that can be behind."""

    def __init__(self) -> None:
        self.away, self.settled, self.asked = False, True, 0

    async def __call__(self) -> bool:
        self.asked += 1
        if self.away:
            raise KafkaError
        return self.settled


async def looks(news: BrokerNews, clock: Clock, seconds: int, moment: datetime) -> bool:
    """Ask every few seconds as a timer does; whether the last answer was that all is read."""
    told = False
    for _ in range(0, seconds + 1, LOOK_AGAIN_S):
        try:
            await news.read_until(moment)
            told = True
        except Unavailable:
            told = False
        clock.advance(timedelta(seconds=LOOK_AGAIN_S))
    return told


async def test_all_is_read_once_the_broker_answered_for_a_while_and_the_stream_is_at_its_end():
    clock, broker = Clock(), Broker()
    news, moment = BrokerNews(broker, clock), clock()
    assert not await looks(news, clock, 25, moment)
    broker.settled = False
    assert not await looks(news, clock, 60, moment)
    broker.settled = True
    assert await looks(news, clock, 0, moment)
    asked = broker.asked
    assert await looks(news, clock, 30, moment)
    assert broker.asked == asked, "one look serves all whose time was before it"


async def test_what_filled_an_outbox_while_the_broker_was_away_is_waited_for():
    clock, broker = Clock(), Broker()
    news = BrokerNews(broker, clock)
    assert await looks(news, clock, 30, clock())
    clock.advance(timedelta(hours=1))
    assert not await looks(news, clock, 25, clock()), "nobody looked meanwhile"
    broker.away = True
    moment = clock()
    assert not await looks(news, clock, 60, moment)
    broker.away = False
    assert not await looks(news, clock, 25, moment)
    assert await looks(news, clock, 5, moment)


# ---- the service ---------------------------------------------------------------------------------


async def test_a_promised_time_that_passes_without_a_word_is_a_fact_once(aboard: Aboard):
    """Promises do not break in silence."""
    complaint_id = await mild(aboard)
    await passes(aboard, PROMISED - SECOND)
    assert await broken(aboard) == []
    await passes(aboard, SECOND)
    (fact,) = [f for f in await aboard.facts("complaints") if f["type"].endswith("overdue.v1")]
    assert (fact["complaint_id"], fact.get("employee_id")) == (complaint_id, None)
    await passes(aboard)
    assert await broken(aboard) == [0]
    assert not waiting(aboard.stores["complaints"])
    async with aboard.http("complaints") as phone:
        seen = (await phone.get(f"/v1/complaints/{complaint_id}")).json()
    assert seen["overdue"] is True
    assert "promises" not in seen


@pytest.mark.parametrize("how", ["check", "offer"])
async def test_a_customer_who_was_given_or_offered_something_in_time_was_answered(
    aboard: Aboard, how: str
):
    complaint_id = await mild(aboard)
    if how == "check":
        assert (await aboard.give(complaint_id, "cinema", "k")).status_code == 201
    else:
        wish = {
            "complaint_id": complaint_id,
            "reason": "food",
            "items": ["cinema", "sincere-words"],
        }
        assert (await aboard.post("offers", "k", wish)).status_code == 201
    await aboard.carry()
    await passes(aboard)
    assert await broken(aboard) == []
    assert not waiting(aboard.stores["complaints"]), "a promise that was kept rings once"


async def test_a_complaint_that_is_opened_again_has_a_promise_of_its_own(aboard: Aboard):
    complaint_id = await mild(aboard)
    await aboard.give(complaint_id, "cinema", "k")
    await aboard.carry()
    aboard.later(minutes=5)
    await says_no(aboard, complaint_id)
    await passes(aboard)
    assert await broken(aboard) == [1]


async def test_two_promises_of_one_complaint_break_one_after_the_other(aboard: Aboard):
    complaint_id = await mild(aboard)
    await passes(aboard)
    await says_no(aboard, complaint_id)
    await passes(aboard)
    assert await broken(aboard) == [0, 1]


async def test_what_fitted_nothing_on_the_spot_still_waits_for_its_answer(aboard: Aboard):
    spot = {
        "on_the_spot": {"text": "An hour for a table."},
        "item": "taxfree-card/100000",
        "reason": "delay",
    }
    lars = aboard.bearer("e-lars")
    answers = [(await aboard.post("checks", f"k{n}", spot, lars)).status_code for n in range(3)]
    assert answers == [201, 201, 409]
    await aboard.carry()
    await passes(aboard, timedelta(days=2))
    assert await broken(aboard) == [0]


async def test_what_was_given_on_the_spot_waits_for_nothing(aboard: Aboard):
    spot = {"on_the_spot": {"text": "An hour for a table."}, "item": "cinema", "reason": "delay"}
    assert (await aboard.post("checks", "k", spot)).status_code == 201
    await aboard.carry()
    assert not waiting(aboard.stores["complaints"])


async def test_nothing_is_called_overdue_before_what_others_told_is_read(aboard: Aboard):
    """After an outage the timers ring before the streams have caught up."""
    complaint_id = await mild(aboard)
    assert (await aboard.give(complaint_id, "cinema", "k")).status_code == 201
    aboard.news.behind = True
    with pytest.raises(Unavailable):
        await passes(aboard)
    assert await broken(aboard) == []
    aboard.news.behind = False
    await aboard.carry()
    await aboard.ring("complaints")
    assert await broken(aboard) == []


async def test_two_workers_tell_of_a_broken_promise_once(aboard: Aboard):
    await mild(aboard)
    aboard.clock.advance(PROMISED)
    await asyncio.gather(*(aboard.ring("complaints") for _ in range(4)))
    assert await broken(aboard) == [0]


async def test_a_new_policy_changes_no_promise_that_was_made(aboard: Aboard):
    await mild(aboard)
    sooner = demo_policy().model_copy(update={"playbooks": {}, "promise_default": SECOND})
    fact = PolicyPublished(site=sooner.site, version=2, policy=sooner)
    await aboard.feed("complaints", PolicyPublished.TOPIC, [record(fact, 1)])
    await passes(aboard, PROMISED - SECOND)
    assert await broken(aboard) == []
    await passes(aboard, SECOND)
    assert await broken(aboard) == [0]


async def test_a_state_made_again_knows_which_promises_are_open_and_which_were_broken(tmp_path):
    """INV-06: a promise that is open rings after a rebuild, one that was told of does not again."""
    sailing = await Sailing(tmp_path).begin()
    first = await mild(sailing)
    await passes(sailing)
    await says_no(sailing, first)
    kept = await sailing.raise_complaint(1, text="The soup was a bit salty.")
    assert (await sailing.give(kept, "cinema", "k")).status_code == 201
    await sailing.carry()
    made, store = await rebuilt(sailing, "complaints"), sailing.stores["complaints"]
    assert differing(comparable(made, sailing), comparable(store, sailing)) == []
    # The first warning rang for nothing, as time had gone past it, and rings for nothing once more.
    assert waiting(made) == {
        f"overdue|{first}/1", f"overdue|{kept}/0",
        f"warn|{first}/0", f"warn|{first}/1", f"warn|{kept}/0",
    }  # fmt: skip
