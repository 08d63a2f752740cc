"""Injects each step's fault into the world and undoes it when its time is over."""

from __future__ import annotations

import heapq
import signal
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count

import httpx
from redis.exceptions import RedisError

from devstack.stack import REDIS_SETTINGS
from tests.chaos.diary import Diary
from tests.chaos.schedule import Round, Step, What
from tests.chaos.world import Worker, World

LOOK_S = 0.05
#: Pause between two outages of servers, because only one server is away at a time.
POSTPONED_S = 0.5
#: Deadline for a worker to start; it takes seconds, on a loaded machine many times that.
READY_S = 90.0
#: Below the memory in use, so that every write is refused.
NO_MEMORY = "1mb"


Later = tuple[float, int, Callable[[], None]]


def _due(waiting: list[Later]) -> bool:
    """Run the first waiting action if it is due."""
    if not waiting or waiting[0][0] > time.monotonic():
        return False
    heapq.heappop(waiting)[2]()
    return True


def ready_by(client: httpx.Client) -> Callable[[Worker], bool]:
    """Whether a worker is ready, with its partitions assigned."""

    def ready(worker: Worker) -> bool:
        try:
            return client.get(f"{worker.process.url}/ready").status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL):
            return False

    return ready


class Faults:
    """Plays rounds. Runs in the main thread: servers started there die with this process."""

    def __init__(self, world: World, diary: Diary) -> None:
        self._world = world
        self._diary = diary
        self._later: list[Later] = []
        self._undoing: list[Later] = []
        self._numbers = count()
        #: The server that is away now; one at a time.
        self._away = ""

    def play(self, one: Round) -> None:
        """Play a round: run its steps in time, restart processes that end by themselves, heal at the end. Blocks."""
        self._diary.rounds += 1
        for service, wanted in one.workers.items():
            self._as_many(service, wanted)
        began = time.monotonic()
        for step in one.steps:
            self._at(began + step.at_s, partial(self._do, step))
        while self._later or self._undoing or time.monotonic() < began + one.lasts_s:
            if not (self._undo() or _due(self._later)):
                self._supervise()
                time.sleep(LOOK_S)
        self.heal()

    def _undo(self) -> bool:
        """Undo the faults whose time is over."""
        return _due(self._undoing)

    def heal(self) -> None:
        """Undo all current faults."""
        while self._undoing:
            heapq.heappop(self._undoing)[2]()
        for worker in list(self._world.workers.values()):
            self._world.thaw(worker)
        self._supervise()

    def _at(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._later, (when, next(self._numbers), do))

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        """Undo a fault after so many seconds."""
        heapq.heappush(self._undoing, (time.monotonic() + seconds, next(self._numbers), do))

    def _as_many(self, service: str, wanted: int) -> None:
        """Start or stop workers until there are as many as the round begins with, none with a clock ahead."""
        for worker in self._world.of(service):
            if worker.slot >= wanted or worker.ahead_s:
                self._world.end(worker, at_once=False)
        for slot in range(wanted):
            if (service, slot) not in self._world.workers:
                self._world.start(service, slot)

    def _supervise(self) -> None:
        """Restart processes that ended by themselves, as an orchestrator does."""
        for worker in self._world.reap():
            status = worker.process.process.returncode
            self._diary.ended[f"{worker.service} with status {status}"] += 1
            self._world.start(worker.service, worker.slot)

    # ---- steps ---------------------------------------------------------------------------------

    def _do(self, step: Step) -> None:
        if step.once_ready:
            self._until_ready(step.service)
        match step.what:
            case What.JOIN:
                self._join(step)
            case What.RESTART_ALL:
                self._restart_all(step.service)
            case What.KILL | What.FREEZE | What.LEAVE | What.CLOCK_AHEAD:
                worker = self._worker(step)
                if worker is None:
                    return
                self._to_worker(step, worker)
            case _:
                if self._away:
                    self._at(time.monotonic() + POSTPONED_S, lambda: self._do(step))
                    return
                self._to_server(step)
        self._diary.faults[step.what.value] += 1

    def _until_ready(self, service: str) -> None:
        """Wait until every worker of a service is ready, up to a deadline."""
        deadline = time.monotonic() + READY_S
        with httpx.Client(timeout=2.0) as client:
            while time.monotonic() < deadline:
                self._undo()
                self._supervise()
                workers = self._world.of(service)
                if not any(one.frozen for one in workers) and all(map(ready_by(client), workers)):
                    return
                time.sleep(4 * LOOK_S)

    def _worker(self, step: Step) -> Worker | None:
        """The worker of a step: the one in its slot, or in the next lower slot that is used."""
        found = [one for one in self._world.of(step.service) if not one.frozen]
        fitting = [one for one in found if one.slot <= step.slot]
        return max(fitting or found, key=lambda one: one.slot, default=None)

    def _to_worker(self, step: Step, worker: Worker) -> None:
        world = self._world
        match step.what:
            case What.FREEZE:
                world.freeze(worker)
                self._after(step.for_s, lambda: world.thaw(worker))
            case What.KILL | What.LEAVE:
                world.end(worker, at_once=step.what is What.KILL)
                self._after(step.for_s, lambda: self._start(worker.service, worker.slot))
            case What.CLOCK_AHEAD:
                world.end(worker, at_once=False)
                world.start(worker.service, worker.slot, ahead_s=int(step.for_s))

    def _start(self, service: str, slot: int) -> None:
        if (service, slot) not in self._world.workers:
            self._world.start(service, slot)

    def _join(self, step: Step) -> None:
        free = [slot for slot in range(4) if (step.service, slot) not in self._world.workers]
        if free:
            self._world.start(step.service, free[0])

    def _restart_all(self, service: str) -> None:
        """Restart one worker after the other, each once the previous one listens."""
        for worker in self._world.of(service):
            self._world.end(worker, at_once=False)
            self._world.start(service, worker.slot)

    def _to_server(self, step: Step) -> None:
        stack, self._away = self._world.stack, step.what.value
        match step.what:
            case What.BROKER_FROZEN:
                stack.signal("kafka", signal.SIGSTOP)
                self._after(step.for_s, lambda: stack.signal("kafka", signal.SIGCONT))
            case What.REDIS_FROZEN:
                stack.signal("redis", signal.SIGSTOP)
                self._after(step.for_s, lambda: stack.signal("redis", signal.SIGCONT))
            case What.BROKER_KILLED:
                stack.kill_kafka()
                self._after(step.for_s, stack.start_kafka)
            case What.REDIS_KILLED:
                stack.kill_redis()
                self._after(step.for_s, stack.start_redis)
            case What.REDIS_FULL:
                self._memory(NO_MEMORY)
                self._after(step.for_s, lambda: self._memory(REDIS_SETTINGS["maxmemory"]))
        self._after(step.for_s, self._is_back)

    def _is_back(self) -> None:
        self._away = ""

    def _memory(self, bound: str) -> None:
        for _ in range(20):
            try:
                with closing(self._world.redis()) as store:
                    store.config_set("maxmemory", bound)
                    return
            except (RedisError, OSError):
                time.sleep(0.2)
        msg = f"Redis does not take maxmemory {bound}"
        raise TimeoutError(msg)
