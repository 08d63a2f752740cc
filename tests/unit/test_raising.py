"""Topics are raised only where that is exact, and services know what lies behind a raise."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import pytest
import typer
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.contracts.catalogue import AUDIT, SERVICES, TOPICS
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.topics import TopicRaised
from shared.ops import raising
from shared.ops.raising import GROWING, Raising, Stopped, plan, readers, refuse, refuse_names
from shared.ops.rebuild import stores
from shared.runtime.engine.redis_store import unavailable
from shared.runtime.engine.settle import Fence, fence_key
from shared.runtime.engine.store import Commit, Line, Write
from shared.runtime.kafka.inbox import Record
from shared.runtime.kafka.raises import PRODUCERS, Raises
from shared.runtime.rebuild.sources import Place, Refused
from shared.runtime.wires import Broker
from shared.testing.builders import record
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore
from tests.suites.services import Aboard
from tests.suites.tally import INBOX, Heard, Tally, settler

TOPIC = ComplaintTriaged.TOPIC
RECORD = "recovery.audit.v1"
THERE = {topic.name: 4 for topic in TOPICS}
SEQUENCES = dict.fromkeys(SERVICES, 0)


def raised(
    ends: Sequence[int], partitions: int, topic: str = TOPIC, **sequences: int
) -> TopicRaised:
    return TopicRaised(
        topic=topic,
        partitions=partitions,
        ends=tuple(ends),
        sequences={**SEQUENCES, **sequences},
        raised_at=START,
    )


class Ends:
    """A log of which only the ends are looked at."""

    def __init__(self, *spans: tuple[int, int]) -> None:
        self.found = {Place(TOPIC, number): span for number, span in enumerate(spans)}

    async def spans(self, _names: Sequence[str]) -> dict[Place, tuple[int, int]]:
        return self.found

    async def read(self, *_: object) -> AsyncIterator[Sequence[Record]]:
        return
        yield  # pragma: no cover - it is a generator


async def at_rest(log: Ends, **fences: int) -> dict[str, Stopped]:
    """All services, each with the offset that it applied of each partition of the topic."""
    found = {}
    for name in SERVICES:
        store = MemoryStore()
        await store.begin_generation("first", 0)
        for number in range(len(log.found)):
            body = Fence(offset=fences.get(name, log.found[Place(TOPIC, number)][1] - 1))
            key = fence_key(TOPIC, number)
            await store.commit(Commit([Write(key, 0, body.model_dump_json().encode())]))
        found[name] = Stopped(name, store, log)  # type: ignore[arg-type]  # as much of both as is used
    return found


@pytest.mark.parametrize(
    ("partitions", "wanted", "why"),
    [
        (6, ["recovery.vault.v1"], "is compacted"),
        (6, ["recovery.policy.v1"], "is compacted"),
        (6, ["recovery.topics.v1"], "is compacted"),
        (6, ["recovery.heads.v1"], "stays small"),
        (6, ["recovery.deadletters.v1"], "stays small"),
        (6, ["recovery.complaints.dlq.v1"], "stays small"),
        (6, ["recovery.things.v1"], "no topic of the catalogue"),
        (3, [RECORD], "never taken away"),
        (6, [TOPIC], f"raise {RECORD} first"),
    ],
)
def test_what_cannot_be_raised_exactly_is_refused_with_a_sentence(partitions, wanted, why):
    with pytest.raises(Refused, match=why):
        refuse_names(wanted)
        plan(THERE, partitions, wanted)


def test_a_topic_that_is_not_there_is_refused():
    with pytest.raises(Refused, match="topics create"):
        plan({RECORD: 4}, 6, [RECORD, TOPIC])


def test_audits_topic_comes_first_and_what_has_enough_is_left_out():
    assert plan(THERE, 6, GROWING)[0] == RECORD
    assert set(plan(THERE, 6, GROWING)) == set(GROWING)
    assert plan({**THERE, RECORD: 6, "recovery.intake.v1": 6}, 6, [TOPIC]) == [TOPIC]
    assert plan(dict.fromkeys(THERE, 6), 6, GROWING) == []


def test_only_facts_that_others_fold_have_readers():
    assert readers(RECORD) == readers("recovery.intake.v1") == ()
    assert set(readers(TOPIC)) == set(SERVICES) - {"complaints"}


def test_every_reason_is_told_at_once():
    refuse([None, None])
    with pytest.raises(Refused, match=r"^one; two$"):
        refuse(["one", None, "two"])


def test_a_services_store_may_have_an_address_of_its_own():
    found = stores("redis://all:1/0", ["audit=redis://its-own:2/0"])
    assert {name: one.url for name, one in found.items()} == {
        **dict.fromkeys(SERVICES, "redis://all:1/0"),
        AUDIT: "redis://its-own:2/0",
    }
    for wrong in ("audit", "nobody=redis://its-own:2/0"):
        with pytest.raises(typer.BadParameter):
            stores("redis://all:1/0", [wrong])


def test_a_services_password_may_be_a_file_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "REDIS_PASSWORD").write_text("everybody's")
    (tmp_path / "REDIS_PASSWORD_AUDIT").write_text("audit's")
    monkeypatch.setenv("SERVICE_CHECK_SECRETS_DIR", str(tmp_path))
    found = stores("redis://all:1/0", ())
    logins = {name: (one.username, one.password) for name, one in found.items()}
    assert logins == {**dict.fromkeys(SERVICES, (None, "everybody's")), AUDIT: (AUDIT, "audit's")}
    named = stores("redis://all:1/0", ["audit=rediss://alice@its-own:2/0"])[AUDIT].client()
    assert (named["username"], named["password"], named["host"]) == ("alice", "audit's", "its-own")


def test_a_file_of_a_password_that_cannot_be_read_is_a_sentence_without_it(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "REDIS_PASSWORD_AUDIT").write_bytes(b"\xff\xfe12345")
    monkeypatch.setenv("SERVICE_CHECK_SECRETS_DIR", str(tmp_path))
    with pytest.raises(typer.Exit):
        stores("redis://all:1/0", ())
    told = capsys.readouterr().err
    assert "cannot be read as text" in told
    assert "12345" not in told


def waits(*_: object) -> None:
    raise AssertionError("it can be told without this")


async def give(partitions: int, wanted: Sequence[str]) -> None:
    where = Broker("nowhere:1")
    await raising.raise_topics(where, {}, "c0", partitions, wanted, apply=True, say=print)


async def test_what_is_asked_is_checked_before_anybody_is_waited_for(monkeypatch):
    monkeypatch.setattr(raising, "stopped", waits)
    monkeypatch.setattr(raising.topics, "partition_counts", lambda _broker: THERE)
    with pytest.raises(Refused, match="never taken away"):
        await give(3, GROWING)


async def test_a_name_of_no_topic_is_refused_before_kafka_is_asked(monkeypatch):
    monkeypatch.setattr(raising.topics, "partition_counts", waits)
    with pytest.raises(Refused, match="no topic of the catalogue"):
        await give(6, ["things"])


async def test_a_topic_is_at_rest_where_everybody_has_settled_all_of_it():
    services = await at_rest(Ends((0, 7), (0, 0), (9, 9)))
    rest = Raising(None, services, holder="me")  # type: ignore[arg-type]  # no broker is asked
    fact = await rest.at_rest(TOPIC, 6, START)
    assert (fact.ends, fact.partitions, fact.sequences) == ((7, 0, 9), 6, SEQUENCES)


async def test_a_reader_that_is_behind_and_a_line_that_waits_are_refused():
    services = await at_rest(Ends((0, 7)), notifier=5, audit=2)
    rest = Raising(None, services, holder="me")  # type: ignore[arg-type]  # no broker is asked
    with pytest.raises(Refused, match=r"notifier is 1 behind.*; audit is 4 behind"):
        await rest.at_rest(TOPIC, 6, START)
    services = await at_rest(Ends((0, 7)))
    line = Line(TOPIC, "k", b"{}").encode()
    await services["complaints"].store.commit(Commit([], lines=[line]))
    rest = Raising(None, services, holder="me")  # type: ignore[arg-type]  # the same
    with pytest.raises(Refused, match="1 facts of complaints are not on Kafka yet"):
        await rest.at_rest(TOPIC, 6, START)


async def test_no_partition_is_added_once_somebody_published_meanwhile(monkeypatch):
    """By whatever means: the raise that was published is true, and is given again with other ends."""
    log = Ends((0, 7))
    rest = Raising(None, await at_rest(log), holder="me")  # type: ignore[arg-type]  # no broker is asked
    fact = await rest.at_rest(TOPIC, 6, START)

    def publish(*_: object, **__: object) -> None:
        log.found[Place(TOPIC, 0)] = (0, 8)

    monkeypatch.setattr(raising.topics, "publish", publish)
    with pytest.raises(Refused, match="1 behind"):
        await rest.add(fact)


async def test_a_lease_that_was_lost_stops_a_raise(monkeypatch):
    services = await at_rest(Ends((0, 7)))
    rest = Raising(None, services, holder="me")  # type: ignore[arg-type]  # no broker is asked
    fact = await rest.at_rest(TOPIC, 6, START)
    monkeypatch.setattr(raising.topics, "publish", lambda *_, **__: None)
    assert await services["complaints"].store.lease("relay", "a relay", 10_000)
    with pytest.raises(Refused, match="complaints was started meanwhile"):
        await rest.add(fact)


async def test_while_a_relay_has_its_lease_its_service_counts_as_running(monkeypatch):
    monkeypatch.setattr(raising, "LEASE_PATIENCE_S", 0.0)
    log = Ends()
    log.found = {Place(RECORD, 0): (0, 0)}
    one = (await at_rest(Ends()))[AUDIT]
    one.log = log  # type: ignore[assignment]  # as much of it as is used
    assert await one.take("me") is None
    assert "audit still publishes" in str(await one.take("another"))
    monkeypatch.setattr(raising, "LEASE_PATIENCE_S", 0.3)
    told: list[str] = []
    one.waits = told.append
    assert "audit still publishes" in str(await one.take("another"))
    (line,) = told  # once every few seconds
    assert re.fullmatch(
        r"waiting for the lease of audit's relay .*, until \d\d:\d\d:\d\d UTC at most", line
    )
    await one.store.release("relay", "me")
    assert await one.take("another") is None


async def test_a_store_that_lacks_what_was_published_is_refused():
    log = Ends()
    log.found = {Place(RECORD, 0): (0, 0)}
    store = MemoryStore()
    one = Stopped(AUDIT, store, log)  # type: ignore[arg-type]  # as much of both as is used
    assert "rebuild it first" in str(await one.take("me"))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (AuthenticationError("of alice"), "refused the login (AuthenticationError)"),
        (NoPermissionError("of alice"), "refused the login (NoPermissionError)"),
        (RedisConnectionError("at alice"), "cannot be used: store_unavailable"),
    ],
)
async def test_a_store_that_cannot_be_used_is_named(monkeypatch, error, why):
    async def refuses(*_: object) -> bool:
        raise unavailable(error) from error

    log, store = Ends(), MemoryStore()
    log.found = {Place(RECORD, 0): (0, 0)}
    monkeypatch.setattr(store, "open_generation", refuses)
    told = str(await Stopped(AUDIT, store, log).take("me"))  # type: ignore[arg-type]  # as much of both as is used
    assert told.startswith(f"the store of audit {why}")
    assert "alice" not in told


def test_what_lies_behind_a_raise_lies_behind_our_last_fact_of_then():
    raises = Raises(
        [raised((5, 8), 4, notifier=30), raised((9, 8, 1, 0), 6, notifier=40, complaints=77)],
        "notifier",
    )
    behind = [(0, 4, 0), (0, 5, 30), (0, 9, 40), (1, 7, 0), (1, 8, 40), (2, 0, 30), (5, 0, 40)]
    for partition, offset, sequence in behind:
        assert raises.after(TOPIC, partition, offset) == sequence
    assert raises.after("recovery.compensation.v1", 0, 99) == 0
    assert raises.ends() == {(TOPIC, 0): 9, (TOPIC, 1): 8, (TOPIC, 2): 1, (TOPIC, 3): 0}
    assert raises.heard(TOPIC, 0) == {}
    assert raises.heard(TOPIC, 3) == {"/complaints": 0}
    assert raises.heard(TOPIC, 4) == {"/complaints": 77}


def test_a_service_that_was_not_there_at_a_raise_does_not_know_the_order():
    raises = Raises([raised((5,), 4)], "newcomer")
    assert (raises.unknown, raises.borders, raises.ends()) == ({TOPIC}, [], {})


async def test_a_line_from_before_a_raise_is_old_in_a_partition_that_was_added(monkeypatch):
    """A relay that was frozen meanwhile sends it once more; what comes later counts."""
    monkeypatch.setitem(PRODUCERS, Heard.TOPIC, "things")  # type: ignore[arg-type]  # a dictionary
    store = MemoryStore()
    await store.begin_generation("first", 0)
    one = settler(store)
    one.raises = Raises([raised((1,) * 4, 8, Heard.TOPIC, tally=1, things=5)], "tally")
    for partition, offset, number in ((0, 0, 5), (7, 0, 4), (7, 1, 5), (7, 2, 6), (7, 3, 6)):
        line = record(
            Heard(name="a"), offset, f"e-{number}", sequence=f"{number:020}", source="/things"
        )
        await one.settle_records(INBOX, partition, [line])
    (tally,) = await store.read([Tally.key("a")])
    assert Tally.model_validate_json(tally.body).total == 2
    assert await one.applied([(Heard.TOPIC, 7)]) == [3]


@pytest.mark.parametrize(
    ("missing", "service", "knows"),
    [((), "notifier", True), ([Place(TOPIC, 1)], "notifier", False), ((), "newcomer", False)],
)
async def test_a_state_from_before_a_raise_reads_nothing(
    aboard: Aboard, monkeypatch, missing, service, knows
):
    fact = raised((5, 8), 4)
    if service == "newcomer":
        fact = fact.model_copy(update={"sequences": {"complaints": 3}})

    async def found(*_: object) -> Sequence[tuple[str, bytes]]:
        return [("k", record(fact, 0).value or b"")]

    class Stream:
        async def not_applied(self, ends: object) -> object:
            assert ends == ({} if service == "newcomer" else {(TOPIC, 0): 5, (TOPIC, 1): 8})
            return missing

    monkeypatch.setattr("shared.runtime.service.with_key", found)
    assert await aboard.apps["notifier"]._knows_raises(Stream()) is knows


async def test_a_service_waits_while_nobody_can_say_what_was_raised(aboard: Aboard, monkeypatch):
    async def away(*_: object) -> Sequence[tuple[str, bytes]]:
        raise OSError

    monkeypatch.setattr("shared.runtime.service.with_key", away)
    assert await aboard.apps["notifier"]._knows_raises(None) is False
