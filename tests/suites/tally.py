"""The smallest service there can be: it counts what it hears and holds one account per name."""

from __future__ import annotations

from typing import ClassVar

from shared.contracts.deadletters import DEAD_LETTER_FOLDS
from shared.contracts.event import Event, Id
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Document, Domain, Fact, Fold, Posting, Slice, Timer
from shared.runtime.engine.settle import Settler
from shared.runtime.engine.store import Store
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected, Unavailable
from shared.runtime.kafka.inbox import Handler, Inbox, deciding
from shared.runtime.privacy.pseudonyms import Pseudonyms
from shared.testing.clock import START, Clock

CEILING = 10


class Heard(Fact):
    TYPE: ClassVar[str] = "recovery.thing.heard.v1"
    TOPIC: ClassVar[str] = "recovery.things.v1"
    name: Id
    do: str = "count"

    def key(self) -> str:
        return self.name


class Counted(Fact):
    TYPE: ClassVar[str] = "recovery.thing.counted.v1"
    TOPIC: ClassVar[str] = "recovery.tally.v1"
    name: Id
    total: int
    paid: int = 0

    def key(self) -> str:
        return self.name


class Tally(Document):
    KIND: ClassVar[str] = "tally"
    total: int = 0


async def count(name: str, view: View, do: str = "count") -> Decision:
    if do == "reject":
        raise Rejected(Reason.UNKNOWN_SITE, where=("/data/a b=c;d\n",))
    if do == "away":
        raise Unavailable(Reason.KEY_NOT_YET_KNOWN)
    if do == "fail":
        raise ZeroDivisionError("secret words")
    tally = await view.get(Tally, name) or Tally()
    balance = (await view.balances([name]))[name]
    paid = 1 if balance < CEILING else 0
    return Decision((Counted(name=name, total=tally.total + 1, paid=paid),), {name: CEILING})


async def on_heard(event: Event[Heard], view: View) -> Decision:
    return await count(event.data.name, view, event.data.do)


DOMAIN = Domain.of(
    "tally",
    Slice(
        {Counted: (Fold(Tally, lambda fact: fact.name, lambda _, fact: Tally(total=fact.total)),)},
        postings={Counted: lambda fact: [Posting(fact.name, fact.paid)] if fact.paid else []},
        timers={
            Counted: lambda fact: [Timer("look", fact.name, START if fact.total % 2 else None)]
        },
    ),
    Slice(DEAD_LETTER_FOLDS),
)
READING = deciding(on_heard, lambda event: Tally.key(event.data.name))
INBOX = Inbox(Heard.TOPIC, [Handler(Heard, READING)])
STRICT = Inbox(Heard.TOPIC, [Handler(Heard, deciding(on_heard))], strict=True)


def settler(store: Store) -> Settler:
    return Settler(
        store,
        DOMAIN,
        now=Clock(),
        pseudonyms=Pseudonyms(bytes(32)),
        seal_dead=lambda value, letter: b"sealed",
        crash=lambda _: None,
    )
