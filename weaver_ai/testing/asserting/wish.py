"""Something to wait for, and the two ways of waiting for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from weaver_ai.testing.asserting.alarm import until, until_async
from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.asserting.source import Subscribe

__all__ = ["Wish", "await_for", "block_for", "in_loop"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Wish(Generic[Found]):
    """What `attempt` finds once it isn't None; `missed` says why it never came."""

    attempt: Callable[[], Found | None]
    missed: Callable[[], Iterable[str]]


async def await_for(wish: Wish[Found], subscribe: Subscribe, timeout: float) -> Found:  # noqa: ASYNC109 # as `block_for`
    """While the event loop goes on.

    Raises:
        ExpectationFailed: it didn't come in `timeout` seconds.
    """
    found = await until_async(subscribe, wish.attempt, timeout)
    if found is None:
        raise ExpectationFailed("\n".join(wish.missed()))
    return found


def block_for(wish: Wish[Found], subscribe: Subscribe, timeout: float, subject: str) -> Found:
    """While the thread stands still; `subject` is the fixture that the test asks.

    Raises:
        ExpectationFailed: it didn't come in `timeout` seconds.
    """
    found = until(subscribe, wish.attempt, timeout)
    if found is None:
        hint = ["", f"the event loop stood still meanwhile: await {subject}.eventually instead"] if in_loop() else []
        raise ExpectationFailed("\n".join([*wish.missed(), *hint]))
    return found


def in_loop() -> bool:
    """Whether an event loop (asyncio's or trio's) runs in this thread."""
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    return asyncio is not None and asyncio._get_running_loop() is not None
