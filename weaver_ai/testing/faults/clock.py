"""Clocks under a test's control: frozen, moved by hand and by sleeping; or only wrong.

The wall clock is replaced where C code reads it, so whoever asks sees the same: `time.time`, `datetime.now`,
`strftime`, a function that took one of them as a default value. `monotonic`, `perf_counter` and `sleep` are replaced
in `time` and wherever a module outside the standard library holds them by name; asyncio's loops in the test's thread
follow.
Everything is put back at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

from weaver_ai.errors import MissingExtra
from weaver_ai.testing.faults.by_name import replaced
from weaver_ai.testing.faults.loops import loops_follow, others_refuse

if TYPE_CHECKING:
    from time_machine import Traveller, travel

__all__ = ["ControlledClock", "controlled", "frozen", "skewed"]

_STEADY: Final = ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
_SECOND: Final = 1_000_000_000

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
        self._performance = time.perf_counter_ns() - self._steady
        self._thread = threading.get_ident()
        self._lock = threading.Condition()
        self._traveller: Traveller | None = None

    def advance(self, seconds: float) -> None:
        """Move on; what is due by then is due now. An asyncio timer fires when the loop next runs.

        Raises:
            ValueError: for a negative number; time doesn't go back.
        """
        if seconds < 0:
            raise ValueError(f"a clock moves forward only; got {seconds:g} seconds")
        self._move(round(seconds * _SECOND))

    def reach(self, monotonic: float) -> None:
        """Move on to this reading of `monotonic`; stay where it is past already."""
        self._move(max(0, round(monotonic * _SECOND) - self._steady))

    def set_right(self, seconds: float) -> None:
        """Put the wall clock forward or (negative) back, as a person or NTP does; no time passes."""
        self._set(round(seconds * _SECOND))

    def _move(self, nanoseconds: int) -> None:
        with self._lock:
            self._steady += nanoseconds
            self._set(nanoseconds)
            self._lock.notify_all()

    def _set(self, nanoseconds: int) -> None:
        self._wall += nanoseconds
        if self._traveller is not None:
            whole, rest = divmod(nanoseconds, _SECOND)
            self._traveller.shift(whole)
            self._traveller.shift(rest / _SECOND)  # apart, for a float of both would lose nanoseconds

    def time(self) -> float:
        return self._wall / _SECOND

    def time_ns(self) -> int:
        return self._wall

    def monotonic(self) -> float:
        return self._steady / _SECOND

    def monotonic_ns(self) -> int:
        return self._steady

    def perf_counter(self) -> float:
        return self.perf_counter_ns() / _SECOND

    def perf_counter_ns(self) -> int:
        return self._steady + self._performance

    def sleep(self, seconds: float) -> None:
        """In the test's thread it moves the clock; elsewhere it lasts until somebody has moved it that far."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if self.is_mine and self.sleeps:
            self.slept.append(seconds)
            self.advance(seconds)
            return
        until = self._steady + round(seconds * _SECOND)
        with self._lock:
            self._lock.wait_for(lambda: self._steady >= until or self not in _in_force)

    @property
    def is_mine(self) -> bool:
        """Whether the caller runs in the thread that froze the clock."""
        return threading.get_ident() == self._thread

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the process's wall clock be this one."""
        with _travelling(self._wall, tick=False) as traveller:
            self._traveller = traveller
            try:
                yield
            finally:
                self._traveller = None
                with self._lock:
                    self._lock.notify_all()  # who sleeps on it in another thread


def controlled() -> ControlledClock | None:
    """The clock in force, if there is one."""
    return _in_force[-1] if _in_force else None


@contextmanager
def frozen(*, sleeps: bool = True) -> Iterator[ControlledClock]:
    """Stop the clock until the block ends.

    Raises:
        MissingExtra: time-machine isn't installed, which the extra `fakes` brings.
    """
    clock = ControlledClock(sleeps=sleeps)
    real = time.monotonic
    with clock.held():
        _in_force.append(clock)
        try:
            steady = {name: getattr(clock, name) for name in _STEADY}
            with replaced(time, steady), loops_follow(clock, real), others_refuse(clock):
                yield clock
        finally:
            _in_force.remove(clock)


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """Let the wall clock be wrong by `seconds`, ahead or (negative) behind, until the block ends.

    It goes on running, unless it is frozen. Monotonic time, and so every time-out and every sleep, stays right.

    Raises:
        MissingExtra: as for `frozen`.
    """
    clock = controlled()
    if clock is None:
        with _travelling(time.time_ns() + round(seconds * _SECOND), tick=True):
            yield
        return
    clock.set_right(seconds)
    try:
        yield
    finally:
        clock.set_right(-seconds)


@contextmanager
def _travelling(nanoseconds: int, *, tick: bool) -> Iterator[Traveller]:
    """Let every reader of the wall clock see this time, standing or running from there."""
    journey = _journey(tick=tick)
    journey.destination_timestamp_ns = nanoseconds  # what it takes itself is coarser
    with journey as traveller:
        traveller.time_ns()  # a running clock runs from its first reading
        yield traveller


def _journey(*, tick: bool) -> travel:
    try:
        import time_machine  # noqa: PLC0415 # only with a clock
    except ModuleNotFoundError as error:
        if error.name not in {"time_machine", "_time_machine"}:
            raise
        raise MissingExtra("a frozen or skewed clock", "fakes", beside="testing") from None
    return time_machine.travel(0, tick=tick)
