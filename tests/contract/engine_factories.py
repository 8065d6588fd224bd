"""The engines that the contract suite runs over, each as a context manager that gives one, started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from weaver_ai.tasks import EmbeddedEngine, Engine, TaskHandler

EngineFactory: TypeAlias = Callable[..., AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def embedded(
    handler: TaskHandler, *, concurrency: int = 4, queue_size: int = 100, max_events: int = 1000
) -> AsyncIterator[Engine]:
    engine = EmbeddedEngine(
        handler, concurrency=concurrency, queue_size=queue_size, max_events=max_events, unwind_seconds=0.2
    )
    await engine.start()
    yield engine
    await engine.drain(0)


FACTORIES: dict[str, EngineFactory] = {"embedded": embedded}
