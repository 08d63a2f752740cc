"""Messages over providers that fail, fall silent and lie, while the notifier dies at each named point.

The small version of `python -m tests.system.message_faults`, with everything real but the providers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.message_faults import PASSES_MAX, Run, run

MESSAGES = 300


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("faults")
    yield run(directory, messages=MESSAGES, per_second=10, seed=20261130, processes=1, rounds=1)


def test_every_message_is_sent_or_failed_truthfully_and_no_repeat_is_uncounted(done: Run):
    """INV-05: whatever mail servers and providers of text messages answer, or do not."""
    assert done.wrong() == []
    found = done.summary()
    assert found["queued"] >= MESSAGES
    assert found["sent"] > MESSAGES / 2
    assert found["repeats_counted"] > 0


def test_the_notifier_died_at_each_of_its_points_and_the_providers_failed(done: Run):
    assert dict(done.deaths) == dict.fromkeys(PASSES_MAX, 1)
    assert done.summary()["faults"] > MESSAGES / 10
    assert sum(done.ledger["forged"].values()) > 0
    assert sum(done.ledger["answers"].values()) > 0
