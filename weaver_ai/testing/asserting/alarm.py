"""Waiting for what others do: woken when they do it, never by the clock."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar, final

from weaver_ai.testing.asserting.source import Subscribe

if TYPE_CHECKING:
    import asyncio

    import trio

__all__ = ["until", "until_async"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Found = TypeVar("Found")


def until(subscribe: Subscribe, attempt: Callable[[], Found | None], timeout: float) -> Found | None:
    """The first answer of `attempt` that isn't None, or None after `timeout` seconds.

    Blocks the thread; `attempt` is called at once, again after each change, and once more at the end, for what
    changes without a word.
    """
    woken = threading.Event()
    unsubscribe = subscribe(woken.set)
    deadline = time.monotonic() + timeout
    try:
        while True:
            woken.clear()
            found = attempt()
            if found is not None:
                return found
            if not woken.wait(max(deadline - time.monotonic(), 0)):
                return attempt()
    finally:
        unsubscribe()


async def until_async(
    subscribe: Subscribe,
    attempt: Callable[[], Found | None],
    timeout: float,  # noqa: ASYNC109 # as for `until`
) -> Found | None:
    """As `until`, but the event loop (asyncio's, with or without anyio, or trio's) goes on."""
    alarm = _alarm()
    unsubscribe = subscribe(alarm.ring)
    deadline = time.monotonic() + timeout
    try:
        while True:
            alarm.clear()
            found = attempt()
            if found is not None:
                return found
            if not await alarm.wait(max(deadline - time.monotonic(), 0)):
                return attempt()
    finally:
        unsubscribe()


class _Alarm(Protocol):
    def ring(self) -> None:
        """From any thread, also when the loop is gone."""

    def clear(self) -> None: ...

    async def wait(self, seconds: float) -> bool: ...


def _alarm() -> _Alarm:
    trio = sys.modules.get("trio")  # whoever runs in trio has imported it
    if trio is not None and trio.lowlevel.in_trio_task():
        return _TrioAlarm()
    return _AsyncioAlarm()


@final
class _AsyncioAlarm:
    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415 # who doesn't wait in it doesn't load it

        self._loop = asyncio.get_running_loop()
        self._event: asyncio.Event = asyncio.Event()

    def ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, seconds: float) -> bool:
        import asyncio  # noqa: PLC0415 # who doesn't wait in it doesn't load it

        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


@final
class _TrioAlarm:
    def __init__(self) -> None:
        import trio  # noqa: PLC0415 # likewise, and it needn't be installed

        self._token = trio.lowlevel.current_trio_token()
        self._event: trio.Event = trio.Event()
        self._gone = trio.RunFinishedError

    def ring(self) -> None:
        with contextlib.suppress(self._gone):
            self._token.run_sync_soon(self._set)

    def _set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        if self._event.is_set():
            self._event = type(self._event)()

    async def wait(self, seconds: float) -> bool:
        import trio  # noqa: PLC0415 # likewise, and it needn't be installed

        with trio.move_on_after(seconds):
            await self._event.wait()
        return self._event.is_set()
