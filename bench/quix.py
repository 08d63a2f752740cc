"""python -m bench.quix: a peer of the pipeline on quixstreams, exactly-once and with state.

The same parse and triage as the bare loop. Each complaint's fact is kept as state under its event's key,
so that a repeated event gives no second fact; fact, state and progress are committed in one transaction
of Kafka. It runs in an environment of its own (`bench/quix_venv.py`).
"""

from __future__ import annotations

import os
from typing import Any

from quixstreams import Application
from quixstreams.state import State

from bench.bare import RECORDS_MAX, SESSION_MS, Loop
from bench.world import QUIX_GROUP, QUIX_INTAKE, QUIX_TRIAGED, roomy_policy
from services.complaints.settings import Settings
from shared.runtime.kafka.inbox import Record
from shared.runtime.service import announce, settle_memory

#: Longest time between two transactions, in seconds; a full batch is committed at once.
COMMIT_S = 0.25
#: How long it waits for more events before it looks whether to commit, in seconds.
POLL_S = 0.05


def main() -> None:
    """Run until SIGTERM."""
    announce("quix", ["kafka://"])
    loop = Loop(roomy_policy())

    def triage(value: bytes, _key: bytes, _time: int, headers: Any, state: State) -> bytes | None:
        """The triaged fact of an event; None if the event came before."""
        if state.get_bytes("triaged") is not None:
            return None
        fact = loop.triage(Record(0, value, headers or ()))[1]
        state.set_bytes("triaged", fact)
        return fact

    app = Application(
        broker_address=Settings().kafka_bootstrap,
        consumer_group=QUIX_GROUP,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_every=RECORDS_MAX,
        commit_interval=COMMIT_S,
        consumer_poll_timeout=POLL_S,
        consumer_extra_config={"session.timeout.ms": SESSION_MS},
        producer_extra_config={"linger.ms": 5},
        state_dir=os.environ["BENCH_STATE"],
        loglevel="WARNING",
    )
    intake = app.topic(QUIX_INTAKE, key_deserializer="bytes", value_deserializer="bytes")
    triaged = app.topic(QUIX_TRIAGED, key_serializer="bytes", value_serializer="bytes")
    rows = app.dataframe(intake).apply(triage, stateful=True, metadata=True)
    rows.filter(lambda fact: fact is not None).to_topic(triaged)
    app.run()


if __name__ == "__main__":
    settle_memory()
    main()
