"""Word of new events: one subscription's connection for everyone in this process who waits for some task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from docket import Docket
from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis.exceptions import RedisError

__all__ = ["News"]

_PATIENCE_SECONDS: Final = 1.0
_TROUBLE: Final = (RedisError, OSError, TimeoutError)


class News:
    """Wakes those who wait for events of a task.

    A word may get lost, as Redis' channels have it: who waits looks again after a while in any case.

    Args:
        docket: has the connections.
        channel: that is listened to when nobody waits.
        connected: called whenever Redis is there, at first and again after each outage.
    """

    def __init__(self, docket: Docket, channel: str, connected: Callable[[], Awaitable[None]]) -> None:
        self._docket = docket
        self._channel = channel
        self._connected = connected
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._pubsub: Any = None  # redis-py's methods of it are untyped

    @asynccontextmanager
    async def of(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever there is news on `channel`."""
        fresh = asyncio.Event()
        waiting = self._waiting.setdefault(channel, set())
        waiting.add(fresh)
        try:
            if len(waiting) == 1:
                await self._tell("subscribe", channel)
            yield fresh
        finally:
            waiting.discard(fresh)
            if not waiting and self._waiting.get(channel) is waiting:
                del self._waiting[channel]
                await self._tell("unsubscribe", channel)

    async def listen(self) -> None:
        """Listen until cancelled, whatever becomes of the connection."""
        with suppress_instrumentation():
            while True:
                with suppress(*_TROUBLE):
                    await self._listen()
                await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        async with self._docket.redis() as redis:
            pubsub: Any = redis.pubsub()
            try:
                await pubsub.subscribe(self._channel, *self._waiting)
                await self._connected()
                self._pubsub = pubsub
                for channel in list(self._waiting):  # what happened meanwhile went unheard
                    self._wake(channel)
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_PATIENCE_SECONDS)
                    if message is not None:
                        self._wake(message["channel"].decode())
            finally:
                self._pubsub = None
                await pubsub.aclose()

    def _wake(self, channel: str) -> None:
        for fresh in self._waiting.get(channel, ()):
            fresh.set()

    async def _tell(self, what: str, channel: str) -> None:
        if self._pubsub is not None:
            with suppress(*_TROUBLE), suppress_instrumentation():  # `listen` subscribes anew
                await getattr(self._pubsub, what)(channel)
