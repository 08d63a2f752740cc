"""A site's policy: read with its version, and published as the next one."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.staff_context import ContextLoader
from services.compensation.whatif.handlers import SMALL
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.http.auth import Principal
from shared.runtime.policies import PolicyVersion
from shared.runtime.policy_file import Draft

#: Versions that one site publishes in `A_DAY`: each is kept whole by every service, for as long as the site is.
VERSIONS_MAX = 20
A_DAY = timedelta(hours=24)
#: The smallest difference between the times of two versions.
MOMENT = timedelta(microseconds=1)


class PublishPolicy(BaseModel):
    """Make a policy the next version of the site's."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"policy": SMALL}]}
    )

    policy: Annotated[
        Draft,
        Field(description="The whole policy, as its file has it; unknown fields are refused."),
    ]


class SitePolicy:
    """Reads a site's policy and decides about its next version."""

    def __init__(self, context: ContextLoader) -> None:
        self._context = context

    async def in_force(self, site: str, view: View) -> tuple[int, PolicyVersion]:
        """The version that holds now, by its number; raises Rejected(unknown_site), Unavailable."""
        policy, number = await self._context.policies.at(site, view)
        stored = await view.get(PolicyVersion, f"{site}/{number}")
        return number, stored or PolicyVersion(policy=policy)

    async def publish(
        self, command: PublishPolicy, before: tuple[int, PolicyVersion], who: Principal, view: View
    ) -> Decision:
        """The version after the one `before`, from now on; raises Rejected(unknown_site), Unavailable(too_many_versions).

        The commit expects the head of the site's policy as it was read, so of two at once one is the next.
        """
        site, (number, version) = who.site, before
        if command.policy.site != site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/policy/site",))
        await self._not_too_often(site, number, view)
        return Decision.of(
            PolicyPublished(
                site=site,
                version=number + 1,
                policy=command.policy,
                by=who.subject,
                # Later than the version before, or one from a clock ahead of ours would win over this.
                published_at=max(view.now, version.published_at + MOMENT)
                if version.published_at is not None
                else view.now,
            )
        )

    @staticmethod
    async def _not_too_often(site: str, number: int, view: View) -> None:
        """Raise Unavailable where the version so many before is of less than a day ago."""
        earlier = await view.get(PolicyVersion, f"{site}/{number + 1 - VERSIONS_MAX}")
        if earlier is None or earlier.published_at is None:
            return
        left = earlier.published_at + A_DAY - view.now
        if left > timedelta(0):
            raise Unavailable(Reason.TOO_MANY_VERSIONS, retry_after_s=ceil(left.total_seconds()))
