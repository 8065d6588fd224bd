"""Engines on a real Redis, for the tests that are of the Redis engine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from weaver_ai.tasks import TaskHandler
from weaver_ai.tasks.redis.engine import DocketEngine
from weaver_ai.testing.fakes.redis.real import RedisServer

LEASE = 0.6
Engines = Callable[..., DocketEngine]


@pytest.fixture
async def engines(redis_server: RedisServer) -> AsyncIterator[Engines]:
    """Engines of one service, as several processes would have them."""
    prefix = f"test-{uuid4().hex}"
    made: list[DocketEngine] = []

    def make(handler: TaskHandler | None = None, **options: object) -> DocketEngine:
        engine = DocketEngine(redis_server.url, handler, prefix=prefix, lease_seconds=LEASE, **options)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        await engine.aclose()
