"""The engines that the contract suite runs over, each as a context manager that gives one, started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias
from uuid import uuid4

import pytest

from weaver_ai.tasks import EmbeddedEngine, Engine, TaskHandler
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.tasks.retry import TaskPolicy

EngineFactory: TypeAlias = Callable[..., AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def embedded(
    handler: TaskHandler,
    *,
    concurrency: int = 4,
    queue_size: int = 100,
    max_events: int = 1000,
    policies: Mapping[str, TaskPolicy] | None = None,
) -> AsyncIterator[Engine]:
    engine = EmbeddedEngine(
        handler,
        concurrency=concurrency,
        queue_size=queue_size,
        max_events=max_events,
        policies=policies,
        chance=_middling,
        unwind_seconds=0.2,
    )
    await engine.start()
    yield engine
    await engine.drain(0)


@asynccontextmanager
async def docket(
    url: str,
    handler: TaskHandler,
    *,
    concurrency: int = 4,
    queue_size: int = 100,
    max_events: int = 1000,
    policies: Mapping[str, TaskPolicy] | None = None,
) -> AsyncIterator[Engine]:
    """Gateway and worker in one, under a prefix of its own."""
    engine = DocketEngine(
        url,
        handler,
        prefix=f"test-{uuid4().hex}",
        concurrency=concurrency,
        queue_size=queue_size,
        max_events=max_events,
        policies=policies,
        chance=_middling,
        unwind_seconds=0.5,
    )
    await engine.start()
    yield engine
    await engine.drain(0)
    await engine.aclose()


def _middling() -> float:
    """Of the numbers that spread the pauses before retries."""
    return 0.5


def engine_factory(name: str, request: pytest.FixtureRequest) -> EngineFactory:
    if name == "embedded":
        return embedded
    return partial(docket, request.getfixturevalue("running_redis_server").url)


ENGINES = ("embedded", "docket")
