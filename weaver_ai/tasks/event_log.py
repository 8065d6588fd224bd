"""The events of one task in memory: bounded, and readable by many at once from any place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from weaver_ai.errors import InvalidInput
from weaver_ai.tasks.record import TaskEvent
from weaver_ai.tasks.size import size_of

__all__ = ["EventLog", "not_yet"]

_BARE: Final = 240
"""Bytes of an event without data: itself, its id and its time."""


class EventLog:
    """The latest events of one task; readers wait for the next without polling.

    Args:
        limit: events that are kept at most; the oldest go first.
        max_bytes: what they may hold of memory, roughly; beside the latest, which is kept however large it is.

    Attributes:
        size: the bytes that the kept ones hold, roughly.
    """

    def __init__(self, limit: int, max_bytes: int = 2**22) -> None:
        self.size = 0
        self._limit = limit
        self._max_bytes = max_bytes
        self._kept: deque[TaskEvent] = deque()
        self._count = 0
        self._ended = False
        self._news = asyncio.Event()

    def add(self, kind: str, data: Mapping[str, JsonValue], *, last: bool = False) -> None:
        if self._ended:
            return
        self._count += 1
        event = TaskEvent(id=str(self._count), type=kind, time=datetime.now(UTC), data=dict(data))
        self._kept.append(event)
        self.size += _size_of(event)
        while len(self._kept) > 1 and (len(self._kept) > self._limit or self.size > self._max_bytes):
            self.size -= _size_of(self._kept.popleft())
        self._ended = last
        self._news.set()
        self._news = asyncio.Event()

    def shrink(self) -> None:
        """Keep the last event only."""
        last = self._kept[-1]
        self._kept = deque([last])
        self.size = _size_of(last)

    async def read(self, position: int) -> AsyncIterator[TaskEvent]:
        if position > self._count:
            raise not_yet(self._count)
        while True:
            news = self._news
            for event in self._after(position):
                yield event
                position = int(event.id)
            if self._ended and position >= self._count:
                return
            if self._news is news:
                await news.wait()

    def _after(self, position: int) -> Iterator[TaskEvent]:
        kept = list(self._kept)
        dropped = self._count - len(kept)
        if position < dropped:
            yield TaskEvent(
                id=str(dropped), type="events.dropped", time=kept[0].time, data={"count": dropped - position}
            )
        yield from (event for event in kept if int(event.id) > position)


def _size_of(event: TaskEvent) -> int:
    return _BARE + size_of(event.data)


def not_yet(count: int) -> InvalidInput:
    """What a reader is told who names an event that the task hasn't had: nothing would ever follow it."""
    return InvalidInput(
        f"the id is of a later event than the task has had: its last one so far is {count}",
        hint="without an id they come from the first",
    )
