"""Questions that must be awaited, and those that nobody awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TypeAlias, TypeVar, final

from weaver_ai.testing.asserting.wish import in_loop

__all__ = ["Promise", "Promises"]

T = TypeVar("T")

Promise: TypeAlias = Coroutine[object, None, T]
"""What a verb of `eventually` gives: to be awaited, or made a task."""


@final
class Promises:
    """Those of one test. A question that is never awaited checks nothing, and Python only warns of it."""

    def __init__(self) -> None:
        self._unawaited: dict[object, tuple[Coroutine[object, None, object], str]] = {}

    def make(self, subject: str, verb: str, asked: str, answer: Callable[[], Promise[T]]) -> Promise[T]:
        """`answer`, as soon as it is awaited; `spans`, `one` and what was asked are for the complaint."""
        key = object()

        async def awaited() -> T:
            __tracebackhide__ = True
            del self._unawaited[key]
            return await answer()

        promise = awaited()
        self._unawaited[key] = promise, _complaint(subject, verb, asked)
        return promise

    def forgotten(self) -> list[str]:
        """A sentence for each that nobody has awaited so far; nobody can any more."""
        left, self._unawaited = tuple(self._unawaited.values()), {}
        told = [said for promise, said in left if inspect.getcoroutinestate(promise) == inspect.CORO_CREATED]
        for promise, _ in left:
            promise.close()
        return told


def _complaint(subject: str, verb: str, asked: str) -> str:
    what = f"{subject}.eventually.{verb}({asked}) was never awaited, so it checked nothing"
    if in_loop():
        return f"{what}: write await {subject}.eventually.{verb}(...)"
    return f"{what}: it is for async tests; in others write {subject}.wait.{verb}(...)"
