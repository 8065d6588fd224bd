"""The verbs, on spans and on what is around one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Unpack, final, overload

from weaver_ai.spans import Event, Link, Scope, Span, SpanKind, Status
from weaver_ai.spans.conventions import Cost, Usage, cost_of, tools_of, usage_of
from weaver_ai.spans.expected import TreePattern
from weaver_ai.spans.fit import Fitter
from weaver_ai.spans.model import Attributes, AttributeValue
from weaver_ai.spans.query import SpanPattern, find
from weaver_ai.spans.render import seconds
from weaver_ai.spans.values import clip
from weaver_ai.testing.asserting import explain
from weaver_ai.testing.asserting.explain import ExpectationFailed, Look
from weaver_ai.testing.asserting.explain_tree import mismatch
from weaver_ai.testing.asserting.fallback import TOLERANCE, Backoff, Fallback, Retries
from weaver_ai.testing.asserting.match import Conditions, Expected, What, pattern_of

__all__ = ["Count", "Relatives", "Selection", "SpanView", "Trace", "earliest_in_order", "required"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates


class Selection(ABC):
    """Spans that can be asked, in the order of start time, then sequence.

    Each verb takes the same question: a name (exact, with `*` for any run of characters, or a compiled
    regex) or a `span(...)`, a mapping of attributes, and conditions by keyword. See `Conditions`.
    """

    __slots__ = ()

    @abstractmethod
    def _look(self) -> Look: ...

    def one(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> SpanView:
        """The span that matches.

        Raises:
            ExpectationFailed: none matches, or more than one.
        """
        look, pattern, found = self._ask("one", name, attributes, conditions)
        if not found:
            raise ExpectationFailed("\n".join(explain.none_found(look, "one", pattern)))
        if len(found) > 1:
            raise ExpectationFailed("\n".join(explain.many(look, "one", pattern, found)))
        return SpanView(look, found[0])

    def first(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> SpanView:
        """The earliest span that matches.

        Raises:
            ExpectationFailed: none matches.
        """
        look, pattern, found = self._ask("first", name, attributes, conditions)
        if not found:
            raise ExpectationFailed("\n".join(explain.none_found(look, "first", pattern)))
        return SpanView(look, found[0])

    def some(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[SpanView]:
        """The spans that match, one at least.

        Raises:
            ExpectationFailed: none matches.
        """
        look, pattern, found = self._ask("some", name, attributes, conditions)
        if not found:
            raise ExpectationFailed("\n".join(explain.none_found(look, "some", pattern)))
        return [SpanView(look, position) for position in found]

    def none(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> None:
        """No span matches. One that begins later is not seen: `settle` first.

        Raises:
            ExpectationFailed: a span matches.
        """
        look, pattern, found = self._ask("none", name, attributes, conditions)
        if found:
            raise ExpectationFailed("\n".join(explain.unwanted(look, "none", pattern, found)))

    def all(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> list[SpanView]:
        """The spans that match; there may be none. Fails never."""
        look, _, found = self._ask("all", name, attributes, conditions)
        return [SpanView(look, position) for position in found]

    def count(
        self,
        name: What | None = None,
        attributes: Mapping[str, Expected] | None = None,
        **conditions: Unpack[Conditions],
    ) -> int:
        """How many spans match. Compared in an `assert`, the number explains itself."""
        return Count(*self._ask("count", name, attributes, conditions))

    def in_order(self, *names: What) -> list[SpanView]:
        """Spans that match these began one after the other, with others in between or not.

        Returns:
            for each the earliest span that began after the one before.

        Raises:
            ExpectationFailed: one of them didn't begin, or not after the one before it.
        """
        if not names:
            raise TypeError("in_order() needs a name")
        look = self._look()
        patterns = [required("in_order", name) for name in names]
        found = earliest_in_order(look, patterns)
        if len(found) < len(patterns):
            raise ExpectationFailed("\n".join(explain.in_order(look, patterns, found)))
        return [SpanView(look, position) for position in found]

    def retries(
        self,
        name: What | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        attempts: int,
        backoff: Backoff | None = None,
        succeeds: bool = True,
        tolerance: float = TOLERANCE,
        **conditions: Unpack[Conditions],
    ) -> list[SpanView]:
        """The spans that match are attempts at one thing: siblings, each failed but the last, so many, so far apart.

        `attempts` counts the first too. `backoff` holds the seconds from the end of each to the start of the next, as
        numbers or as `(least, most)`; they may differ by `tolerance`. With `succeeds=False` the last fails as well.

        Raises:
            ExpectationFailed: each part that does not hold is named.
        """
        look, pattern, found = self._ask("retries", name, attributes, conditions)
        if pattern is None:
            raise TypeError("retries() needs a name or a condition")
        expected = Retries(pattern, attempts, backoff, succeeds, tolerance)
        if lines := expected.failure(look.forest, found, look.subject):
            raise ExpectationFailed("\n".join(lines))
        return [SpanView(look, position) for position in found]

    def _ask(
        self, verb: str, name: What | None, attributes: Mapping[str, Expected] | None, conditions: Conditions
    ) -> tuple[Look, SpanPattern | None, list[int]]:
        pattern = pattern_of(verb, name, attributes, conditions)
        look = self._look()
        return look, pattern, find(pattern, look.forest, look.positions)

    def __iter__(self) -> Iterator[SpanView]:
        look = self._look()
        return (SpanView(look, position) for position in look.domain)

    def __len__(self) -> int:
        return len(self._look().domain)

    @overload
    def __getitem__(self, index: int) -> SpanView: ...
    @overload
    def __getitem__(self, index: slice) -> list[SpanView]: ...
    def __getitem__(self, index: int | slice) -> SpanView | list[SpanView]:
        look = self._look()
        if isinstance(index, slice):
            return [SpanView(look, position) for position in look.domain[index]]
        if not -len(look.domain) <= index < len(look.domain):
            has = "1 span" if len(look.domain) == 1 else f"{len(look.domain):,} spans"
            raise IndexError(f"there is no {look.subject}[{index}]: {look.subject} has {has}")
        return SpanView(look, look.domain[index])

    def __contains__(self, span: object) -> bool:
        return isinstance(span, SpanView) and span in list(self)

    def __repr__(self) -> str:
        look = self._look()
        names = [look.forest.spans[position].name for position in look.domain[:4]]
        listed = ", ".join(map(repr, names)) + (", ..." if len(look.domain) > len(names) else "")
        return f"<{look.subject}: {len(look.domain)}{' ' + listed if listed else ''}>"


def required(verb: str, name: What) -> SpanPattern:
    """The pattern that one argument of a verb stands for."""
    pattern = pattern_of(verb, name, None, {})
    if pattern is None:
        raise TypeError(f"{verb}() can't look for None")
    return pattern


def earliest_in_order(look: Look, patterns: Iterable[SpanPattern]) -> list[int]:
    """For each pattern the first match after the one before; it ends before the pattern that has none."""
    found: list[int] = []
    for pattern in patterns:
        last = found[-1] if found else -1
        following = min((place for place in find(pattern, look.forest, look.positions) if place > last), default=None)
        if following is None:
            break
        found.append(following)
    return found


@final
class Count(int):
    """A number of spans that remembers what was counted, for the message of an assertion."""

    look: Look
    pattern: SpanPattern | None
    found: Sequence[int]

    def __new__(cls, look: Look, pattern: SpanPattern | None, found: Sequence[int]) -> Count:
        count = super().__new__(cls, len(found))
        count.look, count.pattern, count.found = look, pattern, found
        return count


@final
class Relatives(Selection):
    """The children, descendants or ancestors of one span; ancestors come nearest first."""

    __slots__ = ("_seen",)

    def __init__(self, look: Look) -> None:
        self._seen = look

    def _look(self) -> Look:
        return self._seen


@final
class Trace(Selection):
    """All captured spans of one trace."""

    __slots__ = ("_seen", "trace_id")

    def __init__(self, look: Look, trace_id: str) -> None:
        positions = look.forest.traces[trace_id]
        inside = set(positions)
        roots = [root for root in look.forest.roots if root in inside]
        subject = f"{look.forest.spans[roots[0]].name!r}.trace"
        self._seen = replace(look, positions=positions, roots=roots, subject=subject)
        self.trace_id: str = trace_id

    def _look(self) -> Look:
        return self._seen

    @property
    def roots(self) -> list[SpanView]:
        """Where it begins: spans without a parent, and orphans."""
        return [SpanView(self._seen, position) for position in self._seen.roots or ()]


class _Attributes(dict[str, AttributeValue]):
    def __init__(self, span: Span) -> None:
        super().__init__(span.attributes)
        self._name = span.name

    def __missing__(self, key: str) -> AttributeValue:
        hint = explain.did_you_mean(str(key), list(self))
        names = clip(", ".join(map(repr, self)), 400) or "none"
        raise KeyError(f"span {self._name!r} has no attribute {key!r}{f'{hint} It' if hint else '; it'} has: {names}")


@final
class SpanView:
    """A captured span among the others, as all of them were when it was asked for.

    Equal to another view of the same span.
    """

    __slots__ = ("_position", "_seen")

    def __init__(self, look: Look, position: int) -> None:
        self._seen = look
        self._position = position

    @property
    def span(self) -> Span:
        """The span as plain data."""
        return self._seen.forest.spans[self._position]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id

    @property
    def span_id(self) -> str:
        return self.span.span_id

    @property
    def parent_id(self) -> str | None:
        return self.span.parent_id

    @property
    def kind(self) -> SpanKind:
        return self.span.kind

    @property
    def start(self) -> int:
        """Nanoseconds since the epoch."""
        return self.span.start

    @property
    def end(self) -> int | None:
        """Nanoseconds since the epoch; None while it is open."""
        return self.span.end

    @property
    def duration(self) -> float | None:
        """Seconds; None while it is open."""
        return self.span.duration

    @property
    def is_open(self) -> bool:
        return self.span.is_open

    @property
    def status(self) -> Status:
        """Compared with "error", "ok" or "unset", it is its code."""
        return self.span.status

    @property
    def attributes(self) -> Attributes:
        """By name; a KeyError tells which there are."""
        return MappingProxyType(_Attributes(self.span))

    @property
    def events(self) -> tuple[Event, ...]:
        return self.span.events

    @property
    def links(self) -> tuple[Link, ...]:
        return self.span.links

    @property
    def scope(self) -> Scope:
        return self.span.scope

    @property
    def resource(self) -> Attributes:
        return self.span.resource

    @property
    def sequence(self) -> int:
        return self.span.sequence

    @property
    def parent(self) -> SpanView | None:
        """None for a root, and for an orphan, whose parent was not captured."""
        parent = self._seen.forest.parent(self._position)
        return None if parent is None else SpanView(self._seen, parent)

    @property
    def children(self) -> Relatives:
        return self._relatives("children", self._seen.forest.children(self._position))

    @property
    def descendants(self) -> Relatives:
        """Everything below, in the order of start time."""
        return self._relatives("descendants", sorted(self._seen.forest.descendants(self._position)))

    @property
    def ancestors(self) -> Relatives:
        """From the parent up to the root."""
        return self._relatives("ancestors", list(self._seen.forest.ancestors(self._position)))

    @property
    def trace(self) -> Trace:
        return Trace(self._seen, self.trace_id)

    @property
    def tools(self) -> list[str]:
        """Names of the tools executed in here, in the order of their starts."""
        return tools_of(self._seen.forest, self._position)

    @property
    def usage(self) -> Usage:
        """Tokens of the model calls in here, each counted once."""
        return usage_of(self._seen.forest, self._position)

    @property
    def cost(self) -> Cost:
        """US dollars of the model calls in here; see `Cost` for calls without a price."""
        return cost_of(self._seen.forest, self._position)

    def expect(self, expected: What | TreePattern) -> None:
        """The span, and with a `tree` what is below it, is as expected.

        Raises:
            ExpectationFailed: it isn't; the message shows the smallest difference.
        """
        node = expected if isinstance(expected, TreePattern) else required("expect", expected)
        if not Fitter(self._seen.forest).fits(node, self._position):
            raise ExpectationFailed("\n".join(mismatch(self._seen, node, self._position)))

    def expect_fallback(self, *, primary: What, fallback: What, attempts: int = 2) -> None:
        """One model call in here failed over: the first attempt as `primary`, then, under the same parent, `fallback`.

        `primary` failed as asked, `fallback` began after it, nothing else was tried (`attempts` in all), and the
        outcome is no error. The attempts of pydantic-ai's FallbackModel count as `chat <model>` spans beside the one
        that answered.

        Raises:
            ExpectationFailed: each part that does not hold is named.
        """
        expected = Fallback(required("expect_fallback", primary), required("expect_fallback", fallback), attempts)
        if lines := expected.failure(self._seen.forest, self._position):
            raise ExpectationFailed("\n".join(lines))

    def _relatives(self, relation: str, positions: Sequence[int]) -> Relatives:
        top = [*self._seen.forest.ancestors(self._position)][-1:] if relation == "ancestors" else []
        subject = f"{self.name!r}.{relation}"
        return Relatives(
            replace(self._seen, positions=positions, roots=top or [self._position], subject=subject),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpanView):
            return NotImplemented
        return (self.trace_id, self.span_id) == (other.trace_id, other.span_id)

    def __hash__(self) -> int:
        return hash((self.trace_id, self.span_id))

    def __repr__(self) -> str:
        error = " error" if self.status.code == "error" else ""
        return f"<span {self.name!r} {seconds(self.duration)}{error}>"
