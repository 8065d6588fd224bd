"""The embedded engine's times, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from weaver_ai.errors import ProviderTimeout
from weaver_ai.tasks import EmbeddedEngine, Retry, TaskContext, TaskOutcome, TaskPolicy, TaskRequest
from weaver_ai.testing.faults.clock import ControlledClock, frozen


@pytest.fixture
async def clock() -> AsyncIterator[ControlledClock]:
    with frozen(sleeps=False) as clock:
        yield clock


async def turns() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def failing(context: TaskContext) -> TaskOutcome:
    raise ProviderTimeout("too slow")


async def test_back_off_doubles_and_is_capped(clock: ControlledClock) -> None:
    retry = Retry(retries=4, pause_seconds=10.0, longest_pause_seconds=40.0)
    engine = EmbeddedEngine(failing, policies={"c": TaskPolicy(retry=retry)}, chance=lambda: 1.0)
    await engine.start()
    task = await engine.submit(TaskRequest(capability="c", input=None))
    await turns()
    for attempt, pause in enumerate([10, 20, 40, 40], start=1):
        clock.advance(pause - 0.1)
        await turns()
        waiting = await engine.status(task.id)
        assert (waiting.state, waiting.attempts) == ("scheduled", attempt)
        clock.advance(0.2)
        await turns()
    done = await engine.status(task.id)
    assert (done.state, done.attempts, done.error and done.error.code) == ("failed", 5, "provider-timeout")


async def test_a_task_that_is_cancelled_as_its_attempt_fails_isn_t_tried_again() -> None:
    engine = EmbeddedEngine(failing, policies={"c": TaskPolicy(retry=Retry(retries=5, pause_seconds=30))})
    await engine.start()
    task = await engine.submit(TaskRequest(capability="c", input=None))
    entry = engine._entries.by_id[task.id]
    while entry.attempt is None or not entry.attempt.done():
        await asyncio.sleep(0)
    done = await engine.cancel(task.id)
    assert (done.state, done.error and done.error.code) == ("cancelled", "run-cancelled")
    await engine.drain(0)


async def test_a_month_is_waited_for(clock: ControlledClock) -> None:
    async def echo(context: TaskContext) -> TaskOutcome:
        return TaskOutcome(result=context.record.input)

    engine = EmbeddedEngine(echo)
    await engine.start()
    task = await engine.submit(TaskRequest(capability="c", input="x", delay_seconds=30 * 86_400.0))
    clock.advance(30 * 86_400.0 - 1)
    await turns()
    early = (await engine.status(task.id)).state
    clock.advance(1.1)
    await turns()
    assert (early, (await engine.status(task.id)).state) == ("scheduled", "succeeded")


async def test_a_drain_waits_for_no_task_that_isn_t_due_within_its_grace() -> None:
    engine = EmbeddedEngine(failing, policies={"c": TaskPolicy(retry=Retry(retries=5, pause_seconds=30))})
    await engine.start()
    far = await engine.submit(TaskRequest(capability="c", input=None, delay_seconds=60))
    near = await engine.submit(TaskRequest(capability="c", input=None, delay_seconds=0.05))
    async with asyncio.timeout(5):
        report = await engine.drain(30)
    ended = [await engine.status(task.id) for task in (far, near)]
    assert (report.cancelled, report.finished) == ((far.id,), (near.id,))
    # Who drains doesn't put off: there is nobody who would see to it.
    assert [(each.state, each.error and each.error.code) for each in ended] == [
        ("cancelled", "draining"),
        ("failed", "provider-timeout"),
    ]
