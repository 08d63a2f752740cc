"""Builds the notifier: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from services.notifier.channels import providers_file
from services.notifier.channels.bounces import Relay
from services.notifier.channels.ports import Channel
from services.notifier.channels.providers import Providers
from services.notifier.channels.providers_file import Provider
from services.notifier.channels.sms import SmsChannel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.wires import Wire
from services.notifier.digests import rules as digest_rules
from services.notifier.feedback import rules as feedback_rules
from services.notifier.feedback.api import HeardFeedback, routes
from services.notifier.feedback.handlers import Feedback
from services.notifier.feedback.page import Page
from services.notifier.inbox import rules as inbox_rules
from services.notifier.inbox.api import ReadUpTo
from services.notifier.inbox.api import routes as inbox_routes
from services.notifier.inbox.handlers import Inboxes
from services.notifier.incidents import api as incident_api
from services.notifier.incidents import rules as incident_rules
from services.notifier.incidents.handlers import Voice
from services.notifier.messages import api as message_api
from services.notifier.messages import notifications
from services.notifier.messages import rules as message_rules
from services.notifier.messages.handlers import Messages
from services.notifier.messages.letters import Letters
from services.notifier.messages.links import Links
from services.notifier.messages.notifications import ResentNotification, SaidNotification
from services.notifier.messages.reports import Reports
from services.notifier.messages.rules import SEND
from services.notifier.messages.sending import Sending
from services.notifier.preferences import api as preference_api
from services.notifier.preferences import rules as preference_rules
from services.notifier.preferences.api import ShownPreferences
from services.notifier.preferences.handlers import Wishes
from services.notifier.preferences.page import PreferencesPage
from services.notifier.safety import rules as safety_rules
from services.notifier.safety.api import SeenAlarm
from services.notifier.safety.api import routes as safety_routes
from services.notifier.safety.handlers import Alarms
from services.notifier.safety.page import SeenPage
from services.notifier.safety.rules import ALARM, SEEN
from services.notifier.safety.seen import Seen
from services.notifier.settings import Settings
from services.notifier.stream import inboxes
from services.notifier.subjects import moves as subject_moves
from services.notifier.subjects import rules as subject_rules
from services.notifier.survey import api as survey_api
from services.notifier.survey import rules as survey_rules
from services.notifier.survey.handlers import Surveys
from services.notifier.survey.page import SurveyPage
from services.notifier.webhooks import endpoints as endpoints_file
from services.notifier.webhooks import rules as webhook_rules
from services.notifier.webhooks.handlers import Webhooks
from services.notifier.webhooks.post import Poster
from services.notifier.webhooks.rules import WEBHOOK
from services.notifier.wording.wording import Wording
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.deadletters import DEAD_LETTER_FOLDS
from shared.contracts.roster import LISTED, EmployeeListed
from shared.kernel import Domain, Slice
from shared.runtime.engine.effects import Effects
from shared.runtime.engine.store import Store
from shared.runtime.http.answers import shown_by
from shared.runtime.kafka.watch import settled_to_the_end
from shared.runtime.mail import accounts as mail_accounts
from shared.runtime.mailboxes import load
from shared.runtime.policies import POLICY_FOLDS
from shared.runtime.privacy.keys import KEY_FOLDS, Keys
from shared.runtime.privacy.links import (
    ASKING,
    CODE,
    FEEDBACK,
    MINE,
    OFFER,
    PREFERENCES,
    REPLY,
    SURVEY,
    Tokens,
    asking_link,
    mine_link,
    preferences_link,
    reply_address,
)
from shared.runtime.privacy.links import SEEN as SEEN_LINK
from shared.runtime.service import App, Runtime, utc_now
from shared.runtime.settings import tls_of

DOMAIN = Domain.of(
    "notifier",
    subject_rules.SLICE,
    subject_moves.SLICE,
    message_rules.SLICE,
    digest_rules.SLICE,
    incident_rules.SLICE,
    safety_rules.SLICE,
    feedback_rules.SLICE,
    survey_rules.SLICE,
    preference_rules.SLICE,
    inbox_rules.SLICE,
    webhook_rules.SLICE,
    Slice({EmployeeListed: (LISTED,)}),
    Slice(KEY_FOLDS),
    Slice(DEAD_LETTER_FOLDS),
    Slice(POLICY_FOLDS),
    shown=shown_by(
        HeardFeedback,
        ResentNotification,
        SaidNotification,
        ReadUpTo,
        SeenAlarm,
        ShownPreferences,
    ),
)


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    store: Store | None = None,
    channels: Sequence[Channel] | None = None,
    poster: Poster | None = None,
    complaints_read: Callable[[], Awaitable[bool]] | None = None,
) -> App:
    """The service, ready to run; nothing is connected yet.

    `channels` are those of the settings if not given; `poster` posts webhooks to public addresses alone;
    `complaints_read` asks the broker whether the topic of complaints is settled to its end.
    """
    parts = Runtime(settings, DOMAIN, now=now, store=store)
    answers = Tokens(parts.vault.derive(FEEDBACK), FEEDBACK, now)
    choices = Tokens(parts.vault.derive(OFFER), OFFER, now)
    codes = Tokens(parts.vault.derive(CODE), CODE, now)
    preferences = Tokens(parts.vault.derive(PREFERENCES), PREFERENCES, now)
    seen = Tokens(parts.vault.derive(SEEN_LINK), SEEN_LINK, now)
    surveys = Tokens(parts.vault.derive(SURVEY), SURVEY, now)
    links = Links(answers, settings.public_url, choices, codes, settings.offers_url, seen, surveys)
    mine = Tokens(parts.vault.derive(MINE), MINE, now)
    wording, keys, effects = Wording(), Keys(parts.vault), Effects(parts.settler, parts.crash)
    mailboxes = load(settings.mailboxes) if settings.mailboxes else {}
    listed = providers_file.load(settings.providers) if settings.providers else {}
    wires = {name: one.spoken() for name, one in listed.items()}
    providers = Providers(channels or tuple(channels_of(settings, listed, wires, now)), now)
    alarms = Alarms(parts.settler, keys, mailboxes, wording, providers, links.seen)
    to_mine = partial(mine_link, mine, settings.complaints_url)
    to_wishes = partial(preferences_link, preferences, settings.public_url)
    to_reply = partial(reply_address, parts.vault.derive(REPLY), settings.reply_address)
    reply_to = to_reply if settings.reply_address else None
    askings = Tokens(parts.vault.derive(ASKING), ASKING, now)
    to_question = partial(asking_link, askings, settings.complaints_url)
    letters = Letters(
        keys, links, wording, alarms.letter, to_mine, to_wishes, to_question, reply_to
    )
    sending = Sending(letters, providers, parts.vault.pseudonyms.mailbox, alarms.channels)
    reports = Reports(parts.settler, wires, sending)
    returned = mail_accounts.load(settings.mail_accounts) if settings.mail_accounts else {}
    employees, messages = Inboxes(keys), Messages()
    voice = Voice(messages, parts.settler.view, complaints_read or complaints_settled(parts))
    endpoints = endpoints_file.load(settings.webhooks) if settings.webhooks else {}
    webhooks = Webhooks(endpoints, poster or Poster(now), now)
    feedback = Feedback(parts.settler, keys, letters, links, wording, employees.told_of, to_wishes)
    return App(
        parts,
        inboxes=inboxes(messages, voice, alarms, employees, webhooks),
        api=parts.face.api(
            "notifier",
            "Customers are told, asked whether it helped, and heard; employees are told.",
            survey_api.routes(parts.face, Surveys(links, keys), SurveyPage()),
            routes(parts.face, feedback, Page()),
            preference_api.routes(parts.face, Wishes(preferences, keys), PreferencesPage()),
            notifications.routes(parts.face, letters),
            message_api.routes(parts.face, reports, settings.public_url),
            inbox_routes(parts.face, employees),
            incident_api.routes(parts.face, voice),
            safety_routes(parts.face, Seen(seen, alarms, wording), SeenPage()),
        ),
        on_timer={
            SEND: effects.on_timer(SEND, sending),
            WEBHOOK: effects.on_timer(WEBHOOK, webhooks),
            ALARM: alarms.route,
            SEEN: alarms.not_seen,
        },
        beside_stream=parts.mail_reading(returned, reports.take),
        on_stop=providers.close,
    )


def complaints_settled(parts: Runtime) -> Callable[[], Awaitable[bool]]:
    """What asks the broker whether all that is on the topic of complaints now is settled here."""
    topics, applied = [ComplaintReceived.TOPIC], parts.settler.applied
    return partial(settled_to_the_end, parts.settings.broker, topics, applied)


def channels_of(
    settings: Settings,
    listed: Mapping[str, Provider],
    wires: Mapping[str, Wire | Relay],
    now: Callable[[], datetime],
) -> Iterator[Channel]:
    """The mail server, and each provider of text messages that the operator's file lists."""
    yield SmtpChannel(settings.mail_server, now)
    for name, one in listed.items():
        wire = wires[name]
        if not isinstance(wire, Relay):
            report_url = f"{settings.public_url.rstrip('/')}/v1/receipts/{name}"
            tls = tls_of(one.ca) if one.ca is not None else None
            yield SmsChannel(name, one.url, wire, report_url, now, tls)
