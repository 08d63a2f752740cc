"""python -m bench: comparisons on a real Kafka and Redis, a table, and a report as JSON."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench import (
    acknowledge,
    audit,
    decision,
    filled,
    growth,
    pipeline,
    postgres,
    queue,
    quix_venv,
    rebuild,
    report,
    stages,
    world,
)
from devstack.processes import NotReady, Services, environment
from devstack.stack import Stack, StackError, running
from shared.ops import token
from shared.runtime.rebuild.sources import Refused
from shared.runtime.service import settle_memory

PARTS = ("decision", "postgres", "growth", "queue", "pipeline", "acknowledge", "audit", "rebuild")
SITES = 50
#: API processes in the row with more than one.
WORKERS = 2


def main(
    report_path: Annotated[
        Path | None, typer.Option("--report", help="Write the figures here as JSON.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of each side.")] = 5,
    only: Annotated[str | None, typer.Option(help=" or ".join(PARTS) + ".")] = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Length of a turn.")] = 3.0,
    employees: Annotated[
        int, typer.Option(min=10_000, help="Employees in the fuller store of growth.")
    ] = 1_000_000,
    complaints: Annotated[
        int, typer.Option(min=10_000, help="Open complaints in the longer list of queue.")
    ] = 1_000_000,
    facts: Annotated[int, typer.Option(min=100, help="Checks to rebuild from.")] = 100_000,
) -> None:
    """Measure the cost of what makes a check and a complaint safe."""
    if only not in (None, *PARTS):
        raise typer.BadParameter(f"--only {'|'.join(PARTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)
    found: dict[str, Any] = {"machine": report.machine(), "rounds": rounds, "turn_s": seconds}
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
                        one = _decision(stack, rounds, seconds)
                    case "postgres":
                        one = _postgres(stack, rounds, seconds, console)
                    case "growth":
                        scenes = world.scenes("growth", 1, seconds, rounds)
                        one = growth.measure(stack, scenes, employees, seconds=seconds)
                    case "queue":
                        one = queue.measure(stack, complaints, rounds=rounds, seconds=seconds)
                    case "pipeline":
                        one = _pipeline(stack, rounds, seconds, console)
                    case "acknowledge":
                        one = _acknowledge(stack, rounds, seconds)
                    case "audit":
                        one = _audit(stack, rounds, seconds)
                    case _:
                        scenes = world.scenes("rebuild", 1, seconds, 0)
                        one = rebuild.measure(stack, scenes, rounds=rounds, facts=facts)
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


def _decision(stack: Stack, rounds: int, seconds: float) -> dict[str, Any]:
    """The decision beside the no-op, by one process and by two API processes."""
    found = {}
    for name, workers in (("hot", 1), ("two", WORKERS)):
        services = _services(stack)
        try:
            found[name] = decision.beside_nothing(
                stack,
                services,
                world.scenes(name, 1, seconds, rounds),
                seconds=seconds,
                workers=workers,
            )
        finally:
            services.stop()
    one = found["hot"]
    # After the services have ended, so that the stages are measured alone.
    stage = world.scenes("stages", 1, seconds, 0)[0]
    one.stages_us = uvloop.run(stages.decision(stack, stage, one))
    return {**one.as_json(), "two": found["two"].as_json()}


def _postgres(stack: Stack, rounds: int, seconds: float, console: Console) -> dict[str, Any]:
    """The decision beside PostgreSQL, where there is one."""
    scenes = {
        "hot": world.scenes("hot", 1, seconds, rounds),
        "sites": world.scenes("sites", SITES, seconds, rounds),
    }
    found = {}
    with ExitStack() as ending:
        try:
            server = ending.enter_context(postgres.running())
        except postgres.Absent as absent:
            console.print(f"skipped: no PostgreSQL, {absent}")
        else:
            postgres.fill(server.address, list(scenes.values()))
            services = _services(stack, BENCH_DATABASE_URL=server.address)
            ending.callback(services.stop)
            found = decision.beside_postgres(stack, services, server, scenes, seconds=seconds)
    return report.beside("postgres_hot", found) | report.beside("postgres_sites", found)


def _pipeline(stack: Stack, rounds: int, seconds: float, console: Console) -> dict[str, Any]:
    """The pipeline beside the bare loop, and beside quixstreams where it can be installed."""
    stage = world.scenes("stages", 1, seconds, 0)[0]
    world.Publisher(stack.bootstrap).publish([*stage.policies()])
    services = _services(stack)
    others = _services(stack, BENCH_STATE=str(stack.directory / "state"), **quix_venv.environment())
    try:
        try:
            quix = others.start("quix", module="bench.quix", python=quix_venv.python())
        except quix_venv.Absent as absent:
            console.print(f"skipped: no quixstreams, {absent}")
            quix = None
        found = pipeline.measure(
            stack, services, quix, console.print, rounds=rounds, seconds=seconds
        )
    finally:
        services.stop()
        others.stop()
    one = found["bare"]
    count = max(stages.BATCH, int(one.rates[0] * seconds) // stages.BATCH * stages.BATCH)
    one.stages_us = uvloop.run(stages.pipeline(stack, stage, count, one))
    return {
        **one.as_json(),
        "two": found["two"].as_json(),
        **report.beside("quixstreams", found),
    }


def _acknowledge(stack: Stack, rounds: int, seconds: float) -> dict[str, Any]:
    """The acknowledgement of a complaint beside bare hops."""
    stage = world.scenes("stages", 1, seconds, 0)[0]
    world.Publisher(stack.bootstrap).publish([*stage.policies()])
    services = _services(stack)
    try:
        return acknowledge.measure(stack, services, rounds=rounds, seconds=seconds)
    finally:
        services.stop()


def _audit(stack: Stack, rounds: int, seconds: float) -> dict[str, Any]:
    """Records beside the bare loop, and the verification of their export."""
    stage = world.scenes("stages", 1, seconds, 0)[0]
    world.Publisher(stack.bootstrap).publish([*stage.policies()])
    services = _services(stack)
    try:
        return audit.measure(stack, services, rounds=rounds, seconds=seconds)
    finally:
        services.stop()


if __name__ == "__main__":
    typer.run(main)
