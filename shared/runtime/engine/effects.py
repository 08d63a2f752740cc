"""Effects outside: take in hand (a commit), do it, record its fate (another commit).

A timer, which the effect's facts move, starts it. A process that dies before the first commit leaves the
effect as it was. One that dies before the second leaves an attempt with an unknown fate: its timer fires
in another process, which uses the same id with the provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler, timer_cause
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.tracing import OUTCOME, Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider accepted it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Its fate is unknown: the provider fell silent after it was sent. `said` is as in Later."""

    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Later:
    """It was not accepted; try again, after `after` at the soonest.

    `said` is why, for the log: the status that the provider answered, or the class of an error. Decisions do not
    depend on it.
    """

    reason: Reason
    after: timedelta = timedelta(0)
    said: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Never:
    """It was not accepted and never will be."""

    reason: Reason


Outcome = Delivered | Unknown | Later | Never


class Effect(Protocol, Generic[T]):
    """One kind of effect; `T` is one of them, ready to be done."""

    async def prepare(self, effect_id: str, view: View) -> T:
        """What is to be done.

        Raises Rejected if it never can be done, and Unavailable while a part of it has not come.
        """
        ...

    async def take(self, effect_id: str, ready: T, view: View) -> Decision:
        """Take it in hand; no facts if another process has it or its fate is known."""
        ...

    def number(self, facts: Sequence[Fact]) -> int | None:
        """The number of the attempt that the facts of `take` began; None if they began none."""
        ...

    async def do(self, ready: T) -> Outcome:
        """Do it, once. Waits for the provider, up to a time limit of its own."""
        ...

    async def record(
        self, effect_id: str, number: int | None, outcome: Outcome, view: View
    ) -> Decision:
        """The fate of an attempt; without a number, of an effect that could not be prepared."""
        ...

    def committed(self, facts: Sequence[Fact]) -> None:
        """Count the facts of `take` or `record` in metrics."""
        ...


class Effects:
    """Runs effects when their timers fire."""

    def __init__(self, settler: Settler, crash: Callable[[str], None]) -> None:
        self._settler = settler
        self._crash = crash

    def on_timer(self, name: str, effect: Effect[T]) -> Callable[[str, int], Awaitable[None]]:
        """A function that runs an effect of this kind when its timer of this name fires."""
        return partial(self.run, name, effect)

    async def run(self, name: str, effect: Effect[T], effect_id: str, due_ms: int) -> None:
        """Run one effect until its fate is recorded, or another process has it.

        Raises Unavailable while the store is away or a part of the effect has not come. An absent
        provider is an outcome and not an error.
        """
        cause = timer_cause(name, effect_id, due_ms)
        with await self._settler.steps.timer_fired(name, effect_id) as fired:
            commit = partial(self._commit, effect, effect_id, fired.traceparent)
            try:
                ready = await effect.prepare(effect_id, self._settler.view())
            except Rejected as rejected:
                fate = partial(effect.record, effect_id, None, Never(rejected.reason))
                await commit(f"{cause}/unwritten", fate)
                return
            facts = await commit(cause, partial(effect.take, effect_id, ready))
            number = effect.number(facts)
            if number is None:
                return
            self._crash("taken")
            with self._settler.tracer.span(f"do {name}", Kind.CLIENT, fired.traceparent) as step:
                outcome = await effect.do(ready)
                step.set(OUTCOME, getattr(outcome, "reason", type(outcome).__name__.lower()))
            self._crash("effected")
            fate = partial(effect.record, effect_id, number, outcome)
            await commit(f"{cause}/{number}", fate)

    async def _commit(
        self,
        effect: Effect[T],
        effect_id: str,
        trace: str | None,
        cause: str,
        decide: Callable[[View], Awaitable[Decision]],
    ) -> Sequence[Fact]:
        """Commit; only facts move the timer, so without a fact another process has moved it."""
        facts = await self._settler.settle_internal(cause, effect_id, decide, trace=trace)
        effect.committed(facts)
        return facts
