"""The conditions on what a span says of itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, final

from weaver_ai.spans.model import Event, Span
from weaver_ai.spans.query import Condition
from weaver_ai.spans.tree import Forest
from weaver_ai.spans.values import MISSING, SHOWN, clip, columns, matches, show, where_it_differs

__all__ = [
    "Attribute",
    "Duration",
    "Ended",
    "Field",
    "HasEvent",
    "Name",
    "Raised",
    "Resource",
    "ScopeName",
    "Text",
]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates

Text: TypeAlias = str | re.Pattern[str]
"""A string is exact unless it contains `*`, which stands for any run of characters; a regex is searched."""


def _apart(expected: object, actual: object) -> tuple[str, str]:
    inner = where_it_differs(expected, actual)
    return show(actual), "" if inner is None else f"{inner[0]}: expected {inner[1]}, was {inner[2]}"


def _fitter(text: Text) -> Callable[[str], object]:
    if isinstance(text, re.Pattern):
        return text.search
    if "*" not in text:
        return text.__eq__
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch


@final
class Name(Condition):
    """The span's name."""

    __slots__ = ("_fits", "exact", "text")

    def __init__(self, text: Text) -> None:
        super().__init__("name", show(text))
        self._fits = _fitter(text)
        self.text: str = text if isinstance(text, str) else text.pattern
        self.exact: str | None = text if isinstance(text, str) and "*" not in text else None

    def asked(self) -> str:
        return self.expected

    def holds(self, position: int, forest: Forest) -> bool:
        return bool(self._fits(forest.spans[position].name))

    def was(self, position: int, forest: Forest) -> str:
        return show(forest.spans[position].name)

    def apart(self, position: int, forest: Forest) -> tuple[str, str]:
        name = forest.spans[position].name
        return (show(name), "") if self.exact is None else _apart(self.exact, name)

    def in_full(self, position: int, forest: Forest) -> tuple[str, str]:
        return show(self.text, sys.maxsize), show(forest.spans[position].name, sys.maxsize)

    def candidates(self, forest: Forest) -> Sequence[int]:
        if self.exact is not None:
            return forest.names.get(self.exact, ())
        groups = [positions for name, positions in forest.names.items() if self._fits(name)]
        return groups[0] if len(groups) == 1 else sorted(position for group in groups for position in group)


@final
class Attribute(Condition):
    """One attribute of the span; see `values.matches` for what `expected` can be."""

    __slots__ = ("_expected",)

    def __init__(self, key: str, expected: object) -> None:
        super().__init__(key, show(expected))
        self._expected = expected

    def asked(self) -> str:
        return f"{self.label!r}: {self.expected}"

    def holds(self, position: int, forest: Forest) -> bool:
        return matches(self._expected, forest.spans[position].attributes.get(self.label, MISSING))

    def was(self, position: int, forest: Forest) -> str:
        """Of a long value the difference too, where both are short together."""
        plain, difference = self.apart(position, forest)
        together = f"{clip(plain, 28)} ({difference})"
        return together if difference and columns(together) <= SHOWN else plain

    def apart(self, position: int, forest: Forest) -> tuple[str, str]:
        return _apart(self._expected, forest.spans[position].attributes.get(self.label, MISSING))

    def in_full(self, position: int, forest: Forest) -> tuple[str, str]:
        actual = forest.spans[position].attributes.get(self.label, MISSING)
        return show(self._expected, sys.maxsize), show(actual, sys.maxsize)

    def candidates(self, forest: Forest) -> Sequence[int] | None:
        if isinstance(self._expected, str | int | float):
            return forest.valued(self.label, self._expected)
        return None if matches(self._expected, MISSING) else forest.having(self.label)

    @property
    def attributes(self) -> Sequence[str]:
        return (self.label,)


@final
class Resource(Condition):
    """One attribute of the span's resource."""

    __slots__ = ("_expected", "_key")

    def __init__(self, key: str, expected: object) -> None:
        super().__init__(f"resource {key}", show(expected))
        self._key = key
        self._expected = expected

    def asked(self) -> str:
        return f"resource={{{self._key!r}: {self.expected}}}"

    def holds(self, position: int, forest: Forest) -> bool:
        return matches(self._expected, forest.spans[position].resource.get(self._key, MISSING))

    def was(self, position: int, forest: Forest) -> str:
        return show(forest.spans[position].resource.get(self._key, MISSING))


@final
class Field(Condition):
    """One field of the span equals this: its kind, its status code, whether it is open."""

    __slots__ = ("_expected", "_read")

    def __init__(self, label: str, expected: object, read: Callable[[Span], object]) -> None:
        super().__init__(label, show(expected))
        self._expected = expected
        self._read = read

    def holds(self, position: int, forest: Forest) -> bool:
        return self._read(forest.spans[position]) == self._expected

    def was(self, position: int, forest: Forest) -> str:
        return show(self._read(forest.spans[position]))


@final
class Ended(Condition):
    """The span has ended; part of every question that waits, so it isn't shown as asked."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("ended", "True")

    def asked(self) -> str:
        return ""

    def holds(self, position: int, forest: Forest) -> bool:
        return forest.spans[position].end is not None

    def was(self, position: int, forest: Forest) -> str:
        return "still open" if forest.spans[position].is_open else "True"


@final
class ScopeName(Condition):
    """The name of the instrumentation scope."""

    __slots__ = ("_fits",)

    def __init__(self, text: Text) -> None:
        super().__init__("scope", show(text))
        self._fits = _fitter(text)

    def holds(self, position: int, forest: Forest) -> bool:
        return bool(self._fits(forest.spans[position].scope.name))

    def was(self, position: int, forest: Forest) -> str:
        return show(forest.spans[position].scope.name)


@final
class Duration(Condition):
    """Seconds from start to end lie within bounds, both inclusive; an open span has no duration."""

    __slots__ = ("_least", "_most")

    def __init__(self, least: float | None, most: float | None) -> None:
        bounds = (("at least", least), ("at most", most))
        super().__init__("duration", " and ".join(f"{word} {bound:g}s" for word, bound in bounds if bound is not None))
        self._least = least
        self._most = most

    def asked(self) -> str:
        bounds = (("min_duration", self._least), ("max_duration", self._most))
        return ", ".join(f"{keyword}={bound:g}" for keyword, bound in bounds if bound is not None)

    def holds(self, position: int, forest: Forest) -> bool:
        seconds = forest.spans[position].duration
        return (
            seconds is not None
            and (self._least is None or seconds >= self._least)
            and (self._most is None or seconds <= self._most)
        )

    def was(self, position: int, forest: Forest) -> str:
        seconds = forest.spans[position].duration
        return "still open" if seconds is None else f"{f'{seconds:.9f}'.rstrip('0').rstrip('.')}s"


@final
class HasEvent(Condition):
    """Some event of the span has this name and these attributes."""

    __slots__ = ("_attributes", "_fits")

    def __init__(self, text: Text, attributes: Mapping[str, object]) -> None:
        super().__init__("event", f"{show(text)} {show(attributes)}" if attributes else show(text))
        self._fits = _fitter(text)
        self._attributes = dict(attributes)

    def asked(self) -> str:
        return f"event=event({self.expected.replace(' {', ', {', 1)})" if self._attributes else super().asked()

    def holds(self, position: int, forest: Forest) -> bool:
        return any(
            self._fits(event.name)
            and all(matches(wanted, event.attributes.get(key, MISSING)) for key, wanted in self._attributes.items())
            for event in forest.spans[position].events
        )

    def was(self, position: int, forest: Forest) -> str:
        """The events of that name, with the attributes asked for; else the names of all."""
        events = forest.spans[position].events
        named = [event for event in events if self._fits(event.name)]
        if not named or not self._attributes:
            return ", ".join(show(event.name) for event in events) or "no event"
        asked = [{key: event.attributes.get(key, MISSING) for key in self._attributes} for event in named]
        return ", ".join(f"{show(event.name)} {show(read)}" for event, read in zip(named, asked, strict=True))


@final
class Raised(Condition):
    """The span recorded an exception of this type and with this message, in one event.

    A type's name fits with and without its module. A class stands for its own name, not its subclasses',
    for a span only keeps the name.
    """

    __slots__ = ("_asked", "_message", "_type")

    def __init__(self, type_: Text | type[BaseException] | None, message: Text | None) -> None:
        named = _name_of(type_) if isinstance(type_, type) else type_
        given = (("exception", named), ("exception_message", message))
        super().__init__("exception", ": ".join(show(text) for _, text in given if text is not None))
        self._asked = ", ".join(f"{keyword}={show(text)}" for keyword, text in given if text is not None)
        self._type = None if named is None else _fitter(named)
        self._message = None if message is None else _fitter(message)

    def asked(self) -> str:
        return self._asked

    def holds(self, position: int, forest: Forest) -> bool:
        return any(self._fits(*exception) for exception in _exceptions(forest.spans[position]))

    def _fits(self, type_: str, message: str) -> bool:
        fits_type = self._type is None or self._type(type_) or self._type(type_.rpartition(".")[2])
        return bool(fits_type and (self._message is None or self._message(message)))

    def was(self, position: int, forest: Forest) -> str:
        raised = _exceptions(forest.spans[position])
        return ", ".join(f"{type_}: {show(message, 50)}" for type_, message in raised) or "no exception"


def _name_of(type_: type[BaseException]) -> str:
    return type_.__qualname__ if type_.__module__ == "builtins" else f"{type_.__module__}.{type_.__qualname__}"


def _exceptions(span: Span) -> list[tuple[str, str]]:
    """Type and message of each recorded exception, as the semantic conventions name them."""
    return [(_string(event, "type"), _string(event, "message")) for event in span.events if event.name == "exception"]


def _string(event: Event, part: str) -> str:
    value = event.attributes.get(f"exception.{part}")
    return value if isinstance(value, str) else ""
