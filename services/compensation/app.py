"""Builds compensation: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.compensation.adapters import codes_of
from services.compensation.api import api
from services.compensation.domain import FOLDS, postings
from services.compensation.handlers import Handlers
from services.compensation.settings import Settings
from services.compensation.stream import inboxes
from shared.contracts.decision import Domain
from shared.runtime.app import App, Parts, utc_now
from shared.runtime.keys import KEY_FOLDS, Keys
from shared.runtime.policy import POLICY_FOLDS
from shared.runtime.store import Store

DOMAIN = Domain("compensation", {**FOLDS, **KEY_FOLDS, **POLICY_FOLDS}, postings=postings)


def build(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, store: Store | None = None
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Parts(settings, DOMAIN, now=now, store=store)
    codes = codes_of(parts.vault)
    handlers = Handlers(Keys(parts.vault), codes)
    return App(
        parts,
        inboxes=inboxes(),
        api=api(parts.face, handlers, parts.settler, codes),
        rings={},
    )
