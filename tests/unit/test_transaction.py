"""What a decision sees and changes; here of documents that are a fact as it was written."""

from __future__ import annotations

from typing import ClassVar

import pytest

from shared.contracts.event import Id
from shared.kernel import Decision, Document, Domain, Fact, Fold, Posting, Slice
from shared.runtime.engine.store import Charge, Commit, Conflict, Line
from shared.runtime.engine.transaction import Origin, Transaction, together
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore

ORIGIN = Origin("cause/0/0/0", "causation", "correlation")


class Opened(Fact):
    TYPE: ClassVar[str] = "recovery.page.opened.v1"
    TOPIC: ClassVar[str] = "recovery.pages.v1"
    page_id: Id
    title: str
    unread: str = "what the document does not know"

    def key(self) -> str:
        return self.page_id


class Turned(Opened):
    TYPE: ClassVar[str] = "recovery.page.turned.v1"


class Page(Document):
    KIND: ClassVar[str] = "page"
    title: str
    turned: int = 0


DOMAIN = Domain.of(
    "pages",
    Slice(
        {
            Opened: (Fold(Page, lambda fact: fact.page_id),),
            Turned: (
                Fold(
                    Page,
                    lambda fact: fact.page_id,
                    lambda page, _: page.model_copy(update={"turned": page.turned + 1}),
                ),
            ),
        },
        postings=dict.fromkeys((Opened, Turned), lambda _: [Posting("pages", 5)]),
        # By title, and among the unturned while it is one.
        indexes={
            Page: lambda page: {
                f"titled/{page.title}": page.turned,
                **({"unturned": -1} if not page.turned else {}),
            }
        },
    ),
)
OPENED = Opened(page_id="p", title="one")
TURNED = Turned(page_id="p", title="")


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.begin_generation("first", 0)
    return store


def begun(store: MemoryStore) -> Transaction:
    return Transaction(store, DOMAIN, START)


async def applied(transaction: Transaction, *facts: Fact) -> str:
    return await transaction.apply(Decision(facts), ORIGIN)


async def test_a_fact_without_a_rule_is_its_document_byte_for_byte(store):
    transaction = begun(store)
    data = await applied(transaction, OPENED)
    await store.commit(transaction.commit())
    ((_, body),) = await store.read(["page:p"])
    _, (line,) = await store.pending(1)
    assert body == data.encode()
    assert body in Line.decode(line).value


async def test_such_a_document_is_read_at_once_and_later(store):
    transaction = begun(store)
    await applied(transaction, OPENED)
    assert await transaction.get(Page, "p") == Page(title="one")
    await store.commit(transaction.commit())
    assert await begun(store).get(Page, "p") == Page(title="one")


async def test_to_have_read_it_does_not_change_what_is_stored(store):
    transaction = begun(store)
    data = await applied(transaction, OPENED)
    await transaction.get(Page, "p")
    await store.commit(transaction.commit())
    assert (await store.read(["page:p"]))[0].body == data.encode()


@pytest.mark.parametrize("together", [True, False])
async def test_what_comes_after_changes_it_by_its_rule(store, together):
    transaction = begun(store)
    await applied(transaction, OPENED)
    if not together:
        await store.commit(transaction.commit())
        transaction = begun(store)
    await applied(transaction, TURNED)
    await store.commit(transaction.commit())
    assert (await store.read(["page:p"]))[0].body == b'{"title":"one","turned":1}'


async def test_a_fact_that_was_heard_becomes_one_too_and_stands_for_what_was_there(store):
    transaction = begun(store)
    await applied(transaction, OPENED, TURNED)
    await store.commit(transaction.commit())
    transaction = begun(store)
    two = Opened(page_id="p", title="two")
    await transaction.read_for(two)
    transaction.fold(two)
    await store.commit(transaction.commit())
    assert await begun(store).get(Page, "p") == Page(title="two")


@pytest.mark.parametrize("read_before", [True, False])
async def test_a_balance_counts_what_this_commit_posted_before_and_after_it_was_read(
    store, read_before
):
    await store.commit(Commit((), [Charge("pages", 100, 1000)]))
    transaction = begun(store)
    if read_before:
        assert await transaction.balances(["pages"]) == {"pages": 100}
    await applied(transaction, OPENED, TURNED)
    assert await transaction.balances(["pages", "other"]) == {"pages": 110, "other": 0}


async def ids(transaction: Transaction, name: str) -> list[str]:
    page = await transaction.range(Page, name, None, 10)
    return [page_id for page_id, _ in page.documents]


@pytest.mark.parametrize("together", [True, False])
async def test_a_document_leaves_the_sets_where_it_does_not_stand_any_more(store, together):
    one = begun(store)
    await applied(one, OPENED)
    if not together:
        await store.commit(one.commit())
        assert await ids(begun(store), "unturned") == ["p"]
        one = begun(store)
    await applied(one, TURNED)
    await store.commit(one.commit())
    assert store.kept.indexes == {"titled/one": {"page:p": 1}}
    await applied(one := begun(store), Opened(page_id="p", title="two"))
    await store.commit(one.commit())
    assert store.kept.indexes == {"titled/two": {"page:p": 0}, "unturned": {"page:p": -1}}


async def test_a_set_is_seen_with_what_this_commit_changed_and_without_what_left_it(store):
    one = begun(store)
    await applied(one, OPENED, Opened(page_id="q", title="one"))
    await store.commit(one.commit())
    one = begun(store)
    await applied(one, TURNED)
    assert await ids(one, "unturned") == ["q"]


async def test_an_entry_of_a_document_that_was_forgotten_is_none_of_its_successor(store):
    one = begun(store)
    await applied(one, OPENED)
    await store.commit(one.commit())
    del store.kept.documents["page:p"]
    again = begun(store)
    await applied(again, Opened(page_id="p", title="two"))
    await store.commit(again.commit())
    assert store.kept.indexes["titled/one"] == {"page:p": 0}
    assert await ids(begun(store), "titled/one") == []
    assert await ids(begun(store), "titled/two") == ["p"]


async def test_a_commit_after_a_range_expects_the_documents_it_saw(store):
    one = begun(store)
    await applied(one, OPENED)
    await store.commit(one.commit())
    looking, changing = begun(store), begun(store)
    assert await ids(looking, "unturned") == ["p"]
    await applied(changing, TURNED)
    await store.commit(changing.commit())
    assert await store.commit(looking.commit()) == Conflict("page:p")


def test_additions_to_one_account_under_one_ceiling_are_one_charge():
    adding = [Charge("a", 1, 9), Charge("b", 5, 9), Charge("a", 2, 9)]
    assert together(adding) == [Charge("a", 3, 9), Charge("b", 5, 9)]


@pytest.mark.parametrize("other", [Charge("a", -1, 9), Charge("a", 1, 5)])
def test_where_something_is_given_back_or_ceilings_differ_each_charge_is_compared(other):
    """A balance may be above its end meanwhile, or above the lower ceiling."""
    charges = [Charge("a", 3, 9), other, Charge("a", 2, 9)]
    assert together([*charges, Charge("b", 1, 9)]) == [Charge("b", 1, 9), *charges]
