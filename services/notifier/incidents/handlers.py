"""Tells an incident in the site's prepared words: to whom it affects by a letter, to everybody as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

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

#: The complaints of an incident were read by compensation before, so they come within moments. One that is missing
#: after this time became a dead letter; its customer has no letter about anything, and the others do not wait.
STORY_COMES_WITHIN = timedelta(minutes=1)
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

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._policies = Policies()

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
        """What everybody is shown; raises Rejected(unknown_site), Unavailable."""
        policy, _ = await self._policies.at(site, view)
        running = await view.range(SiteIncident, open_at(site), None, OPEN_MAX)
        over = await view.range(SiteIncident, closed_at(site), None, OVER_MAX)
        lately = [
            one
            for _, one in over.documents
            if one.closed_at is not None and one.closed_at > view.now - SHOWN_AFTER
        ]
        return Shown(policy, [*(one for _, one in reversed(running.documents)), *lately])

    async def _opened(self, fact: IncidentOpened, view: View) -> Decision:
        if not await self._has_words(fact.site, fact.reason, view):
            return Decision()
        facts: list[Fact] = []
        for complaint_id in fact.complaint_ids:
            facts += await self._told(complaint_id, fact.incident_id, fact.opened_at, view)
        return Decision(facts)

    async def _joined(self, fact: IncidentJoined, view: View) -> Decision:
        incident = await view.get(SiteIncident, fact.incident_id)
        if incident is None or not await self._has_words(fact.site, incident.reason, view):
            return Decision()
        return Decision(await self._told(fact.complaint_id, fact.incident_id, fact.joined_at, view))

    async def _told(
        self, complaint_id: str, incident_id: str, since: datetime, view: View
    ) -> Sequence[Fact]:
        """The letter to one customer; none if they cannot be written to. Raises Unavailable while the complaint is on its way."""
        story = await view.get(Story, complaint_id)
        if story is None:
            if view.now - since < STORY_COMES_WITHIN:
                raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
            log.error("incident_of_unknown_complaint", complaint_id=complaint_id)
            return ()
        about = About(Occasion.INCIDENT, about_incident(complaint_id, incident_id))
        return (await self._messages.to_customer(complaint_id, story, about, view)).facts

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
