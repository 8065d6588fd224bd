"""The events of an attempt on their way to a server, which the attempt doesn't wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import JsonValue

from weaver_ai.errors import EngineUnavailable

__all__ = ["Event", "Outbox"]

_TEXT: Final = "text.delta"
_JOIN_SECONDS: Final = 0.05
_MOST_TEXT: Final = 4096
_MOST: Final = 256
_ROOM_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """An event that has no time yet: that is the server's."""

    type: str
    data: Mapping[str, JsonValue]

    def joined(self, other: Event) -> Event | None:
        """Both in one, where they are two pieces of one text."""
        if self.type != _TEXT or other.type != _TEXT:
            return None
        text, more = self.data.get("text"), other.data.get("text")
        if not isinstance(text, str) or not isinstance(more, str) or len(text) + len(more) > _MOST_TEXT:
            return None
        if {**self.data, "text": ""} != {**other.data, "text": ""}:
            return None
        return Event(_TEXT, {**self.data, "text": text + more})


Write: TypeAlias = Callable[[int, Sequence[Event]], Awaitable[bool]]


class Outbox:
    """Events in their order, each with its number among those of the task.

    The first is written at once, those of the next 50 ms together, with pieces of text as one. While the server is away
    they wait, so many at most; of more the oldest are dropped, and their numbers missing is how a reader knows.
    A write whose answer got lost is made again with the same numbers, so none is there twice.

    Args:
        write: takes the number of the first event and the events, and skips those that are there already; False when
            the attempt isn't the task's any more. It raises EngineUnavailable.
        count: how many events the task has had.
    """

    def __init__(self, write: Write, count: int) -> None:
        self._write = write
        self._events: deque[Event] = deque()
        self._first = count + 1  # the number of the first one in there
        self._written_to = count  # the last one that a write was begun for, and that is as it is
        self._writing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._away = False
        self._closed = False

    async def add(self, kind: str, data: Mapping[str, JsonValue]) -> None:
        """Send an event; who sends faster than the server takes them waits, but for none that is away."""
        if len(self._events) >= _MOST and not self._away:
            await self._wait_for_room()
        if self._closed:
            return
        event = Event(kind, dict(data))
        joined = self._events[-1].joined(event) if self._last_is_open else None
        if joined is not None:
            self._events[-1] = joined
            return
        self._events.append(event)
        if len(self._events) > _MOST:
            self._drop_to(self._first)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="weaver task events")

    def close(self) -> tuple[int, Sequence[Event]]:
        """Take no more events; gives those that may not be written, and the number of the first of them."""
        self._closed = True
        self._room.set()
        if self._writing is not None:
            self._writing.cancel()
        return self._first, tuple(self._events)

    @property
    def _last_is_open(self) -> bool:
        return self._first + len(self._events) - 1 > self._written_to

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(_ROOM_SECONDS):
                await self._room.wait()
        except TimeoutError:
            self._away = True

    async def _write_all(self) -> None:
        while self._events:
            events = tuple(self._events)
            first, self._written_to = self._first, self._first + len(events) - 1
            try:
                ours = await self._write(first, events)
            except EngineUnavailable:
                self._away = True
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._away = False
            if not ours:
                self.close()
                return
            self._drop_to(first + len(events) - 1)
            self._room.set()
            await asyncio.sleep(_JOIN_SECONDS)
        self._writing = None

    def _drop_to(self, number: int) -> None:
        while self._events and self._first <= number:
            self._events.popleft()
            self._first += 1
