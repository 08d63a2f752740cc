"""What every store must do. Run over the one in memory and over the one made of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.contracts.reasons import Reason
from shared.kernel import Schema
from shared.money import BALANCE_MAX
from shared.runtime.engine.store import (
    ABSENT,
    RANGE_SCAN_MAX,
    REBUILD,
    Charge,
    Commit,
    Committed,
    Conflict,
    Cursor,
    Entry,
    Exceeded,
    Portion,
    Range,
    Store,
    Versioned,
    Write,
)
from shared.runtime.faults import Unavailable

MAX = 10**12


class StoreSuite:
    """Subclasses give `store`, open and at a fresh generation, and `full`, bounded to ten lines."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        raise NotImplementedError
        yield

    async def bounded(self, store: Store, lines_max: int) -> Store:
        """A store whose outbox holds that many lines."""
        raise NotImplementedError

    async def another(self, store: Store) -> Store:
        """A second client of the same state, as another process has it."""
        raise NotImplementedError

    async def stranger(self, store: Store) -> Store:
        """A client of the same state that has not opened it yet, as a process that just started."""
        raise NotImplementedError

    async def build(self, store: Store, **schemas: Schema) -> Store:
        """A client of the same state by a build with these schemas, which has not opened it yet."""
        raise NotImplementedError

    async def forgotten(self, store: Store, *keys: str) -> None:
        """Let the time of documents run out."""
        raise NotImplementedError

    async def standing(self, store: Store, name: str) -> set[str]:
        """What a sorted set holds, also of documents that were forgotten."""
        raise NotImplementedError

    # ---- documents -------------------------------------------------------------------------------

    async def test_an_absent_document_has_version_zero(self, store):
        assert await store.read(["a", "b"]) == [ABSENT, ABSENT]

    async def test_documents_are_read_in_the_order_asked_each_with_its_version(self, store):
        await store.commit(Commit([Write("a", 0, b"1"), Write("b", 0, b"2")]))
        await store.commit(Commit([Write("a", 1, b"3")]))
        assert await store.read(["b", "c", "a"]) == [
            Versioned(1, b"2"),
            ABSENT,
            Versioned(2, b"3"),
        ]

    async def test_a_body_of_any_bytes_comes_back_as_it_was(self, store):
        body = bytes(range(256)) + "ß🍲\n".encode()
        await store.commit(Commit([Write("a", 0, body)]))
        assert (await store.read(["a"]))[0].body == body

    async def test_a_document_changed_since_it_was_read_is_a_conflict(self, store):
        await store.commit(Commit([Write("a", 0, b"1")]))
        assert await store.commit(Commit([Write("a", 0, b"2")])) == Conflict("a")
        assert await store.read(["a"]) == [Versioned(1, b"1")]

    async def test_a_document_expected_absent_and_there_is_a_conflict(self, store):
        await store.commit(Commit([Write("a", 0, b"1")]))
        assert await store.commit(Commit([Write("a", 0)])) == Conflict("a")

    async def test_a_document_expected_and_gone_is_a_conflict(self, store):
        assert await store.commit(Commit([Write("a", 3, b"1")])) == Conflict("a")

    async def test_what_is_only_expected_is_not_changed(self, store):
        await store.commit(Commit([Write("a", 0, b"1")]))
        await store.commit(Commit([Write("a", 1), Write("b", 0, b"2")]))
        assert await store.read(["a", "b"]) == [Versioned(1, b"1"), Versioned(1, b"2")]

    async def test_of_commits_on_the_same_version_at_once_exactly_one_wins(self, store):
        outcomes = await asyncio.gather(
            *(store.commit(Commit([Write("a", 0, b"%d" % n)], (), (), [b"l"])) for n in range(30))
        )
        assert sum(isinstance(outcome, Committed) for outcome in outcomes) == 1
        assert outcomes.count(Conflict("a")) == 29
        assert await store.last_sequence() == 1

    # ---- all or nothing --------------------------------------------------------------------------

    async def test_a_refused_commit_changes_nothing_at_all(self, store):
        await store.commit(Commit([Write("a", 0, b"1")], (), [("t|1", 5)], [b"l"]))
        for refused in (
            Commit(
                [Write("b", 0, b"2"), Write("a", 7, b"x")],
                [Charge("n", 5, 9)],
                [("t|1", None)],
                [b"m"],
            ),
            Commit(
                [Write("b", 0, b"2")], [Charge("n", 5, 9), Charge("o", 5, 4)], [("t|2", 1)], [b"m"]
            ),
        ):
            assert not isinstance(await store.commit(refused), Committed)
            assert await store.read(["a", "b"]) == [Versioned(1, b"1"), ABSENT]
            assert await store.balances(["n", "o"]) == [0, 0]
            assert await store.due(MAX, 10) == [("t|1", 5)]
            assert await store.pending(10) == (1, [b"l"])

    async def test_a_commit_of_thousands_of_parts_works_whole(self, store):
        writes = [Write(f"d{n}", 0, b"%d" % n) for n in range(3000)]
        lines = [b"line %d" % n for n in range(9000)]
        charges = [Charge(f"n{n}", n, n) for n in range(1, 4500)]
        timers = [(f"t|{n}", n) for n in range(5000)]
        outcome = await store.commit(Commit(writes, charges, timers, lines))
        assert outcome == Committed(9000)
        found = await store.read([write.key for write in writes])
        assert [versioned.body for versioned in found] == [write.body for write in writes]
        assert await store.balances(["n1", "n4499"]) == [1, 4499]
        assert len(await store.due(MAX, 10_000)) == 5000
        assert await store.pending(10_000) == (1, lines)
        again = [Write(write.key, 1, b"x") for write in writes]
        outcome = await store.commit(Commit(again, (), [(member, None) for member, _ in timers]))
        assert outcome == Committed(9000)
        assert await store.due(MAX, 10) == []

    # ---- accounts --------------------------------------------------------------------------------

    async def test_a_charge_up_to_the_ceiling_fits_and_one_unit_more_does_not(self, store):
        assert await store.commit(Commit((), [Charge("n", 1000, 1000)])) == Committed(0)
        assert await store.commit(Commit((), [Charge("n", 1, 1000)])) == Exceeded("n", 1000)
        assert await store.balances(["n", "other"]) == [1000, 0]

    async def test_charges_on_one_account_in_one_commit_count_together(self, store):
        thrice = [Charge("n", 400, 1000)] * 3
        assert await store.commit(Commit((), thrice)) == Exceeded("n", 800)
        assert await store.commit(Commit((), thrice[:2])) == Committed(0)
        assert await store.balances(["n"]) == [800]

    async def test_giving_back_makes_room_and_never_goes_below_zero(self, store):
        await store.commit(Commit((), [Charge("n", 1000, 1000)]))
        assert await store.commit(Commit((), [Charge("n", -600, MAX)])) == Committed(0)
        assert await store.commit(Commit((), [Charge("n", -401, MAX)])) == Exceeded("n", 400)
        assert await store.commit(Commit((), [Charge("n", -400, MAX)])) == Committed(0)
        assert await store.balances(["n"]) == [0]

    async def test_a_ceiling_that_fell_below_the_balance_holds_nothing_more(self, store):
        await store.commit(Commit((), [Charge("n", 1000, 1000)]))
        assert await store.commit(Commit((), [Charge("n", 1, 500)])) == Exceeded("n", 1000)
        assert await store.commit(Commit((), [Charge("n", -600, 500)])) == Committed(0)

    @pytest.mark.parametrize("most", [MAX, BALANCE_MAX])
    async def test_the_largest_amounts_are_exact_to_the_unit(self, store, most):
        await store.commit(Commit((), [Charge("n", most - 1, most)]))
        assert await store.commit(Commit((), [Charge("n", 2, most)])) == Exceeded("n", most - 1)
        assert await store.commit(Commit((), [Charge("n", 1, most)])) == Committed(0)
        assert await store.balances(["n"]) == [most]

    async def test_of_two_hundred_charges_at_once_exactly_those_that_fit_go_through(self, store):
        """INV-01, where it is enforced."""
        outcomes = await asyncio.gather(
            *(
                store.commit(
                    Commit([Write(f"d{n}", 0, b"1")], [Charge("n", 100, 1000)], (), [b"l"])
                )
                for n in range(200)
            )
        )
        assert sum(isinstance(outcome, Committed) for outcome in outcomes) == 10
        assert outcomes.count(Exceeded("n", 1000)) == 190
        assert await store.balances(["n"]) == [1000]
        assert await store.last_sequence() == 10

    # ---- timers ----------------------------------------------------------------------------------

    async def test_timers_ring_earliest_first_and_only_when_due(self, store):
        await store.commit(Commit((), (), [("b|1", 30), ("a|1", 10), ("c|1", 20), ("d|1", 31)]))
        assert await store.due(30, 10) == [("a|1", 10), ("c|1", 20), ("b|1", 30)]
        assert await store.due(30, 2) == [("a|1", 10), ("c|1", 20)]
        assert await store.due(9, 10) == []

    async def test_a_timer_is_moved_by_setting_it_again_and_gone_when_cleared(self, store):
        await store.commit(Commit((), (), [("a|1", 10), ("b|1", 10)]))
        await store.commit(Commit((), (), [("a|1", 50), ("b|1", None), ("never|1", None)]))
        assert await store.due(100, 10) == [("a|1", 50)]

    async def test_a_timer_that_rang_is_cleared_unless_it_was_set_for_later_since(self, store):
        day = 1_780_000_000_000
        await store.commit(Commit((), (), [("a|1", day), ("b|1", day), ("c|1", day + 1)]))
        for member in ("a|1", "c|1", "never|1"):
            await store.commit(Commit((), fired=(member, day)))
        assert await store.due(2 * day, 10) == [("b|1", day), ("c|1", day + 1)]
        await store.commit(Commit((), fired=("c|1", day + 2)))
        assert await store.due(2 * day, 10) == [("b|1", day)]

    async def test_what_a_ring_sets_or_clears_itself_holds_whatever_rang(self, store):
        await store.commit(Commit((), (), [("a|1", 10), ("b|1", 10), ("c|1", 50)]))
        await store.commit(Commit((), (), [("a|1", 30)], fired=("a|1", 10)))
        await store.commit(Commit((), (), [("b|1", 5)], fired=("b|1", 10)))
        await store.commit(Commit((), (), [("c|1", None)], fired=("c|1", 10)))
        assert await store.due(100, 10) == [("b|1", 5), ("a|1", 30)]

    async def test_slow_timers_have_a_queue_of_their_own_and_ring_when_they_are_due(self, store):
        day = 1_780_000_000_000
        slow = [(f"webhook|{n}", day + n) for n in range(3)]
        await store.commit(Commit((), (), [*slow, ("a|1", day + 1)]))
        assert await store.due(day, 10) == [slow[0]]
        assert await store.due(day + 5, 1, slow=False) == [("a|1", day + 1)]
        assert await store.due(day + 1, 10, slow=True) == slow[:2]
        assert await store.due(day + 1, 10, slow=True, skip=1) == slow[1:2]
        assert len(await store.due(day + 5, 10)) == 4
        await store.commit(Commit((), (), [("webhook|2", day + 9)], fired=("webhook|0", day)))
        await store.commit(Commit((), (), [("webhook|1", None)]))
        assert await store.due(day + 9, 10, slow=True) == [("webhook|2", day + 9)]
        await store.commit(Commit((), fired=("webhook|2", day)))
        assert await store.due(day + 9, 10, slow=True) == [("webhook|2", day + 9)]

    async def test_a_refused_ring_clears_nothing(self, store):
        await store.commit(Commit([Write("a", 0, b"1")], (), [("t|1", 5)]))
        assert await store.commit(Commit([Write("a", 7)], fired=("t|1", 5))) == Conflict("a")
        assert await store.due(MAX, 10) == [("t|1", 5)]

    # ---- sorted sets -----------------------------------------------------------------------------

    async def entered(self, store: Store, *places: tuple[str, int], name: str = "s") -> None:
        """Documents as they are first written, each with its place in a set."""
        await store.commit(
            Commit(
                [Write(key, 0, key.encode()) for key, _ in places],
                entries=[Entry(name, key, score) for key, score in places],
            )
        )

    async def test_documents_of_a_set_come_lowest_score_first_and_ties_by_the_bytes_of_their_keys(
        self, store
    ):
        await self.entered(
            store, ("d:b", 5), ("d:Z", 5), ("d:a", 5), ("d:9", -(10**15)), ("d:é", 5)
        )
        assert await store.range("s", None, 10) == Range(
            [
                (-(10**15), "d:9", Versioned(1, b"d:9")),
                *((5, key, Versioned(1, key.encode())) for key in ("d:Z", "d:a", "d:b", "d:é")),
            ],
            None,
        )
        assert await store.range("other", None, 10) == Range([], None)

    async def test_a_set_has_as_many_entries_as_documents_stand_in_it(self, store):
        await self.entered(store, ("d:a", 4), ("d:b", 5))
        await self.entered(store, ("d:c", 1), name="t")
        assert await store.sizes(["s", "other", "t"]) == [2, 0, 1]

    async def test_a_set_is_read_from_a_score_on_whether_or_not_an_entry_has_it(self, store):
        await self.entered(store, ("d:a", 4), ("d:b", 5), ("d:c", 7))
        for score, keys in ((5, ["d:b", "d:c"]), (6, ["d:c"]), (8, [])):
            found = await store.range("s", Cursor(score, ""), 10)
            assert [key for _, key, _ in found.found] == keys

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 23])
    async def test_a_set_is_read_in_parts_that_together_are_all_of_it_once(self, store, limit):
        places = [(f"d:{n:03}", n // 9) for n in range(23)]
        await self.entered(store, *places)
        found, after = [], None
        while True:
            part = await store.range("s", after, limit)
            found += [(key, score) for score, key, _ in part.found]
            after = part.next
            if after is None:
                break
            assert len(part.found) == limit
        assert found == places

    async def test_a_cursor_holds_its_place_whatever_happened_to_its_entry(self, store):
        await self.entered(store, *((f"d:{n}", n // 4) for n in range(8)))
        first = await store.range("s", None, 3)
        assert first.next == Cursor(0, "d:2")
        gone, moved = Entry("s", "d:2", None), Entry("s", "d:3", 9)
        await store.commit(Commit((), entries=[gone, moved, Entry("s", "d:1", 9)]))
        await self.entered(store, ("d:20", 0), ("d:19", 0))
        keys = [key for _, key, _ in (await store.range("s", first.next, 10)).found]
        assert keys == ["d:20", "d:4", "d:5", "d:6", "d:7", "d:1", "d:3"]

    async def test_documents_beside_a_set_are_read_with_it_whether_or_not_they_are_there(
        self, store
    ):
        await self.entered(store, ("d:1", 1), ("d:2", 2))
        found = await store.range("s", None, 1, ["d:2", "none", "d:1"])
        assert [key for _, key, _ in found.found] == ["d:1"]
        assert found.next == Cursor(1, "d:1")
        assert found.beside == (Versioned(1, b"d:2"), ABSENT, Versioned(1, b"d:1"))
        empty = await store.range("other", None, 1, ["d:2"])
        assert empty == Range([], None, (Versioned(1, b"d:2"),))

    async def test_a_refused_commit_moves_nothing_in_a_set(self, store):
        await self.entered(store, ("d:1", 1))
        refused = Commit([Write("d:1", 7, b"x")], entries=[Entry("s", "d:1", 5)])
        assert await store.commit(refused) == Conflict("d:1")
        spent = Commit([], [Charge("n", 2, 1)], entries=[Entry("s", "d:1", None)])
        assert await store.commit(spent) == Exceeded("n", 0)
        assert [score for score, *_ in (await store.range("s", None, 9)).found] == [1]

    async def test_of_commits_at_once_each_moves_its_own_documents(self, store):
        await asyncio.gather(*(self.entered(store, (f"d:{n}", -n)) for n in range(40)))
        found = (await store.range("s", None, 50)).found
        assert [score for score, *_ in found] == sorted(-n for n in range(40))

    async def test_a_document_that_was_forgotten_stands_nowhere_and_leaves_no_gap_in_a_page(
        self, store
    ):
        keys = [f"d:{n}" for n in range(9)]
        await self.entered(store, *((key, n) for n, key in enumerate(keys)))
        await self.forgotten(store, *keys[1:6], keys[8])
        part = await store.range("s", None, 2)
        assert ([key for _, key, _ in part.found], part.next) == (["d:0", "d:6"], Cursor(6, "d:6"))
        part = await store.range("s", part.next, 2)
        assert ([key for _, key, _ in part.found], part.next) == (["d:7"], None)
        assert await self.standing(store, "s") == {"d:0", "d:6", "d:7"}

    async def test_a_set_full_of_what_was_forgotten_is_read_in_bounded_steps(self, store):
        keys = [f"d:{n:05}" for n in range(RANGE_SCAN_MAX + 50)]
        await self.entered(store, *((key, 1) for key in keys), ("d:last", 2))
        await self.forgotten(store, *keys)
        part = await store.range("s", None, 5)
        assert part == Range([], Cursor(1, keys[RANGE_SCAN_MAX - 1]))
        part = await store.range("s", part.next, 5)
        assert ([key for _, key, _ in part.found], part.next) == (["d:last"], None)
        assert await self.standing(store, "s") == {"d:last"}

    async def test_sets_are_loaded_with_the_documents_of_a_state_that_is_made_again(self, store):
        await self.entered(store, ("d:old", 1))
        one = await self.rebuilder(store)
        await one.forget("operator")
        documents = [(f"d:{n}", b"1", None) for n in range(3)]
        entries = [Entry("s", "d:0", 5), Entry("s", "d:1", 4, 1000), Entry("t", "d:2", -3)]
        await one.load("operator", Portion(documents, entries=entries), 7)
        again = [Entry("s", "d:0", 3), Entry("s", "d:2", 1), Entry("t", "d:2", None)]
        await one.load("operator", Portion(entries=again), 7)
        await one.end_rebuild("operator", "again", 0)
        assert await store.open_generation(0)
        found = (await store.range("s", None, 9)).found
        assert [(score, key) for score, key, _ in found] == [(1, "d:2"), (3, "d:0"), (4, "d:1")]
        assert await store.range("t", None, 9) == Range([], None)

    # ---- outbox ----------------------------------------------------------------------------------

    async def test_lines_are_numbered_from_one_without_gaps_in_commit_order(self, store):
        assert await store.commit(Commit((), (), (), [b"1", b"2"])) == Committed(2)
        assert await store.commit(Commit((), (), (), [b"3"])) == Committed(3)
        assert await store.pending(2) == (1, [b"1", b"2"])
        assert await store.last_sequence() == 3

    async def test_trimmed_lines_are_gone_and_the_numbers_go_on(self, store):
        await store.commit(Commit((), (), (), [b"1", b"2", b"3"]))
        assert await store.lease("relay", "me", 60_000)
        await store.trim("me", 2)
        assert await store.pending(10) == (3, [b"3"])
        assert await store.published() == 2
        await store.trim("me", 1)
        assert await store.pending(10) == (3, [b"3"])
        await store.trim("me", 3)
        assert await store.pending(10) == (4, [])
        assert await store.commit(Commit((), (), (), [b"4"])) == Committed(4)
        assert await store.pending(10) == (4, [b"4"])

    async def test_only_who_holds_the_lease_may_trim(self, store):
        await store.commit(Commit((), (), (), [b"1"]))
        with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
            await store.trim("me", 1)
        assert await store.lease("relay", "me", 60_000)
        assert not await store.lease("relay", "you", 60_000)
        with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
            await store.trim("you", 1)
        assert await store.pending(10) == (1, [b"1"])

    async def test_a_lease_is_prolonged_by_its_holder_and_free_once_released(self, store):
        assert await store.lease("relay", "me", 60_000)
        assert await store.lease("relay", "me", 60_000)
        await store.release("relay", "you")
        assert not await store.lease("relay", "you", 60_000)
        assert await store.lease("timers", "you", 60_000)
        await store.release("relay", "me")
        assert await store.lease("relay", "you", 60_000)

    async def test_a_full_outbox_refuses_lines_and_takes_everything_else(self, store):
        store = await self.bounded(store, 10)
        await store.commit(Commit((), (), (), [b"l"] * 9))
        with pytest.raises(Unavailable, match=Reason.OUTBOX_FULL.value):
            await store.commit(Commit([Write("a", 0, b"1")], (), (), [b"l"] * 2))
        assert await store.read(["a"]) == [ABSENT]
        assert await store.commit(Commit((), (), (), [b"l"])) == Committed(10)
        assert await store.commit(Commit([Write("a", 0, b"1")])) == Committed(10)
        await store.lease("relay", "me", 60_000)
        await store.trim("me", 5)
        assert await store.commit(Commit((), (), (), [b"l"] * 5)) == Committed(15)

    async def test_a_full_outbox_is_full_for_all_who_share_a_call(self, store):
        store = await self.bounded(store, 10)
        four = Commit((), (), (), [b"l"] * 4)
        ends = await asyncio.gather(*(store.commit(four) for _ in range(4)), return_exceptions=True)
        assert [end for end in ends if isinstance(end, Committed)] == [Committed(4), Committed(8)]
        assert {str(end) for end in ends[2:]} == {Reason.OUTBOX_FULL.value}
        assert len((await store.pending(20))[1]) == 8

    async def test_what_other_systems_publish_leaves_half_of_the_outbox_to_people(self, store):
        store = await self.bounded(store, 10)
        outside = Commit((), (), (), [b"l"] * 3, outside=True)
        assert await store.commit(outside) == Committed(3)
        with pytest.raises(Unavailable, match=Reason.OUTBOX_FULL.value):
            await store.commit(outside)
        assert await store.commit(Commit((), (), (), [b"l"] * 7)) == Committed(10)

    async def test_what_is_read_of_the_outbox_is_bounded_in_bytes_and_never_nothing(self, store):
        small, large = b"s" * 100, b"L" * 5_000_000
        lines = [small, small, large, large, small, small]
        await store.commit(Commit((), (), (), lines))
        assert await store.lease("relay", "me", 60_000)
        taken = []
        while True:
            first, found = await store.pending(2000, 250)
            if not found:
                break
            taken.append((first, found))
            await store.trim("me", first + len(found) - 1)
        assert taken == [(1, [small, small]), (3, [large]), (4, [large]), (5, [small, small])]

    async def test_who_waits_for_publication_is_woken_by_the_trim(self, store):
        await self._woken_by(store, store.wait_published(2, 30_000))

    async def test_a_trim_in_one_process_wakes_who_waits_in_another(self, store):
        other = await self.another(store)
        await self._woken_by(store, other.wait_published(2, 30_000))

    async def _woken_by(self, store: Store, waiting: Awaitable[bool]) -> None:
        await store.commit(Commit((), (), (), [b"1", b"2", b"3"]))
        task = asyncio.ensure_future(waiting)
        await store.lease("relay", "me", 60_000)
        await store.trim("me", 1)
        await asyncio.sleep(0.02)
        assert not task.done()
        await store.trim("me", 2)
        async with asyncio.timeout(10):
            assert await task

    async def test_waiting_for_publication_ends_when_the_time_is_up(self, store):
        await store.commit(Commit((), (), (), [b"1"]))
        assert not await store.wait_published(1, 10)

    async def test_what_was_published_before_is_not_waited_for(self, store):
        await store.commit(Commit((), (), (), [b"1"]))
        await store.lease("relay", "me", 60_000)
        await store.trim("me", 1)
        assert await store.wait_published(1, 10_000)
        assert await store.wait_published(0, 10_000)

    async def test_a_commit_with_lines_wakes_the_relay_that_waits(self, store):
        other = await self.another(store)
        task = asyncio.ensure_future(other.wait_pending(30_000))
        await asyncio.sleep(0)
        await store.commit(Commit((), (), (), [b"1"]))
        async with asyncio.timeout(10):
            await task

    # ---- generation ------------------------------------------------------------------------------

    async def test_without_a_generation_nothing_is_read_or_committed(self, store, lose):
        await lose()
        assert not await store.open_generation(0)
        await self._refuses(store)
        assert not store.usable

    async def test_a_store_is_of_no_use_until_it_was_compared_with_its_topic(self, store):
        await store.commit(Commit((), (), (), [b"1", b"2"]))
        stranger = await self.stranger(store)
        assert not stranger.usable
        await self._refuses(stranger)
        assert not await stranger.open_generation(3)
        assert not stranger.usable
        await self._refuses(stranger)
        assert await stranger.open_generation(2)
        assert stranger.usable
        assert await stranger.commit(Commit((), (), (), [b"3"])) == Committed(3)

    async def test_a_store_found_older_than_its_topic_is_closed_to_who_used_it(self, store):
        await store.commit(Commit((), (), (), [b"1"]))
        assert not await store.open_generation(2)
        await self._refuses(store)
        assert await store.open_generation(1)
        assert store.usable

    async def test_without_a_topic_to_compare_with_only_a_known_state_is_opened_again(self, store):
        """Known: of the generation this process served before, and no older than it last saw."""
        await store.commit(Commit((), (), (), [b"1"]))
        stranger = await self.stranger(store)
        assert not await stranger.open_generation(None)
        await self._refuses(stranger)
        assert await store.open_generation(None)
        assert store.usable

    async def test_a_known_state_that_went_back_is_not_opened_without_its_topic(self, store, lose):
        await store.commit(Commit((), (), (), [b"1", b"2"]))
        other = await self.stranger(store)
        await lose()
        await other.begin_generation("first", 1)
        assert not await store.open_generation(None)
        await self._refuses(store)
        assert await store.open_generation(1)

    async def test_what_others_committed_counts_as_seen_too(self, store, lose):
        """The relay's process may commit nothing itself."""
        seeing = await self.another(store)
        await store.commit(Commit((), (), (), [b"1", b"2"]))
        assert await seeing.last_sequence() == 2
        await lose()
        await (await self.stranger(store)).begin_generation("first", 1)
        assert not await seeing.open_generation(None)

    async def test_of_two_that_begin_an_empty_store_at_once_one_does_and_both_know_it(
        self, store, lose
    ):
        await lose()
        both = [await self.stranger(store), await self.stranger(store)]
        begun = await asyncio.gather(
            *(one.begin_generation(f"by-{n}", 0) for n, one in enumerate(both))
        )
        assert begun == [True, True]
        assert [await one.commit(Commit((), (), (), [b"l"])) for one in both] == [
            Committed(1),
            Committed(2),
        ]
        late = await self.stranger(store)
        assert await late.begin_generation("late", 0)
        assert await both[0].commit(Commit((), (), (), [b"l"])) == Committed(3)
        assert await late.last_sequence() == 3

    async def test_a_generation_begun_by_another_refuses_until_it_is_opened(self, store, lose):
        other = await self.another(store)
        await lose()
        await other.begin_generation("newer", 40)
        await self._refuses(store)
        assert not store.usable
        assert await store.open_generation(40)
        assert await store.commit(Commit((), (), (), [b"1"])) == Committed(41)
        assert await store.pending(10) == (41, [b"1"])

    async def test_a_state_that_was_lost_is_stale_and_not_empty(self, store, lose):
        """Never "allowed" because a key is missing."""
        await store.commit(Commit([Write("a", 0, b"1")], [Charge("n", 10, 10)]))
        await lose()
        await self._refuses(store)

    # ---- builds ----------------------------------------------------------------------------------

    async def test_builds_that_read_each_other_go_on_side_by_side_and_back(self, store):
        """The earlier build writes again what the later one wrote."""
        later = await self.build(store, thing=Schema(2))
        assert await later.open_generation(0)
        await later.commit(Commit([Write("thing:a", 0, b"2")], (), (), [b"1"]))
        await store.commit(Commit([Write("thing:a", 1, b"1")], (), (), [b"2"]))
        assert await store.open_generation(2)
        earlier = await self.build(store, thing=Schema(1))
        assert await earlier.open_generation(2)
        assert await earlier.commit(Commit([Write("thing:a", 2, b"1")])) == Committed(2)
        assert await later.read(["thing:a"]) == [Versioned(3, b"1")]
        assert all(one.readable for one in (store, earlier, later))

    async def test_what_only_later_builds_read_closes_the_state_to_earlier_ones(self, store):
        """From its first commit on: what opens and looks changes nothing."""
        later = await self.build(store, thing=Schema(2, read_by=2))
        assert await later.open_generation(0)
        assert await store.commit(Commit([Write("thing:a", 0, b"1")])) == Committed(0)
        assert await later.commit(Commit([Write("thing:a", 1, b"2")])) == Committed(0)
        await self._refuses(store)
        for earlier in (store, await self.build(store, thing=Schema(1))):
            if earlier is store:  # it does not know the kind at all, so it never reads one
                assert await earlier.open_generation(0)
                continue
            with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
                await earlier.open_generation(0)
            assert (earlier.usable, earlier.readable) == (False, False)
            await self._refuses(earlier, Reason.STORE_UNREADABLE)
            for name in ("relay", "timers"):
                with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
                    await earlier.lease(name, "earlier", 60_000)
        assert await later.read(["thing:a"]) == [Versioned(2, b"2")]
        assert await later.lease("timers", "later", 60_000)

    async def test_what_a_build_does_not_read_any_more_is_made_again_by_it(self, store):
        await store.commit(Commit([Write("thing:a", 0, b"1")], (), (), [b"1"]))
        later = await self.build(store, thing=Schema(3, reads_from=3, read_by=2))
        with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
            await later.open_generation(1)
        assert await later.lease(REBUILD, "operator", 60_000)
        assert await later.begin_rebuild("operator")
        assert await later.lease("relay", "operator", 60_000)
        await later.forget("operator")
        await later.load("operator", Portion([("thing:a", b"3", None)]), 7)
        await later.end_rebuild("operator", "again", 1)
        assert await later.open_generation(1)
        assert await later.read(["thing:a"]) == [Versioned(7, b"3")]
        assert later.readable
        with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
            await (await self.build(store, thing=Schema(1))).open_generation(1)
        assert await (await self.build(store, thing=Schema(2))).open_generation(1)

    async def test_a_state_that_a_build_begins_holds_nothing_older_than_it(self, store, lose):
        await lose()
        later = await self.build(store, thing=Schema(3, reads_from=3, read_by=3))
        assert await later.begin_generation("later", 0)
        assert await later.commit(Commit([Write("thing:a", 0, b"3")])) == Committed(0)
        with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
            await (await self.build(store, thing=Schema(2))).open_generation(0)

    async def test_of_two_builds_that_write_first_at_once_one_opens_the_state_again(self, store):
        one = await self.build(store, thing=Schema(2))
        other = await self.build(store, thing=Schema(1), word=Schema(2))
        assert await one.open_generation(0)
        assert await other.open_generation(0)
        assert await one.commit(Commit([Write("a", 0, b"1")])) == Committed(0)
        with pytest.raises(Unavailable, match=Reason.STORE_STALE.value):
            await other.commit(Commit([Write("b", 0, b"1")]))
        assert await other.open_generation(0)
        assert await other.commit(Commit([Write("b", 0, b"1")])) == Committed(0)
        for newest in (Schema(2, reads_from=2), Schema(3, reads_from=2)):
            with pytest.raises(Unavailable, match=Reason.STORE_UNREADABLE.value):
                await (await self.build(store, word=newest)).open_generation(0)

    async def test_a_document_that_makes_no_sense_is_known_until_the_state_is_opened_again(
        self, store
    ):
        assert store.unreadable("thing:a").reason is Reason.STORE_UNREADABLE
        assert not store.readable
        assert await store.read(["a"]) == [ABSENT], "what can be read is read"
        assert await store.lease("timers", "me", 60_000)
        assert await store.open_generation(0)
        assert store.readable

    # ---- made again ------------------------------------------------------------------------------

    async def rebuilder(self, store: Store) -> Store:
        """A client that has begun to make the state again."""
        one = await self.stranger(store)
        assert await one.lease(REBUILD, "operator", 60_000)
        assert await one.begin_rebuild("operator")
        return one

    async def test_while_a_state_is_made_again_nobody_reads_commits_or_begins(self, store):
        await store.commit(Commit([Write("a", 0, b"1")], (), (), [b"1"]))
        one = await self.rebuilder(store)
        for _ in range(2):
            await self._refuses(store)
            assert not await store.open_generation(0)
            assert not await store.begin_generation("from-nothing", 0)
            await one.forget("operator")
            await one.load("operator", Portion([("a", b"2", None)]), 7)

    async def test_what_was_made_again_is_served_under_its_marker_and_goes_on_from_its_sequence(
        self, store
    ):
        await store.commit(
            Commit([Write("old", 0, b"1")], [Charge("o", 5, 9)], [("t|old", 1)], [b"1", b"2"])
        )
        one = await self.rebuilder(store)
        await one.forget("operator")
        await one.load(
            "operator",
            Portion(
                [("a", b"1", None), ("b", b"2", 1000)],
                [("n", 500), ("m", 0)],
                [("t|1", 5), ("t|2", 6)],
            ),
            1_780_000_000,
        )
        await one.load(
            "operator",
            Portion([("a", b"3", None)], [("n", -200), ("k", MAX)], [("t|1", None), ("t|3", 9)]),
            1_780_000_000,
        )
        assert await one.recall(["b", "old", "a"]) == [b"2", b"", b"3"]
        assert await one.recall([]) == []
        await one.end_rebuild("operator", "again", 41)
        await self._refuses(store)
        assert await store.open_generation(41)
        assert await store.read(["old", "a", "b"]) == [
            ABSENT,
            Versioned(1_780_000_000, b"3"),
            Versioned(1_780_000_000, b"2"),
        ]
        assert await store.balances(["o", "n", "m", "k"]) == [0, 300, 0, MAX]
        assert await store.due(MAX, 10) == [("t|2", 6), ("t|3", 9)]
        assert await store.pending(10) == (42, [])
        changed = Commit([Write("a", 1_780_000_000, b"4")], [Charge("n", 1, 301)], (), [b"l"])
        assert await store.commit(changed) == Committed(42)
        assert await store.commit(changed) == Conflict("a")

    async def test_a_portion_of_thousands_of_parts_is_loaded_whole(self, store):
        one = await self.rebuilder(store)
        await one.forget("operator")
        keys = [f"d{n}" for n in range(9000)]
        await one.load(
            "operator",
            Portion(
                [(key, key.encode(), None if n % 3 else 1000) for n, key in enumerate(keys)],
                [(f"n{n}", n) for n in range(9000)],
                [(f"t|{n}", n) for n in range(9000)],
            ),
            1,
        )
        cleared = [(f"t|{n}", None if n < 8000 else n) for n in range(9000)]
        await one.load("operator", Portion(timers=cleared), 1)
        await one.end_rebuild("operator", "again", 0)
        assert await store.open_generation(0)
        assert [found.body for found in await store.read(keys)] == [key.encode() for key in keys]
        assert await store.balances(["n0", "n1", "n8999"]) == [0, 1, 8999]
        assert len(await store.due(MAX, 10_000)) == 1000

    async def test_only_who_makes_the_state_again_gets_leases_meanwhile(self, store):
        assert await store.lease("relay", "a-service", 60_000)
        one = await self.rebuilder(store)
        assert not await store.lease("relay", "a-service", 60_000), "its turn ends with its lease"
        assert not await store.lease("timers", "a-service", 60_000)
        assert not await one.lease("relay", "operator", 60_000), "and not before"
        await store.release("relay", "a-service")
        assert await one.lease("relay", "operator", 60_000)
        await one.forget("operator")
        await one.end_rebuild("operator", "again", 0)
        assert await store.open_generation(0)
        assert await store.lease("relay", "a-service", 60_000)
        assert await store.lease("timers", "a-service", 60_000)

    async def test_a_state_is_made_again_by_one_at_a_time_and_who_lost_it_writes_nothing(
        self, store
    ):
        one = await self.rebuilder(store)
        other = await self.stranger(store)
        assert not await other.lease(REBUILD, "another", 60_000)
        assert not await other.begin_rebuild("another")
        await one.release(REBUILD, "operator")
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: one.forget("operator"),
            lambda: one.load("operator", Portion([("a", b"1", None)]), 1),
            lambda: one.end_rebuild("operator", "again", 1),
        ]
        for taken_over in (False, True):
            if taken_over:
                assert await other.lease(REBUILD, "another", 60_000)
                assert await other.begin_rebuild("another")
            for ask in asks:
                with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
                    await ask()
        await other.forget("another")
        await other.end_rebuild("another", "again", 3)
        assert await store.open_generation(3)
        assert await store.read(["a"]) == [ABSENT]

    async def test_a_state_that_is_lost_while_it_is_made_again_is_not_ended(self, store, lose):
        one = await self.rebuilder(store)
        await one.forget("operator")
        await lose()
        with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
            await one.load("operator", Portion([("a", b"1", None)]), 1)
        with pytest.raises(Unavailable, match=Reason.CONTENDED.value):
            await one.end_rebuild("operator", "again", 1)
        assert not await store.open_generation(0)

    async def _refuses(self, store: Store, reason: Reason = Reason.STORE_STALE) -> None:
        asks: list[Callable[[], Awaitable[object]]] = [
            lambda: store.read(["a"]),
            lambda: store.balances(["n"]),
            lambda: store.range("s", None, 1),
            lambda: store.commit(Commit([Write("z", 0, b"1")], [Charge("n", 1, 10)], (), [b"1"])),
        ]
        for ask in asks:
            with pytest.raises(Unavailable, match=reason.value):
                await ask()
