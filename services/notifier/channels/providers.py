"""The providers that the notifier has: which is taken, and how it fares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from services.notifier.channels.breaker import Breaker, chosen, fared
from services.notifier.channels.ports import Channel, Letter
from shared.contracts.intake import MessageChannel
from shared.contracts.policy import Notify
from shared.runtime.engine.effects import Outcome
from shared.runtime.observe import log


class Providers:
    """All providers, with a breaker each.

    Breakers are this process's own, one per provider of the operator's file, so that they are bounded;
    they are lost with the process, which costs a few refused attempts.
    """

    def __init__(self, channels: Sequence[Channel], now: Callable[[], datetime]) -> None:
        self._channels: Mapping[str, Channel] = {one.name: one for one in channels}
        self._breakers = dict.fromkeys(self._channels, Breaker())
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
        if after.open_until is not None and before.open_until is None:
            log.warning("provider_left_alone", provider=letter.provider)
        return outcome
