"""What a site asks after a close, and what the customer answers."""

from __future__ import annotations

from collections.abc import Mapping

from services.notifier.messages.links import Links
from services.notifier.preferences.handlers import language_of
from services.notifier.subjects.rules import Story
from services.notifier.survey.page import Shown
from services.notifier.survey.rules import Surveyed, answer, close_of
from shared.contracts.policy import Policy, SurveyQuestion
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.pages import Addressee
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.words import spoken


class Surveys:
    """Opens the link of a survey, and takes the answers."""

    def __init__(self, links: Links, keys: Keys) -> None:
        self._links = links
        self._keys = keys
        self._policies = Policies()

    async def addressee_of(self, token: str, view: View) -> Addressee | None:
        """Whose link it is, also of an expired one; None if it is not ours."""
        story = await view.get(Story, self._links.surveyed(token))
        return Addressee(await language_of(story, view), story.site) if story else None

    def read(self, token: str) -> tuple[str, int]:
        """Complaint and round of a link's token; raises Rejected(link_invalid)."""
        return self._links.read_survey(token)

    async def shown(self, token: str, view: View) -> Shown:
        """What the page shows; raises Rejected(link_invalid), also if the site asks nothing or the customer was erased."""
        complaint_id, round_ = self.read(token)
        story, policy = await self._opened(complaint_id, view)
        answered = await view.get(Surveyed, close_of(complaint_id, round_)) is not None
        language = spoken(await language_of(story, view), policy)
        return Shown(language, policy.site_name, policy.survey, answered)

    async def answer(
        self,
        token: str,
        questions: Mapping[str, SurveyQuestion],
        scores: Mapping[str, int],
        view: View,
    ) -> Decision:
        """What the customer answered to the questions that they were shown, once for each close.

        Raises Rejected(link_invalid, already_answered).
        """
        complaint_id, round_ = self.read(token)
        story, _ = await self._opened(complaint_id, view)
        if await view.get(Surveyed, close_of(complaint_id, round_)) is not None:
            raise Rejected(Reason.ALREADY_ANSWERED)
        return answer(story, complaint_id, round_, questions, scores, view.now)

    async def _opened(self, complaint_id: str, view: View) -> tuple[Story, Policy]:
        story = await view.get(Story, complaint_id)
        if story is None or await self._keys.erased(story.customer_ref, view):
            raise Rejected(Reason.LINK_INVALID)
        policy, _ = await self._policies.at(story.site, view)
        if not policy.survey:
            raise Rejected(Reason.LINK_INVALID)
        return story, policy
