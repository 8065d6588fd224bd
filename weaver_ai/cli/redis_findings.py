"""What `weaver doctor` finds out by asking Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from weaver_ai.cli.doctor import Finding
from weaver_ai.tasks.choose import redis_pool, shown_redis
from weaver_ai.tasks.redis.trouble import trouble

if TYPE_CHECKING:
    from weaver_ai.settings import Settings

__all__ = ["redis_findings"]

_PATIENCE_SECONDS: Final = 10.0  # that of a connection and a reply
_OLDEST: Final = (6, 2)


def redis_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the settings' Redis can be used, is recent enough and keeps what it is given."""
    try:
        told = asyncio.run(_ask(settings))
    except (RedisError, OSError, TimeoutError) as error:
        yield Finding("error", f"{shown_redis(settings)} can't be used: {trouble(error)}")
        return
    version = str(told.get("redis_version", ""))
    if _numbers(version) < _OLDEST:
        yield Finding("error", f"the Redis {version} of WEAVER_REDIS_URL is too old: 6.2 or later")
    if told.get("aof_enabled") == 0:
        yield Finding("warning", "Redis keeps no append-only file: the tasks in it go when it dies (appendonly yes)")


async def _ask(settings: Settings) -> Mapping[str, Any]:
    async with redis_pool(settings) as pool, asyncio.timeout(_PATIENCE_SECONDS):
        return {**await pool.client.info("server"), **await pool.client.info("persistence")}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) or _OLDEST
