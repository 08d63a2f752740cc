"""Live answers: the whole answer again whenever it changes, for as long as the token is good and the process runs."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.live import LIVE_EVERY_S, QUIET_MAX, snapshots


async def events(answers: list[bytes | Exception], rounds: int | None = None) -> list[str]:
    """What is sent where these are the first answer and the ones read after it."""
    first, *later = answers
    assert isinstance(first, bytes)
    left, turns, slept = iter(later), iter(range(len(later) if rounds is None else rounds)), []

    async def read() -> bytes:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    found = [
        event.decode()
        async for event in snapshots(first, read, lambda: next(turns, None) is not None, sleep)
    ]
    assert all(seconds == LIVE_EVERY_S for seconds in slept)
    return found


async def test_what_changed_is_sent_whole_and_what_did_not_is_not_sent_again():
    found = await events([b'{"n":1}', b'{"n":1}', b'{"n":2}', b'{"n":2}', b'{"n":1}'])
    assert [event.splitlines()[0] for event in found] == [
        'data: {"n":1}',
        'data: {"n":2}',
        'data: {"n":1}',
    ]
    assert all(event.endswith("\n\n") for event in found)
    assert "retry: 2000" in found[0]


async def test_a_stream_with_nothing_new_says_that_it_is_there():
    found = await events([b"{}"] * (2 * QUIET_MAX + 1))
    assert found[1:] == [": ping\n\n"] * 2


async def test_a_stream_ends_when_it_must_not_go_on():
    assert len(await events([b"1", b"2", b"3"], rounds=1)) == 2


@pytest.mark.parametrize(
    "why", [Rejected(Reason.UNKNOWN_SITE), Unavailable(Reason.STORE_UNAVAILABLE)]
)
async def test_a_stream_ends_when_it_can_read_no_more(why: Exception):
    with capture_logs() as logs:
        assert len(await events([b"1", why, b"2"])) == 1
    assert logs == []


async def test_a_defect_ends_a_stream_and_is_logged():
    with capture_logs() as logs:
        assert len(await events([b"1", ZeroDivisionError(), b"2"])) == 1
    assert [(one["event"], one["error"]) for one in logs] == [
        ("request_failed", "ZeroDivisionError")
    ]
