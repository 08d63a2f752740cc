"""The ports of complaints: the triage rules, and a look at how far others' facts are read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from aiokafka.errors import KafkaError

from services.complaints.triage import Languages, triage
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.notifier import FeedbackReceived
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable

#: Where it stands that a customer heard from us.
TOPICS = (CheckIssued.TOPIC, FeedbackReceived.TOPIC)
#: How long a broken promise waits before its news is looked for again.
LOOK_AGAIN_S = 5
#: One look serves all that ask so soon after it.
LOOKED_LATELY = timedelta(seconds=LOOK_AGAIN_S / 2)
#: Looks further apart say nothing of the time between them.
UNBROKEN = timedelta(seconds=4 * LOOK_AGAIN_S)
#: While a broker is there, what was given is on its topic sooner; an outbox that filled is emptied.
NEWS_COMES_WITHIN = timedelta(seconds=30)


class RulesReader:
    """Reads by keyword rules: simple, fast, and the same every time."""

    def __init__(self) -> None:
        self._languages = Languages()

    def language(self, text: str, hint: str | None) -> Language:
        """The customer's language: a valid hint wins."""
        return self._languages.detect(text, hint)

    def understand(
        self, text: str, language: Language
    ) -> tuple[Category, Severity, bool, Service | None]:
        """What the rules find."""
        found = triage(text, language)
        return found.category, found.severity, found.safety, found.service


class BrokerNews:
    """`News` by looking again and again whether the streams are at the ends of their topics.

    What was given while Kafka was away is published once it is back. So a look counts only after the
    broker answered for a while.
    """

    def __init__(self, settled: Callable[[], Awaitable[bool]], now: Callable[[], datetime]) -> None:
        self._settled = settled
        self._now = now
        self._looking = asyncio.Lock()
        #: When the broker answered first and last without a break.
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
        """Ask the broker, unless somebody did a moment ago."""
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
