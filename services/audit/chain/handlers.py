"""Every fact is recorded; the heads of all chains are signed."""

from __future__ import annotations

from collections.abc import Mapping

from services.audit.chain.rules import (
    CHAINS,
    LAST,
    Chain,
    LastHeads,
    Pseudonym,
    Sign,
    Source,
    heads_signed,
    record,
)
from shared.contracts.event import Event
from shared.kernel import Decision, Fact
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View


class Chains:
    """Records facts, and signs heads."""

    def __init__(self, settler: Settler, pseudonym: Pseudonym, sign: Sign) -> None:
        self._settler = settler
        self._pseudonym = pseudonym
        self._sign = sign

    async def recorded(self, event: Event[Fact], view: View) -> Decision:
        """A fact of any owner goes on the record of its partition."""
        assert view.arrival is not None
        source = Source(*view.arrival)
        chain = await view.get(Chain, source.chain)
        if chain is None:
            last = await view.get(LastHeads, LAST)
            chain = None if last is None else last.chain(source.chain)
        return record(chain, event, source, self._pseudonym, view.now)

    async def due(self, _timer_id: str, view: View) -> Decision:
        """Sign the heads, because it is time."""
        return await self.signed(view)

    async def signed(self, view: View) -> Decision:
        """Sign the heads as they are now."""
        last, chains = await view.get(LastHeads, LAST), await self._chains()
        return Decision.of(heads_signed(chains, last, self._sign, view.now))

    async def _chains(self) -> Mapping[str, Chain]:
        """All chains, each as it was at some moment.

        Not through the view of the decision, which would conflict with every record made meanwhile.
        """
        view, found = self._settler.view(), dict[str, Chain]()
        after: Cursor | None = None
        while True:
            page = await view.range(Chain, CHAINS, after, RANGE_MAX)
            found.update(page.documents)
            if page.next is None:
                return found
            after = page.next
