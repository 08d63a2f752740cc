"""The bench is run by people who want figures; here it only has to give some and leave nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import postgres

ROOT = Path(__file__).parents[2]
SHORT = ["--rounds", "1", "--requests", "200", "--events", "200", "--employees", "10000",
         "--facts", "1000"]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A short bench: its report, what it said, and the mark that every process of it carries."""
    report = tmp_path_factory.mktemp("bench") / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", *SHORT, "--report", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        # Every process of the bench inherits this, and nobody else has it.
        env={**os.environ, "BENCH_MARK": str(report)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout, str(report)


def test_a_short_bench_reports_its_ratios_and_where_the_time_goes(bench):
    found, _, _ = bench
    for name in ("decision", "pipeline"):
        assert found[name]["ratio"] > 0
        assert found[name]["product"]["rate"] > 0
        assert found[name]["stages_us"]["in all"] > 0
    assert found["decision"]["product"]["published"] > 0
    assert found["decision"]["growth"] > 0
    assert found["rebuild"]["facts_per_second"] > 0
    # Every check that was asked for, and the complaints of the scene.
    assert found["rebuild"]["facts"] >= 1000 + 200


def test_the_peer_on_postgresql_is_measured_or_skipped_with_a_word(bench):
    found, said, _ = bench
    decision = found["decision"]
    ratios = [decision["vs_postgres_hot"], decision["vs_postgres_sites"]]
    if "skipped: no PostgreSQL" in said:
        assert ratios == [None, None]
    else:
        assert all(ratio > 0 for ratio in ratios)
        for name in ("postgres_hot", "postgres_sites"):
            assert decision[name]["peer"]["p99_ms"] >= decision[name]["peer"]["p50_ms"] > 0


def test_a_bench_leaves_no_process_and_no_data(bench):
    *_, mark = bench
    assert left_behind(mark) == []
    assert list((ROOT / ".run" / "bench").glob("pg-*")) == []


def test_a_machine_without_postgresql_is_told_what_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(postgres, "BINARIES", tmp_path)
    with pytest.raises(postgres.Absent, match="neither DATABASE_URL nor"), postgres.running():
        pass


def left_behind(mark: str) -> list[str]:
    """Pids of processes that carry the mark in their environment; none where there is no /proc."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"BENCH_MARK={mark}".encode() in environ.read_bytes():
                found.append(environ.parent.name)
        except OSError:
            continue
    return found
