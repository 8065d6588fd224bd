"""What `logs` and `metrics` share: conditions, verbs that ask now, and verbs that wait."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeAlias, TypeVar

from weaver_ai.spans.values import MISSING, clip, matches, show
from weaver_ai.testing.asserting.explain import ExpectationFailed
from weaver_ai.testing.asserting.keywords import attributes_of
from weaver_ai.testing.asserting.promises import Promise, Promises
from weaver_ai.testing.asserting.source import Subscribe
from weaver_ai.testing.asserting.wish import Wish, await_for, block_for

__all__ = ["Asked", "Condition", "Eventually", "Signal", "Text", "Waiting", "conditions_on_attributes", "text"]

T = TypeVar("T")
Found = TypeVar("Found")

Text: TypeAlias = str | re.Pattern[str] | Callable[[str], object]
"""A string is exact unless it contains `*`, which stands for any run of characters; a regex is searched."""

Asked: TypeAlias = "Sequence[Condition[T]]"


@dataclass(frozen=True, slots=True)
class Condition(Generic[T]):
    """One thing that is asked: `read` gives the actual value, or `MISSING`."""

    label: str
    expected: object
    read: Callable[[T], object]
    shown: str = ""

    def holds(self, item: T) -> bool:
        return matches(self.expected, self.read(item))

    def __str__(self) -> str:
        return f"{self.label} {self.shown or show(self.expected)}"


def text(label: str, expected: object, read: Callable[[T], object]) -> Condition[T]:
    """A condition on a text: a `*` in a string stands for any run of characters."""
    if isinstance(expected, str) and "*" in expected:
        glob = re.compile(f"^{'.*'.join(map(re.escape, expected.split('*')))}$", re.DOTALL)
        return Condition(label, glob, read, shown=show(expected))
    return Condition(label, expected, read)


def conditions_on_attributes(
    verb: str, wanted: object, read: Callable[[T], Mapping[str, object]]
) -> Iterator[Condition[T]]:
    if wanted is None:
        return
    for key, value in attributes_of(verb, wanted).items():
        yield Condition(str(key), value, lambda item, key=key: read(item).get(key, MISSING))  # type: ignore[misc]


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

    def _find(self, asked: Asked[T]) -> list[T]:
        return [item for item in self._items() if all(condition.holds(item) for condition in asked)]

    def _one(self, asked: Asked[T]) -> T:
        __tracebackhide__ = True
        found = self._find(asked)
        if len(found) != 1:
            raise ExpectationFailed(self._message("one", len(found), asked))
        return found[0]

    def _some(self, asked: Asked[T]) -> list[T]:
        __tracebackhide__ = True
        found = self._find(asked)
        if not found:
            raise ExpectationFailed(self._message("at least one", 0, asked))
        return found

    def _none(self, asked: Asked[T]) -> None:
        __tracebackhide__ = True
        found = self._find(asked)
        if found:
            raise ExpectationFailed(self._message("no", len(found), asked))

    def _message(self, wanted: str, found: int, asked: Asked[T], after: str = "") -> str:
        what = f" with {', '.join(map(str, asked))}" if asked else ""
        asked_for = f"expected {wanted} {self.noun}{what}; found {found or 'none'}{after}"
        return "\n".join([asked_for, *self._listed(asked)])

    def _listed(self, asked: Asked[T], limit: int = 10) -> Iterator[str]:
        items = self._items()
        if not items:
            yield f"no {self.noun} was recorded"
            return
        failed = {id(item): [condition for condition in asked if not condition.holds(item)] for item in items}
        nearest = sorted(items, key=lambda item: len(failed[id(item)]))[:limit]
        for item in nearest:
            why = failed[id(item)]
            verdict = f"{why[0].label} was {show(why[0].read(item), 40)}" if why else "matches"
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

    def _some(self, asked: Asked[T]) -> Wish[list[T]]:
        return Wish(lambda: self._signal._find(asked) or None, lambda: self._missed("at least one", asked))

    def _missed(self, wanted: str, asked: Asked[T]) -> Iterator[str]:
        yield self._signal._message(wanted, 0, asked, f" after {self._timeout:g}s")


class Eventually(_Wishes[T]):
    """`await` the verbs in a test that asyncio, anyio or trio runs; the loop goes on meanwhile.

    A question that is never awaited fails the test.
    """

    def _promise(self, verb: str, asked: Asked[T], wish: Wish[Found]) -> Promise[Found]:
        signal = self._signal

        async def answer() -> Found:
            __tracebackhide__ = True
            return await await_for(wish, signal._subscribe, self._timeout)

        return signal._promises.make(f"{signal.noun}s", verb, clip(", ".join(map(str, asked)), 120), answer)


class Waiting(_Wishes[T]):
    """The verbs block the thread: for what other threads or processes do."""

    def _come(self, wish: Wish[Found]) -> Found:
        __tracebackhide__ = True
        return block_for(wish, self._signal._subscribe, self._timeout, f"{self._signal.noun}s")
