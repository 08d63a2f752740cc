"""Three fixed seeds of the fault runner, in one world: whatever they break, every invariant holds.

The seeds were chosen so that together they break everything there is to break. A hundred rounds are
for `make chaos`.
"""

from __future__ import annotations

from tests.system import schedule
from tests.system.chaos import Options, play
from tests.system.schedule import What

OPTIONS = Options(seeds=(26, 47, 67), rounds=1, session_s=3.0, lasts_s=6.0, per_s=12.0)


def steps(options: Options) -> list[schedule.Step]:
    return [step for seed in options.seeds for one in options.rounds_of(seed) for step in one.steps]


def test_the_seeds_kill_freeze_restart_and_take_servers_away():
    broken = {step.what for step in steps(OPTIONS)}
    assert {What.KILL, What.FREEZE, What.RESTART_ALL} <= broken
    assert {What.BROKER_FROZEN, What.BROKER_KILLED} & broken
    assert {What.REDIS_FROZEN, What.REDIS_KILLED} & broken
    assert What.REDIS_FULL in broken


def test_no_invariant_is_broken_whatever_the_seeds_break(tmp_path):
    outcomes = play(OPTIONS, tmp_path)
    assert [one.seed for one in outcomes] == list(OPTIONS.seeds)
    for one in outcomes:
        assert one.broken == (), "\n".join(one.lines)
