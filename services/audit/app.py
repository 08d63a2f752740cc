"""Builds audit: lists its slices, and is the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial

from services.audit.board import api as board_api
from services.audit.board import rules as board_rules
from services.audit.board.handlers import Boards
from services.audit.chain import api as chain_api
from services.audit.chain import rules as chain_rules
from services.audit.chain.handlers import Chains
from services.audit.chain.signer import Signer
from services.audit.looks import api as looks_api
from services.audit.looks import rules as looks_rules
from services.audit.measures import api as measures_api
from services.audit.measures import rules as measures_rules
from services.audit.measures.handlers import Measured, Observed
from services.audit.settings import Settings
from services.audit.signals import api as signals_api
from services.audit.signals import rules as signals_rules
from services.audit.signals.api import PersonSeen
from services.audit.signals.handlers import Signals
from services.audit.stream import inboxes
from services.audit.stretches import api as stretches_api
from services.audit.stretches import rules as stretches_rules
from services.audit.stretches.handlers import Stretches
from shared.audit.keys import derived_key, read_key
from shared.contracts.audit import FactRecorded
from shared.contracts.catalogue import AUDIT, subscriptions
from shared.kernel import Domain, Slice
from shared.runtime.engine.store import Store
from shared.runtime.http.answers import shown_by
from shared.runtime.kafka.watch import has_partitions_of
from shared.runtime.policies import POLICY_FOLDS, Policies, PolicyHead
from shared.runtime.service import App, Runtime, utc_now

#: Pseudonyms of employees kept in memory: those of a large company at work. A check names its giver up to five times.
REMEMBERED_MAX = 10_000
DOMAIN = Domain.of(
    "audit",
    chain_rules.SLICE,
    looks_rules.SLICE,
    measures_rules.SLICE,
    board_rules.SLICE,
    signals_rules.SLICE,
    stretches_rules.SLICE,
    Slice(POLICY_FOLDS, indexes={PolicyHead: lambda _: {measures_rules.SITES: 0}}),
    shown=shown_by(PersonSeen),
    leaves_traces=True,
)


def build(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, store: Store | None = None
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Runtime(settings, DOMAIN, now=now, store=store)
    signing = settings.signing_key
    key = read_key(signing) if signing else derived_key(parts.vault.derive)
    pseudonym = lru_cache(REMEMBERED_MAX)(parts.vault.pseudonyms.employee)
    chains = Chains(parts.settler, pseudonym, Signer(key))
    policies = Policies()
    measured = Measured(policies)
    signals = Signals(parts.settler, chains, pseudonym)
    return App(
        parts,
        inboxes=inboxes(chains, signals),
        api=parts.face.api(
            "audit",
            "Every fact is on one record, in chains that cannot be changed unnoticed.",
            chain_api.routes(parts.face, chains),
            looks_api.routes(parts.face, pseudonym),
            measures_api.routes(parts.face, measured),
            board_api.routes(parts.face, Boards(measured, policies)),
            signals_api.routes(parts.face, signals),
            stretches_api.routes(parts.face, Stretches(measured)),
        ),
        on_timer={
            chain_rules.SIGN: parts.settler.on_timer(chain_rules.SIGN, chains.due),
            signals_rules.LOOK: parts.settler.on_timer(signals_rules.LOOK, signals.look),
        },
        may_stream=partial(
            has_partitions_of,
            settings.broker,
            FactRecorded.TOPIC,
            tuple(subscriptions(AUDIT)),
        ),
        on_scrape=Observed(parts.settler, measured),
    )
