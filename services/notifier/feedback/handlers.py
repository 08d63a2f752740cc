"""What customers answer, and the page that asks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from services.notifier.feedback.page import Next, Shown
from services.notifier.feedback.rules import Answer, on_page, take_answer
from services.notifier.messages.letters import CLOSED, SAFETY, Letters, common, gravity_of
from services.notifier.messages.links import Links
from services.notifier.preferences.handlers import contact_of, language_of
from services.notifier.subjects.moves import OURS, Reached, stands
from services.notifier.subjects.rules import TAKEN, CheckLife, GivenCheck, Standing, Story
from services.notifier.survey.rules import Surveyed, close_of
from services.notifier.wording.wording import Wording
from shared.contracts.compensation import Basis
from shared.contracts.complaints import Language, reference_of
from shared.contracts.lifecycle import OPEN
from shared.contracts.notifier import FeedbackReceived, Helped, Occasion
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.pages import Addressee
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import format_money, format_time, say, spoken, standing

#: Where nothing is left of a check: whether it helped is not asked any more.
ENDED = (Standing.VOIDED, Standing.EXPIRED)
#: What else a fact with an answer causes, for who gave the check.
ToldOf = Callable[[FeedbackReceived, View], Awaitable[Sequence[Fact]]]


class Feedback:
    """Shows what a customer was given, and takes their answer."""

    def __init__(
        self,
        settler: Settler,
        keys: Keys,
        letters: Letters,
        links: Links,
        wording: Wording,
        told_of: ToldOf,
        preferences: Callable[[str, datetime], str],
    ) -> None:
        """`preferences` makes the link where a customer says how we write to them, from the complaint's id and when it is shown."""
        self._settler = settler
        self._keys = keys
        self._letters = letters
        self._links = links
        self._wording = wording
        self._told_of = told_of
        self._preferences = preferences
        self._policies = Policies()

    async def answer(
        self, complaint_id: str, check_id: str, helped: Helped, line: str, view: View
    ) -> Decision:
        """The customer's answer, with a line if it is not empty.

        Raises Rejected(already_answered) if there was one, unless a line comes with the same answer that did not come
        before, and Rejected(too_many_words) for more lines than a day takes. Raises Rejected(link_invalid) if the customer was erased: nobody could be written to; and for a check that was
        given to delight: nothing was to be helped.
        """
        await view.prefetch(
            [Answer.key(check_id), Story.key(complaint_id), GivenCheck.key(check_id)]
        )
        check = await view.get(GivenCheck, check_id)
        if check is not None and check.delight is not None:
            raise Rejected(Reason.LINK_INVALID)
        answered = await self._answered(complaint_id, check_id, view)
        story = await view.get(Story, complaint_id)
        if story is not None and await self._keys.erased(story.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        if answered is not None:
            if story is None or not line or answered.helped is not helped:
                raise Rejected(Reason.ALREADY_ANSWERED)
            await self._takes(answered, line, story, view)
        created: Sequence[Fact] = ()
        sealed = None
        if story is not None and line:
            seals = await self._keys.seals(story.customer_ref, story.site, view)
            created, sealed = seals.created, seals.words.seal("line", line)
        taken = take_answer(
            story,
            complaint_id,
            check_id,
            helped,
            view.now,
            sealed,
            added_line=answered is not None,
        )
        # The answer is the last fact, which is what is answered with.
        return Decision.of(*created, *await self._told_of(taken, view), taken)

    async def _takes(self, answered: Answer, line: str, story: Story, view: View) -> None:
        """Raises Rejected if an answer has this line already, or has as many as a day takes."""
        for one in answered.lines:
            known = await self._keys.open_words(story.customer_ref, "line", one.line, one.at, view)
            if known == line:
                raise Rejected(Reason.ALREADY_ANSWERED)
        if answered.is_full(view.now):
            raise Rejected(Reason.TOO_MANY_WORDS)

    async def answered(self, complaint_id: str, check_id: str) -> Helped | None:
        """What the customer answered about a check, or on the complaint's page; None if neither. Raises Unavailable."""
        answer = await self._answered(complaint_id, check_id, self._settler.view())
        return answer.helped if answer else None

    async def _answered(self, complaint_id: str, check_id: str, view: View) -> Answer | None:
        """The answer about a check; otherwise the one on the page of its complaint, or of the one that it went into."""
        answer = await view.get(Answer, check_id)
        story = await view.get(Story, complaint_id)
        if answer is not None or story is None:
            return answer
        reached = [await view.get(Reached, complaint_id)]
        head = await self._goes_on(story, view)
        if head is not story and story.merged_into is not None:
            reached.append(await view.get(Reached, story.merged_into))
        given = [one.at for one in reached if one is not None]
        return on_page(head, given)

    @staticmethod
    async def _goes_on(story: Story, view: View) -> Story:
        """The complaint of the same customer that it went into; itself if it went into none, or into another's."""
        if story.merged_into is None:
            return story
        head = await view.get(Story, story.merged_into)
        return head if head is not None and head.customer_ref == story.customer_ref else story

    async def opened(self, token: str, view: View) -> tuple[str, str]:
        """Complaint and check of a link; raises Rejected(link_invalid), and Unavailable while the check has not come."""
        check_id = self._links.read(token)
        check = await view.get(GivenCheck, check_id)
        if check is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        return check.complaint_id, check_id

    async def addressee_of(self, token: str, view: View) -> Addressee | None:
        """Whose link it is, also of an expired one; None if it is not ours. Raises Unavailable."""
        check = await view.get(GivenCheck, self._links.check_of(token))
        story = await view.get(Story, check.complaint_id) if check is not None else None
        return Addressee(await language_of(story, view), story.site) if story else None

    async def shown(self, complaint_id: str, check_id: str) -> Shown:
        """What a check's page shows: everything that its letter says.

        Raises Unavailable while a part has not come, Rejected(link_invalid) if the customer was erased.
        """
        view = self._settler.view()
        story = await view.get(Story, complaint_id)
        check = await view.get(GivenCheck, check_id)
        if story is None or check is None:
            raise Unavailable(Reason.STORY_NOT_YET_KNOWN)
        key = await self._keys.of(story.customer_ref, view)
        if key is None:
            raise Rejected(Reason.LINK_INVALID)
        policy, _ = await self._policies.at(story.site, view)
        contact = await contact_of(story, self._keys, view)
        life = await view.get(CheckLife, check_id) or CheckLife()
        now = life.standing(check, view.now)
        language = spoken(await language_of(story, view), policy)
        usable = now in TAKEN
        gift = await self._letters.gift(check, policy, language, key, view, usable=usable)
        answer = await self._answered(complaint_id, check_id, view)
        head = await self._goes_on(story, view)
        values = {**common(story, policy, language), **gift, "feedback_url": "", "mine_url": ""}
        reachable = policy.notify.reaches(contact)
        if reachable:
            values["preferences_url"] = self._preferences(complaint_id, view.now)
        closes = answer is not None and answer.closes(head)
        values["closed"] = "yes" if head.state in CLOSED or closes else ""
        head_id = story.merged_into if head is not story else None
        about = head_id or complaint_id
        reached = await view.get(Reached, about)
        survey_path = await self._survey(about, head, policy, view) if closes else ""
        return Shown(
            language=language,
            timezone=policy.timezone,
            site_name=policy.site_name,
            # Without the customer's name, because the link may be passed on.
            letter=self._wording.outline(Occasion.CHECK_GIVEN, language, values),
            title=str(gift["title"]),
            reference=reference_of(complaint_id),
            standing=told_of(now, life, check, policy, language),
            usable=usable,
            code_url=self._links.code(check_id, language, check.valid_until),
            reachable=reachable,
            asks=check.delight is None and now not in ENDED,
            withdrawn=() if now is not Standing.VOIDED else withdrawn(check, life, language),
            danger=SAFETY in (gravity_of(story), gravity_of(head)) and stands(head, *OPEN),
            helped=answer.helped if answer else None,
            # What is still to do is promised with the complaint that goes on.
            hears=next_word(answer, head, reached, view.now) if answer else Next(),
            survey=policy.survey if survey_path else {},
            survey_path=survey_path,
        )

    async def _survey(self, complaint_id: str, story: Story, policy: Policy, view: View) -> str:
        """Where the site's questions about a close are answered; empty if it asks none, or they were answered."""
        if not policy.survey:
            return ""
        if await view.get(Surveyed, close_of(complaint_id, story.round)) is not None:
            return ""
        return self._links.survey_path(complaint_id, story.round, view.now)


def withdrawn(check: GivenCheck, life: CheckLife, language: Language) -> Sequence[str]:
    """What the page of a check says that was taken back, as its letter does: the mistake is ours, and what stays."""
    used = ("used",) if life.redeemed_minor else ()
    law = ("law",) if check.basis is Basis.STATUTORY else ()
    parts = ("mistake", *used, "stays", *law)
    return [say(language, f"letter.check_withdrawn.{part}") for part in parts]


def next_word(answer: Answer, story: Story, reached: Reached | None, now: datetime) -> Next:
    """When the customer hears from us next; missed if that was promised for a time that is over, and they wait still.

    What they were given or offered between their answer and that time kept the promise.
    """
    by = answer.promise(story)
    if by is None:
        return Next()
    since = answer.answered_at
    kept = reached is not None and since is not None and since < reached.at <= by
    if not stands(story, *OPEN) or (by <= now and (kept or not stands(story, *OURS))):
        return Next(over=True)
    return Next(by, missed=by <= now)


def told_of(
    now: Standing, life: CheckLife, check: GivenCheck, policy: Policy, language: Language
) -> str:
    """One sentence on what became of a check; empty while it is unchanged."""
    match now:
        case Standing.USED if life.redeemed_at:
            value = format_time(life.redeemed_at, policy.timezone, language)
        case Standing.PARTLY_USED:
            value = format_money(life.left_minor(check), check.currency, language)
        case Standing.EXPIRED:
            value = format_time(check.valid_until, policy.timezone, language)
        case _:
            value = ""
    return standing(now, language, value)
