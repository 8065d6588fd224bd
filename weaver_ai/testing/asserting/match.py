"""What a test writes to say which spans it means: `span`, `event`, `tree`, `any_order`, `times` and their like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, Final, Protocol, TypeAlias, TypedDict, Unpack, final, get_args, runtime_checkable

from weaver_ai.spans import Span, SpanKind, StatusCode
from weaver_ai.spans.conditions import (
    Attribute,
    Duration,
    Field,
    HasEvent,
    Name,
    Raised,
    Resource,
    ScopeName,
    Text,
)
from weaver_ai.spans.expected import AnyOrder, Item, Node, Repeated, TreePattern
from weaver_ai.spans.outcome import HasStatus
from weaver_ai.spans.query import Condition, SpanPattern
from weaver_ai.spans.relations import LinkedTo, Parent, Target, Within
from weaver_ai.testing.asserting.keywords import attributes_of, known, one_of

__all__ = [
    "Child",
    "Conditions",
    "EventPattern",
    "Expected",
    "Identified",
    "What",
    "any_order",
    "at_least",
    "at_most",
    "event",
    "pattern_of",
    "span",
    "target_of",
    "times",
    "tree",
]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates


@runtime_checkable
class Identified(Protocol):
    """A captured span, as a view or as data."""

    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...


What: TypeAlias = str | re.Pattern[str] | SpanPattern
"""A span's name (exact; `*` stands for any run of characters; a compiled regex is searched), or a pattern."""

Expected: TypeAlias = Callable[[Any], object] | object
"""What an attribute is compared with: anything. The callable is there so that a lambda's argument has a type."""

Child: TypeAlias = str | re.Pattern[str] | SpanPattern | TreePattern | Repeated | AnyOrder | EllipsisType
"""What may stand below a `tree`."""


@final
@dataclass(frozen=True, slots=True)
class EventPattern:
    """An event to look for; made by `event`."""

    name: Text
    attributes: Mapping[str, object] = field(default_factory=dict[str, object])


class Conditions(TypedDict, total=False):
    """The keywords that every question takes; all of those given must hold.

    Attributes:
        kind: internal, server, client, producer or consumer.
        status: unset, ok or error.
        scope: name of the instrumentation scope.
        resource: attributes of the resource.
        event: name of an event, or `event(name, attributes)`.
        exception: type of a recorded exception: its name, with or without the module, or the class.
        exception_message: message of the same exception.
        link: a span that a link leads to.
        min_duration: seconds, inclusive.
        max_duration: seconds, inclusive.
        parent: the parent; None for a root.
        within: some ancestor.
        open: whether it has not ended yet.
    """

    kind: SpanKind
    status: StatusCode
    scope: Text
    resource: Mapping[str, Expected]
    event: Text | EventPattern
    exception: Text | type[BaseException]
    exception_message: Text
    link: What | Identified
    min_duration: float
    max_duration: float
    parent: What | Identified | None
    within: What | Identified
    open: bool


def span(
    name: What | None = None, attributes: Mapping[str, Expected] | None = None, **conditions: Unpack[Conditions]
) -> SpanPattern:
    """A span to look for. In a tree, it says nothing about what is below it.

    Args:
        name: exact; `*` stands for any run of characters; a compiled regex is searched. Or a pattern to narrow.
        attributes: for each, a value that is compared with `==` (so dirty-equals works), a compiled regex,
            a predicate, `contains(...)`, `absent`, or `...` for any value. A mapping or a list is also
            compared with what JSON text stands for.
        conditions: see `Conditions`.

    Raises:
        TypeError: an unknown condition, or none at all (`span("*")` is any span).

    Example:
        >>> span("chat *", {"gen_ai.request.model": "gpt-5"}, status="ok") | span("embeddings *")
        span(span('chat *', {'gen_ai.request.model': 'gpt-5'}, status='ok') | span('embeddings *'))
    """
    pattern = pattern_of("span", name, attributes, conditions)
    if pattern is None:
        raise TypeError("span() needs a condition; span('*') is any span")
    return pattern


def event(name: Text, attributes: Mapping[str, Expected] | None = None) -> EventPattern:
    """An event to look for: `span("POST *", event=event("retry", {"attempt": 2}))`."""
    return EventPattern(name, attributes or {})


def tree(name: What, *children: Child) -> TreePattern:
    """A span with exactly these children, in this order; with no children given, a leaf.

    A child is a name, a `span` (whose own children don't matter), a `tree` (whose children do),
    `any_order(...)`, `times(...)`, `at_least(...)`, `at_most(...)`, or `...` for any spans at that place.
    Order is that of the start times.
    """
    return TreePattern(_pattern(name, "tree"), tuple(_item(child, "tree") for child in children))


def any_order(*children: str | re.Pattern[str] | SpanPattern | TreePattern | Repeated | EllipsisType) -> AnyOrder:
    """Children in a row, each matched by another of these, in whatever order; `...` takes what is left of the row."""
    if not children:
        raise TypeError("any_order() needs a child")
    items: list[SpanPattern | TreePattern | Repeated | EllipsisType] = []
    for child in children:
        item = _item(child, "any_order")
        if isinstance(item, AnyOrder):
            raise TypeError("any_order() can't stand in any_order(); give all the children to one")
        items.append(item)
    return AnyOrder(tuple(items))


def times(count: int, child: What | TreePattern) -> Repeated:
    """Exactly so many such children, one after the other."""
    return Repeated(_node(child, "times"), _positive(count, "times"), count)


def at_least(count: int, child: What | TreePattern) -> Repeated:
    """So many such children or more, one after the other; 0 is a valid count."""
    return Repeated(_node(child, "at_least"), count if count == 0 else _positive(count, "at_least"), None)


def at_most(count: int, child: What | TreePattern) -> Repeated:
    """No more than so many such children, one after the other, or none."""
    return Repeated(_node(child, "at_most"), 0, _positive(count, "at_most"))


def _positive(count: int, function: str) -> int:
    if count < 1:
        raise ValueError(f"{function}() can't count {count}")
    return count


def _item(child: Child, function: str) -> Item:
    if isinstance(child, Repeated | AnyOrder | EllipsisType):
        return child
    return _node(child, function)


def _node(child: What | TreePattern, function: str) -> Node:
    return child if isinstance(child, TreePattern) else _pattern(child, function)


def _pattern(what: object, function: str) -> SpanPattern:
    if isinstance(what, SpanPattern):
        return what
    if isinstance(what, str | re.Pattern):
        return SpanPattern([Name(what)])
    if isinstance(what, Mapping):
        if function in _STRUCTURES:
            raise TypeError(f"{function}() takes no attributes; write span(name, {{...}}) in the place of the name")
        raise TypeError(f"{function}() takes the name first; write {function}(attributes={{...}}) to leave it out")
    raise TypeError(f"{function}() can't look for {what!r}; it takes a name, a regex, span(...) or tree(...)")


def pattern_of(function: str, name: object, attributes: object, conditions: Conditions) -> SpanPattern | None:
    """The pattern that a verb's arguments stand for; None where there are none.

    Raises:
        TypeError: a keyword that is no condition, or an argument of the wrong type.
        ValueError: a kind or a status that doesn't exist.
    """
    made: list[Condition] = []
    if name is not None:
        made.extend(_pattern(name, function).conditions)
    if attributes is not None:
        made.extend(Attribute(str(key), expected) for key, expected in attributes_of(function, attributes).items())
    made.extend(_made(function, conditions))
    return SpanPattern(made) if made else None


def _made(function: str, conditions: Conditions) -> Iterator[Condition]:
    known(function, conditions, [*_MAKERS, *_PAIRED], ["name", "attributes"])
    for keyword, value in conditions.items():
        if keyword in _MAKERS:
            yield from _MAKERS[keyword](function, value)
    if "exception" in conditions or "exception_message" in conditions:
        yield Raised(conditions.get("exception"), conditions.get("exception_message"))
    if "min_duration" in conditions or "max_duration" in conditions:
        yield Duration(conditions.get("min_duration"), conditions.get("max_duration"))


def target_of(function: str, value: object) -> Target:
    """The span that `within=` and its like mean.

    Raises:
        TypeError: it says of no span.
    """
    if isinstance(value, SpanPattern | str | re.Pattern):
        return _pattern(value, function)
    if isinstance(value, Identified):
        return value.trace_id, value.span_id
    raise TypeError(f"{function}() can't look for {value!r}; it takes a name, a regex, span(...) or a captured span")


def _kind(function: str, value: object) -> Iterator[Condition]:
    yield Field("kind", one_of(function, "kind", value, get_args(SpanKind)), lambda span: span.kind)


def _status(function: str, value: object) -> Iterator[Condition]:
    yield HasStatus(one_of(function, "status", value, get_args(StatusCode)))


def _open(_function: str, value: object) -> Iterator[Condition]:
    yield Field("open", bool(value), _is_open)


def _is_open(span: Span) -> bool:
    return span.is_open


def _scope(function: str, value: object) -> Iterator[Condition]:
    yield ScopeName(_text(function, "scope", value))


def _text(function: str, keyword: str, value: object) -> Text:
    if isinstance(value, str | re.Pattern):
        return value
    raise TypeError(f"{function}() takes a string or a regex as {keyword}, not {value!r}")


def _resource(function: str, value: object) -> Iterator[Condition]:
    if not isinstance(value, Mapping) or not value:
        raise TypeError(f"{function}() takes resource as a mapping with a key at least, not {value!r}")
    for key, expected in value.items():
        yield Resource(str(key), expected)


def _event(function: str, value: object) -> Iterator[Condition]:
    wanted = value if isinstance(value, EventPattern) else EventPattern(_text(function, "event", value))
    yield HasEvent(wanted.name, wanted.attributes)


def _parent(function: str, value: object) -> Iterator[Condition]:
    yield Parent(None if value is None else target_of(function, value))


def _within(function: str, value: object) -> Iterator[Condition]:
    yield Within(target_of(function, value))


def _link(function: str, value: object) -> Iterator[Condition]:
    yield LinkedTo(target_of(function, value))


_MAKERS: Final[Mapping[str, Callable[[str, object], Iterator[Condition]]]] = {
    "kind": _kind,
    "status": _status,
    "scope": _scope,
    "resource": _resource,
    "event": _event,
    "link": _link,
    "parent": _parent,
    "within": _within,
    "open": _open,
}
_STRUCTURES: Final = ("tree", "any_order", "times", "at_least", "at_most")
_PAIRED: Final = ("exception", "exception_message", "min_duration", "max_duration")
