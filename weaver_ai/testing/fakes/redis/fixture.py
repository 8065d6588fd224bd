"""What stands behind the fixture `fake_redis`: one server for the session, empty for each test."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import pytest

from weaver_ai.testing.fakes.redis.backend import Backend
from weaver_ai.testing.fakes.redis.fake import FakeBackend
from weaver_ai.testing.fakes.redis.handle import TestRedis, running
from weaver_ai.testing.fakes.redis.real import RealBackend, RedisServer
from weaver_ai.testing.faults.matrix import FaultTests

__all__ = ["open_redis"]

_BACKEND: Final = pytest.StashKey[Backend]()


@contextmanager
def open_redis(config: pytest.Config) -> Generator[TestRedis, None, None]:
    """A Redis for one test, fake or real as `--weaver-redis` says."""
    with running(_backend(config)) as redis:
        end = FaultTests.of(config).tell("weaver fake Redis", redis.lines)
        try:
            yield redis
        finally:
            end()


def _backend(config: pytest.Config) -> Backend:
    if _BACKEND not in config.stash:
        config.stash[_BACKEND] = _real(config) if config.getoption("weaver_redis") == "real" else FakeBackend()
    return config.stash[_BACKEND]


def _real(config: pytest.Config) -> RealBackend:
    try:
        server = RedisServer()
    except FileNotFoundError as missing:
        pytest.fail(f"--weaver-redis=real: {missing}", pytrace=False)
    backend = RealBackend(server.start())
    config.add_cleanup(backend.stop)
    return backend
