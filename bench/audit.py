"""Fact → record by the real service, beside the pipeline's bare loop; fact → board; and the verification of an export.

The ratio is of CPU time: records per second of the service's against events per second of the loop's. Facts are the
examples of compensation in turn, numbered as its relay numbers them.
"""

from __future__ import annotations

import json
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_hex
from statistics import median
from typing import Any

import httpx
from pydantic_core import to_json

from bench import world
from bench.pipeline import BARE_LACKS, SESSION_S, TURN_DEADLINE_S, Pipeline, TooSlow, side
from bench.report import Comparison
from devstack.processes import Services, master_key
from devstack.stack import Stack
from shared.audit import export
from shared.audit.keys import derived_key
from shared.audit.topic import Topics
from shared.contracts.audit import FactRecorded
from shared.contracts.catalogue import FACTS
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import ComplaintTriaged
from shared.contracts.event import format_time
from shared.ops import token
from shared.runtime.privacy.seal import Vault

EXAMPLES = world.ROOT / "shared" / "contracts" / "examples"
#: What a fact is about.
ITS_OWN = ("check_id", "complaint_id", "customer_ref", "incident_id", "offer_id", "redemption_id")
#: Facts whose way to the board is timed: fewer than a board counts promises.
BOARD_FACTS = 100
MARK = b'"type":"' + FactRecorded.TYPE.encode() + b'"'


class ByCpu(Comparison):
    """Two sides compared by what a second of their CPU time carries."""

    @property
    def ratios(self) -> list[float]:
        """Per round; of rates where the kernel tells no CPU time."""
        return [
            peer.spent.cpu_us["service"] / product.spent.cpu_us["service"]
            if product.spent.cpu_us and peer.spent.cpu_us
            else product.rate / peer.rate
            for product, peer in self.rounds
        ]


def _anew(data: dict[str, Any], number: int) -> dict[str, str]:
    """The ids of a fact of its own, of one of many employees: otherwise all facts would be about one check."""
    found = {name: f"{data[name]}-{number}" for name in ITS_OWN if name in data}
    return found | {name: f"e-{number % world.EMPLOYEES}" for name in data if name == "employee_id"}


def facts() -> Callable[[int, str], list[bytes]]:
    """What makes so many facts of compensation, as its relay writes them."""
    examples = [
        event
        for path in sorted(EXAMPLES.glob("*.json"))
        if FACTS[(event := json.loads(path.read_bytes()))["type"]].TOPIC == CheckIssued.TOPIC
        and event["source"] == "/compensation"
    ]
    numbers = count(1)

    def made(wanted: int, _run: str) -> list[bytes]:
        now, found = format_time(datetime.now(UTC)), []
        for _ in range(wanted):
            number = next(numbers)
            own = {"id": f"{number:032x}", "correlationid": f"{number:032x}"}
            own |= {"time": now, "sequence": f"{number:020}"}
            example = examples[number % len(examples)]
            data = {**example["data"], **_anew(example["data"], number)}
            found.append(to_json({**example, **own, "data": data}))
        return found

    return made


def measure(stack: Stack, services: Services, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Both sides in turn, round by round, then the export of what was recorded. Blocks; raises TooSlow."""
    ours = services.start("audit", session_s=SESSION_S)
    loop = services.start("bare", module="bench.bare")
    ours.wait_ready()
    loop.wait_url(time.monotonic() + TURN_DEADLINE_S)
    product = side(stack, [ours], CheckIssued.TOPIC, FactRecorded.TOPIC, 1, store=True)
    product = replace(product, events=facts(), mark=MARK)
    bare = side(stack, [loop], world.BARE_INTAKE, world.BARE_TRIAGED, 1)
    playing = Pipeline(world.Publisher(stack.bootstrap))
    found = ByCpu(
        "fact → record, by CPU time", "bare aiokafka loop", "facts/s", peer_lacks=BARE_LACKS
    )
    with closing(product.eyes), closing(bare.eyes):
        for first, second in playing.play([product, bare], rounds, seconds):
            found.add(first, second)
        found.paced_ms[0] = playing.pace(product)
    found.fact_bytes = world.fact_bytes(stack.bootstrap, FactRecorded)
    to_board = {"to_board_ms": _to_board_ms(ours.url, playing.publisher)}
    return {**found.as_json(), **to_board, **_verified(stack, rounds)}


def _to_board_ms(url: str, publisher: world.Publisher) -> dict[str, float]:
    """p50 and p99 in ms from a promise published until the board counts it; raises TooSlow.

    The board is asked again as soon as it answered, and one fact is under way at a time.
    """
    bearer = token.sign(
        token.demo_key(world.RUN),
        subject="m-bench",
        kind="manager",
        site=world.SITE,
        now=datetime.now(UTC),
    )
    waits: list[float] = []
    headers = {"Authorization": f"Bearer {bearer}"}
    with httpx.Client(base_url=url, headers=headers) as client, publisher.open() as producer:

        def waiting() -> int:
            answer = client.get(f"/v1/board/{world.SITE}").raise_for_status()
            return int(answer.json()["promises"]["waiting"])

        known, deadline = waiting(), time.monotonic() + TURN_DEADLINE_S
        for event in _promises(BOARD_FACTS):
            began = time.perf_counter()
            producer.send(ComplaintTriaged.TOPIC, event)
            while (now := waiting()) == known:
                if time.monotonic() > deadline:
                    raise TooSlow(f"the board counts {known} promises and no more")
            known = now
            waits.append((time.perf_counter() - began) * 1000)
    waits.sort()
    return {
        "p50": round(waits[len(waits) // 2], 1),
        "p99": round(waits[int(0.99 * len(waits))], 1),
    }


def _promises(wanted: int) -> Iterator[bytes]:
    """So many triaged facts, each with a promise of an hour."""
    path = EXAMPLES / f"{ComplaintTriaged.TYPE}.json"
    event = json.loads(path.read_bytes())
    del event["sequence"]
    for _ in range(wanted):
        now = datetime.now(UTC)
        name = token_hex(16)
        event |= {"id": name, "correlationid": name, "time": format_time(now)}
        event["data"] |= {
            "complaint_id": f"co-{name}",
            "site": world.SITE,
            "promised_by": format_time(now + timedelta(hours=1)),
        }
        yield to_json(event)


def _verified(stack: Stack, rounds: int) -> dict[str, Any]:
    """How many records of an export are verified per second; raises ValueError if they do not verify."""
    key = derived_key(Vault(b64decode(master_key(world.RUN))).derive).public_key()
    directory = world.RUN / "bench" / "export"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        export.write(Topics({"bootstrap_servers": stack.bootstrap}), directory)
        by_cpu, by_clock, records = [], [], 0
        for _ in range(rounds):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            told = export.verify(directory, [key])
            by_cpu.append(told.records / (time.process_time() - cpu_s))
            by_clock.append(told.records / (time.perf_counter() - wall_s))
            records = told.records
            if told.findings:
                raise ValueError(f"the record does not verify: {told.findings[0]}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return {
        "verify_per_second": round(median(by_cpu), 1),
        "verify_per_second_min": round(min(by_cpu), 1),
        "verify_per_second_wall": round(median(by_clock), 1),
        "verify_records": records,
    }
