"""Which letters still go about a complaint that ended, was referred, or goes on in another one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.notifier.incidents.rules import SiteIncident, about_incident
from services.notifier.messages.in_person import messages_for
from services.notifier.messages.rules import SEND, Message, message_queued, queue
from services.notifier.subjects.moves import DoneFix, LatePromise
from services.notifier.subjects.rules import CheckLife, OneTimeCode, Story
from shared.contracts.complaints import Language
from shared.contracts.lifecycle import State
from shared.contracts.notifier import Occasion
from shared.contracts.reasons import Reason
from shared.kernel import Document
from shared.runtime.engine.store import Versioned
from shared.runtime.faults import Rejected
from shared.runtime.privacy.keys import Keys
from tests.suites.services import SITE, Aboard
from tests.unit.test_incidents_told import with_words
from tests.unit.test_lifecycle import do
from tests.unit.test_occasions import NOTE, QUESTION, english, settled

ENDED = {State.WITHDRAWN, State.NOT_A_COMPLAINT, State.REFERRED_EXTERNAL, State.CONFIRMED}
STATES = ENDED | {State.MERGED}
#: Of a merged complaint, whose own customer's other complaint goes on for it.
GOES: dict[Occasion, set[State]] = {
    # We tell neither when they hear from us, nor what we know, of what we do not work on.
    Occasion.ACKNOWLEDGEMENT: set(),
    Occasion.INCIDENT: {State.MERGED},
    Occasion.REOPENED: {State.MERGED},
    Occasion.PROMISE_AT_RISK: set(),
    Occasion.PROMISE_BROKEN: set(),
    Occasion.QUESTION_ASKED: set(),
    Occasion.FIX_DONE: {State.MERGED},
    Occasion.RESOLUTION_TOLD: set(),
    Occasion.FEEDBACK_ASKED: set(),
    # How it ended.
    Occasion.THANKED: {State.CONFIRMED},
    Occasion.CLOSED: {State.WITHDRAWN, State.NOT_A_COMPLAINT},
    Occasion.REFERRED: {State.REFERRED_EXTERNAL},
    # What they were given stays theirs, and so do their page and their address.
    Occasion.CHECK_GIVEN: STATES,
    Occasion.CHECK_OFFERED: STATES,
    Occasion.CHECK_EXPIRING: STATES,
    Occasion.CHECK_WITHDRAWN: STATES,
    Occasion.CONFIRMATION: STATES,
    Occasion.CONTACT_CHANGED: STATES,
}


class Case:
    """A complaint of which every letter could be written, and another one of its customer."""

    def __init__(self, aboard: Aboard, name: str, head: str) -> None:
        self.aboard, self.name, self.head = aboard, name, head
        self.sending: Any = aboard.apps["notifier"].on_timer[SEND].args[1]

    @classmethod
    async def begun(cls, tmp_path: Path) -> Case:
        """It was given something, offered a choice, asked and resolved; what else letters speak of is put there."""
        aboard = await Aboard(tmp_path, with_words()).begin()
        name, head = await english(aboard), await english(aboard, 1)
        for number, item in enumerate(("cinema", "dinner-for-two")):
            assert (await aboard.give(name, item, f"k{number}")).status_code == 201
        wish = {"complaint_id": name, "items": ["dinner-for-two", "cinema"], "reason": "food"}
        assert (await aboard.post("offers", "o", wish)).status_code == 201
        await do(aboard, name, "ask", question=QUESTION)
        await settled(aboard)
        await do(aboard, name, "resolve", outcome="fixed", note=NOTE)
        await settled(aboard)
        case, now = cls(aboard, name, head), aboard.clock()
        case.keep(LatePromise(round=0, promised_by=now), f"{name}/late")
        case.keep(LatePromise(round=0, promised_by=now + timedelta(hours=9)), f"{name}/soon")
        incident = SiteIncident(
            site=SITE, reason="food", item="taxfree-card/20000", policy_version=1, opened_at=now
        )
        case.keep(incident, "in-1")
        case.keep(DoneFix(fix="bring-fan", done_at=now + timedelta(seconds=1)), f"{name}/fix")
        story = await case.story()
        more = {"contact_before": story.contact, "referred_to": "transport-complaints-board"}
        case.keep(story.model_copy(update=more), name)
        key = await Keys(aboard.apps["notifier"].parts.vault).needed(story.customer_ref, case.view)
        code = OneTimeCode(
            action="erasure", code=key.seal("code", "123456"), expires_at=now + timedelta(hours=1)
        )
        case.keep(code, "code")
        return case

    @property
    def view(self) -> Any:
        return self.aboard.apps["notifier"].parts.settler.view()

    def keep(self, document: Document, document_id: str) -> None:
        """Put a document into the store, as it is read next."""
        kept = self.aboard.stores["notifier"].kept.documents
        key = type(document).key(document_id)
        version = kept[key].version if key in kept else 0
        kept[key] = Versioned(version + 1, document.model_dump_json().encode())

    async def story(self, name: str | None = None) -> Story:
        found = await self.view.get(Story, name or self.name)
        assert found is not None
        return found

    async def about(self, occasion: Occasion) -> str:
        """What the letter of an occasion is about."""
        story = await self.story()
        of = dict(
            (one.occasion, one.about)
            for _, one in reversed(await messages_for(self.name, self.view))
        )
        own = {
            Occasion.PROMISE_BROKEN: f"{self.name}/late",
            Occasion.PROMISE_AT_RISK: f"{self.name}/soon",
            Occasion.INCIDENT: about_incident(self.name, "in-1"),
            Occasion.FIX_DONE: f"{self.name}/fix",
            Occasion.CONFIRMATION: "code",
            Occasion.FEEDBACK_ASKED: story.resolution_id,
            Occasion.CHECK_EXPIRING: of[Occasion.CHECK_GIVEN],
            Occasion.CHECK_WITHDRAWN: of[Occasion.CHECK_GIVEN],
        }
        return own.get(occasion) or of.get(occasion) or self.name

    async def why_not(self, occasion: Occasion) -> Reason | None:
        """Why the letter of an occasion does not go now; None if it goes."""
        story, about = await self.story(), await self.about(occasion)
        queued = queue(
            "me-1", occasion, about, complaint_id=self.name, customer_ref=story.customer_ref,
            site=SITE, language=Language.EN, now=self.aboard.clock(),
        )  # fmt: skip
        message: Message = message_queued(None, queued)
        if occasion is Occasion.CHECK_WITHDRAWN:
            self.keep(CheckLife(voided=True), about)
        try:
            await self.sending._letters.write("me-1", message, self.view)
        except Rejected as rejected:
            return rejected.reason
        finally:
            self.keep(CheckLife(), about)
        return None


@pytest.fixture
async def case(tmp_path: Path) -> Case:
    return await Case.begun(tmp_path)


async def test_a_letter_goes_where_a_complaint_stands_only_if_it_is_true_there(case: Case):
    story = await case.story()
    goes: dict[Occasion, set[State]] = {occasion: set() for occasion in GOES}
    for state in State:
        into = case.head if state is State.MERGED else None
        case.keep(story.model_copy(update={"state": state, "merged_into": into}), case.name)
        for occasion in GOES:
            if await case.why_not(occasion) is None:
                goes[occasion].add(state)
    assert {occasion: found & STATES for occasion, found in goes.items()} == GOES
    assert all(goes.values()), "each letter is true somewhere"


def test_every_letter_to_the_customer_of_a_complaint_is_in_the_table():
    of_no_complaint = {Occasion.TOUCHPOINT_ASKED, Occasion.DIGEST, Occasion.SAFETY}
    assert set(Occasion) == GOES.keys() | of_no_complaint


async def test_whoever_was_forgotten_gets_no_letter(case: Case):
    story = await case.story()
    case.keep(
        story.model_copy(update={"contact": None, "contact_before": None, "forgotten": True}),
        case.name,
    )
    assert {await case.why_not(occasion) for occasion in GOES} == {Reason.CUSTOMER_ERASED}


async def test_an_offer_that_is_over_is_not_told(case: Case):
    """A letter may wait for a provider that is away, and for the quiet hours."""
    assert await case.why_not(Occasion.CHECK_OFFERED) is None
    case.aboard.later(days=1)
    assert await case.why_not(Occasion.CHECK_OFFERED) is Reason.NO_LONGER_TRUE


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_no_incident_is_told_where_the_complaint_that_goes_on_for_it_ended(
    case: Case, state: State
):
    story, head = await case.story(), await case.story(case.head)
    merged = {"state": State.MERGED, "merged_into": case.head}
    case.keep(story.model_copy(update=merged), case.name)
    case.keep(head.model_copy(update={"state": state}), case.head)
    assert await case.why_not(Occasion.INCIDENT) is Reason.NO_LONGER_TRUE
