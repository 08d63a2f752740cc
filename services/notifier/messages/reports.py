"""What providers report later: a message was delivered, or could not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from services.notifier.channels.bounces import Relay
from services.notifier.channels.ports import MAIL_SERVER
from services.notifier.channels.wires import Posted, Report
from services.notifier.messages.rules import Message, bounced, delivered
from services.notifier.preferences.handlers import wanted_by
from shared.contracts.intake import MessageChannel
from shared.contracts.notifier import MessageBounced, MessageDelivered, MessageSent
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.observe import MESSAGES
from shared.runtime.policies import Policies


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
        of_mailbox: Callable[[str], Sequence[MessageChannel]],
    ) -> None:
        """`of_mailbox` says by which channels a role mailbox is told."""
        self._settler = settler
        self._of_mailbox = of_mailbox
        self._reporters = reporters
        self._policies = Policies()

    async def hear(self, provider: str, posted: Posted) -> None:
        """Record a report; waits for the store.

        Raises Rejected(unknown_provider, unauthenticated, schema_invalid), Unavailable.
        """
        reporter = self._reporters.get(provider)
        if reporter is None:
            raise Rejected(Reason.UNKNOWN_PROVIDER)
        report = reporter.report(posted, self._settler.view().now)
        if report.delivered is None:
            return
        # A relay returns what the mail server was given.
        of = MAIL_SERVER if isinstance(reporter, Relay) else provider
        fate = "delivered" if report.delivered else "bounced"
        cause = f"receipt/{of}/{report.message_id}/{fate}"
        decide = partial(self._decide, of, report)
        count(await self._settler.settle_internal(cause, report.message_id, decide))

    async def _decide(self, provider: str, report: Report, view: View) -> Decision:
        message = await view.get(Message, report.message_id)
        if message is None:
            return Decision()
        if report.delivered:
            return delivered(message, report.message_id, provider, view.now)
        policy, _ = await self._policies.at(message.site, view)
        channels = (await wanted_by(message.customer_ref, view)).channels(policy.notify.channels)
        if message.mailbox is not None:
            channels = self._of_mailbox(message.mailbox)
        return bounced(message, report.message_id, provider, channels, view.now)


def count(facts: Sequence[Fact]) -> None:
    """Count what was reported in the metric of messages; a fate that was not known before as well."""
    for fact in facts:
        if isinstance(fact, MessageSent | MessageDelivered | MessageBounced):
            goes_on = isinstance(fact, MessageBounced) and fact.next_channel is not None
            fate = "elsewhere" if goes_on else fact.TYPE.split(".")[2]
            MESSAGES.labels(fact.occasion, fate).inc()
