"""Idempotency keys, over every engine there is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import Work, finished, wanted
from weaver_ai.errors import (
    IdempotencyConflict,
    QueueFull,
)

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


async def test_the_same_key_and_body_is_the_same_task(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        request = wanted(["x"], idempotency_key="k1", metadata={"a": 1, "b": 2})
        first = await engine.submit(request)
        done = await finished(engine, first.id)
        again = await engine.submit(replace(request, metadata={"b": 2, "a": 1}, traceparent=None))
    assert again == done
    assert work.started == [["x"]]


@pytest.mark.parametrize(
    "changes",
    [{"input": "other"}, {"priority": "low"}, {"metadata": {"a": 1}}, {"capability": "other"}],
    ids=["input", "priority", "metadata", "capability"],
)
async def test_the_same_key_with_another_body_is_refused(
    make_engine: EngineFactory, changes: dict[str, object]
) -> None:
    work = Work()
    async with make_engine(work) as engine:
        request = wanted("x", idempotency_key="k1")
        await finished(engine, (await engine.submit(request)).id)
        with pytest.raises(IdempotencyConflict, match=r"^the idempotency key 'k1' was used with another body$"):
            await engine.submit(replace(request, **changes))
    assert work.started == ["x"]


async def test_one_task_comes_of_a_race_for_a_key(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work) as engine:
        requests = [wanted("x", idempotency_key="k1") for _ in range(20)]
        accepted = await asyncio.gather(*(engine.submit(request) for request in requests))
        await finished(engine, accepted[0].id)
    assert len({record.id for record in accepted}) == 1
    assert work.started == ["x"]


async def test_a_refused_task_leaves_its_key_unused(make_engine: EngineFactory) -> None:
    work = Work()
    async with make_engine(work, concurrency=1, queue_size=1) as engine:
        await engine.submit(wanted("wait"))
        await work.enter()
        waiting = await engine.submit(wanted(["wait", 1]))
        with pytest.raises(QueueFull):
            await engine.submit(wanted("later", idempotency_key="k1"))
        work.go.set()
        await finished(engine, waiting.id)
        done = await finished(engine, (await engine.submit(wanted("another", idempotency_key="k1"))).id)
    assert (done.state, done.input) == ("succeeded", "another")
