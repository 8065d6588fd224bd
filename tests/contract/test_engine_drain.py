"""Draining, over every engine there is; and where they differ, which one does what."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import PATIENCE, Work, types, wanted
from weaver_ai.errors import (
    Draining,
)
from weaver_ai.tasks import (
    DrainReport,
)

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


async def test_a_drain_waits_for_running_work(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        drain = asyncio.create_task(engine.drain(PATIENCE))
        await asyncio.sleep(0.01)
        with pytest.raises(Draining, match=r"^the service is shutting down and takes no new tasks$") as refused:
            await engine.submit(wanted("late"))
        health = await engine.health()
        work.go.set()
        report = await drain
        record = await engine.status(task.id)
    assert refused.value.retry_after is not None
    assert (health.state, health.reason) == ("degraded", "draining")
    assert report == DrainReport(finished=(task.id,))
    assert record.state == "succeeded"


async def test_a_drain_ends_work_that_takes_too_long_and_says_so(make_ending_engine: EngineFactory) -> None:
    work = Work()
    async with make_ending_engine(work, concurrency=1) as engine:
        stuck = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("never"))
        readers = [asyncio.create_task(types(engine, task.id)) for task in (stuck, waiting)]
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
            told = await asyncio.gather(*readers)
        ended = [await engine.status(task.id) for task in (stuck, waiting)]
    assert report == DrainReport(cancelled=(stuck.id, waiting.id))
    assert work.cancelled == ["wait"]
    assert told == [["task.queued", "task.started", "task.cancelled"], ["task.queued", "task.cancelled"]]
    assert [(record.state, record.error and record.error.code) for record in ended] == [("cancelled", "draining")] * 2


async def test_a_drain_leaves_behind_what_ignores_it(make_ending_engine: EngineFactory) -> None:
    work = Work()
    async with make_ending_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        waiter = asyncio.create_task(engine.result(task.id))
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
            waited = await waiter
        work.go.set()
        await asyncio.sleep(0.01)
        after = await engine.status(task.id)
    assert report == DrainReport(abandoned=(task.id,))
    assert (waited.state, waited.error and waited.error.code) == ("cancelled", "draining")
    assert after == waited


async def test_a_drain_hands_back_what_takes_too_long_and_leaves_alone_what_waits(
    make_handing_engine: EngineFactory,
) -> None:
    work = Work()
    async with make_handing_engine(work, concurrency=1) as engine:
        stuck = await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted("later"))
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
        left = [await engine.status(task.id) for task in (stuck, waiting)]
        health = await engine.health()
    assert report == DrainReport(handed_back=(stuck.id,))
    assert work.cancelled == ["wait"]
    assert [(record.state, record.attempts, record.error) for record in left] == [
        ("queued", 1, None),
        ("queued", 0, None),
    ]
    assert (health.queued, health.running) == (2, 0)


async def test_a_drain_hands_back_what_ignores_it_and_its_word_no_longer_counts(
    make_handing_engine: EngineFactory,
) -> None:
    work = Work()
    async with make_handing_engine(work) as engine:
        task = await engine.submit(wanted("ignore cancellation"))
        await work.enter()
        async with asyncio.timeout(PATIENCE):
            report = await engine.drain(0.01)
        work.go.set()
        while work.running:
            await asyncio.sleep(0.01)
        after = await engine.status(task.id)
    assert report == DrainReport(handed_back=(task.id,))
    assert (after.state, after.result, after.attempts) == ("queued", None, 1)


async def test_a_second_drain_gives_the_first_one_s_report(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        task = await engine.submit(wanted("wait"))
        await work.enter()
        first, second = await asyncio.gather(engine.drain(0.01), engine.drain(PATIENCE))
        third = await engine.drain(0)
    assert first == second == third
    assert task.id in (*first.cancelled, *first.handed_back)
    assert work.cancelled == ["wait"]
