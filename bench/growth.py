"""The same decision with a thousand employees in the store and with a million.

Two stores, each with its own process, answer the same requests; only the number of employees differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from statistics import median
from typing import Any

import uvloop

from bench import world
from bench.decision import Side, Wishes
from bench.filled import filled
from devstack.stack import Stack
from services.compensation.staff.rules import Crew, crew_of
from shared.contracts.roster import EMPLOYEES_MAX, Employee, Listing
from shared.runtime.engine.store import Write
from shared.runtime.roster import employee_key

#: So few at once that no request queues: the latency is service time alone.
CONNECTIONS = 4


def measure(
    stack: Stack, scene: world.Scene, employees: int, *, rounds: int, requests: int
) -> dict[str, Any]:
    """p50 with the scene's employees and with so many more, in turn, and their ratio.

    Blocks; raises Refused, NotEmpty, NotReady.
    """
    wishes, facts = Wishes(scene), scene.facts()
    with ExitStack() as ending:
        few = ending.enter_context(filled(stack, 1, facts))
        others = _others(employees - scene.employees)
        many = ending.enter_context(filled(stack, 2, facts, others))
        sides = (Side(few.service, wishes), Side(many.service, wishes))
        p50_ms = uvloop.run(_play(sides, rounds, requests))
    return {
        "growth": round(median(many_ms / few_ms for few_ms, many_ms in p50_ms), 4),
        "growth_p50_ms": {
            str(scene.employees): round(median(few_ms for few_ms, _ in p50_ms), 3),
            str(employees): round(median(many_ms for _, many_ms in p50_ms), 3),
        },
    }


async def _play(sides: tuple[Side, Side], rounds: int, requests: int) -> list[tuple[float, float]]:
    """p50 in milliseconds of both sides, round by round."""
    for side in sides:
        await side.warm_up()
    found = []
    for number in range(rounds):
        few, many = sides
        turns = {}
        for side in (few, many) if number % 2 else (many, few):
            turn = await side.turn(requests, CONNECTIONS)
            assert turn.p50_ms is not None
            turns[side.service.url] = turn.p50_ms
        found.append((turns[few.service.url], turns[many.service.url]))
    return found


def _others(count: int) -> Iterator[Write]:
    """Documents of employees at other sites and of their crews, in rosters of the largest size."""
    listed_at, listing = datetime.now(UTC), Listing(role=world.ROLE)
    for first in range(0, count, EMPLOYEES_MAX):
        site = f"ms-other-{first // EMPLOYEES_MAX}"
        employee = Employee(listing=listing, listed_at=listed_at)
        body = employee.model_dump_json(exclude_none=True).encode()
        crews: dict[str, list[str]] = defaultdict(list)
        for number in range(first, min(first + EMPLOYEES_MAX, count)):
            name = f"e-other-{number:07}"
            crews[crew_of(site, name)].append(name)
            yield Write(employee_key(site, name), 0, body)
        for crew, members in crews.items():
            yield Write(Crew.key(crew), 0, Crew(members=tuple(members)).model_dump_json().encode())
