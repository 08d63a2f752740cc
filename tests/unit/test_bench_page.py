"""What the bench writes down: its structure alone, for figures depend on the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import meter, world
from bench.capacity import capacity
from bench.meter import Meter, Reading, Spent, spent
from bench.page import CHIEF, figures, page, shown_by
from bench.report import Comparison, Turn, beside, comparisons, machine

ROOT = Path(__file__).parents[2]

RECORDED = {
    "to_board_ms": {"p50": 5.0, "p99": 6.0},
    "verify_per_second": 9.0,
    "verify_per_second_min": 8.0,
    "verify_per_second_wall": 7.0,
    "verify_records": 100,
}


def measured(what: str = "ours") -> Comparison:
    """Two rounds of made-up turns."""
    one = Comparison(what, "theirs", "requests/s", peer_lacks=f"The peer of {what} keeps nothing.")
    for us in (100.0, 300.0):
        cost = Spent({"service": us, "redis": us / 2}, 5000.0, 9000.0)
        one.add(Turn(1000.0, 3.0, cost, 5.0, 9.0, 1.0), Turn(2000.0, 3.1, Spent({"service": 50.0})))
    one.stages_us = {"rules": 80.0, "in all": 150.0}
    one.fact_bytes = 4500.0
    return one


def report() -> dict[str, object]:
    """A report with every part, PostgreSQL left out."""
    return {
        "machine": machine(),
        "rounds": 2,
        "turn_s": 3.0,
        "decision": {
            **measured().as_json(),
            "two": measured("two of ours").as_json(),
            **beside("postgres_hot", {}),
            **beside("postgres_sites", {}),
            "growth": 1.02,
            "growth_p50_ms": {"3000": 2.0, "1000000": 2.04},
        },
        "pipeline": {
            **measured("the pipeline").as_json(),
            **beside("quixstreams", {"quixstreams": measured("the pipeline")}),
        },
        "audit": {**measured("the record").as_json(), **RECORDED},
        "acknowledge": {
            "rate": 200,
            "p50_ms": 20.5,
            "p99_ms": 61.0,
            "cpu_us": {"notifier": 3000, "kafka": 1500, "client": 2500},
            "hops": 3,
            "hops_p50_ms": 9.0,
            "hops_p99_ms": 20.0,
            "ratio_to_hops": 3.05,
        },
        "queue": {"growth": 1.01, "growth_p50_ms": {"1000": 3.0, "1000000": 3.03}},
        "rebuild": {"facts": 10, "facts_per_second": 9.5},
    }


def test_the_page_names_every_figure_of_its_report():
    found = report()
    written = page({"r": found})
    missing = [name for name, _ in figures(found) if f"| {name} |" not in written]
    assert missing == []
    assert machine()["date"] in written
    assert "not measured" in written


def test_the_page_says_what_each_peer_does_not_do():
    written = page({"r": report()})
    for _, one in comparisons(report()):
        assert one["peer"]["lacks"] in written


def test_several_reports_show_what_each_step_was_worth():
    written = page({"before": report(), "after": report()})
    assert "| figure | before | after |" in written
    known = {name for name, _ in figures(report())}
    # The chief figures are names of the report, so that none goes silently missing.
    assert [name for name in CHIEF if name not in known] == []


def test_the_pages_are_written_by_one_command(tmp_path):
    given = tmp_path / "r.json"
    given.write_text(json.dumps(report()))
    command = [sys.executable, "-m", "bench.page", str(given), "--to", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "performance.md").read_text().startswith("# Performance\n")
    assert (tmp_path / "capacity.md").read_text() == capacity(report())


def test_a_part_that_was_measured_later_takes_its_place_in_the_page_and_leaves_the_rest(tmp_path):
    before = page({"r": report()})
    (tmp_path / "performance.md").write_text(before)
    later = {**report(), "machine": {**machine(), "date": "2030-01-02", "load": 9.5}}
    later = {name: later[name] for name in ("machine", "rounds", "turn_s", "acknowledge")}
    later["acknowledge"] = {**later["acknowledge"], "p99_ms": 71.5}
    given = tmp_path / "part.json"
    given.write_text(json.dumps(later))
    command = [sys.executable, "-m", "bench.page", "--join", str(given), "--to", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    after = (tmp_path / "performance.md").read_text()
    assert "Measured on 2030-01-02, while 9.5 processes" in after
    assert "71.5 ms" in after
    changed = {"acknowledge.p99_ms", "acknowledge.rounds"}
    for name, value in shown_of(before).items():
        assert shown_of(after)[name] == value or name in changed


def shown_of(written: str) -> dict[str, object]:
    return dict(figures(shown_by(written)))


def test_a_page_says_again_what_it_was_made_from():
    assert page({"r": shown_by(page({"r": report()}))}) == page({"r": report()})


@pytest.mark.parametrize(("p99_ms", "said"), [(33.3, "is met."), (33.4, "is missed. At this rate")])
def test_the_page_says_whether_an_acknowledgement_comes_within_five_hops(p99_ms, said):
    found = report()
    found["acknowledge"] = {**found["acknowledge"], "p99_ms": p99_ms}
    written = page({"r": found})
    assert f"The goal, a p99 of 5 hops at most, {said}" in written
    assert ("want 1.4 of the" in written) is (p99_ms == 33.4)


def test_capacity_is_computed_from_what_an_operation_costs_until_redis_has_no_time_left():
    written = capacity(report())
    # 200 µs of a process and 100 µs of Redis, with 70 % of a core.
    assert "| check given | API process | 200 | 3,500 |" in written
    assert (
        "| check given | 3,500 | 7,000 | 7,000 | 7,000 | 7,000 | 7,000 | 7,000 from 2 API processes on |"
        in written
    )
    assert "| check given | 1,000 | 1,000 | 1.00 |" in written
    # 9,000 bytes, 64 GB, 1,096 days.
    assert "| check given | 9,000 | 111,111 | 6,488 |" in written


def test_with_more_processes_capacity_goes_by_what_was_measured_with_two():
    found = report()
    found["decision"]["two"]["product"]["cpu_us"] = {"service": 400.0, "redis": 100.0}
    assert "| check given | 3,500 | 3,500 | 7,000 |" in capacity(found)


def test_no_more_processes_of_streams_carry_something_than_there_are_partitions():
    found = {**report(), "pipeline": measured("the pipeline").as_json()}
    found["pipeline"]["product"]["cpu_us"] = {"service": 1000.0, "redis": 10.0}
    assert (
        "| complaint received and triaged | 700 | 1,400 | 2,800 | – | – | – | 70,000 |"
        in capacity(found)
    )


def test_what_was_not_measured_is_not_computed():
    written = capacity({**report(), "pipeline": {}})
    assert (
        "| complaint received and triaged | not measured | not measured | not measured |" in written
    )


def test_a_comparison_says_median_and_minimum():
    found = measured().as_json()["product"]
    assert found["cpu_us"] == {"service": 200.0, "redis": 100.0, "in all": 300.0}
    assert found["cpu_us_min"] == {"service": 100.0, "redis": 50.0, "in all": 150.0}
    assert found["rate"] == found["rate_min"] == 1000.0


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0, 3.0, 3.3, 10.0])
@pytest.mark.parametrize("sites", [1, 50])
def test_every_request_of_a_turn_is_for_a_complaint_of_its_employee_and_site(seconds, sites):
    """Otherwise a colleague's check, or another site's complaint, would refuse it."""
    first, warm_up = world.scenes("s", sites, seconds, 1)
    assert first.employee(0) != warm_up.employee(0)
    assert first.complaint(0) != warm_up.complaint(0)
    givers = {}
    for number in range(3 * first.complaints):
        assert first.site(number) == first.site(number % first.complaints)
        given_by = givers.setdefault(first.complaint(number), first.employee(number))
        assert given_by == first.employee(number)


def test_a_process_that_the_kernel_says_nothing_of_is_left_out():
    assert measured().as_json()["peer"]["cpu_us"] == {"service": 50.0, "in all": 50.0}
    assert Meter({"kafka": lambda: (2**22 + 1,)}).read() == Reading({})


def test_a_cost_is_the_growth_of_the_counters_per_operation():
    before = Reading({"service": {1: 1_000_000}}, 100, 1000)
    after = Reading({"service": {1: 3_000_000, 2: 2_000_000}}, 300, 1400)
    assert spent(before, after, 4) == Spent({"service": 1000.0}, 50.0, 100.0)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the kernel tells nothing")
def test_work_of_this_process_is_seen():
    ours = Meter({"client": meter.this_process, "tree": meter.with_children(os.getpid())})
    before = ours.read()
    sum(number * number for number in range(300_000))
    cost = spent(before, ours.read(), 1)
    assert cost.cpu_us["client"] > 0
    assert cost.cpu_us["tree"] > 0


def test_the_page_says_how_soon_a_complaint_is_acknowledged_and_beside_what():
    shown = page({"now": report()})
    assert "p50 20.5 ms, p99 61.0 ms" in shown
    assert "3.05 times theirs" in shown
    assert "| acknowledge.ratio_to_hops | 3.05 |" in shown
