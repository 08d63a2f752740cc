"""What a restore writes in place of keys that were destroyed after the backup was taken, without a broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.contracts.event import Event, encode, fingerprint, format_time
from shared.contracts.vault import (
    CustomerKeyCreated,
    CustomerKeyDestroyed,
    CustomerKeyRewrapped,
    name_of,
)
from shared.kernel import Fact
from shared.ops.backup import NOTHING_OVER, Over, Surviving
from shared.ops.backup_files import NAME, CopiedRecord, Manifest, Span, Writing, alone, named

VAULT = CustomerKeyCreated.TOPIC
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HEADERS = (("content-type", b"application/cloudevents+json"),)


def made(ref: str, month: str | None = None, site: str | None = None) -> CustomerKeyCreated:
    wrapped = "v1." + 3 * fingerprint("test", ref, month or "", site or "")
    return CustomerKeyCreated(customer_ref=ref, wrapped=wrapped, month=month, site=site)


def surviving(folder: Path, over: Over, *facts: Fact) -> Surviving:
    """A restore of a backup with these facts, one after the other."""
    records = []
    for offset, fact in enumerate(facts):
        value = encode(
            fact, source="/complaints", event_id=f"e{offset}", time=format_time(NOW),
            correlation="c", causation="c", cause="command/test/1",
        )  # fmt: skip
        records.append(CopiedRecord(0, offset, 1, fact.key().encode(), value, HEADERS))
    with alone(folder):
        writing = Writing(folder, NOW.strftime(NAME))
        copied = writing.topic(VAULT, {0: Span(first=0, end=len(facts))}, records)
        writing.finish(Manifest(taken_at=NOW, topics=(copied,), erasures={}))
    return Surviving(named(folder, None), VAULT, over)


def destroyed(record: CopiedRecord) -> dict[str, Any] | None:
    """What is said of a destroyed key; None of any other record."""
    if b"destroyed" not in (record.value or b""):
        return None
    event = Event[CustomerKeyDestroyed].model_validate_json(record.value or b"")
    assert event.data.key().encode() == record.key, "compaction takes the key's place"
    assert event.sequence is None, "it is no line of a service"
    return event.data.model_dump(exclude_none=True, exclude={"name"})


def test_where_nothing_was_destroyed_every_record_is_as_it_was(tmp_path):
    facts = [made("c-a"), made("c-a", "2026-01", "ms-a"), made("c-b")]
    restoring = surviving(tmp_path, NOTHING_OVER, *facts)
    assert list(restoring.records()) == list(named(tmp_path, None).records(VAULT))
    assert (restoring.destroyed, list(restoring.untold(4))) == (0, [])


def test_every_key_of_an_erased_customer_is_destroyed_at_its_offset_whatever_wraps_it(tmp_path):
    key = made("c-gone")
    again = CustomerKeyRewrapped(
        customer_ref="c-gone", name=name_of(key.wrapped), wrapped="v1." + "x" * 90, rewrapped_at=NOW
    )
    words = made("c-gone", "2026-11", "ms-a")
    restoring = surviving(tmp_path, Over({"c-gone": LATER}, {}), key, made("c-b"), again, words)
    found = list(restoring.records())
    assert [record.offset for record in found] == [0, 1, 2, 3]
    word = {"customer_ref": "c-gone", "destroyed_at": LATER}
    assert [destroyed(record) for record in found] == [word, None, word, word]
    assert (restoring.destroyed, list(restoring.untold(4))) == (3, [])


def test_words_are_over_at_all_sites_when_they_are_at_the_one_that_keeps_them_shortest(tmp_path):
    facts = [
        made("c-a"),
        made("c-a", "2026-01", "ms-long"),
        made("c-a", "2026-02", "ms-short"),
        made("c-a", "2026-03", "ms-long"),
        made("c-b", "2026-01", "ms-long"),
        made("c-c", "2026-03", "ms-short"),
    ]
    restoring = surviving(tmp_path, Over({}, {"ms-short": ("2026-02", LATER)}), *facts)
    found = [destroyed(record) for record in restoring.records()]
    word = {"customer_ref": "c-a", "destroyed_at": LATER}
    assert found == [
        None, {**word, "month": "2026-01"}, {**word, "month": "2026-02"}, None, None, None,
    ]  # fmt: skip


def test_an_erased_customer_of_whom_the_backup_has_no_key_is_said_to_be_erased(tmp_path):
    """Otherwise their reference would be used again."""
    before = CustomerKeyDestroyed(customer_ref="c-before", name="0" * 16, destroyed_at=NOW)
    words = CustomerKeyDestroyed(
        customer_ref="c-words", name="1" * 16, destroyed_at=NOW, month="2026-01"
    )
    over = Over({"c-before": NOW, "c-words": LATER, "c-after": LATER}, {})
    restoring = surviving(tmp_path, over, before, words)
    assert [destroyed(record) is not None for record in restoring.records()] == [True, True]
    found = list(restoring.untold(4))
    assert [destroyed(record) for record in found] == [
        {"customer_ref": ref, "destroyed_at": LATER} for ref in ("c-after", "c-words")
    ]
    assert found == list(restoring.untold(4)), "the same when a restore goes on"
    assert restoring.destroyed == 0
