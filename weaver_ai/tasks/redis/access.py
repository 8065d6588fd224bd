"""One service's corner of a Redis: its keys, its scripts, and what becomes of a Redis that doesn't answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from docket import Docket
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from weaver_ai.errors import EngineUnavailable
from weaver_ai.tasks.payloads import IDEMPOTENCY_SECONDS
from weaver_ai.tasks.redis.batch import RedisBatches
from weaver_ai.tasks.redis.trouble import trouble

__all__ = ["RedisAccess", "ms", "or_unavailable", "unavailable", "us"]


_REPLY_SECONDS: Final = 5.0
_RETRY_AFTER: Final = 5.0


class RedisAccess:
    """Commands and scripts below one prefix, in a Redis that a docket holds the connections to.

    Args:
        docket: has the connections.
        prefix: of every key.
        ttl_seconds: how long a finished task is kept.
        max_events: events kept of a task.
    """

    def __init__(self, docket: Docket, *, prefix: str, ttl_seconds: float, max_events: int) -> None:
        self.prefix: Final = prefix
        self.ttl_seconds: Final = ttl_seconds
        self._docket = docket
        self._batches = RedisBatches(docket, _REPLY_SECONDS)
        self._max_events = max_events
        self._scripts: dict[str, AsyncScript] = {}

    async def aclose(self) -> None:
        """Give up what is asked for."""
        await self._batches.aclose()

    def key(self, kind: str, name: str) -> str:
        """The key of a kind of thing with that name."""
        return f"{self.prefix}:{kind}:{name}"

    def ttls(self) -> tuple[int, int]:
        """How long a finished task is kept, and how long one with an idempotency key, in milliseconds."""
        return ms(self.ttl_seconds), ms(max(self.ttl_seconds, IDEMPOTENCY_SECONDS))

    async def script(self, script: str, *arguments: Any) -> Any:
        """What a script of `scripts` answers; in no trace, for what engines do among themselves is no work of a
        request.

        Raises:
            EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
        """
        with or_unavailable():
            async with asyncio.timeout(_REPLY_SECONDS):
                return await self._batches.script(script, self.prefix, self._max_events, *arguments)

    async def command(self, *command: Any) -> Any:
        """What a command answers; in no trace.

        Raises:
            EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
        """
        with or_unavailable():
            async with asyncio.timeout(_REPLY_SECONDS):
                return await self._batches.command(*command)

    async def traced_script(self, script: str, *arguments: Any) -> Any:
        """The same as `script`, but by itself and in the trace of whoever asks, where there is one.

        Raises:
            EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
        """
        if not trace.get_current_span().is_recording():
            return await self.script(script, *arguments)
        with or_unavailable():
            async with asyncio.timeout(_REPLY_SECONDS), self._docket.redis() as redis:
                client: Any = redis
                if (known := self._scripts.get(script)) is None:
                    known = self._scripts[script] = AsyncScript(client, script)
                return await known(args=[self.prefix, self._max_events, *arguments], client=client)

    async def run(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        """What `ask` gives for a client; in no trace.

        Raises:
            EngineUnavailable: Redis can't be reached, doesn't answer in time, or refuses.
        """
        with or_unavailable(), suppress_instrumentation():
            async with asyncio.timeout(_REPLY_SECONDS), self._docket.redis() as redis:
                return await ask(redis)


@contextmanager
def or_unavailable() -> Iterator[None]:
    """Around what needs Redis: what redis-py and sockets raise becomes EngineUnavailable."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> EngineUnavailable:
    """What callers are told when Redis isn't there; nothing of its address."""
    return EngineUnavailable(
        f"the task engine's Redis can't be used: {trouble(error)}",
        hint="agents and workflows still run; tasks can be submitted when it is back",
        retry_after=_RETRY_AFTER,
    )


def ms(seconds: float) -> int:
    """Milliseconds."""
    return round(seconds * 1000)


def us(seconds: float) -> int:
    """Microseconds."""
    return round(seconds * 1_000_000)
