"""The schedule of faults: pure, so that a seed gives the same schedule and a round does not depend on their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

SERVICES = ("complaints", "compensation", "notifier", "audit")
#: The most workers of one service; they share four partitions.
WORKERS_MAX = 3
#: Seconds that a freeze lasts beyond the session, so that the group goes on without the worker.
FROZEN_BEYOND_S = (1.0, 4.0)
AWAY_S = (1.5, 5.0)


class What(StrEnum):
    """A kind of fault."""

    KILL = "kill"
    FREEZE = "freeze"
    RESTART_ALL = "restart_all"
    JOIN = "join"
    LEAVE = "leave"
    BROKER_FROZEN = "broker_frozen"
    BROKER_KILLED = "broker_killed"
    REDIS_FROZEN = "redis_frozen"
    REDIS_KILLED = "redis_killed"
    REDIS_FULL = "redis_full"
    CLOCK_AHEAD = "clock_ahead"


#: How often each is drawn; freezes find most defects, so they are the most frequent.
WEIGHTS: Mapping[What, int] = {
    What.KILL: 4,
    What.FREEZE: 5,
    What.RESTART_ALL: 2,
    What.JOIN: 2,
    What.LEAVE: 2,
    What.BROKER_FROZEN: 2,
    What.BROKER_KILLED: 1,
    What.REDIS_FROZEN: 2,
    What.REDIS_KILLED: 2,
    What.REDIS_FULL: 2,
    What.CLOCK_AHEAD: 1,
}
#: Faults of one worker, and faults of a server; one server is away at a time.
OF_A_WORKER = (What.KILL, What.FREEZE, What.JOIN, What.LEAVE, What.CLOCK_AHEAD)
OF_A_SERVICE = (What.RESTART_ALL,)
#: How far a clock is ahead. Work that it delays is late by as much, and the audit waits for it.
AHEAD_S = (10, 20, 30)


@dataclass(frozen=True, slots=True)
class Step:
    """One fault: when it begins, in seconds of its round, what, to whom, and for how long."""

    at_s: float
    what: What
    service: str = ""
    slot: int = 0
    for_s: float = 0.0
    #: The step waits until every worker has its partitions: two overlapping rebalances count as one.
    once_ready: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the number of workers per service at its beginning, and its steps."""

    number: int
    workers: Mapping[str, int]
    steps: tuple[Step, ...]
    lasts_s: float


def mixed(seed: int, rounds: int, *, session_s: float, lasts_s: float) -> Iterator[Round]:
    """Rounds with every kind of fault."""
    for number in range(rounds):
        random = Random(f"mixed/{seed}/{number}")
        workers = {name: random.randint(1, WORKERS_MAX) for name in SERVICES}
        steps = []
        for _ in range(random.randint(2, 4)):
            what = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            steps.append(_step(random, what, session_s, lasts_s))
        yield Round(number, workers, tuple(sorted(steps, key=lambda one: one.at_s)), lasts_s)


def _step(random: Random, what: What, session_s: float, lasts_s: float) -> Step:
    at_s = round(random.uniform(0.2, 0.7 * lasts_s), 2)
    service = random.choice(SERVICES) if what in (*OF_A_WORKER, *OF_A_SERVICE) else ""
    slot = random.randrange(WORKERS_MAX) if what in OF_A_WORKER else 0
    if what is What.FREEZE:
        for_s = session_s + random.uniform(*FROZEN_BEYOND_S)
    elif what is What.CLOCK_AHEAD:
        for_s = float(random.choice(AHEAD_S))
    elif what in (What.KILL, What.JOIN, What.LEAVE, What.RESTART_ALL):
        for_s = random.uniform(0.0, 2.0)  # until the missing workers are started again
    else:
        for_s = random.uniform(*AWAY_S)
    return Step(at_s, what, service, slot, round(for_s, 2))


def rebalancing(seed: int, rounds: int, *, session_s: float, pause_s: float) -> Iterator[Round]:
    """Rounds in which two or three workers of complaints start, stop, die and freeze, and nothing else happens."""
    for number in range(rounds):
        random = Random(f"rebalancing/{seed}/{number}")
        at_s, steps = pause_s, []
        kinds = [What.FREEZE, What.FREEZE, What.KILL, What.LEAVE]
        random.shuffle(kinds)
        for what in kinds:
            away_s = (
                session_s + random.uniform(*FROZEN_BEYOND_S) if what is What.FREEZE else pause_s
            )
            slot = random.randrange(WORKERS_MAX)
            away_s = round(away_s, 2)
            steps.append(Step(round(at_s, 2), what, "complaints", slot, away_s, once_ready=True))
            at_s += away_s + pause_s
        yield Round(number, {"complaints": WORKERS_MAX}, tuple(steps), round(at_s, 2))
