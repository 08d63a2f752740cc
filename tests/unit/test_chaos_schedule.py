"""A seed of the fault runner replays its schedule, whatever else is asked of the run."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.chaos import schedule
from tests.chaos.chaos import options_of
from tests.chaos.schedule import What

SEEDS = range(1, 31)


def mixed(seed: int, rounds: int = 5) -> list[schedule.Round]:
    return list(schedule.mixed(seed, rounds, session_s=4, lasts_s=10))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_is_the_same_schedule(seed):
    assert mixed(seed) == mixed(seed)


def test_another_seed_is_another_schedule():
    assert len({repr(mixed(seed)) for seed in SEEDS}) == len(SEEDS)


def test_a_round_does_not_depend_on_how_many_there_are():
    assert mixed(7, rounds=9)[:3] == mixed(7, rounds=3)


def test_every_fault_comes_and_every_number_of_workers():
    rounds = list(chain.from_iterable(mixed(seed) for seed in SEEDS))
    assert {step.what for one in rounds for step in one.steps} == set(What)
    assert {count for one in rounds for count in one.workers.values()} == {1, 2, 3}


def test_a_freeze_outlasts_the_session():
    steps = [step for seed in SEEDS for one in mixed(seed) for step in one.steps]
    assert all(step.for_s > 4 for step in steps if step.what is What.FREEZE)


def test_everything_is_bounded_in_time():
    for seed in SEEDS:
        for one in mixed(seed):
            assert all(0 <= step.at_s <= one.lasts_s for step in one.steps)
            assert all(step.for_s <= 10 for step in one.steps if step.what is not What.CLOCK_AHEAD)


def test_rebalancing_freezes_kills_and_ends_workers_of_complaints_alone():
    rounds = list(schedule.rebalancing(3, 4, session_s=6, pause_s=3))
    assert rounds == list(schedule.rebalancing(3, 4, session_s=6, pause_s=3))
    assert all(step.once_ready for one in rounds for step in one.steps)
    for one in rounds:
        assert {step.service for step in one.steps} == {"complaints"}
        assert {step.what for step in one.steps} == {What.FREEZE, What.KILL, What.LEAVE}


def test_several_seeds_are_one_run():
    assert options_of(["--seed", "4,5", "--rounds", "2"]).seeds == (4, 5)
