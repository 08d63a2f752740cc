"""The life of complaints against its model, on the store in memory: many runs, always the same ones."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from shared.runtime.engine.store import Store
from shared.testing.memory_store import MemoryStore
from tests.suites.lifecycle_machine import LifecycleMachine


class InMemory(LifecycleMachine):
    async def opened(self) -> Store:
        store = MemoryStore()
        await store.begin_generation("first", 0)
        return store


@pytest.mark.parametrize("salt", range(4))
def test_random_lives_of_complaints_are_what_the_model_says(salt):
    salted = type(f"InMemory{salt}", (InMemory,), {"salt": salt})
    bound = settings(max_examples=10, stateful_step_count=25, phases=[Phase.generate])
    run_state_machine_as_test(salted, settings=bound)
