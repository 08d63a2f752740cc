"""The policy as a service sees it: the version in force per site, parsed once per version.

A decision reads the small head document, so a new version applies from the next decision on, and a
decision that raced with it is taken again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from shared.contracts.event import fingerprint
from shared.contracts.policy import Policy, PolicyPublished
from shared.contracts.reasons import Reason
from shared.kernel import Document, Fact, Fold, Schema
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import Handler, Inbox

#: Parsed policies cached, by site and version; a cache that is full is cleared.
REMEMBERED_MAX = 1000


class PolicyHead(Document):
    """Which version is in force at a site."""

    KIND: ClassVar[str] = "policy"
    SCHEMA: ClassVar[Schema] = Schema(2)
    LASTS: ClassVar[bool] = True

    version: int
    #: Which policy it is: two that were published at once may have one version, and the later one counts.
    digest: str = ""
    #: When it was published; None if that was before it was recorded.
    published_at: datetime | None = None


class PolicyVersion(Document):
    """One published version, whole."""

    KIND: ClassVar[str] = "policy-version"
    SCHEMA: ClassVar[Schema] = Schema(5)
    LASTS: ClassVar[bool] = True

    policy: Policy
    #: Who published it, and when; None if an operator did, or it was before that was recorded.
    by: str | None = None
    published_at: datetime | None = None


def head_of(head: PolicyHead | None, fact: PolicyPublished) -> PolicyHead:
    """The policy in force from now on."""
    if head is not None and _is_older(fact, head):
        return head
    digest = fingerprint("policy", fact.policy.model_dump_json())
    return PolicyHead(version=fact.version, digest=digest, published_at=fact.published_at)


def version_of(version: PolicyVersion | None, fact: PolicyPublished) -> PolicyVersion:
    """The policy that was published under this number last."""
    if version is not None and _is_older(fact, version):
        return version
    return PolicyVersion(policy=fact.policy, by=fact.by, published_at=fact.published_at)


def _is_older(fact: PolicyPublished, known: PolicyHead | PolicyVersion) -> bool:
    """Whether a newer version is known: there are two writers, and earlier ones lie in another partition."""
    if known.published_at is None:
        return False
    return fact.published_at is None or fact.published_at < known.published_at


POLICY_FOLDS: Mapping[type[Fact], Sequence[Fold]] = {
    PolicyPublished: (
        Fold(PolicyHead, lambda fact: fact.site, head_of),
        Fold(
            PolicyVersion,
            lambda fact: f"{fact.site}/{fact.version}",
            version_of,
        ),
    )
}
POLICY_INBOX = Inbox(PolicyPublished.TOPIC, [Handler(PolicyPublished)], ahead=True)


class Policies:
    """Parsed policies by site and version."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, int, str], Policy] = {}

    async def at(self, site: str, view: View) -> tuple[Policy, int]:
        """The policy in force and its version; raises Rejected(unknown_site), Unavailable."""
        head = await self._head(site, view)
        return await self.of(site, head.version, view), head.version

    async def of(self, site: str, version: int, view: View) -> Policy:
        """A version that is or was in force; raises Rejected(unknown_site), Unavailable.

        The topic keeps the latest version alone, so after a rebuild older ones are gone, and the one
        in force is returned instead.
        """
        head = await self._head(site, view)
        key = site, version, head.digest if version == head.version else ""
        parsed = self._parsed.get(key)
        if parsed is None:
            stored = await view.get(PolicyVersion, f"{site}/{version}")
            if stored is None:
                if head.version == version:
                    msg = f"policy {site}/{version} is in force and not stored"
                    raise AssertionError(msg)
                return await self.of(site, head.version, view)
            if len(self._parsed) >= REMEMBERED_MAX:
                self._parsed.clear()
            parsed = self._parsed[key] = stored.policy
        return parsed

    @staticmethod
    async def _head(site: str, view: View) -> PolicyHead:
        head = await view.get(PolicyHead, site)
        if head is None:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/data/site",))
        return head
