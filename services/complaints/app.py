"""Builds complaints: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from services.complaints.asking import api as asking_api
from services.complaints.asking import rules as asking_rules
from services.complaints.asking.handlers import Touchpoints
from services.complaints.asking.page import AskingPage
from services.complaints.causes import api as causes_api
from services.complaints.causes import rules as cause_rules
from services.complaints.causes.api import CauseOfComplaint, TakenAction
from services.complaints.causes.handlers import Causes
from services.complaints.colleagues import api as colleagues_api
from services.complaints.colleagues import rules as colleague_rules
from services.complaints.customer import api as customer_api
from services.complaints.customer import rules as customer_rules
from services.complaints.customer.api import ErasedCustomer
from services.complaints.customer.export import Exports
from services.complaints.customer.handlers import Customers, Gone, OnVault
from services.complaints.customer.profiles import Profiles
from services.complaints.fixes import api as fixes_api
from services.complaints.fixes import rules as fix_rules
from services.complaints.fixes.handlers import Fixing
from services.complaints.intake import api as intake_api
from services.complaints.intake import form as intake_form
from services.complaints.intake import rules as intake_rules
from services.complaints.intake import webhooks as intake_webhooks
from services.complaints.intake.api import KnownComplaint, KnownPraise, NotedPraise, PromisedAnswer
from services.complaints.intake.form import Door
from services.complaints.intake.handlers import Intake
from services.complaints.intake.limits import Limits
from services.complaints.intake.page import FormPage
from services.complaints.lifecycle import api as lifecycle_api
from services.complaints.lifecycle import rules as lifecycle_rules
from services.complaints.lifecycle.api import (
    AskedAnswer,
    HeardAnswer,
    MergedAnswer,
    ResolvedAnswer,
)
from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.lifecycle.rules import Complaint
from services.complaints.mail import accounts as mail_accounts
from services.complaints.mail.handlers import Mails
from services.complaints.matters import api as matters_api
from services.complaints.matters import rules as matters_rules
from services.complaints.playbooks import api as playbooks_api
from services.complaints.playbooks.handlers import Playbooks
from services.complaints.promises import rules as promise_rules
from services.complaints.promises.handlers import Promises
from services.complaints.promises.news import TOPICS, BrokerNews, News
from services.complaints.queue import api as queue_api
from services.complaints.queue.handlers import Queue
from services.complaints.selfservice import api as selfservice_api
from services.complaints.selfservice import rules as selfservice_rules
from services.complaints.selfservice.handlers import (
    CheckPage,
    PreferencesPage,
    SelfService,
    SurveyPage,
)
from services.complaints.selfservice.page import Page
from services.complaints.settings import Settings
from services.complaints.stream import inboxes
from services.complaints.timeline import api as timeline_api
from services.complaints.timeline import rules as timeline_rules
from services.complaints.timeline.handlers import Timelines
from services.complaints.timeline.rules import Timeline
from services.complaints.triage.handlers import Triage
from services.complaints.triage.languages import Languages
from services.complaints.triage.lexicon import SHIPPED
from services.complaints.triage.lexicon import load as load_lexicon
from services.complaints.triage.model import load as load_model
from shared.contracts.catalogue import SERVICES, dead_letters
from shared.contracts.complaints import (
    ComplaintFact,
    ComplaintReceived,
    ConfirmationAsked,
    TouchpointAnswered,
    WordsAdded,
)
from shared.contracts.deadletters import DEAD_LETTER_FOLDS
from shared.contracts.intake import ComplaintRaised
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Domain, Slice
from shared.runtime.engine.store import Store
from shared.runtime.http.answers import shown_by
from shared.runtime.http.changes import Changes, Tail
from shared.runtime.kafka.tail import tail
from shared.runtime.kafka.watch import nothing_before, settled_to_the_end, with_key
from shared.runtime.policies import POLICY_FOLDS
from shared.runtime.privacy.keys import KEY_FOLDS, CustomerKey, stands
from shared.runtime.privacy.links import (
    FEEDBACK,
    MINE,
    PREFERENCES,
    SURVEY,
    Tokens,
    check_link,
    preferences_link,
    survey_link,
)
from shared.runtime.privacy.seal import Vault
from shared.runtime.roster import still_employed
from shared.runtime.service import App, Runtime, utc_now

#: The topics that hold what customers wrote outside their keys.
IN_CLEAR = (ComplaintRaised.TOPIC, *map(dead_letters, SERVICES))
DOMAIN = Domain.of(
    "complaints",
    lifecycle_rules.SLICE,
    promise_rules.SLICE,
    matters_rules.SLICE,
    timeline_rules.SLICE,
    selfservice_rules.SLICE,
    fix_rules.SLICE,
    cause_rules.SLICE,
    intake_rules.SLICE,
    asking_rules.SLICE,
    customer_rules.SLICE,
    Slice(KEY_FOLDS, indexes={CustomerKey: stands}),
    Slice(DEAD_LETTER_FOLDS),
    Slice(POLICY_FOLDS),
    colleague_rules.SLICE,
    shown={
        **shown_by(
            PromisedAnswer,
            MergedAnswer,
            KnownComplaint,
            NotedPraise,
            KnownPraise,
            AskedAnswer,
            HeardAnswer,
            ResolvedAnswer,
            ErasedCustomer,
            CauseOfComplaint,
            TakenAction,
        ),
        # A form is answered with the page, which shows nothing of its fact.
        WordsAdded: {"complaint_id"},
        ConfirmationAsked: {"complaint_id"},
        TouchpointAnswered: {"asking_id"},
    },
)
#: The facts that change a complaint, or add to what happened to it.
CHANGING = frozenset(
    fact.TYPE
    for fact, rows in DOMAIN.folds.items()
    if issubclass(fact, ComplaintFact)
    and any(row.document in (Complaint, Timeline) for row in rows)
)


def triage_of(settings: Settings) -> Triage:
    """What understands customers' words, by the lexicon and the model that the settings name. Reads their files."""
    model = load_model(settings.triage_model) if settings.triage_model else None
    return Triage(Languages(), load_lexicon(settings.lexicon or SHIPPED), model)


def answers_at(
    url: str, vault: Vault, now: Callable[[], datetime]
) -> tuple[CheckPage, SurveyPage, PreferencesPage]:
    """The addresses of the notifier's pages on which a customer says whether a check helped, how it was handled, and how we write to them."""
    answers = Tokens(vault.derive(FEEDBACK), FEEDBACK, now)
    surveys = Tokens(vault.derive(SURVEY), SURVEY, now)
    preferences = Tokens(vault.derive(PREFERENCES), PREFERENCES, now)
    return (
        partial(check_link, answers, url),
        partial(survey_link, surveys, url),
        partial(preferences_link, preferences, url),
    )


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    store: Store | None = None,
    triage: Triage | None = None,
    news: News | None = None,
    gone: Gone | None = None,
    on_vault: OnVault | None = None,
    own_topic: Tail | None = None,
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Runtime(settings, DOMAIN, now=now, store=store)
    triage = triage or triage_of(settings)
    profiles = Profiles(parts.vault)
    intake = Intake(parts.vault, triage, profiles)
    lifecycle = Lifecycle(parts.vault, triage)
    fixing = Fixing(lifecycle)
    settled = partial(settled_to_the_end, settings.broker, TOPICS, parts.settler.applied)
    promises = Promises(parts.settler, news or BrokerNews(settled, now))
    gone = gone or partial(nothing_before, settings.broker, IN_CLEAR)
    on_vault = on_vault or partial(with_key, settings.broker, CustomerKeyCreated.TOPIC)
    backups_kept = timedelta(days=settings.backups_kept_days)
    links = Tokens(parts.vault.derive(MINE), MINE, now)
    timelines, exports = Timelines(parts.vault), Exports(parts.vault, profiles)
    pages = answers_at(settings.answers_url, parts.vault, now)
    selfservice = SelfService(parts.vault, triage, links, *pages, timelines, exports)
    touchpoints = Touchpoints(parts.vault, triage, profiles, intake, links, pages[-1], now)
    limits = Limits(settings.forms, now)
    door = Door(intake, selfservice, links, limits, settings.client_address_header)
    customers = Customers(parts.settler, parts.vault, gone, on_vault, backups_kept)
    accounts = mail_accounts.load(settings.mail_accounts) if settings.mail_accounts else {}
    mails = Mails(parts.settler, parts.vault, accounts, intake, selfservice, triage, now)
    topic = own_topic or partial(tail, settings.broker, ComplaintReceived.TOPIC)
    changes = changes_of(parts, topic)
    return App(
        parts,
        inboxes=inboxes(intake, lifecycle, customers, profiles, touchpoints),
        may_stream=customers.may_begin,
        api=parts.face.api(
            "complaints",
            "Every complaint is received once, answered by a promised time and followed to the end.",
            intake_api.routes(parts.face, intake),
            intake_webhooks.routes(parts.face, intake, settings.sources),
            intake_form.routes(parts.face, door, FormPage()),
            asking_api.routes(parts.face, touchpoints, AskingPage()),
            colleagues_api.routes(parts.face),
            queue_api.routes(parts.face, Queue(parts.vault), changes),
            fixes_api.routes(parts.face, fixing),
            causes_api.routes(parts.face, Causes(parts.vault)),
            lifecycle_api.routes(parts.face, lifecycle),
            playbooks_api.routes(parts.face, Playbooks(lifecycle, profiles)),
            matters_api.routes(parts.face),
            timeline_api.routes(parts.face, lifecycle, timelines),
            customer_api.routes(parts.face, exports),
            selfservice_api.routes(parts.face, selfservice, Page()),
        ),
        on_timer={
            lifecycle_rules.OVERDUE: promises.passed,
            lifecycle_rules.WARN: parts.settler.on_timer(lifecycle_rules.WARN, promises.near),
            lifecycle_rules.CLOSE: parts.settler.on_timer(lifecycle_rules.CLOSE, lifecycle.closes),
            fix_rules.LATE: parts.settler.on_timer(fix_rules.LATE, fixing.due),
            customer_rules.FORGET: parts.settler.on_timer(customer_rules.FORGET, customers.forgets),
            customer_rules.CERTIFY: customers.certifies,
            customer_rules.WORDS: parts.settler.on_timer(customer_rules.WORDS, customers.words_end),
        },
        beside_api={"changes": changes.run},
        beside_stream=parts.mail_reading(accounts, mails.take),
    )


def changes_of(parts: Runtime, topic: Tail) -> Changes:
    """What tells those who follow the queue of each change; `topic` is the service's own."""
    view = parts.settler.view
    return Changes(
        topic,
        partial(queue_api.shown, CHANGING, view),
        lambda principals: still_employed(principals, view()),
        secret=parts.vault.derive("live"),
        running=parts.face.running,
    )
