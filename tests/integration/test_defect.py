"""A defect of ours while a batch is settled: the process ends, and the batch comes again. INV-04."""

from __future__ import annotations

import asyncio
import sys
import uuid

from aiokafka import TopicPartition

from devstack.stack import ROOT
from shared.runtime.kafka.consumer import EXIT_BROKEN
from shared.runtime.kafka.watch import waiting_for
from tests.suites.streams import DEADLINE_S, heard, make, put


async def test_a_defect_in_the_agent_ends_the_process_and_acknowledges_nothing(stack):
    name = f"broken-{uuid.uuid4().hex}"
    await make(stack, name)
    await put(stack, name, {0: [heard(number) for number in range(3)]})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.suites.broken", stack.bootstrap, name,
        cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == EXIT_BROKEN
    assert b"stream_broken" in told
    assert b"secret words" not in told
    assert await waiting_for(stack.bootstrap, f"recovery-{name}", [name]) == {
        TopicPartition(name, 0): 0
    }
