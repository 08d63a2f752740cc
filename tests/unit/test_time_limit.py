"""No test can hang a build: a loop without an end is a failed test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Twelve minutes: the demo's longest test waits three times for four minutes.
LONGEST_WAIT_S = 720


def test_the_limit_is_there_and_beyond_what_any_test_waits_for(pytestconfig: pytest.Config):
    assert float(pytestconfig.getini("timeout")) > LONGEST_WAIT_S


def test_a_loop_without_an_end_fails_and_the_next_test_runs(tmp_path):
    file = tmp_path / "test_hangs.py"
    file.write_text("def test_hangs():\n    while True: pass\n\n\ndef test_next(): pass\n")
    words = [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "-o", "timeout=3"]
    done = subprocess.run([*words, file], cwd=tmp_path, capture_output=True, text=True)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Timeout" in done.stdout
