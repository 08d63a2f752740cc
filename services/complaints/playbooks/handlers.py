"""Reads the playbook of a complaint: the policy in force, for what the complaint is about now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.complaints.lifecycle.handlers import Lifecycle
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import Category, Severity
from shared.contracts.policy import Fix, Playbook, Policy
from shared.runtime.engine.view import View
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies


class Situation(NamedTuple):
    """A complaint, with the playbook for its category and severity in its site's policy.

    While somebody is in danger, `words` and the first of `fixes` are those of the playbook for safety.
    """

    complaint: Complaint
    policy: Policy
    playbook: Playbook
    words: Playbook
    fixes: Mapping[str, Fix]


class Playbooks:
    """The playbooks of complaints."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._policies = Policies()

    async def of(self, complaint_id: str, who: Principal, view: View) -> Situation:
        """What is to be said and done; raises what `Lifecycle.of_site` does."""
        complaint = await self._lifecycle.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        about = (complaint.category, complaint.severity)
        playbook = words = policy.playbook(*about)
        fixes = policy.fixes_for(*about)
        if complaint.safety:
            danger = (Category.SAFETY, Severity.SEVERE)
            words = policy.playbook(*danger)
            fixes = {**policy.fixes_for(*danger), **fixes}
        return Situation(complaint, policy, playbook, words, fixes)
