"""`python -m tests.chaos.chaos`: real processes, mixed traffic, faults by a seed, and an auditor.

Exit status 1 where an invariant is broken; the report says how to play it again.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx

from devstack.processes import NotReady
from devstack.stack import RUN_DIRECTORY
from tests.chaos import report, schedule
from tests.chaos.audit import evidence as audit
from tests.chaos.audit import intake, ledger, letters, order, privacy, promises, record, requests
from tests.chaos.audit.verdict import Verdict
from tests.chaos.desk import Desk, Known, ask_all_again
from tests.chaos.diary import Diary
from tests.chaos.faults import Faults
from tests.chaos.publisher import Publisher
from tests.chaos.schedule import SERVICES, Round
from tests.chaos.world import World, world

START_S = 120.0
#: Time for a driver to finish its last request; longer than any answer may take.
JOIN_S = 240.0
#: The most rounds of a run that has a target of records and rebalances.
ROUNDS_MAX = 200
DESKS = 4


@dataclass(frozen=True)
class Options:
    """What one run is."""

    seeds: tuple[int, ...] = (1,)
    rounds: int = 10
    mode: str = "mixed"
    session_s: float = 4.0
    lasts_s: float = 10.0
    records: int = 20_000
    rebalances: int = 60
    per_s: float = 25.0
    pause_s: float = 0.25
    promise: str = "PT5S"

    @property
    def services(self) -> tuple[str, ...]:
        """The services that take part."""
        return ("complaints",) if self.mode == "rebalance" else SERVICES

    def rounds_of(self, seed: int) -> Iterator[Round]:
        """The rounds of a seed."""
        if self.mode == "rebalance":
            return schedule.rebalancing(seed, ROUNDS_MAX, session_s=self.session_s, pause_s=3.0)
        return schedule.mixed(seed, self.rounds, session_s=self.session_s, lasts_s=self.lasts_s)

    def again(self, seed: int) -> str:
        """The command that replays a seed."""
        if self.mode == "rebalance":
            return (
                f"make chaos MODE=rebalance SEED={seed} RECORDS={self.records} "
                f"REBALANCES={self.rebalances}"
            )
        return f"make chaos SEED={seed} ROUNDS={self.rounds}"


@dataclass(frozen=True)
class Outcome:
    """The result of one seed."""

    seed: int
    lines: tuple[str, ...]
    broken: tuple[str, ...]


class Run:
    """A started world and its diary; seeds share both, so that the auditor sees all of them."""

    def __init__(self, there: World, options: Options) -> None:
        self._there = there
        self._options = options
        self._diary = Diary()
        self._known = Known()
        self._invariants = [*intake.INVARIANTS, *order.INVARIANTS, *privacy.INVARIANTS]
        if options.mode != "rebalance":
            self._invariants += [*requests.INVARIANTS, *letters.INVARIANTS, *promises.INVARIANTS]
            self._invariants += record.INVARIANTS
            under_rules = (*ledger.INVARIANTS, *record.UNDER_RULES)
            self._invariants += ledger.of(there.policy, there.roster, under_rules)

    def seed(self, seed: int) -> Outcome:
        """Play a seed's rounds, wait until the healed world is quiet, and audit it. Blocks."""
        began, there, diary = time.monotonic(), self._there, self._diary
        self._ready()
        self._drive(seed)
        driven = time.monotonic()
        left = there.drain(self._options.services)
        if diary.asked:
            ask_all_again(there, diary, Random(f"again/{seed}"))
            left = left or there.drain(self._options.services)
        rested = time.monotonic()
        self._listen()
        found = audit.read(there.stack.bootstrap, there.stack.redis_url)
        verdicts = [invariant(found, diary) for invariant in self._invariants]
        numbers = (
            f"{driven - began:.0f} s of rounds, {rested - driven:.0f} s to rest, "
            f"{time.monotonic() - rested:.0f} s of audit"
        )
        verdicts.insert(0, Verdict("the healed world comes to rest", numbers, left))
        broken = tuple(one.states for one in verdicts if not one.holds)
        if broken:
            report.keep(there.directory, diary, found)
        lines = (f"seed {seed}", *report.summary(diary, found), *report.verdicts(verdicts))
        return Outcome(seed, lines, broken)

    def _ready(self) -> None:
        """One worker of each service, ready; raises NotReady. Blocks."""
        there, deadline = self._there, time.monotonic() + START_S
        for service in self._options.services:
            if (service, 0) not in there.workers:
                there.start(service, 0)
        for service in self._options.services:
            process = there.workers[service, 0].process
            # Another thread reads its first line; a second reader would wait for ever.
            while not process.url and time.monotonic() < deadline:
                time.sleep(0.05)
            if not process.url:
                raise NotReady(f"{service} does not listen; {process.log} says why")
            process.wait_ready(START_S)

    def _drive(self, seed: int) -> None:
        """Run traffic beside the rounds. The rounds run in this thread, because servers die with it."""
        options, there, diary = self._options, self._there, self._diary
        stop = threading.Event()
        kafka = {"bootstrap_servers": there.stack.bootstrap}
        publisher = Publisher(kafka, diary, Random(f"publisher/{seed}"), options.per_s)
        drivers = [threading.Thread(target=publisher.run, args=(stop,), daemon=True)]
        for number in range(0 if options.mode == "rebalance" else DESKS):
            name, random = f"{seed}-{number}", Random(f"desk/{seed}/{number}")
            desk = Desk(there, diary, self._known, random, name, options.pause_s)
            drivers.append(threading.Thread(target=desk.run, args=(stop,), daemon=True))
        faults = Faults(there, diary)
        for thread in drivers:
            thread.start()
        try:
            for one in options.rounds_of(seed):
                faults.play(one)
                done = f"{len(diary.sent)} records, {len(diary.asked)} requests"
                say(f"seed {seed}, round {one.number}: {done}")
                if options.mode == "rebalance" and self._enough():
                    break
        finally:
            stop.set()
            for thread in drivers:
                thread.join(JOIN_S)

    def _enough(self) -> bool:
        """Whether enough records were published over enough rebalances."""
        if len(self._diary.sent) < self._options.records:
            return False
        found = audit.generations({"bootstrap_servers": self._there.stack.bootstrap})
        return found.get("recovery-complaints", 0) >= self._options.rebalances

    def _listen(self) -> None:
        """Collect the workers' logs and the letters that came."""
        there, diary = self._there, self._diary
        diary.letters = [(one.message_id, one.recipient, one.body) for one in there.mailbox.letters]
        logs = sorted((there.directory / "logs").glob("*.log"))
        diary.logs = [path.read_text(encoding="utf-8", errors="replace") for path in logs]
        diary.noticed = report.noticed(diary.logs)
        for worker in list(there.workers.values()):
            try:
                text = httpx.get(f"{worker.process.ops_url}/metrics", timeout=5.0).text
            except httpx.HTTPError:
                continue
            diary.logs.append(text)


def play(options: Options, directory: Path) -> list[Outcome]:
    """Start a world and play all seeds in it, one after the other. Blocks."""
    outcomes = []
    with world(directory, options.session_s, options.promise) as there:
        run = Run(there, options)
        for seed in options.seeds:
            outcomes.append(run.seed(seed))
            for line in outcomes[-1].lines:
                say(line)
    return outcomes


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """End in order also on SIGTERM."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def options_of(words: Sequence[str] | None) -> Options:
    """The options on a command line; several seeds are separated by commas."""
    given = Options()
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", dest="seeds", default="1", help="one or more, as 1,2,3")
    parser.add_argument("--rounds", type=int, default=given.rounds)
    parser.add_argument("--mode", choices=("mixed", "rebalance"), default=given.mode)
    parser.add_argument("--session", type=float, default=given.session_s, dest="session_s")
    parser.add_argument("--lasts", type=float, default=given.lasts_s, dest="lasts_s")
    parser.add_argument("--records", type=int, default=given.records)
    parser.add_argument("--rebalances", type=int, default=given.rebalances)
    parser.add_argument("--per-s", type=float, default=given.per_s, help="records a second")
    parser.add_argument("--pause", type=float, default=given.pause_s, dest="pause_s")
    parser.add_argument(
        "--promise", default=given.promise, help="one promise of the policy; a short one is broken"
    )
    found = vars(parser.parse_args(words))
    found["seeds"] = tuple(int(word) for word in found["seeds"].split(","))
    return Options(**found)


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line says; returns the exit status."""
    options = options_of(words)
    directory = RUN_DIRECTORY / f"chaos-{secrets.token_hex(4)}"
    directory.mkdir(parents=True, mode=0o700)
    with interruptible():
        outcomes = play(options, directory)
    broken = [one for one in outcomes if one.broken]
    if not broken:
        shutil.rmtree(directory)
        return 0
    for one in broken:
        say(f"seed {one.seed} broke: {'; '.join(one.broken)}. Again: {options.again(one.seed)}")
    say(f"what the workers said, the facts, and what was sent and asked: {directory}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
