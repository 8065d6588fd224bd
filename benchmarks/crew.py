"""Workers in processes of their own, for the benchmarks that need some: the engine on Redis's, or docket's alone.

Both keep a task's result, look for work every 10 ms, run 16 tasks at a time and have leases of five seconds; telemetry
is off. A worker says `ready` when it has connected, waits for a line on its standard input, then takes work until it is
ended. What it does for a task is `Job`'s: wait, or say that it has begun and hang the first time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Self, TypeAlias

from docket import Docket, Worker
from redis.asyncio import Redis

from weaver_ai.tasks import TaskContext, TaskOutcome, TaskRequest
from weaver_ai.tasks.redis.access import RedisAccess
from weaver_ai.tasks.redis.answers import Heartbeat
from weaver_ai.tasks.redis.attempts import RedisAttempts
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.tasks.redis.pool import RedisPool
from weaver_ai.tasks.redis.serving import Serving

LEASE_SECONDS = 5.0
CONCURRENCY = 16

Work: TypeAlias = Callable[[float], Awaitable[None]]
Submit: TypeAlias = Callable[[float], Awaitable[object]]
"""Submits a task with its one argument, and waits for no result."""


def engine(url: str, name: str, work: Work | None) -> DocketEngine:
    async def handler(context: TaskContext) -> TaskOutcome:
        assert work is not None
        assert isinstance(context.record.input, int | float)
        await work(context.record.input)
        return TaskOutcome(result=context.record.input)

    return DocketEngine(
        url,
        None if work is None else handler,
        prefix=name,
        concurrency=CONCURRENCY,
        queue_size=1_000_000,
        lease_seconds=LEASE_SECONDS,
    )


@asynccontextmanager
async def engine_submits(url: str, name: str) -> AsyncIterator[Submit]:
    gateway = engine(url, name, None)
    await gateway.start()
    await _heard_of(url, name)
    heralding = asyncio.create_task(_herald(url, name))
    yield lambda given: gateway.submit(TaskRequest(capability="work", input=given))
    heralding.cancel()
    await asyncio.wait({heralding})
    await gateway.aclose()


async def _herald(url: str, name: str) -> None:
    """Keep a worker in sight that takes nothing: a task is given a turn where it is submitted if somebody serves it."""
    while True:
        await asyncio.sleep(20)
        await _heard_of(url, name)


async def _heard_of(url: str, name: str) -> None:
    async with RedisPool(url) as pool, pool.docket(name) as docket:
        access = RedisAccess(docket, prefix=name, ttl_seconds=60, max_events=1)
        herald = RedisAttempts(access, Serving(), worker="herald", readers="", lease_seconds=LEASE_SECONDS)
        await herald.beat(Heartbeat(concurrency=0, running=0, idle_seconds=0.0, draining=False), [])


async def engine_serves(url: str, name: str, work: Work) -> None:
    await engine(url, name, work).start()
    await asyncio.Event().wait()


def _named(work: Work) -> Callable[[float], Awaitable[float]]:
    async def bare(given: float) -> float:
        await work(given)
        return given  # which docket keeps, as the engine does

    return bare


async def _nothing(given: float) -> None: ...


@asynccontextmanager
async def docket_submits(url: str, name: str) -> AsyncIterator[Submit]:
    async with Docket(name=name, url=url) as docket:
        bare = _named(_nothing)
        docket.register(bare)

        async def submit(given: float) -> object:
            return await docket.add(bare)(given)  # `add` makes one task's key, so it is asked anew for each

        yield submit


async def docket_serves(url: str, name: str, work: Work) -> None:
    async with (
        Docket(name=name, url=url) as docket,
        Worker(
            docket,
            concurrency=CONCURRENCY,
            redelivery_timeout=timedelta(seconds=LEASE_SECONDS),
            minimum_check_interval=timedelta(milliseconds=10),
            schedule_automatic_tasks=False,
        ) as worker,
    ):
        docket.register(_named(work))
        await worker.run_forever()


SUBMITS: dict[str, Callable[[str, str], AbstractAsyncContextManager[Submit]]] = {
    "docket engine": engine_submits,
    "docket alone": docket_submits,
}
SERVES: dict[str, Callable[[str, str, Work], Awaitable[None]]] = {
    "docket engine": engine_serves,
    "docket alone": docket_serves,
}


class Job:
    """What a worker does for a task, and how many it has done: `done:<name>` in Redis, a field for each process."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self.done = 0

    async def wait(self, seconds: float) -> None:
        """As long as a model would take."""
        if seconds:
            await asyncio.sleep(seconds)
        self.done += 1

    async def hang_once(self, number: float) -> None:
        """Tell when and where it began; the first time, don't end."""
        began = f"{os.getpid()} {time.time()}"
        if await self._redis.rpush(f"began:{self._name}:{number:.0f}", began) == 1:
            await asyncio.sleep(600)

    async def tell(self) -> None:
        while True:
            await self._redis.hset(f"done:{self._name}", str(os.getpid()), str(self.done))
            await asyncio.sleep(0.05)


class Crew:
    """Worker processes, ready and not begun; a context manager that ends them.

    Args:
        contestant: one of `SERVES`.
        url: of the Redis.
        name: of what they serve, a new one for each measurement.
        job: of `Job`'s methods.
        workers: how many processes.
    """

    def __init__(self, contestant: str, url: str, name: str, job: str, workers: int) -> None:
        self._command = [sys.executable, __file__, contestant, url, name, job]
        self.processes = [self._started() for _ in range(workers)]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"

    def begin(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()

    def kill(self, pid: int) -> None:
        """`kill -9` of one."""
        (process,) = (process for process in self.processes if process.pid == pid)
        process.kill()
        process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def main() -> None:
    contestant, url, name, job = sys.argv[1:]
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(url))
        doing = Job(redis, name)
        await redis.ping()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        telling = asyncio.create_task(doing.tell())
        await SERVES[contestant](url, name, getattr(doing, job))
        telling.cancel()


if __name__ == "__main__":
    asyncio.run(main())
