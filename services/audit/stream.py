"""The Kafka face of audit: every fact of every owner goes on the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.audit.chain.handlers import Chains
from services.audit.signals.handlers import Signals
from services.audit.signals.rules import given_key
from shared.contracts.catalogue import AUDIT, subscriptions
from shared.contracts.compensation import CheckIssued, RedemptionReserved
from shared.contracts.event import Event
from shared.kernel import Fact
from shared.runtime.kafka.inbox import Handler, Inbox, Prepared, Unread, deciding


def inboxes(chains: Chains, signals: Signals) -> Sequence[Inbox]:
    """Everything audit consumes: what the catalogue gives it, also where a type is not known yet."""
    recorded = deciding(chains.recorded)
    # What is kept of a check is read ahead with the batch.
    prepare: Mapping[type[Fact], Callable[[Event[Any]], Prepared]] = {
        CheckIssued: deciding(chains.recorded, given_key),
        RedemptionReserved: deciding(signals.reserved, given_key),
    }
    return [
        Inbox(
            topic,
            [Handler(fact, prepare.get(fact, recorded)) for fact in facts],
            otherwise=Handler(Unread, recorded),
            gapless=True,
        )
        for topic, facts in subscriptions(AUDIT).items()
    ]
