"""The verbs that `logs` and `metrics` share: one, first, all, some, none, count."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from weaver_ai.spans.values import MISSING, clip, matches, show

__all__ = ["Asked", "Condition", "Signal", "Text", "conditions_on_attributes", "text"]

T = TypeVar("T")

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
    wanted: Mapping[str, object] | None, read: Callable[[T], Mapping[str, object]]
) -> Iterator[Condition[T]]:
    for key, value in (wanted or {}).items():
        yield Condition(key, value, lambda item, key=key: read(item).get(key, MISSING))  # type: ignore[misc]


class Signal(ABC, Generic[T]):
    """What a test recorded of one signal.

    A verb that fails raises AssertionError: what was asked, how many were, and each of the nearest with
    the first condition that doesn't hold for it.
    """

    noun: str

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
            raise AssertionError(self._message("one", len(found), asked))
        return found[0]

    def _some(self, asked: Asked[T]) -> list[T]:
        __tracebackhide__ = True
        found = self._find(asked)
        if not found:
            raise AssertionError(self._message("at least one", 0, asked))
        return found

    def _none(self, asked: Asked[T]) -> None:
        __tracebackhide__ = True
        found = self._find(asked)
        if found:
            raise AssertionError(self._message("no", len(found), asked))

    def _message(self, wanted: str, found: int, asked: Asked[T]) -> str:
        what = f" with {', '.join(map(str, asked))}" if asked else ""
        return "\n".join([f"expected {wanted} {self.noun}{what}; found {found or 'none'}", *self._listed(asked)])

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
