"""The bench is run by people who want figures; here it only has to give some and leave nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_bench_reports_both_ratios_and_leaves_no_process(tmp_path):
    report = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--rounds", "1", "--requests", "200", "--events", "200",
         "--report", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        # Every process of the bench inherits this, and nobody else has it.
        env={**os.environ, "BENCH_MARK": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    for name in ("decision", "pipeline"):
        assert found[name]["ratio"] > 0
        assert found[name]["product"]["rate"] > 0
        assert found[name]["stages_us"]["in all"] > 0
    assert found["decision"]["product"]["published"] > 0
    assert left_behind(str(tmp_path)) == []


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
