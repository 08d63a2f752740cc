"""The providers that the notifier has: which is taken, and when one is left alone (pure rules first)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.channels.ports import Channel, Letter
from shared.contracts.intake import MessageChannel
from shared.contracts.policy import Notify
from shared.runtime.engine.effects import Delivered, Later, Never, Outcome, Unknown
from shared.runtime.observe import PROVIDER_OPEN, log

#: Failures in a row after which a provider is left alone: one is bad luck, five are an outage.
FAILURES_MAX = 5
#: How long it is left alone; the next message after that tries it again.
PAUSE = timedelta(seconds=30)


class Breaker(NamedTuple):
    """What a process remembers of a provider: failures in a row, and until when it is left alone."""

    failures: int = 0
    open_until: datetime | None = None

    def closed(self, now: datetime) -> bool:
        """Whether the provider may be asked."""
        return self.open_until is None or self.open_until <= now


def fared(breaker: Breaker, outcome: Outcome, now: datetime) -> Breaker:
    """The breaker after one more letter; any clear answer about the letter closes it."""
    if isinstance(outcome, Delivered | Never):
        return Breaker()
    failures = min(breaker.failures + 1, FAILURES_MAX)
    return Breaker(failures, now + PAUSE if failures == FAILURES_MAX else None)


def chosen(
    order: Sequence[str], attempts: int, closed: Collection[str], unknown: str | None = None
) -> str | None:
    """The provider of the next attempt; None if there is none.

    Each attempt that failed moves on to the next of the order, and providers that are left alone are
    passed over while another is not. After an attempt of unknown fate it is that provider again,
    `unknown`, because no other one recognises the repeat.
    """
    if unknown in order:
        return unknown
    if not order:
        return None
    first = attempts % len(order)
    turned = [*order[first:], *order[:first]]
    return next((name for name in turned if name in closed), turned[0])


class Providers:
    """All providers, with a breaker each.

    Breakers are this process's own, one per provider of the operator's file, so that they are bounded;
    they are lost with the process, which costs a few refused attempts.
    """

    def __init__(self, channels: Sequence[Channel], now: Callable[[], datetime]) -> None:
        self._channels: Mapping[str, Channel] = {one.name: one for one in channels}
        self._breakers = dict.fromkeys(self._channels, Breaker())
        for name in self._channels:
            PROVIDER_OPEN.labels(name).set(0)
        self._now = now

    def choose(
        self, channel: MessageChannel, policy: Notify, attempts: int, unknown: str | None
    ) -> str | None:
        """The provider of a message's next attempt, see `chosen`; None if the channel has none."""
        ours = [name for name, one in self._channels.items() if one.channel is channel]
        named = policy.providers.get(channel)
        order = ours if named is None else [name for name in named if name in ours]
        now = self._now()
        closed = [name for name in order if self._breakers[name].closed(now)]
        return chosen(order, attempts, closed, unknown)

    async def send(self, letter: Letter) -> Outcome:
        """Hand a letter to the provider it names, see `Channel.send`."""
        outcome = await self._channels[letter.provider].send(letter)
        before = self._breakers[letter.provider]
        after = self._breakers[letter.provider] = fared(before, outcome, self._now())
        opened, was_open = after.open_until is not None, before.open_until is not None
        if opened and not was_open:
            said = outcome.said if isinstance(outcome, Later | Unknown) else ""
            log.warning("provider_left_alone", provider=letter.provider, said=said)
        if was_open and not opened:
            log.warning("provider_works_again", provider=letter.provider)
        PROVIDER_OPEN.labels(letter.provider).set(opened)
        return outcome

    async def close(self) -> None:
        """End what is open towards all of them, see `Channel.close`."""
        await asyncio.gather(*(one.close() for one in self._channels.values()))
