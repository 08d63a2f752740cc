"""What letters say of a complaint's course: a question, what was done, a promise, how it ended.

Each is written when it goes, and says only what is true then.
"""

from __future__ import annotations

from services.notifier.messages.rules import Message
from services.notifier.subjects.moves import (
    DoneFix,
    LatePromise,
    Question,
    Reached,
    Resolution,
    is_asked,
    is_late,
    is_news,
    is_resolved,
    stands,
)
from services.notifier.subjects.rules import Story
from shared.contracts.complaints import Language, reference_of
from shared.contracts.lifecycle import State
from shared.contracts.notifier import Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import about, format_time, in_language

#: Where a complaint stands that was closed without the customer's doing.
CLOSED = (State.CLOSED_NO_RESPONSE, State.WITHDRAWN, State.NOT_A_COMPLAINT)


class Course:
    """The values of letters about a complaint's course."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def values(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, str]:
        """What the letter says besides greeting, site and links.

        Raises Rejected(no_longer_true), and Unavailable while a part has not come.
        """
        match message.occasion:
            case Occasion.QUESTION_ASKED:
                told = await self._question(message, story, view)
            case Occasion.FIX_DONE:
                told = await self._fix(message, story, policy, view)
            case Occasion.RESOLUTION_TOLD:
                told = await self._resolution(message, story, policy, view)
            case Occasion.PROMISE_AT_RISK | Occasion.PROMISE_BROKEN:
                told = await self._promise(message, story, policy, view)
            case Occasion.THANKED:
                told = only_if(stands(story, State.CONFIRMED))
            case Occasion.CLOSED:
                told = only_if(stands(story, *CLOSED))
                told["ended"] = story.state or State.CLOSED_NO_RESPONSE
            case Occasion.REFERRED:
                told = self._referral(story, policy, message.language)
            case _:
                # A letter to a role mailbox is written by Alarms.
                raise AssertionError(f"no letter to a customer is about {message.occasion}")
        return told | {
            "about": about(story.category, message.language),
            "reference": reference_of(message.complaint_id),
        }

    async def _question(self, message: Message, story: Story, view: View) -> dict[str, str]:
        question = await view.get(Question, message.about)
        if question is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        only_if(is_asked(story, message.about))
        words = await self._keys.open_words(
            story.customer_ref, "question", question.question, question.asked_at, view
        )
        if words is None:  # the time of words of that month is over
            raise Rejected(Reason.NO_LONGER_TRUE)
        return {"question": words}

    @staticmethod
    async def _fix(message: Message, story: Story, policy: Policy, view: View) -> dict[str, str]:
        """What was done, as the customer's page says it; empty if the policy lists the fix no more."""
        done = await view.get(DoneFix, message.about)
        if done is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        resolution = None
        if story.resolution_id is not None:
            resolution = await view.get(Resolution, story.resolution_id)
        only_if(is_news(story, done, resolution))
        fix = policy.fixes.get(done.fix)
        done_words = (fix.done or fix.title) if fix is not None else {}
        return {"fix": in_language(done_words, message.language)}

    async def _resolution(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, str]:
        resolution = await view.get(Resolution, message.about)
        if resolution is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        only_if(is_resolved(story, message.about))
        words = None
        if resolution.note is not None:
            words = await self._keys.open_words(
                story.customer_ref, "note", resolution.note, resolution.recorded_at, view
            )
        # Before this letter only the customer's own quiet hours last longer than a promise.
        due_at, by = message.due_at, story.promised_by
        waited = due_at is not None and by is not None and message.queued_at <= by < due_at
        return {
            "outcome": resolution.outcome,
            "resolution": words or "",
            "waited": "yes" if waited else "",
            "closes_at": format_time(
                resolution.closes_at, policy.timezone, message.language, view.now
            ),
        }

    async def _promise(
        self, message: Message, story: Story, policy: Policy, view: View
    ) -> dict[str, str]:
        promise = await view.get(LatePromise, message.about)
        if promise is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        reached = await view.get(Reached, message.complaint_id)
        broken = message.occasion is Occasion.PROMISE_BROKEN
        told_from = promise.promised_by if broken else message.queued_at
        only_if(is_late(story, promise, reached, told_from))
        only_if(broken or view.now < promise.promised_by)
        return {
            "promised_by": format_time(
                promise.promised_by, policy.timezone, message.language, view.now
            ),
            "taken_on": "taken" if promise.employee_id is not None else "free",
        }

    @staticmethod
    def _referral(story: Story, policy: Policy, language: Language) -> dict[str, str]:
        """The body and its page; raises Rejected(no_longer_true) also if the policy lists it no more."""
        body = policy.bodies.get(story.referred_to or "")
        only_if(stands(story, State.REFERRED_EXTERNAL) and body is not None)
        assert body is not None
        return {
            "body": in_language(body.title, language),
            "body_page": in_language(body.pages, language),
        }


def only_if(true: bool) -> dict[str, str]:
    """No values; raises Rejected(no_longer_true) if what the letter says does not hold any more."""
    if not true:
        raise Rejected(Reason.NO_LONGER_TRUE)
    return {}
