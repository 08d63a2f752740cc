"""The bench is run by people who want figures; here it only has to give some and leave nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import postgres

ROOT = Path(__file__).parents[2]
#: Two parts of five: the others are the same bench of other things, and `make bench` runs them.
PARTS = ("decision", "postgres")
SHORT = ["--rounds", "1", "--seconds", "0.2"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Short benches: their figures, what they said, and the mark that every process of them carries."""
    directory = tmp_path_factory.mktemp("bench")
    found, said = {}, ""
    for part in PARTS:
        report = directory / f"{part}.json"
        done = subprocess.run(
            [sys.executable, "-m", "bench", *SHORT, "--only", part, "--report", str(report)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=400,
            # Every process of the bench inherits this, and nobody else has it.
            env={**os.environ, "BENCH_MARK": str(directory)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found |= json.loads(report.read_text())["decision"]
        said += done.stdout
    return found, said, str(directory)


def test_a_short_bench_reports_its_ratio_and_where_the_time_goes(bench):
    found, _, _ = bench
    assert found["ratio"] > 0
    assert found["product"]["rate"] > 0
    assert found["product"]["published"] > 0
    assert found["stages_us"]["rules, sealing, facts and documents"] > 0
    assert found["two"]["product"]["rate"] > 0


def test_a_short_bench_reports_what_each_process_and_redis_spent(bench):
    product = bench[0]["product"]
    assert product["redis_input_bytes"] > 0
    assert product["fact_bytes"] > 0
    if Path("/proc/self/task").exists():
        assert product["cpu_us"]["service"] > 0
        assert product["cpu_us"]["client"] > 0


def test_the_peer_on_postgresql_is_measured_or_skipped_with_a_word(bench):
    decision, said, _ = bench
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
    assert list((ROOT / ".run" / "bench").glob("service-check-pg-*")) == []


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
