"""What the screen of `python -m shared.ops status` says, and when the command says that something is wrong."""

from __future__ import annotations

import pytest

from shared.ops.status import OURS, STALE, TIMERS_MAX, Health, Reading, _lines


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
