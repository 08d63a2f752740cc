"""Asks customers about touchpoints that other systems tell of, and takes what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.complaints.asking.page import AnswerForm, Shown
from services.complaints.asking.rules import (
    Asked,
    LastAsked,
    drawn,
    due_at,
    enough,
    is_bad,
    is_good,
    unsettled,
)
from services.complaints.customer.handlers import contact_of_asked, language_of
from services.complaints.customer.profiles import Profiles
from services.complaints.customer.rules import KeptProfile
from services.complaints.intake.handlers import Intake, complaint_id_of, fits
from services.complaints.intake.rules import Answer, plausible
from services.complaints.lifecycle.handlers import head_of
from services.complaints.lifecycle.rules import Complaint, of_customer
from services.complaints.selfservice.rules import missed
from services.complaints.triage.handlers import Triage
from shared.contracts.complaints import (
    ComplaintReceived,
    Language,
    TouchpointAnswered,
    TouchpointAsked,
)
from shared.contracts.event import Event, fingerprint
from shared.contracts.intake import Channel, ComplaintRaised, TouchpointPassed
from shared.contracts.lifecycle import OPEN
from shared.contracts.policy import Asking, Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.store import RANGE_MAX
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.pages import Addressee
from shared.runtime.kafka.inbox import Prepared
from shared.runtime.policies import Policies, PolicyHead
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.links import ASKING, FOLLOWED_FOR, Tokens
from shared.runtime.privacy.seal import Vault
from shared.runtime.words import format_time, in_language, say, spoken


class Touchpoints:
    """Decides who is asked, and opens the link by which they answer."""

    def __init__(
        self,
        vault: Vault,
        triage: Triage,
        profiles: Profiles,
        intake: Intake,
        mine: Tokens,
        preferences_page: Callable[[str, datetime], str],
        now: Callable[[], datetime],
    ) -> None:
        """`mine` makes the tokens of complaints' pages, `preferences_page` the address where a customer says how we write to them."""
        self._keys = Keys(vault)
        self._policies = Policies()
        self._triage = triage
        self._profiles = profiles
        self._intake = intake
        self._askings = Tokens(vault.derive(ASKING), ASKING, now)
        self._mine = mine
        self._preferences_page = preferences_page

    def on_passed(self, event: Event[TouchpointPassed]) -> Prepared:
        """A passed touchpoint: what to read ahead, and `_passed` to decide."""
        customer_ref = self._profiles.ref_of(event.source, event.data)
        reads = (
            Asked.key(asking_id_of(event.id)),
            LastAsked.key(customer_ref),
            CustomerKey.key(customer_ref),
            KeptProfile.key(customer_ref),
            PolicyHead.key(event.data.site),
        )
        return Prepared(partial(self._passed, event, customer_ref), reads)

    async def _passed(
        self, event: Event[TouchpointPassed], customer_ref: str, view: View
    ) -> Decision:
        """Ask the customer, if the site's policy asks about this touchpoint and they may be asked.

        Not whoever was erased, waits for us or was asked shortly before. Raises Rejected(time_out_of_range, unknown_site,
        schema_invalid), Unavailable.
        """
        fits(event, view)
        fact, asking_id = event.data, asking_id_of(event.id)
        if not plausible(fact.passed_at, view.now):
            raise Rejected(Reason.TIME_OUT_OF_RANGE, where=("/data/passed_at",))
        policy, version = await self._policies.at(fact.site, view)
        asking = policy.asking
        touchpoint = asking.touchpoints.get(fact.touchpoint) if asking is not None else None
        if asking is None or touchpoint is None or not drawn(asking_id, touchpoint):
            return Decision()
        at = due_at(fact, touchpoint, view.now)
        if at is None or fact.contact is None or not policy.notify.reaches(fact.contact):
            return Decision()
        if await view.get(Asked, asking_id) is not None:
            return Decision()
        if enough(await view.get(LastAsked, customer_ref), at, asking):
            return Decision()
        if await self._keys.erased(customer_ref, view) or await self._waits(customer_ref, view):
            return Decision()
        prefers = fact.language
        if prefers is None:
            prefers = (await self._profiles.of(customer_ref, fact.site, view)).language
        language = self._triage.language_of("", prefers, policy.languages[0]).language
        seals = await self._keys.seals(customer_ref, fact.site, view)
        asked = TouchpointAsked(
            asking_id=asking_id,
            customer_ref=customer_ref,
            site=fact.site,
            touchpoint=fact.touchpoint,
            step=touchpoint.step,
            language=spoken(language, policy),
            # As words: whoever was only asked is not kept until they are erased.
            contact=seals.words.seal("contact", fact.contact.model_dump_json()),
            passed_at=fact.passed_at,
            due_at=at,
            policy_version=version,
        )
        return Decision((*seals.created, asked))

    async def _waits(self, customer_ref: str, view: View) -> bool:
        """Whether the customer has a complaint that is not settled, or more than are read: a source names many alike."""
        page = await view.range(Complaint, of_customer(customer_ref), None, RANGE_MAX)
        return page.next is not None or unsettled(one for _, one in page.documents)

    async def addressee_of(self, token: str, view: View) -> Addressee | None:
        """Whose link it is, also of an expired one; None if it is not ours."""
        asked = await view.get(Asked, self._askings.told(token).get("asking", ""))
        return Addressee(await language_of(asked, view), asked.site) if asked is not None else None

    def read(self, token: str) -> str:
        """The question of a link's token; raises Rejected(link_invalid)."""
        return self._askings.read(token)["asking"]

    async def shown(self, token: str, view: View) -> Shown:
        """What the page shows; raises Rejected(link_invalid), also if the site asks no more or the customer was erased."""
        asking_id, asked, policy, asking = await self._opened(token, view)
        language = spoken(await language_of(asked, view), policy)
        shown = Shown(
            language=language,
            site_name=policy.site_name,
            question=in_language(asking.touchpoints[asked.touchpoint].words, language),
            answered=asked.answered_at is not None,
            preferences=self._preferences_page(asking_id, view.now),
        )
        if asked.complaint_id is None:
            return shown
        claims = {"complaint": asked.complaint_id}
        shown = replace(shown, mine="/m/" + self._mine.sign(claims, view.now + FOLLOWED_FOR))
        complaint = await view.get(Complaint, asked.complaint_id)
        head = await head_of(complaint, view) if complaint is not None else None
        if complaint is None or head is None or head.state not in OPEN:
            return shown

        def when(moment: datetime | None) -> str:
            return "" if moment is None else format_time(moment, policy.timezone, language)

        by = complaint.promised_by
        return replace(
            shown,
            promised_by=when(by) if by is not None and by > view.now else "",
            missed=when(missed(complaint, head, view.now)),
            danger=complaint.safety,
        )

    def of_danger(self, text: str, language: Language) -> bool:
        """Whether words speak of danger, also where they are plainly in another language of ours than this one."""
        read_in = self._triage.language_of_later(text, language)
        return self._triage.understand(text, read_in).safety

    async def answer(self, token: str, form: AnswerForm, view: View) -> Decision:
        """What the customer answered, once for each question: a bad answer is a complaint, and words are read.

        Raises Rejected(link_invalid, already_answered), and Unavailable.
        """
        asking_id, asked, policy, asking = await self._opened(token, view)
        if asked.answered_at is not None:
            raise Rejected(Reason.ALREADY_ANSWERED)
        try:
            said = await self._said(asking_id, asked, form, policy, asking, view)
        except Rejected as rejected:
            if rejected.reason is not Reason.CONFLICTING_REPEAT:
                raise
            # Another answer was recorded after the question was read here and before its complaint was.
            raise Rejected(Reason.ALREADY_ANSWERED) from None
        raised = [one.complaint_id for one in said.facts if isinstance(one, ComplaintReceived)]
        answered = TouchpointAnswered(
            asking_id=asking_id,
            site=asked.site,
            touchpoint=asked.touchpoint,
            step=asked.step,
            experience=int(form.experience),
            importance=int(form.importance) if form.importance else None,
            complaint_id=raised[0] if raised else None,
            answered_at=view.now,
        )
        return Decision((*said.facts, answered))

    async def _said(
        self,
        asking_id: str,
        asked: Asked,
        form: AnswerForm,
        policy: Policy,
        asking: Asking,
        view: View,
    ) -> Decision:
        """The complaint or the praise that an answer is; neither of a good one without words."""
        bad = is_bad(int(form.experience), asking)
        if not bad and not form.text:
            return Decision()
        language = spoken(await language_of(asked, view), policy)
        question = in_language(asking.touchpoints[asked.touchpoint].words, language)
        raised = ComplaintRaised(
            site=asked.site,
            text=form.text
            or f"{question} {say(language, 'asking.of_five', score=form.experience)}",
            # Our question is in a language that we know, whatever the names in it look like.
            language=None if form.text else language,
            contact=await contact_of_asked(asked, self._keys, view),
            occurred_at=asked.passed_at,
            channel=Channel.WEB,
            praise=not bad and is_good(int(form.experience)),
        )
        return await self._intake.raise_answer(
            raised,
            complaint_id_of(fingerprint("answer", asking_id)),
            asked.customer_ref,
            Answer(asked.step, bad, score_only=not form.text),
            language,
            view,
        )

    async def _opened(self, token: str, view: View) -> tuple[str, Asked, Policy, Asking]:
        asking_id = self.read(token)
        asked = await view.require(Asked, asking_id, Reason.LINK_INVALID)
        if await self._keys.erased(asked.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        policy, _ = await self._policies.at(asked.site, view)
        if policy.asking is None or asked.touchpoint not in policy.asking.touchpoints:
            raise Rejected(Reason.LINK_INVALID)
        return asking_id, asked, policy, policy.asking


def asking_id_of(name: str) -> str:
    """The id of a question, from the pseudonym of the event: the same for a repeat."""
    return f"as-{name}"
