"""The running system: a Kafka and a Redis of its own, workers in slots, and a mail server that keeps letters."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey
from kafka.errors import KafkaError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devstack.mailbox import Mailbox
from devstack.processes import MAILBOXES, NotReady, Service, Services, environment
from devstack.stack import ROOT, RUN_DIRECTORY, Stack, running
from shared.contracts.catalogue import subscriptions
from shared.ops import policy, roster, token, topics
from shared.runtime.wires import Broker
from tests.chaos.schedule import SERVICES
from tests.system.world import progress

#: The public address in customers' links; the drivers send them to any living worker.
FRONT = {"compensation": "http://offers.chaos.invalid", "notifier": "http://feedback.chaos.invalid"}
#: Parts of the demo policy and their replacements here.
MORE = (
    ("per_day: 8000_00, per_week: 30000_00", "per_day: 80000_00, per_week: 300000_00"),
    ("site:      {per_day: 60000_00}", "site:      {per_day: 600000_00}"),
)
#: The promise for a dirty cabin; a short one is broken.
PROMISE = "moderate: {{promise: {},  suggest: [cinema, taxfree-card/20000]}}"
#: Timers that stand for work to do.
WORK = (b"send|", b"give|")
#: Without progress for this long the world is stuck; the second bound is for one that never gets quiet.
STILL_S, DRAIN_S = 120.0, 1200.0
#: Pause between two looks, because each reads much from Kafka and Redis, and this process takes letters too.
POLL_S = 0.5


@dataclass
class Worker:
    """A worker process in a slot of its service."""

    service: str
    slot: int
    process: Service
    frozen: bool = False
    ahead_s: int = 0

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.process.poll() is None


@dataclass
class World:
    """The running system, and the operations on it."""

    stack: Stack
    services: Services
    mailbox: Mailbox
    key: OKPKey
    session_s: float
    directory: Path
    policy: Path
    roster: Path
    workers: dict[tuple[str, int], Worker] = field(default_factory=dict)

    def start(self, service: str, slot: int, ahead_s: int = 0) -> Worker:
        """Start a worker in a slot, without waiting. Its address is known once it listens."""
        settings = {"port": "0", "session_s": str(self.session_s), "publish_wait_ms": "250"}
        if service in FRONT:
            settings["public_url"] = FRONT[service]
        if service == "notifier":
            settings |= {
                "offers_url": FRONT["compensation"],
                "smtp_host": "127.0.0.1",
                "smtp_port": str(self.mailbox.port),
                "mailboxes": str(MAILBOXES),
            }
        module = ""
        if ahead_s:
            module = "tests.chaos.ahead"
            settings |= {"chaos_service": service, "chaos_ahead_s": str(ahead_s)}
        process = self.services.start(service, module=module, **settings)
        worker = Worker(service, slot, process, ahead_s=ahead_s)
        self.workers[service, slot] = worker
        threading.Thread(target=_learn_url, args=(process,), daemon=True).start()
        return worker

    def of(self, service: str) -> list[Worker]:
        """The workers of a service that live now."""
        return [one for one in list(self.workers.values()) if one.service == service and one.alive]

    def urls(self, service: str) -> list[str]:
        """The addresses of a service's living workers."""
        return [one.process.url for one in self.of(service) if one.process.url]

    def end(self, worker: Worker, *, at_once: bool) -> None:
        """End a worker with SIGKILL or SIGTERM. Blocks until it is gone."""
        self.thaw(worker)
        if at_once:
            worker.process.kill()
        else:
            worker.process.stop()
        self._gone(worker)

    def thaw(self, worker: Worker) -> None:
        """Continue a frozen worker."""
        if worker.frozen:
            worker.frozen = False
            if worker.alive:
                worker.process.process.send_signal(signal.SIGCONT)

    def freeze(self, worker: Worker) -> None:
        """Freeze a worker (SIGSTOP)."""
        if worker.alive:
            worker.frozen = True
            worker.process.process.send_signal(signal.SIGSTOP)

    def _gone(self, worker: Worker) -> None:
        if self.workers.get((worker.service, worker.slot)) is worker:
            del self.workers[worker.service, worker.slot]
        if worker.process.process.stdout is not None:
            worker.process.process.stdout.close()

    def reap(self) -> list[Worker]:
        """Return the workers that ended by themselves, and remove them from the list."""
        ended = [one for one in self.workers.values() if not one.alive]
        for worker in ended:
            self._gone(worker)
        return ended

    def redis(self) -> Redis:
        """A connection with a short timeout."""
        return Redis.from_url(
            self.stack.redis_url,
            socket_timeout=5,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )

    def drain(self, services: tuple[str, ...] = SERVICES) -> list[str]:
        """Wait until no work is left in two looks; returns the remaining work if there is no progress. Blocks."""
        return drained(lambda: under_way(services, lambda _: self.redis(), self.stack.bootstrap))


def under_way(
    services: Iterable[str], redis: Callable[[str], Redis], kafka: Broker | str
) -> list[str]:
    """Unfinished work of the services, one line each; empty if there is none. Blocks."""
    found: list[str] = []
    for owner in services:
        with closing(redis(owner)) as store:
            if lines := store.llen(f"{owner}:{{c0}}:outbox"):
                found.append(f"{owner}: {lines} lines wait for the relay")
            timers: Any = store.zrange(f"{owner}:{{c0}}:timers", 0, -1, withscores=True)
        now_ms = time.time() * 1000
        waits = [one for one, due in timers if one.startswith(WORK) or due <= now_ms]
        if waits:
            found.append(f"{owner}: {len(waits)} timers wait, as {waits[0]!r}")
    for owner in services if not found else ():
        found += [
            f"{owner}: {place.topic}/{place.partition} is at {at} of {end}"
            for place, (at, end) in progress(kafka, owner, subscriptions(owner)).items()
            if at < end
        ]
    return found


def drained(look: Callable[[], list[str]]) -> list[str]:
    """Wait until no work is left in two looks; returns the remaining work if there is no progress. Blocks."""
    began = moved = time.monotonic()
    quiet, before = 0, ["nothing was looked at"]
    while time.monotonic() < min(moved + STILL_S, began + DRAIN_S):
        try:
            left = look()
        except (KafkaError, RedisError, OSError) as error:  # the world is still recovering
            left = [type(error).__name__]
        if left != before:
            moved, before = time.monotonic(), left
        quiet = 0 if left else quiet + 1
        if quiet == 2:
            return []
        time.sleep(POLL_S)
    return before


def generous(directory: Path, promise: str) -> Path:
    """The demo policy with ceilings for a hundred rounds in some accounts, low ones in others.

    One of its promises is `promise`, an ISO 8601 duration.
    """
    text = (ROOT / "policy" / "demo.yaml").read_text(encoding="utf-8")
    for before, after in (*MORE, (PROMISE.format("PT1H"), PROMISE.format(promise))):
        if text.count(before) != 1:
            msg = f"policy/demo.yaml does not say {before!r} any more"
            raise ValueError(msg)
        text = text.replace(before, after)
    path = directory / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _learn_url(process: Service) -> None:
    with suppress(NotReady, ValueError, AssertionError, IndexError, OSError):
        process.wait_url(time.monotonic() + 120)


@contextmanager
def world(directory: Path, session_s: float, promise: str) -> Iterator[World]:
    """A new and empty system without services; it ends everything that was started. Blocks."""
    with running(RUN_DIRECTORY, ephemeral=True) as stack, Mailbox() as mailbox:
        topics.create(stack.bootstrap)
        rules, listed = generous(directory, promise), ROOT / "policy" / "roster.yaml"
        policy.publish(rules, stack.bootstrap)
        roster.publish(listed, stack.bootstrap)
        key = token.demo_key(directory)
        keys = environment(directory, stack.bootstrap, stack.redis_url)
        services = Services(directory / "logs", keys)
        everything = World(
            stack, services, mailbox, key, session_s, directory, policy=rules, roster=listed
        )
        try:
            yield everything
        finally:
            for worker in list(everything.workers.values()):
                everything.thaw(worker)
            for name in ("kafka", "redis"):
                stack.signal(name, signal.SIGCONT)
            services.stop()
