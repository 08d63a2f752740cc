"""The route that tries a draft of the policy on recorded wishes."""

from __future__ import annotations

from services.compensation.whatif.handlers import TryPolicy, WhatIf
from shared.contracts.compensation import PolicyTried
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.http.auth import OF_SITE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes


def routes(face: Face, handlers: WhatIf) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.write(
        "POST",
        "/v1/policy/whatif",
        OF_SITE,
        {200: PolicyTried},
        refuses=(
            Reason.UNKNOWN_SITE,
            Reason.CURRENCY_UNKNOWN,
            Reason.TOO_MANY_RUNS,
            Reason.HISTORY_TOO_LONG,
            Reason.RUN_UNDER_WAY,
            Reason.LOG_UNAVAILABLE,
        ),
        examples={
            200: {
                "run_id": "wi-24199a388ee0750daf49447ce0889da5",
                "site": "ms-aurora",
                "by": "m-hotel",
                "draft": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "policy_version": 3,
                "period": "P30D",
                "since": "2026-05-29T00:00:00Z",
                "until": "2026-06-28T00:00:00Z",
                "day": "2026-07-01",
                "currency": "NOK",
                "groups": [
                    {
                        "item": "dinner-for-two",
                        "reason": "food",
                        "role": "restaurant",
                        "wishes": 75,
                        "granted_before": 55,
                        "granted": 65,
                        "newly_granted": 10,
                        "newly_refused": 0,
                        "stretched": 0,
                        "cost_before_minor": 2640000,
                        "cost_minor": 3120000,
                        "bound_by": {"complaint": 10},
                        "refused_for": {},
                    }
                ],
                "withheld": True,
                "wishes": 90,
                "undecided": 0,
                "tried_at": "2026-07-01T18:32:05Z",
            }
        },
    )
    async def try_policy(ask: Ask, command: TryPolicy) -> Decision:
        """What recorded wishes would have come to under a draft of my site's policy.

        Decides the wishes of the last 30 days that ended again (of three times 30 for `P90D`), under the draft in place of
        the policy: what would have been granted or refused, which limits bind, what it costs. Changes nothing but the
        record that it was asked. The answer comes when the run is done, after seconds to a minute or two; a client
        that lost it sends the same request with the same key. Wishes are told by item, reason and role, of five
        employees or more, and so is what the draft changes; counts and costs are in steps that hide what one
        employee did.
        """
        who = ask.principal
        return await handlers.run(command, who.site, who.subject, ask.name, ask.view)

    return to
