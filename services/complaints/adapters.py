"""The ports of complaints: the triage rules, and a look at how far others' facts are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from aiokafka.errors import KafkaError

from services.complaints.triage import Languages, triage
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.notifier import FeedbackReceived
from shared.contracts.reasons import Reason
from shared.runtime.faults import Unavailable
from shared.runtime.settle import Settler
from shared.runtime.watch import settled_to_the_end

#: Where it stands that a customer heard from us.
TOPICS = (CheckIssued.TOPIC, FeedbackReceived.TOPIC)
#: How long a broken promise waits before its news is looked for again.
LOOK_AGAIN_S = 5


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
    """`News` by the ends of the topics and our fences; one look serves all who asked before it."""

    def __init__(self, settler: Settler, bootstrap: str, now: Callable[[], datetime]) -> None:
        self._settler = settler
        self._bootstrap = bootstrap
        self._now = now
        self._looking = asyncio.Lock()
        self._until: datetime | None = None

    async def read_until(self, moment: datetime) -> None:
        """See News."""
        async with self._looking:
            if self._until is not None and moment <= self._until:
                return
            asked = self._now()
            try:
                settled = await settled_to_the_end(self._bootstrap, TOPICS, self._settler.applied)
            except (KafkaError, OSError):
                settled = False
            if not settled or moment > asked:
                raise Unavailable(Reason.STREAM_BEHIND, retry_after_s=LOOK_AGAIN_S)
            self._until = asked
