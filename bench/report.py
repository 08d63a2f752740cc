"""The measurements and their report."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.meter import Spent

#: Names of the stages that are not measured but left over.
ALL = "in all"


@dataclass(frozen=True, slots=True)
class Turn:
    """One side measured once; latencies in milliseconds, if measured."""

    rate: float
    seconds: float
    spent: Spent = field(default_factory=Spent)
    p50_ms: float | None = None
    p99_ms: float | None = None
    #: Share of the answers that said that their facts are on Kafka.
    published: float | None = None


@dataclass
class Comparison:
    """Two sides, measured in turn."""

    product: str
    peer: str
    unit: str
    #: What the product does and the peer does not, for the report.
    peer_lacks: str
    rounds: list[tuple[Turn, Turn]] = field(default_factory=list)
    #: p50 and p99 of product and peer at a rate at which nothing queues.
    paced_ms: dict[int, tuple[float, float]] = field(default_factory=dict)
    #: Stage → microseconds of CPU per unit of work.
    stages_us: Mapping[str, float] = field(default_factory=dict)
    #: Bytes of the product's facts on its topic, per unit of work.
    fact_bytes: float | None = None

    def add(self, product: Turn, peer: Turn) -> None:
        """One more round."""
        self.rounds.append((product, peer))

    @property
    def ratios(self) -> list[float]:
        """The product's rate as a share of the peer's, round by round."""
        return [product.rate / peer.rate for product, peer in self.rounds]

    @property
    def rates(self) -> tuple[float, float]:
        """Medians of both sides' rates, per second."""
        return (
            median(product.rate for product, _ in self.rounds),
            median(peer.rate for _, peer in self.rounds),
        )

    def cpu_us(self, which: int) -> dict[str, float]:
        """Medians of the CPU time of each process of a side; empty where it is not known."""
        return _cpu_us([pair[which] for pair in self.rounds])[0]

    def as_json(self) -> dict[str, Any]:
        """Everything, for the report."""
        return {
            "ratio": round(median(self.ratios), 4),
            "ratio_min": round(min(self.ratios), 4),
            "ratio_max": round(max(self.ratios), 4),
            "unit": self.unit,
            "product": self._side(0, self.product),
            "peer": {**self._side(1, self.peer), "lacks": self.peer_lacks},
            "rounds": len(self.rounds),
            "stages_us": {name: round(us, 1) for name, us in self.stages_us.items()},
        }

    def _side(self, which: int, what: str) -> dict[str, Any]:
        turns = [pair[which] for pair in self.rounds]
        found: dict[str, Any] = {
            "what": what,
            "rate": round(median(turn.rate for turn in turns), 1),
            "rate_min": round(min(turn.rate for turn in turns), 1),
            "rates": [round(turn.rate, 1) for turn in turns],
            "turn_s_min": round(min(turn.seconds for turn in turns), 2),
        }
        found["cpu_us"], found["cpu_us_min"] = _cpu_us(turns)
        for name in ("p50_ms", "p99_ms", "published"):
            found |= _median(name, [getattr(turn, name) for turn in turns])
        for name in ("redis_input_bytes", "redis_memory_bytes"):
            found |= _median(name, [getattr(turn.spent, name) for turn in turns])
        if not which and self.fact_bytes is not None:
            found["fact_bytes"] = round(self.fact_bytes, 1)
        if which in self.paced_ms:
            found["p50_ms"], found["p99_ms"] = (round(ms, 1) for ms in self.paced_ms[which])
        return found


def _median(name: str, values: Iterable[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    return {name: round(median(known), 3)} if known else {}


def _cpu_us(turns: Iterable[Turn]) -> tuple[dict[str, float], dict[str, float]]:
    """Median and minimum of each process's CPU time per operation, and of their sum."""
    read = [dict(turn.spent.cpu_us) for turn in turns if turn.spent.cpu_us]
    for one in read:
        one[ALL] = sum(one.values())
    names = [name for name in (read[0] if read else ()) if all(name in one for one in read)]
    return (
        {name: round(median(one[name] for one in read), 1) for name in names},
        {name: round(min(one[name] for one in read), 1) for name in names},
    )


def machine() -> dict[str, Any]:
    """The machine and the date, for the report."""
    model = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        named = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    return {
        "cpus": os.cpu_count(),
        "model": model,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
        # Of other work, before any of ours: how many processes want a processor.
        "load": round(os.getloadavg()[0], 1),
    }


def beside(name: str, found: Mapping[str, Comparison]) -> dict[str, Any]:
    """A comparison as a part of another's: its ratio, and all of it; null if it was not measured."""
    one = found[name].as_json() if name in found else None
    return {f"vs_{name}": one and one["ratio"], name: one}


def comparisons(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every comparison of two sides in a report, with its name; those not measured are left out."""
    for part in ("decision", "pipeline", "audit"):
        one = found.get(part, {})
        if "ratio" in one:
            yield part, one
        for name, inner in one.items():
            if isinstance(inner, Mapping) and "ratio" in inner:
                yield f"{part}.{name}", inner


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print a table of the comparisons, one of the stages, and the single figures."""
    table = Table(title="medians over the rounds (minimum)")
    for column in ("", "rate", "p50 ms", "p99 ms", "CPU µs each"):
        table.add_column(column, justify="left" if not column else "right")
    for name, one in comparisons(found):
        for side in (one["product"], one["peer"]):
            table.add_row(
                side["what"],
                f"{side['rate']:,.0f} ({side['rate_min']:,.0f}) {one['unit']}",
                *(f"{side[key]:.1f}" if key in side else "" for key in ("p50_ms", "p99_ms")),
                ", ".join(
                    f"{process} {us:.0f} ({side['cpu_us_min'][process]:.0f})"
                    for process, us in side["cpu_us"].items()
                ),
            )
        table.add_row(
            f"[bold]{name}: ratio {one['ratio']:.2f}[/]",
            f"{one['ratio_min']:.2f} to {one['ratio_max']:.2f}",
            *("", "", _redis_bytes(one["product"])),
            end_section=True,
        )
    if table.row_count:
        console.print(table)
    for name, one in comparisons(found):
        if one["stages_us"]:
            _show_stages(name, one["stages_us"], console)
    _show_single(found, console)


def _redis_bytes(side: Mapping[str, Any]) -> str:
    """Bytes into Redis and in it, where they were measured."""
    if "redis_input_bytes" not in side:
        return ""
    return f"Redis: {side['redis_input_bytes']:,.0f} B in, {side['redis_memory_bytes']:,.0f} B kept"


def _show_stages(name: str, stages_us: Mapping[str, float], console: Console) -> None:
    stages = Table(title=f"{name}: CPU µs each")
    stages.add_column("")
    stages.add_column("µs", justify="right")
    for stage, us in stages_us.items():
        stages.add_row(stage, f"{us:.0f}")
    console.print(stages)


def _show_single(found: Mapping[str, Any], console: Console) -> None:
    growth = found.get("decision", {}).get("growth_p50_ms")
    if growth:
        console.print(
            "[bold]decision.growth:[/] p50 of",
            ", ".join(f"{ms:.2f} ms with {int(count):,} employees" for count, ms in growth.items()),
            f"→ {found['decision']['growth']:.2f}",
        )
    queue = found.get("queue")
    if queue:
        console.print(
            "[bold]queue.growth:[/] p50 of",
            ", ".join(
                f"{ms:.2f} ms with {int(count):,} complaints"
                for count, ms in queue["growth_p50_ms"].items()
            ),
            f"→ {queue['growth']:.2f}",
        )
    audit = found.get("audit")
    if audit:
        console.print(
            f"[bold]audit.verify:[/] {audit['verify_records']:,} records of an export,"
            f" {audit['verify_per_second']:,.0f} per second of one processor"
        )
        board = audit["to_board_ms"]
        console.print(f"[bold]audit.to_board:[/] p50 {board['p50']} ms, p99 {board['p99']} ms")
    told = found.get("acknowledge")
    if told:
        console.print(
            f"[bold]acknowledge:[/] p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms at {told['rate']} complaints/s;"
            f" {told['hops']} bare hops p50 {told['hops_p50_ms']} ms, p99 {told['hops_p99_ms']} ms"
            f" → {told['ratio_to_hops']:.2f} at p99"
        )
    rebuilt = found.get("rebuild")
    if rebuilt:
        console.print(
            f"[bold]rebuild:[/] {rebuilt['facts']:,} facts,"
            f" {rebuilt['facts_per_second']:,.0f} per second of one processor,"
            f" {rebuilt['facts_per_second_wall']:,.0f} per second in all"
        )
