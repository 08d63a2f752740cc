"""Every fact is recorded, also those that audit makes itself; the heads of all chains are signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.audit.chain.rules import (
    CHAINS,
    LAST,
    Chain,
    LastHeads,
    Pseudonym,
    Sign,
    Source,
    chain_of,
    chained,
    heads_signed,
    notice_recorded,
    record,
)
from shared.contracts.audit import Notice
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


async def on_record(notices: Sequence[Notice], view: View, pseudonym: Pseudonym) -> Sequence[Fact]:
    """Each notice behind its record: what the decision that makes them consists of; raises Unavailable.

    They go into the chain of notices that has the number of the partition whose record is decided about, so that no
    other worker's decision waits for it. Requests, timers and commands share chain 0.
    """
    if not notices:
        return ()
    partition = view.arrival.partition if view.arrival is not None else 0
    last = await view.get(LastHeads, LAST)
    chain = await view.get(Chain, chain_of(Notice.TOPIC, partition))
    facts: list[Fact] = []
    for notice in notices:
        recorded = notice_recorded(chain, last, notice, partition, pseudonym, view.now)
        chain = chained(chain, recorded)
        facts += (recorded, notice)
    return facts
