"""The Kafka face of audit: every fact of every owner goes on the record."""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.chain.handlers import Chains
from shared.contracts.catalogue import AUDIT, subscriptions
from shared.runtime.kafka.inbox import Handler, Inbox, Unread, deciding


def inboxes(chains: Chains) -> Sequence[Inbox]:
    """Everything audit consumes: what the catalogue gives it, also where a type is not known yet."""
    recorded = deciding(chains.recorded)
    return [
        Inbox(
            topic,
            [Handler(fact, recorded) for fact in facts],
            otherwise=Handler(Unread, recorded),
            gapless=True,
        )
        for topic, facts in subscriptions(AUDIT).items()
    ]
