"""Tasks through the embedded engine and the one on Redis, against docket alone and taskiq with taskiq-redis.

    uv run --group bench benchmarks/engine.py [tasks] [rounds]

Each contestant submits and runs in one process and one event loop, 16 at a time, against a redis-server that this
script starts. A round takes each in turn, so that what else the machine does meets all of them; ratios are those within
a round, and medians are shown. Processor time is that of this process, so without Redis's. All keep a result and wait
for it; docket and the engine look for work every 10 ms and have leases of five seconds. Telemetry is off. Not compared:
what a task is promised. docket and taskiq keep no record, events, priorities, bounded queue or idempotency keys here.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import TypeAlias
from uuid import uuid4

from docket import Docket, Worker
from table import publish
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from weaver_ai.tasks import EmbeddedEngine, Engine, TaskContext, TaskOutcome, TaskRequest
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

CONCURRENCY = 16
LEASE_SECONDS = 5.0
SUBMITTERS = 16
SINGLE = 50

Submit: TypeAlias = Callable[[int], Awaitable[Callable[[], Awaitable[object]]]]
"""Submits a task and gives what waits for its result."""
Contestant: TypeAlias = Callable[[str], AbstractAsyncContextManager[Submit]]


async def nothing(context: TaskContext) -> TaskOutcome:
    return TaskOutcome(result=context.record.input)


def _through(engine: Engine) -> Submit:
    async def submit(number: int) -> Callable[[], Awaitable[object]]:
        task = await engine.submit(TaskRequest(capability="nothing", input=number))
        return lambda: engine.result(task.id)

    return submit


@asynccontextmanager
async def embedded(_url: str) -> AsyncIterator[Submit]:
    engine = EmbeddedEngine(nothing, concurrency=CONCURRENCY, queue_size=1_000_000)
    await engine.start()
    yield _through(engine)
    await engine.drain(0)


@asynccontextmanager
async def on_redis(url: str) -> AsyncIterator[Submit]:
    engine = DocketEngine(
        url,
        nothing,
        prefix=f"bench-{uuid4().hex}",
        concurrency=CONCURRENCY,
        queue_size=1_000_000,
        lease_seconds=LEASE_SECONDS,
    )
    await engine.start()
    yield _through(engine)
    await engine.drain(0)
    await engine.aclose()


async def bare(number: int) -> int:
    return number


@asynccontextmanager
async def docket(url: str) -> AsyncIterator[Submit]:
    async with (
        Docket(name=f"bench-{uuid4().hex}", url=url) as queue,
        Worker(
            queue,
            concurrency=CONCURRENCY,
            redelivery_timeout=timedelta(seconds=LEASE_SECONDS),
            minimum_check_interval=timedelta(milliseconds=10),
            schedule_automatic_tasks=False,
        ) as worker,
    ):
        queue.register(bare)

        async def submit(number: int) -> Callable[[], Awaitable[object]]:
            execution = await queue.add(bare)(number)
            return execution.get_result

        running = asyncio.create_task(worker.run_forever())
        yield submit
        running.cancel()
        await asyncio.wait({running})


@asynccontextmanager
async def taskiq(url: str) -> AsyncIterator[Submit]:
    broker = RedisStreamBroker(url, queue_name=f"bench-{uuid4().hex}").with_result_backend(
        RedisAsyncResultBackend(url, result_ex_time=600)
    )
    broker.is_worker_process = True
    task = broker.register_task(bare, task_name="bare")
    await broker.startup()
    running = asyncio.create_task(run_receiver_task(broker, max_async_tasks=CONCURRENCY))

    async def submit(number: int) -> Callable[[], Awaitable[object]]:
        sent = await task.kiq(number)
        return lambda: sent.wait_result(check_interval=0.01)

    yield submit
    running.cancel()
    await asyncio.wait({running})
    await broker.shutdown()


CONTESTANTS: dict[str, Contestant] = {
    "embedded": embedded,
    "docket engine": on_redis,
    "docket alone": docket,
    "taskiq + taskiq-redis": taskiq,
}


async def burst(submit: Submit, tasks: int) -> tuple[float, float]:
    """Tasks a second, from the first submission to the last result, and milliseconds of processor time for each."""
    began, used = time.perf_counter(), time.process_time()
    numbers = iter(range(tasks))

    async def submitter() -> list[Callable[[], Awaitable[object]]]:
        return [await submit(number) for number in numbers]

    waits = [wait for some in await asyncio.gather(*(submitter() for _ in range(SUBMITTERS))) for wait in some]
    for wait in waits:
        await wait()
    return tasks / (time.perf_counter() - began), (time.process_time() - used) / tasks * 1000


async def one_by_one(submit: Submit) -> list[float]:
    """Milliseconds from a submission to its result, with nothing else to do."""
    took = []
    for number in range(SINGLE):
        began = time.perf_counter()
        await (await submit(number))()
        took.append((time.perf_counter() - began) * 1000)
    return took


class Found:
    """What was measured of one contestant, round by round."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.processor: list[float] = []
        self.delays: list[float] = []

    def to(self, other: Found) -> float:
        """How many times as many tasks a second, in the middle one of the rounds."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.rates, other.rates, strict=True))

    def row(self, name: str, alone: Found) -> list[str]:
        delays = sorted(self.delays)
        return [
            name,
            f"{statistics.median(self.rates):,.0f}",
            f"{self.to(alone):.2f}",
            f"{statistics.median(self.processor):.2f}",
            f"{statistics.median(delays):.1f}",
            f"{delays[min(len(delays) - 1, int(len(delays) * 0.99))]:.1f}",
        ]


async def measure(url: str, tasks: int, rounds: int) -> dict[str, Found]:
    found = {name: Found() for name in CONTESTANTS}
    for _ in range(rounds):
        for name, contestant in CONTESTANTS.items():
            async with contestant(url) as submit:
                await one_by_one(submit)  # connections are made, scripts are loaded
                rate, processor = await burst(submit, tasks)
                found[name].rates.append(rate)
                found[name].processor.append(processor)
                found[name].delays += await one_by_one(submit)
    return found


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with RedisServer() as server:
        found = asyncio.run(measure(server.url, tasks, rounds))
    alone = found["docket alone"]
    verdict = (
        f"The engine on Redis runs {found['docket engine'].to(alone):.2f} times as many tasks a second as docket alone "
        f"(median of {rounds} rounds of {tasks} tasks); 0.83 is 20% more time for each, which was the aim."
    )
    publish(
        "engine",
        "Tasks through the engines",
        ["engine", "tasks/s", "to docket alone", "processor ms a task", "p50 ms", "p99 ms"],
        [each.row(name, alone) for name, each in found.items()],
        packages=["pydocket", "redis", "taskiq", "taskiq-redis"],
        verdict=verdict,
    )


if __name__ == "__main__":
    main()
