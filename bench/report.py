"""The measurements and their report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Turn:
    """One side measured once; latencies in milliseconds, if measured."""

    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    published: float | None = None


@dataclass
class Comparison:
    """Two sides, measured in turn."""

    name: str
    product: str
    peer: str
    unit: str
    rounds: list[tuple[Turn, Turn]] = field(default_factory=list)
    #: p50 and p99 of product and peer at a rate at which nothing queues.
    paced_ms: dict[int, tuple[float, float]] = field(default_factory=dict)
    #: Stage → microseconds per unit of work.
    stages_us: Mapping[str, float] = field(default_factory=dict)

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

    def as_json(self) -> dict[str, Any]:
        """Everything, for the report."""
        return {
            "ratio": round(median(self.ratios), 4),
            "ratio_min": round(min(self.ratios), 4),
            "ratio_max": round(max(self.ratios), 4),
            "unit": self.unit,
            "product": self._side(0, self.product),
            "peer": self._side(1, self.peer),
            "rounds": len(self.rounds),
            "stages_us": {name: round(us, 1) for name, us in self.stages_us.items()},
        }

    def _side(self, which: int, what: str) -> dict[str, Any]:
        turns = [pair[which] for pair in self.rounds]
        found: dict[str, Any] = {
            "what": what,
            "rate": round(median(turn.rate for turn in turns), 1),
            "rates": [round(turn.rate, 1) for turn in turns],
        }
        for name in ("p50_ms", "p99_ms", "published"):
            values = [value for turn in turns if (value := getattr(turn, name)) is not None]
            if values:
                found[name] = round(median(values), 3)
        if which in self.paced_ms:
            found["p50_ms"], found["p99_ms"] = (round(ms, 1) for ms in self.paced_ms[which])
        return found


def beside_postgres(found: Mapping[str, Comparison]) -> dict[str, Any]:
    """The comparisons with PostgreSQL as parts of the decision's; null if there was none."""
    shown: dict[str, Any] = {}
    for name in ("hot", "sites"):
        one = found[name].as_json() if name in found else None
        shown[f"vs_postgres_{name}"] = one and one["ratio"]
        shown[f"postgres_{name}"] = one
    return shown


def _comparisons(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every comparison of two sides, with its name."""
    decision = found.get("decision", {})
    if "ratio" in decision:
        yield "decision", decision
    for name in ("hot", "sites"):
        if decision.get(f"postgres_{name}"):
            yield f"decision.vs_postgres_{name}", decision[f"postgres_{name}"]
    if "pipeline" in found:
        yield "pipeline", found["pipeline"]


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print a table of the comparisons, one of the stages, and the single figures."""
    table = Table(title="medians over the rounds")
    for column in ("", "rate", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if not column else "right")
    for name, one in _comparisons(found):
        for side in ("product", "peer"):
            table.add_row(
                one[side]["what"],
                f"{one[side]['rate']:,.0f} {one['unit']}",
                *(
                    f"{one[side][key]:.1f}" if key in one[side] else ""
                    for key in ("p50_ms", "p99_ms")
                ),
            )
        table.add_row(
            f"[bold]{name}: ratio {one['ratio']:.2f}[/]",
            f"{one['ratio_min']:.2f} to {one['ratio_max']:.2f}",
            end_section=True,
        )
    if table.row_count:
        console.print(table)
    for name, one in _comparisons(found):
        if not one["stages_us"]:
            continue
        stages = Table(title=f"{name}: where the time goes, µs each")
        stages.add_column("")
        stages.add_column("µs", justify="right")
        for stage, us in one["stages_us"].items():
            stages.add_row(stage, f"{us:.0f}")
        console.print(stages)
    growth = found.get("decision", {}).get("growth_p50_ms")
    if growth:
        console.print(
            "[bold]decision.growth:[/] p50 of",
            ", ".join(f"{ms:.2f} ms with {int(count):,} employees" for count, ms in growth.items()),
            f"→ {found['decision']['growth']:.2f}",
        )
    rebuilt = found.get("rebuild")
    if rebuilt:
        console.print(
            f"[bold]rebuild:[/] {rebuilt['facts']:,} facts,"
            f" {rebuilt['facts_per_second']:,.0f} per second of one processor,"
            f" {rebuilt['facts_per_second_wall']:,.0f} per second in all"
        )
