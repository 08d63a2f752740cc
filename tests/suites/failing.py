"""A process in which everything fails that can: `python -m tests.suites.failing`; ends with a failure of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from typing import NoReturn

from pydantic_settings import BaseSettings

from shared.runtime.service import main

WORDS = "secret words"


class Settings(BaseSettings):
    log_level: str = "INFO"


class Dying:
    def __del__(self) -> None:
        raise ValueError(WORDS)


def fail() -> NoReturn:
    raise ValueError(WORDS)


async def fail_later() -> NoReturn:
    fail()


class Broken:
    def __init__(self, _settings: Settings) -> None:
        pass

    async def run(self, _stopping: asyncio.Event) -> None:
        library = logging.getLogger("some.library")
        library.warning("cannot reach %s\nand a second line", "a broker")
        library.warning("arguments %s %s", "missing")
        try:
            fail()
        except ValueError:
            library.exception("failed at %s", WORDS)
        warnings.warn("an old way\nof doing it", RuntimeWarning, stacklevel=1)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda _: fail(), WORDS)
        forgotten = loop.create_task(fail_later())
        await asyncio.sleep(0.01)
        del forgotten
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        await asyncio.to_thread(asyncio.run, others())
        Dying()
        fail()


async def others() -> None:
    """Fail in a loop that is not the service's own, as the Kafka client has one."""
    asyncio.get_running_loop().call_soon(lambda _: fail(), WORDS)
    forgotten = asyncio.create_task(fail_later())
    await asyncio.sleep(0.01)
    del forgotten


if __name__ == "__main__":
    main(Settings, Broken)
