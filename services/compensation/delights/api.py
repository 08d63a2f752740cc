"""The routes of delight: what may be given without a complaint, and giving it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field

from services.compensation.checks.api import LEFT, Answers, DoesNotFit, GivenCheck
from services.compensation.delights.handlers import Delights, GiveDelight
from services.compensation.options.api import GiftShown, Remainder
from services.compensation.staff_context import staff_keys
from services.compensation.titles import TitledOption, Titles, titled
from shared.contracts.event import Id
from shared.contracts.names import named
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.faults import Rejected
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes


class TitledOccasion(Answer):
    """An occasion on which something may be given to delight."""

    occasion: Annotated[Id, Field(description="The occasion's name in the policy.")]
    title: Annotated[str, Field(description="What it is called, in the caller's language.")]


class DelightsShown(Answer):
    """What an employee may give now to delight, best first, and what the screen shows beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "occasions": [{"occasion": "birthday", "title": "A birthday"}],
                    "options": [
                        {
                            "item": "cinema",
                            "kind": "experience",
                            "value_minor": 25000,
                            "cost_minor": 9000,
                            "currency": "NOK",
                            "fits_reason": False,
                            "why": "fits_authority",
                            "title": "An evening at the cinema for two",
                        }
                    ],
                    "left": [
                        {
                            **LEFT,
                            "scope": "delight",
                            "ceiling_minor": 1000000,
                            "until": "2026-06-08T06:00:00+02:00",
                        }
                    ],
                    "history": [],
                }
            ]
        }
    )

    occasions: Annotated[
        list[TitledOccasion],
        Field(description="The occasions of the site; none if it gives nothing to delight."),
    ]
    options: Annotated[
        list[TitledOption], Field(description="The checks that may be given, best first.")
    ]
    left: Annotated[list[Remainder], Field(description="What is left of each limit.")]
    history: Annotated[list[GiftShown], Field(description="What the customer was given before.")]


def routes(face: Face, handlers: Delights, titles: Titles, answers: Answers) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/delights", EMPLOYEE, DelightsShown, in_languages=True)
    async def list_delights(
        ask: Ask,
        customer: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    ) -> DelightsShown:
        """What I may give now without a complaint, to delight: the occasions, and checks, best first."""
        if customer is not None and named(customer) is None:
            raise Rejected(Reason.SCHEMA_INVALID, where=("/customer",))
        found = await handlers.possible(customer, ask.principal, ask.view)
        policy = found.policy
        language = ask.language(policy)
        occasions = policy.delight.occasions if policy.delight is not None else {}
        return DelightsShown(
            occasions=[
                TitledOccasion(occasion=name, title=one.title.get(language, name))
                for name, one in occasions.items()
            ],
            options=titled(found.options, (policy,), ask),
            left=[
                Remainder(
                    scope=limit.scope,
                    ceiling_minor=limit.ceiling_minor,
                    left_minor=found.left[limit.scope],
                    until=limit.until,
                )
                for limit in found.limits
            ],
            history=[
                GiftShown.about(one, title=await titles.of(one.item, one.site, None, ask))
                for one in found.history
            ],
        )

    @to.write(
        "POST",
        "/v1/delights",
        EMPLOYEE,
        {201: GivenCheck, 409: DoesNotFit},
        shows=answers,
        reads=lambda principal, _: staff_keys(principal),
        in_languages=True,
        refuses=(
            Reason.UNKNOWN_OCCASION,
            Reason.AMOUNT_NOT_OFFERED,
            Reason.CURRENCY_UNKNOWN,
            Reason.WRAPPING_KEY_MISSING,
            Reason.CUSTOMER_ERASED,
        ),
    )
    async def give_delight(ask: Ask, command: GiveDelight) -> Decision:
        """Give a check to delight a customer who did not complain: 201 with its code, or 409 with checks that fit.

        It has the basis `delight` and is charged to the employee's authority, the limits of the customer and of the
        site, and the site's budget for delight. No complaint comes of it, and nobody is asked whether it helped.
        """
        return await handlers.give(command, ask.principal, ask.name, ask.view)

    return to
