"""One input in, a pure decision, one atomic commit out; again and again with the same end."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace

import pytest
from pydantic_core import from_json
from structlog.testing import capture_logs

from shared.contracts.event import Event
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import (
    ATTEMPTS_MAX,
    BRAKE_AFTER,
    SOURCES_MAX,
    TOGETHER_MAX,
    TURN_RECORDS,
    Broken,
    Fence,
    Older,
    Request,
    fact_of,
    kept_answer,
)
from shared.runtime.engine.store import Charge, Commit, Committed, Conflict, Versioned, Write
from shared.runtime.engine.view import Arrival, View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Handler, Inbox, Record, deciding
from shared.runtime.observe import DEAD_LETTERS, LOG_HOLES, RECORDS_MISSED
from shared.testing.builders import outbox, record
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore
from tests.suites.services import YieldingStore, state
from tests.suites.tally import (
    CEILING,
    DOMAIN,
    INBOX,
    STRICT,
    Counted,
    Heard,
    Tally,
    count,
    settler,
)

DUE = int(START.timestamp() * 1000)


class ContendedStore(MemoryStore):
    """Loses the first `conflicts` commits to somebody else."""

    conflicts = 0
    tries = 0

    async def commit(self, commit):
        self.tries += 1
        if self.tries <= self.conflicts:
            return Conflict("tally:a")
        return await super().commit(commit)


@pytest.fixture
async def store() -> ContendedStore:
    store = ContendedStore()
    await store.begin_generation("first", 0)
    return store


def heard(*does: str, first: int = 0) -> list[Record]:
    return [record(Heard(name="ab"[n % 2], do=do), n) for n, do in enumerate(does, first)]


async def reasons(store: MemoryStore) -> list[str]:
    return [dict(line.headers)["reason"] for line in await outbox(store) if line.headers]


# ---- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 30])
async def test_records_settled_together_and_one_by_one_give_the_same(store, cut):
    """INV-06, INV-08: the same state and the same lines in the same order."""
    records = heard(*["count", "count", "reject", "count"] * 7)
    whole = ContendedStore()
    await whole.begin_generation("first", 0)
    await settler(whole).settle_records(INBOX, 0, records)
    for start in range(0, len(records), cut):
        await settler(store).settle_records(INBOX, 0, records[start : start + cut])
    assert state(store) == state(whole)
    assert await outbox(store) == await outbox(whole)


async def test_whatever_else_waits_has_its_turn_while_a_batch_is_decided(store):
    """A form is answered during an import, and the store's answers are read in time."""
    longest = last = 0
    decided = 0

    async def people() -> None:
        nonlocal longest, last
        while True:
            longest, last = max(longest, decided - last), decided
            await asyncio.sleep(0)

    async def decide(_event: Event[Heard], _view: View) -> Decision:
        nonlocal decided
        decided += 1
        return Decision()

    waiting = asyncio.create_task(people())
    inbox = Inbox(Heard.TOPIC, [Handler(Heard, deciding(decide))])
    await settler(store).settle_records(inbox, 0, heard(*["count"] * 20 * TURN_RECORDS))
    await asyncio.sleep(0)  # one more turn, by which everything was decided
    waiting.cancel()
    assert decided == 20 * TURN_RECORDS
    assert longest <= TURN_RECORDS


async def test_an_import_leaves_people_half_of_the_outbox():
    store = MemoryStore(outbox_max=20)
    await store.begin_generation("first", 0)
    with pytest.raises(Unavailable, match=Reason.OUTBOX_FULL.value):
        await settler(store).settle_records(STRICT, 0, heard(*["count"] * 12))
    assert await outbox(store) == []
    await settler(store).settle_records(INBOX, 0, heard(*["count"] * 12))
    assert len(await outbox(store)) == 12


async def test_a_record_delivered_twice_changes_nothing(store):
    """INV-02: the fence knows its offset."""
    records = heard("count", "count", "reject")
    await settler(store).settle_records(INBOX, 0, records)
    before, lines = state(store), await outbox(store)
    await settler(store).settle_records(INBOX, 0, records)
    await settler(store).settle_records(INBOX, 0, records[1:2])
    assert (state(store), await outbox(store)) == (before, lines)
    await settler(store).settle_records(INBOX, 0, [records[2], *heard("count", first=3)])
    assert len(await outbox(store)) == len(lines) + 1


async def test_a_fact_that_its_relay_repeated_is_dropped_by_its_sequence(store):
    first = record(Heard(name="a"), 0, "e-1", sequence="00000000000000000005")
    again = record(Heard(name="a"), 1, "e-1", sequence="00000000000000000005")
    older = record(Heard(name="a"), 2, "e-0", sequence="00000000000000000004")
    fresh = record(Heard(name="a"), 3, "e-2", sequence="00000000000000000006")
    replayed = record(Heard(name="a"), 4, "e-3")
    await settler(store).settle_records(INBOX, 0, [first, again, older, fresh, replayed])
    assert len(await outbox(store)) == 3


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
async def test_a_decision_is_told_what_of_its_partition_is_missing_before_it(store, cut):
    """Offsets without a record and dead letters are missing; what a relay repeated is not."""
    told: list[Arrival] = []

    async def on_heard(event: Event[Heard], view: View) -> Decision:
        assert view.arrival is not None
        told.append(view.arrival)
        return await count(event.data.name, view, event.data.do)

    inbox = Inbox(Heard.TOPIC, [Handler(Heard, deciding(on_heard))], gapless=True)
    records = [
        record(Heard(name="a"), 2, sequence="5"),
        record(Heard(name="a"), 3, sequence="5"),
        record(Heard(name="a"), 4, sequence="6"),
        record(Heard(name="a", do="reject"), 7, sequence="7"),
        Record(8, b"{"),
        record(Heard(name="a"), 9, sequence="8"),
    ]
    for start in range(0, len(records), cut):
        await settler(store).settle_records(inbox, 4, records[start : start + cut])
    assert [(one.offset, one.missing) for one in told if one.offset != 7] == [
        (2, 2),
        (4, 0),
        (9, 4),
    ]
    assert {(one.topic, one.partition) for one in told} == {(Heard.TOPIC, 4)}


async def test_two_services_that_write_one_topic_each_have_their_own_numbers(store):
    records = [
        record(Heard(name="a"), n, f"e-{n}", sequence=f"{number:020}", source=source)
        for n, (source, number) in enumerate(
            [("/x", 7), ("/y", 5), ("/x", 8), ("/y", 5), ("/x", 7), ("/y", 6)]
        )
    ]
    await settler(store).settle_records(INBOX, 0, records[:3])
    await settler(store).settle_records(INBOX, 0, records[3:])
    assert len(await outbox(store)) == 4


async def test_what_publishers_number_by_themselves_is_no_sequence_of_ours(store):
    """INV-04: two other systems that both count from one lose nothing."""
    records = [
        record(Heard(name="a"), n, f"e-{n}", sequence=f"{n % 2 + 1:020}", source=f"/s-{n % 3}")
        for n in range(6)
    ]
    await settler(store).settle_records(STRICT, 0, records)
    assert len(await outbox(store)) == 6


async def test_a_fence_remembers_the_sources_heard_last_and_never_more_than_its_bound(store):
    sources = [f"/s-{n}" for n in range(SOURCES_MAX + 3)]
    records = [
        record(Heard(name="a"), n, f"e-{n}", sequence="1", source=source)
        for n, source in enumerate([*sources[:-1], sources[3], sources[-1]])
    ]
    for one in records:
        await settler(store).settle_records(INBOX, 0, [one])
    fence = Fence.model_validate_json(store.kept.documents[f"fence:{Heard.TOPIC}:0"].body)
    assert len(fence.sequences) == SOURCES_MAX
    assert sources[-1] in fence.sequences
    assert sources[0] not in fence.sequences


async def test_the_same_offset_on_another_partition_is_another_record(store):
    for partition in (0, 1):
        await settler(store).settle_records(INBOX, partition, heard("count"))
    assert len(await outbox(store)) == 2


async def test_what_is_rejected_is_one_dead_letter_without_a_value_and_the_partition_moves_on(
    store,
):
    await settler(store).settle_records(INBOX, 3, heard("count", "reject", "count"))
    (letter,) = [line for line in await outbox(store) if line.headers]
    assert letter.topic == "recovery.tally.dlq.v1"
    assert letter.value == b"sealed"
    assert dict(letter.headers) == {
        "reason": "unknown_site",
        "where": "/data/a_b_c_d_",
        "origin-topic": Heard.TOPIC,
        "origin-partition": "3",
        "origin-offset": "1",
        "burial": "1",
    }
    assert len(await outbox(store)) == 3


@pytest.mark.parametrize("together", [True, False])
async def test_nothing_is_settled_behind_what_a_store_lost_until_a_new_process_reads_it(
    store, together
):
    """INV-04: the store came back older under a process that runs."""
    one, records = settler(store), heard(*["count"] * 6)
    await one.settle_records(INBOX, 0, records[:2])
    older = deepcopy(store.kept)
    await one.settle_records(INBOX, 0, records[2:4])
    assert await one.applied([("x", 0), (INBOX.topic, 0)]) == [-1, 3]
    store.kept = deepcopy(older)
    with pytest.raises(Older):
        await one.settle_records(INBOX, 0, records[4:] if together else records[4:5])
    with pytest.raises(Older):
        await one.applied([(INBOX.topic, 0)])
    assert (state(store), await reasons(store)) == (state(MemoryStore(kept=older)), [])
    another = settler(store)
    assert await another.applied([(INBOX.topic, 0)]) == [1]
    await another.settle_records(INBOX, 0, records[2:])
    assert len(await outbox(store)) == 6


async def test_a_fence_that_is_read_while_another_batch_is_settled_is_not_older(store):
    """The answer comes late; what counts is what was known when it was asked for."""
    one, records = settler(store), heard(*["count"] * 2)
    await one.settle_records(INBOX, 0, records[:1])
    read, arrived = store.read, asyncio.Event()

    async def late(keys):
        found = await read(keys)
        await arrived.wait()
        return found

    store.read = late
    asked = asyncio.create_task(one.applied([(INBOX.topic, 0)]))
    await asyncio.sleep(0)
    store.read = read
    await one.settle_records(INBOX, 0, records[1:])
    arrived.set()
    assert await asked == [0]
    assert await one.applied([(INBOX.topic, 0)]) == [1]


async def test_a_handler_that_fails_buries_that_record_alone(store):
    await settler(store).settle_records(INBOX, 0, heard("count", "fail", "count"))
    assert await reasons(store) == [Reason.HANDLER_FAILED]
    assert len(await outbox(store)) == 3


async def test_ten_failures_in_a_row_stop_before_everything_becomes_a_dead_letter(store):
    one = settler(store)
    with pytest.raises(Broken):
        await one.settle_records(INBOX, 0, heard(*["fail"] * (BRAKE_AFTER + 5)))
    assert await reasons(store) == [Reason.HANDLER_FAILED] * (BRAKE_AFTER - 1)


async def test_a_process_that_starts_anew_behind_the_brake_buries_nothing_more(store):
    records = heard(*["fail"] * (BRAKE_AFTER + 5))
    for _ in range(3):
        with pytest.raises(Broken):
            await settler(store).settle_records(INBOX, 0, records)
    assert await reasons(store) == [Reason.HANDLER_FAILED] * (BRAKE_AFTER - 1)
    mended = [*records[: BRAKE_AFTER - 1], *heard(*["count"] * 6, first=BRAKE_AFTER - 1)]
    await settler(store).settle_records(INBOX, 0, mended)
    again = heard(*["fail"] * (BRAKE_AFTER - 1), first=BRAKE_AFTER + 5)
    await settler(store).settle_records(INBOX, 0, again)
    assert len(await reasons(store)) == 2 * (BRAKE_AFTER - 1)


async def test_a_success_in_between_lets_the_brake_go(store):
    one = settler(store)
    for _ in range(3):
        records = heard(*["fail"] * (BRAKE_AFTER - 1), "count", first=len(await outbox(store)))
        await one.settle_records(INBOX, 0, records)
    assert len(await outbox(store)) == 3 * BRAKE_AFTER


async def test_while_the_world_is_away_nothing_of_the_batch_is_settled(store):
    with pytest.raises(Unavailable):
        await settler(store).settle_records(INBOX, 0, heard("count", "away"))
    assert await outbox(store) == []
    assert state(store)["documents"] == {}


@pytest.mark.parametrize("conflicts", [1, 2, ATTEMPTS_MAX - 1])
async def test_a_decision_that_raced_is_taken_again(store, conflicts):
    store.conflicts = conflicts
    await settler(store).settle_records(INBOX, 0, heard("count", "count"))
    assert len(await outbox(store)) == 2


@pytest.mark.parametrize("records", [heard("count"), heard("count", "count")])
async def test_a_record_that_never_gets_through_waits_for_less_crowded_times(store, records):
    store.conflicts = 10**6
    with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
        await settler(store).settle_records(INBOX, 0, records)
    assert store.tries == ATTEMPTS_MAX + (TOGETHER_MAX if len(records) > 1 else 0)


class OvertakenStore(MemoryStore):
    """Before its first commit somebody else's comes through."""

    def __init__(self, *overtaking: Commit) -> None:
        super().__init__()
        self.overtaking = list(overtaking)

    async def commit(self, commit):
        if self.overtaking:
            assert isinstance(await super().commit(self.overtaking.pop()), Committed)
        return await super().commit(commit)


async def overtaken(*overtaking: Commit) -> OvertakenStore:
    store = OvertakenStore(*overtaking)
    await store.begin_generation("first", 0)
    return store


ALL_SPENT = Commit((), [Charge("a", CEILING, CEILING)])


@pytest.mark.parametrize("number", [1, 2])
async def test_a_record_over_a_ceiling_that_was_reached_meanwhile_is_decided_again(number):
    """INV-01: also one that is alone in its batch. It is settled, with what still fits."""
    store = await overtaken(ALL_SPENT)
    await settler(store).settle_records(INBOX, 0, heard("count", "count")[:number])
    first = Counted.model_validate(from_json((await outbox(store))[0].value)["data"])
    assert (first.total, first.paid) == (1, 0)
    assert store.kept.accounts["a"] == CEILING


async def only_reads(view: View) -> Decision:
    """Goes by what it reads of a tally that it does not change."""
    rules = await view.get(Tally, "rules") or Tally()
    return Decision((Counted(name="a", total=rules.total),))


RULES_CHANGED = Commit([Write("tally:rules", 0, b'{"total":7}')])


async def test_a_request_that_raced_with_a_change_of_what_it_only_read_is_decided_again():
    """INV-01: authority is what policy and roster say at the commit, not what they said before."""
    store = await overtaken(RULES_CHANGED)

    async def decide(view, _name):
        return await only_reads(view)

    settled = await settler(store).settle_request(Request("employee/e", "r", "k", "h"), decide)
    assert settled.fact == Counted(name="a", total=7)
    assert len(await outbox(store)) == 1


@pytest.mark.parametrize("number", [1, 2])
async def test_a_record_that_raced_with_a_change_of_what_it_only_read_is_decided_again(number):
    store = await overtaken(RULES_CHANGED)
    inbox = Inbox(Heard.TOPIC, [Handler(Heard, deciding(lambda _, view: only_reads(view)))])
    await settler(store).settle_records(inbox, 0, heard("count", "count")[:number])
    totals = [from_json(line.value)["data"]["total"] for line in await outbox(store)]
    assert totals == [7] * number


async def test_an_own_decision_that_somebody_else_took_meanwhile_says_that_it_did_nothing():
    """INV-05: of two that take a letter in hand only one may hear that it has it."""
    taken = Commit([Write("tally:a", 0, b'{"total":1}')])
    store = await overtaken(taken)

    async def take(view):
        tally = await view.get(Tally, "a")
        return Decision() if tally else Decision((Counted(name="a", total=1),))

    assert await settler(store).settle_internal("timer/send/a/1", "a", take) == ()
    assert await outbox(store) == []


async def test_a_batch_that_was_overtaken_is_tried_together_again(store):
    store.conflicts = TOGETHER_MAX - 1
    await settler(store).settle_records(INBOX, 0, heard(*["count"] * 20))
    assert store.tries == TOGETHER_MAX
    assert len(await outbox(store)) == 20


async def test_a_dead_letter_is_counted_once_and_only_when_it_is_committed(store):
    counted = DEAD_LETTERS.labels("tally", Reason.UNKNOWN_SITE)
    before = counted._value.get()
    store.conflicts = 10**6
    with pytest.raises(Unavailable):
        await settler(store).settle_records(INBOX, 0, heard("count", "reject"))
    assert counted._value.get() == before
    store.conflicts = store.tries + TOGETHER_MAX + 2
    await settler(store).settle_records(INBOX, 0, heard("count", "reject", "fail"))
    assert counted._value.get() == before + 1


async def test_in_one_batch_later_records_see_what_earlier_ones_changed(store):
    """INV-01: the ceiling holds within a batch too."""
    await settler(store).settle_records(INBOX, 0, heard(*["count"] * 60))
    assert store.kept.accounts == {"a": CEILING, "b": CEILING}
    assert store.tries == 1
    assert store.kept.documents["tally:a"].body == b'{"total":30}'


# ---- gaps ----------------------------------------------------------------------------------------


class Log:
    """A partition as it lies on the broker; remembers what it was asked for."""

    def __init__(self, records, at_once=100):
        self.records, self.at_once, self.asked = records, at_once, []

    async def read_again(self, _topic, _partition, first, stop):
        self.asked.append((first, stop))
        return [one for one in self.records if first <= one.offset < stop][: self.at_once]


def gaps() -> tuple[float, float]:
    labels = "tally", Heard.TOPIC
    return RECORDS_MISSED.labels(*labels)._value.get(), LOG_HOLES.labels(*labels)._value.get()


@pytest.mark.parametrize("last", [5, 8])
@pytest.mark.parametrize("settled", [1, 3])
@pytest.mark.parametrize("at_once", [1, 2, 100])
async def test_records_missing_before_a_batch_are_settled_before_it_and_told(
    store, last, settled, at_once
):
    """INV-04, INV-08: nothing is lost, and the order is the log's."""
    records = heard(*["count", "reject", "count"] * 3)
    whole = ContendedStore()
    await whole.begin_generation("first", 0)
    await settler(whole).settle_records(INBOX, 0, records[:last])
    log, (missed, holes) = Log(records, at_once), gaps()
    await settler(store).settle_records(INBOX, 0, records[:settled], log.read_again)
    with capture_logs() as logs:
        await settler(store).settle_records(INBOX, 0, records[4:last], log.read_again)
    assert state(store) == state(whole)
    assert await outbox(store) == await outbox(whole)
    assert gaps() == (missed + 4 - settled, holes)
    told = [line for line in logs if line["event"] == "records_missed"]
    assert (told[0]["first"], told[-1]["last"]) == (settled, 3)


async def test_a_batch_that_follows_its_fence_asks_nobody(store):
    """Also what comes again, and offsets that lie within one batch and hold nothing."""
    records, log = heard(*["count"] * 9), Log([])
    one = settler(store)
    for some in (records[:2], records[1:3], records[:2], [records[3], records[5]], records[6:]):
        await one.settle_records(INBOX, 0, some, log.read_again)
    assert log.asked == []
    assert len(await outbox(store)) == 8


async def test_a_hole_in_the_log_is_looked_at_once_and_passed_without_a_word(store):
    records, (missed, holes) = heard(*["count"] * 9), gaps()
    log = Log([records[0], *records[5:]])
    with capture_logs() as logs:
        await settler(store).settle_records(INBOX, 0, records[:1], log.read_again)
        await settler(store).settle_records(INBOX, 0, records[5:7], log.read_again)
        await settler(store).settle_records(INBOX, 0, records[7:], log.read_again)
    assert (log.asked, logs, gaps()) == ([(1, 5)], [], (missed, holes + 1))
    assert len(await outbox(store)) == 5


async def test_a_failure_while_a_gap_is_read_leaves_the_batch_for_later(store):
    records = heard(*["count"] * 4)

    async def away(*_):
        raise OSError

    with pytest.raises(OSError):
        await settler(store).settle_records(INBOX, 0, records[2:], away)
    assert await outbox(store) == []
    await settler(store).settle_records(INBOX, 0, records[2:], Log(records).read_again)
    assert len(await outbox(store)) == 4


# ---- requests ------------------------------------------------------------------------------------


def ask(store, key: str = "k", body: str = "h", do: str = "count", named: bool = False):
    async def decide(view, name):
        return await count(name if named else "a", view, do)

    return settler(store).settle_request(
        Request("employee/e", "r", key, body), decide, ("tally:a",)
    )


async def test_the_same_request_again_gets_the_first_answer(store):
    first, again = await ask(store), await ask(store)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.fact == again.fact
    assert len(await outbox(store)) == 1


def test_of_an_answer_only_what_it_shows_is_kept_and_nothing_else_can_be_read():
    domain = replace(DOMAIN, shown={Counted: {"name", "total"}})
    counted = Counted(name="a", total=3, paid=1)
    kept = from_json(kept_answer(domain, "h", counted, counted.written()))
    assert kept == {"request": "h", "type": Counted.TYPE, "data": {"name": "a", "total": 3}}
    again = fact_of(domain, Counted, kept["data"])
    assert isinstance(again, Counted)
    assert (again.name, again.total) == ("a", 3)
    with pytest.raises(AttributeError):
        again.paid  # noqa: B018 - it has a default, and the whole fact another value


async def test_the_same_key_with_another_body_is_refused(store):
    await ask(store)
    with pytest.raises(Rejected, match=Reason.IDEMPOTENCY_KEY_REUSED.value):
        await ask(store, body="other")


@pytest.mark.parametrize("script", [[0], [1, 0, 2], [3, 1]])
@pytest.mark.parametrize("named", [False, True])
async def test_of_the_same_request_at_once_one_is_decided_and_all_get_its_answer(
    store, script, named
):
    yielding = [YieldingStore(store, script[n % len(script) :]) for n in range(20)]
    answers = await asyncio.gather(*(ask(one, named=named) for one in yielding))
    assert sum(not one.replayed for one in answers) == 1
    assert len({one.fact.model_dump_json() for one in answers}) == 1
    assert len(await outbox(store)) == 1


async def test_other_keys_at_once_are_all_decided_and_never_above_the_ceiling(store):
    """INV-01: conflicts are decided again."""
    await asyncio.gather(*(ask(YieldingStore(store, [n % 3, 1]), f"k{n}") for n in range(12)))
    assert store.kept.accounts == {"a": CEILING}
    assert len(await outbox(store)) == 12


@pytest.mark.parametrize(("do", "fault"), [("reject", Rejected), ("away", Unavailable)])
async def test_a_refused_request_leaves_no_trace_and_its_key_may_be_used_again(store, do, fault):
    with pytest.raises(fault):
        await ask(store, do=do)
    assert (await ask(store)).replayed is False


async def test_a_key_that_comes_again_after_its_answer_was_forgotten_names_nothing_twice(store):
    await ask(store, named=True)
    (forgotten,) = [key for key in store.kept.documents if key.startswith("answer:")]
    del store.kept.documents[forgotten]
    before = state(store)
    with pytest.raises(Rejected, match=Reason.IDEMPOTENCY_KEY_REUSED.value) as refused:
        await ask(store, named=True)
    assert refused.value.reason.status == 422
    assert state(store) == before
    assert len(await outbox(store)) == 1


async def test_the_same_request_that_was_settled_meanwhile_is_a_repeat_and_no_key_used_twice(store):
    async def decide(view, name):
        if not store.kept.documents:
            await ask(store, named=True)
        return await count(name, view)

    request = Request("employee/e", "r", "k", "h")
    assert (await settler(store).settle_request(request, decide)).replayed
    assert len(await outbox(store)) == 1


async def test_a_repeat_gets_no_answer_while_no_replica_has_what_it_says(store):
    async def copied():
        raise Unavailable(Reason.STORE_NOT_COPIED)

    await ask(store)
    store.copied = copied
    with pytest.raises(Unavailable, match=Reason.STORE_NOT_COPIED.value):
        await ask(store)


async def test_a_request_that_never_gets_through_is_told_to_come_back(store):
    store.conflicts = 10**6
    with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
        await ask(store)
    assert store.tries == ATTEMPTS_MAX


# ---- timers and our own --------------------------------------------------------------------------


async def test_a_timer_is_set_and_cleared_by_facts_and_by_the_commit_that_settles_it(store):
    await ask(store, "k1")
    assert list(store.kept.timers) == ["look|a"]

    async def nothing(_view):
        return Decision()

    assert (
        await settler(store).settle_internal(f"timer/look/a/{DUE}", "a", nothing, ("look|a", DUE))
        == ()
    )
    assert store.kept.timers == {}


async def test_a_decision_that_sets_its_own_timer_again_keeps_it(store):
    async def again(view):
        return await count("a", view)

    (fact,) = await settler(store).settle_internal(
        f"timer/look/a/{DUE}", "a", again, ("look|a", DUE)
    )
    assert isinstance(fact, Counted)
    assert list(store.kept.timers) == ["look|a"]


async def test_what_is_looked_at_is_a_document_or_none(store):
    await ask(store)
    look = settler(store).view()
    assert await look.get(Tally, "a") == Tally(total=1)
    assert await look.get(Tally, "b") is None
    assert store.kept.documents["tally:a"] == Versioned(1, b'{"total":1}')


# ---- what another build stored -------------------------------------------------------------------


@pytest.mark.parametrize("key", ["tally:a", "fence:recovery.things.v1:0"])
@pytest.mark.parametrize("count", [1, 2])
async def test_a_stored_form_that_makes_no_sense_is_no_fault_of_the_record(store, key, count):
    """Neither a dead letter nor a guess: it waits until the state is made again."""
    await store.commit(Commit([Write(key, 0, b'{"total":"many","offset":"far"}')]))
    before = state(store)
    with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
        await settler(store).settle_records(INBOX, 0, heard(*["count"] * count))
    assert not store.readable
    assert (state(store), await outbox(store)) == (before, [])


@pytest.mark.parametrize("key", ["tally:a", "fence:recovery.things.v1:0"])
async def test_a_process_reads_everything_again_once_what_made_no_sense_is_mended(store, key):
    await store.commit(Commit([Write(key, 0, b'{"total":"many","offset":"far"}')]))
    with pytest.raises(Unavailable):
        await settler(store).settle_records(INBOX, 0, heard("count"))
    assert not store.readable
    await store.commit(Commit([Write(key, 1, b'{"total":1,"offset":-1}')]))
    await settler(store).settle_records(INBOX, 0, heard("count"))
    assert store.readable


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"request":"h","type":"recovery.thing.of-tomorrow.v1","data":{}}',
        b'{"request":"h","type":"recovery.thing.counted.v1","data":{}}',
    ],
)
async def test_a_stored_answer_that_makes_no_sense_is_not_answered(store, body):
    await ask(store)
    (key,) = [key for key in store.kept.documents if key.startswith("answer:")]
    await store.commit(Commit([Write(key, 1, body)]))
    with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
        await ask(store)
    assert len(await outbox(store)) == 1
