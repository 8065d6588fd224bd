"""What is asked of a log record or a time series: conditions, and patterns that combine them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Literal, Self, TypeAlias, TypeVar, final

from weaver_ai.spans.relations import Target, described, is_target
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import MISSING, matches, show
from weaver_ai.testing.asserting.keywords import attributes_of

__all__ = [
    "Asked",
    "Condition",
    "InSpan",
    "Pattern",
    "Place",
    "Text",
    "Value",
    "arguments",
    "conditions_on_attributes",
    "text",
]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

T = TypeVar("T")

Text: TypeAlias = str | re.Pattern[str] | Callable[[str], object]
"""A string is exact unless it contains `*`, which stands for any run of characters; a regex is searched."""

Asked: TypeAlias = "Sequence[Condition[T]]"

Place: TypeAlias = tuple[Forest, int | None]
"""Where something happened: its span's position; None for a span that was not captured."""


class Condition(ABC, Generic[T]):
    """One thing that is asked. As text, it is what a message lists: `severity 'warn'`."""

    def __init__(self, label: str, expected: str) -> None:
        self.label: str = label
        self.expected: str = expected

    @abstractmethod
    def holds(self, item: T) -> bool: ...

    @abstractmethod
    def was(self, item: T) -> str:
        """What there is instead: `severity was 'info'`."""

    def asked(self) -> str:
        """The argument that made this condition."""
        return f"{self.label}={self.expected}"

    def __str__(self) -> str:
        return f"{self.label} {self.expected}"


@final
class Value(Condition[T]):
    """A value is as expected: `read` gives the actual one, or `MISSING`."""

    def __init__(
        self,
        label: str,
        expected: object,
        read: Callable[[T], object],
        *,
        text: str = "",
        argument: Literal["first", "attribute", "keyword"] = "keyword",
    ) -> None:
        super().__init__(label, show(text or expected))
        self.text: str = text  # as the test wrote it
        self.read: Callable[[T], object] = read
        self._expected = expected
        self.argument: Literal["first", "attribute", "keyword"] = argument

    def holds(self, item: T) -> bool:
        return matches(self._expected, self.read(item))

    def was(self, item: T) -> str:
        return f"{self.label} was {show(self.read(item), 40)}"

    def asked(self) -> str:
        if self.argument == "attribute":
            return f"{self.label!r}: {self.expected}"
        return self.expected if self.argument == "first" else super().asked()


@final
class InSpan(Condition[T]):
    """It happened in this span, or with `above` in that or in one of its descendants; `target` None: in no span."""

    def __init__(self, label: str, target: Target | None, read: Callable[[T], Place | None], *, above: bool) -> None:
        super().__init__(label, "None" if target is None else described(target))
        self._target = target
        self._read = read
        self._above = above

    def holds(self, item: T) -> bool:
        place = self._read(item)
        if place is None or self._target is None:
            return place is None and self._target is None
        forest, position = place
        if position is None:
            return False
        positions = [position, *forest.ancestors(position)] if self._above else [position]
        return any(is_target(self._target, each, forest) for each in positions)

    def was(self, item: T) -> str:
        place = self._read(item)
        if place is None:
            return f"{self.label} was missing"
        forest, position = place
        if position is None:
            return f"{self.label} was a span that was not captured"
        positions = [position, *forest.ancestors(position)] if self._above else [position]
        return f"{self.label} was {' < '.join(show(forest.spans[each].name) for each in positions)}"


class Pattern(Generic[T]):
    """Every condition holds. Patterns of one signal combine with `&`, `|` and `~`."""

    function: str

    def __init__(self, conditions: Sequence[Condition[T]]) -> None:
        self.conditions: tuple[Condition[T], ...] = tuple(conditions)

    def __and__(self, other: Self) -> Self:
        return type(self)(self.conditions + other.conditions) if isinstance(other, type(self)) else NotImplemented

    def __or__(self, other: Self) -> Self:
        return type(self)([_Either(self, other)]) if isinstance(other, type(self)) else NotImplemented

    def __invert__(self) -> Self:
        return type(self)([_Never(self)])

    def holds(self, item: T) -> bool:
        return all(condition.holds(item) for condition in self.conditions)

    def asked(self) -> str:
        """The arguments that made this pattern."""
        return arguments(self.conditions)

    def __repr__(self) -> str:
        return f"{self.function}({self.asked()})"


def arguments(conditions: Asked[T]) -> str:
    """As a test would write them."""
    places: dict[str, list[str]] = {"first": [], "attribute": [], "keyword": []}
    for condition in conditions:
        places[condition.argument if isinstance(condition, Value) else "keyword"].append(condition.asked())
    mapping = f"{'' if places['first'] else 'attributes='}{{{', '.join(places['attribute'])}}}"
    return ", ".join([*places["first"], *([mapping] if places["attribute"] else []), *places["keyword"]])


@final
class _Either(Condition[T]):
    def __init__(self, *options: Pattern[T]) -> None:
        super().__init__("either", " | ".join(map(repr, options)))
        self._options = options

    def holds(self, item: T) -> bool:
        return any(option.holds(item) for option in self._options)

    def was(self, item: T) -> str:
        failed = [[each for each in option.conditions if not each.holds(item)] for option in self._options]
        return "; ".join(each.was(item) for each in min(failed, key=len))

    def asked(self) -> str:
        return self.expected

    def __str__(self) -> str:
        return self.expected


@final
class _Never(Condition[T]):
    def __init__(self, pattern: Pattern[T]) -> None:
        super().__init__("not", f"~{pattern!r}")
        self._pattern = pattern

    def holds(self, item: T) -> bool:
        return not self._pattern.holds(item)

    def was(self, item: T) -> str:
        return "; ".join(each.was(item) for each in self._pattern.conditions)

    def asked(self) -> str:
        return self.expected

    def __str__(self) -> str:
        return self.expected


def text(
    label: str, expected: object, read: Callable[[T], object], *, argument: Literal["first", "keyword"] = "keyword"
) -> Condition[T]:
    """A condition on a text: a `*` in a string stands for any run of characters."""
    if isinstance(expected, str) and "*" in expected:
        glob = re.compile(f"^{'.*'.join(map(re.escape, expected.split('*')))}$", re.DOTALL)
        return Value(label, glob, read, text=expected, argument=argument)
    return Value(label, expected, read, text=expected if isinstance(expected, str) else "", argument=argument)


def conditions_on_attributes(
    verb: str, wanted: object, read: Callable[[T], Mapping[str, object]]
) -> Iterator[Condition[T]]:
    if wanted is None:
        return
    for key, value in attributes_of(verb, wanted).items():
        yield _attribute(str(key), value, read)


def _attribute(key: str, expected: object, read: Callable[[T], Mapping[str, object]]) -> Condition[T]:
    return Value(key, expected, lambda item: read(item).get(key, MISSING), argument="attribute")
