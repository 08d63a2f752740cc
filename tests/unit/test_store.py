"""The store in memory keeps the promise of every store."""

from __future__ import annotations

import pytest

from shared.kernel import Schema
from shared.runtime.engine.store import Store
from shared.testing.memory_store import MemoryStore
from tests.suites.store import StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    async def store(self):
        store = MemoryStore()
        await store.begin_generation("first", 0)
        return store

    @pytest.fixture
    def lose(self, store):
        async def lose() -> None:
            store.lose()

        return lose

    async def bounded(self, store: Store, lines_max: int) -> Store:
        bounded = MemoryStore(outbox_max=lines_max)
        await bounded.begin_generation("first", 0)
        return bounded

    async def another(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.another()

    async def stranger(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return MemoryStore(kept=store.kept)

    async def build(self, store: Store, **schemas: Schema) -> Store:
        assert isinstance(store, MemoryStore)
        return MemoryStore(kept=store.kept, schemas=schemas)

    async def forgotten(self, store: Store, *keys: str) -> None:
        for key in keys:
            del store.kept.documents[key]

    async def standing(self, store: Store, name: str) -> set[str]:
        return set(store.kept.indexes.get(name, {}))
