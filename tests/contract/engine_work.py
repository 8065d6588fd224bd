"""Work for an engine that does what a test says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from weaver_ai.errors import (
    ProviderRateLimited,
)
from weaver_ai.tasks import (
    Engine,
    TaskContext,
    TaskError,
    TaskEvent,
    TaskOutcome,
    TaskRecord,
    TaskRequest,
)

PATIENCE = 5.0


class Work:
    """A handler that does what the task's input says, and remembers what happened."""

    def __init__(self) -> None:
        self.started: list[object] = []
        self.cancelled: list[object] = []
        self.running = 0
        self.most_at_once = 0
        self.go = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def __call__(self, context: TaskContext) -> TaskOutcome:
        what = context.record.input
        self.started.append(what)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.entered.release()
        try:
            return await self._do(what, context)
        except asyncio.CancelledError:
            self.cancelled.append(what)
            raise
        finally:
            self.running -= 1

    async def _do(self, what: object, context: TaskContext) -> TaskOutcome:
        match what:
            case "wait" | ["wait", _]:
                await self.go.wait()
            case "ignore cancellation":
                while not self.go.is_set():
                    try:
                        await self.go.wait()
                    except asyncio.CancelledError:
                        continue
            case "raise WeaverError":
                raise ProviderRateLimited("slow down", hint="wait", retry_after=7.0)
            case "raise ValueError":
                raise ValueError("the password is hunter2")
            case "fail":
                error = TaskError(code="run-failed", message="it didn't work")
                return TaskOutcome(error=error, usage={"requests": 2}, cost=0.5)
            case "tell":
                for number in range(3):
                    await context.emit("progress", {"number": number})
        return TaskOutcome(result={"did": context.record.input}, usage={"requests": 1}, cost=0.25)

    async def enter(self) -> None:
        """Wait until one more handler has begun."""
        async with asyncio.timeout(PATIENCE):
            await self.entered.acquire()


def wanted(what: str | list[object], **changes: object) -> TaskRequest:
    return replace(TaskRequest(capability="work", input=what), **changes)


async def finished(engine: Engine, task_id: str) -> TaskRecord:
    record = await engine.result(task_id, timeout_seconds=PATIENCE)
    assert record.finished, record
    return record


async def all_events(engine: Engine, task_id: str, after: str | None = None) -> list[TaskEvent]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in engine.events(task_id, after=after)]


async def types(engine: Engine, task_id: str, after: str | None = None) -> list[str]:
    return [event.type for event in await all_events(engine, task_id, after)]
