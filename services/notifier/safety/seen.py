"""Those who must know of a safety concern say that they saw it, and their colleagues see who was told and who said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.notifier.messages.rules import Message
from services.notifier.safety.handlers import Alarms
from services.notifier.safety.rules import Routed, alarms_of, messages_to, seen
from services.notifier.wording.blocks import Outline
from services.notifier.wording.wording import Wording
from shared.contracts.complaints import Language
from shared.contracts.notifier import Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import Cursor
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies
from shared.runtime.privacy.links import Tokens
from shared.runtime.roster import employed, of_site
from shared.runtime.words import format_time


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page behind a letter's link shows; `seen_at` is empty until somebody said that they saw it."""

    language: Language
    site_name: str
    letter: Outline
    seen_at: str


class Listed(NamedTuple):
    """A complaint about somebody's safety, who was told, and the messages to them in the order of their queueing."""

    complaint_id: str
    routed: Routed
    messages: Sequence[tuple[str, Message]]


class Seen:
    """Takes what those who must know say, and shows it."""

    def __init__(self, tokens: Tokens, alarms: Alarms, wording: Wording) -> None:
        self._tokens = tokens
        self._alarms = alarms
        self._wording = wording
        self._policies = Policies()

    def read(self, token: str) -> tuple[str, str]:
        """Complaint and mailbox of a link's token; raises Rejected(link_invalid)."""
        claims = self._tokens.read(token)
        return claims["complaint"], claims["mailbox"]

    async def language_of(self, token: str, view: View) -> Language | None:
        """The first language of the link's site, also of an expired link; None if it is not ours. Raises Unavailable."""
        routed = await view.get(Routed, self._tokens.told(token).get("complaint", ""))
        if routed is None or routed.site is None:
            return None
        policy, _ = await self._policies.at(routed.site, view)
        return policy.languages[0]

    async def shown(self, complaint_id: str, view: View) -> Shown:
        """What a link's page shows; raises Rejected(link_invalid, unknown_site), Unavailable."""
        routed = await view.require(Routed, complaint_id, Reason.LINK_INVALID)
        if routed.site is None or routed.routed_at is None:
            raise Rejected(Reason.LINK_INVALID)
        policy, _ = await self._policies.at(routed.site, view)
        language = policy.languages[0]
        told = await self._alarms.told(complaint_id, routed.routed_at, policy, language, view)
        values = {**told, "seen_url": "", "again": ""}
        return Shown(
            language=language,
            site_name=policy.site_name,
            letter=self._wording.outline(Occasion.SAFETY, language, values),
            seen_at=format_time(routed.seen_at, policy.timezone, language, view.now)
            if routed.seen_at is not None
            else "",
        )

    async def by_link(self, complaint_id: str, mailbox: str, view: View) -> Decision:
        """Whoever reads a mailbox says that they saw it; raises Rejected(link_invalid), Unavailable."""
        routed = await view.require(Routed, complaint_id, Reason.LINK_INVALID)
        if routed.site is None:
            raise Rejected(Reason.LINK_INVALID)
        return Decision.of(seen(complaint_id, routed.site, view.now, mailbox=mailbox))

    async def by_employee(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """An employee says that they saw it; raises Rejected(unknown_employee, unknown_complaint), Unavailable."""
        await employed(who, view)
        await view.require(Routed, complaint_id, Reason.UNKNOWN_COMPLAINT, site=who.site)
        return Decision.of(seen(complaint_id, who.site, view.now, employee_id=who.subject))

    async def listed(
        self, who: Principal, after: Cursor | None, limit: int, view: View
    ) -> tuple[Sequence[Listed], Cursor | None]:
        """Who was told of the site's safety concerns, the newest first, and where the next page begins.

        Raises Rejected(unknown_employee), Unavailable.
        """
        await of_site(who, view)
        page = await view.range(Routed, alarms_of(who.site), after, limit)
        names = {
            complaint_id: [
                name for mailbox in one.mailboxes for name in messages_to(complaint_id, mailbox)
            ]
            for complaint_id, one in page.documents
        }
        await view.prefetch([Message.key(name) for of in names.values() for name in of])
        found = []
        for complaint_id, routed in page.documents:
            messages = [(name, await view.get(Message, name)) for name in names[complaint_id]]
            known = [(name, one) for name, one in messages if one is not None]
            known.sort(key=lambda named: (named[1].queued_at, named[1].mailbox or ""))
            found.append(Listed(complaint_id, routed, known))
        return found, page.next
