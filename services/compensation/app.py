"""Builds compensation: the only file that knows all the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from services.compensation.cases import rules as cases_rules
from services.compensation.checks import api as checks_api
from services.compensation.checks import rules as checks_rules
from services.compensation.checks.api import Answers
from services.compensation.checks.codes import codes_of
from services.compensation.checks.handlers import Checks
from services.compensation.delights import api as delights_api
from services.compensation.delights.handlers import Delights
from services.compensation.incidents import api as incidents_api
from services.compensation.incidents import rules as incidents_rules
from services.compensation.incidents.handlers import Incidents
from services.compensation.offers import api as offers_api
from services.compensation.offers import rules as offers_rules
from services.compensation.offers.handlers import Offers
from services.compensation.offers.page import Page
from services.compensation.options import api as options_api
from services.compensation.options.handlers import Options
from services.compensation.policy import api as policy_api
from services.compensation.policy.handlers import SitePolicy
from services.compensation.redemptions import api as redemptions_api
from services.compensation.redemptions import rules as redemptions_rules
from services.compensation.redemptions.handlers import Redemptions
from services.compensation.settings import Settings
from services.compensation.staff import api as staff_api
from services.compensation.staff import rules as staff_rules
from services.compensation.staff.handlers import Staff
from services.compensation.staff_context import ContextLoader
from services.compensation.stream import inboxes
from services.compensation.titles import Titles
from services.compensation.usage import rules as usage_rules
from services.compensation.usage.handlers import Usage
from services.compensation.whatif import api as whatif_api
from services.compensation.whatif import rules as whatif_rules
from services.compensation.whatif.handlers import WhatIf
from shared.contracts.compensation import PolicyTried
from shared.contracts.deadletters import DEAD_LETTER_FOLDS
from shared.kernel import Domain, Slice
from shared.runtime.engine.store import Store
from shared.runtime.http.answers import shown_by
from shared.runtime.http.face import Compressed
from shared.runtime.kafka.history import ReadHistory, read_history
from shared.runtime.policies import POLICY_FOLDS
from shared.runtime.privacy.keys import KEY_FOLDS, Keys
from shared.runtime.privacy.links import CODE, FEEDBACK, OFFER, Tokens, check_link, offer_link
from shared.runtime.service import App, Runtime, utc_now

#: Compressing a smaller answer costs more than it saves.
GZIP_FROM_BYTES = 512
DOMAIN = Domain.of(
    "compensation",
    cases_rules.SLICE,
    checks_rules.SLICE,
    incidents_rules.SLICE,
    offers_rules.SLICE,
    redemptions_rules.SLICE,
    staff_rules.SLICE,
    usage_rules.SLICE,
    whatif_rules.SLICE,
    Slice(KEY_FOLDS),
    Slice(DEAD_LETTER_FOLDS),
    Slice(POLICY_FOLDS),
    shown=shown_by(
        checks_api.GivenCheck,
        checks_api.DoesNotFit,
        checks_api.VoidedCheck,
        checks_api.ExplainedCheck,
        checks_api.PraisedCheck,
        offers_api.OfferedChecks,
        incidents_api.OpenedIncident,
        policy_api.ShownPolicy,
    ),
)


def build(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    store: Store | None = None,
    history: ReadHistory | None = None,
) -> App:
    """The service, ready to run; nothing is connected yet."""
    parts = Runtime(settings, DOMAIN, now=now, store=store)
    settler, vault, face = parts.settler, parts.vault, parts.face
    codes = codes_of(vault)
    context = ContextLoader(Keys(vault))
    titles = Titles(context.policies)
    answers = Answers(
        codes,
        partial(check_link, Tokens(vault.derive(FEEDBACK), FEEDBACK, now), settings.answers_url),
        titles,
    )
    links = Tokens(vault.derive(OFFER), OFFER, now)
    checks = Checks(context, codes, vault)
    offers = Offers(context, codes)
    delights = Delights(context, checks, vault)
    redemptions = Redemptions(context, codes)
    incidents = Incidents(context, codes, settler)
    usage = Usage(context)
    read = partial(read_history, settings.broker, PolicyTried.TOPIC)
    whatif = WhatIf(context, history or read)
    api = face.api(
        "compensation",
        "Every employee has authority. A wish that does not fit is answered with checks that do.",
        staff_api.routes(face, Staff(context)),
        options_api.routes(face, Options(context, incidents, vault), titles),
        checks_api.routes(face, checks, incidents, answers),
        delights_api.routes(face, delights, titles, answers),
        offers_api.routes(
            face,
            offers,
            answers,
            links,
            partial(offer_link, links, settings.public_url),
            Tokens(vault.derive(CODE), CODE, now),
            Page(),
        ),
        redemptions_api.routes(face, redemptions),
        incidents_api.routes(face, incidents),
        policy_api.routes(face, SitePolicy(context)),
        whatif_api.routes(face, whatif),
    )
    api.add_middleware(Compressed, minimum_size=GZIP_FROM_BYTES)
    return App(
        parts,
        inboxes=inboxes(incidents, usage),
        api=api,
        on_timer={
            incidents_rules.GIVE: incidents.gives,
            checks_rules.EXPIRE: settler.on_timer(checks_rules.EXPIRE, checks.expires),
            checks_rules.EXPLAIN: settler.on_timer(checks_rules.EXPLAIN, checks.unexplained),
            redemptions_rules.HOLD: settler.on_timer(redemptions_rules.HOLD, redemptions.hold_ends),
            offers_rules.LAPSE: settler.on_timer(offers_rules.LAPSE, offers.lapses),
            **{
                timer: settler.on_timer(timer, partial(usage.window_ends, scope))
                for scope, timer in usage_rules.TIMERS.items()
            },
        },
    )
