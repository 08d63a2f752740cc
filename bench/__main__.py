"""python -m bench: two comparisons on a real Kafka and Redis, a table, and a report as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench import decision, pipeline, stages, world
from bench.report import show
from shared.ops import token
from shared.ops.processes import NotReady, Services, environment
from shared.ops.stack import StackError, running
from shared.runtime.app import settle_memory


def main(
    report: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of each side.")] = 5,
    only: Annotated[str | None, typer.Option(help="decision or pipeline.")] = None,
    requests: Annotated[int, typer.Option(min=100, help="Requests per turn.")] = 5000,
    events: Annotated[int, typer.Option(min=100, help="Events per turn.")] = 12_000,
    faces: Annotated[
        str, typer.Option(help="together: API and streams in one process; or apart.")
    ] = "together",
) -> None:
    """Measure what everything costs that makes a check and a complaint safe."""
    if only not in (None, "decision", "pipeline") or faces not in ("together", "apart"):
        raise typer.BadParameter("--only decision|pipeline, --faces together|apart")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)
    found: dict[str, Any] = {"cpus": os.cpu_count()}
    try:
        with running(world.RUN, ephemeral=True) as stack:
            world.create_topics(stack.bootstrap)
            token.demo_key(world.RUN)
            settle_memory()  # as in the services: the stages are timed in this process
            world.Publisher(stack.bootstrap).publish([world.policy_fact()])
            for name in ("decision", "pipeline") if only is None else (only,):
                services = Services(
                    world.RUN / "bench", environment(world.RUN, stack.bootstrap, stack.redis_url)
                )
                console.print(f"{name}: {rounds} rounds")
                try:
                    if name == "decision":
                        one = decision.measure(
                            stack, services, rounds=rounds, requests=requests, faces=faces
                        )
                    else:
                        one = pipeline.measure(stack, services, rounds=rounds, events=events)
                finally:
                    services.stop()
                product_us, peer_us = (1e6 / rate for rate in one.rates)
                breakdown = stages.decision if name == "decision" else stages.pipeline
                count = (requests if name == "decision" else events) // 4 // 1000 * 1000 or 1000
                # After the services have ended: alone, so that the parts are not measured along.
                one.stages_us = uvloop.run(breakdown(stack, count, peer_us, product_us))
                found[name] = one.as_json()
    except (StackError, NotReady, decision.Refused, pipeline.TooSlow, TimeoutError) as error:
        console.print(f"[bold red]✗[/] {error}")
        raise typer.Exit(1) from None
    show(found, console)
    if report is not None:
        report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
