"""Reads the playbook of a complaint: the policy in force, for what the complaint is about now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.complaints.customer.profiles import Profiles
from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import Category, Severity
from shared.contracts.intake import Need
from shared.contracts.policy import Fix, Playbook, Policy
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies


class Situation(NamedTuple):
    """A complaint, with what its site's policy says and suggests for its category and severity, and what its customer needs.

    While somebody is in danger, `words` and the first of `fixes` are those of the playbook for safety.
    """

    complaint: Complaint
    policy: Policy
    suggested: tuple[str, ...]
    words: Playbook
    fixes: Mapping[str, Fix]
    needs: tuple[Need, ...]


class Playbooks:
    """The playbooks of complaints."""

    def __init__(self, lifecycle: Lifecycle, profiles: Profiles) -> None:
        self._profiles = profiles
        self._lifecycle = lifecycle
        self._policies = Policies()

    async def of(self, complaint_id: str, who: Principal, view: View) -> Situation:
        """What is to be said and done; raises what `Lifecycle.of_site` does."""
        complaint = await self._lifecycle.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        about = (complaint.category, complaint.severity)
        words = policy.playbook(*about)
        fixes = policy.fixes_for(*about)
        if complaint.safety:
            danger = (Category.SAFETY, Severity.SEVERE)
            words = policy.playbook(*danger)
            fixes = {**policy.fixes_for(*danger), **fixes}
        left = complaint.stay_ends_at is not None and complaint.stay_ends_at <= view.now
        suggested = policy.suggested(*about, complaint.segment, left=left)
        profile = await self._profiles.of(complaint.customer_ref, complaint.site, view)
        return Situation(complaint, policy, suggested, words, fixes, profile.needs)
