"""Steps with a limit of time, at the end of the process as well."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

__all__ = ["SpareThreads", "Step", "start_thread", "within"]

Step: TypeAlias = Callable[[], object]

_log = logging.getLogger("weaver_ai.telemetry")
_NAME: Final = "weaver-telemetry"


def start_thread(step: Step) -> None:
    threading.Thread(target=step, name=_NAME, daemon=True).start()


class SpareThreads:
    """Daemon threads that wait for the end of the process, when some versions of Python start no new ones.

    Python 3.12.1 refuses as soon as the main thread has ended, exit handlers included.
    """

    def __init__(self) -> None:
        self._steps: SimpleQueue[Step] = SimpleQueue()
        self._held = 0

    def hold(self, threads: int) -> None:
        """Have at least as many of them."""
        for _ in range(self._held, threads):
            start_thread(partial(_serve, self._steps))
            self._held += 1

    def hold_again(self) -> None:
        """In the child of a fork, which has none of its parent's threads."""
        threads, self._held, self._steps = self._held, 0, SimpleQueue()
        self.hold(threads)

    def start(self, step: Step) -> None:
        """Run `step` in a new thread, or else in a spare one; where there is none either, here."""
        try:
            start_thread(step)
        except RuntimeError:
            if self._held:
                self._steps.put(step)
            else:
                step()


def _serve(steps: SimpleQueue[Step]) -> None:
    while True:
        steps.get()()


def within(seconds: float, *steps: Step, start: Callable[[Step], None] = start_thread) -> bool:
    """Run `steps` side by side; True if every one returned, and not False, within `seconds` in all.

    The SDK's flush ignores its timeout (open-telemetry/opentelemetry-python#4568), so each step runs
    in a daemon thread that is left behind when it takes too long.
    """
    outcomes: SimpleQueue[bool] = SimpleQueue()
    deadline = time.monotonic() + seconds
    for step in steps:
        start(partial(_report, step, outcomes))
    try:
        reported = [outcomes.get(timeout=max(0.0, deadline - time.monotonic())) for _ in steps]
    except Empty:
        return False
    return all(reported)


def _report(step: Step, outcomes: SimpleQueue[bool]) -> None:
    try:
        outcomes.put(step() is not False)
    except Exception as error:  # noqa: BLE001 - a raising exporter must not stop a shutdown
        _log.debug("telemetry could not be flushed: %s", type(error).__name__)
        outcomes.put(False)
