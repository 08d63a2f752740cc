"""Names the causes of complaints, records what was done about them, and says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from services.complaints.causes.rules import (
    COMPARED,
    WEEKS,
    Action,
    CauseActions,
    NamedCause,
    came_back,
    cause_id,
    counted,
    monday,
    name_cause,
    weeks_after,
    weeks_before,
    weighed,
)
from services.complaints.colleagues.handlers import NAMED_MAX
from services.complaints.lifecycle.handlers import Line
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import CauseActionTaken
from shared.contracts.policy import Cause, ItemId, Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.seal import Vault
from shared.runtime.roster import of_site


class NameCause(BaseModel):
    """What a complaint is put down to."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"cause": "kitchen-queue"}]}
    )

    cause: Annotated[ItemId, Field(description="The cause, by its name in the site's policy.")]


class ActOnCause(BaseModel):
    """What was done about a cause."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"cause": "kitchen-queue", "note": "Two more at the grill from six to nine."}
            ]
        },
    )

    cause: Annotated[ItemId, Field(description="The cause, by its name in the site's policy.")]
    note: Annotated[Line, Field(description="What was done, in your words.")]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action: complaints a week before and after it, and how often the cause came back."""

    action: Action
    note: str | None
    before_per_week: float
    #: None until a whole week after it is over.
    after_per_week: float | None
    came_back: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A cause of the site, with the complaints of the last weeks that were put down to it."""

    name: str
    cause: Cause
    weight: int
    by_week: Sequence[tuple[date, int]]
    last: Outcome | None

    @property
    def complaints(self) -> int:
        """How many they are."""
        return sum(number for _, number in self.by_week)


class Causes:
    """The causes of a site."""

    def __init__(self, vault: Vault) -> None:
        self._keys = Keys(vault)
        self._pseudonyms = vault.pseudonyms
        self._policies = Policies()

    async def name(
        self, complaint_id: str, command: NameCause, who: Principal, view: View
    ) -> Decision:
        """Put a complaint of the caller's site down to a cause, in place of the one named before.

        Raises Rejected(unknown_employee, unknown_complaint, unknown_cause, cause_named), Unavailable.
        """
        await of_site(who, view)
        complaint = await view.require(
            Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, site=who.site
        )
        policy, version = await self._known(command.cause, who, view)
        actions = await view.get(CauseActions, cause_id(who.site, command.cause))
        received_at = complaint.received_at
        decision = name_cause(
            await view.get(NamedCause, complaint_id),
            actions or CauseActions(),
            command.cause,
            complaint_id=complaint_id,
            site=who.site,
            by=who.subject,
            severity=complaint.severity,
            received_at=received_at,
            week=_week(received_at or view.now, policy),
            policy_version=version,
            now=view.now,
        )
        if not decision.facts:
            raise Rejected(Reason.CAUSE_NAMED)
        return decision

    async def act(self, command: ActOnCause, who: Principal, name: str, view: View) -> Decision:
        """Record what was done about a cause of the caller's site, sealed under a key of the site and the month.

        Raises Rejected(unknown_employee, unknown_cause), Unavailable.
        """
        await of_site(who, view)
        policy, version = await self._known(command.cause, who, view)
        seals = await self._keys.seals(self._ref(who.site), who.site, view)
        taken = CauseActionTaken(
            action_id=f"ca-{name}",
            site=who.site,
            cause=command.cause,
            by=who.subject,
            note=seals.words.seal("note", command.note),
            until=view.now + policy.causes_come_back_within,
            policy_version=version,
            taken_at=view.now,
        )
        return Decision((*seals.created, taken))

    async def ranked(self, who: Principal, view: View) -> tuple[Policy, Sequence[Ranked]]:
        """The causes of the caller's site: those of the most and the worst complaints first.

        Raises Rejected(unknown_employee, unknown_site), Unavailable.
        """
        await of_site(who, view)
        policy, _ = await self._policies.at(who.site, view)
        this = _week(view.now, policy)
        shown = [*weeks_before(this, WEEKS - 1), this]
        await view.prefetch(
            [CauseActions.key(cause_id(who.site, one)) for one in policy.causes],
            [
                account(who.site, one, week.isoformat())
                for one in policy.causes
                for week in shown
                for account in (counted, weighed)
            ],
        )
        found = [
            await self._ranked(name, cause, shown, policy, view)
            for name, cause in policy.causes.items()
        ]
        return policy, sorted(found, key=lambda one: (-one.weight, one.name))

    async def _ranked(
        self, name: str, cause: Cause, shown: Sequence[date], policy: Policy, view: View
    ) -> Ranked:
        site = policy.site
        actions = await view.get(CauseActions, cause_id(site, name)) or CauseActions()
        accounts = {
            week: (counted(site, name, week.isoformat()), weighed(site, name, week.isoformat()))
            for week in shown
        }
        balances = await view.balances(list(chain.from_iterable(accounts.values())))
        return Ranked(
            name,
            cause,
            weight=sum(balances[weight] for _, weight in accounts.values()),
            by_week=[(week, balances[number]) for week, (number, _) in accounts.items()],
            last=await self._outcome(actions.last, name, shown[-1], policy, view)
            if actions.last is not None
            else None,
        )

    async def _outcome(
        self, action: Action, cause: str, this: date, policy: Policy, view: View
    ) -> Outcome:
        then = _week(action.taken_at, policy)
        before, after = weeks_before(then, COMPARED), weeks_after(then, this)
        named = {week: counted(policy.site, cause, week.isoformat()) for week in (*before, *after)}
        back = came_back(action.action_id)
        balances = await view.balances([*named.values(), back])

        def per_week(weeks: Sequence[date]) -> float:
            return round(sum(balances[named[week]] for week in weeks) / len(weeks), 1)

        return Outcome(
            action,
            note=await self._keys.open_words(
                self._ref(policy.site), "note", action.note, action.taken_at, view
            ),
            before_per_week=per_week(before),
            after_per_week=per_week(after) if after else None,
            came_back=balances[back],
        )

    async def _known(self, cause: str, who: Principal, view: View) -> tuple[Policy, int]:
        policy, version = await self._policies.at(who.site, view)
        if cause not in policy.causes:
            known = tuple(policy.causes)[:NAMED_MAX]
            raise Rejected(Reason.UNKNOWN_CAUSE, where=("/cause",), told={"causes": known})
        return policy, version

    def _ref(self, site: str) -> str:
        """Whose keys seal what was done about a site's causes: it is about no customer."""
        return self._pseudonyms.customer("/causes", site)


def _week(moment: datetime, policy: Policy) -> date:
    """The week of a moment by the site's calendar, named by its Monday."""
    return monday(moment.astimezone(ZoneInfo(policy.timezone)).date())
