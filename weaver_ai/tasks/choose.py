"""Which engine the settings ask for: the one place that knows of the optional one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from weaver_ai.errors import MissingExtra, SettingsError
from weaver_ai.settings import Settings
from weaver_ai.tasks.engine import TaskHandler

if TYPE_CHECKING:
    from weaver_ai.tasks.docket_engine import DocketEngine

__all__ = ["redis_engine", "shown_redis"]

_SCHEMES = frozenset({"redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix"})


def redis_engine(
    settings: Settings,
    handler: TaskHandler | None = None,
    *,
    unwind_seconds: float,
    concurrency: int | None = None,
    capabilities: Sequence[str] = (),
) -> DocketEngine:
    """The engine on the settings' Redis, not started; without a handler one that only takes tasks.

    Raises:
        MissingExtra: what it needs isn't installed.
        SettingsError: no Redis is set, or its URL isn't one.
    """
    if settings.redis_url is None:
        raise SettingsError("no Redis is set", hint="give --redis redis://host:6379, or set WEAVER_REDIS_URL")
    if find_spec("docket") is None or find_spec("redis") is None:
        raise MissingExtra("WEAVER_REDIS_URL", "redis")
    url = settings.redis_url.get_secret_value()
    if url.partition("://")[0] not in _SCHEMES:
        raise SettingsError("WEAVER_REDIS_URL is no URL of a Redis", hint="for instance redis://localhost:6379/0")
    from weaver_ai.tasks.docket_engine import DocketEngine  # noqa: PLC0415 # an optional part

    return DocketEngine(
        url,
        handler,
        concurrency=settings.task_concurrency if concurrency is None else concurrency,
        queue_size=settings.task_queue_size,
        ttl_seconds=settings.task_ttl_seconds,
        lease_seconds=settings.task_lease_seconds,
        unwind_seconds=unwind_seconds,
        capabilities=capabilities,
    )


def shown_redis(settings: Settings) -> str:
    """The settings' Redis for people: without user and password."""
    parts = urlsplit("" if settings.redis_url is None else settings.redis_url.get_secret_value())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
