"""Three fixed seeds of the fault runner, in one world: whatever they break, every invariant holds.

The seeds were chosen so that together they break nearly everything there is to break. A hundred rounds
are for `make chaos`.
"""

from __future__ import annotations

import subprocess
import sys

from devstack.stack import ROOT
from tests.chaos import schedule
from tests.chaos.chaos import options_of
from tests.chaos.schedule import What

WORDS = "--seed 26,47,67 --rounds 1 --session 3 --lasts 5 --per-s 6".split()
#: Below the time limit of a test, so that the runner is asked to end and ends what it started.
LASTS_S, ENDS_S = 780.0, 100.0


def steps() -> list[schedule.Step]:
    options = options_of(WORDS)
    return [step for seed in options.seeds for one in options.rounds_of(seed) for step in one.steps]


def test_the_seeds_kill_freeze_restart_and_take_servers_away():
    broken = {step.what for step in steps()}
    assert {What.KILL, What.FREEZE, What.RESTART_ALL} <= broken
    assert {What.BROKER_FROZEN, What.BROKER_KILLED} & broken
    assert {What.REDIS_FROZEN, What.REDIS_KILLED} & broken
    assert What.REDIS_FULL in broken


def test_no_invariant_is_broken_whatever_the_seeds_break():
    """As a process of its own: clients of a killed broker leave sockets to the collector."""
    runner = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.chaos", *WORDS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = runner.communicate(timeout=LASTS_S)
    finally:
        if runner.poll() is None:
            runner.terminate()
            runner.communicate(timeout=ENDS_S)
    assert runner.returncode == 0, said
    assert said.count("holds ") > 60
