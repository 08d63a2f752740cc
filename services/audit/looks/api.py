"""The HTTP face of looks: an employee sees who looked at what the record says of them, and what for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from services.audit.chain.rules import Pseudonym
from services.audit.looks.handlers import looks_of
from shared.contracts.audit import Purpose
from shared.contracts.event import Id
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import EMPLOYEE
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Routes


class LookShown(Answer):
    """One look at what the record says of me."""

    looked_at: Annotated[datetime, Field(description="When somebody looked.")]
    by: Annotated[Id, Field(description="Who looked, by a pseudonymous id.")]
    purpose: Annotated[Purpose, Field(description="What the look was for.")]


class MyLooks(Answer):
    """The looks at an employee, the newest first, a hundred at most."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "looks": [
                        {
                            "looked_at": "2026-06-03T14:10:00Z",
                            "by": "op-7",
                            "purpose": "a signal about checks redeemed by their giver",
                        }
                    ]
                }
            ]
        }
    )

    looks: Annotated[list[LookShown], Field(description="Each look, the newest first.")]


def routes(face: Face, pseudonym: Pseudonym) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.read("/v1/me/looks", EMPLOYEE, MyLooks)
    async def get_my_looks(ask: Ask) -> MyLooks:
        """Who looked at what the record says of me, when, and what for.

        The record names me by pseudonyms; whoever wants to read what belongs to one of them says first what for.
        """
        found = await looks_of(ask.principal.subject, ask.principal.site, ask.view, pseudonym)
        return MyLooks(looks=[LookShown.about(look) for look in found])

    return to
