"""From starting to stopped: what the process may still take, and what of it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from starlette.exceptions import HTTPException

from weaver_ai.errors import Draining

__all__ = ["Lifecycle", "Phase", "shutting_down"]

_NOT_STARTED = (
    "this gateway hasn't started: its server, or the application that it is mounted in, must run its lifespan; in a "
    "test 'with TestClient(app):' does, and 'async with app.router.lifespan_context(app):' where httpx calls the app"
)

Phase: TypeAlias = Literal["starting", "serving", "draining", "stopped"]


class Lifecycle:
    """The phase of one gateway, and its requests that run something.

    Only the event loop's thread may use it, save for `refuse`, which a signal handler may call.
    """

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self._running: set[asyncio.Task[object]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """How many requests run something now."""
        return len(self._running)

    def refuse(self) -> None:
        """Take no new work from now on."""
        if self.phase != "stopped":
            self.phase = "draining"

    def admit(self) -> None:
        """Refuse new work unless the gateway serves.

        Raises:
            Draining: with the seconds after which another process may have taken over.
            HTTPException: 503, when it hasn't started, and perhaps never will.
        """
        if self.phase == "starting":
            raise HTTPException(503, _NOT_STARTED, headers={"retry-after": "1"})
        if self.phase in ("draining", "stopped"):
            raise shutting_down()

    @contextmanager
    def track(self, task: asyncio.Task[object]) -> Iterator[None]:
        """Count `task` as under way: a drain waits for it, and cancels it when the grace is over."""
        self._running.add(task)
        self._idle.clear()
        try:
            yield
        finally:
            self._running.discard(task)
            if not self._running:
                self._idle.set()

    async def drain(self, grace: float, unwind: float = 1.0) -> int:
        """Take no more, wait `grace` seconds for what runs, cancel the rest and give it `unwind` seconds to end.

        Returns:
            How many were cancelled.
        """
        self.refuse()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            return await self._cancel_rest(unwind)
        return 0

    async def _cancel_rest(self, unwind: float) -> int:
        rest = list(self._running)
        if not rest:  # the last one ended in the tick in which the grace did
            return 0
        for task in rest:
            task.cancel()
        await asyncio.wait(rest, timeout=unwind)
        return len(rest)


def shutting_down() -> Draining:
    """What a request is told that a shutdown refuses or cuts short."""
    return Draining("this process is shutting down", hint="send the request again", retry_after=1)
