"""Ending in the right order: readiness drops, work ends, telemetry leaves; all within the grace."""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
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
        leave: seconds that the process has to end after that, whatever still holds it.
    """

    def __init__(self, grace_seconds: float) -> None:
        reserve = min(6.0, grace_seconds * 0.4)
        self.work = grace_seconds - reserve
        self.unwind = reserve / 4
        self.flush = reserve / 4
        self.leave = max(1.0, reserve / 2)


@contextmanager
def drain_before_exit(
    begin: Callable[[], None], drain: Callable[[], Awaitable[object]], leave_seconds: float
) -> Iterator[None]:
    """Inside the block, a signal to stop drains first, while the server still answers, and then stops the server.

    Only a uvicorn in the main thread is preceded: any other server's shutdown begins with the lifespan's. The process
    then exits with 0, not by the signal, for all went as it should. What outlives the block by `leave_seconds` after
    a SIGTERM, as a tool that blocks a thread does, gets the signal again, when nothing of uvicorn's or of this catches
    it any more. A second signal from outside reaches uvicorn at once.

    Args:
        begin: called at once, in the signal handler: takes readiness away.
        drain: awaited in the event loop, in a context of no request.
        leave_seconds: how long the process has from the end of the block.
    """
    loop = asyncio.get_running_loop()
    preceded: dict[int, tuple[ServerHandler, Server]] = {}
    draining: list[asyncio.Task[None]] = []
    terminated = False

    async def drain_then_stop(server: Server) -> None:
        try:
            await drain()
        finally:
            if server.config.timeout_graceful_shutdown is None:  # uvicorn would wait for half a request for ever
                server.config.timeout_graceful_shutdown = math.ceil(leave_seconds / 2)
            server.should_exit = True

    def start(server: Server) -> None:
        draining.append(loop.create_task(drain_then_stop(server)))

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = terminated or number == signal.SIGTERM
        handler, server = preceded[number]
        begin()
        if draining:
            handler(number, frame)
        else:
            # The handler runs inside whatever the signal interrupted, perhaps a request, whose ids aren't the drain's.
            loop.call_soon_threadsafe(start, server, context=contextvars.Context())

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
        if terminated:
            _terminate_after(leave_seconds)


def _terminate_after(seconds: float) -> None:
    again = threading.Timer(seconds, os.kill, args=(os.getpid(), signal.SIGTERM))
    again.daemon = True
    again.start()


def _uvicorn_handler(number: int) -> tuple[ServerHandler, Server] | None:
    uvicorn = sys.modules.get("uvicorn")
    if uvicorn is None or threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(number)
    server = getattr(handler, "__self__", None)
    if callable(handler) and isinstance(server, uvicorn.Server):
        return handler, server
    return None
