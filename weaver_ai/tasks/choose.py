"""Which engine the settings ask for: the one place that knows of the optional one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from weaver_ai.errors import MissingExtra, SettingsError
from weaver_ai.settings import Settings
from weaver_ai.tasks.engine import TaskHandler
from weaver_ai.tasks.retry import TaskPolicy

if TYPE_CHECKING:
    from weaver_ai.tasks.redis.engine import DocketEngine
    from weaver_ai.tasks.redis.pool import RedisPool

__all__ = ["redis_engine", "redis_pool", "shown_redis"]


def redis_engine(
    settings: Settings,
    handler: TaskHandler | None = None,
    *,
    unwind_seconds: float,
    concurrency: int | None = None,
    capabilities: Sequence[str] = (),
    policies: Mapping[str, TaskPolicy] | None = None,
) -> DocketEngine:
    """The engine on the settings' Redis, not started; without a handler one that only takes tasks.

    Raises:
        MissingExtra: what it needs isn't installed.
        SettingsError: no Redis is set, or its URL can't be used.
    """
    _check(settings)
    from weaver_ai.tasks.redis.engine import DocketEngine  # noqa: PLC0415 # an optional part

    return DocketEngine(
        _url(settings),
        handler,
        concurrency=settings.task_concurrency if concurrency is None else concurrency,
        queue_size=settings.task_queue_size,
        ttl_seconds=settings.task_ttl_seconds,
        lease_seconds=settings.task_lease_seconds,
        unwind_seconds=unwind_seconds,
        capabilities=capabilities,
        policies=policies,
    )


def redis_pool(settings: Settings) -> RedisPool:
    """Connections to the settings' Redis, for who has no engine on it; not connected.

    Raises:
        MissingExtra: what it needs isn't installed.
        SettingsError: no Redis is set, or its URL can't be used.
    """
    _check(settings)
    from weaver_ai.tasks.redis.pool import RedisPool  # noqa: PLC0415 # an optional part

    return RedisPool(_url(settings))


def shown_redis(settings: Settings) -> str:
    """The settings' Redis for people: without user, password and options."""
    from weaver_ai.tasks.redis.address import RedisAddress  # noqa: PLC0415 # an optional part

    return RedisAddress.parse(_url(settings)).shown


def _check(settings: Settings) -> None:
    if settings.redis_url is None:
        raise SettingsError("no Redis is set", hint="give --redis redis://host:6379, or set WEAVER_REDIS_URL")
    if find_spec("docket") is None or find_spec("redis") is None:
        raise MissingExtra("WEAVER_REDIS_URL", "redis")


def _url(settings: Settings) -> str:
    return "" if settings.redis_url is None else settings.redis_url.get_secret_value()
