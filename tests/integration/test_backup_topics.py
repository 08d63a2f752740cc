"""Backups of the vault on a Kafka of their own: what is copied, and what a restore brings back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from pydantic_core import from_json
from typer.testing import CliRunner, Result

from devstack.stack import ROOT, RUN_DIRECTORY, Stack, running
from shared.contracts.complaints import CustomerErased, WordsExpired
from shared.contracts.event import encode, fingerprint, format_time
from shared.contracts.policy import PolicyPublished
from shared.contracts.vault import CustomerKeyCreated, CustomerKeyDestroyed, name_of
from shared.kernel import Fact
from shared.ops import backup, topics
from shared.ops.__main__ import app
from shared.ops.backup_files import CopiedRecord
from shared.runtime.wires import Broker
from tests.system.world import until

VAULT = CustomerKeyCreated.TOPIC
AUDIT = "recovery.audit.v1"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PARTITIONS = 2
SITE, OTHER = "ms-aurora", "ms-borealis"


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """Its topics are deleted here, which no other test would survive."""
    with running(RUN_DIRECTORY, ephemeral=True) as stack:
        yield stack


@pytest.fixture
def bootstrap(own_stack: Stack) -> str:
    """All topics, empty."""
    with closing(KafkaAdminClient(bootstrap_servers=own_stack.bootstrap)) as admin:
        if names := [topic.name for topic in topics.topics() if topic.name in admin.list_topics()]:
            admin.delete_topics(names)
            until(lambda: not set(names) & set(admin.list_topics()), "the topics to be gone")
    topics.create(own_stack.bootstrap, partitions=PARTITIONS)
    return own_stack.bootstrap


def event(fact: Fact, cause: str = "command/test/1") -> bytes:
    return encode(
        fact, source="/complaints", event_id=f"id-{fact.key()}", time=format_time(NOW),
        correlation="c", causation="c", cause=cause,
    )  # fmt: skip


def put(bootstrap: str, *facts: Fact, partition: int = 0, cause: str = "command/test/1") -> None:
    with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
        for fact in facts:
            header = [("content-type", b"application/cloudevents+json")]
            producer.send(fact.TOPIC, event(fact, cause), fact.key().encode(), header, partition)
        producer.flush(30)


def made(ref: str, which: str = "first", **more: str) -> CustomerKeyCreated:
    """A key of a customer."""
    wrapped = "v1." + 3 * fingerprint("test", ref, which)
    return CustomerKeyCreated(customer_ref=ref, wrapped=wrapped, **more)


def destroyed(key: CustomerKeyCreated, **more: str) -> CustomerKeyDestroyed:
    return CustomerKeyDestroyed(
        customer_ref=key.customer_ref, name=name_of(key.wrapped), destroyed_at=NOW, **more
    )


def erased(ref: str) -> CustomerErased:
    return CustomerErased(customer_ref=ref, site=SITE, asked_by="operator", erased_at=NOW)


def over(site: str, month: str) -> WordsExpired:
    return WordsExpired(
        site=site, month=month, policy_version=1, more=False,
        next_at=NOW + timedelta(days=31), expired_at=NOW,
    )  # fmt: skip


def lies(bootstrap: str, topic: str = VAULT) -> dict[tuple[int, int], tuple[bytes, bytes | None]]:
    """Key and value of each record by partition and offset, without what only fills an offset."""
    return {
        (one.partition, one.offset): (one.key, one.value)
        for one in topics.scan(topic, bootstrap)
        if not one.key.startswith(b"placeholder/")
    }


def give(bootstrap: str, *words: object) -> Result:
    return CliRunner().invoke(
        app, ["backup", *map(str, words), "--bootstrap", bootstrap], catch_exceptions=False
    )


def lost(bootstrap: str, topic: str = VAULT, partitions: int = PARTITIONS) -> None:
    """The topic is deleted, and made anew."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics(), "the topic to be gone")
    topics.create(bootstrap, partitions=partitions)


@pytest.fixture(autouse=True)
def little_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "BEYOND", 10)


def test_every_record_of_a_lost_topic_is_back_at_its_offset(bootstrap: str, tmp_path: Path):
    put(bootstrap, made("cu-a"), made("cu-b"), made("cu-a", "words", month="2026-11", site=SITE))
    put(bootstrap, made("cu-c"), partition=1)
    before = lies(bootstrap)
    taken = give(bootstrap, "take", tmp_path)
    assert (taken.exit_code, f"{VAULT}: 4 records" in taken.stdout) == (0, True), taken.output
    lost(bootstrap)
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    assert restored.exit_code == 0, restored.output
    assert "4 records are back at their offsets" in restored.stdout
    assert lies(bootstrap) == before
    ends = backup.spans(Broker(bootstrap), VAULT)
    assert {number: span.end for number, span in ends.items()} == {0: 13, 1: 11}


def test_offsets_that_compaction_removed_hold_nothing_after_a_restore(
    bootstrap: str, tmp_path: Path
):
    """A key that was destroyed before the backup is left out of it, compacted or not."""
    gone = made("cu-gone")
    put(bootstrap, made("cu-a"), gone, made("cu-b"), destroyed(gone), made("cu-c"))
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap)
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    assert restored.exit_code == 0, restored.output
    assert "0 keys that were destroyed since" in restored.stdout
    found = lies(bootstrap)
    assert sorted(found) == [(0, 0), (0, 2), (0, 3), (0, 4)]
    assert gone.wrapped.encode() not in b"".join(value or b"" for _, value in found.values())


def test_keys_that_were_destroyed_after_the_backup_stay_destroyed(bootstrap: str, tmp_path: Path):
    """INV-07: of erased customers, and of words whose time is over, at whichever site the time is shortest."""
    stays, erase = made("cu-stays"), made("cu-erased")
    old = made("cu-stays", "old", month="2026-03", site=OTHER)
    older = made("cu-stays", "older", month="2026-01", site=OTHER)
    shortest = made("cu-stays", "shortest", month="2026-02", site=SITE)
    elsewhere = made("cu-other", month="2026-01", site=OTHER)
    put(bootstrap, stays, erase, old, older, shortest, elsewhere)
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    put(bootstrap, erased("cu-erased"), erased("cu-never-copied"), over(SITE, "2026-02"))
    lost(bootstrap)
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    assert restored.exit_code == 0, restored.output
    assert "3 keys that were destroyed since are not" in restored.stdout
    found = {
        offset: (body["type"], body["data"])
        for (_, offset), (_, value) in lies(bootstrap).items()
        if (body := from_json(value or b"")) and body["data"]["customer_ref"] != "cu-never-copied"
    }
    kinds = [found[offset][0] for offset in range(6)]
    assert [kind == CustomerKeyDestroyed.TYPE for kind in kinds] == [
        False, True, False, True, True, False,
    ]  # fmt: skip
    assert found[1][1]["name"] == name_of(erase.wrapped)
    assert "month" not in found[1][1]
    assert (found[3][1]["month"], found[4][1]["month"]) == ("2026-01", "2026-02")
    everything = b"".join(value or b"" for _, value in lies(bootstrap).values())
    for key in (erase, older, shortest):
        assert key.wrapped.encode() not in everything
    (word,) = [
        body["data"]
        for _, value in lies(bootstrap).values()
        if (body := from_json(value or b""))["data"]["customer_ref"] == "cu-never-copied"
    ]
    assert "month" not in word


def test_a_restore_that_was_stopped_goes_on(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put(bootstrap, *(made(f"cu-{number}") for number in range(40)))
    put(bootstrap, *(made(f"cu-{number}", "second") for number in range(5)), partition=1)
    before = lies(bootstrap)
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap)
    monkeypatch.setattr(backup, "SENT_MAX", 10)
    put_one, count = backup.Placing._put, iter(range(100))

    def stopped(placing: backup.Placing, record: CopiedRecord) -> None:
        if next(count) == 25:
            raise KeyboardInterrupt
        put_one(placing, record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(backup.Placing, "_put", stopped)
        backup.restore(backup.named(tmp_path, None), VAULT, Broker(bootstrap), lambda *_: None)
    assert 0 < len(lies(bootstrap)) < 45
    for _ in range(2):
        restored = give(bootstrap, "restore", tmp_path, VAULT)
        assert restored.exit_code == 0, restored.output
        assert lies(bootstrap) == before


def test_a_topic_that_holds_something_else_is_left_alone(bootstrap: str, tmp_path: Path):
    put(bootstrap, made("cu-a"), made("cu-b"))
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap)
    put(bootstrap, made("cu-new"))
    before = lies(bootstrap)
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    assert (restored.exit_code, "is not empty" in restored.stderr) == (1, True)
    assert lies(bootstrap) == before


def test_a_restored_topic_is_as_long_as_audit_saw_the_lost_one(bootstrap: str, tmp_path: Path):
    """Offsets that services applied already would count as applied again."""
    put(bootstrap, made("cu-a"))
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    # What audit records says by its cause where it was; any fact does here.
    with closing(KafkaProducer(bootstrap_servers=bootstrap)) as producer:
        value = event(made("cu-b"), f"{VAULT}/1/77/5")
        producer.send(AUDIT, value, b"k", partition=0).get(30)
    lost(bootstrap)
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    assert restored.exit_code == 0, restored.output
    ends = backup.spans(Broker(bootstrap), VAULT)
    assert {number: span.end for number, span in ends.items()} == {0: 11, 1: 88}


@pytest.mark.parametrize("what", ["partitions", "erasures", "damaged"])
def test_a_restore_that_could_not_be_right_changes_nothing(
    bootstrap: str, tmp_path: Path, what: str
):
    put(bootstrap, made("cu-a"), erased("cu-b"))
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap, partitions=3 if what == "partitions" else PARTITIONS)
    if what == "erasures":
        lost(bootstrap, CustomerErased.TOPIC)
    if what == "damaged":
        (copy,) = tmp_path.glob(f"*/{VAULT}.gz")
        copy.write_bytes(copy.read_bytes()[:-9])
    restored = give(bootstrap, "restore", tmp_path, VAULT)
    sentence = {
        "partitions": "has 3 partitions, and the backup 2",
        "erasures": "who was erased cannot be known",
        "damaged": "is not the file that was written",
    }[what]
    assert (restored.exit_code, sentence in restored.stderr) == (1, True), restored.output
    assert lies(bootstrap) == {}


def test_no_backup_is_taken_of_a_topic_that_was_lost_and_none_is_deleted(
    bootstrap: str, tmp_path: Path
):
    put(bootstrap, made("cu-a"))
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap)
    again = give(bootstrap, "take", tmp_path, "--keep", 1)
    assert (again.exit_code, "it was lost or made anew" in again.stderr) == (1, True)
    assert len(list(tmp_path.glob("2*"))) == 1
    assert not list(tmp_path.glob(".unfinished*"))


def test_policies_are_backed_up_as_well(bootstrap: str, tmp_path: Path):
    policies = PolicyPublished.TOPIC
    answer = CliRunner().invoke(
        app, ["policy", "publish", str(ROOT / "policy/demo.yaml"), "--bootstrap", bootstrap]
    )
    assert answer.exit_code == 0, answer.output
    before = lies(bootstrap, policies)
    assert give(bootstrap, "take", tmp_path).exit_code == 0
    lost(bootstrap, policies)
    restored = give(bootstrap, "restore", tmp_path, policies)
    assert restored.exit_code == 0, restored.output
    assert lies(bootstrap, policies) == before
