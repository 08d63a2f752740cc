"""The store made of Redis keeps the promise of every store, and what only a server can break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import pytest
import redis.asyncio as redis
from redis.exceptions import RedisError, ResponseError

import shared.runtime.engine.redis_store as module
from devstack.stack import Stack
from shared.contracts.reasons import Reason
from shared.kernel import Schema
from shared.ops.manifests import hashed, store_user
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.engine.schemas import RUNTIME
from shared.runtime.engine.store import (
    ABSENT,
    KEPT_S,
    REBUILD,
    Charge,
    Commit,
    Committed,
    Conflict,
    Entry,
    Portion,
    Store,
    Versioned,
    Write,
)
from shared.runtime.faults import Unavailable
from shared.runtime.observe import COMMITS_REFUSED
from tests.suites.proxy import Proxy
from tests.suites.store import StoreSuite

OWNER = "suite"
PASSWORD = "of-this-test-alone"
PREFIX = f"{OWNER}:{{c0}}:"
FOUR_PARTS = Commit([Write("a", 0, b"1")], [Charge("n", 5, 10)], [("t|1", 1)], [b"l"])


class TestRedisStore(StoreSuite):
    @pytest.fixture
    def as_operator(self) -> None:
        """For a test that starts the server again, which forgets the users of this file."""

    @pytest.fixture
    def url(self, stack: Stack, server, request) -> str:
        """As a service has it in a cluster: its own user, with the rights of the manifests."""
        if "as_operator" in request.fixturenames:
            return stack.redis_url
        parts = urlsplit(stack.redis_url)
        return parts._replace(netloc=f"{OWNER}:{PASSWORD}@{parts.netloc}").geturl()

    @pytest.fixture
    async def server(self, stack: Stack) -> AsyncIterator[redis.Redis]:
        """The server as an operator has it: raw."""
        client = redis.Redis.from_url(stack.redis_url)
        user = store_user(OWNER, hashed(PASSWORD)).split()
        await client.execute_command("ACL", "SETUSER", *user[1:])
        yield client
        await client.aclose()

    @pytest.mark.parametrize(
        "words",
        [
            ("GET", "notifier:{c0}:generation"),
            ("SET", "another", "1"),
            ("PUBLISH", "notifier:{c0}:announce", "pending"),
            ("EVAL", "return redis.call('GET', 'notifier:{c0}:generation')", "0"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "requirepass"),
            ("ACL", "LIST"),
            ("KEYS", "*"),
            ("SCRIPT", "FLUSH"),
            ("SHUTDOWN",),
        ],
        ids=lambda words: words[0],
    )
    async def test_what_is_not_the_services_own_is_refused(self, url, words):
        async with redis.Redis.from_url(url) as client:
            assert await client.ping()
            with pytest.raises(ResponseError, match=r"permission|ACL failure"):
                await client.execute_command(*words)

    @pytest.fixture
    async def store(self, url, server):
        await server.delete(*[key async for key in server.scan_iter(f"{PREFIX}*")], "none")
        self.opened: list[RedisStore] = []
        self.url = url
        store = await self._opened()
        await store.begin_generation("first", 0)
        yield store
        for opened in self.opened:
            await opened.close()

    async def _opened(self) -> RedisStore:
        store = await self.stranger(None)
        await store.open_generation(0)
        return store

    async def build(self, store: Store, **schemas: Schema) -> Store:
        return await self.stranger(store, schemas)

    async def stranger(
        self, store: Store | None, schemas: Mapping[str, Schema] = RUNTIME
    ) -> RedisStore:
        stranger = RedisStore(self.url, OWNER, schemas=schemas)
        await stranger.open()
        self.opened.append(stranger)
        return stranger

    @pytest.fixture
    def lose(self, server):
        return server.flushall

    async def bounded(self, store: Store, lines_max: int) -> Store:
        self.monkeypatch.setattr(module, "OUTBOX_LINES_MAX", lines_max)
        return store

    @pytest.fixture(autouse=True)
    def _patched(self, monkeypatch):
        self.monkeypatch = monkeypatch

    async def another(self, store: Store) -> Store:
        other = await self._opened()
        async with asyncio.timeout(10):
            # Until its listener is subscribed; announcements before that are asked for anyway.
            while await self._subscribers(store) < 2:
                await asyncio.sleep(0.01)
        return other

    async def forgotten(self, store: Store, *keys: str) -> None:
        await store._redis.delete(*[PREFIX + key for key in keys])

    async def standing(self, store: Store, name: str) -> set[str]:
        found = await store._redis.zrange(f"{PREFIX}index:{name}", 0, -1)
        return {key.decode() for key in found}

    async def _subscribers(self, store: RedisStore) -> int:
        ((_, count),) = await store._redis.pubsub_numsub(store._channel)
        return count

    @pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
    async def test_a_store_closes_also_while_it_is_still_connecting(self, url, turns):
        store = RedisStore(url, OWNER)
        await store.open()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await store.close()

    async def test_scripts_that_the_server_forgot_are_given_to_it_again(self, store, server):
        assert isinstance(await store.commit(Commit([Write("a", 0, b"1")])), Committed)
        await server.script_flush()
        assert isinstance(await store.commit(Commit([Write("a", 1, b"2")])), Committed)
        assert await store.lease("relay", "me", 1000)
        await server.script_flush()
        await store.trim("me", 0)

    @pytest.mark.parametrize("key", ["timers", "outbox", "sequence"])
    async def test_a_key_of_the_wrong_type_is_loud_and_nothing_has_moved(self, store, server, key):
        """Everything is checked before the first write, because a script is not rolled back."""
        await server.delete(PREFIX + key)
        await server.hset(PREFIX + key, "x", "x")
        before = {found async for found in server.scan_iter(f"{PREFIX}*")}
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await store.commit(FOUR_PARTS)
        assert {found async for found in server.scan_iter(f"{PREFIX}*")} == before

    async def test_a_sequence_that_is_no_number_is_loud_and_nothing_has_moved(self, store, server):
        await server.set(PREFIX + "sequence", "many")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await store.commit(FOUR_PARTS)
        assert not await server.exists(PREFIX + "a", PREFIX + "outbox", PREFIX + "timers")

    @pytest.mark.parametrize("broken", ["list", "five", "nan", "1.5"])
    async def test_a_broken_commit_in_a_group_leaves_the_numbers_of_the_others_right(
        self, store, server, broken
    ):
        await store.commit(Commit([], (), (), [b"1"]))
        if broken == "list":
            await server.rpush(PREFIX + "account:broken", "x")
        else:
            await server.set(PREFIX + "account:broken", broken)
        *others, refused = await asyncio.gather(
            store.commit(Commit([Write("first", 0, b"1")])),
            store.commit(Commit([Write("a", 0, b"1")], (), (), [b"2"])),
            store.commit(Commit([], [Charge("broken", 1, 10)], (), [b"3"])),
            return_exceptions=True,
        )
        assert others == [Committed(1), Committed(2)]
        assert isinstance(refused, RedisError)
        assert await store.pending(10) == (1, [b"1", b"2"])
        assert await store.last_sequence() == 2

    async def test_a_document_with_a_time_to_live_is_forgotten_and_others_are_not(
        self, store, server
    ):
        await store.commit(Commit([Write("answer", 0, b"1", ttl_s=100), Write("a", 0, b"1")]))
        assert 0 < await server.ttl(PREFIX + "answer") <= 100
        assert await server.ttl(PREFIX + "a") == -1

    async def test_a_balance_is_kept_for_as_long_as_facts_are_from_its_last_posting_on(
        self, store, server
    ):
        account = PREFIX + "account:n"
        for _ in range(2):
            await store.commit(Commit([], [Charge("n", 1, 10)]))
            assert KEPT_S - 60 < await server.ttl(account) <= KEPT_S
            await server.expire(account, 60)

    async def test_what_a_rebuild_loads_is_kept_for_as_long_as_what_was_committed(
        self, store, server
    ):
        await store.lease(REBUILD, "operator", 60_000)
        await store.begin_rebuild("operator")
        documents = [("a", b"1", None), ("b", b"1", 100)]
        await store.load("operator", Portion(documents, [("n", 1)]), 7)
        assert await server.ttl(PREFIX + "a") == -1
        assert 0 < await server.ttl(PREFIX + "b") <= 100
        assert KEPT_S - 60 < await server.ttl(PREFIX + "account:n") <= KEPT_S

    async def test_a_set_is_kept_for_as_long_as_any_document_in_it(self, store, server):
        name, days = PREFIX + "index:s", 86400

        async def commit(key: str, score: int | None, ttl_s: int | None) -> int:
            found = await store.read([key])
            write = Write(key, found[0].version, b"1", ttl_s)
            await store.commit(Commit([write], entries=[Entry("s", key, score, ttl_s)]))
            return await server.ttl(name)

        assert days - 60 < await commit("d:1", 1, days) <= days
        assert days - 60 < await commit("d:2", 2, 100) <= days, "the first is there still"
        await server.expire(name, 60)
        assert days - 60 < await commit("d:1", 1, days) <= days, "changed, though it stayed"
        assert await commit("d:3", 3, None) == -1
        assert await commit("d:1", 1, days) == -1

    async def test_entries_of_what_was_forgotten_go_as_others_come(self, store, server):
        """A set that is changed for ever and read at one end alone does not grow for ever."""
        keys = [f"d:{n}" for n in range(100)]
        await self.entered(store, *((key, n) for n, key in enumerate(keys)))
        await self.forgotten(store, *keys)
        for version in range(1000):
            write = Write("d:new", version, b"1")
            await store.commit(Commit([write], entries=[Entry("s", "d:new", 1)]))
            if await self.standing(store, "s") == {"d:new"}:
                return
        pytest.fail("what was forgotten still stands there")

    async def test_a_set_is_read_also_while_nothing_can_be_written(self, store, server):
        await self.entered(store, ("d:1", 1), ("d:2", 2))
        await self.forgotten(store, "d:1")
        before = (await server.config_get("maxmemory"))["maxmemory"]
        await server.config_set("maxmemory", 1)
        try:
            assert [key for _, key, _ in (await store.range("s", None, 9)).found] == ["d:2"]
        finally:
            await server.config_set("maxmemory", before)

    async def test_a_set_of_another_type_is_our_defect_and_nothing_of_the_commit_is_written(
        self, store, server
    ):
        await server.set(PREFIX + "index:s", "no set")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await self.entered(store, ("d:1", 1))
        assert await store.read(["d:1"]) == [ABSENT]

    async def test_every_key_carries_the_shard_tag_of_its_site(self, store, server):
        await store.commit(FOUR_PARTS)
        await store.lease("relay", "me", 1000)
        keys = {key.decode() async for key in server.scan_iter(f"{OWNER}:*")}
        assert keys
        assert all(key.startswith(PREFIX) for key in keys)

    async def test_a_lease_that_is_not_prolonged_runs_out(self, store):
        assert await store.lease("relay", "me", 20)
        async with asyncio.timeout(10):
            while not await store.lease("relay", "you", 1000):
                await asyncio.sleep(0.01)

    async def test_a_full_memory_refuses_writes_whole_and_keeps_what_it_has(self, store, server):
        await store.commit(Commit([Write("a", 0, b"1")]))
        before = (await server.config_get("maxmemory"))["maxmemory"]
        await server.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable, match=Reason.STORE_FULL.value):
                await store.commit(Commit([Write("a", 1, b"2")], [Charge("n", 1, 9)], (), [b"l"]))
            assert await store.read(["a"]) == [Versioned(1, b"1")]
            assert await store.balances(["n"]) == [0]
        finally:
            await server.config_set("maxmemory", before)
        assert isinstance(await store.commit(Commit([Write("a", 1, b"2")])), Committed)

    async def test_a_full_memory_is_drained_by_the_relay_and_then_takes_commits_again(
        self, store, server
    ):
        """Nothing accepted is lost, and nobody has to free memory by hand."""
        waiting = [b"%d" % n + b"l" * 100_000 for n in range(100)]
        await store.commit(Commit((), (), (), waiting))
        assert await store.takes_commits()
        before = (await server.config_get("maxmemory"))["maxmemory"]
        used = (await server.info("memory"))["used_memory"]
        await server.config_set("maxmemory", used - 5_000_000)
        refused = COMMITS_REFUSED.labels(OWNER, Reason.STORE_FULL)
        count = refused._value.get()
        try:
            with pytest.raises(Unavailable, match=Reason.STORE_FULL.value):
                await store.commit(Commit([Write("b", 0, b"1")]))
            assert refused._value.get() == count + 1
            assert not await store.takes_commits(), "readiness remembers"
            assert await store.lease("relay", "me", 60_000)
            first, lines = await store.pending(200)
            assert lines == waiting
            await store.trim("me", first + len(lines) - 1)
            assert await store.takes_commits()
            assert isinstance(await store.commit(Commit([Write("b", 0, b"1")])), Committed)
        finally:
            await server.config_set("maxmemory", before)

    async def test_readiness_knows_of_a_full_memory_before_a_commit_of_ours_was_refused(
        self, store, server
    ):
        """Another service may have filled it, and a service with nothing to do is not ready either."""
        await store.commit(Commit([Write("a", 0, b"1" * 200_000)]))
        before = (await server.config_get("maxmemory"))["maxmemory"]
        used = (await server.info("memory"))["used_memory"]
        keys = set(await server.keys(PREFIX + "*"))
        await server.config_set("maxmemory", used - 100_000)
        try:
            assert not await store.takes_commits()
            assert set(await server.keys(PREFIX + "*")) == keys, "the look leaves nothing"
        finally:
            await server.config_set("maxmemory", before)
        assert await store.takes_commits()

    async def test_readiness_remembers_a_batch_for_which_there_is_too_little_room(
        self, store, server
    ):
        """A small look would say that all is well between one refusal and the next."""
        await store.commit(Commit([Write("a", 0, b"1")]))
        batch = Commit([Write("b", 0, b"1" * 1_000_000)])
        before = (await server.config_get("maxmemory"))["maxmemory"]
        used = (await server.info("memory"))["used_memory"]
        await server.config_set("maxmemory", used + 500_000)
        try:
            with pytest.raises(Unavailable, match=Reason.STORE_FULL.value):
                await store.commit(batch)
            assert not await store.takes_commits()
            assert isinstance(await store.commit(Commit([Write("a", 9, b"2")])), Conflict)
            assert not await store.takes_commits(), "a conflict was not taken"
        finally:
            await server.config_set("maxmemory", before)
        assert await store.takes_commits()
        assert isinstance(await store.commit(batch), Committed)

    async def test_a_full_outbox_takes_no_commits_until_it_is_trimmed(self, store, server):
        self.monkeypatch.setattr(module, "OUTBOX_LINES_MAX", 3)
        await store.commit(Commit((), (), (), [b"l"] * 3))
        with pytest.raises(Unavailable, match=Reason.OUTBOX_FULL.value):
            await store.commit(Commit((), (), (), [b"l"]))
        keys = set(await server.keys(PREFIX + "*"))
        assert not await store.takes_commits()
        assert set(await server.keys(PREFIX + "*")) == keys, "the look leaves nothing in the state"
        await store.lease("relay", "me", 60_000)
        await store.trim("me", 2)
        assert await store.takes_commits()

    async def test_a_server_that_does_not_answer_is_unavailable_within_the_time_limit(
        self, store, server
    ):
        self.monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
        hasty = await self._opened()
        await server.execute_command("CLIENT", "PAUSE", 1_500, "ALL")
        with pytest.raises(Unavailable, match=Reason.STORE_UNAVAILABLE.value):
            await hasty.read(["a"])
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await hasty.read(["a"]) == [ABSENT]
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)

    async def test_announcements_are_heard_again_after_their_connection_went_silent(
        self, store, url
    ):
        self.monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
        parts = urlsplit(url)
        proxy = Proxy(parts.port or 0)
        async with proxy.serving() as port:
            self.url = parts._replace(netloc=f"127.0.0.1:{port}").geturl()
            other = await self.another(store)
            proxy.cut(b"SUBSCRIBE")
            await store.commit(Commit((), (), (), [b"1"]))
            await store.lease("relay", "me", 60_000)
            await store.trim("me", 1)
            assert await other.wait_published(1, 10_000)
            await other.close()

    @pytest.mark.usefixtures("as_operator")
    async def test_a_server_that_was_killed_serves_again_with_everything_it_confirmed(
        self, store, stack: Stack
    ):
        if not stack.can_be_killed:
            pytest.skip(f"a server from {stack.source} is not ours to kill")
        other = await self.another(store)
        await store.commit(FOUR_PARTS)
        await asyncio.to_thread(stack.kill_redis)
        try:
            with pytest.raises(Unavailable, match=Reason.STORE_UNAVAILABLE.value):
                await store.commit(Commit([Write("b", 0, b"2")]))
            with pytest.raises(Unavailable, match=Reason.STORE_UNAVAILABLE.value):
                await store.read(["a"])
        finally:
            await asyncio.to_thread(stack.start_redis)
        # Nobody knows yet whether what came back is what went away.
        for one in (store, other):
            with pytest.raises(Unavailable):
                await one.read(["a"])
            assert not one.usable
            assert await one.open_generation(1)
        assert await store.read(["a", "b"]) == [Versioned(1, b"1"), ABSENT]
        assert await store.balances(["n"]) == [5]
        assert await store.pending(10) == (1, [b"l"])
        assert await store.commit(Commit([Write("b", 0, b"2")], (), (), [b"m"])) == Committed(2)
        # Announcements are heard again too, after a reconnect that nobody asked for.
        await store.lease("relay", "me", 60_000)
        await store.trim("me", 2)
        assert await other.wait_published(2, 10_000)

    @pytest.mark.usefixtures("as_operator")
    async def test_an_older_state_that_a_restart_brought_back_is_noticed_by_who_asks_nothing(
        self, store, server, stack: Stack
    ):
        if not stack.can_be_killed:
            pytest.skip(f"a server from {stack.source} is not ours to kill")
        await store.commit(FOUR_PARTS)
        await store.commit(Commit((), (), (), [b"m"]))
        await server.set(PREFIX + "sequence", 1)
        await asyncio.to_thread(stack.kill_redis)
        await asyncio.to_thread(stack.start_redis)
        async with asyncio.timeout(10):
            while store.usable:
                await asyncio.sleep(0.01)
        assert not await store.open_generation(2)
        with pytest.raises(Unavailable, match=Reason.STORE_STALE.value):
            await store.commit(Commit([Write("b", 0, b"2")]))
        assert not await store.open_generation(None)

    @pytest.mark.usefixtures("as_operator")
    async def test_a_commit_on_its_way_does_not_reach_a_server_that_was_not_compared(
        self, store, stack: Stack
    ):
        """Every connection asks which server it leads to before anything else is sent."""
        if not stack.can_be_killed:
            pytest.skip(f"a server from {stack.source} is not ours to kill")
        await store.commit(FOUR_PARTS)
        await asyncio.to_thread(stack.kill_redis)
        await asyncio.to_thread(stack.start_redis)
        ends = await asyncio.gather(
            *(store.commit(Commit([Write(f"w{n}", 0, b"1")])) for n in range(20)),
            *(store.trim("me", 0) for _ in range(5)),
            return_exceptions=True,
        )
        assert all(isinstance(end, Unavailable) for end in ends)
        assert await store.open_generation(1)
        assert await store.read([f"w{n}" for n in range(20)]) == [ABSENT] * 20

    @pytest.mark.usefixtures("as_operator")
    async def test_once_a_restarted_server_was_compared_no_pooled_connection_fails(
        self, store, stack: Stack
    ):
        """Each connection from before the restart is made anew, and costs nobody a 503."""
        if not stack.can_be_killed:
            pytest.skip(f"a server from {stack.source} is not ours to kill")

        async def all_at_once() -> list[object]:
            return await asyncio.gather(
                *(store.lease(f"l{n}", "me", 60_000) for n in range(module.CONNECTIONS_MAX)),
                return_exceptions=True,
            )

        assert all(await all_at_once()), "every connection of the pool was in use"
        await asyncio.to_thread(stack.kill_redis)
        await asyncio.to_thread(stack.start_redis)
        async with asyncio.timeout(30):
            while not await store.open_generation(0):
                await asyncio.sleep(0.01)
        assert await all_at_once() == [True] * module.CONNECTIONS_MAX
