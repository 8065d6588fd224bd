"""The events of one task in memory: bounded, and readable by many at once from any place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from weaver_ai.errors import InvalidInput
from weaver_ai.tasks.record import TaskEvent

__all__ = ["EventLog", "not_yet"]


class EventLog:
    """The latest events of one task; readers wait for the next without polling."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[TaskEvent] = deque(maxlen=limit)
        self._count = 0
        self._ended = False
        self._news = asyncio.Event()

    def add(self, kind: str, data: Mapping[str, JsonValue], *, last: bool = False) -> None:
        if self._ended:
            return
        self._count += 1
        self._kept.append(TaskEvent(id=str(self._count), type=kind, time=datetime.now(UTC), data=dict(data)))
        self._ended = last
        self._news.set()
        self._news = asyncio.Event()

    def shrink(self) -> None:
        """Keep the last event only."""
        self._kept = deque([self._kept[-1]], maxlen=1)

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


def not_yet(count: int) -> InvalidInput:
    """What a reader is told who names an event that the task hasn't had: nothing would ever follow it."""
    return InvalidInput(
        f"the task has had {count} events, and the id is of a later one", hint="without an id they come from the first"
    )
