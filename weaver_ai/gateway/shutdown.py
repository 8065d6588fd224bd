"""Ending in the right order: readiness drops, work ends, telemetry leaves; all within the grace."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from uvicorn import Server

__all__ = ["Budget", "drain_before_exit"]

ServerHandler: TypeAlias = Callable[[int, FrameType | None], object]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Budget:
    """The grace, divided: the most of it for work, the rest for work to unwind, telemetry to leave, the process to end.

    Attributes:
        work: seconds that running work may go on.
        unwind: seconds that cancelled work has until nobody waits for it any more.
        flush: seconds that telemetry has to leave.
    """

    def __init__(self, grace_seconds: float) -> None:
        reserve = min(6.0, grace_seconds * 0.4)
        self.work = grace_seconds - reserve
        self.unwind = reserve / 4
        self.flush = reserve / 4


@contextmanager
def drain_before_exit(begin: Callable[[], None], drain: Callable[[], Awaitable[object]]) -> Iterator[None]:
    """Inside the block, a signal to stop drains first, while the server still answers, and then stops the server.

    Only a uvicorn in the main thread is preceded: any other server's shutdown begins with the lifespan's. The process
    then exits with 0, not by the signal, for all went as it should. A second signal reaches uvicorn at once.

    Args:
        begin: called at once, in the signal handler: takes readiness away.
        drain: awaited in the event loop.
    """
    loop = asyncio.get_running_loop()
    preceded: dict[int, tuple[ServerHandler, Server]] = {}
    draining: list[asyncio.Task[None]] = []

    async def drain_then_stop(server: Server) -> None:
        try:
            await drain()
        finally:
            server.should_exit = True

    def start(server: Server) -> None:
        draining.append(loop.create_task(drain_then_stop(server)))

    def on_signal(number: int, frame: FrameType | None) -> None:
        handler, server = preceded[number]
        begin()
        if draining:
            handler(number, frame)
        else:
            loop.call_soon_threadsafe(start, server)

    for each in _SIGNALS:
        if (found := _uvicorn_handler(each)) is not None:
            preceded[each] = found
            signal.signal(each, on_signal)
    try:
        yield
    finally:
        for number, (handler, _) in preceded.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)


def _uvicorn_handler(number: int) -> tuple[ServerHandler, Server] | None:
    uvicorn = sys.modules.get("uvicorn")
    if uvicorn is None or threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(number)
    server = getattr(handler, "__self__", None)
    if callable(handler) and isinstance(server, uvicorn.Server):
        return handler, server
    return None
