"""Takes looks, and finds those at an employee."""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.chain.handlers import on_record
from services.audit.chain.rules import Pseudonym
from services.audit.looks.rules import SHOWN_MAX, Look, looks_at, months
from shared.contracts.audit import LookTaken
from shared.kernel import Decision
from shared.runtime.engine.view import View


async def take(look: LookTaken, view: View, pseudonym: Pseudonym) -> Decision:
    """A look goes on the record; raises Unavailable."""
    return Decision(await on_record([look], view, pseudonym))


async def looks_of(employee_id: str, site: str, view: View, pseudonym: Pseudonym) -> Sequence[Look]:
    """The newest looks at an employee of a site, by the pseudonym of any month; raises Unavailable."""
    found: list[Look] = []
    for month in months(view.now):
        person = pseudonym(site, month, employee_id)
        page = await view.range(Look, looks_at(person), None, SHOWN_MAX)
        found += (look for _, look in page.documents)
    return sorted(found, key=lambda one: one.looked_at, reverse=True)[:SHOWN_MAX]
