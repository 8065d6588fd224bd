"""Questions that must be awaited, and those that nobody awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, final

from weaver_ai.testing.asserting.wish import in_loop

__all__ = ["Promise", "Promises"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

T = TypeVar("T")

Promise: TypeAlias = Coroutine[object, None, T]
"""What a verb of `eventually` gives: to be awaited, or made a task."""

_BEGUN: Final = (inspect.CORO_RUNNING, inspect.CORO_SUSPENDED)


@dataclass(slots=True, eq=False)
class _Made:
    """A question that has no answer yet.

    Attributes:
        what: as the test wrote it.
        instead: what it could have written.
    """

    promise: Coroutine[object, None, object]
    what: str
    instead: str

    @property
    def state(self) -> str:
        return inspect.getcoroutinestate(self.promise)


@final
class Promises:
    """Those of one test. A question that is never awaited checks nothing, and Python only warns of it."""

    def __init__(self) -> None:
        self._open: dict[object, _Made] = {}
        self._of_fixtures: frozenset[object] = frozenset()
        self._going_on: frozenset[object] = frozenset()

    def make(self, subject: str, verb: str, asked: str, answer: Callable[[], Promise[T]]) -> Promise[T]:
        """`answer`, as soon as it is awaited; `spans`, `one` and what was asked are for the complaint."""
        key = object()

        async def awaited() -> T:
            try:
                found = await answer()
            except Exception:  # a failure answers, too; who was cancelled has no answer
                self._open.pop(key, None)
                raise
            self._open.pop(key, None)
            return found

        promise = awaited()
        self._open[key] = _Made(promise, f"{subject}.eventually.{verb}({asked})", _instead(subject, verb))
        return promise

    def body_begins(self) -> None:
        """What is open now was made by fixtures, which may await it, or cancel it, at their end."""
        self._of_fixtures = frozenset(self._open)

    def body_ended(self) -> list[str]:
        """A sentence for each that the body made and nobody has begun to await; nobody can any more.

        Those that a task is at are looked at again in `test_ended`. One that was cancelled by now was meant to be.
        """
        body = [(key, made) for key, made in tuple(self._open.items()) if key not in self._of_fixtures]
        self._going_on = frozenset(key for key, made in body if made.state in _BEGUN)
        return list(self._forgotten(body))

    def test_ended(self) -> list[str]:
        """The same of the test's fixtures; and of what a task of the body's was at, if it has no answer even now."""
        unanswered = [made.what for key, made in tuple(self._open.items()) if key in self._going_on]
        told = [f"{what} had no answer when the test ended: await the task that was made of it" for what in unanswered]
        return [*told, *self._forgotten(tuple(self._open.items()))]

    def _forgotten(self, candidates: Iterable[tuple[object, _Made]]) -> Iterator[str]:
        for key, made in candidates:
            if made.state == inspect.CORO_CREATED:
                del self._open[key]
                made.promise.close()
                yield f"{made.what} was never awaited, so it checked nothing: {made.instead}"


def _instead(subject: str, verb: str) -> str:
    if in_loop():
        return f"write await {subject}.eventually.{verb}(...)"
    return f"it is for async tests; in others write {subject}.wait.{verb}(...)"
