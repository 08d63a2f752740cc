"""Builds the notifier: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from services.notifier.adapters import SignedLinks, SmtpMailer
from services.notifier.alarms import Alarms
from services.notifier.api import HeardFeedback, routes
from services.notifier.handlers import Handlers
from services.notifier.letters import Letters
from services.notifier.page import Page
from services.notifier.ports import Mailer
from services.notifier.rules import ALARM, SEND, SLICE
from services.notifier.settings import Settings
from services.notifier.stream import inboxes
from services.notifier.wording import Wording
from shared.contracts.deadletters import DEAD_LETTER_FOLDS
from shared.kernel import Domain, Slice
from shared.runtime.engine.effects import Effects
from shared.runtime.engine.store import Store
from shared.runtime.http.answers import shown_by
from shared.runtime.mailboxes import load
from shared.runtime.policies import POLICY_FOLDS
from shared.runtime.privacy.keys import KEY_FOLDS, Keys
from shared.runtime.privacy.links import FEEDBACK, MINE, OFFER, Tokens, mine_link
from shared.runtime.service import App, Runtime, utc_now

TEMPLATES = Path(__file__).with_name("templates")
#: What role mailboxes read.
TEMPLATES_STAFF = Path(__file__).with_name("templates_staff")
DOMAIN = Domain.of(
    "notifier",
    SLICE,
    Slice(KEY_FOLDS),
    Slice(DEAD_LETTER_FOLDS),
    Slice(POLICY_FOLDS),
    shown=shown_by(HeardFeedback),
)


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    store: Store | None = None,
    mailer: Mailer | None = None,
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Runtime(settings, DOMAIN, now=now, store=store)
    answers = Tokens(parts.vault.derive(FEEDBACK), FEEDBACK, now)
    choices = Tokens(parts.vault.derive(OFFER), OFFER, now)
    links = SignedLinks(answers, settings.public_url, choices, settings.offers_url)
    mine = Tokens(parts.vault.derive(MINE), MINE, now)
    wording, page = Wording(TEMPLATES), Page()
    mailboxes = load(settings.mailboxes) if settings.mailboxes else {}
    alarms = Alarms(parts.settler, mailboxes, Wording(TEMPLATES_STAFF))
    keys, effects = Keys(parts.vault), Effects(parts.settler, parts.crash)
    letters = Letters(
        keys,
        mailer or SmtpMailer(settings.mail_server, now),
        links,
        wording,
        alarms,
        parts.vault.pseudonyms.mailbox,
        partial(mine_link, mine, settings.complaints_url),
    )
    handlers = Handlers(parts.settler, keys, letters, links, wording)
    return App(
        parts,
        inboxes=inboxes(handlers, alarms),
        api=parts.face.api(
            "notifier",
            "Customers are told, asked whether it helped, and heard.",
            routes(parts.face, handlers, page),
        ),
        on_timer={SEND: effects.on_timer(SEND, letters), ALARM: alarms.route},
    )
