"""`POST /v1/checks` with everything on, beside a route that does nothing with the same request."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import uvloop
from pydantic_core import to_json

from bench import load, world
from bench.report import Comparison, Turn
from shared.ops import token
from shared.ops.processes import Services
from shared.ops.stack import Stack

#: Enough that a disk and a broker round trip are spent serving others.
CONNECTIONS = 64
WARM_UP_DEADLINE_S = 60.0
SEED = 3


class Refused(Exception):
    """A request of the bench was not answered 201: what was measured is not what was meant."""


class Decision:
    """Both sides, running, and the requests they get."""

    def __init__(self, stack: Stack, services: Services, faces: str) -> None:
        self._services = services
        key = token.demo_key(world.RUN)
        now = datetime.now(UTC)
        self._tokens = [
            token.sign(key, subject=employee, kind="employee", site=world.SITE, now=now)
            for employee in world.employees()
        ]
        self._complaints = world.complaints()
        self._random = random.Random(SEED)
        self._number = count()
        publisher = world.Publisher(stack.bootstrap)
        publisher.publish(world.case_facts())
        if faces == "apart":
            self.product = services.start("compensation", face="api")
            services.start("compensation", face="stream").wait_ready()
        else:
            self.product = services.start("compensation")
        self.noop = services.start("noop", module="bench.noop")
        for service in (self.product, self.noop):
            service.wait_ready()

    def requests(self, url: str, most: int) -> Iterator[bytes]:
        """Wishes of many employees for many complaints, each with a key of its own."""
        built = []
        for _ in range(most):
            body = to_json(
                {"complaint_id": self._random.choice(self._complaints), "item": world.ITEM}
            )
            key = f"bench-{next(self._number)}"
            built.append(load.post(url, "/v1/checks", self._random.choice(self._tokens), key, body))
        return iter(built)

    async def warm_up(self) -> None:
        """Ask until every complaint, key and token is known; raises Refused when that takes long."""
        deadline = time.monotonic() + WARM_UP_DEADLINE_S
        known = 0
        while known < 2:  # twice in a row, so that code and caches are warm as well
            got = await self._ask(self.product.url, world.COMPLAINTS)
            known = known + 1 if set(got.statuses) == {201} else 0
            if time.monotonic() > deadline:
                raise Refused(f"not ready: {dict(got.statuses)} {got.first_problem!r}")
        await self._ask(self.noop.url, world.COMPLAINTS)

    async def _ask(self, url: str, most: int) -> load.Load:
        return await load.run(url, self.requests(url, most), CONNECTIONS)

    async def turn(self, url: str, most: int) -> Turn:
        """One measured turn of one side; raises Refused for any answer but 201."""
        got = await self._ask(url, most)
        if set(got.statuses) != {201}:
            raise Refused(f"{dict(got.statuses)} {got.first_problem!r}")
        return Turn(got.rate, got.quantile_ms(0.5), got.quantile_ms(0.99), got.published / most)


def measure(
    stack: Stack, services: Services, *, rounds: int, requests: int, faces: str
) -> Comparison:
    """Both sides in turn, round by round. Blocks."""
    sides = Decision(stack, services, faces)

    async def play() -> Comparison:
        await sides.warm_up()
        found = Comparison("decision", "POST /v1/checks", "no-op FastAPI route", "requests/s")
        for number in range(rounds):
            order = (sides.product, sides.noop) if number % 2 else (sides.noop, sides.product)
            turns: dict[str, Any] = {}
            for side in order:
                # The no-op is quicker: more requests, so that both are measured for as long.
                most = requests if side is sides.product else 2 * requests
                turns[side.name] = await sides.turn(side.url, most)
            found.add(turns["compensation"], turns["noop"])
        return found

    return uvloop.run(play())
