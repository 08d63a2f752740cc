"""The policy in force: of two that were published at once the later one counts, for every process."""

from __future__ import annotations

from shared.contracts.policy import PolicyPublished
from shared.testing.builders import record
from tests.suites.services import SITE, Aboard


async def test_of_two_policies_under_one_version_the_later_counts_also_where_the_first_was_used(
    aboard: Aboard,
):
    """Two operators who publish at the same moment may get the same version."""
    ceilings = []
    for offset, factor in ((1, 2), (2, 3)):
        limits = aboard.policy.limits
        site = limits.site.model_copy(update={"per_day": limits.site.per_day * factor})
        policy = aboard.policy.model_copy(
            update={"limits": limits.model_copy(update={"site": site})}
        )
        head = PolicyPublished(site=SITE, version=2, policy=policy)
        await aboard.feed("compensation", PolicyPublished.TOPIC, [record(head, offset)])
        scopes = (await aboard.get("me/authority")).json()["scopes"]
        ceilings += [one["ceiling_minor"] for one in scopes if one["scope"] == "site_day"]
    per_day = aboard.policy.limits.site.per_day
    assert ceilings == [per_day * 2, per_day * 3]
