"""The events of a task, over every engine there is."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.engine_factories import EngineFactory
from tests.contract.engine_work import PATIENCE, Work, all_events, finished, wanted
from weaver_ai.errors import (
    InvalidInput,
)
from weaver_ai.tasks import (
    TaskContext,
    TaskOutcome,
)

pytest_plugins = ["tests.fixtures.recorded", "tests.fixtures.redis_server"]


async def test_events_tell_the_whole_story_and_can_be_taken_up_anywhere(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("tell"))
        await finished(engine, task.id)
        story = await all_events(engine, task.id)
        later = {event.id: await all_events(engine, task.id, after=event.id) for event in story}
    assert [event.type for event in story] == [
        "task.queued", "task.started", "progress", "progress", "progress", "task.succeeded",
    ]  # fmt: skip
    assert [event.data for event in story[2:5]] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert len({event.id for event in story}) == len(story)
    assert sorted(event.time for event in story) == [event.time for event in story]
    for place, event in enumerate(story):
        assert later[event.id] == story[place + 1 :]


async def test_events_arrive_while_the_task_runs(make_engine: EngineFactory) -> None:
    release = asyncio.Event()

    async def handler(context: TaskContext) -> TaskOutcome:
        await context.emit("first", {})
        await release.wait()
        await context.emit("second", {})
        return TaskOutcome()

    async with make_engine(handler) as engine:
        task = await engine.submit(wanted("x"))
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for event in engine.events(task.id):
                seen.append(event.type)
                if event.type == "first":
                    assert (await engine.status(task.id)).state == "running"
                    release.set()
    assert seen == ["task.queued", "task.started", "first", "second", "task.succeeded"]


async def test_events_that_are_no_longer_kept_are_counted(make_engine: EngineFactory) -> None:
    async def handler(context: TaskContext) -> TaskOutcome:
        for number in range(10):
            await context.emit("progress", {"number": number})
        return TaskOutcome()

    async with make_engine(handler, max_events=3) as engine:
        task = await engine.submit(wanted("x"))
        await finished(engine, task.id)
        story = await all_events(engine, task.id)
        resumed = await all_events(engine, task.id, after=story[0].id)
    assert [(event.type, event.data) for event in story] == [
        ("events.dropped", {"count": 10}),
        ("progress", {"number": 8}),
        ("progress", {"number": 9}),
        ("task.succeeded", {}),
    ]
    assert resumed == story[1:]


async def test_a_wrong_event_id_is_refused(make_engine: EngineFactory) -> None:
    async with make_engine(Work()) as engine:
        task = await engine.submit(wanted("x"))
        with pytest.raises(InvalidInput, match=r"^'yesterday' is no event id of this engine$"):
            await all_events(engine, task.id, after="yesterday")


@pytest.mark.parametrize("later", ["7", "999", "9" * 40])
async def test_an_event_that_a_task_has_not_had_is_no_place_to_go_on(make_engine: EngineFactory, later: str) -> None:
    release = asyncio.Event()

    async def handler(_context: TaskContext) -> TaskOutcome:
        await release.wait()
        return TaskOutcome()

    async with make_engine(handler) as engine:
        task = await engine.submit(wanted("x"))
        async for event in engine.events(task.id):
            if event.type == "task.started":
                break
        with pytest.raises(InvalidInput, match=r"later event than the task has had: its last one so far is 2$"):
            await all_events(engine, task.id, after=later)
        release.set()
        await finished(engine, task.id)
        with pytest.raises(InvalidInput, match=r"later event than the task has had: its last one so far is 3$"):
            await all_events(engine, task.id, after=later)
        assert await all_events(engine, task.id, after="3") == []
