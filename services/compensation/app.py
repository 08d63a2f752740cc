"""Builds compensation: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from services.compensation.adapters import codes_of
from services.compensation.api import Desks, api
from services.compensation.domain import FOLDS, postings, timers
from services.compensation.domain.checks import EXPIRE, EXPLAIN
from services.compensation.domain.incidents import GIVE
from services.compensation.domain.offers import LAPSE
from services.compensation.domain.redemptions import HOLD
from services.compensation.domain.usage import TIMERS
from services.compensation.handlers.giving import Giving
from services.compensation.handlers.incidents import Incidents
from services.compensation.handlers.life import Life
from services.compensation.handlers.offers import Offers
from services.compensation.handlers.situation import Situations
from services.compensation.handlers.staff import Staff
from services.compensation.handlers.tills import Tills
from services.compensation.page import Page
from services.compensation.settings import Settings
from services.compensation.stream import inboxes
from shared.contracts.decision import Domain
from shared.runtime.app import App, Parts, utc_now
from shared.runtime.keys import KEY_FOLDS, Keys
from shared.runtime.links import FEEDBACK, OFFER, Tokens
from shared.runtime.policy import POLICY_FOLDS
from shared.runtime.store import Store

DOMAIN = Domain(
    "compensation", {**FOLDS, **KEY_FOLDS, **POLICY_FOLDS}, postings=postings, timers=timers
)


def build(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, store: Store | None = None
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Parts(settings, DOMAIN, now=now, store=store)
    settler = parts.settler
    codes = codes_of(parts.vault)
    situations = Situations(Keys(parts.vault))
    giving = Giving(situations, codes, parts.vault)
    life = Life(situations, codes, settler)
    incidents = Incidents(situations, giving, settler)
    staff = Staff(situations, settler)
    desks = Desks(
        situations=situations,
        giving=giving,
        offers=Offers(situations, codes),
        life=life,
        tills=Tills(situations, codes),
        incidents=incidents,
        staff=staff,
        codes=codes,
        links=Tokens(parts.vault.derive(OFFER), OFFER, now),
        page=Page(),
        public_url=settings.public_url,
        answers=Tokens(parts.vault.derive(FEEDBACK), FEEDBACK, now),
        answers_url=settings.answers_url,
    )
    return App(
        parts,
        inboxes=inboxes(incidents, staff),
        api=api(parts.face, desks, settler),
        rings={
            EXPIRE: life.expires,
            EXPLAIN: life.unexplained,
            HOLD: life.hold_ends,
            LAPSE: life.lapses,
            GIVE: incidents.gives,
            **{timer: partial(staff.window_ends, scope) for scope, timer in TIMERS.items()},
        },
    )
