"""A complaint received → its acknowledgement handed to the mail server, beside three bare hops over Kafka.

The notifier is real, with its store; the mail server takes every letter and says when each came. Complaints
come at a steady rate. Of the hops, the broker stamps each record as the last topic gets it.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from secrets import token_hex
from statistics import median
from typing import Any

import httpx
from kafka import KafkaConsumer, TopicPartition

from bench import world
from bench.decision import pid
from bench.meter import CLIENT, Meter, spent, this_process
from bench.pipeline import TURN_DEADLINE_S, TooSlow
from devstack.processes import Service, Services, master_key
from devstack.stack import Stack
from services.notifier.messages.rules import message_id_of
from shared.contracts.catalogue import PARTITIONS
from shared.contracts.intake import Contact
from shared.contracts.notifier import Occasion
from shared.runtime.privacy.seal import Vault

#: Complaints per second.
RATE = 200
#: So many at each turn at least, so that the slowest of a hundred are a few.
COUNT_MIN = 200
WARM_UP = 400
#: Between two looks at what the mail server has: a look takes it milliseconds, and when each letter came it knows itself.
LOOK_S = 0.5
#: Hops of the peer.
HOPS = len(world.HOPS) - 1


def measure(
    stack: Stack, services: Services, *, rounds: int, seconds: float, rate: int = RATE
) -> dict[str, Any]:
    """p50 and p99 in ms of both sides, turn by turn, and what an acknowledgement costs. Blocks; raises TooSlow."""
    mail = services.start("simulator", module="devstack.simulator", faults_percent="0")
    ledger = mail.wait_url(time.monotonic() + TURN_DEADLINE_S) + "/ledger"
    port = str(httpx.get(ledger).json()["mail_port"])
    notifier = services.start("notifier", smtp_host="127.0.0.1", smtp_port=port)
    hops = services.start("hops", module="bench.hops")
    hops.wait_url(time.monotonic() + TURN_DEADLINE_S)
    notifier.wait_ready()
    count = max(COUNT_MIN, int(rate * seconds))
    with closing(eyes(stack)) as last:
        play: dict[str, Callable[[int], Sequence[float]]] = {
            "product": lambda n: letters(stack, ledger, notifier, n, rate),
            "hops": lambda n: hopped(stack, last, n, rate),
        }
        for turn in play.values():
            turn(WARM_UP)
        processes = {"notifier": pid(notifier), "mail server": pid(mail), CLIENT: this_process}
        meter = Meter({**processes, **world.servers(stack)})
        costs: list[Mapping[str, float]] = []
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in play}
        for number in range(rounds):
            for name in sorted(play, reverse=bool(number % 2)):
                before = meter.read()
                waits = sorted(play[name](count))
                if name == "product":
                    costs.append(spent(before, meter.read(), count).cpu_us)
                found[name].append((waits[len(waits) // 2], waits[int(0.99 * len(waits))]))
    p50, p99 = (median(turn[which] for turn in found["product"]) for which in (0, 1))
    of_hops = [median(turn[which] for turn in found["hops"]) for which in (0, 1)]
    return {
        "rate": rate,
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        # Of each process per letter; empty where the kernel does not say.
        "cpu_us": {name: round(median(one[name] for one in costs)) for name in costs[0]},
        "hops": HOPS,
        "hops_p50_ms": round(of_hops[0], 1),
        "hops_p99_ms": round(of_hops[1], 1),
        "ratio_to_hops": round(
            median(a[1] / b[1] for a, b in zip(*found.values(), strict=True)), 2
        ),
    }


def letters(stack: Stack, ledger: str, notifier: Service, count: int, rate: int) -> Sequence[float]:
    """The ms from each complaint's received fact to its letter, at this rate."""
    run, vault, now = token_hex(4), Vault(b64decode(master_key(world.RUN))), datetime.now(UTC)
    told = [
        world.raised(
            f"{run}-{n}", Contact(name="Kim", email=f"kim-{run}-{n}@example.org"), vault, now
        )
        for n in range(count)
    ]
    records = [world.records(facts) for facts in told]
    sent: dict[str, float] = {}
    with world.Publisher(stack.bootstrap).open() as producer:
        began = time.time()
        for n, facts in enumerate(records):
            time.sleep(max(0.0, began + n / rate - time.time()))
            message_id = message_id_of(Occasion.ACKNOWLEDGEMENT, f"co-{run}-{n}")
            sent[message_id] = time.time()
            for topic, key, value in facts:
                producer.send(topic, key=key, value=value)
    deadline = time.monotonic() + TURN_DEADLINE_S
    while not sent.keys() <= (came := httpx.get(ledger).json()["mail_at"]).keys():
        if time.monotonic() > deadline or notifier.process.poll() is not None:
            raise TooSlow(f"notifier: letters are missing, see {notifier.log}")
        time.sleep(LOOK_S)
    return [(came[name] - at) * 1000 for name, at in sent.items()]


def eyes(stack: Stack) -> KafkaConsumer:
    """A reader of the last hop, from here on."""
    found = KafkaConsumer(bootstrap_servers=stack.bootstrap, enable_auto_commit=False)
    places = [TopicPartition(world.HOPS[-1], number) for number in range(PARTITIONS)]
    found.assign(places)
    found.seek_to_end(*places)
    for place in places:
        found.position(place)
    return found


def hopped(stack: Stack, last: KafkaConsumer, count: int, rate: int) -> Sequence[float]:
    """The ms of each record from the first topic to the last, at this rate."""
    sent: list[float] = []
    with world.Publisher(stack.bootstrap).open() as producer:
        began = time.time()
        for n in range(count):
            time.sleep(max(0.0, began + n / rate - time.time()))
            sent.append(time.time())
            producer.send(world.HOPS[0], str(n).encode(), partition=n % PARTITIONS)
    got: dict[int, float] = {}
    deadline = time.monotonic() + TURN_DEADLINE_S
    while len(got) < count:
        for records in last.poll(timeout_ms=200, max_records=10_000).values():
            got |= {int(one.value): one.timestamp / 1000 for one in records}
        if time.monotonic() > deadline:
            raise TooSlow(f"hops: {len(got)} of {count}")
    return [max(0.0, got[n] - at) * 1000 for n, at in enumerate(sent)]
