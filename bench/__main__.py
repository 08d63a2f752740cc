"""python -m bench: comparisons on a real Kafka and Redis, a table, and a report as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench import decision, filled, growth, pipeline, postgres, rebuild, report, stages, world
from devstack.processes import NotReady, Services, environment
from devstack.stack import Stack, StackError, running
from shared.ops import token
from shared.runtime.rebuild.sources import Refused
from shared.runtime.service import settle_memory

PARTS = ("decision", "postgres", "growth", "pipeline", "rebuild")
SITES = 50


def main(
    report_path: Annotated[
        Path | None, typer.Option("--report", help="Write the figures here as JSON.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of each side.")] = 5,
    only: Annotated[str | None, typer.Option(help=" or ".join(PARTS) + ".")] = None,
    requests: Annotated[int, typer.Option(min=100, help="Requests per turn.")] = 5000,
    events: Annotated[int, typer.Option(min=100, help="Events per turn.")] = 12_000,
    employees: Annotated[
        int, typer.Option(min=10_000, help="Employees in the fuller store of growth.")
    ] = 1_000_000,
    facts: Annotated[int, typer.Option(min=100, help="Checks to rebuild from.")] = 100_000,
    faces: Annotated[
        str, typer.Option(help="together: API and streams in one process; or apart.")
    ] = "together",
) -> None:
    """Measure the cost of what makes a check and a complaint safe."""
    if only not in (None, *PARTS) or faces not in ("together", "apart"):
        raise typer.BadParameter(f"--only {'|'.join(PARTS)}, --faces together|apart")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)
    found: dict[str, Any] = {"cpus": os.cpu_count()}
    scene = world.scene("hot", 1, requests)
    settle_memory()  # as in the services: the stages are timed in this process
    try:
        for name in PARTS if only is None else (only,):
            console.print(f"{name}: {rounds} rounds")
            # Every part has a stack of its own, so that data of an earlier part does not count.
            with running(world.RUN, ephemeral=True, fast=True) as stack:
                world.create_topics(stack.bootstrap)
                token.demo_key(world.RUN)
                match name:
                    case "decision":
                        one = _decision(stack, scene, rounds, requests, faces)
                    case "postgres":
                        one = _postgres(stack, scene, rounds, requests, console)
                    case "growth":
                        turn = requests // 4
                        one = growth.measure(stack, scene, employees, rounds=rounds, requests=turn)
                    case "pipeline":
                        one = _pipeline(stack, scene, rounds, events)
                    case _:
                        one = rebuild.measure(stack, scene, rounds=rounds, facts=facts)
            of_decision = name in ("postgres", "growth")
            found.setdefault("decision" if of_decision else name, {}).update(one)
    except FAILURES as error:
        console.print(f"[bold red]✗[/] {error}")
        raise typer.Exit(1) from None
    report.show(found, console)
    if report_path is not None:
        report_path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


#: Failures that the machine or another process may cause; any other is a defect of the bench.
FAILURES = (
    StackError,
    NotReady,
    filled.NotEmpty,
    decision.Refused,
    pipeline.TooSlow,
    Refused,
    TimeoutError,
)


def _services(stack: Stack, **more: str) -> Services:
    given = environment(world.RUN, stack.bootstrap, stack.redis_url)
    return Services(world.RUN / "bench", {**given, **more})


def _decision(
    stack: Stack, scene: world.Scene, rounds: int, requests: int, faces: str
) -> dict[str, Any]:
    """The decision beside the no-op."""
    services = _services(stack)
    try:
        one = decision.beside_nothing(
            stack, services, scene, rounds=rounds, requests=requests, faces=faces
        )
    finally:
        services.stop()
    product_us, peer_us = (1e6 / rate for rate in one.rates)
    # After the services have ended, so that the stages are measured alone.
    one.stages_us = uvloop.run(
        stages.decision(stack, scene, _rounded(requests), peer_us, product_us)
    )
    return one.as_json()


def _postgres(
    stack: Stack, scene: world.Scene, rounds: int, requests: int, console: Console
) -> dict[str, Any]:
    """The decision beside PostgreSQL, where there is one."""
    scenes = {"hot": scene, "sites": world.scene("sites", SITES, requests)}
    found = {}
    with ExitStack() as ending:
        try:
            address = ending.enter_context(postgres.running())
        except postgres.Absent as absent:
            console.print(f"skipped: no PostgreSQL, {absent}")
        else:
            postgres.fill(address, list(scenes.values()))
            services = _services(stack, BENCH_DATABASE_URL=address)
            ending.callback(services.stop)
            found = decision.beside_postgres(
                stack, services, scenes, rounds=rounds, requests=requests
            )
    return report.beside_postgres(found)


def _pipeline(stack: Stack, scene: world.Scene, rounds: int, events: int) -> dict[str, Any]:
    """The pipeline beside the bare loop."""
    world.Publisher(stack.bootstrap).publish([*scene.policies()])
    services = _services(stack)
    try:
        one = pipeline.measure(stack, services, rounds=rounds, events=events)
    finally:
        services.stop()
    product_us, peer_us = (1e6 / rate for rate in one.rates)
    one.stages_us = uvloop.run(stages.pipeline(stack, scene, _rounded(events), peer_us, product_us))
    return one.as_json()


def _rounded(turn: int) -> int:
    """How many units the stages are timed with: fewer than in a turn, and whole batches."""
    return turn // 4 // 1000 * 1000 or 1000


if __name__ == "__main__":
    typer.run(main)
