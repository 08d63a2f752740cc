"""How far this service has read what others published: needed before a promise is called broken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from aiokafka.errors import KafkaError

from shared.contracts.compensation import CheckIssued
from shared.contracts.notifier import FeedbackReceived
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable

#: The topics with the facts that keep a promise.
TOPICS = (CheckIssued.TOPIC, FeedbackReceived.TOPIC)
#: Pause before the topics of a broken promise are looked at again.
LOOK_AGAIN_S = 5
#: A look is shared by all callers within this time.
LOOKED_LATELY = timedelta(seconds=LOOK_AGAIN_S / 2)
#: Two looks further apart do not show that the broker answered all the time between them.
UNBROKEN = timedelta(seconds=4 * LOOK_AGAIN_S)
#: Once the broker answers, facts are on their topic within this time, also from a full outbox.
NEWS_COMES_WITHIN = timedelta(seconds=30)


class News(Protocol):
    """Knows how far this service has read what others published."""

    async def read_until(self, moment: datetime) -> None:
        """Return if all facts that other services published until `moment` are settled here; asks the broker.

        Raises Unavailable(stream_behind) while they are not, or while the broker does not answer.
        """
        ...


class BrokerNews:
    """`News` by polling whether the streams are at the ends of their topics.

    Checks given while Kafka was away are published once it is back. So a look counts only after the
    broker has answered for a while.
    """

    def __init__(self, settled: Callable[[], Awaitable[bool]], now: Callable[[], datetime]) -> None:
        self._settled = settled
        self._now = now
        self._looking = asyncio.Lock()
        #: Begin and end of the latest period in which the broker always answered.
        self._answers: tuple[datetime, datetime] | None = None
        self._until: datetime | None = None

    async def read_until(self, moment: datetime) -> None:
        """See News."""
        async with self._looking:
            if self._until is None or moment > self._until:
                await self._look()
            if self._until is None or moment > self._until:
                raise Unavailable(Reason.STREAM_BEHIND, retry_after_s=LOOK_AGAIN_S)

    async def _look(self) -> None:
        """Ask the broker, unless a look is recent enough."""
        asked = self._now()
        if self._answers is not None and asked - self._answers[1] < LOOKED_LATELY:
            return
        try:
            settled = await self._settled()
        except (KafkaError, OSError):
            self._answers = None
            return
        if self._answers is None or asked - self._answers[1] > UNBROKEN:
            self._answers = (asked, asked)
        self._answers = (self._answers[0], asked)
        if settled and asked - self._answers[0] >= NEWS_COMES_WITHIN:
            self._until = asked - NEWS_COMES_WITHIN
