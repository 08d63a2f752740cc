"""`POST /v1/checks` with everything on, beside a no-op route; and its API beside one on PostgreSQL.

In the second comparison both sides do the same work: one process answers once the check and its facts
are on disk, and nothing is carried to Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import uvloop
from pydantic_core import to_json

from bench import load, world
from bench.filled import filled
from bench.report import Comparison, Turn
from devstack.processes import Service, Services
from devstack.stack import Stack
from shared.ops import token

#: Enough that other requests are served during a disk and a broker round trip.
CONNECTIONS = 64
WARM_UP_DEADLINE_S = 120.0


class Refused(Exception):
    """A request of the bench was not answered 201, so that the turn measures something else."""


class Wishes:
    """The requests of one scene: each by another employee, for another complaint, with its own key."""

    def __init__(self, scene: world.Scene) -> None:
        self.scene = scene
        key, now = token.demo_key(world.RUN), datetime.now(UTC)
        self._tokens = [
            token.sign(
                key,
                subject=scene.employee(number),
                kind="employee",
                site=scene.site(number),
                now=now,
            )
            for number in range(scene.employees)
        ]
        self._numbers = count()

    def requests(self, url: str, most: int) -> Iterator[bytes]:
        """The next requests, as bytes ready to send."""
        built = []
        for _ in range(most):
            number = next(self._numbers)
            wish = {
                "complaint_id": self.scene.complaint(number),
                "item": world.ITEM,
                "reason": world.REASON,
            }
            bearer = self._tokens[number % self.scene.employees]
            key = f"{self.scene.name}-{number}"
            built.append(load.post(url, "/v1/checks", bearer, key, to_json(wish)))
        return iter(built)


@dataclass(frozen=True)
class Side:
    """A process and its requests: `share` of a turn's, so that turns of both sides last equally long."""

    service: Service
    wishes: Wishes
    share: float = 1.0

    async def ask(self, most: int, connections: int = CONNECTIONS) -> load.Load:
        """Send so many requests."""
        url = self.service.url
        return await load.run(url, self.wishes.requests(url, most), connections)

    async def warm_up(self) -> None:
        """Send requests until every complaint, key and token is cached; raises Refused if that takes too long."""
        deadline = time.monotonic() + WARM_UP_DEADLINE_S
        known = 0
        while known < 2:  # twice in a row, so that code and caches are warm as well
            got = await self.ask(self.wishes.scene.complaints)
            known = known + 1 if set(got.statuses) == {201} else 0
            if time.monotonic() > deadline:
                raise Refused(f"not ready: {dict(got.statuses)} {got.first_problem!r}")

    async def turn(self, requests: int, connections: int = CONNECTIONS) -> Turn:
        """One measured turn; raises Refused for any answer but 201."""
        most = max(connections, int(requests * self.share))
        got = await self.ask(most, connections)
        if set(got.statuses) != {201}:
            raise Refused(f"{dict(got.statuses)} {got.first_problem!r}")
        return Turn(got.rate, got.quantile_ms(0.5), got.quantile_ms(0.99), got.published / most)


def beside_nothing(
    stack: Stack, services: Services, scene: world.Scene, *, rounds: int, requests: int, faces: str
) -> Comparison:
    """Measure the whole service and a route that does nothing, with the same requests. Blocks."""
    wishes = Wishes(scene)
    world.Publisher(stack.bootstrap).publish(scene.facts())
    if faces == "apart":
        product = services.start("compensation", face="api")
        services.start("compensation", face="stream").wait_ready()
    else:
        product = services.start("compensation")
    noop = services.start("noop", module="bench.noop")
    for service in (product, noop):
        service.wait_ready()
    found = Comparison("decision", "POST /v1/checks", "no-op FastAPI route", "requests/s")
    # The no-op is faster, so it gets more requests and both are measured equally long.
    uvloop.run(_play([(found, Side(product, wishes), Side(noop, wishes, 2.0))], rounds, requests))
    return found


def beside_postgres(
    stack: Stack,
    services: Services,
    scenes: Mapping[str, world.Scene],
    *,
    rounds: int,
    requests: int,
) -> dict[str, Comparison]:
    """Measure the API face and the peer, scene by scene. Blocks; raises Refused, NotEmpty, NotReady."""
    facts = [fact for scene in scenes.values() for fact in scene.facts()]
    with filled(stack, 1, facts) as product:
        peer = services.start("peer", module="bench.peer")
        peer.wait_ready()
        pairs = []
        for name, scene in scenes.items():
            where = f"{len(scene.sites)} sites" if len(scene.sites) > 1 else "one site"
            found = Comparison(
                name,
                f"POST /v1/checks, API face, {where}",
                f"SELECT … FOR UPDATE on PostgreSQL, {where}",
                "requests/s",
            )
            wishes = Wishes(scene)
            pairs.append((found, Side(product.service, wishes), Side(peer, wishes, 0.5)))
        uvloop.run(_play(pairs, rounds, requests, product.empty_outbox))
    return {found.name: found for found, _, _ in pairs}


async def _play(
    pairs: Sequence[tuple[Comparison, Side, Side]],
    rounds: int,
    requests: int,
    between: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Play both sides of every pair, round by round, in alternating order."""
    for _, *sides in pairs:
        for side in sides:
            await side.warm_up()
    for number in range(rounds):
        for found, ours, theirs in pairs:
            turns: dict[str, Turn] = {}
            for side in (ours, theirs) if number % 2 else (theirs, ours):
                turns[side.service.name] = await side.turn(requests)
            found.add(turns[ours.service.name], turns[theirs.service.name])
            if between is not None:
                await between()
