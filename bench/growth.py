"""The same decision with a thousand employees in the store and with a million.

Two stores, each with its own process, answer the same requests; only the number of employees differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from statistics import median
from typing import Any

import uvloop

from bench import world
from bench.decision import Wishes, api_side, play
from bench.filled import filled
from bench.report import Comparison
from devstack.stack import Stack
from services.compensation.staff.rules import Crew, crew_of
from shared.contracts.roster import EMPLOYEES_MAX, Employee, Listing
from shared.runtime.engine.store import Write
from shared.runtime.roster import employee_key

#: So few at once that no request queues: the latency is service time alone.
CONNECTIONS = 4


def measure(
    stack: Stack, scenes: Sequence[world.Scene], employees: int, *, seconds: float
) -> dict[str, Any]:
    """p50 with the scenes' employees and with so many more, in turn, and their ratio.

    Blocks; raises Refused, NotEmpty, NotReady.
    """
    facts = world.facts_of(scenes)
    own = sum(scene.employees for scene in scenes)
    found = Comparison(f"{employees} employees", f"{own} employees", "requests/s", peer_lacks="")
    with ExitStack() as ending:
        few = ending.enter_context(filled(stack, 1, facts))
        many = ending.enter_context(filled(stack, 2, facts, _others(employees - own)))
        sides = [api_side(stack, one, Wishes(scenes), CONNECTIONS) for one in (many, few)]
        sides[1].name = "peer"
        uvloop.run(play([(found, sides[0], sides[1])], len(scenes) - 1, seconds))
    p50_ms = [(turn.p50_ms or 0.0, peer.p50_ms or 0.0) for turn, peer in found.rounds]
    return {
        "growth": round(median(many_ms / few_ms for many_ms, few_ms in p50_ms), 4),
        "growth_p50_ms": {
            str(own): round(median(few_ms for _, few_ms in p50_ms), 3),
            str(employees): round(median(many_ms for many_ms, _ in p50_ms), 3),
        },
    }


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
