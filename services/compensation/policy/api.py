"""The routes that show the policy of a site and publish its next version."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from services.compensation.policy.handlers import PublishPolicy, SitePolicy
from services.compensation.whatif.handlers import SMALL
from shared.contracts.event import Id, SiteId
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer, matches
from shared.runtime.http.auth import OF_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import IF_MATCH, Ask, Routes


class ShownPolicy(Answer):
    """A version of a site's policy, whole."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site": "ms-aurora",
                    "version": 4,
                    "by": "m-hotel",
                    "published_at": "2026-07-01T18:32:05Z",
                    "policy": SMALL,
                }
            ]
        }
    )

    OF: ClassVar[type[Fact]] = PolicyPublished

    site: SiteId
    version: Annotated[int, Field(description="Number of the version, counted up per site from 1.")]
    by: Annotated[
        Id | None,
        Field(
            description="Who published it, by the subject of their token; null where an operator's command did."
        ),
    ] = None
    published_at: Annotated[
        datetime | None,
        Field(
            description="When it was published; null for versions from before that was recorded."
        ),
    ] = None
    policy: Annotated[Policy, Field(description="The whole policy, as its file has it.")]


class PolicySchema(Answer):
    """What a policy may say."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"json_schema": {"title": "Policy", "type": "object", "required": ["site"]}}
            ]
        }
    )

    json_schema: Annotated[
        dict[str, Any],
        Field(
            description="The JSON Schema of a policy: what each field is, its bounds, and what holds without it."
        ),
    ]


@cache
def schema() -> PolicySchema:
    """The schema of this build."""
    return PolicySchema(json_schema=Policy.model_json_schema())


def routes(face: Face, handlers: SitePolicy) -> Routes:
    """The routes."""
    to = Routes(face)

    async def shown(ask: Ask) -> ShownPolicy:
        number, version = await handlers.in_force(ask.principal.site, ask.view)
        return ShownPolicy.about(version, site=ask.principal.site, version=number)

    @to.read(
        "/v1/policy", OF_SITE, ShownPolicy, refuses=(Reason.UNKNOWN_SITE,), changed_by_tag=True
    )
    async def get_policy(ask: Ask) -> ShownPolicy:
        """The policy of my site that holds now, whole."""
        return await shown(ask)

    @to.read("/v1/policy/schema", OF_SITE, PolicySchema)
    async def get_policy_schema(_: Ask) -> PolicySchema:
        """What a policy may say: each field in words, with its bounds and its default."""
        return schema()

    @to.write(
        "PUT",
        "/v1/policy",
        OF_SITE,
        {200: ShownPolicy},
        refuses=(
            Reason.UNKNOWN_SITE,
            Reason.VERSION_MISSING,
            Reason.CHANGED_MEANWHILE,
            Reason.TOO_MANY_VERSIONS,
        ),
        tagged=True,
    )
    async def put_policy(ask: Ask, command: PublishPolicy, if_match: IF_MATCH = None) -> Decision:
        """Publish the next version of my site's policy, which holds from the next decision on.

        It is checked as an operator's file is. `If-Match` names the version that was read by its ETag, so that nobody
        takes back what a colleague or an operator published meanwhile. Who published it is on the record. A ceiling
        that is lower now refuses further checks and takes none back. The first version of a site is an operator's.
        """
        if if_match is None:
            raise Rejected(Reason.VERSION_MISSING)
        before = await handlers.in_force(ask.principal.site, ask.view)
        number, version = before
        read = ShownPolicy.about(version, site=ask.principal.site, version=number)
        if not matches(if_match, read):
            raise Rejected(Reason.CHANGED_MEANWHILE)
        return await handlers.publish(command, before, ask.principal, ask.view)

    return to
