"""A worker that hangs or is gone: for how long it is told of, and that it never looks well."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from uuid import uuid4

from tests.fixtures.gateway import run_weaver
from weaver_ai.tasks import EngineHealth, TaskContext, TaskOutcome, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

LEASE = 0.5


async def echo(context: TaskContext) -> TaskOutcome:
    return TaskOutcome(result=context.record.input)


async def block(context: TaskContext) -> TaskOutcome:
    """What no handler should do: hold the event loop up."""
    time.sleep(float(str(context.record.input)))  # the fault
    return TaskOutcome()


DOOMED = """
import asyncio
from docket import Worker
from weaver_ai.agents.support_desk import weaver

async def break_off(self):
    await asyncio.sleep(0.2)
    raise RuntimeError("docket's loop broke")

Worker.run_forever = break_off
"""
"""A target in whose worker the loop that takes tasks ends by itself, as no version of docket is known to do."""


async def until(gateway: DocketEngine, wanted: str) -> EngineHealth:
    async with asyncio.timeout(30):
        while True:
            health = await gateway.health()
            if wanted in (health.reason or "well"):
                return health
            await asyncio.sleep(0.05)


async def test_a_worker_whose_event_loop_is_blocked_is_silent(server: RedisServer) -> None:
    prefix = f"test-{uuid4().hex}"
    gateway = DocketEngine(server.url, prefix=prefix, lease_seconds=LEASE)
    worker = DocketEngine(server.url, block, prefix=prefix, lease_seconds=LEASE, unwind_seconds=0.5)
    loop = asyncio.new_event_loop()

    async def work() -> None:
        await worker.start()
        async with asyncio.timeout(60):
            await over.wait()
        await worker.drain(0)
        await worker.aclose()

    over = asyncio.Event()
    running = asyncio.create_task(asyncio.to_thread(loop.run_until_complete, work()))
    await gateway.start()
    try:
        await until(gateway, "well")
        await gateway.submit(TaskRequest(capability="block", input="2"))
        health = await until(gateway, "is silent")
        assert health.state == "degraded"
        assert (health.reason or "").startswith("no worker takes tasks; the worker ")
    finally:
        loop.call_soon_threadsafe(over.set)
        await running
        loop.close()
        await gateway.aclose()


async def test_one_that_went_without_a_word_is_told_of_for_four_leases(server: RedisServer) -> None:
    prefix = f"test-{uuid4().hex}"
    gateway = DocketEngine(server.url, prefix=prefix, lease_seconds=LEASE)
    gone, stays = (
        DocketEngine(server.url, echo, prefix=prefix, lease_seconds=LEASE, unwind_seconds=0.5) for _ in range(2)
    )
    for engine in (gateway, gone, stays):
        await engine.start()
    try:
        await until(gateway, "well")
        await gone.aclose()  # at once, and without a goodbye
        health = await until(gateway, "is silent")
        assert health.state == "degraded"
        health = await until(gateway, "well")
        workers = health.detail["workers"]
        assert isinstance(workers, list)
        assert len(workers) == 1
    finally:
        await stays.drain(0)
        await stays.aclose()
        await gateway.aclose()


def test_one_that_can_take_no_more_tasks_ends_and_says_why(server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "doomed.py").write_text(DOOMED)
    ended = run_weaver("worker", "doomed:weaver", env={"WEAVER_REDIS_URL": server.url}, cwd=tmp_path, timeout=60.0)
    told = ended.stdout + ended.stderr
    assert ended.returncode == 1, told
    assert "the worker takes no more tasks, for what docket delivers them with has ended" in told
    assert "RuntimeError: docket's loop broke" in told
