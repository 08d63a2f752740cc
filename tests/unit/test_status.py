"""What the screen of `python -m shared.ops status` says, and when the command says that something is wrong."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from socket import socket

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import AuthenticationError, NoPermissionError

from shared.ops import status
from shared.ops.rebuild import KafkaLog, domain_of
from shared.ops.status import OURS, REFUSED, STALE, TIMERS_MAX, UNKNOWN, Health, Reading, _lines
from shared.ops.topics import no_topic
from shared.runtime.engine.redis_store import unavailable
from shared.runtime.rebuild.sources import Refused, Sources
from shared.testing.clock import START


def health(**changes) -> Health:
    found = {"outbox_lines": 3, "outbox_oldest_s": 61.2, "timers_due": 2, "timers_oldest_s": 0.5}
    return Health("notifier", **{"store": OURS, "sequence": 9, **found, **changes})


def test_a_row_has_what_waits_and_a_line_where_a_service_is_behind():
    reads = {"t.one": Reading(behind=4, lag=6), "t.two": Reading()}
    one = health(reads=reads, dead_letters={"unknown_site": 2})
    _, row, line, versions = _lines([one], {"ms-aurora": 7})
    assert row.split() == ["notifier", "ours", "3", "61s", "2", "4", "6", "2", "unknown_site"]
    assert line == "notifier is 4 behind on t.one"
    assert versions == "policies: ms-aurora 7"
    assert one.well


def test_what_cannot_be_asked_is_a_question_mark_and_more_timers_than_are_counted_a_plus():
    away = Health("notifier", reads={"t.one": Reading(behind=None, lag=6)})
    many = health(timers_due=TIMERS_MAX)
    _, one, other, versions = _lines([away, many], {})
    assert one.split() == ["notifier", "away", "?", "?", "?", "?", "6", "none"]
    assert f"{TIMERS_MAX}+" in other.split()
    assert versions == "policies: none"


@pytest.mark.parametrize(
    "wrong", [{"store": STALE}, {"reads": {"t": Reading(behind=0, lag=0, cut=1)}}]
)
def test_a_stale_store_and_a_topic_that_was_made_anew_are_not_well(wrong):
    assert not health(**wrong).well
    if "reads" in wrong:
        assert "partitions end before what was applied" in list(_lines([health(**wrong)], {}))[2]


class Nothing:
    """A log of a broker whose topics hold nothing."""

    async def spans(self, names) -> dict:
        return {(name, 0): (0, 0) for name in names}

    async def committed(self) -> dict:
        return {}


class RefusedStore:
    """A store that refuses every question with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def open_generation(self, _published: int | None) -> bool:
        try:
            raise unavailable(self._error) from self._error
        finally:
            await asyncio.sleep(0)


@pytest.mark.parametrize("error", [AuthenticationError("of alice"), NoPermissionError("of alice")])
async def test_a_store_that_refuses_the_login_is_told_in_a_sentence(monkeypatch, error):
    async def published(*_: object) -> int:
        return 0

    monkeypatch.setattr(status, "last_published", published)
    monkeypatch.setattr(status, "subscriptions", lambda _service: {})
    sources = Sources(domain_of("notifier"))
    one = await status.of_service("notifier", Nothing(), sources, RefusedStore(error), START)
    assert (one.store, one.store_error, one.well) == (REFUSED, type(error).__name__, False)
    _, _, line, _ = _lines([one], {})
    assert line.startswith(f"the store of notifier refused the login ({type(error).__name__})")
    assert "alice" not in line


def test_a_missing_topic_is_a_sentence_beside_the_other_services():
    lost = health(missing=["recovery.vault.v1"], dead_letters=None)
    other = Health("audit", UNKNOWN, missing=["recovery.audit.v1", "recovery.vault.v1"])
    _, row, unknown, *told, versions = _lines([lost, other], None)
    assert unknown.split() == ["audit", "unknown", *"?????", "none"]
    assert row.split()[-1] == "?"
    assert told == [no_topic("recovery.audit.v1"), no_topic("recovery.vault.v1")]
    assert versions == "policies: ?"
    assert not lost.well


def test_of_a_missing_compacted_topic_the_runbook_comes_before_its_creation():
    compacted, other = no_topic("recovery.vault.v1"), no_topic("recovery.audit.v1")
    assert compacted.index("A compacted topic was lost") < compacted.index("topics create")
    assert other == "there is no topic recovery.audit.v1: run `topics create` first"


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("away", [True, False])
async def test_a_log_that_could_not_be_opened_leaves_no_client_open(monkeypatch, nobody, away):
    async def partitions(log: KafkaLog) -> list:
        log.missing = ["recovery.vault.v1"]
        return []

    if not away:
        monkeypatch.setattr(KafkaLog, "_partitions", partitions)
    told: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    with pytest.raises(KafkaConnectionError if away else Refused):
        async with KafkaLog(nobody, "of-nobody").opened():
            pass
    gc.collect()
    assert told == []
