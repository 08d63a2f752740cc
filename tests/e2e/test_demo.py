"""The demo is the first thing anybody runs, so it is the first thing that must work."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def play(tmp_path, *words):
    report = tmp_path / "receipt.json"
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--report", str(report), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout


def test_the_story_is_played_to_its_end_and_everybody_agrees(tmp_path):
    receipt, shown = play(tmp_path)
    assert receipt["complaints"] == {
        "received": 35,
        "repeats": 3,
        "dead_lettered": 2,
        "acknowledged": 35,
    }
    assert receipt["checks"]["given"] == 5
    assert receipt["checks"]["refused"] == 1
    assert receipt["checks"]["amount_minor"] == {"NOK": 4 * 480_00}
    assert receipt["messages"] == {"acknowledgement": 35, "check_given": 5, "reopened": 1}
    assert all(receipt["agreements"].values()), receipt["agreements"]
    assert "authority_exhausted" in shown


def test_any_file_of_complaints_can_be_played(tmp_path):
    rows = ["id,review,date"]
    rows += [
        f'{n},"The soup was cold again, number {n} 🍲, and ""nobody"" came.",2026-06-0{1 + n % 9}'
        for n in range(60)
    ]
    file = tmp_path / "complaints.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    receipt, _ = play(tmp_path, "--input", str(file), "--rate", "200")
    assert receipt["complaints"]["received"] == 60
    assert all(receipt["agreements"].values()), receipt["agreements"]
