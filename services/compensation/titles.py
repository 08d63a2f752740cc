"""What answers about checks have in common: titles in the caller's language, and fields described once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from shared.contracts.compensation import Information, Option
from shared.contracts.event import Id
from shared.contracts.policy import Policy
from shared.runtime.http.routes import Ask
from shared.runtime.policies import Policies
from shared.runtime.words import title_of

Title = Annotated[
    str,
    Field(
        description="Its title in the site's catalogue, in the caller's language (`Accept-Language`),"
        " else in the site's first language; its id if no catalogue has it any more."
    ),
]
#: What the law says of a customer's rights, as each answer about something to give has it.
Regime = Annotated[
    Id | None,
    Field(
        description="Id, in the policy, of the law that gives the customer a right; null if none does."
    ),
]
LawText = Annotated[
    Information | None,
    Field(description="Text that this law requires us to tell the customer; null if none."),
]
LAW: JsonDict = {
    "regime": "ship-delay",
    "information": "You have the right to be told why, and to be reimbursed.",
}
#: How a percentage is shown of what was given before.
PercentGiven = Annotated[
    int | None, Field(description="Of a percentage: per cent taken off a bill; null otherwise.")
]
BillUpToGiven = Annotated[
    int | None,
    Field(
        description="Of a percentage: the largest bill it holds for, in minor units of `currency`; null otherwise."
    ),
]


class TitledOption(Option):
    """A check that can be given, with its title."""

    title: Title


def titled(options: Sequence[Option], policies: Sequence[Policy], ask: Ask) -> list[TitledOption]:
    """Options with their titles, each from the first of the policies that has the item."""
    language = ask.language(policies[0])
    return [
        TitledOption(**dict(option), title=title_of(option.item, policies, language))
        for option in options
    ]


class Titles:
    """Looks up titles in the version of the policy under which a check was given."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def policy(self, site: str, version: int | None, ask: Ask) -> Policy:
        """The policy of a version, or the one in force; raises Rejected(unknown_site), Unavailable."""
        if version is None:
            return (await self._policies.at(site, ask.view))[0]
        return await self._policies.of(site, version, ask.view)

    async def of(self, item: str, site: str, version: int | None, ask: Ask) -> str:
        """The title of one check; raises as `policy`."""
        policy = await self.policy(site, version, ask)
        return title_of(item, (policy,), ask.language(policy))
