"""Whose cancellation a CancelledError is of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["stopping"]


def stopping() -> Callable[[], bool]:
    """What tells whether the running task has been asked to stop since now.

    If it hasn't, a CancelledError that is seen in it comes of something that it awaited.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    return lambda: task is None or task.cancelling() > before
