"""A state made again from the topics is the state that was, and serves as it did."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from zlib import crc32

import pytest
from pydantic_core import from_json, to_json

import shared.runtime.rebuild.state as module
from services.audit.app import DOMAIN as AUDIT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.catalogue import WITH_CUSTOMERS, dead_letters, produced, subscriptions
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintReopened, ComplaintTriaged
from shared.contracts.deadletters import DeadLetterDiscarded, DeadLetterReplayed
from shared.contracts.event import Event
from shared.contracts.intake import ComplaintRaised
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.contracts.roster import EmployeeListed
from shared.contracts.topics import TopicRaised
from shared.runtime.engine.deadletters import Buried
from shared.runtime.engine.settle import ANSWER_TTL_S, Older
from shared.runtime.engine.store import KEPT_S, Commit, Committed, Conflict, Line, Write
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Handler, Record, deciding
from shared.runtime.rebuild.rebuild import Rebuild
from shared.runtime.rebuild.sources import Place, Refused
from shared.testing.builders import record
from shared.testing.memory_store import MemoryStore
from tests.suites.services import SITE, Aboard, raised, state

DOMAINS = {domain.owner: domain for domain in (COMPLAINTS, COMPENSATION, NOTIFIER, AUDIT)}
#: Partitions a service's own facts lie in here; lower ones hold what others wrote.
OWN = (10, 11, 12)


class Sailing(Aboard):
    """The services, and everything that any of them was given by hand."""

    async def begin(self) -> Sailing:
        self.by_hand: dict[tuple[str, str], list[Record]] = defaultdict(list)
        await super().begin()
        return self

    async def feed(self, name, topic, records, partition=0):
        if partition == 0:
            self.by_hand[name, topic] += records
        await super().feed(name, topic, records, partition)


class MemoryLog:
    """The topics of one service, as a broker would hold them after what happened aboard."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = {}
        self.offsets: dict[Place, int] = {}

    @classmethod
    async def of(cls, aboard: Sailing, owner: str, *, committed: bool = True) -> MemoryLog:
        log = cls()
        for topic in subscriptions(owner):
            # What was handed over twice lies there once.
            by_offset = {one.offset: one for one in aboard.by_hand[owner, topic]}
            log.records[Place(topic, 0)] = list(by_offset.values())
            for number, producer in enumerate(aboard.stores, start=1):
                found = [] if producer == owner else await lines(aboard.stores[producer], topic)
                log.records[Place(topic, number)] = [
                    Record(n, value) for n, (_, _, value) in enumerate(found)
                ]
        for topic in sorted({fact.TOPIC for fact in produced(owner)}):
            parts: dict[int, list[bytes]] = {number: [] for number in OWN}
            for key, named, value in await lines(aboard.stores[owner], topic):
                number = OWN[crc32(key.encode()) % len(OWN)] if named is None else named
                part = parts.setdefault(number, [])
                part.append(value)
                if crc32(value) % 7 == 0:  # a relay that died sends what it had not trimmed again
                    part += part[-3:]
            for number, values in parts.items():
                log.records[Place(topic, number)] = [Record(n, v) for n, v in enumerate(values)]
        log.records[Place(dead_letters(owner), 0)] = [
            Record(n, line.value, [(name, text.encode()) for name, text in line.headers])
            for n, line in enumerate(await aboard.dead(owner))
        ]
        if committed:
            for key, found in aboard.stores[owner].kept.documents.items():
                kind, _, rest = key.partition(":")
                if kind == "fence":
                    topic, _, number = rest.partition(":")
                    log.offsets[Place(topic, int(number))] = from_json(found.body)["offset"] + 1
        return log

    async def spans(self, names: Iterable[str]) -> dict[Place, tuple[int, int]]:
        wanted = set(names)
        return {
            place: (records[0].offset if records else 0, records[-1].offset + 1 if records else 0)
            for place, records in self.records.items()
            if place.topic in wanted
        }

    async def committed(self) -> dict[Place, int]:
        return self.offsets

    async def read(self, place: Place, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        found = [one for one in self.records[place] if start <= one.offset < stop]
        for at in range(0, len(found), 5):
            await asyncio.sleep(0)
            yield found[at : at + 5]


async def lines(store: MemoryStore, topic: str) -> list[tuple[str, int | None, bytes]]:
    """Key, partition if it is named, and value of a topic's facts, as the relay sends them."""
    first, encoded = await store.pending(100_000, 10**9)
    return [
        (line.key, line.partition, line.value[:-1] + b',"sequence":"%020d"}' % number)
        for number, line in enumerate(map(Line.decode, encoded), start=first)
        if line.topic == topic and not line.headers
    ]


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


def rebuild_of(aboard: Aboard, owner: str, log: MemoryLog, store: MemoryStore, **more) -> Rebuild:
    return Rebuild(
        store,
        DOMAINS[owner],
        log,
        **{"holder": "operator", "now": aboard.clock, "sleep": no_sleep, **more},
    )


async def rebuilt(aboard: Sailing, owner: str, log: MemoryLog | None = None) -> MemoryStore:
    """What comes of an empty store; no stage reads more than it said there is."""
    store = MemoryStore()

    def told(stage: str, done: int, total: int) -> None:
        assert done <= total, f"{stage}: {done} of {total}"

    log = log or await MemoryLog.of(aboard, owner)
    await rebuild_of(aboard, owner, log, store, told=told).run("again")
    return store


def comparable(store: MemoryStore, aboard: Aboard, *, fences: bool = True) -> dict[str, Any]:
    """The state; timers without those that rang for nothing, which ring for nothing once more."""
    found = state(store, fences=fences)
    now_ms = aboard.clock().timestamp() * 1000
    found["timers"] = {name: due for name, due in found["timers"].items() if due > now_ms}
    for key, body in found["documents"].items():
        if key.startswith("fence:"):
            found["documents"][key] = {**from_json(body), "failures": 0}
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        f"{what} {key}: {one[what].get(key)!r} {other[what].get(key)!r}"
        for what in one
        for key in one[what].keys() | other[what].keys()
        if one[what].get(key) != other[what].get(key)
    ]


ITEMS = ("dinner-for-two", "cinema", "taxfree-card/20000", "taxfree-card/50000", "sincere-words")
REASONS = ("food", "noise", "delay", "safety")
EMPLOYEES = ("e-ingrid", "e-jonas", "e-sofia", "e-lars")


class Voyage:
    """Everything that people do, in an order chosen by chance."""

    def __init__(self, aboard: Sailing, seed: int, *, minutes: Sequence[int] = (1, 10, 60)) -> None:
        self.aboard = aboard
        self.minutes = minutes
        self.chance = random.Random(seed)
        self.complaints: list[str] = []
        self.checks: list[dict[str, Any]] = []
        self.offers: list[dict[str, Any]] = []
        self.holds: list[str] = []
        self.incidents: list[str] = []
        self.asked: list[tuple[str, str, Any, str, bytes]] = []
        self.number = 0

    async def sail(self, steps: int) -> Voyage:
        for _ in range(steps):
            await self.chance.choice(
                [self.complain] * 3
                + [self.give] * 5
                + [self.offer, self.choose, self.redeem, self.redeem, self.finish, self.end]
                + [self.staff, self.incident, self.time, self.carry, self.feedback, self.erase]
            )()
        await self.aboard.carry()
        return self

    async def ask(self, path: str, command: Any, bearer: str):
        self.number += 1
        key = f"key-{self.number}"
        answer = await self.aboard.post(path, key, command, bearer)
        assert answer.status_code < 500, answer.text
        if answer.status_code < 300 or answer.json().get("type") == Reason.AUTHORITY_EXHAUSTED:
            self.asked.append((path, key, command, bearer, answer.content))
        return answer.json() if answer.status_code < 300 else {}

    def employee(self) -> str:
        return self.aboard.bearer(self.chance.choice(EMPLOYEES))

    async def complain(self) -> None:
        offset = len(self.aboard.by_hand["complaints", ComplaintRaised.TOPIC])
        one = record(raised(customer=f"cabin-{self.chance.randrange(4)}"), offset)
        if self.chance.random() < 0.2:
            one = Record(offset, b'{"specversion": "1.0", "id"')
        await self.aboard.feed("complaints", ComplaintRaised.TOPIC, [one])
        if self.chance.random() < 0.6:
            await self.carry()

    async def carry(self) -> None:
        await self.aboard.carry()
        self.complaints = [
            fact["complaint_id"]
            for fact in await self.aboard.facts("complaints")
            if fact["type"] == ComplaintTriaged.TYPE
        ]

    async def give(self) -> None:
        wish = {
            "item": self.chance.choice(ITEMS),
            "reason": self.chance.choice(REASONS),
            "again": True,
        }
        if not self.complaints or self.chance.random() < 0.4:
            spot = {"text": "Waited an hour.", "customer": f"cabin-{self.chance.randrange(4)}"}
            wish["on_the_spot"] = spot
        else:
            wish["complaint_id"] = self.chance.choice(self.complaints)
        found = await self.ask("checks", wish, self.employee())
        self.checks += [found] if "code" in found else []

    async def erase(self) -> None:
        """Others hear of it at once, or give and log under the erased reference meanwhile."""
        documents = self.aboard.stores["complaints"].kept.documents
        keys = sorted(key for key in documents if key.startswith("key:"))
        if not keys:
            return
        self.aboard.topics.empty = True
        path = f"/v1/customers/{self.chance.choice(keys).removeprefix('key:')}/erasure"
        bearer = self.aboard.bearer("guest-relations", "privacy")
        async with self.aboard.http("complaints", bearer) as caller:
            self.number += 1
            answer = await caller.post(path, headers={"Idempotency-Key": f"key-{self.number}"})
        assert answer.status_code in (201, 404, 409), answer.text
        if self.chance.random() < 0.5:
            await self.carry()

    async def offer(self) -> None:
        if self.complaints:
            wish = {
                "complaint_id": self.chance.choice(self.complaints),
                "items": self.chance.sample(ITEMS[:3], 2),
                "reason": "food",
            }
            found = await self.ask("offers", wish, self.employee())
            self.offers += [found] if "offer_id" in found else []

    async def choose(self) -> None:
        if self.offers:
            one = self.chance.choice(self.offers)
            item = one["options"][0]["item"]
            await self.ask(f"offers/{one['offer_id']}/choice", {"item": item}, self.employee())

    async def redeem(self) -> None:
        if self.checks:
            wish = {
                "code": self.chance.choice(self.checks)["code"],
                "amount_minor": self.chance.choice([None, 100_00]),
                "capture": self.chance.random() < 0.3,
            }
            found = await self.ask("redemptions", wish, self.aboard.bearer("taxfree", kind="till"))
            self.holds += [found["redemption_id"]] if "redemption_id" in found else []

    async def finish(self) -> None:
        if self.holds:
            what = self.chance.choice(["capture", "cancel", "rollback"])
            body = {} if what == "capture" else None
            till = self.aboard.bearer("taxfree", kind="till")
            await self.ask(f"redemptions/{self.chance.choice(self.holds)}/{what}", body, till)

    async def end(self) -> None:
        if self.checks:
            check_id = self.chance.choice(self.checks)["check_id"]
            what = self.chance.choice(["void", "suspend", "resume", "explain"])
            body = {"explanation": "They had waited long."} if what == "explain" else None
            await self.ask(f"checks/{check_id}/{what}", body, self.employee())

    async def staff(self) -> None:
        what = self.chance.randrange(3)
        if what < 2:
            await self.ask(
                "me/shift" if what else "me/shift/end", {} if what else None, self.employee()
            )
            return
        name = self.chance.choice([*EMPLOYEES, "e-new"])
        listing = {"role": self.chance.choice(["reception", "deck"])}
        async with self.aboard.http(
            "compensation", self.aboard.bearer("hr", kind="personnel")
        ) as hr:
            self.number += 1
            answer = await hr.put(
                f"/v1/employees/{name}",
                json={"site": SITE, "listing": listing},
                headers={"Idempotency-Key": f"key-{self.number}"},
            )
            assert answer.status_code < 500, answer.text

    async def incident(self) -> None:
        if not self.incidents or self.chance.random() < 0.3:
            reason = {"reason": self.chance.choice(REASONS)}
            found = await self.ask("incidents", reason, self.employee())
            self.incidents += [found["incident_id"]] if found else []
            return
        what = self.chance.choice(["give", "give", "close"])
        await self.ask(
            f"incidents/{self.chance.choice(self.incidents)}/{what}", None, self.employee()
        )

    async def time(self) -> None:
        self.aboard.later(minutes=self.chance.choice(self.minutes))
        for service in self.aboard.stores:
            await self.aboard.ring(service)

    async def feedback(self) -> None:
        await self.aboard.ring("notifier")


@pytest.fixture
async def sailing(tmp_path) -> Sailing:
    return await Sailing(tmp_path).begin()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("chunk", [1, 7, 10_000])
async def test_the_state_made_again_is_the_state_that_was(sailing, monkeypatch, seed, chunk):
    """INV-06: documents, balances, timers, fences and answers, of every service."""
    monkeypatch.setattr(module, "CHUNK_FACTS", chunk)
    monkeypatch.setattr(module, "DOCUMENTS_MAX", 3 * chunk)
    voyage = await Voyage(sailing, seed).sail(90)
    assert len(voyage.asked) > 20
    for owner, store in sailing.stores.items():
        made = await rebuilt(sailing, owner)
        assert differing(comparable(made, sailing), comparable(store, sailing)) == []


@pytest.mark.parametrize("seed", range(6))
async def test_after_weeks_everything_is_there_but_old_answers(sailing, seed):
    weeks = [60 * 24, 60 * 24 * 7]
    await Voyage(sailing, seed, minutes=weeks).sail(90)
    for owner, store in sailing.stores.items():
        made = await rebuilt(sailing, owner)
        was, now = comparable(store, sailing), comparable(made, sailing)
        late = {key for key in now["documents"] if key.startswith("answer:")}
        was["documents"] = {
            key: body
            for key, body in was["documents"].items()
            if key in late or not key.startswith("answer:")
        }
        assert differing(now, was) == []


async def serve_again(aboard: Aboard, owner: str, store: MemoryStore) -> None:
    """Let a service that runs go on with a store that was made again."""
    kept = aboard.stores[owner].kept
    for part in ("documents", "accounts", "timers", "leases", "sequence", "marker"):
        setattr(kept, part, getattr(store.kept, part))
    assert await aboard.stores[owner].open_generation(store.kept.sequence)


@pytest.mark.parametrize("seed", range(3))
async def test_a_request_that_is_tried_again_still_gets_its_first_answer(sailing, seed):
    """INV-02: given, refused, chosen, redeemed; nothing acts a second time."""
    voyage = await Voyage(sailing, seed).sail(80)
    await serve_again(sailing, "compensation", await rebuilt(sailing, "compensation"))
    before = state(sailing.stores["compensation"])
    for path, key, command, bearer, first in voyage.asked:
        again = await sailing.post(path, key, command, bearer)
        assert (again.content, again.headers["idempotency-replayed"]) == (first, "true")
    assert state(sailing.stores["compensation"]) == before


@pytest.mark.parametrize("seed", range(3))
async def test_what_comes_again_after_a_rebuild_changes_nothing_and_what_is_new_goes_on(
    sailing, seed
):
    voyage = await Voyage(sailing, seed).sail(60)
    logs = {owner: await MemoryLog.of(sailing, owner) for owner in DOMAINS}
    for owner, log in logs.items():
        await serve_again(sailing, owner, await rebuilt(sailing, owner, log))
    before = {owner: state(store) for owner, store in sailing.stores.items()}
    last = {owner: store.kept.sequence for owner, store in sailing.stores.items()}
    for owner, log in logs.items():
        for place, records in log.records.items():
            if place.partition not in OWN and not place.topic.endswith(".dlq.v1"):
                await sailing.feed(owner, place.topic, records, place.partition)
    assert {owner: state(store) for owner, store in sailing.stores.items()} == before
    answer = await sailing.give(await sailing.raise_complaint(1000), "sincere-words", "another")
    assert answer.status_code == 201
    assert all(sailing.stores[owner].kept.sequence > last[owner] for owner in WITH_CUSTOMERS)
    assert voyage.asked


async def test_what_was_read_before_a_rebuild_is_a_conflict_after_it(sailing):
    """INV-06: a decision of a process that slept through it is taken again."""
    key = f"case:{await sailing.raise_complaint()}"
    store = sailing.stores["compensation"]
    (before,) = await store.read([key])
    await serve_again(sailing, "compensation", await rebuilt(sailing, "compensation"))
    ended = await store.commit(Commit([Write(key, before.version, b"{}")]))
    assert ended == Conflict(key)


async def test_an_answer_is_kept_for_as_long_as_it_would_have_been(sailing):
    complaint = await sailing.raise_complaint()
    await sailing.give(complaint, "sincere-words", "early")
    sailing.later(hours=20)
    await sailing.give(complaint, "sincere-words", "later", again=True)
    sailing.later(hours=28)
    ttls = (await rebuilt(sailing, "compensation")).kept.ttls
    assert [ttl_s for key, ttl_s in ttls.items() if key.startswith("answer:")] == [
        ANSWER_TTL_S - 28 * 3600
    ]


async def test_documents_are_kept_for_as_long_as_facts_are_but_those_that_last(sailing):
    await sailing.give(await sailing.raise_complaint(), "sincere-words", "once")
    for store in (sailing.stores["compensation"], await rebuilt(sailing, "compensation")):
        kept = {key: store.kept.ttls.get(key) for key in store.kept.documents}
        assert {ttl_s for key, ttl_s in kept.items() if key.startswith("check:")} == {KEPT_S}
        lasting = {key.partition(":")[0] for key, ttl_s in kept.items() if ttl_s is None}
        assert lasting == {"policy", "policy-version", "key", "employee", "crew", "fence"}


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("after", range(0, 12, 3))
async def test_one_that_died_serves_nobody_and_the_next_one_ends_right(sailing, monkeypatch, after):
    monkeypatch.setattr(module, "CHUNK_FACTS", 5)
    await Voyage(sailing, 1).sail(60)
    store = MemoryStore()
    log = await MemoryLog.of(sailing, "compensation")
    left = after

    class Dying(MemoryStore):
        async def load(self, holder, portion, version):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            await super().load(holder, portion, version)

        async def release(self, name, holder):
            """Who is killed releases nothing."""

    with pytest.raises(Killed):
        await rebuild_of(sailing, "compensation", log, Dying(kept=store.kept)).run("first")
    service = MemoryStore(kept=store.kept)
    assert not await service.open_generation(0)
    assert not await service.begin_generation("from-nothing", 0), "half a state is not an empty one"
    assert not await service.lease("relay", "a-service", 1000)
    again = rebuild_of(sailing, "compensation", log, store, holder="second")
    with pytest.raises(Refused, match="another rebuild"):
        await again.run("second")
    store.kept.leases.clear()  # the leases of the dead run out
    await again.run("second")
    live = comparable(sailing.stores["compensation"], sailing)
    assert differing(comparable(store, sailing), live) == []
    assert await service.open_generation(store.kept.sequence)
    assert await service.lease("relay", "a-service", 1000)


async def test_a_store_that_is_well_is_left_alone_unless_it_is_forced(sailing):
    await Voyage(sailing, 2).sail(30)
    store, log = sailing.stores["compensation"], await MemoryLog.of(sailing, "compensation")
    before = state(store)
    with pytest.raises(Refused, match="nothing to rebuild"):
        await rebuild_of(sailing, "compensation", log, store).run("again")
    assert state(store) == before
    assert (await store.commit(Commit(()))) == Committed(store.kept.sequence)
    await rebuild_of(sailing, "compensation", log, store).run("again", force=True)
    with pytest.raises(Unavailable, match=Reason.STORE_STALE.value):
        await store.read(["a"])
    assert await store.open_generation(store.kept.sequence)
    assert not store.kept.lines


async def test_a_store_that_is_older_than_its_topic_is_made_again_without_being_asked_twice(
    sailing,
):
    await Voyage(sailing, 3).sail(30)
    log = await MemoryLog.of(sailing, "compensation")
    old = MemoryStore()
    await old.begin_generation("before", 3)
    await rebuild_of(sailing, "compensation", log, old).run("again")
    live = comparable(sailing.stores["compensation"], sailing)
    assert differing(comparable(old, sailing), live) == []


async def test_it_waits_until_the_relay_has_had_its_turn(sailing):
    await Voyage(sailing, 3).sail(10)
    store = MemoryStore()
    assert await store.lease("relay", "a-service", 1000)
    looks = 0

    async def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert not store.kept.documents, "before that nothing is read or written"
        if looks == 40:
            await store.release("relay", "a-service")

    log = await MemoryLog.of(sailing, "compensation")
    await rebuild_of(sailing, "compensation", log, store, sleep=sleep).run("again")
    assert looks == 40
    assert store.kept.marker == "again"


async def test_a_line_that_a_relay_published_meanwhile_is_in_the_state_too(sailing):
    await Voyage(sailing, 3).sail(30)
    log = await MemoryLog.of(sailing, "compensation")
    place = max(
        (place for place in log.records if place.partition in OWN and log.records[place]),
        key=lambda place: len(log.records[place]),
    )
    *early, late = log.records[place]
    log.records[place] = early
    store, told = MemoryStore(), []

    class Late(MemoryStore):
        async def forget(self, holder):
            log.records[place] = [*early, late] if told else early
            await super().forget(holder)

        async def load(self, holder, portion, version):
            log.records[place] = [*early, late]
            await super().load(holder, portion, version)

    def tell(stage: str, _done: int, _total: int) -> None:
        told.extend([stage] if "anew" in stage else [])

    late_one = Late(kept=store.kept)
    await rebuild_of(sailing, "compensation", log, late_one, told=tell).run("again")
    assert told == ["anew: a relay of this service published meanwhile"]
    live = comparable(sailing.stores["compensation"], sailing)
    assert differing(comparable(store, sailing), live) == []


async def test_what_no_group_acknowledged_and_no_fact_proves_is_left_for_the_service(sailing):
    """A listing causes nothing: not acknowledged, it is settled when the service goes on."""
    await sailing.raise_complaint()
    log = await MemoryLog.of(sailing, "compensation", committed=False)
    store = await rebuilt(sailing, "compensation", log)
    kept = store.kept.documents
    assert f"fence:{EmployeeListed.TOPIC}:0" not in kept
    assert not [key for key in kept if key.startswith("employee:")]
    assert from_json(kept["fence:recovery.complaints.v1:1"].body)["offset"] == 1
    await serve_again(sailing, "compensation", store)
    roster = log.records[Place(EmployeeListed.TOPIC, 0)]
    with pytest.raises(
        Older
    ):  # a process that had settled them ends, and one that starts reads them
        await sailing.feed("compensation", EmployeeListed.TOPIC, roster[:1], 0)
    sailing.apps["compensation"].parts.settler._applied.clear()
    for place, records in log.records.items():
        if place.partition not in OWN and not place.topic.endswith(".dlq.v1"):
            await sailing.feed("compensation", place.topic, records, place.partition)
    assert f"employee:{SITE} e-ingrid" in store.kept.documents


async def test_what_lies_before_a_raise_was_settled_whatever_the_group_acknowledged(sailing):
    """INV-06: a topic is raised only when everybody has settled all of it."""
    await Voyage(sailing, 5).sail(40)
    log = await MemoryLog.of(sailing, "notifier")
    sequences = {owner: store.kept.sequence for owner, store in sailing.stores.items()}
    for offset, topic in enumerate((ComplaintTriaged.TOPIC, CheckIssued.TOPIC)):
        ends = tuple(len(log.records[Place(topic, number)]) for number in range(5))
        assert sum(ends) > 5
        for number in range(5):
            log.offsets.pop(Place(topic, number), None)
        fact = TopicRaised(
            topic=topic,
            partitions=9,
            ends=ends,
            sequences=sequences,
            raised_at=sailing.clock(),
        )
        log.records.setdefault(Place(TopicRaised.TOPIC, 0), []).append(record(fact, offset))
    store = await rebuilt(sailing, "notifier", log)
    live = comparable(sailing.stores["notifier"], sailing)
    assert differing(comparable(store, sailing), live) == []


async def test_a_document_that_a_fact_of_ours_presupposes_proves_that_its_maker_was_settled(
    sailing,
):
    """The group had not acknowledged the roster yet, but somebody on it had checked in."""
    assert (await sailing.post("me/shift", "in", {}, sailing.bearer("e-lars"))).status_code == 200
    log = await MemoryLog.of(sailing, "compensation", committed=False)
    store = await rebuilt(sailing, "compensation", log)
    listed = [from_json(one.value)["data"] for one in log.records[Place(EmployeeListed.TOPIC, 0)]]
    proven = [fact["employee_id"] for fact in listed].index("e-lars")
    fence = from_json(store.kept.documents[f"fence:{EmployeeListed.TOPIC}:0"].body)
    assert fence["offset"] == proven
    employee = from_json(store.kept.documents[f"employee:{SITE} e-lars"].body)
    assert employee["checked_in_until"]


async def test_a_fact_of_ours_that_presupposes_what_no_topic_has_is_said_and_nothing_is_opened(
    sailing,
):
    await sailing.post("me/shift", "in", {}, sailing.bearer("e-lars"))
    log = await MemoryLog.of(sailing, "compensation")
    log.records[Place(EmployeeListed.TOPIC, 0)] = []
    store = MemoryStore()
    with pytest.raises(Refused, match="presupposes employee:ms-aurora e-lars"):
        await rebuild_of(sailing, "compensation", log, store).run("again")
    assert not store.kept.marker
    assert not store.kept.leases.get("rebuild"), "the next one need not wait"


async def test_of_a_compacted_topic_the_latest_is_enough(sailing):
    """Somebody is listed, checks in and is listed again: their first listing is gone by then."""
    await sailing.post("me/shift", "in", {}, sailing.bearer("e-lars"))
    async with sailing.http("compensation", sailing.bearer("hr", kind="personnel")) as hr:
        for n in range(3):
            body = {"site": SITE, "listing": {"role": "deck", "languages": ["en", "nb"][:n]}}
            await hr.put("/v1/employees/e-lars", json=body, headers={"Idempotency-Key": f"{n}"})
    sailing.later(days=3)
    log = await MemoryLog.of(sailing, "compensation")
    for place, records in log.records.items():
        if place.topic == EmployeeListed.TOPIC:
            latest = {from_json(one.value)["data"]["employee_id"]: one for one in records}
            if place.partition not in OWN:
                latest.pop("e-lars", None)
            log.records[place] = list(latest.values())
    store = await rebuilt(sailing, "compensation", log)
    was, now = sailing.stores["compensation"].kept.documents, store.kept.documents
    assert now[f"employee:{SITE} e-lars"].body == was[f"employee:{SITE} e-lars"].body


@pytest.mark.parametrize("operators", [0, 1], ids=["compacted", "in another partition"])
async def test_the_policy_that_a_manager_published_last_holds_again(sailing, operators):
    """The operator's is gone by then, or stays for good where it lay before both chose partitions alike."""
    async with sailing.http("compensation", sailing.bearer("m-1", kind="manager")) as manager:
        for n in range(2):
            policy = json.loads(sailing.policy.model_dump_json()) | {"site_name": f"Aurora {n}"}
            headers = {"Idempotency-Key": f"{n}", "If-Match": "*"}
            answer = await manager.put("/v1/policy", json={"policy": policy}, headers=headers)
            assert answer.status_code == 200, answer.text
    sailing.later(days=3)
    log = await MemoryLog.of(sailing, "compensation")
    for place, records in log.records.items():
        if place.topic == PolicyPublished.TOPIC:
            log.records[place] = records[
                -1 if place.partition in OWN else len(records) - operators :
            ]
    store = await rebuilt(sailing, "compensation", log)
    was, now = sailing.stores["compensation"].kept.documents, store.kept.documents
    for name in (f"policy:{SITE}", f"policy-version:{SITE}/3"):
        assert now[name].body == was[name].body


async def test_what_was_put_away_changed_nothing_and_does_so_again(sailing):
    complaint = await sailing.raise_complaint()
    triaged = [
        fact for fact in await sailing.facts("complaints") if fact["type"] == ComplaintTriaged.TYPE
    ]
    fact = ComplaintReopened(
        complaint_id="co-other", customer_ref=triaged[0]["customer_ref"], site=SITE, language="en",
        employee_id="e-lars", round=1, promised_by=sailing.clock(), has_contact=False,
    )  # fmt: skip
    log = await MemoryLog.of(sailing, "compensation", committed=False)
    place = Place(ComplaintReopened.TOPIC, 0)
    log.records[place] = [record(fact, 4)]
    log.records[Place("recovery.compensation.dlq.v1", 0)] = [
        Record(
            0,
            b"sealed",
            [
                ("reason", b"handler_failed"),
                ("origin-topic", place.topic.encode()),
                ("origin-partition", b"0"),
                ("origin-offset", b"4"),
            ],
        )
    ]
    letters = log.records.pop(Place("recovery.compensation.dlq.v1", 0))
    log.offsets[place] = 5
    settled = (await rebuilt(sailing, "compensation", log)).kept.documents
    assert "case:co-other" in settled, "it can be read, and would change something"
    log.records[Place("recovery.compensation.dlq.v1", 0)] = letters
    kept = (await rebuilt(sailing, "compensation", log)).kept.documents
    assert f"case:{complaint}" in kept
    assert "case:co-other" not in kept
    assert from_json(kept[f"fence:{place.topic}:0"].body)["offset"] == 4


def forged(topic: str, partition: int, offset: int) -> Record:
    """A dead letter of a record, as anybody may write it who may write to its topic."""
    where = {"topic": topic, "partition": partition, "offset": offset}
    headers = [(f"origin-{name}", str(value).encode()) for name, value in where.items()]
    return Record(0, b"v1.AAAA", [("reason", b"unknown_site"), *headers])


async def fence_after(sailing, log, *letters) -> int:
    """The fence of the first intake partition of complaints after a rebuild with these dead letters."""
    log.records[Place(dead_letters("complaints"), 0)] = [
        one._replace(offset=number) for number, one in enumerate(letters)
    ]
    store = MemoryStore()
    made = await rebuild_of(sailing, "complaints", log, store).run("again")
    assert made.doubted == len(letters)
    return int(from_json(store.kept.documents[f"fence:{ComplaintRaised.TOPIC}:0"].body)["offset"])


async def test_a_dead_letter_moves_no_fence_beyond_what_was_acknowledged(sailing):
    """INV-04: what other systems told and nobody has read yet is not passed over."""
    await sailing.raise_complaint(0)
    log = await MemoryLog.of(sailing, "complaints")
    intake = Place(ComplaintRaised.TOPIC, 0)
    log.records[intake] += [record(raised(), offset) for offset in range(1, 11)]
    assert log.offsets[intake] == 1
    for offset in (9, 10**6, 2**63 - 1, 2**63):
        assert await fence_after(sailing, log, forged(*intake, offset)) == 0
    ahead = [forged(intake.topic, 999, 5), forged("RECOVERY \x1b", 0, 5), Record(0, b"?")]
    assert await fence_after(sailing, log, *ahead) == 0


async def test_a_dead_letter_of_the_intake_is_not_read_again_after_a_rebuild(sailing):
    await sailing.raise_complaint(0)
    await sailing.feed("complaints", ComplaintRaised.TOPIC, [record(raised(site="ms-new"), 1)])
    log = await MemoryLog.of(sailing, "complaints")
    store = MemoryStore()
    made = await rebuild_of(sailing, "complaints", log, store).run("again")
    assert made.doubted == 0
    fence = from_json(store.kept.documents[f"fence:{ComplaintRaised.TOPIC}:0"].body)
    assert fence["offset"] == 1


async def test_a_record_that_a_fact_of_ours_came_of_was_no_dead_letter(sailing):
    """INV-06: whoever may write to the topic of dead letters takes no fact out of the state."""
    await sailing.raise_complaint()
    log = await MemoryLog.of(sailing, "compensation")
    plain = state(await rebuilt(sailing, "compensation", log))
    causes = [one["cause"] for one in await sailing.events("compensation") if one["cause"]]
    topic, partition, offset, _ = next(c for c in causes if "complaints.v1/" in c).split("/")
    log.records[Place(dead_letters("compensation"), 0)] = [
        forged(topic, int(partition), int(offset))
    ]
    assert state(await rebuilt(sailing, "compensation", log)) == plain


@pytest.mark.parametrize("there", [True, False], ids=["letter there", "letter gone"])
@pytest.mark.parametrize("taken", [True, False, "at second hand"])
async def test_a_dead_letter_that_was_sent_again_changed_the_state_when_it_was_taken(
    sailing, taken, there, monkeypatch
):
    """INV-06: also once the letter itself is gone, because what operators decided stays.

    At second hand: what the operator decided was a dead letter too, of an older build.
    """
    complaint = await sailing.raise_complaint()
    (inbox,) = [i for i in sailing.apps["notifier"].inboxes if i.topic == CheckIssued.TOPIC]
    sound = inbox._handlers[CheckIssued.TYPE]

    async def fails(_event, _view):
        raise ZeroDivisionError

    inbox._handlers[CheckIssued.TYPE] = Handler(CheckIssued, deciding(fails))
    await sailing.give(complaint, "cinema", "k-1")
    await sailing.carry()
    inbox._handlers[CheckIssued.TYPE] = sound
    await sailing.give(complaint, "dinner-for-two", "k-2", again=True)
    await sailing.carry()
    (line,) = await sailing.dead("notifier")
    (letter,) = [Buried.of("notifier", [(key, text.encode()) for key, text in line.headers])]
    names = ("consumer", "topic", "partition", "offset", "burial")
    place = {name: getattr(letter, name) for name in names}
    more = {"dead_partition": 0, "dead_offset": 0} if taken else {}
    kind = DeadLetterReplayed if taken else DeadLetterDiscarded
    fact = kind(**place, **more, by="op-7", why="cause_removed")
    if taken == "at second hand":
        (inbox,) = [i for i in sailing.apps["notifier"].inboxes if i.topic == kind.TOPIC]
        with monkeypatch.context() as older:
            older.setitem(inbox._models, kind.TYPE, Event[ComplaintRaised])
            await sailing.feed("notifier", kind.TOPIC, [record(fact, 0)])
        where = {"topic": kind.TOPIC, "partition": 0, "offset": 0, "dead_offset": 1}
        about = fact.model_copy(update=where)
        await sailing.feed("notifier", kind.TOPIC, [record(about, 1)])
    else:
        await sailing.feed("notifier", kind.TOPIC, [record(fact, 0), record(fact, 1)])
    await sailing.raise_complaint(1)
    sailing.later(minutes=10)
    await sailing.ring()
    log = await MemoryLog.of(sailing, "notifier")
    if not there:
        log.records[Place(dead_letters("notifier"), 0)] = []
    store = await rebuilt(sailing, "notifier", log)
    was = comparable(sailing.stores["notifier"], sailing)
    assert differing(was, comparable(store, sailing)) == []
    assert (f"deadletter:{letter.name}" in was["documents"]) is True


async def test_a_fact_of_ours_that_this_version_cannot_read_stops_it(sailing):
    await sailing.raise_complaint()
    log = await MemoryLog.of(sailing, "compensation")
    place = next(p for p in log.records if p.partition in OWN and log.records[p])
    body = from_json(log.records[place][0].value)
    log.records[place][0] = Record(0, to_json({**body, "data": {}}))
    with pytest.raises(Refused, match=f"cannot read {body['type']}"):
        await rebuilt(sailing, "compensation", log)


NUMBERED = b'{"source":"/x","type":"y","data":{},"sequence":%s}'


@pytest.mark.parametrize(
    "broken",
    [
        *(b"null", b"[]", b"{", b'{"source": 1}', b"\xff", b'"x"'),
        *(NUMBERED % number for number in (b'"x"', b"1e400", b"Infinity", b'"%s"' % (b"9" * 21))),
    ],
)
async def test_what_is_no_event_changes_nothing(sailing, broken):
    await sailing.raise_complaint()
    log = await MemoryLog.of(sailing, "compensation")
    plain = await rebuilt(sailing, "compensation", log)
    place = Place("recovery.complaints.v1", 3)
    log.records[place] = [Record(0, broken), Record(1, None)]
    assert state(await rebuilt(sailing, "compensation", log)) == state(plain)


async def test_a_store_that_was_made_again_still_tells_a_repeat_from_another_complaint(sailing):
    """INV-04, INV-06: what is needed to tell is in the fact."""
    await sailing.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 0, "e-1")])
    await serve_again(sailing, "complaints", await rebuilt(sailing, "complaints"))
    later = [record(raised("Another one."), 1, "e-1"), record(raised(), 2, "e-1")]
    await sailing.feed("complaints", ComplaintRaised.TOPIC, later)
    (letter,) = await sailing.dead("complaints")
    assert dict(letter.headers)["reason"] == Reason.CONFLICTING_REPEAT
    assert (await sailing.types("complaints"))[-1] == "complaint.repeated"


async def test_what_other_systems_told_and_was_lost_with_the_outbox_is_read_again(sailing):
    """INV-04: acknowledged a moment before Redis was lost, and its facts not yet published."""
    await sailing.raise_complaint(0)
    log = await MemoryLog.of(sailing, "complaints")
    intake = Place(ComplaintRaised.TOPIC, 0)
    log.records[intake] += [record(raised(), offset) for offset in (1, 2)]
    log.offsets[intake] = 3
    store = MemoryStore()
    await rebuild_of(sailing, "complaints", log, store).run("again")
    assert from_json(store.kept.documents[f"fence:{intake.topic}:0"].body)["offset"] == 0
    await serve_again(sailing, "complaints", store)
    await sailing.feed("complaints", intake.topic, log.records[intake])
    assert (await sailing.types("complaints")).count("complaint.received") == 3
