"""Cancellation, over every engine there is."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import PATIENCE, Work, finished, types, wanted
from weaver_ai.tasks import (
    TaskContext,
    TaskError,
    TaskOutcome,
)

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


async def test_a_cancelled_task_that_waited_never_starts(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1) as engine:
        first = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("never"))
        cancelled = await engine.cancel(waiting.id)
        told = await types(engine, waiting.id)
        health = await engine.health()
        work.go.set()
        await finished(engine, first.id)
    assert (cancelled.state, cancelled.attempts, cancelled.started_at) == ("cancelled", 0, None)
    assert cancelled.error == TaskError(code="run-cancelled", message="the task was cancelled")
    assert told == ["task.queued", "task.cancelled"]
    assert (health.queued, work.started) == (0, ["wait"])


async def test_a_running_task_is_cancelled_for_real(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        cancelled = await engine.cancel(task.id)
        told = await types(engine, task.id)
    assert (cancelled.state, cancelled.attempts, work.cancelled, work.running) == ("cancelled", 1, ["wait"], 0)
    assert cancelled.error == TaskError(code="run-cancelled", message="the task was cancelled")
    assert told == ["task.queued", "task.started", "task.cancelled"]


async def test_cancelled_at_once_a_task_ends_whether_it_had_begun_or_not(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        tasks = [await engine.submit(wanted(["wait", number])) for number in range(4)]
        async with asyncio.timeout(PATIENCE):
            records = await asyncio.gather(*(engine.cancel(task.id) for task in tasks))
        health = await engine.health()
    assert {record.state for record in records} == {"cancelled"}
    assert (health.running, health.queued) == (0, 0)


async def test_a_finished_task_stays_as_it_is_when_it_is_cancelled(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        done = await finished(engine, (await engine.submit(wanted("hello"))).id)
        assert await engine.cancel(done.id) == done


async def test_a_task_that_ignores_its_cancellation_keeps_nobody_waiting(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        async with asyncio.timeout(PATIENCE):
            stubborn = await engine.cancel(task.id)
        work.go.set()
        done = await finished(engine, task.id)
    assert (stubborn.state, done.state) == ("running", "succeeded")


async def test_everyone_who_waits_is_released_by_a_cancellation(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        waiters = [asyncio.create_task(engine.result(task.id)) for _ in range(3)]
        readers = [asyncio.create_task(types(engine, task.id)) for _ in range(3)]
        await asyncio.sleep(0)
        await engine.cancel(task.id)
        async with asyncio.timeout(PATIENCE):
            records, told = await asyncio.gather(*waiters), await asyncio.gather(*readers)
    assert {record.state for record in records} == {"cancelled"}
    assert told == [["task.queued", "task.started", "task.cancelled"]] * 3


async def test_a_waiter_that_gives_up_disturbs_nobody(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        waiter = asyncio.create_task(engine.result(task.id))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        work.go.set()
        assert (await finished(engine, task.id)).state == "succeeded"
    assert work.cancelled == []


async def test_a_cancellation_that_the_handler_lets_out_is_a_failure(make_engine: EngineFactory) -> None:
    async def handler(context: TaskContext) -> TaskOutcome:
        other = asyncio.create_task(asyncio.sleep(PATIENCE))
        other.cancel()
        await other
        return TaskOutcome()

    async with make_engine(handler) as engine:
        done = await finished(engine, (await engine.submit(wanted("x"))).id)
        told = await types(engine, done.id)
    assert (done.state, done.attempts) == ("failed", 1)
    assert done.error == TaskError(
        code="run-failed",
        message="the task failed: something that it awaited was cancelled, and not the task",
        hint="catch the CancelledError of what the handler awaits",
    )
    assert told == ["task.queued", "task.started", "task.failed"]
