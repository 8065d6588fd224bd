"""The end of a process that has drained."""

from __future__ import annotations

import os
import threading

__all__ = ["leave_within"]

# Taken before Logfire is imported, which puts one there that waits for its exporters first.
_exit_now = os._exit


def leave_within(seconds: float, code: int = 0) -> None:
    """End the process then with that code, whatever still holds it.

    Python waits for threads without a limit, and a tool that blocks in one can't be cancelled; exporters of telemetry
    may retry in their exit hooks. Work has been cancelled and telemetry flushed by now.
    """
    guard = threading.Timer(seconds, _exit_now, args=(code,))
    guard.daemon = True
    guard.start()
