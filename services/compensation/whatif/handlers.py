"""Tries a draft of the policy on the wishes of the last days; records that, and changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.compensation.authority.windows import windows_of
from services.compensation.staff_context import ContextLoader
from services.compensation.whatif.rules import (
    BLOCK,
    RUNS_MAX,
    Of,
    Tally,
    Wish,
    blocks_of,
    employees_of,
    groups_of,
    number_of,
    runs_account,
    wish_of,
)
from services.compensation.whatif.trial import HEARD, Trial
from shared.contracts.compensation import Period, PolicyTried
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.history import ReadHistory
from shared.runtime.policy_file import Draft

#: Facts from so long before the first wish are read as well, because limits of customers and complaints
#: count what was given before: longer than most stays, and than a complaint goes on.
BEFORE = timedelta(days=92)
#: Records that one run reads: a minute and a half of one core if all are of the site, and the memory of the
#: checks of a large site.
RECORDS_MAX = 500_000
#: Events after which others of this process get their turn: a few milliseconds.
AT_ONCE = 20
#: When to ask again while another run is under way, in seconds.
RETRY_AFTER_S = 15

#: The shortest policy there is, for the API document.
SMALL: dict[str, Any] = {
    "site": "ms-aurora",
    "site_name": "Aurora",
    "currency": "NOK",
    "timezone": "Europe/Oslo",
    "languages": ["en"],
    "authority": {"roles": {"any": {"per_check": 150000, "per_day": 200000}}},
    "limits": {
        "customer": {"per_stay": 500000},
        "complaint": {"total": 400000},
        "site": {"per_day": 6000000},
    },
    "checks": {
        "sincere-words": {
            "kind": "apology",
            "valid": "P7D",
            "title": {"en": "Sincere words"},
        }
    },
    "notify": {"mail_from": "care@example.org"},
}
#: Wishes by group.
Tallies = defaultdict[Of, Tally]
#: Told how many records were read, of how many.
Told = Callable[[int, int], None]


class TryPolicy(BaseModel):
    """Try a draft of the site's policy on recorded wishes."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"draft": SMALL, "since": "P30D"}]},
    )

    draft: Annotated[
        Draft,
        Field(
            description="The draft: a whole policy, as its file has it; unknown fields are refused."
        ),
    ]
    since: Annotated[
        Period,
        Field(description="Over which time: the last 30 days, or three times 30, that ended."),
    ] = Period.MONTH


def untold(_done: int, _total: int) -> None:
    """Tell nobody of the progress."""


class WhatIf:
    """Tries drafts, one at a time."""

    def __init__(self, context: ContextLoader, read: ReadHistory) -> None:
        self._context = context
        self._read = read
        self._turn = asyncio.Lock()

    async def run(
        self,
        command: TryPolicy,
        site: str,
        by: str | None,
        name: str,
        view: View,
        told: Told = untold,
    ) -> Decision:
        """Decide recorded wishes again under a draft; raises Rejected, Unavailable.

        Waits for Kafka, and takes seconds to minutes.
        """
        policy, version = await self._context.policies.at(site, view)
        draft = command.draft
        if draft.site != site:
            raise Rejected(Reason.UNKNOWN_SITE, where=("/draft/site",))
        if draft.currency != policy.currency:
            raise Rejected(Reason.CURRENCY_UNKNOWN, where=("/draft/currency",))
        today = windows_of(policy, view.now).day
        day, account = today.id, runs_account(site, today.id)
        if (await view.balances([account]))[account] >= RUNS_MAX:
            left_s = ceil((today.until - view.now).total_seconds())
            raise Unavailable(Reason.TOO_MANY_RUNS, retry_after_s=left_s)
        if self._turn.locked():
            raise Unavailable(Reason.RUN_UNDER_WAY, retry_after_s=RETRY_AFTER_S)
        since, until = blocks_of(command.since, view.now)
        async with self._turn:
            tallies, left_out = await self._decide(draft, since, until, told)
        groups, withheld = groups_of(tallies.values())
        return Decision(
            (
                PolicyTried(
                    run_id=f"wi-{name}",
                    site=site,
                    by=by,
                    draft=sha256(draft.model_dump_json().encode()).hexdigest(),
                    policy_version=version,
                    period=command.since,
                    since=since,
                    until=until,
                    day=day,
                    currency=draft.currency,
                    groups=tuple(groups),
                    withheld=withheld,
                    wishes=number_of(employees_of(one.values()) for one in tallies.values()),
                    undecided=number_of(left_out.values()),
                    tried_at=view.now,
                ),
            ),
            {account: RUNS_MAX},
        )

    async def _decide(
        self, draft: Policy, since: datetime, until: datetime, told: Told
    ) -> tuple[dict[int, Tallies], dict[int, Counter[str]]]:
        """By block, the wishes by group, and how many of which employee could not be decided."""
        trial = Trial(lambda _: draft)
        tallies = defaultdict[int, Tallies](lambda: defaultdict(Tally))
        left_out, heard = defaultdict[int, Counter[str]](Counter), 0
        # Most facts are of other sites, or of a type that changes no decision: they are not parsed.
        mark = b'"site":"%s"' % draft.site.encode()
        async for events, done, total in self._read(since - BEFORE, RECORDS_MAX):
            for event in events:
                kind = HEARD.get(event.type.decode()) if mark in event.data else None
                fact = kind.model_validate_json(event.data) if kind is not None else None
                if fact is None or getattr(fact, "site", "") != draft.site:
                    continue
                wish = wish_of(fact)
                if wish is not None and wish.at >= until:
                    continue
                verdict = await trial.hear(fact, since=since)
                if wish is not None and wish.at >= since:
                    block = (wish.at - since) // BLOCK
                    if verdict is not None:
                        tallies[block][_of(wish)].count(wish, verdict)
                    else:
                        left_out[block][wish.employee_id] += 1
                heard += 1
                if heard % AT_ONCE == 0:
                    await asyncio.sleep(0)
            told(done, total)
        return tallies, left_out


def _of(wish: Wish) -> Of:
    return Of(wish.item.partition("/")[0], wish.reason, wish.role or "", wish.granted)
