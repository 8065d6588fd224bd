"""Clocks under a test's control: frozen, moved by hand and by sleeping; or only wrong.

What is replaced while a clock is in force: `time.time`, `time_ns`, `monotonic`, `monotonic_ns` and `sleep`,
in the module and wherever code outside the standard library imported them by name, and how an asyncio event loop of
the test's own thread waits. Everything is put back at the end. `datetime.now()` and `perf_counter` stay real.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, final

__all__ = ["ControlledClock", "controlled", "frozen", "skewed"]

_GRACE: Final = 0.02  # seconds of real time in which sockets and threads may answer before a sleep is passed over
_EXCEPT: Final = ("weaver_ai.testing.", "_pytest.", "pytest_timeout.", "xdist.", "execnet.", "hypothesis.")

_in_force: list[ControlledClock] = []


@final
class ControlledClock:
    """A clock that stands still, and moves by `advance` and by sleeping.

    It can be handed to code that takes a clock, as `clock=frozen_clock.monotonic`, as well.

    Args:
        sleeps: whether sleeping moves it. Without, only `advance` does, and a sleep lasts until then.

    Attributes:
        slept: seconds of each `time.sleep` and `asyncio.sleep` that the test's thread asked for, in order.
    """

    def __init__(self, *, sleeps: bool = True) -> None:
        self.sleeps = sleeps
        self.slept: list[float] = []
        self._wall = time.time_ns()
        self._steady = time.monotonic_ns()
        self._thread = threading.get_ident()
        self._lock = threading.Condition()

    def advance(self, seconds: float) -> None:
        """Move on; what is due by then is due now. An asyncio timer fires when the loop next runs.

        Raises:
            ValueError: for a negative number; time doesn't go back.
        """
        if seconds < 0:
            raise ValueError(f"a clock moves forward only; got {seconds:g} seconds")
        self._move(round(seconds * 1e9))

    def reach(self, monotonic: float) -> None:
        """Move on to this reading of `monotonic`; stay where it is past already."""
        self._move(max(0, round(monotonic * 1e9) - self._steady))

    def _move(self, nanoseconds: int) -> None:
        with self._lock:
            self._wall += nanoseconds
            self._steady += nanoseconds
            self._lock.notify_all()

    def time(self) -> float:
        return self._wall / 1e9

    def time_ns(self) -> int:
        return self._wall

    def monotonic(self) -> float:
        return self._steady / 1e9

    def monotonic_ns(self) -> int:
        return self._steady

    def sleep(self, seconds: float) -> None:
        """In the test's thread it moves the clock; elsewhere it lasts until somebody has moved it that far."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if self.is_mine and self.sleeps:
            self.slept.append(seconds)
            self.advance(seconds)
            return
        until = self._steady + round(seconds * 1e9)
        with self._lock:
            self._lock.wait_for(lambda: self._steady >= until or self not in _in_force)

    @property
    def is_mine(self) -> bool:
        """Whether the caller runs in the thread that froze the clock."""
        return threading.get_ident() == self._thread

    def release(self) -> None:
        """Wake whoever sleeps on it in another thread."""
        with self._lock:
            self._lock.notify_all()


def controlled() -> ControlledClock | None:
    """The clock in force, if there is one."""
    return _in_force[-1] if _in_force else None


@contextmanager
def frozen(*, sleeps: bool = True) -> Iterator[ControlledClock]:
    """Stop the clock until the block ends."""
    clock = ControlledClock(sleeps=sleeps)
    names = ("time", "time_ns", "monotonic", "monotonic_ns", "sleep")
    real = time.monotonic
    _in_force.append(clock)
    try:
        with _replaced({name: getattr(clock, name) for name in names}), _loops_follow(clock, real):
            yield clock
    finally:
        _in_force.remove(clock)
        clock.release()


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """Let the wall clock be wrong by `seconds`, ahead or (negative) behind, until the block ends.

    It goes on running. Monotonic time, and so every time-out and every sleep, stays right.
    """
    time_, time_ns = time.time, time.time_ns
    with _replaced({"time": lambda: time_() + seconds, "time_ns": lambda: time_ns() + round(seconds * 1e9)}):
        yield


@contextmanager
def _replaced(by: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Replace functions of `time`, there and wherever a module outside the standard library holds them by name."""
    originals = {id(getattr(time, name)): (getattr(time, name), new) for name, new in by.items()}
    undo: list[tuple[ModuleType, str, Any, Any]] = []
    for module in [time, *_foreign_modules()]:
        for name, value in list(vars(module).items()):
            found = originals.get(id(value))
            if found is not None:
                setattr(module, name, found[1])
                undo.append((module, name, value, found[1]))
    try:
        yield
    finally:
        for module, name, value, new in reversed(undo):
            if getattr(module, name, None) is new:
                setattr(module, name, value)


def _foreign_modules() -> list[ModuleType]:
    loaded: dict[str, ModuleType | None] = dict(sys.modules)
    return [
        module
        for name, module in loaded.items()
        if isinstance(module, ModuleType)
        and name.partition(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith(_EXCEPT)
    ]


@contextmanager
def _loops_follow(clock: ControlledClock, real: Callable[[], float]) -> Iterator[None]:
    """Event loops of the test's thread read the clock, and pass over the time in which all they do is sleep.

    A time-out is no sleep: it fires when the clock has reached it. Where a loop has nothing to do but to wait for one,
    it waits in real time, as long as it would have, so that what never comes does not hang a test.
    """
    base: Any = asyncio.BaseEventLoop
    read, run_once, call_later = base.time, base._run_once, base.call_later

    def time_of(loop: Any) -> float:
        return clock.monotonic() if _runs_in(loop, clock) else real()

    def later(loop: Any, delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_sleep(callback) and _runs_in(loop, clock):
            clock.slept.append(delay)
        return call_later(loop, delay, callback, *args, **kwargs)

    def once(loop: Any) -> None:
        if _runs_in(loop, clock) and clock.sleeps and not loop._ready and not loop._stopping:
            _pass_time(loop, clock)
        run_once(loop)

    base.time, base._run_once, base.call_later = time_of, once, later
    try:
        yield
    finally:
        base.time, base._run_once, base.call_later = read, run_once, call_later


def _runs_in(loop: Any, clock: ControlledClock) -> bool:
    return loop._thread_id in {None, clock._thread} and clock.is_mine


def _pass_time(loop: Any, clock: ControlledClock) -> None:
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
