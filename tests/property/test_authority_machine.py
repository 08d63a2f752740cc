"""The ledger of authority against its model, on the store in memory: many runs, always the same ones."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from shared.runtime.engine.store import Store
from shared.testing.memory_store import MemoryStore
from tests.suites.authority_machine import AuthorityMachine


class InMemory(AuthorityMachine):
    async def opened(self) -> Store:
        store = MemoryStore()
        await store.begin_generation("first", 0)
        return store

    async def accounts(self, store: MemoryStore) -> dict[str, int]:
        return {name: amount for name, amount in store.kept.accounts.items() if amount}


@pytest.mark.parametrize("salt", range(8))
def test_random_lives_of_checks_are_what_the_model_says(salt):
    """INV-01, INV-03: after every step of every run."""
    salted = type(f"InMemory{salt}", (InMemory,), {"salt": salt})
    # Not shrunk: the run that failed is printed as it was, and a smaller one takes minutes to find.
    bound = settings(max_examples=12, stateful_step_count=15, phases=[Phase.generate])
    run_state_machine_as_test(salted, settings=bound)
