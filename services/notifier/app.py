"""Builds the notifier: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from services.notifier.channels.ports import Mailer
from services.notifier.channels.smtp import SmtpMailer
from services.notifier.feedback import rules as feedback_rules
from services.notifier.feedback.api import HeardFeedback, routes
from services.notifier.feedback.handlers import Feedback
from services.notifier.feedback.page import Page
from services.notifier.messages import rules as message_rules
from services.notifier.messages.handlers import Messages
from services.notifier.messages.letters import Letters
from services.notifier.messages.links import Links
from services.notifier.messages.rules import SEND
from services.notifier.messages.sending import Sending
from services.notifier.safety import rules as safety_rules
from services.notifier.safety.handlers import Alarms
from services.notifier.safety.rules import ALARM
from services.notifier.settings import Settings
from services.notifier.stream import inboxes
from services.notifier.subjects import moves as subject_moves
from services.notifier.subjects import rules as subject_rules
from services.notifier.wording.wording import Wording
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

TEMPLATES = Path(__file__).parent / "wording/templates"
#: What role mailboxes read.
TEMPLATES_STAFF = Path(__file__).parent / "wording/templates_staff"
DOMAIN = Domain.of(
    "notifier",
    subject_rules.SLICE,
    subject_moves.SLICE,
    message_rules.SLICE,
    safety_rules.SLICE,
    feedback_rules.SLICE,
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
    links = Links(answers, settings.public_url, choices, settings.offers_url)
    mine = Tokens(parts.vault.derive(MINE), MINE, now)
    wording, keys = Wording(TEMPLATES), Keys(parts.vault)
    mailboxes = load(settings.mailboxes) if settings.mailboxes else {}
    alarms = Alarms(parts.settler, mailboxes, Wording(TEMPLATES_STAFF))
    to_mine = partial(mine_link, mine, settings.complaints_url)
    letters = Letters(keys, links, wording, alarms.letter, to_mine)
    mailer = mailer or SmtpMailer(settings.mail_server, now)
    sending = Sending(letters, mailer, parts.vault.pseudonyms.mailbox)
    feedback = Feedback(parts.settler, keys, letters, links, wording)
    return App(
        parts,
        inboxes=inboxes(Messages(), alarms),
        api=parts.face.api(
            "notifier",
            "Customers are told, asked whether it helped, and heard.",
            routes(parts.face, feedback, Page()),
        ),
        on_timer={
            SEND: Effects(parts.settler, parts.crash).on_timer(SEND, sending),
            ALARM: alarms.route,
        },
    )
