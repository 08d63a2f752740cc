"""Tells an incident in the site's prepared words: to whom it affects by a letter, to everybody as data."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from aiokafka.errors import KafkaError

from services.notifier.incidents.rules import (
    SiteIncident,
    about_incident,
    closed_at,
    open_at,
)
from services.notifier.messages.handlers import About, Messages, keys_of
from services.notifier.subjects.rules import Story
from shared.contracts.compensation import IncidentJoined, IncidentOpened
from shared.contracts.event import Event
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Unavailable
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.observe import log
from shared.runtime.policies import Policies, PolicyHead

#: Complaints that were logged as missing and are not logged again, because an input is decided about more than once.
LOGGED_MAX = 1000
#: Incidents in one answer at most: one open per category, and the last that are over.
OPEN_MAX, OVER_MAX = 50, 10
#: How long one that is over is shown, so that whoever looks again sees that it is.
SHOWN_AFTER = timedelta(days=1)


class Shown(NamedTuple):
    """What everybody is shown of a site: its policy, and its incidents, open ones first, each the newest first."""

    policy: Policy
    incidents: Sequence[SiteIncident]


class Voice:
    """The incidents of all sites."""

    def __init__(
        self,
        messages: Messages,
        view: Callable[[], View],
        complaints_read: Callable[[], Awaitable[bool]],
    ) -> None:
        """`complaints_read` says whether all that is on the topic of complaints now is settled here."""
        self._messages = messages
        self._view = view
        self._complaints_read = complaints_read
        self._policies = Policies()
        self._logged = deque[str](maxlen=LOGGED_MAX)

    def on_opened(self, event: Event[IncidentOpened]) -> Prepared:
        """Queue a letter to each customer whom the incident affects, where the site has words for it."""
        fact = event.data
        decide = partial(self._opened, fact)
        return Prepared(decide, _reads(fact.complaint_ids, fact.incident_id))

    def on_joined(self, event: Event[IncidentJoined]) -> Prepared:
        """The same to one more customer."""
        fact = event.data
        reads = _reads([fact.complaint_id], fact.incident_id)
        return Prepared(partial(self._joined, fact), [SiteIncident.key(fact.incident_id), *reads])

    async def shown(self, site: str, view: View) -> Shown:
        """What everybody is shown: incidents that the site has words for; raises Rejected(unknown_site), Unavailable.

        The bare category, such as safety, would worry a room and tell it nothing.
        """
        policy, _ = await self._policies.at(site, view)
        prepared = policy.incidents.words if policy.incidents is not None else {}
        running = await view.range(SiteIncident, open_at(site), None, OPEN_MAX)
        over = await view.range(SiteIncident, closed_at(site), None, OVER_MAX)
        lately = [
            one
            for _, one in over.documents
            if one.closed_at is not None and one.closed_at > view.now - SHOWN_AFTER
        ]
        newest_first = [*(one for _, one in reversed(running.documents)), *lately]
        return Shown(policy, [one for one in newest_first if one.reason in prepared])

    async def _opened(self, fact: IncidentOpened, view: View) -> Decision:
        if not await self._has_words(fact.site, fact.reason, view):
            return Decision()
        return await self._told(fact.complaint_ids, fact.incident_id, view)

    async def _joined(self, fact: IncidentJoined, view: View) -> Decision:
        incident = await view.get(SiteIncident, fact.incident_id)
        if incident is None or not await self._has_words(fact.site, incident.reason, view):
            return Decision()
        return await self._told([fact.complaint_id], fact.incident_id, view)

    async def _told(self, complaint_ids: Sequence[str], incident_id: str, view: View) -> Decision:
        """The letters to customers; none to whom cannot be written to. Raises Unavailable while a complaint is on its way."""
        stories = {one: await view.get(Story, one) for one in complaint_ids}
        missing = [one for one, story in stories.items() if story is None]
        if missing:
            await self._never_come(missing)
        facts: list[Fact] = []
        for complaint_id, story in stories.items():
            if story is not None:
                about = About(Occasion.INCIDENT, about_incident(complaint_id, incident_id))
                facts += (await self._messages.to_customer(complaint_id, story, about, view)).facts
        return Decision(facts)

    async def _never_come(self, missing: Sequence[str]) -> None:
        """Log complaints that do not come; raises Unavailable while they may.

        Compensation read them before it named them, so they are on their topic: once that is read to its end, one
        that is missing was refused here, or is older than the topic keeps. The others do not wait for it.
        """
        try:
            read = await self._complaints_read()
        except (KafkaError, OSError):
            read = False
        # One may have come between the first look and the end of its topic.
        now = self._view()
        if not read or any([await now.get(Story, one) is not None for one in missing]):
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        for complaint_id in missing:
            if complaint_id not in self._logged:
                self._logged.append(complaint_id)
                log.error("incident_of_unknown_complaint", complaint_id=complaint_id)

    async def _has_words(self, site: str, reason: str, view: View) -> bool:
        """Whether the site's policy has words for incidents of a category; not while it has not come."""
        if await view.get(PolicyHead, site) is None:
            return False
        policy, _ = await self._policies.at(site, view)
        return policy.incidents is not None and reason in policy.incidents.words


def _reads(complaint_ids: Sequence[str], incident_id: str) -> list[str]:
    keys = [Story.key(one) for one in complaint_ids]
    for one in complaint_ids:
        keys += keys_of(About(Occasion.INCIDENT, about_incident(one, incident_id)))
    return keys
