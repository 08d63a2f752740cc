"""What providers report later: a message was delivered, or could not be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from services.notifier.channels.bounces import Relay, bounce_of
from services.notifier.channels.ports import MAIL_SERVER
from services.notifier.channels.wires import Posted, Report
from services.notifier.messages.rules import Message, bounced, delivered
from services.notifier.messages.sending import Sending
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.mail.mailbox import Folder, RawMail
from shared.runtime.mail.reader import Fate


class Reporter(Protocol):
    """Reads the reports of one provider."""

    def report(self, posted: Posted, now: datetime) -> Report:
        """What a report says; raises Rejected(unauthenticated, schema_invalid)."""
        ...


class Reports:
    """Records what providers report; a repeat changes nothing, and so does the report of an unknown message."""

    def __init__(
        self,
        settler: Settler,
        reporters: Mapping[str, Reporter],
        sending: Sending,
    ) -> None:
        self._settler = settler
        self._reporters = reporters
        self._sending = sending

    async def hear(self, provider: str, posted: Posted) -> None:
        """Record a report; waits for the store.

        Raises Rejected(unknown_provider, unauthenticated, schema_invalid), Unavailable.
        """
        reporter = self._reporters.get(provider)
        if reporter is None:
            raise Rejected(Reason.UNKNOWN_PROVIDER)
        report = reporter.report(posted, self._settler.view().now)
        # A relay returns what the mail server was given.
        await self._record(MAIL_SERVER if isinstance(reporter, Relay) else provider, report)

    async def take(self, _account_id: str, mail: RawMail) -> Fate:
        """Record what a mail in the mailbox for returned mail says; waits for the store, raises Unavailable."""
        try:
            report = await asyncio.to_thread(bounce_of, mail.content)
        except Rejected:
            return Fate(Folder.REFUSED, "unreadable")
        await self._record(MAIL_SERVER, report)
        return Fate(Folder.TAKEN, "report")

    async def _record(self, of: str, report: Report) -> None:
        if report.delivered is None:
            return
        fate = "delivered" if report.delivered else "bounced"
        cause = f"receipt/{of}/{report.message_id}/{fate}"
        decide = partial(self._decide, of, report)
        facts = await self._settler.settle_internal(cause, report.message_id, decide)
        self._sending.committed(facts)

    async def _decide(self, provider: str, report: Report, view: View) -> Decision:
        message = await view.get(Message, report.message_id)
        if message is None:
            return Decision()
        if report.delivered:
            decision = delivered(message, report.message_id, provider, view.now)
        else:
            channels = await self._sending.channels(message, view)
            decision = bounced(message, report.message_id, provider, channels, view.now)
        return await self._sending.whole(message, decision, view)
