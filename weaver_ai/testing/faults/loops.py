"""Event loops under a controlled clock: asyncio's follow it; those that can't say so where they are asked to wait."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Protocol

from weaver_ai.testing.faults.by_name import replaced
from weaver_ai.testing.patches import Patches

__all__ = ["loops_follow", "others_refuse"]

_GRACE: Final = 0.02  # seconds of real time in which sockets and threads may answer before a sleep is passed over
_UVLOOP: Final = (
    "a frozen clock can't move uvloop's timers: run this test on asyncio's own loop, "
    "or hand frozen_clock.monotonic to what takes a clock"
)
_TRIO: Final = "a frozen clock can't move trio's: use trio.testing.MockClock"


class Clock(Protocol):
    """What loops ask of it."""

    sleeps: bool
    slept: list[float]

    @property
    def is_mine(self) -> bool: ...
    def monotonic(self) -> float: ...
    def reach(self, monotonic: float) -> None: ...


@contextmanager
def loops_follow(clock: Clock, real: Callable[[], float]) -> Iterator[None]:
    """Event loops of the test's thread read the clock, and pass over the time in which all they do is sleep.

    A time-out is no sleep: it fires when the clock has reached it. Where a loop has nothing to do but to wait for one,
    it waits in real time, as long as it would have, so that what never comes does not hang a test.
    """
    base: Any = asyncio.BaseEventLoop
    read, run_once, call_later = base.time, base._run_once, base.call_later

    def time_of(loop: Any) -> float:
        return clock.monotonic() if _runs_here(loop, clock) else real()

    def later(loop: Any, delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_sleep(callback) and _runs_here(loop, clock):
            clock.slept.append(delay)
        return call_later(loop, delay, callback, *args, **kwargs)

    def once(loop: Any) -> None:
        if _runs_here(loop, clock) and clock.sleeps and not loop._ready and not loop._stopping:
            _pass_time(loop, clock)
        run_once(loop)

    base.time, base._run_once, base.call_later = time_of, once, later
    try:
        yield
    finally:
        base.time, base._run_once, base.call_later = read, run_once, call_later


@contextmanager
def others_refuse(clock: Clock) -> Iterator[None]:
    """Let uvloop's timers and trio's sleeps in the test's thread raise, which would else wait in real time."""
    with ExitStack() as stack:
        uvloop: Any = sys.modules.get("uvloop")
        if uvloop is not None:
            patches = Patches()
            stack.callback(patches.undo)
            for name in ("call_later", "call_at"):
                patches.replace(uvloop.Loop, name, lambda original: _refusing(original, clock, _UVLOOP))
        trio: Any = sys.modules.get("trio")
        if trio is not None:
            refusing: Mapping[str, Callable[..., Any]] = {
                name: _refusing(getattr(trio, name), clock, _TRIO) for name in ("sleep", "sleep_until")
            }
            stack.enter_context(replaced(trio, refusing))
        yield


def _refusing(original: Callable[..., Any], clock: Clock, why: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if clock.is_mine:
            raise RuntimeError(why)
        return original(*args, **kwargs)

    return refuse


def _runs_here(loop: Any, clock: Clock) -> bool:
    """Whether the loop runs in the thread that froze the clock, or will: it runs nowhere yet."""
    return clock.is_mine and loop._thread_id in {None, threading.get_ident()}


def _pass_time(loop: Any, clock: Clock) -> None:
    """Move the clock to the next timer, unless something happens first."""
    timers = [timer for timer in loop._scheduled if not timer._cancelled]
    now = clock.monotonic()
    next_ = min((timer._when for timer in timers), default=now)
    if next_ <= now:
        return
    asleep = any(_is_sleep(timer._callback) for timer in timers)
    events = loop._selector.select(_GRACE if asleep else next_ - now)
    if events:
        loop._process_events(events)
    else:
        clock.reach(next_)


def _is_sleep(callback: Any) -> bool:
    """Whether a timer's callback wakes `asyncio.sleep`, which anyio's and everybody's sleep on asyncio is."""
    return getattr(callback, "__name__", "") == "_set_result_unless_cancelled"
