"""`POST /v1/checks` with everything on, beside a no-op route; and its API beside one on PostgreSQL.

In the second comparison both sides do the same work: one process answers once the check and its facts
are on disk, and nothing is carried to Kafka.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import uvloop
from pydantic_core import to_json

from bench import load, meter, world
from bench.filled import Filled, filled
from bench.meter import Meter
from bench.postgres import Server
from bench.report import Comparison, Turn
from devstack.processes import Service, Services
from devstack.stack import Stack
from shared.contracts.compensation import CheckIssued
from shared.ops import token

#: Enough that other requests are served during a disk and a broker round trip.
CONNECTIONS = 64
WARM_UP_DEADLINE_S = 120.0
#: By which more requests are sent than the last rate suggests, so that a faster turn is not too short.
MARGIN = 1.1
NOOP_LACKS = (
    "The no-op route checks the token and validates the body, as the product does, and answers. It has"
    " no metrics or security headers, looks for no earlier answer, reads and writes no store,"
    " decides nothing, waits for no disk, carries nothing to Kafka, and its answer is a tenth as long."
)
POSTGRES_LACKS = (
    "The peer has the product's routes, token, body, rules and answers, and stores in one transaction"
    " what a commit of the product stores. It carries nothing to Kafka; here the product does not either."
)


class Refused(Exception):
    """A request of the bench was not answered 201, so that the turn measures something else."""


class Wishes:
    """The requests of one side: scene after scene, each by another employee and with its own key."""

    def __init__(self, scenes: Sequence[world.Scene]) -> None:
        self._scenes = scenes
        self._turn = -1
        self._next = 0
        self.begin(len(scenes) - 1)

    def begin(self, turn: int) -> None:
        """Go on with the scene of this turn, from its first request."""
        if turn == self._turn:
            return
        self._turn, self._next = turn, 0
        self.scene = self._scenes[turn]
        key, now = token.demo_key(world.RUN), datetime.now(UTC)
        self._tokens = [
            token.sign(
                key,
                subject=self.scene.employee(number),
                kind="employee",
                site=self.scene.site(number),
                now=now,
            )
            for number in range(self.scene.employees)
        ]

    def requests(self, most: int) -> Iterator[bytes]:
        """The next requests, as bytes ready to send."""
        built = []
        for number in range(self._next, self._next + most):
            wish = {
                "complaint_id": self.scene.complaint(number),
                "item": world.ITEM,
                "reason": world.REASON,
            }
            bearer = self._tokens[number % self.scene.employees]
            key = f"{self.scene.name}-{number}"
            built.append(load.post("/v1/checks", bearer, key, to_json(wish)))
        self._next += most
        return iter(built)


@dataclass
class Side:
    """One side: the addresses that are asked, its requests, and the processes that work for it."""

    name: str
    urls: Sequence[str]
    wishes: Wishes
    meter: Meter
    connections: int = CONNECTIONS
    #: Answers per second in the turn before.
    rate: float = 0.0

    async def ask(self, requests: Iterator[bytes]) -> load.Load:
        """Send these requests."""
        return await load.run(self.urls, requests, self.connections)

    async def warm_up(self) -> None:
        """Send the last scene's requests until all its complaints, and so all earlier ones, are known.

        Raises Refused if that takes too long.
        """
        deadline = time.monotonic() + WARM_UP_DEADLINE_S
        known = 0
        while known < 2:  # twice in a row, so that code and caches are warm as well
            got = await self.ask(self.wishes.requests(self.wishes.scene.complaints))
            known = known + 1 if set(got.statuses) == {201} else 0
            self.rate = got.rate
            if time.monotonic() > deadline:
                raise Refused(f"not ready: {dict(got.statuses)} {got.first_problem!r}")

    async def turn(self, number: int, seconds: float) -> Turn:
        """One measured turn of at least so many seconds; raises Refused for any answer but 201.

        Each employee of the turn's scene asks once before it, so that tokens are known.
        """
        self.wishes.begin(number)
        await self.ask(self.wishes.requests(self.wishes.scene.employees))
        most = max(self.connections, int(self.rate * seconds * MARGIN))
        requests = self.wishes.requests(most)
        before = self.meter.read()
        got = await self.ask(requests)
        spent = meter.spent(before, self.meter.read(), most)
        if set(got.statuses) != {201}:
            raise Refused(f"{dict(got.statuses)} {got.first_problem!r}")
        self.rate = got.rate
        return Turn(
            got.rate,
            got.seconds,
            spent,
            got.quantile_ms(0.5),
            got.quantile_ms(0.99),
            got.published / most,
        )


def pid(*services: Service) -> Callable[[], Sequence[int]]:
    """The pids of services, for a meter."""
    return lambda: [service.process.pid for service in services]


def api_side(stack: Stack, product: Filled, wishes: Wishes, connections: int = CONNECTIONS) -> Side:
    """The API face over a filled store; Kafka has no part in it, and nothing is taken out of the outbox."""
    servers = {name: pids for name, pids in world.servers(stack).items() if name != "kafka"}
    measured = Meter({"service": pid(product.service), **servers, meter.CLIENT: meter.this_process})
    return Side("product", [product.service.url], wishes, measured, connections)


def beside_nothing(
    stack: Stack,
    services: Services,
    scenes: Sequence[world.Scene],
    *,
    seconds: float,
    workers: int = 1,
) -> Comparison:
    """Measure the whole service and a route that does nothing, with the same requests. Blocks.

    With one worker, API and streams are one process; with more, these are APIs beside one process with
    the streams. There is a scene for each round, and one to warm up with.
    """
    world.Publisher(stack.bootstrap).publish(world.facts_of(scenes))
    apart = {"face": "api"} if workers > 1 else {}
    apis = [services.start("compensation", **apart) for _ in range(workers)]
    ours = [*apis, services.start("compensation", face="stream")] if apart else apis
    noop = services.start("noop", module="bench.noop")
    for service in (*ours, noop):
        service.wait_ready()
    what = f", {workers} API processes and one of streams" if apart else ""
    found = Comparison(
        f"POST /v1/checks{what}", "no-op FastAPI route", "requests/s", peer_lacks=NOOP_LACKS
    )
    product = Side(
        "product",
        [api.url for api in apis],
        Wishes(scenes),
        Meter(
            {"service": pid(*ours), **world.servers(stack), meter.CLIENT: meter.this_process},
            stack.redis_url,
        ),
    )
    peer = Side(
        "peer",
        [noop.url],
        Wishes(scenes),
        Meter({"service": pid(noop), meter.CLIENT: meter.this_process}),
    )
    uvloop.run(play([(found, product, peer)], len(scenes) - 1, seconds))
    found.fact_bytes = world.fact_bytes(stack.bootstrap, CheckIssued)
    return found


def beside_postgres(
    stack: Stack,
    services: Services,
    server: Server,
    scenes: Mapping[str, Sequence[world.Scene]],
    *,
    seconds: float,
) -> dict[str, Comparison]:
    """Measure the API face and the peer, scene by scene. Blocks; raises Refused, NotEmpty, NotReady."""
    facts = [fact for chosen in scenes.values() for fact in world.facts_of(chosen)]
    with filled(stack, 1, facts) as product:
        peer = services.start("peer", module="bench.peer")
        peer.wait_ready()
        pairs = []
        for name, chosen in scenes.items():
            sites = len(chosen[0].sites)
            where = f"{sites} sites" if sites > 1 else "one site"
            found = Comparison(
                f"POST /v1/checks, API face, {where}",
                f"SELECT … FOR UPDATE on PostgreSQL, {where}",
                "requests/s",
                peer_lacks=POSTGRES_LACKS,
            )
            theirs = Meter(
                {
                    "service": pid(peer),
                    **server.processes(),
                    meter.CLIENT: meter.this_process,
                }
            )
            ours = api_side(stack, product, Wishes(chosen))
            pairs.append((found, ours, Side(name, [peer.url], Wishes(chosen), theirs)))
        rounds = min(len(chosen) for chosen in scenes.values()) - 1
        uvloop.run(play(pairs, rounds, seconds, product.empty_outbox))
    return {f"postgres_{peer.name}": found for found, _, peer in pairs}


async def play(
    pairs: Sequence[tuple[Comparison, Side, Side]],
    rounds: int,
    seconds: float,
    between: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Play both sides of every pair, round by round, in alternating order."""
    for _, *sides in pairs:
        for side in sides:
            await side.warm_up()
    for number in range(rounds):
        for found, ours, theirs in pairs:
            turns = {}
            for side in (ours, theirs) if number % 2 else (theirs, ours):
                turns[side.name] = await side.turn(number, seconds)
            found.add(turns[ours.name], turns[theirs.name])
            if between is not None:
                await between()
