"""Whatever goes wrong in a process, what it writes is JSON and quotes nobody. INV-07."""

from __future__ import annotations

import json
import subprocess
import sys

from devstack.stack import ROOT
from tests.suites.failing import WORDS


def test_whatever_fails_in_a_process_is_a_line_of_json_without_its_text():
    done = subprocess.run(
        [sys.executable, "-m", "tests.suites.failing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
    assert done.returncode == 1
    assert WORDS not in done.stdout + done.stderr

    said = {line["logger"]: [] for line in lines if line["event"] == "library"}
    for line in lines:
        if line["event"] == "library":
            said[line["logger"]].append(line["says"])
    assert said["some.library"] == ["cannot reach a broker", "arguments %s %s", "failed at %s"]
    assert said["py.warnings"][0].endswith("RuntimeWarning: an old way")
    assert "Task exception was never retrieved" in said["asyncio"]

    failed = [line for line in lines if line["event"] == "unhandled"]
    assert [line["where"] for line in failed] == ["loop", "loop", "thread", "collector", "process"]
    assert {line["error"] for line in failed} == {"ValueError"}
    assert all(line["through"][-1].startswith("failing.py:") for line in failed)
