"""`python -m tests.chaos.ahead`: a service with a clock that is ahead; it behaves like the service otherwise."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module

from shared.runtime.service import main


def ahead(by: timedelta) -> datetime:
    """The time of the clock that is ahead."""
    return datetime.now(UTC) + by


if __name__ == "__main__":
    service = f"services.{os.environ['SERVICE_CHECK_CHAOS_SERVICE']}"
    now = partial(ahead, timedelta(seconds=int(os.environ["SERVICE_CHECK_CHAOS_AHEAD_S"])))
    build = import_module(f"{service}.app").build
    main(import_module(f"{service}.settings").Settings, partial(build, now=now))
