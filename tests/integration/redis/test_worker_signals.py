"""A second signal ends a worker at once: its tasks are others' then, and the process doesn't wait for anything."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fixtures.gateway import Gateway
from weaver_ai.tasks import TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

GRACE = 90.0
TARGET = """
import asyncio, time
from weaver_ai.agents import Run, Weaver

weaver = Weaver("slow")

@weaver.workflow("waits")
async def waits(run: Run, input: str) -> str:
    await asyncio.sleep(600)
    return input

@weaver.workflow("blocks")
async def blocks(run: Run, input: str) -> str:
    print("it blocks", flush=True)
    time.sleep(600)
    return input
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("capability", ["waits", "blocks"])
async def test_a_second_signal_ends_it_at_once(server: RedisServer, tmp_path: Path, capability: str) -> None:
    (tmp_path / "slow.py").write_text(TARGET)
    database = f"redis://127.0.0.1:{server.port}/{1 if capability == 'waits' else 2}"
    env = {"WEAVER_REDIS_URL": database, "WEAVER_SHUTDOWN_GRACE_SECONDS": str(GRACE)}
    worker = Gateway(tmp_path, env, command=[sys.executable, "-m", "weaver_ai", "worker", "slow:weaver"]).start()
    gateway = DocketEngine(database)
    await gateway.start()
    try:
        worker.wait_for_line("  telemetry ", 60)
        task = await gateway.submit(TaskRequest(capability=capability, input="x"))
        async for event in gateway.events(task.id):
            if event.type == "task.started":
                break
        if capability == "blocks":
            worker.wait_for_line("it blocks", 30)
        began = time.monotonic()
        while worker.process.poll() is None and time.monotonic() - began < GRACE / 2:
            if "a second signal" not in worker.output:
                worker.terminate()  # two that come together are one, so some more may be needed
            with suppress(subprocess.TimeoutExpired):
                worker.wait(2)
        assert worker.process.poll() == 1, worker.output
        assert (await gateway.status(task.id)).state in {"running", "queued"}
    finally:
        worker.client.close()
        if worker.process.poll() is None:
            worker.process.kill()
            worker.wait()
        await gateway.aclose()
