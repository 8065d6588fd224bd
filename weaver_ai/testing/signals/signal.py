"""What `logs` and `metrics` share: verbs that ask now, and verbs that wait."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, Self, TypeVar

from weaver_ai.spans.values import clip
from weaver_ai.testing.asserting.explain import ExpectationFailed, did_you_mean
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.asserting.source import Subscribe
from weaver_ai.testing.asserting.wish import Wish, await_for, block_for
from weaver_ai.testing.signals.patterns import Asked, Value, arguments

__all__ = ["Eventually", "Signal", "Waiting"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

_A_LINE = 80  # columns of what may be proposed

T = TypeVar("T")
Found = TypeVar("Found")


class Signal(ABC, Generic[T]):
    """What a test recorded of one signal.

    A verb that fails raises ExpectationFailed: what was asked, how many were, and each of the nearest with
    the first condition that doesn't hold for it.

    Args:
        subscribe: to whatever can change an answer.
        promises: where what `eventually` gives is noted until it is awaited.
    """

    noun: str

    def __init__(self, subscribe: Subscribe, promises: Promises | None = None) -> None:
        self._subscribe = subscribe
        self._promises = promises or Promises()

    @abstractmethod
    def _items(self) -> Sequence[T]:
        """What was recorded so far, in order."""

    @abstractmethod
    def _line(self, item: T) -> str:
        """The item in one line."""

    def _where(self) -> str:
        """What of the test is asked, if not all of it; it stands after the question."""
        return ""

    def _why_empty(self, asked: Asked[T]) -> Iterator[str]:
        """Why nothing that is so was recorded, where that can be told."""
        return iter(())

    def _find(self, asked: Asked[T]) -> list[T]:
        found = self._items()
        for condition in asked:
            found = list(filter(condition.holds, found))
        return list(found)

    def _one(self, asked: Asked[T]) -> T:
        found = self._find(asked)
        if len(found) != 1:
            raise ExpectationFailed(self._message("one", len(found), asked))
        return found[0]

    def _some(self, asked: Asked[T]) -> list[T]:
        found = self._find(asked)
        if not found:
            raise ExpectationFailed(self._message("at least one", 0, asked))
        return found

    def _none(self, asked: Asked[T]) -> None:
        found = self._find(asked)
        if found:
            raise ExpectationFailed(self._message("no", len(found), asked))

    def _in_order(self, steps: Sequence[Asked[T]]) -> list[T]:
        found = self._earliest(steps)
        if len(found) < len(steps):
            raise ExpectationFailed("\n".join(self._out_of_order(steps)))
        return found

    def _earliest(self, steps: Sequence[Asked[T]]) -> list[T]:
        """For each step the first that is so after the one before; it ends before the step that has none."""
        found: list[T] = []
        for item in self._items():
            if len(found) < len(steps) and all(condition.holds(item) for condition in steps[len(found)]):
                found.append(item)
        return found

    def _out_of_order(self, steps: Sequence[Asked[T]], after: str = "") -> Iterator[str]:
        items, found = self._items(), self._earliest(steps)
        asked = ", ".join(map(_listed_as, steps))
        yield f"expected {self.noun}s in order{self._where()}: {asked}; found {len(found)} of {len(steps)}{after}"
        if not items:
            yield f"no {self.noun} was recorded{self._where()}"
        for item in items[:10]:
            number = next((number for number, each in enumerate(found, 1) if each is item), None)
            also = [str(place) for place, step in enumerate(steps, 1) if all(each.holds(item) for each in step)]
            told = f"  <- {number}" if number else f"  <- fits {', '.join(also)}, out of order" if also else ""
            yield f"  {clip(self._line(item), 90)}{told}"
        if len(items) > 10:  # noqa: PLR2004 # as for the other verbs
            yield f"  and {len(items) - 10} more"

    def _message(self, wanted: str, found: int, asked: Asked[T], after: str = "") -> str:
        what = f" with {', '.join(clip(str(condition), 160) for condition in asked)}" if asked else ""
        hint = "" if found else self._guess(asked)
        asked_for = f"expected {wanted} {self.noun}{what}{self._where()}; found {found or 'none'}{after}{hint}"
        return "\n".join([asked_for, *self._listed(asked), *(() if found else self._why_empty(asked))])

    def _guess(self, asked: Asked[T]) -> str:
        """The name or the body that was meant, where none is so and one is nearly so."""
        meant = next((each for each in asked if isinstance(each, Value) and each.argument == "first"), None)
        if meant is None or not meant.text:
            return ""
        items = self._items()
        if any(meant.holds(item) for item in items):
            return ""
        texts = [each for each in map(meant.read, items) if isinstance(each, str) and len(each) <= _A_LINE]
        return did_you_mean(meant.text, texts)

    def _listed(self, asked: Asked[T], limit: int = 10) -> Iterator[str]:
        items = self._items()
        if not items:
            yield f"no {self.noun} was recorded{self._where()}"
            return
        failed = {id(item): [condition for condition in asked if not condition.holds(item)] for item in items}
        nearest = sorted(items, key=lambda item: len(failed[id(item)]))[:limit]
        for item in nearest:
            why = failed[id(item)]
            verdict = clip(why[0].was(item), 80) if why else "matches"
            yield f"  {clip(self._line(item), 90)}  <- {verdict}"
        if len(items) > limit:
            yield f"  and {len(items) - limit} more"


class _Wishes(Generic[T]):
    """What the two ways of waiting share.

    Calling it gives the same verbs with another timeout: `logs.eventually(timeout=30).one(...)`.
    """

    def __init__(self, signal: Signal[T], timeout: float = 5.0) -> None:
        self._signal = signal
        self._timeout = timeout

    def __call__(self, timeout: float) -> Self:
        return type(self)(self._signal, timeout)

    def _one(self, asked: Asked[T]) -> Wish[T]:
        def attempt() -> T | None:
            found = self._signal._find(asked)
            if len(found) > 1:
                raise ExpectationFailed(self._signal._message("one", len(found), asked))
            return found[0] if found else None

        return Wish(attempt, lambda: self._missed("one", asked))

    def _first(self, asked: Asked[T]) -> Wish[T]:
        return Wish(lambda: next(iter(self._signal._find(asked)), None), lambda: self._missed("at least one", asked))

    def _in_order(self, steps: Sequence[Asked[T]]) -> Wish[list[T]]:
        def attempt() -> list[T] | None:
            found = self._signal._earliest(steps)
            return found if len(found) == len(steps) else None

        return Wish(attempt, lambda: self._signal._out_of_order(steps, f" after {self._timeout:g}s"))

    def _some(self, asked: Asked[T]) -> Wish[list[T]]:
        return Wish(lambda: self._signal._find(asked) or None, lambda: self._missed("at least one", asked))

    def _missed(self, wanted: str, asked: Asked[T]) -> Iterator[str]:
        yield self._signal._message(wanted, 0, asked, f" after {self._timeout:g}s")


class Eventually(_Wishes[T]):
    """`await` the verbs in a test that asyncio, anyio or trio runs; the loop goes on meanwhile.

    A question that is never awaited fails the test.
    """

    def _promise(self, verb: str, asked: str, wish: Wish[Found]) -> Promise[Found]:
        signal = self._signal

        async def answer() -> Found:
            return await await_for(wish, signal._subscribe, self._timeout)

        return signal._promises.make(f"{signal.noun}s", verb, clip(asked, 120), answer)


class Waiting(_Wishes[T]):
    """The verbs block the thread: for what other threads or processes do."""

    def _come(self, wish: Wish[Found]) -> Found:
        return block_for(wish, self._signal._subscribe, self._timeout, f"{self._signal.noun}s")


def _listed_as(step: Asked[T]) -> str:
    return clip(arguments(step), 72)
