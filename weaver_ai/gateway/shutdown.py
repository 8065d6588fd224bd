"""Ending in the right order: readiness drops, work ends, telemetry leaves; all within the grace."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

__all__ = ["Budget", "drain_before_exit"]

ServerHandler: TypeAlias = Callable[[int, FrameType | None], object]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Budget:
    """The grace, divided: the most of it for work, the rest for work to unwind and for telemetry to leave.

    Attributes:
        work: seconds that running work may go on.
        unwind: seconds that cancelled work has until nobody waits for it any more.
        flush: seconds that telemetry has to leave.
    """

    def __init__(self, grace_seconds: float) -> None:
        reserve = min(3.0, grace_seconds * 0.3)
        self.work = grace_seconds - reserve
        self.unwind = reserve / 3
        self.flush = reserve / 3


@contextmanager
def drain_before_exit(begin: Callable[[], None], drain: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Inside the block, a signal to stop drains first, while the server still answers, and reaches the server after.

    Only uvicorn's handlers are preceded, and only in the main thread: any other server's shutdown begins with the
    lifespan's. A second signal reaches the server at once.

    Args:
        begin: called at once, in the signal handler: takes readiness away.
        drain: awaited in the event loop.
    """
    loop = asyncio.get_running_loop()
    preceded: dict[int, ServerHandler] = {}
    draining: list[asyncio.Task[None]] = []

    async def drain_then(handler: ServerHandler, number: int) -> None:
        try:
            await drain()
        finally:
            handler(number, None)

    def start(handler: ServerHandler, number: int) -> None:
        draining.append(loop.create_task(drain_then(handler, number)))

    def on_signal(number: int, frame: FrameType | None) -> None:
        begin()
        if draining:
            preceded[number](number, frame)
        else:
            loop.call_soon_threadsafe(start, preceded[number], number)

    for each in _SIGNALS:
        handler = _uvicorn_handler(each)
        if handler is not None:
            preceded[each] = handler
            signal.signal(each, on_signal)
    try:
        yield
    finally:
        for number, handler in preceded.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)


def _uvicorn_handler(number: int) -> ServerHandler | None:
    uvicorn = sys.modules.get("uvicorn")
    if uvicorn is None or threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(number)
    if callable(handler) and isinstance(getattr(handler, "__self__", None), uvicorn.Server):
        return handler
    return None
