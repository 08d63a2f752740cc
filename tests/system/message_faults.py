"""python -m tests.system.message_faults: messages over providers that fail, while the notifier is killed.

The providers are a process of their own that fares by a seed (`devstack.simulator`); Kafka, Redis and the notifier
are real, and each notifier dies by SIGKILL at one named crash point after the other. At the end every message
is sent or failed truthfully, none is lost, and none came twice beyond the repeats that facts count.
"""

from __future__ import annotations

import json
import random
import signal
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from bench.world import Publisher, raised
from devstack.processes import Service
from devstack.simulator import providers_file
from devstack.stack import ROOT, free_port
from shared.contracts.intake import Contact, MessageChannel
from shared.contracts.notifier import (
    MessageAttempted,
    MessageBounced,
    MessageDelivered,
    MessageFailed,
    MessageQueued,
    MessageSent,
)
from shared.contracts.policy import Policy, PolicyPublished
from shared.runtime.policy_file import load
from shared.runtime.privacy.seal import Vault
from tests.system import auditor
from tests.system.auditor import Fact
from tests.system.world import MASTER, SITE, World, until, world

#: Where a notifier that sends dies, and at which passing at most; batches are few, letters are many.
PASSES_MAX = {"decided": 2, "committed": 4, "published": 5, "taken": 12, "effected": 12}
#: A chunk of complaints is published this often.
CHUNK_S = 0.5
#: At most so many times the messages that were asked for, on a machine that takes long to die everywhere.
MORE_TIMES = 5
#: Between two looks at whether a notifier died.
LOOK_S = 0.2
#: After the last message is settled: reports come up to twenty seconds later, and wait for a notifier.
REPORTS_S = 120.0
#: How long the deaths may take on a slow machine.
DEATHS_S = 1200.0
UNAUTHENTICATED = 401


@dataclass
class Run:
    """What was done, and what the topics and the providers say afterwards."""

    facts: Sequence[Fact]
    ledger: Mapping[str, Any]
    deaths: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def wrong(self) -> list[str]:
        """Everything that does not hold."""
        return [
            *fates(self.facts, self.ledger),
            *told_on(self.facts),
            *reports(self.facts, self.ledger),
        ]

    def summary(self) -> dict[str, Any]:
        """What became of the messages, in numbers."""
        failed = Counter(one["reason"] for one in auditor.of(self.facts, MessageFailed.TYPE))
        came = Counter(self.ledger["mail"])
        attempts = auditor.of(self.facts, MessageAttempted.TYPE)
        return {
            "queued": len(auditor.of(self.facts, MessageQueued.TYPE)),
            "sent": len(auditor.of(self.facts, MessageSent.TYPE)),
            "failed": dict(failed),
            "delivered": len(auditor.of(self.facts, MessageDelivered.TYPE)),
            "bounced": len(auditor.of(self.facts, MessageBounced.TYPE)),
            "attempts": len(attempts),
            "repeats_counted": sum(bool(one["repeats_unknown"]) for one in attempts),
            "letters_twice": came.total() - len(came),
            "faults": sum(n for fate, n in self.ledger["fared"].items() if fate != "taken"),
            "asked": sum(self.ledger["fared"].values()),
            "forged": self.ledger["forged"],
            "deaths": dict(self.deaths),
            "seconds": round(self.seconds),
        }


def fates(facts: Sequence[Fact], ledger: Mapping[str, Any]) -> Iterator[str]:
    """INV-05: one fate each, and at its provider it is what that fate says."""
    came = Counter(ledger["mail"]) + Counter(ledger["sms"])
    queued = {one["message_id"] for one in auditor.of(facts, MessageQueued.TYPE)}
    sent = Counter(one["message_id"] for one in auditor.of(facts, MessageSent.TYPE))
    failed = Counter(one["message_id"] for one in auditor.of(facts, MessageFailed.TYPE))
    # Reported undelivered before its fate was known: the report is its fate.
    returned = {one["message_id"] for one in auditor.of(facts, MessageBounced.TYPE)}
    repeats: Counter[str] = Counter()
    for one in auditor.of(facts, MessageAttempted.TYPE):
        repeats[one["message_id"]] += bool(one["repeats_unknown"])
    for name in sorted(queued | sent.keys() | failed.keys()):
        if sent[name] + failed[name] + (name in returned and not sent[name]) != 1:
            yield f"{name} is sent {sent[name]} times and failed {failed[name]} times"
        if sent[name] and not came[name]:
            yield f"{name} is sent and did not come"
        if failed[name] and came[name] and not repeats[name]:
            yield f"{name} failed and came, and no fact says that its fate was unknown"
    for name, times in came.items():
        if name not in queued:
            yield f"{name} came and was never queued"
        if times > 1 + repeats[name]:
            yield f"{name} came {times} times, {repeats[name]} repeats are counted"
        if repeats[name] > 1:
            yield f"{name} is repeated {repeats[name]} times without knowing"


def told_on(facts: Sequence[Fact]) -> Iterator[str]:
    """A message that goes on by another channel is queued there, once."""
    queued = Counter(one.get("instead_of") for one in auditor.of(facts, MessageQueued.TYPE))
    for kind in (MessageFailed, MessageBounced):
        for one in auditor.of(facts, kind.TYPE):
            wanted = 1 if one.get("next_channel") else 0
            if queued[one["message_id"]] != wanted:
                yield f"{one['message_id']} goes on {queued[one['message_id']]} times, not {wanted}"


def reports(facts: Sequence[Fact], ledger: Mapping[str, Any]) -> Iterator[str]:
    """What was reported honestly is on record, and nothing that a stranger said."""
    fates: dict[str, set[str]] = defaultdict(set)
    for kind in (MessageDelivered, MessageBounced):
        for one in auditor.of(facts, kind.TYPE):
            fates[one["message_id"]].add(kind.TYPE)
    for name, delivered in ledger["reported"].items():
        said = MessageDelivered.TYPE if delivered else MessageBounced.TYPE
        if said not in fates[name]:
            yield f"{name} was reported, and no fact says so"
        if fates[name] - {said}:
            yield f"{name} was reported otherwise than a fact says"
    yield from (f"{name} was never reported" for name in fates.keys() - ledger["reported"].keys())
    if set(ledger["forged"]) - {str(UNAUTHENTICATED)}:
        yield f"forged reports were answered with {ledger['forged']}"
    if ledger["to_report"]:
        yield f"{ledger['to_report']} reports were not answered"


def contact_of(number: int) -> Contact:
    """The contact of the n-th customer: by mail, by telephone, or by both."""
    mail, phone = f"guest-{number}@guests.example", f"+47{40_000_000 + number}"
    return (Contact(email=mail), Contact(phone=phone), Contact(email=mail, phone=phone))[number % 3]


def policy() -> Policy:
    """The demo's, with letters first and text messages then."""
    found = load(ROOT / "policy" / "demo.yaml")
    assert isinstance(found, Policy)
    both = {"channels": (MessageChannel.EMAIL, MessageChannel.SMS), "sms_from": "Aurora"}
    return found.model_copy(update={"notify": found.notify.model_copy(update=both)})


def publish(everything: World, count: int, per_second: float, died: threading.Event) -> None:
    """Publish so many complaints, evenly, and more until the notifiers died everywhere, within a bound. Blocks."""
    publisher, vault = Publisher(everything.stack.bootstrap), Vault(MASTER)
    chunk = max(1, round(per_second * CHUNK_S))
    for first in range(0, MORE_TIMES * count, chunk):
        if first >= count and died.is_set():
            return
        began = time.monotonic()
        now = datetime.now(UTC)
        numbers = range(first, first + chunk)
        publisher.publish(
            [
                fact
                for number in numbers
                for fact in raised(f"{number:08}", contact_of(number), vault, now)
            ]
        )
        time.sleep(max(0.0, CHUNK_S - (time.monotonic() - began)))


def deaths_by(seed: int, rounds: int) -> list[str]:
    """Where a notifier dies, one after the other: at each point once in every round."""
    chance = random.Random(seed)
    return [
        f"{point}:{chance.randint(1, PASSES_MAX[point])}"
        for _ in range(rounds)
        for point in PASSES_MAX
    ]


def run(
    directory: Path, *, messages: int, per_second: float, seed: int, processes: int, rounds: int
) -> Run:
    """Everything, from an empty stack to the verdict. Blocks for minutes."""
    began = time.monotonic()
    with world(directory) as everything:
        Publisher(everything.stack.bootstrap).publish(
            [PolicyPublished(site=SITE, version=2, policy=policy(), published_at=datetime.now(UTC))]
        )
        simulator = everything.services.start(
            "simulator", module="devstack.simulator", seed=str(seed), faults_percent="30"
        )
        url = simulator.wait_url(time.monotonic() + DEATHS_S)

        def ledger() -> Mapping[str, Any]:
            answer = httpx.get(f"{url}/ledger", timeout=60.0).raise_for_status()
            found: Mapping[str, Any] = answer.json()
            return found

        settings = {
            "smtp_port": str(ledger()["mail_port"]),
            "providers": str(providers_file(directory, url)),
        }
        died = threading.Event()
        publishing = threading.Thread(target=publish, args=(everything, messages, per_second, died))
        publishing.start()
        ways = [deaths_by(seed + n, rounds) for n in range(processes)]
        try:
            deaths = walk(everything, settings, ways, publishing)
        finally:
            died.set()
        publishing.join()
        everything.settle_down("notifier")
        until(lambda: not ledger()["to_report"], "the last reports", REPORTS_S)
        everything.settle_down("notifier")
        facts = auditor.facts(everything.read())
        return Run(facts, ledger(), deaths, time.monotonic() - began)


def walk(
    everything: World,
    settings: Mapping[str, str],
    ways: Sequence[Sequence[str]],
    publishing: threading.Thread,
) -> Counter[str]:
    """Start each notifier with its next crash point as soon as it died at the one before.

    Until all died everywhere, or nothing is left to do. Those that live then die no more.
    """
    left = [iter([*way, ""]) for way in ways]
    ports = [str(free_port()) for _ in ways]
    everything.ports["notifier"] = int(ports[0])  # where the providers report to
    places: dict[int, str] = {}
    running: dict[int, Service] = {}
    deaths: Counter[str] = Counter()

    def start(n: int) -> None:
        places[n] = next(left[n])
        own = {"port": ports[n], "crash_at": places[n], "holder": f"notifier-{n}"}
        running[n] = everything.start("notifier", **settings, **own)

    def look() -> bool:
        for n, service in running.items():
            status = service.process.poll()
            if status is None:
                continue
            assert status == -signal.SIGKILL, f"notifier ended with {status}: {service.log}"
            deaths[places[n].partition(":")[0]] += 1
            start(n)
        if not any(places.values()):
            return True
        time.sleep(LOOK_S)
        return not publishing.is_alive() and not everything.under_way("notifier")

    for n in range(len(ways)):
        start(n)
    until(look, "dying everywhere", DEATHS_S)
    for n, place in places.items():
        if place:
            running[n].stop()
            left[n] = iter([""])
            start(n)
    for service in running.values():
        service.wait_ready()
    return deaths


def main(
    messages: Annotated[int, typer.Option(min=1, max=90_000)] = 10_000,
    per_second: Annotated[float, typer.Option(min=1)] = 25.0,
    seed: int = 1,
    processes: Annotated[int, typer.Option(min=1, max=4)] = 2,
    rounds: Annotated[int, typer.Option(min=0, help="Deaths of each process at each point.")] = 4,
) -> None:
    """Run, and print what became of the messages, and what does not hold."""
    with tempfile.TemporaryDirectory() as directory:
        done = run(
            Path(directory),
            messages=messages,
            per_second=per_second,
            seed=seed,
            processes=processes,
            rounds=rounds,
        )
    print(json.dumps({"seed": seed, **done.summary()}, indent=2))
    if wrong := done.wrong():
        print("\n".join(wrong))
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
